/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_state.h"

#define SECRET_BYTES_MAX 65536

/* The settings of a backend that somebody else serves may be wrong, or readable only there. */
static bool is_ours(const struct config *config, const struct config_key *row, const char *path)
{
	struct span stanza = SPAN_EMPTY;

	if (config->chosen == NULL || !span_is(config_key_parent(row), BACKENDS)) {
		return true;
	}
	return config_key_fits(row, path, &stanza) && span_is(stanza, config->chosen);
}

static enum outcome read_secret(const struct setting *setting, struct buf *out, struct reason *why)
{
	enum outcome outcome = OK;
	char bytes[1024];
	FILE *stream;
	size_t len;

	stream = fopen(setting->value, "re");
	if (stream == NULL) {
		return because(PERMFAIL, why, "%s (%s): %.60s: %s", setting->path, setting->place,
			       setting->value, strerror(errno));
	}
	while ((len = fread(bytes, 1, sizeof(bytes), stream)) > 0) {
		buf_add(out, (struct span){bytes, len});
	}
	if (ferror(stream) || out->overflow || span_has_byte(buf_span(out), '\0')) {
		outcome = because(PERMFAIL, why, "%s (%s): %.60s: %s", setting->path,
				  setting->place, setting->value,
				  ferror(stream)  ? "cannot be read"
				  : out->overflow ? "is larger than 64 KiB"
						  : "holds a NUL byte");
	}
	explicit_bzero(bytes, sizeof(bytes));
	(void)fclose(stream); /* only read */
	return outcome;
}

/* One trailing line end is removed. */
static size_t secret_len(struct span bytes)
{
	size_t len = bytes.len;

	if (len > 0 && bytes.data[len - 1] == '\n') {
		len--;
		if (len > 0 && bytes.data[len - 1] == '\r') {
			len--;
		}
	}
	return len;
}

/* Turns "x_file" into "x" at the same layer. */
static enum outcome take_secret_file(struct config *config, const struct setting *setting,
				     struct reason *why)
{
	char *base = xstrndup(setting->path, strlen(setting->path) - strlen("_file"));
	const struct setting *value = config_setting(config, base);
	struct buf bytes = BUF_INIT(SECRET_BYTES_MAX);
	char *place = xstrdup(setting->place);
	enum layer layer = setting->layer;
	enum outcome outcome = OK;
	char *secret;

	if (value != NULL && value->layer == layer) {
		outcome = because(PERMFAIL, why, "%s (%s) and %s (%s) are both set", base,
				  value->place, setting->path, setting->place);
	} else if (value == NULL || value->layer > layer) {
		outcome = read_secret(setting, &bytes, why);
		if (outcome == OK) {
			secret = xstrndup(buf_text(&bytes), secret_len(buf_span(&bytes)));
			config_set(config, base, secret, place, layer);
			free(secret);
		}
	}
	buf_finish(&bytes);
	free(place);
	free(base);
	return outcome;
}

static enum outcome take_secret_files(struct config *config, struct reason *why)
{
	size_t n = config->setting_count;

	for (int layer = LAYER_FLAG; layer <= LAYER_FILE; layer++) {
		for (size_t i = 0; i < n; i++) {
			struct setting setting = config->settings[i];
			const struct config_key *row = config_secret_row(config, setting.path);
			char *base;
			bool ours;
			enum outcome outcome;

			if ((int)setting.layer != layer || row == NULL ||
			    config_row(config, setting.path) != NULL) {
				continue;
			}
			base = xstrndup(setting.path, strlen(setting.path) - strlen("_file"));
			ours = is_ours(config, row, base);
			free(base);
			if (!ours || config_setting(config, setting.path)->layer != setting.layer) {
				continue;
			}
			outcome = take_secret_file(config, &setting, why);
			if (outcome != OK) {
				return outcome;
			}
		}
	}
	return OK;
}

static enum outcome check_settings(struct config *config, struct reason *why)
{
	for (size_t i = 0; i < config->setting_count; i++) {
		struct setting *setting = &config->settings[i];
		const struct config_key *row = config_row(config, setting->path);
		char *canonical = NULL;
		struct reason wrong;

		if (row == NULL || !is_ours(config, row, setting->path)) {
			continue;
		}
		if (config_check(row, setting->value, &canonical, &wrong) != OK) {
			return because(PERMFAIL, why, "%s (%s): %s", setting->path, setting->place,
				       wrong.text);
		}
		free(setting->value);
		setting->value = canonical;
	}
	return OK;
}

static void put(const struct config_key *row, const char *value, void *base)
{
	void *field = (char *)base + row->offset;

	if (row->kind == CONFIG_TEXT) {
		*(const char **)field = value;
	} else if (row->kind == CONFIG_INT) {
		bool fine = config_parse_int(value, field);

		assert(fine); /* was checked, or is the row's own default */
	} else if (row->kind == CONFIG_BOOL) {
		bool fine = config_parse_bool(value, field);

		assert(fine);
	}
}

static enum outcome fill(struct config *config, void *base, struct reason *why)
{
	const struct config_key *row;
	size_t at = 0;

	while ((row = config_key_next(config->tables, &at)) != NULL) {
		bool in_stanza = config_key_parent(row).len != 0;
		struct buf path = BUF_INIT(CONFIG_NAME_MAX);
		struct buf variable = BUF_INIT(CONFIG_NAME_MAX);
		const struct setting *setting = NULL;
		enum outcome outcome = OK;

		if (!row->in_struct) {
			continue;
		}
		if (!in_stanza || config->chosen != NULL) {
			config_key_expand(row, config->chosen == NULL ? "" : config->chosen, &path);
			setting = config_setting(config, buf_text(&path));
		}
		if (setting != NULL && (row->fallback != NULL || setting->value[0] != '\0')) {
			put(row, setting->value, base);
		} else if (row->fallback != NULL) {
			put(row, row->fallback, base);
		} else if (path.len != 0) {
			config_env_name(buf_text(&path), &variable);
			outcome = because(PERMFAIL, why, "%s (%s) is required", buf_text(&path),
					  buf_text(&variable));
		}
		buf_finish(&path);
		buf_finish(&variable);
		if (outcome != OK) {
			return outcome;
		}
	}
	return OK;
}

enum outcome config_load(struct config **out, const struct config_key *const *tables, void *base,
			 int argc, char **argv, const char *choose_flag,
			 bool (*accepts)(const char *type), struct reason *why)
{
	struct config *config = xcalloc(1, sizeof(*config));
	enum outcome outcome;

	config->tables = tables;
	config->choose_flag = choose_flag;
	outcome = config_read_arguments(config, argc, argv, why);
	if (outcome != OK) {
		goto out;
	}
	if (config_flag_given(config, "help") || config_flag_given(config, "version")) {
		goto out;
	}
	outcome = config_read_file(config, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = config_take_flags(config, why);
	if (outcome != OK) {
		goto out;
	}
	config_take_environment(config);
	config_take_file(config);
	outcome = config_choose(config, accepts, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = take_secret_files(config, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = check_settings(config, why);
	if (outcome != OK) {
		goto out;
	}
	outcome = fill(config, base, why);
out:
	if (outcome != OK) {
		config_destroy(config);
		return outcome;
	}
	*out = config;
	return OK;
}

void config_destroy(struct config *config)
{
	if (config == NULL) {
		return;
	}
	for (size_t i = 0; i < config->setting_count; i++) {
		free(config->settings[i].path);
		free(config->settings[i].value);
		free(config->settings[i].place);
	}
	for (size_t i = 0; i < config->flag_count; i++) {
		free(config->flags[i].name);
		free(config->flags[i].value);
	}
	for (size_t i = 0; i < config->argument_count; i++) {
		free(config->arguments[i]);
	}
	for (size_t i = 0; i < config->note_count; i++) {
		free(config->notes[i].text);
	}
	config_file_finish(&config->file);
	free(config->settings);
	free(config->flags);
	free(config->arguments);
	free(config->notes);
	free(config);
}

const char *config_note(const struct config *config, size_t i)
{
	return i < config->note_count ? config->notes[i].text : NULL;
}

size_t config_unknown_count(const struct config *config)
{
	return config->unknown_count;
}

const char *config_flag(const struct config *config, const char *flag)
{
	const char *value = NULL;

	for (size_t i = 0; i < config->flag_count; i++) {
		if (strcmp(config->flags[i].name, flag) == 0) {
			value = config->flags[i].value;
		}
	}
	return value;
}

bool config_flag_given(const struct config *config, const char *flag)
{
	return config_flag(config, flag) != NULL;
}

const char *config_argument(const struct config *config, size_t i)
{
	return i < config->argument_count ? config->arguments[i] : NULL;
}

const char *config_chosen(const struct config *config)
{
	return config->chosen;
}

const char *config_each(const struct config *config, const char *parent, size_t i)
{
	for (size_t k = 0; k < config->file.stanza_count; k++) {
		if (strcmp(config->file.stanzas[k].parent, parent) == 0 && i-- == 0) {
			return config->file.stanzas[k].name;
		}
	}
	return NULL;
}

const char *config_each_value(const struct config *config, const char *parent, const char *stanza,
			      const char *key)
{
	struct buf path = BUF_INIT(CONFIG_NAME_MAX);
	const struct config_key *row;
	const struct setting *setting;
	const char *value = NULL;

	buf_addf(&path, "%s.%s.%s", parent, stanza, key);
	row = config_row(config, buf_text(&path));
	setting = config_setting(config, buf_text(&path));
	if (row != NULL) {
		value = setting == NULL ? row->fallback : setting->value;
	}
	buf_finish(&path);
	return value;
}

bool config_rest(const struct config *config, size_t i, const char **name, const char **value)
{
	for (size_t k = 0; k < config->setting_count; k++) {
		const struct setting *setting = &config->settings[k];

		if (!config_is_rest(setting->path) || config_row(config, setting->path) != NULL ||
		    config_secret_row(config, setting->path) != NULL ||
		    config_setting(config, setting->path) != setting || i-- != 0) {
			continue;
		}
		*name = setting->path + strlen("kafka.");
		*value = setting->value;
		return true;
	}
	return false;
}
