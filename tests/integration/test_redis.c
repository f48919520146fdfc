/* SPDX-License-Identifier: Apache-2.0 */
/* common/redis.c against a real redis-server of its own, which is frozen, killed and started again.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/redis.h"
#include "tests/lib/redis_server.h"

#define WAIT_MS 5000

static struct redis_server server;

static struct redis_config config_of(const char *url)
{
	return (struct redis_config){.url = url, .password = "", .timeout_ms = 1000};
}

static struct redis *client_of(const struct redis_config *config)
{
	struct redis *redis;
	struct reason why;

	assert_int_equal(redis_create(config, &redis, &why), OK);
	return redis;
}

/* Words of a command, NULL at its end. */
static size_t spans_of(va_list words, struct span *out)
{
	const char *word;
	size_t count = 0;

	while ((word = va_arg(words, const char *)) != NULL) {
		out[count++] = span_of(word);
	}
	return count;
}

static void ask(struct redis *redis, int64_t timeout_ms, size_t ticket, ...)
{
	struct span arguments[16];
	va_list words;
	size_t count;

	va_start(words, ticket);
	count = spans_of(words, arguments);
	va_end(words);
	redis_ask(redis, arguments, count, timeout_ms, (void *)ticket);
}

static enum outcome run(struct redis *redis, struct redis_value *out, struct reason *why, ...)
{
	struct span arguments[16];
	va_list words;
	size_t count;

	va_start(words, why);
	count = spans_of(words, arguments);
	va_end(words);
	return redis_run(redis, arguments, count, WAIT_MS, out, why);
}

static void next(struct redis *redis, struct redis_answer *out)
{
	int64_t until_ms = clock_ms() + WAIT_MS * 2;

	while (!redis_next(redis, out)) {
		assert_true(clock_ms() < until_ms);
		redis_work(redis, 100, -1);
	}
}

static void await_up(struct redis *redis, bool up)
{
	int64_t until_ms = clock_ms() + WAIT_MS * 2;

	while (redis_is_up(redis) != up) {
		assert_true(clock_ms() < until_ms);
		redis_work(redis, 20, -1);
	}
}

static void assert_text(const struct redis_value *value, const char *text)
{
	assert_int_equal(value->kind, REDIS_TEXT);
	assert_int_equal(value->text.len, strlen(text));
	assert_memory_equal(value->text.data, text, value->text.len);
}

static void assert_says(const struct reason *why, const char *text)
{
	if (strstr(why->text, text) == NULL) {
		fail_msg("\"%s\" says nothing of %s", why->text, text);
	}
}

static int set_up(void **state)
{
	(void)state;
	redis_server_create(&server);
	redis_server_start(&server);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	redis_server_destroy(&server);
	return 0;
}

static int flush(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_value value;
	struct reason why;

	(void)state;
	if (run(redis, &value, &why, "FLUSHALL", NULL) != OK) {
		fail_msg("%s", why.text);
	}
	redis_destroy(redis);
	return 0;
}

static void answers_come_in_the_order_of_the_questions(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_answer answer;
	char text[32];

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "value %zu", i);
		if (i % 3 == 0) {
			ask(redis, WAIT_MS, i, "SET", "key", text, NULL);
		} else {
			ask(redis, WAIT_MS, i, "ECHO", text, NULL);
		}
	}
	assert_int_equal(redis_in_flight(redis), 5000);
	for (size_t i = 0; i < 5000; i++) {
		next(redis, &answer);
		assert_int_equal(answer.outcome, OK);
		assert_int_equal((size_t)answer.ticket, i);
		snprintf(text, sizeof(text), "value %zu", i);
		assert_text(&answer.value, i % 3 == 0 ? "OK" : text);
	}
	assert_int_equal(redis_in_flight(redis), 0);
	assert_false(redis_next(redis, &answer));
	redis_destroy(redis);
}

static void every_kind_of_answer_is_read_and_lists_nest(void **state)
{
	static const char script[] = "return {1, {'two', {3, {}, {false, {'deep'}}}}, "
				     "redis.error_reply('ERR four'), 'five'}";
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	const struct redis_value *items;
	struct redis_value value;
	struct reason why;

	(void)state;
	assert_int_equal(run(redis, &value, &why, "GET", "nothing", NULL), OK);
	assert_int_equal(value.kind, REDIS_NIL);
	assert_int_equal(run(redis, &value, &why, "DECR", "number", NULL), OK);
	assert_int_equal(value.kind, REDIS_NUMBER);
	assert_int_equal(value.number, -1);
	assert_int_equal(run(redis, &value, &why, "LRANGE", "nothing", "0", "-1", NULL), OK);
	assert_int_equal(value.kind, REDIS_LIST);
	assert_int_equal(value.count, 0);
	assert_int_equal(run(redis, &value, &why, "EVAL", script, "0", NULL), OK);
	assert_int_equal(value.kind, REDIS_LIST);
	assert_int_equal(value.count, 4);
	items = value.items;
	assert_int_equal(items[0].number, 1);
	assert_int_equal(items[2].kind, REDIS_ERROR);
	assert_true(span_is(items[2].text, "ERR four"));
	assert_text(&items[3], "five");
	assert_int_equal(items[1].count, 2);
	assert_text(&items[1].items[0], "two");
	items = items[1].items[1].items;
	assert_int_equal(items[0].number, 3);
	assert_int_equal(items[1].kind, REDIS_LIST);
	assert_int_equal(items[1].count, 0);
	assert_int_equal(items[2].items[0].kind, REDIS_NIL);
	assert_text(&items[2].items[1].items[0], "deep");
	redis_destroy(redis);
}

static void bytes_come_back_as_they_went_also_many_and_nul(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	size_t len = 9 * 1024 * 1024 + 7;
	char *bytes = xmalloc(len);
	struct span set[3] = {span_of("SET"), {"zone\0\r\n", 7}, {bytes, len}};
	struct span get[2] = {span_of("GET"), {"zone\0\r\n", 7}};
	struct span empty[3] = {span_of("SET"), span_of("empty"), SPAN_EMPTY};
	struct redis_value value;
	struct reason why;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		bytes[i] = (char)(i * 2654435761u >> 13);
	}
	assert_int_equal(redis_run(redis, set, 3, WAIT_MS, &value, &why), OK);
	assert_int_equal(redis_run(redis, get, 2, WAIT_MS, &value, &why), OK);
	assert_int_equal(value.text.len, len);
	assert_memory_equal(value.text.data, bytes, len);
	get[1] = span_of("zone");
	assert_int_equal(redis_run(redis, get, 2, WAIT_MS, &value, &why), OK);
	assert_int_equal(value.kind, REDIS_NIL);
	assert_int_equal(redis_run(redis, empty, 3, WAIT_MS, &value, &why), OK);
	get[1] = span_of("empty");
	assert_int_equal(redis_run(redis, get, 2, WAIT_MS, &value, &why), OK);
	assert_text(&value, "");
	free(bytes);
	redis_destroy(redis);
}

static void thousands_of_large_commands_may_be_in_flight(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	char *bytes = xcalloc(1, 100000);
	struct redis_answer answer;
	int64_t began_ms = clock_ms();

	(void)state;
	memset(bytes, 'z', 99999);
	for (size_t i = 0; i < 2000; i++) { /* 200 MB, of which Redis keeps 100 kB */
		ask(redis, 60000, i, "SET", "large", bytes, NULL);
	}
	for (size_t i = 0; i < 2000; i++) {
		next(redis, &answer);
		assert_int_equal(answer.outcome, OK);
		assert_int_equal((size_t)answer.ticket, i);
	}
	assert_true(clock_ms() - began_ms < 30000);
	free(bytes);
	redis_destroy(redis);
}

static void what_redis_refuses_is_an_answer_and_the_rest_goes_on(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_answer answer;
	struct redis_value value;
	struct reason why;

	(void)state;
	ask(redis, WAIT_MS, 1, "SET", "text", "abc", NULL);
	ask(redis, WAIT_MS, 2, "LPUSH", "text", "abc", NULL);
	ask(redis, WAIT_MS, 3, "NOSUCHTHING", NULL);
	ask(redis, WAIT_MS, 4, "GET", "text", NULL);
	for (size_t i = 1; i <= 4; i++) {
		next(redis, &answer);
		assert_int_equal((size_t)answer.ticket, i);
		assert_int_equal(answer.outcome, OK);
		assert_int_equal(answer.value.kind, i == 2 || i == 3 ? REDIS_ERROR : REDIS_TEXT);
		if (i == 2) {
			assert_memory_equal(answer.value.text.data, "WRONGTYPE", 9);
		}
	}
	assert_int_equal(run(redis, &value, &why, "LPUSH", "text", "abc", NULL), TEMPFAIL);
	assert_says(&why, "WRONGTYPE");
	assert_true(redis_is_up(redis));
	redis_destroy(redis);
}

static void multi_and_exec_give_the_answers_of_all_in_one_list(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_answer answer;

	(void)state;
	ask(redis, WAIT_MS, 1, "MULTI", NULL);
	ask(redis, WAIT_MS, 2, "RPUSH", "held", "one", "two", NULL);
	ask(redis, WAIT_MS, 3, "INCRBY", "bytes", "6", NULL);
	ask(redis, WAIT_MS, 4, "LRANGE", "held", "0", "-1", NULL);
	ask(redis, WAIT_MS, 5, "EXEC", NULL);
	for (size_t i = 1; i <= 5; i++) {
		next(redis, &answer);
		assert_int_equal((size_t)answer.ticket, i);
		if (i < 5) {
			assert_text(&answer.value, i == 1 ? "OK" : "QUEUED");
		}
	}
	assert_int_equal(answer.value.count, 3);
	assert_int_equal(answer.value.items[0].number, 2);
	assert_int_equal(answer.value.items[1].number, 6);
	assert_text(&answer.value.items[2].items[1], "two");
	redis_destroy(redis);
}

static void a_script_gets_its_keys_and_arguments(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_value value;
	struct reason why;

	(void)state;
	assert_int_equal(
		run(redis, &value, &why, "EVAL",
		    "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[2])", "2",
		    "a", "a", "thing", NULL),
		OK);
	assert_text(&value, "thing");
	assert_int_equal(run(redis, &value, &why, "EVAL", "return nonsense(", "0", NULL), TEMPFAIL);
	assert_says(&why, "Error compiling script");
	redis_destroy(redis);
}

static void a_late_answer_is_never_given_to_another_question(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_answer answer;
	int64_t began_ms;

	(void)state;
	await_up(redis, true);
	/* The first takes long; its deadline passes, the second's does not. */
	ask(redis, 100, 1, "BLPOP", "nothing", "0.9", NULL);
	ask(redis, WAIT_MS, 2, "ECHO", "second", NULL);
	began_ms = clock_ms();
	next(redis, &answer);
	assert_int_equal((size_t)answer.ticket, 1);
	assert_int_equal(answer.outcome, TEMPFAIL);
	assert_says(&answer.why, "did not answer in time");
	assert_in_range(clock_ms() - began_ms, 90, 890);
	ask(redis, WAIT_MS, 3, "ECHO", "third", NULL);
	next(redis, &answer);
	assert_int_equal((size_t)answer.ticket, 2);
	assert_text(&answer.value, "second");
	next(redis, &answer);
	assert_int_equal((size_t)answer.ticket, 3);
	assert_text(&answer.value, "third");
	assert_int_equal(redis_in_flight(redis), 0);
	assert_true(redis_is_up(redis));
	redis_destroy(redis);
}

static void who_was_busy_elsewhere_finds_his_answers(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_answer answer;

	(void)state;
	config.timeout_ms = 50;
	ask(redis, 500, 1, "ECHO", "before the connection", NULL);
	usleep(100000);
	next(redis, &answer);
	assert_text(&answer.value, "before the connection");
	for (size_t i = 0; i < 1000; i++) {
		ask(redis, 200, i, "ECHO", "sent", NULL);
	}
	while (redis_in_flight(redis) == 1000) {
		redis_work(redis, 1, -1);
		if (redis_next(redis, &answer)) {
			break;
		}
	}
	usleep(300000);
	for (size_t i = 1; i < 1000; i++) {
		next(redis, &answer);
		assert_int_equal((size_t)answer.ticket, i);
		assert_int_equal(answer.outcome, OK);
	}
	redis_destroy(redis);
}

static void a_frozen_redis_costs_its_deadline_then_nothing_until_it_is_back(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_answer answer;
	struct redis_value value;
	struct reason why;
	int64_t began_ms;

	(void)state;
	config.timeout_ms = 300;
	await_up(redis, true);
	redis_server_kill(&server, SIGSTOP);
	began_ms = clock_ms();
	ask(redis, 200, 1, "INCR", "counted", NULL);
	next(redis, &answer);
	assert_int_equal(answer.outcome, TEMPFAIL);
	assert_in_range(clock_ms() - began_ms, 190, 1400);
	await_up(redis, false); /* it does not answer any more */
	assert_in_range(clock_ms() - began_ms, 1000, 4000);
	began_ms = clock_ms();
	ask(redis, WAIT_MS, 2, "INCR", "counted", NULL);
	next(redis, &answer);
	assert_int_equal((size_t)answer.ticket, 2);
	assert_int_equal(answer.outcome, TEMPFAIL);
	assert_says(&answer.why, "is away");
	assert_in_range(clock_ms() - began_ms, 0, 2000);
	redis_server_kill(&server, SIGCONT);
	await_up(redis, true);
	/* The first was sent, once; the second never. */
	assert_int_equal(run(redis, &value, &why, "GET", "counted", NULL), OK);
	assert_text(&value, "1");
	redis_destroy(redis);
}

/* 8 MB do not fit into the sockets: of the second nothing has gone when its time is over. */
static void what_has_not_gone_when_its_time_is_over_never_goes(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	char *bytes = xcalloc(1, 16000000);
	struct redis_answer answer;
	struct redis_value value;
	struct reason why;

	(void)state;
	memset(bytes, 'z', 15999999);
	await_up(redis, true);
	redis_server_kill(&server, SIGSTOP);
	ask(redis, WAIT_MS, 1, "SET", "large", bytes, NULL);
	ask(redis, 300, 2, "SET", "late", "yes", NULL);
	next(redis, &answer);
	assert_int_equal((size_t)answer.ticket, 2);
	assert_int_equal(answer.outcome, TEMPFAIL);
	redis_server_kill(&server, SIGCONT);
	next(redis, &answer);
	assert_int_equal((size_t)answer.ticket, 1);
	assert_int_equal(answer.outcome, OK);
	assert_int_equal(run(redis, &value, &why, "EXISTS", "late", NULL), OK);
	assert_int_equal(value.number, 0);
	free(bytes);
	redis_destroy(redis);
}

static void a_killed_redis_fails_what_is_in_flight_at_once_and_is_found_again(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_answer answer;
	struct redis_value value;
	struct reason why;
	int64_t began_ms;

	(void)state;
	await_up(redis, true);
	for (size_t i = 0; i < 100; i++) {
		ask(redis, WAIT_MS, i, "BLPOP", "nothing", "0", NULL);
	}
	redis_work(redis, 50, -1);
	began_ms = clock_ms();
	redis_server_kill(&server, SIGKILL);
	for (size_t i = 0; i < 100; i++) {
		next(redis, &answer);
		assert_int_equal((size_t)answer.ticket, i);
		assert_int_equal(answer.outcome, TEMPFAIL);
		assert_says(&answer.why, "is away");
	}
	assert_int_equal(run(redis, &value, &why, "PING", NULL), TEMPFAIL);
	while (strstr(why.text, "refused") == NULL) { /* it was tried again meanwhile */
		assert_true(clock_ms() - began_ms < WAIT_MS);
		redis_work(redis, 20, -1);
		assert_int_equal(run(redis, &value, &why, "PING", NULL), TEMPFAIL);
	}
	assert_says(&why, server.url + strlen("redis://"));
	redis_server_start(&server);
	began_ms = clock_ms();
	await_up(redis, true);
	assert_true(clock_ms() - began_ms < 3000);
	assert_int_equal(run(redis, &value, &why, "PING", NULL), OK);
	redis_destroy(redis);
}

static void a_client_may_be_there_before_redis(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_value value;
	struct reason why;

	(void)state;
	redis_server_kill(&server, SIGTERM);
	assert_int_equal(run(redis, &value, &why, "PING", NULL), TEMPFAIL);
	assert_says(&why, "Connection refused");
	redis_server_start(&server);
	await_up(redis, true);
	assert_int_equal(run(redis, &value, &why, "PING", NULL), OK);
	redis_destroy(redis);
}

static void a_socket_and_a_database_may_be_named(void **state)
{
	char url[128];
	struct redis_config config = config_of(url);
	struct redis_value value;
	struct redis *redis;
	struct reason why;

	(void)state;
	snprintf(url, sizeof(url), "redis+unix://%s?db=7", server.socket);
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "SET", "where", "seven", NULL), OK);
	redis_destroy(redis);
	snprintf(url, sizeof(url), "%s/7", server.url);
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "GET", "where", NULL), OK);
	assert_text(&value, "seven");
	redis_destroy(redis);
	snprintf(url, sizeof(url), "%s", server.url);
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "GET", "where", NULL), OK);
	assert_int_equal(value.kind, REDIS_NIL);
	redis_destroy(redis);
	snprintf(url, sizeof(url), "redis+unix://%s/none", server.folder);
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "PING", NULL), TEMPFAIL);
	assert_says(&why, "No such file");
	redis_destroy(redis);
}

/* Nothing is written to database 0 by who was sent to another. */
static void nothing_is_sent_before_the_database_is_the_right_one(void **state)
{
	char url[128];
	struct redis_config config = config_of(url);
	struct redis_value value;
	struct redis *redis;
	struct reason why;

	(void)state;
	snprintf(url, sizeof(url), "%s/99", server.url);
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "SET", "astray", "yes", NULL), TEMPFAIL);
	assert_says(&why, "it does not let us in: ERR DB index is out of range");
	redis_destroy(redis);
	snprintf(url, sizeof(url), "%s", server.url);
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "EXISTS", "astray", NULL), OK);
	assert_int_equal(value.number, 0);
	redis_destroy(redis);
}

static void passwords_and_accounts_are_asked_for_and_told_apart(void **state)
{
	struct redis_server locked;
	char url[128];
	struct redis_config config = config_of(url);
	struct redis_value value;
	struct redis *redis;
	struct reason why;

	(void)state;
	redis_server_create(&locked);
	locked.options[0] = "--requirepass";
	locked.options[1] = "sesame";
	redis_server_start(&locked);
	snprintf(url, sizeof(url), "%s", locked.url);
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "PING", NULL), TEMPFAIL);
	assert_says(&why, "it does not let us in: NOAUTH");
	redis_destroy(redis);

	config.password = "simsalabim";
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "PING", NULL), TEMPFAIL);
	assert_says(&why, "it does not let us in: WRONGPASS");
	assert_null(strstr(why.text, "simsalabim"));
	assert_false(redis_is_up(redis));
	redis_destroy(redis);

	config.password = "sesame";
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "ACL", "SETUSER", "writer", "on", ">pass word",
			     "~dadns:*", "-@all", "+get", "+set", NULL),
			 OK);
	redis_destroy(redis);

	/* An account that may do next to nothing, not even PING. */
	snprintf(url, sizeof(url), "redis://writer@127.0.0.1:%d", locked.port);
	config.password = "pass word";
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "SET", "dadns:a", "b", NULL), OK);
	assert_int_equal(run(redis, &value, &why, "SET", "other", "b", NULL), TEMPFAIL);
	assert_says(&why, "NOPERM");
	redis_destroy(redis);
	redis_server_destroy(&locked);
}

static void a_redis_that_is_full_of_clients_says_so(void **state)
{
	struct redis_server small;
	struct redis_config config;
	struct redis *clients[4];
	struct redis_value value;
	struct reason why;

	(void)state;
	redis_server_create(&small);
	small.options[0] = "--maxclients";
	small.options[1] = "3";
	redis_server_start(&small);
	config = config_of(small.url);
	for (size_t i = 0; i < 4; i++) {
		clients[i] = client_of(&config);
		assert_int_equal(run(clients[i], &value, &why, "PING", NULL),
				 i < 3 ? OK : TEMPFAIL);
	}
	assert_says(&why, "max number of clients reached");
	for (size_t i = 0; i < 4; i++) {
		redis_destroy(clients[i]);
	}
	redis_server_destroy(&small);
}

/* Half a second of loading: what is asked meanwhile waits for nothing, and nothing is refused. */
static void a_redis_that_loads_its_data_is_away_until_it_serves(void **state)
{
	static const char fill[] = "for i = 1, 1000 do redis.call('SET', i, i) end return 1";
	struct redis_server slow;
	struct redis_config config;
	struct redis_value value;
	struct redis *redis;
	struct reason why;

	(void)state;
	redis_server_create(&slow);
	slow.options[0] = "--loading-process-events-interval-bytes";
	slow.options[1] = "1024";
	slow.options[2] = "--key-load-delay";
	slow.options[3] = "500";
	redis_server_start(&slow);
	config = config_of(slow.url);
	redis = client_of(&config);
	assert_int_equal(run(redis, &value, &why, "EVAL", fill, "0", NULL), OK);
	assert_int_equal(run(redis, &value, &why, "SAVE", NULL), OK);
	redis_server_kill(&slow, SIGTERM);
	redis_server_start(&slow);
	while (run(redis, &value, &why, "DBSIZE", NULL) != OK) {
		if (strstr(why.text, "LOADING") != NULL) {
			break;
		}
		redis_work(redis, 10, -1);
	}
	assert_says(&why, "is away: it does not let us in: LOADING");
	await_up(redis, true);
	assert_int_equal(run(redis, &value, &why, "DBSIZE", NULL), OK);
	assert_int_equal(value.number, 1000);
	redis_destroy(redis);
	redis_server_destroy(&slow);
}

static void *wake_later(void *argument)
{
	usleep(100000);
	redis_wake(argument);
	return NULL;
}

static void another_thread_and_another_descriptor_end_the_waiting(void **state)
{
	struct redis_config config = config_of(server.url);
	struct redis *redis = client_of(&config);
	struct redis_answer answer;
	pthread_t thread;
	int64_t began_ms;
	int pipes[2];

	(void)state;
	await_up(redis, true);
	ask(redis, WAIT_MS, 1, "BLPOP", "nothing", "0", NULL);
	began_ms = clock_ms();
	assert_int_equal(pthread_create(&thread, NULL, wake_later, redis), 0);
	redis_work(redis, WAIT_MS, -1);
	assert_in_range(clock_ms() - began_ms, 90, 2000);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(redis_next(redis, &answer));

	began_ms = clock_ms(); /* one wake, one waking */
	redis_work(redis, 150, -1);
	assert_in_range(clock_ms() - began_ms, 140, 2000);

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	began_ms = clock_ms();
	redis_work(redis, WAIT_MS, pipes[0]);
	assert_in_range(clock_ms() - began_ms, 0, 1000);
	close(pipes[0]);
	close(pipes[1]);
	redis_destroy(redis);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(answers_come_in_the_order_of_the_questions, flush),
		cmocka_unit_test_setup(every_kind_of_answer_is_read_and_lists_nest, flush),
		cmocka_unit_test_setup(bytes_come_back_as_they_went_also_many_and_nul, flush),
		cmocka_unit_test_setup(thousands_of_large_commands_may_be_in_flight, flush),
		cmocka_unit_test_setup(what_redis_refuses_is_an_answer_and_the_rest_goes_on, flush),
		cmocka_unit_test_setup(multi_and_exec_give_the_answers_of_all_in_one_list, flush),
		cmocka_unit_test_setup(a_script_gets_its_keys_and_arguments, flush),
		cmocka_unit_test_setup(a_late_answer_is_never_given_to_another_question, flush),
		cmocka_unit_test_setup(who_was_busy_elsewhere_finds_his_answers, flush),
		cmocka_unit_test_setup(
			a_frozen_redis_costs_its_deadline_then_nothing_until_it_is_back, flush),
		cmocka_unit_test_setup(what_has_not_gone_when_its_time_is_over_never_goes, flush),
		cmocka_unit_test_setup(
			a_killed_redis_fails_what_is_in_flight_at_once_and_is_found_again, flush),
		cmocka_unit_test_setup(a_client_may_be_there_before_redis, flush),
		cmocka_unit_test_setup(a_socket_and_a_database_may_be_named, flush),
		cmocka_unit_test_setup(nothing_is_sent_before_the_database_is_the_right_one, flush),
		cmocka_unit_test_setup(passwords_and_accounts_are_asked_for_and_told_apart, flush),
		cmocka_unit_test_setup(a_redis_that_loads_its_data_is_away_until_it_serves, flush),
		cmocka_unit_test_setup(a_redis_that_is_full_of_clients_says_so, flush),
		cmocka_unit_test_setup(another_thread_and_another_descriptor_end_the_waiting,
				       flush),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
