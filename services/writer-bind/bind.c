/* SPDX-License-Identifier: Apache-2.0 */
#include "services/writer-bind/bind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mark.h"
#include "common/preflight.h"
#include "services/writer-bind/bind_parts.h"
#include "services/writer-bind/zonefile.h"

#define PROBE_NAME "dadns-probe.invalid"
#define PROBE_MS 500
#define PROBES 3

static struct metric metrics[] = {
	[BIND_ADDZONE] = COUNTER("dadns_bind_commands_total", "command=\"addzone\"",
				 "commands sent to named's control channel"),
	[BIND_RELOAD] = COUNTER("dadns_bind_commands_total", "command=\"reload\"",
				"commands sent to named's control channel"),
	[BIND_DELZONE] = COUNTER("dadns_bind_commands_total", "command=\"delzone\"",
				 "commands sent to named's control channel"),
	[BIND_RECONNECTS] = COUNTER("dadns_bind_reconnects_total", "",
				    "times that the control channel broke and was opened again"),
	[BIND_REFUSED] = COUNTER("dadns_bind_failed_total", "reason=\"refused\"",
				 "zones that named would not take"),
	[BIND_NOT_SERVED] = COUNTER("dadns_bind_failed_total", "reason=\"not_served\"",
				    "zones that named would not take"),
	[BIND_PUT_BACK] = COUNTER("dadns_bind_put_back_total", "",
				  "previous zone files put back after a refusal"),
	[BIND_TRANSFERS] = COUNTER("dadns_bind_transfers_total", "",
				   "zones transferred to compare their digest"),
	[BIND_REREADS] = COUNTER("dadns_bind_rereads_total", "",
				 "times that the zones directory was read as a whole"),
};
const struct metric_table bind_metrics = METRIC_TABLE(metrics);

void bind_count(enum bind_metric metric)
{
	metric_add(&metrics[metric], 1);
}

/* The path is quoted for named as it is. */
static bool path_is_sane(const char *path)
{
	for (; *path != '\0'; path++) {
		if (*path < ' ' || *path > '~' || *path == '"' || *path == '\\') {
			return false;
		}
	}
	return true;
}

enum outcome bind_create(const struct bind_config *config, void **backend, struct reason *why)
{
	struct bind *bind;
	enum outcome outcome;

	if (config->zones_dir[0] == '\0' || !path_is_sane(config->zones_dir)) {
		return because(PERMFAIL, why,
			       "zones_dir must be a path of ASCII without quotes and backslashes");
	}
	bind = xcalloc(1, sizeof(*bind));
	bind->config = config;
	bind->dir = (struct zonedir)ZONEDIR_INIT;
	buf_init(&bind->command, RNDC_REQUEST_MAX);
	outcome = rndc_create(&bind->rndc, config->rndc, config->rndc_key_file, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = dnsq_create(&bind->dnsq, config->dns, why);
	if (outcome != OK) {
		goto out;
	}
	*backend = bind;
	bind = NULL;
out:
	bind_destroy(bind);
	return outcome;
}

static void forget_dir(struct bind *bind)
{
	held_clear(&bind->held);
	positions_finish(&bind->positions);
	if (bind->dir.fd >= 0) {
		(void)close(bind->dir.fd); /* and its lock */
	}
	bind->dir = (struct zonedir)ZONEDIR_INIT;
}

void bind_destroy(void *backend)
{
	struct bind *bind = backend;

	if (bind == NULL) {
		return;
	}
	forget_dir(bind);
	rndc_destroy(bind->rndc);
	dnsq_destroy(bind->dnsq);
	buf_finish(&bind->command);
	free(bind);
}

/* --- the directory -----------------------------------------------------------------------------
 */

bool bind_dir_is_ours(const struct bind *bind)
{
	struct stat ours;
	struct stat there;

	return bind->dir.fd >= 0 && fstat(bind->dir.fd, &ours) == 0 &&
	       stat(bind->path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev && positions_are_ours(bind->dir.fd, &bind->positions);
}

static bool ends_with(const char *text, const char *suffix, size_t *stem_len)
{
	size_t len = strlen(text);
	size_t suffix_len = strlen(suffix);

	if (len <= suffix_len || strcmp(text + len - suffix_len, suffix) != 0) {
		return false;
	}
	*stem_len = len - suffix_len;
	return true;
}

static void note_zone(struct bind *bind, const char *file)
{
	struct zonefile_head head;

	if (!zonefile_read_head(&bind->dir, file, &head)) {
		return; /* not ours: the audit reports it if named serves it */
	}
	hold_head(held_of(&bind->held, &head.zone), &head);
}

/* A writer died between publishing a zone and seeing it served, or just before publishing. */
static void note_previous(struct bind *bind, const char *file, size_t stem_len)
{
	char current[ZONEFILE_NAME_SIZE];
	struct zonefile_head head;
	struct zonefile_head old;

	if (stem_len - 1 + sizeof(ZONEFILE_SUFFIX) > sizeof(current)) {
		return;
	}
	memcpy(current, file + 1, stem_len - 1);
	memcpy(current + stem_len - 1, ZONEFILE_SUFFIX, sizeof(ZONEFILE_SUFFIX));
	if (!zonefile_read_head(&bind->dir, current, &head)) {
		(void)renameat(bind->dir.fd, file, bind->dir.fd,
			       current); /* read in the next pass */
	} else if (zonefile_read_previous(&bind->dir, file, &old) &&
		   version_compare(old.version, head.version) < 0) {
		held_of(&bind->held, &head.zone)->unsure = true;
	} else {
		(void)unlinkat(bind->dir.fd, file, 0); /* was not yet published */
	}
}

static void note_hidden(struct bind *bind, const char *file)
{
	size_t stem_len;

	if (strncmp(file, SPARE_PREFIX, strlen(SPARE_PREFIX)) == 0) {
		zonedir_note_spare(&bind->dir, file);
	} else if (ends_with(file, ZONEFILE_PREVIOUS, &stem_len)) {
		note_previous(bind, file, stem_len);
	}
}

/* Two passes: what was left over may bring a zone file back. */
static enum outcome read_dir(struct bind *bind, struct reason *why)
{
	const struct dirent *entry;
	size_t stem_len;
	DIR *list;
	int fd;

	bind_count(BIND_REREADS);
	held_clear(&bind->held);
	positions_read(bind->dir.fd, &bind->positions);
	fd = openat(bind->dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopendir(fd);
	if (list == NULL) {
		because(TEMPFAIL, why, "cannot read %s: %s", bind->path, strerror(errno));
		if (fd >= 0) {
			(void)close(fd);
		}
		return TEMPFAIL;
	}
	while ((entry = readdir(list)) != NULL) {
		if (entry->d_name[0] == '.') {
			note_hidden(bind, entry->d_name);
		}
	}
	rewinddir(list);
	while ((entry = readdir(list)) != NULL) {
		if (entry->d_name[0] != '.' &&
		    ends_with(entry->d_name, ZONEFILE_SUFFIX, &stem_len)) {
			note_zone(bind, entry->d_name);
		}
	}
	(void)closedir(list);
	return OK;
}

/* A directory that has vanished is made again, empty: position 0, everything comes again (I4). */
static enum outcome open_dir(struct bind *bind, struct reason *why)
{
	const char *dir = bind->config->zones_dir;
	enum outcome outcome;

	forget_dir(bind);
	if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
		return because(TEMPFAIL, why, "cannot make zones_dir %s: %s", dir, strerror(errno));
	}
	if (realpath(dir, bind->path) == NULL) {
		return because(TEMPFAIL, why, "zones_dir %s: %s", dir, strerror(errno));
	}
	if (!path_is_sane(bind->path)) {
		return because(TEMPFAIL, why, "zones_dir %s: its real path has a quote in it", dir);
	}
	bind->dir.fd = open(bind->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bind->dir.fd < 0) {
		return because(TEMPFAIL, why, "zones_dir %s: %s", dir, strerror(errno));
	}
	if (flock(bind->dir.fd, LOCK_EX | LOCK_NB) != 0) {
		because(TEMPFAIL, why, "zones_dir %s is in use by another writer", dir);
		forget_dir(bind);
		return TEMPFAIL;
	}
	outcome = read_dir(bind, why);
	if (outcome != OK) {
		forget_dir(bind);
	}
	return outcome;
}

/* --- the vtable --------------------------------------------------------------------------------
 */

static enum outcome probe_dns(struct bind *bind, struct reason *why)
{
	struct dnsq_answer answer;
	struct name name;
	enum outcome outcome;

	outcome = name_parse(span_of(PROBE_NAME), &name, why);
	for (int i = 0; outcome == OK && i < PROBES; i++) {
		outcome = dnsq_ask_soa(bind->dnsq, &name, 0, why);
		if (outcome == OK && dnsq_next(bind->dnsq, PROBE_MS, &answer)) {
			return OK;
		}
	}
	dnsq_forget(bind->dnsq);
	if (outcome == OK) {
		outcome = because(TEMPFAIL, why, "named does not answer DNS questions at %s",
				  bind->config->dns);
	}
	return outcome;
}

static enum outcome bind_open(void *backend, struct reason *why)
{
	struct bind *bind = backend;
	enum outcome outcome;

	if (!bind_dir_is_ours(bind)) {
		outcome = open_dir(bind, why);
		if (outcome != OK) {
			return outcome;
		}
	}
	outcome = rndc_open(bind->rndc, RNDC_TIMEOUT_MS, why);
	if (outcome != OK) {
		return outcome;
	}
	return probe_dns(bind, why);
}

static void bind_check(void *backend, struct preflight *findings)
{
	struct bind *bind = backend;
	char where[96];

	(void)snprintf(where, sizeof(where), "named %s", bind->config->rndc);
	preflight_bind(findings, where, bind->rndc, bind->path, RNDC_TIMEOUT_MS);
}

static int64_t bind_position(void *backend, int32_t partition)
{
	struct bind *bind = backend;

	return positions_get(&bind->positions, partition);
}

static enum outcome bind_store_positions(void *backend, const int32_t *partitions,
					 const int64_t *next, size_t count, struct reason *why)
{
	struct bind *bind = backend;
	enum outcome outcome;

	if (!bind_dir_is_ours(bind)) {
		return because(TEMPFAIL, why, "%s was changed under us: reading it again",
			       bind->path);
	}
	outcome = positions_store(bind->dir.fd, &bind->positions, partitions, next, count, why);
	if (outcome == OK) {
		mark("bind.positions");
	}
	return outcome;
}

const struct backend_ops bind_ops = {
	.open = bind_open,
	.check = bind_check,
	.position = bind_position,
	.apply = bind_apply,
	.store_positions = bind_store_positions,
	.close = bind_destroy,
};
