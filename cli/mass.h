/* SPDX-License-Identifier: Apache-2.0 */
/* mass.h: `dadns mass list` and `release`: deletes that the judge holds because one sender sent too
 * many (I11).
 *
 * Threads: none.
 */
#ifndef CLI_MASS_H
#define CLI_MASS_H

#include "cli/verb.h"

extern const struct verb mass_verbs[];

#endif
