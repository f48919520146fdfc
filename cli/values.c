/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/values.h"

#include <stdlib.h>
#include <string.h>

#include "cli/scan.h"

struct reading {
	struct values *values;
	enum outcome outcome;
	struct reason *why;
};

static int compare(const void *a, const void *b)
{
	const struct value *left = a;
	const struct value *right = b;

	return strcmp(left->zone.text, right->zone.text);
}

void values_want(struct values *values, const struct name *zone)
{
	values->items = xrealloc(values->items, (values->count + 1) * sizeof(*values->items));
	values->items[values->count++] = (struct value){.zone = *zone};
}

static void sort(struct values *values)
{
	size_t kept = 0;

	if (values->count == 0) {
		return;
	}
	qsort(values->items, values->count, sizeof(*values->items), compare);
	for (size_t i = 0; i < values->count; i++) {
		if (i == 0 || compare(&values->items[i], &values->items[kept - 1]) != 0) {
			values->items[kept++] = values->items[i];
		}
	}
	values->count = kept;
}

static struct value *find(const struct values *values, const struct name *zone)
{
	const struct value wanted = {.zone = *zone};

	if (values->count == 0) {
		return NULL;
	}
	return bsearch(&wanted, values->items, values->count, sizeof(*values->items), compare);
}

const struct value *values_of(const struct values *values, const struct name *zone)
{
	return find(values, zone);
}

static void bury(struct value *value, const struct bus_message *message)
{
	struct version buries;

	if (version_parse(bus_message_header(message, HEADER_BURIES), &buries) &&
	    version_compare(buries, value->version) >= 0) {
		zone_event_finish(&value->event);
		value->found = false;
		value->version = buries;
	}
}

enum outcome value_take(struct value *value, bool summary, const struct bus_message *message,
			struct reason *why)
{
	struct zone_event event;
	struct reason trouble;
	enum outcome outcome;
	int order;

	if (message->is_null) {
		bury(value, message);
		return OK;
	}
	outcome = (summary ? zone_event_decode_summary : zone_event_decode)(message->value, &event,
									    &trouble);
	if (outcome == TEMPFAIL) {
		return because(PERMFAIL, why, "%s: %s", value->zone.text, trouble.text);
	}
	if (outcome == OK && !name_equal(&event.zone, &value->zone)) {
		zone_event_finish(&event);
		outcome = because(PERMFAIL, &trouble, "its key is not its zone");
	}
	if (outcome != OK) { /* the writers put it into the dead letters and go on (I8) */
		value->unreadable = trouble;
		return OK;
	}
	order = version_compare(event.version, value->version);
	if (order < 0 || (order == 0 && !value->found)) { /* I4: a zombie wrote it late */
		zone_event_finish(&event);
		return OK;
	}
	zone_event_finish(&value->event);
	value->event = event;
	value->version = event.version;
	value->found = true;
	return OK;
}

static bool take(void *context, const struct bus_message *message)
{
	struct reading *reading = context;
	struct name zone;
	struct value *value;

	if (name_parse(message->key, &zone, NULL) != OK) {
		return true; /* the judge's own records */
	}
	value = find(reading->values, &zone);
	if (value != NULL) {
		reading->outcome =
			value_take(value, reading->values->summaries, message, reading->why);
	}
	return reading->outcome == OK;
}

enum outcome values_read(struct values *values, const struct cli *cli, struct reason *why)
{
	struct reading reading = {.values = values, .why = why};
	struct span key = SPAN_EMPTY;
	enum outcome outcome;

	sort(values);
	if (values->count == 0) {
		return OK;
	}
	if (values->count == 1) {
		key = name_span(&values->items[0].zone);
	}
	outcome = scan_topic(cli, TOPIC_ZONES, key, take, &reading, why);
	return outcome != OK ? outcome : reading.outcome;
}

void values_finish(struct values *values)
{
	for (size_t i = 0; i < values->count; i++) {
		zone_event_finish(&values->items[i].event);
	}
	free(values->items);
	*values = (struct values){0};
}
