/* SPDX-License-Identifier: Apache-2.0 */
/* readers_parts.h: what readers.c (queues, thread), readers_task.c (zones and their jobs),
 * readers_flush.c (PowerDNS's API) and readers_probe.c (DNS) share. For these only.
 *
 * Threads: all of it belongs to the readers' thread, but for what `lock` guards.
 */
#ifndef WRITER_MYSQL_READERS_PARTS_H
#define WRITER_MYSQL_READERS_PARTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/dnsq.h"
#include "common/fetch.h"
#include "services/writer-mysql/readers.h"

#define READERS_MAX 16 /* of each kind */
/* Requests to one server at a time. PowerDNS 4.7.3 on 2 cores: 1 gives 500 zones/s, 2 give 800, 4
 * 950, 8 no more. It closes the connection after each answer, and makes one to its database for
 * each flush. */
#define FLUSHES_AT_ONCE 4
/* Rows first: while full batches come flushes wait, at most a second, and then go one by one; each
 * costs the server, and its database, as much time as we need for ten zones. Those of `now` zones
 * do not wait. */
#define BUSY_ZONES 32
#define BUSY_MS 100
#define BUSY_WAIT_MS 1000
#define FIRST_TRY_MS 500 /* after a reader went away; doubling */
#define LAST_TRY_MS 3000

enum readers_metric {
	READERS_FLUSHED,
	READERS_FLUSH_FAILED,
	READERS_DROPPED,
	READERS_AWAY_API,
	READERS_AWAY_DNS,
	READERS_PROBES,
	READERS_NOT_SERVED,
	READERS_SERVED,
	READERS_METRICS
};
void readers_count(enum readers_metric metric, int64_t amount);

struct task;
struct flusher;
struct prober;

enum flush_place {
	FLUSH_NOWHERE,
	FLUSH_WAITING,   /* for a job */
	FLUSH_UNCHANGED, /* for a job that changed nothing */
	FLUSH_MISSED,    /* it was away, or once more: nobody waits */
	FLUSH_FLYING,
	FLUSH_PLACES
};

/* A zone at one PowerDNS server. */
struct flush {
	TAILQ_ENTRY(flush) link; /* in the flusher's list of that name */
	struct task *task;
	struct flusher *flusher;
	enum flush_place where;
	bool awaited; /* by the task's report */
	bool again;   /* told while in flight: that one may have come too early */
	bool second;  /* the first one found something cached */
};

/* A zone at one DNS server. */
struct probe {
	TAILQ_ENTRY(probe) link; /* in `list` */
	struct probes *list;     /* of the prober; NULL: nothing is asked */
	struct task *task;
	struct prober *prober;
	unsigned int level; /* of patience */
	unsigned int lost;  /* questions without an answer in time */
	uint32_t slot;      /* while it is asked */
	int64_t due_ms;
	int64_t first_ms; /* when it was first asked; 0: not yet */
	int64_t stale_ms; /* so long after that an old answer means: flush once more */
	bool answered;
	struct dnsq_answer last;
};
TAILQ_HEAD(probes, probe);

/* A zone that somebody has to be told about, and at most one job of it. */
struct task {
	struct task *next; /* in the table */
	uint64_t hash;
	bool open; /* the job is not yet reported */
	struct readers_job job;
	int64_t told_us;
	size_t flushes_left;
	size_t probes_left;
	struct flush *flushes; /* one for each flusher, one for each prober */
	struct probe *probes;
};

struct readers {
	struct fetch *fetch;
	int epoll_fd; /* the probers' sockets */
	struct flusher *flushers[READERS_MAX];
	size_t flusher_count;
	struct prober *probers[READERS_MAX];
	size_t prober_count;
	struct task **table; /* by zone, in chains */
	size_t table_size;
	size_t task_count;

	_Atomic int64_t busy_since_ms; /* full batches come, until ... */
	_Atomic int64_t busy_until_ms;
	/* Since when a zone may be late; INT64_MAX: the database is away. */
	_Atomic int64_t back_ms;
	bool started;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	bool stopping;
	struct readers_job *told;
	size_t told_count;
	size_t told_size;
	struct readers_report *reports;
	size_t report_at;
	size_t report_count; /* those before report_at too */
	size_t report_size;
};

/* readers.c */
void readers_report(struct readers *readers, void *ticket, enum outcome outcome,
		    const struct reason *why);

/* readers_task.c. Each may free the task. */
void task_begin(struct readers *readers, const struct readers_job *job);
void task_flushed(struct readers *readers, struct task *task);
void task_seen(struct readers *readers, struct task *task);
void task_failed(struct readers *readers, struct task *task, const struct reason *why);
/* It was flushed, but what is shown is old. */
void task_stale(struct readers *readers, struct task *task);
void task_free_if_idle(struct readers *readers, struct task *task);
void tasks_destroy(struct readers *readers);
/* Why may an old answer be seen? */
void readers_advise(const struct readers *readers, struct reason *out);

/* readers_flush.c. `*next_ms` is lowered to when there will be something to do. */
MUST_CHECK enum outcome flusher_create(struct flusher **out, struct readers *readers,
				       struct fetch *fetch, struct span url, const char *key,
				       struct reason *why);
void flusher_destroy(struct flusher *flusher);
/* The zone has changed. True: task_flushed or task_failed will be called; false: it is away. */
bool flusher_tell(struct flusher *flusher, struct flush *flush);
void flusher_work(struct flusher *flusher, int64_t *next_ms);
void flusher_take(const struct fetch_answer *answer);
/* Once more; nobody waits for it. */
void flusher_repeat(struct flusher *flusher, struct flush *flush);
/* The job has ended. */
void flush_forget(struct flush *flush);
const char *flusher_away(const struct flusher *flusher); /* its URL; NULL: it is there */

/* readers_probe.c */
MUST_CHECK enum outcome prober_create(struct prober **out, struct readers *readers, int epoll_fd,
				      struct span server, int64_t verify_ms, struct reason *why);
void prober_destroy(struct prober *prober);
bool prober_tell(struct prober *prober, struct probe *probe);
void prober_work(struct prober *prober, int64_t *next_ms);
void probe_forget(struct probe *probe);

#endif
