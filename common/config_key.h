/* SPDX-License-Identifier: Apache-2.0 */
/* config_key.h: one row of a configuration table: what it is called on the command line, in the
 * environment and in the file, and what it accepts. For config*.c only.
 *
 * Threads: none of this keeps state.
 */
#ifndef COMMON_CONFIG_KEY_H
#define COMMON_CONFIG_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/config.h"
#include "common/outcome.h"

/* Paths, names and the texts made of them. */
#define CONFIG_NAME_MAX 512

/* "dns.backends.ns-1.key" -> "DADNS_DNS_BACKENDS_NS_1_KEY" */
void config_env_name(const char *path, struct buf *out);

/* Everything before ".*", or an empty span. */
struct span config_key_parent(const struct config_key *row);
/* The row's path with `stanza` in the place of `*`. */
void config_key_expand(const struct config_key *row, const char *stanza, struct buf *out);
/* Does `path` fit the row; the part that stands for `*` goes to `stanza` (may be NULL). */
bool config_key_fits(const struct config_key *row, const char *path, struct span *stanza);
/* As above for a path at or below the row's: for the kinds that cover a whole branch. */
bool config_key_covers(const struct config_key *row, const char *path);
bool config_key_is_value(const struct config_key *row); /* text, whole number, yes or no */

/* Steps through all rows of all tables: start with *at = 0; NULL after the last. */
const struct config_key *config_key_next(const struct config_key *const *tables, size_t *at);

bool config_parse_bool(const char *text, bool *out);
bool config_parse_int(const char *text, int64_t *out);
/* The spelling that `choices` ("a|b") has for `text`, letter case aside; empty: none. */
struct span config_choice(const char *choices, const char *text);

/* `canonical` is yours: the table's spelling of a choice, "true" or "false". `why` says what is
 * wrong without naming the key; it never quotes a secret. */
MUST_CHECK enum outcome config_check(const struct config_key *row, const char *text,
				     char **canonical, struct reason *why);

#endif
