/* SPDX-License-Identifier: Apache-2.0 */
#include "common/redis.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "common/clock.h"
#include "common/redis_place.h"

enum {
	PAUSE_MIN_MS = 50, /* after a failure, until it is tried again; doubles */
	PAUSE_MAX_MS = 1000,
	OVERDUE_MS = 1000, /* an answer that is so late will not come: a new connection */
	ARGUMENTS_MAX = 64,
	PIECES_MAX = 256, /* commands given to the kernel at once */
	WRITES_MAX = 64,  /* of so many, until we read */
	READS_MAX = 1024, /* of 16 kB, until we look at the clock */
};

enum purpose {
	ASKED, /* by redis_ask */
	LOGIN, /* ours: nothing else is sent before Redis says yes */
	PROBE, /* ours, the last of them: does it serve, or does it load its data? */
};

struct question {
	TAILQ_ENTRY(question) link; /* in `asked`, in the order of the connection, or in `done` */
	enum purpose purpose;
	void *ticket;
	int64_t deadline_ms;
	bool answered; /* in time or not; only its place in the order still counts */
	char *command; /* as it goes over the wire; NULL: it has gone */
	size_t length;
	enum outcome outcome;
	struct reason why;
	redisReply *reply;
};
TAILQ_HEAD(questions, question);

struct redis {
	const struct redis_config *config;
	struct redis_place place;
	redisContext *context; /* NULL: away. It connects and reads; we write */
	bool connected;        /* the TCP connection stands */
	size_t logging_in;     /* answers until it is up */
	int64_t login_ms;      /* by when it must be connected, and then logged in */
	int64_t retry_ms;      /* when the next connection is tried */
	int64_t pause_ms;
	struct reason away; /* why the last connection ended */
	struct questions asked;
	struct question *unsent; /* the first in `asked` that has not gone whole */
	size_t sent;             /* bytes of it */
	struct questions done;
	size_t in_flight;
	int64_t expires_ms; /* nothing that was asked has an earlier deadline */
	struct question *given;
	struct redis_value *values; /* of `given`, below the first */
	int wake_fd;
};

enum outcome redis_check(const char *url, struct reason *why)
{
	struct redis_place place;

	return redis_place_parse(url, &place, why);
}

/* --- answers ------------------------------------------------------------------------------- */

static void question_destroy(struct question *question)
{
	if (question->reply != NULL) {
		freeReplyObject(question->reply);
	}
	redisFreeCommand(question->command);
	free(question);
}

static void answered(struct redis *redis, struct question *question)
{
	TAILQ_INSERT_TAIL(&redis->done, question, link);
}

/* What has not gone goes no more; of the rest the place in the order stays, without a ticket. */
static void give_up_waiting(struct redis *redis, struct question *question)
{
	struct question *answer = question;

	if (question->command != NULL && (question != redis->unsent || redis->sent == 0)) {
		if (question == redis->unsent) {
			redis->unsent = TAILQ_NEXT(question, link);
		}
		TAILQ_REMOVE(&redis->asked, question, link);
	} else {
		question->answered = true;
		question->deadline_ms = clock_ms() + OVERDUE_MS;
		answer = xcalloc(1, sizeof(*answer));
		answer->ticket = question->ticket;
	}
	answer->outcome = because(TEMPFAIL, &answer->why, "Redis did not answer in time");
	answered(redis, answer);
}

static void fail(struct redis *redis, struct question *question)
{
	if (question->answered || question->purpose != ASKED) {
		question_destroy(question);
		return;
	}
	question->outcome = because(TEMPFAIL, &question->why, "%s", redis->away.text);
	answered(redis, question);
}

static void disconnect(struct redis *redis, const char *why)
{
	char place[ADDRESS_HOST_SIZE + 16];
	struct question *question;

	redis_place_print(&redis->place, place, sizeof(place));
	(void)because(TEMPFAIL, &redis->away, "Redis at %.100s is away: %s", place, why);
	if (redis->context != NULL) {
		redisFree(redis->context);
		redis->context = NULL;
	}
	redis->connected = false;
	redis->logging_in = 0;
	redis->unsent = NULL;
	redis->sent = 0;
	redis->pause_ms = redis->pause_ms == 0 ? PAUSE_MIN_MS : redis->pause_ms * 2;
	if (redis->pause_ms > PAUSE_MAX_MS) {
		redis->pause_ms = PAUSE_MAX_MS;
	}
	redis->retry_ms = clock_ms() + redis->pause_ms;
	while ((question = TAILQ_FIRST(&redis->asked)) != NULL) {
		TAILQ_REMOVE(&redis->asked, question, link);
		fail(redis, question);
	}
}

/* --- the connection ------------------------------------------------------------------------ */

static void put_command(struct question *question, const struct span *arguments, size_t count)
{
	const char *data[ARGUMENTS_MAX];
	size_t lens[ARGUMENTS_MAX];
	int length;

	assert(count != 0 && count <= ARGUMENTS_MAX);
	for (size_t i = 0; i < count; i++) {
		data[i] = arguments[i].data == NULL ? "" : arguments[i].data;
		lens[i] = arguments[i].len;
	}
	length = redisFormatCommandArgv(&question->command, (int)count, data, lens);
	if (length < 0) {
		abort(); /* out of memory */
	}
	question->length = (size_t)length;
}

static void enqueue(struct redis *redis, struct question *question)
{
	TAILQ_INSERT_TAIL(&redis->asked, question, link);
	if (redis->unsent == NULL) {
		redis->unsent = question;
	}
}

static void enqueue_login(struct redis *redis, enum purpose purpose, const struct span *arguments,
			  size_t count)
{
	struct question *question = xcalloc(1, sizeof(*question));

	question->purpose = purpose;
	question->deadline_ms = INT64_MAX;
	put_command(question, arguments, count);
	enqueue(redis, question);
	redis->logging_in++;
}

static void log_in(struct redis *redis)
{
	struct span words[3] = {span_of("AUTH")};
	char number[16];
	size_t count = 1;

	if (redis->place.user[0] != '\0') {
		words[count++] = span_of(redis->place.user);
	}
	if (count != 1 || redis->config->password[0] != '\0') {
		words[count++] = span_of(redis->config->password);
		enqueue_login(redis, LOGIN, words, count);
	}
	if (redis->place.database != 0) {
		(void)snprintf(number, sizeof(number), "%d", redis->place.database);
		words[0] = span_of("SELECT");
		words[1] = span_of(number);
		enqueue_login(redis, LOGIN, words, 2);
	}
	words[0] = span_of("PING");
	enqueue_login(redis, PROBE, words, 1);
}

static void connect_if_due(struct redis *redis)
{
	const struct redis_place *place = &redis->place;

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
	int on = 1;

	if (getsockopt(redis->context->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
		error = errno;
	}
	if (error != 0) {
		disconnect(redis, strerror(error));
		return false;
	}
	/* hiredis forgets it when it does not wait; a socket that is no TCP has nothing to delay */
	(void)setsockopt(redis->context->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	redis->connected = true;
	redis->login_ms = clock_ms() + redis->config->timeout_ms;
	return true;
}

/* An account that may not PING may still do all that we need. */
static bool keeps_us_out(enum purpose purpose, const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR &&
	       (purpose != PROBE || strncmp(reply->str, "NOPERM", 6) != 0);
}

static void take_login(struct redis *redis, struct question *question, redisReply *reply)
{
	char why[200];

	redis->logging_in--;
	if (keeps_us_out(question->purpose, reply)) {
		(void)snprintf(why, sizeof(why), "it does not let us in: %s", reply->str);
		disconnect(redis, why);
	} else if (redis->logging_in == 0) {
		redis->pause_ms = 0;
	}
	question_destroy(question);
	freeReplyObject(reply);
}

/* "-ERR max number of clients reached" comes before anybody has asked. */
static void take_unasked(struct redis *redis, redisReply *reply)
{
	disconnect(redis, reply->type == REDIS_REPLY_ERROR ? reply->str
							   : "it answered what nobody had asked");
	freeReplyObject(reply);
}

/* false: there is none, or the connection has ended. */
static bool take_reply(struct redis *redis)
{
	struct question *question = TAILQ_FIRST(&redis->asked);
	void *reply = NULL;

	if (redisGetReplyFromReader(redis->context, &reply) != REDIS_OK) {
		disconnect(redis, redis->context->errstr);
		return false;
	}
	if (reply == NULL) {
		return false;
	}
	if (question == NULL || question->command != NULL) {
		take_unasked(redis, reply);
		return false;
	}
	TAILQ_REMOVE(&redis->asked, question, link);
	if (question->purpose != ASKED) {
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

static bool may_send(const struct redis *redis, const struct question *question)
{
	return question != NULL && (question->purpose != ASKED || redis->logging_in == 0);
}

static void has_gone(struct redis *redis, size_t bytes)
{
	bytes += redis->sent;
	while (redis->unsent != NULL && bytes >= redis->unsent->length) {
		bytes -= redis->unsent->length;
		redisFreeCommand(redis->unsent->command);
		redis->unsent->command = NULL;
		redis->unsent = TAILQ_NEXT(redis->unsent, link);
	}
	redis->sent = bytes;
}

/* false: for now no more can go. */
static bool write_some(struct redis *redis)
{
	struct iovec pieces[PIECES_MAX];
	struct msghdr message = {.msg_iov = pieces};
	struct question *question;
	size_t skip = redis->sent;
	ssize_t sent;

	for (question = redis->unsent; message.msg_iovlen < PIECES_MAX && may_send(redis, question);
	     question = TAILQ_NEXT(question, link)) {
		pieces[message.msg_iovlen++] =
			(struct iovec){question->command + skip, question->length - skip};
		skip = 0;
	}
	if (message.msg_iovlen == 0) {
		return false;
	}
	sent = sendmsg(redis->context->fd, &message, MSG_NOSIGNAL);
	if (sent >= 0) {
		has_gone(redis, (size_t)sent);
		return true;
	}
	if (errno != EAGAIN && errno != EINTR) {
		disconnect(redis, strerror(errno));
	}
	return false;
}

static void write_out(struct redis *redis)
{
	for (int i = 0; i < WRITES_MAX && write_some(redis); i++) {
	}
}

/* All that is there: who was busy elsewhere finds his answers before their time is looked at. */
static void read_in(struct redis *redis)
{
	int more = 1;

	for (int i = 0; i < READS_MAX && more > 0; i++) {
		if (redisBufferRead(redis->context) != REDIS_OK) {
			disconnect(redis, redis->context->errstr);
			return;
		}
		while (take_reply(redis)) {
		}
		if (redis->context == NULL || ioctl(redis->context->fd, FIONREAD, &more) != 0) {
			return;
		}
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
	struct question *next;

	redis->expires_ms = INT64_MAX;
	for (question = TAILQ_FIRST(&redis->asked); question != NULL; question = next) {
		next = TAILQ_NEXT(question, link);
		if (question->deadline_ms > now_ms) {
			redis->expires_ms = earlier(redis->expires_ms, question->deadline_ms);
		} else if (question->answered) {
			disconnect(redis, "it does not answer any more");
			return;
		} else {
			give_up_waiting(redis, question);
			redis->expires_ms = earlier(redis->expires_ms, now_ms + OVERDUE_MS);
		}
	}
}

static void look_at_the_clock(struct redis *redis, bool quiet)
{
	int64_t now_ms = clock_ms();

	if (redis->logging_in != 0 && redis->login_ms <= now_ms && quiet) {
		disconnect(redis, "it did not let us in in time");
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

	if (redis_place_parse(config->url, &redis->place, why) != OK) {
		free(redis);
		return PERMFAIL;
	}
	redis->config = config;
	redis->expires_ms = INT64_MAX;
	TAILQ_INIT(&redis->asked);
	TAILQ_INIT(&redis->done);
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

	while ((question = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, question, link);
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
		put_command(question, arguments, count);
		enqueue(redis, question);
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
		if (!redis->connected || may_send(redis, redis->unsent)) {
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
	look_at_the_clock(redis, fds[2].revents == 0);
	return fds[0].revents != 0 || fds[1].revents != 0;
}

void redis_work(struct redis *redis, int timeout_ms, int other_fd)
{
	int64_t until_ms = clock_ms() + timeout_ms;
	uint64_t count;

	connect_if_due(redis);
	do {
		if (!TAILQ_EMPTY(&redis->done)) {
			until_ms = 0; /* what is there is read, and no more waited for */
		}
		if (work_once(redis, until_ms, other_fd)) {
			break;
		}
	} while (TAILQ_EMPTY(&redis->done) && clock_ms() < until_ms);
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
	struct question *question = TAILQ_FIRST(&redis->done);
	struct redis_value *room;

	drop_given(redis);
	if (question == NULL) {
		return false;
	}
	TAILQ_REMOVE(&redis->done, question, link);
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
