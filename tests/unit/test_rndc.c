/* SPDX-License-Identifier: Apache-2.0 */
/* common/rndc_wire.c; the golden messages were made by an independent encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/address.h"
#include "common/rndc_wire.h"

#define KEY_TEXT                                                                               \
	"# made by hand\n/* key \"other\" { */\nkey \"dadns\" {\n\talgorithm hmac-sha256; // " \
	"yes\n"                                                                                \
	"\tsecret \"MDEyMzQ1Njc4OWFiY2RlZg==\";\n};\n"

/* clang-format off */
static const char golden_request[] =
	"000000e200000001055f61757468020000006304687368610100000059a37962346957736e447a30"
	"324962363072553068494c5a4b2b3248426364445a356a6b30724a474e736b30453d000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000000000000000055f"
	"6374726c0200000041045f736572010000000137045f74696d010000000a31373030303030303030"
	"045f657870010000000a31373030303030303630065f6e6f6e636501000000023432055f64617461"
	"02000000190474797065010000000f72656c6f61642022612e7465737422";
static const char golden_reply[] =
	"00000001055f61757468020000006304687368610100000059a34e442b5a642f58316f6777726151"
	"716c4a77396a30706866416f536a693357742f55326b4f7a68583369303d00000000000000000000"
	"00000000000000000000000000000000000000000000000000000000000000000000055f6374726c"
	"020000004c045f736572010000000137045f74696d010000000a31373030303030303030045f6578"
	"70010000000a31373030303030303630045f72706c010000000131065f6e6f6e6365010000000234"
	"32055f64617461020000004a0474797065010000000672656c6f616406726573756c740100000002"
	"32330365727201000000096e6f7420666f756e64047465787401000000106e6f0a6d61746368696e"
	"67207a6f6e65";
/* clang-format on */

static size_t from_hex(const char *hex, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++) {
		out[i] = (char)((strchr(digits, hex[2 * i]) - digits) << 4 |
				(strchr(digits, hex[2 * i + 1]) - digits));
	}
	return len;
}

static struct rndc_key the_key(void)
{
	struct rndc_key key;
	struct reason why;

	assert_int_equal(rndc_key_parse(span_of(KEY_TEXT), &key, &why), OK);
	return key;
}

static void key_file_of_rndc_confgen_is_read(void **state)
{
	struct rndc_key key = the_key();

	(void)state;
	assert_string_equal(key.name, "dadns");
	assert_int_equal(key.secret_len, 16);
	assert_memory_equal(key.secret, "0123456789abcdef", 16);
}

static void key_that_cannot_be_used_is_refused_without_quoting_it(void **state)
{
	static const char *const texts[] = {
		"",
		"options { };",
		"key a { algorithm hmac-md5; secret \"c2VjcmV0\"; };",
		"key a { algorithm hmac-sha256; };",
		"key a { algorithm hmac-sha256; secret \"c2Vj*mV0\"; };",
		"key a { secret \"c2VjcmV0\"; };",
		"key a { algorithm hmac-sha256; secret",
	};
	struct rndc_key key;
	struct reason why;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(rndc_key_parse(span_of(texts[i]), &key, &why), PERMFAIL);
		assert_null(strstr(why.text, "c2V"));
	}
}

static void request_equals_the_golden_bytes(void **state)
{
	struct rndc_key key = the_key();
	struct rndc_request request = {.serial = 7,
				       .now_s = 1700000000,
				       .nonce = "42",
				       .command = span_of("reload \"a.test\"")};
	struct buf out = BUF_INIT(RNDC_REQUEST_MAX);
	char golden[1024];
	size_t len = from_hex(golden_request, golden);

	(void)state;
	rndc_request_print(&request, &key, &out);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, golden, len);
	buf_finish(&out);
}

static void reply_is_read_and_its_text_made_printable(void **state)
{
	struct rndc_key key = the_key();
	struct rndc_reply reply;
	struct reason why;
	char frame[1024];
	size_t len = from_hex(golden_reply, frame);

	(void)state;
	assert_int_equal(rndc_reply_parse((struct span){frame, len}, &key, &reply, &why), OK);
	assert_int_equal(reply.serial, 7);
	assert_int_equal(reply.result, 23);
	assert_string_equal(reply.nonce, "42");
	assert_string_equal(reply.err, "not found");
	assert_string_equal(reply.text, "no matching zone");
}

static void reply_changed_in_any_byte_or_cut_anywhere_is_refused(void **state)
{
	struct rndc_key key = the_key();
	struct rndc_reply reply;
	struct reason why;
	char frame[1024];
	size_t len = from_hex(golden_reply, frame);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		char *cut = test_malloc(i + 1); /* so that a sanitizer sees a step too far */

		memcpy(cut, frame, i);
		assert_int_equal(rndc_reply_parse((struct span){cut, i}, &key, &reply, &why),
				 TEMPFAIL);
		test_free(cut);
		if (i >= 26 + 44 && i < 26 + 88) {
			continue; /* the padding behind the MAC, which is not looked at */
		}
		frame[i] ^= 1;
		assert_int_equal(rndc_reply_parse((struct span){frame, len}, &key, &reply, &why),
				 TEMPFAIL);
		frame[i] ^= 1;
	}
}

static void reply_of_another_key_is_refused(void **state)
{
	struct rndc_key key = the_key();
	struct rndc_reply reply;
	struct reason why;
	char frame[1024];
	size_t len = from_hex(golden_reply, frame);

	(void)state;
	key.secret[0] ^= 1;
	assert_int_equal(rndc_reply_parse((struct span){frame, len}, &key, &reply, &why), TEMPFAIL);
}

static void addresses_are_cut_into_host_and_port(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} cases[] = {
		{"127.0.0.1:53", "127.0.0.1", "53"},
		{"ns1.example.com", "ns1.example.com", "953"},
		{"[::1]:5353", "::1", "5353"},
		{"[::1]", "::1", "953"},
		{"::1", "::1", "953"},
		{"bind:65535", "bind", "65535"},
	};
	static const char *const wrong[] = {"",     ":53",  "a:",      "a:0",   "a:65536", "a:x",
					    "[::1", "[]:1", "[::1]53", "a b:1", "a:999999"};
	struct address address;
	struct reason why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(address_parse(cases[i].text, 953, &address, &why), OK);
		assert_string_equal(address.host, cases[i].host);
		assert_string_equal(address.port, cases[i].port);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(address_parse(wrong[i], 953, &address, &why), PERMFAIL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_file_of_rndc_confgen_is_read),
		cmocka_unit_test(key_that_cannot_be_used_is_refused_without_quoting_it),
		cmocka_unit_test(request_equals_the_golden_bytes),
		cmocka_unit_test(reply_is_read_and_its_text_made_printable),
		cmocka_unit_test(reply_changed_in_any_byte_or_cut_anywhere_is_refused),
		cmocka_unit_test(reply_of_another_key_is_refused),
		cmocka_unit_test(addresses_are_cut_into_host_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
