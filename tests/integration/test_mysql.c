/* SPDX-License-Identifier: Apache-2.0 */
/* common/mysql.h against a real MariaDB of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/mysql_parts.h"
#include "tests/lib/mariadb.h"

enum { MANY = 20000 };

static struct mariadb server;
static struct sql_config config = {.host = "127.0.0.1",
				   .socket = "",
				   .database = "t",
				   .username = "tests",
				   .password = "secret",
				   .tls_ca = "",
				   .timeout_ms = 3000};
static struct sql *sql;
static struct reason why;

static void run(const char *text)
{
	if (sql_run(sql, text, &why) != OK) {
		fail_msg("%s: %s", text, why.text);
	}
}

static int start(void **state)
{
	struct sql_config root = config;
	struct sql *admin;

	(void)state;
	mariadb_create(&server);
	config.port = server.port;
	root.port = server.port;
	root.database = "mysql";
	admin = sql_create(&root);
	assert_int_equal(sql_open(admin, 0, &why), OK);
	assert_int_equal(sql_run(admin, "CREATE DATABASE t", &why), OK);
	sql_destroy(admin);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	mariadb_destroy(&server);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	if (server.pid < 0) {
		mariadb_start(&server);
	}
	sql = sql_create(&config);
	assert_int_equal(sql_open(sql, 0, &why), OK);
	run("DROP TABLE IF EXISTS a");
	run("CREATE TABLE a (id BIGINT AUTO_INCREMENT PRIMARY KEY, n BIGINT NULL, "
	    "t VARCHAR(40) NULL, UNIQUE KEY n (n)) ENGINE=InnoDB");
	return 0;
}

static int end(void **state)
{
	(void)state;
	sql_destroy(sql);
	return 0;
}

struct sum {
	int64_t rows;
	int64_t total;
	int64_t nulls;
	size_t bytes;
	char last[300];
};

static void note(void *context, const struct sql_field *fields)
{
	struct sum *sum = context;

	sum->rows++;
	sum->total += fields[0].null ? 0 : fields[0].number;
	sum->nulls += fields[1].null;
	sum->bytes += fields[1].text.len;
	if (!fields[1].null && fields[1].text.len < sizeof(sum->last)) {
		memcpy(sum->last, fields[1].text.data, fields[1].text.len);
		sum->last[fields[1].text.len] = '\0';
	}
}

static struct sum look(const char *text)
{
	struct sum sum = {0};

	assert_int_equal(sql_read(sql, text, NULL, 0, note, &sum, &why), OK);
	return sum;
}

static enum outcome insert(const int64_t *numbers, const struct span *texts, size_t count)
{
	struct sql_column columns[] = {{.numbers = numbers}, {.texts = texts}};

	return sql_write(sql, "INSERT INTO a (n, t) VALUES (?, ?)", columns, 2, count, NULL, &why);
}

static void many_rows_go_in_one_call_and_come_back(void **state)
{
	int64_t *numbers = calloc(MANY, sizeof(*numbers));
	struct span *texts = calloc(MANY, sizeof(*texts));
	struct sum sum;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		numbers[i] = (int64_t)i;
		texts[i] = i % 10 == 0 ? SPAN_EMPTY : span_of("it's \"quoted\" \\ here");
	}
	assert_int_equal(insert(numbers, texts, MANY), OK);
	sum = look("SELECT n, t FROM a");
	assert_int_equal(sum.rows, MANY);
	assert_int_equal(sum.total, (int64_t)MANY * (MANY - 1) / 2);
	assert_int_equal(sum.nulls, MANY / 10);
	assert_string_equal(sum.last, "it's \"quoted\" \\ here");

	sum = (struct sum){0}; /* in parts of a list */
	assert_int_equal(sql_read_in(sql, "SELECT n, t FROM a WHERE n IN (%s)",
				     (struct sql_column){.numbers = numbers}, MANY / 4, note, &sum,
				     &why),
			 OK);
	assert_int_equal(sum.rows, MANY / 4);
	free(texts);
	free(numbers);
}

static void a_number_can_be_null_alone_and_among_others(void **state)
{
	int64_t numbers[] = {SQL_NULL, 7, SQL_NULL};
	struct span texts[] = {span_of("a"), span_of("b"), span_of("c")};

	(void)state;
	assert_int_equal(insert(numbers, texts, 3), OK);
	assert_int_equal(insert(numbers, texts, 1), OK);
	assert_int_equal(look("SELECT COUNT(*), NULL FROM a WHERE n IS NULL").total, 3);
	assert_int_equal(look("SELECT n, t FROM a WHERE n = 7").rows, 1);
}

static void found_rows_are_counted_whether_they_change_or_not(void **state)
{
	int64_t numbers[] = {1, 2, 3, 4};
	struct span texts[] = {span_of("x"), span_of("x"), span_of("x"), span_of("x")};
	struct sql_column columns[] = {{.texts = texts}, {.numbers = numbers}};
	uint64_t found = 0;

	(void)state;
	assert_int_equal(insert(numbers, texts, 3), OK);
	assert_int_equal(
		sql_write(sql, "UPDATE a SET t = ? WHERE n = ?", columns, 2, 4, &found, &why), OK);
	assert_int_equal(found, 3);
}

static void an_insert_id_and_a_counter_are_told(void **state)
{
	int64_t number = 41;
	struct span text = span_of("x");
	uint64_t first;

	(void)state;
	assert_int_equal(insert(&number, &text, 1), OK);
	first = sql_insert_id(sql);
	number++;
	assert_int_equal(insert(&number, &text, 1), OK);
	assert_int_equal(sql_insert_id(sql), first + 1);
	assert_int_equal(sql_write(sql, "UPDATE a SET n = LAST_INSERT_ID(n + 100) WHERE n = 42",
				   NULL, 0, 1, NULL, &why),
			 OK);
	assert_int_equal(sql_insert_id(sql), 142);
}

static void a_value_that_does_not_fit_is_refused_and_not_cut(void **state)
{
	int64_t numbers[] = {1, 2};
	struct span texts[] = {span_of("short"),
			       span_of("longer than the forty characters that the column holds")};

	(void)state;
	assert_int_equal(insert(numbers, texts, 2), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_OTHER);
	assert_non_null(strstr(why.text, "too long"));
	assert_true(sql_is_open(sql));
}

static void a_duplicate_and_a_held_lock_ask_for_a_repeat(void **state)
{
	int64_t numbers[] = {1, 1};
	struct span texts[] = {span_of("x"), span_of("y")};
	struct sql *other = sql_create(&config);
	int64_t began_ms;

	(void)state;
	assert_int_equal(insert(numbers, texts, 1), OK);
	assert_int_equal(insert(numbers, texts, 1), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_AGAIN);

	assert_int_equal(sql_open(other, 0, &why), OK);
	assert_int_equal(sql_run(other, "START TRANSACTION", &why), OK);
	assert_int_equal(sql_run(other, "UPDATE a SET t = 'held'", &why), OK);
	began_ms = clock_ms();
	assert_int_equal(sql_run(sql, "UPDATE a SET t = 'wanted'", &why), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_AGAIN);
	assert_true(clock_ms() - began_ms < 4000);
	sql_destroy(other);
}

static void what_is_there_already_and_what_is_denied_are_told_apart(void **state)
{
	struct sql_config small = config;
	struct sql *denied;

	(void)state;
	assert_int_equal(sql_run(sql, "CREATE TABLE a (n INT)", &why), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_EXISTS);
	assert_int_equal(sql_run(sql, "ALTER TABLE a ADD KEY n (n)", &why), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_EXISTS);
	run("CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'r'");
	run("GRANT SELECT ON t.* TO reader@'%'");
	small.username = "reader";
	small.password = "r";
	denied = sql_create(&small);
	assert_int_equal(sql_open(denied, 0, &why), OK);
	assert_int_equal(sql_run(denied, "CREATE TABLE b (n INT)", &why), TEMPFAIL);
	assert_int_equal(sql_fault(denied), SQL_DENIED);
	assert_int_equal(sql_run(denied, "INSERT INTO a (n) VALUES (1)", &why), TEMPFAIL);
	assert_int_equal(sql_fault(denied), SQL_DENIED);
	sql_destroy(denied);
}

static void a_wrong_password_is_told_without_the_password(void **state)
{
	struct sql_config wrong = config;
	struct sql *refused;

	(void)state;
	wrong.password = "not-the-secret";
	refused = sql_create(&wrong);
	assert_int_equal(sql_open(refused, 0, &why), TEMPFAIL);
	assert_int_equal(sql_fault(refused), SQL_AWAY);
	assert_non_null(strstr(why.text, "Access denied"));
	assert_null(strstr(why.text, "not-the-secret"));
	sql_destroy(refused);
}

static void a_dropped_database_and_table_are_the_backends_trouble(void **state)
{
	(void)state;
	assert_int_equal(sql_run(sql, "INSERT INTO gone (n) VALUES (1)", &why), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_AWAY);
	assert_false(sql_is_open(sql));
	assert_int_equal(sql_open(sql, 0, &why), OK);
	run("DROP DATABASE t");
	assert_int_equal(sql_run(sql, "INSERT INTO a (n) VALUES (1)", &why), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_AWAY);
	assert_int_equal(sql_open(sql, 0, &why), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_AWAY);
	config.database = "mysql";
	assert_int_equal(sql_open(sql, 0, &why), OK);
	run("CREATE DATABASE t");
	config.database = "t";
}

static void a_killed_server_is_away_and_a_new_connection_is_another_session(void **state)
{
	uint64_t session = sql_session(sql);

	(void)state;
	mariadb_kill(&server, SIGKILL);
	assert_int_equal(sql_run(sql, "DO 1", &why), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_AWAY);
	assert_false(sql_is_open(sql));
	assert_int_equal(sql_open(sql, 0, &why), TEMPFAIL);
	mariadb_start(&server);
	assert_int_equal(sql_open(sql, 0, &why), OK);
	assert_true(sql_session(sql) > session);
}

static void a_frozen_server_is_away_after_the_timeout(void **state)
{
	int64_t began_ms;

	(void)state;
	mariadb_kill(&server, SIGSTOP);
	began_ms = clock_ms();
	assert_int_equal(sql_run(sql, "DO 1", &why), TEMPFAIL);
	assert_int_equal(sql_fault(sql), SQL_AWAY);
	assert_in_range(clock_ms() - began_ms, 2000, 6000);
	mariadb_kill(&server, SIGCONT);
}

static void more_than_a_packet_is_sent_in_parts(void **state)
{
	enum { ROWS = 300 };
	int64_t numbers[ROWS];
	struct span texts[ROWS];
	struct sql_column columns[] = {{.numbers = numbers}, {.texts = texts}};
	char *text = malloc(10001);
	struct sum sum;

	(void)state;
	memset(text, 'x', 10000);
	text[10000] = '\0';
	run("SET GLOBAL max_allowed_packet = 1048576");
	run("ALTER TABLE a MODIFY t MEDIUMTEXT");
	sql_close(sql);
	assert_int_equal(sql_open(sql, 0, &why), OK);
	assert_int_equal(sql_packet_max(sql), 1048576);
	for (size_t i = 0; i < ROWS; i++) {
		numbers[i] = (int64_t)i;
		texts[i] = span_of(text);
	}
	assert_int_equal(
		sql_write(sql, "INSERT INTO a (n, t) VALUES (?, ?)", columns, 2, ROWS, NULL, &why),
		OK);
	sum = look("SELECT n, t FROM a");
	assert_int_equal(sum.rows, ROWS);
	assert_int_equal(sum.bytes, (size_t)ROWS * 10000);
	run("SET GLOBAL max_allowed_packet = 16777216");
	free(text);
}

/* MySQL's own server has no bulk command. */
static void a_server_without_arrays_is_served_row_by_row(void **state)
{
	int64_t numbers[] = {1, SQL_NULL, 3};
	struct span texts[] = {span_of("a"), SPAN_EMPTY, span_of("c")};
	struct sum sum;

	(void)state;
	assert_true(sql->arrays);
	sql->arrays = false;
	assert_int_equal(insert(numbers, texts, 3), OK);
	sum = look("SELECT n, t FROM a");
	assert_int_equal(sum.rows, 3);
	assert_int_equal(sum.total, 4);
	assert_int_equal(sum.nulls, 1);
}

#define SQL_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SQL_TEST(many_rows_go_in_one_call_and_come_back),
		SQL_TEST(a_number_can_be_null_alone_and_among_others),
		SQL_TEST(found_rows_are_counted_whether_they_change_or_not),
		SQL_TEST(an_insert_id_and_a_counter_are_told),
		SQL_TEST(a_value_that_does_not_fit_is_refused_and_not_cut),
		SQL_TEST(a_duplicate_and_a_held_lock_ask_for_a_repeat),
		SQL_TEST(what_is_there_already_and_what_is_denied_are_told_apart),
		SQL_TEST(a_wrong_password_is_told_without_the_password),
		SQL_TEST(a_dropped_database_and_table_are_the_backends_trouble),
		SQL_TEST(a_killed_server_is_away_and_a_new_connection_is_another_session),
		SQL_TEST(a_frozen_server_is_away_after_the_timeout),
		SQL_TEST(more_than_a_packet_is_sent_in_parts),
		SQL_TEST(a_server_without_arrays_is_served_row_by_row),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
