/* SPDX-License-Identifier: Apache-2.0 */
#include "common/drain.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/mark.h"

enum {
	LOOK_MS = 1000,   /* at the set of zones, while there is nothing to do */
	SILENT_MS = 1000, /* without a report: Kafka is in trouble */
	BUSY_WAIT_MS = 1, /* reports are polled for */
	SLOW_WAIT_MS = 20,
	IDLE_WAIT_MS = 100,
};

enum { DELIVERED, FAILED, STUCK, LOST, ZONES, RECORDS, BYTES, OLDEST };

/* clang-format off */
static struct metric metrics[] = {
	[DELIVERED] = COUNTER("dadns_drain_pushes_total", "result=\"delivered\"", "held pushes given to Kafka"),
	[FAILED] = COUNTER("dadns_drain_pushes_total", "result=\"later\"", "held pushes given to Kafka"),
	[STUCK] = COUNTER("dadns_drain_pushes_total", "result=\"stuck\"", "held pushes given to Kafka"),
	[LOST] = COUNTER("dadns_drain_pushes_total", "result=\"lost\"", "held pushes given to Kafka"),
	[ZONES] = GAUGE("dadns_hold_zones", "", "zones with held pushes, of all replicas"),
	[RECORDS] = GAUGE("dadns_hold_records", "", "held pushes, of all replicas"),
	[BYTES] = GAUGE("dadns_hold_bytes", "", "what they take in Redis"),
	[OLDEST] = GAUGE("dadns_hold_oldest_seconds", "", "since when the oldest one is held"),
};
/* clang-format on */
const struct metric_table drain_metrics = METRIC_TABLE(metrics);

/* A zone whose lock we had. */
struct draining {
	struct hold_ticket ticket; /* of its pop; first */
	LIST_ENTRY(draining) link;
	struct drain *drain;
	struct name zone;
	struct event_id id; /* of the push that is on its way */
	int64_t sent_ms;
	bool sent; /* its report is to come */
};

struct drain {
	struct hold_ticket ticket; /* of a take; first */
	struct drain_config config;
	struct bus_producer *producer;
	char token[EVENT_ID_TEXT_SIZE];
	LIST_HEAD(, draining) zones;
	size_t count;
	bool taking; /* an answer is to come */
	bool trouble;
	bool stopping;
	size_t from; /* where in the set of zones the next look begins */
	int64_t look_ms;
	int64_t looks;
	struct hold_totals totals;
};

static void tell(const struct drain *drain, enum drain_news news, const struct name *zone,
		 const struct reason *why)
{
	static const size_t rows[] = {DELIVERED, DELIVERED, LOST, FAILED, STUCK};

	if (news != DRAIN_POPPED) {
		metric_add(&metrics[rows[news]], 1);
	}
	drain->config.news(drain->config.context, news, zone, why);
}

static void ask(struct drain *drain, const struct hold_command *command, struct hold_ticket *ticket)
{
	hold_ask(drain->config.redis, command, drain->config.redis_timeout_ms, ticket);
}

static void forget(struct draining *zone)
{
	LIST_REMOVE(zone, link);
	zone->drain->count--;
	free(zone);
}

/* --- one zone -------------------------------------------------------------------------------- */

static void popped(struct hold_ticket *ticket, const struct redis_answer *answer);

static void pop(struct draining *zone)
{
	struct drain *drain = zone->drain;
	struct hold_command command;

	hold_pop(&command, &zone->zone, drain->token, &zone->id, DRAIN_LOCK_MS, !drain->stopping);
	zone->ticket.answered = popped;
	ask(drain, &command, &zone->ticket);
}

static void released(struct hold_ticket *ticket, const struct redis_answer *answer)
{
	(void)answer; /* or it expires */
	forget((struct draining *)ticket);
}

/* Kafka's trouble, not the push's: anybody may try. */
static void release(struct draining *zone, const struct reason *why)
{
	struct drain *drain = zone->drain;
	struct hold_command command;

	tell(drain, DRAIN_LATER, &zone->zone, why);
	drain_expect_trouble(drain);
	hold_release(&command, &zone->zone, drain->token);
	zone->ticket.answered = released;
	ask(drain, &command, &zone->ticket);
}

static void delivered(void *context, const struct bus_report *report)
{
	struct draining *zone = context;

	zone->sent = false;
	switch (report->outcome) {
	case OK:
		mark("drain.acked");
		zone->drain->trouble = false;
		tell(zone->drain, DRAIN_DELIVERED, &zone->zone, NULL);
		pop(zone);
		return;
	case TEMPFAIL:
		release(zone, &report->why);
		return;
	case PERMFAIL:
		tell(zone->drain, DRAIN_STUCK, &zone->zone, &report->why);
		forget(zone);
		return;
	}
}

/* `text`: the push as it lies in Redis. */
static void send(struct draining *zone, struct span text)
{
	struct drain *drain = zone->drain;
	struct held_push push;
	struct bus_record record = {
		.topic = TOPIC_PUSHES,
		.partition = BUS_BY_KEY, /* I2 */
		.key = name_span(&zone->zone),
	};
	struct reason why;
	enum outcome outcome;

	if (held_push_parse(text, &push, &why) != OK) {
		tell(drain, DRAIN_STUCK, &zone->zone, &why);
		forget(zone);
		return;
	}
	record.value = push.value;
	record.headers = push.headers;
	record.header_count = push.header_count;
	zone->id = push.id;
	zone->sent_ms = clock_ms();
	zone->sent = true;
	outcome = bus_send(drain->producer, &record, delivered, zone, &why);
	held_push_finish(&push);
	if (outcome == OK) {
		mark("drain.sent");
		return;
	}
	zone->sent = false;
	if (outcome == TEMPFAIL) {
		release(zone, &why);
	} else {
		tell(drain, DRAIN_STUCK, &zone->zone, &why);
		forget(zone);
	}
}

static void popped(struct hold_ticket *ticket, const struct redis_answer *answer)
{
	struct draining *zone = (struct draining *)ticket;
	struct drain *drain = zone->drain;
	struct span next = SPAN_EMPTY;
	struct reason why;

	if (answer->outcome != OK) { /* popped or not: who sends it again does no harm */
		tell(drain, DRAIN_LATER, &zone->zone, &answer->why);
		forget(zone);
		return;
	}
	switch (hold_was_popped(&answer->value, &next, &why)) {
	case HOLD_POPPED_NEXT:
		mark("drain.popped");
		tell(drain, DRAIN_POPPED, &zone->zone, NULL);
		send(zone, next);
		return;
	case HOLD_POPPED_LAST:
	case HOLD_POPPED_FREE:
		drain->look_ms = clock_ms(); /* for another zone */
		mark("drain.popped");
		tell(drain, DRAIN_POPPED, &zone->zone, NULL);
		break;
	case HOLD_LOST:
		tell(drain, DRAIN_LOST, &zone->zone, NULL);
		break;
	case HOLD_POP_REFUSED:
		tell(drain, DRAIN_LATER, &zone->zone, &why);
		break;
	}
	forget(zone);
}

/* --- taking zones ---------------------------------------------------------------------------- */

static bool is_ours(const struct drain *drain, const struct name *name)
{
	const struct draining *zone;

	LIST_FOREACH(zone, &drain->zones, link)
	{
		if (name_equal(&zone->zone, name)) {
			return true;
		}
	}
	return false;
}

static void take_up(struct drain *drain, const struct name *name, struct span push)
{
	struct draining *zone;

	if (is_ours(drain, name)) {
		return; /* the lock had expired while Kafka was silent: now it is ours again */
	}
	mark("drain.taken");
	zone = xcalloc(1, sizeof(*zone));
	zone->drain = drain;
	zone->zone = *name;
	LIST_INSERT_HEAD(&drain->zones, zone, link);
	drain->count++;
	send(zone, push);
}

static void show(const struct hold_totals *totals)
{
	int64_t age_ms = totals->oldest_ms == 0 ? 0 : clock_wall_ms() - totals->oldest_ms;

	metric_set(&metrics[ZONES], totals->zones);
	metric_set(&metrics[RECORDS], totals->records);
	metric_set(&metrics[BYTES], totals->bytes);
	metric_set(&metrics[OLDEST], age_ms < 0 ? 0 : age_ms / 1000);
}

static void taken(struct hold_ticket *ticket, const struct redis_answer *answer)
{
	struct drain *drain = (struct drain *)ticket;
	struct hold_taken taken;
	struct reason why;

	drain->taking = false;
	if (answer->outcome != OK || !hold_was_taken(&answer->value, &taken, &why)) {
		return;
	}
	drain->looks++;
	drain->totals = taken.totals;
	show(&taken.totals);
	if (taken.count > 0) { /* there may be more */
		drain->look_ms = clock_ms();
	} else if (taken.looked_at == HOLD_PAGE) { /* all of them are others' */
		drain->from += HOLD_PAGE;
		drain->look_ms = clock_ms();
	} else {
		drain->from = 0;
	}
	for (size_t i = 0; i < taken.count; i++) {
		struct name name;

		if (name_parse(taken.items[i].zone, &name, &why) != OK) { /* I10 */
			tell(drain, DRAIN_STUCK, NULL, &why);
		} else if (!drain->stopping) {
			take_up(drain, &name, taken.items[i].push);
		}
	}
}

/* Records without a report for a while. */
static bool kafka_is_silent(const struct drain *drain)
{
	int64_t now_ms = clock_ms();
	const struct draining *zone;

	LIST_FOREACH(zone, &drain->zones, link)
	{
		if (zone->sent && zone->sent_ms + SILENT_MS <= now_ms) {
			return true;
		}
	}
	return false;
}

/* How many zones more. */
static size_t room(const struct drain *drain)
{
	if (drain->stopping || kafka_is_silent(drain)) {
		return 0;
	}
	if (drain->trouble) {
		return drain->count == 0 ? 1 : 0;
	}
	return HOLD_TAKE_MAX - drain->count;
}

static void look(struct drain *drain)
{
	const struct hold_taking taking = {
		.token = drain->token,
		.lock_ms = DRAIN_LOCK_MS,
		.from = drain->from,
		.zones = room(drain),
		.zone = drain->config.only,
	};
	struct hold_command command;

	if (drain->taking || clock_ms() < drain->look_ms ||
	    (taking.zones > 0 && taking.zones < HOLD_TAKE_MAX / 2 && drain->count > 0)) {
		return;
	}
	drain->look_ms = clock_ms() + LOOK_MS;
	drain->taking = true;
	hold_take(&command, &taking);
	ask(drain, &command, &drain->ticket);
}

/* --- the interface --------------------------------------------------------------------------- */

enum outcome drain_create(const struct drain_config *config, struct drain **out, struct reason *why)
{
	const struct bus_producer_options options = {.queue_bytes = DRAIN_QUEUE_BYTES};
	struct drain *drain = xcalloc(1, sizeof(*drain));
	struct event_id id = event_id_create();
	enum outcome outcome;

	drain->config = *config;
	drain->ticket.answered = taken;
	LIST_INIT(&drain->zones);
	event_id_text(&id, drain->token);
	outcome = bus_producer_create(&drain->producer, config->bus, &options, why);
	if (outcome != OK) {
		free(drain);
		return outcome;
	}
	*out = drain;
	return OK;
}

static void ignore(void *context, enum drain_news news, const struct name *zone,
		   const struct reason *why)
{
	(void)context;
	(void)news;
	(void)zone;
	(void)why;
}

void drain_destroy(struct drain *drain)
{
	struct draining *zone;

	if (drain == NULL) {
		return;
	}
	drain->config.news = ignore;
	bus_producer_destroy(drain->producer); /* reports what is left */
	while ((zone = LIST_FIRST(&drain->zones)) != NULL) {
		forget(zone);
	}
	free(drain);
}

void drain_turn(struct drain *drain)
{
	(void)bus_producer_poll(drain->producer, 0);
	look(drain);
}

int drain_wait_ms(const struct drain *drain)
{
	if (drain->count == 0) {
		return IDLE_WAIT_MS;
	}
	return kafka_is_silent(drain) ? SLOW_WAIT_MS : BUSY_WAIT_MS;
}

void drain_hint(struct drain *drain)
{
	if (!drain->trouble) {
		drain->from = 0;
		drain->look_ms = clock_ms();
	}
}

void drain_expect_trouble(struct drain *drain)
{
	drain->trouble = true;
}

void drain_stop(struct drain *drain)
{
	drain->stopping = true;
}

bool drain_is_idle(const struct drain *drain)
{
	return drain->count == 0 && !drain->taking;
}

struct hold_totals drain_totals(const struct drain *drain)
{
	return drain->totals;
}

int64_t drain_looks(const struct drain *drain)
{
	return drain->looks;
}

bool drain_fatal(struct drain *drain, struct reason *why)
{
	return bus_producer_fatal(drain->producer, why);
}
