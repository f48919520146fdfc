/* SPDX-License-Identifier: Apache-2.0 */
/* place.h: a model of a place that serves zones, behind common/backend.h's vtable. `east` is like a
 * directory of zone files (one writer; each zone is written for itself), `west` like a database
 * (several writers; a batch is one transaction, and what is committed is shown a moment later).
 *
 * The place outlives its writers. It fences by version and stores version, owner and digest with
 * the zone, as the contract says; a writer's visit knows only what open() showed it. A restore
 * brings the positions of the copy back; a writer who was here before cannot work on unnoticed.
 *
 * At every change it checks what needs no end of the history: that the value is one that the log
 * holds, whole, and that no zone goes back to an older version.
 */
#ifndef TESTS_SIM_PLACE_H
#define TESTS_SIM_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/backend.h"
#include "tests/sim/broker.h"
#include "tests/sim/history.h"

struct held_zone {
	bool known;
	struct version version;
	bool deleted;
	char owner[64];
	char digest[DIGEST_HEX_SIZE];
};

struct place_state {
	struct held_zone zones[ZONES];
	int64_t positions[PARTITIONS];
};

struct place {
	const char *name;
	bool is_database;
	struct place_state state;
	struct place_state older; /* what a restore brings back */
	int64_t born;             /* anew after a wipe or a restore */
	const void *locked_by;    /* a transaction */
	struct process *locker;
	int64_t away_until_us;
	int64_t refuses_until_us[ZONES];
	uint32_t changes;
};

struct place *place_named(const char *name);
void *place_visit(struct place *place); /* a writer's own side of it */
extern const struct backend_ops place_ops;

void place_go_away(struct place *place, int64_t until_us);
void place_refuse(struct place *place, size_t zone, int64_t until_us);
void place_keep_copy(struct place *place);
void place_wipe(struct place *place);
void place_restore(struct place *place);
void place_heal(struct place *place); /* from now on all is well */

#endif
