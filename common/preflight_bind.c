/* SPDX-License-Identifier: Apache-2.0 */
/* named, by its control channel; and its files, if they are on this host. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/named_conf.h"
#include "common/preflight.h"

/* Of a zone that there is not: named says "not found", or that it takes no new zones. */
#define HARMLESS "modzone \"dadns-probe.invalid\" { type primary; file \"dadns-probe\"; };"
/* Of `rndc status`; rndc.c makes line ends blanks. */
#define CONF_LINE "configuration file: "
#define NEXT_LINE " CPUs found: "

static void check_new_zones(struct preflight *preflight, const char *where,
			    const struct rndc_reply *reply)
{
	if (strcmp(reply->err, "not found") == 0) {
		preflight_say(preflight, CHECK_BIND_NEW_ZONES, FINDING_RIGHT, where,
			      "allow-new-zones yes");
	} else if (strcmp(reply->err, "permission denied") == 0) {
		preflight_say(preflight, CHECK_BIND_NEW_ZONES, FINDING_WRONG, where,
			      "named takes no new zones: allow-new-zones yes; belongs into the "
			      "options of its named.conf, then rndc reconfig");
	} else {
		preflight_say(preflight, CHECK_BIND_NEW_ZONES, FINDING_WARN, where,
			      "whether it takes new zones cannot be told, it says: %.100s",
			      reply->err[0] != '\0' ? reply->err : reply->text);
	}
}

/* --- named.conf and our zones ---------------------------------------------------------------- */

struct overlap {
	const char *zones_dir;
	size_t zones;
	size_t count;
	char first[NAME_TEXT_MAX + 1];
};

/* Ours, and not deleted: the first line says so (services/writer-bind/zonefile.h). */
static bool is_ours(const char *zones_dir, const struct name *name)
{
	char file[NAME_FILE_SIZE];
	char path[PATH_MAX];
	char line[1024] = "";
	FILE *opened;

	name_file(name, file);
	(void)snprintf(path, sizeof(path), "%s/%s.zone", zones_dir, file);
	opened = fopen(path, "re");
	if (opened == NULL) {
		return false;
	}
	if (fgets(line, sizeof(line), opened) == NULL) {
		line[0] = '\0';
	}
	(void)fclose(opened);
	return strncmp(line, "; dadns/1 ", 10) == 0 && strstr(line, " state=zone") != NULL;
}

static void note_zone(void *context, const struct name *name)
{
	struct overlap *overlap = context;

	overlap->zones++;
	if (is_ours(overlap->zones_dir, name) && overlap->count++ == 0) {
		(void)snprintf(overlap->first, sizeof(overlap->first), "%s", name->text);
	}
}

static void compare(struct preflight *preflight, const char *where, const char *conf,
		    const char *zones_dir)
{
	struct overlap overlap = {.zones_dir = zones_dir};
	struct reason why;
	size_t unread = 0;

	if (access(zones_dir, R_OK | X_OK) != 0) {
		preflight_say(preflight, CHECK_BIND_OVERLAP, FINDING_UNSEEN, where,
			      "zones_dir %.60s: %s; look there: dadns doctor on named's host",
			      zones_dir, strerror(errno));
	} else if (named_conf_zones(conf, note_zone, &overlap, &unread, &why) != OK) {
		preflight_say(preflight, CHECK_BIND_OVERLAP, FINDING_UNSEEN, where,
			      "%.140s; look there: dadns doctor on named's host", why.text);
	} else if (overlap.count != 0) {
		preflight_say(preflight, CHECK_BIND_OVERLAP, FINDING_WRONG, where,
			      "%.60s is ours, and in %.60s too: named would not start again; "
			      "take it out there before it is restarted (%zu such zones)",
			      overlap.first, conf, overlap.count);
	} else if (unread != 0) {
		preflight_say(preflight, CHECK_BIND_OVERLAP, FINDING_UNSEEN, where,
			      "%zu zones of %.60s are not ours; %zu of its includes cannot be "
			      "read by this account",
			      overlap.zones, conf, unread);
	} else {
		preflight_say(preflight, CHECK_BIND_OVERLAP, FINDING_RIGHT, where,
			      "%zu zones in %.100s, none of them ours", overlap.zones, conf);
	}
}

static void check_overlap(struct preflight *preflight, const char *where,
			  const struct rndc_reply *reply, const char *zones_dir)
{
	const char *line;
	const char *end;
	char conf[PATH_MAX];

	line = strstr(reply->text, CONF_LINE);
	end = line == NULL ? NULL : strstr(line, NEXT_LINE);
	if (end == NULL) {
		preflight_say(preflight, CHECK_BIND_OVERLAP, FINDING_UNSEEN, where,
			      "named does not say where its named.conf is");
		return;
	}
	line += strlen(CONF_LINE);
	(void)snprintf(conf, sizeof(conf), "%.*s", (int)(end - line), line);
	compare(preflight, where, conf, zones_dir);
}

/* An open channel may be that of a named that was restarted meanwhile. */
static enum outcome call(struct rndc *rndc, const char *command, int timeout_ms,
			 struct rndc_reply *reply, struct reason *why)
{
	bool was_open = rndc_is_open(rndc);
	enum outcome outcome = rndc_open(rndc, timeout_ms, why);

	if (outcome == OK) {
		outcome = rndc_call(rndc, span_of(command), timeout_ms, reply, why);
	}
	return outcome != OK && was_open ? call(rndc, command, timeout_ms, reply, why) : outcome;
}

void preflight_bind(struct preflight *preflight, const char *where, struct rndc *rndc,
		    const char *zones_dir, int timeout_ms)
{
	struct rndc_reply replies[2];
	struct reason why;

	if (call(rndc, HARMLESS, timeout_ms, &replies[0], &why) != OK ||
	    call(rndc, "status", timeout_ms, &replies[1], &why) != OK) {
		preflight_say(preflight, CHECK_BIND_REACH, FINDING_AWAY, where, "%s", why.text);
		return;
	}
	preflight_say(preflight, CHECK_BIND_REACH, FINDING_RIGHT, where, "it answers");
	check_new_zones(preflight, where, &replies[0]);
	check_overlap(preflight, where, &replies[1], zones_dir);
}
