/* SPDX-License-Identifier: Apache-2.0 */
#include "services/writer-bind/positions.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"

#define FILE_NAME ".positions"
#define FILE_NEW ".positions.new"
#define FIRST_LINE "dadns/1 positions"
#define LAST_LINE "end"
#define PARTITIONS_MAX 65536
#define TEXT_MAX (PARTITIONS_MAX * 32)

void positions_finish(struct positions *positions)
{
	free(positions->next);
	*positions = (struct positions){0};
}

static void set(struct positions *positions, int32_t partition, int64_t next)
{
	size_t i = (size_t)partition;

	if (i >= positions->count) {
		positions->next = xrealloc(positions->next, (i + 1) * sizeof(int64_t));
		memset(positions->next + positions->count, 0,
		       (i + 1 - positions->count) * sizeof(int64_t));
		positions->count = i + 1;
	}
	positions->next[i] = next;
}

int64_t positions_get(const struct positions *positions, int32_t partition)
{
	if (partition < 0 || (size_t)partition >= positions->count) {
		return 0;
	}
	return positions->next[partition];
}

static void remember(const struct stat *file, struct positions *out)
{
	out->exists = true;
	out->inode = file->st_ino;
	out->changed = file->st_mtim;
}

/* False: not whole. */
static bool parse(char *text, struct positions *out)
{
	char *rest = text;
	char *line = strsep(&rest, "\n");

	if (line == NULL || strcmp(line, FIRST_LINE) != 0) {
		return false;
	}
	while ((line = strsep(&rest, "\n")) != NULL) {
		int64_t next;
		long partition;
		char *end;

		if (strcmp(line, LAST_LINE) == 0) {
			return true;
		}
		partition = strtol(line, &end, 10);
		if (end == line || *end != ' ' || partition < 0 || partition >= PARTITIONS_MAX) {
			return false;
		}
		next = strtoll(end + 1, &end, 10);
		if (*end != '\0' || next < 0) {
			return false;
		}
		set(out, (int32_t)partition, next);
	}
	return false;
}

void positions_read(int dir, struct positions *out)
{
	struct positions read_now = {0};
	char *text = NULL;
	struct stat file;
	ssize_t len;
	int fd;

	positions_finish(out);
	fd = openat(dir, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		return;
	}
	if (fstat(fd, &file) == 0) {
		remember(&file, out);
	}
	text = xmalloc(TEXT_MAX + 1);
	len = read(fd, text, TEXT_MAX);
	(void)close(fd);
	text[len < 0 ? 0 : len] = '\0';
	if (parse(text, &read_now)) {
		out->next = read_now.next;
		out->count = read_now.count;
	} else {
		positions_finish(&read_now);
	}
	free(text);
}

bool positions_are_ours(int dir, const struct positions *positions)
{
	struct stat file;

	if (fstatat(dir, FILE_NAME, &file, AT_SYMLINK_NOFOLLOW) != 0) {
		return !positions->exists;
	}
	return positions->exists && file.st_ino == positions->inode &&
	       file.st_mtim.tv_sec == positions->changed.tv_sec &&
	       file.st_mtim.tv_nsec == positions->changed.tv_nsec;
}

static void print(const struct positions *positions, struct buf *out)
{
	buf_add_text(out, FIRST_LINE "\n");
	for (size_t i = 0; i < positions->count; i++) {
		if (positions->next[i] != 0) {
			buf_addf(out, "%zu %" PRId64 "\n", i, positions->next[i]);
		}
	}
	buf_add_text(out, LAST_LINE "\n");
}

enum outcome positions_store(int dir, struct positions *positions, const int32_t *partitions,
			     const int64_t *next, size_t count, struct reason *why)
{
	struct positions changed = {0};
	struct buf text = BUF_INIT(TEXT_MAX);
	enum outcome outcome = OK;
	struct stat file;
	int fd;

	for (size_t i = positions->count; i > 0; i--) {
		set(&changed, (int32_t)i - 1, positions->next[i - 1]);
	}
	for (size_t i = 0; i < count; i++) {
		if (partitions[i] >= 0 && partitions[i] < PARTITIONS_MAX) {
			set(&changed, partitions[i], next[i]);
		}
	}
	print(&changed, &text);
	fd = openat(dir, FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len ||
	    fstat(fd, &file) != 0 || renameat(dir, FILE_NEW, dir, FILE_NAME) != 0) {
		outcome = because(TEMPFAIL, why, "cannot write %s: %s", FILE_NAME, strerror(errno));
		goto out;
	}
	free(positions->next);
	positions->next = changed.next;
	positions->count = changed.count;
	remember(&file, positions);
	changed = (struct positions){0};
out:
	if (fd >= 0) {
		(void)close(fd);
	}
	positions_finish(&changed);
	buf_finish(&text);
	return outcome;
}
