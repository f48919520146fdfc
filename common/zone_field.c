/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_field.h"

#include <arpa/inet.h>
#include <string.h>

#include <ldns/ldns.h>

#include "common/zone_reader.h"

#define STRING_MAX 255
#define PARAMETERS_MAX 64
#define PERIOD_MAX 2147483647U
#define LDNS_TEXT_MAX (1 << 18)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool field_read_number(struct span text, uint32_t highest, uint32_t *out)
{
	uint64_t number = 0;
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (!is_digit(text.data[i])) {
			return false;
		}
		number = number * 10 + (uint64_t)(text.data[i] - '0');
		if (number > highest) {
			return false;
		}
	}
	*out = (uint32_t)number;
	return text.len != 0;
}

static void add_number(struct buf *wire, uint32_t number, size_t octets)
{
	const char bytes[4] = {(char)(number >> 24), (char)(number >> 16), (char)(number >> 8),
			       (char)number};

	buf_add(wire, (struct span){bytes + 4 - octets, octets});
}

static enum outcome parse_number(struct span word, size_t octets, struct buf *wire,
				 struct reason *why)
{
	uint32_t highest = octets == 4 ? UINT32_MAX : (1U << (8 * octets)) - 1;
	uint32_t number;

	if (!field_read_number(word, highest, &number)) {
		return because(PERMFAIL, why, "%s is not a number up to %u", name_quote(word).text,
			       highest);
	}
	add_number(wire, number, octets);
	return OK;
}

static enum outcome parse_period(struct span word, struct buf *wire, struct reason *why)
{
	uint32_t seconds;

	if (!zone_read_period(word, PERIOD_MAX, &seconds)) {
		return because(PERMFAIL, why, "%s is not a time (seconds up to %u, or as in 1d12h)",
			       name_quote(word).text, PERIOD_MAX);
	}
	add_number(wire, seconds, 4);
	return OK;
}

static enum outcome parse_address(struct span word, int family, struct buf *wire,
				  struct reason *why)
{
	char text[INET6_ADDRSTRLEN] = {0};
	char address[16];

	if (word.len < sizeof(text)) {
		memcpy(text, word.data, word.len);
	}
	if (inet_pton(family, text, address) != 1) {
		return because(PERMFAIL, why, "%s is not an IPv%d address", name_quote(word).text,
			       family == AF_INET ? 4 : 6);
	}
	buf_add(wire, (struct span){address, family == AF_INET ? 4 : 16});
	return OK;
}

static enum outcome parse_dname(struct span word, const struct dname *origin, struct buf *wire,
				struct reason *why)
{
	struct dname dname;

	if (dname_parse(word, origin, DNAME_TARGET, &dname, why) != OK) {
		return PERMFAIL;
	}
	buf_add(wire, dname_span(&dname));
	return OK;
}

/* The octets of a character-string; the lexer has checked the escapes. */
static void add_unescaped(struct span text, struct buf *wire)
{
	while (text.len != 0) {
		const char *escape = memchr(text.data, '\\', text.len);
		size_t plain = escape == NULL ? text.len : (size_t)(escape - text.data);
		size_t used = plain;

		buf_add(wire, (struct span){text.data, plain});
		if (escape != NULL && is_digit(escape[1])) {
			buf_add_byte(wire, (char)((escape[1] - '0') * 100 + (escape[2] - '0') * 10 +
						  (escape[3] - '0')));
			used += 4;
		} else if (escape != NULL) {
			buf_add_byte(wire, escape[1]);
			used += 2;
		}
		text = (struct span){text.data + used, text.len - used};
	}
}

static enum outcome parse_string(struct span word, struct buf *wire, struct reason *why)
{
	size_t start = wire->len;
	size_t len;

	buf_add_byte(wire, 0);
	add_unescaped(word, wire);
	if (wire->overflow) {
		return OK; /* rdata_parse tells */
	}
	len = wire->len - start - 1;
	if (len > STRING_MAX) {
		return because(
			PERMFAIL, why,
			"a text of %zu bytes; split it into several quoted ones of %d at most", len,
			STRING_MAX);
	}
	wire->data[start] = (char)len;
	return OK;
}

static enum outcome parse_tag(struct span word, struct buf *wire, struct reason *why)
{
	size_t i;

	for (i = 0; i < word.len; i++) {
		char c = word.data[i];

		if (!is_digit(c) && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) {
			break;
		}
	}
	if (i < word.len || word.len > STRING_MAX) {
		return because(PERMFAIL, why, "the tag %s is not made of letters and digits",
			       name_quote(word).text);
	}
	buf_add_byte(wire, (char)word.len);
	buf_add(wire, word);
	return OK;
}

/* How many words ldns wants for one field. */
static size_t words_of(int kind, size_t left)
{
	switch (kind) {
	case LDNS_RDF_TYPE_B64:
	case LDNS_RDF_TYPE_HEX:
	case LDNS_RDF_TYPE_LOC:
	case LDNS_RDF_TYPE_NSEC:
	case LDNS_RDF_TYPE_NSAP:
	case LDNS_RDF_TYPE_SVCPARAMS:
		return left;
	case LDNS_RDF_TYPE_HIP:
		return left < 3 ? left : 3;
	default:
		return 1;
	}
}

static enum outcome check_words(const struct field *field, size_t count, struct reason *why)
{
	bool parameters = field->kind == LDNS_RDF_TYPE_SVCPARAMS;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct zone_word *word = &field->words[i];

		if (word->kind == WORD_QUOTED || (word->kind == WORD_MIXED && !parameters)) {
			return because(PERMFAIL, why, "no quotes around %s",
				       name_quote(word->text).text);
		}
		if (!parameters && span_has_byte(word->text, '\\')) {
			return because(PERMFAIL, why, "no backslash in %s",
				       name_quote(word->text).text);
		}
	}
	return OK;
}

static struct span key_of(struct span parameter)
{
	const char *equals = memchr(parameter.data, '=', parameter.len);

	return equals == NULL ? parameter
			      : (struct span){parameter.data, (size_t)(equals - parameter.data)};
}

/* How many of the first `count` parameters have that key. */
static size_t count_key(const struct field *field, size_t count, struct span key)
{
	size_t found = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		found += span_equal(key_of(field->words[i].text), key);
	}
	return found;
}

/* mandatory=a,b: the keys must be there. */
static enum outcome check_mandatory(const struct field *field, struct span keys, struct reason *why)
{
	while (keys.len != 0) {
		const char *comma = memchr(keys.data, ',', keys.len);
		size_t len = comma == NULL ? keys.len : (size_t)(comma - keys.data);

		if (count_key(field, field->count, (struct span){keys.data, len}) == 0) {
			return because(PERMFAIL, why, "the mandatory parameter %s is not there",
				       name_quote((struct span){keys.data, len}).text);
		}
		len += comma != NULL;
		keys = (struct span){keys.data + len, keys.len - len};
	}
	return OK;
}

/* ldns takes what makes other servers refuse the zone. */
static enum outcome check_parameters(const struct field *field, struct reason *why)
{
	size_t i;

	if (field->count > PARAMETERS_MAX) {
		return because(PERMFAIL, why, "has %zu parameters; %d are the most", field->count,
			       PARAMETERS_MAX);
	}
	for (i = 0; i < field->count; i++) {
		struct span word = field->words[i].text;
		struct span key = key_of(word);
		bool has_value = key.len < word.len;

		if (count_key(field, i, key) != 0) {
			return because(PERMFAIL, why, "the parameter %s is there twice",
				       name_quote(key).text);
		}
		if (span_is(word, "alpn")) {
			return because(PERMFAIL, why, "the parameter alpn has no value");
		}
		if (has_value && span_is(key, "mandatory") &&
		    check_mandatory(field,
				    (struct span){word.data + key.len + 1, word.len - key.len - 1},
				    why) != OK) {
			return PERMFAIL;
		}
	}
	return OK;
}

static enum outcome parse_by_ldns(struct field *field, struct buf *wire, struct reason *why)
{
	bool packed = field->kind == LDNS_RDF_TYPE_B64 || field->kind == LDNS_RDF_TYPE_HEX;
	struct buf text = BUF_INIT(LDNS_TEXT_MAX);
	enum outcome outcome;
	ldns_rdf *rdf = NULL;
	size_t i;

	field->taken = words_of(field->kind, field->count);
	outcome = check_words(field, field->taken, why);
	if (outcome == OK && field->kind == LDNS_RDF_TYPE_SVCPARAMS) {
		outcome = check_parameters(field, why);
	}
	if (outcome != OK) {
		goto out;
	}
	for (i = 0; i < field->taken; i++) {
		if (i > 0 && !packed) {
			buf_add_byte(&text, ' ');
		}
		buf_add(&text, field->words[i].text);
	}
	if (!text.overflow) {
		rdf = ldns_rdf_new_frm_str((ldns_rdf_type)field->kind, buf_text(&text));
	}
	if (rdf == NULL) {
		outcome = because(PERMFAIL, why, "'%s' is not what belongs there",
				  name_quote(buf_span(&text)).text);
		goto out;
	}
	buf_add(wire, (struct span){(const char *)ldns_rdf_data(rdf), ldns_rdf_size(rdf)});
out:
	ldns_rdf_deep_free(rdf);
	buf_finish(&text);
	return outcome;
}

/* ldns leaks what it refuses here. */
static enum outcome parse_certificate_type(struct span word, struct buf *wire, struct reason *why)
{
	const ldns_lookup_table *known;
	uint32_t number = 0;
	char text[16] = "";

	if (!field_read_number(word, 65535, &number) && word.len < sizeof(text)) {
		memcpy(text, word.data, word.len);
		known = ldns_lookup_by_name(ldns_cert_algorithms, text);
		number = known == NULL ? 0 : (uint32_t)known->id;
	}
	if (number == 0) {
		return because(PERMFAIL, why, "%s is no certificate type", name_quote(word).text);
	}
	add_number(wire, number, 2);
	return OK;
}

static enum outcome parse_gateway(const struct field *field, struct buf *wire, struct reason *why)
{
	struct span kind = field->words[1].text;
	struct span gateway = field->words[3].text;

	if (span_is(kind, "1")) {
		return parse_address(gateway, AF_INET, wire, why);
	}
	if (span_is(kind, "2")) {
		return parse_address(gateway, AF_INET6, wire, why);
	}
	if (span_is(kind, "3")) {
		return parse_dname(gateway, field->origin, wire, why);
	}
	if (!span_is(kind, "0") || !span_is(gateway, ".")) {
		return because(PERMFAIL, why, "%s is no gateway of type %s",
			       name_quote(gateway).text, name_quote(kind).text);
	}
	return OK;
}

/* ldns leaks what it refuses here, and completes no relative name. */
static enum outcome parse_ipseckey(struct field *field, struct buf *wire, struct reason *why)
{
	struct field key = {.kind = LDNS_RDF_TYPE_B64, .words = field->words + 4};
	size_t i;

	if (field->count < 5) {
		return because(PERMFAIL, why, "has %zu of at least 5 fields", field->count);
	}
	for (i = 0; i < 4; i++) {
		if (field->words[i].kind != WORD_PLAIN) {
			return because(PERMFAIL, why, "no quotes around %s",
				       name_quote(field->words[i].text).text);
		}
		if (i < 3 && parse_number(field->words[i].text, 1, wire, why) != OK) {
			return PERMFAIL;
		}
	}
	if (parse_gateway(field, wire, why) != OK) {
		return PERMFAIL;
	}
	key.count = field->count - 4;
	field->taken = field->count;
	return parse_by_ldns(&key, wire, why);
}

enum outcome field_parse(struct field *field, struct buf *wire, struct reason *why)
{
	const struct zone_word *word = &field->words[0];
	bool is_text = field->kind == LDNS_RDF_TYPE_STR || field->kind == LDNS_RDF_TYPE_LONG_STR;

	field->taken = 1;
	if (word->kind == WORD_MIXED && field->kind != LDNS_RDF_TYPE_SVCPARAMS) {
		return because(PERMFAIL, why, "a quote in the middle of %s",
			       name_quote(word->text).text);
	}
	if (word->kind == WORD_QUOTED && !is_text) {
		return because(PERMFAIL, why, "no quotes around %s", name_quote(word->text).text);
	}
	switch (field->kind) {
	case LDNS_RDF_TYPE_DNAME:
		return parse_dname(word->text, field->origin, wire, why);
	case LDNS_RDF_TYPE_A:
		return parse_address(word->text, AF_INET, wire, why);
	case LDNS_RDF_TYPE_AAAA:
		return parse_address(word->text, AF_INET6, wire, why);
	case LDNS_RDF_TYPE_INT8:
		return parse_number(word->text, 1, wire, why);
	case LDNS_RDF_TYPE_INT16:
		return parse_number(word->text, 2, wire, why);
	case LDNS_RDF_TYPE_INT32:
		return parse_number(word->text, 4, wire, why);
	case LDNS_RDF_TYPE_PERIOD:
		return parse_period(word->text, wire, why);
	case LDNS_RDF_TYPE_STR:
		return parse_string(word->text, wire, why);
	case LDNS_RDF_TYPE_LONG_STR:
		add_unescaped(word->text, wire);
		return OK;
	case LDNS_RDF_TYPE_TAG:
		return parse_tag(word->text, wire, why);
	case LDNS_RDF_TYPE_CERT_ALG:
		return parse_certificate_type(word->text, wire, why);
	case LDNS_RDF_TYPE_IPSECKEY:
		return parse_ipseckey(field, wire, why);
	default:
		return parse_by_ldns(field, wire, why);
	}
}
