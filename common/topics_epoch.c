/* SPDX-License-Identifier: Apache-2.0 */
#include "common/topics_epoch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/event.h"

#define POLL_MS 100
#define EPOCH_VALUE_MAX 4096

/* --- reading a topic to its end --------------------------------------------------------------- */

typedef enum outcome (*take_message)(void *context, const struct bus_message *message,
				     struct reason *why);

static bool all_at_end(const struct bus_consumer *consumer, const char *topic, int32_t partitions)
{
	int32_t i;

	for (i = 0; i < partitions; i++) {
		if (!bus_at_end(consumer, topic, i)) {
			return false;
		}
	}
	return true;
}

static enum outcome read_on(struct bus_consumer *consumer, const char *topic, int32_t partitions,
			    int timeout_ms, take_message take, void *context, struct reason *why)
{
	int64_t last_ms = clock_ms();

	while (!all_at_end(consumer, topic, partitions)) {
		struct bus_message *message = bus_poll(consumer, POLL_MS);
		enum outcome outcome;

		if (message != NULL) {
			outcome = take(context, message, why);
			bus_message_destroy(message);
			if (outcome != OK) {
				return outcome;
			}
			last_ms = clock_ms();
		} else if (clock_ms() - last_ms > timeout_ms) {
			return because(TEMPFAIL, why, "%s could not be read to its end: %s", topic,
				       bus_consumer_trouble(consumer)[0] != '\0'
					       ? bus_consumer_trouble(consumer)
					       : "nothing came");
		}
	}
	return OK;
}

static enum outcome read_all(const struct bus_config *bus, const char *topic, int32_t partitions,
			     int timeout_ms, take_message take, void *context, struct reason *why)
{
	const struct bus_consumer_options options = {.group = NULL};
	struct bus_consumer *consumer = NULL;
	enum outcome outcome;

	outcome = bus_consumer_create(&consumer, bus, &options, NULL, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = bus_assign_all(consumer, topic, partitions, why);
	if (outcome == OK) {
		outcome = read_on(consumer, topic, partitions, timeout_ms, take, context, why);
	}
	bus_consumer_close(consumer);
	return outcome;
}

/* A record of a newer major version may hold what we cannot see. */
static enum outcome unreadable(enum outcome decoded, const struct bus_message *message,
			       struct reason *why)
{
	struct reason said = *why;

	if (decoded == PERMFAIL) {
		return OK; /* no event at all: a reader of the topic brings it to the dead letters
			    */
	}
	return because(PERMFAIL, why,
		       "%s/%d at offset %" PRId64
		       " is of a newer version; upgrade this program: %s",
		       message->topic, message->partition, message->offset, said.text);
}

/* --- the records ------------------------------------------------------------------------------ */

static enum outcome take_epoch(void *context, const struct bus_message *message, struct reason *why)
{
	struct epochs *epochs = context;
	struct epoch_event event;
	enum outcome outcome;

	if (message->is_null || !span_is(message->key, KEY_EPOCH)) {
		return OK;
	}
	outcome = epoch_event_decode(message->value, &event, why);
	if (outcome != OK) {
		return unreadable(outcome, message, why);
	}
	if (event.epoch >= epochs->of[message->partition]) {
		epochs->of[message->partition] = event.epoch;
		epochs->made_for[message->partition] = event.partitions;
	}
	if (event.epoch > epochs->highest) {
		epochs->highest = event.epoch;
	}
	return OK;
}

enum outcome epochs_read(const struct bus_config *bus, int32_t partitions, int timeout_ms,
			 struct epochs *out, struct reason *why)
{
	struct epochs *epochs;
	enum outcome outcome;

	if (partitions < 1 || partitions > EPOCH_PARTITIONS_MAX) {
		return because(PERMFAIL, why, "%s has %d partitions; 1 to %d can be used",
			       TOPIC_ZONES, partitions, EPOCH_PARTITIONS_MAX);
	}
	epochs = xcalloc(1, sizeof(*epochs));
	epochs->partitions = partitions;
	outcome = read_all(bus, TOPIC_ZONES, partitions, timeout_ms, take_epoch, epochs, why);
	if (outcome == OK) {
		*out = *epochs;
	}
	free(epochs);
	return outcome;
}

bool epochs_right(const struct epochs *epochs)
{
	int32_t i;

	for (i = 0; i < epochs->partitions; i++) {
		if (epochs->of[i] == 0 || epochs->of[i] != epochs->highest ||
		    epochs->made_for[i] != epochs->partitions) {
			return false;
		}
	}
	return true;
}

/* --- the highest ------------------------------------------------------------------------------ */

static void raise_to(int64_t *highest, int64_t epoch)
{
	if (epoch > *highest) {
		*highest = epoch;
	}
}

static enum outcome take_zone(void *context, const struct bus_message *message, struct reason *why)
{
	struct zone_event event;
	struct epoch_event epoch;
	struct version buries;
	enum outcome outcome;

	if (message->is_null) {
		if (version_parse(bus_message_header(message, HEADER_BURIES), &buries)) {
			raise_to(context, buries.epoch);
		}
		return OK;
	}
	if (span_is(message->key, KEY_EPOCH)) {
		outcome = epoch_event_decode(message->value, &epoch, why);
		if (outcome != OK) {
			return unreadable(outcome, message, why);
		}
		raise_to(context, epoch.epoch);
		return OK;
	}
	if (message->key.len != 0 && message->key.data[0] == '@') { /* no value of a zone */
		return OK;
	}
	outcome = zone_event_decode_summary(message->value, &event, why);
	if (outcome != OK) {
		return unreadable(outcome, message, why);
	}
	raise_to(context, event.version.epoch);
	zone_event_finish(&event);
	return OK;
}

static enum outcome take_status(void *context, const struct bus_message *message,
				struct reason *why)
{
	struct status_event event;
	enum outcome outcome;

	if (message->is_null) {
		return OK;
	}
	outcome = status_event_decode(message->value, &event, why);
	if (outcome != OK) {
		return unreadable(outcome, message, why);
	}
	raise_to(context, event.version.epoch);
	status_event_finish(&event);
	return OK;
}

enum outcome epochs_highest(const struct bus_config *bus, int32_t partitions, int timeout_ms,
			    int64_t *highest, struct reason *why)
{
	int64_t found = 0;
	enum outcome outcome;

	outcome = read_all(bus, TOPIC_ZONES, partitions, timeout_ms, take_zone, &found, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = read_all(bus, TOPIC_STATUS, partitions, timeout_ms, take_status, &found, why);
	if (outcome == OK) {
		*highest = found;
	}
	return outcome;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void note_failure(void *context, const struct bus_report *report)
{
	struct reason *failed = context;

	if (report->outcome != OK) {
		*failed = report->why;
	}
}

static enum outcome send_one(struct bus_producer *producer, const struct epochs *epochs,
			     int32_t partition, int64_t epoch, struct reason *failed,
			     struct reason *why)
{
	struct epoch_event event = {
		.epoch = epoch,
		.made_at_ms = clock_wall_ms(),
		.partition = partition,
		.partitions = epochs->partitions,
	};
	struct event_id id = event_id_create();
	struct bus_record record = {
		.topic = TOPIC_ZONES,
		.partition = partition,
		.key = span_of(KEY_EPOCH),
	};
	struct buf value = BUF_INIT(EPOCH_VALUE_MAX);
	char traceparent[TRACEPARENT_SIZE];
	struct event_headers headers;
	enum outcome outcome;

	epoch_event_encode(&event, &value);
	traceparent_make(SPAN_EMPTY, traceparent);
	event_headers(&headers, "epoch", &id, "/dadns/topics", KEY_EPOCH, event.made_at_ms,
		      span_of(traceparent));
	record.value = buf_span(&value);
	record.headers = headers.items;
	record.header_count = headers.count;
	outcome = bus_send(producer, &record, note_failure, failed, why);
	buf_finish(&value);
	return outcome;
}

enum outcome epochs_write(const struct bus_config *bus, const struct epochs *epochs, int64_t epoch,
			  int timeout_ms, struct reason *why)
{
	const struct bus_producer_options options = {.timeout_ms = timeout_ms};
	struct bus_producer *producer = NULL;
	struct reason failed = {0};
	enum outcome outcome;
	int32_t i;

	outcome = bus_producer_create(&producer, bus, &options, why);
	if (outcome != OK) {
		return outcome;
	}
	for (i = 0; i < epochs->partitions && outcome == OK; i++) {
		if (epochs->of[i] != epoch || epochs->made_for[i] != epochs->partitions) {
			outcome = send_one(producer, epochs, i, epoch, &failed, why);
		}
	}
	if (outcome == OK) {
		/* The library sweeps time-outs about once a second. */
		outcome = bus_flush(producer, timeout_ms + 2000, why);
	}
	bus_producer_destroy(producer); /* before `failed` is read or goes */
	if (outcome == OK && failed.text[0] != '\0') {
		outcome = because(TEMPFAIL, why, "epoch not written: %s", failed.text);
	}
	return outcome;
}
