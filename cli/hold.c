/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/hold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "common/clock.h"
#include "common/drain.h"
#include "common/event.h"
#include "common/hold.h"

enum {
	ZONES_A_PAGE = 500,
	PUSHES_A_PAGE = 20,
	/* A lock whose drainer died expires within it. */
	PATIENCE_MS = DRAIN_LOCK_MS + 5000,
};

static int away(const struct reason *why)
{
	complain("%s", why->text);
	return EXIT_AWAY;
}

static int connect_redis(const struct cli *cli, struct redis **out)
{
	struct reason why;

	if (cli->settings.redis.url[0] == '\0') {
		complain("no Redis is configured (redis.url), so nothing is ever held");
		return EXIT_USAGE;
	}
	if (redis_create(&cli->settings.redis, out, &why) != OK) {
		complain("redis.url: %s", why.text);
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

static enum outcome run(const struct cli *cli, struct redis *redis,
			const struct hold_command *command, struct redis_value *out,
			struct reason *why)
{
	return redis_run(redis, command->arguments, command->count, cli->settings.redis.timeout_ms,
			 out, why);
}

static void add_number(struct output *output, int64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	output_add(output, span_of(text));
}

static void add_time(struct output *output, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_text(wall_ms, text);
	output_add(output, span_of(text));
}

/* The words of the command line as names. */
struct zones {
	struct name *names;
	size_t count;
};

static int add_name(struct zones *zones, const char *word)
{
	struct reason why;

	zones->names = xrealloc(zones->names, (zones->count + 1) * sizeof(zones->names[0]));
	if (name_parse(span_of(word), &zones->names[zones->count], &why) != OK) {
		complain("%.80s: %s", word, why.text);
		return EXIT_USAGE;
	}
	zones->count++;
	return EXIT_DONE;
}

static int read_words(const struct cli *cli, struct zones *out)
{
	const char *flag = config_flag(cli->config, "zone");
	int code = flag == NULL ? EXIT_DONE : add_name(out, flag);

	for (size_t i = 0; code == EXIT_DONE && cli_word(cli, i) != NULL; i++) {
		code = add_name(out, cli_word(cli, i));
	}
	return code;
}

/* --- list ------------------------------------------------------------------------------------ */

static const char *const zone_columns[] = {"zone",  "pushes",  "bytes",      "oldest",
					   "saves", "deletes", "drained by", NULL};
static const char *const push_columns[] = {"zone",  "held",   "id",    "what",
					   "owner", "sender", "bytes", NULL};

/* What stands in one zone's hold; with `output` each push gets a row. */
struct content {
	const struct name *zone;
	struct output *output;
	int64_t pushes, bytes, saves, deletes, oldest_ms;
};

static void take_push(struct content *content, struct span text)
{
	struct push_event event = {.owner = "", .sender = ""};
	struct held_push push = {0};
	char id[EVENT_ID_TEXT_SIZE] = "";
	const char *what = "unreadable";
	struct reason why;

	if (held_push_parse(text, &push, &why) == OK) {
		event_id_text(&push.id, id);
		if (push_event_decode(push.value, &event, &why) == OK) {
			what = event.op == PUSH_DELETE ? event.mass ? "delete, mass" : "delete"
						       : "save";
		}
	}
	content->pushes++;
	content->bytes += (int64_t)text.len;
	content->saves += strcmp(what, "save") == 0;
	content->deletes += strncmp(what, "delete", 6) == 0;
	if (content->oldest_ms == 0) {
		content->oldest_ms = push.held_at_ms;
	}
	if (content->output != NULL) {
		output_add(content->output, name_span(content->zone));
		add_time(content->output, push.held_at_ms);
		output_add(content->output, span_of(id));
		output_add(content->output, span_of(what));
		output_add(content->output, span_of(event.owner));
		output_add(content->output, span_of(event.sender));
		add_number(content->output, (int64_t)text.len);
	}
	push_event_finish(&event);
	held_push_finish(&push);
}

static enum outcome read_zone(const struct cli *cli, struct redis *redis, struct content *content,
			      struct reason *why)
{
	struct redis_value page;
	enum outcome outcome;

	do {
		struct hold_command command;

		hold_list_pushes(&command, content->zone, (size_t)content->pushes, PUSHES_A_PAGE);
		outcome = run(cli, redis, &command, &page, why);
		for (size_t i = 0; outcome == OK && i < page.count; i++) {
			take_push(content, page.items[i].text);
		}
	} while (outcome == OK && page.count == PUSHES_A_PAGE);
	return outcome;
}

static enum outcome list_zone(const struct cli *cli, struct redis *redis, const struct name *zone,
			      struct output *output, struct reason *why)
{
	struct content content = {.zone = zone};
	struct redis_value left;
	struct hold_command command;
	enum outcome outcome = read_zone(cli, redis, &content, why);

	if (outcome != OK) {
		return outcome;
	}
	hold_lock_left(&command, zone);
	outcome = run(cli, redis, &command, &left, why);
	if (outcome != OK || content.pushes == 0) {
		return outcome; /* drained meanwhile */
	}
	output_add(output, name_span(zone));
	add_number(output, content.pushes);
	add_number(output, content.bytes);
	add_time(output, content.oldest_ms);
	add_number(output, content.saves);
	add_number(output, content.deletes);
	output_add(output, span_of(left.number > 0 ? "somebody" : "nobody"));
	return OK;
}

static enum outcome read_zones(const struct cli *cli, struct redis *redis, struct zones *out,
			       struct reason *why)
{
	struct redis_value page;
	enum outcome outcome;
	size_t from = 0;

	do {
		struct hold_command command;

		hold_list_zones(&command, from, ZONES_A_PAGE);
		outcome = run(cli, redis, &command, &page, why);
		if (outcome != OK) {
			return outcome;
		}
		for (size_t i = 0; i + 1 < page.count; i += 2) { /* zone, time */
			out->names = xrealloc(out->names, (out->count + 1) * sizeof(struct name));
			if (name_parse(page.items[i].text, &out->names[out->count], why) == OK) {
				out->count++;
			}
		}
		from += ZONES_A_PAGE;
	} while (page.count == 2 * (size_t)ZONES_A_PAGE);
	return OK;
}

static enum outcome fill(const struct cli *cli, struct redis *redis, struct zones *zones,
			 struct output *output, struct reason *why)
{
	bool each_push = zones->count > 0;
	enum outcome outcome = each_push ? OK : read_zones(cli, redis, zones, why);

	for (size_t i = 0; outcome == OK && i < zones->count; i++) {
		struct content content = {.zone = &zones->names[i], .output = output};

		outcome = each_push ? read_zone(cli, redis, &content, why)
				    : list_zone(cli, redis, &zones->names[i], output, why);
	}
	return outcome;
}

static int list(const struct cli *cli)
{
	struct zones zones = {0};
	struct redis *redis = NULL;
	struct output output;
	struct reason why;
	int code = read_words(cli, &zones);

	output_init(&output, zones.count > 0 ? push_columns : zone_columns);
	if (code == EXIT_DONE) {
		code = connect_redis(cli, &redis);
	}
	if (code == EXIT_DONE) {
		if (fill(cli, redis, &zones, &output, &why) == OK) {
			output_print(&output, cli->json);
		} else {
			code = away(&why);
		}
	}
	redis_destroy(redis);
	output_finish(&output);
	free(zones.names);
	return code;
}

/* --- drain ----------------------------------------------------------------------------------- */

static const char *const drain_columns[] = {"zone", "pushes", "what", NULL};

/* One zone, or all of them. */
struct drainage {
	int64_t pushes;
	int64_t moved_ms; /* when something went on last */
	bool stuck;
	struct reason trouble;
};

static void news(void *context, enum drain_news news, const struct name *zone,
		 const struct reason *why)
{
	struct drainage *drainage = context;

	switch (news) {
	case DRAIN_DELIVERED:
		break;
	case DRAIN_POPPED:
		drainage->pushes++;
		drainage->moved_ms = clock_ms();
		break;
	case DRAIN_LOST:
		(void)because(TEMPFAIL, &drainage->trouble, "somebody else drains %s", zone->text);
		break;
	case DRAIN_LATER:
		drainage->trouble = *why;
		break;
	case DRAIN_STUCK:
		drainage->stuck = true;
		complain("%s: %s", zone != NULL ? zone->text : "a name that is none", why->text);
		break;
	}
}

/* Until nothing is held, or nothing has gone on for a while. */
static bool turn_until_empty(struct drain *drain, struct redis *redis, struct drainage *drainage)
{
	drainage->moved_ms = clock_ms();
	while (clock_ms() < drainage->moved_ms + PATIENCE_MS) {
		redis_work(redis, drain_wait_ms(drain), -1);
		hold_hear(redis);
		drain_turn(drain);
		if (drain_looks(drain) > 0 && drain_totals(drain).zones == 0 &&
		    drain_is_idle(drain)) {
			return true;
		}
	}
	return false;
}

/* Under the same locks as ingest's replicas: they and we do not disturb each other. */
static int drain_one(const struct cli *cli, const struct name *only, struct output *output)
{
	struct drainage drainage = {0};
	struct drain_config config = {
		.bus = &cli->settings.bus,
		.only = only,
		.redis_timeout_ms = cli->settings.redis.timeout_ms,
		.news = news,
		.context = &drainage,
	};
	struct redis *redis = NULL;
	struct drain *drain = NULL;
	struct reason why;
	bool empty = false;
	int code = connect_redis(cli, &redis);

	if (code != EXIT_DONE) {
		return code;
	}
	config.redis = redis;
	if (drain_create(&config, &drain, &why) != OK) {
		complain("%s", why.text);
		code = EXIT_USAGE;
		goto out;
	}
	empty = turn_until_empty(drain, redis, &drainage);
	if (!empty) {
		complain("nothing went on for %d s: %s", PATIENCE_MS / 1000,
			 drainage.trouble.text[0] != '\0' ? drainage.trouble.text
							  : "Kafka or Redis is away");
		code = drainage.stuck ? EXIT_FAILED : EXIT_AWAY;
	}
	output_add(output, only != NULL ? name_span(only) : span_of("all"));
	add_number(output, drainage.pushes);
	output_add(output, span_of(!empty                 ? "not all are in Kafka"
				   : drainage.pushes == 0 ? "nothing was held, or others drained it"
							  : "all are in Kafka"));
out:
	drain_destroy(drain);
	redis_destroy(redis);
	return code;
}

static int drain(const struct cli *cli)
{
	struct zones zones = {0};
	struct output output;
	int code = read_words(cli, &zones);

	output_init(&output, drain_columns);
	if (code == EXIT_DONE && zones.count == 0) {
		code = drain_one(cli, NULL, &output);
	}
	for (size_t i = 0; code == EXIT_DONE && i < zones.count; i++) {
		code = drain_one(cli, &zones.names[i], &output);
	}
	if (output.cell_count > 0) {
		output_print(&output, cli->json);
	}
	output_finish(&output);
	free(zones.names);
	return code;
}

const struct verb hold_verbs[] = {
	{
		.noun = "hold",
		.name = "list",
		.summary = "[ZONE...] what is held in Redis while Kafka is away",
		.help = "One line per zone, the oldest first; with names one line per push of "
			"these "
			"zones, in their order.\nA push is held when Kafka did not confirm it, and "
			"every later one of its zone behind it, whichever\nreplica of ingest takes "
			"it. "
			"Nothing in it is ever replaced.\n",
		.run = list,
		.words = WORDS_MANY,
		.flags = "zone",
	},
	{
		.noun = "hold",
		.name = "drain",
		.summary = "[ZONE...] give what is held to Kafka, of these zones or of all",
		.help = "ingest does this by itself, as soon as Kafka is there. This does it from "
			"here, under the same locks,\nwhere no ingest runs or none gets on: it "
			"waits "
			"until the lock of a drainer that died has expired\n(15 s at most). "
			"Nothing is "
			"thrown away: a push leaves Redis when Kafka has confirmed it.\n"
			"Exit code 75: Kafka or Redis is away, or somebody else is at it and does "
			"not "
			"get on; 1: a push\nthat Kafka will never take as things are (the message "
			"says "
			"why).\n",
		.run = drain,
		.words = WORDS_MANY,
		.flags = "",
	},
	{0},
};
