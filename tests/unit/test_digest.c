/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/digest.h"

#define WIRE(bytes) ((struct span){bytes, sizeof(bytes) - 1})

/* RFC 8976 A.1, out of order and with a record twice. */
static const struct digest_rr simple_zone[] = {
	{WIRE("\3ns2\7example\0"), 28, 1, 3600, WIRE("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x63")},
	{WIRE("\7example\0"), 6, 1, 86400,
	 WIRE("\3ns1\7example\0\5admin\7example\0\x78\x48\xb9\x1c\0\0\x07\x08\0\0\x03\x84\0\x09"
	      "\x3a\x80\0\x01\x51\x80")},
	{WIRE("\7example\0"), 2, 1, 86400, WIRE("\3ns2\7example\0")},
	{WIRE("\3ns1\7example\0"), 1, 1, 3600, WIRE("\xcb\x00\x71\x3f")},
	{WIRE("\7example\0"), 2, 1, 86400, WIRE("\3ns1\7example\0")},
	{WIRE("\7example\0"), 2, 1, 86400, WIRE("\3ns1\7example\0")},
	{WIRE("\7example\0"), 63, 1, 86400, WIRE("left out")},
	{WIRE("\7example\0"), 46, 1, 86400, WIRE("\0\x3fleft out")},
};
static const char simple_digest[] = "c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3"
				    "a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c";
#define SIMPLE_COUNT (sizeof(simple_zone) / sizeof(simple_zone[0]))

static void digest_is_the_one_of_rfc_8976(void **state)
{
	struct digest_rr rrs[SIMPLE_COUNT];
	char digest[DIGEST_HEX_SIZE];

	(void)state;
	memcpy(rrs, simple_zone, sizeof(rrs));
	digest_zone(rrs, SIMPLE_COUNT, digest);
	assert_string_equal(digest, simple_digest);
}

static void digest_sees_every_change(void **state)
{
	struct digest_rr rrs[SIMPLE_COUNT];
	char digest[DIGEST_HEX_SIZE];

	(void)state;
	memcpy(rrs, simple_zone, sizeof(rrs));
	rrs[0].ttl++;
	digest_zone(rrs, SIMPLE_COUNT, digest);
	assert_string_not_equal(digest, simple_digest);
	memcpy(rrs, simple_zone, sizeof(rrs));
	digest_zone(rrs, 3, digest);
	assert_string_not_equal(digest, simple_digest);
}

static void zonemd_below_the_apex_counts(void **state)
{
	struct digest_rr rrs[SIMPLE_COUNT];
	char digest[DIGEST_HEX_SIZE];

	(void)state;
	memcpy(rrs, simple_zone, sizeof(rrs));
	rrs[6].owner = WIRE("\1x\7example\0");
	digest_zone(rrs, SIMPLE_COUNT, digest);
	assert_string_not_equal(digest, simple_digest);
}

static void owners_sort_as_in_rfc_4034(void **state)
{
	static const struct span owners[] = {
		WIRE("\7example\0"),
		WIRE("\1a\7example\0"),
		WIRE("\x08yljkjljk\1a\7example\0"),
		WIRE("\1Z\1a\7example\0"),
		WIRE("\4zABC\1a\7EXAMPLE\0"),
		WIRE("\1z\7example\0"),
		WIRE("\1\1\1z\7example\0"),
		WIRE("\1*\1z\7example\0"),
		WIRE("\1\xc8\1z\7example\0"),
	};
	const size_t count = sizeof(owners) / sizeof(owners[0]);
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < count; i++) {
		for (j = 0; j < count; j++) {
			int order = digest_compare_owners(owners[i], owners[j]);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
	assert_int_equal(digest_compare_owners(WIRE("\1A\0"), WIRE("\1a\0")), 0);
	assert_true(digest_compare_owners(WIRE("\0"), WIRE("\1a\0")) < 0);
}

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected)
{
	char text[2 * SHA256_SIZE + 1] = "";
	size_t i;

	for (i = 0; i < len; i++) {
		(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	}
	assert_string_equal(text, expected);
}

static void hashes_give_the_published_values(void **state)
{
	uint8_t sum[SHA256_SIZE];

	(void)state;
	sha256(SPAN_EMPTY, sum);
	assert_hex(sum, sizeof(sum),
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256(span_of("abc"), sum);
	assert_hex(sum, sizeof(sum),
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hmac_sha256(span_of("Jefe"), span_of("what do ya want for nothing?"), sum); /* RFC 4231 */
	assert_hex(sum, sizeof(sum),
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void secrets_are_equal_only_as_a_whole(void **state)
{
	(void)state;
	assert_true(digest_secrets_equal(span_of("secret"), span_of("secret")));
	assert_true(digest_secrets_equal(SPAN_EMPTY, SPAN_EMPTY));
	assert_false(digest_secrets_equal(span_of("secret"), span_of("secreT")));
	assert_false(digest_secrets_equal(span_of("secret"), span_of("secre")));
	assert_false(digest_secrets_equal((struct span){"a\0b", 3}, (struct span){"a\0c", 3}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest_is_the_one_of_rfc_8976),
		cmocka_unit_test(digest_sees_every_change),
		cmocka_unit_test(zonemd_below_the_apex_counts),
		cmocka_unit_test(owners_sort_as_in_rfc_4034),
		cmocka_unit_test(hashes_give_the_published_values),
		cmocka_unit_test(secrets_are_equal_only_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
