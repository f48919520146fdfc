/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.h: the model of Redis: the commands that the product gives, on keys in memory; its scripts
 * as they are, in the same Lua that Redis has. It can forget everything, and go back to an older
 * state.
 *
 * What it answers stays where it is until the history ends.
 */
#ifndef TESTS_SIM_KEEPER_H
#define TESTS_SIM_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/redis.h"

void keeper_run(const struct span *arguments, size_t count, struct redis_value *out);
void keeper_forget(void);
void keeper_keep_copy(void);
void keeper_go_back(void);
/* Does a key with this beginning and this end exist? */
bool keeper_has(const char *beginning, const char *end);
/* Is that the value of this key? */
bool keeper_says(const char *name, const char *value);

/* Who can reach it. */
bool keeper_is_up(void);
void keeper_go_away(int64_t until_us);

/* --- within the model ------------------------------------------------------------------------- */

void keeper_run_script(const struct span *arguments, size_t count, struct redis_value *out);
void keeper_refuse(struct redis_value *out, const char *why);

#endif
