/* SPDX-License-Identifier: Apache-2.0 */
/* judge_loop.h: the judge's thread: dadns.pushes in group dadns.judge -> verdicts -> dadns.zones
 * and dadns.status. One judge per partition at a time; a zombie is fenced by versions (I4).
 *
 * Pipelined: a value and its status are sent at once, thousands may be in flight; the memory of the
 * zone changes when the verdict falls, so that the next push is judged on it. Offsets are stored
 * behind the delivery reports (I3).
 *
 * Status records: one for every push that is the zone's newest word. A push older than the zone's
 * value gets none: in a compacted topic it would take the newer one's place.
 *
 * Threads: one of its own.
 */
#ifndef INGEST_JUDGE_LOOP_H
#define INGEST_JUDGE_LOOP_H

#include <stdint.h>

#include "common/bus.h"
#include "common/metrics.h"
#include "common/outcome.h"
#include "common/service.h"
#include "services/ingest/index_reader.h"
#include "services/ingest/zindex.h"

struct judge_config {
	int32_t partitions;
	int64_t value_bytes;   /* ceiling of one record of dadns.zones */
	int64_t in_flight;     /* I9: pushes worked on and not confirmed */
	int64_t nice;          /* of its thread */
	int64_t bury_every_ms; /* janitor.h */
	const char *source;    /* "/ingest/HOST", borrowed */
	const char *by;        /* "HOST:PID", borrowed */
};

#define JUDGE_QUEUE_BYTES ((int64_t)128 << 20) /* of its two producers */

struct judge_loop;

/* All borrowed until judge_loop_close. */
MUST_CHECK enum outcome judge_loop_open(struct judge_loop **out, const struct judge_config *config,
					const struct bus_config *bus, struct zindex *index,
					const struct index_reader *reader, struct service *service,
					struct reason *why);
/* Returns soon after the service was told to end: finishes what is in flight, commits, leaves the
 * group. Accepts NULL. */
void judge_loop_close(struct judge_loop *loop);

extern const struct metric_table judge_metrics;

#endif
