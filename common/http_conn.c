/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, and the reaper that ends those past their deadline. */
#include "common/http_state.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"

#define REAP_EVERY_MS 100
#define GONE_LOOKS 10 /* what was read last may still be on its way to the handler */

void http_set_deadline(struct conn *conn, enum http_row late, int64_t after_ms)
{
	atomic_store(&conn->late, (int)late);
	atomic_store(&conn->deadline_ms,
		     after_ms == HTTP_NEVER ? HTTP_NEVER : clock_ms() + after_ms);
}

void http_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_cond_timedwait(cond, lock, &until);
}

/* Its client will send no more, everything that it sent is read, and the request is not whole:
 * with epoll the library misses an end that comes together with the last bytes (0.9.75). */
static bool is_gone(struct conn *conn)
{
	struct pollfd peer = {.fd = conn->fd, .events = POLLRDHUP};
	int unread = 0;

	if ((atomic_load(&conn->late) != LATE_HEADER && atomic_load(&conn->late) != LATE_BODY) ||
	    atomic_load(&conn->deadline_ms) == HTTP_NEVER || poll(&peer, 1, 0) != 1 ||
	    ioctl(conn->fd, FIONREAD, &unread) != 0 || unread != 0) {
		conn->gone = 0;
		return false;
	}
	return ++conn->gone >= GONE_LOOKS;
}

/* A conn leaves the list before its socket is closed, so under the lock the fd is its own. */
static void *reap(void *arg)
{
	struct http *http = arg;

	(void)pthread_mutex_lock(&http->lock);
	while (!http->closing) {
		int64_t now_ms = clock_ms();

		for (struct conn *conn = http->conns; conn != NULL; conn = conn->next) {
			bool late = now_ms >= atomic_load(&conn->deadline_ms);

			if (!late && !is_gone(conn)) {
				continue;
			}
			atomic_store(&conn->deadline_ms, HTTP_NEVER);
			if (late) {
				metric_add(&http_rows[atomic_load(&conn->late)], 1);
			}
			(void)shutdown(conn->fd, SHUT_RDWR); /* the library sees the end */
		}
		if (http->conns == NULL) {
			(void)pthread_cond_wait(&http->reap, &http->lock);
		} else {
			http_wait_ms(&http->reap, &http->lock, REAP_EVERY_MS);
		}
	}
	(void)pthread_mutex_unlock(&http->lock);
	return NULL;
}

enum outcome http_reaper_start(struct http *http, struct reason *why)
{
	if (pthread_create(&http->reaper, NULL, reap, http) != 0) {
		return because(PERMFAIL, why, "cannot start a thread");
	}
	return OK;
}

void http_reaper_stop(struct http *http)
{
	(void)pthread_mutex_lock(&http->lock);
	http->closing = true;
	(void)pthread_cond_signal(&http->reap);
	(void)pthread_mutex_unlock(&http->lock);
	(void)pthread_join(http->reaper, NULL);
}

struct conn *http_conn_open(struct http *http, int fd, const void *sockaddr)
{
	struct conn *conn = xcalloc(1, sizeof(*conn));

	conn->http = http;
	conn->fd = fd;
	http_socket_peer(sockaddr, conn->peer);
	http_set_deadline(conn, LATE_HEADER, http->config.header_deadline_ms);
	metric_add(&http_rows[CONNECTIONS], 1);
	metric_add(&http_rows[OPEN], 1);

	(void)pthread_mutex_lock(&http->lock);
	conn->next = http->conns;
	if (conn->next != NULL) {
		conn->next->prev = conn;
	} else {
		(void)pthread_cond_signal(&http->reap);
	}
	http->conns = conn;
	(void)pthread_mutex_unlock(&http->lock);
	return conn;
}

void http_conn_close(struct conn *conn)
{
	struct http *http = conn->http;

	(void)pthread_mutex_lock(&http->lock);
	if (conn->next != NULL) {
		conn->next->prev = conn->prev;
	}
	if (conn->prev != NULL) {
		conn->prev->next = conn->next;
	} else {
		http->conns = conn->next;
	}
	(void)pthread_mutex_unlock(&http->lock);
	metric_add(&http_rows[OPEN], -1);
	http_request_free(conn->request);
	free(conn);
}
