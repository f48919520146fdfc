/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/scan.h"

void history_add(struct history *history, const struct push_event *push, int64_t offset,
		 int64_t at_ms)
{
	struct said *said;

	history->items = xrealloc(history->items, (history->count + 1) * sizeof(*history->items));
	said = &history->items[history->count++];
	*said = (struct said){
		.offset = offset,
		.at_ms = at_ms,
		.id = push->id,
		.op = push->op,
		.owner = xstrdup(push->owner),
		.username = push->username != NULL ? xstrdup(push->username) : NULL,
		.sender = xstrdup(push->sender),
		.serial = push->serial,
		.mass = push->mass,
	};
	if (push->digest != NULL) {
		(void)snprintf(said->digest, sizeof(said->digest), "%s", push->digest);
	}
}

static bool take_push(void *context, const struct bus_message *message)
{
	struct history *history = context;
	struct push_event push;

	if (!span_equal(message->key, name_span(&history->zone))) {
		return true;
	}
	history->partition = message->partition;
	if (message->is_null || push_event_decode(message->value, &push, NULL) != OK) {
		history->unreadable++; /* the judge has put it into the dead letters */
		return true;
	}
	history_add(history, &push, message->offset, message->timestamp_ms);
	push_event_finish(&push);
	return true;
}

static void note(struct history *history, const struct status_event *status)
{
	for (size_t i = 0; status->has_id && i < history->count; i++) {
		struct said *said = &history->items[i];

		if (event_id_equal(&said->id, &status->id) &&
		    status->version.offset == said->offset) {
			said->judged = true;
			said->verdict = status->state;
			(void)snprintf(said->rule, sizeof(said->rule), "%s",
				       status->rule != NULL ? status->rule : "");
		}
	}
}

static bool take_status(void *context, const struct bus_message *message)
{
	struct history *history = context;
	struct status_event status;

	if (!message->is_null && status_event_decode(message->value, &status, NULL) == OK) {
		if (strcmp(status.backend, STATUS_JUDGE) == 0 &&
		    name_equal(&status.zone, &history->zone)) {
			note(history, &status);
		}
		status_event_finish(&status);
	}
	return true;
}

enum outcome history_read(struct history *history, const struct cli *cli, struct reason *why)
{
	struct buf key = BUF_INIT(NAME_TEXT_MAX + sizeof(STATUS_JUDGE "/"));
	enum outcome outcome =
		scan_topic(cli, TOPIC_PUSHES, name_span(&history->zone), take_push, history, why);

	if (outcome == OK) {
		buf_addf(&key, "%s/%s", STATUS_JUDGE, history->zone.text);
		outcome = scan_topic(cli, TOPIC_STATUS, buf_span(&key), take_status, history, why);
	}
	buf_finish(&key);
	return outcome;
}

void history_finish(struct history *history)
{
	for (size_t i = 0; i < history->count; i++) {
		free(history->items[i].owner);
		free(history->items[i].username);
		free(history->items[i].sender);
	}
	free(history->items);
	*history = (struct history){.count = 0};
}

/* --- which one is meant ----------------------------------------------------------------------- */

static bool time_parse(const char *text, int64_t *out)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
					    "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

	if (strspn(text, "0123456789") != 4 ||
	    text[4] != '-') { /* strptime takes less for a year */
		return false;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);
		int64_t ms = 0;

		if (end != NULL && i < 2 && *end == '.') {
			int64_t worth = 100;

			for (end++; *end >= '0' && *end <= '9'; end++) {
				ms += (*end - '0') * worth;
				worth /= 10;
			}
		}
		if (end != NULL && *end == 'Z') {
			end++;
		}
		if (end != NULL && *end == '\0') {
			*out = (int64_t)timegm(&tm) * 1000 + ms;
			return true;
		}
	}
	return false;
}

enum outcome point_parse(const char *text, struct point *out, struct reason *why)
{
	struct version version;
	char with_epoch[64];

	if (text == NULL) {
		*out = (struct point){.kind = POINT_BEFORE};
		return OK;
	}
	if (time_parse(text, &out->number)) {
		out->kind = POINT_TIME;
		return OK;
	}
	/* An offset alone will do: those of a zone are all of one partition. */
	(void)snprintf(with_epoch, sizeof(with_epoch), "1-%.40s", text);
	if ((version_parse(span_of(text), &version) && !version_is_none(version)) ||
	    version_parse(span_of(with_epoch), &version)) {
		*out = (struct point){.kind = POINT_OFFSET, .number = version.offset};
		return OK;
	}
	return because(PERMFAIL, why,
		       "\"%.60s\" is neither a time in UTC (2026-11-21T14:30:57Z) nor a version or "
		       "an offset of dadns zone history",
		       text);
}

/* A value lists its own push and those before it without a gap, back to its first one. */
static bool made_no_value(const struct said *said, const struct value *value)
{
	const struct zone_event *event = &value->event;
	int64_t since_ms;

	if (said->judged) {
		return said->verdict != STATUS_ACCEPTED && said->verdict != STATUS_UNCHANGED;
	}
	if (!value->found || event_id_equal(&said->id, &event->id)) {
		return false;
	}
	for (size_t i = 0; i < event->earlier_count; i++) {
		if (event_id_equal(&said->id, &event->earlier[i].id)) {
			return false;
		}
	}
	since_ms = event->earlier_count > 0 ? event->earlier[0].at_ms : event->pushed_at_ms;
	return said->at_ms > since_ms;
}

static bool is_within(const struct said *said, const struct value *value, const struct point *point,
		      int64_t now_offset)
{
	switch (point->kind) {
	case POINT_TIME:
		return said->at_ms <= point->number;
	case POINT_OFFSET:
		return said->offset <= point->number;
	case POINT_BEFORE:
		break;
	}
	if (!value->found) {
		return true;
	}
	return said->offset < now_offset &&
	       (value->event.deleted || strcmp(said->digest, value->event.digest) != 0);
}

enum outcome history_pick(const struct history *history, const struct value *value,
			  const struct point *point, const struct said **out, struct reason *why)
{
	int64_t now_offset = value->version.offset;

	/* I4: of another epoch the offset would tell nothing; the id always does. */
	for (size_t i = 0; value->found && i < history->count; i++) {
		if (event_id_equal(&history->items[i].id, &value->event.id)) {
			now_offset = history->items[i].offset;
		}
	}
	for (size_t i = history->count; i-- != 0;) {
		const struct said *said = &history->items[i];

		if (said->op == PUSH_SAVE && is_within(said, value, point, now_offset) &&
		    !made_no_value(said, value)) {
			*out = said;
			return OK;
		}
	}
	return because(PERMFAIL, why,
		       "%.200s: dadns.pushes, which keeps 30 days, has no such save; see dadns "
		       "zone history",
		       history->zone.text);
}
