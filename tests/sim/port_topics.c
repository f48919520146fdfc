/* SPDX-License-Identifier: Apache-2.0 */
/* common/topics.h, as far as services call it. */
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
