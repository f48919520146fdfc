/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/port_http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"
#include "tests/sim/dice.h"
#include "tests/sim/trace.h"

#define SERVERS_MAX 1024

struct http {
	struct process *process;
	http_handler handler;
	void *context;
	bool quiesced;
	int64_t held;
	int64_t active; /* handlers that run */
	bool closed;
};

struct http_request {
	struct http *http;
	struct asked asked;
	void *state;
	bool held;
	bool answered; /* by the handler */
	bool arrived;  /* at the client */
	int status;
	char body[512];
	struct thread *client;
};

static struct http *servers[SERVERS_MAX];
static size_t server_count;

static struct metric metrics[] = {
	COUNTER("dadns_http_model", "", "the simulation counts elsewhere")};
const struct metric_table http_metrics = METRIC_TABLE(metrics);

/* --- the server ------------------------------------------------------------------------------ */

enum outcome http_listen(struct http **out, const struct http_config *config, http_handler handler,
			 void *context, struct reason *why)
{
	struct http *http = xcalloc(1, sizeof(*http));

	(void)config;
	(void)why;
	http->process = stage_process();
	http->handler = handler;
	http->context = context;
	assert(server_count < SERVERS_MAX);
	servers[server_count++] = http;
	*out = http;
	return OK;
}

void http_quiesce(struct http *http)
{
	http->quiesced = true;
}

void http_close(struct http *http, int64_t deadline_ms)
{
	int64_t until_us = stage_now_us() + deadline_ms * MS;

	http->quiesced = true;
	while ((http->held > 0 || http->active > 0) && stage_now_us() < until_us) {
		stage_wait_until(until_us);
	}
	http->closed = true;
}

int64_t http_in_flight(const struct http *http)
{
	return http->held;
}

static void arrive(void *context)
{
	struct http_request *request = context;

	request->arrived = true;
	thread_wake(request->client);
}

void http_hold(struct http_request *request)
{
	assert(!request->held && !request->answered);
	request->held = true;
	request->http->held++;
}

void http_answer(struct http_request *request, int status, const char *content_type,
		 struct span body, const char *extra)
{
	(void)content_type;
	(void)extra;
	assert(!request->answered);
	request->answered = true;
	request->status = status;
	(void)snprintf(request->body, sizeof(request->body), "%.*s", (int)body.len, body.data);
	if (request->held) {
		request->http->held--;
		process_wake(request->http->process);
	}
	stage_at(stage_now_us() + dice_delay_us(200), arrive, request);
}

/* --- what the handler asks ------------------------------------------------------------------- */

struct span http_method(const struct http_request *request)
{
	return span_of(request->asked.method);
}

struct span http_path(const struct http_request *request)
{
	return span_of(request->asked.path);
}

struct span http_body(const struct http_request *request)
{
	return request->asked.body;
}

struct span http_peer(const struct http_request *request)
{
	(void)request;
	return span_of("192.0.2.1");
}

struct span http_header(const struct http_request *request, const char *name)
{
	return span_of(strcmp(name, "traceparent") == 0 ? request->asked.traceparent : NULL);
}

size_t http_query(const struct http_request *request, const char *name, struct span *out)
{
	size_t count = 0;

	*out = SPAN_EMPTY;
	for (size_t i = 0; i < request->asked.query_count; i++) {
		if (strcmp(request->asked.query[i][0], name) == 0 && count++ == 0) {
			*out = span_of(request->asked.query[i][1]);
		}
	}
	return count;
}

bool http_query_at(const struct http_request *request, size_t i, struct span *name,
		   struct span *value)
{
	if (i >= request->asked.query_count) {
		return false;
	}
	*name = span_of(request->asked.query[i][0]);
	*value = span_of(request->asked.query[i][1]);
	return true;
}

bool http_query_valid(const struct http_request *request)
{
	(void)request;
	return true;
}

bool http_credentials(const struct http_request *request, struct span *user, struct span *password)
{
	*user = span_of(request->asked.username);
	*password = span_of(request->asked.password);
	return true;
}

void **http_state(struct http_request *request)
{
	return &request->state;
}

/* --- the client ------------------------------------------------------------------------------ */

static void *handle(void *context)
{
	struct http_request *request = context;
	struct http *http = request->http;

	if (!http->closed) {
		http->active++;
		http->handler(http->context, request);
		http->active--;
		process_wake(http->process);
	}
	return NULL;
}

static struct http *server_of(const struct process *process)
{
	for (size_t i = server_count; i-- > 0;) {
		if (servers[i]->process == process) {
			return servers[i];
		}
	}
	return NULL;
}

void http_ask(struct process *process, const struct asked *asked, int64_t patience_us,
	      struct got *out)
{
	struct http *http = process == NULL ? NULL : server_of(process);
	int64_t until_us = stage_now_us() + patience_us;
	struct http_request *request;

	*out = (struct got){0};
	if (http == NULL || !process->alive || http->quiesced) {
		out->refused = true;
		stage_yield();
		return;
	}
	request = xcalloc(1, sizeof(*request));
	request->http = http;
	request->asked = *asked; /* whoever asked may be gone before it is handled */
	request->asked.traceparent = xstrdup(asked->traceparent);
	request->asked.body = (struct span){
		xstrndup(asked->body.data == NULL ? "" : asked->body.data, asked->body.len),
		asked->body.len};
	request->client = stage_thread();
	(void)thread_start(process, handle, request);
	while (!request->arrived && stage_now_us() < until_us &&
	       (process->alive || request->answered)) {
		stage_wait_until(stage_now_us() + 500 * MS);
	}
	out->answered = request->arrived;
	if (out->answered) {
		out->status = request->status;
		memcpy(out->body, request->body, sizeof(out->body));
	}
}
