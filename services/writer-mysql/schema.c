/* SPDX-License-Identifier: Apache-2.0 */
#include "services/writer-mysql/schema.h"

#include <string.h>

#include "common/log.h"

enum {
	PATIENCE_MS = 3600 * 1000,
	TEXT_WIDTH = 65535, /* escaped, RDATA may be longer than that */
	CONTENT_WIDTH = 64000,
};

struct table {
	const char *name;
	const char *create;
};

static const struct table our_tables[] = {
	/* I4. `push_offset` with `epoch` is the version; `changed` is the number of the transaction
	 * that last changed the zone's rows or version, in the order of the commits. */
	{"dadns_zones",
	 "CREATE TABLE IF NOT EXISTS dadns_zones ("
	 " zone VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,"
	 " epoch BIGINT NOT NULL,"
	 " push_offset BIGINT NOT NULL,"
	 " owner VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
	 " digest CHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
	 " serial BIGINT NOT NULL,"
	 " deleted TINYINT NOT NULL,"
	 " zone_id INT NULL,"
	 " changed BIGINT NOT NULL,"
	 " written_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
	 " KEY changed (changed)"
	 ") ENGINE=InnoDB"},
	{"dadns_positions", "CREATE TABLE IF NOT EXISTS dadns_positions ("
			    " part INT NOT NULL PRIMARY KEY,"
			    " next BIGINT NOT NULL"
			    ") ENGINE=InnoDB"},
	{"dadns_meta",
	 "CREATE TABLE IF NOT EXISTS dadns_meta ("
	 " name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,"
	 " value BIGINT NOT NULL"
	 ") ENGINE=InnoDB"},
	{0},
};

static const struct table coredns_tables[] = {
	{"zones", "CREATE TABLE IF NOT EXISTS zones ("
		  " id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
		  " zone_name VARCHAR(255) NOT NULL,"
		  " UNIQUE KEY zone_name (zone_name)"
		  ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{"records", "CREATE TABLE IF NOT EXISTS records ("
		    " id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
		    " zone_id INT NOT NULL,"
		    " hostname VARCHAR(512) NOT NULL,"
		    " type VARCHAR(10) NOT NULL,"
		    " data MEDIUMTEXT NOT NULL,"
		    " ttl INT NOT NULL,"
		    " online INT NOT NULL DEFAULT 0,"
		    " KEY zone_hostname_type (zone_id, hostname, type),"
		    " CONSTRAINT records_zone FOREIGN KEY (zone_id) REFERENCES zones (id)"
		    ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{0},
};

/* What PowerDNS 4.7 and later ask for; the other tables only so that it starts. */
static const struct table powerdns_tables[] = {
	{"domains", "CREATE TABLE IF NOT EXISTS domains ("
		    " id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
		    " name VARCHAR(255) NOT NULL,"
		    " master VARCHAR(128) DEFAULT NULL,"
		    " last_check INT DEFAULT NULL,"
		    " type VARCHAR(8) NOT NULL,"
		    " notified_serial INT UNSIGNED DEFAULT NULL,"
		    " account VARCHAR(40) CHARACTER SET utf8 DEFAULT NULL,"
		    " options VARCHAR(64000) DEFAULT NULL,"
		    " catalog VARCHAR(255) DEFAULT NULL,"
		    " UNIQUE KEY name_index (name),"
		    " KEY catalog_idx (catalog)"
		    ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{"records", "CREATE TABLE IF NOT EXISTS records ("
		    " id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
		    " domain_id INT DEFAULT NULL,"
		    " name VARCHAR(255) DEFAULT NULL,"
		    " type VARCHAR(10) DEFAULT NULL,"
		    " content VARCHAR(64000) DEFAULT NULL,"
		    " ttl INT DEFAULT NULL,"
		    " prio INT DEFAULT NULL,"
		    " disabled TINYINT(1) DEFAULT 0,"
		    " ordername VARCHAR(255) BINARY DEFAULT NULL,"
		    " auth TINYINT(1) DEFAULT 1,"
		    " KEY nametype_index (name, type),"
		    " KEY domain_id (domain_id),"
		    " KEY ordername (ordername)"
		    ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{"supermasters", "CREATE TABLE IF NOT EXISTS supermasters ("
			 " ip VARCHAR(64) NOT NULL,"
			 " nameserver VARCHAR(255) NOT NULL,"
			 " account VARCHAR(40) CHARACTER SET utf8 NOT NULL,"
			 " PRIMARY KEY (ip, nameserver)"
			 ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{"comments", "CREATE TABLE IF NOT EXISTS comments ("
		     " id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
		     " domain_id INT NOT NULL,"
		     " name VARCHAR(255) NOT NULL,"
		     " type VARCHAR(10) NOT NULL,"
		     " modified_at INT NOT NULL,"
		     " account VARCHAR(40) CHARACTER SET utf8 DEFAULT NULL,"
		     " comment TEXT CHARACTER SET utf8 NOT NULL,"
		     " KEY comments_name_type_idx (name, type),"
		     " KEY comments_order_idx (domain_id, modified_at)"
		     ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{"domainmetadata", "CREATE TABLE IF NOT EXISTS domainmetadata ("
			   " id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
			   " domain_id INT NOT NULL,"
			   " kind VARCHAR(32),"
			   " content TEXT,"
			   " KEY domainmetadata_idx (domain_id, kind)"
			   ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{"cryptokeys", "CREATE TABLE IF NOT EXISTS cryptokeys ("
		       " id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
		       " domain_id INT NOT NULL,"
		       " flags INT NOT NULL,"
		       " active BOOL,"
		       " published BOOL DEFAULT 1,"
		       " content TEXT,"
		       " KEY domainidindex (domain_id)"
		       ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{"tsigkeys", "CREATE TABLE IF NOT EXISTS tsigkeys ("
		     " id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
		     " name VARCHAR(255),"
		     " algorithm VARCHAR(50),"
		     " secret VARCHAR(255),"
		     " UNIQUE KEY namealgoindex (name, algorithm)"
		     ") ENGINE=InnoDB DEFAULT CHARSET=latin1"},
	{0},
};

/* --- what is there ------------------------------------------------------------------------- */

#define TABLES_MAX 16

struct seen {
	const struct layout *layout;
	struct layout_widths widths;
	const char *tables[TABLES_MAX]; /* of those that we know: there */
	size_t table_count;
	const char *not_innodb; /* a table of ours that is something else */
	bool id_is_big;         /* records.id: an INT is used up within years, rows come and go */
	bool indexed;           /* records by (zone, name, type), or (name, type) and (zone) */
	bool zone_first, name_first;
};

static const struct table *tables_of(const struct layout *layout)
{
	return layout == &layout_coredns ? coredns_tables : powerdns_tables;
}

static const char *known_table(const struct seen *seen, struct span name)
{
	const struct table *lists[] = {our_tables, tables_of(seen->layout)};

	for (size_t i = 0; i < 2; i++) {
		for (const struct table *table = lists[i]; table->name != NULL; table++) {
			if (span_is_nocase(name, table->name)) {
				return table->name;
			}
		}
	}
	return NULL;
}

static bool has_table(const struct seen *seen, const char *name)
{
	for (size_t i = 0; i < seen->table_count; i++) {
		if (strcmp(seen->tables[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static void note_table(void *context, const struct sql_field *fields)
{
	struct seen *seen = context;
	const char *name = known_table(seen, fields[0].text);

	if (name == NULL || seen->table_count == TABLES_MAX) {
		return;
	}
	seen->tables[seen->table_count++] = name;
	if (!fields[1].null && !span_is_nocase(fields[1].text, "InnoDB") &&
	    (strncmp(name, "dadns_", 6) == 0 || strcmp(name, seen->layout->zones_table) == 0 ||
	     strcmp(name, seen->layout->records_table) == 0)) {
		seen->not_innodb = name;
	}
}

static void note_column(void *context, const struct sql_field *fields)
{
	struct seen *seen = context;
	size_t width = fields[2].null ? 0 : (size_t)fields[2].number;

	if (span_is_nocase(fields[0].text, seen->layout->name_column)) {
		seen->widths.name = width;
	} else if (span_is_nocase(fields[0].text, seen->layout->data_column)) {
		seen->widths.data = width;
	} else if (span_is_nocase(fields[0].text, "type")) {
		seen->widths.type = width;
	} else if (span_is_nocase(fields[0].text, "id")) {
		seen->id_is_big = span_is_nocase(fields[1].text, "bigint");
	}
}

/* Rows: index name, position in it, column; in this order. */
static void note_index(void *context, const struct sql_field *fields)
{
	struct seen *seen = context;
	bool first = fields[1].number == 1;
	bool is_zone = span_is_nocase(fields[2].text, "zone_id") ||
		       span_is_nocase(fields[2].text, "domain_id");
	bool is_name = span_is_nocase(fields[2].text, seen->layout->name_column);

	if (first && is_zone) {
		seen->zone_first = true;
	} else if (first && is_name) {
		seen->name_first = true;
	} else if (fields[1].number == 2 && is_name) {
		seen->indexed = true; /* only (zone, name) has the name second */
	}
}

static enum outcome look(struct sql *sql, const struct layout *layout, struct seen *seen,
			 struct reason *why)
{
	struct span records = span_of(layout->records_table);
	struct sql_column which = {.texts = &records};
	enum outcome outcome;

	*seen = (struct seen){.layout = layout};
	outcome = sql_read(sql,
			   "SELECT table_name, engine FROM information_schema.tables"
			   " WHERE table_schema = DATABASE()",
			   NULL, 0, note_table, seen, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = sql_read(sql,
			   "SELECT column_name, data_type,"
			   " CAST(character_maximum_length AS SIGNED)"
			   " FROM information_schema.columns"
			   " WHERE table_schema = DATABASE() AND table_name = ?",
			   &which, 1, note_column, seen, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = sql_read(sql,
			   "SELECT index_name, CAST(seq_in_index AS SIGNED), column_name"
			   " FROM information_schema.statistics"
			   " WHERE table_schema = DATABASE() AND table_name = ?"
			   " ORDER BY index_name, seq_in_index",
			   &which, 1, note_index, seen, why);
	if (layout == &layout_powerdns) { /* PowerDNS asks by name alone */
		seen->indexed = seen->zone_first && seen->name_first;
	}
	return outcome;
}

static bool complete(const struct seen *seen)
{
	const struct table *lists[] = {our_tables, tables_of(seen->layout)};

	for (size_t i = 0; i < 2; i++) {
		for (const struct table *table = lists[i]; table->name != NULL; table++) {
			if (!has_table(seen, table->name)) {
				return false;
			}
		}
	}
	return true;
}

static size_t wanted_width(const struct layout *layout)
{
	return layout == &layout_coredns ? TEXT_WIDTH + 1 : CONTENT_WIDTH;
}

static bool good(const struct seen *seen)
{
	return seen->not_innodb == NULL && seen->indexed &&
	       (seen->id_is_big || seen->layout == &layout_powerdns) &&
	       seen->widths.data >= wanted_width(seen->layout);
}

/* --- what is changed ----------------------------------------------------------------------- */

static enum outcome create_missing(struct sql *sql, const struct seen *seen, struct reason *why)
{
	const struct table *lists[] = {our_tables, tables_of(seen->layout)};

	for (size_t i = 0; i < 2; i++) {
		for (const struct table *table = lists[i]; table->name != NULL; table++) {
			struct reason cause;

			if (has_table(seen, table->name)) {
				continue;
			}
			if (sql_run(sql, table->create, &cause) == OK) {
				log_info("table made", F("table", table->name));
			} else if (sql_fault(sql) == SQL_DENIED) {
				return because(
					TEMPFAIL, why,
					"table %s is missing and the account may not make it: "
					"grant CREATE, or make it by hand",
					table->name);
			} else {
				*why = cause;
				return TEMPFAIL;
			}
		}
	}
	return OK;
}

/* A change that would be good but is not necessary. TEMPFAIL: the database is away. */
static enum outcome improve(struct sql *sql, const char *what, const char *text, struct reason *why)
{
	if (sql_run(sql, text, why) == OK) {
		log_info("table changed", F("what", what));
		return OK;
	}
	switch (sql_fault(sql)) {
	case SQL_EXISTS: /* another member was first */
		return OK;
	case SQL_AWAY:
	case SQL_AGAIN:
		return TEMPFAIL;
	case SQL_FINE:
	case SQL_DENIED:
	case SQL_OTHER:
		break;
	}
	log_warn("table could not be changed, going on with it as it is", F("what", what),
		 F("why", why->text), F("do", text));
	return OK;
}

static enum outcome improve_all(struct sql *sql, const struct seen *seen, struct reason *why)
{
	bool coredns = seen->layout == &layout_coredns;
	enum outcome outcome = OK;

	if (outcome == OK && !seen->indexed && coredns) {
		outcome = improve(sql, "index for (zone_id, hostname, type)",
				  "ALTER TABLE records ADD KEY zone_hostname_type"
				  " (zone_id, hostname, type)",
				  why);
	}
	if (outcome == OK && !seen->zone_first && !coredns) {
		outcome = improve(sql, "index for domain_id",
				  "ALTER TABLE records ADD KEY domain_id (domain_id)", why);
	}
	if (outcome == OK && !seen->name_first && !coredns) {
		outcome = improve(sql, "index for (name, type)",
				  "ALTER TABLE records ADD KEY nametype_index (name, type)", why);
	}
	if (outcome == OK && !seen->id_is_big && coredns) {
		outcome = improve(sql, "records.id to BIGINT",
				  "ALTER TABLE records MODIFY id BIGINT NOT NULL AUTO_INCREMENT",
				  why);
	}
	if (outcome == OK && seen->widths.data < wanted_width(seen->layout)) {
		outcome = improve(sql, coredns ? "wider records.data" : "wider records.content",
				  coredns ? "ALTER TABLE records MODIFY data MEDIUMTEXT NOT NULL"
					  : "ALTER TABLE records MODIFY content VARCHAR(64000)",
				  why);
	}
	return outcome;
}

static enum outcome change(struct sql *sql, const struct layout *layout, bool *from_nothing,
			   struct reason *why)
{
	struct seen seen;
	enum outcome outcome;

	outcome = sql_run(sql, "DO GET_LOCK(CONCAT('dadns.', MD5(DATABASE())), 3600)", why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = look(sql, layout, &seen, why); /* another member may have done it meanwhile */
	*from_nothing = seen.table_count == 0;
	if (outcome == OK && !complete(&seen) && !*from_nothing) {
		outcome = sql_run(sql, "DO SLEEP(" SCHEMA_PAUSE_S ")", why);
		if (outcome == OK) {
			outcome = look(sql, layout, &seen, why);
		}
	}
	if (outcome == OK && !complete(&seen)) {
		outcome = create_missing(sql, &seen, why);
		if (outcome == OK) {
			outcome = look(sql, layout, &seen, why);
		}
	}
	if (outcome == OK && seen.not_innodb != NULL) {
		outcome = because(TEMPFAIL, why,
				  "table %s is not InnoDB, so a reader would see half a zone: "
				  "ALTER TABLE %s ENGINE=InnoDB",
				  seen.not_innodb, seen.not_innodb);
	}
	if (outcome == OK && !good(&seen)) {
		outcome = improve_all(sql, &seen, why);
	}
	return outcome;
}

enum outcome schema_ensure(struct sql *sql, const struct sql_config *config,
			   const struct layout *layout, struct layout_widths *widths,
			   bool *from_nothing, struct reason *why)
{
	struct seen seen;
	struct sql *patient;
	enum outcome outcome;

	*from_nothing = false;
	outcome = look(sql, layout, &seen, why);
	if (outcome != OK || (complete(&seen) && good(&seen))) {
		goto out;
	}
	patient = sql_create(config);
	outcome = sql_open(patient, PATIENCE_MS, why);
	if (outcome == OK) {
		outcome = change(patient, layout, from_nothing, why);
	}
	sql_destroy(patient); /* and its lock */
	if (outcome == OK) {
		outcome = look(sql, layout, &seen, why);
	}
out:
	if (outcome == OK) {
		*widths = seen.widths;
	}
	return outcome;
}
