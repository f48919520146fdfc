/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define TEXT_MAX (64 * 1024 * 1024)

void output_init(struct output *output, const char *const *columns)
{
	*output = (struct output){.columns = columns};
}

void output_finish(struct output *output)
{
	size_t i;

	for (i = 0; i < output->cell_count; i++) {
		free(output->cells[i]);
	}
	free(output->cells);
	*output = (struct output){0};
}

void output_add(struct output *output, struct span cell)
{
	output->cells = xrealloc(output->cells, (output->cell_count + 1) * sizeof(*output->cells));
	output->cells[output->cell_count++] =
		xstrndup(cell.data != NULL ? cell.data : "", cell.len);
}

void output_addf(struct output *output, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args); /* cut, if it must be */
	va_end(args);
	output_add(output, span_of(text));
}

void output_add_time(struct output *output, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE] = "";

	if (wall_ms != 0) {
		clock_text(wall_ms, text);
	}
	output_add(output, span_of(text));
}

static size_t column_count(const struct output *output)
{
	size_t n = 0;

	while (output->columns[n] != NULL) {
		n++;
	}
	return n;
}

static void put_cell(struct buf *out, const char *text, size_t width, bool last, bool heading)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (heading) {
			byte = (unsigned char)toupper(byte);
		}
		/* Nothing that came from outside moves a terminal's cursor (I10). */
		buf_add_byte(out, byte >= 0x20 && byte != 0x7f ? (char)byte : '?');
	}
	for (; i < width + 2 && !last; i++) {
		buf_add_byte(out, ' ');
	}
}

static void put_table(const struct output *output, struct buf *out)
{
	size_t widths[OUTPUT_COLUMNS_MAX] = {0};
	size_t n = column_count(output);
	size_t i;

	for (i = 0; i < n; i++) {
		widths[i] = strlen(output->columns[i]);
	}
	for (i = 0; i < output->cell_count; i++) {
		size_t len = strlen(output->cells[i]);

		widths[i % n] = len > widths[i % n] ? len : widths[i % n];
	}
	for (i = 0; i < n; i++) {
		put_cell(out, output->columns[i], widths[i], i + 1 == n, true);
	}
	buf_add_byte(out, '\n');
	for (i = 0; i < output->cell_count; i++) {
		put_cell(out, output->cells[i], widths[i % n], i % n + 1 == n, false);
		if (i % n + 1 == n) {
			buf_add_byte(out, '\n');
		}
	}
}

void output_string(struct span text, struct buf *out)
{
	size_t i;

	buf_add_byte(out, '"');
	for (i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		if (byte == '"' || byte == '\\') {
			buf_addf(out, "\\%c", byte);
		} else if (byte < 0x20 || byte >= 0x7f) {
			buf_addf(out, "\\u%04x", byte);
		} else {
			buf_add_byte(out, (char)byte);
		}
	}
	buf_add_byte(out, '"');
}

void output_lines(struct span text, struct buf *out)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		char byte = text.data[i];
		bool harmless = (byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\t';

		buf_add_byte(out, harmless ? byte : '?');
	}
}

static void put_json(const struct output *output, struct buf *out)
{
	size_t n = column_count(output);
	size_t i;

	buf_add_byte(out, '[');
	for (i = 0; i < output->cell_count; i++) {
		if (i % n == 0) {
			buf_add_text(out, i == 0 ? "\n {" : ",\n {");
		}
		output_string(span_of(output->columns[i % n]), out);
		buf_add_text(out, ": ");
		output_string(span_of(output->cells[i]), out);
		buf_add_text(out, i % n + 1 == n ? "}" : ", ");
	}
	buf_add_text(out, "\n]\n");
}

void output_text(const struct output *output, bool json, struct buf *out)
{
	if (json) {
		put_json(output, out);
	} else {
		put_table(output, out);
	}
}

void output_print(const struct output *output, bool json)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	output_text(output, json, &text);
	(void)fwrite(text.data, 1, text.len, stdout); /* main looks at stdout once, at the end */
	buf_finish(&text);
}
