/* SPDX-License-Identifier: Apache-2.0 */
/* The judge against a naive model over random histories, and rule by rule.
 * TEST_SEED=N repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "services/ingest/judge.h"
#include "services/ingest/zindex.h"

#define EPOCH 7
#define HOUR_MS ((int64_t)3600 * 1000)

static const char digest_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char digest_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			       "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

static struct event_id id_of(uint64_t number)
{
	struct event_id id = {{0}};

	memcpy(id.bytes, &number, sizeof(number));
	id.bytes[15] = 1;
	return id;
}

static struct push_event save_of(uint64_t id, const char *owner)
{
	return (struct push_event){
		.id = id_of(id),
		.op = PUSH_SAVE,
		.zone = name_of("shop.example"),
		.owner = owner,
		.username = "fred",
		.sender = "default",
		.serial = 1,
		.digest = digest_a,
	};
}

static struct push_event delete_of(uint64_t id, const char *owner)
{
	struct push_event push = save_of(id, owner);

	push.op = PUSH_DELETE;
	push.digest = NULL;
	return push;
}

/* A zone and the offset of its next push. */
struct stage {
	struct zone_state state;
	bool known;
	int64_t offset;
	int64_t now_ms;
	struct judgement said;
};

static enum status_state hear(struct stage *stage, const struct push_event *push)
{
	struct version version = {EPOCH, stage->offset++};

	judge(stage->known ? &stage->state : NULL, push, version, stage->now_ms, &stage->said);
	if (stage->said.has_value) {
		zone_state_of(&stage->said.value, &stage->state);
		stage->known = true;
	}
	return stage->said.verdict;
}

static void assert_refused(const struct stage *stage, const char *rule)
{
	assert_false(stage->said.has_value);
	assert_string_equal(stage->said.rule, rule);
}

static void the_first_save_makes_the_zone(void **unused)
{
	struct stage stage = {.offset = 5, .now_ms = 1000};
	struct push_event push = save_of(1, "da1.hoster.example");

	(void)unused;
	assert_int_equal(hear(&stage, &push), STATUS_ACCEPTED);
	assert_true(stage.said.has_value);
	assert_null(stage.said.rule);
	assert_int_equal(stage.said.value.version.epoch, EPOCH);
	assert_int_equal(stage.said.value.version.offset, 5);
	assert_int_equal(stage.said.value.earlier_count, 0);
	assert_false(stage.said.value.unchanged);
}

static void the_same_content_is_a_new_value_that_says_unchanged(void **unused)
{
	struct stage stage = {0};
	struct push_event first = save_of(1, "da1.hoster.example");
	struct push_event second = save_of(2, "da1.hoster.example");
	struct push_event third = save_of(3, "da1.hoster.example");

	(void)unused;
	third.username = NULL;
	assert_int_equal(hear(&stage, &first), STATUS_ACCEPTED);
	assert_int_equal(hear(&stage, &second), STATUS_UNCHANGED);
	assert_true(stage.said.has_value);
	assert_true(stage.said.value.unchanged);
	assert_int_equal(stage.said.value.version.offset, 1);
	assert_int_equal(stage.said.value.earlier_count, 1);
	assert_int_equal(hear(&stage, &third), STATUS_ACCEPTED);
}

static void an_older_or_equal_version_makes_no_value(void **unused)
{
	struct stage stage = {.offset = 9};
	struct push_event first = save_of(1, "da1.hoster.example");
	struct push_event late = save_of(2, "da1.hoster.example");

	(void)unused;
	(void)hear(&stage, &first);
	stage.offset = 9;
	assert_int_equal(hear(&stage, &late), STATUS_STALE);
	assert_refused(&stage, "version");
	stage.offset = 3;
	assert_int_equal(hear(&stage, &late), STATUS_STALE);
	assert_refused(&stage, "version");
}

static void a_push_that_is_in_the_log_already_is_a_duplicate(void **unused)
{
	struct stage stage = {0};
	struct push_event first = save_of(1, "da1.hoster.example");
	struct push_event second = save_of(2, "da1.hoster.example");

	(void)unused;
	second.digest = digest_b;
	(void)hear(&stage, &first);
	(void)hear(&stage, &second);
	assert_int_equal(hear(&stage, &second), STATUS_STALE);
	assert_refused(&stage, "duplicate");
	assert_int_equal(hear(&stage, &first), STATUS_STALE);
	assert_refused(&stage, "duplicate");
}

static void ids_are_kept_for_a_day_and_sixteen_pushes(void **unused)
{
	struct stage stage = {0};
	struct push_event push;

	(void)unused;
	for (uint64_t i = 1; i <= 20; i++) { /* an hour apart: all within the day */
		push = save_of(i, "da1.hoster.example");
		(void)hear(&stage, &push);
		stage.now_ms += HOUR_MS;
	}
	assert_int_equal(stage.state.earlier_count, 19);
	stage.now_ms += 100 * HOUR_MS; /* a quiet week: sixteen stay */
	push = save_of(21, "da1.hoster.example");
	(void)hear(&stage, &push);
	assert_int_equal(stage.state.earlier_count, EARLIER_LEAST);
	assert_true(event_id_equal(&stage.state.earlier[0].id, &(struct event_id){{5, [15] = 1}}));
	for (uint64_t i = 100; i < 500; i++) { /* a busy second: the ceiling */
		push = save_of(i, "da1.hoster.example");
		(void)hear(&stage, &push);
	}
	assert_int_equal(stage.state.earlier_count, EARLIER_MAX);
	push = save_of(498, "da1.hoster.example");
	assert_int_equal(hear(&stage, &push), STATUS_STALE);
}

static void only_if_holds_a_push_to_what_it_looked_at(void **unused)
{
	struct stage stage = {0};
	struct push_event push = save_of(1, "da1.hoster.example");

	(void)unused;
	push.only_if = ONLY_IF_VERSION;
	push.only_if_version = (struct version){EPOCH, 0};
	assert_int_equal(hear(&stage, &push), STATUS_REFUSED); /* absent: it looked at something */
	assert_refused(&stage, "only_if");
	push.only_if = ONLY_IF_ABSENT;
	assert_int_equal(hear(&stage, &push), STATUS_ACCEPTED);
	push = save_of(2, "da1.hoster.example");
	push.only_if = ONLY_IF_ABSENT;
	assert_int_equal(hear(&stage, &push), STATUS_REFUSED);
	assert_refused(&stage, "only_if");
	push.only_if = ONLY_IF_VERSION;
	push.only_if_version = (struct version){EPOCH, 1};
	assert_int_equal(hear(&stage, &push), STATUS_UNCHANGED);
	push = save_of(3, "da1.hoster.example");
	push.only_if = ONLY_IF_VERSION;
	push.only_if_version = (struct version){EPOCH, 1};
	assert_int_equal(hear(&stage, &push), STATUS_REFUSED); /* moved on to 3 */
}

static void a_held_push_yields_only_to_a_later_unchecked_one(void **unused)
{
	struct stage stage = {0};
	struct push_event first = save_of(1, "da1.hoster.example");
	struct push_event unchecked = save_of(2, "da1.hoster.example");
	struct push_event held = save_of(3, "da1.hoster.example");

	(void)unused;
	held.has_seen = true;
	held.seen = (struct version){EPOCH, 0};
	unchecked.unchecked = true;
	unchecked.digest = digest_b;
	(void)hear(&stage, &first);
	(void)hear(&stage, &unchecked);
	assert_int_equal(hear(&stage, &held), STATUS_REFUSED);
	assert_refused(&stage, "seen");
	held.seen = (struct version){EPOCH, 1}; /* its door knew that one */
	assert_int_equal(hear(&stage, &held), STATUS_ACCEPTED);
	held = save_of(4, "da1.hoster.example"); /* the newer one was checked: log order it is */
	held.has_seen = true;
	assert_int_equal(hear(&stage, &held), STATUS_UNCHANGED);
}

static void what_is_held_behind_an_unchecked_push_is_later_than_it(void **unused)
{
	struct stage stage = {0};
	struct push_event first = save_of(1, "da1.hoster.example");
	struct push_event unchecked = save_of(2, "da1.hoster.example");
	struct push_event held = unchecked;
	struct push_event behind = save_of(3, "da1.hoster.example");

	(void)unused;
	unchecked.unchecked = true;
	held.has_seen = true; /* the same push: Kafka did not confirm it, its copy got there */
	behind.has_seen = true;
	unchecked.digest = held.digest = digest_b;
	(void)hear(&stage, &first);
	assert_int_equal(hear(&stage, &unchecked), STATUS_ACCEPTED);
	assert_int_equal(hear(&stage, &held), STATUS_UNCHANGED);
	assert_false(stage.state.unchecked);
	assert_int_equal(hear(&stage, &behind), STATUS_ACCEPTED);
	assert_int_equal(hear(&stage, &unchecked), STATUS_STALE); /* once more, late */
	assert_int_equal(hear(&stage, &held), STATUS_STALE);
}

static void a_late_copy_of_a_held_delete_spares_what_was_made_since(void **unused)
{
	struct stage stage = {0};
	struct push_event late = delete_of(1, "da1.hoster.example");
	struct push_event held = late;
	struct push_event save = save_of(2, "da1.hoster.example");

	(void)unused;
	held.has_seen = true;
	save.has_seen = true;
	assert_int_equal(hear(&stage, &held), STATUS_ACCEPTED); /* though there is no such zone */
	assert_true(stage.said.has_value && stage.state.deleted);
	assert_int_equal(hear(&stage, &save), STATUS_ACCEPTED);
	assert_int_equal(hear(&stage, &late), STATUS_STALE);
	assert_refused(&stage, "duplicate");
	assert_false(stage.state.deleted);
}

/* The first copy was refused, the zone is its sender's when the second one comes. */
static void the_second_copy_of_a_refused_held_delete_spares_what_was_made_since(void **unused)
{
	struct zindex *index = zindex_create(1);
	struct zone_state state;
	struct judgement said;
	struct push_event first = save_of(1, "da1.hoster.example");
	struct push_event held = delete_of(2, "da2.hoster.example");
	struct push_event migration = save_of(3, "da2.hoster.example");

	(void)unused;
	held.has_seen = true;
	judge(NULL, &first, (struct version){EPOCH, 0}, 0, &said);
	zindex_decide(index, 0, &said.value);
	assert_true(zindex_state(index, &first.zone, &state));
	judge(&state, &held, (struct version){EPOCH, 1}, 0, &said);
	assert_int_equal(said.verdict, STATUS_REFUSED);
	assert_true(said.remember);
	zindex_remember(index, &held.zone, (struct version){EPOCH, 1}, &held.id, 0);
	assert_true(zindex_state(index, &first.zone, &state));
	judge(&state, &held, (struct version){EPOCH, 2}, 0, &said);
	assert_string_equal(said.rule, "duplicate"); /* at once ... */
	assert_false(said.remember);
	judge(&state, &migration, (struct version){EPOCH, 3}, 0, &said);
	assert_int_equal(said.verdict, STATUS_ACCEPTED);
	zone_state_of(&said.value, &state); /* ... and by whoever reads that value */
	judge(&state, &held, (struct version){EPOCH, 4}, 0, &said);
	assert_int_equal(said.verdict, STATUS_STALE);
	assert_string_equal(said.rule, "duplicate");
	held = delete_of(4, "da1.hoster.example"); /* one that was never held has one copy */
	judge(&state, &held, (struct version){EPOCH, 5}, 0, &said);
	assert_int_equal(said.verdict, STATUS_REFUSED);
	assert_false(said.remember);
	zindex_destroy(index);
}

static void only_the_owner_deletes(void **unused)
{
	struct stage stage = {0};
	struct push_event push = delete_of(1, "da1.hoster.example");

	(void)unused;
	assert_int_equal(hear(&stage, &push), STATUS_UNCHANGED); /* nothing there: no value */
	assert_refused(&stage, "absent");
	push = save_of(2, "da1.hoster.example");
	(void)hear(&stage, &push);
	push = delete_of(3, "da2.hoster.example");
	assert_int_equal(hear(&stage, &push), STATUS_REFUSED);
	assert_refused(&stage, "owner");
	push = delete_of(4, "da1.hoster.example");
	assert_int_equal(hear(&stage, &push), STATUS_ACCEPTED);
	assert_true(stage.said.value.deleted);
	assert_null(stage.said.value.digest);
	push = delete_of(5, "da1.hoster.example");
	assert_int_equal(hear(&stage, &push), STATUS_UNCHANGED); /* writers verify its absence */
	assert_true(stage.said.has_value && stage.said.value.unchanged);
	push = delete_of(6, "da2.hoster.example");
	assert_int_equal(hear(&stage, &push), STATUS_REFUSED);
	assert_refused(&stage, "owner");
}

static void a_migrated_zone_outlives_the_old_servers_delete(void **unused)
{
	struct stage stage = {0};
	struct push_event push = save_of(1, "da1.hoster.example");

	(void)unused;
	(void)hear(&stage, &push);
	push = save_of(2, "da2.hoster.example");
	assert_int_equal(hear(&stage, &push), STATUS_ACCEPTED);
	assert_non_null(strstr(stage.said.reason.text, "migrated from da1.hoster.example"));
	push = delete_of(3, "da1.hoster.example");
	assert_int_equal(hear(&stage, &push), STATUS_REFUSED);
	assert_refused(&stage, "owner");
}

static void a_mass_delete_is_held_back(void **unused)
{
	struct stage stage = {0};
	struct push_event push = save_of(1, "da1.hoster.example");

	(void)unused;
	(void)hear(&stage, &push);
	push = delete_of(2, "da1.hoster.example");
	push.mass = true;
	assert_int_equal(hear(&stage, &push), STATUS_HELD);
	assert_refused(&stage, "mass");
	assert_false(stage.state.deleted);
}

static void a_buried_zone_is_absent_but_keeps_its_rank(void **unused)
{
	struct stage stage = {.known = true, .offset = 4};
	struct push_event push = save_of(1, "da2.hoster.example");

	(void)unused;
	stage.state.buried = true;
	stage.state.version = (struct version){EPOCH, 8};
	assert_int_equal(hear(&stage, &push), STATUS_STALE);
	stage.offset = 9;
	push.only_if = ONLY_IF_ABSENT;
	assert_int_equal(hear(&stage, &push), STATUS_ACCEPTED);
	assert_int_equal(stage.said.value.earlier_count, 0);
}

/* --- random histories against a naive model -------------------------------------------------- */

#define ZONES 4
#define PUSHES 300

static uint64_t random_state;

static uint64_t random_next(void) /* splitmix64 */
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t random_below(uint64_t limit)
{
	return random_next() % limit;
}

static const char *const zones[ZONES] = {"a.example", "b.example", "c.example", "d.b.example"};
static const char *const owners[] = {"da1.hoster.example", "da2.hoster.example",
				     "da3.hoster.example"};
static const char *const users[] = {"fred", "anna", NULL};
static char digests[4][DIGEST_HEX_SIZE];

/* The log of pushes: what was said, in order. */
static struct push_event pushes[PUSHES];
static int64_t pushed_at[PUSHES];
static size_t zone_of[PUSHES];

static struct push_event random_push(size_t at)
{
	size_t zone = random_below(ZONES);
	struct push_event push = {
		.id = id_of(at + 1),
		.op = random_below(4) == 0 ? PUSH_DELETE : PUSH_SAVE,
		.zone = name_of(zones[zone]),
		.owner = owners[random_below(random_below(3) == 0 ? 3 : 1)],
		.username = users[random_below(random_below(3) == 0 ? 3 : 1)],
		.sender = "default",
		.serial = (uint32_t)at,
		.unchecked = random_below(6) == 0,
		.mass = random_below(12) == 0,
	};

	zone_of[at] = zone;
	if (push.op == PUSH_SAVE) {
		push.mass = false;
		push.digest = digests[random_below(4)];
	}
	if (random_below(6) == 0) {
		push.has_seen = true;
		push.seen = (struct version){random_below(8) == 0 ? 0 : EPOCH,
					     (int64_t)random_below(at + 1)};
	}
	if (random_below(8) == 0) {
		push.only_if = random_below(3) == 0 ? ONLY_IF_ABSENT : ONLY_IF_VERSION;
		push.only_if_version = (struct version){EPOCH, (int64_t)random_below(at + 1)};
	}
	return push;
}

static void make_history(void)
{
	int64_t now = 1000000000;

	for (int i = 0; i < 4; i++) {
		memset(digests[i], '0' + i, DIGEST_HEX_SIZE - 1);
	}
	for (size_t i = 0; i < PUSHES; i++) {
		now += (int64_t)random_below(random_below(20) == 0 ? 30 * HOUR_MS : 60000);
		pushed_at[i] = now;
		if (i > 0 && random_below(6) == 0) { /* the same push again */
			size_t old = i - 1 - random_below(i < 40 ? i : 40);

			pushes[i] = pushes[old];
			zone_of[i] = zone_of[old];
			if (random_below(3) == 0) { /* it was held */
				pushes[i].has_seen = true;
				pushes[i].seen = (struct version){EPOCH, (int64_t)old};
				pushes[i].unchecked = false;
			}
		} else {
			pushes[i] = random_push(i);
		}
	}
}

/* What the model thinks of push `at`: looks at all that was accepted before, keeps nothing. */
struct opinion {
	enum status_state verdict;
	bool has_value;
	bool unchanged;
};

static bool model_lists(const struct opinion *said, size_t at, size_t newest, int64_t until_ms)
{
	size_t rank = 0; /* 0 is the value itself, then its earlier pushes, newest first */

	for (size_t i = newest + 1; i-- > 0;) {
		if (zone_of[i] != zone_of[at] || !said[i].has_value) {
			continue;
		}
		if (rank > EARLIER_MAX ||
		    (rank > EARLIER_LEAST && pushed_at[i] < until_ms - EARLIER_WINDOW_MS)) {
			return false;
		}
		if (event_id_equal(&pushes[i].id, &pushes[at].id)) {
			return true;
		}
		rank++;
	}
	return false;
}

static struct opinion model(const struct opinion *said, size_t at)
{
	const struct push_event *push = &pushes[at];
	const struct push_event *now = NULL;
	size_t newest = 0;
	bool same;

	for (size_t i = 0; i < at; i++) {
		if (zone_of[i] == zone_of[at] && said[i].has_value) {
			now = &pushes[i];
			newest = i;
		}
	}
	if (now != NULL && now->unchecked && event_id_equal(&now->id, &push->id) &&
	    push->has_seen && !push->unchecked) {
		return (struct opinion){
			.verdict = STATUS_UNCHANGED, .has_value = true, .unchanged = true};
	}
	if (now != NULL && model_lists(said, at, newest, pushed_at[newest])) {
		return (struct opinion){.verdict = STATUS_STALE};
	}
	if ((push->only_if == ONLY_IF_ABSENT && now != NULL) ||
	    (push->only_if == ONLY_IF_VERSION &&
	     (now == NULL || push->only_if_version.offset != (int64_t)newest))) {
		return (struct opinion){.verdict = STATUS_REFUSED};
	}
	if (push->has_seen && now != NULL && now->unchecked &&
	    (push->seen.epoch == 0 || (int64_t)newest > push->seen.offset)) {
		return (struct opinion){.verdict = STATUS_REFUSED};
	}
	if (push->op == PUSH_DELETE && now == NULL && !push->has_seen) {
		return (struct opinion){.verdict = STATUS_UNCHANGED};
	}
	if (push->op == PUSH_DELETE && now != NULL && now->owner != push->owner) {
		return (struct opinion){.verdict = STATUS_REFUSED};
	}
	if (push->mass) {
		return (struct opinion){.verdict = STATUS_HELD};
	}
	same = now != NULL && now->op == push->op &&
	       (push->op == PUSH_DELETE ||
		(now->owner == push->owner && now->username == push->username &&
		 now->digest == push->digest));
	return (struct opinion){.verdict = same ? STATUS_UNCHANGED : STATUS_ACCEPTED,
				.has_value = true,
				.unchanged = same};
}

static struct zone_state scratch;
static struct judgement judgement;

/* One push through a judge that keeps its memory in `index`. */
static const struct judgement *hear_in(struct zindex *index, size_t at)
{
	bool known = zindex_state(index, &pushes[at].zone, &scratch);

	judge(known ? &scratch : NULL, &pushes[at], (struct version){EPOCH, (int64_t)at},
	      pushed_at[at], &judgement);
	if (judgement.has_value) {
		zindex_decide(index, 0, &judgement.value);
	}
	return &judgement;
}

static void assert_same_truth(const struct zindex *a, const struct zindex *b)
{
	static struct zone_state one;
	static struct zone_state two;

	for (size_t i = 0; i < ZONES; i++) {
		struct name zone = name_of(zones[i]);
		bool known = zindex_state(a, &zone, &one);

		assert_int_equal(known, zindex_state(b, &zone, &two));
		if (!known) {
			continue;
		}
		assert_int_equal(version_compare(one.version, two.version), 0);
		assert_int_equal(one.deleted, two.deleted);
		assert_int_equal(one.unchecked, two.unchecked);
		assert_string_equal(one.owner, two.owner);
		assert_string_equal(one.digest, two.digest);
		assert_true(event_id_equal(&one.id, &two.id));
		assert_int_equal(one.earlier_count, two.earlier_count);
		assert_memory_equal(one.earlier, two.earlier,
				    one.earlier_count * sizeof(one.earlier[0]));
	}
}

static void one_history(uint64_t seed)
{
	static struct opinion said[PUSHES];
	struct zindex *index = zindex_create(1);
	struct zindex *again = zindex_create(1);
	struct version highest[ZONES] = {{0}};
	size_t from;

	random_state = seed;
	make_history();
	for (size_t i = 0; i < PUSHES; i++) {
		const struct judgement *is = hear_in(index, i);

		said[i] = model(said, i);
		if (is->verdict != said[i].verdict || is->has_value != said[i].has_value) {
			fail_msg("TEST_SEED=%llu: push %zu: judge %s %s, model %s",
				 (unsigned long long)seed, i, status_state_text(is->verdict),
				 is->rule == NULL ? "" : is->rule,
				 status_state_text(said[i].verdict));
		}
		if (is->has_value) { /* versions only rise */
			assert_true(version_compare(is->value.version, highest[zone_of[i]]) > 0);
			highest[zone_of[i]] = is->value.version;
			assert_int_equal(is->value.unchanged, said[i].unchanged);
			assert_int_equal(is->value.deleted, pushes[i].op == PUSH_DELETE);
		}
		/* Another judge, killed and begun again from anywhere earlier. */
		(void)hear_in(again, i);
		if (random_below(20) == 0) {
			size_t back = random_below(i + 1);

			for (size_t j = back; j <= i; j++) {
				(void)hear_in(again, j);
			}
			/* What lies at or below the zone's version changes nothing; what does not
			 * made no value the first time and makes none now. */
			assert_same_truth(index, again);
		}
	}
	/* A zombie repeats any stretch: nothing deleted comes back, nothing moves. */
	from = random_below(PUSHES);
	for (size_t i = from; i < PUSHES; i++) {
		assert_false(hear_in(index, i)->has_value);
	}
	assert_same_truth(index, again);
	zindex_destroy(index);
	zindex_destroy(again);
}

static void random_histories_agree_with_the_model(void **unused)
{
	const char *given = getenv("TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000;

	(void)unused;
	print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
	for (uint64_t i = 0; i < (given != NULL ? 1 : 400); i++) {
		one_history(seed + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_save_makes_the_zone),
		cmocka_unit_test(the_same_content_is_a_new_value_that_says_unchanged),
		cmocka_unit_test(an_older_or_equal_version_makes_no_value),
		cmocka_unit_test(a_push_that_is_in_the_log_already_is_a_duplicate),
		cmocka_unit_test(ids_are_kept_for_a_day_and_sixteen_pushes),
		cmocka_unit_test(only_if_holds_a_push_to_what_it_looked_at),
		cmocka_unit_test(a_held_push_yields_only_to_a_later_unchecked_one),
		cmocka_unit_test(what_is_held_behind_an_unchecked_push_is_later_than_it),
		cmocka_unit_test(a_late_copy_of_a_held_delete_spares_what_was_made_since),
		cmocka_unit_test(
			the_second_copy_of_a_refused_held_delete_spares_what_was_made_since),
		cmocka_unit_test(only_the_owner_deletes),
		cmocka_unit_test(a_migrated_zone_outlives_the_old_servers_delete),
		cmocka_unit_test(a_mass_delete_is_held_back),
		cmocka_unit_test(a_buried_zone_is_absent_but_keeps_its_rank),
		cmocka_unit_test(random_histories_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
