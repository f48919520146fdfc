/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus_rdkafka.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

struct metric bus_rows[BUS_ROWS] = {
	[BUS_SENT] = COUNTER("dadns_bus_sent_total", "", "records that Kafka confirmed"),
	[BUS_SENT_BYTES] = COUNTER("dadns_bus_sent_bytes_total", "",
				   "bytes of the values that Kafka confirmed"),
	[BUS_FAILED_TIMEOUT] = COUNTER("dadns_bus_failed_total", "reason=\"timeout\"",
				       "records that were taken and not confirmed"),
	[BUS_FAILED_PURGED] = COUNTER("dadns_bus_failed_total", "reason=\"purged\"",
				      "records that were taken and not confirmed"),
	[BUS_FAILED_TOPIC] = COUNTER("dadns_bus_failed_total", "reason=\"topic\"",
				     "records that were taken and not confirmed"),
	[BUS_FAILED_REFUSED] = COUNTER("dadns_bus_failed_total", "reason=\"refused\"",
				       "records that were taken and not confirmed"),
	[BUS_NOT_TAKEN_FULL] = COUNTER("dadns_bus_not_taken_total", "reason=\"full\"",
				       "records that were not even queued"),
	[BUS_NOT_TAKEN_REFUSED] = COUNTER("dadns_bus_not_taken_total", "reason=\"refused\"",
					  "records that were not even queued"),
	[BUS_ACK] = HISTOGRAM("dadns_bus_ack_seconds", "",
			      "from sending a record to Kafka's confirmation, linger included"),
	[BUS_CONSUMED] = COUNTER("dadns_bus_consumed_total", "", "records read"),
	[BUS_CONSUMED_BYTES] =
		COUNTER("dadns_bus_consumed_bytes_total", "", "bytes of the values read"),
	[BUS_ASSIGNED] = COUNTER("dadns_bus_rebalances_total", "what=\"assigned\"",
				 "times that the group gave or took partitions"),
	[BUS_REVOKED] = COUNTER("dadns_bus_rebalances_total", "what=\"revoked\"",
				"times that the group gave or took partitions"),
	[BUS_LOST] = COUNTER("dadns_bus_rebalances_total", "what=\"lost\"",
			     "times that the group gave or took partitions"),
	[BUS_PARTITIONS] =
		GAUGE("dadns_bus_partitions", "", "partitions that the group has given us"),
	[BUS_STORE_REFUSED] = COUNTER("dadns_bus_store_refused_total", "",
				      "offsets of partitions that were not ours any more"),
	[BUS_TROUBLES] =
		COUNTER("dadns_bus_troubles_total", "", "errors that Kafka's library told"),
};
const struct metric_table bus_metrics = METRIC_TABLE(bus_rows);

/* Of every client. */
static const struct bus_setting everyone[] = {
	{"socket.nagle.disable", "true", 0, false},
	{"socket.keepalive.enable", "true", 0, false},
	/* A frozen broker is noticed in 10 s, one that is back is found in 1 s. */
	{"socket.timeout.ms", NULL, 10000, false},
	{"reconnect.backoff.max.ms", NULL, 1000, false},
	/* I2: a topic that Kafka makes by itself has the wrong number of partitions. */
	{"allow.auto.create.topics", "false", 0, false},
	{"statistics.interval.ms", NULL, 0, false},
	{0},
};

/* What invariants rest on: every name that librdkafka has for it. */
static const char *const ours[] = {
	"acks",                  /* I1 */
	"request.required.acks", /* I1 */
	"enable.idempotence",    /* I1 */
	"enable.gapless.guarantee",
	"transactional.id",
	"message.timeout.ms", /* the judge's producer never gives up, the door's must */
	"delivery.timeout.ms",
	"linger.ms",
	"queue.buffering.max.ms",
	"partitioner", /* I2 */
	"allow.auto.create.topics",
	"group.id",
	"group.instance.id",
	"enable.auto.commit",       /* I3 */
	"auto.commit.enable",       /* I3 */
	"enable.auto.offset.store", /* I3 */
	"auto.offset.reset",        /* I3 */
	"offset.store.method",
	"partition.assignment.strategy",
	"isolation.level",
	"enable.partition.eof",
	"check.crcs",
	"metadata.broker.list", /* the same as kafka.brokers */
	"bootstrap.servers",
	NULL,
};

static void library_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	log_debug("kafka library", F("level", level), F("facility", facility), F("text", text));
}

static enum outcome set(rd_kafka_conf_t *conf, const struct bus_setting *setting,
			struct reason *why)
{
	char number[24];
	char error[200];
	const char *text = setting->text;
	rd_kafka_conf_res_t result;

	if (text == NULL) {
		(void)snprintf(number, sizeof(number), "%" PRId64, setting->number);
		text = number;
	}
	result = rd_kafka_conf_set(conf, setting->name, text, error, sizeof(error));
	if (result == RD_KAFKA_CONF_OK || (result == RD_KAFKA_CONF_UNKNOWN && setting->newer)) {
		return OK;
	}
	return because(PERMFAIL, why, "kafka.%s: %s", setting->name, error);
}

static enum outcome set_all(rd_kafka_conf_t *conf, const struct bus_setting *settings,
			    struct reason *why)
{
	enum outcome outcome = OK;
	size_t i;

	for (i = 0; settings[i].name != NULL && outcome == OK; i++) {
		outcome = set(conf, &settings[i], why);
	}
	return outcome;
}

static bool is_ours(const char *name)
{
	size_t i;

	for (i = 0; ours[i] != NULL; i++) {
		/* librdkafka takes topic settings with this prefix too */
		if (strcmp(name, ours[i]) == 0 ||
		    (strncmp(name, "topic.", 6) == 0 && strcmp(name + 6, ours[i]) == 0)) {
			return true;
		}
	}
	return false;
}

static enum outcome set_rest(rd_kafka_conf_t *conf, const struct config *config, struct reason *why)
{
	struct bus_setting setting = {0};
	enum outcome outcome = OK;
	size_t i;

	for (i = 0; outcome == OK && config_rest(config, i, &setting.name, &setting.text); i++) {
		if (is_ours(setting.name)) {
			return because(
				PERMFAIL, why,
				"kafka.%s cannot be set: what DaDNS promises rests on its own "
				"value; remove the key",
				setting.name);
		}
		outcome = set(conf, &setting, why);
	}
	return outcome;
}

enum outcome bus_conf_create(rd_kafka_conf_t **out, const struct bus_config *config,
			     const struct bus_setting *settings, struct reason *why)
{
	const struct bus_setting where[] = {
		{"bootstrap.servers", config->brokers, 0, false},
		{"client.id", config->client_id != NULL ? config->client_id : "dadns", 0, false},
		{0},
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	enum outcome outcome;

	assert(config->brokers != NULL);
	rd_kafka_conf_set_log_cb(conf, library_log);
	outcome = set_all(conf, everyone, why);
	if (outcome == OK) {
		outcome = set_all(conf, where, why);
	}
	if (outcome == OK) {
		outcome = set_all(conf, settings, why);
	}
	if (outcome == OK && config->config != NULL) {
		outcome = set_rest(conf, config->config, why);
	}
	if (outcome != OK) {
		rd_kafka_conf_destroy(conf);
		return outcome;
	}
	*out = conf;
	return OK;
}

enum outcome bus_client_create(rd_kafka_t **out, rd_kafka_type_t type, rd_kafka_conf_t *conf,
			       struct reason *why)
{
	char error[200];
	rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof(error));

	if (rk == NULL) {
		rd_kafka_conf_destroy(conf); /* rd_kafka_new takes it only when it succeeds */
		return because(PERMFAIL, why, "kafka: %s", error);
	}
	*out = rk;
	return OK;
}

bool bus_client_fatal(rd_kafka_t *rk, struct reason *why)
{
	char text[200];

	if (rd_kafka_fatal_error(rk, text, sizeof(text)) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		return false;
	}
	(void)because(PERMFAIL, why, "kafka: fatal: %s", text);
	return true;
}
