/* SPDX-License-Identifier: Apache-2.0 */
/* zonedir.h: the zones directory and the spare files in it.
 *
 * A zone file that is no longer needed is not removed but kept as .spare-N and written over later:
 * creating and removing files costs ext4 0.25 ms per changed zone, exchanging them 0.03 ms. A spare
 * rests for a while before it is used, in case somebody still reads it, and is never used when it
 * has another name (a backup by hard links).
 *
 * Threads: one.
 */
#ifndef WRITER_BIND_ZONEDIR_H
#define WRITER_BIND_ZONEDIR_H

#include <stddef.h>

#include "common/outcome.h"

#define ZONEDIR_SPARES_MAX 512
#define ZONEDIR_SPARES_RESTING 128
#define SPARE_PREFIX ".spare-"
#define SPARE_NAME_SIZE 24

struct zonedir {
	int fd;                                  /* -1: not open */
	unsigned int spares[ZONEDIR_SPARES_MAX]; /* a ring, the oldest at `first` */
	size_t first;
	size_t count;
	unsigned int next_spare;
};

#define ZONEDIR_INIT     \
	{                \
		.fd = -1 \
	}

void spare_name(unsigned int spare, char out[SPARE_NAME_SIZE]);
/* Opens one for writing; its old content may still be in it: cut it to length afterwards. */
MUST_CHECK enum outcome zonedir_take_spare(struct zonedir *dir, unsigned int *spare, int *fd,
					   struct reason *why);
void zonedir_give_spare(struct zonedir *dir, unsigned int spare);
/* `file` becomes a spare, or goes when there are enough. */
void zonedir_retire(struct zonedir *dir, const char *file);
/* At open: `file` of the directory is a spare from an earlier life. */
void zonedir_note_spare(struct zonedir *dir, const char *file);

#endif
