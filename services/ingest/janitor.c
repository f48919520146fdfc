/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/janitor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/log.h"
#include "services/ingest/burial.h"

#define ZONES_MAX 10000 /* I9: of one pass; the next one begins where it ended */
#define AT_ONCE 16      /* tombstones in one turn of the judge ... */
#define TURN_MS 10      /* ... and turns that bury are so far apart */
#define FIRST_MS 60000  /* a process that is started often gets to it as well */
#define LOOK_MS 5000
#define STUCK_MS 30000 /* a pass that reads nothing for so long has failed */
#define IDLE_MS 100
#define NICE 10 /* nobody waits for it */
#define READ_AHEAD_BYTES ((int64_t)4 << 20)

enum { BURIED, OVERTAKEN, WAITING, PASSES, PASSES_FAILED };

/* clang-format off */
static struct metric metrics[] = {
	[BURIED] = COUNTER("dadns_judge_burials_total", "outcome=\"buried\"", "deleted zones that every backend has confirmed"),
	[OVERTAKEN] = COUNTER("dadns_judge_burials_total", "outcome=\"overtaken\"", "deleted zones that every backend has confirmed"),
	[WAITING] = GAUGE("dadns_judge_burials_waiting", "", "deleted zones that the last pass found old enough, and some backend has not confirmed"),
	[PASSES] = COUNTER("dadns_judge_burial_passes_total", "outcome=\"ok\"", "looks for deleted zones to bury"),
	[PASSES_FAILED] = COUNTER("dadns_judge_burial_passes_total", "outcome=\"tempfail\"", "looks for deleted zones to bury"),
};
/* clang-format on */
const struct metric_table janitor_metrics = METRIC_TABLE(metrics);

struct janitor {
	int64_t every_ms;
	const struct bus_config *bus;
	const struct zindex *index;
	struct service *service;
	int32_t partition_count;
	pthread_t thread;
	_Atomic bool closing;
	_Atomic bool asked; /* a pass is ordered: what follows is the janitor's, else the judge's */
	struct version *below; /* of each partition; epoch 0: not ours. The pass sets the offsets */
	struct zindex_delete *found; /* room for ZONES_MAX; in the end those that may be buried */
	size_t found_count;
	/* the janitor's alone */
	size_t cursor;
	struct registry registry;
	struct burial *burial;
	/* the judge's alone */
	size_t buried_count; /* of `found`: those that were looked at */
	int64_t turn_ms;     /* not before: the next few of them */
	int64_t next_ms;     /* not before: the next pass */
};

/* --- a pass: the janitor's thread ------------------------------------------------------------- */

/* I5: a delete that dadns.pushes still has may be read again. */
static enum outcome find_bounds(struct janitor *janitor, struct reason *why)
{
	const struct bus_consumer_options options = {.prefetch_bytes = 0};
	struct bus_consumer *consumer;
	enum outcome outcome = bus_consumer_create(&consumer, janitor->bus, &options, NULL, why);

	if (outcome != OK) {
		return outcome;
	}
	for (int32_t i = 0; i < janitor->partition_count && outcome == OK; i++) {
		int64_t low;
		int64_t high;

		if (janitor->below[i].epoch == 0) {
			continue;
		}
		outcome = bus_watermarks(consumer, TOPIC_PUSHES, i, &low, &high, LOOK_MS, why);
		if (outcome == OK) {
			janitor->below[i].offset = low;
		}
	}
	bus_consumer_close(consumer);
	return outcome;
}

static void find_deletes(struct janitor *janitor)
{
	janitor->found_count = 0;
	do {
		janitor->found_count += zindex_deletes(
			janitor->index, janitor->below, &janitor->cursor,
			janitor->found + janitor->found_count, ZONES_MAX - janitor->found_count);
	} while (janitor->cursor != 0 && janitor->found_count < ZONES_MAX);
}

static enum outcome read_all(struct janitor *janitor, struct bus_consumer *consumer,
			     const char *topic, int32_t partitions,
			     enum outcome (*take)(struct janitor *janitor,
						  const struct bus_message *message,
						  struct reason *why),
			     struct reason *why)
{
	int64_t progress_ms = clock_ms();
	enum outcome outcome = OK;
	int32_t ended = 0;

	while (ended < partitions && outcome == OK) {
		struct bus_message *message;

		if (!service_running(janitor->service)) {
			return because(TEMPFAIL, why, "%s: not read, the service ends", topic);
		}
		message = bus_poll(consumer, IDLE_MS);
		if (message != NULL) {
			outcome = take(janitor, message, why);
			bus_message_destroy(message);
			progress_ms = clock_ms();
			continue;
		}
		while (ended < partitions && bus_at_end(consumer, topic, ended)) {
			ended++;
		}
		if (clock_ms() - progress_ms > STUCK_MS) {
			return because(TEMPFAIL, why, "%s: %.180s", topic,
				       bus_consumer_trouble(consumer));
		}
	}
	return outcome;
}

/* A topic from its beginning to its present end. */
static enum outcome read_topic(struct janitor *janitor, const char *topic,
			       enum outcome (*take)(struct janitor *janitor,
						    const struct bus_message *message,
						    struct reason *why),
			       struct reason *why)
{
	const struct bus_consumer_options options = {.prefetch_bytes = READ_AHEAD_BYTES};
	struct bus_consumer *consumer;
	enum outcome outcome = bus_consumer_create(&consumer, janitor->bus, &options, NULL, why);
	int32_t partitions;

	if (outcome != OK) {
		return outcome;
	}
	outcome = bus_partitions(consumer, topic, &partitions, LOOK_MS, why);
	if (outcome == OK) {
		outcome = bus_assign_all(consumer, topic, partitions, why);
	}
	if (outcome == OK) {
		outcome = read_all(janitor, consumer, topic, partitions, take, why);
	}
	bus_consumer_close(consumer);
	return outcome;
}

/* Whatever we cannot read might name a backend that has not confirmed. */
static enum outcome take_backend(struct janitor *janitor, const struct bus_message *message,
				 struct reason *why)
{
	struct backend_event event;
	enum outcome outcome;

	if (span_has_byte(message->key, '/')) { /* BACKEND/audit */
		return OK;
	}
	if (message->is_null) {
		return because(PERMFAIL, why, "dadns.audits: a backend without a value");
	}
	outcome = backend_event_decode(message->value, &event, why);
	if (outcome == OK) {
		outcome = registry_note(&janitor->registry, &event, why);
		backend_event_finish(&event);
	}
	return outcome;
}

static enum outcome take_status(struct janitor *janitor, const struct bus_message *message,
				struct reason *why)
{
	struct status_event status;
	enum outcome outcome = PERMFAIL;

	if (!burial_asks_for(janitor->burial, message->key)) {
		return OK;
	}
	if (!message->is_null) {
		outcome = status_event_decode(message->value, &status, why);
	}
	if (outcome == TEMPFAIL) {
		return outcome;
	}
	burial_note(janitor->burial, message->key, outcome == OK ? &status : NULL);
	if (outcome == OK) {
		status_event_finish(&status);
	}
	return OK;
}

/* Keeps what all have confirmed. */
static void sort_out(struct janitor *janitor)
{
	const struct burial *burial = janitor->burial;
	const char *waits_for = NULL;
	size_t count = burial_count(burial);

	janitor->found_count = 0;
	for (size_t i = 0; i < count; i++) {
		const char *backend = burial_waits_for(burial, i);

		if (backend == NULL) {
			janitor->found[janitor->found_count++] = *burial_delete(burial, i);
		} else {
			waits_for = backend;
		}
	}
	metric_set(&metrics[WAITING], (int64_t)(count - janitor->found_count));
	if (waits_for != NULL) {
		log_info("deleted zones are kept until every backend has confirmed them",
			 F("zones", count - janitor->found_count), F("waiting_for", waits_for));
	}
}

static enum outcome pass(struct janitor *janitor, struct reason *why)
{
	enum outcome outcome = find_bounds(janitor, why);

	if (outcome != OK) {
		return outcome;
	}
	find_deletes(janitor);
	if (janitor->found_count == 0) {
		metric_set(&metrics[WAITING], 0);
		return OK;
	}
	outcome = read_topic(janitor, TOPIC_AUDITS, take_backend, why);
	if (outcome != OK) {
		return outcome;
	}
	janitor->burial = burial_create(&janitor->registry, janitor->found, janitor->found_count);
	outcome = read_topic(janitor, TOPIC_STATUS, take_status, why);
	if (outcome == OK) {
		sort_out(janitor);
	}
	return outcome;
}

static void work(struct janitor *janitor)
{
	struct reason why;

	if (pass(janitor, &why) == OK) {
		metric_add(&metrics[PASSES], 1);
	} else {
		janitor->found_count = 0;
		metric_add(&metrics[PASSES_FAILED], 1);
		log_warn("cannot look for deleted zones to bury, the next pass tries again",
			 F("why", why.text));
	}
	burial_destroy(janitor->burial);
	janitor->burial = NULL;
	registry_finish(&janitor->registry);
}

static void *run(void *context)
{
	struct janitor *janitor = context;

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	while (service_running(janitor->service) && !janitor->closing) {
		if (janitor->asked) {
			work(janitor);
			janitor->asked = false;
		}
		service_pause(janitor->service, IDLE_MS);
	}
	return NULL;
}

/* --- the judge's thread ------------------------------------------------------------------------
 */

static void order(struct janitor *janitor, const struct bench *bench)
{
	for (int32_t i = 0; i < janitor->partition_count; i++) {
		const struct bench_partition *mine = &bench->partitions[i];

		janitor->below[i] = (struct version){
			.epoch = mine->phase == PHASE_WORKING ? mine->epoch : 0,
		};
	}
	janitor->buried_count = 0;
	janitor->asked = true;
}

/* Was the zone pushed meanwhile, or its partition taken from us? */
static bool still_ours(const struct bench *bench, const struct zindex_delete *gone)
{
	const struct bench_partition *mine = &bench->partitions[gone->partition];

	return mine->phase == PHASE_WORKING && mine->epoch == gone->version.epoch &&
	       zindex_delete_holds(bench->index, gone);
}

/* False: not now. */
static bool bury(struct bench *bench, const struct zindex_delete *gone)
{
	char version[VERSION_TEXT_SIZE];
	struct reason why;

	if (!still_ours(bench, gone)) {
		metric_add(&metrics[OVERTAKEN], 1);
		return true;
	}
	if (bench_send_tombstone(bench, gone->partition, &gone->zone, gone->version, &why) != OK) {
		return false; /* the queue is full, or the judge is about to end */
	}
	zindex_bury(bench->index, gone);
	metric_add(&metrics[BURIED], 1);
	version_text(gone->version, version);
	log_info("deleted zone buried", F("zone", gone->zone.text), F("version", version));
	return true;
}

static void bury_some(struct janitor *janitor, struct bench *bench)
{
	for (size_t i = 0; i < AT_ONCE && janitor->buried_count < janitor->found_count; i++) {
		if (!bury(bench, &janitor->found[janitor->buried_count])) {
			return;
		}
		janitor->buried_count++;
	}
}

void janitor_step(struct janitor *janitor, struct bench *bench)
{
	int64_t now;

	if (janitor == NULL || janitor->asked) {
		return;
	}
	now = clock_ms();
	if (janitor->buried_count < janitor->found_count) {
		if (now >= janitor->turn_ms) {
			bury_some(janitor, bench);
			janitor->turn_ms = now + TURN_MS;
		}
	} else if (now >= janitor->next_ms) {
		order(janitor, bench);
		janitor->next_ms = now + janitor->every_ms;
	}
}

/* --- life --------------------------------------------------------------------------------------
 */

static void release(struct janitor *janitor)
{
	free(janitor->below);
	free(janitor->found);
	free(janitor);
}

enum outcome janitor_open(struct janitor **out, int64_t every_ms, const struct bus_config *bus,
			  const struct zindex *index, int32_t partitions, struct service *service,
			  struct reason *why)
{
	struct janitor *janitor;

	if (every_ms == 0) {
		*out = NULL;
		return OK;
	}
	janitor = xcalloc(1, sizeof(*janitor));
	janitor->every_ms = every_ms;
	janitor->bus = bus;
	janitor->index = index;
	janitor->service = service;
	janitor->partition_count = partitions;
	janitor->below = xcalloc((size_t)partitions, sizeof(janitor->below[0]));
	janitor->found = xcalloc(ZONES_MAX, sizeof(janitor->found[0]));
	janitor->next_ms = clock_ms() + (every_ms < FIRST_MS ? every_ms : FIRST_MS);
	if (pthread_create(&janitor->thread, NULL, run, janitor) != 0) {
		release(janitor);
		return because(PERMFAIL, why, "janitor: cannot start a thread");
	}
	*out = janitor;
	return OK;
}

void janitor_close(struct janitor *janitor)
{
	if (janitor == NULL) {
		return;
	}
	janitor->closing = true;
	(void)pthread_join(janitor->thread, NULL);
	release(janitor);
}
