/* SPDX-License-Identifier: Apache-2.0 */
/* DirectAdmin's wire contract: the rows P09-P15, P22-P24, P28-P36 of research/reliability.md 4.2
 * that concern parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/ingest/directadmin.h"

#define ZONE_TEXT "@ IN SOA ns1.x. h.x. (1 2 3 4 5)\nwww 60 IN TXT \"a=b&c=d+%41\"\n"
#define HOST "hostname=da1.hoster.example"

static struct da_refusal refusal;
static struct da_command command;

static enum outcome ask_bytes(const char *method, struct span query, struct span body)
{
	struct form form = {0};
	struct da_request request = {.method = span_of(method), .body = body};
	enum outcome outcome;

	request.query_valid = form_parse(query, DA_FIELDS_MAX, &form, NULL) == OK;
	request.query = form.fields;
	request.query_count = form.count;
	command = (struct da_command){0};
	outcome = da_parse(&request, &command, &refusal);
	form_finish(&form); /* a command borrows the body only */
	return outcome;
}

static enum outcome ask(const char *method, const char *query, const char *body)
{
	return ask_bytes(method, span_of(query), span_of(body));
}

static void assert_says(const char *text)
{
	if (strstr(refusal.text.text, text) == NULL && strstr(refusal.details.text, text) == NULL) {
		fail_msg("\"%s\" / \"%s\" does not say \"%s\"", refusal.text.text,
			 refusal.details.text, text);
	}
}

static void assert_refused(const char *method, const char *query, const char *body, int status,
			   const char *text)
{
	assert_int_equal(ask(method, query, body), PERMFAIL);
	assert_int_equal(refusal.http_status, status);
	assert_says(text);
}

static void pages_are_found_by_either_name_and_with_stray_slashes(void **unused)
{
	(void)unused;
	assert_int_equal(da_page_of(span_of("/CMD_API_DNS_ADMIN")), DA_PAGE_DNS);
	assert_int_equal(da_page_of(span_of("/CMD_DNS_ADMIN")), DA_PAGE_DNS);
	assert_int_equal(da_page_of(span_of("//CMD_API_DNS_ADMIN/")), DA_PAGE_DNS);
	assert_int_equal(da_page_of(span_of("/CMD_LOGIN_TEST")), DA_PAGE_LOGIN);
	assert_int_equal(da_page_of(span_of("/CMD_API_USER_EXISTS")), DA_PAGE_USER);
	assert_int_equal(da_page_of(span_of("/CMD_API_POP")), DA_PAGE_OTHER);
	assert_int_equal(da_page_of(span_of("/cmd_dns_admin")), DA_PAGE_NONE);
	assert_int_equal(da_page_of(span_of("/CMD_")), DA_PAGE_NONE);
	assert_int_equal(da_page_of(span_of("/")), DA_PAGE_NONE);
	assert_int_equal(da_page_of(span_of("/x/CMD_DNS_ADMIN")), DA_PAGE_NONE);
}

static void a_rawsave_takes_the_body_as_it_is(void **unused)
{
	(void)unused;
	assert_int_equal(
		ask("POST", "action=rawsave&domain=Shop.EXAMPLE.&username=fred&" HOST, ZONE_TEXT),
		OK);
	assert_int_equal(command.verb, DA_RAWSAVE);
	assert_string_equal(command.zone.text, "shop.example");
	assert_string_equal(command.owner.text, "da1.hoster.example");
	assert_string_equal(command.username, "fred");
	assert_false(command.now);
	assert_true(span_is(command.text, ZONE_TEXT));
	da_command_finish(&command);
}

static void named_reload_means_now_and_no_username_means_admin(void **unused)
{
	(void)unused;
	assert_int_equal(
		ask("POST", "action=rawsave&domain=shop.example&named_reload=yes&" HOST, ZONE_TEXT),
		OK);
	assert_true(command.now);
	assert_string_equal(command.username, "");
}

static void a_rawsave_must_say_what_for_whom(void **unused)
{
	(void)unused;
	assert_refused("POST", "action=rawsave&domain=shop.example", ZONE_TEXT, 200,
		       "hostname is missing");
	assert_refused("POST", "action=rawsave&" HOST, ZONE_TEXT, 200, "domain is missing");
	assert_refused("POST", "action=rawsave&domain=shop.example&" HOST, "", 200, "empty");
	assert_refused("POST", "action=rawsave&domain=example&" HOST, ZONE_TEXT, 200,
		       "single label");
	assert_refused("GET", "action=rawsave&domain=shop.example&" HOST, "", 405, "POST");
	assert_refused("PUT", "action=rawsave&domain=shop.example&" HOST, ZONE_TEXT, 405, "POST");
	assert_refused("POST", "", "action=rawsave&domain=shop.example&" HOST, 200, "query");
}

static void hostile_names_are_refused(void **unused)
{
	static const char *const names[] = {
		"../../etc/x",      "a/b.example", "%2e%2e",
		"a\";};zone.x",     "a'or'1.x",    "a+b.example",
		"a..b.example",     ".",           "",
		"\xc3\xa9.example",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char query[256];

		(void)snprintf(query, sizeof(query), "action=rawsave&domain=%s&" HOST, names[i]);
		assert_int_equal(ask("POST", query, ZONE_TEXT), PERMFAIL);
		(void)snprintf(query, sizeof(query), "action=delete&select0=%s&" HOST, names[i]);
		assert_int_equal(ask("POST", "", query), PERMFAIL);
	}
}

static void nul_and_control_bytes_are_refused(void **unused)
{
	(void)unused;
	assert_refused("POST", "action=rawsave&domain=evil.com%00.victim.com&" HOST, ZONE_TEXT, 400,
		       "Control bytes");
	assert_refused("POST", "action=rawsave&domain=shop.example&username=a%0d%0ab&" HOST,
		       ZONE_TEXT, 400, "Control bytes");
	assert_refused("POST", "", "action=delete&select0=evil.com%00.victim.com&" HOST, 400,
		       "Control bytes");
	assert_refused("POST", "", "action=delete&select0=a.example&hostname=da1%1b.x", 400,
		       "Control bytes");
}

static void repeated_and_conflicting_parameters_are_refused(void **unused)
{
	(void)unused;
	assert_refused("POST", "action=rawsave&domain=a.example&domain=b.example&" HOST, ZONE_TEXT,
		       400, "Repeated");
	assert_refused("POST", "action=rawsave&action=delete&domain=a.example&" HOST, ZONE_TEXT,
		       400, "Repeated");
	assert_refused("POST", "action=delete&domain=a.example", "domain=b.example&" HOST, 400,
		       "Repeated");
	assert_refused("POST", "", "action=delete&select0=a.example&select0=b.example&" HOST, 400,
		       "Repeated");
	assert_refused("POST", "action=delete", "action=delete&select0=a.example&" HOST, 400,
		       "Repeated");
}

static void malformed_queries_and_forms_are_refused(void **unused)
{
	(void)unused;
	assert_refused("GET", "action=exists&domain=%4", "", 400, "malformed");
	assert_refused("POST", "", "action=delete&select0=%", 400, "malformed");
	assert_refused("POST", "", "action=delete&=x", 400, "malformed");
}

static void a_delete_as_directadmin_sends_it(void **unused)
{
	(void)unused;
	assert_int_equal(ask("POST", "",
			     "action=delete&cluster=yes&hostname=da1.hoster.example&"
			     "select0=shop.example"),
			 OK);
	assert_int_equal(command.verb, DA_DELETE);
	assert_int_equal(command.zone_count, 1);
	assert_string_equal(command.zones[0].text, "shop.example");
	assert_string_equal(command.owner.text, "da1.hoster.example");
	da_command_finish(&command);
}

static void a_delete_names_many_zones_each_once(void **unused)
{
	(void)unused;
	assert_int_equal(ask("GET",
			     "action=delete&domain=c.example&select0=b.example&"
			     "select7=a.example&select8=B.example.&" HOST,
			     ""),
			 OK);
	assert_int_equal(command.zone_count, 3);
	assert_string_equal(command.zones[0].text, "a.example");
	assert_string_equal(command.zones[1].text, "b.example");
	assert_string_equal(command.zones[2].text, "c.example");
	da_command_finish(&command);
}

static void a_delete_has_a_ceiling_and_must_name_a_zone(void **unused)
{
	static char query[64 * 1100];
	size_t len = 0;

	(void)unused;
	assert_refused("POST", "", "action=delete&" HOST, 200, "No zone");
	assert_refused("POST", "", "action=delete&select0=a.example", 200, "hostname");
	for (int i = 0; i < 1001; i++) {
		len += (size_t)snprintf(query + len, sizeof(query) - len, "select%d=z%d.example&",
					i, i);
	}
	(void)snprintf(query + len, sizeof(query) - len, "action=delete&" HOST);
	assert_refused("POST", "", query, 200, "Too many");
}

static void exists_takes_whatever_people_type(void **unused)
{
	(void)unused;
	assert_int_equal(ask("GET", "action=exists&domain=shop.example", ""), OK);
	assert_true(command.is_name);
	assert_false(command.check_parent);
	assert_int_equal(ask("GET",
			     "action=exists&domain=a.b.shop.example&"
			     "check_for_parent_domain=true",
			     ""),
			 OK);
	assert_true(command.check_parent);
	assert_int_equal(ask("POST", "", "action=exists&domain=shop.example"), OK);
	assert_int_equal(command.verb, DA_EXISTS);
	assert_int_equal(ask("GET", "action=exists&domain=t.w", ""), OK);
	assert_int_equal(ask("GET", "action=exists&domain=t..", ""), OK);
	assert_false(command.is_name);
	assert_int_equal(ask("GET", "action=exists&domain=", ""), OK);
	assert_false(command.is_name);
	assert_refused("GET", "action=exists", "", 200, "domain");
}

static void nothing_is_acknowledged_that_was_not_understood(void **unused)
{
	(void)unused;
	assert_int_equal(ask("POST", "", ""), OK);
	assert_int_equal(command.verb, DA_HELLO);
	assert_refused("GET", "", "", 200, "action");
	assert_refused("POST", "", "cluster=yes", 200, "action");
	assert_refused("POST", "", "hello", 200, "action");
	assert_refused("POST", "action=list", "", 200, "not supported");
}

static void usernames_are_plain(void **unused)
{
	(void)unused;
	assert_refused("POST", "action=rawsave&domain=a.example&username=a%22b&" HOST, ZONE_TEXT,
		       200, "username");
	assert_refused("POST",
		       "action=rawsave&domain=a.example&username="
		       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&" HOST,
		       ZONE_TEXT, 200, "too long");
}

static void answers_are_url_encoded_or_json(void **unused)
{
	struct buf out = BUF_INIT(DA_ANSWER_MAX);

	(void)unused;
	da_print_exists(DA_EXISTS_NO, "", false, &out);
	assert_string_equal(buf_text(&out), "error=0&exists=0");
	buf_clear(&out);
	da_print_exists(DA_EXISTS_ZONE, "da1.hoster.example", false, &out);
	assert_string_equal(buf_text(&out),
			    "error=0&exists=1&details=Domain+exists+on+da1.hoster.example");
	buf_clear(&out);
	da_print_exists(DA_EXISTS_PARENT, "da1.hoster.example", false, &out);
	assert_string_equal(buf_text(&out),
			    "error=0&exists=2&details=Parent+Domain+exists+on+da1.hoster.example");
	buf_clear(&out);
	da_print_ok(NULL, false, &out);
	assert_string_equal(buf_text(&out), "error=0");
	buf_clear(&out);
	da_print_error("It's 5% & more", "line 3: \"x\"\n", false, &out);
	assert_string_equal(buf_text(&out), "error=1&text=It%27s+5%25+%26+more&details="
					    "line+3%3A+%22x%22%0A");
	buf_clear(&out);
	da_print_error("say \"no\"", NULL, true, &out);
	assert_string_equal(buf_text(&out), "{\"error\":\"1\",\"text\":\"say \\u0022no\\u0022\"}");
	buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_found_by_either_name_and_with_stray_slashes),
		cmocka_unit_test(a_rawsave_takes_the_body_as_it_is),
		cmocka_unit_test(named_reload_means_now_and_no_username_means_admin),
		cmocka_unit_test(a_rawsave_must_say_what_for_whom),
		cmocka_unit_test(hostile_names_are_refused),
		cmocka_unit_test(nul_and_control_bytes_are_refused),
		cmocka_unit_test(repeated_and_conflicting_parameters_are_refused),
		cmocka_unit_test(malformed_queries_and_forms_are_refused),
		cmocka_unit_test(a_delete_as_directadmin_sends_it),
		cmocka_unit_test(a_delete_names_many_zones_each_once),
		cmocka_unit_test(a_delete_has_a_ceiling_and_must_name_a_zone),
		cmocka_unit_test(exists_takes_whatever_people_type),
		cmocka_unit_test(nothing_is_acknowledged_that_was_not_understood),
		cmocka_unit_test(usernames_are_plain),
		cmocka_unit_test(answers_are_url_encoded_or_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
