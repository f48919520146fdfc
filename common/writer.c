/* SPDX-License-Identifier: Apache-2.0 */
#include "common/writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mark.h"
#include "common/preflight_watch.h"
#include "common/writer_parts.h"

enum {
	PREFETCH_BYTES = 16 << 20, /* beside the window: what a batch's time may bring in */
	STORE_EVERY_MS = 200,
	FLUSH_MS = 10000,
	SETTLE_MS = 1000,
	JOIN_MS = 15000,
};

struct metric writer_rows[WRITER_METRICS] = {
	[APPLIED] = COUNTER("dadns_writer_zones_total", "result=\"applied\"",
			    "zones by what became of them"),
	[VERIFIED] = COUNTER("dadns_writer_zones_total", "result=\"verified\"",
			     "zones by what became of them"),
	[OLDER] = COUNTER("dadns_writer_zones_total", "result=\"older\"",
			  "zones by what became of them"),
	[REFUSED] = COUNTER("dadns_writer_zones_total", "result=\"refused\"",
			    "zones by what became of them"),
	[UNDECODABLE] = COUNTER("dadns_writer_zones_total", "result=\"undecodable\"",
				"zones by what became of them"),
	[AWAY] = COUNTER("dadns_writer_backend_away_total", "",
			 "times that the whole backend failed"),
	[CIRCUIT] = GAUGE("dadns_writer_circuit_open", "",
			  "1 while the whole backend is away and nothing is tried"),
	[WAITING] = GAUGE("dadns_writer_waiting_zones", "", "zones read and not yet applied"),
	[ASIDE] = GAUGE("dadns_writer_aside_zones", "",
			"zones that the backend refused, waiting for their next try"),
	[DEAD_LETTERS] = COUNTER("dadns_writer_dead_letters_total", "",
				 "zones given up after all tries: somebody must look"),
	[DEAD] = GAUGE("dadns_writer_dead_zones", "",
		       "zones that were given up and have had no newer version since"),
	[RETAKEN] = COUNTER("dadns_writer_retries_total", "", "further tries that were begun"),
	[REDIS_FAILED] = COUNTER("dadns_writer_redis_failed_total", "",
				 "commands that Redis did not answer, or refused"),
	[REBUILT] = COUNTER("dadns_writer_retry_rebuilds_total", "",
			    "times that Redis had lost its retries and got them from the log"),
	[APPLY_SECONDS] = HISTOGRAM("dadns_writer_batch_seconds", "",
				    "time that the backend took for one batch"),
	[SERVED_SECONDS] = HISTOGRAM("dadns_writer_propagation_seconds", "",
				     "from the door's receipt of a push until it is served"),
	[SETTLING] = GAUGE("dadns_writer_settling_zones", "",
			   "zones that are stored and not yet known to be served"),
};
const struct metric_table writer_metrics = METRIC_TABLE(writer_rows);

/* --- after the work */

/* I3, I4: first the backend's own positions, then the group's offsets. */
static void store_progress(struct writer *writer)
{
	enum window_topic topic;
	int32_t partition;
	int64_t next;
	bool changed;
	int32_t partitions[1024];
	int64_t offsets[1024];
	size_t count = 0;
	struct reason why;

	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		if (changed && topic == WINDOW_ZONES && count < 1024) {
			partitions[count] = partition;
			offsets[count++] = next;
		}
	}
	if (count != 0 &&
	    writer->ops->store_positions(writer->backend, partitions, offsets, count, &why) != OK) {
		writer_backend_away(writer, &why);
		return;
	}
	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		if (changed && bus_store(writer->consumer, writer_topics[topic], partition, next)) {
			window_stored(writer->window, topic, partition, next);
		}
	}
	writer->stored_at_ms = clock_ms();
	mark("writer.offset_stored");
}

static void store_when_due(struct writer *writer)
{
	enum window_topic topic;
	int32_t partition;
	int64_t next;
	bool changed = false;

	if (writer->probe_pause_ms != 0 || writer->looked ||
	    (window_waiting(writer->window) != 0 &&
	     clock_ms() - writer->stored_at_ms < STORE_EVERY_MS)) {
		return;
	}
	for (size_t i = 0; window_progress(writer->window, i, &topic, &partition, &next, &changed);
	     i++) {
		if (changed) {
			store_progress(writer);
			return;
		}
	}
}

/* One line when a burst is drained (the product that we replace prints the same). */
static void report_burst(struct writer *writer)
{
	struct burst *burst = &writer->burst;
	int64_t took_ms;

	if (burst->began_ms == 0 || window_waiting(writer->window) != 0 ||
	    clock_ms() - burst->ended_ms < IDLE_POLL_MS) {
		return;
	}
	took_ms = burst->ended_ms - burst->began_ms;
	if (burst->zones != 0) {
		log_info("burst drained", F("backend", writer->name), F("zones", burst->zones),
			 F("failures", burst->failures), F("ms", took_ms),
			 F("zones_per_s",
			   (double)burst->zones * 1000.0 / (double)(took_ms < 1 ? 1 : took_ms)));
	}
	*burst = (struct burst){0};
}

/* --- life */

static enum outcome connect_bus(struct writer *writer, struct reason *why)
{
	char group[96];
	enum outcome outcome;

	(void)snprintf(group, sizeof(group), "dadns.writer.%s", writer->name);
	outcome = bus_producer_create(&writer->producer, &writer->config->bus,
				      &(struct bus_producer_options){.linger_us = 2000}, why);
	if (outcome != OK) {
		return outcome;
	}
	return bus_consumer_create(
		&writer->consumer, &writer->config->bus,
		&(struct bus_consumer_options){.group = group, .prefetch_bytes = PREFETCH_BYTES},
		&(struct bus_listener){
			.context = writer, .assigned = writer_assigned, .revoked = writer_revoked},
		why);
}

enum outcome writer_begin(struct writer *writer, struct reason *why)
{
	const struct writer_config *config = writer->config;
	char host[64] = "?";

	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(writer->by, sizeof(writer->by), "%s:%d", host, (int)getpid());
	(void)snprintf(writer->source, sizeof(writer->source), "/writer/%s/%s", writer->name, host);
	service_ready(writer->service, "backend", false, "not asked yet");
	service_ready(writer->service, "topics", false, "not asked yet");
	service_ready(writer->service, "partitions", false, "the group has not given us any yet");
	writer->window =
		window_create((size_t)config->window_records, (size_t)config->window_bytes);
	writer->batch = xcalloc((size_t)config->batch_zones, sizeof(*writer->batch));
	writer->changes = xcalloc((size_t)config->batch_zones, sizeof(*writer->changes));
	writer->views = xcalloc((size_t)config->batch_zones, sizeof(*writer->views));
	if (delays_parse(config->retry_delays, &writer->delays, why) != OK) {
		return PERMFAIL;
	}
	if (connect_bus(writer, why) != OK) {
		return PERMFAIL;
	}
	return writer_retry_begin(writer, why);
}

/* Topics and backend must be there first: the backend's positions decide where reading begins.
 * Tried again at the next turn. */
static void begin_reading(struct writer *writer)
{
	static const char *const topics[] = {TOPIC_ZONES, TOPIC_HEALS, NULL};
	struct reason why;

	if (!writer->topics_ready) {
		if (topics_preflight(&writer->config->bus, &writer->config->topics, 3000, &why) !=
		    OK) {
			service_ready(writer->service, "topics", false, why.text);
			service_pause(writer->service, 500);
			return;
		}
		service_ready(writer->service, "topics", true, NULL);
		writer->topics_ready = true;
	}
	if (!writer_look(writer, 0)) {
		service_pause(writer->service, writer->probe_pause_ms);
		return;
	}
	writer_backend_back(writer);
	service_ready(writer->service, "backend", true, NULL);
	if (bus_subscribe(writer->consumer, topics, &why) != OK) {
		service_stop(writer->service, &why);
		return;
	}
	writer_join_registry(writer);
	writer->joined_at_ms = clock_ms();
	writer->reading = true;
	log_info("writer started", F("backend", writer->name), F("type", writer->about.type));
}

void writer_turn(struct writer *writer)
{
	struct reason why;

	service_alive(writer->service, "writer");
	if (!writer->reading) {
		begin_reading(writer);
		return;
	}
	if (bus_consumer_fatal(writer->consumer, &why) ||
	    bus_producer_fatal(writer->producer, &why)) {
		service_stop(writer->service, &why);
		return;
	}
	writer_read(writer);
	if (clock_ms() - writer->joined_at_ms > JOIN_MS) { /* more members than partitions */
		service_ready(writer->service, "partitions", true, NULL);
	}
	writer_retry_turn(writer);
	writer_apply(writer);
	writer_settle(writer);
	(void)bus_producer_poll(writer->producer, 0);
	store_when_due(writer);
	report_burst(writer);
	metric_set(&writer_rows[WAITING], (int64_t)window_waiting(writer->window));
	metric_set(&writer_rows[SETTLING], (int64_t)window_settling_count(writer->window));
}

void writer_drain(struct writer *writer)
{
	struct reason why;

	if (!writer->reading) {
		return;
	}
	for (int64_t until_ms = clock_ms() + SETTLE_MS;
	     window_settling_count(writer->window) != 0 && clock_ms() < until_ms;) {
		(void)bus_producer_poll(writer->producer, 1);
		writer_settle(writer);
	}
	if (bus_flush(writer->producer, FLUSH_MS, &why) != OK) {
		log_warn("some statuses were not confirmed, they will be sent again",
			 F("why", why.text));
	}
	if (writer->probe_pause_ms == 0 && !writer->looked) {
		store_progress(writer);
	}
}

void writer_end(struct writer *writer)
{
	bus_consumer_close(writer->consumer);   /* commits what is stored */
	bus_producer_destroy(writer->producer); /* before the window: reports know its items */
	writer_retry_end(writer);
	if (writer->backend != NULL) {
		writer->ops->close(writer->backend);
	}
	window_destroy(writer->window);
	free(writer->views);
	free(writer->changes);
	free(writer->batch);
}

int writer_main(const struct service_about *about, void *base, int argc, char **argv,
		const struct backend_ops *ops,
		enum outcome (*create)(void *base, const struct backend_about *about,
				       void **backend, struct reason *why))
{
	struct service *service = service_start(about, base, argc, argv);
	struct writer_config *config = base;
	struct writer writer = {.config = config, .service = service, .ops = ops};
	struct preflight_watch *watch = NULL;
	struct reason why;

	writer.name = config_chosen(service_config(service));
	assert(writer.name != NULL); /* service_start with a choose_flag insists on one */
	writer.about = (struct backend_about){
		writer.name, config_backend_type(service_config(service), writer.name)};
	config->bus.client_id = writer.name;
	config->bus.config = service_config(service);
	metrics_common_label("backend", writer.name);

	if (create(base, &writer.about, &writer.backend, &why) != OK ||
	    preflight_watch_open(&watch,
				 &(struct preflight_watch_config){.bus = &config->bus,
								  .topics = &config->topics,
								  .redis = &config->redis,
								  .allow = config->preflight.allow},
				 service, &why) != OK ||
	    writer_begin(&writer, &why) != OK) {
		service_stop(service, &why);
	}
	while (service_running(service)) {
		writer_turn(&writer);
	}
	writer_drain(&writer);
	writer_end(&writer);
	preflight_watch_close(watch);
	return service_finish(service);
}
