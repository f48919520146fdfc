/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/holds.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/drain.h"
#include "common/log.h"
#include "common/mark.h"

#define TURN_MS 100

enum {
	LOOKED,
	HELD,
	JOINED,
	UNCHECKED,
	MASS,
	FULL,
	LOST,
	NOT_HELD,
	AWAY,
	LOOK,
};

/* clang-format off */
static struct metric metrics[] = {
	[LOOKED] = COUNTER("dadns_holds_looked_total", "", "pushes for which Redis was asked whether their zone has held ones"),
	[HELD] = COUNTER("dadns_holds_held_total", "why=\"kafka\"", "pushes held in Redis"),
	[JOINED] = COUNTER("dadns_holds_held_total", "why=\"joined\"", "pushes held in Redis"),
	[UNCHECKED] = COUNTER("dadns_holds_unchecked_total", "", "pushes sent though Redis could not be asked"),
	[MASS] = COUNTER("dadns_holds_mass_total", "", "deletes marked as too many of their sender (app.mass_deletes)"),
	[FULL] = COUNTER("dadns_holds_refused_total", "reason=\"full\"", "pushes that were answered with an error"),
	[LOST] = COUNTER("dadns_holds_refused_total", "reason=\"lost\"", "pushes that were answered with an error"),
	[NOT_HELD] = COUNTER("dadns_holds_failed_total", "", "pushes that Redis should have held and did not"),
	[AWAY] = GAUGE("dadns_holds_away", "", "1 while Kafka takes no pushes and they are held at once"),
	[LOOK] = HISTOGRAM("dadns_holds_look_seconds", "", "until it was known whether the zone has held pushes"),
};
/* clang-format on */
const struct metric_table holds_metrics = METRIC_TABLE(metrics);

/* A push on its way. It lives until it is answered and neither a report nor an answer of Redis is
 * to come. */
struct passage {
	struct hold_ticket ticket; /* of its look, then of its add; first */
	TAILQ_ENTRY(passage) link; /* in `fresh`, `sent` or `failed` */
	LIST_ENTRY(passage) all;
	struct holds *holds;
	struct event_id id;
	struct name zone;
	bool is_delete;
	const char *sender;
	int64_t received_at_ms;
	char traceparent[TRACEPARENT_SIZE];
	struct buf value;
	holds_done done;
	void *context;

	bool mass;
	bool unchecked;
	bool joins;    /* something is held for its zone */
	bool sent;     /* in `sent`: a report is to come */
	bool tried;    /* Kafka has had it */
	bool holding;  /* the answer to an add is to come */
	bool not_held; /* it was no good */
	bool full;
	bool answered;
	int64_t since_us; /* taken */
	int64_t sent_ms;
	struct reason kafka;
	struct reason redis;
};
TAILQ_HEAD(passages, passage);

/* What is said when the lock is free again. */
struct verdict {
	holds_done done; /* NULL: nothing */
	void *context;
	enum holds_result result;
	struct reason why;
};

struct holds {
	struct holds_config config;
	struct redis *redis; /* NULL: none */
	struct drain *drain;
	pthread_mutex_t lock;
	LIST_HEAD(, passage) all;
	struct passages fresh;  /* taken */
	struct passages sent;   /* to Kafka, oldest first */
	struct passages failed; /* refused by Kafka, to be held */
	struct reason trouble;  /* of the newest that failed */
	bool silent;
	bool proved; /* Kafka has taken a push that was sent after it went away */
	bool away;
	int64_t away_ms;
	_Atomic bool stopping;
	_Atomic bool drained; /* nothing is on its way out of a hold */
	/* one burst of draining, for the log */
	int64_t drained_pushes;
	int64_t drained_since_ms;
	int64_t drained_looks;
};

/* --- answers --------------------------------------------------------------------------------- */

static void lock(struct holds *holds)
{
	(void)pthread_mutex_lock(&holds->lock); /* fails only for a lock that is none */
}

static void unlock(struct holds *holds)
{
	(void)pthread_mutex_unlock(&holds->lock);
}

static void say(const struct verdict *verdict)
{
	if (verdict->done != NULL) {
		verdict->done(verdict->context, verdict->result, &verdict->why);
	}
}

/* With the lock. */
static void answer(struct passage *push, enum holds_result result, struct verdict *out)
{
	if (push->answered) {
		return;
	}
	push->answered = true;
	*out = (struct verdict){.context = push->context, .result = result};
	out->done = push->holds->silent ? NULL : push->done;
	switch (result) {
	case HOLDS_DELIVERED:
	case HOLDS_HELD:
		break;
	case HOLDS_REFUSED:
		out->why = push->kafka;
		break;
	case HOLDS_FULL:
		metric_add(&metrics[FULL], 1);
		break;
	case HOLDS_LOST:
		metric_add(&metrics[LOST], 1);
		if (push->kafka.text[0] == '\0' || push->redis.text[0] == '\0') {
			out->why = push->kafka.text[0] == '\0' ? push->redis : push->kafka;
		} else {
			(void)because(TEMPFAIL, &out->why, "%.110s; %.110s", push->kafka.text,
				      push->redis.text);
		}
		break;
	}
}

/* With the lock. */
static void free_if_over(struct passage *push)
{
	if (push->answered && !push->sent && !push->holding) {
		LIST_REMOVE(push, all);
		buf_finish(&push->value);
		free(push);
	}
}

/* --- the mode -------------------------------------------------------------------------------- */

static void go_away(struct holds *holds, const char *why)
{
	if (holds->away) {
		return;
	}
	holds->away = true;
	holds->away_ms = clock_ms();
	metric_set(&metrics[AWAY], 1);
	drain_expect_trouble(holds->drain);
	log_warn("Kafka does not take pushes, they are held in Redis", F("why", why));
}

static void come_back(struct holds *holds)
{
	if (!holds->away) {
		return;
	}
	holds->away = false;
	metric_set(&metrics[AWAY], 0);
	log_info("Kafka takes pushes again", F("ms", clock_ms() - holds->away_ms));
}

/* --- into Redis ------------------------------------------------------------------------------ */

/* The value with its marks, until value_as_it_was. */
static void add_marks(struct passage *push, const struct push_event *marks)
{
	push_event_add_marks(marks, &push->value);
}

static void value_as_it_was(struct passage *push, size_t len)
{
	push->value.len = len;
	push->value.data[len - 1] = '}';
	push->value.data[len] = '\0';
}

static void headers_of(const struct passage *push, struct event_headers *out)
{
	event_headers(out, "push", &push->id, push->holds->config.source, push->zone.text,
		      push->received_at_ms, span_of(push->traceparent));
}

static void added(struct hold_ticket *ticket, const struct redis_answer *answered);

/* With the lock, in the turn. A held push has its place in the hold: it is not `unchecked`. */
static void hold(struct passage *push)
{
	struct holds *holds = push->holds;
	struct push_event marks = {.mass = push->mass, .has_seen = true};
	struct held_push held = {.id = push->id, .held_at_ms = clock_wall_ms()};
	size_t len = push->value.len;
	struct buf text = BUF_INIT(len + HOLDS_MARKS_BYTES + HELD_PUSH_EXTRA_BYTES);
	struct event_headers headers;
	struct hold_command command;

	(void)zindex_version(holds->config.index, &push->zone, &marks.seen); /* unknown: none */
	headers_of(push, &headers);
	memcpy(held.headers, headers.items, headers.count * sizeof(headers.items[0]));
	held.header_count = headers.count;
	add_marks(push, &marks);
	held.value = buf_span(&push->value);
	held_push_print(&held, &text);
	value_as_it_was(push, len);
	push->holding = true;
	push->ticket.answered = added;
	hold_add(&command, &push->zone, buf_span(&text), held.held_at_ms, &holds->config.ceilings);
	hold_ask(holds->redis, &command, holds->config.redis->timeout_ms, &push->ticket);
	mark("hold.asked");
	buf_finish(&text);
}

/* --- into Kafka ------------------------------------------------------------------------------ */

static void delivered(void *context, const struct bus_report *report);

/* What is to be done with one that Kafka has not taken. With the lock. */
static void not_delivered(struct passage *push, enum outcome outcome, struct verdict *verdict)
{
	struct holds *holds = push->holds;

	if (push->answered || push->holding) {
		return; /* Redis's answer decides */
	}
	if (outcome == PERMFAIL) {
		answer(push, HOLDS_REFUSED, verdict);
	} else if (push->full) {
		answer(push, HOLDS_FULL, verdict);
	} else if (push->not_held || holds->redis == NULL) {
		answer(push, HOLDS_LOST, verdict);
	} else {
		holds->trouble = push->kafka;
		TAILQ_INSERT_TAIL(&holds->failed, push, link);
		redis_wake(holds->redis);
	}
}

/* With the lock: its report may come at once. */
static void send(struct passage *push, struct verdict *verdict)
{
	struct holds *holds = push->holds;
	const struct push_event marks = {.mass = push->mass, .unchecked = push->unchecked};
	size_t len = push->value.len;
	struct event_headers headers;
	struct bus_record record = {
		.topic = TOPIC_PUSHES,
		.partition = BUS_BY_KEY, /* I2 */
		.key = name_span(&push->zone),
	};
	enum outcome outcome;

	if (push->unchecked) {
		metric_add(&metrics[UNCHECKED], 1);
	}
	headers_of(push, &headers);
	record.headers = headers.items;
	record.header_count = headers.count;
	add_marks(push, &marks);
	record.value = buf_span(&push->value);
	push->tried = true;
	push->sent = true;
	push->sent_ms = clock_ms();
	TAILQ_INSERT_TAIL(&holds->sent, push, link);
	outcome = bus_send(holds->config.producer, &record, delivered, push, &push->kafka);
	value_as_it_was(push, len);
	if (outcome == OK) {
		mark("door.sent");
		return;
	}
	push->sent = false;
	TAILQ_REMOVE(&holds->sent, push, link);
	not_delivered(push, outcome, verdict);
	free_if_over(push);
}

/* On the thread that polls the producer. */
static void delivered(void *context, const struct bus_report *report)
{
	struct passage *push = context;
	struct holds *holds = push->holds;
	struct verdict verdict = {0};

	if (report->outcome == OK) {
		mark("door.acked");
	}
	lock(holds);
	push->sent = false;
	TAILQ_REMOVE(&holds->sent, push, link);
	if (report->outcome == OK) {
		if (holds->away && push->sent_ms >= holds->away_ms) {
			holds->proved = true;
		}
		answer(push, HOLDS_DELIVERED, &verdict);
	} else {
		push->kafka = report->why;
		not_delivered(push, report->outcome, &verdict);
	}
	if (report->outcome != OK && !holds->silent) {
		log_debug("push not delivered", F("zone", push->zone.text),
			  F("maybe_in_log", report->maybe), F("why", report->why.text));
	}
	free_if_over(push);
	unlock(holds);
	say(&verdict);
}

/* --- answers of Redis ------------------------------------------------------------------------ */

static void added(struct hold_ticket *ticket, const struct redis_answer *answered)
{
	struct passage *push = (struct passage *)ticket;
	struct holds *holds = push->holds;
	struct verdict verdict = {0};
	enum hold_added added = HOLD_REFUSED;

	if (answered->outcome != OK) {
		push->redis = answered->why;
	} else {
		added = hold_was_added(&answered->value, &push->redis);
	}
	if (added == HOLD_ADDED) {
		mark("hold.added");
		metric_add(&metrics[push->joins ? JOINED : HELD], 1);
		drain_hint(holds->drain);
	} else {
		metric_add(&metrics[NOT_HELD], 1);
	}
	lock(holds);
	push->holding = false;
	push->full = added == HOLD_FULL;
	push->not_held = added != HOLD_ADDED;
	if (added == HOLD_ADDED) { /* I1 */
		answer(push, HOLDS_HELD, &verdict);
	} else if (push->answered || push->sent) {
		/* the report decides, or has decided */
	} else if (push->full) {
		answer(push, HOLDS_FULL, &verdict);
	} else if (push->joins || push->tried) {
		answer(push, HOLDS_LOST, &verdict);
	} else {
		push->unchecked = true;
		send(push, &verdict);
		unlock(holds);
		say(&verdict);
		return; /* it may be gone */
	}
	free_if_over(push);
	unlock(holds);
	say(&verdict);
}

static void looked(struct hold_ticket *ticket, const struct redis_answer *answered)
{
	struct passage *push = (struct passage *)ticket;
	struct holds *holds = push->holds;
	struct verdict verdict = {0};
	bool certain = answered->outcome == OK &&
		       hold_looked(&answered->value, &push->joins, &push->mass, &push->redis);

	metric_observe_us(&metrics[LOOK], clock_us() - push->since_us);
	if (answered->outcome != OK) {
		push->redis = answered->why;
	}
	if (push->mass) {
		metric_add(&metrics[MASS], 1);
	}
	lock(holds);
	if (push->joins || holds->away) {
		hold(push);
	} else {
		push->unchecked = !certain;
		send(push, &verdict);
	}
	unlock(holds);
	say(&verdict);
}

static void look(struct passage *push)
{
	const struct holds_config *config = &push->holds->config;
	struct hold_command command;

	if (push->is_delete && config->mass_deletes > 0) {
		hold_look_delete(&command, &push->zone, push->sender, config->mass_deletes,
				 config->mass_seconds);
	} else {
		hold_look(&command, &push->zone);
	}
	metric_add(&metrics[LOOKED], 1);
	push->ticket.answered = looked;
	hold_ask(push->holds->redis, &command, HOLDS_LOOK_MS, &push->ticket);
}

/* --- the turn -------------------------------------------------------------------------------- */

static void take_fresh(struct holds *holds)
{
	struct passages fresh = TAILQ_HEAD_INITIALIZER(fresh);
	struct passage *push;

	lock(holds);
	TAILQ_CONCAT(&fresh, &holds->fresh, link);
	unlock(holds);
	while ((push = TAILQ_FIRST(&fresh)) != NULL) {
		TAILQ_REMOVE(&fresh, push, link);
		look(push);
	}
}

static bool is_overdue(const struct holds *holds)
{
	const struct passage *oldest;

	/* Those that are being held, or were, wait for nobody. */
	TAILQ_FOREACH(oldest, &holds->sent, link)
	{
		if (!oldest->answered && !oldest->holding && !oldest->not_held) {
			return oldest->sent_ms + HOLDS_REPORT_MS <= clock_ms();
		}
	}
	return false;
}

/* Everything in flight goes with the first that fails, so that each zone keeps its order. */
static void hold_what_failed(struct holds *holds)
{
	struct passage *push;
	struct reason why;

	if (is_overdue(holds)) {
		(void)because(TEMPFAIL, &why, "no delivery report for %d s",
			      HOLDS_REPORT_MS / 1000);
	} else if (!TAILQ_EMPTY(&holds->failed)) {
		why = holds->trouble;
	} else {
		return;
	}
	go_away(holds, why.text);
	while ((push = TAILQ_FIRST(&holds->failed)) != NULL) {
		TAILQ_REMOVE(&holds->failed, push, link);
		hold(push);
	}
	TAILQ_FOREACH(push, &holds->sent, link)
	{
		if (!push->answered && !push->holding && !push->not_held) {
			push->kafka = why;
			hold(push);
		}
	}
}

static void news(void *context, enum drain_news news, const struct name *zone,
		 const struct reason *why)
{
	struct holds *holds = context;
	const char *text = zone != NULL ? zone->text : "";

	switch (news) {
	case DRAIN_DELIVERED:
		come_back(holds);
		break;
	case DRAIN_POPPED:
		if (holds->drained_pushes++ == 0) {
			holds->drained_since_ms = clock_ms();
		}
		holds->drained_looks = drain_looks(holds->drain);
		break;
	case DRAIN_LOST:
		log_info("another replica goes on with this hold", F("zone", text));
		break;
	case DRAIN_LATER:
		log_debug("a held push was not delivered", F("zone", text), F("why", why->text));
		break;
	case DRAIN_STUCK:
		log_error("a held push cannot be delivered, nor those behind it", F("zone", text),
			  F("why", why->text));
		break;
	}
}

/* One line for all that was drained, when a look has found nothing more. */
static void sum_up(struct holds *holds)
{
	holds->drained = drain_is_idle(holds->drain);
	if (holds->drained_pushes > 0 && holds->drained &&
	    drain_looks(holds->drain) > holds->drained_looks) {
		log_info("held pushes are in Kafka", F("pushes", holds->drained_pushes),
			 F("ms", clock_ms() - holds->drained_since_ms),
			 F("left", drain_totals(holds->drain).records));
		holds->drained_pushes = 0;
	}
}

void holds_turn(struct holds *holds)
{
	int wait_ms = drain_wait_ms(holds->drain);

	if (holds->stopping) {
		drain_stop(holds->drain);
	}
	take_fresh(holds);
	redis_work(holds->redis, wait_ms < TURN_MS ? wait_ms : TURN_MS, -1);
	hold_hear(holds->redis);
	lock(holds);
	hold_what_failed(holds);
	if (holds->proved) {
		holds->proved = false;
		come_back(holds);
	}
	unlock(holds);
	drain_turn(holds->drain);
	sum_up(holds);
}

/* --- the interface --------------------------------------------------------------------------- */

enum outcome holds_create(const struct holds_config *config, struct holds **out, struct reason *why)
{
	struct holds *holds = xcalloc(1, sizeof(*holds));
	struct drain_config drain = {
		.bus = config->bus,
		.redis_timeout_ms = config->redis->timeout_ms,
		.news = news,
		.context = holds,
	};
	enum outcome outcome = OK;

	holds->config = *config;
	(void)pthread_mutex_init(&holds->lock, NULL); /* never fails on Linux */
	LIST_INIT(&holds->all);
	TAILQ_INIT(&holds->fresh);
	TAILQ_INIT(&holds->sent);
	TAILQ_INIT(&holds->failed);
	if (config->redis->url[0] != '\0') {
		outcome = redis_create(config->redis, &holds->redis, why);
	}
	if (outcome == OK && holds->redis != NULL) {
		drain.redis = holds->redis;
		outcome = drain_create(&drain, &holds->drain, why);
	}
	if (outcome != OK) {
		holds_destroy(holds);
		return outcome;
	}
	*out = holds;
	return OK;
}

void holds_destroy(struct holds *holds)
{
	struct passage *push;

	if (holds == NULL) {
		return;
	}
	drain_destroy(holds->drain);
	redis_destroy(holds->redis); /* forgets the tickets */
	while ((push = LIST_FIRST(&holds->all)) != NULL) {
		LIST_REMOVE(push, all);
		buf_finish(&push->value);
		free(push);
	}
	(void)pthread_mutex_destroy(&holds->lock);
	free(holds);
}

void holds_take(struct holds *holds, const struct holds_push *push, holds_done done, void *context)
{
	struct passage *passage = xcalloc(1, sizeof(*passage));
	struct verdict verdict = {0};
	bool first = false;

	passage->holds = holds;
	passage->id = push->id;
	passage->zone = push->zone;
	passage->is_delete = push->is_delete;
	passage->sender = push->sender;
	passage->received_at_ms = push->received_at_ms;
	if (push->traceparent.len < sizeof(passage->traceparent)) {
		memcpy(passage->traceparent, push->traceparent.data, push->traceparent.len);
	}
	passage->value = *push->value;
	passage->value.ceiling += HOLDS_MARKS_BYTES;
	buf_init(push->value, push->value->ceiling);
	passage->done = done;
	passage->context = context;
	passage->since_us = clock_us();
	lock(holds);
	LIST_INSERT_HEAD(&holds->all, passage, all);
	if (holds->redis == NULL) {
		send(passage, &verdict);
	} else {
		first = TAILQ_EMPTY(&holds->fresh);
		TAILQ_INSERT_TAIL(&holds->fresh, passage, link);
	}
	unlock(holds);
	if (first) {
		redis_wake(holds->redis);
	}
	say(&verdict);
}

void holds_silence(struct holds *holds)
{
	lock(holds);
	holds->silent = true;
	unlock(holds);
}

bool holds_stop_draining(struct holds *holds)
{
	if (holds->redis == NULL) {
		return true;
	}
	holds->stopping = true;
	return holds->drained;
}

bool holds_can_hold(const struct holds *holds)
{
	struct hold_totals totals = drain_totals(holds->drain);

	return redis_is_up(holds->redis) && totals.records < holds->config.ceilings.records &&
	       totals.bytes < holds->config.ceilings.bytes;
}

bool holds_fatal(struct holds *holds, struct reason *why)
{
	return drain_fatal(holds->drain, why);
}
