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
static bool queue_record(struct writer *writer, const struct bus_record *record,
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

/* Who waits for a record's report. */
struct confirmation {
	struct writer *writer;
	writer_then then; /* NULL: nobody */
	void *context;
};

static void settle_confirmation(struct confirmation *confirmation, bool in_log)
{
	if (confirmation->then != NULL) {
		confirmation->then(confirmation->writer, confirmation->context, in_log);
	}
	free(confirmation);
}

static void confirmed(void *context, const struct bus_report *report)
{
	struct confirmation *confirmation = context;

	mark("writer.status_acked");
	if (report->outcome != OK) { /* never times out: only a dead producer comes here */
		service_stop(confirmation->writer->service, &report->why);
	}
	settle_confirmation(confirmation, report->outcome == OK);
}

/* `then` is called in any case. */
static void send_record(struct writer *writer, const struct bus_record *record, writer_then then,
			void *context)
{
	struct confirmation *confirmation = xcalloc(1, sizeof(*confirmation));

	*confirmation = (struct confirmation){writer, then, context};
	if (!queue_record(writer, record, confirmed, confirmation)) {
		settle_confirmation(confirmation, false);
	}
}

/* I3: the status (or dead letter) is in the log, so the offset may move. */
static void finish_item(struct writer *writer, void *context, bool in_log)
{
	if (in_log) {
		window_finish(writer->window, context);
	}
}

static void send_status(struct writer *writer, const struct status_event *status,
			struct span traceparent, writer_then then, void *context)
{
	struct buf key = BUF_INIT(512);
	struct buf value = BUF_INIT(STATUS_TEXT_MAX);
	struct event_headers headers;
	struct event_id id = event_id_create();

	status_event_key(status, &key);
	status_event_encode(status, &value);
	event_headers(&headers, "status", &id, writer->source, status->zone.text, status->at_ms,
		      traceparent);
	send_record(writer,
		    &(struct bus_record){.topic = TOPIC_STATUS,
					 .partition = BUS_BY_KEY,
					 .key = buf_span(&key),
					 .value = buf_span(&value),
					 .headers = headers.items,
					 .header_count = headers.count},
		    then, context);
	mark("writer.status_sent");
	buf_finish(&key);
	buf_finish(&value);
}

static void say_zone(struct writer *writer, const struct window_item *item, enum status_state state,
		     const char *reason, int64_t took_us, writer_then then, void *context)
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
				      .reason = reason,
				      .attempt = item->attempt,
				      .took_us = took_us,
				      .lag_us = -1,
				      .at_ms = now_ms,
				      .by = writer->by};

	if (state == STATUS_RETRYING || state == STATUS_DEAD) {
		status.record = (struct log_place){writer_topics[item->topic], item->partition,
						   item->offset};
	} else {
		status.lag_us = (now_ms - value->received_at_ms) * 1000;
	}
	if (state == STATUS_RETRYING) {
		status.next_try_ms = now_ms + (item->due_ms - clock_ms());
	}
	send_status(writer, &status, span_of(item->traceparent), then, context);
}

void writer_say_served(struct writer *writer, struct window_item *item, const struct change *change)
{
	say_zone(writer, item, change->result == CHANGE_APPLIED ? STATUS_APPLIED : STATUS_VERIFIED,
		 NULL, change->took_us, finish_item, item);
}

void writer_say_refused(struct writer *writer, const struct window_item *item,
			enum status_state state, int64_t took_us, writer_then then, void *context)
{
	say_zone(writer, item, state, item->reason, took_us, then, context);
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
		    SPAN_EMPTY, NULL, NULL);
}

/* Of an earlier stay there. */
static bool is_ours(const struct header *header)
{
	return strncmp(header->name, "dlq.", 4) == 0 ||
	       strncmp(header->name, "__connect.errors.", 17) == 0;
}

void writer_send_letter(struct writer *writer, const struct bus_message *message,
			struct dead_letter *letter, writer_then then, void *context)
{
	struct header *headers;
	struct dead_letter_headers why;
	char group[96];
	size_t count = 0;

	(void)snprintf(group, sizeof(group), "dadns.writer.%s", writer->name);
	letter->topic = message->topic;
	letter->partition = message->partition;
	letter->offset = message->offset;
	letter->timestamp_ms = message->timestamp_ms;
	letter->group = group;
	letter->backend = writer->name;
	dead_letter_headers(&why, letter);
	headers = xcalloc(message->header_count + why.count, sizeof(*headers));
	for (size_t i = 0; i < message->header_count; i++) {
		if (!is_ours(&message->headers[i])) {
			headers[count++] = message->headers[i];
		}
	}
	memcpy(headers + count, why.items, why.count * sizeof(*headers));
	send_record(writer,
		    &(struct bus_record){.topic = TOPIC_DEAD_LETTERS,
					 .partition = BUS_BY_KEY,
					 .key = message->key,
					 .value = message->value,
					 .headers = headers,
					 .header_count = count + why.count},
		    then, context);
	free(headers);
}

void writer_bury(struct writer *writer, const struct bus_message *message, const struct reason *why)
{
	struct window_item *item = item_create();

	item->topic = writer_topic(message->topic);
	item->partition = message->partition;
	item->offset = message->offset;
	window_add_confirming(writer->window, item);
	writer_send_letter(writer, message,
			   &(struct dead_letter){.stage = "decode",
						 .code = "undecodable",
						 .message = why->text,
						 .attempts = 1,
						 .first_failed_at_ms = clock_wall_ms()},
			   finish_item, item);
	metric_add(&writer_rows[UNDECODABLE], 1);
	log_error("undecodable record sent to the dead letters", F("topic", message->topic),
		  F("partition", message->partition), F("offset", message->offset),
		  F("why", why->text));
}

void writer_join_registry(struct writer *writer)
{
	struct buf key = BUF_INIT(512);
	struct buf value = BUF_INIT(STATUS_TEXT_MAX);
	struct event_headers headers;
	struct event_id id = event_id_create();
	int64_t now_ms = clock_wall_ms();
	struct backend_event event = {
		.backend = writer->name, .type = writer->about.type, .joined_at_ms = now_ms};

	backend_event_key(&event, &key);
	backend_event_encode(&event, &value);
	event_headers(&headers, "backend", &id, writer->source, writer->name, now_ms, SPAN_EMPTY);
	send_record(writer,
		    &(struct bus_record){.topic = TOPIC_AUDITS,
					 .partition = BUS_BY_KEY,
					 .key = buf_span(&key),
					 .value = buf_span(&value),
					 .headers = headers.items,
					 .header_count = headers.count},
		    NULL, NULL);
	buf_finish(&key);
	buf_finish(&value);
}
