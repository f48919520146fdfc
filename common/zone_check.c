/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_check.h"

#include <stdbool.h>
#include <string.h>

#include "common/digest.h"
#include "common/zone_dname.h"
#include "common/zone_rdata.h"
#include "common/zone_target.h"

#define LONG_RDATA 4096

/* The records of one owner, and what stands above it. */
struct walk {
	const struct zone_nodes *nodes;
	struct zone_node node;
	struct span cut;   /* the delegation that the owner is below, or empty */
	struct span dname; /* the DNAME that the owner is below, or empty */
	bool is_signed;
	struct zone_warnings *warnings;
};

static enum outcome refuse(const struct zone_record *record, struct reason *why, const char *text)
{
	return because(PERMFAIL, why, "line %zu: %s: %s", record->line,
		       dname_quote(record->owner).text, text);
}

static void warn(const struct walk *walk, const struct zone_record *record, const char *text)
{
	zone_warn(walk->warnings, record->line, "%s: %s", dname_quote(record->owner).text, text);
}

static bool is_dnssec(uint16_t type)
{
	return type == TYPE_RRSIG || type == TYPE_NSEC || type == TYPE_NSEC3;
}

static uint32_t number_at(struct span rdata, size_t from_end)
{
	const unsigned char *at = (const unsigned char *)rdata.data + rdata.len - from_end;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static enum outcome check_soa(const struct zone_record *soa, struct zone_warnings *warnings,
			      struct reason *why)
{
	struct span mname = dname_first(soa->rdata);
	struct span rest = {soa->rdata.data + mname.len, soa->rdata.len - mname.len};
	struct span rname = dname_first(rest);
	size_t i;

	for (i = 16; i >= 4; i -= 4) {
		if (number_at(soa->rdata, i) > INT32_MAX) {
			return refuse(soa, why, "a time of the SOA is over 2147483647 seconds");
		}
	}
	if (number_at(soa->rdata, 20) == 0) {
		zone_warn(warnings, soa->line, "the SOA serial is 0");
	}
	if (span_has_byte(rname, '@')) {
		zone_warn(warnings, soa->line,
			  "the mail address in the SOA is written with a dot in place of the `@`");
	}
	return OK;
}

/* Exactly one SOA, at the apex; name servers at the apex. */
static enum outcome check_apex(const struct zone_nodes *nodes, struct zone_warnings *warnings,
			       struct reason *why)
{
	const struct zone_record *soa = NULL;
	struct zone_node apex;
	size_t i;

	for (i = 0; i < nodes->count; i++) {
		const struct zone_record *record = &nodes->records[i];

		if (record->type != TYPE_SOA) {
			continue;
		}
		if (!span_equal(record->owner, nodes->apex)) {
			return refuse(record, why,
				      "an SOA record belongs to the zone's own name only");
		}
		if (soa != NULL) {
			return refuse(record, why, "a second SOA record");
		}
		soa = record;
	}
	if (soa == NULL) {
		return because(PERMFAIL, why, "the zone has no SOA record");
	}
	(void)zone_node_find(nodes, nodes->apex, &apex); /* the SOA is there */
	if (zone_node_type(&apex, TYPE_CNAME) != NULL) {
		return refuse(zone_node_type(&apex, TYPE_CNAME), why,
			      "a CNAME cannot stand at the zone's own name, beside SOA and NS");
	}
	if (zone_node_type(&apex, TYPE_NS) == NULL) {
		return because(PERMFAIL, why, "the zone has no NS record at its own name");
	}
	if (zone_node_type(&apex, TYPE_DS) != NULL) {
		return refuse(zone_node_type(&apex, TYPE_DS), why,
			      "a DS record belongs into the parent zone");
	}
	return check_soa(soa, warnings, why);
}

/* A wholly signed zone has the key and the SOA's signature at its apex. */
static bool is_signed_zone(const struct zone_nodes *nodes)
{
	struct zone_node apex;
	size_t i;

	if (!zone_node_find(nodes, nodes->apex, &apex) ||
	    zone_node_type(&apex, TYPE_DNSKEY) == NULL) {
		return false;
	}
	for (i = 0; i < apex.count; i++) {
		const struct zone_record *record = &apex.records[i];

		if (record->type == TYPE_RRSIG && record->rdata.data[0] == 0 &&
		    record->rdata.data[1] == TYPE_SOA) {
			return true;
		}
	}
	return false;
}

static enum outcome check_alone(const struct zone_node *node, struct reason *why)
{
	const struct zone_record *cname = zone_node_type(node, TYPE_CNAME);
	size_t i;

	for (i = 0; cname != NULL && i < node->count; i++) {
		const struct zone_record *record = &node->records[i];

		if (record->type == TYPE_CNAME && record != cname) {
			return refuse(record, why, "a second CNAME; a name has one at most");
		}
		if (record->type != TYPE_CNAME && !is_dnssec(record->type)) {
			return refuse(record->line > cname->line ? record : cname, why,
				      "a CNAME and other records at one name");
		}
	}
	return OK;
}

static enum outcome check_dname(const struct walk *walk, const struct zone_record *dname,
				struct reason *why)
{
	const struct zone_node *node = &walk->node;
	const struct zone_record *ns = zone_node_type(node, TYPE_NS);

	if (dname != zone_node_type(node, TYPE_DNAME)) {
		return refuse(dname, why, "a second DNAME; a name has one at most");
	}
	if (ns != NULL && !span_equal(dname->owner, walk->nodes->apex)) {
		return refuse(dname, why, "a DNAME and NS records at one name");
	}
	if (dname_is_wildcard(dname->owner)) {
		return refuse(dname, why, "a DNAME at a wildcard");
	}
	return OK;
}

static enum outcome check_ns(const struct walk *walk, const struct zone_record *ns,
			     struct reason *why)
{
	bool at_apex = span_equal(ns->owner, walk->nodes->apex);
	enum zone_target target = zone_target_of(walk->nodes, ns->rdata);
	struct name_quote name = dname_quote(ns->rdata);

	if (dname_is_wildcard(ns->owner)) {
		return refuse(ns, why, "NS records at a wildcard");
	}
	if (dname_is_address(ns->rdata, walk->nodes->apex)) {
		return refuse(ns, why, "an NS record takes a host name, not an address");
	}
	if (target == TARGET_CNAME && at_apex) {
		return because(
			PERMFAIL, why,
			"line %zu: the name server %s is a CNAME; give it an A or AAAA record",
			ns->line, name.text);
	}
	if (target == TARGET_NO_ADDRESS && at_apex) {
		return because(
			PERMFAIL, why,
			"line %zu: the name server %s is in this zone but has no A or AAAA record",
			ns->line, name.text);
	}
	if (target == TARGET_CNAME) {
		zone_warn(walk->warnings, ns->line, "the name server %s is a CNAME", name.text);
	} else if (target == TARGET_NO_ADDRESS) {
		zone_warn(walk->warnings, ns->line, "the name server %s has no address here",
			  name.text);
	}
	return OK;
}

static void check_host(const struct walk *walk, const struct zone_record *record, struct span host)
{
	if (dname_is_address(host, walk->nodes->apex)) {
		warn(walk, record, "an address where a host name should be");
		return;
	}
	switch (zone_target_of(walk->nodes, host)) {
	case TARGET_CNAME:
		warn(walk, record, "points to a CNAME");
		break;
	case TARGET_NO_ADDRESS:
		warn(walk, record, "points to a name of this zone that has no address");
		break;
	case TARGET_ELSEWHERE:
	case TARGET_ADDRESS:
		break;
	}
}

/* Octets of a digest by its type number; 0: not known to us. */
static size_t digest_size(uint16_t type, unsigned kind)
{
	static const size_t ds[] = {0, 20, 32, 32, 48}; /* SHA-1, SHA-256, GOST, SHA-384 */
	static const size_t sshfp[] = {0, 20, 32};      /* SHA-1, SHA-256 */

	if (type == TYPE_DS) {
		return kind < sizeof(ds) / sizeof(ds[0]) ? ds[kind] : 0;
	}
	return kind < sizeof(sshfp) / sizeof(sshfp[0]) ? sshfp[kind] : 0;
}

static enum outcome check_digest(const struct zone_record *record, size_t kind_at,
				 struct reason *why)
{
	unsigned kind = (unsigned char)record->rdata.data[kind_at];
	size_t wanted = digest_size(record->type, kind);
	size_t size = record->rdata.len - kind_at - 1;

	if (wanted != 0 && size != wanted) {
		return because(PERMFAIL, why,
			       "line %zu: %s: the digest of type %u has %zu octets, not %zu",
			       record->line, dname_quote(record->owner).text, kind, size, wanted);
	}
	return OK;
}

static bool is_mapped(struct span address)
{
	static const char prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1};

	return memcmp(address.data, prefix, sizeof(prefix)) == 0;
}

static enum outcome check_record(const struct walk *walk, const struct zone_record *record,
				 struct reason *why)
{
	if (record->rdata.len > LONG_RDATA) {
		warn(walk, record, "over 4096 octets of data; answers with it need TCP");
	}
	switch (record->type) {
	case TYPE_A:
	case TYPE_AAAA:
	case TYPE_MX:
		if (record == zone_node_type(&walk->node, record->type) &&
		    zone_is_odd_host(record->owner)) {
			warn(walk, record,
			     "no host name (letters, digits, hyphens); some servers refuse it");
		}
		if (record->type == TYPE_MX) {
			check_host(walk, record,
				   (struct span){record->rdata.data + 2, record->rdata.len - 2});
		} else if (record->type == TYPE_AAAA && is_mapped(record->rdata)) {
			warn(walk, record, "an IPv4 address written as an IPv6 address");
		}
		return OK;
	case TYPE_SRV:
		check_host(walk, record,
			   (struct span){record->rdata.data + 6, record->rdata.len - 6});
		return OK;
	case TYPE_NS:
		return check_ns(walk, record, why);
	case TYPE_CNAME:
		zone_cname_follow(walk->nodes, record, walk->warnings);
		return OK;
	case TYPE_DNAME:
		return check_dname(walk, record, why);
	case TYPE_DS:
		if (zone_node_type(&walk->node, TYPE_NS) == NULL) {
			warn(walk, record, "a DS record without NS records");
		}
		return check_digest(record, 3, why);
	case TYPE_SSHFP:
		return check_digest(record, 1, why);
	case TYPE_SPF:
		warn(walk, record, "type SPF is not used any more; say it in a TXT record");
		return OK;
	case TYPE_DNSKEY:
	case TYPE_NSEC3PARAM:
		if (!walk->is_signed) {
			warn(walk, record, "a DNSSEC record in a zone that is not signed");
		}
		return OK;
	case TYPE_RRSIG:
	case TYPE_NSEC:
	case TYPE_NSEC3:
		if (!walk->is_signed) {
			return refuse(record, why,
				      "a signature (RRSIG, NSEC, NSEC3) in a zone that is not "
				      "signed as a whole");
		}
		return OK;
	default:
		return OK;
	}
}

/* Moves `cut` and `dname` to what is above the new node. Canonical order puts everything below a
 * name right behind it, so one of each is enough. */
static enum outcome check_above(struct walk *walk, struct reason *why)
{
	const struct zone_node *node = &walk->node;
	size_t i;

	if (walk->cut.len != 0 && !dname_is_below(node->owner, walk->cut)) {
		walk->cut = SPAN_EMPTY;
	}
	if (walk->dname.len != 0 && !dname_is_below(node->owner, walk->dname)) {
		walk->dname = SPAN_EMPTY;
	}
	for (i = 0; i < node->count; i++) {
		const struct zone_record *record = &node->records[i];
		bool is_address = record->type == TYPE_A || record->type == TYPE_AAAA;

		if (walk->dname.len != 0 && !is_dnssec(record->type)) {
			return because(PERMFAIL, why, "line %zu: %s is below the DNAME of %s",
				       record->line, dname_quote(record->owner).text,
				       dname_quote(walk->dname).text);
		}
		if (walk->cut.len != 0 && !is_address && !is_dnssec(record->type)) {
			warn(walk, record, "below a delegation; it will not be served");
		}
	}
	if (walk->dname.len == 0 && zone_node_type(node, TYPE_DNAME) != NULL) {
		walk->dname = node->owner;
	}
	if (walk->cut.len == 0 && zone_node_type(node, TYPE_NS) != NULL &&
	    !span_equal(node->owner, walk->nodes->apex)) {
		walk->cut = node->owner;
	}
	return OK;
}

static enum outcome check_node(struct walk *walk, struct reason *why)
{
	const struct zone_node *node = &walk->node;
	size_t i;

	if (check_above(walk, why) != OK || check_alone(node, why) != OK) {
		return PERMFAIL;
	}
	if (zone_has_inner_wildcard(node->owner)) {
		warn(walk, &node->records[0], "a `*` that is not the first label is no wildcard");
	}
	for (i = 0; i < node->count; i++) {
		if (check_record(walk, &node->records[i], why) != OK) {
			return PERMFAIL;
		}
	}
	return OK;
}

static bool has_delegations(const struct zone_nodes *nodes)
{
	size_t i;

	for (i = 0; i < nodes->count; i++) {
		if (nodes->records[i].type == TYPE_NS &&
		    !span_equal(nodes->records[i].owner, nodes->apex)) {
			return true;
		}
	}
	return false;
}

enum outcome zone_check(const struct zone_record *records, size_t count, struct span apex,
			struct zone_warnings *warnings, struct reason *why)
{
	struct zone_nodes nodes = {.records = records, .count = count, .apex = apex};
	struct walk walk = {.nodes = &nodes, .warnings = warnings};
	size_t at;

	if (check_apex(&nodes, warnings, why) != OK) {
		return PERMFAIL;
	}
	nodes.has_delegations = has_delegations(&nodes);
	walk.is_signed = is_signed_zone(&nodes);
	for (at = 0; at < count; at += walk.node.count) {
		walk.node = zone_node_at(&nodes, at);
		if (check_node(&walk, why) != OK) {
			return PERMFAIL;
		}
	}
	return OK;
}
