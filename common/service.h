/* SPDX-License-Identifier: Apache-2.0 */
/* service.h: a process's life: config, log, signals, /livez /readyz /metrics, draining, exit code.
 *
 * main() is: service_start, create parts, service_run, release in reverse, service_finish.
 * SIGTERM and SIGINT: service_running turns false and readiness false; a second one exits at once.
 * Services may start and stop in any order: a missing neighbour makes a service unready, never
 * dead.
 *
 * Threads: service_stop, service_running, service_ready and service_alive may be called from any.
 */
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/metrics.h"
#include "common/outcome.h"

struct service;

struct service_about {
	const char *name;                     /* "ingest", "writer-bind" */
	const char *summary;                  /* one line for --help */
	const struct config_key *const *keys; /* tables, ends with NULL; service_keys is added */
	const struct metric_table *const *metrics; /* ends with NULL; service_metrics is added */
	const char *choose_flag;                   /* NULL, or "backend" */
	bool (*accepts)(const char *type);         /* which stanza types this service serves */
};

/* The rows every service has. admin.listen: the three pages, "" = none. */
struct service_config {
	const char *log_level;
	const char *log_format;
	const char *admin_listen;
	int64_t admin_silence_ms;
};

/* Loads the config into `base`, whose FIRST member is a struct service_config. Handles --help,
 * --help=markdown (docs/CONFIGURATION.md rows), --help=metrics, --version and --check-config
 * (prints and exits 0, or 78 with the reason for a bad config). Bad config at a normal start:
 * prints what to do to stderr and exits 78. Sets up log and signals, serves the admin pages. */
struct service *service_start(const struct service_about *about, void *base, int argc, char **argv);
const struct config *service_config(const struct service *service);

bool service_running(const struct service *service);
/* Ends the process's run with an error: logs `why`, exit code 1 (the orchestrator restarts). */
void service_stop(struct service *service, const struct reason *why);
/* Readiness by part: ready when every part that was named says so. `why` is shown on /readyz; may
 * be NULL when ready. Logs changes. `part` is a constant text. */
void service_ready(struct service *service, const char *part, bool ready, const char *why);
/* The loop turned; /livez fails when a loop that reported once is silent for admin.silence_ms. */
void service_alive(struct service *service, const char *loop);
/* Blocks until the service shall end. */
void service_run(struct service *service);
/* Waits at most `ms`, less when the service shall end. For loops that have nothing to do. */
void service_pause(struct service *service, int64_t ms);
/* Closes the admin pages, frees everything; the exit code. */
int service_finish(struct service *service);

/* A further admin page (GET), e.g. "/status"; `print` is called on the admin thread. */
void service_page(struct service *service, const char *path,
		  void (*print)(void *context, struct buf *out), void *context);

extern const struct metric_table service_metrics;

#endif
