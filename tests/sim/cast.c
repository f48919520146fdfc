/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "tests/sim/dice.h"
#include "tests/sim/faults.h"
#include "tests/sim/mains.h"
#include "tests/sim/trace.h"

#define ROLES_MAX 8
#define LIVES_MAX 200

struct role {
	char name[16];
	const char *backend; /* NULL: ingest */
	struct process *process;
	struct service *service;
	unsigned lives;
	char stopped[240]; /* the last text with which it stopped by itself */
};

static struct role roles[ROLES_MAX];
static size_t role_count;
static size_t ingest_count;

static void start(void *context);

static struct role *role_of(const struct process *process)
{
	for (size_t i = 0; i < role_count; i++) {
		if (roles[i].process == process) {
			return &roles[i];
		}
	}
	return NULL;
}

static void start_again(struct role *role)
{
	role->process = NULL;
	role->service = NULL;
	if (role->lives > LIVES_MAX) {
		broken("%s is started again and again: %s", role->name, role->stopped);
	}
	stage_at(stage_now_us() + dice_between(200, 4000) * MS, start, role);
}

static void *live(void *context)
{
	struct role *role = context;
	int code = role->backend == NULL ? run_ingest() : run_writer(role->backend);

	trace("ends, exit code %d", code);
	role->process->alive = false;
	start_again(role);
	return NULL;
}

static void start(void *context)
{
	struct role *role = context;
	struct process *process = xcalloc(1, sizeof(*process));

	role->lives++;
	role->process = process;
	*process = (struct process){.name = role->name, .alive = true};
	if (fault_strikes(FAULT_CLOCK, 50)) {
		process->wall_skew_ms = dice_between(-3600, 3600) * 1000;
	}
	trace("%s starts", role->name);
	(void)thread_start(process, live, role);
}

static void add(const char *name, int number, const char *backend)
{
	struct role *role = &roles[role_count++];

	(void)snprintf(role->name, sizeof(role->name), "%s-%d", name, number);
	role->backend = backend;
	stage_at(stage_now_us() + dice_between(0, 2000) * MS, start, role);
}

void cast_begin(void)
{
	int ingests = (int)dice_between(1, 3);
	int wests = (int)dice_between(1, 2);

	for (int i = 1; i <= ingests; i++) {
		add("ingest", i, NULL);
	}
	ingest_count = role_count;
	add("east", 1, "east");
	for (int i = 1; i <= wests; i++) {
		add("west", i, "west");
	}
}

size_t cast_count(void)
{
	return role_count;
}

size_t cast_ingest_count(void)
{
	return ingest_count;
}

struct process *cast_process(size_t i)
{
	return roles[i].process;
}

void cast_kill(struct process *process)
{
	struct role *role = role_of(process);

	if (role != NULL) {
		start_again(role);
	}
	process_kill(process);
}

void cast_restart(struct process *process)
{
	const struct role *role = role_of(process);

	if (role != NULL && role->service != NULL) {
		service_tell_to_end(role->service);
	}
}

const char *cast_unready(void)
{
	static char text[128];

	for (size_t i = 0; i < role_count; i++) {
		const char *part = NULL;

		if (roles[i].service == NULL) {
			part = "it is down";
		} else {
			part = service_unready_part(roles[i].service);
		}
		if (part != NULL) {
			(void)snprintf(text, sizeof(text), "%s: %s", roles[i].name, part);
			return text;
		}
	}
	return NULL;
}

void cast_has_service(struct process *process, struct service *service)
{
	struct role *role = role_of(process);

	if (role != NULL) {
		role->service = service;
	}
}

void cast_stopped(const char *why)
{
	struct role *role = role_of(stage_process());

	if (role != NULL) {
		(void)snprintf(role->stopped, sizeof(role->stopped), "%s", why);
	}
}

bool cast_has_said(const char *part)
{
	for (size_t i = 0; i < role_count; i++) {
		if (strstr(roles[i].stopped, part) != NULL) {
			return true;
		}
	}
	return false;
}
