/* SPDX-License-Identifier: Apache-2.0 */
/* topics_wanted.h: the settings of one topic under one configuration, and whether what Kafka says
 * of it is right. For topics.c only.
 *
 * Threads: none of this keeps state.
 */
#ifndef COMMON_TOPICS_WANTED_H
#define COMMON_TOPICS_WANTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/topics.h"
#include "common/topics_table.h"

#define TOPIC_VALUE_SIZE 32

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
