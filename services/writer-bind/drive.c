/* SPDX-License-Identifier: Apache-2.0 */
/* named is told zone after zone on one channel; while it works on one, the next file is published
 * and answers about the earlier ones are taken. What a command returned decides only what to do
 * next: a zone is done when named serves it (I7). */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/mark.h"
#include "services/writer-bind/bind_parts.h"
#include "services/writer-bind/zonefile.h"

#define STATEMENT "type primary; check-names ignore; check-integrity no; check-mx ignore;"
#define TURNS_MAX 8
#define TOUCHES_MAX 3
#define FIRST_PAUSE_MS 1
#define LAST_PAUSE_MS 50
#define LOST_MS 50 /* a question without an answer is asked again */
/* Old content served after so long, plus a millisecond for each 20 records: named has refused the
 * file. (It loads 20 times as fast. It says `queued` either way.) */
#define QUIET_MS 500
#define RECORDS_PER_MS 20

struct drive {
	struct bind *bind;
	struct job *jobs;
	size_t count;
	size_t told;        /* jobs before this one have been told */
	bool watching_only; /* all are told: transfers no longer hold anybody up */
	bool reconnected;
	int64_t last_answer_ms;
};

static bool is_driven(const struct job *job)
{
	return job->work == WORK_FILE || job->work == WORK_DELETE;
}

static void give_up(struct job *job, enum outcome outcome, enum bind_metric metric)
{
	bind_count(metric);
	job->step = STEP_FAILED;
	job->change->outcome = outcome;
}

/* --- watching ----------------------------------------------------------------------------------
 */

static void again_in(struct job *job, int64_t now)
{
	job->next_ask_ms = now + job->pause_ms;
	job->pause_ms = job->pause_ms * 2 > LAST_PAUSE_MS ? LAST_PAUSE_MS : job->pause_ms * 2;
}

static enum outcome ask(struct drive *drive, struct job *job, struct reason *why)
{
	job->asked_ms = clock_ms();
	job->next_ask_ms = job->asked_ms + LOST_MS;
	return dnsq_ask_soa(drive->bind->dnsq, &job->value->zone, (uint32_t)(job - drive->jobs),
			    why);
}

static void compare_content(struct drive *drive, struct job *job)
{
	char digest[DIGEST_HEX_SIZE];
	uint32_t serial;

	bind_count(BIND_TRANSFERS);
	if (dnsq_digest(drive->bind->dnsq, &job->value->zone, TRANSFER_TIMEOUT_MS, digest, &serial,
			&job->seen) != OK) {
		return; /* `seen` says why; asked again until the deadline */
	}
	if (strcmp(digest, job->value->digest) == 0) {
		job->step = STEP_DONE;
	} else {
		because(TEMPFAIL, &job->seen, "named serves other content under serial %u", serial);
	}
}

static int64_t quiet_ms(const struct job *job)
{
	size_t records = 0;

	for (size_t i = 0; i < job->value->rrset_count; i++) {
		records += job->value->rrsets[i].count;
	}
	return QUIET_MS + (int64_t)(records / RECORDS_PER_MS);
}

static void not_served(struct job *job)
{
	struct reason *why = &job->change->why;

	if (!job->answered) {
		because(TEMPFAIL, why, "named does not answer the question for its SOA");
	} else if (job->work == WORK_DELETE) {
		because(TEMPFAIL, why, "named still %s after delzone",
			job->last.state == DNSQ_SERVED ? "serves it" : "answers SERVFAIL");
	} else if (job->last.state == DNSQ_NOT_SERVED) {
		because(TEMPFAIL, why, "named was told and does not serve it");
	} else if (job->last.state == DNSQ_BROKEN) {
		because(TEMPFAIL, why, "named could not load it and answers SERVFAIL; see its log");
	} else if (job->last.serial != job->value->serial) {
		because(TEMPFAIL, why,
			"named did not load it and keeps serial %u (wanted %u): see its log; is "
			"the zone in named.conf too?",
			job->last.serial, job->value->serial);
	} else {
		because(TEMPFAIL, why, "%s", job->seen.text);
	}
	give_up(job, TEMPFAIL, BIND_NOT_SERVED);
}

static bool serial_is_right(const struct job *job)
{
	return job->last.state == DNSQ_SERVED && job->last.serial == job->value->serial;
}

static void take_answer(struct drive *drive, const struct dnsq_answer *answer)
{
	struct job *job = &drive->jobs[answer->tag];
	int64_t now = clock_ms();

	drive->last_answer_ms = now;
	if (answer->tag >= drive->count || job->step != STEP_WATCHED) {
		return;
	}
	job->answered = true;
	job->last = *answer;
	if (job->work == WORK_DELETE) {
		if (answer->state == DNSQ_NOT_SERVED ||
		    (answer->state == DNSQ_BROKEN && job->named_lost_it)) {
			job->step = STEP_DONE;
		}
	} else if (serial_is_right(job) && !job->by_digest) {
		job->step = STEP_DONE;
	} else if (serial_is_right(job) && drive->watching_only) {
		compare_content(drive, job);
	}
	if (job->step == STEP_DONE) {
		job->change->took_us = clock_us() - job->began_us;
		return;
	}
	if (drive->watching_only && answer->state == DNSQ_SERVED &&
	    job->asked_ms - job->told_ms >= quiet_ms(job)) {
		not_served(job);
		return;
	}
	again_in(job, now);
}

static void take_answers(struct drive *drive)
{
	struct dnsq_answer answer;

	while (dnsq_next(drive->bind->dnsq, 0, &answer)) {
		take_answer(drive, &answer);
	}
}

/* Asks what is due; `*next_ms`: when something will be. */
static enum outcome ask_due(struct drive *drive, int64_t *next_ms, struct reason *why)
{
	int64_t now = clock_ms();

	*next_ms = INT64_MAX;
	for (size_t i = 0; i < drive->told; i++) {
		struct job *job = &drive->jobs[i];
		enum outcome outcome;

		if (job->step != STEP_WATCHED) {
			continue;
		}
		if (job->next_ask_ms <= now) {
			outcome = ask(drive, job, why);
			if (outcome != OK) {
				return outcome;
			}
		}
		if (job->next_ask_ms < *next_ms) {
			*next_ms = job->next_ask_ms;
		}
	}
	return OK;
}

/* Until every job that was told is done or given up. */
static enum outcome watch(struct drive *drive, struct reason *why)
{
	int64_t verify_ms = drive->bind->config->verify_ms;

	drive->watching_only = true;
	for (;;) {
		struct dnsq_answer answer;
		enum outcome outcome;
		int64_t next_ms;
		int64_t now;

		outcome = ask_due(drive, &next_ms, why);
		if (outcome != OK) {
			return outcome;
		}
		if (next_ms == INT64_MAX) {
			return OK;
		}
		now = clock_ms();
		if (dnsq_next(drive->bind->dnsq, next_ms > now ? (int)(next_ms - now) : 0,
			      &answer)) {
			take_answer(drive, &answer);
			take_answers(drive);
		}
		now = clock_ms();
		if (now - drive->last_answer_ms >= verify_ms) {
			return because(TEMPFAIL, why, "named does not answer DNS questions at %s",
				       drive->bind->config->dns);
		}
		for (size_t i = 0; i < drive->told; i++) {
			struct job *job = &drive->jobs[i];

			if (job->step == STEP_WATCHED && now - job->told_ms >= verify_ms) {
				not_served(job);
			}
		}
	}
}

/* --- telling -----------------------------------------------------------------------------------
 */

static enum outcome publish(struct drive *drive, struct job *job, struct reason *why)
{
	enum outcome outcome = OK;

	if (job->work == WORK_FILE && job->step == STEP_UNTOLD) {
		outcome = job_publish(drive->bind, job, why);
	}
	if (outcome == PERMFAIL) {
		job->change->why = *why;
		give_up(job, PERMFAIL, BIND_REFUSED);
		outcome = OK;
	}
	return outcome;
}

static struct span command_text(struct bind *bind, const struct job *job)
{
	static const char *const verbs[] = {
		[BIND_ADDZONE] = "addzone", [BIND_RELOAD] = "reload", [BIND_DELZONE] = "delzone"};
	char file[ZONEFILE_NAME_SIZE];

	buf_clear(&bind->command);
	buf_addf(&bind->command, "%s \"%s\"", verbs[job->command], job->value->zone.text);
	if (job->command == BIND_ADDZONE) {
		zonefile_name(&job->value->zone, file);
		buf_addf(&bind->command, " { " STATEMENT " file \"%s/%s\"; };", bind->path, file);
	}
	return buf_span(&bind->command);
}

static enum outcome await_reply(struct drive *drive, struct rndc_reply *reply, bool *late,
				struct reason *why)
{
	struct rndc *rndc = drive->bind->rndc;
	int64_t deadline = clock_ms() + RNDC_TIMEOUT_MS;
	bool complete = false;

	for (;;) {
		struct pollfd fds[2] = {
			{.fd = rndc_fd(rndc), .events = POLLIN},
			{.fd = dnsq_fd(drive->bind->dnsq), .events = POLLIN},
		};
		int64_t next_ms;
		int64_t now;
		enum outcome outcome;

		outcome = ask_due(drive, &next_ms, why);
		if (outcome != OK) {
			return outcome;
		}
		now = clock_ms();
		if (now >= deadline) {
			*late = true;
			rndc_close(rndc);
			return because(TEMPFAIL, why, "named took a command and did not reply");
		}
		next_ms = next_ms < deadline ? next_ms : deadline;
		(void)poll(fds, 2, next_ms > now ? (int)(next_ms - now) : 0);
		if (fds[1].revents != 0) {
			take_answers(drive);
		}
		if (fds[0].revents != 0) {
			outcome = rndc_poll(rndc, &complete, reply, why);
			if (outcome != OK || complete) {
				return outcome;
			}
		}
	}
}

/* One command and its reply; a channel that broke is opened once more per batch and the command
 * said again: all three may be repeated. Publishes `next` meanwhile. */
static enum outcome command(struct drive *drive, struct job *job, struct job *next,
			    struct rndc_reply *reply, struct reason *why)
{
	struct bind *bind = drive->bind;

	for (;;) {
		bool late = false;
		enum outcome outcome = rndc_open(bind->rndc, RNDC_TIMEOUT_MS, why);

		if (outcome != OK) {
			return outcome;
		}
		bind_count(job->command);
		outcome = rndc_send(bind->rndc, command_text(bind, job), why);
		if (outcome == OK && next != NULL) {
			outcome = publish(drive, next, why);
			if (outcome != OK) {
				rndc_close(bind->rndc); /* its reply will not be read */
				return outcome;
			}
			next = NULL;
		}
		if (outcome == OK) {
			outcome = await_reply(drive, reply, &late, why);
		}
		if (outcome == OK || late || drive->reconnected || rndc_is_open(bind->rndc)) {
			return outcome;
		}
		drive->reconnected = true;
		bind_count(BIND_RECONNECTS);
	}
}

enum verdict { TOLD, AGAIN, REFUSED, AWAY };

static enum verdict judge_success(struct drive *drive, struct job *job,
				  const struct rndc_reply *reply)
{
	if (job->command == BIND_RELOAD && strstr(reply->text, "up-to-date") != NULL) {
		if (job->touches == TOUCHES_MAX) {
			return REFUSED;
		}
		zonefile_touch(&drive->bind->dir, &job->value->zone, job->touches++);
		return AGAIN;
	}
	if (job->command == BIND_ADDZONE) {
		job->by_digest = false; /* it was not there: any answer is the new one's */
	}
	job->named_knows_it = job->command != BIND_DELZONE;
	return TOLD;
}

/* `err` has been the same words in all of BIND 9. */
static enum verdict judge_reply(struct drive *drive, struct job *job,
				const struct rndc_reply *reply)
{
	if (reply->result == 0) {
		return judge_success(drive, job, reply);
	}
	if (job->command == BIND_ADDZONE && strcmp(reply->err, "already exists") == 0) {
		job->command = BIND_RELOAD;
		job->by_digest = true; /* whatever it serves now */
		job->named_knows_it = true;
		return AGAIN;
	}
	if (strcmp(reply->err, "not found") == 0 && job->command != BIND_ADDZONE) {
		job->named_knows_it = false;
		if (job->command == BIND_DELZONE) {
			job->named_lost_it = true;
			return TOLD;
		}
		job->command = BIND_ADDZONE;
		return AGAIN;
	}
	/* Not about this zone: named cannot see our directory, or may not add zones. */
	if (strcmp(reply->err, "permission denied") == 0 ||
	    strcmp(reply->err, "file not found") == 0) {
		return AWAY;
	}
	return REFUSED;
}

static enum outcome tell(struct drive *drive, struct job *job, struct job *next, struct reason *why)
{
	struct rndc_reply reply;
	enum verdict verdict;
	enum outcome outcome;

	do {
		outcome = command(drive, job, next, &reply, why);
		if (outcome != OK) {
			return outcome;
		}
		next = NULL;
		verdict = judge_reply(drive, job, &reply);
	} while (verdict == AGAIN && ++job->turns < TURNS_MAX);

	if (verdict == AWAY) {
		return because(TEMPFAIL, why,
			       "named: %s: %s (needed: allow-new-zones yes; and that it may read "
			       "%s)",
			       reply.err, reply.text, drive->bind->path);
	}
	if (verdict != TOLD) {
		because(PERMFAIL, &job->change->why, "named refuses it: %s%s%s", reply.err,
			reply.err[0] == '\0' ? "" : ": ", reply.text);
		give_up(job, PERMFAIL, BIND_REFUSED);
		return OK;
	}
	mark("bind.told");
	job->told_ms = clock_ms();
	job->pause_ms = FIRST_PAUSE_MS;
	job->step = STEP_WATCHED;
	return ask(drive, job, why);
}

static void prepare(struct job *job)
{
	const struct held *held = job->held;
	bool known = held_is_zone(held);

	job->step = STEP_UNTOLD;
	job->named_knows_it = known;
	if (job->work == WORK_DELETE) {
		job->command = BIND_DELZONE;
		return;
	}
	job->command = known ? BIND_RELOAD : BIND_ADDZONE;
	/* I7: the serial tells only if what was served before had another one for sure. */
	job->by_digest =
		known && (job->rewrite || held->unsure || held->serial == job->value->serial);
}

enum outcome drive(struct bind *bind, struct job *jobs, size_t count, struct reason *why)
{
	struct drive drive = {.bind = bind, .jobs = jobs, .count = count};
	enum outcome outcome;

	dnsq_forget(bind->dnsq);
	drive.last_answer_ms = clock_ms();
	for (size_t i = 0; i < count; i++) {
		if (is_driven(&jobs[i])) {
			prepare(&jobs[i]);
		}
	}
	for (size_t i = 0; i < count; i++) {
		struct job *job = &jobs[i];

		drive.told = i;
		if (!is_driven(job)) {
			continue;
		}
		outcome = publish(&drive, job, why);
		if (outcome != OK) {
			return outcome;
		}
		if (job->step == STEP_FAILED) {
			continue;
		}
		outcome = tell(&drive, job, i + 1 < count ? &jobs[i + 1] : NULL, why);
		if (outcome != OK) {
			return outcome;
		}
	}
	drive.told = count;
	drive.last_answer_ms = clock_ms();
	return watch(&drive, why);
}
