/* SPDX-License-Identifier: Apache-2.0 */
/* zone_rdata.h: the data of one record between its three forms: words, wire, text. Numbers, names,
 * addresses and strings are read and printed here; ldns does the rarer fields, one at a time.
 *
 * Wire is canonical (RFC 4034 6.2 with RFC 6840 5.1): nothing compressed, the names of the older
 * types in lower case. What is printed depends on the wire alone.
 */
#ifndef COMMON_ZONE_RDATA_H
#define COMMON_ZONE_RDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/outcome.h"
#include "common/zone_dname.h"
#include "common/zone_reader.h"

#define RDATA_MAX 65535
#define RDATA_TEXT_MAX (4 * RDATA_MAX + 1024)

enum rr_type {
	TYPE_A = 1,
	TYPE_NS = 2,
	TYPE_MD = 3,
	TYPE_MF = 4,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_WKS = 11,
	TYPE_PTR = 12,
	TYPE_MX = 15,
	TYPE_TXT = 16,
	TYPE_NSAP_PTR = 23,
	TYPE_AAAA = 28,
	TYPE_NXT = 30,
	TYPE_SRV = 33,
	TYPE_A6 = 38,
	TYPE_DNAME = 39,
	TYPE_SINK = 40,
	TYPE_ATMA = 34,
	TYPE_OPT = 41,
	TYPE_DS = 43,
	TYPE_SSHFP = 44,
	TYPE_RRSIG = 46,
	TYPE_NSEC = 47,
	TYPE_DNSKEY = 48,
	TYPE_NSEC3 = 50,
	TYPE_NSEC3PARAM = 51,
	TYPE_SPF = 99,
	TYPE_META_FIRST = 128,
	TYPE_META_LAST = 255,
	TYPE_CAA = 257,
};

/* True for the types of nearly every zone: all their fields are read and printed by our own code.
 */
bool rdata_is_common(uint16_t type);

#define RR_TYPE_TEXT_SIZE 16
/* Mnemonic or TYPE123. PERMFAIL: no such type, or none that belongs into a zone. */
MUST_CHECK enum outcome rr_type_parse(struct span word, uint16_t *type, struct reason *why);
void rr_type_print(uint16_t type, char out[RR_TYPE_TEXT_SIZE]);

/* Replaces the content of `wire`, which has the caller's ceiling. `why` is half a sentence. */
MUST_CHECK enum outcome rdata_parse(uint16_t type, const struct zone_word *words, size_t count,
				    const struct dname *origin, struct buf *wire,
				    struct reason *why);
/* Replaces the content of `text`. */
MUST_CHECK enum outcome rdata_print(uint16_t type, struct span wire, struct buf *text,
				    struct reason *why);

uint32_t rdata_soa_serial(struct span soa);

/* What ldns makes of a printed record; one more pair of eyes. True: exactly `expected`. */
bool rdata_ldns_agrees(const char *line, const struct digest_rr *expected);
/* The record at `at` of a DNS message, whatever its compression; its owner and RDATA come one
 * behind the other into `wire`. Moves `at` behind it. */
MUST_CHECK enum outcome rdata_from_message(struct span message, size_t *at, struct buf *wire,
					   struct digest_rr *out, struct reason *why);

#endif
