/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/scan.h"
#include "common/clock.h"

#define SENDER "dadns"
#define PUSH_MAX ((size_t)17 << 20)

enum {
	VERDICT_MS = 10000,
	VERDICT_EACH_MS = 10, /* on top, of each */
};

struct waiting {
	struct asked *asked;
	size_t count;
	size_t left;
};

static enum outcome send(struct bus_producer *producer, struct asked *asked, struct reason *why)
{
	struct push_event *push = &asked->push;
	char traceparent[TRACEPARENT_SIZE];
	struct buf bytes = BUF_INIT(PUSH_MAX);
	struct event_headers headers;
	enum outcome outcome;

	push->sender = SENDER;
	push->received_at_ms = clock_wall_ms();
	traceparent_make(SPAN_EMPTY, traceparent);
	push_event_encode(push, &bytes);
	event_headers(&headers, "push", &push->id, cli_source(), push->zone.text,
		      push->received_at_ms, span_of(traceparent));
	outcome = scan_send(producer,
			    &(struct bus_record){.topic = TOPIC_PUSHES,
						 .partition = BUS_BY_KEY,
						 .key = name_span(&push->zone),
						 .value = buf_span(&bytes),
						 .headers = headers.items,
						 .header_count = headers.count},
			    NULL, why);
	asked->sent = outcome == OK;
	buf_finish(&bytes);
	return outcome;
}

static void note(struct waiting *waiting, const struct status_event *status)
{
	for (size_t i = 0; i < waiting->count; i++) {
		struct asked *asked = &waiting->asked[i];

		if (asked->judged || !event_id_equal(&asked->push.id, &status->id)) {
			continue;
		}
		asked->judged = true;
		asked->verdict = status->state;
		asked->version = status->version;
		(void)snprintf(asked->rule, sizeof(asked->rule), "%s",
			       status->rule != NULL ? status->rule : "");
		(void)snprintf(asked->reason, sizeof(asked->reason), "%s",
			       status->reason != NULL ? status->reason : "");
		waiting->left -= asked->sent; /* one that may have got through was not counted */
	}
}

static bool take(void *context, const struct bus_message *message)
{
	static const char judges[] = STATUS_JUDGE "/";
	struct waiting *waiting = context;
	struct status_event status;

	if (!message->is_null && message->key.len >= sizeof(judges) &&
	    memcmp(message->key.data, judges, sizeof(judges) - 1) == 0 &&
	    status_event_decode(message->value, &status, NULL) == OK) {
		if (status.has_id) {
			note(waiting, &status);
		}
		status_event_finish(&status);
	}
	return waiting->left != 0;
}

enum outcome push_and_wait(const struct cli *cli, struct asked *asked, size_t count,
			   struct reason *why)
{
	struct waiting waiting = {.asked = asked, .count = count};
	struct bus_producer *producer = NULL;
	struct scan *scan = NULL;
	enum outcome outcome;

	/* Where the status ends now: every verdict lies behind that. */
	outcome = scan_open(&scan, cli, TOPIC_STATUS, SPAN_EMPTY, why);
	if (outcome == OK) {
		outcome = scan_begin_at_end(scan, why);
	}
	if (outcome == OK) {
		outcome = scan_producer(&producer, cli, why);
	}
	for (size_t i = 0; outcome == OK && i < count; i++) {
		outcome = send(producer, &asked[i], why);
		waiting.left += asked[i].sent;
	}
	if (waiting.left != 0) {
		enum outcome waited =
			scan_wait(scan, take, &waiting,
				  VERDICT_MS + VERDICT_EACH_MS * (int)waiting.left, NULL);

		(void)waited; /* in time or not: each of them says how it stands */
	}
	bus_producer_destroy(producer);
	scan_close(scan);
	return outcome;
}

void asked_verdict(const struct asked *asked, char out[320])
{
	if (!asked->sent) {
		(void)snprintf(out, 320, "not sent");
	} else if (!asked->judged) {
		(void)snprintf(out, 320, "no verdict yet");
	} else if (asked->rule[0] != '\0') {
		(void)snprintf(out, 320, "%s (%s)", status_state_text(asked->verdict), asked->rule);
	} else {
		(void)snprintf(out, 320, "%s", status_state_text(asked->verdict));
	}
}

bool asked_is_done(const struct asked *asked)
{
	return asked->judged &&
	       (asked->verdict == STATUS_ACCEPTED || asked->verdict == STATUS_UNCHANGED);
}
