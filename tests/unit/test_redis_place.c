/* SPDX-License-Identifier: Apache-2.0 */
/* common/redis_place.c: redis.url. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/redis_place.h"

static struct redis_place place_of(const char *url)
{
	struct redis_place place;
	struct reason why;

	if (redis_place_parse(url, &place, &why) != OK) {
		fail_msg("%s: %s", url, why.text);
	}
	return place;
}

static void a_host_may_come_with_port_database_and_user(void **state)
{
	static const struct {
		const char *url;
		const char *host;
		const char *port;
		const char *user;
		int database;
	} rows[] = {
		{"redis://127.0.0.1", "127.0.0.1", "6379", "", 0},
		{"redis://redis.hoster.example:7000", "redis.hoster.example", "7000", "", 0},
		{"redis://127.0.0.1/", "127.0.0.1", "6379", "", 0},
		{"redis://127.0.0.1:7000/12", "127.0.0.1", "7000", "", 12},
		{"redis://dadns@127.0.0.1/3", "127.0.0.1", "6379", "dadns", 3},
		{"redis://[::1]:7000/1", "::1", "7000", "", 1},
		{"redis://::1", "::1", "6379", "", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct redis_place place = place_of(rows[i].url);

		assert_string_equal(place.address.host, rows[i].host);
		assert_string_equal(place.address.port, rows[i].port);
		assert_string_equal(place.user, rows[i].user);
		assert_string_equal(place.path, "");
		assert_int_equal(place.database, rows[i].database);
	}
}

static void a_socket_is_a_path_and_perhaps_a_database(void **state)
{
	struct redis_place place = place_of("redis+unix:///run/redis/redis.sock");

	(void)state;
	assert_string_equal(place.path, "/run/redis/redis.sock");
	assert_int_equal(place.database, 0);
	place = place_of("redis+unix:///run/redis.sock?db=5");
	assert_string_equal(place.path, "/run/redis.sock");
	assert_int_equal(place.database, 5);
}

static void what_cannot_be_used_is_refused_and_never_quoted(void **state)
{
	static const struct {
		const char *url;
		const char *says;
	} rows[] = {
		{"", "write redis://"},
		{"127.0.0.1:6379", "write redis://"},
		{"rediss://sesame", "tunnel"},
		{"redis://", "HOST:PORT"},
		{"redis:///3", "HOST:PORT"},
		{"redis://sesame:0", "HOST:PORT"},
		{"redis://sesame:65536", "HOST:PORT"},
		{"redis://sesame:63x", "HOST:PORT"},
		{"redis://a b", "HOST:PORT"},
		{"redis://user:sesame@127.0.0.1", "redis.password_file"},
		{"redis://:sesame@127.0.0.1/1", "redis.password_file"},
		{"redis://:ses/ame@127.0.0.1/1", "number of a database"},
		{"redis://127.0.0.1/sesame", "number of a database"},
		{"redis://127.0.0.1/-1", "number of a database"},
		{"redis://127.0.0.1/1000001", "number of a database"},
		{"redis://127.0.0.1/99999999999999999999", "number of a database"},
		{"redis+unix://sesame", "begins with /"},
		{"redis+unix:///sock?password=sesame", "db=NUMBER"},
		{"redis+unix:///sock?db=", "db=NUMBER"},
	};
	struct redis_place place = {.database = 77};
	struct reason why;
	char url[300];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(redis_place_parse(rows[i].url, &place, &why), PERMFAIL);
		if (strstr(why.text, rows[i].says) == NULL) {
			fail_msg("%s: \"%s\" says nothing of %s", rows[i].url, why.text,
				 rows[i].says);
		}
		assert_null(strstr(why.text, "sesame"));
	}
	memset(url, 'x', sizeof(url));
	url[sizeof(url) - 1] = '\0';
	memcpy(url, "redis+unix:///", 14);
	assert_int_equal(redis_place_parse(url, &place, &why), PERMFAIL);
	memcpy(url, "redis://xxxxxx", 14);
	assert_int_equal(redis_place_parse(url, &place, &why), PERMFAIL);
	url[270] = '@';
	assert_int_equal(redis_place_parse(url, &place, &why), PERMFAIL);
	assert_int_equal(place.database, 77); /* changed only on OK */
}

static void a_place_is_printed_as_an_operator_writes_it(void **state)
{
	static const struct {
		const char *url;
		const char *text;
	} rows[] = {
		{"redis://user@127.0.0.1/3", "127.0.0.1:6379"},
		{"redis://::1", "[::1]:6379"},
		{"redis+unix:///run/redis.sock?db=5", "/run/redis.sock"},
	};
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct redis_place place = place_of(rows[i].url);

		redis_place_print(&place, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_may_come_with_port_database_and_user),
		cmocka_unit_test(a_socket_is_a_path_and_perhaps_a_database),
		cmocka_unit_test(what_cannot_be_used_is_refused_and_never_quoted),
		cmocka_unit_test(a_place_is_printed_as_an_operator_writes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
