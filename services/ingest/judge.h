/* SPDX-License-Identifier: Apache-2.0 */
/* judge.h: (state of the zone, push) -> verdict. Every race between replicas, senders, deletes and
 * late arrivals is decided here, in log order, and nowhere else.
 *
 * Pure: no I/O, no clock, no log. The same pushes in the same order give the same verdicts, so a
 * second judge that reads the same log decides the same again.
 *
 * The rules, in this order (the word is `rule` in the status):
 *   version    the zone already has this push or a later one               stale
 *   duplicate  the value, or an earlier one of the window, has this id     stale
 *              (but the held copy of the very value that stands, which was taken unchecked, makes
 *              it the next value: now its place among the held ones is known)
 *   only_if    the zone has moved on since the look this push rests on (I6) refused
 *   seen       a held push; an `unchecked` one came in between             refused
 *   absent     a delete of a zone that the log does not hold: nothing to do; no value is made
 *              unchanged (a held one makes a value: its id must be known when its first copy
 *              comes late)
 *   owner      a delete by another DA server than the zone's (I5), also of a deleted zone  refused
 *   mass       one of too many deletes (I11)                               held
 * A held push may be drained twice. So that its second copy is a duplicate also where the first one
 * was refused (a delete of somebody else's zone, which is his when it comes again), the id of a
 * refused held push is remembered like those of earlier values: `remember`.
 * What is left is accepted and becomes the zone's next value. It is `unchanged` (a value all the
 * same: writers verify what they serve) when it says what the value before it says: a save with
 * the same digest, owner and user name, or a delete of a zone that its owner has deleted already.
 * A save by another owner is a migration: accepted, and the reason says so.
 */
#ifndef INGEST_JUDGE_H
#define INGEST_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event.h"
#include "common/outcome.h"

/* Ids that a value keeps of the zone's earlier pushes: all of 24 h, at least 16, at most 256. */
#define EARLIER_LEAST 16
#define EARLIER_MAX 256
#define EARLIER_WINDOW_MS ((int64_t)24 * 3600 * 1000)

#define STATE_TEXT_SIZE 256

/* What the judge knows of a zone: its newest value without the content. */
struct zone_state {
	struct version version;
	bool buried; /* a tombstone took it away: absent, but it still ranks as `version` (I5) */
	bool deleted;
	bool unchecked;
	bool unchanged;
	char owner[STATE_TEXT_SIZE];
	bool has_username;
	char username[STATE_TEXT_SIZE];
	bool has_digest;
	char digest[DIGEST_HEX_SIZE];
	uint32_t serial;
	struct event_id id;
	int64_t pushed_at_ms;
	size_t earlier_count;
	struct earlier_push earlier[EARLIER_MAX]; /* oldest first */
};

struct judgement {
	enum status_state verdict; /* STATUS_ACCEPTED ... STATUS_HELD */
	const char *rule;          /* constant text; NULL: accepted as it is */
	struct reason reason;      /* empty: nothing to say */
	bool remember; /* refused, but a further copy may come: its id must be known then */
	bool has_value;
	struct zone_event value; /* the next value; borrows from the push and from `earlier` */
	struct earlier_push earlier[EARLIER_MAX];
};

/* `state` NULL: the log has never held the zone. `out` must stay where it is while its value is
 * used. */
void judge(const struct zone_state *state, const struct push_event *push, struct version version,
	   int64_t pushed_at_ms, struct judgement *out);

/* The state that a value makes. */
void zone_state_of(const struct zone_event *value, struct zone_state *out);

#endif
