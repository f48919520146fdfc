/* SPDX-License-Identifier: Apache-2.0 */
/* common/preflight_*.c against real servers of their own that are set up wrongly. Topics: see
 * test_topics.c, named: test_bind.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/preflight.h"
#include "tests/lib/mariadb.h"
#include "tests/lib/redis_server.h"

static struct preflight found;

static const struct finding *of(enum check check)
{
	const struct finding *finding = NULL;

	for (size_t i = 0; i < found.count; i++) {
		if (found.items[i].check == check) {
			assert_null(finding); /* one each */
			finding = &found.items[i];
		}
	}
	return finding;
}

static void expect(enum check check, enum finding_state state, const char *says)
{
	const struct finding *finding = of(check);

	if (finding == NULL || finding->state != state ||
	    strstr(finding->text.text, says) == NULL) {
		fail_msg("%s is %s \"%s\", not %s with \"%s\"", check_abouts[check].name,
			 finding == NULL ? "not found" : finding_state_text(finding->state),
			 finding == NULL ? "" : finding->text.text, finding_state_text(state),
			 says);
	}
}

/* All but `but` (CHECKS: no exception) are right. */
static void expect_right_but(enum check but)
{
	for (size_t i = 0; i < found.count; i++) {
		if (found.items[i].check != but && found.items[i].state != FINDING_RIGHT) {
			fail_msg("%s is %s: %s", check_abouts[found.items[i].check].name,
				 finding_state_text(found.items[i].state),
				 found.items[i].text.text);
		}
	}
}

/* --- Redis ------------------------------------------------------------------------------------ */

static void look_at(const char *url, const char *password)
{
	const struct redis_config config = {.url = url, .password = password, .timeout_ms = 2000};

	preflight_finish(&found);
	preflight_init(&found, "");
	preflight_redis(&found, &config);
}

/* `options` ends with NULL. */
static void look_at_redis_with(const char *const *options)
{
	struct redis_server server;

	redis_server_create(&server);
	for (size_t i = 0; options[i] != NULL; i++) {
		server.options[i] = options[i];
	}
	redis_server_start(&server);
	look_at(server.url, "");
	redis_server_destroy(&server);
}

static void a_redis_as_it_must_be_is_right(void **state)
{
	(void)state;
	look_at_redis_with(
		(const char *[]){"--appendonly", "yes", "--appendfsync", "always", NULL});
	expect_right_but(CHECKS);
	assert_int_equal(found.count, 7);
}

static void a_redis_that_forgets_at_a_restart_is_wrong(void **state)
{
	(void)state;
	look_at_redis_with((const char *[]){"--appendfsync", "always", NULL});
	expect(CHECK_REDIS_AOF, FINDING_WRONG, "appendonly is no");
	expect_right_but(CHECK_REDIS_AOF);
}

static void a_redis_that_syncs_every_second_is_warned_about(void **state)
{
	(void)state;
	look_at_redis_with(
		(const char *[]){"--appendonly", "yes", "--appendfsync", "everysec", NULL});
	expect(CHECK_REDIS_FSYNC, FINDING_WARN, "everysec: a crash of its host loses");
	expect_right_but(CHECK_REDIS_FSYNC);
}

static void a_redis_that_evicts_is_wrong_once_it_has_a_limit(void **state)
{
	(void)state;
	look_at_redis_with((const char *[]){"--appendonly", "yes", "--appendfsync", "always",
					    "--maxmemory-policy", "allkeys-lru", NULL});
	expect(CHECK_REDIS_EVICTION, FINDING_WARN, "nothing happens yet");
	expect_right_but(CHECK_REDIS_EVICTION);
	look_at_redis_with((const char *[]){"--appendonly", "yes", "--appendfsync", "always",
					    "--maxmemory-policy", "allkeys-lru", "--maxmemory",
					    "100mb", NULL});
	expect(CHECK_REDIS_EVICTION, FINDING_WRONG, "thrown away");
	expect_right_but(CHECK_REDIS_EVICTION);
}

static void a_replica_is_wrong(void **state)
{
	(void)state;
	look_at_redis_with((const char *[]){"--appendonly", "yes", "--appendfsync", "always",
					    "--replicaof", "127.0.0.1 1", NULL});
	expect(CHECK_REDIS_ROLE, FINDING_WRONG, "replica");
}

static void add_account(const char *url)
{
	const struct redis_config config = {.url = url, .password = "", .timeout_ms = 2000};
	struct span words[] = {span_of("ACL"),   span_of("SETUSER"), span_of("dadns"),
			       span_of("on"),    span_of(">sesame"), span_of("~dadns:*"),
			       span_of("+@all"), span_of("-config")};
	struct redis_value value;
	struct redis *redis;
	struct reason why;

	assert_int_equal(redis_create(&config, &redis, &why), OK);
	assert_int_equal(redis_run(redis, words, 8, 2000, &value, &why), OK);
	redis_destroy(redis);
}

static void what_an_account_may_not_see_is_said(void **state)
{
	struct redis_server server;
	char url[64];

	(void)state;
	redis_server_create(&server);
	server.options[0] = "--appendonly";
	server.options[1] = "yes";
	redis_server_start(&server);
	add_account(server.url);
	snprintf(url, sizeof(url), "redis://dadns@127.0.0.1:%d", server.port);
	look_at(url, "sesame");
	expect(CHECK_REDIS_FSYNC, FINDING_UNSEEN, "may not CONFIG GET");
	expect_right_but(CHECK_REDIS_FSYNC);
	look_at(url, "wrong");
	expect(CHECK_REDIS_REACH, FINDING_AWAY, "WRONGPASS");
	assert_int_equal(found.count, 1);
	redis_server_destroy(&server);
	look_at(url, "sesame");
	expect(CHECK_REDIS_REACH, FINDING_AWAY, "Connection refused");
}

static void no_redis_at_all_is_warned_about_and_a_bad_url_wrong(void **state)
{
	(void)state;
	look_at("", "");
	expect(CHECK_REDIS_REACH, FINDING_WARN, "redis.url is empty");
	look_at("http://127.0.0.1", "");
	expect(CHECK_REDIS_REACH, FINDING_WRONG, "write redis://");
}

/* --- MariaDB ---------------------------------------------------------------------------------- */

static struct mariadb server;
static struct sql_config root = {
	.host = "", .username = "tests", .password = "secret", .tls_ca = "", .timeout_ms = 10000};
static struct sql *admin;

static void run(const char *text)
{
	struct reason why;

	if (sql_run(admin, text, &why) != OK) {
		fail_msg("%s: %s", text, why.text);
	}
}

static void look_at_database(void)
{
	static const char *const tables[] = {"zones", "dadns_zones", NULL};
	struct sql *sql = sql_create(&root);

	preflight_finish(&found);
	preflight_init(&found, "");
	preflight_mysql(&found, "dc1", sql, tables);
	sql_destroy(sql);
}

static void a_database_as_it_must_be_is_right(void **state)
{
	(void)state;
	look_at_database();
	expect_right_but(CHECKS);
	expect(CHECK_INNODB_ENGINE, FINDING_RIGHT, "no tables yet");
	run("CREATE TABLE zones (id INT) ENGINE=InnoDB");
	look_at_database();
	expect_right_but(CHECKS);
	expect(CHECK_INNODB_ENGINE, FINDING_RIGHT, "1 tables");
	assert_int_equal(found.count, 6);
	run("DROP TABLE zones");
}

static void a_table_that_is_not_innodb_is_wrong(void **state)
{
	(void)state;
	run("CREATE TABLE zones (id INT) ENGINE=MyISAM");
	look_at_database();
	expect(CHECK_INNODB_ENGINE, FINDING_WRONG, "table zones is MyISAM");
	expect_right_but(CHECK_INNODB_ENGINE);
	run("DROP TABLE zones");
}

static void a_database_that_flushes_every_second_is_warned_about(void **state)
{
	(void)state;
	run("SET GLOBAL innodb_flush_log_at_trx_commit = 2");
	look_at_database();
	expect(CHECK_INNODB_FLUSH, FINDING_WARN, "innodb_flush_log_at_trx_commit is 2");
	expect_right_but(CHECK_INNODB_FLUSH);
	run("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
}

static void a_server_that_is_not_strict_is_warned_about_for_our_sessions_are(void **state)
{
	(void)state;
	run("SET GLOBAL sql_mode = ''");
	look_at_database();
	expect(CHECK_SQL_MODE, FINDING_WARN, "is not strict");
	expect_right_but(CHECK_SQL_MODE);
	run("SET GLOBAL sql_mode = DEFAULT");
}

static void a_read_only_server_is_wrong(void **state)
{
	(void)state;
	run("SET GLOBAL read_only = 1");
	look_at_database();
	expect(CHECK_MYSQL_READONLY, FINDING_WRONG, "read_only");
	expect_right_but(CHECK_MYSQL_READONLY);
	run("SET GLOBAL read_only = 0");
}

static void an_account_that_may_not_see_the_database_is_away(void **state)
{
	struct sql_config config = root;
	struct sql *sql;

	(void)state;
	config.password = "wrong";
	sql = sql_create(&config);
	preflight_finish(&found);
	preflight_init(&found, "");
	preflight_mysql(&found, "dc1", sql, (const char *const[]){"zones", NULL});
	sql_destroy(sql);
	expect(CHECK_MYSQL_REACH, FINDING_AWAY, "denied");
	assert_int_equal(found.count, 1);
}

static int start_database(void **state)
{
	struct reason why;

	(void)state;
	mariadb_create(&server);
	root.socket = server.socket;
	root.database = "mysql";
	admin = sql_create(&root);
	assert_int_equal(sql_open(admin, 0, &why), OK);
	run("CREATE DATABASE dc1");
	sql_destroy(admin);
	root.database = "dc1";
	admin = sql_create(&root);
	assert_int_equal(sql_open(admin, 0, &why), OK);
	return 0;
}

static int end_database(void **state)
{
	(void)state;
	sql_destroy(admin);
	mariadb_destroy(&server);
	preflight_finish(&found);
	return 0;
}

int main(void)
{
	const struct CMUnitTest redis[] = {
		cmocka_unit_test(a_redis_as_it_must_be_is_right),
		cmocka_unit_test(a_redis_that_forgets_at_a_restart_is_wrong),
		cmocka_unit_test(a_redis_that_syncs_every_second_is_warned_about),
		cmocka_unit_test(a_redis_that_evicts_is_wrong_once_it_has_a_limit),
		cmocka_unit_test(a_replica_is_wrong),
		cmocka_unit_test(what_an_account_may_not_see_is_said),
		cmocka_unit_test(no_redis_at_all_is_warned_about_and_a_bad_url_wrong),
	};
	const struct CMUnitTest databases[] = {
		cmocka_unit_test(a_database_as_it_must_be_is_right),
		cmocka_unit_test(a_table_that_is_not_innodb_is_wrong),
		cmocka_unit_test(a_database_that_flushes_every_second_is_warned_about),
		cmocka_unit_test(a_server_that_is_not_strict_is_warned_about_for_our_sessions_are),
		cmocka_unit_test(a_read_only_server_is_wrong),
		cmocka_unit_test(an_account_that_may_not_see_the_database_is_away),
	};
	int failed = cmocka_run_group_tests(redis, NULL, NULL);

	return failed + cmocka_run_group_tests(databases, start_database, end_database);
}
