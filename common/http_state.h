/* SPDX-License-Identifier: Apache-2.0 */
/* http_state.h: what the rooms of the HTTP server share. For http*.c only.
 *
 * Threads: a conn and its request belong to the library's worker thread; a held request to
 * whoever answers it, until http_answer gives it back. What others read is atomic or under `lock`.
 */
#ifndef COMMON_HTTP_STATE_H
#define COMMON_HTTP_STATE_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http.h"

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;

/* I9: of one connection: request line, headers and the read buffer. */
#define HTTP_HEAD_BYTES_MAX 32768
#define HTTP_NEVER INT64_MAX

enum http_row {
	CONNECTIONS,
	OPEN,
	HELD,
	ANSWERS_2XX,
	ANSWERS_4XX,
	ANSWERS_5XX,
	REFUSED,
	CUT,
	LATE_HEADER,
	LATE_BODY,
	LATE_READER,
	LATE_NEXT,
	SECONDS,
	HTTP_ROWS
};

extern struct metric http_rows[HTTP_ROWS];

/* In `conns` from accept to close. The deadline is absolute: bytes that trickle in do not move it
 * (P19). */
struct conn {
	struct http *http;
	struct conn *prev;
	struct conn *next;
	int fd;
	_Atomic int64_t deadline_ms;
	_Atomic int late; /* the row of http_rows[] to count at the deadline */
	int gone;         /* looks in a row that found its client gone */
	char peer[INET6_ADDRSTRLEN];
	struct http_request *request; /* current one, or NULL */
};

struct http_request {
	struct conn *conn;
	struct MHD_Connection *connection;
	char *method;
	char *uri; /* as it came */
	struct buf path;
	struct buf body;
	int64_t counted_bytes;  /* of it, in http.body_bytes */
	bool crowded;           /* it did not fit under the ceiling of all bodies */
	struct buf credentials; /* decoded; wiped at the end */
	struct span user;
	struct span password;
	bool has_credentials;
	struct form query;
	bool query_valid;
	bool head_seen;
	bool dispatched;
	bool held;
	void *state;
	int64_t dispatched_us;
	int status;
	struct MHD_Response *response;
	struct http_request *prev_held; /* in http.held_requests */
	struct http_request *next_held;
};

struct http {
	struct http_config config;
	http_handler handler;
	void *context;
	struct MHD_Daemon *daemon;
	int listen_fd;
	_Atomic bool quiesced;
	pthread_t reaper;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t reap;
	pthread_cond_t drained;
	struct conn *conns;
	struct http_request *held_requests;
	_Atomic int64_t held_count;
	_Atomic int64_t body_bytes; /* of all requests now (I9) */
	size_t active;              /* dispatched and not yet sent */
	size_t answering;           /* threads within http_answer */
	bool closing;
};

/* http_conn.c: the list of connections and the reaper that ends those past their deadline.
 * `late` is counted if the connection is still busy with it then. */
struct conn *http_conn_open(struct http *http, int fd, const void *sockaddr);
void http_conn_close(struct conn *conn);
void http_set_deadline(struct conn *conn, enum http_row late, int64_t after_ms);
MUST_CHECK enum outcome http_reaper_start(struct http *http, struct reason *why);
void http_reaper_stop(struct http *http);
void http_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms);

/* http_request.c */
void http_request_free(struct http_request *request);
/* Before any handler saw it. */
void http_request_refuse(struct http_request *request, int status, const char *text);

/* http_socket.c: "127.0.0.1:2222", "[::1]:2222", ":2222" */
MUST_CHECK enum outcome http_socket_listen(const char *address, int *fd, struct reason *why);
/* Room for so many connections in this process. */
MUST_CHECK enum outcome http_socket_room(int64_t connections, struct reason *why);
void http_socket_peer(const void *sockaddr, char out[INET6_ADDRSTRLEN]);

#endif
