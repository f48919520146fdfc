/* SPDX-License-Identifier: Apache-2.0 */
#include "common/retry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "dadns:retry:"
#define COMPLETE "complete"
#define ENTRY_BYTES_MAX 8192

/* KEYS: 1 the hash, 2 the due times, 3 the state. `entry` reads what stands there; what nobody of
 * us wrote counts as nothing. `order` compares its version with ARGV[i], ARGV[i + 1]. */
#define LUA_ENTRY                                                                               \
	"local function entry(zone)\n"                                                          \
	"  local text = redis.call('HGET', KEYS[1], zone)\n"                                    \
	"  local ok, e = pcall(cjson.decode, text or '')\n"                                     \
	"  if not ok or type(e) ~= 'table' or type(e.version) ~= 'table' then return nil end\n" \
	"  local all = {e.version.epoch, e.version.offset, e.attempt}\n"                        \
	"  for i = 1, 3 do if type(all[i]) ~= 'number' then return nil end end\n"               \
	"  return e\n"                                                                          \
	"end\n"                                                                                 \
	"local function order(e, i)\n"                                                          \
	"  local d = e.version.epoch - tonumber(ARGV[i])\n"                                     \
	"  if d == 0 then d = e.version.offset - tonumber(ARGV[i + 1]) end\n"                   \
	"  return d\n"                                                                          \
	"end\n"
#define LUA_NOW                          \
	"local t = redis.call('TIME')\n" \
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

/* ARGV: zone, JSON, epoch, offset, attempt, delay (negative: dead), 1: if it is there */
static const char save_script[] =
	"-- dadns retry save\n" LUA_ENTRY LUA_NOW "local e = entry(ARGV[1])\n"
	"local dead = tonumber(ARGV[6]) < 0\n"
	"if ARGV[7] == '1' and not (e and order(e, 3) == 0) then return 'kept' end\n"
	"if e then\n"
	"  local d = order(e, 3)\n"
	"  if d > 0 then return 'kept' end\n"
	"  if d == 0 and e.dead then return 'dead' end\n"
	"  local tries = e.attempt - tonumber(ARGV[5])\n"
	"  if d == 0 and (tries > 0 or (tries == 0 and not dead)) then return 'kept' end\n"
	"end\n"
	"redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
	"if dead then\n"
	"  redis.call('ZREM', KEYS[2], ARGV[1])\n"
	"else\n"
	"  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[6]), ARGV[1])\n"
	"end\n"
	"return 'saved'\n";

/* ARGV: zone, epoch, offset */
static const char drop_script[] = "-- dadns retry drop\n" LUA_ENTRY "local e = entry(ARGV[1])\n"
				  "if e and order(e, 2) > 0 then return 0 end\n"
				  "redis.call('ZREM', KEYS[2], ARGV[1])\n"
				  "return redis.call('HDEL', KEYS[1], ARGV[1])\n";

/* ARGV: limit, lease */
static const char take_script[] =
	"-- dadns retry take\n" LUA_NOW "local complete = redis.call('GET', KEYS[3]) == '" COMPLETE
	"' and 1 or 0\n"
	"local waiting = redis.call('ZCARD', KEYS[2])\n"
	"local found = {complete, waiting, redis.call('HLEN', KEYS[1]) - waiting}\n"
	"if ARGV[1] == '0' then return found end\n"
	"local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1])\n"
	"for _, zone in ipairs(due) do\n"
	"  local text = redis.call('HGET', KEYS[1], zone)\n"
	"  if text then\n"
	"    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), zone)\n"
	"    found[#found + 1] = text\n"
	"  else\n"
	"    redis.call('ZREM', KEYS[2], zone)\n"
	"  end\n"
	"end\n"
	"return found\n";

/* ARGV: "rebuilding TOKEN" */
static const char complete_script[] = "-- dadns retry complete\n"
				      "if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end\n"
				      "redis.call('SET', KEYS[3], '" COMPLETE "')\n"
				      "return 1\n";

static const char list_script[] =
	"-- dadns retry list\n" LUA_NOW "local found = {}\n"
	"local all = redis.call('HGETALL', KEYS[1])\n"
	"for i = 1, #all, 2 do\n"
	"  local due = redis.call('ZSCORE', KEYS[2], all[i])\n"
	"  found[#found + 1] = {all[i + 1], due and tostring(due - now) or ''}\n"
	"end\n"
	"return found\n";

/* ARGV: zone */
static const char now_script[] = "-- dadns retry now\n" LUA_NOW
				 "if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end\n"
				 "redis.call('ZADD', KEYS[2], now, ARGV[1])\n"
				 "return 1\n";

/* --- commands --------------------------------------------------------------------------------- */

static void add(struct retry_command *command, struct span argument)
{
	command->arguments[command->count++] = argument;
}

static void add_number(struct retry_command *command, size_t i, int64_t number)
{
	(void)snprintf(command->numbers[i], sizeof(command->numbers[i]), "%" PRId64, number);
	add(command, span_of(command->numbers[i]));
}

static void add_version(struct retry_command *command, size_t i, struct version version)
{
	add_number(command, i, version.epoch);
	add_number(command, i + 1, version.offset);
}

/* The copy lives as long as the command. */
static void add_zone(struct retry_command *command, const struct name *zone)
{
	command->zone = *zone;
	add(command, name_span(&command->zone));
}

static void keys_of(struct retry_command *command, const char *backend, int32_t partition)
{
	static const char *const tails[] = {"", ":due", ":state"};

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(command->keys[i], RETRY_KEY_SIZE, PREFIX "%.*s:%" PRId32 "%s",
			       EVENT_BACKEND_MAX, backend, partition, tails[i]);
	}
}

static void begin(struct retry_command *command)
{
	*command = (struct retry_command){.json = BUF_INIT(ENTRY_BYTES_MAX)};
}

static void eval(struct retry_command *command, const char *script, const char *backend,
		 int32_t partition)
{
	begin(command);
	keys_of(command, backend, partition);
	add(command, span_of("EVAL"));
	add(command, span_of(script));
	add(command, span_of("3"));
	for (size_t i = 0; i < 3; i++) {
		add(command, span_of(command->keys[i]));
	}
}

void retry_command_finish(struct retry_command *command)
{
	buf_finish(&command->json);
}

void retry_save(struct retry_command *command, const struct retry_event *entry, int64_t delay_ms,
		bool if_there)
{
	eval(command, save_script, entry->backend, entry->partition);
	add_zone(command, &entry->zone);
	retry_event_encode(entry, &command->json);
	add(command, buf_span(&command->json));
	add_version(command, 0, entry->version);
	add_number(command, 2, entry->attempt);
	add_number(command, 3, entry->dead ? -1 : delay_ms);
	add(command, span_of(if_there ? "1" : "0"));
}

void retry_drop(struct retry_command *command, const char *backend, int32_t partition,
		const struct name *zone, struct version version)
{
	eval(command, drop_script, backend, partition);
	add_zone(command, zone);
	add_version(command, 0, version);
}

void retry_take(struct retry_command *command, const char *backend, int32_t partition,
		int64_t limit, int64_t lease_ms)
{
	eval(command, take_script, backend, partition);
	add_number(command, 0, limit);
	add_number(command, 1, lease_ms);
}

static void rebuilding(struct retry_command *command, const char *token)
{
	buf_addf(&command->json, "rebuilding %s", token);
	add(command, buf_span(&command->json));
}

void retry_begin(struct retry_command *command, const char *backend, int32_t partition,
		 const char *token)
{
	begin(command);
	keys_of(command, backend, partition);
	add(command, span_of("SET"));
	add(command, span_of(command->keys[2]));
	rebuilding(command, token);
}

void retry_complete(struct retry_command *command, const char *backend, int32_t partition,
		    const char *token)
{
	eval(command, complete_script, backend, partition);
	rebuilding(command, token);
}

void retry_scan(struct retry_command *command, struct span cursor)
{
	begin(command);
	buf_add(&command->json, cursor);
	add(command, span_of("SCAN"));
	add(command, buf_span(&command->json));
	add(command, span_of("MATCH"));
	add(command, span_of(PREFIX "*"));
	add(command, span_of("COUNT"));
	add(command, span_of("1000"));
}

void retry_list(struct retry_command *command, const char *backend, int32_t partition)
{
	eval(command, list_script, backend, partition);
}

void retry_now(struct retry_command *command, const char *backend, int32_t partition,
	       const struct name *zone)
{
	eval(command, now_script, backend, partition);
	add_zone(command, zone);
}

/* --- answers ---------------------------------------------------------------------------------- */

static enum outcome refused(const struct redis_value *value, struct reason *why)
{
	if (value->kind == REDIS_ERROR) {
		return because(TEMPFAIL, why, "Redis refuses: %.*s", (int)value->text.len,
			       value->text.data);
	}
	return because(TEMPFAIL, why, "Redis gave an answer that is none of ours");
}

enum outcome retry_saved(const struct redis_value *value, enum retry_saved *out, struct reason *why)
{
	static const char *const words[] = {
		[RETRY_SAVED] = "saved", [RETRY_KEPT] = "kept", [RETRY_DEAD] = "dead"};

	for (size_t i = 0; value->kind == REDIS_TEXT && i < 3; i++) {
		if (span_is(value->text, words[i])) {
			*out = (enum retry_saved)i;
			return OK;
		}
	}
	return refused(value, why);
}

enum outcome retry_taken(const struct redis_value *value, struct retry_taken *out,
			 struct reason *why)
{
	if (value->kind != REDIS_LIST || value->count < 3) {
		return refused(value, why);
	}
	for (size_t i = 0; i < value->count; i++) {
		if (value->items[i].kind != (i < 3 ? REDIS_NUMBER : REDIS_TEXT)) {
			return refused(value, why);
		}
	}
	*out = (struct retry_taken){.complete = value->items[0].number == 1,
				    .waiting = value->items[1].number,
				    .dead = value->items[2].number,
				    .entries = value->items + 3,
				    .count = value->count - 3};
	return OK;
}

bool retry_key_parse(struct span key, char backend[EVENT_BACKEND_MAX + 1], int32_t *partition)
{
	size_t skip = sizeof(PREFIX) - 1;
	const char *colon;
	int32_t number = 0;
	size_t len;

	if (key.len <= skip || memcmp(key.data, PREFIX, skip) != 0) {
		return false;
	}
	colon = memchr(key.data + skip, ':', key.len - skip);
	len = colon == NULL ? 0 : (size_t)(colon - key.data) - skip;
	if (len == 0 || len > EVENT_BACKEND_MAX || colon + 1 == key.data + key.len) {
		return false;
	}
	for (const char *at = colon + 1; at < key.data + key.len; at++) {
		if (*at < '0' || *at > '9' || number > 100000) {
			return false; /* ":due" and ":state" too */
		}
		number = number * 10 + (*at - '0');
	}
	memcpy(backend, key.data + skip, len);
	backend[len] = '\0';
	*partition = number;
	return true;
}
