/* SPDX-License-Identifier: Apache-2.0 */
#include "common/preflight.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum { TOLD_MAX = 256 };

#define ABOUT(id, name_, must_, why_, remedy_) \
	[CHECK_##id] = {.name = name_, .must = must_, .why = why_, .remedy = remedy_},
const struct check_about check_abouts[CHECKS] = {PREFLIGHT_CHECKS(ABOUT)};

#define ROW(id, name_, must_, why_, remedy_)                                   \
	[CHECK_##id] = GAUGE("dadns_preflight_findings", "name=\"" name_ "\"", \
			     "1: warned about, 2: wrong, 3: could not be looked at"),
static struct metric metrics[] = {PREFLIGHT_CHECKS(ROW)};
const struct metric_table preflight_metrics = METRIC_TABLE(metrics);

const char *finding_state_text(enum finding_state state)
{
	switch (state) {
	case FINDING_RIGHT:
		return "right";
	case FINDING_UNSEEN:
		return "unseen";
	case FINDING_WARN:
		return "warn";
	case FINDING_WRONG:
		return "wrong";
	case FINDING_AWAY:
		break;
	}
	return "away";
}

/* --- preflight.allow ------------------------------------------------------------------------- */

/* The next name of the list, without blanks; false after the last. */
static bool next_name(const char **list, struct span *out)
{
	*list += strspn(*list, ", \t");
	out->data = *list;
	out->len = strcspn(*list, ", \t");
	*list += out->len;
	return out->len != 0;
}

static bool is_allowed(const char *allow, enum check check)
{
	struct span name;

	while (next_name(&allow, &name)) {
		if (span_is(name, check_abouts[check].name)) {
			return true;
		}
	}
	return false;
}

enum outcome preflight_check_allow(const char *allow, struct reason *why)
{
	struct span name;

	while (next_name(&allow, &name)) {
		size_t i = 0;

		while (i < CHECKS && !span_is(name, check_abouts[i].name)) {
			i++;
		}
		if (i == CHECKS) {
			return because(PERMFAIL, why,
				       "preflight.allow: there is no check \"%.*s\" (such as "
				       "redis-fsync; docs/PREFLIGHT.md has them all)",
				       (int)(name.len < 60 ? name.len : 60), name.data);
		}
	}
	return OK;
}

/* --- findings -------------------------------------------------------------------------------- */

void preflight_init(struct preflight *preflight, const char *allow)
{
	*preflight = (struct preflight){
		.allow = allow, .wrong_is = FINDING_WRONG, .away_is = FINDING_AWAY};
}

void preflight_finish(struct preflight *preflight)
{
	free(preflight->items);
	preflight->items = NULL;
	preflight->count = 0;
}

void preflight_say(struct preflight *preflight, enum check check, enum finding_state state,
		   const char *where, const char *format, ...)
{
	struct finding *finding;
	va_list args;

	if (state == FINDING_AWAY) {
		state = preflight->away_is;
	} else if (state == FINDING_WRONG) {
		state = preflight->wrong_is;
	}
	if (state == FINDING_WRONG && is_allowed(preflight->allow, check)) {
		state = FINDING_WARN;
	}
	preflight->items =
		xrealloc(preflight->items, (preflight->count + 1) * sizeof(*preflight->items));
	finding = &preflight->items[preflight->count++];
	*finding = (struct finding){.check = check, .state = state};
	(void)snprintf(finding->where, sizeof(finding->where), "%s", where);
	va_start(args, format);
	(void)vsnprintf(finding->text.text, sizeof(finding->text.text), format, args);
	va_end(args);
}

void preflight_text(const struct finding *finding, struct reason *out)
{
	(void)because(OK, out, "%s: %.60s: %s", check_abouts[finding->check].name, finding->where,
		      finding->text.text);
}

const struct finding *preflight_first(const struct preflight *preflight, enum finding_state state)
{
	for (size_t i = 0; i < preflight->count; i++) {
		if (preflight->items[i].state == state) {
			return &preflight->items[i];
		}
	}
	return NULL;
}

void preflight_clock(struct preflight *preflight, enum check check, const char *where,
		     int64_t before_ms, int64_t theirs_ms, int64_t after_ms)
{
	int64_t ahead_ms = 0;

	if (theirs_ms > after_ms) {
		ahead_ms = theirs_ms - after_ms;
	} else if (theirs_ms < before_ms) {
		ahead_ms = theirs_ms - before_ms;
	}
	if (ahead_ms > CLOCK_SKEW_MS || ahead_ms < -CLOCK_SKEW_MS) {
		preflight_say(preflight, check, FINDING_WARN, where,
			      "its clock is %.1f s %s ours: is NTP at work on both hosts?",
			      (double)(ahead_ms < 0 ? -ahead_ms : ahead_ms) / 1000.0,
			      ahead_ms < 0 ? "behind" : "ahead of");
	} else {
		preflight_say(preflight, check, FINDING_RIGHT, where, "within 5 s of ours");
	}
}

/* --- for services ---------------------------------------------------------------------------- */

/* What was told last, so that a state is logged when it changes. */
struct told {
	enum check check;
	enum finding_state state;
	char where[96];
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct told told[TOLD_MAX];
static size_t told_count;

static bool is_news(const struct finding *finding)
{
	struct told *entry = NULL;
	bool news;

	for (size_t i = 0; i < told_count && entry == NULL; i++) {
		if (told[i].check == finding->check && strcmp(told[i].where, finding->where) == 0) {
			entry = &told[i];
		}
	}
	if (entry == NULL) {
		if (told_count == TOLD_MAX) {
			return finding->state > FINDING_UNSEEN;
		}
		entry = &told[told_count++];
		*entry = (struct told){.check = finding->check, .state = FINDING_RIGHT};
		(void)snprintf(entry->where, sizeof(entry->where), "%s", finding->where);
	}
	news = entry->state != finding->state;
	entry->state = finding->state;
	return news;
}

static bool is_found(const struct preflight *preflight, const struct told *entry)
{
	for (size_t i = 0; i < preflight->count; i++) {
		if (preflight->items[i].check == entry->check &&
		    strcmp(preflight->items[i].where, entry->where) == 0) {
			return true;
		}
	}
	return false;
}

/* A topic that is there again is found by other checks alone. */
static void forget_what_is_gone(const struct preflight *preflight, const int64_t *gauges)
{
	for (size_t i = 0; i < told_count; i++) {
		if (gauges[told[i].check] >= 0 && !is_found(preflight, &told[i])) {
			told[i].state = FINDING_RIGHT;
		}
	}
}

static void tell_one(const struct finding *finding)
{
	const char *name = check_abouts[finding->check].name;
	const char *state = finding_state_text(finding->state);

	switch (finding->state) {
	case FINDING_RIGHT:
	case FINDING_UNSEEN:
		log_info("preflight", F("check", name), F("state", state),
			 F("where", finding->where), F("what", finding->text.text));
		break;
	case FINDING_WARN:
		log_warn("preflight", F("check", name), F("state", state),
			 F("where", finding->where), F("what", finding->text.text),
			 F("do", check_abouts[finding->check].remedy));
		break;
	case FINDING_WRONG:
	case FINDING_AWAY:
		log_error("preflight", F("check", name), F("state", state),
			  F("where", finding->where), F("what", finding->text.text),
			  F("do", check_abouts[finding->check].remedy));
		break;
	}
}

static int64_t gauge_of(enum finding_state state)
{
	return state > FINDING_UNSEEN ? (int64_t)state - FINDING_UNSEEN : 0;
}

const struct finding *preflight_tell(const struct preflight *preflight)
{
	int64_t gauges[CHECKS];

	memset(gauges, -1, sizeof(gauges));
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < preflight->count; i++) {
		const struct finding *finding = &preflight->items[i];
		int64_t gauge = gauge_of(finding->state);

		if (is_news(finding)) {
			tell_one(finding);
		}
		if (gauge > gauges[finding->check]) {
			gauges[finding->check] = gauge;
		}
	}
	forget_what_is_gone(preflight, gauges);
	(void)pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < CHECKS; i++) {
		if (gauges[i] >= 0) {
			metric_set(&metrics[i], gauges[i]);
		}
	}
	return preflight_first(preflight, FINDING_WRONG);
}
