/* SPDX-License-Identifier: Apache-2.0 */
/* zonefile.h: one file per zone in one directory, with its version in the first line (I4).
 *
 *	; dadns/1 zone=example.com version=1-42 owner=da1 digest=… serial=7 state=zone
 *
 * and then the records; for a deleted zone the same path holds that line alone, state=deleted.
 *
 * The life of a new content: written into a spare file, synced with the rest of the batch,
 * published (mtime set ahead of the old one's, then exchanged with NAME.zone, the old one staying
 * as .NAME.prev), then settled when named serves it (.prev becomes a spare) or put back when named
 * refuses it. A .prev that is known to be there stays: it is the last content that named loaded.
 *
 * Outcomes: TEMPFAIL is the directory's trouble (full, read-only, gone), PERMFAIL the zone's.
 * Threads: the directory belongs to one thread.
 */
#ifndef WRITER_BIND_ZONEFILE_H
#define WRITER_BIND_ZONEFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/event.h"
#include "common/name.h"
#include "common/outcome.h"
#include "services/writer-bind/zonedir.h"

#define ZONEFILE_NAME_SIZE (NAME_FILE_SIZE + 8)
#define ZONEFILE_SUFFIX ".zone"
#define ZONEFILE_PREVIOUS ".prev"

struct zonefile_head {
	struct name zone;
	struct version version;
	char digest[DIGEST_HEX_SIZE]; /* empty when deleted */
	uint32_t serial;
	bool deleted;
};

void zonefile_print_head(const struct zone_event *value, struct buf *out);
/* `text`: the file's beginning. False: not ours. */
bool zonefile_parse_head(struct span text, struct zonefile_head *out);
/* False: cannot be read, or is not ours, or is another zone's than its name says. */
bool zonefile_read_head(const struct zonedir *dir, const char *file, struct zonefile_head *out);

/* The same of a .NAME.prev. */
bool zonefile_read_previous(const struct zonedir *dir, const char *file, struct zonefile_head *out);

/* "NAME.zone", as named is told it below the directory. */
void zonefile_name(const struct name *zone, char out[ZONEFILE_NAME_SIZE]);

/* Writes a spare; with `sync` it is on the disk on return. */
MUST_CHECK enum outcome zonefile_write(struct zonedir *dir, const struct zone_event *value,
				       bool sync, unsigned int *spare, struct reason *why);
/* Brings all that was written in this directory's file system to the disk. */
MUST_CHECK enum outcome zonefile_sync(const struct zonedir *dir, struct reason *why);
/* `spare` becomes NAME.zone. `keep`: what was there becomes .prev; `*kept`: there was something. */
MUST_CHECK enum outcome zonefile_publish(struct zonedir *dir, const struct name *zone,
					 unsigned int spare, bool keep, bool *kept,
					 struct reason *why);
/* named loads only what is newer than what it remembers. `attempt` from 0 steps further ahead. */
void zonefile_touch(const struct zonedir *dir, const struct name *zone, unsigned int attempt);
void zonefile_settle(struct zonedir *dir, const struct name *zone); /* .prev becomes a spare */
/* .prev is NAME.zone again; false: there was none. */
bool zonefile_put_back(const struct zonedir *dir, const struct name *zone);
void zonefile_remove(const struct zonedir *dir, const struct name *zone); /* NAME.zone goes */

#endif
