/* SPDX-License-Identifier: Apache-2.0 */
/* check_served: asks a name server for every zone of a range, and waits until each is served with
 * the wanted serial. Sixteen questions are on their way at a time. Exit code 1: some are not,
 * though --patience-ms passed. It is a check after a drain, not the clock of it: a name server that
 * has to answer thousands of questions meanwhile would be slower.
 *
 * --in-order is a clock: only the first zone that is not yet seen is asked for, every 2 ms, the
 * rest as they come; `seconds` is the time from our start until the last one is served, late by
 * what it takes to go through those behind one that was late, never early. Without --serial any
 * will do.
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/figures.h"
#include "tests/bench/soa.h"

enum { IN_FLIGHT = 16, ANSWER_MS = 200, ROUND_MS = 50, PACE_US = 2000 };

struct check {
	char *server;
	uint32_t from, to, serial;
	int64_t patience_ms;
	bool any_serial, in_order;
	int udp;
	uint32_t *left; /* zones not yet served */
	size_t left_count;
};

/* One group of questions; marks what is served with UINT32_MAX. */
static void ask_some(struct check *check, size_t first, size_t count)
{
	struct pollfd ready = {.fd = check->udp, .events = POLLIN};
	uint8_t bytes[SOA_REPLY_MAX];
	size_t asked = 0, answers = 0;

	for (size_t i = 0; i < count; i++) {
		size_t len;

		if (check->left[first + i] != UINT32_MAX) {
			len = soa_query(bytes, (uint16_t)(first + i), check->left[first + i]);
			(void)!send(check->udp, bytes, len, 0); /* the next round asks again */
			asked++;
		}
	}
	while (answers < asked && poll(&ready, 1, ANSWER_MS) == 1) {
		ssize_t n = recv(check->udp, bytes, sizeof(bytes), 0);
		uint32_t serial;
		size_t i;

		if (n < 2) {
			break;
		}
		answers++;
		i = (uint16_t)((bytes[0] << 8 | bytes[1]) - (uint16_t)first);
		if (i < count && soa_serial(bytes, (size_t)n, &serial) &&
		    (check->any_serial || serial == check->serial)) {
			check->left[first + i] = UINT32_MAX;
		}
	}
}

static void ask_all(struct check *check)
{
	size_t kept = 0;

	for (size_t first = 0; first < check->left_count; first += IN_FLIGHT) {
		size_t count = check->left_count - first;

		ask_some(check, first, count < IN_FLIGHT ? count : IN_FLIGHT);
	}
	for (size_t i = 0; i < check->left_count; i++) {
		if (check->left[i] != UINT32_MAX) {
			check->left[kept++] = check->left[i];
		}
	}
	check->left_count = kept;
}

static void ask_in_order(struct check *check, int64_t until_us)
{
	size_t done = 0, groups = 1;

	while (done < check->left_count && now_us() < until_us) {
		size_t count = check->left_count - done;

		ask_some(check, done, count < groups ? count : groups);
		groups = check->left[done] == UINT32_MAX ? IN_FLIGHT : 1;
		if (groups == 1) {
			sleep_us(PACE_US);
		}
		while (done < check->left_count && check->left[done] == UINT32_MAX) {
			done++;
		}
	}
}

static const struct option options[] = {
	{"server", required_argument, NULL, 'd'},
	{"from", required_argument, NULL, 'f'},
	{"to", required_argument, NULL, 't'},
	{"serial", required_argument, NULL, 's'},
	{"patience-ms", required_argument, NULL, 'W'},
	{"in-order", no_argument, NULL, 'o'},
	{0},
};

static void read_arguments(int argc, char **argv, struct check *check)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (letter) {
		case 'd':
			check->server = optarg;
			break;
		case 'f':
			check->from = (uint32_t)number_of(optarg, "--from");
			break;
		case 't':
			check->to = (uint32_t)number_of(optarg, "--to");
			break;
		case 's':
			check->serial = (uint32_t)number_of(optarg, "--serial");
			check->any_serial = false;
			break;
		case 'o':
			check->in_order = true;
			break;
		case 'W':
			check->patience_ms = number_of(optarg, "--patience-ms");
			break;
		default:
			die("usage: check_served --server HOST:PORT [--from N] --to N [--serial N] "
			    "[--patience-ms N] [--in-order]");
		}
	}
	if (check->server == NULL || check->to <= check->from || check->to > BENCH_ZONES_MAX) {
		die("--server, and a --to above --from, are needed");
	}
}

int main(int argc, char **argv)
{
	struct check check = {.any_serial = true};
	const char *port;
	int64_t began_us = now_us(), until_us, all;

	read_arguments(argc, argv, &check);
	port = address_split(check.server);
	check.udp = connect_to(check.server, port, SOCK_DGRAM);
	all = check.to - check.from;
	check.left = need(calloc((size_t)all, sizeof(*check.left)));
	for (int64_t i = 0; i < all; i++) {
		check.left[check.left_count++] = check.from + (uint32_t)i;
	}
	until_us = began_us + check.patience_ms * 1000;
	if (check.in_order) {
		ask_in_order(&check, until_us);
	}
	for (;;) {
		ask_all(&check);
		if (check.left_count == 0 || now_us() >= until_us) {
			break;
		}
		sleep_us(ROUND_MS * 1000);
	}
	printf("served=%lld missing=%zu seconds=%.3f\n",
	       (long long)all - (long long)check.left_count, check.left_count,
	       (double)(now_us() - began_us) / 1e6);
	close(check.udp);
	free(check.left);
	return check.left_count > 0;
}
