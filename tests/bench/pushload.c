/* SPDX-License-Identifier: Apache-2.0 */
/* pushload: N clients that push zones through HTTP as fast as they are answered, in one thread.
 *
 * Without --seconds: each zone from --from up to, not including, --to once. With it: round and
 * round until the time is over, each round under the next serial, so that every push is a change.
 * A client keeps its connection; with --http10 each push has its own, as DirectAdmin does it.
 * Nothing is tried twice. The last line is for scripts. Exit code 1: not all got error=0.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/da_request.h"
#include "tests/bench/figures.h"

enum { ANSWER_MAX = 4096, EVENTS_MAX = 64, PATIENCE_S = 30 };

struct client {
	int fd; /* -1: no connection */
	struct da_request request;
	size_t sent; /* of the request */
	char answer[ANSWER_MAX + 1];
	size_t len;
	int64_t began_us;
	bool busy, wants_write;
};

struct load {
	struct da_sender sender;
	const struct addrinfo *address;
	uint32_t from, to, serial, salt;
	int64_t until_us; /* 0: one round */
	int epoll;
	/* what goes on */
	uint64_t next; /* push number */
	size_t busy;
	/* what came of it */
	struct samples samples;
	int64_t ok, error, other, reset;
	char first_trouble[200];
};

static bool take_next(struct load *load, struct client *client)
{
	uint32_t width = load->to - load->from;
	uint64_t round = load->next / width;

	if (load->until_us == 0 ? round > 0 : now_us() >= load->until_us) {
		return false;
	}
	da_request_set(&client->request, load->from + (uint32_t)(load->next % width),
		       load->serial + (uint32_t)round, load->salt + (uint32_t)load->next);
	load->next++;
	return true;
}

static void drop(struct client *client)
{
	if (client->fd >= 0) {
		close(client->fd);
		client->fd = -1;
	}
}

static void dial(struct load *load, struct client *client)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = client};
	int one = 1;

	client->fd =
		socket(load->address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0) {
		die("socket: %s", strerror(errno));
	}
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(client->fd, load->address->ai_addr, load->address->ai_addrlen) != 0 &&
	    errno != EINPROGRESS) {
		die("connect: %s", strerror(errno));
	}
	client->wants_write = true;
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0) {
		die("epoll: %s", strerror(errno));
	}
}

static void watch(struct load *load, struct client *client, bool wants_write)
{
	struct epoll_event event = {.events = wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN,
				    .data.ptr = client};

	if (client->wants_write != wants_write) {
		client->wants_write = wants_write;
		epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
	}
}

/* False: the connection is gone. */
static bool send_more(struct load *load, struct client *client)
{
	ssize_t n = 0;

	while (client->sent < client->request.len) {
		n = send(client->fd, client->request.bytes + client->sent,
			 client->request.len - client->sent, MSG_NOSIGNAL);
		if (n <= 0) {
			break;
		}
		client->sent += (size_t)n;
	}
	if (n < 0 && errno != EAGAIN && errno != ENOTCONN) {
		return false;
	}
	watch(load, client, client->sent < client->request.len);
	return true;
}

static void note_trouble(struct load *load, const char *text)
{
	if (load->first_trouble[0] == '\0') {
		snprintf(load->first_trouble, sizeof(load->first_trouble), "%.*s",
			 (int)strcspn(text, "\r\n"), text);
	}
}

static void start(struct load *load, struct client *client);

static void finish(struct load *load, struct client *client, const char *body)
{
	samples_add(&load->samples, now_us() - client->began_us);
	client->busy = false;
	load->busy--;
	if (body == NULL) {
		load->reset++;
		note_trouble(load, "connection reset");
	} else if (strncmp(client->answer, "HTTP/1.", 7) != 0 ||
		   strncmp(client->answer + 8, " 200", 4) != 0) {
		load->other++;
		note_trouble(load, client->answer);
	} else if (strncmp(body, "error=0", 7) == 0) {
		load->ok++;
	} else {
		load->error++;
		note_trouble(load, body);
	}
	if (load->sender.http10 || body == NULL ||
	    strcasestr(client->answer, "\r\nConnection: close") != NULL) {
		drop(client);
	}
	start(load, client);
}

static void start(struct load *load, struct client *client)
{
	if (!take_next(load, client)) {
		drop(client);
		return;
	}
	client->busy = true;
	client->sent = client->len = 0;
	client->began_us = now_us();
	load->busy++;
	if (client->fd < 0) {
		dial(load, client); /* goes on when the connection is there */
	} else if (!send_more(load, client)) {
		finish(load, client, NULL);
	}
}

/* The body, once the answer is complete. */
static const char *answer_body(const struct client *client, bool ended)
{
	const char *body = strstr(client->answer, "\r\n\r\n");
	const char *length;

	if (body == NULL) {
		return NULL;
	}
	body += 4;
	length = strcasestr(client->answer, "\r\nContent-Length:");
	if (length != NULL && length < body) {
		size_t wanted = (size_t)strtoull(length + 17, NULL, 10);

		return client->len >= (size_t)(body - client->answer) + wanted ? body : NULL;
	}
	return ended ? body : NULL;
}

static void receive(struct load *load, struct client *client)
{
	const char *body;
	ssize_t n;

	n = recv(client->fd, client->answer + client->len, ANSWER_MAX - client->len, 0);
	if (n < 0 && errno == EAGAIN) {
		return;
	}
	if (n > 0) {
		client->len += (size_t)n;
	}
	client->answer[client->len] = '\0';
	body = answer_body(client, n <= 0);
	if (body != NULL) {
		finish(load, client, body);
	} else if (n <= 0 || client->len == ANSWER_MAX) {
		finish(load, client, NULL);
	}
}

static void handle(struct load *load, struct client *client, uint32_t events)
{
	if ((events & EPOLLOUT) != 0 && client->busy && !send_more(load, client)) {
		finish(load, client, NULL);
		return;
	}
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) {
		return;
	}
	if (client->busy) {
		receive(load, client);
	} else {
		drop(client);
	}
}

static void run(struct load *load, struct client *clients, size_t count)
{
	struct epoll_event events[EVENTS_MAX];

	for (size_t i = 0; i < count; i++) {
		start(load, &clients[i]);
	}
	while (load->busy > 0) {
		int n = epoll_wait(load->epoll, events, EVENTS_MAX, PATIENCE_S * 1000);

		if (n == 0) {
			die("no answer for %d s", PATIENCE_S);
		}
		for (int i = 0; i < n; i++) {
			handle(load, events[i].data.ptr, events[i].events);
		}
	}
}

static void report(struct load *load, int64_t took_us, size_t clients)
{
	double seconds = (double)took_us / 1e6;
	double p50, p99, longest;

	samples_sort(&load->samples);
	p50 = samples_quantile(&load->samples, 0.5);
	p99 = samples_quantile(&load->samples, 0.99);
	longest = samples_quantile(&load->samples, 1);
	if (load->first_trouble[0] != '\0') {
		printf("first trouble: %s\n", load->first_trouble);
	}
	printf("%lld pushes in %.2f s from %zu clients, %s: %.0f/s, p50 %.2f ms, p99 %.2f, max "
	       "%.2f; %lld error=1, %lld other answers, %lld resets\n",
	       (long long)load->ok, seconds, clients,
	       load->sender.http10 ? "a connection per push" : "connections kept",
	       (double)load->ok / seconds, p50, p99, longest, (long long)load->error,
	       (long long)load->other, (long long)load->reset);
	printf("rate=%.0f ok=%lld error=%lld other=%lld reset=%lld seconds=%.3f p50_ms=%.2f "
	       "p99_ms=%.2f max_ms=%.2f\n",
	       (double)load->ok / seconds, (long long)load->ok, (long long)load->error,
	       (long long)load->other, (long long)load->reset, seconds, p50, p99, longest);
}

static const struct option options[] = {
	{"to-address", required_argument, NULL, 'a'},
	{"user", required_argument, NULL, 'u'},
	{"password", required_argument, NULL, 'p'},
	{"owner", required_argument, NULL, 'o'},
	{"clients", required_argument, NULL, 'c'},
	{"from", required_argument, NULL, 'f'},
	{"to", required_argument, NULL, 't'},
	{"serial", required_argument, NULL, 's'},
	{"salt", required_argument, NULL, 'x'},
	{"seconds", required_argument, NULL, 'S'},
	{"http10", no_argument, NULL, '1'},
	{"now", no_argument, NULL, 'n'},
	{0},
};

struct wishes {
	char *address;
	size_t clients;
	int64_t seconds;
};

static void read_arguments(int argc, char **argv, struct load *load, struct wishes *wishes)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (letter) {
		case 'a':
			wishes->address = optarg;
			break;
		case 'u':
			load->sender.user = optarg;
			break;
		case 'p':
			load->sender.password = optarg;
			break;
		case 'o':
			load->sender.owner = optarg;
			break;
		case 'c':
			wishes->clients = (size_t)number_of(optarg, "--clients");
			break;
		case 'f':
			load->from = (uint32_t)number_of(optarg, "--from");
			break;
		case 't':
			load->to = (uint32_t)number_of(optarg, "--to");
			break;
		case 's':
			load->serial = (uint32_t)number_of(optarg, "--serial");
			break;
		case 'x':
			load->salt = (uint32_t)number_of(optarg, "--salt");
			break;
		case 'S':
			wishes->seconds = number_of(optarg, "--seconds");
			break;
		case '1':
			load->sender.http10 = true;
			break;
		case 'n':
			load->sender.reload_now = true;
			break;
		default:
			die("usage: pushload --to-address HOST:PORT [--user U] [--password P] "
			    "[--owner HOST]\n\t[--clients N] [--from N] --to N [--serial N] "
			    "[--salt N] [--seconds N] [--http10] [--now]");
		}
	}
	if (wishes->address == NULL || load->to <= load->from || load->to > BENCH_ZONES_MAX ||
	    wishes->clients == 0 || wishes->clients > 4096) {
		die("--to-address, and a --to above --from, are needed");
	}
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	struct wishes wishes = {.clients = 32};
	struct load load = {.sender = {.user = "directdnsonly",
				       .password = "changeme",
				       .owner = "da1.hoster.example"},
			    .serial = 2026112100};
	struct client *clients;
	const char *port;
	int64_t began_us;

	read_arguments(argc, argv, &load, &wishes);
	port = address_split(wishes.address);
	if (getaddrinfo(wishes.address, port, &hints, &found) != 0) {
		die("%s:%s: no such address", wishes.address, port);
	}
	load.address = found;
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	clients = need(calloc(wishes.clients, sizeof(*clients)));
	for (size_t i = 0; i < wishes.clients; i++) {
		clients[i].fd = -1;
		da_request_init(&clients[i].request, &load.sender);
	}

	began_us = now_us();
	load.until_us = wishes.seconds == 0 ? 0 : began_us + wishes.seconds * 1000000;
	run(&load, clients, wishes.clients);
	report(&load, now_us() - began_us, wishes.clients);

	freeaddrinfo(found);
	free(clients);
	close(load.epoll);
	samples_finish(&load.samples);
	return load.error + load.other + load.reset > 0;
}
