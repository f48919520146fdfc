/* SPDX-License-Identifier: Apache-2.0 */
/* writer_parts.h: the writer core's own struct, for its files only: writer.c (life and progress),
 * writer_read.c (reads ahead), writer_apply.c (batches, the backend's circuit), writer_retry.c
 * (zones that the backend refused; writer_retry_parts.h has its own files), writer_say.c (what it
 * tells the log: statuses, dead letters, the registry).
 *
 * Threads: all of it belongs to the writer's one thread.
 */
#ifndef COMMON_WRITER_PARTS_H
#define COMMON_WRITER_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/delays.h"
#include "common/retry.h"
#include "common/window.h"
#include "common/writer.h"

enum {
	IDLE_POLL_MS = 100,
	PROBE_FIRST_MS = 500, /* DESIGN.md section 5: a backend that is away */
	PROBE_LAST_MS = 3000,
	LOOK_EVERY_MS = 3000,   /* at a backend that seems to be there */
	CHECK_EVERY_MS = 60000, /* how it is set up */
	CHECK_AGAIN_MS = 2000,  /* while something is wrong */
};

enum {
	APPLIED,
	VERIFIED,
	OLDER,
	REFUSED,
	UNDECODABLE,
	AWAY,
	CIRCUIT,
	WAITING,
	ASIDE,
	DEAD_LETTERS,
	DEAD,
	RETAKEN,
	REDIS_FAILED,
	REBUILT,
	APPLY_SECONDS,
	SERVED_SECONDS,
	SETTLING,
	WRITER_METRICS
};
extern struct metric writer_rows[WRITER_METRICS];

struct retries; /* writer_retry_parts.h */

/* One stretch of work from an empty window to the next, for the telemetry line. */
struct burst {
	int64_t began_ms; /* 0: none under way */
	int64_t ended_ms; /* of its last batch so far */
	int64_t zones;
	int64_t failures;
};

struct writer {
	const struct writer_config *config;
	struct service *service;
	const struct backend_ops *ops;
	void *backend;
	const char *name; /* of the stanza: the backend's name everywhere */
	struct backend_about about;
	char by[96];      /* host:pid */
	char source[160]; /* of events */
	struct delays delays;
	struct bus_consumer *consumer;
	struct bus_producer *producer;
	struct window *window;
	struct retries *retries;
	struct window_item **batch;
	struct change *changes;
	struct backend_view *views;
	struct burst burst;
	int64_t probe_pause_ms; /* 0: the backend is there */
	int64_t probe_at_ms;
	int64_t check_at_ms;  /* when it is due to be asked how it is set up */
	int64_t looked_at_ms; /* when open() last said that all is well */
	bool looked;          /* it did, and nobody has compared its positions yet */
	int64_t next_due_ms;  /* of what is aside; -1: nothing */
	int64_t stored_at_ms;
	int64_t joined_at_ms;
	bool topics_ready;
	bool reading; /* topics and backend were there: subscribed */
	bool reading_paused;
};

/* --- writer.c: its life, as writer_main leads it -------------------------------------------------
 */

/* Everything above `by` is set. Touches nothing outside. */
MUST_CHECK enum outcome writer_begin(struct writer *writer, struct reason *why);
/* Again and again: waits a moment for something to do, and does it. */
void writer_turn(struct writer *writer);
/* SIGTERM: what was applied is confirmed and stored; what waits stays in the log. */
void writer_drain(struct writer *writer);
/* Frees what begin made, also when that failed, and closes the backend. */
void writer_end(struct writer *writer);

extern const char *const writer_topics[WINDOW_TOPICS];
enum window_topic writer_topic(const char *name);

/* --- writer_read.c
 * -------------------------------------------------------------------------------- */

int64_t writer_assigned(void *writer, const char *topic, int32_t partition, int64_t committed);
void writer_revoked(void *writer, const char *topic, int32_t partition, bool lost);
/* What `message` asks of this backend, for the window; OK and NULL: nothing. TEMPFAIL: a newer
 * program wrote it. PERMFAIL: nobody can read it. */
MUST_CHECK enum outcome writer_item_of(struct writer *writer, const struct bus_message *message,
				       struct window_item **out, struct reason *why);
/* Reads what is there, a slice at most, so that no batch waits long for reading. */
void writer_read(struct writer *writer);

/* --- writer_apply.c
 * ------------------------------------------------------------------------------- */

/* Applies one batch if the backend is there; probes it when it is away, looks at it now and then
 * when it seems to be there. */
void writer_apply(struct writer *writer);
/* What became of changes that the backend left pending. */
void writer_settle(struct writer *writer);
/* Opens the backend unless that was done within the last `ms`. False: it is away. */
bool writer_look(struct writer *writer, int64_t ms);
/* The whole backend failed: a probe is due later. */
void writer_backend_away(struct writer *writer, const struct reason *why);
void writer_backend_back(struct writer *writer);

/* --- writer_retry.c
 * ------------------------------------------------------------------------------- */

MUST_CHECK enum outcome writer_retry_begin(struct writer *writer, struct reason *why);
void writer_retry_end(struct writer *writer);
/* The partition of zones is ours from now on, and with it what waits there. */
void writer_retries_of(struct writer *writer, int32_t partition);
/* All its part of a turn: answers of Redis, records that were read again, what is due. */
void writer_retry_turn(struct writer *writer);
/* Something is on its way to it. */
bool writer_retries_wait(const struct writer *writer);
/* Were these all the tries that a zone has? */
bool writer_gives_up(const struct writer *writer, int64_t attempts);
/* The item has just been put aside. */
void writer_retry_refused(struct writer *writer, struct window_item *item,
			  const struct change *change);
/* It was applied, or is older than what is: no older one of its zone is tried any more. */
void writer_retry_over(struct writer *writer, const struct window_item *item);

/* --- writer_say.c
 * --------------------------------------------------------------------------------- */

/* The record is in the log, or (`in_log` false) the process is about to end; called exactly once.
 */
typedef void (*writer_then)(struct writer *writer, void *context, bool in_log);

/* The item, which is confirming from now on, is finished when that is in the log (I3). */
void writer_say_served(struct writer *writer, struct window_item *item,
		       const struct change *change);
/* `state`: retrying or dead. */
void writer_say_refused(struct writer *writer, const struct window_item *item,
			enum status_state state, int64_t took_us, writer_then then, void *context);
void writer_say_backend(struct writer *writer, enum status_state state, const char *reason);
/* I8: an undecodable record goes to the dead letters with an alarm; the offset moves when that is
 * confirmed. */
void writer_bury(struct writer *writer, const struct bus_message *message,
		 const struct reason *why);
/* Key, bytes and headers of `message` to the dead letters; `letter` says why, the rest of it is
 * filled in. */
void writer_send_letter(struct writer *writer, const struct bus_message *message,
			struct dead_letter *letter, writer_then then, void *context);
/* The registry of backends: joined by their writer. */
void writer_join_registry(struct writer *writer);

#endif
