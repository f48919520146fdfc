/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h: zones that a backend refused, as Redis keeps them: keys, commands, answers. No I/O: a
 * writer asks without waiting (redis_ask), the dadns command waits (redis_run).
 *
 * Per backend and partition of dadns.zones:
 *
 *	HASH   dadns:retry:BACKEND:PARTITION        zone -> its entry (struct retry_event as JSON)
 *	ZSET   dadns:retry:BACKEND:PARTITION:due    zone by when it is due, by Redis's clock, in ms
 *	STRING dadns:retry:BACKEND:PARTITION:state  "complete", or "rebuilding TOKEN"; gone: Redis
 *	                                            was wiped, or never had this partition
 *
 * One entry per zone. It is replaced by one of a newer version, or of the same version and more
 * tries, never by another: late writes of whoever had the partition before are harmless (I4). A
 * dead one is in the hash alone: it is not tried again, and the same version is not recorded anew;
 * it goes when a newer version is refused, or anything is applied.
 *
 * Redis's clock is the only one that counts, so that no jump of a host's clock ends a pause.
 *
 * Threads: none of this is shared.
 */
#ifndef COMMON_RETRY_H
#define COMMON_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event.h"
#include "common/redis.h"

#define RETRY_KEY_SIZE 128
#define RETRY_ARGUMENTS_MAX 13

/* A command, ready for redis_ask or redis_run. */
struct retry_command {
	struct span arguments[RETRY_ARGUMENTS_MAX];
	size_t count;
	/* what they point into */
	char keys[3][RETRY_KEY_SIZE];
	char numbers[4][24];
	struct name zone;
	struct buf json;
};
void retry_command_finish(struct retry_command *command);

/* --- a writer's ------------------------------------------------------------------------------- */

/* Due after `delay_ms`; never if it is `dead`. `if_there`: only in place of what Redis has of that
 * very version; it may have been dropped while it was tried. */
void retry_save(struct retry_command *command, const struct retry_event *entry, int64_t delay_ms,
		bool if_there);
enum retry_saved {
	RETRY_SAVED,
	RETRY_KEPT, /* what is there is newer, or has as many tries: it goes on (or is not there) */
	RETRY_DEAD, /* this very version is dead already: it stays so */
};
MUST_CHECK enum outcome retry_saved(const struct redis_value *value, enum retry_saved *out,
				    struct reason *why);

/* The entry goes if it is of this version or an older one. Answers 1 if one went. */
void retry_drop(struct retry_command *command, const char *backend, int32_t partition,
		const struct name *zone, struct version version);

/* Takes up to `limit` entries that are due. Each is due again after `lease_ms`, should nothing
 * become of it. */
void retry_take(struct retry_command *command, const char *backend, int32_t partition,
		int64_t limit, int64_t lease_ms);
struct retry_taken {
	bool complete;   /* false: Redis has lost what it had, or never had it */
	int64_t waiting; /* entries that wait, these too */
	int64_t dead;
	const struct redis_value *entries; /* retry_event_decode of each `text` */
	size_t count;
};
MUST_CHECK enum outcome retry_taken(const struct redis_value *value, struct retry_taken *out,
				    struct reason *why);

/* After a loss: begin, save what the log knows, complete. The last one answers 0 if Redis was wiped
 * again in between, or somebody else has begun. `token`: a word of one's own. */
void retry_begin(struct retry_command *command, const char *backend, int32_t partition,
		 const char *token);
void retry_complete(struct retry_command *command, const char *backend, int32_t partition,
		    const char *token);

/* --- the operators' --------------------------------------------------------------------------- */

/* Which hashes there are, piece by piece: begins with cursor "0", ends when it is "0" again. */
void retry_scan(struct retry_command *command, struct span cursor);
/* "dadns:retry:ns1:7" as `backend` and `partition`; false: it is none. */
bool retry_key_parse(struct span key, char backend[EVENT_BACKEND_MAX + 1], int32_t *partition);

/* All entries of a partition: a list of [JSON, ms until it is due (negative: it is; "": dead)]. */
void retry_list(struct retry_command *command, const char *backend, int32_t partition);

/* The entry is due now. Answers 0: it is not there, or it is dead. */
void retry_now(struct retry_command *command, const char *backend, int32_t partition,
	       const struct name *zone);

#endif
