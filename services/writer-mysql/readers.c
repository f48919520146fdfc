/* SPDX-License-Identifier: Apache-2.0 */
#include "services/writer-mysql/readers.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "services/writer-mysql/readers_parts.h"

#define KEY_MAX 1024

static struct metric metrics[] = {
	[READERS_FLUSHED] = COUNTER("dadns_reader_flushes_total", "outcome=\"ok\"",
				    "caches of a zone flushed by a PowerDNS API"),
	[READERS_FLUSH_FAILED] = COUNTER("dadns_reader_flushes_total", "outcome=\"failed\"",
					 "caches of a zone flushed by a PowerDNS API"),
	[READERS_DROPPED] = COUNTER("dadns_reader_dropped_total", "",
				    "flushes given up because a PowerDNS API was away for too many "
				    "zones: its caches for them end with their TTLs"),
	[READERS_AWAY_API] =
		GAUGE("dadns_reader_away", "kind=\"api\"",
		      "name servers behind our tables that do not answer now; zones do "
		      "not wait for them"),
	[READERS_AWAY_DNS] =
		GAUGE("dadns_reader_away", "kind=\"dns\"",
		      "name servers behind our tables that do not answer now; zones do "
		      "not wait for them"),
	[READERS_PROBES] =
		COUNTER("dadns_reader_probes_total", "", "questions for a SOA after a commit"),
	[READERS_NOT_SERVED] = COUNTER("dadns_reader_not_served_total", "",
				       "zones that a name server did not show as committed within "
				       "verify_ms"),
	[READERS_SERVED] = HISTOGRAM("dadns_reader_served_seconds", "",
				     "time from the commit until every name server that is there "
				     "was flushed and showed the zone"),
};
const struct metric_table readers_metrics = METRIC_TABLE(metrics);

void readers_count(enum readers_metric metric, int64_t amount)
{
	metric_add(&metrics[metric], amount);
}

/* --- the two queues ----------------------------------------------------------------------------
 */

bool readers_any(const struct readers *readers)
{
	return readers->flusher_count + readers->prober_count != 0;
}

void readers_database(struct readers *readers, bool there)
{
	if (!there) {
		readers->back_ms = INT64_MAX;
	} else if (readers->back_ms == INT64_MAX) {
		readers->back_ms = clock_ms();
	}
}

void readers_report(struct readers *readers, void *ticket, enum outcome outcome,
		    const struct reason *why)
{
	struct readers_report *report;

	(void)pthread_mutex_lock(&readers->lock);
	if (readers->report_at > readers->report_size / 2) {
		readers->report_count -= readers->report_at;
		memmove(readers->reports, readers->reports + readers->report_at,
			readers->report_count * sizeof(readers->reports[0]));
		readers->report_at = 0;
	}
	if (readers->report_count == readers->report_size) {
		readers->report_size = readers->report_size == 0 ? 64 : readers->report_size * 2;
		readers->reports = xrealloc(readers->reports,
					    readers->report_size * sizeof(readers->reports[0]));
	}
	report = &readers->reports[readers->report_count++];
	*report = (struct readers_report){.ticket = ticket, .outcome = outcome};
	if (why != NULL) {
		report->why = *why;
	}
	(void)pthread_mutex_unlock(&readers->lock);
}

bool readers_next(struct readers *readers, struct readers_report *out)
{
	bool any;

	(void)pthread_mutex_lock(&readers->lock);
	any = readers->report_at < readers->report_count;
	if (any) {
		*out = readers->reports[readers->report_at++];
	}
	(void)pthread_mutex_unlock(&readers->lock);
	return any;
}

void readers_tell(struct readers *readers, const struct readers_job *jobs, size_t count)
{
	size_t needed;

	if (count >= BUSY_ZONES) {
		if (clock_ms() >= readers->busy_until_ms) {
			readers->busy_since_ms = clock_ms();
		}
		readers->busy_until_ms = clock_ms() + BUSY_MS;
	}
	if (!readers_any(readers)) {
		for (size_t i = 0; i < count; i++) {
			readers_report(readers, jobs[i].ticket, OK, NULL);
		}
		return;
	}
	(void)pthread_mutex_lock(&readers->lock);
	needed = readers->told_count + count;
	if (needed > readers->told_size) {
		readers->told_size =
			needed > 2 * readers->told_size ? needed : 2 * readers->told_size;
		readers->told = xrealloc(readers->told, readers->told_size * sizeof(jobs[0]));
	}
	for (size_t i = 0; i < count; i++) {
		readers->told[readers->told_count++] = jobs[i];
	}
	(void)pthread_mutex_unlock(&readers->lock);
	fetch_wake(readers->fetch);
}

/* --- the thread --------------------------------------------------------------------------------
 */

/* False: the end. */
static bool take_jobs(struct readers *readers)
{
	struct readers_job *jobs;
	size_t count;
	bool goes_on;

	(void)pthread_mutex_lock(&readers->lock);
	goes_on = !readers->stopping;
	jobs = readers->told;
	count = readers->told_count;
	readers->told = NULL;
	readers->told_count = 0;
	readers->told_size = 0;
	(void)pthread_mutex_unlock(&readers->lock);
	for (size_t i = 0; goes_on && i < count; i++) {
		task_begin(readers, &jobs[i]);
	}
	free(jobs);
	return goes_on;
}

static int pause_until(int64_t next_ms)
{
	int64_t left = next_ms - clock_ms();

	if (left <= 0) {
		return 0;
	}
	return left > INT_MAX ? INT_MAX : (int)left;
}

static void *run(void *context)
{
	struct readers *readers = context;

	while (take_jobs(readers)) {
		struct fetch_answer answer;
		int64_t next_ms = INT64_MAX;

		for (size_t i = 0; i < readers->prober_count; i++) {
			prober_work(readers->probers[i], &next_ms); /* may want a flush */
		}
		for (size_t i = 0; i < readers->flusher_count; i++) {
			flusher_work(readers->flushers[i], &next_ms);
		}
		fetch_work(readers->fetch, pause_until(next_ms), readers->epoll_fd);
		while (fetch_next(readers->fetch, &answer)) {
			flusher_take(&answer);
		}
	}
	return NULL;
}

/* Cuts the next entry off a comma separated list. */
static bool next_entry(struct span *list, struct span *out)
{
	while (list->len != 0) {
		const char *comma = memchr(list->data, ',', list->len);
		struct span entry = *list;

		entry.len = comma == NULL ? list->len : (size_t)(comma - list->data);
		list->data += comma == NULL ? entry.len : entry.len + 1;
		list->len -= comma == NULL ? entry.len : entry.len + 1;
		while (entry.len != 0 && entry.data[0] == ' ') {
			entry.data++;
			entry.len--;
		}
		while (entry.len != 0 && entry.data[entry.len - 1] == ' ') {
			entry.len--;
		}
		if (entry.len != 0) {
			*out = entry;
			return true;
		}
	}
	return false;
}

static bool key_is_sane(struct span key)
{
	for (size_t i = 0; i < key.len; i++) {
		if (key.data[i] <= ' ' || key.data[i] > '~') {
			return false;
		}
	}
	return key.len != 0 && key.len <= KEY_MAX;
}

static enum outcome make_readers(struct readers *readers, const struct readers_config *config,
				 struct reason *why)
{
	struct span api = span_of(config->api);
	struct span dns = span_of(config->dns);
	enum outcome outcome = OK;
	struct span entry;

	while (outcome == OK && next_entry(&api, &entry)) {
		if (!key_is_sane(span_of(config->api_key))) {
			return because(PERMFAIL, why,
				       "api needs api_key: the api-key of pdns.conf, printable "
				       "ASCII without spaces");
		}
		if (readers->flusher_count == READERS_MAX) {
			return because(PERMFAIL, why, "api: more than %d servers", READERS_MAX);
		}
		outcome = flusher_create(&readers->flushers[readers->flusher_count], readers,
					 readers->fetch, entry, config->api_key, why);
		readers->flusher_count += outcome == OK;
	}
	while (outcome == OK && next_entry(&dns, &entry)) {
		if (readers->prober_count == READERS_MAX) {
			return because(PERMFAIL, why, "dns: more than %d servers", READERS_MAX);
		}
		outcome = prober_create(&readers->probers[readers->prober_count], readers,
					readers->epoll_fd, entry, config->verify_ms, why);
		readers->prober_count += outcome == OK;
	}
	return outcome;
}

enum outcome readers_create(const struct readers_config *config, struct readers **out,
			    struct reason *why)
{
	struct readers *readers = xcalloc(1, sizeof(*readers));
	enum outcome outcome;

	(void)pthread_mutex_init(&readers->lock, NULL);
	readers->fetch = fetch_create(FLUSHES_AT_ONCE);
	readers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	assert(readers->epoll_fd >= 0);
	outcome = make_readers(readers, config, why);
	if (outcome == OK && readers_any(readers)) {
		if (pthread_create(&readers->thread, NULL, run, readers) == 0) {
			(void)pthread_setname_np(readers->thread, "readers");
			readers->started = true;
		} else {
			outcome = because(PERMFAIL, why, "readers: cannot start a thread");
		}
	}
	if (outcome != OK) {
		readers_destroy(readers);
		return outcome;
	}
	*out = readers;
	return OK;
}

void readers_destroy(struct readers *readers)
{
	if (readers == NULL) {
		return;
	}
	if (readers->started) {
		(void)pthread_mutex_lock(&readers->lock);
		readers->stopping = true;
		(void)pthread_mutex_unlock(&readers->lock);
		fetch_wake(readers->fetch);
		(void)pthread_join(readers->thread, NULL);
	}
	fetch_destroy(readers->fetch);
	tasks_destroy(readers);
	for (size_t i = 0; i < readers->flusher_count; i++) {
		flusher_destroy(readers->flushers[i]);
	}
	for (size_t i = 0; i < readers->prober_count; i++) {
		prober_destroy(readers->probers[i]);
	}
	(void)close(readers->epoll_fd);
	(void)pthread_mutex_destroy(&readers->lock);
	free(readers->told);
	free(readers->reports);
	free(readers);
}
