/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_target.h"

#include <string.h>

#include "common/zone_dname.h"
#include "common/zone_rdata.h"

#define CNAME_STEPS_MAX 8

struct zone_node zone_node_at(const struct zone_nodes *nodes, size_t at)
{
	struct zone_node node = {.owner = nodes->records[at].owner, .records = &nodes->records[at]};

	while (at + node.count < nodes->count &&
	       span_equal(node.records[node.count].owner, node.owner)) {
		node.count++;
	}
	return node;
}

bool zone_node_find(const struct zone_nodes *nodes, struct span owner, struct zone_node *out)
{
	char bytes[DNAME_ORDER_MAX];
	struct span order = {.data = bytes};
	size_t low = 0;
	size_t high = nodes->count;

	if (!dname_order(owner, bytes, &order.len)) {
		return false;
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dname_order_compare(nodes->records[middle].order, order) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (low == nodes->count || dname_order_compare(nodes->records[low].order, order) != 0) {
		return false;
	}
	*out = zone_node_at(nodes, low);
	return true;
}

const struct zone_record *zone_node_type(const struct zone_node *node, uint16_t type)
{
	size_t i;

	for (i = 0; i < node->count && node->records[i].type <= type; i++) {
		if (node->records[i].type == type) {
			return &node->records[i];
		}
	}
	return NULL;
}

static bool is_delegated(const struct zone_nodes *nodes, struct span name)
{
	struct zone_node node;

	if (!nodes->has_delegations) {
		return false;
	}
	for (; name.len > nodes->apex.len; name = dname_parent(name)) {
		if (zone_node_find(nodes, name, &node) && zone_node_type(&node, TYPE_NS) != NULL) {
			return true;
		}
	}
	return false;
}

/* The node itself, or the wildcard that would answer for it. */
static bool find_answering(const struct zone_nodes *nodes, struct span name, struct zone_node *out)
{
	if (zone_node_find(nodes, name, out)) {
		return true;
	}
	while (name.len > nodes->apex.len) {
		char wildcard[DNAME_MAX + 2] = {1, '*'};

		name = dname_parent(name);
		memcpy(wildcard + 2, name.data, name.len);
		if (zone_node_find(nodes, (struct span){wildcard, name.len + 2}, out)) {
			return true;
		}
	}
	return false;
}

enum zone_target zone_target_of(const struct zone_nodes *nodes, struct span name)
{
	struct dname lower = {.len = (uint8_t)name.len};
	struct zone_node node;

	memcpy(lower.wire, name.data, name.len);
	dname_lower(lower.wire, lower.len);
	name = dname_span(&lower);
	if (!dname_is_within(name, nodes->apex) || is_delegated(nodes, name)) {
		return TARGET_ELSEWHERE;
	}
	if (!find_answering(nodes, name, &node)) {
		return TARGET_NO_ADDRESS;
	}
	if (zone_node_type(&node, TYPE_CNAME) != NULL) {
		return TARGET_CNAME;
	}
	if (zone_node_type(&node, TYPE_A) == NULL && zone_node_type(&node, TYPE_AAAA) == NULL) {
		return TARGET_NO_ADDRESS;
	}
	return TARGET_ADDRESS;
}

void zone_cname_follow(const struct zone_nodes *nodes, const struct zone_record *cname,
		       struct zone_warnings *warnings)
{
	const struct zone_record *at = cname;
	struct name_quote owner = dname_quote(cname->owner);
	struct zone_node node;
	size_t steps;

	for (steps = 0; at != NULL; steps++) {
		if (steps == CNAME_STEPS_MAX) {
			zone_warn(warnings, cname->line,
				  "%s: the CNAMEs lead round in a circle or on and on", owner.text);
			return;
		}
		if (!dname_is_within(at->rdata, nodes->apex) || is_delegated(nodes, at->rdata)) {
			return;
		}
		if (!find_answering(nodes, at->rdata, &node)) {
			zone_warn(warnings, cname->line,
				  "%s: points to a name that is not in this zone", owner.text);
			return;
		}
		at = zone_node_type(&node, TYPE_CNAME);
	}
}

bool zone_is_odd_host(struct span owner)
{
	size_t at = 0;

	if (dname_is_wildcard(owner)) {
		owner = dname_parent(owner);
	}
	while (owner.data[at] != 0) {
		size_t end = at + (size_t)(unsigned char)owner.data[at];

		for (at++; at <= end; at++) {
			char c = owner.data[at];

			if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-') {
				return true;
			}
		}
	}
	return false;
}

bool zone_has_inner_wildcard(struct span owner)
{
	while (owner.data[0] != 0) {
		owner = dname_parent(owner);
		if (dname_is_wildcard(owner)) {
			return true;
		}
	}
	return false;
}
