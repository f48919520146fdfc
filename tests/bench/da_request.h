/* SPDX-License-Identifier: Apache-2.0 */
/* da_request.h: one push as DirectAdmin sends it: 20 records, 1.3 KB of zone text. The text is made
 * once; zone, serial and salt have fixed widths and are patched in, so that the load costs the
 * machine as little as it can.
 */
#ifndef TESTS_BENCH_DA_REQUEST_H
#define TESTS_BENCH_DA_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/figures.h"

/* zone-000000.bench.example */
#define BENCH_ZONE_FORMAT "zone-%06u.bench.example"
#define BENCH_ZONES_MAX 1000000

enum { DA_REQUEST_MAX = 4096, DA_HOLES_MAX = 64 };

/* Where a fixed width text goes again and again. */
struct da_hole {
	size_t at[DA_HOLES_MAX];
	size_t count, width;
};

struct da_request {
	char bytes[DA_REQUEST_MAX];
	size_t len;
	size_t body_len;
	struct da_hole zone, serial, salt;
};

struct da_sender {
	const char *user, *password;
	const char *owner; /* the DA hostname */
	bool http10;       /* as DA does: a connection for each push */
	bool reload_now;   /* named_reload=yes: `now` */
};

/* Stand-ins, as wide as what comes in their place. */
#define DA_ZONE "zone-ZZZZZZ.bench.example"
#define DA_SERIAL "SSSSSSSSSS"
#define DA_SALT "HHHHHHHH"

static inline const char *da_zone_text(void)
{
	return "\n\n\n\n\n\n\n\n\n\n\n\n\n"
	       "$TTL 3600\n"
	       "@       IN      SOA     ns1.hoster.example.      hostmaster." DA_ZONE ". (\n"
	       "                                                " DA_SERIAL "\n"
	       "                                                3600\n"
	       "                                                3600\n"
	       "                                                1209600\n"
	       "                                                86400 )\n\n" DA_ZONE
	       ".\t3600\tIN\tNS\tns1.hoster.example.\n" DA_ZONE
	       ".\t3600\tIN\tNS\tns2.hoster.example.\n\n"
	       "ftp\t3600\tIN\tA\t192.0.2.10\n" DA_ZONE ".\t3600\tIN\tA\t192.0.2.10\n"
	       "mail\t3600\tIN\tA\t192.0.2.10\n"
	       "pop\t3600\tIN\tA\t192.0.2.10\n"
	       "smtp\t3600\tIN\tA\t192.0.2.10\n"
	       "webmail\t3600\tIN\tA\t192.0.2.10\n"
	       "www\t3600\tIN\tA\t192.0.2.10\n"
	       "blog\t3600\tIN\tA\t192.0.2.11\n"
	       "shop\t3600\tIN\tA\t192.0.2.12\n\n" DA_ZONE ".\t3600\tIN\tMX\t10 mail\n" DA_ZONE
	       ".\t3600\tIN\tAAAA\t2001:db8::10\n"
	       "www\t3600\tIN\tAAAA\t2001:db8::10\n"
	       "autoconfig\t3600\tIN\tCNAME\twww\n"
	       "_imaps._tcp\t3600\tIN\tSRV\t0 1 993 mail\n\n" DA_ZONE
	       ".\t3600\tIN\tTXT\t\"v=spf1 +a +mx include:spf.hoster.example ~all\"\n"
	       "_dmarc\t3600\tIN\tTXT\t\"v=DMARC1; p=none; x=" DA_SALT "\"\n"
	       "x._domainkey\t3600\tIN\tTXT\t( \"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GN"
	       "ADCBiQKBgQC7vbqajDw4o6gJy8UtmIbkcpnkO3KWqVbNFvFQ2lPqTqVvBLk4D7uQn\"\n\t\t\t\t\"1cF3"
	       "2MbYy0dHqSGDXr0wZ5oJ3Uu8m6nT4k1sVwR9xZaBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789IDAQAB\""
	       " )\n\n\n\n\n\n\n\n\n";
}

static inline void da_find_holes(const struct da_request *request, const char *stand_in,
				 struct da_hole *out)
{
	const char *p = request->bytes;

	out->width = strlen(stand_in);
	while ((p = strstr(p, stand_in)) != NULL) {
		if (out->count == DA_HOLES_MAX) {
			die("too many places for %s", stand_in);
		}
		out->at[out->count++] = (size_t)(p - request->bytes);
		p += out->width;
	}
}

static inline void da_base64(const char *text, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = (uint32_t)(unsigned char)text[i] << 16;

		bits |= i + 1 < len ? (uint32_t)(unsigned char)text[i + 1] << 8 : 0;
		bits |= i + 2 < len ? (uint32_t)(unsigned char)text[i + 2] : 0;
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
		*out++ = i + 2 < len ? digits[bits & 63] : '=';
	}
	*out = '\0';
}

static inline void da_request_init(struct da_request *request, const struct da_sender *sender)
{
	const char *body = da_zone_text();
	char login[200], login64[300];
	int len;

	len = snprintf(login, sizeof(login), "%s:%s", sender->user, sender->password);
	if (len < 0 || len >= (int)sizeof(login)) {
		die("user and password are too long");
	}
	da_base64(login, login64);
	*request = (struct da_request){.body_len = strlen(body)};
	len = snprintf(request->bytes, sizeof(request->bytes),
		       "POST /CMD_API_DNS_ADMIN?action=rawsave&domain=" DA_ZONE
		       "%s&username=fred&hostname=%s HTTP/1.%c\r\nAUTHORIZATION: Basic %s\r\n"
		       "HOST: ns1.dns.example\r\nContent-Length: %zu\r\n\r\n%s",
		       sender->reload_now ? "&named_reload=yes" : "", sender->owner,
		       sender->http10 ? '0' : '1', login64, request->body_len, body);
	if (len < 0 || len >= (int)sizeof(request->bytes)) {
		die("the request is too long");
	}
	request->len = (size_t)len;
	da_find_holes(request, DA_ZONE, &request->zone);
	da_find_holes(request, DA_SERIAL, &request->serial);
	da_find_holes(request, DA_SALT, &request->salt);
}

static inline void da_fill(struct da_request *request, const struct da_hole *hole, const char *text)
{
	for (size_t i = 0; i < hole->count; i++) {
		memcpy(request->bytes + hole->at[i], text, hole->width);
	}
}

/* Another salt is another content, also under the same serial. */
static inline void da_request_set(struct da_request *request, uint32_t zone, uint32_t serial,
				  uint32_t salt)
{
	char text[40];

	snprintf(text, sizeof(text), BENCH_ZONE_FORMAT, zone % BENCH_ZONES_MAX);
	da_fill(request, &request->zone, text);
	snprintf(text, sizeof(text), "%010u", serial);
	da_fill(request, &request->serial, text);
	snprintf(text, sizeof(text), "%08x", salt);
	da_fill(request, &request->salt, text);
}

#endif
