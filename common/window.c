/* SPDX-License-Identifier: Apache-2.0 */
#include "common/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

/* A doubly linked queue through queue_prev/queue_next. */
struct queue {
	struct window_item *first;
	struct window_item *last;
	size_t count;
};

/* The same through part_prev/part_next. */
struct line {
	struct window_item *first;
	struct window_item *last;
};

struct part {
	enum window_topic topic;
	int32_t partition;
	int64_t seen;         /* next offset after everything that was added */
	int64_t stored;       /* what was last reported as stored */
	int64_t brought_to;   /* one above the highest that the backend took */
	int64_t brought_from; /* the lowest that it took since the last window_stored */
	struct line holding;  /* unfinished, by offset */
	struct line recorded; /* unfinished, but they hold no offset */
};

struct window {
	size_t records_max;
	size_t bytes_max;
	struct part *parts;
	size_t part_count;
	struct queue now, normal, aside, settling;
	struct queue dropped;         /* somebody's answer still knows them */
	struct window_item **buckets; /* live items by zone */
	size_t bucket_count;          /* power of two */
	size_t unfinished;
	size_t bytes;
};

const struct zone_event *item_value(const struct window_item *item)
{
	return item->topic == WINDOW_HEALS ? &item->heal.value : &item->value;
}

struct window_item *item_create(void)
{
	return xcalloc(1, sizeof(struct window_item));
}

static void free_value(struct window_item *item)
{
	zone_event_finish(&item->value);
	heal_event_finish(&item->heal);
	free(item->reason);
	item->reason = NULL;
}

void item_destroy(struct window_item *item)
{
	if (item == NULL) {
		return;
	}
	free_value(item);
	free(item);
}

/* --- queues, partitions, zones ------------------------------------------------------------------
 */

static void queue_push(struct queue *queue, struct window_item *item)
{
	item->queue_next = NULL;
	item->queue_prev = queue->last;
	if (queue->last != NULL) {
		queue->last->queue_next = item;
	} else {
		queue->first = item;
	}
	queue->last = item;
	queue->count++;
}

static void queue_push_front(struct queue *queue, struct window_item *item)
{
	item->queue_prev = NULL;
	item->queue_next = queue->first;
	if (queue->first != NULL) {
		queue->first->queue_prev = item;
	} else {
		queue->last = item;
	}
	queue->first = item;
	queue->count++;
}

static void queue_remove(struct queue *queue, struct window_item *item)
{
	if (item->queue_prev != NULL) {
		item->queue_prev->queue_next = item->queue_next;
	} else {
		queue->first = item->queue_next;
	}
	if (item->queue_next != NULL) {
		item->queue_next->queue_prev = item->queue_prev;
	} else {
		queue->last = item->queue_prev;
	}
	item->queue_prev = NULL;
	item->queue_next = NULL;
	queue->count--;
}

static struct part *find_part(const struct window *window, enum window_topic topic,
			      int32_t partition)
{
	for (size_t i = 0; i < window->part_count; i++) {
		if (window->parts[i].topic == topic && window->parts[i].partition == partition) {
			return &window->parts[i];
		}
	}
	return NULL;
}

static struct line *line_of(struct part *part, const struct window_item *item)
{
	return item->recorded ? &part->recorded : &part->holding;
}

static void part_append(struct part *part, struct window_item *item)
{
	struct line *line = line_of(part, item);

	item->part_next = NULL;
	item->part_prev = line->last;
	if (line->last != NULL) {
		line->last->part_next = item;
	} else {
		line->first = item;
	}
	line->last = item;
}

static void part_remove(struct part *part, struct window_item *item)
{
	struct line *line = line_of(part, item);

	if (item->part_prev != NULL) {
		item->part_prev->part_next = item->part_next;
	} else {
		line->first = item->part_next;
	}
	if (item->part_next != NULL) {
		item->part_next->part_prev = item->part_prev;
	} else {
		line->last = item->part_prev;
	}
}

static struct window_item **bucket(const struct window *window, const struct name *zone)
{
	return &window->buckets[name_hash(zone) & (window->bucket_count - 1)];
}

struct window_item *window_find(const struct window *window, const struct name *zone)
{
	struct window_item *item = *bucket(window, zone);

	while (item != NULL && !name_equal(&item_value(item)->zone, zone)) {
		item = item->hash_next;
	}
	return item;
}

static void hash_add(struct window *window, struct window_item *item)
{
	struct window_item **head = bucket(window, &item_value(item)->zone);

	item->hash_next = *head;
	*head = item;
}

static void hash_remove(struct window *window, struct window_item *item)
{
	struct window_item **at = bucket(window, &item_value(item)->zone);

	while (*at != item) {
		assert(*at != NULL);
		at = &(*at)->hash_next;
	}
	*at = item->hash_next;
	item->hash_next = NULL;
}

static struct queue *home_queue(struct window *window, const struct window_item *item)
{
	return item_value(item)->now ? &window->now : &window->normal;
}

/* --- life of a window ---------------------------------------------------------------------------
 */

struct window *window_create(size_t records_max, size_t bytes_max)
{
	struct window *window = xcalloc(1, sizeof(*window));

	window->records_max = records_max;
	window->bytes_max = bytes_max;
	window->bucket_count = 1024;
	while (window->bucket_count < records_max) {
		window->bucket_count *= 2;
	}
	window->buckets = xcalloc(window->bucket_count, sizeof(struct window_item *));
	return window;
}

void window_destroy(struct window *window)
{
	if (window == NULL) {
		return;
	}
	while (window->part_count != 0) {
		window_drop(window, window->parts[0].topic, window->parts[0].partition);
	}
	while (window->dropped.first != NULL) {
		window_finish(window, window->dropped.first);
	}
	free(window->parts);
	free(window->buckets);
	free(window);
}

void window_open(struct window *window, enum window_topic topic, int32_t partition,
		 int64_t next_offset)
{
	struct part *part;

	window_drop(window, topic, partition);
	window->parts = xrealloc(window->parts, (window->part_count + 1) * sizeof(*window->parts));
	part = &window->parts[window->part_count++];
	*part = (struct part){.topic = topic,
			      .partition = partition,
			      .seen = next_offset,
			      .stored = next_offset,
			      .brought_to = next_offset,
			      .brought_from = INT64_MAX};
}

static void drop(struct window *window, struct window_item *item)
{
	item->state = ITEM_DROPPED;
	queue_push(&window->dropped, item);
}

void window_drop(struct window *window, enum window_topic topic, int32_t partition)
{
	struct part *part = find_part(window, topic, partition);

	if (part == NULL) {
		return;
	}
	while (part->holding.first != NULL || part->recorded.first != NULL) {
		struct window_item *item =
			part->holding.first != NULL ? part->holding.first : part->recorded.first;

		assert(item->state != ITEM_TAKEN); /* apply() never spans a poll */
		if (item->state == ITEM_CONFIRMING || item->state == ITEM_SETTLING) {
			part_remove(part, item);
			if (item->state == ITEM_SETTLING) {
				queue_remove(&window->settling, item);
				window->bytes -= item->bytes;
			}
			window->unfinished--;
			drop(window, item); /* its confirmation or settlement still knows it */
		} else {
			window_finish(window, item);
		}
	}
	*part = window->parts[--window->part_count];
}

bool window_has(const struct window *window, enum window_topic topic, int32_t partition)
{
	return find_part(window, topic, partition) != NULL;
}

/* --- items
 * ---------------------------------------------------------------------------------------- */

/* The newer one stays. At equal versions the value itself is kept rather than a heal of it, and the
 * later record rather than the earlier. */
static bool replaces(const struct window_item *new, const struct window_item *old)
{
	int order = version_compare(item_value(new)->version, item_value(old)->version);

	if (order == 0) {
		return new->topic == WINDOW_ZONES;
	}
	return order > 0;
}

void window_add(struct window *window, struct window_item *item)
{
	struct part *part = find_part(window, item->topic, item->partition);
	struct window_item *other;

	if (part == NULL) { /* a late record of a partition that went away */
		item_destroy(item);
		return;
	}
	if (item->offset >= part->seen && !item->recorded) {
		part->seen = item->offset + 1;
	}
	other = window_find(window, &item_value(item)->zone);
	if (other != NULL && !replaces(item, other)) {
		item_destroy(item);
		return;
	}
	if (other != NULL) {
		window_finish(window, other);
	}
	item->state = ITEM_WAITING;
	part_append(part, item);
	hash_add(window, item);
	queue_push(home_queue(window, item), item);
	window->unfinished++;
	window->bytes += item->bytes;
}

void window_add_confirming(struct window *window, struct window_item *item)
{
	struct part *part = find_part(window, item->topic, item->partition);

	if (part == NULL) {
		drop(window, item);
		return;
	}
	if (item->offset >= part->seen) {
		part->seen = item->offset + 1;
	}
	item->state = ITEM_CONFIRMING;
	part_append(part, item);
	window->unfinished++;
}

void window_skip(struct window *window, enum window_topic topic, int32_t partition, int64_t offset)
{
	struct part *part = find_part(window, topic, partition);

	if (part != NULL && offset >= part->seen) {
		part->seen = offset + 1;
	}
}

size_t window_take(struct window *window, struct window_item **out, size_t max)
{
	struct queue *queue = window->now.count != 0 ? &window->now : &window->normal;
	size_t count = 0;

	while (count < max && queue->first != NULL) {
		struct window_item *item = queue->first;

		queue_remove(queue, item);
		item->state = ITEM_TAKEN;
		out[count++] = item;
	}
	return count;
}

void window_put_back(struct window *window, struct window_item *item)
{
	assert(item->state == ITEM_TAKEN);
	item->state = ITEM_WAITING;
	queue_push_front(home_queue(window, item), item);
}

bool window_put_aside(struct window *window, struct window_item *item, int64_t due_ms)
{
	if (item->state == ITEM_SETTLING) {
		if (window_find(window, &item_value(item)->zone) != NULL) {
			window_finish(window, item);
			return false;
		}
		queue_remove(&window->settling, item);
		hash_add(window, item);
		item->state = ITEM_TAKEN;
	}
	assert(item->state == ITEM_TAKEN);
	item->state = ITEM_ASIDE;
	item->due_ms = due_ms;
	queue_push(&window->aside, item);
	return true;
}

/* The backend took it, or had it already. */
static void note_brought(const struct window *window, const struct window_item *item)
{
	struct part *part = find_part(window, item->topic, item->partition);

	if (part != NULL && item->offset >= part->brought_to) {
		part->brought_to = item->offset + 1;
	}
	if (part != NULL && item->offset < part->brought_from) {
		part->brought_from = item->offset;
	}
}

void window_settling(struct window *window, struct window_item *item)
{
	assert(item->state == ITEM_TAKEN);
	note_brought(window, item);
	hash_remove(window, item);
	item->state = ITEM_SETTLING;
	queue_push(&window->settling, item);
}

void window_confirming(struct window *window, struct window_item *item)
{
	if (item->state == ITEM_SETTLING) {
		queue_remove(&window->settling, item);
	} else {
		assert(item->state == ITEM_TAKEN);
		note_brought(window, item);
		hash_remove(window, item);
	}
	window->bytes -= item->bytes;
	free_value(item);
	item->state = ITEM_CONFIRMING;
}

void window_finish(struct window *window, struct window_item *item)
{
	struct part *part = find_part(window, item->topic, item->partition);

	switch (item->state) {
	case ITEM_WAITING:
		queue_remove(home_queue(window, item), item);
		break;
	case ITEM_ASIDE:
		queue_remove(&window->aside, item);
		break;
	case ITEM_SETTLING:
		queue_remove(&window->settling, item);
		break;
	case ITEM_TAKEN:
		note_brought(window, item);
		break;
	case ITEM_CONFIRMING:
		break;
	case ITEM_DROPPED:
		queue_remove(&window->dropped, item);
		item_destroy(item);
		return;
	}
	if (item->state != ITEM_CONFIRMING) {
		window->bytes -= item->bytes;
		if (item->state != ITEM_SETTLING) {
			hash_remove(window, item);
		}
	}
	assert(part != NULL);
	part_remove(part, item);
	window->unfinished--;
	item_destroy(item);
}

struct window_item *window_aside_next(const struct window *window, const struct window_item *item)
{
	return item == NULL ? window->aside.first : item->queue_next;
}

void window_wake(struct window *window, struct window_item *item)
{
	assert(item->state == ITEM_ASIDE);
	queue_remove(&window->aside, item);
	item->state = ITEM_WAITING;
	queue_push(home_queue(window, item), item);
}

/* --- questions
 * -------------------------------------------------------------------------------------- */

/* Items aside hold memory, not the way: they count only by their bytes. */
static size_t reading_ahead(const struct window *window)
{
	return window->unfinished - window->aside.count;
}

bool window_full(const struct window *window)
{
	return reading_ahead(window) >= window->records_max || window->bytes >= window->bytes_max;
}

bool window_has_room(const struct window *window)
{
	return reading_ahead(window) < window->records_max / 4 * 3 &&
	       window->bytes < window->bytes_max / 4 * 3;
}

size_t window_waiting(const struct window *window)
{
	return window->now.count + window->normal.count;
}

size_t window_aside(const struct window *window)
{
	return window->aside.count;
}

size_t window_settling_count(const struct window *window)
{
	return window->settling.count;
}

size_t window_unfinished(const struct window *window)
{
	return window->unfinished;
}

size_t window_bytes(const struct window *window)
{
	return window->bytes;
}

static int64_t part_next_offset(const struct part *part)
{
	return part->holding.first != NULL ? part->holding.first->offset : part->seen;
}

bool window_progress(const struct window *window, size_t i, enum window_topic *topic,
		     int32_t *partition, int64_t *next_offset, bool *changed)
{
	const struct part *part;

	if (i >= window->part_count) {
		return false;
	}
	part = &window->parts[i];
	*topic = part->topic;
	*partition = part->partition;
	*next_offset = part_next_offset(part);
	*changed = *next_offset > part->stored;
	return true;
}

void window_stored(struct window *window, enum window_topic topic, int32_t partition,
		   int64_t next_offset)
{
	struct part *part = find_part(window, topic, partition);

	if (part != NULL) {
		part->stored = next_offset;
		part->brought_from = INT64_MAX;
	}
}

int64_t window_rewind(const struct window *window, enum window_topic topic, int32_t partition,
		      int64_t position, bool was_away)
{
	const struct part *part = find_part(window, topic, partition);

	if (part == NULL) {
		return -1;
	}
	if (position < part->stored) {
		return 0;
	}
	if (was_away && part->brought_from < position) { /* a further try */
		return part->brought_from;
	}
	return was_away && part->brought_to > position ? position : -1;
}

int64_t window_stored_offset(const struct window *window, enum window_topic topic,
			     int32_t partition)
{
	const struct part *part = find_part(window, topic, partition);

	return part == NULL ? -1 : part->stored;
}
