/* SPDX-License-Identifier: Apache-2.0 */
/* topics_table.h: which topics there are and how each is to be set (DESIGN.md section 3). The rows
 * are made from proto/asyncapi.yml by tools/topics-table.py. For topics*.c only.
 *
 * Threads: none of this keeps state.
 */
#ifndef COMMON_TOPICS_TABLE_H
#define COMMON_TOPICS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/topics_numbers.h"

/* When is a topic that exists wrong? */
enum must {
	EQUAL,    /* not exactly this */
	AT_LEAST, /* less than this; -1 is more than anything */
	TUNING,   /* never: it is set when the topic is made, then it is the operator's */
};

/* What a setting's value is, or what `plus` is added to. */
enum base { TEXT, MESSAGE_BYTES, COMPACTION_LAG_MS };

struct topic_setting {
	const char *name; /* NULL: the list ends here */
	enum must must;
	enum base base;
	const char *text; /* TEXT */
	int64_t plus;
	int32_t replicas; /* only where there are so many or more */
};

struct topic_row {
	const char *name;
	bool pinned;        /* topics.partitions of them, nothing else will do (I2) */
	int32_t partitions; /* not pinned: so many when it is made */
	const struct topic_setting *settings;
};
extern const struct topic_row topic_rows[TOPIC_COUNT];

#endif
