/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h: the two table layouts that name servers read, as values: a zone as rows, rows as a
 * zone, the SQL that belongs to them. No I/O: writer-mysql and the auditor bring the statements to
 * a database.
 *
 * `coredns` (DESIGN.md section 9): zones(id, zone_name with final dot), records(id, zone_id,
 * hostname relative to the zone ("@" the apex, "*" as is), type, data absolute, ttl, online).
 * `powerdns` (the gmysql schema of PowerDNS 4.7 and later): domains(id, name without final dot,
 * type, ...), records(id, domain_id, name without final dot, type, content with its names without
 * final dot, ttl, prio of MX and SRV, disabled, ordername, auth). Empty non-terminals get a row
 * without type, as PowerDNS wants them (RFC 8020).
 *
 * All texts are printable ASCII; owner names are spelled as the reader spells those that it looks
 * for, which is not quite a zone file's way.
 *
 * Beside either stand our own tables: dadns_zones (zone, version, owner, digest, deleted; I4),
 * dadns_positions (partition, next offset of dadns.zones), dadns_meta (one counter of
 * transactions that changed content or versions, so that a reader can follow).
 */
#ifndef COMMON_LAYOUT_H
#define COMMON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/event.h"
#include "common/name.h"
#include "common/outcome.h"
#include "common/zone.h"

/* One row of `records`. */
struct row {
	int64_t id;       /* 0: not in the table */
	struct span name; /* hostname / name */
	struct span type; /* data NULL: SQL NULL */
	struct span data; /* data / content; data NULL: SQL NULL */
	int64_t ttl;      /* -1: SQL NULL */
	int64_t prio;     /* powerdns, MX and SRV; else 0, as is SQL NULL */
	bool served;      /* coredns: online = 1; powerdns: disabled = 0 */
	bool auth;        /* powerdns: false at and below a delegation, but of DS; coredns: true */
};

struct rows {
	struct row *items;
	size_t count;
	size_t room;
	struct zone_chunk *memory; /* of texts that are not borrowed */
};
#define ROWS_INIT \
	{         \
		0 \
	}

void rows_finish(struct rows *rows);
/* A new last row, zeroed. Its address is good until the next rows_add. */
struct row *rows_add(struct rows *rows);
/* A copy that lives as long as `rows`; NULL stays NULL. */
struct span rows_keep(struct rows *rows, struct span text);
/* Sorts both by content and marks in `stay_*` (of `have->count`, `want->count`, in the new order)
 * what is in both; duplicates pair one to one, the lowest id stays. What is not marked in `have`
 * goes, what is not in `want` comes. */
void rows_match(struct rows *have, struct rows *want, bool *stay_have, bool *stay_want);

/* What the tables' columns hold, in characters; read from the database. */
struct layout_widths {
	size_t name;
	size_t type;
	size_t data;
};

struct layout {
	const char *type; /* of the stanza: "coredns_mysql" */
	const char *zones_table;
	const char *records_table;
	const char *name_column; /* of records, and so on, for the widths */
	const char *data_column;

	/* The value's rows; a deleted one has none. Texts may be borrowed from it. PERMFAIL: a
	 * column would cut something, or the reader cannot serve it; `why` names the record and
	 * what to do. */
	enum outcome (*rows_of)(const struct zone_event *value, const struct layout_widths *widths,
				struct rows *out, struct reason *why);
	/* Master file text of the rows that are served, for zone_parse (which judges it). One row
	 * is one record; a row that is none (somebody has been at the table) becomes a line that
	 * zone_parse refuses by the row's id. The caller looks at `out->overflow`. */
	void (*print)(const struct name *zone, const struct rows *rows, struct buf *out);
	/* As it stands in the zones table. */
	void (*zone_text)(const struct name *zone, char out[NAME_TEXT_MAX + 2]);
	bool (*zone_of)(struct span text, struct name *out); /* false: no zone name of ours */

	/* Statements; `?` are parameters, `%s` in a SELECT is a list of them. */
	const char *select_zones; /* zone texts -> id, zone text, 1 if another primary owns it */
	const char *insert_zone;  /* zone text */
	const char *delete_zone;  /* id */
	const char *select_rows;  /* zone ids -> zone id, id, name, type, data, ttl, prio, served,
				     auth */
	const char *insert_row;  /* zone id, name, type, data, ttl, served, prio, auth: the first */
	size_t row_columns;      /* so many of them */
	const char *delete_row;  /* id */
	const char *delete_rows; /* zone id */
	/* zone texts -> ids that rows of such a zone have and no zone has; NULL: nobody would be
	 * served those. */
	const char *select_orphans;
	const char *count_rows; /* zone ids -> zone id, number of rows */
};

extern const struct layout layout_coredns;
extern const struct layout layout_powerdns;
/* By the stanza's type; NULL: none of ours. */
const struct layout *layout_by_type(const char *type);

/* After `print` and zone_parse: do the served rows stand as rows_of would write that zone? If not,
 * the reader may serve something else for all its digest: a TXT without quotes, an empty
 * non-terminal that is missing. Sorts `rows`. */
bool layout_wrote(const struct layout *layout, const struct zone *zone, struct rows *rows);

/* --- for the layouts ------------------------------------------------------------------------- */

MUST_CHECK enum outcome rows_fit(const struct rows *rows, const struct layout *layout,
				 const struct layout_widths *widths, struct reason *why);
/* A line of `print`, under `$ORIGIN .`; `owner` is absolute, `before` stands before the data. */
void row_print(const struct row *row, struct span owner, const char *before, struct buf *out);

#endif
