/* SPDX-License-Identifier: Apache-2.0 */
/* bare_producer: the limit of accepting pushes. Sends what the door sent, and does nothing else.
 *
 * Reads records (key, value, headers) that ingest put on --from, and sends the same bytes, round
 * and round, to --to, which it makes with the partitions and the settings of --from and removes at
 * the end. Idempotent, acks=all, murmur2_random, as the door; at most --in-flight records are
 * unconfirmed at any time, as with that many clients. Tries each --linger and prints all; the best
 * one is the limit.
 */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/figures.h"

enum { RECORDS_MAX = 5000, LINGERS_MAX = 8, ADMIN_MS = 10000, READ_MS = 10000, WARM_UP_MS = 500 };

struct record {
	void *key, *value;
	size_t key_len, value_len;
	rd_kafka_headers_t *headers; /* may be NULL */
};

struct bare {
	const char *brokers, *from, *to;
	const char *lingers[LINGERS_MAX];
	size_t linger_count;
	int64_t in_flight_max, milliseconds;
	struct record records[RECORDS_MAX];
	size_t record_count;
	/* of one run */
	int64_t in_flight, sent, confirmed;
	struct samples samples;
};

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[300];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
		die("%s=%s: %s", name, value, why);
	}
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[300];
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof(why));

	if (rk == NULL) {
		die("kafka: %s", why);
	}
	return rk;
}

static void *copy_of(const void *bytes, size_t len)
{
	void *copy = need(malloc(len == 0 ? 1 : len));

	memcpy(copy, bytes, len);
	return copy;
}

/* --- the sample ----------------------------------------------------------------------------------
 */

static int32_t partitions_of(rd_kafka_t *rk, const char *topic)
{
	const struct rd_kafka_metadata *all;
	int32_t count = 0;

	if (rd_kafka_metadata(rk, 1, NULL, &all, ADMIN_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		die("kafka: no metadata");
	}
	for (int i = 0; i < all->topic_cnt; i++) {
		if (strcmp(all->topics[i].topic, topic) == 0) {
			count = all->topics[i].partition_cnt;
		}
	}
	rd_kafka_metadata_destroy(all);
	if (count == 0) {
		die("there is no topic %s", topic);
	}
	return count;
}

static void keep(struct bare *bare, rd_kafka_message_t *message)
{
	struct record *record = &bare->records[bare->record_count];
	rd_kafka_headers_t *headers;

	if (message->payload == NULL || message->key == NULL) {
		return;
	}
	record->key = copy_of(message->key, message->key_len);
	record->key_len = message->key_len;
	record->value = copy_of(message->payload, message->len);
	record->value_len = message->len;
	record->headers = NULL;
	if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		record->headers = rd_kafka_headers_copy(headers);
	}
	bare->record_count++;
}

/* The last records of each partition, spread evenly; returns the number of partitions. */
static int32_t read_records(struct bare *bare)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_t *rk;
	int64_t wanted = 0, until_us = now_us() + READ_MS * 1000;
	int32_t partitions;

	set(conf, "bootstrap.servers", bare->brokers);
	set(conf, "group.id", "bench-limit");
	set(conf, "enable.auto.commit", "false");
	rk = client(RD_KAFKA_CONSUMER, conf);
	partitions = partitions_of(rk, bare->from);
	list = rd_kafka_topic_partition_list_new(partitions);
	for (int32_t i = 0; i < partitions; i++) {
		int64_t low, high, each = RECORDS_MAX / partitions;

		if (rd_kafka_query_watermark_offsets(rk, bare->from, i, &low, &high, ADMIN_MS) !=
		    RD_KAFKA_RESP_ERR_NO_ERROR) {
			die("%s: no watermarks", bare->from);
		}
		each = high - low < each ? high - low : each;
		wanted += each;
		rd_kafka_topic_partition_list_add(list, bare->from, i)->offset = high - each;
	}
	rd_kafka_assign(rk, list);
	while ((int64_t)bare->record_count < wanted && now_us() < until_us) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);

		if (message == NULL) {
			continue;
		}
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			keep(bare, message);
		}
		rd_kafka_message_destroy(message);
	}
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	if (bare->record_count == 0) {
		die("%s has no records", bare->from);
	}
	return partitions;
}

static void forget_records(struct bare *bare)
{
	for (size_t i = 0; i < bare->record_count; i++) {
		free(bare->records[i].key);
		free(bare->records[i].value);
		if (bare->records[i].headers != NULL) {
			rd_kafka_headers_destroy(bare->records[i].headers);
		}
	}
}

/* --- the scratch topic
 * ----------------------------------------------------------------------------
 */

static rd_kafka_event_t *admin_result(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_MS);

	if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		die("kafka: %s", event == NULL ? "no answer" : rd_kafka_event_error_string(event));
	}
	return event;
}

/* Every setting of `from` that is its own goes to the new topic too. */
static void copy_settings(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *from,
			  rd_kafka_NewTopic_t *topic)
{
	rd_kafka_ConfigResource_t *wanted =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, from);
	const rd_kafka_ConfigResource_t **found;
	const rd_kafka_ConfigEntry_t **entries;
	rd_kafka_event_t *event;
	size_t count;

	rd_kafka_DescribeConfigs(rk, &wanted, 1, NULL, queue);
	event = admin_result(queue);
	found = rd_kafka_DescribeConfigs_result_resources(
		rd_kafka_event_DescribeConfigs_result(event), &count);
	if (count != 1 || rd_kafka_ConfigResource_error(found[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		die("%s: its settings cannot be read", from);
	}
	entries = rd_kafka_ConfigResource_configs(found[0], &count);
	for (size_t i = 0; i < count; i++) {
		if (rd_kafka_ConfigEntry_source(entries[i]) ==
		    RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG) {
			rd_kafka_NewTopic_set_config(topic, rd_kafka_ConfigEntry_name(entries[i]),
						     rd_kafka_ConfigEntry_value(entries[i]));
		}
	}
	rd_kafka_event_destroy(event);
	rd_kafka_ConfigResource_destroy(wanted);
}

static void make_topic(const struct bare *bare, rd_kafka_t *rk, int32_t partitions)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	const rd_kafka_topic_result_t **made;
	rd_kafka_NewTopic_t *topic;
	rd_kafka_event_t *event;
	char why[300];
	size_t count;

	topic = rd_kafka_NewTopic_new(bare->to, partitions, -1, why, sizeof(why));
	if (topic == NULL) {
		die("%s: %s", bare->to, why);
	}
	copy_settings(rk, queue, bare->from, topic);
	rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	event = admin_result(queue);
	made = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
						   &count);
	if (count != 1 || rd_kafka_topic_result_error(made[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		die("%s: %s", bare->to,
		    count == 1 ? rd_kafka_topic_result_error_string(made[0]) : "no result");
	}
	rd_kafka_event_destroy(event);
	rd_kafka_NewTopic_destroy(topic);
	rd_kafka_queue_destroy(queue);
}

static void remove_topic(const struct bare *bare, rd_kafka_t *rk)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(bare->to);

	rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
	rd_kafka_event_destroy(admin_result(queue));
	rd_kafka_DeleteTopic_destroy(topic);
	rd_kafka_queue_destroy(queue);
}

/* --- the load
 * --------------------------------------------------------------------------------------
 */

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct bare *bare = opaque;

	(void)rk;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		die("not delivered: %s", rd_kafka_err2str(message->err));
	}
	bare->in_flight--;
	bare->confirmed++;
	samples_add(&bare->samples, now_us() - (int64_t)(intptr_t)message->_private);
}

static void send_one(struct bare *bare, rd_kafka_t *rk)
{
	const struct record *record = &bare->records[bare->sent % (int64_t)bare->record_count];
	rd_kafka_headers_t *headers =
		record->headers == NULL ? NULL : rd_kafka_headers_copy(record->headers);
	rd_kafka_resp_err_t error;

	error = rd_kafka_producev(
		rk, RD_KAFKA_V_TOPIC(bare->to), RD_KAFKA_V_KEY(record->key, record->key_len),
		RD_KAFKA_V_VALUE(record->value, record->value_len),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
		RD_KAFKA_V_OPAQUE((void *)(intptr_t)now_us()), RD_KAFKA_V_END);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		die("produce: %s", rd_kafka_err2str(error));
	}
	bare->sent++;
	bare->in_flight++;
}

static void send_for(struct bare *bare, rd_kafka_t *rk, int64_t milliseconds)
{
	int64_t until_us = now_us() + milliseconds * 1000;

	while (now_us() < until_us) {
		while (bare->in_flight < bare->in_flight_max) {
			send_one(bare, rk);
		}
		rd_kafka_poll(rk, 10);
	}
}

/* Records a second. */
static double measure(struct bare *bare, const char *linger)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	int64_t began_us;
	double rate;

	set(conf, "bootstrap.servers", bare->brokers);
	set(conf, "enable.idempotence", "true");
	set(conf, "acks", "all");
	set(conf, "partitioner", "murmur2_random");
	set(conf, "socket.nagle.disable", "true");
	set(conf, "linger.ms", linger);
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	rd_kafka_conf_set_opaque(conf, bare);
	rk = client(RD_KAFKA_PRODUCER, conf);
	bare->in_flight = 0;

	send_for(bare, rk, WARM_UP_MS);
	bare->confirmed = 0;
	bare->samples.count = 0;
	began_us = now_us();
	send_for(bare, rk, bare->milliseconds);
	rate = (double)bare->confirmed * 1e6 / (double)(now_us() - began_us);
	samples_sort(&bare->samples);
	printf("linger %s ms, %lld in flight: %.0f records/s, p50 %.2f ms, p99 %.2f\n", linger,
	       (long long)bare->in_flight_max, rate, samples_quantile(&bare->samples, 0.5),
	       samples_quantile(&bare->samples, 0.99));
	rd_kafka_flush(rk, ADMIN_MS);
	rd_kafka_destroy(rk);
	return rate;
}

static const struct option options[] = {
	{"brokers", required_argument, NULL, 'b'},
	{"from", required_argument, NULL, 'f'},
	{"to", required_argument, NULL, 't'},
	{"in-flight", required_argument, NULL, 'i'},
	{"milliseconds", required_argument, NULL, 'm'},
	{"linger", required_argument, NULL, 'l'},
	{0},
};

static void read_arguments(int argc, char **argv, struct bare *bare)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (letter) {
		case 'b':
			bare->brokers = optarg;
			break;
		case 'f':
			bare->from = optarg;
			break;
		case 't':
			bare->to = optarg;
			break;
		case 'i':
			bare->in_flight_max = number_of(optarg, "--in-flight");
			break;
		case 'm':
			bare->milliseconds = number_of(optarg, "--milliseconds");
			break;
		case 'l':
			if (bare->linger_count == LINGERS_MAX) {
				die("too many --linger");
			}
			bare->lingers[bare->linger_count++] = optarg;
			break;
		default:
			die("usage: bare_producer --brokers LIST [--from TOPIC] [--to TOPIC] "
			    "[--in-flight N]\n\t[--milliseconds N] [--linger MS]...");
		}
	}
	if (bare->brokers == NULL || bare->in_flight_max == 0) {
		die("--brokers are needed");
	}
	if (bare->linger_count == 0) {
		bare->lingers[bare->linger_count++] = "0";
	}
}

int main(int argc, char **argv)
{
	static struct bare bare = {.from = "dadns.pushes",
				   .to = "bench.limit",
				   .in_flight_max = 32,
				   .milliseconds = 3000};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *admin;
	const char *best_linger = "";
	double best = 0;
	size_t bytes = 0;

	read_arguments(argc, argv, &bare);
	set(conf, "bootstrap.servers", bare.brokers);
	admin = client(RD_KAFKA_PRODUCER, conf);
	make_topic(&bare, admin, read_records(&bare));
	for (size_t i = 0; i < bare.record_count; i++) {
		bytes += bare.records[i].value_len;
	}
	printf("%zu records of %zu B of %s to choose from\n", bare.record_count,
	       bytes / bare.record_count, bare.from);
	for (size_t i = 0; i < bare.linger_count; i++) {
		double rate = measure(&bare, bare.lingers[i]);

		if (rate > best) {
			best = rate;
			best_linger = bare.lingers[i];
		}
	}
	remove_topic(&bare, admin);
	printf("rate=%.0f linger=%s value_bytes=%zu\n", best, best_linger,
	       bytes / bare.record_count);
	rd_kafka_destroy(admin);
	samples_finish(&bare.samples);
	forget_records(&bare);
	return 0;
}
