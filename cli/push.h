/* SPDX-License-Identifier: Apache-2.0 */
/* push.h: pushes that an operator makes (a restored zone, a released delete), and what the judge
 * says of each. Every one carries `only_if` (I6): it rests on a look at the log.
 *
 * Threads: none of this is shared.
 */
#ifndef CLI_PUSH_H
#define CLI_PUSH_H

#include "cli/verb.h"
#include "common/event.h"

struct asked {
	struct push_event
		push; /* id, zone, owner, username, content and only_if are the caller's */
	bool sent;
	bool judged; /* then the rest holds */
	enum status_state verdict;
	struct version version;
	char rule[EVENT_TEXT_MAX + 1];   /* empty: none */
	char reason[EVENT_NOTE_MAX + 1]; /* empty: none */
};

/* "dadns" becomes their sender. Waits for all verdicts, some seconds; OK too if some are still out
 * then. TEMPFAIL, PERMFAIL: one could not be sent, and none after it was. */
MUST_CHECK enum outcome push_and_wait(const struct cli *cli, struct asked *asked, size_t count,
				      struct reason *why);
/* "accepted", "refused (owner)", "no verdict yet", "not sent". */
void asked_verdict(const struct asked *asked, char out[320]);
/* The judge made it true, or it was true already. */
bool asked_is_done(const struct asked *asked);

#endif
