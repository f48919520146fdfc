/* SPDX-License-Identifier: Apache-2.0 */
/* event_scan.h: finds the two long lists of an event, `rrsets` and `earlier`, in its text and reads
 * them without jansson, whose tree of them costs several times all the rest of an event.
 *
 * The scanner only recognises, it never judges: a list that is in the form of proto/ is cut out and
 * jansson gets the text with `[]` in its place; anything else stays in, for jansson and the taker
 * of the field. What is cut out is a whole JSON array without a key that stands twice, between two
 * tokens of what jansson accepts, so the text with `[]` is valid JSON exactly if the text is. How
 * the scanner walks over the rest may therefore be loose.
 *
 * In the form of proto/: the keys of each object are a closed set, each there once, in any order;
 * strings are printable ASCII once their escapes are decoded. What they say is for the caller.
 *
 * Everything borrows from the text. Threads: none of this is shared.
 */
#ifndef COMMON_EVENT_SCAN_H
#define COMMON_EVENT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct cursor {
	const char *at;
	const char *end;
};

enum rrset_part { RRSET_NAME, RRSET_TYPE, RRSET_TTL, RRSET_RDATA, RRSET_WHOLE };

/* One RRset, its strings as they stand between the quotes (scan_unescape). */
struct rrset_text {
	struct span name;
	struct span type;
	int64_t ttl;
	struct cursor rdata; /* before the first of the strings */
	size_t count;        /* of them; at least one */
	size_t bytes;        /* of all strings, with a NUL each */
};

struct earlier_text {
	struct span id;
	int64_t at_ms;
};

struct event_lists {
	struct span cuts[2]; /* in the order of the text */
	size_t cut_count;

	struct cursor rrsets; /* before the first one; at == NULL: not there or not in our form */
	size_t rrset_count;
	size_t rdata_count;
	size_t rrset_bytes;   /* of all their strings, with a NUL each */
	size_t odd_rrset;     /* not in our form: which one ... */
	enum rrset_part part; /* ... and what of it */

	struct cursor earlier;
	size_t earlier_count;
};

/* The lists of the object `text`, or of the object in its field `inside` (NULL: its own).
 * `earlier` is looked for only if it is asked for: elsewhere it is a field like any other. */
void event_lists_find(struct span text, const char *inside, bool with_earlier,
		      struct event_lists *out);

/* True: *cursor has moved behind it; else *cursor may be anywhere. White space before it is fine.
 */
bool scan_byte(struct cursor *cursor, char byte);
bool scan_string(struct cursor *cursor, struct span *out);
/* `part` says what was odd. */
bool scan_rrset(struct cursor *cursor, struct rrset_text *out, enum rrset_part *part);
bool scan_earlier(struct cursor *cursor, struct earlier_text *out);

/* Writes what scan_string found, without NUL; at most as many bytes as it has. Says how many. */
size_t scan_unescape(struct span string, char *out);

#endif
