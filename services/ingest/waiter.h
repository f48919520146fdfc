/* SPDX-License-Identifier: Apache-2.0 */
/* waiter.h: a request that waits until all of its pushes are durable (I1): in dadns.pushes, or held
 * in Redis.
 *
 * The request is held, not a thread. Its last part answers it: the last push's end, or the
 * handler's own. `error=0` only if every push is durable, else the answer names those that are not.
 *
 * Threads: a waiter is made and ended by an HTTP thread, its pushes end on the door's; it is freed
 * by whoever finishes its last part.
 */
#ifndef INGEST_WAITER_H
#define INGEST_WAITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event.h"
#include "common/http.h"
#include "common/metrics.h"
#include "services/ingest/holds.h"

/* All waiters of a door. */
struct waiters {
	struct holds *holds;
	int64_t ceiling; /* I9: pushes that are not durable yet, and their bytes */
	int64_t ceiling_bytes;
	_Atomic int64_t in_flight;
	_Atomic int64_t bytes;
};

struct waiter;

/* Holds the request. NULL: no room for so many pushes, or bytes of values; the request is not held.
 */
struct waiter *waiter_begin(struct waiters *waiters, struct http_request *request, size_t pushes,
			    size_t bytes, int64_t started_us, bool json);
/* Sends the i-th of its pushes; each exactly once. Takes the bytes of `value`. */
void waiter_send(struct waiter *waiter, size_t i, const struct push_event *event, struct buf *value,
		 struct span traceparent);
/* Everything was sent; the request may be answered by now and must not be touched again. */
void waiter_end(struct waiter *waiter);

extern const struct metric_table waiter_metrics;

#endif
