/* SPDX-License-Identifier: Apache-2.0 */
/* zone_rows.h: the zone of da_request.h as rows of either layout, as they shall stand in the table;
 * written down, not made by what is measured.
 */
#ifndef TESTS_BENCH_ZONE_ROWS_H
#define TESTS_BENCH_ZONE_ROWS_H

#define DKIM                                                                                   \
	"\"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC7vbqajDw4o6gJy8UtmIbkcpnk" \
	"O3KWqVbNFvFQ2lPqTqVvBLk4D7uQn\" \"1cF32MbYy0dHqSGDXr0wZ5oJ3Uu8m6nT4k1sVwR9xZaBcDeFg"  \
	"HiJkLmNoPqRsTuVwXyZ0123456789IDAQAB\""

/* `$` stands for the zone, `#` for the serial, `&` for the salt; type NULL is a name without
 * records. What changes stands first. */
struct zone_row {
	const char *name, *type, *data;
	int prio;
};

static const struct zone_row coredns_rows[] = {
	{"@", "SOA", "ns1.hoster.example. hostmaster.$. # 3600 3600 1209600 86400", 0},
	{"_dmarc", "TXT", "\"v=DMARC1; p=none; x=&\"", 0},
	{"@", "A", "192.0.2.10", 0},
	{"@", "NS", "ns1.hoster.example.", 0},
	{"@", "NS", "ns2.hoster.example.", 0},
	{"@", "MX", "10 mail.$.", 0},
	{"@", "TXT", "\"v=spf1 +a +mx include:spf.hoster.example ~all\"", 0},
	{"@", "AAAA", "2001:db8::10", 0},
	{"x._domainkey", "TXT", DKIM, 0},
	{"_imaps._tcp", "SRV", "0 1 993 mail.$.", 0},
	{"autoconfig", "CNAME", "www.$.", 0},
	{"blog", "A", "192.0.2.11", 0},
	{"ftp", "A", "192.0.2.10", 0},
	{"mail", "A", "192.0.2.10", 0},
	{"pop", "A", "192.0.2.10", 0},
	{"shop", "A", "192.0.2.12", 0},
	{"smtp", "A", "192.0.2.10", 0},
	{"webmail", "A", "192.0.2.10", 0},
	{"www", "A", "192.0.2.10", 0},
	{"www", "AAAA", "2001:db8::10", 0},
	{0},
};

static const struct zone_row powerdns_rows[] = {
	{"$", "SOA", "ns1.hoster.example hostmaster.$ # 3600 3600 1209600 86400", 0},
	{"_dmarc.$", "TXT", "\"v=DMARC1; p=none; x=&\"", 0},
	{"$", "A", "192.0.2.10", 0},
	{"$", "NS", "ns1.hoster.example", 0},
	{"$", "NS", "ns2.hoster.example", 0},
	{"$", "MX", "mail.$", 10},
	{"$", "TXT", "\"v=spf1 +a +mx include:spf.hoster.example ~all\"", 0},
	{"$", "AAAA", "2001:db8::10", 0},
	{"_domainkey.$", NULL, NULL, 0},
	{"x._domainkey.$", "TXT", DKIM, 0},
	{"_tcp.$", NULL, NULL, 0},
	{"_imaps._tcp.$", "SRV", "1 993 mail.$", 0},
	{"autoconfig.$", "CNAME", "www.$", 0},
	{"blog.$", "A", "192.0.2.11", 0},
	{"ftp.$", "A", "192.0.2.10", 0},
	{"mail.$", "A", "192.0.2.10", 0},
	{"pop.$", "A", "192.0.2.10", 0},
	{"shop.$", "A", "192.0.2.12", 0},
	{"smtp.$", "A", "192.0.2.10", 0},
	{"webmail.$", "A", "192.0.2.10", 0},
	{"www.$", "A", "192.0.2.10", 0},
	{"www.$", "AAAA", "2001:db8::10", 0},
	{0},
};

#endif
