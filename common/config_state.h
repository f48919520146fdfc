/* SPDX-License-Identifier: Apache-2.0 */
/* config_state.h: what config_load gathers, and the look-ups in it. For config*.c only.
 *
 * Every value that was set anywhere is a `setting` with its place and its layer; a look-up takes
 * the nearest layer. Rows are found by path, with the stanza names of the file in the place of `*`.
 *
 * Threads: written by config_load only.
 */
#ifndef COMMON_CONFIG_STATE_H
#define COMMON_CONFIG_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/config.h"
#include "common/config_file.h"
#include "common/config_key.h"
#include "common/outcome.h"

#define BACKENDS "dns.backends"

/* The nearer one wins. */
enum layer { LAYER_FLAG, LAYER_ENV, LAYER_FILE };

struct setting {
	char *path;
	char *value;
	char *place; /* where it was set: "--x", "DADNS_X", "app.yml:3:5" */
	enum layer layer;
};

struct flag {
	char *name;
	char *value;
	const struct config_key *row; /* of a flag that is no key, else NULL */
};

struct note {
	char *text;
	const struct config_key *row; /* of a key that is gone: one note per row */
};

struct config {
	const struct config_key *const *tables;
	const char *choose_flag;
	struct setting *settings;
	size_t setting_count;
	struct flag *flags;
	size_t flag_count;
	char **arguments;
	size_t argument_count;
	struct note *notes;
	size_t note_count;
	size_t unknown_count;
	struct config_file file; /* its stanzas live on, its lines become settings */
	const char *chosen;      /* in file.stanzas */
};

/* A later one of the same layer (a repeated flag) replaces the earlier. */
void config_set(struct config *config, const char *path, const char *value, const char *place,
		enum layer layer);
/* The setting of `path` that counts, or NULL. Borrowed until the next config_set. */
struct setting *config_setting(const struct config *config, const char *path);

/* The row of a value key, of a secret of which `path` names the file, and the GONE or ELSEWHERE
 * row with the longest path that covers this one. NULL: none. */
const struct config_key *config_row(const struct config *config, const char *path);
const struct config_key *config_secret_row(const struct config *config, const char *path);
const struct config_key *config_branch(const struct config *config, const char *path);
bool config_is_rest(const char *path); /* below "kafka" */

void config_note_add(struct config *config, char *text, const struct config_key *row); /* takes */
void config_note_unknown(struct config *config, const char *place, const char *path);
void config_note_gone(struct config *config, const char *place, const struct config_key *row);

/* config_sources.c: in this order, since stanza names come from the file and settle what flags and
 * variables mean. */
MUST_CHECK enum outcome config_read_arguments(struct config *config, int argc, char **argv,
					      struct reason *why);
MUST_CHECK enum outcome config_read_file(struct config *config, struct reason *why);
MUST_CHECK enum outcome config_take_flags(struct config *config, struct reason *why);
void config_take_environment(struct config *config);
void config_take_file(struct config *config);
const char *config_file_name(const struct config *config); /* NULL: none is set */

/* config_choose.c */
MUST_CHECK enum outcome config_choose(struct config *config, bool (*accepts)(const char *type),
				      struct reason *why);

#endif
