/* SPDX-License-Identifier: Apache-2.0 */
#include "services/writer-bind/held.h"

#include <stdlib.h>
#include <string.h>

void held_clear(struct held_table *table)
{
	for (size_t i = 0; i < table->size; i++) {
		free(table->slots[i]);
	}
	free(table->slots);
	*table = (struct held_table){0};
}

static size_t slot_of(const struct held_table *table, uint64_t hash, const char *zone, size_t len)
{
	size_t i = hash & (table->size - 1);

	while (table->slots[i] != NULL &&
	       (table->slots[i]->hash != hash || table->slots[i]->len != len ||
		memcmp(table->slots[i]->zone, zone, len) != 0)) {
		i = (i + 1) & (table->size - 1);
	}
	return i;
}

static void grow(struct held_table *table)
{
	struct held_table larger = {.size = table->size == 0 ? 1024 : table->size * 2,
				    .count = table->count};

	larger.slots = xcalloc(larger.size, sizeof(struct held *));
	for (size_t i = 0; i < table->size; i++) {
		struct held *held = table->slots[i];

		if (held != NULL) {
			larger.slots[slot_of(&larger, held->hash, held->zone, held->len)] = held;
		}
	}
	free(table->slots);
	*table = larger;
}

struct held *held_of(struct held_table *table, const struct name *zone)
{
	uint64_t hash = name_hash(zone);
	struct held *held;
	size_t i;

	if (table->count * 4 >= table->size * 3) {
		grow(table);
	}
	i = slot_of(table, hash, zone->text, zone->len);
	if (table->slots[i] == NULL) {
		held = xcalloc(1, sizeof(*held) + zone->len + 1u);
		held->hash = hash;
		held->len = zone->len;
		memcpy(held->zone, zone->text, zone->len);
		table->slots[i] = held;
		table->count++;
	}
	return table->slots[i];
}

bool held_is_zone(const struct held *held)
{
	return !version_is_none(held->version) && !held->deleted;
}

void hold_head(struct held *held, const struct zonefile_head *head)
{
	held->version = head->version;
	held->serial = head->serial;
	held->deleted = head->deleted;
	memcpy(held->digest, head->digest, sizeof(held->digest));
}

void hold_value(struct held *held, const struct zone_event *value)
{
	held->version = value->version;
	held->serial = value->deleted ? 0 : value->serial;
	held->deleted = value->deleted;
	held->digest[0] = '\0';
	if (!value->deleted) {
		memcpy(held->digest, value->digest, DIGEST_HEX_SIZE);
	}
}
