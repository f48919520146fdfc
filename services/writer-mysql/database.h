/* SPDX-License-Identifier: Apache-2.0 */
/* database.h: tables that name servers read, as a backend (common/backend.h), in either layout
 * (common/layout.h). A batch is one transaction: no statement of a reader ever sees half a zone.
 *
 * Version, owner and digest stand in dadns_zones and are written in the transaction of the rows;
 * positions in dadns_positions (I4). Any number of members of the writer's group may work on one
 * database: the version row's lock, and its primary key where there is none yet, order them.
 *
 * Threads: a backend belongs to one thread (readers.h has its own).
 */
#ifndef WRITER_MYSQL_DATABASE_H
#define WRITER_MYSQL_DATABASE_H

#include "common/backend.h"
#include "common/layout.h"
#include "common/mysql.h"
#include "services/writer-mysql/readers.h"

struct database_config {
	struct sql_config sql;
	struct readers_config readers;
};

/* Touches nothing outside. Borrows both. PERMFAIL: an address cannot be read. */
MUST_CHECK enum outcome database_create(const struct database_config *config,
					const struct layout *layout, void **backend,
					struct reason *why);
void database_destroy(void *backend);

extern const struct backend_ops database_ops;
extern const struct metric_table database_metrics;

#endif
