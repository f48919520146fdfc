/* SPDX-License-Identifier: Apache-2.0 */
/* delays.h: a schedule of pauses, "30s,2m,5m,15m,30m": how long to wait before try 2, 3, ... */
#ifndef COMMON_DELAYS_H
#define COMMON_DELAYS_H

#include <stddef.h>
#include <stdint.h>

#include "common/outcome.h"

#define DELAYS_MAX 16
struct delays {
	int64_t ms[DELAYS_MAX];
	size_t count; /* at least 1 */
};

/* Units ms, s, m, h; one to DELAYS_MAX of them, each at most 30 days. PERMFAIL: `why` quotes it. */
MUST_CHECK enum outcome delays_parse(const char *text, struct delays *out, struct reason *why);
/* The pause after `attempts` failed tries (1..); the last one repeats. */
int64_t delays_after(const struct delays *delays, int64_t attempts);

#endif
