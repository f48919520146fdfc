/* SPDX-License-Identifier: Apache-2.0 */
/* The zones that somebody has to be told about, by name, and what becomes of their jobs: flushed
 * everywhere, then seen everywhere, then reported. */
#include <assert.h>
#include <stdlib.h>

#include "common/clock.h"
#include "services/writer-mysql/readers_parts.h"

static struct task **chain_of(const struct readers *readers, uint64_t hash)
{
	return &readers->table[hash & (readers->table_size - 1)];
}

static void grow_table(struct readers *readers)
{
	struct task **old = readers->table;
	size_t old_size = readers->table_size;

	readers->table_size = old_size == 0 ? 1024 : old_size * 2;
	readers->table = xcalloc(readers->table_size, sizeof(readers->table[0]));
	for (size_t i = 0; i < old_size; i++) {
		struct task *task = old[i];

		while (task != NULL) {
			struct task *next = task->next;
			struct task **chain = chain_of(readers, task->hash);

			task->next = *chain;
			*chain = task;
			task = next;
		}
	}
	free(old);
}

static struct task *task_create(const struct readers *readers)
{
	struct task *task = xcalloc(1, sizeof(*task));

	task->flushes = xcalloc(readers->flusher_count + 1, sizeof(task->flushes[0]));
	task->probes = xcalloc(readers->prober_count + 1, sizeof(task->probes[0]));
	for (size_t i = 0; i < readers->flusher_count; i++) {
		task->flushes[i].task = task;
		task->flushes[i].flusher = readers->flushers[i];
	}
	for (size_t i = 0; i < readers->prober_count; i++) {
		task->probes[i].task = task;
		task->probes[i].prober = readers->probers[i];
	}
	return task;
}

static void task_destroy(struct task *task)
{
	free(task->flushes);
	free(task->probes);
	free(task);
}

static struct task *task_of(struct readers *readers, const struct name *zone)
{
	uint64_t hash = name_hash(zone);
	struct task **chain;
	struct task *task;

	if (readers->task_count >= readers->table_size) {
		grow_table(readers);
	}
	chain = chain_of(readers, hash);
	for (task = *chain; task != NULL; task = task->next) {
		if (task->hash == hash && name_equal(&task->job.zone, zone)) {
			return task;
		}
	}
	task = task_create(readers);
	task->hash = hash;
	task->next = *chain;
	*chain = task;
	readers->task_count++;
	return task;
}

void task_free_if_idle(struct readers *readers, struct task *task)
{
	struct task **at = chain_of(readers, task->hash);

	if (task->open) {
		return;
	}
	for (size_t i = 0; i < readers->flusher_count; i++) {
		if (task->flushes[i].where != FLUSH_NOWHERE) {
			return;
		}
	}
	while (*at != task) {
		at = &(*at)->next;
	}
	*at = task->next;
	readers->task_count--;
	task_destroy(task);
}

static void end_job(struct readers *readers, struct task *task, enum outcome outcome,
		    const struct reason *why)
{
	for (size_t i = 0; i < readers->flusher_count; i++) {
		flush_forget(&task->flushes[i]);
	}
	for (size_t i = 0; i < readers->prober_count; i++) {
		probe_forget(&task->probes[i]);
	}
	task->open = false;
	readers_report(readers, task->job.ticket, outcome, why);
}

static void end_well(struct readers *readers, struct task *task)
{
	metric_observe_us(&readers_metrics.rows[READERS_SERVED], clock_us() - task->told_us);
	end_job(readers, task, OK, NULL);
	task_free_if_idle(readers, task);
}

static void look(struct readers *readers, struct task *task)
{
	task->probes_left = 0;
	for (size_t i = 0; i < readers->prober_count; i++) {
		task->probes_left += prober_tell(readers->probers[i], &task->probes[i]);
	}
	if (task->probes_left == 0) {
		end_well(readers, task);
	}
}

/* A newer job of a zone speaks for an older one that was not finished: what that one committed
 * will never be served again, and serials may also go down. */
void task_begin(struct readers *readers, const struct readers_job *job)
{
	struct task *task = task_of(readers, &job->zone);

	if (task->open) {
		end_job(readers, task, OK, NULL);
	}
	task->job = *job;
	task->open = true;
	task->told_us = clock_us();
	task->flushes_left = 0;
	for (size_t i = 0; i < readers->flusher_count; i++) {
		task->flushes_left += flusher_tell(readers->flushers[i], &task->flushes[i]);
	}
	if (task->flushes_left == 0) {
		look(readers, task);
	}
}

void task_flushed(struct readers *readers, struct task *task)
{
	assert(task->open && task->flushes_left > 0);
	if (--task->flushes_left == 0) {
		look(readers, task);
	}
}

void task_seen(struct readers *readers, struct task *task)
{
	assert(task->open && task->probes_left > 0);
	if (--task->probes_left == 0) {
		end_well(readers, task);
	}
}

void task_failed(struct readers *readers, struct task *task, const struct reason *why)
{
	end_job(readers, task, TEMPFAIL, why);
	task_free_if_idle(readers, task);
}

void task_stale(struct readers *readers, struct task *task)
{
	for (size_t i = 0; i < readers->flusher_count; i++) {
		flusher_repeat(readers->flushers[i], &task->flushes[i]);
	}
}

void readers_advise(const struct readers *readers, struct reason *out)
{
	if (readers->flusher_count == 0) {
		because(OK, out,
			"set `api` so that its caches are flushed, or raise verify_ms above its "
			"cache TTLs");
		return;
	}
	for (size_t i = 0; i < readers->flusher_count; i++) {
		const char *url = flusher_away(readers->flushers[i]);

		if (url != NULL) {
			because(OK, out, "its caches may be old, for %s is away", url);
			return;
		}
	}
	because(OK, out, "does it read this database, and is its API in `api`?");
}

void tasks_destroy(struct readers *readers)
{
	for (size_t i = 0; i < readers->table_size; i++) {
		struct task *task = readers->table[i];

		while (task != NULL) {
			struct task *next = task->next;

			task_destroy(task);
			task = next;
		}
	}
	free(readers->table);
}
