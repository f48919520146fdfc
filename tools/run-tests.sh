#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs cmocka programs one after another: tools/run-tests.sh PROGRAM…
# A line for each, its output only if something failed, and at the end "N passed, N failed" over all.
# For tests/integration/ the servers of tools/stack.sh (kafka redis ns1 ns2, not our programs) are up, and the
# keys of endpoints.env are in the environment. A skipped test counts as failed: nothing here is optional.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

PATIENCE=${TEST_PATIENCE:-300} # seconds a program may take
PASSED=0 FAILED=0
OUTPUT=$(mktemp)
trap 'rm -f "$OUTPUT"' EXIT
export CMOCKA_MESSAGE_OUTPUT=STDOUT
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

# The sum of the numbers in lines such as "[  PASSED  ] 12 test(s)."
count() { sed -n "s/^\[  $1 *\] \([0-9]*\) test(s).*/\1/p" "$OUTPUT" | awk '{ n += $1 } END { print n + 0 }'; }

finish() {
	echo "$PASSED passed, $FAILED failed"
	[ $FAILED = 0 ] && [ $PASSED != 0 ]
	exit
}

if [[ " $*" == *tests/integration/* ]]; then
	export STACK_DIR=${STACK_DIR:-build/test-run}
	if ! tools/stack.sh up kafka redis ns1 ns2; then
		FAILED=1
		finish
	fi
	set -a
	# shellcheck disable=SC1090,SC1091
	. "$STACK_DIR/endpoints.env"
	set +a
fi

for program in "$@"; do
	began=${EPOCHREALTIME/./}
	code=0
	{ timeout -k 5 "$PATIENCE" "$program" >"$OUTPUT" 2>&1 </dev/null || code=$?; } 2>/dev/null
	ms=$(((${EPOCHREALTIME/./} - began) / 1000))
	passed=$(count PASSED)
	failed=$(count FAILED)
	skipped=$(count SKIPPED)
	failed=$((failed + skipped))
	note=
	[ "$skipped" = 0 ] || note=", $skipped of them skipped"
	if [ $code != 0 ] && [ $failed = 0 ]; then # it crashed, hung, leaked
		failed=1
		note=", exit code $code"
		[ $code != 124 ] && [ $code != 137 ] || note=", not done within $PATIENCE s"
	elif [ "$passed" = 0 ] && [ $failed = 0 ]; then
		failed=1
		note=", it tested nothing"
	fi
	printf '  %-32s %4d passed %4d failed %3d.%02d s%s\n' "$(basename "$program")" "$passed" "$failed" \
		$((ms / 1000)) $((ms % 1000 / 10)) "$note"
	[ $failed = 0 ] || { grep -aE -B2 '^\[   LINE' "$OUTPUT" | head -n 20; grep -avE '^\[ RUN|^\[ +OK \]' "$OUTPUT" | tail -n 60; } | sed 's/^/      /'
	PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
done
finish
