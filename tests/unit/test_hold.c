/* SPDX-License-Identifier: Apache-2.0 */
/* Held pushes as text, and the commands about them. What Redis makes of the commands:
 * integration/test_holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/event.h"
#include "common/hold.h"

#define ID "0195d3a0-1111-7222-8333-444455556666"

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

static void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.len, strlen(text));
	assert_memory_equal(span.data, text, span.len);
}

static void a_push_comes_back_byte_for_byte(void **state)
{
	static const char value[] = "{\"a\":\"b\\n\"}\n\n\0x: y\n";
	struct held_push push = {
		.held_at_ms = 1795271400123,
		.headers = {{"ce_specversion", span_of("1.0")},
			    {"ce_source", span_of("/ingest/a: b")},
			    {"empty", SPAN_EMPTY}},
		.header_count = 3,
		.value = {value, sizeof(value) - 1},
	};
	struct buf text = BUF_INIT(4096);
	struct held_push back;
	struct reason why;

	(void)state;
	assert_true(event_id_parse(span_of(ID), &push.id));
	held_push_print(&push, &text);
	assert_memory_equal(buf_text(&text), ID " 1795271400123\nce_specversion: 1.0\n", 71);
	assert_int_equal(held_push_parse(buf_span(&text), &back, &why), OK);
	assert_true(event_id_equal(&back.id, &push.id));
	assert_int_equal(back.held_at_ms, push.held_at_ms);
	assert_int_equal(back.header_count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(back.headers[i].name, push.headers[i].name);
		assert_true(span_equal(back.headers[i].value, push.headers[i].value));
	}
	assert_true(span_equal(back.value, push.value));
	held_push_finish(&back);
	buf_finish(&text);
}

static void what_we_did_not_print_is_no_push(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"{\"schema\":\"push/1.0\"}",
		ID,
		ID " 1",
		ID " 1\n",
		ID " 1\na: b\n",
		ID " 1\na: b\nc: d",
		ID " 1\nno colon\n\n{}",
		ID " 1\n: b\n\n{}",
		ID " x\n\n{}",
		ID " 1x\n\n{}",
		ID " -1\n\n{}",
		ID "  1\n\n{}",
		ID "1\n\n{}",
		"x" ID " 1\n\n{}",
		ID " 1\na: 1\na: 1\na: 1\na: 1\na: 1\na: 1\na: 1\na: 1\na: 1\na: 1\n\n{}",
	};
	struct held_push push = {.held_at_ms = 7};
	struct reason why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(held_push_parse(span_of(bad[i]), &push, &why), PERMFAIL);
		assert_int_equal(push.held_at_ms, 7);
		assert_true(strlen(why.text) > 0);
	}
	assert_int_equal(held_push_parse(span_of(ID " 1\n\n"), &push, &why), OK);
	assert_int_equal(push.value.len, 0);
	held_push_finish(&push);
}

static void commands_name_their_keys(void **state)
{
	struct name zone = name_of("shop.example");
	struct hold_ceilings ceilings = {.records = 10, .bytes = 2000};
	struct hold_command command;

	(void)state;
	hold_look(&command, &zone);
	assert_int_equal(command.count, 2);
	assert_span(command.arguments[0], "EXISTS");
	assert_span(command.arguments[1], "dadns:hold:zone:shop.example");
	hold_look_delete(&command, &zone, "default", 1000, 3600);
	assert_int_equal(command.count, 7);
	assert_span(command.arguments[2], "2");
	assert_span(command.arguments[3], "dadns:hold:zone:shop.example");
	assert_span(command.arguments[4], "dadns:mass:default");
	assert_span(command.arguments[6], "3600");
	hold_add(&command, &zone, span_of("push"), 5, &ceilings);
	assert_int_equal(command.count, 12);
	assert_span(command.arguments[8], "push");
	assert_span(command.arguments[11], "2000");
	hold_release(&command, &zone, ID);
	assert_span(command.arguments[3], "dadns:hold:lock:shop.example");
	assert_span(command.arguments[4], ID);
}

static void the_longest_name_fits_every_command(void **state)
{
	char text[NAME_TEXT_MAX + 1] = "";
	struct hold_taking taking = {.token = ID, .lock_ms = INT64_MAX, .zones = HOLD_TAKE_MAX};
	struct hold_command command;
	struct event_id id;
	struct name zone;

	(void)state;
	for (size_t i = 0; i < 125; i++) {
		strcat(text, "a.");
	}
	strcat(text, "exa");
	zone = name_of(text);
	assert_int_equal(zone.len, 253);
	assert_true(event_id_parse(span_of(ID), &id));
	hold_pop(&command, &zone, ID, &id, INT64_MAX, true);
	assert_int_equal(command.count, 13);
	taking.zone = &zone;
	hold_take(&command, &taking);
	assert_span(command.arguments[command.count - 1], text);
	hold_list_pushes(&command, &zone, 0, 1000);
	assert_span(command.arguments[3], "999");
}

static void answers_are_understood_and_nonsense_is_not(void **state)
{
	struct redis_value nil = {.kind = REDIS_NIL};
	struct redis_value error = {.kind = REDIS_ERROR,
				    .text = span_of("OOM command not allowed")};
	struct redis_value number = {.kind = REDIS_NUMBER};
	struct redis_value text = {.kind = REDIS_TEXT, .text = span_of("next")};
	struct hold_taken taken;
	struct span next;
	struct reason why;
	bool held = false;
	bool mass = false;

	(void)state;
	for (number.number = 0; number.number < 4; number.number++) {
		assert_true(hold_looked(&number, &held, &mass, &why));
		assert_int_equal(held, number.number % 2);
		assert_int_equal(mass, number.number / 2);
	}
	assert_false(hold_looked(&nil, &held, &mass, &why));
	assert_false(hold_looked(&error, &held, &mass, &why));
	assert_string_equal(why.text, "Redis refuses: OOM command not allowed");
	number.number = 1;
	assert_int_equal(hold_was_added(&number, &why), HOLD_ADDED);
	assert_int_equal(hold_was_popped(&number, &next, &why), HOLD_POPPED_LAST);
	number.number = 0;
	assert_int_equal(hold_was_added(&number, &why), HOLD_FULL);
	assert_int_equal(hold_was_popped(&number, &next, &why), HOLD_LOST);
	assert_int_equal(hold_was_added(&nil, &why), HOLD_REFUSED);
	assert_int_equal(hold_was_added(&error, &why), HOLD_REFUSED);
	assert_int_equal(hold_was_popped(&text, &next, &why), HOLD_POPPED_NEXT);
	assert_span(next, "next");
	assert_int_equal(hold_was_popped(&error, &next, &why), HOLD_POP_REFUSED);
	assert_false(hold_was_taken(&nil, &taken, &why));
	assert_false(hold_was_taken(&error, &taken, &why));
}

static void marks_join_a_value_that_was_encoded_without_them(void **state)
{
	struct push_event event = {
		.op = PUSH_DELETE,
		.owner = "da1.example",
		.sender = "default",
		.received_at_ms = 1795271400123,
	};
	struct push_event back;
	struct buf value = BUF_INIT(4096);
	struct reason why;

	(void)state;
	event.zone = name_of("shop.example");
	assert_true(event_id_parse(span_of(ID), &event.id));
	push_event_encode(&event, &value);
	event.mass = true;
	event.unchecked = true;
	event.has_seen = true;
	event.seen = (struct version){7, 9};
	push_event_add_marks(&event, &value);
	assert_int_equal(push_event_decode(buf_span(&value), &back, &why), OK);
	assert_true(back.mass && back.unchecked && back.has_seen);
	assert_int_equal(version_compare(back.seen, event.seen), 0);
	assert_string_equal(back.owner, "da1.example");
	push_event_finish(&back);
	buf_finish(&value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_push_comes_back_byte_for_byte),
		cmocka_unit_test(what_we_did_not_print_is_no_push),
		cmocka_unit_test(commands_name_their_keys),
		cmocka_unit_test(the_longest_name_fits_every_command),
		cmocka_unit_test(answers_are_understood_and_nonsense_is_not),
		cmocka_unit_test(marks_join_a_value_that_was_encoded_without_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
