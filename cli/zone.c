/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/zone.h"

#include <stdio.h>
#include <string.h>

#include "cli/history.h"
#include "cli/output.h"
#include "cli/push.h"
#include "cli/scan.h"
#include "cli/statuses.h"
#include "cli/values.h"

#define SHOW_MAX ((size_t)128 << 20)
#define FETCH_MS 10000

/* --- what all three begin with ---------------------------------------------------------------- */

static bool zone_is_named(const struct cli *cli, const char *verb, struct name *out)
{
	const char *word = cli_word(cli, 0);
	struct reason why;

	if (word == NULL) {
		complain("which zone? dadns zone %s ZONE", verb);
		return false;
	}
	if (name_parse(span_of(word), out, &why) != OK) {
		complain("%s", why.text);
		return false;
	}
	return true;
}

static enum outcome read_value(const struct cli *cli, const struct name *zone,
			       struct values *values, struct reason *why)
{
	values_want(values, zone);
	return values_read(values, cli, why);
}

/* --- show ------------------------------------------------------------------------------------- */

static const char *state_of(const struct value *value)
{
	if (!value->found) {
		return "absent";
	}
	return value->event.deleted ? "deleted" : "live";
}

static size_t record_count(const struct zone_event *event)
{
	size_t count = 0;

	for (size_t i = 0; i < event->rrset_count; i++) {
		count += event->rrsets[i].count;
	}
	return count;
}

static void fact(struct output *output, const char *name, const char *text)
{
	output_add(output, span_of(name));
	output_add(output, span_of(text));
}

static void tell_value(const struct value *value, struct buf *out)
{
	static const char *const columns[] = {"field", "value", NULL};
	const struct zone_event *event = &value->event;
	char version[VERSION_TEXT_SIZE];
	struct output output;

	output_init(&output, columns);
	fact(&output, "zone", value->zone.text);
	fact(&output, "state", state_of(value));
	if (value->found) {
		version_text(value->version, version);
		fact(&output, "version", version);
		fact(&output, "owner", event->owner);
		fact(&output, "user", event->username != NULL ? event->username : "-");
		fact(&output, "sender", event->sender);
		output_add(&output, span_of("pushed"));
		output_add_time(&output, event->pushed_at_ms);
	}
	if (value->found && !event->deleted) {
		output_add(&output, span_of("serial"));
		output_addf(&output, "%u", event->serial);
		output_add(&output, span_of("records"));
		output_addf(&output, "%zu in %zu sets", record_count(event), event->rrset_count);
		fact(&output, "digest", event->digest);
	}
	output_text(&output, false, out);
	output_finish(&output);
}

static void tell_statuses(const struct statuses *statuses, struct buf *out)
{
	static const char *const columns[] = {"backend", "state", "version", "serial",
					      "when",    "tries", "reason",  NULL};
	struct output output;

	output_init(&output, columns);
	for (size_t i = 0; i < statuses->count; i++) {
		const struct speaker *speaker = &statuses->items[i];
		const struct status_event *last = &speaker->last;
		char version[VERSION_TEXT_SIZE] = "-";

		if (!version_is_none(last->version)) {
			version_text(last->version, version);
		}
		output_add(&output, span_of(speaker->backend));
		output_addf(&output, "%s%s", speaker->said ? status_state_text(last->state) : "-",
			    speaker->away ? ", away" : "");
		output_add(&output, span_of(version));
		output_addf(&output, last->digest != NULL ? "%u" : "-", last->serial);
		output_add_time(&output, last->at_ms);
		output_addf(&output, last->attempt > 0 ? "%lld" : "-", (long long)last->attempt);
		output_addf(&output, "%s%s%s", last->rule != NULL ? last->rule : "",
			    last->rule != NULL && last->reason != NULL ? ": " : "",
			    last->reason != NULL ? last->reason : "");
	}
	output_text(&output, false, out);
	output_finish(&output);
}

/* The events as they stand in the log: proto/ says what is in them. */
static void show_json(const struct value *value, const struct statuses *statuses, struct buf *out)
{
	bool first = true;

	buf_addf(out, "{\"zone\": \"%s\", \"state\": \"%s\",\n \"value\": ", value->zone.text,
		 state_of(value));
	if (value->found) {
		zone_event_encode(&value->event, out);
	} else {
		buf_add_text(out, "null");
	}
	buf_add_text(out, ",\n \"backends\": [");
	for (size_t i = 0; i < statuses->count; i++) {
		const struct speaker *speaker = &statuses->items[i];

		buf_add_text(out, first ? "\n  " : ",\n  ");
		buf_addf(out, "{\"backend\": \"%s\", \"away\": %s, \"status\": ", speaker->backend,
			 speaker->away ? "true" : "false");
		if (speaker->said) {
			status_event_encode(&speaker->last, out);
		} else {
			buf_add_text(out, "null");
		}
		buf_add_byte(out, '}');
		first = false;
	}
	buf_add_text(out, "\n ]}\n");
}

static void show_text(const struct value *value, const struct statuses *statuses, struct buf *out)
{
	tell_value(value, out);
	if (statuses->count != 0) {
		buf_add_byte(out, '\n');
		tell_statuses(statuses, out);
	}
	if (value->found && !value->event.deleted) {
		buf_add_byte(out, '\n');
		rrsets_print(value->event.rrsets, value->event.rrset_count, out);
	}
}

static int show(const struct cli *cli)
{
	struct statuses statuses = {.count = 0};
	struct buf text = BUF_INIT(SHOW_MAX);
	struct values values = {0};
	const struct value *value;
	struct reason why;
	enum outcome outcome;
	int code = EXIT_DONE;

	if (!zone_is_named(cli, "show", &statuses.zone)) {
		return EXIT_USAGE;
	}
	outcome = read_value(cli, &statuses.zone, &values, &why);
	if (outcome == OK) {
		outcome = statuses_read(&statuses, cli, &why);
	}
	if (outcome != OK) {
		code = scan_failed(outcome, &why);
		goto out;
	}
	value = values_of(&values, &statuses.zone);
	(cli->json ? show_json : show_text)(value, &statuses, &text);
	(void)fwrite(text.data, 1, text.len, stdout); /* main looks at stdout once, at the end */
	if (!value->found) {
		complain("the log has no value of %s%s%s", value->zone.text,
			 value->unreadable.text[0] != '\0' ? ", but a record that is none: " : "",
			 value->unreadable.text);
		code = EXIT_FAILED;
	}
out:
	buf_finish(&text);
	statuses_finish(&statuses);
	values_finish(&values);
	return code;
}

/* --- history ---------------------------------------------------------------------------------- */

static void add_verdict(struct output *output, const struct said *said)
{
	if (!said->judged) {
		output_add(output, span_of("-"));
	} else {
		output_addf(output, "%s%s%s%s", status_state_text(said->verdict),
			    said->rule[0] != '\0' ? " (" : "", said->rule,
			    said->rule[0] != '\0' ? ")" : "");
	}
}

static int history(const struct cli *cli)
{
	static const char *const columns[] = {"offset", "when",    "op",  "owner", "user",
					      "serial", "verdict", "now", "id",    NULL};
	struct history said = {.count = 0};
	struct values values = {.summaries = true};
	const struct value *value;
	struct output output;
	struct reason why;
	enum outcome outcome;
	int code = EXIT_DONE;

	if (!zone_is_named(cli, "history", &said.zone)) {
		return EXIT_USAGE;
	}
	outcome = read_value(cli, &said.zone, &values, &why);
	if (outcome == OK) {
		outcome = history_read(&said, cli, &why);
	}
	if (outcome != OK) {
		code = scan_failed(outcome, &why);
		goto out;
	}
	value = values_of(&values, &said.zone);
	output_init(&output, columns);
	for (size_t i = 0; i < said.count; i++) {
		const struct said *item = &said.items[i];
		bool now = value->found && event_id_equal(&item->id, &value->event.id);
		char id[EVENT_ID_TEXT_SIZE];

		event_id_text(&item->id, id);
		output_addf(&output, "%lld", (long long)item->offset);
		output_add_time(&output, item->at_ms);
		output_addf(&output, "%s%s", item->op == PUSH_SAVE ? "save" : "delete",
			    item->mass ? " (mass)" : "");
		output_add(&output, span_of(item->owner));
		output_add(&output, span_of(item->username != NULL ? item->username : "-"));
		output_addf(&output, item->op == PUSH_SAVE ? "%u" : "-", item->serial);
		add_verdict(&output, item);
		output_add(&output, span_of(now ? "true" : "-"));
		output_add(&output, span_of(id));
	}
	output_print(&output, cli->json);
	output_finish(&output);
	if (said.unreadable != 0) {
		complain("%zu records of %s are no pushes: see dadns dlq list --zone %s",
			 said.unreadable, said.zone.text, said.zone.text);
	}
	if (said.count == 0) {
		complain("nothing was said of %s in the last 30 days", said.zone.text);
		code = EXIT_FAILED;
	}
out:
	history_finish(&said);
	values_finish(&values);
	return code;
}

/* --- restore ---------------------------------------------------------------------------------- */

/* The push that brings `old` back, resting on the look that `value` is (I6). */
static struct push_event restoring(const struct push_event *old, const struct value *value)
{
	return (struct push_event){
		.id = event_id_create(),
		.op = PUSH_SAVE,
		.zone = old->zone,
		.owner = old->owner,
		.username = old->username,
		.now = true, /* somebody waits for it */
		.only_if = value->found ? ONLY_IF_VERSION : ONLY_IF_ABSENT,
		.only_if_version = value->version,
		.serial = old->serial,
		.digest = old->digest,
		.rrsets = old->rrsets,
		.rrset_count = old->rrset_count,
	};
}

static void tell_restored(const struct cli *cli, const struct said *said, const struct asked *asked,
			  bool dry)
{
	static const char *const columns[] = {"zone",   "from",    "of",      "owner", "user",
					      "serial", "version", "verdict", NULL};
	char version[VERSION_TEXT_SIZE] = "-";
	char verdict[320] = "would be pushed";
	struct output output;

	if (!dry) {
		asked_verdict(asked, verdict);
	}
	if (asked->judged) {
		version_text(asked->version, version);
	}
	output_init(&output, columns);
	output_add(&output, name_span(&asked->push.zone));
	output_addf(&output, "%lld", (long long)said->offset);
	output_add_time(&output, said->at_ms);
	output_add(&output, span_of(said->owner));
	output_add(&output, span_of(said->username != NULL ? said->username : "-"));
	output_addf(&output, "%u", said->serial);
	output_add(&output, span_of(version));
	output_add(&output, span_of(verdict));
	output_print(&output, cli->json);
	output_finish(&output);
}

static int push_again(const struct cli *cli, const struct said *said, const struct push_event *old,
		      const struct value *value)
{
	bool dry = config_flag_given(cli->config, "dry-run");
	struct asked asked = {.push = restoring(old, value)};
	struct reason why;
	enum outcome outcome = OK;

	if (value->found && !value->event.deleted &&
	    strcmp(value->event.digest, old->digest) == 0) {
		complain("%s has that content already (offset %lld, serial %u)", value->zone.text,
			 (long long)said->offset, said->serial);
		return EXIT_FAILED;
	}
	if (!dry) {
		outcome = push_and_wait(cli, &asked, 1, &why);
	}
	if (outcome != OK) {
		return scan_failed(outcome, &why);
	}
	tell_restored(cli, said, &asked, dry);
	if (dry || asked_is_done(&asked)) {
		return EXIT_DONE;
	}
	complain("%s", asked.judged ? asked.reason
				    : "the push is in the log, but no judge has spoken yet: look "
				      "later with dadns zone history");
	return EXIT_FAILED;
}

static int restore(const struct cli *cli)
{
	struct history said = {.count = 0};
	struct values values = {0};
	const struct value *value;
	const struct said *chosen = NULL;
	struct bus_message *message = NULL;
	struct push_event old;
	struct point point;
	struct reason why;
	enum outcome outcome;
	int code;

	if (!zone_is_named(cli, "restore", &said.zone)) {
		return EXIT_USAGE;
	}
	if (point_parse(config_flag(cli->config, "as-of"), &point, &why) != OK) {
		complain("%s", why.text);
		return EXIT_USAGE;
	}
	/* I6: the look at the log comes first; what happens after it refuses the push. */
	outcome = read_value(cli, &said.zone, &values, &why);
	if (outcome == OK) {
		outcome = history_read(&said, cli, &why);
	}
	if (outcome == OK) {
		value = values_of(&values, &said.zone);
		outcome = history_pick(&said, value, &point, &chosen, &why);
	}
	if (outcome == OK) {
		outcome = bus_fetch_one(&cli->settings.bus, TOPIC_PUSHES, said.partition,
					chosen->offset, FETCH_MS, &message, &why);
	}
	if (outcome == OK) {
		outcome = push_event_decode(message->value, &old, &why);
	}
	if (outcome == OK) {
		code = push_again(cli, chosen, &old, value);
		push_event_finish(&old);
	} else {
		code = scan_failed(outcome, &why);
	}
	bus_message_destroy(message);
	history_finish(&said);
	values_finish(&values);
	return code;
}

const struct verb zone_verbs[] = {
	{
		.noun = "zone",
		.name = "show",
		.summary = "what the log says of a zone, and what each backend last said",
		.help = "dadns zone show ZONE. Exit code 1: the log has no such zone. -o json has "
			"the events as they\nstand in the log (proto/).\n",
		.run = show,
		.words = 1,
		.flags = "",
	},
	{
		.noun = "zone",
		.name = "history",
		.summary = "what was said of a zone in the last 30 days, and the verdicts",
		.help = "dadns zone history ZONE. `now` marks the push that is true. A verdict is "
			"known as long as\ndadns.status still has it: always the last one.\n",
		.run = history,
		.words = 1,
		.flags = "",
	},
	{
		.noun = "zone",
		.name = "restore",
		.summary = "bring a zone back to what it was",
		.help = "dadns zone restore ZONE [--as-of TIME|VERSION|OFFSET] [--dry-run]. Pushes "
			"the last save at or\nbefore that point again, for its owner and user; "
			"times are UTC. Without --as-of: of a deleted zone\nthe last save before "
			"the delete, else the last one with another content than now. If the zone\n"
			"changes meanwhile, the judge refuses it. DirectAdmin is not told: its "
			"next push of the zone\nwins.\n",
		.run = restore,
		.words = 1,
		.flags = "as-of dry-run",
	},
	{0},
};
