/* SPDX-License-Identifier: Apache-2.0 */
/* letters.h: dadns.dead-letters as a list. Kafka cannot take one record out, so a letter that was
 * replayed or dropped is followed by a *marker*: a null value under the letter's key, in its
 * partition, whose headers name the letter (`dlq.letter`) and what was done (`dlq.done`).
 *
 * Threads: none of this is shared.
 */
#ifndef CLI_LETTERS_H
#define CLI_LETTERS_H

#include "cli/verb.h"
#include "common/bus.h"
#include "common/event.h"

enum letter_state { LETTER_OPEN, LETTER_REPLAYED, LETTER_DROPPED };

struct letter {
	int32_t partition; /* these two are its id: PARTITION-OFFSET */
	int64_t offset;
	int64_t at_ms; /* when it was put away */
	enum letter_state state;
	char *key_bytes; /* as it is, `key_len` of them */
	size_t key_len;
	char *key; /* for people: escaped and cut where it is no zone */
	struct name zone;
	bool has_zone;
	char *topic;   /* of the original */
	char *backend; /* empty: none is concerned (the judge's) */
	char *stage;
	char *code;
	char *attempts;
	char *message;
	struct version version; /* of the value that was put away; none: unreadable */
};

struct letters {
	struct letter *items;
	size_t count;
};

#define LETTER_ID_SIZE 40
void letter_id(const struct letter *letter, char out[LETTER_ID_SIZE]);
bool letter_id_parse(const char *text, int32_t *partition, int64_t *offset);
const char *letter_state_text(enum letter_state state);

/* Zero-initialised. Takes in one record: a letter, or a marker that closes one. */
void letters_take(struct letters *letters, const struct bus_message *message);
/* Reads them all, the oldest first. */
MUST_CHECK enum outcome letters_read(struct letters *letters, const struct cli *cli,
				     struct reason *why);
struct letter *letters_find(const struct letters *letters, int32_t partition, int64_t offset);
void letters_finish(struct letters *letters);

/* Writes the marker. `by`: who does it. */
MUST_CHECK enum outcome letter_close(struct bus_producer *producer, const struct letter *letter,
				     enum letter_state state, const char *by, struct reason *why);

#endif
