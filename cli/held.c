/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/held.h"

#include <stdlib.h>
#include <string.h>

#include "cli/scan.h"

#define RULE_MASS "mass"

static const char *const state_texts[] = {
	[HELD_WAITS] = "held", [HELD_MOVED_ON] = "moved on", [HELD_DELETED] = "deleted"};

const char *held_state_text(enum held_state state)
{
	return state_texts[state];
}

enum held_state held_state(const struct held *held, const struct value *value)
{
	if (!value->found || value->event.deleted) {
		return HELD_DELETED;
	}
	return version_compare(value->version, held->version) < 0 ? HELD_WAITS : HELD_MOVED_ON;
}

static int by_zone(const void *a, const void *b)
{
	const struct held *left = a;
	const struct held *right = b;

	return strcmp(left->zone.text, right->zone.text);
}

static void release(struct held *held)
{
	free(held->owner);
	free(held->username);
	free(held->sender);
	free(held->reason);
}

void held_take(struct held_deletes *held, const struct status_event *status)
{
	if (status->state != STATUS_HELD || status->rule == NULL ||
	    strcmp(status->rule, RULE_MASS) != 0 || !status->deleted) {
		return;
	}
	held->items = xrealloc(held->items, (held->count + 1) * sizeof(*held->items));
	held->items[held->count++] = (struct held){
		.zone = status->zone,
		.version = status->version,
		.at_ms = status->at_ms,
		.owner = xstrdup(status->owner != NULL ? status->owner : ""),
		.reason = xstrdup(status->reason != NULL ? status->reason : ""),
	};
}

static bool take_status(void *context, const struct bus_message *message)
{
	static const char judges[] = STATUS_JUDGE "/";
	struct status_event status;

	if (!message->is_null && message->key.len >= sizeof(judges) &&
	    memcmp(message->key.data, judges, sizeof(judges) - 1) == 0 &&
	    status_event_decode(message->value, &status, NULL) == OK) {
		held_take(context, &status);
		status_event_finish(&status);
	}
	return true;
}

static int newest_last(const void *a, const void *b)
{
	const struct held *left = a;
	const struct held *right = b;
	int order = by_zone(left, right);

	return order != 0 ? order : version_compare(left->version, right->version);
}

static void keep_the_newest(struct held_deletes *held)
{
	size_t kept = 0;

	if (held->count == 0) {
		return;
	}
	qsort(held->items, held->count, sizeof(*held->items), newest_last);
	for (size_t i = 0; i < held->count; i++) {
		if (i + 1 < held->count && by_zone(&held->items[i], &held->items[i + 1]) == 0) {
			release(&held->items[i]);
		} else {
			held->items[kept++] = held->items[i];
		}
	}
	held->count = kept;
}

static struct held *find(const struct held_deletes *held, const struct name *zone)
{
	const struct held wanted = {.zone = *zone};

	if (held->count == 0) {
		return NULL;
	}
	return bsearch(&wanted, held->items, held->count, sizeof(*held->items), by_zone);
}

const struct held *held_find(const struct held_deletes *held, const struct name *zone)
{
	return find(held, zone);
}

/* --- who sent it: that stands in the push alone ------------------------------------------------
 */

static bool take_push(void *context, const struct bus_message *message)
{
	const struct held_deletes *deletes = context;
	struct push_event push;
	struct name zone;
	struct held *held;

	if (message->is_null || name_parse(message->key, &zone, NULL) != OK) {
		return true;
	}
	held = find(deletes, &zone);
	if (held == NULL || held->version.offset != message->offset || held->sender != NULL ||
	    push_event_decode(message->value, &push, NULL) != OK) {
		return true;
	}
	held->sender = xstrdup(push.sender);
	held->username = push.username != NULL ? xstrdup(push.username) : NULL;
	push_event_finish(&push);
	return true;
}

static enum outcome read_senders(struct held_deletes *held, const struct cli *cli,
				 struct reason *why)
{
	struct scan *scan = NULL;
	int64_t *from;
	enum outcome outcome;

	outcome = scan_open(&scan, cli, TOPIC_PUSHES, SPAN_EMPTY, why);
	if (outcome != OK) {
		return outcome;
	}
	from = xcalloc((size_t)scan_partitions(scan), sizeof(*from));
	for (int32_t i = 0; i < scan_partitions(scan); i++) {
		from[i] = -1;
	}
	for (size_t i = 0; i < held->count; i++) {
		int32_t partition =
			bus_partition_of(name_span(&held->items[i].zone), scan_partitions(scan));
		int64_t offset = held->items[i].version.offset;

		if (from[partition] < 0 || offset < from[partition]) {
			from[partition] = offset;
		}
	}
	for (int32_t i = 0; i < scan_partitions(scan); i++) {
		scan_begin_at(scan, i, from[i]);
	}
	free(from);
	outcome = scan_read(scan, take_push, held, why);
	scan_close(scan);
	return outcome;
}

enum outcome held_read(struct held_deletes *held, const struct cli *cli, struct reason *why)
{
	enum outcome outcome = scan_topic(cli, TOPIC_STATUS, SPAN_EMPTY, take_status, held, why);

	if (outcome != OK) {
		return outcome;
	}
	keep_the_newest(held);
	if (held->count == 0) {
		return OK;
	}
	held->values.summaries = true;
	for (size_t i = 0; i < held->count; i++) {
		values_want(&held->values, &held->items[i].zone);
	}
	outcome = values_read(&held->values, cli, why);
	return outcome != OK ? outcome : read_senders(held, cli, why);
}

void held_finish(struct held_deletes *held)
{
	for (size_t i = 0; i < held->count; i++) {
		release(&held->items[i]);
	}
	free(held->items);
	values_finish(&held->values);
	*held = (struct held_deletes){.count = 0};
}
