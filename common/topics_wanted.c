/* SPDX-License-Identifier: Apache-2.0 */
#include "common/topics_wanted.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t number_of(const struct topic_setting *setting, const struct topics_config *config)
{
	switch (setting->base) {
	case TEXT:
		break;
	case MESSAGE_BYTES:
		return config->message_bytes + setting->plus;
	case COMPACTION_LAG_MS:
		return config->compaction_lag_ms + setting->plus;
	}
	return 0;
}

void wanted_of(const struct topic_row *row, const struct topics_config *config, int32_t replicas,
	       struct wanted_list *list)
{
	const struct topic_setting *setting;

	list->count = 0;
	for (setting = row->settings; setting->name != NULL; setting++) {
		struct wanted *wanted = &list->items[list->count];

		if (replicas < setting->replicas) {
			continue;
		}
		list->count++;
		*wanted = (struct wanted){.name = setting->name, .must = setting->must};
		if (setting->base == TEXT) {
			(void)snprintf(wanted->value, TOPIC_VALUE_SIZE, "%s", setting->text);
		} else {
			(void)snprintf(wanted->value, TOPIC_VALUE_SIZE, "%" PRId64,
				       number_of(setting, config));
		}
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
