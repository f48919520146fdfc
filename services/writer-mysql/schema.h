/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h: the tables, made where they are missing and brought to what the readers and we need:
 * InnoDB, an index for (zone, name, type), columns wide enough, rows counted in BIGINT.
 *
 * Where the account may not ALTER, what is there is used as it is, with a warning, and the widths
 * say what fits. One member at a time (GET_LOCK); a change of a big table takes as long as it
 * takes.
 */
#ifndef WRITER_MYSQL_SCHEMA_H
#define WRITER_MYSQL_SCHEMA_H

#include <stdbool.h>

#include "common/layout.h"
#include "common/mysql.h"
#include "common/outcome.h"

/* `sql` is open; changes go over a more patient connection of their own. `*from_nothing`: there was
 * no table at all, and they are all ours. Where some are missing it waits for SCHEMA_PAUSE_S: a
 * client that loads a dump drops each table and makes it again. TEMPFAIL: one is missing and cannot
 * be made. */
#define SCHEMA_PAUSE_S "1"
MUST_CHECK enum outcome schema_ensure(struct sql *sql, const struct sql_config *config,
				      const struct layout *layout, struct layout_widths *widths,
				      bool *from_nothing, struct reason *why);

#endif
