/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/topics.h"

#include <string.h>

#include "cli/output.h"

#define CHECK_WAIT_MS 10000

static const char *const columns[] = {"topic", "state", "what", NULL};

/* "dadns.zones: right: 12 partitions, ..." (common/topics.h) becomes three cells. */
static void take_line(void *context, const char *line)
{
	struct output *output = context;
	size_t i;

	for (i = 0; i < 2; i++) {
		const char *end = strstr(line, ": ");

		if (end == NULL) {
			end = line;
		}
		output_add(output, (struct span){.data = line, .len = (size_t)(end - line)});
		line = end == line ? line : end + 2;
	}
	output_add(output, span_of(line));
}

/* What there is to show is shown, whatever came after it. */
static void show(const struct cli *cli, struct output *output, enum outcome outcome,
		 const struct reason *why)
{
	if (cli->json || output->cell_count > 0) {
		output_print(output, cli->json);
	}
	output_finish(output);
	if (outcome != OK) {
		complain("%s", why->text);
	}
}

static int apply(const struct cli *cli)
{
	bool new_epoch = config_flag_given(cli->config, "new-epoch");
	struct output output;
	struct reason why;
	enum outcome outcome;

	output_init(&output, columns);
	outcome = topics_apply(&cli->settings.bus, &cli->settings.topics, new_epoch, take_line,
			       &output, &why);
	show(cli, &output, outcome, &why);
	switch (outcome) {
	case OK:
		return EXIT_DONE;
	case TEMPFAIL:
		return EXIT_AWAY;
	case PERMFAIL:
		break;
	}
	return EXIT_FAILED;
}

static int check(const struct cli *cli)
{
	struct output output;
	struct reason why;
	enum outcome outcome;

	output_init(&output, columns);
	outcome = topics_check(&cli->settings.bus, &cli->settings.topics, CHECK_WAIT_MS, take_line,
			       &output, &why);
	show(cli, &output, outcome, &why);
	switch (outcome) {
	case OK:
		return EXIT_DONE;
	case TEMPFAIL:
		return EXIT_AWAY;
	case PERMFAIL:
		break;
	}
	return EXIT_WRONG;
}

const struct verb topics_verbs[] = {
	{
		.noun = "topics",
		.name = "apply",
		.summary = "make Kafka's topics as DaDNS needs them, and the first epoch",
		.help = "Makes the topics that are missing, corrects settings that promises rest "
			"on, and writes the\nepoch if there is none. It may be run again at any "
			"time: what is right stays. It never deletes\na topic and never changes a "
			"partition count.\n"
			"--new-epoch raises the epoch though there is one: for a Kafka that was "
			"restored from a backup\nor made anew while backends still hold zones of "
			"the old one.\n",
		.run = apply,
		.flags = "new-epoch",
	},
	{
		.noun = "topics",
		.name = "check",
		.summary = "are the topics as DaDNS needs them? (exit code 3: no)",
		.help = "Looks and changes nothing.\n",
		.run = check,
		.flags = "",
	},
	{0},
};
