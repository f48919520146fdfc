/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/ingest_config.h"

#include "common/drain.h"
#include "common/legacy_keys.h"
#include "services/ingest/door.h"
#include "services/ingest/holds.h"
#include "services/ingest/janitor.h"
#include "services/ingest/judge_loop.h"
#include "services/ingest/senders.h"

/* A zone while it is parsed, in all its forms, against its text; generous. */
#define PARSED_PER_TEXT 16
#define CONNECTION_BYTES 32768               /* its header buffer and what the HTTP library keeps */
#define READ_AHEAD_BYTES ((int64_t)32 << 20) /* two consumers */

/* clang-format off */
static const struct config_key own_keys[] = {
	BUS_KEYS(struct ingest_config, bus),
	TOPICS_KEYS(struct ingest_config, topics),
	REDIS_KEYS(struct ingest_config, redis),
	PREFLIGHT_KEYS(struct ingest_config, preflight),
	KEY(struct ingest_config, listen, "app.listen", ":2222",
	    "where DirectAdmin servers push to; \":2222\" is every address"),
	KEY(struct ingest_config, auth_username, "app.auth_username", "directdnsonly",
	    "user name of the default account, which may speak for any DirectAdmin server"),
	SECRET(struct ingest_config, auth_password, "app.auth_password", NULL,
	       "its password; must not be empty"),
	KEY_RANGE(struct ingest_config, threads, "app.threads", "2", 1, 64,
		  "threads that serve HTTP and parse zones"),
	KEY_RANGE(struct ingest_config, connections, "app.connections", "4096", 8, 65536,
		  "connections at once"),
	KEY_RANGE(struct ingest_config, connections_per_address, "app.connections_per_address",
		  "1024", 1, 65536, "connections at once from one address"),
	KEY_RANGE(struct ingest_config, bodies_bytes, "app.bodies_bytes", "268435456", 1048576,
		  1099511627776, "bytes of all bodies that are being received and worked on at once; over it a push is answered 503"),
	KEY_RANGE(struct ingest_config, header_deadline_ms, "app.header_deadline_ms", "10000",
		  100, 600000, "until a request's header must be complete"),
	KEY_RANGE(struct ingest_config, body_deadline_ms, "app.body_deadline_ms", "60000", 100,
		  600000, "until its body must be complete"),
	KEY_RANGE(struct ingest_config, idle_ms, "app.idle_ms", "60000", 100, 3600000,
		  "until a kept connection without a request is closed"),
	KEY_RANGE(struct ingest_config, pushes_in_flight, "app.pushes_in_flight", "8192", 1000,
		  1000000, "pushes waiting for Kafka's confirmation; further ones are answered as busy"),
	KEY_RANGE(struct ingest_config, linger_us, "app.linger_us", "1000", 0, 100000,
		  "how long a push waits for company, in microseconds: in a burst one request carries many"),
	KEY_RANGE(struct ingest_config, held_pushes, "app.held_pushes", "100000", 0, 100000000,
		  "pushes that may be held in Redis while Kafka is away, of all replicas together; further ones are answered with an error"),
	KEY_RANGE(struct ingest_config, held_bytes, "app.held_bytes", "1073741824", 0,
		  1099511627776, "what they may take in Redis, in bytes"),
	KEY_RANGE(struct ingest_config, mass_deletes, "app.mass_deletes", "1000", 0, 1000000000,
		  "explicit deletes of one sender within app.mass_seconds; further ones wait until somebody releases them; 0: no limit"),
	KEY_RANGE(struct ingest_config, mass_seconds, "app.mass_seconds", "3600", 1, 2592000,
		  "the time within which a sender's deletes are counted"),
	KEY_RANGE(struct ingest_config, memory_bytes, "app.memory_bytes", "1073741824", 67108864,
		  1099511627776, "what all ceilings of this process together may take, the index aside (some 200 bytes a zone)"),
	KEY_RANGE(struct ingest_config, zone_records, "app.zone_records", "50000", 10, 10000000,
		  "records of one zone"),
	KEY_RANGE(struct ingest_config, zone_rdata_bytes, "app.zone_rdata_bytes", "65535", 255,
		  65535, "bytes of one record's data"),
	KEY_RANGE(struct ingest_config, zone_ttl_max, "app.zone_ttl_max", "2147483647", 1,
		  2147483647, "largest TTL; a larger one is refused"),
	KEY_RANGE(struct ingest_config, zone_warnings, "app.zone_warnings", "20", 0, 1000,
		  "warnings kept with a push"),
	KEY_RANGE(struct ingest_config, judge_in_flight, "judge.in_flight", "8192", 16, 1000000,
		  "pushes judged and not yet confirmed by Kafka"),
	KEY_RANGE(struct ingest_config, judge_nice, "judge.nice", "5", 0, 19,
		  "how far the judge's thread steps back when doors need the processor (nice)"),
	KEY_RANGE(struct ingest_config, judge_bury_every_ms, "judge.bury_every_ms", "21600000", 0,
		  2592000000, "how often to look for deleted zones of which no push is left in dadns.pushes and which every registered backend has confirmed: they get a tombstone in dadns.zones; 0: never"),
	{0},
};
/* clang-format on */

const struct config_key *const ingest_keys[] = {
	own_keys, senders_keys, legacy_keys, backend_stanza_keys, writer_branch_keys, NULL,
};

struct zone_limits ingest_zone_limits(const struct ingest_config *config)
{
	return (struct zone_limits){
		.text_bytes = (size_t)config->topics.message_bytes,
		.records = (size_t)config->zone_records,
		.rdata_bytes = (size_t)config->zone_rdata_bytes,
		.ttl_max = (uint32_t)config->zone_ttl_max,
		.warnings = (size_t)config->zone_warnings,
	};
}

int64_t ingest_memory_bytes(const struct ingest_config *config)
{
	int64_t connections = config->connections * CONNECTION_BYTES;
	int64_t parsing = config->threads * config->topics.message_bytes * PARSED_PER_TEXT;

	return connections + config->bodies_bytes + parsing + 2 * HOLDS_QUEUE_BYTES +
	       DOOR_QUEUE_BYTES + DRAIN_QUEUE_BYTES + JUDGE_QUEUE_BYTES + READ_AHEAD_BYTES +
	       (config->judge_bury_every_ms > 0 ? JANITOR_BYTES : 0);
}

enum outcome ingest_check_memory(const struct ingest_config *config, struct reason *why)
{
	int64_t need = ingest_memory_bytes(config);

	if (need > config->memory_bytes) {
		return because(
			PERMFAIL, why,
			"app.connections, app.bodies_bytes and the other ceilings may together "
			"take %lld MiB, app.memory_bytes allows %lld MiB: raise it, or lower "
			"app.connections, app.bodies_bytes, app.threads or topics.message_bytes",
			(long long)(need >> 20), (long long)(config->memory_bytes >> 20));
	}
	return OK;
}
