/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/directadmin.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* --- the page -------------------------------------------------------------------------------- */

enum da_page da_page_of(struct span path)
{
	static const struct {
		const char *name;
		enum da_page page;
	} pages[] = {
		{"DNS_ADMIN", DA_PAGE_DNS},
		{"LOGIN_TEST", DA_PAGE_LOGIN},
		{"USER_EXISTS", DA_PAGE_USER},
	};

	while (path.len > 0 && path.data[0] == '/') {
		path.data++;
		path.len--;
	}
	while (path.len > 0 && path.data[path.len - 1] == '/') {
		path.len--;
	}
	if (path.len < 5 || memcmp(path.data, "CMD_", 4) != 0) {
		return DA_PAGE_NONE;
	}
	path.data += 4;
	path.len -= 4;
	if (path.len > 4 && memcmp(path.data, "API_", 4) == 0) {
		path.data += 4;
		path.len -= 4;
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (span_is(path, pages[i].name)) {
			return pages[i].page;
		}
	}
	return DA_PAGE_OTHER;
}

/* --- parameters ------------------------------------------------------------------------------ */

/* The parameters of a request: those of the query, then those of a form in the body. */
struct parameters {
	const struct form_field *query;
	size_t query_count;
	const struct form_field *form;
	size_t form_count;
};

static const struct form_field *parameter_at(const struct parameters *all, size_t i)
{
	return i < all->query_count ? &all->query[i] : &all->form[i - all->query_count];
}

static size_t parameter_count(const struct parameters *all)
{
	return all->query_count + all->form_count;
}

static enum outcome refuse(struct da_refusal *refusal, int http_status, const char *text)
{
	*refusal = (struct da_refusal){.http_status = http_status};
	return because(PERMFAIL, &refusal->text, "%s", text);
}

static bool has_control_byte(struct span span)
{
	for (size_t i = 0; i < span.len; i++) {
		if ((unsigned char)span.data[i] < 0x20 || span.data[i] == 0x7f) {
			return true;
		}
	}
	return false;
}

/* The one value of `name`; data NULL: absent. Twice is ambiguous, wherever they stand: two parsers
 * would not agree which one counts. */
static enum outcome parameter(const struct parameters *all, const char *name, struct span *out,
			      struct da_refusal *refusal)
{
	struct span found = SPAN_EMPTY;
	size_t count = 0;

	for (size_t i = 0; i < parameter_count(all); i++) {
		const struct form_field *field = parameter_at(all, i);

		if (span_is(field->name, name)) {
			found = field->value;
			count++;
		}
	}
	if (count > 1) {
		(void)refuse(refusal, 400, "Repeated parameter");
		return because(PERMFAIL, &refusal->details, "%s was given %zu times", name, count);
	}
	if (count == 1 && found.data == NULL) {
		found.data = ""; /* `name=`: there, and empty */
	}
	*out = found;
	return OK;
}

/* I10: a NUL byte would cut a C string, a line end would forge a line. */
static enum outcome check_bytes(const struct parameters *all, struct da_refusal *refusal)
{
	for (size_t i = 0; i < parameter_count(all); i++) {
		const struct form_field *field = parameter_at(all, i);

		if (has_control_byte(field->name) || has_control_byte(field->value)) {
			return refuse(refusal, 400, "Control bytes in a parameter");
		}
	}
	return OK;
}

static enum outcome parse_zone(struct span text, struct name *out, struct da_refusal *refusal)
{
	if (name_parse(text, out, &refusal->details) != OK) {
		refusal->http_status = 200;
		return because(PERMFAIL, &refusal->text, "Not a domain name");
	}
	if (name_label_count(out) < 2) {
		(void)refuse(refusal, 200, "Not a domain name that can be a zone");
		return because(PERMFAIL, &refusal->details, "%s has a single label", out->text);
	}
	return OK;
}

static enum outcome parse_owner(const struct parameters *all, struct name *out,
				struct da_refusal *refusal)
{
	struct span hostname;
	enum outcome outcome = parameter(all, "hostname", &hostname, refusal);

	if (outcome != OK) {
		return outcome;
	}
	if (hostname.len == 0) {
		(void)refuse(refusal, 200, "The parameter hostname is missing");
		return because(PERMFAIL, &refusal->details,
			       "DirectAdmin sends its own host name; without it nobody can tell "
			       "whose zone this is");
	}
	if (name_parse(hostname, out, &refusal->details) != OK) {
		refusal->http_status = 200;
		return because(PERMFAIL, &refusal->text,
			       "The parameter hostname is not a host name");
	}
	return OK;
}

static enum outcome parse_username(const struct parameters *all, char out[DA_USERNAME_MAX + 1],
				   struct da_refusal *refusal)
{
	struct span username;
	enum outcome outcome = parameter(all, "username", &username, refusal);

	if (outcome != OK) {
		return outcome;
	}
	if (username.len > DA_USERNAME_MAX) {
		return refuse(refusal, 200, "The parameter username is too long");
	}
	for (size_t i = 0; i < username.len; i++) {
		unsigned char c = (unsigned char)username.data[i];

		if (!isalnum(c) && strchr("._-@+", c) == NULL) {
			return refuse(refusal, 200,
				      "The parameter username has characters other than letters, "
				      "digits and ._-@+");
		}
	}
	memset(out, 0, DA_USERNAME_MAX + 1);
	if (username.len > 0) {
		memcpy(out, username.data, username.len);
	}
	return OK;
}

static bool is_yes(struct span value)
{
	return span_is_nocase(value, "yes") || span_is_nocase(value, "true") || span_is(value, "1");
}

/* --- commands -------------------------------------------------------------------------------- */

static enum outcome parse_exists(const struct parameters *all, struct da_command *command,
				 struct da_refusal *refusal)
{
	struct span domain;
	struct span parent;
	enum outcome outcome = parameter(all, "domain", &domain, refusal);

	if (outcome == OK) {
		outcome = parameter(all, "check_for_parent_domain", &parent, refusal);
	}
	if (outcome != OK) {
		return outcome;
	}
	if (domain.data == NULL) {
		return refuse(refusal, 200, "The parameter domain is missing");
	}
	/* DA asks while people type: what is no name yet is simply a zone that we don't have. */
	command->is_name = name_parse(domain, &command->zone, NULL) == OK;
	command->check_parent = is_yes(parent);
	return OK;
}

static enum outcome parse_rawsave(const struct da_request *request, const struct parameters *all,
				  struct da_command *command, struct da_refusal *refusal)
{
	struct span domain;
	struct span now;
	enum outcome outcome;

	if (!span_is(request->method, "POST")) {
		return refuse(refusal, 405, "rawsave needs POST");
	}
	outcome = parameter(all, "domain", &domain, refusal);
	if (outcome != OK) {
		return outcome;
	}
	if (domain.data == NULL) {
		return refuse(refusal, 200, "The parameter domain is missing");
	}
	outcome = parse_zone(domain, &command->zone, refusal);
	if (outcome != OK) {
		return outcome;
	}
	outcome = parse_owner(all, &command->owner, refusal);
	if (outcome != OK) {
		return outcome;
	}
	outcome = parse_username(all, command->username, refusal);
	if (outcome != OK) {
		return outcome;
	}
	outcome = parameter(all, "named_reload", &now, refusal);
	if (outcome != OK) {
		return outcome;
	}
	if (request->body.len == 0) { /* I5: nothing said is never "no records" */
		(void)refuse(refusal, 200, "The zone is empty");
		return because(PERMFAIL, &refusal->details,
			       "rawsave came without a body; the zone was left as it is");
	}
	command->now = is_yes(now);
	command->text = request->body;
	return OK;
}

/* "select17" -> 17; false: no such parameter, or a number beyond the ceiling. */
static bool select_number(struct span name, size_t *out)
{
	size_t number = 0;

	if (name.len < 7 || name.len > 10 || memcmp(name.data, "select", 6) != 0) {
		return false;
	}
	for (size_t i = 6; i < name.len; i++) {
		if (!isdigit((unsigned char)name.data[i])) {
			return false;
		}
		number = number * 10 + (size_t)(name.data[i] - '0');
	}
	*out = number;
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* `domain` and every selectN, in one list without repetitions. */
static enum outcome collect_zones(const struct parameters *all, struct da_command *command,
				  struct da_refusal *refusal)
{
	enum outcome outcome = OK;
	bool seen[10000] = {false}; /* numbers have up to four digits */
	size_t unique = 0;

	command->zones = xcalloc(DA_ZONES_MAX + 1, sizeof(command->zones[0]));
	for (size_t i = 0; i < parameter_count(all); i++) {
		const struct form_field *field = parameter_at(all, i);
		size_t number;

		if (select_number(field->name, &number)) {
			if (seen[number]) {
				outcome = refuse(refusal, 400, "Repeated parameter selectN");
				goto out;
			}
			seen[number] = true;
		} else if (!span_is(field->name, "domain")) {
			continue;
		}
		if (command->zone_count == DA_ZONES_MAX) {
			outcome = refuse(refusal, 200, "Too many zones in one delete");
			goto out;
		}
		outcome = parse_zone(field->value, &command->zones[command->zone_count], refusal);
		if (outcome != OK) {
			goto out;
		}
		command->zone_count++;
	}
	if (command->zone_count == 0) { /* I5: an empty list deletes nothing */
		outcome = refuse(refusal, 200, "No zone was named: select0 and domain are missing");
		goto out;
	}
	qsort(command->zones, command->zone_count, sizeof(command->zones[0]), compare_names);
	for (size_t i = 0; i < command->zone_count; i++) {
		if (unique == 0 || !name_equal(&command->zones[unique - 1], &command->zones[i])) {
			command->zones[unique++] = command->zones[i];
		}
	}
	command->zone_count = unique;
out:
	return outcome;
}

static enum outcome parse_delete(const struct parameters *all, struct da_command *command,
				 struct da_refusal *refusal)
{
	struct span domain;
	enum outcome outcome = parameter(all, "domain", &domain, refusal);

	if (outcome == OK) {
		outcome = parse_owner(all, &command->owner, refusal);
	}
	if (outcome == OK) {
		outcome = parse_username(all, command->username, refusal);
	}
	if (outcome == OK) {
		outcome = collect_zones(all, command, refusal);
	}
	return outcome;
}

static enum outcome parse_action(const struct da_request *request, const struct parameters *all,
				 bool in_query, struct span action, struct da_command *command,
				 struct da_refusal *refusal)
{
	if (span_is(action, "exists")) {
		command->verb = DA_EXISTS;
		return parse_exists(all, command, refusal);
	}
	if (span_is(action, "delete")) {
		command->verb = DA_DELETE;
		return parse_delete(all, command, refusal);
	}
	if (span_is(action, "rawsave")) {
		command->verb = DA_RAWSAVE;
		if (!in_query) {
			(void)refuse(refusal, 200, "rawsave must stand in the query");
			return because(PERMFAIL, &refusal->details,
				       "the body of a rawsave is the zone itself, not a form");
		}
		return parse_rawsave(request, all, command, refusal);
	}
	if (action.data == NULL) {
		return refuse(refusal, 200, "The parameter action is missing");
	}
	return refuse(refusal, 200, "This action is not supported here");
}

/* Only a body that is a form is read as one: not a rawsave's, and not that of a request whose
 * action is complete without it. */
static bool body_is_form(const struct da_request *request, struct span action)
{
	return span_is(request->method, "POST") && request->body.len > 0 &&
	       (action.data == NULL || span_is(action, "delete") || span_is(action, "exists"));
}

enum outcome da_parse(const struct da_request *request, struct da_command *out,
		      struct da_refusal *refusal)
{
	struct parameters all = {.query = request->query, .query_count = request->query_count};
	struct da_command command = {.verb = DA_HELLO};
	struct form form = {0};
	struct span action = SPAN_EMPTY;
	bool in_query;
	enum outcome outcome;

	*refusal = (struct da_refusal){.http_status = 200};
	if (!span_is(request->method, "GET") && !span_is(request->method, "POST")) {
		return refuse(refusal, 405, "Only GET and POST are understood here");
	}
	if (!request->query_valid) {
		return refuse(refusal, 400, "The query is malformed");
	}
	outcome = parameter(&all, "action", &action, refusal);
	if (outcome != OK) {
		return outcome;
	}
	in_query = action.data != NULL;
	if (span_is(request->method, "POST") && request->body.len == 0 && !in_query) {
		*out = command; /* a connectivity check */
		return OK;
	}
	if (body_is_form(request, action)) {
		outcome = form_parse(request->body, DA_FIELDS_MAX, &form, &refusal->details);
		if (outcome != OK) {
			refusal->http_status = 400;
			(void)because(PERMFAIL, &refusal->text, "The form is malformed");
			goto out;
		}
		all.form = form.fields;
		all.form_count = form.count;
	}
	outcome = check_bytes(&all, refusal);
	if (outcome != OK) {
		goto out;
	}
	outcome = parameter(&all, "action", &action, refusal);
	if (outcome != OK) {
		goto out;
	}
	outcome = parse_action(request, &all, in_query, action, &command, refusal);
	if (outcome != OK) {
		goto out;
	}
	*out = command;
	command.zones = NULL; /* handed over */
out:
	da_command_finish(&command);
	form_finish(&form);
	return outcome;
}

void da_command_finish(struct da_command *command)
{
	free(command->zones);
	command->zones = NULL;
	command->zone_count = 0;
}

bool da_wants_json(const struct da_request *request)
{
	for (size_t i = 0; i < request->query_count; i++) {
		if (span_is(request->query[i].name, "json")) {
			return is_yes(request->query[i].value);
		}
	}
	return false;
}

/* --- answers --------------------------------------------------------------------------------- */

static void print_urlencoded(const char *text, struct buf *out)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-._~", c) != NULL) {
			buf_add_byte(out, (char)c);
		} else if (c == ' ') {
			buf_add_byte(out, '+');
		} else {
			buf_addf(out, "%%%02X", c);
		}
	}
}

static void print_json(const char *text, struct buf *out)
{
	buf_add_byte(out, '"');
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\' || c < 0x20 || c > 0x7e) {
			buf_addf(out, "\\u%04x", c);
		} else {
			buf_add_byte(out, (char)c);
		}
	}
	buf_add_byte(out, '"');
}

void da_print(const struct da_pair *pairs, size_t count, bool json, struct buf *out)
{
	bool first = true;

	if (json) {
		buf_add_byte(out, '{');
	}
	for (size_t i = 0; i < count; i++) {
		if (pairs[i].value == NULL) {
			continue;
		}
		if (!first) {
			buf_add_byte(out, json ? ',' : '&');
		}
		first = false;
		if (json) {
			print_json(pairs[i].name, out);
			buf_add_byte(out, ':');
			print_json(pairs[i].value, out);
		} else {
			print_urlencoded(pairs[i].name, out);
			buf_add_byte(out, '=');
			print_urlencoded(pairs[i].value, out);
		}
	}
	if (json) {
		buf_add_byte(out, '}');
	}
}

void da_print_ok(const char *text, bool json, struct buf *out)
{
	const struct da_pair pairs[] = {{"error", "0"}, {"text", text}};

	da_print(pairs, 2, json, out);
}

void da_print_error(const char *text, const char *details, bool json, struct buf *out)
{
	const struct da_pair pairs[] = {{"error", "1"}, {"text", text}, {"details", details}};

	da_print(pairs, 3, json, out);
}

void da_print_exists(enum da_exists exists, const char *hostname, bool json, struct buf *out)
{
	static const char *const numbers[] = {"0", "1", "2"};
	struct buf details = BUF_INIT(DA_ANSWER_MAX);
	struct da_pair pairs[] = {{"error", "0"}, {"exists", numbers[exists]}, {"details", NULL}};

	if (exists != DA_EXISTS_NO) {
		buf_addf(&details, "%s exists on %s",
			 exists == DA_EXISTS_ZONE ? "Domain" : "Parent Domain", hostname);
		pairs[2].value = buf_text(&details);
	}
	da_print(pairs, 3, json, out);
	buf_finish(&details);
}
