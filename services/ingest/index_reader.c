/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/index_reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/log.h"

#define LOOK_MS 5000       /* a look at the brokers */
#define LOOK_PAUSE_MS 1000 /* until the next one after a failure */
#define REPORT_EVERY_MS 500
/* What this replica decides it knows at once; what others decide may come a moment later. */
#define FETCH_MIN_BYTES 65536
#define FETCH_WAIT_MS 50
#define PREFETCH_BYTES ((int64_t)16 << 20)
/* What this replica decides it knows at once; what others decide may come a moment later. */
#define FETCH_MIN_BYTES 65536
#define FETCH_WAIT_MS 50
#define EPOCH_MISSING "dadns.zones has no epoch record: run `dadns topics apply`"

enum { READ_VALUES, READ_BACK, READ_BURIALS, READ_RESERVED, READ_UNDECODABLE, ZONES };

/* clang-format off */
static struct metric metrics[] = {
	[READ_VALUES] = COUNTER("dadns_index_read_total", "kind=\"value\"", "records of dadns.zones read"),
	[READ_BACK] = COUNTER("dadns_index_read_total", "kind=\"own\"", "records of dadns.zones read"),
	[READ_BURIALS] = COUNTER("dadns_index_read_total", "kind=\"burial\"", "records of dadns.zones read"),
	[READ_RESERVED] = COUNTER("dadns_index_read_total", "kind=\"reserved\"", "records of dadns.zones read"),
	[READ_UNDECODABLE] = COUNTER("dadns_index_read_total", "kind=\"undecodable\"", "records of dadns.zones read"),
	[ZONES] = GAUGE("dadns_index_zones", "", "zones known, deleted ones too"),
};
/* clang-format on */
const struct metric_table index_reader_metrics = METRIC_TABLE(metrics);

struct index_reader {
	const struct bus_config *bus;
	const struct topics_config *topics;
	struct zindex *index;
	struct service *service;
	pthread_t thread;
	_Atomic bool started;
	_Atomic bool excused;
	struct bus_consumer *consumer;
	int64_t *positions; /* next offset to come */
	int64_t *goals;     /* end of the partition when reading began */
	bool complete;
	int64_t reported_ms;
};

/* --- one record ------------------------------------------------------------------------------ */

static enum outcome read_epoch(struct index_reader *reader, const struct bus_message *message,
			       struct reason *why)
{
	struct epoch_event epoch;
	enum outcome outcome = epoch_event_decode(message->value, &epoch, why);

	if (outcome != OK) {
		return outcome;
	}
	if (epoch.partitions != reader->topics->partitions) { /* I2 */
		return because(TEMPFAIL, why,
			       "dadns.zones had %d partitions when its epoch was made, the "
			       "configuration says %lld (topics.partitions): the count is pinned",
			       epoch.partitions, (long long)reader->topics->partitions);
	}
	zindex_read_epoch(reader->index, message->partition, epoch.epoch);
	return OK;
}

static enum outcome read_barrier(struct index_reader *reader, const struct bus_message *message,
				 struct reason *why)
{
	struct barrier_event barrier;
	enum outcome outcome = barrier_event_decode(message->value, &barrier, why);

	if (outcome == OK) {
		zindex_read_barrier(reader->index, message->partition, &barrier.judge);
	}
	return outcome;
}

static bool is_refusal(struct span key)
{
	static const size_t len = sizeof(KEY_REFUSED) - 1;

	return key.len > len && memcmp(key.data, KEY_REFUSED, len) == 0;
}

/* A judge refused a held push: a further copy of it is to be known. */
static enum outcome read_refusal(struct index_reader *reader, const struct bus_message *message,
				 struct reason *why)
{
	struct status_event status;
	enum outcome outcome = status_event_decode(message->value, &status, why);

	if (outcome == OK && status.has_id) {
		zindex_remember(reader->index, &status.zone, status.version, &status.id,
				status.at_ms);
	}
	if (outcome == OK) {
		status_event_finish(&status);
	}
	return outcome;
}

/* A null that names no version buries nothing; it ranks below everything, so that the zone counts
 * as unsettled and its judge writes it again. */
static void read_burial(struct index_reader *reader, const struct bus_message *message,
			const struct name *zone)
{
	struct version buried = {0};

	if (!version_parse(bus_message_header(message, HEADER_BURIES), &buried)) {
		log_error("null value without a version in dadns.zones", F("zone", zone->text),
			  F("partition", message->partition), F("offset", message->offset));
	}
	zindex_read_burial(reader->index, message->partition, message->offset, zone, buried);
	metric_add(&metrics[READ_BURIALS], 1);
}

static enum outcome read_zone(struct index_reader *reader, const struct bus_message *message,
			      struct reason *why)
{
	struct zone_event value = {0};
	struct event_id id;
	struct name zone;
	enum outcome outcome = name_parse(message->key, &zone, why);

	if (outcome != OK) {
		return outcome;
	}
	if (message->is_null) {
		read_burial(reader, message, &zone);
		return OK;
	}
	if (event_id_parse(bus_message_header(message, "ce_id"), &id) &&
	    zindex_read_back(reader->index, message->partition, message->offset, &zone, &id)) {
		metric_add(&metrics[READ_BACK], 1);
		return OK;
	}
	outcome = zone_event_decode_summary(message->value, &value, why);
	if (outcome != OK) {
		return outcome;
	}
	if (name_equal(&zone, &value.zone)) {
		zindex_read(reader->index, message->partition, message->offset, &value);
		metric_add(&metrics[READ_VALUES], 1);
	} else {
		outcome = because(PERMFAIL, why, "its key is %.100s, its value speaks of %.100s",
				  zone.text, value.zone.text);
	}
	zone_event_finish(&value);
	return outcome;
}

static void read_record(struct index_reader *reader, const struct bus_message *message)
{
	enum outcome outcome;
	struct reason why;

	if (message->offset < reader->positions[message->partition]) {
		(void)because(TEMPFAIL, &why,
			      "dadns.zones was re-created or cut: offset %lld came after %lld",
			      (long long)message->offset,
			      (long long)reader->positions[message->partition] - 1);
		service_stop(reader->service, &why);
		return;
	}
	if (span_is(message->key, KEY_EPOCH)) {
		outcome = read_epoch(reader, message, &why);
		metric_add(&metrics[READ_RESERVED], 1);
	} else if (span_is(message->key, KEY_BARRIER)) {
		outcome = read_barrier(reader, message, &why);
		metric_add(&metrics[READ_RESERVED], 1);
	} else if (is_refusal(message->key)) {
		outcome = read_refusal(reader, message, &why);
		metric_add(&metrics[READ_RESERVED], 1);
	} else {
		outcome = read_zone(reader, message, &why);
	}
	if (outcome == TEMPFAIL) { /* a newer major version, or a changed partition count */
		service_stop(reader->service, &why);
	} else if (outcome == PERMFAIL) { /* I8; the writers put it into the dead letters */
		metric_add(&metrics[READ_UNDECODABLE], 1);
		log_error("undecodable record in dadns.zones", F("partition", message->partition),
			  F("offset", message->offset), F("why", why.text));
	}
	reader->positions[message->partition] = message->offset + 1;
}

/* --- what the readiness page says ------------------------------------------------------------ */

static void report_epoch(struct index_reader *reader)
{
	int64_t epoch = 0;

	for (int32_t i = 0; i < reader->topics->partitions; i++) {
		struct zindex_partition partition;

		zindex_partition(reader->index, i, &partition);
		if (partition.epoch == 0) {
			service_ready(reader->service, "epoch", false, EPOCH_MISSING);
			return;
		}
		if (epoch != 0 && partition.epoch != epoch) {
			service_ready(reader->service, "epoch", false,
				      "the partitions of dadns.zones have different epochs: run "
				      "`dadns topics apply`");
			return;
		}
		epoch = partition.epoch;
	}
	service_ready(reader->service, "epoch", true, NULL);
}

static void look_whether_complete(struct index_reader *reader)
{
	for (int32_t i = 0; i < reader->topics->partitions; i++) {
		if (reader->positions[i] < reader->goals[i] &&
		    !bus_at_end(reader->consumer, TOPIC_ZONES, i)) {
			return;
		}
	}
	reader->complete = true;
	zindex_set_complete(reader->index);
	service_ready(reader->service, "index", true, NULL);
	log_info("index complete", F("zones", zindex_count(reader->index)));
}

static void report(struct index_reader *reader)
{
	int64_t now = clock_ms();
	const char *trouble;

	if (!reader->complete) {
		look_whether_complete(reader);
	}
	if (now - reader->reported_ms < REPORT_EVERY_MS) {
		return;
	}
	reader->reported_ms = now;
	trouble = bus_consumer_trouble(reader->consumer);
	service_alive(reader->service, "index");
	metric_set(&metrics[ZONES], (int64_t)zindex_count(reader->index));
	service_ready(reader->service, "kafka", trouble[0] == '\0' || reader->excused, trouble);
	report_epoch(reader);
}

/* --- life ------------------------------------------------------------------------------------ */

static enum outcome begin(struct index_reader *reader, struct reason *why)
{
	int32_t partitions = (int32_t)reader->topics->partitions;
	enum outcome outcome = topics_preflight(reader->bus, reader->topics, LOOK_MS, why);

	if (outcome != OK) {
		return outcome;
	}
	for (int32_t i = 0; i < partitions; i++) {
		int64_t low;
		int64_t high;

		outcome =
			bus_watermarks(reader->consumer, TOPIC_ZONES, i, &low, &high, LOOK_MS, why);
		if (outcome != OK) {
			return outcome;
		}
		reader->positions[i] = low;
		reader->goals[i] = high;
	}
	return bus_assign_all(reader->consumer, TOPIC_ZONES, partitions, why);
}

static void *run(void *context)
{
	struct index_reader *reader = context;
	struct reason why;

	while (service_running(reader->service) && begin(reader, &why) != OK) {
		service_ready(reader->service, "kafka", false, why.text);
		service_alive(reader->service, "index");
		service_pause(reader->service, LOOK_PAUSE_MS);
	}
	reader->started = true;
	while (service_running(reader->service)) {
		struct bus_message *message = bus_poll(reader->consumer, 100);

		if (message != NULL) {
			read_record(reader, message);
			bus_message_destroy(message);
		}
		report(reader);
		if (bus_consumer_fatal(reader->consumer, &why)) {
			service_stop(reader->service, &why);
		}
	}
	return NULL;
}

static void release(struct index_reader *reader)
{
	bus_consumer_close(reader->consumer);
	free(reader->goals);
	free(reader->positions);
	free(reader);
}

enum outcome index_reader_open(struct index_reader **out, const struct bus_config *bus,
			       const struct topics_config *topics, struct zindex *index,
			       struct service *service, struct reason *why)
{
	const struct bus_consumer_options options = {.prefetch_bytes = PREFETCH_BYTES,
						     .fetch_min_bytes = FETCH_MIN_BYTES,
						     .fetch_wait_ms = FETCH_WAIT_MS};
	struct index_reader *reader = xcalloc(1, sizeof(*reader));
	enum outcome outcome;

	reader->bus = bus;
	reader->topics = topics;
	reader->index = index;
	reader->service = service;
	reader->positions = xcalloc((size_t)topics->partitions, sizeof(reader->positions[0]));
	reader->goals = xcalloc((size_t)topics->partitions, sizeof(reader->goals[0]));
	service_ready(service, "kafka", false, "Kafka was not reached yet");
	service_ready(service, "epoch", false, "dadns.zones was not read yet");
	service_ready(service, "index", false, "dadns.zones is being read");
	/* Here and not in the thread: the first client of a process prepares librdkafka's globals,
	 * and main goes on to make others. */
	outcome = bus_consumer_create(&reader->consumer, bus, &options, NULL, why);
	if (outcome == OK && pthread_create(&reader->thread, NULL, run, reader) != 0) {
		outcome = because(PERMFAIL, why, "index: cannot start a thread");
	}
	if (outcome != OK) {
		release(reader);
		return outcome;
	}
	*out = reader;
	return OK;
}

void index_reader_close(struct index_reader *reader)
{
	if (reader == NULL) {
		return;
	}
	(void)pthread_join(reader->thread, NULL);
	release(reader);
}

bool index_reader_started(const struct index_reader *reader)
{
	return reader->started;
}

void index_reader_excuse(struct index_reader *reader, bool excused)
{
	reader->excused = excused;
}
