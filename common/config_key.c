/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_key.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void config_env_name(const char *path, struct buf *out)
{
	buf_add_text(out, "DADNS_");
	for (size_t i = 0; path[i] != '\0'; i++) {
		unsigned char c = (unsigned char)path[i];

		buf_add_byte(out, isalnum(c) ? (char)toupper(c) : '_');
	}
}

struct span config_key_parent(const struct config_key *row)
{
	const char *star = strchr(row->path, '*');

	if (star == NULL) {
		return SPAN_EMPTY;
	}
	return (struct span){row->path, (size_t)(star - row->path) - 1};
}

void config_key_expand(const struct config_key *row, const char *stanza, struct buf *out)
{
	const char *star = strchr(row->path, '*');

	if (star == NULL) {
		buf_add_text(out, row->path);
		return;
	}
	buf_add(out, (struct span){row->path, (size_t)(star - row->path)});
	buf_add_text(out, stanza);
	buf_add_text(out, star + 1);
}

bool config_key_fits(const struct config_key *row, const char *path, struct span *stanza)
{
	const char *star = strchr(row->path, '*');
	size_t before;
	size_t after;
	size_t len = strlen(path);

	if (star == NULL) {
		return strcmp(row->path, path) == 0;
	}
	before = (size_t)(star - row->path);
	after = strlen(star + 1);
	if (len <= before + after || strncmp(path, row->path, before) != 0 ||
	    strcmp(path + len - after, star + 1) != 0) {
		return false;
	}
	if (stanza != NULL) {
		*stanza = (struct span){path + before, len - before - after};
	}
	return true;
}

bool config_key_covers(const struct config_key *row, const char *path)
{
	const char *p = path;

	for (const char *r = row->path; *r != '\0'; r++) {
		if (*r == '*') {
			p += strcspn(p, ".");
		} else if (*p++ != *r) {
			return false;
		}
	}
	return *p == '\0' || *p == '.';
}

bool config_key_is_value(const struct config_key *row)
{
	return row->kind == CONFIG_TEXT || row->kind == CONFIG_INT || row->kind == CONFIG_BOOL;
}

const struct config_key *config_key_next(const struct config_key *const *tables, size_t *at)
{
	size_t i = (*at)++;

	for (size_t t = 0; tables[t] != NULL; t++) {
		size_t n = 0;

		while (tables[t][n].path != NULL) {
			n++;
		}
		if (i < n) {
			return &tables[t][i];
		}
		i -= n;
	}
	return NULL;
}

bool config_parse_bool(const char *text, bool *out)
{
	struct span span = span_of(text);

	if (span_is_nocase(span, "true") || span_is_nocase(span, "yes")) {
		*out = true;
		return true;
	}
	if (span_is_nocase(span, "false") || span_is_nocase(span, "no")) {
		*out = false;
		return true;
	}
	return false;
}

bool config_parse_int(const char *text, int64_t *out)
{
	const char *digits = text + (text[0] == '-');
	int64_t value;

	if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
		return false;
	}
	errno = 0;
	value = strtoll(text, NULL, 10);
	if (errno != 0) {
		return false;
	}
	*out = value;
	return true;
}

struct span config_choice(const char *choices, const char *text)
{
	while (*choices != '\0') {
		struct span choice = {choices, strcspn(choices, "|")};

		if (choice.len == strlen(text) && span_is_nocase(choice, text)) {
			return choice;
		}
		choices += choice.len + (choices[choice.len] == '|');
	}
	return SPAN_EMPTY;
}

static enum outcome check_int(const struct config_key *row, const char *text, struct reason *why)
{
	int64_t value;

	if (!config_parse_int(text, &value)) {
		return because(PERMFAIL, why, "`%.60s` is no whole number", text);
	}
	if ((row->lowest != 0 || row->highest != 0) &&
	    (value < row->lowest || value > row->highest)) {
		return because(PERMFAIL, why, "%" PRId64 " is not within %" PRId64 " to %" PRId64,
			       value, row->lowest, row->highest);
	}
	return OK;
}

static enum outcome check_text(const struct config_key *row, const char *text, char **canonical,
			       struct reason *why)
{
	struct span choice = span_of(text);

	/* An empty password that nobody asked for would be a door without a lock. */
	if (row->secret && text[0] == '\0' && (row->fallback == NULL || row->fallback[0] != '\0')) {
		return because(PERMFAIL, why, "a secret must not be empty");
	}
	if (row->choices != NULL) {
		choice = config_choice(row->choices, text);
		if (choice.len == 0) {
			return because(PERMFAIL, why, "`%.60s` is none of %s", text, row->choices);
		}
	}
	*canonical = xstrndup(choice.data, choice.len);
	return OK;
}

enum outcome config_check(const struct config_key *row, const char *text, char **canonical,
			  struct reason *why)
{
	enum outcome outcome;
	bool truth;

	switch (row->kind) {
	case CONFIG_TEXT:
		return check_text(row, text, canonical, why);
	case CONFIG_INT:
		outcome = check_int(row, text, why);
		if (outcome == OK) {
			*canonical = xstrdup(text);
		}
		return outcome;
	case CONFIG_BOOL:
		if (!config_parse_bool(text, &truth)) {
			return because(PERMFAIL, why, "`%.60s` is none of yes, no, true, false",
				       text);
		}
		*canonical = xstrdup(truth ? "true" : "false");
		return OK;
	case CONFIG_GONE:
	case CONFIG_ELSEWHERE:
	case CONFIG_FLAG:
		break;
	}
	return because(PERMFAIL, why, "it takes no value");
}
