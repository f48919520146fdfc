/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/scan.h"

#define HEADER_LETTER "dlq.letter"
#define HEADER_DONE "dlq.done"
#define HEADER_DONE_BY "dlq.done-by"

static const char *const state_texts[] = {
	[LETTER_OPEN] = "open", [LETTER_REPLAYED] = "replayed", [LETTER_DROPPED] = "dropped"};

const char *letter_state_text(enum letter_state state)
{
	return state_texts[state];
}

void letter_id(const struct letter *letter, char out[LETTER_ID_SIZE])
{
	(void)snprintf(out, LETTER_ID_SIZE, "%" PRId32 "-%" PRId64, letter->partition,
		       letter->offset); /* 11 and 20 bytes at most */
}

/* Digits alone, up to `end`. */
static bool number_parse(const char *text, const char *end, int64_t highest, int64_t *out)
{
	int64_t number = 0;

	if (text == end) {
		return false;
	}
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || number > (highest - (*text - '0')) / 10) {
			return false;
		}
		number = number * 10 + (*text - '0');
	}
	*out = number;
	return true;
}

bool letter_id_parse(const char *text, int32_t *partition, int64_t *offset)
{
	const char *dash = strchr(text, '-');
	int64_t number;

	if (dash == NULL || !number_parse(text, dash, INT32_MAX, &number) ||
	    !number_parse(dash + 1, text + strlen(text), INT64_MAX, offset)) {
		return false;
	}
	*partition = (int32_t)number;
	return true;
}

/* --- reading ---------------------------------------------------------------------------------- */

static char *copy(struct span text)
{
	return xstrndup(text.data != NULL ? text.data : "", text.len);
}

struct letter *letters_find(const struct letters *letters, int32_t partition, int64_t offset)
{
	for (size_t i = letters->count; i-- != 0;) { /* a marker mostly follows at once */
		struct letter *letter = &letters->items[i];

		if (letter->partition == partition && letter->offset == offset) {
			return letter;
		}
	}
	return NULL;
}

static void take_marker(struct letters *letters, struct span id, struct span done)
{
	char text[LETTER_ID_SIZE];
	int32_t partition;
	int64_t offset;
	struct letter *letter = NULL;

	(void)snprintf(text, sizeof(text), "%.*s", (int)id.len, id.data); /* cut: no id of ours */
	if (letter_id_parse(text, &partition, &offset)) {
		letter = letters_find(letters, partition, offset);
	}
	if (letter != NULL) { /* else retention took it, or it is no letter of ours */
		letter->state = span_is(done, state_texts[LETTER_REPLAYED]) ? LETTER_REPLAYED
									    : LETTER_DROPPED;
	}
}

/* Which version the original spoke of, where it can be read. */
static struct version version_of(const struct bus_message *message, const char *topic)
{
	struct version version = {0};
	struct zone_event zone;
	struct heal_event heal;

	if (message->is_null) {
		return version;
	}
	if (strcmp(topic, TOPIC_ZONES) == 0 &&
	    zone_event_decode_summary(message->value, &zone, NULL) == OK) {
		version = zone.version;
		zone_event_finish(&zone);
	} else if (strcmp(topic, TOPIC_HEALS) == 0 &&
		   heal_event_decode(message->value, &heal, NULL) == OK) {
		version = heal.value.version;
		heal_event_finish(&heal);
	}
	return version;
}

void letters_take(struct letters *letters, const struct bus_message *message)
{
	struct span id = bus_message_header(message, HEADER_LETTER);
	struct letter *letter;

	if (id.data != NULL) {
		take_marker(letters, id, bus_message_header(message, HEADER_DONE));
		return;
	}
	letters->items = xrealloc(letters->items, (letters->count + 1) * sizeof(*letters->items));
	letter = &letters->items[letters->count++];
	*letter = (struct letter){
		.partition = message->partition,
		.offset = message->offset,
		.at_ms = message->timestamp_ms,
		.topic = copy(bus_message_header(message, "dlq.original.topic")),
		.backend = copy(bus_message_header(message, "dlq.backend")),
		.stage = copy(bus_message_header(message, "dlq.stage")),
		.code = copy(bus_message_header(message, "dlq.error.code")),
		.attempts = copy(bus_message_header(message, "dlq.attempts")),
		.message = copy(bus_message_header(message, "dlq.error.message")),
	};
	letter->has_zone = name_parse(message->key, &letter->zone, NULL) == OK;
	letter->key_len = message->key.len;
	letter->key_bytes = xmalloc(letter->key_len + 1);
	if (letter->key_len != 0) {
		memcpy(letter->key_bytes, message->key.data, letter->key_len);
	}
	letter->key = letter->has_zone ? xstrdup(letter->zone.text)
				       : xstrdup(name_quote(message->key).text);
	letter->version = version_of(message, letter->topic);
}

static bool take(void *context, const struct bus_message *message)
{
	letters_take(context, message);
	return true;
}

static int by_age(const void *a, const void *b)
{
	const struct letter *left = a;
	const struct letter *right = b;

	if (left->at_ms != right->at_ms) {
		return left->at_ms < right->at_ms ? -1 : 1;
	}
	if (left->partition != right->partition) {
		return left->partition < right->partition ? -1 : 1;
	}
	return left->offset < right->offset ? -1 : 1;
}

enum outcome letters_read(struct letters *letters, const struct cli *cli, struct reason *why)
{
	enum outcome outcome = scan_topic(cli, TOPIC_DEAD_LETTERS, SPAN_EMPTY, take, letters, why);

	if (outcome == OK && letters->count != 0) {
		qsort(letters->items, letters->count, sizeof(*letters->items), by_age);
	}
	return outcome;
}

void letters_finish(struct letters *letters)
{
	for (size_t i = 0; i < letters->count; i++) {
		struct letter *letter = &letters->items[i];

		free(letter->key_bytes);
		free(letter->key);
		free(letter->topic);
		free(letter->backend);
		free(letter->stage);
		free(letter->code);
		free(letter->attempts);
		free(letter->message);
	}
	free(letters->items);
	*letters = (struct letters){0};
}

/* --- closing ---------------------------------------------------------------------------------- */

enum outcome letter_close(struct bus_producer *producer, const struct letter *letter,
			  enum letter_state state, const char *by, struct reason *why)
{
	char id[LETTER_ID_SIZE];
	struct header headers[] = {
		{HEADER_LETTER, SPAN_EMPTY},
		{HEADER_DONE, span_of(letter_state_text(state))},
		{HEADER_DONE_BY, span_of(by)},
	};

	letter_id(letter, id);
	headers[0].value = span_of(id);
	return scan_send(producer,
			 &(struct bus_record){
				 .topic = TOPIC_DEAD_LETTERS,
				 .partition = letter->partition,
				 .key = {letter->key_bytes, letter->key_len},
				 .headers = headers,
				 .header_count = sizeof(headers) / sizeof(headers[0]),
			 },
			 NULL, why);
}
