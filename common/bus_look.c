/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the cluster that block, and the reader of one record. */
#include "common/bus.h"

#include <inttypes.h>

#include "common/bus_rdkafka.h"

#define SLICE_MS 100
#define FETCH_ONE_BYTES 65536

enum outcome bus_watermarks(struct bus_consumer *consumer, const char *topic, int32_t partition,
			    int64_t *low, int64_t *high, int timeout_ms, struct reason *why)
{
	rd_kafka_resp_err_t error;
	int64_t first = 0;
	int64_t next = 0;

	error = rd_kafka_query_watermark_offsets(bus_consumer_handle(consumer), topic, partition,
						 &first, &next, timeout_ms);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return because(TEMPFAIL, why, "%s/%d: watermarks: %s", topic, partition,
			       rd_kafka_err2str(error));
	}
	*low = first;
	*high = next;
	return OK;
}

int32_t bus_partition_of(struct span key, int32_t partitions)
{
	return rd_kafka_msg_partitioner_murmur2(NULL, key.data, key.len, partitions, NULL, NULL);
}

/* What the answer says about the one topic that was asked for. */
static enum outcome count_of(const struct rd_kafka_metadata *metadata, const char *topic,
			     int32_t *count, struct reason *why)
{
	rd_kafka_resp_err_t error;

	if (metadata->topic_cnt != 1) {
		return because(TEMPFAIL, why, "%s: Kafka said nothing about it", topic);
	}
	error = metadata->topics[0].err;
	if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
	    error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
		return because(PERMFAIL, why, "%s: there is no such topic", topic);
	}
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR || metadata->topics[0].partition_cnt == 0) {
		return because(TEMPFAIL, why, "%s: %s", topic, rd_kafka_err2str(error));
	}
	*count = metadata->topics[0].partition_cnt;
	return OK;
}

enum outcome bus_partitions(struct bus_consumer *consumer, const char *topic, int32_t *count,
			    int timeout_ms, struct reason *why)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_topic_t *handle;
	rd_kafka_resp_err_t error;
	enum outcome outcome;

	handle = rd_kafka_topic_new(bus_consumer_handle(consumer), topic, NULL);
	if (handle == NULL) {
		return because(PERMFAIL, why, "%s: %s", topic,
			       rd_kafka_err2str(rd_kafka_last_error()));
	}
	error = rd_kafka_metadata(bus_consumer_handle(consumer), 0, handle, &metadata, timeout_ms);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
		outcome = count_of(metadata, topic, count, why);
		rd_kafka_metadata_destroy(metadata);
	} else {
		outcome = because(TEMPFAIL, why, "%s: partitions: %s", topic,
				  rd_kafka_err2str(error));
	}
	rd_kafka_topic_destroy(handle);
	return outcome;
}

enum outcome bus_lag(struct bus_consumer *consumer, const char *topic, int32_t partitions,
		     int64_t *lag, int timeout_ms, struct reason *why)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	enum outcome outcome = OK;
	rd_kafka_resp_err_t error;
	int64_t sum = 0;

	for (int32_t i = 0; i < partitions; i++) {
		(void)rd_kafka_topic_partition_list_add(list, topic, i);
	}
	error = rd_kafka_committed(bus_consumer_handle(consumer), list, timeout_ms);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		outcome = because(TEMPFAIL, why, "%s: committed offsets: %s", topic,
				  rd_kafka_err2str(error));
	}
	for (int32_t i = 0; i < partitions && outcome == OK; i++) {
		int64_t low;
		int64_t high;

		outcome = bus_watermarks(consumer, topic, i, &low, &high, timeout_ms, why);
		if (outcome == OK) {
			int64_t done = list->elems[i].offset < low ? low : list->elems[i].offset;

			sum += done < high ? high - done : 0;
		}
	}
	rd_kafka_topic_partition_list_destroy(list);
	if (outcome == OK) {
		*lag = sum;
	}
	return outcome;
}

/* One poll of the short-lived reader. OK with `*out` NULL: nothing yet, go on. */
static enum outcome fetch_step(rd_kafka_t *rk, int64_t offset, struct bus_message **out,
			       struct reason *trouble)
{
	rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, SLICE_MS);
	enum outcome outcome = OK;

	if (message == NULL) {
		return OK;
	}
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (message->offset == offset) {
			*out = bus_message_create(message);
		} else if (message->offset > offset) {
			outcome = PERMFAIL;
		}
	} else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
		   message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
		   message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
		outcome = PERMFAIL;
	} else {
		(void)because(TEMPFAIL, trouble, "%s", rd_kafka_message_errstr(message));
	}
	rd_kafka_message_destroy(message);
	return outcome;
}

static enum outcome fetch(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t offset,
			  int timeout_ms, struct bus_message **out, struct reason *why)
{
	struct reason trouble = {.text = "no answer in time"};
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	struct bus_message *message = NULL;
	enum outcome outcome = OK;
	rd_kafka_resp_err_t error;
	int left;

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	error = rd_kafka_assign(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return because(TEMPFAIL, why, "%s/%d: assign: %s", topic, partition,
			       rd_kafka_err2str(error));
	}
	for (left = timeout_ms; left > 0; left -= SLICE_MS) {
		outcome = fetch_step(rk, offset, &message, &trouble);
		if (outcome != OK) {
			return because(outcome, why, "%s/%d: there is no record at offset %" PRId64,
				       topic, partition, offset);
		}
		if (message != NULL) {
			*out = message;
			return OK;
		}
	}
	return because(TEMPFAIL, why, "%s/%d: record at offset %" PRId64 ": %s", topic, partition,
		       offset, trouble.text);
}

enum outcome bus_fetch_one(const struct bus_config *config, const char *topic, int32_t partition,
			   int64_t offset, int timeout_ms, struct bus_message **out,
			   struct reason *why)
{
	static const struct bus_setting settings[] = {
		{"group.id", BUS_NO_GROUP, 0, false},
		{"enable.auto.commit", "false", 0, false},
		{"enable.auto.offset.store", "false", 0, false},
		{"auto.offset.reset", "error", 0, false}, /* another record would not do */
		{"enable.partition.eof", "true", 0, false},
		{"check.crcs", "true", 0, false},
		{"queued.min.messages", NULL, 1, false},
		{"message.max.bytes", NULL, FETCH_ONE_BYTES, false},
		{"fetch.max.bytes", NULL, FETCH_ONE_BYTES, false},
		{"fetch.message.max.bytes", NULL, FETCH_ONE_BYTES, false},
		{"receive.message.max.bytes", NULL, 2 * BUS_RECORD_BYTES_MAX, false},
		{0},
	};
	rd_kafka_conf_t *conf = NULL;
	rd_kafka_t *rk = NULL;
	enum outcome outcome;

	outcome = bus_conf_create(&conf, config, settings, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = bus_client_create(&rk, RD_KAFKA_CONSUMER, conf, why);
	if (outcome != OK) {
		return outcome;
	}
	(void)rd_kafka_poll_set_consumer(rk); /* cannot fail for a consumer with a group.id */
	outcome = fetch(rk, topic, partition, offset, timeout_ms, out, why);
	rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return outcome;
}
