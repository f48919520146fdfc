/* SPDX-License-Identifier: Apache-2.0 */
/* figures.h: what the bench programs measure with: a clock, samples with their quantiles, and an
 * end with a text. Each program is one file, so this is all inline. They use nothing of common/:
 * a measure must not be slowed, or flattered, by what it measures.
 */
#ifndef TESTS_BENCH_FIGURES_H
#define TESTS_BENCH_FIGURES_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* Monotonic, in microseconds. */
static inline int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline void sleep_us(int64_t us)
{
	struct timespec pause = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&pause, NULL);
}

static inline void *need(void *memory)
{
	if (memory == NULL) {
		die("out of memory");
	}
	return memory;
}

/* All of them are kept: quantiles are exact. */
struct samples {
	int64_t *us;
	size_t count, room;
};

static inline void samples_add(struct samples *samples, int64_t us)
{
	if (samples->count == samples->room) {
		samples->room = samples->room == 0 ? 1024 : samples->room * 2;
		samples->us = need(realloc(samples->us, samples->room * sizeof(*samples->us)));
	}
	samples->us[samples->count++] = us;
}

static inline int samples_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static inline void samples_sort(struct samples *samples)
{
	if (samples->count > 0) {
		qsort(samples->us, samples->count, sizeof(*samples->us), samples_compare);
	}
}

/* In milliseconds, of sorted samples; nearest rank. 0 if there are none. */
static inline double samples_quantile(const struct samples *samples, double q)
{
	size_t rank = (size_t)(q * (double)samples->count + 0.999999);

	if (samples->count == 0) {
		return 0;
	}
	return (double)samples->us[rank == 0 ? 0 : rank - 1] / 1000;
}

static inline void samples_finish(struct samples *samples)
{
	free(samples->us);
	*samples = (struct samples){0};
}

/* "host:port" in place: cuts at the last colon and returns the port. */
static inline const char *address_split(char *address)
{
	char *colon = NULL;

	for (char *p = address; *p != '\0'; p++) {
		if (*p == ':') {
			colon = p;
		}
	}
	if (colon == NULL) {
		die("%s: not host:port", address);
	}
	*colon = '\0';
	return colon + 1;
}

static inline int64_t number_of(const char *text, const char *what)
{
	char *end;
	long long number = strtoll(text, &end, 10);

	if (end == text || *end != '\0' || number < 0) {
		die("%s: '%s' is not a number", what, text);
	}
	return number;
}

#endif
