/* SPDX-License-Identifier: Apache-2.0 */
/* The scanner of the long lists against jansson: whatever is done to an example, the codec takes
 * and refuses the same, with the same content, as a reader that lets jansson parse all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/event_json.h"

#define EXAMPLES "proto/examples"
#define BYTES_MAX ((size_t)1 << 20)
#define ROUNDS 6000

static uint64_t dice = 88172645463325252U;

/* 0 to below - 1; the same numbers in every run. */
static size_t roll(size_t below)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (size_t)(dice % below);
}

static void read_example(const char *name, struct buf *out)
{
	char path[512];
	char chunk[4096];
	FILE *file;
	size_t got;

	(void)snprintf(path, sizeof(path), "%s/%s", EXAMPLES, name);
	file = fopen(path, "rb");
	if (file == NULL) {
		fail_msg("%s: run me from the root of the project", path);
	}
	while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0) {
		buf_add(out, (struct span){chunk, got});
	}
	(void)fclose(file); /* only read */
}

/* --- the codec under test --------------------------------------------------------------------- */

enum kind { PUSH, ZONE, SUMMARY, HEAL, KINDS };

/* Decodes; on OK prints it again (a summary's own fields only). */
static enum outcome decode(enum kind kind, struct span bytes, struct buf *out)
{
	struct reason why = {{0}};
	struct push_event push;
	struct zone_event zone;
	struct heal_event heal;
	enum outcome outcome;

	if (kind == PUSH) {
		outcome = push_event_decode(bytes, &push, &why);
		if (outcome == OK) {
			push_event_encode(&push, out);
			push_event_finish(&push);
		}
	} else if (kind == ZONE) {
		outcome = zone_event_decode(bytes, &zone, &why);
		if (outcome == OK) {
			zone_event_encode(&zone, out);
			zone_event_finish(&zone);
		}
	} else if (kind == SUMMARY) {
		outcome = zone_event_decode_summary(bytes, &zone, &why);
		if (outcome == OK) {
			assert_null(zone.rrsets);
			zone.deleted = true; /* prints no content */
			zone_event_encode(&zone, out);
			zone_event_finish(&zone);
		}
	} else {
		outcome = heal_event_decode(bytes, &heal, &why);
		if (outcome == OK) {
			heal_event_encode(&heal, out);
			heal_event_finish(&heal);
		}
	}
	assert_true(outcome == OK || why.text[0] != '\0');
	return outcome;
}

/* --- the reference ---------------------------------------------------------------------------- */

static struct span string_span(const json_t *string)
{
	return (struct span){json_string_value(string), json_string_length(string)};
}

static bool rrset_is_fine(const json_t *rrset, const struct name *zone)
{
	struct span name = string_span(json_object_get(rrset, "name"));
	struct span type = string_span(json_object_get(rrset, "type"));
	const json_t *ttl = json_object_get(rrset, "ttl");
	const json_t *rdata = json_object_get(rrset, "rdata");
	size_t i;

	if (json_object_size(rrset) != 4 || name.data == NULL || type.data == NULL ||
	    rrset_name_problem(name, zone) != NULL || rrset_type_problem(type) != NULL ||
	    !json_is_integer(ttl) || json_integer_value(ttl) < 0 ||
	    json_integer_value(ttl) > 2147483647 || json_array_size(rdata) == 0) {
		return false;
	}
	for (i = 0; i < json_array_size(rdata); i++) {
		struct span text = string_span(json_array_get(rdata, i));

		if (text.data == NULL || rdata_problem(text) != NULL) {
			return false;
		}
	}
	return true;
}

static bool earlier_is_fine(const json_t *list)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *push = json_array_get(list, i);
		struct span id = string_span(json_object_get(push, "id"));
		const json_t *at = json_object_get(push, "at");
		struct event_id parsed;

		if (json_object_size(push) != 2 || id.data == NULL ||
		    !event_id_parse(id, &parsed) || !json_is_integer(at) ||
		    json_integer_value(at) < 0 || json_integer_value(at) > INTEGER_MAX) {
			return false;
		}
	}
	return json_array_size(list) > 0 && json_array_size(list) <= ZONE_EARLIER_MAX;
}

/* Judges the lists that jansson read and leaves [] for those that are fine and are there. */
static bool lists_are_fine(json_t *object, const struct name *zone, enum kind kind)
{
	json_t *rrsets = json_object_get(object, "rrsets");
	json_t *earlier = kind == PUSH ? NULL : json_object_get(object, "earlier");
	size_t i;

	for (i = 0; i < json_array_size(rrsets) && kind != SUMMARY; i++) {
		if (!rrset_is_fine(json_array_get(rrsets, i), zone)) {
			return false;
		}
	}
	return (rrsets == NULL || json_array_size(rrsets) > 0) &&
	       (earlier == NULL || earlier_is_fine(earlier));
}

/* What jansson prints has one form of everything: keys as they were, no white space, no escape
 * that is not needed. The codec reads that; the lists have been judged by the reference. */
static enum outcome decode_slowly(enum kind kind, struct span bytes, struct buf *out)
{
	json_t *object = json_loadb(bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
	json_t *value = kind == HEAL ? json_object_get(object, "value") : object;
	struct name zone = {0};
	enum outcome outcome;
	char *text;

	if (!json_is_object(object)) {
		json_decref(object);
		return PERMFAIL;
	}
	if (name_parse(string_span(json_object_get(value, "zone")), &zone, NULL) != OK) {
		zone = (struct name){0}; /* refused in the end: no name is in there */
	}
	text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	outcome = decode(kind, span_of(text), out);
	if (outcome != TEMPFAIL && !lists_are_fine(value, &zone, kind)) {
		assert_int_equal(outcome, PERMFAIL);
	} else if (outcome == PERMFAIL && lists_are_fine(value, &zone, kind)) {
		/* Not because of the lists: so with lists that are surely fine, too. */
		struct buf none = BUF_INIT(BYTES_MAX);
		char rrsets[512];
		char *plain;

		(void)snprintf(
			rrsets, sizeof(rrsets),
			"[{\"name\":\"%s.\",\"type\":\"A\",\"ttl\":1,\"rdata\":[\"192.0.2.1\"]}]",
			zone.text);
		if (json_object_get(value, "rrsets") != NULL) {
			(void)json_object_set_new(value, "rrsets", json_loads(rrsets, 0, NULL));
		}
		if (kind != PUSH) {
			(void)json_object_del(value, "earlier"); /* or there is none */
		}
		plain = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
		assert_int_equal(decode(kind, span_of(plain), &none), PERMFAIL);
		buf_finish(&none);
		free(plain);
	}
	free(text);
	json_decref(object);
	return outcome;
}

/* The RRsets that the codec gives are those that jansson finds in the text. */
static void assert_same_content(struct span bytes, struct span printed, const char *inside)
{
	json_t *from = json_loadb(bytes.data, bytes.len, 0, NULL);
	json_t *to = json_loadb(printed.data, printed.len, 0, NULL);
	const json_t *a = inside == NULL ? from : json_object_get(from, inside);
	const json_t *b = inside == NULL ? to : json_object_get(to, inside);

	if (json_object_get(a, "rrsets") != NULL) {
		assert_true(json_equal(json_object_get(a, "rrsets"), json_object_get(b, "rrsets")));
	}
	if (json_object_get(a, "earlier") != NULL) {
		assert_true(
			json_equal(json_object_get(a, "earlier"), json_object_get(b, "earlier")));
	}
	json_decref(from);
	json_decref(to);
}

/* Says whether anybody took it. */
static bool assert_same(struct span bytes)
{
	/* A copy of its own, so that reading behind it is seen. */
	char *copy = xmalloc(bytes.len);
	struct span text = {copy, bytes.len};
	bool taken = false;
	int kind;

	memcpy(copy, bytes.data, bytes.len);
	for (kind = PUSH; kind < KINDS; kind++) {
		struct buf fast = BUF_INIT(BYTES_MAX);
		struct buf slow = BUF_INIT(BYTES_MAX);
		enum outcome outcome = decode((enum kind)kind, text, &fast);

		if (outcome != decode_slowly((enum kind)kind, text, &slow) ||
		    !span_equal(buf_span(&fast), buf_span(&slow))) {
			fail_msg("kind %d: %s (%.*s) is not %s", kind, buf_text(&fast),
				 (int)text.len, text.data, buf_text(&slow));
		}
		if (outcome == OK && kind != SUMMARY) {
			assert_same_content(text, buf_span(&fast), kind == HEAL ? "value" : NULL);
		}
		taken = taken || outcome == OK;
		buf_finish(&slow);
		buf_finish(&fast);
	}
	free(copy);
	return taken;
}

/* --- what is done to the examples ------------------------------------------------------------- */

static const char *const examples[] = {
	"push-save.json",    "push-save-unknown.json", "zone.json",
	"zone-unknown.json", "zone-deleted.json",      "heal.json",
	"heal-absent.json",  "push-delete.json",
};
#define EXAMPLE_COUNT (sizeof(examples) / sizeof(examples[0]))

/* Pieces that lead a scanner astray when they appear where they are not expected. */
static const char *const pieces[] = {
	"\"rrsets\":[],",
	"\"rrsets\":1,",
	"\"rrs\\u0065ts\":[],",
	"\"x\":\"\\\"rrsets\\\":[\",",
	"\"x\":\"rrsets\",",
	"\"x\":{\"rrsets\":[{\"name\":1}]},",
	"\"x\":[\"}\",\"]\",\"\\\\\"],",
	"\"x\\\"\":1,",
	"\"earlier\":[],",
	"\"earlier\":[{\"id\":\"x\",\"at\":1}],",
	"\"value\":{},",
	"\"\\n\xc3\xbc\":\"\\u00fc\\ud83d\\ude00\",",
	"\"ttl\":1,",
	"\"ttl\":-0,",
	"\"name\":\"example.com.\",",
	"\\u0041",
	"\\u005C",
	"\\u0022",
	"\\u0000",
	"\\u00e9",
	"\\/",
	"\\n",
	"\\",
	"\"",
	"\xff",
	"\xc3\xbc",
	" ",
	"\t\r\n",
	",",
	":",
	"[",
	"]",
	"{",
	"}",
	"0",
	"-",
	".5",
	"e2",
	"99999999999999999999",
	"null",
	"{},",
	"[],",
};
#define PIECE_COUNT (sizeof(pieces) / sizeof(pieces[0]))

/* A place behind a byte of JSON's own, where most is decided, or anywhere. */
static size_t some_place(struct span bytes)
{
	size_t at = roll(bytes.len + 1);

	if (roll(3) == 0) {
		return at;
	}
	while (at < bytes.len && (at == 0 || strchr("{[,:\"", bytes.data[at - 1]) == NULL)) {
		at++;
	}
	return at;
}

static void change(struct span bytes, struct buf *out)
{
	size_t at = some_place(bytes);
	size_t len = roll(40);
	size_t other = some_place(bytes);

	len = len > bytes.len - at ? bytes.len - at : len;
	buf_add(out, (struct span){bytes.data, at});
	switch (roll(7)) {
	case 0: /* a digit: often still fine */
		if (at < bytes.len) {
			buf_add_byte(out, (char)('0' + roll(10)));
			at++;
		}
		break;
	case 1: /* a flipped bit */
		if (at < bytes.len) {
			buf_add_byte(out, (char)(bytes.data[at] ^ (char)(1 << roll(8))));
			at++;
		}
		break;
	case 2: /* something left out */
		at += len;
		break;
	case 3: /* something twice */
		buf_add(out, (struct span){bytes.data + at, len});
		break;
	case 4: /* something from elsewhere */
		len = len > bytes.len - other ? bytes.len - other : len;
		buf_add(out, (struct span){bytes.data + other, len});
		break;
	case 5: /* white space: fine outside of numbers and words */
		buf_add_byte(out, " \t\r\n"[roll(4)]);
		break;
	default:
		buf_add_text(out, pieces[roll(PIECE_COUNT)]);
		break;
	}
	buf_add(out, (struct span){bytes.data + at, bytes.len - at});
}

static void changed_examples_are_read_as_jansson_reads_them(void **state)
{
	size_t taken = 0;
	size_t round;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		struct buf bytes = BUF_INIT(BYTES_MAX);
		struct buf changed = BUF_INIT(BYTES_MAX);
		size_t changes = 1 + roll(2);

		read_example(examples[round % EXAMPLE_COUNT], &bytes);
		while (changes-- > 0) {
			buf_clear(&changed);
			change(buf_span(&bytes), &changed);
			buf_clear(&bytes);
			buf_add(&bytes, buf_span(&changed));
		}
		taken += assert_same(buf_span(&bytes)) ? 1 : 0;
		buf_finish(&changed);
		buf_finish(&bytes);
	}
	/* Else the changes are too wild, or too tame, to show anything. */
	assert_in_range(taken, ROUNDS / 20, ROUNDS / 2);
}

static void every_piece_at_every_place_is_read_as_jansson_reads_it(void **state)
{
	static const char text[] =
		"{\"schema\":\"push/1.0\",\"id\":\"01a1fe84-7d34-7a1c-9f3e-5b2d1c0a4401\","
		"\"op\":\"save\",\"zone\":\"a.b\",\"owner\":\"o\",\"sender\":\"s\","
		"\"received_at\":\"2026-11-21T14:30:57.123Z\",\"serial\":1,\"digest\":"
		"\"023028b09a976691571cda37440cee6472d7c05ae925b768352ce46e9f3abf2c59ffedcf512d04c"
		"2833065a6762a176a\",\"rrsets\":[{\"name\":\"a.b.\",\"type\":\"A\",\"ttl\":1,"
		"\"rdata\":[\"x\",\"\\\"y\\\"\"]}],\"extra\":{\"rrsets\":[1]}}";
	size_t start = (size_t)(strstr(text, "\"digest\"") - text);
	size_t piece;
	size_t at;

	(void)state;
	for (piece = 0; piece < PIECE_COUNT; piece++) {
		for (at = start; at < sizeof(text); at += at < start + 90 ? 31 : 1) {
			struct buf bytes = BUF_INIT(BYTES_MAX);

			buf_add(&bytes, (struct span){text, at < sizeof(text) ? at : 0});
			buf_add_text(&bytes, pieces[piece]);
			buf_add_text(&bytes, text + at);
			(void)assert_same(buf_span(&bytes)); /* both ways are fine */
			buf_finish(&bytes);
		}
	}
}

/* --- by hand ---------------------------------------------------------------------------------- */

#define HEAD                                                                                       \
	"{\"schema\":\"zone/1.0\",\"zone\":\"a.b\",\"version\":{\"epoch\":1,\"offset\":2},\"id\":" \
	"\"01a1fe84-7d34-7a1c-9f3e-5b2d1c0a4401\",\"owner\":\"o\",\"sender\":\"s\","               \
	"\"received_at\":\"2026-11-21T14:30:57.123Z\",\"pushed_at\":\"2026-11-21T14:30:57.123Z\"," \
	"\"serial\":1,\"digest\":\"023028b09a976691571cda37440cee6472d7c05ae925b768352ce46e9f3ab"  \
	"f2c59ffedcf512d04c2833065a6762a176a\","

static enum outcome decode_zone(const char *rest, struct zone_event *out, struct reason *why)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	enum outcome outcome;

	buf_add_text(&bytes, HEAD);
	buf_add_text(&bytes, rest);
	(void)assert_same(buf_span(&bytes)); /* both ways are fine */
	outcome = zone_event_decode(buf_span(&bytes), out, why);
	buf_finish(&bytes); /* the event owns its texts */
	return outcome;
}

static void any_order_white_space_and_escapes_are_read(void **state)
{
	struct zone_event event;

	(void)state;
	assert_int_equal(
		decode_zone(" \"rrs\\u0065ts\" :\n[ { \"rdata\" : [ \"\\\"\\u0041\\\\\\\\\\/"
			    "\\u007e\\\"\" , \"\" ] ,\t\"\\u0074tl\":2147483647 , "
			    "\"type\":\"\\u0054XT\",\"name\":\"\\u0041.b.\" }\r\n]\n,"
			    "\"earlier\":[{\"at\":7,\"id\":\"\\u003031fe84-7d34-7a1c-9f3e-"
			    "5b2d1c0a4401\"}]}",
			    &event, NULL),
		PERMFAIL); /* 37 bytes are no id */
	assert_int_equal(
		decode_zone(" \"rrs\\u0065ts\" :\n[ { \"rdata\" : [ \"\\\"\\u0041\\\\\\\\\\/"
			    "\\u007e\\\"\" , \"\" ] ,\t\"\\u0074tl\":2147483647 , "
			    "\"type\":\"\\u0054XT\",\"name\":\"\\u0041.b.\" }\r\n]\n,"
			    "\"earlier\":[{\"at\":7,\"id\":\"\\u00301a1fe84-7d34-7a1c-9f3e-"
			    "5b2d1c0a4401\"}]}",
			    &event, NULL),
		OK);
	assert_int_equal(event.rrset_count, 1);
	assert_string_equal(event.rrsets[0].name, "A.b.");
	assert_string_equal(event.rrsets[0].type, "TXT");
	assert_int_equal(event.rrsets[0].ttl, 2147483647);
	assert_int_equal(event.rrsets[0].count, 2);
	assert_string_equal(event.rrsets[0].rdata[0], "\"A\\\\/~\"");
	assert_string_equal(event.rrsets[0].rdata[1], "");
	assert_int_equal(event.earlier_count, 1);
	assert_int_equal(event.earlier[0].at_ms, 7);
	assert_int_equal(event.earlier[0].id.bytes[0], 1);
	zone_event_finish(&event);
}

static void what_is_odd_is_named(void **state)
{
	static const struct {
		const char *rest;
		const char *because;
	} rows[] = {
		{"\"rrsets\":{}}", "field rrsets is not a filled list"},
		{"\"rrsets\":[ ]}", "field rrsets is not a filled list"},
		{"\"rrsets\":[1]}", "field rrsets[0] is not an object"},
		{"\"rrsets\":[{\"name\":\"a.b.\",\"type\":\"A\",\"ttl\":1}]}",
		 "field rrsets[0] is not an object of name, type, ttl, rdata"},
		{"\"rrsets\":[{\"name\":\"a.b.\",\"type\":\"\\n\",\"ttl\":1,\"rdata\":[\"\"]}]}",
		 "field rrsets[0].type is not a text of printable"},
		{"\"rrsets\":[{\"name\":\"a.b.\",\"type\":\"A\",\"ttl\":1.0,\"rdata\":[\"\"]}]}",
		 "field rrsets[0]"},
		{"\"rrsets\":[{\"name\":\"a.b.\",\"type\":\"A\",\"ttl\":1,\"rdata\":[\"\"],"
		 "\"ttl\":1}]}",
		 "the same field twice"},
		{"\"rrsets\":[{\"name\":\"a.b.\",\"type\":\"A\",\"ttl\":1,\"rdata\":[\"\"]}],"
		 "\"rrsets\":[]}",
		 "the same field twice"},
		{"\"rrsets\":[{\"name\":\"a.b.\",\"type\":\"A\",\"ttl\":1,\"rdata\":[\"\"]},]}",
		 "broken JSON"},
		{"\"rrsets\":[{\"name\":\"a.b.\",\"type\":\"A\",\"ttl\":1,\"rdata\":[\"\"]}],!}",
		 "broken JSON at byte 395"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone_event event;
		struct reason why = {{0}};

		assert_int_equal(decode_zone(rows[i].rest, &event, &why), PERMFAIL);
		if (strstr(why.text, rows[i].because) == NULL) {
			fail_msg("\"%s\" does not say \"%s\"", why.text, rows[i].because);
		}
	}
}

static void newer_major_with_another_form_of_rrsets_stops_the_reader(void **state)
{
	static const char text[] = "{\"schema\":\"zone/2.0\",\"rrsets\":[{\"flags\":1}]}";
	struct zone_event event;

	(void)state;
	assert_int_equal(zone_event_decode(span_of(text), &event, NULL), TEMPFAIL);
	assert_int_equal(zone_event_decode_summary(span_of(text), &event, NULL), TEMPFAIL);
}

static void long_lists_have_their_ceiling(void **state)
{
	size_t count;

	(void)state;
	for (count = ZONE_EARLIER_MAX; count <= ZONE_EARLIER_MAX + 1; count++) {
		struct buf bytes = BUF_INIT(BYTES_MAX);
		struct zone_event event;
		struct zone_event again;
		struct earlier_push *earlier;
		struct buf text = BUF_INIT(BYTES_MAX);

		read_example("zone.json", &bytes);
		assert_int_equal(zone_event_decode(buf_span(&bytes), &event, NULL), OK);
		earlier = xcalloc(count, sizeof(*earlier));
		earlier[count - 1].at_ms = INTEGER_MAX;
		event.earlier = earlier;
		event.earlier_count = count;
		zone_event_encode(&event, &text);
		if (count <= ZONE_EARLIER_MAX) {
			assert_int_equal(zone_event_decode(buf_span(&text), &again, NULL), OK);
			assert_memory_equal(again.earlier, earlier, count * sizeof(*earlier));
			zone_event_finish(&again);
		} else {
			assert_int_equal(zone_event_decode(buf_span(&text), &again, NULL),
					 PERMFAIL);
		}
		free(earlier);
		zone_event_finish(&event);
		buf_finish(&text);
		buf_finish(&bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_examples_are_read_as_jansson_reads_them),
		cmocka_unit_test(every_piece_at_every_place_is_read_as_jansson_reads_it),
		cmocka_unit_test(any_order_white_space_and_escapes_are_read),
		cmocka_unit_test(what_is_odd_is_named),
		cmocka_unit_test(newer_major_with_another_form_of_rrsets_stops_the_reader),
		cmocka_unit_test(long_lists_have_their_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
