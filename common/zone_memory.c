/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_memory.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST 4096
#define CHUNK_MAX (1 << 20)

struct zone_chunk {
	struct zone_chunk *next;
	size_t used;
	size_t size;
	max_align_t bytes[];
};

static struct zone_chunk *add_chunk(struct zone_chunk *last, size_t at_least)
{
	size_t size = last == NULL ? CHUNK_FIRST : last->size * 2;
	struct zone_chunk *chunk;

	size = size > CHUNK_MAX ? CHUNK_MAX : size;
	size = size < at_least ? at_least : size;
	chunk = xmalloc(sizeof(*chunk) + size);
	*chunk = (struct zone_chunk){.next = last, .size = size};
	return chunk;
}

void zone_memory_reserve(struct zone_chunk **memory, size_t size)
{
	*memory = add_chunk(*memory, size);
}

void *zone_memory_take(struct zone_chunk **memory, size_t size)
{
	const size_t unit = sizeof(max_align_t);
	struct zone_chunk *chunk = *memory;
	char *bytes;

	size = (size + unit - 1) / unit * unit;
	if (chunk == NULL || chunk->size - chunk->used < size) {
		chunk = add_chunk(chunk, size);
		*memory = chunk;
	}
	bytes = (char *)chunk->bytes + chunk->used;
	chunk->used += size;
	return bytes;
}

char *zone_memory_copy(struct zone_chunk **memory, struct span bytes)
{
	char *copy = zone_memory_take(memory, bytes.len + 1);

	if (bytes.len != 0) {
		memcpy(copy, bytes.data, bytes.len);
	}
	copy[bytes.len] = '\0';
	return copy;
}

void zone_memory_release(struct zone_chunk *memory)
{
	while (memory != NULL) {
		struct zone_chunk *next = memory->next;

		free(memory);
		memory = next;
	}
}
