/* SPDX-License-Identifier: Apache-2.0 */
/* c11_threads.c: C11's threads as POSIX's, for programs built with -fsanitize=thread.
 *
 * librdkafka uses C11 threads, which ThreadSanitizer does not know: a thread made that way crashes
 * it, and what a C11 mutex orders looks like a race. Linked into a program (by MODE=tsan only),
 * these definitions take the place of the C library's. glibc's own are the same calls, on types of
 * the same size.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "mtx_t is a pthread_mutex_t");
static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "cnd_t is a pthread_cond_t");
static_assert(sizeof(thrd_t) == sizeof(pthread_t), "thrd_t is a pthread_t");

#define MUTEX(mutex) ((pthread_mutex_t *)(void *)(mutex))
#define CONDITION(condition) ((pthread_cond_t *)(void *)(condition))

struct start {
	thrd_start_t function;
	void *argument;
};

static int result_of(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case ETIMEDOUT:
		return thrd_timedout;
	case ENOMEM:
		return thrd_nomem;
	case EBUSY:
		return thrd_busy;
	default:
		return thrd_error;
	}
}

static void *run(void *context)
{
	struct start start = *(struct start *)context;

	free(context);
	return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
	struct start *start = malloc(sizeof(*start));
	int error;

	if (start == NULL) {
		return thrd_nomem;
	}
	*start = (struct start){.function = function, .argument = argument};
	error = pthread_create(thread, NULL, run, start);
	if (error != 0) {
		free(start);
	}
	return result_of(error);
}

int thrd_join(thrd_t thread, int *result)
{
	void *value = NULL;
	int error = pthread_join(thread, &value);

	if (error == 0 && result != NULL) {
		*result = (int)(intptr_t)value;
	}
	return result_of(error);
}

int mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attributes;
	int error;

	(void)pthread_mutexattr_init(&attributes); /* cannot fail in glibc */
	(void)pthread_mutexattr_settype(&attributes, (type & mtx_recursive) != 0
							     ? PTHREAD_MUTEX_RECURSIVE
							     : PTHREAD_MUTEX_NORMAL);
	error = pthread_mutex_init(MUTEX(mutex), &attributes);
	(void)pthread_mutexattr_destroy(&attributes);
	return result_of(error);
}

int mtx_lock(mtx_t *mutex)
{
	return result_of(pthread_mutex_lock(MUTEX(mutex)));
}

int mtx_unlock(mtx_t *mutex)
{
	return result_of(pthread_mutex_unlock(MUTEX(mutex)));
}

void mtx_destroy(mtx_t *mutex)
{
	(void)pthread_mutex_destroy(MUTEX(mutex));
}

int cnd_init(cnd_t *condition)
{
	return result_of(pthread_cond_init(CONDITION(condition), NULL));
}

int cnd_signal(cnd_t *condition)
{
	return result_of(pthread_cond_signal(CONDITION(condition)));
}

int cnd_broadcast(cnd_t *condition)
{
	return result_of(pthread_cond_broadcast(CONDITION(condition)));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
	return result_of(pthread_cond_wait(CONDITION(condition), MUTEX(mutex)));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
	return result_of(pthread_cond_timedwait(CONDITION(condition), MUTEX(mutex), until));
}

void cnd_destroy(cnd_t *condition)
{
	(void)pthread_cond_destroy(CONDITION(condition));
}
