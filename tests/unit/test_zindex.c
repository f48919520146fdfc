/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/ingest/zindex.h"

#define DIGEST                                             \
	"0123456789abcdef0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef0123456789abcdef"

static struct zone_state state;

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

static struct zone_event value_of(const char *zone, int64_t offset)
{
	return (struct zone_event){
		.zone = name_of(zone),
		.version = {3, offset},
		.id = {{(uint8_t)offset}},
		.owner = "da1.hoster.example",
		.username = "fred",
		.digest = DIGEST,
		.serial = (uint32_t)offset,
	};
}

static struct zindex_partition partition_of(const struct zindex *index, int32_t number)
{
	struct zindex_partition partition;

	zindex_partition(index, number, &partition);
	return partition;
}

static void what_was_read_is_found(void **unused)
{
	struct zindex *index = zindex_create(2);
	struct earlier_push earlier[] = {{{{9}}, 100}, {{{8}}, 200}};
	struct zone_event value = value_of("shop.example", 5);
	struct name zone = name_of("shop.example");
	char owner[STATE_TEXT_SIZE];

	(void)unused;
	value.earlier = earlier;
	value.earlier_count = 2;
	assert_false(zindex_state(index, &zone, &state));
	zindex_read(index, 1, 70, &value);
	assert_true(zindex_state(index, &zone, &state));
	assert_int_equal(state.version.offset, 5);
	assert_string_equal(state.owner, "da1.hoster.example");
	assert_string_equal(state.username, "fred");
	assert_string_equal(state.digest, DIGEST);
	assert_int_equal(state.earlier_count, 2);
	assert_int_equal(state.earlier[1].at_ms, 200);
	assert_true(zindex_owner(index, &zone, owner));
	assert_string_equal(owner, "da1.hoster.example");
	assert_int_equal(partition_of(index, 1).highest.offset, 5);
	assert_int_equal(partition_of(index, 0).highest.offset, 0);
	zindex_destroy(index);
}

static void a_deleted_zone_does_not_exist_and_is_still_known(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event value = value_of("shop.example", 5);
	char owner[STATE_TEXT_SIZE];

	(void)unused;
	value.deleted = true;
	value.digest = NULL;
	value.username = NULL;
	zindex_read(index, 0, 70, &value);
	assert_false(zindex_owner(index, &value.zone, owner));
	assert_true(zindex_state(index, &value.zone, &state));
	assert_true(state.deleted);
	assert_false(state.has_digest);
	assert_false(state.has_username);
	zindex_destroy(index);
}

static void many_zones_are_all_found_again(void **unused)
{
	struct zindex *index = zindex_create(1);

	(void)unused;
	for (int64_t i = 1; i <= 20000; i++) {
		char text[64];
		struct zone_event value;

		(void)snprintf(text, sizeof(text), "z%lld.example", (long long)i);
		value = value_of(text, i);
		zindex_read(index, 0, i, &value);
	}
	assert_int_equal(zindex_count(index), 20000);
	for (int64_t i = 1; i <= 20000; i++) {
		char text[64];
		struct name zone;

		(void)snprintf(text, sizeof(text), "z%lld.example", (long long)i);
		zone = name_of(text);
		assert_true(zindex_state(index, &zone, &state));
		assert_int_equal(state.version.offset, i);
	}
	zindex_destroy(index);
}

static void a_late_older_record_leaves_the_zone_unsettled_until_the_newest_is_copied(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event newest = value_of("shop.example", 9);
	struct zone_event older = value_of("shop.example", 4);
	struct zindex_repair repairs[4];

	(void)unused;
	zindex_read(index, 0, 50, &newest);
	zindex_read(index, 0, 51, &older); /* a zombie judge */
	assert_int_equal(partition_of(index, 0).unsettled, 1);
	assert_int_equal(zindex_repairs(index, 0, repairs, 4), 1);
	assert_int_equal(repairs[0].offset, 50);
	assert_int_equal(repairs[0].version.offset, 9);
	assert_string_equal(repairs[0].zone.text, "shop.example");
	assert_true(zindex_repair_holds(index, &repairs[0]));
	assert_true(zindex_state(index, &newest.zone, &state));
	assert_int_equal(state.version.offset, 9);

	zindex_read(index, 0, 52, &newest); /* the copy */
	assert_int_equal(partition_of(index, 0).unsettled, 0);
	assert_int_equal(zindex_repairs(index, 0, repairs, 4), 0);
	zindex_read(index, 0, 53, &older); /* and again: the copy is what would be copied */
	assert_int_equal(zindex_repairs(index, 0, repairs, 4), 1);
	assert_int_equal(repairs[0].offset, 52);
	zindex_repair_give_up(index, &repairs[0]);
	assert_int_equal(partition_of(index, 0).unsettled, 0);
	zindex_destroy(index);
}

static void a_decided_value_is_ahead_until_it_is_read_back(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event first = value_of("shop.example", 1);
	struct zone_event second = value_of("shop.example", 2);
	struct zone_event third = value_of("shop.example", 3);

	(void)unused;
	zindex_read(index, 0, 50, &first);
	zindex_decide(index, 0, &second);
	zindex_decide(index, 0, &third);
	assert_int_equal(partition_of(index, 0).ahead, 1);
	assert_true(zindex_state(index, &first.zone, &state));
	assert_int_equal(state.version.offset, 3);
	zindex_read(index, 0, 51, &second); /* older than what we know, and as it should be */
	assert_int_equal(partition_of(index, 0).unsettled, 0);
	assert_int_equal(partition_of(index, 0).ahead, 1);
	assert_int_equal(partition_of(index, 0).highest.offset, 2);
	zindex_read(index, 0, 52, &third);
	assert_int_equal(partition_of(index, 0).ahead, 0);
	assert_int_equal(partition_of(index, 0).unsettled, 0);
	zindex_destroy(index);
}

static void an_own_record_is_read_back_by_its_id(void **unused)
{
	struct zindex *index = zindex_create(2);
	struct zone_event first = value_of("shop.example", 1);
	struct zone_event second = value_of("shop.example", 2);

	(void)unused;
	assert_false(zindex_read_back(index, 0, 50, &first.zone, &first.id));
	zindex_decide(index, 0, &first);
	assert_false(zindex_read_back(index, 1, 50, &first.zone, &first.id));
	assert_false(zindex_read_back(index, 0, 50, &first.zone, &second.id));
	assert_true(zindex_read_back(index, 0, 50, &first.zone, &first.id));
	assert_int_equal(partition_of(index, 0).ahead, 0);
	assert_int_equal(partition_of(index, 0).highest.offset, 1);
	/* Known: whatever comes again must be looked at. */
	assert_false(zindex_read_back(index, 0, 51, &first.zone, &first.id));
	zindex_destroy(index);
}

static void a_new_decision_settles_a_zone_and_ends_its_repair(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event older = value_of("shop.example", 1);
	struct zone_event newest = value_of("shop.example", 2);
	struct zone_event next = value_of("shop.example", 3);
	struct zindex_repair repair;

	(void)unused;
	zindex_read(index, 0, 50, &newest);
	zindex_read(index, 0, 51, &older);
	assert_int_equal(zindex_repairs(index, 0, &repair, 1), 1);
	zindex_decide(index, 0, &next); /* will be the last record: a copy would come after it */
	assert_false(zindex_repair_holds(index, &repair));
	assert_int_equal(partition_of(index, 0).unsettled, 0);
	zindex_destroy(index);
}

static void a_decision_that_was_read_back_before_it_was_noted_is_not_ahead(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event value = value_of("shop.example", 1);

	(void)unused;
	zindex_read(index, 0, 50, &value);
	zindex_decide(index, 0, &value);
	assert_int_equal(partition_of(index, 0).ahead, 0);
	zindex_destroy(index);
}

static void a_burial_ranks_as_the_version_that_it_buries(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event deleted = value_of("shop.example", 5);
	struct zone_event late = value_of("shop.example", 4);
	struct zone_event next = value_of("shop.example", 9);
	struct version buried = {3, 5};
	char owner[STATE_TEXT_SIZE];

	(void)unused;
	deleted.deleted = true;
	zindex_read(index, 0, 50, &deleted);
	zindex_read_burial(index, 0, 51, &deleted.zone, buried);
	assert_true(zindex_state(index, &deleted.zone, &state));
	assert_true(state.buried);
	assert_int_equal(state.earlier_count, 0);
	zindex_read(index, 0, 52, &late); /* must not rise from the dead */
	assert_int_equal(partition_of(index, 0).unsettled, 1);
	assert_false(zindex_owner(index, &late.zone, owner));
	zindex_read(index, 0, 53, &next);
	assert_true(zindex_owner(index, &next.zone, owner));
	assert_int_equal(partition_of(index, 0).unsettled, 0);
	zindex_destroy(index);
}

static void a_null_without_a_version_buries_nothing(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event value = value_of("shop.example", 5);
	struct version none = {0, 0};
	char owner[STATE_TEXT_SIZE];

	(void)unused;
	zindex_read(index, 0, 50, &value);
	zindex_read_burial(index, 0, 51, &value.zone, none);
	assert_true(zindex_owner(index, &value.zone, owner));
	assert_int_equal(partition_of(index, 0).unsettled, 1); /* its judge writes it again */
	zindex_destroy(index);
}

static struct zone_event delete_of(const char *zone, int64_t offset)
{
	struct zone_event value = value_of(zone, offset);

	value.deleted = true;
	value.digest = NULL;
	return value;
}

static void read_delete(struct zindex *index, const char *zone, int64_t offset)
{
	struct zone_event value = delete_of(zone, offset);

	zindex_read(index, 0, offset + 40, &value);
}

static size_t all_deletes(const struct zindex *index, struct version below,
			  struct zindex_delete *out, size_t max)
{
	size_t cursor = 0;
	size_t count = 0;

	do {
		count += zindex_deletes(index, &below, &cursor, out + count, max - count);
	} while (cursor != 0 && count < max);
	return count;
}

static void only_settled_deletes_below_the_bound_may_be_buried(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event there = value_of("there.example", 1);
	struct zone_event ahead = delete_of("ahead.example", 2);
	struct zone_event late = value_of("unsettled.example", 1);
	struct name buried = name_of("buried.example");
	struct zindex_delete found[8];

	(void)unused;
	zindex_read(index, 0, 41, &there);
	zindex_decide(index, 0, &ahead); /* not read back */
	read_delete(index, "unsettled.example", 3);
	zindex_read(index, 0, 50, &late);
	read_delete(index, "buried.example", 4);
	zindex_read_burial(index, 0, 51, &buried, (struct version){3, 4});
	read_delete(index, "young.example", 7);
	read_delete(index, "old.example", 6);
	assert_int_equal(all_deletes(index, (struct version){3, 7}, found, 8), 1);
	assert_string_equal(found[0].zone.text, "old.example");
	assert_int_equal(found[0].version.offset, 6);
	assert_int_equal(found[0].partition, 0);
	/* Offsets of another epoch mean nothing. */
	assert_int_equal(all_deletes(index, (struct version){4, 100}, found, 8), 0);
	assert_int_equal(all_deletes(index, (struct version){0, 0}, found, 8), 0);
	zindex_destroy(index);
}

static void a_walk_over_many_deletes_finds_each_of_them_in_slices(void **unused)
{
	enum { ZONES = 9000 };
	static struct zindex_delete found[ZONES + 1];
	struct zindex *index = zindex_create(1);
	struct version below = {3, ZONES};
	size_t cursor = 0;
	size_t slices = 0;
	size_t count = 0;

	(void)unused;
	for (int64_t i = 0; i < ZONES; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "z%lld.example", (long long)i);
		read_delete(index, text, i);
	}
	do {
		count += zindex_deletes(index, &below, &cursor, found + count, ZONES + 1 - count);
		slices++;
	} while (cursor != 0);
	assert_int_equal(count, ZONES);
	assert_true(slices > 2);
	/* A full answer goes on where it stopped. */
	count = zindex_deletes(index, &below, &cursor, found, 10);
	assert_int_equal(count, 10);
	assert_true(cursor != 0);
	zindex_destroy(index);
}

static void a_buried_zone_is_ahead_until_its_tombstone_is_read_back(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zindex_delete gone;
	char owner[STATE_TEXT_SIZE];

	(void)unused;
	read_delete(index, "shop.example", 5);
	assert_int_equal(all_deletes(index, (struct version){3, 6}, &gone, 1), 1);
	assert_true(zindex_delete_holds(index, &gone));
	zindex_bury(index, &gone);
	assert_false(zindex_delete_holds(index, &gone));
	assert_int_equal(partition_of(index, 0).ahead, 1);
	assert_true(zindex_state(index, &gone.zone, &state));
	assert_true(state.buried);
	assert_int_equal(state.version.offset, 5);
	assert_false(zindex_owner(index, &gone.zone, owner));
	zindex_read_burial(index, 0, 99, &gone.zone, gone.version);
	assert_int_equal(partition_of(index, 0).ahead, 0);
	assert_int_equal(partition_of(index, 0).unsettled, 0);
	zindex_destroy(index);
}

static void a_zone_that_was_pushed_meanwhile_is_not_buried(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event again = value_of("shop.example", 9);
	struct zindex_delete gone;
	char owner[STATE_TEXT_SIZE];

	(void)unused;
	read_delete(index, "shop.example", 5);
	assert_int_equal(all_deletes(index, (struct version){3, 6}, &gone, 1), 1);
	zindex_decide(index, 0, &again);
	assert_false(zindex_delete_holds(index, &gone));
	zindex_bury(index, &gone);
	assert_true(zindex_owner(index, &gone.zone, owner));
	zindex_destroy(index);
}

static void a_tombstone_behind_a_newer_value_is_repaired_with_that_value(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event again = value_of("shop.example", 9);
	struct zindex_repair repair;
	char owner[STATE_TEXT_SIZE];

	(void)unused;
	read_delete(index, "shop.example", 5);
	zindex_read(index, 0, 60, &again);
	zindex_read_burial(index, 0, 61, &again.zone, (struct version){3, 5}); /* a zombie's */
	assert_true(zindex_owner(index, &again.zone, owner));
	assert_int_equal(zindex_repairs(index, 0, &repair, 1), 1);
	assert_int_equal(repair.offset, 60);
	assert_false(repair.buried);
	zindex_destroy(index);
}

static void an_old_value_behind_a_tombstone_is_repaired_with_a_tombstone(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event late = value_of("shop.example", 4);
	struct zindex_delete gone;
	struct zindex_repair repair;

	(void)unused;
	read_delete(index, "shop.example", 5);
	assert_int_equal(all_deletes(index, (struct version){3, 6}, &gone, 1), 1);
	zindex_bury(index, &gone);
	zindex_read_burial(index, 0, 60, &gone.zone, gone.version);
	zindex_read(index, 0, 61, &late); /* a zombie's */
	assert_int_equal(zindex_repairs(index, 0, &repair, 1), 1);
	assert_true(repair.buried);
	assert_int_equal(repair.version.offset, 5);
	assert_true(zindex_repair_holds(index, &repair));
	zindex_read_burial(index, 0, 62, &gone.zone, gone.version);
	assert_int_equal(partition_of(index, 0).unsettled, 0);
	zindex_destroy(index);
}

static void a_refused_push_is_remembered_until_the_next_value(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event value = value_of("shop.example", 5);
	struct zone_event next = value_of("shop.example", 8);
	struct name other = name_of("other.example");
	struct event_id id = {{200}};

	(void)unused;
	zindex_remember(index, &other, (struct version){3, 6}, &id, 100);
	assert_false(zindex_state(index, &other, &state)); /* no such zone */
	zindex_read(index, 0, 70, &value);
	zindex_remember(index, &value.zone, (struct version){3, 5}, &id, 100); /* that value knew */
	assert_true(zindex_state(index, &value.zone, &state));
	assert_int_equal(state.earlier_count, 0);
	zindex_remember(index, &value.zone, (struct version){3, 6}, &id, 100);
	zindex_remember(index, &value.zone, (struct version){3, 6}, &id, 100); /* read back */
	zindex_read(index, 0, 72, &value); /* copied again by whoever repairs */
	assert_true(zindex_state(index, &value.zone, &state));
	assert_int_equal(state.earlier_count, 1);
	assert_true(event_id_equal(&state.earlier[0].id, &id));
	assert_int_equal(state.earlier[0].at_ms, 100);
	assert_int_equal(state.version.offset, 5);
	zindex_read(index, 0, 73, &next);
	assert_true(zindex_state(index, &value.zone, &state));
	assert_int_equal(state.earlier_count, 0); /* what its judge knew stands in it */
	zindex_destroy(index);
}

static void no_zone_remembers_more_than_its_ceiling(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_event value = value_of("shop.example", 5);

	(void)unused;
	zindex_read(index, 0, 70, &value);
	for (int i = 0; i < EARLIER_MAX + 2; i++) {
		struct event_id id = {{200, (uint8_t)(i / 256), (uint8_t)i}};

		zindex_remember(index, &value.zone, (struct version){3, 6 + i}, &id, i);
	}
	assert_true(zindex_state(index, &value.zone, &state));
	assert_int_equal(state.earlier_count, EARLIER_MAX);
	assert_int_equal(state.earlier[0].at_ms, 2); /* the oldest went */
	assert_int_equal(state.earlier[EARLIER_MAX - 1].at_ms, EARLIER_MAX + 1);
	zindex_destroy(index);
}

static void epoch_and_barrier_belong_to_their_partition(void **unused)
{
	struct zindex *index = zindex_create(2);
	struct event_id judge = {{1, 2, 3}};
	struct zindex_partition partition;

	(void)unused;
	zindex_read_epoch(index, 1, 7);
	zindex_read_epoch(index, 1, 6); /* never falls */
	zindex_await_barrier(index, 0, &judge);
	zindex_await_barrier(index, 1, &judge);
	zindex_read_barrier(index, 1, &judge);
	partition = partition_of(index, 1);
	assert_int_equal(partition.epoch, 7);
	assert_true(partition.barrier_read);
	partition = partition_of(index, 0);
	assert_int_equal(partition.epoch, 0);
	assert_false(partition.barrier_read);
	zindex_destroy(index);
}

static void a_barrier_stays_read_when_an_earlier_judge_s_comes_behind_it(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct event_id ours = {{1, 2, 3}};
	struct event_id next = {{4, 5, 6}};
	struct event_id theirs = {{7, 8, 9}};

	(void)unused;
	zindex_await_barrier(index, 0, &ours);
	zindex_read_barrier(index, 0, &theirs);
	assert_false(partition_of(index, 0).barrier_read);
	zindex_read_barrier(index, 0, &ours);
	zindex_read_barrier(index, 0, &theirs);
	assert_true(partition_of(index, 0).barrier_read);
	zindex_await_barrier(index, 0, &next);
	assert_false(partition_of(index, 0).barrier_read);
	zindex_destroy(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_is_found),
		cmocka_unit_test(a_deleted_zone_does_not_exist_and_is_still_known),
		cmocka_unit_test(many_zones_are_all_found_again),
		cmocka_unit_test(
			a_late_older_record_leaves_the_zone_unsettled_until_the_newest_is_copied),
		cmocka_unit_test(a_decided_value_is_ahead_until_it_is_read_back),
		cmocka_unit_test(an_own_record_is_read_back_by_its_id),
		cmocka_unit_test(a_new_decision_settles_a_zone_and_ends_its_repair),
		cmocka_unit_test(a_decision_that_was_read_back_before_it_was_noted_is_not_ahead),
		cmocka_unit_test(a_burial_ranks_as_the_version_that_it_buries),
		cmocka_unit_test(a_null_without_a_version_buries_nothing),
		cmocka_unit_test(only_settled_deletes_below_the_bound_may_be_buried),
		cmocka_unit_test(a_walk_over_many_deletes_finds_each_of_them_in_slices),
		cmocka_unit_test(a_buried_zone_is_ahead_until_its_tombstone_is_read_back),
		cmocka_unit_test(a_zone_that_was_pushed_meanwhile_is_not_buried),
		cmocka_unit_test(a_tombstone_behind_a_newer_value_is_repaired_with_that_value),
		cmocka_unit_test(an_old_value_behind_a_tombstone_is_repaired_with_a_tombstone),
		cmocka_unit_test(a_refused_push_is_remembered_until_the_next_value),
		cmocka_unit_test(no_zone_remembers_more_than_its_ceiling),
		cmocka_unit_test(epoch_and_barrier_belong_to_their_partition),
		cmocka_unit_test(a_barrier_stays_read_when_an_earlier_judge_s_comes_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
