/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/clock.h"
#include "common/http_state.h"
#include "common/http_text.h"

#define QUERY_PAIRS_MAX 64
#define CREDENTIALS_BYTES_MAX 1024
#define LAST_ANSWERS_MS 500

/* clang-format off */
struct metric http_rows[HTTP_ROWS] = {
	[CONNECTIONS] = COUNTER("dadns_http_connections_total", "", "connections that were taken"),
	[OPEN] = GAUGE("dadns_http_open_connections", "", "connections open now"),
	[HELD] = GAUGE("dadns_http_held_requests", "", "requests that wait for their answer now"),
	[ANSWERS_2XX] = COUNTER("dadns_http_answers_total", "class=\"2xx\"", "answers by class of status"),
	[ANSWERS_4XX] = COUNTER("dadns_http_answers_total", "class=\"4xx\"", "answers by class of status"),
	[ANSWERS_5XX] = COUNTER("dadns_http_answers_total", "class=\"5xx\"", "answers by class of status"),
	[REFUSED] = COUNTER("dadns_http_refused_total", "", "requests refused for what is wrong with the HTTP itself"),
	[CUT] = COUNTER("dadns_http_cut_requests_total", "", "requests that ended before they were complete"),
	[LATE_HEADER] = COUNTER("dadns_http_late_total", "phase=\"header\"", "connections closed at their deadline"),
	[LATE_BODY] = COUNTER("dadns_http_late_total", "phase=\"body\"", "connections closed at their deadline"),
	[LATE_READER] = COUNTER("dadns_http_late_total", "phase=\"answer\"", "connections closed at their deadline"),
	[LATE_NEXT] = COUNTER("dadns_http_late_total", "phase=\"idle\"", "connections closed at their deadline"),
	[SECONDS] = HISTOGRAM("dadns_http_answer_seconds", "", "time from the complete request to its answer"),
};
/* clang-format on */
const struct metric_table http_metrics = METRIC_TABLE(http_rows);

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *fd;
	const union MHD_ConnectionInfo *address;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		http_conn_close(*socket_context);
		*socket_context = NULL;
		return;
	}
	fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	address = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	*socket_context = http_conn_open(cls, fd->connect_fd, address->client_addr);
}

/* The request line is here, its headers are not. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct conn *conn = info->socket_context;
	struct http_request *request = xcalloc(1, sizeof(*request));
	struct http *http = cls;

	request->conn = conn;
	request->connection = connection;
	request->uri = xstrdup(uri);
	buf_init(&request->path, HTTP_HEAD_BYTES_MAX);
	buf_init(&request->body, (size_t)http->config.body_bytes);
	buf_init(&request->credentials, CREDENTIALS_BYTES_MAX);
	http_request_free(conn->request);
	conn->request = request;
	http_set_deadline(conn, LATE_HEADER, http->config.header_deadline_ms);
	return request;
}

static enum MHD_Result send_response(struct http_request *request)
{
	struct http *http = request->conn->http;
	struct MHD_Response *response = request->response;
	enum MHD_Result result;

	if (atomic_load(&http->quiesced)) {
		(void)MHD_add_response_header(response, "Connection", "close");
	}
	http_set_deadline(request->conn, LATE_READER, http->config.body_deadline_ms);
	request->response = NULL;
	result = MHD_queue_response(request->connection, (unsigned int)request->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct http_request *request, int status, const char *text)
{
	http_request_refuse(request, status, text);
	return send_response(request);
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
				 size_t name_len, const char *value, size_t value_len)
{
	(void)kind;
	http_framing_add(cls, (struct span){name, name_len}, (struct span){value, value_len});
	return MHD_YES;
}

static bool parse_uri(struct http_request *request)
{
	const char *question = strchr(request->uri, '?');
	struct span path = span_of(request->uri);
	struct reason why;

	request->query_valid = true;
	if (question != NULL) {
		path.len = (size_t)(question - request->uri);
		request->query_valid = form_parse(span_of(question + 1), QUERY_PAIRS_MAX,
						  &request->query, &why) == OK;
	}
	return http_decode(path, false, &request->path);
}

static enum MHD_Result take_head(struct http_request *request, const char *method,
				 const char *version)
{
	struct http *http = request->conn->http;
	struct http_framing framing = {0};
	bool has_body_method = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
			       strcmp(method, "PATCH") == 0;
	const char *text = "";
	int status;

	request->head_seen = true;
	request->method = xstrdup(method);
	http_set_deadline(request->conn, LATE_BODY, http->config.body_deadline_ms);
	(void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, on_header,
					  &framing);
	status = http_framing_refusal(&framing, has_body_method, strcmp(version, "HTTP/1.0") == 0,
				      (size_t)http->config.body_bytes, &text);
	if (status != 0) {
		return refuse(request, status, text);
	}
	if (!parse_uri(request)) {
		return refuse(request, 400, "the path has a broken percent escape\n");
	}
	return MHD_YES;
}

static enum MHD_Result dispatch(struct http_request *request)
{
	struct http *http = request->conn->http;

	if (request->crowded) {
		return refuse(request, 503, "too much is being sent at once; send it again\n");
	}
	if (request->body.overflow) { /* chunked, so its length was not known */
		return refuse(request, 413, "the body is too large\n");
	}
	request->has_credentials =
		http_basic(http_header(request, "Authorization"), &request->credentials,
			   &request->user, &request->password);
	request->dispatched = true;
	request->dispatched_us = clock_us();
	http_set_deadline(request->conn, LATE_BODY, HTTP_NEVER);
	(void)pthread_mutex_lock(&http->lock);
	http->active++;
	(void)pthread_mutex_unlock(&http->lock);

	http->handler(http->context, request);
	if (request->held) {
		return MHD_YES; /* called again when it is resumed */
	}
	assert(request->response != NULL); /* answered or held */
	return send_response(request);
}

/* I9: many large bodies at once are bounded together, not each alone. */
static void take_body(struct http_request *request, struct span bytes)
{
	struct http *http = request->conn->http;
	int64_t len = (int64_t)bytes.len;

	if (request->crowded) {
		return;
	}
	request->counted_bytes += len;
	if (atomic_fetch_add(&http->body_bytes, len) + len > http->config.bodies_bytes) {
		request->crowded = true;
		buf_clear(&request->body);
		return;
	}
	buf_add(&request->body, bytes);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload_data,
				  size_t *upload_size, void **request_context)
{
	struct http_request *request = *request_context;

	(void)cls;
	(void)connection;
	(void)url; /* percent-decoded as a C string: a %00 would cut it (P09) */
	if (!request->head_seen) {
		return take_head(request, method, version);
	}
	if (*upload_size != 0) {
		take_body(request, (struct span){upload_data, *upload_size});
		*upload_size = 0;
		return MHD_YES;
	}
	return request->dispatched ? send_response(request) : dispatch(request);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **request_context,
			 enum MHD_RequestTerminationCode code)
{
	struct http_request *request = *request_context;
	struct http *http = cls;

	(void)connection;
	if (request == NULL) {
		return;
	}
	if (request->dispatched) {
		(void)pthread_mutex_lock(&http->lock);
		http->active--;
		(void)pthread_cond_signal(&http->drained);
		(void)pthread_mutex_unlock(&http->lock);
	} else if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK) {
		metric_add(&http_rows[CUT], 1);
	}
	http_set_deadline(request->conn, LATE_NEXT, http->config.idle_ms);
	request->conn->request = NULL;
	*request_context = NULL;
	http_request_free(request);
}

int64_t http_in_flight(const struct http *http)
{
	return atomic_load(&http->held_count);
}

static struct MHD_Daemon *start_daemon(struct http *http)
{
	const struct http_config *config = &http->config;
	struct MHD_OptionItem pool[] = {
		{config->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END,
		 (intptr_t)config->threads, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	return MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
		http, MHD_OPTION_LISTEN_SOCKET, http->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)config->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned int)config->connections_per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HTTP_HEAD_BYTES_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_URI_LOG_CALLBACK,
		on_uri, http, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
}

static void free_http(struct http *http)
{
	if (http->listen_fd >= 0) {
		(void)close(http->listen_fd);
	}
	(void)pthread_cond_destroy(&http->reap);
	(void)pthread_cond_destroy(&http->drained);
	(void)pthread_mutex_destroy(&http->lock);
	free(http);
}

enum outcome http_listen(struct http **out, const struct http_config *config, http_handler handler,
			 void *context, struct reason *why)
{
	struct http *http = xcalloc(1, sizeof(*http));
	pthread_condattr_t monotonic;
	enum outcome outcome;

	http->config = *config;
	http->handler = handler;
	http->context = context;
	http->listen_fd = -1;
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&http->lock, NULL);
	(void)pthread_cond_init(&http->reap, &monotonic);
	(void)pthread_cond_init(&http->drained, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);

	outcome = http_socket_room(config->connections, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = http_socket_listen(config->listen, &http->listen_fd, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = http_reaper_start(http, why);
	if (outcome != OK) {
		goto out;
	}
	http->daemon = start_daemon(http);
	if (http->daemon == NULL) {
		http_reaper_stop(http);
		outcome = because(PERMFAIL, why, "cannot serve HTTP on %.80s: %s", config->listen,
				  strerror(errno));
		goto out;
	}
	*out = http;
out:
	if (outcome != OK) {
		free_http(http);
	}
	return outcome;
}

void http_quiesce(struct http *http)
{
	if (atomic_exchange(&http->quiesced, true)) {
		return;
	}
	(void)MHD_quiesce_daemon(http->daemon);
	(void)shutdown(http->listen_fd, SHUT_RDWR); /* clients are refused, not left waiting */
}

/* False: something is still held or being sent when the time is over. */
static bool drain(struct http *http, int64_t deadline_ms)
{
	int64_t until_ms = clock_ms() + deadline_ms;
	bool empty;

	(void)pthread_mutex_lock(&http->lock);
	while ((http->active != 0 || http->answering != 0) && clock_ms() < until_ms) {
		http_wait_ms(&http->drained, &http->lock, until_ms - clock_ms());
	}
	empty = http->active == 0 && http->answering == 0;
	(void)pthread_mutex_unlock(&http->lock);
	return empty;
}

/* The library cannot stop while a connection is suspended. */
static void give_up(struct http *http)
{
	struct http_request *request;

	do {
		(void)pthread_mutex_lock(&http->lock);
		request = http->held_requests;
		(void)pthread_mutex_unlock(&http->lock);
		if (request != NULL) {
			http_answer(request, 503, "text/plain", span_of("shutting down\n"), NULL);
		}
	} while (request != NULL);
	(void)drain(http, LAST_ANSWERS_MS);
}

void http_close(struct http *http, int64_t deadline_ms)
{
	if (http == NULL) {
		return;
	}
	http_quiesce(http);
	if (!drain(http, deadline_ms)) {
		give_up(http);
	}
	MHD_stop_daemon(http->daemon);
	http_reaper_stop(http);
	free_http(http);
}
