/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/ingest/tracker.h"

static int released;

static void count_release(struct tracker_item *item)
{
	(void)item;
	released++;
}

static void an_offset_waits_for_all_before_it(void **unused)
{
	struct tracker tracker = {0};
	struct tracker_item items[3] = {
		{.offset = 4, .left = 1}, {.offset = 7, .left = 2}, {.offset = 9, .left = 1}};

	(void)unused;
	for (int i = 0; i < 3; i++) {
		tracker_add(&tracker, &items[i]);
	}
	items[2].left--;
	assert_null(tracker_take_done(&tracker));
	items[0].left--;
	assert_ptr_equal(tracker_take_done(&tracker), &items[0]);
	items[1].left--;
	assert_null(tracker_take_done(&tracker)); /* one part is missing */
	items[1].left--;
	assert_ptr_equal(tracker_take_done(&tracker), &items[1]);
	assert_ptr_equal(tracker_take_done(&tracker), &items[2]);
	assert_null(tracker_take_done(&tracker));
	assert_int_equal(tracker.count, 0);
	tracker_add(&tracker, &items[0]); /* empty again: any offset may follow */
	assert_int_equal(tracker.count, 1);
}

static void what_is_dropped_is_released_when_it_is_finished(void **unused)
{
	struct tracker tracker = {0};
	struct tracker_item items[2] = {{.offset = 1, .left = 1}, {.offset = 2, .left = 0}};

	(void)unused;
	released = 0;
	tracker_add(&tracker, &items[0]);
	tracker_add(&tracker, &items[1]);
	tracker_drop(&tracker, count_release);
	assert_int_equal(released, 1);
	assert_true(items[0].dropped);
	assert_null(tracker_take_done(&tracker));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_offset_waits_for_all_before_it),
		cmocka_unit_test(what_is_dropped_is_released_when_it_is_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
