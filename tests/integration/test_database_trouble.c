/* SPDX-License-Identifier: Apache-2.0 */
/* services/writer-mysql against a real MariaDB that refuses, is locked, full, killed or cut off;
 * killed itself; and several members and readers at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/database.h"

/* --- one zone's trouble and everybody's (I8) ------------------------------------------------- */

enum { BATCH = 8, BAD = 5, LOCKED_MS = 8000 };

static struct given batch[BATCH];
static struct given batch_before[BATCH];
static struct change changes[BATCH];

static void give_batch(void *backend, const char *bad_records)
{
	for (int i = 0; i < BATCH; i++) {
		char name[32];

		snprintf(name, sizeof(name), "batch-%d.test", i);
		batch_before[i] = save(name, 1, 1, "www A 192.0.2.1\n");
		batch[i] = save(name, 2, 2, i == BAD ? bad_records : "www A 192.0.2.2\n");
	}
	assert_int_equal(apply_all(backend, batch_before, changes, BATCH), OK);
}

static void drop_batch(void)
{
	for (int i = 0; i < BATCH; i++) {
		drop(&batch[i]);
		drop(&batch_before[i]);
	}
}

static void only_the_bad_one_fails(void *backend, const char *words)
{
	if (apply_all(backend, batch, changes, BATCH) != OK) {
		fail_msg("%s", why.text);
	}
	for (int i = 0; i < BATCH; i++) {
		if (i == BAD) {
			assert_int_not_equal(changes[i].outcome, OK);
			must_say(changes[i].why.text, words);
			must_hold(&batch_before[i]);
		} else {
			must_give(&changes[i], CHANGE_APPLIED);
			must_hold(&batch[i]);
		}
	}
}

static void a_zone_too_wide_for_a_column_fails_alone(void **state)
{
	void *backend = open_backend();

	(void)state;
	database_ops.close(backend);
	run("ALTER TABLE records MODIFY %s VARCHAR(40) NOT NULL", layout->name_column);
	backend = open_backend();
	give_batch(backend, "a-name-that-is-longer-than-the-forty-of-the-column A 192.0.2.2\n");
	only_the_bad_one_fails(backend, "holds 40: widen the column");
	database_ops.close(backend);
	drop_batch();
}

/* The column was wider when we looked. */
static void a_zone_that_the_database_would_cut_fails_alone(void **state)
{
	void *backend = open_backend();

	(void)state;
	give_batch(backend, "a-name-that-is-longer-than-the-forty-of-the-column A 192.0.2.2\n");
	run("ALTER TABLE records MODIFY %s VARCHAR(40) NOT NULL", layout->name_column);
	only_the_bad_one_fails(backend, "too long");
	database_ops.close(backend);
	drop_batch();
}

static void a_record_larger_than_a_packet_fails_alone(void **state)
{
	char *records = long_txt(50000);
	void *backend;

	(void)state;
	run("SET GLOBAL max_allowed_packet = 32768");
	backend = open_backend();
	give_batch(backend, records);
	only_the_bad_one_fails(backend, "max_allowed_packet");
	run("SET GLOBAL max_allowed_packet = 16777216");
	database_ops.close(backend);
	drop_batch();
	free(records);
}

static void a_zone_that_a_trigger_refuses_fails_alone(void **state)
{
	long long halved = counted("dadns_mysql_halved_total");
	long long refused = counted("dadns_mysql_failed_total{reason=\"refused\"}");
	void *backend = open_backend();

	(void)state;
	give_batch(backend, "www A 192.0.2.66\n");
	run("CREATE TRIGGER no66 BEFORE INSERT ON records FOR EACH ROW"
	    " IF NEW.%s = '192.0.2.66' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT ="
	    " 'we do not like 66'; END IF",
	    data);
	only_the_bad_one_fails(backend, "we do not like 66");
	assert_int_equal(counted("dadns_mysql_halved_total"), halved + 3);
	assert_int_equal(counted("dadns_mysql_failed_total{reason=\"refused\"}"), refused + 1);
	run("DROP TRIGGER no66");
	must_apply(backend, &batch[BAD]);
	must_hold(&batch[BAD]);
	database_ops.close(backend);
	drop_batch();
}

static void a_zone_whose_rows_somebody_locked_fails_alone(void **state)
{
	struct given before = save("locked.test", 1, 1, "www A 192.0.2.1\n");
	struct given both[2] = {save("free.test", 1, 1, "www A 192.0.2.1\n"),
				save("locked.test", 2, 2, "www A 192.0.2.2\n")};
	void *backend = open_backend();
	int64_t began_ms;

	(void)state;
	must_apply(backend, &before);
	run("START TRANSACTION");
	run("UPDATE records SET ttl = 301 WHERE type = 'A' AND %s", of(&before));
	began_ms = clock_ms();
	assert_int_equal(apply_all(backend, both, changes, 2), OK);
	assert_true(clock_ms() - began_ms < LOCKED_MS);
	must_give(&changes[0], CHANGE_APPLIED);
	must_hold(&both[0]);
	assert_int_equal(changes[1].outcome, TEMPFAIL);
	must_say(changes[1].why.text, "Lock wait timeout");
	must_hold(&before);
	run("ROLLBACK");
	must_apply(backend, &both[1]);
	must_hold(&both[1]);
	database_ops.close(backend);
	drop(&before);
	drop(&both[0]);
	drop(&both[1]);
}

static void a_zone_whose_version_somebody_locked_fails_alone(void **state)
{
	long long halved = counted("dadns_mysql_halved_total");
	void *backend = open_backend();
	int64_t began_ms;

	(void)state;
	give_batch(backend, "www A 192.0.2.2\n");
	run("START TRANSACTION");
	run("SELECT zone FROM dadns_zones WHERE zone = '%s' FOR UPDATE",
	    batch[BAD].value.zone.text);
	mysql_free_result(mysql_store_result(admin->connection));
	began_ms = clock_ms();
	only_the_bad_one_fails(backend, "Lock wait timeout");
	assert_true(clock_ms() - began_ms < LOCKED_MS);
	assert_int_equal(counted("dadns_mysql_halved_total"), halved + 3); /* no other one waited */
	run("ROLLBACK");
	must_apply(backend, &batch[BAD]);
	must_hold(&batch[BAD]);
	database_ops.close(backend);
	drop_batch();
}

/* INSERT INTO ... SELECT FROM records does this for as long as it takes. */
static void locks_on_all_rows_are_the_databases_trouble(void **state)
{
	enum { ZONES = 8 };
	struct given before[ZONES];
	struct given after[ZONES];
	struct change some[ZONES];
	void *backend;
	int64_t began_ms;

	(void)state;
	config.sql.timeout_ms = 1500;
	backend = open_backend();
	for (int i = 0; i < ZONES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "locked-%d.test", i);
		before[i] = save(name, 1, 1, "www A 192.0.2.1\n");
		after[i] = save(name, 2, 2, "www A 192.0.2.2\n");
	}
	assert_int_equal(apply_all(backend, before, some, ZONES), OK);
	run("START TRANSACTION");
	run("SELECT * FROM records LOCK IN SHARE MODE");
	mysql_free_result(mysql_store_result(admin->connection));
	began_ms = clock_ms();
	assert_int_equal(apply_all(backend, after, some, ZONES), TEMPFAIL);
	must_say(why.text, "others hold locks");
	assert_true(clock_ms() - began_ms < 12000);
	for (int i = 0; i < ZONES; i++) {
		must_hold(&before[i]);
	}
	run("ROLLBACK");
	must_open(backend);
	assert_int_equal(apply_all(backend, after, some, ZONES), OK);
	for (int i = 0; i < ZONES; i++) {
		must_give(&some[i], CHANGE_APPLIED);
		must_hold(&after[i]);
		drop(&before[i]);
		drop(&after[i]);
	}
	database_ops.close(backend);
}

/* Somebody's program writes beside us: what we counted is not what readers would get. */
static void rows_that_do_not_add_up_are_not_committed(void **state)
{
	long long miscounted = counted("dadns_mysql_failed_total{reason=\"miscounted\"}");
	void *backend = open_backend();

	(void)state;
	give_batch(backend, "www A 192.0.2.66\n");
	/* a trigger may not insert into its own table, but it may keep a row from going */
	run("CREATE TRIGGER stay BEFORE INSERT ON records FOR EACH ROW"
	    " IF NEW.%s = '192.0.2.66' THEN SET NEW.%s = (SELECT id FROM %s WHERE %s LIKE"
	    " 'batch-0%%'); END IF",
	    data, zone_ref, zones, zone_column);
	only_the_bad_one_fails(backend, "does a trigger or another program write");
	must_say(changes[BAD].why.text, "has 2 rows after the change and should have 3");
	assert_int_equal(counted("dadns_mysql_failed_total{reason=\"miscounted\"}"),
			 miscounted + 1);
	database_ops.close(backend);
	drop_batch();
}

static void a_new_zone_with_a_row_of_somebody_else_is_not_committed(void **state)
{
	struct given both[2] = {save("crowded.test", 1, 1, "www A 192.0.2.1\n"),
				save("fine.test", 1, 1, "www A 192.0.2.1\n")};
	void *backend = open_backend();

	(void)state;
	run("CREATE TRIGGER crowd AFTER INSERT ON %s FOR EACH ROW IF NEW.%s LIKE 'crowded.%%' THEN"
	    " INSERT INTO records (%s, %s, type, %s, ttl) VALUES (NEW.id, 'x', 'A', '192.0.2.66',"
	    " 60); END IF",
	    zones, zone_column, zone_ref, layout->name_column, data);
	assert_int_equal(apply_all(backend, both, changes, 2), OK);
	assert_int_equal(changes[0].outcome, TEMPFAIL);
	must_say(changes[0].why.text, "has 4 rows after the change and should have 3");
	assert_true(is_unknown(&both[0]));
	must_give(&changes[1], CHANGE_APPLIED);
	must_hold(&both[1]);
	assert_int_equal(number("SELECT COUNT(*) FROM records"), 3);
	database_ops.close(backend);
	drop(&both[0]);
	drop(&both[1]);
}

/* --- the whole database's trouble ------------------------------------------------------------ */

static void all_fail_as_one(void *backend, const char *words)
{
	assert_int_equal(apply_all(backend, batch, changes, BATCH), TEMPFAIL);
	must_say(why.text, words);
	for (int i = 0; i < BATCH; i++) {
		must_hold(&batch_before[i]);
	}
}

static void all_are_applied(void *backend)
{
	must_open(backend);
	assert_int_equal(apply_all(backend, batch, changes, BATCH), OK);
	for (int i = 0; i < BATCH; i++) {
		must_give(&changes[i], CHANGE_APPLIED);
		must_hold(&batch[i]);
	}
}

static void a_database_that_is_read_only_is_away(void **state)
{
	void *backend = open_backend();

	(void)state;
	give_batch(backend, "www A 192.0.2.2\n");
	run("SET GLOBAL read_only = 1");
	all_fail_as_one(backend, "read-only");
	assert_int_equal(database_ops.open(backend, &why), TEMPFAIL);
	must_say(why.text, "read-only");
	run("SET GLOBAL read_only = 0");
	all_are_applied(backend);
	database_ops.close(backend);
	drop_batch();
}

static void a_database_that_a_backup_has_locked_is_away(void **state)
{
	void *backend;

	(void)state;
	config.sql.timeout_ms = 1500;
	backend = open_backend();
	give_batch(backend, "www A 192.0.2.2\n");
	run("FLUSH TABLES WITH READ LOCK");
	/* Either "others hold locks all over database" or "Lost connection": a race of the
	 * server's patience and the client's. */
	all_fail_as_one(backend, "");
	if (strstr(why.text, "Lost connection") == NULL) {
		must_say(why.text, "others hold locks all over database");
	}
	run("UNLOCK TABLES");
	all_are_applied(backend);
	database_ops.close(backend);
	drop_batch();
}

static void a_database_that_is_full_is_away(void **state)
{
	char *records = long_txt(60000);
	void *backend;

	(void)state;
	run("SET GLOBAL innodb_file_per_table = 0"); /* but one file, which has a limit */
	run("CREATE TABLE ballast (n BIGINT AUTO_INCREMENT PRIMARY KEY, t LONGTEXT)");
	backend = open_backend();
	run("SET GLOBAL innodb_file_per_table = 1");
	give_batch(backend, "www A 192.0.2.2\n");
	for (int i = 0; i < BATCH; i++) {
		drop(&batch[i]);
		batch[i] = save(batch[i].value.zone.text, 2, 2, records);
	}
	while (sql_run(admin, "INSERT INTO ballast (t) VALUES (REPEAT('x', 300000))", &why) == OK) {
	}
	must_say(why.text, "full");
	enter(schema);
	all_fail_as_one(backend, "full");
	mariadb_kill(&server, SIGKILL);
	server.shared_mb *= 2;
	mariadb_start(&server);
	enter(schema);
	all_are_applied(backend);
	database_ops.close(backend);
	drop_batch();
	free(records);
}

static void an_account_that_lost_a_privilege_is_away(void **state)
{
	static const char *const privileges[] = {"INSERT ON %s.records", "DELETE ON %s.records",
						 "UPDATE ON %s.dadns_zones",
						 "SELECT ON %s.dadns_zones"};
	void *backend = open_backend();

	(void)state;
	database_ops.close(backend);
	/* table by table: those of a whole database are looked at when it is chosen */
	run("REVOKE ALL ON %s.* FROM writer@'%%'", schema);
	for (const char *tables = answer("SHOW TABLES"); *tables != '\0';) {
		size_t len = strcspn(tables, "\n");

		run("GRANT SELECT, INSERT, UPDATE, DELETE ON %s.%.*s TO writer@'%%'", schema,
		    (int)len, tables);
		tables += len + (tables[len] == '\n');
	}
	backend = open_backend();
	give_batch(backend, "www A 192.0.2.2\n");
	for (size_t i = 0; i < 4; i++) {
		char privilege[80];
		char word[8];

		snprintf(privilege, sizeof(privilege), "%.*s ON %s%s",
			 (int)strcspn(privileges[i], " "), privileges[i], schema,
			 strchr(privileges[i], '.'));
		snprintf(word, sizeof(word), "%.6s", privileges[i]);
		run("REVOKE %s FROM writer@'%%'", privilege);
		all_fail_as_one(backend, word);
		run("GRANT %s TO writer@'%%'", privilege);
	}
	all_are_applied(backend);
	database_ops.close(backend);
	drop_batch();
}

static void a_killed_connection_is_away_and_then_fine(void **state)
{
	void *backend = open_backend();

	(void)state;
	give_batch(backend, "www A 192.0.2.2\n");
	run("KILL %lld", number("SELECT id FROM information_schema.processlist WHERE db = '%s' AND"
				" user = 'writer'",
				schema));
	all_fail_as_one(backend, "");
	all_are_applied(backend);
	database_ops.close(backend);
	drop_batch();
}

/* --- killed and cut -------------------------------------------------------------------------- */

static void a_commit_that_does_not_come_back_is_asked_again(void **state) /* I3, I4 */
{
	static const enum door_trick tricks[] = {DOOR_LOSES_COMMIT, DOOR_LOSES_ANSWER,
						 DOOR_KILLS_SERVER};
	struct given before = save("commit.test", 1, 1, "www A 192.0.2.1\nx TXT \"1\"\n");
	struct mariadb_door door;
	void *backend;

	(void)state;
	door_open(&door, &server);
	config.sql.port = door.port;
	backend = open_backend();
	must_apply(backend, &before);
	for (int i = 0; i < 3; i++) {
		bool stored = tricks[i] == DOOR_LOSES_ANSWER;
		struct given after = save("commit.test", 2 + i, 2 + (uint32_t)i,
					  i == 1 ? "www A 192.0.2.2\ny TXT \"2\"\n"
						 : "www A 192.0.2.1\nx TXT \"1\"\n");
		struct change change = {.value = &after.value};

		door.trick = tricks[i];
		assert_int_equal(database_ops.apply(backend, &change, 1, &why), TEMPFAIL);
		assert_int_equal(door.trick, DOOR_OPEN);
		if (tricks[i] == DOOR_KILLS_SERVER) {
			assert_int_equal(database_ops.open(backend, &why), TEMPFAIL);
			mariadb_start(&server);
			enter(schema);
		}
		must_hold(stored ? &after : &before);
		must_open(backend);
		change = apply(backend, &after);
		must_give(&change, stored ? CHANGE_VERIFIED : CHANGE_APPLIED);
		must_hold(&after);
		drop(&before);
		before = after;
	}
	database_ops.close(backend);
	door_close(&door);
	drop(&before);
}

static void a_new_and_a_deleted_zone_outlive_a_lost_commit(void **state) /* I3, I4 */
{
	static const enum door_trick tricks[] = {DOOR_LOSES_COMMIT, DOOR_LOSES_ANSWER};
	struct given zone = save("lost.test", 1, 1, "www A 192.0.2.1\n");
	struct given delete = gone("lost.test", 2);
	struct change change;
	struct mariadb_door door;
	void *backend;

	(void)state;
	door_open(&door, &server);
	config.sql.port = door.port;
	backend = open_backend();
	for (int i = 0; i < 2; i++) {
		door.trick = tricks[i];
		assert_int_equal(apply_all(backend, &zone, &change, 1), TEMPFAIL);
		must_open(backend);
		change = apply(backend, &zone);
		must_give(&change, i == 0 ? CHANGE_APPLIED : CHANGE_VERIFIED);
		must_hold(&zone);
		door.trick = tricks[i];
		assert_int_equal(apply_all(backend, &delete, &change, 1), TEMPFAIL);
		must_open(backend);
		change = apply(backend, &delete);
		must_give(&change, i == 0 ? CHANGE_APPLIED : CHANGE_VERIFIED);
		must_hold(&delete);
		run("DELETE FROM dadns_zones");
	}
	database_ops.close(backend);
	door_close(&door);
	drop(&zone);
}

/* --- the writer killed ----------------------------------------------------------------------- */

static const char *content(int generation)
{
	static struct buf text;

	buf_finish(&text);
	buf_init(&text, 1 << 16);
	for (int i = 0; i < 20; i++) {
		buf_addf(&text, "n%d TXT \"%d\"\n", i, generation);
	}
	return buf_text(&text);
}

static const char *self; /* this program, as it was called */

/* In another process that ends, as by SIGKILL, at `mark`. */
static void apply_and_die_at(const char *mark, const struct given *given)
{
	pid_t pid = fork();
	char offset[24];
	char port[24];
	int status;

	if (pid == 0) {
		setenv("DADNS_ABORT_AT", mark, 1);
		snprintf(offset, sizeof(offset), "%d", (int)given->value.version.offset);
		snprintf(port, sizeof(port), "%d", (int)server.port);
		execl(self, self, layout->type, port, schema, given->value.zone.text,
		      given->value.deleted ? "delete" : "save", offset, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static int child(char **argv)
{
	int32_t partition = 0;
	int64_t offset = strtoll(argv[6], NULL, 10);
	int64_t next = offset + 1;
	struct given given;
	void *backend;

	server.port = strtoll(argv[2], NULL, 10);
	snprintf(schema, sizeof(schema), "%s", argv[3]);
	choose_layout(layout_by_type(argv[1]));
	backend = open_backend();
	given = argv[5][0] == 'd' ? gone(argv[4], offset)
				  : save(argv[4], offset, (uint32_t)offset, content((int)offset));
	(void)apply(backend, &given);
	(void)!database_ops.store_positions(backend, &partition, &next, 1, &why);
	return 1; /* it should have died */
}

static void killed_at_any_mark_nothing_is_torn_and_the_replay_ends_right(void **state) /* I3, I4 */
{
	static const char *const marks[] = {"mysql.locked",        "mysql.half_written",
					    "mysql.before_commit", "mysql.committed",
					    "mysql.told",          "mysql.positions"};
	void *backend = open_backend();

	(void)state;
	for (int i = 0; i < 6; i++) {
		bool stored = i >= 3;
		enum change_result again = stored ? CHANGE_VERIFIED : CHANGE_APPLIED;
		char name[32];
		struct given first;
		struct given second;
		struct given third;
		struct change change;

		snprintf(name, sizeof(name), "killed-%d.test", i);
		first = save(name, 100, 100, content(100));
		second = save(name, 101, 101, content(101));
		third = gone(name, 102);
		apply_and_die_at(marks[i], &first);
		assert_true(stored ? holds(&first) : is_unknown(&first));
		change = apply(backend, &first);
		must_give(&change, again);
		apply_and_die_at(marks[i], &second);
		must_hold(stored ? &second : &first);
		change = apply(backend, &second);
		must_give(&change, again);
		must_hold(&second);
		apply_and_die_at(marks[i], &third);
		must_hold(stored ? &third : &second);
		change = apply(backend, &third);
		must_give(&change, again);
		must_hold(&third);
		drop(&first);
		drop(&second);
	}
	database_ops.close(backend);
}

/* --- several at once ------------------------------------------------------------------------- */

static void wait_for_somebody_to_wait(void)
{
	int64_t until_ms = clock_ms() + 5000;

	while (number("SELECT variable_value FROM information_schema.global_status WHERE"
		      " variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'") == 0) {
		assert_true(clock_ms() < until_ms);
		usleep(1000);
	}
}

static void *apply_in_thread(void *context)
{
	void *backend = context;

	return (void *)(uintptr_t)apply_all(backend, batch, changes, BATCH);
}

/* We hold a row of one zone and ask for another's version, while the batch holds all versions and
 * asks for the row: InnoDB rolls back who has done less, and that is the batch. */
static void a_deadlock_is_repeated(void **state)
{
	long long repeated = counted("dadns_mysql_repeated_total");
	long long halved = counted("dadns_mysql_halved_total");
	void *backend = open_backend();
	pthread_t thread;
	void *outcome;

	(void)state;
	give_batch(backend, "www A 192.0.2.2\n");
	run("CREATE TABLE work (n INT) ENGINE=InnoDB");
	run("START TRANSACTION");
	run("INSERT INTO work SELECT seq FROM seq_1_to_2000");
	run("UPDATE records SET ttl = 301 WHERE type = 'A' AND %s", of(&batch[BAD]));
	pthread_create(&thread, NULL, apply_in_thread, backend);
	wait_for_somebody_to_wait();
	run("UPDATE dadns_zones SET owner = 'x' WHERE zone = '%s'", batch[0].value.zone.text);
	run("ROLLBACK");
	pthread_join(thread, &outcome);
	assert_int_equal((uintptr_t)outcome, OK);
	for (int i = 0; i < BATCH; i++) {
		must_give(&changes[i], CHANGE_APPLIED);
		must_hold(&batch[i]);
	}
	assert_int_equal(counted("dadns_mysql_repeated_total"), repeated + 1);
	assert_int_equal(counted("dadns_mysql_halved_total"), halved);
	database_ops.close(backend);
	drop_batch();
}

enum { ROUNDS = 200, CROWD = 6 };

struct member {
	void *backend;
	pthread_barrier_t *barrier;
	const struct given *givens[CROWD]; /* of this round, the other member's as well */
	struct given own[2];               /* in turns */
	unsigned int seed;
	int failures; /* of zones, before they were applied after all */
	enum outcome outcome;
	struct reason why;
};

static void shuffle(const struct given **givens, unsigned int *seed)
{
	for (size_t i = CROWD - 1; i > 0; i--) {
		size_t other = (size_t)rand_r(seed) % (i + 1);
		const struct given *kept = givens[i];

		givens[i] = givens[other];
		givens[other] = kept;
	}
}

/* As the core does: what failed is tried again. */
static enum outcome bring_round(struct member *member)
{
	struct change list[CROWD];
	size_t count = CROWD;

	shuffle(member->givens, &member->seed);
	for (size_t i = 0; i < CROWD; i++) {
		list[i] = (struct change){.value = &member->givens[i]->value};
	}
	while (count != 0) {
		size_t left = 0;

		if (database_ops.apply(member->backend, list, count, &member->why) != OK ||
		    member->failures > ROUNDS) {
			return TEMPFAIL;
		}
		for (size_t i = 0; i < count; i++) {
			if (list[i].outcome != OK) {
				member->failures++;
				member->why = list[i].why;
				list[left++] = (struct change){.value = list[i].value};
			}
		}
		count = left;
	}
	return OK;
}

/* Of a zone that nobody else changes: transactions that only share the counter. */
static enum outcome bring_own(struct member *member, int turns)
{
	enum outcome outcome = OK;

	for (int i = 0; i < turns && outcome == OK; i++) {
		struct given *own = &member->own[i % 2];
		struct change change = {.value = &own->value};

		own->value.version.offset += 2;
		outcome = database_ops.apply(member->backend, &change, 1, &member->why);
		if (outcome == OK && (change.outcome != OK || change.result != CHANGE_APPLIED)) {
			member->why = change.why;
			outcome = TEMPFAIL;
		}
	}
	return outcome;
}

static void *member_work(void *context)
{
	struct member *member = context;

	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(member->barrier);
		if (member->outcome == OK) {
			member->outcome = bring_round(member);
		}
		if (member->outcome == OK) {
			member->outcome = bring_own(member, 2);
		}
		pthread_barrier_wait(member->barrier);
	}
	return NULL;
}

/* A reader that follows the numbers of the changes, asking only for what is beyond the last. */
struct follower {
	_Atomic bool ending;
	int64_t last;
	struct sql *sql;
	enum outcome outcome;
	struct reason why;
	struct {
		char zone[40];
		int64_t changed;
	} known[ROUNDS];
	size_t count;
};

static void note_change(void *context, const struct sql_field *fields)
{
	struct follower *follower = context;
	char zone[40];
	size_t i;

	snprintf(zone, sizeof(zone), "%.*s", (int)fields[0].text.len, fields[0].text.data);
	for (i = 0; i < follower->count && strcmp(follower->known[i].zone, zone) != 0; i++) {
	}
	follower->count += i == follower->count;
	memcpy(follower->known[i].zone, zone, sizeof(zone));
	follower->known[i].changed = fields[1].number;
	follower->last = fields[1].number;
}

static void *follow(void *context)
{
	struct follower *follower = context;
	struct sql_column beyond = {.numbers = &follower->last};
	bool last_round = false;

	while (follower->outcome == OK && !last_round) {
		last_round = follower->ending;
		follower->outcome = sql_read(follower->sql,
					     "SELECT zone, changed FROM dadns_zones WHERE changed"
					     " > ? ORDER BY changed",
					     &beyond, 1, note_change, follower, &follower->why);
		usleep(1000);
	}
	return NULL;
}

/* Who changed what, in the order in which the counter was locked. */
static void keep_history(void)
{
	run("CREATE TABLE history (id BIGINT AUTO_INCREMENT PRIMARY KEY, changed BIGINT, who"
	    " BIGINT) ENGINE=InnoDB");
	run("CREATE TRIGGER stamped AFTER INSERT ON dadns_zones FOR EACH ROW"
	    " INSERT INTO history (changed, who) VALUES (NEW.changed, CONNECTION_ID())");
	run("CREATE TRIGGER changed AFTER UPDATE ON dadns_zones FOR EACH ROW IF NEW.changed <>"
	    " OLD.changed THEN INSERT INTO history (changed, who) VALUES (NEW.changed,"
	    " CONNECTION_ID()); END IF");
}

static void two_members_with_crossing_versions_end_with_the_highest(void **state) /* I4 */
{
	static const char *const variants[] = {"a A 192.0.2.1\nb A 192.0.2.1\nc A 192.0.2.1\n",
					       "a A 192.0.2.2\nb A 192.0.2.1\nd A 192.0.2.1\n",
					       "a A 192.0.2.2\nc A 192.0.2.2\nc A 192.0.2.3\n"};
	struct follower *follower = calloc(1, sizeof(*follower));
	struct member members[2] = {{.seed = 1}, {.seed = 2}};
	struct given givens[2][CROWD];
	pthread_barrier_t barrier;
	pthread_t threads[3];
	unsigned int seed = 3;

	(void)state;
	for (int m = 0; m < 2; m++) {
		const char *own = m == 0 ? "own-0.test" : "own-1.test";

		members[m].backend = open_backend();
		members[m].barrier = &barrier;
		members[m].own[0] = save(own, 1, 1, content(1));
		members[m].own[1] = save(own, 2, 2, content(2));
	}
	keep_history();
	follower->sql = sql_create(&root);
	assert_int_equal(sql_open(follower->sql, 0, &why), OK);
	pthread_barrier_init(&barrier, NULL, 3);
	pthread_create(&threads[0], NULL, member_work, &members[0]);
	pthread_create(&threads[1], NULL, member_work, &members[1]);
	pthread_create(&threads[2], NULL, follow, follower);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CROWD; i++) {
			int first = rand_r(&seed) % 2; /* who gets the newer one */
			char name[40];

			/* often new names: then there is no version row to lock */
			snprintf(name, sizeof(name), "crowd-%d-%d.test", i, round / 8);
			for (int version = 0; version < 2; version++) {
				int offset = 2 * round + version + 1;
				struct given given = rand_r(&seed) % 8 == 0
							     ? gone(name, offset)
							     : save(name, offset, (uint32_t)offset,
								    variants[rand_r(&seed) % 3]);

				givens[version][i] = given;
				members[(first + version) % 2].givens[i] = &givens[version][i];
			}
		}
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < CROWD; i++) {
			if (members[0].outcome == OK && members[1].outcome == OK) {
				must_hold(&givens[1][i]);
			}
			drop(&givens[0][i]);
			drop(&givens[1][i]);
		}
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	follower->ending = true;
	pthread_join(threads[2], NULL);
	for (int m = 0; m < 2; m++) {
		if (members[m].outcome != OK || members[m].failures != 0) {
			fail_msg("member %d, %d failures: %s", m, members[m].failures,
				 members[m].why.text);
		}
		must_hold(&members[m].own[1]);
		database_ops.close(members[m].backend);
		drop(&members[m].own[0]);
		drop(&members[m].own[1]);
	}
	/* each number belongs to one transaction, and they rise as the transactions commit */
	assert_string_equal(answer("SELECT changed FROM history GROUP BY changed"
				   " HAVING COUNT(DISTINCT who) > 1"),
			    "");
	assert_int_equal(number("SELECT COUNT(*) FROM (SELECT changed - LAG(changed) OVER (ORDER"
				" BY id) AS step FROM history) steps WHERE step < 0"),
			 0);
	assert_int_equal(follower->outcome, OK);
	assert_int_equal(follower->count, number("SELECT COUNT(*) FROM dadns_zones"));
	for (size_t i = 0; i < follower->count; i++) {
		assert_int_equal(follower->known[i].changed,
				 number("SELECT changed FROM dadns_zones WHERE zone = '%s'",
					follower->known[i].zone));
	}
	pthread_barrier_destroy(&barrier);
	sql_destroy(follower->sql);
	free(follower);
}

/* --- readers --------------------------------------------------------------------------------- */

enum { WHOLE = 22 }; /* SOA, NS, content() */

struct reader {
	_Atomic bool *ending;
	bool repeatable; /* else READ COMMITTED */
	struct sql *sql;
	char select[300];
	/* of one look */
	int rows;
	int generation;
	bool torn;
	/* of all */
	int whole;
	int absent;
	int news;
	char wrong[sizeof(struct reason)];
};

static void note_served(void *context, const struct sql_field *fields)
{
	struct reader *reader = context;
	int generation;

	reader->rows++;
	if (sscanf(fields[1].text.data, span_is(fields[0].text, "SOA") ? "%*s %*s %d" : "\"%d\"",
		   &generation) != 1) {
		return; /* NS */
	}
	reader->torn =
		reader->torn || (reader->generation != 0 && generation != reader->generation);
	reader->generation = generation;
}

static bool read_once(struct reader *reader, struct reason *reason)
{
	reader->rows = 0;
	reader->generation = 0;
	reader->torn = false;
	if (sql_read(reader->sql, reader->select, NULL, 0, note_served, reader, reason) != OK) {
		snprintf(reader->wrong, sizeof(reader->wrong), "%s", reason->text);
	} else if (reader->torn || (reader->rows != 0 && reader->rows != WHOLE)) {
		snprintf(reader->wrong, sizeof(reader->wrong), "%d rows, torn %d at generation %d",
			 reader->rows, reader->torn, reader->generation);
	}
	return reader->wrong[0] == '\0';
}

static void *read_in_thread(void *context)
{
	struct reader *reader = context;
	struct reason reason;
	int last = 0;

	while (!*reader->ending && reader->wrong[0] == '\0') {
		int first;
		int rows;

		if (sql_run(reader->sql, "START TRANSACTION", &reason) != OK ||
		    !read_once(reader, &reason)) {
			break;
		}
		first = reader->generation;
		rows = reader->rows;
		reader->whole += rows != 0;
		reader->absent += rows == 0;
		if (rows != 0) {
			reader->news += first != last;
			last = first;
		}
		if (!read_once(reader, &reason) || sql_run(reader->sql, "COMMIT", &reason) != OK) {
			break;
		}
		if (reader->repeatable && (reader->rows != rows || reader->generation != first)) {
			snprintf(reader->wrong, sizeof(reader->wrong),
				 "one transaction saw two generations");
		}
		usleep(1000); /* two cores are also the writer's and the server's */
	}
	sql_close(reader->sql);
	return NULL;
}

static void a_reader_sees_a_whole_zone_in_every_statement(void **state)
{
	enum { REWRITES = 1000 };
	struct given given = save("rewritten.test", 1, 1, content(1));
	_Atomic bool ending = false;
	struct reader readers[2] = {{.ending = &ending}, {.ending = &ending, .repeatable = true}};
	void *backend = open_backend();
	pthread_t threads[2];

	(void)state;
	must_apply(backend, &given);
	for (int i = 0; i < 2; i++) {
		readers[i].sql = sql_create(&root);
		assert_int_equal(sql_open(readers[i].sql, 0, &why), OK);
		if (readers[i].repeatable) {
			assert_int_equal(sql_run(readers[i].sql,
						 "SET SESSION TRANSACTION ISOLATION LEVEL"
						 " REPEATABLE READ",
						 &why),
					 OK);
		}
		snprintf(readers[i].select, sizeof(readers[i].select),
			 "SELECT type, %s FROM records WHERE %s", data, of(&given));
		pthread_create(&threads[i], NULL, read_in_thread, &readers[i]);
	}
	for (int i = 2; i < REWRITES; i++) {
		struct given next = i % 100 == 0
					    ? gone("rewritten.test", i)
					    : save("rewritten.test", i, (uint32_t)i, content(i));

		must_apply(backend, &next);
		drop(&next);
	}
	ending = true;
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < 2; i++) {
		assert_string_equal(readers[i].wrong, "");
		assert_true(readers[i].news > 50); /* it looked often enough to matter */
		sql_destroy(readers[i].sql);
	}
	database_ops.close(backend);
	drop(&given);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_BOTH(a_zone_too_wide_for_a_column_fails_alone),
		IN_BOTH(a_zone_that_the_database_would_cut_fails_alone),
		IN_BOTH(a_record_larger_than_a_packet_fails_alone),
		IN_BOTH(a_zone_that_a_trigger_refuses_fails_alone),
		IN(a_zone_whose_rows_somebody_locked_fails_alone, powerdns),
		IN(a_zone_whose_version_somebody_locked_fails_alone, coredns),
		IN(locks_on_all_rows_are_the_databases_trouble, coredns),
		IN_BOTH(rows_that_do_not_add_up_are_not_committed),
		IN_BOTH(a_new_zone_with_a_row_of_somebody_else_is_not_committed),
		IN_BOTH(a_database_that_is_read_only_is_away),
		IN(a_database_that_a_backup_has_locked_is_away, powerdns),
		IN(a_database_that_is_full_is_away, coredns),
		IN_BOTH(an_account_that_lost_a_privilege_is_away),
		IN_BOTH(a_killed_connection_is_away_and_then_fine),
		IN_BOTH(a_commit_that_does_not_come_back_is_asked_again),
		IN_BOTH(a_new_and_a_deleted_zone_outlive_a_lost_commit),
		IN_BOTH(killed_at_any_mark_nothing_is_torn_and_the_replay_ends_right),
		IN_BOTH(a_deadlock_is_repeated),
		IN_BOTH(two_members_with_crossing_versions_end_with_the_highest),
		IN_BOTH(a_reader_sees_a_whole_zone_in_every_statement),
	};

	if (argc == 7) {
		return child(argv);
	}
	self = argv[0];
	cmocka_set_test_filter(argc == 2 ? argv[1] : NULL);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
