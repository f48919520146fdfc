/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h: `dadns backend list` and `dadns backend retire NAME`: the registry in dadns.audits.
 *
 * Threads: none.
 */
#ifndef CLI_BACKEND_H
#define CLI_BACKEND_H

#include "cli/verb.h"

extern const struct verb backend_verbs[];

#endif
