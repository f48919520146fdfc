/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"

#define HEAD "{\"ts\":\"2026-11-21T14:30:57.123Z\",\"level\":\"info\",\"svc\":\"test\","

static int real_stderr;
static int pipe_ends[2];

static int setup(void **state)
{
	(void)state;
	clock_set(1000, 1795271457123);
	assert_int_equal(pipe(pipe_ends), 0);
	real_stderr = dup(STDERR_FILENO);
	assert_true(dup2(pipe_ends[1], STDERR_FILENO) >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)dup2(real_stderr, STDERR_FILENO);
	(void)close(real_stderr);
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
	return 0;
}

/* What was written since the last call; one read takes one line, as it was one write. */
static const char *line(void)
{
	static char text[65536];
	ssize_t len = read(pipe_ends[0], text, sizeof(text) - 1);

	assert_true(len > 0);
	text[len] = '\0';
	return text;
}

static void json_line_has_its_fields_in_order(void **state)
{
	bool truth = true;
	uint32_t small = 7;

	(void)state;
	log_setup("test", LEVEL_INFO, true);

	log_info("zone applied", F("zone", "example.com"), F("offset", small), F("big", INT64_MIN),
		 F("share", 0.25), F("served", truth), F("none", (const char *)NULL));

	assert_string_equal(line(),
			    HEAD "\"msg\":\"zone applied\",\"zone\":\"example.com\",\"offset\":7,"
				 "\"big\":-9223372036854775808,\"share\":0.25,\"served\":true,"
				 "\"none\":\"\"}\n");
}

static void line_needs_no_fields(void **state)
{
	(void)state;
	log_setup("test", LEVEL_INFO, true);

	log_info("started");

	assert_string_equal(line(), HEAD "\"msg\":\"started\"}\n");
}

static void nothing_from_outside_forges_a_line(void **state)
{
	static const struct {
		struct span value;
		const char *json;
	} cases[] = {
		{{"a\"b\\c", 5}, "a\\\"b\\\\c"},
		{{"a\nb\rc\td", 7}, "a\\nb\\u000dc\\u0009d"},
		{{"\x1b[31m\x7f\0z", 8}, "\\u001b[31m\\u007f\\u0000z"},
		{{"gr\xc3\xbc\xc3\x9f", 6}, "gr\xc3\xbc\xc3\x9f"},
		{{"\xe2\x82\xac\xf0\x9f\x98\x80", 7}, "\xe2\x82\xac\xf0\x9f\x98\x80"},
		{{"\xc3", 1}, "\\u00c3"},                       /* cut short */
		{{"\xc0\xaf", 2}, "\\u00c0\\u00af"},            /* overlong */
		{{"\xed\xa0\x80", 3}, "\\u00ed\\u00a0\\u0080"}, /* surrogate */
		{{"\xf5\x80\x80\x80", 4}, "\\u00f5\\u0080\\u0080\\u0080"},
		{{"\xc2\x9b"
		  "2J",
		  4},
		 "\\u009b2J"}, /* CSI in UTF-8 */
		{{NULL, 0}, ""},
	};

	(void)state;
	log_setup("test", LEVEL_INFO, true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf want = BUF_INIT(1024);

		log_info("seen", F("value", cases[i].value));

		buf_addf(&want, HEAD "\"msg\":\"seen\",\"value\":\"%s\"}\n", cases[i].json);
		assert_string_equal(line(), buf_text(&want));
		buf_finish(&want);
	}
}

static void long_values_are_cut_and_the_line_stays_whole(void **state)
{
	char *value = xmalloc(5000);
	struct span span = {value, 5000};
	const char *text;

	(void)state;
	memset(value, '\x01', 5000);
	log_setup("test", LEVEL_INFO, true);

	log_info("long", F("a", span), F("b", span), F("c", 3));

	text = line();
	assert_true(strlen(text) < 16384 + 2);
	assert_non_null(strstr(text, "...\""));
	assert_string_equal(text + strlen(text) - strlen(",\"cut\":true}\n"), ",\"cut\":true}\n");
	free(value);
}

static void terminal_gets_logfmt(void **state)
{
	(void)state;
	log_setup("test", LEVEL_DEBUG, false);

	log_error("cannot listen", F("address", "[::1]:2222"), F("why", "in use = yes"),
		  F("empty", ""), F("n", 1));

	assert_string_equal(line(), "ts=2026-11-21T14:30:57.123Z level=error svc=test "
				    "msg=\"cannot listen\" address=[::1]:2222 "
				    "why=\"in use = yes\" empty=\"\" n=1\n");
}

static int calls;

static int counted(void)
{
	return ++calls;
}

static void lower_levels_cost_nothing_and_print_nothing(void **state)
{
	(void)state;
	log_setup("test", LEVEL_WARN, true);

	log_info("unseen", F("n", counted()));
	log_warn("seen");

	assert_int_equal(calls, 0);
	assert_non_null(strstr(line(), "\"level\":\"warn\""));
	assert_false(log_enabled(LEVEL_DEBUG));
	assert_true(log_enabled(LEVEL_ERROR));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(json_line_has_its_fields_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(line_needs_no_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_from_outside_forges_a_line, setup,
						teardown),
		cmocka_unit_test_setup_teardown(long_values_are_cut_and_the_line_stays_whole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(terminal_gets_logfmt, setup, teardown),
		cmocka_unit_test_setup_teardown(lower_levels_cost_nothing_and_print_nothing, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
