/* SPDX-License-Identifier: Apache-2.0 */
/* A zone that the backend refused: its status goes to the log, then its entry to Redis (retry.h),
 * then nobody here remembers it (I3). Redis is the schedule: what is due there is taken, its record
 * read again from the log, and it goes into the window like any other. When the tries are used up,
 * the record goes to the dead letters instead.
 *
 * Without Redis a refused zone stays aside in memory, on the same schedule, and holds its offset.
 */
#include "common/writer_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mark.h"

enum {
	LOOK_MS = 1000,   /* at what is due in a partition */
	LEASE_MS = 15000, /* what was taken and lost is due again */
	TAKE_MAX = 64,    /* entries of a partition at once */
	HAND_MAX = 256,   /* read again, or being buried, at once */
	ASKED_MAX = 256,  /* commands on their way */
};

/* What we know of a partition in Redis. */
struct part {
	bool looked;     /* since we have it */
	bool looking;    /* asked, not yet answered */
	bool lost;       /* Redis does not have it (any more) */
	int64_t look_ms; /* when to look again */
	int64_t waiting;
	int64_t dead;
};

enum question_kind { SAVE, SAVE_DEAD, DROP, LOOK, BEGIN, REBUILD, COMPLETE };

/* The ticket of a command. */
struct question {
	LIST_ENTRY(question) link;
	enum question_kind kind;
	int32_t partition;
	struct name zone; /* SAVE */
	struct version version;
	int64_t attempt;
	struct hand *hand; /* SAVE_DEAD */
};

/* One entry that is in our hands: on its way from the log into the window, or to its end. */
struct hand {
	LIST_ENTRY(hand) link;
	struct retry_event entry;
	char *reason;
	struct window_item *item; /* while it is buried: its value, not in the window */
	bool dead;                /* buried; Redis has not confirmed its mark */
	bool asked;               /* Redis was asked to */
};

struct retries {
	struct redis *redis; /* NULL: none is configured */
	bool redis_up;
	bool redis_full;                 /* or read-only: it answers, and keeps nothing */
	LIST_HEAD(, question) questions; /* on their way */
	struct bus_fetcher *fetcher;
	struct part *parts;
	size_t part_count;
	size_t saving; /* SAVE on their way */
	LIST_HEAD(, hand) hands;
	size_t hand_count;
	int64_t again_ms; /* when what Redis did not take is offered again */
	struct rebuild *rebuild;
	size_t rebuilding; /* its commands on their way */
	bool rebuild_read;
	bool rebuild_saved;
	bool rebuild_failed;
};

/* --- Redis ------------------------------------------------------------------------------------ */

static void ask(struct writer *writer, struct retry_command *command, const struct question *about)
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

static struct part *part_of(const struct retries *retries, int32_t partition)
{
	return partition >= 0 && (size_t)partition < retries->part_count
		       ? &retries->parts[partition]
		       : NULL;
}

static bool is_ours(const struct writer *writer, int32_t partition)
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

/* --- hands ------------------------------------------------------------------------------------ */

static bool in_hand(const struct retries *retries, const struct name *zone)
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

/* Asks for its record. The entry's reason is copied, its other texts are the writer's. */
static void take_in_hand(struct writer *writer, const struct retry_event *entry)
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

static void release(struct retries *retries, struct hand *hand)
{
	LIST_REMOVE(hand, link);
	retries->hand_count--;
	item_destroy(hand->item);
	free(hand->reason);
	free(hand);
}

static bool has_a_free_hand(const struct retries *retries)
{
	return retries->hand_count < HAND_MAX;
}

/* --- entries ---------------------------------------------------------------------------------- */

/* The item of that very failure, if it is still aside. */
static struct window_item *find_aside(struct writer *writer, const struct name *zone,
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
	ask(writer, &command,
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
	struct part *part = part_of(writer->retries, question->partition);
	struct window_item *item =
		find_aside(writer, &question->zone, question->version, question->attempt);

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
		find_aside(writer, &question->zone, question->version, question->attempt);

	if (item != NULL) {
		item->saving = false;
		item->unsaved = true;
	}
}

static void drop(struct writer *writer, int32_t partition, const struct name *zone,
		 struct version version)
{
	struct retry_command command;

	if (writer->retries->redis != NULL) {
		retry_drop(&command, writer->name, partition, zone, version);
		ask(writer, &command, &(struct question){.kind = DROP, .partition = partition});
	}
}

void writer_retry_over(struct writer *writer, const struct window_item *item)
{
	const struct part *part = part_of(writer->retries, item->partition);

	if (part != NULL && part->looked && part->waiting + part->dead == 0 &&
	    writer->retries->saving == 0) {
		return; /* nothing is there: most of the time */
	}
	drop(writer, item->partition, &item_value(item)->zone, item_value(item)->version);
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
	struct window_item *item =
		in_log ? find_aside(writer, &failure->zone, failure->version, failure->attempt)
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

/* --- the end of all tries --------------------------------------------------------------------- */

/* Nothing of it is left to do: the dead letter, its status and (where there is a Redis) its mark
 * are confirmed. */
static void is_buried(struct writer *writer, struct hand *hand)
{
	struct window_item *item = window_find(writer->window, &hand->entry.zone);

	if (item != NULL && item->state == ITEM_ASIDE &&
	    version_compare(item_value(item)->version, hand->entry.version) <= 0) {
		window_finish(writer->window, item); /* it waited here, without Redis */
	}
	release(writer->retries, hand);
}

static void mark_dead(struct writer *writer, struct hand *hand)
{
	/* Without an item here it stood in Redis alone, and somebody may have ended it there. */
	bool if_there = find_aside(writer, &hand->entry.zone, hand->entry.version,
				   hand->entry.attempt) == NULL;
	struct retry_command command;

	retry_save(&command, &hand->entry, 0, if_there);
	ask(writer, &command,
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
		is_buried(writer, hand);
	} else {
		mark_dead(writer, hand);
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
	struct window_item *item =
		find_aside(writer, &hand->entry.zone, hand->entry.version, hand->entry.attempt);

	log_info("the record of a retry is not in the log any more",
		 F("zone", hand->entry.zone.text), F("topic", hand->entry.topic),
		 F("partition", hand->entry.partition), F("offset", hand->entry.offset));
	drop(writer, hand->entry.partition, &hand->entry.zone, hand->entry.version);
	if (item != NULL) {
		window_finish(writer->window, item);
	}
	release(writer->retries, hand);
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

	if (!is_ours(writer, hand->entry.partition)) {
		release(writer->retries, hand); /* its new owner takes it when the lease ends */
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
	release(writer->retries, hand);
}

static void take_fetched(struct writer *writer)
{
	struct bus_fetched fetched;

	while (bus_fetched(writer->retries->fetcher, &fetched)) {
		is_read(writer, fetched.ticket, fetched.message);
		bus_message_destroy(fetched.message);
	}
}

/* --- what is due ------------------------------------------------------------------------------ */

static void look(struct writer *writer, int32_t partition, int64_t now_ms)
{
	struct retries *retries = writer->retries;
	struct part *part = &retries->parts[partition];
	/* While the backend is away nobody's tries are used up. */
	bool take = writer->probe_pause_ms == 0 && !window_full(writer->window) &&
		    has_a_free_hand(retries);
	struct retry_command command;

	retry_take(&command, writer->name, partition, take ? TAKE_MAX : 0, LEASE_MS);
	ask(writer, &command, &(struct question){.kind = LOOK, .partition = partition});
	part->looking = true;
	part->look_ms = now_ms + LOOK_MS;
}

static void looked(struct writer *writer, struct part *part, const struct retry_taken *taken)
{
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
		if (!in_hand(writer->retries, &entry.zone)) {
			take_in_hand(writer, &entry);
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
		} else if (has_a_free_hand(retries) && !in_hand(retries, &item_value(item)->zone)) {
			struct retry_event entry = entry_of(writer, item);

			take_in_hand(writer, &entry);
		}
	}
	for (size_t i = 0; i < retries->part_count; i++) {
		held += is_ours(writer, (int32_t)i) ? retries->parts[i].waiting : 0;
	}
	metric_set(&writer_rows[ASIDE], held);
}

/* --- after a loss of Redis -------------------------------------------------------------------- */

static void ask_all_lost(struct writer *writer, enum question_kind kind)
{
	struct retries *retries = writer->retries;

	for (size_t i = 0; i < retries->part_count; i++) {
		struct retry_command command;
		int32_t partition = (int32_t)i;

		if (!rebuild_has(retries->rebuild, partition)) {
			continue;
		}
		if (kind == BEGIN) {
			retry_begin(&command, writer->name, partition,
				    rebuild_token(retries->rebuild));
		} else {
			retry_complete(&command, writer->name, partition,
				       rebuild_token(retries->rebuild));
		}
		ask(writer, &command, &(struct question){.kind = kind, .partition = partition});
		retries->rebuilding++;
	}
}

static void begin_rebuild(struct writer *writer)
{
	struct retries *retries = writer->retries;
	bool *lost = xcalloc(retries->part_count, sizeof(*lost));
	bool any = false;

	for (size_t i = 0; i < retries->part_count; i++) {
		lost[i] = retries->parts[i].lost && is_ours(writer, (int32_t)i);
		any = any || lost[i];
	}
	if (any) {
		retries->rebuild = rebuild_create(writer, lost, retries->part_count);
	}
	if (retries->rebuild != NULL) {
		retries->rebuild_read = retries->rebuild_saved = retries->rebuild_failed = false;
		ask_all_lost(writer, BEGIN);
	}
	free(lost);
}

static void end_rebuild(struct retries *retries)
{
	rebuild_destroy(retries->rebuild);
	retries->rebuild = NULL;
}

/* Read, save, complete; after a failure all over again. */
static void go_on_rebuilding(struct writer *writer)
{
	struct retries *retries = writer->retries;
	const struct retry_event *entry;
	int64_t delay_ms;

	if (retries->rebuild_failed) {
		if (retries->rebuilding == 0) {
			end_rebuild(retries);
		}
		return;
	}
	if (!rebuild_read(retries->rebuild)) {
		return;
	}
	while (!retries->rebuild_saved && retries->rebuilding < ASKED_MAX) {
		struct retry_command command;

		if (!rebuild_next(retries->rebuild, &entry, &delay_ms)) {
			retries->rebuild_saved = true;
			ask_all_lost(writer, COMPLETE); /* behind all that was saved */
			break;
		}
		retry_save(&command, entry, delay_ms, false);
		ask(writer, &command,
		    &(struct question){.kind = REBUILD, .partition = entry->partition});
		retries->rebuilding++;
	}
	if (retries->rebuild_saved && retries->rebuilding == 0) {
		metric_add(&writer_rows[REBUILT], 1);
		log_info("redis had no retries of these partitions, it has them again",
			 F("backend", writer->name));
		end_rebuild(retries);
	}
}

/* --- answers ---------------------------------------------------------------------------------- */

static void take_answer(struct writer *writer, const struct question *question,
			const struct redis_answer *answer)
{
	struct retries *retries = writer->retries;
	struct part *part = part_of(retries, question->partition);
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
			is_buried(writer, question->hand);
		}
		break;
	case DROP:
		break; /* else it goes when it is due and found to be older */
	case LOOK:
		part->looking = false;
		outcome = outcome == OK ? retry_taken(&answer->value, &taken, &why) : outcome;
		if (outcome == OK && is_ours(writer, question->partition)) {
			looked(writer, part, &taken);
		}
		break;
	case BEGIN:
	case REBUILD:
	case COMPLETE:
		retries->rebuilding--;
		retries->rebuild_failed = retries->rebuild_failed || outcome != OK;
		if (question->kind == COMPLETE && outcome == OK && answer->value.number == 1) {
			part->lost = false; /* 0: wiped once more, the next look says so */
		}
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

		if (is_ours(writer, (int32_t)i) && !part->looking && now_ms >= part->look_ms) {
			look(writer, (int32_t)i, now_ms);
		}
	}
	if (now_ms >= retries->again_ms) {
		LIST_FOREACH(hand, &retries->hands, link)
		{
			if (hand->dead && !hand->asked) {
				mark_dead(writer, hand);
			}
		}
	}
	if (retries->rebuild != NULL) {
		go_on_rebuilding(writer);
	} else {
		begin_rebuild(writer);
	}
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
	struct part *part = part_of(writer->retries, partition);

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
	take_fetched(writer);
	look_aside(writer, now_ms);
	if (now_ms >= retries->again_ms) {
		int64_t dead = 0;

		for (size_t i = 0; i < retries->part_count; i++) {
			dead += is_ours(writer, (int32_t)i) ? retries->parts[i].dead : 0;
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
	end_rebuild(retries);
	bus_fetcher_destroy(retries->fetcher);
	while ((hand = LIST_FIRST(&retries->hands)) != NULL) {
		release(retries, hand);
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
