/* SPDX-License-Identifier: Apache-2.0 */
/* zone.h: `dadns zone show`, `history` and `restore`.
 *
 * Threads: none.
 */
#ifndef CLI_ZONE_H
#define CLI_ZONE_H

#include "cli/verb.h"

extern const struct verb zone_verbs[];

#endif
