/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_scan.h"

#include <endian.h>
#include <string.h>

#define DIGITS_MAX 18 /* fit an int64_t */
#define KEY(text)                      \
	{                              \
		text, sizeof(text) - 1 \
	}

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n' ||
					    *cursor->at == '\t' || *cursor->at == '\r')) {
		cursor->at++;
	}
}

/* scan_byte for this file: most bytes of an event pass here. */
static inline bool take_byte(struct cursor *cursor, char byte)
{
	if (cursor->at < cursor->end && *cursor->at == byte) {
		cursor->at++; /* as we print it */
		return true;
	}
	skip_space(cursor);
	if (cursor->at == cursor->end || *cursor->at != byte) {
		return false;
	}
	cursor->at++;
	return true;
}

bool scan_byte(struct cursor *cursor, char byte)
{
	return take_byte(cursor, byte);
}

static int hex_value(char byte)
{
	if (byte >= '0' && byte <= '9') {
		return byte - '0';
	}
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The byte behind a backslash that the cursor has passed; -1: none that is printable ASCII. */
static int scan_escape(struct cursor *cursor)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	int high;
	int low;

	if (left > 0 && (*cursor->at == '"' || *cursor->at == '\\' || *cursor->at == '/')) {
		return *cursor->at++;
	}
	if (left < 5 || memcmp(cursor->at, "u00", 3) != 0) {
		return -1;
	}
	high = hex_value(cursor->at[3]);
	low = hex_value(cursor->at[4]);
	cursor->at += 5;
	if (high < 2 || high > 7 || low < 0 || (high == 7 && low == 15)) {
		return -1;
	}
	return high << 4 | low;
}

/* Past the bytes that need no look: printable, no quote, no backslash. Eight at a time: the lowest
 * byte with its high bit set in `odd` is the first that needs one (above it, borrows may lie). */
static inline void skip_plain(struct cursor *cursor)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const char *at = cursor->at;
	uint64_t odd = 0;

	while (odd == 0 && cursor->end - at >= 8) {
		uint64_t word;
		uint64_t quote;
		uint64_t slash;

		memcpy(&word, at, 8);
		word = le64toh(word);
		quote = word ^ ones * '"';
		slash = word ^ ones * '\\';
		odd = ((word - ones * 0x20) | (quote - ones) | (slash - ones) | (word + ones) |
		       word) &
		      ones << 7;
		at += odd == 0 ? 8 : __builtin_ctzll(odd) / 8;
	}
	cursor->at = at;
}

bool scan_string(struct cursor *cursor, struct span *out)
{
	const char *start;

	if (!take_byte(cursor, '"')) {
		return false;
	}
	start = cursor->at;
	skip_plain(cursor);
	while (cursor->at < cursor->end) {
		char byte = *cursor->at;

		if (byte < 0x20 || byte > 0x7e) {
			return false;
		}
		cursor->at++;
		if (byte == '"') {
			*out = (struct span){start, (size_t)(cursor->at - 1 - start)};
			return true;
		}
		if (byte == '\\') {
			if (scan_escape(cursor) < 0) {
				return false;
			}
			skip_plain(cursor);
		}
	}
	return false;
}

size_t scan_unescape(struct span string, char *out)
{
	struct cursor cursor = {string.data, string.data + string.len};
	size_t len = 0;

	while (cursor.at < cursor.end) {
		size_t left = (size_t)(cursor.end - cursor.at);
		const char *escape = memchr(cursor.at, '\\', left);
		size_t plain = escape == NULL ? left : (size_t)(escape - cursor.at);

		memcpy(out + len, cursor.at, plain);
		len += plain;
		cursor.at += plain;
		if (escape != NULL) {
			cursor.at++;
			out[len++] = (char)scan_escape(&cursor);
		}
	}
	return len;
}

static bool scan_integer(struct cursor *cursor, int64_t *out)
{
	bool negative = take_byte(cursor, '-');
	const char *start = cursor->at;
	int64_t number = 0;

	while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' &&
	       cursor->at - start < DIGITS_MAX) {
		number = number * 10 + (*cursor->at - '0');
		cursor->at++;
	}
	if (cursor->at == start || (*start == '0' && cursor->at - start > 1)) {
		return false;
	}
	/* More digits, a fraction or an exponent: no comma and no brace, so the caller stops. */
	*out = negative ? -number : number;
	return true;
}

/* Is this string, of which nothing is known but where it ends, `text`? */
static bool string_is(struct span string, struct span text)
{
	struct cursor cursor = {string.data, string.data + string.len};
	size_t i;

	if (string.len <= text.len) { /* escapes are longer than what they mean */
		return span_equal(string, text);
	}
	for (i = 0; i < text.len && cursor.at < cursor.end; i++) {
		char byte = *cursor.at++;

		if ((byte == '\\' ? scan_escape(&cursor) : byte) != text.data[i]) {
			return false;
		}
	}
	return i == text.len && cursor.at == cursor.end;
}

/* The key and the colon of the next member. It must be one of `names` and not in *seen. */
static bool scan_key(struct cursor *cursor, const struct span *names, size_t count, unsigned *seen,
		     size_t *out)
{
	struct span key;
	size_t i = 0;

	if (!scan_string(cursor, &key) || !take_byte(cursor, ':')) {
		return false;
	}
	while (i < count && !string_is(key, names[i])) {
		i++;
	}
	if (i == count || (*seen & 1U << i) != 0) {
		return false;
	}
	*seen |= 1U << i;
	*out = i;
	return true;
}

static bool scan_rdata(struct cursor *cursor, struct rrset_text *out)
{
	struct span string;

	if (!take_byte(cursor, '[')) {
		return false;
	}
	out->rdata = *cursor;
	out->count = 0;
	do {
		if (!scan_string(cursor, &string)) {
			return false;
		}
		out->count++;
		out->bytes += string.len + 1;
	} while (take_byte(cursor, ','));
	return take_byte(cursor, ']');
}

bool scan_rrset(struct cursor *cursor, struct rrset_text *out, enum rrset_part *part)
{
	static const struct span names[] = {KEY("name"), KEY("type"), KEY("ttl"), KEY("rdata")};
	unsigned seen = 0;

	*part = RRSET_WHOLE;
	out->bytes = 0;
	if (!take_byte(cursor, '{')) {
		return false;
	}
	do {
		bool fine = false;
		size_t key;

		*part = RRSET_WHOLE;
		if (!scan_key(cursor, names, 4, &seen, &key)) {
			return false;
		}
		*part = (enum rrset_part)key;
		if (key == RRSET_NAME) {
			fine = scan_string(cursor, &out->name);
		} else if (key == RRSET_TYPE) {
			fine = scan_string(cursor, &out->type);
		} else if (key == RRSET_TTL) {
			fine = scan_integer(cursor, &out->ttl);
		} else {
			fine = scan_rdata(cursor, out);
		}
		if (!fine) {
			return false;
		}
	} while (take_byte(cursor, ','));
	*part = RRSET_WHOLE;
	if (seen != 15 || !take_byte(cursor, '}')) {
		return false;
	}
	out->bytes += out->name.len + 1 + out->type.len + 1;
	return true;
}

bool scan_earlier(struct cursor *cursor, struct earlier_text *out)
{
	static const struct span names[] = {KEY("id"), KEY("at")};
	unsigned seen = 0;

	if (!take_byte(cursor, '{')) {
		return false;
	}
	do {
		size_t key;

		if (!scan_key(cursor, names, 2, &seen, &key) ||
		    !(key == 0 ? scan_string(cursor, &out->id)
			       : scan_integer(cursor, &out->at_ms))) {
			return false;
		}
	} while (take_byte(cursor, ','));
	return seen == 3 && take_byte(cursor, '}');
}

/* --- finding ---------------------------------------------------------------------------------- */

/* Over the rest of a string whose first quote is passed, whatever it holds. */
static bool skip_string(struct cursor *cursor, struct span *out)
{
	const char *start = cursor->at;
	const char *quote = memchr(start, '"', (size_t)(cursor->end - start));

	if (quote != NULL && memchr(start, '\\', (size_t)(quote - start)) == NULL) {
		*out = (struct span){start, (size_t)(quote - start)};
		cursor->at = quote + 1;
		return true;
	}
	while (cursor->at < cursor->end) {
		char byte = *cursor->at++;

		if (byte == '"') {
			*out = (struct span){start, (size_t)(cursor->at - 1 - start)};
			return true;
		}
		if (byte == '\\' && cursor->at < cursor->end) {
			cursor->at++;
		}
	}
	return false;
}

/* Over a value up to the comma or bracket behind it. */
static void skip_value(struct cursor *cursor)
{
	struct span string;
	size_t depth = 0;

	while (cursor->at < cursor->end) {
		char byte = *cursor->at;

		if (depth == 0 && (byte == ',' || byte == '}' || byte == ']')) {
			return;
		}
		cursor->at++;
		if (byte == '"') {
			(void)skip_string(cursor, &string); /* without its end: we are at the end */
		} else if (byte == '{' || byte == '[') {
			depth++;
		} else if (byte == '}' || byte == ']') {
			depth--;
		}
	}
}

static bool read_rrsets(struct cursor *cursor, struct event_lists *out)
{
	struct rrset_text rrset;

	out->part = RRSET_WHOLE;
	out->rrset_count = out->rdata_count = out->rrset_bytes = 0;
	if (!take_byte(cursor, '[')) {
		return false;
	}
	out->rrsets = *cursor;
	do {
		if (!scan_rrset(cursor, &rrset, &out->part)) {
			out->odd_rrset = out->rrset_count;
			return false;
		}
		out->rrset_count++;
		out->rdata_count += rrset.count;
		out->rrset_bytes += rrset.bytes;
	} while (take_byte(cursor, ','));
	out->part = RRSET_WHOLE;
	return take_byte(cursor, ']');
}

static bool read_earlier(struct cursor *cursor, struct event_lists *out)
{
	struct earlier_text push;

	out->earlier_count = 0;
	if (!take_byte(cursor, '[')) {
		return false;
	}
	out->earlier = *cursor;
	do {
		if (!scan_earlier(cursor, &push)) {
			return false;
		}
		out->earlier_count++;
	} while (take_byte(cursor, ','));
	return take_byte(cursor, ']');
}

/* The value at the cursor becomes a cut if `read` knows it, else `list` is not there. */
static void cut(struct cursor *cursor, bool (*read)(struct cursor *, struct event_lists *),
		struct cursor *list, struct event_lists *out)
{
	const char *start;

	skip_space(cursor);
	start = cursor->at;
	if (read(cursor, out)) {
		out->cuts[out->cut_count++] = (struct span){start, (size_t)(cursor->at - start)};
	} else {
		*list = (struct cursor){NULL, NULL};
		cursor->at = start;
		skip_value(cursor);
	}
}

void event_lists_find(struct span text, const char *inside, bool with_earlier,
		      struct event_lists *out)
{
	static const struct span rrsets = KEY("rrsets");
	static const struct span earlier = KEY("earlier");
	struct cursor cursor = {text.data, text.data + text.len};
	struct span key;

	*out = (struct event_lists){.part = RRSET_WHOLE};
	if (!take_byte(&cursor, '{')) {
		return;
	}
	do {
		if (!take_byte(&cursor, '"') || !skip_string(&cursor, &key) ||
		    !take_byte(&cursor, ':')) {
			return;
		}
		if (inside != NULL && string_is(key, span_of(inside))) {
			skip_space(&cursor);
			text = (struct span){cursor.at, (size_t)(cursor.end - cursor.at)};
			event_lists_find(text, NULL, with_earlier, out);
			return;
		}
		/* A second list of the same name stays in the text: jansson refuses the name. */
		if (inside == NULL && out->rrsets.at == NULL && string_is(key, rrsets)) {
			cut(&cursor, read_rrsets, &out->rrsets, out);
		} else if (inside == NULL && with_earlier && out->earlier.at == NULL &&
			   string_is(key, earlier)) {
			cut(&cursor, read_earlier, &out->earlier, out);
		} else {
			skip_value(&cursor);
		}
	} while (take_byte(&cursor, ','));
}
