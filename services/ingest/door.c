/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/door.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/log.h"
#include "common/mark.h"
#include "services/ingest/answer.h"
#include "services/ingest/directadmin.h"
#include "services/ingest/holds.h"
#include "services/ingest/waiter.h"

/* Over the time in which the last push must end: a look, a report, an add. */
#define CLOSE_DEADLINE_MS 8000
#define DRAIN_DEADLINE_MS 2000
#define PEER_SIZE 64

enum {
	SAVES,
	DELETES,
	EXISTS,
	LOGINS,
	OTHERS,
	NOT_FOUND,
	REFUSED_CREDENTIALS,
	REFUSED_REQUEST,
	REFUSED_HOSTNAME,
	REFUSED_ZONE,
	REFUSED_SIZE,
	REFUSED_BUSY,
	REFUSED_INDEX,
};

/* clang-format off */
static struct metric metrics[] = {
	[SAVES] = COUNTER("dadns_door_requests_total", "kind=\"save\"", "requests understood"),
	[DELETES] = COUNTER("dadns_door_requests_total", "kind=\"delete\"", "requests understood"),
	[EXISTS] = COUNTER("dadns_door_requests_total", "kind=\"exists\"", "requests understood"),
	[LOGINS] = COUNTER("dadns_door_requests_total", "kind=\"login\"", "requests understood"),
	[OTHERS] = COUNTER("dadns_door_requests_total", "kind=\"other\"", "requests understood"),
	[NOT_FOUND] = COUNTER("dadns_door_refused_total", "reason=\"path\"", "requests answered with an error"),
	[REFUSED_CREDENTIALS] = COUNTER("dadns_door_refused_total", "reason=\"credentials\"", "requests answered with an error"),
	[REFUSED_REQUEST] = COUNTER("dadns_door_refused_total", "reason=\"request\"", "requests answered with an error"),
	[REFUSED_HOSTNAME] = COUNTER("dadns_door_refused_total", "reason=\"hostname\"", "requests answered with an error"),
	[REFUSED_ZONE] = COUNTER("dadns_door_refused_total", "reason=\"zone\"", "requests answered with an error"),
	[REFUSED_SIZE] = COUNTER("dadns_door_refused_total", "reason=\"size\"", "requests answered with an error"),
	[REFUSED_BUSY] = COUNTER("dadns_door_refused_total", "reason=\"busy\"", "requests answered with an error"),
	[REFUSED_INDEX] = COUNTER("dadns_door_refused_total", "reason=\"index\"", "requests answered with an error"),
};
/* clang-format on */
const struct metric_table door_metrics = METRIC_TABLE(metrics);

static void count(size_t row)
{
	metric_add(&metrics[row], 1);
}

enum { WARM_MS = 2000 };

struct door {
	struct door_config config;
	const struct senders *senders;
	const struct zindex *index;
	struct index_reader *reader;
	struct service *service;
	struct bus_producer *producer;
	struct holds *holds;
	struct waiters waiters;
	struct http *http;
	pthread_t reporter;
	bool reporter_runs;
	pthread_t holder; /* where there is a Redis */
	bool holder_runs;
	_Atomic bool stopping;
};

/* --- exists ---------------------------------------------------------------------------------- */

/* A DA server must not be kept from a zone of its own: it re-creates them, and an own domain may
 * get a child (directadmin-protocol.md 2.3). */
static enum da_exists look_up(const struct door *door, const struct sender *sender,
			      const struct da_command *command, char owner[STATE_TEXT_SIZE])
{
	struct name ancestor = command->zone;
	enum da_exists found = DA_EXISTS_ZONE;

	if (!command->is_name || name_label_count(&command->zone) < 2) {
		return DA_EXISTS_NO;
	}
	while (!zindex_owner(door->index, &ancestor, owner)) {
		struct name parent;

		if (!command->check_parent || !name_parent(&ancestor, &parent) ||
		    name_label_count(&parent) < 2) {
			return DA_EXISTS_NO;
		}
		ancestor = parent;
		found = DA_EXISTS_PARENT;
	}
	return sender_owns(sender, owner) ? DA_EXISTS_NO : found;
}

static void handle_exists(struct door *door, struct http_request *request,
			  const struct sender *sender, const struct da_command *command, bool json)
{
	struct buf body = BUF_INIT(DA_ANSWER_MAX);
	char owner[STATE_TEXT_SIZE] = "";

	count(EXISTS);
	if (!zindex_complete(door->index)) { /* "not yet known" must never read as "free" */
		count(REFUSED_INDEX);
		answer_error(request, 200, "The list of zones is still being read",
			     "Ask again in a moment; pushes are taken meanwhile", json);
		return;
	}
	da_print_exists(look_up(door, sender, command, owner), owner, json, &body);
	log_debug("exists answered", F("answer", buf_text(&body)));
	answer_printed(request, 200, &body, json);
	buf_finish(&body);
}

/* --- pushes ---------------------------------------------------------------------------------- */

/* What a request says, apart from its zones. */
struct speaker {
	const struct sender *sender;
	const struct da_command *command;
	char peer[PEER_SIZE];
	char traceparent[TRACEPARENT_SIZE];
	int64_t started_us;
	bool json;
};

static struct push_event event_of(const struct speaker *speaker, const struct name *zone)
{
	const struct da_command *command = speaker->command;

	return (struct push_event){
		.id = event_id_create(),
		.zone = *zone,
		.owner = command->owner.text,
		.username = command->username[0] == '\0' ? NULL : command->username,
		.sender = sender_name(speaker->sender),
		.source = speaker->peer[0] == '\0' ? NULL : speaker->peer,
		.received_at_ms = clock_wall_ms(),
		.now = command->now,
	};
}

static void answer_busy(struct http_request *request, bool json)
{
	count(REFUSED_BUSY);
	log_warn("too many pushes in flight");
	answer_error(request, 200, "The DNS cluster is busy; please save it again in a moment",
		     NULL, json);
}

static void handle_save(struct door *door, struct http_request *request,
			const struct speaker *speaker)
{
	const struct da_command *command = speaker->command;
	struct buf value = BUF_INIT((size_t)door->config.event_bytes);
	struct zone *zone = NULL;
	struct push_event event;
	struct reason why;
	struct waiter *waiter;

	count(SAVES);
	if (zone_parse(&command->zone, command->text, &door->config.limits, &zone, &why) != OK) {
		count(REFUSED_ZONE);
		log_info("zone refused", F("zone", command->zone.text),
			 F("owner", command->owner.text), F("why", why.text));
		answer_error(request, 200, "The zone was refused and left as it is", why.text,
			     speaker->json);
		goto out;
	}
	event = event_of(speaker, &command->zone);
	event.op = PUSH_SAVE;
	event.serial = zone_serial(zone);
	event.digest = zone_digest(zone);
	event.rrsets = zone_rrsets(zone);
	event.rrset_count = zone_rrset_count(zone);
	event.warnings = zone_warnings(zone);
	event.warning_count = zone_warning_count(zone);
	push_event_encode(&event, &value);
	if (value.overflow) {
		count(REFUSED_SIZE);
		(void)because(PERMFAIL, &why,
			      "it takes more than %lld bytes in the log (topics.message_bytes)",
			      (long long)door->config.event_bytes);
		log_info("zone refused", F("zone", command->zone.text),
			 F("owner", command->owner.text), F("why", why.text));
		answer_error(request, 200, "The zone is too large", why.text, speaker->json);
		goto out;
	}
	mark("door.parsed");
	waiter = waiter_begin(&door->waiters, request, 1, value.len, speaker->started_us,
			      speaker->json);
	if (waiter == NULL) {
		answer_busy(request, speaker->json);
		goto out;
	}
	waiter_send(waiter, 0, &event, &value, span_of(speaker->traceparent));
	waiter_end(waiter);
out:
	zone_destroy(zone);
	buf_finish(&value);
}

static void handle_delete(struct door *door, struct http_request *request,
			  const struct speaker *speaker)
{
	const struct da_command *command = speaker->command;
	struct buf value = BUF_INIT((size_t)door->config.event_bytes);
	struct waiter *waiter;

	count(DELETES);
	mark("door.parsed");
	waiter = waiter_begin(&door->waiters, request, command->zone_count, 0, speaker->started_us,
			      speaker->json);
	if (waiter == NULL) {
		answer_busy(request, speaker->json);
		goto out;
	}
	for (size_t i = 0; i < command->zone_count; i++) {
		struct push_event event = event_of(speaker, &command->zones[i]);

		event.op = PUSH_DELETE;
		push_event_encode(&event, &value);
		waiter_send(waiter, i, &event, &value, span_of(speaker->traceparent));
	}
	waiter_end(waiter);
out:
	buf_finish(&value);
}

/* --- requests -------------------------------------------------------------------------------- */

static bool hostname_allowed(struct http_request *request, const struct speaker *speaker)
{
	const struct da_command *command = speaker->command;
	struct reason details;

	if (sender_may_speak_for(speaker->sender, &command->owner)) {
		return true;
	}
	count(REFUSED_HOSTNAME);
	log_warn("sender may not speak for this hostname",
		 F("sender", sender_name(speaker->sender)), F("hostname", command->owner.text),
		 F("peer", speaker->peer));
	(void)because(
		PERMFAIL, &details,
		"user name %.80s may not change zones of %.120s (app.senders.%.80s.hostnames)",
		sender_name(speaker->sender), command->owner.text, sender_name(speaker->sender));
	answer_error(request, 200, "This user name does not belong to this DirectAdmin server",
		     details.text, speaker->json);
	return false;
}

static void handle_dns(struct door *door, struct http_request *request,
		       const struct da_request *asked, struct speaker *speaker)
{
	struct da_command command = {0};
	struct da_refusal refusal;

	if (da_parse(asked, &command, &refusal) != OK) {
		count(REFUSED_REQUEST);
		log_info("request refused", F("sender", sender_name(speaker->sender)),
			 F("peer", speaker->peer), F("why", refusal.text.text),
			 F("details", refusal.details.text));
		answer_error(request, refusal.http_status, refusal.text.text, refusal.details.text,
			     speaker->json);
		return;
	}
	speaker->command = &command;
	switch (command.verb) {
	case DA_HELLO:
		count(OTHERS);
		answer_ok(request, "OK", speaker->json);
		break;
	case DA_EXISTS:
		handle_exists(door, request, speaker->sender, &command, speaker->json);
		break;
	case DA_RAWSAVE:
		if (hostname_allowed(request, speaker)) {
			handle_save(door, request, speaker);
		}
		break;
	case DA_DELETE:
		if (hostname_allowed(request, speaker)) {
			handle_delete(door, request, speaker);
		}
		break;
	}
	da_command_finish(&command);
}

static const struct sender *authenticate(const struct door *door,
					 const struct http_request *request)
{
	struct span username = SPAN_EMPTY;
	struct span password = SPAN_EMPTY;

	if (!http_credentials(request, &username, &password)) {
		return NULL;
	}
	return senders_find(door->senders, username, password);
}

static void handle_known(struct door *door, struct http_request *request, enum da_page page,
			 const struct sender *sender)
{
	struct form_field query[DA_FIELDS_MAX];
	struct da_request asked = {
		.method = http_method(request),
		.query = query,
		.query_valid = http_query_valid(request),
		.body = http_body(request),
	};
	struct speaker speaker = {.sender = sender, .started_us = clock_us()};
	struct span peer = http_peer(request);
	struct span more[2];

	while (asked.query_count < DA_FIELDS_MAX &&
	       http_query_at(request, asked.query_count, &query[asked.query_count].name,
			     &query[asked.query_count].value)) {
		asked.query_count++;
	}
	if (asked.query_count == DA_FIELDS_MAX &&
	    http_query_at(request, DA_FIELDS_MAX, &more[0], &more[1])) {
		asked.query_valid = false;
	}
	if (peer.len < sizeof(speaker.peer)) {
		memcpy(speaker.peer, peer.data, peer.len);
	}
	speaker.json = da_wants_json(&asked);
	switch (page) {
	case DA_PAGE_DNS:
		traceparent_make(http_header(request, "traceparent"), speaker.traceparent);
		handle_dns(door, request, &asked, &speaker);
		return;
	case DA_PAGE_LOGIN:
		count(LOGINS);
		answer_ok(request, "DaDNS " DADNS_VERSION " connection OK", speaker.json);
		return;
	case DA_PAGE_USER: { /* we know zones, not users: the name is free here */
		struct buf body = BUF_INIT(DA_ANSWER_MAX);

		count(OTHERS);
		da_print_exists(DA_EXISTS_NO, "", speaker.json, &body);
		answer_printed(request, 200, &body, speaker.json);
		buf_finish(&body);
		return;
	}
	case DA_PAGE_OTHER:
	case DA_PAGE_NONE:
		count(REFUSED_REQUEST);
		answer_error(request, 200, "This command is not supported here", NULL,
			     speaker.json);
		return;
	}
}

static void handle(void *context, struct http_request *request)
{
	struct door *door = context;
	enum da_page page = da_page_of(http_path(request));
	const struct sender *sender;

	if (page == DA_PAGE_NONE) { /* scanners: cheap, and nothing is told */
		count(NOT_FOUND);
		http_answer(request, 404, DA_CONTENT_TYPE, span_of("not found\n"), NULL);
		return;
	}
	sender = authenticate(door, request);
	if (sender == NULL) {
		count(REFUSED_CREDENTIALS);
		log_info("wrong credentials", F("peer", http_peer(request)));
		answer_error(request, 401, "Wrong user name or password", NULL, false);
		return;
	}
	handle_known(door, request, page, sender);
}

/* --- life ------------------------------------------------------------------------------------ */

static void *report(void *context)
{
	struct door *door = context;
	struct reason why;
	bool fatal = false;

	/* A lone first push would pay half a second for it. */
	if (bus_producer_warm(door->producer, TOPIC_PUSHES, WARM_MS, &why) != OK) {
		log_debug("Kafka is not there yet, the first push will wait for it",
			  F("why", why.text));
	}
	while (!door->stopping) {
		(void)bus_producer_poll(door->producer, 100);
		service_alive(door->service, "door");
		if (!fatal && bus_producer_fatal(door->producer, &why)) {
			fatal = true;
			service_stop(door->service, &why);
		}
	}
	return NULL;
}

static void *hold(void *context)
{
	struct door *door = context;
	struct reason why;
	bool fatal = false;

	while (!door->stopping) {
		holds_turn(door->holds);
		service_alive(door->service, "holds");
		index_reader_excuse(door->reader, holds_can_hold(door->holds));
		if (!fatal && holds_fatal(door->holds, &why)) {
			fatal = true;
			service_stop(door->service, &why);
		}
	}
	return NULL;
}

static enum outcome open_log(struct door *door, const struct bus_config *bus, struct reason *why)
{
	const struct door_config *config = &door->config;
	struct bus_producer_options options = {
		.linger_us = config->linger_us,
		.timeout_ms = HOLDS_REPORT_MS,
		.queue_records = config->pushes_in_flight,
		.queue_bytes = DOOR_QUEUE_BYTES,
	};
	struct holds_config holds = {
		.bus = bus,
		.redis = config->redis,
		.index = door->index,
		.ceilings = config->held,
		.mass_deletes = config->mass_deletes,
		.mass_seconds = config->mass_seconds,
		.source = config->source,
	};
	enum outcome outcome = bus_producer_create(&door->producer, bus, &options, why);

	if (outcome != OK) {
		return outcome;
	}
	holds.producer = door->producer;
	return holds_create(&holds, &door->holds, why);
}

static enum outcome start_threads(struct door *door, struct reason *why)
{
	door->reporter_runs = pthread_create(&door->reporter, NULL, report, door) == 0;
	if (door->reporter_runs && door->config.redis->url[0] != '\0') {
		door->holder_runs = pthread_create(&door->holder, NULL, hold, door) == 0;
	}
	if (!door->reporter_runs || (door->config.redis->url[0] != '\0' && !door->holder_runs)) {
		return because(PERMFAIL, why, "door: cannot start a thread");
	}
	return OK;
}

enum outcome door_open(struct door **out, const struct door_config *config,
		       const struct bus_config *bus, const struct senders *senders,
		       const struct zindex *index, struct index_reader *reader,
		       struct service *service, struct reason *why)
{
	struct door *door = xcalloc(1, sizeof(*door));
	enum outcome outcome;

	door->config = *config;
	door->senders = senders;
	door->index = index;
	door->reader = reader;
	door->service = service;
	outcome = open_log(door, bus, why);
	if (outcome != OK) {
		goto out;
	}
	door->waiters.holds = door->holds;
	door->waiters.ceiling = config->pushes_in_flight;
	door->waiters.ceiling_bytes = HOLDS_QUEUE_BYTES;
	outcome = start_threads(door, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = http_listen(&door->http, &config->http, handle, door, why);
	if (outcome != OK) {
		goto out;
	}
	*out = door;
	door = NULL;
out:
	door_close(door);
	return outcome;
}

/* Held pushes that are on their way are popped: else their locks stand for a while. */
static void wait_for_drain(struct door *door)
{
	int64_t until_ms = clock_ms() + DRAIN_DEADLINE_MS;

	while (door->holder_runs && !holds_stop_draining(door->holds) && clock_ms() < until_ms) {
		struct timespec nap = {.tv_nsec = 5000000};

		(void)nanosleep(&nap, NULL);
	}
}

void door_close(struct door *door)
{
	if (door == NULL) {
		return;
	}
	if (door->http != NULL) {
		http_quiesce(door->http);
		(void)holds_stop_draining(door->holds);
		/* Both threads still answer; each push ends within this time. */
		http_close(door->http, CLOSE_DEADLINE_MS);
		holds_silence(door->holds);
	}
	if (door->reporter_runs) {
		wait_for_drain(door);
		door->stopping = true;
		(void)pthread_join(door->reporter, NULL);
	}
	if (door->holder_runs) {
		(void)pthread_join(door->holder, NULL);
	}
	bus_producer_destroy(door->producer);
	holds_destroy(door->holds);
	free(door);
}
