/* SPDX-License-Identifier: Apache-2.0 */
/* One transaction: lock the version rows, fence, read what is there, write the difference, count,
 * stamp, commit. */
#include <stdlib.h>
#include <string.h>

#include "common/mark.h"
#include "services/writer-mysql/transaction.h"

#define PROBE_ZONE "dadns-probe.invalid"

/* A small table would be read as a whole, and with it locks that are none of our business. */
#define SELECT_HELD                                                              \
	"SELECT zone, epoch, push_offset FROM dadns_zones FORCE INDEX (PRIMARY)" \
	" WHERE zone IN (%s) FOR UPDATE"

static int compare_zones(const void *a, const void *b)
{
	const struct job *const *left = a;
	const struct job *const *right = b;

	return strcmp((*left)->value->zone.text, (*right)->value->zone.text);
}

int job_compare_ids(const void *a, const void *b)
{
	const struct job *const *left = a;
	const struct job *const *right = b;

	return ((*left)->zone_id > (*right)->zone_id) - ((*left)->zone_id < (*right)->zone_id);
}

static struct job *job_of_zone(const struct transaction *transaction, const char *zone)
{
	size_t low = 0;
	size_t high = transaction->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(zone, transaction->by_zone[middle]->value->zone.text);

		if (order == 0) {
			return transaction->by_zone[middle];
		}
		if (order < 0) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return NULL;
}

static struct job *job_of_id(struct transaction *transaction, int64_t id)
{
	size_t low = 0;
	size_t high = transaction->id_count;

	if (transaction->last != NULL && transaction->last->zone_id == id) {
		return transaction->last;
	}
	while (low < high) {
		size_t middle = (low + high) / 2;
		struct job *job = transaction->by_id[middle];

		if (job->zone_id == id) {
			transaction->last = job;
			return job;
		}
		if (id < job->zone_id) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return NULL;
}

void transaction_make_room(struct transaction *transaction, size_t rows)
{
	if (rows <= transaction->room) {
		return;
	}
	transaction->room = rows + rows / 2;
	for (size_t i = 0; i < 8; i++) {
		transaction->numbers[i] =
			xrealloc(transaction->numbers[i],
				 transaction->room * sizeof(*transaction->numbers[i]));
	}
	for (size_t i = 0; i < 4; i++) {
		transaction->texts[i] = xrealloc(
			transaction->texts[i], transaction->room * sizeof(*transaction->texts[i]));
	}
}

static void finish(struct job *job, enum outcome outcome, enum change_result result)
{
	job->done = true;
	job->change->outcome = outcome;
	job->change->result = result;
}

/* --- what is there ------------------------------------------------------------------------- */

static void note_held(void *context, const struct sql_field *fields)
{
	struct transaction *transaction = context;
	struct name zone;
	struct reason ignored;
	struct job *job;

	if (name_parse(fields[0].text, &zone, &ignored) != OK) {
		return;
	}
	job = job_of_zone(transaction, zone.text);
	if (job != NULL) {
		job->held = true;
		job->held_version = (struct version){fields[1].number, fields[2].number};
	}
}

void transaction_note_zone(void *context, const struct sql_field *fields)
{
	struct transaction *transaction = context;
	struct name zone;
	struct job *job;

	if (!transaction->database->layout->zone_of(fields[1].text, &zone)) {
		return;
	}
	job = job_of_zone(transaction, zone.text);
	if (job != NULL) {
		job->zone_id = fields[0].number;
		job->foreign = fields[2].number != 0;
	}
}

static void note_row(void *context, const struct sql_field *fields)
{
	struct transaction *transaction = context;
	struct job *job = job_of_id(transaction, fields[0].number);
	struct row *row;

	if (job == NULL) {
		return;
	}
	row = rows_add(&job->have);
	*row = (struct row){
		.id = fields[1].number,
		.name = fields[2].null ? SPAN_EMPTY : rows_keep(&job->have, fields[2].text),
		.type = fields[3].null ? SPAN_EMPTY : rows_keep(&job->have, fields[3].text),
		.data = fields[4].null ? SPAN_EMPTY : rows_keep(&job->have, fields[4].text),
		.ttl = fields[5].null ? -1 : fields[5].number,
		.prio = fields[6].null ? 0 : fields[6].number,
		.served = !fields[7].null && fields[7].number != 0,
		.auth = !fields[8].null && fields[8].number != 0,
	};
}

static void forget(struct job *job)
{
	job->held = false;
	job->held_version = (struct version){0};
	job->foreign = false;
	job->zone_id = 0;
	rows_finish(&job->have);
	job->have = (struct rows)ROWS_INIT;
	free(job->stay_have);
	free(job->stay_want);
	job->stay_have = NULL;
	job->stay_want = NULL;
	job->come = 0;
	job->go = 0;
	job->add_zone = false;
	job->remove_zone = false;
	job->stamp = false;
}

static enum outcome read_zones(struct transaction *transaction, struct reason *why)
{
	struct sql *sql = transaction->database->sql;
	struct sql_column list = {.texts = transaction->texts[0]};
	enum outcome outcome;

	transaction_make_room(transaction, transaction->count);
	list.texts = transaction->texts[0];
	for (size_t i = 0; i < transaction->count; i++) {
		transaction->texts[0][i] = name_span(&transaction->by_zone[i]->value->zone);
	}
	outcome = sql_read_in(sql, SELECT_HELD, list, transaction->count, note_held, transaction,
			      why);
	if (outcome != OK) {
		return outcome;
	}
	mark("mysql.locked");
	for (size_t i = 0; i < transaction->count; i++) {
		transaction->texts[0][i] = span_of(transaction->by_zone[i]->zone_text);
	}
	return sql_read_in(sql, transaction->database->layout->select_zones, list,
			   transaction->count, transaction_note_zone, transaction, why);
}

static void note_orphan(void *context, const struct sql_field *fields)
{
	struct transaction *transaction = context;

	transaction->orphans = xrealloc(transaction->orphans, (transaction->orphan_count +
							       1) * sizeof(*transaction->orphans));
	transaction->orphans[transaction->orphan_count++] = fields[0].number;
}

/* Rows under our zones' names whose zone somebody removed alone (a dump that was loaded while we
 * worked): texts[0] still holds the zone texts. */
static enum outcome read_orphans(struct transaction *transaction, struct reason *why)
{
	const char *select = transaction->database->layout->select_orphans;

	if (select == NULL) {
		return OK;
	}
	return sql_read_in(transaction->database->sql, select,
			   (struct sql_column){.texts = transaction->texts[0]}, transaction->count,
			   note_orphan, transaction, why);
}

/* The rows of all zones that are there and will not simply go. */
static enum outcome read_rows(struct transaction *transaction, struct reason *why)
{
	transaction->id_count = 0;
	transaction->last = NULL;
	for (size_t i = 0; i < transaction->count; i++) {
		struct job *job = transaction->by_zone[i];

		if (!job->done && job->zone_id != 0 &&
		    (!job->value->deleted || job->change->expect != NULL)) {
			transaction->by_id[transaction->id_count++] = job;
		}
	}
	if (transaction->id_count == 0) {
		return OK;
	}
	qsort(transaction->by_id, transaction->id_count, sizeof(struct job *), job_compare_ids);
	for (size_t i = 0; i < transaction->id_count; i++) {
		transaction->numbers[0][i] = transaction->by_id[i]->zone_id;
	}
	return sql_read_in(transaction->database->sql, transaction->database->layout->select_rows,
			   (struct sql_column){.numbers = transaction->numbers[0]},
			   transaction->id_count, note_row, transaction, why);
}

/* --- decide -------------------------------------------------------------------------------- */

/* I4, before anything else is looked at. */
static void fence(struct job *job)
{
	const struct change *change = job->change;
	int order = version_compare(job->value->version, job->held_version);

	if (order < 0 && !(change->expect != NULL && change->stuck_ahead &&
			   version_compare(change->expect->version, job->held_version) == 0)) {
		finish(job, OK, CHANGE_OLDER);
	} else if (change->burial && version_is_none(job->held_version)) {
		finish(job, OK, CHANGE_OLDER);
	} else if (job->foreign) {
		job->change->why = (struct reason){
			"the domains table says that this zone comes from another primary (type "
			"SLAVE), which would overwrite it: make it NATIVE or remove it there"};
		finish(job, PERMFAIL, CHANGE_APPLIED);
		database_count(DATABASE_REFUSED, 1);
	} else if (job->cut != OK && !job->value->deleted) {
		job->change->why = job->why;
		finish(job, job->cut, CHANGE_APPLIED);
		database_count(DATABASE_REFUSED, 1);
	}
}

/* Of rows that make no zone it is a digest that no zone has. */
static void digest_of_rows(const struct database *database, const struct job *job,
			   char digest[DIGEST_HEX_SIZE])
{
	static const struct zone_limits limits = {.text_bytes = 64 << 20,
						  .records = 1000000,
						  .rdata_bytes = 65535,
						  .ttl_max = 2147483647,
						  .warnings = 1};
	struct buf text = BUF_INIT(64 << 20);
	struct zone *zone = NULL;
	struct reason ignored;

	memset(digest, '0', DIGEST_HEX_SIZE - 1);
	digest[DIGEST_HEX_SIZE - 1] = '\0';
	database->layout->print(&job->value->zone, &job->have, &text);
	if (!text.overflow &&
	    zone_parse(&job->value->zone, buf_span(&text), &limits, &zone, &ignored) == OK) {
		memcpy(digest, zone_digest(zone), DIGEST_HEX_SIZE);
	}
	zone_destroy(zone);
	buf_finish(&text);
}

/* I6: does the backend still show what the audit saw? */
static bool shows(const struct database *database, const struct job *job)
{
	const struct backend_view *expect = job->change->expect;
	char digest[DIGEST_HEX_SIZE];

	if (!version_is_none(expect->version) &&
	    version_compare(expect->version, job->held_version) != 0) {
		return false;
	}
	if (expect->absent || expect->digest[0] == '\0' || job->zone_id == 0) {
		return job->zone_id == 0 && (expect->absent || expect->digest[0] == '\0');
	}
	digest_of_rows(database, job, digest);
	return strcmp(digest, expect->digest) == 0;
}

static void compare_rows(struct job *job)
{
	job->stay_have = xcalloc(job->have.count + 1, sizeof(bool));
	job->stay_want = xcalloc(job->want.count + 1, sizeof(bool));
	if (job->have.count != 0) { /* a new zone's rows need not be sorted */
		rows_match(&job->have, &job->want, job->stay_have, job->stay_want);
	}
	for (size_t i = 0; i < job->have.count; i++) {
		job->go += !job->stay_have[i];
	}
	for (size_t i = 0; i < job->want.count; i++) {
		job->come += !job->stay_want[i];
	}
}

static void decide(const struct database *database, struct job *job)
{
	int order = version_compare(job->value->version, job->held_version);

	/* An equal version is ours to finish, whatever the audit saw before we began it. */
	if (job->change->expect != NULL && order != 0 && !shows(database, job)) {
		finish(job, OK, CHANGE_OLDER);
		return;
	}
	job->stamp = order != 0;
	if (job->value->deleted) {
		job->remove_zone = job->zone_id != 0;
		return;
	}
	job->add_zone = job->zone_id == 0;
	compare_rows(job);
}

/* --- one transaction ----------------------------------------------------------------------- */

static enum outcome run(struct transaction *transaction, struct reason *why)
{
	struct database *database = transaction->database;
	bool anything;
	enum outcome outcome;

	outcome = sql_run(database->sql, "START TRANSACTION", why);
	if (outcome == OK) {
		outcome = read_zones(transaction, why);
	}
	if (outcome == OK) {
		outcome = read_orphans(transaction, why);
	}
	for (size_t i = 0; outcome == OK && i < transaction->count; i++) {
		fence(transaction->by_zone[i]);
	}
	if (outcome == OK) {
		outcome = read_rows(transaction, why);
	}
	if (outcome != OK) {
		return outcome;
	}
	anything = transaction->orphan_count != 0;
	for (size_t i = 0; i < transaction->count; i++) {
		struct job *job = transaction->by_zone[i];

		if (!job->done) {
			decide(database, job);
			anything =
				anything || (!job->done && (job->stamp || job_changes_rows(job)));
		}
	}
	if (!anything) {
		return sql_run(database->sql, "ROLLBACK", why);
	}
	outcome = difference_write(transaction, why);
	if (outcome != OK) {
		return outcome;
	}
	mark("mysql.before_commit");
	outcome = sql_run(database->sql, "COMMIT", why);
	mark("mysql.committed");
	if (outcome == OK) {
		if (transaction->change != 0) {
			database->changed = transaction->change;
		}
		database_count(DATABASE_BATCHES, 1);
		database_count(DATABASE_ROWS_ADDED, transaction->added);
		database_count(DATABASE_ROWS_REMOVED, transaction->removed);
	}
	return outcome;
}

enum outcome transaction_run(struct database *database, struct job *const *jobs, size_t count,
			     struct reason *why)
{
	struct transaction transaction = {.database = database};
	struct reason ignored;
	enum outcome outcome;

	transaction.by_zone = xcalloc(count + 1, sizeof(struct job *));
	transaction.by_id = xcalloc(count + 1, sizeof(struct job *));
	for (size_t i = 0; i < count; i++) {
		if (!jobs[i]->done) {
			forget(jobs[i]);
			transaction.by_zone[transaction.count++] = jobs[i];
		}
	}
	qsort(transaction.by_zone, transaction.count, sizeof(struct job *), compare_zones);
	outcome = run(&transaction, why);
	for (size_t i = 0; outcome == OK && i < transaction.count; i++) {
		struct job *job = transaction.by_zone[i];

		if (!job->done) {
			finish(job, OK, job_changes_rows(job) ? CHANGE_APPLIED : CHANGE_VERIFIED);
		}
	}
	if (outcome != OK && sql_is_open(database->sql) &&
	    sql_run(database->sql, "ROLLBACK", &ignored) != OK) {
		sql_close(database->sql);
	}
	for (size_t i = 0; i < 8; i++) {
		free(transaction.numbers[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		free(transaction.texts[i]);
	}
	free(transaction.orphans);
	free(transaction.by_id);
	free(transaction.by_zone);
	return outcome;
}

enum outcome transaction_probe(struct database *database, struct reason *why)
{
	const struct layout *layout = database->layout;
	int64_t numbers[5] = {0, 60, 1, 0, 1}; /* zone id, ttl, served, prio, auth */
	struct span texts[4] = {{0}, span_of("dadns-probe"), span_of("TXT"), span_of("\"probe\"")};
	struct sql_column row[8] = {
		{.numbers = &numbers[0]}, {.texts = &texts[1]},     {.texts = &texts[2]},
		{.texts = &texts[3]},     {.numbers = &numbers[1]}, {.numbers = &numbers[2]},
		{.numbers = &numbers[3]}, {.numbers = &numbers[4]},
	};
	char zone_text[NAME_TEXT_MAX + 2];
	struct name zone;
	struct reason ignored;
	enum outcome outcome;

	outcome = name_parse(span_of(PROBE_ZONE), &zone, why);
	if (outcome == OK) {
		layout->zone_text(&zone, zone_text);
		texts[0] = span_of(zone_text);
		outcome = sql_run(database->sql, "START TRANSACTION", why);
	}
	if (outcome == OK) {
		outcome = sql_write(database->sql, layout->insert_zone,
				    &(struct sql_column){.texts = &texts[0]}, 1, 1, NULL, why);
	}
	if (outcome == OK) {
		numbers[0] = (int64_t)sql_insert_id(database->sql);
		outcome = sql_write(database->sql, layout->insert_row, row, layout->row_columns, 1,
				    NULL, why);
	}
	if (outcome != OK && sql_fault(database->sql) == SQL_AGAIN) {
		outcome = OK; /* another member probes as well: it got that far */
	}
	if (sql_is_open(database->sql) && sql_run(database->sql, "ROLLBACK", &ignored) != OK) {
		sql_close(database->sql);
	}
	return outcome;
}
