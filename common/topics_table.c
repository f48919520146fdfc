/* SPDX-License-Identifier: Apache-2.0 */
#include "common/topics_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/event.h"

#define ROOM_BYTES 65536        /* I9: what an event needs beside what the door took */
#define REPLICAS_FOR_A_QUORUM 3 /* from here on one replica may be away and none is lost */
#define DAY_MS INT64_C(86400000)
#define DAYS_1 "86400000"
#define DAYS_30 "2592000000"
#define MIB_64 "67108864"

enum source { TEXT, RECORD_BYTES, LAG_MS, LAG_MAX_MS };

struct setting_row {
	const char *name;
	enum must must;
	const char *text;
	enum source source;
};

/* clang-format off */
#define EVERY_TOPIC                                                                                \
	{"message.timestamp.type", EQUAL, "LogAppendTime", TEXT},                                  \
	{"retention.bytes", EQUAL, "-1", TEXT},                                                    \
	{"unclean.leader.election.enable", EQUAL, "false", TEXT} /* I1 */
#define LARGE_RECORDS {"max.message.bytes", AT_LEAST, NULL, RECORD_BYTES} /* I9 */
/* clang-format on */

static const struct setting_row pushes[] = {
	EVERY_TOPIC,
	LARGE_RECORDS,
	{"cleanup.policy", EQUAL, "delete", TEXT},
	{"retention.ms", AT_LEAST, DAYS_30, TEXT},
	{"segment.ms", TUNING, DAYS_1, TEXT},
	{0},
};

static const struct setting_row zones[] = {
	EVERY_TOPIC,
	LARGE_RECORDS,
	{"cleanup.policy", EQUAL, "compact", TEXT},
	{"min.compaction.lag.ms", AT_LEAST, NULL, LAG_MS},
	{"max.compaction.lag.ms", TUNING, NULL, LAG_MAX_MS},
	{"delete.retention.ms", AT_LEAST, DAYS_30, TEXT}, /* I5: a slow reader sees the null */
	{"segment.ms", TUNING, DAYS_1, TEXT},             /* the newest segment is not compacted */
	{"segment.bytes", TUNING, MIB_64, TEXT},
	{0},
};

static const struct setting_row heals[] = {
	EVERY_TOPIC,
	LARGE_RECORDS,
	{"cleanup.policy", EQUAL, "delete", TEXT},
	{"retention.ms", AT_LEAST, DAYS_1, TEXT},
	{"segment.ms", TUNING, "21600000", TEXT},
	{"segment.bytes", TUNING, MIB_64, TEXT},
	{0},
};

static const struct setting_row status[] = {
	EVERY_TOPIC,
	{"cleanup.policy", EQUAL, "compact", TEXT},
	{"segment.ms", TUNING, DAYS_1, TEXT},
	{"segment.bytes", TUNING, MIB_64, TEXT},
	{0},
};

static const struct setting_row dead_letters[] = {
	EVERY_TOPIC,
	LARGE_RECORDS,
	{"cleanup.policy", EQUAL, "delete", TEXT},
	{"retention.ms", AT_LEAST, DAYS_30, TEXT},
	{"segment.ms", TUNING, DAYS_1, TEXT},
	{"segment.bytes", TUNING, MIB_64, TEXT},
	{0},
};

static const struct setting_row audits[] = {
	EVERY_TOPIC,
	{"cleanup.policy", EQUAL, "compact", TEXT},
	{"segment.ms", TUNING, DAYS_1, TEXT},
	{0},
};

/* clang-format off */
const struct topic_row topic_rows[TOPIC_COUNT] = {
	{TOPIC_PUSHES, true, pushes},
	{TOPIC_ZONES, true, zones},
	{TOPIC_HEALS, true, heals},
	{TOPIC_STATUS, true, status},
	{TOPIC_DEAD_LETTERS, true, dead_letters},
	{TOPIC_AUDITS, false, audits},
};
/* clang-format on */

static int64_t value_of(enum source source, const struct topics_config *config)
{
	switch (source) {
	case TEXT:
		break;
	case RECORD_BYTES:
		return config->message_bytes + ROOM_BYTES;
	case LAG_MS:
		return config->compaction_lag_ms;
	case LAG_MAX_MS:
		return config->compaction_lag_ms + 7 * DAY_MS;
	}
	return 0;
}

static struct wanted *want(struct wanted_list *list, const char *name, enum must must)
{
	struct wanted *wanted = &list->items[list->count++];

	*wanted = (struct wanted){.name = name, .must = must};
	return wanted;
}

void wanted_of(const struct topic_row *row, const struct topics_config *config, int32_t replicas,
	       struct wanted_list *list)
{
	const struct setting_row *setting;

	list->count = 0;
	for (setting = row->settings; setting->name != NULL; setting++) {
		struct wanted *wanted = want(list, setting->name, setting->must);

		if (setting->source == TEXT) {
			(void)snprintf(wanted->value, TOPIC_VALUE_SIZE, "%s", setting->text);
		} else {
			(void)snprintf(wanted->value, TOPIC_VALUE_SIZE, "%" PRId64,
				       value_of(setting->source, config));
		}
	}
	if (replicas >= REPLICAS_FOR_A_QUORUM) {
		/* I1: acks=all means more than the leader alone */
		(void)snprintf(want(list, "min.insync.replicas", AT_LEAST)->value, TOPIC_VALUE_SIZE,
			       "2");
	}
}

bool wanted_is_right(const struct wanted *wanted)
{
	int64_t is;

	switch (wanted->must) {
	case EQUAL:
		return strcmp(wanted->is, wanted->value) == 0;
	case AT_LEAST:
		is = strtoll(wanted->is, NULL, 10);
		return wanted->is[0] != '\0' &&
		       (is == -1 || is >= strtoll(wanted->value, NULL, 10));
	case TUNING:
		break;
	}
	return true;
}
