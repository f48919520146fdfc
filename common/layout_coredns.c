/* SPDX-License-Identifier: Apache-2.0 */
#include "common/layout.h"

#include <assert.h>
#include <string.h>

#define NAME_MAX_PRINTED 1100

/* CoreDNS looks for a name as it spells it: `\ ` for a space, `\'` for a quote. */
static struct span respelled(struct span name, struct rows *rows)
{
	struct buf text = BUF_INIT(NAME_MAX_PRINTED);
	struct span kept = name;
	size_t at = 0;

	while (at < name.len) {
		size_t left = name.len - at;

		if (left >= 4 && memcmp(name.data + at, "\\032", 4) == 0) {
			buf_add_text(&text, "\\ ");
			at += 4;
		} else if (name.data[at] == '\\' && left >= 2) {
			buf_add(&text, (struct span){name.data + at, 2});
			at += 2;
		} else {
			if (name.data[at] == '\'') {
				buf_add_byte(&text, '\\');
			}
			buf_add_byte(&text, name.data[at++]);
		}
	}
	if (!span_equal(buf_span(&text), name)) {
		kept = rows_keep(rows, buf_span(&text));
	}
	buf_finish(&text);
	return kept;
}

/* "www" of "www.example.com." */
static struct span hostname_of(struct span name, const struct name *zone, struct rows *rows)
{
	size_t behind = (size_t)zone->len + 1; /* the zone's name, the final dot */

	if (name.len == behind) {
		return span_of("@");
	}
	assert(name.len > behind + 1); /* event.h: names are inside the zone */
	return respelled((struct span){name.data, name.len - behind - 1}, rows);
}

static enum outcome rows_of(const struct zone_event *value, const struct layout_widths *widths,
			    struct rows *out, struct reason *why)
{
	struct rows rows = ROWS_INIT;
	size_t i;
	size_t j;

	for (i = 0; !value->deleted && i < value->rrset_count; i++) {
		const struct rrset *rrset = &value->rrsets[i];
		struct span hostname = hostname_of(span_of(rrset->name), &value->zone, &rows);

		for (j = 0; j < rrset->count; j++) {
			*rows_add(&rows) = (struct row){
				.name = hostname,
				.type = span_of(rrset->type),
				.data = span_of(rrset->rdata[j]),
				.ttl = rrset->ttl,
				.served = true,
				.auth = true,
			};
		}
	}
	if (rows_fit(&rows, &layout_coredns, widths, why) != OK) {
		rows_finish(&rows);
		return PERMFAIL;
	}
	*out = rows;
	return OK;
}

/* CoreDNS completes a relative name in the data with the root, not with the zone. */
static void print(const struct name *zone, const struct rows *rows, struct buf *out)
{
	struct buf owner = BUF_INIT(out->ceiling);
	size_t i;

	buf_add_text(out, "$ORIGIN .\n");
	for (i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];

		if (!row->served || row->type.data == NULL) {
			continue;
		}
		buf_clear(&owner);
		if (row->name.len != 0 && !span_is(row->name, "@")) {
			buf_add(&owner, row->name);
			buf_add_byte(&owner, '.');
		}
		if (row->name.len != 0) {
			buf_add(&owner, name_span(zone));
			buf_add_byte(&owner, '.');
		}
		row_print(row, buf_span(&owner), "", out);
	}
	buf_finish(&owner);
}

static void zone_text(const struct name *zone, char out[NAME_TEXT_MAX + 2])
{
	memcpy(out, zone->text, zone->len);
	memcpy(out + zone->len, ".", 2);
}

static bool zone_of(struct span text, struct name *out)
{
	struct name name;

	if (text.len == 0 || text.data[text.len - 1] != '.' ||
	    name_parse(text, &name, NULL) != OK || name_label_count(&name) < 2) {
		return false;
	}
	*out = name;
	return true;
}

const struct layout layout_coredns = {
	.type = "coredns_mysql",
	.zones_table = "zones",
	.records_table = "records",
	.name_column = "hostname",
	.data_column = "data",
	.rows_of = rows_of,
	.print = print,
	.zone_text = zone_text,
	.zone_of = zone_of,
	.select_zones = "SELECT id, zone_name, 0 FROM zones WHERE zone_name IN (%s)",
	.insert_zone = "INSERT INTO zones (zone_name) VALUES (?)",
	.delete_zone = "DELETE FROM zones WHERE id = ?",
	.select_rows = "SELECT zone_id, id, hostname, type, data, ttl, 0,"
		       " COALESCE(online <> 0, 0), 1 FROM records WHERE zone_id IN (%s)",
	.insert_row = "INSERT INTO records (zone_id, hostname, type, data, ttl, online)"
		      " VALUES (?, ?, ?, ?, ?, ?)",
	.row_columns = 6,
	.delete_row = "DELETE FROM records WHERE id = ?",
	.delete_rows = "DELETE FROM records WHERE zone_id = ?",
	.count_rows = "SELECT zone_id, COUNT(*) FROM records WHERE zone_id IN (%s)"
		      " GROUP BY zone_id",
};
