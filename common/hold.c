/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hold.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ZONES "dadns:hold:zones"
#define KEY_RECORDS "dadns:hold:records"
#define KEY_BYTES "dadns:hold:bytes"
#define PREFIX_ZONE "dadns:hold:zone:"
#define PREFIX_LOCK "dadns:hold:lock:"
#define PREFIX_MASS "dadns:mass:"

#define ID_LEN (EVENT_ID_TEXT_SIZE - 1)
/* What one answer to hold_take may weigh, beside one push. */
#define TAKE_BYTES "4194304"

/* --- a held push ------------------------------------------------------------------------------ */

static bool one_line(struct span text)
{
	return !span_has_byte(text, '\n');
}

void held_push_print(const struct held_push *push, struct buf *out)
{
	char id[EVENT_ID_TEXT_SIZE];

	event_id_text(&push->id, id);
	buf_addf(out, "%s %" PRId64 "\n", id, push->held_at_ms);
	for (size_t i = 0; i < push->header_count; i++) {
		const struct header *header = &push->headers[i];

		assert(one_line(header->value) && strpbrk(header->name, ":\n") == NULL);
		buf_add_text(out, header->name);
		buf_add_text(out, ": ");
		buf_add(out, header->value);
		buf_add_byte(out, '\n');
	}
	buf_add_byte(out, '\n');
	buf_add(out, push->value);
}

/* Cuts the first line off `rest` and ends it with a NUL; NULL: there is none. */
static char *next_line(char **at, const char *end)
{
	char *line = *at;
	char *stop = memchr(line, '\n', (size_t)(end - line));

	if (stop == NULL) {
		return NULL;
	}
	*stop = '\0';
	*at = stop + 1;
	return line;
}

static bool read_first_line(const char *line, struct held_push *out)
{
	char *end;

	if (line == NULL || strlen(line) < ID_LEN + 2 || line[ID_LEN] != ' ' ||
	    line[ID_LEN + 1] < '0' || line[ID_LEN + 1] > '9' ||
	    !event_id_parse((struct span){line, ID_LEN}, &out->id)) {
		return false;
	}
	out->held_at_ms = strtoll(line + ID_LEN + 1, &end, 10);
	return *end == '\0';
}

static bool read_header(char *line, struct held_push *out)
{
	char *colon = strstr(line, ": ");

	if (colon == NULL || colon == line || out->header_count == EVENT_HEADERS_MAX) {
		return false;
	}
	*colon = '\0';
	out->headers[out->header_count++] = (struct header){line, span_of(colon + 2)};
	return true;
}

enum outcome held_push_parse(struct span text, struct held_push *out, struct reason *why)
{
	char *memory = xmalloc(text.len + 1);
	const char *end = memory + text.len;
	struct held_push push = {.memory = memory};
	char *at = memory;
	char *line;
	bool good;

	memcpy(memory, text.data, text.len);
	memory[text.len] = '\0';
	line = next_line(&at, end);
	good = read_first_line(line, &push);

	while (good && (line = next_line(&at, end)) != NULL && line[0] != '\0') {
		good = read_header(line, &push);
	}
	if (!good || line == NULL) {
		free(memory);
		return because(PERMFAIL, why,
			       "it does not begin with ID TIME, headers and an empty line");
	}
	push.value = (struct span){at, (size_t)(end - at)};
	*out = push;
	return OK;
}

void held_push_finish(struct held_push *push)
{
	if (push != NULL) {
		free(push->memory);
		*push = (struct held_push){0};
	}
}

/* --- commands --------------------------------------------------------------------------------- */

static void add(struct hold_command *command, struct span argument)
{
	assert(command->count < HOLD_ARGUMENTS_MAX);
	command->arguments[command->count++] = argument;
}

static void add_text(struct hold_command *command, const char *text)
{
	add(command, span_of(text));
}

/* A text that is kept in the command. */
static void add_made(struct hold_command *command, const char *prefix, struct span text)
{
	char *at = command->text + command->used;
	size_t len = strlen(prefix) + text.len;

	assert(len <= sizeof(command->text) - command->used);
	memcpy(at, prefix, strlen(prefix));
	memcpy(at + strlen(prefix), text.data, text.len);
	command->used += len;
	add(command, (struct span){at, len});
}

static void add_number(struct hold_command *command, int64_t number)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRId64, number);
	add_made(command, "", span_of(digits));
}

static void add_key(struct hold_command *command, const char *prefix, const struct name *zone)
{
	add_made(command, prefix, name_span(zone));
}

static void begin(struct hold_command *command, const char *word)
{
	command->count = 0;
	command->used = 0;
	add_text(command, word);
}

static void begin_script(struct hold_command *command, const char *script, const char *keys)
{
	begin(command, "EVAL");
	add_text(command, script);
	add_text(command, keys);
}

static bool refused(const struct redis_value *value, struct reason *why)
{
	if (value->kind == REDIS_ERROR) {
		(void)because(TEMPFAIL, why, "Redis refuses: %.*s", (int)value->text.len,
			      value->text.data);
	} else {
		(void)because(TEMPFAIL, why, "Redis gave an answer that makes no sense");
	}
	return false;
}

void hold_look(struct hold_command *out, const struct name *zone)
{
	begin(out, "EXISTS");
	add_key(out, PREFIX_ZONE, zone);
}

static const char look_delete[] = //
	"local deletes = redis.call('INCR', KEYS[2])\n"
	"if deletes == 1 then redis.call('EXPIRE', KEYS[2], ARGV[2]) end\n"
	"local held = redis.call('EXISTS', KEYS[1])\n"
	"if deletes > tonumber(ARGV[1]) then return held + 2 end\n"
	"return held";

void hold_look_delete(struct hold_command *out, const struct name *zone, const char *sender,
		      int64_t limit, int64_t seconds)
{
	begin_script(out, look_delete, "2");
	add_key(out, PREFIX_ZONE, zone);
	add_made(out, PREFIX_MASS, span_of(sender));
	add_number(out, limit);
	add_number(out, seconds);
}

bool hold_looked(const struct redis_value *value, bool *held, bool *mass, struct reason *why)
{
	if (value->kind != REDIS_NUMBER) {
		return refused(value, why);
	}
	*held = (value->number & 1) != 0;
	*mass = (value->number & 2) != 0;
	return true;
}

static const char add_push[] = //
	"local records = tonumber(redis.call('GET', KEYS[3]) or 0)\n"
	"local bytes = tonumber(redis.call('GET', KEYS[4]) or 0)\n"
	"if records + 1 > tonumber(ARGV[4]) or bytes + #ARGV[2] > tonumber(ARGV[5]) then return 0 "
	"end\n"
	"redis.call('RPUSH', KEYS[1], ARGV[2])\n"
	"redis.call('ZADD', KEYS[2], 'NX', ARGV[3], ARGV[1])\n"
	"redis.call('INCR', KEYS[3])\n"
	"redis.call('INCRBY', KEYS[4], #ARGV[2])\n"
	"return 1";

void hold_add(struct hold_command *out, const struct name *zone, struct span push, int64_t now_ms,
	      const struct hold_ceilings *ceilings)
{
	begin_script(out, add_push, "4");
	add_key(out, PREFIX_ZONE, zone);
	add_text(out, KEY_ZONES);
	add_text(out, KEY_RECORDS);
	add_text(out, KEY_BYTES);
	add(out, name_span(zone));
	add(out, push);
	add_number(out, now_ms);
	add_number(out, ceilings->records);
	add_number(out, ceilings->bytes);
}

enum hold_added hold_was_added(const struct redis_value *value, struct reason *why)
{
	if (value->kind != REDIS_NUMBER) {
		(void)refused(value, why);
		return HOLD_REFUSED;
	}
	return value->number == 1 ? HOLD_ADDED : HOLD_FULL;
}

/* A zone of the set without a list is one that somebody took out by hand. */
static const char take_zones[] = //
	"local zones = {ARGV[6]}\n"
	"if ARGV[6] == '' then\n"
	"  zones = redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[3] + ARGV[4] - 1)\n"
	"end\n"
	"local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')\n"
	"local held = redis.call('ZCARD', KEYS[1])\n"
	"if ARGV[6] ~= '' then held = redis.call('EXISTS', '" PREFIX_ZONE "' .. ARGV[6]) end\n"
	"local out = {held, tonumber(redis.call('GET', KEYS[2]) or 0),\n"
	"  tonumber(redis.call('GET', KEYS[3]) or 0), tonumber(oldest[2] or 0), #zones}\n"
	"local bytes = 0\n"
	"for _, zone in ipairs(zones) do\n"
	"  if #out - 5 >= 2 * ARGV[5] or bytes > " TAKE_BYTES " then break end\n"
	"  local lock = '" PREFIX_LOCK "' .. zone\n"
	"  if redis.call('SET', lock, ARGV[1], 'NX', 'PX', ARGV[2]) then\n"
	"    local push = redis.call('LINDEX', '" PREFIX_ZONE "' .. zone, 0)\n"
	"    if push then\n"
	"      out[#out + 1] = zone\n"
	"      out[#out + 1] = push\n"
	"      bytes = bytes + #push\n"
	"    else\n"
	"      redis.call('ZREM', KEYS[1], zone)\n"
	"      redis.call('DEL', lock)\n"
	"    end\n"
	"  end\n"
	"end\n"
	"return out";

void hold_take(struct hold_command *out, const struct hold_taking *taking)
{
	assert(taking->zones <= HOLD_TAKE_MAX);
	begin_script(out, take_zones, "3");
	add_text(out, KEY_ZONES);
	add_text(out, KEY_RECORDS);
	add_text(out, KEY_BYTES);
	add_text(out, taking->token);
	add_number(out, taking->lock_ms);
	add_number(out, (int64_t)taking->from);
	add_number(out, HOLD_PAGE);
	add_number(out, (int64_t)taking->zones);
	add(out, taking->zone != NULL ? name_span(taking->zone) : SPAN_EMPTY);
}

#define TAKE_NUMBERS 5

bool hold_was_taken(const struct redis_value *value, struct hold_taken *out, struct reason *why)
{
	if (value->kind != REDIS_LIST || value->count < TAKE_NUMBERS ||
	    value->count > TAKE_NUMBERS + 2 * HOLD_TAKE_MAX || (value->count - TAKE_NUMBERS) % 2) {
		return refused(value, why);
	}
	*out = (struct hold_taken){
		.totals = {.zones = value->items[0].number,
			   .records = value->items[1].number,
			   .bytes = value->items[2].number,
			   .oldest_ms = value->items[3].number},
		.looked_at = (size_t)value->items[4].number,
		.count = (value->count - TAKE_NUMBERS) / 2,
	};
	for (size_t i = 0; i < out->count; i++) {
		out->items[i].zone = value->items[TAKE_NUMBERS + 2 * i].text;
		out->items[i].push = value->items[TAKE_NUMBERS + 2 * i + 1].text;
	}
	return true;
}

/* Counters that went wrong (a list taken out by hand) are right again when nothing is held. */
static const char pop_push[] = //
	"if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end\n"
	"local push = redis.call('LINDEX', KEYS[1], 0)\n"
	"if push and string.sub(push, 1, 36) == ARGV[3] then\n"
	"  redis.call('LPOP', KEYS[1])\n"
	"  redis.call('DECR', KEYS[4])\n"
	"  redis.call('DECRBY', KEYS[5], #push)\n"
	"  push = redis.call('LINDEX', KEYS[1], 0)\n"
	"end\n"
	"if not push then\n"
	"  redis.call('DEL', KEYS[2])\n"
	"  redis.call('ZREM', KEYS[3], ARGV[1])\n"
	"  if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('DEL', KEYS[4], KEYS[5]) end\n"
	"  return 1\n"
	"end\n"
	"local since = string.match(push, '^%S+ (%d+)\\n')\n"
	"if since then redis.call('ZADD', KEYS[3], 'XX', since, ARGV[1]) end\n"
	"if ARGV[5] == '0' then\n"
	"  redis.call('DEL', KEYS[2])\n"
	"  return 2\n"
	"end\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[4])\n"
	"return push";

void hold_pop(struct hold_command *out, const struct name *zone, const char *token,
	      const struct event_id *id, int64_t lock_ms, bool more)
{
	char text[EVENT_ID_TEXT_SIZE];

	event_id_text(id, text);
	begin_script(out, pop_push, "5");
	add_key(out, PREFIX_ZONE, zone);
	add_key(out, PREFIX_LOCK, zone);
	add_text(out, KEY_ZONES);
	add_text(out, KEY_RECORDS);
	add_text(out, KEY_BYTES);
	add(out, name_span(zone));
	add_text(out, token);
	add_made(out, "", span_of(text));
	add_number(out, lock_ms);
	add_text(out, more ? "1" : "0");
}

enum hold_popped hold_was_popped(const struct redis_value *value, struct span *next,
				 struct reason *why)
{
	static const enum hold_popped words[] = {HOLD_LOST, HOLD_POPPED_LAST, HOLD_POPPED_FREE};

	if (value->kind == REDIS_TEXT) {
		*next = value->text;
		return HOLD_POPPED_NEXT;
	}
	if (value->kind == REDIS_NUMBER && value->number >= 0 && value->number <= 2) {
		return words[value->number];
	}
	(void)refused(value, why);
	return HOLD_POP_REFUSED;
}

static const char release_lock[] = //
	"if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
	"return redis.call('DEL', KEYS[1])";

void hold_release(struct hold_command *out, const struct name *zone, const char *token)
{
	begin_script(out, release_lock, "1");
	add_key(out, PREFIX_LOCK, zone);
	add_text(out, token);
}

/* --- asking ----------------------------------------------------------------------------------- */

void hold_ask(struct redis *redis, const struct hold_command *command, int64_t timeout_ms,
	      struct hold_ticket *ticket)
{
	redis_ask(redis, command->arguments, command->count, timeout_ms, ticket);
}

void hold_hear(struct redis *redis)
{
	struct redis_answer answer;

	while (redis_next(redis, &answer)) {
		struct hold_ticket *ticket = answer.ticket;

		ticket->answered(ticket, &answer);
	}
}

/* --- for people ------------------------------------------------------------------------------- */

void hold_list_zones(struct hold_command *out, size_t from, size_t count)
{
	begin(out, "ZRANGE");
	add_text(out, KEY_ZONES);
	add_number(out, (int64_t)from);
	add_number(out, (int64_t)(from + count) - 1);
	add_text(out, "WITHSCORES");
}

void hold_list_pushes(struct hold_command *out, const struct name *zone, size_t from, size_t count)
{
	begin(out, "LRANGE");
	add_key(out, PREFIX_ZONE, zone);
	add_number(out, (int64_t)from);
	add_number(out, (int64_t)(from + count) - 1);
}

void hold_lock_left(struct hold_command *out, const struct name *zone)
{
	begin(out, "PTTL");
	add_key(out, PREFIX_LOCK, zone);
}
