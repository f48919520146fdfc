/* SPDX-License-Identifier: Apache-2.0 */
/* zone_reader.h: lines of words -> entries, each with its full owner, TTL, type and RDATA words.
 *
 * Directives end here: $TTL and $ORIGIN in any letter case, the $INCLUDE of a DNSSEC key file is
 * dropped with a warning, every other one is refused; no file is ever opened. Every entry gets an
 * explicit TTL (RFC 2308 4, RFC 1035 5.1, in BIND's order), class IN, an owner inside the zone.
 */
#ifndef COMMON_ZONE_READER_H
#define COMMON_ZONE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/name.h"
#include "common/outcome.h"
#include "common/zone_dname.h"
#include "common/zone_lexer.h"
#include "common/zone_warnings.h"

struct zone_entry {
	size_t line;
	uint32_t ttl;
	struct span type;
	const struct zone_word *words; /* of the RDATA; until the next call */
	size_t count;
	bool comment_glued;
};

struct zone_reader {
	struct zone_lexer lexer;
	const struct name *zone;
	struct dname apex;
	struct dname origin;
	struct dname owner; /* of the current entry, lower case */
	bool has_owner;
	bool owner_is_new; /* differs from the entry before */
	bool has_default_ttl;
	bool has_last_ttl;
	uint32_t default_ttl;
	uint32_t last_ttl;
	uint32_t ttl_max;
	struct zone_warnings *warnings;
};

void zone_reader_init(struct zone_reader *reader, const struct name *zone, struct span text,
		      uint32_t ttl_max, struct zone_warnings *warnings);
/* `entry->type` is empty at the end of the text. */
MUST_CHECK enum outcome zone_reader_next(struct zone_reader *reader, struct zone_entry *entry,
					 struct reason *why);
/* Another text of the same zone: as if new, but with the memory that it has. */
void zone_reader_again(struct zone_reader *reader, struct span text);
void zone_reader_finish(struct zone_reader *reader);

/* Seconds, or units as in 1w2d3h; `ceiling` is inclusive. */
bool zone_read_period(struct span text, uint32_t ceiling, uint32_t *out);

#endif
