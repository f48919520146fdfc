/* SPDX-License-Identifier: Apache-2.0 */
/* One batch: decide, write, sync, drive (publish, tell, watch), settle. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mark.h"
#include "services/writer-bind/bind_parts.h"
#include "services/writer-bind/zonefile.h"

/* Up to here a sync for each file is faster than one for the file system, on which others (the
 * log's broker, named) may have much more unwritten than we do. Measured: 1 file 0.3 against
 * 0.3 to 0.9 ms, 4 files 1.1 against 0.4 to 0.8 ms, 128 files 25 against 2.4 to 3.5 ms. */
#define SYNC_EACH_MAX 2

static void finish_zone(struct job *job, enum outcome outcome, enum change_result result)
{
	job->work = WORK_NONE;
	job->change->outcome = outcome;
	job->change->result = result;
}

/* --- decide ------------------------------------------------------------------------------------
 */

/* What named shows now. PERMFAIL: this zone cannot be looked at; TEMPFAIL: named is away. */
static enum outcome look(struct bind *bind, const struct name *zone, bool *absent,
			 char digest[DIGEST_HEX_SIZE], struct reason *why)
{
	struct dnsq_answer answer;
	struct reason because_of;
	enum outcome outcome;
	uint32_t serial;

	bind_count(BIND_TRANSFERS);
	*absent = false;
	outcome = dnsq_digest(bind->dnsq, zone, TRANSFER_TIMEOUT_MS, digest, &serial, &because_of);
	if (outcome == OK) {
		return OK;
	}
	if (outcome == PERMFAIL) {
		*absent = true;
		digest[0] = '\0';
		return OK;
	}
	/* I8: one zone that cannot be transferred is not a dead server. */
	outcome = dnsq_ask_soa(bind->dnsq, zone, 0, why);
	if (outcome == OK && !dnsq_next(bind->dnsq, 1000, &answer)) {
		outcome = because(TEMPFAIL, why, "%s", because_of.text);
	} else if (outcome == OK) {
		outcome = because(PERMFAIL, why, "%s", because_of.text);
	}
	dnsq_forget(bind->dnsq);
	return outcome;
}

/* I6: does the backend still show what the audit saw? */
static bool shows(const struct job *job, bool absent, const char *digest)
{
	const struct backend_view *expect = job->change->expect;

	if (!version_is_none(expect->version) &&
	    version_compare(expect->version, job->held->version) != 0) {
		return false;
	}
	if (expect->absent || expect->digest[0] == '\0') {
		return absent;
	}
	return !absent && strcmp(digest, expect->digest) == 0;
}

static enum outcome decide(struct bind *bind, struct job *job, struct reason *why)
{
	const struct zone_event *value = job->value;
	const struct backend_view *expect = job->change->expect;
	struct held *held = job->held;
	int order = version_compare(value->version, held->version);
	char digest[DIGEST_HEX_SIZE];
	bool absent = false;
	bool same_content;
	enum outcome outcome;

	if (order < 0 && !(expect != NULL && job->change->stuck_ahead &&
			   version_compare(expect->version, held->version) == 0)) {
		finish_zone(job, OK, CHANGE_OLDER); /* I4 */
		return OK;
	}
	if (job->change->burial && version_is_none(held->version)) {
		finish_zone(job, OK, CHANGE_OLDER);
		return OK;
	}
	same_content =
		held_is_zone(held) && !value->deleted && strcmp(held->digest, value->digest) == 0;
	job->work = value->deleted ? WORK_DELETE : WORK_FILE;
	/* Neither is there anything better to go back to when it was stuck ahead. */
	job->rewrite = order <= 0;
	if (expect == NULL && !same_content) {
		return OK;
	}
	outcome = look(bind, &value->zone, &absent, digest, why);
	if (outcome == PERMFAIL) {
		job->change->why = *why;
		finish_zone(job, TEMPFAIL, CHANGE_APPLIED);
		return OK;
	}
	if (outcome != OK) {
		return outcome;
	}
	/* An equal version is ours to finish, whatever the audit saw before we began it. */
	if (expect != NULL && order != 0 && !shows(job, absent, digest)) {
		finish_zone(job, OK, CHANGE_OLDER);
		return OK;
	}
	if (same_content && !absent && strcmp(digest, value->digest) == 0) {
		/* I4, equal or unchanged: it is served; a newer version still goes to the file. */
		job->work = order == 0 ? WORK_NONE : WORK_STAMP;
		if (order == 0 && held->unsure) {
			zonefile_settle(&bind->dir, &value->zone);
			held->unsure = false;
		}
		job->change->result = CHANGE_VERIFIED;
	}
	return OK;
}

/* --- write, sync, publish ----------------------------------------------------------------------
 */

static bool needs_file(const struct job *job)
{
	return job->work == WORK_STAMP || job->work == WORK_FILE ||
	       (job->work == WORK_DELETE && !(job->rewrite && job->held->deleted));
}

static enum outcome write_files(struct bind *bind, struct job *jobs, size_t count,
				struct reason *why)
{
	size_t files = 0;

	for (size_t i = 0; i < count; i++) {
		files += needs_file(&jobs[i]);
	}
	for (size_t i = 0; i < count; i++) {
		struct job *job = &jobs[i];
		enum outcome outcome;

		if (!needs_file(job)) {
			continue;
		}
		outcome = zonefile_write(&bind->dir, job->value, files <= SYNC_EACH_MAX,
					 &job->spare, why);
		if (outcome == TEMPFAIL) {
			return outcome;
		}
		if (outcome == PERMFAIL) {
			job->change->why = *why;
			finish_zone(job, PERMFAIL, CHANGE_APPLIED);
			continue;
		}
		job->written = true;
	}
	mark("bind.written");
	return files <= SYNC_EACH_MAX ? OK : zonefile_sync(&bind->dir, why);
}

enum outcome job_publish(struct bind *bind, struct job *job, struct reason *why)
{
	/* I4: what named loaded last stays at hand until it has loaded this. */
	bool keep = !version_is_none(job->held->version) && !job->rewrite && !job->held->unsure;
	bool kept = false;
	enum outcome outcome;

	if (!job->written || job->published) {
		return OK;
	}
	outcome = zonefile_publish(&bind->dir, &job->value->zone, job->spare, keep, &kept, why);
	if (outcome == OK) {
		job->published = true;
		job->held->unsure |= kept;
		mark("bind.renamed");
	}
	return outcome;
}

/* --- settle ------------------------------------------------------------------------------------
 */

/* The zone is as it shall be: its file too, and only that. */
static enum outcome settle(struct bind *bind, struct job *job, struct reason *why)
{
	enum outcome outcome = job_publish(bind, job, why);

	if (outcome == PERMFAIL) {
		job->change->why = *why;
		finish_zone(job, PERMFAIL, CHANGE_APPLIED);
		return OK;
	}
	if (outcome != OK) {
		return outcome;
	}
	if (job->held->unsure) {
		zonefile_settle(&bind->dir, &job->value->zone);
		job->held->unsure = false;
	}
	hold_value(job->held, job->value);
	return OK;
}

/* named was started meanwhile, met the refused file and serves nothing. */
static void load_again(struct bind *bind, const struct job *job)
{
	struct rndc_reply reply;
	struct reason why;

	buf_clear(&bind->command);
	buf_addf(&bind->command, "reload \"%s\"", job->value->zone.text);
	if (rndc_is_open(bind->rndc) &&
	    rndc_call(bind->rndc, buf_span(&bind->command), RNDC_TIMEOUT_MS, &reply, &why) == OK) {
		bind_count(BIND_RELOAD); /* what it replies changes nothing: the zone's next try
					    tells */
	}
}

/* I4: a server that refuses a file gets the previous one back. */
static void put_back(struct bind *bind, struct job *job)
{
	char file[ZONEFILE_NAME_SIZE];
	struct zonefile_head head;

	if (!job->published) {
		return;
	}
	if (job->held->unsure) {
		zonefile_name(&job->value->zone, file);
		if (zonefile_put_back(&bind->dir, &job->value->zone) &&
		    zonefile_read_head(&bind->dir, file, &head)) {
			hold_head(job->held, &head);
			job->held->unsure = false;
			bind_count(BIND_PUT_BACK);
		}
		if (job->named_knows_it && job->answered && job->last.state != DNSQ_SERVED) {
			load_again(bind, job);
		}
	} else if (!job->rewrite) {
		zonefile_remove(&bind->dir, &job->value->zone);
		job->held->version = (struct version){0};
	}
	job->published = false;
}

static enum outcome settle_all(struct bind *bind, struct job *jobs, size_t count, int64_t began_us,
			       struct reason *why)
{
	for (size_t i = 0; i < count; i++) {
		struct job *job = &jobs[i];
		enum outcome outcome = OK;

		if (job->work == WORK_STAMP || job->step == STEP_DONE) {
			outcome = settle(bind, job, why);
		} else if (job->step == STEP_FAILED) {
			put_back(bind, job);
		}
		if (outcome != OK) {
			return outcome;
		}
		if (job->change->took_us == 0) {
			job->change->took_us = clock_us() - began_us;
		}
	}
	return OK;
}

enum outcome bind_apply(void *backend, struct change *changes, size_t count, struct reason *why)
{
	struct bind *bind = backend;
	struct job *jobs = xcalloc(count, sizeof(*jobs));
	int64_t began_us = clock_us();
	struct reason ignored;
	enum outcome outcome;

	if (!bind_dir_is_ours(bind)) {
		outcome = because(TEMPFAIL, why, "%s was changed under us: reading it again",
				  bind->path);
		goto out;
	}
	for (size_t i = 0; i < count; i++) {
		jobs[i].change = &changes[i];
		jobs[i].value = changes[i].value;
		jobs[i].held = held_of(&bind->held, &changes[i].value->zone);
		jobs[i].began_us = began_us;
		changes[i].outcome = OK;
		changes[i].result = CHANGE_APPLIED;
		changes[i].took_us = 0;
	}
	for (size_t i = 0; i < count; i++) {
		outcome = decide(bind, &jobs[i], why);
		if (outcome != OK) {
			goto out;
		}
	}
	outcome = write_files(bind, jobs, count, why);
	if (outcome != OK) {
		goto out;
	}
	mark("bind.synced");
	outcome = drive(bind, jobs, count, why);
	if (outcome != OK) {
		/* What named serves by now is settled all the same: it need not be told again. */
		(void)settle_all(bind, jobs, count, began_us, &ignored); /* `outcome` says more */
		goto out;
	}
	mark("bind.verified");
	outcome = settle_all(bind, jobs, count, began_us, why);
out:
	for (size_t i = 0; i < count; i++) {
		if (jobs[i].written && !jobs[i].published) {
			zonedir_give_spare(&bind->dir, jobs[i].spare);
		}
	}
	free(jobs);
	return outcome;
}
