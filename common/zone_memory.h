/* SPDX-License-Identifier: Apache-2.0 */
/* zone_memory.h: memory for the many small parts of one zone, given back as a whole. Starts as a
 * NULL pointer.
 */
#ifndef COMMON_ZONE_MEMORY_H
#define COMMON_ZONE_MEMORY_H

#include <stddef.h>

#include "common/buf.h"

struct zone_chunk;

/* Aligned for anything. */
void *zone_memory_take(struct zone_chunk **memory, size_t size);
/* Room for `size` bytes at once. */
void zone_memory_reserve(struct zone_chunk **memory, size_t size);
/* A copy with a NUL behind it. */
char *zone_memory_copy(struct zone_chunk **memory, struct span bytes);
void zone_memory_release(struct zone_chunk *memory);

#endif
