/* SPDX-License-Identifier: Apache-2.0 */
#include "common/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct span span_of(const char *text)
{
	if (text == NULL) {
		return SPAN_EMPTY;
	}
	return (struct span){text, strlen(text)};
}

bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool span_is(struct span a, const char *text)
{
	return span_equal(a, span_of(text));
}

bool span_is_nocase(struct span a, const char *text)
{
	size_t len = strlen(text);

	return a.len == len && (len == 0 || strncasecmp(a.data, text, len) == 0);
}

bool span_has_byte(struct span a, char byte)
{
	return a.len != 0 && memchr(a.data, byte, a.len) != NULL;
}

void buf_init(struct buf *buf, size_t ceiling_bytes)
{
	*buf = (struct buf)BUF_INIT(ceiling_bytes);
}

void buf_finish(struct buf *buf)
{
	if (buf == NULL) {
		return;
	}
	free(buf->data);
	buf->data = NULL;
	buf->len = 0;
	buf->size = 0;
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->overflow = false;
	if (buf->data != NULL) {
		buf->data[0] = '\0';
	}
}

/* Makes room for `more` bytes and the NUL. False: the ceiling is reached. */
static bool reserve(struct buf *buf, size_t more)
{
	size_t need;
	size_t size;

	if (more > buf->ceiling || buf->len > buf->ceiling - more) {
		buf->overflow = true;
		return false;
	}
	need = buf->len + more + 1;
	if (need <= buf->size) {
		return true;
	}
	size = buf->size < 256 ? 256 : buf->size * 2;
	if (size < need) {
		size = need;
	}
	buf->data = xrealloc(buf->data, size);
	buf->size = size;
	return true;
}

void buf_add(struct buf *buf, struct span bytes)
{
	if (bytes.len == 0 || !reserve(buf, bytes.len)) {
		return;
	}
	memcpy(buf->data + buf->len, bytes.data, bytes.len);
	buf->len += bytes.len;
	buf->data[buf->len] = '\0';
}

void buf_add_text(struct buf *buf, const char *text)
{
	buf_add(buf, span_of(text));
}

void buf_add_byte(struct buf *buf, char byte)
{
	if (!reserve(buf, 1)) {
		return;
	}
	buf->data[buf->len++] = byte;
	buf->data[buf->len] = '\0';
}

void buf_add_number(struct buf *buf, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	buf_add(buf, (struct span){digits + at, sizeof(digits) - at});
}

void buf_addf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_list again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(len >= 0);
	if (reserve(buf, (size_t)len)) {
		(void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	}
	va_end(again);
}

struct span buf_span(const struct buf *buf)
{
	return (struct span){buf->data, buf->len};
}

const char *buf_text(const struct buf *buf)
{
	return buf->data == NULL ? "" : buf->data;
}

char *buf_take(struct buf *buf)
{
	char *bytes = buf->data;

	if (bytes == NULL) {
		bytes = xcalloc(1, 1);
	}
	buf->data = NULL;
	buf->len = 0;
	buf->size = 0;
	return bytes;
}

static void *check(void *memory)
{
	if (memory == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return memory;
}

void *xmalloc(size_t size)
{
	return check(malloc(size == 0 ? 1 : size));
}

void *xcalloc(size_t count, size_t size)
{
	return check(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *xrealloc(void *old, size_t size)
{
	return check(realloc(old, size == 0 ? 1 : size));
}

char *xstrdup(const char *text)
{
	return check(strdup(text));
}

char *xstrndup(const char *text, size_t len)
{
	return check(strndup(text, len));
}
