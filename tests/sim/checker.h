/* SPDX-License-Identifier: Apache-2.0 */
/* checker.h: the promise, asked of a history that has come to rest (reliability.md 3.4).
 *
 * It knows the log and what the DirectAdmin servers saw, and judges every push again by rules of
 * its own, from the beginning of the log; nothing of the product's memory is asked.
 */
#ifndef TESTS_SIM_CHECKER_H
#define TESTS_SIM_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is there nothing left to do? `tell`: say into the trace what is. */
bool checker_is_quiet(bool tell);
/* Ends the history with a text if a promise is broken. */
void checker_check(void);
/* The offset of the newest push of the partition that became a value; -1: none. After a check. */
int64_t checker_highest(int32_t partition);
/* A log that lost values which dadns.zones has was cut: that was said, and nobody judged on. */
void checker_check_cut(int32_t partition, int64_t zones_end);
/* Acknowledged pushes that lost their place while Kafka and Redis were both out of reach. */
size_t checker_losses(void);

#endif
