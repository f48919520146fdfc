/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/senders.h"

#include <stdlib.h>
#include <string.h>

#include "common/digest.h"

#define CREDENTIAL_MAX 4096

struct sender {
	char *name;
	uint8_t credential[SHA256_SIZE];
	struct name *hostnames;
	size_t hostname_count;
};

struct senders {
	struct sender *all;
	size_t count;
};

/* clang-format off */
const struct config_key senders_keys[] = {
	EACH("app.senders.*.username", CONFIG_TEXT, "",
	     "user name of this DA server's credential; empty: the stanza's name"),
	EACH_SECRET("app.senders.*.password", "", "its password; must not be empty"),
	EACH("app.senders.*.hostnames", CONFIG_TEXT, "",
	     "DA hostnames that this credential may speak for, comma separated; empty: any"),
	{0},
};
/* clang-format on */

/* The user name can hold neither NUL nor a colon (http_credentials splits at the first one), so
 * the pair is unambiguous. */
static void credential_hash(struct span username, struct span password, uint8_t out[SHA256_SIZE])
{
	struct buf both = BUF_INIT(CREDENTIAL_MAX);

	buf_add(&both, username);
	buf_add_byte(&both, ':');
	buf_add(&both, password);
	if (both.overflow) { /* equal to nobody's: those are checked when they are added */
		buf_clear(&both);
	}
	sha256(buf_span(&both), out);
	buf_finish(&both);
}

static struct span trim(struct span span)
{
	while (span.len > 0 && (span.data[0] == ' ' || span.data[0] == '\t')) {
		span.data++;
		span.len--;
	}
	while (span.len > 0 &&
	       (span.data[span.len - 1] == ' ' || span.data[span.len - 1] == '\t')) {
		span.len--;
	}
	return span;
}

static enum outcome add_hostnames(struct sender *sender, const char *hostnames, struct reason *why)
{
	const char *at = hostnames == NULL ? "" : hostnames;

	while (*at != '\0') {
		size_t len = strcspn(at, ",");
		struct span one = trim((struct span){at, len});

		if (one.len > 0) {
			struct reason cause;
			struct name name;

			if (name_parse(one, &name, &cause) != OK) {
				return because(PERMFAIL, why, "app.senders.%s.hostnames: %.150s",
					       sender->name, cause.text);
			}
			sender->hostnames =
				xrealloc(sender->hostnames, (sender->hostname_count + 1) *
								    sizeof(sender->hostnames[0]));
			sender->hostnames[sender->hostname_count++] = name;
		}
		at += len + (at[len] == ',' ? 1 : 0);
	}
	return OK;
}

static void sender_finish(struct sender *sender)
{
	free(sender->name);
	free(sender->hostnames);
}

enum outcome senders_add(struct senders *senders, const char *name, const char *username,
			 const char *password, const char *hostnames, struct reason *why)
{
	struct sender sender = {.name = xstrdup(name)};
	enum outcome outcome = OK;

	if (username == NULL || username[0] == '\0' || password == NULL || password[0] == '\0') {
		outcome = because(
			PERMFAIL, why,
			"sender %.80s: user name and password must not be empty (set %s)", name,
			strcmp(name, "default") == 0 ? "app.auth_username and app.auth_password"
						     : "its stanza's password");
		goto out;
	}
	if (strchr(username, ':') != NULL ||
	    strlen(username) + strlen(password) + 1 > CREDENTIAL_MAX) {
		outcome =
			because(PERMFAIL, why,
				"sender %.80s: a colon in the user name, or it is too long", name);
		goto out;
	}
	credential_hash(span_of(username), span_of(password), sender.credential);
	for (size_t i = 0; i < senders->count; i++) {
		if (memcmp(senders->all[i].credential, sender.credential, SHA256_SIZE) == 0) {
			outcome = because(PERMFAIL, why,
					  "senders %.80s and %.80s have the same user name and "
					  "password: nobody could tell them apart",
					  senders->all[i].name, name);
			goto out;
		}
	}
	outcome = add_hostnames(&sender, hostnames, why);
	if (outcome != OK) {
		goto out;
	}
	senders->all = xrealloc(senders->all, (senders->count + 1) * sizeof(senders->all[0]));
	senders->all[senders->count++] = sender;
	sender = (struct sender){0};
out:
	sender_finish(&sender);
	return outcome;
}

enum outcome senders_create(struct senders **out, const struct config *config, const char *username,
			    const char *password, struct reason *why)
{
	struct senders *senders = xcalloc(1, sizeof(*senders));
	enum outcome outcome;
	const char *stanza;

	outcome = senders_add(senders, "default", username, password, NULL, why);
	for (size_t i = 0; outcome == OK && config != NULL &&
			   (stanza = config_each(config, "app.senders", i)) != NULL;
	     i++) {
		const char *user = config_each_value(config, "app.senders", stanza, "username");

		if (user == NULL || user[0] == '\0') {
			user = stanza;
		}
		outcome = senders_add(senders, stanza, user,
				      config_each_value(config, "app.senders", stanza, "password"),
				      config_each_value(config, "app.senders", stanza, "hostnames"),
				      why);
	}
	if (outcome != OK) {
		senders_destroy(senders);
		return outcome;
	}
	*out = senders;
	return OK;
}

void senders_destroy(struct senders *senders)
{
	if (senders == NULL) {
		return;
	}
	for (size_t i = 0; i < senders->count; i++) {
		sender_finish(&senders->all[i]);
	}
	free(senders->all);
	free(senders);
}

const struct sender *senders_find(const struct senders *senders, struct span username,
				  struct span password)
{
	uint8_t credential[SHA256_SIZE];
	const struct sender *found = NULL;
	struct span asked = {(const char *)credential, sizeof(credential)};

	credential_hash(username, password, credential);
	for (size_t i = 0; i < senders->count; i++) {
		struct span known = {(const char *)senders->all[i].credential, SHA256_SIZE};

		if (digest_secrets_equal(asked, known)) {
			found = &senders->all[i];
		}
	}
	return found;
}

const char *sender_name(const struct sender *sender)
{
	return sender->name;
}

bool sender_is_bound(const struct sender *sender)
{
	return sender->hostname_count > 0;
}

bool sender_may_speak_for(const struct sender *sender, const struct name *hostname)
{
	return !sender_is_bound(sender) || sender_owns(sender, hostname->text);
}

bool sender_owns(const struct sender *sender, const char *hostname)
{
	for (size_t i = 0; i < sender->hostname_count; i++) {
		if (strcmp(sender->hostnames[i].text, hostname) == 0) {
			return true;
		}
	}
	return false;
}
