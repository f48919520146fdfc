/* SPDX-License-Identifier: Apache-2.0 */
/* Made from proto/asyncapi.yml by tools/topics-table.py: change that, run this, commit all. */
#ifndef COMMON_TOPICS_NUMBERS_H
#define COMMON_TOPICS_NUMBERS_H

#define TOPIC_COUNT 6
#define TOPIC_SETTINGS_MAX 11

/* Defaults of the keys, as texts. */
#define TOPICS_PARTITIONS_DEFAULT "12"
#define TOPICS_REPLICATION_DEFAULT "0"
#define TOPICS_MESSAGE_BYTES_DEFAULT "1048576"
#define TOPICS_COMPACTION_LAG_MS_DEFAULT "3600000"

#endif
