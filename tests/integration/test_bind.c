/* SPDX-License-Identifier: Apache-2.0 */
/* services/writer-bind against a real named, started here in a folder of its own on free ports, so
 * that it can be killed, starved and lied to. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/dnsq.h"
#include "common/preflight.h"
#include "common/rndc.h"
#include "common/zone.h"
#include "services/writer-bind/bind.h"
#include "services/writer-bind/bind_parts.h"
#include "services/writer-bind/zonefile.h"

#define KEY_TEXT                                                                                   \
	"key \"dadns\" { algorithm hmac-sha256; secret \"c2VjcmV0IG9mIHRoZSB0ZXN0cyBvbmx5ISEh\"; " \
	"};\n"

static char folder[64];
static char zones_dir[128];
static char dns[32];
static char rndc[32];
static char key_file[128];
static pid_t named_pid = -1;
static struct bind_config config;

/* --- named -------------------------------------------------------------------------------------
 */

static unsigned int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void write_text(const char *name, const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static const char *find_named(void)
{
	static const char *const places[] = {"/usr/sbin/named", "/usr/local/sbin/named",
					     "/usr/bin/named"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (access(places[i], X_OK) == 0) {
			return places[i];
		}
	}
	return NULL;
}

/* Debian's AppArmor profile ties named, by its path, to the system's folders: a copy is free. */
static bool copy_named(void)
{
	const char *from = find_named();
	char to[160];
	char chunk[65536];
	ssize_t len;
	int in;
	int out;

	if (from == NULL) {
		return false;
	}
	snprintf(to, sizeof(to), "%s/named", folder);
	in = open(from, O_RDONLY);
	out = open(to, O_WRONLY | O_CREAT, 0755);
	while ((len = read(in, chunk, sizeof(chunk))) > 0) {
		assert_int_equal(write(out, chunk, (size_t)len), len);
	}
	close(in);
	close(out);
	return true;
}

static bool named_answers(void)
{
	struct dnsq_answer answer;
	struct reason why;
	struct rndc *probe;
	struct dnsq *dnsq;
	struct name name;
	bool answers;

	assert_int_equal(name_parse(span_of("probe.test"), &name, &why), OK);
	assert_int_equal(dnsq_create(&dnsq, dns, &why), OK);
	assert_int_equal(rndc_create(&probe, rndc, key_file, &why), OK);
	answers = dnsq_ask_soa(dnsq, &name, 0, &why) == OK && dnsq_next(dnsq, 50, &answer) &&
		  rndc_open(probe, 1000, &why) == OK;
	dnsq_destroy(dnsq);
	rndc_destroy(probe);
	return answers;
}

static void start_named(void)
{
	int64_t deadline = clock_ms() + 15000;
	char program[160];
	char conf[160];
	char log[160];

	snprintf(program, sizeof(program), "%s/named", folder);
	snprintf(conf, sizeof(conf), "%s/named.conf", folder);
	snprintf(log, sizeof(log), "%s/named.log", folder);
	named_pid = fork();
	if (named_pid == 0) {
		execl(program, "named", "-f", "-4", "-n", "1", "-L", log, "-c", conf, (char *)NULL);
		_exit(127);
	}
	while (!named_answers()) {
		assert_true(clock_ms() < deadline);
		usleep(20000);
	}
}

static void kill_named(void)
{
	if (named_pid > 0) {
		kill(named_pid, SIGKILL);
		waitpid(named_pid, NULL, 0);
	}
	named_pid = -1;
}

static void write_conf(const char *allow_new_zones)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "include \"%s\";\n"
		 "controls { inet 127.0.0.1 port %s allow { 127.0.0.1; } keys { \"dadns\"; }; };\n"
		 "options { directory \"%s\"; listen-on port %s { 127.0.0.1; };\n"
		 "listen-on-v6 { none; }; pid-file none; session-keyfile none; lock-file none;\n"
		 "allow-new-zones %s; allow-transfer { 127.0.0.1; }; recursion no;\n"
		 "dnssec-validation no; empty-zones-enable no; notify no; };\n",
		 key_file, strchr(rndc, ':') + 1, folder, strchr(dns, ':') + 1, allow_new_zones);
	write_text("named.conf", text);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_bind.XXXXXX");
	if (mkdtemp(folder) == NULL || !copy_named()) {
		return -1;
	}
	snprintf(zones_dir, sizeof(zones_dir), "%s/zones", folder);
	snprintf(key_file, sizeof(key_file), "%s/rndc.key", folder);
	snprintf(dns, sizeof(dns), "127.0.0.1:%u", free_port());
	snprintf(rndc, sizeof(rndc), "127.0.0.1:%u", free_port());
	write_text("rndc.key", KEY_TEXT);
	write_conf("yes");
	config = (struct bind_config){.zones_dir = zones_dir,
				      .dns = dns,
				      .rndc = rndc,
				      .rndc_key_file = key_file,
				      .verify_ms = 3000};
	start_named();
	return 0;
}

static void remove_tree(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static int tear_down(void **state)
{
	(void)state;
	kill_named();
	remove_tree(folder);
	return 0;
}

/* --- given -------------------------------------------------------------------------------------
 */

static void *open_backend(void)
{
	struct reason why = {0};
	void *backend;

	assert_int_equal(bind_create(&config, &backend, &why), OK);
	if (bind_ops.open(backend, &why) != OK) {
		fail_msg("%s", why.text);
	}
	return backend;
}

struct given {
	struct zone_event value;
	struct zone *zone;
};

/* `records` beyond SOA and NS, in master file form. */
static struct given save(const char *name, int64_t offset, uint32_t serial, const char *records)
{
	static const struct zone_limits limits = ZONE_LIMITS_DEFAULT;
	struct given given = {.value = {.version = {7, offset}, .owner = "da1.test"}};
	struct buf text = BUF_INIT(1 << 20);
	struct reason why = {0};

	assert_int_equal(name_parse(span_of(name), &given.value.zone, &why), OK);
	buf_addf(&text, "$TTL 300\n@ IN SOA ns1.other.test. root.other.test. %u 1 1 1 1\n", serial);
	buf_addf(&text, "@ IN NS ns1.other.test.\n%s", records);
	if (zone_parse(&given.value.zone, buf_span(&text), &limits, &given.zone, &why) != OK) {
		fail_msg("%s", why.text);
	}
	buf_finish(&text);
	given.value.serial = zone_serial(given.zone);
	given.value.digest = zone_digest(given.zone);
	given.value.rrsets = zone_rrsets(given.zone);
	given.value.rrset_count = zone_rrset_count(given.zone);
	return given;
}

static struct given gone(const char *name, int64_t offset)
{
	struct given given = {
		.value = {.version = {7, offset}, .owner = "da1.test", .deleted = true}};
	struct reason why;

	assert_int_equal(name_parse(span_of(name), &given.value.zone, &why), OK);
	return given;
}

static void too_many(struct buf *out)
{
	for (int i = 0; i < 101; i++) {
		buf_addf(out, "@ IN TXT \"%d\"\n", i);
	}
}

/* --- when --------------------------------------------------------------------------------------
 */

static struct change apply_heal(void *backend, const struct given *given,
				const struct backend_view *expect, bool stuck_ahead)
{
	struct change change = {
		.value = &given->value, .expect = expect, .stuck_ahead = stuck_ahead};
	struct reason why = {0};

	if (bind_ops.apply(backend, &change, 1, &why) != OK) {
		fail_msg("%s", why.text);
	}
	return change;
}

static struct change apply(void *backend, const struct given *given)
{
	return apply_heal(backend, given, NULL, false);
}

static void must_apply(void *backend, const struct given *given)
{
	struct change change = apply(backend, given);

	if (change.outcome != OK) {
		fail_msg("%s", change.why.text);
	}
	assert_int_equal(change.result, CHANGE_APPLIED);
}

/* In another process that ends, as by SIGKILL, at `mark`. */
static void apply_and_die_at(const char *mark, const char *name, const char *offset,
			     const char *serial, const char *records)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		setenv("DADNS_ABORT_AT", mark, 1);
		setenv("TEST_BIND_FOLDER", folder, 1);
		setenv("TEST_BIND_DNS", dns, 1);
		setenv("TEST_BIND_RNDC", rndc, 1);
		execl("/proc/self/exe", "test_bind", name, offset, serial, records, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static int child(char **argv)
{
	int32_t partition = 0;
	int64_t next = strtoll(argv[2], NULL, 10) + 1;
	struct reason why;
	struct given given;
	void *backend;

	snprintf(folder, sizeof(folder), "%s", getenv("TEST_BIND_FOLDER"));
	snprintf(dns, sizeof(dns), "%s", getenv("TEST_BIND_DNS"));
	snprintf(rndc, sizeof(rndc), "%s", getenv("TEST_BIND_RNDC"));
	snprintf(zones_dir, sizeof(zones_dir), "%s/zones", folder);
	snprintf(key_file, sizeof(key_file), "%s/rndc.key", folder);
	config = (struct bind_config){zones_dir, dns, rndc, key_file, 3000};
	backend = open_backend();
	given = argv[3][0] == '-'
			? gone(argv[1], next - 1)
			: save(argv[1], next - 1, (uint32_t)strtoul(argv[3], NULL, 10), argv[4]);
	(void)apply(backend, &given);
	return bind_ops.store_positions(backend, &partition, &next, 1, &why) == OK ? 0 : 1;
}

/* --- then --------------------------------------------------------------------------------------
 */

static bool is_served(const struct given *given)
{
	char digest[DIGEST_HEX_SIZE];
	struct reason why = {0};
	struct dnsq *dnsq;
	enum outcome outcome;
	uint32_t serial;

	assert_int_equal(dnsq_create(&dnsq, dns, &why), OK);
	outcome = dnsq_digest(dnsq, &given->value.zone, 2000, digest, &serial, &why);
	dnsq_destroy(dnsq);
	assert_int_not_equal(outcome, TEMPFAIL);
	return outcome == OK && !given->value.deleted && strcmp(digest, given->value.digest) == 0;
}

static bool is_absent(const struct given *given)
{
	struct dnsq_answer answer;
	struct reason why;
	struct dnsq *dnsq;

	assert_int_equal(dnsq_create(&dnsq, dns, &why), OK);
	assert_int_equal(dnsq_ask_soa(dnsq, &given->value.zone, 0, &why), OK);
	assert_true(dnsq_next(dnsq, 2000, &answer));
	dnsq_destroy(dnsq);
	return answer.state == DNSQ_NOT_SERVED;
}

static bool read_file(const struct given *given, struct zonefile_head *out)
{
	struct zonedir dir = {.fd = open(zones_dir, O_RDONLY | O_DIRECTORY)};
	char file[ZONEFILE_NAME_SIZE];
	bool is_there;

	zonefile_name(&given->value.zone, file);
	is_there = zonefile_read_head(&dir, file, out);
	close(dir.fd);
	return is_there;
}

static void assert_stored(const struct given *given)
{
	struct zonefile_head head;

	assert_true(read_file(given, &head));
	assert_int_equal(version_compare(head.version, given->value.version), 0);
	assert_int_equal(head.deleted, given->value.deleted);
}

static void done(void *backend, struct given *a, struct given *b)
{
	bind_ops.close(backend);
	zone_destroy(a->zone);
	if (b != NULL) {
		zone_destroy(b->zone);
	}
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void new_and_changed_zones_are_served_when_apply_returns(void **state)
{
	struct given first = save("fresh.test", 1, 1, "www IN A 192.0.2.1\na_b IN A 192.0.2.9\n");
	struct given second = save("fresh.test", 2, 2, "www IN A 192.0.2.2\n");
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &first);
	assert_true(is_served(&first));
	assert_stored(&first);
	must_apply(backend, &second);
	assert_true(is_served(&second));
	assert_stored(&second);
	done(backend, &first, &second);
}

static void older_version_never_replaces_newer(void **state) /* I4 */
{
	struct given newer = save("fence.test", 11, 1, "www IN A 192.0.2.1\n");
	struct given older = save("fence.test", 10, 9, "www IN A 192.0.2.2\n");
	void *backend = open_backend();
	struct change change;

	(void)state;
	must_apply(backend, &newer);
	change = apply(backend, &older);
	assert_int_equal(change.outcome, OK);
	assert_int_equal(change.result, CHANGE_OLDER);
	assert_true(is_served(&newer));
	assert_stored(&newer);
	done(backend, &newer, &older);
}

static void same_or_lower_serial_with_new_content_is_served(void **state) /* I7 */
{
	struct given first = save("serial.test", 1, 5, "www IN A 192.0.2.1\n");
	struct given same = save("serial.test", 2, 5, "www IN A 192.0.2.2\n");
	struct given lower = save("serial.test", 3, 4, "www IN A 192.0.2.3\n");
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &first);
	must_apply(backend, &same);
	assert_true(is_served(&same));
	must_apply(backend, &lower);
	assert_true(is_served(&lower));
	zone_destroy(lower.zone);
	done(backend, &first, &same);
}

static void unchanged_content_is_verified_and_its_version_stored(void **state)
{
	struct given first = save("same.test", 1, 5, "www IN A 192.0.2.1\n");
	struct given again = save("same.test", 2, 5, "www IN A 192.0.2.1\n");
	void *backend = open_backend();
	struct change change;

	(void)state;
	must_apply(backend, &first);
	change = apply(backend, &again);
	assert_int_equal(change.outcome, OK);
	assert_int_equal(change.result, CHANGE_VERIFIED);
	assert_stored(&again);
	assert_true(is_served(&again));
	done(backend, &first, &again);
}

static void equal_version_that_is_not_served_is_driven_again(void **state) /* I4 */
{
	struct given given = save("again.test", 1, 5, "www IN A 192.0.2.1\n");
	void *backend = open_backend();
	struct reason why;
	struct rndc_reply reply;
	struct rndc *hand;
	struct change change;

	(void)state;
	must_apply(backend, &given);
	change = apply(backend, &given);
	assert_int_equal(change.result, CHANGE_VERIFIED);
	/* when somebody removes it by hand */
	assert_int_equal(rndc_create(&hand, rndc, key_file, &why), OK);
	assert_int_equal(rndc_open(hand, 2000, &why), OK);
	assert_int_equal(rndc_call(hand, span_of("delzone again.test"), 2000, &reply, &why), OK);
	assert_int_equal(reply.result, 0);
	rndc_destroy(hand);
	assert_true(is_absent(&given));
	must_apply(backend, &given);
	assert_true(is_served(&given));
	done(backend, &given, NULL);
}

static void delete_is_a_version_and_ends_what_is_served(void **state) /* I4, I5 */
{
	struct given zone = save("leaving.test", 10, 1, "www IN A 192.0.2.1\n");
	struct given late = save("leaving.test", 11, 2, "www IN A 192.0.2.1\n");
	struct given delete = gone("leaving.test", 12);
	struct given unknown = gone("never-was.test", 13);
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &zone);
	must_apply(backend, &delete);
	assert_true(is_absent(&zone));
	assert_stored(&delete);
	assert_int_equal(apply(backend, &late).result, CHANGE_OLDER);
	assert_true(is_absent(&zone));
	must_apply(backend, &delete); /* again: harmless */
	must_apply(backend, &unknown);
	assert_stored(&unknown);
	done(backend, &zone, &late);
}

static struct change bury(void *backend, const struct given *given)
{
	struct change change = {.value = &given->value, .burial = true};
	struct reason why = {0};

	assert_int_equal(bind_ops.apply(backend, &change, 1, &why), OK);
	assert_int_equal(change.outcome, OK);
	return change;
}

static void tombstone_deletes_what_came_back_and_leaves_no_trace_elsewhere(void **state) /* I5 */
{
	struct given zone = save("back.test", 10, 1, "www IN A 192.0.2.1\n");
	struct given again = save("back.test", 14, 2, "www IN A 192.0.2.2\n");
	struct given delete = gone("back.test", 12);
	struct given unknown = gone("never-was-either.test", 13);
	struct zonefile_head head;
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &zone); /* a wiped backend met an old value first */
	assert_int_equal(bury(backend, &delete).result, CHANGE_APPLIED);
	assert_true(is_absent(&zone));
	assert_stored(&delete);
	(void)bury(backend, &delete); /* again: harmless */
	assert_stored(&delete);
	must_apply(backend, &again);
	assert_int_equal(bury(backend, &delete).result, CHANGE_OLDER); /* a zombie's */
	assert_true(is_served(&again));
	assert_int_equal(bury(backend, &unknown).result, CHANGE_OLDER);
	assert_false(read_file(&unknown, &head));
	done(backend, &zone, &again);
}

static void refused_change_gives_the_previous_file_back(void **state) /* I4, I7 */
{
	struct given good = save("refused.test", 1, 1, "www IN A 192.0.2.1\n");
	struct buf records = BUF_INIT(1 << 16);
	struct given bad;
	struct given next = save("refused.test", 3, 3, "www IN A 192.0.2.3\n");
	void *backend = open_backend();
	struct change change;

	(void)state;
	too_many(&records);
	bad = save("refused.test", 2, 2, buf_text(&records));
	must_apply(backend, &good);
	change = apply(backend, &bad);
	assert_int_not_equal(change.outcome, OK);
	assert_non_null(strstr(change.why.text, "keeps serial 1"));
	assert_stored(&good);
	assert_true(is_served(&good));
	must_apply(backend, &next);
	assert_true(is_served(&next));
	zone_destroy(bad.zone);
	buf_finish(&records);
	done(backend, &good, &next);
}

static void refused_new_zone_leaves_nothing_and_hurts_nobody(void **state) /* I8 */
{
	struct buf records = BUF_INIT(1 << 16);
	struct given good = save("neighbour.test", 1, 1, "www IN A 192.0.2.1\n");
	struct given bad;
	struct change changes[2] = {{0}};
	struct zonefile_head head;
	struct reason why;
	void *backend = open_backend();

	(void)state;
	too_many(&records);
	bad = save("badnew.test", 2, 2, buf_text(&records));
	changes[0].value = &bad.value;
	changes[1].value = &good.value;
	assert_int_equal(bind_ops.apply(backend, changes, 2, &why), OK);
	assert_int_equal(changes[0].outcome, PERMFAIL);
	assert_non_null(strstr(changes[0].why.text, "too many records"));
	assert_false(read_file(&bad, &head));
	assert_int_equal(changes[1].outcome, OK);
	assert_true(is_served(&good));
	buf_finish(&records);
	done(backend, &good, &bad);
}

static void restart_of_named_between_batches_is_not_noticed(void **state)
{
	struct given first = save("restart.test", 1, 1, "www IN A 192.0.2.1\n");
	struct given second = save("restart.test", 2, 2, "www IN A 192.0.2.2\n");
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &first);
	kill_named();
	start_named();
	must_apply(backend, &second);
	assert_true(is_served(&second));
	done(backend, &first, &second);
}

static void dead_named_fails_the_backend_not_the_zone(void **state) /* I8 */
{
	struct given first = save("dead.test", 1, 1, "www IN A 192.0.2.1\n");
	struct given second = save("dead.test", 2, 2, "www IN A 192.0.2.2\n");
	struct change change = {.value = &second.value};
	void *backend = open_backend();
	struct reason why = {0};

	(void)state;
	must_apply(backend, &first);
	kill_named();
	assert_int_equal(bind_ops.apply(backend, &change, 1, &why), TEMPFAIL);
	assert_int_not_equal(why.text[0], '\0');
	assert_int_equal(bind_ops.open(backend, &why), TEMPFAIL);
	start_named();
	assert_int_equal(bind_ops.open(backend, &why), OK);
	must_apply(backend, &second);
	assert_true(is_served(&second));
	done(backend, &first, &second);
}

static void named_that_adds_no_zones_fails_the_backend(void **state)
{
	struct given given = save("notallowed.test", 1, 1, "www IN A 192.0.2.1\n");
	struct change change = {.value = &given.value};
	struct reason why = {0};
	void *backend;

	(void)state;
	kill_named();
	write_conf("no");
	start_named();
	backend = open_backend();
	assert_int_equal(bind_ops.apply(backend, &change, 1, &why), TEMPFAIL);
	assert_non_null(strstr(why.text, "allow-new-zones"));
	kill_named();
	write_conf("yes");
	start_named();
	assert_int_equal(bind_ops.open(backend, &why), OK);
	must_apply(backend, &given);
	done(backend, &given, NULL);
}

static void append_to_conf(const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/named.conf", folder);
	file = fopen(path, "a");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void expect_finding(void *backend, enum check check, enum finding_state state,
			   const char *says)
{
	struct preflight preflight;
	size_t seen = 0;

	preflight_init(&preflight, "");
	bind_ops.check(backend, &preflight);
	for (size_t i = 0; i < preflight.count; i++) {
		const struct finding *finding = &preflight.items[i];

		seen += finding->check == check ? 1 : 0;
		if (finding->check == check &&
		    (finding->state != state || strstr(finding->text.text, says) == NULL)) {
			fail_msg("%s: %s: %s", check_abouts[check].name,
				 finding_state_text(finding->state), finding->text.text);
		}
	}
	assert_int_equal(seen, 1);
	preflight_finish(&preflight);
}

static void whether_named_takes_new_zones_is_known_before_there_is_one(void **state)
{
	void *backend = open_backend();
	struct reason why;

	(void)state;
	expect_finding(backend, CHECK_BIND_NEW_ZONES, FINDING_RIGHT, "yes");
	kill_named();
	write_conf("no");
	start_named();
	rndc_close(((struct bind *)backend)->rndc);
	assert_int_equal(bind_ops.open(backend, &why), OK);
	expect_finding(backend, CHECK_BIND_NEW_ZONES, FINDING_WRONG, "allow-new-zones yes;");
	kill_named();
	write_conf("yes");
	expect_finding(backend, CHECK_BIND_REACH, FINDING_AWAY, "Connection refused");
	start_named();
	assert_int_equal(bind_ops.open(backend, &why), OK);
	expect_finding(backend, CHECK_BIND_NEW_ZONES, FINDING_RIGHT, "yes");
	bind_ops.close(backend);
}

static void zone_of_ours_in_named_conf_is_found_before_named_is_restarted(void **state)
{
	struct given given = save("both.test", 1, 1, "www IN A 192.0.2.1\n");
	struct given end = gone("both.test", 2);
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &given);
	append_to_conf("zone \"other.test\" { type primary; file \"other\"; };\n");
	expect_finding(backend, CHECK_BIND_OVERLAP, FINDING_RIGHT, "1 zones");
	append_to_conf("zone \"Both.Test\" IN { type primary; file \"both\"; };\n");
	expect_finding(backend, CHECK_BIND_OVERLAP, FINDING_WRONG, "both.test is ours, and in");
	must_apply(backend, &end);
	expect_finding(backend, CHECK_BIND_OVERLAP, FINDING_RIGHT, "2 zones");
	write_conf("yes");
	done(backend, &given, &end);
}

/* named that has a zone twice does not start: ours never becomes the second. */
static void zone_of_named_conf_is_not_added_by_the_writer(void **state)
{
	struct given given = save("static.test", 1, 7, "www IN A 192.0.2.1\n");
	void *backend = open_backend();
	struct change change;

	(void)state;
	write_text("static.db", "$TTL 300\n@ IN SOA a. b. 99 1 1 1 1\n@ IN NS ns1.other.test.\n");
	append_to_conf("zone \"static.test\" { type primary; file \"static.db\"; };\n");
	kill_named();
	start_named();
	change = apply(backend, &given);
	assert_int_not_equal(change.outcome, OK);
	assert_false(is_served(&given));
	kill_named();
	start_named(); /* it does start */
	kill_named();
	write_conf("yes");
	start_named();
	assert_int_equal(apply(backend, &given).outcome, OK);
	done(backend, &given, NULL);
}

static void wrong_key_says_so(void **state)
{
	struct bind_config wrong = config;
	struct reason why = {0};
	char path[160];
	void *backend;

	(void)state;
	snprintf(path, sizeof(path), "%s/wrong.key", folder);
	write_text("wrong.key", "key \"dadns\" { algorithm hmac-sha256; secret \"d3Jvbmc=\"; };\n");
	wrong.rndc_key_file = path;
	assert_int_equal(bind_create(&wrong, &backend, &why), OK);
	assert_int_equal(bind_ops.open(backend, &why), TEMPFAIL);
	assert_non_null(strstr(why.text, "key dadns"));
	bind_ops.close(backend);
}

static void positions_outlive_the_process(void **state) /* I4 */
{
	int32_t partitions[2] = {0, 5};
	int64_t next[2] = {17, 23};
	struct reason why;
	void *backend = open_backend();

	(void)state;
	assert_int_equal(bind_ops.store_positions(backend, partitions, next, 2, &why), OK);
	bind_ops.close(backend);
	backend = open_backend();
	assert_int_equal(bind_ops.position(backend, 0), 17);
	assert_int_equal(bind_ops.position(backend, 5), 23);
	assert_int_equal(bind_ops.position(backend, 1), 0);
	bind_ops.close(backend);
}

static void wiped_directory_is_noticed_and_filled_again(void **state) /* I4 */
{
	struct given given = save("wiped.test", 1, 1, "www IN A 192.0.2.1\n");
	struct given newer = save("wiped.test", 2, 1, "www IN A 192.0.2.2\n");
	struct change change = {.value = &newer.value};
	int32_t partition = 0;
	int64_t next = 2;
	struct reason why;
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &given);
	assert_int_equal(bind_ops.store_positions(backend, &partition, &next, 1, &why), OK);
	remove_tree(zones_dir);
	assert_int_equal(bind_ops.apply(backend, &change, 1, &why), TEMPFAIL);
	assert_int_equal(bind_ops.open(backend, &why), OK);
	assert_int_equal(bind_ops.position(backend, 0), 0);
	/* named still has the zone: "already exists" */
	must_apply(backend, &newer);
	assert_true(is_served(&newer));
	done(backend, &given, &newer);
}

static void second_writer_is_kept_out(void **state)
{
	void *backend = open_backend();
	struct reason why;
	void *second;

	(void)state;
	assert_int_equal(bind_create(&config, &second, &why), OK);
	assert_int_equal(bind_ops.open(second, &why), TEMPFAIL);
	assert_non_null(strstr(why.text, "another writer"));
	bind_ops.close(second);
	bind_ops.close(backend);
}

static void heal_is_applied_only_if_the_backend_still_shows_what_was_seen(void **state) /* I6 */
{
	struct given now = save("heal.test", 5, 5, "www IN A 192.0.2.5\n");
	struct given healed = save("heal.test", 6, 6, "www IN A 192.0.2.6\n");
	struct given stuck = save("heal.test", 2, 7, "www IN A 192.0.2.7\n");
	struct backend_view absent = {.absent = true};
	struct backend_view seen = {.version = now.value.version};
	struct backend_view ahead = {.version = healed.value.version};
	void *backend = open_backend();
	struct change change;

	(void)state;
	memcpy(seen.digest, now.value.digest, sizeof(seen.digest));
	memcpy(ahead.digest, healed.value.digest, sizeof(ahead.digest));
	must_apply(backend, &now);
	assert_int_equal(apply_heal(backend, &healed, &absent, false).result, CHANGE_OLDER);
	assert_true(is_served(&now));
	change = apply_heal(backend, &healed, &seen, false);
	assert_int_equal(change.outcome, OK);
	assert_int_equal(change.result, CHANGE_APPLIED);
	assert_true(is_served(&healed));
	/* older than the stamp: only if it names that very stamp as stuck ahead */
	assert_int_equal(apply_heal(backend, &stuck, &ahead, false).result, CHANGE_OLDER);
	assert_int_equal(apply_heal(backend, &stuck, &ahead, true).result, CHANGE_APPLIED);
	assert_true(is_served(&stuck));
	assert_stored(&stuck);
	zone_destroy(stuck.zone);
	done(backend, &now, &healed);
}

static void name_with_a_slash_is_served_and_deleted(void **state)
{
	struct given given = save("0/25.2.0.192.in-addr.arpa", 1, 1, "1 IN PTR www.other.test.\n");
	struct given delete = gone("0/25.2.0.192.in-addr.arpa", 2);
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &given);
	assert_true(is_served(&given));
	must_apply(backend, &delete);
	assert_true(is_absent(&given));
	done(backend, &given, NULL);
}

static void restored_old_file_is_found_by_its_position(void **state) /* I4 */
{
	struct given given = save("restored.test", 1, 1, "www IN A 192.0.2.1\n");
	struct change change = {.value = &given.value};
	int32_t partition = 0;
	int64_t next = 2;
	struct reason why;
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &given);
	assert_int_equal(bind_ops.store_positions(backend, &partition, &next, 1, &why), OK);
	write_text("zones/.positions", "dadns/1 positions\n0 1\nend\n");
	assert_int_equal(bind_ops.apply(backend, &change, 1, &why), TEMPFAIL);
	assert_int_equal(bind_ops.open(backend, &why), OK);
	assert_int_equal(bind_ops.position(backend, 0), 1);
	write_text("zones/.positions", "dadns/1 positions\n0 1\n");
	assert_int_equal(bind_ops.open(backend, &why), OK);
	assert_int_equal(bind_ops.position(backend, 0), 0);
	done(backend, &given, NULL);
}

/* Kills the writer at every mark, for a new, a changed and a deleted zone; the replay repairs. */
static void killed_at_any_mark_the_replay_ends_right(void **state) /* I3, I4 */
{
	static const char *const marks[] = {"bind.written", "bind.synced",   "bind.renamed",
					    "bind.told",    "bind.verified", "bind.positions"};

	(void)state;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		char name[32];
		struct given first;
		struct given second;
		struct given third;
		void *backend;

		snprintf(name, sizeof(name), "killed-%zu.test", i);
		first = save(name, 100, 1, "www IN A 192.0.2.1\n");
		second = save(name, 101, 1, "www IN A 192.0.2.2\n");
		third = gone(name, 102);
		apply_and_die_at(marks[i], name, "100", "1", "www IN A 192.0.2.1\n");
		backend = open_backend();
		assert_int_equal(apply(backend, &first).outcome, OK);
		assert_true(is_served(&first));
		bind_ops.close(backend);
		apply_and_die_at(marks[i], name, "101", "1", "www IN A 192.0.2.2\n");
		backend = open_backend();
		assert_int_equal(apply(backend, &second).outcome, OK);
		assert_true(is_served(&second));
		assert_stored(&second);
		bind_ops.close(backend);
		apply_and_die_at(marks[i], name, "102", "-", "");
		backend = open_backend();
		assert_int_equal(apply(backend, &third).outcome, OK);
		assert_true(is_absent(&third));
		assert_stored(&third);
		done(backend, &first, &second);
	}
}

/* The newer content was published and never loaded; the one after it is refused. */
static void killed_before_reload_what_named_loaded_last_is_put_back(void **state) /* I4 */
{
	struct given first = save("twice.test", 1, 1, "www IN A 192.0.2.1\n");
	struct buf records = BUF_INIT(1 << 16);
	void *backend = open_backend();
	struct given bad;

	(void)state;
	too_many(&records);
	bad = save("twice.test", 3, 3, buf_text(&records));
	must_apply(backend, &first);
	bind_ops.close(backend);
	apply_and_die_at("bind.renamed", "twice.test", "2", "2", "www IN A 192.0.2.2\n");
	backend = open_backend();
	assert_int_not_equal(apply(backend, &bad).outcome, OK);
	assert_stored(&first);
	assert_true(is_served(&first));
	buf_finish(&records);
	done(backend, &first, &bad);
}

/* named hears DNS questions and answers none: stopped, not dead. */
static void silent_named_fails_the_backend_in_time(void **state) /* I8 */
{
	struct given given = save("silent.test", 1, 1, "www IN A 192.0.2.1\n");
	struct given newer = save("silent.test", 2, 1, "www IN A 192.0.2.1\n");
	struct change change = {.value = &newer.value};
	void *backend = open_backend();
	struct reason why = {0};
	int64_t began;

	(void)state;
	must_apply(backend, &given);
	kill(named_pid, SIGSTOP);
	assert_int_equal(waitpid(named_pid, NULL, WUNTRACED), named_pid); /* all its threads */
	began = clock_ms();
	assert_int_equal(bind_ops.apply(backend, &change, 1, &why), TEMPFAIL);
	assert_true(clock_ms() - began < 15000);
	kill(named_pid, SIGCONT);
	while (bind_ops.open(backend, &why) != OK) { /* as the core does */
		assert_true(clock_ms() - began < 25000);
	}
	assert_int_equal(apply(backend, &newer).outcome, OK);
	done(backend, &given, &newer);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_and_changed_zones_are_served_when_apply_returns),
		cmocka_unit_test(older_version_never_replaces_newer),
		cmocka_unit_test(same_or_lower_serial_with_new_content_is_served),
		cmocka_unit_test(unchanged_content_is_verified_and_its_version_stored),
		cmocka_unit_test(equal_version_that_is_not_served_is_driven_again),
		cmocka_unit_test(delete_is_a_version_and_ends_what_is_served),
		cmocka_unit_test(tombstone_deletes_what_came_back_and_leaves_no_trace_elsewhere),
		cmocka_unit_test(refused_change_gives_the_previous_file_back),
		cmocka_unit_test(refused_new_zone_leaves_nothing_and_hurts_nobody),
		cmocka_unit_test(restart_of_named_between_batches_is_not_noticed),
		cmocka_unit_test(dead_named_fails_the_backend_not_the_zone),
		cmocka_unit_test(named_that_adds_no_zones_fails_the_backend),
		cmocka_unit_test(whether_named_takes_new_zones_is_known_before_there_is_one),
		cmocka_unit_test(zone_of_ours_in_named_conf_is_found_before_named_is_restarted),
		cmocka_unit_test(zone_of_named_conf_is_not_added_by_the_writer),
		cmocka_unit_test(wrong_key_says_so),
		cmocka_unit_test(positions_outlive_the_process),
		cmocka_unit_test(wiped_directory_is_noticed_and_filled_again),
		cmocka_unit_test(second_writer_is_kept_out),
		cmocka_unit_test(heal_is_applied_only_if_the_backend_still_shows_what_was_seen),
		cmocka_unit_test(name_with_a_slash_is_served_and_deleted),
		cmocka_unit_test(restored_old_file_is_found_by_its_position),
		cmocka_unit_test(killed_at_any_mark_the_replay_ends_right),
		cmocka_unit_test(killed_before_reload_what_named_loaded_last_is_put_back),
		cmocka_unit_test(silent_named_fails_the_backend_in_time),
	};

	if (argc == 5) {
		return child(argv);
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
