/* SPDX-License-Identifier: Apache-2.0 */
/* waiter.h: a request that waits until all of its pushes are in dadns.pushes (I1).
 *
 * The request is held, not a thread. Its last part answers it: the last delivery report, or the
 * handler's own end. `error=0` only if every push is in the log, else the answer names those that
 * are not.
 *
 * Threads: a waiter is made and ended by an HTTP thread, reports come on the door's; it is freed by
 * whoever finishes its last part.
 */
#ifndef INGEST_WAITER_H
#define INGEST_WAITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/event.h"
#include "common/http.h"
#include "common/metrics.h"

/* All waiters of a door. */
struct waiters {
	struct bus_producer *producer;
	const char *source; /* "/ingest/HOST" */
	int64_t ceiling;    /* I9: pushes sent and not reported */
	_Atomic int64_t in_flight;
};

struct waiter;

/* Holds the request. NULL: no room for so many pushes; the request is not held. */
struct waiter *waiter_begin(struct waiters *waiters, struct http_request *request, size_t pushes,
			    int64_t started_us, bool json);
/* Sends the i-th of its pushes; each exactly once. Copies. */
void waiter_send(struct waiter *waiter, size_t i, const struct push_event *event, struct span value,
		 struct span traceparent);
/* Everything was sent; the request may be answered by now and must not be touched again. */
void waiter_end(struct waiter *waiter);

extern const struct metric_table waiter_metrics;

#endif
