/* SPDX-License-Identifier: Apache-2.0 */
/* writer-mysql: brings the tables of one database to what dadns.zones says. */
#include "common/bus.h"
#include "common/legacy_keys.h"
#include "common/writer.h"
#include "services/writer-mysql/database.h"

struct settings {
	struct writer_config writer; /* first, as writer_main wants it */
	struct database_config database;
};

/* clang-format off */
static const struct config_key keys[] = {
	WRITER_KEYS(struct settings, writer),
	EACH("dns.backends.*.type", CONFIG_TEXT, "", "coredns_mysql or powerdns_mysql, or empty when the name or keys tell"),
	EACH("dns.backends.*.enabled", CONFIG_BOOL, "true", "false: no writer runs for it"),
	KEY(struct settings, database.sql.host, "dns.backends.*.host", "127.0.0.1",
	    "the database server"),
	KEY_RANGE(struct settings, database.sql.port, "dns.backends.*.port", "3306", 1, 65535,
		  "its port"),
	KEY(struct settings, database.sql.socket, "dns.backends.*.socket", "",
	    "its Unix socket, instead of host and port"),
	KEY(struct settings, database.sql.database, "dns.backends.*.database", NULL,
	    "the database; its tables are made if they are missing"),
	KEY(struct settings, database.sql.username, "dns.backends.*.username", NULL,
	    "needs SELECT, INSERT, UPDATE, DELETE there; CREATE, ALTER, INDEX, REFERENCES to make and mend tables"),
	SECRET(struct settings, database.sql.password, "dns.backends.*.password", "",
	       "of that account"),
	KEY(struct settings, database.sql.tls_ca, "dns.backends.*.tls_ca", "",
	    "file with the authority that signed the server's certificate; empty: no TLS"),
	KEY_RANGE(struct settings, database.sql.timeout_ms, "dns.backends.*.timeout_ms", "10000",
		  3000, 600000, "how long a statement may take until the database counts as away"),
	KEY(struct settings, database.readers.api, "dns.backends.*.api", "",
	    "HTTP APIs of the PowerDNS servers that read these tables, comma separated: their caches are flushed"),
	SECRET(struct settings, database.readers.api_key, "dns.backends.*.api_key", "",
	       "their api-key"),
	KEY(struct settings, database.readers.dns, "dns.backends.*.dns", "",
	    "name servers that read these tables, host:port, comma separated: asked whether they serve it"),
	KEY_RANGE(struct settings, database.readers.verify_ms, "dns.backends.*.verify_ms", "5000",
		  100, 600000, "how long a zone may take until they do"),
	{0},
};
/* clang-format on */

static bool is_ours(const char *type)
{
	return layout_by_type(type) != NULL;
}

static enum outcome create(void *base, const struct backend_about *about, void **backend,
			   struct reason *why)
{
	const struct settings *settings = base;

	return database_create(&settings->database, layout_by_type(about->type), backend, why);
}

int main(int argc, char **argv)
{
	static const struct config_key *const tables[] = {keys, legacy_keys, backend_stanza_keys,
							  ingest_branch_keys, NULL};
	static const struct metric_table *const metrics[] = {&writer_metrics,    &bus_metrics,
							     &database_metrics,  &readers_metrics,
							     &preflight_metrics, NULL};
	static const struct service_about about = {
		.name = "writer-mysql",
		.summary = "brings the tables of one database to what dadns.zones says",
		.keys = tables,
		.metrics = metrics,
		.choose_flag = "backend",
		.accepts = is_ours,
	};
	struct settings settings = {0};

	return writer_main(&about, &settings, argc, argv, &database_ops, create);
}
