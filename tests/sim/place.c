/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/place.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mark.h"
#include "tests/sim/dice.h"
#include "tests/sim/faults.h"
#include "tests/sim/trace.h"

#define LOCK_WAIT_US (3 * SECONDS)

/* A writer's side. */
struct visit {
	struct place *place;
	int64_t born; /* of what it saw at open(); -1: not open */
	int64_t positions[PARTITIONS];
	struct shown *shown; /* changes that were left pending */
};

/* When it becomes known whether a change is served. */
struct shown {
	struct shown *next;
	int64_t at_us;
	void *ticket;
	bool fails;
};

static struct place places[] = {{.name = "east"}, {.name = "west", .is_database = true}};

struct place *place_named(const char *name)
{
	return &places[strcmp(name, "west") == 0];
}

void *place_visit(struct place *place)
{
	struct visit *visit = xcalloc(1, sizeof(*visit));

	visit->place = place;
	visit->born = -1;
	return visit;
}

/* --- what must be true of every change ------------------------------------------------------- */

static bool same_content(const struct zone_event *value, const struct push_event *push)
{
	bool same = value->rrset_count == push->rrset_count;

	for (size_t i = 0; same && i < value->rrset_count; i++) {
		const struct rrset *a = &value->rrsets[i];
		const struct rrset *b = &push->rrsets[i];

		same = strcmp(a->name, b->name) == 0 && strcmp(a->type, b->type) == 0 &&
		       a->ttl == b->ttl && a->count == b->count;
		for (size_t r = 0; same && r < a->count; r++) {
			same = strcmp(a->rdata[r], b->rdata[r]) == 0;
		}
	}
	return same;
}

static bool same_text(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

/* I4, I5: a value is what the push at its version said: nothing is deleted without a delete. */
static void check_is_said(const struct place *place, const struct zone_event *value)
{
	int32_t number = broker_partition_of(name_span(&value->zone));
	const struct partition *pushes = broker_partition(TOPIC_PUSHES, number);
	struct push_event push = {0};
	struct reason why;

	if (value->version.offset >= pushes->high ||
	    push_event_decode(pushes->records[value->version.offset]->value, &push, &why) != OK) {
		broken("%s: %s at %lld was never pushed", place->name, value->zone.text,
		       (long long)value->version.offset);
	}
	if (!name_equal(&push.zone, &value->zone) || !event_id_equal(&push.id, &value->id) ||
	    (push.op == PUSH_DELETE) != value->deleted || !same_text(push.owner, value->owner) ||
	    (!value->deleted &&
	     (!same_text(push.digest, value->digest) || !same_content(value, &push)))) {
		broken("%s: %s at %lld is not what was pushed", place->name, value->zone.text,
		       (long long)value->version.offset);
	}
	push_event_finish(&push);
}

static void put(struct place *place, size_t zone, const struct zone_event *value)
{
	struct held_zone *held = &place->state.zones[zone];

	check_is_said(place, value);
	if (held->known && version_compare(value->version, held->version) < 0) {
		broken("%s: %s goes back from %lld to %lld", place->name, value->zone.text,
		       (long long)held->version.offset, (long long)value->version.offset);
	}
	held->known = true;
	held->version = value->version;
	held->deleted = value->deleted;
	(void)snprintf(held->owner, sizeof(held->owner), "%s", value->owner);
	(void)snprintf(held->digest, sizeof(held->digest), "%s",
		       value->deleted ? "" : value->digest);
	place->changes++;
	trace("%s: %s is now %lld%s", place->name, value->zone.text,
	      (long long)value->version.offset, value->deleted ? ", deleted" : "");
}

/* --- reaching it ----------------------------------------------------------------------------- */

static enum outcome reach(const struct place *place, struct reason *why)
{
	stage_wait_until(stage_now_us() + dice_delay_us(MS));
	if (place->away_until_us > stage_now_us()) {
		if (dice_percent(50)) { /* no answer, rather than a refusal */
			stage_wait_until(stage_now_us() + dice_between(1, 5) * SECONDS);
		}
		return because(TEMPFAIL, why, "%s is away", place->name);
	}
	return OK;
}

static enum outcome reach_as_known(const struct visit *visit, struct reason *why)
{
	enum outcome outcome = reach(visit->place, why);

	if (outcome == OK && visit->born != visit->place->born) {
		outcome = because(TEMPFAIL, why, "%s was changed under us", visit->place->name);
	}
	return outcome;
}

/* Does what we find there say by itself that it is not what we left? */
static bool is_plainly_older(const struct visit *visit)
{
	for (int32_t i = 0; i < PARTITIONS; i++) {
		if (visit->place->state.positions[i] >= visit->positions[i]) {
			return false;
		}
	}
	return true;
}

static enum outcome place_open(void *backend, struct reason *why)
{
	struct visit *visit = backend;
	enum outcome outcome = reach(visit->place, why);

	if (outcome == OK && visit->born >= 0 && visit->born != visit->place->born &&
	    !is_plainly_older(visit)) { /* README.md, what is open */
		visit->born = -1;
		return because(TEMPFAIL, why, "%s is being restored", visit->place->name);
	}
	if (outcome == OK) {
		visit->born = visit->place->born;
		memcpy(visit->positions, visit->place->state.positions, sizeof(visit->positions));
		trace("%s opened: positions %lld, %lld", visit->place->name,
		      (long long)visit->positions[0], (long long)visit->positions[1]);
	}
	return outcome;
}

static int64_t place_position(void *backend, int32_t partition)
{
	const struct visit *visit = backend;

	return visit->positions[partition];
}

static enum outcome place_store_positions(void *backend, const int32_t *partitions,
					  const int64_t *next, size_t count, struct reason *why)
{
	struct visit *visit = backend;
	enum outcome outcome = reach_as_known(visit, why);

	if (outcome != OK) {
		return outcome;
	}
	if (fault_strikes(FAULT_BACKEND_WIPED, 1)) { /* it died, and another stands there now */
		place_wipe(visit->place);
		return because(TEMPFAIL, why, "%s does not answer", visit->place->name);
	}
	for (size_t i = 0; i < count; i++) {
		visit->place->state.positions[partitions[i]] = next[i];
		visit->positions[partitions[i]] = next[i];
		trace("%s: position of %d is %lld", visit->place->name, partitions[i],
		      (long long)next[i]);
	}
	mark("place.positions");
	if (fault_strikes(FAULT_BACKEND_LOST_ANSWER, 3)) {
		return because(TEMPFAIL, why, "%s: the answer was lost", visit->place->name);
	}
	return OK;
}

/* --- applying -------------------------------------------------------------------------------- */

/* I6 */
static bool shows_what_was_seen(const struct held_zone *held, const struct change *change)
{
	if (change->stuck_ahead) {
		return held->known && version_compare(held->version, change->expect->version) == 0;
	}
	if (change->expect->absent) {
		return !held->known || held->deleted;
	}
	return held->known && !held->deleted && strcmp(held->digest, change->expect->digest) == 0;
}

/* What is to be done about one zone; true: it is to be written. */
static bool weigh(const struct place *place, size_t zone, struct change *change)
{
	const struct held_zone *held = &place->state.zones[zone];
	int order = held->known ? version_compare(change->value->version, held->version) : 1;

	change->outcome = OK;
	change->result = CHANGE_OLDER;
	if (order < 0 || (change->expect != NULL && !shows_what_was_seen(held, change))) {
		return false;
	}
	if (place->refuses_until_us[zone] > stage_now_us()) {
		change->outcome = because(TEMPFAIL, &change->why, "%s does not take %s",
					  place->name, change->value->zone.text);
		return false;
	}
	if (order == 0) { /* verify what is served */
		change->result = CHANGE_VERIFIED;
		return false;
	}
	change->result = change->value->unchanged ? CHANGE_VERIFIED : CHANGE_APPLIED;
	return true;
}

static size_t zone_of(const struct change *change)
{
	int64_t zone = history_zone_of(name_span(&change->value->zone));

	if (zone < 0) {
		broken("a zone that nobody pushed: %s", change->value->zone.text);
	}
	return (size_t)zone;
}

static enum outcome apply_files(struct visit *visit, struct change *changes, size_t count,
				struct reason *why)
{
	for (size_t i = 0; i < count; i++) {
		enum outcome outcome = reach_as_known(visit, why);
		size_t zone = zone_of(&changes[i]);

		if (outcome != OK) {
			return outcome;
		}
		if (weigh(visit->place, zone, &changes[i])) {
			put(visit->place, zone, changes[i].value);
		}
		mark("place.renamed");
	}
	return OK;
}

static bool is_locked(const struct place *place, const struct visit *visit)
{
	return place->locked_by != NULL && place->locked_by != visit && place->locker->alive;
}

static enum outcome lock(struct visit *visit, struct reason *why)
{
	int64_t until_us = stage_now_us() + LOCK_WAIT_US;

	while (is_locked(visit->place, visit)) {
		if (stage_now_us() > until_us) {
			return because(TEMPFAIL, why, "%s: others hold locks", visit->place->name);
		}
		stage_wait_until(stage_now_us() + dice_delay_us(MS));
	}
	visit->place->locked_by = visit;
	visit->place->locker = stage_process();
	return OK;
}

static void show_later(struct visit *visit, struct change *change)
{
	struct shown *shown;

	if (change->outcome != OK || change->result == CHANGE_OLDER) {
		return;
	}
	shown = xcalloc(1, sizeof(*shown));
	shown->ticket = change->ticket;
	shown->at_us = stage_now_us() + dice_delay_us(20 * MS);
	shown->fails = fault_strikes(FAULT_NOT_SERVED, 20);
	shown->next = visit->shown;
	visit->shown = shown;
	change->pending = true;
}

/* All or nothing. */
static enum outcome apply_batch(struct visit *visit, struct change *changes, size_t count,
				struct reason *why)
{
	enum outcome outcome = reach_as_known(visit, why);
	struct place *place = visit->place;

	if (outcome == OK) {
		outcome = lock(visit, why);
	}
	if (outcome != OK) {
		return outcome;
	}
	mark("place.locked");
	stage_wait_until(stage_now_us() + dice_delay_us(2 * MS));
	outcome = reach_as_known(visit, why);
	if (outcome == OK && place->locked_by != visit) { /* it slept, and was rolled back */
		return because(TEMPFAIL, why, "%s: the transaction is gone", place->name);
	}
	for (size_t i = 0; outcome == OK && i < count; i++) {
		size_t zone = zone_of(&changes[i]);

		if (weigh(place, zone, &changes[i])) {
			put(place, zone, changes[i].value);
		}
	}
	place->locked_by = NULL;
	if (outcome == OK && fault_strikes(FAULT_BACKEND_LOST_ANSWER, 5)) {
		return because(TEMPFAIL, why, "%s: the answer to COMMIT was lost", place->name);
	}
	mark("place.committed");
	for (size_t i = 0; outcome == OK && i < count; i++) {
		show_later(visit, &changes[i]);
	}
	return outcome;
}

static enum outcome place_apply(void *backend, struct change *changes, size_t count,
				struct reason *why)
{
	struct visit *visit = backend;

	return visit->place->is_database ? apply_batch(visit, changes, count, why)
					 : apply_files(visit, changes, count, why);
}

static bool place_settled(void *backend, struct settlement *out)
{
	struct visit *visit = backend;

	for (struct shown **at = &visit->shown; *at != NULL; at = &(*at)->next) {
		struct shown *shown = *at;

		if (shown->at_us > stage_now_us()) {
			continue;
		}
		*at = shown->next;
		*out = (struct settlement){.ticket = shown->ticket};
		if (shown->fails) {
			out->outcome = because(TEMPFAIL, &out->why, "%s does not show it",
					       visit->place->name);
		}
		free(shown);
		return true;
	}
	return false;
}

static void place_close(void *backend)
{
	free(backend);
}

const struct backend_ops place_ops = {
	.open = place_open,
	.position = place_position,
	.apply = place_apply,
	.settled = place_settled,
	.store_positions = place_store_positions,
	.close = place_close,
};

/* --- what is done to it ---------------------------------------------------------------------- */

void place_go_away(struct place *place, int64_t until_us)
{
	trace("%s goes away", place->name);
	place->away_until_us = until_us;
}

void place_refuse(struct place *place, size_t zone, int64_t until_us)
{
	trace("%s refuses %s", place->name, history_zone(zone));
	place->refuses_until_us[zone] = until_us;
}

void place_keep_copy(struct place *place)
{
	trace("%s is copied", place->name);
	place->older = place->state;
}

static void replace(struct place *place, const struct place_state *state)
{
	place->state = *state;
	place->born++;
	place->locked_by = NULL;
}

void place_wipe(struct place *place)
{
	static const struct place_state nothing;

	trace("%s is wiped", place->name);
	replace(place, &nothing);
}

void place_restore(struct place *place)
{
	trace("%s is restored from an older copy", place->name);
	replace(place, &place->older);
}

void place_heal(struct place *place)
{
	place->away_until_us = 0;
	memset(place->refuses_until_us, 0, sizeof(place->refuses_until_us));
}
