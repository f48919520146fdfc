/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"

#define TEXT_MAX 300

static void keep(struct zone_warnings *warnings, struct buf *text)
{
	warnings->texts =
		xrealloc(warnings->texts, (warnings->count + 1) * sizeof(*warnings->texts));
	warnings->texts[warnings->count++] = buf_take(text);
}

void zone_warn(struct zone_warnings *warnings, size_t line, const char *format, ...)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	char message[TEXT_MAX - 40];
	va_list args;

	if (warnings->count >= warnings->ceiling) {
		warnings->dropped++;
		return;
	}
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args); /* cut is fine */
	va_end(args);
	if (line != 0) {
		buf_addf(&text, "line %zu: ", line);
	}
	buf_add_text(&text, message);
	keep(warnings, &text);
}

void zone_warnings_close(struct zone_warnings *warnings)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	if (warnings->dropped != 0) {
		buf_addf(&text, "and %zu more warnings", warnings->dropped);
		keep(warnings, &text);
	}
}

void zone_warnings_finish(struct zone_warnings *warnings)
{
	size_t i;

	for (i = 0; i < warnings->count; i++) {
		free(warnings->texts[i]);
	}
	free(warnings->texts);
	*warnings = (struct zone_warnings){0};
}
