/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/scan.h"

#include <stdlib.h>

#include "common/clock.h"

enum {
	CONTACT_MS = 5000,  /* the first answer of Kafka */
	SILENCE_MS = 10000, /* between two answers of a read */
	SEND_MS = 10000,    /* until a record is given up */
	POLL_MS = 100,
};

struct scan {
	const struct cli *cli;
	struct bus_consumer *consumer;
	const char *topic;
	struct bus_start *starts; /* offset -1: not this one */
	int32_t partitions;
	bool reading;
};

static enum outcome away(const struct cli *cli, const char *what, struct reason *why)
{
	return because(TEMPFAIL, why, "Kafka (%.100s) cannot be reached: %.100s",
		       cli->settings.bus.brokers, what);
}

enum outcome scan_open(struct scan **out, const struct cli *cli, const char *topic, struct span key,
		       struct reason *why)
{
	const struct bus_consumer_options options = {.group = NULL};
	struct scan *scan = xcalloc(1, sizeof(*scan));
	struct reason trouble;
	enum outcome outcome;

	scan->cli = cli;
	scan->topic = topic;
	outcome = bus_consumer_create(&scan->consumer, &cli->settings.bus, &options, NULL, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = bus_partitions(scan->consumer, topic, &scan->partitions, CONTACT_MS, &trouble);
	if (outcome == TEMPFAIL) {
		outcome = away(cli, trouble.text, why);
	} else if (outcome == PERMFAIL) {
		outcome = because(PERMFAIL, why, "%.100s (dadns topics apply makes it)",
				  trouble.text);
	}
	if (outcome != OK) {
		goto out;
	}
	scan->starts = xcalloc((size_t)scan->partitions, sizeof(*scan->starts));
	for (int32_t i = 0; i < scan->partitions; i++) {
		bool wanted = key.len == 0 || bus_partition_of(key, scan->partitions) == i;

		scan->starts[i] = (struct bus_start){.partition = i, .offset = wanted ? 0 : -1};
	}
	*out = scan;
	scan = NULL;
out:
	scan_close(scan);
	return outcome;
}

int32_t scan_partitions(const struct scan *scan)
{
	return scan->partitions;
}

void scan_begin_at(struct scan *scan, int32_t partition, int64_t offset)
{
	scan->starts[partition].offset = offset;
}

enum outcome scan_begin_at_end(struct scan *scan, struct reason *why)
{
	for (int32_t i = 0; i < scan->partitions; i++) {
		struct reason trouble;
		int64_t low;
		int64_t high;

		if (scan->starts[i].offset < 0) {
			continue;
		}
		if (bus_watermarks(scan->consumer, scan->topic, i, &low, &high, CONTACT_MS,
				   &trouble) != OK) {
			return away(scan->cli, trouble.text, why);
		}
		scan->starts[i].offset = high;
	}
	return OK;
}

static enum outcome begin(struct scan *scan, struct reason *why)
{
	struct bus_start *starts;
	size_t count = 0;
	enum outcome outcome;

	if (scan->reading) {
		return OK;
	}
	starts = xcalloc((size_t)scan->partitions, sizeof(*starts));
	for (int32_t i = 0; i < scan->partitions; i++) {
		if (scan->starts[i].offset >= 0) {
			starts[count++] = scan->starts[i];
		}
	}
	outcome = bus_assign(scan->consumer, scan->topic, starts, count, why);
	free(starts);
	scan->reading = outcome == OK;
	return outcome;
}

/* How many partitions are still to be read to their end. */
static int32_t unread(const struct scan *scan)
{
	int32_t count = 0;

	for (int32_t i = 0; i < scan->partitions; i++) {
		count += scan->starts[i].offset >= 0 && !bus_at_end(scan->consumer, scan->topic, i);
	}
	return count;
}

static enum outcome silent(const struct scan *scan, struct reason *why)
{
	const char *trouble = bus_consumer_trouble(scan->consumer);

	return away(scan->cli, trouble[0] != '\0' ? trouble : "it says nothing", why);
}

enum outcome scan_read(struct scan *scan, scan_take take, void *context, struct reason *why)
{
	int64_t heard_ms = clock_ms();
	int32_t left = scan->partitions + 1;
	enum outcome outcome = begin(scan, why);

	while (outcome == OK && left > 0) {
		struct bus_message *message = bus_poll(scan->consumer, POLL_MS);
		int32_t before = left;

		if (message != NULL) {
			bool enough = !take(context, message);

			bus_message_destroy(message);
			heard_ms = clock_ms();
			if (enough) {
				return OK;
			}
			continue;
		}
		left = unread(scan); /* an end is told by an empty poll */
		if (left != before) {
			heard_ms = clock_ms();
		} else if (clock_ms() - heard_ms > SILENCE_MS) {
			outcome = silent(scan, why);
		}
	}
	return outcome;
}

enum outcome scan_wait(struct scan *scan, scan_take take, void *context, int timeout_ms,
		       struct reason *why)
{
	int64_t until_ms = clock_ms() + timeout_ms;
	enum outcome outcome = begin(scan, why);
	bool enough = false;

	while (outcome == OK && !enough) {
		struct bus_message *message = bus_poll(scan->consumer, POLL_MS);

		if (message != NULL) {
			enough = !take(context, message);
			bus_message_destroy(message);
		}
		if (!enough && clock_ms() > until_ms) {
			outcome = bus_consumer_trouble(scan->consumer)[0] != '\0'
					  ? silent(scan, why)
					  : because(TEMPFAIL, why, "%s: nothing more within %d s",
						    scan->topic, timeout_ms / 1000);
		}
	}
	return outcome;
}

void scan_close(struct scan *scan)
{
	if (scan != NULL) {
		bus_consumer_close(scan->consumer);
		free(scan->starts);
		free(scan);
	}
}

enum outcome scan_topic(const struct cli *cli, const char *topic, struct span key, scan_take take,
			void *context, struct reason *why)
{
	struct scan *scan = NULL;
	enum outcome outcome = scan_open(&scan, cli, topic, key, why);

	if (outcome == OK) {
		outcome = scan_read(scan, take, context, why);
	}
	scan_close(scan);
	return outcome;
}

/* --- sending ---------------------------------------------------------------------------------- */

enum outcome scan_producer(struct bus_producer **out, const struct cli *cli, struct reason *why)
{
	const struct bus_producer_options options = {.timeout_ms = SEND_MS};

	return bus_producer_create(out, &cli->settings.bus, &options, why);
}

struct sent {
	bool reported;
	struct bus_report report;
};

static void note_report(void *context, const struct bus_report *report)
{
	struct sent *sent = context;

	sent->reported = true;
	sent->report = *report;
}

enum outcome scan_send(struct bus_producer *producer, const struct bus_record *record,
		       int64_t *offset, struct reason *why)
{
	struct sent sent = {.reported = false};
	enum outcome outcome = bus_send(producer, record, note_report, &sent, why);

	if (outcome != OK) {
		return outcome;
	}
	while (!sent.reported) { /* comes after SEND_MS at the latest */
		(void)bus_producer_poll(producer, POLL_MS);
	}
	if (sent.report.outcome != OK) {
		return because(sent.report.outcome, why, "%.150s%s", sent.report.why.text,
			       sent.report.maybe ? "; it may be in the log all the same" : "");
	}
	if (offset != NULL) {
		*offset = sent.report.offset;
	}
	return OK;
}

int scan_failed(enum outcome outcome, const struct reason *why)
{
	complain("%s", why->text);
	return outcome == TEMPFAIL ? EXIT_AWAY : EXIT_FAILED;
}
