/* SPDX-License-Identifier: Apache-2.0 */
/* layout_powerdns_record.h: one record in the spelling of PowerDNS's tables. For layout_powerdns.c
 * only.
 *
 * What PowerDNS makes of rows was tried on 4.7.3, type by type, beside named. One record that it
 * cannot read costs every answer at that name, and the transfer of the whole zone: what is not
 * known to be served is rewritten or refused here.
 */
#ifndef COMMON_LAYOUT_POWERDNS_RECORD_H
#define COMMON_LAYOUT_POWERDNS_RECORD_H

#include "common/buf.h"
#include "common/layout.h"
#include "common/outcome.h"
#include "common/zone.h"

/* As PowerDNS looks for it: no final dot, and less is escaped than in a zone file. */
struct span powerdns_name(struct span name, struct rows *rows);
/* The way back; nothing of an empty name. */
void powerdns_owner(struct span name, struct buf *out);
/* Fills type, data and prio. PERMFAIL: it cannot be served from there. */
MUST_CHECK enum outcome powerdns_record(const char *type, const char *rdata, struct row *row,
					struct rows *rows, struct reason *why);

#endif
