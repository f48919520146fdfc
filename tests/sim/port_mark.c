/* SPDX-License-Identifier: Apache-2.0 */
/* common/mark.h: between two steps a process may die, or another thread come first. */
#include "common/mark.h"

#include <stddef.h>

#include "tests/sim/cast.h"
#include "tests/sim/dice.h"
#include "tests/sim/faults.h"
#include "tests/sim/stage.h"
#include "tests/sim/trace.h"

void mark(const char *name)
{
	if (stage_process() == NULL) {
		return;
	}
	if (fault_is_on(FAULT_KILL_AT_MARK) && dice_roll(150) == 0) {
		fault_note(FAULT_KILL_AT_MARK);
		trace("killed at %s", name);
		cast_kill(stage_process());
	}
	if (dice_percent(3)) {
		stage_yield();
	}
}

const char *mark_armed(void)
{
	return NULL;
}
