/* SPDX-License-Identifier: Apache-2.0 */
#include "common/service.h"

#include <assert.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "common/mark.h"

#define EXIT_BAD_CONFIG 78 /* EX_CONFIG */
#define PAGE_BYTES_MAX ((size_t)16 << 20)
#define ADMIN_CLOSE_MS 1000
/* Parts, loops and pages are constants of the program. */
#define NAMES_MAX 32

struct part {
	const char *name;
	bool ready;
	struct reason why;
};

struct loop {
	const char *name;
	int64_t turned_ms;
};

struct page {
	const char *path;
	void (*print)(void *context, struct buf *out);
	void *context;
};

struct service {
	const struct service_about *about;
	const struct config_key **keys;
	const struct metric_table **metrics;
	struct config *config;
	struct http *admin;
	int64_t silence_ms; /* of a loop, until /livez fails */
	pthread_t signals;
	_Atomic bool running;
	_Atomic bool finished;
	_Atomic int exit_code;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t ended;
	struct part parts[NAMES_MAX];
	size_t part_count;
	struct loop loops[NAMES_MAX];
	size_t loop_count;
	struct page pages[NAMES_MAX];
	size_t page_count;
};

enum { BUILD, STARTED, READY, MEMORY, ROWS };

/* clang-format off */
static struct metric metrics[ROWS] = {
	[BUILD] = GAUGE("dadns_service_build_info", "version=\"" DADNS_VERSION "\"", "always 1; the version is the label"),
	[STARTED] = GAUGE("dadns_service_start_time_seconds", "", "when the process started, Unix time"),
	[READY] = GAUGE("dadns_service_ready", "", "1 when /readyz says so"),
	[MEMORY] = GAUGE("dadns_service_resident_bytes", "", "memory in use"),
};

static const struct config_key service_keys[] = {
	KEY_CHOICE(struct service_config, log_level, "log_level", "info", "debug|info|warn|warning|error|critical", "the lowest level that is logged"),
	KEY_CHOICE(struct service_config, log_format, "log_format", "auto", "auto|json|logfmt", "auto: logfmt on a terminal, JSON elsewhere"),
	KEY(struct service_config, admin_listen, "admin.listen", "", "ADDRESS:PORT for /livez, /readyz and /metrics"),
	KEY_RANGE(struct service_config, admin_silence_ms, "admin.silence_ms", "60000", 1000, 86400000, "until /livez says that a loop which does not turn is dead; longer where a table is altered for an hour"),
	{0},
};
/* clang-format on */
const struct metric_table service_metrics = METRIC_TABLE(metrics);

/* ---- the state ---- */

static bool is_ready(struct service *service)
{
	bool ready = atomic_load(&service->running);

	(void)pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->part_count; i++) {
		ready = ready && service->parts[i].ready;
	}
	(void)pthread_mutex_unlock(&service->lock);
	return ready;
}

/* The name of a loop that has not turned for too long, or NULL. */
static const char *silent_loop(struct service *service)
{
	int64_t oldest_ms = clock_ms() - service->silence_ms;
	const char *silent = NULL;

	if (!atomic_load(&service->running)) {
		return NULL; /* loops end before the process does */
	}
	(void)pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->loop_count; i++) {
		if (service->loops[i].turned_ms < oldest_ms) {
			silent = service->loops[i].name;
		}
	}
	(void)pthread_mutex_unlock(&service->lock);
	return silent;
}

static void end(struct service *service)
{
	(void)pthread_mutex_lock(&service->lock);
	atomic_store(&service->running, false);
	(void)pthread_cond_broadcast(&service->ended);
	(void)pthread_mutex_unlock(&service->lock);
}

bool service_running(const struct service *service)
{
	return atomic_load(&service->running);
}

void service_stop(struct service *service, const struct reason *why)
{
	log_error("service cannot go on", F("why", why->text));
	atomic_store(&service->exit_code, 1);
	end(service);
}

void service_ready(struct service *service, const char *part, bool ready, const char *why)
{
	struct part *found = NULL;
	bool changed = false;

	(void)pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->part_count; i++) {
		if (strcmp(service->parts[i].name, part) == 0) {
			found = &service->parts[i];
		}
	}
	if (found == NULL) {
		assert(service->part_count < NAMES_MAX);
		found = &service->parts[service->part_count++];
		found->name = part;
		changed = ready;
	} else {
		changed = found->ready != ready;
	}
	found->ready = ready;
	(void)because(TEMPFAIL, &found->why, "%s", ready || why == NULL ? "" : why);
	(void)pthread_mutex_unlock(&service->lock);

	if (changed && ready) {
		log_info("ready", F("part", part));
	} else if (changed) {
		log_warn("not ready", F("part", part), F("why", why));
	}
}

void service_alive(struct service *service, const char *loop)
{
	int64_t now_ms = clock_ms();
	size_t i = 0;

	(void)pthread_mutex_lock(&service->lock);
	while (i < service->loop_count && strcmp(service->loops[i].name, loop) != 0) {
		i++;
	}
	if (i == service->loop_count) {
		assert(i < NAMES_MAX);
		service->loop_count++;
	}
	service->loops[i] = (struct loop){loop, now_ms};
	(void)pthread_mutex_unlock(&service->lock);
}

void service_run(struct service *service)
{
	(void)pthread_mutex_lock(&service->lock);
	while (atomic_load(&service->running)) {
		(void)pthread_cond_wait(&service->ended, &service->lock);
	}
	(void)pthread_mutex_unlock(&service->lock);
}

void service_pause(struct service *service, int64_t ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_mutex_lock(&service->lock);
	while (atomic_load(&service->running) &&
	       pthread_cond_timedwait(&service->ended, &service->lock, &until) == 0) {
	}
	(void)pthread_mutex_unlock(&service->lock);
}

/* ---- signals ---- */

static void ending_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGINT);
}

/* The signals are blocked in every thread, and taken here. */
static void *take_signals(void *arg)
{
	struct service *service = arg;
	sigset_t set;
	int number = 0;
	bool again = false;

	ending_signals(&set);
	while (sigwait(&set, &number) == 0 && !atomic_load(&service->finished)) {
		if (again) {
			_exit(128 + number);
		}
		again = true;
		log_info("stopping", F("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"));
		end(service);
	}
	return NULL;
}

static void start_signals(struct service *service)
{
	sigset_t set;
	int error;

	ending_signals(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	error = pthread_create(&service->signals, NULL, take_signals, service);
	assert(error == 0);
}

/* ---- the admin pages ---- */

static void update_metrics(struct service *service)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages = 0;

	metric_set(&metrics[READY], is_ready(service));
	if (file == NULL) {
		return;
	}
	if (fscanf(file, "%*s %ld", &pages) == 1) {
		metric_set(&metrics[MEMORY], (int64_t)pages * sysconf(_SC_PAGESIZE));
	}
	(void)fclose(file); /* only read */
}

static void print_parts(struct service *service, struct buf *out)
{
	if (!atomic_load(&service->running)) {
		buf_add_text(out, "stopping\n");
	}
	(void)pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->part_count; i++) {
		const struct part *part = &service->parts[i];

		buf_addf(out, "%s: %s%s%s\n", part->name, part->ready ? "ready" : "not ready",
			 part->why.text[0] == '\0' ? "" : ", ", part->why.text);
	}
	(void)pthread_mutex_unlock(&service->lock);
}

static bool find_page(struct service *service, struct span path, struct page *out)
{
	bool found = false;

	(void)pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->page_count && !found; i++) {
		found = span_is(path, service->pages[i].path);
		if (found) {
			*out = service->pages[i];
		}
	}
	(void)pthread_mutex_unlock(&service->lock);
	return found;
}

static void answer_admin(void *context, struct http_request *request)
{
	struct service *service = context;
	struct buf text = BUF_INIT(PAGE_BYTES_MAX);
	struct span path = http_path(request);
	const char *type = "text/plain; charset=utf-8";
	const char *silent;
	struct page page;
	int status = 200;

	if (!span_is(http_method(request), "GET") && !span_is(http_method(request), "HEAD")) {
		status = 405;
		buf_add_text(&text, "only GET here\n");
	} else if (span_is(path, "/livez")) {
		silent = silent_loop(service);
		status = silent == NULL ? 200 : 503;
		buf_addf(&text, "%s%s\n",
			 silent == NULL ? "ok" : "silent: ", silent == NULL ? "" : silent);
	} else if (span_is(path, "/readyz")) {
		status = is_ready(service) ? 200 : 503;
		print_parts(service, &text);
	} else if (span_is(path, "/metrics")) {
		type = "text/plain; version=0.0.4; charset=utf-8";
		update_metrics(service);
		metrics_print(service->metrics, &text);
	} else if (find_page(service, path, &page)) {
		page.print(page.context, &text);
	} else {
		status = 404;
		buf_add_text(&text, "no such page\n");
	}
	if (text.overflow) {
		status = 500;
		buf_clear(&text);
	}
	http_answer(request, status, type, buf_span(&text),
		    status == 405 ? "Allow: GET, HEAD" : NULL);
	buf_finish(&text);
}

void service_page(struct service *service, const char *path,
		  void (*print)(void *context, struct buf *out), void *context)
{
	(void)pthread_mutex_lock(&service->lock);
	assert(service->page_count < NAMES_MAX);
	service->pages[service->page_count++] = (struct page){path, print, context};
	(void)pthread_mutex_unlock(&service->lock);
}

static void start_admin(struct service *service, const char *listen)
{
	struct http_config config = HTTP_CONFIG_DEFAULT;
	struct reason why;

	if (listen[0] == '\0') {
		return;
	}
	config.listen = listen;
	config.connections = 64;
	config.connections_per_address = 32;
	config.body_bytes = 4096;
	if (http_listen(&service->admin, &config, answer_admin, service, &why) != OK) {
		service_stop(service, &why);
	}
}

/* ---- start and finish ---- */

static void add_tables(struct service *service)
{
	const struct service_about *about = service->about;
	size_t n = 0;

	while (about->keys != NULL && about->keys[n] != NULL) {
		n++;
	}
	service->keys = xcalloc(n + 2, sizeof(*service->keys));
	service->keys[0] = service_keys;
	for (size_t i = 0; i < n; i++) {
		service->keys[i + 1] = about->keys[i];
	}
	n = 0;
	while (about->metrics != NULL && about->metrics[n] != NULL) {
		n++;
	}
	service->metrics = xcalloc(n + 2, sizeof(*service->metrics));
	service->metrics[0] = &service_metrics;
	for (size_t i = 0; i < n; i++) {
		service->metrics[i + 1] = about->metrics[i];
	}
}

static void free_service(struct service *service)
{
	config_destroy(service->config);
	free(service->keys);
	free(service->metrics);
	(void)pthread_cond_destroy(&service->ended);
	(void)pthread_mutex_destroy(&service->lock);
	free(service);
}

static void leave(struct service *service, int exit_code)
{
	free_service(service);
	exit(exit_code);
}

static void print_help(struct service *service, const char *kind)
{
	struct buf text = BUF_INIT(PAGE_BYTES_MAX);

	if (strcmp(kind, "markdown") == 0) {
		config_print_markdown(service->keys, &text);
	} else if (strcmp(kind, "metrics") == 0) {
		metrics_print_markdown(service->metrics, &text);
	} else {
		buf_addf(&text, "%s: %s\n\nusage: %s [--config=FILE] [--KEY=VALUE ...]\n\n",
			 service->about->name, service->about->summary, service->about->name);
		if (service->about->choose_flag != NULL) {
			buf_addf(&text,
				 "  --%s=NAME\n        the stanza under dns.backends to serve\n",
				 service->about->choose_flag);
		}
		config_print_help(service->keys, &text);
	}
	(void)fputs(buf_text(&text), stdout);
	buf_finish(&text);
}

static int check_config(const struct config *config)
{
	const char *text;

	for (size_t i = 0; (text = config_note(config, i)) != NULL; i++) {
		(void)puts(text);
	}
	if (config_unknown_count(config) != 0) {
		(void)puts("the configuration has unknown keys");
		return EXIT_BAD_CONFIG;
	}
	(void)puts("the configuration is fine");
	return 0;
}

/* What ends the process before it begins. */
static void serve_flags(struct service *service)
{
	const char *help = config_flag(service->config, "help");

	if (help != NULL) {
		print_help(service, help);
		leave(service, 0);
	}
	if (config_flag_given(service->config, "version")) {
		(void)printf("%s %s\n", service->about->name, DADNS_VERSION);
		leave(service, 0);
	}
	if (config_flag_given(service->config, "check-config")) {
		leave(service, check_config(service->config));
	}
	if (config_argument(service->config, 0) != NULL) {
		(void)fprintf(stderr, "%s: takes no arguments, only flags (see --help)\n",
			      service->about->name);
		leave(service, EXIT_BAD_CONFIG);
	}
}

static enum level level_of(const char *text)
{
	switch (text[0]) {
	case 'd':
		return LEVEL_DEBUG;
	case 'w':
		return LEVEL_WARN;
	case 'e':
	case 'c':
		return LEVEL_ERROR;
	default:
		return LEVEL_INFO;
	}
}

static void start_log(struct service *service, const struct service_config *config)
{
	const char *text;
	bool json = strcmp(config->log_format, "json") == 0 ||
		    (strcmp(config->log_format, "auto") == 0 && !isatty(STDERR_FILENO));

	log_setup(service->about->name, level_of(config->log_level), json);
	log_info("starting", F("version", DADNS_VERSION), F("pid", (int64_t)getpid()));
	for (size_t i = 0; (text = config_note(service->config, i)) != NULL; i++) {
		log_info("config", F("note", text));
	}
	if (config_unknown_count(service->config) != 0) {
		log_warn("unknown keys in the configuration, --check-config would refuse it",
			 F("count", (int64_t)config_unknown_count(service->config)));
	}
	if (mark_armed() != NULL) {
		log_warn("this process will kill itself at a mark", F("mark", mark_armed()));
	}
}

struct service *service_start(const struct service_about *about, void *base, int argc, char **argv)
{
	struct service *service = xcalloc(1, sizeof(*service));
	const struct service_config *config = base;
	pthread_condattr_t monotonic;
	struct reason why;

	/* What comes and goes with every zone is kept, not given back to the kernel each time. */
	(void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
	(void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
	service->about = about;
	service->running = true;
	(void)pthread_mutex_init(&service->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&service->ended, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	add_tables(service);
	if (config_load(&service->config, service->keys, base, argc, argv, about->choose_flag,
			about->accepts, &why) != OK) {
		(void)fprintf(stderr, "%s: %s\n", about->name, why.text);
		leave(service, EXIT_BAD_CONFIG);
	}
	serve_flags(service);

	if (config_chosen(service->config) != NULL) {
		metrics_common_label("backend", config_chosen(service->config));
	}
	metric_set(&metrics[BUILD], 1);
	metric_set(&metrics[STARTED], clock_wall_ms() / 1000);
	start_log(service, config);
	start_signals(service);
	service->silence_ms = config->admin_silence_ms;
	start_admin(service, config->admin_listen);
	return service;
}

const struct config *service_config(const struct service *service)
{
	return service->config;
}

int service_finish(struct service *service)
{
	int exit_code = atomic_load(&service->exit_code);

	http_close(service->admin, ADMIN_CLOSE_MS);
	atomic_store(&service->finished, true);
	(void)pthread_kill(service->signals, SIGTERM);
	(void)pthread_join(service->signals, NULL);
	log_info("stopped", F("exit", exit_code));
	free_service(service);
	return exit_code;
}
