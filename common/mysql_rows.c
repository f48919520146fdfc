/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mysql_parts.h"

/* --- prepared statements ------------------------------------------------------------------- */

static enum outcome prepare(struct sql *sql, const char *text, struct statement **out,
			    struct reason *why)
{
	struct statement *statement;
	MYSQL_STMT *handle;
	enum outcome outcome;

	if (sql->connection == NULL) {
		return sql_not_open(sql, why);
	}
	for (size_t i = 0; i < sql->statement_count; i++) {
		if (strcmp(sql->statements[i].text, text) == 0) {
			*out = &sql->statements[i];
			return OK;
		}
	}
	assert(sql->statement_count < STATEMENTS_MAX); /* our texts are constants */
	handle = mysql_stmt_init(sql->connection);
	assert(handle != NULL);
	if (mysql_stmt_prepare(handle, text, strlen(text)) != 0) {
		unsigned int code = mysql_stmt_errno(handle);
		struct buf cause = BUF_INIT(512);

		buf_add_text(&cause, mysql_stmt_error(handle));
		(void)mysql_stmt_close(
			handle); /* before the connection, which `broken` may close */
		outcome = sql_broken(sql, code, buf_text(&cause), why);
		buf_finish(&cause);
		return outcome;
	}
	statement = &sql->statements[sql->statement_count++];
	*statement = (struct statement){
		.text = xstrdup(text),
		.handle = handle,
	};
	*out = statement;
	return OK;
}

static enum outcome statement_broken(struct sql *sql, struct statement *statement,
				     struct reason *why)
{
	return sql_broken(sql, mysql_stmt_errno(statement->handle),
			  mysql_stmt_error(statement->handle), why);
}

/* Points `bind` at rows `from`.. of the columns. */
static void bind_rows(struct sql *sql, const struct sql_column *columns, size_t column_count,
		      size_t from, size_t count, MYSQL_BIND *bind)
{
	for (size_t c = 0; c < column_count; c++) {
		memset(&bind[c], 0, sizeof(bind[c]));
		bind[c].u.indicator = sql->indicators[c];
		if (columns[c].numbers != NULL) {
			const int64_t *numbers = columns[c].numbers + from;

			bind[c].buffer_type = MYSQL_TYPE_LONGLONG;
			bind[c].buffer = (void *)(uintptr_t)numbers;
			for (size_t i = 0; i < count; i++) {
				sql->indicators[c][i] = numbers[i] == SQL_NULL
								? STMT_INDICATOR_NULL
								: STMT_INDICATOR_NONE;
			}
			continue;
		}
		bind[c].buffer_type = MYSQL_TYPE_STRING;
		bind[c].buffer = (void *)sql->pointers[c];
		bind[c].length = sql->lengths[c];
		for (size_t i = 0; i < count; i++) {
			const struct span *text = &columns[c].texts[from + i];

			sql->pointers[c][i] = text->data;
			sql->lengths[c][i] = text->len;
			sql->indicators[c][i] =
				text->data == NULL ? STMT_INDICATOR_NULL : STMT_INDICATOR_NONE;
		}
	}
}

/* One row as plain parameters: an array of one would go as a bulk command. */
static void bind_one(const struct sql_column *columns, size_t column_count, size_t row,
		     MYSQL_BIND *bind, unsigned long *lengths)
{
	for (size_t c = 0; c < column_count; c++) {
		memset(&bind[c], 0, sizeof(bind[c]));
		if (columns[c].numbers != NULL) {
			bind[c].buffer_type = columns[c].numbers[row] == SQL_NULL
						      ? MYSQL_TYPE_NULL
						      : MYSQL_TYPE_LONGLONG;
			bind[c].buffer = (void *)(uintptr_t)&columns[c].numbers[row];
		} else if (columns[c].texts[row].data == NULL) {
			bind[c].buffer_type = MYSQL_TYPE_NULL;
		} else {
			bind[c].buffer_type = MYSQL_TYPE_STRING;
			bind[c].buffer = (void *)(uintptr_t)columns[c].texts[row].data;
			lengths[c] = columns[c].texts[row].len;
			bind[c].length = &lengths[c];
			bind[c].buffer_length = lengths[c];
		}
	}
}

/* How many rows from `from` on fit into one packet. */
static size_t rows_that_fit(const struct sql *sql, const struct sql_column *columns,
			    size_t column_count, size_t from, size_t row_count)
{
	size_t room = sql->packet_max / 2;
	size_t bytes = 0;
	size_t i;

	for (i = from; i < row_count && i - from < ROWS_MAX; i++) {
		for (size_t c = 0; c < column_count; c++) {
			bytes += ROW_OVERHEAD_BYTES;
			if (columns[c].texts != NULL) {
				bytes += columns[c].texts[i].len;
			}
		}
		if (bytes > room && i != from) {
			break;
		}
	}
	return i - from;
}

static enum outcome execute(struct sql *sql, struct statement *statement,
			    const struct sql_column *columns, size_t column_count, size_t from,
			    size_t count, struct reason *why)
{
	MYSQL_BIND bind[COLUMNS_MAX];
	unsigned long lengths[COLUMNS_MAX];
	unsigned int array_size = count > 1 ? (unsigned int)count : 0;

	if (column_count != 0) {
		if (count > 1) {
			bind_rows(sql, columns, column_count, from, count, bind);
		} else {
			bind_one(columns, column_count, from, bind, lengths);
		}
		if (mysql_stmt_attr_set(statement->handle, STMT_ATTR_ARRAY_SIZE, &array_size) !=
			    0 ||
		    mysql_stmt_bind_param(statement->handle, bind) != 0) {
			return statement_broken(sql, statement, why);
		}
	}
	if (mysql_stmt_execute(statement->handle) != 0) {
		return statement_broken(sql, statement, why);
	}
	sql->insert_id = mysql_stmt_insert_id(statement->handle);
	return OK;
}

enum outcome sql_write(struct sql *sql, const char *text, const struct sql_column *columns,
		       size_t column_count, size_t row_count, uint64_t *affected,
		       struct reason *why)
{
	struct statement *statement;
	uint64_t sum = 0;
	enum outcome outcome;

	assert(column_count <= COLUMNS_MAX);
	outcome = prepare(sql, text, &statement, why);
	for (size_t from = 0; outcome == OK && from < row_count;) {
		size_t count = 1; /* a server without arrays takes row by row */

		if (sql->arrays) {
			count = rows_that_fit(sql, columns, column_count, from, row_count);
		}
		outcome = execute(sql, statement, columns, column_count, from, count, why);
		if (outcome == OK) {
			sum += mysql_stmt_affected_rows(statement->handle);
			from += count;
		}
	}
	if (outcome == OK && affected != NULL) {
		*affected = sum;
	}
	return outcome;
}

/* --- reading ------------------------------------------------------------------------------- */

struct result {
	MYSQL_RES *about;
	unsigned int count;
	MYSQL_BIND bind[COLUMNS_MAX];
	unsigned long lengths[COLUMNS_MAX];
	my_bool nulls[COLUMNS_MAX];
	int64_t numbers[COLUMNS_MAX];
	char *texts[COLUMNS_MAX];
};

static bool is_whole_number(enum enum_field_types type)
{
	return type == MYSQL_TYPE_TINY || type == MYSQL_TYPE_SHORT || type == MYSQL_TYPE_INT24 ||
	       type == MYSQL_TYPE_LONG || type == MYSQL_TYPE_LONGLONG || type == MYSQL_TYPE_YEAR;
}

/* The longest text of each column is known after mysql_stmt_store_result. */
static void bind_result(struct result *result)
{
	const MYSQL_FIELD *fields = mysql_fetch_fields(result->about);

	for (unsigned int c = 0; c < result->count; c++) {
		MYSQL_BIND *bind = &result->bind[c];

		bind->is_null = &result->nulls[c];
		bind->length = &result->lengths[c];
		if (is_whole_number(fields[c].type)) {
			bind->buffer_type = MYSQL_TYPE_LONGLONG;
			bind->buffer = &result->numbers[c];
			continue;
		}
		result->texts[c] = xmalloc(fields[c].max_length + 1);
		bind->buffer_type = MYSQL_TYPE_STRING;
		bind->buffer = result->texts[c];
		bind->buffer_length = fields[c].max_length + 1;
	}
}

static void give_rows(MYSQL_STMT *handle, struct result *result, sql_row row, void *context,
		      int *code)
{
	struct sql_field fields[COLUMNS_MAX];

	while ((*code = mysql_stmt_fetch(handle)) == 0) {
		for (unsigned int c = 0; c < result->count; c++) {
			fields[c] = (struct sql_field){.null = result->nulls[c] != 0};
			if (fields[c].null) {
				continue;
			}
			if (result->texts[c] == NULL) {
				fields[c].number = result->numbers[c];
			} else {
				fields[c].text =
					(struct span){result->texts[c], result->lengths[c]};
			}
		}
		row(context, fields);
	}
}

enum outcome sql_read(struct sql *sql, const char *text, const struct sql_column *columns,
		      size_t column_count, sql_row row, void *context, struct reason *why)
{
	struct result result = {0};
	struct statement *statement;
	MYSQL_BIND bind[LIST_MAX];
	unsigned long lengths[LIST_MAX];
	enum outcome outcome;
	my_bool yes = 1;
	int code = 0;

	assert(column_count <= LIST_MAX);
	outcome = prepare(sql, text, &statement, why);
	if (outcome != OK) {
		return outcome;
	}
	bind_one(columns, column_count, 0, bind, lengths);
	if ((column_count != 0 && mysql_stmt_bind_param(statement->handle, bind) != 0) ||
	    mysql_stmt_attr_set(statement->handle, STMT_ATTR_UPDATE_MAX_LENGTH, &yes) != 0 ||
	    mysql_stmt_execute(statement->handle) != 0 ||
	    mysql_stmt_store_result(statement->handle) != 0) {
		return statement_broken(sql, statement, why);
	}
	result.about = mysql_stmt_result_metadata(statement->handle);
	assert(result.about != NULL); /* it is a SELECT */
	result.count = mysql_num_fields(result.about);
	assert(result.count <= COLUMNS_MAX);
	bind_result(&result);
	if (mysql_stmt_bind_result(statement->handle, result.bind) == 0) {
		give_rows(statement->handle, &result, row, context, &code);
	} else {
		code = 1;
	}
	if (code == MYSQL_NO_DATA) {
		(void)mysql_stmt_free_result(statement->handle);
	} else {
		outcome = statement_broken(sql, statement, why);
	}
	for (unsigned int c = 0; c < result.count; c++) {
		free(result.texts[c]);
	}
	mysql_free_result(result.about);
	return outcome;
}

/* Lists come in few lengths, so that few statements are prepared; the last value repeats. */
static size_t padded(size_t count)
{
	size_t length = 1;

	while (length < count) {
		length *= 4;
	}
	return length;
}

enum outcome sql_read_in(struct sql *sql, const char *text, struct sql_column values, size_t count,
			 sql_row row, void *context, struct reason *why)
{
	const char *here = strstr(text, "%s");
	enum outcome outcome = OK;

	assert(here != NULL);
	for (size_t from = 0; outcome == OK && from < count; from += LIST_MAX) {
		size_t rest = count - from < LIST_MAX ? count - from : LIST_MAX;
		size_t length = padded(rest);
		struct sql_column columns[LIST_MAX];

		buf_clear(&sql->list);
		buf_add(&sql->list, (struct span){text, (size_t)(here - text)});
		for (size_t i = 0; i < length; i++) {
			size_t at = from + (i < rest ? i : rest - 1);

			buf_add_text(&sql->list, i == 0 ? "?" : ",?");
			columns[i] = (struct sql_column){
				.numbers = values.numbers == NULL ? NULL : values.numbers + at,
				.texts = values.texts == NULL ? NULL : values.texts + at,
			};
		}
		buf_add_text(&sql->list, here + 2);
		outcome = sql_read(sql, buf_text(&sql->list), columns, length, row, context, why);
	}
	return outcome;
}
