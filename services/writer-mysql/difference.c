/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of a transaction: zones, rows that go, rows that come, the count, the stamps. */
#include <stdlib.h>
#include <string.h>

#include "common/mark.h"
#include "services/writer-mysql/transaction.h"

#define NEXT_CHANGE "UPDATE dadns_meta SET value = LAST_INSERT_ID(value + 1) WHERE name = 'changed'"
#define UPDATE_STAMP                                                                            \
	"UPDATE dadns_zones SET epoch = ?, push_offset = ?, owner = ?, digest = ?, serial = ?," \
	" deleted = ?, zone_id = ?, changed = ? WHERE zone = ?"
#define INSERT_STAMP                                                                            \
	"INSERT INTO dadns_zones (epoch, push_offset, owner, digest, serial, deleted, zone_id," \
	" changed, zone) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"

static enum outcome add_zones(struct transaction *transaction, struct reason *why)
{
	struct database *database = transaction->database;
	size_t count = 0;
	enum outcome outcome;

	for (size_t i = 0; i < transaction->count; i++) {
		if (!transaction->by_zone[i]->done && transaction->by_zone[i]->add_zone) {
			transaction->texts[0][count++] =
				span_of(transaction->by_zone[i]->zone_text);
		}
	}
	if (count == 0) {
		return OK;
	}
	outcome = sql_write(database->sql, database->layout->insert_zone,
			    &(struct sql_column){.texts = transaction->texts[0]}, 1, count, NULL,
			    why);
	if (outcome != OK) {
		return outcome;
	}
	/* Which ids they got: those of an array need not follow each other. */
	return sql_read_in(database->sql, database->layout->select_zones,
			   (struct sql_column){.texts = transaction->texts[0]}, count,
			   transaction_note_zone, transaction, why);
}

static enum outcome remove_rows(struct transaction *transaction, struct reason *why)
{
	struct database *database = transaction->database;
	size_t rows = 0;
	size_t zones = 0;
	uint64_t removed = 0;
	enum outcome outcome = OK;

	for (size_t i = 0; i < transaction->count; i++) {
		const struct job *job = transaction->by_zone[i];

		if (job->done) {
			continue;
		}
		if (job->remove_zone) {
			transaction->numbers[1][zones++] = job->zone_id;
		}
		for (size_t r = 0; job->go != 0 && r < job->have.count; r++) {
			if (!job->stay_have[r]) {
				transaction->numbers[0][rows++] = job->have.items[r].id;
			}
		}
	}
	if (transaction->orphan_count != 0) {
		outcome = sql_write(database->sql, database->layout->delete_rows,
				    &(struct sql_column){.numbers = transaction->orphans}, 1,
				    transaction->orphan_count, &removed, why);
		transaction->removed += (int64_t)removed;
	}
	if (outcome == OK && rows != 0) {
		outcome = sql_write(database->sql, database->layout->delete_row,
				    &(struct sql_column){.numbers = transaction->numbers[0]}, 1,
				    rows, NULL, why);
		transaction->removed += (int64_t)rows;
	}
	if (outcome == OK && zones != 0) {
		outcome = sql_write(database->sql, database->layout->delete_rows,
				    &(struct sql_column){.numbers = transaction->numbers[1]}, 1,
				    zones, &removed, why);
		transaction->removed += (int64_t)removed;
	}
	if (outcome == OK && zones != 0) {
		outcome = sql_write(database->sql, database->layout->delete_zone,
				    &(struct sql_column){.numbers = transaction->numbers[1]}, 1,
				    zones, NULL, why);
	}
	return outcome;
}

static enum outcome add_rows(struct transaction *transaction, struct reason *why)
{
	struct database *database = transaction->database;
	struct sql_column columns[8] = {
		{.numbers = transaction->numbers[0]}, {.texts = transaction->texts[0]},
		{.texts = transaction->texts[1]},     {.texts = transaction->texts[2]},
		{.numbers = transaction->numbers[1]}, {.numbers = transaction->numbers[2]},
		{.numbers = transaction->numbers[3]}, {.numbers = transaction->numbers[4]},
	};
	size_t count = 0;

	for (size_t i = 0; i < transaction->count; i++) {
		const struct job *job = transaction->by_zone[i];

		for (size_t r = 0; !job->done && job->come != 0 && r < job->want.count; r++) {
			const struct row *row = &job->want.items[r];

			if (job->stay_want[r]) {
				continue;
			}
			transaction->numbers[0][count] = job->zone_id;
			transaction->texts[0][count] = row->name;
			transaction->texts[1][count] = row->type;
			transaction->texts[2][count] = row->data;
			transaction->numbers[1][count] = row->ttl < 0 ? SQL_NULL : row->ttl;
			transaction->numbers[2][count] = row->served;
			transaction->numbers[3][count] = row->prio;
			transaction->numbers[4][count] = row->auth;
			count++;
		}
	}
	if (count == 0) {
		return OK;
	}
	transaction->added = (int64_t)count;
	return sql_write(database->sql, database->layout->insert_row, columns,
			 database->layout->row_columns, count, NULL, why);
}

struct tally {
	struct transaction *transaction;
	int64_t *rows; /* in the order of by_id */
};

static void note_count(void *context, const struct sql_field *fields)
{
	struct tally *tally = context;
	const struct transaction *transaction = tally->transaction;

	for (size_t low = 0, high = transaction->id_count; low < high;) {
		size_t middle = (low + high) / 2;
		int64_t id = transaction->by_id[middle]->zone_id;

		if (id == fields[0].number) {
			tally->rows[middle] = fields[1].number;
			return;
		}
		if (fields[0].number < id) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
}

/* Before the commit: is each zone in the table as many rows as the log's value has? Somebody
 * else's trigger or insert would show. */
static enum outcome count_rows(struct transaction *transaction, struct reason *why)
{
	struct database *database = transaction->database;
	struct tally tally = {transaction, transaction->numbers[1]};
	enum outcome outcome;

	transaction->id_count = 0;
	for (size_t i = 0; i < transaction->count; i++) {
		struct job *job = transaction->by_zone[i];

		if (!job->done && job->zone_id != 0 && (job->come != 0 || job->go != 0)) {
			transaction->by_id[transaction->id_count++] = job;
		}
	}
	if (transaction->id_count == 0) {
		return OK;
	}
	qsort(transaction->by_id, transaction->id_count, sizeof(struct job *), job_compare_ids);
	for (size_t i = 0; i < transaction->id_count; i++) {
		transaction->numbers[0][i] = transaction->by_id[i]->zone_id;
		tally.rows[i] = 0;
	}
	outcome = sql_read_in(database->sql, database->layout->count_rows,
			      (struct sql_column){.numbers = transaction->numbers[0]},
			      transaction->id_count, note_count, &tally, why);
	for (size_t i = 0; outcome == OK && i < transaction->id_count; i++) {
		const struct job *job = transaction->by_id[i];

		if (tally.rows[i] != (int64_t)job->want.count) {
			outcome = because(PERMFAIL, why,
					  "zone %s has %lld rows after the change and should have "
					  "%zu: does a trigger or another program write to table "
					  "%s?",
					  job->value->zone.text, (long long)tally.rows[i],
					  job->want.count, database->layout->records_table);
		}
	}
	return outcome;
}

/* `changed` numbers follow the commits: the counter's row is locked from here to the commit. One
 * that is gone or went back belongs to tables that somebody is loading: we keep out of the way. */
static enum outcome next_change(struct database *database, int64_t *change, struct reason *why)
{
	uint64_t found;
	enum outcome outcome;

	outcome = sql_write(database->sql, NEXT_CHANGE, NULL, 0, 1, &found, why);
	if (outcome != OK) {
		return outcome;
	}
	*change = (int64_t)sql_insert_id(database->sql);
	if (found == 0 || *change <= database->changed) {
		database->restored = true;
		return because(TEMPFAIL, why,
			       "the count of changes in database %s is not what we left (tables "
			       "are being restored): looking at them again",
			       database->config->sql.database);
	}
	return OK;
}

/* Those that are there already, or the new ones. Also where no row changed the stamp did: a reader
 * that knows a version in between, which a restored dump does not have, waits for this one. */
static enum outcome write_stamps(struct transaction *transaction, bool held, struct reason *why)
{
	struct sql_column columns[9] = {
		{.numbers = transaction->numbers[0]}, {.numbers = transaction->numbers[1]},
		{.texts = transaction->texts[0]},     {.texts = transaction->texts[1]},
		{.numbers = transaction->numbers[2]}, {.numbers = transaction->numbers[3]},
		{.numbers = transaction->numbers[4]}, {.numbers = transaction->numbers[5]},
		{.texts = transaction->texts[2]},
	};
	size_t count = 0;

	for (size_t i = 0; i < transaction->count; i++) {
		const struct job *job = transaction->by_zone[i];
		const struct zone_event *value = job->value;

		if (job->done || job->held != held || !(job->stamp || job_changes_rows(job))) {
			continue;
		}
		transaction->numbers[0][count] = value->version.epoch;
		transaction->numbers[1][count] = value->version.offset;
		transaction->texts[0][count] = span_of(value->owner == NULL ? "" : value->owner);
		transaction->texts[1][count] =
			span_of(value->deleted || value->digest == NULL ? "" : value->digest);
		transaction->numbers[2][count] = value->serial;
		transaction->numbers[3][count] = value->deleted;
		transaction->numbers[4][count] = value->deleted ? SQL_NULL : job->zone_id;
		transaction->numbers[5][count] = transaction->change;
		transaction->texts[2][count] = name_span(&value->zone);
		count++;
	}
	if (count == 0) {
		return OK;
	}
	return sql_write(transaction->database->sql, held ? UPDATE_STAMP : INSERT_STAMP, columns, 9,
			 count, NULL, why);
}

enum outcome difference_write(struct transaction *transaction, struct reason *why)
{
	size_t rows = transaction->count;
	bool stamps = false;
	enum outcome outcome;

	for (size_t i = 0; i < transaction->count; i++) {
		const struct job *job = transaction->by_zone[i];

		if (!job->done) {
			rows += job->come > job->go ? job->come : job->go;
			stamps = stamps || job->stamp || job_changes_rows(job);
		}
	}
	transaction_make_room(transaction, rows);
	outcome = add_zones(transaction, why);
	if (outcome == OK) {
		outcome = remove_rows(transaction, why);
	}
	if (outcome == OK) {
		mark("mysql.half_written");
		outcome = add_rows(transaction, why);
	}
	if (outcome == OK) {
		outcome = count_rows(transaction, why);
	}
	if (outcome == OK && stamps) {
		outcome = next_change(transaction->database, &transaction->change, why);
	}
	if (outcome == OK) {
		outcome = write_stamps(transaction, true, why);
	}
	if (outcome == OK) {
		outcome = write_stamps(transaction, false, why);
	}
	return outcome;
}
