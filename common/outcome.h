/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.h: what to do after a call, and the text that says what happened.
 *
 * TEMPFAIL: the same input may work later. PERMFAIL: it never will.
 * The text is for the person who must act: what, where, why, what to do.
 */
#ifndef COMMON_OUTCOME_H
#define COMMON_OUTCOME_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index) \
	__attribute__((format(printf, format_index, first_index)))

enum outcome { OK = 0, TEMPFAIL, PERMFAIL };

struct reason {
	char text[240];
};

/* Fills `why` (may be NULL: nobody wants to know) and returns `outcome`, so that failing is one
 * line: return because(TEMPFAIL, why, "rndc %s: %s", ...). The text is cut, never overrun. */
enum outcome because(enum outcome outcome, struct reason *why, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* "ok", "tempfail", "permfail". */
const char *outcome_text(enum outcome outcome);

#endif
