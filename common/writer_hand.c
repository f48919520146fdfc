/* SPDX-License-Identifier: Apache-2.0 */
/* An entry that is in our hands: its record is read again from the log and goes into the window for
 * a further try; when the tries are used up, it goes to the dead letters as it was. */
#include "common/writer_retry_parts.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mark.h"

bool hand_has(const struct retries *retries, const struct name *zone)
{
	const struct hand *hand;

	LIST_FOREACH(hand, &retries->hands, link)
	{
		if (name_equal(&hand->entry.zone, zone)) {
			return true;
		}
	}
	return false;
}

void hand_take(struct writer *writer, const struct retry_event *entry)
{
	struct retries *retries = writer->retries;
	struct hand *hand = xcalloc(1, sizeof(*hand));

	hand->entry = *entry;
	hand->entry.memory = NULL;
	hand->reason = xstrdup(entry->reason == NULL ? "" : entry->reason);
	hand->entry.reason = hand->reason;
	hand->entry.backend = writer->name;
	hand->entry.topic = writer_topics[writer_topic(entry->topic)];
	LIST_INSERT_HEAD(&retries->hands, hand, link);
	retries->hand_count++;
	bus_fetch(retries->fetcher, hand->entry.topic, entry->partition, entry->offset, hand);
}

void hand_release(struct retries *retries, struct hand *hand)
{
	LIST_REMOVE(hand, link);
	retries->hand_count--;
	item_destroy(hand->item);
	free(hand->reason);
	free(hand);
}

bool hand_is_free(const struct retries *retries)
{
	return retries->hand_count < HAND_MAX;
}

/* --- the end of all tries --------------------------------------------------------------------- */

void hand_is_buried(struct writer *writer, struct hand *hand)
{
	struct window_item *item = window_find(writer->window, &hand->entry.zone);

	if (item != NULL && item->state == ITEM_ASIDE &&
	    version_compare(item_value(item)->version, hand->entry.version) <= 0) {
		window_finish(writer->window, item); /* it waited here, without Redis */
	}
	hand_release(writer->retries, hand);
}

void hand_mark_dead(struct writer *writer, struct hand *hand)
{
	/* Without an item here it stood in Redis alone, and somebody may have ended it there. */
	bool if_there = retries_find_aside(writer, &hand->entry.zone, hand->entry.version,
					   hand->entry.attempt) == NULL;
	struct retry_command command;

	retry_save(&command, &hand->entry, 0, if_there);
	retries_ask(writer, &command,
		    &(struct question){
			    .kind = SAVE_DEAD, .partition = hand->entry.partition, .hand = hand});
	hand->asked = true;
}

static void dead_is_said(struct writer *writer, void *context, bool in_log)
{
	struct hand *hand = context;

	if (!in_log) {
		return; /* the process is about to end */
	}
	hand->dead = true;
	hand->entry.dead = true;
	if (writer->retries->redis == NULL) {
		hand_is_buried(writer, hand);
	} else {
		hand_mark_dead(writer, hand);
	}
}

static void letter_is_sent(struct writer *writer, void *context, bool in_log)
{
	struct hand *hand = context;

	if (!in_log) {
		return;
	}
	mark("writer.letter_acked");
	metric_add(&writer_rows[DEAD_LETTERS], 1);
	log_error("zone given up, its record is in the dead letters",
		  F("zone", hand->entry.zone.text), F("backend", writer->name),
		  F("attempts", hand->entry.attempt), F("why", hand->reason));
	writer_say_refused(writer, hand->item, STATUS_DEAD, -1, dead_is_said, hand);
}

static void bury(struct writer *writer, struct hand *hand, const struct bus_message *message,
		 struct window_item *item)
{
	hand->item = item;
	item->attempt = hand->entry.attempt;
	item->reason = xstrdup(hand->reason);
	writer_send_letter(
		writer, message,
		&(struct dead_letter){.stage = "apply",
				      .code = "refused",
				      .message = hand->reason,
				      .attempts = hand->entry.attempt,
				      .first_failed_at_ms = hand->entry.first_failed_at_ms},
		letter_is_sent, hand);
}

/* --- read again ------------------------------------------------------------------------------- */

/* The record's place is empty, or has something else: a newer one of the zone exists. */
static void is_gone(struct writer *writer, struct hand *hand)
{
	struct window_item *item = retries_find_aside(writer, &hand->entry.zone,
						      hand->entry.version, hand->entry.attempt);

	log_info("the record of a retry is not in the log any more",
		 F("zone", hand->entry.zone.text), F("topic", hand->entry.topic),
		 F("partition", hand->entry.partition), F("offset", hand->entry.offset));
	retries_drop(writer, hand->entry.partition, &hand->entry.zone, hand->entry.version);
	if (item != NULL) {
		window_finish(writer->window, item);
	}
	hand_release(writer->retries, hand);
}

static struct window_item *item_of(struct writer *writer, const struct hand *hand,
				   const struct bus_message *message)
{
	struct window_item *item = NULL;
	struct reason why;

	if (message != NULL && writer_item_of(writer, message, &item, &why) == OK && item != NULL &&
	    name_equal(&item_value(item)->zone, &hand->entry.zone) &&
	    version_compare(item_value(item)->version, hand->entry.version) == 0) {
		return item;
	}
	item_destroy(item);
	return NULL;
}

static void is_read(struct writer *writer, struct hand *hand, const struct bus_message *message)
{
	struct window_item *item;

	if (!retries_have(writer, hand->entry.partition)) {
		hand_release(writer->retries,
			     hand); /* its new owner takes it when the lease ends */
		return;
	}
	item = item_of(writer, hand, message);
	if (item == NULL) {
		is_gone(writer, hand);
		return;
	}
	mark("writer.retry_taken");
	if (writer_gives_up(writer, hand->entry.attempt)) {
		bury(writer, hand, message, item);
		return;
	}
	item->recorded = true;
	item->attempt = hand->entry.attempt;
	item->first_failed_at_ms = hand->entry.first_failed_at_ms;
	window_add(writer->window, item);
	metric_add(&writer_rows[RETAKEN], 1);
	hand_release(writer->retries, hand);
}

void hand_read(struct writer *writer)
{
	struct bus_fetched fetched;

	while (bus_fetched(writer->retries->fetcher, &fetched)) {
		is_read(writer, fetched.ticket, fetched.message);
		bus_message_destroy(fetched.message);
	}
}
