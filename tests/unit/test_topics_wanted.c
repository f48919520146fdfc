/* SPDX-License-Identifier: Apache-2.0 */
/* The table made from proto/asyncapi.yml, under a configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/event.h"
#include "common/topics_wanted.h"

static struct wanted_list list;

static const struct topic_row *row_of(const char *topic)
{
	for (size_t i = 0; i < TOPIC_COUNT; i++) {
		if (strcmp(topic_rows[i].name, topic) == 0) {
			return &topic_rows[i];
		}
	}
	print_error("no topic %s\n", topic);
	abort();
}

static struct topics_config defaults(void)
{
	return (struct topics_config){
		.partitions = strtoll(TOPICS_PARTITIONS_DEFAULT, NULL, 10),
		.replication = strtoll(TOPICS_REPLICATION_DEFAULT, NULL, 10),
		.message_bytes = strtoll(TOPICS_MESSAGE_BYTES_DEFAULT, NULL, 10),
		.compaction_lag_ms = strtoll(TOPICS_COMPACTION_LAG_MS_DEFAULT, NULL, 10),
	};
}

static struct wanted *find(const char *setting)
{
	for (size_t i = 0; i < list.count; i++) {
		if (strcmp(list.items[i].name, setting) == 0) {
			return &list.items[i];
		}
	}
	return NULL;
}

static const char *value(const char *setting)
{
	const struct wanted *wanted = find(setting);

	return wanted == NULL ? "none" : wanted->value;
}

static void every_topic_keeps_all_bytes_and_kafkas_own_time(void **state)
{
	struct topics_config config = defaults();

	(void)state;
	for (size_t i = 0; i < TOPIC_COUNT; i++) {
		wanted_of(&topic_rows[i], &config, 1, &list);
		assert_string_equal(value("retention.bytes"), "-1");
		assert_string_equal(value("message.timestamp.type"), "LogAppendTime");
		assert_string_equal(value("unclean.leader.election.enable"), "false"); /* I1 */
	}
}

static void every_topic_whose_key_is_a_zone_is_pinned(void **state) /* I2 */
{
	(void)state;
	for (size_t i = 0; i < TOPIC_COUNT; i++) {
		assert_int_equal(topic_rows[i].pinned,
				 strcmp(topic_rows[i].name, TOPIC_AUDITS) != 0);
	}
	assert_int_equal(row_of(TOPIC_AUDITS)->partitions, 1);
}

static void configuration_moves_the_settings_that_rest_on_it(void **state)
{
	struct topics_config config = defaults();

	(void)state;
	wanted_of(row_of(TOPIC_ZONES), &config, 1, &list);
	assert_string_equal(value("max.message.bytes"), "1114112"); /* I9: 1 MiB + 64 KiB */
	assert_string_equal(value("min.compaction.lag.ms"), "3600000");
	assert_string_equal(value("max.compaction.lag.ms"), "608400000");
	config.message_bytes = 65536;
	config.compaction_lag_ms = 0;
	wanted_of(row_of(TOPIC_ZONES), &config, 1, &list);
	assert_string_equal(value("max.message.bytes"), "131072");
	assert_string_equal(value("min.compaction.lag.ms"), "0");
	assert_string_equal(value("max.compaction.lag.ms"), "604800000");
}

static void only_three_replicas_want_two_in_sync(void **state)
{
	struct topics_config config = defaults();

	(void)state;
	for (size_t i = 0; i < TOPIC_COUNT; i++) {
		wanted_of(&topic_rows[i], &config, 0, &list); /* not known */
		assert_string_equal(value("min.insync.replicas"), "none");
		wanted_of(&topic_rows[i], &config, 2, &list);
		assert_string_equal(value("min.insync.replicas"), "none");
		wanted_of(&topic_rows[i], &config, 3, &list);
		assert_string_equal(value("min.insync.replicas"), "2");
		assert_true(list.count <= TOPIC_SETTINGS_MAX);
	}
}

static bool right_when(const char *setting, const char *is)
{
	struct wanted *wanted = find(setting);

	assert_non_null(wanted);
	(void)snprintf(wanted->is, sizeof(wanted->is), "%s", is);
	return wanted_is_right(wanted);
}

static void settings_are_held_as_strictly_as_the_contract_says(void **state)
{
	struct topics_config config = defaults();

	(void)state;
	wanted_of(row_of(TOPIC_PUSHES), &config, 1, &list);
	assert_true(right_when("cleanup.policy", "delete"));
	assert_false(right_when("cleanup.policy", "compact"));
	assert_true(right_when("retention.ms", "2592000000"));
	assert_true(right_when("retention.ms", "2592000001"));
	assert_true(right_when("retention.ms", "-1")); /* for ever */
	assert_false(right_when("retention.ms", "2591999999"));
	assert_false(right_when("retention.ms", "")); /* Kafka did not say */
	assert_true(right_when("segment.ms", "1"));   /* the operator's */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_topic_keeps_all_bytes_and_kafkas_own_time),
		cmocka_unit_test(every_topic_whose_key_is_a_zone_is_pinned),
		cmocka_unit_test(configuration_moves_the_settings_that_rest_on_it),
		cmocka_unit_test(only_three_replicas_want_two_in_sync),
		cmocka_unit_test(settings_are_held_as_strictly_as_the_contract_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
