/* SPDX-License-Identifier: Apache-2.0 */
/* database_parts.h: what database.c (life, positions), batch.c and transaction.h share, with
 * schema.c apart. For these only.
 */
#ifndef WRITER_MYSQL_DATABASE_PARTS_H
#define WRITER_MYSQL_DATABASE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/writer-mysql/database.h"

enum database_metric {
	DATABASE_BATCHES,
	DATABASE_ROWS_ADDED,
	DATABASE_ROWS_REMOVED,
	DATABASE_REPEATED,
	DATABASE_HALVED,
	DATABASE_REFUSED,
	DATABASE_MISCOUNTED,
	DATABASE_RESTORED,
};
void database_count(enum database_metric metric, int64_t amount);

struct database {
	const struct database_config *config;
	const struct layout *layout;
	struct sql *sql;
	struct readers *readers;
	struct layout_widths widths;
	uint64_t session; /* of the connection whose tables we know */
	bool suspect;     /* it failed: may it be written again? */
	int64_t *next;    /* positions by partition, as we left them; 0 = none */
	int64_t changed;  /* number of our last commit since `open`; it only grows */
	bool restored;    /* it did not: `open` looks at everything again */
	int lock_waits;   /* of the batch */
};

/* It failed as a whole: probe it before it is trusted, and blame none of its readers. */
void database_away(struct database *database);
MUST_CHECK enum outcome database_apply(void *backend, struct change *changes, size_t count,
				       struct reason *why);

#endif
