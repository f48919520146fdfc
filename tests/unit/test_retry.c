/* SPDX-License-Identifier: Apache-2.0 */
/* Commands and answers as bytes; what the scripts do is integration/test_retry's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/retry.h"

static struct name name_of(const char *text)
{
	struct name name;
	struct reason why;

	assert_int_equal(name_parse(span_of(text), &name, &why), OK);
	return name;
}

static struct retry_event entry_of(const char *zone, int64_t offset, int64_t attempt)
{
	return (struct retry_event){.backend = "ns1",
				    .zone = name_of(zone),
				    .version = {1795271400000, offset},
				    .topic = TOPIC_ZONES,
				    .partition = 7,
				    .offset = 4711,
				    .attempt = attempt,
				    .first_failed_at_ms = 1795271457123,
				    .reason = "named: \"too many records\""};
}

#define ENTRY                                                                                  \
	"{\"schema\":\"retry/1.0\",\"backend\":\"ns1\",\"zone\":\"shop.example\",\"version\":" \
	"{\"epoch\":1795271400000,\"offset\":1042},\"topic\":\"dadns.zones\",\"partition\":7," \
	"\"offset\":4711,\"attempt\":2,\"first_failed_at\":\"2026-11-21T14:30:57.123Z\","      \
	"\"reason\":\"named: \\\"too many records\\\"\"}"

static void an_entry_is_json_that_people_can_read(void **unused)
{
	struct retry_event entry = entry_of("shop.example", 1042, 2);
	struct buf text = BUF_INIT(4096);

	(void)unused;
	retry_event_encode(&entry, &text);
	assert_string_equal(buf_text(&text), ENTRY);
	buf_finish(&text);
}

static void an_entry_comes_back_as_it_was(void **unused)
{
	struct retry_event entry;
	struct buf text = BUF_INIT(4096);
	struct reason why;

	(void)unused;
	assert_int_equal(retry_event_decode(span_of(ENTRY), &entry, &why), OK);
	assert_string_equal(entry.topic, TOPIC_ZONES);
	assert_int_equal(entry.partition, 7);
	assert_int_equal(entry.offset, 4711);
	assert_int_equal(entry.attempt, 2);
	assert_false(entry.dead);
	entry.dead = true;
	retry_event_encode(&entry, &text);
	retry_event_finish(&entry);
	assert_int_equal(retry_event_decode(buf_span(&text), &entry, &why), OK);
	assert_true(entry.dead);
	assert_int_equal(entry.first_failed_at_ms, 1795271457123);
	retry_event_finish(&entry);
	buf_finish(&text);
}

static void what_is_no_entry_is_refused(void **unused)
{
	static const char *const bad[] = {
		"",
		"{}",
		"shop.example",
		"{\"schema\":\"retry/1.0\"}",
		"{\"schema\":\"retry/1.0\",\"backend\":\"ns1\",\"zone\":\"../etc/"
		"passwd\",\"version\":"
		"{\"epoch\":1,\"offset\":2},\"topic\":\"t\",\"partition\":7,\"offset\":1,"
		"\"attempt\":1,"
		"\"first_failed_at\":\"2026-11-21T14:30:57.123Z\"}",
	};
	struct retry_event entry;
	struct reason why;

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(retry_event_decode(span_of(bad[i]), &entry, &why), PERMFAIL);
	}
}

static void assert_argument(const struct retry_command *command, size_t i, const char *text)
{
	assert_true(i < command->count);
	if (!span_is(command->arguments[i], text)) {
		fail_msg("argument %zu is '%.*s', not '%s'", i, (int)command->arguments[i].len,
			 command->arguments[i].data, text);
	}
}

static void saving_names_keys_version_tries_and_pause(void **unused)
{
	struct retry_event entry = entry_of("shop.example", 1042, 2);
	struct retry_command command;

	(void)unused;
	retry_save(&command, &entry, 30000, false);
	assert_argument(&command, 0, "EVAL");
	assert_argument(&command, 2, "3");
	assert_argument(&command, 3, "dadns:retry:ns1:7");
	assert_argument(&command, 4, "dadns:retry:ns1:7:due");
	assert_argument(&command, 5, "dadns:retry:ns1:7:state");
	assert_argument(&command, 6, "shop.example");
	assert_argument(&command, 7, ENTRY);
	assert_argument(&command, 8, "1795271400000");
	assert_argument(&command, 9, "1042");
	assert_argument(&command, 10, "2");
	assert_argument(&command, 11, "30000");
	assert_argument(&command, 12, "0");
	assert_int_equal(command.count, 13);
	retry_command_finish(&command);

	entry.dead = true;
	retry_save(&command, &entry, 30000, true);
	assert_argument(&command, 11, "-1");
	assert_argument(&command, 12, "1");
	retry_command_finish(&command);
}

static struct redis_value text_value(const char *text)
{
	return (struct redis_value){.kind = REDIS_TEXT, .text = span_of(text)};
}

static struct redis_value number_value(int64_t number)
{
	return (struct redis_value){.kind = REDIS_NUMBER, .number = number};
}

static void answers_to_saving_are_three_words(void **unused)
{
	struct redis_value saved = text_value("saved");
	struct redis_value kept = text_value("kept");
	struct redis_value dead = text_value("dead");
	struct redis_value other = text_value("OK");
	struct redis_value error = {.kind = REDIS_ERROR,
				    .text = span_of("OOM command not allowed")};
	enum retry_saved out;
	struct reason why;

	(void)unused;
	assert_int_equal(retry_saved(&saved, &out, &why), OK);
	assert_int_equal(out, RETRY_SAVED);
	assert_int_equal(retry_saved(&kept, &out, &why), OK);
	assert_int_equal(out, RETRY_KEPT);
	assert_int_equal(retry_saved(&dead, &out, &why), OK);
	assert_int_equal(out, RETRY_DEAD);
	assert_int_equal(retry_saved(&other, &out, &why), TEMPFAIL);
	assert_int_equal(retry_saved(&error, &out, &why), TEMPFAIL);
	assert_non_null(strstr(why.text, "OOM"));
}

static void an_answer_to_taking_has_three_numbers_and_entries(void **unused)
{
	struct redis_value items[] = {number_value(1), number_value(12), number_value(3),
				      text_value(ENTRY)};
	struct redis_value value = {.kind = REDIS_LIST, .items = items, .count = 4};
	struct retry_taken taken;
	struct reason why;

	(void)unused;
	assert_int_equal(retry_taken(&value, &taken, &why), OK);
	assert_true(taken.complete);
	assert_int_equal(taken.waiting, 12);
	assert_int_equal(taken.dead, 3);
	assert_int_equal(taken.count, 1);
	value.count = 2;
	assert_int_equal(retry_taken(&value, &taken, &why), TEMPFAIL);
	value.count = 4;
	items[3] = number_value(0);
	assert_int_equal(retry_taken(&value, &taken, &why), TEMPFAIL);
}

static void only_hashes_are_keys_of_partitions(void **unused)
{
	static const char *const others[] = {
		"dadns:retry:ns1:7:due",
		"dadns:retry:ns1:7:state",
		"dadns:retry:ns1",
		"dadns:retry:ns1:",
		"dadns:retry::7",
		"dadns:hold:zones",
		"dadns:retry:ns1:99999999999999",
	};
	char backend[EVENT_BACKEND_MAX + 1];
	int32_t partition;

	(void)unused;
	assert_true(retry_key_parse(span_of("dadns:retry:ns1:7"), backend, &partition));
	assert_string_equal(backend, "ns1");
	assert_int_equal(partition, 7);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(retry_key_parse(span_of(others[i]), backend, &partition));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_json_that_people_can_read),
		cmocka_unit_test(an_entry_comes_back_as_it_was),
		cmocka_unit_test(what_is_no_entry_is_refused),
		cmocka_unit_test(saving_names_keys_version_tries_and_pause),
		cmocka_unit_test(answers_to_saving_are_three_words),
		cmocka_unit_test(an_answer_to_taking_has_three_numbers_and_entries),
		cmocka_unit_test(only_hashes_are_keys_of_partitions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
