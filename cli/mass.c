/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/held.h"
#include "cli/output.h"
#include "cli/push.h"
#include "cli/scan.h"

#define CONFIRM_ABOVE 10 /* I11: more deletes at once than this want a second word */

static bool is_of_sender(const struct cli *cli, const struct held *held)
{
	const char *sender = config_flag(cli->config, "sender");

	return sender == NULL || (held->sender != NULL && strcmp(held->sender, sender) == 0);
}

static const char *or_dash(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : "-";
}

/* --- list ------------------------------------------------------------------------------------- */

static int list(const struct cli *cli)
{
	static const char *const columns[] = {"zone",  "sender", "owner", "when",
					      "state", "reason", NULL};
	struct held_deletes held = {.count = 0};
	struct output output;
	struct reason why;
	enum outcome outcome = held_read(&held, cli, &why);

	if (outcome != OK) {
		held_finish(&held);
		return scan_failed(outcome, &why);
	}
	output_init(&output, columns);
	for (size_t i = 0; i < held.count; i++) {
		const struct held *item = &held.items[i];
		enum held_state state = held_state(item, values_of(&held.values, &item->zone));

		if (state == HELD_DELETED || !is_of_sender(cli, item)) {
			continue; /* released, or deleted otherwise: nothing is left to do */
		}
		output_add(&output, name_span(&item->zone));
		output_add(&output, span_of(or_dash(item->sender)));
		output_add(&output, span_of(or_dash(item->owner)));
		output_add_time(&output, item->at_ms);
		output_add(&output, span_of(held_state_text(state)));
		output_add(&output, span_of(item->reason));
	}
	output_print(&output, cli->json);
	output_finish(&output);
	held_finish(&held);
	return EXIT_DONE;
}

/* --- release ---------------------------------------------------------------------------------- */

/* What is asked for, and what of it is done. */
struct released {
	const struct held *held;
	enum held_state state;
	struct asked asked;
};

static bool usage_is_right(const struct cli *cli)
{
	int ways = (cli_word(cli, 0) != NULL) + config_flag_given(cli->config, "all") +
		   config_flag_given(cli->config, "sender");
	struct name zone;
	struct reason why;

	if (ways != 1) {
		complain("one of: dadns mass release ZONE..., --sender S, --all");
		return false;
	}
	for (size_t i = 0; cli_word(cli, i) != NULL; i++) {
		if (name_parse(span_of(cli_word(cli, i)), &zone, &why) != OK) {
			complain("%s", why.text);
			return false;
		}
	}
	return true;
}

static void add(const struct held_deletes *held, const struct held *item, struct released *chosen,
		size_t *count)
{
	const struct value *value = values_of(&held->values, &item->zone);
	struct released *released = &chosen[*count];

	for (size_t i = 0; i < *count; i++) {
		if (chosen[i].held == item) {
			return;
		}
	}
	*released = (struct released){.held = item, .state = held_state(item, value)};
	released->asked.push = (struct push_event){
		.id = event_id_create(),
		.op = PUSH_DELETE,
		.zone = item->zone,
		.owner = item->owner,
		.username = item->username,
		.only_if = ONLY_IF_VERSION, /* I6 */
		.only_if_version = value->version,
	};
	(*count)++;
}

/* False: a zone was named of which nothing is held; nothing is done then. */
static bool choose(const struct cli *cli, const struct held_deletes *held, struct released *chosen,
		   size_t *count)
{
	for (size_t i = 0; cli_word(cli, i) != NULL; i++) {
		const struct held *item;
		struct name zone;

		if (name_parse(span_of(cli_word(cli, i)), &zone, NULL) != OK) {
			return false; /* usage_is_right has looked */
		}
		item = held_find(held, &zone);
		if (item == NULL) {
			complain("no delete of %s is held; see dadns mass list", zone.text);
			return false;
		}
		add(held, item, chosen, count);
	}
	for (size_t i = 0; cli_word(cli, 0) == NULL && i < held->count; i++) {
		const struct held *item = &held->items[i];

		if (is_of_sender(cli, item) &&
		    held_state(item, values_of(&held->values, &item->zone)) == HELD_WAITS) {
			add(held, item, chosen, count);
		}
	}
	return true;
}

static bool confirmed(const struct cli *cli, size_t count)
{
	char wanted[32];
	char line[64] = "";

	if (count <= CONFIRM_ABOVE || config_flag_given(cli->config, "yes") ||
	    config_flag_given(cli->config, "dry-run")) {
		return true;
	}
	if (!isatty(STDIN_FILENO)) {
		complain("%zu zones would be deleted: say --yes, or --dry-run to see them", count);
		return false;
	}
	(void)fprintf(stderr, "%zu zones will be deleted. Type their number to go on: ", count);
	(void)snprintf(wanted, sizeof(wanted), "%zu\n", count);
	if (fgets(line, sizeof(line), stdin) == NULL || strcmp(line, wanted) != 0) {
		complain("nothing was done");
		return false;
	}
	return true;
}

static bool is_done(const struct released *released)
{
	return released->state == HELD_WAITS && asked_is_done(&released->asked);
}

static void tell(const struct cli *cli, const struct released *chosen, size_t count)
{
	static const char *const columns[] = {"zone", "sender", "owner", "verdict", "reason", NULL};
	bool dry = config_flag_given(cli->config, "dry-run");
	struct output output;

	output_init(&output, columns);
	for (size_t i = 0; i < count; i++) {
		const struct released *released = &chosen[i];
		char verdict[320];

		asked_verdict(&released->asked, verdict);
		output_add(&output, name_span(&released->held->zone));
		output_add(&output, span_of(or_dash(released->held->sender)));
		output_add(&output, span_of(or_dash(released->held->owner)));
		if (released->state != HELD_WAITS) {
			output_add(&output, span_of("not released"));
			output_add(&output,
				   span_of(released->state == HELD_DELETED
						   ? "the zone is deleted already"
						   : "the zone has moved on since: a later "
						     "push has changed it"));
		} else {
			output_add(&output, span_of(dry ? "would be deleted" : verdict));
			output_add(&output, span_of(released->asked.reason));
		}
	}
	output_print(&output, cli->json);
	output_finish(&output);
}

/* Those that may be released are pushed together. */
static enum outcome push_them(const struct cli *cli, struct released *chosen, size_t count,
			      struct reason *why)
{
	struct asked *asked = xcalloc(count + 1, sizeof(*asked));
	size_t pushed = 0;
	enum outcome outcome = OK;

	for (size_t i = 0; i < count; i++) {
		if (chosen[i].state == HELD_WAITS) {
			asked[pushed++] = chosen[i].asked;
		}
	}
	if (pushed != 0) {
		outcome = push_and_wait(cli, asked, pushed, why);
	}
	pushed = 0;
	for (size_t i = 0; i < count; i++) {
		if (chosen[i].state == HELD_WAITS) {
			chosen[i].asked = asked[pushed++];
		}
	}
	free(asked);
	return outcome;
}

static int release_chosen(const struct cli *cli, struct released *chosen, size_t count)
{
	struct reason why;
	size_t waiting = 0;
	enum outcome outcome = OK;
	int code = EXIT_DONE;

	for (size_t i = 0; i < count; i++) {
		waiting += chosen[i].state == HELD_WAITS;
	}
	if (!confirmed(cli, waiting)) {
		return EXIT_USAGE;
	}
	if (!config_flag_given(cli->config, "dry-run")) {
		outcome = push_them(cli, chosen, count, &why);
		for (size_t i = 0; i < count; i++) {
			code = is_done(&chosen[i]) ? code : EXIT_FAILED;
		}
	}
	tell(cli, chosen, count);
	return outcome != OK ? scan_failed(outcome, &why) : code;
}

static int release(const struct cli *cli)
{
	struct held_deletes held = {.count = 0};
	struct released *chosen = NULL;
	struct reason why;
	size_t words = 0;
	size_t count = 0;
	enum outcome outcome;
	int code = EXIT_FAILED;

	if (!usage_is_right(cli)) {
		return EXIT_USAGE;
	}
	while (cli_word(cli, words) != NULL) {
		words++;
	}
	outcome = held_read(&held, cli, &why);
	if (outcome != OK) {
		code = scan_failed(outcome, &why);
	} else {
		chosen = xcalloc(held.count + words + 1, sizeof(*chosen));
		if (choose(cli, &held, chosen, &count)) {
			code = release_chosen(cli, chosen, count);
		}
	}
	free(chosen);
	held_finish(&held);
	return code;
}

const struct verb mass_verbs[] = {
	{
		.noun = "mass",
		.name = "list",
		.summary = "deletes that are held because one sender sent too many",
		.help = "--sender S: only that credential's. `moved on`: a later push has changed "
			"the zone, so the delete\nmeans it no longer.\n",
		.run = list,
		.flags = "sender",
	},
	{
		.noun = "mass",
		.name = "release",
		.summary = "delete those zones after all",
		.help = "dadns mass release ZONE..., --sender S or --all. Each is deleted as it is "
			"now; if it changes\nmeanwhile, the judge refuses that one. More than 10 "
			"at once want their number typed, or --yes.\n--dry-run says what would be "
			"done. To keep the zones, do nothing: what is held deletes nothing.\n",
		.run = release,
		.words = WORDS_MANY,
		.flags = "sender all dry-run yes",
	},
	{0},
};
