/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that the flushing of caches is measured against: PUT cache/flush for one zone after the
 * other, one request at a time, over one connection as long as the server keeps it open.
 *
 *	PDNS_API_KEY=KEY bare_flush API FROM TO        (API: host:port)
 */
#include "tests/bench/http.h"

int main(int argc, char **argv)
{
	const char *key = getenv("PDNS_API_KEY");
	char request[1000];
	struct http http;
	int64_t from, to, began_us;
	double took_s;

	if (argc != 4 || key == NULL) {
		die("usage: PDNS_API_KEY=KEY bare_flush HOST:PORT FROM TO");
	}
	from = number_of(argv[2], "FROM");
	to = number_of(argv[3], "TO");
	if (to <= from || to > BENCH_ZONES_MAX) {
		die("TO must be above FROM");
	}
	http_init(&http, argv[1]);
	began_us = now_us();
	for (int64_t i = from; i < to; i++) {
		int len, status;

		len = snprintf(request, sizeof(request),
			       "PUT /api/v1/servers/localhost/cache/flush?domain=" BENCH_ZONE_FORMAT
			       ". HTTP/1.1\r\nHost: %s:%s\r\nX-API-Key: %s\r\n"
			       "Content-Length: 0\r\n\r\n",
			       (uint32_t)i % BENCH_ZONES_MAX, http.host, http.port, key);
		if (len < 0 || len >= (int)sizeof(request)) {
			die("the key is too long");
		}
		status = http_ask(&http, request, (size_t)len);
		if (status != 200) {
			die("HTTP %d: %s", status, http.body);
		}
	}
	took_s = (double)(now_us() - began_us) / 1e6;
	printf("flushed: %lld zones in %.3f s over %lld connections = %.0f flushes/s\n",
	       (long long)(to - from), took_s, (long long)http.opened,
	       (double)(to - from) / took_s);
	http_finish(&http);
	return 0;
}
