/* SPDX-License-Identifier: Apache-2.0 */
/* verb.h: one row per verb of the dadns command, in a table per noun, and what every verb is given.
 *
 * Data goes to stdout, messages to stderr. A verb returns the exit code.
 *
 * Threads: none.
 */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include <stdbool.h>

#include "common/bus.h"
#include "common/config.h"
#include "common/outcome.h"
#include "common/preflight.h"
#include "common/redis.h"
#include "common/topics.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2, /* the command line or the configuration is wrong */
	EXIT_WRONG = 3, /* a check has found something */
	EXIT_AWAY = 75, /* Kafka or Redis cannot be reached: try again later */
};

struct cli_config {
	struct bus_config bus;
	struct topics_config topics;
	struct redis_config redis;
	struct preflight_config preflight;
	const char *output;
};

struct cli {
	struct cli_config settings;
	struct config *config;
	bool json;
};

struct verb {
	const char *noun; /* "topics" */
	const char *name; /* "apply"; "": the noun alone will do */
	const char *summary;
	const char *help;                  /* paragraphs under `dadns help NOUN` */
	int (*run)(const struct cli *cli); /* its words: config_argument from 2 on */
	size_t words;                      /* how many it takes at most */
	const char *flags;                 /* those it takes, spaces between; NULL: not looked at */
};
#define WORDS_MANY 100000

/* The word after the verb's, or NULL. */
const char *cli_word(const struct cli *cli, size_t i);
/* "/dadns/HOST": who speaks, in events that this command sends. */
const char *cli_source(void);
/* One line on stderr: "dadns: ...". */
void complain(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
