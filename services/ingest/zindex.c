/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/zindex.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "services/ingest/intern.h"

#define DIGEST_BYTES ((DIGEST_HEX_SIZE - 1) / 2)
#define AHEAD (-1) /* offset of a version that was decided and not read back */
#define SLICE 4096 /* slots that are looked at while others wait for the lock */

struct entry {
	uint64_t hash;
	struct version version;
	int64_t offset; /* of that version in dadns.zones, or AHEAD */
	struct event_id id;
	int64_t pushed_at_ms;
	const char *owner;    /* interned */
	const char *username; /* interned */
	struct earlier_push *earlier;
	uint32_t serial;
	int32_t partition;
	uint16_t earlier_count;
	bool buried : 1;
	bool deleted : 1;
	bool unchecked : 1;
	bool unchanged : 1;
	bool has_digest : 1;
	bool unsettled : 1; /* the last record read is older than `version`, which lies at `offset`
			     */
	uint8_t digest[DIGEST_BYTES];
	uint8_t name_len;
	char name[];
};

struct zindex {
	pthread_rwlock_t lock; /* guards all below but `complete` */
	struct entry **slots;
	size_t size; /* a power of two */
	size_t count;
	struct intern_table texts;
	struct zindex_partition *partitions;
	int32_t partition_count;
	_Atomic bool complete;
};

static void lock_shared(const struct zindex *index)
{
	(void)pthread_rwlock_rdlock((pthread_rwlock_t *)(uintptr_t)&index->lock);
}

static void lock_alone(struct zindex *index)
{
	(void)pthread_rwlock_wrlock(&index->lock);
}

static void unlock(const struct zindex *index)
{
	(void)pthread_rwlock_unlock((pthread_rwlock_t *)(uintptr_t)&index->lock);
}

/* --- the table ------------------------------------------------------------------------------- */

static size_t slot_of(const struct zindex *index, const struct name *name, uint64_t hash)
{
	size_t at = hash & (index->size - 1);

	while (index->slots[at] != NULL) {
		const struct entry *entry = index->slots[at];

		if (entry->hash == hash && entry->name_len == name->len &&
		    memcmp(entry->name, name->text, name->len) == 0) {
			break;
		}
		at = (at + 1) & (index->size - 1);
	}
	return at;
}

static struct entry *find(const struct zindex *index, const struct name *name)
{
	return index->slots[slot_of(index, name, name_hash(name))];
}

static void grow(struct zindex *index)
{
	size_t size = index->size * 2;
	struct entry **slots = xcalloc(size, sizeof(struct entry *));

	for (size_t i = 0; i < index->size; i++) {
		struct entry *entry = index->slots[i];
		size_t at;

		if (entry == NULL) {
			continue;
		}
		at = entry->hash & (size - 1);
		while (slots[at] != NULL) {
			at = (at + 1) & (size - 1);
		}
		slots[at] = entry;
	}
	free(index->slots);
	index->slots = slots;
	index->size = size;
}

/* A new entry has no version: everything is newer. */
static struct entry *find_or_add(struct zindex *index, const struct name *name, int32_t partition)
{
	uint64_t hash = name_hash(name);
	struct entry *entry;
	size_t at;

	if ((index->count + 1) * 4 > index->size * 3) {
		grow(index);
	}
	at = slot_of(index, name, hash);
	if (index->slots[at] == NULL) {
		entry = xcalloc(1, sizeof(*entry) + name->len + 1u);
		entry->hash = hash;
		entry->partition = partition;
		entry->name_len = name->len;
		memcpy(entry->name, name->text, name->len);
		index->slots[at] = entry;
		index->count++;
	}
	return index->slots[at];
}

static void entry_clear(struct zindex *index, struct entry *entry)
{
	intern_release(&index->texts, entry->owner);
	intern_release(&index->texts, entry->username);
	free(entry->earlier);
	entry->owner = NULL;
	entry->username = NULL;
	entry->earlier = NULL;
	entry->earlier_count = 0;
	entry->has_digest = false;
}

struct zindex *zindex_create(int32_t partitions)
{
	struct zindex *index = xcalloc(1, sizeof(*index));

	assert(partitions > 0);
	(void)pthread_rwlock_init(&index->lock, NULL);
	index->size = 1024;
	index->slots = xcalloc(index->size, sizeof(struct entry *));
	index->partition_count = partitions;
	index->partitions = xcalloc((size_t)partitions, sizeof(index->partitions[0]));
	return index;
}

void zindex_destroy(struct zindex *index)
{
	if (index == NULL) {
		return;
	}
	for (size_t i = 0; i < index->size; i++) {
		if (index->slots[i] != NULL) {
			entry_clear(index, index->slots[i]);
			free(index->slots[i]);
		}
	}
	intern_finish(&index->texts);
	free(index->slots);
	free(index->partitions);
	(void)pthread_rwlock_destroy(&index->lock);
	free(index);
}

/* --- digests as bytes ------------------------------------------------------------------------ */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool digest_pack(const char *hex, uint8_t out[DIGEST_BYTES])
{
	if (hex == NULL || strlen(hex) != (size_t)DIGEST_BYTES * 2) {
		return false;
	}
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		int high = hex_value(hex[2 * i]);
		int low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		out[i] = (uint8_t)(high * 16 + low);
	}
	return true;
}

static void digest_unpack(const uint8_t bytes[DIGEST_BYTES], char out[DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[DIGEST_HEX_SIZE - 1] = '\0';
}

/* --- writing --------------------------------------------------------------------------------- */

static struct zindex_partition *partition_of(const struct zindex *index, int32_t partition)
{
	assert(partition >= 0 && partition < index->partition_count);
	return &index->partitions[partition];
}

static void set_unsettled(struct zindex *index, struct entry *entry, bool unsettled)
{
	struct zindex_partition *partition = partition_of(index, entry->partition);

	if (entry->unsettled != unsettled) {
		partition->unsettled += unsettled ? 1 : (size_t)-1;
		entry->unsettled = unsettled;
	}
}

static void set_offset(struct zindex *index, struct entry *entry, int64_t offset)
{
	struct zindex_partition *partition = partition_of(index, entry->partition);
	bool was_ahead = !version_is_none(entry->version) && entry->offset == AHEAD;
	bool is_ahead = offset == AHEAD;

	if (was_ahead != is_ahead) {
		partition->ahead += is_ahead ? 1 : (size_t)-1;
	}
	entry->offset = offset;
}

static void fill(struct zindex *index, struct entry *entry, const struct zone_event *value)
{
	const char *owner = intern(&index->texts, value->owner);
	const char *username = intern(&index->texts, value->username);
	size_t count = value->earlier_count > EARLIER_MAX ? EARLIER_MAX : value->earlier_count;

	entry_clear(index, entry);
	entry->version = value->version;
	entry->id = value->id;
	entry->pushed_at_ms = value->pushed_at_ms;
	entry->owner = owner;
	entry->username = username;
	entry->serial = value->serial;
	entry->buried = false;
	entry->deleted = value->deleted;
	entry->unchecked = value->unchecked;
	entry->unchanged = value->unchanged;
	entry->has_digest = digest_pack(value->digest, entry->digest);
	entry->earlier_count = (uint16_t)count;
	if (count > 0) {
		entry->earlier = xmalloc(count * sizeof(entry->earlier[0]));
		memcpy(entry->earlier, value->earlier + (value->earlier_count - count),
		       count * sizeof(entry->earlier[0]));
	}
}

static void bury(struct zindex *index, struct entry *entry, struct version version)
{
	entry_clear(index, entry);
	entry->version = version;
	entry->buried = true;
	entry->deleted = true;
}

/* The rules of reading, for values and tombstones alike: a newer version is the zone's; the same
 * one is where we know it to lie; after an older one the zone is unsettled, unless a newer value is
 * on its way to the log and will be the last. Returns whether the version is new to us. */
static bool read_version(struct zindex *index, struct entry *entry, struct version version,
			 int64_t offset)
{
	int order = version_compare(version, entry->version);

	if (order < 0) {
		if (entry->offset != AHEAD) {
			set_unsettled(index, entry, true);
		}
		return false;
	}
	set_offset(index, entry, offset);
	set_unsettled(index, entry, false);
	return order > 0;
}

static void raise_highest(struct zindex *index, int32_t partition, struct version version)
{
	struct zindex_partition *at = partition_of(index, partition);

	if (version_compare(version, at->highest) > 0) {
		at->highest = version;
	}
}

void zindex_read(struct zindex *index, int32_t partition, int64_t offset,
		 const struct zone_event *value)
{
	struct entry *entry;

	lock_alone(index);
	entry = find_or_add(index, &value->zone, partition);
	if (read_version(index, entry, value->version, offset)) {
		fill(index, entry, value);
	}
	raise_highest(index, partition, value->version);
	unlock(index);
}

bool zindex_read_back(struct zindex *index, int32_t partition, int64_t offset,
		      const struct name *zone, const struct event_id *id)
{
	struct entry *entry;
	bool known;

	lock_alone(index);
	entry = find(index, zone);
	known = entry != NULL && entry->partition == partition && entry->offset == AHEAD &&
		!version_is_none(entry->version) && event_id_equal(&entry->id, id);
	if (known) {
		(void)read_version(index, entry, entry->version, offset);
		raise_highest(index, partition, entry->version);
	}
	unlock(index);
	return known;
}

void zindex_read_burial(struct zindex *index, int32_t partition, int64_t offset,
			const struct name *zone, struct version version)
{
	struct entry *entry;

	lock_alone(index);
	entry = find_or_add(index, zone, partition);
	(void)read_version(index, entry, version, offset);
	if (version_compare(version, entry->version) >= 0) {
		bury(index, entry, version);
	}
	raise_highest(index, partition, version);
	unlock(index);
}

void zindex_read_epoch(struct zindex *index, int32_t partition, int64_t epoch)
{
	struct zindex_partition *at;

	lock_alone(index);
	at = partition_of(index, partition);
	if (epoch > at->epoch) {
		at->epoch = epoch;
	}
	unlock(index);
}

void zindex_read_barrier(struct zindex *index, int32_t partition, const struct event_id *judge)
{
	struct zindex_partition *at;

	lock_alone(index);
	at = partition_of(index, partition);
	at->barrier_read = at->barrier_read || event_id_equal(&at->barrier, judge);
	unlock(index);
}

void zindex_await_barrier(struct zindex *index, int32_t partition, const struct event_id *judge)
{
	struct zindex_partition *at;

	lock_alone(index);
	at = partition_of(index, partition);
	at->barrier = *judge;
	at->barrier_read = false;
	unlock(index);
}

void zindex_set_complete(struct zindex *index)
{
	index->complete = true;
}

void zindex_decide(struct zindex *index, int32_t partition, const struct zone_event *value)
{
	struct entry *entry;

	lock_alone(index);
	entry = find_or_add(index, &value->zone, partition);
	/* The reader may have been faster than the one who decided. */
	if (version_compare(value->version, entry->version) > 0) {
		set_offset(index, entry, AHEAD);
		set_unsettled(index, entry, false); /* what is on its way will be the last */
		fill(index, entry, value);
	}
	unlock(index);
}

static bool lists(const struct entry *entry, const struct event_id *id)
{
	for (size_t i = 0; i < entry->earlier_count; i++) {
		if (event_id_equal(&entry->earlier[i].id, id)) {
			return true;
		}
	}
	return false;
}

void zindex_remember(struct zindex *index, const struct name *zone, struct version version,
		     const struct event_id *id, int64_t at_ms)
{
	struct entry *entry;

	lock_alone(index);
	entry = find(index, zone);
	if (entry != NULL && !entry->buried && version_compare(version, entry->version) > 0 &&
	    !lists(entry, id)) {
		if (entry->earlier_count == EARLIER_MAX) {
			entry->earlier_count--;
			memmove(entry->earlier, entry->earlier + 1,
				entry->earlier_count * sizeof(entry->earlier[0]));
		}
		entry->earlier = xrealloc(entry->earlier,
					  (entry->earlier_count + 1u) * sizeof(entry->earlier[0]));
		entry->earlier[entry->earlier_count++] = (struct earlier_push){*id, at_ms};
	}
	unlock(index);
}

/* --- asking ---------------------------------------------------------------------------------- */

bool zindex_state(const struct zindex *index, const struct name *zone, struct zone_state *out)
{
	const struct entry *entry;

	lock_shared(index);
	entry = find(index, zone);
	if (entry != NULL) {
		out->version = entry->version;
		out->buried = entry->buried;
		out->deleted = entry->deleted;
		out->unchecked = entry->unchecked;
		out->unchanged = entry->unchanged;
		(void)snprintf(out->owner, sizeof(out->owner), "%s",
			       entry->owner == NULL ? "" : entry->owner);
		out->has_username = entry->username != NULL;
		(void)snprintf(out->username, sizeof(out->username), "%s",
			       entry->username == NULL ? "" : entry->username);
		out->has_digest = entry->has_digest;
		out->digest[0] = '\0';
		if (entry->has_digest) {
			digest_unpack(entry->digest, out->digest);
		}
		out->serial = entry->serial;
		out->id = entry->id;
		out->pushed_at_ms = entry->pushed_at_ms;
		out->earlier_count = entry->earlier_count;
		if (entry->earlier_count > 0) {
			memcpy(out->earlier, entry->earlier,
			       entry->earlier_count * sizeof(out->earlier[0]));
		}
	}
	unlock(index);
	return entry != NULL;
}

void zindex_partition(const struct zindex *index, int32_t partition, struct zindex_partition *out)
{
	lock_shared(index);
	*out = *partition_of(index, partition);
	unlock(index);
}

static struct name name_of(const struct entry *entry)
{
	struct name name = {.len = entry->name_len};

	memcpy(name.text, entry->name, entry->name_len);
	return name;
}

size_t zindex_repairs(const struct zindex *index, int32_t partition, struct zindex_repair *out,
		      size_t max)
{
	size_t count = 0;

	lock_shared(index);
	if (partition_of(index, partition)->unsettled == 0) {
		goto out;
	}
	for (size_t i = 0; i < index->size && count < max; i++) {
		const struct entry *entry = index->slots[i];

		if (entry != NULL && entry->unsettled && entry->partition == partition) {
			struct zindex_repair *repair = &out[count++];

			*repair = (struct zindex_repair){.zone = name_of(entry),
							 .version = entry->version,
							 .offset = entry->offset,
							 .buried = entry->buried};
		}
	}
out:
	unlock(index);
	return count;
}

bool zindex_repair_holds(const struct zindex *index, const struct zindex_repair *repair)
{
	const struct entry *entry;
	bool holds;

	lock_shared(index);
	entry = find(index, &repair->zone);
	holds = entry != NULL && entry->unsettled &&
		version_compare(entry->version, repair->version) == 0;
	unlock(index);
	return holds;
}

void zindex_repair_give_up(struct zindex *index, const struct zindex_repair *repair)
{
	struct entry *entry;

	lock_alone(index);
	entry = find(index, &repair->zone);
	if (entry != NULL) {
		set_unsettled(index, entry, false);
	}
	unlock(index);
}

/* I5: a delete that is the zone's last word, and whose record is the last one. */
static bool may_be_buried(const struct entry *entry)
{
	return entry->deleted && !entry->buried && !entry->unsettled && entry->offset != AHEAD;
}

static bool is_below(struct version version, struct version bound)
{
	return version.epoch == bound.epoch && version.offset < bound.offset;
}

size_t zindex_deletes(const struct zindex *index, const struct version *below, size_t *cursor,
		      struct zindex_delete *out, size_t max)
{
	size_t count = 0;
	size_t i = *cursor;
	size_t end;

	lock_shared(index);
	end = i + SLICE < index->size ? i + SLICE : index->size;
	for (; i < end && count < max; i++) {
		const struct entry *entry = index->slots[i];

		if (entry != NULL && may_be_buried(entry) &&
		    is_below(entry->version, below[entry->partition])) {
			out[count++] = (struct zindex_delete){
				.zone = name_of(entry),
				.version = entry->version,
				.partition = entry->partition,
			};
		}
	}
	*cursor = i < index->size ? i : 0;
	unlock(index);
	return count;
}

static bool is_that_delete(const struct entry *entry, const struct zindex_delete *gone)
{
	return entry != NULL && may_be_buried(entry) &&
	       version_compare(entry->version, gone->version) == 0;
}

bool zindex_delete_holds(const struct zindex *index, const struct zindex_delete *gone)
{
	bool holds;

	lock_shared(index);
	holds = is_that_delete(find(index, &gone->zone), gone);
	unlock(index);
	return holds;
}

void zindex_bury(struct zindex *index, const struct zindex_delete *gone)
{
	struct entry *entry;

	lock_alone(index);
	entry = find(index, &gone->zone);
	if (is_that_delete(entry, gone)) { /* else the reader has met something newer */
		set_offset(index, entry, AHEAD);
		bury(index, entry, gone->version);
	}
	unlock(index);
}

bool zindex_complete(const struct zindex *index)
{
	return index->complete;
}

bool zindex_version(const struct zindex *index, const struct name *zone, struct version *out)
{
	const struct entry *entry;

	lock_shared(index);
	entry = find(index, zone);
	if (entry != NULL) {
		*out = entry->version;
	}
	unlock(index);
	return entry != NULL;
}

bool zindex_owner(const struct zindex *index, const struct name *zone, char owner[STATE_TEXT_SIZE])
{
	const struct entry *entry;
	bool exists;

	lock_shared(index);
	entry = find(index, zone);
	exists = entry != NULL && !entry->deleted && !entry->buried;
	if (exists) {
		(void)snprintf(owner, STATE_TEXT_SIZE, "%s",
			       entry->owner == NULL ? "" : entry->owner);
	}
	unlock(index);
	return exists;
}

size_t zindex_count(const struct zindex *index)
{
	size_t count;

	lock_shared(index);
	count = index->count;
	unlock(index);
	return count;
}
