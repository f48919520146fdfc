/* SPDX-License-Identifier: Apache-2.0 */
/* dice.h: all chance of a history, from one 64-bit seed.
 *
 * Nothing else in the simulation may be random, or a seed would not replay: the clock is the
 * stage's, and getrandom() is answered from here.
 */
#ifndef TESTS_SIM_DICE_H
#define TESTS_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

void dice_seed(uint64_t seed);
uint64_t dice_roll(uint64_t sides); /* 0 .. sides - 1 */
int64_t dice_between(int64_t low, int64_t high);
bool dice_percent(int64_t percent);
/* A delay in microseconds: mostly about `usual`, now and then ten or a hundred times as long. */
int64_t dice_delay_us(int64_t usual);

#endif
