/* SPDX-License-Identifier: Apache-2.0 */
/* RRsets: what the scanner found, judged and copied. Their texts go into zone files as they are, so
 * nothing may pass here that could end a record early, start a comment, a directive or another
 * line, or name something outside the zone (I10). */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "common/event_json.h"

#define LABEL_MAX 63
#define NAME_WIRE_MAX 255
#define TYPE_MAX 24
#define TTL_MAX 2147483647
#define TTL_PROBLEM "is not an integer of 0 to 2147483647"

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* The length of the escape that starts at text.data[at] (a backslash); 0: it is none. */
static size_t escape_len(struct span text, size_t at)
{
	const char *next = text.data + at + 1;
	size_t left = text.len - at - 1;

	if (left == 0) {
		return 0;
	}
	if (!is_digit(next[0])) {
		return 2;
	}
	if (left < 3 || !is_digit(next[1]) || !is_digit(next[2]) ||
	    (next[0] - '0') * 100 + (next[1] - '0') * 10 + (next[2] - '0') > 255) {
		return 0;
	}
	return 4;
}

/* Does `name` end in "ZONE."? The byte before that is judged by the caller, who knows escapes. */
static bool ends_in_zone(struct span name, const struct name *zone)
{
	return name.len > zone->len &&
	       strncasecmp(name.data + name.len - 1 - zone->len, zone->text, zone->len) == 0;
}

const char *rrset_name_problem(struct span name, const struct name *zone)
{
	size_t label = 0; /* bytes of the label so far */
	size_t wire = 1;
	size_t border; /* where the zone's part starts */
	bool on_border = false;
	size_t i = 0;

	if (name.len == 0 || name.data[name.len - 1] != '.' || !ends_in_zone(name, zone)) {
		return "is not in the zone";
	}
	if (name.data[0] == '$' || name.data[0] == '@') {
		return "starts with a byte that means something else in a zone file";
	}
	border = name.len - 1 - zone->len;
	while (i < name.len) {
		char byte = name.data[i];
		size_t len = 1;

		on_border = on_border || (i == border && label == 0);
		if (byte == '.') {
			if (label == 0 || label > LABEL_MAX) {
				return "has an empty or too long label";
			}
			wire += label + 1;
			label = 0;
			i++;
			continue;
		}
		if (byte < 0x21 || byte > 0x7e || byte == ';' || byte == '(' || byte == ')' ||
		    byte == '"') {
			return "has a byte that means something else in a zone file";
		}
		if (byte == '\\') {
			len = escape_len(name, i);
			if (len == 0 || name.data[i + len - 1] < 0x21 ||
			    name.data[i + len - 1] > 0x7e) {
				return "has a broken escape";
			}
		}
		label++;
		i += len;
	}
	if (label != 0 || !on_border) {
		return "is not in the zone"; /* an escaped dot is no border */
	}
	return wire > NAME_WIRE_MAX ? "is too long" : NULL;
}

const char *rrset_type_problem(struct span type)
{
	size_t i;

	if (type.len == 0 || type.len > TYPE_MAX) {
		return "is empty or too long";
	}
	for (i = 0; i < type.len; i++) {
		char byte = type.data[i];

		if (!(byte >= 'A' && byte <= 'Z') && !is_digit(byte) && byte != '-') {
			return "has a byte other than A-Z, 0-9 and -";
		}
	}
	return NULL;
}

const char *rdata_problem(struct span rdata)
{
	bool quoted = false;
	size_t i = 0;

	while (i < rdata.len) {
		char byte = rdata.data[i];
		size_t len = 1;

		if (byte < 0x20 || byte > 0x7e) {
			return "has a byte that is not printable ASCII";
		}
		if (byte == '\\') {
			len = escape_len(rdata, i);
			if (len == 0 || rdata.data[i + len - 1] < 0x20 ||
			    rdata.data[i + len - 1] > 0x7e) {
				return "has a broken escape";
			}
		} else if (byte == '"') {
			quoted = !quoted;
		} else if (!quoted && (byte == ';' || byte == '(' || byte == ')')) {
			return "has ; ( or ) outside quotes";
		}
		i += len;
	}
	return quoted ? "has a quote that is not closed" : NULL;
}

static void refuse(struct fields *fields, size_t index, const char *part, const char *problem)
{
	if (fields->outcome != OK) {
		return;
	}
	fields->outcome = because(PERMFAIL, fields->why, "field %srrsets[%zu]%s %s", fields->where,
				  index, part, problem);
}

/* Why a list of this size is not in our form. */
static void refuse_odd(struct fields *fields, const char *name, size_t size)
{
	static const struct {
		const char *part;
		const char *problem;
	} rows[] = {
		[RRSET_NAME] = {".name", "is not a text of printable ASCII"},
		[RRSET_TYPE] = {".type", "is not a text of printable ASCII"},
		[RRSET_TTL] = {".ttl", TTL_PROBLEM},
		[RRSET_RDATA] = {".rdata", "is not a filled list of texts of printable ASCII"},
		[RRSET_WHOLE] = {"", "is not an object of name, type, ttl, rdata"},
	};
	enum rrset_part part = fields->lists.part;

	if (size == 0) {
		fields_refuse(fields, name, "is not a filled list"); /* I5: empty says nothing */
	} else {
		refuse(fields, fields->lists.odd_rrset, rows[part].part, rows[part].problem);
	}
}

static struct span take_rdata(struct fields *fields, struct cursor *list, bool first, size_t index)
{
	struct span rdata;
	bool found = (first || scan_byte(list, ',')) && scan_string(list, &rdata);
	const char *problem;

	assert(found); /* the scanner has been here */
	rdata = event_memory_string(fields, rdata);
	problem = rdata_problem(rdata);
	if (problem != NULL) {
		refuse(fields, index, ".rdata", problem);
	}
	return rdata;
}

static void take_rrset(struct fields *fields, struct rrset_text *text, size_t index,
		       const struct name *zone, struct rrset *out, const char **rdata)
{
	struct span name = event_memory_string(fields, text->name);
	struct span type = event_memory_string(fields, text->type);
	const char *name_problem = rrset_name_problem(name, zone);
	const char *type_problem = rrset_type_problem(type);
	size_t i;

	if (name_problem != NULL) {
		refuse(fields, index, ".name", name_problem);
	}
	if (type_problem != NULL) {
		refuse(fields, index, ".type", type_problem);
	}
	if (text->ttl < 0 || text->ttl > TTL_MAX) {
		refuse(fields, index, ".ttl", TTL_PROBLEM);
	}
	for (i = 0; i < text->count && fields->outcome == OK; i++) {
		rdata[i] = take_rdata(fields, &text->rdata, i == 0, index).data;
	}
	*out = (struct rrset){name.data, type.data, (uint32_t)text->ttl, text->count, rdata};
}

static const struct rrset *take_rrsets(struct fields *fields, const struct name *zone)
{
	struct cursor cursor = fields->lists.rrsets;
	size_t count = fields->lists.rrset_count;
	struct rrset_text text;
	enum rrset_part part;
	struct rrset *out;
	const char **rdata;
	size_t i;

	/* One block for everything: the arrays, then the texts (and what alignment may take). */
	event_memory_reserve(fields, count * sizeof(*out) +
					     fields->lists.rdata_count * sizeof(*rdata) +
					     fields->lists.rrset_bytes + 2 * sizeof(void *));
	out = event_memory_get(fields, count * sizeof(*out));
	rdata = event_memory_get(fields, fields->lists.rdata_count * sizeof(*rdata));
	for (i = 0; i < count && fields->outcome == OK; i++) {
		bool found =
			(i == 0 || scan_byte(&cursor, ',')) && scan_rrset(&cursor, &text, &part);

		assert(found); /* the scanner has been here */
		take_rrset(fields, &text, i, zone, &out[i], rdata);
		rdata += text.count;
	}
	return out;
}

const struct rrset *fields_rrsets(struct fields *fields, const char *name, const struct name *zone,
				  size_t *count)
{
	json_t *list = fields_take(fields, name, REQUIRED);
	const struct rrset *out = NULL;

	if (fields->outcome == OK && fields->lists.rrsets.at != NULL) {
		out = take_rrsets(fields, zone);
	} else if (fields->outcome == OK) {
		refuse_odd(fields, name, json_array_size(list));
	}
	*count = fields->outcome == OK ? fields->lists.rrset_count : 0;
	return fields->outcome == OK ? out : NULL;
}

void fields_drop_rrsets(struct fields *fields, const char *name)
{
	json_t *list = fields_take(fields, name, REQUIRED);

	if (fields->lists.rrsets.at == NULL && json_array_size(list) == 0) {
		fields_refuse(fields, name, "is not a filled list"); /* I5: empty says nothing */
	}
}
