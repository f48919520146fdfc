/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus.h"

#include <stdlib.h>
#include <string.h>

#include "common/bus_rdkafka.h"

/* Where the next bytes of the message's one allocation go. */
struct place {
	char *at;
};

static struct span put(struct place *place, const void *data, size_t len)
{
	struct span span = {.data = place->at, .len = len};

	if (len > 0) {
		memcpy(place->at, data, len);
	}
	place->at[len] = '\0';
	place->at += len + 1;
	return span;
}

/* Sum over the headers of what `put` needs. */
static size_t headers_size(const rd_kafka_headers_t *headers, size_t count)
{
	size_t size = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		const char *name = "";
		const void *value = NULL;
		size_t len = 0;

		(void)rd_kafka_header_get_all(headers, i, &name, &value, &len); /* i < count */
		size += strlen(name) + 1 + len + 1;
	}
	return size;
}

struct bus_message *bus_message_create(const rd_kafka_message_t *message)
{
	const char *topic = rd_kafka_topic_name(message->rkt);
	rd_kafka_headers_t *headers = NULL;
	rd_kafka_timestamp_type_t stamp;
	struct bus_message *made;
	struct header *items;
	struct place place;
	size_t count = 0;
	size_t size;
	size_t i;

	if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		count = rd_kafka_header_cnt(headers);
	}
	size = sizeof(*made) + count * sizeof(*items) + strlen(topic) + 1 + message->key_len + 1 +
	       message->len + 1 + headers_size(headers, count);
	made = xmalloc(size);
	items = (struct header *)(made + 1);
	place.at = (char *)(items + count);
	*made = (struct bus_message){
		.partition = message->partition,
		.offset = message->offset,
		.timestamp_ms = rd_kafka_message_timestamp(message, &stamp),
		.is_null = message->payload == NULL,
		.headers = items,
		.header_count = count,
	};
	made->topic = put(&place, topic, strlen(topic)).data;
	made->key = put(&place, message->key, message->key_len);
	if (!made->is_null) {
		made->value = put(&place, message->payload, message->len);
	}
	for (i = 0; i < count; i++) {
		const char *name = "";
		const void *value = NULL;
		size_t len = 0;

		(void)rd_kafka_header_get_all(headers, i, &name, &value, &len); /* i < count */
		items[i].name = put(&place, name, strlen(name)).data;
		items[i].value = put(&place, value, len);
	}
	return made;
}

struct span bus_message_header(const struct bus_message *message, const char *name)
{
	size_t i;

	for (i = 0; i < message->header_count; i++) {
		if (strcmp(message->headers[i].name, name) == 0) {
			return message->headers[i].value;
		}
	}
	return SPAN_EMPTY;
}

void bus_message_destroy(struct bus_message *message)
{
	free(message);
}
