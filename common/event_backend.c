/* SPDX-License-Identifier: Apache-2.0 */
/* dadns.audits: a backend in the registry. */
#include "common/event_json.h"

void backend_event_key(const struct backend_event *event, struct buf *out)
{
	buf_add_text(out, event->backend);
}

void backend_event_encode(const struct backend_event *event, struct buf *out)
{
	event_put_begin(out, KIND_BACKEND);
	event_put_text(out, "backend", event->backend);
	event_put_text(out, "type", event->type);
	event_put_flag(out, "retired", event->retired);
	event_put_time(out, "joined_at", event->joined_at_ms);
	if (event->retired_at_ms != 0) {
		event_put_time(out, "retired_at", event->retired_at_ms);
	}
	event_put_end(out, event->extra);
}

enum outcome backend_event_decode(struct span bytes, struct backend_event *out, struct reason *why)
{
	struct backend_event event = {.retired = false};
	struct fields fields;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_BACKEND, why);
	event.backend = fields_backend(&fields, "backend");
	event.type = fields_text(&fields, "type", REQUIRED, EVENT_TEXT_MAX);
	event.retired = fields_flag(&fields, "retired");
	event.joined_at_ms = fields_time(&fields, "joined_at", REQUIRED);
	event.retired_at_ms = fields_time(&fields, "retired_at", OPTIONAL);
	event.extra = fields_extra(&fields);
	outcome = fields_close(&fields, &event.memory);
	if (outcome == OK) {
		*out = event;
	}
	return outcome;
}

void backend_event_finish(struct backend_event *event)
{
	if (event != NULL) {
		event_memory_free(event->memory);
		*event = (struct backend_event){.retired = false};
	}
}
