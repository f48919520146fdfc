/* SPDX-License-Identifier: Apache-2.0 */
/* ldns_reads.h: what ldns, which shares no code with our printer, makes of a zone that we printed:
 * the proof that zone_parse leaves out at run time for common types
 * (docs/decisions/0005-ldns-checks-rare-types-at-run-time.md).
 */
#ifndef TESTS_LIB_LDNS_READS_H
#define TESTS_LIB_LDNS_READS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

#include "common/zone.h"

/* ldns has 64 KiB for the data of a line and cuts what is longer. */
#define LDNS_LINE_MAX (LDNS_MAX_PACKETLEN - 1024)

static inline void ldns_add_field(const ldns_rdf *rdf, struct buf *wire)
{
	buf_add(wire, (struct span){(const char *)ldns_rdf_data(rdf), ldns_rdf_size(rdf)});
}

/* Owner and RDATA lie one behind the other in memory of their own, which begins at the owner. */
static inline bool ldns_read_line(const char *line, struct digest_rr *out)
{
	struct buf wire = BUF_INIT(1 << 17);
	ldns_rr *rr = NULL;
	size_t owner_len;
	size_t i;

	if (ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL) != LDNS_STATUS_OK) {
		return false;
	}
	ldns_add_field(ldns_rr_owner(rr), &wire);
	owner_len = wire.len;
	for (i = 0; i < ldns_rr_rd_count(rr); i++) {
		ldns_add_field(ldns_rr_rdf(rr, i), &wire);
	}
	*out = (struct digest_rr){
		.owner = {wire.data, owner_len},
		.type = (uint16_t)ldns_rr_get_type(rr),
		.class = (uint16_t)ldns_rr_get_class(rr),
		.ttl = ldns_rr_ttl(rr),
		.rdata = {wire.data + owner_len, wire.len - owner_len},
	};
	ldns_rr_free(rr);
	return true;
}

/* True: the records that ldns reads from what we print have the digest of the zone, so each octet
 * of them is the same. A zone with a line that ldns would cut is not judged. */
static inline bool ldns_reads_the_same(const struct zone *zone)
{
	struct digest_rr *rrs = xcalloc(zone_record_count(zone), sizeof(*rrs));
	struct buf text = BUF_INIT(64 << 20);
	char digest[DIGEST_HEX_SIZE];
	bool judged = true;
	bool read = true;
	size_t count = 0;
	char *line;
	char *end;
	size_t i;

	rrsets_print(zone_rrsets(zone), zone_rrset_count(zone), &text);
	for (line = text.data; read && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (end - line > LDNS_LINE_MAX) {
			judged = false;
			break;
		}
		read = ldns_read_line(line, &rrs[count]);
		count += read;
	}
	if (read && judged) {
		digest_zone(rrs, count, digest);
		read = strcmp(digest, zone_digest(zone)) == 0;
	}
	for (i = 0; i < count; i++) {
		free((char *)(uintptr_t)rrs[i].owner.data);
	}
	free(rrs);
	buf_finish(&text);
	return read;
}

#endif
