/* SPDX-License-Identifier: Apache-2.0 */
#include "common/redis.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hiredis/hiredis.h>
#include <hiredis/sds.h>

#include "common/address.h"
#include "common/clock.h"

enum {
	PAUSE_MIN_MS = 50, /* after a failure, until it is tried again; doubles */
	PAUSE_MAX_MS = 1000,
	OVERDUE_MS = 1000, /* an answer that is so late will not come: a new connection */
	ARGUMENTS_MAX = 64,
	PORT = 6379,
	DATABASES = 1000000,
};

struct question {
	STAILQ_ENTRY(question) link; /* in `asked`, in the order of the connection, or in `done` */
	void *ticket;
	int64_t deadline_ms;
	bool login;    /* ours: AUTH, SELECT */
	bool answered; /* in time or not; only its place in the order still counts */
	enum outcome outcome;
	struct reason why;
	redisReply *reply;
};
STAILQ_HEAD(questions, question);

struct place {
	struct address address;
	char path[108]; /* of a socket, instead; "" = none */
	char user[128];
	int database;
};

struct redis {
	const struct redis_config *config;
	struct place place;
	redisContext *context; /* NULL: away */
	bool connected;        /* the TCP connection stands */
	size_t logging_in;     /* answers until it is up */
	int64_t login_ms;      /* by when */
	int64_t retry_ms;      /* when the next connection is tried */
	int64_t pause_ms;
	struct reason away; /* why the last connection ended */
	struct questions asked;
	struct questions done;
	size_t in_flight;
	int64_t expires_ms; /* nothing that was asked has an earlier deadline */
	struct question *given;
	struct redis_value *values; /* of `given`, below the first */
	int wake_fd;
};

/* --- the URL ------------------------------------------------------------------------------- */

static bool number_of(struct span text, int max, int *out)
{
	int number = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || number > max) {
			return false;
		}
		number = number * 10 + (text.data[i] - '0');
	}
	*out = number;
	return text.len != 0 && number <= max;
}

static bool starts_with(struct span text, const char *words)
{
	size_t len = strlen(words);

	return text.len >= len && memcmp(text.data, words, len) == 0;
}

static struct span behind(struct span text, size_t at)
{
	return (struct span){text.data + at, text.len - at};
}

/* Cuts `text` in front of `byte`; what is behind it goes to `rest`. */
static bool cut(struct span *text, char byte, struct span *rest)
{
	const char *found = text->len == 0 ? NULL : memchr(text->data, byte, text->len);

	if (found == NULL) {
		return false;
	}
	*rest = behind(*text, (size_t)(found - text->data) + 1);
	text->len = (size_t)(found - text->data);
	return true;
}

static bool copy(struct span text, char *out, size_t size)
{
	if (text.len >= size) {
		return false;
	}
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	return true;
}

/* /PATH[?db=DB] */
static enum outcome read_socket(struct span text, struct place *out, struct reason *why)
{
	struct span query;

	if (cut(&text, '?', &query) && (!starts_with(query, "db=") ||
					!number_of(behind(query, 3), DATABASES, &out->database))) {
		return because(PERMFAIL, why, "behind ? only db=NUMBER is known");
	}
	if (!starts_with(text, "/") || !copy(text, out->path, sizeof(out->path))) {
		return because(PERMFAIL, why,
			       "the path of a socket begins with / and has at most %zu bytes",
			       sizeof(out->path) - 1);
	}
	return OK;
}

/* [USER@]HOST[:PORT][/DB] */
static enum outcome read_host(struct span text, struct place *out, struct reason *why)
{
	char host[ADDRESS_HOST_SIZE + 8];
	struct span database;
	struct span rest;

	if (cut(&text, '/', &database) && database.len != 0 &&
	    !number_of(database, DATABASES, &out->database)) {
		return because(PERMFAIL, why, "behind / the number of a database is expected");
	}
	if (cut(&text, '@', &rest)) {
		if (span_has_byte(text, ':')) {
			return because(
				PERMFAIL, why,
				"a password in the URL would be seen: use redis.password_file");
		}
		if (!copy(text, out->user, sizeof(out->user))) {
			return because(PERMFAIL, why, "the user's name is too long");
		}
		text = rest;
	}
	if (!copy(text, host, sizeof(host))) {
		return because(PERMFAIL, why, "the host's name is too long");
	}
	return address_parse(host, PORT, &out->address, why);
}

static enum outcome read_url(const char *url, struct place *out, struct reason *why)
{
	static const char tcp[] = "redis://";
	static const char local[] = "redis+unix://";
	struct span text = span_of(url);

	*out = (struct place){0};
	if (starts_with(text, local)) {
		return read_socket(behind(text, sizeof(local) - 1), out, why);
	}
	if (starts_with(text, tcp)) {
		return read_host(behind(text, sizeof(tcp) - 1), out, why);
	}
	return because(
		PERMFAIL, why,
		"write redis://HOST:PORT/DB or redis+unix:///PATH (TLS is not in hiredis %d.%d: "
		"put a tunnel in front)",
		HIREDIS_MAJOR, HIREDIS_MINOR);
}

enum outcome redis_check(const char *url, struct reason *why)
{
	struct place place;

	return read_url(url, &place, why);
}

/* --- answers ------------------------------------------------------------------------------- */

static void question_destroy(struct question *question)
{
	if (question->reply != NULL) {
		freeReplyObject(question->reply);
	}
	free(question);
}

static void answered(struct redis *redis, struct question *question)
{
	STAILQ_INSERT_TAIL(&redis->done, question, link);
}

/* The place in the order of the connection stays, without a ticket. */
static void give_up_waiting(struct redis *redis, struct question *question)
{
	struct question *answer = xcalloc(1, sizeof(*answer));

	question->answered = true;
	answer->ticket = question->ticket;
	answer->outcome = because(TEMPFAIL, &answer->why, "Redis did not answer in time");
	answered(redis, answer);
}

static void fail(struct redis *redis, struct question *question)
{
	if (question->answered || question->login) {
		question_destroy(question);
		return;
	}
	question->outcome =
		because(TEMPFAIL, &question->why, "Redis is away: %s", redis->away.text);
	answered(redis, question);
}

static void disconnect(struct redis *redis, const char *why)
{
	struct question *question;

	(void)because(TEMPFAIL, &redis->away, "%s", why);
	if (redis->context != NULL) {
		redisFree(redis->context);
		redis->context = NULL;
	}
	redis->connected = false;
	redis->logging_in = 0;
	redis->pause_ms = redis->pause_ms == 0 ? PAUSE_MIN_MS : redis->pause_ms * 2;
	if (redis->pause_ms > PAUSE_MAX_MS) {
		redis->pause_ms = PAUSE_MAX_MS;
	}
	redis->retry_ms = clock_ms() + redis->pause_ms;
	while ((question = STAILQ_FIRST(&redis->asked)) != NULL) {
		STAILQ_REMOVE_HEAD(&redis->asked, link);
		fail(redis, question);
	}
}

/* --- the connection ------------------------------------------------------------------------ */

static void send_command(struct redis *redis, const struct span *arguments, size_t count,
			 struct question *question)
{
	const char *data[ARGUMENTS_MAX];
	size_t lens[ARGUMENTS_MAX];

	assert(count != 0 && count <= ARGUMENTS_MAX);
	for (size_t i = 0; i < count; i++) {
		data[i] = arguments[i].data == NULL ? "" : arguments[i].data;
		lens[i] = arguments[i].len;
	}
	if (redisAppendCommandArgv(redis->context, (int)count, data, lens) != REDIS_OK) {
		abort(); /* out of memory */
	}
	STAILQ_INSERT_TAIL(&redis->asked, question, link);
}

static void log_in(struct redis *redis)
{
	char number[16];
	struct span auth[3] = {span_of("AUTH")};
	struct span select[2] = {span_of("SELECT"), span_of(number)};
	size_t count = 1;

	redis->logging_in = 0;
	if (redis->config->password[0] != '\0') {
		if (redis->place.user[0] != '\0') {
			auth[count++] = span_of(redis->place.user);
		}
		auth[count++] = span_of(redis->config->password);
	}
	(void)snprintf(number, sizeof(number), "%d", redis->place.database);
	select[1] = span_of(number);
	for (int i = count == 1; i < 2; i++) {
		struct question *question = xcalloc(1, sizeof(*question));

		question->login = true;
		question->deadline_ms = INT64_MAX;
		send_command(redis, i == 0 ? auth : select, i == 0 ? count : 2, question);
		redis->logging_in++;
	}
}

static void connect_if_due(struct redis *redis)
{
	const struct place *place = &redis->place;

	if (redis->context != NULL || clock_ms() < redis->retry_ms) {
		return;
	}
	redis->context = place->path[0] != '\0'
				 ? redisConnectUnixNonBlock(place->path)
				 : redisConnectNonBlock(place->address.host,
							(int)strtol(place->address.port, NULL, 10));
	if (redis->context == NULL) {
		abort(); /* out of memory */
	}
	if (redis->context->err != 0) {
		disconnect(redis, redis->context->errstr);
		return;
	}
	redis->login_ms = clock_ms() + redis->config->timeout_ms;
	log_in(redis);
}

static bool has_connected(struct redis *redis)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(redis->context->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
		error = errno;
	}
	if (error != 0) {
		disconnect(redis, strerror(error));
		return false;
	}
	redis->connected = true;
	return true;
}

static void take_login(struct redis *redis, struct question *question, redisReply *reply)
{
	char why[200];

	redis->logging_in--;
	question_destroy(question);
	if (reply->type == REDIS_REPLY_ERROR) {
		(void)snprintf(why, sizeof(why), "it does not let us in: %s", reply->str);
		disconnect(redis, why);
	} else if (redis->logging_in == 0) {
		redis->pause_ms = 0;
	}
	freeReplyObject(reply);
}

/* false: there is none, or the connection has ended. */
static bool take_reply(struct redis *redis)
{
	struct question *question = STAILQ_FIRST(&redis->asked);
	void *reply = NULL;

	if (redisGetReplyFromReader(redis->context, &reply) != REDIS_OK) {
		disconnect(redis, redis->context->errstr);
		return false;
	}
	if (reply == NULL) {
		return false;
	}
	if (question == NULL) {
		freeReplyObject(reply);
		disconnect(redis, "it answered what nobody had asked");
		return false;
	}
	STAILQ_REMOVE_HEAD(&redis->asked, link);
	if (question->login) {
		take_login(redis, question, reply);
		return redis->context != NULL;
	}
	if (question->answered) {
		freeReplyObject(reply);
		question_destroy(question);
		return true;
	}
	question->reply = reply;
	answered(redis, question);
	return true;
}

static void write_out(struct redis *redis)
{
	int done = 0;

	if (redisBufferWrite(redis->context, &done) != REDIS_OK) {
		disconnect(redis, redis->context->errstr);
	}
}

static void read_in(struct redis *redis)
{
	if (redisBufferRead(redis->context) != REDIS_OK) {
		disconnect(redis, redis->context->errstr);
		return;
	}
	while (take_reply(redis)) {
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* An answer that comes too late still has its place; after OVERDUE_MS more the connection has not.
 */
static void expire(struct redis *redis, int64_t now_ms)
{
	struct question *question;

	redis->expires_ms = INT64_MAX;
	STAILQ_FOREACH(question, &redis->asked, link)
	{
		if (question->login) {
			continue;
		}
		if (!question->answered && question->deadline_ms <= now_ms) {
			give_up_waiting(redis, question);
			question->deadline_ms = now_ms + OVERDUE_MS;
		} else if (question->answered && question->deadline_ms <= now_ms) {
			disconnect(redis, "it does not answer any more");
			return;
		}
		redis->expires_ms = earlier(redis->expires_ms, question->deadline_ms);
	}
}

static void look_at_the_clock(struct redis *redis)
{
	int64_t now_ms = clock_ms();

	if (redis->logging_in != 0 && redis->login_ms <= now_ms) {
		disconnect(redis, "it did not answer the login in time");
	}
	if (redis->expires_ms <= now_ms) {
		expire(redis, now_ms);
	}
	connect_if_due(redis);
}

/* --- the interface ------------------------------------------------------------------------- */

enum outcome redis_create(const struct redis_config *config, struct redis **out, struct reason *why)
{
	struct redis *redis = xcalloc(1, sizeof(*redis));

	if (read_url(config->url, &redis->place, why) != OK) {
		free(redis);
		return PERMFAIL;
	}
	redis->config = config;
	redis->expires_ms = INT64_MAX;
	STAILQ_INIT(&redis->asked);
	STAILQ_INIT(&redis->done);
	(void)because(TEMPFAIL, &redis->away, "it was not tried yet");
	redis->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert(redis->wake_fd >= 0);
	*out = redis;
	return OK;
}

static void drop_given(struct redis *redis)
{
	if (redis->given != NULL) {
		question_destroy(redis->given);
		redis->given = NULL;
	}
	free(redis->values);
	redis->values = NULL;
}

static void destroy_all(struct questions *list)
{
	struct question *question;

	while ((question = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		question_destroy(question);
	}
}

void redis_destroy(struct redis *redis)
{
	if (redis == NULL) {
		return;
	}
	if (redis->context != NULL) {
		redisFree(redis->context);
	}
	drop_given(redis);
	destroy_all(&redis->asked);
	destroy_all(&redis->done);
	(void)close(redis->wake_fd);
	free(redis);
}

void redis_ask(struct redis *redis, const struct span *arguments, size_t count, int64_t timeout_ms,
	       void *ticket)
{
	struct question *question = xcalloc(1, sizeof(*question));

	question->ticket = ticket;
	question->deadline_ms = clock_ms() + timeout_ms;
	redis->in_flight++;
	connect_if_due(redis);
	if (redis->context == NULL) {
		fail(redis, question);
	} else {
		send_command(redis, arguments, count, question);
		redis->expires_ms = earlier(redis->expires_ms, question->deadline_ms);
	}
}

/* Until something must be done by itself. */
static int64_t next_ms(const struct redis *redis)
{
	int64_t next_ms = redis->expires_ms;

	if (redis->context == NULL) {
		next_ms = earlier(next_ms, redis->retry_ms);
	} else if (redis->logging_in != 0) {
		next_ms = earlier(next_ms, redis->login_ms);
	}
	return next_ms;
}

/* true: somebody else has something to do. */
static bool work_once(struct redis *redis, int64_t until_ms, int other_fd)
{
	struct pollfd fds[3] = {{.fd = redis->wake_fd, .events = POLLIN},
				{.fd = other_fd, .events = POLLIN},
				{.fd = -1, .events = POLLIN}};
	int64_t wait_ms = earlier(until_ms, next_ms(redis)) - clock_ms();

	if (redis->context != NULL) {
		fds[2].fd = redis->context->fd;
		if (!redis->connected || sdslen(redis->context->obuf) != 0) {
			fds[2].events |= POLLOUT;
		}
	}
	if (wait_ms < 0) {
		wait_ms = 0;
	} else if (wait_ms > 60000) {
		wait_ms = 60000;
	}
	if (poll(fds, 3, (int)wait_ms) < 0) {
		return false; /* a signal */
	}
	if (redis->context != NULL && fds[2].revents != 0 &&
	    (redis->connected || has_connected(redis))) {
		if ((fds[2].revents & POLLOUT) != 0) {
			write_out(redis);
		}
		if (redis->context != NULL &&
		    (fds[2].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
			read_in(redis);
		}
	}
	look_at_the_clock(redis);
	return fds[0].revents != 0 || fds[1].revents != 0;
}

void redis_work(struct redis *redis, int timeout_ms, int other_fd)
{
	int64_t until_ms = clock_ms() + timeout_ms;
	uint64_t count;

	look_at_the_clock(redis);
	do {
		if (!STAILQ_EMPTY(&redis->done)) {
			until_ms = 0; /* what is there is read, and no more waited for */
		}
		if (work_once(redis, until_ms, other_fd)) {
			break;
		}
	} while (STAILQ_EMPTY(&redis->done) && clock_ms() < until_ms);
	while (read(redis->wake_fd, &count, sizeof(count)) > 0) {
	}
}

void redis_wake(struct redis *redis)
{
	uint64_t one = 1;
	ssize_t wrote = write(redis->wake_fd, &one, sizeof(one));

	(void)wrote; /* full: it is awake */
}

/* `*room` gets what lists hold, parents before children. */
static void fill(struct redis_value *out, const redisReply *reply, struct redis_value **room)
{
	struct redis_value *items;

	*out = (struct redis_value){.text = {reply->str, reply->len}, .number = reply->integer};
	switch (reply->type) {
	case REDIS_REPLY_INTEGER:
		out->kind = REDIS_NUMBER;
		out->text = SPAN_EMPTY;
		break;
	case REDIS_REPLY_ARRAY:
		out->kind = REDIS_LIST;
		out->text = SPAN_EMPTY;
		out->count = reply->elements;
		items = *room;
		out->items = items;
		*room += reply->elements;
		for (size_t i = 0; i < reply->elements; i++) {
			fill(&items[i], reply->element[i], room);
		}
		break;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		out->kind = REDIS_TEXT;
		break;
	case REDIS_REPLY_ERROR:
		out->kind = REDIS_ERROR;
		break;
	default:
		out->kind = REDIS_NIL;
		out->text = SPAN_EMPTY;
		break;
	}
}

static size_t count_items(const redisReply *reply)
{
	size_t count = 0;

	if (reply->type == REDIS_REPLY_ARRAY) {
		count = reply->elements;
		for (size_t i = 0; i < reply->elements; i++) {
			count += count_items(reply->element[i]);
		}
	}
	return count;
}

bool redis_next(struct redis *redis, struct redis_answer *out)
{
	struct question *question = STAILQ_FIRST(&redis->done);
	struct redis_value *room;

	drop_given(redis);
	if (question == NULL) {
		return false;
	}
	STAILQ_REMOVE_HEAD(&redis->done, link);
	redis->given = question;
	redis->in_flight--;
	*out = (struct redis_answer){
		.ticket = question->ticket, .outcome = question->outcome, .why = question->why};
	if (question->reply != NULL) {
		redis->values = xcalloc(count_items(question->reply) + 1, sizeof(*redis->values));
		room = redis->values;
		fill(&out->value, question->reply, &room);
	}
	return true;
}

size_t redis_in_flight(const struct redis *redis)
{
	return redis->in_flight;
}

bool redis_is_up(const struct redis *redis)
{
	return redis->context != NULL && redis->connected && redis->logging_in == 0;
}

enum outcome redis_run(struct redis *redis, const struct span *arguments, size_t count,
		       int64_t timeout_ms, struct redis_value *out, struct reason *why)
{
	struct redis_answer answer;

	assert(redis->in_flight == 0);
	redis_ask(redis, arguments, count, timeout_ms, NULL);
	while (!redis_next(redis, &answer)) {
		redis_work(redis, 1000, -1);
	}
	if (answer.outcome != OK) {
		*why = answer.why;
		return answer.outcome;
	}
	if (answer.value.kind == REDIS_ERROR) {
		return because(TEMPFAIL, why, "Redis refuses: %.*s", (int)answer.value.text.len,
			       answer.value.text.data);
	}
	*out = answer.value;
	return OK;
}
