/* SPDX-License-Identifier: Apache-2.0 */
/* redis_place.h: where a Redis is: redis.url, read.
 *
 * Values. Threads: none.
 */
#ifndef COMMON_REDIS_PLACE_H
#define COMMON_REDIS_PLACE_H

#include <stddef.h>

#include "common/address.h"
#include "common/outcome.h"

struct redis_place {
	struct address address;
	char path[108]; /* of a socket, instead; "" = none */
	char user[128]; /* "" = none */
	int database;
};

/* PERMFAIL: no such URL; `why` never quotes it, a password may be in it. */
MUST_CHECK enum outcome redis_place_parse(const char *url, struct redis_place *out,
					  struct reason *why);
/* "127.0.0.1:6379", "/run/redis.sock". */
void redis_place_print(const struct redis_place *place, char *out, size_t size);

#endif
