/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/backend.h"

#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/scan.h"
#include "common/clock.h"
#include "common/event.h"

#define SOURCE "/dadns/backend-retire"
#define BACKENDS_MAX 10000 /* I9 */
#define EVENT_BYTES_MAX 65536

static const char *const columns[] = {"backend", "type", "state", "joined", "retired", NULL};

/* --- the registry: the last record of each backend -------------------------------------------- */

struct registry {
	struct backend_event *backends; /* in the order in which they first joined */
	size_t count;
	enum outcome outcome; /* of the first record that cannot be read */
	struct reason why;
};

static struct backend_event *find(const struct registry *registry, const char *name)
{
	for (size_t i = 0; i < registry->count; i++) {
		if (strcmp(registry->backends[i].backend, name) == 0) {
			return &registry->backends[i];
		}
	}
	return NULL;
}

static bool take(void *context, const struct bus_message *message)
{
	struct registry *registry = context;
	struct backend_event event;
	struct backend_event *known;

	if (message->is_null || span_has_byte(message->key, '/')) { /* BACKEND/audit */
		return true;
	}
	registry->outcome = backend_event_decode(message->value, &event, &registry->why);
	if (registry->outcome != OK) {
		return false;
	}
	known = find(registry, event.backend);
	if (known != NULL) {
		backend_event_finish(known);
		*known = event;
		return true;
	}
	if (registry->count == BACKENDS_MAX) {
		backend_event_finish(&event);
		registry->outcome =
			because(PERMFAIL, &registry->why,
				"dadns.audits names more than %d backends", BACKENDS_MAX);
		return false;
	}
	registry->backends =
		xrealloc(registry->backends, (registry->count + 1) * sizeof(registry->backends[0]));
	registry->backends[registry->count++] = event;
	return true;
}

static void finish(struct registry *registry)
{
	for (size_t i = 0; i < registry->count; i++) {
		backend_event_finish(&registry->backends[i]);
	}
	free(registry->backends);
}

static enum outcome read_registry(const struct cli *cli, struct registry *out, struct reason *why)
{
	enum outcome outcome;

	*out = (struct registry){.outcome = OK};
	outcome = scan_topic(cli, TOPIC_AUDITS, SPAN_EMPTY, take, out, why);
	if (outcome == OK && out->outcome != OK) {
		*why = out->why;
		outcome = PERMFAIL; /* a newer major version too: another dadns is needed */
	}
	return outcome;
}

/* --- list ------------------------------------------------------------------------------------- */

static void add_time(struct output *output, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE] = "";

	if (wall_ms != 0) {
		clock_text(wall_ms, text);
	}
	output_add(output, span_of(text));
}

static int list(const struct cli *cli)
{
	struct registry registry;
	struct output output;
	struct reason why;
	enum outcome outcome = read_registry(cli, &registry, &why);

	output_init(&output, columns);
	for (size_t i = 0; i < registry.count; i++) {
		const struct backend_event *backend = &registry.backends[i];

		output_add(&output, span_of(backend->backend));
		output_add(&output, span_of(backend->type));
		output_add(&output, span_of(backend->retired ? "retired" : "registered"));
		add_time(&output, backend->joined_at_ms);
		add_time(&output, backend->retired_at_ms);
	}
	if (outcome == OK) {
		output_print(&output, cli->json);
	}
	output_finish(&output);
	finish(&registry);
	return outcome == OK ? EXIT_DONE : scan_failed(outcome, &why);
}

/* --- retire ----------------------------------------------------------------------------------- */

static enum outcome send(const struct cli *cli, const struct backend_event *event,
			 struct reason *why)
{
	struct buf key = BUF_INIT(EVENT_BYTES_MAX);
	struct buf value = BUF_INIT(EVENT_BYTES_MAX);
	struct event_id id = event_id_create();
	struct bus_producer *producer = NULL;
	struct event_headers headers;
	enum outcome outcome;

	backend_event_key(event, &key);
	backend_event_encode(event, &value);
	event_headers(&headers, "backend", &id, SOURCE, event->backend, event->retired_at_ms,
		      SPAN_EMPTY);
	outcome = scan_producer(&producer, cli, why);
	if (outcome == OK) {
		outcome = scan_send(producer,
				    &(struct bus_record){.topic = TOPIC_AUDITS,
							 .partition = BUS_BY_KEY,
							 .key = buf_span(&key),
							 .value = buf_span(&value),
							 .headers = headers.items,
							 .header_count = headers.count},
				    NULL, why);
	}
	bus_producer_destroy(producer);
	buf_finish(&key);
	buf_finish(&value);
	return outcome;
}

static int retire_it(const struct cli *cli, const struct registry *registry, const char *name)
{
	const struct backend_event *known = find(registry, name);
	struct backend_event event;
	struct reason why;
	enum outcome outcome;

	if (known == NULL) {
		complain("no backend \"%.60s\" ever joined; see dadns backend list", name);
		return EXIT_FAILED;
	}
	if (known->retired) {
		complain("%s was retired already", name);
		return EXIT_DONE;
	}
	event = *known;
	event.retired = true;
	event.retired_at_ms = clock_wall_ms();
	outcome = send(cli, &event, &why);
	if (outcome != OK) {
		return scan_failed(outcome, &why);
	}
	complain("%s is retired: no deleted zone waits for it any more", name);
	return EXIT_DONE;
}

static int retire(const struct cli *cli)
{
	const char *name = config_argument(cli->config, 2);
	struct registry registry;
	struct reason why;
	enum outcome outcome;
	int code;

	if (name == NULL) {
		complain("which backend? dadns backend retire NAME");
		return EXIT_USAGE;
	}
	outcome = read_registry(cli, &registry, &why);
	code = outcome == OK ? retire_it(cli, &registry, name) : scan_failed(outcome, &why);
	finish(&registry);
	return code;
}

const struct verb backend_verbs[] = {
	{
		.noun = "backend",
		.name = "list",
		.summary = "the backends that have joined, and whether they are retired",
		.help = "Each writer registers its backend when it starts.\n",
		.run = list,
	},
	{
		.noun = "backend",
		.name = "retire",
		.summary = "a backend will not come back: wait for it no more",
		.help = "Deleted zones are kept in dadns.zones until every registered backend has "
			"confirmed the delete;\none that is gone for good keeps them for ever. "
			"Nothing is removed from the backend itself.\nStop its writer first: a "
			"writer that starts registers its backend again. If it does come back\n"
			"after more than 30 days (delete.retention.ms of dadns.zones), empty it "
			"first, for its writer will\nfill it: else it may still serve zones that "
			"were deleted meanwhile.\n",
		.run = retire,
		.words = 1,
	},
	{0},
};
