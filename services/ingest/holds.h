/* SPDX-License-Identifier: Apache-2.0 */
/* holds.h: asks whether a zone has held pushes, once per push (DESIGN section 5): a push must not
 * overtake those that wait for the same zone.
 *
 * An installation without a place to hold pushes (NULL) has none waiting: the answer is certain.
 *
 * Threads: any.
 */
#ifndef INGEST_HOLDS_H
#define INGEST_HOLDS_H

#include "common/name.h"

struct holds;

enum holds_answer {
	HOLDS_NONE,    /* certain: nothing waits */
	HOLDS_UNKNOWN, /* could not be asked: the push is taken as `unchecked` */
};
enum holds_answer holds_look(struct holds *holds, const struct name *zone);

#endif
