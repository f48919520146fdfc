/* SPDX-License-Identifier: Apache-2.0 */
/* dadns: the operators' command. This file finds the verb; the verbs are in files of their own. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/topics.h"
#include "cli/verb.h"
#include "common/log.h"

#define HELP_MAX 65536

static const struct verb verbs[] = {
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
		.run = topics_apply_run,
	},
	{
		.noun = "topics",
		.name = "check",
		.summary = "are the topics as DaDNS needs them? (exit code 3: no)",
		.help = "Looks and changes nothing.\n",
		.run = topics_check_run,
	},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

/* The services' configuration file serves here too: keys that are not in these tables are theirs
 * and not spoken of. */
static const struct config_key keys[] = {
	BUS_KEYS(struct cli_config, bus),
	TOPICS_KEYS(struct cli_config, topics),
	KEY_CHOICE(struct cli_config, output, "output", "table", "table|json",
		   "-o for short: a table for people, JSON for scripts"),
	FLAG("new-epoch", "topics apply: raise the epoch though there is one"),
	{0},
};
static const struct config_key *const tables[] = {keys, NULL};

void complain(const char *format, ...)
{
	va_list args;

	(void)fputs("dadns: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

static void print_verbs(FILE *to, const char *noun)
{
	size_t i;

	for (i = 0; i < VERB_COUNT; i++) {
		if (noun == NULL || strcmp(verbs[i].noun, noun) == 0) {
			(void)fprintf(to, "  dadns %s %-8s %s\n", verbs[i].noun, verbs[i].name,
				      verbs[i].summary);
		}
	}
}

static bool is_noun(const char *word)
{
	size_t i;

	for (i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i].noun, word) == 0) {
			return true;
		}
	}
	return false;
}

static int print_help(void)
{
	struct buf text = BUF_INIT(HELP_MAX);

	config_print_help(tables, &text);
	(void)printf("dadns: looks after a fleet of name servers fed from DirectAdmin\n\n");
	print_verbs(stdout, NULL);
	(void)printf("  dadns help NOUN       more about these\n\n%s\n"
		     "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 a check has "
		     "found something,\n75 Kafka cannot be reached (try again later).\n",
		     buf_text(&text));
	buf_finish(&text);
	return EXIT_DONE;
}

static int print_noun_help(const char *noun)
{
	size_t i;

	if (noun == NULL) {
		return print_help();
	}
	if (!is_noun(noun)) {
		complain("there is no help on \"%.40s\"; see dadns --help", noun);
		return EXIT_USAGE;
	}
	for (i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i].noun, noun) == 0) {
			(void)printf("dadns %s %s\n  %s\n\n%s\n", noun, verbs[i].name,
				     verbs[i].summary, verbs[i].help);
		}
	}
	return EXIT_DONE;
}

static int usage(const char *noun, const char *name)
{
	if (noun == NULL) {
		complain("what shall be done? See dadns --help");
	} else if (!is_noun(noun)) {
		complain("there is no \"%.40s\"; see dadns --help", noun);
	} else {
		complain("%s %.40s: not known; there is", noun, name != NULL ? name : "(nothing)");
		print_verbs(stderr, noun);
	}
	return EXIT_USAGE;
}

static const struct verb *find(const char *noun, const char *name)
{
	size_t i;

	for (i = 0; i < VERB_COUNT && noun != NULL && name != NULL; i++) {
		if (strcmp(verbs[i].noun, noun) == 0 && strcmp(verbs[i].name, name) == 0) {
			return &verbs[i];
		}
	}
	return NULL;
}

static int run(struct cli *cli)
{
	const char *noun = config_argument(cli->config, 0);
	const char *name = noun != NULL ? config_argument(cli->config, 1) : NULL;
	const struct verb *verb = find(noun, name);

	if (config_flag_given(cli->config, "version")) {
		(void)printf("dadns %s\n", DADNS_VERSION);
		return EXIT_DONE;
	}
	if (config_flag_given(cli->config, "help")) {
		return noun != NULL ? print_noun_help(noun) : print_help();
	}
	if (noun != NULL && strcmp(noun, "help") == 0) {
		return print_noun_help(name);
	}
	if (verb == NULL) {
		return usage(noun, name);
	}
	if (config_argument(cli->config, 2) != NULL) {
		complain("%s %s takes no \"%.40s\"", noun, name, config_argument(cli->config, 2));
		return EXIT_USAGE;
	}
	cli->json = strcmp(cli->settings.output, "json") == 0;
	cli->settings.bus.client_id = "dadns";
	cli->settings.bus.config = cli->config;
	return verb->run(cli);
}

/* config.c knows long flags only; "-o json" is "--output json". */
static char **with_long_flags(int argc, char **argv)
{
	static char output[] = "--output";
	char **changed = xcalloc((size_t)argc + 1, sizeof(*changed));
	int i;

	for (i = 0; i < argc; i++) {
		changed[i] = i > 0 && strcmp(argv[i], "-o") == 0 ? output : argv[i];
	}
	return changed;
}

int main(int argc, char **argv)
{
	struct cli cli = {0};
	struct reason why;
	char **words;
	int code;

	log_setup("dadns", LEVEL_ERROR, false);
	words = with_long_flags(argc, argv);
	if (config_load(&cli.config, tables, &cli.settings, argc, words, NULL, NULL, &why) != OK) {
		complain("%s", why.text);
		code = EXIT_USAGE;
	} else {
		code = run(&cli);
	}
	config_destroy(cli.config);
	free(words);
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		complain("standard output cannot be written");
		code = code == EXIT_DONE ? EXIT_FAILED : code;
	}
	return code;
}
