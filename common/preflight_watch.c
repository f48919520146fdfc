/* SPDX-License-Identifier: Apache-2.0 */
#include "common/preflight_watch.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/buf.h"

enum {
	KAFKA_MS = 1000,
	EVERY_MS = 60000,
	AGAIN_MS = 2000,
};

struct preflight_watch {
	struct preflight_watch_config config;
	struct service *service;
	pthread_t thread;
};

/* true: nothing is wrong with what could be seen. */
static bool tell(struct preflight_watch *watch, const char *part, const struct preflight *preflight)
{
	const struct finding *wrong = preflight_tell(preflight);
	struct reason text;

	if (wrong == NULL) {
		service_ready(watch->service, part, true, NULL);
		return true;
	}
	preflight_text(wrong, &text);
	service_ready(watch->service, part, false, text.text);
	return false;
}

/* Kafka away is not for us to say: what was seen last holds. */
static bool look_at_kafka(struct preflight_watch *watch)
{
	struct preflight preflight;
	bool good = false;

	preflight_init(&preflight, watch->config.allow);
	preflight_kafka(&preflight, watch->config.bus, watch->config.topics, KAFKA_MS, false);
	if (preflight_first(&preflight, FINDING_AWAY) == NULL) {
		good = tell(watch, "topic settings", &preflight);
	}
	preflight_finish(&preflight);
	return good;
}

static bool look_at_redis(struct preflight_watch *watch)
{
	struct preflight preflight;
	bool good;

	preflight_init(&preflight, watch->config.allow);
	preflight.away_is = FINDING_WARN;
	preflight.wrong_is = watch->config.holds ? FINDING_WRONG : FINDING_WARN;
	preflight_redis(&preflight, watch->config.redis);
	good = tell(watch, "redis settings", &preflight);
	preflight_finish(&preflight);
	return good;
}

static void *run(void *context)
{
	struct preflight_watch *watch = context;

	while (service_running(watch->service)) {
		bool kafka = look_at_kafka(watch);
		bool redis = look_at_redis(watch);

		service_pause(watch->service, kafka && redis ? EVERY_MS : AGAIN_MS);
	}
	return NULL;
}

enum outcome preflight_watch_open(struct preflight_watch **out,
				  const struct preflight_watch_config *config,
				  struct service *service, struct reason *why)
{
	struct preflight_watch *watch;

	if (preflight_check_allow(config->allow, why) != OK) {
		return PERMFAIL;
	}
	watch = xcalloc(1, sizeof(*watch));
	watch->config = *config;
	watch->service = service;
	service_ready(service, "topic settings", false, "not looked at yet");
	if (pthread_create(&watch->thread, NULL, run, watch) != 0) {
		free(watch);
		return because(PERMFAIL, why, "preflight: cannot start a thread");
	}
	*out = watch;
	return OK;
}

void preflight_watch_close(struct preflight_watch *watch)
{
	if (watch == NULL) {
		return;
	}
	(void)pthread_join(watch->thread, NULL);
	free(watch);
}
