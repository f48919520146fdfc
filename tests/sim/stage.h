/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h: virtual time, and the threads of simulated processes as coroutines: one runs at a time,
 * and only where it waits does another come on.
 *
 * A thread waits in the functions that the models stand in for (bus_poll, service_pause,
 * pthread_cond_wait …), so the product's loops run as they are. The same seed gives the same
 * order of everything.
 *
 * Who waits may be woken early: every wait is a loop around a condition.
 *
 * A process that is killed loses its threads where they stand; its memory is never looked at again
 * (a history is one short-lived process of the real machine, so nothing is given back).
 */
#ifndef TESTS_SIM_STAGE_H
#define TESTS_SIM_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#define MS INT64_C(1000) /* of microseconds */
#define SECONDS (1000 * MS)
#define NEVER INT64_MAX
#define STAGE_WALL_MS INT64_C(1767225600000) /* time of day at 0 */

struct thread;

/* One life of a simulated process; a restart is another one. */
struct process {
	const char *name; /* "ingest-1" */
	bool alive;
	int64_t frozen_until_us; /* stopped, not dead */
	int64_t cut_until_us;    /* runs, but the broker does not hear it */
	int64_t wall_skew_ms;    /* its time of day is wrong by this */
	struct thread *threads;
};

int64_t stage_now_us(void);
/* Of the running thread; NULL: the world itself, which never dies. */
struct process *stage_process(void);
struct thread *stage_thread(void);

struct thread *thread_start(struct process *process, void *(*run)(void *argument), void *argument);
bool thread_is_done(const struct thread *thread);
/* Waits until then, or until woken; others run meanwhile. */
void stage_wait_until(int64_t at_us);
/* The same for a poll that found nothing: it may last several times as long, as on a slow machine,
 * unless it is woken. */
void stage_idle_ms(int64_t ms);
/* A moment passes. */
void stage_yield(void);
void thread_wake(struct thread *thread);
void process_wake(struct process *process); /* all of its threads */

/* Something in the world happens later. */
void stage_at(int64_t at_us, void (*happen)(void *context), void *context);
/* Plays until `done` says so (asked between two waits) or nothing is left to happen. */
void stage_play(bool (*done)(void));

void process_kill(struct process *process); /* does not return to a thread of its own */
void process_freeze(struct process *process, int64_t until_us);

#endif
