/* SPDX-License-Identifier: Apache-2.0 */
/* readers.h: the name servers that read our tables, brought up to date after a commit and looked at
 * (I7), on a thread of their own: the next transaction does not wait for them.
 *
 * Two kinds, both optional. `api`: PowerDNS servers whose caches are flushed by their HTTP API (PUT
 * /api/v1/servers/localhost/cache/flush?domain=ZONE., which also puts a new zone into the zone
 * cache and takes a deleted one out); without it a new zone may take 300 s. `dns`: where the tables
 * are served; asked for the SOA by UDP after the flush, until it shows the serial (a deleted zone:
 * until it is not served), at most `verify_ms`.
 *
 * A flush that found something cached is made once more: PowerDNS empties its packet cache before
 * its query cache, and a question between the two brings the old answer back for another 20 s (of
 * 100 zones that were asked for all the while, 67). And as long as `dns` shows something old, it is
 * flushed again and again, at doubling intervals.
 *
 * PowerDNS flushes some hundred zones a second, and thousands may wait. Those that have changed go
 * before those that were only verified; of them, in turn the newest and the oldest.
 *
 * A reader that is away (no connection, no answer at all) holds nobody up: the zone counts as
 * served without it, for what it will read when it is back is the committed rows. What it missed
 * is flushed when its API answers again. One that answers, but with something else for longer than
 * `verify_ms`, makes the report say so; the core tries the zone again on its schedule.
 *
 * Threads: readers_tell and readers_next belong to the writer's thread; the queue between is the
 * only thing that both touch.
 */
#ifndef WRITER_MYSQL_READERS_H
#define WRITER_MYSQL_READERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/metrics.h"
#include "common/name.h"
#include "common/outcome.h"

struct readers_config {
	const char *api;     /* base URLs, comma separated: "http://127.0.0.1:8081"; empty: none */
	const char *api_key; /* X-API-Key of all of them */
	const char *dns;     /* host:port, comma separated; empty: none is asked */
	int64_t verify_ms;
};

struct readers_job {
	void *ticket; /* comes back with the report */
	struct name zone;
	bool deleted;
	bool now;       /* overtakes a backlog */
	bool unchanged; /* was so before: others go first */
	uint32_t serial;
};

struct readers_report {
	void *ticket;
	enum outcome outcome; /* OK: every reader that is there serves it; else TEMPFAIL */
	struct reason why;
};

struct readers;

/* Borrows the config. PERMFAIL: an address cannot be read. */
MUST_CHECK enum outcome readers_create(const struct readers_config *config, struct readers **out,
				       struct reason *why);
/* Ends the thread; what was not reported never is. */
void readers_destroy(struct readers *readers);
/* Is there anybody to tell? */
bool readers_any(const struct readers *readers);
/* While the database is away, and for verify_ms after, no zone is late: what serves it cannot. */
void readers_database(struct readers *readers, bool there);
/* Takes copies; never waits. Exactly one report comes for each job, in any order. */
void readers_tell(struct readers *readers, const struct readers_job *jobs, size_t count);
/* Never waits; false: nothing to report now. */
bool readers_next(struct readers *readers, struct readers_report *out);

extern const struct metric_table readers_metrics;

#endif
