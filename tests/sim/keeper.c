/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/keeper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/stage.h"
#include "tests/sim/trace.h"

enum kind { STRING, LIST, HASH, ZSET };

/* A string has one entry; a list and a hash are in order of arrival, a zset by score. */
struct entry {
	struct span member; /* of a hash, the field */
	struct span value;
	double score;
};

struct key {
	struct span name;
	enum kind kind;
	struct entry *entries;
	size_t count;
	int64_t expires_us;
};

struct keys {
	struct key *items;
	size_t count;
};

/* What a command was given, and where its answer goes. */
struct call {
	const struct span *arguments;
	size_t count;
	struct redis_value *out;
};

static struct keys keys;
static struct keys older;
static int64_t away_until_us;

/* --- answers --------------------------------------------------------------------------------- */

static struct span keep(struct span bytes)
{
	return (struct span){xstrndup(bytes.data == NULL ? "" : bytes.data, bytes.len), bytes.len};
}

void keeper_refuse(struct redis_value *out, const char *why)
{
	*out = (struct redis_value){.kind = REDIS_ERROR, .text = keep(span_of(why))};
}

static void say_number(const struct call *call, int64_t number)
{
	*call->out = (struct redis_value){.kind = REDIS_NUMBER, .number = number};
}

static void say_text(const struct call *call, struct span text)
{
	*call->out = (struct redis_value){.kind = REDIS_TEXT, .text = keep(text)};
}

static void say_nothing(const struct call *call)
{
	*call->out = (struct redis_value){.kind = REDIS_NIL};
}

/* Two texts of each entry, or the first alone. */
static void say_entries(const struct call *call, const struct key *key, size_t first, size_t end,
			bool members, bool scores)
{
	size_t each = scores || (members && key != NULL && key->kind == HASH) ? 2 : 1;
	struct redis_value *items = xcalloc((end - first) * each + 1, sizeof(*items));
	size_t n = 0;

	for (size_t i = first; i < end; i++) {
		const struct entry *entry = &key->entries[i];

		items[n++] = (struct redis_value){
			.kind = REDIS_TEXT, .text = keep(members ? entry->member : entry->value)};
		if (scores) {
			char score[40];

			(void)snprintf(score, sizeof(score), "%.17g", entry->score);
			items[n++] = (struct redis_value){.kind = REDIS_TEXT,
							  .text = keep(span_of(score))};
		} else if (each == 2) {
			items[n++] = (struct redis_value){.kind = REDIS_TEXT,
							  .text = keep(entry->value)};
		}
	}
	*call->out = (struct redis_value){.kind = REDIS_LIST, .items = items, .count = n};
}

/* --- keys ------------------------------------------------------------------------------------ */

static void drop_key(size_t i)
{
	keys.items[i] = keys.items[--keys.count];
}

static struct key *find(struct span name)
{
	for (size_t i = 0; i < keys.count; i++) {
		struct key *key = &keys.items[i];

		if (!span_equal(key->name, name)) {
			continue;
		}
		if (key->expires_us != 0 && key->expires_us <= stage_now_us()) {
			drop_key(i);
			return NULL;
		}
		return key;
	}
	return NULL;
}

static struct key *find_or_make(struct span name, enum kind kind)
{
	struct key *key = find(name);

	if (key == NULL) {
		keys.items = xrealloc(keys.items, (keys.count + 1) * sizeof(keys.items[0]));
		key = &keys.items[keys.count++];
		*key = (struct key){.name = keep(name), .kind = kind};
	}
	if (key->kind != kind) {
		broken("a key of Redis is used as two kinds: %.*s", (int)name.len, name.data);
	}
	return key;
}

static bool drop(struct span name)
{
	const struct key *key = find(name);

	if (key == NULL) {
		return false;
	}
	drop_key((size_t)(key - keys.items));
	return true;
}

static struct entry *entry_of(const struct key *key, struct span member)
{
	for (size_t i = 0; key != NULL && i < key->count; i++) {
		if (span_equal(key->entries[i].member, member)) {
			return &key->entries[i];
		}
	}
	return NULL;
}

static struct entry *push(struct key *key, size_t at)
{
	key->entries = xrealloc(key->entries, (key->count + 1) * sizeof(key->entries[0]));
	memmove(&key->entries[at + 1], &key->entries[at],
		(key->count - at) * sizeof(key->entries[0]));
	key->count++;
	key->entries[at] = (struct entry){0};
	return &key->entries[at];
}

/* A key without entries is none. */
static void take_out(struct key *key, size_t at)
{
	memmove(&key->entries[at], &key->entries[at + 1],
		(key->count - at - 1) * sizeof(key->entries[0]));
	if (--key->count == 0) {
		drop_key((size_t)(key - keys.items));
	}
}

static size_t count_of(const struct key *key)
{
	return key == NULL ? 0 : key->count;
}

static int64_t number_of(struct span text)
{
	char digits[32] = "";

	memcpy(digits, text.data, text.len < sizeof(digits) ? text.len : sizeof(digits) - 1);
	return strtoll(digits, NULL, 10);
}

static double score_of(struct span text)
{
	char digits[48] = "";

	if (span_is(text, "-inf")) {
		return -1e300;
	}
	if (span_is(text, "+inf")) {
		return 1e300;
	}
	memcpy(digits, text.data, text.len < sizeof(digits) ? text.len : sizeof(digits) - 1);
	return strtod(digits, NULL);
}

static bool has_word(const struct call *call, size_t from, const char *word)
{
	for (size_t i = from; i < call->count; i++) {
		if (span_is_nocase(call->arguments[i], word)) {
			return true;
		}
	}
	return false;
}

/* --- strings --------------------------------------------------------------------------------- */

static void set_text(struct key *key, struct span text)
{
	if (key->count == 0) {
		(void)push(key, 0);
	}
	key->entries[0].value = keep(text);
}

static void run_get(const struct call *call)
{
	const struct key *key = find(call->arguments[1]);

	if (key == NULL) {
		say_nothing(call);
	} else {
		say_text(call, key->entries[0].value);
	}
}

static void run_set(const struct call *call)
{
	struct key *key = find(call->arguments[1]);

	if (key != NULL && has_word(call, 3, "NX")) {
		say_nothing(call);
		return;
	}
	key = find_or_make(call->arguments[1], STRING);
	set_text(key, call->arguments[2]);
	key->expires_us = 0;
	for (size_t i = 3; i + 1 < call->count; i++) {
		if (span_is_nocase(call->arguments[i], "PX")) {
			key->expires_us = stage_now_us() + number_of(call->arguments[i + 1]) * MS;
		}
	}
	say_text(call, span_of("OK"));
}

static void add_to(const struct call *call, int64_t by)
{
	struct key *key = find_or_make(call->arguments[1], STRING);
	int64_t number = (key->count == 0 ? 0 : number_of(key->entries[0].value)) + by;
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRId64, number);
	set_text(key, span_of(digits));
	say_number(call, number);
}

static void run_incr(const struct call *call)
{
	add_to(call, 1);
}

static void run_decr(const struct call *call)
{
	add_to(call, -1);
}

static void run_incrby(const struct call *call)
{
	add_to(call, number_of(call->arguments[2]));
}

static void run_decrby(const struct call *call)
{
	add_to(call, -number_of(call->arguments[2]));
}

/* --- any key --------------------------------------------------------------------------------- */

static void run_exists(const struct call *call)
{
	say_number(call, find(call->arguments[1]) != NULL);
}

static void run_del(const struct call *call)
{
	int64_t count = 0;

	for (size_t i = 1; i < call->count; i++) {
		count += drop(call->arguments[i]);
	}
	say_number(call, count);
}

static void expire(const struct call *call, int64_t unit_us)
{
	struct key *key = find(call->arguments[1]);

	if (key != NULL) {
		key->expires_us = stage_now_us() + number_of(call->arguments[2]) * unit_us;
	}
	say_number(call, key != NULL);
}

static void run_expire(const struct call *call)
{
	expire(call, SECONDS);
}

static void run_pexpire(const struct call *call)
{
	expire(call, MS);
}

static void run_time(const struct call *call)
{
	struct redis_value *items = xcalloc(2, sizeof(*items));
	int64_t now_us = STAGE_WALL_MS * MS + stage_now_us();
	char digits[2][24];

	(void)snprintf(digits[0], sizeof(digits[0]), "%" PRId64, now_us / SECONDS);
	(void)snprintf(digits[1], sizeof(digits[1]), "%" PRId64, now_us % SECONDS);
	for (size_t i = 0; i < 2; i++) {
		items[i] =
			(struct redis_value){.kind = REDIS_TEXT, .text = keep(span_of(digits[i]))};
	}
	*call->out = (struct redis_value){.kind = REDIS_LIST, .items = items, .count = 2};
}

/* --- lists ----------------------------------------------------------------------------------- */

static void run_rpush(const struct call *call)
{
	struct key *key = find_or_make(call->arguments[1], LIST);

	push(key, key->count)->value = keep(call->arguments[2]);
	say_number(call, (int64_t)key->count);
}

static void run_lindex(const struct call *call)
{
	const struct key *key = find(call->arguments[1]);
	int64_t at = number_of(call->arguments[2]);

	if (at < 0 || (size_t)at >= count_of(key)) {
		say_nothing(call);
	} else {
		say_text(call, key->entries[at].value);
	}
}

static void run_lpop(const struct call *call)
{
	struct key *key = find(call->arguments[1]);

	if (key == NULL) {
		say_nothing(call);
		return;
	}
	say_text(call, key->entries[0].value);
	take_out(key, 0);
}

static void run_llen(const struct call *call)
{
	say_number(call, (int64_t)count_of(find(call->arguments[1])));
}

/* First and end of a range that may count from behind. */
static void range_of(const struct call *call, size_t count, size_t *first, size_t *end)
{
	int64_t from = number_of(call->arguments[2]);
	int64_t to = number_of(call->arguments[3]);

	from = from < 0 ? from + (int64_t)count : from;
	to = to < 0 ? to + (int64_t)count : to;
	*first = from < 0 ? 0 : (size_t)from;
	*end = to < 0 ? 0 : (size_t)to + 1;
	*end = *end > count ? count : *end;
	*first = *first > *end ? *end : *first;
}

static void run_lrange(const struct call *call)
{
	const struct key *key = find(call->arguments[1]);
	size_t first;
	size_t end;

	range_of(call, count_of(key), &first, &end);
	say_entries(call, key, first, end, false, false);
}

/* --- hashes ---------------------------------------------------------------------------------- */

static void run_hget(const struct call *call)
{
	const struct entry *entry = entry_of(find(call->arguments[1]), call->arguments[2]);

	if (entry == NULL) {
		say_nothing(call);
	} else {
		say_text(call, entry->value);
	}
}

static void run_hset(const struct call *call)
{
	struct key *key = find_or_make(call->arguments[1], HASH);
	struct entry *entry = entry_of(key, call->arguments[2]);
	bool is_new = entry == NULL;

	if (is_new) {
		entry = push(key, key->count);
		entry->member = keep(call->arguments[2]);
	}
	entry->value = keep(call->arguments[3]);
	say_number(call, is_new);
}

/* HDEL and ZREM, one member. */
static void run_remove(const struct call *call)
{
	struct key *key = find(call->arguments[1]);
	const struct entry *entry = entry_of(key, call->arguments[2]);

	if (entry != NULL) {
		take_out(key, (size_t)(entry - key->entries));
	}
	say_number(call, entry != NULL);
}

static void run_hgetall(const struct call *call)
{
	const struct key *key = find(call->arguments[1]);

	say_entries(call, key, 0, count_of(key), true, false);
}

/* --- zsets ----------------------------------------------------------------------------------- */

static void put_in_order(struct key *key, struct span member, double score)
{
	size_t at = 0;
	struct entry *entry;

	while (at < key->count && key->entries[at].score <= score) {
		at++;
	}
	entry = push(key, at);
	entry->member = member;
	entry->score = score;
}

static void run_zadd(const struct call *call)
{
	struct key *key = find(call->arguments[1]);
	size_t at = call->count - 2;
	double score = score_of(call->arguments[at]);
	const struct entry *entry = entry_of(key, call->arguments[at + 1]);
	bool is_new = entry == NULL;
	struct span member;

	if ((has_word(call, 2, "NX") && !is_new) || (has_word(call, 2, "XX") && is_new)) {
		say_number(call, 0);
		return;
	}
	member = is_new ? keep(call->arguments[at + 1]) : entry->member;
	if (!is_new) {
		take_out(key, (size_t)(entry - key->entries));
	}
	put_in_order(find_or_make(call->arguments[1], ZSET), member, score);
	say_number(call, is_new);
}

static void run_zrange(const struct call *call)
{
	const struct key *key = find(call->arguments[1]);
	size_t first;
	size_t end;

	range_of(call, count_of(key), &first, &end);
	say_entries(call, key, first, end, true, has_word(call, 4, "WITHSCORES"));
}

static void run_zrangebyscore(const struct call *call)
{
	const struct key *key = find(call->arguments[1]);
	double low = score_of(call->arguments[2]);
	double high = score_of(call->arguments[3]);
	size_t first = 0;
	size_t end;

	while (first < count_of(key) && key->entries[first].score < low) {
		first++;
	}
	end = first;
	while (end < count_of(key) && key->entries[end].score <= high) {
		end++;
	}
	for (size_t i = 4; i + 2 < call->count; i++) {
		if (span_is_nocase(call->arguments[i], "LIMIT")) {
			size_t limit = (size_t)number_of(call->arguments[i + 2]);

			end = end - first > limit ? first + limit : end;
		}
	}
	say_entries(call, key, first, end, true, false);
}

static void run_zscore(const struct call *call)
{
	const struct entry *entry = entry_of(find(call->arguments[1]), call->arguments[2]);
	char score[40];

	if (entry == NULL) {
		say_nothing(call);
		return;
	}
	(void)snprintf(score, sizeof(score), "%.17g", entry->score);
	say_text(call, span_of(score));
}

/* --- commands -------------------------------------------------------------------------------- */

static void run_eval(const struct call *call)
{
	keeper_run_script(call->arguments, call->count, call->out);
}

static const struct {
	const char *word;
	size_t arguments; /* at least, the word too */
	void (*run)(const struct call *call);
} commands[] = {
	{"DECR", 2, run_decr},       {"DECRBY", 3, run_decrby},
	{"DEL", 2, run_del},         {"EVAL", 3, run_eval},
	{"EXISTS", 2, run_exists},   {"EXPIRE", 3, run_expire},
	{"GET", 2, run_get},         {"HDEL", 3, run_remove},
	{"HGET", 3, run_hget},       {"HGETALL", 2, run_hgetall},
	{"HLEN", 2, run_llen},       {"HSET", 4, run_hset},
	{"INCR", 2, run_incr},       {"INCRBY", 3, run_incrby},
	{"LINDEX", 3, run_lindex},   {"LLEN", 2, run_llen},
	{"LPOP", 2, run_lpop},       {"LRANGE", 4, run_lrange},
	{"PEXPIRE", 3, run_pexpire}, {"RPUSH", 3, run_rpush},
	{"SET", 3, run_set},         {"TIME", 1, run_time},
	{"ZADD", 4, run_zadd},       {"ZCARD", 2, run_llen},
	{"ZRANGE", 4, run_zrange},   {"ZRANGEBYSCORE", 4, run_zrangebyscore},
	{"ZREM", 3, run_remove},     {"ZSCORE", 3, run_zscore},
};

void keeper_run(const struct span *arguments, size_t count, struct redis_value *out)
{
	const struct call call = {arguments, count, out};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (span_is_nocase(arguments[0], commands[i].word)) {
			if (count < commands[i].arguments) {
				keeper_refuse(out, "ERR wrong number of arguments");
			} else {
				commands[i].run(&call);
			}
			return;
		}
	}
	broken("the model of Redis knows no %.*s", (int)arguments[0].len, arguments[0].data);
}

/* --- what may happen to it ------------------------------------------------------------------- */

static struct keys copy_of(const struct keys *from)
{
	struct keys copy = {xcalloc(from->count + 1, sizeof(copy.items[0])), from->count};

	for (size_t i = 0; i < from->count; i++) {
		const struct key *key = &from->items[i];

		copy.items[i] = *key; /* spans are never changed in place */
		copy.items[i].entries = xcalloc(key->count + 1, sizeof(key->entries[0]));
		memcpy(copy.items[i].entries, key->entries, key->count * sizeof(key->entries[0]));
	}
	return copy;
}

void keeper_forget(void)
{
	trace("Redis forgets everything");
	keys.count = 0;
}

void keeper_keep_copy(void)
{
	older = copy_of(&keys);
}

void keeper_go_back(void)
{
	trace("Redis goes back to an older state");
	keys = copy_of(&older);
}

bool keeper_has(const char *beginning, const char *end)
{
	size_t first = strlen(beginning);
	size_t last = strlen(end);

	for (size_t i = 0; i < keys.count; i++) {
		const struct key *key = &keys.items[i];

		if (key->name.len >= first + last &&
		    memcmp(key->name.data, beginning, first) == 0 &&
		    memcmp(key->name.data + key->name.len - last, end, last) == 0 &&
		    (key->expires_us == 0 || key->expires_us > stage_now_us())) {
			return true;
		}
	}
	return false;
}

bool keeper_says(const char *name, const char *value)
{
	const struct key *key = find(span_of(name));

	return key != NULL && key->kind == STRING && span_is(key->entries[0].value, value);
}

bool keeper_is_up(void)
{
	return away_until_us <= stage_now_us();
}

void keeper_go_away(int64_t until_us)
{
	away_until_us = until_us;
}
