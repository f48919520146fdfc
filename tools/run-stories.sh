#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the whole-system stories, tests/e2e/*.sh and *.py or those that are named, one after another, on a
# fresh stack of their own in build/test-run, which is stopped afterwards (its logs stay). Each story prints
# "N passed, N failed"; the last line here is the sum. KEEP=1 leaves the stack running. --but PATTERN…: all whose
# names match none of them.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

export STACK_DIR=${STACK_DIR:-build/test-run}
export BIN=${BIN:-build/release}
PATIENCE=${TEST_PATIENCE:-600} # seconds a story may take
PASSED=0 FAILED=0 LOST=()
OUTPUT=$(mktemp)
trap 'rm -f "$OUTPUT"; [ -n "${KEEP:-}" ] || tools/stack.sh down >/dev/null' EXIT
trap 'exit 130' INT TERM

if [ $# = 0 ] || [ "$1" = --but ]; then
	# These leave thousands of small segments or of zones, with which everything takes longer.
	LAST=(43-tombstones.py 44-push-delete.py 30-crash.py)
	but=("${LAST[@]}" "${@:2}")
	set --
	for story in tests/e2e/[0-9]*.sh tests/e2e/[0-9]*.py; do
		for pattern in "${but[@]}"; do
			# shellcheck disable=SC2053
			[[ $(basename "$story") != $pattern ]] || continue 2
		done
		set -- "$@" "$story"
	done
	set -- "$@" "${LAST[@]/#/tests/e2e/}"
fi
tools/stack.sh wipe >/dev/null
if ! tools/stack.sh up; then
	echo "0 passed, 1 failed"
	exit 1
fi
set -a
# shellcheck disable=SC1090,SC1091
. "$STACK_DIR/endpoints.env"
set +a

for story in "$@"; do
	began=${EPOCHREALTIME/./}
	case $story in
	*.py) run=(/usr/bin/python3 "$story") ;;
	*) run=(bash "$story") ;;
	esac
	echo "-- $(basename "$story")"
	timeout -k 10 "$PATIENCE" "${run[@]}" </dev/null 2>&1 | tee "$OUTPUT" |
		grep --line-buffered -vE '^[0-9]+ passed, [0-9]+ failed$'
	code=${PIPESTATUS[0]}
	ms=$(((${EPOCHREALTIME/./} - began) / 1000))
	read -r passed _ failed _ < <(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$OUTPUT" | tail -n 1)
	passed=${passed:-0} failed=${failed:-0}
	note=
	[ "$code" != 124 ] && [ "$code" != 137 ] || note=" (not done within $PATIENCE s)"
	if [ "$failed" = 0 ] && { [ "$code" != 0 ] || [ "$passed" = 0 ]; }; then
		failed=1
		note=${note:-" (exit code $code)"}
	fi
	printf '   %s: %d passed, %d failed in %d.%d s%s\n' "$(basename "$story")" "$passed" "$failed" \
		$((ms / 1000)) $((ms % 1000 / 100)) "$note"
	PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
	[ "$failed" = 0 ] || LOST+=("$story")
done
# Ends the processes, so that leaks are told as well. What a sanitizer says of one is a failure.
if [[ $BIN = *asan* || $BIN = *tsan* ]]; then
	[ -n "${KEEP:-}" ] || tools/stack.sh down >/dev/null
	if grep -lE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$STACK_DIR"/logs/*.log; then
		FAILED=$((FAILED + 1)) LOST+=("a sanitizer spoke in the logs above")
	else
		PASSED=$((PASSED + 1))
	fi
fi
[ ${#LOST[@]} = 0 ] || echo "failed: ${LOST[*]}; logs: $STACK_DIR/logs"
echo "$PASSED passed, $FAILED failed"
[ $FAILED = 0 ] && [ $PASSED != 0 ]
