/* SPDX-License-Identifier: Apache-2.0 */
/* Redis: INFO says nearly everything and is seldom forbidden; CONFIG, which often is, the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/preflight.h"
#include "common/redis_place.h"

enum { ANSWER_SIZE = 64 };

struct look {
	struct preflight *preflight;
	struct redis *redis;
	int64_t timeout_ms;
	char where[96];
	char *info; /* owned */
};

static enum outcome run(struct look *look, const char *const *words, size_t count,
			struct redis_value *out, struct reason *why)
{
	struct span arguments[4];

	for (size_t i = 0; i < count; i++) {
		arguments[i] = span_of(words[i]);
	}
	return redis_run(look->redis, arguments, count, look->timeout_ms, out, why);
}

/* "aof_enabled:1\r\n" gives "1"; false: no such line. */
static bool info_of(const struct look *look, const char *name, char *out)
{
	size_t len = strlen(name);
	const char *line = look->info;

	while (line != NULL && !(strncmp(line, name, len) == 0 && line[len] == ':')) {
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	if (line == NULL) {
		return false;
	}
	(void)snprintf(out, ANSWER_SIZE, "%.*s", (int)strcspn(line + len + 1, "\r\n"),
		       line + len + 1);
	return true;
}

/* false: this Redis does not tell. */
static bool config_of(struct look *look, const char *name, char *out)
{
	const char *words[] = {"CONFIG", "GET", name};
	struct redis_value value;
	struct reason why;

	if (run(look, words, 3, &value, &why) != OK || value.kind != REDIS_LIST ||
	    value.count != 2) {
		return false;
	}
	(void)snprintf(out, ANSWER_SIZE, "%.*s", (int)value.items[1].text.len,
		       value.items[1].text.data);
	return true;
}

static void check_version(struct look *look)
{
	char version[ANSWER_SIZE];

	if (!info_of(look, "redis_version", version)) {
		preflight_say(look->preflight, CHECK_REDIS_VERSION, FINDING_WARN, look->where,
			      "it does not tell its version: is it Redis?");
	} else if (strtol(version, NULL, 10) < 6) {
		preflight_say(look->preflight, CHECK_REDIS_VERSION, FINDING_WARN, look->where,
			      "Redis %s: tried from 6.0 on", version);
	} else {
		preflight_say(look->preflight, CHECK_REDIS_VERSION, FINDING_RIGHT, look->where,
			      "Redis %s", version);
	}
}

static void check_role(struct look *look)
{
	char role[ANSWER_SIZE] = "";
	bool known = info_of(look, "role", role);

	if (known && strcmp(role, "master") != 0) {
		preflight_say(look->preflight, CHECK_REDIS_ROLE, FINDING_WRONG, look->where,
			      "it is a replica (role %s): what is written there is refused or "
			      "lost",
			      role);
	} else {
		preflight_say(look->preflight, CHECK_REDIS_ROLE,
			      known ? FINDING_RIGHT : FINDING_UNSEEN, look->where, "%s",
			      known ? "a primary" : "INFO does not tell; redis-cli ROLE does");
	}
}

static void check_aof(struct look *look)
{
	char enabled[ANSWER_SIZE] = "";
	char written[ANSWER_SIZE] = "ok";

	if (!info_of(look, "aof_enabled", enabled)) {
		preflight_say(look->preflight, CHECK_REDIS_AOF, FINDING_WARN, look->where,
			      "it does not tell whether appendonly is on: held pushes may not "
			      "survive its restart");
		return;
	}
	(void)info_of(look, "aof_last_write_status", written);
	if (strcmp(enabled, "1") != 0) {
		preflight_say(look->preflight, CHECK_REDIS_AOF, FINDING_WRONG, look->where,
			      "appendonly is no: acknowledged pushes that are held there do not "
			      "survive its restart; set appendonly yes, or redis.url empty to "
			      "hold none");
	} else if (strcmp(written, "ok") != 0) {
		preflight_say(look->preflight, CHECK_REDIS_AOF, FINDING_WRONG, look->where,
			      "its append-only file could not be written last time (%s): disk "
			      "full? Redis's log says more",
			      written);
	} else {
		preflight_say(look->preflight, CHECK_REDIS_AOF, FINDING_RIGHT, look->where,
			      "appendonly yes");
	}
}

static void check_fsync(struct look *look)
{
	char fsync[ANSWER_SIZE];

	if (!config_of(look, "appendfsync", fsync)) {
		preflight_say(look->preflight, CHECK_REDIS_FSYNC, FINDING_UNSEEN, look->where,
			      "this account may not CONFIG GET; look there: redis-cli CONFIG GET "
			      "appendfsync, it should be always");
	} else if (strcmp(fsync, "always") != 0) {
		preflight_say(look->preflight, CHECK_REDIS_FSYNC, FINDING_WARN, look->where,
			      "appendfsync is %s: a crash of its host loses acknowledged pushes "
			      "held there in the last %s; set appendfsync always",
			      fsync, strcmp(fsync, "everysec") == 0 ? "second" : "half minute");
	} else {
		preflight_say(look->preflight, CHECK_REDIS_FSYNC, FINDING_RIGHT, look->where,
			      "appendfsync always");
	}
}

/* Without maxmemory nothing is evicted, until somebody sets it. */
static void check_eviction(struct look *look)
{
	char policy[ANSWER_SIZE];
	char limit[ANSWER_SIZE] = "0";
	bool limited;

	if (!info_of(look, "maxmemory_policy", policy)) {
		preflight_say(look->preflight, CHECK_REDIS_EVICTION, FINDING_UNSEEN, look->where,
			      "INFO does not tell; look there: maxmemory-policy must be "
			      "noeviction");
		return;
	}
	limited = info_of(look, "maxmemory", limit) && strtoll(limit, NULL, 10) > 0;
	if (strcmp(policy, "noeviction") == 0) {
		preflight_say(look->preflight, CHECK_REDIS_EVICTION, FINDING_RIGHT, look->where,
			      "noeviction");
	} else {
		preflight_say(look->preflight, CHECK_REDIS_EVICTION,
			      limited ? FINDING_WRONG : FINDING_WARN, look->where,
			      "maxmemory-policy is %s%s: set noeviction", policy,
			      limited ? ": when memory is short, acknowledged pushes are thrown "
					"away"
				      : " (no maxmemory is set, so nothing happens yet)");
	}
}

static void check_clock(struct look *look)
{
	const char *words[] = {"TIME"};
	char number[2][ANSWER_SIZE];
	struct redis_value value;
	int64_t before_ms = clock_wall_ms();
	struct reason why;

	if (run(look, words, 1, &value, &why) != OK || value.kind != REDIS_LIST ||
	    value.count != 2) {
		preflight_say(look->preflight, CHECK_REDIS_CLOCK, FINDING_UNSEEN, look->where,
			      "it does not tell the time");
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(number[i], ANSWER_SIZE, "%.*s", (int)value.items[i].text.len,
			       value.items[i].text.data);
	}
	preflight_clock(look->preflight, CHECK_REDIS_CLOCK, look->where, before_ms,
			strtoll(number[0], NULL, 10) * 1000 + strtoll(number[1], NULL, 10) / 1000,
			clock_wall_ms());
}

static void look_at(struct look *look)
{
	const char *words[] = {"INFO"};
	struct redis_value value;
	struct reason why;

	if (run(look, words, 1, &value, &why) != OK) {
		preflight_say(look->preflight, CHECK_REDIS_REACH, FINDING_AWAY, look->where, "%s",
			      why.text);
		return;
	}
	preflight_say(look->preflight, CHECK_REDIS_REACH, FINDING_RIGHT, look->where, "it answers");
	look->info = xstrndup(value.text.data == NULL ? "" : value.text.data, value.text.len);
	check_version(look);
	check_role(look);
	check_aof(look);
	check_fsync(look);
	check_eviction(look);
	check_clock(look);
	free(look->info);
}

void preflight_redis(struct preflight *preflight, const struct redis_config *config)
{
	struct look look = {.preflight = preflight, .timeout_ms = config->timeout_ms};
	struct redis_place place;
	struct reason why;
	char text[80];

	if (config->url[0] == '\0') {
		preflight_say(preflight, CHECK_REDIS_REACH, FINDING_WARN, "redis",
			      "redis.url is empty: while Kafka is away pushes are refused");
		return;
	}
	if (redis_create(config, &look.redis, &why) != OK) {
		preflight_say(preflight, CHECK_REDIS_REACH, FINDING_WRONG, "redis", "redis.url: %s",
			      why.text);
		return;
	}
	if (redis_place_parse(config->url, &place, &why) == OK) {
		redis_place_print(&place, text, sizeof(text));
		(void)snprintf(look.where, sizeof(look.where), "redis %s", text);
	}
	look_at(&look);
	redis_destroy(look.redis);
}
