/* SPDX-License-Identifier: Apache-2.0 */
/* history.h: what DirectAdmin servers said and what they were answered, for the checker.
 *
 * Every push has a number of its own. It travels as the trace id of the request, so that the log,
 * the values and the statuses that come of it can be told apart; a save carries it as its serial
 * and in a TXT record too.
 */
#ifndef TESTS_SIM_HISTORY_H
#define TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/event.h"

#define ZONES 8
#define OWNERS 2
#define SAID_MAX 512

enum answer {
	ANSWER_OK,      /* error=0: acknowledged */
	ANSWER_REFUSED, /* a definite no */
	ANSWER_NONE,    /* it may take effect, once, at any later time */
};

struct said {
	size_t zone;
	size_t owner;
	bool deletes;
	int64_t asked_us;
	int64_t answered_us; /* NEVER for ANSWER_NONE */
	enum answer answer;
};

const char *history_zone(size_t zone);
const char *history_owner(size_t owner);
/* A new push; its number. */
size_t history_say(size_t zone, size_t owner, bool deletes);
void history_answered(size_t number, enum answer answer);
size_t history_count(void);
const struct said *history_said(size_t number);
size_t history_acknowledged(void);
/* -1: it is none of ours. */
int64_t history_number_of(struct span traceparent);
void history_traceparent(size_t number, char out[TRACEPARENT_SIZE]);
int64_t history_zone_of(struct span name);

#endif
