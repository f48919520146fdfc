/* SPDX-License-Identifier: Apache-2.0 */
/* ingest: the door (what DirectAdmin pushes becomes durable in dadns.pushes) and the judge (what of
 * it becomes true in dadns.zones). This file wires; it decides nothing. */
#include <stdio.h>
#include <unistd.h>

#include "common/bus.h"
#include "common/drain.h"
#include "common/http.h"
#include "common/log.h"
#include "common/preflight_watch.h"
#include "common/service.h"
#include "services/ingest/door.h"
#include "services/ingest/holds.h"
#include "services/ingest/index_reader.h"
#include "services/ingest/ingest_config.h"
#include "services/ingest/janitor.h"
#include "services/ingest/judge_loop.h"
#include "services/ingest/senders.h"
#include "services/ingest/takeover.h"
#include "services/ingest/waiter.h"
#include "services/ingest/zindex.h"

#define HOST_SIZE 256

static const struct metric_table *const metrics[] = {
	&http_metrics,         &door_metrics,  &waiter_metrics,    &holds_metrics,
	&drain_metrics,        &judge_metrics, &takeover_metrics,  &janitor_metrics,
	&index_reader_metrics, &bus_metrics,   &preflight_metrics, NULL,
};

static const struct service_about about = {
	.name = "ingest",
	.summary = "takes DNS zones from DirectAdmin servers and decides what is true",
	.keys = ingest_keys,
	.metrics = metrics,
};

struct ingest {
	struct ingest_config config; /* first, as service_start wants it */
	struct service *service;
	struct senders *senders;
	struct zindex *index;
	struct index_reader *reader;
	struct judge_loop *judge;
	struct door *door;
	struct preflight_watch *watch;
	char source[HOST_SIZE + 16];
	char by[HOST_SIZE + 16];
};

static void name_ourselves(struct ingest *ingest)
{
	char host[HOST_SIZE] = "";

	if (gethostname(host, sizeof(host) - 1) != 0) {
		(void)snprintf(host, sizeof(host), "unknown");
	}
	(void)snprintf(ingest->source, sizeof(ingest->source), "/ingest/%s", host);
	(void)snprintf(ingest->by, sizeof(ingest->by), "%s:%d", host, (int)getpid());
}

static struct door_config door_config_of(const struct ingest *ingest)
{
	const struct ingest_config *config = &ingest->config;

	return (struct door_config){
		.http =
			{
				.listen = config->listen,
				.threads = config->threads,
				.connections = config->connections,
				.connections_per_address = config->connections_per_address,
				.bodies_bytes = config->bodies_bytes,
				.body_bytes = config->topics.message_bytes,
				.header_deadline_ms = config->header_deadline_ms,
				.body_deadline_ms = config->body_deadline_ms,
				.idle_ms = config->idle_ms,
			},
		.limits = ingest_zone_limits(config),
		.event_bytes = config->topics.message_bytes,
		.pushes_in_flight = config->pushes_in_flight,
		.linger_us = config->linger_us,
		.redis = &config->redis,
		.held = {.records = config->held_pushes, .bytes = config->held_bytes},
		.mass_deletes = config->mass_deletes,
		.mass_seconds = config->mass_seconds,
		.source = ingest->source,
	};
}

static enum outcome open_parts(struct ingest *ingest, struct reason *why)
{
	struct ingest_config *config = &ingest->config;
	const struct config *loaded = service_config(ingest->service);
	struct door_config door = door_config_of(ingest);
	const struct judge_config judge = {
		.partitions = (int32_t)config->topics.partitions,
		.value_bytes = config->topics.message_bytes + VALUE_EXTRA_BYTES,
		.in_flight = config->judge_in_flight,
		.nice = config->judge_nice,
		.bury_every_ms = config->judge_bury_every_ms,
		.source = ingest->source,
		.by = ingest->by,
	};
	enum outcome outcome;

	config->bus.client_id = "ingest";
	config->bus.config = loaded;
	outcome = ingest_check_memory(config, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = senders_create(&ingest->senders, loaded, config->auth_username,
				 config->auth_password, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = preflight_watch_open(
		&ingest->watch,
		&(struct preflight_watch_config){.bus = &config->bus,
						 .topics = &config->topics,
						 .redis = &config->redis,
						 .allow = config->preflight.allow,
						 .holds = true},
		ingest->service, why);
	if (outcome != OK) {
		return outcome;
	}
	ingest->index = zindex_create((int32_t)config->topics.partitions);
	outcome = index_reader_open(&ingest->reader, &config->bus, &config->topics, ingest->index,
				    ingest->service, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = judge_loop_open(&ingest->judge, &judge, &config->bus, ingest->index,
				  ingest->reader, ingest->service, why);
	if (outcome != OK) {
		return outcome;
	}
	return door_open(&ingest->door, &door, &config->bus, ingest->senders, ingest->index,
			 ingest->reader, ingest->service, why);
}

int main(int argc, char **argv)
{
	struct ingest ingest = {0};
	struct reason why;

	ingest.service = service_start(&about, &ingest.config, argc, argv);
	name_ourselves(&ingest);
	if (open_parts(&ingest, &why) == OK) {
		log_info("listening", F("address", ingest.config.listen));
	} else {
		service_stop(ingest.service, &why);
	}
	service_run(ingest.service);
	door_close(ingest.door);
	judge_loop_close(ingest.judge);
	index_reader_close(ingest.reader);
	preflight_watch_close(ingest.watch);
	zindex_destroy(ingest.index);
	senders_destroy(ingest.senders);
	return service_finish(ingest.service);
}
