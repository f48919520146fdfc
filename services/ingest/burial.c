/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ingest/burial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY "any backend: none is registered"

struct burial {
	const struct registry *registry;
	struct zindex_delete *deletes; /* sorted by name, each once */
	size_t count;
	bool *confirmed; /* [delete][backend] */
};

/* --- the registry ---------------------------------------------------------------------------- */

void registry_finish(struct registry *registry)
{
	free(registry->names);
	*registry = (struct registry)REGISTRY_INIT;
}

/* Where it stands; `count` when it does not. */
static size_t find_backend(const struct registry *registry, struct span name)
{
	size_t i = 0;

	while (i < registry->count && !span_is(name, registry->names[i])) {
		i++;
	}
	return i;
}

enum outcome registry_note(struct registry *registry, const struct backend_event *event,
			   struct reason *why)
{
	size_t at = find_backend(registry, span_of(event->backend));

	if (event->retired) {
		if (at < registry->count) {
			registry->count--;
			memmove(registry->names[at], registry->names[registry->count],
				sizeof(registry->names[at]));
		}
		return OK;
	}
	if (at < registry->count) {
		return OK;
	}
	if (registry->count == BURIAL_BACKENDS_MAX) {
		return because(PERMFAIL, why, "more than %d backends are registered",
			       BURIAL_BACKENDS_MAX);
	}
	registry->names =
		xrealloc(registry->names, (registry->count + 1) * sizeof(registry->names[0]));
	(void)snprintf(registry->names[registry->count], sizeof(registry->names[0]), "%s",
		       event->backend);
	registry->count++;
	return OK;
}

/* --- the deletes ----------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct zindex_delete *)a)->zone.text,
		      ((const struct zindex_delete *)b)->zone.text);
}

struct burial *burial_create(const struct registry *registry, const struct zindex_delete *deletes,
			     size_t count)
{
	struct burial *burial = xcalloc(1, sizeof(*burial));

	burial->registry = registry;
	burial->deletes = xcalloc(count + 1, sizeof(burial->deletes[0]));
	if (count > 0) {
		memcpy(burial->deletes, deletes, count * sizeof(burial->deletes[0]));
		qsort(burial->deletes, count, sizeof(burial->deletes[0]), compare);
	}
	for (size_t i = 0; i < count; i++) { /* the index may have grown while it was walked */
		if (burial->count == 0 ||
		    compare(&burial->deletes[i], &burial->deletes[burial->count - 1]) != 0) {
			burial->deletes[burial->count++] = burial->deletes[i];
		}
	}
	burial->confirmed = xcalloc(burial->count * registry->count + 1, sizeof(bool));
	return burial;
}

void burial_destroy(struct burial *burial)
{
	if (burial == NULL) {
		return;
	}
	free(burial->deletes);
	free(burial->confirmed);
	free(burial);
}

/* "BACKEND/ZONE" of one of ours, or NULL. */
static bool *find(const struct burial *burial, struct span key, size_t *zone)
{
	const char *slash = key.len == 0 ? NULL : memchr(key.data, '/', key.len);
	struct zindex_delete wanted = {.version = {0}};
	const struct zindex_delete *found;
	struct span backend = {.data = key.data};
	size_t len;
	size_t at;

	if (slash == NULL) {
		return NULL;
	}
	backend.len = (size_t)(slash - key.data);
	len = key.len - backend.len - 1;
	if (len > NAME_TEXT_MAX) {
		return NULL;
	}
	memcpy(wanted.zone.text, slash + 1, len);
	found = bsearch(&wanted, burial->deletes, burial->count, sizeof(wanted), compare);
	if (found == NULL || found->zone.len != len) { /* a NUL byte ends no key */
		return NULL;
	}
	at = find_backend(burial->registry, backend);
	if (at == burial->registry->count) {
		return NULL;
	}
	*zone = (size_t)(found - burial->deletes);
	return &burial->confirmed[*zone * burial->registry->count + at];
}

bool burial_asks_for(const struct burial *burial, struct span key)
{
	size_t zone;

	return find(burial, key, &zone) != NULL;
}

static bool confirms(const struct status_event *status)
{
	return status->deleted &&
	       (status->state == STATUS_APPLIED || status->state == STATUS_VERIFIED);
}

void burial_note(struct burial *burial, struct span key, const struct status_event *status)
{
	size_t zone;
	bool *confirmed = find(burial, key, &zone);
	int order = 0;

	if (confirmed == NULL) {
		return;
	}
	if (status != NULL) {
		order = version_compare(status->version, burial->deletes[zone].version);
	}
	if (order < 0) { /* an older record that came late says nothing */
		return;
	}
	*confirmed = order == 0 && status != NULL && confirms(status);
}

/* --- the answer ------------------------------------------------------------------------------ */

const char *burial_waits_for(const struct burial *burial, size_t i)
{
	const struct registry *registry = burial->registry;

	if (registry->count == 0) {
		return NOBODY;
	}
	for (size_t backend = 0; backend < registry->count; backend++) {
		if (!burial->confirmed[i * registry->count + backend]) {
			return registry->names[backend];
		}
	}
	return NULL;
}

const struct zindex_delete *burial_delete(const struct burial *burial, size_t i)
{
	return &burial->deletes[i];
}

size_t burial_count(const struct burial *burial)
{
	return burial->count;
}
