/* SPDX-License-Identifier: Apache-2.0 */
#include "common/redis_place.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"

enum {
	PORT = 6379,
	DATABASES = 1000000,
};

static bool number_of(struct span text, int max, int *out)
{
	int number = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || number > max) {
			return false;
		}
		number = number * 10 + (text.data[i] - '0');
	}
	*out = number;
	return text.len != 0 && number <= max;
}

static bool starts_with(struct span text, const char *words)
{
	size_t len = strlen(words);

	return text.len >= len && memcmp(text.data, words, len) == 0;
}

static struct span behind(struct span text, size_t at)
{
	return (struct span){text.data + at, text.len - at};
}

/* Cuts `text` in front of `byte`; what is behind it goes to `rest`. */
static bool cut(struct span *text, char byte, struct span *rest)
{
	const char *found = text->len == 0 ? NULL : memchr(text->data, byte, text->len);

	if (found == NULL) {
		return false;
	}
	*rest = behind(*text, (size_t)(found - text->data) + 1);
	text->len = (size_t)(found - text->data);
	return true;
}

static bool copy(struct span text, char *out, size_t size)
{
	if (text.len >= size) {
		return false;
	}
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	return true;
}

/* /PATH[?db=DB] */
static enum outcome read_socket(struct span text, struct redis_place *out, struct reason *why)
{
	struct span query;

	if (cut(&text, '?', &query) && (!starts_with(query, "db=") ||
					!number_of(behind(query, 3), DATABASES, &out->database))) {
		return because(PERMFAIL, why, "behind ? only db=NUMBER is known");
	}
	if (!starts_with(text, "/") || !copy(text, out->path, sizeof(out->path))) {
		return because(PERMFAIL, why,
			       "the path of a socket begins with / and has at most %zu bytes",
			       sizeof(out->path) - 1);
	}
	return OK;
}

/* [USER@]HOST[:PORT][/DB] */
static enum outcome read_host(struct span text, struct redis_place *out, struct reason *why)
{
	char host[ADDRESS_HOST_SIZE + 8];
	struct span database;
	struct span rest;

	if (cut(&text, '/', &database) && database.len != 0 &&
	    !number_of(database, DATABASES, &out->database)) {
		return because(PERMFAIL, why, "behind / the number of a database is expected");
	}
	if (cut(&text, '@', &rest)) {
		if (span_has_byte(text, ':')) {
			return because(
				PERMFAIL, why,
				"a password in the URL would be seen: use redis.password_file");
		}
		if (!copy(text, out->user, sizeof(out->user))) {
			return because(PERMFAIL, why, "the user's name is too long");
		}
		text = rest;
	}
	if (!copy(text, host, sizeof(host))) {
		return because(PERMFAIL, why, "the host's name is too long");
	}
	if (address_parse(host, PORT, &out->address, NULL) != OK) {
		return because(PERMFAIL, why, "a HOST:PORT is expected, [ADDRESS]:PORT for IPv6");
	}
	return OK;
}

enum outcome redis_place_parse(const char *url, struct redis_place *out, struct reason *why)
{
	static const char tcp[] = "redis://";
	static const char local[] = "redis+unix://";
	struct span text = span_of(url);
	struct redis_place place = {0};
	enum outcome outcome;

	if (starts_with(text, local)) {
		outcome = read_socket(behind(text, sizeof(local) - 1), &place, why);
	} else if (starts_with(text, tcp)) {
		outcome = read_host(behind(text, sizeof(tcp) - 1), &place, why);
	} else {
		outcome = because(PERMFAIL, why,
				  "write redis://HOST:PORT/DB or redis+unix:///PATH (TLS: put a "
				  "tunnel in front)");
	}
	if (outcome == OK) {
		*out = place;
	}
	return outcome;
}

void redis_place_print(const struct redis_place *place, char *out, size_t size)
{
	bool v6 = strchr(place->address.host, ':') != NULL;

	if (place->path[0] != '\0') {
		(void)snprintf(out, size, "%s", place->path);
		return;
	}
	(void)snprintf(out, size, "%s%s%s:%s", v6 ? "[" : "", place->address.host, v6 ? "]" : "",
		       place->address.port);
}
