#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Go, as CoreDNS with our plugin is built with it: tools/coredns.sh build PROGRAM | WORDS… for go in deploy/coredns
# What the plugin is made of comes by the Go module proxy, checked against go.sum, the first time it is wanted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The same for building, vetting and testing: what was compiled for one serves the others.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-buildvcs=false -trimpath -mod=readonly"
LOG=$PWD/build/coredns/build.log

say() { printf 'coredns: %s\n' "$*" >&2; }

# Counts what go says that it does.
progress() {
	local line modules=0 packages=0 next=$((SECONDS + 15))
	while IFS= read -r line; do
		[[ $line == "go: downloading "* ]] && modules=$((modules + 1)) || packages=$((packages + 1))
		if [ $SECONDS -ge $next ]; then
			say "$modules modules are here, $packages packages compiled"
			next=$((SECONDS + 15))
		fi
	done
}

build() {
	local program=$PWD/$1 began=$SECONDS commit

	mkdir -p build/coredns "${program%/*}"
	exec 9>build/coredns/.lock
	flock 9
	commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
	[ -e "$program" ] || say "the first time takes a minute or more: modules come by the Go module proxy, all are compiled"
	(
		cd deploy/coredns
		nice -n 5 "$GO" build -v -ldflags "-s -w -X github.com/coredns/coredns/coremain.GitCommit=$commit" \
			-o "$program.new" . 9>&-
	) 2>&1 | tee "$LOG" | progress || {
		grep -vE '^(go: downloading .*|[^ ]+)$' "$LOG" | tail -n 15 >&2
		return 1
	}
	mv -f "$program.new" "$program" # it may be running
	[ $((SECONDS - began)) -lt 3 ] || say "done in $((SECONDS - began)) s"
}

GO=$(tools/go.sh)
case ${1:-} in
build) build "${2:-build/coredns/coredns}" ;;
?*) cd deploy/coredns && exec "$GO" "$@" ;;
*)
	echo "usage: tools/coredns.sh build [PROGRAM] | GO-COMMAND…" >&2
	exit 2
	;;
esac
