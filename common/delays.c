/* SPDX-License-Identifier: Apache-2.0 */
#include "common/delays.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int64_t unit_ms(const char *text, const char **rest)
{
	if (text[0] == 'm' && text[1] == 's') {
		*rest = text + 2;
		return 1;
	}
	*rest = text + 1;
	switch (text[0]) {
	case 's':
		return 1000;
	case 'm':
		return 60 * 1000;
	case 'h':
		return 60 * 60 * 1000;
	default:
		return 0;
	}
}

enum outcome delays_parse(const char *text, struct delays *out, struct reason *why)
{
	const int64_t longest = 30LL * 24 * 60 * 60 * 1000;
	struct delays delays = {0};
	const char *at = text;

	for (;;) {
		char *end = NULL;
		const char *rest = NULL;
		int64_t unit;
		long long number;

		errno = 0;
		number = strtoll(at, &end, 10);
		unit = end == at ? 0 : unit_ms(end, &rest);
		if (unit == 0 || errno != 0 || number < 0 || number > longest / unit ||
		    delays.count == DELAYS_MAX || (*rest != '\0' && *rest != ',')) {
			return because(PERMFAIL, why,
				       "'%s' is not a list of pauses like 30s,2m,5m (units ms, s, "
				       "m, h; at most %d pauses of 30 days)",
				       text, DELAYS_MAX);
		}
		delays.ms[delays.count++] = number * unit;
		if (*rest == '\0') {
			*out = delays;
			return OK;
		}
		at = rest + 1;
	}
}

int64_t delays_after(const struct delays *delays, int64_t attempts)
{
	size_t i = attempts < 1 ? 0 : (size_t)attempts - 1;

	return delays->ms[i < delays->count ? i : delays->count - 1];
}
