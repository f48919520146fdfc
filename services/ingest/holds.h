/* SPDX-License-Identifier: Apache-2.0 */
/* holds.h: the way of a push into the log, and into Redis when Kafka is away (DESIGN section 5).
 *
 * A push must not overtake those that are held for its zone. So Redis is asked first; then
 *   something is held for the zone   it joins the hold, behind the others
 *   nothing is                       to Kafka; the delivery report ends it (I1)
 *   Redis did not answer in 50 ms    to Kafka as `unchecked`
 * The first push that Kafka refuses, or does not confirm for 4 s, is held, with it everything that
 * is in flight, in its order, each under its own id: what has reached the log all the same is found
 * there as a duplicate by the judge. From then on Kafka is *away*: pushes are held at once, until a
 * held one is delivered (the drain's, common/drain.h): that is the probe. A held push carries
 * `seen`, the highest version of its zone that we knew. Where Redis cannot hold it either, Kafka is
 * tried once, whatever we think of it; then the push is lost, and its sender is told so.
 * Explicit deletes are counted by the same look, for each sender (I11).
 *
 * An installation without Redis has no holds: everything goes to Kafka, and that is certain.
 *
 * Threads: holds_take may be called from any; delivery reports come from whoever polls the
 * producer; holds_turn from one thread. One lock guards what they share; `done` is called without
 * it, by either of the last two, or within holds_take.
 */
#ifndef INGEST_HOLDS_H
#define INGEST_HOLDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/event.h"
#include "common/hold.h"
#include "common/metrics.h"
#include "common/outcome.h"
#include "common/redis.h"
#include "services/ingest/zindex.h"

#define HOLDS_LOOK_MS 50
#define HOLDS_REPORT_MS 4000
/* I9: what pushes on their way may take; once more on its way to Redis. */
#define HOLDS_QUEUE_BYTES ((int64_t)64 << 20)

struct holds;

struct holds_config {
	struct bus_producer *producer; /* the door's; borrowed */
	const struct bus_config *bus;  /* of the drain's producer; borrowed */
	const struct redis_config *redis;
	const struct zindex *index;
	struct hold_ceilings ceilings;
	int64_t mass_deletes; /* of a sender within mass_seconds; 0: not counted */
	int64_t mass_seconds;
	const char *source; /* "/ingest/HOST", borrowed */
};

enum holds_result {
	HOLDS_DELIVERED, /* in the log */
	HOLDS_HELD,      /* in Redis, confirmed */
	HOLDS_FULL,      /* in neither: as much is held as may be */
	HOLDS_LOST,      /* in neither, as far as we know: `why` tells both troubles */
	HOLDS_REFUSED,   /* Kafka will never take it */
};
/* Exactly once for each push, unless holds_silence came first. `why` of the last three. */
typedef void (*holds_done)(void *context, enum holds_result result, const struct reason *why);

/* What of a push matters on its way. */
struct holds_push {
	struct event_id id;
	struct name zone;
	bool is_delete;
	const char *sender; /* outlives the push */
	int64_t received_at_ms;
	struct span traceparent; /* copied */
	struct buf *value;       /* encoded without mass, unchecked, seen; its bytes are taken */
};
/* Room that `value` must have beside its content. */
#define HOLDS_MARKS_BYTES 256

/* PERMFAIL: redis.url makes no sense, or Kafka's settings. Without a redis.url holds_turn has
 * nothing to do and must not be called. */
MUST_CHECK enum outcome holds_create(const struct holds_config *config, struct holds **out,
				     struct reason *why);
/* After the producer, whose last reports it takes. Accepts NULL. */
void holds_destroy(struct holds *holds);

void holds_take(struct holds *holds, const struct holds_push *push, holds_done done, void *context);
/* Does what is to be done, waits up to 100 ms for more. */
void holds_turn(struct holds *holds);
/* From now on nobody is answered. From any thread, as the next. */
void holds_silence(struct holds *holds);
/* No further held push is sent; true when none is on its way any more. */
bool holds_stop_draining(struct holds *holds);

/* On the thread of holds_turn: Redis is there and has room. */
bool holds_can_hold(const struct holds *holds);
/* As bus_producer_fatal, of the drain's. */
bool holds_fatal(struct holds *holds, struct reason *why);

extern const struct metric_table holds_metrics;

#endif
