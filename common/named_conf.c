/* SPDX-License-Identifier: Apache-2.0 */
#include "common/named_conf.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

enum {
	FILE_MAX = 256 * 1024 * 1024,
	READ_SIZE = 65536,
	DEPTH_MAX = 10,
	FILES_MAX = 100000,
};

struct scan {
	void (*zone)(void *context, const struct name *name);
	void *context;
	size_t unread;
	size_t files;
	int depth;
};

/* A word, a quoted text, or one of { } ; */
struct token {
	struct span text;
	char mark; /* '{', '}', ';', 'w'; 0: the end */
};

struct reader {
	const char *at;
	const char *end;
};

static void skip_to(struct reader *reader, const char *what)
{
	const char *found =
		memmem(reader->at, (size_t)(reader->end - reader->at), what, strlen(what));

	reader->at = found == NULL ? reader->end : found + strlen(what);
}

static bool at_text(const struct reader *reader, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(reader->end - reader->at) >= len && memcmp(reader->at, text, len) == 0;
}

static void skip_blanks(struct reader *reader)
{
	while (reader->at < reader->end) {
		if (at_text(reader, "/*")) {
			reader->at += 2;
			skip_to(reader, "*/");
		} else if (at_text(reader, "//") || *reader->at == '#') {
			skip_to(reader, "\n");
		} else if (strchr(" \t\r\n", *reader->at) != NULL) { /* a NUL counts as blank */
			reader->at++;
		} else {
			return;
		}
	}
}

static struct token quoted(struct reader *reader)
{
	const char *from = ++reader->at;
	struct token token;

	while (reader->at < reader->end && *reader->at != '"') {
		reader->at += *reader->at == '\\' && reader->at + 1 < reader->end ? 2 : 1;
	}
	token = (struct token){{from, (size_t)(reader->at - from)}, 'w'};
	reader->at += reader->at < reader->end ? 1 : 0;
	return token;
}

static bool is_class(struct span text)
{
	return span_is_nocase(text, "in") || span_is_nocase(text, "ch") ||
	       span_is_nocase(text, "chaos") || span_is_nocase(text, "hs") ||
	       span_is_nocase(text, "hesiod");
}

static struct token next(struct reader *reader)
{
	const char *from;

	skip_blanks(reader);
	from = reader->at;
	if (from == reader->end) {
		return (struct token){0};
	}
	if (strchr("{};", *from) != NULL) {
		reader->at++;
		return (struct token){{from, 1}, *from};
	}
	if (*from == '"') {
		return quoted(reader);
	}
	while (reader->at < reader->end && strchr(" \t\r\n{};\"", *reader->at) == NULL) {
		reader->at++;
	}
	return (struct token){{from, (size_t)(reader->at - from)}, 'w'};
}

static void scan_file(struct scan *scan, const char *path);

static void include(struct scan *scan, struct span pattern)
{
	char *path = xstrndup(pattern.data, pattern.len);
	glob_t found = {0};

	/* named takes a relative one from where it stands at that moment, which we cannot see */
	if (path[0] != '/' || scan->depth == DEPTH_MAX || glob(path, 0, NULL, &found) != 0) {
		scan->unread++;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		scan_file(scan, found.gl_pathv[i]);
	}
	globfree(&found);
	free(path);
}

/* zone NAME [CLASS] { : everything else is a part of another statement. */
static void take_zone(struct scan *scan, struct reader *reader)
{
	struct token name = next(reader);
	struct reader ahead = *reader;
	struct token open = next(&ahead);
	struct name parsed;

	if (open.mark == 'w' && is_class(open.text)) {
		open = next(&ahead);
	}
	if (name.mark == 'w' && open.mark == '{' && name_parse(name.text, &parsed, NULL) == OK) {
		scan->zone(scan->context, &parsed);
	}
}

static void scan_text(struct scan *scan, struct span text)
{
	struct reader reader = {text.data, text.data + text.len};
	bool begins = true;

	for (;;) {
		struct token token = next(&reader);

		if (token.mark == 0) {
			return;
		}
		if (begins && token.mark == 'w' && span_is(token.text, "zone")) {
			take_zone(scan, &reader);
		} else if (begins && token.mark == 'w' && span_is(token.text, "include")) {
			token = next(&reader);
			if (token.mark == 'w') {
				include(scan, token.text);
			}
		}
		begins = token.mark != 'w';
	}
}

static bool read_file(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "re");
	char *piece;
	size_t len;
	bool good;

	if (file == NULL) {
		return false;
	}
	piece = xmalloc(READ_SIZE);
	while ((len = fread(piece, 1, READ_SIZE, file)) > 0) {
		buf_add(out, (struct span){piece, len});
	}
	good = ferror(file) == 0 && !out->overflow;
	free(piece);
	(void)fclose(file);
	return good;
}

static void scan_file(struct scan *scan, const char *path)
{
	struct buf text = BUF_INIT(FILE_MAX);

	if (scan->files++ >= FILES_MAX || !read_file(path, &text)) {
		scan->unread++;
	} else {
		scan->depth++;
		scan_text(scan, buf_span(&text));
		scan->depth--;
	}
	buf_finish(&text);
}

enum outcome named_conf_zones(const char *path,
			      void (*zone)(void *context, const struct name *name), void *context,
			      size_t *unread, struct reason *why)
{
	struct scan scan = {.zone = zone, .context = context};
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		return because(TEMPFAIL, why, "%s: %s", path, strerror(errno));
	}
	(void)fclose(file);
	scan_file(&scan, path);
	*unread = scan.unread;
	return OK;
}
