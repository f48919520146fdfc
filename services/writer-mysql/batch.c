/* SPDX-License-Identifier: Apache-2.0 */
/* One batch: a transaction for all of it; where that fails, halves down to the one zone that the
 * database refuses, unless it is the database itself. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mark.h"
#include "services/writer-mysql/transaction.h"

enum {
	REPEATS = 4,
	REPEAT_PAUSE_MS = 5,       /* times the number of repeats */
	LOCK_WAIT_MS = 900,        /* who took so long has waited for a lock */
	PACKET_OVERHEAD = 256,     /* what stands in it beside name and data */
	LOCK_WAITS_MAX_MS = 30000, /* of a batch; below the silence that /livez takes for death */
};

static void fail_alone(struct job *job, enum database_metric metric, const struct reason *why)
{
	database_count(metric, 1);
	job->done = true;
	job->change->outcome = TEMPFAIL;
	job->change->why = *why;
}

/* I8: is it the zone, or can nothing be written? */
static enum outcome judge_single(struct database *database, struct job *job, enum outcome failure,
				 const struct reason *cause, struct reason *why)
{
	enum outcome outcome = transaction_probe(database, why);

	if (outcome == OK) {
		fail_alone(job, failure == PERMFAIL ? DATABASE_MISCOUNTED : DATABASE_REFUSED,
			   cause);
	}
	return outcome;
}

/* A lock may be held for hours: halves find whose zone it is. Where that takes too long, it is not
 * a few zones' trouble, and nobody's tries are used up (I8). */
static bool waited_too_long(struct database *database)
{
	int64_t limit_ms = 2 * database->config->sql.timeout_ms;

	database->lock_waits++;
	return database->lock_waits * LOCK_WAIT_MS >=
	       (limit_ms < LOCK_WAITS_MAX_MS ? limit_ms : LOCK_WAITS_MAX_MS);
}

/* False: the same again is not worth trying. */
static bool may_pass(const struct database *database, enum outcome failure, int64_t took_ms)
{
	return failure == PERMFAIL || /* somebody else's row, perhaps gone again */
	       (sql_fault(database->sql) == SQL_AGAIN && took_ms < LOCK_WAIT_MS);
}

static enum outcome bring(struct database *database, struct job *const *jobs, size_t count,
			  struct reason *why)
{
	struct reason cause;
	enum outcome failure = OK;
	enum outcome outcome;

	for (int i = 0; i < REPEATS; i++) {
		int64_t began_ms = clock_ms();
		int64_t took_ms;

		failure = transaction_run(database, jobs, count, &cause);
		if (failure == OK) {
			return OK;
		}
		if (failure == TEMPFAIL &&
		    (database->restored || sql_fault(database->sql) == SQL_AWAY ||
		     sql_fault(database->sql) == SQL_DENIED)) {
			*why = cause;
			return TEMPFAIL;
		}
		took_ms = clock_ms() - began_ms;
		if (!may_pass(database, failure, took_ms)) {
			if (took_ms >= LOCK_WAIT_MS && waited_too_long(database)) {
				return because(TEMPFAIL, why,
					       "others hold locks all over database %s: %s",
					       database->config->sql.database, cause.text);
			}
			break;
		}
		database_count(DATABASE_REPEATED, 1);
		(void)poll(NULL, 0, i * REPEAT_PAUSE_MS);
	}
	if (count == 1) {
		return judge_single(database, jobs[0], failure, &cause, why);
	}
	database_count(DATABASE_HALVED, 1);
	outcome = bring(database, jobs, count / 2, why);
	if (outcome == OK) {
		outcome = bring(database, jobs + count / 2, count - count / 2, why);
	}
	return outcome;
}

/* The server ends the connection over a larger one, and would again for the same batch (I8). */
static enum outcome fit_packet(const struct database *database, const struct rows *rows,
			       struct reason *why)
{
	size_t packet = sql_packet_max(database->sql);

	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];

		if (row->name.len + row->data.len + PACKET_OVERHEAD > packet) {
			return because(PERMFAIL, why,
				       "%s of %s needs %zu characters, more than the server's "
				       "max_allowed_packet of %zu allows: raise it",
				       name_quote(row->type).text, name_quote(row->name).text,
				       row->data.len, packet);
		}
	}
	return OK;
}

static void prepare(const struct database *database, struct change *change, struct job *job)
{
	*job = (struct job){.change = change, .value = change->value};
	job->want = (struct rows)ROWS_INIT;
	job->have = (struct rows)ROWS_INIT;
	database->layout->zone_text(&change->value->zone, job->zone_text);
	if (!change->value->deleted) {
		job->cut = database->layout->rows_of(change->value, &database->widths, &job->want,
						     &job->why);
		if (job->cut == OK) {
			job->cut = fit_packet(database, &job->want, &job->why);
		}
	}
}

static void release(struct job *job)
{
	rows_finish(&job->want);
	rows_finish(&job->have);
	free(job->stay_have);
	free(job->stay_want);
}

/* What is committed is now for the readers to show. */
static void tell_readers(struct database *database, struct change *changes, size_t count)
{
	struct readers_job *jobs;
	size_t told = 0;

	if (!readers_any(database->readers)) {
		return;
	}
	jobs = xcalloc(count, sizeof(*jobs));
	for (size_t i = 0; i < count; i++) {
		struct change *change = &changes[i];

		if (change->outcome != OK || change->result == CHANGE_OLDER) {
			continue;
		}
		change->pending = true;
		jobs[told++] = (struct readers_job){.ticket = change->ticket,
						    .zone = change->value->zone,
						    .deleted = change->value->deleted,
						    .now = change->value->now,
						    .unchanged = change->result == CHANGE_VERIFIED,
						    .serial = change->value->serial};
	}
	readers_tell(database->readers, jobs, told);
	free(jobs);
}

enum outcome database_apply(void *backend, struct change *changes, size_t count, struct reason *why)
{
	struct database *database = backend;
	struct job *jobs = xcalloc(count, sizeof(*jobs));
	struct job **all = xcalloc(count, sizeof(struct job *));
	int64_t began_us = clock_us();
	enum outcome outcome;

	for (size_t i = 0; i < count; i++) {
		prepare(database, &changes[i], &jobs[i]);
		all[i] = &jobs[i];
		if (jobs[i].cut != OK) {
			database->session = 0; /* before the next try: was the column widened? */
		}
	}
	database->lock_waits = 0;
	outcome = bring(database, all, count, why);
	if (outcome == OK) {
		for (size_t i = 0; i < count; i++) {
			changes[i].took_us = clock_us() - began_us;
		}
		tell_readers(database, changes, count);
		mark("mysql.told");
	} else {
		database_away(database);
	}
	for (size_t i = 0; i < count; i++) {
		release(&jobs[i]);
	}
	free(all);
	free(jobs);
	return outcome;
}
