/* SPDX-License-Identifier: Apache-2.0 */
/* common/bus.h's looks at the cluster, and its reader of single records, on the model of Kafka. */
#include "common/bus.h"

#include <stdlib.h>

#include "tests/sim/broker.h"
#include "tests/sim/dice.h"

static bool is_there(const struct partition *partition, int64_t offset)
{
	return offset >= partition->low && offset < partition->high &&
	       !partition->records[offset]->gone;
}

/* Waits for an answer of the broker. */
static bool look(const struct process *process, int timeout_ms)
{
	int64_t until_us = stage_now_us() + timeout_ms * MS;

	stage_wait_until(stage_now_us() + dice_delay_us(500));
	while (!broker_hears(process)) {
		if (stage_now_us() >= until_us) {
			return false;
		}
		stage_wait_until(until_us < broker_hears_again_us(process)
					 ? until_us
					 : broker_hears_again_us(process));
	}
	return true;
}

enum outcome bus_watermarks(struct bus_consumer *consumer, const char *topic, int32_t partition,
			    int64_t *low, int64_t *high, int timeout_ms, struct reason *why)
{
	const struct partition *at = broker_partition(topic, partition);

	if (!look(consumer->process, timeout_ms)) {
		return because(TEMPFAIL, why, "%s/%d: timed out", topic, partition);
	}
	*low = at->low;
	*high = at->high;
	return OK;
}

enum outcome bus_partitions(struct bus_consumer *consumer, const char *topic, int32_t *count,
			    int timeout_ms, struct reason *why)
{
	if (!look(consumer->process, timeout_ms)) {
		return because(TEMPFAIL, why, "%s: timed out", topic);
	}
	*count = PARTITIONS;
	return OK;
}

enum outcome bus_fetch_one(const struct bus_config *config, const char *topic, int32_t partition,
			   int64_t offset, int timeout_ms, struct bus_message **out,
			   struct reason *why)
{
	const struct partition *at = broker_partition(topic, partition);

	(void)config;
	if (!look(stage_process(), timeout_ms)) {
		return because(TEMPFAIL, why, "%s/%d: timed out", topic, partition);
	}
	if (!is_there(at, offset)) {
		return because(PERMFAIL, why, "%s/%d@%lld: not there any more", topic, partition,
			       (long long)offset);
	}
	*out = broker_message(at, offset);
	return OK;
}

int32_t bus_partition_of(struct span key, int32_t partitions)
{
	return broker_partition_of(key) % partitions;
}

/* --- single records, without waiting --------------------------------------------------------- */

struct fetch {
	struct fetch *next;
	const struct partition *partition;
	int64_t offset;
	int64_t comes_us;
	void *ticket;
};

struct bus_fetcher {
	struct process *process;
	struct fetch *first;
	size_t count;
};

enum outcome bus_fetcher_create(struct bus_fetcher **out, const struct bus_config *config,
				struct reason *why)
{
	struct bus_fetcher *fetcher = xcalloc(1, sizeof(*fetcher));

	(void)config;
	(void)why;
	fetcher->process = stage_process();
	*out = fetcher;
	return OK;
}

void bus_fetch(struct bus_fetcher *fetcher, const char *topic, int32_t partition, int64_t offset,
	       void *ticket)
{
	struct fetch *fetch = xcalloc(1, sizeof(*fetch));

	*fetch = (struct fetch){.next = fetcher->first,
				.partition = broker_partition(topic, partition),
				.offset = offset,
				.comes_us = stage_now_us() + dice_delay_us(5 * MS),
				.ticket = ticket};
	fetcher->first = fetch;
	fetcher->count++;
}

bool bus_fetched(struct bus_fetcher *fetcher, struct bus_fetched *out)
{
	for (struct fetch **at = &fetcher->first; *at != NULL; at = &(*at)->next) {
		struct fetch *fetch = *at;

		if (fetch->comes_us > stage_now_us() || !broker_hears(fetcher->process)) {
			continue;
		}
		*at = fetch->next;
		fetcher->count--;
		*out = (struct bus_fetched){.ticket = fetch->ticket};
		if (is_there(fetch->partition, fetch->offset)) {
			out->message = broker_message(fetch->partition, fetch->offset);
		}
		free(fetch);
		return true;
	}
	return false;
}

size_t bus_fetching(const struct bus_fetcher *fetcher)
{
	return fetcher->count;
}

void bus_fetcher_destroy(struct bus_fetcher *fetcher)
{
	free(fetcher);
}
