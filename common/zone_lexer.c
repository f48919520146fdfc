/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone_lexer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/name.h"

void zone_lexer_init(struct zone_lexer *lexer, struct span text)
{
	*lexer = (struct zone_lexer){.text = text, .number = 1};
	if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
		lexer->at = 3; /* a byte order mark */
	}
}

void zone_lexer_again(struct zone_lexer *lexer, struct span text)
{
	struct zone_word *words = lexer->line.words;
	size_t room = lexer->room;

	zone_lexer_init(lexer, text);
	lexer->line.words = words;
	lexer->room = room;
}

void zone_lexer_finish(struct zone_lexer *lexer)
{
	free(lexer->line.words);
	*lexer = (struct zone_lexer){0};
}

/* What a byte can mean; most mean nothing. */
enum {
	BLANK = 1,
	LINE_END = 2, /* LF, and CR, which is one only before LF */
	SEMICOLON = 4,
	PARENTHESIS = 8,
	QUOTE = 16,
	BACKSLASH = 32,
	CONTROL = 64,
	ANY_MEANING = 127,
};

static const uint8_t meanings[256] = {
	[0 ... 8] = CONTROL, ['\t'] = BLANK,        ['\n'] = LINE_END, [11 ... 12] = CONTROL,
	['\r'] = LINE_END,   [14 ... 31] = CONTROL, [' '] = BLANK,     ['"'] = QUOTE,
	['('] = PARENTHESIS, [')'] = PARENTHESIS,   [';'] = SEMICOLON, ['\\'] = BACKSLASH,
	[0x7f] = CONTROL,
};

/* The byte at the cursor, or -1 at the end. */
static int peek(const struct zone_lexer *lexer)
{
	return lexer->at < lexer->text.len ? (unsigned char)lexer->text.data[lexer->at] : -1;
}

static int peek_after(const struct zone_lexer *lexer)
{
	return lexer->at + 1 < lexer->text.len ? (unsigned char)lexer->text.data[lexer->at + 1]
					       : -1;
}

/* To the next byte that has one of these meanings, or to the end. */
static void skip_to(struct zone_lexer *lexer, unsigned wanted)
{
	const unsigned char *bytes = (const unsigned char *)lexer->text.data;
	size_t at = lexer->at;

	while (at < lexer->text.len && (meanings[bytes[at]] & wanted) == 0) {
		at++;
	}
	lexer->at = at;
}

static bool is_digit(int byte)
{
	return byte >= '0' && byte <= '9';
}

/* CRLF counts as a line end; a CR alone hides the rest of the text from some servers. */
static bool at_line_end(const struct zone_lexer *lexer)
{
	int byte = peek(lexer);

	return byte == '\n' || (byte == '\r' && peek_after(lexer) == '\n');
}

static void skip_line_end(struct zone_lexer *lexer)
{
	lexer->at += peek(lexer) == '\r' ? 2 : 1;
	lexer->number++;
}

/* The byte at the cursor is a control byte, or a CR that ends no line. */
static enum outcome refuse_control(const struct zone_lexer *lexer, struct reason *why)
{
	int byte = peek(lexer);

	if (byte == 0) {
		return because(PERMFAIL, why, "line %zu: holds a NUL byte", lexer->number);
	}
	if (byte == '\r') {
		return because(PERMFAIL, why,
			       "line %zu: a carriage return without a line feed; end lines with LF "
			       "or CRLF",
			       lexer->number);
	}
	return because(PERMFAIL, why, "line %zu: holds the control byte %d", lexer->number, byte);
}

static enum outcome skip_comment(struct zone_lexer *lexer, struct reason *why)
{
	skip_to(lexer, LINE_END | CONTROL);
	if (peek(lexer) >= 0 && !at_line_end(lexer)) {
		return refuse_control(lexer, why);
	}
	return OK;
}

/* `\X` or `\DDD`, the cursor on the backslash. */
static enum outcome skip_escape(struct zone_lexer *lexer, struct reason *why)
{
	const char *from = lexer->text.data + lexer->at;
	size_t left = lexer->text.len - lexer->at;

	lexer->at++;
	if (peek(lexer) < 0 || at_line_end(lexer)) {
		return because(PERMFAIL, why, "line %zu: a backslash ends the line", lexer->number);
	}
	if (!is_digit(peek(lexer))) {
		if ((meanings[peek(lexer)] & (LINE_END | CONTROL)) != 0) {
			return refuse_control(lexer, why);
		}
		lexer->at++;
		return OK;
	}
	if (left < 4 || !is_digit(from[2]) || !is_digit(from[3]) ||
	    (from[1] - '0') * 100 + (from[2] - '0') * 10 + (from[3] - '0') > 255) {
		return because(PERMFAIL, why,
			       "line %zu: '%s' is no escape; it takes three digits up to 255",
			       lexer->number,
			       name_quote((struct span){from, left < 4 ? left : 4}).text);
	}
	lexer->at += 3;
	return OK;
}

/* The cursor stands behind the opening quote, and on OK behind the closing one. */
static enum outcome skip_quoted(struct zone_lexer *lexer, struct reason *why)
{
	for (;;) {
		skip_to(lexer, QUOTE | BACKSLASH | LINE_END | CONTROL);
		if (peek(lexer) == '"') {
			break;
		}
		if (peek(lexer) < 0 || at_line_end(lexer)) {
			return because(PERMFAIL, why, "line %zu: a quote is not closed on its line",
				       lexer->number);
		}
		if (peek(lexer) != '\\') {
			return refuse_control(lexer, why);
		}
		if (skip_escape(lexer, why) != OK) {
			return PERMFAIL;
		}
	}
	lexer->at++;
	return OK;
}

static bool ends_word(const struct zone_lexer *lexer)
{
	int byte = peek(lexer);

	return byte < 0 || (meanings[byte] & (BLANK | SEMICOLON | PARENTHESIS)) != 0 ||
	       at_line_end(lexer);
}

/* What may stand right behind a closing quote. */
static enum outcome check_after_quote(const struct zone_lexer *lexer, struct reason *why)
{
	if (!ends_word(lexer) && peek(lexer) != '"') {
		return because(PERMFAIL, why, "line %zu: put a space behind the closing quote",
			       lexer->number);
	}
	return OK;
}

static enum outcome read_quoted(struct zone_lexer *lexer, struct zone_word *word,
				struct reason *why)
{
	size_t start = ++lexer->at;

	if (skip_quoted(lexer, why) != OK) {
		return PERMFAIL;
	}
	word->kind = WORD_QUOTED;
	word->text = (struct span){lexer->text.data + start, lexer->at - 1 - start};
	return check_after_quote(lexer, why);
}

static enum outcome read_plain(struct zone_lexer *lexer, struct zone_word *word, struct reason *why)
{
	size_t start = lexer->at;

	word->kind = WORD_PLAIN;
	for (;;) {
		skip_to(lexer, ANY_MEANING);
		if (ends_word(lexer)) {
			break;
		}
		if (peek(lexer) == '"' && lexer->text.data[lexer->at - 1] == '=') {
			lexer->at++;
			if (skip_quoted(lexer, why) != OK || check_after_quote(lexer, why) != OK) {
				return PERMFAIL;
			}
			word->kind = WORD_MIXED;
			break;
		}
		if (peek(lexer) == '"') {
			return because(
				PERMFAIL, why,
				"line %zu: a quote in the middle of a word; put quotes around the "
				"whole text and write inner ones as \\\"",
				lexer->number);
		}
		if (peek(lexer) != '\\') {
			return refuse_control(lexer, why);
		}
		if (skip_escape(lexer, why) != OK) {
			return PERMFAIL;
		}
	}
	word->text = (struct span){lexer->text.data + start, lexer->at - start};
	return OK;
}

static enum outcome read_word(struct zone_lexer *lexer, bool in_parentheses, struct reason *why)
{
	struct zone_line *line = &lexer->line;
	struct zone_word word;
	enum outcome outcome;

	if (line->count == 0) {
		line->number = lexer->number;
		line->in_parentheses = in_parentheses;
	}
	outcome =
		peek(lexer) == '"' ? read_quoted(lexer, &word, why) : read_plain(lexer, &word, why);
	if (outcome != OK) {
		return outcome;
	}
	if (line->count == lexer->room) {
		lexer->room = lexer->room == 0 ? 16 : lexer->room * 2;
		line->words = xrealloc(line->words, lexer->room * sizeof(*line->words));
	}
	line->words[line->count++] = word;
	line->comment_glued = peek(lexer) == ';' && word.kind == WORD_PLAIN;
	return OK;
}

/* Words up to a line end outside parentheses. */
static enum outcome read_line(struct zone_lexer *lexer, struct reason *why)
{
	size_t opened = 0; /* the line of the open parenthesis */
	size_t depth = 0;

	lexer->line.indented = peek(lexer) == ' ' || peek(lexer) == '\t';
	while (peek(lexer) >= 0 && (depth != 0 || !at_line_end(lexer))) {
		int byte = peek(lexer);

		if (at_line_end(lexer)) {
			skip_line_end(lexer);
		} else if (byte == ' ' || byte == '\t') {
			lexer->at++;
		} else if (byte == ';') {
			if (skip_comment(lexer, why) != OK) {
				return PERMFAIL;
			}
		} else if (byte == '(') {
			opened = depth++ == 0 ? lexer->number : opened;
			lexer->at++;
		} else if (byte == ')') {
			if (depth == 0) {
				return because(PERMFAIL, why, "line %zu: a `)` that nothing opened",
					       lexer->number);
			}
			depth--;
			lexer->at++;
		} else if (read_word(lexer, depth != 0, why) != OK) {
			return PERMFAIL;
		}
	}
	if (depth != 0) {
		return because(PERMFAIL, why, "line %zu: the `(` is never closed", opened);
	}
	return OK;
}

enum outcome zone_lexer_next(struct zone_lexer *lexer, struct reason *why)
{
	lexer->line.count = 0;
	lexer->line.comment_glued = false;
	while (lexer->line.count == 0 && peek(lexer) >= 0) {
		if (read_line(lexer, why) != OK) {
			return PERMFAIL;
		}
		if (peek(lexer) >= 0) {
			skip_line_end(lexer);
		}
	}
	return OK;
}
