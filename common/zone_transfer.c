/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of a zone as a server sent it (zone.h). */
#include "common/zone.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/zone_rdata.h"

#define HEADER_SIZE 12
#define CLASS_IN 1
#define MESSAGE_WIRE_MAX (2 * RDATA_MAX)

struct transfer {
	struct digest_rr *rrs;
	char **wires; /* of rrs[i] */
	size_t count;
	size_t room;
	bool complete; /* the closing SOA was seen */
};

static unsigned u16_at(struct span message, size_t at)
{
	return (unsigned)(unsigned char)message.data[at] << 8 | (unsigned char)message.data[at + 1];
}

static void add(struct transfer *transfer, const struct digest_rr *rr)
{
	char *wire = xmalloc(rr->owner.len + rr->rdata.len);
	struct digest_rr *copy;

	if (transfer->count == transfer->room) {
		transfer->room = transfer->room == 0 ? 64 : transfer->room * 2;
		transfer->rrs = xrealloc(transfer->rrs, transfer->room * sizeof(*transfer->rrs));
		transfer->wires =
			xrealloc(transfer->wires, transfer->room * sizeof(*transfer->wires));
	}
	copy = &transfer->rrs[transfer->count];
	*copy = *rr;
	memcpy(wire, rr->owner.data, rr->owner.len);
	memcpy(wire + rr->owner.len, rr->rdata.data, rr->rdata.len);
	copy->owner.data = wire;
	copy->rdata.data = wire + rr->owner.len;
	transfer->wires[transfer->count++] = wire;
}

static bool same_record(const struct digest_rr *a, const struct digest_rr *b)
{
	return a->type == b->type && a->ttl == b->ttl && span_equal(a->owner, b->owner) &&
	       span_equal(a->rdata, b->rdata);
}

static enum outcome take_record(struct transfer *transfer, const struct digest_rr *rr,
				struct reason *why)
{
	if (transfer->complete) {
		return because(PERMFAIL, why, "a record follows the closing SOA");
	}
	if (rr->class != CLASS_IN) {
		return because(PERMFAIL, why, "a record of class %u", rr->class);
	}
	if (transfer->count == 0 && rr->type != TYPE_SOA) {
		return because(PERMFAIL, why, "the first record is no SOA");
	}
	if (transfer->count != 0 && rr->type == TYPE_SOA) {
		if (!same_record(&transfer->rrs[0], rr)) {
			return because(PERMFAIL, why, "a second SOA that differs from the first");
		}
		transfer->complete = true; /* and is not counted twice */
		return OK;
	}
	add(transfer, rr);
	return OK;
}

static enum outcome skip_questions(struct span message, size_t *at, struct reason *why)
{
	unsigned left = u16_at(message, 4);

	for (; left > 0; left--) {
		while (*at < message.len && message.data[*at] != 0 &&
		       (message.data[*at] & 0xc0) != 0xc0) {
			*at += (size_t)(unsigned char)message.data[*at] + 1;
		}
		if (*at >= message.len) {
			break;
		}
		*at += (message.data[*at] == 0 ? 1 : 2) + 4;
	}
	if (*at > message.len || left > 0) {
		return because(PERMFAIL, why, "a message is cut short");
	}
	return OK;
}

static enum outcome take_message(struct transfer *transfer, struct span message, struct buf *wire,
				 struct reason *why)
{
	size_t at = HEADER_SIZE;
	unsigned flags;
	unsigned left;

	if (message.len < HEADER_SIZE) {
		return because(PERMFAIL, why, "a message is cut short");
	}
	flags = u16_at(message, 2);
	if ((flags & 0x8000) == 0 || (flags & 0x7a00) != 0) {
		return because(PERMFAIL, why, "a message is no whole answer (flags %04x)", flags);
	}
	if ((flags & 0x000f) != 0) {
		return because(PERMFAIL, why, "the server answers with rcode %u", flags & 0x000f);
	}
	if (skip_questions(message, &at, why) != OK) {
		return PERMFAIL;
	}
	for (left = u16_at(message, 6); left > 0; left--) {
		struct digest_rr rr;

		if (rdata_from_message(message, &at, wire, &rr, why) != OK ||
		    take_record(transfer, &rr, why) != OK) {
			return PERMFAIL;
		}
	}
	return OK;
}

enum outcome zone_digest_transfer(const struct span *messages, size_t count,
				  char digest[DIGEST_HEX_SIZE], uint32_t *serial,
				  struct reason *why)
{
	struct buf wire = BUF_INIT(MESSAGE_WIRE_MAX);
	struct transfer transfer = {0};
	enum outcome outcome = OK;
	size_t i;

	for (i = 0; i < count && outcome == OK; i++) {
		outcome = take_message(&transfer, messages[i], &wire, why);
	}
	if (outcome == OK && !transfer.complete) {
		outcome = because(PERMFAIL, why, "the transfer ends before its closing SOA");
	}
	if (outcome == OK) {
		*serial = rdata_soa_serial(transfer.rrs[0].rdata); /* before they are sorted */
		digest_zone(transfer.rrs, transfer.count, digest);
	}
	for (i = 0; i < transfer.count; i++) {
		free(transfer.wires[i]);
	}
	free(transfer.wires);
	free(transfer.rrs);
	buf_finish(&wire);
	return outcome;
}
