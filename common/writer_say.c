/* SPDX-License-Identifier: Apache-2.0 */
#include "common/writer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mark.h"

enum { STATUS_TEXT_MAX = 64 * 1024 };

/* Sends until it is queued; the queue is bounded, so this may wait for reports. False: the process
 * is about to end. */
static bool send_record(struct writer *writer, const struct bus_record *record,
			bus_delivered delivered, void *context)
{
	struct reason why;
	enum outcome outcome;

	for (;;) {
		outcome = bus_send(writer->producer, record, delivered, context, &why);
		if (outcome == OK) {
			return true;
		}
		if (outcome == PERMFAIL) {
			service_stop(writer->service, &why);
			return false;
		}
		if (!service_running(writer->service)) {
			return false; /* what is not confirmed is not stored: it comes again */
		}
		service_alive(writer->service, "writer"); /* Kafka away is no reason to be killed */
		(void)bus_producer_poll(writer->producer, 10);
	}
}

struct confirmation {
	struct writer *writer;
	struct window_item *item; /* NULL: nobody waits for it */
};

/* I3: the status (or dead letter) is in the log, so the offset may move. */
static void confirmed(void *context, const struct bus_report *report)
{
	struct confirmation *confirmation = context;

	mark("writer.status_acked");
	if (report->outcome != OK) { /* never times out: only a dead producer comes here */
		service_stop(confirmation->writer->service, &report->why);
	} else if (confirmation->item != NULL) {
		window_finish(confirmation->writer->window, confirmation->item);
	}
	free(confirmation);
}

static void send_status(struct writer *writer, const struct status_event *status,
			struct span traceparent, struct window_item *item)
{
	struct buf key = BUF_INIT(512);
	struct buf value = BUF_INIT(STATUS_TEXT_MAX);
	struct event_headers headers;
	struct event_id id = event_id_create();
	struct confirmation *confirmation = xcalloc(1, sizeof(*confirmation));

	*confirmation = (struct confirmation){writer, item};
	status_event_key(status, &key);
	status_event_encode(status, &value);
	event_headers(&headers, "status", &id, writer->source, status->zone.text, status->at_ms,
		      traceparent);
	if (!send_record(writer,
			 &(struct bus_record){.topic = TOPIC_STATUS,
					      .partition = BUS_BY_KEY,
					      .key = buf_span(&key),
					      .value = buf_span(&value),
					      .headers = headers.items,
					      .header_count = headers.count},
			 confirmed, confirmation)) {
		free(confirmation);
	}
	mark("writer.status_sent");
	buf_finish(&key);
	buf_finish(&value);
}

void writer_say_zone(struct writer *writer, struct window_item *item, enum status_state state,
		     const struct change *change, struct window_item *waits)
{
	const struct zone_event *value = item_value(item);
	int64_t now_ms = clock_wall_ms();
	struct status_event status = {.backend = writer->name,
				      .zone = value->zone,
				      .state = state,
				      .version = value->version,
				      .has_id = !item->burial,
				      .id = value->id,
				      .deleted = value->deleted,
				      .serial = value->serial,
				      .digest = value->deleted ? NULL : value->digest,
				      .owner = value->owner,
				      .attempt = item->attempt,
				      .took_us = change->took_us,
				      .lag_us = -1,
				      .at_ms = now_ms,
				      .by = writer->by};

	if (state == STATUS_RETRYING) {
		status.reason = change->why.text;
		status.next_try_ms = now_ms + (item->due_ms - clock_ms());
	} else {
		status.lag_us = (now_ms - value->received_at_ms) * 1000;
	}
	send_status(writer, &status, span_of(item->traceparent), waits);
}

void writer_say_backend(struct writer *writer, enum status_state state, const char *reason)
{
	send_status(writer,
		    &(struct status_event){.backend = writer->name,
					   .state = state,
					   .reason = reason,
					   .took_us = -1,
					   .lag_us = -1,
					   .at_ms = clock_wall_ms(),
					   .by = writer->by},
		    SPAN_EMPTY, NULL);
}

void writer_bury(struct writer *writer, const struct bus_message *message, const struct reason *why)
{
	struct dead_letter_headers headers;
	struct confirmation *confirmation = xcalloc(1, sizeof(*confirmation));
	struct window_item *item = item_create();
	char group[96];

	item->topic = writer_topic(message->topic);
	item->partition = message->partition;
	item->offset = message->offset;
	*confirmation = (struct confirmation){writer, item};
	window_add_confirming(writer->window, item);
	(void)snprintf(group, sizeof(group), "dadns.writer.%s", writer->name);
	dead_letter_headers(&headers, &(struct dead_letter){.topic = message->topic,
							    .partition = message->partition,
							    .offset = message->offset,
							    .timestamp_ms = message->timestamp_ms,
							    .group = group,
							    .backend = writer->name,
							    .stage = "decode",
							    .code = "undecodable",
							    .message = why->text,
							    .attempts = 1,
							    .first_failed_at_ms = clock_wall_ms()});
	if (!send_record(writer,
			 &(struct bus_record){.topic = TOPIC_DEAD_LETTERS,
					      .partition = BUS_BY_KEY,
					      .key = message->key,
					      .value = message->value,
					      .headers = headers.items,
					      .header_count = headers.count},
			 confirmed, confirmation)) {
		free(confirmation);
	}
	metric_add(&writer_rows[UNDECODABLE], 1);
	log_error("undecodable record sent to the dead letters", F("topic", message->topic),
		  F("partition", message->partition), F("offset", message->offset),
		  F("why", why->text));
}

/* The registry of backends: joined by their writer. */
void writer_join_registry(struct writer *writer)
{
	struct buf key = BUF_INIT(512);
	struct buf value = BUF_INIT(STATUS_TEXT_MAX);
	struct event_headers headers;
	struct event_id id = event_id_create();
	struct confirmation *confirmation = xcalloc(1, sizeof(*confirmation));
	int64_t now_ms = clock_wall_ms();
	struct backend_event event = {
		.backend = writer->name, .type = writer->about.type, .joined_at_ms = now_ms};

	*confirmation = (struct confirmation){writer, NULL};
	backend_event_key(&event, &key);
	backend_event_encode(&event, &value);
	event_headers(&headers, "backend", &id, writer->source, writer->name, now_ms, SPAN_EMPTY);
	if (!send_record(writer,
			 &(struct bus_record){.topic = TOPIC_AUDITS,
					      .partition = BUS_BY_KEY,
					      .key = buf_span(&key),
					      .value = buf_span(&value),
					      .headers = headers.items,
					      .header_count = headers.count},
			 confirmed, confirmation)) {
		free(confirmation);
	}
	buf_finish(&key);
	buf_finish(&value);
}
