/* SPDX-License-Identifier: Apache-2.0 */
#include "common/fetch.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "common/clock.h"
#include "common/name.h"

#define ANSWER_HEAD_MAX 65536 /* bytes of an answer's header lines */
#define SPARES_MAX 16         /* easy handles kept for the next requests */
#define SERVER_SIZE 280       /* host:port */

struct transfer {
	TAILQ_ENTRY(transfer) link; /* in `running`, `done` or `spare` */
	CURL *easy;
	struct curl_slist *headers;
	char server[SERVER_SIZE];
	char said[CURL_ERROR_SIZE];
	void *ticket;
	CURLcode result;
	int64_t timeout_ms;
	int64_t deadline_ms;
	size_t head_bytes;
	bool head_whole; /* curl also takes one that is cut short */
	struct buf body;
};
TAILQ_HEAD(transfers, transfer);

struct fetch {
	CURLM *multi;
	struct transfers running;
	struct transfers done;
	struct transfers spare;
	size_t spares;
	size_t in_flight;
	int64_t expires_ms;     /* no running one has an earlier deadline */
	struct transfer *given; /* whose body fetch_next lent */
	_Atomic bool woken;
};

static void set_up_curl(void)
{
	CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);

	assert(code == CURLE_OK);
	(void)code;
}

struct fetch *fetch_create(int64_t connections)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct fetch *fetch = xcalloc(1, sizeof(*fetch));

	(void)pthread_once(&once, set_up_curl);
	TAILQ_INIT(&fetch->running);
	TAILQ_INIT(&fetch->done);
	TAILQ_INIT(&fetch->spare);
	fetch->expires_ms = INT64_MAX;
	fetch->multi = curl_multi_init();
	assert(fetch->multi != NULL);
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)connections);
	return fetch;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void transfer_destroy(struct transfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	buf_finish(&transfer->body);
	free(transfer);
}

static void destroy_all(struct transfers *list)
{
	struct transfer *transfer;

	while ((transfer = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, transfer, link);
		transfer_destroy(transfer);
	}
}

void fetch_destroy(struct fetch *fetch)
{
	struct transfer *transfer;

	if (fetch == NULL) {
		return;
	}
	for (transfer = TAILQ_FIRST(&fetch->running); transfer != NULL;
	     transfer = TAILQ_NEXT(transfer, link)) {
		(void)curl_multi_remove_handle(fetch->multi, transfer->easy);
	}
	destroy_all(&fetch->running);
	destroy_all(&fetch->done);
	destroy_all(&fetch->spare);
	if (fetch->given != NULL) {
		transfer_destroy(fetch->given);
	}
	(void)curl_multi_cleanup(fetch->multi);
	free(fetch);
}

/* --- a request ---------------------------------------------------------------------------------
 */

static enum outcome url_part(CURLU *parts, CURLUPart part, char **out, struct reason *why)
{
	CURLUcode code = curl_url_get(parts, part, out, CURLU_DEFAULT_PORT);

	if (code != CURLUE_OK) {
		return because(PERMFAIL, why, "the URL cannot be used: %s",
			       curl_url_strerror(code));
	}
	return OK;
}

/* `server` gets what reasons call it. The URL itself is quoted nowhere. */
static enum outcome url_read(const char *url, char server[SERVER_SIZE], struct reason *why)
{
	CURLU *parts = curl_url();
	char *secret = NULL;
	char *scheme = NULL;
	char *host = NULL;
	char *port = NULL;
	enum outcome outcome;
	CURLUcode code;

	assert(parts != NULL);
	code = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
	if (code != CURLUE_OK) {
		outcome = because(PERMFAIL, why,
				  "the URL cannot be read (%s): write http://host:port",
				  curl_url_strerror(code));
		goto out;
	}
	if (curl_url_get(parts, CURLUPART_USER, &secret, 0) != CURLUE_NO_USER ||
	    curl_url_get(parts, CURLUPART_PASSWORD, &secret, 0) != CURLUE_NO_PASSWORD) {
		outcome = because(PERMFAIL, why,
				  "the URL holds a user or password, and URLs stand in logs");
		goto out;
	}
	outcome = url_part(parts, CURLUPART_SCHEME, &scheme, why);
	if (outcome == OK) {
		outcome = url_part(parts, CURLUPART_HOST, &host, why);
	}
	if (outcome == OK && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
		outcome = because(PERMFAIL, why, "the URL is neither http:// nor https://, but %s",
				  name_quote(span_of(scheme)).text);
	}
	if (outcome == OK) {
		outcome = url_part(parts, CURLUPART_PORT, &port, why);
	}
	if (outcome == OK && server != NULL) {
		(void)snprintf(server, SERVER_SIZE, "%s:%s", host, port);
	}
out:
	curl_free(secret);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
	return outcome;
}

enum outcome fetch_check(const char *url, struct reason *why)
{
	return url_read(url, NULL, why);
}

static bool is_one_line(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < ' ' || byte == 0x7f) {
			return false;
		}
	}
	return true;
}

static void add_header(struct transfer *transfer, const char *line)
{
	struct curl_slist *longer = curl_slist_append(transfer->headers, line);

	assert(longer != NULL);
	transfer->headers = longer;
}

static size_t take_head(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;

	if (size * count >= 5 && memcmp(data, "HTTP/", 5) == 0) {
		transfer->head_whole = false; /* after 100 Continue comes another */
	} else if (size * count != 0 && (data[0] == '\r' || data[0] == '\n')) {
		transfer->head_whole = true;
	}
	transfer->head_bytes += size * count;
	return transfer->head_bytes > ANSWER_HEAD_MAX ? 0 : size * count; /* 0: give up */
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;

	buf_add(&transfer->body, (struct span){data, size * count});
	return transfer->body.overflow ? 0 : size * count;
}

static struct transfer *transfer_take(struct fetch *fetch)
{
	struct transfer *transfer = TAILQ_FIRST(&fetch->spare);

	if (transfer != NULL) {
		TAILQ_REMOVE(&fetch->spare, transfer, link);
		fetch->spares--;
		return transfer;
	}
	transfer = xcalloc(1, sizeof(*transfer));
	transfer->easy = curl_easy_init();
	assert(transfer->easy != NULL);
	return transfer;
}

static void transfer_put(struct fetch *fetch, struct transfer *transfer)
{
	if (fetch->spares == SPARES_MAX) {
		transfer_destroy(transfer);
		return;
	}
	curl_easy_reset(transfer->easy);
	curl_slist_free_all(transfer->headers);
	buf_finish(&transfer->body);
	*transfer = (struct transfer){.easy = transfer->easy};
	TAILQ_INSERT_HEAD(&fetch->spare, transfer, link);
	fetch->spares++;
}

/* curl_easy_setopt fails on options that this libcurl does not know, and for want of memory. */
#define SET(option, value)                                                        \
	do {                                                                      \
		CURLcode code_ = curl_easy_setopt(transfer->easy, option, value); \
		assert(code_ == CURLE_OK);                                        \
		(void)code_;                                                      \
	} while (0)

static void set_safety(struct transfer *transfer)
{
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* destroy waits for no resolver */
	SET(CURLOPT_TCP_NODELAY, 1L);
}

static void set_method(struct transfer *transfer, const struct fetch_request *request)
{
	if (strcmp(request->method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (strcmp(request->method, "GET") != 0) {
		/* Also without a body: Content-Length: 0, which PUT and POST must say. */
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
		SET(CURLOPT_COPYPOSTFIELDS, request->body.len == 0 ? "" : request->body.data);
		SET(CURLOPT_CUSTOMREQUEST, request->method);
	}
	add_header(transfer, "Expect:"); /* curl's own, taken out */
	add_header(transfer, "Content-Type:");
	for (const char *const *line = request->headers; line != NULL && *line != NULL; line++) {
		add_header(transfer, *line);
	}
	SET(CURLOPT_HTTPHEADER, transfer->headers);
}

enum outcome fetch_start(struct fetch *fetch, const struct fetch_request *request,
			 struct reason *why)
{
	char server[SERVER_SIZE];
	struct transfer *transfer;
	enum outcome outcome;
	CURLMcode code;

	outcome = url_read(request->url, server, why);
	if (outcome != OK) {
		return outcome;
	}
	for (const char *const *line = request->headers; line != NULL && *line != NULL; line++) {
		if (!is_one_line(*line) || strchr(*line, ':') == NULL) {
			return because(PERMFAIL, why, "%s: a header is not one line of text",
				       server);
		}
	}
	transfer = transfer_take(fetch);
	memcpy(transfer->server, server, sizeof(server));
	transfer->ticket = request->ticket;
	buf_init(&transfer->body, request->answer_max);
	set_safety(transfer);
	set_method(transfer, request);
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_USERAGENT, "dadns");
	SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	SET(CURLOPT_ERRORBUFFER, transfer->said);
	SET(CURLOPT_HEADERFUNCTION, take_head);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_PRIVATE, transfer);
	code = curl_multi_add_handle(fetch->multi, transfer->easy);
	assert(code == CURLM_OK);
	(void)code;
	TAILQ_INSERT_TAIL(&fetch->running, transfer, link);
	transfer->timeout_ms = request->timeout_ms;
	transfer->deadline_ms = clock_ms() + request->timeout_ms;
	fetch->expires_ms = earlier(fetch->expires_ms, transfer->deadline_ms);
	fetch->in_flight++;
	return OK;
}

/* --- answers -----------------------------------------------------------------------------------
 */

static void finish(struct fetch *fetch, struct transfer *transfer, CURLcode result)
{
	transfer->result = result;
	(void)curl_multi_remove_handle(fetch->multi, transfer->easy);
	TAILQ_REMOVE(&fetch->running, transfer, link);
	TAILQ_INSERT_TAIL(&fetch->done, transfer, link);
	if (TAILQ_EMPTY(&fetch->running)) {
		fetch->expires_ms = INT64_MAX;
	}
}

static void collect(struct fetch *fetch)
{
	struct CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(fetch->multi, &left)) != NULL) {
		CURLcode result = message->data.result;
		char *transfer = NULL;

		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		finish(fetch, (struct transfer *)(void *)transfer, result);
	}
}

/* curl watches the time of those that have a connection, not of those that wait for one. */
static void expire(struct fetch *fetch)
{
	int64_t now = clock_ms();
	struct transfer *transfer;
	struct transfer *next;

	if (now < fetch->expires_ms) {
		return;
	}
	fetch->expires_ms = INT64_MAX;
	for (transfer = TAILQ_FIRST(&fetch->running); transfer != NULL; transfer = next) {
		next = TAILQ_NEXT(transfer, link);
		if (now >= transfer->deadline_ms) {
			finish(fetch, transfer, CURLE_OPERATION_TIMEDOUT);
		} else {
			fetch->expires_ms = earlier(fetch->expires_ms, transfer->deadline_ms);
		}
	}
}

void fetch_work(struct fetch *fetch, int timeout_ms, int other_fd)
{
	struct curl_waitfd other = {.fd = other_fd, .events = CURL_WAIT_POLLIN};
	int64_t deadline = clock_ms() + timeout_ms;

	for (;;) {
		int64_t left;
		CURLMcode code;
		int running;

		code = curl_multi_perform(fetch->multi, &running);
		assert(code == CURLM_OK);
		collect(fetch);
		expire(fetch);
		left = earlier(deadline, fetch->expires_ms) - clock_ms();
		if (clock_ms() >= deadline || !TAILQ_EMPTY(&fetch->done) || other.revents != 0 ||
		    atomic_exchange(&fetch->woken, false)) {
			return;
		}
		code = curl_multi_poll(fetch->multi, &other, other_fd >= 0 ? 1 : 0,
				       left > 0 ? (int)left : 0, NULL);
		assert(code == CURLM_OK);
		(void)code;
	}
}

void fetch_wake(struct fetch *fetch)
{
	atomic_store(&fetch->woken, true);
	(void)curl_multi_wakeup(fetch->multi);
}

size_t fetch_in_flight(const struct fetch *fetch)
{
	return fetch->in_flight;
}

static enum outcome say(const struct transfer *transfer, struct reason *why)
{
	const char *what = transfer->said;

	if (transfer->result == CURLE_OK && transfer->head_whole) {
		return OK;
	}
	if (transfer->result == CURLE_OK) {
		return because(TEMPFAIL, why, "%s: the answer's header is cut short",
			       transfer->server);
	}
	if (transfer->result == CURLE_OPERATION_TIMEDOUT) {
		return because(TEMPFAIL, why, "%s: no whole answer within %" PRId64 " ms",
			       transfer->server, transfer->timeout_ms);
	}
	if (transfer->body.overflow) {
		return because(TEMPFAIL, why, "%s: the answer is longer than %zu bytes",
			       transfer->server, transfer->body.ceiling);
	}
	if (transfer->head_bytes > ANSWER_HEAD_MAX) {
		return because(TEMPFAIL, why, "%s: the answer's header is longer than %d bytes",
			       transfer->server, ANSWER_HEAD_MAX);
	}
	if (what[0] == '\0') {
		what = curl_easy_strerror(transfer->result);
	}
	return because(TEMPFAIL, why, "%s: %s", transfer->server, what);
}

bool fetch_next(struct fetch *fetch, struct fetch_answer *out)
{
	struct transfer *transfer = TAILQ_FIRST(&fetch->done);
	long status = 0;

	if (fetch->given != NULL) {
		transfer_put(fetch, fetch->given);
		fetch->given = NULL;
	}
	if (transfer == NULL) {
		return false;
	}
	TAILQ_REMOVE(&fetch->done, transfer, link);
	fetch->given = transfer;
	fetch->in_flight--;
	*out = (struct fetch_answer){.ticket = transfer->ticket};
	out->outcome = say(transfer, &out->why);
	if (out->outcome == OK) {
		(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
		out->status = (int)status;
		out->body = buf_span(&transfer->body);
	}
	return true;
}
