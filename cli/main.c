/* SPDX-License-Identifier: Apache-2.0 */
/* dadns: the operators' command. This file finds the verb; the verbs are in files of their own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/backend.h"
#include "cli/dlq.h"
#include "cli/doctor.h"
#include "cli/hold.h"
#include "cli/mass.h"
#include "cli/retry.h"
#include "cli/topics.h"
#include "cli/verb.h"
#include "cli/zone.h"
#include "common/log.h"

#define HELP_MAX 65536

/* A table per noun, each ends with a row without a name. */
static const struct verb *const nouns[] = {
	topics_verbs, zone_verbs, backend_verbs, retry_verbs,
	dlq_verbs,    hold_verbs, mass_verbs,    doctor_verbs,
};
#define NOUN_COUNT (sizeof(nouns) / sizeof(nouns[0]))

/* The services' configuration file serves here too: keys that are not in these tables are theirs
 * and not spoken of. */
static const struct config_key keys[] = {
	BUS_KEYS(struct cli_config, bus),
	TOPICS_KEYS(struct cli_config, topics),
	REDIS_KEYS(struct cli_config, redis),
	PREFLIGHT_KEYS(struct cli_config, preflight),
	KEY_CHOICE(struct cli_config, output, "output", "table", "table|json",
		   "-o for short: a table for people, JSON for scripts"),
	FLAG("new-epoch", "topics apply: raise the epoch though there is one"),
	FLAG_VALUE("backend", "dlq, retry: of this backend alone"),
	FLAG_VALUE("zone", "dlq, retry, hold list: of this zone alone"),
	FLAG("all", "dlq, mass, retry: everything that is listed"),
	FLAG("all-states", "dlq list: also what was replayed or dropped"),
	FLAG_VALUE("as-of", "zone restore: a time (UTC), a version or an offset"),
	FLAG_VALUE("sender", "mass: deletes of this credential alone"),
	FLAG("yes", "mass release: no question, however many"),
	FLAG("dry-run", "say what would be done and do nothing"),
	{0},
};
static const struct config_key *const tables[] = {keys, doctor_keys, NULL};
static const struct config_key *const help_tables[] = {keys, NULL};

static const struct verb *verbs_of(const char *noun)
{
	for (size_t i = 0; i < NOUN_COUNT && noun != NULL; i++) {
		if (strcmp(nouns[i]->noun, noun) == 0) {
			return nouns[i];
		}
	}
	return NULL;
}

static void print_verbs(FILE *to, const struct verb *verbs)
{
	for (const struct verb *verb = verbs; verb->name != NULL; verb++) {
		(void)fprintf(to, "  dadns %-7s %-8s %s\n", verb->noun, verb->name, verb->summary);
	}
}

static int print_help(void)
{
	struct buf text = BUF_INIT(HELP_MAX);

	config_print_help(help_tables, &text);
	(void)printf("dadns: looks after a fleet of name servers fed from DirectAdmin\n\n");
	for (size_t i = 0; i < NOUN_COUNT; i++) {
		print_verbs(stdout, nouns[i]);
	}
	(void)printf("  dadns help NOUN       more about these\n\n%s\n"
		     "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 a check has "
		     "found something,\n75 Kafka or Redis cannot be reached (try again later).\n",
		     buf_text(&text));
	buf_finish(&text);
	return EXIT_DONE;
}

static int print_noun_help(const char *noun)
{
	const struct verb *verbs = verbs_of(noun);

	if (noun == NULL) {
		return print_help();
	}
	if (verbs == NULL) {
		complain("there is no help on \"%.40s\"; see dadns --help", noun);
		return EXIT_USAGE;
	}
	for (const struct verb *verb = verbs; verb->name != NULL; verb++) {
		(void)printf("dadns %s %s\n  %s\n\n%s\n", noun, verb->name, verb->summary,
			     verb->help);
	}
	return EXIT_DONE;
}

static int usage(const char *noun, const char *name)
{
	const struct verb *verbs = verbs_of(noun);

	if (noun == NULL) {
		complain("what shall be done? See dadns --help");
	} else if (verbs == NULL) {
		complain("there is no \"%.40s\"; see dadns --help", noun);
	} else {
		complain("%s %.40s: not known; there is", noun, name != NULL ? name : "(nothing)");
		print_verbs(stderr, verbs);
	}
	return EXIT_USAGE;
}

static const struct verb *find(const char *noun, const char *name)
{
	const struct verb *verbs = verbs_of(noun);

	for (; verbs != NULL && verbs->name != NULL; verbs++) {
		if (strcmp(verbs->name, name != NULL ? name : "") == 0) {
			return verbs;
		}
	}
	return NULL;
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(words, word); at != NULL; at = strstr(at + 1, word)) {
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) {
			return true;
		}
	}
	return false;
}

/* A flag that a verb does not know must not be passed over: "drop --all --zone=..." */
static bool flags_fit(const struct config *config, const struct verb *verb)
{
	for (const struct config_key *key = keys; key->path != NULL; key++) {
		if (key->kind == CONFIG_FLAG && verb->flags != NULL &&
		    config_flag_given(config, key->path) && !has_word(verb->flags, key->path)) {
			complain("%s %s takes no --%s", verb->noun, verb->name, key->path);
			return false;
		}
	}
	return true;
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
	if (config_argument(cli->config, 2 + verb->words) != NULL) {
		complain("%s %s takes no \"%.40s\"", noun, name,
			 config_argument(cli->config, 2 + verb->words));
		return EXIT_USAGE;
	}
	if (!flags_fit(cli->config, verb)) {
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
