#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The simulation, tested: each mutant is the product with one promise broken in one place; a history must find
# it. `make sim-mutants` (MUTANTS='WORD…': those whose name has one of the words) gives B, CC, MODELS, LINK and LAST.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

SECONDS_EACH=${SECONDS_EACH:-120}
DIR=$B/tests/sim/mutants
PASSED=0 FAILED=0
CHOSEN=("$@")
mkdir -p "$DIR"

chosen() {
	local word
	[ ${#CHOSEN[@]} -gt 0 ] || return 0
	for word in "${CHOSEN[@]}"; do [[ $1 != *"$word"* ]] || return 0; done
	return 1
}

# change FILE OLD NEW: prints FILE with NEW for OLD, which must stand there exactly once.
change() {
	/usr/bin/python3 - "$@" <<'EOF'
import sys
file, old, new = sys.argv[1:]
text = open(file).read()
if text.count(old) != 1:
    sys.exit(f"{file}: `{old}` stands there {text.count(old)} times: the mutant must follow the code")
print(f'#line 1 "{file}"')
print(text.replace(old, new), end="")
EOF
}

# mutant NAME FILE OLD NEW
mutant() {
	local name=$1 began=$SECONDS found
	chosen "$name" || return
	if ! change "${@:2}" >"$DIR/$name.c" || ! $CC -w -c -o "$DIR/$name.o" "$DIR/$name.c" ||
		! $LINK -o "$DIR/$name" "$DIR/$name.o" $MODELS "$B/libingest.a" "$B/libcommon.a" $LAST; then
		echo "  $name: cannot be made"
		FAILED=$((FAILED + 1))
	elif found=$("$DIR/$name" --seconds="$SECONDS_EACH" --first=1 --failures=1 2>&1); then
		echo "  $name: NOT FOUND in $(sed -n 's/ histories in.*//p' <<<"$found") histories"
		FAILED=$((FAILED + 1))
	else
		printf '  %-22s found in %2d s, %4s histories: %s\n' "$name" $((SECONDS - began)) \
			"$(sed -n 's/ histories in.*//p' <<<"$found")" "$(sed -n 's/^    //p' <<<"$found" | head -1)"
		PASSED=$((PASSED + 1))
	fi
}

mutant ack-before-delivery services/ingest/waiter.c \
	'if (result != HOLDS_DELIVERED && result != HOLDS_HELD) {' 'if (result == HOLDS_REFUSED) {'
mutant judge-stores-early services/ingest/judge_loop.c \
	'mine->position = message->offset + 1;' \
	'mine->position = message->offset + 1; (void)bus_store(loop->bench.consumer, TOPIC_PUSHES, message->partition, mine->position);'
mutant writer-stores-early common/window.c \
	'return part->holding.first != NULL ? part->holding.first->offset : part->seen;' 'return part->seen;'
mutant owner-check-off services/ingest/judge.c \
	'push->op == PUSH_DELETE && zone != NULL && !same_owner(zone, push)' 'false'
mutant zombie-believed services/ingest/zindex.c 'int order = version_compare(version, entry->version);' 'int order = 1;'
mutant window-keeps-older common/window.c 'return order > 0;' 'return order < 0;'
mutant refused-zone-forgotten common/writer_retry.c \
	'writer_say_refused(writer, item, STATUS_RETRYING, change->took_us, is_said, failure);' \
	'window_finish(writer->window, item);'
mutant redis-loss-forgotten common/writer_rebuild.c \
	'STAILQ_INSERT_TAIL(bucket, found, link);' 'found_destroy(found);'
mutant duplicates-taken services/ingest/judge.c 'if (zone != NULL && lists(zone, &push->id)) {' 'if (false) {'
mutant refusal-forgotten services/ingest/judge.c \
	'zone != NULL && push->has_seen && out->verdict == STATUS_REFUSED' 'false'
mutant refusal-untold services/ingest/judge_loop.c \
	'if (bench_send_refusal(work, &status, traceparent, &why) != OK) {' 'if (false) {'
mutant holds-overtaken common/hold.c '*held = (value->number & 1) != 0;' '*held = false;'
mutant seen-rule-off services/ingest/judge.c 'if (overtaken_while_held(zone, push)) {' 'if (false) {'
mutant position-ignored common/writer_read.c 'if (position < start) {' 'if (false) {'
mutant rewind-off common/window.c 'if (position < part->stored) {' 'if (false) {'
mutant return-believed common/writer_apply.c \
	'bool was_away = writer->probe_pause_ms != 0;' 'bool was_away = false;'
mutant no-barrier services/ingest/takeover.c \
	'mine->phase == PHASE_BARRIER && info.barrier_read' 'mine->phase == PHASE_BARRIER'
mutant last-barrier-counts services/ingest/zindex.c \
	'at->barrier_read || event_id_equal(&at->barrier, judge)' 'event_id_equal(&at->barrier, judge)'
mutant cut-unseen services/ingest/takeover.c 'if (of_this_epoch && info->highest.offset >= high) {' 'if (false) {'
mutant cut-unheard services/ingest/judge_loop.c 'if (message->offset < mine->position) {' 'if (false) {'
mutant cut-before-the-first services/ingest/judge_loop.c '!is_of_this_log(loop, message)' 'false'
mutant no-repairs services/ingest/zindex.c 'set_unsettled(index, entry, true);' ';'

echo "$PASSED passed, $FAILED failed"
[ $FAILED = 0 ] && [ $PASSED != 0 ]
