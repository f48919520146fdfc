/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/statuses.h"

#include <stdlib.h>
#include <string.h>

#include "cli/scan.h"

static struct speaker *speaker_of(struct statuses *statuses, const char *backend)
{
	struct speaker *speaker;

	for (size_t i = 0; i < statuses->count; i++) {
		if (strcmp(statuses->items[i].backend, backend) == 0) {
			return &statuses->items[i];
		}
	}
	statuses->items =
		xrealloc(statuses->items, (statuses->count + 1) * sizeof(*statuses->items));
	speaker = &statuses->items[statuses->count++];
	*speaker = (struct speaker){.backend = xstrdup(backend)};
	return speaker;
}

static bool take_backend(void *context, const struct bus_message *message)
{
	struct backend_event event;

	if (!message->is_null && backend_event_decode(message->value, &event, NULL) == OK) {
		speaker_of(context, event.backend)->retired = event.retired;
		backend_event_finish(&event);
	}
	return true; /* else an audit */
}

/* The key is "BACKEND/ZONE" or "BACKEND/-": most records need not be looked into. */
static bool concerns(const struct bus_message *message, const struct name *zone)
{
	const char *slash =
		message->key.len != 0 ? memchr(message->key.data, '/', message->key.len) : NULL;
	struct span rest;

	if (slash == NULL || message->is_null) {
		return false;
	}
	rest.data = slash + 1;
	rest.len = message->key.len - (size_t)(rest.data - message->key.data);
	return span_is(rest, "-") || span_equal(rest, name_span(zone));
}

static bool take_status(void *context, const struct bus_message *message)
{
	struct statuses *statuses = context;
	struct status_event event;
	struct speaker *speaker;

	if (!concerns(message, &statuses->zone) ||
	    status_event_decode(message->value, &event, NULL) != OK) {
		return true;
	}
	speaker = speaker_of(statuses, event.backend);
	if (event.zone.len == 0) {
		speaker->away = event.state == STATUS_AWAY;
		status_event_finish(&event);
	} else if (speaker->said && version_compare(event.version, speaker->last.version) < 0) {
		status_event_finish(&event);
	} else {
		status_event_finish(&speaker->last);
		speaker->last = event;
		speaker->said = true;
	}
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct speaker *left = a;
	const struct speaker *right = b;
	int order = (strcmp(right->backend, STATUS_JUDGE) == 0) -
		    (strcmp(left->backend, STATUS_JUDGE) == 0);

	return order != 0 ? order : strcmp(left->backend, right->backend);
}

enum outcome statuses_read(struct statuses *statuses, const struct cli *cli, struct reason *why)
{
	size_t kept = 0;
	enum outcome outcome =
		scan_topic(cli, TOPIC_AUDITS, SPAN_EMPTY, take_backend, statuses, why);

	if (outcome == OK) {
		outcome = scan_topic(cli, TOPIC_STATUS, SPAN_EMPTY, take_status, statuses, why);
	}
	for (size_t i = 0; i < statuses->count; i++) {
		struct speaker *speaker = &statuses->items[i];

		if (speaker->retired ||
		    (!speaker->said && strcmp(speaker->backend, STATUS_JUDGE) == 0)) {
			free(speaker->backend);
			status_event_finish(&speaker->last);
		} else {
			statuses->items[kept++] = *speaker;
		}
	}
	statuses->count = kept;
	if (kept != 0) {
		qsort(statuses->items, kept, sizeof(*statuses->items), by_name);
	}
	return outcome;
}

void statuses_finish(struct statuses *statuses)
{
	for (size_t i = 0; i < statuses->count; i++) {
		free(statuses->items[i].backend);
		status_event_finish(&statuses->items[i].last);
	}
	free(statuses->items);
	*statuses = (struct statuses){.count = 0};
}
