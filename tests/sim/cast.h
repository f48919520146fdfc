/* SPDX-License-Identifier: Apache-2.0 */
/* cast.h: the processes of a history: ingest replicas and writers, each the product's own main,
 * started again by a model of the orchestrator when it ended or died.
 */
#ifndef TESTS_SIM_CAST_H
#define TESTS_SIM_CAST_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/sim/stage.h"

struct service;

/* Draws how many of each there are, and starts them. */
void cast_begin(void);

/* Everything that can be killed, frozen, restarted. */
size_t cast_count(void);
struct process *cast_process(size_t i); /* NULL: it is down at the moment */
size_t cast_ingest_count(void);         /* the first ones are ingest */
void cast_kill(struct process *process);
void cast_restart(struct process *process); /* SIGTERM */
/* NULL: all are up and ready; else who is not, and why. */
const char *cast_unready(void);
/* Did one of them stop by itself, the last time with this in its text? */
bool cast_has_said(const char *part);

/* For the model of the service. */
void cast_has_service(struct process *process, struct service *service);
void cast_stopped(const char *why);
void service_tell_to_end(struct service *service);
const char *service_unready_part(const struct service *service);

#endif
