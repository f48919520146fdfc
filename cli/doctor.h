/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h: `dadns doctor`: everything that the installation stands on, looked at from here.
 *
 * Threads: none.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/verb.h"
#include "common/preflight.h"

extern const struct verb doctor_verbs[];
/* The backends' stanzas, as their writers read them. */
extern const struct config_key doctor_keys[];

/* doctor_fleet.c: are judges and writers there, does anything wait? */
void doctor_fleet(const struct cli *cli, struct preflight *findings);

#endif
