/* SPDX-License-Identifier: Apache-2.0 */
/* bind_parts.h: what bind.c (directory), apply.c (files) and drive.c (named) share. For these only.
 */
#ifndef WRITER_BIND_BIND_PARTS_H
#define WRITER_BIND_BIND_PARTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/dnsq.h"
#include "common/metrics.h"
#include "common/rndc.h"
#include "services/writer-bind/bind.h"
#include "services/writer-bind/held.h"
#include "services/writer-bind/positions.h"
#include "services/writer-bind/zonefile.h"

#define RNDC_TIMEOUT_MS 10000
#define TRANSFER_TIMEOUT_MS 10000

enum bind_metric {
	BIND_ADDZONE,
	BIND_RELOAD,
	BIND_DELZONE,
	BIND_RECONNECTS,
	BIND_REFUSED,
	BIND_NOT_SERVED,
	BIND_PUT_BACK,
	BIND_TRANSFERS,
	BIND_REREADS,
	BIND_METRICS
};
void bind_count(enum bind_metric metric);

struct bind {
	const struct bind_config *config;
	struct rndc *rndc;
	struct dnsq *dnsq;
	struct zonedir dir;
	char path[PATH_MAX]; /* of it, absolute: what named is told */
	struct held_table held;
	struct positions positions;
	struct buf command;
};

enum work {
	WORK_NONE,  /* decided already */
	WORK_STAMP, /* newer version of what is served: the file only */
	WORK_FILE,
	WORK_DELETE,
};
enum step {
	STEP_UNTOLD,
	STEP_WATCHED, /* told; not yet seen as it shall be */
	STEP_DONE,
	STEP_FAILED,
};

/* One zone of a batch on its way. */
struct job {
	struct change *change;
	const struct zone_event *value;
	struct held *held;
	int64_t began_us;
	enum work work;
	bool written; /* into `spare` */
	unsigned int spare;
	bool published; /* NAME.zone is ours */
	bool rewrite;   /* of the same version: what lies there is no better content */

	enum step step;
	enum bind_metric command; /* BIND_ADDZONE, BIND_RELOAD or BIND_DELZONE */
	unsigned int turns;       /* of commands sent */
	unsigned int touches;
	bool by_digest;      /* the serial proves nothing: transfer and compare */
	bool named_knows_it; /* there is such a zone in named now */
	bool named_lost_it;  /* delzone said: not found */
	int64_t told_ms;
	int64_t next_ask_ms;
	int64_t asked_ms;
	int pause_ms;
	bool answered;
	struct dnsq_answer last;
	struct reason seen; /* what a transfer said */
};

/* drive.c: publishes, tells and watches all jobs of WORK_FILE and WORK_DELETE. TEMPFAIL: named is
 * away; jobs that are done are done. */
MUST_CHECK enum outcome drive(struct bind *bind, struct job *jobs, size_t count,
			      struct reason *why);
/* apply.c: the file of a job in its place. TEMPFAIL: the directory; PERMFAIL: the zone. */
MUST_CHECK enum outcome job_publish(struct bind *bind, struct job *job, struct reason *why);

/* bind.c: does the directory hold what we think it holds? */
bool bind_dir_is_ours(const struct bind *bind);
MUST_CHECK enum outcome bind_apply(void *backend, struct change *changes, size_t count,
				   struct reason *why);

#endif
