/* SPDX-License-Identifier: Apache-2.0 */
/* redis_server.h: a private Redis for one test program: its own folder, socket and loopback port.
 * Include after cmocka.h. */
#ifndef TESTS_LIB_REDIS_SERVER_H
#define TESTS_LIB_REDIS_SERVER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

#define REDIS_SERVER_OPTIONS_MAX 8

struct redis_server {
	char folder[64];
	char socket[96];
	char url[64];
	int port;
	pid_t pid;
	/* of redis-server's command line: "--appendonly", "yes" */
	const char *options[REDIS_SERVER_OPTIONS_MAX * 2 + 1];
};

static inline int redis_server_free_port(void)
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

static inline void redis_server_await(const struct redis_server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)server->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int64_t until_ms = clock_ms() + 20000;
	int fd;

	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
			close(fd);
			return;
		}
		close(fd);
		if (clock_ms() > until_ms) {
			fail_msg("redis-server in %s does not listen", server->folder);
		}
		usleep(5000);
	}
}

static inline void redis_server_start(struct redis_server *server)
{
	const char *words[16 + REDIS_SERVER_OPTIONS_MAX * 2] = {"redis-server"};
	char port[8];
	size_t n = 1;
	int fd;

	snprintf(port, sizeof(port), "%d", server->port);
	words[n++] = "--port";
	words[n++] = port;
	words[n++] = "--bind";
	words[n++] = "127.0.0.1";
	words[n++] = "--unixsocket";
	words[n++] = server->socket;
	words[n++] = "--dir";
	words[n++] = server->folder;
	words[n++] = "--save";
	words[n++] = "";
	for (size_t i = 0; server->options[i] != NULL; i++) {
		words[n++] = server->options[i];
	}
	server->pid = fork();
	if (server->pid == 0) {
		fd = open("/dev/null", O_RDWR);
		dup2(fd, 1);
		dup2(fd, 2);
		execvp(words[0], (char *const *)(uintptr_t)words);
		_exit(127);
	}
	redis_server_await(server);
}

/* SIGSTOP, SIGCONT, or one that ends it. */
static inline void redis_server_kill(struct redis_server *server, int signal_number)
{
	if (server->pid <= 0) {
		return;
	}
	(void)kill(server->pid, signal_number);
	if (signal_number == SIGSTOP) {
		(void)waitpid(server->pid, NULL, WUNTRACED);
	} else if (signal_number != SIGCONT) {
		(void)waitpid(server->pid, NULL, 0);
		server->pid = -1;
	}
}

/* A folder, a port and addresses; redis_server_start starts it. */
static inline void redis_server_create(struct redis_server *server)
{
	*server = (struct redis_server){.port = redis_server_free_port(), .pid = -1};
	strcpy(server->folder, "/tmp/dadns-redis.XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->folder);
	snprintf(server->url, sizeof(server->url), "redis://127.0.0.1:%d", server->port);
}

static inline void redis_server_destroy(struct redis_server *server)
{
	char command[100];
	pid_t pid;

	redis_server_kill(server, SIGKILL);
	snprintf(command, sizeof(command), "rm -rf %s", server->folder);
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	(void)waitpid(pid, NULL, 0);
}

#endif
