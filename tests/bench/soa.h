/* SPDX-License-Identifier: Apache-2.0 */
/* soa.h: asks a name server by UDP which serial of a bench zone it serves. */
#ifndef TESTS_BENCH_SOA_H
#define TESTS_BENCH_SOA_H

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/da_request.h"
#include "tests/bench/figures.h"

enum { SOA_QUERY_MAX = 64, SOA_REPLY_MAX = 512 };

static inline int connect_to(const char *host, const char *port, int type)
{
	struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	int fd;

	if (getaddrinfo(host, port, &hints, &found) != 0) {
		die("%s:%s: no such address", host, port);
	}
	fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
		die("%s:%s: %s", host, port, strerror(errno));
	}
	freeaddrinfo(found);
	return fd;
}

static inline size_t soa_query(uint8_t out[SOA_QUERY_MAX], uint16_t id, uint32_t zone)
{
	static const uint8_t end[] = {0, 0, 6, 0, 1};
	uint8_t *p = out + 12;
	char name[40];

	memset(out, 0, 12);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[5] = 1;
	snprintf(name, sizeof(name), BENCH_ZONE_FORMAT, zone % BENCH_ZONES_MAX);
	for (const char *label = name; *label != '\0';) {
		size_t len = strcspn(label, ".");

		*p++ = (uint8_t)len;
		memcpy(p, label, len);
		p += len;
		label += label[len] == '.' ? len + 1 : len;
	}
	memcpy(p, end, sizeof(end));
	return (size_t)(p + sizeof(end) - out);
}

/* The offset behind the name at `at`; 0: broken. */
static inline size_t soa_skip_name(const uint8_t *reply, size_t len, size_t at)
{
	while (at < len) {
		if (reply[at] >= 0xc0) {
			return at + 2;
		}
		if (reply[at] == 0) {
			return at + 1;
		}
		at += (size_t)reply[at] + 1;
	}
	return 0;
}

/* False: no authoritative answer with a SOA. */
static inline bool soa_serial(const uint8_t *reply, size_t len, uint32_t *serial)
{
	size_t at;

	if (len < 12 || (reply[3] & 15) != 0 || (reply[2] & 4) == 0 || reply[7] == 0) {
		return false;
	}
	at = soa_skip_name(reply, len, 12);
	at = at == 0 ? 0 : soa_skip_name(reply, len, at + 4);
	if (at == 0 || at + 10 > len || reply[at] != 0 || reply[at + 1] != 6) {
		return false;
	}
	at = soa_skip_name(reply, len, at + 10);
	at = at == 0 ? 0 : soa_skip_name(reply, len, at);
	if (at == 0 || at + 4 > len) {
		return false;
	}
	*serial = (uint32_t)reply[at] << 24 | (uint32_t)reply[at + 1] << 16 |
		  (uint32_t)reply[at + 2] << 8 | reply[at + 3];
	return true;
}

#endif
