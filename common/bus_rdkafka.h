/* SPDX-License-Identifier: Apache-2.0 */
/* bus_rdkafka.h: what bus_*.c share: settings of a client, its log, its errors, its counters.
 * The one header that knows librdkafka; for bus_*.c only.
 *
 * Settings are applied in this order: those of every client, those of the producer or consumer,
 * then the operator's `kafka.*`, except the ones that invariants rest on (I1, I2, I3).
 *
 * Threads: none of this keeps state but the counters, which are atomics.
 */
#ifndef COMMON_BUS_RDKAFKA_H
#define COMMON_BUS_RDKAFKA_H

#include <stdbool.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include "common/bus.h"
#include "common/metrics.h"
#include "common/outcome.h"

/* A record of this size is sent and read whatever a topic allows: 16 MiB and what goes around it.
 */
#define BUS_RECORD_BYTES_MAX (17 * 1024 * 1024)

/* librdkafka wants a group's name for assign() even where nothing is stored. */
#define BUS_NO_GROUP "dadns.reader"

struct bus_setting {
	const char *name;
	const char *text; /* NULL: the number */
	int64_t number;
	bool newer; /* a library that does not know it yet does not need it */
};

/* `settings` ends with a row without a name. PERMFAIL: `why` names the setting. */
MUST_CHECK enum outcome bus_conf_create(rd_kafka_conf_t **out, const struct bus_config *config,
					const struct bus_setting *settings, struct reason *why);
/* Takes `conf`, also when it fails. */
MUST_CHECK enum outcome bus_client_create(rd_kafka_t **out, rd_kafka_type_t type,
					  rd_kafka_conf_t *conf, struct reason *why);
bool bus_client_fatal(rd_kafka_t *rk, struct reason *why);

/* One allocation of ours: a message that is kept does not keep the whole fetch it came with. */
struct bus_message *bus_message_create(const rd_kafka_message_t *message);

rd_kafka_t *bus_consumer_handle(const struct bus_consumer *consumer); /* borrowed */

enum bus_row {
	BUS_SENT,
	BUS_SENT_BYTES,
	BUS_FAILED_TIMEOUT,
	BUS_FAILED_PURGED,
	BUS_FAILED_TOPIC,
	BUS_FAILED_REFUSED,
	BUS_NOT_TAKEN_FULL,
	BUS_NOT_TAKEN_REFUSED,
	BUS_ACK,
	BUS_CONSUMED,
	BUS_CONSUMED_BYTES,
	BUS_ASSIGNED,
	BUS_REVOKED,
	BUS_LOST,
	BUS_PARTITIONS,
	BUS_STORE_REFUSED,
	BUS_TROUBLES,
	BUS_ROWS
};
extern struct metric bus_rows[BUS_ROWS];

#endif
