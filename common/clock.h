/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: the one source of time, in milliseconds. Tests set it by hand.
 *
 * Time of day orders nothing: it is for people and for ids. Waiting and measuring use the
 * monotonic clock.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);      /* monotonic */
int64_t clock_us(void);      /* monotonic, microseconds, for "time taken" */
int64_t clock_wall_ms(void); /* Unix time */

/* From now on all three stand still at these values (us = mono_ms * 1000). Tests only. */
void clock_set(int64_t mono_ms, int64_t wall_ms);

#define CLOCK_TEXT_SIZE 25 /* 2026-11-21T14:30:57.123Z and the NUL */
/* RFC 3339, UTC, milliseconds. */
void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_SIZE]);

#endif
