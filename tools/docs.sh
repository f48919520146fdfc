#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints docs/CONFIGURATION.md and docs/METRICS.md from what the programs know of themselves:
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

code=0
for page in CONFIGURATION METRICS; do
	text=$("${page,,}")
	if [ -z "$check" ]; then
		printf '%s\n' "$text" >"docs/$page.md"
	elif ! diff -u "docs/$page.md" - <<<"$text"; then
		echo "docs/$page.md is not what the programs print: make docs" >&2
		code=1
	fi
done
exit $code
