/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/name.h"

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

static void assert_refused(struct span text, const char *expected)
{
	struct name name = {.len = 7, .text = "as.was"};
	struct reason why = {0};

	assert_int_equal(name_parse(text, &name, &why), PERMFAIL);
	if (strstr(why.text, expected) == NULL) {
		fail_msg("wanted '%s', got '%s'", expected, why.text);
	}
	assert_string_equal(name.text, "as.was");
}

static void name_is_lower_case_without_final_dot(void **state)
{
	struct name name = name_of("WWW.Example.COM.");

	(void)state;
	assert_string_equal(name.text, "www.example.com");
	assert_int_equal(name.len, 15);
	assert_true(span_is(name_span(&name), "www.example.com"));
}

static void legal_names_are_taken(void **state)
{
	static const char *const names[] = {
		"a",   "xn--bcher-kva.example",     "_dmarc.example.com", "1.2.3", "a--b.example",
		"t.w", "0/25.2.0.192.in-addr.arpa", "a/b.0.ip6.arpa"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_string_equal(name_of(names[i]).text, names[i]);
	}
}

static void dangerous_names_are_refused_with_a_reason(void **state)
{
	(void)state;
	assert_refused(span_of(""), "empty");
	assert_refused(span_of("."), "empty");
	assert_refused(span_of("a..b"), "empty label");
	assert_refused(span_of(".a"), "empty label");
	assert_refused(span_of("a.."), "empty label");
	assert_refused(span_of("../etc"), "empty label");
	assert_refused(span_of("a/b.example"), "byte 2 is '/'");
	assert_refused(span_of("a b.example"), "byte 2 is ' '");
	assert_refused(span_of("*.example"), "byte 1 is '*'");
	assert_refused(span_of("a\"b"), "byte 2 is '\\034'");
	assert_refused(span_of("a;b"), "is ';'");
	assert_refused(span_of("a\nb"), "\\010");
	assert_refused(span_of("b\xc3\xbc.example"), "byte 2 is '\\195'");
	assert_refused((struct span){"a\0b", 3}, "\\000");
	assert_refused(span_of("-a.example"), "hyphen");
	assert_refused(span_of("a-.example"), "hyphen");
	assert_refused(span_of("a/b.evil-in-addr.arpa"), "is '/'");
}

static void lengths_are_exact(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_refused((struct span){text, 64}, "longer than 63");
	text[63] = text[127] = text[191] = '.';
	assert_refused((struct span){text, 254}, "longer than 253");
	text[253] = '\0';
	assert_int_equal(name_of(text).len, 253);
	text[253] = '.';
	text[254] = '\0';
	assert_int_equal(name_of(text).len, 253);
}

static void below_means_strictly_below_at_a_label(void **state)
{
	struct name apex = name_of("example.com");
	struct name www = name_of("www.example.com");
	struct name other = name_of("notexample.com");

	(void)state;
	assert_true(name_is_below(&www, &apex));
	assert_false(name_is_below(&apex, &www));
	assert_false(name_is_below(&apex, &apex));
	assert_false(name_is_below(&other, &apex));
}

static void parents_end_at_a_single_label(void **state)
{
	struct name name = name_of("a.b.example");
	struct name twin;

	(void)state;
	assert_int_equal(name_label_count(&name), 3);
	assert_true(name_parent(&name, &name));
	twin = name_of("b.example");
	assert_true(name_equal(&name, &twin));
	assert_memory_equal(&name, &twin, sizeof(name)); /* no old bytes behind it */
	assert_int_equal(name_hash(&name), name_hash(&twin));
	assert_true(name_parent(&name, &name));
	assert_string_equal(name.text, "example");
	assert_false(name_parent(&name, &name));
	assert_int_equal(name_label_count(&name), 1);
}

static void hash_is_fnv_1a(void **state)
{
	struct name name = name_of("a");

	(void)state;
	assert_true(name_hash(&name) == 0xaf63dc4c8601ec8cULL);
}

static void file_names_are_plain_unique_and_short(void **state)
{
	struct name reverse = name_of("0/25.2.0.192.in-addr.arpa");
	char text[254];
	char one[NAME_FILE_SIZE];
	char two[NAME_FILE_SIZE];
	struct name name;

	(void)state;
	name_file(&reverse, one);
	assert_string_equal(one, "0%2f25.2.0.192.in-addr.arpa");
	memset(text, 'a', sizeof(text));
	text[63] = text[127] = text[191] = '.';
	text[200] = '\0';
	name = name_of(text);
	name_file(&name, one);
	assert_string_equal(one, text);
	text[200] = 'b';
	text[201] = '\0';
	name = name_of(text);
	name_file(&name, one);
	assert_int_equal(strlen(one), 120 + 1 + 64);
	assert_memory_equal(one, text, 120);
	assert_int_equal(one[120], '~');
	text[200] = 'c';
	name = name_of(text);
	name_file(&name, two);
	assert_string_not_equal(one, two);
}

static void quotes_are_printable_and_cut(void **state)
{
	char text[400];

	(void)state;
	assert_string_equal(name_quote((struct span){"a\0\x1b\"\\z\xff", 7}).text,
			    "a\\000\\027\\034\\092z\\255");
	memset(text, 'x', sizeof(text));
	assert_true(strlen(name_quote((struct span){text, sizeof(text)}).text) < 80);
	assert_non_null(strstr(name_quote((struct span){text, sizeof(text)}).text, "x..."));
	assert_string_equal(name_quote(SPAN_EMPTY).text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_is_lower_case_without_final_dot),
		cmocka_unit_test(legal_names_are_taken),
		cmocka_unit_test(dangerous_names_are_refused_with_a_reason),
		cmocka_unit_test(lengths_are_exact),
		cmocka_unit_test(below_means_strictly_below_at_a_label),
		cmocka_unit_test(parents_end_at_a_single_label),
		cmocka_unit_test(hash_is_fnv_1a),
		cmocka_unit_test(file_names_are_plain_unique_and_short),
		cmocka_unit_test(quotes_are_printable_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
