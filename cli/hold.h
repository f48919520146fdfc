/* SPDX-License-Identifier: Apache-2.0 */
/* hold.h: dadns hold: what is held in Redis while Kafka is away, and giving it to Kafka.
 *
 * Threads: none.
 */
#ifndef CLI_HOLD_H
#define CLI_HOLD_H

#include "cli/verb.h"

extern const struct verb hold_verbs[];

#endif
