/* SPDX-License-Identifier: Apache-2.0 */
/* What all events share: versions, ids, headers. */
#include "common/event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/event_json.h"

int version_compare(struct version a, struct version b)
{
	if (a.epoch != b.epoch) {
		return a.epoch < b.epoch ? -1 : 1;
	}
	if (a.offset != b.offset) {
		return a.offset < b.offset ? -1 : 1;
	}
	return 0;
}

bool version_is_none(struct version version)
{
	return version.epoch == 0;
}

void version_text(struct version version, char out[VERSION_TEXT_SIZE])
{
	if (version_is_none(version)) {
		memcpy(out, "none", sizeof("none"));
		return;
	}
	(void)snprintf(out, VERSION_TEXT_SIZE, "%" PRId64 "-%" PRId64, version.epoch,
		       version.offset); /* two numbers of at most 20 bytes fit */
}

static bool number_parse(struct span text, int64_t *out)
{
	int64_t number = 0;
	size_t i;

	if (text.len == 0 || (text.len > 1 && text.data[0] == '0')) {
		return false;
	}
	for (i = 0; i < text.len; i++) {
		int digit = text.data[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, digit, &number)) {
			return false;
		}
	}
	*out = number;
	return true;
}

bool version_parse(struct span text, struct version *out)
{
	const char *dash = text.len == 0 ? NULL : memchr(text.data, '-', text.len);
	struct version version;
	size_t len;

	if (span_is(text, "none")) {
		*out = (struct version){0};
		return true;
	}
	if (dash == NULL) {
		return false;
	}
	len = (size_t)(dash - text.data);
	if (!number_parse((struct span){text.data, len}, &version.epoch) ||
	    !number_parse((struct span){dash + 1, text.len - len - 1}, &version.offset) ||
	    version.epoch == 0) {
		return false;
	}
	*out = version;
	return true;
}

/* One call to the kernel serves many ids. No process of ours forks. */
static void random_bytes(uint8_t *out, size_t len)
{
	static _Thread_local uint8_t pool[256];
	static _Thread_local size_t left;
	ssize_t got;

	if (left < len) {
		do { /* up to 256 bytes come whole or not at all */
			got = getrandom(pool, sizeof(pool), 0);
		} while (got < 0 && errno == EINTR);
		if (got != (ssize_t)sizeof(pool)) {
			abort(); /* a kernel without getrandom: an id twice would lose a push */
		}
		left = sizeof(pool);
	}
	left -= len;
	memcpy(out, pool + left, len);
}

struct event_id event_id_create(void)
{
	uint64_t ms = (uint64_t)clock_wall_ms();
	struct event_id id;
	size_t i;

	random_bytes(id.bytes, sizeof(id.bytes));
	for (i = 0; i < 6; i++) {
		id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	}
	id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f));
	id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
	return id;
}

bool event_id_equal(const struct event_id *a, const struct event_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static void print_hex(const uint8_t *bytes, size_t len, char *out)
{
	static const char hex[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = hex[bytes[i] >> 4];
		out[2 * i + 1] = hex[bytes[i] & 15];
	}
}

static int hex_value(char byte)
{
	if (byte >= '0' && byte <= '9') {
		return byte - '0';
	}
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

void event_id_text(const struct event_id *id, char out[EVENT_ID_TEXT_SIZE])
{
	print_hex(id->bytes, 4, out);
	print_hex(id->bytes + 4, 2, out + 9);
	print_hex(id->bytes + 6, 2, out + 14);
	print_hex(id->bytes + 8, 2, out + 19);
	print_hex(id->bytes + 10, 6, out + 24);
	out[8] = out[13] = out[18] = out[23] = '-';
	out[36] = '\0';
}

bool event_id_parse(struct span text, struct event_id *out)
{
	struct event_id id = {{0}};
	size_t digits = 0;
	size_t i;

	if (text.len != EVENT_ID_TEXT_SIZE - 1) {
		return false;
	}
	for (i = 0; i < text.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		int value = hex_value(text.data[i]);

		if (dash ? text.data[i] != '-' : value < 0) {
			return false;
		}
		if (!dash) {
			id.bytes[digits / 2] = (uint8_t)(id.bytes[digits / 2] << 4 | value);
			digits++;
		}
	}
	*out = id;
	return true;
}

static void add(struct event_headers *out, const char *name, struct span value)
{
	if (value.len != 0) {
		out->items[out->count++] = (struct header){name, value};
	}
}

void event_headers(struct event_headers *out, const char *kind, const struct event_id *id,
		   const char *source, const char *zone, int64_t at_ms, struct span traceparent)
{
	out->count = 0;
	event_id_text(id, out->id);
	clock_text(at_ms, out->time);
	(void)snprintf(out->type, sizeof(out->type), "dadns.%s", kind); /* our own kinds fit */
	(void)snprintf(out->schema, sizeof(out->schema), "urn:dadns:schema:%s:%d.%d", kind,
		       SCHEMA_MAJOR, event_schema_minor(kind));
	add(out, "ce_specversion", span_of("1.0"));
	add(out, "ce_id", span_of(out->id));
	add(out, "ce_source", span_of(source));
	add(out, "ce_type", span_of(out->type));
	add(out, "ce_subject", span_of(zone));
	add(out, "ce_time", span_of(out->time));
	add(out, "ce_dataschema", span_of(out->schema));
	add(out, "content-type", span_of("application/json"));
	add(out, "traceparent", traceparent);
}

/* `len` lower case hex digits, not all zero (unless that is fine). */
static bool is_hex(const char *text, size_t len, bool zero_is_fine)
{
	bool zero = true;
	size_t i;

	for (i = 0; i < len; i++) {
		if (hex_value(text[i]) < 0) {
			return false;
		}
		zero = zero && text[i] == '0';
	}
	return zero_is_fine || !zero;
}

static bool traceparent_is_valid(struct span text)
{
	return text.len == TRACEPARENT_SIZE - 1 && memcmp(text.data, "00-", 3) == 0 &&
	       is_hex(text.data + 3, 32, false) && text.data[35] == '-' &&
	       is_hex(text.data + 36, 16, false) && text.data[52] == '-' &&
	       is_hex(text.data + 53, 2, true);
}

void traceparent_make(struct span from_outside, char out[TRACEPARENT_SIZE])
{
	uint8_t ids[24];

	if (traceparent_is_valid(from_outside)) {
		memcpy(out, from_outside.data, TRACEPARENT_SIZE - 1);
		out[TRACEPARENT_SIZE - 1] = '\0';
		return;
	}
	random_bytes(ids, sizeof(ids));
	ids[15] |= 1; /* neither id may be all zero */
	ids[23] |= 1;
	memcpy(out, "00-", 3);
	print_hex(ids, 16, out + 3);
	out[35] = '-';
	print_hex(ids + 16, 8, out + 36);
	memcpy(out + 52, "-00", 4);
}
