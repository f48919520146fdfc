/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h: Kafka as an operator's verb needs it: a topic read to its present end, a record sent and
 * its report waited for. In no group, nothing is committed, every wait has an end.
 *
 * TEMPFAIL: Kafka is away. PERMFAIL: there is no such topic, or Kafka refuses for good.
 *
 * Threads: none of this is shared.
 */
#ifndef CLI_SCAN_H
#define CLI_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/verb.h"
#include "common/bus.h"

/* One record; false: that is enough, read no further. */
typedef bool (*scan_take)(void *context, const struct bus_message *message);

/* Every record of `topic`, in order within each partition, up to its present end. `key` empty: of
 * all partitions; else of the one where records with this key lie (others lie there too). */
MUST_CHECK enum outcome scan_topic(const struct cli *cli, const char *topic, struct span key,
				   scan_take take, void *context, struct reason *why);

/* The same in steps, for who begins elsewhere or waits for what comes. */
struct scan;
MUST_CHECK enum outcome scan_open(struct scan **out, const struct cli *cli, const char *topic,
				  struct span key, struct reason *why);
int32_t scan_partitions(const struct scan *scan); /* of the topic */
/* Before the first read: this partition from this offset on, or not at all (offset < 0). */
void scan_begin_at(struct scan *scan, int32_t partition, int64_t offset);
/* Before the first read: only what comes from now on. */
MUST_CHECK enum outcome scan_begin_at_end(struct scan *scan, struct reason *why);
MUST_CHECK enum outcome scan_read(struct scan *scan, scan_take take, void *context,
				  struct reason *why);
/* Goes on beyond the end until `take` says that it is enough. TEMPFAIL: it did not within
 * `timeout_ms`. */
MUST_CHECK enum outcome scan_wait(struct scan *scan, scan_take take, void *context, int timeout_ms,
				  struct reason *why);
void scan_close(struct scan *scan); /* accepts NULL */

/* A producer for scan_send; bus_producer_destroy ends it. */
MUST_CHECK enum outcome scan_producer(struct bus_producer **out, const struct cli *cli,
				      struct reason *why);
/* OK: it is in the log, at `*offset` (may be NULL; -1: unknown). */
MUST_CHECK enum outcome scan_send(struct bus_producer *producer, const struct bus_record *record,
				  int64_t *offset, struct reason *why);

/* Complains; the exit code that fits. */
int scan_failed(enum outcome outcome, const struct reason *why);

#endif
