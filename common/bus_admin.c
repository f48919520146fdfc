/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus_admin.h"

#include <stdlib.h>
#include <string.h>

#include "common/bus_rdkafka.h"

struct bus_admin {
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue; /* answers */
	char *brokers;           /* for texts */
};

enum outcome bus_admin_create(struct bus_admin **out, const struct bus_config *config,
			      struct reason *why)
{
	static const struct bus_setting settings[] = {{0}};
	rd_kafka_conf_t *conf = NULL;
	struct bus_admin *admin;
	rd_kafka_t *rk = NULL;
	enum outcome outcome;

	outcome = bus_conf_create(&conf, config, settings, why);
	if (outcome != OK) {
		return outcome;
	}
	outcome = bus_client_create(&rk, RD_KAFKA_PRODUCER, conf, why);
	if (outcome != OK) {
		return outcome;
	}
	admin = xcalloc(1, sizeof(*admin));
	admin->rk = rk;
	admin->queue = rd_kafka_queue_new(rk);
	admin->brokers = xstrdup(config->brokers);
	*out = admin;
	return OK;
}

void bus_admin_destroy(struct bus_admin *admin)
{
	if (admin == NULL) {
		return;
	}
	rd_kafka_queue_destroy(admin->queue);
	rd_kafka_destroy(admin->rk);
	free(admin->brokers);
	free(admin);
}

/* Kafka's own no, or Kafka not there. */
static enum outcome kind_of(rd_kafka_resp_err_t error)
{
	/* unknown: of several brokers one hears later of a topic than another */
	bool later = error < 0 || error == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
		     error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		     error == RD_KAFKA_RESP_ERR_NOT_CONTROLLER ||
		     error == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;

	return later ? TEMPFAIL : PERMFAIL;
}

enum outcome bus_admin_find(struct bus_admin *admin, const char *topic, int32_t *partitions,
			    int32_t *replicas, int timeout_ms, struct reason *why)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t error;
	int i;

	/* All topics: to ask for one by name would make some brokers make it. */
	error = rd_kafka_metadata(admin->rk, 1, NULL, &metadata, timeout_ms);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return because(TEMPFAIL, why, "Kafka at %s does not answer: %s", admin->brokers,
			       rd_kafka_err2str(error));
	}
	*partitions = 0;
	*replicas = 0;
	for (i = 0; i < metadata->topic_cnt; i++) {
		const struct rd_kafka_metadata_topic *found = &metadata->topics[i];

		if (strcmp(found->topic, topic) == 0 && found->partition_cnt > 0) {
			*partitions = found->partition_cnt;
			*replicas = found->partitions[0].replica_cnt;
		}
	}
	rd_kafka_metadata_destroy(metadata);
	return OK;
}

static rd_kafka_AdminOptions_t *options_for(struct bus_admin *admin, rd_kafka_admin_op_t op,
					    int timeout_ms)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->rk, op);
	char error[100];

	/* Fails only outside of 0..1 h; then the library's own default holds. */
	(void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, error, sizeof(error));
	return options;
}

/* The answer as a whole; what it says about the topic is the caller's to look at. */
static enum outcome wait_for(struct bus_admin *admin, int timeout_ms, const char *topic,
			     rd_kafka_event_t **out, struct reason *why)
{
	/* The library answers by itself at the time-out; a second more for its answer. */
	rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, timeout_ms + 1000);
	enum outcome outcome;

	if (event == NULL) {
		return because(TEMPFAIL, why, "kafka: %s: no answer within %d ms", topic,
			       timeout_ms);
	}
	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		outcome = because(kind_of(rd_kafka_event_error(event)), why, "kafka: %s: %s", topic,
				  rd_kafka_event_error_string(event));
		rd_kafka_event_destroy(event);
		return outcome;
	}
	*out = event;
	return OK;
}

/* --- making ----------------------------------------------------------------------------------- */

static enum outcome made(rd_kafka_event_t *event, const char *topic, struct reason *why)
{
	size_t n = 0;
	const rd_kafka_CreateTopics_result_t *result;
	const rd_kafka_topic_result_t **topics;
	rd_kafka_resp_err_t error;

	result = rd_kafka_event_CreateTopics_result(event);
	topics = rd_kafka_CreateTopics_result_topics(result, &n);
	if (n != 1) {
		return because(TEMPFAIL, why, "kafka: %s: not made, no reason given", topic);
	}
	error = rd_kafka_topic_result_error(topics[0]);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR ||
	    error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
		return OK;
	}
	return because(kind_of(error), why, "kafka: %s: not made: %s", topic,
		       rd_kafka_topic_result_error_string(topics[0]) != NULL
			       ? rd_kafka_topic_result_error_string(topics[0])
			       : rd_kafka_err2str(error));
}

enum outcome bus_admin_make(struct bus_admin *admin, const char *topic, int32_t partitions,
			    int32_t replicas, const struct bus_topic_setting *settings,
			    size_t count, int timeout_ms, struct reason *why)
{
	rd_kafka_AdminOptions_t *options = NULL;
	rd_kafka_event_t *event = NULL;
	rd_kafka_NewTopic_t *wanted;
	enum outcome outcome;
	char error[200];
	size_t i;

	wanted = rd_kafka_NewTopic_new(topic, partitions, replicas > 0 ? replicas : -1, error,
				       sizeof(error));
	if (wanted == NULL) {
		return because(PERMFAIL, why, "kafka: %s: %s", topic, error);
	}
	for (i = 0; i < count; i++) {
		/* Fails for an empty name only. */
		(void)rd_kafka_NewTopic_set_config(wanted, settings[i].name, settings[i].value);
	}
	options = options_for(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
	/* Wait until the topic is there, not only agreed on. */
	(void)rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, error,
							  sizeof(error));
	rd_kafka_CreateTopics(admin->rk, &wanted, 1, options, admin->queue);
	outcome = wait_for(admin, timeout_ms, topic, &event, why);
	if (outcome == OK) {
		outcome = made(event, topic, why);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_NewTopic_destroy(wanted);
	return outcome;
}

/* --- settings --------------------------------------------------------------------------------- */

/* What Kafka says to one resource. */
static enum outcome resource_ok(const rd_kafka_ConfigResource_t *const *resources, size_t n,
				const char *topic, struct reason *why)
{
	rd_kafka_resp_err_t error;

	if (n != 1) {
		return because(TEMPFAIL, why, "kafka: %s: no answer about its settings", topic);
	}
	error = rd_kafka_ConfigResource_error(resources[0]);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		const char *text = rd_kafka_ConfigResource_error_string(resources[0]);

		return because(kind_of(error), why, "kafka: %s: settings: %s", topic,
			       text != NULL ? text : rd_kafka_err2str(error));
	}
	return OK;
}

static void tell_each(const rd_kafka_ConfigResource_t *resource,
		      void (*each)(void *context, const char *name, const char *value, bool own),
		      void *context)
{
	size_t n = 0;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);
	size_t i;

	for (i = 0; i < n; i++) {
		const char *value = rd_kafka_ConfigEntry_value(entries[i]);

		each(context, rd_kafka_ConfigEntry_name(entries[i]), value != NULL ? value : "",
		     rd_kafka_ConfigEntry_source(entries[i]) ==
			     RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG);
	}
}

enum outcome bus_admin_settings(struct bus_admin *admin, const char *topic,
				void (*each)(void *context, const char *name, const char *value,
					     bool own),
				void *context, int timeout_ms, struct reason *why)
{
	rd_kafka_AdminOptions_t *options =
		options_for(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
	rd_kafka_ConfigResource_t *resource =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
	const rd_kafka_ConfigResource_t **found;
	rd_kafka_event_t *event = NULL;
	enum outcome outcome;
	size_t n = 0;

	rd_kafka_DescribeConfigs(admin->rk, &resource, 1, options, admin->queue);
	outcome = wait_for(admin, timeout_ms, topic, &event, why);
	if (outcome != OK) {
		goto out;
	}
	found = rd_kafka_DescribeConfigs_result_resources(
		rd_kafka_event_DescribeConfigs_result(event), &n);
	outcome = resource_ok(found, n, topic, why);
	if (outcome == OK) {
		tell_each(found[0], each, context);
	}
	rd_kafka_event_destroy(event);
out:
	rd_kafka_ConfigResource_destroy(resource);
	rd_kafka_AdminOptions_destroy(options);
	return outcome;
}

struct merge {
	rd_kafka_ConfigResource_t *into;
	const struct bus_topic_setting *settings;
	size_t count;
};

static void keep_other(void *context, const char *name, const char *value, bool own)
{
	struct merge *merge = context;
	size_t i;

	for (i = 0; i < merge->count; i++) {
		if (strcmp(name, merge->settings[i].name) == 0) {
			return;
		}
	}
	if (own) {
		/* Fails for an empty name only. */
		(void)rd_kafka_ConfigResource_set_config(merge->into, name, value);
	}
}

enum outcome bus_admin_set(struct bus_admin *admin, const char *topic,
			   const struct bus_topic_setting *settings, size_t count, int timeout_ms,
			   struct reason *why)
{
	rd_kafka_AdminOptions_t *options =
		options_for(admin, RD_KAFKA_ADMIN_OP_ALTERCONFIGS, timeout_ms);
	rd_kafka_ConfigResource_t *resource =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
	struct merge merge = {.into = resource, .settings = settings, .count = count};
	const rd_kafka_ConfigResource_t **answer;
	rd_kafka_event_t *event = NULL;
	enum outcome outcome;
	size_t n = 0;
	size_t i;

	outcome = bus_admin_settings(admin, topic, keep_other, &merge, timeout_ms, why);
	if (outcome != OK) {
		goto out;
	}
	for (i = 0; i < count; i++) {
		/* Fails for an empty name only. */
		(void)rd_kafka_ConfigResource_set_config(resource, settings[i].name,
							 settings[i].value);
	}
	rd_kafka_AlterConfigs(admin->rk, &resource, 1, options, admin->queue);
	outcome = wait_for(admin, timeout_ms, topic, &event, why);
	if (outcome != OK) {
		goto out;
	}
	answer = rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event),
							&n);
	outcome = resource_ok(answer, n, topic, why);
	rd_kafka_event_destroy(event);
out:
	rd_kafka_ConfigResource_destroy(resource);
	rd_kafka_AdminOptions_destroy(options);
	return outcome;
}

enum outcome bus_admin_members(struct bus_admin *admin, const char *group, size_t *count,
			       int timeout_ms, struct reason *why)
{
	const struct rd_kafka_group_list *list = NULL;
	rd_kafka_resp_err_t error;

	error = rd_kafka_list_groups(admin->rk, group, &list, timeout_ms);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		return because(TEMPFAIL, why, "Kafka at %s does not tell of group %s: %s",
			       admin->brokers, group, rd_kafka_err2str(error));
	}
	*count = list->group_cnt > 0 ? (size_t)list->groups[0].member_cnt : 0;
	rd_kafka_group_list_destroy(list);
	return OK;
}
