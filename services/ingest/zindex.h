/* SPDX-License-Identifier: Apache-2.0 */
/* zindex.h: what every replica knows of all zones: owner, highest version and where in dadns.zones
 * it lies, digest, recent ids; never the content.
 *
 * Two write: the index reader what it reads from the log, the judge what it has decided and sent
 * (so that the next push is judged on it). A decided value is *ahead* until the reader has read it
 * back. A zone whose last record in the log is not its highest version is *unsettled*: a zombie
 * judge wrote late, and compaction would keep the wrong one (DESIGN section 4).
 *
 * Memory: some 150 bytes and the name for each zone, 24 bytes for each recent id; owners and user
 * names are interned. Zones are never taken out: a buried one keeps its rank.
 *
 * Threads: the one struct that threads of this service share (the reader, the judge, the HTTP
 * threads). Every function takes its lock; nothing borrowed leaves it.
 */
#ifndef INGEST_ZINDEX_H
#define INGEST_ZINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event.h"
#include "services/ingest/judge.h"

struct zindex;

struct zindex *zindex_create(int32_t partitions);
void zindex_destroy(struct zindex *index);

/* --- the reader: what stands in dadns.zones, in the order of the partition ------------------- */

void zindex_read(struct zindex *index, int32_t partition, int64_t offset,
		 const struct zone_event *value);
/* A record of this push, if it made the value that was decided here and is not read back yet: then
 * nothing in it is news, and it need not be decoded. False: read it. */
bool zindex_read_back(struct zindex *index, int32_t partition, int64_t offset,
		      const struct name *zone, const struct event_id *id);
/* A tombstone that buries `version` (I5): it ranks as that version. */
void zindex_read_burial(struct zindex *index, int32_t partition, int64_t offset,
			const struct name *zone, struct version version);
void zindex_read_epoch(struct zindex *index, int32_t partition, int64_t epoch);
void zindex_read_barrier(struct zindex *index, int32_t partition, const struct event_id *judge);
/* From now on an unknown zone is one that does not exist. */
void zindex_set_complete(struct zindex *index);

/* --- the judge ------------------------------------------------------------------------------- */

/* False: the log has never held it. */
bool zindex_state(const struct zindex *index, const struct name *zone, struct zone_state *out);
void zindex_decide(struct zindex *index, int32_t partition, const struct zone_event *value);

/* A held push, the zone's `version`th word, was refused: the zone lists its id from now on, as its
 * next value will. Also of the reader: what a judge before us has refused. Nothing, if the zone has
 * that version or a later one: that value was made by one who knew. */
void zindex_remember(struct zindex *index, const struct name *zone, struct version version,
		     const struct event_id *id, int64_t at_ms);

/* Whether this barrier was read is asked from now on. An earlier judge's, which came late, may be
 * read behind it: the last one says nothing. */
void zindex_await_barrier(struct zindex *index, int32_t partition, const struct event_id *judge);

struct zindex_partition {
	int64_t epoch;           /* 0: no epoch record was read */
	bool barrier_read;       /* the one that zindex_await_barrier named */
	struct event_id barrier; /* that one */
	struct version highest;  /* of all values read */
	size_t ahead;            /* zones decided here and not read back */
	size_t unsettled;        /* zones whose last record is not their highest version */
};
void zindex_partition(const struct zindex *index, int32_t partition, struct zindex_partition *out);

struct zindex_repair {
	struct name zone;
	struct version version;
	int64_t offset; /* of that version's record in dadns.zones */
	bool buried;    /* that record is a tombstone, or was: compaction takes those away */
};
/* Unsettled zones of the partition, `max` at most; returns how many. */
size_t zindex_repairs(const struct zindex *index, int32_t partition, struct zindex_repair *out,
		      size_t max);
/* Is this still the zone's highest version, with nothing newer on its way? */
bool zindex_repair_holds(const struct zindex *index, const struct zindex_repair *repair);
/* The record is gone: nothing can be copied, nobody need ask again. */
void zindex_repair_give_up(struct zindex *index, const struct zindex_repair *repair);

/* --- the janitor ----------------------------------------------------------------------------- */

struct zindex_delete {
	struct name zone;
	struct version version; /* of the delete */
	int32_t partition;
};
/* Deleted zones, not buried yet, whose delete lies below `below` of their partition and in its
 * epoch; none whose record is still on its way or not the last. Looks at a slice of all zones, from
 * `*cursor` on, and moves that; 0 is the beginning, and 0 again the end. `max` at most. */
size_t zindex_deletes(const struct zindex *index, const struct version *below, size_t *cursor,
		      struct zindex_delete *out, size_t max);
/* Is this delete still the zone's last word, and its record the last one? */
bool zindex_delete_holds(const struct zindex *index, const struct zindex_delete *gone);
/* The judge has sent the tombstone. */
void zindex_bury(struct zindex *index, const struct zindex_delete *gone);

/* --- the door -------------------------------------------------------------------------------- */

bool zindex_complete(const struct zindex *index);
/* Its highest version, deleted or buried ones too. False: the log has never held it, as far as we
 * have read. */
bool zindex_version(const struct zindex *index, const struct name *zone, struct version *out);
/* The owner of a zone that exists (known, not deleted). */
bool zindex_owner(const struct zindex *index, const struct name *zone, char owner[STATE_TEXT_SIZE]);
size_t zindex_count(const struct zindex *index); /* zones known, deleted ones too */

#endif
