/* SPDX-License-Identifier: Apache-2.0 */
/* A zone that a backend refused, as it stands in Redis. */
#include "common/event_json.h"

void retry_event_encode(const struct retry_event *event, struct buf *out)
{
	event_put_begin(out, KIND_RETRY);
	event_put_text(out, "backend", event->backend);
	event_put_text(out, "zone", event->zone.text);
	event_put_version(out, "version", event->version);
	event_put_text(out, "topic", event->topic);
	event_put_number(out, "partition", event->partition);
	event_put_number(out, "offset", event->offset);
	event_put_number(out, "attempt", event->attempt);
	event_put_flag(out, "dead", event->dead);
	event_put_time(out, "first_failed_at", event->first_failed_at_ms);
	event_put_note(out, "reason", event->reason);
	event_put_end(out, NULL);
}

enum outcome retry_event_decode(struct span bytes, struct retry_event *out, struct reason *why)
{
	struct retry_event event = {.dead = false};
	struct fields fields;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_RETRY, why);
	event.backend = fields_backend(&fields, "backend");
	fields_name(&fields, "zone", &event.zone);
	(void)fields_version(&fields, "version", REQUIRED, &event.version); /* its absence sticks */
	event.topic = fields_text(&fields, "topic", REQUIRED, EVENT_TEXT_MAX);
	event.partition = (int32_t)fields_number(&fields, "partition", REQUIRED, 0, INT32_MAX);
	event.offset = fields_number(&fields, "offset", REQUIRED, 0, INTEGER_MAX);
	event.attempt = fields_number(&fields, "attempt", REQUIRED, 1, INTEGER_MAX);
	event.dead = fields_flag(&fields, "dead");
	event.first_failed_at_ms = fields_time(&fields, "first_failed_at", REQUIRED);
	event.reason = fields_text(&fields, "reason", OPTIONAL, EVENT_NOTE_MAX);
	outcome = fields_close(&fields, &event.memory);
	if (outcome == OK) {
		*out = event;
	}
	return outcome;
}

void retry_event_finish(struct retry_event *event)
{
	if (event != NULL) {
		event_memory_free(event->memory);
		*event = (struct retry_event){.dead = false};
	}
}
