#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Everything that `make test` runs, in order. A part's command prints one line (or more) "N passed, N failed";
# the very last line here is their sum. A part that fails without such a line, or passes nothing, counts as
# one failed. tools/test.sh WORD… runs only the parts whose name has one of the words.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

MAKE="make --no-print-directory -s -j$(nproc)"
PARTS=(
	"layers and layout               | tests/lint.sh"
	"the contract in proto/          | tests/proto.sh"
	"deploy/k8s, Containerfile       | $MAKE MODE=release all && tests/k8s.sh"
	"deploy/coredns, the plugin      | tests/coredns.sh"
	"unit tests                      | $MAKE MODE=release check"
	"unit tests under asan and ubsan | $MAKE MODE=asan check"
	"simulation, 60 s of histories   | $MAKE MODE=release sim FIRST=1"
	"printed pages are current       | $MAKE MODE=release all && tools/docs.sh build/release --check && echo 1 passed, 0 failed"
	"integration, real servers, asan | $MAKE MODE=asan check-integration"
	"stories, the whole system       | $MAKE MODE=release check-e2e"
	"chaos, its checker and tools    | tests/chaos/test_checker.py && $MAKE MODE=release all build/release/libfault.so && BIN=build/release tests/chaos/test_tools.py"
	"stories under asan              | $MAKE MODE=asan all coredns && BIN=build/asan tools/run-stories.sh tests/e2e/1*"
)

# All of the parts share one stack, and it is gone afterwards.
export STACK_DIR=${STACK_DIR:-build/test-run}
OUTPUT=$(mktemp)
trap 'rm -f "$OUTPUT"; tools/stack.sh down >/dev/null 2>&1' EXIT
trap 'exit 130' INT TERM

chosen() {
	local name=$1 word
	shift
	[ $# -gt 0 ] || return 0
	for word in "$@"; do
		[[ $name != *"$word"* ]] || return 0
	done
	return 1
}

TOTAL_PASSED=0 TOTAL_FAILED=0 LINES=()
ALL_BEGAN=$SECONDS
for part in "${PARTS[@]}"; do
	name=${part%%|*}
	name=${name%"${name##*[! ]}"}
	command=${part#*| }
	chosen "$name" "$@" || continue

	printf '\n==== %s\n' "$name"
	began=$SECONDS
	bash -c "$command" 2>&1 </dev/null | tee "$OUTPUT"
	code=${PIPESTATUS[0]}
	read -r passed failed lines < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$OUTPUT" |
		awk '{ passed += $1; failed += $2 } END { print passed + 0, failed + 0, NR }')
	note=
	if [ "$lines" = 0 ] && [ "$code" != 0 ]; then
		note=", exit code $code"
	elif [ "$passed" = 0 ] && [ "$failed" = 0 ]; then
		note=", nothing was tested"
	elif [ "$code" != 0 ] && [ "$failed" = 0 ]; then
		note=", exit code $code"
	fi
	[ -z "$note" ] || failed=$((failed + 1))
	LINES+=("$(printf '%-32s %5d passed %4d failed  %4d s%s' "$name" "$passed" "$failed" $((SECONDS - began)) "$note")")
	TOTAL_PASSED=$((TOTAL_PASSED + passed)) TOTAL_FAILED=$((TOTAL_FAILED + failed))
done

printf '\n==== all, in %d s\n' $((SECONDS - ALL_BEGAN))
[ ${#LINES[@]} = 0 ] || printf '%s\n' "${LINES[@]}"
echo "$TOTAL_PASSED passed, $TOTAL_FAILED failed"
[ $TOTAL_FAILED = 0 ] && [ $TOTAL_PASSED != 0 ]
