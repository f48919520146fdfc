/* SPDX-License-Identifier: Apache-2.0 */
/* name.h: a checked zone name. Only name_parse makes one, so whoever is handed a `struct name`
 * need not fear `../etc`, quotes, spaces, control bytes, NUL or an upper case twin (I10).
 *
 * Text form: lower case, no final dot, labels of a-z 0-9 - _ (1..63), 253 bytes at most; `/` is
 * allowed only below in-addr.arpa and ip6.arpa (RFC 2317). No root; a single label is a name
 * (look-ups get typed prefixes) but no zone: see name_label_count.
 */
#ifndef COMMON_NAME_H
#define COMMON_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/outcome.h"

#define NAME_TEXT_MAX 253

struct name {
	uint8_t len;
	char text[NAME_TEXT_MAX + 1]; /* NUL terminated; bytes after it are zero */
};

/* Lower-cases, removes one final dot. PERMFAIL: `why` says which rule, quoting the input escaped
 * and cut. */
MUST_CHECK enum outcome name_parse(struct span text, struct name *out, struct reason *why);
struct span name_span(const struct name *name);
bool name_equal(const struct name *a, const struct name *b);
/* True for "www.example.com" below "example.com"; not for equal names. */
bool name_is_below(const struct name *name, const struct name *ancestor);
/* The name one label up; false for a single label. */
bool name_parent(const struct name *name, struct name *out);
size_t name_label_count(const struct name *name);
/* A stable 64-bit hash (FNV-1a) for tables. */
uint64_t name_hash(const struct name *name);

/* Any bytes from outside, made fit for a message or a log line: escaped, and cut with `...`. */
struct name_quote {
	char text[80];
};
struct name_quote name_quote(struct span bytes);

#define NAME_FILE_SIZE 256
/* A file name for this zone without suffix: the text with `/` as %2f, or if that is over 200 bytes
 * the first 120 bytes, `~` and 64 hex digits of SHA-256. Never starts with a dot. */
void name_file(const struct name *name, char out[NAME_FILE_SIZE]);

#endif
