/* SPDX-License-Identifier: Apache-2.0 */
/* The product's pthread calls, by the linker's --wrap: threads of the stage, and locks that let
 * others come on. A lock's state lies in the product's own memory, whose zeroed form is "free".
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "tests/sim/dice.h"
#include "tests/sim/stage.h"

/* clang-format off */
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *how, void *(*run)(void *), void *argument);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *how);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *how);
int __wrap_pthread_rwlock_destroy(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *how);
int __wrap_pthread_cond_destroy(pthread_cond_t *cond);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);
/* clang-format on */

/* What lies in a mutex, an rwlock or a cond. */
struct lock {
	int32_t alone; /* 1: somebody has it */
	int32_t shared;
	uint32_t calls; /* of a cond */
};

static struct lock *lock_in(void *memory)
{
	return memory;
}

/* --- threads --------------------------------------------------------------------------------- */

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *how, void *(*run)(void *),
			  void *argument)
{
	(void)how;
	*out = (pthread_t)(uintptr_t)thread_start(stage_process(), run, argument);
	return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
	const struct thread *other = (const struct thread *)(uintptr_t)thread;

	assert(result == NULL); /* nobody here asks for it */
	while (!thread_is_done(other)) {
		stage_wait_until(NEVER);
	}
	return 0;
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	int64_t until_us =
		stage_now_us() + (int64_t)wanted->tv_sec * SECONDS + wanted->tv_nsec / 1000;

	(void)left;
	while (stage_now_us() < until_us) {
		stage_wait_until(until_us);
	}
	return 0;
}

/* --- locks ----------------------------------------------------------------------------------- */

static int clear(void *memory, size_t size)
{
	memset(memory, 0, size);
	return 0;
}

/* Now and then another thread comes first, where a real one might. */
static void acquire(struct lock *lock, bool alone)
{
	if (dice_percent(3)) {
		stage_yield();
	}
	while (lock->alone != 0 || (alone && lock->shared != 0)) {
		stage_yield();
	}
	if (alone) {
		lock->alone = 1;
	} else {
		lock->shared++;
	}
}

static int release(struct lock *lock)
{
	if (lock->alone != 0) {
		lock->alone = 0;
	} else {
		assert(lock->shared > 0);
		lock->shared--;
	}
	return 0;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *how)
{
	(void)how;
	return clear(mutex, sizeof(*mutex));
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	assert(lock_in(mutex)->alone == 0);
	return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	acquire(lock_in(mutex), true);
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	return release(lock_in(mutex));
}

int __wrap_pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *how)
{
	(void)how;
	return clear(lock, sizeof(*lock));
}

int __wrap_pthread_rwlock_destroy(pthread_rwlock_t *lock)
{
	assert(lock_in(lock)->alone == 0 && lock_in(lock)->shared == 0);
	return 0;
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	acquire(lock_in(lock), false);
	return 0;
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	acquire(lock_in(lock), true);
	return 0;
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	return release(lock_in(lock));
}

/* --- conditions ------------------------------------------------------------------------------ */

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *how)
{
	(void)how; /* every clock here is the stage's */
	return clear(cond, sizeof(*cond));
}

int __wrap_pthread_cond_destroy(pthread_cond_t *cond)
{
	(void)cond;
	return 0;
}

static int wait_for_call(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_us)
{
	const struct lock *lock = lock_in(cond);
	uint32_t before = lock->calls;

	(void)release(lock_in(mutex));
	while (lock->calls == before && stage_now_us() < until_us) {
		stage_wait_until(until_us);
	}
	acquire(lock_in(mutex), true);
	return lock->calls == before ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	return wait_for_call(cond, mutex, NEVER);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	return wait_for_call(cond, mutex, (int64_t)until->tv_sec * SECONDS + until->tv_nsec / 1000);
}

/* One or all: a call that wakes too many is one that the product must live with anyway. */
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
	lock_in(cond)->calls++;
	process_wake(stage_process());
	return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
	return __wrap_pthread_cond_broadcast(cond);
}
