/* SPDX-License-Identifier: Apache-2.0 */
/* common/preflight.c: findings, what they count for, clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/preflight.h"

static int64_t gauge(enum check check)
{
	return atomic_load(&preflight_metrics.rows[check].value);
}

static void names_are_unique_words_and_every_check_says_why_and_what_to_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECKS; i++) {
		const struct check_about *about = &check_abouts[i];

		assert_int_equal(strspn(about->name, "abcdefghijklmnopqrstuvwxyz-"),
				 strlen(about->name));
		assert_true(strlen(about->must) > 5);
		assert_true(strlen(about->why) > 5);
		assert_true(strlen(about->remedy) > 5);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(about->name, check_abouts[j].name);
		}
	}
}

static void only_known_names_may_be_allowed(void **state)
{
	struct reason why;

	(void)state;
	assert_int_equal(preflight_check_allow("", &why), OK);
	assert_int_equal(preflight_check_allow("redis-fsync", &why), OK);
	assert_int_equal(preflight_check_allow(" redis-fsync , topic-settings,", &why), OK);
	assert_int_equal(preflight_check_allow("redis-fsync,redis-fsyn", &why), PERMFAIL);
	assert_non_null(strstr(why.text, "\"redis-fsyn\""));
	assert_int_equal(preflight_check_allow("redis-fsync2", &why), PERMFAIL);
}

static void what_is_allowed_is_only_warned_about(void **state)
{
	struct preflight preflight;

	(void)state;
	preflight_init(&preflight, "redis-aof,topic-settings");
	preflight_say(&preflight, CHECK_TOPIC_SETTINGS, FINDING_WRONG, "dadns.zones", "bent");
	preflight_say(&preflight, CHECK_REDIS_FSYNC, FINDING_WARN, "redis", "everysec");
	assert_null(preflight_first(&preflight, FINDING_WRONG));
	assert_null(preflight_tell(&preflight));
	assert_int_equal(gauge(CHECK_TOPIC_SETTINGS), 1);
	preflight_say(&preflight, CHECK_TOPIC_COUNTS, FINDING_WRONG, "dadns.zones", "%d", 5);
	assert_int_equal(preflight_first(&preflight, FINDING_WRONG)->check, CHECK_TOPIC_COUNTS);
	preflight_finish(&preflight);
	preflight_finish(&preflight);
}

static void the_worst_of_a_name_is_told_and_the_first_wrong_one_shown(void **state)
{
	const struct finding *wrong;
	struct preflight preflight;
	struct reason text;

	(void)state;
	preflight_init(&preflight, "");
	preflight_say(&preflight, CHECK_TOPIC_SETTINGS, FINDING_RIGHT, "dadns.pushes", "fine");
	preflight_say(&preflight, CHECK_TOPIC_SETTINGS, FINDING_WRONG, "dadns.zones", "bent %s",
		      "badly");
	preflight_say(&preflight, CHECK_TOPIC_SETTINGS, FINDING_RIGHT, "dadns.heals", "fine");
	wrong = preflight_tell(&preflight);
	assert_non_null(wrong);
	preflight_text(wrong, &text);
	assert_string_equal(text.text, "topic-settings: dadns.zones: bent badly");
	assert_int_equal(gauge(CHECK_TOPIC_SETTINGS), 2);
	preflight_finish(&preflight);

	preflight_init(&preflight, "");
	preflight_say(&preflight, CHECK_TOPIC_SETTINGS, FINDING_RIGHT, "dadns.zones", "mended");
	assert_null(preflight_tell(&preflight));
	assert_int_equal(gauge(CHECK_TOPIC_SETTINGS), 0);
	preflight_finish(&preflight);
}

static void what_is_found_no_more_is_right_again(void **state)
{
	struct preflight preflight;

	(void)state;
	preflight_init(&preflight, "");
	preflight_say(&preflight, CHECK_TOPIC_ABSENT, FINDING_WRONG, "dadns.zones", "gone");
	assert_non_null(preflight_tell(&preflight));
	assert_int_equal(gauge(CHECK_TOPIC_ABSENT), 2);
	preflight_finish(&preflight);

	preflight_init(&preflight, "");
	preflight_say(&preflight, CHECK_TOPIC_ABSENT, FINDING_RIGHT, "kafka", "all there");
	assert_null(preflight_tell(&preflight));
	assert_int_equal(gauge(CHECK_TOPIC_ABSENT), 0);
	preflight_finish(&preflight);
}

static void a_writer_only_warns_of_redis_and_nobody_of_who_is_away(void **state)
{
	struct preflight preflight;

	(void)state;
	preflight_init(&preflight, "");
	preflight.wrong_is = FINDING_WARN;
	preflight.away_is = FINDING_WARN;
	preflight_say(&preflight, CHECK_REDIS_AOF, FINDING_WRONG, "redis", "no");
	preflight_say(&preflight, CHECK_REDIS_REACH, FINDING_AWAY, "redis", "away");
	assert_null(preflight_tell(&preflight));
	assert_int_equal(gauge(CHECK_REDIS_AOF), 1);
	assert_int_equal(gauge(CHECK_REDIS_REACH), 1);
	preflight_finish(&preflight);
}

static void a_clock_may_be_five_seconds_off_beside_the_time_that_asking_took(void **state)
{
	static const struct {
		int64_t before_ms, theirs_ms, after_ms;
		const char *says; /* NULL: right */
	} rows[] = {
		{100000, 100000, 100000, NULL},
		{100000, 105000, 100000, NULL},
		{100000, 95000, 100000, NULL},
		{100000, 105001, 100000, "5.0 s ahead of ours"},
		{100000, 94000, 100000, "6.0 s behind ours"},
		{100000, 116000, 112000, NULL}, /* asking took 12 s */
		{100000, 130000, 112000, "18.0 s ahead of ours"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct preflight preflight;

		preflight_init(&preflight, "");
		preflight_clock(&preflight, CHECK_REDIS_CLOCK, "redis", rows[i].before_ms,
				rows[i].theirs_ms, rows[i].after_ms);
		assert_int_equal(preflight.count, 1);
		assert_int_equal(preflight.items[0].state,
				 rows[i].says == NULL ? FINDING_RIGHT : FINDING_WARN);
		if (rows[i].says != NULL) {
			assert_non_null(strstr(preflight.items[0].text.text, rows[i].says));
		}
		preflight_finish(&preflight);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_unique_words_and_every_check_says_why_and_what_to_do),
		cmocka_unit_test(only_known_names_may_be_allowed),
		cmocka_unit_test(what_is_allowed_is_only_warned_about),
		cmocka_unit_test(the_worst_of_a_name_is_told_and_the_first_wrong_one_shown),
		cmocka_unit_test(what_is_found_no_more_is_right_again),
		cmocka_unit_test(a_writer_only_warns_of_redis_and_nobody_of_who_is_away),
		cmocka_unit_test(a_clock_may_be_five_seconds_off_beside_the_time_that_asking_took),
	};

	log_setup("test", LEVEL_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
