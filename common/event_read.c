/* SPDX-License-Identifier: Apache-2.0 */
/* Taking fields out of JSON, one function per sort of value. RRsets: event_rrset.c. */
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "common/clock.h"
#include "common/event_json.h"

static bool is_printable(struct span text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (text.data[i] < 0x20 || text.data[i] > 0x7e) {
			return false;
		}
	}
	return true;
}

/* A copy of a JSON text, or NULL after refusing it. */
static const char *checked_text(struct fields *fields, const char *name, const json_t *value,
				size_t min, size_t max)
{
	struct span text = {json_string_value(value), json_string_length(value)};

	if (text.data == NULL) {
		fields_refuse(fields, name, "is not a text");
	} else if (text.len < min || text.len > max) {
		fields_refuse(fields, name, "is empty or too long");
	} else if (!is_printable(text)) {
		fields_refuse(fields, name, "is not printable ASCII");
	} else {
		return event_memory_text(fields, text);
	}
	return NULL;
}

const char *fields_text(struct fields *fields, const char *name, enum need need, size_t max)
{
	json_t *value = fields_take(fields, name, need);
	const char *out = value == NULL ? NULL : checked_text(fields, name, value, 1, max);

	json_decref(value);
	return out;
}

const char *fields_backend(struct fields *fields, const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *out = fields_text(fields, name, REQUIRED, EVENT_BACKEND_MAX);

	if (out != NULL && strspn(out, allowed) != strlen(out)) {
		fields_refuse(fields, name, "has a byte other than A-Z a-z 0-9 . _ -");
	}
	return out;
}

const char *fields_digest(struct fields *fields, const char *name, enum need need)
{
	const char *out = fields_text(fields, name, need, EVENT_TEXT_MAX);

	if (out != NULL && (strlen(out) != DIGEST_HEX_SIZE - 1 ||
			    strspn(out, "0123456789abcdef") != DIGEST_HEX_SIZE - 1)) {
		fields_refuse(fields, name, "is not 96 lower case hex digits");
	}
	return out;
}

const char *const *fields_texts(struct fields *fields, const char *name, size_t *count)
{
	json_t *list = fields_take(fields, name, OPTIONAL);
	size_t size = json_array_size(list);
	const char **out = NULL;
	size_t i;

	if (list != NULL && size == 0) {
		fields_refuse(fields, name, "is not a filled list");
	}
	if (size != 0) {
		out = event_memory_get(fields, size * sizeof(*out));
	}
	for (i = 0; i < size && fields->outcome == OK; i++) {
		out[i] = checked_text(fields, name, json_array_get(list, i), 0, EVENT_NOTE_MAX);
	}
	json_decref(list);
	*count = fields->outcome == OK ? size : 0;
	return *count == 0 ? NULL : out;
}

bool fields_flag(struct fields *fields, const char *name)
{
	json_t *value = fields_take(fields, name, OPTIONAL);
	bool out = json_is_true(value);

	if (value != NULL && !json_is_boolean(value)) {
		fields_refuse(fields, name, "is not true or false");
	}
	json_decref(value);
	return out;
}

static int64_t checked_number(struct fields *fields, const char *name, const json_t *value,
			      int64_t min, int64_t max)
{
	int64_t number = json_integer_value(value);

	if (!json_is_integer(value)) {
		fields_refuse(fields, name, "is not an integer");
		return 0;
	}
	if (number < min || number > max) {
		fields_refuse(fields, name, "is out of range");
		return 0;
	}
	return number;
}

int64_t fields_number(struct fields *fields, const char *name, enum need need, int64_t min,
		      int64_t max)
{
	json_t *value = fields_take(fields, name, need);
	int64_t out = value == NULL ? 0 : checked_number(fields, name, value, min, max);

	json_decref(value);
	return out;
}

/* Only the form that clock_text prints: what we take, we print again byte for byte. */
static bool time_parse(const char *text, int64_t *out)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	char again[CLOCK_TEXT_SIZE];
	struct tm parts = {0};
	int ms = 0;
	size_t i;

	if (strlen(text) != sizeof(form) - 1) {
		return false;
	}
	for (i = 0; i < sizeof(form) - 1; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';

		if (form[i] == 'd' ? !digit : text[i] != form[i]) {
			return false;
		}
	}
#define PAIR(at) ((text[at] - '0') * 10 + (text[(at) + 1] - '0'))
	parts.tm_year = PAIR(0) * 100 + PAIR(2) - 1900;
	parts.tm_mon = PAIR(5) - 1;
	parts.tm_mday = PAIR(8);
	parts.tm_hour = PAIR(11);
	parts.tm_min = PAIR(14);
	parts.tm_sec = PAIR(17);
	ms = PAIR(20) * 10 + (text[22] - '0');
#undef PAIR
	*out = (int64_t)timegm(&parts) * 1000 + ms;
	if (*out < 0) {
		return false;
	}
	clock_text(*out, again);
	return strcmp(again, text) == 0; /* no 31 February */
}

int64_t fields_time(struct fields *fields, const char *name, enum need need)
{
	const char *text = fields_text(fields, name, need, EVENT_TEXT_MAX);
	int64_t out = 0;

	if (text != NULL && !time_parse(text, &out)) {
		fields_refuse(fields, name, "is not a time like 2026-11-21T14:30:57.123Z");
		return 0;
	}
	return out;
}

int64_t fields_took(struct fields *fields, const char *name)
{
	json_t *value = fields_take(fields, name, OPTIONAL);
	double ms = json_number_value(value);
	int64_t out = -1;

	if (value == NULL) {
		return -1;
	}
	if (!json_is_number(value) || !(ms >= 0 && ms <= 1e12)) {
		fields_refuse(fields, name, "is not a number of milliseconds");
	} else {
		out = (int64_t)(ms * 1000 + 0.5);
	}
	json_decref(value);
	return out;
}

bool fields_id(struct fields *fields, const char *name, enum need need, struct event_id *out)
{
	const char *text = fields_text(fields, name, need, EVENT_TEXT_MAX);

	if (text == NULL) {
		return false;
	}
	if (!event_id_parse(span_of(text), out)) {
		fields_refuse(fields, name, "is not a UUID in lower case");
		return false;
	}
	return true;
}

static void checked_version(struct fields *fields, const char *name, const json_t *value,
			    struct version *out)
{
	if (json_object_size(value) != 2) {
		fields_refuse(fields, name, "is not an object of epoch and offset");
		return;
	}
	out->epoch = checked_number(fields, name, json_object_get(value, "epoch"), 1, INTEGER_MAX);
	out->offset =
		checked_number(fields, name, json_object_get(value, "offset"), 0, INTEGER_MAX);
}

bool fields_version(struct fields *fields, const char *name, enum need need, struct version *out)
{
	json_t *value = fields_take(fields, name, need);

	if (value == NULL) {
		return false;
	}
	checked_version(fields, name, value, out);
	json_decref(value);
	return true;
}

bool fields_version_or_absent(struct fields *fields, const char *name, struct version *out)
{
	json_t *value = fields_take(fields, name, OPTIONAL);
	const char *text = json_string_value(value);

	if (value == NULL) {
		return false;
	}
	if (text == NULL || strcmp(text, "absent") != 0) {
		checked_version(fields, name, value, out);
	}
	json_decref(value);
	return true;
}

void fields_name(struct fields *fields, const char *name, struct name *out)
{
	const char *text = fields_text(fields, name, REQUIRED, EVENT_TEXT_MAX);
	struct reason why = {{0}};

	if (text == NULL) {
		return;
	}
	if (name_parse(span_of(text), out, &why) != OK) {
		fields_refuse(fields, name, why.text);
	} else if (!span_is(name_span(out), text)) {
		fields_refuse(fields, name, "is not in lower case without final dot"); /* I2 */
	}
}

const struct earlier_push *fields_earlier(struct fields *fields, const char *name, size_t *count)
{
	json_t *list = fields_take(fields, name, OPTIONAL);
	size_t size = json_array_size(list);
	struct earlier_push *out = NULL;
	size_t i;

	if (list != NULL && (size == 0 || size > ZONE_EARLIER_MAX)) {
		fields_refuse(fields, name, "is not a list of 1 to 256");
	} else if (size != 0) {
		out = event_memory_get(fields, size * sizeof(*out));
	}
	for (i = 0; out != NULL && i < size && fields->outcome == OK; i++) {
		const json_t *push = json_array_get(list, i);
		const json_t *id = json_object_get(push, "id");
		struct span text = {json_string_value(id), json_string_length(id)};

		if (json_object_size(push) != 2 || text.data == NULL ||
		    !event_id_parse(text, &out[i].id)) {
			fields_refuse(fields, name, "is not a list of objects of id and at");
			break;
		}
		out[i].at_ms =
			checked_number(fields, name, json_object_get(push, "at"), 0, INTEGER_MAX);
	}
	json_decref(list);
	*count = fields->outcome == OK ? size : 0;
	return *count == 0 ? NULL : out;
}
