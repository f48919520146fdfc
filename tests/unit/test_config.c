/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA "tests/data/config/"

struct sample {
	const char *log_level;
	const char *brokers;
	const char *user;
	const char *password;
	const char *zones_dir;
	int64_t partitions;
	bool verify;
};

static const struct config_key keys[] = {
	KEY_CHOICE(struct sample, log_level, "log_level", "info", "debug|info|warn|error",
		   "what to log"),
	KEY(struct sample, brokers, "kafka.brokers", "127.0.0.1:9092", "where Kafka is"),
	KEY_RANGE(struct sample, partitions, "bus.partitions", "24", 1, 1000, "pinned"),
	KEY(struct sample, verify, "bus.verify", "yes", "look twice"),
	KEY(struct sample, user, "app.auth_username", "directdnsonly", "the user"),
	SECRET(struct sample, password, "app.auth_password", "none", "the password"),
	EACH("dns.backends.*.enabled", CONFIG_BOOL, "yes", "serve it"),
	EACH("dns.backends.*.type", CONFIG_TEXT, "", "what it is"),
	KEY(struct sample, zones_dir, "dns.backends.*.zones_dir", "/var/lib/bind", "zone files"),
	EACH("app.senders.*.hostnames", CONFIG_TEXT, "", "who he is"),
	EACH_SECRET("app.senders.*.password", NULL, "his password"),
	ELSEWHERE("dns.backends.*.host", ""),
	ELSEWHERE("dns.backends.*.port", ""),
	ELSEWHERE("dns.backends.*.database", ""),
	ELSEWHERE("dns.backends.*.username", ""),
	ELSEWHERE("dns.backends.*.password", ""),
	GONE("timezone", "times are UTC"),
	GONE("queue_location", "Kafka is the queue"),
	GONE("dns.default_backend", "every enabled backend is served"),
	GONE("dns.backends.*.named_conf", "zones live in NZD"),
	GONE("peer_sync", "the log keeps the replicas equal"),
	FLAG("json", "for programs"),
	FLAG_VALUE("zone", "which one"),
	{0},
};
static const struct config_key *const tables[] = {keys, NULL};

static const struct config_key needy_keys[] = {
	KEY(struct sample, brokers, "kafka.brokers", NULL, "where Kafka is"),
	SECRET(struct sample, password, "app.auth_password", NULL, "the password"),
	{0},
};
static const struct config_key *const needy[] = {needy_keys, NULL};

static struct sample sample;
static struct config *config;
static struct reason why;

static bool is_bind(const char *type)
{
	return strcasecmp(type, "bind") == 0;
}

#define ARGS(...)                              \
	(const char *[])                       \
	{                                      \
		"program", ##__VA_ARGS__, NULL \
	}
#define load(...) load_args(tables, NULL, NULL, ARGS(__VA_ARGS__))

static enum outcome load_args(const struct config_key *const *with, const char *choose_flag,
			      bool (*accepts)(const char *type), const char **argv)
{
	int argc = 0;

	while (argv[argc] != NULL) {
		argc++;
	}
	why.text[0] = '\0';
	return config_load(&config, with, &sample, argc, (char **)(uintptr_t)argv, choose_flag,
			   accepts, &why);
}

static int teardown(void **state)
{
	(void)state;
	config_destroy(config);
	config = NULL;
	sample = (struct sample){0};
	assert_int_equal(clearenv(), 0);
	return 0;
}

static bool has_note(const char *part)
{
	const char *text;

	for (size_t i = 0; (text = config_note(config, i)) != NULL; i++) {
		if (strstr(text, part) != NULL) {
			return true;
		}
	}
	return false;
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL) {
		fail_msg("`%s` is not in `%s`", part, text);
	}
}

static void defaults_fill_the_struct(void **state)
{
	(void)state;

	assert_int_equal(load(), OK);

	assert_string_equal(sample.log_level, "info");
	assert_string_equal(sample.brokers, "127.0.0.1:9092");
	assert_string_equal(sample.password, "none");
	assert_string_equal(sample.zones_dir, "/var/lib/bind");
	assert_int_equal(sample.partitions, 24);
	assert_true(sample.verify);
	assert_null(config_note(config, 0));
}

static void flag_beats_environment_beats_file_beats_default(void **state)
{
	(void)state;
	assert_int_equal(load("--config=" DATA "full.yml"), OK);
	assert_string_equal(sample.brokers, "b1:9092,b2:9092");
	assert_int_equal(sample.partitions, 12);
	config_destroy(config);
	config = NULL;

	setenv("DADNS_KAFKA_BROKERS", "env:9092", 1);
	setenv("DADNS_BUS_PARTITIONS", "13", 1);
	assert_int_equal(load("--config", DATA "full.yml", "--bus.partitions", "14"), OK);

	assert_string_equal(sample.brokers, "env:9092");
	assert_int_equal(sample.partitions, 14);
	assert_string_equal(sample.user, "directdnsonly");
}

static void file_name_may_come_from_the_environment(void **state)
{
	(void)state;
	setenv("DADNS_CONFIG", DATA "full.yml", 1);

	assert_int_equal(load(), OK);

	assert_int_equal(sample.partitions, 12);
	assert_int_equal(config_unknown_count(config), 1); /* dns.backends.odd.weight */
}

static void seed_files_load_as_they_are(void **state)
{
	(void)state;
	assert_int_equal(load("--config=" DATA "app-default.yml"), OK);
	assert_string_equal(sample.log_level, "info");
	assert_string_equal(sample.password, "changeme");
	assert_string_equal(config_each(config, "dns.backends", 0), "bind");
	assert_string_equal(config_backend_type(config, "bind"), "bind");
	assert_string_equal(config_each(config, "dns.backends", 1), "coredns_mysql");
	assert_string_equal(config_backend_type(config, "coredns_mysql"), "coredns_mysql");
	assert_null(config_each(config, "dns.backends", 2));
	assert_true(has_note("timezone means nothing here: times are UTC"));
	assert_true(has_note("queue_location"));
	assert_true(has_note("named_conf means nothing here: zones live in NZD"));
	assert_int_equal(config_unknown_count(config), 0);
	config_destroy(config);

	assert_int_equal(load("--config=" DATA "app-topology-a.yml"), OK);
	assert_int_equal(config_unknown_count(config), 0);
	config_destroy(config);

	assert_int_equal(load("--config=" DATA "app-topology-b.yml"), OK);
	assert_string_equal(config_each(config, "dns.backends", 1), "coredns_mysql_dc2");
	assert_string_equal(config_backend_type(config, "coredns_mysql_dc2"), "coredns_mysql");
	assert_int_equal(config_unknown_count(config), 0);
}

static void required_key_names_itself_and_its_variable(void **state)
{
	(void)state;

	assert_int_equal(load_args(needy, NULL, NULL, ARGS()), PERMFAIL);

	assert_string_equal(why.text, "kafka.brokers (DADNS_KAFKA_BROKERS) is required");
	assert_int_equal(load_args(needy, NULL, NULL, ARGS("--kafka.brokers=")), PERMFAIL);
	assert_string_equal(why.text, "kafka.brokers (DADNS_KAFKA_BROKERS) is required");
}

static void wrong_values_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *flag;
		const char *text;
	} cases[] = {
		{"--bus.partitions=12x",
		 "bus.partitions (--bus.partitions): `12x` is no whole number"},
		{"--bus.partitions=", "is no whole number"},
		{"--bus.partitions= 1", "is no whole number"},
		{"--bus.partitions=+1", "is no whole number"},
		{"--bus.partitions=99999999999999999999", "is no whole number"},
		{"--bus.partitions=0", "0 is not within 1 to 1000"},
		{"--bus.verify=1", "`1` is none of yes, no, true, false"},
		{"--log_level=loud", "`loud` is none of debug|info|warn|error"},
		{"--log_level=inf", "is none of"},
		{"--config=" DATA "no-number.yml",
		 "no-number.yml:2:15): `twelve` is no whole number"},
		{"--config=" DATA "repeated.yml", "repeated.yml:4:3: kafka.brokers is there twice"},
		{"--config=" DATA "broken.yml", "broken.yml:3:"},
		{"--config=" DATA "absent.yml", "absent.yml: No such file"},
		{"--config=" DATA "two-documents.yml", "holds more than one document"},
		{"--config=" DATA "laughs.yml", "is one key too many"},
		{"--config=" DATA "twins.yml",
		 "ns-1 and NS.1 are the same name in the environment"},
		{"--config=" DATA "empty-secret.yml", "a secret must not be empty"},
		{"--bus.partitons=3", "--bus.partitons is no flag of this program"},
		{"--frobnicate", "--frobnicate needs a value"},
		{"--frobnicate=1", "--frobnicate is no flag of this program"},
		{"-x", "-x is no flag of this program"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(load(cases[i].flag), PERMFAIL);
		assert_has(why.text, cases[i].text);
		assert_null(config);
	}
}

static void letter_case_of_a_choice_does_not_matter(void **state)
{
	(void)state;
	setenv("DADNS_LOG_LEVEL", "WARN", 1);

	assert_int_equal(load("--bus.verify=No"), OK);

	assert_string_equal(sample.log_level, "warn");
	assert_false(sample.verify);
}

static void bool_flag_needs_no_value_and_flags_may_repeat(void **state)
{
	(void)state;

	assert_int_equal(load("--bus.verify=no", "--bus.verify", "retire", "--json", "--", "--x"),
			 OK);

	assert_true(sample.verify);
	assert_true(config_flag_given(config, "json"));
	assert_string_equal(config_flag(config, "json"), "");
	assert_false(config_flag_given(config, "help"));
	assert_string_equal(config_argument(config, 0), "retire");
	assert_string_equal(config_argument(config, 1), "--x");
	assert_null(config_argument(config, 2));
}

static void flag_with_a_value_takes_the_next_word(void **state)
{
	(void)state;

	assert_int_equal(load("--zone", "a.example", "list", "--json", "--zone=b.example", "now"),
			 OK);

	assert_string_equal(config_flag(config, "zone"), "b.example");
	assert_string_equal(config_argument(config, 0), "list");
	assert_string_equal(config_argument(config, 1), "now");
	assert_null(config_argument(config, 2));
	config_destroy(config);
	config = NULL;

	assert_int_equal(load("--zone"), PERMFAIL);
	assert_non_null(strstr(why.text, "--zone needs a value"));
}

static void unknown_keys_are_told_and_never_their_values(void **state)
{
	const char *text;
	size_t n = 0;

	(void)state;
	setenv("DADNS_APP_AUTH_PASWORD", "hunter2", 1);
	setenv("DADNS_ABORT_AT", "somewhere", 1);
	setenv("DADNS_PEER_SYNC_ENABLED", "true", 1);

	assert_int_equal(load("--config=" DATA "unknown.yml"), OK);

	assert_int_equal(config_unknown_count(config), 2);
	assert_true(has_note("unknown key log_levle (" DATA "unknown.yml:1:"));
	assert_true(has_note("unknown key DADNS_APP_AUTH_PASWORD"));
	while ((text = config_note(config, n)) != NULL) {
		assert_null(strstr(text, "hunter2"));
		n++;
	}
	assert_int_equal(n, 3); /* peer_sync is told once */
}

static void secrets_come_from_files_too(void **state)
{
	(void)state;
	assert_int_equal(load("--config=" DATA "secret-file.yml"), OK);
	assert_string_equal(sample.password, "s3cret");
	config_destroy(config);
	config = NULL;

	setenv("DADNS_APP_AUTH_PASSWORD", "nearer", 1);
	assert_int_equal(load("--config=" DATA "secret-file.yml"), OK);
	assert_string_equal(sample.password, "nearer");
	config_destroy(config);
	config = NULL;

	setenv("DADNS_APP_AUTH_PASSWORD_FILE", DATA "password.txt", 1);
	assert_int_equal(load(), PERMFAIL);
	assert_has(why.text, "are both set");

	unsetenv("DADNS_APP_AUTH_PASSWORD");
	assert_int_equal(load(), OK);
	assert_string_equal(sample.password, "s3cret");
	config_destroy(config);
	config = NULL;

	assert_int_equal(load("--app.auth_password_file=" DATA "absent"), PERMFAIL);
	assert_has(why.text,
		   "app.auth_password_file (--app.auth_password_file): " DATA "absent: No");
}

static void stanzas_can_be_walked(void **state)
{
	(void)state;
	setenv("DADNS_APP_SENDERS_DA1_EXAMPLE_NET_PASSWORD", "from env", 1);
	setenv("DADNS_APP_SENDERS_DA_2_HOSTNAMES", "b.example.net", 1);

	assert_int_equal(load("--config=" DATA "full.yml"), OK);

	assert_string_equal(config_each(config, "app.senders", 0), "da1.example.net");
	assert_string_equal(config_each(config, "app.senders", 1), "da-2");
	assert_null(config_each(config, "app.senders", 2));
	assert_string_equal(
		config_each_value(config, "app.senders", "da1.example.net", "hostnames"),
		"da1.example.net,da1.example.org");
	assert_string_equal(config_each_value(config, "app.senders", "da1.example.net", "password"),
			    "from env");
	assert_string_equal(config_each_value(config, "app.senders", "da-2", "hostnames"),
			    "b.example.net");
	assert_string_equal(config_each_value(config, "app.senders", "da-2", "password"), "two");
	assert_null(config_each_value(config, "app.senders", "da-2", "nonsense"));
	assert_string_equal(config_each_value(config, "dns.backends", "ns2", "enabled"), "false");
	assert_string_equal(config_each_value(config, "dns.backends", "ns1", "enabled"), "yes");
}

static void type_follows_from_name_or_keys(void **state)
{
	(void)state;

	assert_int_equal(load("--config=" DATA "full.yml"), OK);

	assert_string_equal(config_backend_type(config, "ns1"), "BIND");
	assert_string_equal(config_backend_type(config, "ns2"), "bind");
	assert_string_equal(config_backend_type(config, "bind"), "bind");
	assert_string_equal(config_backend_type(config, "dc1"), "coredns_mysql");
	assert_null(config_backend_type(config, "odd"));
}

static void chosen_stanza_fills_the_struct(void **state)
{
	(void)state;
	setenv("DADNS_BACKEND", "bind", 1);
	setenv("DADNS_DNS_BACKENDS_BIND_ZONES_DIR", "/srv/from-env", 1);

	assert_int_equal(load_args(tables, "backend", is_bind, ARGS("--config=" DATA "full.yml")),
			 OK);
	assert_string_equal(config_chosen(config), "bind");
	assert_string_equal(sample.zones_dir, "/srv/from-env");
	assert_true(has_note("backend bind of type bind"));
	config_destroy(config);
	config = NULL;

	assert_int_equal(load_args(tables, "backend", is_bind,
				   ARGS("--config=" DATA "full.yml", "--backend", "ns1")),
			 OK);
	assert_string_equal(config_chosen(config), "ns1");
	assert_string_equal(sample.zones_dir, "/srv/ns1");
}

static void only_fitting_stanza_is_chosen_unasked(void **state)
{
	(void)state;

	assert_int_equal(
		load_args(tables, "backend", is_bind, ARGS("--config=" DATA "app-default.yml")),
		OK);
	assert_string_equal(config_chosen(config), "bind");
	assert_string_equal(sample.zones_dir, "./data/zones");
}

static void doubtful_choices_are_refused(void **state)
{
	static const struct {
		const char *file;
		const char *backend;
		const char *text;
	} cases[] = {
		{"full.yml", "--json", "several backends could be meant (ns1, bind)"},
		{"full.yml", "--backend=ns2", "dns.backends.ns2 has `enabled: false`"},
		{"full.yml", "--backend=dc1",
		 "of type coredns_mysql, which is not for this program"},
		{"full.yml", "--backend=odd", "unknown (set `type`)"},
		{"full.yml", "--backend=nobody", "there is no backend nobody"},
		{"app-topology-b.yml", "--json", "no enabled stanza under dns.backends"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char file[80] = DATA;

		memcpy(file + strlen(DATA), cases[i].file, strlen(cases[i].file) + 1);
		assert_int_equal(load_args(tables, "backend", is_bind,
					   ARGS("--config", file, cases[i].backend)),
				 PERMFAIL);
		assert_has(why.text, cases[i].text);
	}
}

static void unknown_kafka_keys_are_kept_for_librdkafka(void **state)
{
	const char *name;
	const char *value;
	size_t n = 0;
	bool env_seen = false;
	bool flag_seen = false;

	(void)state;
	setenv("DADNS_KAFKA_SOCKET_TIMEOUT_MS", "3000", 1);
	setenv("DADNS_KAFKA_LOG_LEVEL", "7", 1);

	assert_int_equal(load("--config=" DATA "full.yml", "--kafka.security.protocol=plaintext"),
			 OK);

	while (config_rest(config, n, &name, &value)) {
		env_seen = env_seen ||
			   (strcmp(name, "socket.timeout.ms") == 0 && strcmp(value, "3000") == 0);
		flag_seen = flag_seen || (strcmp(name, "security.protocol") == 0 &&
					  strcmp(value, "plaintext") == 0);
		assert_string_not_equal(name, "brokers");
		n++;
	}
	assert_int_equal(n, 4);
	assert_true(env_seen);
	assert_true(flag_seen);
}

static void help_needs_no_config(void **state)
{
	(void)state;

	assert_int_equal(load_args(needy, NULL, NULL, ARGS("-h")), OK);
	assert_true(config_flag_given(config, "help"));
	config_destroy(config);

	assert_int_equal(load_args(needy, NULL, NULL, ARGS("--help=markdown")), OK);
	assert_string_equal(config_flag(config, "help"), "markdown");
}

static void tables_print_help_and_markdown(void **state)
{
	const struct config_key *const twice[] = {keys, keys, NULL};
	struct buf text = BUF_INIT(65536);

	(void)state;

	config_print_help(twice, &text);
	assert_has(buf_text(&text), "  --kafka.brokers=TEXT\n        where Kafka is\n"
				    "        DADNS_KAFKA_BROKERS; default: 127.0.0.1:9092\n");
	assert_has(buf_text(&text), "--dns.backends.NAME.zones_dir=TEXT");
	assert_has(buf_text(&text), "one of debug, info, warn, error");
	assert_has(buf_text(&text), "  --json\n        for programs\n");
	assert_null(strstr(buf_text(&text), "timezone"));
	assert_null(strstr(strstr(buf_text(&text), "--log_level") + 1, "--log_level"));
	buf_clear(&text);

	config_print_markdown(twice, &text);
	assert_has(buf_text(&text), "| `bus.partitions` | `DADNS_BUS_PARTITIONS` | pinned | "
				    "default: 24; 1 to 1000 |\n");
	assert_has(buf_text(&text), "| `timezone` | times are UTC |\n");
	buf_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(defaults_fill_the_struct, teardown),
		cmocka_unit_test_teardown(flag_beats_environment_beats_file_beats_default,
					  teardown),
		cmocka_unit_test_teardown(file_name_may_come_from_the_environment, teardown),
		cmocka_unit_test_teardown(seed_files_load_as_they_are, teardown),
		cmocka_unit_test_teardown(required_key_names_itself_and_its_variable, teardown),
		cmocka_unit_test_teardown(wrong_values_are_refused_with_their_place, teardown),
		cmocka_unit_test_teardown(letter_case_of_a_choice_does_not_matter, teardown),
		cmocka_unit_test_teardown(bool_flag_needs_no_value_and_flags_may_repeat, teardown),
		cmocka_unit_test_teardown(flag_with_a_value_takes_the_next_word, teardown),
		cmocka_unit_test_teardown(unknown_keys_are_told_and_never_their_values, teardown),
		cmocka_unit_test_teardown(secrets_come_from_files_too, teardown),
		cmocka_unit_test_teardown(stanzas_can_be_walked, teardown),
		cmocka_unit_test_teardown(type_follows_from_name_or_keys, teardown),
		cmocka_unit_test_teardown(chosen_stanza_fills_the_struct, teardown),
		cmocka_unit_test_teardown(only_fitting_stanza_is_chosen_unasked, teardown),
		cmocka_unit_test_teardown(doubtful_choices_are_refused, teardown),
		cmocka_unit_test_teardown(unknown_kafka_keys_are_kept_for_librdkafka, teardown),
		cmocka_unit_test_teardown(help_needs_no_config, teardown),
		cmocka_unit_test_teardown(tables_print_help_and_markdown, teardown),
	};

	return clearenv() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
