/* SPDX-License-Identifier: Apache-2.0 */
/* positions.h: .positions in the zones directory: the next offset of each partition of zones that
 * this backend has not seen (I4).
 *
 * Written beside and renamed, after the zone files were synced and renamed, and itself not synced:
 * the file system keeps the order of renames, so after a crash it is never ahead of the files.
 * Unreadable means none, which means: read everything again.
 *
 * Its identity (inode and times) is remembered: a directory that was wiped or restored under us
 * shows another one.
 */
#ifndef WRITER_BIND_POSITIONS_H
#define WRITER_BIND_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/outcome.h"

struct positions {
	int64_t *next; /* by partition; 0 = none */
	size_t count;
	bool exists;
	ino_t inode;
	struct timespec changed;
};

void positions_finish(struct positions *positions);
void positions_read(int dir, struct positions *out);
int64_t positions_get(const struct positions *positions, int32_t partition);
/* Is the file in `dir` the one that we read or wrote last? */
bool positions_are_ours(int dir, const struct positions *positions);
/* TEMPFAIL: not written, nothing changed. */
MUST_CHECK enum outcome positions_store(int dir, struct positions *positions,
					const int32_t *partitions, const int64_t *next,
					size_t count, struct reason *why);

#endif
