/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/delays.h"
#include "common/window.h"

enum { P0 = 0, P1 = 1 };

static struct window *window;

static int set_up(void **state)
{
	(void)state;
	window = window_create(8, 1 << 20);
	window_open(window, WINDOW_ZONES, P0, 0);
	window_open(window, WINDOW_ZONES, P1, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	window_destroy(window);
	return 0;
}

static void add_item(int32_t partition, int64_t offset, const char *zone, int64_t version, bool now,
		     bool recorded)
{
	struct window_item *item = item_create();
	struct reason why;

	item->topic = WINDOW_ZONES;
	item->partition = partition;
	item->offset = offset;
	item->bytes = 100;
	assert_int_equal(name_parse(span_of(zone), &item->value.zone, &why), OK);
	item->value.version = (struct version){1, version};
	item->value.now = now;
	item->recorded = recorded;
	window_add(window, item);
}

static void add(int32_t partition, int64_t offset, const char *zone, int64_t version, bool now)
{
	add_item(partition, offset, zone, version, now, false);
}

static void add_recorded(int32_t partition, int64_t offset, const char *zone, int64_t version)
{
	add_item(partition, offset, zone, version, false, true);
}

static struct window_item *take_one(void)
{
	struct window_item *item;

	assert_int_equal(window_take(window, &item, 1), 1);
	return item;
}

static void assert_takes(const char *zone, int64_t version)
{
	struct window_item *item = take_one();

	assert_string_equal(item->value.zone.text, zone);
	assert_int_equal(item->value.version.offset, version);
	window_finish(window, item);
}

static int64_t next_offset(int32_t wanted)
{
	enum window_topic topic;
	int32_t partition;
	int64_t next;
	bool changed;

	for (size_t i = 0; window_progress(window, i, &topic, &partition, &next, &changed); i++) {
		if (topic == WINDOW_ZONES && partition == wanted) {
			return next;
		}
	}
	return -1;
}

static void newest_of_a_zone_wins_whichever_came_first(void **state)
{
	(void)state;
	add(P0, 0, "a.example", 5, false);
	add(P0, 1, "a.example", 7, false);
	add(P0, 2, "a.example", 6, false); /* a zombie's late record */

	assert_int_equal(window_waiting(window), 1);
	assert_takes("a.example", 7);
	assert_int_equal(next_offset(P0), 3);
}

static void now_overtakes_a_backlog(void **state)
{
	(void)state;
	add(P0, 0, "a.example", 1, false);
	add(P0, 1, "b.example", 2, false);
	add(P1, 0, "c.example", 3, true);

	assert_takes("c.example", 3);
	assert_takes("a.example", 1);
	assert_takes("b.example", 2);
}

static void a_batch_of_now_holds_nothing_else(void **state)
{
	struct window_item *items[4];

	(void)state;
	add(P0, 0, "a.example", 1, false);
	add(P0, 1, "b.example", 2, true);

	assert_int_equal(window_take(window, items, 4), 1);
	assert_string_equal(items[0]->value.zone.text, "b.example");
	window_finish(window, items[0]);
}

static void offsets_are_contiguous(void **state)
{
	struct window_item *items[3];

	(void)state;
	add(P0, 10, "a.example", 1, false);
	add(P0, 11, "b.example", 2, false);
	add(P0, 15, "c.example", 3, false); /* compaction left a gap */
	assert_int_equal(window_take(window, items, 3), 3);

	window_finish(window, items[2]);
	assert_int_equal(next_offset(P0), 10);
	window_finish(window, items[0]);
	assert_int_equal(next_offset(P0), 11);
	window_finish(window, items[1]);
	assert_int_equal(next_offset(P0), 16);
}

static void a_zone_put_aside_holds_its_offset_but_not_its_partition(void **state)
{
	struct window_item *item;

	(void)state;
	add(P0, 0, "bad.example", 1, false);
	add(P0, 1, "good.example", 2, false);
	item = take_one();
	assert_true(window_put_aside(window, item, 1000));

	assert_takes("good.example", 2);
	assert_int_equal(next_offset(P0), 0);
	assert_int_equal(window_waiting(window), 0);
	assert_ptr_equal(window_aside_next(window, NULL), item);
	assert_null(window_aside_next(window, item));
	window_wake(window, item);
	assert_takes("bad.example", 1);
	assert_int_equal(next_offset(P0), 2);
}

static void a_newer_version_replaces_what_was_put_aside(void **state)
{
	(void)state;
	add(P0, 0, "a.example", 1, false);
	assert_true(window_put_aside(window, take_one(), 1000));
	add(P0, 1, "a.example", 2, false);

	assert_int_equal(window_aside(window), 0);
	assert_takes("a.example", 2);
	assert_int_equal(next_offset(P0), 2);
}

static void an_older_version_never_replaces_what_was_put_aside(void **state)
{
	(void)state;
	add(P0, 0, "a.example", 2, false);
	assert_true(window_put_aside(window, take_one(), 1000));
	add(P0, 1, "a.example", 1, false);

	assert_int_equal(window_aside(window), 1);
	assert_int_equal(window_waiting(window), 0);
	assert_int_equal(next_offset(P0), 0);
}

/* I3: its failure stands in Redis, so nobody waits for it, not even after it failed once more. */
static void a_recorded_item_holds_no_offset(void **state)
{
	struct window_item *item;

	(void)state;
	add(P0, 10, "a.example", 10, false);
	assert_takes("a.example", 10);
	add_recorded(P0, 3, "bad.example", 3);
	assert_int_equal(next_offset(P0), 11);
	add(P0, 11, "b.example", 11, false);
	item = take_one();
	assert_string_equal(item->value.zone.text, "bad.example");
	assert_true(window_put_aside(window, item, 1000));
	assert_takes("b.example", 11);
	assert_int_equal(next_offset(P0), 12);
	window_finish(window, item);
	assert_int_equal(next_offset(P0), 12);
	assert_int_equal(window_unfinished(window), 0);
}

static void a_recorded_item_goes_with_its_partition(void **state)
{
	(void)state;
	add_recorded(P0, 3, "a.example", 3);
	add_recorded(P0, 4, "b.example", 4);
	window_drop(window, WINDOW_ZONES, P0);
	assert_int_equal(window_unfinished(window), 0);
	add_recorded(P0, 5, "c.example", 5); /* came too late */
	assert_int_equal(window_waiting(window), 0);
}

/* The log is read again and the schedule goes on at the same time: one of them is enough. */
static void the_same_version_read_twice_is_tried_once(void **state)
{
	(void)state;
	add(P0, 3, "a.example", 3, false);
	add_recorded(P0, 3, "a.example", 3);
	assert_int_equal(window_waiting(window), 1);
	assert_int_equal(next_offset(P0), 4);
	add_recorded(P0, 2, "a.example", 2); /* older: not at all */
	assert_takes("a.example", 3);
	assert_int_equal(window_waiting(window), 0);
}

/* I3: applied is not enough, its status must be in the log. */
static void offset_waits_for_the_confirmation(void **state)
{
	struct window_item *item;

	(void)state;
	add(P0, 0, "a.example", 1, false);
	item = take_one();
	window_confirming(window, item);
	assert_int_equal(next_offset(P0), 0);

	add(P0, 1, "a.example", 2, false); /* the next push of that zone need not wait */
	assert_takes("a.example", 2);
	assert_int_equal(next_offset(P0), 0);
	window_finish(window, item);
	assert_int_equal(next_offset(P0), 2);
}

static void a_confirmation_may_come_after_the_partition_went(void **state)
{
	struct window_item *item;

	(void)state;
	add(P0, 0, "a.example", 1, false);
	item = take_one();
	window_confirming(window, item);
	window_drop(window, WINDOW_ZONES, P0);

	assert_false(window_has(window, WINDOW_ZONES, P0));
	window_finish(window, item);
	assert_int_equal(window_unfinished(window), 0);
}

static void offset_waits_until_what_is_stored_is_served(void **state)
{
	struct window_item *item;

	(void)state;
	add(P0, 0, "a.example", 5, false);
	item = take_one();
	window_settling(window, item);
	assert_int_equal(next_offset(P0), 0);
	assert_int_equal(window_settling_count(window), 1);
	assert_int_equal(window_bytes(window), 100); /* it may have to be tried again */

	window_confirming(window, item);
	assert_int_equal(next_offset(P0), 0);
	assert_int_equal(window_bytes(window), 0);
	window_finish(window, item);
	assert_int_equal(next_offset(P0), 1);
	assert_int_equal(window_settling_count(window), 0);
}

static void a_zone_goes_on_while_an_older_value_of_it_settles(void **state)
{
	struct window_item *older;

	(void)state;
	add(P0, 0, "a.example", 5, false);
	older = take_one();
	window_settling(window, older);
	add(P0, 1, "a.example", 6, false);
	assert_takes("a.example", 6);
	assert_int_equal(next_offset(P0), 0);
	window_finish(window, older);
	assert_int_equal(next_offset(P0), 2);
}

static void what_did_not_settle_is_tried_again_unless_something_newer_is_here(void **state)
{
	struct window_item *item;

	(void)state;
	add(P0, 0, "a.example", 5, false);
	item = take_one();
	window_settling(window, item);
	assert_true(window_put_aside(window, item, 1000));
	window_wake(window, item);
	assert_ptr_equal(take_one(), item);

	window_settling(window, item);
	add(P0, 1, "a.example", 6, false);
	assert_false(window_put_aside(window, item, 2000)); /* and it is freed */
	assert_int_equal(window_aside(window), 0);
	assert_int_equal(next_offset(P0), 1);
	assert_takes("a.example", 6);
}

static void a_settlement_may_come_after_the_partition_went(void **state)
{
	struct window_item *item;

	(void)state;
	add(P0, 0, "a.example", 5, false);
	add(P0, 1, "b.example", 6, false);
	item = take_one();
	window_settling(window, item);
	window_settling(window, take_one());
	window_drop(window, WINDOW_ZONES, P0);
	assert_int_equal(item->state, ITEM_DROPPED);
	assert_int_equal(window_bytes(window), 0);
	assert_int_equal(window_settling_count(window), 0);
	window_finish(window, item);
	/* the other one's never comes: the window frees it */
}

static void what_was_put_back_comes_first_again(void **state)
{
	struct window_item *items[2];

	(void)state;
	add(P0, 0, "a.example", 1, false);
	add(P0, 1, "b.example", 2, false);
	add(P0, 2, "c.example", 3, false);
	assert_int_equal(window_take(window, items, 2), 2);
	window_put_back(window, items[1]);
	window_put_back(window, items[0]);

	assert_takes("a.example", 1);
	assert_takes("b.example", 2);
	assert_takes("c.example", 3);
}

static void ceilings_bound_what_waits_and_not_what_is_aside(void **state)
{
	char zone[32];

	(void)state;
	for (int i = 0; i < 8; i++) {
		(void)snprintf(zone, sizeof(zone), "z%d.example", i);
		add(P0, i, zone, i + 1, false);
	}
	assert_true(window_full(window));
	for (int i = 0; i < 4; i++) {
		assert_true(window_put_aside(window, take_one(), 1000));
	}
	assert_false(window_full(window));
	assert_true(window_has_room(window));
}

static void late_records_of_a_lost_partition_are_ignored(void **state)
{
	(void)state;
	window_drop(window, WINDOW_ZONES, P1);
	add(P1, 3, "a.example", 1, false);

	assert_int_equal(window_waiting(window), 0);
	assert_int_equal(next_offset(P1), -1);
}

static void a_heal_never_replaces_a_value_and_gives_way_to_a_newer_one(void **state)
{
	struct window_item *heal = item_create();
	struct reason why;

	(void)state;
	window_open(window, WINDOW_HEALS, P0, 0);
	heal->topic = WINDOW_HEALS;
	assert_int_equal(name_parse(span_of("a.example"), &heal->heal.value.zone, &why), OK);
	heal->heal.value.version = (struct version){1, 5};
	add(P0, 0, "a.example", 5, false);
	window_add(window, heal);

	assert_int_equal(window_waiting(window), 1);
	assert_takes("a.example", 5);
}

/* Random work against a naive model: per partition the offset is that of the oldest record whose
 * zone version was neither finished nor beaten by a newer one. */
static void random_histories_agree_with_a_naive_model(void **state)
{
	enum { RECORDS = 400, ZONES = 12 };
	struct {
		int zone;
		int64_t version;
		bool done;
	} model[RECORDS];
	unsigned seed = (unsigned)arc4random();

	(void)state;
	print_message("seed %u\n", seed);
	for (int round = 0; round < 50; round++) {
		int added = 0;

		window_drop(window, WINDOW_ZONES, P0);
		window_open(window, WINDOW_ZONES, P0, 0);
		while (added < RECORDS || window_waiting(window) != 0) {
			int want = 0;

			if (added < RECORDS && rand_r(&seed) % 3 != 0) {
				char zone[32];
				int z = rand_r(&seed) % ZONES;
				int64_t version = rand_r(&seed) % 50;

				(void)snprintf(zone, sizeof(zone), "z%d.example", z);
				model[added].zone = z;
				model[added].version = version;
				model[added].done = false;
				for (int i = 0; i < added; i++) {
					if (model[i].zone != z || model[i].done) {
						continue;
					}
					if (model[i].version <= version) {
						model[i].done = true;
					} else {
						model[added].done = true;
					}
				}
				add(P0, added++, zone, version, rand_r(&seed) % 10 == 0);
			} else if (window_waiting(window) != 0) {
				struct window_item *item = take_one();

				assert_false(model[item->offset].done);
				model[item->offset].done = true;
				window_finish(window, item);
			}
			while (want < added && model[want].done) {
				want++;
			}
			assert_int_equal(next_offset(P0), want);
		}
	}
}

static int64_t rewind_when(int64_t position, bool was_away)
{
	return window_rewind(window, WINDOW_ZONES, P0, position, was_away);
}

/* I4 */
static void a_backend_that_went_back_is_read_from_the_beginning(void **state)
{
	(void)state;
	window_open(window, WINDOW_ZONES, P0, 4);
	assert_int_equal(rewind_when(4, false), -1);
	assert_int_equal(rewind_when(9, true), -1);
	assert_int_equal(rewind_when(3, false), 0);
	assert_int_equal(rewind_when(0, true), 0);
	assert_int_equal(window_rewind(window, WINDOW_HEALS, P0, 0, true), -1); /* not ours */
}

/* I4: it may have been wiped or restored meanwhile, to the very position that was stored. */
static void what_a_backend_took_before_it_was_away_is_not_believed(void **state)
{
	struct window_item *items[3];

	(void)state;
	window_open(window, WINDOW_ZONES, P0, 4);
	add(P0, 4, "a.example", 1, false);
	add(P0, 5, "b.example", 2, false);
	add(P0, 6, "c.example", 3, false);
	assert_int_equal(window_take(window, items, 3), 3);
	window_put_back(window, items[2]);
	window_put_back(window, items[1]);
	window_put_back(window, items[0]);
	assert_int_equal(rewind_when(4, true), -1); /* the batch failed: it took nothing */

	assert_int_equal(window_take(window, items, 3), 3);
	window_confirming(window, items[0]);
	assert_int_equal(rewind_when(4, false), -1); /* nobody saw it away */
	assert_int_equal(rewind_when(4, true), 4);
	assert_int_equal(rewind_when(5, true), 4); /* stored, but the answer was lost */
	window_settling(window, items[1]);
	assert_int_equal(rewind_when(4, true), 4);
	window_finish(window, items[0]);
	window_finish(window, items[1]);
	window_stored(window, WINDOW_ZONES, P0, 6);
	assert_int_equal(rewind_when(6, true), -1); /* one that flaps costs nothing */
	window_finish(window, items[2]);            /* it had that already */
	assert_int_equal(rewind_when(6, true), 6);

	window_open(window, WINDOW_ZONES, P0, 6);
	assert_int_equal(rewind_when(6, true), -1);
}

static void a_further_try_is_not_believed_either(void **state)
{
	(void)state;
	window_open(window, WINDOW_ZONES, P0, 4);
	add_recorded(P0, 2, "a.example", 1);
	window_confirming(window, take_one());
	assert_int_equal(rewind_when(4, false), -1);
	assert_int_equal(rewind_when(4, true), 2);
	window_stored(window, WINDOW_ZONES, P0, 5); /* older positions are seen as such */
	assert_int_equal(rewind_when(5, true), -1);
	assert_int_equal(rewind_when(4, true), 0);
}

static void delays_are_read_strictly(void **state)
{
	struct delays delays;
	struct reason why;

	(void)state;
	assert_int_equal(delays_parse("30s,2m,5m,15m,30m", &delays, &why), OK);
	assert_int_equal(delays.count, 5);
	assert_int_equal(delays_after(&delays, 1), 30000);
	assert_int_equal(delays_after(&delays, 5), 1800000);
	assert_int_equal(delays_after(&delays, 99), 1800000);
	assert_int_equal(delays_parse("250ms", &delays, &why), OK);
	assert_int_equal(delays_after(&delays, 1), 250);
	assert_int_equal(delays_parse("", &delays, &why), PERMFAIL);
	assert_int_equal(delays_parse("30", &delays, &why), PERMFAIL);
	assert_int_equal(delays_parse("30s,", &delays, &why), PERMFAIL);
	assert_int_equal(delays_parse("-1s", &delays, &why), PERMFAIL);
	assert_int_equal(delays_parse("30s 2m", &delays, &why), PERMFAIL);
	assert_int_equal(delays_parse("999999h", &delays, &why), PERMFAIL);
}

#define WINDOW_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WINDOW_TEST(newest_of_a_zone_wins_whichever_came_first),
		WINDOW_TEST(now_overtakes_a_backlog),
		WINDOW_TEST(a_batch_of_now_holds_nothing_else),
		WINDOW_TEST(offsets_are_contiguous),
		WINDOW_TEST(a_zone_put_aside_holds_its_offset_but_not_its_partition),
		WINDOW_TEST(a_recorded_item_holds_no_offset),
		WINDOW_TEST(a_recorded_item_goes_with_its_partition),
		WINDOW_TEST(the_same_version_read_twice_is_tried_once),
		WINDOW_TEST(a_newer_version_replaces_what_was_put_aside),
		WINDOW_TEST(an_older_version_never_replaces_what_was_put_aside),
		WINDOW_TEST(offset_waits_for_the_confirmation),
		WINDOW_TEST(a_confirmation_may_come_after_the_partition_went),
		WINDOW_TEST(offset_waits_until_what_is_stored_is_served),
		WINDOW_TEST(a_zone_goes_on_while_an_older_value_of_it_settles),
		WINDOW_TEST(what_did_not_settle_is_tried_again_unless_something_newer_is_here),
		WINDOW_TEST(a_settlement_may_come_after_the_partition_went),
		WINDOW_TEST(what_was_put_back_comes_first_again),
		WINDOW_TEST(ceilings_bound_what_waits_and_not_what_is_aside),
		WINDOW_TEST(late_records_of_a_lost_partition_are_ignored),
		WINDOW_TEST(a_heal_never_replaces_a_value_and_gives_way_to_a_newer_one),
		WINDOW_TEST(random_histories_agree_with_a_naive_model),
		WINDOW_TEST(a_backend_that_went_back_is_read_from_the_beginning),
		WINDOW_TEST(what_a_backend_took_before_it_was_away_is_not_believed),
		WINDOW_TEST(a_further_try_is_not_believed_either),
		cmocka_unit_test(delays_are_read_strictly),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
