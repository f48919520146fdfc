/* SPDX-License-Identifier: Apache-2.0 */
/* nemesis.h: what strikes from outside while DirectAdmin servers push: processes, the broker, the
 * places that serve. Faults inside an answer or between two steps are the models' own.
 */
#ifndef TESTS_SIM_NEMESIS_H
#define TESTS_SIM_NEMESIS_H

#include <stdint.h>

#include "tests/sim/broker.h"

void nemesis_begin(int64_t until_us);
/* All is mended; nothing strikes any more. */
void nemesis_heal(void);
/* When all is quiet: what must not bring anything back, or lose anything. */
void nemesis_shake(void);
/* The end of the pushes is lost, and with it the one at offset `highest`. */
void nemesis_cut(struct partition *pushes, int64_t highest);

#endif
