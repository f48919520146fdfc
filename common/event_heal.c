/* SPDX-License-Identifier: Apache-2.0 */
/* dadns.heals: compare-and-swap for one backend (I6); and the headers of a dead letter, which is
 * where a value goes that could not be healed. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/event_json.h"

void heal_event_encode(const struct heal_event *event, struct buf *out)
{
	event_put_begin(out, KIND_HEAL);
	event_put_id(out, "id", &event->id);
	event_put_text(out, "backend", event->backend);
	event_put_text(out, "zone", event->zone.text);
	event_put_flag(out, "unseen", event->unseen);
	event_put_flag(out, "saw_absent", event->saw_absent);
	event_put_text(out, "saw_digest", event->saw_digest);
	event_put_version(out, "saw_version", event->saw_version);
	event_put_flag(out, "stuck_ahead", event->stuck_ahead);
	event_put_text(out, "by", event->by);
	event_put_note(out, "because", event->because);
	event_put_time(out, "made_at", event->made_at_ms);
	event_put_key(out, "value");
	zone_event_encode(&event->value, out);
	event_put_end(out, event->extra);
}

static void take_value(struct fields *fields, struct heal_event *out)
{
	struct fields inner;

	fields_open_inner(&inner, fields, "value", KIND_ZONE, "value.");
	zone_event_take(&inner, &out->value, true);
	if (!name_equal(&out->value.zone, &out->zone)) {
		fields_refuse(&inner, "zone", "is not the zone of the heal");
	}
	fields_close_inner(&inner, fields);
}

/* I6: a heal that does not say what it saw could overwrite anything, so it says even that nobody
 * looked. */
static void take_look(struct fields *fields, struct heal_event *out)
{
	out->unseen = fields_flag(fields, "unseen");
	out->saw_absent = fields_flag(fields, "saw_absent");
	out->saw_digest = fields_digest(fields, "saw_digest", OPTIONAL);
	(void)fields_version(fields, "saw_version", OPTIONAL, &out->saw_version); /* else none */
	out->stuck_ahead = fields_flag(fields, "stuck_ahead");
	if (out->unseen + out->saw_absent + (out->saw_digest != NULL) != 1) {
		fields_refuse(fields, "saw_digest",
			      "must stand there, or saw_absent, or unseen, and only one of them");
	}
	if (out->unseen && !version_is_none(out->saw_version)) {
		fields_refuse(fields, "saw_version", "stands beside unseen");
	}
	if (out->stuck_ahead && version_is_none(out->saw_version)) {
		fields_refuse(fields, "stuck_ahead", "names no saw_version");
	}
}

enum outcome heal_event_decode(struct span bytes, struct heal_event *out, struct reason *why)
{
	struct heal_event event = {.saw_absent = false};
	struct fields fields;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_HEAL, why);
	(void)fields_id(&fields, "id", REQUIRED, &event.id); /* its absence sticks */
	event.backend = fields_backend(&fields, "backend");
	fields_name(&fields, "zone", &event.zone);
	take_look(&fields, &event);
	event.by = fields_text(&fields, "by", REQUIRED, EVENT_TEXT_MAX);
	event.because = fields_text(&fields, "because", OPTIONAL, EVENT_NOTE_MAX);
	event.made_at_ms = fields_time(&fields, "made_at", REQUIRED);
	take_value(&fields, &event);
	event.extra = fields_extra(&fields);
	outcome = fields_close(&fields, &event.memory);
	if (outcome == OK) {
		*out = event;
	}
	return outcome;
}

void heal_event_finish(struct heal_event *event)
{
	if (event != NULL) {
		event_memory_free(event->memory); /* the value's texts lie in there too */
		*event = (struct heal_event){.saw_absent = false};
	}
}

static void add(struct dead_letter_headers *out, const char *name, struct span value)
{
	if (value.data != NULL) {
		out->items[out->count++] = (struct header){name, value};
	}
}

static struct span number_text(char out[24], int64_t number)
{
	int len = snprintf(out, 24, "%lld", (long long)number); /* 20 bytes at most */

	return (struct span){out, (size_t)len};
}

void dead_letter_headers(struct dead_letter_headers *out, const struct dead_letter *letter)
{
	struct span partition = number_text(out->numbers[0], letter->partition);
	struct span offset = number_text(out->numbers[1], letter->offset);
	char time[CLOCK_TEXT_SIZE];

	/* A header needs no NUL, so the 24 bytes of a time fit. */
	clock_text(letter->first_failed_at_ms, time);
	memcpy(out->numbers[2], time, sizeof(out->numbers[2]));
	out->count = 0;
	add(out, "dlq.original.topic", span_of(letter->topic));
	add(out, "dlq.original.partition", partition);
	add(out, "dlq.original.offset", offset);
	add(out, "dlq.original.timestamp", number_text(out->numbers[3], letter->timestamp_ms));
	add(out, "dlq.group", span_of(letter->group));
	add(out, "dlq.backend", span_of(letter->backend));
	add(out, "dlq.stage", span_of(letter->stage));
	add(out, "dlq.error.code", span_of(letter->code));
	add(out, "dlq.error.message", span_of(letter->message));
	add(out, "dlq.attempts", number_text(out->numbers[4], letter->attempts));
	add(out, "dlq.first-failed-at", (struct span){out->numbers[2], CLOCK_TEXT_SIZE - 1});
	add(out, "__connect.errors.topic", span_of(letter->topic));
	add(out, "__connect.errors.partition", partition);
	add(out, "__connect.errors.offset", offset);
	add(out, "__connect.errors.exception.message", span_of(letter->message));
}
