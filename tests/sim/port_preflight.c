/* SPDX-License-Identifier: Apache-2.0 */
/* What services ask before and while they work: are the topics right (common/topics.h), are Kafka
 * and Redis set up as they must be (common/preflight_watch.h: the models always are). */
#include <stddef.h>

#include "common/preflight_watch.h"
#include "common/topics.h"

#include "tests/sim/broker.h"
#include "tests/sim/dice.h"

enum outcome topics_preflight(const struct bus_config *bus, const struct topics_config *config,
			      int timeout_ms, struct reason *why)
{
	(void)bus;
	stage_wait_until(stage_now_us() + dice_delay_us(5 * MS));
	if (!broker_hears(stage_process())) {
		stage_wait_until(stage_now_us() + timeout_ms * MS);
		return because(TEMPFAIL, why, "kafka: timed out");
	}
	if (config->partitions != PARTITIONS) {
		return because(PERMFAIL, why, "the topics have %d partitions", PARTITIONS);
	}
	return OK;
}

enum outcome preflight_watch_open(struct preflight_watch **out,
				  const struct preflight_watch_config *config,
				  struct service *service, struct reason *why)
{
	(void)config;
	(void)service;
	(void)why;
	*out = NULL;
	return OK;
}

void preflight_watch_close(struct preflight_watch *watch)
{
	(void)watch;
}
