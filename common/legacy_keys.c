/* SPDX-License-Identifier: Apache-2.0 */
#include "common/legacy_keys.h"

/* clang-format off */
const struct config_key legacy_keys[] = {
	GONE("timezone", "all times are UTC"),
	GONE("queue_location", "the queue is Kafka (kafka.brokers)"),
	GONE("dns.default_backend", "one writer runs for each stanza of dns.backends (--backend)"),
	GONE("dns.backends.*.named_conf", "zones are added to the running named by rndc (rndc, rndc_key_file)"),
	GONE("dns.backends.*.nsd_conf", "there is no writer for NSD yet"),
	GONE("app.listen_port", "app.listen, e.g. \":2222\""),
	GONE("app.ssl_enable", "a TLS proxy in front of app.listen"),
	GONE("app.ssl_cert", "a TLS proxy in front of app.listen"),
	GONE("app.ssl_key", "a TLS proxy in front of app.listen"),
	GONE("app.ssl_bundle", "a TLS proxy in front of app.listen"),
	GONE("app.proxy_support", "forwarded addresses are not trusted"),
	GONE("app.proxy_support_base", "there are no redirects"),
	GONE("app.check_subdomain_owner_in_cluster_domainowners", "app.senders: a bound credential owns its zones and their children"),
	GONE("app.log_level", "log_level"),
	GONE("app.log_to", "logs go to stderr"),
	GONE("app.token_valid_for_days", "it was never read"),
	GONE("app.queue_location", "the queue is Kafka (kafka.brokers)"),
	GONE("datastore", "the store is Kafka (dadns.zones)"),
	GONE("reconciliation", "audits are the reconciler's"),
	GONE("peer_sync", "all replicas read one log"),
	{0},
};

const struct config_key backend_stanza_keys[] = {
	EACH("dns.backends.*.type", CONFIG_TEXT, NULL, "which kind of backend; read by its writer"),
	EACH("dns.backends.*.enabled", CONFIG_BOOL, "true", "read by its writer"),
	ELSEWHERE("dns.backends.*.host", "read by its writer"),
	ELSEWHERE("dns.backends.*.port", "read by its writer"),
	ELSEWHERE("dns.backends.*.socket", "read by its writer"),
	ELSEWHERE("dns.backends.*.database", "read by its writer"),
	ELSEWHERE("dns.backends.*.username", "read by its writer"),
	ELSEWHERE("dns.backends.*.password", "read by its writer"),
	ELSEWHERE("dns.backends.*.password_file", "read by its writer"),
	ELSEWHERE("dns.backends.*.tls_ca", "read by its writer"),
	ELSEWHERE("dns.backends.*.timeout_ms", "read by its writer"),
	ELSEWHERE("dns.backends.*.api", "read by its writer"),
	ELSEWHERE("dns.backends.*.api_key", "read by its writer"),
	ELSEWHERE("dns.backends.*.api_key_file", "read by its writer"),
	ELSEWHERE("dns.backends.*.zones_dir", "read by its writer"),
	ELSEWHERE("dns.backends.*.rndc", "read by its writer"),
	ELSEWHERE("dns.backends.*.rndc_key_file", "read by its writer"),
	ELSEWHERE("dns.backends.*.dns", "read by its writer"),
	ELSEWHERE("dns.backends.*.verify_ms", "read by its writer"),
	{0},
};

const struct config_key ingest_branch_keys[] = {
	ELSEWHERE("app", "read by ingest"),
	ELSEWHERE("judge", "read by ingest"),
	{0},
};

const struct config_key writer_branch_keys[] = {
	ELSEWHERE("dns.backends", "read by the backend's writer"),
	ELSEWHERE("writer", "read by the writers"),
	ELSEWHERE("reconciler", "read by the reconciler"),
	{0},
};
/* clang-format on */
