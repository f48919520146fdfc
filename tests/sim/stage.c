/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/stage.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "common/buf.h"
#include "tests/sim/dice.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBERS 1
#endif
#endif
#ifdef FIBERS
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES (1024 * 1024)
#else
#define STACK_BYTES (256 * 1024)
#endif

#define SLOWEST 16 /* times that an idle poll may be stretched */

struct thread {
	struct process *process;
	struct thread *next; /* of its process */
	void *(*run)(void *);
	void *argument;
	ucontext_t context;
	char *stack;
	void *fiber;   /* the sanitizer's */
	uint64_t wait; /* number of its present wait: older entries of the agenda are void */
	bool waiting;
	bool done;
};

/* What is to happen, by time. */
struct entry {
	int64_t at_us;
	uint64_t number; /* first come, first served */
	struct thread *thread;
	uint64_t wait;
	void (*happen)(void *);
	void *context;
};

static struct {
	int64_t now_us;
	uint64_t numbers;
	struct entry *heap;
	size_t count, size;
	struct thread *running;
	ucontext_t world;
	void *world_fiber;
	const void *world_stack;
	size_t world_stack_bytes;
} stage = {.now_us = 1000 * SECONDS};

int64_t stage_now_us(void)
{
	return stage.now_us;
}

struct process *stage_process(void)
{
	return stage.running == NULL ? NULL : stage.running->process;
}

struct thread *stage_thread(void)
{
	return stage.running;
}

/* What the product's clock.c asks: --wrap=clock_gettime. */
int __wrap_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_clock_gettime(clockid_t id, struct timespec *out)
{
	const struct process *process = stage_process();
	int64_t now_us = stage.now_us;

	if (id == CLOCK_REALTIME) {
		now_us += STAGE_WALL_MS * MS + (process == NULL ? 0 : process->wall_skew_ms * MS);
	}
	out->tv_sec = (time_t)(now_us / SECONDS);
	out->tv_nsec = (long)(now_us % SECONDS) * 1000;
	return 0;
}

/* --- the agenda ------------------------------------------------------------------------------ */

static bool is_before(const struct entry *a, const struct entry *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void swap(size_t a, size_t b)
{
	struct entry entry = stage.heap[a];

	stage.heap[a] = stage.heap[b];
	stage.heap[b] = entry;
}

static void add(struct entry entry)
{
	size_t at = stage.count++;

	if (stage.count > stage.size) {
		stage.size = stage.size == 0 ? 256 : stage.size * 2;
		stage.heap = xrealloc(stage.heap, stage.size * sizeof(stage.heap[0]));
	}
	entry.number = stage.numbers++;
	stage.heap[at] = entry;
	while (at > 0 && is_before(&stage.heap[at], &stage.heap[(at - 1) / 2])) {
		swap(at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
}

static struct entry take(void)
{
	struct entry first = stage.heap[0];
	size_t at = 0;

	stage.heap[0] = stage.heap[--stage.count];
	for (;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
			if (child < stage.count &&
			    is_before(&stage.heap[child], &stage.heap[least])) {
				least = child;
			}
		}
		if (least == at) {
			return first;
		}
		swap(at, least);
		at = least;
	}
}

void stage_at(int64_t at_us, void (*happen)(void *context), void *context)
{
	add((struct entry){.at_us = at_us < stage.now_us ? stage.now_us : at_us,
			   .happen = happen,
			   .context = context});
}

/* --- coming on and going off ----------------------------------------------------------------- */

static void go_off(bool for_good)
{
	struct thread *thread = stage.running;

#ifdef FIBERS
	__sanitizer_start_switch_fiber(for_good ? NULL : &thread->fiber, stage.world_stack,
				       stage.world_stack_bytes);
#else
	(void)for_good;
#endif
	(void)swapcontext(&thread->context, &stage.world);
#ifdef FIBERS
	__sanitizer_finish_switch_fiber(thread->fiber, &stage.world_stack,
					&stage.world_stack_bytes);
#endif
}

static void come_on(struct thread *thread)
{
	thread->waiting = false;
	stage.running = thread;
#ifdef FIBERS
	__sanitizer_start_switch_fiber(&stage.world_fiber, thread->stack, STACK_BYTES);
#endif
	(void)swapcontext(&stage.world, &thread->context);
#ifdef FIBERS
	__sanitizer_finish_switch_fiber(stage.world_fiber, NULL, NULL);
#endif
	stage.running = NULL;
}

static void enter(void)
{
	struct thread *thread = stage.running;

#ifdef FIBERS
	__sanitizer_finish_switch_fiber(NULL, &stage.world_stack, &stage.world_stack_bytes);
#endif
	(void)thread->run(thread->argument);
	thread->done = true;
	process_wake(thread->process); /* whoever joins it */
	go_off(true);
}

struct thread *thread_start(struct process *process, void *(*run)(void *argument), void *argument)
{
	struct thread *thread = xcalloc(1, sizeof(*thread));

	thread->process = process;
	thread->run = run;
	thread->argument = argument;
	thread->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(thread->stack != MAP_FAILED);
	(void)mprotect(thread->stack, 4096, PROT_NONE); /* an overflow is seen */
	(void)getcontext(&thread->context);
	thread->context.uc_stack.ss_sp = thread->stack;
	thread->context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&thread->context, enter, 0);
	if (process != NULL) {
		thread->next = process->threads;
		process->threads = thread;
	}
	thread->waiting = true;
	add((struct entry){.at_us = stage.now_us + dice_between(0, 50),
			   .thread = thread,
			   .wait = ++thread->wait});
	return thread;
}

bool thread_is_done(const struct thread *thread)
{
	return thread->done;
}

void stage_wait_until(int64_t at_us)
{
	struct thread *thread = stage.running;

	thread->waiting = true;
	thread->wait++;
	if (at_us != NEVER) {
		add((struct entry){.at_us = at_us < stage.now_us ? stage.now_us : at_us,
				   .thread = thread,
				   .wait = thread->wait});
	}
	go_off(false);
}

void stage_idle_ms(int64_t ms)
{
	stage_wait_until(stage.now_us + (ms < 1 ? 20 : ms * MS * dice_between(1, SLOWEST)));
}

void stage_yield(void)
{
	stage_wait_until(stage.now_us + dice_between(1, 20));
}

void thread_wake(struct thread *thread)
{
	if (thread == NULL || !thread->waiting || thread->done) {
		return;
	}
	add((struct entry){.at_us = stage.now_us + dice_between(1, 20),
			   .thread = thread,
			   .wait = thread->wait});
}

void process_wake(struct process *process)
{
	for (struct thread *at = process == NULL ? NULL : process->threads; at != NULL;
	     at = at->next) {
		thread_wake(at);
	}
}

static void play_one(struct entry entry)
{
	struct process *process;

	if (entry.happen != NULL) {
		entry.happen(entry.context);
		return;
	}
	process = entry.thread->process;
	if (entry.thread->done || !entry.thread->waiting || entry.thread->wait != entry.wait ||
	    (process != NULL && !process->alive)) {
		return;
	}
	if (process != NULL && process->frozen_until_us > stage.now_us) {
		entry.at_us = process->frozen_until_us + dice_between(0, 100);
		add(entry);
		return;
	}
	come_on(entry.thread);
}

void stage_play(bool (*done)(void))
{
	while (stage.count > 0 && !done()) {
		struct entry entry = take();

		assert(entry.at_us >= stage.now_us);
		stage.now_us = entry.at_us;
		play_one(entry);
	}
}

/* --- the end of a process -------------------------------------------------------------------- */

void process_kill(struct process *process)
{
	process->alive = false;
	if (stage_process() == process) {
		go_off(true);
	}
}

void process_freeze(struct process *process, int64_t until_us)
{
	if (until_us > process->frozen_until_us) {
		process->frozen_until_us = until_us;
	}
}
