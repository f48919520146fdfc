/* SPDX-License-Identifier: Apache-2.0 */
/* zone_check.h: what must be true of the records of a zone taken together. Refused is what DA's own
 * named would not load or what servers answer differently; what is merely unwise is a warning;
 * what only one backend's configuration forbids passes (DESIGN section 8).
 */
#ifndef COMMON_ZONE_CHECK_H
#define COMMON_ZONE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/outcome.h"
#include "common/zone_warnings.h"

struct zone_record {
	struct span owner; /* wire, lower case */
	struct span order; /* its dname_order */
	struct span rdata; /* wire, canonical */
	uint32_t ttl;
	uint16_t type;
	size_t line;
};

/* Takes the records in canonical order, without duplicates. */
MUST_CHECK enum outcome zone_check(const struct zone_record *records, size_t count,
				   struct span apex, struct zone_warnings *warnings,
				   struct reason *why);

#endif
