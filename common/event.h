/* SPDX-License-Identifier: Apache-2.0 */
/* event.h: what travels in Kafka, as structs and as bytes. proto/ is the contract (JSON Schema and
 * examples, which are this codec's golden tests). jansson stays in event_*.c.
 *
 * Every value is one JSON object whose first field is "schema": "<kind>/<major>.<minor>". A reader
 * keeps fields it does not know (`extra`: decode then encode gives them back) and stops at a newer
 * major version: event_decode answers TEMPFAIL for that ("upgrade me"), PERMFAIL for everything
 * that is not ours or not whole (it belongs in the dead letters).
 *
 * Encoding borrows; a decoded event owns its texts in `memory`: *_finish frees them.
 * `extra` belongs to the kind it was decoded from: never hand it on to another kind. An empty text
 * is written as none.
 * Decoding checks what a later hand relies on (I10): names by name_parse, RRset names inside the
 * zone, printable ASCII everywhere, known states and operations.
 */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/name.h"
#include "common/outcome.h"
#include "common/zone.h"

/* What the decoders take, and so what others check before they make an event: a longer owner or
 * backend is refused. Texts for people (reason, because, warnings) are cut and cleaned instead. */
#define EVENT_TEXT_MAX 255
#define EVENT_BACKEND_MAX 63
#define EVENT_NOTE_MAX 1024
/* Earlier pushes that a value lists. */
#define ZONE_EARLIER_MAX 256

/* --- versions and ids ------------------------------------------------------------------------- */

/* I4: (epoch, offset in dadns.pushes) of the push that made a value. epoch 0 = none. */
struct version {
	int64_t epoch;
	int64_t offset;
};
int version_compare(struct version a, struct version b);
bool version_is_none(struct version version);
#define VERSION_TEXT_SIZE 44
/* "EPOCH-OFFSET", for headers, file comments and logs; "none". */
void version_text(struct version version, char out[VERSION_TEXT_SIZE]);
bool version_parse(struct span text, struct version *out);

/* UUID version 7 (RFC 9562): unique without coordination; its time is for people only. */
struct event_id {
	uint8_t bytes[16];
};
struct event_id event_id_create(void);
bool event_id_equal(const struct event_id *a, const struct event_id *b);
#define EVENT_ID_TEXT_SIZE 37
void event_id_text(const struct event_id *id, char out[EVENT_ID_TEXT_SIZE]);
bool event_id_parse(struct span text, struct event_id *out);

/* --- keys ------------------------------------------------------------------------------------- */

#define TOPIC_PUSHES "dadns.pushes"
#define TOPIC_ZONES "dadns.zones"
#define TOPIC_HEALS "dadns.heals"
#define TOPIC_STATUS "dadns.status"
#define TOPIC_DEAD_LETTERS "dadns.dead-letters"
#define TOPIC_AUDITS "dadns.audits"

/* Reserved keys of dadns.zones; `@` cannot stand in a zone name. */
#define KEY_EPOCH "@epoch"
#define KEY_BARRIER "@barrier"
#define KEY_REFUSED "@refused/" /* and a push's id: a held one that the judge refused; a status */

/* --- dadns.pushes: what was said -------------------------------------------------------------- */

enum push_op { PUSH_SAVE, PUSH_DELETE };
enum only_if { ONLY_IF_UNSET, ONLY_IF_ABSENT, ONLY_IF_VERSION };

struct push_event {
	struct event_id id;
	enum push_op op;
	struct name zone;
	const char *owner;    /* DA hostname the push speaks for */
	const char *username; /* NULL: admin level */
	const char *sender;   /* the credential */
	const char *source;   /* address it came from; NULL: none */
	int64_t received_at_ms;
	bool now;            /* named_reload=yes: overtakes a backlog */
	bool mass;           /* I11 */
	bool unchecked;      /* taken while Redis could not be asked for a hold */
	struct version seen; /* held pushes: highest version the door knew; none = absent */
	bool has_seen;
	enum only_if only_if; /* I6 */
	struct version only_if_version;
	/* PUSH_SAVE only: */
	uint32_t serial;
	const char *digest;
	const struct rrset *rrsets;
	size_t rrset_count;
	const char *const *warnings;
	size_t warning_count;

	const char *extra; /* NULL or a JSON object of fields we do not know */
	void *memory;
};
void push_event_encode(const struct push_event *event, struct buf *out);
/* Into a value that was encoded without them: mass, unchecked and seen, which the door learns
 * later. */
void push_event_add_marks(const struct push_event *event, struct buf *value);
MUST_CHECK enum outcome push_event_decode(struct span bytes, struct push_event *out,
					  struct reason *why);
void push_event_finish(struct push_event *event);

/* --- dadns.zones: what is true ---------------------------------------------------------------- */

struct earlier_push {
	struct event_id id;
	int64_t at_ms; /* LogAppendTime of that push */
};

struct zone_event {
	struct name zone;
	struct version version;
	struct event_id id; /* of the push that made it */
	bool deleted;
	const char *owner;
	const char *username; /* NULL: admin level */
	const char *sender;
	int64_t received_at_ms; /* when the door took the push */
	int64_t pushed_at_ms;   /* LogAppendTime of the push */
	bool now;
	bool unchecked;
	bool unchanged; /* same digest, owner and username as the value before it: only verify */
	const struct earlier_push *earlier; /* oldest first */
	size_t earlier_count;
	/* not deleted: */
	uint32_t serial;
	const char *digest;
	const struct rrset *rrsets;
	size_t rrset_count;

	const char *extra;
	void *memory;
};
/* A zone that is not deleted must have its RRsets, or the process ends (I5): a summary is never
 * written back. */
void zone_event_encode(const struct zone_event *event, struct buf *out);
MUST_CHECK enum outcome zone_event_decode(struct span bytes, struct zone_event *out,
					  struct reason *why);
/* As above, but leaves `rrsets` out (count 0): for readers that keep no content. */
MUST_CHECK enum outcome zone_event_decode_summary(struct span bytes, struct zone_event *out,
						  struct reason *why);
void zone_event_finish(struct zone_event *event);

/* Null values (tombstones) have no bytes: the version that they bury is in the header
 * "dadns-buries" (I5). */
#define HEADER_BURIES "dadns-buries"

/* Reserved records of dadns.zones. */
struct epoch_event {
	int64_t epoch;
	int64_t made_at_ms;
	int32_t partition;
	int32_t partitions; /* of the topic when it was made: a changed count stops the services */
};
void epoch_event_encode(const struct epoch_event *event, struct buf *out);
MUST_CHECK enum outcome epoch_event_decode(struct span bytes, struct epoch_event *out,
					   struct reason *why);
struct barrier_event {
	struct event_id judge; /* which judge took the partition over */
	int64_t made_at_ms;
	int32_t partition;
};
void barrier_event_encode(const struct barrier_event *event, struct buf *out);
MUST_CHECK enum outcome barrier_event_decode(struct span bytes, struct barrier_event *out,
					     struct reason *why);

/* --- dadns.heals: compare-and-swap for one backend (I6) --------------------------------------- */

struct heal_event {
	struct event_id id;
	const char *backend;
	struct name zone;
	bool unseen; /* nobody looked (a replay): fenced by version alone, as a record of zones */
	bool saw_absent;
	const char *saw_digest;     /* NULL when absent or unseen */
	struct version saw_version; /* none: could not be read */
	bool stuck_ahead;           /* saw_version names a stamp that may be overwritten */
	const char *by;             /* "reconciler", "dlq replay", ... */
	const char *because;
	int64_t made_at_ms;
	struct zone_event value; /* what the log says */

	const char *extra;
	void *memory;
};
void heal_event_encode(const struct heal_event *event, struct buf *out);
MUST_CHECK enum outcome heal_event_decode(struct span bytes, struct heal_event *out,
					  struct reason *why);
void heal_event_finish(struct heal_event *event);

/* --- dadns.status: what became of it ---------------------------------------------------------- */

#define STATUS_JUDGE "judge" /* the backend name under which the judge speaks */

enum status_state {
	/* the judge's verdicts */
	STATUS_ACCEPTED,
	STATUS_UNCHANGED,
	STATUS_STALE,
	STATUS_REFUSED,
	STATUS_HELD,
	/* a backend's */
	STATUS_APPLIED,
	STATUS_VERIFIED, /* equal or unchanged content: served already */
	STATUS_RETRYING,
	STATUS_DEAD,
	STATUS_MISSING,
	STATUS_DRIFTED,
	STATUS_UNDEAD,
	STATUS_FOREIGN,
	STATUS_CONFLICT,
	STATUS_AWAY, /* the whole backend; zone is "-" */
	STATUS_BACK,
	STATUS_STATES
};
const char *status_state_text(enum status_state state);

/* Where a record stands. */
struct log_place {
	const char *topic; /* NULL: nowhere */
	int32_t partition;
	int64_t offset;
};

struct status_event {
	const char *backend;
	struct name zone; /* len 0: the whole backend */
	enum status_state state;
	struct version version;
	bool has_id;
	struct event_id id; /* of the push */
	bool deleted;       /* that version is a delete */
	uint32_t serial;
	const char *digest; /* NULL: none (deleted, refused) */
	const char *owner;  /* NULL: unknown */
	const char *rule;   /* of a refusal: "owner", "only_if", "duplicate", "seen", "mass", ... */
	const char *reason; /* NULL: none */
	struct log_place record; /* retrying, dead: what was refused, to find it again */
	int64_t attempt;         /* 0: does not apply */
	int64_t next_try_ms;     /* 0: none; wall clock */
	int64_t took_us;         /* -1: unknown */
	int64_t lag_us;          /* received by the door -> this state; -1: unknown */
	int64_t at_ms;
	const char *by; /* host:pid of the one who says it */

	const char *extra;
	void *memory;
};
/* The key: "<backend>/<zone>"; a backend has no slash in its name. */
void status_event_key(const struct status_event *event, struct buf *out);
void status_event_encode(const struct status_event *event, struct buf *out);
MUST_CHECK enum outcome status_event_decode(struct span bytes, struct status_event *out,
					    struct reason *why);
void status_event_finish(struct status_event *event);

/* --- dadns.audits: the registry of backends, and the last audit of each ----------------------- */

/* Two records under two keys: each has its own writer, so neither overwrites the other. */

/* In the registry: written by the backend's writer when it joins, by `dadns backend retire`. */
struct backend_event {
	const char *backend;
	const char *type; /* "bind", "coredns_mysql", "powerdns_mysql" */
	bool retired;
	int64_t joined_at_ms;
	int64_t retired_at_ms; /* 0: not retired */

	const char *extra;
	void *memory;
};
/* The key: "<backend>". */
void backend_event_key(const struct backend_event *event, struct buf *out);
void backend_event_encode(const struct backend_event *event, struct buf *out);
MUST_CHECK enum outcome backend_event_decode(struct span bytes, struct backend_event *out,
					     struct reason *why);
void backend_event_finish(struct backend_event *event);

/* The last audit pass over a backend: written by the reconciler. */
struct audit_event {
	const char *backend;
	int64_t started_at_ms;
	int64_t finished_at_ms; /* 0: under way */
	int64_t zones_expected, zones_checked, missing, drifted, undead, foreign, unreadable,
		healed;
	const char *const *samples; /* names of zones that were found wrong, a few */
	size_t sample_count;

	const char *extra;
	void *memory;
};
/* The key: "<backend>/audit"; a backend has no slash in its name. */
void audit_event_key(const struct audit_event *event, struct buf *out);
void audit_event_encode(const struct audit_event *event, struct buf *out);
MUST_CHECK enum outcome audit_event_decode(struct span bytes, struct audit_event *out,
					   struct reason *why);
void audit_event_finish(struct audit_event *event);

/* --- in Redis: a zone that a backend refused (common/retry.h) --------------------------------- */

struct retry_event {
	const char *backend;
	struct name zone;
	struct version version;
	const char *topic; /* where its record stands: dadns.zones or dadns.heals */
	int32_t partition;
	int64_t offset;
	int64_t attempt; /* failed tries so far */
	bool dead;       /* all were used up, the record is in the dead letters */
	int64_t first_failed_at_ms;
	const char *reason; /* NULL: none */

	void *memory;
};
void retry_event_encode(const struct retry_event *event, struct buf *out);
MUST_CHECK enum outcome retry_event_decode(struct span bytes, struct retry_event *out,
					   struct reason *why);
void retry_event_finish(struct retry_event *event);

/* --- headers ---------------------------------------------------------------------------------- */

struct header {
	const char *name;
	struct span value;
};

/* CloudEvents 1.0 binary binding (ce_specversion, ce_id, ce_source, ce_type, ce_subject, ce_time,
 * ce_dataschema, content-type) and traceparent. ce_type is "dadns.KIND" ("dadns.push"). */
#define EVENT_HEADERS_MAX 9
struct event_headers {
	struct header items[EVENT_HEADERS_MAX];
	size_t count;
	char id[EVENT_ID_TEXT_SIZE];
	char time[25];
	char type[24];
	char schema[40];
};
/* `kind` is the schema kind ("push"). `source` ("/ingest/host"), `zone` (the subject; in
 * dadns.audits the backend) and `traceparent` (may be empty) are borrowed: they must outlive `out`.
 */
void event_headers(struct event_headers *out, const char *kind, const struct event_id *id,
		   const char *source, const char *zone, int64_t at_ms, struct span traceparent);
#define TRACEPARENT_SIZE 56
/* W3C trace context: a valid one from outside is continued as it is, else a new one is made. */
void traceparent_make(struct span from_outside, char out[TRACEPARENT_SIZE]);

/* dadns.dead-letters: key and value stay the original bytes; these text headers say why. */
struct dead_letter {
	const char *topic;
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms;
	const char *group;   /* consumer group that gave up */
	const char *backend; /* NULL: none */
	const char *stage;   /* "decode", "apply", "verify" */
	const char *code;    /* stable word: "undecodable", "refused", ... */
	const char *message;
	int64_t attempts;
	int64_t first_failed_at_ms;
};
#define DEAD_LETTER_HEADERS_MAX 16
struct dead_letter_headers {
	struct header items[DEAD_LETTER_HEADERS_MAX];
	size_t count;
	char numbers[8][24];
};
/* dlq.original.topic/partition/offset/timestamp, dlq.group, dlq.backend, dlq.stage, dlq.error.code,
 * dlq.error.message, dlq.attempts, dlq.first-failed-at, and
 * __connect.errors.topic/partition/offset/ exception.message. Borrows from `letter`. */
void dead_letter_headers(struct dead_letter_headers *out, const struct dead_letter *letter);

#endif
