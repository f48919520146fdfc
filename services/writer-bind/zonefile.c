/* SPDX-License-Identifier: Apache-2.0 */
#include "services/writer-bind/zonefile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/zone.h"

#define MARK "; dadns/1 "
#define HEAD_MAX 2048
#define FILE_MAX_BYTES (256 << 20)
#define NS_PER_S INT64_C(1000000000)

void zonefile_name(const struct name *zone, char out[ZONEFILE_NAME_SIZE])
{
	char file[NAME_FILE_SIZE];

	name_file(zone, file);
	(void)snprintf(out, ZONEFILE_NAME_SIZE, "%s" ZONEFILE_SUFFIX, file);
}

static void previous_name(const struct name *zone, char out[ZONEFILE_NAME_SIZE])
{
	char file[NAME_FILE_SIZE];

	name_file(zone, file);
	(void)snprintf(out, ZONEFILE_NAME_SIZE, ".%s" ZONEFILE_PREVIOUS, file);
}

/* --- the first line ----------------------------------------------------------------------------
 */

/* Nothing that ends a word or the line may stand in a value. */
static void add_word(struct buf *out, const char *text)
{
	for (; text != NULL && *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte <= ' ' || byte > '~' || byte == '%') {
			buf_addf(out, "%%%02x", byte);
		} else {
			buf_add_byte(out, *text);
		}
	}
}

void zonefile_print_head(const struct zone_event *value, struct buf *out)
{
	char version[VERSION_TEXT_SIZE];

	version_text(value->version, version);
	buf_addf(out, MARK "zone=%s version=%s owner=", value->zone.text, version);
	add_word(out, value->owner);
	if (value->deleted) {
		buf_add_text(out, " state=deleted\n");
	} else {
		buf_addf(out, " digest=%s serial=%" PRIu32 " state=zone\n", value->digest,
			 value->serial);
	}
}

static bool take_digest(struct span word, char out[DIGEST_HEX_SIZE])
{
	if (word.len != DIGEST_HEX_SIZE - 1) {
		return false;
	}
	memcpy(out, word.data, word.len);
	out[word.len] = '\0';
	return strspn(out, "0123456789abcdef") == word.len;
}

static bool take_serial(struct span word, uint32_t *out)
{
	uint64_t number = 0;

	for (size_t i = 0; i < word.len; i++) {
		if (word.data[i] < '0' || word.data[i] > '9' || i == 10) {
			return false;
		}
		number = number * 10 + (uint64_t)(word.data[i] - '0');
	}
	*out = (uint32_t)number;
	return word.len != 0 && number <= UINT32_MAX;
}

/* One `key=value`; words that we do not know are passed over. False: a known one is wrong. */
static bool take_word(struct span word, struct zonefile_head *head, bool *has_state)
{
	const char *equals = memchr(word.data, '=', word.len);
	struct span key;
	struct span value;

	if (equals == NULL) {
		return true;
	}
	key = (struct span){word.data, (size_t)(equals - word.data)};
	value = (struct span){equals + 1, word.len - key.len - 1};
	if (span_is(key, "zone")) {
		return name_parse(value, &head->zone, NULL) == OK;
	}
	if (span_is(key, "version")) {
		return version_parse(value, &head->version);
	}
	if (span_is(key, "digest")) {
		return take_digest(value, head->digest);
	}
	if (span_is(key, "serial")) {
		return take_serial(value, &head->serial);
	}
	if (span_is(key, "state")) {
		head->deleted = span_is(value, "deleted");
		*has_state = head->deleted || span_is(value, "zone");
		return *has_state;
	}
	return true;
}

bool zonefile_parse_head(struct span text, struct zonefile_head *out)
{
	struct zonefile_head head = {0};
	bool has_state = false;
	const char *end;
	const char *at;

	if (text.len < strlen(MARK) || memcmp(text.data, MARK, strlen(MARK)) != 0) {
		return false;
	}
	end = memchr(text.data, '\n', text.len);
	if (end == NULL) {
		return false;
	}
	for (at = text.data + strlen(MARK); at < end; at++) {
		const char *start = at;

		while (at < end && *at != ' ') {
			at++;
		}
		if (at > start &&
		    !take_word((struct span){start, (size_t)(at - start)}, &head, &has_state)) {
			return false;
		}
	}
	if (head.zone.len == 0 || version_is_none(head.version) || !has_state ||
	    (!head.deleted && head.digest[0] == '\0')) {
		return false;
	}
	*out = head;
	return true;
}

static bool read_head(const struct zonedir *dir, const char *file, struct zonefile_head *out)
{
	char text[HEAD_MAX];
	ssize_t len;
	int fd;

	fd = openat(dir->fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		return false;
	}
	len = read(fd, text, sizeof(text));
	(void)close(fd);
	return len > 0 && zonefile_parse_head((struct span){text, (size_t)len}, out);
}

bool zonefile_read_head(const struct zonedir *dir, const char *file, struct zonefile_head *out)
{
	char expected[ZONEFILE_NAME_SIZE];
	struct zonefile_head head;

	if (!read_head(dir, file, &head)) {
		return false;
	}
	zonefile_name(&head.zone, expected);
	if (strcmp(expected, file) != 0) {
		return false;
	}
	*out = head;
	return true;
}

bool zonefile_read_previous(const struct zonedir *dir, const char *file, struct zonefile_head *out)
{
	char expected[ZONEFILE_NAME_SIZE];
	struct zonefile_head head;

	if (!read_head(dir, file, &head)) {
		return false;
	}
	previous_name(&head.zone, expected);
	if (strcmp(expected, file) != 0) {
		return false;
	}
	*out = head;
	return true;
}

/* --- the life of a content ---------------------------------------------------------------------
 */

static bool write_all(int fd, struct span bytes)
{
	while (bytes.len != 0) {
		ssize_t len = write(fd, bytes.data, bytes.len);

		if (len < 0 && errno == EINTR) {
			continue;
		}
		if (len <= 0) {
			return false;
		}
		bytes = (struct span){bytes.data + len, bytes.len - (size_t)len};
	}
	return true;
}

enum outcome zonefile_write(struct zonedir *dir, const struct zone_event *value, bool sync,
			    unsigned int *spare, struct reason *why)
{
	struct buf text = BUF_INIT(FILE_MAX_BYTES);
	enum outcome outcome;
	unsigned int taken;
	int fd = -1;

	zonefile_print_head(value, &text);
	if (!value->deleted) {
		rrsets_print(value->rrsets, value->rrset_count, &text);
	}
	if (text.overflow) {
		outcome = because(PERMFAIL, why, "the zone file would be larger than %d bytes",
				  FILE_MAX_BYTES);
		goto out;
	}
	outcome = zonedir_take_spare(dir, &taken, &fd, why);
	if (outcome != OK) {
		goto out;
	}
	/* Whatever the umask: named is another user. */
	if (!write_all(fd, buf_span(&text)) || ftruncate(fd, (off_t)text.len) != 0 ||
	    fchmod(fd, 0644) != 0 || (sync && fdatasync(fd) != 0)) {
		outcome = because(TEMPFAIL, why, "cannot write a zone file: %s", strerror(errno));
		zonedir_give_spare(dir, taken);
		goto out;
	}
	*spare = taken;
out:
	if (fd >= 0) {
		(void)close(fd); /* nothing is reported here that the sync did not */
	}
	buf_finish(&text);
	return outcome;
}

enum outcome zonefile_sync(const struct zonedir *dir, struct reason *why)
{
	if (syncfs(dir->fd) != 0) {
		return because(TEMPFAIL, why, "cannot sync the zones directory: %s",
			       strerror(errno));
	}
	return OK;
}

static int64_t ns_of(struct timespec time)
{
	return time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* max(now, the time of `than` + 1 ns) + ahead: what write() left behind may be older than what
 * named remembers (research/bets.md 3). */
static int set_newer(int dir, const char *file, const char *than, int64_t ahead_ns)
{
	int64_t time_ns = clock_wall_ms() * 1000000;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat old;

	if (fstatat(dir, than, &old, AT_SYMLINK_NOFOLLOW) == 0 && ns_of(old.st_mtim) >= time_ns) {
		time_ns = ns_of(old.st_mtim) + 1;
	}
	time_ns += ahead_ns;
	times[1].tv_sec = time_ns / NS_PER_S;
	times[1].tv_nsec = time_ns % NS_PER_S;
	return utimensat(dir, file, times, AT_SYMLINK_NOFOLLOW);
}

/* The new content takes the old one's name and gives it its own, at once. */
static int exchange(const struct zonedir *dir, const char *spare, const char *file,
		    const char *previous, bool *kept)
{
	if (renameat(dir->fd, spare, dir->fd, previous) != 0) {
		return -1;
	}
	if (renameat2(dir->fd, previous, dir->fd, file, RENAME_EXCHANGE) == 0) {
		*kept = true;
		return 0;
	}
	if (errno == ENOENT) {
		return renameat(dir->fd, previous, dir->fd, file);
	}
	if ((errno != EINVAL && errno != ENOSYS) ||
	    renameat(dir->fd, previous, dir->fd, spare) != 0) {
		return -1;
	}
	/* A file system that cannot exchange (NFS). */
	if (linkat(dir->fd, file, dir->fd, previous, 0) != 0) {
		return -1;
	}
	*kept = true;
	return renameat(dir->fd, spare, dir->fd, file);
}

enum outcome zonefile_publish(struct zonedir *dir, const struct name *zone, unsigned int spare,
			      bool keep, bool *kept, struct reason *why)
{
	char file[ZONEFILE_NAME_SIZE];
	char previous[ZONEFILE_NAME_SIZE];
	char new[SPARE_NAME_SIZE];
	bool is_kept = false;
	int rc;

	zonefile_name(zone, file);
	previous_name(zone, previous);
	spare_name(spare, new);
	rc = set_newer(dir->fd, new, file, 0);
	if (rc == 0 && keep) {
		rc = exchange(dir, new, file, previous, &is_kept);
	} else if (rc == 0) {
		rc = renameat(dir->fd, new, dir->fd, file);
	}
	if (rc != 0) {
		return because(errno == ENAMETOOLONG ? PERMFAIL : TEMPFAIL, why,
			       "cannot publish %s: %s", file, strerror(errno));
	}
	*kept = is_kept;
	return OK;
}

void zonefile_touch(const struct zonedir *dir, const struct name *zone, unsigned int attempt)
{
	static const int64_t ahead_ns[] = {0, 2 * NS_PER_S, 3600 * NS_PER_S};
	char file[ZONEFILE_NAME_SIZE];

	if (attempt >= sizeof(ahead_ns) / sizeof(ahead_ns[0])) {
		attempt = sizeof(ahead_ns) / sizeof(ahead_ns[0]) - 1;
	}
	zonefile_name(zone, file);
	(void)set_newer(dir->fd, file, file, ahead_ns[attempt]); /* named's answer tells */
}

void zonefile_settle(struct zonedir *dir, const struct name *zone)
{
	char previous[ZONEFILE_NAME_SIZE];

	previous_name(zone, previous);
	zonedir_retire(dir, previous);
}

bool zonefile_put_back(const struct zonedir *dir, const struct name *zone)
{
	char previous[ZONEFILE_NAME_SIZE];
	char file[ZONEFILE_NAME_SIZE];

	zonefile_name(zone, file);
	previous_name(zone, previous);
	return renameat(dir->fd, previous, dir->fd, file) == 0;
}

void zonefile_remove(const struct zonedir *dir, const struct name *zone)
{
	char file[ZONEFILE_NAME_SIZE];

	zonefile_name(zone, file);
	(void)unlinkat(dir->fd, file, 0); /* named does not know it */
}
