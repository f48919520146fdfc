/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h: an HTTP client, many requests in flight on few kept-open connections. libcurl stays in
 * fetch.c.
 *
 * http and https only, HTTP/1.1; no redirects are followed, no proxy and no password is taken from
 * the environment. Certificates are checked against the system's store. Header lines that are
 * given (keys) stand in no reason.
 *
 * Threads: a struct fetch belongs to one thread; fetch_wake may be called from any.
 */
#ifndef COMMON_FETCH_H
#define COMMON_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/outcome.h"

struct fetch;

struct fetch_request {
	const char *method; /* "PUT" */
	const char *url;
	const char *const *headers; /* "X-API-Key: ..." lines, NULL ends; copied; may be NULL */
	struct span body;           /* copied */
	int64_t timeout_ms;         /* for all of it; waiting for a connection counts */
	size_t answer_max;          /* bytes of the answer's body; more is an error */
	void *ticket;
};

struct fetch_answer {
	void *ticket;
	enum outcome outcome; /* TEMPFAIL: no whole answer came, `why` says why */
	struct reason why;
	int status;       /* HTTP */
	struct span body; /* good until the next fetch_next */
};

/* Can such a URL be fetched? For whoever reads it from a configuration. PERMFAIL: it cannot be
 * read, is neither http nor https, or holds a password: URLs stand in logs. */
MUST_CHECK enum outcome fetch_check(const char *url, struct reason *why);

/* At most `connections` to one server at a time; further requests wait for one. */
struct fetch *fetch_create(int64_t connections);
void fetch_destroy(struct fetch *fetch); /* what is in flight is dropped, unanswered */
/* PERMFAIL: the URL (as fetch_check), or a header that is no single line. */
MUST_CHECK enum outcome fetch_start(struct fetch *fetch, const struct fetch_request *request,
				    struct reason *why);
/* Works for up to `timeout_ms`, less when an answer is there, when `other_fd` (-1: none) can be
 * read, or after fetch_wake. */
void fetch_work(struct fetch *fetch, int timeout_ms, int other_fd);
/* The next answer that is there; false: none. */
bool fetch_next(struct fetch *fetch, struct fetch_answer *out);
size_t fetch_in_flight(const struct fetch *fetch); /* started, and not yet given by fetch_next */
void fetch_wake(struct fetch *fetch);

#endif
