/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/broker.h"

#include <stdlib.h>
#include <string.h>

#include "common/event.h"
#include "tests/sim/dice.h"
#include "tests/sim/history.h"
#include "tests/sim/trace.h"

#define CONSUMERS_MAX 4096

static const char *const topics[] = {TOPIC_PUSHES, TOPIC_ZONES,        TOPIC_HEALS,
				     TOPIC_STATUS, TOPIC_DEAD_LETTERS, TOPIC_AUDITS};
#define TOPICS (sizeof(topics) / sizeof(topics[0]))

static struct partition partitions[TOPICS][PARTITIONS];
static struct bus_consumer *consumers[CONSUMERS_MAX];
static size_t consumer_count;
static int64_t away_until_us;
static bool away_frozen;

/* --- records --------------------------------------------------------------------------------- */

struct partition *broker_partition(const char *topic, int32_t number)
{
	for (size_t i = 0; i < TOPICS; i++) {
		if (strcmp(topics[i], topic) == 0) {
			struct partition *partition = &partitions[i][number];

			partition->topic = topics[i];
			partition->number = number;
			return partition;
		}
	}
	return NULL;
}

int32_t broker_partition_of(struct span key)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < key.len; i++) {
		hash = (hash ^ (uint8_t)key.data[i]) * 16777619u;
	}
	return (int32_t)((hash >> 8) % PARTITIONS);
}

static struct span copy_of(struct span bytes)
{
	return (struct span){xstrndup(bytes.data == NULL ? "" : bytes.data, bytes.len), bytes.len};
}

struct record *record_copy(const struct bus_record *record)
{
	struct record *copy = xcalloc(1, sizeof(*copy));

	copy->key = copy_of(record->key);
	copy->value = copy_of(record->value);
	copy->is_null = record->value.data == NULL;
	copy->header_count = record->header_count;
	copy->headers = xcalloc(record->header_count + 1, sizeof(copy->headers[0]));
	for (size_t i = 0; i < record->header_count; i++) {
		copy->headers[i] = (struct header){xstrdup(record->headers[i].name),
						   copy_of(record->headers[i].value)};
	}
	return copy;
}

struct span record_header(const struct record *record, const char *name)
{
	for (size_t i = 0; i < record->header_count; i++) {
		if (strcmp(record->headers[i].name, name) == 0) {
			return record->headers[i].value;
		}
	}
	return SPAN_EMPTY;
}

static void wake_consumers(void *context)
{
	(void)context;
	broker_wake_consumers();
}

int64_t broker_append(struct partition *partition, struct record *record)
{
	int64_t offset = partition->high++;

	if ((offset & (offset - 1)) == 0) {
		partition->records =
			xrealloc(partition->records,
				 (size_t)(offset == 0 ? 1 : offset * 2) * sizeof(struct record *));
	}
	partition->records[offset] = record;
	record->timestamp_ms = broker_wall_ms();
	record->visible_us = stage_now_us() + dice_delay_us(500);
	if (offset > 0 && partition->records[offset - 1]->visible_us > record->visible_us) {
		record->visible_us = partition->records[offset - 1]->visible_us;
	}
	stage_at(record->visible_us, wake_consumers, NULL);
	trace("append %s/%d@%lld %.*s%s, of #%lld", partition->topic, partition->number,
	      (long long)offset, (int)record->key.len, record->key.data,
	      record->is_null ? " null" : "",
	      (long long)history_number_of(record_header(record, "traceparent")));
	return offset;
}

void broker_compact(struct partition *partition, int64_t lag_ms)
{
	int64_t taken = 0;

	for (int64_t i = 0; i < partition->high; i++) {
		struct record *old = partition->records[i];

		if (old->gone || old->timestamp_ms > broker_wall_ms() - lag_ms) {
			continue;
		}
		for (int64_t j = i + 1; j < partition->high; j++) {
			const struct record *later = partition->records[j];

			if (later->timestamp_ms <= broker_wall_ms() - lag_ms &&
			    span_equal(old->key, later->key)) {
				old->gone = true;
				taken++;
				break;
			}
		}
	}
	trace("compaction of %s/%d took %lld", partition->topic, partition->number,
	      (long long)taken);
}

void broker_delete_below(struct partition *partition, int64_t offset)
{
	for (int64_t i = partition->low; i < offset; i++) {
		partition->records[i]->gone = true;
	}
	if (offset > partition->low) {
		partition->low = offset;
	}
}

void broker_cut(struct partition *partition, int64_t offset)
{
	partition->high = offset;
	if (partition->low > offset) {
		partition->low = offset;
	}
}

/* --- who reaches it -------------------------------------------------------------------------- */

bool broker_hears(const struct process *process)
{
	return broker_hears_again_us(process) <= stage_now_us();
}

int64_t broker_hears_again_us(const struct process *process)
{
	if (process != NULL && process->cut_until_us > away_until_us) {
		return process->cut_until_us;
	}
	return away_until_us;
}

bool broker_is_frozen(void)
{
	return away_frozen && away_until_us > stage_now_us();
}

void broker_go_away(int64_t until_us, bool frozen)
{
	away_until_us = until_us;
	away_frozen = frozen;
}

int64_t broker_wall_ms(void)
{
	return STAGE_WALL_MS + stage_now_us() / MS;
}

void broker_add_consumer(struct bus_consumer *consumer)
{
	if (consumer_count == CONSUMERS_MAX) {
		broken("too many consumers: a service is restarted for ever");
	}
	consumers[consumer_count++] = consumer;
}

void broker_wake_consumers(void)
{
	for (size_t i = 0; i < consumer_count; i++) {
		if (!consumers[i]->closed && consumers[i]->process->alive) {
			thread_wake(consumers[i]->poller);
		}
	}
}
