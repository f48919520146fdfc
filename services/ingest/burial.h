/* SPDX-License-Identifier: Apache-2.0 */
/* burial.h: which deletes every registered backend has confirmed, so that their zones may be buried
 * (I5). Pure: it is handed what dadns.audits and dadns.status hold, in the order of the log.
 *
 * A backend has confirmed a delete when its newest word on the zone is `applied` or `verified`,
 * says that the zone is deleted, and names the very version of the delete. No word is no
 * confirmation: a backend that never held the zone says `verified` all the same, as soon as its
 * writer has read the delete. Retired backends are not asked. Where no backend is registered
 * nothing is confirmed.
 *
 * Threads: none of this is shared.
 */
#ifndef INGEST_BURIAL_H
#define INGEST_BURIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/event.h"
#include "common/outcome.h"
#include "services/ingest/zindex.h"

#define BURIAL_BACKENDS_MAX 1000 /* I9 */

/* --- the registry: who must confirm ---------------------------------------------------------- */

struct registry {
	char (*names)[EVENT_BACKEND_MAX + 1];
	size_t count;
};
#define REGISTRY_INIT \
	{             \
		0     \
	}

void registry_finish(struct registry *registry);
/* The later record of a backend counts. PERMFAIL: there are too many. */
MUST_CHECK enum outcome registry_note(struct registry *registry, const struct backend_event *event,
				      struct reason *why);

/* --- their statuses -------------------------------------------------------------------------- */

struct burial;

/* Copies `deletes`; borrows the registry. */
struct burial *burial_create(const struct registry *registry, const struct zindex_delete *deletes,
			     size_t count);
void burial_destroy(struct burial *burial); /* accepts NULL */
/* A record of dadns.status with this key may matter: decode it. */
bool burial_asks_for(const struct burial *burial, struct span key);
/* `status` NULL: the record cannot be read, and so confirms nothing. */
void burial_note(struct burial *burial, struct span key, const struct status_event *status);

/* Walk: for (i = 0; i < count; i++). NULL: all have confirmed; else the first that has not. */
const char *burial_waits_for(const struct burial *burial, size_t i);
const struct zindex_delete *burial_delete(const struct burial *burial, size_t i);
size_t burial_count(const struct burial *burial);

#endif
