/* SPDX-License-Identifier: Apache-2.0 */
/* writer.h: the loop that every writer is: decode -> fence -> apply -> verify -> status -> store
 * offset | retry. The backend decides nothing about order; the core knows nothing about files.
 *
 * Reads ahead a bounded window (window.h) in which `now` pushes overtake and only the newest value
 * of a zone is applied; offsets are stored contiguously (I3). A zone that the backend refuses is
 * kept in Redis (in memory, while there is none) and tried again on the schedule, without blocking
 * its partition (I8); when its tries are used up, its record goes to the dead letters. While the
 * whole backend is away the partitions are paused and the backend is probed from 0.5 s up to 3 s;
 * no tries are used up.
 */
#ifndef COMMON_WRITER_H
#define COMMON_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "common/backend.h"
#include "common/bus.h"
#include "common/config.h"
#include "common/preflight.h"
#include "common/redis.h"
#include "common/service.h"
#include "common/topics.h"

struct writer_config {
	struct service_config service; /* first, as service_start wants it */
	struct bus_config bus;
	struct topics_config topics;
	struct redis_config redis;
	struct preflight_config preflight;
	int64_t batch_zones;
	int64_t window_records;
	int64_t window_bytes;
	const char *retry_delays; /* "30s,2m,5m,15m,30m" */
};

/* clang-format off */
#define WRITER_KEYS(struct_, member_)                                                              \
	BUS_KEYS(struct_, member_.bus),                                                            \
	TOPICS_KEYS(struct_, member_.topics),                                                      \
	REDIS_KEYS(struct_, member_.redis),                                                        \
	PREFLIGHT_KEYS(struct_, member_.preflight),                                                \
	KEY_RANGE(struct_, member_.batch_zones, "writer.batch_zones", "64", 1, 4096,              \
		  "zones given to the backend at once; a `now` push waits for one batch at most"), \
	KEY_RANGE(struct_, member_.window_records, "writer.window_records", "8192", 16, 1000000,   \
		  "records read ahead and not finished; a `now` push overtakes within them"),      \
	KEY_RANGE(struct_, member_.window_bytes, "writer.window_bytes", "33554432", 1048576,       \
		  1073741824, "the same in bytes"),                                                \
	KEY(struct_, member_.retry_delays, "writer.retry_delays", "30s,2m,5m,15m,30m",             \
	    "pauses before a zone that the backend refused is tried again; after the last try its "    \
	    "record goes to the dead letters")
/* clang-format on */

/* The whole life of a writer process: `base` starts with a struct writer_config. `create` makes
 * the backend from the loaded config (PERMFAIL: the stanza is wrong). Returns the exit code. */
int writer_main(const struct service_about *about, void *base, int argc, char **argv,
		const struct backend_ops *ops,
		enum outcome (*create)(void *base, const struct backend_about *about,
				       void **backend, struct reason *why));

extern const struct metric_table writer_metrics;

#endif
