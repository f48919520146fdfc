/* SPDX-License-Identifier: Apache-2.0 */
/* A zone that the backend refused: its status goes to the log, then its entry to Redis (retry.h),
 * then nobody here remembers it (I3). Redis is the schedule: what is due there is taken, its record
 * read again from the log, and it goes into the window like any other. When the tries are used up,
 * the record goes to the dead letters instead.
 *
 * Without Redis a refused zone stays aside in memory, on the same schedule, and holds its offset.
 */
#include "common/writer_retry_parts.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mark.h"

enum {
	LOOK_MS = 1000,   /* at what is due in a partition */
	LEASE_MS = 15000, /* what was taken and lost is due again */
	TAKE_MAX = 64,    /* entries of a partition at once */
};

/* --- Redis ------------------------------------------------------------------------------------ */

void retries_ask(struct writer *writer, struct retry_command *command, const struct question *about)
{
	struct question *question = xmalloc(sizeof(*question));

	*question = *about;
	LIST_INSERT_HEAD(&writer->retries->questions, question, link);
	redis_ask(writer->retries->redis, command->arguments, command->count,
		  writer->config->redis.timeout_ms, question);
	retry_command_finish(command);
}

static bool redis_is_there(const struct retries *retries)
{
	return retries->redis != NULL && redis_is_up(retries->redis);
}

struct part *retries_part(const struct retries *retries, int32_t partition)
{
	return partition >= 0 && (size_t)partition < retries->part_count
		       ? &retries->parts[partition]
		       : NULL;
}

bool retries_have(const struct writer *writer, int32_t partition)
{
	return window_has(writer->window, WINDOW_ZONES, partition);
}

static void redis_said(struct writer *writer, bool up, const struct reason *why)
{
	struct retries *retries = writer->retries;

	if (!up) {
		metric_add(&writer_rows[REDIS_FAILED], 1);
	}
	if (up == retries->redis_up || (up && retries->redis_full)) {
		return;
	}
	retries->redis_up = up;
	if (up) {
		log_info("redis keeps refused zones", F("backend", writer->name));
	} else {
		log_warn("redis does not keep refused zones, they hold their offsets",
			 F("backend", writer->name), F("why", why->text));
	}
}

/* --- entries ---------------------------------------------------------------------------------- */

struct window_item *retries_find_aside(struct writer *writer, const struct name *zone,
				       struct version version, int64_t attempt)
{
	struct window_item *item = window_find(writer->window, zone);

	return item != NULL && item->state == ITEM_ASIDE && item->attempt == attempt &&
			       version_compare(item_value(item)->version, version) == 0
		       ? item
		       : NULL;
}

static struct retry_event entry_of(const struct writer *writer, const struct window_item *item)
{
	return (struct retry_event){.backend = writer->name,
				    .zone = item_value(item)->zone,
				    .version = item_value(item)->version,
				    .topic = writer_topics[item->topic],
				    .partition = item->partition,
				    .offset = item->offset,
				    .attempt = item->attempt,
				    .first_failed_at_ms = item->first_failed_at_ms,
				    .reason = item->reason};
}

static void save(struct writer *writer, struct window_item *item)
{
	struct retry_event entry = entry_of(writer, item);
	int64_t delay_ms = item->due_ms - clock_ms();
	struct retry_command command;

	retry_save(&command, &entry, delay_ms < 0 ? 0 : delay_ms, item->recorded);
	retries_ask(writer, &command,
		    &(struct question){.kind = SAVE,
				       .partition = entry.partition,
				       .zone = entry.zone,
				       .version = entry.version,
				       .attempt = entry.attempt});
	item->saving = true;
	writer->retries->saving++;
}

static void saved(struct writer *writer, const struct question *question, enum retry_saved how)
{
	struct part *part = retries_part(writer->retries, question->partition);
	struct window_item *item =
		retries_find_aside(writer, &question->zone, question->version, question->attempt);

	if (part != NULL && how == RETRY_SAVED) {
		part->waiting++; /* until the next look says it exactly */
	}
	if (item == NULL) {
		return; /* something newer has come, or it is tried again already */
	}
	mark("writer.retry_saved");
	if (how == RETRY_DEAD) { /* it was replayed, and refused once more */
		writer_say_refused(writer, item, STATUS_DEAD, -1, NULL, NULL);
	}
	window_finish(writer->window, item); /* I3: its failure is durably recorded */
}

static void not_saved(struct writer *writer, const struct question *question)
{
	struct window_item *item =
		retries_find_aside(writer, &question->zone, question->version, question->attempt);

	if (item != NULL) {
		item->saving = false;
		item->unsaved = true;
	}
}

void retries_drop(struct writer *writer, int32_t partition, const struct name *zone,
		  struct version version)
{
	struct retry_command command;

	if (writer->retries->redis != NULL) {
		retry_drop(&command, writer->name, partition, zone, version);
		retries_ask(writer, &command,
			    &(struct question){.kind = DROP, .partition = partition});
	}
}

void writer_retry_over(struct writer *writer, const struct window_item *item)
{
	const struct part *part = retries_part(writer->retries, item->partition);

	if (part != NULL && part->looked && part->waiting + part->dead == 0 &&
	    writer->retries->saving == 0) {
		return; /* nothing is there: most of the time */
	}
	retries_drop(writer, item->partition, &item_value(item)->zone, item_value(item)->version);
}

/* --- refused ---------------------------------------------------------------------------------- */

bool writer_gives_up(const struct writer *writer, int64_t attempts)
{
	return attempts > (int64_t)writer->delays.count;
}

/* Which failure a status spoke of. */
struct failure {
	struct name zone;
	struct version version;
	int64_t attempt;
};

static void is_said(struct writer *writer, void *context, bool in_log)
{
	struct failure *failure = context;
	struct window_item *item = in_log ? retries_find_aside(writer, &failure->zone,
							       failure->version, failure->attempt)
					  : NULL;

	if (item != NULL) {
		item->said = true;
	}
	free(failure);
}

void writer_retry_refused(struct writer *writer, struct window_item *item,
			  const struct change *change)
{
	struct failure *failure = xcalloc(1, sizeof(*failure));

	free(item->reason);
	item->reason = xstrdup(change->why.text);
	item->said = item->saving = item->unsaved = false;
	*failure =
		(struct failure){item_value(item)->zone, item_value(item)->version, item->attempt};
	writer_say_refused(writer, item, STATUS_RETRYING, change->took_us, is_said, failure);
}

/* --- what is due ------------------------------------------------------------------------------ */

static void look(struct writer *writer, int32_t partition, int64_t now_ms)
{
	struct retries *retries = writer->retries;
	struct part *part = &retries->parts[partition];
	/* While the backend is away nobody's tries are used up. */
	bool take = writer->probe_pause_ms == 0 && !window_full(writer->window) &&
		    hand_is_free(retries);
	struct retry_command command;

	retry_take(&command, writer->name, partition, take ? TAKE_MAX : 0, LEASE_MS);
	retries_ask(writer, &command, &(struct question){.kind = LOOK, .partition = partition});
	part->looking = true;
	part->look_ms = now_ms + LOOK_MS;
}

/* `taken` NULL: no answer. */
static void looked(struct writer *writer, int32_t partition, const struct retry_taken *taken)
{
	struct part *part = &writer->retries->parts[partition];

	part->looking = false;
	if (taken == NULL || !retries_have(writer, partition)) {
		return;
	}
	part->looked = true;
	part->lost = !taken->complete;
	part->waiting = taken->waiting;
	part->dead = taken->dead;
	if (taken->count == TAKE_MAX) {
		part->look_ms = 0; /* there is more */
	}
	for (size_t i = 0; i < taken->count; i++) {
		struct retry_event entry;
		struct reason why;

		if (retry_event_decode(taken->entries[i].text, &entry, &why) != OK) {
			log_warn("an entry of Redis is not ours", F("why", why.text));
			metric_add(&writer_rows[REDIS_FAILED], 1);
			continue;
		}
		if (!hand_has(writer->retries, &entry.zone)) {
			hand_take(writer, &entry);
		}
		retry_event_finish(&entry);
	}
}

/* Of what waits in memory: what is due is tried again, or buried; the rest is offered to Redis. */
static void look_aside(struct writer *writer, int64_t now_ms)
{
	struct retries *retries = writer->retries;
	bool up = redis_is_there(retries);
	struct window_item *next = window_aside_next(writer->window, NULL);
	int64_t held = 0;

	writer->next_due_ms = -1;
	while (next != NULL) {
		struct window_item *item = next;
		bool give_up = writer_gives_up(writer, item->attempt);

		next = window_aside_next(writer->window, item);
		held += !item->recorded;
		if (up && item->said && !item->saving && retries->saving < ASKED_MAX &&
		    (!item->unsaved || now_ms >= retries->again_ms)) {
			save(writer, item);
		}
		if (item->saving || (up && !item->unsaved)) {
			continue; /* Redis is about to have it */
		}
		if (item->due_ms > now_ms) {
			if (writer->next_due_ms < 0 || item->due_ms < writer->next_due_ms) {
				writer->next_due_ms = item->due_ms;
			}
		} else if (!give_up) {
			window_wake(writer->window, item);
		} else if (hand_is_free(retries) && !hand_has(retries, &item_value(item)->zone)) {
			struct retry_event entry = entry_of(writer, item);

			hand_take(writer, &entry);
		}
	}
	for (size_t i = 0; i < retries->part_count; i++) {
		held += retries_have(writer, (int32_t)i) ? retries->parts[i].waiting : 0;
	}
	metric_set(&writer_rows[ASIDE], held);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void take_answer(struct writer *writer, const struct question *question,
			const struct redis_answer *answer)
{
	struct retries *retries = writer->retries;
	struct reason why = answer->why;
	enum outcome outcome = answer->outcome;
	enum retry_saved how = RETRY_KEPT;
	struct retry_taken taken;

	if (outcome == OK && answer->value.kind == REDIS_ERROR) {
		outcome = because(TEMPFAIL, &why, "%.*s", (int)answer->value.text.len,
				  answer->value.text.data);
	}
	switch (question->kind) {
	case SAVE:
		retries->saving--;
		outcome = outcome == OK ? retry_saved(&answer->value, &how, &why) : outcome;
		if (outcome == OK) {
			saved(writer, question, how);
		} else {
			not_saved(writer, question);
		}
		break;
	case SAVE_DEAD:
		question->hand->asked = false;
		if (outcome == OK) {
			hand_is_buried(writer, question->hand);
		}
		break;
	case DROP:
		break; /* else it goes when it is due and found to be older */
	case LOOK:
		outcome = outcome == OK ? retry_taken(&answer->value, &taken, &why) : outcome;
		looked(writer, question->partition, outcome == OK ? &taken : NULL);
		break;
	case BEGIN:
	case REBUILD:
	case COMPLETE:
		rebuild_answered(writer, question, outcome, &answer->value);
		break;
	}
	if (question->kind != LOOK && question->kind != DROP) {
		retries->redis_full = answer->outcome == OK && outcome != OK;
	}
	redis_said(writer, outcome == OK, &why);
}

static void turn_redis(struct writer *writer, int64_t now_ms)
{
	struct retries *retries = writer->retries;
	struct redis_answer answer;
	struct hand *hand;

	redis_work(retries->redis, 0, -1);
	while (redis_next(retries->redis, &answer)) {
		struct question *question = answer.ticket;

		LIST_REMOVE(question, link);
		take_answer(writer, question, &answer);
		free(question);
	}
	for (size_t i = 0; i < retries->part_count; i++) {
		const struct part *part = &retries->parts[i];

		if (retries_have(writer, (int32_t)i) && !part->looking && now_ms >= part->look_ms) {
			look(writer, (int32_t)i, now_ms);
		}
	}
	if (now_ms >= retries->again_ms) {
		LIST_FOREACH(hand, &retries->hands, link)
		{
			if (hand->dead && !hand->asked) {
				hand_mark_dead(writer, hand);
			}
		}
	}
	rebuild_turn(writer);
}

/* --- life ------------------------------------------------------------------------------------- */

enum outcome writer_retry_begin(struct writer *writer, struct reason *why)
{
	struct retries *retries = xcalloc(1, sizeof(*retries));

	writer->retries = retries;
	LIST_INIT(&retries->hands);
	LIST_INIT(&retries->questions);
	retries->redis_up = true;
	retries->part_count = (size_t)writer->config->topics.partitions;
	retries->parts = xcalloc(retries->part_count, sizeof(*retries->parts));
	if (writer->config->redis.url[0] != '\0' &&
	    redis_create(&writer->config->redis, &retries->redis, why) != OK) {
		return PERMFAIL;
	}
	return bus_fetcher_create(&retries->fetcher, &writer->config->bus, why);
}

void writer_retries_of(struct writer *writer, int32_t partition)
{
	struct part *part = retries_part(writer->retries, partition);

	if (part != NULL) {
		*part = (struct part){.looking = part->looking};
	}
}

bool writer_retries_wait(const struct writer *writer)
{
	const struct retries *retries = writer->retries;

	return retries->hand_count != 0 || retries->rebuild != NULL ||
	       (retries->redis != NULL && redis_in_flight(retries->redis) != 0);
}

void writer_retry_turn(struct writer *writer)
{
	struct retries *retries = writer->retries;
	int64_t now_ms = clock_ms();

	if (retries->redis != NULL) {
		turn_redis(writer, now_ms);
	}
	hand_read(writer);
	look_aside(writer, now_ms);
	if (now_ms >= retries->again_ms) {
		int64_t dead = 0;

		for (size_t i = 0; i < retries->part_count; i++) {
			dead += retries_have(writer, (int32_t)i) ? retries->parts[i].dead : 0;
		}
		metric_set(&writer_rows[DEAD], dead);
		retries->again_ms = now_ms + LOOK_MS;
	}
}

void writer_retry_end(struct writer *writer)
{
	struct retries *retries = writer->retries;
	struct question *question;
	struct hand *hand;

	if (retries == NULL) {
		return;
	}
	rebuild_end(retries);
	bus_fetcher_destroy(retries->fetcher);
	while ((hand = LIST_FIRST(&retries->hands)) != NULL) {
		hand_release(retries, hand);
	}
	while ((question = LIST_FIRST(&retries->questions)) != NULL) {
		LIST_REMOVE(question, link);
		free(question);
	}
	redis_destroy(retries->redis);
	free(retries->parts);
	free(retries);
	writer->retries = NULL;
}
