/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h: counters, gauges and histograms as rows of tables, printed as Prometheus text.
 *
 * A module declares one static table; the service lists the tables of its modules. docs/METRICS.md
 * is printed from the same rows. Names are dadns_<module>_<noun>_<unit>; no zone in any label.
 *
 *	static struct metric metrics[] = {
 *		[SENT] = COUNTER("dadns_bus_sent_total", "", "records that the broker confirmed"),
 *		[LOST] = COUNTER("dadns_bus_failed_total", "reason=\"timeout\"", "..."),
 *		[ACK] = HISTOGRAM("dadns_bus_ack_seconds", "", "time until the delivery report"),
 *	};
 *	const struct metric_table bus_metrics = METRIC_TABLE(metrics);
 *
 * Threads: any; values are atomics.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_BUCKETS 14 /* bounds: 0.5 ms doubling to 4 s; the last one is +Inf (metrics.c) */

struct metric {
	const char *name;
	const char *labels; /* "" or `reason="timeout"`; rows of one name stand together */
	enum metric_kind kind;
	const char *help;
	_Atomic int64_t value; /* histogram: the sum in microseconds */
	_Atomic int64_t buckets[METRIC_BUCKETS + 1];
};

struct metric_table {
	struct metric *rows;
	size_t count;
};

/* clang-format off */
#define COUNTER(name_, labels_, help_) {.name = name_, .labels = labels_, .kind = METRIC_COUNTER, .help = help_}
#define GAUGE(name_, labels_, help_) {.name = name_, .labels = labels_, .kind = METRIC_GAUGE, .help = help_}
#define HISTOGRAM(name_, labels_, help_) {.name = name_, .labels = labels_, .kind = METRIC_HISTOGRAM, .help = help_}
/* clang-format on */
#define METRIC_TABLE(rows_)                                                  \
	{                                                                    \
		.rows = (rows_), .count = sizeof(rows_) / sizeof((rows_)[0]) \
	}

void metric_add(struct metric *metric, int64_t amount); /* counters and gauges */
void metric_set(struct metric *metric, int64_t value);  /* gauges */
void metric_observe_us(struct metric *metric, int64_t microseconds);

/* One label for every row of this process, e.g. backend="ns1". Borrowed; before any print. */
void metrics_common_label(const char *name, const char *value);
/* Prometheus text format 0.0.4 of `tables`, which ends with a NULL. */
void metrics_print(const struct metric_table *const *tables, struct buf *out);
/* The rows of docs/METRICS.md. */
void metrics_print_markdown(const struct metric_table *const *tables, struct buf *out);

#endif
