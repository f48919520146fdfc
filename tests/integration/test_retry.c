/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule of refused zones in a real Redis: what its scripts promise. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/retry.h"

#define WAIT_MS 5000
#define LEASE_MS 60000

static char folder[] = "/tmp/dadns-retry-XXXXXX";
static char url[128];
static pid_t server;
static struct redis_config config = {.url = url, .password = "", .timeout_ms = 1000};
static struct redis *redis;

static void run(const char *words[], size_t count, struct redis_value *out)
{
	struct span arguments[8];
	struct reason why;

	for (size_t i = 0; i < count; i++) {
		arguments[i] = span_of(words[i]);
	}
	if (redis_run(redis, arguments, count, WAIT_MS, out, &why) != OK) {
		fail_msg("%s: %s", words[0], why.text);
	}
}
#define RUN(out, ...)                                                                              \
	run((const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
	    out)

static int start(void **state)
{
	char socket[96];
	int64_t until_ms = clock_ms() + 20000;
	struct span ping = span_of("PING");
	struct redis_value value;
	struct reason why;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(socket, sizeof(socket), "%s/socket", folder);
	(void)snprintf(url, sizeof(url), "redis+unix://%s", socket);
	server = fork();
	if (server == 0) {
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket,
		       "--dir", folder, "--save", "", "--logfile", "log", NULL);
		_exit(127);
	}
	assert_int_equal(redis_create(&config, &redis, &why), OK);
	while (redis_run(redis, &ping, 1, 200, &value, &why) != OK) {
		if (clock_ms() > until_ms) {
			fail_msg("redis-server: %s", why.text);
		}
		usleep(20000);
	}
	return 0;
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	redis_destroy(redis);
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static int wipe(void **state)
{
	struct redis_value value;

	(void)state;
	RUN(&value, "FLUSHALL");
	return 0;
}

static void ask(struct retry_command *command, struct redis_value *out)
{
	struct reason why;

	if (redis_run(redis, command->arguments, command->count, WAIT_MS, out, &why) != OK) {
		fail_msg("%s", why.text);
	}
	retry_command_finish(command);
}

static struct name name_of(const char *text)
{
	struct name name;
	struct reason why;

	assert_int_equal(name_parse(span_of(text), &name, &why), OK);
	return name;
}

static enum retry_saved save_entry(const char *zone, struct version version, int64_t attempt,
				   bool dead, int64_t delay_ms, bool if_there)
{
	struct retry_event entry = {.backend = "ns1",
				    .zone = name_of(zone),
				    .version = version,
				    .topic = TOPIC_ZONES,
				    .partition = 7,
				    .offset = version.offset + 100,
				    .attempt = attempt,
				    .dead = dead,
				    .first_failed_at_ms = 1795271457123,
				    .reason = "too many records"};
	struct retry_command command;
	struct redis_value value;
	enum retry_saved saved;
	struct reason why;

	retry_save(&command, &entry, delay_ms, if_there);
	ask(&command, &value);
	assert_int_equal(retry_saved(&value, &saved, &why), OK);
	return saved;
}

static enum retry_saved save(const char *zone, int64_t offset, int64_t attempt, int64_t delay_ms)
{
	return save_entry(zone, (struct version){1795271400000, offset}, attempt, false, delay_ms,
			  false);
}

static int64_t drop(const char *zone, int64_t epoch, int64_t offset)
{
	struct retry_command command;
	struct redis_value value;
	struct name name = name_of(zone);

	retry_drop(&command, "ns1", 7, &name, (struct version){epoch, offset});
	ask(&command, &value);
	return value.number;
}

/* What is taken: "ZONE/OFFSET/ATTEMPT ..." */
static const char *take(int64_t limit, int64_t lease_ms, struct retry_taken *out)
{
	static char text[400];
	struct retry_command command;
	struct redis_value value;
	struct reason why;
	size_t len = 0;

	retry_take(&command, "ns1", 7, limit, lease_ms);
	ask(&command, &value);
	assert_int_equal(retry_taken(&value, out, &why), OK);
	text[0] = '\0';
	for (size_t i = 0; i < out->count; i++) {
		struct retry_event entry;

		assert_int_equal(retry_event_decode(out->entries[i].text, &entry, &why), OK);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s/%d/%d",
					i == 0 ? "" : " ", entry.zone.text,
					(int)entry.version.offset, (int)entry.attempt);
		retry_event_finish(&entry);
	}
	return text;
}

static void an_entry_is_taken_when_it_is_due_and_leased(void **unused)
{
	struct retry_taken taken;

	(void)unused;
	assert_int_equal(save("a.example", 1, 1, 60000), RETRY_SAVED);
	assert_int_equal(save("b.example", 2, 1, 0), RETRY_SAVED);
	assert_string_equal(take(64, LEASE_MS, &taken), "b.example/2/1");
	assert_int_equal(taken.waiting, 2);
	assert_string_equal(take(64, LEASE_MS, &taken), "");
	assert_int_equal(taken.waiting, 2);
}

static void a_lease_ends(void **unused)
{
	struct retry_taken taken;

	(void)unused;
	(void)save("a.example", 1, 1, 0);
	assert_string_equal(take(64, 50, &taken), "a.example/1/1");
	usleep(80000);
	assert_string_equal(take(64, 50, &taken), "a.example/1/1");
}

static void nothing_is_taken_while_the_limit_is_zero(void **unused)
{
	struct retry_taken taken;

	(void)unused;
	(void)save("a.example", 1, 1, 0);
	assert_string_equal(take(0, LEASE_MS, &taken), "");
	assert_int_equal(taken.waiting, 1);
	assert_string_equal(take(1, LEASE_MS, &taken), "a.example/1/1");
}

static void an_older_version_never_replaces_a_newer_one(void **unused)
{
	struct retry_taken taken;

	(void)unused;
	assert_int_equal(save("a.example", 5, 1, 0), RETRY_SAVED);
	assert_int_equal(save("a.example", 4, 9, 0), RETRY_KEPT);
	assert_int_equal(
		save_entry("a.example", (struct version){1795271399999, 900}, 1, false, 0, false),
		RETRY_KEPT);
	assert_string_equal(take(64, LEASE_MS, &taken), "a.example/5/1");
	assert_int_equal(save("a.example", 6, 1, 0), RETRY_SAVED);
	assert_string_equal(take(64, LEASE_MS, &taken), "a.example/6/1");
	assert_int_equal(
		save_entry("a.example", (struct version){1795271400001, 0}, 1, false, 0, false),
		RETRY_SAVED);
	assert_string_equal(take(64, LEASE_MS, &taken), "a.example/0/1");
}

static void a_replay_uses_up_no_tries_and_moves_no_pause(void **unused)
{
	struct retry_taken taken;

	(void)unused;
	assert_int_equal(save("a.example", 5, 3, 60000), RETRY_SAVED);
	assert_int_equal(save("a.example", 5, 1, 0), RETRY_KEPT);
	assert_int_equal(save("a.example", 5, 3, 0), RETRY_KEPT); /* asked twice */
	assert_string_equal(take(64, LEASE_MS, &taken), "");
	assert_int_equal(save("a.example", 5, 4, 0), RETRY_SAVED);
	assert_string_equal(take(64, LEASE_MS, &taken), "a.example/5/4");
}

static void what_was_dropped_while_it_was_tried_does_not_come_back(void **unused)
{
	struct version version = {1795271400000, 5};
	struct retry_taken taken;

	(void)unused;
	(void)save("a.example", 5, 1, 0);
	assert_int_equal(save_entry("a.example", version, 2, false, 0, true), RETRY_SAVED);
	assert_string_equal(take(64, LEASE_MS, &taken), "a.example/5/2");
	assert_int_equal(drop("a.example", 1795271400000, 5), 1);
	assert_int_equal(save_entry("a.example", version, 3, false, 0, true), RETRY_KEPT);
	assert_string_equal(take(64, LEASE_MS, &taken), "");
	assert_int_equal(taken.waiting, 0);
}

static void a_dead_entry_is_not_tried_nor_recorded_again(void **unused)
{
	struct version version = {1795271400000, 5};
	struct retry_taken taken;

	(void)unused;
	assert_int_equal(save("a.example", 5, 6, 0), RETRY_SAVED);
	assert_int_equal(save_entry("a.example", version, 6, true, 0, false), RETRY_SAVED);
	assert_string_equal(take(64, LEASE_MS, &taken), "");
	assert_int_equal(taken.waiting, 0);
	assert_int_equal(taken.dead, 1);
	assert_int_equal(save("a.example", 5, 1, 0), RETRY_DEAD);
	assert_int_equal(save("a.example", 5, 7, 0), RETRY_DEAD);
	assert_int_equal(save("a.example", 4, 1, 0), RETRY_KEPT);

	/* what was dropped or replaced while it died does not come back */
	assert_int_equal(drop("a.example", 1795271400000, 5), 1);
	assert_int_equal(save_entry("a.example", version, 6, true, 0, true), RETRY_KEPT);
	(void)save("a.example", 6, 1, 60000);
	assert_int_equal(save_entry("a.example", version, 6, true, 0, true), RETRY_KEPT);
	assert_int_equal(drop("a.example", 1795271400000, 6), 1);
	(void)save("a.example", 5, 6, 60000);
	assert_int_equal(save_entry("a.example", version, 6, true, 0, true), RETRY_SAVED);
	(void)take(64, LEASE_MS, &taken);
	assert_int_equal(taken.waiting, 0);
	assert_int_equal(taken.dead, 1);

	/* a newer version begins anew */
	assert_int_equal(save("a.example", 6, 1, 0), RETRY_SAVED);
	assert_string_equal(take(64, LEASE_MS, &taken), "a.example/6/1");
	assert_int_equal(taken.dead, 0);
}

static void what_is_applied_ends_the_tries_of_older_versions_only(void **unused)
{
	struct retry_taken taken;

	(void)unused;
	(void)save("a.example", 5, 1, 0);
	assert_int_equal(drop("a.example", 1795271400000, 4), 0);
	assert_int_equal(drop("a.example", 1795271399999, 9), 0);
	assert_int_equal(drop("a.example", 1795271400000, 5), 1);
	assert_string_equal(take(64, LEASE_MS, &taken), "");
	assert_int_equal(taken.waiting, 0);
	assert_int_equal(drop("a.example", 1795271400000, 5), 0);
	(void)save_entry("a.example", (struct version){1795271400000, 5}, 6, true, 0, false);
	assert_int_equal(drop("a.example", 1795271400000, 6), 1);
	(void)take(64, LEASE_MS, &taken);
	assert_int_equal(taken.dead, 0);
}

static void what_nobody_of_us_wrote_is_overwritten(void **unused)
{
	static const char *const texts[] = {
		"",
		"no JSON",
		"7",
		"{}",
		"{\"version\":{}}",
		"{\"version\":{\"epoch\":1,\"offset\":\"x\"},\"attempt\":1}"};
	struct retry_taken taken;
	struct redis_value value;

	(void)unused;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		RUN(&value, "HSET", "dadns:retry:ns1:7", "a.example", texts[i]);
		assert_int_equal(save("a.example", 5, 1, 0), RETRY_SAVED);
		assert_string_equal(take(64, LEASE_MS, &taken), "a.example/5/1");
	}
	RUN(&value, "ZADD", "dadns:retry:ns1:7:due", "0", "nobody.example");
	assert_string_equal(take(64, LEASE_MS, &taken), "");
	(void)take(64, LEASE_MS, &taken);
	assert_int_equal(taken.waiting, 1);
}

static int64_t complete(const char *token)
{
	struct retry_command command;
	struct redis_value value;

	retry_complete(&command, "ns1", 7, token);
	ask(&command, &value);
	return value.number;
}

static void a_wiped_redis_says_so_until_all_is_back(void **state)
{
	struct retry_command command;
	struct retry_taken taken;
	struct redis_value value;

	(void)take(0, 0, &taken);
	assert_false(taken.complete);
	retry_begin(&command, "ns1", 7, "me");
	ask(&command, &value);
	(void)take(0, 0, &taken);
	assert_false(taken.complete);
	assert_int_equal(complete("somebody-else"), 0);
	assert_int_equal(complete("me"), 1);
	(void)take(0, 0, &taken);
	assert_true(taken.complete);

	/* I12: wiped again in the middle of it: what was saved so far is gone, so it is not
	 * complete */
	retry_begin(&command, "ns1", 7, "me");
	ask(&command, &value);
	(void)wipe(state);
	assert_int_equal(complete("me"), 0);
	(void)take(0, 0, &taken);
	assert_false(taken.complete);
}

static void operators_see_all_and_hurry_what_waits(void **unused)
{
	struct name zone = name_of("a.example");
	struct name dead = name_of("c.example");
	char backend[EVENT_BACKEND_MAX + 1];
	struct retry_command command;
	struct retry_taken taken;
	struct redis_value value;
	int32_t partition;
	int found = 0;

	(void)unused;
	(void)save("a.example", 5, 1, 60000);
	(void)save("b.example", 6, 2, 60000);
	(void)save_entry("c.example", (struct version){1795271400000, 7}, 6, true, 0, false);
	retry_list(&command, "ns1", 7);
	ask(&command, &value);
	assert_int_equal(value.count, 3);
	for (size_t i = 0; i < value.count; i++) {
		const struct redis_value *pair = value.items[i].items;
		int64_t ms = strtoll(pair[1].text.data, NULL, 10);

		assert_int_equal(value.items[i].count, 2);
		if (strstr(pair[0].text.data, "c.example") != NULL) {
			assert_int_equal(pair[1].text.len, 0);
		} else {
			assert_true(ms > 50000 && ms <= 60000);
		}
	}
	retry_scan(&command, span_of("0"));
	ask(&command, &value);
	for (size_t i = 0; i < value.items[1].count; i++) {
		found += retry_key_parse(value.items[1].items[i].text, backend, &partition);
	}
	assert_int_equal(found, 1);

	retry_now(&command, "ns1", 7, &zone);
	ask(&command, &value);
	assert_int_equal(value.number, 1);
	assert_string_equal(take(64, LEASE_MS, &taken), "a.example/5/1");
	retry_now(&command, "ns1", 7, &dead);
	ask(&command, &value);
	assert_int_equal(value.number, 0);
	assert_string_equal(take(64, LEASE_MS, &taken), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_entry_is_taken_when_it_is_due_and_leased, wipe),
		cmocka_unit_test_setup(a_lease_ends, wipe),
		cmocka_unit_test_setup(nothing_is_taken_while_the_limit_is_zero, wipe),
		cmocka_unit_test_setup(an_older_version_never_replaces_a_newer_one, wipe),
		cmocka_unit_test_setup(a_replay_uses_up_no_tries_and_moves_no_pause, wipe),
		cmocka_unit_test_setup(what_was_dropped_while_it_was_tried_does_not_come_back,
				       wipe),
		cmocka_unit_test_setup(a_dead_entry_is_not_tried_nor_recorded_again, wipe),
		cmocka_unit_test_setup(what_is_applied_ends_the_tries_of_older_versions_only, wipe),
		cmocka_unit_test_setup(what_nobody_of_us_wrote_is_overwritten, wipe),
		cmocka_unit_test_setup(a_wiped_redis_says_so_until_all_is_back, wipe),
		cmocka_unit_test_setup(operators_see_all_and_hurry_what_waits, wipe),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
