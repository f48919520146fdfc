/* SPDX-License-Identifier: Apache-2.0 */
/* writer_retry_parts.h: the schedule of refused zones inside a writer, for its three files only:
 * writer_retry.c (Redis, and what waits in memory), writer_hand.c (an entry on its way from the log
 * into the window, or to its end), writer_rebuild.c (when Redis has lost it all).
 *
 * Threads: all of it belongs to the writer's one thread.
 */
#ifndef COMMON_WRITER_RETRY_PARTS_H
#define COMMON_WRITER_RETRY_PARTS_H

#include <sys/queue.h>

#include "common/writer_parts.h"

enum {
	HAND_MAX = 256,  /* read again, or being buried, at once */
	ASKED_MAX = 256, /* commands on their way */
};

/* What we know of a partition in Redis. */
struct part {
	bool looked;     /* since we have it */
	bool looking;    /* asked, not yet answered */
	bool lost;       /* Redis does not have it (any more) */
	int64_t look_ms; /* when to look again */
	int64_t waiting;
	int64_t dead;
};

enum question_kind { SAVE, SAVE_DEAD, DROP, LOOK, BEGIN, REBUILD, COMPLETE };

/* The ticket of a command. */
struct question {
	LIST_ENTRY(question) link;
	enum question_kind kind;
	int32_t partition;
	struct name zone; /* SAVE */
	struct version version;
	int64_t attempt;
	struct hand *hand; /* SAVE_DEAD */
};

/* One entry that is in our hands: on its way from the log into the window, or to its end. */
struct hand {
	LIST_ENTRY(hand) link;
	struct retry_event entry;
	char *reason;
	struct window_item *item; /* while it is buried: its value, not in the window */
	bool dead;                /* buried; Redis has not confirmed its mark */
	bool asked;               /* Redis was asked to */
};

struct retries {
	struct redis *redis; /* NULL: none is configured */
	bool redis_up;
	bool redis_full;                 /* or read-only: it answers, and keeps nothing */
	LIST_HEAD(, question) questions; /* on their way */
	struct bus_fetcher *fetcher;
	struct part *parts;
	size_t part_count;
	size_t saving; /* SAVE on their way */
	LIST_HEAD(, hand) hands;
	size_t hand_count;
	int64_t again_ms; /* when what Redis did not take is offered again */
	struct rebuild *rebuild;
	size_t rebuilding; /* its commands on their way */
	bool rebuild_saved;
	bool rebuild_failed;
};

/* --- writer_retry.c --- */

/* Asks Redis; `command` is finished, `about` copied. */
void retries_ask(struct writer *writer, struct retry_command *command,
		 const struct question *about);
struct part *retries_part(const struct retries *retries, int32_t partition);
bool retries_have(const struct writer *writer, int32_t partition); /* is it ours? */
/* The item of that very failure, if it is still aside. */
struct window_item *retries_find_aside(struct writer *writer, const struct name *zone,
				       struct version version, int64_t attempt);
void retries_drop(struct writer *writer, int32_t partition, const struct name *zone,
		  struct version version);

/* --- writer_hand.c --- */

bool hand_has(const struct retries *retries, const struct name *zone);
bool hand_is_free(const struct retries *retries);
/* Asks for its record. The entry's reason is copied, its other texts are the writer's. */
void hand_take(struct writer *writer, const struct retry_event *entry);
void hand_release(struct retries *retries, struct hand *hand);
/* Records that have come: into the window, or to the dead letters. */
void hand_read(struct writer *writer);
void hand_mark_dead(struct writer *writer, struct hand *hand);
/* Nothing of it is left to do: the dead letter, its status and (where there is a Redis) its mark
 * are confirmed. */
void hand_is_buried(struct writer *writer, struct hand *hand);

/* --- writer_rebuild.c --- */

/* Begins when a partition of ours is lost, and goes on for a moment. */
void rebuild_turn(struct writer *writer);
void rebuild_answered(struct writer *writer, const struct question *question, enum outcome outcome,
		      const struct redis_value *value);
void rebuild_end(struct retries *retries);

#endif
