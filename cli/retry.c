/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/retry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "common/clock.h"
#include "common/retry.h"

#define WAIT_MS 5000
#define CURSOR_MAX 32

static const char *const columns[] = {"backend", "zone",         "state",  "attempt",
				      "due",     "first_failed", "reason", NULL};

struct entry {
	struct retry_event event;
	int64_t due_ms; /* wall clock; 0: dead */
};

struct entries {
	struct entry *items;
	size_t count;
};

static void entries_finish(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		retry_event_finish(&entries->items[i].event);
	}
	free(entries->items);
}

/* --- from Redis ------------------------------------------------------------------------------- */

static enum outcome ask(struct redis *redis, struct retry_command *command, struct redis_value *out,
			struct reason *why)
{
	enum outcome outcome =
		redis_run(redis, command->arguments, command->count, WAIT_MS, out, why);

	retry_command_finish(command);
	return outcome;
}

/* The zones that were named on the command line; none: all. */
static bool is_wanted(const struct cli *cli, const struct retry_event *event)
{
	const char *backend = config_flag(cli->config, "backend");
	const char *zone = config_flag(cli->config, "zone");
	struct name name;
	struct reason why;

	if (backend != NULL && strcmp(backend, event->backend) != 0) {
		return false;
	}
	if (zone != NULL &&
	    (name_parse(span_of(zone), &name, &why) != OK || !name_equal(&name, &event->zone))) {
		return false;
	}
	for (size_t i = 0; cli_word(cli, i) != NULL; i++) {
		if (name_parse(span_of(cli_word(cli, i)), &name, &why) == OK &&
		    name_equal(&name, &event->zone)) {
			return true;
		}
	}
	return cli_word(cli, 0) == NULL;
}

static void take_entry(const struct cli *cli, struct entries *entries,
		       const struct redis_value *pair)
{
	struct entry entry;
	struct reason why;

	if (pair->kind != REDIS_LIST || pair->count != 2) {
		return;
	}
	if (retry_event_decode(pair->items[0].text, &entry.event, &why) != OK) {
		complain("an entry in Redis is not ours: %s", why.text);
		return;
	}
	if (!is_wanted(cli, &entry.event)) {
		retry_event_finish(&entry.event);
		return;
	}
	entry.due_ms = entry.event.dead
			       ? 0
			       : clock_wall_ms() + strtoll(pair->items[1].text.data, NULL, 10);
	entries->items = xrealloc(entries->items, (entries->count + 1) * sizeof(*entries->items));
	entries->items[entries->count++] = entry;
}

static enum outcome read_partition(const struct cli *cli, struct redis *redis, const char *backend,
				   int32_t partition, struct entries *entries, struct reason *why)
{
	struct retry_command command;
	struct redis_value value;
	enum outcome outcome;

	retry_list(&command, backend, partition);
	outcome = ask(redis, &command, &value, why);
	for (size_t i = 0; outcome == OK && i < value.count; i++) {
		take_entry(cli, entries, &value.items[i]);
	}
	return outcome;
}

/* Which partitions have entries. Keys may come twice (Redis says so of SCAN). */
struct places {
	struct place {
		char backend[EVENT_BACKEND_MAX + 1];
		int32_t partition;
	} * items;
	size_t count;
};

static void take_key(struct places *places, struct span key)
{
	struct place place;

	if (!retry_key_parse(key, place.backend, &place.partition)) {
		return;
	}
	for (size_t i = 0; i < places->count; i++) {
		if (places->items[i].partition == place.partition &&
		    strcmp(places->items[i].backend, place.backend) == 0) {
			return;
		}
	}
	places->items = xrealloc(places->items, (places->count + 1) * sizeof(*places->items));
	places->items[places->count++] = place;
}

static enum outcome find_places(struct redis *redis, struct places *places, struct reason *why)
{
	char cursor[CURSOR_MAX] = "0";
	struct retry_command command;
	struct redis_value value;

	do {
		enum outcome outcome;

		retry_scan(&command, span_of(cursor));
		outcome = ask(redis, &command, &value, why);
		if (outcome != OK) {
			return outcome;
		}
		if (value.count != 2 || value.items[0].text.len >= CURSOR_MAX) {
			return because(TEMPFAIL, why, "Redis answers SCAN in a way we don't know");
		}
		for (size_t i = 0; i < value.items[1].count; i++) {
			take_key(places, value.items[1].items[i].text);
		}
		memcpy(cursor, value.items[0].text.data, value.items[0].text.len);
		cursor[value.items[0].text.len] = '\0';
	} while (strcmp(cursor, "0") != 0);
	return OK;
}

static int by_backend_and_zone(const void *a, const void *b)
{
	const struct entry *left = a;
	const struct entry *right = b;
	int order = strcmp(left->event.backend, right->event.backend);

	return order != 0 ? order : strcmp(left->event.zone.text, right->event.zone.text);
}

static enum outcome read_entries(const struct cli *cli, struct redis *redis,
				 struct entries *entries, struct reason *why)
{
	struct places places = {0};
	enum outcome outcome = find_places(redis, &places, why);

	for (size_t i = 0; outcome == OK && i < places.count; i++) {
		outcome = read_partition(cli, redis, places.items[i].backend,
					 places.items[i].partition, entries, why);
	}
	free(places.items);
	if (entries->count != 0) {
		qsort(entries->items, entries->count, sizeof(*entries->items), by_backend_and_zone);
	}
	return outcome;
}

/* --- to the operator -------------------------------------------------------------------------- */

static void add_row(struct output *output, const struct entry *entry)
{
	output_add(output, span_of(entry->event.backend));
	output_add(output, name_span(&entry->event.zone));
	output_add(output, span_of(entry->event.dead ? "dead" : "waiting"));
	output_addf(output, "%" PRId64, entry->event.attempt);
	output_add_time(output, entry->due_ms);
	output_add_time(output, entry->event.first_failed_at_ms);
	output_add(output, span_of(entry->event.reason));
}

/* What a verb does with one entry; its row is shown if it did. */
typedef enum outcome (*retry_deed)(struct redis *redis, struct entry *entry, bool *done,
				   struct reason *why);

static enum outcome show(struct redis *redis, struct entry *entry, bool *done, struct reason *why)
{
	(void)redis;
	(void)entry;
	(void)why;
	*done = true;
	return OK;
}

static enum outcome hurry(struct redis *redis, struct entry *entry, bool *done, struct reason *why)
{
	struct retry_command command;
	struct redis_value value;
	enum outcome outcome;

	*done = false;
	if (entry->event.dead) {
		complain("%s is dead at %s: `dadns dlq replay` tries it again",
			 entry->event.zone.text, entry->event.backend);
		return OK;
	}
	retry_now(&command, entry->event.backend, entry->event.partition, &entry->event.zone);
	outcome = ask(redis, &command, &value, why);
	if (outcome == OK) {
		*done = value.number == 1; /* else it was tried in this moment */
		entry->due_ms = clock_wall_ms();
	}
	return outcome;
}

static enum outcome forget(struct redis *redis, struct entry *entry, bool *done, struct reason *why)
{
	struct retry_command command;
	struct redis_value value;
	enum outcome outcome;

	retry_drop(&command, entry->event.backend, entry->event.partition, &entry->event.zone,
		   entry->event.version);
	outcome = ask(redis, &command, &value, why);
	*done = outcome == OK && value.number == 1;
	return outcome;
}

/* True if some entry is of that zone. */
static bool has_zone(const struct entries *entries, const char *text)
{
	struct name name;
	struct reason why;

	if (name_parse(span_of(text), &name, &why) != OK) {
		return false;
	}
	for (size_t i = 0; i < entries->count; i++) {
		if (name_equal(&entries->items[i].event.zone, &name)) {
			return true;
		}
	}
	return false;
}

static int do_with_each(const struct cli *cli, struct redis *redis, retry_deed deed,
			bool must_be_there)
{
	struct entries entries = {0};
	struct output output;
	struct reason why;
	enum outcome outcome = read_entries(cli, redis, &entries, &why);
	size_t shown = 0;
	int code = EXIT_DONE;

	output_init(&output, columns);
	for (size_t i = 0; outcome == OK && i < entries.count; i++) {
		bool done = false;

		if (entries.items[i].event.dead && deed == hurry && cli_word(cli, 0) == NULL) {
			continue; /* not asked for by its name */
		}
		outcome = deed(redis, &entries.items[i], &done, &why);
		if (done) {
			add_row(&output, &entries.items[i]);
			shown++;
		} else {
			code = EXIT_FAILED;
		}
	}
	for (size_t i = 0; outcome == OK && must_be_there && cli_word(cli, i) != NULL; i++) {
		if (!has_zone(&entries, cli_word(cli, i))) {
			complain("%.255s: no backend waits to try it again", cli_word(cli, i));
			code = EXIT_FAILED;
		}
	}
	if (cli->json || shown != 0 || (outcome == OK && !must_be_there)) {
		output_print(&output, cli->json);
	}
	output_finish(&output);
	entries_finish(&entries);
	if (outcome != OK) {
		complain("%s", why.text);
		return EXIT_AWAY;
	}
	return code;
}

static int with_redis(const struct cli *cli, retry_deed deed, bool must_be_there)
{
	struct redis *redis = NULL;
	struct reason why;
	int code;

	if (cli->settings.redis.url[0] == '\0') {
		complain("redis.url is empty: no retries are kept anywhere but in the writers' "
			 "memory");
		return EXIT_USAGE;
	}
	if (redis_create(&cli->settings.redis, &redis, &why) != OK) {
		complain("%s", why.text);
		return EXIT_USAGE;
	}
	code = do_with_each(cli, redis, deed, must_be_there);
	redis_destroy(redis);
	return code;
}

/* Everything must be asked for by name. */
static bool says_which(const struct cli *cli)
{
	bool all = config_flag_given(cli->config, "all");

	if (all == (cli_word(cli, 0) != NULL)) {
		complain("retry %s: name the zones, or say --all", config_argument(cli->config, 1));
		return false;
	}
	return true;
}

static int list(const struct cli *cli)
{
	return with_redis(cli, show, false);
}

static int now(const struct cli *cli)
{
	return says_which(cli) ? with_redis(cli, hurry, true) : EXIT_USAGE;
}

static int drop(const struct cli *cli)
{
	return says_which(cli) ? with_redis(cli, forget, true) : EXIT_USAGE;
}

const struct verb retry_verbs[] = {
	{
		.noun = "retry",
		.name = "list",
		.summary = "zones that a backend refused, and when each is tried again",
		.help = "--backend NAME and --zone ZONE show those alone. A dead one has used up "
			"its "
			"tries: its record\nis in the dead letters (dadns dlq list), and it stands "
			"here until a newer version comes.\n",
		.run = list,
		.flags = "backend zone",
	},
	{
		.noun = "retry",
		.name = "now",
		.summary = "ZONE... or --all: try at once, within a few seconds",
		.help = "For one backend alone: --backend NAME. It counts as a try like any other. "
			"Shows what is tried.\n",
		.run = now,
		.words = WORDS_MANY,
		.flags = "backend all",
	},
	{
		.noun = "retry",
		.name = "drop",
		.summary = "ZONE... or --all: forget it, do not try again",
		.help = "For one backend alone: --backend NAME. The backend keeps what it has; the "
			"next push of the zone,\nor an audit that finds it wrong, brings it up "
			"again. "
			"Dead ones are forgotten too, their letters\nstay. Shows what was "
			"dropped.\n",
		.run = drop,
		.words = WORDS_MANY,
		.flags = "backend all",
	},
	{0},
};
