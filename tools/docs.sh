#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints docs/CONFIGURATION.md, docs/METRICS.md and docs/PREFLIGHT.md from what the programs know of themselves:
# tools/docs.sh BINDIR. With --check nothing is written: exit code 1 if a page is not what would be printed.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PROGRAMS=(ingest writer-bind writer-mysql)
check='' bindir=''
for word in "$@"; do
	case $word in
	--check) check=yes ;;
	*) bindir=$word ;;
	esac
done
[ -n "$bindir" ] || {
	echo "usage: tools/docs.sh BINDIR [--check]" >&2
	exit 2
}

configuration() {
	cat <<-'END'
		# Configuration

		Printed by `make docs`; do not edit.

		A value comes from the first of these that has it: the command line (`--KEY=VALUE`), the environment, the file
		(`--config FILE`, YAML, a key's dots are its levels), the default. `--check-config` says what is wrong and ends.
		One file serves all programs: a key of another program is passed over.
	END
	local program
	for program in "${PROGRAMS[@]}"; do
		printf '\n## %s\n\n' "$program"
		"$bindir/$program" --help=markdown
	done
}

metrics() {
	cat <<-'END'
		# Metrics

		Printed by `make docs`; do not edit. Each program shows them at `/metrics` of `admin.listen`, in Prometheus's format.
	END
	local program
	for program in "${PROGRAMS[@]}"; do
		printf '\n## %s\n\n' "$program"
		"$bindir/$program" --help=metrics | sed 's/version="[^"]*"/version="…"/' # not another page for each commit
	done
}

preflight() {
	cat <<-'END'
		# Preflight

		Printed by `make docs`; do not edit.

		What DaDNS stands on, and how it must be set up. `dadns doctor` looks at all of it from where it runs; ingest and
		the writers look at their part when they start, when a backend is back, and every minute. What is `wrong` keeps a
		service from being ready: `/readyz` has the text, the log one line, `dadns_preflight_findings{name="…"}` is 2 (1:
		warned about). Work that goes on is not stopped by it.

		| state | exit code of `dadns doctor` | |
		|---|---|---|
		| `right` | 0 | |
		| `unseen` | 0 | cannot be seen from there; the text says where to look |
		| `warn` | 0 | it works, and is not as it should be |
		| `wrong` | 3 | a promise does not hold |
		| `away` | 75 | could not be reached |

		`preflight.allow: topic-settings,redis-fsync` makes a wrong one a warning: for tests, and for who knows why.

		| check | what must be | why | what to do |
		|---|---|---|---|
	END
	"$bindir/dadns" doctor checks -o json | /usr/bin/python3 -c 'import json, sys
for row in json.load(sys.stdin):
    print("| `%(check)s` | %(must)s | %(why)s | %(do)s |" % row)'
}

code=0
for page in CONFIGURATION METRICS PREFLIGHT; do
	text=$("${page,,}")
	if [ -z "$check" ]; then
		printf '%s\n' "$text" >"docs/$page.md"
	elif ! diff -u "docs/$page.md" - <<<"$text"; then
		echo "docs/$page.md is not what the programs print: make docs" >&2
		code=1
	fi
done
exit $code
