#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Everything that `make test` runs. A part's command prints one line (or more) "N passed, N failed"; the very
# last line here is their sum. A part that fails without such a line, or passes nothing, counts as one failed.
# tools/test.sh WORD… runs only the parts whose name has one of the words.
#
# Most of the time is spent waiting for servers: two lanes of parts run side by side, each on stacks of its own
# folders. What computes all the time comes before them, what looks at the clock after them, alone.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

export STACK_DIR=${STACK_DIR:-build/test-run}
MAKE="make --no-print-directory -s"
FAST="$MAKE -j$(nproc)"
FIRST=( # these build what the lanes need, too
	"layers and layout               | tests/lint.sh"
	"the contract in proto/          | tests/proto.sh"
	"deploy/k8s, Containerfile       | $FAST MODE=release all && tests/k8s.sh"
	"deploy/coredns, the plugin      | tests/coredns.sh"
	"unit tests                      | $FAST MODE=release check"
	"unit tests under asan and ubsan | $FAST MODE=asan integration && $FAST MODE=asan check"
	"printed pages are current       | $FAST MODE=release all && tools/docs.sh build/release --check && echo 1 passed, 0 failed"
	"chaos, its checker and tools    | tests/chaos/test_checker.py && $FAST MODE=release all coredns build/release/libfault.so build/release/tests/sim/sim && BIN=build/release tests/chaos/test_tools.py"
)
STORIES=(
	"stories, the whole system       | $MAKE MODE=release check-e2e STORIES='--but [12]* 39* 3a* 45* 46*'"
)
BESIDE=( # what they print is shown when both lanes are done
	"simulation, 60 s of histories   | $MAKE MODE=release sim FIRST=1"
	"integration, real servers, asan | STACK_DIR=$STACK_DIR-2 $MAKE MODE=asan check-integration"
	"stories under asan              | STACK_DIR=$STACK_DIR-2 $MAKE MODE=asan check-e2e STORIES='tests/e2e/1*'"
	"chaos, a short subset           | $MAKE MODE=release all coredns build/release/libfault.so && STACK_DIR=$STACK_DIR-chaos BIN=build/release tests/chaos/run.py --short"
	"stories 10 to 22, 45 and 46     | STACK_DIR=$STACK_DIR-2 $MAKE MODE=release check-e2e STORIES='tests/e2e/[12]* tests/e2e/4[56]*'"
)
LAST=(
	"stories with a stopwatch        | $MAKE MODE=release check-e2e STORIES='tests/e2e/39* tests/e2e/3a*'"
)

WORK=$(mktemp -d)
LANE=
finish() {
	local dir
	[ -z "$LANE" ] || kill -TERM -- "-$LANE" 2>/dev/null
	wait
	for dir in "$STACK_DIR" "$STACK_DIR-2" "$STACK_DIR-chaos"; do
		STACK_DIR=$dir tools/stack.sh down >/dev/null 2>&1
	done
	rm -rf "$WORK"
}
trap finish EXIT
trap 'exit 130' INT TERM

WORDS=("$@")
chosen() {
	local name=$1 word
	[ ${#WORDS[@]} -gt 0 ] || return 0
	for word in "${WORDS[@]}"; do
		[[ $name != *"$word"* ]] || return 0
	done
	return 1
}

# Runs the parts one after the other. What became of each is a line of the file `sums`: passed, failed, its text.
run() { # OUTPUT PART…
	local output=$1 part name command began code passed failed lines note
	shift
	for part in "$@"; do
		name=${part%%|*}
		name=${name%"${name##*[! ]}"}
		command=${part#*| }
		chosen "$name" || continue

		printf '\n==== %s\n' "$name"
		began=$SECONDS
		bash -c "$command" 2>&1 </dev/null | tee "$output"
		code=${PIPESTATUS[0]}
		read -r passed failed lines < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$output" |
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
		printf '%d %d %-32s %5d passed %4d failed  %4d s%s\n' "$passed" "$failed" "$name" "$passed" "$failed" \
			$((SECONDS - began)) "$note" >>"$WORK/sums"
	done
}

BEGAN=$SECONDS
: >"$WORK/sums"
run "$WORK/one" "${FIRST[@]}"
set -m # a process group of its own, so that it can be ended with all that it has started
run "$WORK/two" "${BESIDE[@]}" >"$WORK/beside" 2>&1 &
LANE=$!
set +m
run "$WORK/one" "${STORIES[@]}"
wait "$LANE" || echo "0 1 the parts beside the stories did not come to their end" >>"$WORK/sums"
LANE=
cat "$WORK/beside"
run "$WORK/one" "${LAST[@]}"

printf '\n==== all, in %d s\n' $((SECONDS - BEGAN))
cut -d ' ' -f 3- "$WORK/sums"
read -r PASSED FAILED < <(awk '{ passed += $1; failed += $2 } END { print passed + 0, failed + 0 }' "$WORK/sums")
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ] && [ "$PASSED" != 0 ]
