/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http_text.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_decode(struct span text, bool plus_is_space, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c == '%') {
			int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
			int low = i + 2 < text.len ? hex_digit(text.data[i + 2]) : -1;

			if (high < 0 || low < 0) {
				return false;
			}
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		buf_add_byte(out, c);
	}
	return true;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* Groups of four, padded at the end only. */
static bool base64_decode(struct span text, struct buf *out)
{
	if (text.len % 4 != 0) {
		return false;
	}
	for (size_t i = 0; i < text.len; i += 4) {
		uint32_t bits = 0;
		size_t pads = 0;

		for (size_t k = 0; k < 4; k++) {
			int digit = base64_digit(text.data[i + k]);

			if (text.data[i + k] == '=' && k >= 2 && i + 4 == text.len) {
				pads++;
				digit = 0;
			} else if (digit < 0 || pads != 0) {
				return false;
			}
			bits = bits << 6 | (uint32_t)digit;
		}
		buf_add_byte(out, (char)(bits >> 16));
		if (pads < 2) {
			buf_add_byte(out, (char)(bits >> 8));
		}
		if (pads < 1) {
			buf_add_byte(out, (char)bits);
		}
	}
	return true;
}

bool http_basic(struct span header, struct buf *out, struct span *user, struct span *password)
{
	struct span scheme = {header.data, 6};
	struct span decoded;
	const char *colon;

	if (header.len < 6 || !span_is_nocase(scheme, "basic ")) {
		return false;
	}
	header.data += 6;
	header.len -= 6;
	while (header.len != 0 && header.data[0] == ' ') {
		header.data++;
		header.len--;
	}
	if (!base64_decode(header, out) || out->overflow) {
		return false;
	}
	decoded = buf_span(out);
	colon = decoded.len == 0 ? NULL : memchr(decoded.data, ':', decoded.len);
	if (colon == NULL || colon == decoded.data || span_has_byte(decoded, '\0')) {
		return false;
	}
	*user = (struct span){decoded.data, (size_t)(colon - decoded.data)};
	*password = (struct span){colon + 1, decoded.len - user->len - 1};
	return true;
}

/* RFC 9110 5.6.2 */
static bool is_token(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.data[i];

		if (c >= 0x80 ||
		    (!isalnum(c) && (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL))) {
			return false;
		}
	}
	return name.len != 0;
}

/* Up to 18 digits: fits, and is over any ceiling long before. */
static bool parse_length(struct span value, size_t *out)
{
	size_t length = 0;

	if (value.len == 0 || value.len > 18) {
		return false;
	}
	for (size_t i = 0; i < value.len; i++) {
		if (!isdigit((unsigned char)value.data[i])) {
			return false;
		}
		length = length * 10 + (size_t)(value.data[i] - '0');
	}
	*out = length;
	return true;
}

void http_framing_add(struct http_framing *framing, struct span name, struct span value)
{
	if (!is_token(name)) {
		framing->bad_name = true;
	} else if (span_is_nocase(name, "content-length")) {
		framing->lengths++;
		framing->bad_length = framing->bad_length || !parse_length(value, &framing->length);
	} else if (span_is_nocase(name, "transfer-encoding")) {
		framing->codings++;
		framing->bad_coding = framing->bad_coding || !span_is_nocase(value, "chunked");
	} else if (span_is_nocase(name, "authorization")) {
		framing->authorizations++;
	} else if (span_is_nocase(name, "host")) {
		framing->hosts++;
	}
}

static int refuse(int status, const char *why, const char **text)
{
	*text = why;
	return status;
}

int http_framing_refusal(const struct http_framing *framing, bool has_body_method, bool is_1_0,
			 size_t body_ceiling, const char **text)
{
	if (framing->bad_name) {
		return refuse(400, "a header name is no token\n", text);
	}
	if (framing->lengths > 1 || framing->bad_length) {
		return refuse(400, "Content-Length is repeated or no number\n", text);
	}
	if (framing->lengths != 0 && framing->codings != 0) {
		return refuse(400, "both Content-Length and Transfer-Encoding\n", text);
	}
	if (framing->authorizations > 1) {
		return refuse(400, "Authorization is repeated\n", text);
	}
	if (framing->hosts > 1) {
		return refuse(400, "Host is repeated\n", text);
	}
	if (framing->bad_coding) {
		return refuse(501, "the only transfer coding here is chunked\n", text);
	}
	if (framing->codings > 1 || (framing->codings != 0 && is_1_0)) {
		return refuse(400, "this transfer coding does not fit the request\n", text);
	}
	if (has_body_method && framing->lengths == 0 && framing->codings == 0) {
		return refuse(411, "Content-Length is required\n", text);
	}
	if (framing->length > body_ceiling) {
		return refuse(413, "the body is too large\n", text);
	}
	return 0;
}

/* One "name=value" into `memory`. The offsets become pointers when memory stands still. */
static enum outcome parse_pair(struct span pair, struct buf *memory, struct form_field *field,
			       struct reason *why)
{
	const char *equals = memchr(pair.data, '=', pair.len);
	struct span name = pair;
	struct span value = SPAN_EMPTY;

	if (equals != NULL) {
		name.len = (size_t)(equals - pair.data);
		value = (struct span){equals + 1, pair.len - name.len - 1};
	}
	if (name.len == 0) {
		return because(PERMFAIL, why, "a pair has no name");
	}
	*field = (struct form_field){0};
	field->name.len = memory->len;
	if (!http_decode(name, true, memory)) {
		return because(PERMFAIL, why, "a name has a broken percent escape");
	}
	field->name.len = memory->len - field->name.len;
	field->value.len = memory->len;
	if (!http_decode(value, true, memory)) {
		return because(PERMFAIL, why, "a value has a broken percent escape");
	}
	field->value.len = memory->len - field->value.len;
	return OK;
}

enum outcome form_parse(struct span body, size_t fields_max, struct form *out, struct reason *why)
{
	struct form form = {0};
	struct buf memory = BUF_INIT(body.len); /* decoding never grows */
	enum outcome outcome = OK;
	const char *at;

	while (outcome == OK && body.len != 0) {
		const char *end = memchr(body.data, '&', body.len);
		struct span pair = {body.data, end == NULL ? body.len : (size_t)(end - body.data)};

		body.data += pair.len + (end != NULL);
		body.len -= pair.len + (end != NULL);
		if (pair.len == 0) {
			continue;
		}
		if (form.count == fields_max) {
			outcome = because(PERMFAIL, why, "more than %zu pairs", fields_max);
			break;
		}
		form.fields = xrealloc(form.fields, (form.count + 1) * sizeof(*form.fields));
		outcome = parse_pair(pair, &memory, &form.fields[form.count], why);
		form.count++;
	}
	form.memory = buf_take(&memory);
	if (outcome != OK) {
		form_finish(&form);
		return outcome;
	}
	at = form.memory;
	for (size_t i = 0; i < form.count; i++) {
		form.fields[i].name.data = at;
		at += form.fields[i].name.len;
		form.fields[i].value.data = at;
		at += form.fields[i].value.len;
	}
	*out = form;
	return OK;
}

void form_finish(struct form *form)
{
	if (form == NULL) {
		return;
	}
	free(form->fields);
	free(form->memory);
	*form = (struct form){0};
}
