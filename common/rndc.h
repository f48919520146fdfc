/* SPDX-License-Identifier: Apache-2.0 */
/* rndc.h: one kept-open control channel to named, one command at a time.
 *
 * rndc_send puts a command on the way, rndc_poll looks whether its reply is there; between the two
 * the caller does something useful. After any TEMPFAIL the channel is closed; rndc_open opens it
 * again (key file read anew, `null`, nonce) and costs nothing while it is open.
 *
 * Threads: a struct rndc belongs to one thread.
 */
#ifndef COMMON_RNDC_H
#define COMMON_RNDC_H

#include <stdbool.h>

#include "common/outcome.h"
#include "common/rndc_wire.h"

struct rndc;

/* Touches nothing outside. PERMFAIL: `server` is no address. Both texts are copied. */
MUST_CHECK enum outcome rndc_create(struct rndc **out, const char *server, const char *key_file,
				    struct reason *why);
void rndc_destroy(struct rndc *rndc);

MUST_CHECK enum outcome rndc_open(struct rndc *rndc, int timeout_ms, struct reason *why);
bool rndc_is_open(const struct rndc *rndc);
void rndc_close(struct rndc *rndc);

/* `command` as one would type it after `rndc`. Only when no reply is awaited. */
MUST_CHECK enum outcome rndc_send(struct rndc *rndc, struct span command, struct reason *why);
/* Never waits. `*complete` false: not yet there. */
MUST_CHECK enum outcome rndc_poll(struct rndc *rndc, bool *complete, struct rndc_reply *reply,
				  struct reason *why);
int rndc_fd(const struct rndc *rndc); /* -1: closed */
/* Sends and waits. */
MUST_CHECK enum outcome rndc_call(struct rndc *rndc, struct span command, int timeout_ms,
				  struct rndc_reply *reply, struct reason *why);

#endif
