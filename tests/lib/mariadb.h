/* SPDX-License-Identifier: Apache-2.0 */
/* mariadb.h: a private MariaDB for one test program: its own folder, socket and loopback port, one
 * account ("tests", password "secret") that may do everything; and a door before it that closes
 * when a COMMIT passes. Include after cmocka.h. */
#ifndef TESTS_LIB_MARIADB_H
#define TESTS_LIB_MARIADB_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mysql.h"

/* What the kernel was given outlives the process; a power cut is not tried here. */
#define MARIADB_QUICK "--innodb-flush-method=nosync", "--skip-sync-frm"

struct mariadb {
	char folder[64];
	char socket[96];
	int64_t port;
	pid_t pid;
	int shared_mb; /* what the shared tablespace may grow to */
};

static inline void mariadb_run(const char *command)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fail_msg("%s: status %d", command, status);
	}
}

static inline int64_t mariadb_free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static inline void mariadb_start(struct mariadb *server)
{
	char option[7][160];
	struct sql_config config = {.host = "",
				    .socket = server->socket,
				    .database = "mysql",
				    .username = "tests",
				    .password = "secret",
				    .tls_ca = "",
				    .timeout_ms = 5000};
	int64_t until_ms = clock_ms() + 60000;
	struct sql *sql;
	struct reason why;

	snprintf(option[0], sizeof(option[0]), "--datadir=%s/data", server->folder);
	snprintf(option[1], sizeof(option[1]), "--socket=%s", server->socket);
	snprintf(option[2], sizeof(option[2]), "--port=%d", (int)server->port);
	snprintf(option[3], sizeof(option[3]), "--log-error=%s/log", server->folder);
	snprintf(option[4], sizeof(option[4]), "--init-file=%s/init.sql", server->folder);
	snprintf(option[5], sizeof(option[5]), "--pid-file=%s/pid", server->folder);
	snprintf(option[6], sizeof(option[6]),
		 "--innodb-data-file-path=ibdata1:12M:autoextend:max:%dM", server->shared_mb);
	server->pid = fork();
	if (server->pid == 0) {
		execlp("mariadbd", "mariadbd", "--no-defaults", option[0], option[1], option[2],
		       option[3], option[4], option[5], "--bind-address=127.0.0.1",
		       "--skip-name-resolve", "--innodb-buffer-pool-size=64M",
		       "--innodb-log-file-size=32M", option[6], MARIADB_QUICK,
		       "--performance-schema=0", "--user=root", NULL);
		_exit(127);
	}
	sql = sql_create(&config);
	while (sql_open(sql, 0, &why) != OK) {
		if (clock_ms() > until_ms) {
			fail_msg("mariadbd in %s: %s", server->folder, why.text);
		}
		usleep(20000);
	}
	sql_destroy(sql);
}

static inline void mariadb_kill(struct mariadb *server, int signal_number)
{
	if (server->pid > 0) {
		(void)kill(server->pid, signal_number);
		if (signal_number == SIGSTOP) {
			(void)waitpid(server->pid, NULL, WUNTRACED);
		} else if (signal_number != SIGCONT) {
			(void)waitpid(server->pid, NULL, 0);
			server->pid = -1;
		}
	}
}

static inline void mariadb_create(struct mariadb *server)
{
	char command[400];
	char path[96];
	FILE *file;

	strcpy(server->folder, "/tmp/dadns-mariadb.XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->folder);
	server->port = mariadb_free_port();
	server->shared_mb = 32;
	snprintf(path, sizeof(path), "%s/init.sql", server->folder);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("CREATE USER IF NOT EXISTS tests@'%' IDENTIFIED BY 'secret';\n"
	      "CREATE USER IF NOT EXISTS tests@localhost IDENTIFIED BY 'secret';\n"
	      "GRANT ALL ON *.* TO tests@'%' WITH GRANT OPTION;\n"
	      "GRANT ALL ON *.* TO tests@localhost WITH GRANT OPTION;\n",
	      file);
	assert_int_equal(fclose(file), 0);
	snprintf(command, sizeof(command),
		 "mariadb-install-db --no-defaults --datadir=%s/data --skip-test-db "
		 "--auth-root-authentication-method=normal --user=root "
		 "--innodb-log-file-size=32M >%s/install.log 2>&1",
		 server->folder, server->folder);
	mariadb_run(command);
	mariadb_start(server);
}

static inline void mariadb_destroy(struct mariadb *server)
{
	char command[120];

	mariadb_kill(server, SIGKILL);
	snprintf(command, sizeof(command), "rm -rf %s", server->folder);
	mariadb_run(command);
}

/* --- a door before it --------------------------------------------------------------------------
 */

enum door_trick {
	DOOR_OPEN,
	DOOR_LOSES_COMMIT, /* the server never gets it */
	DOOR_LOSES_ANSWER, /* the server does it and nobody hears */
	DOOR_KILLS_SERVER, /* as it comes */
};

#define DOOR_CONNECTIONS 4

struct mariadb_door {
	struct mariadb *server;
	int64_t port; /* to connect to instead of the server's */
	int listener;
	pthread_t thread;
	_Atomic int trick; /* for the next COMMIT */
	_Atomic bool ending;
	struct pollfd ends[1 + 2 * DOOR_CONNECTIONS]; /* the thread's: listener, then pairs */
};

static inline void door_close_pair(struct mariadb_door *door, size_t client)
{
	for (size_t i = client; i < client + 2; i++) {
		if (door->ends[i].fd >= 0) {
			close(door->ends[i].fd);
		}
		door->ends[i].fd = -1;
	}
}

static inline void door_accept(struct mariadb_door *door)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)door->server->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(server, (struct sockaddr *)&address, sizeof(address)) == 0) {
		for (size_t i = 1; i < 1 + 2 * DOOR_CONNECTIONS; i += 2) {
			if (door->ends[i].fd < 0) {
				door->ends[i].fd = client;
				door->ends[i + 1].fd = server;
				return;
			}
		}
	}
	close(client);
	close(server);
}

/* False: the pair is to be closed. */
static inline bool door_play(struct mariadb_door *door, int server, const char *bytes, ssize_t len)
{
	char lost[4096];

	if (door->trick == DOOR_KILLS_SERVER) {
		mariadb_kill(door->server, SIGKILL);
	} else if (door->trick == DOOR_LOSES_ANSWER) {
		if (write(server, bytes, (size_t)len) == len) {
			(void)!read(server, lost, sizeof(lost));
		}
	}
	door->trick = DOOR_OPEN; /* it is played: the server is the test's again */
	return false;
}

static inline bool door_pass(struct mariadb_door *door, size_t from)
{
	bool is_client = from % 2 == 1;
	int to = door->ends[is_client ? from + 1 : from - 1].fd;
	char bytes[65536];
	ssize_t len = read(door->ends[from].fd, bytes, sizeof(bytes));

	if (len > 0 && is_client && door->trick != DOOR_OPEN &&
	    memmem(bytes, (size_t)len, "\3COMMIT", 7) != NULL) {
		return door_play(door, to, bytes, len);
	}
	for (ssize_t at = 0; at < len;) {
		ssize_t more = send(to, bytes + at, (size_t)(len - at), MSG_NOSIGNAL);

		if (more <= 0) {
			return false;
		}
		at += more;
	}
	return len > 0;
}

static inline void *door_work(void *context)
{
	struct mariadb_door *door = context;

	while (!door->ending) {
		(void)poll(door->ends, 1 + 2 * DOOR_CONNECTIONS, 20);
		for (size_t i = 1; i < 1 + 2 * DOOR_CONNECTIONS; i++) {
			if (door->ends[i].fd >= 0 && door->ends[i].revents != 0 &&
			    !door_pass(door, i)) {
				door_close_pair(door, i - (i + 1) % 2);
			}
			door->ends[i].revents = 0;
		}
		if (door->ends[0].revents != 0) {
			door_accept(door);
		}
	}
	return NULL;
}

static inline void door_open(struct mariadb_door *door, struct mariadb *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	*door = (struct mariadb_door){.server = server,
				      .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(bind(door->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(door->listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(listen(door->listener, 8), 0);
	door->port = ntohs(address.sin_port);
	for (size_t i = 0; i < 1 + 2 * DOOR_CONNECTIONS; i++) {
		door->ends[i] =
			(struct pollfd){.fd = i == 0 ? door->listener : -1, .events = POLLIN};
	}
	assert_int_equal(pthread_create(&door->thread, NULL, door_work, door), 0);
}

static inline void door_close(struct mariadb_door *door)
{
	door->ending = true;
	pthread_join(door->thread, NULL);
	for (size_t i = 1; i < 1 + 2 * DOOR_CONNECTIONS; i += 2) {
		door_close_pair(door, i);
	}
	close(door->listener);
}

#endif
