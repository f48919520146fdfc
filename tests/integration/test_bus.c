/* SPDX-License-Identifier: Apache-2.0 */
/* Against librdkafka's own mock cluster, in this process; what only a real broker can show stands
 * in tests/integration/test_topics.c and in tests/e2e. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/bus.h"
#include "common/event.h"

#define PARTITIONS 4
#define WAIT_MS 20000
#define STEP_MS 50
#define PRODUCE_REQUEST 0 /* Kafka's number of it */

static rd_kafka_t *host; /* whom the mock cluster belongs to */
static rd_kafka_mock_cluster_t *cluster;
static struct bus_config bus;

static int start_cluster(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[200];

	(void)state;
	(void)rd_kafka_conf_set(conf, "log_level", "3", error, sizeof(error));
	host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	assert_non_null(host);
	cluster = rd_kafka_mock_cluster_new(host, 1);
	assert_non_null(cluster);
	bus = (struct bus_config){
		.brokers = rd_kafka_mock_cluster_bootstraps(cluster),
		.client_id = "test",
	};
	return 0;
}

static int stop_cluster(void **state)
{
	(void)state;
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(host);
	return 0;
}

static void make_topic(const char *topic)
{
	assert_int_equal(rd_kafka_mock_topic_create(cluster, topic, PARTITIONS, 1), 0);
}

/* --- reports ---------------------------------------------------------------------------------- */

struct seen {
	int count;
	struct bus_report last;
};

static void see(void *context, const struct bus_report *report)
{
	struct seen *seen = context;

	seen->count++;
	seen->last = *report;
}

static struct bus_producer *producer_with(struct bus_producer_options options)
{
	struct bus_producer *producer = NULL;
	struct reason why;

	assert_int_equal(bus_producer_create(&producer, &bus, &options, &why), OK);
	return producer;
}

static void wait_for_reports(struct bus_producer *producer, const struct seen *seen, int count)
{
	int left;

	for (left = WAIT_MS; left > 0 && seen->count < count; left -= STEP_MS) {
		(void)bus_producer_poll(producer, STEP_MS);
	}
	assert_int_equal(seen->count, count);
}

static int64_t put(struct bus_producer *producer, const char *topic, int32_t partition,
		   const char *key, struct span value)
{
	struct bus_record record = {
		.topic = topic,
		.partition = partition,
		.key = span_of(key),
		.value = value,
	};
	struct seen seen = {0};
	struct reason why;

	assert_int_equal(bus_send(producer, &record, see, &seen, &why), OK);
	wait_for_reports(producer, &seen, 1);
	assert_int_equal(seen.last.outcome, OK);
	return seen.last.offset;
}

/* --- consumers -------------------------------------------------------------------------------- */

struct hands {
	struct bus_consumer *consumer;
	int64_t start_at;  /* what `assigned` answers */
	bool pause;        /* and whether it pauses */
	int64_t committed; /* what it was told, of partition 0 */
	int assigned;
	int revoked;
	int lost;
};

static int64_t on_assigned(void *context, const char *topic, int32_t partition, int64_t committed)
{
	struct hands *hands = context;

	hands->assigned++;
	if (partition == 0) {
		hands->committed = committed;
	}
	if (hands->pause) {
		bus_pause(hands->consumer, topic, partition);
	}
	return partition == 0 ? hands->start_at : BUS_START_COMMITTED;
}

static void on_revoked(void *context, const char *topic, int32_t partition, bool lost)
{
	struct hands *hands = context;

	(void)topic;
	(void)partition;
	hands->revoked++;
	hands->lost += lost ? 1 : 0;
}

static struct bus_consumer *member(struct hands *hands, const char *group, const char *topic)
{
	const struct bus_listener listener = {
		.context = hands,
		.assigned = on_assigned,
		.revoked = on_revoked,
	};
	const struct bus_consumer_options options = {.group = group};
	const char *const topics[] = {topic, NULL};
	struct reason why;

	assert_int_equal(bus_consumer_create(&hands->consumer, &bus, &options, &listener, &why),
			 OK);
	assert_int_equal(bus_subscribe(hands->consumer, topics, &why), OK);
	return hands->consumer;
}

static struct bus_consumer *reader_of(const char *topic)
{
	const struct bus_consumer_options options = {.group = NULL};
	struct bus_consumer *consumer = NULL;
	struct reason why;

	assert_int_equal(bus_consumer_create(&consumer, &bus, &options, NULL, &why), OK);
	assert_int_equal(bus_assign_all(consumer, topic, PARTITIONS, &why), OK);
	return consumer;
}

static struct bus_message *next(struct bus_consumer *consumer)
{
	struct bus_message *message = NULL;
	int left;

	for (left = WAIT_MS; left > 0 && message == NULL; left -= STEP_MS) {
		message = bus_poll(consumer, STEP_MS);
	}
	assert_non_null(message);
	return message;
}

static void next_is(struct bus_consumer *consumer, const char *value)
{
	struct bus_message *message = next(consumer);

	assert_true(span_is(message->value, value));
	bus_message_destroy(message);
}

/* --- producer --------------------------------------------------------------------------------- */

static void confirmed_record_is_read_back_with_everything_it_had(void **state)
{
	/* given */
	const struct header headers[] = {{"ce_id", span_of("1")}, {"traceparent", span_of("00-")}};
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct bus_record record = {
		.topic = "whole",
		.partition = BUS_BY_KEY,
		.key = span_of("example.com"),
		.value = {.data = "a\0b", .len = 3},
		.headers = headers,
		.header_count = 2,
	};
	struct bus_consumer *consumer;
	struct bus_message *message;
	struct seen seen = {0};
	struct reason why;

	(void)state;
	make_topic("whole");

	/* when */
	assert_int_equal(bus_send(producer, &record, see, &seen, &why), OK);
	wait_for_reports(producer, &seen, 1);
	consumer = reader_of("whole");
	message = next(consumer);
	bus_consumer_close(consumer); /* a message outlives its consumer */

	/* then */
	assert_int_equal(seen.last.outcome, OK);
	assert_int_equal(seen.last.offset, 0);
	assert_int_equal(bus_in_flight(producer), 0);
	assert_string_equal(message->topic, "whole");
	assert_int_equal(message->partition, seen.last.partition);
	assert_int_equal(message->offset, 0);
	assert_true(span_is(message->key, "example.com"));
	assert_int_equal(message->value.len, 3);
	assert_memory_equal(message->value.data, "a\0b", 3);
	assert_false(message->is_null);
	assert_true(span_is(bus_message_header(message, "traceparent"), "00-"));
	assert_null(bus_message_header(message, "none").data);
	bus_message_destroy(message);
	bus_producer_destroy(producer);
}

static void partition_is_the_one_that_java_clients_choose(void **state)
{
	static const char *const keys[] = {"example.com", "a.example", "b.example",
					   "xn--a.example"};
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	size_t i;

	(void)state;
	make_topic("hashed");
	for (i = 0; i < 4; i++) {
		struct bus_record record = {
			.topic = "hashed",
			.partition = BUS_BY_KEY,
			.key = span_of(keys[i]),
			.value = span_of("v"),
		};
		struct seen seen = {0};
		struct reason why;

		assert_int_equal(bus_send(producer, &record, see, &seen, &why), OK);
		wait_for_reports(producer, &seen, 1);
		assert_int_equal(seen.last.partition,
				 rd_kafka_msg_partitioner_murmur2(NULL, keys[i], strlen(keys[i]),
								  PARTITIONS, NULL, NULL));
		assert_int_equal(bus_partition_of(span_of(keys[i]), PARTITIONS),
				 seen.last.partition);
	}
	bus_producer_destroy(producer);
}

static void null_value_is_a_tombstone_and_an_empty_one_is_not(void **state)
{
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct bus_consumer *consumer;
	struct bus_message *message;

	(void)state;
	make_topic("nulls");
	(void)put(producer, "nulls", 1, "k", SPAN_EMPTY);
	(void)put(producer, "nulls", 1, "k", (struct span){.data = "", .len = 0});
	consumer = reader_of("nulls");

	message = next(consumer);
	assert_true(message->is_null);
	assert_null(message->value.data);
	bus_message_destroy(message);
	message = next(consumer);
	assert_false(message->is_null);
	assert_int_equal(message->value.len, 0);
	bus_message_destroy(message);

	bus_consumer_close(consumer);
	bus_producer_destroy(producer);
}

static void record_that_kafka_refuses_is_reported_as_not_in_the_log(void **state)
{
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct bus_record record = {
		.topic = "refused", .partition = 0, .key = span_of("k"), .value = span_of("v")};
	struct seen seen = {0};
	struct reason why;

	(void)state;
	make_topic("refused");
	(void)put(producer, "refused", 0, "k", span_of("the first one is fine"));
	rd_kafka_mock_push_request_errors(cluster, PRODUCE_REQUEST, 1,
					  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);

	assert_int_equal(bus_send(producer, &record, see, &seen, &why), OK);
	wait_for_reports(producer, &seen, 1);

	assert_int_equal(seen.last.outcome, TEMPFAIL);
	assert_false(seen.last.maybe);
	assert_int_equal(seen.last.offset, -1);
	assert_non_null(strstr(seen.last.why.text, "refused: "));
	bus_producer_destroy(producer);
}

static void full_queue_takes_nothing_more_and_the_rest_is_reported_once(void **state)
{
	/* given */
	struct bus_config nobody = {.brokers = "127.0.0.1:1", .client_id = "test"};
	struct bus_producer_options options = {.queue_records = 2};
	struct bus_record record = {
		.topic = "t", .partition = BUS_BY_KEY, .key = span_of("k"), .value = span_of("v")};
	struct bus_producer *producer = NULL;
	struct seen seen = {0};
	struct reason why;

	(void)state;
	assert_int_equal(bus_producer_create(&producer, &nobody, &options, &why), OK);

	/* when */
	assert_int_equal(bus_send(producer, &record, see, &seen, &why), OK);
	assert_int_equal(bus_send(producer, &record, see, &seen, &why), OK);

	/* then */
	assert_int_equal(bus_send(producer, &record, see, &seen, &why), TEMPFAIL);
	assert_int_equal(bus_in_flight(producer), 2);
	assert_int_equal(bus_flush(producer, 10, &why), TEMPFAIL);
	bus_producer_destroy(producer);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.last.outcome, TEMPFAIL);
}

static void record_too_large_for_any_topic_is_refused_at_once(void **state)
{
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct buf large = BUF_INIT(20 * 1024 * 1024);
	struct bus_record record = {.topic = "t", .partition = 0, .key = span_of("k")};
	struct seen seen = {0};
	struct reason why;
	char block[4096];

	(void)state;
	memset(block, 'x', sizeof(block));
	while (large.len < 18 * 1024 * 1024) {
		buf_add(&large, (struct span){.data = block, .len = sizeof(block)});
	}
	record.value = buf_span(&large);

	assert_int_equal(bus_send(producer, &record, see, &seen, &why), PERMFAIL);

	assert_int_equal(seen.count, 0);
	assert_int_equal(bus_in_flight(producer), 0);
	buf_finish(&large);
	bus_producer_destroy(producer);
}

/* --- settings of the operator ----------------------------------------------------------------- */

/* What comes of a producer when the command line says `flag`. */
static enum outcome create_with(const char *flag, struct reason *why)
{
	static const struct config_key keys[] = {
		KEY(struct bus_config, brokers, "kafka.brokers", "127.0.0.1:1", ""),
		{0},
	};
	static const struct config_key *const tables[] = {keys, NULL};
	char *argv[] = {"test", (char *)(uintptr_t)flag, NULL};
	const struct bus_producer_options options = {0};
	struct bus_producer *producer = NULL;
	struct bus_config config = {0};
	struct config *loaded = NULL;
	enum outcome outcome;

	assert_int_equal(config_load(&loaded, tables, &config, 2, argv, NULL, NULL, why), OK);
	config.config = loaded;
	outcome = bus_producer_create(&producer, &config, &options, why);
	if (outcome == OK) {
		bus_producer_destroy(producer);
	}
	config_destroy(loaded);
	return outcome;
}

static void settings_that_promises_rest_on_cannot_be_changed(void **state)
{
	static const char *const flags[] = {
		"--kafka.acks=1",
		"--kafka.request.required.acks=1",
		"--kafka.enable.idempotence=false",
		"--kafka.partitioner=random",
		"--kafka.enable.auto.offset.store=true",
		"--kafka.auto.offset.reset=latest",
		"--kafka.group.id=mine",
		"--kafka.topic.acks=1",
	};
	struct reason why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		assert_int_equal(create_with(flags[i], &why), PERMFAIL);
		assert_non_null(strstr(why.text, "cannot be set"));
	}
}

static void other_settings_go_to_the_library_and_a_typo_is_named(void **state)
{
	struct reason why;

	(void)state;
	assert_int_equal(create_with("--kafka.retry.backoff.ms=50", &why), OK);
	assert_int_equal(create_with("--kafka.security.protcol=ssl", &why), PERMFAIL);
	assert_non_null(strstr(why.text, "kafka.security.protcol"));
}

/* --- consumer --------------------------------------------------------------------------------- */

static void wait_for_assignment(struct hands *hands)
{
	int left;

	for (left = WAIT_MS; left > 0 && hands->assigned < PARTITIONS; left -= STEP_MS) {
		assert_null(bus_poll(hands->consumer, STEP_MS));
	}
	assert_int_equal(hands->assigned, PARTITIONS);
}

/* One story, because a group takes 3 s to form on the mock cluster. */
static void group_begins_where_it_ended_and_pauses_seeks_and_stores_by_partition(void **state)
{
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct hands hands = {.start_at = BUS_START_COMMITTED, .pause = true, .committed = -9};
	struct bus_consumer *consumer;
	struct reason why;

	(void)state;
	make_topic("work");
	(void)put(producer, "work", 0, "k", span_of("zero"));
	(void)put(producer, "work", 0, "k", span_of("one"));
	(void)put(producer, "work", 0, "k", span_of("two"));

	/* a new group: nothing is committed; what `assigned` paused stays paused */
	consumer = member(&hands, "workers", "work");
	wait_for_assignment(&hands);
	assert_int_equal(hands.committed, -1);
	assert_null(bus_poll(consumer, 700));
	bus_resume(consumer, "work", 0);
	next_is(consumer, "zero");

	/* a seek goes back, also while paused */
	next_is(consumer, "one");
	bus_pause(consumer, "work", 0);
	assert_int_equal(bus_seek(consumer, "work", 0, 1, &why), OK);
	bus_resume(consumer, "work", 0);
	next_is(consumer, "one");

	/* I3: stored is what is committed, not what was read */
	next_is(consumer, "two");
	assert_true(bus_store(consumer, "work", 0, 1));
	assert_false(bus_store(consumer, "work", PARTITIONS, 1));
	assert_false(bus_store(consumer, "others", 0, 1));
	bus_consumer_close(consumer);
	assert_int_equal(hands.revoked, PARTITIONS);
	assert_int_equal(hands.lost, 0);

	/* the next member is told of it, and begins where its listener says */
	hands = (struct hands){.start_at = 2, .pause = true};
	consumer = member(&hands, "workers", "work");
	wait_for_assignment(&hands);
	assert_int_equal(hands.committed, 1);
	bus_resume(consumer, "work", 0);
	next_is(consumer, "two");
	bus_consumer_close(consumer);
	bus_producer_destroy(producer);
}

static void reader_without_a_group_reads_to_the_end_and_knows_it(void **state)
{
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct bus_consumer *consumer;
	int left;

	(void)state;
	make_topic("all");
	(void)put(producer, "all", 2, "k", span_of("here"));
	consumer = reader_of("all");
	assert_false(bus_at_end(consumer, "all", 2));

	next_is(consumer, "here");
	for (left = WAIT_MS;
	     left > 0 && !(bus_at_end(consumer, "all", 0) && bus_at_end(consumer, "all", 2));
	     left -= STEP_MS) {
		assert_null(bus_poll(consumer, STEP_MS));
	}
	assert_true(bus_at_end(consumer, "all", 0));
	assert_true(bus_at_end(consumer, "all", 2));
	assert_false(bus_at_end(consumer, "all", PARTITIONS));
	assert_string_equal(bus_consumer_trouble(consumer), "");
	bus_consumer_close(consumer);
	bus_producer_destroy(producer);
}

static void reader_without_a_group_begins_where_it_is_told(void **state)
{
	const struct bus_consumer_options options = {.group = NULL};
	const struct bus_start starts[] = {{.partition = 1, .offset = 1}, {.partition = 3}};
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct bus_consumer *consumer = NULL;
	struct reason why;
	int left;

	(void)state;
	make_topic("some");
	(void)put(producer, "some", 0, "k", span_of("not ours"));
	(void)put(producer, "some", 1, "k", span_of("before"));
	(void)put(producer, "some", 1, "k", span_of("asked for"));
	assert_int_equal(bus_consumer_create(&consumer, &bus, &options, NULL, &why), OK);
	assert_int_equal(bus_assign(consumer, "some", starts, 2, &why), OK);

	next_is(consumer, "asked for");
	for (left = WAIT_MS;
	     left > 0 && !(bus_at_end(consumer, "some", 1) && bus_at_end(consumer, "some", 3));
	     left -= STEP_MS) {
		assert_null(bus_poll(consumer, STEP_MS));
	}
	assert_true(bus_at_end(consumer, "some", 3));
	assert_false(bus_at_end(consumer, "some", 0));
	bus_consumer_close(consumer);
	bus_producer_destroy(producer);
}

static void partitions_and_watermarks_are_told(void **state)
{
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct bus_consumer *consumer;
	struct reason why;
	int32_t count = 0;
	int64_t low = -1;
	int64_t high = -1;

	(void)state;
	make_topic("marks");
	(void)put(producer, "marks", 3, "k", span_of("v"));
	consumer = reader_of("marks");

	assert_int_equal(bus_partitions(consumer, "marks", &count, WAIT_MS, &why), OK);
	assert_int_equal(count, PARTITIONS);
	assert_int_equal(bus_watermarks(consumer, "marks", 3, &low, &high, WAIT_MS, &why), OK);
	assert_int_equal(low, 0);
	assert_int_equal(high, 1);
	bus_consumer_close(consumer);
	bus_producer_destroy(producer);
}

static void one_record_is_fetched_by_its_offset_or_said_to_be_absent(void **state)
{
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct bus_message *message = NULL;
	struct reason why;

	(void)state;
	make_topic("one");
	(void)put(producer, "one", 0, "k", span_of("zero"));
	(void)put(producer, "one", 0, "k", span_of("one"));
	(void)put(producer, "one", 0, "k", span_of("two"));

	assert_int_equal(bus_fetch_one(&bus, "one", 0, 1, WAIT_MS, &message, &why), OK);
	assert_int_equal(message->offset, 1);
	assert_true(span_is(message->value, "one"));
	bus_message_destroy(message);

	message = NULL;
	assert_int_equal(bus_fetch_one(&bus, "one", 0, 3, WAIT_MS, &message, &why), PERMFAIL);
	assert_int_equal(bus_fetch_one(&bus, "one", 0, 9, WAIT_MS, &message, &why), PERMFAIL);
	assert_null(message);
	bus_producer_destroy(producer);
}

/* The next answer; its ticket is the number of the request. */
static int next_fetched(struct bus_fetcher *fetcher, char value[32])
{
	struct bus_fetched fetched;

	for (int left = WAIT_MS; left > 0; left--) {
		if (bus_fetched(fetcher, &fetched)) {
			(void)snprintf(value, 32, "%s",
				       fetched.message == NULL ? "absent"
							       : fetched.message->value.data);
			bus_message_destroy(fetched.message);
			return (int)(intptr_t)fetched.ticket;
		}
		usleep(1000);
	}
	fail_msg("nothing was fetched");
	return -1;
}

static void any_records_are_fetched_without_waiting_and_absent_ones_are_said_to_be(void **state)
{
	/* far and near, backwards, twice, behind the end, in all partitions */
	static const int64_t offsets[] = {0, 2999, 3, 4, 250, 4, 3000, 90000, 1};
	struct bus_producer *producer = producer_with((struct bus_producer_options){0});
	struct bus_fetcher *fetcher = NULL;
	struct bus_fetched nothing;
	struct seen seen = {0};
	struct reason why;
	char wanted[32];
	char value[32];
	int count = 0;
	int64_t sum = 0;

	(void)state;
	make_topic("any");
	for (int i = 0; i < 3000 * PARTITIONS; i++) {
		(void)snprintf(value, sizeof(value), "%d of %d", i / PARTITIONS, i % PARTITIONS);
		assert_int_equal(bus_send(producer,
					  &(struct bus_record){.topic = "any",
							       .partition = i % PARTITIONS,
							       .key = span_of("k"),
							       .value = span_of(value)},
					  see, &seen, &why),
				 OK);
	}
	wait_for_reports(producer, &seen, 3000 * PARTITIONS);

	assert_int_equal(bus_fetcher_create(&fetcher, &bus, &why), OK);
	assert_false(bus_fetched(fetcher, &nothing));
	for (int round = 0; round < 2; round++) {
		for (int partition = 0; partition < PARTITIONS; partition++) {
			for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
				bus_fetch(fetcher, "any", partition, offsets[i],
					  (void *)(intptr_t)(partition * 100000 + offsets[i]));
				count++;
			}
		}
		assert_int_equal(bus_fetching(fetcher), count);
		for (; count > 0; count--) {
			int ticket = next_fetched(fetcher, value);

			(void)snprintf(wanted, sizeof(wanted), "%d of %d", ticket % 100000,
				       ticket / 100000);
			assert_string_equal(value, ticket % 100000 < 3000 ? wanted : "absent");
			sum += ticket;
		}
		assert_int_equal(bus_fetching(fetcher), 0);
		assert_false(bus_fetched(fetcher, &nothing));
	}
	assert_int_equal(sum,
			 2 * (9 * 100000 * 6 + 4 * (2999 + 3 + 4 + 250 + 4 + 3000 + 90000 + 1)));
	bus_fetch(fetcher, "any", 0, 7, NULL); /* never taken */
	assert_false(bus_fetched(fetcher, &nothing));
	bus_fetcher_destroy(fetcher);
	bus_producer_destroy(producer);
}

static void absent_kafka_is_tempfail_and_leaving_it_does_not_hang(void **state)
{
	struct bus_config nobody = {.brokers = "127.0.0.1:1", .client_id = "test"};
	const struct bus_consumer_options options = {.group = "nobody"};
	const char *const topics[] = {"t", NULL};
	struct bus_consumer *consumer = NULL;
	struct bus_message *message = NULL;
	struct reason why;
	int32_t count = 0;
	int left;

	(void)state;
	assert_int_equal(bus_consumer_create(&consumer, &nobody, &options, NULL, &why), OK);
	assert_int_equal(bus_subscribe(consumer, topics, &why), OK);
	assert_int_equal(bus_partitions(consumer, "t", &count, 100, &why), TEMPFAIL);
	assert_int_equal(bus_fetch_one(&nobody, "t", 0, 0, 200, &message, &why), TEMPFAIL);
	for (left = WAIT_MS; left > 0 && bus_consumer_trouble(consumer)[0] == '\0';
	     left -= STEP_MS) {
		assert_null(bus_poll(consumer, STEP_MS));
	}
	assert_non_null(strstr(bus_consumer_trouble(consumer), "127.0.0.1:1"));
	bus_consumer_close(consumer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confirmed_record_is_read_back_with_everything_it_had),
		cmocka_unit_test(partition_is_the_one_that_java_clients_choose),
		cmocka_unit_test(null_value_is_a_tombstone_and_an_empty_one_is_not),
		cmocka_unit_test(record_that_kafka_refuses_is_reported_as_not_in_the_log),
		cmocka_unit_test(full_queue_takes_nothing_more_and_the_rest_is_reported_once),
		cmocka_unit_test(record_too_large_for_any_topic_is_refused_at_once),
		cmocka_unit_test(settings_that_promises_rest_on_cannot_be_changed),
		cmocka_unit_test(other_settings_go_to_the_library_and_a_typo_is_named),
		cmocka_unit_test(
			group_begins_where_it_ended_and_pauses_seeks_and_stores_by_partition),
		cmocka_unit_test(reader_without_a_group_reads_to_the_end_and_knows_it),
		cmocka_unit_test(reader_without_a_group_begins_where_it_is_told),
		cmocka_unit_test(partitions_and_watermarks_are_told),
		cmocka_unit_test(one_record_is_fetched_by_its_offset_or_said_to_be_absent),
		cmocka_unit_test(
			any_records_are_fetched_without_waiting_and_absent_ones_are_said_to_be),
		cmocka_unit_test(absent_kafka_is_tempfail_and_leaving_it_does_not_hang),
	};

	return cmocka_run_group_tests(tests, start_cluster, stop_cluster);
}
