/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_config.h: the keys of ingest, and whether its ceilings fit its memory (I9).
 */
#ifndef INGEST_INGEST_CONFIG_H
#define INGEST_INGEST_CONFIG_H

#include "common/bus.h"
#include "common/config.h"
#include "common/outcome.h"
#include "common/preflight.h"
#include "common/redis.h"
#include "common/service.h"
#include "common/topics.h"
#include "common/zone.h"

struct ingest_config {
	struct service_config service; /* first, as service_start wants it */
	struct bus_config bus;
	struct topics_config topics;
	struct redis_config redis;
	struct preflight_config preflight;
	const char *listen;
	const char *auth_username;
	const char *auth_password;
	int64_t threads;
	int64_t connections;
	int64_t connections_per_address;
	int64_t bodies_bytes;
	int64_t header_deadline_ms;
	int64_t body_deadline_ms;
	int64_t idle_ms;
	int64_t pushes_in_flight;
	int64_t linger_us;
	int64_t held_pushes;
	int64_t held_bytes;
	int64_t mass_deletes;
	int64_t mass_seconds;
	int64_t memory_bytes;
	int64_t zone_records;
	int64_t zone_rdata_bytes;
	int64_t zone_ttl_max;
	int64_t zone_warnings;
	int64_t judge_in_flight;
	int64_t judge_nice;
	int64_t judge_bury_every_ms;
};

/* Tables, ends with NULL. */
extern const struct config_key *const ingest_keys[];

/* A record of dadns.zones: the push and what the value adds to it (I9). */
#define VALUE_EXTRA_BYTES 65536

struct zone_limits ingest_zone_limits(const struct ingest_config *config);
/* What all ceilings together may take, without the index. */
int64_t ingest_memory_bytes(const struct ingest_config *config);
/* PERMFAIL: it is over app.memory_bytes; `why` says what to lower. */
MUST_CHECK enum outcome ingest_check_memory(const struct ingest_config *config, struct reason *why);

#endif
