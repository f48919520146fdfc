/* SPDX-License-Identifier: Apache-2.0 */
/* door.h: takes what DirectAdmin says, makes it durable, answers. HTTP in, dadns.pushes out.
 *
 * Everything that needs no memory is checked here: credentials, names, the zone text. `exists` is
 * answered from the index. A push is answered `error=0` only when it is durable (I1): Kafka's
 * delivery report says that it is in the log, or Redis that it is held (holds.h); meanwhile the
 * request is held, not a thread. What needs memory is the judge's.
 *
 * Threads: HTTP threads run the handler, one thread of the door's takes the delivery reports, one
 * asks Redis and drains what is held; both answer requests. A held request's state is touched by
 * the one that holds its last part.
 */
#ifndef INGEST_DOOR_H
#define INGEST_DOOR_H

#include <stdint.h>

#include "common/bus.h"
#include "common/hold.h"
#include "common/http.h"
#include "common/metrics.h"
#include "common/outcome.h"
#include "common/service.h"
#include "common/zone.h"
#include "services/ingest/index_reader.h"
#include "services/ingest/senders.h"
#include "services/ingest/zindex.h"

struct door_config {
	struct http_config http;
	struct zone_limits limits;
	int64_t event_bytes;      /* I9: ceiling of one encoded push */
	int64_t pushes_in_flight; /* I9: pushes sent and not reported */
	int64_t linger_us;
	const struct redis_config *redis; /* borrowed */
	struct hold_ceilings held;
	int64_t mass_deletes; /* of a sender within mass_seconds (I11) */
	int64_t mass_seconds;
	const char *source; /* "/ingest/HOST", borrowed */
};

#define DOOR_QUEUE_BYTES ((int64_t)64 << 20)

struct door;

/* All borrowed until door_close. PERMFAIL: the address cannot be listened on, or Kafka's or Redis's
 * settings are wrong. */
MUST_CHECK enum outcome door_open(struct door **out, const struct door_config *config,
				  const struct bus_config *bus, const struct senders *senders,
				  const struct zindex *index, struct index_reader *reader,
				  struct service *service, struct reason *why);
/* Takes no further connections, answers what is held, ends. Accepts NULL. */
void door_close(struct door *door);

extern const struct metric_table door_metrics;

#endif
