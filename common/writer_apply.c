/* SPDX-License-Identifier: Apache-2.0 */
#include "common/writer_parts.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"

void writer_backend_away(struct writer *writer, const struct reason *why)
{
	bool news = writer->probe_pause_ms == 0;

	writer->probe_pause_ms = news ? PROBE_FIRST_MS : writer->probe_pause_ms * 2;
	if (writer->probe_pause_ms > PROBE_LAST_MS) {
		writer->probe_pause_ms = PROBE_LAST_MS;
	}
	writer->probe_at_ms = clock_ms() + writer->probe_pause_ms;
	writer->check_at_ms = 0; /* who mends it may have changed more */
	service_ready(writer->service, "backend", false, why->text);
	metric_set(&writer_rows[CIRCUIT], 1);
	if (news) {
		metric_add(&writer_rows[AWAY], 1);
		log_warn("backend is away, waiting for it", F("backend", writer->name),
			 F("why", why->text));
		if (writer->producer != NULL) {
			writer_say_backend(writer, STATUS_AWAY, why->text);
		}
	}
}

/* I4: a backend that is not what we left is read again. False: not yet; until then nothing may be
 * stored, or the gap would be forgotten. */
static bool rewind_if_behind(struct writer *writer)
{
	bool was_away = writer->probe_pause_ms != 0;
	enum window_topic topic;
	int32_t partition;
	int64_t next;
	bool changed;
	struct reason why;

	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		int64_t position;
		int64_t from;

		if (topic != WINDOW_ZONES) {
			continue;
		}
		position = writer->ops->position(writer->backend, partition);
		from = window_rewind(writer->window, topic, partition, position, was_away);
		if (from < 0) {
			continue;
		}
		log_warn("backend may lack what it was brought, reading again",
			 F("partition", partition), F("position", position), F("from", from),
			 F("was", window_stored_offset(writer->window, topic, partition)));
		if (bus_seek(writer->consumer, writer_topics[topic], partition, from, &why) != OK) {
			writer_backend_away(writer, &why); /* and tried again */
			return false;
		}
		window_open(writer->window, topic, partition, from);
		i = (size_t)-1; /* window_open moved the list: from the start */
	}
	writer->looked = false;
	return true;
}

/* What is wrong there is told, and shown as not ready; the work goes on as well as it can. */
static void check_backend(struct writer *writer)
{
	const struct finding *wrong;
	struct preflight preflight;
	struct reason text;

	if (writer->ops->check == NULL || clock_ms() < writer->check_at_ms) {
		return;
	}
	preflight_init(&preflight, writer->config->preflight.allow);
	preflight.away_is = FINDING_WARN;
	writer->ops->check(writer->backend, &preflight);
	wrong = preflight_tell(&preflight);
	if (wrong != NULL) {
		preflight_text(wrong, &text);
	}
	service_ready(writer->service, "backend settings", wrong == NULL,
		      wrong == NULL ? NULL : text.text);
	writer->check_at_ms = clock_ms() + (wrong == NULL ? CHECK_EVERY_MS : CHECK_AGAIN_MS);
	preflight_finish(&preflight);
}

bool writer_look(struct writer *writer, int64_t ms)
{
	struct reason why;

	if (clock_ms() - writer->looked_at_ms < ms) {
		return true;
	}
	if (writer->ops->open(writer->backend, &why) != OK) {
		writer_backend_away(writer, &why);
		return false;
	}
	check_backend(writer);
	writer->looked_at_ms = clock_ms();
	writer->looked = true;
	return true;
}

/* I4: a backend that was wiped or restored while nothing was to do is refilled as well. */
static bool backend_is_there(struct writer *writer)
{
	bool away = writer->probe_pause_ms != 0;

	if (away && clock_ms() < writer->probe_at_ms) {
		return false;
	}
	if ((away || clock_ms() - writer->looked_at_ms >= LOOK_EVERY_MS) &&
	    !writer_look(writer, 0)) {
		return false;
	}
	return !writer->looked || rewind_if_behind(writer);
}

void writer_backend_back(struct writer *writer)
{
	if (writer->probe_pause_ms == 0) {
		return;
	}
	writer->probe_pause_ms = 0;
	metric_set(&writer_rows[CIRCUIT], 0);
	service_ready(writer->service, "backend", true, NULL);
	log_info("backend is back", F("backend", writer->name));
	writer_say_backend(writer, STATUS_BACK, NULL);
}

static void put_aside(struct writer *writer, struct window_item *item, const struct change *change)
{
	int64_t now_ms = clock_ms();

	writer->burst.failures++;
	metric_add(&writer_rows[REFUSED], 1);
	if (item->attempt++ == 0) {
		item->first_failed_at_ms = clock_wall_ms();
	}
	if (!window_put_aside(writer->window, item,
			      writer_gives_up(writer, item->attempt)
				      ? now_ms
				      : now_ms + delays_after(&writer->delays, item->attempt))) {
		return; /* a newer value is here: that one speaks for the zone */
	}
	log_warn("zone put aside", F("zone", item_value(item)->zone.text),
		 F("attempt", item->attempt), F("why", change->why.text));
	writer_retry_refused(writer, item, change);
}

static void is_served(struct writer *writer, struct window_item *item, const struct change *change)
{
	const struct zone_event *value = item_value(item);
	bool applied = change->result == CHANGE_APPLIED;

	metric_add(&writer_rows[applied ? APPLIED : VERIFIED], 1);
	if (applied) {
		metric_observe_us(&writer_rows[SERVED_SECONDS],
				  (clock_wall_ms() - value->received_at_ms) * 1000);
	}
	writer_retry_over(writer, item);
	writer_say_served(writer, item, change);
	window_confirming(writer->window, item);
}

/* What came of one zone. */
static void settle(struct writer *writer, struct window_item *item, const struct change *change)
{
	writer->burst.zones++;
	if (change->outcome != OK) {
		put_aside(writer, item, change);
	} else if (change->result == CHANGE_OLDER) {
		metric_add(&writer_rows[OLDER], 1);
		/* A heal of something else than the backend shows says nothing of other tries. */
		if (item->topic == WINDOW_ZONES || item->recorded) {
			writer_retry_over(writer, item);
		}
		window_finish(writer->window, item);
	} else if (change->pending) {
		item->applied = change->result == CHANGE_APPLIED;
		item->took_us = change->took_us;
		window_settling(writer->window, item);
	} else {
		is_served(writer, item, change);
	}
}

void writer_settle(struct writer *writer)
{
	struct settlement settlement;

	while (writer->ops->settled != NULL && writer->ops->settled(writer->backend, &settlement)) {
		struct window_item *item = settlement.ticket;
		struct change change = {.outcome = settlement.outcome,
					.result = item->applied ? CHANGE_APPLIED : CHANGE_VERIFIED,
					.why = settlement.why,
					.took_us = item->took_us};

		if (item->state == ITEM_DROPPED) {
			window_finish(writer->window, item);
		} else if (settlement.outcome != OK) {
			put_aside(writer, item, &change);
		} else {
			is_served(writer, item, &change);
		}
	}
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

		writer->changes[i] = (struct change){.value = item_value(item),
						     .burial = item->burial,
						     .ticket = item,
						     .took_us = -1};
		if (item->topic == WINDOW_HEALS && !item->heal.unseen) {
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
		writer_backend_away(writer, &why);
		return;
	}
	writer_backend_back(writer);
	metric_observe_us(&writer_rows[APPLY_SECONDS], clock_us() - began_us);
	for (size_t i = 0; i < count; i++) {
		settle(writer, writer->batch[i], &writer->changes[i]);
	}
	writer->burst.ended_ms = clock_ms();
}

void writer_apply(struct writer *writer)
{
	if (!backend_is_there(writer)) {
		return;
	}
	if (window_waiting(writer->window) != 0) {
		apply_batch(writer);
	} else {
		writer_backend_back(writer);
	}
}
