/* SPDX-License-Identifier: Apache-2.0 */
/* config_file.h: a YAML file as flat lines: "kafka.brokers" = "b1:9092,b2:9092". libyaml stays in
 * config_file.c. For config.c only.
 *
 * Maps join their keys with dots; lists of scalars become one comma separated text; lists of maps
 * count from 0 ("peers.0.url"); null is "not set". The same path twice is refused.
 *
 * Threads: none.
 */
#ifndef COMMON_CONFIG_FILE_H
#define COMMON_CONFIG_FILE_H

#include <stddef.h>

#include "common/outcome.h"

struct config_line {
	char *path;
	char *value; /* NULL: the key is there and has no value */
	size_t line;
	size_t column;
};

/* A name under a map of stanzas, e.g. "dns.backends" and "ns1". */
struct config_stanza {
	char *parent;
	char *name;
};

struct config_file {
	struct config_line *lines;
	size_t line_count;
	struct config_stanza *stanzas;
	size_t stanza_count;
};

/* `parents` (ends with NULL): the maps whose keys are names of stanzas; such a name may hold dots.
 * PERMFAIL: `why` names file, line and column. */
MUST_CHECK enum outcome config_file_read(const char *file, const char *const *parents,
					 struct config_file *out, struct reason *why);
void config_file_finish(struct config_file *file);

#endif
