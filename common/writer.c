/* SPDX-License-Identifier: Apache-2.0 */
#include "common/writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/delays.h"
#include "common/log.h"
#include "common/mark.h"
#include "common/window.h"

enum {
	READ_SLICE_RECORDS = 512, /* read at most this many, or ... */
	READ_SLICE_MS = 20,       /* ... this long, before a batch is applied */
	IDLE_POLL_MS = 100,
	PROBE_FIRST_MS = 500, /* DESIGN.md section 5: a backend that is away */
	PROBE_LAST_MS = 3000,
	STORE_EVERY_MS = 200,
	STATUS_TEXT_MAX = 64 * 1024,
	FLUSH_MS = 10000,
};

enum {
	APPLIED,
	VERIFIED,
	OLDER,
	REFUSED,
	UNDECODABLE,
	AWAY,
	WAITING,
	ASIDE,
	APPLY_SECONDS,
	SERVED_SECONDS,
};
static struct metric metrics[] = {
	[APPLIED] = COUNTER("dadns_writer_zones_total", "result=\"applied\"",
			    "zones by what became of them"),
	[VERIFIED] = COUNTER("dadns_writer_zones_total", "result=\"verified\"",
			     "zones by what became of them"),
	[OLDER] = COUNTER("dadns_writer_zones_total", "result=\"older\"",
			  "zones by what became of them"),
	[REFUSED] = COUNTER("dadns_writer_zones_total", "result=\"refused\"",
			    "zones by what became of them"),
	[UNDECODABLE] = COUNTER("dadns_writer_zones_total", "result=\"undecodable\"",
				"zones by what became of them"),
	[AWAY] = COUNTER("dadns_writer_backend_away_total", "",
			 "times that the whole backend failed"),
	[WAITING] = GAUGE("dadns_writer_waiting_zones", "", "zones read and not yet applied"),
	[ASIDE] = GAUGE("dadns_writer_aside_zones", "",
			"zones that the backend refused, waiting for their next try"),
	[APPLY_SECONDS] = HISTOGRAM("dadns_writer_batch_seconds", "",
				    "time that the backend took for one batch"),
	[SERVED_SECONDS] = HISTOGRAM("dadns_writer_propagation_seconds", "",
				     "from the door's receipt of a push until it is served"),
};
const struct metric_table writer_metrics = METRIC_TABLE(metrics);

/* One stretch of work from an empty window to the next, for the telemetry line. */
struct burst {
	int64_t began_ms; /* 0: none under way */
	int64_t ended_ms; /* of its last batch so far */
	int64_t zones;
	int64_t failures;
};

struct writer {
	const struct writer_config *config;
	struct service *service;
	const struct backend_ops *ops;
	void *backend;
	const char *name; /* of the stanza: the backend's name everywhere */
	char by[96];      /* host:pid */
	char source[160]; /* of events */
	struct delays delays;
	struct bus_consumer *consumer;
	struct bus_producer *producer;
	struct window *window;
	struct window_item **batch;
	struct change *changes;
	struct backend_view *views;
	struct burst burst;
	int64_t probe_pause_ms; /* 0: the backend is there */
	int64_t probe_at_ms;
	int64_t next_due_ms;
	int64_t stored_at_ms;
	bool reading_paused;
};

static const char *const topic_names[WINDOW_TOPICS] = {TOPIC_ZONES, TOPIC_HEALS};

static enum window_topic topic_of(const char *name)
{
	return strcmp(name, TOPIC_HEALS) == 0 ? WINDOW_HEALS : WINDOW_ZONES;
}

/* --- status -------------------------------------------------------------------------------------
 */

/* Sends until it is queued; the queue is bounded, so this may wait for reports. False: the
 * producer is dead and the process is about to end. */
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

static void send_zone_status(struct writer *writer, struct window_item *item,
			     enum status_state state, const struct change *change,
			     struct window_item *waits)
{
	const struct zone_event *value = item_value(item);
	int64_t now_ms = clock_wall_ms();
	struct status_event status = {.backend = writer->name,
				      .zone = value->zone,
				      .state = state,
				      .version = value->version,
				      .has_id = true,
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

static void send_backend_status(struct writer *writer, enum status_state state, const char *reason)
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

/* --- reading
 * -------------------------------------------------------------------------------------- */

static int64_t on_assigned(void *context, const char *topic, int32_t partition, int64_t committed)
{
	struct writer *writer = context;
	int64_t start = committed < 0 ? 0 : committed;

	/* I4: a wiped or restored backend says so by its position and is refilled unasked. */
	if (topic_of(topic) == WINDOW_ZONES) {
		int64_t position = writer->ops->position(writer->backend, partition);

		if (position < start) {
			log_info("backend is behind the group, reading again",
				 F("partition", partition), F("position", position),
				 F("committed", committed));
			start = position;
		}
	}
	window_open(writer->window, topic_of(topic), partition, start);
	log_debug("partition assigned", F("topic", topic), F("partition", partition),
		  F("offset", start));
	return start;
}

static void on_revoked(void *context, const char *topic, int32_t partition, bool lost)
{
	struct writer *writer = context;

	window_drop(writer->window, topic_of(topic), partition);
	log_debug("partition revoked", F("topic", topic), F("partition", partition),
		  F("lost", lost));
}

/* I8: an undecodable record goes to the dead letters with an alarm; the offset moves when that is
 * confirmed. */
static void bury(struct writer *writer, const struct bus_message *message, const struct reason *why)
{
	struct dead_letter_headers headers;
	struct confirmation *confirmation = xcalloc(1, sizeof(*confirmation));
	struct window_item *item = item_create();
	char group[96];

	item->topic = topic_of(message->topic);
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
	metric_add(&metrics[UNDECODABLE], 1);
	log_error("undecodable record sent to the dead letters", F("topic", message->topic),
		  F("partition", message->partition), F("offset", message->offset),
		  F("why", why->text));
}

static enum outcome decode(struct writer *writer, const struct bus_message *message,
			   struct window_item *item, bool *ours, struct reason *why)
{
	enum outcome outcome;

	*ours = true;
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

static void take_in(struct writer *writer, struct bus_message *message)
{
	enum window_topic topic = topic_of(message->topic);
	struct span traceparent = bus_message_header(message, "traceparent");
	struct window_item *item;
	struct reason why;
	enum outcome outcome;
	bool ours;

	/* Nulls bury what every backend has confirmed (I5); reserved keys are the judge's. */
	if (message->is_null || (message->key.len != 0 && message->key.data[0] == '@')) {
		window_skip(writer->window, topic, message->partition, message->offset);
		return;
	}
	item = item_create();
	item->topic = topic;
	item->partition = message->partition;
	item->offset = message->offset;
	item->timestamp_ms = message->timestamp_ms;
	item->bytes = message->value.len * 3; /* decoded: about three times the text */
	if (traceparent.len == TRACEPARENT_SIZE - 1) {
		memcpy(item->traceparent, traceparent.data, traceparent.len);
	}

	outcome = decode(writer, message, item, &ours, &why);
	switch (outcome) {
	case OK:
		if (ours) {
			window_add(writer->window, item);
			return;
		}
		break;
	case TEMPFAIL: /* a newer major version: stop, do not skip (I8) */
		service_stop(writer->service, &why);
		item_destroy(item);
		return;
	case PERMFAIL:
		bury(writer, message, &why);
		item_destroy(item);
		return;
	}
	window_skip(writer->window, topic, message->partition, message->offset);
	item_destroy(item);
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
			bus_pause(writer->consumer, topic_names[topic], partition);
		} else {
			bus_resume(writer->consumer, topic_names[topic], partition);
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
	if (bus_in_flight(writer->producer) != 0 && timeout > 2) {
		timeout = 2; /* a confirmation is on its way */
	}
	return timeout < 0 ? 0 : (int)timeout;
}

static void read_ahead(struct writer *writer)
{
	int timeout = poll_timeout(writer);
	int64_t began_ms = clock_ms();

	if (window_full(writer->window)) {
		pause_reading(writer, true);
	} else if (window_has_room(writer->window)) {
		pause_reading(writer, false);
	}
	for (int i = 0; i < READ_SLICE_RECORDS; i++) {
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

/* --- applying
 * --------------------------------------------------------------------------------------- */

static void backend_away(struct writer *writer, const struct reason *why)
{
	bool news = writer->probe_pause_ms == 0;

	writer->probe_pause_ms = news ? PROBE_FIRST_MS : writer->probe_pause_ms * 2;
	if (writer->probe_pause_ms > PROBE_LAST_MS) {
		writer->probe_pause_ms = PROBE_LAST_MS;
	}
	writer->probe_at_ms = clock_ms() + writer->probe_pause_ms;
	service_ready(writer->service, "backend", false, why->text);
	if (news) {
		metric_add(&metrics[AWAY], 1);
		log_warn("backend is away, waiting for it", F("backend", writer->name),
			 F("why", why->text));
		if (writer->producer != NULL) {
			send_backend_status(writer, STATUS_AWAY, why->text);
		}
	}
}

/* I4: a backend that came back with less than we had brought it is read again from there. */
static void rewind_if_behind(struct writer *writer)
{
	enum window_topic topic;
	int32_t partition;
	int64_t next;
	bool changed;
	struct reason why;

	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		int64_t position;

		if (topic != WINDOW_ZONES) {
			continue;
		}
		position = writer->ops->position(writer->backend, partition);
		if (position >= window_stored_offset(writer->window, topic, partition)) {
			continue;
		}
		log_warn("backend came back behind its position, reading again",
			 F("partition", partition), F("position", position),
			 F("was", window_stored_offset(writer->window, topic, partition)));
		if (bus_seek(writer->consumer, topic_names[topic], partition, position, &why) !=
		    OK) {
			service_stop(writer->service, &why); /* a restart reads it as well */
			return;
		}
		window_open(writer->window, topic, partition, position);
		i = (size_t)-1; /* window_open moved the list: from the start */
	}
}

static bool backend_is_there(struct writer *writer)
{
	struct reason why;

	if (writer->probe_pause_ms == 0) {
		return true;
	}
	if (clock_ms() < writer->probe_at_ms) {
		return false;
	}
	if (writer->ops->open(writer->backend, &why) != OK) {
		backend_away(writer, &why);
		return false;
	}
	return true;
}

static void backend_back(struct writer *writer)
{
	if (writer->probe_pause_ms == 0) {
		return;
	}
	writer->probe_pause_ms = 0;
	service_ready(writer->service, "backend", true, NULL);
	log_info("backend is back", F("backend", writer->name));
	send_backend_status(writer, STATUS_BACK, NULL);
}

/* What came of one zone. */
static void settle(struct writer *writer, struct window_item *item, const struct change *change)
{
	const struct zone_event *value = item_value(item);
	enum status_state state = STATUS_APPLIED;

	writer->burst.zones++;
	if (change->outcome != OK) {
		writer->burst.failures++;
		metric_add(&metrics[REFUSED], 1);
		if (item->attempt++ == 0) {
			item->first_failed_at_ms = clock_wall_ms();
		}
		window_put_aside(writer->window, item,
				 clock_ms() + delays_after(&writer->delays, item->attempt));
		log_warn("zone put aside", F("zone", value->zone.text), F("attempt", item->attempt),
			 F("why", change->why.text));
		send_zone_status(writer, item, STATUS_RETRYING, change, NULL);
		return;
	}
	switch (change->result) {
	case CHANGE_OLDER:
		metric_add(&metrics[OLDER], 1);
		window_finish(writer->window, item);
		return;
	case CHANGE_VERIFIED:
		metric_add(&metrics[VERIFIED], 1);
		state = STATUS_VERIFIED;
		break;
	case CHANGE_APPLIED:
		metric_add(&metrics[APPLIED], 1);
		metric_observe_us(&metrics[SERVED_SECONDS],
				  (clock_wall_ms() - value->received_at_ms) * 1000);
		break;
	}
	send_zone_status(writer, item, state, change, item);
	window_confirming(writer->window, item);
}

static void apply_batch(struct writer *writer)
{
	size_t count;
	int64_t began_us = clock_us();
	struct reason why;
	enum outcome outcome;

	count = window_take(writer->window, writer->batch, (size_t)writer->config->batch_zones);
	if (count == 0) {
		return;
	}
	if (writer->burst.began_ms == 0) {
		writer->burst.began_ms = clock_ms();
	}
	for (size_t i = 0; i < count; i++) {
		struct window_item *item = writer->batch[i];

		writer->changes[i] = (struct change){.value = item_value(item), .took_us = -1};
		if (item->topic == WINDOW_HEALS) {
			struct backend_view *view = &writer->views[i];

			*view = (struct backend_view){.absent = item->heal.saw_absent,
						      .version = item->heal.saw_version};
			if (item->heal.saw_digest != NULL) {
				(void)snprintf(view->digest, sizeof(view->digest), "%s",
					       item->heal.saw_digest);
			}
			writer->changes[i].expect = view;
			writer->changes[i].stuck_ahead = item->heal.stuck_ahead;
		}
	}

	outcome = writer->ops->apply(writer->backend, writer->changes, count, &why);
	if (outcome != OK) {
		for (size_t i = count; i-- != 0;) {
			window_put_back(writer->window, writer->batch[i]);
		}
		backend_away(writer, &why);
		return;
	}
	backend_back(writer);
	metric_observe_us(&metrics[APPLY_SECONDS], clock_us() - began_us);
	for (size_t i = 0; i < count; i++) {
		settle(writer, writer->batch[i], &writer->changes[i]);
	}
	writer->burst.ended_ms = clock_ms();
}

/* --- after the work
 * ----------------------------------------------------------------------------------- */

/* I3, I4: first the backend's own positions, then the group's offsets. */
static void store_progress(struct writer *writer)
{
	enum window_topic topic;
	int32_t partition;
	int64_t next;
	bool changed;
	int32_t partitions[1024];
	int64_t offsets[1024];
	size_t count = 0;
	struct reason why;

	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		if (changed && topic == WINDOW_ZONES && count < 1024) {
			partitions[count] = partition;
			offsets[count++] = next;
		}
	}
	if (count != 0 &&
	    writer->ops->store_positions(writer->backend, partitions, offsets, count, &why) != OK) {
		backend_away(writer, &why);
		return;
	}
	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		if (changed && bus_store(writer->consumer, topic_names[topic], partition, next)) {
			window_stored(writer->window, topic, partition, next);
		}
	}
	writer->stored_at_ms = clock_ms();
	mark("writer.offset_stored");
}

static void store_when_due(struct writer *writer)
{
	enum window_topic topic;
	int32_t partition;
	int64_t next;
	bool changed = false;

	if (writer->probe_pause_ms != 0 || (window_waiting(writer->window) != 0 &&
					    clock_ms() - writer->stored_at_ms < STORE_EVERY_MS)) {
		return;
	}
	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		if (changed) {
			store_progress(writer);
			return;
		}
	}
}

/* One line when a burst is drained (the product that we replace prints the same). */
static void report_burst(struct writer *writer)
{
	struct burst *burst = &writer->burst;
	int64_t took_ms;

	if (burst->began_ms == 0 || window_waiting(writer->window) != 0 ||
	    clock_ms() - burst->ended_ms < IDLE_POLL_MS) {
		return;
	}
	took_ms = burst->ended_ms - burst->began_ms;
	if (burst->zones != 0) {
		log_info("burst drained", F("backend", writer->name), F("zones", burst->zones),
			 F("failures", burst->failures), F("ms", took_ms),
			 F("zones_per_s",
			   (double)burst->zones * 1000.0 / (double)(took_ms < 1 ? 1 : took_ms)));
	}
	*burst = (struct burst){0};
}

/* --- life
 * ---------------------------------------------------------------------------------------------- */

static void turn(struct writer *writer)
{
	struct reason why;

	service_alive(writer->service, "writer");
	if (bus_consumer_fatal(writer->consumer, &why) ||
	    bus_producer_fatal(writer->producer, &why)) {
		service_stop(writer->service, &why);
		return;
	}
	read_ahead(writer);
	writer->next_due_ms = window_wake(writer->window, clock_ms());
	if (window_waiting(writer->window) != 0 || writer->probe_pause_ms != 0) {
		if (backend_is_there(writer)) {
			if (writer->probe_pause_ms != 0) {
				rewind_if_behind(writer);
			}
			if (window_waiting(writer->window) != 0) {
				apply_batch(writer);
			} else {
				backend_back(writer);
			}
		}
	}
	(void)bus_producer_poll(writer->producer, 0);
	store_when_due(writer);
	report_burst(writer);
	metric_set(&metrics[WAITING], (int64_t)window_waiting(writer->window));
	metric_set(&metrics[ASIDE], (int64_t)window_aside(writer->window));
}

/* The registry of backends: joined by their writer. */
static void join_registry(struct writer *writer)
{
	struct buf key = BUF_INIT(512);
	struct buf value = BUF_INIT(STATUS_TEXT_MAX);
	struct event_headers headers;
	struct event_id id = event_id_create();
	struct confirmation *confirmation = xcalloc(1, sizeof(*confirmation));
	int64_t now_ms = clock_wall_ms();
	struct backend_event event = {
		.backend = writer->name, .type = writer->ops->type, .joined_at_ms = now_ms};

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

/* Waits until topics and backend are there: the backend's positions decide where reading begins. */
static bool first_contact(struct writer *writer)
{
	struct reason why;

	while (service_running(writer->service)) {
		service_alive(writer->service, "writer");
		if (topics_preflight(&writer->config->bus, &writer->config->topics, 3000, &why) !=
		    OK) {
			service_ready(writer->service, "topics", false, why.text);
			service_pause(writer->service, 500);
			continue;
		}
		service_ready(writer->service, "topics", true, NULL);
		break;
	}
	while (service_running(writer->service)) {
		service_alive(writer->service, "writer");
		if (writer->ops->open(writer->backend, &why) != OK) {
			backend_away(writer, &why);
			service_pause(writer->service, writer->probe_pause_ms);
			continue;
		}
		backend_back(writer);
		service_ready(writer->service, "backend", true, NULL);
		return true;
	}
	return false;
}

static enum outcome connect_bus(struct writer *writer, struct reason *why)
{
	static const char *const topics[] = {TOPIC_ZONES, TOPIC_HEALS, NULL};
	char group[96];
	enum outcome outcome;

	(void)snprintf(group, sizeof(group), "dadns.writer.%s", writer->name);
	outcome = bus_producer_create(&writer->producer, &writer->config->bus,
				      &(struct bus_producer_options){.linger_us = 2000}, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = bus_consumer_create(&writer->consumer, &writer->config->bus,
				      &(struct bus_consumer_options){.group = group},
				      &(struct bus_listener){.context = writer,
							     .assigned = on_assigned,
							     .revoked = on_revoked},
				      why);
	if (outcome != OK) {
		return outcome;
	}
	return bus_subscribe(writer->consumer, topics, why);
}

static void run(struct writer *writer)
{
	struct reason why;

	if (connect_bus(writer, &why) != OK) {
		service_stop(writer->service, &why);
		return;
	}
	if (!first_contact(writer)) {
		return;
	}
	join_registry(writer);
	log_info("writer started", F("backend", writer->name), F("type", writer->ops->type));
	while (service_running(writer->service)) {
		turn(writer);
	}

	/* SIGTERM: what was applied is confirmed and stored; what waits stays in the log. */
	if (bus_flush(writer->producer, FLUSH_MS, &why) != OK) {
		log_warn("some statuses were not confirmed, they will be sent again",
			 F("why", why.text));
	}
	store_progress(writer);
}

int writer_main(const struct service_about *about, void *base, int argc, char **argv,
		const struct backend_ops *ops,
		enum outcome (*create)(void *base, const char *stanza, void **backend,
				       struct reason *why))
{
	struct service *service = service_start(about, base, argc, argv);
	struct writer_config *config = base;
	struct writer writer = {.config = config, .service = service, .ops = ops};
	char host[64] = "?";
	struct reason why;

	(void)gethostname(host, sizeof(host) - 1);
	writer.name = config_chosen(service_config(service));
	assert(writer.name != NULL); /* service_start with a choose_flag insists on one */
	(void)snprintf(writer.by, sizeof(writer.by), "%s:%d", host, (int)getpid());
	(void)snprintf(writer.source, sizeof(writer.source), "/writer/%s/%s", writer.name, host);
	config->bus.client_id = writer.name;
	config->bus.config = service_config(service);
	metrics_common_label("backend", writer.name);
	service_ready(service, "backend", false, "not asked yet");
	service_ready(service, "topics", false, "not asked yet");

	writer.window = window_create((size_t)config->window_records, (size_t)config->window_bytes);
	writer.batch = xcalloc((size_t)config->batch_zones, sizeof(*writer.batch));
	writer.changes = xcalloc((size_t)config->batch_zones, sizeof(*writer.changes));
	writer.views = xcalloc((size_t)config->batch_zones, sizeof(*writer.views));
	if (delays_parse(config->retry_delays, &writer.delays, &why) != OK ||
	    create(base, writer.name, &writer.backend, &why) != OK) {
		service_stop(service, &why);
	} else {
		run(&writer);
	}

	bus_consumer_close(writer.consumer);   /* commits what is stored */
	bus_producer_destroy(writer.producer); /* before the window: reports know its items */
	if (writer.backend != NULL) {
		ops->close(writer.backend);
	}
	window_destroy(writer.window);
	free(writer.views);
	free(writer.changes);
	free(writer.batch);
	return service_finish(service);
}
