/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/zone_check.h"
#include "common/zone_dname.h"
#include "common/zone_memory.h"
#include "common/zone_rdata.h"
#include "common/zone_reader.h"
#include "common/zone_warnings.h"

#define CLASS_IN 1
/* Over malloc's first mmap threshold: giving it back teaches glibc to keep memory, without which
 * every look by ldns (three buffers of 64 KiB) costs three system calls. */
#define WIRE_FIRST (256 << 10)
#define LINE_MAX_BYTES (RDATA_TEXT_MAX + 2048)

struct zone {
	struct name name;
	uint32_t serial;
	char digest[DIGEST_HEX_SIZE];
	struct rrset *rrsets;
	size_t rrset_count;
	size_t record_count;
	struct zone_warnings warnings;
	struct zone_chunk *memory; /* of all texts */
};

/* A zone in the making. */
struct draft {
	struct zone *zone;
	struct dname apex;
	struct zone_record *records;
	size_t count;
	size_t room;
	struct zone_chunk *memory; /* of all wire */
	struct buf wire;
	struct buf text;
	struct buf line;
	struct zone_reader again; /* of the lines that we print */
	struct zone_warnings none;
};

void zone_destroy(struct zone *zone)
{
	if (zone == NULL) {
		return;
	}
	zone_warnings_finish(&zone->warnings);
	zone_memory_release(zone->memory);
	free(zone->rrsets);
	free(zone);
}

/* "line 17: A record of www.example.com: ..." */
static enum outcome refuse(const struct zone_record *record, struct reason *why,
			   const struct reason *detail)
{
	char type[RR_TYPE_TEXT_SIZE];

	rr_type_print(record->type, type);
	return because(PERMFAIL, why, "line %zu: %s record of %s: %s", record->line, type,
		       dname_quote(record->owner).text, detail->text);
}

static void add_record(struct draft *draft, const struct zone_record *record)
{
	if (draft->count == draft->room) {
		draft->room = draft->room == 0 ? 64 : draft->room * 2;
		draft->records = xrealloc(draft->records, draft->room * sizeof(*draft->records));
	}
	draft->records[draft->count++] = *record;
}

static struct span keep(struct draft *draft, struct span bytes)
{
	return (struct span){zone_memory_copy(&draft->memory, bytes), bytes.len};
}

static void take_owner(struct draft *draft, struct span owner, struct zone_record *record)
{
	char order[DNAME_ORDER_MAX];
	size_t len;
	bool has_order = dname_order(owner, order, &len);

	assert(has_order); /* dname_parse lets no control byte into an owner */
	record->owner = keep(draft, owner);
	record->order = keep(draft, (struct span){order, len});
}

static enum outcome read_record(struct draft *draft, const struct zone_reader *reader,
				const struct zone_entry *entry, struct reason *why)
{
	struct zone_record record = {.line = entry->line, .ttl = entry->ttl};
	struct reason detail;

	if (rr_type_parse(entry->type, &record.type, &detail) != OK) {
		return because(PERMFAIL, why, "line %zu: %s", entry->line, detail.text);
	}
	if (reader->owner_is_new || draft->count == 0) {
		take_owner(draft, dname_span(&reader->owner), &record);
	} else {
		record.owner = draft->records[draft->count - 1].owner;
		record.order = draft->records[draft->count - 1].order;
	}
	if (rdata_parse(record.type, entry->words, entry->count, &reader->origin, &draft->wire,
			&detail) != OK) {
		return refuse(&record, why, &detail);
	}
	if (entry->comment_glued && (record.type == TYPE_TXT || record.type == TYPE_SPF)) {
		zone_warn(&draft->zone->warnings, entry->line,
			  "the text behind the `;` is lost; put quotes around it");
	}
	record.rdata = keep(draft, buf_span(&draft->wire));
	add_record(draft, &record);
	return OK;
}

static enum outcome read_records(struct draft *draft, struct span text,
				 const struct zone_limits *limits, struct reason *why)
{
	struct zone_entry entry = {0};
	struct zone_reader reader;
	enum outcome outcome;

	zone_reader_init(&reader, &draft->zone->name, text, limits->ttl_max,
			 &draft->zone->warnings);
	for (;;) {
		outcome = zone_reader_next(&reader, &entry, why);
		if (outcome != OK || entry.type.len == 0) {
			break;
		}
		if (draft->count == limits->records) {
			outcome = because(PERMFAIL, why, "line %zu: the zone has over %zu records",
					  entry.line, limits->records);
			break;
		}
		outcome = read_record(draft, &reader, &entry, why);
		if (outcome != OK) {
			break;
		}
	}
	zone_reader_finish(&reader);
	return outcome;
}

static int compare_records(const void *a_record, const void *b_record)
{
	const struct zone_record *a = a_record;
	const struct zone_record *b = b_record;
	size_t shorter = a->rdata.len < b->rdata.len ? a->rdata.len : b->rdata.len;
	int difference =
		a->order.data == b->order.data ? 0 : dname_order_compare(a->order, b->order);

	if (difference != 0) {
		return difference;
	}
	if (a->type != b->type) {
		return a->type < b->type ? -1 : 1;
	}
	difference = memcmp(a->rdata.data, b->rdata.data, shorter);
	if (difference != 0) {
		return difference;
	}
	return (a->rdata.len > b->rdata.len) - (a->rdata.len < b->rdata.len);
}

/* Signatures form one RRset for each type that they cover: RFC 4034 3 gives each its own TTL. */
static bool same_rrset(const struct zone_record *a, const struct zone_record *b)
{
	return a->type == b->type && span_equal(a->owner, b->owner) &&
	       (a->type != TYPE_RRSIG || memcmp(a->rdata.data, b->rdata.data, 2) == 0);
}

/* Sorted; no duplicates, one TTL for each RRset: the lowest. */
static enum outcome make_canonical(struct draft *draft, struct reason *why)
{
	struct zone_record *records = draft->records;
	size_t kept = 0;
	size_t first = 0; /* of the current RRset */
	bool warned = false;
	size_t i;

	qsort(records, draft->count, sizeof(*records), compare_records);
	for (i = 0; i < draft->count; i++) {
		const struct zone_record record = records[i];
		bool joins = kept > 0 && same_rrset(&records[kept - 1], &record);
		bool twice = joins && span_equal(records[kept - 1].rdata, record.rdata);

		if (!joins) {
			first = kept;
			warned = false;
		}
		if (twice && record.type == TYPE_SOA) {
			return because(PERMFAIL, why, "line %zu: a second SOA record", record.line);
		}
		if (!twice) {
			records[kept++] = record;
		}
		if (record.ttl != records[first].ttl && !warned) {
			zone_warn(&draft->zone->warnings, record.line,
				  "%s: TTLs differ within one RRset; the lowest is served",
				  dname_quote(record.owner).text);
			warned = true;
		}
		if (record.ttl < records[first].ttl) {
			records[first].ttl = record.ttl;
		}
	}
	for (i = 1; i < kept; i++) {
		if (same_rrset(&records[i - 1], &records[i])) {
			records[i].ttl = records[i - 1].ttl;
		}
	}
	draft->count = kept;
	return OK;
}

static void add_line(struct buf *out, const char *name, uint32_t ttl, const char *type,
		     const char *rdata)
{
	buf_add_text(out, name);
	buf_add_byte(out, '\t');
	buf_add_number(out, ttl);
	buf_add_text(out, "\tIN\t");
	buf_add_text(out, type);
	buf_add_byte(out, '\t');
	buf_add_text(out, rdata);
}

void rrsets_print(const struct rrset *rrsets, size_t count, struct buf *out)
{
	size_t i;
	size_t j;

	for (i = 0; i < count; i++) {
		for (j = 0; j < rrsets[i].count; j++) {
			add_line(out, rrsets[i].name, rrsets[i].ttl, rrsets[i].type,
				 rrsets[i].rdata[j]);
			buf_add_byte(out, '\n');
		}
	}
}

/* True: our own reader makes the same record of the line again. */
static bool reads_back(struct draft *draft, const struct zone_record *record)
{
	struct zone_reader *reader = &draft->again;
	struct zone_entry entry = {0};
	uint16_t type = 0;

	zone_reader_again(reader, buf_span(&draft->line));
	return zone_reader_next(reader, &entry, NULL) == OK && entry.type.len != 0 &&
	       entry.ttl == record->ttl && span_equal(dname_span(&reader->owner), record->owner) &&
	       rr_type_parse(entry.type, &type, NULL) == OK && type == record->type &&
	       rdata_parse(type, entry.words, entry.count, &reader->origin, &draft->wire, NULL) ==
		       OK &&
	       span_equal(buf_span(&draft->wire), record->rdata);
}

/* A common type without one escape in its text leaves nothing to read otherwise; that ldns reads
 * it as we do is proved by tests/unit/test_zone.c and tests/fuzz/fuzz_zone.c. */
static bool ldns_agrees(const struct draft *draft, const struct zone_record *record)
{
	const struct digest_rr expected = {record->owner, record->type, CLASS_IN, record->ttl,
					   record->rdata};

	return (rdata_is_common(record->type) && !span_has_byte(buf_span(&draft->line), '\\')) ||
	       rdata_ldns_agrees(buf_text(&draft->line), &expected);
}

/* I10: nobody sees a text that does not parse to the octets it was made from. */
static enum outcome print_checked(struct draft *draft, const struct zone_record *record,
				  const char *name, const char *type, struct reason *why)
{
	struct reason detail;

	if (rdata_print(record->type, record->rdata, &draft->text, &detail) != OK) {
		return refuse(record, why, &detail);
	}
	buf_clear(&draft->line);
	add_line(&draft->line, name, record->ttl, type, buf_text(&draft->text));
	if (draft->text.overflow || draft->line.overflow || !reads_back(draft, record) ||
	    !ldns_agrees(draft, record)) {
		(void)because(PERMFAIL, &detail,
			      "cannot be written so that every server reads the same");
		return refuse(record, why, &detail);
	}
	return OK;
}

static enum outcome print_rrset(struct draft *draft, const struct zone_record *records,
				size_t count, const char *name, struct rrset *out,
				struct reason *why)
{
	struct zone *zone = draft->zone;
	char type[RR_TYPE_TEXT_SIZE];
	const char **rdata;
	size_t i;

	rr_type_print(records[0].type, type);
	rdata = zone_memory_take(&zone->memory, count * sizeof(*rdata));
	for (i = 0; i < count; i++) {
		if (print_checked(draft, &records[i], name, type, why) != OK) {
			return PERMFAIL;
		}
		rdata[i] = zone_memory_copy(&zone->memory, buf_span(&draft->text));
	}
	*out = (struct rrset){
		.name = name,
		.type = zone_memory_copy(&zone->memory, span_of(type)),
		.ttl = records[0].ttl,
		.count = count,
		.rdata = rdata,
	};
	return OK;
}

/* The records as RRsets, the SOA moved to the front. */
static enum outcome print_all(struct draft *draft, struct reason *why)
{
	struct zone *zone = draft->zone;
	const struct zone_record *records = draft->records;
	const char *name = NULL;
	size_t count;
	size_t at;

	zone_reader_init(&draft->again, &zone->name, SPAN_EMPTY, UINT32_MAX, &draft->none);
	zone->rrsets = xcalloc(draft->count, sizeof(*zone->rrsets));
	for (at = 0; at < draft->count; at += count) {
		struct rrset rrset = {0};

		for (count = 1; at + count < draft->count; count++) {
			if (!same_rrset(&records[at], &records[at + count])) {
				break;
			}
		}
		if (at == 0 || !span_equal(records[at - 1].owner, records[at].owner)) {
			buf_clear(&draft->text);
			dname_print(records[at].owner, &draft->text);
			name = zone_memory_copy(&zone->memory, buf_span(&draft->text));
		}
		if (print_rrset(draft, &records[at], count, name, &rrset, why) != OK) {
			return PERMFAIL;
		}
		if (records[at].type == TYPE_SOA) {
			memmove(zone->rrsets + 1, zone->rrsets, zone->rrset_count * sizeof(rrset));
			zone->rrsets[0] = rrset;
		} else {
			zone->rrsets[zone->rrset_count] = rrset;
		}
		zone->rrset_count++;
	}
	zone->record_count = draft->count;
	return OK;
}

static void add_digest(struct draft *draft)
{
	struct digest_rr *rrs = xcalloc(draft->count, sizeof(*rrs));
	size_t i;

	for (i = 0; i < draft->count; i++) {
		const struct zone_record *record = &draft->records[i];

		rrs[i] = (struct digest_rr){record->owner, record->type, CLASS_IN, record->ttl,
					    record->rdata};
		if (record->type == TYPE_SOA) {
			draft->zone->serial = rdata_soa_serial(record->rdata);
		}
	}
	digest_zone(rrs, draft->count, draft->zone->digest);
	free(rrs);
}

static enum outcome fill(struct draft *draft, struct span text, const struct zone_limits *limits,
			 struct reason *why)
{
	struct zone_warnings *warnings = &draft->zone->warnings;

	if (read_records(draft, text, limits, why) != OK) {
		return PERMFAIL;
	}
	if (draft->count == 0) {
		return because(PERMFAIL, why, "the zone has no records");
	}
	if (make_canonical(draft, why) != OK) {
		return PERMFAIL;
	}
	if (zone_check(draft->records, draft->count, dname_span(&draft->apex), warnings, why) !=
	    OK) {
		return PERMFAIL;
	}
	if (print_all(draft, why) != OK) {
		return PERMFAIL;
	}
	add_digest(draft);
	zone_warnings_close(warnings);
	return OK;
}

enum outcome zone_parse(const struct name *origin, struct span text,
			const struct zone_limits *limits, struct zone **out, struct reason *why)
{
	size_t rdata_bytes = limits->rdata_bytes < RDATA_MAX ? limits->rdata_bytes : RDATA_MAX;
	struct draft draft = {
		.wire = BUF_INIT(rdata_bytes),
		.text = BUF_INIT(RDATA_TEXT_MAX),
		.line = BUF_INIT(LINE_MAX_BYTES),
	};
	enum outcome outcome;

	if (text.len > limits->text_bytes) {
		return because(PERMFAIL, why, "the zone text has %zu bytes; %zu are the most",
			       text.len, limits->text_bytes);
	}
	draft.zone = xcalloc(1, sizeof(*draft.zone));
	draft.zone->name = *origin;
	draft.zone->warnings.ceiling = limits->warnings;
	dname_from_name(origin, &draft.apex);
	zone_memory_reserve(&draft.memory, WIRE_FIRST);
	outcome = fill(&draft, text, limits, why);
	if (outcome == OK) {
		*out = draft.zone;
		draft.zone = NULL;
	}
	zone_destroy(draft.zone);
	zone_memory_release(draft.memory);
	zone_reader_finish(&draft.again);
	free(draft.records);
	buf_finish(&draft.wire);
	buf_finish(&draft.text);
	buf_finish(&draft.line);
	return outcome;
}

const struct name *zone_name(const struct zone *zone)
{
	return &zone->name;
}

uint32_t zone_serial(const struct zone *zone)
{
	return zone->serial;
}

const char *zone_digest(const struct zone *zone)
{
	return zone->digest;
}

size_t zone_record_count(const struct zone *zone)
{
	return zone->record_count;
}

size_t zone_rrset_count(const struct zone *zone)
{
	return zone->rrset_count;
}

const struct rrset *zone_rrsets(const struct zone *zone)
{
	return zone->rrsets;
}

size_t zone_warning_count(const struct zone *zone)
{
	return zone->warnings.count;
}

const char *const *zone_warnings(const struct zone *zone)
{
	return (const char *const *)zone->warnings.texts;
}
