/* SPDX-License-Identifier: Apache-2.0 */
/* zone.h: zone text -> canonical RRsets. ldns parses RDATA in here and nowhere near raw input: the
 * strict lexer (zone_lexer.c) comes first, our own printer last, and what we print is parsed again
 * before anybody sees it (I10; research/reliability.md 4.1 has the table of cases).
 *
 * Canonical: names absolute and lower case, RDATA in presentation form with the names of RFC 4034
 * 6.2 in lower case, one TTL per RRset, no duplicates, SOA RRset first, the others in canonical
 * order (owner, type number), rdata in canonical order. RRSIG alone has several RRsets at one
 * owner, one for each type that it covers (each has the TTL of that type: RFC 4034 3).
 *
 * Values: never change once made; may be shared between threads as const.
 */
#ifndef COMMON_ZONE_H
#define COMMON_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/name.h"
#include "common/outcome.h"

struct rrset {
	const char *name; /* "www.example.com." */
	const char *type; /* "A", "TYPE65280" */
	uint32_t ttl;
	size_t count;
	const char *const *rdata;
};

struct zone_limits {
	size_t text_bytes; /* of the pushed text */
	size_t records;
	size_t rdata_bytes; /* of one record, wire */
	uint32_t ttl_max;
	size_t warnings; /* further ones are counted in one last line, "and 3 more warnings" */
};
#define ZONE_LIMITS_DEFAULT                                                    \
	{                                                                      \
		.text_bytes = 4 << 20, .records = 50000, .rdata_bytes = 65535, \
		.ttl_max = 2147483647, .warnings = 20                          \
	}

struct zone;

/* PERMFAIL: `why` names the line and what to change. The text may hold any bytes. */
MUST_CHECK enum outcome zone_parse(const struct name *origin, struct span text,
				   const struct zone_limits *limits, struct zone **out,
				   struct reason *why);
void zone_destroy(struct zone *zone);

const struct name *zone_name(const struct zone *zone);
uint32_t zone_serial(const struct zone *zone);
const char *zone_digest(const struct zone *zone); /* 96 hex digits */
size_t zone_record_count(const struct zone *zone);
size_t zone_rrset_count(const struct zone *zone);
const struct rrset *zone_rrsets(const struct zone *zone); /* borrowed array */
size_t zone_warning_count(const struct zone *zone);
const char *const *zone_warnings(const struct zone *zone); /* borrowed array */

/* Master file text of `rrsets`, one record a line: NAME TTL IN TYPE RDATA, tabs between. */
void rrsets_print(const struct rrset *rrsets, size_t count, struct buf *out);

/* The digest of what a server sent: DNS messages of an AXFR in order, raw (without TCP lengths).
 * Also gives the SOA serial. PERMFAIL: not a complete zone. */
MUST_CHECK enum outcome zone_digest_transfer(const struct span *messages, size_t count,
					     char digest[DIGEST_HEX_SIZE], uint32_t *serial,
					     struct reason *why);

#endif
