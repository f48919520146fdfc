/* SPDX-License-Identifier: Apache-2.0 */
/* transaction.h: one batch as one transaction: lock the version rows, fence, read what is there
 * (transaction.c), write the difference, count, stamp (difference.c), commit.
 *
 * The lock: version rows FOR UPDATE; a zone that has none is ordered by the primary key of its
 * stamp (a duplicate key rolls the later one back: SQL_AGAIN).
 */
#ifndef WRITER_MYSQL_TRANSACTION_H
#define WRITER_MYSQL_TRANSACTION_H

#include "services/writer-mysql/database_parts.h"

/* One zone's way through a batch. */
struct job {
	struct change *change;
	const struct zone_event *value;
	bool done;        /* what `change` says is final */
	enum outcome cut; /* not OK: the layout cannot hold it, `why` */
	struct reason why;
	struct rows want;
	char zone_text[NAME_TEXT_MAX + 2]; /* as in the zones table */
	/* as the database shows it, within one transaction */
	bool held; /* there is a version row */
	struct version held_version;
	bool foreign;    /* another primary owns the zone there */
	int64_t zone_id; /* 0: no such zone */
	struct rows have;
	bool *stay_have;
	bool *stay_want;
	size_t come, go; /* rows */
	bool add_zone, remove_zone;
	bool stamp; /* the version row is written */
};

/* All of `jobs` that are not done, in one transaction. TEMPFAIL: nothing was written, as far as is
 * known (sql_fault tells what kind); else each is done, or failed alone before anything was sent.
 */
MUST_CHECK enum outcome transaction_run(struct database *database, struct job *const *jobs,
					size_t count, struct reason *why);
/* Can anything be written at all? Writes a zone and takes it back. */
MUST_CHECK enum outcome transaction_probe(struct database *database, struct reason *why);

/* --- between the two files ----------------------------------------------------------------- */

/* The jobs of this transaction that are not done, sorted by zone; and those with a zone id, sorted
 * by that. */
struct transaction {
	struct database *database;
	struct job **by_zone;
	size_t count;
	struct job **by_id;
	size_t id_count;
	struct job *last;       /* rows of one zone come together */
	int64_t added, removed; /* rows */
	int64_t change;         /* its number, 0: it changes no content */
	int64_t *orphans;       /* zone ids of rows whose zone is gone */
	size_t orphan_count;
	/* parameters of one statement, `room` rows */
	int64_t *numbers[8];
	struct span *texts[4];
	size_t room;
};

/* Room for the parameters of `rows` rows. */
void transaction_make_room(struct transaction *transaction, size_t rows);
/* A row of select_zones. */
void transaction_note_zone(void *context, const struct sql_field *fields);
int job_compare_ids(const void *a, const void *b);
static inline bool job_changes_rows(const struct job *job)
{
	return job->add_zone || job->remove_zone || job->come != 0 || job->go != 0;
}
/* PERMFAIL: the rows do not add up, nothing may be committed. */
MUST_CHECK enum outcome difference_write(struct transaction *transaction, struct reason *why);

#endif
