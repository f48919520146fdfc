/* SPDX-License-Identifier: Apache-2.0 */
/* http.h: an HTTP/1.0 and 1.1 server that can hold a request without holding a thread.
 * libmicrohttpd stays in http.c.
 *
 * The handler is called once per request, when its body is complete. It answers at once
 * (http_answer), or it calls http_hold and answers later from any thread: the connection is
 * suspended meanwhile. Every request is answered exactly once.
 *
 * Refused before a handler sees it (reliability.md 4.2), each with a short text/plain body and
 * `Connection: close`: Content-Length together with Transfer-Encoding, repeated or malformed
 * Content-Length, Authorization or Host, header names that are no tokens (400); POST without
 * length (411); body over the ceiling (413, before reading it); unknown transfer coding (501).
 * A body that is cut short never reaches a handler.
 *
 * Ceilings (I9): connections, connections per address, header bytes, body bytes, and absolute
 * deadlines for header and body (the library's own limit is inactivity only; a reaper closes the
 * socket). connections x body ceiling is what the memory limit must hold.
 *
 * Answers carry Content-Length, never chunks; an HTTP/1.0 client gets `Connection: close` unless it
 * asked for keep-alive.
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/metrics.h"
#include "common/outcome.h"

struct http;
struct http_request;

struct http_config {
	const char *listen; /* "127.0.0.1:2222", "[::1]:2222", ":2222" = every address */
	int64_t threads;    /* 1.. */
	int64_t connections;
	int64_t connections_per_address;
	int64_t body_bytes;   /* of one request */
	int64_t bodies_bytes; /* of all at once; what is over it is answered 503 */
	int64_t header_deadline_ms;
	int64_t body_deadline_ms;
	int64_t idle_ms; /* keep-alive connection without a request */
};
#define HTTP_CONFIG_DEFAULT                                                                    \
	{                                                                                      \
		.threads = 1, .connections = 4096, .connections_per_address = 1024,            \
		.body_bytes = 1 << 20, .bodies_bytes = 256 << 20, .header_deadline_ms = 10000, \
		.body_deadline_ms = 60000, .idle_ms = 60000                                    \
	}

typedef void (*http_handler)(void *context, struct http_request *request);

/* Listens and serves until http_close. PERMFAIL: cannot listen; `why` names the address. */
MUST_CHECK enum outcome http_listen(struct http **out, const struct http_config *config,
				    http_handler handler, void *context, struct reason *why);
/* Stops taking connections; requests that were started are still answered. */
void http_quiesce(struct http *http);
/* Waits until every held request was answered and its answer sent, `deadline_ms` at most, then
 * frees everything. What is held at the deadline gets a 503; no http_answer may come from then on.
 * Accepts NULL. */
void http_close(struct http *http, int64_t deadline_ms);
int64_t http_in_flight(const struct http *http); /* requests held now */

/* --- within a handler, or until the answer: all spans are borrowed from the request --- */
struct span http_method(const struct http_request *request);
struct span http_path(const struct http_request *request); /* decoded; no query */
struct span http_body(const struct http_request *request);
struct span http_peer(const struct http_request *request); /* "192.0.2.1", no port */
/* First header of that name (any case); data NULL: absent. */
struct span http_header(const struct http_request *request, const char *name);
/* Values of a query parameter, percent- and plus-decoded, may hold NUL bytes. Returns how many
 * there are; `out` gets the first (data NULL when 0). */
size_t http_query(const struct http_request *request, const char *name, struct span *out);
/* The i-th query parameter in order; false after the last. */
bool http_query_at(const struct http_request *request, size_t i, struct span *name,
		   struct span *value);
/* False: a malformed query (bad percent escape). */
bool http_query_valid(const struct http_request *request);
/* Credentials of `Authorization: Basic`. False: none, malformed, or with NUL bytes. */
bool http_credentials(const struct http_request *request, struct span *user, struct span *password);
/* Room for the handler's own per-request state, NULL at first; free it yourself. */
void **http_state(struct http_request *request);

/* Suspends the connection; call it in the handler, before anything that may answer. */
void http_hold(struct http_request *request);
/* Takes nothing: copies `body`. `extra` is NULL or one more header line "Name: value". */
void http_answer(struct http_request *request, int status, const char *content_type,
		 struct span body, const char *extra);

/* --- form bodies: application/x-www-form-urlencoded, also where no Content-Type says so --- */
struct form_field {
	struct span name; /* decoded, owned by the form */
	struct span value;
};
struct form {
	struct form_field *fields;
	size_t count;
	char *memory;
};
/* PERMFAIL: a bad percent escape, a pair without a name, over `fields_max` pairs. */
MUST_CHECK enum outcome form_parse(struct span body, size_t fields_max, struct form *out,
				   struct reason *why);
void form_finish(struct form *form);

extern const struct metric_table http_metrics;

#endif
