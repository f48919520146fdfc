/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/bench.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mark.h"

/* --- items ----------------------------------------------------------------------------------- */

static void release(struct tracker_item *item)
{
	struct bench_work *work = (struct bench_work *)item;

	free(work);
}

struct bench_work *bench_begin(struct bench *bench, const struct bus_message *message)
{
	struct bench_work *work = xcalloc(1, sizeof(*work));

	work->bench = bench;
	work->partition = message->partition;
	work->item.offset = message->offset;
	work->item.left = 1; /* bench_end's */
	tracker_add(&bench->partitions[message->partition].tracker, &work->item);
	bench->in_flight++;
	return work;
}

static void part_done(struct bench_work *work)
{
	struct bench *bench = work->bench;
	struct bench_partition *partition = &bench->partitions[work->partition];
	struct tracker_item *item;
	int64_t next = -1;
	int32_t number = work->partition;

	work->item.left--;
	if (work->item.dropped) {
		if (work->item.left == 0) {
			release(&work->item);
		}
		return;
	}
	while (!bench->failed && (item = tracker_take_done(&partition->tracker)) != NULL) {
		next = item->offset + 1;
		bench->in_flight--;
		release(item);
	}
	/* I3: all below is in zones and status. */
	if (next >= 0 && bus_store(bench->consumer, TOPIC_PUSHES, number, next)) {
		mark("judge.stored");
	}
}

void bench_end(struct bench_work *work)
{
	part_done(work);
}

void bench_drop(struct bench *bench, int32_t partition)
{
	struct tracker *tracker = &bench->partitions[partition].tracker;

	bench->in_flight -= (int64_t)tracker->count;
	tracker_drop(tracker, release);
}

/* --- reports --------------------------------------------------------------------------------- */

/* The producers have no time limit: a failure is one that no waiting heals, or our own end. */
static void give_up(struct bench *bench, const struct bus_report *report)
{
	struct reason why;

	if (!bench->failed && service_running(bench->service)) {
		(void)because(PERMFAIL, &why, "judge: a record was not delivered: %.180s",
			      report->why.text);
		service_stop(bench->service, &why);
	}
	bench->failed = true;
}

static void value_delivered(void *context, const struct bus_report *report)
{
	struct bench_work *work = context;

	if (report->outcome != OK) {
		give_up(work->bench, report);
	} else {
		mark("judge.value_acked");
		if (report->partition != work->partition) { /* I2 */
			log_error("push lies in another partition than its zone",
				  F("partition", work->partition),
				  F("zone_partition", report->partition),
				  F("offset", work->item.offset));
		}
	}
	part_done(work);
}

static void status_delivered(void *context, const struct bus_report *report)
{
	struct bench_work *work = context;

	if (report->outcome != OK) {
		give_up(work->bench, report);
	} else {
		mark("judge.status_acked");
	}
	part_done(work);
}

static void other_delivered(void *context, const struct bus_report *report)
{
	struct bench *bench = context;

	if (report->outcome != OK) {
		give_up(bench, report);
	}
}

void bench_poll(struct bench *bench, int timeout_ms)
{
	(void)bus_producer_poll(bench->values, timeout_ms);
	(void)bus_producer_poll(bench->statuses, 0);
}

/* --- sending --------------------------------------------------------------------------------- */

static enum outcome send_patiently(struct bench *bench, struct bus_producer *producer,
				   const struct bus_record *record, bus_delivered delivered,
				   void *context, struct reason *why)
{
	enum outcome outcome = bus_send(producer, record, delivered, context, why);

	while (outcome == TEMPFAIL && service_running(bench->service)) {
		(void)bus_producer_poll(producer, 20);
		outcome = bus_send(producer, record, delivered, context, why);
	}
	return outcome;
}

enum outcome bench_send_value(struct bench_work *work, const struct zone_event *value,
			      struct span traceparent, struct reason *why)
{
	struct bench *bench = work->bench;
	struct event_headers headers;
	struct bus_record record = {
		.topic = TOPIC_ZONES,
		.partition = BUS_BY_KEY,
		.key = name_span(&value->zone),
	};
	enum outcome outcome;

	buf_clear(&bench->value);
	zone_event_encode(value, &bench->value);
	if (bench->value.overflow) {
		return because(PERMFAIL, why, "the value is over %lld bytes",
			       (long long)bench->value_bytes);
	}
	event_headers(&headers, "zone", &value->id, bench->source, value->zone.text,
		      value->received_at_ms, traceparent);
	record.value = buf_span(&bench->value);
	record.headers = headers.items;
	record.header_count = headers.count;
	outcome = send_patiently(bench, bench->values, &record, value_delivered, work, why);
	if (outcome == OK) {
		work->item.left++;
		mark("judge.value_sent");
	}
	return outcome;
}

/* `record` knows where it goes; its key stands in bench->key. */
static enum outcome send_status(struct bench_work *work, const struct status_event *status,
				struct span traceparent, struct bus_producer *producer,
				struct bus_record *record, bus_delivered delivered,
				struct reason *why)
{
	struct bench *bench = work->bench;
	struct event_headers headers;
	enum outcome outcome;

	buf_clear(&bench->status);
	status_event_encode(status, &bench->status);
	event_headers(&headers, "status", &status->id, bench->source, status->zone.text,
		      status->at_ms, traceparent);
	record->key = buf_span(&bench->key);
	record->value = buf_span(&bench->status);
	record->headers = headers.items;
	record->header_count = headers.count;
	outcome = send_patiently(bench, producer, record, delivered, work, why);
	if (outcome == OK) {
		work->item.left++;
	}
	return outcome;
}

enum outcome bench_send_status(struct bench_work *work, const struct status_event *status,
			       struct span traceparent, struct reason *why)
{
	struct bench *bench = work->bench;
	struct bus_record record = {.topic = TOPIC_STATUS, .partition = BUS_BY_KEY};

	buf_clear(&bench->key);
	status_event_key(status, &bench->key);
	return send_status(work, status, traceparent, bench->statuses, &record, status_delivered,
			   why);
}

enum outcome bench_send_refusal(struct bench_work *work, const struct status_event *status,
				struct span traceparent, struct reason *why)
{
	struct bench *bench = work->bench;
	char id[EVENT_ID_TEXT_SIZE];
	struct bus_record record = {.topic = TOPIC_ZONES, .partition = work->partition};

	event_id_text(&status->id, id);
	buf_clear(&bench->key);
	buf_addf(&bench->key, KEY_REFUSED "%s", id);
	return send_status(work, status, traceparent, bench->values, &record, value_delivered, why);
}

enum outcome bench_send_dead_letter(struct bench_work *work, const struct bus_message *message,
				    const struct dead_letter *letter, struct reason *why)
{
	struct dead_letter_headers headers;
	struct bus_record record = {
		.topic = TOPIC_DEAD_LETTERS,
		.partition = BUS_BY_KEY,
		.key = message->key,
		.value = message->value,
	};
	enum outcome outcome;

	dead_letter_headers(&headers, letter);
	record.headers = headers.items;
	record.header_count = headers.count;
	outcome = send_patiently(work->bench, work->bench->statuses, &record, status_delivered,
				 work, why);
	if (outcome == OK) {
		work->item.left++;
	}
	return outcome;
}

enum outcome bench_send_barrier(struct bench *bench, int32_t partition, struct reason *why)
{
	struct barrier_event barrier = {
		.judge = event_id_create(),
		.made_at_ms = clock_wall_ms(),
		.partition = partition,
	};
	struct bus_record record = {
		.topic = TOPIC_ZONES,
		.partition = partition,
		.key = span_of(KEY_BARRIER),
	};
	enum outcome outcome;

	buf_clear(&bench->value);
	barrier_event_encode(&barrier, &bench->value);
	record.value = buf_span(&bench->value);
	zindex_await_barrier(bench->index, partition, &barrier.judge); /* before it can be read */
	outcome = bus_send(bench->values, &record, other_delivered, bench, why);
	if (outcome == OK) {
		mark("judge.barrier");
	}
	return outcome;
}

enum outcome bench_send_tombstone(struct bench *bench, int32_t partition, const struct name *zone,
				  struct version version, struct reason *why)
{
	char text[VERSION_TEXT_SIZE];
	struct header header = {HEADER_BURIES, SPAN_EMPTY};
	struct bus_record record = {
		.topic = TOPIC_ZONES,
		.partition = partition,
		.key = name_span(zone),
		.headers = &header,
		.header_count = 1,
	};

	version_text(version, text);
	header.value = span_of(text);
	return bus_send(bench->values, &record, other_delivered, bench, why);
}

enum outcome bench_send_copy(struct bench *bench, const struct bus_message *message,
			     struct reason *why)
{
	static const char *const names[] = {
		"ce_specversion", "ce_id",         "ce_source",    "ce_type",     "ce_subject",
		"ce_time",        "ce_dataschema", "content-type", "traceparent",
	};
	struct header headers[sizeof(names) / sizeof(names[0])];
	struct bus_record record = {
		.topic = TOPIC_ZONES,
		.partition = message->partition,
		.key = message->key,
		.value = message->value,
		.headers = headers,
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct span value = bus_message_header(message, names[i]);

		if (value.data != NULL) {
			headers[record.header_count++] = (struct header){names[i], value};
		}
	}
	return bus_send(bench->values, &record, other_delivered, bench, why);
}
