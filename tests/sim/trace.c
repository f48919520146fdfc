/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/stage.h"

bool tracing;

void trace(const char *format, ...)
{
	const struct process *process = stage_process();
	int64_t now_us = stage_now_us();
	va_list arguments;

	if (!tracing) {
		return;
	}
	(void)printf("%9.3f %-10s ", (double)(now_us - 1000 * SECONDS) / (double)SECONDS,
		     process == NULL ? "-" : process->name);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
}

void broken(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	trace("BROKEN: %s", text);
	(void)fflush(stdout);
	(void)fprintf(stderr, "    %s\n", text);
	_exit(1);
}
