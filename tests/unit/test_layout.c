/* SPDX-License-Identifier: Apache-2.0 */
/* Zones become rows and come back. What PowerDNS 4.7 and CoreDNS make of such rows was tried on the
 * real ones; here stands what came of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>

#include <cmocka.h>

#include "common/layout.h"
#include "common/zone_lexer.h"
#include "common/zone_rdata.h"

#define DATA "tests/data/zones/valid"
#define HEAD                                                                                 \
	"$TTL 3600\n"                                                                        \
	"@ IN SOA ns1.hoster.example. hostmaster.example.com. 2026112100 3600 3600 1209600 " \
	"86400\n"                                                                            \
	"@ IN NS ns1.hoster.example.\n"
#define SHA256_DS "DS 12345 13 2 ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB\n"
#define KEY \
	"mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="

/* One record of every type that a zone may hold, but of those that only a signed one holds. */
#define ALL_TYPES                                                                               \
	HEAD "a A 192.0.2.1\n"                                                                  \
	     "aaaa AAAA 2001:db8::1\n"                                                          \
	     "cname CNAME Target.Other.example.\n"                                              \
	     "mb MB host.other.example.\n"                                                      \
	     "mg MG host.other.example.\n"                                                      \
	     "mr MR host.other.example.\n"                                                      \
	     "null NULL \\# 4 01020304\n"                                                       \
	     "ptr PTR host.other.example.\n"                                                    \
	     "hinfo HINFO PC Linux\n"                                                           \
	     "minfo MINFO a.other.example. b.other.example.\n"                                  \
	     "mx MX 10 mail\n"                                                                  \
	     "mx MX 20 mail.other.example.\n"                                                   \
	     "nomail MX 0 .\n"                                                                  \
	     "txt TXT \"ends in a dot.\" \"in two. (parts); \\\"quoted\\\" \\000\\255.\" a.\n"  \
	     "txt TXT \"\"\n"                                                                   \
	     "rp RP admin.other.example. .\n"                                                   \
	     "afsdb AFSDB 1 afs.other.example.\n"                                               \
	     "x25 X25 311061700956\n"                                                           \
	     "isdn ISDN 150862028003217 004\n"                                                  \
	     "rt RT 2 relay.other.example.\n"                                                   \
	     "nsap NSAP 0x47000580ffff000000321099991111222233334444\n"                         \
	     "sig SIG A 13 3 3600 20301231000000 20261101000000 12345 example.com. AAAA\n"      \
	     "key KEY 256 3 13 " KEY "\n"                                                       \
	     "px PX 10 map822.other.example. mapx400.other.example.\n"                          \
	     "gpos GPOS -32.6882 116.8652 10.0\n"                                               \
	     "loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m\n"                   \
	     "eid EID 01020304\n"                                                               \
	     "nimloc NIMLOC 01020304\n"                                                         \
	     "_x._tcp SRV 10 20 5060 sip.other.example.\n"                                      \
	     "_no._tcp SRV 0 0 0 .\n"                                                           \
	     "naptr NAPTR 100 10 S SIP+D2U \"!^.*$!sip:info@example.com!\" .\n"                 \
	     "naptr NAPTR 100 20 u E2U+sip \"\" _sip._udp.other.example.\n"                     \
	     "kx KX 10 kx.other.example.\n"                                                     \
	     "cert CERT PKIX 1 RSASHA256 MIIBAA==\n"                                            \
	     "dname DNAME other.example.\n"                                                     \
	     "apl APL 1:192.168.32.0/21 !2:2001:db8::/32\n"                                     \
	     "ds NS ns.other.example.\n"                                                        \
	     "ds " SHA256_DS "sshfp SSHFP 4 2 "                                                 \
	     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\n"               \
	     "ipseckey IPSECKEY 10 1 2 192.0.2.38 AQID\n"                                       \
	     "ipseckey IPSECKEY 10 3 2 gate.other.example. AQID\n"                              \
	     "dhcid DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=\n"                   \
	     "@ DNSKEY 257 3 13 " KEY "\n"                                                      \
	     "@ NSEC3PARAM 1 0 0 -\n"                                                           \
	     "tlsa TLSA 3 1 1 "                                                                 \
	     "abababababababababababababababababababababababababababababababab\n"               \
	     "smimea SMIMEA 3 0 0 abcd\n"                                                       \
	     "hip HIP 2 200100107B1A74DF365639CC39F1D578 AQID rvs.other.example.\n"             \
	     "talink TALINK a.other.example. b.other.example.\n"                                \
	     "cds CDS 0 0 0 00\n"                                                               \
	     "cdnskey CDNSKEY 0 3 0 AA==\n"                                                     \
	     "openpgpkey OPENPGPKEY MIIBAA==\n"                                                 \
	     "csync CSYNC 66 3 A NS AAAA\n"                                                     \
	     "zonemd ZONEMD 1 1 1 "                                                             \
	     "616c6c6f776564206275742069676e6f7265642e20616c6c6f776564206275742069676e6f726564" \
	     "2e20616c6c6f7765\n"                                                               \
	     "svcb SVCB 1 foo.other.example. alpn=\"h2,h3\" port=8004 key667=end.\n"            \
	     "https HTTPS 1 . alpn=h2 mandatory=alpn\n"                                         \
	     "alias HTTPS 0 foo.other.example.\n"                                               \
	     "spf SPF \"v=spf1 -all\"\n"                                                        \
	     "nid NID 10 0014:4fff:ff20:ee64\n"                                                 \
	     "l32 L32 10 10.1.2.0\n"                                                            \
	     "l64 L64 10 2001:0db8:1140:1000\n"                                                 \
	     "lp LP 10 l64.other.example.\n"                                                    \
	     "eui EUI48 00-00-5e-00-53-2a\n"                                                    \
	     "eui EUI64 00-00-5e-ef-10-00-00-2a\n"                                              \
	     "uri URI 10 1 \"ftp://ftp.example.com/.\"\n"                                       \
	     "caa CAA 0 issue \"letsencrypt.org; validationmethods=dns-01\"\n"                  \
	     "dlv DLV 12345 13 2 "                                                              \
	     "abababababababababababababababababababababababababababababababab\n"               \
	     "t65280 TYPE65280 \\# 4 01020304\n"                                                \
	     "t65280 TYPE65281 \\# 0\n"                                                         \
	     "* TXT any\n"                                                                      \
	     "*.sub A 192.0.2.2\n"                                                              \
	     "a\\.b A 192.0.2.1\n"                                                              \
	     "my\\032printer._http._tcp SRV 0 0 80 Its\\032Name\\;.other.example.\n"            \
	     "o'brien A 192.0.2.1\n"                                                            \
	     "x\\;\\(y\\) A 192.0.2.1\n"                                                        \
	     "deep.x\\;\\(z\\) A 192.0.2.1\n"                                                   \
	     "gr\\195\\188n A 192.0.2.1\n"

static const struct zone_limits limits = ZONE_LIMITS_DEFAULT;
static const struct layout_widths wide = {512, 10, 65536};

/* --- from text to rows ------------------------------------------------------------------------ */

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_parse(span_of(text), &name, NULL), OK);
	return name;
}

static struct zone *zone_of(struct span text)
{
	struct name name = name_of("example.com");
	struct reason why = {0};
	struct zone *zone = NULL;

	if (zone_parse(&name, text, &limits, &zone, &why) != OK) {
		fail_msg("refused: %s in\n%.*s", why.text, (int)text.len, text.data);
	}
	return zone;
}

static struct zone_event value_of(const struct zone *zone)
{
	return (struct zone_event){
		.zone = *zone_name(zone),
		.rrsets = zone_rrsets(zone),
		.rrset_count = zone_rrset_count(zone),
	};
}

static struct rows rows_of(const struct layout *layout, const struct zone *zone)
{
	struct zone_event value = value_of(zone);
	struct rows rows = ROWS_INIT;
	struct reason why = {0};

	if (layout->rows_of(&value, &wide, &rows, &why) != OK) {
		fail_msg("%s", why.text);
	}
	return rows;
}

static void add_text(struct buf *out, struct span text)
{
	if (text.data == NULL) {
		buf_add_text(out, "NULL");
	}
	buf_add(out, text);
}

/* name|type|data|ttl|prio|auth, a line each, of the names that hold `part`. */
static void describe(const struct rows *rows, const char *part, struct buf *out)
{
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];

		assert_true(row->served);
		assert_int_equal(row->id, 0);
		if (memmem(row->name.data, row->name.len, part, strlen(part)) == NULL) {
			continue;
		}
		add_text(out, row->name);
		buf_add_byte(out, '|');
		add_text(out, row->type);
		buf_add_byte(out, '|');
		add_text(out, row->data);
		buf_addf(out, "|%d|%d|%d\n", (int)row->ttl, (int)row->prio, row->auth);
	}
}

static void assert_rows(const struct layout *layout, const char *text, const char *part,
			const char *expected)
{
	struct zone *zone = zone_of(span_of(text));
	struct rows rows = rows_of(layout, zone);
	struct buf found = BUF_INIT(1 << 16);

	describe(&rows, part, &found);
	assert_string_equal(buf_text(&found), expected);
	buf_finish(&found);
	rows_finish(&rows);
	zone_destroy(zone);
}

static void assert_no_rows(const struct layout *layout, const char *text,
			   const struct layout_widths *widths, const char *expected)
{
	struct zone *zone = zone_of(span_of(text));
	struct zone_event value = value_of(zone);
	struct rows rows = ROWS_INIT;
	struct reason why = {0};

	assert_int_equal(layout->rows_of(&value, widths, &rows, &why), PERMFAIL);
	assert_int_equal(rows.count, 0);
	if (strstr(why.text, expected) == NULL) {
		fail_msg("wanted '%s', got '%s'", expected, why.text);
	}
	zone_destroy(zone);
}

/* --- layouts and their names ------------------------------------------------------------------ */

static const struct layout *const both[] = {&layout_coredns, &layout_powerdns};

static void layout_is_found_by_the_type_of_its_stanza(void **state)
{
	(void)state;
	assert_ptr_equal(layout_by_type("coredns_mysql"), &layout_coredns);
	assert_ptr_equal(layout_by_type("powerdns_mysql"), &layout_powerdns);
	assert_null(layout_by_type("bind"));
	assert_null(layout_by_type(""));
}

static void zone_name_has_its_final_dot_in_one_layout_only(void **state)
{
	struct name zone = name_of("example.com");
	char text[NAME_TEXT_MAX + 2];
	struct name found;

	(void)state;
	layout_coredns.zone_text(&zone, text);
	assert_string_equal(text, "example.com.");
	assert_true(layout_coredns.zone_of(span_of(text), &found));
	assert_true(name_equal(&zone, &found));
	assert_false(layout_powerdns.zone_of(span_of(text), &found));

	layout_powerdns.zone_text(&zone, text);
	assert_string_equal(text, "example.com");
	assert_true(layout_powerdns.zone_of(span_of("Example.COM"), &found));
	assert_true(name_equal(&zone, &found));
	assert_false(layout_coredns.zone_of(span_of(text), &found));
}

static void longest_zone_name_fits(void **state)
{
	char long_name[NAME_TEXT_MAX + 1];
	char text[NAME_TEXT_MAX + 2];
	struct name found;
	struct name zone;
	size_t i;

	(void)state;
	memset(long_name, 'a', NAME_TEXT_MAX);
	long_name[NAME_TEXT_MAX] = '\0';
	long_name[63] = long_name[127] = long_name[191] = '.';
	zone = name_of(long_name);
	for (i = 0; i < 2; i++) {
		both[i]->zone_text(&zone, text);
		assert_int_equal(strlen(text), NAME_TEXT_MAX + (i == 0));
		assert_true(both[i]->zone_of(span_of(text), &found));
		assert_true(name_equal(&zone, &found));
	}
}

static void foreign_text_is_no_zone_name(void **state)
{
	static const char *const texts[] = {"",      ".",          "com",     "com.",
					    "../x.", "a..example", "a b.com", "example.com..",
					    "-a.b",  "`zones`.x."};
	struct name before = name_of("before.example");
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct name name = before;

		assert_false(layout_coredns.zone_of(span_of(texts[i]), &name));
		assert_false(layout_powerdns.zone_of(span_of(texts[i]), &name));
		assert_true(name_equal(&name, &before));
	}
}

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	while ((text = strstr(text, part)) != NULL) {
		text += strlen(part);
		count++;
	}
	return count;
}

static void statements_take_the_parameters_that_the_header_names(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		const struct layout *layout = both[i];
		const char *selects[] = {layout->select_zones, layout->select_rows,
					 layout->count_rows};
		const char *with_one[] = {layout->insert_zone, layout->delete_zone,
					  layout->delete_row, layout->delete_rows};
		size_t s;

		for (s = 0; s < 3; s++) {
			assert_int_equal(count_of(selects[s], "(%s)"), 1);
			assert_int_equal(count_of(selects[s], "%"), 1);
			assert_int_equal(count_of(selects[s], "?"), 0);
		}
		for (s = 0; s < 4; s++) {
			assert_int_equal(count_of(with_one[s], "?"), 1);
		}
		assert_int_equal(count_of(layout->insert_row, "?"), layout->row_columns);
	}
	assert_int_equal(layout_coredns.row_columns, 6);
	assert_int_equal(layout_powerdns.row_columns, 8);
}

static void deleted_zone_has_no_rows(void **state)
{
	struct zone *zone = zone_of(span_of(HEAD));
	struct zone_event value = value_of(zone);
	size_t i;

	(void)state;
	value.deleted = true;
	for (i = 0; i < 2; i++) {
		struct rows rows = ROWS_INIT;

		assert_int_equal(both[i]->rows_of(&value, &wide, &rows, NULL), OK);
		assert_int_equal(rows.count, 0);
		rows_finish(&rows);
	}
	zone_destroy(zone);
}

/* --- coredns -----------------------------------------------------------------------------------
 */

static void coredns_hostnames_are_relative_and_data_is_absolute(void **state)
{
	(void)state;
	assert_rows(
		&layout_coredns,
		HEAD "@ MX 10 mail\n"
		     "* 60 A 192.0.2.1\n"
		     "*.sub A 192.0.2.2\n"
		     "www.sub CNAME WWW\n"
		     "t TXT \"a; b\" c\n",
		"",
		"@|SOA|ns1.hoster.example. hostmaster.example.com. 2026112100 3600 3600 1209600 "
		"86400|3600|0|1\n"
		"@|NS|ns1.hoster.example.|3600|0|1\n"
		"@|MX|10 mail.example.com.|3600|0|1\n"
		"*|A|192.0.2.1|60|0|1\n"
		"*.sub|A|192.0.2.2|3600|0|1\n"
		"www.sub|CNAME|www.example.com.|3600|0|1\n"
		"t|TXT|\"a; b\" \"c\"|3600|0|1\n");
}

static void every_record_of_an_rrset_is_a_row(void **state)
{
	(void)state;
	assert_rows(&layout_coredns, HEAD "www 300 A 192.0.2.2\nwww 300 A 192.0.2.1\n", "www",
		    "www|A|192.0.2.1|300|0|1\nwww|A|192.0.2.2|300|0|1\n");
	assert_rows(&layout_powerdns, HEAD "www 300 A 192.0.2.2\nwww 300 A 192.0.2.1\n", "www",
		    "www.example.com|A|192.0.2.1|300|0|1\nwww.example.com|A|192.0.2.2|300|0|1\n");
}

static void coredns_finds_names_as_it_spells_them(void **state)
{
	(void)state;
	assert_rows(&layout_coredns,
		    HEAD "my\\032printer A 192.0.2.1\n"
			 "o'brien A 192.0.2.2\n"
			 "a\\.b A 192.0.2.3\n"
			 "x\\;y A 192.0.2.4\n"
			 "gr\\195\\188n A 192.0.2.5\n",
		    "n",
		    "gr\\195\\188n|A|192.0.2.5|3600|0|1\n"
		    "my\\ printer|A|192.0.2.1|3600|0|1\n"
		    "o\\'brien|A|192.0.2.2|3600|0|1\n");
	assert_rows(&layout_coredns, HEAD "a\\.b A 192.0.2.3\n", "b",
		    "a\\.b|A|192.0.2.3|3600|0|1\n");
	assert_rows(&layout_coredns, HEAD "x\\;y A 192.0.2.4\n", "y",
		    "x\\;y|A|192.0.2.4|3600|0|1\n");
}

/* --- powerdns ----------------------------------------------------------------------------------
 */

static void powerdns_names_have_no_final_dot(void **state)
{
	(void)state;
	assert_rows(
		&layout_powerdns,
		HEAD "@ MX 10 mail\n"
		     "* 60 A 192.0.2.1\n"
		     "a CNAME WWW\n"
		     "b PTR www\n"
		     "c DNAME other.example.\n"
		     "d MX 0 .\n"
		     "e SRV 1 2 3 www\n"
		     "f SRV 4 0 0 .\n"
		     "g RP a.example.com. .\n"
		     "h NAPTR 1 2 \"S.\" \"\" \"a b.\" x.example.com.\n"
		     "i HTTPS 1 www alpn=h2 key667=end.\n"
		     "j TXT \"ends in a dot.\" b.\n"
		     "k MINFO a.example. b.example.\n",
		"example.com",
		"example.com|SOA|ns1.hoster.example hostmaster.example.com 2026112100 3600 3600 "
		"1209600 86400|3600|0|1\n"
		"example.com|NS|ns1.hoster.example|3600|0|1\n"
		"example.com|MX|mail.example.com|3600|10|1\n"
		"*.example.com|A|192.0.2.1|60|0|1\n"
		"a.example.com|CNAME|www.example.com|3600|0|1\n"
		"b.example.com|PTR|www.example.com|3600|0|1\n"
		"c.example.com|DNAME|other.example|3600|0|1\n"
		"d.example.com|MX|.|3600|0|1\n"
		"e.example.com|SRV|2 3 www.example.com|3600|1|1\n"
		"f.example.com|SRV|0 0 .|3600|4|1\n"
		"g.example.com|RP|a.example.com .|3600|0|1\n"
		"h.example.com|NAPTR|1 2 \"S.\" \"\" \"a b.\" x.example.com|3600|0|1\n"
		"i.example.com|HTTPS|1 www.example.com alpn=h2 key667=end.|3600|0|1\n"
		"j.example.com|TXT|\"ends in a dot.\" \"b.\"|3600|0|1\n"
		"k.example.com|MINFO|a.example b.example|3600|0|1\n");
}

static void powerdns_finds_names_as_it_spells_them(void **state)
{
	(void)state;
	assert_rows(
		&layout_powerdns,
		HEAD "x\\;\\(y\\) A 192.0.2.1\n"
		     "a\\.b A 192.0.2.2\n"
		     "my\\032printer A 192.0.2.3\n",
		"example.com",
		"example.com|SOA|ns1.hoster.example hostmaster.example.com 2026112100 3600 3600 "
		"1209600 86400|3600|0|1\n"
		"example.com|NS|ns1.hoster.example|3600|0|1\n"
		"a\\.b.example.com|A|192.0.2.2|3600|0|1\n"
		"my\\032printer.example.com|A|192.0.2.3|3600|0|1\n"
		"x;(y).example.com|A|192.0.2.1|3600|0|1\n");
}

static void name_without_records_above_another_is_a_row_without_type(void **state)
{
	(void)state;
	assert_rows(&layout_powerdns,
		    HEAD "a.b.c A 192.0.2.1\n"
			 "b.b.c A 192.0.2.1\n"
			 "x.d.c A 192.0.2.1\n"
			 "f A 192.0.2.1\n"
			 "a.e.f A 192.0.2.1\n"
			 "*.w A 192.0.2.1\n"
			 "a\\.g.k A 192.0.2.1\n",
		    ".example.com",
		    "b.c.example.com|NULL|NULL|-1|0|1\n"
		    "c.example.com|NULL|NULL|-1|0|1\n"
		    "a.b.c.example.com|A|192.0.2.1|3600|0|1\n"
		    "b.b.c.example.com|A|192.0.2.1|3600|0|1\n"
		    "d.c.example.com|NULL|NULL|-1|0|1\n"
		    "x.d.c.example.com|A|192.0.2.1|3600|0|1\n"
		    "f.example.com|A|192.0.2.1|3600|0|1\n"
		    "e.f.example.com|NULL|NULL|-1|0|1\n"
		    "a.e.f.example.com|A|192.0.2.1|3600|0|1\n"
		    "k.example.com|NULL|NULL|-1|0|1\n"
		    "a\\.g.k.example.com|A|192.0.2.1|3600|0|1\n"
		    "w.example.com|NULL|NULL|-1|0|1\n"
		    "*.w.example.com|A|192.0.2.1|3600|0|1\n");
}

static void nothing_is_authoritative_at_and_below_a_delegation_but_its_ds(void **state)
{
	(void)state;
	assert_rows(&layout_powerdns,
		    HEAD "cut NS ns.cut\n"
			 "cut " SHA256_DS "cut A 192.0.2.1\n"
			 "ns.cut A 192.0.2.1\n"
			 "inner.cut NS ns.cut\n"
			 "inner.cut " SHA256_DS "cutter A 192.0.2.1\n",
		    "cut",
		    "cut.example.com|A|192.0.2.1|3600|0|0\n"
		    "cut.example.com|NS|ns.cut.example.com|3600|0|0\n"
		    "cut.example.com|DS|12345 13 2 "
		    "abababababababababababababababababababababababababababababababab|3600|0|1\n"
		    "inner.cut.example.com|NS|ns.cut.example.com|3600|0|0\n"
		    "inner.cut.example.com|DS|12345 13 2 "
		    "abababababababababababababababababababababababababababababababab|3600|0|0\n"
		    "ns.cut.example.com|A|192.0.2.1|3600|0|0\n"
		    "cutter.example.com|A|192.0.2.1|3600|0|1\n");
}

/* As `pdnsutil rectify-zone` leaves them. */
static void name_without_records_is_authoritative_if_one_below_it_is(void **state)
{
	(void)state;
	assert_rows(
		&layout_powerdns,
		HEAD "x.one NS ns1.hoster.example.\n"
		     "x.one " SHA256_DS "x.two NS ns.y.x.two\n"
		     "ns.y.x.two A 192.0.2.1\n"
		     "y.two A 192.0.2.1\n",
		"o",
		"example.com|SOA|ns1.hoster.example hostmaster.example.com 2026112100 3600 3600 "
		"1209600 86400|3600|0|1\n"
		"example.com|NS|ns1.hoster.example|3600|0|1\n"
		"one.example.com|NULL|NULL|-1|0|0\n"
		"x.one.example.com|NS|ns1.hoster.example|3600|0|0\n"
		"x.one.example.com|DS|12345 13 2 "
		"abababababababababababababababababababababababababababababababab|3600|0|1\n"
		"two.example.com|NULL|NULL|-1|0|1\n"
		"x.two.example.com|NS|ns.y.x.two.example.com|3600|0|0\n"
		"y.x.two.example.com|NULL|NULL|-1|0|0\n"
		"ns.y.x.two.example.com|A|192.0.2.1|3600|0|0\n"
		"y.two.example.com|A|192.0.2.1|3600|0|1\n");
}

static void type_that_powerdns_does_not_know_becomes_octets(void **state)
{
	(void)state;
	assert_rows(&layout_powerdns,
		    HEAD "t1 X25 311061700956\n"
			 "t2 RT 2 a.example.\n"
			 "t3 NULL \\# 2 0102\n"
			 "t4 CERT PKIX 1 RSASHA256 MIIBAA==\n"
			 "t5 TYPE65280 \\# 1 ff\n",
		    "t",
		    "t1.example.com|TYPE19|\\# 13 0c333131303631373030393536|3600|0|1\n"
		    "t2.example.com|TYPE21|\\# 13 00020161076578616d706c6500|3600|0|1\n"
		    "t3.example.com|TYPE10|\\# 2 0102|3600|0|1\n"
		    "t4.example.com|CERT|1 1 8 MIIBAA==|3600|0|1\n"
		    "t5.example.com|TYPE65280|\\# 1 ff|3600|0|1\n");
}

static void record_that_powerdns_cannot_serve_is_refused_by_name(void **state)
{
	static const struct {
		const char *record;
		const char *expected;
	} rows[] = {
		{"x TYPE65402 \\# 1 00", "TYPE65402 of x.example.com: PowerDNS cannot serve it "
					 "from a table: it takes it for LUA"},
		{"x TYPE65401 \\# 1 00", "TYPE65401 of x.example.com: PowerDNS cannot serve it "
					 "from a table: it takes it for ALIAS"},
		{"x TYPE57 \\# 5 0000030d01", "TYPE57 of x.example.com: PowerDNS cannot serve it "
					      "from a table: it takes it for RKEY"},
		{"x IPSECKEY 10 0 2 . AQID", "IPSECKEY of x.example.com: PowerDNS cannot serve it "
					     "from a table: an IPSECKEY without a gateway"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];

		(void)snprintf(text, sizeof(text), HEAD "%s\n", rows[i].record);
		assert_no_rows(&layout_powerdns, text, &wide, rows[i].expected);
	}
}

/* --- what the columns hold ---------------------------------------------------------------------
 */

static void column_that_is_too_narrow_is_named_with_its_width(void **state)
{
	static const char text[] = HEAD "long.name A 192.0.2.1\nt TXT \"0123456789012345678901\"\n"
					"p TYPE65280 \\# 0\n";

	(void)state;
	assert_no_rows(&layout_coredns, HEAD "t TXT \"0123456789\"\n",
		       &(struct layout_widths){255, 10, 77},
		       "SOA of @ needs 78 characters, records.data holds 77: widen the column");
	assert_no_rows(&layout_powerdns, HEAD "t TXT \"0123456789\"\n",
		       &(struct layout_widths){255, 10, 75},
		       "SOA of example.com needs 76 characters, records.content holds 75");
	assert_no_rows(&layout_coredns, text, &(struct layout_widths){8, 10, 78},
		       "A of long.name needs 9 characters, records.hostname holds 8");
	assert_no_rows(&layout_powerdns, text, &(struct layout_widths){15, 10, 78},
		       "the row of name.example.com needs 16 characters, records.name holds 15");
	assert_no_rows(&layout_powerdns, text, &(struct layout_widths){255, 8, 78},
		       "TYPE65280 of p.example.com needs 9 characters, records.type holds 8");
}

static void text_that_just_fits_is_taken(void **state)
{
	struct zone *zone = zone_of(span_of(HEAD "longest A 192.0.2.1\n"));
	struct zone_event value = value_of(zone);
	struct rows rows = ROWS_INIT;

	(void)state;
	assert_int_equal(
		layout_coredns.rows_of(&value, &(struct layout_widths){7, 3, 78}, &rows, NULL), OK);
	rows_finish(&rows);
	assert_int_equal(
		layout_powerdns.rows_of(&value, &(struct layout_widths){19, 3, 76}, &rows, NULL),
		OK);
	rows_finish(&rows);
	zone_destroy(zone);
}

/* I9 */
static void names_so_deep_that_they_need_endless_rows_are_refused(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	int i;
	int j;

	(void)state;
	buf_add_text(&text, HEAD);
	for (i = 0; i < 900; i++) {
		for (j = 0; j < 118; j++) {
			buf_add_text(&text, "a.");
		}
		buf_addf(&text, "%d A 192.0.2.1\n", i);
	}
	assert_no_rows(&layout_powerdns, buf_text(&text), &wide,
		       "its names are so deep that PowerDNS needs over 100000 rows");
	buf_finish(&text);
}

/* --- and back ----------------------------------------------------------------------------------
 */

static enum outcome read_back(const struct layout *layout, const struct rows *rows,
			      struct zone **out, struct reason *why)
{
	struct buf text = BUF_INIT(1 << 24);
	struct name name = name_of("example.com");
	enum outcome outcome;

	layout->print(&name, rows, &text);
	assert_false(text.overflow);
	outcome = zone_parse(&name, buf_span(&text), &limits, out, why);
	buf_finish(&text);
	return outcome;
}

static void check_round_trip(const struct layout *layout, const struct zone *zone, const char *what)
{
	struct rows rows = rows_of(layout, zone);
	struct zone *again = NULL;
	struct reason why = {0};
	size_t i;

	for (i = 0; i < rows.count; i++) {
		rows.items[i].id = (int64_t)i + 1; /* as if from a table */
	}
	if (read_back(layout, &rows, &again, &why) != OK) {
		fail_msg("%s, %s: %s", what, layout->type, why.text);
	}
	assert_string_equal(zone_digest(zone), zone_digest(again));
	assert_int_equal(zone_record_count(zone), zone_record_count(again));
	assert_true(layout_wrote(layout, again, &rows));
	zone_destroy(again);
	rows_finish(&rows);
}

static void load(const char *file, struct buf *out)
{
	char path[512];
	char bytes[4096];
	size_t len;
	FILE *in;

	(void)snprintf(path, sizeof(path), DATA "/%s", file);
	in = fopen(path, "rb");
	assert_non_null(in);
	while ((len = fread(bytes, 1, sizeof(bytes), in)) > 0) {
		buf_add(out, (struct span){bytes, len});
	}
	(void)fclose(in);
}

static void every_valid_zone_comes_back_from_its_rows(void **state)
{
	struct dirent *entry;
	size_t count = 0;
	size_t is_signed = 0;
	DIR *dir = opendir(DATA);

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		struct buf text = BUF_INIT(1 << 20);
		const char *dot = strrchr(entry->d_name, '.');
		struct zone *zone;

		if (dot == NULL || strcmp(dot, ".zone") != 0) {
			continue;
		}
		load(entry->d_name, &text);
		zone = zone_of(buf_span(&text));
		check_round_trip(&layout_coredns, zone, entry->d_name);
		if (strncmp(entry->d_name, "signed-", 7) == 0) {
			assert_no_rows(&layout_powerdns, buf_text(&text), &wide,
				       "a signed zone needs more than rows there (PRESIGNED)");
			is_signed++;
		} else {
			check_round_trip(&layout_powerdns, zone, entry->d_name);
		}
		zone_destroy(zone);
		buf_finish(&text);
		count++;
	}
	(void)closedir(dir);
	assert_true(count > 60);
	assert_true(is_signed >= 3 && is_signed < count / 2);
}

static bool has_type(const struct zone *zone, const char *type)
{
	size_t i;

	for (i = 0; i < zone_rrset_count(zone); i++) {
		if (strcmp(zone_rrsets(zone)[i].type, type) == 0) {
			return true;
		}
	}
	return false;
}

static void every_type_comes_back_from_its_rows(void **state)
{
	struct zone *zone = zone_of(span_of(ALL_TYPES));
	unsigned type;

	(void)state;
	for (type = 1; type < 65536; type++) {
		char name[RR_TYPE_TEXT_SIZE];
		uint16_t same;

		rr_type_print((uint16_t)type, name);
		if (strncmp(name, "TYPE", 4) == 0 ||
		    rr_type_parse(span_of(name), &same, NULL) != OK) {
			continue;
		}
		if (type == TYPE_RRSIG || type == TYPE_NSEC || type == TYPE_NSEC3) {
			continue; /* in signed zones only */
		}
		if (!has_type(zone, name)) {
			fail_msg("a zone may hold %s: say here what becomes of it", name);
		}
	}
	check_round_trip(&layout_coredns, zone, "all types");
	check_round_trip(&layout_powerdns, zone, "all types");
	zone_destroy(zone);
}

/* xorshift: the same on every machine. */
static uint32_t dice(uint32_t sides)
{
	static uint64_t state = 88172645463325252U;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % sides;
}

static void add_random_name(struct buf *text)
{
	static const char *const labels[] = {"a",    "b",       "*",     "a\\.b",   "o'b", "x\\;",
					     "\\(x", "y\\032'", "\\195", "_under_", "c",   "www"};
	uint32_t count = 1 + dice(4);

	while (count-- > 0) {
		buf_add_text(text, labels[dice(sizeof(labels) / sizeof(labels[0]))]);
		if (count != 0) {
			buf_add_byte(text, '.');
		}
	}
}

static void random_zones_come_back_from_their_rows(void **state)
{
	static const char *const records[] = {"A 192.0.2.1",
					      "AAAA 2001:db8::1",
					      "TXT \"a; b.\" \"\\\"\\\\\" .",
					      "MX 10 mail.example.com.",
					      "MX 0 .",
					      "SRV 1 2 3 x\\;y.example.",
					      "PTR www",
					      "NS ns.other.example.",
					      SHA256_DS,
					      "RP a\\.b.example. .",
					      "HTTPS 1 . alpn=h2"};
	struct name name = name_of("example.com");
	int good = 0;
	int i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		struct buf text = BUF_INIT(1 << 16);
		struct zone *zone = NULL;
		uint32_t count = dice(12);

		buf_add_text(&text, HEAD);
		while (count-- > 0) {
			add_random_name(&text);
			buf_addf(&text, " %u %s\n", dice(3) * 60,
				 records[dice(sizeof(records) / sizeof(records[0]))]);
		}
		if (zone_parse(&name, buf_span(&text), &limits, &zone, NULL) == OK) {
			check_round_trip(&layout_coredns, zone, buf_text(&text));
			check_round_trip(&layout_powerdns, zone, buf_text(&text));
			good++;
		}
		zone_destroy(zone);
		buf_finish(&text);
	}
	assert_true(good > 1000);
}

static void add_row(struct rows *rows, int64_t id, const char *name, const char *type,
		    const char *data)
{
	*rows_add(rows) = (struct row){
		.id = id,
		.name = span_of(name),
		.type = span_of(type),
		.data = span_of(data),
		.ttl = 300,
		.served = true,
		.auth = true,
	};
}

/* A zone of SOA and NS, as it stands in the table. */
static struct rows small_table(const struct layout *layout)
{
	struct rows rows = ROWS_INIT;
	bool is_coredns = layout == &layout_coredns;
	const char *apex = is_coredns ? "@" : "example.com";

	add_row(&rows, 1, apex, "SOA", "ns.other.example. h.other.example. 1 2 3 4 5");
	add_row(&rows, 2, apex, "NS", "ns.other.example.");
	return rows;
}

static size_t records_of(const struct layout *layout, const struct rows *rows)
{
	struct zone *zone = NULL;
	struct reason why = {0};
	size_t count;

	if (read_back(layout, rows, &zone, &why) != OK) {
		fail_msg("%s: %s", layout->type, why.text);
	}
	count = zone_record_count(zone);
	zone_destroy(zone);
	return count;
}

static void row_that_is_not_served_is_no_record(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct rows rows = small_table(both[i]);

		add_row(&rows, 3, "(", "not a type", "\n\n");
		rows.items[2].served = false;
		add_row(&rows, 4, "b.example.com", NULL, NULL);
		add_row(&rows, 5, i == 0 ? "www" : "www.example.com", "A", "192.0.2.1");
		assert_int_equal(records_of(both[i], &rows), 3);
		rows_finish(&rows);
	}
}

static void relative_data_means_what_the_reader_takes_it_for(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct rows rows = small_table(both[i]);
		struct zone *zone = NULL;
		const struct rrset *rrset;

		add_row(&rows, 3, i == 0 ? "www" : "www.example.com", "CNAME", "target");
		assert_int_equal(read_back(both[i], &rows, &zone, NULL), OK);
		rrset = &zone_rrsets(zone)[zone_rrset_count(zone) - 1];
		assert_string_equal(rrset->name, "www.example.com.");
		assert_string_equal(rrset->rdata[0], "target.");
		zone_destroy(zone);
		rows_finish(&rows);
	}
}

/* I10: rows that somebody edited by hand. */
static void row_that_is_no_record_makes_the_zone_refused_by_its_id(void **state)
{
	static const struct {
		const char *name;
		const char *type;
		const char *data;
	} odd[] = {
		{"", "A", "192.0.2.1"},
		{NULL, "A", "192.0.2.1"},
		{"$INCLUDE", "A", "192.0.2.1"},
		{"$ORIGIN", "A", "192.0.2.1"},
		{"x\ny A 192.0.2.9\nz", "A", "192.0.2.1"},
		{"x y", "A", "192.0.2.1"},
		{"x\ty", "A", "192.0.2.1"},
		{"\"x\"", "A", "192.0.2.1"},
		{"x\x80", "A", "192.0.2.1"},
		{"x", "A", NULL},
		{"x", "", "192.0.2.1"},
		{"x", "A 192.0.2.9 ;", "192.0.2.1"},
		{"x", "A\n", "192.0.2.1"},
		{"x", "a", "192.0.2.1"},
		{"x", "A", "192.0.2.1\nwww 300 IN A 192.0.2.9"},
		{"x", "A", "192.0.2.1\r\nwww 300 IN A 192.0.2.9"},
		{"x", "TXT", "\"not closed"},
		{"x", "TXT", "not\" \"closed\""},
		{"x", "TXT", "\"a\"\n$INCLUDE /etc/passwd"},
		{"x", "TXT", "( \"a\""},
		{"x", "TXT", "\"a\" )"},
		{"x", "TXT", "\"a\" ; the rest"},
		{"x", "TXT", "\"a\\"},
		{"x", "TXT", "\"a\x01\""},
		{"x", "TXT", "\"\xc3\xa4\""},
	};
	size_t i;
	size_t l;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		for (l = 0; l < 2; l++) {
			struct rows rows = small_table(both[l]);
			struct zone *zone = NULL;
			struct reason why = {0};

			add_row(&rows, 77, odd[i].name, odd[i].type, odd[i].data);
			if (read_back(both[l], &rows, &zone, &why) == OK) {
				fail_msg("%s: row %zu is accepted", both[l]->type, i);
			}
			if (strstr(why.text, "'$UNREADABLE-ROW-77'") == NULL) {
				fail_msg("%s: row %zu: %s", both[l]->type, i, why.text);
			}
			rows_finish(&rows);
		}
	}
}

static void row_that_zone_parse_can_judge_is_left_to_it(void **state)
{
	static const struct {
		const char *name;
		const char *type;
		const char *data;
	} odd[] = {
		{"www.", "A", "192.0.2.1"},
		{"www\\", "A", "192.0.2.1"},
		{"www.example.com\\", "A", "192.0.2.1"},
		{"www.example.com.", "A", "192.0.2.1"},
		{"@.example.com", "A", "192.0.2.1"},
		{"..example.com", "A", "192.0.2.1"},
		{"x\\1.example.com", "A", "192.0.2.1"},
		{"x.example.com", "IN", "A 192.0.2.1"},
		{"x.example.com", "300", "A 192.0.2.1"},
		{"x.example.com", "CH", "A 192.0.2.1"},
		{"x.example.com", "ANY", "192.0.2.1"},
		{"x.example.com", "A", ""},
		{"x.example.com", "A", "192.0.2.1 192.0.2.2"},
		{"x.example.com", "NOSUCH", "192.0.2.1"},
		{"x.example.com", "TXT", "\\256"},
	};
	size_t i;
	size_t l;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		for (l = 0; l < 2; l++) {
			struct rows rows = small_table(both[l]);
			struct zone *zone = NULL;

			add_row(&rows, 77, odd[i].name, odd[i].type, odd[i].data);
			if (read_back(both[l], &rows, &zone, NULL) == OK) {
				fail_msg("%s: row %zu is accepted", both[l]->type, i);
			}
			rows_finish(&rows);
		}
	}
}

static void row_outside_the_zone_is_refused(void **state)
{
	struct rows rows = small_table(&layout_powerdns);
	struct zone *zone = NULL;
	struct reason why = {0};

	(void)state;
	add_row(&rows, 3, "www.other.example", "A", "192.0.2.1");
	assert_int_equal(read_back(&layout_powerdns, &rows, &zone, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "is not in the zone"));
	rows_finish(&rows);
}

static void odd_numbers_are_refused(void **state)
{
	struct rows rows = small_table(&layout_powerdns);
	struct zone *zone = NULL;
	struct reason why = {0};
	struct row *row;

	(void)state;
	add_row(&rows, 3, "x.example.com", "MX", "mail.example.com");
	row = &rows.items[2];
	row->prio = 65536;
	assert_int_equal(read_back(&layout_powerdns, &rows, &zone, NULL), PERMFAIL);
	row->prio = -1;
	assert_int_equal(read_back(&layout_powerdns, &rows, &zone, NULL), PERMFAIL);
	row->prio = 10;
	row->ttl = -1;
	assert_int_equal(read_back(&layout_powerdns, &rows, &zone, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "'$UNREADABLE-ROW-3'"));
	row->ttl = 2147483648;
	assert_int_equal(read_back(&layout_powerdns, &rows, &zone, NULL), PERMFAIL);
	row->ttl = 2147483647;
	assert_int_equal(records_of(&layout_powerdns, &rows), 3);
	row->data = span_of("10 mail.example.com");
	assert_int_equal(read_back(&layout_powerdns, &rows, &zone, NULL), PERMFAIL);
	rows_finish(&rows);
}

static void add_random_bytes(struct buf *text)
{
	static const char *const parts[] = {
		"a",     ".",         " ",           "\t",   "\n",   "\r",      "\"",   "\\",
		";",     "(",         ")",           "$",    "@",    "$ORIGIN", "\\#",  "IN",
		"A",     "192.0.2.1", "3600",        "\x7f", "\xff", "*",       "=",    "\\0",
		"\\032", "x",         "example.com", "$TTL", "'",    "\\\\",    "\\\"", "TXT"};
	uint32_t count = dice(7);

	while (count-- > 0) {
		buf_add_text(text, parts[dice(sizeof(parts) / sizeof(parts[0]))]);
	}
}

/* Lines that the lexer sees; 0: it refuses. */
static size_t lines_of(struct span text)
{
	struct zone_lexer lexer;
	size_t count = 0;

	zone_lexer_init(&lexer, text);
	while (zone_lexer_next(&lexer, NULL) == OK) {
		if (lexer.line.count == 0) {
			zone_lexer_finish(&lexer);
			return count;
		}
		count++;
	}
	zone_lexer_finish(&lexer);
	return 0;
}

/* I10: no row can bring another one in, or hide one. */
static void one_row_is_one_line_whatever_it_holds(void **state)
{
	struct name zone = name_of("example.com");
	int accepted = 0;
	int i;

	(void)state;
	for (i = 0; i < 40000; i++) {
		const struct layout *layout = both[i % 2];
		struct rows rows = small_table(layout);
		struct buf text = BUF_INIT(1 << 16);
		struct buf parts[3] = {BUF_INIT(1024), BUF_INIT(1024), BUF_INIT(1024)};
		size_t lines;
		int p;

		for (p = 0; p < 3; p++) {
			add_random_bytes(&parts[p]);
		}
		add_row(&rows, 77, buf_text(&parts[0]), dice(2) == 0 ? "TXT" : buf_text(&parts[1]),
			buf_text(&parts[2]));
		add_row(&rows, 78, i % 2 == 0 ? "last" : "last.example.com", "A", "192.0.2.1");
		layout->print(&zone, &rows, &text);
		lines = lines_of(buf_span(&text));
		if (lines != 0) {
			assert_int_equal(lines, 1 + rows.count);
			accepted++;
		}
		assert_int_equal(count_of(buf_text(&text), "\n"), 1 + rows.count);
		for (p = 0; p < 3; p++) {
			buf_finish(&parts[p]);
		}
		buf_finish(&text);
		rows_finish(&rows);
	}
	assert_true(accepted > 10000);
}

static void table_that_is_too_large_overflows_the_text(void **state)
{
	struct name zone = name_of("example.com");
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct rows rows = small_table(both[i]);
		struct buf text = BUF_INIT(100);

		both[i]->print(&zone, &rows, &text);
		assert_true(text.overflow);
		buf_finish(&text);
		rows_finish(&rows);
	}
}

/* --- is it our hand? ---------------------------------------------------------------------------
 */

static bool wrote(const struct layout *layout, struct rows *rows)
{
	struct zone *zone = NULL;
	struct reason why = {0};
	bool own;

	if (read_back(layout, rows, &zone, &why) != OK) {
		fail_msg("%s", why.text);
	}
	own = layout_wrote(layout, zone, rows);
	zone_destroy(zone);
	return own;
}

static void same_zone_in_other_words_is_not_our_hand(void **state)
{
	struct zone *zone = zone_of(span_of(HEAD "t TXT abc\na.b A 192.0.2.1\n"));
	struct rows rows = rows_of(&layout_powerdns, zone);
	struct row *txt = &rows.items[rows.count - 1];

	(void)state;
	assert_true(wrote(&layout_powerdns, &rows));

	txt = &rows.items[rows.count - 1];
	assert_true(span_is(txt->type, "TXT"));
	txt->data = span_of("abc");
	assert_false(wrote(&layout_powerdns, &rows));
	txt = &rows.items[rows.count - 1];
	txt->data = span_of("\"abc\"");
	assert_true(wrote(&layout_powerdns, &rows));

	add_row(&rows, 9, "old.example.com", "A", "192.0.2.1");
	rows.items[rows.count - 1].served = false;
	assert_true(wrote(&layout_powerdns, &rows));

	add_row(&rows, 10, "b.example.com", NULL, NULL); /* a second one */
	assert_false(wrote(&layout_powerdns, &rows));
	rows_finish(&rows);
	zone_destroy(zone);
}

static void missing_row_of_a_name_without_records_is_seen(void **state)
{
	struct rows rows = small_table(&layout_powerdns);

	(void)state;
	rows.items[0].data = span_of("ns.other.example h.other.example 1 2 3 4 5");
	rows.items[1].data = span_of("ns.other.example");
	assert_true(wrote(&layout_powerdns, &rows));
	add_row(&rows, 3, "a.b.example.com", "A", "192.0.2.1");
	assert_false(wrote(&layout_powerdns, &rows));
	add_row(&rows, 4, "b.example.com", NULL, NULL);
	rows.items[rows.count - 1].ttl = -1;
	assert_true(wrote(&layout_powerdns, &rows));
	rows_finish(&rows);
}

/* --- rows_match --------------------------------------------------------------------------------
 */

static void duplicates_pair_one_to_one_and_the_oldest_stays(void **state)
{
	struct rows have = ROWS_INIT;
	struct rows want = ROWS_INIT;
	bool stay_have[4];
	bool stay_want[3];

	(void)state;
	add_row(&have, 9, "b", "A", "192.0.2.1");
	add_row(&have, 5, "b", "A", "192.0.2.1");
	add_row(&have, 7, "b", "A", "192.0.2.1");
	add_row(&have, 3, "a", "A", "192.0.2.1");
	add_row(&want, 0, "c", "A", "192.0.2.1");
	add_row(&want, 0, "b", "A", "192.0.2.1");
	add_row(&want, 0, "b", "A", "192.0.2.1");
	rows_match(&have, &want, stay_have, stay_want);
	assert_int_equal(have.items[0].id, 3);
	assert_int_equal(have.items[1].id, 5);
	assert_int_equal(have.items[2].id, 7);
	assert_int_equal(have.items[3].id, 9);
	assert_memory_equal(stay_have, ((bool[]){false, true, true, false}), sizeof(stay_have));
	assert_true(span_is(want.items[2].name, "c"));
	assert_memory_equal(stay_want, ((bool[]){true, true, false}), sizeof(stay_want));
	rows_finish(&have);
	rows_finish(&want);
}

static void null_is_not_an_empty_text_and_comes_first(void **state)
{
	struct rows have = ROWS_INIT;
	struct rows want = ROWS_INIT;
	bool stay_have[2];
	bool stay_want[1];

	(void)state;
	add_row(&have, 1, "a", "", "");
	add_row(&have, 2, "a", NULL, NULL);
	add_row(&want, 0, "a", NULL, NULL);
	rows_match(&have, &want, stay_have, stay_want);
	assert_int_equal(have.items[0].id, 2);
	assert_true(stay_have[0]);
	assert_false(stay_have[1]);
	assert_true(stay_want[0]);
	rows_finish(&have);
	rows_finish(&want);
}

static void every_column_but_the_id_takes_part(void **state)
{
	size_t column;

	(void)state;
	for (column = 0; column < 8; column++) {
		struct rows have = ROWS_INIT;
		struct rows want = ROWS_INIT;
		struct row *row;
		bool stay_have;
		bool stay_want;

		add_row(&have, 1, "a", "MX", "mail");
		add_row(&want, 2, "a", "MX", "mail");
		row = &want.items[0];
		row->name = span_of(column == 1 ? "A" : "a");
		row->type = span_of(column == 2 ? "TXT" : "MX");
		row->data = span_of(column == 3 ? "mail " : "mail");
		row->ttl += column == 4;
		row->prio += column == 5;
		row->served = column != 6;
		row->auth = column != 7;
		rows_match(&have, &want, &stay_have, &stay_want);
		assert_int_equal(stay_have, column == 0);
		assert_int_equal(stay_want, column == 0);
		rows_finish(&have);
		rows_finish(&want);
	}
}

static void empty_sides_match_nothing(void **state)
{
	struct rows none = ROWS_INIT;
	struct rows one = ROWS_INIT;
	bool stay = true;

	(void)state;
	rows_match(&none, &none, NULL, NULL);
	add_row(&one, 1, "a", "A", "192.0.2.1");
	rows_match(&one, &none, &stay, NULL);
	assert_false(stay);
	stay = true;
	rows_match(&none, &one, NULL, &stay);
	assert_false(stay);
	rows_finish(&one);
}

/* What stays is as many of each row as both have. */
static void random_sets_differ_by_exactly_what_is_marked(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	int round;

	(void)state;
	for (round = 0; round < 500; round++) {
		struct rows sets[2] = {ROWS_INIT, ROWS_INIT};
		bool stay[2][64];
		size_t counts[2][4] = {0};
		size_t stays[2][4] = {0};
		size_t s;
		size_t i;

		for (s = 0; s < 2; s++) {
			for (i = dice(20); i > 0; i--) {
				uint32_t name = dice(4);

				add_row(&sets[s], dice(100), names[name], "A", "192.0.2.1");
				counts[s][name]++;
			}
		}
		rows_match(&sets[0], &sets[1], stay[0], stay[1]);
		for (s = 0; s < 2; s++) {
			for (i = 0; i < sets[s].count; i++) {
				stays[s][sets[s].items[i].name.data[0] - 'a'] += stay[s][i];
			}
		}
		for (i = 0; i < 4; i++) {
			size_t fewer = counts[0][i] < counts[1][i] ? counts[0][i] : counts[1][i];

			assert_int_equal(stays[0][i], fewer);
			assert_int_equal(stays[1][i], fewer);
		}
		rows_finish(&sets[0]);
		rows_finish(&sets[1]);
	}
}

static void kept_text_outlives_its_source(void **state)
{
	char source[] = "www";
	struct rows rows = ROWS_INIT;
	struct span kept;

	(void)state;
	kept = rows_keep(&rows, span_of(source));
	source[0] = 'x';
	assert_true(span_is(kept, "www"));
	assert_null(rows_keep(&rows, SPAN_EMPTY).data);
	rows_finish(&rows);
	rows_finish(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_is_found_by_the_type_of_its_stanza),
		cmocka_unit_test(zone_name_has_its_final_dot_in_one_layout_only),
		cmocka_unit_test(longest_zone_name_fits),
		cmocka_unit_test(foreign_text_is_no_zone_name),
		cmocka_unit_test(statements_take_the_parameters_that_the_header_names),
		cmocka_unit_test(deleted_zone_has_no_rows),
		cmocka_unit_test(coredns_hostnames_are_relative_and_data_is_absolute),
		cmocka_unit_test(every_record_of_an_rrset_is_a_row),
		cmocka_unit_test(coredns_finds_names_as_it_spells_them),
		cmocka_unit_test(powerdns_names_have_no_final_dot),
		cmocka_unit_test(powerdns_finds_names_as_it_spells_them),
		cmocka_unit_test(name_without_records_above_another_is_a_row_without_type),
		cmocka_unit_test(nothing_is_authoritative_at_and_below_a_delegation_but_its_ds),
		cmocka_unit_test(name_without_records_is_authoritative_if_one_below_it_is),
		cmocka_unit_test(type_that_powerdns_does_not_know_becomes_octets),
		cmocka_unit_test(record_that_powerdns_cannot_serve_is_refused_by_name),
		cmocka_unit_test(column_that_is_too_narrow_is_named_with_its_width),
		cmocka_unit_test(text_that_just_fits_is_taken),
		cmocka_unit_test(names_so_deep_that_they_need_endless_rows_are_refused),
		cmocka_unit_test(every_valid_zone_comes_back_from_its_rows),
		cmocka_unit_test(every_type_comes_back_from_its_rows),
		cmocka_unit_test(random_zones_come_back_from_their_rows),
		cmocka_unit_test(row_that_is_not_served_is_no_record),
		cmocka_unit_test(relative_data_means_what_the_reader_takes_it_for),
		cmocka_unit_test(row_that_is_no_record_makes_the_zone_refused_by_its_id),
		cmocka_unit_test(row_that_zone_parse_can_judge_is_left_to_it),
		cmocka_unit_test(row_outside_the_zone_is_refused),
		cmocka_unit_test(odd_numbers_are_refused),
		cmocka_unit_test(one_row_is_one_line_whatever_it_holds),
		cmocka_unit_test(table_that_is_too_large_overflows_the_text),
		cmocka_unit_test(same_zone_in_other_words_is_not_our_hand),
		cmocka_unit_test(missing_row_of_a_name_without_records_is_seen),
		cmocka_unit_test(duplicates_pair_one_to_one_and_the_oldest_stays),
		cmocka_unit_test(null_is_not_an_empty_text_and_comes_first),
		cmocka_unit_test(every_column_but_the_id_takes_part),
		cmocka_unit_test(empty_sides_match_nothing),
		cmocka_unit_test(random_sets_differ_by_exactly_what_is_marked),
		cmocka_unit_test(kept_text_outlives_its_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
