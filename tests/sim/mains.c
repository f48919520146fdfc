/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/mains.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/legacy_keys.h"
#include "common/writer.h"
#include "tests/sim/place.h"

#define CONFIG_FLAG_TEXT "--config=tests/sim/dadns.yml"

int run_ingest(void)
{
	char *argv[] = {xstrdup("ingest"), xstrdup(CONFIG_FLAG_TEXT), NULL};

	return ingest_main(2, argv);
}

struct settings {
	struct writer_config writer; /* first, as writer_main wants it */
};

/* clang-format off */
static const struct config_key keys[] = {
	WRITER_KEYS(struct settings, writer),
	EACH("dns.backends.*.type", CONFIG_TEXT, "", "of a model"),
	{0},
};
/* clang-format on */

static bool is_ours(const char *type)
{
	(void)type;
	return true;
}

static enum outcome create(void *base, const struct backend_about *about, void **backend,
			   struct reason *why)
{
	(void)base;
	(void)why;
	*backend = place_visit(place_named(about->name));
	return OK;
}

int run_writer(const char *backend)
{
	static const struct config_key *const tables[] = {keys, legacy_keys, backend_stanza_keys,
							  ingest_branch_keys, NULL};
	static const struct metric_table *const metrics[] = {&writer_metrics, NULL};
	static const struct service_about about = {.name = "writer",
						   .summary = "a writer of the simulation",
						   .keys = tables,
						   .metrics = metrics,
						   .choose_flag = "backend",
						   .accepts = is_ours};
	struct settings *settings = xcalloc(1, sizeof(*settings));
	char flag[64];
	char *argv[] = {xstrdup("writer"), xstrdup(CONFIG_FLAG_TEXT), NULL, NULL};

	(void)snprintf(flag, sizeof(flag), "--backend=%s", backend);
	argv[2] = xstrdup(flag);
	return writer_main(&about, settings, 3, argv, &place_ops, create);
}
