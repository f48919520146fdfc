/* SPDX-License-Identifier: Apache-2.0 */
/* address.h: "host:port" of a neighbour, and a connected socket to it.
 *
 * Text form: host:port, host, [v6]:port, [v6] or a bare v6 address. Names are resolved at each
 * connect, so a neighbour may move. Sockets are non-blocking, close-on-exec, TCP without delay.
 *
 * Threads: none of this keeps state.
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <stdint.h>

#include "common/outcome.h"

#define ADDRESS_HOST_SIZE 256

struct address {
	char host[ADDRESS_HOST_SIZE]; /* without brackets */
	char port[6];
};

/* PERMFAIL: `text` is no address. */
MUST_CHECK enum outcome address_parse(const char *text, uint16_t default_port, struct address *out,
				      struct reason *why);
/* `type`: SOCK_STREAM or SOCK_DGRAM. The socket is yours to close(). TEMPFAIL: nobody answers. */
MUST_CHECK enum outcome address_connect(const struct address *address, int type, int timeout_ms,
					int *fd, struct reason *why);

#endif
