/* SPDX-License-Identifier: Apache-2.0 */
/* topics_table.h: which topics there are and how each is to be set (DESIGN.md section 3). For
 * topics.c only.
 *
 * Threads: none of this keeps state.
 */
#ifndef COMMON_TOPICS_TABLE_H
#define COMMON_TOPICS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/topics.h"

#define TOPIC_COUNT 6
#define TOPIC_SETTINGS_MAX 12
#define TOPIC_VALUE_SIZE 32

/* When is a topic that exists wrong? */
enum must {
	EQUAL,    /* not exactly this */
	AT_LEAST, /* less than this; -1 is more than anything */
	TUNING,   /* never: it is set when the topic is made, then it is the operator's */
};

struct setting_row;

struct topic_row {
	const char *name;
	bool pinned; /* topics.partitions of them (I2); else one */
	const struct setting_row *settings;
};
extern const struct topic_row topic_rows[TOPIC_COUNT];

struct wanted {
	const char *name;
	enum must must;
	char value[TOPIC_VALUE_SIZE];
	char is[TOPIC_VALUE_SIZE]; /* what the topic has; empty: Kafka did not say */
};

struct wanted_list {
	struct wanted items[TOPIC_SETTINGS_MAX];
	size_t count;
};

/* `replicas` 0: not known. */
void wanted_of(const struct topic_row *row, const struct topics_config *config, int32_t replicas,
	       struct wanted_list *list);
bool wanted_is_right(const struct wanted *wanted);

#endif
