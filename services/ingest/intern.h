/* SPDX-License-Identifier: Apache-2.0 */
/* intern.h: one copy of each text that many hold (DA hostnames, user names), counted.
 *
 * A million zones of twenty DA servers share twenty owner texts.
 *
 * Threads: belongs to whoever holds the table; not locked.
 */
#ifndef INGEST_INTERN_H
#define INGEST_INTERN_H

#include <stddef.h>

struct intern_table {
	struct intern_text **slots;
	size_t size; /* a power of two, or 0 */
	size_t count;
};

/* Equal texts give equal pointers. NULL gives NULL. Give each back with intern_release. */
const char *intern(struct intern_table *table, const char *text);
void intern_release(struct intern_table *table, const char *text); /* accepts NULL */
void intern_finish(struct intern_table *table); /* everything must have been given back */

#endif
