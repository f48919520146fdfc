/* SPDX-License-Identifier: Apache-2.0 */
/* A database that name servers read. Everything here any account may ask. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/preflight.h"

struct settings {
	bool seen;
	int64_t flush;
	int64_t readonly;
	char session_mode[512];
	char global_mode[512];
	int64_t now_ms;
};

static void note_settings(void *context, const struct sql_field *fields)
{
	struct settings *settings = context;

	settings->seen = true;
	settings->flush = fields[0].number;
	settings->readonly = fields[1].number;
	(void)snprintf(settings->session_mode, sizeof(settings->session_mode), "%.*s",
		       (int)fields[2].text.len, fields[2].text.data);
	(void)snprintf(settings->global_mode, sizeof(settings->global_mode), "%.*s",
		       (int)fields[3].text.len, fields[3].text.data);
	settings->now_ms = fields[4].number;
}

static bool is_strict(const char *mode)
{
	return strstr(mode, "STRICT_ALL_TABLES") != NULL ||
	       strstr(mode, "STRICT_TRANS_TABLES") != NULL;
}

static void check_mode(struct preflight *preflight, const char *where,
		       const struct settings *settings)
{
	if (!is_strict(settings->session_mode)) {
		preflight_say(preflight, CHECK_SQL_MODE, FINDING_WRONG, where,
			      "our session asked for strict mode and has sql_mode '%.80s': values "
			      "would be cut; does a proxy in between swallow SET SESSION?",
			      settings->session_mode);
	} else if (!is_strict(settings->global_mode)) {
		preflight_say(preflight, CHECK_SQL_MODE, FINDING_WARN, where,
			      "the server's sql_mode '%.80s' is not strict: the writer sets its "
			      "own, but what others write there is cut without a word",
			      settings->global_mode);
	} else {
		preflight_say(preflight, CHECK_SQL_MODE, FINDING_RIGHT, where, "strict");
	}
}

static void check_settings(struct preflight *preflight, const char *where, struct sql *sql)
{
	struct settings settings = {0};
	int64_t before_ms = clock_wall_ms();
	struct reason why;

	if (sql_read(sql,
		     "SELECT CAST(@@global.innodb_flush_log_at_trx_commit AS SIGNED),"
		     " CAST(@@global.read_only AS SIGNED), CAST(@@session.sql_mode AS CHAR),"
		     " CAST(@@global.sql_mode AS CHAR),"
		     " CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
		     NULL, 0, note_settings, &settings, &why) != OK ||
	    !settings.seen) {
		preflight_say(preflight, CHECK_MYSQL_REACH, FINDING_AWAY, where, "%s",
			      settings.seen ? "it did not answer" : why.text);
		return;
	}
	if (settings.flush != 1) {
		preflight_say(preflight, CHECK_INNODB_FLUSH, FINDING_WARN, where,
			      "innodb_flush_log_at_trx_commit is %lld: a crash of its host takes "
			      "the last second back (the writer sees it and brings it again); set "
			      "it to 1",
			      (long long)settings.flush);
	} else {
		preflight_say(preflight, CHECK_INNODB_FLUSH, FINDING_RIGHT, where,
			      "innodb_flush_log_at_trx_commit 1");
	}
	if (settings.readonly != 0) {
		preflight_say(preflight, CHECK_MYSQL_READONLY, FINDING_WRONG, where,
			      "it is read_only: a replica? The writer belongs to the primary");
	} else {
		preflight_say(preflight, CHECK_MYSQL_READONLY, FINDING_RIGHT, where,
			      "it takes writes");
	}
	check_mode(preflight, where, &settings);
	preflight_clock(preflight, CHECK_MYSQL_CLOCK, where, before_ms, settings.now_ms,
			clock_wall_ms());
}

struct engines {
	size_t tables;
	size_t others;
	char first[200];
};

static void note_engine(void *context, const struct sql_field *fields)
{
	struct engines *engines = context;

	engines->tables++;
	if (!span_is_nocase(fields[1].text, "InnoDB") && engines->others++ == 0) {
		(void)snprintf(engines->first, sizeof(engines->first), "%.*s is %.*s",
			       (int)fields[0].text.len, fields[0].text.data,
			       (int)fields[1].text.len, fields[1].text.data);
	}
}

static void check_engines(struct preflight *preflight, const char *where, struct sql *sql,
			  const char *const *tables)
{
	struct engines engines = {0};
	struct span names[16];
	struct reason why;
	size_t count = 0;

	for (; tables[count] != NULL && count < 16; count++) {
		names[count] = span_of(tables[count]);
	}
	if (sql_read_in(sql,
			"SELECT table_name, engine FROM information_schema.tables"
			" WHERE table_schema = DATABASE() AND table_name IN (%s)",
			(struct sql_column){.texts = names}, count, note_engine, &engines,
			&why) != OK) {
		preflight_say(preflight, CHECK_MYSQL_REACH, FINDING_AWAY, where, "%s", why.text);
	} else if (engines.others != 0) {
		preflight_say(
			preflight, CHECK_INNODB_ENGINE, FINDING_WRONG, where,
			"table %s, not InnoDB: readers would see half a zone; ALTER TABLE NAME "
			"ENGINE=InnoDB",
			engines.first);
	} else {
		preflight_say(preflight, CHECK_INNODB_ENGINE, FINDING_RIGHT, where,
			      engines.tables == 0 ? "no tables yet; its writer makes them"
						  : "%zu tables",
			      engines.tables);
	}
}

void preflight_mysql(struct preflight *preflight, const char *where, struct sql *sql,
		     const char *const *tables)
{
	struct reason why;

	if (sql_open(sql, 0, &why) != OK) {
		preflight_say(preflight, CHECK_MYSQL_REACH, FINDING_AWAY, where, "%s", why.text);
		return;
	}
	preflight_say(preflight, CHECK_MYSQL_REACH, FINDING_RIGHT, where, "it answers");
	check_settings(preflight, where, sql);
	if (sql_is_open(sql)) {
		check_engines(preflight, where, sql, tables);
	}
}
