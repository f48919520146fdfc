/* SPDX-License-Identifier: Apache-2.0 */
/* named_conf.h: which zones a named.conf has, its includes with it. It is looked through for zone
 * statements and understood no further.
 *
 * Threads: none of this keeps state.
 */
#ifndef COMMON_NAMED_CONF_H
#define COMMON_NAMED_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/name.h"
#include "common/outcome.h"

/* Calls `zone` for each. `unread`: how many includes could not be read. TEMPFAIL: the file itself
 * cannot be read. */
MUST_CHECK enum outcome named_conf_zones(const char *path,
					 void (*zone)(void *context, const struct name *name),
					 void *context, size_t *unread, struct reason *why);

#endif
