/* SPDX-License-Identifier: Apache-2.0 */
/* topics_epoch.h: the epoch record, one in each partition of dadns.zones (I4: a version is epoch
 * and offset). For topics.c only.
 *
 * Offsets begin at 0 again in a cluster that was lost and made anew; only a higher epoch makes the
 * versions of the new log newer than the stamps that backends still hold.
 *
 * Threads: none of this is shared.
 */
#ifndef COMMON_TOPICS_EPOCH_H
#define COMMON_TOPICS_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/outcome.h"

#define EPOCH_PARTITIONS_MAX 1024

struct epochs {
	int32_t partitions;
	int64_t highest;                        /* of the records; 0: there is none */
	int64_t of[EPOCH_PARTITIONS_MAX];       /* per partition; 0: none */
	int32_t made_for[EPOCH_PARTITIONS_MAX]; /* partition count that the record names */
};

/* Reads dadns.zones to its end. TEMPFAIL: nothing came for `timeout_ms`. */
MUST_CHECK enum outcome epochs_read(const struct bus_config *bus, int32_t partitions,
				    int timeout_ms, struct epochs *out, struct reason *why);
/* True when every partition has the record of one epoch, made for this partition count. */
bool epochs_right(const struct epochs *epochs);
/* The highest epoch that any record, value or status names; 0: none. Reads zones and status to
 * their ends. */
MUST_CHECK enum outcome epochs_highest(const struct bus_config *bus, int32_t partitions,
				       int timeout_ms, int64_t *highest, struct reason *why);
/* Writes `epoch` to each partition that has another one or none; OK once all are in the log. */
MUST_CHECK enum outcome epochs_write(const struct bus_config *bus, const struct epochs *epochs,
				     int64_t epoch, int timeout_ms, struct reason *why);

#endif
