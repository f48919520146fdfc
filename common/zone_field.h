/* SPDX-License-Identifier: Apache-2.0 */
/* zone_field.h: one field of RDATA: words -> octets, octets -> text. The other half of
 * zone_rdata.h, which knows the order of fields in each type.
 */
#ifndef COMMON_ZONE_FIELD_H
#define COMMON_ZONE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/outcome.h"
#include "common/zone_dname.h"
#include "common/zone_lexer.h"

struct field {
	int kind; /* an ldns_rdf_type */
	const struct zone_word *words;
	size_t count; /* words that are left, at least one */
	const struct dname *origin;
	size_t taken; /* out: words used */
};

/* Adds octets to `wire`. `why` is half a sentence. */
MUST_CHECK enum outcome field_parse(struct field *field, struct buf *wire, struct reason *why);
/* The octets of the field at the head of `wire`. 0: it is cut short, or of a kind that ldns reads.
 */
size_t field_size(int kind, struct span wire);
/* Adds text; nothing in it that a zone file could read otherwise. */
MUST_CHECK enum outcome field_print(int kind, struct span octets, struct buf *text,
				    struct reason *why);

/* Digits only, up to `highest`. */
bool field_read_number(struct span text, uint32_t highest, uint32_t *out);

#endif
