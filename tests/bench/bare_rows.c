/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that writer-mysql is measured against: nothing but the rows, as arrays, a hundred zones
 * a transaction, from the first statement to the last COMMIT. No versions, no look at what is
 * there, no count. All texts are made, and the ids of what goes are known, before the clock starts.
 *
 *	BARE_MYSQL=mysql://USER:PASSWORD@HOST:PORT/DATABASE \
 *		bare_rows coredns|powerdns new|changed|gone FROM TO SERIAL
 *
 * `new` writes the zones, `changed` replaces what another serial and salt change (the SOA and one
 * TXT), `gone` removes all; in this order. The rows are those that zones become which pushload
 * pushed with this serial, and the same as salt; tools/bench.sh compares them with ours.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/da_request.h"
#include "tests/bench/figures.h"
#include "tests/bench/sql.h"
#include "tests/bench/zone_rows.h"

enum { BATCH = 100, COLUMNS_MAX = 8, CHANGED = 2, TEXT_MAX = 400 };

struct layout {
	const char *name;
	const struct zone_row *rows;
	const char *zone_end; /* of the zone's name in its table */
	const char *insert_zone, *select_zone, *insert_row, *delete_rows, *delete_zone;
	const char *select_changed; /* zone, its id, is it the TXT, id of the row */
	bool row_is_long;           /* prio and auth too */
};

static const struct layout layouts[] = {
	{.name = "coredns",
	 .rows = coredns_rows,
	 .zone_end = ".",
	 .insert_zone = "INSERT INTO zones (zone_name) VALUES (?)",
	 .select_zone = "SELECT id, zone_name FROM zones WHERE zone_name IN (",
	 .insert_row = "INSERT INTO records (zone_id, hostname, type, data, ttl, online)"
		       " VALUES (?, ?, ?, ?, ?, ?)",
	 .delete_rows = "DELETE FROM records WHERE zone_id = ?",
	 .delete_zone = "DELETE FROM zones WHERE id = ?",
	 .select_changed = "SELECT zone_name, zone_id, type = 'TXT', records.id FROM records"
			   " JOIN zones ON zones.id = zone_id"
			   " WHERE type = 'SOA' OR hostname = '_dmarc'"},
	{.name = "powerdns",
	 .rows = powerdns_rows,
	 .zone_end = "",
	 .insert_zone = "INSERT INTO domains (name, type) VALUES (?, 'NATIVE')",
	 .select_zone = "SELECT id, name FROM domains WHERE name IN (",
	 .insert_row = "INSERT INTO records"
		       " (domain_id, name, type, content, ttl, disabled, prio, auth)"
		       " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	 .delete_rows = "DELETE FROM records WHERE domain_id = ?",
	 .delete_zone = "DELETE FROM domains WHERE id = ?",
	 .select_changed = "SELECT domains.name, domain_id, records.type = 'TXT', records.id"
			   " FROM records JOIN domains ON domains.id = domain_id"
			   " WHERE records.type = 'SOA' OR records.name LIKE '\\_dmarc.%'",
	 .row_is_long = true},
};

/* One column for all rows, in the shape that arrays are bound in. */
struct column {
	const char **texts; /* NULL: numbers */
	unsigned long *lengths;
	char *indicators; /* NULL: none is NULL */
	int32_t *numbers;
};

struct run {
	const struct layout *layout;
	MYSQL *connection;
	uint32_t from, to, serial;
	size_t zones, rows_each;
	struct column zone_name, zone_id; /* by zone */
	struct column columns[COLUMNS_MAX];
	size_t column_count;
	int64_t *row_ids; /* `changed`: two for each zone */
};

/* --- rows ----------------------------------------------------------------------------------------
 */

static char *filled(const struct run *run, const char *pattern, uint32_t zone)
{
	char text[TEXT_MAX];
	size_t len = 0;
	char *copy;

	for (const char *p = pattern; *p != '\0'; p++) {
		char *at = text + len;
		size_t room = sizeof(text) - len;

		if (len >= sizeof(text) - 1) {
			die("a text is too long");
		}
		if (*p == '$') {
			len += (size_t)snprintf(at, room, BENCH_ZONE_FORMAT,
						zone % BENCH_ZONES_MAX);
		} else if (*p == '#') {
			len += (size_t)snprintf(at, room, "%010u", run->serial);
		} else if (*p == '&') {
			len += (size_t)snprintf(at, room, "%08x", run->serial + (zone - run->from));
		} else {
			text[len++] = *p;
		}
	}
	text[len < sizeof(text) ? len : sizeof(text) - 1] = '\0';
	copy = need(strdup(text));
	return copy;
}

static void column_init(struct column *column, size_t count, bool is_text)
{
	if (is_text) {
		column->texts = need(calloc(count, sizeof(*column->texts)));
		column->lengths = need(calloc(count, sizeof(*column->lengths)));
		column->indicators = need(calloc(count, 1));
	} else {
		column->numbers = need(calloc(count, sizeof(*column->numbers)));
	}
}

static void put_text(struct column *column, size_t at, const char *text)
{
	column->texts[at] = text;
	column->lengths[at] = text == NULL ? 0 : strlen(text);
	column->indicators[at] = text == NULL ? STMT_INDICATOR_NULL : STMT_INDICATOR_NONE;
}

static void make_row(struct run *run, size_t zone, size_t at, const struct zone_row *row)
{
	struct column *columns = run->columns;
	bool long_row = run->layout->row_is_long;
	uint32_t number = run->from + (uint32_t)zone;

	put_text(&columns[1], at, filled(run, row->name, number));
	put_text(&columns[2], at, row->type);
	put_text(&columns[3], at, row->data == NULL ? NULL : filled(run, row->data, number));
	columns[4].numbers[at] = 3600;
	columns[5].numbers[at] = long_row ? 0 : 1; /* disabled, online */
	if (long_row) {
		columns[6].numbers[at] = row->prio;
		columns[7].numbers[at] = 1;
	}
}

/* `ttl` of a name without records is NULL, which an int cannot say. */
static void mark_null_ttls(struct run *run, size_t count)
{
	struct column *ttl = &run->columns[4];

	ttl->indicators = need(calloc(count, 1));
	for (size_t i = 0; i < count; i++) {
		ttl->indicators[i] = run->columns[2].texts[i] == NULL ? STMT_INDICATOR_NULL
								      : STMT_INDICATOR_NONE;
	}
}

static void make_rows(struct run *run, size_t rows_each)
{
	size_t count = run->zones * rows_each;
	char name[100];

	run->rows_each = rows_each;
	run->column_count = run->layout->row_is_long ? 8 : 6;
	for (size_t c = 0; c < run->column_count; c++) {
		column_init(&run->columns[c], count, c >= 1 && c <= 3);
	}
	column_init(&run->zone_name, run->zones, true);
	column_init(&run->zone_id, run->zones, false);
	for (size_t zone = 0; zone < run->zones; zone++) {
		snprintf(name, sizeof(name), "$%s", run->layout->zone_end);
		put_text(&run->zone_name, zone, filled(run, name, run->from + (uint32_t)zone));
		for (size_t r = 0; r < rows_each; r++) {
			make_row(run, zone, zone * rows_each + r, &run->layout->rows[r]);
		}
	}
	mark_null_ttls(run, count);
}

/* --- statements ----------------------------------------------------------------------------------
 */

static MYSQL_STMT *prepare(const struct run *run, const char *text)
{
	MYSQL_STMT *statement = need(mysql_stmt_init(run->connection));

	if (mysql_stmt_prepare(statement, text, strlen(text)) != 0) {
		die("%s: %s", text, mysql_stmt_error(statement));
	}
	return statement;
}

static void bind_array(MYSQL_BIND *bind, const struct column *column, size_t from)
{
	*bind = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONG};
	if (column->indicators != NULL) {
		bind->u.indicator = column->indicators + from;
	}
	if (column->texts != NULL) {
		bind->buffer_type = MYSQL_TYPE_STRING;
		bind->buffer = column->texts + from;
		bind->length = column->lengths + from;
	} else {
		bind->buffer = column->numbers + from;
	}
}

static void execute(MYSQL_STMT *statement, MYSQL_BIND *bind, size_t count)
{
	unsigned int array_size = (unsigned int)count;

	if (mysql_stmt_attr_set(statement, STMT_ATTR_ARRAY_SIZE, &array_size) != 0 ||
	    mysql_stmt_bind_param(statement, bind) != 0 || mysql_stmt_execute(statement) != 0) {
		die("%s", mysql_stmt_error(statement));
	}
}

static void execute_column(MYSQL_STMT *statement, const struct column *column, size_t from,
			   size_t count)
{
	MYSQL_BIND bind;

	bind_array(&bind, column, from);
	execute(statement, &bind, count);
}

static void commit(const struct run *run)
{
	if (mysql_commit(run->connection) != 0) {
		die("COMMIT: %s", mysql_error(run->connection));
	}
}

static size_t zone_of_name(const struct run *run, const char *name)
{
	uint32_t number = (uint32_t)strtoul(name + strlen("zone-"), NULL, 10);

	return number >= run->from && number < run->to ? number - run->from : run->zones;
}

/* SELECT … IN with BATCH parameters; the last one repeats. */
static void select_zone_ids(struct run *run, MYSQL_STMT *statement, size_t from, size_t count)
{
	MYSQL_BIND bind[BATCH] = {0};
	MYSQL_BIND result[2] = {0};
	char name[300];
	unsigned long len;
	int32_t id;

	for (size_t i = 0; i < BATCH; i++) {
		size_t zone = from + (i < count ? i : count - 1);

		bind[i].buffer_type = MYSQL_TYPE_STRING;
		bind[i].buffer = (void *)(uintptr_t)run->zone_name.texts[zone];
		bind[i].buffer_length = run->zone_name.lengths[zone];
		bind[i].length = &run->zone_name.lengths[zone];
	}
	result[0] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONG, .buffer = &id};
	result[1] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
				 .buffer = name,
				 .buffer_length = sizeof(name),
				 .length = &len};
	if (mysql_stmt_bind_param(statement, bind) != 0 || mysql_stmt_execute(statement) != 0 ||
	    mysql_stmt_bind_result(statement, result) != 0 ||
	    mysql_stmt_store_result(statement) != 0) {
		die("the zones' ids: %s", mysql_stmt_error(statement));
	}
	if (mysql_stmt_num_rows(statement) != count) {
		die("%llu of %zu zones have an id",
		    (unsigned long long)mysql_stmt_num_rows(statement), count);
	}
	while (mysql_stmt_fetch(statement) == 0) {
		size_t zone = zone_of_name(run, name);

		if (zone == run->zones) {
			die("%s is none of these zones", name);
		}
		run->zone_id.numbers[zone] = id;
	}
	mysql_stmt_free_result(statement);
}

static void insert_rows(struct run *run, MYSQL_STMT *statement, size_t from, size_t count)
{
	MYSQL_BIND bind[COLUMNS_MAX];

	for (size_t i = from * run->rows_each; i < (from + count) * run->rows_each; i++) {
		run->columns[0].numbers[i] = run->zone_id.numbers[i / run->rows_each];
	}
	for (size_t c = 0; c < run->column_count; c++) {
		bind_array(&bind[c], &run->columns[c], from * run->rows_each);
	}
	execute(statement, bind, count * run->rows_each);
}

static size_t batch_at(const struct run *run, size_t from)
{
	return run->zones - from < BATCH ? run->zones - from : BATCH;
}

/* --- the three -----------------------------------------------------------------------------------
 */

static MYSQL_STMT *prepare_select(const struct run *run)
{
	char text[200 + 2 * BATCH];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", run->layout->select_zone);

	for (size_t i = 0; i < BATCH; i++) {
		text[len++] = '?';
		text[len++] = i + 1 < BATCH ? ',' : ')';
	}
	text[len] = '\0';
	return prepare(run, text);
}

static int64_t write_new(struct run *run)
{
	MYSQL_STMT *insert_zone = prepare(run, run->layout->insert_zone);
	MYSQL_STMT *insert_row = prepare(run, run->layout->insert_row);
	MYSQL_STMT *select_zone = prepare_select(run);
	int64_t began_us = now_us();
	int64_t took_us;

	for (size_t from = 0; from < run->zones; from += BATCH) {
		size_t count = batch_at(run, from);

		execute_column(insert_zone, &run->zone_name, from, count);
		select_zone_ids(run, select_zone, from, count);
		insert_rows(run, insert_row, from, count);
		commit(run);
	}
	took_us = now_us() - began_us;
	mysql_stmt_close(insert_zone);
	mysql_stmt_close(insert_row);
	mysql_stmt_close(select_zone);
	return took_us;
}

static void read_ids(struct run *run)
{
	MYSQL_RES *result;
	MYSQL_ROW row;
	size_t found = 0;

	run->row_ids = need(calloc(run->zones * CHANGED, sizeof(*run->row_ids)));
	sql_do(run->connection, run->layout->select_changed);
	result = need(mysql_store_result(run->connection));
	while ((row = mysql_fetch_row(result)) != NULL) {
		size_t zone = zone_of_name(run, row[0]);

		if (zone == run->zones) {
			continue;
		}
		run->zone_id.numbers[zone] = (int32_t)strtol(row[1], NULL, 10);
		run->row_ids[zone * CHANGED + (row[2][0] == '1')] = strtoll(row[3], NULL, 10);
		found++;
	}
	mysql_free_result(result);
	commit(run);
	if (found != run->zones * CHANGED) {
		die("%zu rows to change, not %zu: run `new` before", found, run->zones * CHANGED);
	}
}

static int64_t write_changed(struct run *run)
{
	MYSQL_STMT *delete_row = prepare(run, "DELETE FROM records WHERE id = ?");
	MYSQL_STMT *insert_row = prepare(run, run->layout->insert_row);
	int64_t began_us = now_us();
	int64_t took_us;

	for (size_t from = 0; from < run->zones; from += BATCH) {
		size_t count = batch_at(run, from);
		MYSQL_BIND ids = {.buffer_type = MYSQL_TYPE_LONGLONG,
				  .buffer = run->row_ids + from * CHANGED};

		execute(delete_row, &ids, count * CHANGED);
		insert_rows(run, insert_row, from, count);
		commit(run);
	}
	took_us = now_us() - began_us;
	mysql_stmt_close(delete_row);
	mysql_stmt_close(insert_row);
	return took_us;
}

static int64_t write_gone(struct run *run)
{
	MYSQL_STMT *delete_rows = prepare(run, run->layout->delete_rows);
	MYSQL_STMT *delete_zone = prepare(run, run->layout->delete_zone);
	int64_t began_us = now_us();
	int64_t took_us;

	for (size_t from = 0; from < run->zones; from += BATCH) {
		size_t count = batch_at(run, from);

		execute_column(delete_rows, &run->zone_id, from, count);
		execute_column(delete_zone, &run->zone_id, from, count);
		commit(run);
	}
	took_us = now_us() - began_us;
	mysql_stmt_close(delete_rows);
	mysql_stmt_close(delete_zone);
	return took_us;
}

static const struct layout *layout_of(const char *name)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (strcmp(layouts[i].name, name) == 0) {
			return &layouts[i];
		}
	}
	die("there is no layout %s: coredns, powerdns", name);
}

static size_t rows_of(const struct layout *layout)
{
	size_t count = 0;

	while (layout->rows[count].name != NULL) {
		count++;
	}
	return count;
}

int main(int argc, char **argv)
{
	struct run run = {0};
	bool is_new, is_changed;
	int64_t took_us;

	if (argc != 6) {
		die("usage: BARE_MYSQL=mysql://USER:PASSWORD@HOST:PORT/DATABASE\n"
		    "\tbare_rows coredns|powerdns new|changed|gone FROM TO SERIAL");
	}
	is_new = strcmp(argv[2], "new") == 0;
	is_changed = strcmp(argv[2], "changed") == 0;
	run.layout = layout_of(argv[1]);
	run.from = (uint32_t)number_of(argv[3], "FROM");
	run.to = (uint32_t)number_of(argv[4], "TO");
	run.serial = (uint32_t)number_of(argv[5], "SERIAL");
	if (run.to <= run.from || run.to > BENCH_ZONES_MAX ||
	    (!is_new && !is_changed && strcmp(argv[2], "gone") != 0)) {
		die("new, changed or gone, and a TO above FROM");
	}
	run.zones = run.to - run.from;
	make_rows(&run, is_new ? rows_of(run.layout) : CHANGED);
	run.connection = sql_connect("BARE_MYSQL");
	sql_do(run.connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
	if (mysql_autocommit(run.connection, 0) != 0) {
		die("%s", mysql_error(run.connection));
	}
	if (!is_new) {
		read_ids(&run);
	}
	took_us = is_new ? write_new(&run) : is_changed ? write_changed(&run) : write_gone(&run);
	printf("%s: %zu zones in %.3f s = %.0f zones/s\n", argv[2], run.zones,
	       (double)took_us / 1e6, (double)run.zones * 1e6 / (double)took_us);
	mysql_close(run.connection);
	return 0;
}
