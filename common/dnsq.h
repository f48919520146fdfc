/* SPDX-License-Identifier: Apache-2.0 */
/* dnsq.h: a small DNS client that asks one server what it serves: SOA by UDP, many in flight, and
 * AXFR by TCP. The few fields it needs are read from the wire by hand; the digest is zone.h's.
 *
 * Threads: a struct dnsq belongs to one thread.
 */
#ifndef COMMON_DNSQ_H
#define COMMON_DNSQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/name.h"
#include "common/outcome.h"

struct dnsq;

enum dnsq_state {
	DNSQ_SERVED,     /* authoritative answer with that zone's own SOA: `serial` holds */
	DNSQ_NOT_SERVED, /* REFUSED, NXDOMAIN, NODATA, referral, or another zone's SOA */
	DNSQ_BROKEN,     /* SERVFAIL: the server has the zone but cannot serve it */
};
struct dnsq_answer {
	uint32_t tag; /* of the question */
	enum dnsq_state state;
	uint32_t serial;
};

/* `server` is host:port (a literal address, [v6]:port, or a name; port 53 when missing). Touches
 * nothing outside before the first question. PERMFAIL: `server` cannot be read. */
MUST_CHECK enum outcome dnsq_create(struct dnsq **out, const char *server, struct reason *why);
void dnsq_destroy(struct dnsq *dnsq);

/* Sends a SOA question now. `tag` comes back with the answer; a tag that is asked again replaces
 * its older question. TEMPFAIL: cannot be sent. */
MUST_CHECK enum outcome dnsq_ask_soa(struct dnsq *dnsq, const struct name *zone, uint32_t tag,
				     struct reason *why);
/* Waits up to `timeout_ms` for one answer; false: none came. */
bool dnsq_next(struct dnsq *dnsq, int timeout_ms, struct dnsq_answer *out);
/* To be polled beside other things; -1 before the first question. */
int dnsq_fd(const struct dnsq *dnsq);
/* Questions not yet answered; forgotten by dnsq_forget. */
size_t dnsq_pending(const struct dnsq *dnsq);
void dnsq_forget(struct dnsq *dnsq);

/* Transfers the zone and digests it. PERMFAIL: not served there; TEMPFAIL: no answer in
 * `timeout_ms` or the connection broke. Keeps its TCP connection open for the next one. */
MUST_CHECK enum outcome dnsq_digest(struct dnsq *dnsq, const struct name *zone, int timeout_ms,
				    char digest[DIGEST_HEX_SIZE], uint32_t *serial,
				    struct reason *why);

#endif
