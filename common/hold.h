/* SPDX-License-Identifier: Apache-2.0 */
/* hold.h: pushes that wait in Redis while Kafka is away (DESIGN section 5): how they lie there, and
 * the commands that put, look, take and pop them. Who asks Redis is the caller.
 *
 *   LIST dadns:hold:zone:ZONE   the zone's pushes in the order of their arrival; nothing in it is
 *                               ever replaced
 *   ZSET dadns:hold:zones       zone by the time at which its oldest push was held
 *   STRING dadns:hold:records, dadns:hold:bytes     how many there are, for the ceilings
 *   STRING dadns:hold:lock:ZONE token of whoever drains the zone; expires by itself
 *   STRING dadns:mass:SENDER    explicit deletes within the window (I11); expires by itself
 *
 * A push is text: "ID TIME\n", its Kafka headers "NAME: VALUE\n", an empty line, its value byte for
 * byte; `redis-cli --raw LRANGE dadns:hold:zone:ZONE 0 -1` shows it. Keys that change together
 * change in one script.
 *
 * Threads: none of this is shared.
 */
#ifndef COMMON_HOLD_H
#define COMMON_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/event.h"
#include "common/name.h"
#include "common/outcome.h"
#include "common/redis.h"

/* --- a held push ------------------------------------------------------------------------------ */

struct held_push {
	struct event_id id;
	int64_t held_at_ms; /* wall clock; for people */
	struct header headers[EVENT_HEADERS_MAX];
	size_t header_count;
	struct span value;

	char *memory; /* of a parsed one */
};
/* Headers without line breaks; what a push carries has none. */
void held_push_print(const struct held_push *push, struct buf *out);
/* Copies; held_push_finish frees. PERMFAIL: this was not printed by us. */
MUST_CHECK enum outcome held_push_parse(struct span text, struct held_push *out,
					struct reason *why);
void held_push_finish(struct held_push *push);
/* What printing adds to the value, at most: for ceilings. */
#define HELD_PUSH_EXTRA_BYTES 8192

/* --- commands --------------------------------------------------------------------------------- */

#define HOLD_ARGUMENTS_MAX 20
/* Points into itself and into what it was made of: stays where it is until it was asked. */
struct hold_command {
	struct span arguments[HOLD_ARGUMENTS_MAX];
	size_t count;
	char text[2048];
	size_t used;
};

/* Does something wait for the zone? */
void hold_look(struct hold_command *out, const struct name *zone);
/* The same for a delete, which is counted for its sender: more than `limit` within `seconds` are
 * too many (I11). */
void hold_look_delete(struct hold_command *out, const struct name *zone, const char *sender,
		      int64_t limit, int64_t seconds);
/* Answers both. False: Redis refused (`why`). */
MUST_CHECK bool hold_looked(const struct redis_value *value, bool *held, bool *mass,
			    struct reason *why);

struct hold_ceilings {
	int64_t records;
	int64_t bytes;
};
/* Puts a printed push behind those of its zone, unless a ceiling is reached (I9). */
void hold_add(struct hold_command *out, const struct name *zone, struct span push, int64_t now_ms,
	      const struct hold_ceilings *ceilings);
enum hold_added { HOLD_ADDED, HOLD_FULL, HOLD_REFUSED };
/* HOLD_REFUSED: Redis did not take it, `why` says why. */
enum hold_added hold_was_added(const struct redis_value *value, struct reason *why);

/* Locks zones that nobody drains, the oldest first, and gives the first push of each. Looks at the
 * zones from the `from`-th on, HOLD_PAGE of them. */
#define HOLD_PAGE 500
#define HOLD_TAKE_MAX 64
struct hold_taking {
	const char *token; /* of this drainer: EVENT_ID_TEXT_SIZE */
	int64_t lock_ms;
	size_t from;
	size_t zones;            /* at most; 0: only the totals are wanted */
	const struct name *zone; /* NULL, or this one alone */
};
void hold_take(struct hold_command *out, const struct hold_taking *taking);
struct hold_totals {
	int64_t zones; /* of the one zone: 1 or 0 */
	int64_t records;
	int64_t bytes;
	int64_t oldest_ms; /* wall clock; 0: nothing is held */
};
struct hold_taken {
	struct hold_totals totals;
	size_t looked_at; /* zones; fewer than HOLD_PAGE: these were the last */
	size_t count;
	struct {
		struct span zone;
		struct span push; /* as printed; good as long as the answer */
	} items[HOLD_TAKE_MAX];
};
MUST_CHECK bool hold_was_taken(const struct redis_value *value, struct hold_taken *out,
			       struct reason *why);

/* The push is in the log: takes it out if it still is the first and the lock still is ours. With
 * `more` the lock is kept (for `lock_ms` from now) and the next push given, else it is freed. */
void hold_pop(struct hold_command *out, const struct name *zone, const char *token,
	      const struct event_id *id, int64_t lock_ms, bool more);
enum hold_popped {
	HOLD_POPPED_LAST, /* nothing is held for the zone any more */
	HOLD_POPPED_NEXT, /* `next` is the first one now */
	HOLD_POPPED_FREE, /* others may go on with it */
	HOLD_LOST,        /* the lock was not ours any more: nothing was done */
	HOLD_POP_REFUSED, /* Redis did not do it */
};
enum hold_popped hold_was_popped(const struct redis_value *value, struct span *next,
				 struct reason *why);
/* Frees the lock if it is ours. */
void hold_release(struct hold_command *out, const struct name *zone, const char *token);

/* The first member of every ticket where several ask on one connection: their answers find home. */
struct hold_ticket {
	void (*answered)(struct hold_ticket *ticket, const struct redis_answer *answer);
};
void hold_ask(struct redis *redis, const struct hold_command *command, int64_t timeout_ms,
	      struct hold_ticket *ticket);
/* Gives every answer that is there to its ticket. */
void hold_hear(struct redis *redis);

/* For people: zones with the time of their oldest push (ZRANGE), one zone's pushes (LRANGE), who
 * drains it (PTTL: ms until the lock expires, negative: nobody). */
void hold_list_zones(struct hold_command *out, size_t from, size_t count);
void hold_list_pushes(struct hold_command *out, const struct name *zone, size_t from, size_t count);
void hold_lock_left(struct hold_command *out, const struct name *zone);

#endif
