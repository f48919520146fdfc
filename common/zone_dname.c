/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_dname.h"

#include <assert.h>
#include <string.h>

#define PRINTED_MAX (4 * DNAME_MAX + 2)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads an escape of a label, `\X` or `\DDD`. The lexer has checked its form. */
static unsigned char take_escape(struct span text, size_t *at)
{
	const char *from = text.data + *at;

	assert(*at + 1 < text.len);
	if (!is_digit(from[1])) {
		*at += 2;
		return (unsigned char)from[1];
	}
	assert(*at + 3 < text.len);
	*at += 4;
	return (unsigned char)((from[1] - '0') * 100 + (from[2] - '0') * 10 + (from[3] - '0'));
}

static bool needs_check(unsigned char byte)
{
	return byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\' || byte == '$' ||
	       byte == '@';
}

static enum outcome check_byte(unsigned char byte, enum dname_use use, bool first, struct span text,
			       struct reason *why)
{
	bool odd = byte == '"' || byte == '\\' || byte == '$' ||
		   (byte == '@' && (use == DNAME_OWNER || first));

	if (byte < 0x20 || byte == 0x7f) {
		return because(PERMFAIL, why, "'%s' holds a control byte", name_quote(text).text);
	}
	if (odd) {
		return because(PERMFAIL, why,
			       "'%s' holds a `%c`, which name servers read differently",
			       name_quote(text).text, byte);
	}
	return OK;
}

/* Labels of `text` into `out`; a final dot becomes the root label. */
static enum outcome parse_labels(struct span text, enum dname_use use, struct dname *out,
				 bool *absolute, struct reason *why)
{
	size_t start = 0; /* where the length byte of the current label goes */
	size_t len = 1;
	size_t at = 0;

	while (at < text.len) {
		unsigned char byte = (unsigned char)text.data[at];
		bool dot = byte == '.';

		if (byte == '\\') {
			byte = take_escape(text, &at);
		} else {
			at++;
		}

		if (len >= DNAME_MAX) {
			return because(PERMFAIL, why, "'%s' is longer than %d bytes",
				       name_quote(text).text, DNAME_MAX);
		}
		if (dot) {
			if (len == start + 1) {
				return because(PERMFAIL, why, "'%s' has an empty label",
					       name_quote(text).text);
			}
			out->wire[start] = (char)(len - start - 1);
			start = len++;
			continue;
		}
		if (needs_check(byte) && check_byte(byte, use, len == 1, text, why) != OK) {
			return PERMFAIL;
		}
		if (len - start > DNAME_LABEL_MAX) {
			return because(PERMFAIL, why, "'%s' has a label of more than %d bytes",
				       name_quote(text).text, DNAME_LABEL_MAX);
		}
		out->wire[len++] = (char)byte;
	}
	out->wire[start] = (char)(len - start - 1);
	out->len = (uint8_t)len;
	*absolute = len == start + 1;
	return OK;
}

enum outcome dname_parse(struct span text, const struct dname *origin, enum dname_use use,
			 struct dname *out, struct reason *why)
{
	struct dname dname;
	bool absolute = false;

	if (text.len == 0) {
		return because(PERMFAIL, why, "a name is empty");
	}
	if (span_is(text, "@")) {
		dname_copy(origin, out);
		return OK;
	}
	if (span_is(text, ".")) {
		out->len = 1;
		out->wire[0] = 0;
		return OK;
	}
	if (parse_labels(text, use, &dname, &absolute, why) != OK) {
		return PERMFAIL;
	}
	if (!absolute) {
		if ((size_t)dname.len + origin->len > DNAME_MAX) {
			return because(PERMFAIL, why,
				       "'%s' with its origin is longer than %d bytes",
				       name_quote(text).text, DNAME_MAX);
		}
		memcpy(dname.wire + dname.len, origin->wire, origin->len);
		dname.len = (uint8_t)(dname.len + origin->len);
	}
	dname_copy(&dname, out);
	return OK;
}

void dname_from_name(const struct name *name, struct dname *out)
{
	size_t start = 0;
	size_t i;

	for (i = 0; i <= name->len; i++) {
		if (i == name->len || name->text[i] == '.') {
			out->wire[start] = (char)(i - start);
			start = i + 1;
		} else {
			out->wire[i + 1] = name->text[i];
		}
	}
	out->wire[start] = 0;
	out->len = (uint8_t)(start + 1);
}

void dname_copy(const struct dname *from, struct dname *to)
{
	to->len = from->len;
	memmove(to->wire, from->wire, from->len); /* they may be one */
}

struct span dname_span(const struct dname *dname)
{
	return (struct span){dname->wire, dname->len};
}

void dname_lower(char *wire, size_t len)
{
	size_t i;

	/* Length bytes are below 'A'. */
	for (i = 0; i < len; i++) {
		if (wire[i] >= 'A' && wire[i] <= 'Z') {
			wire[i] = (char)(wire[i] + ('a' - 'A'));
		}
	}
}

static const bool is_special[256] = {
	['$'] = true, ['@'] = true, ['"'] = true,  [';'] = true,
	['('] = true, [')'] = true, ['\\'] = true, ['.'] = true,
};

static size_t print_byte(unsigned char byte, char *out)
{
	if (byte <= ' ' || byte >= 0x7f) {
		out[0] = '\\';
		out[1] = (char)('0' + byte / 100);
		out[2] = (char)('0' + byte / 10 % 10);
		out[3] = (char)('0' + byte % 10);
		return 4;
	}
	if (is_special[byte]) {
		out[0] = '\\';
		out[1] = (char)byte;
		return 2;
	}
	out[0] = (char)byte;
	return 1;
}

static size_t print(struct span wire, char text[PRINTED_MAX])
{
	size_t len = 0;
	size_t at = 0;

	while (at < wire.len && wire.data[at] != 0) {
		size_t end = at + (size_t)(unsigned char)wire.data[at];

		for (at++; at <= end; at++) {
			len += print_byte((unsigned char)wire.data[at], text + len);
		}
		text[len++] = '.';
	}
	if (len == 0) {
		text[len++] = '.';
	}
	return len;
}

void dname_print(struct span wire, struct buf *out)
{
	char text[PRINTED_MAX];
	size_t len = print(wire, text);

	buf_add(out, (struct span){text, len});
}

struct name_quote dname_quote(struct span wire)
{
	struct name_quote out = {0};
	char text[PRINTED_MAX];
	size_t len = print(wire, text);

	len -= len > 1; /* the final dot */
	if (len < sizeof(out.text)) {
		memcpy(out.text, text, len);
	} else {
		memcpy(out.text, text, sizeof(out.text) - sizeof("..."));
		memcpy(out.text + sizeof(out.text) - sizeof("..."), "...", sizeof("..."));
	}
	return out;
}

struct span dname_parent(struct span wire)
{
	size_t label = wire.data[0] == 0 ? 0 : (size_t)(unsigned char)wire.data[0] + 1;

	return (struct span){wire.data + label, wire.len - label};
}

struct span dname_first(struct span bytes)
{
	size_t len = 0;

	while (bytes.data[len] != 0) {
		len += (size_t)(unsigned char)bytes.data[len] + 1;
	}
	return (struct span){bytes.data, len + 1};
}

bool dname_is_within(struct span wire, struct span ancestor)
{
	while (wire.len > ancestor.len) {
		wire = dname_parent(wire);
	}
	return span_equal(wire, ancestor);
}

bool dname_is_below(struct span wire, struct span ancestor)
{
	return wire.len > ancestor.len && dname_is_within(wire, ancestor);
}

bool dname_order(struct span wire, char order[DNAME_ORDER_MAX], size_t *len)
{
	size_t end = wire.len - 1; /* the root has no place in it */
	size_t at = 0;

	*len = end;
	while (wire.data[at] != 0) {
		size_t label = (size_t)(unsigned char)wire.data[at];

		if (memchr(wire.data + at + 1, 0, label) != NULL) {
			return false;
		}
		order[--end] = '\0';
		end -= label;
		memcpy(order + end, wire.data + at + 1, label);
		at += label + 1;
	}
	return true;
}

int dname_order_compare(struct span a, struct span b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int difference = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);

	if (difference != 0) {
		return difference;
	}
	return (a.len > b.len) - (a.len < b.len);
}

bool dname_is_wildcard(struct span wire)
{
	return wire.len > 2 && wire.data[0] == 1 && wire.data[1] == '*';
}

static bool is_octet(struct span wire)
{
	size_t len = (size_t)(unsigned char)wire.data[0];
	unsigned value = 0;
	size_t i;

	for (i = 1; i <= len; i++) {
		if (!is_digit(wire.data[i])) {
			return false;
		}
		value = value * 10 + (unsigned)(wire.data[i] - '0');
	}
	return len >= 1 && len <= 3 && value <= 255;
}

bool dname_is_address(struct span wire, struct span origin)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (!is_octet(wire)) {
			return false;
		}
		wire = dname_parent(wire);
	}
	return wire.len == 1 || span_equal(wire, origin);
}
