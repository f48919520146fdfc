/* SPDX-License-Identifier: Apache-2.0 */
#include "common/digest.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define TYPE_SOA 6
#define TYPE_RRSIG 46
#define TYPE_ZONEMD 63
#define LABELS_MAX 128
#define SHA384_SIZE 48

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

static size_t label_starts(struct span name, uint8_t starts[LABELS_MAX])
{
	size_t count = 0;
	size_t at = 0;

	while (at < name.len && name.data[at] != 0 && count < LABELS_MAX) {
		starts[count++] = (uint8_t)at;
		at += (size_t)(unsigned char)name.data[at] + 1;
	}
	return count;
}

static int compare_labels(const unsigned char *a, const unsigned char *b)
{
	size_t shorter = a[0] < b[0] ? a[0] : b[0];
	size_t i;

	for (i = 1; i <= shorter; i++) {
		int difference = lower(a[i]) - lower(b[i]);

		if (difference != 0) {
			return difference;
		}
	}
	return a[0] - b[0];
}

int digest_compare_owners(struct span a, struct span b)
{
	const unsigned char *a_bytes = (const unsigned char *)a.data;
	const unsigned char *b_bytes = (const unsigned char *)b.data;
	uint8_t a_starts[LABELS_MAX];
	uint8_t b_starts[LABELS_MAX];
	size_t a_left;
	size_t b_left;

	if (span_equal(a, b)) {
		return 0;
	}
	a_left = label_starts(a, a_starts);
	b_left = label_starts(b, b_starts);
	while (a_left > 0 && b_left > 0) {
		int difference;

		a_left--;
		b_left--;
		difference = compare_labels(a_bytes + a_starts[a_left], b_bytes + b_starts[b_left]);
		if (difference != 0) {
			return difference;
		}
	}
	return (a_left > b_left) - (a_left < b_left);
}

static int compare_bytes(struct span a, struct span b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int difference = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);

	if (difference != 0) {
		return difference;
	}
	return (a.len > b.len) - (a.len < b.len);
}

static int compare_rrs(const void *a_rr, const void *b_rr)
{
	const struct digest_rr *a = a_rr;
	const struct digest_rr *b = b_rr;
	int difference = digest_compare_owners(a->owner, b->owner);

	if (difference != 0) {
		return difference;
	}
	if (a->type != b->type) {
		return a->type < b->type ? -1 : 1;
	}
	return compare_bytes(a->rdata, b->rdata);
}

static void sort(struct digest_rr *rrs, size_t count)
{
	size_t i;

	for (i = 1; i < count; i++) {
		if (compare_rrs(&rrs[i - 1], &rrs[i]) > 0) {
			qsort(rrs, count, sizeof(*rrs), compare_rrs);
			return;
		}
	}
}

/* RFC 8976 3.3.1: the apex ZONEMD and its signatures. */
static bool is_left_out(const struct digest_rr *rr, struct span apex)
{
	bool covers_zonemd = rr->type == TYPE_RRSIG && rr->rdata.len >= 2 &&
			     rr->rdata.data[0] == 0 && rr->rdata.data[1] == TYPE_ZONEMD;

	return (rr->type == TYPE_ZONEMD || covers_zonemd) &&
	       digest_compare_owners(rr->owner, apex) == 0;
}

static void put_u16(unsigned char *out, uint16_t value)
{
	out[0] = (unsigned char)(value >> 8);
	out[1] = (unsigned char)value;
}

static void add(EVP_MD_CTX *sum, const void *bytes, size_t len)
{
	int done = EVP_DigestUpdate(sum, bytes, len);

	assert(done == 1);
}

static void add_rr(EVP_MD_CTX *sum, const struct digest_rr *rr)
{
	unsigned char fixed[10];

	put_u16(fixed, rr->type);
	put_u16(fixed + 2, rr->class);
	put_u16(fixed + 4, (uint16_t)(rr->ttl >> 16));
	put_u16(fixed + 6, (uint16_t)rr->ttl);
	put_u16(fixed + 8, (uint16_t)rr->rdata.len);
	add(sum, rr->owner.data, rr->owner.len);
	add(sum, fixed, sizeof(fixed));
	add(sum, rr->rdata.data, rr->rdata.len);
}

static EVP_MD *sha384;

/* Looking an algorithm up by name costs more than hashing a small zone. Kept for good. */
static void find_sha384(void)
{
	sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
	assert(sha384 != NULL);
}

void digest_zone(struct digest_rr *rrs, size_t count, char out[DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned char bytes[SHA384_SIZE];
	EVP_MD_CTX *sum = EVP_MD_CTX_new();
	struct span apex = SPAN_EMPTY;
	int done;
	size_t i;

	assert(sum != NULL);
	(void)pthread_once(&once, find_sha384);
	done = EVP_DigestInit_ex(sum, sha384, NULL);
	assert(done == 1);
	for (i = 0; i < count; i++) {
		if (rrs[i].type == TYPE_SOA) {
			apex = rrs[i].owner;
			break;
		}
	}
	sort(rrs, count);
	for (i = 0; i < count; i++) {
		if ((i == 0 || compare_rrs(&rrs[i - 1], &rrs[i]) != 0) &&
		    !is_left_out(&rrs[i], apex)) {
			add_rr(sum, &rrs[i]);
		}
	}
	done = EVP_DigestFinal_ex(sum, bytes, NULL);
	assert(done == 1);
	EVP_MD_CTX_free(sum);
	for (i = 0; i < sizeof(bytes); i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * sizeof(bytes)] = '\0';
}

void sha256(struct span bytes, uint8_t out[SHA256_SIZE])
{
	int done = EVP_Digest(bytes.len == 0 ? "" : bytes.data, bytes.len, out, NULL, EVP_sha256(),
			      NULL);

	assert(done == 1);
}

void hmac_sha256(struct span key, struct span bytes, uint8_t out[SHA256_SIZE])
{
	const unsigned char *done = HMAC(EVP_sha256(), key.len == 0 ? "" : key.data, (int)key.len,
					 (const unsigned char *)(bytes.len == 0 ? "" : bytes.data),
					 bytes.len, out, NULL);

	assert(done != NULL);
}

int digest_secrets_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}
