/* SPDX-License-Identifier: Apache-2.0 */
/* mysql_parts.h: the connection's own struct, for its files only: mysql.c (the connection, what its
 * failures mean) and mysql_rows.c (statements and their rows).
 */
#ifndef COMMON_MYSQL_PARTS_H
#define COMMON_MYSQL_PARTS_H

#include <mariadb/mysql.h>

#include "common/mysql.h"

enum {
	STATEMENTS_MAX = 64,
	COLUMNS_MAX = 16,
	LIST_MAX = 256,         /* values in one IN (...) */
	ROWS_MAX = 8192,        /* in one array */
	ROW_OVERHEAD_BYTES = 9, /* of each value on the wire, at most */
};

struct statement {
	char *text;
	MYSQL_STMT *handle;
};

struct sql {
	const struct sql_config *config;
	MYSQL *connection;
	struct statement statements[STATEMENTS_MAX];
	size_t statement_count;
	enum sql_fault fault;
	uint64_t session;
	uint64_t insert_id;
	size_t packet_max;
	bool arrays;     /* the server takes them: MariaDB does, MySQL does not */
	struct buf list; /* SELECT with its list of `?` */
	/* of one array */
	const char *pointers[COLUMNS_MAX][ROWS_MAX];
	unsigned long lengths[COLUMNS_MAX][ROWS_MAX];
	char indicators[COLUMNS_MAX][ROWS_MAX];
};

/* Notes what kind of failure it is; closes the connection when that is at an end. */
enum outcome sql_broken(struct sql *sql, unsigned int code, const char *text, struct reason *why);
enum outcome sql_not_open(struct sql *sql, struct reason *why);

#endif
