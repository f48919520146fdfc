/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/nemesis.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/broker.h"
#include "tests/sim/cast.h"
#include "tests/sim/dice.h"
#include "tests/sim/faults.h"
#include "tests/sim/keeper.h"
#include "tests/sim/place.h"
#include "tests/sim/trace.h"

static const char *const place_names[] = {"east", "west"};
static const char *const group_names[] = {"dadns.judge", "dadns.writer.east", "dadns.writer.west"};

static int64_t end_us;
static int64_t pause_ms;

static int64_t in_s(int64_t low, int64_t high)
{
	return stage_now_us() + dice_between(low * 1000, high * 1000) * MS;
}

static struct process *somebody(void)
{
	return cast_process(dice_roll(cast_count()));
}

static struct place *some_place(void)
{
	return place_named(place_names[dice_roll(2)]);
}

static struct group *some_group(void)
{
	return group_named(group_names[dice_roll(3)]);
}

static void strike_process(enum fault fault)
{
	struct process *process = somebody();

	if (process == NULL) {
		return;
	}
	fault_note(fault);
	trace("%s: %s", fault_name(fault), process->name);
	if (fault == FAULT_KILL) {
		cast_kill(process);
	} else if (fault == FAULT_RESTART) {
		cast_restart(process);
	} else if (fault == FAULT_FREEZE) {
		process_freeze(process, in_s(1, 25));
	} else {
		process->cut_until_us = in_s(1, 20);
	}
}

static void strike_broker(enum fault fault)
{
	if (!broker_hears(NULL)) {
		return;
	}
	fault_note(fault);
	trace("%s", fault_name(fault));
	broker_go_away(in_s(1, 20), fault == FAULT_BROKER_FROZEN);
}

static void compact(void)
{
	int32_t number = (int32_t)dice_roll(PARTITIONS);

	broker_compact(broker_partition(TOPIC_ZONES, number), dice_between(0, 10000));
	broker_compact(broker_partition(TOPIC_STATUS, number), dice_between(0, 10000));
	fault_note(FAULT_COMPACTION);
}

/* Never beyond what the judge has done: thirty days are long. */
static void delete_old_pushes(void)
{
	int32_t number = (int32_t)dice_roll(PARTITIONS);
	int64_t done = group_committed(group_named("dadns.judge"), TOPIC_PUSHES, number);

	if (done > 0) {
		broker_delete_below(broker_partition(TOPIC_PUSHES, number), dice_between(0, done));
		fault_note(FAULT_RETENTION);
	}
}

static void put_garbage(void)
{
	static const char *const topics[] = {TOPIC_PUSHES, TOPIC_HEALS};
	const struct bus_record record = {.key = span_of("a.example"),
					  .value = span_of("{\"schema\":\"nonsense\"}")};
	struct partition *partition =
		broker_partition(topics[dice_roll(2)], broker_partition_of(record.key));

	fault_note(FAULT_GARBAGE);
	(void)broker_append(partition, record_copy(&record));
}

static void strike_place(enum fault fault)
{
	struct place *place = some_place();

	if (fault == FAULT_BACKEND_AWAY) {
		place_go_away(place, in_s(1, 20));
	} else if (fault == FAULT_BACKEND_REFUSES) {
		place_refuse(place, dice_roll(ZONES), in_s(1, 30));
	} else if (fault == FAULT_BACKEND_WIPED) {
		place_wipe(place);
	} else {
		place_restore(place);
	}
	fault_note(fault);
}

/* What it holds for the doors is the one thing that must not be lost with it (I12); an older state
 * that has lost retries without a word is found by an audit alone, and there is none here. */
static void strike_keeper(enum fault fault)
{
	if (fault == FAULT_REDIS_AWAY) {
		keeper_go_away(in_s(1, 20));
	} else if (keeper_has("dadns:hold:zone:", "")) {
		return;
	} else if (fault == FAULT_REDIS_FORGETS) {
		keeper_forget();
	} else if (keeper_has("dadns:retry:", ":due")) {
		return;
	} else {
		keeper_go_back();
	}
	fault_note(fault);
}

static void strike(enum fault fault)
{
	switch (fault) {
	case FAULT_KILL:
	case FAULT_FREEZE:
	case FAULT_CUT_OFF:
	case FAULT_RESTART:
		strike_process(fault);
		break;
	case FAULT_BROKER_FROZEN:
	case FAULT_BROKER_DOWN:
		strike_broker(fault);
		break;
	case FAULT_REBALANCE:
		group_expel_somebody(some_group());
		fault_note(fault);
		break;
	case FAULT_OFFSETS_LOST:
		group_forget(some_group());
		fault_note(fault);
		break;
	case FAULT_COMPACTION:
		compact();
		break;
	case FAULT_RETENTION:
		delete_old_pushes();
		break;
	case FAULT_GARBAGE:
		put_garbage();
		break;
	case FAULT_BACKEND_AWAY:
	case FAULT_BACKEND_REFUSES:
	case FAULT_BACKEND_WIPED:
	case FAULT_BACKEND_RESTORED:
		strike_place(fault);
		break;
	case FAULT_REDIS_AWAY:
	case FAULT_REDIS_FORGETS:
	case FAULT_REDIS_OLD:
		strike_keeper(fault);
		break;
	case FAULT_KILL_AT_MARK: /* the models' own */
	case FAULT_LOST_ACK:
	case FAULT_LATE_RECORD:
	case FAULT_PRODUCER_FATAL:
	case FAULT_STALE_HEAL:
	case FAULT_BACKEND_LOST_ANSWER:
	case FAULT_NOT_SERVED:
	case FAULT_CLOCK:
	case FAULT_REDIS_SLOW:
	case FAULTS:
		break;
	}
}

static void *rage(void *context)
{
	(void)context;
	while (stage_now_us() < end_us) {
		enum fault fault = (enum fault)dice_roll(FAULTS);

		if (dice_percent(20)) {
			place_keep_copy(some_place());
		}
		if (dice_percent(20) && !keeper_has("dadns:hold:zone:", "")) {
			keeper_keep_copy();
		}
		if (fault_is_on(fault)) {
			strike(fault);
			stage_wait_until(stage_now_us() + dice_delay_us(pause_ms * MS));
		}
		stage_yield();
	}
	return NULL;
}

void nemesis_begin(int64_t until_us)
{
	end_us = until_us;
	pause_ms = dice_between(200, 6000);
	faults_begin();
	(void)thread_start(NULL, rage, NULL);
}

void nemesis_heal(void)
{
	trace("all is healed");
	faults_end();
	broker_go_away(0, false);
	keeper_go_away(0);
	for (size_t i = 0; i < cast_count(); i++) {
		struct process *process = cast_process(i);

		if (process != NULL) {
			process->frozen_until_us = 0;
			process->cut_until_us = 0;
		}
	}
	for (size_t i = 0; i < 2; i++) {
		place_heal(place_named(place_names[i]));
	}
}

static void kill_everybody(void)
{
	for (size_t i = 0; i < cast_count(); i++) {
		if (cast_process(i) != NULL) {
			cast_kill(cast_process(i));
		}
	}
}

void nemesis_shake(void)
{
	trace("shaken: groups begin anew, everything is compacted, writers start again");
	for (size_t i = 1; i < 3; i++) { /* the judge's offsets go with its log */
		group_forget(group_named(group_names[i]));
	}
	if (dice_percent(50)) {
		keeper_forget();
	}
	for (int32_t i = 0; i < PARTITIONS; i++) {
		broker_compact(broker_partition(TOPIC_ZONES, i), 0);
		broker_compact(broker_partition(TOPIC_STATUS, i), 0);
	}
	kill_everybody();
}

static bool has_records(const struct partition *partition)
{
	for (int64_t offset = partition->low; offset < partition->high; offset++) {
		if (!partition->records[offset]->gone) {
			return true;
		}
	}
	return false;
}

void nemesis_cut(struct partition *pushes, int64_t highest)
{
	broker_cut(pushes, dice_between(0, highest));
	trace("%s/%d is cut: it ends at %lld", pushes->topic, pushes->number,
	      (long long)pushes->high);
	/* who reads on notices by what comes again, who starts by the ends */
	if (dice_percent(50) || !has_records(pushes)) {
		kill_everybody();
		if (dice_percent(50)) {
			group_forget(group_named("dadns.judge"));
		}
	}
}
