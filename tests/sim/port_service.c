/* SPDX-License-Identifier: Apache-2.0 */
/* common/service.h: a process's life on the stage. The configuration is read by the product's own
 * code, from tests/sim/dadns.yml. */
#include "common/service.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/cast.h"
#include "tests/sim/stage.h"
#include "tests/sim/trace.h"

#define PARTS_MAX 32

struct readiness {
	const char *name;
	bool ready;
};

struct service {
	struct process *process;
	struct config *config;
	bool running;
	int exit_code;
	struct readiness parts[PARTS_MAX];
	size_t part_count;
};

static struct metric metrics[] = {
	COUNTER("dadns_service_model", "", "the simulation counts elsewhere")};
const struct metric_table service_metrics = METRIC_TABLE(metrics);

struct service *service_start(const struct service_about *about, void *base, int argc, char **argv)
{
	struct service *service = xcalloc(1, sizeof(*service));
	struct reason why;

	service->process = stage_process();
	service->running = true;
	if (config_load(&service->config, about->keys, base, argc, argv, about->choose_flag,
			about->accepts, &why) != OK) {
		broken("configuration: %s", why.text);
	}
	cast_has_service(service->process, service);
	return service;
}

const struct config *service_config(const struct service *service)
{
	return service->config;
}

bool service_running(const struct service *service)
{
	return service->running;
}

void service_stop(struct service *service, const struct reason *why)
{
	trace("stops: %s", why->text);
	service->running = false;
	service->exit_code = 1;
	cast_stopped(why->text);
	process_wake(service->process);
}

void service_tell_to_end(struct service *service)
{
	service->running = false;
	process_wake(service->process);
}

void service_ready(struct service *service, const char *part, bool ready, const char *why)
{
	struct readiness *at = service->parts;

	while (at < service->parts + service->part_count && strcmp(at->name, part) != 0) {
		at++;
	}
	if (at == service->parts + service->part_count) {
		if (service->part_count == PARTS_MAX) {
			broken("more parts of readiness than the model has room for");
		}
		*at = (struct readiness){.name = part, .ready = !ready};
		service->part_count++;
	}
	if (at->ready != ready) {
		trace("%s: %s%s%s", part, ready ? "ready" : "not ready", ready ? "" : ": ",
		      ready || why == NULL ? "" : why);
	}
	at->ready = ready;
}

const char *service_unready_part(const struct service *service)
{
	for (size_t i = 0; i < service->part_count; i++) {
		if (!service->parts[i].ready) {
			return service->parts[i].name;
		}
	}
	return NULL;
}

void service_alive(struct service *service, const char *loop)
{
	(void)service;
	(void)loop;
}

void service_run(struct service *service)
{
	while (service->running) {
		stage_wait_until(NEVER);
	}
}

void service_pause(struct service *service, int64_t ms)
{
	int64_t until_us = stage_now_us() + ms * MS;

	while (service->running && stage_now_us() < until_us) {
		stage_wait_until(until_us);
	}
}

int service_finish(struct service *service)
{
	return service->exit_code;
}

void service_page(struct service *service, const char *path,
		  void (*print)(void *context, struct buf *out), void *context)
{
	(void)service;
	(void)path;
	(void)print;
	(void)context;
}
