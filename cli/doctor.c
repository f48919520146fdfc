/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "common/layout.h"

#define KAFKA_MS 10000
#define RNDC_MS 5000
#define SQL_MS 5000
#define SECRET_SIZE 4096
#define BACKENDS "dns.backends"

/* As texts: a stanza that another verb has nothing to do with must not stop it, and a secret's file
 * may be the writer's alone. */
const struct config_key doctor_keys[] = {
	EACH(BACKENDS ".*.type", CONFIG_TEXT, "", "read by its writer"),
	EACH(BACKENDS ".*.enabled", CONFIG_TEXT, "true", "read by its writer"),
	EACH(BACKENDS ".*.host", CONFIG_TEXT, "127.0.0.1", "read by its writer"),
	EACH(BACKENDS ".*.port", CONFIG_TEXT, "3306", "read by its writer"),
	EACH(BACKENDS ".*.socket", CONFIG_TEXT, "", "read by its writer"),
	EACH(BACKENDS ".*.database", CONFIG_TEXT, "", "read by its writer"),
	EACH(BACKENDS ".*.username", CONFIG_TEXT, "", "read by its writer"),
	EACH(BACKENDS ".*.password", CONFIG_TEXT, "", "read by its writer"),
	EACH(BACKENDS ".*.password_file", CONFIG_TEXT, "", "read by its writer"),
	EACH(BACKENDS ".*.tls_ca", CONFIG_TEXT, "", "read by its writer"),
	EACH(BACKENDS ".*.zones_dir", CONFIG_TEXT, "/var/lib/bind/dadns", "read by its writer"),
	EACH(BACKENDS ".*.rndc", CONFIG_TEXT, "127.0.0.1:953", "read by its writer"),
	EACH(BACKENDS ".*.rndc_key_file", CONFIG_TEXT, "/etc/bind/rndc.key", "read by its writer"),
	{0},
};

/* --- backends --------------------------------------------------------------------------------- */

static const char *value_of(const struct cli *cli, const char *stanza, const char *key)
{
	return config_each_value(cli->config, BACKENDS, stanza, key);
}

/* named's files and key are beside it; from elsewhere its loopback address is another named's. */
static void look_at_bind(const struct cli *cli, struct preflight *findings, const char *stanza)
{
	const char *server = value_of(cli, stanza, "rndc");
	const char *key_file = value_of(cli, stanza, "rndc_key_file");
	const char *zones_dir = value_of(cli, stanza, "zones_dir");
	struct rndc *rndc = NULL;
	struct reason why;

	if (access(key_file, R_OK) != 0) {
		preflight_say(
			findings, CHECK_BIND_REACH, FINDING_UNSEEN, stanza,
			"its key %.80s: %s; look there: dadns doctor on the writer's host, as "
			"its user",
			key_file, strerror(errno));
		return;
	}
	if (strncmp(server, "127.", 4) == 0 && access(zones_dir, F_OK) != 0) {
		preflight_say(findings, CHECK_BIND_REACH, FINDING_UNSEEN, stanza,
			      "rndc is %.60s and zones_dir %.60s is not on this host; look there: "
			      "dadns doctor on the writer's host",
			      server, zones_dir);
		return;
	}
	if (rndc_create(&rndc, server, key_file, &why) != OK) {
		preflight_say(findings, CHECK_BIND_REACH, FINDING_WRONG, stanza, "rndc: %s",
			      why.text);
		return;
	}
	preflight_bind(findings, stanza, rndc, zones_dir, RNDC_MS);
	rndc_destroy(rndc);
}

/* The first line of the file; false: it cannot be read. */
static bool read_secret(const char *path, char out[SECRET_SIZE])
{
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		return false;
	}
	if (fgets(out, SECRET_SIZE, file) == NULL) {
		out[0] = '\0';
	}
	out[strcspn(out, "\r\n")] = '\0';
	(void)fclose(file);
	return true;
}

static void look_at_database(const struct cli *cli, struct preflight *findings, const char *stanza,
			     const struct layout *layout)
{
	const char *tables[] = {layout->zones_table, layout->records_table, "dadns_zones",
				"dadns_positions",   "dadns_meta",          NULL};
	const char *file = value_of(cli, stanza, "password_file");
	char secret[SECRET_SIZE];
	struct sql_config config = {
		.host = value_of(cli, stanza, "host"),
		.port = strtol(value_of(cli, stanza, "port"), NULL, 10),
		.socket = value_of(cli, stanza, "socket"),
		.database = value_of(cli, stanza, "database"),
		.username = value_of(cli, stanza, "username"),
		.password = value_of(cli, stanza, "password"),
		.tls_ca = value_of(cli, stanza, "tls_ca"),
		.timeout_ms = SQL_MS,
	};
	struct sql *sql;

	if (file[0] != '\0') {
		if (!read_secret(file, secret)) {
			preflight_say(
				findings, CHECK_MYSQL_REACH, FINDING_UNSEEN, stanza,
				"its password_file %.80s: %s; look there: dadns doctor as the "
				"writer's user",
				file, strerror(errno));
			return;
		}
		config.password = secret;
	}
	sql = sql_create(&config);
	preflight_mysql(findings, stanza, sql, tables);
	sql_destroy(sql);
	explicit_bzero(secret, sizeof(secret));
}

static void look_at_backends(const struct cli *cli, struct preflight *findings)
{
	const char *stanza;

	for (size_t i = 0; (stanza = config_each(cli->config, BACKENDS, i)) != NULL; i++) {
		const char *type = config_backend_type(cli->config, stanza);

		if (strcmp(value_of(cli, stanza, "enabled"), "false") == 0 || type == NULL) {
			continue;
		}
		if (strcmp(type, "bind") == 0) {
			look_at_bind(cli, findings, stanza);
		} else if (layout_by_type(type) != NULL) {
			look_at_database(cli, findings, stanza, layout_by_type(type));
		}
	}
}

/* --- verbs ------------------------------------------------------------------------------------ */

static void print(const struct cli *cli, const struct preflight *findings)
{
	static const char *const columns[] = {"check", "state", "where", "what", "do", NULL};
	struct output output;

	output_init(&output, columns);
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];
		const struct check_about *about = &check_abouts[finding->check];

		output_add(&output, span_of(about->name));
		output_add(&output, span_of(finding_state_text(finding->state)));
		output_add(&output, span_of(finding->where));
		output_add(&output, span_of(finding->text.text));
		output_add(&output, span_of(finding->state > FINDING_UNSEEN ? about->remedy : ""));
	}
	output_print(&output, cli->json);
	output_finish(&output);
}

static int doctor(const struct cli *cli)
{
	struct preflight findings;
	struct reason why;
	int code = EXIT_DONE;

	if (preflight_check_allow(cli->settings.preflight.allow, &why) != OK) {
		complain("%s", why.text);
		return EXIT_USAGE;
	}
	preflight_init(&findings, cli->settings.preflight.allow);
	preflight_kafka(&findings, &cli->settings.bus, &cli->settings.topics, KAFKA_MS, true);
	preflight_redis(&findings, &cli->settings.redis);
	look_at_backends(cli, &findings);
	if (preflight_first(&findings, FINDING_AWAY) == NULL ||
	    preflight_first(&findings, FINDING_AWAY)->check != CHECK_KAFKA_REACH) {
		doctor_fleet(cli, &findings);
	}
	print(cli, &findings);
	if (preflight_first(&findings, FINDING_WRONG) != NULL) {
		code = EXIT_WRONG;
	} else if (preflight_first(&findings, FINDING_AWAY) != NULL) {
		code = EXIT_AWAY;
	}
	preflight_finish(&findings);
	return code;
}

static int checks(const struct cli *cli)
{
	static const char *const columns[] = {"check", "must", "why", "do", NULL};
	struct output output;

	output_init(&output, columns);
	for (size_t i = 0; i < CHECKS; i++) {
		output_add(&output, span_of(check_abouts[i].name));
		output_add(&output, span_of(check_abouts[i].must));
		output_add(&output, span_of(check_abouts[i].why));
		output_add(&output, span_of(check_abouts[i].remedy));
	}
	output_print(&output, cli->json);
	output_finish(&output);
	return EXIT_DONE;
}

const struct verb doctor_verbs[] = {
	{
		.noun = "doctor",
		.name = "",
		.summary = "is everything set up as it must be? (exit code 3: no)",
		.help = "Looks at Kafka, Redis, every enabled backend of the configuration, their "
			"writers and what waits,\nas far as this can be done from here, and "
			"changes nothing. States: right; unseen (not from here: the\ntext says "
			"where to look); warn (it works); wrong (promises do not hold; exit code "
			"3); away (could not\nbe reached; exit code 75). Reads dadns.zones as a "
			"whole: with many zones it takes a while.\n"
			"preflight.allow makes a wrong one a warning.\n",
		.run = doctor,
		.flags = "",
	},
	{
		.noun = "doctor",
		.name = "checks",
		.summary = "what it looks at, why, and what to do (docs/PREFLIGHT.md)",
		.help = "",
		.run = checks,
		.flags = "",
	},
	{0},
};
