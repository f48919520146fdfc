/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/ingest/burial.h"

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

static void join(struct registry *registry, const char *backend)
{
	const struct backend_event event = {.backend = backend, .type = "bind"};

	assert_int_equal(registry_note(registry, &event, NULL), OK);
}

static void retire(struct registry *registry, const char *backend)
{
	const struct backend_event event = {.backend = backend, .type = "bind", .retired = true};

	assert_int_equal(registry_note(registry, &event, NULL), OK);
}

static struct registry registry_of_two(void)
{
	struct registry registry = REGISTRY_INIT;

	join(&registry, "ns1");
	join(&registry, "ns2");
	return registry;
}

/* shop.example was deleted by (3, 5), mail.example by (3, 6). */
static struct burial *burial_of(const struct registry *registry)
{
	const struct zindex_delete deletes[] = {
		{.zone = name_of("shop.example"), .version = {3, 5}},
		{.zone = name_of("mail.example"), .version = {3, 6}},
		{.zone = name_of("shop.example"), .version = {3, 5}}, /* met twice */
	};

	return burial_create(registry, deletes, 3);
}

static void say(struct burial *burial, const char *backend, const char *zone,
		enum status_state state, int64_t offset, bool deleted)
{
	const struct status_event status = {
		.backend = backend,
		.zone = name_of(zone),
		.state = state,
		.version = {3, offset},
		.deleted = deleted,
	};
	char key[320];

	(void)snprintf(key, sizeof(key), "%s/%s", backend, zone);
	burial_note(burial, span_of(key), &status);
}

static const char *waits_for(const struct burial *burial, const char *zone)
{
	for (size_t i = 0; i < burial_count(burial); i++) {
		if (strcmp(burial_delete(burial, i)->zone.text, zone) == 0) {
			return burial_waits_for(burial, i);
		}
	}
	fail();
	return NULL;
}

static void a_zone_is_confirmed_when_every_backend_has_applied_or_verified_its_delete(void **unused)
{
	struct registry registry = registry_of_two();
	struct burial *burial = burial_of(&registry);

	(void)unused;
	assert_int_equal(burial_count(burial), 2);
	assert_string_equal(waits_for(burial, "shop.example"), "ns1");
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 5, true);
	assert_string_equal(waits_for(burial, "shop.example"), "ns2");
	say(burial, "ns2", "shop.example", STATUS_VERIFIED, 5, true);
	assert_null(waits_for(burial, "shop.example"));
	assert_non_null(waits_for(burial, "mail.example"));
	burial_destroy(burial);
	registry_finish(&registry);
}

static void another_version_confirms_nothing(void **unused)
{
	struct registry registry = REGISTRY_INIT;
	struct burial *burial;

	(void)unused;
	join(&registry, "ns1");
	burial = burial_of(&registry);
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 4, true); /* an earlier delete */
	assert_non_null(waits_for(burial, "shop.example"));
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 5, true);
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 4, false); /* came late */
	assert_null(waits_for(burial, "shop.example"));
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 9, true); /* it has moved on */
	assert_non_null(waits_for(burial, "shop.example"));
	burial_destroy(burial);
	registry_finish(&registry);
}

static void the_later_word_on_a_version_counts(void **unused)
{
	struct registry registry = REGISTRY_INIT;
	struct burial *burial;

	(void)unused;
	join(&registry, "ns1");
	burial = burial_of(&registry);
	say(burial, "ns1", "shop.example", STATUS_RETRYING, 5, true);
	assert_non_null(waits_for(burial, "shop.example"));
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 5, true);
	assert_null(waits_for(burial, "shop.example"));
	say(burial, "ns1", "shop.example", STATUS_UNDEAD, 5, true);
	assert_non_null(waits_for(burial, "shop.example"));
	burial_destroy(burial);
	registry_finish(&registry);
}

static void what_cannot_be_read_or_does_not_speak_of_a_delete_confirms_nothing(void **unused)
{
	struct registry registry = REGISTRY_INIT;
	struct burial *burial;

	(void)unused;
	join(&registry, "ns1");
	burial = burial_of(&registry);
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 5, false);
	assert_non_null(waits_for(burial, "shop.example"));
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 5, true);
	burial_note(burial, span_of("ns1/shop.example"), NULL);
	assert_non_null(waits_for(burial, "shop.example"));
	burial_destroy(burial);
	registry_finish(&registry);
}

static void without_a_registry_nothing_is_confirmed(void **unused)
{
	struct registry registry = REGISTRY_INIT;
	struct burial *burial = burial_of(&registry);

	(void)unused;
	say(burial, "ns1", "shop.example", STATUS_APPLIED, 5, true);
	assert_non_null(waits_for(burial, "shop.example"));
	burial_destroy(burial);
	registry_finish(&registry);
}

static void a_retired_backend_is_not_waited_for_until_it_joins_again(void **unused)
{
	struct registry registry = registry_of_two();
	struct burial *burial;

	(void)unused;
	retire(&registry, "ns1");
	retire(&registry, "ns3"); /* nobody has ever seen it */
	assert_int_equal(registry.count, 1);
	burial = burial_of(&registry);
	say(burial, "ns2", "shop.example", STATUS_APPLIED, 5, true);
	assert_null(waits_for(burial, "shop.example"));
	burial_destroy(burial);
	join(&registry, "ns1");
	join(&registry, "ns1");
	assert_int_equal(registry.count, 2);
	burial = burial_of(&registry);
	say(burial, "ns2", "shop.example", STATUS_APPLIED, 5, true);
	assert_string_equal(waits_for(burial, "shop.example"), "ns1");
	burial_destroy(burial);
	registry_finish(&registry);
}

static void the_last_backend_that_retires_leaves_nobody_to_confirm(void **unused)
{
	struct registry registry = REGISTRY_INIT;
	struct burial *burial;

	(void)unused;
	join(&registry, "ns1");
	retire(&registry, "ns1");
	burial = burial_of(&registry);
	assert_non_null(waits_for(burial, "shop.example"));
	burial_destroy(burial);
	registry_finish(&registry);
}

static void more_backends_than_there_is_room_for_are_an_error(void **unused)
{
	struct registry registry = REGISTRY_INIT;
	struct backend_event event = {.type = "bind"};
	struct reason why;
	char name[16];

	(void)unused;
	event.backend = name;
	for (int i = 0; i < BURIAL_BACKENDS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "ns%d", i);
		join(&registry, name);
	}
	(void)snprintf(name, sizeof(name), "one-more");
	assert_int_equal(registry_note(&registry, &event, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "backends"));
	registry_finish(&registry);
}

static void only_keys_of_registered_backends_and_wanted_zones_are_asked_for(void **unused)
{
	static const char *const others[] = {"",
					     "ns1",
					     "/",
					     "ns1/",
					     "ns1/-",
					     "/shop.example",
					     "judge/shop.example",
					     "ns1/other.example",
					     "ns1/shop.example.",
					     "ns1/shop.example/audit"};
	struct registry registry = registry_of_two();
	struct burial *burial = burial_of(&registry);
	char longest[400];

	(void)unused;
	assert_true(burial_asks_for(burial, span_of("ns1/shop.example")));
	assert_true(burial_asks_for(burial, span_of("ns2/mail.example")));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(burial_asks_for(burial, span_of(others[i])));
	}
	(void)snprintf(longest, sizeof(longest), "ns1/%0*d", 300, 0);
	assert_false(burial_asks_for(burial, span_of(longest)));
	assert_false(burial_asks_for(burial, SPAN_EMPTY));
	assert_false(burial_asks_for(
		burial, (struct span){"ns1/shop.example\0x", sizeof("ns1/shop.example\0x") - 1}));
	burial_destroy(burial);
	registry_finish(&registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_zone_is_confirmed_when_every_backend_has_applied_or_verified_its_delete),
		cmocka_unit_test(another_version_confirms_nothing),
		cmocka_unit_test(the_later_word_on_a_version_counts),
		cmocka_unit_test(
			what_cannot_be_read_or_does_not_speak_of_a_delete_confirms_nothing),
		cmocka_unit_test(without_a_registry_nothing_is_confirmed),
		cmocka_unit_test(a_retired_backend_is_not_waited_for_until_it_joins_again),
		cmocka_unit_test(the_last_backend_that_retires_leaves_nobody_to_confirm),
		cmocka_unit_test(more_backends_than_there_is_room_for_are_an_error),
		cmocka_unit_test(only_keys_of_registered_backends_and_wanted_zones_are_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
