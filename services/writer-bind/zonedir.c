/* SPDX-License-Identifier: Apache-2.0 */
#include "services/writer-bind/zonedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void spare_name(unsigned int spare, char out[SPARE_NAME_SIZE])
{
	(void)snprintf(out, SPARE_NAME_SIZE, SPARE_PREFIX "%u", spare);
}

/* The oldest spare that may be written over, opened; -1: there is none. */
static int open_rested(struct zonedir *dir, unsigned int *spare)
{
	while (dir->count > ZONEDIR_SPARES_RESTING) {
		unsigned int oldest = dir->spares[dir->first];
		char name[SPARE_NAME_SIZE];
		struct stat file;
		int fd;

		dir->first = (dir->first + 1) % ZONEDIR_SPARES_MAX;
		dir->count--;
		spare_name(oldest, name);
		fd = openat(dir->fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && fstat(fd, &file) == 0 && file.st_nlink == 1 &&
		    S_ISREG(file.st_mode)) {
			*spare = oldest;
			return fd;
		}
		if (fd >= 0) {
			(void)close(fd);
		}
		(void)unlinkat(dir->fd, name, 0); /* its other name keeps it */
	}
	return -1;
}

enum outcome zonedir_take_spare(struct zonedir *dir, unsigned int *spare, int *fd,
				struct reason *why)
{
	char name[SPARE_NAME_SIZE];
	int opened = open_rested(dir, spare);

	if (opened < 0) {
		*spare = dir->next_spare++;
		spare_name(*spare, name);
		opened = openat(dir->fd, name,
				O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	}
	if (opened < 0) {
		return because(TEMPFAIL, why, "cannot create a file in the zones directory: %s",
			       strerror(errno));
	}
	*fd = opened;
	return OK;
}

void zonedir_give_spare(struct zonedir *dir, unsigned int spare)
{
	char name[SPARE_NAME_SIZE];

	if (dir->count == ZONEDIR_SPARES_MAX) {
		spare_name(spare, name);
		(void)unlinkat(dir->fd, name, 0); /* left over: found at the next open */
		return;
	}
	dir->spares[(dir->first + dir->count) % ZONEDIR_SPARES_MAX] = spare;
	dir->count++;
}

void zonedir_retire(struct zonedir *dir, const char *file)
{
	unsigned int spare = dir->next_spare++;
	char name[SPARE_NAME_SIZE];

	spare_name(spare, name);
	if (renameat(dir->fd, file, dir->fd, name) == 0) {
		zonedir_give_spare(dir, spare);
	}
}

void zonedir_note_spare(struct zonedir *dir, const char *file)
{
	const char *digits = file + strlen(SPARE_PREFIX);
	unsigned long number;
	char *end;

	number = strtoul(digits, &end, 10);
	if (end == digits || *end != '\0' || number >= UINT32_MAX / 2) {
		(void)unlinkat(dir->fd, file, 0); /* none that we made */
		return;
	}
	if (number >= dir->next_spare) {
		dir->next_spare = (unsigned int)number + 1;
	}
	zonedir_give_spare(dir, (unsigned int)number);
}
