/* SPDX-License-Identifier: Apache-2.0 */
/* senders.h: who may push, and for which DA hostnames. A sender is one credential: the default
 * account (app.auth_username, app.auth_password) or a stanza `app.senders.NAME`.
 *
 * A sender with a list of hostnames is *bound*: it speaks for these and for no other, and zones of
 * these are its own. A sender without one may speak for any hostname and owns nothing by itself.
 *
 * Every look-up does the same work for every user name and password (reliability.md P27): one
 * SHA-256, compared in constant time with every sender's, without an early end.
 *
 * Threads: made at start, then only read.
 */
#ifndef INGEST_SENDERS_H
#define INGEST_SENDERS_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/config.h"
#include "common/name.h"
#include "common/outcome.h"

struct sender;
struct senders;

/* PERMFAIL: an empty secret, a hostname that is none, two senders with the same credential. */
MUST_CHECK enum outcome senders_create(struct senders **out, const struct config *config,
				       const char *username, const char *password,
				       struct reason *why);
void senders_destroy(struct senders *senders);
/* One more; `hostnames` is comma separated, empty or NULL: not bound. */
MUST_CHECK enum outcome senders_add(struct senders *senders, const char *name, const char *username,
				    const char *password, const char *hostnames,
				    struct reason *why);

/* NULL: wrong credentials. Borrowed from `senders`. */
const struct sender *senders_find(const struct senders *senders, struct span username,
				  struct span password);
const char *sender_name(const struct sender *sender);
bool sender_is_bound(const struct sender *sender);
/* May it push and delete in the name of this DA server? */
bool sender_may_speak_for(const struct sender *sender, const struct name *hostname);
/* Bound, and this is one of its own: `exists` must not keep it from its own zones. */
bool sender_owns(const struct sender *sender, const char *hostname);

extern const struct config_key senders_keys[];

#endif
