/* SPDX-License-Identifier: Apache-2.0 */
/* served: how long from a push until the name server serves it, one push at a time.
 *
 * Each sample: a zone of the range gets its next serial, pushed over a connection of its own as
 * DirectAdmin does it; the clock starts before the connection is made. From the answer on the name
 * server is asked by UDP, a question every 0.25 ms (--ask-every-us), until it serves exactly that
 * serial. A sample may be late by one such pause, never early. --pause-ms lets the system come to
 * rest; --scatter-ms adds up to so much: a server that looks for changes at a regular pace would
 * else be met at the same place of it each time.
 * --samples 0: until SIGTERM, which ends it with the sample that is on its way. --each prints every
 * sample, for samples of several of us to be put together.
 * Each zone is asked for once before, as a zone in use is: a server that keeps answers has to
 * forget this one. With several --server each is asked on its own and has its own figures: p50_ms,
 * p50_ms_2, ...
 */
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/da_request.h"
#include "tests/bench/figures.h"
#include "tests/bench/soa.h"

enum { ANSWER_MS = 200, SCATTER = 7919, SERVERS_MAX = 8 };

struct server {
	int udp;
	bool serves; /* the sample */
	struct samples samples;
};

struct probe {
	struct da_sender sender;
	char *door; /* host:port, cut in two */
	const char *door_port;
	struct server servers[SERVERS_MAX];
	size_t server_count;
	uint32_t from, to, serial, salt;
	int64_t samples, pause_ms, scatter_ms, ask_every_us, patience_ms;
	bool each;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

/* Returns when the answer is complete: the door closes an HTTP/1.0 connection. */
static void push(const struct probe *probe, const struct da_request *request)
{
	char answer[4096];
	size_t len = 0;
	ssize_t n;
	int one = 1;
	int fd = connect_to(probe->door, probe->door_port, SOCK_STREAM);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (size_t sent = 0; sent < request->len; sent += (size_t)n) {
		n = send(fd, request->bytes + sent, request->len - sent, MSG_NOSIGNAL);
		if (n <= 0) {
			die("push: %s", strerror(errno));
		}
	}
	while (len < sizeof(answer) - 1 &&
	       (n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0) {
		len += (size_t)n;
	}
	close(fd);
	answer[len] = '\0';
	if (strstr(answer, "\r\n\r\nerror=0") == NULL) {
		die("push answered: %s", answer);
	}
}

static bool is_served(int udp, uint16_t id, uint32_t zone, uint32_t serial)
{
	struct pollfd ready = {.fd = udp, .events = POLLIN};
	uint8_t query[SOA_QUERY_MAX], reply[SOA_REPLY_MAX];
	uint32_t got;
	ssize_t n;

	n = send(udp, query, soa_query(query, id, zone), 0);
	if (n < 0) {
		return false;
	}
	while (poll(&ready, 1, ANSWER_MS) == 1) {
		n = recv(udp, reply, sizeof(reply), 0);
		if (n >= 2 && (reply[0] << 8 | reply[1]) == id) {
			return soa_serial(reply, (size_t)n, &got) && got == serial;
		}
		if (n < 0) {
			return false;
		}
	}
	return false;
}

static void add_server(struct probe *probe, char *address)
{
	const char *port = address_split(address);

	if (probe->server_count == SERVERS_MAX) {
		die("more than %d servers", SERVERS_MAX);
	}
	probe->servers[probe->server_count++].udp = connect_to(address, port, SOCK_DGRAM);
}

/* True: all of them serve it. */
static bool ask_servers(struct probe *probe, uint32_t zone, uint32_t serial, int64_t began_us)
{
	static uint16_t id = 1;
	bool all = true;

	for (size_t i = 0; i < probe->server_count; i++) {
		struct server *server = &probe->servers[i];

		if (!server->serves && is_served(server->udp, id++, zone, serial)) {
			server->serves = true;
			samples_add(&server->samples, now_us() - began_us);
		}
		all = all && server->serves;
	}
	return all;
}

static void take_sample(struct probe *probe, struct da_request *request, int64_t number)
{
	uint32_t width = probe->to - probe->from;
	uint32_t zone = probe->from + (uint32_t)((uint64_t)number * SCATTER % width);
	uint32_t serial = probe->serial + (uint32_t)number;
	int64_t began_us;

	da_request_set(request, zone, serial, probe->salt + (uint32_t)number);
	for (size_t i = 0; i < probe->server_count; i++) {
		struct server *server = &probe->servers[i];

		server->serves = is_served(server->udp, 0, zone, serial); /* into its caches */
	}
	began_us = now_us();
	push(probe, request);
	while (!ask_servers(probe, zone, serial, began_us)) {
		if (now_us() - began_us > probe->patience_ms * 1000) {
			die("zone %u is not served with serial %u after %lld ms", zone, serial,
			    (long long)probe->patience_ms);
		}
		sleep_us(probe->ask_every_us);
	}
}

static const struct option options[] = {
	{"to-address", required_argument, NULL, 'a'},
	{"server", required_argument, NULL, 'd'},
	{"user", required_argument, NULL, 'u'},
	{"password", required_argument, NULL, 'p'},
	{"owner", required_argument, NULL, 'o'},
	{"from", required_argument, NULL, 'f'},
	{"to", required_argument, NULL, 't'},
	{"serial", required_argument, NULL, 's'},
	{"salt", required_argument, NULL, 'x'},
	{"samples", required_argument, NULL, 'N'},
	{"pause-ms", required_argument, NULL, 'P'},
	{"now", no_argument, NULL, 'n'},
	{"patience-ms", required_argument, NULL, 'W'},
	{"scatter-ms", required_argument, NULL, 'S'},
	{"each", no_argument, NULL, 'e'},
	{"ask-every-us", required_argument, NULL, 'E'},
	{0},
};

static void read_arguments(int argc, char **argv, struct probe *probe)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (letter) {
		case 'a':
			probe->door = optarg;
			break;
		case 'd':
			add_server(probe, optarg);
			break;
		case 'u':
			probe->sender.user = optarg;
			break;
		case 'p':
			probe->sender.password = optarg;
			break;
		case 'o':
			probe->sender.owner = optarg;
			break;
		case 'f':
			probe->from = (uint32_t)number_of(optarg, "--from");
			break;
		case 't':
			probe->to = (uint32_t)number_of(optarg, "--to");
			break;
		case 's':
			probe->serial = (uint32_t)number_of(optarg, "--serial");
			break;
		case 'x':
			probe->salt = (uint32_t)number_of(optarg, "--salt");
			break;
		case 'N':
			probe->samples = number_of(optarg, "--samples");
			break;
		case 'P':
			probe->pause_ms = number_of(optarg, "--pause-ms");
			break;
		case 'S':
			probe->scatter_ms = number_of(optarg, "--scatter-ms");
			break;
		case 'E':
			probe->ask_every_us = number_of(optarg, "--ask-every-us");
			break;
		case 'e':
			probe->each = true;
			break;
		case 'W':
			probe->patience_ms = number_of(optarg, "--patience-ms");
			break;
		case 'n':
			probe->sender.reload_now = true;
			break;
		default:
			die("usage: served --to-address HOST:PORT --server HOST:PORT... [--user U] "
			    "[--password P]\n\t[--owner HOST] [--from N] --to N [--serial N] "
			    "[--salt N] [--samples N]\n\t[--pause-ms N] [--scatter-ms N] "
			    "[--ask-every-us N] [--patience-ms N] [--now] [--each]");
		}
	}
	if (probe->door == NULL || probe->server_count == 0 || probe->to <= probe->from ||
	    probe->to > BENCH_ZONES_MAX) {
		die("--to-address, --server, and a --to above --from, are needed");
	}
}

static void report(struct probe *probe)
{
	for (size_t i = 0; i < probe->server_count; i++) {
		struct samples *samples = &probe->servers[i].samples;

		samples_sort(samples);
		for (size_t k = 0; probe->each && k < samples->count; k++) {
			printf("sample %.2f\n", (double)samples->us[k] / 1000);
		}
		printf("%zu pushes served after p50 %.2f ms, p99 %.2f, max %.2f\n", samples->count,
		       samples_quantile(samples, 0.5), samples_quantile(samples, 0.99),
		       samples_quantile(samples, 1));
	}
	printf("samples=%zu", probe->servers[0].samples.count);
	for (size_t i = 0; i < probe->server_count; i++) {
		struct server *server = &probe->servers[i];
		char which[20] = "";

		if (i != 0) {
			snprintf(which, sizeof(which), "_%zu", i + 1);
		}
		printf(" p50_ms%s=%.2f p99_ms%s=%.2f max_ms%s=%.2f", which,
		       samples_quantile(&server->samples, 0.5), which,
		       samples_quantile(&server->samples, 0.99), which,
		       samples_quantile(&server->samples, 1));
		close(server->udp);
		samples_finish(&server->samples);
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	struct probe probe = {.sender = {.user = "directdnsonly",
					 .password = "changeme",
					 .owner = "da1.hoster.example",
					 .http10 = true},
			      .serial = 2026112100,
			      .samples = 200,
			      .pause_ms = 20,
			      .ask_every_us = 250,
			      .patience_ms = 20000};
	struct da_request request;

	read_arguments(argc, argv, &probe);
	probe.door_port = address_split(probe.door);
	da_request_init(&request, &probe.sender);
	signal(SIGTERM, end);
	srandom(probe.salt);
	for (int64_t i = 0; probe.samples == 0 ? !ended : i < probe.samples; i++) {
		sleep_us((probe.pause_ms + random() % (probe.scatter_ms + 1)) * 1000);
		take_sample(&probe, &request, i);
	}
	report(&probe);
	return 0;
}
