/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h: gives held pushes to Kafka, of each zone the oldest, and the next one when it is in the
 * log; many zones at once.
 *
 * Any number of drainers in any number of processes: a zone is drained by who has its lock. Each
 * push goes out under its own id, with its own headers, and is popped only after Kafka's report
 * (I1). A drainer that died or stalled loses its locks, another one sends the same push again, and
 * the judge refuses the copy that comes second. What cannot be sent keeps its lock until that
 * expires: this is the pause until somebody tries again.
 *
 * The producer never gives up a record, so a frozen Kafka gets no copies from one drainer. While
 * nothing is delivered no further zones are taken, and after drain_expect_trouble one alone: it is
 * the probe.
 *
 * Threads: none of its own; one thread calls everything here and reads Redis's answers (hold_hear).
 */
#ifndef COMMON_DRAIN_H
#define COMMON_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/hold.h"
#include "common/metrics.h"
#include "common/name.h"
#include "common/outcome.h"
#include "common/redis.h"

#define DRAIN_LOCK_MS 15000
#define DRAIN_QUEUE_BYTES ((int64_t)64 << 20) /* I9: what librdkafka may hold for it */

struct drain;

enum drain_news {
	DRAIN_DELIVERED, /* a push is in the log */
	DRAIN_POPPED,    /* and out of the hold */
	DRAIN_LOST,      /* the lock was not ours any more: somebody else goes on */
	DRAIN_LATER,     /* not now: Kafka or Redis are in trouble (`why`) */
	DRAIN_STUCK,     /* never: a human is needed (`why`) */
};
struct drain_config {
	struct redis *redis;          /* borrowed */
	const struct bus_config *bus; /* borrowed */
	const struct name *only;      /* NULL, or the one zone to drain; borrowed */
	int64_t redis_timeout_ms;
	void (*news)(void *context, enum drain_news news, const struct name *zone,
		     const struct reason *why); /* why: NULL where there is nothing to say */
	void *context;
};

/* PERMFAIL: Kafka's settings are wrong. */
MUST_CHECK enum outcome drain_create(const struct drain_config *config, struct drain **out,
				     struct reason *why);
/* What is in flight is dropped; its locks expire by themselves. Accepts NULL. */
void drain_destroy(struct drain *drain);

/* Does what is due; never waits. */
void drain_turn(struct drain *drain);
/* How long the caller may wait until the next turn, at most. */
int drain_wait_ms(const struct drain *drain);
/* Something was held just now. */
void drain_hint(struct drain *drain);
/* Kafka does not take records at the moment. */
void drain_expect_trouble(struct drain *drain);
/* Takes no further zones, and of those that it has no further push. */
void drain_stop(struct drain *drain);
bool drain_is_idle(const struct drain *drain); /* nothing is in flight */
/* What was held at the last look, a second ago at most while Redis is there. */
struct hold_totals drain_totals(const struct drain *drain);
/* How often it has looked. */
int64_t drain_looks(const struct drain *drain);
/* As bus_producer_fatal. */
bool drain_fatal(struct drain *drain, struct reason *why);

extern const struct metric_table drain_metrics;

#endif
