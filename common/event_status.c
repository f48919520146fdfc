/* SPDX-License-Identifier: Apache-2.0 */
/* dadns.status: what became of a version. */
#include <string.h>

#include "common/event_json.h"

#define WHOLE_BACKEND "-"

static const char *const state_texts[STATUS_STATES] = {
	[STATUS_ACCEPTED] = "accepted", [STATUS_UNCHANGED] = "unchanged",
	[STATUS_STALE] = "stale",       [STATUS_REFUSED] = "refused",
	[STATUS_HELD] = "held",         [STATUS_APPLIED] = "applied",
	[STATUS_VERIFIED] = "verified", [STATUS_RETRYING] = "retrying",
	[STATUS_DEAD] = "dead",         [STATUS_MISSING] = "missing",
	[STATUS_DRIFTED] = "drifted",   [STATUS_UNDEAD] = "undead",
	[STATUS_FOREIGN] = "foreign",   [STATUS_CONFLICT] = "conflict",
	[STATUS_AWAY] = "away",         [STATUS_BACK] = "back",
};

const char *status_state_text(enum status_state state)
{
	return (unsigned int)state < STATUS_STATES ? state_texts[state] : "unknown";
}

static const char *zone_text(const struct status_event *event)
{
	return event->zone.len == 0 ? WHOLE_BACKEND : event->zone.text;
}

void status_event_key(const struct status_event *event, struct buf *out)
{
	buf_add_text(out, event->backend);
	buf_add_byte(out, '/');
	buf_add_text(out, zone_text(event));
}

void status_event_encode(const struct status_event *event, struct buf *out)
{
	event_put_begin(out, KIND_STATUS);
	event_put_text(out, "backend", event->backend);
	event_put_text(out, "zone", zone_text(event));
	event_put_text(out, "state", status_state_text(event->state));
	event_put_version(out, "version", event->version);
	if (event->has_id) {
		event_put_id(out, "id", &event->id);
	}
	event_put_flag(out, "deleted", event->deleted);
	if (event->serial != 0 || event->digest != NULL) {
		event_put_number(out, "serial", event->serial);
	}
	event_put_text(out, "digest", event->digest);
	event_put_text(out, "owner", event->owner);
	event_put_text(out, "rule", event->rule);
	event_put_note(out, "reason", event->reason);
	if (event->record.topic != NULL) {
		event_put_text(out, "record_topic", event->record.topic);
		event_put_number(out, "record_partition", event->record.partition);
		event_put_number(out, "record_offset", event->record.offset);
	}
	if (event->attempt > 0) {
		event_put_number(out, "attempt", event->attempt);
	}
	if (event->next_try_ms != 0) {
		event_put_time(out, "next_try", event->next_try_ms);
	}
	event_put_took(out, "took_ms", event->took_us);
	event_put_took(out, "lag_ms", event->lag_us);
	event_put_time(out, "at", event->at_ms);
	event_put_text(out, "by", event->by);
	event_put_end(out, event->extra);
}

static void take_zone(struct fields *fields, struct status_event *out)
{
	if (fields_is(fields, "zone", WHOLE_BACKEND)) {
		(void)fields_text(fields, "zone", REQUIRED, EVENT_TEXT_MAX); /* "-": len stays 0 */
	} else {
		fields_name(fields, "zone", &out->zone);
	}
}

static void take_state(struct fields *fields, struct status_event *out)
{
	const char *text = fields_text(fields, "state", REQUIRED, EVENT_TEXT_MAX);
	size_t i;

	if (text == NULL) {
		return;
	}
	for (i = 0; i < STATUS_STATES; i++) {
		if (strcmp(text, state_texts[i]) == 0) {
			out->state = (enum status_state)i;
			return;
		}
	}
	fields_refuse(fields, "state", "is none that we know");
}

/* All three or none. */
static void take_record(struct fields *fields, struct status_event *out)
{
	out->record.topic = fields_text(fields, "record_topic", OPTIONAL, EVENT_TEXT_MAX);
	if (out->record.topic == NULL) {
		fields_forbid(fields, "record_partition", "without record_topic");
		fields_forbid(fields, "record_offset", "without record_topic");
		return;
	}
	out->record.partition =
		(int32_t)fields_number(fields, "record_partition", REQUIRED, 0, INT32_MAX);
	out->record.offset = fields_number(fields, "record_offset", REQUIRED, 0, INTEGER_MAX);
}

enum outcome status_event_decode(struct span bytes, struct status_event *out, struct reason *why)
{
	struct status_event event = {.has_id = false};
	struct fields fields;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_STATUS, why);
	event.backend = fields_backend(&fields, "backend");
	take_zone(&fields, &event);
	take_state(&fields, &event);
	(void)fields_version(&fields, "version", OPTIONAL, &event.version); /* else none */
	event.has_id = fields_id(&fields, "id", OPTIONAL, &event.id);
	event.deleted = fields_flag(&fields, "deleted");
	event.serial = (uint32_t)fields_number(&fields, "serial", OPTIONAL, 0, UINT32_MAX);
	event.digest = fields_digest(&fields, "digest", OPTIONAL);
	event.owner = fields_text(&fields, "owner", OPTIONAL, EVENT_TEXT_MAX);
	event.rule = fields_text(&fields, "rule", OPTIONAL, EVENT_TEXT_MAX);
	event.reason = fields_text(&fields, "reason", OPTIONAL, EVENT_NOTE_MAX);
	take_record(&fields, &event);
	event.attempt = fields_number(&fields, "attempt", OPTIONAL, 1, INTEGER_MAX);
	event.next_try_ms = fields_time(&fields, "next_try", OPTIONAL);
	event.took_us = fields_took(&fields, "took_ms");
	event.lag_us = fields_took(&fields, "lag_ms");
	event.at_ms = fields_time(&fields, "at", REQUIRED);
	event.by = fields_text(&fields, "by", REQUIRED, EVENT_TEXT_MAX);
	event.extra = fields_extra(&fields);
	outcome = fields_close(&fields, &event.memory);
	if (outcome == OK) {
		*out = event;
	}
	return outcome;
}

void status_event_finish(struct status_event *event)
{
	if (event != NULL) {
		event_memory_free(event->memory);
		*event = (struct status_event){.has_id = false};
	}
}
