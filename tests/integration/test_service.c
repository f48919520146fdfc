/* SPDX-License-Identifier: Apache-2.0 */
/* A whole process per test: what a service does with flags, signals and its admin pages. */
#include "common/service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct sample {
	struct service_config service;
	const char *color;
};

static const struct config_key keys[] = {
	KEY_CHOICE(struct sample, color, "sample.color", "red", "red|green", "a colour"),
	{0},
};
static const struct config_key *const tables[] = {keys, NULL};
static struct metric rows[] = {COUNTER("dadns_sample_things_total", "", "things")};
static const struct metric_table sample_metrics = METRIC_TABLE(rows);
static const struct metric_table *const metric_tables[] = {&sample_metrics, NULL};
static const struct service_about about = {
	.name = "sample",
	.summary = "stands for any service",
	.keys = tables,
	.metrics = metric_tables,
};

static pid_t child;
static int output[2];
static int port;
static char admin[64];

static void print_color(void *context, struct buf *out)
{
	buf_add_text(out, ((struct sample *)context)->color);
}

/* What main() of a service looks like. */
static int sample_main(int argc, char **argv)
{
	struct sample config = {0};
	struct service *service = service_start(&about, &config, argc, argv);
	struct reason why;

	service_page(service, "/color", print_color, &config);
	service_ready(service, "backend", false, "not asked yet");
	service_alive(service, "loop");
	if (strcmp(config.color, "green") == 0) {
		service_ready(service, "backend", true, NULL);
	}
	if (getenv("SAMPLE_STOPS") != NULL) {
		(void)because(PERMFAIL, &why, "enough");
		service_stop(service, &why);
	}
	service_run(service);
	service_pause(service, 60000); /* over at once */
	if (getenv("SAMPLE_HANGS") != NULL) {
		(void)sleep(60);
	}
	return service_finish(service);
}

static void start(const char *flag)
{
	const char *argv[] = {"sample", admin, flag, NULL};

	assert_int_equal(pipe(output), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(output[1], STDOUT_FILENO);
		(void)dup2(output[1], STDERR_FILENO);
		(void)close(output[0]);
		(void)close(output[1]);
		exit(sample_main(flag == NULL ? 2 : 3, (char **)(uintptr_t)argv));
	}
	(void)close(output[1]);
}

/* Everything that the child wrote, after it ended; its exit code goes to `code`. */
static const char *wait_for_end(int *code)
{
	static char text[65536];
	size_t len = 0;
	ssize_t n;
	int status;

	while ((n = read(output[0], text + len, sizeof(text) - 1 - len)) > 0) {
		len += (size_t)n;
	}
	text[len] = '\0';
	(void)close(output[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL) {
		fail_msg("`%s` is not in `%s`", part, text);
	}
}

/* The answer of an admin page; waits until the service listens. */
static const char *get(const char *path)
{
	static char text[65536];
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				      .sin_port = htons((uint16_t)port)};
	struct buf request = BUF_INIT(256);
	size_t len = 0;
	ssize_t n;
	int fd = -1;

	for (size_t i = 0; i < 500 && fd < 0; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
			(void)close(fd);
			fd = -1;
			(void)usleep(10000);
		}
	}
	buf_addf(&request, "GET %s HTTP/1.0\r\n\r\n", path);
	assert_int_equal(write(fd, buf_text(&request), request.len), request.len);
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
		len += (size_t)n;
	}
	text[len] = '\0';
	(void)close(fd);
	buf_finish(&request);
	return text;
}

static int setup(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	(void)close(fd);
	port = ntohs(address.sin_port);
	(void)snprintf(admin, sizeof(admin), "--admin.listen=127.0.0.1:%d", port);
	(void)unsetenv("SAMPLE_STOPS");
	(void)unsetenv("SAMPLE_HANGS");
	return 0;
}

static void flags_print_and_end(void **state)
{
	int code;

	(void)state;
	start("--help");
	assert_has(wait_for_end(&code), "usage: sample [--config=FILE]");
	assert_int_equal(code, 0);
	start("--help=markdown");
	assert_has(wait_for_end(&code), "| `sample.color` | `DADNS_SAMPLE_COLOR` | a colour |");
	assert_int_equal(code, 0);
	start("--help=metrics");
	assert_has(wait_for_end(&code), "| `dadns_sample_things_total` |");
	assert_int_equal(code, 0);
	start("--version");
	assert_has(wait_for_end(&code), "sample ");
	assert_int_equal(code, 0);
	start("--check-config");
	assert_has(wait_for_end(&code), "the configuration is fine\n");
	assert_int_equal(code, 0);
}

static void bad_config_ends_with_78_and_says_why(void **state)
{
	int code;

	(void)state;
	start("--sample.color=blue");
	assert_string_equal(wait_for_end(&code),
			    "sample: sample.color (--sample.color): `blue` is none of red|green\n");
	assert_int_equal(code, 78);

	assert_int_equal(setenv("DADNS_SAMPLE_COLOUR", "red", 1), 0);
	start("--check-config");
	assert_has(wait_for_end(&code), "unknown key DADNS_SAMPLE_COLOUR\n");
	assert_int_equal(code, 78);
	(void)unsetenv("DADNS_SAMPLE_COLOUR");
}

static void pages_tell_life_readiness_and_figures(void **state)
{
	int code;

	(void)state;
	start("--sample.color=red");
	assert_has(get("/livez"), " 200 ");
	assert_has(get("/readyz"), " 503 ");
	assert_has(get("/readyz"), "backend: not ready, not asked yet\n");
	assert_has(get("/metrics"), "dadns_service_ready 0\n");
	assert_has(get("/metrics"), "dadns_sample_things_total 0\n");
	assert_has(get("/color"), "\r\n\r\nred");
	assert_has(get("/nothing"), " 404 ");
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_has(wait_for_end(&code), "\"msg\":\"stopping\",\"signal\":\"SIGTERM\"}\n");
	assert_int_equal(code, 0);

	start("--sample.color=green");
	assert_has(get("/readyz"), " 200 ");
	assert_has(get("/metrics"), "dadns_service_ready 1\n");
	assert_int_equal(kill(child, SIGINT), 0);
	assert_has(wait_for_end(&code), "\"msg\":\"stopped\",\"exit\":0}\n");
	assert_int_equal(code, 0);
}

static void second_signal_ends_at_once(void **state)
{
	int code;

	(void)state;
	(void)setenv("SAMPLE_HANGS", "1", 1);
	start("--sample.color=green");
	assert_has(get("/readyz"), " 200 ");

	assert_int_equal(kill(child, SIGTERM), 0);
	while (strstr(get("/readyz"), " 503 ") == NULL) {
		(void)usleep(10000);
	}
	assert_has(get("/readyz"), "stopping\n");
	assert_int_equal(kill(child, SIGTERM), 0);

	(void)wait_for_end(&code);
	assert_int_equal(code, 128 + SIGTERM);
}

static void service_that_cannot_go_on_ends_with_1(void **state)
{
	int code;

	(void)state;
	(void)setenv("SAMPLE_STOPS", "1", 1);
	start(NULL);
	assert_has(wait_for_end(&code), "\"msg\":\"service cannot go on\",\"why\":\"enough\"}\n");
	assert_int_equal(code, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(flags_print_and_end, setup),
		cmocka_unit_test_setup(bad_config_ends_with_78_and_says_why, setup),
		cmocka_unit_test_setup(pages_tell_life_readiness_and_figures, setup),
		cmocka_unit_test_setup(second_signal_ends_at_once, setup),
		cmocka_unit_test_setup(service_that_cannot_go_on_ends_with_1, setup),
	};

	(void)unsetenv("DADNS_CONFIG"); /* of the stack that other tests use */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
