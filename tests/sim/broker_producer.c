/* SPDX-License-Identifier: Apache-2.0 */
/* common/bus.h's producer on the model of Kafka. Idempotent: what one producer sends to one
 * partition is appended in that order, each at most once. But an answer may be lost or late, a
 * record that was given up may be appended all the same, and what a dead producer had on the wire
 * may come long after.
 */
#include "common/bus.h"

#include <stdlib.h>

#include "tests/sim/broker.h"
#include "tests/sim/dice.h"
#include "tests/sim/faults.h"
#include "tests/sim/trace.h"

#define BATCH_MAX 8
#define QUEUE_MAX 100000
#define LATE_US (40 * SECONDS)

struct sent {
	struct sent *next; /* in its channel */
	struct sent *next_report;
	struct bus_producer *producer;
	struct channel *channel;
	struct record *record;
	bus_delivered delivered;
	void *context;
	struct bus_report report;
	bool on_wire, appended, reported;
};

/* One producer's way to one partition. */
struct channel {
	struct channel *next;
	struct bus_producer *producer;
	struct partition *partition;
	struct sent *first, *last; /* not appended yet */
	bool busy;                 /* a step is on the agenda */
	int64_t reported_us;       /* the last answer: they keep their order */
};

struct bus_producer {
	struct process *process;
	struct bus_producer_options options;
	struct channel *channels;
	struct sent *reports, *last_report; /* come, not yet called */
	int64_t in_flight;
	bool fatal;
	bool purged;
	bool destroyed;
};

static void step(void *context);

static bool is_gone(const struct bus_producer *producer)
{
	return producer->destroyed || !producer->process->alive;
}

/* --- reports --------------------------------------------------------------------------------- */

static void report(struct sent *sent)
{
	struct bus_producer *producer = sent->producer;

	if (sent->reported || is_gone(producer)) {
		return;
	}
	sent->reported = true;
	if (producer->reports == NULL) {
		producer->reports = sent;
	} else {
		producer->last_report->next_report = sent;
	}
	producer->last_report = sent;
	process_wake(producer->process);
}

static void report_failure(struct sent *sent, bool maybe, const char *why)
{
	sent->report.maybe = maybe;
	sent->report.offset = -1;
	sent->report.outcome = because(TEMPFAIL, &sent->report.why, "%s: %s",
				       sent->channel->partition->topic, why);
	report(sent);
}

/* The broker's answer arrives. */
static void answer(void *context)
{
	struct sent *sent = context;
	const struct process *process = sent->producer->process;

	if (process->frozen_until_us > stage_now_us()) {
		stage_at(process->frozen_until_us + dice_delay_us(MS), answer, sent);
		return;
	}
	if (sent->producer->purged) {
		report_failure(sent, true, "Local: Purged in flight");
		return;
	}
	if (!broker_hears(process)) { /* it does not: asked again, and known by its sequence */
		sent->report.offset = -1;
		stage_at(broker_hears_again_us(process) + dice_delay_us(20 * MS), answer, sent);
		return;
	}
	report(sent);
}

static void expire(void *context)
{
	struct sent *sent = context;
	struct bus_producer *producer = sent->producer;
	const struct process *process = producer->process;

	if (sent->reported || is_gone(producer)) {
		return;
	}
	if (process->frozen_until_us > stage_now_us()) {
		stage_at(process->frozen_until_us + dice_delay_us(10 * MS), expire, sent);
		return;
	}
	report_failure(sent, sent->on_wire || sent->appended, "Local: Message timed out");
}

/* --- the way to the partition ---------------------------------------------------------------- */

static struct sent *take_first(struct channel *channel)
{
	struct sent *sent = channel->first;

	channel->first = sent->next;
	if (channel->first == NULL) {
		channel->last = NULL;
	}
	sent->next = NULL;
	return sent;
}

static void land(void *context)
{
	struct sent *sent = context;

	if (!broker_hears(NULL)) { /* all at once, and in their order */
		stage_at(broker_hears_again_us(NULL), land, sent);
		return;
	}
	trace("late record");
	(void)broker_append(sent->channel->partition, sent->record);
}

/* Was given up, or its producer is dead; perhaps it is on the wire. */
static void give_up(struct sent *sent)
{
	if (fault_strikes(FAULT_LATE_RECORD, 60)) {
		stage_at(stage_now_us() + dice_between(0, LATE_US), land, sent);
	}
}

/* A dead producer: a request may be on the wire, in its order. */
static void bury(struct channel *channel)
{
	int64_t at_us = stage_now_us();

	while (channel->first != NULL && fault_strikes(FAULT_LATE_RECORD, 60)) {
		at_us += dice_between(0, LATE_US / 4);
		stage_at(at_us, land, take_first(channel));
	}
	channel->first = NULL;
}

static void append(struct channel *channel, struct sent *sent)
{
	const struct bus_producer *producer = channel->producer;
	int64_t at_us = stage_now_us() + dice_delay_us(300);

	sent->appended = true;
	sent->report.partition = channel->partition->number;
	sent->report.offset = broker_append(channel->partition, sent->record);
	if (fault_strikes(FAULT_LOST_ACK, 10)) {
		sent->report.offset = -1;
		at_us += dice_between(100 * MS, 6 * SECONDS);
	}
	if (at_us < channel->reported_us) {
		at_us = channel->reported_us;
	}
	channel->reported_us = at_us;
	if (!is_gone(producer)) {
		stage_at(at_us, answer, sent);
	}
}

static void step_at(struct channel *channel, int64_t at_us)
{
	channel->busy = true;
	stage_at(at_us, step, channel);
}

static void append_batch(struct channel *channel)
{
	for (size_t i = 0; i < BATCH_MAX && channel->first != NULL; i++) {
		struct sent *sent = take_first(channel);

		if (sent->reported) { /* timed out before it came here */
			if (sent->report.maybe) {
				give_up(sent);
			}
			continue;
		}
		append(channel, sent);
	}
}

/* A request arrives, if it does. */
static void step(void *context)
{
	struct channel *channel = context;
	struct bus_producer *producer = channel->producer;
	const struct process *process = producer->process;

	channel->busy = false;
	if (channel->first == NULL || producer->fatal) {
		return;
	}
	if (is_gone(producer)) {
		bury(channel);
		return;
	}
	if (process->frozen_until_us > stage_now_us() && dice_percent(50)) {
		step_at(channel, process->frozen_until_us + dice_delay_us(MS));
		return;
	}
	if (!broker_hears(process)) {
		channel->first->on_wire = channel->first->on_wire || dice_percent(50);
		step_at(channel, broker_hears_again_us(process) + dice_delay_us(10 * MS));
		return;
	}
	if (fault_is_on(FAULT_PRODUCER_FATAL) && dice_roll(200) == 0) {
		fault_note(FAULT_PRODUCER_FATAL);
		producer->fatal = true;
		for (struct sent *sent = channel->first; sent != NULL; sent = sent->next) {
			report_failure(sent, sent->on_wire, "Local: Fatal error");
		}
		return;
	}
	append_batch(channel);
	if (channel->first != NULL) {
		step_at(channel, stage_now_us() + dice_delay_us(300));
	}
}

static struct channel *channel_to(struct bus_producer *producer, struct partition *partition)
{
	struct channel *channel = producer->channels;

	while (channel != NULL && channel->partition != partition) {
		channel = channel->next;
	}
	if (channel == NULL) {
		channel = xcalloc(1, sizeof(*channel));
		channel->producer = producer;
		channel->partition = partition;
		channel->next = producer->channels;
		producer->channels = channel;
	}
	return channel;
}

/* --- common/bus.h ---------------------------------------------------------------------------- */

enum outcome bus_producer_create(struct bus_producer **out, const struct bus_config *config,
				 const struct bus_producer_options *options, struct reason *why)
{
	struct bus_producer *producer = xcalloc(1, sizeof(*producer));

	(void)config;
	(void)why;
	producer->process = stage_process();
	producer->options = *options;
	*out = producer;
	return OK;
}

enum outcome bus_producer_warm(struct bus_producer *producer, const char *topic, int timeout_ms,
			       struct reason *why)
{
	(void)topic;
	stage_wait_until(stage_now_us() + dice_delay_us(2 * MS));
	if (broker_hears(producer->process)) {
		return OK;
	}
	stage_wait_until(stage_now_us() + timeout_ms * MS);
	return because(TEMPFAIL, why, "no answer");
}

enum outcome bus_send(struct bus_producer *producer, const struct bus_record *record,
		      bus_delivered delivered, void *context, struct reason *why)
{
	int32_t number = record->partition == BUS_BY_KEY ? broker_partition_of(record->key)
							 : record->partition;
	struct partition *partition = broker_partition(record->topic, number);
	int64_t ceiling = producer->options.queue_records;
	struct channel *channel;
	struct sent *sent;

	if (producer->fatal) {
		return because(PERMFAIL, why, "%s: Local: Fatal error", record->topic);
	}
	if (producer->in_flight >= (ceiling > 0 ? ceiling : QUEUE_MAX)) {
		return because(TEMPFAIL, why, "%s: Local: Queue full", record->topic);
	}
	channel = channel_to(producer, partition);
	sent = xcalloc(1, sizeof(*sent));
	*sent = (struct sent){.producer = producer,
			      .channel = channel,
			      .record = record_copy(record),
			      .delivered = delivered,
			      .context = context};
	sent->report.partition = number;
	sent->report.offset = -1;
	if (channel->first == NULL) {
		channel->first = sent;
	} else {
		channel->last->next = sent;
	}
	channel->last = sent;
	producer->in_flight++;
	if (producer->options.timeout_ms > 0) {
		stage_at(stage_now_us() + producer->options.timeout_ms * MS +
				 dice_between(0, 1000) * MS,
			 expire, sent);
	}
	if (!channel->busy) {
		step_at(channel, stage_now_us() + producer->options.linger_us + dice_delay_us(200));
	}
	return OK;
}

int bus_producer_poll(struct bus_producer *producer, int timeout_ms)
{
	int called = 0;

	if (producer->reports == NULL) {
		if (timeout_ms > 0) {
			stage_idle_ms(timeout_ms);
		} else {
			stage_yield();
		}
	}
	while (producer->reports != NULL) {
		struct sent *sent = producer->reports;

		producer->reports = sent->next_report;
		if (sent->delivered != NULL) {
			sent->delivered(sent->context, &sent->report);
		}
		producer->in_flight--;
		called++;
	}
	return called;
}

int64_t bus_in_flight(struct bus_producer *producer)
{
	return producer->in_flight;
}

bool bus_producer_fatal(struct bus_producer *producer, struct reason *why)
{
	if (producer->fatal) {
		(void)because(PERMFAIL, why, "kafka: a fatal error");
	}
	return producer->fatal;
}

enum outcome bus_flush(struct bus_producer *producer, int timeout_ms, struct reason *why)
{
	int64_t until_us = stage_now_us() + timeout_ms * MS;

	while (producer->in_flight > 0 && stage_now_us() < until_us) {
		(void)bus_producer_poll(producer, 5);
	}
	if (producer->in_flight == 0) {
		return OK;
	}
	return because(TEMPFAIL, why, "%lld records not confirmed within %d ms",
		       (long long)producer->in_flight, timeout_ms);
}

void bus_producer_destroy(struct bus_producer *producer)
{
	if (producer == NULL) {
		return;
	}
	producer->purged = true;
	for (struct channel *channel = producer->channels; channel != NULL;
	     channel = channel->next) {
		int64_t at_us = stage_now_us();
		bool maybe = true; /* behind a gap the broker refuses the sequence */

		while (channel->first != NULL) {
			struct sent *sent = take_first(channel);

			maybe = maybe && !sent->reported && (sent->on_wire || dice_percent(50));
			if (maybe && fault_strikes(FAULT_LATE_RECORD, 60)) {
				at_us += dice_between(0, LATE_US / 4);
				stage_at(at_us, land, sent);
			} else {
				maybe = false;
			}
			report_failure(sent, maybe || sent->on_wire, "Local: Purged");
		}
	}
	while (producer->in_flight > 0) { /* appended, and not answered yet */
		(void)bus_producer_poll(producer, 10);
	}
	producer->destroyed = true;
}
