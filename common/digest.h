/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h: the zone digest of RFC 8976 (ZONEMD, scheme SIMPLE, SHA-384), and the two hashes that
 * others need. libcrypto stays in digest.c.
 *
 * Put the result into a ZONEMD record at the apex of a copy and ldns-verify-zone can check us.
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define DIGEST_HEX_SIZE 97 /* 96 hex digits in lower case and the NUL */

/* One record in canonical wire form (RFC 4034 6.2: names uncompressed, lower case where that
 * section says so). */
struct digest_rr {
	struct span owner; /* wire */
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	struct span rdata; /* wire, without its length */
};

/* Sorts `rrs` into canonical order (RFC 4034 6.1, 6.3; owner, type, rdata), drops duplicates and
 * what RFC 8976 3.3.1 leaves out (apex ZONEMD and its RRSIG; apex = owner of the SOA). */
void digest_zone(struct digest_rr *rrs, size_t count, char out[DIGEST_HEX_SIZE]);
/* Canonical order of two wire names: <0, 0, >0. */
int digest_compare_owners(struct span a, struct span b);

#define SHA256_SIZE 32
void sha256(struct span bytes, uint8_t out[SHA256_SIZE]);
void hmac_sha256(struct span key, struct span bytes, uint8_t out[SHA256_SIZE]);
/* Constant time for equal lengths. */
int digest_secrets_equal(struct span a, struct span b);

#endif
