/* SPDX-License-Identifier: Apache-2.0 */
/* preflight.h: is what we stand on set up so that the promises hold? Findings with stable names.
 *
 * One table of checks (below) gives names, docs/PREFLIGHT.md and the rows of
 * dadns_preflight_findings. A look adds findings; services tell them (log, metric, readiness), the
 * command line prints them. Nothing that works is stopped by a finding: a service that finds
 * something wrong says so and is not ready.
 *
 * Threads: a struct preflight belongs to one thread; preflight_tell may be called from any.
 */
#ifndef COMMON_PREFLIGHT_H
#define COMMON_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/config.h"
#include "common/metrics.h"
#include "common/mysql.h"
#include "common/outcome.h"
#include "common/redis.h"
#include "common/rndc.h"
#include "common/topics.h"

/* clang-format off */
/*   id, name, what must be, why, what to do */
#define PREFLIGHT_CHECKS(X)                                                                        \
	X(KAFKA_REACH, "kafka-reach", "Kafka answers",                                             \
	  "it is the store: without it nothing is pushed, judged or written",                      \
	  "look at the brokers, and at kafka.brokers")                                             \
	X(TOPIC_ABSENT, "topic-missing", "every topic exists",                                     \
	  "services make none: a topic made by accident has the wrong settings",                   \
	  "dadns topics apply; if it was there before, restore it first: it may have been deleted") \
	X(TOPIC_COUNTS, "topic-partitions", "topics have topics.partitions partitions (I2)",       \
	  "a zone's partition follows from their number: with another one it has two orders",      \
	  "set topics.partitions to what the topics have; never add partitions")                   \
	X(TOPIC_SETTINGS, "topic-settings", "topics have the settings that promises rest on",      \
	  "with cleanup.policy=delete zones vanish from the store after a week, for one",          \
	  "dadns topics apply sets them")                                                          \
	X(TOPIC_EPOCHS, "topic-epoch", "each partition of dadns.zones has one and the same epoch", \
	  "a version is epoch and offset: without it old stamps outrank new values (I4)",          \
	  "dadns topics apply; --new-epoch only for a log that was made anew or restored")         \
	X(KAFKA_CLOCK, "kafka-clock", "Kafka's clock is within 5 s of ours",                       \
	  "retention and what people read go by it; nothing is ordered by it",                     \
	  "NTP on the hosts of Kafka and ours")                                                    \
	X(REDIS_REACH, "redis-reach", "Redis answers",                                             \
	  "pushes are held there while Kafka is away, and retries kept",                           \
	  "look at Redis, redis.url and redis.password")                                           \
	X(REDIS_VERSION, "redis-version", "Redis is 6.0 or newer",                                 \
	  "older ones were never tried",                                                           \
	  "a newer Redis")                                                                         \
	X(REDIS_ROLE, "redis-role", "it is no replica",                                            \
	  "a replica takes no writes, or loses those that it takes",                               \
	  "point redis.url at the primary")                                                        \
	X(REDIS_AOF, "redis-aof", "appendonly is yes, and the file can be written",                \
	  "a push held there was acknowledged: a restart of Redis without it loses the push",      \
	  "appendonly yes (redis.conf, and CONFIG SET), room on its disk; or redis.url empty: nothing is held") \
	X(REDIS_FSYNC, "redis-fsync", "appendfsync is always",                                     \
	  "with everysec a crash of its host loses held pushes of the last second",                \
	  "appendfsync always (redis.conf, and CONFIG SET); a Redis of its own makes it cheap")    \
	X(REDIS_EVICTION, "redis-eviction", "maxmemory-policy is noeviction",                      \
	  "any other throws held pushes away when memory is short",                                \
	  "maxmemory-policy noeviction (redis.conf, and CONFIG SET)")                              \
	X(REDIS_CLOCK, "redis-clock", "Redis's clock is within 5 s of ours",                       \
	  "retries are due by it",                                                                 \
	  "NTP on the hosts of Redis and ours")                                                    \
	X(MYSQL_REACH, "mysql-reach", "the database answers",                                      \
	  "nothing is written there until it does; nothing is lost",                               \
	  "look at the server, at host, port, username, password of the stanza")                   \
	X(INNODB_ENGINE, "innodb-engine", "its tables are InnoDB",                                 \
	  "no other engine takes a zone whole: a reader would see half of it",                     \
	  "ALTER TABLE NAME ENGINE=InnoDB")                                                           \
	X(INNODB_FLUSH, "innodb-flush", "innodb_flush_log_at_trx_commit is 1",                     \
	  "else a crash of its host takes the last second back; the writer sees that, and brings it again", \
	  "innodb_flush_log_at_trx_commit=1")                                                      \
	X(SQL_MODE, "sql-mode", "sql_mode is strict",                                              \
	  "else what does not fit is cut without a word",                                          \
	  "sql_mode with STRICT_TRANS_TABLES; a proxy in between must pass SET SESSION on")        \
	X(MYSQL_READONLY, "mysql-readonly", "the server takes writes",                             \
	  "a replica, or one that is read_only, refuses what the writer brings",                   \
	  "point host at the primary")                                                             \
	X(MYSQL_CLOCK, "mysql-clock", "its clock is within 5 s of ours",                           \
	  "the writer tells tables that were restored by when they were made",                     \
	  "NTP on the hosts of the database and ours")                                             \
	X(BIND_REACH, "bind-reach", "named answers on its control channel",                        \
	  "nothing is written there until it does; nothing is lost",                               \
	  "look at named, at rndc and rndc_key_file of the stanza")                                \
	X(BIND_NEW_ZONES, "bind-new-zones", "allow-new-zones is yes",                              \
	  "new zones are added to the running named",                                              \
	  "allow-new-zones yes; in the options of named.conf, rndc reconfig")                      \
	X(BIND_OVERLAP, "bind-overlap", "no zone of ours is in named.conf as well",                \
	  "named would not start again",                                                           \
	  "take the zone out of named.conf, before named is restarted")                            \
	X(JUDGE_ALIVE, "judge-alive", "somebody judges",                                           \
	  "pushes are taken, and nothing becomes true of them",                                    \
	  "look at the ingest processes")                                                          \
	X(WRITER_ALIVE, "writer-alive", "each enabled backend has a writer",                       \
	  "else it goes on serving what it had",                                                   \
	  "start its writer, or enabled: false in its stanza")                                     \
	X(HOLDS_WAITING, "holds-waiting", "no push is held while Kafka answers",                   \
	  "they are drained within seconds of Kafka's return",                                     \
	  "dadns hold list; look at the ingest processes")                                         \
	X(RETRIES_WAITING, "retries-waiting", "no zone waits for another try",                     \
	  "a backend refused it",                                                                  \
	  "dadns retry list says which and why")                                                   \
	X(DEAD_LETTERS, "dead-letters", "no dead letters",                                         \
	  "a zone was refused for good, or a record could not be read",                            \
	  "dadns dlq list says which and why")
/* clang-format on */

#define PREFLIGHT_ID(id, name, must, why, remedy) CHECK_##id,
enum check { PREFLIGHT_CHECKS(PREFLIGHT_ID) CHECKS };
#undef PREFLIGHT_ID

struct check_about {
	const char *name;
	const char *must;
	const char *why;
	const char *remedy;
};
extern const struct check_about check_abouts[CHECKS];

enum finding_state {
	FINDING_RIGHT,
	FINDING_UNSEEN, /* not from here: the text says where to look */
	FINDING_WARN,   /* it works, and is not as it should be */
	FINDING_WRONG,  /* promises do not hold */
	FINDING_AWAY,   /* could not be reached */
};
const char *finding_state_text(enum finding_state state);

struct finding {
	enum check check;
	enum finding_state state;
	char where[96]; /* "redis 127.0.0.1:6379", "ns1", "dadns.zones" */
	struct reason text;
};

struct preflight {
	const char *allow; /* names that are only warned about, comma separated; borrowed */
	/* What these count for: to a service nothing that is away is news, and a writer does
	 * without Redis (I12). */
	enum finding_state wrong_is;
	enum finding_state away_is;
	struct finding *items; /* owned */
	size_t count;
};

struct preflight_config {
	const char *allow;
};
#define PREFLIGHT_KEYS(struct_, member_)                                                        \
	KEY(struct_, member_.allow, "preflight.allow", "",                                      \
	    "names of checks (docs/PREFLIGHT.md) that are only warned about, comma separated: " \
	    "for who knows why")

/* PERMFAIL: it names a check that there is not. */
MUST_CHECK enum outcome preflight_check_allow(const char *allow, struct reason *why);
void preflight_init(struct preflight *preflight, const char *allow);
void preflight_finish(struct preflight *preflight);
void preflight_say(struct preflight *preflight, enum check check, enum finding_state state,
		   const char *where, const char *format, ...) PRINTF_LIKE(5, 6);
/* "redis-aof: redis 127.0.0.1:6379: appendonly is no: ..." */
void preflight_text(const struct finding *finding, struct reason *out);
/* The first of that state, or NULL. */
const struct finding *preflight_first(const struct preflight *preflight, enum finding_state state);
/* Warns over CLOCK_SKEW_MS. `theirs_ms` was read between the two of ours. */
#define CLOCK_SKEW_MS 5000
void preflight_clock(struct preflight *preflight, enum check check, const char *where,
		     int64_t before_ms, int64_t theirs_ms, int64_t after_ms);

/* --- looks: each blocks for some `timeout_ms`, and changes nothing ---------------------------- */

/* `deep`: also the epoch, for which zones is read as a whole, and the clock. */
void preflight_kafka(struct preflight *preflight, const struct bus_config *bus,
		     const struct topics_config *topics, int timeout_ms, bool deep);
void preflight_redis(struct preflight *preflight, const struct redis_config *redis);
/* Of the database that `sql` opens; `tables` (a list that ends with NULL) are looked for there. */
void preflight_mysql(struct preflight *preflight, const char *where, struct sql *sql,
		     const char *const *tables);
/* `zones_dir` as the writer has it; it and named.conf are looked at if they are on this host. */
void preflight_bind(struct preflight *preflight, const char *where, struct rndc *rndc,
		    const char *zones_dir, int timeout_ms);

/* --- for services ----------------------------------------------------------------------------- */

/* One log line for each finding that changed since it was last told, and the metric. Returns the
 * first that is wrong, or NULL. */
const struct finding *preflight_tell(const struct preflight *preflight);

extern const struct metric_table preflight_metrics;

#endif
