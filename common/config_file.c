/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "common/buf.h"

/* I9: a file is small, flat and short; aliases cannot blow it up. */
#define FILE_BYTES_MAX ((size_t)1 << 20)
#define DEPTH_MAX 16
#define LINES_MAX 4000
#define NODES_MAX 20000
#define PATH_LEN_MAX 512

struct reading {
	const char *file;
	const char *const *parents;
	yaml_document_t document;
	struct config_file *out;
	struct reason *why;
	size_t nodes; /* visited: aliases count each time */
};

static enum outcome walk(struct reading *reading, yaml_node_t *node, const char *path, int depth);

void config_file_finish(struct config_file *file)
{
	if (file == NULL) {
		return;
	}
	for (size_t i = 0; i < file->line_count; i++) {
		free(file->lines[i].path);
		free(file->lines[i].value);
	}
	for (size_t i = 0; i < file->stanza_count; i++) {
		free(file->stanzas[i].parent);
		free(file->stanzas[i].name);
	}
	free(file->lines);
	free(file->stanzas);
	*file = (struct config_file){0};
}

static enum outcome refuse(struct reading *reading, const yaml_node_t *node, const char *path,
			   const char *what)
{
	yaml_mark_t mark = {0};

	if (node != NULL) {
		mark = node->start_mark;
	}
	return because(PERMFAIL, reading->why, "%s:%zu:%zu: %.80s%s%s", reading->file,
		       mark.line + 1, mark.column + 1, path, path[0] == '\0' ? "" : " ", what);
}

static bool is_null(const yaml_node_t *node)
{
	struct span value = {(const char *)node->data.scalar.value, node->data.scalar.length};

	return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (value.len == 0 || span_is(value, "~") || span_is_nocase(value, "null"));
}

/* The text of a scalar; NULL if it is something else or holds a NUL byte. */
static const char *scalar_text(const yaml_node_t *node)
{
	const char *text;

	if (node == NULL || node->type != YAML_SCALAR_NODE) {
		return NULL;
	}
	text = (const char *)node->data.scalar.value;
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

/* Takes `value`. */
static enum outcome add_line(struct reading *reading, const yaml_node_t *node, const char *path,
			     char *value)
{
	struct config_file *out = reading->out;

	for (size_t i = 0; i < out->line_count; i++) {
		if (strcmp(out->lines[i].path, path) == 0) {
			free(value);
			return refuse(reading, node, path, "is there twice");
		}
	}
	if (out->line_count == LINES_MAX) {
		free(value);
		return refuse(reading, node, path, "is one key too many");
	}
	out->lines = xrealloc(out->lines, (out->line_count + 1) * sizeof(*out->lines));
	out->lines[out->line_count++] = (struct config_line){
		.path = xstrdup(path),
		.value = value,
		.line = node->start_mark.line + 1,
		.column = node->start_mark.column + 1,
	};
	return OK;
}

static bool all_scalars(struct reading *reading, const yaml_node_t *list)
{
	const yaml_node_item_t *item;

	for (item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
		const yaml_node_t *node = yaml_document_get_node(&reading->document, *item);

		if (node == NULL || node->type != YAML_SCALAR_NODE) {
			return false;
		}
	}
	return true;
}

static enum outcome join_scalars(struct reading *reading, yaml_node_t *list, const char *path)
{
	struct buf text = BUF_INIT(FILE_BYTES_MAX);
	enum outcome outcome = OK;
	const yaml_node_item_t *item;

	for (item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
		const yaml_node_t *node = yaml_document_get_node(&reading->document, *item);
		const char *value = scalar_text(node);

		if (value == NULL || strchr(value, ',') != NULL) {
			outcome = refuse(reading, node, path,
					 "has an item with a comma or a NUL byte in it");
			goto out;
		}
		if (text.len != 0) {
			buf_add_byte(&text, ',');
		}
		buf_add_text(&text, value);
	}
	outcome = add_line(reading, list, path, buf_take(&text));
out:
	buf_finish(&text);
	return outcome;
}

static enum outcome walk_list(struct reading *reading, yaml_node_t *list, const char *path,
			      int depth)
{
	enum outcome outcome = OK;
	const yaml_node_item_t *item;
	size_t i = 0;

	if (all_scalars(reading, list)) {
		return join_scalars(reading, list, path);
	}
	for (item = list->data.sequence.items.start;
	     outcome == OK && item < list->data.sequence.items.top; item++) {
		struct buf below = BUF_INIT(PATH_LEN_MAX);

		buf_addf(&below, "%s.%zu", path, i++);
		outcome = below.overflow
				  ? refuse(reading, list, path, "is too long a name")
				  : walk(reading, yaml_document_get_node(&reading->document, *item),
					 buf_text(&below), depth + 1);
		buf_finish(&below);
	}
	return outcome;
}

static bool holds_stanzas(const struct reading *reading, const char *path)
{
	for (size_t i = 0; reading->parents[i] != NULL; i++) {
		if (strcmp(reading->parents[i], path) == 0) {
			return true;
		}
	}
	return false;
}

static void add_stanza(struct config_file *out, const char *parent, const char *name)
{
	out->stanzas = xrealloc(out->stanzas, (out->stanza_count + 1) * sizeof(*out->stanzas));
	out->stanzas[out->stanza_count++] = (struct config_stanza){
		.parent = xstrdup(parent),
		.name = xstrdup(name),
	};
}

/* The key `name` must not stand twice in one map, also where it has no lines of its own. */
static bool is_repeated(struct reading *reading, const yaml_node_t *map,
			const yaml_node_pair_t *until, const char *name)
{
	const yaml_node_pair_t *pair;

	for (pair = map->data.mapping.pairs.start; pair < until; pair++) {
		const char *other =
			scalar_text(yaml_document_get_node(&reading->document, pair->key));

		if (other != NULL && strcmp(other, name) == 0) {
			return true;
		}
	}
	return false;
}

static enum outcome walk_pair(struct reading *reading, yaml_node_t *map,
			      const yaml_node_pair_t *pair, const char *path, int depth)
{
	yaml_node_t *key = yaml_document_get_node(&reading->document, pair->key);
	yaml_node_t *value = yaml_document_get_node(&reading->document, pair->value);
	const char *name = scalar_text(key);
	struct buf below = BUF_INIT(PATH_LEN_MAX);
	enum outcome outcome;

	if (name == NULL || name[0] == '\0' || value == NULL) {
		return refuse(reading, key, path, "has a key that is no text");
	}
	buf_addf(&below, "%s%s%s", path, path[0] == '\0' ? "" : ".", name);
	if (below.overflow) {
		outcome = refuse(reading, key, path, "has too long a key");
	} else if (is_repeated(reading, map, pair, name)) {
		outcome = refuse(reading, key, buf_text(&below), "is there twice");
	} else {
		if (holds_stanzas(reading, path) && value->type != YAML_SEQUENCE_NODE) {
			add_stanza(reading->out, path, name);
		}
		outcome = walk(reading, value, buf_text(&below), depth + 1);
	}
	buf_finish(&below);
	return outcome;
}

static enum outcome walk(struct reading *reading, yaml_node_t *node, const char *path, int depth)
{
	const yaml_node_pair_t *pair;
	enum outcome outcome = OK;

	if (node == NULL || depth > DEPTH_MAX || ++reading->nodes > NODES_MAX) {
		return refuse(reading, node, path, "is nested too deep or too large");
	}
	switch (node->type) {
	case YAML_SCALAR_NODE:
		if (scalar_text(node) == NULL) {
			return refuse(reading, node, path, "holds a NUL byte");
		}
		if (path[0] == '\0') {
			return refuse(reading, node, path, "keys and values are expected here");
		}
		return add_line(reading, node, path,
				is_null(node) ? NULL : xstrdup(scalar_text(node)));
	case YAML_SEQUENCE_NODE:
		if (path[0] == '\0') {
			return refuse(reading, node, path, "keys and values are expected here");
		}
		return walk_list(reading, node, path, depth);
	case YAML_MAPPING_NODE:
		for (pair = node->data.mapping.pairs.start;
		     outcome == OK && pair < node->data.mapping.pairs.top; pair++) {
			outcome = walk_pair(reading, node, pair, path, depth);
		}
		return outcome;
	case YAML_NO_NODE:
		break;
	}
	return refuse(reading, node, path, "is no YAML that we know");
}

static enum outcome broken(const char *file, const yaml_parser_t *parser, struct reason *why)
{
	return because(PERMFAIL, why, "%s:%zu:%zu: %s", file, parser->problem_mark.line + 1,
		       parser->problem_mark.column + 1,
		       parser->problem == NULL ? "is no YAML" : parser->problem);
}

static enum outcome parse(struct reading *reading, yaml_parser_t *parser)
{
	yaml_node_t *root;
	enum outcome outcome = OK;
	bool more;

	if (!yaml_parser_load(parser, &reading->document)) {
		return broken(reading->file, parser, reading->why);
	}
	root = yaml_document_get_root_node(&reading->document);
	if (root != NULL && !(root->type == YAML_SCALAR_NODE && is_null(root))) {
		outcome = walk(reading, root, "", 0);
	}
	yaml_document_delete(&reading->document);
	if (outcome != OK || root == NULL) {
		return outcome;
	}

	if (!yaml_parser_load(parser, &reading->document)) {
		return broken(reading->file, parser, reading->why);
	}
	more = yaml_document_get_root_node(&reading->document) != NULL;
	yaml_document_delete(&reading->document);
	if (more) {
		return because(PERMFAIL, reading->why, "%s: holds more than one document",
			       reading->file);
	}
	return OK;
}

enum outcome config_file_read(const char *file, const char *const *parents, struct config_file *out,
			      struct reason *why)
{
	struct config_file found = {0};
	struct reading reading = {.file = file, .parents = parents, .out = &found, .why = why};
	yaml_parser_t parser;
	unsigned char *bytes = NULL;
	FILE *stream;
	size_t len;
	enum outcome outcome;

	stream = fopen(file, "re");
	if (stream == NULL) {
		return because(PERMFAIL, why, "%s: %s", file, strerror(errno));
	}
	if (!yaml_parser_initialize(&parser)) {
		abort(); /* out of memory */
	}
	bytes = xmalloc(FILE_BYTES_MAX + 1);
	len = fread(bytes, 1, FILE_BYTES_MAX + 1, stream);
	if (ferror(stream)) {
		outcome = because(PERMFAIL, why, "%s: cannot be read: %s", file, strerror(errno));
		goto out;
	}
	if (len > FILE_BYTES_MAX) {
		outcome = because(PERMFAIL, why, "%s: is larger than 1 MiB", file);
		goto out;
	}
	yaml_parser_set_input_string(&parser, bytes, len);
	outcome = parse(&reading, &parser);
	if (outcome == OK) {
		*out = found;
		found = (struct config_file){0};
	}
out:
	config_file_finish(&found);
	yaml_parser_delete(&parser);
	free(bytes);
	(void)fclose(stream); /* only read */
	return outcome;
}
