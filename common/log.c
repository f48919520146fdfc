/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/clock.h"

#define LINE_BYTES_MAX 16384
/* One value cannot push the others out of the line. */
#define VALUE_BYTES_MAX 2048

static const char *service_name = "";
static bool as_json = true;
static _Atomic int lowest_level = LEVEL_INFO;

static const char *const level_names[] = {
	[LEVEL_DEBUG] = "debug",
	[LEVEL_INFO] = "info",
	[LEVEL_WARN] = "warn",
	[LEVEL_ERROR] = "error",
};

struct log_field log_field_text(const char *name, const char *value)
{
	return (struct log_field){.name = name, .kind = FIELD_TEXT, .value.text = value};
}

struct log_field log_field_int(const char *name, int64_t value)
{
	return (struct log_field){.name = name, .kind = FIELD_INT, .value.integer = value};
}

struct log_field log_field_double(const char *name, double value)
{
	return (struct log_field){.name = name, .kind = FIELD_DOUBLE, .value.real = value};
}

struct log_field log_field_bool(const char *name, bool value)
{
	return (struct log_field){.name = name, .kind = FIELD_BOOL, .value.truth = value};
}

struct log_field log_field_span(const char *name, struct span value)
{
	return (struct log_field){.name = name, .kind = FIELD_SPAN, .value.span = value};
}

void log_setup(const char *service, enum level lowest, bool json)
{
	service_name = service;
	lowest_level = (int)lowest;
	as_json = json;
}

bool log_enabled(enum level level)
{
	return (int)level >= lowest_level;
}

static bool is_continuation(struct span text, size_t at)
{
	return at < text.len && ((unsigned char)text.data[at] & 0xc0) == 0x80;
}

/* Bytes of the well formed UTF-8 character at `at` (RFC 3629), or 0. */
static size_t utf8_len(struct span text, size_t at)
{
	unsigned char first = (unsigned char)text.data[at];
	unsigned char second;
	size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (first < 0x80) {
		return 1;
	}
	if (first < 0xc2 || first > 0xf4) {
		return 0;
	}
	for (size_t i = 1; i < len; i++) {
		if (!is_continuation(text, at + i)) {
			return 0;
		}
	}
	second = (unsigned char)text.data[at + 1];
	if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
	    (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
		return 0;
	}
	return len;
}

/* I10: control bytes (also U+0080 to U+009F, which terminals obey) and what is no UTF-8 never
 * reach the line. */
static void add_escaped(struct buf *line, struct span text)
{
	size_t end = text.len < VALUE_BYTES_MAX ? text.len : VALUE_BYTES_MAX;
	size_t at = 0;

	while (at < end) {
		unsigned char c = (unsigned char)text.data[at];
		size_t len = utf8_len(text, at);

		if (c == '"' || c == '\\') {
			buf_add_byte(line, '\\');
			buf_add_byte(line, (char)c);
		} else if (c == '\n') {
			buf_add_text(line, "\\n");
		} else if (c < 0x20 || c == 0x7f || len == 0) {
			buf_addf(line, "\\u%04x", c);
		} else if (len == 2 && c == 0xc2 && (unsigned char)text.data[at + 1] < 0xa0) {
			buf_addf(line, "\\u%04x", (unsigned char)text.data[at + 1]);
		} else {
			buf_add(line, (struct span){text.data + at, len});
		}
		at += len == 0 ? 1 : len;
	}
	if (end < text.len) {
		buf_add_text(line, "...");
	}
}

static void add_quoted(struct buf *line, struct span text)
{
	buf_add_byte(line, '"');
	add_escaped(line, text);
	buf_add_byte(line, '"');
}

/* logfmt goes without quotes where that is unambiguous. */
static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
			return false;
		}
	}
	return text.len != 0 && text.len < VALUE_BYTES_MAX;
}

static void add_text(struct buf *line, struct span text)
{
	if (!as_json && is_plain(text)) {
		buf_add(line, text);
	} else {
		add_quoted(line, text);
	}
}

static void add_name(struct buf *line, const char *name)
{
	if (as_json) {
		buf_add_byte(line, line->len == 0 ? '{' : ',');
		add_quoted(line, span_of(name));
		buf_add_byte(line, ':');
	} else {
		if (line->len != 0) {
			buf_add_byte(line, ' ');
		}
		buf_addf(line, "%s=", name);
	}
}

static void add_pair(struct buf *line, const char *name, const char *text)
{
	add_name(line, name);
	add_text(line, span_of(text));
}

static void add_field(struct buf *line, const struct log_field *field)
{
	add_name(line, field->name);
	switch (field->kind) {
	case FIELD_TEXT:
		add_text(line, span_of(field->value.text));
		break;
	case FIELD_SPAN:
		add_text(line, field->value.span);
		break;
	case FIELD_INT:
		buf_addf(line, "%" PRId64, field->value.integer);
		break;
	case FIELD_DOUBLE:
		if (isfinite(field->value.real)) {
			buf_addf(line, "%.6g", field->value.real);
		} else {
			buf_add_text(line, "null"); /* JSON has no word for it */
		}
		break;
	case FIELD_BOOL:
		buf_add_text(line, field->value.truth ? "true" : "false");
		break;
	}
}

void log_write(enum level level, const char *message, const struct log_field *fields)
{
	struct buf line = BUF_INIT(LINE_BYTES_MAX);
	char now[CLOCK_TEXT_SIZE];
	ssize_t written;

	clock_text(clock_wall_ms(), now);
	add_pair(&line, "ts", now);
	add_pair(&line, "level", level_names[level]);
	add_pair(&line, "svc", service_name);
	add_pair(&line, "msg", message);
	for (; fields->name != NULL; fields++) {
		size_t before = line.len;

		add_field(&line, fields);
		if (line.overflow || line.len > LINE_BYTES_MAX - 32) {
			line.len = before; /* a whole field or none: the line stays JSON */
			line.overflow = false;
			add_name(&line, "cut");
			buf_add_text(&line, "true");
			break;
		}
	}
	buf_add_text(&line, as_json ? "}\n" : "\n");
	written = write(STDERR_FILENO, buf_text(&line), line.len);
	(void)written; /* nobody is left to be told */
	buf_finish(&line);
}
