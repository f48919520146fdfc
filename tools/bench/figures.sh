# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# What tools/bench.sh says and reckons with: lines for the reader, rows of the table, ratios.

ROWS=() NOTES=() MISSED=0
OUTPUT=$(mktemp)
BEGAN=$SECONDS

say() { printf '%4d s  %s\n' $((SECONDS - BEGAN)) "$*"; }

die() {
	say "stopped: $*" >&2
	exit 1
}

# calc EXPRESSION…: awk's arithmetic, two decimals. holds CONDITION
calc() { awk "BEGIN { printf \"%.2f\", $* }"; }
holds() { awk "BEGIN { exit !($*) }"; }

median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# ratio "OURS…" "BARE…": the median of the rounds' own ratios; a round's two runs follow each other, and
# whatever else the machine did then was the same for both.
ratio() {
	local ours bare all=() i
	read -ra ours <<<"$1"
	read -ra bare <<<"$2"
	for ((i = 0; i < ${#ours[@]}; i++)); do
		all+=("$(calc "${ours[i]} / ${bare[i]}")")
	done
	median "${all[@]}"
}

# field NAME: from the last line of a program's output, its key=value line.
field() { tail -n 1 "$OUTPUT" | tr ' ' '\n' | sed -n "s/^$1=//p"; }

# run PROGRAM…: its last line is for us, the others for the reader.
run() {
	local code=0
	"$@" >"$OUTPUT" 2>&1 || code=$?
	sed '$d' "$OUTPUT" | sed 's/^/        /'
	tail -n 1 "$OUTPUT" | grep -q = || die "$1: $(tail -n 1 "$OUTPUT")"
	return $code
}

# row WHAT OURS BARE RATIO WANTED CONDITION PEER: a condition that awk evaluates; none: printed only.
row() {
	local verdict='' text
	if [ -n "$6" ]; then
		verdict=yes
		holds "$6" || { verdict='**no**' && MISSED=$((MISSED + 1)); }
	fi
	ROWS+=("| $1 | $2 | $3 | $4 | $5 | $verdict | $7 |")
	text="$1: $2"
	[ -z "$3" ] || text+="; bare $3"
	[ -z "$4" ] || text+="; ratio $4"
	say "$text${5:+; wanted $5: $verdict}"
}

# against WHAT UNIT "OURS…" "BARE…" WANTED PEER: WANTED may be empty.
against() {
	local ours bare share
	read -ra ours <<<"$3"
	read -ra bare <<<"$4"
	share=$(ratio "$3" "$4")
	row "$1" "$(median "${ours[@]}") $2" "$(median "${bare[@]}") $2" "$share" "${5:+≥ $5}" "${5:+$share >= $5}" "$6"
}
