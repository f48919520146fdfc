/* SPDX-License-Identifier: Apache-2.0 */
/* dadns.audits: the last audit pass over a backend. */
#include "common/event_json.h"

void audit_event_key(const struct audit_event *event, struct buf *out)
{
	buf_add_text(out, event->backend);
	buf_add_text(out, "/audit");
}

void audit_event_encode(const struct audit_event *event, struct buf *out)
{
	event_put_begin(out, KIND_AUDIT);
	event_put_text(out, "backend", event->backend);
	event_put_time(out, "started_at", event->started_at_ms);
	if (event->finished_at_ms != 0) {
		event_put_time(out, "finished_at", event->finished_at_ms);
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
	event_put_end(out, event->extra);
}

enum outcome audit_event_decode(struct span bytes, struct audit_event *out, struct reason *why)
{
	struct audit_event event = {.backend = NULL};
	struct fields fields;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_AUDIT, why);
	event.backend = fields_backend(&fields, "backend");
	event.started_at_ms = fields_time(&fields, "started_at", REQUIRED);
	event.finished_at_ms = fields_time(&fields, "finished_at", OPTIONAL);
	event.zones_expected = fields_number(&fields, "zones_expected", REQUIRED, 0, INTEGER_MAX);
	event.zones_checked = fields_number(&fields, "zones_checked", REQUIRED, 0, INTEGER_MAX);
	event.missing = fields_number(&fields, "missing", REQUIRED, 0, INTEGER_MAX);
	event.drifted = fields_number(&fields, "drifted", REQUIRED, 0, INTEGER_MAX);
	event.undead = fields_number(&fields, "undead", REQUIRED, 0, INTEGER_MAX);
	event.foreign = fields_number(&fields, "foreign", REQUIRED, 0, INTEGER_MAX);
	event.unreadable = fields_number(&fields, "unreadable", REQUIRED, 0, INTEGER_MAX);
	event.healed = fields_number(&fields, "healed", REQUIRED, 0, INTEGER_MAX);
	event.samples = fields_texts(&fields, "samples", &event.sample_count);
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
		*event = (struct audit_event){.backend = NULL};
	}
}
