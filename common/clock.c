/* SPDX-License-Identifier: Apache-2.0 */
#include "common/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static _Atomic bool stands_still;
static _Atomic int64_t set_mono_ms;
static _Atomic int64_t set_wall_ms;

static int64_t now_us(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now); /* cannot fail for these two clocks */
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
	return stands_still ? set_mono_ms : now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_us(void)
{
	return stands_still ? set_mono_ms * 1000 : now_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return stands_still ? set_wall_ms : now_us(CLOCK_REALTIME) / 1000;
}

void clock_set(int64_t mono_ms, int64_t wall_ms)
{
	set_mono_ms = mono_ms;
	set_wall_ms = wall_ms;
	stands_still = true;
}

void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;

	(void)gmtime_r(&seconds, &parts);
	if (snprintf(out, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
		     (parts.tm_year + 1900) % 10000, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
		     parts.tm_min, parts.tm_sec, (int)(wall_ms % 1000)) >= CLOCK_TEXT_SIZE) {
		out[0] = '\0';
	}
}
