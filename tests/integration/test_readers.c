/* SPDX-License-Identifier: Apache-2.0 */
/* services/writer-mysql/readers against a real PowerDNS on a real MariaDB, started here in a folder
 * of their own, so that PowerDNS can be stopped, killed and given another key. For answers that
 * PowerDNS does not give on demand (500, 422, late) our own HTTP server stands in for its API. */
#include "services/writer-mysql/readers.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/dnsq.h"
#include "common/http.h"
#include "common/log.h"
#include "common/mysql.h"
#include "tests/lib/mariadb.h"

#define KEY "test-key-0123456789"
#define SCHEMA "/usr/share/pdns-backend-mysql/schema/schema.mysql.sql"
#define PATIENCE_MS 30000
#define MISSED_MAX 65536 /* of a server that is away */

static struct mariadb mariadb;
static struct sql *admin;
static struct sql_config account = {.host = "",
				    .socket = mariadb.socket,
				    .database = "mysql",
				    .username = "tests",
				    .password = "secret",
				    .tls_ca = "",
				    .timeout_ms = 20000};
static char api[64];
static char dns[32];
static pid_t pdns_pid = -1;
static int real_stderr = -1;

/* --- servers -----------------------------------------------------------------------------------
 */

/* Below those that connections get, so that it is still free when a killed server comes back. */
static unsigned int free_port(int type)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	unsigned int port;
	int bound;

	do {
		int fd = socket(AF_INET, type, 0);

		port = 12000 + (unsigned int)((uint64_t)clock_us() * 2654435761u % 20000);
		address.sin_port = htons((uint16_t)port);
		bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
		close(fd);
	} while (bound != 0);
	return port;
}

static void sql(const char *format, ...) PRINTF_LIKE(1, 2);
static void sql(const char *format, ...)
{
	struct reason why;
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (sql_open(admin, 0, &why) != OK || sql_run(admin, text, &why) != OK) {
		fail_msg("%s: %s", text, why.text);
	}
}

static void make_tables(void)
{
	char command[256];

	sql("CREATE DATABASE pdns");
	snprintf(command, sizeof(command),
		 "mariadb --no-defaults -S %s -utests -psecret pdns <" SCHEMA, mariadb.socket);
	mariadb_run(command);
	sql("USE pdns");
}

static enum dnsq_state served(const char *zone, uint32_t *serial)
{
	int64_t deadline = clock_ms() + PATIENCE_MS;
	struct dnsq_answer answer;
	struct reason why;
	struct dnsq *dnsq;
	struct name name;

	assert_int_equal(name_parse(span_of(zone), &name, &why), OK);
	assert_int_equal(dnsq_create(&dnsq, dns, &why), OK);
	do {
		assert_true(clock_ms() < deadline);
		if (dnsq_ask_soa(dnsq, &name, 0, &why) != OK) {
			usleep(20000);
		}
	} while (!dnsq_next(dnsq, 100, &answer));
	dnsq_destroy(dnsq);
	*serial = answer.serial;
	return answer.state;
}

static uint32_t served_serial(const char *zone)
{
	uint32_t serial;

	assert_int_equal(served(zone, &serial), DNSQ_SERVED);
	return serial;
}

static void start_pdns(void)
{
	char option[4][160];
	uint32_t serial;

	snprintf(option[0], sizeof(option[0]), "--gmysql-socket=%s", mariadb.socket);
	snprintf(option[1], sizeof(option[1]), "--socket-dir=%s", mariadb.folder);
	snprintf(option[2], sizeof(option[2]), "--local-port=%s", strchr(dns, ':') + 1);
	snprintf(option[3], sizeof(option[3]), "--webserver-port=%s", strrchr(api, ':') + 1);
	pdns_pid = fork();
	if (pdns_pid == 0) {
		char path[160];
		int log;

		snprintf(path, sizeof(path), "%s/pdns.log", mariadb.folder);
		log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		execlp("pdns_server", "pdns_server", "--no-config", "--daemon=no", "--guardian=no",
		       "--launch=gmysql", option[0], "--gmysql-user=tests",
		       "--gmysql-password=secret", "--gmysql-dbname=pdns", option[1], option[2],
		       "--local-address=127.0.0.1", "--api=yes", "--api-key=" KEY,
		       "--webserver=yes", "--webserver-address=127.0.0.1",
		       "--webserver-allow-from=127.0.0.1", "--webserver-loglevel=none", option[3],
		       "--security-poll-suffix=", (char *)NULL);
		_exit(127);
	}
	served("probe.test", &serial); /* its web server was started before */
}

static void kill_pdns(void)
{
	if (pdns_pid > 0) {
		kill(pdns_pid, SIGKILL);
		waitpid(pdns_pid, NULL, 0);
	}
	pdns_pid = -1;
}

static int set_up(void **state)
{
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s:/usr/local/sbin:/usr/sbin:/sbin", getenv("PATH"));
	setenv("PATH", path, 1);
	mariadb_create(&mariadb);
	admin = sql_create(&account);
	make_tables();
	snprintf(dns, sizeof(dns), "127.0.0.1:%u", free_port(SOCK_DGRAM));
	snprintf(api, sizeof(api), "http://127.0.0.1:%u", free_port(SOCK_STREAM));
	start_pdns();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kill_pdns();
	sql_destroy(admin);
	mariadb_destroy(&mariadb);
	return 0;
}

/* --- PowerDNS's API, where it must misbehave ---------------------------------------------------
 */

static struct http *stand_in;
static char stand_in_url[64];
static _Atomic int stand_in_status;
static _Atomic int stand_in_asked;
static _Atomic bool stand_in_holds;
static struct http_request *stand_in_held[16];
static _Atomic int stand_in_held_count;
static const char *stand_in_refuses; /* this zone, with 422 */
static _Atomic int stand_in_urgent;  /* the how manieth request was for urgent.test ... */
static _Atomic int stand_in_oldest;  /* ... and for z4.backlog.test */
static _Atomic bool stand_in_cached; /* there was something to flush */

static struct span flushed(void)
{
	return span_of(stand_in_cached ? "{\"count\": 12, \"result\": \"Flushed cache.\"}"
				       : "{\"count\": 0, \"result\": \"Flushed cache.\"}");
}

static void answer_flush(void *context, struct http_request *request)
{
	struct span domain = SPAN_EMPTY;

	(void)context;
	http_query(request, "domain", &domain);
	stand_in_asked++;
	if (span_is(domain, "urgent.test.")) {
		stand_in_urgent = stand_in_asked;
	}
	if (span_is(domain, "z4.backlog.test.")) {
		stand_in_oldest = stand_in_asked;
	}
	if (!span_is(http_method(request), "PUT") ||
	    !span_is(http_path(request), "/api/v1/servers/localhost/cache/flush") ||
	    !span_is(http_header(request, "X-API-Key"), KEY)) {
		http_answer(request, 400, "text/plain", span_of("not a flush"), NULL);
	} else if (stand_in_refuses != NULL && span_is(domain, stand_in_refuses)) {
		http_answer(request, 422, "text/plain", span_of("no \"such\nname"), NULL);
	} else if (stand_in_holds) {
		http_hold(request);
		assert_true(stand_in_held_count < 16);
		stand_in_held[stand_in_held_count] = request;
		stand_in_held_count++;
	} else {
		http_answer(request, stand_in_status, "text/plain",
			    stand_in_status == 200 ? flushed() : span_of("as told"), NULL);
	}
}

static void start_stand_in(void)
{
	struct http_config config = HTTP_CONFIG_DEFAULT;
	char listen_at[48];
	struct reason why;

	snprintf(listen_at, sizeof(listen_at), "127.0.0.1:%u", free_port(SOCK_STREAM));
	snprintf(stand_in_url, sizeof(stand_in_url), "http://%s", listen_at);
	config.listen = listen_at;
	stand_in_status = 200;
	stand_in_asked = 0;
	stand_in_holds = false;
	stand_in_held_count = 0;
	stand_in_urgent = 0;
	stand_in_oldest = 0;
	stand_in_cached = false;
	stand_in_refuses = NULL;
	assert_int_equal(http_listen(&stand_in, &config, answer_flush, NULL, &why), OK);
}

static void await_held(int count)
{
	int64_t deadline = clock_ms() + PATIENCE_MS;

	while (stand_in_held_count < count) {
		assert_true(clock_ms() < deadline);
		usleep(1000);
	}
}

static void release_held(void)
{
	int count = stand_in_held_count;

	stand_in_held_count = 0; /* the answers may bring more */
	for (int i = 0; i < count; i++) {
		http_answer(stand_in_held[i], 200, "text/plain", flushed(), NULL);
	}
}

/* --- given -------------------------------------------------------------------------------------
 */

static struct readers *readers;
static char log_path[128];

static void open_readers(const char *api_urls, const char *key, const char *servers,
			 int64_t verify_ms)
{
	struct readers_config config = {
		.api = api_urls, .api_key = key, .dns = servers, .verify_ms = verify_ms};
	struct reason why = {0};

	if (readers_create(&config, &readers, &why) != OK) {
		fail_msg("%s", why.text);
	}
}

static void save(const char *zone, uint32_t serial)
{
	sql("START TRANSACTION");
	sql("INSERT IGNORE INTO domains (name, type) VALUES ('%s', 'NATIVE')", zone);
	sql("DELETE FROM records WHERE name = '%s'", zone);
	sql("INSERT INTO records (domain_id, name, type, content, ttl)"
	    " SELECT id, name, 'SOA', 'ns1.other.test. root.other.test. %u 1 1 1 1', 300"
	    " FROM domains WHERE name = '%s'",
	    serial, zone);
	sql("COMMIT");
}

static void drop(const char *zone)
{
	sql("DELETE FROM records WHERE name = '%s'", zone);
	sql("DELETE FROM domains WHERE name = '%s'", zone);
}

/* As somebody else would. */
static void flush(const char *zone)
{
	struct readers_config config = {.api = api, .api_key = KEY, .dns = "", .verify_ms = 1000};
	struct readers_report report;
	struct readers *flusher;
	struct readers_job job = {0};
	struct reason why;

	assert_int_equal(name_parse(span_of(zone), &job.zone, &why), OK);
	assert_int_equal(readers_create(&config, &flusher, &why), OK);
	readers_tell(flusher, &job, 1);
	while (!readers_next(flusher, &report)) {
		usleep(1000);
	}
	readers_destroy(flusher);
}

/* In the database is `now`, in PowerDNS's caches `before`. */
static void save_behind_the_cache(const char *zone, uint32_t before, uint32_t now)
{
	save(zone, before);
	flush(zone);
	assert_int_equal(served_serial(zone), before);
	save(zone, now);
	assert_int_equal(served_serial(zone), before);
}

/* From now on stderr goes to a file, until the test is over. */
static void catch_log(void)
{
	int fd;

	snprintf(log_path, sizeof(log_path), "%s/test.log", mariadb.folder);
	fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
	assert_true(fd >= 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static int times_in_log(const char *text)
{
	static char log[65536];
	int fd = open(log_path, O_RDONLY);
	ssize_t len = read(fd, log, sizeof(log) - 1);
	int count = 0;

	close(fd);
	assert_true(len >= 0);
	log[len] = '\0';
	for (const char *at = log; (at = strstr(at, text)) != NULL; at += strlen(text)) {
		count++;
	}
	return count;
}

static void await_in_log(const char *text, int count)
{
	int64_t deadline = clock_ms() + PATIENCE_MS;

	while (times_in_log(text) != count) {
		assert_true(clock_ms() < deadline);
		usleep(2000);
	}
}

static int after_each(void **state)
{
	(void)state;
	if (real_stderr >= 0) {
		dup2(real_stderr, STDERR_FILENO);
		close(real_stderr);
		real_stderr = -1;
	}
	if (pdns_pid > 0) {
		kill(pdns_pid, SIGCONT);
	}
	readers_destroy(readers);
	readers = NULL;
	if (stand_in != NULL) {
		http_close(stand_in, 0);
		stand_in = NULL;
	}
	return 0;
}

/* --- when --------------------------------------------------------------------------------------
 */

static void tell_as(void *ticket, const char *zone, bool deleted, uint32_t serial)
{
	struct readers_job job = {.ticket = ticket, .deleted = deleted, .serial = serial};
	struct reason why;

	assert_int_equal(name_parse(span_of(zone), &job.zone, &why), OK);
	readers_tell(readers, &job, 1);
}

static void tell(const char *zone, uint32_t serial)
{
	tell_as(NULL, zone, false, serial);
}

static struct readers_report await_report(void)
{
	int64_t deadline = clock_ms() + PATIENCE_MS;
	struct readers_report report;

	while (!readers_next(readers, &report)) {
		assert_true(clock_ms() < deadline);
		usleep(500);
	}
	return report;
}

static void await_ok(void)
{
	struct readers_report report = await_report();

	if (report.outcome != OK) {
		fail_msg("%s", report.why.text);
	}
}

static void await_failure(const char *saying, const char *saying_too)
{
	struct readers_report report = await_report();

	assert_int_equal(report.outcome, TEMPFAIL);
	if (strstr(report.why.text, saying) == NULL ||
	    strstr(report.why.text, saying_too) == NULL) {
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", report.why.text, saying,
			 saying_too);
	}
}

static void no_report_within(int ms)
{
	struct readers_report report;

	usleep((unsigned int)ms * 1000);
	assert_false(readers_next(readers, &report));
}

static int64_t value_of(const char *name, const char *labels)
{
	for (size_t i = 0; i < readers_metrics.count; i++) {
		struct metric *row = &readers_metrics.rows[i];

		if (strcmp(row->name, name) == 0 && strcmp(row->labels, labels) == 0) {
			return row->value;
		}
	}
	fail_msg("no metric %s", name);
	return 0;
}

static int64_t flushes(void)
{
	return value_of("dadns_reader_flushes_total", "outcome=\"ok\"");
}

static int64_t away(const char *kind)
{
	return value_of("dadns_reader_away", kind);
}

#define API_AWAY away("kind=\"api\"")
#define DNS_AWAY away("kind=\"dns\"")

static void await_value(int64_t (*value)(const char *), const char *of, int64_t wanted)
{
	int64_t deadline = clock_ms() + PATIENCE_MS;

	while (value(of) != wanted) {
		assert_true(clock_ms() < deadline);
		usleep(1000);
	}
}

static int64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

/* --- then: PowerDNS ----------------------------------------------------------------------------
 */

static void changed_zone_is_served_when_it_is_reported(void **state)
{
	int64_t probes = value_of("dadns_reader_probes_total", "");

	(void)state;
	save_behind_the_cache("changed.test", 7, 8);
	open_readers(api, KEY, dns, 5000);
	tell("changed.test", 8);
	await_ok();
	assert_int_equal(served_serial("changed.test"), 8);
	assert_true(value_of("dadns_reader_probes_total", "") > probes);
	save("changed.test", 3); /* serials may go down */
	tell("changed.test", 3);
	await_ok();
	assert_int_equal(served_serial("changed.test"), 3);
}

static void new_zone_is_served_and_deleted_one_is_not(void **state)
{
	uint32_t serial;

	(void)state;
	assert_int_equal(served("fresh.test", &serial), DNSQ_NOT_SERVED);
	open_readers(api, KEY, dns, 5000);
	save("fresh.test", 1);
	assert_int_equal(served("fresh.test", &serial), DNSQ_NOT_SERVED); /* its zone cache */
	tell("fresh.test", 1);
	await_ok();
	assert_int_equal(served_serial("fresh.test"), 1);
	drop("fresh.test");
	assert_int_equal(served("fresh.test", &serial), DNSQ_SERVED);
	tell_as(NULL, "fresh.test", true, 0);
	await_ok();
	assert_int_equal(served("fresh.test", &serial), DNSQ_NOT_SERVED);
}

static void zone_with_a_slash_in_its_name_is_flushed(void **state)
{
	(void)state;
	save_behind_the_cache("0/25.2.0.192.in-addr.arpa", 7, 8);
	open_readers(api, KEY, dns, 5000);
	tell("0/25.2.0.192.in-addr.arpa", 8);
	await_ok();
	assert_int_equal(served_serial("0/25.2.0.192.in-addr.arpa"), 8);
}

static void old_cache_is_reported_with_advice(void **state)
{
	char wanted[128];

	(void)state;
	save_behind_the_cache("cached.test", 7, 8);
	open_readers("", "", dns, 300);
	tell("cached.test", 8);
	snprintf(wanted, sizeof(wanted), "%s still serves serial 7, not 8, ", dns);
	await_failure(wanted, "set `api`");
	tell_as(NULL, "cached.test", true, 0);
	await_failure("still serves it, serial 7", "raise verify_ms");
	tell("never-was.test", 1);
	await_failure("does not serve it", "ms after the commit");
}

static void report_names_the_api_that_is_away(void **state)
{
	char nobody[64];

	(void)state;
	snprintf(nobody, sizeof(nobody), "http://127.0.0.1:%u/", free_port(SOCK_STREAM));
	save_behind_the_cache("cached.test", 17, 18);
	open_readers(nobody, KEY, dns, 300);
	tell("cached.test", 18);
	nobody[strlen(nobody) - 1] = '\0'; /* said without its slash */
	await_failure("still serves serial 17", nobody);
}

static void zone_that_is_served_late_is_reported_well(void **state)
{
	(void)state;
	save_behind_the_cache("later.test", 7, 8);
	open_readers("", "", dns, 15000);
	tell("later.test", 8);
	no_report_within(400);
	flush("later.test");
	await_ok();
	assert_int_equal(served_serial("later.test"), 8);
}

/* It reads a replica, or a question was under way: the flush came first. */
static void zone_whose_rows_come_after_the_flush_is_flushed_again(void **state)
{
	(void)state;
	save_behind_the_cache("lagging.test", 7, 7);
	open_readers(api, KEY, dns, 10000);
	tell("lagging.test", 8);
	no_report_within(300);
	save("lagging.test", 8);
	await_ok();
	assert_int_equal(served_serial("lagging.test"), 8);
}

static void one_report_for_each_of_1000_zones(void **state)
{
	enum { COUNT = 1000 };
	struct readers_job *jobs = calloc(COUNT, sizeof(*jobs));
	bool *reported = calloc(COUNT, sizeof(*reported));
	struct reason why;
	char zone[64];

	(void)state;
	sql("INSERT INTO domains (name, type) SELECT CONCAT('z', seq, '.many.test'), 'NATIVE'"
	    " FROM seq_0_to_499");
	sql("INSERT INTO records (domain_id, name, type, content, ttl)"
	    " SELECT id, name, 'SOA', 'ns1.other.test. root.other.test. 9 1 1 1 1', 300"
	    " FROM domains WHERE name LIKE '%%.many.test'");
	for (size_t i = 0; i < COUNT; i++) { /* half of them were deleted */
		snprintf(zone, sizeof(zone), "z%zu.many.test", i);
		assert_int_equal(name_parse(span_of(zone), &jobs[i].zone, &why), OK);
		jobs[i].ticket = &jobs[i];
		jobs[i].deleted = i >= COUNT / 2;
		jobs[i].serial = 9;
	}
	open_readers(api, KEY, dns, 5000);
	readers_tell(readers, jobs, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		struct readers_report report = await_report();
		size_t at = (size_t)((struct readers_job *)report.ticket - jobs);

		assert_int_equal(report.outcome, OK);
		assert_true(at < COUNT);
		assert_false(reported[at]);
		reported[at] = true;
	}
	no_report_within(100);
	free(jobs);
	free(reported);
}

/* --- then: away --------------------------------------------------------------------------------
 */

static void wrong_key_is_said_once_and_holds_nobody_up(void **state)
{
	(void)state;
	catch_log();
	open_readers(api, "wrong-key-42", "", 5000);
	for (uint32_t i = 0; i < 5; i++) {
		tell("keyed.test", i);
		await_ok();
	}
	usleep(1200000); /* one more try */
	assert_int_equal(API_AWAY, 1);
	assert_int_equal(times_in_log("reader is away"), 1);
	assert_int_equal(times_in_log("HTTP 401"), 1);
	assert_int_equal(times_in_log("api-key of its pdns.conf"), 1);
	assert_int_equal(times_in_log("wrong-key-42"), 0);
	readers_destroy(readers);
	readers = NULL;
	assert_int_equal(API_AWAY, 0);
}

static void killed_powerdns_holds_nobody_up_and_is_flushed_when_it_is_back(void **state)
{
	int64_t began;
	int64_t before;

	(void)state;
	catch_log();
	open_readers(api, KEY, dns, 5000);
	kill_pdns();
	began = clock_ms();
	before = flushes();
	tell("killed.test", 1);
	await_ok();
	assert_true(clock_ms() - began < 2500); /* 1 s of silence on its DNS port */
	assert_int_equal(API_AWAY, 1);
	assert_int_equal(DNS_AWAY, 1);
	began = clock_ms();
	tell("killed.test", 2);
	tell("killed-too.test", 2);
	await_ok();
	await_ok();
	assert_true(clock_ms() - began < 800);
	start_pdns();
	await_value(away, "kind=\"api\"", 0);
	await_value(away, "kind=\"dns\"", 0);
	began = clock_ms();
	while (flushes() < before + 2 && clock_ms() - began < PATIENCE_MS) {
		usleep(1000);
	}
	assert_in_range(flushes(), before + 2, before + 4); /* twice, if it was asked for before */
	assert_int_equal(times_in_log("reader is away"), 2);
	await_in_log("reader is back", 2);
	assert_int_equal(times_in_log(KEY), 0);
	tell("killed.test", 3); /* who is back is asked again */
	await_failure("does not serve it", "");
}

static void hanging_powerdns_misses_nothing(void **state)
{
	int64_t deadline;
	int64_t began;

	(void)state;
	save_behind_the_cache("hanging.test", 7, 7);
	open_readers(api, KEY, "", 5000);
	kill(pdns_pid, SIGSTOP);
	save("hanging.test", 8);
	tell("hanging.test", 8);
	await_ok(); /* after the time-out */
	assert_int_equal(API_AWAY, 1);
	began = clock_ms();
	tell("hanging.test", 8);
	await_ok();
	assert_true(clock_ms() - began < 800);
	kill(pdns_pid, SIGCONT);
	deadline = clock_ms() + 10000; /* before the caches give it up by themselves */
	while (served_serial("hanging.test") != 8) {
		assert_true(clock_ms() < deadline);
		usleep(10000);
	}
	await_value(away, "kind=\"api\"", 0);
}

static void silent_name_server_holds_nobody_up_for_long(void **state)
{
	char silent[32];
	int64_t began = clock_ms();

	(void)state;
	snprintf(silent, sizeof(silent), "127.0.0.1:%u", free_port(SOCK_DGRAM));
	open_readers("", "", silent, 60000);
	tell("silent.test", 1);
	await_ok();
	assert_in_range(clock_ms() - began, 900, 3000);
	assert_int_equal(DNS_AWAY, 1);
	began = clock_ms();
	tell("silent.test", 2);
	await_ok();
	assert_true(clock_ms() - began < 800);
}

static void verify_shorter_than_the_silence_still_means_away(void **state)
{
	char silent[32];

	(void)state;
	snprintf(silent, sizeof(silent), "127.0.0.1:%u", free_port(SOCK_DGRAM));
	open_readers("", "", silent, 100);
	tell("silent.test", 1);
	await_ok();
	assert_int_equal(DNS_AWAY, 1);
}

static void who_is_there_is_flushed_and_seen_beside_one_that_is_dead(void **state)
{
	char apis[160];
	char servers[80];

	(void)state;
	save_behind_the_cache("beside.test", 7, 8);
	snprintf(apis, sizeof(apis), "http://127.0.0.1:%u, %s/,", free_port(SOCK_STREAM), api);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u,%s", free_port(SOCK_DGRAM), dns);
	open_readers(apis, KEY, servers, 5000);
	tell("beside.test", 8);
	await_ok();
	assert_int_equal(served_serial("beside.test"), 8);
	assert_int_equal(API_AWAY, 1);
	assert_int_equal(DNS_AWAY, 1);
}

/* --- then: jobs --------------------------------------------------------------------------------
 */

static void newer_job_speaks_for_the_older(void **state)
{
	struct readers_report report;
	int older;
	int newer;

	(void)state;
	save_behind_the_cache("newer.test", 7, 7);
	open_readers("", "", dns, 20000);
	tell_as(&older, "newer.test", false, 8); /* never served */
	no_report_within(100);
	tell_as(&newer, "newer.test", false, 7); /* back to what it was */
	report = await_report();
	assert_ptr_equal(report.ticket, &older);
	assert_int_equal(report.outcome, OK);
	report = await_report();
	assert_ptr_equal(report.ticket, &newer);
	assert_int_equal(report.outcome, OK);
	no_report_within(100);
}

static void zone_told_often_is_flushed_once_for_all(void **state)
{
	struct readers_job jobs[100] = {0};
	int64_t before = flushes();
	struct reason why;

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(name_parse(span_of("often.test"), &jobs[i].zone, &why), OK);
		jobs[i].serial = (uint32_t)i;
	}
	open_readers(api, KEY, "", 5000);
	readers_tell(readers, jobs, 100);
	for (size_t i = 0; i < 100; i++) {
		await_ok();
	}
	no_report_within(50);
	assert_int_equal(flushes(), before + 1);
}

static void zone_told_while_its_flush_is_under_way_is_flushed_again(void **state)
{
	struct readers_report report;
	int older;
	int newer;

	(void)state;
	start_stand_in();
	stand_in_holds = true;
	open_readers(stand_in_url, KEY, "", 5000);
	tell_as(&older, "held.test", false, 1);
	await_held(1);
	tell_as(&newer, "held.test", false, 2);
	report = await_report();
	assert_ptr_equal(report.ticket, &older);
	no_report_within(100); /* the first flush may have come before the commit */
	assert_int_equal(stand_in_asked, 1);
	stand_in_holds = false;
	release_held();
	report = await_report();
	assert_ptr_equal(report.ticket, &newer);
	assert_int_equal(report.outcome, OK);
	assert_int_equal(stand_in_asked, 2);
}

/* PowerDNS empties one cache after the other, and a question between the two fills the first one
 * again from the second. */
static void flush_that_found_something_is_made_once_more(void **state)
{
	(void)state;
	start_stand_in();
	stand_in_cached = true;
	open_readers(stand_in_url, KEY, "", 5000);
	tell("cached.test", 1);
	await_ok();
	assert_int_equal(stand_in_asked, 2);
	stand_in_cached = false;
	tell("cached.test", 2);
	await_ok();
	assert_int_equal(stand_in_asked, 3);
}

/* 40 zones, of which z0 to z3 are on their way and z4 is the oldest that waits; then urgent.test.
 */
static void tell_behind_a_backlog(bool now)
{
	struct readers_job job = {.now = now};
	struct reason why;
	char zone[64];

	start_stand_in();
	stand_in_holds = true;
	open_readers(stand_in_url, KEY, "", 5000);
	for (int i = 0; i < 40; i++) {
		snprintf(zone, sizeof(zone), "z%d.backlog.test", i);
		tell(zone, 1);
	}
	await_held(4);
	assert_int_equal(name_parse(span_of("urgent.test"), &job.zone, &why), OK);
	readers_tell(readers, &job, 1);
}

static void let_the_backlog_go(void)
{
	usleep(50000);
	stand_in_holds = false;
	release_held();
	for (int i = 0; i < 41; i++) {
		await_ok();
	}
}

static void urgent_zone_overtakes_a_backlog(void **state)
{
	(void)state;
	tell_behind_a_backlog(true);
	let_the_backlog_go();
	assert_in_range(stand_in_urgent, 1, 8); /* of 41 */
}

static void zone_told_last_does_not_wait_for_a_backlog_nor_its_oldest_for_the_last(void **state)
{
	(void)state;
	tell_behind_a_backlog(false);
	let_the_backlog_go();
	assert_in_range(stand_in_urgent, 1, 8);  /* of 41 */
	assert_in_range(stand_in_oldest, 1, 12); /* two or three were before it */
}

static void zone_that_has_changed_overtakes_those_that_are_only_verified(void **state)
{
	struct readers_job jobs[41] = {0};
	struct reason why;
	char zone[64];

	(void)state;
	start_stand_in();
	stand_in_holds = true;
	open_readers(stand_in_url, KEY, "", 5000);
	for (int i = 0; i < 41; i++) { /* in the middle of a batch */
		snprintf(zone, sizeof(zone), "z%d.backlog.test", i);
		assert_int_equal(
			name_parse(span_of(i == 20 ? "urgent.test" : zone), &jobs[i].zone, &why),
			OK);
		jobs[i].unchanged = i != 20;
	}
	readers_tell(readers, jobs, 10);
	await_held(4);
	readers_tell(readers, jobs + 10, 31);
	let_the_backlog_go();
	assert_in_range(stand_in_urgent, 1, 8); /* of 41 */
	assert_int_equal(stand_in_asked, 41);
}

/* What waits because it has changed stays what it is. */
static void zone_that_has_changed_and_is_verified_then_overtakes_them_too(void **state)
{
	struct readers_job job = {.unchanged = true};
	struct reason why;
	char zone[64];

	(void)state;
	start_stand_in();
	stand_in_holds = true;
	open_readers(stand_in_url, KEY, "", 5000);
	for (int i = 0; i < 40; i++) {
		snprintf(zone, sizeof(zone), "z%d.backlog.test", i);
		assert_int_equal(name_parse(span_of(zone), &job.zone, &why), OK);
		readers_tell(readers, &job, 1);
	}
	await_held(4);
	tell("urgent.test", 1);
	assert_int_equal(name_parse(span_of("urgent.test"), &job.zone, &why), OK);
	readers_tell(readers, &job, 1);
	await_ok(); /* the older job of it */
	let_the_backlog_go();
	assert_in_range(stand_in_urgent, 1, 8); /* of 41 */
}

static void zone_of_a_backlog_that_is_told_again_is_the_last(void **state)
{
	(void)state;
	tell_behind_a_backlog(false);
	for (int i = 41; i < 60; i++) {
		char zone[64];

		snprintf(zone, sizeof(zone), "z%d.backlog.test", i);
		tell(zone, 1);
	}
	tell("urgent.test", 2);
	let_the_backlog_go();
	for (int i = 41; i < 61; i++) {
		await_ok();
	}
	assert_in_range(stand_in_urgent, 1, 8); /* of 60 */
}

static void zone_whose_name_is_refused_fails_alone(void **state)
{
	(void)state;
	start_stand_in();
	stand_in_refuses = "bad.test.";
	open_readers(stand_in_url, KEY, dns, 5000);
	tell("bad.test", 1);
	await_failure("does not flush", "HTTP 422: no \\034such\\010name");
	tell_as(NULL, "good.test", true, 0);
	await_ok();
	assert_int_equal(API_AWAY, 0);
}

static void server_error_is_away_until_it_is_over(void **state)
{
	(void)state;
	catch_log();
	start_stand_in();
	stand_in_status = 500;
	open_readers(stand_in_url, KEY, "", 5000);
	tell("error.test", 1);
	await_ok();
	assert_int_equal(API_AWAY, 1);
	assert_int_equal(times_in_log("HTTP 500: as told"), 1);
	stand_in_status = 401; /* restarted with another key */
	await_in_log("reader refuses our key", 1);
	stand_in_status = 200;
	await_in_log("reader is back", 1);
	assert_int_equal(API_AWAY, 0);
	assert_int_equal(times_in_log("reader refuses our key"), 1);
	tell("error.test", 2);
	await_ok();
}

static void zone_that_is_waited_for_goes_before_what_was_missed(void **state)
{
	char zone[64];

	(void)state;
	start_stand_in();
	stand_in_status = 500;
	open_readers(stand_in_url, KEY, "", 5000);
	for (int i = 0; i < 40; i++) {
		snprintf(zone, sizeof(zone), "z%d.missed.test", i);
		tell(zone, 1);
		await_ok();
	}
	assert_int_equal(API_AWAY, 1);
	stand_in_status = 200;
	stand_in_holds = true;
	await_held(1); /* the test whether it is back */
	release_held();
	await_held(4); /* now it is */
	stand_in_asked = 0;
	tell("urgent.test", 1);
	usleep(50000);
	stand_in_holds = false;
	release_held();
	await_ok();
	assert_in_range(stand_in_urgent, 1, 8); /* of 37 */
}

static void nobody_configured_is_reported_at_once(void **state)
{
	struct readers_report report;

	(void)state;
	open_readers("", "", " , ", 5000);
	assert_false(readers_any(readers));
	assert_false(readers_next(readers, &report));
	tell("nobody.test", 1);
	assert_true(readers_next(readers, &report));
	assert_int_equal(report.outcome, OK);
	assert_false(readers_next(readers, &report));
}

static void config_that_cannot_be_used_is_refused(void **state)
{
	static const struct readers_config configs[] = {
		{.api = "127.0.0.1:8081", .api_key = KEY, .dns = "", .verify_ms = 1},
		{.api = "ftp://127.0.0.1", .api_key = KEY, .dns = "", .verify_ms = 1},
		{.api = "http://u:p@127.0.0.1", .api_key = KEY, .dns = "", .verify_ms = 1},
		{.api = "http://127.0.0.1/?a=b", .api_key = KEY, .dns = "", .verify_ms = 1},
		{.api = "http://127.0.0.1", .api_key = "", .dns = "", .verify_ms = 1},
		{.api = "http://127.0.0.1", .api_key = KEY "\n", .dns = "", .verify_ms = 1},
		{.api = "", .api_key = "", .dns = "127.0.0.1:x", .verify_ms = 1},
		{.api = "",
		 .api_key = "",
		 .dns = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
		 .verify_ms = 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		struct reason why = {0};

		assert_int_equal(readers_create(&configs[i], &readers, &why), PERMFAIL);
		assert_true(strncmp(why.text, i < 6 ? "api" : "dns", 3) == 0);
		assert_null(strstr(why.text, KEY));
		assert_null(readers);
	}
}

/* --- then: costs -------------------------------------------------------------------------------
 */

static int64_t cost_of(uint32_t count, const char *servers)
{
	struct readers_job *jobs = calloc(count, sizeof(*jobs));
	int64_t began = cpu_us();
	struct reason why;
	char zone[64];

	for (uint32_t i = 0; i < count; i++) {
		snprintf(zone, sizeof(zone), "z%u.cost.test", i);
		assert_int_equal(name_parse(span_of(zone), &jobs[i].zone, &why), OK);
		jobs[i].deleted = true; /* which is so at once */
	}
	open_readers("", "", servers, 5000);
	readers_tell(readers, jobs, count);
	for (uint32_t i = 0; i < count; i++) {
		await_ok();
	}
	readers_destroy(readers);
	readers = NULL;
	free(jobs);
	return cpu_us() - began;
}

/* Quadratic would be 8 times as much for each. */
static void cost_of_a_zone_does_not_grow_with_their_number(void **state)
{
	int64_t few = cost_of(2500, dns);
	int64_t many = cost_of(20000, dns);

	(void)state;
	if (many > few * 8 * 3) {
		fail_msg("2500: %lld us, 20000: %lld us", (long long)few, (long long)many);
	}
}

static void what_a_dead_server_misses_is_bounded(void **state)
{
	enum { COUNT = MISSED_MAX + 1000 };
	struct readers_job *jobs = calloc(COUNT, sizeof(*jobs));
	int64_t before = value_of("dadns_reader_dropped_total", "");
	struct reason why;
	char nobody[64];
	char zone[64];

	(void)state;
	snprintf(nobody, sizeof(nobody), "http://127.0.0.1:%u", free_port(SOCK_STREAM));
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(zone, sizeof(zone), "z%zu.missed.test", i);
		assert_int_equal(name_parse(span_of(zone), &jobs[i].zone, &why), OK);
	}
	open_readers(nobody, KEY, "", 5000);
	readers_tell(readers, jobs, COUNT / 2); /* some before it is known to be away */
	for (size_t i = 0; i < COUNT / 2; i++) {
		await_ok();
	}
	assert_int_equal(value_of("dadns_reader_dropped_total", ""), before);
	readers_tell(readers, jobs + COUNT / 2, COUNT - COUNT / 2);
	for (size_t i = COUNT / 2; i < COUNT; i++) {
		await_ok();
	}
	/* One of them may be on its way as the test of whether it is back. */
	assert_in_range(value_of("dadns_reader_dropped_total", "") - before, 999, 1000);
	free(jobs);
}

/* Of the thread called "readers": how often it has waited. */
static long waits(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	char path[300];
	char line[128];
	bool is_it = false;
	long count = -1;

	assert_non_null(tasks);
	while (count < 0 && (entry = readdir(tasks)) != NULL) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "r");
		while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
			if (strncmp(line, "Name:", 5) == 0) {
				is_it = strcmp(line, "Name:\treaders\n") == 0;
			}
			if (is_it) {
				sscanf(line, "voluntary_ctxt_switches: %ld", &count);
			}
		}
		if (file != NULL) {
			fclose(file);
		}
	}
	closedir(tasks);
	assert_true(count >= 0);
	return count;
}

static void idle_readers_never_wake(void **state)
{
	long before;

	(void)state;
	save("idle.test", 1);
	open_readers(api, KEY, dns, 5000);
	tell("idle.test", 1);
	await_ok();
	usleep(300000);
	before = waits();
	usleep(1500000);
	assert_int_equal(waits(), before);
}

static void destroy_is_prompt_with_everything_under_way(void **state)
{
	int64_t began;
	char zone[64];

	(void)state;
	kill(pdns_pid, SIGSTOP);
	open_readers(api, KEY, "", 60000);
	for (int i = 0; i < 50; i++) {
		snprintf(zone, sizeof(zone), "z%d.hurry.test", i);
		tell(zone, 1);
	}
	usleep(100000);
	began = clock_ms();
	readers_destroy(readers);
	readers = NULL;
	assert_true(clock_ms() - began < 500);
	open_readers("", "", dns, 60000);
	tell("hurry.test", 1);
	usleep(100000);
	began = clock_ms();
	readers_destroy(readers);
	readers = NULL;
	assert_true(clock_ms() - began < 500);
	readers_destroy(NULL);
}

#define TEST(test) cmocka_unit_test_teardown(test, after_each)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(changed_zone_is_served_when_it_is_reported),
		TEST(new_zone_is_served_and_deleted_one_is_not),
		TEST(zone_with_a_slash_in_its_name_is_flushed),
		TEST(old_cache_is_reported_with_advice),
		TEST(report_names_the_api_that_is_away),
		TEST(zone_that_is_served_late_is_reported_well),
		TEST(zone_whose_rows_come_after_the_flush_is_flushed_again),
		TEST(one_report_for_each_of_1000_zones),
		TEST(wrong_key_is_said_once_and_holds_nobody_up),
		TEST(killed_powerdns_holds_nobody_up_and_is_flushed_when_it_is_back),
		TEST(hanging_powerdns_misses_nothing),
		TEST(silent_name_server_holds_nobody_up_for_long),
		TEST(verify_shorter_than_the_silence_still_means_away),
		TEST(who_is_there_is_flushed_and_seen_beside_one_that_is_dead),
		TEST(newer_job_speaks_for_the_older),
		TEST(zone_told_often_is_flushed_once_for_all),
		TEST(zone_told_while_its_flush_is_under_way_is_flushed_again),
		TEST(flush_that_found_something_is_made_once_more),
		TEST(urgent_zone_overtakes_a_backlog),
		TEST(zone_told_last_does_not_wait_for_a_backlog_nor_its_oldest_for_the_last),
		TEST(zone_that_has_changed_overtakes_those_that_are_only_verified),
		TEST(zone_that_has_changed_and_is_verified_then_overtakes_them_too),
		TEST(zone_of_a_backlog_that_is_told_again_is_the_last),
		TEST(zone_whose_name_is_refused_fails_alone),
		TEST(server_error_is_away_until_it_is_over),
		TEST(zone_that_is_waited_for_goes_before_what_was_missed),
		TEST(nobody_configured_is_reported_at_once),
		TEST(config_that_cannot_be_used_is_refused),
		TEST(cost_of_a_zone_does_not_grow_with_their_number),
		TEST(what_a_dead_server_misses_is_bounded),
		TEST(idle_readers_never_wake),
		TEST(destroy_is_prompt_with_everything_under_way),
	};

	log_setup("test", LEVEL_INFO, false);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
