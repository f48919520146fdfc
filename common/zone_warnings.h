/* SPDX-License-Identifier: Apache-2.0 */
/* zone_warnings.h: what is odd about a zone that we take all the same; up to a ceiling (I9), the
 * rest is counted and told in one last line.
 */
#ifndef COMMON_ZONE_WARNINGS_H
#define COMMON_ZONE_WARNINGS_H

#include <stddef.h>

#include "common/outcome.h"

struct zone_warnings {
	char **texts;
	size_t count;
	size_t ceiling;
	size_t dropped;
};

/* "line 17: ..."; line 0 stands for the zone as a whole. */
void zone_warn(struct zone_warnings *warnings, size_t line, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* Adds "and 3 more" where some were dropped. Call once, after the last zone_warn. */
void zone_warnings_close(struct zone_warnings *warnings);
void zone_warnings_finish(struct zone_warnings *warnings);

#endif
