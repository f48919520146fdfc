#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make bench: our figures beside the bare limits that the same machine gives in the same run, as ratios.
# Its own stack in build/bench-run, gone afterwards; under ten minutes; an idle machine, please. Writes
# docs/BENCH.md. Exit code 1: a figure that is wanted was missed (all parts are run first).
#
#   accepting   32 clients against a bare librdkafka producer that sends the same bytes, as many in flight
#   served      from the push until named serves it, one push at a time
#   drain       a writer alone against an rndc loop on one connection over files already written
#   now         a push that must overtake a backlog
#   memory      of ingest and of the writer with 10,000 zones
#
# The clock of our drain is outside of the writer: from the birth of its first zone file, which is when it began
# its first batch, until named logs that the last zone is loaded. Nobody else asks named anything meanwhile;
# that all zones are served is checked afterwards, zone by zone. The bare loop's clock runs from its first
# command until named answers for its last zone.
# tools/bench.sh PART… runs only these, in this order, and writes nothing: empty drains now load served memory
# accept. KEEP=1 leaves the stack. BENCH_SHORT=1 is for work on this script: small numbers, nothing is written.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

export STACK_DIR=${STACK_DIR:-build/bench-run}
export BIN=${BIN:-build/release}
BENCH=$BIN/tests/bench
ROUNDS=3 LOADED=10000 BACKLOG=3000 SAMPLES=300 ACCEPT_S=5 BARE_MS=3000
[ -z "${BENCH_SHORT:-}" ] || { ROUNDS=1 LOADED=1000 BACKLOG=300 SAMPLES=40 ACCEPT_S=2 BARE_MS=1000; }
CLIENTS=32
SERIAL=2026112100 # rises with every round of pushes
OUTPUT=$(mktemp)
BEGAN=$SECONDS
ROWS=() NOTES=() MISSED=0

# ---- words -----------------------------------------------------------------------------------------

say() { printf '%4d s  %s\n' $((SECONDS - BEGAN)) "$*"; }

die() {
	say "stopped: $*" >&2
	exit 1
}

release() {
	local code=$?
	rm -f "$OUTPUT"
	if [ -n "${KEEP:-}" ]; then
		say "the stack is left running: $STACK_DIR"
	elif [ $code = 0 ] || [ -n "${WHOLE:-}" ]; then
		tools/stack.sh wipe >/dev/null 2>&1
	else
		tools/stack.sh down >/dev/null 2>&1
		say "logs: $STACK_DIR/logs"
	fi
	exit $code
}
trap release EXIT
trap 'exit 130' INT TERM

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
	[ -z "$3" ] || text+="; bare $3; ratio $4"
	say "$text${5:+; wanted $5: $verdict}"
}

# against WHAT UNIT "OURS…" "BARE…" WANTED PEER
against() {
	local ours bare share
	read -ra ours <<<"$3"
	read -ra bare <<<"$4"
	share=$(ratio "$3" "$4")
	row "$1" "$(median "${ours[@]}") $2" "$(median "${bare[@]}") $2" "$share" "≥ $5" "$share >= $5" "$6"
}

# ---- the stack -------------------------------------------------------------------------------------

stack() { tools/stack.sh "$@" >>"$STACK_DIR/logs/bench.log" 2>&1 || die "tools/stack.sh $*: $STACK_DIR/logs/bench.log"; }

# The number of records ever sent to a topic.
ends() {
	local partition args=()
	for ((partition = 0; partition < ${2:-12}; partition++)); do
		args+=(-t "$1:$partition:-1")
	done
	kcat -b "$KAFKA_BROKERS" -Q "${args[@]}" 2>/dev/null | awk '{ sum += $NF } END { print sum + 0 }'
}

# Waits until the judge has decided all pushes: zones has at least $1 records, then no more come.
judged() {
	local last=-1 now i
	for ((i = 0; i < 600; i++)); do
		now=$(ends dadns.zones)
		[ "$now" -lt "$1" ] || [ "$now" != "$last" ] || return 0
		last=$now
		sleep 0.1
	done
	die "the judge put $now of $1 records into dadns.zones within a minute"
}

load() { run "$BENCH/pushload" --to-address "${INGEST_URL#http://}" --user "$INGEST_USER" --password "$INGEST_PASSWORD" "$@"; }

served() {
	run "$BENCH/served" --to-address "${INGEST_URL#http://}" --user "$INGEST_USER" --password "$INGEST_PASSWORD" \
		--server "$NS1_DNS" "$@" || die "a push was not served"
}

# push_all FROM TO: each once, under a new serial; all decided when this returns.
push_all() {
	local before
	before=$(ends dadns.zones)
	SERIAL=$((SERIAL + 1))
	load --from "$1" --to "$2" --serial $SERIAL --salt $SERIAL || die "not every push got error=0"
	judged $((before + $2 - $1))
}

check() { # NS_DNS FROM TO PATIENCE_MS
	run "$BENCH/check_served" --server "$1" --from "$2" --to "$3" --serial $SERIAL --patience-ms "$4" ||
		die "$(field missing) zones of $2 to $3 are not served with serial $SERIAL"
}

alive() { kill -0 "$(cat "$STACK_DIR/pids/$1.pid" 2>/dev/null)" 2>/dev/null; }

memory_mb() { # NAME FIELD
	awk -v field="$2:" '$1 == field { printf "%.0f", $2 / 1024 }' "/proc/$(cat "$STACK_DIR/pids/$1.pid")/status"
}

# ---- the clock of a drain ----------------------------------------------------------------------------

epoch_ms() { date -d "$1" +%s%3N; }

log_size() { stat -c %s "$STACK_DIR/logs/$1.log"; }

# since NS OFFSET: what named wrote since then.
since() { tail -c +$(($2 + 1)) "$STACK_DIR/logs/$1.log"; }

# wait_loaded NS OFFSET COUNT: until named has loaded that many zones of this serial. Sets LAST_MS.
wait_loaded() {
	local i count=0
	for ((i = 0; i < 600; i++)); do
		count=$(since "$1" "$2" | grep -c "loaded serial $SERIAL\$")
		[ "$count" -lt "$3" ] || break
		sleep 0.2
	done
	[ "$count" -ge "$3" ] || die "$1 loaded $count of $3 zones in two minutes"
	LAST_MS=$(epoch_ms "$(since "$1" "$2" | grep "loaded serial $SERIAL\$" | tail -n 1 | cut -d ' ' -f 1)")
}

# first_file_ms NS MS: when the first of its zone files that are younger than MS was born.
first_file_ms() {
	find "$STACK_DIR/$1/zones" -type f -exec stat -c %.3W {} + |
		awk -v since="$2" '{ ms = $1 * 1000 } ms >= since && (!first || ms < first) { first = ms } END { printf "%.0f", first }'
}

# drain_ours FROM TO: sets RATE; the zones are in dadns.zones already and the writer does not run.
drain_ours() {
	local offset first_ms start_ms count=$(($2 - $1))
	offset=$(log_size ns1)
	start_ms=$(date +%s%3N)
	STACK_NOWAIT=1 stack start writer-ns1
	wait_loaded ns1 "$offset" $count
	first_ms=$(first_file_ms ns1 "$start_ms")
	check "$NS1_DNS" "$1" "$2" 2000
	RATE=$(calc "$count * 1000 / ($LAST_MS - $first_ms)")
	say "ours: $count zones in $(calc "($LAST_MS - $first_ms) / 1000") s from the first file to the last zone loaded," \
		"$(calc "($LAST_MS - $start_ms) / 1000") s from the start of the process: $RATE zones/s"
	sleep 1 # it stores its offsets and falls silent
	stack stop writer-ns1
}

# drain_bare new|changed|gone: sets RATE; on ns2, which has only these zones.
drain_bare() {
	"$BENCH/bare_rndc" "$1" "$NS2_RNDC" "$NS2_RNDC_KEYFILE" "$NS2_DNS" "$NS2_ZONES_DIR" $BACKLOG >"$OUTPUT" 2>&1 ||
		die "bare_rndc: $(tail -n 1 "$OUTPUT")"
	RATE=$(sed -n 's:.*= \([0-9.]*\) zones/s$:\1:p' "$OUTPUT" | tail -n 1)
	[ -n "$RATE" ] || die "bare_rndc says no rate"
	[ "$1" = gone ] || say "bare: $(tail -n 1 "$OUTPUT")"
}

# ---- the parts -------------------------------------------------------------------------------------

begin() {
	[ -x "$BENCH/pushload" ] || die "there is no $BENCH/pushload; make bench builds it"
	tools/stack.sh wipe >/dev/null 2>&1
	mkdir -p "$STACK_DIR/logs"
	look_idle
	say "a stack of its own: Kafka, named twice, ingest"
	stack up kafka redis ns1 ns2 ingest
	# shellcheck disable=SC1090,SC1091
	. "$STACK_DIR/endpoints.env"
	warm_up
}

# Sets BUSY: per cent of all cores that others used during three seconds before anything of ours ran.
look_idle() {
	local user nice system idle iowait irq softirq _ used total
	read -r _ user nice system idle iowait irq softirq _ </proc/stat
	used=$((user + nice + system + irq + softirq)) total=$((used + idle + iowait))
	sleep 3
	read -r _ user nice system idle iowait irq softirq _ </proc/stat
	used=$((user + nice + system + irq + softirq - used)) total=$((user + nice + system + irq + softirq + idle + iowait - total))
	BUSY=$((100 * used / total))
	[ $BUSY -lt 5 ] || say "the machine is not idle, $BUSY % of it is used by others: what follows is worth little"
}

# A fresh broker's JVM compiles itself for a while, on both cores and for whoever comes first.
warm_up() {
	say "warming the broker up"
	load --from 999000 --to 999020 --serial $SERIAL || die "the first pushes were not accepted"
	run "$BENCH/bare_producer" --brokers "$KAFKA_BROKERS" --to bench.warm --in-flight $CLIENTS --milliseconds $((2 * BARE_MS)) \
		--linger 0 --linger 1 >/dev/null || die "the bare producer failed"
}

part_served() { # ZONES_LOADED FROM TO
	local p50 p99 longest
	SERIAL=$((SERIAL + 1))
	served --from "$2" --to "$3" --samples $SAMPLES --serial $SERIAL --salt $SERIAL
	SERIAL=$((SERIAL + SAMPLES))
	p50=$(field p50_ms) p99=$(field p99_ms) longest=$(field max_ms)
	if [ "$1" = 0 ]; then
		row "push → served by named, no zones loaded, p50" "$p50 ms" "" "" "" "" "33 to 38 ms"
		row "the same, p99 of $SAMPLES" "$p99 ms (max $longest)" "" "" "" "" "41 to 54 ms"
	else
		row "push → served by named, $1 zones loaded, p50" "$p50 ms" "" "" "≤ 15 ms" "$p50 <= 15" "407 ms"
		row "the same, p99 of $SAMPLES" "$p99 ms (max $longest)" "" "" "≤ 60 ms" "$p99 <= 60" "470 ms"
	fi
}

part_drains() {
	local round from ours_new=() bare_new=() ours_changed=() bare_changed=()
	for ((round = 0; round < ROUNDS; round++)); do
		from=$((round * BACKLOG))
		say "drain, round $((round + 1)) of $ROUNDS: $BACKLOG new zones"
		push_all $from $((from + BACKLOG))
		drain_ours $from $((from + BACKLOG))
		ours_new+=("$RATE")
		drain_bare new
		bare_new+=("$RATE")
		say "drain, round $((round + 1)) of $ROUNDS: $BACKLOG changed zones"
		push_all $from $((from + BACKLOG))
		drain_ours $from $((from + BACKLOG))
		ours_changed+=("$RATE")
		drain_bare changed
		bare_changed+=("$RATE")
		drain_bare gone
	done
	against "drain of $BACKLOG new zones, one writer" zones/s "${ours_new[*]}" "${bare_new[*]}" 0.60 "10.2 zones/s"
	against "drain of $BACKLOG changed zones, one writer" zones/s "${ours_changed[*]}" "${bare_changed[*]}" 0.50 "2.5 zones/s"
	NOTES+=("Drains, each round: new ${ours_new[*]} against ${bare_new[*]}, changed ${ours_changed[*]} against ${bare_changed[*]} zones/s.")
}

# The backlog is a third larger, so that $BACKLOG are still to do when the push comes.
part_now() {
	local offset more=$((BACKLOG * 4 / 3)) begun left i
	say "now: a backlog of $more changed zones"
	push_all 0 $more
	offset=$(log_size ns1)
	STACK_NOWAIT=1 stack start writer-ns1
	for ((i = 0; i < 1000; i++)); do
		begun=$(since ns1 "$offset" | grep -c "loaded serial $SERIAL\$")
		[ "$begun" = 0 ] || break
		sleep 0.01
	done
	left=$((more - begun))
	served --from $more --to $((more + 5)) --samples 5 --pause-ms 0 --serial $((SERIAL + 1)) --salt $SERIAL --now
	row "a \`now\` push into a backlog of $left zones, worst of 5" "$(field max_ms) ms" "" "" "≤ 1 s" "$(field max_ms) <= 1000" \
		"its place in the queue: minutes"
	NOTES+=("\`now\`: when the last of the 5 was served, named had loaded $(since ns1 "$offset" | grep -c "loaded serial $SERIAL\$") of the backlog.")
	wait_loaded ns1 "$offset" $more
	check "$NS1_DNS" 0 $more 2000
	SERIAL=$((SERIAL + 5))
}

part_memory() { # WHEN
	local name
	for name in ingest writer-ns1; do
		row "memory of $name, $LOADED zones, $1" "$(memory_mb $name VmRSS) MB (peak $(memory_mb $name VmHWM))" "" "" \
			"< 100 MB" "$(memory_mb $name VmRSS) < 100" "95 MB"
	done
}

part_accept() {
	local round ours=() bare=() bad=0 one da base times best=0 flat=0
	base=$((SERIAL + 1000))
	# The broker's JVM compiles what pushes need of it while they come, for some 100,000 of them. The bare
	# producer finds it compiled; so do we: not counted until the rate has stopped rising.
	say "warming the broker up for pushes"
	for ((round = 0; round < 10; round++)); do
		load --to $LOADED --clients $CLIENTS --seconds $ACCEPT_S --serial $base --salt $base >/dev/null
		base=$((base + 1000))
		judged "$(ends dadns.pushes)"
		if awk "BEGIN { exit !($(field rate) < 1.03 * $best) }"; then
			[ $((++flat)) -lt 2 ] || break
		fi
		best=$(awk "BEGIN { print ($(field rate) > $best) ? $(field rate) : $best }")
	done
	for ((round = 0; round < ROUNDS; round++)); do
		say "accepting, round $((round + 1)) of $ROUNDS"
		load --to $LOADED --clients $CLIENTS --seconds $ACCEPT_S --serial $base --salt $base
		ours+=("$(field rate)")
		bad=$((bad + $(field error) + $(field other) + $(field reset)))
		[ $round != 0 ] || times="p50 $(field p50_ms) ms, p99 $(field p99_ms)"
		base=$((base + 1000))
		judged "$(ends dadns.pushes)"
		sleep 1
		run "$BENCH/bare_producer" --brokers "$KAFKA_BROKERS" --to "bench.limit-$round" --in-flight $CLIENTS \
			--milliseconds $BARE_MS --linger 0 --linger 0.5 --linger 1 || die "the bare producer failed"
		bare+=("$(field rate)")
	done
	load --to $LOADED --clients $CLIENTS --seconds $ACCEPT_S --serial $base --salt $base --http10
	da="$(field rate)/s" bad=$((bad + $(field error) + $(field other) + $(field reset)))
	load --to $LOADED --clients 1 --seconds 2 --serial $((base + 1000)) --salt $base
	one="$(field rate)/s (p50 $(field p50_ms) ms)"
	against "pushes accepted, $CLIENTS clients ($times)" pushes/s "${ours[*]}" "${bare[*]}" 0.30 "210/s (p50 133 ms, p99 1,126)"
	row "the same, a connection per push as DirectAdmin" "$da" "" "" "" "" ""
	row "the same, one client" "$one" "" "" "" "" "163/s (p50 5.3 ms)"
	row "pushes not answered \`error=0\` in all of these" "$bad" "" "" "0" "$bad == 0" "8 of 1,000 reset"
	NOTES+=("Accepting, each round: ${ours[*]} against ${bare[*]}.")
}

# ---- the table -------------------------------------------------------------------------------------

machine() {
	printf '%s cores (%s), Linux %s, %s' "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
		"$(uname -r)" "$(. /etc/os-release && echo "$PRETTY_NAME")"
}

versions() {
	printf 'DaDNS %s, Kafka %s (one broker), librdkafka %s, BIND %s' "$(git describe --always --dirty 2>/dev/null)" \
		"$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' tools/kafka/pom.xml)" \
		"$(pkg-config --modversion rdkafka 2>/dev/null)" "$("$STACK_DIR/bin/named" -v | sed 's/^BIND \([^ ]*\).*/\1/')"
}

table() {
	cat <<-END
		# Figures, as \`make bench\` printed them

		$(date -u +%Y-%m-%d), \`make bench\`. Everything on one machine: driver, Kafka, Redis, named and DaDNS.
		$(machine); $BUSY % of it used by others before the run.
		$(versions).

		| what | ours | bare limit | ratio | wanted | met | the product we replace |
		|---|---|---|---|---|---|---|
	END
	printf '%s\n' "${ROWS[@]}"
	cat <<-END

		- A push is a zone of 20 records and 1.3 KB, in DirectAdmin's shape.
		- The bare limit of accepting: a librdkafka producer (tests/bench/bare_producer.c) that sends the very records the
		  door sent, idempotent, acks=all, $CLIENTS in flight, to a topic with the same settings; the best of linger 0, 0.5, 1 ms.
		  While pushes are accepted the judge runs and decides them; no writer does.
		- The bare limit of a drain: one rndc connection (tests/bench/bare_rndc.c), files already written, each time with other
		  content, from the first command until the last zone is served. Ours: from the birth of the first zone file until
		  named has loaded the last zone; decoding, fencing, writing and syncing files, checking by DNS and status are in it.
		- Medians of $ROUNDS rounds, ours and the limit in turn; the ratio is the median of the rounds' ratios. The last column was measured on a machine of the same kind.
	END
	printf -- '- %s\n' "${NOTES[@]}"
}

part_load() {
	say "filling up to $LOADED zones"
	alive writer-ns1 || stack start writer-ns1
	push_all 0 $LOADED
	check "$NS1_DNS" 0 $LOADED 60000
	sleep 2
	part_memory "after loading"
}

begin
for part in ${@:-empty drains now load served memory accept}; do
	case $part in
	empty)
		say "served, no zones loaded"
		stack start writer-ns1
		part_served 0 990000 990020
		stack stop writer-ns1
		;;
	drains | now | load) "part_$part" ;;
	served)
		say "served, $LOADED zones loaded"
		part_served $LOADED 0 $LOADED
		;;
	memory) part_memory "after $SAMPLES more pushes" ;;
	accept)
		! alive writer-ns1 || stack stop writer-ns1
		part_accept
		;;
	*) die "there is no part '$part': empty drains now load served memory accept" ;;
	esac
done
WHOLE=yes
echo
table | tee "$OUTPUT"
[ -n "${BENCH_SHORT:-}" ] || [ $# -gt 0 ] || cp "$OUTPUT" docs/BENCH.md
echo
say "$([ $MISSED = 0 ] && echo every wanted figure met || echo "$MISSED of the wanted figures missed")"
[ $MISSED = 0 ]
