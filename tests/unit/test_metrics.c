/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SENT, LOST_TIMEOUT, LOST_FULL, GAP, HELD, ACK, ROWS };

static struct metric rows[ROWS] = {
	[SENT] = COUNTER("dadns_bus_sent_total", "", "records that the broker confirmed"),
	[LOST_TIMEOUT] = COUNTER("dadns_bus_failed_total", "reason=\"timeout\"", "not confirmed"),
	[LOST_FULL] = COUNTER("dadns_bus_failed_total", "reason=\"full\"", "not confirmed"),
	[HELD] = GAUGE("dadns_door_held_pushes", "", "pushes held"),
	[ACK] = HISTOGRAM("dadns_bus_ack_seconds", "", "time until the delivery report"),
};
static const struct metric_table table = METRIC_TABLE(rows);
static const struct metric_table *const tables[] = {&table, NULL};

static size_t occurrences(const char *text, const char *part)
{
	size_t n = 0;

	for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part)) {
		n++;
	}
	return n;
}

static void counters_and_gauges_print_their_values(void **state)
{
	struct buf text = BUF_INIT(65536);

	(void)state;
	metric_add(&rows[SENT], 2);
	metric_add(&rows[SENT], 40);
	metric_add(&rows[LOST_FULL], 1);
	metric_set(&rows[HELD], 9);
	metric_add(&rows[HELD], -10);

	metrics_print(tables, &text);

	assert_non_null(strstr(buf_text(&text),
			       "# HELP dadns_bus_sent_total records that the broker confirmed\n"
			       "# TYPE dadns_bus_sent_total counter\n"
			       "dadns_bus_sent_total 42\n"));
	assert_non_null(strstr(buf_text(&text), "dadns_bus_failed_total{reason=\"timeout\"} 0\n"
						"dadns_bus_failed_total{reason=\"full\"} 1\n"));
	assert_int_equal(occurrences(buf_text(&text), "# TYPE dadns_bus_failed_total"), 1);
	assert_non_null(strstr(buf_text(&text), "# HELP dadns_door_held_pushes pushes held\n"));
	assert_non_null(strstr(buf_text(&text), "dadns_door_held_pushes -1\n"));
	buf_finish(&text);
}

static void histogram_counts_up_to_each_bound(void **state)
{
	struct buf text = BUF_INIT(65536);

	(void)state;
	metric_observe_us(&rows[ACK], 0);
	metric_observe_us(&rows[ACK], 500); /* on the bound: below it */
	metric_observe_us(&rows[ACK], 501);
	metric_observe_us(&rows[ACK], 4096000);
	metric_observe_us(&rows[ACK], 60000000);

	metrics_print(tables, &text);

	assert_non_null(strstr(buf_text(&text), "# TYPE dadns_bus_ack_seconds histogram\n"
						"dadns_bus_ack_seconds_bucket{le=\"0.0005\"} 2\n"
						"dadns_bus_ack_seconds_bucket{le=\"0.001\"} 3\n"));
	assert_non_null(strstr(buf_text(&text), "le=\"2.048\"} 3\n"
						"dadns_bus_ack_seconds_bucket{le=\"4.096\"} 4\n"
						"dadns_bus_ack_seconds_bucket{le=\"+Inf\"} 5\n"
						"dadns_bus_ack_seconds_sum 64.097001\n"
						"dadns_bus_ack_seconds_count 5\n"));
	assert_int_equal(occurrences(buf_text(&text), "_bucket{"), METRIC_BUCKETS + 1);
	buf_finish(&text);
}

static void common_label_stands_on_every_row(void **state)
{
	struct buf text = BUF_INIT(65536);

	(void)state;
	metrics_common_label("backend", "ns\"1\\");

	metrics_print(tables, &text);

	assert_non_null(strstr(buf_text(&text), "dadns_bus_sent_total{backend=\"ns\\\"1\\\\\"} "));
	assert_non_null(strstr(buf_text(&text), "{backend=\"ns\\\"1\\\\\",reason=\"full\"} "));
	assert_non_null(strstr(buf_text(&text), "{backend=\"ns\\\"1\\\\\",le=\"+Inf\"} "));
	buf_finish(&text);
}

static void markdown_lists_every_row(void **state)
{
	struct buf text = BUF_INIT(65536);

	(void)state;

	metrics_print_markdown(tables, &text);

	assert_non_null(strstr(buf_text(&text), "| `dadns_bus_failed_total` | `reason=\"full\"` | "
						"counter | not confirmed |\n"));
	assert_int_equal(occurrences(buf_text(&text), "\n"), 2 + ROWS - 1);
	buf_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_and_gauges_print_their_values),
		cmocka_unit_test(histogram_counts_up_to_each_bound),
		cmocka_unit_test(common_label_stands_on_every_row),
		cmocka_unit_test(markdown_lists_every_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
