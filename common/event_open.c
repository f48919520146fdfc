/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of reading: the event's memory, the schema, taking fields and closing. */
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

#define BLOCK_BYTES_MIN ((size_t)1024)

static struct event_memory *block_create(struct event_memory *older, size_t size)
{
	struct event_memory *block = xmalloc(sizeof(*block) + size);

	block->older = older;
	block->used = 0;
	block->size = size;
	return block;
}

static char *get(struct fields *fields, size_t size)
{
	struct event_memory *block = fields->memory;
	char *out;

	if (size > block->size - block->used) {
		size_t next = block->size < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : block->size;

		block = block_create(block, next > size ? next : size);
		fields->memory = block;
	}
	out = block->bytes + block->used;
	block->used += size;
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
	json_decref(schema);
}

void fields_open(struct fields *fields, struct span bytes, const char *kind, size_t memory_bytes,
		 struct reason *why)
{
	json_error_t error;

	*fields = (struct fields){.where = "", .why = why, .outcome = OK};
	fields->memory = block_create(NULL, memory_bytes);
	if (bytes.len == 0 || bytes.len > EVENT_BYTES_MAX) {
		fields->outcome = because(PERMFAIL, why, "%s event of %zu bytes", kind, bytes.len);
		return;
	}
	fields->object = json_loadb(bytes.data, bytes.len, JSON_REJECT_DUPLICATES, &error);
	if (fields->object == NULL) {
		bool twice = json_error_code(&error) == json_error_duplicate_key;

		/* Not error.text: it quotes the input. */
		fields->outcome =
			because(PERMFAIL, why, "not a %s event: %s at byte %d", kind,
				twice ? "the same field twice" : "broken JSON", error.position);
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
	json_decref(inner->object);
	outer->memory = inner->memory;
	outer->outcome = inner->outcome;
}

json_t *fields_take(struct fields *fields, const char *name, enum need need)
{
	json_t *value;

	if (fields->outcome != OK) {
		return NULL;
	}
	value = json_incref(json_object_get(fields->object, name));
	if (value == NULL && need == REQUIRED) {
		fields_refuse(fields, name, "is missing");
	}
	if (value != NULL) {
		(void)json_object_del(fields->object, name); /* it is there */
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

	if (fields->outcome != OK || json_object_size(fields->object) == 0) {
		return NULL;
	}
	text = json_dumps(fields->object, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (text == NULL) {
		abort(); /* out of memory: it was parsed a moment ago */
	}
	out = event_memory_text(fields, span_of(text));
	free(text);
	return out;
}
