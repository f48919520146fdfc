/* SPDX-License-Identifier: Apache-2.0 */
/* Holds against a real Redis of their own and librdkafka's mock cluster: the scripts, the way of a
 * push, the drain. With whole processes and a real Kafka: e2e/42-held-pushes. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/bus.h"
#include "common/clock.h"
#include "common/drain.h"
#include "common/event.h"
#include "common/hold.h"
#include "common/log.h"
#include "services/ingest/holds.h"

#define PARTITIONS 4
#define WAIT_MS 30000
#define PUSHES_MAX 300

static rd_kafka_t *host; /* whom the mock cluster belongs to */
static rd_kafka_mock_cluster_t *cluster;
static struct bus_config bus;
static char folder[] = "/tmp/dadns-redis.XXXXXX";
static char url[96];
static pid_t redis_pid;
static struct redis_config redis_config = {.url = url, .password = "", .timeout_ms = 1000};
static struct redis *redis;

/* --- Redis and Kafka ------------------------------------------------------------------------- */

static struct redis_value run(const struct hold_command *command)
{
	struct redis_value value;
	struct reason why;

	if (redis_run(redis, command->arguments, command->count, 5000, &value, &why) != OK) {
		fail_msg("%.*s: %s", (int)command->arguments[0].len, command->arguments[0].data,
			 why.text);
	}
	return value;
}

static struct redis_value say(const char *words)
{
	struct hold_command command = {0};
	char copy[256];
	char *rest = copy;
	char *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")) != NULL) {
		command.arguments[command.count++] = span_of(word);
	}
	return run(&command);
}

static void start_redis(void)
{
	int64_t until_ms = clock_ms() + WAIT_MS;
	struct span ping = span_of("PING");
	struct redis_value value;
	struct reason why;

	redis_pid = fork();
	if (redis_pid == 0) {
		char socket[96];

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of the test */
		(void)dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
		snprintf(socket, sizeof(socket), "%s/socket", folder);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket,
		       "--dir", folder, "--save", "", "--appendonly", "yes", "--appendfsync",
		       "always", "--loglevel", "warning", NULL);
		_exit(127);
	}
	while (redis_run(redis, &ping, 1, 1000, &value, &why) != OK) {
		if (clock_ms() > until_ms) {
			fail_msg("redis-server: %s", why.text);
		}
		usleep(20000);
	}
}

static void stop_redis(void)
{
	if (redis_pid > 0) {
		(void)kill(redis_pid, SIGTERM);
		(void)waitpid(redis_pid, NULL, 0);
		redis_pid = 0;
	}
}

static int start_servers(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct reason why;
	char error[200];

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN); /* as service.c does */
	log_setup("test", LEVEL_ERROR, false);
	(void)rd_kafka_conf_set(conf, "log_level", "3", error, sizeof(error));
	host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	assert_non_null(host);
	cluster = rd_kafka_mock_cluster_new(host, 1);
	assert_non_null(cluster);
	assert_int_equal(rd_kafka_mock_topic_create(cluster, TOPIC_PUSHES, PARTITIONS, 1), 0);
	bus = (struct bus_config){
		.brokers = rd_kafka_mock_cluster_bootstraps(cluster),
		.client_id = "test",
	};
	assert_non_null(mkdtemp(folder));
	snprintf(url, sizeof(url), "redis+unix://%s/socket", folder);
	assert_int_equal(redis_create(&redis_config, &redis, &why), OK);
	start_redis();
	return 0;
}

static int stop_servers(void **state)
{
	char command[64];

	(void)state;
	redis_destroy(redis);
	stop_redis();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(host);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	(void)say("FLUSHDB");
	assert_int_equal(rd_kafka_mock_broker_set_up(cluster, 1), 0);
	assert_int_equal(rd_kafka_mock_broker_set_rtt(cluster, 1, 0), 0);
	return 0;
}

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

/* --- the scripts ----------------------------------------------------------------------------- */

static struct event_id add(const char *zone, const struct hold_ceilings *ceilings,
			   enum hold_added wanted)
{
	struct name name = name_of(zone);
	struct held_push push = {.id = event_id_create(),
				 .held_at_ms = clock_wall_ms(),
				 .value = span_of("{\"n\":1}")};
	struct buf text = BUF_INIT(1000);
	struct hold_command command;
	struct redis_value value;
	struct reason why;

	held_push_print(&push, &text);
	hold_add(&command, &name, buf_span(&text), push.held_at_ms, ceilings);
	value = run(&command);
	assert_int_equal(hold_was_added(&value, &why), wanted);
	buf_finish(&text);
	return push.id;
}

static struct hold_taken take(const char *token, int64_t lock_ms, const char *zone)
{
	struct hold_taking taking = {.token = token, .lock_ms = lock_ms, .zones = HOLD_TAKE_MAX};
	struct name name;
	struct hold_command command;
	struct hold_taken taken;
	struct redis_value value;
	struct reason why;

	if (zone != NULL) {
		name = name_of(zone);
		taking.zone = &name;
	}
	hold_take(&command, &taking);
	value = run(&command);
	assert_true(hold_was_taken(&value, &taken, &why));
	return taken;
}

static enum hold_popped pop(const char *zone, const char *token, const struct event_id *id,
			    bool more, struct span *next)
{
	struct name name = name_of(zone);
	struct hold_command command;
	struct redis_value value;
	struct reason why;

	hold_pop(&command, &name, token, id, 60000, more);
	value = run(&command);
	return hold_was_popped(&value, next, &why);
}

static bool begins_with(struct span text, const struct event_id *id)
{
	char wanted[EVENT_ID_TEXT_SIZE];

	event_id_text(id, wanted);
	return text.len > strlen(wanted) && memcmp(text.data, wanted, strlen(wanted)) == 0;
}

static bool is_held(const char *zone)
{
	struct name name = name_of(zone);
	struct hold_command command;
	struct redis_value value;
	struct reason why;
	bool held;
	bool mass;

	hold_look(&command, &name);
	value = run(&command);
	assert_true(hold_looked(&value, &held, &mass, &why));
	return held;
}

static void pushes_leave_in_the_order_in_which_they_came(void **state)
{
	struct hold_ceilings ceilings = {.records = 100, .bytes = 100000};
	struct event_id ids[3];
	struct hold_taken taken;
	struct span next;

	(void)state;
	assert_false(is_held("a.example"));
	for (size_t i = 0; i < 3; i++) {
		ids[i] = add("a.example", &ceilings, HOLD_ADDED);
	}
	assert_true(is_held("a.example"));
	taken = take("one", 60000, NULL);
	assert_int_equal(taken.count, 1);
	assert_true(begins_with(taken.items[0].push, &ids[0]));
	assert_int_equal(taken.totals.zones, 1);
	assert_int_equal(taken.totals.records, 3);
	assert_true(taken.totals.oldest_ms > 0);
	assert_int_equal(take("two", 60000, NULL).count, 0); /* it is taken */
	assert_int_equal(pop("a.example", "two", &ids[0], true, &next), HOLD_LOST);
	assert_int_equal(pop("a.example", "one", &ids[1], true, &next), HOLD_POPPED_NEXT);
	assert_true(begins_with(next, &ids[0])); /* that was not the first one: it stays */
	assert_int_equal(pop("a.example", "one", &ids[0], true, &next), HOLD_POPPED_NEXT);
	assert_true(begins_with(next, &ids[1]));
	assert_int_equal(pop("a.example", "one", &ids[1], false, &next), HOLD_POPPED_FREE);
	taken = take("two", 60000, NULL);
	assert_true(begins_with(taken.items[0].push, &ids[2]));
	assert_int_equal(pop("a.example", "two", &ids[2], true, &next), HOLD_POPPED_LAST);
	assert_false(is_held("a.example"));
	assert_int_equal(say("DBSIZE").number, 0);
}

static void a_ceiling_is_never_passed(void **state)
{
	struct hold_ceilings two = {.records = 2, .bytes = 100000};
	struct hold_ceilings small = {.records = 100, .bytes = 150};
	struct event_id first;
	struct span next;

	(void)state;
	first = add("a.example", &two, HOLD_ADDED);
	(void)add("b.example", &two, HOLD_ADDED);
	(void)add("a.example", &two, HOLD_FULL);
	(void)add("b.example", &small, HOLD_FULL);
	assert_int_equal(take("one", 60000, "a.example").count, 1);
	assert_int_equal(pop("a.example", "one", &first, true, &next), HOLD_POPPED_LAST);
	(void)add("b.example", &two, HOLD_ADDED);
	assert_int_equal(take("one", 60000, NULL).totals.records, 2);
}

static void a_lock_expires_and_zones_are_taken_by_name_and_by_page(void **state)
{
	struct hold_ceilings ceilings = {.records = 10000, .bytes = 10000000};
	struct hold_taken taken;
	char zone[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(zone, sizeof(zone), "z%d.example", i);
		(void)add(zone, &ceilings, HOLD_ADDED);
	}
	taken = take("other", 60000, "z99.example");
	assert_int_equal(taken.count, 1);
	assert_int_equal(taken.totals.zones, 1);
	assert_int_equal(take("other", 60000, "nothing.example").totals.zones, 0);
	taken = take("one", 100, NULL);
	assert_int_equal(taken.count, HOLD_TAKE_MAX);
	assert_int_equal(taken.totals.zones, 100);
	assert_int_equal(taken.looked_at, 100);
	assert_int_equal(take("two", 60000, NULL).count, 100 - HOLD_TAKE_MAX - 1);
	assert_int_equal(take("two", 60000, NULL).count, 0);
	usleep(200000);
	assert_int_equal(take("two", 60000, NULL).count, HOLD_TAKE_MAX);
}

static void too_many_deletes_of_a_sender_are_marked(void **state)
{
	struct name zone = name_of("a.example");
	struct hold_command command;
	struct redis_value value;
	struct reason why;
	bool held;
	bool mass;

	(void)state;
	for (int i = 0; i < 12; i++) {
		hold_look_delete(&command, &zone, i == 11 ? "second" : "first", 10, 1);
		value = run(&command);
		assert_true(hold_looked(&value, &held, &mass, &why));
		assert_int_equal(mass, i == 10);
		assert_false(held);
	}
	usleep(1200000);
	hold_look_delete(&command, &zone, "first", 10, 1);
	value = run(&command);
	assert_true(hold_looked(&value, &held, &mass, &why));
	assert_false(mass);
}

static void what_is_no_push_is_left_where_it_lies(void **state)
{
	struct hold_taken taken;

	(void)state;
	(void)say("ZADD dadns:hold:zones 1 gone.example"); /* without a list: forgotten */
	taken = take("one", 60000, NULL);
	assert_int_equal(taken.count, 0);
	assert_int_equal(take("one", 60000, NULL).totals.zones, 0);
	(void)say("SET dadns:hold:zone:odd.example text");
	(void)say("ZADD dadns:hold:zones 1 odd.example");
	assert_true(is_held("odd.example"));
}

/* --- the way of a push ----------------------------------------------------------------------- */

struct pushed {
	struct event_id id;
	int answers;
	enum holds_result result;
	struct reason why;
};

/* A door, as it were. */
struct door {
	struct bus_producer *producer;
	struct zindex *index;
	struct holds *holds;
};

static void turn(struct door *door)
{
	(void)bus_producer_poll(door->producer, 0);
	holds_turn(door->holds);
}

static void open_door(struct door *door, const struct hold_ceilings *ceilings)
{
	struct bus_producer_options options = {.timeout_ms = HOLDS_REPORT_MS};
	struct holds_config config = {
		.bus = &bus,
		.redis = &redis_config,
		.ceilings = {.records = 1000, .bytes = 1000000},
		.mass_deletes = 1000,
		.mass_seconds = 3600,
		.source = "/ingest/test",
	};
	int64_t until_ms = clock_ms() + WAIT_MS;
	struct reason why;

	if (ceilings != NULL) {
		config.ceilings = *ceilings;
	}
	door->index = zindex_create(PARTITIONS);
	config.index = door->index;
	assert_int_equal(bus_producer_create(&door->producer, &bus, &options, &why), OK);
	config.producer = door->producer;
	assert_int_equal(holds_create(&config, &door->holds, &why), OK);
	while (!holds_can_hold(door->holds)) {
		assert_true(clock_ms() < until_ms);
		turn(door);
	}
}

static void close_door(struct door *door)
{
	holds_silence(door->holds);
	bus_producer_destroy(door->producer);
	holds_destroy(door->holds);
	zindex_destroy(door->index);
}

static void done(void *context, enum holds_result result, const struct reason *why)
{
	struct pushed *pushed = context;

	pushed->answers++;
	pushed->result = result;
	pushed->why = *why;
}

static void push(struct door *door, const char *zone, struct pushed *pushed)
{
	struct push_event event = {
		.id = event_id_create(),
		.op = PUSH_DELETE,
		.zone = name_of(zone),
		.owner = "da1.example",
		.sender = "default",
		.received_at_ms = clock_wall_ms(),
	};
	struct buf value = BUF_INIT(4096);
	struct holds_push taken = {
		.id = event.id,
		.zone = event.zone,
		.is_delete = true,
		.sender = "default",
		.received_at_ms = event.received_at_ms,
		.value = &value,
	};
	char traceparent[TRACEPARENT_SIZE];

	*pushed = (struct pushed){.id = event.id};
	traceparent_make(SPAN_EMPTY, traceparent);
	taken.traceparent = span_of(traceparent);
	push_event_encode(&event, &value);
	holds_take(door->holds, &taken, done, pushed);
	buf_finish(&value);
}

static void turn_until_answered(struct door *door, const struct pushed *pushed)
{
	int64_t until_ms = clock_ms() + WAIT_MS;

	while (pushed->answers == 0 && clock_ms() < until_ms) {
		turn(door);
	}
	assert_int_equal(pushed->answers, 1);
}

static enum holds_result push_and_wait(struct door *door, const char *zone, struct pushed *pushed)
{
	push(door, zone, pushed);
	turn_until_answered(door, pushed);
	return pushed->result;
}

static bool nothing_is_held(void)
{
	return say("EXISTS dadns:hold:zones").number == 0;
}

/* Of several doors. */
static void turn_until_drained(struct door *doors, size_t count)
{
	int64_t until_ms = clock_ms() + WAIT_MS;

	while (!nothing_is_held() && clock_ms() < until_ms) {
		for (size_t i = 0; i < count; i++) {
			turn(&doors[i]);
		}
	}
	assert_true(nothing_is_held());
}

struct said {
	struct event_id id;
	bool has_seen;
	bool unchecked;
	bool has_headers;
};

/* All that stands in the log for `zone`, or for any (NULL), at least `wanted` of it. */
static size_t read_log(const char *zone, struct said *out, size_t wanted)
{
	struct bus_consumer_options options = {0};
	struct bus_consumer *consumer = NULL;
	int64_t until_ms = clock_ms() + (wanted > 0 ? WAIT_MS : 500);
	size_t count = 0;
	struct reason why;

	assert_int_equal(bus_consumer_create(&consumer, &bus, &options, NULL, &why), OK);
	assert_int_equal(bus_assign_all(consumer, TOPIC_PUSHES, PARTITIONS, &why), OK);
	while (clock_ms() < until_ms && count < PUSHES_MAX) {
		struct bus_message *message = bus_poll(consumer, 50);
		struct push_event event;
		bool at_end = true;

		for (int32_t i = 0; i < PARTITIONS; i++) {
			at_end = at_end && bus_at_end(consumer, TOPIC_PUSHES, i);
		}
		if (message == NULL && at_end && count >= wanted) {
			break;
		}
		if (message == NULL) {
			continue;
		}
		assert_int_equal(push_event_decode(message->value, &event, &why), OK);
		if (zone == NULL || strcmp(event.zone.text, zone) == 0) {
			out[count] = (struct said){
				.id = event.id,
				.has_seen = event.has_seen,
				.unchecked = event.unchecked,
				.has_headers = span_is(bus_message_header(message, "ce_source"),
						       "/ingest/test") &&
					       bus_message_header(message, "traceparent").len == 55,
			};
			count++;
		}
		push_event_finish(&event);
		bus_message_destroy(message);
	}
	bus_consumer_close(consumer);
	return count;
}

static void a_push_goes_to_kafka_where_nothing_is_held(void **state)
{
	struct door door;
	struct pushed pushed;
	struct said said[PUSHES_MAX];

	(void)state;
	open_door(&door, NULL);
	assert_int_equal(push_and_wait(&door, "plain.example", &pushed), HOLDS_DELIVERED);
	assert_int_equal(read_log("plain.example", said, 1), 1);
	assert_true(event_id_equal(&said[0].id, &pushed.id));
	assert_false(said[0].has_seen || said[0].unchecked);
	assert_true(said[0].has_headers);
	close_door(&door);
}

static void a_push_joins_what_is_held_for_its_zone(void **state)
{
	struct hold_ceilings ceilings = {.records = 100, .bytes = 100000};
	struct door door;
	struct pushed pushed;

	(void)state;
	(void)add("joined.example", &ceilings, HOLD_ADDED);
	(void)say("SET dadns:hold:lock:joined.example somebody");
	open_door(&door, NULL);
	assert_int_equal(push_and_wait(&door, "joined.example", &pushed), HOLDS_HELD);
	assert_int_equal(say("LLEN dadns:hold:zone:joined.example").number, 2);
	assert_int_equal(push_and_wait(&door, "other.example", &pushed), HOLDS_DELIVERED);
	close_door(&door);
}

static void kafka_away_is_noticed_once_and_everything_is_delivered_afterwards(void **state)
{
	struct door doors[2];
	struct pushed pushed[40];
	struct pushed in_flight[3];
	struct said said[PUSHES_MAX];
	enum holds_result result;
	int64_t began_ms, until_ms;
	size_t count;

	(void)state;
	open_door(&doors[0], NULL);
	open_door(&doors[1], NULL);
	assert_int_equal(push_and_wait(&doors[0], "away.example", &pushed[0]), HOLDS_DELIVERED);
	assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
	for (size_t i = 0; i < 3; i++) {
		push(&doors[0], "away.example", &in_flight[i]);
	}
	began_ms = clock_ms();
	turn_until_answered(&doors[0], &in_flight[0]);
	assert_true(clock_ms() - began_ms < HOLDS_REPORT_MS + 1500);
	for (size_t i = 0; i < 3; i++) { /* they go with the first */
		turn_until_answered(&doors[0], &in_flight[i]);
		assert_int_equal(in_flight[i].result, HOLDS_HELD);
	}
	began_ms = clock_ms();
	for (size_t i = 1; i < 40; i++) { /* the second door joins: it has noticed nothing yet */
		assert_int_equal(push_and_wait(&doors[i % 2], "away.example", &pushed[i]),
				 HOLDS_HELD);
	}
	assert_true(clock_ms() - began_ms < 2000);
	assert_int_equal(say("LLEN dadns:hold:zone:away.example").number, 42);
	assert_int_equal(rd_kafka_mock_broker_set_up(cluster, 1), 0);
	turn_until_drained(doors, 2);
	count = read_log("away.example", said, 43);
	assert_int_equal(count, 43);
	for (size_t i = 0; i < count; i++) {
		const struct event_id *id = i == 0  ? &pushed[0].id
					    : i < 4 ? &in_flight[i - 1].id
						    : &pushed[i - 3].id;

		assert_true(event_id_equal(&said[i].id, id));
		assert_int_equal(said[i].has_seen, i > 0);
		assert_true(said[i].has_headers);
	}
	/* the other door may have drained it all before this one has heard of Kafka again */
	until_ms = clock_ms() + WAIT_MS;
	while ((result = push_and_wait(&doors[0], "away.example", &pushed[0])) == HOLDS_HELD &&
	       clock_ms() < until_ms) {
		turn_until_drained(doors, 2);
	}
	assert_int_equal(result, HOLDS_DELIVERED);
	close_door(&doors[0]);
	close_door(&doors[1]);
}

static void a_report_that_comes_too_late_changes_nothing(void **state)
{
	struct door door;
	struct pushed first;
	struct pushed second;
	struct said said[PUSHES_MAX];

	(void)state;
	open_door(&door, NULL);
	assert_int_equal(push_and_wait(&door, "late.example", &first), HOLDS_DELIVERED);
	assert_int_equal(rd_kafka_mock_broker_set_rtt(cluster, 1, HOLDS_REPORT_MS + 200), 0);
	push(&door, "late.example", &first); /* it reaches the log, and nobody says so in time */
	turn_until_answered(&door, &first);
	assert_int_equal(first.result, HOLDS_HELD);
	assert_int_equal(push_and_wait(&door, "late.example", &second), HOLDS_HELD);
	assert_int_equal(rd_kafka_mock_broker_set_rtt(cluster, 1, 0), 0);
	turn_until_drained(&door, 1);
	assert_int_equal(first.answers, 1);
	assert_true(read_log("late.example", said, 4) >= 4); /* one of them twice */
	assert_true(event_id_equal(&said[1].id, &first.id));
	assert_true(event_id_equal(&said[2].id, &first.id));
	assert_false(said[1].has_seen);
	assert_true(said[2].has_seen);
	assert_true(event_id_equal(&said[3].id, &second.id));
	close_door(&door);
}

static void without_redis_pushes_are_unchecked_and_without_both_they_are_lost(void **state)
{
	struct door door;
	struct pushed pushed;
	struct said said[PUSHES_MAX];

	(void)state;
	open_door(&door, NULL);
	stop_redis();
	assert_int_equal(push_and_wait(&door, "unchecked.example", &pushed), HOLDS_DELIVERED);
	assert_int_equal(read_log("unchecked.example", said, 1), 1);
	assert_true(said[0].unchecked);
	assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
	assert_int_equal(push_and_wait(&door, "unchecked.example", &pushed), HOLDS_LOST);
	assert_non_null(strstr(pushed.why.text, "Message timed out"));
	assert_non_null(strstr(pushed.why.text, "is away: "));
	/* It is known to be away; all the same it is asked, for there is nothing else. */
	assert_int_equal(rd_kafka_mock_broker_set_up(cluster, 1), 0);
	assert_int_equal(push_and_wait(&door, "unchecked.example", &pushed), HOLDS_DELIVERED);
	start_redis();
	close_door(&door);
}

static void over_the_ceiling_a_push_is_refused(void **state)
{
	struct hold_ceilings one = {.records = 1, .bytes = 100000};
	struct door door;
	struct pushed pushed;

	(void)state;
	assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
	open_door(&door, &one);
	assert_int_equal(push_and_wait(&door, "full.example", &pushed), HOLDS_HELD);
	assert_int_equal(push_and_wait(&door, "full.example", &pushed), HOLDS_FULL);
	assert_int_equal(push_and_wait(&door, "other.example", &pushed), HOLDS_FULL);
	turn(&door);
	close_door(&door);
}

static void many_zones_are_drained_by_several_each_in_its_order(void **state)
{
	static struct pushed pushed[PUSHES_MAX];
	static struct said said[PUSHES_MAX];
	struct door doors[3];
	char zone[32];
	size_t found[20] = {0};

	(void)state;
	assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
	open_door(&doors[0], NULL);
	assert_int_equal(push_and_wait(&doors[0], "m0.example", &pushed[0]), HOLDS_HELD);
	for (size_t i = 1; i < 200; i++) {
		snprintf(zone, sizeof(zone), "m%zu.example", i % 20);
		assert_int_equal(push_and_wait(&doors[0], zone, &pushed[i]), HOLDS_HELD);
	}
	open_door(&doors[1], NULL);
	open_door(&doors[2], NULL);
	assert_int_equal(rd_kafka_mock_broker_set_up(cluster, 1), 0);
	turn_until_drained(doors, 3);
	for (size_t i = 0; i < 20; i++) {
		snprintf(zone, sizeof(zone), "m%zu.example", i);
		assert_int_equal(read_log(zone, said, 10), 10);
		for (size_t j = 0; j < 10; j++) {
			assert_true(event_id_equal(&said[j].id, &pushed[i + 20 * j].id));
			found[i]++;
		}
		assert_int_equal(found[i], 10);
	}
	for (size_t i = 0; i < 3; i++) {
		close_door(&doors[i]);
	}
}

static void a_drainer_that_died_is_followed_when_its_lock_expires(void **state)
{
	struct door dead;
	struct door door;
	struct pushed pushed;
	int64_t until_ms = clock_ms() + WAIT_MS;
	struct said said[PUSHES_MAX];

	(void)state;
	assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
	open_door(&dead, NULL);
	assert_int_equal(push_and_wait(&dead, "dead.example", &pushed), HOLDS_HELD);
	while (say("EXISTS dadns:hold:lock:dead.example").number == 0 && clock_ms() < until_ms) {
		turn(&dead); /* until it has it in its hands */
	}
	close_door(&dead);
	assert_int_equal(say("EXISTS dadns:hold:lock:dead.example").number, 1);
	assert_true(say("PTTL dadns:hold:lock:dead.example").number <= DRAIN_LOCK_MS);
	(void)say("PEXPIRE dadns:hold:lock:dead.example 300");
	assert_int_equal(rd_kafka_mock_broker_set_up(cluster, 1), 0);
	open_door(&door, NULL);
	turn_until_drained(&door, 1);
	assert_int_equal(read_log("dead.example", said, 1), 1);
	assert_true(event_id_equal(&said[0].id, &pushed.id));
	close_door(&door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pushes_leave_in_the_order_in_which_they_came, forget),
		cmocka_unit_test_setup(a_ceiling_is_never_passed, forget),
		cmocka_unit_test_setup(a_lock_expires_and_zones_are_taken_by_name_and_by_page,
				       forget),
		cmocka_unit_test_setup(too_many_deletes_of_a_sender_are_marked, forget),
		cmocka_unit_test_setup(what_is_no_push_is_left_where_it_lies, forget),
		cmocka_unit_test_setup(a_push_goes_to_kafka_where_nothing_is_held, forget),
		cmocka_unit_test_setup(a_push_joins_what_is_held_for_its_zone, forget),
		cmocka_unit_test_setup(
			kafka_away_is_noticed_once_and_everything_is_delivered_afterwards, forget),
		cmocka_unit_test_setup(a_report_that_comes_too_late_changes_nothing, forget),
		cmocka_unit_test_setup(
			without_redis_pushes_are_unchecked_and_without_both_they_are_lost, forget),
		cmocka_unit_test_setup(over_the_ceiling_a_push_is_refused, forget),
		cmocka_unit_test_setup(many_zones_are_drained_by_several_each_in_its_order, forget),
		cmocka_unit_test_setup(a_drainer_that_died_is_followed_when_its_lock_expires,
				       forget),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
