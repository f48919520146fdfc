/* SPDX-License-Identifier: Apache-2.0 */
#include "common/layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/zone_memory.h"

void rows_finish(struct rows *rows)
{
	zone_memory_release(rows->memory);
	free(rows->items);
	*rows = (struct rows)ROWS_INIT;
}

struct row *rows_add(struct rows *rows)
{
	if (rows->count == rows->room) {
		rows->room = rows->room == 0 ? 64 : rows->room * 2;
		rows->items = xrealloc(rows->items, rows->room * sizeof(*rows->items));
	}
	rows->items[rows->count] = (struct row){0};
	return &rows->items[rows->count++];
}

struct span rows_keep(struct rows *rows, struct span text)
{
	if (text.data == NULL) {
		return text;
	}
	return (struct span){zone_memory_copy(&rows->memory, text), text.len};
}

/* --- two sets of rows ------------------------------------------------------------------------ */

static int compare_texts(struct span a, struct span b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int difference;

	if (a.data == NULL || b.data == NULL) {
		return (a.data != NULL) - (b.data != NULL);
	}
	difference = memcmp(a.data, b.data, shorter);
	if (difference != 0) {
		return difference;
	}
	return (a.len > b.len) - (a.len < b.len);
}

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_content(const struct row *a, const struct row *b)
{
	int difference = compare_texts(a->name, b->name);

	difference = difference != 0 ? difference : compare_texts(a->type, b->type);
	difference = difference != 0 ? difference : compare_texts(a->data, b->data);
	difference = difference != 0 ? difference : compare_numbers(a->ttl, b->ttl);
	difference = difference != 0 ? difference : compare_numbers(a->prio, b->prio);
	difference = difference != 0 ? difference : compare_numbers(a->served, b->served);
	return difference != 0 ? difference : compare_numbers(a->auth, b->auth);
}

static int compare_rows(const void *a_row, const void *b_row)
{
	const struct row *a = a_row;
	const struct row *b = b_row;
	int difference = compare_content(a, b);

	return difference != 0 ? difference : compare_numbers(a->id, b->id);
}

static void sort(struct rows *rows)
{
	if (rows->count != 0) {
		qsort(rows->items, rows->count, sizeof(*rows->items), compare_rows);
	}
}

void rows_match(struct rows *have, struct rows *want, bool *stay_have, bool *stay_want)
{
	size_t h = 0;
	size_t w = 0;

	sort(have);
	sort(want);
	while (h < have->count && w < want->count) {
		int difference = compare_content(&have->items[h], &want->items[w]);

		if (difference <= 0) {
			stay_have[h++] = difference == 0;
		}
		if (difference >= 0) {
			stay_want[w++] = difference == 0;
		}
	}
	while (h < have->count) {
		stay_have[h++] = false;
	}
	while (w < want->count) {
		stay_want[w++] = false;
	}
}

/* --- layouts --------------------------------------------------------------------------------- */

const struct layout *layout_by_type(const char *type)
{
	static const struct layout *const layouts[] = {&layout_coredns, &layout_powerdns};
	size_t i;

	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (strcmp(type, layouts[i]->type) == 0) {
			return layouts[i];
		}
	}
	return NULL;
}

bool layout_wrote(const struct layout *layout, const struct zone *zone, struct rows *rows)
{
	const struct layout_widths any = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
	const struct zone_event value = {
		.zone = *zone_name(zone),
		.rrsets = zone_rrsets(zone),
		.rrset_count = zone_rrset_count(zone),
	};
	struct rows want = ROWS_INIT;
	bool *stay_want;
	bool *stay;
	bool wrote;
	size_t i;

	if (layout->rows_of(&value, &any, &want, NULL) != OK) {
		return false;
	}
	stay_want = xcalloc(want.count, sizeof(*stay_want));
	stay = xcalloc(rows->count, sizeof(*stay));
	rows_match(rows, &want, stay, stay_want);
	wrote = true;
	for (i = 0; i < want.count; i++) {
		wrote = wrote && stay_want[i];
	}
	for (i = 0; i < rows->count; i++) {
		wrote = wrote && (stay[i] || !rows->items[i].served);
	}
	free(stay);
	free(stay_want);
	rows_finish(&want);
	return wrote;
}

/* --- for the layouts ------------------------------------------------------------------------- */

static enum outcome too_wide(const struct row *row, const struct layout *layout, const char *column,
			     size_t need, size_t width, struct reason *why)
{
	return because(PERMFAIL, why,
		       "%s of %s needs %zu characters, %s.%s holds %zu: widen the column",
		       row->type.data == NULL ? "the row" : name_quote(row->type).text,
		       name_quote(row->name).text, need, layout->records_table, column, width);
}

enum outcome rows_fit(const struct rows *rows, const struct layout *layout,
		      const struct layout_widths *widths, struct reason *why)
{
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];

		if (row->name.len > widths->name) {
			return too_wide(row, layout, layout->name_column, row->name.len,
					widths->name, why);
		}
		if (row->type.len > widths->type) {
			return too_wide(row, layout, "type", row->type.len, widths->type, why);
		}
		if (row->data.len > widths->data) {
			return too_wide(row, layout, layout->data_column, row->data.len,
					widths->data, why);
		}
	}
	return OK;
}

static bool is_type(struct span text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		char c = text.data[i];

		if ((c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-') {
			return false;
		}
	}
	return text.len != 0;
}

/* I10: true if nothing in it can end the line, open a parenthesis or begin a comment. */
static bool stays_on_its_line(struct span text, bool one_word)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c == '\\') {
			c = ++i < text.len ? text.data[i] : '\0';
		} else if (c == '"' && !one_word) {
			quoted = !quoted;
		} else if (!quoted && (c == '"' || c == ';' || c == '(' || c == ')' ||
				       (c == ' ' && one_word))) {
			return false;
		}
		if (c < 0x20 || c > 0x7e) {
			return false;
		}
	}
	return !quoted;
}

static bool is_readable(const struct row *row, struct span owner)
{
	return owner.len != 0 && owner.data[0] != '$' && stays_on_its_line(owner, true) &&
	       is_type(row->type) && row->ttl >= 0 && row->data.data != NULL &&
	       stays_on_its_line(row->data, false);
}

void row_print(const struct row *row, struct span owner, const char *before, struct buf *out)
{
	if (!is_readable(row, owner)) {
		buf_addf(out, "$UNREADABLE-ROW-%" PRId64 "\n", row->id);
		return;
	}
	buf_add(out, owner);
	buf_addf(out, "\t%" PRId64 "\tIN\t", row->ttl);
	buf_add(out, row->type);
	buf_add_byte(out, '\t');
	buf_add_text(out, before);
	buf_add(out, row->data);
	buf_add_byte(out, '\n');
}
