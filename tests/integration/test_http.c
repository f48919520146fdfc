/* SPDX-License-Identifier: Apache-2.0 */
/* Raw bytes against a real server on loopback; the numbers P01 to P25 are those of
 * research/reliability.md 4.2. */
#include "common/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"

#define BODY_MAX 100000

static struct http *http;
static int port;
static _Atomic int handled;
static struct http_request *_Atomic held;

static void answer_text(struct http_request *request, const char *text)
{
	http_answer(request, 200, "text/plain", span_of(text), NULL);
}

static void show_query(struct http_request *request)
{
	struct buf text = BUF_INIT(4096);
	struct span name;
	struct span value;
	size_t n;

	n = http_query(request, "domain", &value);
	buf_addf(&text, "%d %zu %zu;", (int)http_query_valid(request), n, value.len);
	for (size_t i = 0; http_query_at(request, i, &name, &value); i++) {
		buf_add(&text, name);
		buf_add_byte(&text, '=');
		buf_add(&text, value);
		buf_add_byte(&text, ';');
	}
	http_answer(request, 200, "text/plain", buf_span(&text), NULL);
	buf_finish(&text);
}

static void show_credentials(struct http_request *request)
{
	struct buf text = BUF_INIT(4096);
	struct span user;
	struct span password;

	if (!http_credentials(request, &user, &password)) {
		http_answer(request, 401, "text/plain", span_of("no"),
			    "WWW-Authenticate: Basic realm=\"x\"");
		return;
	}
	buf_add(&text, user);
	buf_add_byte(&text, '|');
	buf_add(&text, password);
	http_answer(request, 200, "text/plain", buf_span(&text), NULL);
	buf_finish(&text);
}

static void *answer_later(void *request)
{
	struct timespec pause = {.tv_nsec = 20000000};

	(void)nanosleep(&pause, NULL);
	answer_text(request, "later");
	return NULL;
}

static void handle(void *context, struct http_request *request)
{
	struct span path = http_path(request);
	pthread_t thread;

	(void)context;
	handled++;
	if (span_is(path, "/echo")) {
		http_answer(request, 200, "text/plain", http_body(request), NULL);
	} else if (span_is(path, "/query")) {
		show_query(request);
	} else if (span_is(path, "/auth")) {
		show_credentials(request);
	} else if (span_is(path, "/peer")) {
		http_answer(request, 200, "text/plain", http_peer(request), NULL);
	} else if (span_is(path, "/later")) {
		http_hold(request);
		assert_int_equal(pthread_create(&thread, NULL, answer_later, request), 0);
		(void)pthread_detach(thread);
	} else if (span_is(path, "/at-once")) {
		http_hold(request);
		answer_text(request, "at once");
	} else if (span_is(path, "/never")) {
		http_hold(request);
		held = request;
	} else {
		http_answer(request, 404, "text/plain", path, NULL);
	}
}

static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	(void)close(fd);
	return ntohs(address.sin_port);
}

static void start(const char *host, const struct http_config *wanted)
{
	struct http_config config = *wanted;
	char listen[64];
	struct reason why;

	port = free_port();
	(void)snprintf(listen, sizeof(listen), "%s:%d", host, port);
	config.listen = listen;
	config.body_bytes = BODY_MAX;
	handled = 0;
	held = NULL;
	assert_int_equal(http_listen(&http, &config, handle, NULL, &why), OK);
}

static int setup(void **state)
{
	struct http_config config = HTTP_CONFIG_DEFAULT;

	(void)state;
	config.threads = 2;
	start("127.0.0.1", &config);
	return 0;
}

static int setup_impatient(void **state)
{
	struct http_config config = HTTP_CONFIG_DEFAULT;

	(void)state;
	config.header_deadline_ms = 400;
	config.body_deadline_ms = 400;
	config.idle_ms = 400;
	start("", &config);
	return 0;
}

static int setup_few(void **state)
{
	struct http_config config = HTTP_CONFIG_DEFAULT;

	(void)state;
	config.connections_per_address = 3;
	config.bodies_bytes = 6000;
	start("127.0.0.1", &config);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_close(http, 1000);
	http = NULL;
	return 0;
}

static int dial(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				      .sin_port = htons((uint16_t)port)};
	struct timeval patience = {.tv_sec = 3};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void say(int fd, struct span bytes)
{
	assert_int_equal(send(fd, bytes.data, bytes.len, MSG_NOSIGNAL), bytes.len);
}

/* Reads until the peer closes or `until` is there; "" when nothing came. */
static const char *hear(int fd, const char *until)
{
	static char text[2 * BODY_MAX];
	size_t len = 0;
	ssize_t n;

	text[0] = '\0';
	while (len < sizeof(text) - 1 &&
	       (n = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0) {
		len += (size_t)n;
		text[len] = '\0';
		if (until != NULL && strstr(text, until) != NULL) {
			break;
		}
	}
	return text;
}

/* One request on its own connection, which the server must close. */
static const char *ask_bytes(struct span request)
{
	int fd = dial();
	const char *answer;

	assert_true(fd >= 0);
	say(fd, request);
	answer = hear(fd, NULL);
	(void)close(fd);
	return answer;
}

static const char *ask(const char *request)
{
	return ask_bytes(span_of(request));
}

static void assert_status(const char *answer, int status)
{
	char wanted[8];

	(void)snprintf(wanted, sizeof(wanted), " %d ", status);
	if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 8, wanted, 5) != 0) {
		fail_msg("no status %d: %.200s", status, answer);
	}
}

static void assert_body(const char *answer, const char *body)
{
	const char *blank = strstr(answer, "\r\n\r\n");

	if (blank == NULL || strcmp(blank + 4, body) != 0) {
		fail_msg("body is not `%s`: %.300s", body, answer);
	}
}

static void directadmins_requests_are_answered_its_way(void **state)
{
	const char *answer;

	(void)state;

	answer = ask("POST /echo?action=rawsave HTTP/1.0\r\nAUTHORIZATION: Basic eDp5\r\n"
		     "HOST: ns1\r\nContent-Length: 9\r\n\r\na=1&b=%2\n");

	assert_status(answer, 200);
	assert_body(answer, "a=1&b=%2\n");
	assert_non_null(strstr(answer, "\r\nContent-Length: 9\r\n"));
	assert_null(strstr(answer, "chunked"));
	assert_null(strstr(answer, "eep-"));
}

static void connections_are_kept_when_asked_for(void **state)
{
	static const char *const requests[] = {
		"GET /peer HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /peer HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
		("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "9\r\n127.0.0.1\r\n0\r\n\r\n"),
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n127.0.0.1",
	};
	int fd = dial();

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const char *answer;

		say(fd, span_of(requests[i]));
		answer = hear(fd, "127.0.0.1");
		assert_status(answer, 200);
		assert_body(answer, "127.0.0.1");
		assert_null(strstr(answer, "close"));
	}
	(void)close(fd);
}

static void what_is_wrong_with_the_http_is_refused_and_the_connection_ends(void **state)
{
	static const struct {
		const char *name; /* for the reader */
		const char *request;
		int status;
	} cases[] = {
		{"P01",
		 "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n0\r\n\r\n",
		 400},
		{"P02",
		 "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: "
		 "30\r\n\r\nabc",
		 400},
		{"P02 twice the same",
		 "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: "
		 "3\r\n\r\nabc",
		 400},
		{"P03", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc", 400},
		{"P04", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
		 501},
		{"P04 with length",
		 "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: "
		 "3\r\n\r\nabc",
		 400},
		{"chunked to 1.0",
		 "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"P05 sign", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
		 400},
		{"P05 huge",
		 "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: "
		 "100000000000000000000000\r\n\r\n",
		 413},
		{"P07", "POST /echo HTTP/1.0\r\n\r\n", 411},
		{"P07 1.1", "POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", 411},
		{"P08", "GET /echo HTTP/1.1\r\n\r\n", 400},
		{"two hosts", "GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
		{"P18", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n", 413},
		{"P18 expect",
		 "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
		 "100001\r\n\r\n",
		 413},
		{"P25",
		 "GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\nAuthorization: "
		 "Basic eDp5\r\n\r\n",
		 400},
		{"bad path", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *answer = ask(cases[i].request);

		assert_status(answer, cases[i].status);
		assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
		if (strstr(answer, "<html>") == NULL) { /* MHD 0.9.75 doubles the head of its own */
			assert_null(strstr(answer + 1, "HTTP/1."));
		}
	}
	assert_int_equal(handled, 0);
}

static void headers_over_the_ceiling_are_refused(void **state)
{
	struct buf request = BUF_INIT(65536);

	(void)state;
	buf_add_text(&request, "GET /echo HTTP/1.1\r\nHost: a\r\nX: ");
	for (size_t i = 0; i < 40000; i++) {
		buf_add_byte(&request, 'x');
	}
	buf_add_text(&request, "\r\n\r\n");

	assert_status(ask_bytes(buf_span(&request)), 431); /* P21 */
	assert_int_equal(handled, 0);
	buf_finish(&request);
}

static void chunked_body_over_the_ceiling_is_refused(void **state)
{
	struct buf request = BUF_INIT(2 * BODY_MAX);

	(void)state;
	buf_addf(&request,
		 "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n",
		 BODY_MAX + 1);
	for (size_t i = 0; i < BODY_MAX + 1; i++) {
		buf_add_byte(&request, 'x');
	}
	buf_add_text(&request, "\r\n0\r\n\r\n");

	assert_status(ask_bytes(buf_span(&request)), 413);
	assert_int_equal(handled, 0);
	buf_finish(&request);
}

static void largest_body_arrives_whole(void **state)
{
	struct buf request = BUF_INIT(2 * BODY_MAX);
	const char *answer;

	(void)state;
	buf_addf(&request, "POST /echo HTTP/1.0\r\nContent-Length: %d\r\n\r\n", BODY_MAX);
	for (size_t i = 0; i < BODY_MAX; i++) {
		buf_add_byte(&request, (char)('a' + i % 26));
	}

	answer = ask_bytes(buf_span(&request));

	assert_status(answer, 200);
	assert_body(answer, strstr(buf_text(&request), "\r\n\r\n") + 4);
	buf_finish(&request);
}

static void body_that_is_cut_never_reaches_the_handler(void **state)
{
	const char *request = "POST /echo?action=rawsave HTTP/1.0\r\nAuthorization: Basic eDp5\r\n"
			      "Content-Length: 5\r\n\r\nhello";
	int fds[128];

	(void)state;
	assert_in_range(strlen(request), 1, 128);
	for (size_t len = 0; len < strlen(request); len++) { /* P17: every cut point */
		fds[len] = dial();
		say(fds[len], (struct span){request, len});
		(void)shutdown(fds[len], SHUT_WR);
	}
	for (size_t len = 0; len < strlen(request); len++) {
		assert_string_equal(hear(fds[len], NULL), ""); /* at its deadline, latest */
		(void)close(fds[len]);
	}
	assert_int_equal(handled, 0);

	assert_status(ask(request), 200);
}

/* The end of a connection that comes together with its last bytes: the library does not see it. */
static void client_that_leaves_within_a_body_is_let_go_before_its_deadline(void **state)
{
	const char *request = "POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhell";
	char byte;
	int fds[50];

	(void)state;
	for (int i = 0; i < 50; i++) {
		fds[i] = dial();
		say(fds[i], span_of(request));
		(void)shutdown(fds[i], SHUT_WR);
	}
	for (int i = 0; i < 50; i++) {
		assert_int_equal(recv(fds[i], &byte, 1, 0), 0); /* within dial()'s patience */
		(void)close(fds[i]);
	}
	assert_int_equal(handled, 0);
}

static void query_keeps_nul_bytes_and_repeats(void **state)
{
	static const struct {
		const char *query;
		const char *seen;
	} cases[] = {
		{"?domain=evil.com%00.victim.com", "1 1 20;domain=evil.com"}, /* P09 */
		{"?domain=a&domain=b", "1 2 1;domain=a;domain=b;"},           /* P10 */
		{"?a+b=c%2Bd&e", "1 0 0;a b=c+d;e=;"},
		{"?a&b=&=c&d", "0 0 0;"}, /* P14 */
		{"?a=%", "0 0 0;"},       /* P15 */
		{"?a=%4", "0 0 0;"},
		{"?a=%g0", "0 0 0;"},
		{"?a=%41", "1 0 0;a=A;"},
		{"?&&", "1 0 0;"},
		{"", "1 0 0;"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf request = BUF_INIT(4096);
		const char *answer;

		buf_addf(&request, "GET /query%s HTTP/1.0\r\n\r\n", cases[i].query);
		answer = ask(buf_text(&request));
		assert_status(answer, 200);
		assert_body(answer, cases[i].seen);
		buf_finish(&request);
	}
}

static void nul_in_the_path_does_not_cut_it(void **state)
{
	(void)state;

	assert_status(ask("GET /echo%00x HTTP/1.0\r\n\r\n"), 404);
	assert_status(ask("GET /%65cho HTTP/1.0\r\n\r\n"), 200);
}

static void credentials_are_read_strictly(void **state)
{
	static const struct {
		const char *header;
		int status;
		const char *body;
	} cases[] = {
		{"Basic dXNlcjpwYXNz", 200, "user|pass"},
		{"basic   dXNlcjpwYXNz", 200, "user|pass"},
		{"Basic dTphOmI6Yw==", 200, "u|a:b:c"}, /* P23 */
		{"Basic dTo=", 200, "u|"},
		{"Basic Og==", 401, "no"},             /* P22: ":" */
		{"Basic dQBzZXI6cGFzcw==", 401, "no"}, /* P24: NUL in the user */
		{"Basic dXNlcjpwYXNz=", 401, "no"},
		{"Basic dXNlcjpw!XNz", 401, "no"},
		{"Basic dX=lcjpwYXNz", 401, "no"},
		{"Basic dXNlcg==", 401, "no"}, /* no colon */
		{"Basic ", 401, "no"},
		{"Bearer dXNlcjpwYXNz", 401, "no"},
	};
	const char *answer;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf request = BUF_INIT(4096);

		buf_addf(&request, "GET /auth HTTP/1.0\r\nAUTHORIZATION: %s\r\n\r\n",
			 cases[i].header);
		answer = ask(buf_text(&request));
		assert_status(answer, cases[i].status);
		assert_body(answer, cases[i].body);
		buf_finish(&request);
	}
	answer = ask("GET /auth HTTP/1.0\r\n\r\n");
	assert_status(answer, 401);
	assert_non_null(strstr(answer, "\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"));
}

static void held_requests_are_answered_from_another_thread(void **state)
{
	int fds[20];

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		fds[i] = dial();
		say(fds[i], span_of(i % 2 == 0 ? "GET /later HTTP/1.0\r\n\r\n"
					       : "GET /at-once HTTP/1.0\r\n\r\n"));
	}
	for (size_t i = 0; i < 20; i++) {
		const char *answer = hear(fds[i], NULL);

		assert_status(answer, 200);
		assert_body(answer, i % 2 == 0 ? "later" : "at once");
		(void)close(fds[i]);
	}
	assert_int_equal(http_in_flight(http), 0);
}

static void wait_for_held(void)
{
	struct timespec pause = {.tv_nsec = 5000000};

	for (size_t i = 0; i < 400 && held == NULL; i++) {
		(void)nanosleep(&pause, NULL);
	}
	assert_non_null(held);
	assert_int_equal(http_in_flight(http), 1);
}

static void client_that_leaves_a_held_request_does_no_harm(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, span_of("GET /never HTTP/1.1\r\nHost: a\r\n\r\n"));
	wait_for_held();
	(void)close(fd);

	answer_text(held, "too late");

	assert_int_equal(http_in_flight(http), 0);
	assert_status(ask("GET /later HTTP/1.0\r\n\r\n"), 200);
}

static void quiesced_server_answers_what_it_began_and_takes_nothing_new(void **state)
{
	int kept = dial();
	int fd = dial();
	const char *answer;

	(void)state;
	say(kept, span_of("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_status(hear(kept, "127.0.0.1"), 200);
	say(fd, span_of("GET /never HTTP/1.1\r\nHost: a\r\n\r\n"));
	wait_for_held();

	http_quiesce(http);

	assert_int_equal(dial(), -1);
	answer_text(held, "finished");
	answer = hear(fd, NULL);
	assert_status(answer, 200);
	assert_non_null(strstr(answer, "Connection: close"));
	say(kept, span_of("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_non_null(strstr(hear(kept, NULL), "Connection: close"));
	(void)close(fd);
	(void)close(kept);
}

static void close_gives_up_at_its_deadline(void **state)
{
	int fd = dial();
	int half = dial();
	int64_t began_ms;

	(void)state;
	say(fd, span_of("GET /never HTTP/1.1\r\nHost: a\r\n\r\n"));
	say(half, span_of("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"));
	wait_for_held();
	began_ms = clock_ms();

	http_close(http, 200);
	http = NULL;

	assert_in_range(clock_ms() - began_ms, 190, 1500);
	assert_status(hear(fd, NULL), 503);
	assert_string_equal(hear(half, NULL), "");
	(void)close(fd);
	(void)close(half);
}

/* Sends one byte each 50 ms; how long until the server ends it. */
static int64_t trickle(int fd, const char *bytes)
{
	struct timespec pause = {.tv_nsec = 50000000};
	int64_t began_ms = clock_ms();
	char byte;

	for (size_t i = 0; bytes[i] != '\0'; i++) {
		(void)nanosleep(&pause, NULL);
		if (send(fd, &bytes[i], 1, MSG_NOSIGNAL) != 1 ||
		    recv(fd, &byte, 1, MSG_DONTWAIT) == 0) {
			break;
		}
	}
	return clock_ms() - began_ms;
}

static void deadlines_are_absolute(void **state)
{
	static const char slow[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	int fd;
	int64_t began_ms;

	(void)state;
	fd = dial(); /* P19: the header trickles */
	say(fd, span_of("GET /echo HTTP/1.1\r\nHost: "));
	assert_in_range(trickle(fd, slow), 300, 1500);
	(void)close(fd);

	fd = dial(); /* the body trickles */
	say(fd, span_of("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"));
	assert_in_range(trickle(fd, slow), 300, 1500);
	(void)close(fd);

	fd = dial(); /* nothing comes after the first request */
	say(fd, span_of("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n"));
	began_ms = clock_ms();
	assert_body(hear(fd, NULL), "127.0.0.1");
	assert_in_range(clock_ms() - began_ms, 300, 1500);
	(void)close(fd);

	fd = dial(); /* but a held request may take its time */
	say(fd, span_of("GET /never HTTP/1.1\r\nHost: a\r\n\r\n"));
	wait_for_held();
	(void)usleep(700000);
	answer_text(held, "patience");
	assert_status(hear(fd, "patience"), 200);
	(void)close(fd);
	assert_int_equal(handled, 2);
}

static void one_address_cannot_take_all_connections(void **state)
{
	int fds[8];
	size_t served = 0;

	(void)state;
	for (size_t i = 0; i < 8; i++) { /* P20 */
		fds[i] = dial();
		(void)send(fds[i], "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n", 31, MSG_NOSIGNAL);
	}
	for (size_t i = 0; i < 8; i++) {
		served += strstr(hear(fds[i], "127.0.0.1"), " 200 ") != NULL;
		(void)close(fds[i]);
	}
	assert_int_equal(served, 3);
}

/* I9: each body is small enough, together they are not. */
static void bodies_are_bounded_together(void **state)
{
	struct buf head = BUF_INIT(BODY_MAX);
	struct buf body = BUF_INIT(BODY_MAX);
	int first = dial();
	const char *answer;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		buf_add_byte(&body, 'x');
	}
	buf_add_text(&head, "POST /echo HTTP/1.0\r\nHost: a\r\nContent-Length: 4001\r\n\r\n");
	buf_add(&head, buf_span(&body));
	say(first, buf_span(&head)); /* one byte is missing: its 4,000 stay counted */
	answer = "";
	for (int i = 0; i < 300 && strstr(answer, " 503 ") == NULL; i++) {
		struct buf whole = BUF_INIT(BODY_MAX);

		buf_add(&whole, buf_span(&head));
		buf_add_byte(&whole, 'x');
		answer = ask_bytes(buf_span(&whole)); /* 200 until the first one's bytes are in */
		buf_finish(&whole);
	}
	assert_status(answer, 503);

	(void)close(first);
	for (int i = 0; i < 300 && strstr(answer, " 200 ") == NULL; i++) {
		struct buf whole = BUF_INIT(BODY_MAX);

		buf_add(&whole, buf_span(&head));
		buf_add_byte(&whole, 'x');
		answer = ask_bytes(buf_span(&whole));
		buf_finish(&whole);
	}
	assert_status(answer, 200); /* what was counted is given back */
	buf_finish(&head);
	buf_finish(&body);
}

static void listening_fails_with_the_address(void **state)
{
	struct http_config config = HTTP_CONFIG_DEFAULT;
	struct http *other = NULL;
	struct reason why;
	char listen[64];

	(void)state;
	(void)snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
	config.listen = listen;
	assert_int_equal(http_listen(&other, &config, handle, NULL, &why), PERMFAIL);
	assert_non_null(strstr(why.text, listen));
	assert_non_null(strstr(why.text, "in use"));

	config.listen = "nonsense";
	assert_int_equal(http_listen(&other, &config, handle, NULL, &why), PERMFAIL);
	assert_string_equal(why.text, "cannot listen on nonsense: it is no ADDRESS:PORT");

	config.listen = "127.0.0.1:1";
	config.connections = INT32_MAX;
	assert_int_equal(http_listen(&other, &config, handle, NULL, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "open files"));
	assert_null(other);
}

static void forms_are_parsed_strictly(void **state)
{
	static const char deletion[] =
		"action=delete&cluster=yes&hostname=da1.example.net&select0=example.com";
	struct form form = {0};
	struct reason why;

	(void)state;
	assert_int_equal(form_parse(span_of(deletion), 10, &form, &why), OK);
	assert_int_equal(form.count, 4);
	assert_true(span_is(form.fields[0].name, "action"));
	assert_true(span_is(form.fields[3].value, "example.com"));
	form_finish(&form);

	assert_int_equal(form_parse(span_of("a=x%00y"), 10, &form, &why), OK);
	assert_int_equal(form.fields[0].value.len, 3); /* P11 */
	form_finish(&form);

	assert_int_equal(form_parse(SPAN_EMPTY, 10, &form, &why), OK);
	assert_int_equal(form.count, 0);
	form_finish(&form);

	assert_int_equal(form_parse(span_of(deletion), 3, &form, &why), PERMFAIL);
	assert_string_equal(why.text, "more than 3 pairs");
	assert_int_equal(form_parse(span_of("a=1&=2"), 10, &form, &why), PERMFAIL);
	assert_int_equal(form_parse(span_of("a=%1"), 10, &form, &why), PERMFAIL);
	assert_int_equal(form_parse(span_of("%=1"), 10, &form, &why), PERMFAIL);
	assert_null(form.fields);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define IMPATIENT(name) cmocka_unit_test_setup_teardown(name, setup_impatient, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(directadmins_requests_are_answered_its_way),
		TEST(connections_are_kept_when_asked_for),
		TEST(what_is_wrong_with_the_http_is_refused_and_the_connection_ends),
		TEST(headers_over_the_ceiling_are_refused),
		TEST(chunked_body_over_the_ceiling_is_refused),
		TEST(largest_body_arrives_whole),
		IMPATIENT(body_that_is_cut_never_reaches_the_handler),
		TEST(client_that_leaves_within_a_body_is_let_go_before_its_deadline),
		TEST(query_keeps_nul_bytes_and_repeats),
		TEST(nul_in_the_path_does_not_cut_it),
		TEST(credentials_are_read_strictly),
		TEST(held_requests_are_answered_from_another_thread),
		TEST(client_that_leaves_a_held_request_does_no_harm),
		TEST(quiesced_server_answers_what_it_began_and_takes_nothing_new),
		TEST(close_gives_up_at_its_deadline),
		IMPATIENT(deadlines_are_absolute),
		cmocka_unit_test_setup_teardown(one_address_cannot_take_all_connections, setup_few,
						teardown),
		cmocka_unit_test_setup_teardown(bodies_are_bounded_together, setup_few, teardown),
		TEST(listening_fails_with_the_address),
		cmocka_unit_test(forms_are_parsed_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
