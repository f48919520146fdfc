/* SPDX-License-Identifier: Apache-2.0 */
/* sql.h: a connection to a database, by a URL from the environment: arguments are for everybody to
 * read, and the password is in it.
 */
#ifndef TESTS_BENCH_SQL_H
#define TESTS_BENCH_SQL_H

#include <mariadb/mysql.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/figures.h"

/* `variable` is mysql://user:password@host:port/database. */
static inline MYSQL *sql_connect(const char *variable)
{
	char user[100], password[100], host[100], database[100];
	const char *url = getenv(variable);
	MYSQL *connection = need(mysql_init(NULL));
	unsigned int port;

	if (url == NULL || sscanf(url, "mysql://%99[^:]:%99[^@]@%99[^:]:%u/%99s", user, password,
				  host, &port, database) != 5) {
		die("%s is not mysql://user:password@host:port/database", variable);
	}
	if (mysql_real_connect(connection, host, user, password, database, port, NULL, 0) == NULL) {
		die("%s:%u: %s", host, port, mysql_error(connection));
	}
	return connection;
}

static inline void sql_do(MYSQL *connection, const char *text)
{
	if (mysql_real_query(connection, text, strlen(text)) != 0) {
		die("%s: %s", text, mysql_error(connection));
	}
}

/* Of a SELECT with one number in one row; 0: no row. */
static inline int64_t sql_number(MYSQL *connection, const char *text)
{
	MYSQL_RES *result;
	MYSQL_ROW row;
	int64_t number = 0;

	sql_do(connection, text);
	result = mysql_store_result(connection);
	if (result == NULL) {
		die("%s: %s", text, mysql_error(connection));
	}
	row = mysql_fetch_row(result);
	if (row != NULL && row[0] != NULL) {
		number = strtoll(row[0], NULL, 10);
	}
	mysql_free_result(result);
	return number;
}

#endif
