/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h: `dadns retry list | now | drop`: zones that a backend refused, in Redis.
 *
 * Threads: none.
 */
#ifndef CLI_RETRY_H
#define CLI_RETRY_H

#include "cli/verb.h"

extern const struct verb retry_verbs[];

#endif
