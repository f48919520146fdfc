/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/ingest/senders.h"

static struct senders *make(void)
{
	struct senders *senders = NULL;
	struct reason why;

	assert_int_equal(senders_create(&senders, NULL, "directdnsonly", "changeme", &why), OK);
	assert_int_equal(senders_add(senders, "da1", "da1", "pass:word",
				     "da1.hoster.example, DA1b.hoster.example", &why),
			 OK);
	return senders;
}

static const struct sender *find(const struct senders *senders, const char *user,
				 const char *password)
{
	return senders_find(senders, span_of(user), span_of(password));
}

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

static void the_right_credential_is_found_and_no_other(void **unused)
{
	struct senders *senders = make();

	(void)unused;
	assert_string_equal(sender_name(find(senders, "directdnsonly", "changeme")), "default");
	assert_string_equal(sender_name(find(senders, "da1", "pass:word")), "da1");
	assert_null(find(senders, "directdnsonly", "changem"));
	assert_null(find(senders, "directdnsonly", "changeme "));
	assert_null(find(senders, "directdnsonly", "pass:word"));
	assert_null(find(senders, "", ""));
	assert_null(senders_find(senders, (struct span){"da1\0x", 5}, span_of("pass:word")));
	senders_destroy(senders);
}

static void a_bound_sender_speaks_for_its_own_hostnames_only(void **unused)
{
	struct senders *senders = make();
	const struct sender *bound = find(senders, "da1", "pass:word");
	const struct sender *any = find(senders, "directdnsonly", "changeme");
	struct name own = name_of("da1b.hoster.example");
	struct name other = name_of("da2.hoster.example");

	(void)unused;
	assert_true(sender_is_bound(bound));
	assert_true(sender_may_speak_for(bound, &own));
	assert_false(sender_may_speak_for(bound, &other));
	assert_true(sender_owns(bound, "da1.hoster.example"));
	assert_false(sender_is_bound(any));
	assert_true(sender_may_speak_for(any, &other));
	assert_false(sender_owns(any, "da2.hoster.example"));
	senders_destroy(senders);
}

static void empty_secrets_twins_and_bad_hostnames_refuse_to_start(void **unused)
{
	struct senders *senders = NULL;
	struct reason why;

	(void)unused;
	assert_int_equal(senders_create(&senders, NULL, "x", "", &why), PERMFAIL);
	assert_non_null(strstr(why.text, "app.auth_password"));
	assert_int_equal(senders_create(&senders, NULL, "", "x", &why), PERMFAIL);
	senders = make();
	assert_int_equal(senders_add(senders, "da2", "da2", "", NULL, &why), PERMFAIL);
	assert_int_equal(senders_add(senders, "da2", "da1", "pass:word", NULL, &why), PERMFAIL);
	assert_int_equal(senders_add(senders, "da2", "da2", "x", "a b", &why), PERMFAIL);
	assert_non_null(strstr(why.text, "app.senders.da2.hostnames"));
	senders_destroy(senders);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_credential_is_found_and_no_other),
		cmocka_unit_test(a_bound_sender_speaks_for_its_own_hostnames_only),
		cmocka_unit_test(empty_secrets_twins_and_bad_hostnames_refuse_to_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
