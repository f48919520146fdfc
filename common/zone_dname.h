/* SPDX-License-Identifier: Apache-2.0 */
/* zone_dname.h: domain names in wire form, as they stand in records: any legal owner or target,
 * where `struct name` is the stricter name of a zone.
 *
 * Keeps the letter case it was given; dname_lower is the caller's choice.
 */
#ifndef COMMON_ZONE_DNAME_H
#define COMMON_ZONE_DNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/name.h"
#include "common/outcome.h"

#define DNAME_MAX 255
#define DNAME_LABEL_MAX 63

struct dname {
	uint8_t len;
	char wire[DNAME_MAX];
};

/* Owners are held to more than targets: no `@ $ " \` in them, escaped or not. Targets may hold `@`
 * behind their first byte (people write it into the SOA). */
enum dname_use { DNAME_OWNER, DNAME_TARGET };

/* Master file text, `@` and relative names completed with `origin`. `why` is half a sentence. */
MUST_CHECK enum outcome dname_parse(struct span text, const struct dname *origin,
				    enum dname_use use, struct dname *out, struct reason *why);
void dname_from_name(const struct name *name, struct dname *out);
void dname_copy(const struct dname *from, struct dname *to);
struct span dname_span(const struct dname *dname);

void dname_lower(char *wire, size_t len);
/* Absolute, escaped so that BIND, NSD, ldns and SQL read the same name. */
void dname_print(struct span wire, struct buf *out);
/* For messages: without the final dot, cut. */
struct name_quote dname_quote(struct span wire);

/* Of names in lower case. Also true for equal names. */
bool dname_is_within(struct span wire, struct span ancestor);
bool dname_is_below(struct span wire, struct span ancestor);
#define DNAME_ORDER_MAX DNAME_MAX
/* Octets whose plain order is the canonical order of names (RFC 4034 6.1): the labels from the root
 * down, a NUL behind each. False: a label holds a NUL, as no owner's does. */
bool dname_order(struct span wire, char order[DNAME_ORDER_MAX], size_t *len);
/* Of two such: <0, 0, >0. */
int dname_order_compare(struct span a, struct span b);
bool dname_is_wildcard(struct span wire);
/* One label up; the root gives itself. */
struct span dname_parent(struct span wire);
/* The name at the head of longer bytes, such as RDATA. */
struct span dname_first(struct span bytes);
/* An IPv4 address where a name should be: 192.0.2.1. or, relative, 192.0.2.1.example.com. */
bool dname_is_address(struct span wire, struct span origin);

#endif
