/* SPDX-License-Identifier: Apache-2.0 */
/* The table of cases is in tests/data/zones: each invalid/NAME.zone is refused with a text that
 * holds NAME.reason; each valid/NAME.zone prints the lines of NAME.printed and warns of
 * NAME.warning, where there are such. Here stands what no small file can show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>

#include <cmocka.h>

#include "common/zone.h"
#include "tests/lib/ldns_reads.h"

#define DATA "tests/data/zones/"
#define HEAD                                                                                 \
	"$TTL 3600\n"                                                                        \
	"@ IN SOA ns1.hoster.example. hostmaster.example.com. 2026112100 3600 3600 1209600 " \
	"86400\n"                                                                            \
	"@ IN NS ns1.hoster.example.\n"

static const struct zone_limits limits = ZONE_LIMITS_DEFAULT;

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

static enum outcome parse(struct span text, struct zone **out, struct reason *why)
{
	struct name name = name_of("example.com");

	return zone_parse(&name, text, &limits, out, why);
}

static struct zone *zone_of(const struct buf *text)
{
	struct reason why = {0};
	struct zone *zone = NULL;

	if (parse(buf_span(text), &zone, &why) != OK) {
		fail_msg("refused: %s", why.text);
	}
	return zone;
}

static void assert_refused(const struct buf *text, const char *expected)
{
	struct zone *zone = NULL;
	struct reason why = {0};

	assert_int_equal(parse(buf_span(text), &zone, &why), PERMFAIL);
	assert_null(zone);
	if (strstr(why.text, expected) == NULL) {
		fail_msg("wanted '%s', got '%s'", expected, why.text);
	}
}

/* Adds the file to `out`; false: there is none. */
static bool load(const char *folder, const char *file, struct buf *out)
{
	char path[512];
	char bytes[4096];
	size_t len;
	FILE *in;

	(void)snprintf(path, sizeof(path), DATA "%s/%s", folder, file);
	in = fopen(path, "rb");
	if (in == NULL) {
		return false;
	}
	while ((len = fread(bytes, 1, sizeof(bytes), in)) > 0) {
		buf_add(out, (struct span){bytes, len});
	}
	(void)fclose(in);
	return true;
}

/* NAME.zone -> NAME.suffix */
static bool load_beside(const char *folder, const char *file, const char *suffix, struct buf *out)
{
	char other[300];

	(void)snprintf(other, sizeof(other), "%.*s%s", (int)(strlen(file) - strlen(".zone")), file,
		       suffix);
	return load(folder, other, out);
}

static size_t for_each_zone(const char *folder, void (*check)(const char *file))
{
	char path[512];
	struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), DATA "%s", folder);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');

		if (dot != NULL && strcmp(dot, ".zone") == 0) {
			check(entry->d_name);
			count++;
		}
	}
	(void)closedir(dir);
	return count;
}

static void check_invalid(const char *file)
{
	struct buf expected = BUF_INIT(4096);
	struct buf text = BUF_INIT(1 << 20);
	struct zone *zone = NULL;
	struct reason why = {0};

	assert_true(load("invalid", file, &text));
	assert_true(load_beside("invalid", file, ".reason", &expected));
	assert_true(expected.len > 1);
	expected.data[expected.len - 1] = '\0'; /* its line end */
	if (parse(buf_span(&text), &zone, &why) != PERMFAIL) {
		fail_msg("%s is accepted", file);
	}
	assert_null(zone);
	if (strstr(why.text, expected.data) == NULL) {
		fail_msg("%s: wanted '%s', got '%s'", file, expected.data, why.text);
	}
	buf_finish(&expected);
	buf_finish(&text);
}

static void check_printed(const char *file, const struct buf *printed)
{
	struct buf expected = BUF_INIT(1 << 16);
	char *line;
	char *end;

	if (!load_beside("valid", file, ".printed", &expected)) {
		return;
	}
	for (line = expected.data; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		struct buf wanted = BUF_INIT(1 << 16);

		buf_add_byte(&wanted, '\n');
		buf_add(&wanted, (struct span){line, (size_t)(end + 1 - line)});
		if (strstr(buf_text(printed), buf_text(&wanted)) == NULL) {
			fail_msg("%s: wanted %s in:%s", file, buf_text(&wanted), buf_text(printed));
		}
		buf_finish(&wanted);
	}
	buf_finish(&expected);
}

static void check_warning(const char *file, const struct zone *zone)
{
	struct buf expected = BUF_INIT(4096);
	size_t i;

	if (!load_beside("valid", file, ".warning", &expected)) {
		buf_finish(&expected);
		return;
	}
	expected.data[expected.len - 1] = '\0'; /* its line end */
	for (i = 0; i < zone_warning_count(zone); i++) {
		if (strstr(zone_warnings(zone)[i], expected.data) != NULL) {
			buf_finish(&expected);
			return;
		}
	}
	fail_msg("%s: no warning with '%s'", file, expected.data);
}

static void check_valid(const char *file)
{
	struct buf printed = BUF_INIT(1 << 20);
	struct buf text = BUF_INIT(1 << 20);
	struct zone *zone = NULL;
	struct zone *again;
	struct reason why = {0};

	assert_true(load("valid", file, &text));
	if (parse(buf_span(&text), &zone, &why) != OK) {
		fail_msg("%s: %s", file, why.text);
	}
	assert_string_equal(zone_rrsets(zone)[0].type, "SOA");
	buf_add_byte(&printed, '\n');
	rrsets_print(zone_rrsets(zone), zone_rrset_count(zone), &printed);
	check_printed(file, &printed);
	check_warning(file, zone);
	if (!ldns_reads_the_same(zone)) {
		fail_msg("%s: ldns reads something else in:%s", file, buf_text(&printed));
	}
	again = zone_of(&printed);
	assert_string_equal(zone_digest(zone), zone_digest(again));
	assert_int_equal(zone_record_count(zone), zone_record_count(again));
	assert_int_equal(zone_rrset_count(zone), zone_rrset_count(again));
	zone_destroy(again);
	zone_destroy(zone);
	buf_finish(&printed);
	buf_finish(&text);
}

static void every_invalid_zone_is_refused_for_its_reason(void **state)
{
	(void)state;
	assert_true(for_each_zone("invalid", check_invalid) > 100);
}

static void every_valid_zone_prints_as_expected_and_reads_back(void **state)
{
	(void)state;
	assert_true(for_each_zone("valid", check_valid) > 60);
}

static void pushed_zone_becomes_canonical_rrsets(void **state)
{
	struct buf text = BUF_INIT(4096);
	const struct rrset *rrsets;
	struct zone *zone;

	(void)state;
	assert_true(load("valid", "da-rawsave-user.zone", &text));
	zone = zone_of(&text);
	rrsets = zone_rrsets(zone);
	assert_string_equal(zone_name(zone)->text, "example.com");
	assert_int_equal(zone_serial(zone), 2026112101);
	assert_int_equal(zone_record_count(zone), 13);
	assert_int_equal(zone_rrset_count(zone), 12);
	assert_int_equal(zone_warning_count(zone), 0);
	assert_int_equal(strlen(zone_digest(zone)), 96);
	assert_string_equal(rrsets[0].rdata[0], "ns1.hoster.example. hostmaster.example.com. "
						"2026112101 3600 3600 1209600 86400");
	assert_string_equal(rrsets[1].type, "A");
	assert_string_equal(rrsets[2].type, "NS");
	assert_int_equal(rrsets[2].count, 2);
	assert_string_equal(rrsets[2].rdata[0], "ns1.hoster.example.");
	assert_string_equal(rrsets[11].name, "www.example.com.");
	assert_int_equal(rrsets[11].ttl, 3600);
	zone_destroy(zone);
	buf_finish(&text);
}

static void order_and_spelling_do_not_change_the_digest(void **state)
{
	struct buf one = BUF_INIT(4096);
	struct buf two = BUF_INIT(4096);
	struct zone *first;
	struct zone *second;

	(void)state;
	buf_add_text(&one, HEAD "www A 192.0.2.1\nwww A 192.0.2.2\nt TXT abc\n");
	buf_add_text(&two, HEAD "T 1h TXT \"\\097bc\"\nWWW.example.COM. IN A 192.0.2.2\n"
				"\tIN 3600 A ( 192.0.2.1 )\n");
	first = zone_of(&one);
	second = zone_of(&two);
	assert_string_equal(zone_digest(first), zone_digest(second));
	zone_destroy(second);
	buf_clear(&two);
	buf_add_text(&two, HEAD "www A 192.0.2.1\nwww A 192.0.2.3\nt TXT abc\n");
	second = zone_of(&two);
	assert_string_not_equal(zone_digest(first), zone_digest(second));
	zone_destroy(first);
	zone_destroy(second);
	buf_finish(&one);
	buf_finish(&two);
}

/* xorshift: the same records on every machine. */
static uint32_t dice(uint32_t sides)
{
	static uint64_t state = 88172645463325252U;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % sides;
}

/* One to three labels, with every escape that a name may need. */
static void add_random_name(struct buf *text)
{
	static const char *const parts[] = {"a",        "Z",     "9",   "-",     "_",     "*",
					    "=",        "/",     "+",   "#",     "!",     "\\.",
					    "\\;",      "\\(",   "\\)", "\\032", "\\200", "\\255",
					    "\xc3\xa4", "\\097", "www", "x~",    "{}|",   ","};
	uint32_t labels = 1 + dice(3);
	uint32_t i;

	while (labels-- > 0) {
		for (i = 1 + dice(6); i > 0; i--) {
			buf_add_text(text, dice(2) == 0
						   ? "m"
						   : parts[dice(sizeof(parts) / sizeof(parts[0]))]);
		}
		if (labels > 0 || dice(2) == 0) {
			buf_add_byte(text, '.');
		}
	}
}

/* Quoted; `plain` leaves out what is printed with a backslash. */
static void add_random_string(struct buf *text, bool plain)
{
	uint32_t left = 1 + dice(dice(4) == 0 ? 255 : 24);

	buf_add_byte(text, '"');
	while (left-- > 0) {
		uint32_t byte = plain ? ' ' + dice(0x7f - ' ') : dice(256);

		if (byte == '"' || byte == '\\') {
			buf_add_text(text, plain ? ";" : byte == '"' ? "\\\"" : "\\\\");
		} else if (byte < ' ' || byte == 0x7f || dice(20) == 0) {
			buf_addf(text, "\\%03u", byte);
		} else {
			buf_add_byte(text, (char)byte);
		}
	}
	buf_add_byte(text, '"');
}

/* A letter for each field: 4 6 addresses, b h numbers of one and two octets, n name, t tag, s one
 * string, S several. */
static void add_random_fields(struct buf *text, const char *form)
{
	bool plain = dice(3) != 0;
	uint32_t i;

	for (; *form != '\0'; form++) {
		buf_add_byte(text, ' ');
		switch (*form) {
		case '4':
			buf_addf(text, "%u.%u.%u.%u", dice(256), dice(256), dice(256), dice(256));
			break;
		case '6':
			for (i = 0; i < 8; i++) {
				buf_addf(text, i == 0 ? "%x" : ":%x",
					 dice(2) == 0 ? 0 : dice(65536));
			}
			break;
		case 'b':
			buf_addf(text, "%u", dice(256));
			break;
		case 'h':
			buf_addf(text, "%u", dice(65536));
			break;
		case 'n':
			add_random_name(text);
			break;
		case 't':
			buf_addf(text, "%s%u", dice(2) == 0 ? "issue" : "Tag", dice(1000));
			break;
		default:
			for (i = *form == 's' ? 1 : 1 + dice(4); i > 0; i--) {
				add_random_string(text, plain);
				buf_add_byte(text, ' ');
			}
		}
	}
	buf_add_byte(text, '\n');
}

static void ldns_reads_what_we_print_of_random_records(void **state)
{
	static const char *const forms[][2] = {
		{"A", "4"},     {"AAAA", "6"},  {"NS", "n"},     {"CNAME", "n"},
		{"PTR", "n"},   {"MX", "hn"},   {"TXT", "S"},    {"SPF", "S"},
		{"CAA", "bts"}, {"DNAME", "n"}, {"SRV", "hhhn"},
	};
	struct buf text = BUF_INIT(1 << 20);
	int round;
	int i;

	(void)state;
	for (round = 0; round < 300; round++) {
		struct zone *zone;

		buf_clear(&text);
		buf_add_text(&text, "@ 60 SOA ");
		add_random_name(&text);
		buf_add_byte(&text, ' ');
		add_random_name(&text);
		buf_addf(&text, " %u %u %u %u %u\n@ 60 NS ns.hoster.example.\n", dice(UINT32_MAX),
			 dice(INT32_MAX), dice(INT32_MAX), dice(INT32_MAX), dice(INT32_MAX));
		for (i = 0; i < 30; i++) {
			size_t kind = dice(sizeof(forms) / sizeof(forms[0]));

			buf_addf(&text, "r%d%s %u %s", i, dice(4) == 0 ? "\\(\\200.x" : "",
				 dice(INT32_MAX), forms[kind][0]);
			add_random_fields(&text, forms[kind][1]);
		}
		zone = zone_of(&text);
		if (!ldns_reads_the_same(zone)) {
			fail_msg("ldns reads something else in:\n%s", buf_text(&text));
		}
		zone_destroy(zone);
	}
	buf_finish(&text);
}

static void add_text_record(struct buf *text, const char *owner, size_t strings, const char *byte)
{
	size_t i;
	size_t j;

	buf_addf(text, "%s TXT", owner);
	for (i = 0; i < strings; i++) {
		buf_add_text(text, " \"");
		for (j = 0; j < 255; j++) {
			buf_add_text(text, byte);
		}
		buf_add_text(text, "\"");
	}
	buf_add_text(text, "\n");
}

static void long_rdata_is_served_up_to_65535_octets(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct zone *zone;

	(void)state;
	buf_add_text(&text, HEAD);
	add_text_record(&text, "plain", 235, "a");
	add_text_record(&text, "binary", 255, "\\200"); /* a line of 261 kB */
	zone = zone_of(&text);
	assert_int_equal(zone_record_count(zone), 4);
	assert_int_equal(zone_warning_count(zone), 2);
	zone_destroy(zone);
	add_text_record(&text, "over", 256, "a");
	assert_refused(&text, "TXT record of over.example.com: its data is over 65535 bytes");
	buf_finish(&text);
}

static void large_rrset_is_no_reason_to_refuse(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct zone *zone;
	int i;

	(void)state;
	buf_add_text(&text, HEAD);
	for (i = 0; i < 250; i++) {
		buf_addf(&text, "www A 192.0.2.%d\n", i);
	}
	zone = zone_of(&text);
	assert_int_equal(zone_record_count(zone), 252);
	assert_int_equal(zone_rrset_count(zone), 3);
	zone_destroy(zone);
	buf_finish(&text);
}

static void records_are_limited(void **state)
{
	struct buf text = BUF_INIT(4 << 20);
	struct zone *zone;
	int i;

	(void)state;
	buf_add_text(&text, HEAD);
	for (i = 2; i < 50000; i++) {
		buf_addf(&text, "host%d 300 A 192.0.2.1\n", i);
	}
	zone = zone_of(&text);
	assert_int_equal(zone_record_count(zone), 50000);
	zone_destroy(zone);
	buf_add_text(&text, "one-more A 192.0.2.1\n");
	assert_refused(&text, "line 50002: the zone has over 50000 records");
	buf_finish(&text);
}

static void text_and_ttl_are_limited(void **state)
{
	struct name name = name_of("example.com");
	struct zone_limits small = ZONE_LIMITS_DEFAULT;
	struct zone *zone = NULL;
	struct reason why = {0};

	(void)state;
	small.text_bytes = strlen(HEAD) - 1;
	assert_int_equal(zone_parse(&name, span_of(HEAD), &small, &zone, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "are the most"));
	small.text_bytes++;
	small.ttl_max = 3599;
	assert_int_equal(zone_parse(&name, span_of(HEAD), &small, &zone, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "line 1: '3600' is not a TTL (seconds up to 3599"));
	small.ttl_max = 3600;
	small.rdata_bytes = 16;
	assert_int_equal(zone_parse(&name, span_of(HEAD), &small, &zone, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "over 16 bytes"));
	assert_null(zone);
}

static void warnings_beyond_the_ceiling_are_counted(void **state)
{
	struct buf text = BUF_INIT(1 << 16);
	struct zone *zone;
	int i;

	(void)state;
	buf_add_text(&text, HEAD);
	for (i = 0; i < 30; i++) {
		buf_addf(&text, "h_%d A 192.0.2.1\n", i);
	}
	zone = zone_of(&text);
	assert_int_equal(zone_warning_count(zone), 21);
	assert_string_equal(zone_warnings(zone)[20], "and 10 more warnings");
	assert_int_equal(strncmp(zone_warnings(zone)[0], "line 4: h_0.example.com: ", 25), 0);
	zone_destroy(zone);
	buf_finish(&text);
}

static void reasons_hold_no_raw_bytes(void **state)
{
	struct buf text = BUF_INIT(4096);
	struct zone *zone = NULL;
	struct reason why = {0};
	size_t i;

	(void)state;
	buf_add_text(&text, HEAD "www A \xff\xfe\"\n");
	assert_int_equal(parse(buf_span(&text), &zone, &why), PERMFAIL);
	buf_clear(&text);
	buf_add_text(&text, HEAD "w\xffw A \xff\xfe\n");
	assert_int_equal(parse(buf_span(&text), &zone, &why), PERMFAIL);
	assert_string_equal(why.text, "line 4: A record of w\\255w.example.com: \\255\\254 is not "
				      "an IPv4 address");
	for (i = 0; i < strlen(why.text); i++) {
		assert_in_range(why.text[i], ' ', '~');
	}
	buf_finish(&text);
}

static void endless_looking_texts_end(void **state)
{
	static const char *const fillers[] = {"\n", ";", "(", ")", "\"", "\\", "a", " ", "a "};
	struct buf text = BUF_INIT(4 << 20);
	struct zone *zone = NULL;
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
		buf_clear(&text);
		for (j = 0; j < 1000000; j++) {
			buf_add_text(&text, fillers[i]);
		}
		assert_int_equal(parse(buf_span(&text), &zone, NULL), PERMFAIL);
	}
	buf_finish(&text);
}

static void every_cut_of_a_zone_is_survived(void **state)
{
	struct buf text = BUF_INIT(1 << 16);
	size_t len;

	(void)state;
	assert_true(load("valid", "types.zone", &text));
	for (len = 0; len <= text.len; len++) {
		struct zone *zone = NULL;
		char *copy = xmalloc(len); /* so that a sanitizer sees its end */

		memcpy(copy, text.data, len);
		(void)parse((struct span){copy, len}, &zone, NULL); /* either is right */
		zone_destroy(zone);
		free(copy);
	}
	buf_finish(&text);
}

/* An AXFR of example.com: SOA, NS, A of www, SOA; names compressed, letters in mixed case. */
#define QUESTION "\7Example\3com\0\0\xfc\0\1"
#define SOA_RR                                                                             \
	"\xc0\x0c\0\6\0\1\0\0\x0e\x10\0\x35\3NS1\6hoster\7example\0\x0ahostmaster\xc0\x0c" \
	"\x78\xc4\x04\x64\0\0\x0e\x10\0\0\x0e\x10\0\x12\x75\0\0\1\x51\x80"
#define NS_RR "\xc0\x0c\0\2\0\1\0\0\x0e\x10\0\x14\3ns1\6hoster\7example\0"
#define A_RR "\3WWW\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4\xc0\0\2\1"
#define MESSAGE(bytes) ((struct span){bytes, sizeof(bytes) - 1})

static void assert_no_zone(const struct span *messages, size_t count, const char *expected)
{
	char digest[DIGEST_HEX_SIZE] = "as it was";
	struct reason why = {0};
	uint32_t serial = 7;

	assert_int_equal(zone_digest_transfer(messages, count, digest, &serial, &why), PERMFAIL);
	if (strstr(why.text, expected) == NULL) {
		fail_msg("wanted '%s', got '%s'", expected, why.text);
	}
	assert_string_equal(digest, "as it was");
	assert_int_equal(serial, 7);
}

static void transfer_has_the_digest_of_the_pushed_zone(void **state)
{
	static const struct span messages[] = {
		MESSAGE("\0\1\x84\0\0\1\0\2\0\0\0\0" QUESTION SOA_RR NS_RR),
		MESSAGE("\0\1\x84\0\0\1\0\2\0\0\0\0" QUESTION A_RR SOA_RR),
	};
	struct buf text = BUF_INIT(4096);
	char digest[DIGEST_HEX_SIZE];
	struct zone *zone;
	uint32_t serial;

	(void)state;
	buf_add_text(&text, HEAD "www A 192.0.2.1\n");
	zone = zone_of(&text);
	assert_int_equal(zone_digest_transfer(messages, 2, digest, &serial, NULL), OK);
	assert_string_equal(digest, zone_digest(zone));
	assert_int_equal(serial, 2026112100);
	zone_destroy(zone);
	buf_finish(&text);
}

static void incomplete_transfers_are_no_zone(void **state)
{
	static const struct span open[] = {
		MESSAGE("\0\1\x84\0\0\1\0\2\0\0\0\0" QUESTION SOA_RR NS_RR),
	};
	static const struct span headless[] = {
		MESSAGE("\0\1\x84\0\0\1\0\2\0\0\0\0" QUESTION NS_RR SOA_RR),
	};
	static const struct span refused[] = {MESSAGE("\0\1\x84\5\0\1\0\0\0\0\0\0" QUESTION)};
	static const struct span query[] = {MESSAGE("\0\1\0\0\0\1\0\0\0\0\0\0" QUESTION)};
	static const struct span after[] = {
		MESSAGE("\0\1\x84\0\0\1\0\3\0\0\0\0" QUESTION SOA_RR SOA_RR NS_RR),
	};

	(void)state;
	assert_no_zone(NULL, 0, "before its closing SOA");
	assert_no_zone(open, 1, "before its closing SOA");
	assert_no_zone(headless, 1, "first record is no SOA");
	assert_no_zone(refused, 1, "rcode 5");
	assert_no_zone(query, 1, "no whole answer");
	assert_no_zone(after, 1, "follows the closing SOA");
}

static void every_cut_of_a_transfer_is_refused(void **state)
{
	static const struct span whole =
		MESSAGE("\0\1\x84\0\0\1\0\4\0\0\0\0" QUESTION SOA_RR NS_RR A_RR SOA_RR);
	char digest[DIGEST_HEX_SIZE];
	uint32_t serial;
	size_t len;

	(void)state;
	assert_int_equal(zone_digest_transfer(&whole, 1, digest, &serial, NULL), OK);
	for (len = 0; len < whole.len; len++) {
		char *copy = xmalloc(len); /* so that a sanitizer sees its end */
		struct span cut = {copy, len};

		memcpy(copy, whole.data, len);
		assert_int_equal(zone_digest_transfer(&cut, 1, digest, &serial, NULL), PERMFAIL);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_invalid_zone_is_refused_for_its_reason),
		cmocka_unit_test(every_valid_zone_prints_as_expected_and_reads_back),
		cmocka_unit_test(pushed_zone_becomes_canonical_rrsets),
		cmocka_unit_test(order_and_spelling_do_not_change_the_digest),
		cmocka_unit_test(ldns_reads_what_we_print_of_random_records),
		cmocka_unit_test(long_rdata_is_served_up_to_65535_octets),
		cmocka_unit_test(large_rrset_is_no_reason_to_refuse),
		cmocka_unit_test(records_are_limited),
		cmocka_unit_test(text_and_ttl_are_limited),
		cmocka_unit_test(warnings_beyond_the_ceiling_are_counted),
		cmocka_unit_test(reasons_hold_no_raw_bytes),
		cmocka_unit_test(endless_looking_texts_end),
		cmocka_unit_test(every_cut_of_a_zone_is_survived),
		cmocka_unit_test(transfer_has_the_digest_of_the_pushed_zone),
		cmocka_unit_test(incomplete_transfers_are_no_zone),
		cmocka_unit_test(every_cut_of_a_transfer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
