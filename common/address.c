/* SPDX-License-Identifier: Apache-2.0 */
#include "common/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"

static bool port_is_sane(struct span text)
{
	uint32_t port = 0;

	if (text.len == 0 || text.len > 5) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9') {
			return false;
		}
		port = port * 10 + (uint32_t)(text.data[i] - '0');
	}
	return port > 0 && port < 65536;
}

static bool host_is_sane(struct span text)
{
	if (text.len == 0 || text.len >= ADDRESS_HOST_SIZE) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == ']') {
			return false;
		}
	}
	return true;
}

/* Cuts `text` into host and port; the port stays empty when there is none. */
static bool split(struct span text, struct span *host, struct span *port)
{
	const char *end;
	const char *colon;

	if (text.len != 0 && text.data[0] == '[') {
		end = memchr(text.data, ']', text.len);
		if (end == NULL) {
			return false;
		}
		*host = (struct span){text.data + 1, (size_t)(end - text.data) - 1};
		*port = (struct span){end + 1, text.len - host->len - 2};
		if (port->len == 0) {
			return true;
		}
		if (port->data[0] != ':') {
			return false;
		}
		*port = (struct span){port->data + 1, port->len - 1};
		return port->len != 0;
	}
	colon = text.len == 0 ? NULL : memchr(text.data, ':', text.len);
	if (colon == NULL || colon != memrchr(text.data, ':', text.len)) {
		*host = text; /* no port, or an IPv6 address without brackets */
		*port = SPAN_EMPTY;
		return true;
	}
	*host = (struct span){text.data, (size_t)(colon - text.data)};
	*port = (struct span){colon + 1, text.len - host->len - 1};
	return port->len != 0;
}

enum outcome address_parse(const char *text, uint16_t default_port, struct address *out,
			   struct reason *why)
{
	struct span host;
	struct span port;

	if (!split(span_of(text), &host, &port) || !host_is_sane(host) ||
	    (port.len != 0 && !port_is_sane(port))) {
		return because(PERMFAIL, why, "\"%s\" is no address: write host:port", text);
	}
	memset(out, 0, sizeof(*out));
	memcpy(out->host, host.data, host.len);
	if (port.len != 0) {
		memcpy(out->port, port.data, port.len);
	} else {
		(void)snprintf(out->port, sizeof(out->port), "%u", default_port);
	}
	return OK;
}

/* One candidate; errno tells why it failed. */
static int try_connect(const struct addrinfo *info, int timeout_ms)
{
	struct pollfd poll_fd = {.events = POLLOUT};
	socklen_t len = sizeof(int);
	int one = 1;
	int error = 0;

	poll_fd.fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (poll_fd.fd < 0) {
		return -1;
	}
	if (info->ai_socktype == SOCK_STREAM) {
		(void)setsockopt(poll_fd.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	if (connect(poll_fd.fd, info->ai_addr, info->ai_addrlen) == 0) {
		return poll_fd.fd;
	}
	error = errno;
	if (error == EINPROGRESS) {
		if (poll(&poll_fd, 1, timeout_ms) <= 0) {
			error = ETIMEDOUT;
		} else if (getsockopt(poll_fd.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
			error = errno;
		}
	}
	if (error == 0) {
		return poll_fd.fd;
	}
	(void)close(poll_fd.fd);
	errno = error;
	return -1;
}

enum outcome address_connect(const struct address *address, int type, int timeout_ms, int *fd,
			     struct reason *why)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = type};
	struct addrinfo *list = NULL;
	int made = -1;
	int rc;

	rc = getaddrinfo(address->host, address->port, &hints, &list);
	if (rc != 0) {
		return because(TEMPFAIL, why, "%s: %s", address->host, gai_strerror(rc));
	}
	for (const struct addrinfo *info = list; info != NULL && made < 0; info = info->ai_next) {
		made = try_connect(info, timeout_ms);
	}
	freeaddrinfo(list);
	if (made < 0) {
		return because(TEMPFAIL, why, "%s port %s: %s", address->host, address->port,
			       strerror(errno));
	}
	*fd = made;
	return OK;
}
