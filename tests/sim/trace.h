/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h: what happens in a history, line by line, for whoever replays one; and the words with
 * which a history fails.
 */
#ifndef TESTS_SIM_TRACE_H
#define TESTS_SIM_TRACE_H

#include <stdbool.h>

#include "common/outcome.h"

extern bool tracing;
void trace(const char *format, ...) PRINTF_LIKE(1, 2);

/* A promise is broken. The history ends at once. */
void broken(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));

#endif
