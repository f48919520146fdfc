/* SPDX-License-Identifier: Apache-2.0 */
/* writer-bind: brings one named to what dadns.zones says. */
#include <string.h>

#include "common/bus.h"
#include "common/legacy_keys.h"
#include "common/writer.h"
#include "services/writer-bind/bind.h"

struct settings {
	struct writer_config writer; /* first, as writer_main wants it */
	struct bind_config bind;
};

static const struct config_key keys[] = {
	WRITER_KEYS(struct settings, writer),
	EACH("dns.backends.*.type", CONFIG_TEXT, "", "bind, or empty when the name or keys tell"),
	EACH("dns.backends.*.enabled", CONFIG_BOOL, "true", "false: no writer runs for it"),
	KEY(struct settings, bind.zones_dir, "dns.backends.*.zones_dir", "/var/lib/bind/dadns",
	    "zone files live here; named reads them under the same path"),
	KEY(struct settings, bind.dns, "dns.backends.*.dns", "127.0.0.1:53",
	    "where named answers, to see what it serves"),
	KEY(struct settings, bind.rndc, "dns.backends.*.rndc", "127.0.0.1:953",
	    "named's control channel"),
	KEY(struct settings, bind.rndc_key_file, "dns.backends.*.rndc_key_file",
	    "/etc/bind/rndc.key", "its key, hmac-sha256, as rndc-confgen -a writes it"),
	KEY_RANGE(struct settings, bind.verify_ms, "dns.backends.*.verify_ms", "5000", 100, 60000,
		  "how long a zone may take until named serves it"),
	{0},
};

static bool is_ours(const char *type)
{
	return strcmp(type, "bind") == 0;
}

static enum outcome create(void *base, const struct backend_about *about, void **backend,
			   struct reason *why)
{
	const struct settings *settings = base;

	(void)about; /* one process, one stanza: its keys are in `settings` */
	return bind_create(&settings->bind, backend, why);
}

int main(int argc, char **argv)
{
	static const struct config_key *const tables[] = {keys, legacy_keys, backend_stanza_keys,
							  ingest_branch_keys, NULL};
	static const struct metric_table *const metrics[] = {
		&writer_metrics, &bus_metrics, &bind_metrics, &preflight_metrics, NULL};
	static const struct service_about about = {
		.name = "writer-bind",
		.summary = "brings one BIND to what dadns.zones says",
		.keys = tables,
		.metrics = metrics,
		.choose_flag = "backend",
		.accepts = is_ours,
	};
	struct settings settings = {0};

	return writer_main(&about, &settings, argc, argv, &bind_ops, create);
}
