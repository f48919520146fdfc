/* SPDX-License-Identifier: Apache-2.0 */
/* http.h: one request after the other over one connection, which is opened again only when the
 * server closed it.
 */
#ifndef TESTS_BENCH_HTTP_H
#define TESTS_BENCH_HTTP_H

#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/figures.h"
#include "tests/bench/soa.h"

enum { HTTP_ANSWER_MAX = 1 << 20 };

struct http {
	const char *host, *port;
	int fd;           /* -1: not open */
	int64_t opened;   /* connections so far */
	const char *body; /* of the last answer */
	char *answer;
};

static inline void http_init(struct http *http, char *address)
{
	*http = (struct http){.host = address, .fd = -1};
	http->port = address_split(address);
	http->answer = need(malloc(HTTP_ANSWER_MAX + 1));
}

static inline void http_close(struct http *http)
{
	if (http->fd >= 0) {
		close(http->fd);
		http->fd = -1;
	}
}

static inline void http_finish(struct http *http)
{
	http_close(http);
	free(http->answer);
	http->answer = NULL;
}

/* True: all of it has come. */
static inline bool http_complete(struct http *http, size_t len, bool ended)
{
	const char *body = strstr(http->answer, "\r\n\r\n");
	const char *length = strcasestr(http->answer, "\r\nContent-Length:");

	if (body == NULL) {
		return false;
	}
	http->body = body + 4;
	if (length != NULL && length < body) {
		return len - (size_t)(http->body - http->answer) >= strtoull(length + 17, NULL, 10);
	}
	return ended;
}

/* False: the connection ended before a word of the answer. */
static inline bool http_try(struct http *http, const char *request, size_t request_len)
{
	size_t len = 0;
	ssize_t n = 0;

	for (size_t sent = 0; sent < request_len; sent += (size_t)n) {
		n = send(http->fd, request + sent, request_len - sent, MSG_NOSIGNAL);
		if (n <= 0) {
			return false;
		}
	}
	do {
		n = recv(http->fd, http->answer + len, HTTP_ANSWER_MAX - len, 0);
		len += n > 0 ? (size_t)n : 0;
		http->answer[len] = '\0';
		if (http_complete(http, len, n <= 0)) {
			if (n <= 0 || strcasestr(http->answer, "\r\nConnection: close") != NULL) {
				http_close(http);
			}
			return true;
		}
	} while (n > 0);
	return false;
}

/* Returns the answer's status. */
static inline int http_ask(struct http *http, const char *request, size_t len)
{
	int one = 1;

	for (int i = 0; i < 2; i++) {
		if (http->fd < 0) {
			http->fd = connect_to(http->host, http->port, SOCK_STREAM);
			setsockopt(http->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			http->opened++;
		}
		if (http_try(http, request, len)) {
			return (int)strtol(http->answer + strcspn(http->answer, " "), NULL, 10);
		}
		http_close(http);
	}
	die("%s:%s: the connection ended without an answer", http->host, http->port);
}

#endif
