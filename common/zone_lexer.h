/* SPDX-License-Identifier: Apache-2.0 */
/* zone_lexer.h: zone text -> lines of words. Strict where servers differ: what one of BIND, NSD and
 * ldns reads otherwise than the rest is refused here, before any of them sees it
 * (research/reliability.md 4.1).
 *
 * Knows bytes, quotes, escapes, parentheses and comments; nothing of records. Words point into the
 * text, escapes kept (their form is checked). No NUL and no control byte gets past it.
 */
#ifndef COMMON_ZONE_LEXER_H
#define COMMON_ZONE_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/outcome.h"

enum zone_word_kind {
	WORD_PLAIN,
	WORD_QUOTED, /* the text is what stood between the quotes */
	WORD_MIXED,  /* key="value", quotes included (SVCB) */
};

struct zone_word {
	struct span text;
	enum zone_word_kind kind;
};

/* A line, or several held together by parentheses. */
struct zone_line {
	size_t number; /* of its first word, from 1 */
	bool indented;
	bool in_parentheses; /* the first word stands in a parenthesis */
	bool comment_glued;  /* a `;` touched the last word: v=DKIM1; k=rsa */
	struct zone_word *words;
	size_t count; /* 0: the text is at its end */
};

struct zone_lexer {
	struct span text;
	size_t at;
	size_t number;
	struct zone_line line;
	size_t room;
};

void zone_lexer_init(struct zone_lexer *lexer, struct span text);
/* As if new, but with the memory that it has. */
void zone_lexer_again(struct zone_lexer *lexer, struct span text);
/* The next line that has words in lexer->line. */
MUST_CHECK enum outcome zone_lexer_next(struct zone_lexer *lexer, struct reason *why);
void zone_lexer_finish(struct zone_lexer *lexer);

#endif
