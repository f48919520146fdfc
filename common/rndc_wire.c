/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rndc_wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"

#define PROTOCOL_VERSION 1
#define TYPE_BINARY 1
#define TYPE_TABLE 2
#define HMAC_SHA256 163 /* DST number */
#define MAC_TEXT 44     /* base64 of 32 bytes */
#define MAC_FIELD 89    /* algorithm, then the text padded with zeros to 88 */
#define EXPIRES_S 60

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void mac_text(const uint8_t mac[SHA256_SIZE], char out[MAC_TEXT])
{
	size_t at = 0;

	for (size_t i = 0; i < SHA256_SIZE; i += 3) {
		uint32_t bits = (uint32_t)mac[i] << 16;

		bits |= i + 1 < SHA256_SIZE ? (uint32_t)mac[i + 1] << 8 : 0;
		bits |= i + 2 < SHA256_SIZE ? mac[i + 2] : 0;
		out[at++] = base64_digits[bits >> 18];
		out[at++] = base64_digits[bits >> 12 & 63];
		out[at++] = i + 1 < SHA256_SIZE ? base64_digits[bits >> 6 & 63] : '=';
		out[at++] = i + 2 < SHA256_SIZE ? base64_digits[bits & 63] : '=';
	}
}

static bool base64_decode(struct span text, uint8_t *out, size_t size, size_t *len)
{
	uint32_t bits = 0;
	int have = 0;

	*len = 0;
	for (size_t i = 0; i < text.len && text.data[i] != '='; i++) {
		const char *digit = memchr(base64_digits, text.data[i], 64);

		if (digit == NULL) {
			return false;
		}
		bits = bits << 6 | (uint32_t)(digit - base64_digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (*len == size) {
				return false;
			}
			out[(*len)++] = (uint8_t)(bits >> have);
		}
	}
	return *len != 0;
}

/* --- the key file ------------------------------------------------------------------------------
 */

/* Takes one word, "text" or sign of named's configuration language from the front of `rest`;
 * comments are passed over. False: the end. */
static bool next_token(struct span *rest, struct span *out)
{
	const char *at = rest->data;
	const char *end = rest->data + rest->len;
	const char *start;

	for (;;) {
		while (at < end && (unsigned char)*at <= ' ') {
			at++;
		}
		if (at < end && (*at == '#' || (*at == '/' && at + 1 < end && at[1] == '/'))) {
			while (at < end && *at != '\n') {
				at++;
			}
		} else if (end - at >= 2 && at[0] == '/' && at[1] == '*') {
			at = memmem(at + 2, (size_t)(end - at) - 2, "*/", 2);
			at = at == NULL ? end : at + 2;
		} else {
			break;
		}
	}
	if (at == end) {
		return false;
	}
	start = at;
	if (*at == '"') {
		start = ++at;
		while (at < end && *at != '"') {
			at++;
		}
		*out = (struct span){start, (size_t)(at - start)};
		at += at < end;
	} else if (*at == '{' || *at == '}' || *at == ';') {
		*out = (struct span){at++, 1};
	} else {
		while (at < end && (unsigned char)*at > ' ' && memchr("{};\"", *at, 4) == NULL) {
			at++;
		}
		*out = (struct span){start, (size_t)(at - start)};
	}
	*rest = (struct span){at, (size_t)(end - at)};
	return true;
}

enum outcome rndc_key_parse(struct span text, struct rndc_key *out, struct reason *why)
{
	struct rndc_key key = {0};
	struct span rest = text;
	struct span token = SPAN_EMPTY;
	struct span name = SPAN_EMPTY;
	bool algorithm_is_right = false;

	while (next_token(&rest, &token) && !span_is(token, "key")) {
	}
	if (!next_token(&rest, &name) || name.len == 0 || name.len >= sizeof(key.name)) {
		return because(PERMFAIL, why, "there is no key statement in it");
	}
	memcpy(key.name, name.data, name.len);
	while (next_token(&rest, &token) && !span_is(token, "}")) {
		if (span_is(token, "algorithm") && next_token(&rest, &token)) {
			algorithm_is_right = span_is_nocase(token, "hmac-sha256");
		} else if (span_is(token, "secret") && next_token(&rest, &token) &&
			   !base64_decode(token, key.secret, sizeof(key.secret), &key.secret_len)) {
			return because(PERMFAIL, why, "the secret of key %s is not base64",
				       key.name);
		}
	}
	if (!algorithm_is_right) {
		return because(PERMFAIL, why, "key %s must be of algorithm hmac-sha256", key.name);
	}
	if (key.secret_len == 0) {
		return because(PERMFAIL, why, "key %s has no secret", key.name);
	}
	*out = key;
	return OK;
}

/* --- out ---------------------------------------------------------------------------------------
 */

static void put_u32(char *at, uint32_t value)
{
	at[0] = (char)(value >> 24);
	at[1] = (char)(value >> 16);
	at[2] = (char)(value >> 8);
	at[3] = (char)value;
}

static void add_u32(struct buf *out, uint32_t value)
{
	char bytes[4];

	put_u32(bytes, value);
	buf_add(out, (struct span){bytes, sizeof(bytes)});
}

static void add_key(struct buf *out, const char *key, char type, uint32_t len)
{
	buf_add_byte(out, (char)strlen(key));
	buf_add_text(out, key);
	buf_add_byte(out, type);
	add_u32(out, len);
}

static void add_entry(struct buf *out, const char *key, struct span value)
{
	add_key(out, key, TYPE_BINARY, (uint32_t)value.len);
	buf_add(out, value);
}

static void add_number(struct buf *out, const char *key, int64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	add_entry(out, key, span_of(text));
}

void rndc_request_print(const struct rndc_request *request, const struct rndc_key *key,
			struct buf *out)
{
	struct buf control = BUF_INIT(1024);
	size_t start = out->len;
	uint8_t mac[SHA256_SIZE];
	size_t mac_at;
	size_t signed_at;

	add_number(&control, "_ser", request->serial);
	add_number(&control, "_tim", request->now_s);
	add_number(&control, "_exp", request->now_s + EXPIRES_S);
	if (request->nonce != NULL) {
		add_entry(&control, "_nonce", span_of(request->nonce));
	}
	add_u32(out, 0); /* the length, set below */
	add_u32(out, PROTOCOL_VERSION);
	add_key(out, "_auth", TYPE_TABLE, 1 + 4 + 1 + 4 + MAC_FIELD);
	add_key(out, "hsha", TYPE_BINARY, MAC_FIELD);
	buf_add_byte(out, (char)HMAC_SHA256);
	mac_at = out->len;
	for (int i = 0; i < MAC_FIELD - 1; i++) {
		buf_add_byte(out, '\0');
	}
	signed_at = out->len;
	add_key(out, "_ctrl", TYPE_TABLE, (uint32_t)control.len);
	buf_add(out, buf_span(&control));
	add_key(out, "_data", TYPE_TABLE, (uint32_t)(1 + 4 + 1 + 4 + request->command.len));
	add_entry(out, "type", request->command);
	buf_finish(&control);
	if (out->overflow) {
		return;
	}
	hmac_sha256((struct span){(const char *)key->secret, key->secret_len},
		    (struct span){out->data + signed_at, out->len - signed_at}, mac);
	mac_text(mac, out->data + mac_at);
	put_u32(out->data + start, (uint32_t)(out->len - start - 4));
}

/* --- in ----------------------------------------------------------------------------------------
 */

struct entry {
	struct span key;
	uint8_t type;
	struct span value;
};

static bool take(struct span *rest, size_t count, struct span *out)
{
	if (rest->len < count) {
		return false;
	}
	*out = (struct span){rest->data, count};
	*rest = (struct span){rest->data + count, rest->len - count};
	return true;
}

static bool take_u32(struct span *rest, uint32_t *out)
{
	struct span bytes;
	const uint8_t *at;

	if (!take(rest, 4, &bytes)) {
		return false;
	}
	at = (const uint8_t *)bytes.data;
	*out = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
	return true;
}

static bool next_entry(struct span *rest, struct entry *out)
{
	struct span byte;
	uint32_t len;

	if (!take(rest, 1, &byte) || !take(rest, (uint8_t)byte.data[0], &out->key) ||
	    !take(rest, 1, &byte)) {
		return false;
	}
	out->type = (uint8_t)byte.data[0];
	return take_u32(rest, &len) && take(rest, len, &out->value);
}

static bool find(struct span table, const char *key, uint8_t type, struct span *out)
{
	struct entry entry;

	while (next_entry(&table, &entry)) {
		if (entry.type == type && span_is(entry.key, key)) {
			*out = entry.value;
			return true;
		}
	}
	return false;
}

static bool number_of(struct span table, const char *key, uint32_t *out)
{
	struct span text;
	uint64_t number = 0;

	if (!find(table, key, TYPE_BINARY, &text) || text.len == 0 || text.len > 10) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9') {
			return false;
		}
		number = number * 10 + (uint64_t)(text.data[i] - '0');
	}
	*out = (uint32_t)number;
	return number <= UINT32_MAX;
}

/* I10: goes into log lines and status records. */
static void text_of(struct span table, const char *key, char *out, size_t size)
{
	struct span text = SPAN_EMPTY;
	size_t i;

	(void)find(table, key, TYPE_BINARY, &text); /* absent: empty */
	for (i = 0; i < text.len && i + 1 < size; i++) {
		bool plain = text.data[i] >= ' ' && text.data[i] <= '~';

		out[i] = plain ? text.data[i] : ' ';
	}
	out[i] = '\0';
}

static bool is_signed(struct span auth, struct span rest, const struct rndc_key *key)
{
	uint8_t mac[SHA256_SIZE];
	char text[MAC_TEXT];
	struct span field;

	if (!find(auth, "hsha", TYPE_BINARY, &field) || field.len != MAC_FIELD ||
	    (uint8_t)field.data[0] != HMAC_SHA256) {
		return false;
	}
	hmac_sha256((struct span){(const char *)key->secret, key->secret_len}, rest, mac);
	mac_text(mac, text);
	return digest_secrets_equal((struct span){field.data + 1, MAC_TEXT},
				    (struct span){text, MAC_TEXT});
}

enum outcome rndc_reply_parse(struct span frame, const struct rndc_key *key, struct rndc_reply *out,
			      struct reason *why)
{
	struct rndc_reply reply = {0};
	struct span rest = frame;
	struct span control;
	struct span data;
	struct entry auth;
	uint32_t version;
	uint32_t result;

	if (!take_u32(&rest, &version) || version != PROTOCOL_VERSION ||
	    !next_entry(&rest, &auth) || !span_is(auth.key, "_auth") || auth.type != TYPE_TABLE) {
		return because(TEMPFAIL, why, "named's reply is no control message");
	}
	if (!is_signed(auth.value, rest, key)) {
		return because(TEMPFAIL, why, "named's reply is not signed with our key %s",
			       key->name);
	}
	if (!find(rest, "_ctrl", TYPE_TABLE, &control) || !find(rest, "_data", TYPE_TABLE, &data) ||
	    !number_of(control, "_ser", &reply.serial) || !number_of(data, "result", &result)) {
		return because(TEMPFAIL, why, "named's reply lacks a part");
	}
	reply.result = (int)result;
	text_of(control, "_nonce", reply.nonce, sizeof(reply.nonce));
	text_of(data, "err", reply.err, sizeof(reply.err));
	text_of(data, "text", reply.text, sizeof(reply.text));
	*out = reply;
	return OK;
}
