/* SPDX-License-Identifier: Apache-2.0 */
/* Printing JSON into a buf: no tree in between, this is the door's and the judge's hot path. */
#include <string.h>

#include "common/clock.h"
#include "common/event_json.h"

#define LITERAL(text) ((struct span){(text), sizeof(text) - 1})

/* 0: as it is, '"' and '\\': after a backslash, 'u': not printable ASCII. */
static const char escape_of[256] = {
	[0x00 ... 0x1f] = 'u',
	['"'] = '"',
	['\\'] = '\\',
	[0x7f ... 0xff] = 'u',
};

static void put_escaped(struct buf *out, char byte, bool for_people)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t code = (uint8_t)byte;
	char text[6] = {'\\', 'u', '0', '0', hex[code >> 4], hex[code & 15]};

	if (escape_of[code] != 'u') {
		buf_add(out, (struct span){(const char[]){'\\', byte}, 2});
	} else if (for_people) {
		buf_add_byte(out, '?');
	} else {
		/* Not ours to mend: whoever decodes it refuses it. */
		buf_add(out, (struct span){text, sizeof(text)});
	}
}

static void put_string(struct buf *out, struct span text, bool for_people)
{
	size_t done = 0;
	size_t i;

	buf_add_byte(out, '"');
	for (i = 0; i < text.len; i++) {
		if (escape_of[(uint8_t)text.data[i]] != 0) {
			buf_add(out, (struct span){text.data + done, i - done});
			put_escaped(out, text.data[i], for_people);
			done = i + 1;
		}
	}
	buf_add(out, (struct span){text.data + done, text.len - done});
	buf_add_byte(out, '"');
}

static void put_note(struct buf *out, const char *text)
{
	put_string(out, (struct span){text, strnlen(text, EVENT_NOTE_MAX)}, true);
}

int event_schema_minor(const char *kind)
{
	/* heal/1.1: `unseen`; status/1.1: `record_*` */
	return strcmp(kind, KIND_HEAL) == 0 || strcmp(kind, KIND_STATUS) == 0 ? 1 : 0;
}

void event_put_begin(struct buf *out, const char *kind)
{
	buf_add(out, LITERAL("{\"schema\":\""));
	buf_add_text(out, kind);
	buf_add_byte(out, '/');
	buf_add_number(out, SCHEMA_MAJOR);
	buf_add_byte(out, '.');
	buf_add_number(out, (uint64_t)event_schema_minor(kind));
	buf_add_byte(out, '"');
}

void event_put_end(struct buf *out, const char *extra)
{
	struct span fields = span_of(extra);

	if (fields.len > 2) { /* more than {} */
		buf_add_byte(out, ',');
		buf_add(out, (struct span){fields.data + 1, fields.len - 2});
	}
	buf_add_byte(out, '}');
}

void event_put_key(struct buf *out, const char *name)
{
	buf_add(out, LITERAL(",\""));
	buf_add_text(out, name);
	buf_add(out, LITERAL("\":"));
}

void event_put_text(struct buf *out, const char *name, const char *text)
{
	if (text == NULL || text[0] == '\0') {
		return;
	}
	event_put_key(out, name);
	put_string(out, span_of(text), false);
}

void event_put_note(struct buf *out, const char *name, const char *text)
{
	if (text == NULL || text[0] == '\0') {
		return;
	}
	event_put_key(out, name);
	put_note(out, text);
}

void event_put_notes(struct buf *out, const char *name, const char *const *texts, size_t count)
{
	size_t i;

	if (count == 0) {
		return;
	}
	event_put_key(out, name);
	for (i = 0; i < count; i++) {
		buf_add_byte(out, i == 0 ? '[' : ',');
		put_note(out, texts[i]);
	}
	buf_add_byte(out, ']');
}

void event_put_flag(struct buf *out, const char *name, bool flag)
{
	if (flag) {
		event_put_key(out, name);
		buf_add(out, LITERAL("true"));
	}
}

static void put_integer(struct buf *out, int64_t number)
{
	if (number < 0) {
		buf_add_byte(out, '-');
	}
	buf_add_number(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void event_put_number(struct buf *out, const char *name, int64_t number)
{
	event_put_key(out, name);
	put_integer(out, number);
}

void event_put_time(struct buf *out, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_text(wall_ms, text);
	event_put_text(out, name, text);
}

void event_put_took(struct buf *out, const char *name, int64_t us)
{
	if (us < 0) {
		return;
	}
	event_put_key(out, name);
	buf_addf(out, "%lld.%03d", (long long)(us / 1000), (int)(us % 1000));
}

void event_put_id(struct buf *out, const char *name, const struct event_id *id)
{
	char text[EVENT_ID_TEXT_SIZE];

	event_id_text(id, text);
	event_put_text(out, name, text);
}

void event_put_version(struct buf *out, const char *name, struct version version)
{
	if (version_is_none(version)) {
		return;
	}
	event_put_key(out, name);
	buf_add(out, LITERAL("{\"epoch\":"));
	put_integer(out, version.epoch);
	buf_add(out, LITERAL(",\"offset\":"));
	put_integer(out, version.offset);
	buf_add_byte(out, '}');
}

void event_put_version_or_absent(struct buf *out, const char *name, struct version version)
{
	if (version_is_none(version)) {
		event_put_text(out, name, "absent");
	} else {
		event_put_version(out, name, version);
	}
}

static void put_rrset(struct buf *out, const struct rrset *rrset)
{
	size_t i;

	buf_add(out, LITERAL("{\"name\":"));
	put_string(out, span_of(rrset->name), false);
	buf_add(out, LITERAL(",\"type\":"));
	put_string(out, span_of(rrset->type), false);
	buf_add(out, LITERAL(",\"ttl\":"));
	buf_add_number(out, rrset->ttl);
	buf_add(out, LITERAL(",\"rdata\":["));
	for (i = 0; i < rrset->count; i++) {
		if (i != 0) {
			buf_add_byte(out, ',');
		}
		put_string(out, span_of(rrset->rdata[i]), false);
	}
	buf_add(out, LITERAL("]}"));
}

void event_put_rrsets(struct buf *out, const struct rrset *rrsets, size_t count)
{
	size_t i;

	event_put_key(out, "rrsets");
	buf_add_byte(out, '[');
	for (i = 0; i < count; i++) {
		if (i != 0) {
			buf_add_byte(out, ',');
		}
		put_rrset(out, &rrsets[i]);
	}
	buf_add_byte(out, ']');
}
