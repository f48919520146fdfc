/* SPDX-License-Identifier: Apache-2.0 */
/* bus_admin.h: topics of the cluster: are they there, how are they set, make them, set them. For
 * topics.c.
 *
 * Every call blocks up to `timeout_ms` and touches Kafka. Nothing here deletes a topic or changes a
 * partition count.
 *
 * Threads: an admin belongs to one thread.
 */
#ifndef COMMON_BUS_ADMIN_H
#define COMMON_BUS_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/outcome.h"

struct bus_admin;

struct bus_topic_setting {
	const char *name; /* "cleanup.policy" */
	const char *value;
};

MUST_CHECK enum outcome bus_admin_create(struct bus_admin **out, const struct bus_config *config,
					 struct reason *why);
void bus_admin_destroy(struct bus_admin *admin); /* accepts NULL */

/* `partitions` 0: there is no such topic. `replicas` is that of its first partition. */
MUST_CHECK enum outcome bus_admin_find(struct bus_admin *admin, const char *topic,
				       int32_t *partitions, int32_t *replicas, int timeout_ms,
				       struct reason *why);
/* `replicas` 0: the cluster's default. PERMFAIL: Kafka refused; `why` has its words. A topic that
 * somebody else makes at the same time is fine. */
MUST_CHECK enum outcome bus_admin_make(struct bus_admin *admin, const char *topic,
				       int32_t partitions, int32_t replicas,
				       const struct bus_topic_setting *settings, size_t count,
				       int timeout_ms, struct reason *why);
/* Calls `each` for every setting of the topic; `own`: set for this topic, not the broker's default.
 * Both texts are borrowed for the call. */
MUST_CHECK enum outcome bus_admin_settings(struct bus_admin *admin, const char *topic,
					   void (*each)(void *context, const char *name,
							const char *value, bool own),
					   void *context, int timeout_ms, struct reason *why);
/* Sets these and keeps every other setting that the topic has of its own. Kafka's old call replaces
 * them all, so this reads first: a change that another hand makes in between is lost. */
MUST_CHECK enum outcome bus_admin_set(struct bus_admin *admin, const char *topic,
				      const struct bus_topic_setting *settings, size_t count,
				      int timeout_ms, struct reason *why);
/* How many members a group has now; 0: none, or no such group. */
MUST_CHECK enum outcome bus_admin_members(struct bus_admin *admin, const char *group, size_t *count,
					  int timeout_ms, struct reason *why);

#endif
