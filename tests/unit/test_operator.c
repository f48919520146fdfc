/* SPDX-License-Identifier: Apache-2.0 */
/* What the dadns command decides without asking anybody: which push a restore means, which letters
 * are open, which held deletes still mean their zone, what the log says now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/held.h"
#include "cli/history.h"
#include "cli/letters.h"
#include "cli/output.h"
#include "cli/values.h"

#define EPOCH 7

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

/* --- a zone's history ------------------------------------------------------------------------- */

static struct event_id id_of(uint64_t number)
{
	struct event_id id = {{0}};

	memcpy(id.bytes, &number, sizeof(number));
	return id;
}

static const char *digest_of(int content)
{
	static char digests[4][DIGEST_HEX_SIZE];
	char *digest = digests[content % 4];

	memset(digest, 'a' + content, DIGEST_HEX_SIZE - 1);
	return digest;
}

/* Push N lies at offset N, was taken at N seconds and has the id N. */
static void said(struct history *history, int64_t n, int content)
{
	const struct push_event push = {
		.id = id_of((uint64_t)n),
		.op = content < 0 ? PUSH_DELETE : PUSH_SAVE,
		.zone = name_of("shop.example"),
		.owner = "da1.example",
		.sender = "da1",
		.digest = content < 0 ? NULL : digest_of(content),
	};

	history_add(history, &push, n, n * 1000);
}

/* The log's value was made by push N; content < 0: a delete. */
static struct value value_by(int64_t n, int content)
{
	struct value value = {.zone = name_of("shop.example"), .found = true};

	value.version = (struct version){EPOCH, n};
	value.event = (struct zone_event){
		.zone = value.zone,
		.version = value.version,
		.id = id_of((uint64_t)n),
		.deleted = content < 0,
		.digest = content < 0 ? NULL : digest_of(content),
		.pushed_at_ms = n * 1000,
	};
	return value;
}

/* The offset that is picked, -1: none. */
static int64_t picked(const struct history *history, const struct value *value, const char *as_of)
{
	const struct said *out = NULL;
	struct point point;
	struct reason why;

	assert_int_equal(point_parse(as_of, &point, &why), OK);
	if (history_pick(history, value, &point, &out, &why) != OK) {
		assert_non_null(strstr(why.text, "shop.example"));
		return -1;
	}
	return out->offset;
}

static void restore_of_a_deleted_zone_is_the_last_save_before_the_delete(void **state)
{
	struct history history = {.zone = name_of("shop.example")};
	struct value value = value_by(12, -1);

	(void)state;
	said(&history, 10, 0);
	said(&history, 11, 1);
	said(&history, 12, -1);
	assert_int_equal(picked(&history, &value, NULL), 11);
	said(&history, 13, 2); /* not judged yet: later than what is true */
	assert_int_equal(picked(&history, &value, NULL), 11);
	history_finish(&history);
}

static void restore_of_a_live_zone_is_the_last_other_content(void **state)
{
	struct history history = {.zone = name_of("shop.example")};
	struct value value = value_by(13, 1);

	(void)state;
	said(&history, 10, 0);
	said(&history, 11, 1);
	said(&history, 12, -1);
	said(&history, 13, 1);
	assert_int_equal(picked(&history, &value, NULL), 10);
	history_finish(&history);
}

static void restore_takes_a_time_a_version_or_an_offset(void **state)
{
	struct history history = {.zone = name_of("shop.example")};
	struct value value = value_by(30, -1);

	(void)state;
	said(&history, 10, 0);
	said(&history, 20, 1);
	said(&history, 30, -1);
	assert_int_equal(picked(&history, &value, "1970-01-01T00:00:20Z"), 20);
	assert_int_equal(picked(&history, &value, "1970-01-01T00:00:20.000Z"), 20);
	assert_int_equal(picked(&history, &value, "1970-01-01 00:00:19"), 10);
	assert_int_equal(picked(&history, &value, "1970-01-01T00:00:19.999Z"), 10);
	assert_int_equal(picked(&history, &value, "1970-01-01T00:01"), 20);
	assert_int_equal(picked(&history, &value, "1970-01-01"), -1);
	assert_int_equal(picked(&history, &value, "20"), 20);
	assert_int_equal(picked(&history, &value, "19"), 10);
	assert_int_equal(picked(&history, &value, "7-25"), 20);
	assert_int_equal(picked(&history, &value, "7-9"), -1);
	history_finish(&history);
}

static void words_that_are_no_point_are_refused(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "-1",
					  "1-",
					  "1-2-3",
					  "none",
					  "2026-",
					  "12h",
					  "1 ",
					  "0-5",
					  "2026-11-21T14:30Zx",
					  "1.5",
					  "20-x",
					  "+1",
					  "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct point point;
		struct reason why;

		if (point_parse(bad[i], &point, &why) != PERMFAIL) {
			fail_msg("\"%s\" was taken", bad[i]);
		}
	}
}

static void restore_never_takes_what_the_judge_refused(void **state)
{
	struct history history = {.zone = name_of("shop.example")};
	struct value value = value_by(13, -1);
	const struct earlier_push earlier[] = {{id_of(10), 10000}, {id_of(12), 12000}};

	(void)state;
	said(&history, 9, 3);
	said(&history, 10, 0);
	said(&history, 11, 1); /* refused, and its status is gone */
	said(&history, 12, 2);
	said(&history, 13, -1);
	history.items[3].judged = true; /* 12: this status is still there */
	history.items[3].verdict = STATUS_REFUSED;
	value.event.earlier = earlier;
	value.event.earlier_count = 2;
	assert_int_equal(picked(&history, &value, NULL), 10);
	assert_int_equal(picked(&history, &value, "11"), 10);
	/* older than all that the value knows of: nobody can tell, so it is taken at its word */
	assert_int_equal(picked(&history, &value, "9"), 9);
	history_finish(&history);
}

static void restore_of_a_zone_without_a_value_is_its_last_save(void **state)
{
	struct history history = {.zone = name_of("shop.example")};
	const struct value value = {.zone = name_of("shop.example")};

	(void)state;
	assert_int_equal(picked(&history, &value, NULL), -1);
	said(&history, 10, 0);
	said(&history, 11, -1);
	assert_int_equal(picked(&history, &value, NULL), 10);
	history_finish(&history);
}

/* --- dead letters ----------------------------------------------------------------------------- */

static void letter(struct letters *letters, int32_t partition, int64_t offset, const char *key)
{
	const struct header headers[] = {
		{"dlq.original.topic", span_of("dadns.zones")},
		{"dlq.backend", span_of("ns1")},
		{"dlq.stage", span_of("apply")},
	};
	const struct bus_message message = {
		.partition = partition,
		.offset = offset,
		.key = span_of(key),
		.value = span_of("not JSON"),
		.headers = headers,
		.header_count = 3,
	};

	letters_take(letters, &message);
}

static void marker(struct letters *letters, const char *id, const char *done)
{
	const struct header headers[] = {{"dlq.letter", span_of(id)}, {"dlq.done", span_of(done)}};
	const struct bus_message message = {
		.offset = 100, .is_null = true, .headers = headers, .header_count = 2};

	letters_take(letters, &message);
}

static void a_marker_closes_its_letter_and_is_none_itself(void **state)
{
	struct letters letters = {0};

	(void)state;
	letter(&letters, 3, 17, "shop.example");
	letter(&letters, 4, 17, "Not A Zone");
	letter(&letters, 3, 18, "shop.example");
	marker(&letters, "3-17", "replayed");
	marker(&letters, "4-17", "dropped");
	marker(&letters, "9-99", "dropped");
	marker(&letters, "nonsense", "dropped");
	assert_int_equal(letters.count, 3);
	assert_int_equal(letters_find(&letters, 3, 17)->state, LETTER_REPLAYED);
	assert_int_equal(letters_find(&letters, 4, 17)->state, LETTER_DROPPED);
	assert_int_equal(letters_find(&letters, 3, 18)->state, LETTER_OPEN);
	assert_null(letters_find(&letters, 9, 99));
	assert_true(letters_find(&letters, 3, 17)->has_zone);
	assert_false(letters_find(&letters, 4, 17)->has_zone);
	assert_string_equal(letters_find(&letters, 3, 18)->backend, "ns1");
	assert_string_equal(letters_find(&letters, 3, 18)->code, ""); /* had no such header */
	letters_finish(&letters);
}

static void an_id_is_partition_and_offset(void **state)
{
	static const char *const bad[] = {
		"",    "3",    "-",    "3-",           "-17",
		"a-1", "3-1x", "3 -1", "2147483648-1", "1-9223372036854775808"};
	struct letter given = {.partition = 3, .offset = 17};
	char text[LETTER_ID_SIZE];
	int32_t partition = 0;
	int64_t offset = 0;

	(void)state;
	letter_id(&given, text);
	assert_string_equal(text, "3-17");
	assert_true(letter_id_parse("2147483647-9223372036854775807", &partition, &offset));
	assert_int_equal(partition, INT32_MAX);
	assert_true(offset == INT64_MAX);
	assert_true(letter_id_parse("0-0", &partition, &offset));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (letter_id_parse(bad[i], &partition, &offset)) {
			fail_msg("\"%s\" was taken", bad[i]);
		}
	}
}

/* --- held deletes ----------------------------------------------------------------------------- */

static void only_deletes_held_as_mass_are_listed(void **state)
{
	struct held_deletes held = {.count = 0};
	struct status_event status = {
		.backend = STATUS_JUDGE,
		.zone = name_of("shop.example"),
		.state = STATUS_HELD,
		.version = {EPOCH, 5},
		.deleted = true,
		.rule = "mass",
	};

	(void)state;
	status.state = STATUS_REFUSED;
	held_take(&held, &status);
	status.state = STATUS_HELD;
	status.rule = "another";
	held_take(&held, &status);
	status.rule = NULL;
	held_take(&held, &status);
	assert_int_equal(held.count, 0);
	status.rule = "mass";
	held_take(&held, &status);
	assert_int_equal(held.count, 1);
	held_finish(&held);
}

static void a_held_delete_means_the_zone_only_while_it_has_not_moved_on(void **state) /* I11 */
{
	const struct held held = {.zone = name_of("shop.example"), .version = {EPOCH, 20}};
	const struct value none = {.zone = name_of("shop.example")};
	struct value before = value_by(10, 0);
	struct value after = value_by(30, 0);
	struct value gone = value_by(10, -1);

	(void)state;
	assert_int_equal(held_state(&held, &before), HELD_WAITS);
	assert_int_equal(held_state(&held, &after), HELD_MOVED_ON);
	assert_int_equal(held_state(&held, &gone), HELD_DELETED);
	assert_int_equal(held_state(&held, &none), HELD_DELETED);
	after = value_by(1, 0);
	after.version.epoch = EPOCH + 1;
	assert_int_equal(held_state(&held, &after), HELD_MOVED_ON);
}

/* --- values ----------------------------------------------------------------------------------- */

static void record(struct value *value, int64_t offset, const char *text)
{
	struct buf bytes = BUF_INIT(65536);
	struct bus_message message = {.key = name_span(&value->zone)};
	struct zone_event event = value_by(offset, -1).event;
	struct reason why;

	event.owner = "da1.example";
	event.sender = "da1";
	zone_event_encode(&event, &bytes);
	message.value = text != NULL ? span_of(text) : buf_span(&bytes);
	assert_int_equal(value_take(value, false, &message, &why), OK);
	buf_finish(&bytes);
}

static void tombstone(struct value *value, const char *buries)
{
	const struct header header = {HEADER_BURIES, span_of(buries)};
	const struct bus_message message = {.key = name_span(&value->zone),
					    .is_null = true,
					    .headers = &header,
					    .header_count = 1};
	struct reason why;

	assert_int_equal(value_take(value, false, &message, &why), OK);
}

static void the_highest_version_is_true_whatever_came_last(void **state) /* I4 */
{
	struct value value = {.zone = name_of("shop.example")};

	(void)state;
	record(&value, 5, "{}");
	assert_false(value.found);
	assert_int_not_equal(value.unreadable.text[0], '\0');
	record(&value, 5, NULL);
	record(&value, 9, NULL);
	record(&value, 7, NULL); /* a zombie judge wrote late */
	record(&value, 0, "no JSON");
	assert_true(value.found);
	assert_int_equal(value.version.offset, 9);
	tombstone(&value, "7-8");
	assert_true(value.found);
	tombstone(&value, "none");
	assert_true(value.found);
	tombstone(&value, "7-9");
	assert_false(value.found);
	record(&value, 9, NULL); /* buried */
	assert_false(value.found);
	record(&value, 10, NULL);
	assert_true(value.found);
	zone_event_finish(&value.event);
}

static void a_newer_program_stops_the_reading(void **state) /* I8 */
{
	struct value value = {.zone = name_of("shop.example")};
	const struct bus_message message = {.key = name_span(&value.zone),
					    .value = span_of("{\"schema\":\"zone/2.0\"}")};
	struct reason why;

	(void)state;
	assert_int_equal(value_take(&value, false, &message, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "upgrade"));
}

/* --- output ----------------------------------------------------------------------------------- */

static void what_came_from_outside_moves_no_cursor_and_is_whole_in_json(void **state) /* I10 */
{
	static const char *const columns[] = {"one", "two", NULL};
	const struct span bytes = {"a\0\x1b[2J\xff\"\n", 9};
	struct buf text = BUF_INIT(4096);
	struct output output;

	(void)state;
	output_string(bytes, &text);
	assert_string_equal(buf_text(&text), "\"a\\u0000\\u001b[2J\\u00ff\\\"\\u000a\"");
	buf_clear(&text);
	output_lines(bytes, &text);
	assert_string_equal(buf_text(&text), "a??[2J?\"\n");
	buf_clear(&text);
	output_init(&output, columns);
	output_add(&output, span_of("\x1b]0;x\x07"));
	output_add(&output, SPAN_EMPTY);
	output_text(&output, false, &text);
	assert_string_equal(buf_text(&text), "ONE     TWO\n?]0;x?  \n");
	output_finish(&output);
	buf_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restore_of_a_deleted_zone_is_the_last_save_before_the_delete),
		cmocka_unit_test(restore_of_a_live_zone_is_the_last_other_content),
		cmocka_unit_test(restore_takes_a_time_a_version_or_an_offset),
		cmocka_unit_test(words_that_are_no_point_are_refused),
		cmocka_unit_test(restore_never_takes_what_the_judge_refused),
		cmocka_unit_test(restore_of_a_zone_without_a_value_is_its_last_save),
		cmocka_unit_test(a_marker_closes_its_letter_and_is_none_itself),
		cmocka_unit_test(an_id_is_partition_and_offset),
		cmocka_unit_test(only_deletes_held_as_mass_are_listed),
		cmocka_unit_test(a_held_delete_means_the_zone_only_while_it_has_not_moved_on),
		cmocka_unit_test(the_highest_version_is_true_whatever_came_last),
		cmocka_unit_test(a_newer_program_stops_the_reading),
		cmocka_unit_test(what_came_from_outside_moves_no_cursor_and_is_whole_in_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
