/* SPDX-License-Identifier: Apache-2.0 */
/* dadns.audits: the registry of backends, and the last pass over each. */
#include "common/event_json.h"

#define NO_PASS "stands there without pass_started_at"

void audit_event_encode(const struct audit_event *event, struct buf *out)
{
	event_put_begin(out, KIND_AUDIT);
	event_put_text(out, "backend", event->backend);
	event_put_text(out, "type", event->type);
	event_put_flag(out, "retired", event->retired);
	event_put_time(out, "joined_at", event->joined_at_ms);
	if (event->retired_at_ms != 0) {
		event_put_time(out, "retired_at", event->retired_at_ms);
	}
	if (event->has_pass) {
		event_put_time(out, "pass_started_at", event->pass_started_at_ms);
		if (event->pass_finished_at_ms != 0) {
			event_put_time(out, "pass_finished_at", event->pass_finished_at_ms);
		}
		event_put_number(out, "zones_expected", event->zones_expected);
		event_put_number(out, "zones_checked", event->zones_checked);
		event_put_number(out, "missing", event->missing);
		event_put_number(out, "drifted", event->drifted);
		event_put_number(out, "undead", event->undead);
		event_put_number(out, "foreign", event->foreign);
		event_put_number(out, "unreadable", event->unreadable);
		event_put_number(out, "healed", event->healed);
		event_put_notes(out, "samples", event->samples, event->sample_count);
	}
	event_put_end(out, event->extra);
}

static void take_pass(struct fields *fields, struct audit_event *out)
{
	out->pass_started_at_ms = fields_time(fields, "pass_started_at", REQUIRED);
	out->pass_finished_at_ms = fields_time(fields, "pass_finished_at", OPTIONAL);
	out->zones_expected = fields_number(fields, "zones_expected", REQUIRED, 0, INTEGER_MAX);
	out->zones_checked = fields_number(fields, "zones_checked", REQUIRED, 0, INTEGER_MAX);
	out->missing = fields_number(fields, "missing", REQUIRED, 0, INTEGER_MAX);
	out->drifted = fields_number(fields, "drifted", REQUIRED, 0, INTEGER_MAX);
	out->undead = fields_number(fields, "undead", REQUIRED, 0, INTEGER_MAX);
	out->foreign = fields_number(fields, "foreign", REQUIRED, 0, INTEGER_MAX);
	out->unreadable = fields_number(fields, "unreadable", REQUIRED, 0, INTEGER_MAX);
	out->healed = fields_number(fields, "healed", REQUIRED, 0, INTEGER_MAX);
	out->samples = fields_texts(fields, "samples", &out->sample_count);
}

/* Our own names must not end up among the unknown fields. */
static void forbid_pass(struct fields *fields)
{
	static const char *const names[] = {
		"pass_finished_at", "zones_expected", "zones_checked", "missing", "drifted",
		"undead",           "foreign",        "unreadable",    "healed",  "samples",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		fields_forbid(fields, names[i], NO_PASS);
	}
}

enum outcome audit_event_decode(struct span bytes, struct audit_event *out, struct reason *why)
{
	struct audit_event event = {.retired = false};
	struct fields fields;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_AUDIT, bytes.len, why);
	event.backend = fields_backend(&fields, "backend");
	event.type = fields_text(&fields, "type", REQUIRED, EVENT_TEXT_MAX);
	event.retired = fields_flag(&fields, "retired");
	event.joined_at_ms = fields_time(&fields, "joined_at", REQUIRED);
	event.retired_at_ms = fields_time(&fields, "retired_at", OPTIONAL);
	event.has_pass = fields_has(&fields, "pass_started_at");
	if (event.has_pass) {
		take_pass(&fields, &event);
	} else {
		forbid_pass(&fields);
	}
	event.extra = fields_extra(&fields);
	outcome = fields_close(&fields, &event.memory);
	if (outcome == OK) {
		*out = event;
	}
	return outcome;
}

void audit_event_finish(struct audit_event *event)
{
	if (event != NULL) {
		event_memory_free(event->memory);
		*event = (struct audit_event){.retired = false};
	}
}
