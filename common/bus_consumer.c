/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/bus_rdkafka.h"
#include "common/clock.h"
#include "common/log.h"

#define PREFETCH_BYTES (8 * 1024 * 1024)
#define FETCH_BYTES_MIN 65536
#define COMMITTED_TRIES 3
#define COMMITTED_WAIT_MS 10000
#define SEEK_WAIT_MS 5000
#define LOOK_EVERY_MS 1000
#define LOOK_WAIT_MS 100
#define DESTROY_WAIT_MS 5000

/* A partition that we read. */
struct part {
	char *topic;
	int32_t number;
	bool paused; /* wanted by the listener before the library has the partition */
	bool at_end;
};

struct bus_consumer {
	rd_kafka_t *rk;
	struct bus_listener listener;
	struct part *parts;
	size_t part_count;
	bool assigning; /* inside the listener's `assigned` */
	struct reason trouble;
	struct reason transport; /* what the connections said last */
	bool away;               /* `trouble` is about reaching Kafka: a look may end it */
	int64_t looked_ms;
};

rd_kafka_t *bus_consumer_handle(const struct bus_consumer *consumer)
{
	return consumer->rk;
}

/* --- partitions ------------------------------------------------------------------------------- */

static struct part *part_find(const struct bus_consumer *consumer, const char *topic,
			      int32_t number)
{
	size_t i;

	for (i = 0; i < consumer->part_count; i++) {
		struct part *part = &consumer->parts[i];

		if (part->number == number && strcmp(part->topic, topic) == 0) {
			return part;
		}
	}
	return NULL;
}

static void parts_clear(struct bus_consumer *consumer)
{
	size_t i;

	for (i = 0; i < consumer->part_count; i++) {
		free(consumer->parts[i].topic);
	}
	free(consumer->parts);
	consumer->parts = NULL;
	consumer->part_count = 0;
}

static void parts_take(struct bus_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
	int i;

	parts_clear(consumer);
	consumer->parts = xcalloc((size_t)list->cnt + 1, sizeof(*consumer->parts));
	for (i = 0; i < list->cnt; i++) {
		consumer->parts[i].topic = xstrdup(list->elems[i].topic);
		consumer->parts[i].number = list->elems[i].partition;
	}
	consumer->part_count = (size_t)list->cnt;
}

/* A list of one; the caller destroys it. */
static rd_kafka_topic_partition_list_t *list_of(const char *topic, int32_t partition,
						int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	return list;
}

/* --- troubles --------------------------------------------------------------------------------- */

static void trouble(struct bus_consumer *consumer, rd_kafka_resp_err_t error, const char *text)
{
	metric_add(&bus_rows[BUS_TROUBLES], 1);
	if (error == RD_KAFKA_RESP_ERR__TRANSPORT) {
		/* One connection; the library tells when it was the last. */
		(void)because(TEMPFAIL, &consumer->transport, "kafka: %s", text);
		return;
	}
	consumer->away =
		error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
		error == RD_KAFKA_RESP_ERR__RESOLVE || error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
		error == RD_KAFKA_RESP_ERR__AUTHENTICATION || error == RD_KAFKA_RESP_ERR__SSL;
	if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && consumer->transport.text[0] != '\0') {
		consumer->trouble = consumer->transport;
		return;
	}
	(void)because(TEMPFAIL, &consumer->trouble, "kafka: %s", text);
}

static void on_error(rd_kafka_t *rk, int error, const char *text, void *opaque)
{
	(void)rk;
	trouble(opaque, (rd_kafka_resp_err_t)error, text);
}

static void no_trouble(struct bus_consumer *consumer)
{
	consumer->trouble.text[0] = '\0';
	consumer->away = false;
}

/* The library tells when Kafka goes away, not when it is back; on a quiet topic no message tells
 * either. */
static void look_again(struct bus_consumer *consumer)
{
	const struct rd_kafka_metadata *metadata = NULL;
	int64_t now = clock_ms();

	if (!consumer->away || now - consumer->looked_ms < LOOK_EVERY_MS) {
		return;
	}
	consumer->looked_ms = now;
	if (rd_kafka_metadata(consumer->rk, 0, NULL, &metadata, LOOK_WAIT_MS) ==
	    RD_KAFKA_RESP_ERR_NO_ERROR) {
		rd_kafka_metadata_destroy(metadata);
		no_trouble(consumer);
	}
}

/* --- rebalancing ------------------------------------------------------------------------------ */

/* False: Kafka did not tell; the offsets of `list` are not to be used. */
static bool committed_offsets(struct bus_consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
	int try;
	int i;

	for (try = 0; try < COMMITTED_TRIES; try++) {
		error = rd_kafka_committed(consumer->rk, list, COMMITTED_WAIT_MS);
		for (i = 0; i < list->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
			error = list->elems[i].err;
		}
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
			return true;
		}
	}
	trouble(consumer, error, "committed offsets could not be read");
	return false;
}

/* Where to begin, as the library says it. `known`: `committed` is what Kafka has. */
static int64_t start_of(struct bus_consumer *consumer, const char *topic, int32_t partition,
			int64_t committed, bool known)
{
	int64_t start = BUS_START_COMMITTED;

	if (consumer->listener.assigned != NULL) {
		start = consumer->listener.assigned(consumer->listener.context, topic, partition,
						    committed);
	}
	if (start >= 0) {
		return start;
	}
	if (!known) {
		return RD_KAFKA_OFFSET_STORED; /* the library goes on asking */
	}
	return committed >= 0 ? committed : RD_KAFKA_OFFSET_BEGINNING;
}

static void pause_or_resume(struct bus_consumer *consumer, const char *topic, int32_t partition,
			    bool pause)
{
	rd_kafka_topic_partition_list_t *list = list_of(topic, partition, RD_KAFKA_OFFSET_INVALID);

	/* Fails only for a partition that is not ours: nothing to pause then. */
	if (pause) {
		(void)rd_kafka_pause_partitions(consumer->rk, list);
	} else {
		(void)rd_kafka_resume_partitions(consumer->rk, list);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static void assign(struct bus_consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(list);
	bool known = list->cnt == 0 || committed_offsets(consumer, committed);
	rd_kafka_resp_err_t error;
	size_t i;
	int n;

	parts_take(consumer, list);
	consumer->assigning = true;
	for (n = 0; n < list->cnt; n++) {
		int64_t offset = known ? committed->elems[n].offset : -1;

		list->elems[n].offset =
			start_of(consumer, list->elems[n].topic, list->elems[n].partition,
				 offset >= 0 ? offset : -1, known);
	}
	consumer->assigning = false;

	error = rd_kafka_assign(consumer->rk, list);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		trouble(consumer, error, rd_kafka_err2str(error));
	}
	for (i = 0; i < consumer->part_count; i++) {
		if (consumer->parts[i].paused) {
			pause_or_resume(consumer, consumer->parts[i].topic,
					consumer->parts[i].number, true);
		}
	}
	metric_add(&bus_rows[BUS_ASSIGNED], 1);
	metric_add(&bus_rows[BUS_PARTITIONS], list->cnt);
	rd_kafka_topic_partition_list_destroy(committed);
}

static void revoke(struct bus_consumer *consumer)
{
	bool lost = rd_kafka_assignment_lost(consumer->rk) != 0;
	rd_kafka_resp_err_t error;
	size_t i;

	for (i = 0; i < consumer->part_count && consumer->listener.revoked != NULL; i++) {
		consumer->listener.revoked(consumer->listener.context, consumer->parts[i].topic,
					   consumer->parts[i].number, lost);
	}
	metric_add(&bus_rows[lost ? BUS_LOST : BUS_REVOKED], 1);
	metric_add(&bus_rows[BUS_PARTITIONS], -(int64_t)consumer->part_count);
	parts_clear(consumer);
	error = rd_kafka_assign(consumer->rk, NULL); /* commits what is stored, unless lost (I3) */
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		trouble(consumer, error, rd_kafka_err2str(error));
	}
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what,
			 rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct bus_consumer *consumer = opaque;

	(void)rk;
	if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		assign(consumer, list);
		return;
	}
	if (what != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
		trouble(consumer, what, rd_kafka_err2str(what));
	}
	revoke(consumer);
}

/* --- the consumer ----------------------------------------------------------------------------- */

enum outcome bus_consumer_create(struct bus_consumer **out, const struct bus_config *config,
				 const struct bus_consumer_options *options,
				 const struct bus_listener *listener, struct reason *why)
{
	bool in_group = options->group != NULL;
	int64_t prefetch = options->prefetch_bytes > 0 ? options->prefetch_bytes : PREFETCH_BYTES;
	/* The library stops fetching when its one queue for all partitions holds the half; what is
	 * under way then, one fetch per broker, comes on top. A record larger than a fetch is sent
	 * all the same. */
	int64_t fetch = prefetch / 4 > FETCH_BYTES_MIN ? prefetch / 4 : FETCH_BYTES_MIN;
	int64_t wait_ms = options->fetch_wait_ms > 0 ? options->fetch_wait_ms
			  : in_group                 ? 500
						     : 100;
	const struct bus_setting settings[] = {
		{"group.id", in_group ? options->group : BUS_NO_GROUP, 0, false},
		{"enable.auto.commit", in_group ? "true" : "false", 0, false}, /* I3 */
		{"auto.commit.interval.ms", NULL, 500, false},
		{"enable.auto.offset.store", "false", 0, false}, /* I3 */
		{"auto.offset.reset", "earliest", 0, false},     /* I3 */
		{"partition.assignment.strategy", "range", 0, false},
		{"enable.partition.eof", in_group ? "false" : "true", 0, false},
		{"check.crcs", "true", 0, false},
		{"session.timeout.ms", NULL, 8000, false},
		{"heartbeat.interval.ms", NULL, 2000, false},
		{"max.poll.interval.ms", NULL, 300000, false},
		{"topic.metadata.refresh.interval.ms", NULL, 5000, false},
		{"queued.min.messages", NULL, 10000, false},
		{"queued.max.messages.kbytes", NULL, prefetch / 2 / 1024 + 1, false},
		{"message.max.bytes", NULL, FETCH_BYTES_MIN, false}, /* the floor of the next two */
		{"fetch.max.bytes", NULL, fetch, false},
		{"fetch.message.max.bytes", NULL, fetch, false},
		{"receive.message.max.bytes", NULL, fetch + 2 * BUS_RECORD_BYTES_MAX, false},
		{"fetch.queue.backoff.ms", NULL, 10, true},
		/* Before there was such a setting, a full queue waited as long as after an error.
		 */
		{"fetch.error.backoff.ms", NULL, 20, false},
		/* An end of partition is told by an empty answer, which waits this long. */
		{"fetch.wait.max.ms", NULL, wait_ms, false},
		{"fetch.min.bytes", NULL,
		 options->fetch_min_bytes > 0 ? options->fetch_min_bytes : 1, false},
		{0},
	};
	rd_kafka_conf_t *conf = NULL;
	struct bus_consumer *consumer;
	enum outcome outcome;

	outcome = bus_conf_create(&conf, config, settings, why);
	if (outcome != OK) {
		return outcome;
	}
	consumer = xcalloc(1, sizeof(*consumer));
	if (listener != NULL) {
		consumer->listener = *listener;
	}
	rd_kafka_conf_set_opaque(conf, consumer);
	rd_kafka_conf_set_error_cb(conf, on_error);
	if (in_group) {
		rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	}
	outcome = bus_client_create(&consumer->rk, RD_KAFKA_CONSUMER, conf, why);
	if (outcome != OK) {
		free(consumer);
		return outcome;
	}
	(void)rd_kafka_poll_set_consumer(
		consumer->rk); /* cannot fail for a consumer with a group.id */
	*out = consumer;
	return OK;
}

enum outcome bus_subscribe(struct bus_consumer *consumer, const char *const *topics,
			   struct reason *why)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
	rd_kafka_resp_err_t error;
	size_t i;

	for (i = 0; topics[i] != NULL; i++) {
		(void)rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
	}
	error = rd_kafka_subscribe(consumer->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return because(PERMFAIL, why, "kafka: subscribe: %s", rd_kafka_err2str(error));
	}
	return OK;
}

enum outcome bus_assign(struct bus_consumer *consumer, const char *topic,
			const struct bus_start *starts, size_t count, struct reason *why)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	rd_kafka_resp_err_t error;
	size_t i;

	for (i = 0; i < count; i++) {
		rd_kafka_topic_partition_list_add(list, topic, starts[i].partition)->offset =
			starts[i].offset > 0 ? starts[i].offset : RD_KAFKA_OFFSET_BEGINNING;
	}
	parts_take(consumer, list);
	error = rd_kafka_assign(consumer->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return because(PERMFAIL, why, "kafka: %s: assign: %s", topic,
			       rd_kafka_err2str(error));
	}
	return OK;
}

enum outcome bus_assign_all(struct bus_consumer *consumer, const char *topic, int32_t partitions,
			    struct reason *why)
{
	struct bus_start *starts = xcalloc((size_t)partitions, sizeof(*starts));
	enum outcome outcome;
	int32_t i;

	for (i = 0; i < partitions; i++) {
		starts[i].partition = i;
	}
	outcome = bus_assign(consumer, topic, starts, (size_t)partitions, why);
	free(starts);
	return outcome;
}

bool bus_at_end(const struct bus_consumer *consumer, const char *topic, int32_t partition)
{
	const struct part *part = part_find(consumer, topic, partition);

	return part != NULL && part->at_end;
}

static void set_at_end(struct bus_consumer *consumer, const rd_kafka_message_t *message)
{
	struct part *part =
		part_find(consumer, rd_kafka_topic_name(message->rkt), message->partition);

	if (part != NULL) {
		part->at_end = true;
	}
}

struct bus_message *bus_poll(struct bus_consumer *consumer, int timeout_ms)
{
	rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, timeout_ms);
	struct bus_message *made = NULL;

	if (message == NULL) {
		look_again(consumer);
		return NULL;
	}
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		made = bus_message_create(message);
		no_trouble(consumer);
		metric_add(&bus_rows[BUS_CONSUMED], 1);
		metric_add(&bus_rows[BUS_CONSUMED_BYTES], (int64_t)message->len);
	} else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		set_at_end(consumer, message);
	} else {
		trouble(consumer, message->err, rd_kafka_message_errstr(message));
	}
	rd_kafka_message_destroy(message);
	return made;
}

bool bus_store(struct bus_consumer *consumer, const char *topic, int32_t partition,
	       int64_t next_offset)
{
	rd_kafka_topic_partition_list_t *list = list_of(topic, partition, next_offset);
	bool stored = rd_kafka_offsets_store(consumer->rk, list) == RD_KAFKA_RESP_ERR_NO_ERROR &&
		      list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;

	rd_kafka_topic_partition_list_destroy(list);
	if (!stored) {
		metric_add(&bus_rows[BUS_STORE_REFUSED], 1);
	}
	return stored;
}

static void want_paused(struct bus_consumer *consumer, const char *topic, int32_t partition,
			bool pause)
{
	struct part *part = part_find(consumer, topic, partition);

	if (part == NULL) {
		return;
	}
	part->paused = pause;
	if (!consumer->assigning) { /* else it is done after rd_kafka_assign */
		pause_or_resume(consumer, topic, partition, pause);
	}
}

void bus_pause(struct bus_consumer *consumer, const char *topic, int32_t partition)
{
	want_paused(consumer, topic, partition, true);
}

void bus_resume(struct bus_consumer *consumer, const char *topic, int32_t partition)
{
	want_paused(consumer, topic, partition, false);
}

enum outcome bus_seek(struct bus_consumer *consumer, const char *topic, int32_t partition,
		      int64_t offset, struct reason *why)
{
	rd_kafka_topic_partition_list_t *list = list_of(topic, partition, offset);
	rd_kafka_error_t *error = rd_kafka_seek_partitions(consumer->rk, list, SEEK_WAIT_MS);
	rd_kafka_resp_err_t code = error != NULL ? rd_kafka_error_code(error) : list->elems[0].err;

	if (error != NULL) {
		rd_kafka_error_destroy(error);
	}
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return because(TEMPFAIL, why, "%s/%d: seek to %" PRId64 ": %s", topic, partition,
			       offset, rd_kafka_err2str(code));
	}
	return OK;
}

bool bus_consumer_fatal(struct bus_consumer *consumer, struct reason *why)
{
	return bus_client_fatal(consumer->rk, why);
}

const char *bus_consumer_trouble(const struct bus_consumer *consumer)
{
	return consumer->trouble.text;
}

static void *destroy_thread(void *rk)
{
	rd_kafka_destroy(rk);
	return NULL;
}

/* False: not within DESTROY_WAIT_MS. Where a topic was deleted and made again, a thread of
 * librdkafka 2.0.2 now and then waits for ever for a partition that nobody has. */
static bool destroy(rd_kafka_t *rk)
{
	int64_t until_ms = clock_ms() + DESTROY_WAIT_MS;
	struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
	pthread_t thread;

	if (pthread_create(&thread, NULL, destroy_thread, rk) != 0) {
		rd_kafka_destroy(rk);
		return true;
	}
	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0) {
		return true;
	}
	(void)pthread_detach(thread);
	return false;
}

void bus_consumer_close(struct bus_consumer *consumer)
{
	if (consumer == NULL) {
		return;
	}
	/* Calls the listener's `revoked`. An error means that the group heard nothing of it; it
	 * notices by its session timeout. */
	(void)rd_kafka_consumer_close(consumer->rk);
	if (!destroy(consumer->rk)) {
		log_warn("a consumer's library does not come to its end, it is left behind");
		return; /* its threads still know us */
	}
	parts_clear(consumer);
	free(consumer);
}
