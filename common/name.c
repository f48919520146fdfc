/* SPDX-License-Identifier: Apache-2.0 */
#include "common/name.h"

#include <stdio.h>
#include <string.h>

#include "common/digest.h"

#define LABEL_MAX 63
#define FILE_PLAIN_MAX 200
#define FILE_HEAD 120

struct name_quote name_quote(struct span bytes)
{
	struct name_quote out = {0};
	size_t room = sizeof(out.text) - sizeof("...");
	size_t at = 0;
	size_t i;

	for (i = 0; i < bytes.len; i++) {
		unsigned char byte = (unsigned char)bytes.data[i];
		bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\' && byte != '"';

		if (at + (plain ? 1 : 4) > room) {
			(void)snprintf(out.text + at, sizeof(out.text) - at, "...");
			break;
		}
		if (plain) {
			out.text[at++] = (char)byte;
		} else {
			(void)snprintf(out.text + at, sizeof(out.text) - at, "\\%03u", byte);
			at += 4;
		}
	}
	return out;
}

static bool ends_with(struct span text, const char *suffix)
{
	size_t len = strlen(suffix);

	return text.len > len &&
	       span_is_nocase((struct span){text.data + text.len - len, len}, suffix);
}

static enum outcome check_label(struct span label, struct span whole, bool reverse,
				struct reason *why)
{
	size_t i;

	if (label.len == 0) {
		return because(PERMFAIL, why,
			       "'%s' has an empty label (two dots in a row, or a dot first)",
			       name_quote(whole).text);
	}
	if (label.len > LABEL_MAX) {
		return because(PERMFAIL, why, "label '%s' is longer than %d bytes",
			       name_quote(label).text, LABEL_MAX);
	}
	if (label.data[0] == '-' || label.data[label.len - 1] == '-') {
		return because(PERMFAIL, why, "label '%s' begins or ends with a hyphen",
			       name_quote(label).text);
	}
	for (i = 0; i < label.len; i++) {
		char c = label.data[i];
		bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			     (c == '/' && reverse);

		if (!legal) {
			return because(PERMFAIL, why, "'%s' is no zone name: byte %zu is '%s'",
				       name_quote(whole).text,
				       (size_t)(label.data - whole.data) + i + 1,
				       name_quote((struct span){&c, 1}).text);
		}
	}
	return OK;
}

enum outcome name_parse(struct span text, struct name *out, struct reason *why)
{
	struct name name = {0};
	size_t start = 0;
	size_t i;
	bool reverse;

	if (text.len != 0 && text.data[text.len - 1] == '.') {
		text.len--;
	}
	if (text.len == 0) {
		return because(PERMFAIL, why, "the zone name is empty");
	}
	if (text.len > NAME_TEXT_MAX) {
		return because(PERMFAIL, why, "'%s' is longer than %d bytes", name_quote(text).text,
			       NAME_TEXT_MAX);
	}
	reverse = ends_with(text, ".in-addr.arpa") || ends_with(text, ".ip6.arpa");
	for (i = 0; i <= text.len; i++) {
		if (i == text.len || text.data[i] == '.') {
			struct span label = {text.data + start, i - start};

			if (check_label(label, text, reverse, why) != OK) {
				return PERMFAIL;
			}
			start = i + 1;
		}
	}
	name.len = (uint8_t)text.len;
	for (i = 0; i < text.len; i++) {
		char c = text.data[i];

		name.text[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	*out = name;
	return OK;
}

struct span name_span(const struct name *name)
{
	return (struct span){name->text, name->len};
}

bool name_equal(const struct name *a, const struct name *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

bool name_is_below(const struct name *name, const struct name *ancestor)
{
	size_t at;

	if (name->len <= ancestor->len + 1) {
		return false;
	}
	at = (size_t)name->len - ancestor->len;
	return name->text[at - 1] == '.' &&
	       memcmp(name->text + at, ancestor->text, ancestor->len) == 0;
}

bool name_parent(const struct name *name, struct name *out)
{
	const char *dot = memchr(name->text, '.', name->len);
	struct name parent = {0};

	if (dot == NULL) {
		return false;
	}
	parent.len = (uint8_t)(name->len - (dot + 1 - name->text));
	memcpy(parent.text, dot + 1, parent.len);
	*out = parent;
	return true;
}

size_t name_label_count(const struct name *name)
{
	size_t count = 1;
	size_t i;

	for (i = 0; i < name->len; i++) {
		count += name->text[i] == '.';
	}
	return count;
}

uint64_t name_hash(const struct name *name)
{
	uint64_t hash = 14695981039346656037U;
	size_t i;

	for (i = 0; i < name->len; i++) {
		hash = (hash ^ (unsigned char)name->text[i]) * 1099511628211U;
	}
	return hash;
}

void name_file(const struct name *name, char out[NAME_FILE_SIZE])
{
	char encoded[3 * NAME_TEXT_MAX + 1];
	uint8_t sum[SHA256_SIZE];
	size_t len = 0;
	size_t i;

	for (i = 0; i < name->len; i++) {
		if (name->text[i] == '/') {
			memcpy(encoded + len, "%2f", 3);
			len += 3;
		} else {
			encoded[len++] = name->text[i];
		}
	}
	encoded[len] = '\0';
	if (len <= FILE_PLAIN_MAX) {
		memcpy(out, encoded, len + 1);
		return;
	}
	/* `~` is in no name, so the two forms cannot meet. */
	sha256(name_span(name), sum);
	memcpy(out, encoded, FILE_HEAD);
	out[FILE_HEAD] = '~';
	for (i = 0; i < sizeof(sum); i++) {
		(void)snprintf(out + FILE_HEAD + 1 + 2 * i, 3, "%02x", sum[i]);
	}
}
