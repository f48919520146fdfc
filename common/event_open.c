/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of reading: the event's memory, the schema, taking fields and closing. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/event_json.h"

/* One block after the other; an event keeps the newest. */
struct event_memory {
	struct event_memory *older;
	size_t used;
	size_t size;
	char bytes[] __attribute__((aligned(8)));
};

static struct event_memory *block_create(struct event_memory *older, size_t size)
{
	struct event_memory *block = xmalloc(sizeof(*block) + size);

	block->older = older;
	block->used = 0;
	block->size = size;
	return block;
}

void event_memory_reserve(struct fields *fields, size_t size)
{
	struct event_memory *block = fields->memory;
	size_t left = block->size - block->used;

	if (size > left) {
		fields->memory = block_create(block, size + left);
	}
}

static char *get(struct fields *fields, size_t size)
{
	char *out;

	event_memory_reserve(fields, size);
	out = fields->memory->bytes + fields->memory->used;
	fields->memory->used += size;
	return out;
}

void *event_memory_get(struct fields *fields, size_t size)
{
	struct event_memory *block = fields->memory;
	size_t used = (block->used + 7) & ~(size_t)7;

	block->used = used > block->size ? block->size : used;
	return get(fields, (size + 7) & ~(size_t)7);
}

const char *event_memory_text(struct fields *fields, struct span text)
{
	char *out = get(fields, text.len + 1);

	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	return out;
}

struct span event_memory_string(struct fields *fields, struct span string)
{
	char *out = get(fields, string.len + 1);
	size_t len = scan_unescape(string, out);

	out[len] = '\0';
	return (struct span){out, len};
}

void event_memory_free(void *memory)
{
	struct event_memory *block = memory;

	while (block != NULL) {
		struct event_memory *older = block->older;

		free(block);
		block = older;
	}
}

void fields_refuse(struct fields *fields, const char *name, const char *what)
{
	if (fields->outcome == OK) {
		fields->outcome =
			because(PERMFAIL, fields->why, "field %s%s %s", fields->where, name, what);
	}
}

/* Digits without sign or leading zero; moves `text` behind them. */
static bool take_digits(struct span *text, int64_t *out)
{
	int64_t number = 0;
	size_t i = 0;

	while (i < text->len && i < 9 && text->data[i] >= '0' && text->data[i] <= '9') {
		number = number * 10 + (text->data[i] - '0');
		i++;
	}
	if (i == 0 || (i > 1 && text->data[0] == '0')) {
		return false;
	}
	*text = (struct span){text->data + i, text->len - i};
	*out = number;
	return true;
}

/* A newer major version stops the reader; a newer minor one only adds fields. */
static void check_schema(struct fields *fields, const char *kind)
{
	size_t kind_len = strlen(kind);
	json_t *schema = fields_take(fields, "schema", REQUIRED);
	struct span text = {json_string_value(schema), json_string_length(schema)};
	int64_t major = 0;
	int64_t minor = 0;
	bool ours = text.len > kind_len + 1 && memcmp(text.data, kind, kind_len) == 0 &&
		    text.data[kind_len] == '/';

	if (ours) {
		text = (struct span){text.data + kind_len + 1, text.len - kind_len - 1};
		ours = take_digits(&text, &major) && text.len > 1 && text.data[0] == '.';
	}
	if (ours) {
		text = (struct span){text.data + 1, text.len - 1};
		ours = take_digits(&text, &minor) && text.len == 0 && major >= 1;
	}
	if (fields->outcome == OK && !ours) {
		fields->outcome = because(PERMFAIL, fields->why, "field %sschema is not %s/%d.x",
					  fields->where, kind, SCHEMA_MAJOR);
	}
	if (fields->outcome == OK && major > SCHEMA_MAJOR) {
		fields->outcome = because(TEMPFAIL, fields->why,
					  "schema %s/%" PRId64 ".%" PRId64 " is newer than this "
					  "program understands (%d.x); upgrade it",
					  kind, major, minor, SCHEMA_MAJOR);
	}
}

/* Where the long lists are. */
static void find_lists(struct fields *fields, struct span bytes, const char *kind)
{
	if (strcmp(kind, KIND_PUSH) == 0) {
		event_lists_find(bytes, NULL, false, &fields->lists);
	} else if (strcmp(kind, KIND_ZONE) == 0) {
		event_lists_find(bytes, NULL, true, &fields->lists);
	} else if (strcmp(kind, KIND_HEAL) == 0) {
		event_lists_find(bytes, "value", true, &fields->lists);
	}
}

/* The text of an event with `[]` for what is cut out of it, in pieces. */
struct pieces {
	struct span items[5];
	size_t count;
	size_t at;
};

static void pieces_init(struct pieces *pieces, struct span bytes, const struct event_lists *lists)
{
	const char *at = bytes.data;
	size_t i;

	*pieces = (struct pieces){.count = 0};
	for (i = 0; i < lists->cut_count; i++) {
		struct span cut = lists->cuts[i];

		pieces->items[pieces->count++] = (struct span){at, (size_t)(cut.data - at)};
		pieces->items[pieces->count++] = span_of("[]");
		at = cut.data + cut.len;
	}
	pieces->items[pieces->count++] = (struct span){at, bytes.len - (size_t)(at - bytes.data)};
}

/* jansson asks for the next up to `size` bytes. */
static size_t give_bytes(void *buffer, size_t size, void *data)
{
	struct pieces *pieces = data;
	size_t given = 0;

	while (given < size && pieces->at < pieces->count) {
		struct span *piece = &pieces->items[pieces->at];
		size_t len = piece->len < size - given ? piece->len : size - given;

		memcpy((char *)buffer + given, piece->data, len);
		given += len;
		*piece = (struct span){piece->data + len, piece->len - len};
		pieces->at += piece->len == 0 ? 1 : 0;
	}
	return given;
}

/* Where in the whole text is this byte of the pieces? */
static size_t position_in_text(size_t position, struct span bytes, const struct event_lists *lists)
{
	size_t i;

	for (i = 0; i < lists->cut_count; i++) {
		if (position > (size_t)(lists->cuts[i].data - bytes.data) + 1) {
			position += lists->cuts[i].len - 2;
		}
	}
	return position;
}

/* No memory is no broken JSON: what could not be read for want of it would be called unreadable,
 * and an acknowledged push with it (I1). Better to end and read it again. */
__attribute__((constructor)) static void jansson_aborts(void)
{
	json_set_alloc_funcs(xmalloc, free);
}

static void load(struct fields *fields, struct span bytes, const char *kind)
{
	struct pieces pieces;
	json_error_t error;
	bool twice;

	pieces_init(&pieces, bytes, &fields->lists);
	fields->object = json_load_callback(give_bytes, &pieces, JSON_REJECT_DUPLICATES, &error);
	if (fields->object != NULL) {
		return;
	}
	twice = json_error_code(&error) == json_error_duplicate_key;
	/* Not error.text: it quotes the input. */
	fields->outcome = because(PERMFAIL, fields->why, "not a %s event: %s at byte %zu", kind,
				  twice ? "the same field twice" : "broken JSON",
				  position_in_text((size_t)error.position, bytes, &fields->lists));
}

void fields_open(struct fields *fields, struct span bytes, const char *kind, struct reason *why)
{
	size_t cut_bytes = 0;
	size_t i;

	*fields = (struct fields){.where = "", .why = why, .outcome = OK};
	if (bytes.len == 0 || bytes.len > EVENT_BYTES_MAX) {
		fields->outcome = because(PERMFAIL, why, "%s event of %zu bytes", kind, bytes.len);
		return;
	}
	find_lists(fields, bytes, kind);
	for (i = 0; i < fields->lists.cut_count; i++) {
		cut_bytes += fields->lists.cuts[i].len;
	}
	/* What is left of the text fits; longer lists make room for themselves. */
	fields->memory = block_create(
		NULL,
		bytes.len - cut_bytes + fields->lists.earlier_count * sizeof(struct earlier_push));
	load(fields, bytes, kind);
	if (fields->outcome != OK) {
		return;
	}
	if (!json_is_object(fields->object)) {
		fields->outcome = because(PERMFAIL, why, "not a %s event: no JSON object", kind);
		return;
	}
	check_schema(fields, kind);
}

void fields_open_inner(struct fields *inner, struct fields *outer, const char *name,
		       const char *kind, const char *where)
{
	json_t *object = fields_take(outer, name, REQUIRED);

	if (object != NULL && !json_is_object(object)) {
		fields_refuse(outer, name, "is not an object");
	}
	*inner = *outer;
	inner->object = object;
	inner->where = where;
	inner->taken_count = 0;
	check_schema(inner, kind);
}

enum outcome fields_close(struct fields *fields, void **memory)
{
	json_decref(fields->object);
	fields->object = NULL;
	if (fields->outcome == OK) {
		*memory = fields->memory;
	} else {
		event_memory_free(fields->memory);
	}
	fields->memory = NULL;
	return fields->outcome;
}

void fields_close_inner(struct fields *inner, struct fields *outer)
{
	outer->memory = inner->memory;
	outer->outcome = inner->outcome;
}

json_t *fields_take(struct fields *fields, const char *name, enum need need)
{
	json_t *value;

	if (fields->outcome != OK) {
		return NULL;
	}
	value = json_object_get(fields->object, name);
	if (value == NULL && need == REQUIRED) {
		fields_refuse(fields, name, "is missing");
	}
	if (value != NULL) {
		assert(fields->taken_count < FIELDS_MAX);
		fields->taken[fields->taken_count++] = name;
	}
	return value;
}

bool fields_has(const struct fields *fields, const char *name)
{
	return fields->outcome == OK && json_object_get(fields->object, name) != NULL;
}

bool fields_is(const struct fields *fields, const char *name, const char *text)
{
	const char *value = NULL;

	if (fields->outcome == OK) {
		value = json_string_value(json_object_get(fields->object, name));
	}
	return value != NULL && strcmp(value, text) == 0;
}

void fields_forbid(struct fields *fields, const char *name, const char *what)
{
	if (fields_has(fields, name)) {
		fields_refuse(fields, name, what);
	}
}

const char *fields_extra(struct fields *fields)
{
	const char *out;
	char *text;
	size_t i;

	if (fields->outcome != OK || json_object_size(fields->object) == fields->taken_count) {
		return NULL;
	}
	for (i = 0; i < fields->taken_count; i++) {
		(void)json_object_del(fields->object, fields->taken[i]); /* it is there */
	}
	text = json_dumps(fields->object, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (text == NULL) {
		abort(); /* out of memory: it was parsed a moment ago */
	}
	out = event_memory_text(fields, span_of(text));
	free(text);
	return out;
}
