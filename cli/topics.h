/* SPDX-License-Identifier: Apache-2.0 */
/* topics.h: `dadns topics apply` and `dadns topics check`.
 *
 * Threads: none.
 */
#ifndef CLI_TOPICS_H
#define CLI_TOPICS_H

#include "cli/verb.h"

extern const struct verb topics_verbs[];

#endif
