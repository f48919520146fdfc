/* SPDX-License-Identifier: Apache-2.0 */
/* mark.h: named places between two steps of a promise, where a test may end the process.
 *
 * DADNS_ABORT_AT=NAME or NAME:N ends the process as SIGKILL would at the first (N-th) time that
 * mark NAME is reached. Without the variable a mark costs one load. The names and places stand in
 * ARCHITECTURE.md; `grep -rn 'mark("' services common` lists them.
 */
#ifndef COMMON_MARK_H
#define COMMON_MARK_H

void mark(const char *name);
/* The armed mark's name, or NULL; for the start-up warning. */
const char *mark_armed(void);

#endif
