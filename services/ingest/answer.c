/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/answer.h"

#include "services/ingest/directadmin.h"

void answer_printed(struct http_request *request, int status, const struct buf *body, bool json)
{
	http_answer(request, status, json ? DA_CONTENT_TYPE_JSON : DA_CONTENT_TYPE, buf_span(body),
		    status == 401 ? "WWW-Authenticate: Basic realm=\"DaDNS\"" : NULL);
}

void answer_ok(struct http_request *request, const char *text, bool json)
{
	struct buf body = BUF_INIT(DA_ANSWER_MAX);

	da_print_ok(text, json, &body);
	answer_printed(request, 200, &body, json);
	buf_finish(&body);
}

void answer_error(struct http_request *request, int status, const char *text, const char *details,
		  bool json)
{
	struct buf body = BUF_INIT(DA_ANSWER_MAX);
	struct buf whole = BUF_INIT(DA_ANSWER_MAX);
	bool has_details = details != NULL && details[0] != '\0';

	/* An admin may see `text` alone: it says all. */
	buf_add_text(&whole, text);
	if (has_details) {
		buf_add_text(&whole, ": ");
		buf_add_text(&whole, details);
	}
	da_print_error(buf_text(&whole), has_details ? details : NULL, json, &body);
	answer_printed(request, status, &body, json);
	buf_finish(&whole);
	buf_finish(&body);
}
