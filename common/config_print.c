/* SPDX-License-Identifier: Apache-2.0 */
/* --help and docs/CONFIGURATION.md. */
#include "common/config.h"

#include <inttypes.h>
#include <string.h>

#include "common/config_key.h"

static const char *kind_text(const struct config_key *row)
{
	switch (row->kind) {
	case CONFIG_TEXT:
		return row->secret ? "SECRET" : "TEXT";
	case CONFIG_INT:
		return "NUMBER";
	case CONFIG_BOOL:
		return "yes|no";
	case CONFIG_GONE:
	case CONFIG_ELSEWHERE:
	case CONFIG_FLAG:
		break;
	}
	return "";
}

/* "*" is not a name: people read NAME. */
static void add_path(const struct config_key *row, struct buf *out)
{
	config_key_expand(row, "NAME", out);
}

static void add_env(const struct config_key *row, struct buf *out)
{
	struct buf path = BUF_INIT(CONFIG_NAME_MAX);

	add_path(row, &path);
	config_env_name(buf_text(&path), out);
	buf_finish(&path);
}

/* "required", "default: x", "one of a, b", "1 to 5", "also by ..._file" */
static void add_rules(const struct config_key *row, struct buf *out)
{
	if (row->fallback == NULL) {
		buf_add_text(out, "required");
	} else if (row->fallback[0] == '\0') {
		buf_add_text(out, "default: none");
	} else {
		buf_addf(out, "default: %s", row->fallback);
	}
	if (row->choices != NULL) {
		buf_add_text(out, "; one of ");
		for (const char *p = row->choices; *p != '\0'; p++) {
			buf_add_text(out, *p == '|' ? ", " : (const char[]){*p, '\0'});
		}
	}
	if (row->lowest != 0 || row->highest != 0) {
		buf_addf(out, "; %" PRId64 " to %" PRId64, row->lowest, row->highest);
	}
	if (row->secret) {
		buf_add_text(out, "; or the name of a file with it: the same with _file");
	}
}

/* Several modules of one program may list a key (the same table in two services): once is enough.
 */
static bool was_before(const struct config_key *const *tables, size_t until,
		       const struct config_key *row)
{
	size_t at = 0;

	while (at < until) {
		const struct config_key *other = config_key_next(tables, &at);

		if (at <= until && other->kind == row->kind &&
		    strcmp(other->path, row->path) == 0) {
			return true;
		}
	}
	return false;
}

void config_print_help(const struct config_key *const *tables, struct buf *out)
{
	const struct config_key *row;
	size_t at = 0;

	buf_add_text(out, "  --config=FILE\n        YAML file with the keys below (DADNS_CONFIG)\n"
			  "  --check-config\n        say what is wrong with the configuration, and "
			  "end\n"
			  "  --help, --version\n");
	while ((row = config_key_next(tables, &at)) != NULL) {
		if (was_before(tables, at - 1, row)) {
			continue;
		}
		if (row->kind == CONFIG_FLAG) {
			buf_addf(out, "  --%s%s\n        %s\n", row->path,
				 row->fallback != NULL ? "=TEXT" : "", row->help);
		} else if (config_key_is_value(row)) {
			buf_add_text(out, "  --");
			add_path(row, out);
			buf_addf(out, "=%s\n        %s\n        ", kind_text(row), row->help);
			add_env(row, out);
			buf_add_text(out, "; ");
			add_rules(row, out);
			buf_add_byte(out, '\n');
		}
	}
}

static void print_values(const struct config_key *const *tables, struct buf *out)
{
	const struct config_key *row;
	size_t at = 0;

	buf_add_text(out, "| key | environment | what | value |\n|---|---|---|---|\n");
	while ((row = config_key_next(tables, &at)) != NULL) {
		if (!config_key_is_value(row) || was_before(tables, at - 1, row)) {
			continue;
		}
		buf_add_text(out, "| `");
		add_path(row, out);
		buf_add_text(out, "` | `");
		add_env(row, out);
		buf_addf(out, "` | %s | ", row->help);
		add_rules(row, out);
		buf_add_text(out, " |\n");
	}
}

static void print_gone(const struct config_key *const *tables, struct buf *out)
{
	const struct config_key *row;
	size_t at = 0;
	bool any = false;

	while ((row = config_key_next(tables, &at)) != NULL) {
		if (row->kind != CONFIG_GONE || was_before(tables, at - 1, row)) {
			continue;
		}
		if (!any) {
			buf_add_text(out, "\nKeys of the old product that are accepted and mean "
					  "nothing here:\n\n"
					  "| key | what replaced it |\n|---|---|\n");
			any = true;
		}
		buf_add_text(out, "| `");
		add_path(row, out);
		buf_addf(out, "` | %s |\n", row->help);
	}
}

void config_print_markdown(const struct config_key *const *tables, struct buf *out)
{
	print_values(tables, out);
	print_gone(tables, out);
}
