/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/tracker.h"

#include <assert.h>

void tracker_add(struct tracker *tracker, struct tracker_item *item)
{
	item->next = NULL;
	item->dropped = false;
	if (tracker->tail == NULL) {
		tracker->head = item;
	} else {
		assert(item->offset > tracker->tail->offset);
		tracker->tail->next = item;
	}
	tracker->tail = item;
	tracker->count++;
}

struct tracker_item *tracker_take_done(struct tracker *tracker)
{
	struct tracker_item *item = tracker->head;

	if (item == NULL || item->left > 0) {
		return NULL;
	}
	tracker->head = item->next;
	if (tracker->head == NULL) {
		tracker->tail = NULL;
	}
	tracker->count--;
	item->next = NULL;
	return item;
}

void tracker_drop(struct tracker *tracker, void (*release)(struct tracker_item *item))
{
	struct tracker_item *item = tracker->head;

	while (item != NULL) {
		struct tracker_item *next = item->next;

		item->next = NULL;
		item->dropped = true;
		if (item->left == 0) {
			release(item);
		}
		item = next;
	}
	*tracker = (struct tracker){0};
}
