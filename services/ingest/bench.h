/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h: where the judge sits: its partitions, its producers, its work in flight. For the
 * judge's own files (bench.c sends, takeover.c takes partitions over, judge_loop.c runs it).
 *
 * Every push that is worked on is an item of its partition's tracker; its offset is stored when
 * the delivery reports of all that it made have come (I3). The producers never give a record up;
 * what they cannot survive ends the process.
 *
 * Threads: all of it belongs to the judge's thread; delivery reports are taken there too.
 */
#ifndef INGEST_BENCH_H
#define INGEST_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/event.h"
#include "common/metrics.h"
#include "common/service.h"
#include "services/ingest/judge.h"
#include "services/ingest/tracker.h"
#include "services/ingest/zindex.h"

enum bench_phase {
	PHASE_NONE,    /* not ours */
	PHASE_TAKEN,   /* ours, paused: no barrier sent yet */
	PHASE_BARRIER, /* waiting to read our barrier back */
	PHASE_REPAIR,  /* waiting for zones to be settled */
	PHASE_WORKING,
};

struct bench_partition {
	enum bench_phase phase;
	int64_t committed; /* -1: none */
	int64_t epoch;
	int64_t fence;    /* I4: pushes below it were judged before: status only */
	int64_t position; /* next offset to come; -1: unknown */
	int64_t again_ms; /* not before: the next look, the next repair */
	struct tracker tracker;
};

struct bench {
	const struct bus_config *bus;
	struct service *service;
	struct zindex *index;
	struct bus_consumer *consumer;
	struct bus_producer *values;
	struct bus_producer *statuses;
	struct bench_partition *partitions;
	int32_t partition_count;
	int64_t value_bytes; /* ceiling of one record of dadns.zones */
	const char *source;  /* "/ingest/HOST" */
	const char *by;      /* "HOST:PID" */
	int64_t in_flight;   /* items in trackers */
	struct buf value;    /* encoding room, kept */
	struct buf status;
	struct buf key;
	bool failed; /* a record was given up: nothing is stored any more */
};

struct bench_work {
	struct tracker_item item; /* first */
	struct bench *bench;
	int32_t partition;
};

/* Begins work on a push; it is not finished before bench_end. */
struct bench_work *bench_begin(struct bench *bench, const struct bus_message *message);
/* Nothing more will be sent for it. */
void bench_end(struct bench_work *work);

/* Each waits while the producer's queue is full. TEMPFAIL: the service shall end. PERMFAIL: the
 * broker would never take it. */
MUST_CHECK enum outcome bench_send_value(struct bench_work *work, const struct zone_event *value,
					 struct span traceparent, struct reason *why);
MUST_CHECK enum outcome bench_send_status(struct bench_work *work,
					  const struct status_event *status,
					  struct span traceparent, struct reason *why);
/* The refusal of a held push, for the judges that come: its id must be known when a further copy
 * of it comes. */
MUST_CHECK enum outcome bench_send_refusal(struct bench_work *work,
					   const struct status_event *status,
					   struct span traceparent, struct reason *why);
MUST_CHECK enum outcome bench_send_dead_letter(struct bench_work *work,
					       const struct bus_message *message,
					       const struct dead_letter *letter,
					       struct reason *why);
MUST_CHECK enum outcome bench_send_barrier(struct bench *bench, int32_t partition,
					   struct reason *why);
/* I5: nothing is left of the zone but this version, as which the tombstone ranks. */
MUST_CHECK enum outcome bench_send_tombstone(struct bench *bench, int32_t partition,
					     const struct name *zone, struct version version,
					     struct reason *why);
/* The same bytes again, as the zone's last record (DESIGN section 4). */
MUST_CHECK enum outcome bench_send_copy(struct bench *bench, const struct bus_message *message,
					struct reason *why);

/* Takes delivery reports; waits up to `timeout_ms` for the first. */
void bench_poll(struct bench *bench, int timeout_ms);
/* Work of this partition is nobody's any more. */
void bench_drop(struct bench *bench, int32_t partition);

#endif
