/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/waiter.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mark.h"
#include "services/ingest/answer.h"

#define NAMED_IN_ERROR_BYTES 1000

enum { FAILED, IN_FLIGHT, ANSWER };

/* clang-format off */
static struct metric metrics[] = {
	[FAILED] = COUNTER("dadns_door_failed_total", "", "pushes that did not become durable, in Kafka or in Redis"),
	[IN_FLIGHT] = GAUGE("dadns_door_pushes_in_flight", "", "pushes taken and not yet durable"),
	[ANSWER] = HISTOGRAM("dadns_door_push_seconds", "", "from the whole request to its answer, saves and deletes"),
};
/* clang-format on */
const struct metric_table waiter_metrics = METRIC_TABLE(metrics);

struct push {
	struct waiter *waiter;
	struct name zone;
	enum holds_result result;
	char *why; /* owned; NULL: it is durable */
};

struct waiter {
	struct waiters *waiters;
	struct http_request *request;
	int64_t started_us;
	bool json;
	int64_t bytes;
	_Atomic size_t left; /* pushes to end, and one for the handler itself */
	size_t count;
	struct push pushes[];
};

static void give_room(struct waiters *waiters, size_t pushes, int64_t bytes)
{
	int64_t now = atomic_fetch_sub(&waiters->in_flight, (int64_t)pushes) - (int64_t)pushes;

	atomic_fetch_sub(&waiters->bytes, bytes);
	metric_set(&metrics[IN_FLIGHT], now);
}

static bool take_room(struct waiters *waiters, size_t pushes, int64_t bytes)
{
	int64_t now = atomic_fetch_add(&waiters->in_flight, (int64_t)pushes) + (int64_t)pushes;
	int64_t now_bytes = atomic_fetch_add(&waiters->bytes, bytes) + bytes;

	if (now > waiters->ceiling || now_bytes > waiters->ceiling_bytes) {
		give_room(waiters, pushes, bytes);
		return false;
	}
	metric_set(&metrics[IN_FLIGHT], now);
	return true;
}

struct waiter *waiter_begin(struct waiters *waiters, struct http_request *request, size_t pushes,
			    size_t bytes, int64_t started_us, bool json)
{
	struct waiter *waiter;

	if (!take_room(waiters, pushes, (int64_t)bytes)) {
		return NULL;
	}
	waiter = xcalloc(1, sizeof(*waiter) + pushes * sizeof(waiter->pushes[0]));
	waiter->waiters = waiters;
	waiter->request = request;
	waiter->started_us = started_us;
	waiter->json = json;
	waiter->bytes = (int64_t)bytes;
	waiter->count = pushes;
	waiter->left = pushes + 1;
	for (size_t i = 0; i < pushes; i++) {
		waiter->pushes[i].waiter = waiter;
	}
	http_hold(request);
	return waiter;
}

/* What the sender is told, and why: the first that failed speaks for all. */
static const char *text_of(enum holds_result result)
{
	if (result == HOLDS_FULL) {
		return "The DNS cluster waits for Kafka and holds as many changes as it may; "
		       "please save it again later";
	}
	return "The DNS cluster could not store the change; please save it again later";
}

static void answer_lost(const struct waiter *waiter, const struct push *first)
{
	struct buf details = BUF_INIT(NAMED_IN_ERROR_BYTES);
	size_t len;

	if (first->why[0] != '\0') {
		buf_addf(&details, "%s. ", first->why);
	}
	buf_add_text(&details, "Not taken: ");
	len = details.len;
	for (size_t i = 0; i < waiter->count; i++) {
		if (waiter->pushes[i].why != NULL) {
			buf_addf(&details, "%s%s", details.len > len ? ", " : "",
				 waiter->pushes[i].zone.text);
		}
	}
	if (details.overflow) {
		buf_clear(&details);
		buf_add_text(&details, "Not taken: many of the zones");
	}
	answer_error(waiter->request, 200, text_of(first->result), buf_text(&details),
		     waiter->json);
	buf_finish(&details);
}

static void part_done(struct waiter *waiter)
{
	const struct push *lost = NULL;

	if (atomic_fetch_sub(&waiter->left, 1) > 1) {
		return;
	}
	for (size_t i = 0; i < waiter->count && lost == NULL; i++) {
		lost = waiter->pushes[i].why != NULL ? &waiter->pushes[i] : NULL;
	}
	if (lost != NULL) {
		answer_lost(waiter, lost);
	} else { /* I1 */
		answer_ok(waiter->request, NULL, waiter->json);
	}
	mark("door.answered");
	metric_observe_us(&metrics[ANSWER], clock_us() - waiter->started_us);
	give_room(waiter->waiters, 0, waiter->bytes);
	for (size_t i = 0; i < waiter->count; i++) {
		free(waiter->pushes[i].why);
	}
	free(waiter);
}

static void push_done(void *context, enum holds_result result, const struct reason *why)
{
	struct push *push = context;

	push->result = result;
	if (result != HOLDS_DELIVERED && result != HOLDS_HELD) {
		push->why = xstrdup(why->text);
		metric_add(&metrics[FAILED], 1);
		log_warn("push not stored", F("zone", push->zone.text), F("why", why->text));
	}
	give_room(push->waiter->waiters, 1, 0);
	part_done(push->waiter);
}

void waiter_send(struct waiter *waiter, size_t i, const struct push_event *event, struct buf *value,
		 struct span traceparent)
{
	const struct holds_push push = {
		.id = event->id,
		.zone = event->zone,
		.is_delete = event->op == PUSH_DELETE,
		.sender = event->sender,
		.received_at_ms = event->received_at_ms,
		.traceparent = traceparent,
		.value = value,
	};

	waiter->pushes[i].zone = event->zone;
	holds_take(waiter->waiters->holds, &push, push_done, &waiter->pushes[i]);
}

void waiter_end(struct waiter *waiter)
{
	part_done(waiter);
}
