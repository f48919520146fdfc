/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/judge.h"

#include <stdio.h>
#include <string.h>

static void say(struct judgement *out, enum status_state verdict, const char *rule,
		const char *reason)
{
	out->verdict = verdict;
	out->rule = rule;
	(void)because(OK, &out->reason, "%s", reason);
}

static bool lists(const struct zone_state *state, const struct event_id *id)
{
	if (event_id_equal(&state->id, id)) {
		return true;
	}
	for (size_t i = 0; i < state->earlier_count; i++) {
		if (event_id_equal(&state->earlier[i].id, id)) {
			return true;
		}
	}
	return false;
}

static bool same_owner(const struct zone_state *state, const struct push_event *push)
{
	return push->owner != NULL && strcmp(state->owner, push->owner) == 0;
}

static bool same_username(const struct zone_state *state, const struct push_event *push)
{
	if (push->username == NULL) {
		return !state->has_username;
	}
	return state->has_username && strcmp(state->username, push->username) == 0;
}

/* I6: nobody may act on an outdated look. */
static bool only_if_is_met(const struct zone_state *zone, const struct push_event *push)
{
	switch (push->only_if) {
	case ONLY_IF_ABSENT:
		return zone == NULL;
	case ONLY_IF_VERSION:
		return zone != NULL && version_compare(zone->version, push->only_if_version) == 0;
	case ONLY_IF_UNSET:
		break;
	}
	return true;
}

/* DESIGN section 5: a push that was taken without asking for holds may be the later one. */
static bool overtaken_while_held(const struct zone_state *zone, const struct push_event *push)
{
	return push->has_seen && zone != NULL && zone->unchecked &&
	       version_compare(zone->version, push->seen) > 0;
}

/* An unchecked push was held after all, but its first copy has reached the log. What is held behind
 * it must not count as older than it. */
static bool confirms(const struct zone_state *zone, const struct push_event *push)
{
	return push->has_seen && !push->unchecked && zone->unchecked &&
	       event_id_equal(&zone->id, &push->id);
}

/* True: a rule has spoken, there is no new value. `zone` NULL: absent. */
static bool rule_against(const struct zone_state *zone, const struct push_event *push,
			 struct judgement *out)
{
	if (zone != NULL && confirms(zone, push)) {
		return false;
	}
	if (zone != NULL && lists(zone, &push->id)) {
		say(out, STATUS_STALE, "duplicate", "this push is in the log already");
		return true;
	}
	if (!only_if_is_met(zone, push)) {
		say(out, STATUS_REFUSED, "only_if",
		    "the zone has moved on since the look that this push rests on");
		return true;
	}
	if (overtaken_while_held(zone, push)) {
		say(out, STATUS_REFUSED, "seen", "a later push came in while this one was held");
		return true;
	}
	if (push->op == PUSH_DELETE && zone == NULL && !push->has_seen) {
		say(out, STATUS_UNCHANGED, "absent", "there is no such zone");
		return true;
	}
	if (push->op == PUSH_DELETE && zone != NULL && !same_owner(zone, push)) { /* I5 */
		out->verdict = STATUS_REFUSED;
		out->rule = "owner";
		(void)because(OK, &out->reason, "the zone belongs to %.200s", zone->owner);
		return true;
	}
	if (push->mass) { /* I11 */
		say(out, STATUS_HELD, "mass",
		    "one of too many deletes; release it by hand with dadns");
		return true;
	}
	return false;
}

static bool says_the_same(const struct zone_state *zone, const struct push_event *push)
{
	if (push->op == PUSH_DELETE) {
		return zone->deleted; /* by its owner: rule_against let nobody else through */
	}
	return !zone->deleted && zone->has_digest && push->digest != NULL &&
	       strcmp(zone->digest, push->digest) == 0 && same_owner(zone, push) &&
	       same_username(zone, push);
}

/* Oldest first; what is over the ceiling or both old and beyond the least is dropped. */
static size_t earlier_next(const struct zone_state *zone, int64_t pushed_at_ms,
			   struct earlier_push out[EARLIER_MAX])
{
	size_t total;
	size_t first = 0;

	if (zone == NULL) {
		return 0;
	}
	total = zone->earlier_count + 1; /* the value's own id joins them */
	if (total > EARLIER_MAX) {
		first = total - EARLIER_MAX;
	}
	while (total - first > EARLIER_LEAST &&
	       zone->earlier[first].at_ms < pushed_at_ms - EARLIER_WINDOW_MS) {
		first++;
	}
	memcpy(out, zone->earlier + first, (zone->earlier_count - first) * sizeof(out[0]));
	out[total - 1 - first] = (struct earlier_push){zone->id, zone->pushed_at_ms};
	return total - first;
}

static void accept(const struct zone_state *zone, const struct push_event *push,
		   struct version version, int64_t pushed_at_ms, struct judgement *out)
{
	bool unchanged = zone != NULL && says_the_same(zone, push);
	bool deleted = push->op == PUSH_DELETE;

	out->verdict = unchanged ? STATUS_UNCHANGED : STATUS_ACCEPTED;
	if (zone != NULL && !zone->deleted && !same_owner(zone, push)) {
		(void)because(OK, &out->reason, "migrated from %.200s", zone->owner);
	}
	out->has_value = true;
	out->value = (struct zone_event){
		.zone = push->zone,
		.version = version,
		.id = push->id,
		.deleted = deleted,
		.owner = push->owner,
		.username = push->username,
		.sender = push->sender,
		.received_at_ms = push->received_at_ms,
		.pushed_at_ms = pushed_at_ms,
		.now = push->now,
		.unchecked = push->unchecked,
		.unchanged = unchanged,
		.earlier = out->earlier,
		.earlier_count = earlier_next(zone, pushed_at_ms, out->earlier),
		.serial = deleted ? 0 : push->serial,
		.digest = deleted ? NULL : push->digest,
		.rrsets = deleted ? NULL : push->rrsets,
		.rrset_count = deleted ? 0 : push->rrset_count,
	};
}

void judge(const struct zone_state *state, const struct push_event *push, struct version version,
	   int64_t pushed_at_ms, struct judgement *out)
{
	const struct zone_state *zone = state == NULL || state->buried ? NULL : state;

	out->rule = NULL;
	out->reason.text[0] = '\0';
	out->has_value = false;
	out->remember = false;
	if (state != NULL && version_compare(version, state->version) <= 0) { /* I4 */
		say(out, STATUS_STALE, "version", "the zone has this push or a later one already");
		return;
	}
	if (rule_against(zone, push, out)) {
		out->remember = zone != NULL && push->has_seen && out->verdict == STATUS_REFUSED;
		return;
	}
	accept(zone, push, version, pushed_at_ms, out);
}

static bool copy_text(char out[STATE_TEXT_SIZE], const char *text)
{
	(void)snprintf(out, STATE_TEXT_SIZE, "%s", text == NULL ? "" : text);
	return text != NULL;
}

void zone_state_of(const struct zone_event *value, struct zone_state *out)
{
	size_t first = value->earlier_count > EARLIER_MAX ? value->earlier_count - EARLIER_MAX : 0;

	out->version = value->version;
	out->buried = false;
	out->deleted = value->deleted;
	out->unchecked = value->unchecked;
	out->unchanged = value->unchanged;
	(void)copy_text(out->owner, value->owner);
	out->has_username = copy_text(out->username, value->username);
	out->has_digest = value->digest != NULL;
	(void)snprintf(out->digest, sizeof(out->digest), "%s",
		       value->digest == NULL ? "" : value->digest);
	out->serial = value->serial;
	out->id = value->id;
	out->pushed_at_ms = value->pushed_at_ms;
	out->earlier_count = value->earlier_count - first;
	if (out->earlier_count > 0) {
		memcpy(out->earlier, value->earlier + first,
		       out->earlier_count * sizeof(out->earlier[0]));
	}
}
