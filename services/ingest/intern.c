/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/intern.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

struct intern_text {
	uint64_t hash;
	size_t holders;
	char text[];
};

static uint64_t text_hash(const char *text) /* FNV-1a */
{
	uint64_t hash = 14695981039346656037u;

	for (; *text != '\0'; text++) {
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	}
	return hash;
}

/* The slot that holds `text`, or the free one where it belongs. */
static size_t find(const struct intern_table *table, const char *text, uint64_t hash)
{
	size_t at = hash & (table->size - 1);

	while (table->slots[at] != NULL &&
	       (table->slots[at]->hash != hash || strcmp(table->slots[at]->text, text) != 0)) {
		at = (at + 1) & (table->size - 1);
	}
	return at;
}

static void grow(struct intern_table *table)
{
	struct intern_table bigger = {.size = table->size == 0 ? 64 : table->size * 2,
				      .count = table->count};

	bigger.slots = xcalloc(bigger.size, sizeof(struct intern_text *));
	for (size_t i = 0; i < table->size; i++) {
		struct intern_text *text = table->slots[i];

		if (text != NULL) {
			bigger.slots[find(&bigger, text->text, text->hash)] = text;
		}
	}
	free(table->slots);
	*table = bigger;
}

const char *intern(struct intern_table *table, const char *text)
{
	struct intern_text *entry;
	uint64_t hash;
	size_t len;
	size_t at;

	if (text == NULL) {
		return NULL;
	}
	if (table->count * 2 >= table->size) {
		grow(table);
	}
	hash = text_hash(text);
	at = find(table, text, hash);
	if (table->slots[at] == NULL) {
		len = strlen(text);
		entry = xmalloc(sizeof(*entry) + len + 1);
		entry->hash = hash;
		entry->holders = 0;
		memcpy(entry->text, text, len + 1);
		table->slots[at] = entry;
		table->count++;
	}
	table->slots[at]->holders++;
	return table->slots[at]->text;
}

void intern_release(struct intern_table *table, const char *text)
{
	struct intern_text *entry;
	size_t hole;
	size_t at;

	if (text == NULL) {
		return;
	}
	hole = find(table, text, text_hash(text));
	entry = table->slots[hole];
	assert(entry != NULL && entry->holders > 0);
	if (--entry->holders > 0) {
		return;
	}
	free(entry);
	table->slots[hole] = NULL;
	table->count--;
	/* Linear probing: what lies behind the hole may have been pushed there by it. */
	for (at = (hole + 1) & (table->size - 1); table->slots[at] != NULL;
	     at = (at + 1) & (table->size - 1)) {
		struct intern_text *moved = table->slots[at];

		table->slots[at] = NULL;
		table->slots[find(table, moved->text, moved->hash)] = moved;
	}
}

void intern_finish(struct intern_table *table)
{
	free(table->slots);
	*table = (struct intern_table){0};
}
