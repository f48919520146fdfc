/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h: the two kinds of bytes. `struct span` is a borrowed view, `struct buf` is owned and
 * grows up to a ceiling that is given when it is made.
 *
 * A buf keeps one NUL byte behind its content, so buf_text() is a C string at no cost. Going over
 * the ceiling sets `overflow` and drops the rest: the writer of a long text checks once, at the
 * end. Out of memory aborts: the log is the store, unfinished work is replayed.
 *
 * Threads: none of this is shared.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/outcome.h"

struct span {
	const char *data; /* may hold NUL bytes; not terminated */
	size_t len;
};

struct buf {
	char *data;
	size_t len;
	size_t size;
	size_t ceiling;
	bool overflow;
};

#define BUF_INIT(ceiling_bytes)            \
	{                                  \
		.ceiling = (ceiling_bytes) \
	}
#define SPAN_EMPTY ((struct span){0})

struct span span_of(const char *text); /* NULL gives an empty span */
bool span_equal(struct span a, struct span b);
bool span_is(struct span a, const char *text);
/* Length-aware, ASCII letters only. */
bool span_is_nocase(struct span a, const char *text);
bool span_has_byte(struct span a, char byte);

void buf_init(struct buf *buf, size_t ceiling_bytes);
void buf_finish(struct buf *buf);
void buf_clear(struct buf *buf); /* keeps the memory */
void buf_add(struct buf *buf, struct span bytes);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_byte(struct buf *buf, char byte);
void buf_add_number(struct buf *buf, uint64_t number);
void buf_addf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
struct span buf_span(const struct buf *buf);
const char *buf_text(const struct buf *buf); /* borrowed until the next change; never NULL */
/* Takes the bytes out; yours to free(). The buf is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf);

/* Never NULL: out of memory aborts. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);

#endif
