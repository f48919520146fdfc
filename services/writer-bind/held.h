/* SPDX-License-Identifier: Apache-2.0 */
/* held.h: what the zones directory holds, in memory: zone -> version, digest, serial. Filled from
 * the files' first lines at open, kept in step by apply.
 *
 * Entries never move and never go: a pointer stays good until held_clear.
 */
#ifndef WRITER_BIND_HELD_H
#define WRITER_BIND_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/event.h"
#include "common/name.h"
#include "services/writer-bind/zonefile.h"

struct held {
	struct version version; /* none: there is no file */
	uint32_t serial;
	bool deleted;
	bool unsure; /* a .prev lies there: named may not have loaded what is in the file */
	char digest[DIGEST_HEX_SIZE];
	uint8_t len;
	uint64_t hash;
	char zone[]; /* NUL terminated */
};

struct held_table {
	struct held **slots;
	size_t size; /* power of two, or 0 */
	size_t count;
};

void held_clear(struct held_table *table);
/* The zone's entry; makes an empty one when there is none. */
struct held *held_of(struct held_table *table, const struct name *zone);
/* As the file's first line says. */
void hold_head(struct held *held, const struct zonefile_head *head);
void hold_value(struct held *held, const struct zone_event *value);
/* Is there a zone (not a deleted one) in the file? */
bool held_is_zone(const struct held *held);

#endif
