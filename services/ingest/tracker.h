/* SPDX-License-Identifier: Apache-2.0 */
/* tracker.h: which offsets of a partition are done, without gaps (I3).
 *
 * Each message that is worked on is an item with a number of parts still to be confirmed. Items
 * finish in any order; what may be stored is the offset behind the longest run of finished ones.
 *
 * Threads: belongs to one. Ownership: an item belongs to the tracker until tracker_take_done hands
 * it back, or to whoever confirms its last part after tracker_drop.
 */
#ifndef INGEST_TRACKER_H
#define INGEST_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tracker_item {
	struct tracker_item *next;
	int64_t offset;
	unsigned left; /* parts not yet confirmed */
	bool dropped;  /* no tracker waits for it any more */
};

struct tracker {
	struct tracker_item *head;
	struct tracker_item *tail;
	size_t count;
};

/* Offsets must rise. */
void tracker_add(struct tracker *tracker, struct tracker_item *item);
/* The first item if it is finished: taken out, yours. NULL: it is not, or there is none. */
struct tracker_item *tracker_take_done(struct tracker *tracker);
/* Forgets all: finished items are given to `release`, the others are marked as dropped. */
void tracker_drop(struct tracker *tracker, void (*release)(struct tracker_item *item));

#endif
