/* SPDX-License-Identifier: Apache-2.0 */
/* dlq.h: `dadns dlq list`, `show`, `replay` and `drop`.
 *
 * Threads: none.
 */
#ifndef CLI_DLQ_H
#define CLI_DLQ_H

#include "cli/verb.h"

extern const struct verb dlq_verbs[];

#endif
