/* SPDX-License-Identifier: Apache-2.0 */
/* bus.h: Kafka, as a producer and a consumer promise it. librdkafka stays in bus_*.c.
 *
 * Producer: acks=all, idempotent, partitioner murmur2_random (I2). A delivery report without error
 * means the record is in the log. Consumer: auto.offset.reset=earliest, only stored offsets are
 * committed, by the library's own auto commit (I3), range assignor, one message a poll (2.0.2 skips
 * offsets in its batch call).
 *
 * Threads: a producer may be sent to from any thread; reports are called by whoever calls
 * bus_producer_poll. A consumer belongs to one thread; its listener is called inside bus_poll,
 * bus_consumer_close.
 */
#ifndef COMMON_BUS_H
#define COMMON_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/config.h"
#include "common/event.h"
#include "common/metrics.h"
#include "common/outcome.h"

/* Constructors touch nothing outside; first contact is lazy. */
struct bus_config {
	const char *brokers;
	const char *client_id;       /* "ingest"; set by the service */
	const struct config *config; /* its config_rest goes to librdkafka; may be NULL */
};
#define BUS_KEYS(struct_, member_)                                                           \
	KEY(struct_, member_.brokers, "kafka.brokers", "127.0.0.1:9092",                     \
	    "Kafka bootstrap servers, host:port, comma separated; further kafka.* keys are " \
	    "librdkafka's")

/* --- producer ----------------------------------------------------------------------------------
 */

struct bus_producer;

struct bus_producer_options {
	int64_t linger_us;     /* 0: send at once */
	int64_t timeout_ms;    /* until a record is given up; 0: never */
	int64_t queue_records; /* ceiling of records not yet reported; 0: the library's */
	int64_t queue_bytes;
};

struct bus_record {
	const char *topic;
	int32_t partition; /* BUS_BY_KEY, or a number */
	struct span key;
	struct span value; /* data NULL: a null value */
	const struct header *headers;
	size_t header_count;
};
#define BUS_BY_KEY (-1)

struct bus_report {
	enum outcome outcome; /* OK: in the log. TEMPFAIL/PERMFAIL: not known to be */
	bool maybe;           /* failed, but it may have reached the log all the same */
	int32_t partition;
	int64_t offset; /* -1: unknown (a repeated, de-duplicated send): never a version */
	struct reason why;
};
typedef void (*bus_delivered)(void *context, const struct bus_report *report);

/* PERMFAIL: librdkafka refused a setting. */
MUST_CHECK enum outcome bus_producer_create(struct bus_producer **out,
					    const struct bus_config *config,
					    const struct bus_producer_options *options,
					    struct reason *why);
/* Connects, asks about `topic` and gets the producer's id, so that the first record need not wait
 * for that. TEMPFAIL: Kafka is away; sending works all the same when it is back. */
MUST_CHECK enum outcome bus_producer_warm(struct bus_producer *producer, const char *topic,
					  int timeout_ms, struct reason *why);
/* Copies the record. OK: `delivered` (may be NULL) will be called exactly once. TEMPFAIL: queue
 * full, or no such topic yet; PERMFAIL: never (too large, fatal error); then it is not called. */
MUST_CHECK enum outcome bus_send(struct bus_producer *producer, const struct bus_record *record,
				 bus_delivered delivered, void *context, struct reason *why);
/* Calls reports that are due; waits up to `timeout_ms` for the first. Returns how many. */
int bus_producer_poll(struct bus_producer *producer, int timeout_ms);
int64_t bus_in_flight(struct bus_producer *producer);
/* True after an error that this producer cannot survive; the process must end. */
bool bus_producer_fatal(struct bus_producer *producer, struct reason *why);
/* Waits until everything is reported; TEMPFAIL: `timeout_ms` passed first. */
MUST_CHECK enum outcome bus_flush(struct bus_producer *producer, int timeout_ms,
				  struct reason *why);
/* Purges what is left: its reports are called as failed. Accepts NULL. */
void bus_producer_destroy(struct bus_producer *producer);

/* --- consumer ----------------------------------------------------------------------------------
 */

struct bus_consumer;

struct bus_message {
	const char *topic;
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms; /* LogAppendTime */
	struct span key;
	struct span value;
	bool is_null; /* a tombstone */
	const struct header *headers;
	size_t header_count;
};
/* First header of that name; data NULL: absent. Borrowed from the message. */
struct span bus_message_header(const struct bus_message *message, const char *name);
void bus_message_destroy(struct bus_message *message);

#define BUS_START_COMMITTED (-1) /* the committed offset, else the earliest */

struct bus_listener {
	void *context;
	/* The group gave us this partition. `committed`: -1 none. Returns where to begin:
	 * an offset >= 0, or BUS_START_COMMITTED. May call bus_pause for it. */
	int64_t (*assigned)(void *context, const char *topic, int32_t partition, int64_t committed);
	/* Work for it must be dropped; offsets stored before this call are still committed unless
	 * `lost` (another member may have it already). */
	void (*revoked)(void *context, const char *topic, int32_t partition, bool lost);
};

struct bus_consumer_options {
	const char *group; /* NULL: no group; bus_assign decides what is read, nothing is stored */
	int64_t prefetch_bytes; /* what the library may read ahead per process; 0: 8 MiB */
	/* The broker answers a fetch when it has this much, or after that long: a reader that can
	 * wait costs it fewer requests. 0: at once when there is anything. */
	int64_t fetch_min_bytes;
	int64_t fetch_wait_ms;
};

MUST_CHECK enum outcome bus_consumer_create(struct bus_consumer **out,
					    const struct bus_config *config,
					    const struct bus_consumer_options *options,
					    const struct bus_listener *listener,
					    struct reason *why);
/* With a group. `topics` ends with NULL. */
MUST_CHECK enum outcome bus_subscribe(struct bus_consumer *consumer, const char *const *topics,
				      struct reason *why);
/* Without a group: these partitions of `topic`, each from an offset; 0, or one that is not there
 * any more: from what is left of its beginning. */
struct bus_start {
	int32_t partition;
	int64_t offset;
};
MUST_CHECK enum outcome bus_assign(struct bus_consumer *consumer, const char *topic,
				   const struct bus_start *starts, size_t count,
				   struct reason *why);
/* Without a group: every partition of `topic` (count given) from the beginning. */
MUST_CHECK enum outcome bus_assign_all(struct bus_consumer *consumer, const char *topic,
				       int32_t partitions, struct reason *why);
/* Without a group: bus_poll has once handed out everything up to the partition's end. An offset
 * cannot tell: compaction may take the last one. */
bool bus_at_end(const struct bus_consumer *consumer, const char *topic, int32_t partition);
/* Next message, yours to destroy, or NULL when `timeout_ms` passed (earlier when only an error or
 * an end of partition came). Must be called again within 5 minutes, also while everything is
 * paused. A message is memory of its own: it may outlive the consumer. */
struct bus_message *bus_poll(struct bus_consumer *consumer, int timeout_ms);
/* I3: everything of this partition below `next_offset` is done. False: the partition is not ours
 * (any more); nothing stored. */
bool bus_store(struct bus_consumer *consumer, const char *topic, int32_t partition,
	       int64_t next_offset);
void bus_pause(struct bus_consumer *consumer, const char *topic, int32_t partition);
void bus_resume(struct bus_consumer *consumer, const char *topic, int32_t partition);
MUST_CHECK enum outcome bus_seek(struct bus_consumer *consumer, const char *topic,
				 int32_t partition, int64_t offset, struct reason *why);
bool bus_consumer_fatal(struct bus_consumer *consumer, struct reason *why);
/* The last error the library reported, e.g. all brokers down; empty text: none since a message
 * last came. For readiness pages. */
const char *bus_consumer_trouble(const struct bus_consumer *consumer);
/* Leaves the group (commits what is stored) and frees; what the library has not ended after 5 s is
 * left behind, for the process to end with. Accepts NULL. */
void bus_consumer_close(struct bus_consumer *consumer);

/* --- single records, without waiting -------------------------------------------------------------
 */

struct bus_fetcher;

struct bus_fetched {
	void *ticket;
	struct bus_message *message; /* yours to destroy; NULL: it is not there (compacted away) */
};

/* One kept-open reader for any number of records; belongs to one thread. */
MUST_CHECK enum outcome bus_fetcher_create(struct bus_fetcher **out,
					   const struct bus_config *config, struct reason *why);
/* Asks for the record at `offset`; it is asked for until Kafka tells. `topic` is a constant. */
void bus_fetch(struct bus_fetcher *fetcher, const char *topic, int32_t partition, int64_t offset,
	       void *ticket);
/* The next answer, in any order; never waits. False: none is there. */
bool bus_fetched(struct bus_fetcher *fetcher, struct bus_fetched *out);
size_t bus_fetching(const struct bus_fetcher *fetcher); /* asked for and not yet given */
/* What is not yet given is forgotten, its tickets too. Accepts NULL. */
void bus_fetcher_destroy(struct bus_fetcher *fetcher);

/* --- looks at the cluster, blocking up to `timeout_ms` -------------------------------------------
 */

/* First and next offset of a partition. */
MUST_CHECK enum outcome bus_watermarks(struct bus_consumer *consumer, const char *topic,
				       int32_t partition, int64_t *low, int64_t *high,
				       int timeout_ms, struct reason *why);
/* Where a record with this key lies (I2: murmur2, as the producer sends it). The key is not empty.
 */
int32_t bus_partition_of(struct span key, int32_t partitions);
/* Number of partitions; PERMFAIL: there is no such topic. */
MUST_CHECK enum outcome bus_partitions(struct bus_consumer *consumer, const char *topic,
				       int32_t *count, int timeout_ms, struct reason *why);
/* How many offsets the consumer's group has not committed of `topic`: what it has not done yet, and
 * what compaction has taken since. It is not joined. */
MUST_CHECK enum outcome bus_lag(struct bus_consumer *consumer, const char *topic,
				int32_t partitions, int64_t *lag, int timeout_ms,
				struct reason *why);
/* The one record at `offset`, by a short-lived reader of its own; yours to destroy. PERMFAIL: it
 * is not there (compacted away). */
MUST_CHECK enum outcome bus_fetch_one(const struct bus_config *config, const char *topic,
				      int32_t partition, int64_t offset, int timeout_ms,
				      struct bus_message **out, struct reason *why);

extern const struct metric_table bus_metrics;

#endif
