/* SPDX-License-Identifier: Apache-2.0 */
/* database.h: what the tests of services/writer-mysql share: a MariaDB of their own, in it a fresh
 * database for each test, in the layout that the test runs in, and an account for the writer that
 * may do there what the writer's configuration asks for, no more. Include after cmocka.h. */
#ifndef TESTS_LIB_DATABASE_H
#define TESTS_LIB_DATABASE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log.h"
#include "common/mysql_parts.h"
#include "common/zone.h"
#include "services/writer-mysql/database_parts.h"
#include "tests/lib/mariadb.h"

static struct mariadb server;
static struct sql_config root = {
	.host = "", .username = "tests", .password = "secret", .tls_ca = "", .timeout_ms = 10000};
static struct sql *admin; /* somebody who may do everything */
static struct sql *eye;   /* the same, who only looks */
static struct reason why;

/* of the test that runs */
static char schema[32];
static struct database_config config;
static const struct layout *layout;
static const char *zones; /* the layout's table and columns */
static const char *zone_column;
static const char *zone_ref;
static const char *data;

/* --- the database, seen and changed by others ------------------------------------------------ */

static inline void run(const char *format, ...) PRINTF_LIKE(1, 2);
static inline void run(const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (sql_run(admin, text, &why) != OK) {
		fail_msg("%s: %s", text, why.text);
	}
}

static inline const char *answer_to(const char *text)
{
	static struct buf answers[4];
	static size_t turn;
	struct buf *out = &answers[turn++ % 4];
	MYSQL_RES *result;
	MYSQL_ROW row;

	buf_finish(out);
	buf_init(out, 8 << 20);
	if (sql_open(eye, 0, &why) != OK || mysql_query(eye->connection, text) != 0) {
		fail_msg("%s: %s", text, mysql_error(eye->connection));
	}
	result = mysql_store_result(eye->connection);
	while ((row = mysql_fetch_row(result)) != NULL) {
		for (unsigned int i = 0; i < mysql_num_fields(result); i++) {
			buf_add_text(out, i == 0 ? out->len == 0 ? "" : "\n" : " ");
			buf_add_text(out, row[i] == NULL ? "NULL" : row[i]);
		}
	}
	mysql_free_result(result);
	return buf_text(out);
}

/* Rows as lines; good until the fourth question after this one. */
static inline const char *answer(const char *format, ...) PRINTF_LIKE(1, 2);
static inline const char *answer(const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return answer_to(text);
}

static inline long long number(const char *format, ...) PRINTF_LIKE(1, 2);
static inline long long number(const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return strtoll(answer_to(text), NULL, 10);
}

static inline long long counted(const char *metric)
{
	static const struct metric_table *const tables[] = {&database_metrics, NULL};
	struct buf text = BUF_INIT(1 << 16);
	char start[128];
	const char *line;
	long long value;

	snprintf(start, sizeof(start), "\n%s ", metric);
	metrics_print(tables, &text);
	line = strstr(buf_text(&text), start);
	assert_non_null(line);
	value = strtoll(line + strlen(start), NULL, 10);
	buf_finish(&text);
	return value;
}

static inline int set_up(void **state)
{
	(void)state;
	log_setup("test_database", LEVEL_WARN, true);
	mariadb_create(&server);
	root.socket = server.socket;
	root.database = "mysql";
	admin = sql_create(&root);
	eye = sql_create(&root);
	assert_int_equal(sql_open(admin, 0, &why), OK);
	run("CREATE USER writer@'%%' IDENTIFIED BY 'w'");
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	sql_destroy(eye);
	sql_destroy(admin);
	mariadb_destroy(&server);
	return 0;
}

static inline void enter(const char *database)
{
	sql_close(admin);
	sql_close(eye);
	root.database = database;
	if (sql_open(admin, 0, &why) != OK || sql_open(eye, 0, &why) != OK) {
		fail_msg("%s", why.text);
	}
}

static inline void choose_layout(const struct layout *chosen)
{
	bool coredns = chosen == &layout_coredns;

	layout = chosen;
	zones = layout->zones_table;
	zone_column = coredns ? "zone_name" : "name";
	zone_ref = coredns ? "zone_id" : "domain_id";
	data = layout->data_column;
	config = (struct database_config){.sql = {.host = "127.0.0.1",
						  .port = server.port,
						  .socket = "",
						  .database = schema,
						  .username = "writer",
						  .password = "w",
						  .tls_ca = "",
						  .timeout_ms = 10000},
					  .readers = {.api = "", .api_key = "", .dns = ""}};
}

static inline int begin(void **state)
{
	static int count;

	choose_layout(*state);
	if (server.pid < 0) {
		mariadb_start(&server);
	}
	snprintf(schema, sizeof(schema), "t%d", ++count);
	enter("mysql");
	run("CREATE DATABASE %s", schema);
	run("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON %s.* TO writer@'%%'",
	    schema);
	enter(schema);
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	if (server.pid < 0) {
		mariadb_start(&server);
	}
	enter("mysql");
	run("DROP DATABASE IF EXISTS %s", schema);
	run("REVOKE ALL, GRANT OPTION FROM writer@'%%'");
	return 0;
}

/* --- given ----------------------------------------------------------------------------------- */

static inline void *create_backend(void)
{
	void *backend;

	assert_int_equal(database_create(&config, layout, &backend, &why), OK);
	return backend;
}

static inline void must_open(void *backend)
{
	if (database_ops.open(backend, &why) != OK) {
		fail_msg("%s", why.text);
	}
}

static inline void *open_backend(void)
{
	void *backend = create_backend();

	must_open(backend);
	return backend;
}

struct given {
	struct zone_event value;
	struct zone *zone;
};

static inline struct given parsed(const char *name, int64_t offset, struct span text)
{
	static const struct zone_limits limits = ZONE_LIMITS_DEFAULT;
	struct given given = {.value = {.version = {7, offset}, .owner = "da1.test"}};

	assert_int_equal(name_parse(span_of(name), &given.value.zone, &why), OK);
	if (zone_parse(&given.value.zone, text, &limits, &given.zone, &why) != OK) {
		fail_msg("%s: %s", name, why.text);
	}
	given.value.serial = zone_serial(given.zone);
	given.value.digest = zone_digest(given.zone);
	given.value.rrsets = zone_rrsets(given.zone);
	given.value.rrset_count = zone_rrset_count(given.zone);
	return given;
}

/* `records` beyond SOA and NS, in master file form. */
static inline struct given save(const char *name, int64_t offset, uint32_t serial,
				const char *records)
{
	struct buf text = BUF_INIT(4 << 20);
	struct given given;

	buf_addf(&text, "$TTL 300\n@ IN SOA ns1.other.test. root.other.test. %u 1 1 1 1\n", serial);
	buf_add_text(&text, "@ IN NS ns1.other.test.\n");
	buf_add_text(&text, records);
	given = parsed(name, offset, buf_span(&text));
	buf_finish(&text);
	return given;
}

static inline struct given gone(const char *name, int64_t offset)
{
	struct given given = {
		.value = {.version = {7, offset}, .owner = "da1.test", .deleted = true}};

	assert_int_equal(name_parse(span_of(name), &given.value.zone, &why), OK);
	return given;
}

static inline void drop(struct given *given)
{
	zone_destroy(given->zone);
	given->zone = NULL;
}

/* "zone_id = (...)", for statements about a zone's rows; good until the fourth one after it. */
static inline const char *of(const struct given *given)
{
	static char texts[4][400];
	static size_t turn;
	char name[NAME_TEXT_MAX + 2];
	char *text = texts[turn++ % 4];

	layout->zone_text(&given->value.zone, name);
	snprintf(text, sizeof(texts[0]), "%s = (SELECT id FROM %s WHERE %s = '%s')", zone_ref,
		 zones, zone_column, name);
	return text;
}

static inline char *long_txt(size_t len)
{
	struct buf text = BUF_INIT(1 << 20);

	buf_add_text(&text, "txt TXT");
	for (size_t i = 0; i < len; i++) {
		buf_add_text(&text, i % 200 == 0 ? i == 0 ? " \"" : "\" \"" : "");
		buf_add_byte(&text, 'x');
	}
	buf_add_text(&text, "\"\n");
	return buf_take(&text);
}

/* --- when ------------------------------------------------------------------------------------ */

static inline enum outcome apply_all(void *backend, const struct given *givens,
				     struct change *changes, size_t count)
{
	memset(changes, 0, count * sizeof(*changes));
	for (size_t i = 0; i < count; i++) {
		changes[i].value = &givens[i].value;
		changes[i].outcome = PERMFAIL; /* who forgets it has failed */
	}
	return database_ops.apply(backend, changes, count, &why);
}

static inline struct change apply_heal(void *backend, const struct given *given,
				       const struct backend_view *expect, bool stuck_ahead)
{
	struct change change = {
		.value = &given->value, .expect = expect, .stuck_ahead = stuck_ahead};

	if (database_ops.apply(backend, &change, 1, &why) != OK) {
		fail_msg("%s", why.text);
	}
	return change;
}

static inline struct change apply(void *backend, const struct given *given)
{
	return apply_heal(backend, given, NULL, false);
}

static inline void must_give(const struct change *change, enum change_result result)
{
	if (change->outcome != OK) {
		fail_msg("%s: %s", change->value->zone.text, change->why.text);
	}
	assert_int_equal(change->result, result);
}

static inline void must_apply(void *backend, const struct given *given)
{
	struct change change = apply(backend, given);

	must_give(&change, CHANGE_APPLIED);
}

static inline void must_verify(void *backend, const struct given *given)
{
	struct change change = apply(backend, given);

	must_give(&change, CHANGE_VERIFIED);
}

static inline void must_skip(void *backend, const struct given *given)
{
	struct change change = apply(backend, given);

	must_give(&change, CHANGE_OLDER);
}

/* --- then ------------------------------------------------------------------------------------ */

struct seen {
	size_t stamps;
	struct version version;
	char owner[256];
	char digest[DIGEST_HEX_SIZE];
	int64_t serial;
	bool deleted;
	int64_t stamped_id; /* 0: NULL */
	size_t zones;
	int64_t zone_id;
	struct rows rows;
};

static inline void note_stamp(void *context, const struct sql_field *fields)
{
	struct seen *seen = context;

	seen->stamps++;
	seen->version = (struct version){fields[0].number, fields[1].number};
	snprintf(seen->owner, sizeof(seen->owner), "%.*s", (int)fields[2].text.len,
		 fields[2].text.data);
	snprintf(seen->digest, sizeof(seen->digest), "%.*s", (int)fields[3].text.len,
		 fields[3].text.data);
	seen->serial = fields[4].number;
	seen->deleted = fields[5].number != 0;
	seen->stamped_id = fields[6].null ? 0 : fields[6].number;
}

static inline void note_zone(void *context, const struct sql_field *fields)
{
	struct seen *seen = context;

	seen->zones++;
	seen->zone_id = fields[0].number;
}

static inline void note_row(void *context, const struct sql_field *fields)
{
	struct seen *seen = context;

	*rows_add(&seen->rows) = (struct row){
		.id = fields[1].number,
		.name = rows_keep(&seen->rows, fields[2].text),
		.type = rows_keep(&seen->rows, fields[3].text),
		.data = rows_keep(&seen->rows, fields[4].text),
		.ttl = fields[5].null ? -1 : fields[5].number,
		.prio = fields[6].null ? 0 : fields[6].number,
		.served = fields[7].number != 0,
		.auth = fields[8].number != 0,
	};
}

static inline struct seen look_at(const struct name *zone)
{
	static const char *const stamp =
		"SELECT epoch, push_offset, owner, digest, serial, deleted,"
		" zone_id FROM dadns_zones WHERE zone = ?";
	struct seen seen = {.rows = ROWS_INIT};
	struct sql_column column;
	char in_table[NAME_TEXT_MAX + 2];
	struct span text = name_span(zone);

	column = (struct sql_column){.texts = &text};
	layout->zone_text(zone, in_table);
	if (sql_open(eye, 0, &why) != OK ||
	    sql_read(eye, stamp, &column, 1, note_stamp, &seen, &why) != OK) {
		fail_msg("%s", why.text);
	}
	text = span_of(in_table);
	if (sql_read_in(eye, layout->select_zones, column, 1, note_zone, &seen, &why) != OK) {
		fail_msg("%s", why.text);
	}
	column = (struct sql_column){.numbers = &seen.zone_id};
	if (seen.zone_id == 0) { /* what was left behind? */
		column.numbers = &seen.stamped_id;
	}
	if (sql_read_in(eye, layout->select_rows, column, 1, note_row, &seen, &why) != OK) {
		fail_msg("%s", why.text);
	}
	return seen;
}

/* Do the rows, as they are served, make this zone, and are they as the writer would write them? */
static inline bool rows_are(struct seen *seen, const struct given *given)
{
	static const struct zone_limits limits = ZONE_LIMITS_DEFAULT;
	struct buf text = BUF_INIT(16 << 20);
	struct zone *zone = NULL;
	bool are;

	layout->print(&given->value.zone, &seen->rows, &text);
	are = !text.overflow &&
	      zone_parse(&given->value.zone, buf_span(&text), &limits, &zone, &why) == OK &&
	      strcmp(zone_digest(zone), given->value.digest) == 0 &&
	      layout_wrote(layout, zone, &seen->rows);
	for (size_t i = 0; i < seen->rows.count; i++) {
		are = are && seen->rows.items[i].served;
	}
	zone_destroy(zone);
	buf_finish(&text);
	return are;
}

static inline bool holds(const struct given *given)
{
	const struct zone_event *value = &given->value;
	struct seen seen = look_at(&value->zone);
	bool right = seen.stamps == 1 && version_compare(seen.version, value->version) == 0 &&
		     strcmp(seen.owner, value->owner) == 0 && seen.deleted == value->deleted;

	if (value->deleted) {
		right = right && seen.zones == 0 && seen.rows.count == 0 && seen.stamped_id == 0 &&
			seen.digest[0] == '\0';
	} else {
		right = right && seen.zones == 1 && seen.zone_id == seen.stamped_id &&
			seen.serial == value->serial && strcmp(seen.digest, value->digest) == 0 &&
			rows_are(&seen, given);
	}
	rows_finish(&seen.rows);
	return right;
}

static inline void show(const struct given *given)
{
	print_error("%s",
		    answer("SELECT * FROM dadns_zones WHERE zone = '%s'", given->value.zone.text));
	print_error("\n%s\n", answer("SELECT * FROM records WHERE %s", of(given)));
}

static inline void must_hold(const struct given *given)
{
	if (!holds(given)) {
		show(given);
		fail_msg("%s is not what is stored", given->value.zone.text);
	}
}

static inline bool is_unknown(const struct given *given)
{
	struct seen seen = look_at(&given->value.zone);

	rows_finish(&seen.rows);
	return seen.stamps == 0 && seen.zones == 0;
}

static inline void must_say(const char *text, const char *words)
{
	if (strstr(text, words) == NULL) {
		fail_msg("'%s' does not say '%s'", text, words);
	}
}

static inline long long changed(const struct given *given)
{
	return number("SELECT changed FROM dadns_zones WHERE zone = '%s'", given->value.zone.text);
}

/* clang-format off */
#define IN(test, which) \
	{ #test " in " #which, test, begin, end, (void *)(uintptr_t)&layout_##which }
#define IN_BOTH(test) IN(test, coredns), IN(test, powerdns)

/* clang-format on */

#endif
