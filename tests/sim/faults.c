/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/faults.h"

#include <stddef.h>

#include "tests/sim/dice.h"

static const char *const names[FAULTS] = {
	[FAULT_KILL] = "kill",
	[FAULT_KILL_AT_MARK] = "kill-at-mark",
	[FAULT_FREEZE] = "freeze",
	[FAULT_CUT_OFF] = "cut-off",
	[FAULT_RESTART] = "restart",
	[FAULT_BROKER_FROZEN] = "broker-frozen",
	[FAULT_BROKER_DOWN] = "broker-down",
	[FAULT_LOST_ACK] = "lost-ack",
	[FAULT_LATE_RECORD] = "late-record",
	[FAULT_PRODUCER_FATAL] = "producer-fatal",
	[FAULT_REBALANCE] = "rebalance",
	[FAULT_OFFSETS_LOST] = "offsets-lost",
	[FAULT_COMPACTION] = "compaction",
	[FAULT_RETENTION] = "retention",
	[FAULT_GARBAGE] = "garbage",
	[FAULT_STALE_HEAL] = "stale-heal",
	[FAULT_BACKEND_AWAY] = "backend-away",
	[FAULT_BACKEND_LOST_ANSWER] = "backend-lost-answer",
	[FAULT_BACKEND_REFUSES] = "backend-refuses",
	[FAULT_BACKEND_WIPED] = "backend-wiped",
	[FAULT_BACKEND_RESTORED] = "backend-restored",
	[FAULT_NOT_SERVED] = "not-served",
	[FAULT_CLOCK] = "clock",
	[FAULT_REDIS_AWAY] = "redis-away",
	[FAULT_REDIS_SLOW] = "redis-slow",
	[FAULT_REDIS_FORGETS] = "redis-forgets",
	[FAULT_REDIS_OLD] = "redis-old",
};

static bool on[FAULTS];
static uint32_t counts[FAULTS];

const char *fault_name(enum fault fault)
{
	return names[fault];
}

/* With these a door may hold pushes; with those it may not be able to ask whether it does. */
static const enum fault of_kafka[] = {FAULT_FREEZE,      FAULT_CUT_OFF,  FAULT_BROKER_FROZEN,
				      FAULT_BROKER_DOWN, FAULT_LOST_ACK, FAULT_PRODUCER_FATAL};
static const enum fault of_redis[] = {FAULT_REDIS_AWAY, FAULT_REDIS_SLOW};
static bool is_double;

static bool any(const enum fault *kinds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (on[kinds[i]]) {
			return true;
		}
	}
	return false;
}

static void none(const enum fault *kinds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		on[kinds[i]] = false;
	}
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void faults_begin(void)
{
	int64_t share = dice_between(15, 60);

	for (int i = 0; i < FAULTS; i++) {
		on[i] = dice_percent(share);
	}
	if (any(of_kafka, COUNT(of_kafka)) && any(of_redis, COUNT(of_redis)) && !dice_percent(20)) {
		if (dice_percent(70)) {
			none(of_redis, COUNT(of_redis));
		} else {
			none(of_kafka, COUNT(of_kafka));
		}
	}
	is_double = any(of_kafka, COUNT(of_kafka)) && any(of_redis, COUNT(of_redis));
}

bool faults_are_double(void)
{
	return is_double;
}

void faults_end(void)
{
	for (int i = 0; i < FAULTS; i++) {
		on[i] = false;
	}
}

bool fault_is_on(enum fault fault)
{
	return on[fault];
}

bool fault_strikes(enum fault fault, int64_t percent)
{
	if (!on[fault] || !dice_percent(percent)) {
		return false;
	}
	fault_note(fault);
	return true;
}

void fault_note(enum fault fault)
{
	counts[fault]++;
}

uint32_t fault_count(enum fault fault)
{
	return counts[fault];
}
