/* SPDX-License-Identifier: Apache-2.0 */
/* da.h: DirectAdmin servers, who save and delete zones through any ingest replica.
 */
#ifndef TESTS_SIM_DA_H
#define TESTS_SIM_DA_H

#include <stdbool.h>
#include <stdint.h>

/* They push until then, and have all their answers some time after. */
void da_begin(int64_t until_us);
bool da_is_done(void);

#endif
