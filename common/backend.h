/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h: a place that serves zones, as the writer core sees it. The grain is the batch.
 *
 * Contract. The core calls from one thread. Every call may be repeated with the same input after
 * a crash at any instruction and must then be harmless (I3, I4). A backend stores version, owner
 * and digest with the data in one atomic step, also for deleted zones, and beside them the
 * position it has reached in each partition of zones, so that a wiped or restored backend says so
 * by itself.
 *
 * apply() answers twice: one outcome for the backend (TEMPFAIL: it is away; no outcome of a zone
 * counts, the batch comes again; this opens the circuit), and one per zone (any failure goes to
 * that zone's retry schedule and blocks nobody, I8).
 *
 * Where what serves is not what stores (a server in front of tables), apply() may leave a change
 * `pending`: it is stored, its version with it, and settled() says later whether it is served. The
 * next batch does not wait for that.
 */
#ifndef COMMON_BACKEND_H
#define COMMON_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event.h"
#include "common/metrics.h"
#include "common/outcome.h"

struct preflight;

enum change_result {
	CHANGE_APPLIED,  /* the backend serves this version now (I7) */
	CHANGE_VERIFIED, /* it served it already: equal version, or unchanged content */
	CHANGE_OLDER,    /* the backend holds a newer version: skipped (I4) */
};

/* What the backend showed for a zone, for compare-and-swap (I6). */
struct backend_view {
	bool absent;
	struct version version; /* none: not ours, or never seen */
	char digest[DIGEST_HEX_SIZE];
};

struct change {
	const struct zone_event *value; /* borrowed */
	/* A heal: apply only if the backend shows `expect`, or the stamp is stuck ahead at
	 * `expect->version`. NULL: no heal, or one for which nobody looked: the version alone
	 * fences. Mismatch: outcome OK, result CHANGE_OLDER. */
	const struct backend_view *expect;
	bool stuck_ahead;
	/* `value` is the delete that a tombstone buries (I5). Like any other where the backend
	 * holds a version of the zone (it was restored, or wiped and met an old value first); it
	 * leaves no trace where it holds none: outcome OK, result CHANGE_OLDER. */
	bool burial;
	void *ticket; /* the core's; comes back with settled() */
	/* filled by apply(): */
	enum outcome outcome;
	enum change_result result;
	struct reason why;
	int64_t took_us;
	bool pending; /* outcome OK and result hold unless settled() says otherwise */
};

struct settlement {
	void *ticket;
	enum outcome outcome; /* not OK: it goes to the zone's retry schedule */
	struct reason why;
};

/* What the config says of it, beside its own keys. */
struct backend_about {
	const char *name; /* of the stanza */
	const char *type; /* "bind" */
};

struct backend_ops {
	/* First contact, again after TEMPFAIL, when partitions are given to us and every few
	 * seconds: makes sure that the backend can be driven and knows what it holds, for it may
	 * have been wiped or restored. Cheap when all is well. */
	enum outcome (*open)(void *backend, struct reason *why);
	/* NULL, or: is it set up so that it can keep its promises (preflight.h)? After open, when
	 * it was away, and now and then. Changes nothing. */
	void (*check)(void *backend, struct preflight *findings);
	/* The next offset of zones that this backend has not seen, as stored with its data;
	 * 0: none stored. Valid after open. */
	int64_t (*position)(void *backend, int32_t partition);
	/* Brings all of `changes` (each zone at most once) to what they say and verifies it. */
	enum outcome (*apply)(void *backend, struct change *changes, size_t count,
			      struct reason *why);
	/* NULL, or: what became of one change that was left pending, each exactly once. Never
	 * waits; false: nothing to say now. */
	bool (*settled)(void *backend, struct settlement *out);
	/* Stores positions: all of each partition below `next` is done. After apply, before the
	 * offsets are stored on the bus. */
	enum outcome (*store_positions)(void *backend, const int32_t *partitions,
					const int64_t *next, size_t count, struct reason *why);
	void (*close)(void *backend);
};

#endif
