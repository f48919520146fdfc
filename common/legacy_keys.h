/* SPDX-License-Identifier: Apache-2.0 */
/* legacy_keys.h: configuration keys that several services meet and that are not their own: those of
 * the old product (directdnsonly), and those that other services read from the same file.
 *
 * One file configures a whole installation: every service accepts it silently, keys that mean
 * nothing any more get one line that says what replaced them.
 */
#ifndef COMMON_LEGACY_KEYS_H
#define COMMON_LEGACY_KEYS_H

#include "common/config.h"

/* Keys of the old product that mean nothing here. For every program. */
extern const struct config_key legacy_keys[];
/* What a stanza of dns.backends may hold, for programs that don't drive that backend. */
extern const struct config_key backend_stanza_keys[];
/* Branches that only ingest reads; for the others. */
extern const struct config_key ingest_branch_keys[];
/* Branches that only writers and the reconciler read; for ingest. */
extern const struct config_key writer_branch_keys[];

#endif
