/* SPDX-License-Identifier: Apache-2.0 */
/* janitor.h: buries deleted zones: brings the tombstones of I5 into dadns.zones, so that compaction
 * may take a zone away that nobody asks for any more.
 *
 * Now and then, for the partitions in which verdicts fall here: the index names zones whose delete
 * has left dadns.pushes; the registry (dadns.audits) names the backends; dadns.status, read from
 * its beginning and only when there is something to bury, tells which deletes all of them have
 * confirmed (burial.h). The judge then sends a tombstone for each that is still the zone's last
 * word: in its own thread and by its own producer, so in order with the pushes that it judges. A
 * tombstone that comes late all the same (a zombie's) ranks as the version that it buries: it is an
 * older record behind a newer one, which takeover.h repairs.
 *
 * Everything is bounded: zones and backends of a pass, the time without progress, tombstones a
 * turn.
 *
 * Threads: one of its own, which reads; janitor_step is the judge's. What they share belongs to one
 * of them at a time: `asked` says to whom.
 */
#ifndef INGEST_JANITOR_H
#define INGEST_JANITOR_H

#include <stdint.h>

#include "common/bus.h"
#include "common/metrics.h"
#include "common/outcome.h"
#include "common/service.h"
#include "services/ingest/bench.h"
#include "services/ingest/zindex.h"

struct janitor;

#define JANITOR_BYTES ((int64_t)32 << 20) /* that a pass may take */

/* All borrowed until janitor_close. `every_ms` 0: nothing is ever buried. */
MUST_CHECK enum outcome janitor_open(struct janitor **out, int64_t every_ms,
				     const struct bus_config *bus, const struct zindex *index,
				     int32_t partitions, struct service *service,
				     struct reason *why);
/* Returns soon after the service was told to end. Accepts NULL. */
void janitor_close(struct janitor *janitor);

/* The judge's: orders a pass when one is due, buries what the last one found, a few at a time.
 * Cheap when there is nothing to do. Accepts NULL. */
void janitor_step(struct janitor *janitor, struct bench *bench);

extern const struct metric_table janitor_metrics;

#endif
