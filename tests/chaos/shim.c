/* SPDX-License-Identifier: Apache-2.0 */
/* shim.c: libfault.so, which LD_PRELOAD puts between a program and libc to make chosen calls fail.
 *
 * FAULT is a list of rules, comma separated: CALL[@PATH]:WHICH:WHAT
 *   CALL   open write fsync rename unlink truncate malloc thread socket connect
 *          (fsync also fdatasync and syncfs, rename also renameat2 and linkat, malloc calloc and
 *          realloc)
 *   PATH   only calls whose file has this in its path; of renames, the one that it comes to have
 *   WHICH  3: the third of these calls; 3+: it and all later ones; 3-9: those; *: each
 *   WHAT   an errno's name; short: half is written; kill: SIGKILL before the call;
 *          stop: SIGSTOP before it; sleep=MS: it is late
 * or clock:+SECONDS, clock:-SECONDS: what the program takes for the time of day; monotonic time is
 * not touched. FAULT=@FILE: the rules stand in that file, which may come, change and go while the
 * program runs; each change counts from 1 again.
 *
 * FAULT_LOG=FILE gets a line for each fault that fired, so that a test can insist on it:
 * PID CALL NUMBER WHAT PATH. FAULT_TRACE=FILE gets every call that changes a file below a folder
 * named in FAULT_TRACE_BELOW, with its data: what a power loss would have made of it can be worked
 * out from that (images.py).
 *
 * Not for programs that bring their own malloc (ASan, TSan); for named, which has jemalloc, there
 * is libfault-own-malloc.so, which leaves malloc alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 32
#define TEXT_MAX 2048
#define LOOK_EVERY_MS 10

#define EXPORT __attribute__((visibility("default")))
/* The first caller finds the real one. */
#define REAL(name)                                                        \
	static __typeof__(&name) real_##name;                             \
	if (real_##name == NULL) {                                        \
		real_##name = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
	}

enum what { FAIL, SHORT, KILL, STOP, SLEEP };

struct rule {
	const char *call;
	char path[128];
	long first;
	long last;
	enum what what;
	int value; /* errno, or milliseconds */
	char text[24];
	_Atomic long count;
};

struct rules {
	struct rule rule[RULES_MAX];
	size_t count;
	long clock_s;
};

/* Rules are changed by filling the other one; a caller that still looks into the old one loses
 * nothing. */
static struct rules sets[2];
static struct rules *_Atomic rules = &sets[0];
static const char *rules_file;
static int log_fd = -1;
static int trace_fd = -1;
static const char *trace_below;
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int64_t looked_ms;
static struct timespec file_time;
static _Atomic bool begun;
/* What we call ourselves is not counted. */
static __thread int inside __attribute__((tls_model("initial-exec")));

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

/* --- rules -------------------------------------------------------------------------------------
 */

static const struct {
	const char *name;
	int value;
} errors[] = {
	{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE},
	{"EAGAIN", EAGAIN}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},   {"EACCES", EACCES},
	{"EINTR", EINTR},   {"ENOENT", ENOENT}, {"EFBIG", EFBIG},   {"ECONNREFUSED", ECONNREFUSED},
};

static void refuse(const char *text)
{
	char line[TEXT_MAX + 64];
	int len = snprintf(line, sizeof(line), "libfault: this is no rule: %s\n", text);

	(void)!write(STDERR_FILENO, line, (size_t)len);
	_exit(125);
}

/* False: it does not fit. */
static bool copy(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size) {
		return false;
	}
	memcpy(out, text, len + 1);
	return true;
}

static bool parse_what(const char *text, struct rule *rule)
{
	if (!copy(rule->text, sizeof(rule->text), text)) {
		return false;
	}
	if (strcmp(text, "short") == 0) {
		rule->what = SHORT;
		return true;
	}
	if (strcmp(text, "kill") == 0) {
		rule->what = KILL;
		return true;
	}
	if (strcmp(text, "stop") == 0) {
		rule->what = STOP;
		return true;
	}
	if (strncmp(text, "sleep=", 6) == 0) {
		rule->what = SLEEP;
		rule->value = (int)strtol(text + 6, NULL, 10);
		return rule->value > 0;
	}
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(text, errors[i].name) == 0) {
			rule->what = FAIL;
			rule->value = errors[i].value;
			return true;
		}
	}
	return false;
}

static bool parse_which(const char *text, struct rule *rule)
{
	char *end;

	if (strcmp(text, "*") == 0) {
		rule->first = 1;
		rule->last = INT64_MAX;
		return true;
	}
	rule->first = rule->last = strtol(text, &end, 10);
	if (*end == '+' && end[1] == '\0') {
		rule->last = INT64_MAX;
		return rule->first > 0;
	}
	if (*end == '-') {
		rule->last = strtol(end + 1, &end, 10);
	}
	return *end == '\0' && rule->first > 0 && rule->last >= rule->first;
}

static const char *call_of(const char *name)
{
	static const char *const calls[] = {"open",     "write",  "fsync",  "rename", "unlink",
					    "truncate", "malloc", "thread", "socket", "connect"};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i], name) == 0) {
			return calls[i];
		}
	}
	return NULL;
}

static bool parse_rule(char *text, struct rules *out)
{
	struct rule *rule = &out->rule[out->count];
	char *which = strchr(text, ':');
	char *what;
	char *path;

	if (which == NULL) {
		return false;
	}
	*which++ = '\0';
	if (strcmp(text, "clock") == 0) {
		out->clock_s = strtol(which, NULL, 10);
		return out->clock_s != 0;
	}
	what = strchr(which, ':');
	if (what == NULL || out->count == RULES_MAX) {
		return false;
	}
	*what++ = '\0';
	path = strchr(text, '@');
	if (path != NULL) {
		*path++ = '\0';
	}
	rule->call = call_of(text);
	rule->count = 0;
	out->count++;
	return rule->call != NULL &&
	       copy(rule->path, sizeof(rule->path), path == NULL ? "" : path) &&
	       parse_which(which, rule) && parse_what(what, rule);
}

static void parse(const char *text, struct rules *out)
{
	char work[TEXT_MAX];
	char *next = work;

	if (!copy(work, sizeof(work), text)) {
		refuse(text);
	}
	out->count = 0;
	out->clock_s = 0;
	while (next != NULL && *next != '\0') {
		char *rule = next;

		next = strpbrk(rule, ",\n");
		if (next != NULL) {
			*next++ = '\0';
		}
		if (*rule != '\0' && !parse_rule(rule, out)) {
			refuse(text);
		}
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void read_file(void)
{
	struct rules *other = rules == &sets[0] ? &sets[1] : &sets[0];
	char text[TEXT_MAX] = "";
	struct stat file;
	ssize_t len;
	int fd;

	if (syscall(SYS_newfstatat, AT_FDCWD, rules_file, &file, 0) != 0) {
		file.st_mtim = (struct timespec){0};
	}
	if (file.st_mtim.tv_sec == file_time.tv_sec && file.st_mtim.tv_nsec == file_time.tv_nsec) {
		return;
	}
	file_time = file.st_mtim;
	if (file_time.tv_sec != 0) {
		fd = (int)syscall(SYS_openat, AT_FDCWD, rules_file, O_RDONLY | O_CLOEXEC);
		len = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof(text) - 1);
		text[len < 0 ? 0 : len] = '\0';
		(void)syscall(SYS_close, fd);
	}
	parse(text, other);
	rules = other;
}

static void look_at_file(void)
{
	int64_t now;

	if (rules_file == NULL) {
		return;
	}
	now = now_ms();
	if (now - looked_ms < LOOK_EVERY_MS || pthread_mutex_trylock(&changing) != 0) {
		return;
	}
	looked_ms = now;
	read_file();
	(void)pthread_mutex_unlock(&changing);
}

static int open_log(const char *variable)
{
	const char *path = getenv(variable);

	return path == NULL ? -1
			    : (int)syscall(SYS_openat, AT_FDCWD, path,
					   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("FAULT");

	inside++;
	log_fd = open_log("FAULT_LOG");
	trace_fd = open_log("FAULT_TRACE");
	trace_below = getenv("FAULT_TRACE_BELOW");
	if (text != NULL && text[0] == '@') {
		rules_file = text + 1;
		read_file();
	} else if (text != NULL) {
		parse(text, rules);
	}
	begun = true;
	inside--;
}

/* --- firing ------------------------------------------------------------------------------------
 */

static void say_fired(const struct rule *rule, long number, const char *path)
{
	char line[1024];
	int len;

	if (log_fd < 0) {
		return;
	}
	len = snprintf(line, sizeof(line), "%d %s %ld %s %s\n", (int)getpid(), rule->call, number,
		       rule->text, path);
	(void)!syscall(SYS_write, log_fd, line, (size_t)len);
}

/* The rule that fires at this call, or NULL. A delay and a signal have been done by then. */
static const struct rule *fires(const char *call, const char *path)
{
	const struct rule *found = NULL;
	struct rules *now;

	look_at_file();
	now = rules;
	for (size_t i = 0; i < now->count; i++) {
		struct rule *rule = &now->rule[i];
		struct timespec pause;
		long number;

		if (strcmp(rule->call, call) != 0 ||
		    (rule->path[0] != '\0' && strstr(path, rule->path) == NULL)) {
			continue;
		}
		number = ++rule->count;
		if (number < rule->first || number > rule->last) {
			continue;
		}
		say_fired(rule, number, path);
		switch (rule->what) {
		case KILL:
			(void)kill(getpid(), SIGKILL);
			break;
		case STOP:
			(void)kill(getpid(), SIGSTOP);
			break;
		case SLEEP:
			pause = (struct timespec){rule->value / 1000,
						  rule->value % 1000 * 1000000L};
			(void)syscall(SYS_nanosleep, &pause, NULL);
			break;
		case FAIL:
		case SHORT:
			found = rule;
			break;
		}
	}
	return found;
}

static bool is_armed(void)
{
	return begun && inside == 0 && (rules->count != 0 || rules_file != NULL || trace_fd >= 0);
}

/* Where the descriptor's file is now. */
static void path_of(int fd, char out[PATH_MAX])
{
	char link[64];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
	out[len < 0 ? 0 : len] = '\0';
}

static void path_below(int dir, const char *name, char out[PATH_MAX])
{
	size_t len;

	if (name[0] == '/') {
		(void)snprintf(out, PATH_MAX, "%s", name);
		return;
	}
	if (dir == AT_FDCWD) {
		if (syscall(SYS_getcwd, out, PATH_MAX) < 0) {
			out[0] = 0;
		}
	} else {
		path_of(dir, out);
	}
	len = strlen(out);
	(void)snprintf(out + len, PATH_MAX - len, "/%s", name);
}

/* True: the call is not made, *rc is its answer. */
static bool fails(const char *call, const char *path, int *rc)
{
	const struct rule *rule = fires(call, path);

	if (rule == NULL || rule->what != FAIL) {
		return false;
	}
	errno = rule->value;
	*rc = -1;
	return true;
}

/* --- the trace ---------------------------------------------------------------------------------
 * One line a call: "write PATH OFFSET HEX", "truncate PATH SIZE", "fsync PATH", "syncfs PATH",
 * "rename OLD NEW", "exchange OLD NEW", "link OLD NEW", "unlink PATH", "open PATH FLAGS".
 */

static bool is_traced(const char *path)
{
	return trace_fd >= 0 && trace_below != NULL &&
	       strncmp(path, trace_below, strlen(trace_below)) == 0;
}

__attribute__((format(printf, 1, 2))) static void trace(const char *format, ...)
{
	char line[2 * PATH_MAX + 64];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	(void)!syscall(SYS_write, trace_fd, line, (size_t)len);
}

static void trace_write(const char *path, off_t offset, const unsigned char *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *line;
	size_t at;

	inside++; /* this one does not fail */
	line = malloc(PATH_MAX + 64 + 2 * len);
	inside--;
	at = (size_t)snprintf(line, PATH_MAX + 64, "write %s %lld ", path, (long long)offset);

	for (size_t i = 0; i < len; i++) {
		line[at++] = digits[data[i] >> 4];
		line[at++] = digits[data[i] & 15];
	}
	line[at++] = '\n';
	(void)!syscall(SYS_write, trace_fd, line, at);
	free(line);
}

/* --- files -------------------------------------------------------------------------------------
 */

static bool open_fails(int dir, const char *name, int flags, int *rc)
{
	char path[PATH_MAX];
	bool fail;

	if (!is_armed()) {
		return false;
	}
	inside++;
	path_below(dir, name, path);
	fail = fails("open", path, rc);
	if (!fail && (flags & O_TRUNC) != 0 && is_traced(path)) {
		trace("truncate %s 0\n", path);
	}
	inside--;
	return fail;
}

#define OPEN(function, dir, real_call, ...)                                \
	EXPORT int function(__VA_ARGS__, int flags, ...)                   \
	{                                                                  \
		REAL(function)                                             \
		mode_t mode = 0;                                           \
		va_list args;                                              \
		int rc;                                                    \
                                                                           \
		va_start(args, flags);                                     \
		if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                \
			mode = va_arg(args, mode_t);                       \
		}                                                          \
		va_end(args);                                              \
		return open_fails(dir, path, flags, &rc) ? rc : real_call; \
	}

OPEN(open, AT_FDCWD, real_open(path, flags, mode), const char *path)
OPEN(open64, AT_FDCWD, real_open64(path, flags, mode), const char *path)
OPEN(openat, dir, real_openat(dir, path, flags, mode), int dir, const char *path)
OPEN(openat64, dir, real_openat64(dir, path, flags, mode), int dir, const char *path)

/* True: *len is what may be written, or -1. */
static bool write_fails(int fd, ssize_t *len)
{
	char path[PATH_MAX];
	const struct rule *rule;

	if (!is_armed()) {
		return false;
	}
	inside++;
	path_of(fd, path);
	/* Log lines are of no interest. */
	rule = fd == STDERR_FILENO || fd == STDOUT_FILENO ? NULL : fires("write", path);
	inside--;
	if (rule == NULL) {
		return false;
	}
	if (rule->what == SHORT) {
		*len = *len / 2 + (*len == 1);
		return false;
	}
	errno = rule->value;
	*len = -1;
	return true;
}

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
	REAL(write)
	ssize_t may = (ssize_t)len;
	ssize_t done;

	if (write_fails(fd, &may)) {
		return may;
	}
	done = real_write(fd, data, (size_t)may);
	if (done > 0 && trace_fd >= 0 && inside == 0) {
		char path[PATH_MAX];
		int saved = errno;

		path_of(fd, path);
		if (is_traced(path)) {
			trace_write(path, (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) - done, data,
				    (size_t)done);
		}
		errno = saved;
	}
	return done;
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	REAL(pwrite)
	ssize_t may = (ssize_t)len;

	return write_fails(fd, &may) ? may : real_pwrite(fd, data, (size_t)may, offset);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
	REAL(writev)
	ssize_t may = 1;

	return write_fails(fd, &may) ? may : real_writev(fd, parts, count);
}

static bool fd_call_fails(const char *call, const char *name, int fd, int *rc)
{
	char path[PATH_MAX];
	bool fail;

	if (!is_armed()) {
		return false;
	}
	inside++;
	path_of(fd, path);
	fail = fails(call, path, rc);
	if (!fail && is_traced(path)) {
		trace("%s %s\n", name, path); /* before it is done: what comes after it is later */
	}
	inside--;
	return fail;
}

EXPORT int fsync(int fd)
{
	REAL(fsync)
	int rc;

	return fd_call_fails("fsync", "fsync", fd, &rc) ? rc : real_fsync(fd);
}

EXPORT int fdatasync(int fd)
{
	REAL(fdatasync)
	int rc;

	return fd_call_fails("fsync", "fsync", fd, &rc) ? rc : real_fdatasync(fd);
}

EXPORT int syncfs(int fd)
{
	REAL(syncfs)
	int rc;

	return fd_call_fails("fsync", "syncfs", fd, &rc) ? rc : real_syncfs(fd);
}

EXPORT int ftruncate(int fd, off_t size)
{
	REAL(ftruncate)
	char path[PATH_MAX];
	int rc = 0;
	bool fail;

	if (!is_armed()) {
		return real_ftruncate(fd, size);
	}
	inside++;
	path_of(fd, path);
	fail = fails("truncate", path, &rc);
	if (!fail && is_traced(path)) {
		trace("truncate %s %lld\n", path, (long long)size);
	}
	inside--;
	return fail ? rc : real_ftruncate(fd, size);
}

static bool rename_fails(const char *name, int from_dir, const char *from, int to_dir,
			 const char *to, int *rc)
{
	char old[PATH_MAX];
	char new[PATH_MAX];
	bool fail;

	if (!is_armed()) {
		return false;
	}
	inside++;
	path_below(from_dir, from, old);
	path_below(to_dir, to, new);
	fail = fails("rename", new, rc);
	if (!fail && is_traced(new)) {
		trace("%s %s %s\n", name, old, new);
	}
	inside--;
	return fail;
}

EXPORT int rename(const char *from, const char *to)
{
	REAL(rename)
	int rc;

	return rename_fails("rename", AT_FDCWD, from, AT_FDCWD, to, &rc) ? rc
									 : real_rename(from, to);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	REAL(renameat)
	int rc;

	return rename_fails("rename", from_dir, from, to_dir, to, &rc)
		       ? rc
		       : real_renameat(from_dir, from, to_dir, to);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
	REAL(renameat2)
	int rc;

	return rename_fails((flags & RENAME_EXCHANGE) != 0 ? "exchange" : "rename", from_dir, from,
			    to_dir, to, &rc)
		       ? rc
		       : real_renameat2(from_dir, from, to_dir, to, flags);
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	REAL(linkat)
	int rc;

	return rename_fails("link", from_dir, from, to_dir, to, &rc)
		       ? rc
		       : real_linkat(from_dir, from, to_dir, to, flags);
}

EXPORT int unlinkat(int dir, const char *name, int flags)
{
	REAL(unlinkat)
	char path[PATH_MAX];
	int rc = 0;
	bool fail;

	if (!is_armed()) {
		return real_unlinkat(dir, name, flags);
	}
	inside++;
	path_below(dir, name, path);
	fail = fails("unlink", path, &rc);
	if (!fail && is_traced(path)) {
		trace("unlink %s\n", path);
	}
	inside--;
	return fail ? rc : real_unlinkat(dir, name, flags);
}

/* --- memory, threads, sockets ------------------------------------------------------------------
 */

static bool plain_fails(const char *call, int *rc)
{
	bool fail;

	if (!is_armed()) {
		return false;
	}
	inside++;
	fail = fails(call, "", rc);
	inside--;
	return fail;
}

#ifndef OWN_MALLOC
EXPORT void *malloc(size_t size)
{
	int rc;

	return plain_fails("malloc", &rc) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
	int rc;

	return plain_fails("malloc", &rc) ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *old, size_t size)
{
	int rc;

	return size != 0 && plain_fails("malloc", &rc) ? NULL : __libc_realloc(old, size);
}
#endif

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	REAL(pthread_create)
	int rc;

	return plain_fails("thread", &rc) ? errno : real_pthread_create(thread, attr, run, arg);
}

EXPORT int socket(int domain, int type, int protocol)
{
	REAL(socket)
	int rc;

	return plain_fails("socket", &rc) ? rc : real_socket(domain, type, protocol);
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	REAL(connect)
	int rc;

	return plain_fails("connect", &rc) ? rc : real_connect(fd, address, len);
}

/* --- time --------------------------------------------------------------------------------------
 */

static bool is_time_of_day(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

static long moved_by(void)
{
	if (!begun) {
		return 0;
	}
	if (inside == 0) {
		inside++;
		look_at_file();
		inside--;
	}
	return rules->clock_s;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *out)
{
	REAL(clock_gettime)
	int rc = real_clock_gettime(clock, out);

	if (rc == 0 && is_time_of_day(clock)) {
		out->tv_sec += moved_by();
	}
	return rc;
}

EXPORT int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;
	int rc = clock_gettime(CLOCK_REALTIME, &now);

	(void)zone;
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return rc;
}

EXPORT time_t time(time_t *out)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL) {
		*out = now.tv_sec;
	}
	return now.tv_sec;
}
