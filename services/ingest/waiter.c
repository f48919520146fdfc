/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/waiter.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mark.h"
#include "services/ingest/answer.h"

#define NAMED_IN_ERROR_BYTES 1000

enum { FAILED_SEND, FAILED_DELIVERY, IN_FLIGHT, ANSWER };

/* clang-format off */
static struct metric metrics[] = {
	[FAILED_SEND] = COUNTER("dadns_door_failed_total", "stage=\"send\"", "pushes that did not become durable"),
	[FAILED_DELIVERY] = COUNTER("dadns_door_failed_total", "stage=\"delivery\"", "pushes that did not become durable"),
	[IN_FLIGHT] = GAUGE("dadns_door_pushes_in_flight", "", "pushes sent and not yet confirmed"),
	[ANSWER] = HISTOGRAM("dadns_door_push_seconds", "", "from the whole request to its answer, saves and deletes"),
};
/* clang-format on */
const struct metric_table waiter_metrics = METRIC_TABLE(metrics);

struct push {
	struct waiter *waiter;
	struct name zone;
	bool lost; /* not known to be in the log */
};

struct waiter {
	struct waiters *waiters;
	struct http_request *request;
	int64_t started_us;
	bool json;
	_Atomic size_t left; /* reports to come, and one for the handler itself */
	size_t count;
	struct push pushes[];
};

static bool take_room(struct waiters *waiters, size_t pushes)
{
	int64_t now = atomic_fetch_add(&waiters->in_flight, (int64_t)pushes) + (int64_t)pushes;

	if (now > waiters->ceiling) {
		waiters->in_flight -= (int64_t)pushes;
		return false;
	}
	metric_set(&metrics[IN_FLIGHT], now);
	return true;
}

struct waiter *waiter_begin(struct waiters *waiters, struct http_request *request, size_t pushes,
			    int64_t started_us, bool json)
{
	struct waiter *waiter;

	if (!take_room(waiters, pushes)) {
		return NULL;
	}
	waiter = xcalloc(1, sizeof(*waiter) + pushes * sizeof(waiter->pushes[0]));
	waiter->waiters = waiters;
	waiter->request = request;
	waiter->started_us = started_us;
	waiter->json = json;
	waiter->count = pushes;
	waiter->left = pushes + 1;
	for (size_t i = 0; i < pushes; i++) {
		waiter->pushes[i].waiter = waiter;
	}
	http_hold(request);
	return waiter;
}

static void answer_lost(const struct waiter *waiter)
{
	struct buf names = BUF_INIT(NAMED_IN_ERROR_BYTES);

	for (size_t i = 0; i < waiter->count; i++) {
		if (waiter->pushes[i].lost) {
			buf_addf(&names, "%s%s",
				 names.len > 0 ? ", " : "Not taken: ", waiter->pushes[i].zone.text);
		}
	}
	if (names.overflow) {
		buf_clear(&names);
		buf_add_text(&names, "Not taken: many of the zones");
	}
	answer_error(waiter->request, 200,
		     "The DNS cluster could not store the change; please save it again later",
		     buf_text(&names), waiter->json);
	buf_finish(&names);
}

static void part_done(struct waiter *waiter)
{
	bool lost = false;

	if (atomic_fetch_sub(&waiter->left, 1) > 1) {
		return;
	}
	for (size_t i = 0; i < waiter->count; i++) {
		lost = lost || waiter->pushes[i].lost;
	}
	if (lost) {
		answer_lost(waiter);
	} else { /* I1 */
		answer_ok(waiter->request, NULL, waiter->json);
	}
	mark("door.answered");
	metric_observe_us(&metrics[ANSWER], clock_us() - waiter->started_us);
	free(waiter);
}

static void push_done(struct push *push, bool lost)
{
	struct waiters *waiters = push->waiter->waiters;

	push->lost = lost;
	metric_set(&metrics[IN_FLIGHT], atomic_fetch_sub(&waiters->in_flight, 1) - 1);
	part_done(push->waiter);
}

static void delivered(void *context, const struct bus_report *report)
{
	struct push *push = context;

	if (report->outcome == OK) {
		mark("door.acked");
	} else {
		metric_add(&metrics[FAILED_DELIVERY], 1);
		log_warn("push not delivered", F("zone", push->zone.text),
			 F("maybe_in_log", report->maybe), F("why", report->why.text));
	}
	push_done(push, report->outcome != OK);
}

void waiter_send(struct waiter *waiter, size_t i, const struct push_event *event, struct span value,
		 struct span traceparent)
{
	struct waiters *waiters = waiter->waiters;
	struct push *push = &waiter->pushes[i];
	struct event_headers headers;
	struct bus_record record = {
		.topic = TOPIC_PUSHES,
		.partition = BUS_BY_KEY, /* I2 */
		.key = name_span(&event->zone),
		.value = value,
	};
	struct reason why;

	push->zone = event->zone;
	event_headers(&headers, "push", &event->id, waiters->source, event->zone.text,
		      event->received_at_ms, traceparent);
	record.headers = headers.items;
	record.header_count = headers.count;
	if (bus_send(waiters->producer, &record, delivered, push, &why) != OK) {
		metric_add(&metrics[FAILED_SEND], 1);
		log_warn("push not sent", F("zone", event->zone.text), F("why", why.text));
		push_done(push, true);
		return;
	}
	mark("door.sent");
}

void waiter_end(struct waiter *waiter)
{
	part_done(waiter);
}
