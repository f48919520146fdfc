/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_state.h"

#include <stdlib.h>
#include <string.h>

void config_note_add(struct config *config, char *text, const struct config_key *row)
{
	config->notes = xrealloc(config->notes, (config->note_count + 1) * sizeof(struct note));
	config->notes[config->note_count++] = (struct note){text, row};
}

/* The key is named, its value never: it may be a misspelt secret. */
void config_note_unknown(struct config *config, const char *place, const char *path)
{
	struct buf text = BUF_INIT(CONFIG_NAME_MAX * 2);

	buf_addf(&text, "unknown key %.200s", place);
	if (path != NULL) {
		buf_addf(&text, " (%.200s)", path);
	}
	config_note_add(config, buf_take(&text), NULL);
	config->unknown_count++;
}

void config_note_gone(struct config *config, const char *place, const struct config_key *row)
{
	struct buf text = BUF_INIT(CONFIG_NAME_MAX * 2);

	for (size_t i = 0; i < config->note_count; i++) {
		if (config->notes[i].row == row) {
			return;
		}
	}
	buf_addf(&text, "%.200s means nothing here: %s", place, row->help);
	config_note_add(config, buf_take(&text), row);
}

struct setting *config_setting(const struct config *config, const char *path)
{
	struct setting *best = NULL;

	for (size_t i = 0; i < config->setting_count; i++) {
		struct setting *setting = &config->settings[i];

		if (strcmp(setting->path, path) == 0 &&
		    (best == NULL || setting->layer < best->layer)) {
			best = setting;
		}
	}
	return best;
}

void config_set(struct config *config, const char *path, const char *value, const char *place,
		enum layer layer)
{
	struct setting *setting = config_setting(config, path);

	if (setting == NULL || setting->layer != layer) {
		config->settings = xrealloc(config->settings,
					    (config->setting_count + 1) * sizeof(struct setting));
		setting = &config->settings[config->setting_count++];
	} else {
		free(setting->path);
		free(setting->value);
		free(setting->place);
	}
	*setting = (struct setting){xstrdup(path), xstrdup(value), xstrdup(place), layer};
}

static bool is_stanza(const struct config *config, struct span parent, struct span name)
{
	for (size_t i = 0; i < config->file.stanza_count; i++) {
		if (span_is(parent, config->file.stanzas[i].parent) &&
		    span_is(name, config->file.stanzas[i].name)) {
			return true;
		}
	}
	return false;
}

const struct config_key *config_row(const struct config *config, const char *path)
{
	const struct config_key *row;
	size_t at = 0;

	while ((row = config_key_next(config->tables, &at)) != NULL) {
		struct span stanza = SPAN_EMPTY;

		if (config_key_is_value(row) && config_key_fits(row, path, &stanza) &&
		    (stanza.len == 0 || is_stanza(config, config_key_parent(row), stanza))) {
			return row;
		}
	}
	return NULL;
}

const struct config_key *config_secret_row(const struct config *config, const char *path)
{
	const struct config_key *row = NULL;
	size_t len = strlen(path);
	char *base;

	if (len > 5 && strcmp(path + len - 5, "_file") == 0) {
		base = xstrndup(path, len - 5);
		row = config_row(config, base);
		free(base);
	}
	return row != NULL && row->secret ? row : NULL;
}

const struct config_key *config_branch(const struct config *config, const char *path)
{
	const struct config_key *best = NULL;
	const struct config_key *row;
	size_t at = 0;

	while ((row = config_key_next(config->tables, &at)) != NULL) {
		if ((row->kind == CONFIG_GONE || row->kind == CONFIG_ELSEWHERE) &&
		    config_key_covers(row, path) &&
		    (best == NULL || strlen(row->path) > strlen(best->path))) {
			best = row;
		}
	}
	return best;
}

bool config_is_rest(const char *path)
{
	return strncmp(path, "kafka.", 6) == 0;
}
