/* SPDX-License-Identifier: Apache-2.0 */
/* dadns.zones: what is true, and the two reserved records. */
#include <assert.h>

#include "common/event_json.h"

#define NOT_DELETED "belongs to a zone that is not deleted"

static void put_earlier(struct buf *out, const struct zone_event *event)
{
	char text[EVENT_ID_TEXT_SIZE];
	size_t i;

	if (event->earlier_count == 0) {
		return;
	}
	event_put_key(out, "earlier");
	for (i = 0; i < event->earlier_count; i++) {
		event_id_text(&event->earlier[i].id, text);
		buf_add_text(out, i == 0 ? "[{\"id\":\"" : ",{\"id\":\"");
		buf_add_text(out, text);
		buf_add_text(out, "\",\"at\":");
		buf_add_number(out, (uint64_t)event->earlier[i].at_ms);
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ']');
}

void zone_event_encode(const struct zone_event *event, struct buf *out)
{
	/* I5: what decode_summary gave has no content and must never become a value. */
	assert(event->deleted || event->rrset_count > 0);

	event_put_begin(out, KIND_ZONE);
	event_put_text(out, "zone", event->zone.text);
	event_put_version(out, "version", event->version);
	event_put_id(out, "id", &event->id);
	event_put_flag(out, "deleted", event->deleted);
	event_put_text(out, "owner", event->owner);
	event_put_text(out, "username", event->username);
	event_put_text(out, "sender", event->sender);
	event_put_time(out, "received_at", event->received_at_ms);
	event_put_time(out, "pushed_at", event->pushed_at_ms);
	event_put_flag(out, "now", event->now);
	event_put_flag(out, "unchecked", event->unchecked);
	event_put_flag(out, "unchanged", event->unchanged);
	put_earlier(out, event);
	if (!event->deleted) {
		event_put_number(out, "serial", event->serial);
		event_put_text(out, "digest", event->digest);
		event_put_rrsets(out, event->rrsets, event->rrset_count);
	}
	event_put_end(out, event->extra);
}

void zone_event_take(struct fields *fields, struct zone_event *out, bool with_rrsets)
{
	fields_name(fields, "zone", &out->zone);
	(void)fields_version(fields, "version", REQUIRED, &out->version); /* absence sticks */
	(void)fields_id(fields, "id", REQUIRED, &out->id);                /* absence sticks */
	out->deleted = fields_flag(fields, "deleted");
	out->owner = fields_text(fields, "owner", REQUIRED, EVENT_TEXT_MAX);
	out->username = fields_text(fields, "username", OPTIONAL, EVENT_TEXT_MAX);
	out->sender = fields_text(fields, "sender", REQUIRED, EVENT_TEXT_MAX);
	out->received_at_ms = fields_time(fields, "received_at", REQUIRED);
	out->pushed_at_ms = fields_time(fields, "pushed_at", REQUIRED);
	out->now = fields_flag(fields, "now");
	out->unchecked = fields_flag(fields, "unchecked");
	out->unchanged = fields_flag(fields, "unchanged");
	out->earlier = fields_earlier(fields, "earlier", &out->earlier_count);
	if (out->deleted) {
		fields_forbid(fields, "serial", NOT_DELETED);
		fields_forbid(fields, "digest", NOT_DELETED);
		fields_forbid(fields, "rrsets", NOT_DELETED);
	} else {
		out->serial = (uint32_t)fields_number(fields, "serial", REQUIRED, 0, UINT32_MAX);
		out->digest = fields_digest(fields, "digest", REQUIRED);
	}
	if (!out->deleted && with_rrsets) {
		out->rrsets = fields_rrsets(fields, "rrsets", &out->zone, &out->rrset_count);
	} else if (!out->deleted) {
		fields_drop_rrsets(fields, "rrsets");
	}
	out->extra = fields_extra(fields);
}

static enum outcome decode(struct span bytes, struct zone_event *out, bool with_rrsets,
			   struct reason *why)
{
	struct zone_event event = {.deleted = false};
	struct fields fields;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_ZONE, why);
	zone_event_take(&fields, &event, with_rrsets);
	outcome = fields_close(&fields, &event.memory);
	if (outcome == OK) {
		*out = event;
	}
	return outcome;
}

enum outcome zone_event_decode(struct span bytes, struct zone_event *out, struct reason *why)
{
	return decode(bytes, out, true, why);
}

enum outcome zone_event_decode_summary(struct span bytes, struct zone_event *out,
				       struct reason *why)
{
	return decode(bytes, out, false, why);
}

void zone_event_finish(struct zone_event *event)
{
	if (event != NULL) {
		event_memory_free(event->memory);
		*event = (struct zone_event){.deleted = false};
	}
}

void epoch_event_encode(const struct epoch_event *event, struct buf *out)
{
	event_put_begin(out, KIND_EPOCH);
	event_put_number(out, "epoch", event->epoch);
	event_put_time(out, "made_at", event->made_at_ms);
	event_put_number(out, "partition", event->partition);
	event_put_number(out, "partitions", event->partitions);
	event_put_end(out, NULL);
}

enum outcome epoch_event_decode(struct span bytes, struct epoch_event *out, struct reason *why)
{
	struct epoch_event event;
	struct fields fields;
	void *memory = NULL;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_EPOCH, why);
	event.epoch = fields_number(&fields, "epoch", REQUIRED, 1, INTEGER_MAX);
	event.made_at_ms = fields_time(&fields, "made_at", REQUIRED);
	event.partition = (int32_t)fields_number(&fields, "partition", REQUIRED, 0, INT32_MAX);
	event.partitions = (int32_t)fields_number(&fields, "partitions", REQUIRED, 1, INT32_MAX);
	if (event.partition >= event.partitions) {
		fields_refuse(&fields, "partition", "is not below partitions");
	}
	outcome = fields_close(&fields, &memory);
	if (outcome == OK) {
		event_memory_free(memory); /* no texts in this one */
		*out = event;
	}
	return outcome;
}

void barrier_event_encode(const struct barrier_event *event, struct buf *out)
{
	event_put_begin(out, KIND_BARRIER);
	event_put_id(out, "judge", &event->judge);
	event_put_time(out, "made_at", event->made_at_ms);
	event_put_number(out, "partition", event->partition);
	event_put_end(out, NULL);
}

enum outcome barrier_event_decode(struct span bytes, struct barrier_event *out, struct reason *why)
{
	struct barrier_event event = {.partition = 0};
	struct fields fields;
	void *memory = NULL;
	enum outcome outcome;

	fields_open(&fields, bytes, KIND_BARRIER, why);
	(void)fields_id(&fields, "judge", REQUIRED, &event.judge); /* its absence sticks */
	event.made_at_ms = fields_time(&fields, "made_at", REQUIRED);
	event.partition = (int32_t)fields_number(&fields, "partition", REQUIRED, 0, INT32_MAX);
	outcome = fields_close(&fields, &memory);
	if (outcome == OK) {
		event_memory_free(memory); /* no texts in this one */
		*out = event;
	}
	return outcome;
}
