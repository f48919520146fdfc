/* SPDX-License-Identifier: Apache-2.0 */
/* takeover.h: what a judge does before its first verdict in a partition, and what it watches while
 * it works (DESIGN section 4).
 *
 * The partition is paused. A barrier record goes to its partition of dadns.zones; once the index
 * has read that very record, it knows everything that an earlier judge had sent in time. Then the
 * ends are compared: values from beyond the end of dadns.pushes mean that it was re-created, and
 * every version would lie. Then zones are settled: where a zombie judge wrote late, the zone's
 * highest version is copied, so that compaction keeps the right one. The first verdict falls at
 * max(committed, highest version + 1); pushes below that get their status again, no value.
 *
 * Threads: the judge's.
 */
#ifndef INGEST_TAKEOVER_H
#define INGEST_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "services/ingest/bench.h"

/* The group gave us the partition; it is paused. */
void takeover_begin(struct bench *bench, int32_t partition, int64_t committed);
/* The next steps of all partitions that can go one; cheap when there is nothing to do. */
void takeover_step(struct bench *bench);
/* Is the log as long as what was made of it? PERMFAIL: it was cut, or is another. */
MUST_CHECK enum outcome takeover_compare(struct bench *bench, int32_t partition,
					 struct reason *why);
/* True: verdicts fall in every partition that is ours. */
bool takeover_done(const struct bench *bench);

extern const struct metric_table takeover_metrics;

#endif
