/* SPDX-License-Identifier: Apache-2.0 */
/* committed: the clock of a drain into a database, from outside: what a reader of its tables sees.
 *
 *	DATABASE_MYSQL=mysql://USER:PASSWORD@HOST:PORT/DATABASE committed COUNT SERIAL [METRICS]
 *
 * Looks every 5 ms at the one row that counts transactions. The clock runs from the first new
 * number until the last one, the zones of the first number are not counted; that all COUNT zones
 * stand there with SERIAL is asked when the numbers stop. The writer is to be started after the
 *line "watching".
 *
 * METRICS (host:port of the writer, which has just been started): looks every 20 ms how many caches
 * were flushed and how many zones its name servers showed, until all.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/figures.h"
#include "tests/bench/http.h"
#include "tests/bench/sql.h"

#define NUMBER "SELECT value FROM dadns_meta WHERE name = 'changed'"

enum { LOOK_US = 5000, SCRAPE_US = 20000, STILL_US = 200000, PATIENCE_US = 120000000 };

/* Something that grows: when it began, when it stood at `value`. */
struct growth {
	int64_t before, first, value;
	int64_t first_us, last_us;
};

static void grow(struct growth *growth, int64_t value)
{
	if (value == growth->value) {
		return;
	}
	growth->last_us = now_us();
	if (growth->value == growth->before) {
		growth->first = value;
		growth->first_us = growth->last_us;
	}
	growth->value = value;
}

static double rate(const struct growth *growth, int64_t first, int64_t last)
{
	return (double)(last - first) * 1e6 / (double)(growth->last_us - growth->first_us);
}

static int64_t zones_between(MYSQL *connection, int64_t serial, int64_t after, int64_t until)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "SELECT COUNT(*) FROM dadns_zones WHERE changed > %lld AND changed <= %lld"
		 " AND serial = %lld",
		 (long long)after, (long long)until, (long long)serial);
	return sql_number(connection, text);
}

/* Of the first line that begins with `name` and bears `label`. */
static int64_t metric(const char *text, const char *name, const char *label)
{
	size_t len = strlen(name);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		const char *end, *labelled;

		line += *line == '\n';
		end = line + strcspn(line, "\n");
		labelled = strstr(line, label);
		if (strncmp(line, name, len) == 0 && line[len] == '{' && labelled != NULL &&
		    labelled < end) {
			while (end[-1] != ' ') {
				end--;
			}
			return strtoll(end, NULL, 10);
		}
	}
	return 0;
}

/* A writer that has not opened its port yet has flushed nothing. */
static bool reachable(const struct http *http)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	bool is_open;
	int fd;

	if (getaddrinfo(http->host, http->port, &hints, &found) != 0) {
		die("%s:%s: no such address", http->host, http->port);
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	is_open = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0;
	freeaddrinfo(found);
	if (fd >= 0) {
		close(fd);
	}
	return is_open;
}

/* What is behind the tables; a thread of its own, an answer takes as long as it takes. */
struct behind {
	struct http http;
	int64_t count;
	struct growth flushed, shown;
};

static void *watch_behind(void *argument)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: writer\r\n\r\n";
	struct behind *behind = argument;
	struct http *http = &behind->http;
	int64_t until_us = now_us() + PATIENCE_US;

	while (behind->shown.value < behind->count) {
		if (now_us() > until_us) {
			die("%lld of %lld zones are shown", (long long)behind->shown.value,
			    (long long)behind->count);
		}
		if ((http->opened != 0 || reachable(http)) &&
		    http_ask(http, request, sizeof(request) - 1) == 200) {
			grow(&behind->flushed,
			     metric(http->body, "dadns_reader_flushes_total", "\"ok\""));
			grow(&behind->shown,
			     metric(http->body, "dadns_reader_served_seconds_count", ""));
		}
		sleep_us(SCRAPE_US);
	}
	return NULL;
}

static void watch_rows(MYSQL *connection, int64_t count, int64_t serial, struct growth *rows)
{
	int64_t until_us = now_us() + PATIENCE_US;
	int64_t counted = 0;

	while (counted < count) {
		if (now_us() > until_us) {
			die("%lld of %lld zones are committed", (long long)counted,
			    (long long)count);
		}
		grow(rows, sql_number(connection, NUMBER));
		if (rows->value != rows->before && now_us() - rows->last_us > STILL_US) {
			counted = zones_between(connection, serial, rows->before, rows->value);
			sleep_us(STILL_US / 10);
		}
		sleep_us(LOOK_US);
	}
}

int main(int argc, char **argv)
{
	struct growth rows = {0};
	struct behind behind = {0};
	int64_t count, serial;
	MYSQL *connection;
	pthread_t thread;

	if (argc != 3 && argc != 4) {
		die("usage: DATABASE_MYSQL=mysql://USER:PASSWORD@HOST:PORT/DATABASE\n"
		    "\tcommitted COUNT SERIAL [HOST:PORT]");
	}
	count = number_of(argv[1], "COUNT");
	serial = number_of(argv[2], "SERIAL");
	connection = sql_connect("DATABASE_MYSQL");
	rows.before = rows.value = sql_number(connection, NUMBER);
	if (argc == 4) {
		behind.count = count;
		http_init(&behind.http, argv[3]);
		if (pthread_create(&thread, NULL, watch_behind, &behind) != 0) {
			die("no thread");
		}
	}
	printf("watching\n");
	fflush(stdout);
	watch_rows(connection, count, serial, &rows);
	printf("rate=%.2f seconds=%.3f transactions=%lld",
	       rate(&rows, zones_between(connection, serial, rows.before, rows.first), count),
	       (double)(rows.last_us - rows.first_us) / 1e6, (long long)(rows.value - rows.before));
	mysql_close(connection);
	if (argc == 4) {
		pthread_join(thread, NULL);
		http_finish(&behind.http);
		printf(" flush_rate=%.2f shown_seconds=%.3f",
		       rate(&behind.flushed, behind.flushed.first, behind.flushed.value),
		       (double)(behind.shown.last_us - rows.first_us) / 1e6);
	}
	printf("\n");
	return 0;
}
