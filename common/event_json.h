/* SPDX-License-Identifier: Apache-2.0 */
/* event_json.h: how the event*.c files read and write JSON. Nobody else includes this.
 *
 * Writing prints straight into a buf (event_write.c). Reading cuts the long lists out of the text
 * (event_scan.c), lets jansson parse the rest, then *takes* one field after the other out of the
 * object and copies it into the event's own memory (event_open.c, event_read.c, event_rrset.c);
 * what is left at the end are the fields we do not know.
 *
 * The first thing that is wrong sticks: every later fields_* call does nothing and answers
 * NULL, 0 or false, and fields_close gives that outcome back. So a decoder is a straight list.
 *
 * Threads: none of this is shared.
 */
#ifndef COMMON_EVENT_JSON_H
#define COMMON_EVENT_JSON_H

#include "common/event.h"
#include "common/event_scan.h"

/* I9: no value that we take for an event is larger; the largest message of any topic fits. */
#define EVENT_BYTES_MAX ((size_t)17 << 20)
/* Integers that jq and every other JSON reader keep exact. */
#define INTEGER_MAX INT64_C(9007199254740991)

#define KIND_PUSH "push"
#define KIND_ZONE "zone"
#define KIND_EPOCH "epoch"
#define KIND_BARRIER "barrier"
#define KIND_HEAL "heal"
#define KIND_STATUS "status"
#define KIND_BACKEND "backend"
#define KIND_AUDIT "audit"
#define KIND_RETRY "retry"
/* What we write, for all kinds; the major number is also the highest that we read. */
#define SCHEMA_MAJOR 1
int event_schema_minor(const char *kind);

/* --- writing ---------------------------------------------------------------------------------- */

/* {"schema":"KIND/1.0" (or its minor) */
void event_put_begin(struct buf *out, const char *kind);
/* The fields of `extra` (NULL: none) and the closing brace. */
void event_put_end(struct buf *out, const char *extra);

/* Each prints ,"NAME":VALUE; NULL or empty texts, false flags and absent values print nothing. */
void event_put_text(struct buf *out, const char *name, const char *text);
/* A text for people: cut at EVENT_NOTE_MAX, bytes that are not printable ASCII become '?'. */
void event_put_note(struct buf *out, const char *name, const char *text);
void event_put_notes(struct buf *out, const char *name, const char *const *texts, size_t count);
void event_put_flag(struct buf *out, const char *name, bool flag);
void event_put_number(struct buf *out, const char *name, int64_t number);
void event_put_time(struct buf *out, const char *name, int64_t wall_ms);
/* Microseconds as milliseconds with three decimals; negative: nothing. */
void event_put_took(struct buf *out, const char *name, int64_t us);
void event_put_id(struct buf *out, const char *name, const struct event_id *id);
/* A version object; none: nothing. */
void event_put_version(struct buf *out, const char *name, struct version version);
/* A version object, or "absent" for none. */
void event_put_version_or_absent(struct buf *out, const char *name, struct version version);
void event_put_rrsets(struct buf *out, const struct rrset *rrsets, size_t count);
/* ,"NAME": and nothing else. */
void event_put_key(struct buf *out, const char *name);

/* --- reading ---------------------------------------------------------------------------------- */

struct json_t; /* jansson's */
struct event_memory;

/* No kind of event has more. */
#define FIELDS_MAX 32

struct fields {
	struct json_t *object;
	const char *taken[FIELDS_MAX]; /* names: borrowed, literals */
	size_t taken_count;
	struct event_lists lists; /* borrow from the bytes of the event */
	struct event_memory *memory;
	const char *where; /* before field names in texts: "" or "value." */
	struct reason *why;
	enum outcome outcome;
};

enum need { OPTIONAL, REQUIRED };

/* Always followed by fields_close, whatever happens. */
void fields_open(struct fields *fields, struct span bytes, const char *kind, struct reason *why);
/* The event in field `name`; shares the memory of `outer`. Followed by fields_close_inner. */
void fields_open_inner(struct fields *inner, struct fields *outer, const char *name,
		       const char *kind, const char *where);
/* Gives the memory to *memory, or frees it if something was wrong. */
MUST_CHECK enum outcome fields_close(struct fields *fields, void **memory);
void fields_close_inner(struct fields *inner, struct fields *outer);

/* Our own verdict on a field; keeps an earlier one. */
void fields_refuse(struct fields *fields, const char *name, const char *what);
bool fields_has(const struct fields *fields, const char *name);
bool fields_is(const struct fields *fields, const char *name, const char *text);
/* Refuses the event if it has this field. */
void fields_forbid(struct fields *fields, const char *name, const char *what);

/* Printable ASCII, 1 to `max` bytes. In a list of texts one may be empty. */
const char *fields_text(struct fields *fields, const char *name, enum need need, size_t max);
const char *fields_backend(struct fields *fields, const char *name);
const char *fields_digest(struct fields *fields, const char *name, enum need need);
const char *const *fields_texts(struct fields *fields, const char *name, size_t *count);
bool fields_flag(struct fields *fields, const char *name);
int64_t fields_number(struct fields *fields, const char *name, enum need need, int64_t min,
		      int64_t max);
/* 0 if it is not there. */
int64_t fields_time(struct fields *fields, const char *name, enum need need);
/* -1 if it is not there. */
int64_t fields_took(struct fields *fields, const char *name);
bool fields_id(struct fields *fields, const char *name, enum need need, struct event_id *out);
bool fields_version(struct fields *fields, const char *name, enum need need, struct version *out);
/* None for "absent"; false if the field is not there. */
bool fields_version_or_absent(struct fields *fields, const char *name, struct version *out);
void fields_name(struct fields *fields, const char *name, struct name *out);
const struct earlier_push *fields_earlier(struct fields *fields, const char *name, size_t *count);
const struct rrset *fields_rrsets(struct fields *fields, const char *name, const struct name *zone,
				  size_t *count);
/* Takes the RRsets, which must be a filled list, and drops them. */
void fields_drop_rrsets(struct fields *fields, const char *name);
/* What nobody took, or NULL. The last call. */
const char *fields_extra(struct fields *fields);

/* Shared by the files that read. `fields_take` gives a value borrowed from the object, or NULL. No
 * field is taken twice. */
struct json_t *fields_take(struct fields *fields, const char *name, enum need need);
void *event_memory_get(struct fields *fields, size_t size); /* aligned for pointers */
const char *event_memory_text(struct fields *fields, struct span text);
/* The next `size` bytes lie in one block, and what the block had free follows them. */
void event_memory_reserve(struct fields *fields, size_t size);
/* A string of event_scan.h. */
struct span event_memory_string(struct fields *fields, struct span string);
void event_memory_free(void *memory);

/* NULL: a zone file can carry this as it is; else what is wrong, as the end of a sentence. */
const char *rrset_name_problem(struct span name, const struct name *zone);
const char *rrset_type_problem(struct span type);
const char *rdata_problem(struct span rdata);

/* A zone event is also the value of a heal. */
void zone_event_take(struct fields *fields, struct zone_event *out, bool with_rrsets);

#endif
