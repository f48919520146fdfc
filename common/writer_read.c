/* SPDX-License-Identifier: Apache-2.0 */
#include "common/writer_parts.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"

/* No batch waits longer than this for reading. Long enough to see what a backlog hides: a `now`
 * push can only overtake when it was read. */
enum {
	READ_SLICE_MS = 100,
	FRESH_MS = 50, /* one rebalance gives us many partitions */
};

const char *const writer_topics[WINDOW_TOPICS] = {TOPIC_ZONES, TOPIC_HEALS};

enum window_topic writer_topic(const char *name)
{
	return strcmp(name, TOPIC_HEALS) == 0 ? WINDOW_HEALS : WINDOW_ZONES;
}

int64_t writer_assigned(void *context, const char *topic, int32_t partition, int64_t committed)
{
	struct writer *writer = context;
	int64_t start = committed < 0 ? 0 : committed;

	/* I4: a wiped or restored backend says so by its position and is refilled unasked, from the
	 * beginning, as window_rewind says. */
	if (writer_topic(topic) == WINDOW_ZONES) {
		int64_t position;

		/* Another member may have brought it further than we know. */
		(void)writer_look(writer, FRESH_MS);
		position = writer->ops->position(writer->backend, partition);

		if (position < start) {
			log_info("backend is behind the group, reading again",
				 F("partition", partition), F("position", position),
				 F("committed", committed));
			start = 0;
		}
	}
	window_open(writer->window, writer_topic(topic), partition, start);
	if (writer_topic(topic) == WINDOW_ZONES) {
		writer_retries_of(writer, partition);
	}
	service_ready(writer->service, "partitions", true, NULL);
	writer->reading_paused = false; /* this one is not: a full window pauses all again */
	log_debug("partition assigned", F("topic", topic), F("partition", partition),
		  F("offset", start));
	return start;
}

void writer_revoked(void *context, const char *topic, int32_t partition, bool lost)
{
	struct writer *writer = context;

	window_drop(writer->window, writer_topic(topic), partition);
	log_debug("partition revoked", F("topic", topic), F("partition", partition),
		  F("lost", lost));
}

/* The delete that a tombstone buries. One without a version buries nothing. */
static enum outcome decode_tombstone(const struct bus_message *message, struct window_item *item,
				     bool *ours, struct reason *why)
{
	struct zone_event *value = &item->value;

	*ours = item->topic == WINDOW_ZONES &&
		version_parse(bus_message_header(message, HEADER_BURIES), &value->version);
	if (!*ours) {
		return OK;
	}
	item->burial = true;
	value->deleted = true;
	value->owner = "";
	value->received_at_ms = message->timestamp_ms;
	return name_parse(message->key, &value->zone, why);
}

static enum outcome decode(struct writer *writer, const struct bus_message *message,
			   struct window_item *item, bool *ours, struct reason *why)
{
	enum outcome outcome;

	*ours = true;
	if (message->is_null) {
		return decode_tombstone(message, item, ours, why);
	}
	if (item->topic == WINDOW_HEALS) {
		outcome = heal_event_decode(message->value, &item->heal, why);
		*ours = outcome == OK && strcmp(item->heal.backend, writer->name) == 0;
		return outcome;
	}
	outcome = zone_event_decode(message->value, &item->value, why);
	if (outcome == OK && !span_equal(message->key, name_span(&item->value.zone))) {
		return because(PERMFAIL, why, "the key is not the zone '%s' of the value",
			       item->value.zone.text);
	}
	return outcome;
}

enum outcome writer_item_of(struct writer *writer, const struct bus_message *message,
			    struct window_item **out, struct reason *why)
{
	struct span traceparent = bus_message_header(message, "traceparent");
	struct window_item *item;
	enum outcome outcome;
	bool ours;

	*out = NULL;
	if (message->key.len != 0 && message->key.data[0] == '@') { /* the judge's */
		return OK;
	}
	item = item_create();
	item->topic = writer_topic(message->topic);
	item->partition = message->partition;
	item->offset = message->offset;
	item->timestamp_ms = message->timestamp_ms;
	item->bytes = message->value.len * 3; /* decoded: about three times the text */
	if (traceparent.len == TRACEPARENT_SIZE - 1) {
		memcpy(item->traceparent, traceparent.data, traceparent.len);
	}
	outcome = decode(writer, message, item, &ours, why);
	if (outcome == OK && ours) {
		*out = item;
	} else {
		item_destroy(item);
	}
	return outcome;
}

static void take_in(struct writer *writer, struct bus_message *message)
{
	struct window_item *item;
	struct reason why;

	switch (writer_item_of(writer, message, &item, &why)) {
	case OK:
		if (item != NULL) {
			window_add(writer->window, item);
		} else {
			window_skip(writer->window, writer_topic(message->topic),
				    message->partition, message->offset);
		}
		break;
	case TEMPFAIL: /* a newer major version: stop, do not skip (I8) */
		service_stop(writer->service, &why);
		break;
	case PERMFAIL:
		writer_bury(writer, message, &why);
		break;
	}
}

/* While the window is full nothing more is read, but the group still sees us poll. */
static void pause_reading(struct writer *writer, bool pause)
{
	enum window_topic topic;
	int32_t partition;
	int64_t next;
	bool changed;

	if (pause == writer->reading_paused) {
		return;
	}
	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		if (pause) {
			bus_pause(writer->consumer, writer_topics[topic], partition);
		} else {
			bus_resume(writer->consumer, writer_topics[topic], partition);
		}
	}
	writer->reading_paused = pause;
}

static int poll_timeout(const struct writer *writer)
{
	int64_t now_ms = clock_ms();
	int64_t timeout = IDLE_POLL_MS;

	if (writer->probe_pause_ms == 0 && window_waiting(writer->window) != 0) {
		return 0;
	}
	if (writer->probe_pause_ms != 0 && writer->probe_at_ms - now_ms < timeout) {
		timeout = writer->probe_at_ms - now_ms;
	}
	if (writer->next_due_ms >= 0 && writer->next_due_ms - now_ms < timeout) {
		timeout = writer->next_due_ms - now_ms;
	}
	if ((bus_in_flight(writer->producer) != 0 || window_settling_count(writer->window) != 0 ||
	     writer_retries_wait(writer)) &&
	    timeout > 2) {
		timeout = 2; /* a confirmation is on its way */
	}
	return timeout < 0 ? 0 : (int)timeout;
}

void writer_read(struct writer *writer)
{
	int timeout = poll_timeout(writer);
	int64_t began_ms = clock_ms();

	if (window_full(writer->window)) {
		pause_reading(writer, true);
	} else if (window_has_room(writer->window)) {
		pause_reading(writer, false);
	}
	for (;;) {
		struct bus_message *message = bus_poll(writer->consumer, timeout);

		if (message == NULL) {
			break;
		}
		take_in(writer, message);
		bus_message_destroy(message);
		timeout = 0;
		if (window_full(writer->window) || clock_ms() - began_ms >= READ_SLICE_MS) {
			break;
		}
	}
}
