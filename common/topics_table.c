/* SPDX-License-Identifier: Apache-2.0 */
/* Made from proto/asyncapi.yml by tools/topics-table.py: change that, run this, commit all. */
#include "common/topics_table.h"

#include <stddef.h>

#include "common/event.h"

/* clang-format off */
static const struct topic_setting pushes[] = {
	{"message.timestamp.type", EQUAL, .text = "LogAppendTime"},
	{"retention.bytes", EQUAL, .text = "-1"},
	{"unclean.leader.election.enable", EQUAL, .text = "false"},
	{"max.message.bytes", AT_LEAST, .base = MESSAGE_BYTES, .plus = INT64_C(65536)},
	{"cleanup.policy", EQUAL, .text = "delete"},
	{"retention.ms", AT_LEAST, .text = "2592000000"},
	{"segment.ms", TUNING, .text = "86400000"},
	{"min.insync.replicas", AT_LEAST, .text = "2", .replicas = 3},
	{0},
};

static const struct topic_setting zones[] = {
	{"message.timestamp.type", EQUAL, .text = "LogAppendTime"},
	{"retention.bytes", EQUAL, .text = "-1"},
	{"unclean.leader.election.enable", EQUAL, .text = "false"},
	{"max.message.bytes", AT_LEAST, .base = MESSAGE_BYTES, .plus = INT64_C(65536)},
	{"cleanup.policy", EQUAL, .text = "compact"},
	{"min.compaction.lag.ms", AT_LEAST, .base = COMPACTION_LAG_MS},
	{"max.compaction.lag.ms", TUNING, .base = COMPACTION_LAG_MS, .plus = INT64_C(604800000)},
	{"delete.retention.ms", AT_LEAST, .text = "2592000000"},
	{"segment.ms", TUNING, .text = "86400000"},
	{"segment.bytes", TUNING, .text = "67108864"},
	{"min.insync.replicas", AT_LEAST, .text = "2", .replicas = 3},
	{0},
};

static const struct topic_setting heals[] = {
	{"message.timestamp.type", EQUAL, .text = "LogAppendTime"},
	{"retention.bytes", EQUAL, .text = "-1"},
	{"unclean.leader.election.enable", EQUAL, .text = "false"},
	{"max.message.bytes", AT_LEAST, .base = MESSAGE_BYTES, .plus = INT64_C(65536)},
	{"cleanup.policy", EQUAL, .text = "delete"},
	{"retention.ms", AT_LEAST, .text = "86400000"},
	{"segment.ms", TUNING, .text = "21600000"},
	{"segment.bytes", TUNING, .text = "67108864"},
	{"min.insync.replicas", AT_LEAST, .text = "2", .replicas = 3},
	{0},
};

static const struct topic_setting status[] = {
	{"message.timestamp.type", EQUAL, .text = "LogAppendTime"},
	{"retention.bytes", EQUAL, .text = "-1"},
	{"unclean.leader.election.enable", EQUAL, .text = "false"},
	{"cleanup.policy", EQUAL, .text = "compact"},
	{"segment.ms", TUNING, .text = "86400000"},
	{"segment.bytes", TUNING, .text = "67108864"},
	{"min.insync.replicas", AT_LEAST, .text = "2", .replicas = 3},
	{0},
};

static const struct topic_setting dead_letters[] = {
	{"message.timestamp.type", EQUAL, .text = "LogAppendTime"},
	{"retention.bytes", EQUAL, .text = "-1"},
	{"unclean.leader.election.enable", EQUAL, .text = "false"},
	{"max.message.bytes", AT_LEAST, .base = MESSAGE_BYTES, .plus = INT64_C(65536)},
	{"cleanup.policy", EQUAL, .text = "delete"},
	{"retention.ms", AT_LEAST, .text = "2592000000"},
	{"segment.ms", TUNING, .text = "86400000"},
	{"segment.bytes", TUNING, .text = "67108864"},
	{"min.insync.replicas", AT_LEAST, .text = "2", .replicas = 3},
	{0},
};

static const struct topic_setting audits[] = {
	{"message.timestamp.type", EQUAL, .text = "LogAppendTime"},
	{"retention.bytes", EQUAL, .text = "-1"},
	{"unclean.leader.election.enable", EQUAL, .text = "false"},
	{"cleanup.policy", EQUAL, .text = "compact"},
	{"segment.ms", TUNING, .text = "86400000"},
	{"min.insync.replicas", AT_LEAST, .text = "2", .replicas = 3},
	{0},
};

const struct topic_row topic_rows[TOPIC_COUNT] = {
	{TOPIC_PUSHES, true, 12, pushes},
	{TOPIC_ZONES, true, 12, zones},
	{TOPIC_HEALS, true, 12, heals},
	{TOPIC_STATUS, true, 12, status},
	{TOPIC_DEAD_LETTERS, true, 12, dead_letters},
	{TOPIC_AUDITS, false, 1, audits},
};
