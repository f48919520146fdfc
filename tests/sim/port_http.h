/* SPDX-License-Identifier: Apache-2.0 */
/* port_http.h: what stands in for common/http.h: requests as structs, handled by the door's own
 * code in a thread of the asked process.
 */
#ifndef TESTS_SIM_PORT_HTTP_H
#define TESTS_SIM_PORT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "tests/sim/stage.h"

#define QUERY_MAX 6

struct asked {
	const char *method;
	const char *path;
	const char *username, *password;
	const char *traceparent;
	const char *query[QUERY_MAX][2];
	size_t query_count;
	struct span body;
};

struct got {
	bool answered; /* else: no answer came, or no connection */
	bool refused;  /* nothing was sent: no connection */
	int status;
	char body[512];
};

/* Asks and waits, `patience_us` at most. For threads of the world. */
void http_ask(struct process *process, const struct asked *asked, int64_t patience_us,
	      struct got *out);

#endif
