/* SPDX-License-Identifier: Apache-2.0 */
#include "common/layout.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/layout_powerdns_record.h"

#define LABELS_MAX 128
/* Of one zone: a name of 127 labels may need 125 of them. */
#define NON_TERMINALS_MAX 100000

/* One label up; the text of a checked name. */
static struct span parent_of(struct span name)
{
	size_t at = 0;

	while (at < name.len && name.data[at] != '.') {
		at += name.data[at] == '\\' ? 2 : 1;
	}
	at = at < name.len ? at + 1 : name.len;
	return (struct span){name.data + at, name.len - at};
}

static bool is_within(struct span name, struct span ancestor)
{
	while (name.len > ancestor.len) {
		name = parent_of(name);
	}
	return span_equal(name, ancestor);
}

/* Through the names of a zone in canonical order, where everything below a name follows it. */
struct walk {
	struct rows *rows;
	size_t apex_len;
	struct span last; /* the owner before */
	struct span cut;  /* the delegation that the owner is at or below, or empty */
	struct {
		size_t len; /* of the name */
		size_t row;
	} open[LABELS_MAX]; /* empty non-terminals above `last` */
	size_t open_count;
	size_t non_terminals;
};

/* The closest name above or at both. */
static struct span common_of(struct span a, struct span b)
{
	while (!span_equal(a, b)) {
		if (a.len >= b.len) {
			a = parent_of(a);
		} else {
			b = parent_of(b);
		}
	}
	return a;
}

static enum outcome add_non_terminal(struct walk *walk, struct span name, bool auth,
				     struct reason *why)
{
	if (walk->non_terminals++ == NON_TERMINALS_MAX) {
		return because(PERMFAIL, why,
			       "its names are so deep that PowerDNS needs over %d rows for names "
			       "without records",
			       NON_TERMINALS_MAX);
	}
	assert(walk->open_count < LABELS_MAX);
	walk->open[walk->open_count].len = name.len;
	walk->open[walk->open_count++].row = walk->rows->count;
	*rows_add(walk->rows) = (struct row){
		.name = powerdns_name(name, walk->rows),
		.ttl = -1,
		.served = true,
		.auth = auth,
	};
	return OK;
}

/* Those between `owner` and what has been before. Like PowerDNS's own, they are authoritative if
 * any name below them is. */
static enum outcome add_non_terminals(struct walk *walk, struct span owner, bool auth,
				      struct reason *why)
{
	size_t known = common_of(walk->last, owner).len;
	struct span name;
	size_t kept = 0;
	size_t i;

	known = known > walk->apex_len ? known : walk->apex_len;
	for (i = 0; i < walk->open_count; i++) {
		if (walk->open[i].len <= known) {
			walk->rows->items[walk->open[i].row].auth |= auth;
			walk->open[kept++] = walk->open[i];
		}
	}
	walk->open_count = kept;
	for (name = parent_of(owner); name.len > known; name = parent_of(name)) {
		if (add_non_terminal(walk, name, auth, why) != OK) {
			return PERMFAIL;
		}
	}
	return OK;
}

/* `parent_auth` is for DS, which belongs to the zone above the delegation that it stands at. */
static enum outcome add_rrset(struct walk *walk, const struct rrset *rrset, struct span name,
			      bool auth, bool parent_auth, struct reason *why)
{
	bool is_ds = strcmp(rrset->type, "DS") == 0;
	struct reason detail;
	size_t i;

	for (i = 0; i < rrset->count; i++) {
		struct row row = {
			.name = name,
			.ttl = rrset->ttl,
			.served = true,
			.auth = is_ds ? parent_auth : auth,
		};

		if (powerdns_record(rrset->type, rrset->rdata[i], &row, walk->rows, &detail) !=
		    OK) {
			return because(PERMFAIL, why, "%s of %s: %s", rrset->type,
				       name_quote(name).text, detail.text);
		}
		*rows_add(walk->rows) = row;
	}
	return OK;
}

/* All RRsets of one name. */
static enum outcome add_node(struct walk *walk, const struct rrset *rrsets, size_t count,
			     struct reason *why)
{
	struct span owner = span_of(rrsets[0].name);
	struct span name;
	bool is_cut;
	bool auth;
	size_t i;

	if (walk->cut.len != 0 && !is_within(owner, walk->cut)) {
		walk->cut = SPAN_EMPTY;
	}
	for (i = 0; i < count && walk->cut.len == 0 && owner.len != walk->apex_len; i++) {
		if (strcmp(rrsets[i].type, "NS") == 0) {
			walk->cut = owner;
		}
	}
	auth = walk->cut.len == 0;
	is_cut = walk->cut.len == owner.len;
	if (add_non_terminals(walk, owner, auth, why) != OK) {
		return PERMFAIL;
	}
	name = powerdns_name(owner, walk->rows);
	for (i = 0; i < count; i++) {
		if (add_rrset(walk, &rrsets[i], name, auth, auth || is_cut, why) != OK) {
			return PERMFAIL;
		}
	}
	walk->last = owner;
	return OK;
}

static enum outcome add_zone(const struct zone_event *value, struct rows *rows, struct reason *why)
{
	struct walk walk = {.rows = rows, .apex_len = (size_t)value->zone.len + 1};
	size_t count;
	size_t at;

	for (at = 0; at < value->rrset_count; at += count) {
		const struct rrset *rrsets = value->rrsets + at;

		for (count = 1; at + count < value->rrset_count; count++) {
			if (strcmp(rrsets[count].name, rrsets[0].name) != 0) {
				break;
			}
		}
		if (add_node(&walk, rrsets, count, why) != OK) {
			return PERMFAIL;
		}
	}
	return OK;
}

/* `ordername` stays NULL: PowerDNS signs nothing here. */
static enum outcome rows_of(const struct zone_event *value, const struct layout_widths *widths,
			    struct rows *out, struct reason *why)
{
	struct rows rows = ROWS_INIT;

	if (!value->deleted && (add_zone(value, &rows, why) != OK ||
				rows_fit(&rows, &layout_powerdns, widths, why) != OK)) {
		rows_finish(&rows);
		return PERMFAIL;
	}
	*out = rows;
	return OK;
}

static void print(const struct name *zone, const struct rows *rows, struct buf *out)
{
	struct buf owner = BUF_INIT(out->ceiling);
	size_t i;

	(void)zone; /* names are whole */
	buf_add_text(out, "$ORIGIN .\n");
	for (i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];
		char prio[24] = "";

		if (!row->served || row->type.data == NULL) {
			continue;
		}
		if (span_is(row->type, "MX") || span_is(row->type, "SRV")) {
			(void)snprintf(prio, sizeof(prio), "%" PRId64 " ", row->prio);
		}
		buf_clear(&owner);
		powerdns_owner(row->name, &owner);
		row_print(row, buf_span(&owner), prio, out);
	}
	buf_finish(&owner);
}

static void zone_text(const struct name *zone, char out[NAME_TEXT_MAX + 2])
{
	memcpy(out, zone->text, (size_t)zone->len + 1);
}

static bool zone_of(struct span text, struct name *out)
{
	struct name name;

	if (text.len == 0 || text.data[text.len - 1] == '.' ||
	    name_parse(text, &name, NULL) != OK || name_label_count(&name) < 2) {
		return false;
	}
	*out = name;
	return true;
}

const struct layout layout_powerdns = {
	.type = "powerdns_mysql",
	.zones_table = "domains",
	.records_table = "records",
	.name_column = "name",
	.data_column = "content",
	.rows_of = rows_of,
	.print = print,
	.zone_text = zone_text,
	.zone_of = zone_of,
	.select_zones = "SELECT id, name, type IN ('SLAVE', 'SECONDARY', 'CONSUMER') FROM domains"
			" WHERE name IN (%s)",
	.insert_zone = "INSERT INTO domains (name, type) VALUES (?, 'NATIVE')",
	.delete_zone = "DELETE FROM domains WHERE id = ?",
	.select_rows = "SELECT domain_id, id, name, type, content, ttl, COALESCE(prio, 0),"
		       " COALESCE(disabled = 0, 0), COALESCE(auth, 0) FROM records"
		       " WHERE domain_id IN (%s)",
	.insert_row = "INSERT INTO records (domain_id, name, type, content, ttl, disabled, prio,"
		      " auth) VALUES (?, ?, ?, ?, ?, 1 - ?, ?, ?)",
	.row_columns = 8,
	.delete_row = "DELETE FROM records WHERE id = ?",
	.delete_rows = "DELETE FROM records WHERE domain_id = ?",
	/* PowerDNS serves them. */
	.select_orphans =
		"SELECT r.domain_id FROM records r LEFT JOIN domains d ON d.id = r.domain_id"
		" WHERE r.name IN (%s) AND r.type = 'SOA' AND r.domain_id IS NOT NULL"
		" AND d.id IS NULL",
	.count_rows = "SELECT domain_id, COUNT(*) FROM records WHERE domain_id IN (%s)"
		      " GROUP BY domain_id",
};
