/* SPDX-License-Identifier: Apache-2.0 */
/* Versions, ids and headers: what stands beside an event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "common/clock.h"
#include "common/event.h"

static void versions_are_ordered_by_epoch_then_offset(void **state)
{
	(void)state;
	assert_true(version_compare((struct version){1, 9}, (struct version){2, 0}) < 0);
	assert_true(version_compare((struct version){2, 1}, (struct version){2, 0}) > 0);
	assert_int_equal(version_compare((struct version){2, 1}, (struct version){2, 1}), 0);
	assert_true(version_compare((struct version){0, 0}, (struct version){1, 0}) < 0);
}

static void version_texts_come_back(void **state)
{
	static const char *const good[] = {"none", "1-0", "1795271400000-1042",
					   "9223372036854775807-9223372036854775807"};
	static const char *const bad[] = {
		"",      "-",    "1-",   "-1",   "0-1",  "1-2-3", "01-2",
		"1-02",  " 1-2", "1-2 ", "1--2", "+1-2", "None",  "1-9223372036854775808",
		"1-2\n",
	};
	char text[VERSION_TEXT_SIZE];
	struct version version;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(version_parse(span_of(good[i]), &version));
		version_text(version, text);
		assert_string_equal(text, good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(version_parse(span_of(bad[i]), &version));
	}
	assert_false(version_parse(SPAN_EMPTY, &version));
}

static void ids_are_uuids_of_version_7_and_differ(void **state)
{
	char text[EVENT_ID_TEXT_SIZE];
	struct event_id a;
	struct event_id b;

	(void)state;
	clock_set(0, 0x0123456789ab);
	a = event_id_create();
	b = event_id_create();
	event_id_text(&a, text);
	assert_memory_equal(text, "01234567-89ab-7", 15);
	assert_non_null(strchr("89ab", text[19]));
	assert_false(event_id_equal(&a, &b));
	assert_true(event_id_parse(span_of(text), &b));
	assert_true(event_id_equal(&a, &b));
	text[10] = 'A';
	assert_false(event_id_parse(span_of(text), &b));
	text[10] = '-';
	assert_false(event_id_parse(span_of(text), &b));
	assert_false(event_id_parse(span_of("01234567-89ab-7"), &b));
}

static struct span header_of(const struct header *items, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcmp(items[i].name, name) == 0) {
			return items[i].value;
		}
	}
	return SPAN_EMPTY;
}

#define assert_header(headers, name, text) \
	assert_true(span_is(header_of((headers).items, (headers).count, name), text))

static void event_headers_are_cloudevents(void **state)
{
	struct event_id id = {{1, 2, 3}};
	struct event_headers headers;

	(void)state;
	event_headers(&headers, "zone", &id, "/ingest/host", "example.com", 1795271457123,
		      span_of("00-x"));
	assert_int_equal(headers.count, EVENT_HEADERS_MAX);
	assert_header(headers, "ce_specversion", "1.0");
	assert_header(headers, "ce_id", "01020300-0000-0000-0000-000000000000");
	assert_header(headers, "ce_source", "/ingest/host");
	assert_header(headers, "ce_type", "dadns.zone");
	assert_header(headers, "ce_subject", "example.com");
	assert_header(headers, "ce_time", "2026-11-21T14:30:57.123Z");
	assert_header(headers, "ce_dataschema", "urn:dadns:schema:zone:1.0");
	assert_header(headers, "content-type", "application/json");
	assert_header(headers, "traceparent", "00-x");
	event_headers(&headers, "zone", &id, "/ingest/host", "example.com", 0, SPAN_EMPTY);
	assert_int_equal(headers.count, EVENT_HEADERS_MAX - 1);
}

static void valid_trace_is_continued_and_any_other_replaced(void **state)
{
	static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	static const char *const bad[] = {
		"",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
	};
	char out[TRACEPARENT_SIZE];
	char again[TRACEPARENT_SIZE];
	size_t i;

	(void)state;
	traceparent_make(span_of(good), out);
	assert_string_equal(out, good);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		traceparent_make(span_of(bad[i]), out);
		assert_int_equal(strlen(out), TRACEPARENT_SIZE - 1);
		assert_string_not_equal(out, bad[i]);
		traceparent_make(span_of(out), again);
		assert_string_equal(out, again); /* what we make is valid */
	}
}

static void dead_letter_says_where_it_came_from_and_why(void **state)
{
	struct dead_letter letter = {
		.topic = "dadns.zones",
		.partition = 7,
		.offset = 5120,
		.timestamp_ms = 17,
		.group = "dadns.judge",
		.stage = "decode",
		.code = "undecodable",
		.message = "broken",
		.attempts = 6,
		.first_failed_at_ms = 1795271457131,
	};
	struct dead_letter_headers headers;

	(void)state;
	dead_letter_headers(&headers, &letter);
	assert_int_equal(headers.count, 14);
	assert_header(headers, "dlq.original.topic", "dadns.zones");
	assert_header(headers, "dlq.original.partition", "7");
	assert_header(headers, "dlq.original.offset", "5120");
	assert_header(headers, "dlq.original.timestamp", "17");
	assert_header(headers, "dlq.group", "dadns.judge");
	assert_header(headers, "dlq.stage", "decode");
	assert_header(headers, "dlq.error.code", "undecodable");
	assert_header(headers, "dlq.error.message", "broken");
	assert_header(headers, "dlq.attempts", "6");
	assert_header(headers, "dlq.first-failed-at", "2026-11-21T14:30:57.131Z");
	assert_header(headers, "__connect.errors.topic", "dadns.zones");
	assert_header(headers, "__connect.errors.partition", "7");
	assert_header(headers, "__connect.errors.offset", "5120");
	assert_header(headers, "__connect.errors.exception.message", "broken");
	letter.backend = "bind_ns1";
	dead_letter_headers(&headers, &letter);
	assert_int_equal(headers.count, 15);
	assert_header(headers, "dlq.backend", "bind_ns1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_ordered_by_epoch_then_offset),
		cmocka_unit_test(version_texts_come_back),
		cmocka_unit_test(ids_are_uuids_of_version_7_and_differ),
		cmocka_unit_test(event_headers_are_cloudevents),
		cmocka_unit_test(valid_trace_is_continued_and_any_other_replaced),
		cmocka_unit_test(dead_letter_says_where_it_came_from_and_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
