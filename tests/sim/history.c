/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/stage.h"
#include "tests/sim/trace.h"

static struct said all[SAID_MAX];
static size_t count;

const char *history_zone(size_t zone)
{
	/* the last two: a parent and a child */
	static const char *const names[ZONES] = {"a.example", "b.example",    "c.example",
						 "d.example", "e.example",    "f.example",
						 "g.example", "sub.g.example"};

	return names[zone];
}

const char *history_owner(size_t owner)
{
	static const char *const names[OWNERS] = {"da1.hoster.example", "da2.hoster.example"};

	return names[owner];
}

size_t history_say(size_t zone, size_t owner, bool deletes)
{
	if (count == SAID_MAX) {
		broken("more pushes than the history has room for");
	}
	all[count] = (struct said){.zone = zone,
				   .owner = owner,
				   .deletes = deletes,
				   .asked_us = stage_now_us(),
				   .answered_us = NEVER,
				   .answer = ANSWER_NONE};
	trace("#%zu: %s of %s by %s", count, deletes ? "delete" : "save", history_zone(zone),
	      history_owner(owner));
	return count++;
}

void history_answered(size_t number, enum answer answer)
{
	static const char *const words[] = {"taken", "refused", "no answer"};

	all[number].answer = answer;
	if (answer != ANSWER_NONE) {
		all[number].answered_us = stage_now_us();
	}
	trace("#%zu: %s", number, words[answer]);
}

size_t history_count(void)
{
	return count;
}

const struct said *history_said(size_t number)
{
	return &all[number];
}

size_t history_acknowledged(void)
{
	size_t acknowledged = 0;

	for (size_t i = 0; i < count; i++) {
		acknowledged += all[i].answer == ANSWER_OK;
	}
	return acknowledged;
}

void history_traceparent(size_t number, char out[TRACEPARENT_SIZE])
{
	(void)snprintf(out, TRACEPARENT_SIZE, "00-%032zx-%016x-00", number + 1, 1);
}

int64_t history_number_of(struct span traceparent)
{
	char text[TRACEPARENT_SIZE] = "";
	int64_t number;

	if (traceparent.len != TRACEPARENT_SIZE - 1) {
		return -1;
	}
	memcpy(text, traceparent.data, traceparent.len);
	text[35] = '\0';
	number = (int64_t)strtoull(text + 19, NULL, 16) - 1;
	return number >= 0 && number < (int64_t)count ? number : -1;
}

int64_t history_zone_of(struct span name)
{
	for (int64_t i = 0; i < ZONES; i++) {
		if (span_is(name, history_zone((size_t)i))) {
			return i;
		}
	}
	return -1;
}
