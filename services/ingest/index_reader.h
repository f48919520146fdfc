/* SPDX-License-Identifier: Apache-2.0 */
/* index_reader.h: the thread that feeds the index from dadns.zones, from its beginning and for as
 * long as the service runs. Every replica reads every partition, in no group.
 *
 * It waits for Kafka and for the topics (readiness part `kafka`), reads up to what was there at the
 * start (part `index`), and watches the epoch records (part `epoch`).
 *
 * Threads: one of its own; index_reader_started and index_reader_excuse may be called from any.
 */
#ifndef INGEST_INDEX_READER_H
#define INGEST_INDEX_READER_H

#include <stdbool.h>

#include "common/bus.h"
#include "common/metrics.h"
#include "common/outcome.h"
#include "common/service.h"
#include "common/topics.h"
#include "services/ingest/zindex.h"

struct index_reader;

/* All borrowed until index_reader_close. */
MUST_CHECK enum outcome index_reader_open(struct index_reader **out, const struct bus_config *bus,
					  const struct topics_config *topics, struct zindex *index,
					  struct service *service, struct reason *why);
/* Returns at once after the service was told to end. Accepts NULL. */
void index_reader_close(struct index_reader *reader);
/* Kafka was reached and the topics are what they must be. */
bool index_reader_started(const struct index_reader *reader);
/* While it is excused, trouble with Kafka is no reason to be unready: pushes are held. */
void index_reader_excuse(struct index_reader *reader, bool excused);

extern const struct metric_table index_reader_metrics;

#endif
