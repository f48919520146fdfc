/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define FIRST_BOUND_US 500

static char common_label[160]; /* name="value", or empty */

static int64_t bound_us(size_t bucket)
{
	return (int64_t)FIRST_BOUND_US << bucket;
}

void metric_add(struct metric *metric, int64_t amount)
{
	atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
	atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe_us(struct metric *metric, int64_t microseconds)
{
	size_t bucket = 0;

	while (bucket < METRIC_BUCKETS && microseconds > bound_us(bucket)) {
		bucket++;
	}
	atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&metric->value, microseconds, memory_order_relaxed);
}

/* The text format's three escapes of a label's value. */
void metrics_common_label(const char *name, const char *value)
{
	struct buf label = BUF_INIT(sizeof(common_label) - 2);

	buf_addf(&label, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\n') {
			buf_add_text(&label, "\\n");
			continue;
		}
		if (*value == '"' || *value == '\\') {
			buf_add_byte(&label, '\\');
		}
		buf_add_byte(&label, *value);
	}
	memcpy(common_label, buf_text(&label), label.len);
	common_label[label.len] = '"';
	common_label[label.len + 1] = '\0';
	buf_finish(&label);
}

/* Three sources of labels, any of them empty; no braces if all are. */
static void add_labels(const char *own, const char *extra, struct buf *out)
{
	const char *labels[] = {common_label, own, extra};
	bool any = false;

	for (size_t i = 0; i < 3; i++) {
		if (labels[i][0] != '\0') {
			buf_add_byte(out, any ? ',' : '{');
			buf_add_text(out, labels[i]);
			any = true;
		}
	}
	if (any) {
		buf_add_byte(out, '}');
	}
}

static void print_line(const struct metric *metric, const char *suffix, const char *extra,
		       struct buf *out)
{
	buf_addf(out, "%s%s", metric->name, suffix);
	add_labels(metric->labels, extra, out);
	buf_add_byte(out, ' ');
}

static void print_histogram(const struct metric *metric, struct buf *out)
{
	int64_t sum = atomic_load_explicit(&metric->value, memory_order_relaxed);
	int64_t count = 0;

	for (size_t i = 0; i <= METRIC_BUCKETS; i++) {
		struct buf bound = BUF_INIT(32);

		count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
		if (i < METRIC_BUCKETS) {
			buf_addf(&bound, "le=\"%g\"", (double)bound_us(i) / 1e6);
		} else {
			buf_add_text(&bound, "le=\"+Inf\"");
		}
		print_line(metric, "_bucket", buf_text(&bound), out);
		buf_addf(out, "%" PRId64 "\n", count);
		buf_finish(&bound);
	}
	print_line(metric, "_sum", "", out);
	buf_addf(out, "%.6f\n", (double)sum / 1e6);
	print_line(metric, "_count", "", out);
	buf_addf(out, "%" PRId64 "\n", count);
}

static const char *kind_text(enum metric_kind kind)
{
	switch (kind) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_GAUGE:
		return "gauge";
	case METRIC_HISTOGRAM:
		return "histogram";
	}
	return "untyped";
}

void metrics_print(const struct metric_table *const *tables, struct buf *out)
{
	const char *name = "";

	for (; *tables != NULL; tables++) {
		for (size_t i = 0; i < (*tables)->count; i++) {
			const struct metric *metric = &(*tables)->rows[i];

			if (metric->name == NULL) {
				continue; /* a gap in the table's numbering */
			}
			if (strcmp(metric->name, name) != 0) {
				buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name,
					 metric->help, metric->name, kind_text(metric->kind));
				name = metric->name;
			}
			if (metric->kind == METRIC_HISTOGRAM) {
				print_histogram(metric, out);
			} else {
				print_line(metric, "", "", out);
				buf_addf(
					out, "%" PRId64 "\n",
					atomic_load_explicit(&metric->value, memory_order_relaxed));
			}
		}
	}
}

void metrics_print_markdown(const struct metric_table *const *tables, struct buf *out)
{
	buf_add_text(out, "| metric | labels | kind | what |\n|---|---|---|---|\n");
	for (; *tables != NULL; tables++) {
		for (size_t i = 0; i < (*tables)->count; i++) {
			const struct metric *metric = &(*tables)->rows[i];

			if (metric->name == NULL) {
				continue;
			}
			buf_addf(out, "| `%s` | ", metric->name);
			if (metric->labels[0] != '\0') {
				buf_addf(out, "`%s`", metric->labels);
			}
			buf_addf(out, " | %s | %s |\n", kind_text(metric->kind), metric->help);
		}
	}
}
