/* SPDX-License-Identifier: Apache-2.0 */
/* common/fetch against our own HTTP server (common/http), and against a socket that sends whatever
 * bytes a test wants, on loopback. */
#include "common/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/http.h"

#define KEY "X-API-Key: very-secret"
#define HELD_MAX 64
#define PATIENCE_MS 20000

/* --- our server --------------------------------------------------------------------------------
 */

static struct http *http;
static char base[96];
static _Atomic int handled;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct http_request *held[HELD_MAX];
static size_t held_count;

static void show(struct http_request *request)
{
	static const char *const names[] = {"X-API-Key", "Content-Type", "Content-Length", "Expect",
					    "User-Agent"};
	struct buf text = BUF_INIT(4096);

	buf_add(&text, http_method(request));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct span value = http_header(request, names[i]);

		buf_addf(&text, "|%s", value.data == NULL ? "none" : "");
		buf_add(&text, value);
	}
	buf_add_byte(&text, '|');
	buf_add(&text, http_body(request));
	http_answer(request, 200, "text/plain", buf_span(&text), NULL);
	buf_finish(&text);
}

static void handle(void *context, struct http_request *request)
{
	struct span path = http_path(request);
	char large[5000];

	(void)context;
	handled++;
	if (span_is(path, "/show")) {
		show(request);
	} else if (span_is(path, "/large")) {
		memset(large, 'x', sizeof(large));
		http_answer(request, 200, "text/plain", (struct span){large, sizeof(large)}, NULL);
	} else if (span_is(path, "/elsewhere")) {
		http_answer(request, 302, "text/plain", span_of("go"), "Location: /show");
	} else if (span_is(path, "/hold")) {
		http_hold(request);
		pthread_mutex_lock(&lock);
		assert_true(held_count < HELD_MAX);
		held[held_count++] = request;
		pthread_mutex_unlock(&lock);
	} else {
		http_answer(request, 404, "text/plain", span_of("no such thing"), NULL);
	}
}

static unsigned int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static int start(void **state)
{
	struct http_config config = HTTP_CONFIG_DEFAULT;
	char listen_at[64];
	struct reason why;

	(void)state;
	snprintf(listen_at, sizeof(listen_at), "127.0.0.1:%u", free_port());
	snprintf(base, sizeof(base), "http://%s", listen_at);
	config.listen = listen_at;
	config.idle_ms = 1000;
	handled = 0;
	held_count = 0;
	assert_int_equal(http_listen(&http, &config, handle, NULL, &why), OK);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_close(http, 0);
	return 0;
}

/* --- a server that says what it is told to -----------------------------------------------------
 */

struct liar {
	int fd;
	unsigned int port;
	struct span says;
	bool keeps; /* the connection, for the next request */
	_Atomic int connections;
	_Atomic bool ends;
	pthread_t thread;
};

static bool read_request(int fd)
{
	char text[4096];
	size_t len = 0;

	while (len < sizeof(text) - 1) {
		ssize_t more = recv(fd, text + len, sizeof(text) - 1 - len, 0);

		if (more <= 0) {
			return false;
		}
		len += (size_t)more;
		text[len] = '\0';
		if (strstr(text, "\r\n\r\n") != NULL) {
			return true;
		}
	}
	return false;
}

static void *lie(void *context)
{
	struct liar *liar = context;
	int fd;

	while ((fd = accept(liar->fd, NULL, NULL)) >= 0) {
		liar->connections++;
		while (!liar->ends && read_request(fd)) {
			size_t at = 0;

			while (at < liar->says.len) {
				ssize_t len = send(fd, liar->says.data + at, liar->says.len - at,
						   MSG_NOSIGNAL);

				if (len <= 0) {
					break;
				}
				at += (size_t)len;
			}
			if (!liar->keeps) {
				break;
			}
		}
		close(fd);
	}
	return NULL;
}

static void liar_start(struct liar *liar, struct span says, bool keeps)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	memset(liar, 0, sizeof(*liar));
	liar->says = says;
	liar->keeps = keeps;
	liar->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(liar->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(liar->fd, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(listen(liar->fd, 16), 0);
	liar->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&liar->thread, NULL, lie, liar), 0);
}

static void liar_stop(struct liar *liar)
{
	liar->ends = true;
	shutdown(liar->fd, SHUT_RDWR); /* wakes accept */
	pthread_join(liar->thread, NULL);
	close(liar->fd);
}

/* --- given, when -------------------------------------------------------------------------------
 */

static struct fetch_request request_for(const char *method, char *url, size_t size,
					const char *path)
{
	static const char *const headers[] = {KEY, NULL};

	snprintf(url, size, "%s%s", base, path);
	return (struct fetch_request){.method = method,
				      .url = url,
				      .headers = headers,
				      .timeout_ms = 5000,
				      .answer_max = 4096};
}

static void must_start(struct fetch *fetch, const struct fetch_request *request)
{
	struct reason why = {0};

	if (fetch_start(fetch, request, &why) != OK) {
		fail_msg("%s", why.text);
	}
}

static struct fetch_answer await(struct fetch *fetch)
{
	int64_t deadline = clock_ms() + PATIENCE_MS;
	struct fetch_answer answer;

	while (!fetch_next(fetch, &answer)) {
		assert_true(clock_ms() < deadline);
		fetch_work(fetch, 1000, -1);
	}
	return answer;
}

static struct fetch_answer ask(struct fetch *fetch, const char *method, const char *path)
{
	char url[128];
	struct fetch_request request = request_for(method, url, sizeof(url), path);

	must_start(fetch, &request);
	return await(fetch);
}

static void must_fail(const struct fetch_answer *answer, const char *saying)
{
	assert_int_equal(answer->outcome, TEMPFAIL);
	if (strstr(answer->why.text, saying) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", answer->why.text, saying);
	}
	assert_null(strstr(answer->why.text, "very-secret"));
}

static void assert_body(const struct fetch_answer *answer, const char *text)
{
	if (!span_is(answer->body, text)) {
		fail_msg("\"%.*s\" is not \"%s\"", (int)answer->body.len, answer->body.data, text);
	}
}

static struct fetch_answer ask_liar(struct fetch *fetch, struct span says)
{
	struct fetch_answer answer;
	struct liar liar;

	liar_start(&liar, says, false);
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", liar.port);
	answer = ask(fetch, "PUT", "/");
	liar_stop(&liar);
	return answer;
}

static int64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

/* --- then --------------------------------------------------------------------------------------
 */

static void answer_carries_ticket_status_and_body(void **state)
{
	struct fetch *fetch = fetch_create(2);
	char url[128];
	struct fetch_request request = request_for("PUT", url, sizeof(url), "/show");
	struct fetch_answer answer;

	(void)state;
	request.ticket = &request;
	request.body = span_of("a=1");
	must_start(fetch, &request);
	assert_int_equal(fetch_in_flight(fetch), 1);
	answer = await(fetch);
	assert_int_equal(fetch_in_flight(fetch), 0);
	assert_ptr_equal(answer.ticket, &request);
	assert_int_equal(answer.outcome, OK);
	assert_int_equal(answer.status, 200);
	assert_body(&answer, "PUT|very-secret|none|3|none|dadns|a=1");
	fetch_destroy(fetch);
}

static void put_without_body_says_length_0(void **state)
{
	struct fetch *fetch = fetch_create(2);
	struct fetch_answer answer = ask(fetch, "PUT", "/show");

	(void)state;
	assert_int_equal(answer.outcome, OK);
	assert_body(&answer, "PUT|very-secret|none|0|none|dadns|");
	fetch_destroy(fetch);
}

static void nothing_of_a_request_is_left_for_the_next_on_its_handle(void **state)
{
	struct fetch *fetch = fetch_create(1);
	char url[128];
	struct fetch_request request = request_for("POST", url, sizeof(url), "/show");
	static const char *const headers[] = {"Content-Type: text/x-one", KEY, NULL};
	struct fetch_answer answer;

	(void)state;
	request.headers = headers;
	request.body = span_of("body");
	must_start(fetch, &request);
	answer = await(fetch);
	assert_body(&answer, "POST|very-secret|text/x-one|4|none|dadns|body");
	request = request_for("GET", url, sizeof(url), "/show");
	request.headers = NULL;
	must_start(fetch, &request);
	answer = await(fetch);
	assert_body(&answer, "GET|none|none|none|none|dadns|");
	answer = ask(fetch, "HEAD", "/nowhere");
	assert_int_equal(answer.status, 404);
	fetch_destroy(fetch);
}

static void error_status_is_an_answer(void **state)
{
	struct fetch *fetch = fetch_create(2);
	struct fetch_answer answer = ask(fetch, "PUT", "/nowhere");

	(void)state;
	assert_int_equal(answer.outcome, OK);
	assert_int_equal(answer.status, 404);
	assert_body(&answer, "no such thing");
	fetch_destroy(fetch);
}

static void redirect_is_not_followed(void **state)
{
	struct fetch *fetch = fetch_create(2);
	struct fetch_answer answer = ask(fetch, "GET", "/elsewhere");

	(void)state;
	assert_int_equal(answer.status, 302);
	assert_int_equal(handled, 1);
	fetch_destroy(fetch);
}

static void proxy_of_the_environment_is_not_used(void **state)
{
	struct fetch *fetch = fetch_create(2);
	struct fetch_answer answer;
	char proxy[64];

	(void)state;
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", free_port()); /* nobody there */
	setenv("http_proxy", proxy, 1);
	setenv("ALL_PROXY", proxy, 1);
	answer = ask(fetch, "GET", "/show");
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_int_equal(answer.outcome, OK);
	fetch_destroy(fetch);
}

static void more_than_answer_max_is_an_error(void **state)
{
	struct fetch *fetch = fetch_create(2);
	struct fetch_answer answer = ask(fetch, "GET", "/large");

	(void)state;
	must_fail(&answer, "longer than 4096 bytes");
	fetch_destroy(fetch);
}

static void endless_header_is_an_error(void **state)
{
	struct fetch *fetch = fetch_create(2);
	struct buf says = BUF_INIT(1 << 20);
	struct fetch_answer answer;

	(void)state;
	buf_add_text(&says, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 2000; i++) {
		buf_addf(&says, "X-%d: 0123456789012345678901234567890123456789\r\n", i);
	}
	buf_add_text(&says, "Content-Length: 0\r\n\r\n");
	answer = ask_liar(fetch, buf_span(&says));
	must_fail(&answer, "header is longer than 65536 bytes");
	buf_finish(&says);
	fetch_destroy(fetch);
}

static void what_is_not_whole_or_no_http_is_an_error(void **state)
{
	static const char *const lies[] = {
		"",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Le",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
	};
	struct fetch *fetch = fetch_create(2);

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct fetch_answer answer = ask_liar(fetch, span_of(lies[i]));

		must_fail(&answer, "127.0.0.1:");
	}
	fetch_destroy(fetch);
}

static void answer_may_come_in_chunks(void **state)
{
	struct fetch *fetch = fetch_create(2);
	struct fetch_answer answer =
		ask_liar(fetch, span_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
					"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));

	(void)state;
	assert_int_equal(answer.outcome, OK);
	assert_body(&answer, "abcde");
	fetch_destroy(fetch);
}

static void nobody_there_is_said_at_once_and_without_the_key(void **state)
{
	struct fetch *fetch = fetch_create(2);
	int64_t began = clock_ms();
	struct fetch_answer answer;

	(void)state;
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", free_port());
	answer = ask(fetch, "PUT", "/");
	must_fail(&answer, base + strlen("http://"));
	assert_true(clock_ms() - began < 1000);
	fetch_destroy(fetch);
}

static void url_that_cannot_be_fetched_is_refused(void **state)
{
	static const char *const urls[] = {
		"",
		"127.0.0.1:8081",
		"ftp://127.0.0.1/",
		"file:///etc/hostname",
		"gopher://127.0.0.1/",
		"http://",
		"http://127.0.0.1:99999/",
		"http://127.0.0.1/a b",
		"http://127.0.0.1/\r\nX-Y: z",
		"http://me:very-secret@127.0.0.1/",
		"http://:very-secret@127.0.0.1/",
	};
	struct fetch *fetch = fetch_create(2);

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct fetch_request request = {
			.method = "GET", .url = urls[i], .timeout_ms = 1000, .answer_max = 10};
		struct reason why = {0};

		if (fetch_check(urls[i], &why) != PERMFAIL) {
			fail_msg("%s was taken", urls[i]);
		}
		assert_int_equal(fetch_start(fetch, &request, &why), PERMFAIL);
		assert_null(strstr(why.text, "very-secret"));
	}
	assert_int_equal(fetch_in_flight(fetch), 0);
	assert_int_equal(fetch_check("https://[::1]:8081/path", NULL), OK);
	fetch_destroy(fetch);
}

static void header_of_two_lines_is_refused(void **state)
{
	static const char *const headers[] = {"X-API-Key: very-secret\r\nX-Other: 1", NULL};
	struct fetch *fetch = fetch_create(2);
	char url[128];
	struct fetch_request request = request_for("PUT", url, sizeof(url), "/show");
	struct reason why = {0};

	(void)state;
	request.headers = headers;
	assert_int_equal(fetch_start(fetch, &request, &why), PERMFAIL);
	assert_null(strstr(why.text, "very-secret"));
	fetch_destroy(fetch);
}

static void await_held(struct fetch *fetch, size_t count)
{
	int64_t deadline = clock_ms() + PATIENCE_MS;
	size_t now;

	do {
		assert_true(clock_ms() < deadline);
		fetch_work(fetch, 10, -1);
		pthread_mutex_lock(&lock);
		now = held_count;
		pthread_mutex_unlock(&lock);
	} while (now < count);
}

static void release_held(void)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < held_count; i++) {
		http_answer(held[i], 200, "text/plain", span_of("late"), NULL);
	}
	held_count = 0;
	pthread_mutex_unlock(&lock);
}

static void only_so_many_connections_to_a_server_at_once(void **state)
{
	struct fetch *fetch = fetch_create(3);
	struct fetch_answer answer;
	size_t answers = 0;
	char url[128];

	(void)state;
	for (int i = 0; i < 9; i++) {
		struct fetch_request request = request_for("PUT", url, sizeof(url), "/hold");

		must_start(fetch, &request);
	}
	for (int round = 0; round < 3; round++) {
		await_held(fetch, 3);
		for (int i = 0; i < 10; i++) { /* a fourth would come now */
			fetch_work(fetch, 10, -1);
		}
		assert_int_equal(held_count, 3);
		release_held();
		while (answers < 3u * (unsigned int)(round + 1)) {
			answer = await(fetch);
			assert_int_equal(answer.outcome, OK);
			answers++;
		}
	}
	fetch_destroy(fetch);
}

static void connection_is_kept_for_the_next_request(void **state)
{
	struct fetch *fetch = fetch_create(1);
	struct liar liar;

	(void)state;
	liar_start(&liar, span_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), true);
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", liar.port);
	for (int i = 0; i < 5; i++) {
		struct fetch_answer answer = ask(fetch, "PUT", "/");

		assert_int_equal(answer.outcome, OK);
		assert_body(&answer, "ok");
	}
	assert_int_equal(liar.connections, 1);
	fetch_destroy(fetch); /* and closes it: the liar waits for the next request */
	liar_stop(&liar);
}

static void kept_connection_that_the_server_closed_is_opened_again(void **state)
{
	struct fetch *fetch = fetch_create(1);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fetch_answer answer = ask(fetch, "PUT", "/show");

		assert_int_equal(answer.outcome, OK);
		usleep(1500000); /* idle_ms of the server is 1000 */
	}
	fetch_destroy(fetch);
}

static void request_that_hangs_ends_in_time_and_the_waiting_ones_after_it(void **state)
{
	struct fetch *fetch = fetch_create(1);
	int64_t began = clock_ms();
	char url[128];
	struct fetch_request request = request_for("PUT", url, sizeof(url), "/hold");
	struct fetch_answer answer;

	(void)state;
	request.timeout_ms = 300;
	must_start(fetch, &request);
	await_held(fetch, 1);
	request = request_for("PUT", url, sizeof(url), "/show");
	must_start(fetch, &request);
	answer = await(fetch);
	must_fail(&answer, "no whole answer within 300 ms");
	assert_in_range(clock_ms() - began, 250, 1500);
	answer = await(fetch);
	assert_int_equal(answer.outcome, OK);
	fetch_destroy(fetch);
	release_held();
}

static void one_that_waits_for_a_connection_ends_in_time_too(void **state)
{
	struct fetch *fetch = fetch_create(1);
	int64_t began = clock_ms();
	char url[128];
	struct fetch_request request = request_for("PUT", url, sizeof(url), "/hold");
	struct fetch_answer answer;
	int waiting;

	(void)state;
	must_start(fetch, &request);
	await_held(fetch, 1);
	request.timeout_ms = 200;
	request.ticket = &waiting;
	must_start(fetch, &request);
	answer = await(fetch);
	assert_ptr_equal(answer.ticket, &waiting);
	must_fail(&answer, "no whole answer within 200 ms");
	assert_in_range(clock_ms() - began, 150, 2000);
	fetch_destroy(fetch);
	release_held();
}

static void *wake_soon(void *fetch)
{
	usleep(100000);
	fetch_wake(fetch);
	return NULL;
}

static void work_costs_nothing_until_it_is_woken(void **state)
{
	struct fetch *fetch = fetch_create(1);
	int64_t began;
	int64_t cpu;
	pthread_t thread;
	int pipe_fds[2];

	(void)state;
	began = clock_ms();
	cpu = cpu_us();
	fetch_work(fetch, 300, -1);
	assert_in_range(clock_ms() - began, 299, 1000);
	assert_true(cpu_us() - cpu < 50000);

	assert_int_equal(pthread_create(&thread, NULL, wake_soon, fetch), 0);
	began = clock_ms();
	fetch_work(fetch, PATIENCE_MS, -1);
	assert_in_range(clock_ms() - began, 90, 2000);
	pthread_join(thread, NULL);

	fetch_wake(fetch); /* also before it waits */
	began = clock_ms();
	fetch_work(fetch, PATIENCE_MS, -1);
	assert_true(clock_ms() - began < 1000);

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	began = clock_ms();
	fetch_work(fetch, PATIENCE_MS, pipe_fds[0]);
	assert_true(clock_ms() - began < 1000);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	fetch_destroy(fetch);
}

static int64_t cpu_of(size_t count)
{
	struct fetch *fetch = fetch_create(4);
	int64_t began = cpu_us();
	char url[128];

	for (size_t i = 0; i < count; i++) {
		struct fetch_request request = request_for("PUT", url, sizeof(url), "/show");

		request.timeout_ms = PATIENCE_MS; /* all are begun at once; what they cost is CPU */
		must_start(fetch, &request);
	}
	for (size_t i = 0; i < count; i++) {
		struct fetch_answer answer = await(fetch);

		assert_int_equal(answer.outcome, OK);
	}
	fetch_destroy(fetch);
	return cpu_us() - began;
}

/* The server's share is in it as well. Quadratic would be 8 times as much for each. */
static void cost_of_a_request_does_not_grow_with_their_number(void **state)
{
	int64_t few = cpu_of(400);
	int64_t many = cpu_of(3200);

	(void)state;
	if (many > few * 8 * 3) {
		fail_msg("400: %lld us, 3200: %lld us", (long long)few, (long long)many);
	}
}

static void destroy_drops_what_is_in_flight_at_once(void **state)
{
	struct fetch *fetch = fetch_create(2);
	int64_t began;
	char url[128];

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct fetch_request request = request_for("PUT", url, sizeof(url), "/hold");

		must_start(fetch, &request);
	}
	await_held(fetch, 2);
	assert_int_equal(fetch_in_flight(fetch), 5);
	began = clock_ms();
	fetch_destroy(fetch);
	assert_true(clock_ms() - began < 500);
	fetch_destroy(NULL);
	release_held();
}

#define AGAINST_HTTP(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AGAINST_HTTP(answer_carries_ticket_status_and_body),
		AGAINST_HTTP(put_without_body_says_length_0),
		AGAINST_HTTP(nothing_of_a_request_is_left_for_the_next_on_its_handle),
		AGAINST_HTTP(error_status_is_an_answer),
		AGAINST_HTTP(redirect_is_not_followed),
		AGAINST_HTTP(proxy_of_the_environment_is_not_used),
		AGAINST_HTTP(more_than_answer_max_is_an_error),
		cmocka_unit_test(endless_header_is_an_error),
		cmocka_unit_test(what_is_not_whole_or_no_http_is_an_error),
		cmocka_unit_test(answer_may_come_in_chunks),
		cmocka_unit_test(nobody_there_is_said_at_once_and_without_the_key),
		cmocka_unit_test(url_that_cannot_be_fetched_is_refused),
		AGAINST_HTTP(header_of_two_lines_is_refused),
		AGAINST_HTTP(only_so_many_connections_to_a_server_at_once),
		cmocka_unit_test(connection_is_kept_for_the_next_request),
		AGAINST_HTTP(kept_connection_that_the_server_closed_is_opened_again),
		AGAINST_HTTP(request_that_hangs_ends_in_time_and_the_waiting_ones_after_it),
		AGAINST_HTTP(one_that_waits_for_a_connection_ends_in_time_too),
		AGAINST_HTTP(work_costs_nothing_until_it_is_woken),
		AGAINST_HTTP(cost_of_a_request_does_not_grow_with_their_number),
		AGAINST_HTTP(destroy_drops_what_is_in_flight_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
