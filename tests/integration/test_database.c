/* SPDX-License-Identifier: Apache-2.0 */
/* services/writer-mysql against a real MariaDB, while all is well: tables, zones, heals, positions,
 * in both layouts. */
#include <dirent.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/http.h"
#include "tests/lib/database.h"

#define DATA "tests/data/zones/valid/"
#define MANY 4096

/* --- tables ---------------------------------------------------------------------------------- */

static void first_contact_makes_all_tables(void **state)
{
	struct given given = save("first.test", 1, 1, "www A 192.0.2.1\n");
	void *backend = open_backend();
	const char *tables = answer("SHOW TABLES");

	(void)state;
	assert_string_equal(tables, layout == &layout_coredns
					    ? "dadns_meta\ndadns_positions\ndadns_zones\nrecords\n"
					      "zones"
					    : "comments\ncryptokeys\ndadns_meta\ndadns_positions\n"
					      "dadns_zones\ndomainmetadata\ndomains\nrecords\n"
					      "supermasters\ntsigkeys");
	assert_int_equal(number("SELECT COUNT(*) FROM %s", zones), 0); /* its probe left nothing */
	assert_int_equal(number("SELECT COUNT(*) FROM records"), 0);
	must_apply(backend, &given);
	database_ops.close(backend);
	backend = open_backend(); /* finds them */
	must_hold(&given);
	must_verify(backend, &given);
	database_ops.close(backend);
	drop(&given);
}

/* As it was made, but for the ids that were used since. */
static void read_definition(const char *table, char out[4096])
{
	char *counter;

	snprintf(out, 4096, "%s", answer("SHOW CREATE TABLE %s", table));
	counter = strstr(out, " AUTO_INCREMENT=");
	if (counter != NULL) {
		char *end = strchr(counter + 1, ' ');

		memmove(counter, end, strlen(end) + 1);
	}
}

static void a_schema_made_by_powerdns_stays_as_it_is(void **state)
{
	static const char *const tables[] = {"domains",    "records",  "supermasters",  "comments",
					     "cryptokeys", "tsigkeys", "domainmetadata"};
	static const char *const places[] = {
		"/usr/share/pdns-backend-mysql/schema/schema.mysql.sql",
		"/usr/share/doc/pdns-backend-mysql/schema.mysql.sql"};
	struct given given = save("theirs.test", 1, 1, "www A 192.0.2.1\n");
	char before[7][4096];
	char command[400];
	void *backend;

	(void)state;
	snprintf(command, sizeof(command), "mariadb --no-defaults -S %s -u tests -psecret %s <%s",
		 server.socket, schema, places[access(places[0], R_OK) == 0 ? 0 : 1]);
	mariadb_run(command);
	run("INSERT INTO domains (name, type) VALUES ('other.test', 'SLAVE')");
	run("INSERT INTO domainmetadata (domain_id, kind, content) VALUES (1, 'X', 'y')");
	for (size_t i = 0; i < 7; i++) {
		read_definition(tables[i], before[i]);
	}
	backend = open_backend();
	must_apply(backend, &given);
	must_hold(&given);
	for (size_t i = 0; i < 7; i++) {
		char after[4096];

		read_definition(tables[i], after);
		assert_string_equal(after, before[i]);
	}
	assert_string_equal(answer("SELECT type FROM domains WHERE name = 'other.test'"), "SLAVE");
	assert_int_equal(number("SELECT COUNT(*) FROM domainmetadata"), 1);
	database_ops.close(backend);
	drop(&given);
}

/* As the plugin's own documents make them, and somebody's product filled them. */
static void old_tables_of_the_coredns_plugin(void)
{
	run("CREATE TABLE zones (id INT NOT NULL AUTO_INCREMENT, zone_name VARCHAR(255) NOT NULL,"
	    " PRIMARY KEY (id), UNIQUE KEY (zone_name)) ENGINE=InnoDB DEFAULT CHARSET=latin1");
	run("CREATE TABLE records (id INT NOT NULL AUTO_INCREMENT, zone_id INT NOT NULL,"
	    " hostname VARCHAR(512) NOT NULL, type VARCHAR(10) NOT NULL, data VARCHAR(1024) NOT"
	    " NULL, ttl INT NOT NULL DEFAULT 120, online INT NOT NULL DEFAULT 0, PRIMARY KEY (id),"
	    " FOREIGN KEY (zone_id) REFERENCES zones (id)) ENGINE=InnoDB DEFAULT CHARSET=latin1");
	run("INSERT INTO zones (id, zone_name) VALUES (41, 'old.test.'), (42, 'else.test.')");
	run("INSERT INTO records (zone_id, hostname, type, data, ttl, online) VALUES"
	    " (41, '@', 'SOA', 'ns1.other.test. root.other.test. 5 1 1 1 1', 300, 1),"
	    " (41, '@', 'NS', 'ns1.other.test.', 300, 1),"
	    " (41, 'www', 'A', '192.0.2.1', 300, 1),"
	    " (42, 'www', 'A', '192.0.2.9', 60, 1)");
}

static const char *column_type(const char *column)
{
	return answer("SELECT column_type FROM information_schema.columns WHERE table_schema = '%s'"
		      " AND table_name = 'records' AND column_name = '%s'",
		      schema, column);
}

static void old_tables_of_the_coredns_plugin_are_mended_and_their_rows_kept(void **state)
{
	char *records = long_txt(5000);
	struct given same = save("old.test", 1, 5, "www A 192.0.2.1\n");
	struct given wide = save("old.test", 2, 6, records);
	struct given other = save("else.test", 3, 1, "www A 192.0.2.1\n");
	char before[1024];
	void *backend;

	(void)state;
	old_tables_of_the_coredns_plugin();
	snprintf(before, sizeof(before), "%s", answer("SELECT * FROM records ORDER BY id"));
	backend = open_backend();
	assert_string_equal(answer("SELECT * FROM records ORDER BY id"), before);
	assert_string_equal(column_type("data"), "mediumtext");
	assert_string_equal(column_type("id"), "bigint(20)");
	assert_string_equal(answer("SELECT GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM"
				   " information_schema.statistics WHERE table_schema = '%s' AND"
				   " index_name = 'zone_hostname_type'",
				   schema),
			    "zone_id,hostname,type");
	/* what stands there already needs a stamp and nothing else */
	must_verify(backend, &same);
	must_hold(&same);
	assert_string_equal(answer("SELECT * FROM records ORDER BY id"), before);
	must_apply(backend, &wide);
	must_hold(&wide);
	assert_string_equal(answer("SELECT data FROM records WHERE zone_id = 42"), "192.0.2.9");
	must_apply(backend, &other); /* its row was nobody's */
	must_hold(&other);
	assert_int_equal(number("SELECT zone_id FROM dadns_zones WHERE zone = 'else.test'"), 42);
	database_ops.close(backend);
	drop(&other);
	drop(&same);
	drop(&wide);
	free(records);
}

/* What a call says on stderr. */
struct capture {
	FILE *file;
	int kept;
	char text[8192];
};

static void capture_begin(struct capture *capture)
{
	capture->file = tmpfile();
	capture->kept = dup(2);
	dup2(fileno(capture->file), 2);
}

static void capture_end(struct capture *capture)
{
	size_t len;

	dup2(capture->kept, 2);
	close(capture->kept);
	rewind(capture->file);
	len = fread(capture->text, 1, sizeof(capture->text) - 1, capture->file);
	capture->text[len] = '\0';
	fclose(capture->file);
}

static void without_alter_old_tables_are_used_as_they_are(void **state)
{
	char *records = long_txt(1100);
	struct given fits = save("fits.test", 1, 1, "www A 192.0.2.1\n");
	struct given wide = save("wide.test", 1, 1, records);
	struct given both[2] = {wide, fits};
	struct change changes[2];
	struct capture capture;
	void *backend;

	(void)state;
	old_tables_of_the_coredns_plugin();
	run("REVOKE ALTER ON %s.* FROM writer@'%%'", schema);
	capture_begin(&capture);
	backend = create_backend();
	assert_int_equal(database_ops.open(backend, &why), OK);
	capture_end(&capture);
	must_say(capture.text, "\"warn\"");
	must_say(capture.text, "going on with it as it is");
	must_say(capture.text, "MODIFY data MEDIUMTEXT");
	assert_string_equal(column_type("data"), "varchar(1024)");
	assert_int_equal(apply_all(backend, both, changes, 2), OK);
	assert_int_equal(changes[0].outcome, PERMFAIL);
	must_say(changes[0].why.text, "TXT of txt");
	must_say(changes[0].why.text, "records.data holds 1024");
	must_give(&changes[1], CHANGE_APPLIED);
	must_hold(&fits);
	assert_true(is_unknown(&wide));
	database_ops.close(backend);
	drop(&fits);
	drop(&wide);
	free(records);
}

static void a_column_that_somebody_widened_holds_more(void **state)
{
	struct given wide =
		save("wide.test", 1, 1,
		     "a-name-that-is-longer-than-the-forty-of-the-column A 192.0.2.2\n");
	void *backend = open_backend();
	struct change change;

	(void)state;
	database_ops.close(backend);
	run("ALTER TABLE records MODIFY %s VARCHAR(40) NOT NULL", layout->name_column);
	backend = open_backend();
	change = apply(backend, &wide);
	assert_int_equal(change.outcome, PERMFAIL);
	must_say(change.why.text, "widen the column");
	run("ALTER TABLE records MODIFY %s VARCHAR(255) NOT NULL", layout->name_column);
	must_open(backend);
	must_apply(backend, &wide);
	must_hold(&wide);
	database_ops.close(backend);
	drop(&wide);
}

static void without_create_it_says_what_to_grant(void **state)
{
	void *backend = create_backend();

	(void)state;
	run("REVOKE CREATE ON %s.* FROM writer@'%%'", schema);
	assert_int_equal(database_ops.open(backend, &why), TEMPFAIL);
	must_say(why.text, "grant CREATE");
	must_say(why.text, "dadns_zones");
	run("GRANT CREATE ON %s.* TO writer@'%%'", schema);
	must_open(backend);
	database_ops.close(backend);
}

static void without_insert_the_backend_is_not_opened(void **state)
{
	void *backend = open_backend();

	(void)state;
	database_ops.close(backend);
	run("REVOKE INSERT ON %s.* FROM writer@'%%'", schema);
	backend = create_backend();
	assert_int_equal(database_ops.open(backend, &why), TEMPFAIL);
	must_say(why.text, "INSERT command denied");
	run("GRANT INSERT ON %s.* TO writer@'%%'", schema);
	must_open(backend);
	database_ops.close(backend);
}

static void a_table_that_is_not_innodb_is_refused(void **state)
{
	static const char *const tables[] = {"records", "dadns_zones"};
	void *backend = open_backend();

	(void)state;
	database_ops.close(backend);
	if (layout == &layout_coredns) {
		run("ALTER TABLE records DROP FOREIGN KEY records_zone"); /* InnoDB's own */
	}
	for (size_t i = 0; i < 2; i++) {
		char words[80];

		run("ALTER TABLE %s ENGINE=MyISAM", tables[i]);
		backend = create_backend();
		assert_int_equal(database_ops.open(backend, &why), TEMPFAIL);
		snprintf(words, sizeof(words), "ALTER TABLE %s ENGINE=InnoDB", tables[i]);
		must_say(why.text, words);
		run("%s", words);
		must_open(backend);
		database_ops.close(backend);
	}
}

struct opener {
	void *backend;
	enum outcome outcome;
	struct reason why;
};

static void *open_in_thread(void *context)
{
	struct opener *opener = context;

	opener->outcome = database_ops.open(opener->backend, &opener->why);
	return NULL;
}

static void members_that_open_at_the_same_time_all_succeed(void **state)
{
	struct opener openers[4];
	pthread_t threads[4];

	(void)state;
	if (layout == &layout_coredns) {
		old_tables_of_the_coredns_plugin();
	}
	for (size_t i = 0; i < 4; i++) {
		openers[i].backend = create_backend();
		pthread_create(&threads[i], NULL, open_in_thread, &openers[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		if (openers[i].outcome != OK) {
			fail_msg("%s", openers[i].why.text);
		}
		database_ops.close(openers[i].backend);
	}
	assert_int_equal(number("SELECT COUNT(*) FROM dadns_meta"), 2);
}

/* --- zones ----------------------------------------------------------------------------------- */

static void a_new_zone_stands_in_rows_and_stamp(void **state)
{
	struct given given = save("new.test", 1, 2026112101,
				  "www A 192.0.2.1\n* AAAA 2001:db8::1\n@ MX 10 mail\nmail A "
				  "192.0.2.2\na.b.c TXT \"deep; \\\"quoted\\\" \\255\"\n"
				  "_sip._tcp SRV 1 2 3 sip.other.test.\nsub NS ns.sub\nns.sub A "
				  "192.0.2.3\n");
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &given);
	must_hold(&given);
	database_ops.close(backend);
	drop(&given);
}

static const char *ids(const struct given *given, const char *which)
{
	return answer("SELECT id FROM records WHERE %s AND (%s) ORDER BY id", of(given), which);
}

static void of_a_changed_zone_only_the_rows_that_differ_change(void **state)
{
	struct given first = save("change.test", 1, 1,
				  "a A 192.0.2.1\na A 192.0.2.2\nb A 192.0.2.1\nc TXT \"c\"\n");
	struct given second = save("change.test", 2, 2,
				   "a A 192.0.2.1\na A 192.0.2.3\nb A 192.0.2.1\nc TXT \"C\"\n"
				   "d TXT \"d\"\n");
	void *backend = open_backend();
	char kept[64];
	const char *before;

	(void)state;
	snprintf(kept, sizeof(kept), "type = 'NS' OR %s = '192.0.2.1'", data);
	must_apply(backend, &first);
	before = ids(&first, kept);
	must_apply(backend, &second);
	must_hold(&second);
	assert_string_equal(ids(&second, kept), before);
	/* SOA, a, c and d are new */
	assert_int_equal(number("SELECT COUNT(*) FROM records WHERE %s AND id > (SELECT MAX(id)"
				" FROM records WHERE %s AND (%s))",
				of(&second), of(&second), kept),
			 4);
	assert_string_equal(answer("SELECT value FROM dadns_meta WHERE name = 'changed'"), "2");
	database_ops.close(backend);
	drop(&first);
	drop(&second);
}

static void a_deleted_zone_leaves_its_version(void **state) /* I4, I5 */
{
	struct given zone = save("leaving.test", 10, 1, "www A 192.0.2.1\n");
	struct given other = save("staying.test", 10, 1, "www A 192.0.2.1\n");
	struct given delete = gone("leaving.test", 12);
	struct given unknown = gone("never-was.test", 13);
	struct given late = save("leaving.test", 11, 2, "www A 192.0.2.1\n");
	struct given again = save("leaving.test", 14, 1, "www A 192.0.2.7\n");
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &zone);
	must_apply(backend, &other);
	must_apply(backend, &delete);
	must_hold(&delete);
	must_hold(&other);
	assert_int_equal(number("SELECT COUNT(*) FROM %s", zones), 1);
	must_skip(backend, &late); /* older than the delete */
	must_hold(&delete);
	must_verify(backend, &delete);
	must_verify(backend, &unknown);
	must_hold(&unknown);
	must_apply(backend, &again);
	must_hold(&again);
	database_ops.close(backend);
	drop(&zone);
	drop(&other);
	drop(&late);
	drop(&again);
}

static void must_bury(void *backend, const struct given *given, enum change_result result)
{
	struct change change = {.value = &given->value, .burial = true};

	assert_int_equal(database_ops.apply(backend, &change, 1, &why), OK);
	must_give(&change, result);
}

static void a_tombstone_deletes_what_came_back_and_leaves_no_trace_elsewhere(void **state) /* I5 */
{
	struct given zone = save("back.test", 10, 1, "www A 192.0.2.1\n");
	struct given again = save("back.test", 14, 2, "www A 192.0.2.2\n");
	struct given delete = gone("back.test", 12);
	struct given unknown = gone("never-was-either.test", 13);
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &zone); /* a wiped database met an old value first */
	must_bury(backend, &delete, CHANGE_APPLIED);
	must_hold(&delete);
	must_bury(backend, &delete, CHANGE_VERIFIED); /* again: harmless */
	must_apply(backend, &again);
	must_bury(backend, &delete, CHANGE_OLDER); /* a zombie's */
	must_hold(&again);
	must_bury(backend, &unknown, CHANGE_OLDER);
	assert_true(is_unknown(&unknown));
	database_ops.close(backend);
	drop(&zone);
	drop(&again);
}

static void an_older_version_never_replaces_a_newer_one(void **state) /* I4 */
{
	struct given newer = save("fence.test", 11, 1, "www A 192.0.2.1\n");
	struct given older = save("fence.test", 10, 9, "www A 192.0.2.2\n");
	struct given delete = gone("fence.test", 10);
	struct given epoch = save("fence.test", 1, 3, "www A 192.0.2.3\n");
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &newer);
	must_skip(backend, &older);
	must_skip(backend, &delete);
	must_hold(&newer);
	epoch.value.version.epoch = 8; /* a newer epoch begins again */
	must_apply(backend, &epoch);
	must_hold(&epoch);
	must_skip(backend, &newer);
	must_hold(&epoch);
	database_ops.close(backend);
	drop(&newer);
	drop(&older);
	drop(&epoch);
}

static void an_equal_version_repairs_what_somebody_changed(void **state) /* I4 */
{
	struct given given = save("hand.test", 1, 1,
				  "www A 192.0.2.1\nmail A 192.0.2.2\n@ MX 10 mail\nt TXT \"t\"\n");
	const char *served = layout == &layout_coredns ? "online = 0" : "disabled = 1";
	void *backend = open_backend();
	struct {
		const char *what;
		char text[600];
	} edits[8];
	size_t count = 0;

	(void)state;
#define EDIT(what_, ...)                                                     \
	edits[count].what = what_;                                           \
	snprintf(edits[count].text, sizeof(edits[count].text), __VA_ARGS__); \
	count++
	must_apply(backend, &given);
	must_verify(backend, &given);
	EDIT("data", "UPDATE records SET %s = '198.51.100.1' WHERE %s = '192.0.2.1' AND %s", data,
	     data, of(&given));
	EDIT("ttl", "UPDATE records SET ttl = 1 WHERE %s", of(&given));
	EDIT("not served", "UPDATE records SET %s WHERE type = 'MX' AND %s", served, of(&given));
	EDIT("lost", "DELETE FROM records WHERE type = 'A' AND %s", of(&given));
	EDIT("no type", "UPDATE records SET type = '' WHERE type = 'TXT' AND %s", of(&given));
	EDIT("somebody's",
	     "INSERT INTO records (%s, %s, type, %s, ttl) SELECT id, 'x', 'A',"
	     " '192.0.2.66', 60 FROM %s",
	     zone_ref, layout->name_column, data, zones);
	EDIT("twice",
	     "INSERT INTO records (%s, %s, type, %s, ttl) SELECT %s, %s, type, %s, ttl"
	     " FROM records WHERE %s",
	     zone_ref, layout->name_column, data, zone_ref, layout->name_column, data, of(&given));
	EDIT("all lost", "DELETE FROM records WHERE %s", of(&given));
#undef EDIT
	for (size_t i = 0; i < count; i++) {
		long long before = changed(&given);

		run("%s", edits[i].text);
		if (holds(&given)) {
			fail_msg("%s: not seen by the test", edits[i].what);
		}
		must_apply(backend, &given);
		if (!holds(&given)) {
			show(&given);
			fail_msg("%s: not repaired", edits[i].what);
		}
		must_verify(backend, &given);
		assert_true(changed(&given) > before); /* who follows must look again */
	}
	run("DELETE FROM records");
	run("DELETE FROM %s", zones);
	must_apply(backend, &given);
	must_hold(&given);
	database_ops.close(backend);
	drop(&given);
}

static void an_equal_delete_removes_what_somebody_brought_back(void **state) /* I4 */
{
	struct given delete = gone("undead.test", 1);
	char name[NAME_TEXT_MAX + 2];
	void *backend = open_backend();

	(void)state;
	must_verify(backend, &delete);
	layout->zone_text(&delete.value.zone, name);
	run(layout == &layout_coredns ? "INSERT INTO zones (zone_name) VALUES ('%s')"
				      : "INSERT INTO domains (name, type) VALUES ('%s', 'NATIVE')",
	    name);
	run("INSERT INTO records (%s, %s, type, %s, ttl) SELECT id, 'x', 'A', '192.0.2.66', 60"
	    " FROM %s",
	    zone_ref, layout->name_column, data, zones);
	must_apply(backend, &delete);
	must_hold(&delete);
	assert_int_equal(number("SELECT COUNT(*) FROM records"), 0);
	database_ops.close(backend);
}

static void unchanged_content_is_only_stamped(void **state)
{
	struct given first = save("same.test", 1, 5, "www A 192.0.2.1\n");
	struct given again = save("same.test", 2, 5, "www A 192.0.2.1\n");
	void *backend = open_backend();
	long long before;
	const char *rows;

	(void)state;
	again.value.owner = "da2.test";
	again.value.unchanged = true;
	must_apply(backend, &first);
	before = changed(&first);
	rows = ids(&first, "1");
	must_verify(backend, &again);
	must_hold(&again);
	assert_string_equal(ids(&first, "1"), rows);
	assert_true(changed(&again) > before); /* a reader may know a version in between */
	assert_int_equal(number("SELECT value FROM dadns_meta WHERE name = 'changed'"),
			 changed(&again));
	database_ops.close(backend);
	drop(&first);
	drop(&again);
}

static void a_zone_of_another_primary_is_left_alone(void **state)
{
	struct given given = save("slave.test", 1, 1, "www A 192.0.2.1\n");
	void *backend = open_backend();
	struct change change;

	(void)state;
	run("INSERT INTO domains (name, type) VALUES ('slave.test', 'SLAVE')");
	change = apply(backend, &given);
	assert_int_equal(change.outcome, PERMFAIL);
	must_say(change.why.text, "another primary");
	assert_int_equal(number("SELECT COUNT(*) FROM records"), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM dadns_zones"), 0);
	run("UPDATE domains SET type = 'NATIVE'");
	must_apply(backend, &given);
	must_hold(&given);
	database_ops.close(backend);
	drop(&given);
}

/* --- heals (I6) ------------------------------------------------------------------------------ */

static struct backend_view view_of(const struct given *given)
{
	struct backend_view view = {.version = given->value.version};

	memcpy(view.digest, given->value.digest, sizeof(view.digest));
	return view;
}

static void a_heal_is_applied_only_over_what_was_seen(void **state)
{
	struct given now = save("heal.test", 5, 5, "www A 192.0.2.5\n");
	struct given healed = save("heal.test", 6, 6, "www A 192.0.2.6\n");
	struct given other = save("heal.test", 5, 5, "www A 192.0.2.7\n");
	struct backend_view absent = {.absent = true};
	struct backend_view seen = view_of(&now);
	struct backend_view wrong = view_of(&other);
	struct backend_view elsewhen = view_of(&now);
	void *backend = open_backend();
	struct change change;

	(void)state;
	must_apply(backend, &now);
	change = apply_heal(backend, &healed, &absent, false);
	must_give(&change, CHANGE_OLDER);
	change = apply_heal(backend, &healed, &wrong, false);
	must_give(&change, CHANGE_OLDER);
	elsewhen.version.offset = 4;
	change = apply_heal(backend, &healed, &elsewhen, false);
	must_give(&change, CHANGE_OLDER);
	must_hold(&now);
	seen.version = (struct version){0}; /* the stamp could not be read */
	change = apply_heal(backend, &healed, &seen, false);
	must_give(&change, CHANGE_APPLIED);
	must_hold(&healed);
	database_ops.close(backend);
	drop(&now);
	drop(&healed);
	drop(&other);
}

static void a_heal_brings_a_missing_zone_and_removes_an_undead_one(void **state)
{
	struct given zone = save("missing.test", 5, 5, "www A 192.0.2.5\n");
	struct given delete = gone("missing.test", 6);
	struct backend_view absent = {.absent = true};
	struct backend_view seen = view_of(&zone);
	void *backend = open_backend();
	struct change change;

	(void)state;
	change = apply_heal(backend, &zone, &seen, false); /* it is not there */
	must_give(&change, CHANGE_OLDER);
	assert_true(is_unknown(&zone));
	change = apply_heal(backend, &zone, &absent, false);
	must_give(&change, CHANGE_APPLIED);
	must_hold(&zone);
	change = apply_heal(backend, &delete, &absent, false);
	must_give(&change, CHANGE_OLDER);
	must_hold(&zone);
	change = apply_heal(backend, &delete, &seen, false);
	must_give(&change, CHANGE_APPLIED);
	must_hold(&delete);
	database_ops.close(backend);
	drop(&zone);
}

static void a_heal_older_than_the_stamp_must_name_it_as_stuck_ahead(void **state)
{
	struct given ahead = save("ahead.test", 9, 9, "www A 192.0.2.9\n");
	struct given right = save("ahead.test", 2, 2, "www A 192.0.2.2\n");
	struct given back = gone("ahead.test", 1);
	struct backend_view seen = view_of(&ahead);
	struct backend_view other = view_of(&ahead);
	void *backend = open_backend();
	struct change change;

	(void)state;
	must_apply(backend, &ahead);
	change = apply_heal(backend, &right, &seen, false);
	must_give(&change, CHANGE_OLDER);
	other.version.offset = 8;
	change = apply_heal(backend, &right, &other, true);
	must_give(&change, CHANGE_OLDER);
	must_hold(&ahead);
	change = apply_heal(backend, &right, &seen, true);
	must_give(&change, CHANGE_APPLIED);
	must_hold(&right);
	seen = view_of(&right);
	change = apply_heal(backend, &back, &seen, true);
	must_give(&change, CHANGE_APPLIED);
	must_hold(&back);
	database_ops.close(backend);
	drop(&ahead);
	drop(&right);
}

static void a_heal_of_the_equal_version_repairs_whatever_was_seen(void **state)
{
	struct given given = save("equal.test", 5, 5, "www A 192.0.2.5\n");
	struct backend_view absent = {.absent = true};
	void *backend = open_backend();
	struct change change;

	(void)state;
	must_apply(backend, &given);
	change = apply_heal(backend, &given, &absent, false);
	must_give(&change, CHANGE_VERIFIED);
	run("DELETE FROM records WHERE type = 'A' AND %s", of(&given));
	change = apply_heal(backend, &given, &absent, false);
	must_give(&change, CHANGE_APPLIED);
	must_hold(&given);
	database_ops.close(backend);
	drop(&given);
}

static void a_heal_of_rows_that_make_no_zone_names_the_digest_of_none(void **state)
{
	struct given now = save("broken.test", 5, 5, "www A 192.0.2.5\n");
	struct given healed = save("broken.test", 6, 6, "www A 192.0.2.6\n");
	struct backend_view before = view_of(&now);
	struct backend_view none = view_of(&now);
	void *backend = open_backend();
	struct change change;

	(void)state;
	memset(none.digest, '0', DIGEST_HEX_SIZE - 1);
	must_apply(backend, &now);
	change = apply_heal(backend, &healed, &none, false); /* the rows do make one */
	must_give(&change, CHANGE_OLDER);
	run("UPDATE records SET %s = 'no address' WHERE type = 'A' AND %s", data, of(&now));
	change = apply_heal(backend, &healed, &before, false);
	must_give(&change, CHANGE_OLDER);
	change = apply_heal(backend, &healed, &none, false);
	must_give(&change, CHANGE_APPLIED);
	must_hold(&healed);
	database_ops.close(backend);
	drop(&now);
	drop(&healed);
}

/* MySQL's own server has no bulk command. */
static void a_server_without_arrays_is_written_row_by_row(void **state)
{
	struct given first = save("slow.test", 1, 1, "www A 192.0.2.1\n@ MX 10 www\n");
	struct given second = save("slow.test", 2, 2, "www A 192.0.2.2\n@ MX 10 www\n");
	struct given delete = gone("slow.test", 3);
	struct database *backend = open_backend();
	int32_t partitions[3] = {0, 1, 2};
	int64_t next[3] = {10, 11, 12};

	(void)state;
	assert_true(backend->sql->arrays);
	backend->sql->arrays = false;
	must_apply(backend, &first);
	must_hold(&first);
	must_apply(backend, &second);
	must_hold(&second);
	must_apply(backend, &delete);
	must_hold(&delete);
	assert_int_equal(database_ops.store_positions(backend, partitions, next, 2, &why), OK);
	assert_int_equal(database_ops.store_positions(backend, partitions, next, 3, &why), OK);
	database_ops.close(backend);
	drop(&first);
	drop(&second);
}

/* --- every kind of zone ---------------------------------------------------------------------- */

static struct given sample(const char *file, int64_t offset)
{
	struct buf text = BUF_INIT(1 << 20);
	char path[512];
	char bytes[4096];
	size_t len;
	FILE *in;
	struct given given;

	snprintf(path, sizeof(path), DATA "%s", file);
	in = fopen(path, "rb");
	assert_non_null(in);
	while ((len = fread(bytes, 1, sizeof(bytes), in)) > 0) {
		buf_add(&text, (struct span){bytes, len});
	}
	fclose(in);
	given = parsed("example.com", offset, buf_span(&text));
	buf_finish(&text);
	return given;
}

static void rows_of_every_sample_make_its_digest_again(void **state)
{
	void *backend = open_backend();
	struct given last = gone("example.com", 1);
	DIR *dir = opendir(DATA);
	struct dirent *entry;
	size_t applied = 0;
	size_t refused = 0;

	(void)state;
	assert_non_null(dir);
	must_verify(backend, &last);
	for (int64_t offset = 2; (entry = readdir(dir)) != NULL; offset++) {
		const char *dot = strrchr(entry->d_name, '.');
		struct change change;
		struct given given;

		if (dot == NULL || strcmp(dot, ".zone") != 0) {
			continue;
		}
		given = sample(entry->d_name, offset);
		change = apply(backend, &given);
		if (change.outcome == PERMFAIL && layout == &layout_powerdns) {
			must_say(change.why.text, "PowerDNS cannot");
			must_hold(&last); /* nothing of it is there */
			drop(&given);
			refused++;
			continue;
		}
		if (change.outcome != OK || !holds(&given)) {
			show(&given);
			fail_msg("%s: %s", entry->d_name, change.why.text);
		}
		must_verify(backend, &given);
		drop(&last);
		last = given;
		applied++;
	}
	closedir(dir);
	assert_true(applied > 60);
	assert_true(refused < 8);
	database_ops.close(backend);
	drop(&last);
}

/* --- positions (I4) -------------------------------------------------------------------------- */

static enum outcome store(void *backend, int32_t partition, int64_t next)
{
	return database_ops.store_positions(backend, &partition, &next, 1, &why);
}

static void positions_outlive_the_process(void **state)
{
	int32_t partitions[4] = {0, 5, 7, 1023};
	int64_t next[4] = {17, 23, 1, (int64_t)1 << 40};
	int64_t later[4] = {18, 24, 2, 5};
	void *backend = open_backend();

	(void)state;
	assert_int_equal(database_ops.position(backend, 0), 0);
	assert_int_equal(database_ops.store_positions(backend, partitions, next, 2, &why), OK);
	assert_int_equal(database_ops.store_positions(backend, partitions, next, 4, &why), OK);
	database_ops.close(backend);
	backend = open_backend();
	assert_int_equal(database_ops.position(backend, 0), 17);
	assert_int_equal(database_ops.position(backend, 5), 23);
	assert_int_equal(database_ops.position(backend, 7), 1);
	assert_int_equal(database_ops.position(backend, 1023), (int64_t)1 << 40);
	assert_int_equal(database_ops.position(backend, 1), 0);
	/* lower is stored too: the core has read again from there */
	assert_int_equal(database_ops.store_positions(backend, partitions, later, 4, &why), OK);
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 1023), 5);
	assert_int_equal(store(backend, 1024, 1), TEMPFAIL);
	must_say(why.text, "1024");
	database_ops.close(backend);
}

static void positions_that_were_restored_are_not_overwritten(void **state)
{
	long long restored = counted("dadns_mysql_restored_total");
	int32_t partitions[3] = {1, 3, 2};
	int64_t next[3] = {31, 20, 21};
	void *backend = open_backend();

	(void)state;
	assert_int_equal(store(backend, 3, 10), OK);
	assert_int_equal(store(backend, 2, 20), OK);
	run("UPDATE dadns_positions SET next = 4 WHERE part = 3");
	assert_int_equal(database_ops.store_positions(backend, partitions, next, 3, &why),
			 TEMPFAIL);
	must_say(why.text, "restored");
	assert_int_equal(counted("dadns_mysql_restored_total"), restored + 1);
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 4);
	assert_int_equal(database_ops.position(backend, 2), 20); /* all or none */
	assert_int_equal(database_ops.position(backend, 1), 0);
	assert_int_equal(store(backend, 3, 11), OK);
	database_ops.close(backend);
}

/* Table by table, positions before rows, and the writer looked in between: its rows went with the
 * table, its positions stayed. */
static void rows_restored_after_the_positions_are_brought_again(void **state)
{
	struct given given = save("between.test", 1, 1, "www A 192.0.2.1\n");
	long long restored = counted("dadns_mysql_restored_total");
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &given);
	assert_int_equal(store(backend, 3, 10), OK);
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 10);
	usleep(1100000); /* tables tell their birth in seconds */
	run("CREATE TABLE old LIKE records");
	run("DROP TABLE records");
	run("RENAME TABLE old TO records");
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 0);
	assert_int_equal(counted("dadns_mysql_restored_total"), restored + 1);
	must_apply(backend, &given);
	must_hold(&given);
	assert_int_equal(store(backend, 3, 10), OK);
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 10);
	database_ops.close(backend);
	drop(&given);
}

/* The client has made dadns_meta anew and not locked it yet: what we wrote it would stumble over.
 */
static void a_count_of_changes_that_is_lost_or_went_back_is_kept_out_of(void **state)
{
	struct given first = save("count.test", 1, 1, "www A 192.0.2.1\n");
	struct given second = save("count.test", 2, 1, "www A 192.0.2.2\n");
	struct change change;
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &first);
	run("UPDATE dadns_meta SET value = 0 WHERE name = 'changed'");
	assert_int_equal(apply_all(backend, &second, &change, 1), TEMPFAIL);
	must_say(why.text, "being restored");
	run("DELETE FROM dadns_meta WHERE name = 'changed'");
	must_open(backend);
	run("DELETE FROM dadns_meta WHERE name = 'changed'");
	assert_int_equal(apply_all(backend, &second, &change, 1), TEMPFAIL);
	must_say(why.text, "being restored");
	assert_int_equal(number("SELECT COUNT(*) FROM dadns_meta WHERE name = 'changed'"), 0);
	must_hold(&first);
	must_open(backend); /* whoever follows the numbers misses nothing */
	must_apply(backend, &second);
	must_hold(&second);
	assert_true(changed(&second) > 1);
	database_ops.close(backend);
	drop(&first);
	drop(&second);
}

/* PowerDNS serves such rows: a dump that was loaded while we worked leaves them. */
static void rows_whose_zone_is_gone_go_and_those_of_others_stay(void **state)
{
	struct given delete = gone("orphan.test", 1);
	struct given zone = save("living.test", 1, 1, "www A 192.0.2.1\n");
	void *backend = open_backend();

	(void)state;
	must_verify(backend, &delete);
	must_apply(backend, &zone);
	for (int i = 0; i < 2; i++) {
		run("INSERT INTO records (domain_id, name, type, content, ttl) VALUES"
		    " (%d, '%s.test', 'SOA', 'a. b. 1 2 3 4 5', 60),"
		    " (%d, 'www.%s.test', 'A', '192.0.2.66', 60)",
		    9000 + i, i == 0 ? "orphan" : "living", 9000 + i, i == 0 ? "orphan" : "living");
	}
	run("INSERT INTO records (domain_id, name, type, content, ttl) VALUES"
	    " (9100, 'somebody-elses.test', 'SOA', 'a. b. 1 2 3 4 5', 60)");
	must_verify(backend, &delete);
	must_verify(backend, &zone);
	must_hold(&zone);
	assert_int_equal(number("SELECT COUNT(*) FROM records WHERE domain_id IN (9000, 9001)"), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM records WHERE domain_id = 9100"), 1);
	database_ops.close(backend);
	drop(&zone);
}

/* I4: whoever looked while a dump was loaded has stored positions that the rows do not have. */
static void positions_are_void_when_tables_were_made_anew_since(void **state)
{
	void *backend = open_backend();

	(void)state;
	assert_int_equal(store(backend, 3, 10), OK);
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 10);
	run("UPDATE dadns_meta SET value = 1 WHERE name = 'births'"); /* of other tables */
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 0);
	assert_int_equal(store(backend, 3, 4), OK);
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 4);
	database_ops.close(backend);
}

static void tables_restored_from_before_they_were_mended_are_mended_again(void **state)
{
	char *records = long_txt(1100);
	struct given wide = save("restored.test", 1, 1, records);
	void *backend;

	(void)state;
	old_tables_of_the_coredns_plugin();
	backend = open_backend();
	assert_int_equal(store(backend, 0, 10), OK);
	run("DROP TABLE records, zones");
	old_tables_of_the_coredns_plugin();
	run("UPDATE dadns_positions SET next = 5");
	must_open(backend); /* a look, with nothing to do */
	assert_in_range(database_ops.position(backend, 0), 0, 5);
	assert_string_equal(column_type("data"), "mediumtext");
	must_apply(backend, &wide);
	must_hold(&wide);
	database_ops.close(backend);
	drop(&wide);
	free(records);
}

static void a_table_made_anew_has_no_positions(void **state)
{
	struct given given = save("anew.test", 1, 1, "www A 192.0.2.1\n");
	struct change change;
	void *backend = open_backend();

	(void)state;
	must_apply(backend, &given);
	assert_int_equal(store(backend, 3, 10), OK);
	run("DROP TABLE dadns_positions, records, %s", zones);
	assert_int_equal(apply_all(backend, &given, &change, 1), TEMPFAIL);
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 0);
	must_apply(backend, &given);
	must_hold(&given);
	assert_int_equal(store(backend, 3, 10), OK);

	run("DROP DATABASE %s", schema); /* noticed by a look, with nothing to do */
	assert_int_equal(database_ops.open(backend, &why), TEMPFAIL);
	assert_int_equal(database_ops.open(backend, &why), TEMPFAIL);
	must_say(why.text, schema);
	enter("mysql");
	run("CREATE DATABASE %s", schema);
	enter(schema);
	must_open(backend);
	assert_int_equal(database_ops.position(backend, 3), 0);
	must_apply(backend, &given);
	must_hold(&given);
	database_ops.close(backend);
	drop(&given);
}

static void two_members_do_not_overwrite_each_others_positions(void **state)
{
	void *a = open_backend();
	void *b = open_backend();

	(void)state;
	assert_int_equal(store(a, 0, 10), OK);
	assert_int_equal(store(b, 1, 5), OK);
	assert_int_equal(store(b, 0, 3), TEMPFAIL); /* knows of none there */
	must_open(b);
	assert_int_equal(database_ops.position(b, 0), 10);
	assert_int_equal(store(b, 0, 12), OK);
	assert_int_equal(store(a, 0, 11), TEMPFAIL);
	must_open(a);
	assert_int_equal(database_ops.position(a, 0), 12);
	assert_int_equal(database_ops.position(a, 1), 5);
	database_ops.close(a);
	database_ops.close(b);
}

/* --- big things ------------------------------------------------------------------------------ */

static void a_zone_of_20000_records_is_stored_and_one_of_them_changed(void **state)
{
	struct buf records = BUF_INIT(4 << 20);
	struct given first;
	struct given second;
	void *backend = open_backend();
	long long highest;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		buf_addf(&records, "host-%d A 192.0.2.%d\n", i, i % 250);
	}
	first = save("big.test", 1, 1, buf_text(&records));
	memcpy(strstr(records.data, "host-7777 A 192"), "host-7777 A 193", 15);
	second = save("big.test", 2, 1, buf_text(&records));
	must_apply(backend, &first);
	must_hold(&first);
	highest = number("SELECT MAX(id) FROM records");
	must_apply(backend, &second);
	must_hold(&second);
	assert_int_equal(number("SELECT COUNT(*) FROM records WHERE id > %lld", highest), 1);
	must_verify(backend, &second);
	database_ops.close(backend);
	drop(&first);
	drop(&second);
	buf_finish(&records);
}

/* 65,535 octets of RDATA, each of them printed as four characters. */
static void the_longest_text_is_stored_or_refused_by_its_width(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct given longest;
	struct given fits;
	void *backend = open_backend();
	struct change change;

	(void)state;
	buf_add_text(&text, "long TXT");
	for (int left = 65535; left > 0; left -= 256) {
		buf_add_text(&text, " \"");
		for (int i = 0; i < (left > 256 ? 255 : left - 1); i++) {
			buf_add_text(&text, "\\200");
		}
		buf_add_byte(&text, '"');
	}
	buf_add_byte(&text, '\n');
	longest = save("longest.test", 1, 1, buf_text(&text));
	buf_clear(&text);
	buf_add_text(&text, "long TXT");
	for (int i = 0; i < 64000 / 256 - 1; i++) {
		buf_addf(&text, " \"%0253d\"", i);
	}
	buf_add_byte(&text, '\n');
	fits = save("longest.test", 2, 1, buf_text(&text));
	change = apply(backend, &longest);
	if (layout == &layout_coredns) {
		must_give(&change, CHANGE_APPLIED);
		must_hold(&longest);
	} else {
		assert_int_equal(change.outcome, PERMFAIL);
		must_say(change.why.text, "records.content holds 64000");
		assert_true(is_unknown(&longest));
	}
	must_apply(backend, &fits);
	must_hold(&fits);
	database_ops.close(backend);
	drop(&longest);
	drop(&fits);
	buf_finish(&text);
}

static long long rows_read_by_the_writer(void)
{
	return number("SELECT rows_read FROM information_schema.user_statistics WHERE user ="
		      " 'writer'");
}

/* Every look-up by an index, also that by a text in another character set than the column's. */
static void one_change_reads_few_rows(void *backend, struct given *given)
{
	struct given next = save(given->value.zone.text, 1, 1, "www A 192.0.2.7\n");
	struct backend_view seen = view_of(given);
	struct change change;
	long long before;

	next.value.version.offset = 2;
	run("SET GLOBAL userstat = 1");
	change = apply_heal(backend, given, NULL, false);
	must_give(&change, CHANGE_VERIFIED);
	before = rows_read_by_the_writer();
	change = apply_heal(backend, &next, &seen, false);
	must_give(&change, CHANGE_APPLIED);
	assert_true(rows_read_by_the_writer() - before < 40);
	run("SET GLOBAL userstat = 0");
	drop(given);
	*given = next;
}

static void thousands_of_zones_go_in_one_call(void **state)
{
	struct given *givens = calloc(MANY, sizeof(*givens));
	struct change *many = calloc(MANY, sizeof(*many));
	long long batches = counted("dadns_mysql_transactions_total");
	void *backend = open_backend();

	(void)state;
	for (int i = 0; i < MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many-%d.test", i);
		givens[i] = save(name, 1, 1, "www A 192.0.2.1\n@ MX 10 www\n");
	}
	assert_int_equal(apply_all(backend, givens, many, MANY), OK);
	for (int i = 0; i < MANY; i++) {
		must_give(&many[i], CHANGE_APPLIED);
		if (i % 100 == 0) {
			must_hold(&givens[i]);
		}
	}
	assert_int_equal(number("SELECT COUNT(*) FROM %s", zones), MANY);
	assert_int_equal(number("SELECT COUNT(*) FROM records"), 4 * MANY);
	assert_int_equal(number("SELECT COUNT(DISTINCT zone_id) FROM dadns_zones"), MANY);
	assert_int_equal(counted("dadns_mysql_transactions_total"), batches + 1);
	one_change_reads_few_rows(backend, &givens[MANY / 2]);
	assert_int_equal(apply_all(backend, givens, many, MANY), OK);
	for (int i = 0; i < MANY; i++) {
		must_give(&many[i], CHANGE_VERIFIED);
		drop(&givens[i]);
		givens[i] = gone(givens[i].value.zone.text, 3);
	}
	assert_int_equal(apply_all(backend, givens, many, MANY), OK);
	for (int i = 0; i < MANY; i++) {
		must_give(&many[i], CHANGE_APPLIED);
	}
	assert_int_equal(number("SELECT COUNT(*) FROM %s", zones), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM records"), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM dadns_zones WHERE deleted = 1"), MANY);
	database_ops.close(backend);
	free(givens);
	free(many);
}

/* --- PowerDNS's caches ------------------------------------------------------------------------ */

static _Atomic int flushes_asked;
static _Atomic int flushed_changed; /* the how manieth was for changed.test */

static void answer_flush(void *context, struct http_request *request)
{
	struct span domain = SPAN_EMPTY;

	(void)context;
	http_query(request, "domain", &domain);
	flushes_asked++;
	if (span_is(domain, "changed.test.")) {
		flushed_changed = flushes_asked;
	}
	http_answer(request, 200, "application/json", span_of("{\"count\": 0}"), NULL);
}

static unsigned int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void a_zone_that_has_changed_is_flushed_before_those_that_are_as_they_were(void **state)
{
	enum { COUNT = 24, CHANGED = COUNT / 2 };
	struct http_config listening = HTTP_CONFIG_DEFAULT;
	struct change changes[COUNT];
	struct given givens[COUNT];
	struct settlement settlement;
	struct http *powerdns;
	char address[48];
	char url[64];
	void *backend = open_backend();

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		snprintf(url, sizeof(url), "z%d.test", i);
		givens[i] = save(i == CHANGED ? "changed.test" : url, i + 1, 1, "");
	}
	assert_int_equal(apply_all(backend, givens, changes, COUNT), OK);
	database_ops.close(backend);
	drop(&givens[CHANGED]);
	givens[CHANGED] = save("changed.test", COUNT + 1, 2, "");
	snprintf(address, sizeof(address), "127.0.0.1:%u", free_port());
	snprintf(url, sizeof(url), "http://%s", address);
	listening.listen = address;
	assert_int_equal(http_listen(&powerdns, &listening, answer_flush, NULL, &why), OK);
	config.readers.api = url;
	config.readers.api_key = "key";
	backend = open_backend();
	assert_int_equal(apply_all(backend, givens, changes, COUNT), OK);
	for (int settled = 0; settled < COUNT;) {
		if (database_ops.settled(backend, &settlement)) {
			assert_int_equal(settlement.outcome, OK);
			settled++;
		} else {
			usleep(1000);
		}
	}
	assert_int_equal(flushes_asked, COUNT);
	assert_in_range(flushed_changed, 1, 4); /* four are on their way at a time */
	database_ops.close(backend);
	http_close(powerdns, 0);
	for (int i = 0; i < COUNT; i++) {
		drop(&givens[i]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_BOTH(first_contact_makes_all_tables),
		IN(a_schema_made_by_powerdns_stays_as_it_is, powerdns),
		IN(old_tables_of_the_coredns_plugin_are_mended_and_their_rows_kept, coredns),
		IN(without_alter_old_tables_are_used_as_they_are, coredns),
		IN_BOTH(a_column_that_somebody_widened_holds_more),
		IN_BOTH(without_create_it_says_what_to_grant),
		IN_BOTH(without_insert_the_backend_is_not_opened),
		IN_BOTH(a_table_that_is_not_innodb_is_refused),
		IN_BOTH(members_that_open_at_the_same_time_all_succeed),
		IN_BOTH(a_new_zone_stands_in_rows_and_stamp),
		IN_BOTH(of_a_changed_zone_only_the_rows_that_differ_change),
		IN_BOTH(a_deleted_zone_leaves_its_version),
		IN_BOTH(a_tombstone_deletes_what_came_back_and_leaves_no_trace_elsewhere),
		IN_BOTH(an_older_version_never_replaces_a_newer_one),
		IN_BOTH(an_equal_version_repairs_what_somebody_changed),
		IN_BOTH(an_equal_delete_removes_what_somebody_brought_back),
		IN_BOTH(unchanged_content_is_only_stamped),
		IN(a_zone_of_another_primary_is_left_alone, powerdns),
		IN_BOTH(a_heal_is_applied_only_over_what_was_seen),
		IN_BOTH(a_heal_brings_a_missing_zone_and_removes_an_undead_one),
		IN_BOTH(a_heal_older_than_the_stamp_must_name_it_as_stuck_ahead),
		IN_BOTH(a_heal_of_the_equal_version_repairs_whatever_was_seen),
		IN_BOTH(a_heal_of_rows_that_make_no_zone_names_the_digest_of_none),
		IN_BOTH(a_server_without_arrays_is_written_row_by_row),
		IN_BOTH(rows_of_every_sample_make_its_digest_again),
		IN_BOTH(positions_outlive_the_process),
		IN_BOTH(positions_that_were_restored_are_not_overwritten),
		IN_BOTH(positions_are_void_when_tables_were_made_anew_since),
		IN(rows_whose_zone_is_gone_go_and_those_of_others_stay, powerdns),
		IN_BOTH(rows_restored_after_the_positions_are_brought_again),
		IN_BOTH(a_count_of_changes_that_is_lost_or_went_back_is_kept_out_of),
		IN(tables_restored_from_before_they_were_mended_are_mended_again, coredns),
		IN_BOTH(a_table_made_anew_has_no_positions),
		IN_BOTH(two_members_do_not_overwrite_each_others_positions),
		IN_BOTH(a_zone_of_20000_records_is_stored_and_one_of_them_changed),
		IN_BOTH(the_longest_text_is_stored_or_refused_by_its_width),
		IN_BOTH(thousands_of_zones_go_in_one_call),
		IN(a_zone_that_has_changed_is_flushed_before_those_that_are_as_they_were, powerdns),
	};

	cmocka_set_test_filter(argc == 2 ? argv[1] : NULL);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
