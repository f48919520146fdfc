/* SPDX-License-Identifier: Apache-2.0 */
/* Consumer groups as Kafka's coordinator runs them (eager, range): members that are not heard from
 * for 8 s are out; every change of membership takes everybody's partitions away first; a commit
 * counts only from a member of the present generation.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/broker.h"
#include "tests/sim/dice.h"
#include "tests/sim/trace.h"

#define GROUPS_MAX 8
#define MEMBERS_MAX 16
#define PLACES_MAX 32
#define SESSION_US (8 * SECONDS)
#define HEARTBEAT_US (1 * SECONDS)

/* A partition's committed offset. */
struct place {
	const struct partition *partition;
	int64_t offset;
};

struct group {
	const char *name;
	struct bus_consumer *members[MEMBERS_MAX];
	size_t member_count;
	int64_t generation;
	bool rebalancing;
	bool watched; /* its heartbeat is on the agenda */
	struct place places[PLACES_MAX];
	size_t place_count;
};

static struct group groups[GROUPS_MAX];
static size_t group_count;

struct group *group_named(const char *name)
{
	for (size_t i = 0; i < group_count; i++) {
		if (strcmp(groups[i].name, name) == 0) {
			return &groups[i];
		}
	}
	if (group_count == GROUPS_MAX) {
		broken("more groups than the model has room for: %s", name);
	}
	groups[group_count].name = xstrdup(name);
	return &groups[group_count++];
}

bool group_is_stable(const struct group *group)
{
	for (size_t i = 0; i < group->member_count; i++) {
		if (group->members[i]->must_assign || group->members[i]->must_revoke) {
			return false;
		}
	}
	return !group->rebalancing;
}

/* --- committed offsets ----------------------------------------------------------------------- */

static struct place *place_of(struct group *group, const struct partition *partition)
{
	for (size_t i = 0; i < group->place_count; i++) {
		if (group->places[i].partition == partition) {
			return &group->places[i];
		}
	}
	return NULL;
}

int64_t group_committed(const struct group *group, const char *topic, int32_t partition)
{
	const struct partition *wanted = broker_partition(topic, partition);

	for (size_t i = 0; i < group->place_count; i++) {
		if (group->places[i].partition == wanted) {
			return group->places[i].offset;
		}
	}
	return -1;
}

bool group_commit(struct bus_consumer *consumer, const struct partition *partition, int64_t offset)
{
	struct group *group = consumer->group;
	struct place *place = place_of(group, partition);

	if (!consumer->member || consumer->generation != group->generation) {
		trace("commit of %s/%d by an old member of %s refused", partition->topic,
		      partition->number, group->name);
		return false;
	}
	if (place == NULL) {
		place = &group->places[group->place_count++];
		place->partition = partition;
	}
	trace("%s commits %s/%d %lld", group->name, partition->topic, partition->number,
	      (long long)offset);
	place->offset = offset;
	return true;
}

/* --- membership ------------------------------------------------------------------------------ */

static void revoke_soon(void *context)
{
	struct bus_consumer *consumer = context;

	if (consumer->group->rebalancing && consumer->member && !consumer->rejoined &&
	    !consumer->closed) {
		consumer->must_revoke = true;
		thread_wake(consumer->poller);
	}
}

static void rebalance(struct group *group)
{
	group->rebalancing = true;
	for (size_t i = 0; i < group->member_count; i++) {
		struct bus_consumer *member = group->members[i];

		member->must_assign = false;
		member->rejoined = member->part_count == 0 && !member->must_revoke;
		if (!member->rejoined) { /* it hears of it by its next heartbeat */
			stage_at(stage_now_us() + dice_between(0, 400 * MS), revoke_soon, member);
		}
	}
}

static void remove_member(struct group *group, struct bus_consumer *consumer)
{
	for (size_t i = 0; i < group->member_count; i++) {
		if (group->members[i] == consumer) {
			memmove(&group->members[i], &group->members[i + 1],
				(group->member_count - i - 1) * sizeof(group->members[0]));
			group->member_count--;
			consumer->member = false;
			rebalance(group);
			return;
		}
	}
}

/* Range: each topic for itself, the first members get one more. */
static void hand_out(struct group *group)
{
	for (size_t m = 0; m < group->member_count; m++) {
		struct bus_consumer *member = group->members[m];
		size_t least = PARTITIONS / group->member_count;
		size_t more = PARTITIONS % group->member_count;
		size_t first = m * least + (m < more ? m : more);
		size_t count = least + (m < more ? 1 : 0);

		member->given_count = 0;
		for (size_t t = 0; t < member->topic_count; t++) {
			for (size_t p = first; p < first + count; p++) {
				member->given[member->given_count++] =
					broker_partition(member->topics[t], (int32_t)p);
			}
		}
		member->generation = group->generation;
		member->must_assign = true;
		thread_wake(member->poller);
	}
}

static void complete_if_all_are_back(struct group *group)
{
	if (!group->rebalancing) {
		return;
	}
	for (size_t i = 0; i < group->member_count; i++) {
		if (!group->members[i]->rejoined) {
			return;
		}
	}
	group->rebalancing = false;
	group->generation++;
	for (size_t i = group->member_count; i > 1; i--) { /* ids are random, and so their order */
		size_t other = dice_roll(i);
		struct bus_consumer *member = group->members[i - 1];

		group->members[i - 1] = group->members[other];
		group->members[other] = member;
	}
	trace("%s: generation %lld, %zu members", group->name, (long long)group->generation,
	      group->member_count);
	if (group->member_count > 0) {
		hand_out(group);
	}
}

static bool can_talk(const struct bus_consumer *consumer)
{
	return consumer->process->alive && !consumer->closed &&
	       consumer->process->frozen_until_us <= stage_now_us() &&
	       broker_hears(consumer->process);
}

/* The coordinator's and the member's own idea of its session. */
static void look_at(struct group *group, struct bus_consumer *member)
{
	int64_t now_us = stage_now_us();

	if (can_talk(member)) {
		member->seen_us = now_us;
		member->heard_us = now_us;
		return;
	}
	if (!broker_hears(NULL)) {
		member->seen_us = now_us; /* the next coordinator begins anew */
	}
	if (now_us - member->seen_us > SESSION_US) {
		trace("%s: %s is out", group->name, member->process->name);
		member->must_revoke = true;
		member->lost = true;
		remove_member(group, member);
	}
}

static void heartbeat(void *context)
{
	struct group *group = context;

	for (size_t i = group->member_count; i-- > 0;) {
		if (i < group->member_count) {
			look_at(group, group->members[i]);
		}
	}
	complete_if_all_are_back(group);
	stage_at(stage_now_us() + HEARTBEAT_US, heartbeat, group);
}

static void enter(void *context)
{
	struct bus_consumer *consumer = context;
	struct group *group = consumer->group;

	if (!consumer->process->alive || consumer->closed || consumer->member) {
		return;
	}
	if (!can_talk(consumer)) {
		stage_at(stage_now_us() + dice_between(100, 1000) * MS, enter, consumer);
		return;
	}
	if (group->member_count == MEMBERS_MAX) {
		broken("too many members in %s", group->name);
	}
	group->members[group->member_count++] = consumer;
	consumer->member = true;
	consumer->seen_us = stage_now_us();
	consumer->heard_us = stage_now_us();
	trace("%s joins %s", consumer->process->name, group->name);
	rebalance(group);
}

void group_join(struct bus_consumer *consumer)
{
	struct group *group = consumer->group;

	stage_at(stage_now_us() + dice_delay_us(20 * MS), enter, consumer);
	if (!group->watched) {
		group->watched = true;
		stage_at(stage_now_us() + dice_between(0, HEARTBEAT_US), heartbeat, group);
	}
}

void group_leave(struct bus_consumer *consumer)
{
	if (consumer->member && broker_hears(consumer->process)) {
		remove_member(consumer->group, consumer);
	}
}

void group_revoked(struct bus_consumer *consumer)
{
	bool was_out = !consumer->member;

	consumer->must_revoke = false;
	consumer->lost = false;
	consumer->rejoined = true;
	if (was_out) {
		group_join(consumer);
	} else if (!consumer->group->rebalancing) { /* it gave up by itself, and asks again */
		rebalance(consumer->group);
	}
}

static void expel(struct group *group, struct bus_consumer *member)
{
	trace("%s: %s is out by mistake", group->name, member->process->name);
	member->must_revoke = true;
	member->lost = true;
	remove_member(group, member);
	thread_wake(member->poller);
}

void group_expel_somebody(struct group *group)
{
	if (group->member_count > 0) {
		expel(group, group->members[dice_roll(group->member_count)]);
	}
}

/* Offsets are only taken from a group without members. */
void group_forget(struct group *group)
{
	trace("%s: committed offsets lost", group->name);
	while (group->member_count > 0) {
		expel(group, group->members[0]);
	}
	group->place_count = 0;
}
