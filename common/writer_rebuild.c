/* SPDX-License-Identifier: Apache-2.0 */
/* I12: what Redis has lost is in the log: dadns.status has, per backend and zone, the last that was
 * said, and a status `retrying` or `dead` says where the refused record stands. */
#include "common/writer_retry_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

enum {
	SLICE_MS = 20,
	BUCKETS = 4096, /* a power of two */
};

struct found {
	STAILQ_ENTRY(found) link;
	struct retry_event entry; /* its texts lie in `status` */
	int64_t next_try_ms;      /* wall clock */
	struct status_event status;
};
STAILQ_HEAD(founds, found);

struct rebuild {
	struct writer *writer;
	struct bus_consumer *reader;
	int32_t partitions;
	bool *lost;
	char token[EVENT_ID_TEXT_SIZE];
	int64_t began_ms;
	int64_t records;
	bool complete;
	size_t bucket; /* of next_found */
	struct found *next;
	struct founds buckets[BUCKETS];
};

static void found_destroy(struct found *found)
{
	status_event_finish(&found->status);
	free(found);
}

static void destroy(struct rebuild *rebuild)
{
	if (rebuild == NULL) {
		return;
	}
	bus_consumer_close(rebuild->reader);
	for (size_t i = 0; i < BUCKETS; i++) {
		struct found *found;

		while ((found = STAILQ_FIRST(&rebuild->buckets[i])) != NULL) {
			STAILQ_REMOVE_HEAD(&rebuild->buckets[i], link);
			found_destroy(found);
		}
	}
	free(rebuild->lost);
	free(rebuild);
}

static struct rebuild *create(struct writer *writer, const bool *lost, size_t partitions)
{
	struct rebuild *rebuild = xcalloc(1, sizeof(*rebuild));
	struct event_id id = event_id_create();
	struct reason why;

	*rebuild = (struct rebuild){.writer = writer,
				    .partitions = (int32_t)partitions,
				    .lost = xcalloc(partitions, sizeof(*lost)),
				    .began_ms = clock_ms()};
	memcpy(rebuild->lost, lost, partitions * sizeof(*lost));
	event_id_text(&id, rebuild->token);
	for (size_t i = 0; i < BUCKETS; i++) {
		STAILQ_INIT(&rebuild->buckets[i]);
	}
	if (bus_consumer_create(&rebuild->reader, &writer->config->bus,
				&(struct bus_consumer_options){0}, NULL, &why) != OK ||
	    bus_assign_all(rebuild->reader, TOPIC_STATUS, rebuild->partitions, &why) != OK) {
		log_warn("the log of statuses cannot be read", F("why", why.text));
		destroy(rebuild);
		return NULL;
	}
	return rebuild;
}

static bool has_lost(const struct rebuild *rebuild, int32_t partition)
{
	return partition >= 0 && partition < rebuild->partitions && rebuild->lost[partition];
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Takes the texts of `status`. */
static struct found *found_of(struct status_event *status)
{
	struct found *found = xcalloc(1, sizeof(*found));

	found->status = *status;
	found->next_try_ms = status->next_try_ms;
	found->entry = (struct retry_event){.backend = status->backend,
					    .zone = status->zone,
					    .version = status->version,
					    .topic = status->record.topic,
					    .partition = status->record.partition,
					    .offset = status->record.offset,
					    .attempt = status->attempt,
					    .dead = status->state == STATUS_DEAD,
					    .first_failed_at_ms = status->at_ms,
					    .reason = status->reason};
	*status = (struct status_event){.has_id = false};
	return found;
}

/* The highest version counts, at equal version the later record. */
static void take_status(struct rebuild *rebuild, struct status_event *status)
{
	struct founds *bucket = &rebuild->buckets[name_hash(&status->zone) & (BUCKETS - 1)];
	struct found *before;
	struct found *found;

	STAILQ_FOREACH(before, bucket, link)
	{
		if (name_equal(&before->entry.zone, &status->zone)) {
			break;
		}
	}
	if (before != NULL) {
		if (version_compare(status->version, before->entry.version) < 0) {
			return;
		}
		STAILQ_REMOVE(bucket, before, found, link);
		found_destroy(before);
	}
	if ((status->state == STATUS_RETRYING || status->state == STATUS_DEAD) &&
	    status->record.topic != NULL && status->attempt > 0 &&
	    has_lost(rebuild, status->record.partition)) {
		found = found_of(status); /* the macro asks for it more than once */
		STAILQ_INSERT_TAIL(bucket, found, link);
	}
}

static void take_record(struct rebuild *rebuild, const struct bus_message *message)
{
	size_t len = strlen(rebuild->writer->name);
	struct status_event status;
	struct reason why;

	rebuild->records++;
	if (message->is_null || message->key.len <= len || message->key.data[len] != '/' ||
	    memcmp(message->key.data, rebuild->writer->name, len) != 0) {
		return; /* somebody else's */
	}
	if (status_event_decode(message->value, &status, &why) != OK) {
		log_debug("a status cannot be read", F("why", why.text));
		return; /* nothing that we can make a try of */
	}
	if (status.zone.len != 0) {
		take_status(rebuild, &status);
	}
	status_event_finish(&status);
}

static bool is_at_end(const struct rebuild *rebuild)
{
	for (int32_t i = 0; i < rebuild->partitions; i++) {
		if (!bus_at_end(rebuild->reader, TOPIC_STATUS, i)) {
			return false;
		}
	}
	return true;
}

static bool read_on(struct rebuild *rebuild)
{
	int64_t until_ms = clock_ms() + SLICE_MS;
	struct bus_message *message;

	while (!rebuild->complete && clock_ms() < until_ms) {
		message = bus_poll(rebuild->reader, 0);
		if (message == NULL) {
			break;
		}
		take_record(rebuild, message);
		bus_message_destroy(message);
	}
	if (!rebuild->complete && is_at_end(rebuild)) {
		rebuild->complete = true;
		bus_consumer_close(rebuild->reader);
		rebuild->reader = NULL;
		log_info("statuses read for the schedule of retries",
			 F("backend", rebuild->writer->name), F("records", rebuild->records),
			 F("ms", clock_ms() - rebuild->began_ms));
	}
	return rebuild->complete;
}

static bool next_found(struct rebuild *rebuild, const struct retry_event **entry, int64_t *delay_ms)
{
	int64_t longest_ms;

	while (rebuild->next == NULL && rebuild->bucket < BUCKETS) {
		rebuild->next = STAILQ_FIRST(&rebuild->buckets[rebuild->bucket++]);
	}
	if (rebuild->next == NULL) {
		return false;
	}
	*entry = &rebuild->next->entry;
	*delay_ms = rebuild->next->next_try_ms - clock_wall_ms();
	longest_ms = delays_after(&rebuild->writer->delays, (*entry)->attempt);
	if (*delay_ms > longest_ms) { /* somebody's clock has jumped */
		*delay_ms = longest_ms;
	}
	if (*delay_ms < 0) {
		*delay_ms = 0;
	}
	rebuild->next = STAILQ_NEXT(rebuild->next, link);
	return true;
}

/* --- after a loss of Redis -------------------------------------------------------------------- */

static void ask_all_lost(struct writer *writer, enum question_kind kind)
{
	struct retries *retries = writer->retries;

	for (size_t i = 0; i < retries->part_count; i++) {
		struct retry_command command;
		int32_t partition = (int32_t)i;

		if (!has_lost(retries->rebuild, partition)) {
			continue;
		}
		if (kind == BEGIN) {
			retry_begin(&command, writer->name, partition, retries->rebuild->token);
		} else {
			retry_complete(&command, writer->name, partition, retries->rebuild->token);
		}
		retries_ask(writer, &command,
			    &(struct question){.kind = kind, .partition = partition});
		retries->rebuilding++;
	}
}

static void begin(struct writer *writer)
{
	struct retries *retries = writer->retries;
	bool *lost = xcalloc(retries->part_count, sizeof(*lost));
	bool any = false;

	for (size_t i = 0; i < retries->part_count; i++) {
		lost[i] = retries->parts[i].lost && retries_have(writer, (int32_t)i);
		any = any || lost[i];
	}
	if (any) {
		retries->rebuild = create(writer, lost, retries->part_count);
	}
	if (retries->rebuild != NULL) {
		retries->rebuild_saved = retries->rebuild_failed = false;
		ask_all_lost(writer, BEGIN);
	}
	free(lost);
}

void rebuild_end(struct retries *retries)
{
	destroy(retries->rebuild);
	retries->rebuild = NULL;
}

/* Read, save, complete; after a failure all over again. */
static void go_on(struct writer *writer)
{
	struct retries *retries = writer->retries;
	const struct retry_event *entry;
	int64_t delay_ms;

	if (retries->rebuild_failed) {
		if (retries->rebuilding == 0) {
			rebuild_end(retries);
		}
		return;
	}
	if (!read_on(retries->rebuild)) {
		return;
	}
	while (!retries->rebuild_saved && retries->rebuilding < ASKED_MAX) {
		struct retry_command command;

		if (!next_found(retries->rebuild, &entry, &delay_ms)) {
			retries->rebuild_saved = true;
			ask_all_lost(writer, COMPLETE); /* behind all that was saved */
			break;
		}
		retry_save(&command, entry, delay_ms, false);
		retries_ask(writer, &command,
			    &(struct question){.kind = REBUILD, .partition = entry->partition});
		retries->rebuilding++;
	}
	if (retries->rebuild_saved && retries->rebuilding == 0) {
		metric_add(&writer_rows[REBUILT], 1);
		log_info("redis had no retries of these partitions, it has them again",
			 F("backend", writer->name));
		rebuild_end(retries);
	}
}

void rebuild_turn(struct writer *writer)
{
	if (writer->retries->rebuild != NULL) {
		go_on(writer);
	} else if (clock_ms() >= writer->retries->again_ms && redis_is_up(writer->retries->redis)) {
		begin(writer);
	}
}

void rebuild_answered(struct writer *writer, const struct question *question, enum outcome outcome,
		      const struct redis_value *value)
{
	struct retries *retries = writer->retries;

	retries->rebuilding--;
	retries->rebuild_failed = retries->rebuild_failed || outcome != OK;
	if (question->kind == COMPLETE && outcome == OK && value->number == 1) {
		retries->parts[question->partition].lost = false;
	} /* 0: wiped once more, the next look says so */
}
