/* SPDX-License-Identifier: Apache-2.0 */
/* history.h: what was said of one zone (dadns.pushes, 30 days), and which of it a restore means.
 *
 * Threads: none of this is shared.
 */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include "cli/values.h"
#include "cli/verb.h"
#include "common/event.h"

struct said {
	int64_t offset; /* in dadns.pushes; all of a zone lie in one partition */
	int64_t at_ms;  /* when the log took it */
	struct event_id id;
	enum push_op op;
	char *owner;
	char *username; /* NULL: admin level */
	char *sender;
	uint32_t serial;
	char digest[DIGEST_HEX_SIZE]; /* of a save */
	bool mass;
	bool judged; /* a status of it is still there */
	enum status_state verdict;
	char rule[EVENT_TEXT_MAX + 1];
};

struct history {
	struct name zone;
	int32_t partition;
	struct said *items; /* in order of their offsets */
	size_t count;
	size_t unreadable; /* records that are no pushes of ours */
};

/* `history` holds the zone and nothing else. */
MUST_CHECK enum outcome history_read(struct history *history, const struct cli *cli,
				     struct reason *why);
void history_finish(struct history *history);
/* For history_read, and tests: the next push of the zone. Copies. */
void history_add(struct history *history, const struct push_event *push, int64_t offset,
		 int64_t at_ms);

/* Which state is asked for. */
struct point {
	enum { POINT_BEFORE, POINT_TIME, POINT_OFFSET } kind;
	int64_t number; /* wall clock, or an offset of dadns.pushes */
};
/* "2026-11-21T14:30:57Z" and shorter ones in UTC, "EPOCH-OFFSET", "OFFSET"; NULL: before. */
MUST_CHECK enum outcome point_parse(const char *text, struct point *out, struct reason *why);

/* The last save at or before the point that made a value, as far as it can still be told. Before:
 * of a deleted zone the last one before the delete, else the last with another content than now.
 * PERMFAIL: there is none. `value` is what the log says now. */
MUST_CHECK enum outcome history_pick(const struct history *history, const struct value *value,
				     const struct point *point, const struct said **out,
				     struct reason *why);

#endif
