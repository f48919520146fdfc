#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# deploy/coredns: its layout is gofmt's, go vet has nothing to say, its tests pass. Prints "N passed, N failed".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

PASSED=0 FAILED=0
OUTPUT=$(mktemp)
trap 'rm -f "$OUTPUT"' EXIT

# verdict "sentence" CODE: of what wrote OUTPUT.
verdict() {
	if [ "$2" = 0 ]; then
		PASSED=$((PASSED + 1))
		echo "ok - $1"
	else
		FAILED=$((FAILED + 1))
		echo "not ok - $1"
		tail -n 40 "$OUTPUT" | sed 's/^/#   /'
	fi
}

# Go's own of that version, built from its sources: not every Go brings the program.
tools/coredns.sh run cmd/gofmt -l . >"$OUTPUT" 2>&1
code=$?
[ ! -s "$OUTPUT" ] || code=1
verdict "gofmt has nothing to change" $code

tools/coredns.sh vet ./... >"$OUTPUT" 2>&1
verdict "go vet has nothing to say" $?

# A test that is skipped is a failure: nothing here is optional.
tools/coredns.sh test -count=1 -timeout 120s -v ./... >"$OUTPUT" 2>&1
code=$?
passed=$(grep -cE '^ *--- PASS: ' "$OUTPUT")
failed=$(grep -cE '^ *--- (FAIL|SKIP): ' "$OUTPUT")
[ "$code" = 0 ] || [ "$failed" != 0 ] || failed=1
[ "$passed" != 0 ] || failed=$((failed + 1))
PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
echo "go test: $passed passed, $failed failed or skipped"
[ "$failed" = 0 ] || grep -vE '^( *--- PASS:|=== |[0-9]{4}/)' "$OUTPUT" | head -n 60 | sed 's/^/#   /'

echo "$PASSED passed, $FAILED failed"
[ $FAILED = 0 ]
