/* SPDX-License-Identifier: Apache-2.0 */
/* window.h: what a writer has read and not finished: who is next, and how far each partition is
 * done. No I/O, no clock: a value machine that tests drive by hand.
 *
 * At most one live item per zone: a newer version replaces an older one that still waits, whichever
 * came first. `now` items are handed out before all others. An item that the backend refused is
 * kept aside and holds back nothing but its own partition's stored offset; a recorded one, whose
 * failure stands in Redis, not even that. Items that wait to be served, or for their status to be
 * confirmed, are no longer live, but still hold the offset (I3).
 *
 * Ceilings bound unfinished records and their bytes, not the span of offsets (I8).
 */
#ifndef COMMON_WINDOW_H
#define COMMON_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event.h"

enum window_topic { WINDOW_ZONES, WINDOW_HEALS, WINDOW_TOPICS };

enum item_state {
	ITEM_WAITING,
	ITEM_TAKEN,      /* in the batch that is being applied */
	ITEM_ASIDE,      /* refused by the backend */
	ITEM_SETTLING,   /* stored by the backend, not yet known to be served */
	ITEM_CONFIRMING, /* applied; its status is on the way */
	ITEM_DROPPED,    /* its partition is no longer ours; freed when the confirmation, or the
			  * settlement, comes */
};

struct window_item {
	enum window_topic topic;
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms;
	size_t bytes;
	struct zone_event value; /* of a heal: heal.value is used instead; see item_value */
	struct heal_event heal;
	char traceparent[TRACEPARENT_SIZE];
	bool recorded;   /* read again for a further try: holds no offset */
	int64_t attempt; /* failed tries so far */
	int64_t first_failed_at_ms;
	bool burial; /* a tombstone: the value is the delete that it buries */
	/* while it is aside: */
	int64_t due_ms;
	char *reason; /* why it was refused; owned */
	bool said;    /* its status is in the log */
	bool saving;  /* Redis was asked to keep it ... */
	bool unsaved; /* ... and did not */
	bool applied; /* while it settles: what apply() said of it */
	int64_t took_us;

	/* the window's own */
	enum item_state state;
	struct window_item *queue_prev, *queue_next; /* one of: now, normal, aside, settling */
	struct window_item *part_prev, *part_next;   /* unfinished of this partition, by offset */
	struct window_item *hash_next;
};

const struct zone_event *item_value(const struct window_item *item);

struct window;

struct window *window_create(size_t records_max, size_t bytes_max);
void window_destroy(struct window *window);

/* The partition is ours and reading begins at `next_offset`. */
void window_open(struct window *window, enum window_topic topic, int32_t partition,
		 int64_t next_offset);
/* It is not ours any more, or is read again from elsewhere: forgets its items. */
void window_drop(struct window *window, enum window_topic topic, int32_t partition);
bool window_has(const struct window *window, enum window_topic topic, int32_t partition);

/* Takes `item` (from item_create), whose value is decoded. Older than what waits for the zone: it
 * is finished at once; newer: the other one is. */
struct window_item *item_create(void);
void item_destroy(struct window_item *item);
void window_add(struct window *window, struct window_item *item);
/* A record that needs no work but a confirmation (a dead letter on its way): takes `item`, which
 * has no value and goes on as after window_confirming. */
void window_add_confirming(struct window *window, struct window_item *item);
/* A record that needs no work (a barrier, another backend's heal): finished. */
void window_skip(struct window *window, enum window_topic topic, int32_t partition, int64_t offset);

/* Up to `max` items to apply: `now` items alone if there are any, else the oldest. */
size_t window_take(struct window *window, struct window_item **out, size_t max);
/* Each taken item goes one of five ways, a settling one the last three. */
void window_put_back(struct window *window, struct window_item *item); /* in front of its queue */
/* Stored, but not yet known to be served: no longer live, keeps its value. When its settlement
 * comes it may be ITEM_DROPPED: finish it. */
void window_settling(struct window *window, struct window_item *item);
/* False: a newer value of the zone has come since it began to settle; it is finished. */
bool window_put_aside(struct window *window, struct window_item *item, int64_t due_ms);
/* Applied, its status was sent: no longer live. The value is freed. */
void window_confirming(struct window *window, struct window_item *item);
/* Done with (from any state): freed. */
void window_finish(struct window *window, struct window_item *item);

/* The live item of a zone, or NULL. */
struct window_item *window_find(const struct window *window, const struct name *zone);
/* Walk over what is aside: from NULL to NULL. Get the next one before something becomes of one. */
struct window_item *window_aside_next(const struct window *window, const struct window_item *item);
/* From aside to waiting: it is tried again. */
void window_wake(struct window *window, struct window_item *item);

bool window_full(const struct window *window);
bool window_has_room(const struct window *window); /* below three quarters: reading may go on */
size_t window_waiting(const struct window *window);
size_t window_aside(const struct window *window);
size_t window_settling_count(const struct window *window);
size_t window_unfinished(const struct window *window);
size_t window_bytes(const struct window *window);

/* All below is finished. Walk: for (i = 0; window_progress(w, i, ...); i++). `changed`: since the
 * last window_stored. */
bool window_progress(const struct window *window, size_t i, enum window_topic *topic,
		     int32_t *partition, int64_t *next_offset, bool *changed);
void window_stored(struct window *window, enum window_topic topic, int32_t partition,
		   int64_t next_offset);
/* I4: from where a backend that shows `position` must be read again; -1: from nowhere. One that
 * shows less than was stored has gone back to what it was then, and zones that waited for a further
 * try at that time may have been brought since: all. One that was away may be another by now, at
 * the very position that was stored last: all that it took since. */
int64_t window_rewind(const struct window *window, enum window_topic topic, int32_t partition,
		      int64_t position, bool was_away);
/* What was last stored, or where reading began. */
int64_t window_stored_offset(const struct window *window, enum window_topic topic,
			     int32_t partition);

#endif
