/* SPDX-License-Identifier: Apache-2.0 */
/* redis.h: a Redis client, many commands in flight on one kept-open connection, answered in order
 * (RESP2). hiredis stays in redis.c.
 *
 * Arguments travel with their length (I10). A command is sent once and never again: one whose
 * answer did not come may have been carried out. Nothing is sent before Redis has let us in, to the
 * right database. While Redis is away commands fail at once, and it is tried again in the
 * background, after 50 ms at first and 1 s at most (a name is resolved there, which may block).
 *
 * Threads: a struct redis belongs to one thread; redis_wake may be called from any.
 */
#ifndef COMMON_REDIS_H
#define COMMON_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/config.h"
#include "common/outcome.h"

struct redis_config {
	/* redis://[USER@]HOST[:PORT][/DB], redis+unix:///PATH[?db=DB], no password; "" = none */
	const char *url;
	const char *password; /* "" = none */
	int64_t timeout_ms;   /* to connect; to log in and choose the database */
};
/* clang-format off */
#define REDIS_KEYS(struct_, member_)                                                               \
	KEY(struct_, member_.url, "redis.url", "redis://127.0.0.1:6379",                           \
	    "where retries are kept and pushes held while Kafka is away; empty: nowhere"),         \
	SECRET(struct_, member_.password, "redis.password", "", "of Redis, if it wants one"),      \
	KEY_RANGE(struct_, member_.timeout_ms, "redis.timeout_ms", "1000", 50, 60000,              \
		  "how long a command, or a connection, may take until Redis counts as away")
/* clang-format on */

struct redis;

enum redis_kind {
	REDIS_NIL,
	REDIS_TEXT, /* a string or a status */
	REDIS_NUMBER,
	REDIS_LIST,
	REDIS_ERROR, /* Redis refused: `text` says why */
};

/* One value of an answer; lists nest. */
struct redis_value {
	enum redis_kind kind;
	struct span text;
	int64_t number;
	const struct redis_value *items;
	size_t count;
};

struct redis_answer {
	void *ticket;
	enum outcome outcome; /* TEMPFAIL: no answer came (away, or too late), `why` says why */
	struct reason why;
	struct redis_value value; /* good until the next redis_next */
};

/* Can such a URL be used? For whoever reads it from a configuration. PERMFAIL: no; `why` never
 * quotes it. */
MUST_CHECK enum outcome redis_check(const char *url, struct reason *why);

/* Connects in redis_work; borrows the config. PERMFAIL: as redis_check. */
MUST_CHECK enum outcome redis_create(const struct redis_config *config, struct redis **out,
				     struct reason *why);
void redis_destroy(struct redis *redis); /* what is in flight is dropped, unanswered */

/* Sends a command; its answer comes from redis_next, within `timeout_ms` in any case (a second
 * later Redis counts as away, unless it has answered after all). Arguments are copied. */
void redis_ask(struct redis *redis, const struct span *arguments, size_t count, int64_t timeout_ms,
	       void *ticket);
/* Works for up to `timeout_ms`, less when an answer is there, when `other_fd` (-1: none) can be
 * read, or after redis_wake. */
void redis_work(struct redis *redis, int timeout_ms, int other_fd);
/* The next answer that is there, in the order of the questions, but one that was waited for too
 * long comes when its time is over; false: none. */
bool redis_next(struct redis *redis, struct redis_answer *out);
size_t redis_in_flight(const struct redis *redis); /* asked, and not yet given by redis_next */
bool redis_is_up(const struct redis *redis);       /* connected, logged in */
void redis_wake(struct redis *redis);

/* One command, waited for; nothing else may be in flight. For whoever has nothing else to do. */
MUST_CHECK enum outcome redis_run(struct redis *redis, const struct span *arguments, size_t count,
				  int64_t timeout_ms, struct redis_value *out, struct reason *why);

#endif
