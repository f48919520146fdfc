/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_reader.h"

#include <string.h>
#include <strings.h>

#define TTL_CEILING 2147483647U /* RFC 2181 8 */

void zone_reader_init(struct zone_reader *reader, const struct name *zone, struct span text,
		      uint32_t ttl_max, struct zone_warnings *warnings)
{
	*reader = (struct zone_reader){.zone = zone, .ttl_max = ttl_max, .warnings = warnings};
	if (reader->ttl_max > TTL_CEILING) {
		reader->ttl_max = TTL_CEILING;
	}
	dname_from_name(zone, &reader->apex);
	reader->origin = reader->apex;
	zone_lexer_init(&reader->lexer, text);
}

void zone_reader_again(struct zone_reader *reader, struct span text)
{
	zone_lexer_again(&reader->lexer, text);
	dname_copy(&reader->apex, &reader->origin);
	reader->has_owner = false;
	reader->has_default_ttl = false;
	reader->has_last_ttl = false;
}

void zone_reader_finish(struct zone_reader *reader)
{
	zone_lexer_finish(&reader->lexer);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static uint64_t seconds_of(char unit)
{
	switch (unit) {
	case 'w':
	case 'W':
		return 604800;
	case 'd':
	case 'D':
		return 86400;
	case 'h':
	case 'H':
		return 3600;
	case 'm':
	case 'M':
		return 60;
	case 's':
	case 'S':
		return 1;
	default:
		return 0;
	}
}

bool zone_read_period(struct span text, uint32_t ceiling, uint32_t *out)
{
	uint64_t sum = 0;
	size_t at = 0;

	if (text.len == 0) {
		return false;
	}
	while (at < text.len) {
		uint64_t number = 0;
		uint64_t unit;
		size_t start = at;

		while (at < text.len && is_digit(text.data[at])) {
			number = number * 10 + (uint64_t)(text.data[at++] - '0');
			if (number > ceiling) {
				return false;
			}
		}
		if (at == start) {
			return false;
		}
		/* Plain seconds stand alone: 1h30 is refused, as by BIND. */
		unit = at < text.len ? seconds_of(text.data[at++]) : (uint64_t)(start == 0);
		sum += number * unit;
		if (unit == 0 || sum > ceiling) {
			return false;
		}
	}
	*out = (uint32_t)sum;
	return true;
}

static enum outcome read_ttl(const struct zone_reader *reader, struct span word, uint32_t *out,
			     struct reason *why)
{
	if (!zone_read_period(word, reader->ttl_max, out)) {
		return because(
			PERMFAIL, why,
			"line %zu: '%s' is not a TTL (seconds up to %u, or units as in 1d12h)",
			reader->lexer.line.number, name_quote(word).text, reader->ttl_max);
	}
	return OK;
}

/* K<zone>.+008+12345.key, in any folder. */
static bool is_key_file(struct span path, const struct name *zone)
{
	static const char form[] = ".+ddd+ddddd.key";
	const size_t form_len = sizeof(form) - 1;
	struct span file = path;
	size_t i;

	for (i = 0; i < path.len; i++) {
		if (path.data[i] == '/') {
			file = (struct span){path.data + i + 1, path.len - i - 1};
		}
	}
	if (file.len != 1 + (size_t)zone->len + form_len || file.data[0] != 'K' ||
	    strncasecmp(file.data + 1, zone->text, zone->len) != 0) {
		return false;
	}
	for (i = 0; i < form_len; i++) {
		char c = file.data[1 + zone->len + i];

		/* `d` stands for a digit; "key" has none. */
		if (form[i] == 'd' ? !is_digit(c) : c != form[i]) {
			return false;
		}
	}
	return true;
}

static enum outcome take_origin(struct zone_reader *reader, struct span name, struct reason *why)
{
	struct reason detail;

	if (dname_parse(name, &reader->origin, DNAME_OWNER, &reader->origin, &detail) != OK) {
		return because(PERMFAIL, why, "line %zu: $ORIGIN: %s", reader->lexer.line.number,
			       detail.text);
	}
	dname_lower(reader->origin.wire, reader->origin.len);
	return OK;
}

static enum outcome take_directive(struct zone_reader *reader, struct reason *why)
{
	const struct zone_line *line = &reader->lexer.line;
	struct span directive = line->words[0].text;
	bool one_word = line->count == 2 && line->words[1].kind == WORD_PLAIN;
	struct span argument = line->count > 1 ? line->words[1].text : SPAN_EMPTY;

	if (line->indented || line->in_parentheses) {
		return because(PERMFAIL, why,
			       "line %zu: '%s': a directive starts in the first column",
			       line->number, name_quote(directive).text);
	}
	if (span_is_nocase(directive, "$INCLUDE")) {
		if (line->count != 2 || !is_key_file(argument, reader->zone)) {
			return because(PERMFAIL, why,
				       "line %zu: $INCLUDE is not allowed here; put the records "
				       "into the zone",
				       line->number);
		}
		zone_warn(reader->warnings, line->number,
			  "$INCLUDE of the DNSSEC key file '%s' was left out",
			  name_quote(argument).text);
		return OK;
	}
	if (span_is_nocase(directive, "$GENERATE")) {
		return because(PERMFAIL, why,
			       "line %zu: $GENERATE is not allowed here; write the records out",
			       line->number);
	}
	if (!span_is_nocase(directive, "$TTL") && !span_is_nocase(directive, "$ORIGIN")) {
		return because(PERMFAIL, why, "line %zu: '%s' is no directive that we know",
			       line->number, name_quote(directive).text);
	}
	if (!one_word) {
		return because(PERMFAIL, why, "line %zu: %s takes exactly one word", line->number,
			       name_quote(directive).text);
	}
	if (span_is_nocase(directive, "$ORIGIN")) {
		return take_origin(reader, argument, why);
	}
	reader->has_default_ttl = true;
	return read_ttl(reader, argument, &reader->default_ttl, why);
}

static enum outcome take_owner(struct zone_reader *reader, struct reason *why)
{
	const struct zone_line *line = &reader->lexer.line;
	struct reason detail;
	struct dname owner;

	if (line->words[0].kind != WORD_PLAIN) {
		return because(PERMFAIL, why, "line %zu: a quoted text where a name should be",
			       line->number);
	}
	if (line->in_parentheses) {
		return because(PERMFAIL, why, "line %zu: begins with a parenthesis", line->number);
	}
	if (dname_parse(line->words[0].text, &reader->origin, DNAME_OWNER, &owner, &detail) != OK) {
		return because(PERMFAIL, why, "line %zu: %s", line->number, detail.text);
	}
	dname_lower(owner.wire, owner.len);
	if (!dname_is_within(dname_span(&owner), dname_span(&reader->apex))) {
		return because(PERMFAIL, why, "line %zu: %s is not in the zone %s", line->number,
			       dname_quote(dname_span(&owner)).text,
			       name_quote(name_span(reader->zone)).text);
	}
	reader->owner_is_new =
		!reader->has_owner || !span_equal(dname_span(&owner), dname_span(&reader->owner));
	dname_copy(&owner, &reader->owner);
	reader->has_owner = true;
	return OK;
}

static bool is_in(struct span word)
{
	return span_is_nocase(word, "IN") || span_is_nocase(word, "CLASS1");
}

static bool is_other_class(struct span word)
{
	static const char *const classes[] = {"CH", "HS", "CS", "ANY", "NONE"};
	size_t i;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (span_is_nocase(word, classes[i])) {
			return true;
		}
	}
	return word.len > 5 && strncasecmp(word.data, "CLASS", 5) == 0 && is_digit(word.data[5]);
}

/* BIND's order: the record's own, $TTL, the last one stated, the SOA's minimum. */
static enum outcome fill_ttl(struct zone_reader *reader, struct zone_entry *entry,
			     struct reason *why)
{
	if (reader->has_default_ttl) {
		entry->ttl = reader->default_ttl;
		return OK;
	}
	if (!reader->has_last_ttl) {
		if (!span_is_nocase(entry->type, "SOA") || entry->count != 7) {
			return because(PERMFAIL, why,
				       "line %zu: no TTL; write one, or $TTL at the top",
				       entry->line);
		}
		if (read_ttl(reader, entry->words[6].text, &reader->last_ttl, why) != OK) {
			return PERMFAIL;
		}
		reader->has_last_ttl = true;
	}
	entry->ttl = reader->last_ttl;
	return OK;
}

/* [TTL] [class] type RDATA, TTL and class in either order. */
static enum outcome take_record(struct zone_reader *reader, struct zone_entry *entry,
				struct reason *why)
{
	const struct zone_line *line = &reader->lexer.line;
	size_t at = line->indented ? 0 : 1;
	bool has_class = false;
	bool has_ttl = false;

	*entry = (struct zone_entry){.line = line->number, .comment_glued = line->comment_glued};
	for (; at < line->count && line->words[at].kind == WORD_PLAIN; at++) {
		struct span word = line->words[at].text;

		if (!has_ttl && (is_digit(word.data[0]) || word.data[0] == '-')) {
			if (read_ttl(reader, word, &entry->ttl, why) != OK) {
				return PERMFAIL;
			}
			has_ttl = true;
		} else if (!has_class && is_in(word)) {
			has_class = true;
		} else {
			break;
		}
	}
	if (at == line->count || line->words[at].kind != WORD_PLAIN) {
		return because(PERMFAIL, why, "line %zu: a record without a type", line->number);
	}
	entry->type = line->words[at].text;
	entry->words = line->words + at + 1;
	entry->count = line->count - at - 1;
	if (is_other_class(entry->type)) {
		return because(PERMFAIL, why, "line %zu: class %s; only IN is served", line->number,
			       name_quote(entry->type).text);
	}
	if (!has_ttl) {
		return fill_ttl(reader, entry, why);
	}
	reader->last_ttl = entry->ttl;
	reader->has_last_ttl = true;
	return OK;
}

enum outcome zone_reader_next(struct zone_reader *reader, struct zone_entry *entry,
			      struct reason *why)
{
	const struct zone_line *line = &reader->lexer.line;

	for (;;) {
		if (zone_lexer_next(&reader->lexer, why) != OK) {
			return PERMFAIL;
		}
		if (line->count == 0) {
			*entry = (struct zone_entry){0};
			return OK;
		}
		if (line->words[0].kind != WORD_PLAIN || line->words[0].text.data[0] != '$') {
			break;
		}
		if (take_directive(reader, why) != OK) {
			return PERMFAIL;
		}
	}
	if (!line->indented) {
		if (take_owner(reader, why) != OK) {
			return PERMFAIL;
		}
	} else if (!reader->has_owner) {
		return because(PERMFAIL, why, "line %zu: the first record has no owner name",
			       line->number);
	} else {
		reader->owner_is_new = false;
	}
	return take_record(reader, entry, why);
}
