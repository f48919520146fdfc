/* SPDX-License-Identifier: Apache-2.0 */
/* output.h: what a verb has found, as a table for people or as JSON for scripts.
 *
 * Rows are printed to stdout by output_print, all at once; messages go to stderr and are not ours.
 *
 * Threads: none of this is shared.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define OUTPUT_COLUMNS_MAX 10

struct output {
	const char *const *columns; /* names, the last NULL; lower case, keys of the JSON objects */
	char **cells;               /* owned */
	size_t cell_count;
};

void output_init(struct output *output, const char *const *columns); /* columns: borrowed */
void output_finish(struct output *output);
/* Appends one cell; a row is full when every column has one. */
void output_add(struct output *output, struct span cell);
void output_addf(struct output *output, const char *format, ...) PRINTF_LIKE(2, 3);
/* RFC 3339, UTC; 0: an empty cell. */
void output_add_time(struct output *output, int64_t wall_ms);
/* A table with a heading, or an array of objects with the columns as keys. */
void output_text(const struct output *output, bool json, struct buf *out);
/* A JSON string with its quotes. Bytes that are no ASCII become \u00XX, so none is lost. */
void output_string(struct span text, struct buf *out);
/* A text of several lines for people; what would move a terminal's cursor becomes '?' (I10). */
void output_lines(struct span text, struct buf *out);
void output_print(const struct output *output, bool json);

#endif
