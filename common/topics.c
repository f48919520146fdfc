/* SPDX-License-Identifier: Apache-2.0 */
#include "common/topics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bus_admin.h"
#include "common/clock.h"
#include "common/event.h"
#include "common/topics_epoch.h"
#include "common/topics_wanted.h"

#define APPLY_WAIT_MS 30000

static void take_setting(void *context, const char *name, const char *value, bool own)
{
	struct wanted_list *list = context;
	size_t i;

	(void)own;
	for (i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].name, name) == 0) {
			(void)snprintf(list->items[i].is, TOPIC_VALUE_SIZE, "%s", value);
		}
	}
}

/* --- a walk over the topics ------------------------------------------------------------------- */

struct walk {
	struct bus_admin *admin;
	const struct topics_config *config;
	int timeout_ms;
	void (*report)(void *context, const char *line);
	void (*find)(void *context, const char *topic, enum topic_fault fault, const char *text);
	void *context;
	size_t wrong;
	struct reason first; /* of what is wrong */
};

static void tell(struct walk *walk, const char *topic, const char *state, const char *text)
{
	char line[400];

	(void)snprintf(line, sizeof(line), "%s: %s: %s", topic, state, text);
	if (walk->report != NULL) {
		walk->report(walk->context, line);
	}
}

static void tell_done(struct walk *walk, const char *topic, const char *state, const char *format,
		      ...) PRINTF_LIKE(4, 5);
static void tell_done(struct walk *walk, const char *topic, const char *state, const char *format,
		      ...)
{
	struct reason text;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text.text, sizeof(text.text), format, args); /* cut is fine */
	va_end(args);
	tell(walk, topic, state, text.text);
}

static void found(struct walk *walk, const char *topic, enum topic_fault fault, const char *format,
		  ...) PRINTF_LIKE(4, 5);
static void found(struct walk *walk, const char *topic, enum topic_fault fault, const char *format,
		  ...)
{
	bool right = fault == TOPIC_RIGHT || fault == TOPIC_EPOCH_RIGHT;
	struct reason text;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text.text, sizeof(text.text), format, args);
	va_end(args);
	tell(walk, topic, right ? "right" : "wrong", text.text);
	if (walk->find != NULL) {
		walk->find(walk->context, topic, fault, text.text);
	}
	if (!right && walk->wrong++ == 0) {
		(void)because(PERMFAIL, &walk->first, "%s: %s", topic, text.text);
	}
}

static int32_t count_of(const struct topic_row *row, const struct topics_config *config)
{
	return row->pinned ? (int32_t)config->partitions : row->partitions;
}

/* I2: a key's partition depends on the count, so a topic that has another one stays unused. */
static enum outcome count_right(const struct topic_row *row, const struct topics_config *config,
				int32_t partitions, struct reason *why)
{
	if (!row->pinned || partitions == (int32_t)config->partitions) {
		return OK;
	}
	return because(PERMFAIL, why,
		       "%s has %d partitions, topics.partitions says %" PRId64
		       "; the count is pinned for good, correct the configuration",
		       row->name, partitions, config->partitions);
}

static void counts_text(int32_t partitions, int32_t replicas, struct reason *out)
{
	(void)because(OK, out, "%d partition%s, %d replica%s%s", partitions,
		      partitions == 1 ? "" : "s", replicas, replicas == 1 ? "" : "s",
		      replicas == 1 ? " (a lost disk loses it)" : "");
}

/* --- apply ------------------------------------------------------------------------------------ */

static enum outcome make(struct walk *walk, const struct topic_row *row, struct reason *why)
{
	struct bus_topic_setting settings[TOPIC_SETTINGS_MAX];
	struct wanted_list list;
	size_t i;

	wanted_of(row, walk->config, (int32_t)walk->config->replication, &list);
	for (i = 0; i < list.count; i++) {
		settings[i] = (struct bus_topic_setting){
			.name = list.items[i].name,
			.value = list.items[i].value,
		};
	}
	return bus_admin_make(walk->admin, row->name, count_of(row, walk->config),
			      (int32_t)walk->config->replication, settings, list.count,
			      walk->timeout_ms, why);
}

/* The broker that is asked may not know yet what another one has just made. */
static enum outcome look_at_settings(struct walk *walk, const struct topic_row *row,
				     struct wanted_list *list, struct reason *why)
{
	int64_t end_ms = clock_ms() + walk->timeout_ms;
	enum outcome outcome;

	do {
		outcome = bus_admin_settings(walk->admin, row->name, take_setting, list,
					     walk->timeout_ms, why);
	} while (outcome == TEMPFAIL && clock_ms() < end_ms);
	return outcome;
}

/* Sets what is wrong; `*changed` is how many. */
static enum outcome correct(struct walk *walk, const struct topic_row *row, int32_t replicas,
			    size_t *changed, struct reason *why)
{
	struct bus_topic_setting settings[TOPIC_SETTINGS_MAX];
	struct wanted_list list;
	enum outcome outcome;
	size_t n = 0;
	size_t i;

	wanted_of(row, walk->config, replicas, &list);
	outcome = look_at_settings(walk, row, &list, why);
	if (outcome != OK) {
		return outcome;
	}
	for (i = 0; i < list.count; i++) {
		if (!wanted_is_right(&list.items[i])) {
			settings[n++] = (struct bus_topic_setting){
				.name = list.items[i].name,
				.value = list.items[i].value,
			};
		}
	}
	if (n > 0) {
		outcome = bus_admin_set(walk->admin, row->name, settings, n, walk->timeout_ms, why);
	}
	if (outcome != OK) {
		return outcome;
	}
	for (i = 0; i < list.count; i++) {
		if (!wanted_is_right(&list.items[i])) {
			tell_done(walk, row->name, "set", "%s %s (was %s)", list.items[i].name,
				  list.items[i].value, list.items[i].is);
		}
	}
	*changed = n;
	return OK;
}

/* Kafka tells of a topic that it has just made a little later. */
static enum outcome find_made(struct walk *walk, const struct topic_row *row, int32_t *partitions,
			      int32_t *replicas, struct reason *why)
{
	int64_t end_ms = clock_ms() + walk->timeout_ms;
	enum outcome outcome;

	do {
		outcome = bus_admin_find(walk->admin, row->name, partitions, replicas,
					 walk->timeout_ms, why);
	} while (outcome == OK && *partitions == 0 && clock_ms() < end_ms);
	if (outcome == OK && *partitions == 0) {
		return because(TEMPFAIL, why, "%s was made and cannot be seen yet", row->name);
	}
	return outcome;
}

static enum outcome apply_topic(struct walk *walk, const struct topic_row *row, struct reason *why)
{
	int32_t partitions = 0;
	int32_t replicas = 0;
	size_t changed = 0;
	struct reason counts;
	enum outcome outcome;
	bool made = false;

	outcome = bus_admin_find(walk->admin, row->name, &partitions, &replicas, walk->timeout_ms,
				 why);
	if (outcome == OK && partitions == 0) {
		made = true;
		outcome = make(walk, row, why);
		if (outcome == OK) {
			outcome = find_made(walk, row, &partitions, &replicas, why);
		}
	}
	if (outcome == OK) {
		outcome = count_right(row, walk->config, partitions, why);
	}
	counts_text(partitions, replicas, &counts);
	if (outcome == OK && made) {
		tell(walk, row->name, "made", counts.text);
	}
	if (outcome == OK) {
		outcome = correct(walk, row, replicas, &changed, why);
	}
	if (outcome == OK && !made && changed == 0) {
		tell(walk, row->name, "right", counts.text);
	}
	return outcome;
}

/* I4: one record of one epoch in each partition of zones. */
static enum outcome apply_epoch(struct walk *walk, const struct bus_config *bus, bool new_epoch,
				struct reason *why)
{
	int32_t partitions = (int32_t)walk->config->partitions;
	struct epochs *epochs = xcalloc(1, sizeof(*epochs));
	int64_t now_ms = clock_wall_ms();
	int64_t epoch;
	enum outcome outcome;

	outcome = epochs_read(bus, partitions, walk->timeout_ms, epochs, why);
	if (outcome != OK) {
		goto out;
	}
	epoch = epochs->highest;
	if (!new_epoch && epochs_right(epochs)) {
		tell_done(walk, TOPIC_ZONES, "right", "epoch %" PRId64, epoch);
		goto out;
	}
	if (new_epoch || epoch == 0) {
		outcome = epochs_highest(bus, partitions, walk->timeout_ms, &epoch, why);
		if (outcome != OK) {
			goto out;
		}
		epoch = now_ms > epoch ? now_ms : epoch + 1;
	} /* else: somebody was killed between two partitions; the others get the same one */
	outcome = epochs_write(bus, epochs, epoch, walk->timeout_ms, why);
	if (outcome == OK) {
		tell_done(walk, TOPIC_ZONES, "made", "epoch %" PRId64, epoch);
	}
out:
	free(epochs);
	return outcome;
}

enum outcome topics_apply(const struct bus_config *bus, const struct topics_config *config,
			  bool new_epoch, void (*report)(void *context, const char *line),
			  void *context, struct reason *why)
{
	struct walk walk = {
		.config = config,
		.timeout_ms = APPLY_WAIT_MS,
		.report = report,
		.context = context,
	};
	enum outcome outcome;
	size_t i;

	outcome = bus_admin_create(&walk.admin, bus, why);
	for (i = 0; i < TOPIC_COUNT && outcome == OK; i++) {
		outcome = apply_topic(&walk, &topic_rows[i], why);
	}
	bus_admin_destroy(walk.admin);
	if (outcome == OK) {
		outcome = apply_epoch(&walk, bus, new_epoch, why);
	}
	return outcome;
}

/* --- check ------------------------------------------------------------------------------------ */

/* OK: it could be looked at; what is wrong is told. */
static enum outcome check_topic(struct walk *walk, const struct topic_row *row, bool *usable,
				struct reason *why)
{
	size_t wrong = walk->wrong;
	struct wanted_list list;
	int32_t partitions = 0;
	int32_t replicas = 0;
	struct reason counts;
	enum outcome outcome;
	size_t i;

	outcome = bus_admin_find(walk->admin, row->name, &partitions, &replicas, walk->timeout_ms,
				 why);
	if (outcome != OK) {
		return outcome;
	}
	if (partitions == 0) {
		found(walk, row->name, TOPIC_MISSING,
		      "does not exist; dadns topics apply makes it");
		return OK;
	}
	if (count_right(row, walk->config, partitions, &counts) != OK) {
		found(walk, row->name, TOPIC_PARTITIONS, "%s", counts.text);
		return OK;
	}
	*usable = true;
	wanted_of(row, walk->config, replicas, &list);
	outcome = bus_admin_settings(walk->admin, row->name, take_setting, &list, walk->timeout_ms,
				     why);
	for (i = 0; i < list.count && outcome == OK; i++) {
		if (!wanted_is_right(&list.items[i])) {
			found(walk, row->name, TOPIC_SETTING, "%s is %s, must be %s%s",
			      list.items[i].name, list.items[i].is, list.items[i].value,
			      list.items[i].must == AT_LEAST ? " or more" : "");
		}
	}
	if (outcome == OK && walk->wrong == wrong) {
		counts_text(partitions, replicas, &counts);
		found(walk, row->name, TOPIC_RIGHT, "%s", counts.text);
	}
	return outcome;
}

static void tell_epoch(struct walk *walk, const struct epochs *epochs)
{
	int32_t i;

	if (epochs_right(epochs)) {
		found(walk, TOPIC_ZONES, TOPIC_EPOCH_RIGHT, "epoch %" PRId64, epochs->highest);
		return;
	}
	if (epochs->highest == 0) {
		found(walk, TOPIC_ZONES, TOPIC_EPOCH, "no epoch yet; dadns topics apply makes one");
		return;
	}
	for (i = 0; i < epochs->partitions; i++) {
		if (epochs->of[i] == 0) {
			found(walk, TOPIC_ZONES, TOPIC_EPOCH, "partition %d has no epoch record",
			      i);
		} else if (epochs->of[i] != epochs->highest) {
			found(walk, TOPIC_ZONES, TOPIC_EPOCH,
			      "partition %d has epoch %" PRId64 ", others have %" PRId64, i,
			      epochs->of[i], epochs->highest);
		} else if (epochs->made_for[i] != epochs->partitions) {
			found(walk, TOPIC_ZONES, TOPIC_EPOCH,
			      "partition %d: its epoch was made for %d partitions", i,
			      epochs->made_for[i]);
		}
	}
}

static enum outcome check_epoch(struct walk *walk, const struct bus_config *bus, struct reason *why)
{
	struct epochs *epochs = xcalloc(1, sizeof(*epochs));
	enum outcome outcome;

	outcome =
		epochs_read(bus, (int32_t)walk->config->partitions, walk->timeout_ms, epochs, why);
	if (outcome == OK) {
		tell_epoch(walk, epochs);
	}
	free(epochs);
	return outcome;
}

/* OK: all was looked at. */
static enum outcome inspect(struct walk *walk, const struct bus_config *bus, bool epoch,
			    struct reason *why)
{
	bool zones_usable = false;
	enum outcome outcome;
	size_t i;

	outcome = bus_admin_create(&walk->admin, bus, why);
	for (i = 0; i < TOPIC_COUNT && outcome == OK; i++) {
		bool usable = false;

		outcome = check_topic(walk, &topic_rows[i], &usable, why);
		zones_usable =
			zones_usable || (usable && strcmp(topic_rows[i].name, TOPIC_ZONES) == 0);
	}
	bus_admin_destroy(walk->admin);
	if (outcome == OK && epoch && zones_usable) {
		outcome = check_epoch(walk, bus, why);
	}
	return outcome;
}

enum outcome topics_check(const struct bus_config *bus, const struct topics_config *config,
			  int timeout_ms, void (*report)(void *context, const char *line),
			  void *context, struct reason *why)
{
	struct walk walk = {
		.config = config,
		.timeout_ms = timeout_ms,
		.report = report,
		.context = context,
	};
	enum outcome outcome = inspect(&walk, bus, true, why);

	if (outcome == OK && walk.wrong > 0) {
		outcome = because(PERMFAIL, why, "%zu wrong, the first: %s", walk.wrong,
				  walk.first.text);
	}
	return outcome;
}

enum outcome topics_inspect(const struct bus_config *bus, const struct topics_config *config,
			    int timeout_ms, bool epoch,
			    void (*find)(void *context, const char *topic, enum topic_fault fault,
					 const char *text),
			    void *context, struct reason *why)
{
	struct walk walk = {
		.config = config,
		.timeout_ms = timeout_ms,
		.find = find,
		.context = context,
	};

	return inspect(&walk, bus, epoch, why);
}

enum outcome topics_preflight(const struct bus_config *bus, const struct topics_config *config,
			      int timeout_ms, struct reason *why)
{
	struct bus_admin *admin = NULL;
	enum outcome outcome;
	size_t i;

	outcome = bus_admin_create(&admin, bus, why);
	for (i = 0; i < TOPIC_COUNT && outcome == OK; i++) {
		int32_t partitions = 0;
		int32_t replicas = 0;

		outcome = bus_admin_find(admin, topic_rows[i].name, &partitions, &replicas,
					 timeout_ms, why);
		if (outcome == OK && partitions == 0) {
			outcome = because(TEMPFAIL, why,
					  "topic %s does not exist; dadns topics apply makes it",
					  topic_rows[i].name);
		} else if (outcome == OK) {
			outcome = count_right(&topic_rows[i], config, partitions, why);
		}
	}
	bus_admin_destroy(admin);
	return outcome;
}
