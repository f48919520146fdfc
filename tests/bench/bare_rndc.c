/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that writer-bind is measured against: an rndc loop on one connection over files that
 * are written before the clock starts, until the last one is served. No sync, no verification of
 * the others, no versions.
 *
 *	bare_rndc new|changed|gone RNDC KEY_FILE DNS DIR COUNT
 *
 * `new` writes COUNT files and adds the zones; `changed` rewrites them with the next serial and
 * reloads; `gone` removes them. Run them in this order on a named with allow-new-zones.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/dnsq.h"
#include "common/rndc.h"
#include "common/zone.h"
#include "services/writer-bind/zonefile.h"

#define ZONE_TEXT                                                                            \
	"$TTL 14400\n"                                                                       \
	"@ IN SOA ns1.bench.test. hostmaster.bench.test. %u 14400 3600 1209600 86400\n"      \
	"@ IN NS ns1.bench.test.\n@ IN NS ns2.bench.test.\n@ IN A 192.0.2.1\n"               \
	"ftp IN A 192.0.2.1\nmail IN A 192.0.2.1\npop IN A 192.0.2.1\nsmtp IN A 192.0.2.1\n" \
	"www IN A 192.0.2.1\n@ IN MX 10 mail\n@ IN TXT \"v=spf1 a mx ip4:192.0.2.1 ~all\"\n" \
	"_dmarc IN TXT \"v=DMARC1; p=none\"\n"                                               \
	"x._domainkey IN TXT \"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\"\n"

struct run {
	struct rndc *rndc;
	struct dnsq *dnsq;
	struct zonedir dir;
	const char *path;
	unsigned int count;
	uint32_t serial;
};

static void check(enum outcome outcome, const struct reason *why)
{
	if (outcome != OK) {
		(void)fprintf(stderr, "bare_rndc: %s\n", why->text);
		exit(1);
	}
}

static struct name zone_at(unsigned int i)
{
	char text[32];
	struct reason why;
	struct name name;

	(void)snprintf(text, sizeof(text), "bare-%06u.test", i);
	check(name_parse(span_of(text), &name, &why), &why);
	return name;
}

static void write_file(struct run *run, unsigned int i)
{
	static const struct zone_limits limits = ZONE_LIMITS_DEFAULT;
	struct zone_event value = {
		.zone = zone_at(i), .version = {1, run->serial}, .owner = "bench"};
	struct reason why;
	struct zone *zone;
	unsigned int spare;
	char text[2048];
	bool kept;

	(void)snprintf(text, sizeof(text), ZONE_TEXT, run->serial);
	check(zone_parse(&value.zone, span_of(text), &limits, &zone, &why), &why);
	value.serial = run->serial;
	value.digest = zone_digest(zone);
	value.rrsets = zone_rrsets(zone);
	value.rrset_count = zone_rrset_count(zone);
	check(zonefile_write(&run->dir, &value, false, &spare, &why), &why);
	check(zonefile_publish(&run->dir, &value.zone, spare, false, &kept, &why), &why);
	zone_destroy(zone);
}

static bool last_is(const struct run *run, enum dnsq_state state, uint32_t serial)
{
	struct name zone = zone_at(run->count - 1);
	struct dnsq_answer answer;
	struct reason why;

	check(dnsq_ask_soa(run->dnsq, &zone, 0, &why), &why);
	return dnsq_next(run->dnsq, 100, &answer) && answer.state == state &&
	       (state != DNSQ_SERVED || answer.serial == serial);
}

static uint32_t served_serial(const struct run *run)
{
	struct name zone = zone_at(run->count - 1);
	struct dnsq_answer answer = {0};
	struct reason why;

	check(dnsq_ask_soa(run->dnsq, &zone, 0, &why), &why);
	(void)dnsq_next(run->dnsq, 1000, &answer); /* none: 0 */
	return answer.serial;
}

static void print_command(const struct run *run, const char *mode, unsigned int i, struct buf *out)
{
	struct name zone = zone_at(i);
	char file[ZONEFILE_NAME_SIZE];

	buf_clear(out);
	if (strcmp(mode, "new") == 0) {
		zonefile_name(&zone, file);
		buf_addf(out, "addzone \"%s\" { type primary; file \"%s/%s\"; };", zone.text,
			 run->path, file);
	} else {
		buf_addf(out, "%s \"%s\"", strcmp(mode, "gone") == 0 ? "delzone" : "reload",
			 zone.text);
	}
}

static void measure(const struct run *run, const char *mode)
{
	struct buf command = BUF_INIT(RNDC_REQUEST_MAX);
	bool gone = strcmp(mode, "gone") == 0;
	struct rndc_reply reply;
	struct reason why;
	int64_t began_us;
	double took_s;

	check(rndc_open(run->rndc, 5000, &why), &why);
	began_us = clock_us();
	for (unsigned int i = 0; i < run->count; i++) {
		print_command(run, mode, i, &command);
		check(rndc_call(run->rndc, buf_span(&command), 10000, &reply, &why), &why);
		if (reply.result != 0) {
			(void)fprintf(stderr, "bare_rndc: %s: %s %s\n", buf_text(&command),
				      reply.err, reply.text);
			exit(1);
		}
	}
	while (!last_is(run, gone ? DNSQ_NOT_SERVED : DNSQ_SERVED, run->serial)) {
	}
	took_s = (double)(clock_us() - began_us) / 1e6;
	(void)printf("%s: %u zones in %.3f s = %.0f zones/s\n", mode, run->count, took_s,
		     run->count / took_s);
	buf_finish(&command);
}

int main(int argc, char **argv)
{
	struct run run = {0};
	struct reason why;

	if (argc != 7 || strtoul(argv[6], NULL, 10) == 0) {
		(void)fprintf(stderr,
			      "usage: bare_rndc new|changed|gone RNDC KEY_FILE DNS DIR COUNT\n");
		return 64;
	}
	run.path = argv[5];
	run.count = (unsigned int)strtoul(argv[6], NULL, 10);
	run.dir.fd = open(run.path, O_RDONLY | O_DIRECTORY);
	if (run.dir.fd < 0) {
		(void)fprintf(stderr, "bare_rndc: %s: %s\n", run.path, strerror(errno));
		return 1;
	}
	check(rndc_create(&run.rndc, argv[2], argv[3], &why), &why);
	check(dnsq_create(&run.dnsq, argv[4], &why), &why);
	run.serial = served_serial(&run) + 1;
	for (unsigned int i = 0; i < run.count && strcmp(argv[1], "gone") != 0; i++) {
		write_file(&run, i);
	}
	measure(&run, argv[1]);
	for (unsigned int i = 0; i < run.count && strcmp(argv[1], "gone") == 0; i++) {
		struct name zone = zone_at(i);

		zonefile_remove(&run.dir, &zone);
	}
	(void)close(run.dir.fd);
	dnsq_destroy(run.dnsq);
	rndc_destroy(run.rndc);
	return 0;
}
