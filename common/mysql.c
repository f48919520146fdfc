/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mysql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mariadb/errmsg.h>
#include <mariadb/mysqld_error.h>

#include "common/mysql_parts.h"

enum { PACKET_DEFAULT = 1 << 20 };

struct sql *sql_create(const struct sql_config *config)
{
	struct sql *sql = xcalloc(1, sizeof(*sql));

	sql->config = config;
	sql->packet_max = PACKET_DEFAULT;
	buf_init(&sql->list, 65536);
	return sql;
}

void sql_destroy(struct sql *sql)
{
	if (sql == NULL) {
		return;
	}
	sql_close(sql);
	buf_finish(&sql->list);
	free(sql);
}

bool sql_is_open(const struct sql *sql)
{
	return sql->connection != NULL;
}

void sql_close(struct sql *sql)
{
	for (size_t i = 0; i < sql->statement_count; i++) {
		(void)mysql_stmt_close(sql->statements[i].handle);
		free(sql->statements[i].text);
	}
	sql->statement_count = 0;
	if (sql->connection != NULL) {
		mysql_close(sql->connection);
		sql->connection = NULL;
	}
}

enum sql_fault sql_fault(const struct sql *sql)
{
	return sql->fault;
}

uint64_t sql_session(const struct sql *sql)
{
	return sql->session;
}

size_t sql_packet_max(const struct sql *sql)
{
	return sql->packet_max;
}

uint64_t sql_insert_id(const struct sql *sql)
{
	return sql->insert_id;
}

/* --- what a failure means ------------------------------------------------------------------ */

static enum sql_fault fault_of(unsigned int code)
{
	switch (code) {
	case ER_DUP_ENTRY:         /* another member was first, or will be found to be the zone's */
	case ER_LOCK_DEADLOCK:     /* the transaction is rolled back by the server */
	case ER_LOCK_WAIT_TIMEOUT: /* the statement only: the caller rolls back */
	case ER_CHECKREAD:
		return SQL_AGAIN;
	case ER_TABLEACCESS_DENIED_ERROR:
	case ER_COLUMNACCESS_DENIED_ERROR:
	case ER_SPECIFIC_ACCESS_DENIED_ERROR:
		return SQL_DENIED;
	case ER_TABLE_EXISTS_ERROR:
	case ER_DUP_FIELDNAME:
	case ER_DUP_KEYNAME:
		return SQL_EXISTS;
	case ER_DBACCESS_DENIED_ERROR: /* also of a database that is not there */
	case ER_ACCESS_DENIED_ERROR:
	case ER_BAD_DB_ERROR:
	case ER_NO_DB_ERROR: /* dropped under us */
	case ER_NO_SUCH_TABLE:
	case ER_BAD_FIELD_ERROR:
	case ER_CON_COUNT_ERROR:
	case ER_TOO_MANY_USER_CONNECTIONS:
	case ER_USER_LIMIT_REACHED:
	case ER_HOST_IS_BLOCKED:
	case ER_HOST_NOT_PRIVILEGED:
	case ER_SERVER_SHUTDOWN:
	case ER_NORMAL_SHUTDOWN:
	case ER_DISK_FULL:
	case ER_GET_ERRNO: /* the storage engine's trouble */
	case ER_ERROR_ON_WRITE:
	case ER_RECORD_FILE_FULL:
	case ER_OUT_OF_RESOURCES:
	case ER_OUTOFMEMORY:
	case ER_OPEN_AS_READONLY:
	case ER_CANT_LOCK:
	case ER_CRASHED_ON_USAGE:
	case ER_OPTION_PREVENTS_STATEMENT: /* read_only */
	case ER_READ_ONLY_MODE:
	case ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION:
	case ER_QUERY_INTERRUPTED:
	case ER_CONNECTION_KILLED:
	case ER_STATEMENT_TIMEOUT:
	case ER_UNKNOWN_COM_ERROR: /* a Galera node that is not part of its cluster */
	case ER_NEW_ABORTING_CONNECTION:
	case ER_NET_READ_ERROR:
	case ER_NET_READ_INTERRUPTED:
	case ER_NET_ERROR_ON_WRITE:
	case ER_NET_WRITE_INTERRUPTED:
	case ER_TABLE_DEF_CHANGED:
	case 4031: /* MySQL 8: the client was idle for too long */
		return SQL_AWAY;
	default:
		/* The client library's own: connection refused, lost, timed out. */
		return (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) || code >= 5000 ? SQL_AWAY
										      : SQL_OTHER;
	}
}

/* The text may quote values: printable ASCII only, cut by `because`. */
enum outcome sql_broken(struct sql *sql, unsigned int code, const char *text, struct reason *why)
{
	char clean[200];
	size_t i;

	for (i = 0; text[i] != '\0' && i < sizeof(clean) - 1; i++) {
		clean[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	}
	clean[i] = '\0';
	sql->fault = fault_of(code);
	because(TEMPFAIL, why, "%s (error %u)", clean, code);
	if (sql->fault == SQL_AWAY) {
		sql_close(sql); /* with it goes the transaction */
	}
	return TEMPFAIL;
}

enum outcome sql_not_open(struct sql *sql, struct reason *why)
{
	sql->fault = SQL_AWAY;
	return because(TEMPFAIL, why, "not connected to the database");
}

/* --- the connection ------------------------------------------------------------------------ */

static void packet_row(void *context, const struct sql_field *fields)
{
	struct sql *sql = context;

	if (!fields[0].null && fields[0].number > 0) {
		sql->packet_max = (size_t)fields[0].number;
	}
}

static enum outcome set_session(struct sql *sql, unsigned int seconds, struct reason *why)
{
	char tables[64];
	const char *const settings[] = {
		/* I7: a value that does not fit is an error, never cut */
		"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SET SESSION innodb_lock_wait_timeout = 1",
		tables,
	};

	/* For a table that somebody alters or drops the server would wait a day, with all that the
	 * transaction holds, for a client that is long gone: it gives up before we do. */
	(void)snprintf(tables, sizeof(tables), "SET SESSION lock_wait_timeout = %u",
		       seconds / 2 + 1);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		enum outcome outcome = sql_run(sql, settings[i], why);

		if (outcome != OK) {
			return outcome;
		}
	}
	return sql_read(sql, "SELECT @@max_allowed_packet", NULL, 0, packet_row, sql, why);
}

enum outcome sql_open(struct sql *sql, int64_t patience_ms, struct reason *why)
{
	const struct sql_config *config = sql->config;
	bool by_socket = config->socket[0] != '\0';
	int64_t timeout_ms = patience_ms != 0 ? patience_ms : config->timeout_ms;
	unsigned int seconds = (unsigned int)((timeout_ms + 999) / 1000);
	unsigned int connect_s = (unsigned int)((config->timeout_ms + 999) / 1000);
	unsigned int no_files = 0;
	my_bool yes = 1;
	enum outcome outcome;
	unsigned long more = 0;
	char where[120];

	if (sql->connection != NULL) {
		return OK;
	}
	sql->connection = mysql_init(NULL);
	assert(sql->connection != NULL);
	(void)mysql_options(sql->connection, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	(void)mysql_options(sql->connection, MYSQL_OPT_READ_TIMEOUT, &seconds);
	(void)mysql_options(sql->connection, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	/* A server may not ask us for our files. */
	(void)mysql_options(sql->connection, MYSQL_OPT_LOCAL_INFILE, &no_files);
	(void)mysql_options(sql->connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (config->tls_ca[0] != '\0') {
		(void)mysql_options(sql->connection, MYSQL_OPT_SSL_CA, config->tls_ca);
		(void)mysql_options(sql->connection, MYSQL_OPT_SSL_ENFORCE, &yes);
		(void)mysql_options(sql->connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
	if (mysql_real_connect(sql->connection, by_socket ? NULL : config->host, config->username,
			       config->password, config->database, (unsigned int)config->port,
			       by_socket ? config->socket : NULL, CLIENT_FOUND_ROWS) == NULL) {
		struct reason cause;

		if (by_socket) {
			(void)snprintf(where, sizeof(where), "%s", config->socket);
		} else {
			(void)snprintf(where, sizeof(where), "%s:%d", config->host,
				       (int)config->port);
		}
		outcome = sql_broken(sql, mysql_errno(sql->connection),
				     mysql_error(sql->connection), &cause);
		sql_close(sql);
		sql->fault = SQL_AWAY;
		because(outcome, why, "database %s at %s: %s", config->database, where, cause.text);
		return outcome;
	}
	sql->session++;
	(void)mariadb_get_infov(sql->connection, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES,
				&more);
	sql->arrays = (more & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
	outcome = set_session(sql, seconds, why);
	if (outcome != OK) {
		sql_close(sql);
		sql->fault = SQL_AWAY;
	}
	return outcome;
}

enum outcome sql_run(struct sql *sql, const char *text, struct reason *why)
{
	if (sql->connection == NULL) {
		return sql_not_open(sql, why);
	}
	if (mysql_real_query(sql->connection, text, strlen(text)) != 0) {
		return sql_broken(sql, mysql_errno(sql->connection), mysql_error(sql->connection),
				  why);
	}
	return OK;
}
