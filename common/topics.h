/* SPDX-License-Identifier: Apache-2.0 */
/* topics.h: what the topics must be (DESIGN.md section 3), made and checked; and the epoch record.
 *
 * One table of topics with cleanup policy and settings, made from proto/asyncapi.yml. `dadns topics
 * apply` makes what is missing and corrects settings; it never changes a partition count and never
 * deletes. Services call topics_check before they take work and stay unready with its text until it
 * is OK.
 */
#ifndef COMMON_TOPICS_H
#define COMMON_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/config.h"
#include "common/topics_numbers.h"

struct topics_config {
	int64_t partitions;        /* of pushes, zones, heals, status, dead-letters (I2) */
	int64_t replication;       /* 0: the cluster's default */
	int64_t message_bytes;     /* the door's ceiling: zones, heals, dead-letters get + 64 KiB */
	int64_t compaction_lag_ms; /* min.compaction.lag.ms of zones */
};
#define TOPICS_KEYS(struct_, member_)                                                             \
	KEY_RANGE(struct_, member_.partitions, "topics.partitions", TOPICS_PARTITIONS_DEFAULT, 1, \
		  1024, "partitions of pushes, zones and heals; pinned for good once made"),      \
		KEY_RANGE(struct_, member_.replication, "topics.replication",                     \
			  TOPICS_REPLICATION_DEFAULT, 0, 10,                                      \
			  "replication factor of new topics; 0 = the cluster's default"),         \
		KEY_RANGE(struct_, member_.message_bytes, "topics.message_bytes",                 \
			  TOPICS_MESSAGE_BYTES_DEFAULT, 65536, 16777216,                          \
			  "largest push the door takes, in bytes"),                               \
		KEY_RANGE(struct_, member_.compaction_lag_ms, "topics.compaction_lag_ms",         \
			  TOPICS_COMPACTION_LAG_MS_DEFAULT, 0, 2592000000,                        \
			  "how long every value of zones stays readable; under 1 h is for tests")

/* A reported line is "TOPIC: STATE: TEXT", for instance
 * "dadns.zones: set: cleanup.policy compact (was delete)"; STATE is made, set, right or wrong. */

/* Makes and corrects; `report` is called once per thing done or found right. Settings that only
 * tune (segment sizes, more retention than we ask for) are left to the operator. `new_epoch`: raise
 * the epoch though there is one. TEMPFAIL: Kafka is away. PERMFAIL: a human must decide (a wrong
 * partition count); `why` says what. */
MUST_CHECK enum outcome topics_apply(const struct bus_config *bus,
				     const struct topics_config *config, bool new_epoch,
				     void (*report)(void *context, const char *line), void *context,
				     struct reason *why);
/* Every topic exists with the right partition count and the settings that correctness rests on
 * (cleanup.policy, message.timestamp.type, retention.bytes, max.message.bytes, compaction lag), and
 * every partition of zones has an epoch record of one epoch. Reports each finding; OK only when
 * all is right. Looks at brokers for up to `timeout_ms`. */
MUST_CHECK enum outcome topics_check(const struct bus_config *bus,
				     const struct topics_config *config, int timeout_ms,
				     void (*report)(void *context, const char *line), void *context,
				     struct reason *why);
/* The same, finding by finding; without `epoch` zones is not read. What is wrong is told and no
 * failure: TEMPFAIL: it could not be looked at. */
enum topic_fault {
	TOPIC_RIGHT,
	TOPIC_EPOCH_RIGHT,
	TOPIC_MISSING,
	TOPIC_PARTITIONS,
	TOPIC_SETTING,
	TOPIC_EPOCH,
};
MUST_CHECK enum outcome topics_inspect(const struct bus_config *bus,
				       const struct topics_config *config, int timeout_ms,
				       bool epoch,
				       void (*find)(void *context, const char *topic,
						    enum topic_fault fault, const char *text),
				       void *context, struct reason *why);
/* The quick form for services: topics exist and pushes, zones and heals have the same, configured
 * number of partitions. */
MUST_CHECK enum outcome topics_preflight(const struct bus_config *bus,
					 const struct topics_config *config, int timeout_ms,
					 struct reason *why);

#endif
