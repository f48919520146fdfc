/* SPDX-License-Identifier: Apache-2.0 */
/* Taking fields out of JSON, one function per sort of value. RRsets: event_rrset.c. */
#include <string.h>

#include <jansson.h>

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

	return out;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar: eras of 400 years that begin in
 * March, so that a leap day is the last of its year. */
static int64_t days_since_1970(int year, int month, int day)
{
	int64_t shifted = month <= 2 ? year - 1 : year;
	int64_t era = shifted / 400;
	int64_t year_of_era = shifted - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static int days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

/* Only the form that clock_text prints: what we take, we print again byte for byte. */
static bool time_parse(const char *text, int64_t *out)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	int year;
	int month;
	int day;
	int64_t seconds;
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
	year = PAIR(0) * 100 + PAIR(2);
	month = PAIR(5);
	day = PAIR(8);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) ||
	    PAIR(11) > 23 || PAIR(14) > 59 || PAIR(17) > 59) {
		return false;
	}
	seconds = days_since_1970(year, month, day) * 86400 + PAIR(11) * 3600 + PAIR(14) * 60 +
		  PAIR(17);
	*out = seconds * 1000 + PAIR(20) * 10 + (text[22] - '0');
#undef PAIR
	return true;
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

static bool earlier_id_parse(struct span string, struct event_id *out)
{
	char text[EVENT_ID_TEXT_SIZE * sizeof("\\u0000")];

	if (string.len > sizeof(text)) {
		return false;
	}
	return event_id_parse((struct span){text, scan_unescape(string, text)}, out);
}

const struct earlier_push *fields_earlier(struct fields *fields, const char *name, size_t *count)
{
	json_t *list = fields_take(fields, name, OPTIONAL);
	struct cursor cursor = fields->lists.earlier;
	size_t size = cursor.at == NULL ? 0 : fields->lists.earlier_count;
	struct earlier_push *out = NULL;
	struct earlier_text push;
	size_t i;

	if (list != NULL && (size == 0 || size > ZONE_EARLIER_MAX)) {
		fields_refuse(fields, name, "is not a list of 1 to 256 objects of id and at");
	} else if (list != NULL) {
		out = event_memory_get(fields, size * sizeof(*out));
	}
	for (i = 0; out != NULL && i < size && fields->outcome == OK; i++) {
		if ((i != 0 && !scan_byte(&cursor, ',')) || !scan_earlier(&cursor, &push) ||
		    !earlier_id_parse(push.id, &out[i].id)) {
			fields_refuse(fields, name, "has an id that is not a UUID in lower case");
		} else if (push.at_ms < 0 || push.at_ms > INTEGER_MAX) {
			fields_refuse(fields, name, "has a time that is out of range");
		} else {
			out[i].at_ms = push.at_ms;
		}
	}
	*count = out != NULL && fields->outcome == OK ? size : 0;
	return *count == 0 ? NULL : out;
}
