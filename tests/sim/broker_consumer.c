/* SPDX-License-Identifier: Apache-2.0 */
/* common/bus.h's consumer on the model of Kafka: what a group gives and takes away inside
 * bus_poll, offsets committed in the background (I3), positions that compaction, retention and
 * seeks move.
 */
#include "common/bus.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/broker.h"
#include "tests/sim/dice.h"
#include "tests/sim/trace.h"

#define COMMIT_EVERY_US (500 * MS)
#define SESSION_US (8 * SECONDS)

struct metric bus_rows_of_the_model[] = {
	COUNTER("dadns_bus_model", "", "the simulation counts elsewhere")};
const struct metric_table bus_metrics = METRIC_TABLE(bus_rows_of_the_model);

static struct part *part_of(const struct bus_consumer *consumer, const char *topic, int32_t number)
{
	for (size_t i = 0; i < consumer->part_count; i++) {
		const struct part *part = &consumer->parts[i];

		if (part->partition->number == number &&
		    strcmp(part->partition->topic, topic) == 0) {
			return (struct part *)(uintptr_t)part;
		}
	}
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------ */

enum outcome bus_consumer_create(struct bus_consumer **out, const struct bus_config *config,
				 const struct bus_consumer_options *options,
				 const struct bus_listener *listener, struct reason *why)
{
	struct bus_consumer *consumer = xcalloc(1, sizeof(*consumer));

	(void)config;
	(void)why;
	consumer->process = stage_process();
	if (options->group != NULL) {
		consumer->group = group_named(options->group);
	}
	if (listener != NULL) {
		consumer->listener = *listener;
	}
	broker_add_consumer(consumer);
	*out = consumer;
	return OK;
}

enum outcome bus_subscribe(struct bus_consumer *consumer, const char *const *topics,
			   struct reason *why)
{
	(void)why;
	for (size_t i = 0; topics[i] != NULL; i++) {
		consumer->topics[consumer->topic_count++] = broker_partition(topics[i], 0)->topic;
	}
	group_join(consumer);
	return OK;
}

enum outcome bus_assign_all(struct bus_consumer *consumer, const char *topic, int32_t partitions,
			    struct reason *why)
{
	(void)why;
	for (int32_t i = 0; i < partitions; i++) {
		consumer->parts[consumer->part_count++] =
			(struct part){.partition = broker_partition(topic, i), .stored = -1};
	}
	return OK;
}

/* --- commits --------------------------------------------------------------------------------- */

static void commit_stored(struct bus_consumer *consumer)
{
	for (size_t i = 0; i < consumer->part_count; i++) {
		struct part *part = &consumer->parts[i];

		if (part->stored >= 0 && group_commit(consumer, part->partition, part->stored)) {
			part->stored = -1;
		}
	}
}

static void commit_now_and_then(void *context)
{
	struct bus_consumer *consumer = context;
	const struct process *process = consumer->process;

	consumer->commits = false;
	if (!process->alive || consumer->closed) {
		return;
	}
	if (process->frozen_until_us > stage_now_us() || !broker_hears(process)) {
		consumer->commits = true;
		stage_at(stage_now_us() + COMMIT_EVERY_US, commit_now_and_then, consumer);
		return;
	}
	commit_stored(consumer);
}

bool bus_store(struct bus_consumer *consumer, const char *topic, int32_t partition,
	       int64_t next_offset)
{
	struct part *part = part_of(consumer, topic, partition);

	if (part == NULL) {
		return false;
	}
	part->stored = next_offset;
	if (!consumer->commits) {
		consumer->commits = true;
		stage_at(stage_now_us() + dice_between(0, COMMIT_EVERY_US), commit_now_and_then,
			 consumer);
	}
	return true;
}

/* --- what the group gives and takes ---------------------------------------------------------- */

static void revoke(struct bus_consumer *consumer)
{
	bool lost = consumer->lost;

	trace("revoked%s: %zu partitions", lost ? " (lost)" : "", consumer->part_count);
	for (size_t i = 0; i < consumer->part_count && consumer->listener.revoked != NULL; i++) {
		consumer->listener.revoked(consumer->listener.context,
					   consumer->parts[i].partition->topic,
					   consumer->parts[i].partition->number, lost);
	}
	if (!lost && broker_hears(consumer->process)) {
		commit_stored(consumer);
	}
	consumer->part_count = 0;
	group_revoked(consumer);
}

static void assign(struct bus_consumer *consumer)
{
	/* The broker is asked three times for the committed offsets; then it goes on without. */
	bool known = broker_hears(consumer->process);
	size_t count = consumer->given_count;

	consumer->must_assign = false;
	consumer->part_count = count;
	for (size_t i = 0; i < count; i++) {
		consumer->parts[i] = (struct part){
			.partition = consumer->given[i], .position = -1, .stored = -1};
	}
	for (size_t i = 0; i < count; i++) {
		struct part *part = &consumer->parts[i];
		int64_t committed = known ? group_committed(consumer->group, part->partition->topic,
							    part->partition->number)
					  : -1;
		int64_t start = BUS_START_COMMITTED;

		if (consumer->listener.assigned != NULL) {
			start = consumer->listener.assigned(consumer->listener.context,
							    part->partition->topic,
							    part->partition->number, committed);
		}
		if (start >= 0) {
			part->position = start;
		} else if (known) {
			part->position = committed >= 0 ? committed : 0;
		}
		trace("assigned %s/%d, committed %lld, from %lld", part->partition->topic,
		      part->partition->number, (long long)committed, (long long)part->position);
	}
}

/* --- reading --------------------------------------------------------------------------------- */

struct bus_message *broker_message(const struct partition *partition, int64_t offset)
{
	const struct record *record = partition->records[offset];
	struct bus_message *message = xcalloc(1, sizeof(*message));

	*message = (struct bus_message){.topic = partition->topic,
					.partition = partition->number,
					.offset = offset,
					.timestamp_ms = record->timestamp_ms,
					.key = record->key,
					.value = record->value,
					.is_null = record->is_null,
					.headers = record->headers,
					.header_count = record->header_count};
	return message;
}

struct span bus_message_header(const struct bus_message *message, const char *name)
{
	for (size_t i = 0; i < message->header_count; i++) {
		if (strcmp(message->headers[i].name, name) == 0) {
			return message->headers[i].value;
		}
	}
	return SPAN_EMPTY;
}

void bus_message_destroy(struct bus_message *message)
{
	free(message);
}

/* auto.offset.reset=earliest, and offsets that are not there any more. */
static void settle_position(const struct bus_consumer *consumer, struct part *part)
{
	const struct partition *partition = part->partition;

	if (part->position < 0) {
		part->position =
			group_committed(consumer->group, partition->topic, partition->number);
	}
	if (part->position < partition->low || part->position > partition->high) {
		part->position = partition->low;
	}
	while (part->position < partition->high && partition->records[part->position]->gone) {
		part->position++;
	}
}

static struct bus_message *next_of(struct bus_consumer *consumer, struct part *part)
{
	const struct partition *partition = part->partition;

	if (part->paused) {
		return NULL;
	}
	settle_position(consumer, part);
	if (part->position >= partition->high) {
		part->at_end = true;
		return NULL;
	}
	if (partition->records[part->position]->visible_us > stage_now_us()) {
		return NULL;
	}
	return broker_message(partition, part->position++);
}

static struct bus_message *fetch(struct bus_consumer *consumer)
{
	size_t first = dice_roll(consumer->part_count);

	if (!broker_hears(consumer->process)) {
		(void)because(TEMPFAIL, &consumer->trouble, "kafka: all brokers are down");
		return NULL;
	}
	consumer->trouble.text[0] = '\0';
	if (consumer->slow_until_us > stage_now_us()) {
		return NULL;
	}
	if (dice_roll(50) == 0) { /* a fetch that takes its time */
		consumer->slow_until_us = stage_now_us() + dice_between(0, 1000) * MS;
	}
	for (size_t i = 0; i < consumer->part_count; i++) {
		struct bus_message *message =
			next_of(consumer, &consumer->parts[(first + i) % consumer->part_count]);

		if (message != NULL) {
			return message;
		}
	}
	return NULL;
}

/* A member that has not heard the coordinator for a session gives up by itself. */
static void miss_the_coordinator(struct bus_consumer *consumer)
{
	if (consumer->group != NULL && consumer->part_count > 0 && !consumer->must_revoke &&
	    !broker_hears(consumer->process) && stage_now_us() - consumer->heard_us > SESSION_US) {
		trace("no word from the coordinator");
		consumer->must_revoke = true;
		consumer->lost = true;
		consumer->heard_us = stage_now_us();
	}
}

struct bus_message *bus_poll(struct bus_consumer *consumer, int timeout_ms)
{
	int64_t until_us = stage_now_us() + timeout_ms * MS;
	struct bus_message *message;

	miss_the_coordinator(consumer);
	/* What was fetched before may be handed out first. */
	if (consumer->must_revoke && (consumer->part_count == 0 || dice_percent(70))) {
		revoke(consumer);
	} else if (consumer->must_assign && !consumer->must_revoke) {
		assign(consumer);
	}
	message = fetch(consumer);
	if (message == NULL) {
		consumer->poller = stage_thread();
		if (until_us > stage_now_us()) {
			stage_idle_ms((until_us - stage_now_us()) / MS);
		} else {
			stage_yield();
		}
		consumer->poller = NULL;
		message = consumer->must_revoke ? NULL : fetch(consumer);
	} else if (dice_percent(5)) {
		stage_yield();
	}
	return message;
}

bool bus_at_end(const struct bus_consumer *consumer, const char *topic, int32_t partition)
{
	const struct part *part = part_of(consumer, topic, partition);

	return part != NULL && part->at_end;
}

void bus_pause(struct bus_consumer *consumer, const char *topic, int32_t partition)
{
	struct part *part = part_of(consumer, topic, partition);

	if (part != NULL) {
		part->paused = true;
	}
}

void bus_resume(struct bus_consumer *consumer, const char *topic, int32_t partition)
{
	struct part *part = part_of(consumer, topic, partition);

	if (part != NULL) {
		part->paused = false;
	}
}

enum outcome bus_seek(struct bus_consumer *consumer, const char *topic, int32_t partition,
		      int64_t offset, struct reason *why)
{
	struct part *part = part_of(consumer, topic, partition);

	stage_yield();
	if (part == NULL) {
		return because(TEMPFAIL, why, "%s/%d: seek: not ours", topic, partition);
	}
	if (!broker_hears(consumer->process)) {
		return because(TEMPFAIL, why, "%s/%d: seek: timed out", topic, partition);
	}
	part->position = offset;
	return OK;
}

bool bus_consumer_fatal(struct bus_consumer *consumer, struct reason *why)
{
	(void)consumer;
	(void)why;
	return false;
}

const char *bus_consumer_trouble(const struct bus_consumer *consumer)
{
	return consumer->trouble.text;
}

void bus_consumer_close(struct bus_consumer *consumer)
{
	if (consumer == NULL) {
		return;
	}
	if (consumer->group != NULL && consumer->part_count > 0) {
		consumer->lost = consumer->lost || !consumer->member;
		for (size_t i = 0; i < consumer->part_count; i++) {
			consumer->listener.revoked(
				consumer->listener.context, consumer->parts[i].partition->topic,
				consumer->parts[i].partition->number, consumer->lost);
		}
		if (!consumer->lost && broker_hears(consumer->process)) {
			commit_stored(consumer);
		}
	}
	if (consumer->group != NULL) {
		group_leave(consumer);
	}
	consumer->closed = true;
}
