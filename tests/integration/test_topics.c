/* SPDX-License-Identifier: Apache-2.0 */
/* The topics of DaDNS on a real Kafka (KAFKA_BROKERS), which is nobody else's: epochs are raised
 * and settings are broken here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bus_admin.h"
#include "common/event.h"
#include "common/preflight.h"
#include "common/topics.h"
#include "common/topics_epoch.h"

#define WAIT_MS 10000
#define LINES_MAX 64

static struct bus_config bus;
static struct topics_config config = {
	.partitions = 3,
	.message_bytes = 1048576,
	.compaction_lag_ms = 3600000,
};

struct lines {
	char text[LINES_MAX][400];
	size_t count;
};

static void take_line(void *context, const char *line)
{
	struct lines *lines = context;

	assert_true(lines->count < LINES_MAX);
	(void)snprintf(lines->text[lines->count++], sizeof(lines->text[0]), "%s", line);
}

static size_t count_lines(const struct lines *lines, const char *part)
{
	size_t n = 0;
	size_t i;

	for (i = 0; i < lines->count; i++) {
		n += strstr(lines->text[i], part) != NULL ? 1 : 0;
	}
	return n;
}

static void apply(struct lines *lines, bool new_epoch)
{
	struct reason why = {0};
	enum outcome outcome;

	lines->count = 0;
	outcome = topics_apply(&bus, &config, new_epoch, take_line, lines, &why);
	assert_string_equal(why.text, "");
	assert_int_equal(outcome, OK);
}

static enum outcome check(struct lines *lines, struct reason *why)
{
	lines->count = 0;
	return topics_check(&bus, &config, WAIT_MS, take_line, lines, why);
}

static int64_t epoch_now(void)
{
	static struct epochs epochs;
	struct reason why;

	assert_int_equal(epochs_read(&bus, (int32_t)config.partitions, WAIT_MS, &epochs, &why), OK);
	return epochs.highest;
}

static void set_one(const char *topic, const char *name, const char *value)
{
	const struct bus_topic_setting setting = {name, value};
	struct bus_admin *admin = NULL;
	struct reason why;

	assert_int_equal(bus_admin_create(&admin, &bus, &why), OK);
	assert_int_equal(bus_admin_set(admin, topic, &setting, 1, WAIT_MS, &why), OK);
	bus_admin_destroy(admin);
}

struct wanted {
	const char *name;
	char value[64];
};

static void take_setting(void *context, const char *name, const char *value, bool own)
{
	struct wanted *wanted = context;

	(void)own;
	if (strcmp(name, wanted->name) == 0) {
		(void)snprintf(wanted->value, sizeof(wanted->value), "%s", value);
	}
}

static void expect_setting(const char *topic, const char *name, const char *value)
{
	struct wanted wanted = {.name = name};
	struct bus_admin *admin = NULL;
	struct reason why;

	assert_int_equal(bus_admin_create(&admin, &bus, &why), OK);
	assert_int_equal(bus_admin_settings(admin, topic, take_setting, &wanted, WAIT_MS, &why),
			 OK);
	bus_admin_destroy(admin);
	assert_string_equal(wanted.value, value);
}

/* Topics that an earlier run has made keep their partition count. */
static int find_kafka(void **state)
{
	struct bus_admin *admin = NULL;
	int32_t partitions = 0;
	int32_t replicas = 0;
	struct reason why;

	(void)state;
	bus.brokers = getenv("KAFKA_BROKERS");
	bus.client_id = "test";
	if (bus.brokers == NULL) {
		return 0; /* each test is a skip */
	}
	assert_int_equal(bus_admin_create(&admin, &bus, &why), OK);
	assert_int_equal(bus_admin_find(admin, TOPIC_ZONES, &partitions, &replicas, WAIT_MS, &why),
			 OK);
	bus_admin_destroy(admin);
	if (partitions > 0) {
		config.partitions = partitions;
	}
	return 0;
}

#define NEEDS_KAFKA()                                                        \
	do {                                                                 \
		(void)state;                                                 \
		if (bus.brokers == NULL) {                                   \
			(void)fprintf(stderr, "KAFKA_BROKERS is not set\n"); \
			skip();                                              \
		}                                                            \
	} while (0)

static void applied_topics_are_right_and_applying_again_changes_nothing(void **state)
{
	struct lines lines;
	struct reason why;
	int64_t epoch;

	NEEDS_KAFKA();
	apply(&lines, false);
	epoch = epoch_now();
	assert_int_not_equal(epoch, 0);

	assert_int_equal(check(&lines, &why), OK);
	assert_int_equal(count_lines(&lines, ": right: "), 7); /* six topics and the epoch */
	apply(&lines, false);
	assert_int_equal(count_lines(&lines, ": right: "), 7);
	assert_int_equal(lines.count, 7);
	assert_int_equal(epoch_now(), epoch);
	expect_setting(TOPIC_ZONES, "cleanup.policy", "compact");
	expect_setting(TOPIC_PUSHES, "message.timestamp.type", "LogAppendTime");
}

static void wrong_settings_are_found_and_corrected_and_the_operators_own_are_kept(void **state)
{
	struct lines lines;
	struct reason why;

	NEEDS_KAFKA();
	/* given */
	apply(&lines, false);
	set_one(TOPIC_HEALS, "retention.bytes", "1000000");
	set_one(TOPIC_ZONES, "cleanup.policy", "compact,delete");
	set_one(TOPIC_PUSHES, "retention.ms", "31536000000"); /* longer than we ask for */
	set_one(TOPIC_ZONES, "segment.bytes", "33554432");
	set_one(TOPIC_ZONES, "file.delete.delay.ms", "61000");

	/* when */
	assert_int_equal(check(&lines, &why), PERMFAIL);

	/* then */
	assert_int_equal(count_lines(&lines, ": wrong: "), 2);
	assert_int_equal(
		count_lines(&lines, "dadns.heals: wrong: retention.bytes is 1000000, must be -1"),
		1);
	apply(&lines, false);
	assert_int_equal(count_lines(&lines, ": set: "), 2);
	assert_int_equal(check(&lines, &why), OK);
	expect_setting(TOPIC_HEALS, "retention.bytes", "-1");
	expect_setting(TOPIC_ZONES, "cleanup.policy", "compact");
	expect_setting(TOPIC_PUSHES, "retention.ms", "31536000000");
	expect_setting(TOPIC_ZONES, "segment.bytes", "33554432");
	expect_setting(TOPIC_ZONES, "file.delete.delay.ms", "61000");
}

static void epoch_is_raised_only_when_asked_and_always_upwards(void **state)
{
	struct lines lines;
	int64_t before;

	NEEDS_KAFKA();
	apply(&lines, false);
	before = epoch_now();

	apply(&lines, true);

	assert_true(epoch_now() > before);
}

static void epoch_of_a_half_written_raise_is_completed_not_raised_again(void **state)
{
	static struct epochs epochs; /* only partition 0 is said to lack it */
	struct lines lines;
	struct reason why;
	int64_t epoch;
	int32_t i;

	NEEDS_KAFKA();
	/* given: somebody was killed after the first partition */
	apply(&lines, false);
	epoch = epoch_now() + 1;
	epochs.partitions = (int32_t)config.partitions;
	for (i = 1; i < epochs.partitions; i++) {
		epochs.of[i] = epoch;
		epochs.made_for[i] = epochs.partitions;
	}
	assert_int_equal(epochs_write(&bus, &epochs, epoch, WAIT_MS, &why), OK);
	assert_int_equal(check(&lines, &why), PERMFAIL);
	assert_int_equal(count_lines(&lines, ": wrong: partition "), config.partitions - 1);

	/* when */
	apply(&lines, false);

	/* then */
	assert_int_equal(epoch_now(), epoch);
	assert_int_equal(check(&lines, &why), OK);
}

static void epoch_goes_above_every_version_that_a_status_names(void **state)
{
	struct bus_producer *producer = NULL;
	const struct bus_producer_options options = {.timeout_ms = WAIT_MS};
	struct status_event event = {.backend = "ns-test", .state = STATUS_AWAY, .took_us = -1};
	struct bus_record record = {.topic = TOPIC_STATUS, .partition = BUS_BY_KEY};
	struct buf value = BUF_INIT(65536);
	struct buf key = BUF_INIT(1024);
	struct lines lines;
	struct reason why;

	NEEDS_KAFKA();
	/* given: a backend's stamp from a clock that was an hour ahead */
	apply(&lines, false);
	event.version = (struct version){.epoch = epoch_now() + 3600000, .offset = 1};
	event.lag_us = -1;
	event.by = "test";
	status_event_key(&event, &key);
	status_event_encode(&event, &value);
	record.key = buf_span(&key);
	record.value = buf_span(&value);
	assert_int_equal(bus_producer_create(&producer, &bus, &options, &why), OK);
	assert_int_equal(bus_send(producer, &record, NULL, NULL, &why), OK);
	assert_int_equal(bus_flush(producer, WAIT_MS, &why), OK);
	bus_producer_destroy(producer);

	/* when */
	apply(&lines, true);

	/* then */
	assert_true(epoch_now() > event.version.epoch);
	buf_finish(&value);
	buf_finish(&key);
}

static void another_partition_count_stops_the_services_and_is_never_changed(void **state)
{
	struct topics_config other = config;
	struct lines lines = {0};
	struct reason why;

	NEEDS_KAFKA();
	apply(&lines, false);
	assert_int_equal(topics_preflight(&bus, &config, WAIT_MS, &why), OK);
	other.partitions = config.partitions + 1;

	assert_int_equal(topics_preflight(&bus, &other, WAIT_MS, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "pinned"));
	assert_int_equal(topics_apply(&bus, &other, false, take_line, &lines, &why), PERMFAIL);
	assert_int_equal(topics_preflight(&bus, &config, WAIT_MS, &why), OK);
}

static size_t wrong_ones(enum check check, const char *where)
{
	struct preflight preflight;
	size_t n = 0;

	preflight_init(&preflight, "");
	preflight_kafka(&preflight, &bus, &config, WAIT_MS, true);
	for (size_t i = 0; i < preflight.count; i++) {
		const struct finding *finding = &preflight.items[i];

		assert_int_not_equal(finding->state, FINDING_AWAY);
		if (finding->state == FINDING_WRONG) {
			assert_int_equal(finding->check, check);
			assert_string_equal(finding->where, where);
			n++;
		}
	}
	preflight_finish(&preflight);
	return n;
}

static void findings_name_what_is_wrong_and_where(void **state) /* F15, F17 */
{
	int64_t partitions = config.partitions;
	struct preflight preflight;
	struct lines lines;

	NEEDS_KAFKA();
	apply(&lines, false);
	assert_int_equal(wrong_ones(CHECKS, ""), 0);
	set_one(TOPIC_ZONES, "cleanup.policy", "delete");
	assert_int_equal(wrong_ones(CHECK_TOPIC_SETTINGS, TOPIC_ZONES), 1);
	apply(&lines, false);
	assert_int_equal(wrong_ones(CHECKS, ""), 0);

	config.partitions = partitions + 1;
	preflight_init(&preflight, "");
	preflight_kafka(&preflight, &bus, &config, WAIT_MS, false);
	assert_int_equal(preflight_first(&preflight, FINDING_WRONG)->check, CHECK_TOPIC_COUNTS);
	preflight_finish(&preflight);
	preflight_init(&preflight, "topic-partitions");
	preflight_kafka(&preflight, &bus, &config, WAIT_MS, false);
	assert_null(preflight_first(&preflight, FINDING_WRONG));
	assert_int_equal(preflight_first(&preflight, FINDING_WARN)->check, CHECK_TOPIC_COUNTS);
	preflight_finish(&preflight);
	config.partitions = partitions;
}

static void absent_kafka_is_tempfail(void **state)
{
	const struct bus_config nobody = {.brokers = "127.0.0.1:1", .client_id = "test"};
	struct preflight preflight;
	struct reason why;

	(void)state;
	assert_int_equal(topics_preflight(&nobody, &config, 300, &why), TEMPFAIL);
	assert_non_null(strstr(why.text, "127.0.0.1:1"));
	preflight_init(&preflight, "");
	preflight_kafka(&preflight, &nobody, &config, 300, true);
	assert_int_equal(preflight.count, 1);
	assert_int_equal(preflight.items[0].state, FINDING_AWAY);
	assert_int_equal(preflight.items[0].check, CHECK_KAFKA_REACH);
	preflight_finish(&preflight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(applied_topics_are_right_and_applying_again_changes_nothing),
		cmocka_unit_test(
			wrong_settings_are_found_and_corrected_and_the_operators_own_are_kept),
		cmocka_unit_test(epoch_is_raised_only_when_asked_and_always_upwards),
		cmocka_unit_test(epoch_of_a_half_written_raise_is_completed_not_raised_again),
		cmocka_unit_test(epoch_goes_above_every_version_that_a_status_names),
		cmocka_unit_test(another_partition_count_stops_the_services_and_is_never_changed),
		cmocka_unit_test(findings_name_what_is_wrong_and_where),
		cmocka_unit_test(absent_kafka_is_tempfail),
	};

	return cmocka_run_group_tests(tests, find_kafka, NULL);
}
