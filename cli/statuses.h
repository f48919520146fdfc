/* SPDX-License-Identifier: Apache-2.0 */
/* statuses.h: what the judge and each backend last said of one zone, and whether the backend as a
 * whole is there.
 *
 * Threads: none of this is shared.
 */
#ifndef CLI_STATUSES_H
#define CLI_STATUSES_H

#include "cli/verb.h"
#include "common/event.h"

struct speaker {
	char *backend;
	bool said; /* `last` holds: of the highest version, at equal version the latest */
	struct status_event last;
	bool away;
	bool retired;
};

struct statuses {
	struct name zone;
	struct speaker *items; /* by name, the judge first */
	size_t count;
};

/* `statuses` holds the zone and nothing else. Backends in the registry that are not retired are
 * there though they have said nothing. */
MUST_CHECK enum outcome statuses_read(struct statuses *statuses, const struct cli *cli,
				      struct reason *why);
void statuses_finish(struct statuses *statuses);

#endif
