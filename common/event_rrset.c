/* SPDX-License-Identifier: Apache-2.0 */
/* RRsets out of JSON. Their texts go into zone files as they are, so nothing may pass here that
 * could end a record early, start a comment, a directive or another line, or name something
 * outside the zone (I10). */
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "common/event_json.h"

#define LABEL_MAX 63
#define NAME_WIRE_MAX 255
#define TYPE_MAX 24
#define TTL_MAX 2147483647

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

static struct span string_span(const json_t *string)
{
	return (struct span){json_string_value(string), json_string_length(string)};
}

static const char *take_name(struct fields *fields, const json_t *rrset, size_t index,
			     const struct name *zone)
{
	struct span text = string_span(json_object_get(rrset, "name"));
	const char *problem = text.data == NULL ? "is not a text" : rrset_name_problem(text, zone);

	if (problem != NULL) {
		refuse(fields, index, ".name", problem);
		return NULL;
	}
	return event_memory_text(fields, text);
}

static const char *take_type(struct fields *fields, const json_t *rrset, size_t index)
{
	struct span text = string_span(json_object_get(rrset, "type"));
	const char *problem = text.data == NULL ? "is not a text" : rrset_type_problem(text);

	if (problem != NULL) {
		refuse(fields, index, ".type", problem);
		return NULL;
	}
	return event_memory_text(fields, text);
}

static uint32_t take_ttl(struct fields *fields, const json_t *rrset, size_t index)
{
	const json_t *ttl = json_object_get(rrset, "ttl");

	if (!json_is_integer(ttl) || json_integer_value(ttl) < 0 ||
	    json_integer_value(ttl) > TTL_MAX) {
		refuse(fields, index, ".ttl", "is not an integer of 0 to 2147483647");
		return 0;
	}
	return (uint32_t)json_integer_value(ttl);
}

static const char *const *take_rdata(struct fields *fields, const json_t *rrset, size_t index,
				     size_t *count)
{
	const json_t *list = json_object_get(rrset, "rdata");
	const char **out;
	size_t i;

	*count = json_array_size(list);
	if (*count == 0) {
		refuse(fields, index, ".rdata", "is not a filled list");
		return NULL;
	}
	out = event_memory_get(fields, *count * sizeof(*out));
	for (i = 0; i < *count; i++) {
		struct span text = string_span(json_array_get(list, i));
		const char *problem = text.data == NULL ? "is not a text" : rdata_problem(text);

		if (problem != NULL) {
			refuse(fields, index, ".rdata", problem);
			return NULL;
		}
		out[i] = event_memory_text(fields, text);
	}
	return out;
}

const struct rrset *fields_rrsets(struct fields *fields, const char *name, const struct name *zone,
				  size_t *count)
{
	json_t *list = fields_take(fields, name, REQUIRED);
	size_t size = json_array_size(list);
	struct rrset *out = NULL;
	size_t i;

	if (size == 0) {
		fields_refuse(fields, name, "is not a filled list"); /* I5: empty says nothing */
	} else {
		out = event_memory_get(fields, size * sizeof(*out));
	}
	for (i = 0; i < size && fields->outcome == OK; i++) {
		const json_t *rrset = json_array_get(list, i);

		if (json_object_size(rrset) != 4) {
			refuse(fields, i, "", "is not an object of name, type, ttl, rdata");
			break;
		}
		out[i].name = take_name(fields, rrset, i, zone);
		out[i].type = take_type(fields, rrset, i);
		out[i].ttl = take_ttl(fields, rrset, i);
		out[i].rdata = take_rdata(fields, rrset, i, &out[i].count);
	}
	json_decref(list);
	*count = fields->outcome == OK ? size : 0;
	return fields->outcome == OK ? out : NULL;
}

void fields_drop_list(struct fields *fields, const char *name)
{
	json_t *list = fields_take(fields, name, REQUIRED);

	if (json_array_size(list) == 0) {
		fields_refuse(fields, name, "is not a filled list");
	}
	json_decref(list);
}
