/* SPDX-License-Identifier: Apache-2.0 */
/* common/redis.h on the model of Redis: commands arrive in their order, each a moment later, and
 * are answered in that order; an answer may be late or never come though the command was carried
 * out.
 */
#include "common/redis.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/faults.h"
#include "tests/sim/keeper.h"
#include "tests/sim/stage.h"
#include "tests/sim/trace.h"

#define RECONNECT_US (50 * MS)

struct question {
	struct question *next;
	struct redis *redis;
	struct span *arguments; /* copies */
	size_t count;
	void *ticket;
	int64_t until_us;
	int64_t answered_us; /* NEVER: it was lost */
	bool arrived;
	struct redis_value value;
};

struct redis {
	struct process *process;
	struct question *first, *last;
	size_t in_flight;
	bool up;
	bool destroyed;
	bool woken;
	int64_t try_us;     /* not before: to connect */
	int64_t arrives_us; /* the last command that is on its way */
	int64_t answers_us; /* the last answer */
	struct thread *worker;
};

enum outcome redis_check(const char *url, struct reason *why)
{
	(void)url;
	(void)why;
	return OK;
}

enum outcome redis_create(const struct redis_config *config, struct redis **out, struct reason *why)
{
	struct redis *redis = xcalloc(1, sizeof(*redis));

	(void)config;
	(void)why;
	redis->process = stage_process();
	*out = redis;
	return OK;
}

void redis_destroy(struct redis *redis)
{
	if (redis != NULL) {
		redis->destroyed = true;
	}
}

/* --- asking ---------------------------------------------------------------------------------- */

static void wake(void *context)
{
	const struct redis *redis = context;

	if (!redis->destroyed && redis->process->alive) {
		thread_wake(redis->worker);
	}
}

/* The last of its arguments say what it is about. */
static void trace_question(const struct question *question)
{
	struct buf line = BUF_INIT(4096);

	for (size_t i = 0; tracing && i < question->count; i++) {
		struct span argument = question->arguments[i];

		if (argument.len > 60 || span_has_byte(argument, '\n')) {
			argument.len = argument.len > 24 ? 24 : argument.len;
		}
		buf_add_byte(&line, ' ');
		buf_add(&line, argument);
	}
	for (size_t i = 0; i < line.len; i++) {
		line.data[i] = line.data[i] == '\n' ? ' ' : line.data[i];
	}
	if (question->value.kind == REDIS_TEXT) {
		buf_addf(&line, " -> %.*s",
			 question->value.text.len > 24 ? 24 : (int)question->value.text.len,
			 question->value.text.data);
	} else if (question->value.kind == REDIS_NUMBER) {
		buf_addf(&line, " -> %lld", (long long)question->value.number);
	}
	trace("redis for %s:%s", question->redis->process->name, buf_text(&line));
	buf_finish(&line);
}

static void arrive(void *context)
{
	struct question *question = context;
	struct redis *redis = question->redis;

	question->arrived = true;
	if (!keeper_is_up()) {
		redis->up = false;
		question->answered_us = NEVER;
		wake(redis);
		return;
	}
	keeper_run(question->arguments, question->count, &question->value);
	trace_question(question);
	question->answered_us = stage_now_us() + dice_delay_us(100);
	if (fault_strikes(FAULT_REDIS_SLOW, 10)) {
		question->answered_us += dice_between(20, 3000) * MS;
	}
	if (question->answered_us < redis->answers_us) {
		question->answered_us = redis->answers_us;
	}
	redis->answers_us = question->answered_us;
	stage_at(question->answered_us, wake, redis);
}

void redis_ask(struct redis *redis, const struct span *arguments, size_t count, int64_t timeout_ms,
	       void *ticket)
{
	struct question *question = xcalloc(1, sizeof(*question));

	*question = (struct question){.redis = redis,
				      .arguments = xcalloc(count, sizeof(struct span)),
				      .count = count,
				      .ticket = ticket,
				      .until_us = stage_now_us() + timeout_ms * MS,
				      .answered_us = NEVER};
	for (size_t i = 0; i < count; i++) {
		question->arguments[i] =
			(struct span){xstrndup(arguments[i].data == NULL ? "" : arguments[i].data,
					       arguments[i].len),
				      arguments[i].len};
	}
	if (redis->first == NULL) {
		redis->first = question;
	} else {
		redis->last->next = question;
	}
	redis->last = question;
	redis->in_flight++;
	if (!redis->up || (!keeper_is_up() && dice_percent(50))) {
		redis->up = false;
		question->until_us = stage_now_us(); /* fails at once */
		return;
	}
	redis->arrives_us =
		(redis->arrives_us > stage_now_us() ? redis->arrives_us : stage_now_us()) +
		dice_delay_us(100);
	stage_at(redis->arrives_us, arrive, question);
	stage_at(question->until_us, wake, redis);
}

/* --- working --------------------------------------------------------------------------------- */

static void connect_if_time(struct redis *redis)
{
	if (redis->up || stage_now_us() < redis->try_us) {
		return;
	}
	redis->up = keeper_is_up();
	redis->try_us = stage_now_us() + dice_between(1, 20) * RECONNECT_US;
}

static bool is_answered(const struct question *question)
{
	return question->answered_us <= stage_now_us();
}

static bool is_over(const struct question *question)
{
	return question->until_us <= stage_now_us() ||
	       (question->arrived && question->answered_us == NEVER);
}

static bool something_is_there(const struct redis *redis)
{
	for (const struct question *at = redis->first; at != NULL; at = at->next) {
		if (is_answered(at) || is_over(at)) {
			return true;
		}
	}
	return false;
}

void redis_work(struct redis *redis, int timeout_ms, int other_fd)
{
	int64_t until_us = stage_now_us() + timeout_ms * MS;

	(void)other_fd;
	connect_if_time(redis);
	if (!something_is_there(redis) && !redis->woken) {
		redis->worker = stage_thread();
		if (redis->in_flight > 0) {
			stage_wait_until(until_us > stage_now_us() ? until_us
								   : stage_now_us() + 20);
		} else {
			stage_idle_ms(timeout_ms);
		}
		redis->worker = NULL;
	} else {
		stage_yield();
	}
	redis->woken = false;
	connect_if_time(redis);
}

static void take_out(struct redis *redis, struct question *question)
{
	struct question *before = NULL;

	for (struct question *at = redis->first; at != question; at = at->next) {
		before = at;
	}
	if (before == NULL) {
		redis->first = question->next;
	} else {
		before->next = question->next;
	}
	if (redis->last == question) {
		redis->last = before;
	}
	redis->in_flight--;
}

bool redis_next(struct redis *redis, struct redis_answer *out)
{
	for (struct question *at = redis->first; at != NULL; at = at->next) {
		bool in_time = is_answered(at) && at->answered_us <= at->until_us;

		if (in_time || is_over(at)) {
			take_out(redis, at);
			*out = (struct redis_answer){.ticket = at->ticket, .value = at->value};
			if (!in_time) {
				out->outcome = because(TEMPFAIL, &out->why,
						       "Redis did not answer in time");
			}
			return true;
		}
	}
	return false;
}

size_t redis_in_flight(const struct redis *redis)
{
	return redis->in_flight;
}

bool redis_is_up(const struct redis *redis)
{
	return redis->up;
}

void redis_wake(struct redis *redis)
{
	redis->woken = true;
	thread_wake(redis->worker);
}

enum outcome redis_run(struct redis *redis, const struct span *arguments, size_t count,
		       int64_t timeout_ms, struct redis_value *out, struct reason *why)
{
	struct redis_answer answer;

	for (int tries = 0; !redis->up && tries < 10; tries++) {
		redis_work(redis, 50, -1);
	}
	redis_ask(redis, arguments, count, timeout_ms, NULL);
	while (!redis_next(redis, &answer)) {
		redis_work(redis, 50, -1);
	}
	if (answer.outcome != OK) {
		*why = answer.why;
		return answer.outcome;
	}
	*out = answer.value;
	return OK;
}
