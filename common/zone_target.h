/* SPDX-License-Identifier: Apache-2.0 */
/* zone_target.h: look-ups among the sorted records of a zone: its nodes, and what a record that
 * names another host will find there.
 */
#ifndef COMMON_ZONE_TARGET_H
#define COMMON_ZONE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/zone_check.h"

/* All records, in canonical order. */
struct zone_nodes {
	const struct zone_record *records;
	size_t count;
	struct span apex;
	bool has_delegations;
};

/* The records of one owner. */
struct zone_node {
	struct span owner;
	const struct zone_record *records;
	size_t count;
};

/* The node that begins at record `at`. */
struct zone_node zone_node_at(const struct zone_nodes *nodes, size_t at);
bool zone_node_find(const struct zone_nodes *nodes, struct span owner, struct zone_node *out);
/* The first record of that type, or NULL. */
const struct zone_record *zone_node_type(const struct zone_node *node, uint16_t type);

enum zone_target {
	TARGET_ELSEWHERE, /* outside the zone, or below a delegation */
	TARGET_ADDRESS,
	TARGET_CNAME,
	TARGET_NO_ADDRESS,
};

/* What stands at `name` (any letter case), wildcards included. */
enum zone_target zone_target_of(const struct zone_nodes *nodes, struct span name);
/* Warns of loops, long chains and ends that are not there. */
void zone_cname_follow(const struct zone_nodes *nodes, const struct zone_record *cname,
		       struct zone_warnings *warnings);
bool zone_is_odd_host(struct span owner);
bool zone_has_inner_wildcard(struct span owner);

#endif
