#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# proto.sh: the contract in proto/, by the field's own validators and against itself.
#
#   asyncapi.yml        AsyncAPI's parser (npm); and its partitions and settings are those of the C table
#   openapi.yml         OpenAPI's spec validator (PyPI)
#   schemas, examples   JSON Schema 2020-12, also what stands in the documents (tests/proto/documents.py)
#
# The two validators are installed once into build/tools/proto, in the versions that tests/proto/ pins, and
# again when those change: some 20 s and 100 MB. After that nothing is fetched.
set -euo pipefail
cd "$(dirname "$0")/.."
TOOLS=build/tools/proto
LOG=$TOOLS/install.log

say() { printf 'proto: %s\n' "$*" >&2; }

# Everything that decides what is installed.
pins() {
	cat tests/proto/package-lock.json tests/proto/requirements.txt
	node --version
	/usr/bin/python3 --version
}

install_validators() {
	rm -rf "$TOOLS"
	mkdir -p "$TOOLS"
	cp tests/proto/package.json tests/proto/package-lock.json tests/proto/.npmrc "$TOOLS"
	(cd "$TOOLS" && npm ci) >>"$LOG" 2>&1 || return 1
	/usr/bin/python3 -m venv "$TOOLS/python" >>"$LOG" 2>&1 || return 1
	"$TOOLS/python/bin/pip" --disable-pip-version-check --no-input install --no-deps -r tests/proto/requirements.txt \
		>>"$LOG" 2>&1 || return 1
}

need_validators() {
	local wanted began=$SECONDS tool

	for tool in node npm /usr/bin/python3; do
		command -v "$tool" >/dev/null || {
			say "there is no $tool; tools/install.sh brings it"
			return 1
		}
	done
	mkdir -p build/tools
	exec 9>build/tools/.lock # two runs at once: one installs
	flock 9
	wanted=$(pins | sha256sum)
	[ "$(cat "$TOOLS/pins" 2>/dev/null)" != "$wanted" ] || return 0
	say "installing AsyncAPI's and OpenAPI's validators into $TOOLS, once"
	if ! install_validators; then
		tail -n 25 "$LOG" >&2
		say "that failed; the whole output is in $LOG"
		return 1
	fi
	echo "$wanted" >"$TOOLS/pins"
	say "done in $((SECONDS - began)) s"
}

# Each prints FAILED … for what is wrong, and a last line "N passed, M failed".
of_asyncapi() { node tests/proto/asyncapi.mjs "$TOOLS" proto/asyncapi.yml; }

of_one() { # FAILED-TEXT COMMAND…
	local text=$1 output
	shift
	if output=$("$@" 2>&1); then
		echo "1 passed, 0 failed"
	else
		echo "FAILED $text:"
		echo "$output"
		echo "0 passed, 1 failed"
	fi
}
of_openapi() { of_one "proto/openapi.yml is no OpenAPI 3.1" "$TOOLS/python/bin/openapi-spec-validator" --schema 3.1 --validation-errors all proto/openapi.yml; }
of_table() { of_one "the topics of proto/asyncapi.yml are not those of common/topics_table.c" tools/topics-table.py --check; }
of_documents() { /usr/bin/python3 tests/proto/documents.py; }

PASSED=0 FAILED=0
need_validators || FAILED=1
exec 9>&-
for part in of_asyncapi of_openapi of_table of_documents; do
	output=$("$part" 2>&1) || true
	if [[ ${output##*$'\n'} =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
		PASSED=$((PASSED + BASH_REMATCH[1])) FAILED=$((FAILED + BASH_REMATCH[2]))
		[[ $output != *$'\n'* ]] || printf '%s\n' "${output%$'\n'*}"
	else # it did not come to its end
		printf 'FAILED %s:\n%s\n' "$part" "$output"
		FAILED=$((FAILED + 1))
	fi
done
echo "$PASSED passed, $FAILED failed"
[ $FAILED = 0 ]
