/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rndc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"

#define KEY_FILE_MAX 65536

struct rndc {
	struct address server;
	char *key_file;
	struct rndc_key key;
	int fd;
	uint32_t serial;
	char nonce[RNDC_NONCE_SIZE]; /* empty: none yet */
	bool awaiting;
	struct buf out;
	size_t in_len;
	char in[4 + RNDC_REPLY_MAX];
};

enum outcome rndc_create(struct rndc **out, const char *server, const char *key_file,
			 struct reason *why)
{
	struct address address;
	struct rndc *rndc;
	enum outcome outcome;

	outcome = address_parse(server, 953, &address, why);
	if (outcome != OK) {
		return outcome;
	}
	rndc = xcalloc(1, sizeof(*rndc));
	rndc->server = address;
	rndc->key_file = xstrdup(key_file);
	rndc->fd = -1;
	buf_init(&rndc->out, RNDC_REQUEST_MAX);
	*out = rndc;
	return OK;
}

void rndc_destroy(struct rndc *rndc)
{
	if (rndc == NULL) {
		return;
	}
	rndc_close(rndc);
	explicit_bzero(&rndc->key, sizeof(rndc->key));
	buf_finish(&rndc->out);
	free(rndc->key_file);
	free(rndc);
}

void rndc_close(struct rndc *rndc)
{
	if (rndc->fd >= 0) {
		(void)close(rndc->fd);
	}
	rndc->fd = -1;
	rndc->nonce[0] = '\0';
	rndc->awaiting = false;
	rndc->in_len = 0;
}

bool rndc_is_open(const struct rndc *rndc)
{
	return rndc->fd >= 0;
}

int rndc_fd(const struct rndc *rndc)
{
	return rndc->fd;
}

/* Everything about the key file is TEMPFAIL: the operator repairs it while we run. */
static enum outcome read_key(struct rndc *rndc, struct reason *why)
{
	struct reason because_of;
	char *text = xmalloc(KEY_FILE_MAX);
	enum outcome outcome = TEMPFAIL;
	ssize_t len = -1;
	int fd;

	fd = open(rndc->key_file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, KEY_FILE_MAX);
	}
	if (len < 0) {
		because(TEMPFAIL, why, "rndc key file %s: %s", rndc->key_file, strerror(errno));
		goto out;
	}
	if (rndc_key_parse((struct span){text, (size_t)len}, &rndc->key, &because_of) != OK) {
		because(TEMPFAIL, why, "rndc key file %s: %s", rndc->key_file, because_of.text);
		goto out;
	}
	outcome = OK;
out:
	if (fd >= 0) {
		(void)close(fd);
	}
	explicit_bzero(text, KEY_FILE_MAX);
	free(text);
	return outcome;
}

static enum outcome broken(struct rndc *rndc, struct reason *why, const char *what)
{
	because(TEMPFAIL, why, "rndc to %s port %s: %s", rndc->server.host, rndc->server.port,
		what);
	rndc_close(rndc);
	return TEMPFAIL;
}

enum outcome rndc_open(struct rndc *rndc, int timeout_ms, struct reason *why)
{
	struct reason because_of;
	struct rndc_reply reply;
	enum outcome outcome;

	if (rndc->fd >= 0) {
		return OK;
	}
	outcome = read_key(rndc, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = address_connect(&rndc->server, SOCK_STREAM, timeout_ms, &rndc->fd, why);
	if (outcome != OK) {
		return outcome;
	}
	/* named takes the same serial twice within a minute for a replay. */
	if (getrandom(&rndc->serial, sizeof(rndc->serial), GRND_NONBLOCK) < 0) {
		rndc->serial = (uint32_t)clock_us();
	}
	rndc->serial &= 0x7fffffff; /* room to rise */
	outcome = rndc_call(rndc, span_of("null"), timeout_ms, &reply, &because_of);
	if (outcome != OK) {
		return because(TEMPFAIL, why,
			       "%s; if named runs: is key %s of %s in its controls statement, and "
			       "do both clocks agree?", /* named allows for 5 minutes */
			       because_of.text, rndc->key.name, rndc->key_file);
	}
	if (reply.nonce[0] == '\0') {
		return broken(rndc, why, "named gave no nonce");
	}
	memcpy(rndc->nonce, reply.nonce, sizeof(rndc->nonce));
	return OK;
}

enum outcome rndc_send(struct rndc *rndc, struct span command, struct reason *why)
{
	struct rndc_request request = {
		.serial = ++rndc->serial,
		.now_s = clock_wall_ms() / 1000,
		.nonce = rndc->nonce[0] == '\0' ? NULL : rndc->nonce,
		.command = command,
	};
	ssize_t len;

	assert(!rndc->awaiting);
	if (rndc->fd < 0) {
		return broken(rndc, why, "not connected");
	}
	buf_clear(&rndc->out);
	rndc_request_print(&request, &rndc->key, &rndc->out);
	if (rndc->out.overflow) {
		return broken(rndc, why, "command too long");
	}
	/* One small message on an idle connection always fits the socket's buffer. */
	len = send(rndc->fd, rndc->out.data, rndc->out.len, MSG_NOSIGNAL);
	if (len != (ssize_t)rndc->out.len) {
		return broken(rndc, why, len < 0 ? strerror(errno) : "cut short");
	}
	rndc->awaiting = true;
	rndc->in_len = 0;
	return OK;
}

static bool frame_is_whole(struct rndc *rndc, size_t *len)
{
	const uint8_t *at = (const uint8_t *)rndc->in;

	if (rndc->in_len < 4) {
		return false;
	}
	*len = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	return *len > RNDC_REPLY_MAX || rndc->in_len >= 4 + *len;
}

enum outcome rndc_poll(struct rndc *rndc, bool *complete, struct rndc_reply *reply,
		       struct reason *why)
{
	struct rndc_reply parsed;
	struct reason because_of;
	enum outcome outcome;
	size_t frame_len = 0;
	ssize_t len;

	if (rndc->fd < 0) {
		return broken(rndc, why, "not connected");
	}
	*complete = false;
	while (!frame_is_whole(rndc, &frame_len)) {
		len = recv(rndc->fd, rndc->in + rndc->in_len, sizeof(rndc->in) - rndc->in_len, 0);
		if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
			return OK;
		}
		if (len <= 0) {
			return broken(rndc, why,
				      len == 0 ? "named closed the channel" : strerror(errno));
		}
		rndc->in_len += (size_t)len;
	}
	if (frame_len > RNDC_REPLY_MAX || rndc->in_len != 4 + frame_len) {
		return broken(rndc, why, "named's reply has a wrong length");
	}
	outcome = rndc_reply_parse((struct span){rndc->in + 4, frame_len}, &rndc->key, &parsed,
				   &because_of);
	if (outcome != OK) {
		return broken(rndc, why, because_of.text);
	}
	if (parsed.serial != rndc->serial ||
	    (rndc->nonce[0] != '\0' && strcmp(parsed.nonce, rndc->nonce) != 0)) {
		return broken(rndc, why, "named's reply is not to our command");
	}
	rndc->awaiting = false;
	rndc->in_len = 0;
	*reply = parsed;
	*complete = true;
	return OK;
}

enum outcome rndc_call(struct rndc *rndc, struct span command, int timeout_ms,
		       struct rndc_reply *reply, struct reason *why)
{
	int64_t deadline = clock_ms() + timeout_ms;
	bool complete = false;
	enum outcome outcome;

	outcome = rndc_send(rndc, command, why);
	while (outcome == OK && !complete) {
		struct pollfd poll_fd = {.fd = rndc->fd, .events = POLLIN};
		int64_t left = deadline - clock_ms();

		if (left <= 0 || poll(&poll_fd, 1, (int)left) == 0) {
			return broken(rndc, why, "no reply in time");
		}
		outcome = rndc_poll(rndc, &complete, reply, why);
	}
	return outcome;
}
