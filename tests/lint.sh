#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lint: proves by grep what HOUSE_STYLE and ARCHITECTURE.md say about layers, foreign libraries and
# banned functions, then the layout. Prints every finding as file:line; silence is good.
set -u
cd "$(dirname "$0")/.." || exit 2
findings=0
complain() { printf '%s\n' "$1"; findings=$((findings + 1)); }

sources() { git ls-files --cached --others --exclude-standard -- "$@" | grep -E '\.[ch]$'; }

# 1. Layers point downward only. A room's layer is its line here; an include may only go to the
#    same or a lower line (a room of `common` that is not listed is a finding).
layers='
ground outcome buf clock log config metrics mark delays address
values name zone digest event
tables layout
ports bus topics redis retry hold http mysql rndc named_conf dnsq fetch
life service window writer backend preflight drain legacy_keys
'
layer_of() {
	printf '%s\n' "$layers" | awk -v room="$1" '{ for (i = 2; i <= NF; i++) if ($i == room || index(room, $i "_") == 1) { print NR; exit } }'
}
for file in $(sources common); do
	room=$(basename "${file%.*}")
	own=$(layer_of "$room")
	[ -n "$own" ] || { complain "$file:1: room '$room' has no layer in tests/lint.sh"; continue; }
	while IFS=: read -r line text; do
		target=$(printf '%s' "$text" | sed -n 's/.*"common\/\([a-z0-9_]*\)\.h".*/\1/p')
		[ -n "$target" ] || { complain "$file:$line: common/ includes something outside common/: $text"; continue; }
		theirs=$(layer_of "$target")
		[ -n "$theirs" ] && [ "$theirs" -le "$own" ] || complain "$file:$line: layer of '$target' is above '$room'"
	done < <(grep -nE '^#include "' "$file")
done

# 2. Services never include each other; the command line tool includes no service.
for file in $(sources services cli); do
	home=${file%/*}
	while IFS=: read -r line text; do
		complain "$file:$line: $text"
	done < <(grep -nE '^#include "(services|cli)/' "$file" | grep -v "\"$home/")
done

# 3. One foreign library, few rooms; none in a header that others include.
foreign() { # header pattern, allowed files
	for file in $(sources common services cli); do
		grep -nE "^#include <$1" "$file" | while IFS=: read -r line text; do
			[[ "$file" =~ ^($2)$ ]] || echo "$file:$line: $text"
		done
	done
}
out=$(
	foreign 'librdkafka/' 'common/bus_[a-z_]*\.c|common/bus_rdkafka\.h'
	foreign 'hiredis/' 'common/redis\.c'
	foreign 'microhttpd' 'common/http[a-z_]*\.c'
	foreign 'ldns/' 'common/(zone[a-z_]*)\.c|common/zone_[a-z]*\.h'
	foreign 'jansson' 'common/event[a-z_]*\.c|common/event_(json|read)\.h'
	foreign 'mariadb/' 'common/mysql[a-z_]*\.c|common/mysql_parts\.h'
	foreign 'yaml' 'common/config[a-z_]*\.c'
	foreign 'openssl/' 'common/digest\.c'
	foreign 'curl/' 'common/fetch\.c'
)
[ -z "$out" ] || { printf '%s\n' "$out"; findings=$((findings + $(printf '%s\n' "$out" | wc -l))); }

# 4. Functions that nobody may call.
while IFS= read -r hit; do
	complain "$hit"
done < <(grep -nE '(^|[^a-zA-Z0-9_>.])(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|strtok|gets|atoi|atol|system|popen|alloca)\(' $(sources common services cli) /dev/null)

# 5. Values do no I/O, read no clock and write no log (name, zone*, digest; event only makes ids).
while IFS= read -r hit; do
	complain "$hit (values are pure)"
done < <(grep -nE '^#include "common/(log|clock|metrics)\.h"' $(sources common | grep -E 'common/(name|zone|digest)') /dev/null)

# 6. Every file says its licence, every header has its guard, no path of one machine, no TODO without number.
for file in $(sources common services cli tests); do
	head -1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "$file:1: no SPDX line"
	case "$file" in
	*.h)
		guard=$(printf '%s' "${file#services/}" | tr 'a-z/.-' 'A-Z___')
		grep -q "^#ifndef ${guard}\$" "$file" || complain "$file:1: include guard is not $guard"
		;;
	esac
done
plugin=$(git ls-files --cached --others --exclude-standard -- deploy/coredns | grep '\.go$')
for file in $plugin; do
	head -1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "$file:1: no SPDX line"
done
while IFS= read -r hit; do
	complain "$hit"
done < <(grep -nE 'TODO[^(]|FIXME|XXX' $(sources common services cli) $plugin /dev/null)

# 7. Layout is clang-format's business.
formatter=$(command -v clang-format-14 || command -v clang-format)
if [ -n "$formatter" ]; then
	for file in $(sources common services cli tests); do
		"$formatter" --dry-run -Werror "$file" >/dev/null 2>&1 || complain "$file:1: make format"
	done
else
	complain "clang-format is missing: tools/install.sh installs it"
fi

files=$(sources common services cli tests | wc -l)
if [ "$findings" -ne 0 ]; then
	printf 'lint: %d findings in %d files\n' "$findings" "$files"
	printf '0 passed, 1 failed\n'
	exit 1
fi
printf 'lint: %d files are clean\n' "$files"
printf '1 passed, 0 failed\n'
