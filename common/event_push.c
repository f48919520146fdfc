/* SPDX-License-Identifier: Apache-2.0 */
/* dadns.pushes: what was said. */
#include <assert.h>

#include "common/event_json.h"

#define SAVES_ONLY "belongs to a save"

static void put_marks(const struct push_event *event, struct buf *out)
{
	event_put_flag(out, "mass", event->mass);
	event_put_flag(out, "unchecked", event->unchecked);
	if (event->has_seen) {
		event_put_version_or_absent(out, "seen", event->seen);
	}
}

void push_event_encode(const struct push_event *event, struct buf *out)
{
	event_put_begin(out, KIND_PUSH);
	event_put_id(out, "id", &event->id);
	event_put_text(out, "op", event->op == PUSH_SAVE ? "save" : "delete");
	event_put_text(out, "zone", event->zone.text);
	event_put_text(out, "owner", event->owner);
	event_put_text(out, "username", event->username);
	event_put_text(out, "sender", event->sender);
	event_put_text(out, "source", event->source);
	event_put_time(out, "received_at", event->received_at_ms);
	event_put_flag(out, "now", event->now);
	put_marks(event, out);
	if (event->only_if == ONLY_IF_ABSENT) {
		event_put_text(out, "only_if", "absent");
	} else if (event->only_if == ONLY_IF_VERSION) {
		event_put_version_or_absent(out, "only_if", event->only_if_version);
	}
	if (event->op == PUSH_SAVE) {
		event_put_number(out, "serial", event->serial);
		event_put_text(out, "digest", event->digest);
		event_put_rrsets(out, event->rrsets, event->rrset_count);
		event_put_notes(out, "warnings", event->warnings, event->warning_count);
	}
	event_put_end(out, event->extra);
}

void push_event_add_marks(const struct push_event *event, struct buf *value)
{
	assert(value->len > 0 && value->data[value->len - 1] == '}');
	value->len--;
	put_marks(event, value);
	event_put_end(value, NULL);
}

static void take_op(struct fields *fields, struct push_event *out)
{
	struct span op = span_of(fields_text(fields, "op", REQUIRED, EVENT_TEXT_MAX));

	if (span_is(op, "delete")) {
		out->op = PUSH_DELETE;
	} else if (!span_is(op, "save")) {
		fields_refuse(fields, "op", "is neither save nor delete");
	}
}

static void take_content(struct fields *fields, struct push_event *out)
{
	out->serial = (uint32_t)fields_number(fields, "serial", REQUIRED, 0, UINT32_MAX);
	out->digest = fields_digest(fields, "digest", REQUIRED);
	out->rrsets = fields_rrsets(fields, "rrsets", &out->zone, &out->rrset_count);
	out->warnings = fields_texts(fields, "warnings", &out->warning_count);
}

enum outcome push_event_decode(struct span bytes, struct push_event *out, struct reason *why)
{
	struct push_event event = {.op = PUSH_SAVE};
	struct fields fields;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_PUSH, why);
	(void)fields_id(&fields, "id", REQUIRED, &event.id); /* its absence sticks */
	take_op(&fields, &event);
	fields_name(&fields, "zone", &event.zone);
	event.owner = fields_text(&fields, "owner", REQUIRED, EVENT_TEXT_MAX);
	event.username = fields_text(&fields, "username", OPTIONAL, EVENT_TEXT_MAX);
	event.sender = fields_text(&fields, "sender", REQUIRED, EVENT_TEXT_MAX);
	event.source = fields_text(&fields, "source", OPTIONAL, EVENT_TEXT_MAX);
	event.received_at_ms = fields_time(&fields, "received_at", REQUIRED);
	event.now = fields_flag(&fields, "now");
	event.mass = fields_flag(&fields, "mass");
	event.unchecked = fields_flag(&fields, "unchecked");
	event.has_seen = fields_version_or_absent(&fields, "seen", &event.seen);
	if (fields_version_or_absent(&fields, "only_if", &event.only_if_version)) {
		event.only_if =
			version_is_none(event.only_if_version) ? ONLY_IF_ABSENT : ONLY_IF_VERSION;
	}
	if (event.op == PUSH_SAVE) {
		take_content(&fields, &event);
	} else { /* I5: a delete is nothing but a delete */
		fields_forbid(&fields, "serial", SAVES_ONLY);
		fields_forbid(&fields, "digest", SAVES_ONLY);
		fields_forbid(&fields, "rrsets", SAVES_ONLY);
		fields_forbid(&fields, "warnings", SAVES_ONLY);
	}
	event.extra = fields_extra(&fields);
	outcome = fields_close(&fields, &event.memory);
	if (outcome == OK) {
		*out = event;
	}
	return outcome;
}

void push_event_finish(struct push_event *event)
{
	if (event != NULL) {
		event_memory_free(event->memory);
		*event = (struct push_event){.op = PUSH_SAVE};
	}
}
