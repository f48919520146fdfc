/* SPDX-License-Identifier: Apache-2.0 */
/* Flags, environment and file become settings. */
#include "common/config_state.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

static const struct config_key own_flags[] = {
	FLAG("config", ""), FLAG("check-config", ""), FLAG("help", ""), FLAG("version", ""), {0},
};

static const struct config_key *flag_row(const struct config_key *const *tables, const char *name)
{
	const struct config_key *row;
	size_t at = 0;

	for (row = own_flags; row->path != NULL; row++) {
		if (strcmp(row->path, name) == 0) {
			return row;
		}
	}
	while ((row = config_key_next(tables, &at)) != NULL) {
		if (row->kind == CONFIG_FLAG && strcmp(row->path, name) == 0) {
			return row;
		}
	}
	return NULL;
}

/* Before the file is read no stanza is known, so this asks only for the shape of the path. */
static bool flag_wants_value(const struct config *config, const char *name)
{
	const struct config_key *row = flag_row(config->tables, name);
	size_t at = 0;

	if (strcmp(name, "config") == 0 ||
	    (config->choose_flag != NULL && strcmp(name, config->choose_flag) == 0)) {
		return true;
	}
	if (row != NULL) {
		return row->fallback != NULL;
	}
	while ((row = config_key_next(config->tables, &at)) != NULL) {
		if (row->kind == CONFIG_BOOL && config_key_fits(row, name, NULL)) {
			return false;
		}
	}
	return true;
}

static void add_argument(struct config *config, const char *text)
{
	config->arguments =
		xrealloc(config->arguments, (config->argument_count + 1) * sizeof(char *));
	config->arguments[config->argument_count++] = xstrdup(text);
}

enum outcome config_read_arguments(struct config *config, int argc, char **argv, struct reason *why)
{
	bool flags_over = false;

	for (int i = 1; i < argc; i++) {
		const char *text = strcmp(argv[i], "-h") == 0 ? "--help" : argv[i];
		const char *equals = strchr(text, '=');
		const char *value = equals == NULL ? "" : equals + 1;
		char *name;

		if (flags_over || text[0] != '-' || text[1] == '\0') {
			add_argument(config, text);
			continue;
		}
		if (strcmp(text, "--") == 0) {
			flags_over = true;
			continue;
		}
		if (text[1] != '-') {
			return because(PERMFAIL, why,
				       "%.60s is no flag of this program (see --help)", text);
		}
		name = equals == NULL ? xstrdup(text + 2)
				      : xstrndup(text + 2, (size_t)(equals - text) - 2);
		if (equals == NULL && flag_wants_value(config, name)) {
			if (i + 1 == argc) {
				free(name);
				return because(PERMFAIL, why, "%.60s needs a value", text);
			}
			value = argv[++i];
		} else if (equals == NULL && flag_row(config->tables, name) == NULL) {
			value = "true"; /* a bool by itself */
		}
		config->flags =
			xrealloc(config->flags, (config->flag_count + 1) * sizeof(struct flag));
		config->flags[config->flag_count++] = (struct flag){
			.name = name,
			.value = xstrdup(value),
			.row = flag_row(config->tables, name),
		};
	}
	return OK;
}

const char *config_file_name(const struct config *config)
{
	const char *name = config_flag(config, "config");

	return name == NULL ? getenv("DADNS_CONFIG") : name;
}

/* The maps whose keys are names of stanzas; the texts are yours. */
static char **stanza_parents(const struct config_key *const *tables)
{
	char **parents = xcalloc(2, sizeof(char *));
	const struct config_key *row;
	size_t count = 0;
	size_t at = 0;

	parents[count++] = xstrdup(BACKENDS);
	while ((row = config_key_next(tables, &at)) != NULL) {
		struct span parent = config_key_parent(row);
		bool known = parent.len == 0;

		for (size_t i = 0; i < count; i++) {
			known = known || span_is(parent, parents[i]);
		}
		if (!known) {
			parents = xrealloc(parents, (count + 2) * sizeof(char *));
			parents[count++] = xstrndup(parent.data, parent.len);
			parents[count] = NULL;
		}
	}
	return parents;
}

/* Two stanzas that only the environment cannot tell apart would get each other's values. */
static enum outcome check_stanza_names(const struct config *config, struct reason *why)
{
	enum outcome outcome = OK;

	for (size_t i = 0; i < config->file.stanza_count; i++) {
		for (size_t k = 0; k < i && outcome == OK; k++) {
			const struct config_stanza *a = &config->file.stanzas[k];
			const struct config_stanza *b = &config->file.stanzas[i];
			struct buf one = BUF_INIT(CONFIG_NAME_MAX);
			struct buf other = BUF_INIT(CONFIG_NAME_MAX);

			config_env_name(a->name, &one);
			config_env_name(b->name, &other);
			if (strcmp(a->parent, b->parent) == 0 &&
			    span_equal(buf_span(&one), buf_span(&other))) {
				outcome = because(PERMFAIL, why,
						  "%s: %.60s and %.60s are the same name in the "
						  "environment; rename one",
						  a->parent, a->name, b->name);
			}
			buf_finish(&one);
			buf_finish(&other);
		}
	}
	return outcome;
}

enum outcome config_read_file(struct config *config, struct reason *why)
{
	const char *name = config_file_name(config);
	char **parents;
	enum outcome outcome;

	if (name == NULL || name[0] == '\0') {
		return OK;
	}
	parents = stanza_parents(config->tables);
	outcome = config_file_read(name, (const char *const *)parents, &config->file, why);
	for (size_t i = 0; parents[i] != NULL; i++) {
		free(parents[i]);
	}
	free(parents);
	return outcome == OK ? check_stanza_names(config, why) : outcome;
}

enum outcome config_take_flags(struct config *config, struct reason *why)
{
	for (size_t i = 0; i < config->flag_count; i++) {
		const struct flag *flag = &config->flags[i];
		const struct config_key *branch = config_branch(config, flag->name);
		struct buf place = BUF_INIT(CONFIG_NAME_MAX);

		if (flag->row != NULL ||
		    (config->choose_flag != NULL && strcmp(flag->name, config->choose_flag) == 0)) {
			continue;
		}
		buf_addf(&place, "--%.200s", flag->name);
		if (config_row(config, flag->name) != NULL ||
		    config_secret_row(config, flag->name) != NULL ||
		    (branch == NULL && config_is_rest(flag->name))) {
			config_set(config, flag->name, flag->value, buf_text(&place), LAYER_FLAG);
		} else if (branch != NULL && branch->kind == CONFIG_GONE) {
			config_note_gone(config, buf_text(&place), branch);
		} else if (branch == NULL) {
			buf_finish(&place);
			return because(PERMFAIL, why,
				       "--%.60s is no flag of this program (see --help)",
				       flag->name);
		}
		buf_finish(&place);
	}
	return OK;
}

/* Sets `path` from the variable that belongs to it; true if the variable is `name`. */
static bool take_variable(struct config *config, const char *path, struct span name,
			  const char *value)
{
	struct buf variable = BUF_INIT(CONFIG_NAME_MAX);
	bool same;

	config_env_name(path, &variable);
	same = !variable.overflow && span_equal(buf_span(&variable), name);
	if (same) {
		config_set(config, path, value, buf_text(&variable), LAYER_ENV);
	}
	buf_finish(&variable);
	return same;
}

static bool take_variable_of_row(struct config *config, const struct config_key *row,
				 const char *stanza, struct span name, const char *value)
{
	struct buf path = BUF_INIT(CONFIG_NAME_MAX);
	bool taken;

	config_key_expand(row, stanza, &path);
	taken = take_variable(config, buf_text(&path), name, value);
	if (!taken && row->secret) {
		buf_add_text(&path, "_file");
		taken = take_variable(config, buf_text(&path), name, value);
	}
	buf_finish(&path);
	return taken;
}

static bool branch_has_variable(const struct config_key *row, const char *stanza, struct span name)
{
	struct buf path = BUF_INIT(CONFIG_NAME_MAX);
	struct buf variable = BUF_INIT(CONFIG_NAME_MAX);
	bool has;

	config_key_expand(row, stanza, &path);
	config_env_name(buf_text(&path), &variable);
	has = name.len >= variable.len &&
	      memcmp(name.data, buf_text(&variable), variable.len) == 0 &&
	      (name.len == variable.len || name.data[variable.len] == '_');
	buf_finish(&path);
	buf_finish(&variable);
	return has;
}

/* DADNS_KAFKA_SOCKET_TIMEOUT_MS is kafka.socket.timeout.ms: librdkafka has dots where we cannot
 * tell, with one exception. */
static void set_rest(struct config *config, struct span name, const char *value)
{
	size_t prefix = strlen("DADNS_KAFKA_");
	struct buf path = BUF_INIT(CONFIG_NAME_MAX);
	char *place = xstrndup(name.data, name.len);

	buf_add_text(&path, "kafka.");
	for (size_t i = prefix; i < name.len; i++) {
		char c = name.data[i];

		buf_add_byte(&path, c == '_' ? '.' : (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
	}
	config_set(config,
		   strcmp(buf_text(&path), "kafka.log.level") == 0 ? "kafka.log_level"
								   : buf_text(&path),
		   value, place, LAYER_ENV);
	buf_finish(&path);
	free(place);
}

static bool is_our_own_variable(const struct config *config, struct span name)
{
	struct buf choose = BUF_INIT(CONFIG_NAME_MAX);
	bool own = span_is(name, "DADNS_CONFIG") || span_is(name, "DADNS_ABORT_AT");

	if (config->choose_flag != NULL) {
		config_env_name(config->choose_flag, &choose);
		own = own || span_equal(name, buf_span(&choose));
		buf_finish(&choose);
	}
	return own;
}

/* Calls itself done when a value row or a branch row wants the variable. */
static bool find_variable_row(struct config *config, struct span name, const char *value,
			      bool values)
{
	const struct config_key *row;
	size_t at = 0;

	while ((row = config_key_next(config->tables, &at)) != NULL) {
		struct span parent = config_key_parent(row);
		size_t n = parent.len == 0 ? 1 : config->file.stanza_count;

		if (row->kind == CONFIG_FLAG || config_key_is_value(row) != values) {
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			const char *stanza = "";

			if (parent.len != 0) {
				stanza = config->file.stanzas[i].name;
				if (!span_is(parent, config->file.stanzas[i].parent)) {
					continue;
				}
			}
			if (values && take_variable_of_row(config, row, stanza, name, value)) {
				return true;
			}
			if (!values && branch_has_variable(row, stanza, name)) {
				char *place = xstrndup(name.data, name.len);

				if (row->kind == CONFIG_GONE) {
					config_note_gone(config, place, row);
				}
				free(place);
				return true;
			}
		}
	}
	return false;
}

void config_take_environment(struct config *config)
{
	for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
		const char *equals = strchr(*variable, '=');
		struct span name;
		char *place;

		if (strncmp(*variable, "DADNS_", 6) != 0 || equals == NULL) {
			continue;
		}
		name = (struct span){*variable, (size_t)(equals - *variable)};
		if (is_our_own_variable(config, name) ||
		    find_variable_row(config, name, equals + 1, true) ||
		    find_variable_row(config, name, equals + 1, false)) {
			continue;
		}
		if (strncmp(*variable, "DADNS_KAFKA_", 12) == 0) {
			set_rest(config, name, equals + 1);
			continue;
		}
		place = xstrndup(name.data, name.len);
		config_note_unknown(config, place, NULL);
		free(place);
	}
}

void config_take_file(struct config *config)
{
	const char *name = config_file_name(config);

	for (size_t i = 0; i < config->file.line_count; i++) {
		const struct config_line *line = &config->file.lines[i];
		const struct config_key *branch = config_branch(config, line->path);
		struct buf place = BUF_INIT(CONFIG_NAME_MAX);

		if (line->value == NULL) {
			continue;
		}
		buf_addf(&place, "%.200s:%zu:%zu", name, line->line, line->column);
		if (config_row(config, line->path) != NULL ||
		    config_secret_row(config, line->path) != NULL ||
		    (branch == NULL && config_is_rest(line->path))) {
			config_set(config, line->path, line->value, buf_text(&place), LAYER_FILE);
		} else if (branch == NULL) {
			config_note_unknown(config, line->path, buf_text(&place));
		} else if (branch->kind == CONFIG_GONE) {
			config_note_gone(config, line->path, branch);
		}
		buf_finish(&place);
	}
}
