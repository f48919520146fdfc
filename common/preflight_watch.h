/* SPDX-License-Identifier: Apache-2.0 */
/* preflight_watch.h: Kafka and Redis, looked at when a service starts and every minute, every two
 * seconds while something is wrong (preflight.h). What is wrong keeps it from being ready, and is
 * logged once, by name.
 *
 * Threads: one of its own.
 */
#ifndef COMMON_PREFLIGHT_WATCH_H
#define COMMON_PREFLIGHT_WATCH_H

#include <stdbool.h>

#include "common/preflight.h"
#include "common/service.h"

struct preflight_watch_config {
	const struct bus_config *bus; /* all borrowed */
	const struct topics_config *topics;
	const struct redis_config *redis;
	const char *allow;
	bool holds; /* acknowledged pushes lie in Redis: what would lose them is wrong */
};

struct preflight_watch;

/* PERMFAIL: preflight.allow names no check. */
MUST_CHECK enum outcome preflight_watch_open(struct preflight_watch **out,
					     const struct preflight_watch_config *config,
					     struct service *service, struct reason *why);
void preflight_watch_close(struct preflight_watch *watch);

#endif
