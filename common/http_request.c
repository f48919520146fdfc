/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler sees of a request, and its answer. */
#include "common/http_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "common/clock.h"

void http_request_free(struct http_request *request)
{
	if (request == NULL) {
		return;
	}
	if (request->credentials.data != NULL) {
		explicit_bzero(request->credentials.data, request->credentials.len);
	}
	if (request->response != NULL) {
		MHD_destroy_response(request->response);
	}
	buf_finish(&request->path);
	buf_finish(&request->body);
	atomic_fetch_sub(&request->conn->http->body_bytes, request->counted_bytes);
	buf_finish(&request->credentials);
	form_finish(&request->query);
	free(request->method);
	free(request->uri);
	free(request);
}

static void count_answer(int status)
{
	metric_add(&http_rows[status < 400   ? ANSWERS_2XX
			      : status < 500 ? ANSWERS_4XX
					     : ANSWERS_5XX],
		   1);
}

static struct MHD_Response *make_response(const char *content_type, struct span body)
{
	union {
		const char *in;
		void *out;
	} bytes = {.in = body.data == NULL ? "" : body.data}; /* copied, not written to */
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body.len, bytes.out, MHD_RESPMEM_MUST_COPY);

	if (response == NULL) {
		abort(); /* out of memory */
	}
	(void)MHD_add_response_header(response, "Content-Type", content_type);
	return response;
}

void http_request_refuse(struct http_request *request, int status, const char *text)
{
	request->status = status;
	request->response = make_response("text/plain", span_of(text));
	/* What follows on the connection may be anything. */
	(void)MHD_add_response_header(request->response, "Connection", "close");
	metric_add(&http_rows[REFUSED], 1);
	count_answer(status);
}

struct span http_method(const struct http_request *request)
{
	return span_of(request->method);
}

struct span http_path(const struct http_request *request)
{
	return buf_span(&request->path);
}

struct span http_body(const struct http_request *request)
{
	return buf_span(&request->body);
}

struct span http_peer(const struct http_request *request)
{
	return span_of(request->conn->peer);
}

struct span http_header(const struct http_request *request, const char *name)
{
	const char *value = NULL;
	size_t len = 0;

	if (MHD_lookup_connection_value_n(request->connection, MHD_HEADER_KIND, name, strlen(name),
					  &value, &len) != MHD_YES ||
	    value == NULL) {
		return SPAN_EMPTY;
	}
	return (struct span){value, len};
}

size_t http_query(const struct http_request *request, const char *name, struct span *out)
{
	size_t count = 0;

	*out = SPAN_EMPTY;
	for (size_t i = 0; i < request->query.count; i++) {
		if (span_is(request->query.fields[i].name, name) && count++ == 0) {
			*out = request->query.fields[i].value;
		}
	}
	return count;
}

bool http_query_at(const struct http_request *request, size_t i, struct span *name,
		   struct span *value)
{
	if (i >= request->query.count) {
		return false;
	}
	*name = request->query.fields[i].name;
	*value = request->query.fields[i].value;
	return true;
}

bool http_query_valid(const struct http_request *request)
{
	return request->query_valid;
}

bool http_credentials(const struct http_request *request, struct span *user, struct span *password)
{
	if (request->has_credentials) {
		*user = request->user;
		*password = request->password;
	}
	return request->has_credentials;
}

void **http_state(struct http_request *request)
{
	return &request->state;
}

void http_hold(struct http_request *request)
{
	struct http *http = request->conn->http;

	request->held = true;
	metric_add(&http_rows[HELD], 1);
	(void)pthread_mutex_lock(&http->lock);
	http->held_count++;
	request->next_held = http->held_requests;
	if (request->next_held != NULL) {
		request->next_held->prev_held = request;
	}
	http->held_requests = request;
	(void)pthread_mutex_unlock(&http->lock);
	MHD_suspend_connection(request->connection);
}

/* Under the lock. */
static void unlink_held(struct http *http, struct http_request *request)
{
	if (request->next_held != NULL) {
		request->next_held->prev_held = request->prev_held;
	}
	if (request->prev_held != NULL) {
		request->prev_held->next_held = request->next_held;
	} else {
		assert(http->held_requests == request); /* else it was answered before */
		http->held_requests = request->next_held;
	}
	http->held_count--;
}

static void add_header_line(struct MHD_Response *response, const char *line)
{
	const char *colon = strstr(line, ": ");
	char *name;

	assert(colon != NULL);
	name = xstrndup(line, (size_t)(colon - line));
	(void)MHD_add_response_header(response, name, colon + 2);
	free(name);
}

void http_answer(struct http_request *request, int status, const char *content_type,
		 struct span body, const char *extra)
{
	struct http *http = request->conn->http;
	bool held = request->held;

	assert(request->response == NULL); /* once */
	request->status = status;
	request->response = make_response(content_type, body);
	if (extra != NULL) {
		add_header_line(request->response, extra);
	}
	metric_observe_us(&http_rows[SECONDS], clock_us() - request->dispatched_us);
	count_answer(status);
	if (!held) {
		return;
	}
	metric_add(&http_rows[HELD], -1);
	(void)pthread_mutex_lock(&http->lock);
	unlink_held(http, request);
	http->answering++;
	(void)pthread_mutex_unlock(&http->lock);
	MHD_resume_connection(request->connection); /* from here on the request may be gone */
	(void)pthread_mutex_lock(&http->lock);
	http->answering--;
	(void)pthread_cond_signal(&http->drained);
	(void)pthread_mutex_unlock(&http->lock);
}
