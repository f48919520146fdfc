/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket and the addresses around it. */
#include "common/http_state.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

void http_socket_peer(const void *sockaddr, char out[INET6_ADDRSTRLEN])
{
	const struct sockaddr *address = sockaddr;
	const char *mapped = "::ffff:";
	char text[NI_MAXHOST] = "";
	const char *shown = text;
	socklen_t len = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						       : sizeof(struct sockaddr_in);

	if (getnameinfo(address, len, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0) {
		text[0] = '\0';
	}
	text[strcspn(text, "%")] = '\0'; /* fe80::1%eth0 */
	if (strncmp(text, mapped, strlen(mapped)) == 0 && strchr(text, '.') != NULL) {
		shown += strlen(mapped);
	}
	(void)snprintf(out, INET6_ADDRSTRLEN, "%.45s", shown);
}

/* "127.0.0.1:2222", "[::1]:2222", ":2222" */
static enum outcome resolve(const char *text, int family, struct addrinfo **out, struct reason *why)
{
	struct addrinfo hints = {.ai_family = family,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	const char *colon = strrchr(text, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - text);
	const char *from = text;
	char *host = NULL;
	int error;

	if (colon == NULL || colon[1] == '\0') {
		return because(PERMFAIL, why, "cannot listen on %.80s: it is no ADDRESS:PORT",
			       text);
	}
	if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	}
	host = len == 0 ? NULL : xstrndup(from, len);
	error = getaddrinfo(host, colon + 1, &hints, out);
	free(host);
	if (error != 0) {
		return because(PERMFAIL, why, "cannot listen on %.80s: %s", text,
			       gai_strerror(error));
	}
	return OK;
}

/* -1 with errno set. */
static int open_listener(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int saved;

	if (fd < 0) {
		return -1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (address->ai_family == AF_INET6) { /* ":2222" is for both */
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int));
	}
	if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, 1024) == 0) {
		return fd;
	}
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

static enum outcome listen_on(const char *text, int family, int *out, struct reason *why)
{
	struct addrinfo *address = NULL;
	enum outcome outcome;
	int fd;

	outcome = resolve(text, family, &address, why);
	if (outcome != OK) {
		return outcome;
	}
	assert(address != NULL);
	fd = open_listener(address);
	if (fd < 0) {
		outcome =
			because(PERMFAIL, why, "cannot listen on %.80s: %s", text, strerror(errno));
	} else {
		*out = fd;
	}
	freeaddrinfo(address);
	return outcome;
}

enum outcome http_socket_listen(const char *text, int *out, struct reason *why)
{
	if (text[0] != ':') {
		return listen_on(text, AF_UNSPEC, out, why);
	}
	if (listen_on(text, AF_INET6, out, why) == OK) {
		return OK;
	}
	return listen_on(text, AF_INET, out, why); /* a machine without IPv6 */
}

/* I9: a ceiling that the process cannot hold is found at start, not in the rush hour. */
enum outcome http_socket_room(int64_t connections, struct reason *why)
{
	rlim_t need = (rlim_t)connections + 128;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) {
		return OK;
	}
	if (limit.rlim_max < need) {
		return because(PERMFAIL, why,
			       "%lld connections need %llu open files, the limit is %llu (ulimit "
			       "-Hn)",
			       (long long)connections, (unsigned long long)need,
			       (unsigned long long)limit.rlim_max);
	}
	limit.rlim_cur = need;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return because(PERMFAIL, why, "cannot raise the limit of open files: %s",
			       strerror(errno));
	}
	return OK;
}
