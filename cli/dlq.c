/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dlq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/letters.h"
#include "cli/output.h"
#include "cli/scan.h"
#include "cli/values.h"
#include "common/clock.h"

#define SHOW_MAX ((size_t)128 << 20)
#define HEAL_MAX ((size_t)17 << 20)
#define FETCH_MS 10000

static bool fits(const struct cli *cli, const struct letter *letter, bool closed_too)
{
	const char *backend = config_flag(cli->config, "backend");
	const char *zone = config_flag(cli->config, "zone");
	struct name name;

	if (letter->state != LETTER_OPEN && !closed_too) {
		return false;
	}
	if (backend != NULL && strcmp(backend, letter->backend) != 0) {
		return false;
	}
	return zone == NULL || (letter->has_zone && name_parse(span_of(zone), &name, NULL) == OK &&
				name_equal(&name, &letter->zone));
}

/* --- list, show ------------------------------------------------------------------------------- */

static void add_id(struct output *output, const struct letter *letter)
{
	char id[LETTER_ID_SIZE];

	letter_id(letter, id);
	output_add(output, span_of(id));
}

static int list(const struct cli *cli)
{
	static const char *const columns[] = {"id",       "zone", "backend", "stage",   "code",
					      "attempts", "when", "state",   "message", NULL};
	bool closed_too = config_flag_given(cli->config, "all-states");
	struct letters letters = {0};
	struct output output;
	struct reason why;
	enum outcome outcome = letters_read(&letters, cli, &why);

	if (outcome != OK) {
		letters_finish(&letters);
		return scan_failed(outcome, &why);
	}
	output_init(&output, columns);
	for (size_t i = 0; i < letters.count; i++) {
		const struct letter *letter = &letters.items[i];

		if (!fits(cli, letter, closed_too)) {
			continue;
		}
		add_id(&output, letter);
		output_add(&output, span_of(letter->key));
		output_add(&output, span_of(letter->backend[0] != '\0' ? letter->backend : "-"));
		output_add(&output, span_of(letter->stage));
		output_add(&output, span_of(letter->code));
		output_add(&output, span_of(letter->attempts));
		output_add_time(&output, letter->at_ms);
		output_add(&output, span_of(letter_state_text(letter->state)));
		output_add(&output, span_of(letter->message));
	}
	output_print(&output, cli->json);
	output_finish(&output);
	letters_finish(&letters);
	return EXIT_DONE;
}

static void show_json(const struct letter *letter, const struct bus_message *message,
		      struct buf *out)
{
	char id[LETTER_ID_SIZE];

	letter_id(letter, id);
	buf_addf(out, "{\"id\": \"%s\", \"state\": \"%s\",\n \"key\": ", id,
		 letter_state_text(letter->state));
	output_string(message->key, out);
	buf_add_text(out, ",\n \"headers\": {");
	for (size_t i = 0; i < message->header_count; i++) {
		buf_add_text(out, i == 0 ? "\n  " : ",\n  ");
		output_string(span_of(message->headers[i].name), out);
		buf_add_text(out, ": ");
		output_string(message->headers[i].value, out);
	}
	buf_add_text(out, "},\n \"value\": ");
	if (message->is_null) {
		buf_add_text(out, "null");
	} else {
		output_string(message->value, out);
	}
	buf_add_text(out, "}\n");
}

static void show_text(const struct letter *letter, const struct bus_message *message,
		      struct buf *out)
{
	static const char *const columns[] = {"header", "value", NULL};
	struct output output;

	output_init(&output, columns);
	output_add(&output, span_of("id"));
	add_id(&output, letter);
	output_add(&output, span_of("state"));
	output_add(&output, span_of(letter_state_text(letter->state)));
	output_add(&output, span_of("key"));
	output_add(&output, span_of(letter->key));
	for (size_t i = 0; i < message->header_count; i++) {
		output_add(&output, span_of(message->headers[i].name));
		output_add(&output, message->headers[i].value);
	}
	output_text(&output, false, out);
	output_finish(&output);
	if (message->is_null) {
		buf_add_text(out, "\nThe value is null.\n");
		return;
	}
	buf_addf(out, "\nThe value, %zu bytes:\n", message->value.len);
	output_lines(message->value, out);
	buf_add_byte(out, '\n');
}

static int unknown_letter(const char *id)
{
	complain("there is no dead letter %.40s; see dadns dlq list --all-states", id);
	return EXIT_FAILED;
}

static int no_id(const char *id)
{
	complain("\"%.40s\" is no dead letter's id: that is PARTITION-OFFSET, as in 3-17", id);
	return EXIT_USAGE;
}

static int show(const struct cli *cli)
{
	const char *id = cli_word(cli, 0);
	struct letters letters = {0};
	struct bus_message *message = NULL;
	struct buf text = BUF_INIT(SHOW_MAX);
	const struct letter *letter;
	struct reason why;
	enum outcome outcome;
	int32_t partition;
	int64_t offset;
	int code = EXIT_DONE;

	if (id == NULL) {
		complain("which one? dadns dlq show ID");
		return EXIT_USAGE;
	}
	if (!letter_id_parse(id, &partition, &offset)) {
		return no_id(id);
	}
	outcome = letters_read(&letters, cli, &why);
	if (outcome != OK) {
		code = scan_failed(outcome, &why);
		goto out;
	}
	letter = letters_find(&letters, partition, offset);
	if (letter == NULL) {
		code = unknown_letter(id);
		goto out;
	}
	outcome = bus_fetch_one(&cli->settings.bus, TOPIC_DEAD_LETTERS, partition, offset, FETCH_MS,
				&message, &why);
	if (outcome != OK) {
		code = scan_failed(outcome, &why);
		goto out;
	}
	(cli->json ? show_json : show_text)(letter, message, &text);
	(void)fwrite(text.data, 1, text.len, stdout); /* main looks at stdout once, at the end */
out:
	bus_message_destroy(message);
	buf_finish(&text);
	letters_finish(&letters);
	return code;
}

/* --- which are meant -------------------------------------------------------------------------- */

/* The letters that the command line names, in `chosen` (its caller frees it). Nothing is done if
 * one of them is not there. */
static int choose(const struct cli *cli, const struct letters *letters,
		  const struct letter ***chosen, size_t *count)
{
	bool all = config_flag_given(cli->config, "all");

	*chosen = xcalloc(letters->count + 1, sizeof(**chosen));
	*count = 0;
	for (size_t i = 0; all && i < letters->count; i++) {
		if (fits(cli, &letters->items[i], false)) {
			(*chosen)[(*count)++] = &letters->items[i];
		}
	}
	for (size_t i = 0; !all && cli_word(cli, i) != NULL; i++) {
		const struct letter *letter;
		int32_t partition;
		int64_t offset;
		bool twice = false;

		(void)letter_id_parse(cli_word(cli, i), &partition, &offset); /* ids_are_right */
		letter = letters_find(letters, partition, offset);
		if (letter == NULL) {
			return unknown_letter(cli_word(cli, i));
		}
		for (size_t k = 0; k < *count; k++) {
			twice = twice || (*chosen)[k] == letter;
		}
		if (!twice) {
			(*chosen)[(*count)++] = letter;
		}
	}
	return EXIT_DONE;
}

/* Before Kafka is asked. */
static int ids_are_right(const struct cli *cli, const char *verb)
{
	bool all = config_flag_given(cli->config, "all");
	bool filtered =
		config_flag_given(cli->config, "backend") || config_flag_given(cli->config, "zone");
	int32_t partition;
	int64_t offset;

	if ((cli_word(cli, 0) == NULL) != all || (filtered && !all)) {
		complain("either ids or --all (with --backend, --zone): dadns dlq %s ID...", verb);
		return EXIT_USAGE;
	}
	for (size_t i = 0; cli_word(cli, i) != NULL; i++) {
		if (!letter_id_parse(cli_word(cli, i), &partition, &offset)) {
			return no_id(cli_word(cli, i));
		}
	}
	return EXIT_DONE;
}

/* --- replay ----------------------------------------------------------------------------------- */

/* NULL: it can be healed; else why it cannot. */
static const char *not_healable(const struct letter *letter, const struct values *values)
{
	const struct value *value;

	if (letter->backend[0] == '\0') {
		return "it was never a value: a push is not replayed; let DirectAdmin push the "
		       "zone again, then drop the letter";
	}
	if (!letter->has_zone) {
		return "its key is no zone; drop it";
	}
	value = values_of(values, &letter->zone);
	if (value->found) {
		return NULL;
	}
	return value->unreadable.text[0] != '\0'
		       ? "the log's own value cannot be read: let DirectAdmin push the zone again"
		       : "the log has no value of this zone; drop it";
}

static enum outcome send_heal(struct bus_producer *producer, const struct letter *letter,
			      const struct value *value, struct reason *why)
{
	char id[LETTER_ID_SIZE];
	char because_of[LETTER_ID_SIZE + 16];
	struct heal_event heal = {
		.id = event_id_create(),
		.backend = letter->backend,
		.zone = letter->zone,
		.unseen = true, /* I6: nobody looked; I4 fences it */
		.by = "dlq replay",
		.because = because_of,
		.made_at_ms = clock_wall_ms(),
		.value = value->event,
	};
	struct buf bytes = BUF_INIT(HEAL_MAX);
	struct event_headers headers;
	enum outcome outcome;

	letter_id(letter, id);
	(void)snprintf(because_of, sizeof(because_of), "dead letter %s", id);
	heal_event_encode(&heal, &bytes);
	event_headers(&headers, "heal", &heal.id, cli_source(), heal.zone.text, heal.made_at_ms,
		      SPAN_EMPTY);
	outcome = scan_send(producer,
			    &(struct bus_record){.topic = TOPIC_HEALS,
						 .partition = BUS_BY_KEY,
						 .key = name_span(&heal.zone),
						 .value = buf_span(&bytes),
						 .headers = headers.items,
						 .header_count = headers.count},
			    NULL, why);
	buf_finish(&bytes);
	return outcome;
}

static void tell_healed(struct output *output, const struct letter *letter,
			const struct value *value, bool dry)
{
	char now[VERSION_TEXT_SIZE];
	char then[VERSION_TEXT_SIZE];
	bool newer = !version_is_none(letter->version) &&
		     version_compare(value->version, letter->version) > 0;

	version_text(value->version, now);
	version_text(letter->version, then);
	output_add(output, span_of(now));
	output_addf(output, "%s%s%s%s", dry ? "would be healed" : "heal sent",
		    value->event.deleted ? "; by now the zone is deleted" : "",
		    newer ? "; newer than the letter's " : "", newer ? then : "");
}

/* The letter that is healed first heals all of the same zone at the same backend. */
static bool healed_before(const struct letter *const *chosen, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (chosen[i]->has_zone && name_equal(&chosen[i]->zone, &chosen[n]->zone) &&
		    strcmp(chosen[i]->backend, chosen[n]->backend) == 0) {
			return true;
		}
	}
	return false;
}

static int replay_all(const struct cli *cli, const struct letter *const *chosen, size_t count,
		      const struct values *values, struct output *output)
{
	bool dry = config_flag_given(cli->config, "dry-run");
	struct bus_producer *producer = NULL;
	struct reason why;
	enum outcome outcome = scan_producer(&producer, cli, &why);
	bool left_out = false;

	for (size_t i = 0; outcome == OK && i < count; i++) {
		const struct letter *letter = chosen[i];
		const char *obstacle = not_healable(letter, values);
		const struct value *value =
			letter->has_zone ? values_of(values, &letter->zone) : NULL;

		if (obstacle == NULL && !dry && !healed_before(chosen, i)) {
			outcome = send_heal(producer, letter, value, &why);
		}
		if (obstacle == NULL && !dry && outcome == OK) {
			outcome =
				letter_close(producer, letter, LETTER_REPLAYED, cli_source(), &why);
		}
		if (outcome != OK) {
			break;
		}
		add_id(output, letter);
		output_add(output, span_of(letter->key));
		output_add(output, span_of(letter->backend[0] != '\0' ? letter->backend : "-"));
		if (obstacle == NULL) {
			tell_healed(output, letter, value, dry);
		} else {
			output_add(output, span_of("-"));
			output_addf(output, "not replayed: %s", obstacle);
			left_out = true;
		}
	}
	bus_producer_destroy(producer);
	if (outcome != OK) {
		return scan_failed(outcome, &why);
	}
	return left_out ? EXIT_FAILED : EXIT_DONE;
}

static int replay(const struct cli *cli)
{
	static const char *const columns[] = {"id", "zone", "backend", "version", "result", NULL};
	const struct letter **chosen = NULL;
	struct letters letters = {0};
	struct values values = {0};
	struct output output;
	struct reason why;
	size_t count = 0;
	enum outcome outcome;
	int code = ids_are_right(cli, "replay");

	if (code != EXIT_DONE) {
		return code;
	}
	outcome = letters_read(&letters, cli, &why);
	if (outcome == OK) {
		code = choose(cli, &letters, &chosen, &count);
	}
	for (size_t i = 0; code == EXIT_DONE && i < count; i++) {
		if (chosen[i]->has_zone) {
			values_want(&values, &chosen[i]->zone);
		}
	}
	if (outcome == OK && code == EXIT_DONE) {
		outcome = values_read(&values, cli, &why);
	}
	if (outcome != OK) {
		code = scan_failed(outcome, &why);
	} else if (code == EXIT_DONE) {
		output_init(&output, columns);
		code = replay_all(cli, chosen, count, &values, &output);
		output_print(&output, cli->json);
		output_finish(&output);
	}
	values_finish(&values);
	free(chosen);
	letters_finish(&letters);
	return code;
}

/* --- drop ------------------------------------------------------------------------------------- */

static int drop(const struct cli *cli)
{
	static const char *const columns[] = {"id", "zone", "backend", "result", NULL};
	bool dry = config_flag_given(cli->config, "dry-run");
	const struct letter **chosen = NULL;
	struct letters letters = {0};
	struct bus_producer *producer = NULL;
	struct output output;
	struct reason why;
	size_t count = 0;
	enum outcome outcome;
	int code = ids_are_right(cli, "drop");

	if (code != EXIT_DONE) {
		return code;
	}
	output_init(&output, columns);
	outcome = letters_read(&letters, cli, &why);
	if (outcome == OK) {
		code = choose(cli, &letters, &chosen, &count);
	}
	if (outcome == OK) {
		outcome = scan_producer(&producer, cli, &why);
	}
	for (size_t i = 0; outcome == OK && code == EXIT_DONE && i < count; i++) {
		if (!dry) {
			outcome = letter_close(producer, chosen[i], LETTER_DROPPED, cli_source(),
					       &why);
		}
		if (outcome == OK) {
			add_id(&output, chosen[i]);
			output_add(&output, span_of(chosen[i]->key));
			output_add(
				&output,
				span_of(chosen[i]->backend[0] != '\0' ? chosen[i]->backend : "-"));
			output_add(&output, span_of(dry ? "would be dropped" : "dropped"));
		}
	}
	if (code == EXIT_DONE && (outcome == OK || output.cell_count != 0)) {
		output_print(&output, cli->json);
	}
	if (outcome != OK) {
		code = scan_failed(outcome, &why);
	}
	bus_producer_destroy(producer);
	output_finish(&output);
	free(chosen);
	letters_finish(&letters);
	return code;
}

const struct verb dlq_verbs[] = {
	{
		.noun = "dlq",
		.name = "list",
		.summary = "dead letters: what could not be read, or was refused to the last try",
		.help = "--backend B, --zone Z: only those. A letter that was replayed or dropped "
			"is left out;\n--all-states shows it too. Letters go by themselves after "
			"30 days.\n",
		.run = list,
		.flags = "backend zone all-states",
	},
	{
		.noun = "dlq",
		.name = "show",
		.summary = "one letter: its headers and the original value",
		.help = "dadns dlq show ID. -o json has the value as one string; a byte that is no "
			"ASCII is \\u00XX in it.\n",
		.run = show,
		.words = 1,
		.flags = "",
	},
	{
		.noun = "dlq",
		.name = "replay",
		.summary = "have the backend try again, with what the log says now",
		.help = "dadns dlq replay ID..., or --all (--backend B, --zone Z). A replay is a "
			"heal, never a push: the\nbackend gets the zone's newest value from "
			"dadns.zones, not the letter's, and never instead of a\nnewer one that it "
			"has. A letter of the judge was never a value and cannot be replayed.\n"
			"--dry-run says what would be done.\n",
		.run = replay,
		.words = WORDS_MANY,
		.flags = "all backend zone dry-run",
	},
	{
		.noun = "dlq",
		.name = "drop",
		.summary = "leave letters out of the list",
		.help = "dadns dlq drop ID..., or --all (--backend B, --zone Z). The record stays "
			"where it is until its\ntime is over; a marker behind it says that it was "
			"dropped. --dry-run says what would be done.\n",
		.run = drop,
		.words = WORDS_MANY,
		.flags = "all backend zone dry-run",
	},
	{0},
};
