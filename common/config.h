/* SPDX-License-Identifier: Apache-2.0 */
/* config.h: one row per key; the row gives flag, environment variable, place in the file, default,
 * check, --help and docs/CONFIGURATION.md.
 *
 * Precedence: flag > environment > file > default. The file is YAML (libyaml stays in config.c):
 * maps, scalars, and lists of scalars (read as one comma separated text). A path is the keys
 * joined with dots, e.g. "kafka.brokers": flag --kafka.brokers=V, env DADNS_KAFKA_BROKERS.
 * Secrets may come from a file: key + "_file", env + "_FILE"; one trailing line end is removed.
 *
 * Stanzas: a row whose path holds `*` stands for every name there: "dns.backends.*.zones_dir",
 * env DADNS_DNS_BACKENDS_NS1_ZONES_DIR (matched against the stanza names that the file has, case
 * aside, `-` and `.` as `_`). Rows of the one stanza that was chosen with config_choose fill the
 * struct like any other row; all stanzas can be walked with config_each.
 *
 * Unknown keys: a warning each, a refusal under --check-config; unknown `kafka.*` are kept for
 * librdkafka (config_rest). Rows made with GONE are keys of the old product that mean nothing
 * here: accepted, with one line that says what replaced them. Rows made with ELSEWHERE belong to
 * other services that read the same file: accepted and never looked at.
 *
 * Every program has the flags --config=FILE (env DADNS_CONFIG), --check-config, --help and
 * --version; what else is no key needs a FLAG row. A flag that nobody knows is refused.
 *
 * Threads: written once at start, then only read.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/outcome.h"

enum config_kind {
	CONFIG_TEXT,
	CONFIG_INT,
	CONFIG_BOOL,
	CONFIG_GONE,
	CONFIG_ELSEWHERE,
	CONFIG_FLAG,
};

struct config_key {
	const char *path;
	enum config_kind kind;
	bool secret;
	bool in_struct; /* false: only looked up, by config_each */
	size_t offset;
	const char *fallback; /* NULL: required; of a flag: it takes no value */
	int64_t lowest;       /* CONFIG_INT: inclusive range, both 0 = no check */
	int64_t highest;
	const char *choices; /* CONFIG_TEXT: "a|b|c", or NULL */
	const char *help;    /* CONFIG_GONE: what replaced it */
};

/* clang-format off */
#define CONFIG_KIND_OF(struct_, field_)                                                            \
	_Generic(((struct_ *)NULL)->field_, const char *: CONFIG_TEXT, int64_t: CONFIG_INT, bool: CONFIG_BOOL)
#define KEY(struct_, field_, path_, fallback_, help_)                                              \
	{.path = path_, .kind = CONFIG_KIND_OF(struct_, field_), .in_struct = true,                \
	 .offset = offsetof(struct_, field_), .fallback = fallback_, .help = help_}
#define KEY_RANGE(struct_, field_, path_, fallback_, lowest_, highest_, help_)                     \
	{.path = path_, .kind = CONFIG_KIND_OF(struct_, field_), .in_struct = true,                \
	 .offset = offsetof(struct_, field_), .fallback = fallback_, .lowest = lowest_,            \
	 .highest = highest_, .help = help_}
#define KEY_CHOICE(struct_, field_, path_, fallback_, choices_, help_)                             \
	{.path = path_, .kind = CONFIG_TEXT, .in_struct = true,                                    \
	 .offset = offsetof(struct_, field_), .fallback = fallback_, .choices = choices_, .help = help_}
#define SECRET(struct_, field_, path_, fallback_, help_)                                           \
	{.path = path_, .kind = CONFIG_TEXT, .secret = true, .in_struct = true,                    \
	 .offset = offsetof(struct_, field_), .fallback = fallback_, .help = help_}
#define EACH(path_, kind_, fallback_, help_)                                                       \
	{.path = path_, .kind = kind_, .fallback = fallback_, .help = help_}
#define EACH_SECRET(path_, fallback_, help_)                                                       \
	{.path = path_, .kind = CONFIG_TEXT, .secret = true, .fallback = fallback_, .help = help_}
/* These two stand for the path and everything below it. */
#define GONE(path_, replaced_by_) {.path = path_, .kind = CONFIG_GONE, .help = replaced_by_}
#define ELSEWHERE(path_, help_) {.path = path_, .kind = CONFIG_ELSEWHERE, .help = help_}
/* On the command line only: --all; with a value: --zone=NAME, or --zone NAME. */
#define FLAG(path_, help_) {.path = path_, .kind = CONFIG_FLAG, .help = help_}
#define FLAG_VALUE(path_, help_) {.path = path_, .kind = CONFIG_FLAG, .fallback = "", .help = help_}
/* clang-format on */

/* Several tables, the last entry NULL; each table ends with a row without a path ({0}). */
struct config;

/* Reads flags (--path=value or --path value), environment and file.
 * `choose_flag`: NULL, or the name of the flag ("backend", env DADNS_BACKEND) that chooses a
 * stanza of "dns.backends"; its value is then required unless there is exactly one enabled stanza
 * that `accepts` says yes to (accepts: by the stanza's type, see config_backend_type; NULL: all).
 * Values are checked and secret files read for everything but the stanzas that were not chosen.
 * With --help or --version nothing is read or filled.
 * Fills `base`, whose text fields stay owned by the config. PERMFAIL: `why` says which key, where
 * it was set, what is wrong with it. Never prints. */
MUST_CHECK enum outcome config_load(struct config **out, const struct config_key *const *tables,
				    void *base, int argc, char **argv, const char *choose_flag,
				    bool (*accepts)(const char *type), struct reason *why);
void config_destroy(struct config *config);

/* What the operator should be told: unknown keys, keys that are gone, the stanza that was chosen.
 * NULL after the last. */
const char *config_note(const struct config *config, size_t i);
/* Number of those notes that make --check-config refuse (unknown keys). */
size_t config_unknown_count(const struct config *config);
bool config_flag_given(const struct config *config, const char *flag); /* "check-config", "help" */
/* Value of a flag that is no key ("help", "backend"), or NULL. */
const char *config_flag(const struct config *config, const char *flag);
/* Arguments that are not flags (the command line tool's verbs). NULL after the last. */
const char *config_argument(const struct config *config, size_t i);

/* The chosen stanza's name, or NULL. */
const char *config_chosen(const struct config *config);
/* The stanza's `type`, or by DESIGN section 6: its name if that is a type; `host` means
 * coredns_mysql; `zones_dir` means bind; NULL: cannot be told. */
const char *config_backend_type(const struct config *config, const char *stanza);
/* Names of the stanzas under "dns.backends" or "app.senders" in file order; NULL after the last. */
const char *config_each(const struct config *config, const char *parent, size_t i);
/* "app.senders", "da1", "hostnames" -> its value or the row's default; NULL if neither. A checked
 * bool reads "true" or "false", a checked choice is spelled as in its row. */
const char *config_each_value(const struct config *config, const char *parent, const char *stanza,
			      const char *key);
/* Unknown keys under "kafka": name without the prefix, and value. False after the last. */
bool config_rest(const struct config *config, size_t i, const char **name, const char **value);

/* --help, and docs/CONFIGURATION.md. */
void config_print_help(const struct config_key *const *tables, struct buf *out);
void config_print_markdown(const struct config_key *const *tables, struct buf *out);

#endif
