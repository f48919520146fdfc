/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

const char *cli_word(const struct cli *cli, size_t i)
{
	return config_argument(cli->config, 2 + i);
}

const char *cli_source(void)
{
	static char source[128];

	if (source[0] == '\0') {
		char host[64] = "";

		(void)gethostname(host, sizeof(host) - 1);
		(void)snprintf(source, sizeof(source), "/dadns/%s", host);
	}
	return source;
}

void complain(const char *format, ...)
{
	va_list args;

	(void)fputs("dadns: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
}
