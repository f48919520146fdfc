/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/da.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/cast.h"
#include "tests/sim/dice.h"
#include "tests/sim/history.h"
#include "tests/sim/port_http.h"
#include "tests/sim/stage.h"

#define PATIENCE_US (20 * SECONDS)
#define OWNERS_AT_WORK 4 /* at most, at once */

static int64_t end_us;
static int64_t pause_ms;
static int64_t deletes_percent;
static int64_t foreign_percent;
static size_t left;

static struct process *some_ingest(void)
{
	return cast_process(dice_roll(cast_ingest_count()));
}

static enum answer answer_of(const struct got *got)
{
	if (got->refused) {
		return ANSWER_REFUSED;
	}
	if (!got->answered) {
		return ANSWER_NONE;
	}
	if (strstr(got->body, "error=0") != NULL) {
		return ANSWER_OK;
	}
	/* error=1 after a delivery failure: it may be in the log all the same. */
	return ANSWER_NONE;
}

static void push(size_t zone, size_t owner, bool deletes, bool now)
{
	size_t number = history_say(zone, owner, deletes);
	const char *name = history_zone(zone);
	char traceparent[TRACEPARENT_SIZE];
	struct buf text = BUF_INIT(4096);
	struct asked asked = {.method = "POST",
			      .path = "/CMD_API_DNS_ADMIN",
			      .username = "directdnsonly",
			      .password = "simulation",
			      .traceparent = traceparent};
	struct got got;

	history_traceparent(number, traceparent);
	asked.query[asked.query_count][0] = "action";
	asked.query[asked.query_count++][1] = deletes ? "delete" : "rawsave";
	asked.query[asked.query_count][0] = "domain";
	asked.query[asked.query_count++][1] = name;
	asked.query[asked.query_count][0] = "hostname";
	asked.query[asked.query_count++][1] = history_owner(owner);
	if (now) {
		asked.query[asked.query_count][0] = "named_reload";
		asked.query[asked.query_count++][1] = "yes";
	}
	if (!deletes) {
		buf_addf(&text,
			 "$TTL 3600\n@ IN SOA ns1.hoster.example. hostmaster.%s. "
			 "( %zu 3600 3600 1209600 86400 )\n%s. 3600 IN NS ns1.hoster.example.\n"
			 "number 3600 IN TXT \"%zu\"\n",
			 name, number + 1, name, number);
		asked.body = buf_span(&text);
	}
	http_ask(some_ingest(), &asked, PATIENCE_US, &got);
	buf_finish(&text);
	history_answered(number, answer_of(&got));
}

static void *serve(void *context)
{
	(void)context;
	while (stage_now_us() < end_us && history_count() < SAID_MAX - OWNERS_AT_WORK) {
		size_t zone = dice_roll(ZONES);
		size_t owner = zone % OWNERS;

		if (dice_percent(foreign_percent)) {
			owner = dice_roll(OWNERS);
		}
		push(zone, owner, dice_percent(deletes_percent), dice_percent(10));
		stage_wait_until(stage_now_us() + dice_delay_us(pause_ms * MS));
	}
	left--;
	return NULL;
}

void da_begin(int64_t until_us)
{
	end_us = until_us;
	pause_ms = dice_between(100, 3000);
	deletes_percent = dice_between(0, 50);
	foreign_percent = dice_between(0, 30);
	left = (size_t)dice_between(1, OWNERS_AT_WORK);
	for (size_t i = left; i > 0; i--) {
		(void)thread_start(NULL, serve, NULL);
	}
}

bool da_is_done(void)
{
	return left == 0;
}
