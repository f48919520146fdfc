/* SPDX-License-Identifier: Apache-2.0 */
#include "common/layout_powerdns_record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/zone_dname.h"
#include "common/zone_field.h"
#include "common/zone_lexer.h"
#include "common/zone_memory.h"
#include "common/zone_rdata.h"

#define NAME_MAX_PRINTED 1100
#define TYPE_PRIVATE 65280 /* printed as octets, whatever they are */

/* --- names ----------------------------------------------------------------------------------- */

static bool is_spelled_plain(char c)
{
	return c == ';' || c == '(' || c == ')';
}

struct span powerdns_name(struct span name, struct rows *rows)
{
	char text[NAME_MAX_PRINTED];
	size_t len = 0;
	size_t at = 0;

	name.len--; /* the dot */
	assert(name.len < sizeof(text));
	while (at < name.len) {
		if (name.data[at] == '\\' && at + 1 < name.len) {
			if (!is_spelled_plain(name.data[at + 1])) {
				text[len++] = '\\';
			}
			at++;
		}
		text[len++] = name.data[at++];
	}
	return len == name.len ? name : rows_keep(rows, (struct span){text, len});
}

void powerdns_owner(struct span name, struct buf *out)
{
	size_t at = 0;

	while (at < name.len) {
		if (name.data[at] == '\\' && at + 1 < name.len) {
			buf_add_byte(out, name.data[at++]);
		} else if (is_spelled_plain(name.data[at])) {
			buf_add_byte(out, '\\');
		}
		buf_add_byte(out, name.data[at++]);
	}
	if (name.len != 0) {
		buf_add_byte(out, '.');
	}
}

/* --- types that need something --------------------------------------------------------------- */

enum treatment {
	AS_TEXT,
	WITH_PRIO,   /* its first number stands in a column of its own */
	AS_OCTETS,   /* not known there: RFC 3597, type and data */
	WITH_NUMBER, /* the first word by number, not by name */
	WITH_GATEWAY,
	NEVER,
};

struct odd_type {
	uint16_t type;
	enum treatment treatment;
	const char *detail;
};

static const struct odd_type odd_types[] = {
	{TYPE_MX, WITH_PRIO, NULL},
	{TYPE_SRV, WITH_PRIO, NULL},
	{45, WITH_GATEWAY, "an IPSECKEY without a gateway"},
	{37, WITH_NUMBER, NULL}, /* CERT */
	{10, AS_OCTETS, NULL},   /* NULL */
	{19, AS_OCTETS, NULL},   /* X25 */
	{20, AS_OCTETS, NULL},   /* ISDN */
	{21, AS_OCTETS, NULL},   /* RT */
	{22, AS_OCTETS, NULL},   /* NSAP */
	{24, AS_OCTETS, NULL},   /* SIG */
	{26, AS_OCTETS, NULL},   /* PX */
	{27, AS_OCTETS, NULL},   /* GPOS */
	{31, AS_OCTETS, NULL},   /* EID */
	{32, AS_OCTETS, NULL},   /* NIMLOC */
	{55, AS_OCTETS, NULL},   /* HIP */
	{58, AS_OCTETS, NULL},   /* TALINK */
	/* It would answer without them, and every resolver that validates would get nothing. */
	{TYPE_RRSIG, NEVER, "a signed zone needs more than rows there (PRESIGNED)"},
	{TYPE_NSEC, NEVER, "a signed zone needs more than rows there (PRESIGNED)"},
	{TYPE_NSEC3, NEVER, "a signed zone needs more than rows there (PRESIGNED)"},
	{57, NEVER, "it takes it for RKEY and cannot read octets"},
	{65401, NEVER, "it takes it for ALIAS, an order to ask somebody else"},
	{65402, NEVER, "it takes it for LUA, a program to run"},
};

static const struct odd_type *odd_type_of(uint16_t type)
{
	static const struct odd_type plain = {.treatment = AS_TEXT};
	size_t i;

	for (i = 0; i < sizeof(odd_types) / sizeof(odd_types[0]); i++) {
		if (odd_types[i].type == type) {
			return &odd_types[i];
		}
	}
	return &plain;
}

/* Where the word that begins at `at` ends. */
static size_t word_end(struct span text, size_t at)
{
	bool quoted = false;

	while (at < text.len && (quoted || text.data[at] != ' ')) {
		if (text.data[at] == '"') {
			quoted = !quoted;
		}
		at += text.data[at] == '\\' && at + 1 < text.len ? 2 : 1;
	}
	return at;
}

/* In canonical data a bare word that ends in a dot is a name; `key=value` is none. The root keeps
 * its dot. */
static bool is_absolute_name(struct span word)
{
	return word.len > 1 && word.data[word.len - 1] == '.' && !span_has_byte(word, '=');
}

static struct span without_dots(struct span text, struct rows *rows)
{
	char *copy = NULL;
	size_t len = 0; /* of the copy */
	size_t from = 0;
	size_t at;

	for (at = 0; at < text.len; at++) {
		size_t start = at;

		at = word_end(text, at);
		if (!is_absolute_name((struct span){text.data + start, at - start})) {
			continue;
		}
		if (at == text.len && copy == NULL) {
			return (struct span){text.data, text.len - 1};
		}
		if (copy == NULL) {
			copy = zone_memory_take(&rows->memory, text.len);
		}
		memcpy(copy + len, text.data + from, at - 1 - from);
		len += at - 1 - from;
		from = at;
	}
	if (copy == NULL) {
		return text;
	}
	memcpy(copy + len, text.data + from, text.len - from);
	return (struct span){copy, len + text.len - from};
}

static enum outcome octets_of(uint16_t type, struct span text, struct buf *wire, struct reason *why)
{
	const struct dname root = {.len = 1};
	struct zone_lexer lexer;
	enum outcome outcome;

	zone_lexer_init(&lexer, text);
	outcome = zone_lexer_next(&lexer, why);
	if (outcome == OK) {
		outcome = rdata_parse(type, lexer.line.words, lexer.line.count, &root, wire, why);
	}
	zone_lexer_finish(&lexer);
	return outcome;
}

/* AS_OCTETS and WITH_NUMBER: both begin at the wire. */
static enum outcome rewrite(uint16_t type, enum treatment treatment, struct row *row,
			    struct rows *rows, struct reason *why)
{
	struct buf wire = BUF_INIT(RDATA_MAX);
	struct buf text = BUF_INIT(RDATA_TEXT_MAX);
	char name[RR_TYPE_TEXT_SIZE];
	enum outcome outcome;

	outcome = octets_of(type, row->data, &wire, why);
	if (outcome == OK && treatment == AS_OCTETS) {
		(void)snprintf(name, sizeof(name), "TYPE%u", type);
		row->type = rows_keep(rows, span_of(name));
		outcome = rdata_print(TYPE_PRIVATE, buf_span(&wire), &text, why);
	} else if (outcome == OK) {
		size_t word = word_end(row->data, 0);

		buf_addf(&text, "%u",
			 (unsigned char)wire.data[0] * 256U + (unsigned char)wire.data[1]);
		buf_add(&text, (struct span){row->data.data + word, row->data.len - word});
	}
	if (outcome == OK) {
		row->data = rows_keep(rows, buf_span(&text));
	}
	buf_finish(&wire);
	buf_finish(&text);
	return outcome;
}

static enum outcome take_prio(struct row *row, struct reason *why)
{
	size_t word = word_end(row->data, 0);
	uint32_t prio;

	if (word == row->data.len ||
	    !field_read_number((struct span){row->data.data, word}, 65535, &prio)) {
		return because(PERMFAIL, why, "does not begin with a number");
	}
	row->prio = prio;
	row->data = (struct span){row->data.data + word + 1, row->data.len - word - 1};
	return OK;
}

static bool has_gateway(struct span ipseckey)
{
	size_t precedence = word_end(ipseckey, 0);

	return ipseckey.len - precedence < 3 || memcmp(ipseckey.data + precedence, " 0 ", 3) != 0;
}

static enum outcome refuse(const char *detail, struct reason *why)
{
	return because(PERMFAIL, why, "PowerDNS cannot serve it from a table: %s", detail);
}

enum outcome powerdns_record(const char *type, const char *rdata, struct row *row,
			     struct rows *rows, struct reason *why)
{
	const struct odd_type *odd;
	uint16_t number = 0;

	row->type = span_of(type);
	row->data = span_of(rdata);
	if (rr_type_parse(row->type, &number, why) != OK) {
		return PERMFAIL;
	}
	odd = odd_type_of(number);
	switch (odd->treatment) {
	case NEVER:
		return refuse(odd->detail, why);
	case AS_OCTETS:
	case WITH_NUMBER:
		return rewrite(number, odd->treatment, row, rows, why);
	case WITH_GATEWAY:
		if (!has_gateway(row->data)) {
			return refuse(odd->detail, why);
		}
		break;
	case WITH_PRIO:
		if (take_prio(row, why) != OK) {
			return PERMFAIL;
		}
		break;
	case AS_TEXT:
		break;
	}
	row->data = without_dots(row->data, rows);
	return OK;
}
