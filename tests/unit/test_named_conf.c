/* SPDX-License-Identifier: Apache-2.0 */
/* common/named_conf.c: the zones of a named.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/named_conf.h"

static char folder[] = "/tmp/dadns-named-conf.XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void note(void *context, const struct name *name)
{
	buf_addf(context, "%s ", name->text);
}

static void expect(const char *zones, size_t expected_unread)
{
	struct buf found = BUF_INIT(65536);
	struct reason why;
	size_t unread = 77;
	char path[128];

	snprintf(path, sizeof(path), "%s/named.conf", folder);
	assert_int_equal(named_conf_zones(path, note, &found, &unread, &why), OK);
	assert_string_equal(buf_text(&found), zones);
	assert_int_equal(unread, expected_unread);
	buf_finish(&found);
}

static void zones_are_found_however_they_are_written(void **state)
{
	(void)state;
	write_file("named.conf",
		   "zone \"One.Example.\" { type primary; file \"a\"; };\n"
		   "zone two.example IN {type primary;};zone\n\t\"three.example\"{};\n"
		   "view internal { match-clients { any; }; zone four.example { }; "
		   "zone five.example in { zone-statistics yes; }; };\n");
	expect("one.example two.example three.example four.example five.example ", 0);
}

static void comments_quotes_and_parts_of_other_statements_are_no_zones(void **state)
{
	(void)state;
	write_file("named.conf",
		   "// zone a.example { };\n# zone b.example { };\n/* zone c.example { };\n"
		   "zone d.example { }; */ acl \"zone e.example { };\" { any; };\n"
		   "options { response-policy { zone \"rpz.example\" policy given; };\n"
		   "  catalog-zones { zone \"cat.example\" default-primaries { 10.0.0.1; }; };\n"
		   "  zone-statistics yes; version \"x \\\" zone f.example { };\"; };\n"
		   "zone \"real.example\" { };\n");
	expect("real.example ", 0);
}

static void includes_are_followed_and_what_cannot_be_read_is_counted(void **state)
{
	char text[512];

	(void)state;
	write_file("one.inc", "zone one.example { };\n");
	write_file("two.inc", "zone two.example { };\n");
	snprintf(text, sizeof(text),
		 "include \"%s/*.inc\";\ninclude \"%s/none\"; include relative;\n"
		 "zone last.example { };",
		 folder, folder);
	write_file("named.conf", text);
	expect("one.example two.example last.example ", 2);
}

static void a_file_that_includes_itself_comes_to_an_end(void **state)
{
	char text[256];

	(void)state;
	snprintf(text, sizeof(text), "include \"%s/named.conf\";", folder);
	write_file("named.conf", text);
	expect("", 1);
}

static void broken_text_is_read_as_far_as_it_goes(void **state)
{
	static const char *const texts[] = {
		"",
		"zone",
		"zone \"",
		"zone \"a.example",
		"zone a.example",
		"zone a.example IN",
		"include",

		"/*",
		"//",
		"\"\\",
		"zone a..example { };",
		"{{{{",
		"}}}}",
		"zone { };",
		"include { };",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_file("named.conf", texts[i]);
		expect("", 0);
	}
}

static void a_file_that_is_not_there_is_said(void **state)
{
	struct reason why;
	size_t unread;

	(void)state;
	assert_int_equal(named_conf_zones("/none/named.conf", note, NULL, &unread, &why), TEMPFAIL);
	assert_string_equal(why.text, "/none/named.conf: No such file or directory");
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"named.conf", "one.inc", "two.inc"};
	char path[128];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zones_are_found_however_they_are_written),
		cmocka_unit_test(comments_quotes_and_parts_of_other_statements_are_no_zones),
		cmocka_unit_test(includes_are_followed_and_what_cannot_be_read_is_counted),
		cmocka_unit_test(a_file_that_includes_itself_comes_to_an_end),
		cmocka_unit_test(broken_text_is_read_as_far_as_it_goes),
		cmocka_unit_test(a_file_that_is_not_there_is_said),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
