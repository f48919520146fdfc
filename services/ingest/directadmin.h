/* SPDX-License-Identifier: Apache-2.0 */
/* directadmin.h: DirectAdmin's wire contract, as a pure function: request -> command, and result
 * -> url-encoded answer (or JSON, where `json=yes` asked for it).
 *
 * The query decides: with `action=rawsave` there, the body is the zone, verbatim, whatever a
 * Content-Type says. Without an action in the query a POST body is a form, whatever a Content-Type
 * says or fails to say: a delete names its zones in select0..selectN of a body without one.
 * Anything ambiguous (repeated or conflicting parameters, control bytes) is refused, never guessed.
 *
 * Threads: none of this keeps state. Ownership: a command borrows `text` from the request and owns
 * the rest: da_command_finish.
 */
#ifndef INGEST_DIRECTADMIN_H
#define INGEST_DIRECTADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/http.h"
#include "common/name.h"
#include "common/outcome.h"

/* I9: ceilings of one request. */
#define DA_ZONES_MAX 1000                 /* zones of one delete */
#define DA_FIELDS_MAX (DA_ZONES_MAX + 24) /* parameters of a query or of a form */
#define DA_USERNAME_MAX 64

enum da_page { DA_PAGE_DNS, DA_PAGE_LOGIN, DA_PAGE_USER, DA_PAGE_OTHER, DA_PAGE_NONE };
/* Every command exists as CMD_X and as CMD_API_X; `//` and a final `/` are tolerated. */
enum da_page da_page_of(struct span path);

struct da_request {
	struct span method;
	const struct form_field *query; /* decoded */
	size_t query_count;
	bool query_valid; /* false: a bad escape, or over DA_FIELDS_MAX parameters */
	struct span body;
};

enum da_verb { DA_HELLO, DA_EXISTS, DA_RAWSAVE, DA_DELETE };

struct da_command {
	enum da_verb verb;
	/* DA_EXISTS, DA_RAWSAVE */
	struct name zone;
	bool is_name;      /* DA_EXISTS: false for what can be no zone: a prefix, nonsense */
	bool check_parent; /* DA_EXISTS */
	/* DA_RAWSAVE, DA_DELETE */
	struct name owner;                  /* the DA hostname that the request speaks for */
	char username[DA_USERNAME_MAX + 1]; /* empty: admin level */
	bool now;
	struct span text; /* DA_RAWSAVE; borrowed from the request's body */
	/* DA_DELETE */
	struct name *zones; /* no name twice */
	size_t zone_count;
};

/* What is wrong with a request, and how to say it. */
struct da_refusal {
	int http_status;    /* 400 or 405 for the HTTP itself, else 200 as DA's own API */
	struct reason text; /* for the DA admin: one short sentence */
	struct reason details;
};

/* For DA_PAGE_DNS only. PERMFAIL: `refusal` says why. */
MUST_CHECK enum outcome da_parse(const struct da_request *request, struct da_command *out,
				 struct da_refusal *refusal);
void da_command_finish(struct da_command *command);
bool da_wants_json(const struct da_request *request);

/* --- answers --------------------------------------------------------------------------------- */

#define DA_ANSWER_MAX 4096
#define DA_CONTENT_TYPE "text/plain; charset=utf-8"
#define DA_CONTENT_TYPE_JSON "application/json"

struct da_pair {
	const char *name;
	const char *value; /* NULL: left out */
};
/* "a=1&text=two+words", or {"a":"1","text":"two words"}. */
void da_print(const struct da_pair *pairs, size_t count, bool json, struct buf *out);
void da_print_ok(const char *text, bool json, struct buf *out); /* text NULL: none */
void da_print_error(const char *text, const char *details, bool json, struct buf *out);

/* The numbers are the wire's. */
enum da_exists { DA_EXISTS_NO = 0, DA_EXISTS_ZONE = 1, DA_EXISTS_PARENT = 2 };
void da_print_exists(enum da_exists exists, const char *hostname, bool json, struct buf *out);

#endif
