/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/takeover.h"

#include "common/clock.h"
#include "common/log.h"

#define LOOK_MS 5000
#define AGAIN_MS 1000
#define WATCH_MS 20
#define WAKE_MS 200
#define REPAIRS_AT_ONCE 64

enum { TAKEN_OVER, REPAIRED, REPAIR_FAILED, REPAIR_IMPOSSIBLE, LOOK_FAILED };

/* clang-format off */
static struct metric metrics[] = {
	[TAKEN_OVER] = COUNTER("dadns_judge_takeovers_total", "", "partitions taken over"),
	[REPAIRED] = COUNTER("dadns_judge_repairs_total", "outcome=\"ok\"", "zones whose highest version was written again"),
	[REPAIR_FAILED] = COUNTER("dadns_judge_repairs_total", "outcome=\"tempfail\"", "zones whose highest version was written again"),
	[REPAIR_IMPOSSIBLE] = COUNTER("dadns_judge_repairs_total", "outcome=\"permfail\"", "zones whose highest version was written again"),
	[LOOK_FAILED] = COUNTER("dadns_judge_look_failures_total", "", "looks at the ends of a partition that failed; tried again"),
};
/* clang-format on */
const struct metric_table takeover_metrics = METRIC_TABLE(metrics);

void takeover_begin(struct bench *bench, int32_t partition, int64_t committed)
{
	struct bench_partition *mine = &bench->partitions[partition];

	mine->phase = PHASE_TAKEN;
	mine->committed = committed;
	mine->position = -1;
	mine->again_ms = 0;
}

/* I4: a copy of the same version is skipped or verified by every reader. */
static void repair(struct bench *bench, int32_t partition)
{
	struct zindex_repair repairs[REPAIRS_AT_ONCE];
	size_t count = zindex_repairs(bench->index, partition, repairs, REPAIRS_AT_ONCE);

	for (size_t i = 0; i < count; i++) {
		struct bus_message *message = NULL;
		struct reason why;
		enum outcome outcome = OK;

		if (!repairs[i].buried) { /* a tombstone need not be there any more */
			outcome = bus_fetch_one(bench->bus, TOPIC_ZONES, partition,
						repairs[i].offset, LOOK_MS, &message, &why);
		}
		if (outcome == OK && !zindex_repair_holds(bench->index, &repairs[i])) {
			bus_message_destroy(message); /* settled meanwhile */
			continue;
		}
		if (outcome == OK) {
			outcome = repairs[i].buried
					  ? bench_send_tombstone(bench, partition, &repairs[i].zone,
								 repairs[i].version, &why)
					  : bench_send_copy(bench, message, &why);
		}
		bus_message_destroy(message);
		switch (outcome) {
		case OK:
			metric_add(&metrics[REPAIRED], 1);
			log_warn("older record after the newest one, newest written again",
				 F("zone", repairs[i].zone.text), F("partition", partition),
				 F("offset", repairs[i].offset));
			break;
		case TEMPFAIL:
			metric_add(&metrics[REPAIR_FAILED], 1);
			log_warn("cannot write a zone's newest record again yet",
				 F("zone", repairs[i].zone.text), F("why", why.text));
			return;
		case PERMFAIL:
			metric_add(&metrics[REPAIR_IMPOSSIBLE], 1);
			zindex_repair_give_up(bench->index, &repairs[i]);
			log_error("a zone's newest record is lost: push the zone again",
				  F("zone", repairs[i].zone.text), F("partition", partition),
				  F("offset", repairs[i].offset), F("why", why.text));
			break;
		}
	}
}

/* PERMFAIL: versions would lie; a human must say that this is a new log. */
static enum outcome compare_ends(const struct bench_partition *mine, int32_t partition,
				 const struct zindex_partition *info, int64_t high,
				 struct reason *why)
{
	bool of_this_epoch = info->highest.epoch == info->epoch;

	if (info->highest.epoch > info->epoch) {
		return because(PERMFAIL, why,
			       "partition %d of dadns.zones holds values of epoch %lld, its epoch "
			       "record says %lld: run `dadns topics apply --new-epoch`",
			       partition, (long long)info->highest.epoch, (long long)info->epoch);
	}
	if (of_this_epoch && info->highest.offset >= high) {
		return because(PERMFAIL, why,
			       "dadns.pushes was re-created or truncated: partition %d ends at "
			       "%lld, dadns.zones holds a value made from offset %lld; if that is "
			       "meant, run `dadns topics apply --new-epoch`",
			       partition, (long long)high, (long long)info->highest.offset);
	}
	if (of_this_epoch && mine->committed > high) {
		return because(PERMFAIL, why,
			       "dadns.pushes was re-created or truncated: partition %d ends at "
			       "%lld, group dadns.judge had reached %lld; if that is meant, run "
			       "`dadns topics apply --new-epoch`",
			       partition, (long long)high, (long long)mine->committed);
	}
	return OK;
}

enum outcome takeover_compare(struct bench *bench, int32_t partition, struct reason *why)
{
	struct zindex_partition info;
	enum outcome outcome;
	int64_t low;
	int64_t high;

	zindex_partition(bench->index, partition, &info); /* before: the log may grow meanwhile */
	outcome =
		bus_watermarks(bench->consumer, TOPIC_PUSHES, partition, &low, &high, LOOK_MS, why);
	return outcome == OK
		       ? compare_ends(&bench->partitions[partition], partition, &info, high, why)
		       : outcome;
}

static void start_working(struct bench *bench, int32_t partition,
			  const struct zindex_partition *info)
{
	struct bench_partition *mine = &bench->partitions[partition];

	mine->fence = info->highest.epoch == mine->epoch ? info->highest.offset + 1 : 0;
	mine->phase = PHASE_WORKING;
	mine->again_ms = 0;
	bus_resume(bench->consumer, TOPIC_PUSHES, partition);
	metric_add(&metrics[TAKEN_OVER], 1);
	log_info("partition taken over", F("partition", partition), F("epoch", mine->epoch),
		 F("committed", mine->committed), F("fence", mine->fence));
}

/* Our barrier was read back: what stands in the log before it is known. */
static void step_behind_barrier(struct bench *bench, int32_t partition,
				const struct zindex_partition *info)
{
	struct bench_partition *mine = &bench->partitions[partition];
	enum outcome outcome;
	struct reason why;
	int64_t low;
	int64_t high;

	if (info->epoch == 0) {
		return; /* the index reader's part of readiness says what to do */
	}
	if (info->ahead > 0) {
		/* What we sent before lies before our barrier; it is not there. */
		(void)because(PERMFAIL, &why,
			      "partition %d: memory and dadns.zones differ; starting again",
			      partition);
		service_stop(bench->service, &why);
		mine->phase = PHASE_NONE;
		return;
	}
	outcome = bus_watermarks(bench->consumer, TOPIC_PUSHES, partition, &low, &high, LOOK_MS,
				 &why);
	if (outcome == OK) {
		outcome = compare_ends(mine, partition, info, high, &why);
	}
	if (outcome == OK && mine->committed > high) { /* of an earlier log */
		outcome = bus_seek(bench->consumer, TOPIC_PUSHES, partition, low, &why);
	}
	switch (outcome) {
	case OK:
		mine->epoch = info->epoch;
		mine->phase = PHASE_REPAIR;
		mine->again_ms = 0;
		break;
	case TEMPFAIL:
		metric_add(&metrics[LOOK_FAILED], 1);
		log_warn("cannot look at the end of dadns.pushes", F("partition", partition),
			 F("why", why.text));
		mine->again_ms = clock_ms() + AGAIN_MS;
		break;
	case PERMFAIL:
		service_stop(bench->service, &why);
		mine->phase = PHASE_NONE;
		break;
	}
}

/* A partition that works has a fetch waiting at the broker, and each look would wait behind it:
 * all of them look first. */
static bool looks_are_due(const struct bench *bench)
{
	for (int32_t i = 0; i < bench->partition_count; i++) {
		if (bench->partitions[i].phase == PHASE_TAKEN ||
		    bench->partitions[i].phase == PHASE_BARRIER) {
			return true;
		}
	}
	return false;
}

static void watch(struct bench *bench, int32_t partition, const struct zindex_partition *info,
		  int64_t now)
{
	struct bench_partition *mine = &bench->partitions[partition];
	struct reason why;

	if (info->epoch != mine->epoch) {
		(void)because(PERMFAIL, &why, "the epoch was raised; starting again with it");
		service_stop(bench->service, &why);
		mine->phase = PHASE_NONE;
		return;
	}
	if (info->unsettled > 0) {
		repair(bench, partition);
		mine->again_ms = now + AGAIN_MS; /* until the copies are read back */
		return;
	}
	mine->again_ms = now + WATCH_MS;
}

static void step(struct bench *bench, int32_t partition, int64_t now)
{
	struct bench_partition *mine = &bench->partitions[partition];
	struct zindex_partition info;
	struct reason why;

	if (mine->phase == PHASE_NONE || now < mine->again_ms) {
		return;
	}
	if (mine->phase == PHASE_TAKEN) {
		if (bench_send_barrier(bench, partition, &why) == OK) {
			mine->phase = PHASE_BARRIER;
		} else {
			log_warn("cannot send the barrier", F("partition", partition),
				 F("why", why.text));
			mine->again_ms = now + AGAIN_MS;
		}
		return;
	}
	zindex_partition(bench->index, partition, &info);
	if (mine->phase == PHASE_BARRIER && info.barrier_read) {
		step_behind_barrier(bench, partition, &info);
	}
	if (mine->phase == PHASE_REPAIR) {
		if (info.unsettled == 0 && !looks_are_due(bench)) {
			start_working(bench, partition, &info);
		} else if (info.unsettled > 0) {
			repair(bench, partition);
			mine->again_ms = now + AGAIN_MS;
		}
	} else if (mine->phase == PHASE_WORKING) {
		watch(bench, partition, &info, now);
	}
}

/* librdkafka looks once a second whether a resumed partition may be fetched, or when it has
 * something to send: this makes it look now, so that the first push need not wait for it. */
static void wake_fetching(struct bench *bench, int32_t partition)
{
	int64_t low;
	int64_t high;
	struct reason why;

	if (bus_watermarks(bench->consumer, TOPIC_PUSHES, partition, &low, &high, WAKE_MS, &why) !=
	    OK) {
		log_debug("the first push may wait a second", F("why", why.text));
	}
}

void takeover_step(struct bench *bench)
{
	int64_t now = clock_ms();
	int32_t started = -1;

	for (int32_t i = 0; i < bench->partition_count; i++) {
		bool worked = bench->partitions[i].phase == PHASE_WORKING;

		step(bench, i, now);
		if (!worked && bench->partitions[i].phase == PHASE_WORKING) {
			started = i;
		}
	}
	if (started >= 0) {
		wake_fetching(bench, started);
	}
}

bool takeover_done(const struct bench *bench)
{
	for (int32_t i = 0; i < bench->partition_count; i++) {
		if (bench->partitions[i].phase != PHASE_NONE &&
		    bench->partitions[i].phase != PHASE_WORKING) {
			return false;
		}
	}
	return true;
}
