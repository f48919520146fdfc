/* SPDX-License-Identifier: Apache-2.0 */
/* Which stanza of dns.backends this program runs for. */
#include "common/config_state.h"

#include <stdlib.h>
#include <string.h>

#define BACKEND_TYPES "bind|coredns_mysql|powerdns_mysql"

/* As it was set; not a row's default, and also where this program has no row for the key. */
static const char *given(const struct config *config, const char *stanza, const char *key)
{
	struct buf path = BUF_INIT(CONFIG_NAME_MAX);
	const struct setting *setting;
	const char *value = NULL;

	buf_addf(&path, BACKENDS ".%s.%s", stanza, key);
	setting = config_setting(config, buf_text(&path));
	for (size_t i = 0; setting == NULL && i < config->file.line_count; i++) {
		if (strcmp(config->file.lines[i].path, buf_text(&path)) == 0) {
			value = config->file.lines[i].value;
		}
	}
	if (setting != NULL) {
		value = setting->value;
	}
	buf_finish(&path);
	return value == NULL || value[0] == '\0' ? NULL : value;
}

const char *config_backend_type(const struct config *config, const char *stanza)
{
	const char *type = given(config, stanza, "type");

	if (type != NULL) {
		return type;
	}
	if (config_choice(BACKEND_TYPES, stanza).len != 0) {
		return stanza;
	}
	if (given(config, stanza, "host") != NULL) {
		return "coredns_mysql";
	}
	return given(config, stanza, "zones_dir") != NULL ? "bind" : NULL;
}

static bool stanza_is_enabled(const struct config *config, const char *stanza)
{
	const char *text = given(config, stanza, "enabled");
	bool enabled = true;

	return text == NULL || !config_parse_bool(text, &enabled) || enabled;
}

static bool stanza_is_accepted(const struct config *config, const char *stanza,
			       bool (*accepts)(const char *type))
{
	const char *type = config_backend_type(config, stanza);

	return accepts == NULL || (type != NULL && accepts(type));
}

static enum outcome choose_named(struct config *config, const char *wanted,
				 bool (*accepts)(const char *type), struct reason *why)
{
	const char *name;
	const char *type;

	for (size_t i = 0; (name = config_each(config, BACKENDS, i)) != NULL; i++) {
		if (strcmp(name, wanted) != 0) {
			continue;
		}
		if (!stanza_is_enabled(config, name)) {
			return because(PERMFAIL, why, BACKENDS ".%.60s has `enabled: false`", name);
		}
		if (!stanza_is_accepted(config, name, accepts)) {
			type = config_backend_type(config, name);
			return because(PERMFAIL, why,
				       BACKENDS ".%.60s is of type %.40s, which is not for this "
						"program",
				       name, type == NULL ? "unknown (set `type`)" : type);
		}
		config->chosen = name;
		return OK;
	}
	return because(PERMFAIL, why, "there is no backend %.60s under " BACKENDS " in %.80s",
		       wanted,
		       config_file_name(config) == NULL ? "any file (--config is not set)"
							: config_file_name(config));
}

static enum outcome choose_only(struct config *config, bool (*accepts)(const char *type),
				struct reason *why)
{
	const char *only = NULL;
	const char *name;

	for (size_t i = 0; (name = config_each(config, BACKENDS, i)) != NULL; i++) {
		if (!stanza_is_enabled(config, name) ||
		    !stanza_is_accepted(config, name, accepts)) {
			continue;
		}
		if (only != NULL) {
			return because(PERMFAIL, why,
				       "several backends could be meant (%.60s, %.60s): name one "
				       "with --%s",
				       only, name, config->choose_flag);
		}
		only = name;
	}
	if (only == NULL) {
		return because(PERMFAIL, why,
			       "no enabled stanza under " BACKENDS
			       " is of a type for this program");
	}
	config->chosen = only;
	return OK;
}

enum outcome config_choose(struct config *config, bool (*accepts)(const char *type),
			   struct reason *why)
{
	struct buf variable = BUF_INIT(CONFIG_NAME_MAX);
	struct buf text = BUF_INIT(CONFIG_NAME_MAX);
	const char *wanted;
	const char *type;
	enum outcome outcome;

	if (config->choose_flag == NULL) {
		return OK;
	}
	wanted = config_flag(config, config->choose_flag);
	if (wanted == NULL) {
		config_env_name(config->choose_flag, &variable);
		wanted = getenv(buf_text(&variable));
		buf_finish(&variable);
	}
	outcome = wanted != NULL && wanted[0] != '\0' ? choose_named(config, wanted, accepts, why)
						      : choose_only(config, accepts, why);
	if (outcome == OK) {
		type = config_backend_type(config, config->chosen);
		buf_addf(&text, "backend %.200s of type %.60s", config->chosen,
			 type == NULL ? "unknown" : type);
		config_note_add(config, buf_take(&text), NULL);
	}
	return outcome;
}
