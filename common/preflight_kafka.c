/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/event.h"
#include "common/preflight.h"

static enum check check_of(enum topic_fault fault)
{
	switch (fault) {
	case TOPIC_MISSING:
		return CHECK_TOPIC_ABSENT;
	case TOPIC_PARTITIONS:
		return CHECK_TOPIC_COUNTS;
	case TOPIC_EPOCH:
	case TOPIC_EPOCH_RIGHT:
		return CHECK_TOPIC_EPOCHS;
	case TOPIC_RIGHT:
	case TOPIC_SETTING:
		break;
	}
	return CHECK_TOPIC_SETTINGS;
}

static void take_topic(void *context, const char *topic, enum topic_fault fault, const char *text)
{
	struct preflight *preflight = context;
	bool right = fault == TOPIC_RIGHT || fault == TOPIC_EPOCH_RIGHT;

	preflight_say(preflight, check_of(fault), right ? FINDING_RIGHT : FINDING_WRONG, topic,
		      "%s", text);
}

static void say_right(struct preflight *preflight, enum check check, const char *where,
		      const char *text)
{
	for (size_t i = 0; i < preflight->count; i++) {
		if (preflight->items[i].check == check) {
			return;
		}
	}
	preflight_say(preflight, check, FINDING_RIGHT, where, "%s", text);
}

/* --- the clock: Kafka tells it only with a record ----------------------------------------------
 */

/* Its stamp lies before now, and behind what the sender wrote into it just before. false: it is no
 * status. */
static bool compare(struct preflight *preflight, const char *where,
		    const struct bus_message *message)
{
	int64_t now_ms = clock_wall_ms();
	struct status_event status;
	struct reason why;
	int64_t at_ms;

	if (status_event_decode(message->value, &status, &why) != OK) {
		return false;
	}
	at_ms = status.at_ms;
	status_event_finish(&status);
	if (message->timestamp_ms > now_ms + CLOCK_SKEW_MS) {
		preflight_say(preflight, CHECK_KAFKA_CLOCK, FINDING_WARN, where,
			      "the newest status came %.1f s from now by Kafka's clock: is NTP at "
			      "work there and here?",
			      (double)(message->timestamp_ms - now_ms) / 1000.0);
	} else if (at_ms > message->timestamp_ms + CLOCK_SKEW_MS) {
		preflight_say(
			preflight, CHECK_KAFKA_CLOCK, FINDING_WARN, where,
			"the newest status was written %.1f s after it came, by the clocks of "
			"its writer and of Kafka: is NTP at work on both?",
			(double)(at_ms - message->timestamp_ms) / 1000.0);
	} else {
		preflight_say(preflight, CHECK_KAFKA_CLOCK, FINDING_RIGHT, where,
			      "within 5 s of ours, by the newest status");
	}
	return true;
}

static bool look_at_partition(struct preflight *preflight, const char *where,
			      struct bus_consumer *consumer, const struct bus_config *bus,
			      int32_t partition, int timeout_ms)
{
	struct bus_message *message = NULL;
	struct reason why;
	int64_t low;
	int64_t high;
	bool done = false;

	if (bus_watermarks(consumer, TOPIC_STATUS, partition, &low, &high, timeout_ms, &why) !=
		    OK ||
	    high <= low ||
	    bus_fetch_one(bus, TOPIC_STATUS, partition, high - 1, timeout_ms, &message, &why) !=
		    OK) {
		return false;
	}
	done = compare(preflight, where, message);
	bus_message_destroy(message);
	return done;
}

static void check_clock(struct preflight *preflight, const char *where,
			const struct bus_config *bus, const struct topics_config *topics,
			int timeout_ms)
{
	const struct bus_consumer_options options = {0};
	struct bus_consumer *consumer = NULL;
	struct reason why;
	bool done = false;

	if (bus_consumer_create(&consumer, bus, &options, NULL, &why) == OK) {
		for (int32_t i = 0; i < topics->partitions && !done; i++) {
			done = look_at_partition(preflight, where, consumer, bus, i, timeout_ms);
		}
		bus_consumer_close(consumer);
	}
	if (!done) {
		preflight_say(
			preflight, CHECK_KAFKA_CLOCK, FINDING_UNSEEN, where,
			"Kafka tells its time with a record only, and there is no status yet");
	}
}

void preflight_kafka(struct preflight *preflight, const struct bus_config *bus,
		     const struct topics_config *topics, int timeout_ms, bool deep)
{
	struct reason why;
	char where[96];

	(void)snprintf(where, sizeof(where), "kafka %s", bus->brokers);
	if (topics_inspect(bus, topics, timeout_ms, deep, take_topic, preflight, &why) != OK) {
		preflight_say(preflight, CHECK_KAFKA_REACH, FINDING_AWAY, where, "%s", why.text);
		return;
	}
	preflight_say(preflight, CHECK_KAFKA_REACH, FINDING_RIGHT, where, "it answers");
	say_right(preflight, CHECK_TOPIC_ABSENT, where, "all topics are there");
	say_right(preflight, CHECK_TOPIC_COUNTS, where, "as topics.partitions says");
	say_right(preflight, CHECK_TOPIC_SETTINGS, where, "nothing to look at");
	if (deep) {
		check_clock(preflight, where, bus, topics, timeout_ms);
	}
}
