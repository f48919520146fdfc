/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/checker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/broker.h"
#include "tests/sim/cast.h"
#include "tests/sim/faults.h"
#include "tests/sim/history.h"
#include "tests/sim/keeper.h"
#include "tests/sim/place.h"
#include "tests/sim/trace.h"

#define VALUES_MAX 2048

/* A push that became a value, by the rules. */
struct value {
	struct version version;
	struct event_id id;
	int64_t number; /* of the history; -1: not by a DirectAdmin server */
	bool deleted;
	bool unchecked;
	char owner[64];
	char username[64];
	char digest[DIGEST_HEX_SIZE];
};

static struct value values[ZONES][VALUES_MAX];
static size_t counts[ZONES];
/* Held pushes that were refused: what their second copies say was said before. */
static struct event_id refusals[ZONES][VALUES_MAX];
static size_t refusal_counts[ZONES];
/* Pushes that a rule refused, by their number: as a delete of what was not theirs, or not there; or
 * because one that was taken without asking Redis came first. */
static bool is_refused[SAID_MAX];
static bool is_overtaken[SAID_MAX];
static bool is_in_log[SAID_MAX];
static int64_t epochs[PARTITIONS];

static const char *const place_names[] = {"east", "west"};

/* A held push lost its place. */
static size_t losses;

static void lost(const char *format, ...) PRINTF_LIKE(1, 2);
static void lost(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!faults_are_double()) {
		broken("%s", text);
	}
	trace("lost, by two faults: %s", text);
	losses++;
}

size_t checker_losses(void)
{
	return losses;
}

/* --- at rest? -------------------------------------------------------------------------------- */

static bool group_is_done(const char *name, const char *const *topics, bool tell)
{
	const struct group *group = group_named(name);

	for (; *topics != NULL; topics++) {
		for (int32_t i = 0; i < PARTITIONS; i++) {
			const struct partition *partition = broker_partition(*topics, i);
			int64_t end = partition->high;

			while (end > partition->low && partition->records[end - 1]->gone) {
				end--;
			}
			if (end > partition->low && group_committed(group, *topics, i) < end) {
				if (tell) {
					trace("%s: %s/%d is at %lld of %lld", name, *topics, i,
					      (long long)group_committed(group, *topics, i),
					      (long long)end);
				}
				return false;
			}
		}
	}
	return group_is_stable(group);
}

/* A Redis that was wiped has its retries again. */
static bool retries_are_known(void)
{
	for (size_t i = 0; i < 2; i++) {
		for (int32_t number = 0; number < PARTITIONS; number++) {
			char name[64];

			(void)snprintf(name, sizeof(name), "dadns:retry:%s:%d:state",
				       place_names[i], number);
			if (!keeper_says(name, "complete")) {
				return false;
			}
		}
	}
	return true;
}

bool checker_is_quiet(bool tell)
{
	static const char *const pushes[] = {TOPIC_PUSHES, NULL};
	static const char *const truth[] = {TOPIC_ZONES, TOPIC_HEALS, NULL};

	if (cast_unready() != NULL) {
		if (tell) {
			trace("not ready: %s", cast_unready());
		}
		return false;
	}
	if (keeper_has("dadns:hold:zone:", "") || keeper_has("dadns:retry:", ":due") ||
	    !retries_are_known()) {
		if (tell) {
			trace("something still waits in Redis");
		}
		return false;
	}
	return group_is_done("dadns.judge", pushes, tell) &&
	       group_is_done("dadns.writer.east", truth, tell) &&
	       group_is_done("dadns.writer.west", truth, tell);
}

/* --- the log, judged again ------------------------------------------------------------------- */

static struct value *newest(size_t zone)
{
	return counts[zone] == 0 ? NULL : &values[zone][counts[zone] - 1];
}

static bool was_said(size_t zone, const struct event_id *id)
{
	for (size_t i = 0; i < counts[zone]; i++) {
		if (event_id_equal(&values[zone][i].id, id)) {
			return true;
		}
	}
	for (size_t i = 0; i < refusal_counts[zone]; i++) {
		if (event_id_equal(&refusals[zone][i], id)) {
			return true;
		}
	}
	return false;
}

static void refuse(size_t zone, const struct push_event *push)
{
	if (push->has_seen && newest(zone) != NULL) {
		if (refusal_counts[zone] == VALUES_MAX) {
			broken("more refusals than the checker has room for");
		}
		refusals[zone][refusal_counts[zone]++] = push->id;
	}
}

/* C1: what overtook it must not have been answered before it was said. */
static bool overtakes(size_t zone, const struct push_event *push, int64_t number)
{
	const struct value *now = newest(zone);

	if (!push->has_seen || now == NULL || !now->unchecked ||
	    version_compare(now->version, push->seen) <= 0) {
		return false;
	}
	if (number >= 0 && now->number >= 0 &&
	    history_said((size_t)now->number)->answered_us <
		    history_said((size_t)number)->asked_us) {
		lost("C1: #%lld of %s was held and refused for #%lld, which is older",
		     (long long)number, history_zone(zone), (long long)now->number);
	}
	return true;
}

static bool is_against_the_rules(size_t zone, const struct push_event *push)
{
	const struct value *now = newest(zone);

	if (push->only_if == ONLY_IF_ABSENT && now != NULL) {
		return true;
	}
	if (push->only_if == ONLY_IF_VERSION &&
	    (now == NULL || version_compare(now->version, push->only_if_version) != 0)) {
		return true;
	}
	if (push->op == PUSH_DELETE && now == NULL && !push->has_seen) {
		return true; /* there is nothing to delete; a held one is remembered all the same */
	}
	if (push->op == PUSH_DELETE && now != NULL && strcmp(now->owner, push->owner) != 0) {
		return true;
	}
	return push->mass;
}

/* The held copy of what stands, which was taken unchecked. */
static bool confirms(size_t zone, const struct push_event *push)
{
	const struct value *now = newest(zone);

	return now != NULL && now->unchecked && push->has_seen && !push->unchecked &&
	       event_id_equal(&now->id, &push->id);
}

static void accept(size_t zone, const struct push_event *push, struct version version,
		   int64_t number)
{
	struct value *value;

	if (counts[zone] == VALUES_MAX) {
		broken("more values than the checker has room for");
	}
	value = &values[zone][counts[zone]++];
	*value = (struct value){.version = version,
				.id = push->id,
				.number = number,
				.deleted = push->op == PUSH_DELETE,
				.unchecked = push->unchecked};
	(void)snprintf(value->owner, sizeof(value->owner), "%s", push->owner);
	(void)snprintf(value->digest, sizeof(value->digest), "%s",
		       push->digest == NULL ? "" : push->digest);
}

static void judge_again(const struct partition *partition, int64_t offset)
{
	const struct record *record = partition->records[offset];
	int64_t number = history_number_of(record_header(record, "traceparent"));
	struct push_event push = {0};
	struct reason why;
	int64_t zone;

	if (push_event_decode(record->value, &push, &why) != OK) {
		return; /* garbage */
	}
	zone = history_zone_of(name_span(&push.zone));
	if (zone < 0) {
		broken("a push of a zone that nobody pushed: %s", push.zone.text);
	}
	if (number >= 0) {
		is_in_log[number] = true;
	}
	if (confirms((size_t)zone, &push)) {
		accept((size_t)zone, &push, (struct version){epochs[partition->number], offset},
		       number);
	} else if (!was_said((size_t)zone, &push.id)) {
		bool overtaken = overtakes((size_t)zone, &push, number);

		if (!overtaken && !is_against_the_rules((size_t)zone, &push)) {
			accept((size_t)zone, &push,
			       (struct version){epochs[partition->number], offset}, number);
		} else {
			refuse((size_t)zone, &push);
			if (number >= 0) {
				(overtaken ? is_overtaken : is_refused)[number] = true;
			}
		}
	}
	push_event_finish(&push);
}

static void read_epochs(void)
{
	for (int32_t i = 0; i < PARTITIONS; i++) {
		const struct partition *zones = broker_partition(TOPIC_ZONES, i);

		for (int64_t offset = 0; offset < zones->high; offset++) {
			struct epoch_event epoch;
			struct reason why;

			if (span_is(zones->records[offset]->key, KEY_EPOCH) &&
			    epoch_event_decode(zones->records[offset]->value, &epoch, &why) == OK) {
				epochs[i] = epoch.epoch;
			}
		}
	}
}

static void judge_everything_again(void)
{
	losses = 0;
	memset(counts, 0, sizeof(counts));
	memset(refusal_counts, 0, sizeof(refusal_counts));
	read_epochs();
	for (int32_t i = 0; i < PARTITIONS; i++) {
		const struct partition *pushes = broker_partition(TOPIC_PUSHES, i);

		for (int64_t offset = 0; offset < pushes->high; offset++) {
			judge_again(pushes, offset);
		}
	}
}

/* --- dadns.zones says the same --------------------------------------------------------------- */

static const struct value *value_at(size_t zone, struct version version)
{
	for (size_t i = 0; i < counts[zone]; i++) {
		if (version_compare(values[zone][i].version, version) == 0) {
			return &values[zone][i];
		}
	}
	return NULL;
}

/* The version of one record of zones; 0: it is none of a zone. */
static bool read_value(const struct record *record, size_t *zone, struct zone_event *out)
{
	struct reason why;

	if (record->key.len == 0 || record->key.data[0] == '@' || record->is_null) {
		return false;
	}
	if (zone_event_decode_summary(record->value, out, &why) != OK) {
		broken("dadns.zones holds what nobody can read: %s", why.text);
	}
	*zone = (size_t)history_zone_of(name_span(&out->zone));
	return true;
}

static void check_zones_partition(const struct partition *partition, struct version *highest,
				  struct version *last)
{
	for (int64_t offset = 0; offset < partition->high; offset++) {
		const struct record *record = partition->records[offset];
		struct zone_event event = {0};
		size_t zone;

		if (!read_value(record, &zone, &event)) {
			continue;
		}
		if (value_at(zone, event.version) == NULL) {
			broken("dadns.zones has %s at %lld, which the rules refuse",
			       history_zone(zone), (long long)event.version.offset);
		}
		if (version_compare(event.version, highest[zone]) > 0) {
			highest[zone] = event.version;
		}
		if (!record->gone) {
			last[zone] = event.version;
		}
		zone_event_finish(&event);
	}
}

/* One judge after the other, zombies and all, have decided what the log says; and compaction would
 * keep it. */
static void check_truth(void)
{
	struct version highest[ZONES] = {{0}};
	struct version last[ZONES] = {{0}};

	for (int32_t i = 0; i < PARTITIONS; i++) {
		check_zones_partition(broker_partition(TOPIC_ZONES, i), highest, last);
	}
	for (size_t zone = 0; zone < ZONES; zone++) {
		const struct value *value = newest(zone);
		struct version wanted = value == NULL ? (struct version){0} : value->version;

		if (version_compare(highest[zone], wanted) != 0) {
			broken("%s is %lld in dadns.zones, the pushes say %lld", history_zone(zone),
			       (long long)highest[zone].offset, (long long)wanted.offset);
		}
		if (version_compare(last[zone], wanted) != 0) {
			broken("compaction would keep %s at %lld, its value is %lld",
			       history_zone(zone), (long long)last[zone].offset,
			       (long long)wanted.offset);
		}
	}
}

/* --- what DirectAdmin was promised ----------------------------------------------------------- */

static struct version version_of(size_t number)
{
	const struct said *said = history_said(number);

	/* the last: a held copy may have made it the next value again */
	for (size_t i = counts[said->zone]; i-- > 0;) {
		if (values[said->zone][i].number == (int64_t)number) {
			return values[said->zone][i].version;
		}
	}
	return (struct version){0};
}

/* C1: nobody's acknowledged push is lost. C2: what was said later is the later version. */
static void check_acknowledged(void)
{
	for (size_t late = 0; late < history_count(); late++) {
		const struct said *said = history_said(late);
		struct version version = version_of(late);

		if (said->answer != ANSWER_OK) {
			continue;
		}
		if (!is_in_log[late]) {
			broken("C1: #%zu of %s was acknowledged and is not in the log", late,
			       history_zone(said->zone));
		}
		if (version_is_none(version)) {
			if (!is_refused[late] && !is_overtaken[late]) {
				broken("C1: #%zu of %s was acknowledged and nobody refused it",
				       late, history_zone(said->zone));
			}
			continue;
		}
		for (size_t early = 0; early < history_count(); early++) {
			const struct said *other = history_said(early);

			if (other->zone == said->zone && other->answered_us < said->asked_us &&
			    version_compare(version_of(early), version) > 0) {
				lost("C2: #%zu of %s came after #%zu had been answered, and is "
				     "the older version",
				     late, history_zone(said->zone), early);
			}
		}
	}
}

static void check_refused(void)
{
	/* Only a delete by somebody else, or of nothing, is refused here. */
	for (size_t i = 0; i < history_count(); i++) {
		const struct said *said = history_said(i);

		if (said->answer == ANSWER_OK && is_refused[i] && !said->deletes) {
			broken("C1: #%zu of %s was acknowledged, and the judge refused it", i,
			       history_zone(said->zone));
		}
	}
}

/* --- what was given up ----------------------------------------------------------------------- */

#define TRIES "6" /* the first, and one for each of writer.retry_delays */

/* Is there a dead letter of this version for this backend? */
static bool is_dead(const struct place *place, size_t zone, struct version version)
{
	for (int32_t i = 0; i < PARTITIONS; i++) {
		const struct partition *letters = broker_partition(TOPIC_DEAD_LETTERS, i);

		for (int64_t offset = 0; offset < letters->high; offset++) {
			const struct record *letter = letters->records[offset];
			struct zone_event value = {0};
			struct reason why;
			bool is_it;

			if (!span_is(letter->key, history_zone(zone)) ||
			    !span_is(record_header(letter, "dlq.backend"), place->name) ||
			    zone_event_decode_summary(letter->value, &value, &why) != OK) {
				continue;
			}
			is_it = version_compare(value.version, version) == 0;
			zone_event_finish(&value);
			if (is_it && !span_is(record_header(letter, "dlq.attempts"), TRIES)) {
				broken("%s was given up for %s after other than " TRIES " tries",
				       history_zone(zone), place->name);
			}
			if (is_it) {
				return true;
			}
		}
	}
	return false;
}

/* --- what is served -------------------------------------------------------------------------- */

/* Every place shows the log's newest value of every zone, and nothing else. */
static void check_place(const struct place *place)
{
	for (size_t zone = 0; zone < ZONES; zone++) {
		const struct held_zone *held = &place->state.zones[zone];
		const struct value *value = newest(zone);

		if (value == NULL) {
			if (held->known) {
				broken("%s serves %s, which nobody pushed", place->name,
				       history_zone(zone));
			}
			continue;
		}
		if ((!held->known || version_compare(held->version, value->version) < 0) &&
		    is_dead(place, zone, value->version)) {
			continue; /* a human was told */
		}
		if (!held->known || version_compare(held->version, value->version) != 0) {
			broken("%s has %s at %lld, the log says %lld", place->name,
			       history_zone(zone),
			       held->known ? (long long)held->version.offset : -1,
			       (long long)value->version.offset);
		}
		if (held->deleted != value->deleted || strcmp(held->digest, value->digest) != 0) {
			broken("%s has %s at the right version with other content", place->name,
			       history_zone(zone));
		}
	}
}

/* Judges that take over must know which held pushes were refused. */
static void check_refusals(void)
{
	for (size_t zone = 0; zone < ZONES; zone++) {
		const struct partition *zones = broker_partition(
			TOPIC_ZONES, broker_partition_of(span_of(history_zone(zone))));

		for (size_t i = 0; i < refusal_counts[zone]; i++) {
			char id[EVENT_ID_TEXT_SIZE];
			char key[sizeof(KEY_REFUSED) + EVENT_ID_TEXT_SIZE];
			int64_t at = 0;

			event_id_text(&refusals[zone][i], id);
			(void)snprintf(key, sizeof(key), KEY_REFUSED "%s", id);
			while (at < zones->high && !span_is(zones->records[at]->key, key)) {
				at++;
			}
			if (at == zones->high) {
				broken("a held push of %s was refused, dadns.zones does not say so",
				       history_zone(zone));
			}
		}
	}
}

void checker_check(void)
{
	judge_everything_again();
	check_truth();
	check_acknowledged();
	check_refused();
	check_refusals();
	for (size_t i = 0; i < 2; i++) {
		check_place(place_named(place_names[i]));
	}
}

/* --- a log that was cut ---------------------------------------------------------------------- */

int64_t checker_highest(int32_t partition)
{
	int64_t highest = -1;

	for (size_t zone = 0; zone < ZONES; zone++) {
		const struct value *value = newest(zone);

		if (value != NULL && value->version.offset > highest &&
		    broker_partition_of(span_of(history_zone(zone))) == partition) {
			highest = value->version.offset;
		}
	}
	return highest;
}

void checker_check_cut(int32_t partition, int64_t zones_end)
{
	const struct partition *zones = broker_partition(TOPIC_ZONES, partition);

	if (!cast_has_said("dadns.pushes was re-created or truncated")) {
		broken("dadns.pushes/%d was cut, and nobody says so", partition);
	}
	for (int64_t offset = zones_end; offset < zones->high; offset++) {
		struct zone_event event = {0};
		size_t zone;

		if (read_value(zones->records[offset], &zone, &event)) { /* or a late copy */
			const struct value *value = value_at(zone, event.version);

			if (value == NULL || !event_id_equal(&value->id, &event.id)) {
				broken("dadns.pushes/%d was cut, and somebody judged on",
				       partition);
			}
			zone_event_finish(&event);
		}
	}
}
