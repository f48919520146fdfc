/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/judge_loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/log.h"
#include "common/mark.h"
#include "services/ingest/bench.h"
#include "services/ingest/janitor.h"
#include "services/ingest/judge.h"
#include "services/ingest/takeover.h"

#define GROUP "dadns.judge"
/* Values wait a moment for company: under load one request carries many. Nobody waits for a
 * judge's status but the offset. */
#define VALUE_LINGER_US 1000
#define STATUS_LINGER_US 20000
#define STATUS_BYTES_MAX 65536
#define STALLED_MS 60000 /* no room for so long: keep the group's heartbeat, paused */
#define FINISH_MS 2000   /* for what is in flight when partitions leave */
#define REPORT_EVERY_MS 500
#define JOIN_MS 15000 /* more replicas than partitions: this one has none */

enum {
	ACCEPTED,
	UNCHANGED,
	STALE,
	REFUSED,
	HELD,
	AGAIN,
	PASSED,
	DEAD_UNDECODABLE,
	DEAD_TOO_LARGE,
	STALLED,
	IN_FLIGHT,
	LAG,
};

/* clang-format off */
static struct metric metrics[] = {
	[ACCEPTED] = COUNTER("dadns_judge_verdicts_total", "verdict=\"accepted\"", "pushes judged"),
	[UNCHANGED] = COUNTER("dadns_judge_verdicts_total", "verdict=\"unchanged\"", "pushes judged"),
	[STALE] = COUNTER("dadns_judge_verdicts_total", "verdict=\"stale\"", "pushes judged"),
	[REFUSED] = COUNTER("dadns_judge_verdicts_total", "verdict=\"refused\"", "pushes judged"),
	[HELD] = COUNTER("dadns_judge_verdicts_total", "verdict=\"held\"", "pushes judged"),
	[AGAIN] = COUNTER("dadns_judge_replays_total", "kind=\"restated\"", "pushes read again: status sent again"),
	[PASSED] = COUNTER("dadns_judge_replays_total", "kind=\"passed\"", "pushes read again: nothing to say"),
	[DEAD_UNDECODABLE] = COUNTER("dadns_judge_dead_letters_total", "code=\"undecodable\"", "pushes that no verdict is possible on"),
	[DEAD_TOO_LARGE] = COUNTER("dadns_judge_dead_letters_total", "code=\"too-large\"", "pushes that no verdict is possible on"),
	[STALLED] = COUNTER("dadns_judge_stalls_total", "", "times that nothing was confirmed for a minute"),
	[IN_FLIGHT] = GAUGE("dadns_judge_pushes_in_flight", "", "pushes worked on and not confirmed"),
	[LAG] = HISTOGRAM("dadns_judge_lag_seconds", "", "from the push's arrival at the door to its verdict"),
};
/* clang-format on */
const struct metric_table judge_metrics = METRIC_TABLE(metrics);

struct judge_loop {
	struct judge_config config;
	struct bench bench;
	const struct index_reader *reader;
	struct janitor *janitor;
	pthread_t thread;
	/* Scratch: large, and used once per push. */
	struct zone_state state;
	struct judgement judgement;
	int64_t full_since_ms; /* 0: there is room */
	bool stalled;
	bool joined; /* the group has given us something, or had the time to */
	int64_t began_ms;
	int64_t finish_by_ms; /* of a series of revoked partitions; 0: none */
	int64_t reported_ms;
};

/* --- status ---------------------------------------------------------------------------------- */

static size_t verdict_row(enum status_state verdict)
{
	if (verdict == STATUS_ACCEPTED) {
		return ACCEPTED;
	}
	if (verdict == STATUS_UNCHANGED) {
		return UNCHANGED;
	}
	if (verdict == STATUS_STALE) {
		return STALE;
	}
	return verdict == STATUS_HELD ? HELD : REFUSED;
}

/* Parent and child of two owners: reported, never refused (DESIGN section 8). */
static void note_conflict(const struct zindex *index, const struct push_event *push,
			  struct reason *reason)
{
	struct name ancestor = push->zone;
	struct name parent;

	while (name_parent(&ancestor, &parent) && name_label_count(&parent) > 1) {
		char owner[STATE_TEXT_SIZE];
		struct reason before = *reason;

		if (zindex_owner(index, &parent, owner) && strcmp(owner, push->owner) != 0) {
			(void)because(OK, reason,
				      "%.80s%sconflict: its parent %.80s belongs to %.60s",
				      before.text, before.text[0] == '\0' ? "" : "; ", parent.text,
				      owner);
			return;
		}
		ancestor = parent;
	}
}

static struct status_event status_of(const struct judge_loop *loop, const struct push_event *push,
				     struct version version)
{
	int64_t now = clock_wall_ms();
	int64_t lag_us = (now - push->received_at_ms) * 1000;

	return (struct status_event){
		.backend = STATUS_JUDGE,
		.zone = push->zone,
		.version = version,
		.has_id = true,
		.id = push->id,
		.deleted = push->op == PUSH_DELETE,
		.serial = push->serial,
		.owner = push->owner,
		.took_us = -1,
		.lag_us = lag_us < 0 ? 0 : lag_us,
		.at_ms = now,
		.by = loop->bench.by,
	};
}

/* --- one push -------------------------------------------------------------------------------- */

static void give_up(struct judge_loop *loop, const struct reason *why)
{
	loop->bench.failed = true; /* I3: nothing more is stored */
	if (service_running(loop->bench.service)) {
		service_stop(loop->bench.service, why);
	}
}

/* I8: one record that is not ours, or too large, stops nobody. */
static void bury_alive(struct judge_loop *loop, struct bench_work *work,
		       const struct bus_message *message, const char *stage, const char *code,
		       const struct reason *cause)
{
	const struct dead_letter letter = {
		.topic = message->topic,
		.partition = message->partition,
		.offset = message->offset,
		.timestamp_ms = message->timestamp_ms,
		.group = GROUP,
		.stage = stage,
		.code = code,
		.message = cause->text,
		.attempts = 1,
		.first_failed_at_ms = clock_wall_ms(),
	};
	struct reason why;

	log_error("push put into the dead letters", F("partition", message->partition),
		  F("offset", message->offset), F("code", code), F("why", cause->text));
	if (bench_send_dead_letter(work, message, &letter, &why) != OK) {
		give_up(loop, &why);
	}
}

/* The value that this very push made is the zone's newest: its status may not have got through. */
static void restate(struct judge_loop *loop, struct bench_work *work, const struct push_event *push,
		    struct version version, struct span traceparent)
{
	struct status_event status = status_of(loop, push, version);
	struct reason why;

	status.state = loop->state.unchanged ? STATUS_UNCHANGED : STATUS_ACCEPTED;
	status.digest = loop->state.has_digest ? loop->state.digest : NULL;
	metric_add(&metrics[AGAIN], 1);
	if (bench_send_status(work, &status, traceparent, &why) != OK) {
		give_up(loop, &why);
	}
}

static void pronounce(struct judge_loop *loop, struct bench_work *work,
		      const struct bus_message *message, const struct push_event *push,
		      struct version version)
{
	struct judgement *judgement = &loop->judgement;
	struct span traceparent = bus_message_header(message, "traceparent");
	struct status_event status = status_of(loop, push, version);
	enum outcome outcome;
	struct reason why;

	if (judgement->has_value) {
		if (push->op == PUSH_SAVE) {
			note_conflict(loop->bench.index, push, &judgement->reason);
			status.digest = push->digest;
		}
		outcome = bench_send_value(work, &judgement->value, traceparent, &why);
		if (outcome == PERMFAIL && !bus_producer_fatal(loop->bench.values, NULL)) {
			metric_add(&metrics[DEAD_TOO_LARGE], 1);
			bury_alive(loop, work, message, "judge", "too-large", &why);
			judgement->verdict = STATUS_REFUSED;
			judgement->rule = "too-large";
			judgement->reason = why;
		} else if (outcome != OK) {
			give_up(loop, &why);
			return;
		} else {
			zindex_decide(loop->bench.index, message->partition, &judgement->value);
		}
	}
	status.state = judgement->verdict;
	status.rule = judgement->rule;
	status.reason = judgement->reason.text[0] == '\0' ? NULL : judgement->reason.text;
	metric_add(&metrics[verdict_row(judgement->verdict)], 1);
	metric_observe_us(&metrics[LAG], status.lag_us);
	if (judgement->verdict == STATUS_REFUSED || judgement->verdict == STATUS_HELD) {
		log_info("push refused by the judge", F("zone", push->zone.text),
			 F("owner", push->owner), F("rule", judgement->rule),
			 F("reason", judgement->reason.text), F("offset", message->offset));
	}
	if (judgement->remember) {
		if (bench_send_refusal(work, &status, traceparent, &why) != OK) {
			give_up(loop, &why);
			return;
		}
		zindex_remember(loop->bench.index, &push->zone, version, &push->id,
				message->timestamp_ms);
	}
	if (bench_send_status(work, &status, traceparent, &why) != OK) {
		give_up(loop, &why);
	}
}

static void decide(struct judge_loop *loop, struct bench_work *work,
		   const struct bus_message *message, const struct push_event *push)
{
	const struct bench_partition *mine = &loop->bench.partitions[message->partition];
	struct version version = {.epoch = mine->epoch, .offset = message->offset};
	const struct zone_state *state = NULL;

	if (zindex_state(loop->bench.index, &push->zone, &loop->state)) {
		state = &loop->state;
	}
	if (state != NULL && !state->buried && version_compare(version, state->version) == 0) {
		restate(loop, work, push, version, bus_message_header(message, "traceparent"));
		return;
	}
	if (state != NULL && version_compare(version, state->version) <= 0) {
		metric_add(&metrics[PASSED], 1);
		return;
	}
	judge(state, push, version, message->timestamp_ms, &loop->judgement);
	mark("judge.decided");
	if (loop->judgement.has_value && message->offset < mine->fence) {
		/* A judge before us has seen it and made no value: its verdict stands. */
		metric_add(&metrics[PASSED], 1);
		return;
	}
	pronounce(loop, work, message, push, version);
}

static enum outcome decode(const struct bus_message *message, struct push_event *out,
			   struct reason *why)
{
	enum outcome outcome;

	if (message->is_null) {
		return because(PERMFAIL, why, "a push without a value");
	}
	outcome = push_event_decode(message->value, out, why);
	if (outcome == OK && !span_equal(message->key, name_span(&out->zone))) {
		outcome = because(PERMFAIL, why, "its key is not its zone %.200s", out->zone.text);
		push_event_finish(out);
	}
	return outcome;
}

/* It comes again. */
static void put_back(struct judge_loop *loop, const struct bus_message *message)
{
	struct reason why;

	if (bus_seek(loop->bench.consumer, TOPIC_PUSHES, message->partition, message->offset,
		     &why) != OK) {
		give_up(loop, &why);
	}
}

/* The first push since we have the partition, and judged before: offsets were lost, or Kafka sent
 * us back because the log ends before them. */
static bool is_of_this_log(struct judge_loop *loop, const struct bus_message *message)
{
	struct reason why;

	switch (takeover_compare(&loop->bench, message->partition, &why)) {
	case OK:
		return true;
	case TEMPFAIL:
		put_back(loop, message);
		break;
	case PERMFAIL:
		give_up(loop, &why);
		break;
	}
	return false;
}

static void work_on(struct judge_loop *loop, const struct bus_message *message)
{
	struct bench_partition *mine = &loop->bench.partitions[message->partition];
	struct bench_work *work;
	struct push_event push = {0};
	struct reason why;
	enum outcome outcome;

	if (mine->phase != PHASE_WORKING || loop->stalled) { /* paused */
		if (mine->phase != PHASE_NONE) {
			put_back(loop, message);
		}
		return;
	}
	if (message->offset < mine->position) {
		(void)because(PERMFAIL, &why,
			      "dadns.pushes was re-created or truncated while we read it: "
			      "partition %d, offset %lld came after %lld; if that is meant, run "
			      "`dadns topics apply --new-epoch`",
			      message->partition, (long long)message->offset,
			      (long long)mine->position - 1);
		give_up(loop, &why);
		return;
	}
	if (mine->position < 0 && message->offset < mine->fence && !is_of_this_log(loop, message)) {
		return;
	}
	outcome = decode(message, &push, &why);
	if (outcome == TEMPFAIL) { /* a newer major version: wait for the upgrade, don't skip */
		give_up(loop, &why);
		return;
	}
	mine->position = message->offset + 1;
	work = bench_begin(&loop->bench, message);
	if (outcome == OK) {
		decide(loop, work, message, &push);
		push_event_finish(&push);
	} else {
		metric_add(&metrics[DEAD_UNDECODABLE], 1);
		bury_alive(loop, work, message, "decode", "undecodable", &why);
	}
	bench_end(work);
}

/* --- the group ------------------------------------------------------------------------------- */

static int64_t assigned(void *context, const char *topic, int32_t partition, int64_t committed)
{
	struct judge_loop *loop = context;

	loop->joined = true;
	loop->finish_by_ms = 0;
	bus_pause(loop->bench.consumer, topic, partition);
	if (partition < loop->bench.partition_count) {
		takeover_begin(&loop->bench, partition, committed);
	}
	return BUS_START_COMMITTED;
}

static void revoked(void *context, const char *topic, int32_t partition, bool lost)
{
	struct judge_loop *loop = context;
	struct bench_partition *mine;

	(void)topic;
	if (partition >= loop->bench.partition_count) {
		return;
	}
	mine = &loop->bench.partitions[partition];
	mine->phase = PHASE_NONE;
	if (loop->finish_by_ms == 0) { /* one wait for all that leave together */
		loop->finish_by_ms = clock_ms() + FINISH_MS;
	}
	while (!lost && !loop->bench.failed && mine->tracker.count > 0 &&
	       clock_ms() < loop->finish_by_ms) {
		bench_poll(&loop->bench, 5);
	}
	bench_drop(&loop->bench, partition);
}

/* --- the loop -------------------------------------------------------------------------------- */

static void pause_all(struct judge_loop *loop, bool paused)
{
	for (int32_t i = 0; i < loop->bench.partition_count; i++) {
		if (loop->bench.partitions[i].phase == PHASE_WORKING) {
			(paused ? bus_pause : bus_resume)(loop->bench.consumer, TOPIC_PUSHES, i);
		}
	}
	loop->stalled = paused;
}

/* I9: work in flight has a ceiling. True: there is room for another push. */
static bool has_room(struct judge_loop *loop)
{
	int64_t now;

	if (loop->bench.in_flight <
	    (loop->stalled ? loop->config.in_flight / 2 : loop->config.in_flight)) {
		loop->full_since_ms = 0;
		if (loop->stalled) {
			pause_all(loop, false);
		}
		return true;
	}
	now = clock_ms();
	if (loop->full_since_ms == 0) {
		loop->full_since_ms = now;
	} else if (!loop->stalled && now - loop->full_since_ms > STALLED_MS) {
		metric_add(&metrics[STALLED], 1);
		log_warn("nothing was confirmed for a minute, pausing");
		pause_all(loop, true);
	}
	return false;
}

static void report(struct judge_loop *loop)
{
	int64_t now = clock_ms();
	struct reason why;

	if (now - loop->reported_ms < REPORT_EVERY_MS) {
		return;
	}
	loop->reported_ms = now;
	loop->joined = loop->joined || now - loop->began_ms > JOIN_MS;
	service_alive(loop->bench.service, "judge");
	service_ready(loop->bench.service, "judge", loop->joined && takeover_done(&loop->bench),
		      "partitions of dadns.pushes are being taken over");
	metric_set(&metrics[IN_FLIGHT], loop->bench.in_flight);
	if (bus_producer_fatal(loop->bench.values, &why) ||
	    bus_producer_fatal(loop->bench.statuses, &why) ||
	    bus_consumer_fatal(loop->bench.consumer, &why)) {
		give_up(loop, &why);
	}
}

static void turn(struct judge_loop *loop)
{
	bool room = has_room(loop);

	if (room || loop->stalled) {
		struct bus_message *message =
			bus_poll(loop->bench.consumer, loop->bench.in_flight > 0 ? 1 : 10);

		if (message != NULL) {
			work_on(loop, message);
			bus_message_destroy(message);
		}
	}
	bench_poll(&loop->bench, room ? 0 : 20);
	takeover_step(&loop->bench);
	if (room) {
		janitor_step(loop->janitor, &loop->bench);
	}
	report(loop);
}

static void *run(void *context)
{
	static const char *const topics[] = {TOPIC_PUSHES, NULL};
	struct judge_loop *loop = context;
	struct service *service = loop->bench.service;
	struct reason why;

	/* A customer's page waits for the door's answer, nobody for the verdict: in a burst on few
	 * cores the door goes first. Not allowed to: then not. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), (int)loop->config.nice);
	service_ready(service, "judge", false, "Kafka was not reached yet");
	while (service_running(service) && !index_reader_started(loop->reader)) {
		service_alive(service, "judge");
		service_pause(service, 50);
	}
	loop->began_ms = clock_ms();
	if (service_running(service) && bus_subscribe(loop->bench.consumer, topics, &why) != OK) {
		service_stop(service, &why);
	}
	while (service_running(service)) {
		turn(loop);
	}
	return NULL;
}

static void release(struct judge_loop *loop)
{
	struct bench *bench = &loop->bench;

	janitor_close(loop->janitor);
	bus_consumer_close(bench->consumer); /* revokes: finishes, stores, commits */
	bus_producer_destroy(bench->values);
	bus_producer_destroy(bench->statuses);
	buf_finish(&bench->value);
	buf_finish(&bench->status);
	buf_finish(&bench->key);
	free(bench->partitions);
	free(loop);
}

enum outcome judge_loop_open(struct judge_loop **out, const struct judge_config *config,
			     const struct bus_config *bus, struct zindex *index,
			     const struct index_reader *reader, struct service *service,
			     struct reason *why)
{
	struct judge_loop *loop = xcalloc(1, sizeof(*loop));
	const struct bus_listener listener = {loop, assigned, revoked};
	const struct bus_consumer_options consumer = {.group = GROUP};
	struct bus_producer_options values = {.queue_records = config->in_flight * 2,
					      .queue_bytes = JUDGE_QUEUE_BYTES / 2,
					      .linger_us = VALUE_LINGER_US};
	struct bus_producer_options statuses = {.queue_records = config->in_flight * 2,
						.queue_bytes = JUDGE_QUEUE_BYTES / 2,
						.linger_us = STATUS_LINGER_US};
	struct bench *bench = &loop->bench;
	enum outcome outcome;

	loop->config = *config;
	loop->reader = reader;
	bench->bus = bus;
	bench->service = service;
	bench->index = index;
	bench->partition_count = config->partitions;
	bench->partitions = xcalloc((size_t)config->partitions, sizeof(bench->partitions[0]));
	bench->value_bytes = config->value_bytes;
	bench->source = config->source;
	bench->by = config->by;
	buf_init(&bench->value, (size_t)config->value_bytes);
	buf_init(&bench->status, STATUS_BYTES_MAX);
	buf_init(&bench->key, 1024);
	outcome = bus_producer_create(&bench->values, bus, &values, why);
	if (outcome == OK) {
		outcome = bus_producer_create(&bench->statuses, bus, &statuses, why);
	}
	if (outcome == OK) {
		outcome = bus_consumer_create(&bench->consumer, bus, &consumer, &listener, why);
	}
	if (outcome == OK) {
		outcome = janitor_open(&loop->janitor, config->bury_every_ms, bus, index,
				       config->partitions, service, why);
	}
	if (outcome == OK && pthread_create(&loop->thread, NULL, run, loop) != 0) {
		outcome = because(PERMFAIL, why, "judge: cannot start a thread");
	}
	if (outcome != OK) {
		release(loop);
		return outcome;
	}
	*out = loop;
	return OK;
}

void judge_loop_close(struct judge_loop *loop)
{
	if (loop == NULL) {
		return;
	}
	(void)pthread_join(loop->thread, NULL);
	release(loop);
}
