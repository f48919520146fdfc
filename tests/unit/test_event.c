/* SPDX-License-Identifier: Apache-2.0 */
/* The codec against the contract: every example in proto/examples/ is decoded, encoded and must
 * come back byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/event.h"

#define EXAMPLES "proto/examples"
#define BYTES_MAX ((size_t)1 << 20)

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

static enum outcome again_push(struct span bytes, struct buf *out, struct reason *why)
{
	struct push_event event;
	enum outcome outcome = push_event_decode(bytes, &event, why);

	if (outcome == OK) {
		push_event_encode(&event, out);
		push_event_finish(&event);
	}
	return outcome;
}

static enum outcome again_zone(struct span bytes, struct buf *out, struct reason *why)
{
	struct zone_event event;
	enum outcome outcome = zone_event_decode(bytes, &event, why);

	if (outcome == OK) {
		zone_event_encode(&event, out);
		zone_event_finish(&event);
	}
	return outcome;
}

static enum outcome again_epoch(struct span bytes, struct buf *out, struct reason *why)
{
	struct epoch_event event;
	enum outcome outcome = epoch_event_decode(bytes, &event, why);

	if (outcome == OK) {
		epoch_event_encode(&event, out);
	}
	return outcome;
}

static enum outcome again_barrier(struct span bytes, struct buf *out, struct reason *why)
{
	struct barrier_event event;
	enum outcome outcome = barrier_event_decode(bytes, &event, why);

	if (outcome == OK) {
		barrier_event_encode(&event, out);
	}
	return outcome;
}

static enum outcome again_heal(struct span bytes, struct buf *out, struct reason *why)
{
	struct heal_event event;
	enum outcome outcome = heal_event_decode(bytes, &event, why);

	if (outcome == OK) {
		heal_event_encode(&event, out);
		heal_event_finish(&event);
	}
	return outcome;
}

static enum outcome again_status(struct span bytes, struct buf *out, struct reason *why)
{
	struct status_event event;
	enum outcome outcome = status_event_decode(bytes, &event, why);

	if (outcome == OK) {
		status_event_encode(&event, out);
		status_event_finish(&event);
	}
	return outcome;
}

static enum outcome again_backend(struct span bytes, struct buf *out, struct reason *why)
{
	struct backend_event event;
	enum outcome outcome = backend_event_decode(bytes, &event, why);

	if (outcome == OK) {
		backend_event_encode(&event, out);
		backend_event_finish(&event);
	}
	return outcome;
}

static enum outcome again_audit(struct span bytes, struct buf *out, struct reason *why)
{
	struct audit_event event;
	enum outcome outcome = audit_event_decode(bytes, &event, why);

	if (outcome == OK) {
		audit_event_encode(&event, out);
		audit_event_finish(&event);
	}
	return outcome;
}

/* Decodes and encodes again. */
typedef enum outcome (*again_fn)(struct span bytes, struct buf *out, struct reason *why);

static const struct kind {
	const char *name;
	again_fn again;
	bool keeps_unknown;
} kinds[] = {
	{"push", again_push, true},       {"zone", again_zone, true},
	{"epoch", again_epoch, false},    {"barrier", again_barrier, false},
	{"heal", again_heal, true},       {"status", again_status, true},
	{"backend", again_backend, true}, {"audit", again_audit, true},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct kind *kind_of(const char *file)
{
	size_t i;

	for (i = 0; i < KINDS; i++) {
		if (strncmp(file, kinds[i].name, strlen(kinds[i].name)) == 0) {
			return &kinds[i];
		}
	}
	return NULL; /* headers */
}

/* Calls `check` for every example; says how many there were. */
static size_t each_example(void (*check)(const char *file, const struct kind *kind,
					 struct span bytes))
{
	DIR *dir = opendir(EXAMPLES);
	struct dirent *entry;
	size_t count = 0;

	if (dir == NULL) {
		fail_msg("%s: run me from the root of the project", EXAMPLES);
	}
	while ((entry = readdir(dir)) != NULL) {
		const struct kind *kind = kind_of(entry->d_name);
		struct buf bytes = BUF_INIT(BYTES_MAX);

		if (kind != NULL && strstr(entry->d_name, ".json") != NULL) {
			read_example(entry->d_name, &bytes);
			check(entry->d_name, kind, buf_span(&bytes));
			count++;
		}
		buf_finish(&bytes);
	}
	(void)closedir(dir); /* only read */
	return count;
}

/* The example with `from` replaced by `to` (NULL: as it is); what comes back is the outcome. */
static enum outcome decode_changed(const char *file, const char *from, const char *to,
				   struct reason *why)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct buf changed = BUF_INIT(BYTES_MAX);
	struct buf again = BUF_INIT(BYTES_MAX);
	enum outcome outcome;
	const struct kind *kind;
	const char *at;

	read_example(file, &bytes);
	at = strstr(buf_text(&bytes), from);
	if (at == NULL) {
		fail_msg("%s has no %s", file, from);
	}
	buf_add(&changed, (struct span){bytes.data, (size_t)(at - bytes.data)});
	buf_add_text(&changed, to);
	buf_add_text(&changed, at + strlen(from));
	kind = kind_of(file);
	assert_non_null(kind);
	outcome = kind == NULL ? PERMFAIL : kind->again(buf_span(&changed), &again, why);
	buf_finish(&again);
	buf_finish(&changed);
	buf_finish(&bytes);
	return outcome;
}

static void assert_refused(const char *file, const char *from, const char *to, const char *because)
{
	struct reason why = {{0}};

	if (decode_changed(file, from, to, &why) != PERMFAIL) {
		fail_msg("%s with %s was not refused", file, to);
	}
	if (strstr(why.text, because) == NULL) {
		fail_msg("%s with %s: \"%s\" does not say \"%s\"", file, to, why.text, because);
	}
}

static void assert_taken(const char *file, const char *from, const char *to)
{
	struct reason why = {{0}};

	if (decode_changed(file, from, to, &why) != OK) {
		fail_msg("%s with %s: %s", file, to, why.text);
	}
}

/* --- the contract ----------------------------------------------------------------------------- */

/* What stands behind the schema: an example of an earlier minor version is written as one of ours.
 */
static const char *behind_schema(const char *text)
{
	const char *comma = strchr(text, ',');

	return comma == NULL ? "" : comma;
}

static void check_golden(const char *file, const struct kind *kind, struct span bytes)
{
	struct buf again = BUF_INIT(BYTES_MAX);
	struct reason why = {{0}};

	if (kind->again(bytes, &again, &why) != OK) {
		fail_msg("%s: %s", file, why.text);
	}
	if (strstr(file, "-unknown") == NULL || kind->keeps_unknown) {
		assert_string_equal(behind_schema(buf_text(&again)), behind_schema(bytes.data));
	}
	buf_finish(&again);
}

static void examples_come_back_byte_for_byte(void **state)
{
	(void)state;
	assert_true(each_example(check_golden) >= 30);
}

static void check_prefixes(const char *file, const struct kind *kind, struct span bytes)
{
	size_t len;

	for (len = 0; len < bytes.len; len++) {
		/* given: a copy of its own, so that reading behind it is seen */
		char *copy = xmalloc(len);
		struct buf again = BUF_INIT(BYTES_MAX);
		struct reason why = {{0}};

		memcpy(copy, bytes.data, len);
		if (kind->again((struct span){copy, len}, &again, &why) != PERMFAIL) {
			fail_msg("%s: the first %zu bytes were not refused", file, len);
		}
		free(copy);
		buf_finish(&again);
	}
}

static void every_truncated_event_is_refused(void **state)
{
	(void)state;
	(void)each_example(check_prefixes); /* counted above */
}

static void check_other_kinds(const char *file, const struct kind *kind, struct span bytes)
{
	size_t i;

	for (i = 0; i < KINDS; i++) {
		struct buf again = BUF_INIT(BYTES_MAX);
		struct reason why = {{0}};

		if (&kinds[i] != kind && kinds[i].again(bytes, &again, &why) != PERMFAIL) {
			fail_msg("%s was taken for a %s", file, kinds[i].name);
		}
		buf_finish(&again);
	}
}

static void another_kind_is_refused(void **state)
{
	(void)state;
	(void)each_example(check_other_kinds); /* counted above */
}

static void check_newer(const char *file, const struct kind *kind, struct span bytes)
{
	struct reason why = {{0}};
	char from[48];
	char to[64];

	assert_int_equal(sscanf(bytes.data, "{\"schema\":\"%47[^\"]", from), 1);
	(void)snprintf(to, sizeof(to), "%s/2.0", kind->name);
	assert_int_equal(decode_changed(file, from, to, &why), TEMPFAIL);
	assert_non_null(strstr(why.text, "/2.0 is newer than this program understands (1.x); "
					 "upgrade it"));
	(void)snprintf(to, sizeof(to), "%s/1.17", kind->name);
	assert_taken(file, from, to);
	(void)snprintf(to, sizeof(to), "%s/01.0", kind->name);
	assert_refused(file, from, to, "schema");
	(void)snprintf(to, sizeof(to), "%s/1", kind->name);
	assert_refused(file, from, to, "schema");
	(void)snprintf(to, sizeof(to), "%s ", from);
	assert_refused(file, from, to, "schema");
}

static void newer_major_stops_the_reader_and_newer_minor_does_not(void **state)
{
	(void)state;
	(void)each_example(check_newer); /* counted above */
}

static void newer_major_inside_a_heal_stops_the_reader(void **state)
{
	struct reason why = {{0}};

	(void)state;
	assert_int_equal(decode_changed("heal.json", "zone/1.0", "zone/2.0", &why), TEMPFAIL);
}

static void same_field_twice_is_refused(void **state)
{
	(void)state;
	assert_refused("zone.json", "\"sender\":", "\"owner\":\"x\",\"sender\":", "twice");
	assert_refused("push-save.json", "\"ttl\":14400", "\"ttl\":14400,\"ttl\":1", "twice");
}

static void unknown_fields_are_kept_in_order(void **state)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct zone_event event;

	(void)state;
	read_example("zone-unknown.json", &bytes);
	assert_int_equal(zone_event_decode(buf_span(&bytes), &event, NULL), OK);
	assert_string_equal(event.extra, "{\"colour\":\"green\",\"weight\":7,"
					 "\"tags\":[\"a\",{\"b\":null}]}");
	zone_event_finish(&event);
	buf_finish(&bytes);
}

static void unknown_text_beyond_ascii_becomes_escapes(void **state)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct status_event event;

	(void)state;
	buf_add_text(&bytes, "{\"schema\":\"status/1.1\",\"backend\":\"b\",\"zone\":\"-\","
			     "\"state\":\"back\",\"at\":\"2026-11-21T14:30:57.123Z\","
			     "\"by\":\"x\",\"mood\":\"\xc3\xbc\\u0007\"}");
	assert_int_equal(status_event_decode(buf_span(&bytes), &event, NULL), OK);
	assert_string_equal(event.extra, "{\"mood\":\"\\u00FC\\u0007\"}");
	status_event_finish(&event);
	buf_finish(&bytes);
}

/* --- strictness ------------------------------------------------------------------------------- */

static void missing_fields_are_named(void **state)
{
	(void)state;
	assert_refused("push-save.json", "\"owner\":", "\"owners\":", "field owner is missing");
	assert_refused("push-save.json", "\"id\":", "\"ids\":", "field id is missing");
	assert_refused("push-save.json", "\"received_at\":", "\"x\":", "field received_at");
	assert_refused("push-save.json", "\"digest\":", "\"x\":", "field digest is missing");
	assert_refused("push-save.json", "\"rrsets\":", "\"x\":", "field rrsets is missing");
	assert_refused("push-save.json", "\"schema\":", "\"x\":", "field schema is missing");
	assert_refused("zone.json", "\"version\":", "\"x\":", "field version is missing");
	assert_refused("zone.json", "\"pushed_at\":", "\"x\":", "field pushed_at is missing");
	assert_refused("heal.json", "\"value\":", "\"x\":", "field value is missing");
	assert_refused("heal.json", "\"pushed_at\":", "\"x\":", "field value.pushed_at");
	assert_refused("status-away.json", "\"state\":", "\"x\":", "field state is missing");
	assert_refused("backend.json", "\"type\":", "\"x\":", "field type is missing");
	assert_refused("backend.json", "\"joined_at\":", "\"x\":", "field joined_at is missing");
	assert_refused("audit.json", "\"started_at\":", "\"x\":", "field started_at is missing");
	assert_refused("audit.json", "\"healed\":", "\"x\":", "field healed is missing");
	assert_refused("epoch.json", "\"partitions\":", "\"x\":", "field partitions is missing");
	assert_refused("barrier.json", "\"judge\":", "\"x\":", "field judge is missing");
}

static void wrong_types_are_refused(void **state)
{
	(void)state;
	assert_refused("push-save.json", "2026112100,", "\"2026112100\",", "serial");
	assert_refused("push-save.json", "\"now\":true", "\"now\":1", "now");
	assert_refused("push-save.json", "\"alice\"", "null", "username");
	assert_refused("push-save.json", "\"alice\"", "\"\"", "username");
	assert_refused("push-save.json", "\"alice\"", "\"al\\u0000ice\"", "broken JSON");
	assert_refused("push-save.json", "\"alice\"", "\"al\\nice\"", "printable");
	assert_refused("push-save.json", "\"alice\"", "\"al\xc3\xbc\"", "printable");
	assert_refused("push-save.json", "\"alice\"", "\"al\xff\"", "broken JSON");
	assert_refused("push-save.json", "\"save\"", "\"undo\"", "op");
	assert_refused("push-save.json", "\"warnings\":[", "\"warnings\":[3,", "warnings");
	assert_refused("zone.json", "\"offset\":1042", "\"offset\":1042.5", "version");
	assert_refused("zone.json", "\"offset\":1042", "\"offset\":1042,\"x\":1", "version");
	assert_refused("zone.json", "\"earlier\":[", "\"earlier\":[{},", "earlier");
	assert_refused("zone.json", "\"at\":1795185000123", "\"at\":\"x\"", "earlier");
	assert_refused("status-applied.json", "4.218", "\"4.218\"", "took_ms");
	assert_refused("status-applied.json", "4.218", "-1", "took_ms");
	assert_refused("status-applied.json", "\"applied\"", "\"glad\"", "state");
	assert_refused("heal.json", "\"value\":{", "\"value\":[],\"x\":{", "value");
}

static void numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_refused("push-save.json", "2026112100,", "4294967296,", "serial");
	assert_refused("push-save.json", "2026112100,", "-1,", "serial");
	assert_refused("push-save.json", "2026112100,", "99999999999999999999,", "broken JSON");
	assert_refused("push-save.json", "\"ttl\":14400", "\"ttl\":2147483648", "rrsets[0].ttl");
	assert_refused("push-save.json", "\"ttl\":14400", "\"ttl\":-1", "rrsets[0].ttl");
	assert_refused("zone.json", "\"epoch\":1795271400000", "\"epoch\":0", "version");
	assert_refused("zone.json", "\"offset\":1042", "\"offset\":-1", "version");
	assert_refused("zone.json", "\"offset\":1042", "\"offset\":9007199254740992", "version");
	assert_refused("epoch.json", "\"partition\":7", "\"partition\":24", "partition");
	assert_taken("push-save.json", "2026112100,", "4294967295,");
	assert_taken("push-save.json", "\"ttl\":14400", "\"ttl\":0");
}

static void only_our_own_form_of_time_is_taken(void **state)
{
	static const char *const bad[] = {
		"2026-11-21T14:30:57Z",      "2026-11-21T14:30:57.123+00:00",
		"2026-02-31T14:30:57.123Z",  "2026-11-21 14:30:57.123Z",
		"2026-11-21T24:00:00.000Z",  "1969-12-31T23:59:59.999Z",
		"2026-11-21T14:30:57.12Z",   "2026-11-21t14:30:57.123z",
		"2026-11-21T14:30:57.1234Z",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_refused("push-save.json", "2026-11-21T14:30:57.123Z", bad[i], "received_at");
	}
	assert_taken("push-save.json", "2026-11-21T14:30:57.123Z", "2028-02-29T00:00:00.000Z");
}

static void names_that_are_no_checked_zone_names_are_refused(void **state)
{
	(void)state;
	assert_refused("push-delete.json", "\"example.com\"", "\"../etc/passwd\"", "zone");
	assert_refused("push-delete.json", "\"example.com\"", "\"Example.com\"", "zone");
	assert_refused("push-delete.json", "\"example.com\"", "\"example.com.\"", "zone");
	assert_refused("push-delete.json", "\"example.com\"", "\"@epoch\"", "zone");
	assert_refused("status-applied.json", "\"bind_ns1\"", "\"bind/ns1\"", "backend");
	assert_refused("status-applied.json", "\"bind_ns1\"", "\"\"", "backend");
	assert_refused("backend.json", "\"coredns_dc1\"", "\"coredns_dc1/audit\"", "backend");
	assert_refused("audit.json", "\"bind_ns1\"",
		       "\"a2345678901234567890123456789012345678901234567890123456789012345\"",
		       "backend");
	assert_refused("push-save.json", "\"digest\":\"", "\"digest\":\"A", "digest");
}

static void hostile_record_names_are_refused(void **state)
{
	static const char *const bad[] = {
		"www.example.com",    /* relative */
		"www.example.org.",   /* elsewhere */
		"badexample.com.",    /* no border */
		"a\\\\.example.com.", /* an escaped dot is no border */
		"a\\\\\\\\\\\\.example.com.",
		"com.",
		".",
		"",
		".example.com.",
		"a..example.com.",
		"www.example.com.\\n",
		"ww w.example.com.",
		"ww\\tw.example.com.",
		"$INCLUDE.example.com.",
		"@.example.com.",
		";a.example.com.",
		"a;.example.com.",
		"(a.example.com.",
		"a).example.com.",
		"\\\"a.example.com.",
		"a\\\\ .example.com.",
		"a\\\\25.example.com.",
		"a\\\\256.example.com.",
		"a.example.com.\\\\",
		"example\\\\.com.",
		"a234567890123456789012345678901234567890123456789012345678901234.example.com.",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char to[256];

		(void)snprintf(to, sizeof(to), "\"name\":\"%s\"", bad[i]);
		assert_refused("zone.json", "\"name\":\"www.example.com.\"", to, "rrsets[12].name");
	}
}

static void odd_but_honest_record_names_are_taken(void **state)
{
	static const char *const good[] = {
		"example.com.",           "*.example.com.",         "_sip._tcp.example.com.",
		"a\\\\.b.example.com.",   "a\\\\;b.example.com.",   "\\\\$a.example.com.",
		"a$.example.com.",        "a\\\\032b.example.com.", "WWW.Example.COM.",
		"a\\\\\\\\.example.com.",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char to[256];

		(void)snprintf(to, sizeof(to), "\"name\":\"%s\"", good[i]);
		assert_taken("zone.json", "\"name\":\"www.example.com.\"", to);
	}
}

static void hostile_rdata_is_refused(void **state)
{
	static const char *const bad[] = {
		"192.0.2.1\\nevil A 192.0.2.2",
		"192.0.2.1 ; comment",
		"( 192.0.2.1",
		"192.0.2.1 )",
		"\\\"open",
		"\\\"a\\\\\\\"",
		"192.0.2.1\\\\",
		"\\\\25",
		"\\\\256",
		"a\\u0080",
		"\\\"a\\\" \\\"",
		"a\\u007f",
		"a\\tb",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char to[256];

		(void)snprintf(to, sizeof(to), "\"rdata\":[\"10 mail.example.com.\",\"%s\"]",
			       bad[i]);
		assert_refused("zone.json", "\"rdata\":[\"10 mail.example.com.\"]", to,
			       "rrsets[3].rdata");
	}
	assert_refused("zone.json", "\"rdata\":[\"10 mail.example.com.\"]", "\"rdata\":[]",
		       "rrsets[3].rdata");
	assert_refused("zone.json", "\"rdata\":[\"10 mail.example.com.\"]", "\"rdata\":[10]",
		       "rrsets[3].rdata");
	assert_refused("zone.json", "\"type\":\"MX\"", "\"type\":\"mx\"", "rrsets[3].type");
	assert_refused("zone.json", "\"type\":\"MX\"", "\"type\":\"A B\"", "rrsets[3].type");
	assert_refused("zone.json", "\"type\":\"MX\"", "\"type\":\"MX\",\"x\":1", "rrsets[3]");
	assert_refused("zone.json", "\"type\":\"MX\"", "\"kind\":\"MX\"", "rrsets[3]");
}

static void odd_but_honest_rdata_is_taken(void **state)
{
	static const char *const good[] = {
		"\\\"a;b(c)\\\"",   "a\\\\;b",         "\\\"\\\\\\\"\\\"",
		"\\\\# 4 c0000201", "\\\"\\\\255\\\"", "~ !#$%&'*+,-./:<=>?@[]^_`{|}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char to[256];

		(void)snprintf(to, sizeof(to), "\"rdata\":[\"%s\"]", good[i]);
		assert_taken("zone.json", "\"rdata\":[\"10 mail.example.com.\"]", to);
	}
}

/* I5 */
static void nothing_empty_or_half_deleted_passes_for_a_zone(void **state)
{
	(void)state;
	assert_refused("push-delete.json", "\"sender\":", "\"rrsets\":[],\"sender\":", "rrsets");
	assert_refused("push-delete.json", "\"sender\":", "\"serial\":1,\"sender\":", "serial");
	assert_refused("zone-deleted.json", "\"sender\":", "\"rrsets\":[],\"sender\":", "rrsets");
	assert_refused("zone-deleted.json", "\"deleted\":true,", "", "serial is missing");
	assert_refused("zone.json", "\"rrsets\":[", "\"rrsets\":[],\"x\":[", "rrsets");
	assert_refused("push-save.json", "\"rrsets\":[", "\"rrsets\":[],\"x\":[", "rrsets");
}

/* I6 */
static void heal_must_say_what_the_audit_saw(void **state)
{
	(void)state;
	assert_refused("heal-absent.json", "\"saw_absent\":true,", "", "saw_digest");
	assert_refused("heal-unseen.json", "\"unseen\":true,", "", "saw_digest");
	assert_refused("heal.json",
		       "\"saw_digest\":", "\"unseen\":true,\"saw_digest\":", "saw_digest");
	assert_refused("heal-absent.json",
		       "\"saw_absent\":", "\"unseen\":true,\"saw_absent\":", "saw_digest");
	assert_refused("heal-unseen.json", "\"unseen\":",
		       "\"saw_version\":{\"epoch\":1,\"offset\":1},\"unseen\":", "saw_version");
	assert_refused("heal.json",
		       "\"saw_digest\":", "\"saw_absent\":true,\"saw_digest\":", "saw_digest");
	assert_refused("heal-stuck-ahead.json", "\"saw_version\":", "\"x\":", "stuck_ahead");
	assert_refused("heal.json", "\"zone\":\"example.com\"", "\"zone\":\"example.org\"",
		       "value.zone");
}

static void broken_json_is_refused_without_quoting_it(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"[]",
		"null",
		"\"zone/1.0\"",
		"{}",
		"{\"schema\":1}",
		"{\"schema\":\"\"}",
		"{\"schema\":\"zone/1.0\"} ",
		"{\"schema\":\"zone/1.0\"}{}",
		"evil\x1b[31m",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct zone_event event = {.serial = 42};
		struct reason why = {{0}};

		assert_int_equal(zone_event_decode(span_of(bad[i]), &event, &why), PERMFAIL);
		assert_true(why.text[0] != '\0');
		assert_null(strstr(why.text, "evil"));
		assert_int_equal(event.serial, 42); /* out-parameters change only on OK */
	}
}

static void deep_nesting_is_refused(void **state)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	size_t i;

	(void)state;
	buf_add_text(&bytes, "{\"schema\":\"zone/1.0\",\"x\":");
	for (i = 0; i < 100000; i++) {
		buf_add_byte(&bytes, '[');
	}
	assert_int_equal(again_zone(buf_span(&bytes), NULL, NULL), PERMFAIL);
	buf_finish(&bytes);
}

/* --- what is decoded
 * ------------------------------------------------------------------------------ */

static void push_has_all_its_fields(void **state)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct push_event event;

	(void)state;
	read_example("push-save.json", &bytes);
	assert_int_equal(push_event_decode(buf_span(&bytes), &event, NULL), OK);
	buf_finish(&bytes); /* the event owns its texts */
	assert_int_equal(event.op, PUSH_SAVE);
	assert_string_equal(event.zone.text, "example.com");
	assert_string_equal(event.owner, "da1.example.net");
	assert_string_equal(event.username, "alice");
	assert_string_equal(event.sender, "da1");
	assert_string_equal(event.source, "198.51.100.10");
	assert_int_equal(event.received_at_ms, 1795271457123);
	assert_true(event.now);
	assert_false(event.mass);
	assert_false(event.unchecked);
	assert_false(event.has_seen);
	assert_int_equal(event.only_if, ONLY_IF_UNSET);
	assert_int_equal(event.serial, 2026112100);
	assert_int_equal(event.rrset_count, 13);
	assert_string_equal(event.rrsets[2].rdata[1], "ns2.example.net.");
	assert_int_equal(event.rrsets[2].count, 2);
	assert_string_equal(event.rrsets[7].rdata[0],
			    "\"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC7\" "
			    "\"quote \\\" and \\\\ backslash\"");
	assert_int_equal(event.rrsets[6].ttl, 3600);
	assert_int_equal(event.warning_count, 1);
	assert_null(event.extra);
	push_event_finish(&event);
}

static void conditions_of_a_push_are_read_in_all_forms(void **state)
{
	static const struct {
		const char *file;
		bool has_seen;
		int64_t seen;
		enum only_if only_if;
		int64_t offset;
	} rows[] = {
		{"push-held.json", true, 1041, ONLY_IF_UNSET, 0},
		{"push-held-absent.json", true, 0, ONLY_IF_UNSET, 0},
		{"push-restored.json", false, 0, ONLY_IF_VERSION, 1042},
		{"push-restored-absent.json", false, 0, ONLY_IF_ABSENT, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf bytes = BUF_INIT(BYTES_MAX);
		struct push_event event;

		read_example(rows[i].file, &bytes);
		assert_int_equal(push_event_decode(buf_span(&bytes), &event, NULL), OK);
		assert_int_equal(event.has_seen, rows[i].has_seen);
		assert_int_equal(event.seen.offset, rows[i].seen);
		assert_int_equal(event.only_if, rows[i].only_if);
		assert_int_equal(event.only_if_version.offset, rows[i].offset);
		push_event_finish(&event);
		buf_finish(&bytes);
	}
}

static void summary_is_the_zone_without_its_content(void **state)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct zone_event event;

	(void)state;
	read_example("zone.json", &bytes);
	assert_int_equal(zone_event_decode_summary(buf_span(&bytes), &event, NULL), OK);
	buf_finish(&bytes);
	assert_int_equal(event.rrset_count, 0);
	assert_null(event.rrsets);
	assert_null(event.extra);
	assert_int_equal(event.version.offset, 1042);
	assert_int_equal(event.serial, 2026112100);
	assert_int_equal(strlen(event.digest), 96);
	assert_int_equal(event.earlier_count, 2);
	assert_int_equal(event.earlier[1].at_ms, 1795199400456);
	zone_event_finish(&event);
}

static void status_of_the_whole_backend_has_no_zone(void **state)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct buf key = BUF_INIT(512);
	struct status_event event;

	(void)state;
	read_example("status-away.json", &bytes);
	assert_int_equal(status_event_decode(buf_span(&bytes), &event, NULL), OK);
	status_event_key(&event, &key);
	assert_int_equal(event.zone.len, 0);
	assert_int_equal(event.took_us, -1);
	assert_true(version_is_none(event.version));
	assert_string_equal(buf_text(&key), "bind_ns1/-");
	status_event_finish(&event);
	buf_finish(&key);
	buf_finish(&bytes);
}

static void registry_and_audit_of_a_backend_have_two_keys(void **state)
{
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct buf key = BUF_INIT(512);
	struct backend_event backend;
	struct audit_event audit;

	(void)state;
	read_example("backend-retired.json", &bytes);
	assert_int_equal(backend_event_decode(buf_span(&bytes), &backend, NULL), OK);
	buf_clear(&bytes);
	read_example("audit-under-way.json", &bytes);
	assert_int_equal(audit_event_decode(buf_span(&bytes), &audit, NULL), OK);
	buf_finish(&bytes); /* the events own their texts */
	backend_event_key(&backend, &key);
	assert_string_equal(buf_text(&key), "bind_ns0");
	assert_string_equal(backend.type, "bind");
	assert_true(backend.retired);
	assert_int_equal(backend.retired_at_ms - backend.joined_at_ms, 3 * 3600 * 1000);
	buf_clear(&key);
	audit_event_key(&audit, &key);
	assert_string_equal(buf_text(&key), "bind_ns1/audit");
	assert_int_equal(audit.started_at_ms, 1795276800000);
	assert_int_equal(audit.finished_at_ms, 0);
	assert_int_equal(audit.zones_checked, 2500);
	assert_int_equal(audit.sample_count, 0);
	audit_event_finish(&audit);
	backend_event_finish(&backend);
	buf_finish(&key);
}

static void times_taken_keep_their_microseconds(void **state)
{
	int64_t us;

	(void)state;
	for (us = 0; us < 3000000; us += 997) {
		struct status_event event = {.backend = "b", .state = STATUS_BACK, .by = "x"};
		struct buf bytes = BUF_INIT(BYTES_MAX);
		struct status_event again;

		event.took_us = us;
		event.lag_us = -1;
		status_event_encode(&event, &bytes);
		assert_int_equal(status_event_decode(buf_span(&bytes), &again, NULL), OK);
		assert_int_equal(again.took_us, us);
		assert_int_equal(again.lag_us, -1);
		status_event_finish(&again);
		buf_finish(&bytes);
	}
}

static void every_state_comes_back(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < STATUS_STATES; i++) {
		struct status_event event = {.backend = "b", .by = "x"};
		struct buf bytes = BUF_INIT(BYTES_MAX);
		struct status_event again;

		event.state = (enum status_state)i;
		status_event_encode(&event, &bytes);
		assert_int_equal(status_event_decode(buf_span(&bytes), &again, NULL), OK);
		assert_int_equal(again.state, event.state);
		status_event_finish(&again);
		buf_finish(&bytes);
	}
	assert_string_equal(status_state_text(STATUS_STATES), "unknown");
}

static void wild_text_for_people_is_cleaned_and_cut(void **state)
{
	struct status_event event = {.backend = "b", .state = STATUS_AWAY, .by = "x"};
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct status_event again;
	char wild[3000];

	(void)state;
	memset(wild, '\n', sizeof(wild));
	memcpy(wild, "\"\\\x80", 3);
	wild[sizeof(wild) - 1] = '\0';
	event.reason = wild;
	status_event_encode(&event, &bytes);
	assert_int_equal(status_event_decode(buf_span(&bytes), &again, NULL), OK);
	assert_int_equal(strlen(again.reason), EVENT_NOTE_MAX);
	assert_memory_equal(again.reason, "\"\\??", 4);
	status_event_finish(&again);
	buf_finish(&bytes);
}

static void text_that_should_have_been_parsed_is_refused_and_not_changed(void **state)
{
	struct push_event event = {.op = PUSH_DELETE, .owner = "da\n1", .sender = "s"};
	struct buf bytes = BUF_INIT(BYTES_MAX);
	struct reason why = {{0}};

	(void)state;
	assert_int_equal(name_parse(span_of("example.com"), &event.zone, NULL), OK);
	push_event_encode(&event, &bytes);
	assert_non_null(strstr(buf_text(&bytes), "da\\u000a1"));
	assert_int_equal(again_push(buf_span(&bytes), NULL, &why), PERMFAIL);
	assert_non_null(strstr(why.text, "owner"));
	buf_finish(&bytes);
}

/* Its own answer to no memory is that the JSON is broken: a push would be buried for it (I1). */
static void no_memory_is_not_taken_for_a_broken_event(void **state)
{
	json_malloc_t allocate;
	json_free_t release;

	(void)state;
	json_get_alloc_funcs(&allocate, &release);
	assert_true(allocate == xmalloc);
	assert_true(release == free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_come_back_byte_for_byte),
		cmocka_unit_test(every_truncated_event_is_refused),
		cmocka_unit_test(another_kind_is_refused),
		cmocka_unit_test(newer_major_stops_the_reader_and_newer_minor_does_not),
		cmocka_unit_test(newer_major_inside_a_heal_stops_the_reader),
		cmocka_unit_test(same_field_twice_is_refused),
		cmocka_unit_test(unknown_fields_are_kept_in_order),
		cmocka_unit_test(unknown_text_beyond_ascii_becomes_escapes),
		cmocka_unit_test(missing_fields_are_named),
		cmocka_unit_test(wrong_types_are_refused),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(only_our_own_form_of_time_is_taken),
		cmocka_unit_test(names_that_are_no_checked_zone_names_are_refused),
		cmocka_unit_test(hostile_record_names_are_refused),
		cmocka_unit_test(odd_but_honest_record_names_are_taken),
		cmocka_unit_test(hostile_rdata_is_refused),
		cmocka_unit_test(odd_but_honest_rdata_is_taken),
		cmocka_unit_test(nothing_empty_or_half_deleted_passes_for_a_zone),
		cmocka_unit_test(heal_must_say_what_the_audit_saw),
		cmocka_unit_test(broken_json_is_refused_without_quoting_it),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(push_has_all_its_fields),
		cmocka_unit_test(conditions_of_a_push_are_read_in_all_forms),
		cmocka_unit_test(summary_is_the_zone_without_its_content),
		cmocka_unit_test(status_of_the_whole_backend_has_no_zone),
		cmocka_unit_test(registry_and_audit_of_a_backend_have_two_keys),
		cmocka_unit_test(times_taken_keep_their_microseconds),
		cmocka_unit_test(every_state_comes_back),
		cmocka_unit_test(wild_text_for_people_is_cleaned_and_cut),
		cmocka_unit_test(text_that_should_have_been_parsed_is_refused_and_not_changed),
		cmocka_unit_test(no_memory_is_not_taken_for_a_broken_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
