/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h: DirectAdmin's kind of answer on an HTTP request. Refusals are answered 200 with
 * `error=1`, as DA's own API does; 4xx is for what is wrong with the HTTP itself.
 */
#ifndef INGEST_ANSWER_H
#define INGEST_ANSWER_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/http.h"

void answer_ok(struct http_request *request, const char *text, bool json); /* text NULL: none */
/* `details` NULL or empty: none. 401 asks for credentials. */
void answer_error(struct http_request *request, int status, const char *text, const char *details,
		  bool json);
void answer_printed(struct http_request *request, int status, const struct buf *body, bool json);

#endif
