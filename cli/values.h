/* SPDX-License-Identifier: Apache-2.0 */
/* values.h: what the log says now of some zones: the highest version of each in dadns.zones.
 *
 * Threads: none of this is shared.
 */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include "cli/verb.h"
#include "common/bus.h"
#include "common/event.h"

struct value {
	struct name zone;
	bool found;              /* false: the log has never held it, or a tombstone took it away */
	struct zone_event event; /* owned by the values */
	struct version version;  /* of the event, or that a tombstone buries */
	struct reason unreadable; /* why a record of it is no value; empty: none was found */
};

struct values {
	bool summaries; /* leave the content out: for who asks after many */
	struct value *items;
	size_t count;
};

/* Zero-initialised; wanting a zone twice is wanting it once. */
void values_want(struct values *values, const struct name *zone);
/* Reads one partition for one zone, else all. */
MUST_CHECK enum outcome values_read(struct values *values, const struct cli *cli,
				    struct reason *why);
/* Of a zone that was wanted, after the read. Borrowed. */
const struct value *values_of(const struct values *values, const struct name *zone);
void values_finish(struct values *values);

/* One record of dadns.zones: it counts if it is a value of `value->zone` and the newest so far.
 * For values_read; PERMFAIL: it was written by a newer program. */
MUST_CHECK enum outcome value_take(struct value *value, bool summary,
				   const struct bus_message *message, struct reason *why);

#endif
