#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every command of docs/topics.md, run as it stands there. A block of the page is a fence of `sh`; a comment
# behind it says what must come out, as words between bars ($NAME is one of ours):
#	<!-- expect: … -->  it ends, writes all of the words and nothing to stderr
#	<!-- live: … -->    it goes on until it is stopped, and shows a push made meanwhile
# A block without a comment is set-up for all that follow.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"

PAGE=docs/topics.md
story "The page $PAGE says how to read the topics, and it is true"

ZONE=$(new_zone) LIVE=$(new_zone live) BROKEN=$(new_zone broken)
OWNER=${ZONE%%.*}-da.hoster.example OTHER=${ZONE%%.*}-other.hoster.example
SERIAL=2026112102
export ZONE OWNER BACKEND=ns1
DA_HOST=$OWNER

# One file a block: 03.sh, and beside it 03.expect or 03.live with a word a line.
split_page() {
	awk -v dir="$1" '
		/^```sh$/ { inside = 1; name = sprintf("%s/%02d", dir, ++n); next }
		/^```$/ { inside = 0; next }
		inside { print > (name ".sh"); next }
		/^<!-- (expect|live): ?.*-->$/ {
			kind = substr($2, 1, length($2) - 1)
			sub(/^<!-- [a-z]*: ?/, ""); sub(/ ?-->$/, "")
			gsub(/\|/, "\n"); print > (name "." kind)
		}' "$PAGE"
}

# Replaces our names; prints a word a line.
words() {
	local word name
	while IFS= read -r word; do
		for name in ZONE LIVE BROKEN OWNER OTHER SERIAL; do
			word=${word//\$$name/${!name}}
		done
		[ -z "$word" ] || printf '%s\n' "$word"
	done <"$1"
}

# has_words FILE WORDS_FILE
has_words() {
	local word code=0
	while IFS= read -r word; do
		grep -qF -- "$word" "$1" || {
			echo "not there: $word"
			code=1
		}
	done < <(words "$2")
	[ $code = 0 ] || cat "$1"
	return $code
}

runs() { # BLOCK (without its suffix)
	cat "$PRELUDE" "$1.sh" >"$1.run"
	timeout 60 bash "$1.run" >"$1.out" 2>"$1.err" || {
		echo "exit code $?"
		cat "$1.err"
		return 1
	}
	[ ! -s "$1.err" ] || {
		cat "$1.err"
		return 1
	}
	has_words "$1.out" "$1.expect"
}

# The reader has to be there before the push is made, and does not say when: so one push a second.
shows_live() {
	local reader serial=2026112100 i code=1
	cat "$PRELUDE" "$1.sh" >"$1.run"
	timeout 30 bash "$1.run" >"$1.out" 2>"$1.err" &
	reader=$!
	for ((i = 0; i < 15 && code != 0; i++)); do
		serial=$((serial + 1))
		zone_text "$LIVE" $serial | push - "$LIVE" fred >/dev/null
		sleep 1
		has_words "$1.out" "$1.live" >/dev/null && code=0
	done
	kill $reader 2>/dev/null
	[ $code = 0 ] || has_words "$1.out" "$1.live"
	return $code
}

dead_letter_is_there() { topic dadns.dead-letters | grep -q "^$BROKEN "; }
judged_refused() { topic dadns.status | grep "^judge/$ZONE " | tail -n 1 | grep -q '"refused"'; }

zone_text "$ZONE" 2026112101 192.0.2.10 | ok "a push is acknowledged" push - "$ZONE" fred
eventually 10 "ns1 serves it" serves ns1 "$ZONE" 2026112101
zone_text "$ZONE" $SERIAL 192.0.2.20 | ok "a second push is acknowledged" push - "$ZONE" fred
eventually 10 "ns1 serves the second" serves ns1 "$ZONE" $SERIAL
eventually 10 "all do" all_serve "$ZONE" $SERIAL
ok "a delete by somebody else is answered" da_delete "$OTHER" "$ZONE"
eventually 10 "and refused by the judge" judged_refused
printf '%s|this is no JSON\n' "$BROKEN" | kcat -b "$KAFKA_BROKERS" -P -t dadns.zones -K '|' -X partitioner=murmur2_random
eventually 10 "a record that nobody can read is a dead letter" dead_letter_is_there

BLOCKS=$E2E_WORK/page
PRELUDE=$BLOCKS/prelude
mkdir "$BLOCKS"
: >"$PRELUDE"
split_page "$BLOCKS"
for file in "$BLOCKS"/*.sh; do
	block=${file%.sh}
	# its first words in the page, for the reader of the results
	title="block $(basename "$block"): $(grep -m 1 -oE 'dadns\.[a-z-]+' "$file")"
	if [ -e "$block.expect" ]; then
		ok "$title" runs "$block"
	elif [ -e "$block.live" ]; then
		ok "$title, live" shows_live "$block"
	else
		cat "$file" >>"$PRELUDE"
	fi
done
ok "the page has blocks" [ "$(find "$BLOCKS" -name '*.out' | wc -l)" -ge 10 ]
