/* SPDX-License-Identifier: Apache-2.0 */
/* What runs, and what waits: by Kafka's groups, Redis and the dead letters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/letters.h"
#include "common/bus_admin.h"
#include "common/clock.h"
#include "common/hold.h"
#include "common/retry.h"

#define LOOK_MS 5000
#define BACKENDS "dns.backends"

/* --- members of the groups -------------------------------------------------------------------- */

static enum outcome lag_of(const struct cli *cli, const char *group, const char *topic,
			   int64_t *lag, struct reason *why)
{
	const struct bus_consumer_options options = {.group = group};
	struct bus_consumer *consumer = NULL;
	enum outcome outcome;

	outcome = bus_consumer_create(&consumer, &cli->settings.bus, &options, NULL, why);
	if (outcome == OK) {
		outcome = bus_lag(consumer, topic, (int32_t)cli->settings.topics.partitions, lag,
				  LOOK_MS, why);
	}
	bus_consumer_close(consumer);
	return outcome;
}

static void look_at_group(const struct cli *cli, struct preflight *findings,
			  struct bus_admin *admin, enum check check, const char *where,
			  const char *group, const char *topic)
{
	size_t members = 0;
	struct reason why;
	int64_t lag = 0;
	enum outcome outcome;

	outcome = bus_admin_members(admin, group, &members, LOOK_MS, &why);
	if (outcome == OK) {
		outcome = lag_of(cli, group, topic, &lag, &why);
	}
	if (outcome != OK) {
		preflight_say(findings, check, FINDING_AWAY, where, "%s", why.text);
	} else if (members == 0) {
		preflight_say(findings, check, FINDING_WRONG, where,
			      "group %s has no member: nobody works on %s, where %lld records wait",
			      group, topic, (long long)lag);
	} else {
		preflight_say(findings, check, FINDING_RIGHT, where,
			      "%zu member%s, %lld records of %s to go", members,
			      members == 1 ? "" : "s", (long long)lag, topic);
	}
}

static bool is_enabled(const struct cli *cli, const char *stanza)
{
	return strcmp(config_each_value(cli->config, BACKENDS, stanza, "enabled"), "false") != 0 &&
	       config_backend_type(cli->config, stanza) != NULL;
}

static void look_at_groups(const struct cli *cli, struct preflight *findings)
{
	struct bus_admin *admin = NULL;
	const char *stanza;
	struct reason why;
	char group[128];

	if (bus_admin_create(&admin, &cli->settings.bus, &why) != OK) {
		preflight_say(findings, CHECK_JUDGE_ALIVE, FINDING_AWAY, "kafka", "%s", why.text);
		return;
	}
	look_at_group(cli, findings, admin, CHECK_JUDGE_ALIVE, "ingest", "dadns.judge",
		      TOPIC_PUSHES);
	for (size_t i = 0; (stanza = config_each(cli->config, BACKENDS, i)) != NULL; i++) {
		if (is_enabled(cli, stanza)) {
			(void)snprintf(group, sizeof(group), "dadns.writer.%s", stanza);
			look_at_group(cli, findings, admin, CHECK_WRITER_ALIVE, stanza, group,
				      TOPIC_ZONES);
		}
	}
	bus_admin_destroy(admin);
}

/* --- what waits in Redis ---------------------------------------------------------------------- */

static enum outcome count_retries(const struct cli *cli, struct redis *redis, const char *backend,
				  int64_t *waiting, int64_t *dead, struct reason *why)
{
	struct retry_command command;
	struct redis_value value;
	struct retry_taken taken;
	enum outcome outcome = OK;

	for (int32_t i = 0; i < cli->settings.topics.partitions && outcome == OK; i++) {
		retry_take(&command, backend, i, 0, 0);
		outcome = redis_run(redis, command.arguments, command.count,
				    cli->settings.redis.timeout_ms, &value, why);
		if (outcome == OK) {
			outcome = retry_taken(&value, &taken, why);
		}
		if (outcome == OK) {
			*waiting += taken.waiting;
			*dead += taken.dead;
		}
		retry_command_finish(&command);
	}
	return outcome;
}

static void look_at_retries(const struct cli *cli, struct preflight *findings, struct redis *redis,
			    const char *backend)
{
	int64_t waiting = 0;
	int64_t dead = 0;
	struct reason why;

	if (count_retries(cli, redis, backend, &waiting, &dead, &why) != OK) {
		preflight_say(findings, CHECK_RETRIES_WAITING, FINDING_UNSEEN, backend, "%s",
			      why.text);
	} else if (waiting + dead != 0) {
		preflight_say(findings, CHECK_RETRIES_WAITING, FINDING_WARN, backend,
			      "%lld zones wait for another try, %lld are given up",
			      (long long)waiting, (long long)dead);
	} else {
		preflight_say(findings, CHECK_RETRIES_WAITING, FINDING_RIGHT, backend, "none");
	}
}

static void look_at_holds(const struct cli *cli, struct preflight *findings, struct redis *redis)
{
	const struct hold_taking taking = {.token = "", .lock_ms = 1};
	struct hold_command *command = xcalloc(1, sizeof(*command));
	struct hold_taken *taken = xcalloc(1, sizeof(*taken));
	struct redis_value value;
	struct reason why;
	bool good;

	hold_take(command, &taking);
	good = redis_run(redis, command->arguments, command->count, cli->settings.redis.timeout_ms,
			 &value, &why) == OK &&
	       hold_was_taken(&value, taken, &why);
	if (!good) {
		preflight_say(findings, CHECK_HOLDS_WAITING, FINDING_UNSEEN, "redis", "%s",
			      why.text);
	} else if (taken->totals.records != 0 || taken->totals.zones != 0) {
		preflight_say(findings, CHECK_HOLDS_WAITING, FINDING_WARN, "redis",
			      "%lld pushes of %lld zones are held, the oldest for %lld s",
			      (long long)taken->totals.records, (long long)taken->totals.zones,
			      (long long)(clock_wall_ms() - taken->totals.oldest_ms) / 1000);
	} else {
		preflight_say(findings, CHECK_HOLDS_WAITING, FINDING_RIGHT, "redis", "none");
	}
	free(taken);
	free(command);
}

static void look_at_redis(const struct cli *cli, struct preflight *findings)
{
	struct redis *redis = NULL;
	const char *stanza;
	struct reason why;

	if (cli->settings.redis.url[0] == '\0' ||
	    redis_create(&cli->settings.redis, &redis, &why) != OK) {
		return;
	}
	look_at_holds(cli, findings, redis);
	for (size_t i = 0; (stanza = config_each(cli->config, BACKENDS, i)) != NULL; i++) {
		if (is_enabled(cli, stanza)) {
			look_at_retries(cli, findings, redis, stanza);
		}
	}
	redis_destroy(redis);
}

/* --- dead letters ----------------------------------------------------------------------------- */

static void look_at_letters(const struct cli *cli, struct preflight *findings)
{
	struct letters letters = {0};
	struct reason why;
	size_t open = 0;

	if (letters_read(&letters, cli, &why) != OK) {
		preflight_say(findings, CHECK_DEAD_LETTERS, FINDING_UNSEEN, TOPIC_DEAD_LETTERS,
			      "%s", why.text);
	} else {
		for (size_t i = 0; i < letters.count; i++) {
			open += letters.items[i].state == LETTER_OPEN ? 1 : 0;
		}
		preflight_say(findings, CHECK_DEAD_LETTERS,
			      open == 0 ? FINDING_RIGHT : FINDING_WARN, TOPIC_DEAD_LETTERS,
			      "%zu open, %zu in all", open, letters.count);
	}
	letters_finish(&letters);
}

void doctor_fleet(const struct cli *cli, struct preflight *findings)
{
	look_at_groups(cli, findings);
	look_at_redis(cli, findings);
	look_at_letters(cli, findings);
}
