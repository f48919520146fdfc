/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_rdata.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ldns/ldns.h>

#include "common/zone_field.h"

/* What nearly every zone is made of: every field of them is read, measured and printed by our own
 * code. The most frequent first. */
static const struct {
	struct span name;
	uint16_t type;
} common_types[] = {
	{{"A", 1}, TYPE_A},     {{"TXT", 3}, TYPE_TXT},     {{"AAAA", 4}, TYPE_AAAA},
	{{"MX", 2}, TYPE_MX},   {{"CNAME", 5}, TYPE_CNAME}, {{"NS", 2}, TYPE_NS},
	{{"SOA", 3}, TYPE_SOA}, {{"SRV", 3}, TYPE_SRV},     {{"CAA", 3}, TYPE_CAA},
	{{"PTR", 3}, TYPE_PTR}, {{"SPF", 3}, TYPE_SPF},     {{"DNAME", 5}, TYPE_DNAME},
};
#define COMMON_TYPES (sizeof(common_types) / sizeof(common_types[0]))

static const char *common_name(uint16_t type)
{
	size_t i;

	for (i = 0; i < COMMON_TYPES; i++) {
		if (common_types[i].type == type) {
			return common_types[i].name.data;
		}
	}
	return NULL;
}

bool rdata_is_common(uint16_t type)
{
	return common_name(type) != NULL;
}

static uint16_t common_type(struct span name)
{
	size_t i;

	for (i = 0; i < COMMON_TYPES; i++) {
		if (name.len == common_types[i].name.len &&
		    strncasecmp(name.data, common_types[i].name.data, name.len) == 0) {
			return common_types[i].type;
		}
	}
	return 0;
}

enum outcome rr_type_parse(struct span word, uint16_t *type, struct reason *why)
{
	char text[RR_TYPE_TEXT_SIZE] = {0};
	uint32_t number = common_type(word);

	if (number != 0) {
		*type = (uint16_t)number;
		return OK;
	}
	if (word.len > 4 && strncasecmp(word.data, "TYPE", 4) == 0) {
		if (!field_read_number((struct span){word.data + 4, word.len - 4}, 65535,
				       &number)) {
			return because(PERMFAIL, why, "'%s' is no record type",
				       name_quote(word).text);
		}
	} else if (word.len < sizeof(text)) {
		memcpy(text, word.data, word.len);
		number = ldns_get_rr_type_by_name(text);
	}
	if (number == 0) {
		return because(PERMFAIL, why, "'%s' is no record type", name_quote(word).text);
	}
	if (number == TYPE_ATMA) {
		return because(
			PERMFAIL, why,
			"type ATMA is obsolete, and servers read its text differently: remove "
			"the record");
	}
	if (number == TYPE_OPT || (number >= TYPE_META_FIRST && number <= TYPE_META_LAST)) {
		return because(PERMFAIL, why, "type %s belongs into queries, not into zones",
			       name_quote(word).text);
	}
	if (number == TYPE_MD || number == TYPE_MF || number == TYPE_WKS ||
	    number == TYPE_NSAP_PTR || number == TYPE_NXT || number == TYPE_A6 ||
	    number == TYPE_SINK) {
		return because(PERMFAIL, why, "type %s is obsolete and not served any more",
			       name_quote(word).text);
	}
	*type = (uint16_t)number;
	return OK;
}

void rr_type_print(uint16_t type, char out[RR_TYPE_TEXT_SIZE])
{
	const ldns_rr_descriptor *descriptor;
	const char *name = common_name(type);

	if (name != NULL) {
		memcpy(out, name, strlen(name) + 1);
		return;
	}
	descriptor = ldns_rr_descript(type);
	if (descriptor->_name != NULL) {
		(void)snprintf(out, RR_TYPE_TEXT_SIZE, "%s", descriptor->_name);
	} else {
		(void)snprintf(out, RR_TYPE_TEXT_SIZE, "TYPE%u", type);
	}
}

/* RFC 4034 6.2 as amended by RFC 6840 5.1: NSEC is out. */
static bool has_lower_case_names(uint16_t type)
{
	static const uint8_t types[] = {2,  3,  4,  5,  6,  7,  8,  9,  12, 14, 15, 17,
					18, 21, 24, 26, 30, 33, 35, 36, 38, 39, 46};

	return type <= 46 && memchr(types, type, sizeof(types)) != NULL;
}

/* Only RFC 3597 can say what such a type holds. */
static bool is_opaque(const ldns_rr_descriptor *descriptor)
{
	return descriptor->_name == NULL ||
	       ldns_rr_descriptor_field_type(descriptor, 0) == LDNS_RDF_TYPE_UNKNOWN;
}

/* The fields of `rr`, names in lower case where they must be, behind what `wire` holds. */
static void add_canonical(const ldns_rr *rr, struct buf *wire)
{
	bool lower = has_lower_case_names((uint16_t)ldns_rr_get_type(rr));
	size_t i;

	for (i = 0; i < ldns_rr_rd_count(rr); i++) {
		const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
		char *data = (char *)ldns_rdf_data(rdf);

		if (lower && ldns_rdf_get_type(rdf) == LDNS_RDF_TYPE_DNAME) {
			dname_lower(data, ldns_rdf_size(rdf));
		}
		buf_add(wire, (struct span){data, ldns_rdf_size(rdf)});
	}
}

static bool has_all_fields(const ldns_rr *rr)
{
	const ldns_rr_descriptor *descriptor = ldns_rr_descript((uint16_t)ldns_rr_get_type(rr));

	return is_opaque(descriptor) ||
	       ldns_rr_rd_count(rr) >= ldns_rr_descriptor_minimum(descriptor);
}

/* NULL: `wire` is no RDATA of that type. */
static ldns_rr *split_fields(uint16_t type, struct span wire)
{
	struct buf framed = BUF_INIT(RDATA_MAX + 2);
	struct buf again = BUF_INIT(2 * RDATA_MAX);
	ldns_rr *rr = ldns_rr_new();
	size_t at = 0;
	bool good = false;
	size_t i;

	buf_add_byte(&framed, (char)(wire.len >> 8));
	buf_add_byte(&framed, (char)wire.len);
	buf_add(&framed, wire);
	ldns_rr_set_type(rr, type);
	if (ldns_wire2rdf(rr, (const uint8_t *)framed.data, framed.len, &at) == LDNS_STATUS_OK &&
	    at == framed.len) {
		/* Compressed names come out longer than they went in. */
		for (i = 0; i < ldns_rr_rd_count(rr); i++) {
			const ldns_rdf *rdf = ldns_rr_rdf(rr, i);

			buf_add(&again, (struct span){(const char *)ldns_rdf_data(rdf),
						      ldns_rdf_size(rdf)});
		}
		good = span_equal(buf_span(&again), wire) && has_all_fields(rr);
	}
	buf_finish(&framed);
	buf_finish(&again);
	if (!good) {
		ldns_rr_free(rr);
		return NULL;
	}
	return rr;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return -1;
}

static enum outcome add_hex(struct span hex, int *half, struct buf *wire, struct reason *why)
{
	size_t i;

	for (i = 0; i < hex.len; i++) {
		int value = hex_value(hex.data[i]);

		if (value < 0) {
			return because(PERMFAIL, why, "'%s' is not hexadecimal",
				       name_quote(hex).text);
		}
		if (*half < 0) {
			*half = value;
		} else {
			buf_add_byte(wire, (char)(*half * 16 + value));
			*half = -1;
		}
	}
	return OK;
}

/* RFC 3597: \# 4 c0000201. Of a type that we know it must be what that type looks like. */
static enum outcome parse_generic(uint16_t type, const struct zone_word *words, size_t count,
				  struct buf *wire, struct reason *why)
{
	uint32_t len = 0;
	int half = -1;
	ldns_rr *rr;
	size_t i;

	if (count < 2 || !field_read_number(words[1].text, RDATA_MAX, &len)) {
		return because(PERMFAIL, why, "\\# must be followed by the number of octets");
	}
	for (i = 2; i < count; i++) {
		if (add_hex(words[i].text, &half, wire, why) != OK) {
			return PERMFAIL;
		}
	}
	if (half >= 0 || (!wire->overflow && wire->len != len)) {
		return because(PERMFAIL, why, "\\# %u is followed by %zu octets", len, wire->len);
	}
	if (is_opaque(ldns_rr_descript(type))) {
		return OK;
	}
	rr = split_fields(type, buf_span(wire));
	if (rr == NULL) {
		return because(PERMFAIL, why, "the octets behind \\# do not fit the type");
	}
	buf_clear(wire);
	add_canonical(rr, wire);
	ldns_rr_free(rr);
	return OK;
}

static enum outcome parse_fields(uint16_t type, const struct zone_word *words, size_t count,
				 const struct dname *origin, struct buf *wire, struct reason *why)
{
	const ldns_rr_descriptor *descriptor = ldns_rr_descript(type);
	bool lower = has_lower_case_names(type);
	size_t fields = 0;
	size_t at = 0;

	while (at < count) {
		struct field field = {.words = words + at, .count = count - at, .origin = origin};
		size_t start = wire->len;

		if (fields == ldns_rr_descriptor_maximum(descriptor)) {
			return because(PERMFAIL, why, "'%s' is one word too many",
				       name_quote(words[at].text).text);
		}
		field.kind = (int)ldns_rr_descriptor_field_type(descriptor, fields);
		if (field_parse(&field, wire, why) != OK) {
			return PERMFAIL;
		}
		if (lower && field.kind == LDNS_RDF_TYPE_DNAME && !wire->overflow) {
			dname_lower(wire->data + start, wire->len - start);
		}
		at += field.taken;
		fields++;
	}
	if (fields < ldns_rr_descriptor_minimum(descriptor)) {
		return because(PERMFAIL, why, "has %zu of at least %zu fields", fields,
			       ldns_rr_descriptor_minimum(descriptor));
	}
	return OK;
}

enum outcome rdata_parse(uint16_t type, const struct zone_word *words, size_t count,
			 const struct dname *origin, struct buf *wire, struct reason *why)
{
	bool generic = count > 0 && words[0].kind == WORD_PLAIN && span_is(words[0].text, "\\#");
	enum outcome outcome;

	buf_clear(wire);
	if (generic) {
		outcome = parse_generic(type, words, count, wire, why);
	} else if (is_opaque(ldns_rr_descript(type))) {
		outcome = because(PERMFAIL, why, "write the data as \\# LENGTH HEX (RFC 3597)");
	} else {
		outcome = parse_fields(type, words, count, origin, wire, why);
	}
	if (outcome == OK && wire->overflow) {
		outcome = because(PERMFAIL, why, "its data is over %zu bytes", wire->ceiling);
	}
	return outcome;
}

static void print_generic(struct span wire, struct buf *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	buf_addf(text, "\\# %zu", wire.len);
	for (i = 0; i < wire.len; i++) {
		unsigned char byte = (unsigned char)wire.data[i];
		char pair[3] = {' ', digits[byte >> 4], digits[byte & 15]};

		buf_add(text, i == 0 ? (struct span){pair, 3} : (struct span){pair + 1, 2});
	}
}

static enum outcome print_common(uint16_t type, struct span wire, struct buf *text,
				 struct reason *why)
{
	const ldns_rr_descriptor *descriptor = ldns_rr_descript(type);
	size_t fields = 0;
	size_t size;

	for (; wire.len != 0 && fields < ldns_rr_descriptor_maximum(descriptor); fields++) {
		int kind = (int)ldns_rr_descriptor_field_type(descriptor, fields);

		size = field_size(kind, wire);
		if (size == 0) {
			break;
		}
		if (fields > 0) {
			buf_add_byte(text, ' ');
		}
		if (field_print(kind, (struct span){wire.data, size}, text, why) != OK) {
			return PERMFAIL;
		}
		wire = (struct span){wire.data + size, wire.len - size};
	}
	if (wire.len != 0 || fields < ldns_rr_descriptor_minimum(descriptor)) {
		return because(PERMFAIL, why, "its data does not fit the type");
	}
	return OK;
}

enum outcome rdata_print(uint16_t type, struct span wire, struct buf *text, struct reason *why)
{
	enum outcome outcome = OK;
	ldns_rr *rr;
	size_t i;

	buf_clear(text);
	if (rdata_is_common(type)) {
		return print_common(type, wire, text, why);
	}
	if (is_opaque(ldns_rr_descript(type))) {
		print_generic(wire, text);
		return OK;
	}
	rr = split_fields(type, wire);
	if (rr == NULL) {
		return because(PERMFAIL, why, "its data does not fit the type");
	}
	for (i = 0; i < ldns_rr_rd_count(rr) && outcome == OK; i++) {
		const ldns_rdf *rdf = ldns_rr_rdf(rr, i);

		if (i > 0) {
			buf_add_byte(text, ' ');
		}
		outcome = field_print(
			(int)ldns_rdf_get_type(rdf),
			(struct span){(const char *)ldns_rdf_data(rdf), ldns_rdf_size(rdf)}, text,
			why);
	}
	while (text->len > 0 && text->data[text->len - 1] == ' ') {
		text->data[--text->len] = '\0'; /* of an empty last field */
	}
	ldns_rr_free(rr);
	return outcome;
}

uint32_t rdata_soa_serial(struct span soa)
{
	const unsigned char *at = (const unsigned char *)soa.data + soa.len - 20;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

bool rdata_ldns_agrees(const char *line, const struct digest_rr *expected)
{
	struct buf wire = BUF_INIT(2 * RDATA_MAX);
	ldns_rr *rr = NULL;
	bool same = false;
	size_t i;

	/* ldns has 64 KiB for the text of the data and would cut it. */
	if (strlen(line) > LDNS_MAX_PACKETLEN - 1024) {
		return true;
	}
	if (ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL) == LDNS_STATUS_OK) {
		const ldns_rdf *owner = ldns_rr_owner(rr);

		for (i = 0; i < ldns_rr_rd_count(rr); i++) {
			const ldns_rdf *rdf = ldns_rr_rdf(rr, i);

			buf_add(&wire, (struct span){(const char *)ldns_rdf_data(rdf),
						     ldns_rdf_size(rdf)});
		}
		same = ldns_rr_get_type(rr) == (ldns_rr_type)expected->type &&
		       ldns_rr_get_class(rr) == (ldns_rr_class)expected->class &&
		       ldns_rr_ttl(rr) == expected->ttl &&
		       span_equal((struct span){(const char *)ldns_rdf_data(owner),
						ldns_rdf_size(owner)},
				  expected->owner) &&
		       span_equal(buf_span(&wire), expected->rdata);
		ldns_rr_free(rr);
	}
	buf_finish(&wire);
	return same;
}

enum outcome rdata_from_message(struct span message, size_t *at, struct buf *wire,
				struct digest_rr *out, struct reason *why)
{
	enum outcome outcome = OK;
	ldns_rr *rr = NULL;
	size_t owner_len;

	if (ldns_wire2rr(&rr, (const uint8_t *)message.data, message.len, at,
			 LDNS_SECTION_ANSWER) != LDNS_STATUS_OK) {
		return because(PERMFAIL, why, "the message holds a broken record");
	}
	buf_clear(wire);
	owner_len = ldns_rdf_size(ldns_rr_owner(rr));
	buf_add(wire, (struct span){(const char *)ldns_rdf_data(ldns_rr_owner(rr)), owner_len});
	dname_lower(wire->data, owner_len);
	add_canonical(rr, wire);
	/* ldns takes RDATA that ends early. */
	if (wire->overflow || !has_all_fields(rr)) {
		outcome = because(PERMFAIL, why, "the message holds a broken record");
	} else {
		*out = (struct digest_rr){
			.owner = {wire->data, owner_len},
			.type = (uint16_t)ldns_rr_get_type(rr),
			.class = (uint16_t)ldns_rr_get_class(rr),
			.ttl = ldns_rr_ttl(rr),
			.rdata = {wire->data + owner_len, wire->len - owner_len},
		};
	}
	ldns_rr_free(rr);
	return outcome;
}
