/* SPDX-License-Identifier: Apache-2.0 */
/* mysql.h: one connection to a MySQL or MariaDB server. Values travel as parameters of prepared
 * statements only, many rows at once (array binding): nothing is ever quoted (I10).
 *
 * Nothing connects again behind our back (it would drop the transaction and the session's
 * settings): after SQL_AWAY the connection is closed and sql_open begins anew.
 *
 * Threads: a struct sql belongs to one thread.
 */
#ifndef COMMON_MYSQL_H
#define COMMON_MYSQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/outcome.h"

struct sql_config {
	const char *host;
	int64_t port;
	const char *socket; /* path; used instead of host and port unless empty */
	const char *database;
	const char *username;
	const char *password;
	const char *tls_ca; /* file; empty: no TLS; else the server's certificate is checked */
	int64_t timeout_ms; /* to connect, for a statement's answer; above the lock wait of 1 s */
};

/* What a failure says about the next step. */
enum sql_fault {
	SQL_FINE,
	SQL_AWAY,   /* the connection, the server or the whole database: probe until it is back */
	SQL_AGAIN,  /* deadlock, lock wait, duplicate key: roll back and repeat the transaction */
	SQL_DENIED, /* the account lacks a privilege */
	SQL_EXISTS, /* what a CREATE or ADD was to make is there already */
	SQL_OTHER,  /* this statement with these values, as far as can be told */
};

struct sql;

/* Touches nothing outside; borrows the config. */
struct sql *sql_create(const struct sql_config *config);
void sql_destroy(struct sql *sql);

/* Connects and sets the session (strict mode, READ COMMITTED, short lock waits); costs nothing
 * while it is open. `patience_ms`: instead of the config's for a statement's answer; 0: that. */
MUST_CHECK enum outcome sql_open(struct sql *sql, int64_t patience_ms, struct reason *why);
bool sql_is_open(const struct sql *sql);
void sql_close(struct sql *sql);
/* Of the last call that failed. */
enum sql_fault sql_fault(const struct sql *sql);
/* Grows with each connection: is it still the one we knew? */
uint64_t sql_session(const struct sql *sql);
/* What one statement may carry, in bytes (max_allowed_packet). */
size_t sql_packet_max(const struct sql *sql);

/* A statement without parameters and rows. */
MUST_CHECK enum outcome sql_run(struct sql *sql, const char *text, struct reason *why);

/* One parameter for all rows of a statement: exactly one of the two arrays. */
struct sql_column {
	const int64_t *numbers;   /* with SQL_NULL for NULL */
	const struct span *texts; /* data NULL: NULL */
};
#define SQL_NULL INT64_MIN

/* Runs `text` once for each row, as few round trips as possible. `affected` may be NULL: the number
 * of rows found, changed or not. */
MUST_CHECK enum outcome sql_write(struct sql *sql, const char *text,
				  const struct sql_column *columns, size_t column_count,
				  size_t row_count, uint64_t *affected, struct reason *why);
/* The id that the last INSERT made, or what LAST_INSERT_ID(expr) was told. */
uint64_t sql_insert_id(const struct sql *sql);

struct sql_field {
	bool null;
	int64_t number;   /* of a whole number */
	struct span text; /* of everything else; good until the call returns */
};
typedef void (*sql_row)(void *context, const struct sql_field *fields);

/* A SELECT with `count` parameters (`columns` hold one row); each result row is given to `row`. */
MUST_CHECK enum outcome sql_read(struct sql *sql, const char *text,
				 const struct sql_column *columns, size_t column_count, sql_row row,
				 void *context, struct reason *why);
/* The same, where `text` holds one %s that becomes a list of `?`; each `values` array has one entry
 * for each. Long lists are asked in parts. */
MUST_CHECK enum outcome sql_read_in(struct sql *sql, const char *text, struct sql_column values,
				    size_t count, sql_row row, void *context, struct reason *why);

#endif
