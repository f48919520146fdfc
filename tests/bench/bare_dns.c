/* SPDX-License-Identifier: Apache-2.0 */
/* bare_dns: the limit of a name server's queries per second: two threads that answer every question
 * by UDP with one and the same A record, and look nothing up.
 *
 *	bare_dns PORT
 *
 * On 127.0.0.1, each thread with a socket of its own, until SIGTERM.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/figures.h"

enum { THREADS = 2, HEADER = 12, QUESTION_MAX = 300 };

static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 10};

/* The question ends behind its name, type and class; what follows (EDNS) is not answered. 0:
 * broken. */
static size_t question_end(const uint8_t *query, size_t len)
{
	size_t at = HEADER;

	while (at < len && query[at] != 0) {
		at += (size_t)query[at] + 1;
	}
	at += 5;
	return at <= len && at <= QUESTION_MAX ? at : 0;
}

static int open_socket(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		die("127.0.0.1:%u cannot be had", port);
	}
	return fd;
}

static void *answer(void *socket)
{
	uint8_t bytes[QUESTION_MAX + sizeof(record)];
	int fd = *(int *)socket;

	for (;;) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n =
			recvfrom(fd, bytes, QUESTION_MAX, 0, (struct sockaddr *)&from, &from_len);
		size_t len = n < 0 ? 0 : question_end(bytes, (size_t)n);

		if (len == 0) {
			continue;
		}
		bytes[2] = 0x84; /* an answer, authoritative */
		bytes[3] = 0;
		memset(bytes + 6, 0, 6);
		bytes[7] = 1;
		memcpy(bytes + len, record, sizeof(record));
		(void)!sendto(fd, bytes, len + sizeof(record), 0, (struct sockaddr *)&from,
			      from_len);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static int sockets[THREADS];
	int64_t port = argc == 2 ? number_of(argv[1], "PORT") : 0;
	pthread_t thread;

	if (port < 1 || port > UINT16_MAX) {
		die("usage: bare_dns PORT");
	}
	for (size_t i = 0; i < THREADS; i++) {
		sockets[i] = open_socket((uint16_t)port);
	}
	for (size_t i = 1; i < THREADS; i++) {
		if (pthread_create(&thread, NULL, answer, &sockets[i]) != 0) {
			die("a thread could not be started");
		}
	}
	answer(&sockets[0]);
	return 0;
}
