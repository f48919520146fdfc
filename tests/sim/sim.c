/* SPDX-License-Identifier: Apache-2.0 */
/* The simulation: plays histories, each from one seed and in a process of its own (so that nothing
 * but the seed decides it, and a crash is one more way to fail), and says what it found.
 *
 *	sim [--seconds=60] [--first=SEED] [--failures=5] [--jobs=N]
 *	                  as many histories as there is time for, or until so many failed
 *	sim --seed=SEED   one, with a trace
 *	sim --seeds=FILE  those that are listed, one at the beginning of each line
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/event.h"
#include "tests/sim/broker.h"
#include "tests/sim/cast.h"
#include "tests/sim/checker.h"
#include "tests/sim/da.h"
#include "tests/sim/dice.h"
#include "tests/sim/faults.h"
#include "tests/sim/history.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/place.h"
#include "tests/sim/stage.h"
#include "tests/sim/trace.h"

#define EPOCH 1000
#define REST_US (900 * SECONDS) /* over that long nothing may go on */
#define CUT_US (60 * SECONDS)   /* until a log that was cut is noticed */
#define LOOK_US (2 * SECONDS)
#define HANGS_S 30   /* of the processor's time */
#define SLEEPS_S 300 /* of the clock's: something really waits */
#define JOBS_MAX 64

/* What all histories were, in memory that they share. */
struct sums {
	_Atomic uint64_t histories;
	_Atomic uint64_t pushes, acknowledged, changes, starts;
	_Atomic uint64_t doubles, losses, cuts;
	_Atomic uint64_t virtual_ms;
	_Atomic uint64_t faults[FAULTS];
};
static struct sums *sums;

/* --- one history ----------------------------------------------------------------------------- */

static int64_t until_us;
static int64_t next_look_us;
static int looks_quiet;

static bool is_over(void)
{
	return stage_now_us() >= until_us && da_is_done();
}

static bool is_at_rest(void)
{
	if (stage_now_us() >= until_us) {
		(void)checker_is_quiet(true);
		broken("no rest: %s",
		       cast_unready() != NULL ? cast_unready() : "something is stuck");
	}
	if (stage_now_us() >= next_look_us) {
		next_look_us = stage_now_us() + LOOK_US;
		looks_quiet = checker_is_quiet(false) ? looks_quiet + 1 : 0;
	}
	return looks_quiet >= 3;
}

static void rest(void)
{
	until_us = stage_now_us() + REST_US;
	looks_quiet = 0;
	stage_play(is_at_rest);
	checker_check();
}

static bool is_time_up(void)
{
	return stage_now_us() >= until_us;
}

/* The end of the history, for nobody can go on behind that. */
static void cut_the_log(void)
{
	int32_t number = (int32_t)dice_roll(PARTITIONS);
	int64_t highest = checker_highest(number);
	int64_t zones_end = broker_partition(TOPIC_ZONES, number)->high;

	if (highest < 0) {
		return;
	}
	nemesis_cut(broker_partition(TOPIC_PUSHES, number), highest);
	until_us = stage_now_us() + CUT_US;
	stage_play(is_time_up);
	if (broker_partition(TOPIC_PUSHES, number)->high <= highest) { /* nothing late came */
		checker_check_cut(number, zones_end);
		sums->cuts++;
	}
}

static void make_epochs(void)
{
	for (int32_t i = 0; i < PARTITIONS; i++) {
		struct buf value = BUF_INIT(4096);
		const struct epoch_event epoch = {.epoch = EPOCH,
						  .made_at_ms = broker_wall_ms(),
						  .partition = i,
						  .partitions = PARTITIONS};
		struct bus_record record = {.key = span_of(KEY_EPOCH)};

		epoch_event_encode(&epoch, &value);
		record.value = buf_span(&value);
		(void)broker_append(broker_partition(TOPIC_ZONES, i), record_copy(&record));
		buf_finish(&value);
	}
}

static void add_up(void)
{
	sums->histories++;
	sums->pushes += history_count();
	sums->acknowledged += history_acknowledged();
	sums->changes += place_named("east")->changes + place_named("west")->changes;
	sums->virtual_ms += (uint64_t)(stage_now_us() / MS - 1000000);
	sums->doubles += faults_are_double();
	sums->losses += checker_losses();
	for (int i = 0; i < FAULTS; i++) {
		sums->faults[i] += fault_count((enum fault)i);
	}
}

static void play(uint64_t seed)
{
	int64_t end_us;

	dice_seed(seed);
	make_epochs();
	cast_begin();
	end_us = stage_now_us() + dice_between(5, 60) * SECONDS;
	da_begin(end_us);
	nemesis_begin(end_us);
	until_us = end_us;
	stage_play(is_over);
	nemesis_heal();
	rest();
	if (dice_percent(30)) {
		nemesis_shake();
		rest();
	}
	add_up();
	if (dice_percent(30)) {
		cut_the_log();
	}
}

/* --- many ------------------------------------------------------------------------------------ */

static pid_t play_apart(uint64_t seed)
{
	pid_t child = fork();

	if (child == 0) {
		(void)setrlimit(RLIMIT_CPU, &(struct rlimit){HANGS_S, HANGS_S + 1});
		(void)alarm(SLEEPS_S);
		play(seed);
		(void)fflush(stdout);
		_exit(0);
	}
	if (child < 0) {
		(void)fprintf(stderr, "cannot fork: %s\n", strerror(errno));
		exit(2);
	}
	return child;
}

static void tell_failure(uint64_t seed, int status)
{
	if (WIFSIGNALED(status)) {
		(void)fprintf(stderr, "    %s\n",
			      WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGALRM
				      ? "it hangs"
				      : strsignal(WTERMSIG(status)));
	}
	(void)fprintf(stderr, "seed %llu failed: make sim SEED=%llu\n", (unsigned long long)seed,
		      (unsigned long long)seed);
}

struct running {
	pid_t pid;
	uint64_t seed;
};

static double seconds_since(const struct timespec *began)
{
	struct timespec now;

	(void)timespec_get(&now, TIME_UTC);
	return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

/* Waits for one of them; whether it failed. */
static bool reap(struct running *running, size_t *count)
{
	int status;
	pid_t pid = wait(&status);
	bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;

	for (size_t i = 0; i < *count; i++) {
		if (running[i].pid == pid) {
			if (failed) {
				tell_failure(running[i].seed, status);
			}
			running[i] = running[--*count];
			break;
		}
	}
	return failed;
}

static void print_sums(double took_s, uint64_t first, uint64_t last, uint64_t failures)
{
	(void)printf("%llu histories in %.0f s (%.0f/s, %.0f times real time), seeds %llu to %llu, "
		     "%llu failed\n",
		     (unsigned long long)(sums->histories + failures), took_s,
		     (double)sums->histories / took_s, (double)sums->virtual_ms / 1000 / took_s,
		     (unsigned long long)first, (unsigned long long)last,
		     (unsigned long long)failures);
	(void)printf("%llu pushes, %llu acknowledged, %llu changes of a backend\n",
		     (unsigned long long)sums->pushes, (unsigned long long)sums->acknowledged,
		     (unsigned long long)sums->changes);
	(void)printf(
		"%llu histories with Kafka and Redis both out of reach, in which %llu acknowledged "
		"pushes lost their place\n",
		(unsigned long long)sums->doubles, (unsigned long long)sums->losses);
	(void)printf("%llu histories ended with a log that was cut\n",
		     (unsigned long long)sums->cuts);
	(void)printf("faults:");
	for (int i = 0; i < FAULTS; i++) {
		if (sums->faults[i] > 0) {
			(void)printf(" %s %llu", fault_name((enum fault)i),
				     (unsigned long long)sums->faults[i]);
		}
	}
	(void)printf("\n");
}

static bool nothing_happened(void)
{
	uint64_t faults = 0;

	for (int i = 0; i < FAULTS; i++) {
		faults += sums->faults[i];
	}
	return faults == 0 || sums->acknowledged == 0 || sums->changes == 0;
}

struct wanted {
	double seconds;
	uint64_t first;
	uint64_t failures;
	size_t jobs;
};

static int play_many(const struct wanted *wanted)
{
	struct running running[JOBS_MAX];
	struct timespec began;
	uint64_t failures = 0;
	uint64_t seed = wanted->first;
	size_t count = 0;

	(void)timespec_get(&began, TIME_UTC);
	while (seconds_since(&began) < wanted->seconds && failures < wanted->failures) {
		if (count == wanted->jobs) {
			failures += reap(running, &count);
		}
		running[count++] = (struct running){play_apart(seed), seed};
		seed++;
	}
	while (count > 0) {
		failures += reap(running, &count);
	}
	print_sums(seconds_since(&began), wanted->first, seed - 1, failures);
	if (failures == 0 && nothing_happened()) {
		(void)fprintf(stderr, "nothing happened: that proves nothing\n");
		failures = 1;
	}
	(void)printf("%d passed, %llu failed\n", failures == 0, (unsigned long long)failures);
	return failures == 0 ? 0 : 1;
}

/* Seeds that failed once. */
static int play_listed(const char *file)
{
	FILE *list = fopen(file, "r");
	struct running running;
	uint64_t failures = 0;
	char line[512];

	if (list == NULL) {
		(void)fprintf(stderr, "%s: %s\n", file, strerror(errno));
		return 2;
	}
	while (fgets(line, sizeof(line), list) != NULL) {
		size_t count = 1;

		if (line[0] < '0' || line[0] > '9') {
			continue; /* a remark */
		}
		running.seed = strtoull(line, NULL, 10);
		running.pid = play_apart(running.seed);
		failures += reap(&running, &count);
	}
	(void)fclose(list);
	(void)printf("%llu passed, %llu failed\n", (unsigned long long)sums->histories,
		     (unsigned long long)failures);
	return failures == 0 ? 0 : 1;
}

static int play_one(uint64_t seed)
{
	int status;

	tracing = true;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)waitpid(play_apart(seed), &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		return 0;
	}
	tell_failure(seed, status);
	return 1;
}

/* The value of --name=VALUE, or NULL. */
static const char *value_of(const char *argument, const char *name)
{
	size_t len = strlen(name);

	return strncmp(argument, name, len) == 0 && argument[len] == '=' ? argument + len + 1
									 : NULL;
}

int main(int argc, char **argv)
{
	struct wanted wanted = {.seconds = 60,
				.first = (uint64_t)time(NULL) * 1000,
				.failures = 5,
				.jobs = (size_t)sysconf(_SC_NPROCESSORS_ONLN)};
	const char *value;

	(void)clearenv(); /* DADNS_... of whoever runs this is not meant */
	sums = mmap(NULL, sizeof(*sums), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 1; i < argc; i++) {
		if ((value = value_of(argv[i], "--seed")) != NULL) {
			return play_one(strtoull(value, NULL, 10));
		}
		if ((value = value_of(argv[i], "--seeds")) != NULL) {
			return play_listed(value);
		}
		if ((value = value_of(argv[i], "--seconds")) != NULL) {
			wanted.seconds = strtod(value, NULL);
		} else if ((value = value_of(argv[i], "--first")) != NULL) {
			wanted.first = strtoull(value, NULL, 10);
		} else if ((value = value_of(argv[i], "--failures")) != NULL) {
			wanted.failures = strtoull(value, NULL, 10);
		} else if ((value = value_of(argv[i], "--jobs")) != NULL) {
			wanted.jobs = strtoull(value, NULL, 10);
		} else {
			(void)fprintf(stderr, "what is %s?\n", argv[i]);
			return 2;
		}
	}
	if (wanted.jobs < 1 || wanted.jobs > JOBS_MAX) {
		wanted.jobs = 1;
	}
	return play_many(&wanted);
}
