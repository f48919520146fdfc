/* SPDX-License-Identifier: Apache-2.0 */
/* http_text.h: the texts inside HTTP: percent escapes, pairs, Basic credentials, header rules. For
 * http*.c only; no I/O.
 */
#ifndef COMMON_HTTP_TEXT_H
#define COMMON_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/* Appends the decoded bytes, which may be NUL. False: a `%` without two hex digits. */
bool http_decode(struct span text, bool plus_is_space, struct buf *out);

/* Decodes "Basic dXNlcjpwYXNz" into `out` and splits it at the first colon. False: another scheme,
 * no base64, no colon, no user, or a NUL byte (reliability.md P22 to P25). */
bool http_basic(struct span header, struct buf *out, struct span *user, struct span *password);

/* What the header lines of one request say about its framing. All zero at first. */
struct http_framing {
	size_t lengths;
	size_t codings;
	size_t authorizations;
	size_t hosts;
	bool bad_name;   /* no token, e.g. a blank before the colon */
	bool bad_length; /* not only digits, or too many */
	bool bad_coding; /* not just "chunked" */
	size_t length;
};
void http_framing_add(struct http_framing *framing, struct span name, struct span value);
/* The status to refuse with, or 0; `text` says why. */
int http_framing_refusal(const struct http_framing *framing, bool has_body_method, bool is_1_0,
			 size_t body_ceiling, const char **text);

#endif
