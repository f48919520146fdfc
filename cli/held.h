/* SPDX-License-Identifier: Apache-2.0 */
/* held.h: deletes with the verdict `held`, rule `mass` (I11), and whether they still mean the zone
 * as it is. The newest of each zone.
 *
 * Threads: none of this is shared.
 */
#ifndef CLI_HELD_H
#define CLI_HELD_H

#include "cli/values.h"
#include "cli/verb.h"
#include "common/event.h"

struct held {
	struct name zone;
	struct version version; /* of the held push */
	int64_t at_ms;          /* of the verdict */
	char *owner;
	char *username; /* NULL: admin level, or the push has left the log */
	char *sender;   /* NULL: the push has left the log */
	char *reason;
};

struct held_deletes {
	struct held *items; /* by zone */
	size_t count;
	struct values values; /* of those zones, without content */
};

enum held_state {
	HELD_WAITS,    /* may be released */
	HELD_MOVED_ON, /* a later push has changed the zone */
	HELD_DELETED,  /* the zone is deleted by now, or there is none */
};
enum held_state held_state(const struct held *held, const struct value *value);
const char *held_state_text(enum held_state state);

MUST_CHECK enum outcome held_read(struct held_deletes *held, const struct cli *cli,
				  struct reason *why);
const struct held *held_find(const struct held_deletes *held, const struct name *zone);
void held_finish(struct held_deletes *held);
/* For held_read, and tests: one status of the judge. */
void held_take(struct held_deletes *held, const struct status_event *status);

#endif
