/* SPDX-License-Identifier: Apache-2.0 */
/* bind.h: BIND as a backend (common/backend.h): zone files in one directory, named driven over its
 * control channel, success judged by what it answers on its DNS port (I7).
 *
 * Zones live in named's NZD only (addzone, delzone): never put one of ours into named.conf as well,
 * or named will not start. One process per zones directory: it is locked.
 *
 * Threads: a backend belongs to one thread.
 */
#ifndef WRITER_BIND_BIND_H
#define WRITER_BIND_BIND_H

#include <stdint.h>

#include "common/backend.h"

struct bind_config {
	const char *zones_dir;
	const char *dns;  /* host:port where named answers */
	const char *rndc; /* host:port of its control channel */
	const char *rndc_key_file;
	int64_t verify_ms; /* how long a zone may take until it is served */
};

/* Touches nothing outside. The texts of `config` are borrowed for the backend's life. PERMFAIL:
 * an address or the directory's name cannot be used. */
MUST_CHECK enum outcome bind_create(const struct bind_config *config, void **backend,
				    struct reason *why);
void bind_destroy(void *backend);

extern const struct backend_ops bind_ops;
extern const struct metric_table bind_metrics;

#endif
