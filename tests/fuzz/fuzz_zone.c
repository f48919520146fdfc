/* SPDX-License-Identifier: Apache-2.0 */
/* What is accepted prints to a text that is accepted again, with the same digest, and that ldns
 * reads to the same octets.
 * clang-14 -fsanitize=fuzzer,address; seeds: tests/data/zones. */
#include <assert.h>
#include <string.h>

#include "common/zone.h"
#include "tests/lib/ldns_reads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct zone_limits limits = ZONE_LIMITS_DEFAULT;
	struct buf text = BUF_INIT(64 << 20);
	struct zone *again = NULL;
	struct zone *zone = NULL;
	struct name name;

	assert(name_parse(span_of("example.com"), &name, NULL) == OK);
	if (zone_parse(&name, (struct span){(const char *)data, size}, &limits, &zone, NULL) ==
	    OK) {
		assert(ldns_reads_the_same(zone));
		rrsets_print(zone_rrsets(zone), zone_rrset_count(zone), &text);
		assert(zone_parse(&name, buf_span(&text), &limits, &again, NULL) == OK);
		assert(strcmp(zone_digest(zone), zone_digest(again)) == 0);
	}
	zone_destroy(zone);
	zone_destroy(again);
	buf_finish(&text);
	return 0;
}
