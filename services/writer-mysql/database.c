/* SPDX-License-Identifier: Apache-2.0 */
#include "services/writer-mysql/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mark.h"
#include "common/preflight.h"
#include "services/writer-mysql/schema.h"
#include "services/writer-mysql/transaction.h"

enum { PARTITIONS_MAX = 1024 };

static struct metric metrics[] = {
	[DATABASE_BATCHES] = COUNTER("dadns_mysql_transactions_total", "",
				     "transactions that were committed with changes"),
	[DATABASE_ROWS_ADDED] =
		COUNTER("dadns_mysql_rows_total", "change=\"added\"", "rows of the records table"),
	[DATABASE_ROWS_REMOVED] = COUNTER("dadns_mysql_rows_total", "change=\"removed\"",
					  "rows of the records table"),
	[DATABASE_REPEATED] =
		COUNTER("dadns_mysql_repeated_total", "",
			"transactions repeated after a deadlock, a lock wait or another member"),
	[DATABASE_HALVED] =
		COUNTER("dadns_mysql_halved_total", "",
			"batches cut in two to find the zone that the database refuses"),
	[DATABASE_REFUSED] = COUNTER("dadns_mysql_failed_total", "reason=\"refused\"",
				     "zones that could not be written"),
	[DATABASE_MISCOUNTED] = COUNTER("dadns_mysql_failed_total", "reason=\"miscounted\"",
					"zones that could not be written"),
	[DATABASE_RESTORED] = COUNTER("dadns_mysql_restored_total", "",
				      "times that positions were not those that we left"),
};
const struct metric_table database_metrics = METRIC_TABLE(metrics);

void database_count(enum database_metric metric, int64_t amount)
{
	metric_add(&metrics[metric], amount);
}

enum outcome database_create(const struct database_config *config, const struct layout *layout,
			     void **backend, struct reason *why)
{
	struct database *database = xcalloc(1, sizeof(*database));
	enum outcome outcome;

	database->config = config;
	database->layout = layout;
	database->suspect = true;
	database->sql = sql_create(&config->sql);
	database->next = xcalloc(PARTITIONS_MAX, sizeof(*database->next));
	outcome = readers_create(&config->readers, &database->readers, why);
	if (outcome != OK) {
		database_destroy(database);
		return outcome;
	}
	*backend = database;
	return OK;
}

void database_destroy(void *backend)
{
	struct database *database = backend;

	if (database == NULL) {
		return;
	}
	readers_destroy(database->readers);
	sql_destroy(database->sql);
	free(database->next);
	free(database);
}

void database_away(struct database *database)
{
	database->suspect = true;
	readers_database(database->readers, false);
}

/* --- positions ----------------------------------------------------------------------------- */

static void note_position(void *context, const struct sql_field *fields)
{
	struct database *database = context;

	if (fields[0].number >= 0 && fields[0].number < PARTITIONS_MAX && fields[1].number > 0) {
		database->next[fields[0].number] = fields[1].number;
	}
}

/* Tables that show less than we left there were restored, perhaps as they once were: they are
 * looked at anew. */
static enum outcome read_positions(struct database *database, struct reason *why)
{
	int64_t left[PARTITIONS_MAX];
	enum outcome outcome;

	memcpy(left, database->next, sizeof(left));
	memset(database->next, 0, sizeof(left));
	outcome = sql_read(database->sql, "SELECT part, next FROM dadns_positions", NULL, 0,
			   note_position, database, why);
	for (size_t i = 0; i < PARTITIONS_MAX; i++) {
		if (database->next[i] < left[i]) {
			database->session = 0;
		}
	}
	return outcome;
}

static int64_t database_position(void *backend, int32_t partition)
{
	const struct database *database = backend;

	return partition < PARTITIONS_MAX ? database->next[partition] : 0;
}

/* Only over what we left there: a table that was restored under us shows something else (I4). */
static enum outcome write_positions(struct database *database, const int32_t *partitions,
				    const int64_t *next, size_t count, struct reason *why)
{
	int64_t numbers[3][PARTITIONS_MAX];
	struct sql_column columns[3] = {
		{.numbers = numbers[0]}, {.numbers = numbers[1]}, {.numbers = numbers[2]}};
	uint64_t found = 0;
	size_t known = 0;
	size_t fresh = 0;
	enum outcome outcome;

	for (size_t i = 0; i < count; i++) { /* known ones from the front, new ones from the back */
		int64_t old = database->next[partitions[i]];
		size_t at = old != 0 ? known++ : count - ++fresh;

		numbers[0][at] = next[i];
		numbers[1][at] = partitions[i];
		numbers[2][at] = old;
	}
	outcome = sql_write(database->sql,
			    "UPDATE dadns_positions SET next = ? WHERE part = ? AND next = ?",
			    columns, 3, known, &found, why);
	if (outcome == OK && found == known && fresh != 0) {
		for (size_t c = 0; c < 2; c++) {
			columns[c].numbers += known;
		}
		outcome = sql_write(database->sql,
				    "INSERT INTO dadns_positions (next, part) VALUES (?, ?)",
				    columns, 2, fresh, NULL, why);
	}
	if (outcome == OK && found == known) {
		return sql_run(database->sql, "COMMIT", why);
	}
	if (outcome == OK || sql_fault(database->sql) == SQL_AGAIN) {
		database_count(DATABASE_RESTORED, 1);
		outcome = because(TEMPFAIL, why,
				  "positions in database %s are not those that we left (it was "
				  "restored, or another member took over): reading them again",
				  database->config->sql.database);
	}
	return outcome;
}

static enum outcome database_store_positions(void *backend, const int32_t *partitions,
					     const int64_t *next, size_t count, struct reason *why)
{
	struct database *database = backend;
	struct reason ignored;
	enum outcome outcome;

	for (size_t i = 0; i < count; i++) {
		if (partitions[i] >= PARTITIONS_MAX) {
			return because(TEMPFAIL, why, "partition %d: at most %d are supported",
				       (int)partitions[i], PARTITIONS_MAX);
		}
	}
	outcome = sql_run(database->sql, "START TRANSACTION", why);
	if (outcome == OK) {
		outcome = write_positions(database, partitions, next, count, why);
	}
	if (outcome != OK) {
		if (sql_is_open(database->sql) &&
		    sql_run(database->sql, "ROLLBACK", &ignored) != OK) {
			sql_close(database->sql);
		}
		database_away(database);
		return outcome;
	}
	for (size_t i = 0; i < count; i++) {
		database->next[partitions[i]] = next[i];
	}
	mark("mysql.positions");
	return OK;
}

/* --- the vtable ---------------------------------------------------------------------------- */

static enum outcome look_at_tables(struct database *database, bool *from_nothing,
				   struct reason *why)
{
	enum outcome outcome = OK;

	*from_nothing = false;
	if (sql_session(database->sql) != database->session) {
		outcome = schema_ensure(database->sql, &database->config->sql, database->layout,
					&database->widths, from_nothing, why);
	}
	if (outcome == OK) {
		database->session = sql_session(database->sql);
	}
	return outcome;
}

static void note_birth(void *context, const struct sql_field *fields)
{
	uint64_t *births = context;

	for (size_t c = 0; c < 2; c++) { /* FNV-1a */
		for (size_t i = 0; !fields[c].null && i < fields[c].text.len; i++) {
			*births ^= (unsigned char)fields[c].text.data[i];
			*births *= 1099511628211u;
		}
	}
}

static void note_number(void *context, const struct sql_field *fields)
{
	int64_t *number = context;

	*number = fields[0].number;
}

static enum outcome read_births(struct database *database, int64_t *births, struct reason *why)
{
	struct span names[] = {span_of(database->layout->zones_table),
			       span_of(database->layout->records_table), span_of("dadns_zones"),
			       span_of("dadns_positions"), span_of("dadns_meta")};
	uint64_t hash = 14695981039346656037u;
	enum outcome outcome;

	outcome = sql_read_in(database->sql,
			      "SELECT table_name, CAST(create_time AS CHAR)"
			      " FROM information_schema.tables"
			      " WHERE table_schema = DATABASE() AND table_name IN (%s)"
			      " ORDER BY table_name",
			      (struct sql_column){.texts = names}, 5, note_birth, &hash, why);
	*births = (int64_t)(hash >> 1);
	return outcome;
}

/* A client that loads a dump makes a table, and only its next statement locks it: what we write in
 * between, it stumbles over. So tables made anew are left alone until no other one follows. */
static enum outcome await_load(struct database *database, int64_t *births, struct reason *why)
{
	int64_t before = *births;
	enum outcome outcome;

	outcome = sql_run(database->sql, "DO SLEEP(" SCHEMA_PAUSE_S ")", why);
	if (outcome == OK) {
		outcome = read_births(database, births, why);
	}
	if (outcome == OK && *births != before) {
		outcome = because(TEMPFAIL, why,
				  "tables of database %s are being made anew (a dump is loaded?): "
				  "waiting until they stay as they are",
				  database->config->sql.database);
	}
	return outcome;
}

/* I4: a dump is loaded table by table, positions before rows. Whoever looks in between brings rows
 * that are then replaced by old ones, under new positions. So when one of the tables was made anew
 * since the positions were begun, they are void, and everything is looked at again. */
static enum outcome void_if_made_anew(struct database *database, bool from_nothing,
				      struct reason *why)
{
	struct sql_column number = {0};
	int64_t now;
	int64_t then = -1;
	enum outcome outcome;

	outcome = read_births(database, &now, why);
	if (outcome == OK) {
		outcome = sql_read(database->sql,
				   "SELECT value FROM dadns_meta WHERE name = 'births'", NULL, 0,
				   note_number, &then, why);
	}
	if (outcome != OK || now == then) {
		return outcome;
	}
	if (!from_nothing) {
		outcome = await_load(database, &now, why);
	}
	if (outcome == OK && then >= 0) { /* else it is our first contact */
		database_count(DATABASE_RESTORED, 1);
	}
	if (outcome == OK) {
		outcome = sql_run(database->sql, "DELETE FROM dadns_positions", why);
	}
	number.numbers = &now;
	if (outcome == OK) { /* after it: the other way round a kill in between would hide it */
		outcome = sql_write(database->sql,
				    "REPLACE INTO dadns_meta (name, value) VALUES ('births', ?)",
				    &number, 1, 1, NULL, why);
	}
	return outcome;
}

/* A counter that was lost goes on above what the rows have: who follows them sees every number. */
static enum outcome ensure_counter(struct database *database, struct reason *why)
{
	int64_t changed = -1;
	enum outcome outcome;

	outcome = sql_read(database->sql, "SELECT value FROM dadns_meta WHERE name = 'changed'",
			   NULL, 0, note_number, &changed, why);
	if (outcome == OK && changed < 0) {
		outcome = sql_run(database->sql,
				  "INSERT IGNORE INTO dadns_meta (name, value)"
				  " SELECT 'changed', COALESCE(MAX(changed), 0) FROM dadns_zones",
				  why);
	}
	return outcome;
}

static enum outcome database_open(void *backend, struct reason *why)
{
	struct database *database = backend;
	bool from_nothing = false;
	bool ignored;
	enum outcome outcome;

	outcome = sql_open(database->sql, 0, why);
	if (outcome == OK) {
		outcome = look_at_tables(database, &from_nothing, why);
	}
	if (outcome == OK && database->suspect) {
		outcome = transaction_probe(database, why);
	}
	if (outcome == OK) {
		outcome = void_if_made_anew(database, from_nothing, why);
	}
	if (outcome == OK) {
		outcome = ensure_counter(database, why);
	}
	if (outcome == OK) {
		outcome = read_positions(database, why);
	}
	if (outcome == OK) {
		outcome = look_at_tables(database, &ignored, why); /* if they were restored */
	}
	if (outcome != OK) {
		sql_close(database->sql);
		database_away(database);
		return outcome;
	}
	database->suspect = false;
	database->restored = false;
	database->changed = 0;
	readers_database(database->readers, true);
	return OK;
}

static void database_check(void *backend, struct preflight *findings)
{
	struct database *database = backend;
	const struct sql_config *config = &database->config->sql;
	const char *tables[] = {database->layout->zones_table,
				database->layout->records_table,
				"dadns_zones",
				"dadns_positions",
				"dadns_meta",
				NULL};
	char where[96];

	(void)snprintf(where, sizeof(where), "database %s at %s", config->database,
		       config->socket[0] != '\0' ? config->socket : config->host);
	preflight_mysql(findings, where, database->sql, tables);
}

static bool database_settled(void *backend, struct settlement *out)
{
	struct database *database = backend;
	struct readers_report report;

	if (!readers_next(database->readers, &report)) {
		return false;
	}
	*out = (struct settlement){
		.ticket = report.ticket, .outcome = report.outcome, .why = report.why};
	return true;
}

const struct backend_ops database_ops = {
	.open = database_open,
	.check = database_check,
	.position = database_position,
	.apply = database_apply,
	.settled = database_settled,
	.store_positions = database_store_positions,
	.close = database_destroy,
};
