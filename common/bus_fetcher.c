/* SPDX-License-Identifier: Apache-2.0 */
/* Single records, asked for and taken without waiting, by one kept-open reader.
 *
 * It works in rounds: every partition from which something is wanted is assigned at the lowest
 * offset that is wanted there, and read on while the next one is near. What lies far behind waits
 * for the next round. */
#include "common/bus.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/bus_rdkafka.h"
#include "common/clock.h"

enum {
	FETCH_BYTES = 65536,
	ROUND_MS = 5000, /* a partition without a leader makes the others wait so long */
	/* Records read over rather than asked for anew: the library takes up to a second until it
	 * reads elsewhere (2.0.2), a local Kafka gives some thousand in that time. */
	NEAR = 2000,
};

struct fetch {
	STAILQ_ENTRY(fetch) link;
	const char *topic;
	int32_t partition;
	int64_t offset;
	void *ticket;
	struct bus_message *message;
};
STAILQ_HEAD(fetches, fetch);

/* A partition that is being read. */
struct reading {
	const char *topic;
	int32_t partition;
	int64_t position; /* the next offset that may come */
	bool done;        /* nothing near is wanted */
};

struct bus_fetcher {
	rd_kafka_t *rk;
	struct fetches wanted;
	struct fetches done;
	size_t count; /* of both */
	struct reading *round;
	size_t round_count; /* 0: nothing is read */
	int64_t round_until_ms;
};

enum outcome bus_fetcher_create(struct bus_fetcher **out, const struct bus_config *config,
				struct reason *why)
{
	static const struct bus_setting settings[] = {
		{"group.id", BUS_NO_GROUP, 0, false},
		{"enable.auto.commit", "false", 0, false},
		{"enable.auto.offset.store", "false", 0, false},
		{"auto.offset.reset", "error", 0, false}, /* another record would not do */
		{"enable.partition.eof", "true", 0, false},
		{"check.crcs", "true", 0, false},
		{"queued.min.messages", NULL, 1, false},
		{"fetch.wait.max.ms", NULL, 100, false}, /* an end of partition waits this long */
		{"message.max.bytes", NULL, FETCH_BYTES, false},
		{"fetch.max.bytes", NULL, FETCH_BYTES, false},
		{"fetch.message.max.bytes", NULL, FETCH_BYTES, false},
		{"receive.message.max.bytes", NULL, 2 * BUS_RECORD_BYTES_MAX, false},
		{0},
	};
	struct bus_fetcher *fetcher;
	rd_kafka_conf_t *conf = NULL;
	rd_kafka_t *rk = NULL;
	enum outcome outcome;

	outcome = bus_conf_create(&conf, config, settings, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = bus_client_create(&rk, RD_KAFKA_CONSUMER, conf, why);
	if (outcome != OK) {
		return outcome;
	}
	(void)rd_kafka_poll_set_consumer(rk); /* cannot fail for a consumer with a group.id */
	fetcher = xcalloc(1, sizeof(*fetcher));
	fetcher->rk = rk;
	STAILQ_INIT(&fetcher->wanted);
	STAILQ_INIT(&fetcher->done);
	*out = fetcher;
	return OK;
}

void bus_fetch(struct bus_fetcher *fetcher, const char *topic, int32_t partition, int64_t offset,
	       void *ticket)
{
	struct fetch *fetch = xcalloc(1, sizeof(*fetch));

	*fetch = (struct fetch){
		.topic = topic, .partition = partition, .offset = offset, .ticket = ticket};
	STAILQ_INSERT_TAIL(&fetcher->wanted, fetch, link);
	fetcher->count++;
}

size_t bus_fetching(const struct bus_fetcher *fetcher)
{
	return fetcher->count;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static struct reading *reading_of(const struct bus_fetcher *fetcher, const char *topic,
				  int32_t partition)
{
	for (size_t i = 0; i < fetcher->round_count; i++) {
		struct reading *reading = &fetcher->round[i];

		if (reading->partition == partition && strcmp(reading->topic, topic) == 0) {
			return reading;
		}
	}
	return NULL;
}

static void begin_round(struct bus_fetcher *fetcher)
{
	rd_kafka_topic_partition_list_t *list;
	struct fetch *fetch;
	size_t count = 0;

	free(fetcher->round);
	fetcher->round = xcalloc(fetcher->count + 1, sizeof(*fetcher->round));
	fetcher->round_count = 0;
	STAILQ_FOREACH(fetch, &fetcher->wanted, link)
	{
		struct reading *reading = reading_of(fetcher, fetch->topic, fetch->partition);

		if (reading == NULL) {
			reading = &fetcher->round[fetcher->round_count++];
			*reading = (struct reading){fetch->topic, fetch->partition, fetch->offset,
						    false};
		} else if (fetch->offset < reading->position) {
			reading->position = fetch->offset;
		}
		count++;
	}
	list = rd_kafka_topic_partition_list_new((int)fetcher->round_count);
	for (size_t i = 0; i < fetcher->round_count; i++) {
		const struct reading *reading = &fetcher->round[i];

		rd_kafka_topic_partition_list_add(list, reading->topic, reading->partition)
			->offset = reading->position;
	}
	/* An error ends with the round, by its time. */
	(void)rd_kafka_assign(fetcher->rk, count == 0 ? NULL : list);
	rd_kafka_topic_partition_list_destroy(list);
	fetcher->round_until_ms = clock_ms() + ROUND_MS;
}

static bool round_is_over(const struct bus_fetcher *fetcher)
{
	bool over = true;

	for (size_t i = 0; i < fetcher->round_count; i++) {
		over = over && fetcher->round[i].done;
	}
	return over || clock_ms() >= fetcher->round_until_ms;
}

/* --- what comes ------------------------------------------------------------------------------- */

/* Answers what is wanted of the stretch from `reading->position` to `offset`, which `message` (may
 * be NULL) has: nothing else is there. */
static void answer(struct bus_fetcher *fetcher, const struct reading *reading, int64_t offset,
		   const rd_kafka_message_t *message)
{
	struct fetch *next = STAILQ_FIRST(&fetcher->wanted);

	while (next != NULL) {
		struct fetch *fetch = next;

		next = STAILQ_NEXT(fetch, link);
		if (fetch->partition != reading->partition ||
		    strcmp(fetch->topic, reading->topic) != 0 ||
		    fetch->offset < reading->position || fetch->offset > offset) {
			continue;
		}
		if (message != NULL && fetch->offset == offset) {
			fetch->message = bus_message_create(message);
		}
		STAILQ_REMOVE(&fetcher->wanted, fetch, fetch, link);
		STAILQ_INSERT_TAIL(&fetcher->done, fetch, link);
	}
}

static bool is_near(const struct bus_fetcher *fetcher, const struct reading *reading)
{
	const struct fetch *fetch;

	STAILQ_FOREACH(fetch, &fetcher->wanted, link)
	{
		if (fetch->partition == reading->partition &&
		    strcmp(fetch->topic, reading->topic) == 0 &&
		    fetch->offset >= reading->position &&
		    fetch->offset < reading->position + NEAR) {
			return true;
		}
	}
	return false;
}

static void take(struct bus_fetcher *fetcher, const rd_kafka_message_t *message)
{
	struct reading *reading = message->rkt == NULL
					  ? NULL
					  : reading_of(fetcher, rd_kafka_topic_name(message->rkt),
						       message->partition);

	if (reading == NULL || reading->done) {
		return;
	}
	switch ((int)message->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		answer(fetcher, reading, message->offset, message);
		reading->position = message->offset + 1;
		reading->done = !is_near(fetcher, reading);
		break;
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		answer(fetcher, reading, INT64_MAX, NULL);
		reading->done = true;
		break;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: /* below the first that is left, or behind all
						     */
		answer(fetcher, reading, reading->position, NULL);
		reading->done = true;
		break;
	default:
		break; /* it goes on asking */
	}
}

bool bus_fetched(struct bus_fetcher *fetcher, struct bus_fetched *out)
{
	rd_kafka_message_t *message;
	struct fetch *fetch;

	while (STAILQ_EMPTY(&fetcher->done) &&
	       (message = rd_kafka_consumer_poll(fetcher->rk, 0)) != NULL) {
		take(fetcher, message);
		rd_kafka_message_destroy(message);
	}
	if ((fetcher->round_count != 0 || !STAILQ_EMPTY(&fetcher->wanted)) &&
	    round_is_over(fetcher)) {
		begin_round(fetcher);
	}
	fetch = STAILQ_FIRST(&fetcher->done);
	if (fetch == NULL) {
		return false;
	}
	STAILQ_REMOVE_HEAD(&fetcher->done, link);
	fetcher->count--;
	*out = (struct bus_fetched){fetch->ticket, fetch->message};
	free(fetch);
	return true;
}

static void destroy_all(struct fetches *list)
{
	struct fetch *fetch;

	while ((fetch = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		bus_message_destroy(fetch->message);
		free(fetch);
	}
}

void bus_fetcher_destroy(struct bus_fetcher *fetcher)
{
	if (fetcher == NULL) {
		return;
	}
	rd_kafka_destroy_flags(fetcher->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	destroy_all(&fetcher->wanted);
	destroy_all(&fetcher->done);
	free(fetcher->round);
	free(fetcher);
}
