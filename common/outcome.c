/* SPDX-License-Identifier: Apache-2.0 */
#include "common/outcome.h"

#include <stdarg.h>
#include <stdio.h>

enum outcome because(enum outcome outcome, struct reason *why, const char *format, ...)
{
	va_list args;

	if (why == NULL) {
		return outcome;
	}
	va_start(args, format);
	(void)vsnprintf(why->text, sizeof(why->text), format, args); /* cut is fine */
	va_end(args);
	return outcome;
}

const char *outcome_text(enum outcome outcome)
{
	switch (outcome) {
	case OK:
		return "ok";
	case TEMPFAIL:
		return "tempfail";
	case PERMFAIL:
		return "permfail";
	}
	return "unknown";
}
