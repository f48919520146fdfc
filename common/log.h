/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: structured lines on stderr: one JSON object a line, or logfmt when stderr is a terminal.
 *
 *	log_info("zone applied", F("zone", name), F("offset", offset), F("ms", took));
 *
 * The message is a constant in lower case that can be searched for, the facts are fields. Values
 * are escaped, so nothing from outside can forge a line. Never secrets, never zone bodies.
 * debug; info = state changed; warn = we coped; error = a human is needed.
 *
 * Threads: any; a line is written with one write().
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

enum level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARN, LEVEL_ERROR };

struct log_field {
	const char *name;
	enum { FIELD_TEXT, FIELD_INT, FIELD_DOUBLE, FIELD_BOOL, FIELD_SPAN } kind;
	union {
		const char *text; /* NULL prints as empty */
		int64_t integer;
		double real;
		bool truth;
		struct span span;
	} value;
};

struct log_field log_field_text(const char *name, const char *value);
struct log_field log_field_int(const char *name, int64_t value);
struct log_field log_field_double(const char *name, double value);
struct log_field log_field_bool(const char *name, bool value);
struct log_field log_field_span(const char *name, struct span value);

/* clang-format off */
#define F(name, value)                                                                             \
	_Generic((value),                                                                          \
		char *: log_field_text, const char *: log_field_text,                              \
		bool: log_field_bool,                                                              \
		float: log_field_double, double: log_field_double,                                 \
		struct span: log_field_span,                                                       \
		default: log_field_int)(name, value)
/* clang-format on */

#define log_debug(message, ...) LOG_LINE(LEVEL_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...) LOG_LINE(LEVEL_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...) LOG_LINE(LEVEL_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) LOG_LINE(LEVEL_ERROR, message, ##__VA_ARGS__)

#define LOG_LINE(level, message, ...)                                                   \
	do {                                                                            \
		if (log_enabled(level)) {                                               \
			log_write(level, message,                                       \
				  (struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}}); \
		}                                                                       \
	} while (0)

/* `service` (borrowed for the life of the process) is the field "svc" of every line. */
void log_setup(const char *service, enum level lowest, bool json);
bool log_enabled(enum level level);
/* `fields` ends with a field without a name. */
void log_write(enum level level, const char *message, const struct log_field *fields);

#endif
