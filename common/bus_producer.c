/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bus_rdkafka.h"

/* Every topic takes a batch of this size, whatever the door's ceiling (topics.message_bytes is
 * 64 KiB or more, and topics add 64 KiB). A larger record travels alone. */
#define BATCH_BYTES 100000
#define PURGE_WAIT_MS 10000

struct bus_producer {
	rd_kafka_t *rk;
	_Atomic int64_t in_flight; /* our own count: rd_kafka_flush has been wrong before */
};

/* Travels with a record until its report. */
struct sent {
	bus_delivered delivered;
	void *context;
};

static void count_failure(rd_kafka_resp_err_t error)
{
	enum bus_row row = BUS_FAILED_REFUSED;

	if (error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || error == RD_KAFKA_RESP_ERR__TIMED_OUT) {
		row = BUS_FAILED_TIMEOUT;
	} else if (error == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
		   error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
		row = BUS_FAILED_PURGED;
	} else if (error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		   error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
		   error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
		row = BUS_FAILED_TOPIC;
	}
	metric_add(&bus_rows[row], 1);
}

/* The record itself is the trouble: it will be refused again. */
static bool is_for_good(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	       error == RD_KAFKA_RESP_ERR_INVALID_MSG ||
	       error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
	       error == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct bus_producer *producer = opaque;
	struct sent *sent = message->_private;
	struct bus_report report = {.partition = message->partition, .offset = -1};

	(void)rk;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		report.offset = message->offset >= 0 ? message->offset : -1;
		metric_add(&bus_rows[BUS_SENT], 1);
		metric_add(&bus_rows[BUS_SENT_BYTES], (int64_t)message->len);
		metric_observe_us(&bus_rows[BUS_ACK], rd_kafka_message_latency(message));
	} else {
		report.maybe =
			rd_kafka_message_status(message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
		report.outcome = because(is_for_good(message->err) ? PERMFAIL : TEMPFAIL,
					 &report.why, "%s: %s", rd_kafka_topic_name(message->rkt),
					 rd_kafka_err2str(message->err));
		count_failure(message->err);
	}
	if (sent->delivered != NULL) {
		sent->delivered(sent->context, &report);
	}
	free(sent);
	atomic_fetch_sub(&producer->in_flight, 1);
}

enum outcome bus_producer_create(struct bus_producer **out, const struct bus_config *config,
				 const struct bus_producer_options *options, struct reason *why)
{
	char linger_ms[32];
	const struct bus_setting settings[] = {
		{"acks", "all", 0, false},                   /* I1 */
		{"enable.idempotence", "true", 0, false},    /* I1 */
		{"partitioner", "murmur2_random", 0, false}, /* I2 */
		{"linger.ms", linger_ms, 0, false},
		{"message.timeout.ms", NULL, options->timeout_ms, false},
		{"message.max.bytes", NULL, BUS_RECORD_BYTES_MAX, false},
		{"batch.size", NULL, BATCH_BYTES, false},
		{"queue.buffering.max.messages", NULL,
		 options->queue_records > 0 ? options->queue_records : 100000, false},
		{"queue.buffering.max.kbytes", NULL,
		 options->queue_bytes > 0 ? (options->queue_bytes + 1023) / 1024 : 1048576, false},
		{0},
	};
	struct bus_producer *producer;
	rd_kafka_conf_t *conf = NULL;
	enum outcome outcome;

	(void)snprintf(linger_ms, sizeof(linger_ms), "%" PRId64 ".%03d", options->linger_us / 1000,
		       (int)(options->linger_us % 1000));
	outcome = bus_conf_create(&conf, config, settings, why);
	if (outcome != OK) {
		return outcome;
	}
	producer = xcalloc(1, sizeof(*producer));
	rd_kafka_conf_set_opaque(conf, producer);
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	outcome = bus_client_create(&producer->rk, RD_KAFKA_PRODUCER, conf, why);
	if (outcome != OK) {
		free(producer);
		return outcome;
	}
	*out = producer;
	return OK;
}

enum outcome bus_producer_warm(struct bus_producer *producer, const char *topic, int timeout_ms,
			       struct reason *why)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_topic_t *handle = rd_kafka_topic_new(producer->rk, topic, NULL);
	rd_kafka_resp_err_t error;

	if (handle == NULL) {
		return because(PERMFAIL, why, "%s: %s", topic,
			       rd_kafka_err2str(rd_kafka_last_error()));
	}
	error = rd_kafka_metadata(producer->rk, 0, handle, &metadata, timeout_ms);
	rd_kafka_topic_destroy(handle);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return because(TEMPFAIL, why, "%s: %s", topic, rd_kafka_err2str(error));
	}
	rd_kafka_metadata_destroy(metadata);
	return OK;
}

static rd_kafka_headers_t *headers_of(const struct bus_record *record)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
	size_t i;

	for (i = 0; i < record->header_count; i++) {
		const struct header *header = &record->headers[i];

		/* cannot fail: it copies, and out of memory aborts */
		(void)rd_kafka_header_add(headers, header->name, -1,
					  header->value.data != NULL ? header->value.data : "",
					  (ssize_t)header->value.len);
	}
	return headers;
}

/* librdkafka takes memory that it only copies as `void *`. */
static void *not_const(const char *data)
{
	union {
		const char *in;
		void *out;
	} pointer = {.in = data};

	return pointer.out;
}

static enum outcome not_taken(const struct bus_record *record, rd_kafka_resp_err_t error,
			      struct reason *why)
{
	bool full = error == RD_KAFKA_RESP_ERR__QUEUE_FULL;
	bool later = full || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		     error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;

	metric_add(&bus_rows[full ? BUS_NOT_TAKEN_FULL : BUS_NOT_TAKEN_REFUSED], 1);
	return because(later ? TEMPFAIL : PERMFAIL, why, "%s: %zu bytes not taken: %s",
		       record->topic, record->value.len, rd_kafka_err2str(error));
}

enum outcome bus_send(struct bus_producer *producer, const struct bus_record *record,
		      bus_delivered delivered, void *context, struct reason *why)
{
	struct sent *sent = xmalloc(sizeof(*sent));
	rd_kafka_headers_t *headers = NULL;
	rd_kafka_error_t *error;
	rd_kafka_resp_err_t code;
	rd_kafka_vu_t fields[7];
	size_t n = 0;

	*sent = (struct sent){.delivered = delivered, .context = context};
	fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = record->topic};
	fields[n++] =
		(rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_PARTITION,
				.u.i32 = record->partition == BUS_BY_KEY ? RD_KAFKA_PARTITION_UA
									 : record->partition};
	fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_KEY,
				      .u.mem = {not_const(record->key.data), record->key.len}};
	fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_VALUE,
				      .u.mem = {not_const(record->value.data), record->value.len}};
	fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
	fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = sent};
	if (record->header_count > 0) {
		headers = headers_of(record);
		fields[n++] =
			(rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};
	}
	atomic_fetch_add(&producer->in_flight, 1); /* before: another thread may get the report */
	error = rd_kafka_produceva(producer->rk, fields, n);
	if (error == NULL) {
		return OK;
	}
	atomic_fetch_sub(&producer->in_flight, 1);
	code = rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	if (headers != NULL) {
		rd_kafka_headers_destroy(headers);
	}
	free(sent);
	return not_taken(record, code, why);
}

int bus_producer_poll(struct bus_producer *producer, int timeout_ms)
{
	return rd_kafka_poll(producer->rk, timeout_ms);
}

int64_t bus_in_flight(struct bus_producer *producer)
{
	return producer->in_flight;
}

bool bus_producer_fatal(struct bus_producer *producer, struct reason *why)
{
	return bus_client_fatal(producer->rk, why);
}

enum outcome bus_flush(struct bus_producer *producer, int timeout_ms, struct reason *why)
{
	rd_kafka_resp_err_t error = rd_kafka_flush(producer->rk, timeout_ms);
	int64_t left = producer->in_flight;

	if (left == 0) {
		return OK;
	}
	return because(TEMPFAIL, why, "%" PRId64 " records not confirmed within %d ms: %s", left,
		       timeout_ms, rd_kafka_err2str(error));
}

void bus_producer_destroy(struct bus_producer *producer)
{
	if (producer == NULL) {
		return;
	}
	if (producer->in_flight > 0) {
		/* Both can only fail for a client that is no producer. */
		(void)rd_kafka_purge(producer->rk,
				     RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		(void)rd_kafka_flush(producer->rk, PURGE_WAIT_MS);
	}
	rd_kafka_destroy(producer->rk);
	free(producer);
}
