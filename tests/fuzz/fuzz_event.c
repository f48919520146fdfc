/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes into every decoder. What is taken must encode, must be taken again, and must then
 * encode to the same bytes: nobody may put a value into the log that the next reader refuses.
 *
 * clang-14 -fsanitize=fuzzer,address,undefined; corpus: proto/examples/. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/event.h"

#define CEILING ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* decode, encode, decode, encode for one kind. */
#define ROUND_TRIP(kind, input, finish_event)                                             \
	do {                                                                              \
		struct kind##_event event;                                                \
		struct kind##_event again;                                                \
		struct buf once = BUF_INIT(CEILING);                                      \
		struct buf twice = BUF_INIT(CEILING);                                     \
		struct reason why = {{0}};                                                \
                                                                                          \
		if (kind##_event_decode(input, &event, &why) == OK) {                     \
			kind##_event_encode(&event, &once);                               \
			assert(kind##_event_decode(buf_span(&once), &again, &why) == OK); \
			kind##_event_encode(&again, &twice);                              \
			assert(span_equal(buf_span(&once), buf_span(&twice)));            \
			finish_event(&again);                                             \
			finish_event(&event);                                             \
		} else {                                                                  \
			assert(why.text[0] != '\0');                                      \
		}                                                                         \
		buf_finish(&twice);                                                       \
		buf_finish(&once);                                                        \
	} while (0)

#define NOTHING_TO_FINISH(event) ((void)(event))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = {(const char *)data, size};
	char traceparent[TRACEPARENT_SIZE];
	struct zone_event summary;
	struct zone_event zone;
	struct version version;
	struct event_id id;

	ROUND_TRIP(push, input, push_event_finish);
	ROUND_TRIP(zone, input, zone_event_finish);
	ROUND_TRIP(heal, input, heal_event_finish);
	ROUND_TRIP(status, input, status_event_finish);
	ROUND_TRIP(backend, input, backend_event_finish);
	ROUND_TRIP(audit, input, audit_event_finish);
	ROUND_TRIP(epoch, input, NOTHING_TO_FINISH);
	ROUND_TRIP(barrier, input, NOTHING_TO_FINISH);
	if (zone_event_decode_summary(input, &summary, NULL) == OK) {
		zone_event_finish(&summary);
	}
	if (zone_event_decode(input, &zone, NULL) == OK) {
		assert(zone_event_decode_summary(input, &summary, NULL) == OK);
		assert(version_compare(summary.version, zone.version) == 0);
		zone_event_finish(&summary);
		zone_event_finish(&zone);
	}
	if (version_parse(input, &version)) {
		char text[VERSION_TEXT_SIZE];

		version_text(version, text);
		assert(span_is(input, text));
	}
	if (event_id_parse(input, &id)) {
		char text[EVENT_ID_TEXT_SIZE];

		event_id_text(&id, text);
		assert(span_is(input, text));
	}
	traceparent_make(input, traceparent);
	assert(strlen(traceparent) == TRACEPARENT_SIZE - 1);
	return 0;
}
