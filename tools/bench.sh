#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make bench: our figures beside the bare limits that the same machine gives in the same run, as ratios.
# Its own stack in build/bench-run, gone afterwards; about seventeen minutes; an idle machine, please. Writes
# docs/BENCH.md. Exit code 1: a figure that is wanted was missed (all parts are run first).
#
#   accepting   32 clients against a bare librdkafka producer that sends the same bytes, as many in flight
#   served      from the push until named serves it, one push at a time; the same for PowerDNS
#   drains      a writer alone: into named against an rndc loop on one connection over files already written,
#               into a database of either layout against bare array statements; PowerDNS's caches
#   now         a push that must overtake a backlog
#   memory      of ingest and of the writers with 10,000 zones
#   answers     queries per second and memory of named, PowerDNS and CoreDNS, against a server that looks nothing up
#   start       CoreDNS with all zones still to read; from its snapshot while the database is down
#   follow      from the push until CoreDNS serves it, one at a time and during bursts; its statements
#   apart       named and PowerDNS while the database of a third backend is stopped, or dead
#
# tools/bench.sh PART… runs only these, in this order, and writes nothing: empty drains now load served memory
# answers start apart follow accept. DRAINED="ns1 dc1 dc2" chooses what is drained. SEED=N makes answers ask the same
# again. KEEP=1 leaves the stack. BENCH_SHORT=1 is for work on this script: small numbers, nothing is written.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

export STACK_DIR=${STACK_DIR:-build/bench-run}
export BIN=${BIN:-build/release}
BENCH=$BIN/tests/bench
PARTS="empty drains now load served memory answers start apart follow accept"
DRAINED=${DRAINED:-ns1 dc1 dc2}
ROUNDS=3 LOADED=10000 BACKLOG=3000 SAMPLES=300 ACCEPT_S=5 BARE_MS=3000 APART_ROUNDS=5 APART_SAMPLES=200
ANSWER_S=3 FOLLOW_SAMPLES=200
[ -z "${BENCH_SHORT:-}" ] || {
	ROUNDS=1 LOADED=1000 BACKLOG=300 SAMPLES=40 ACCEPT_S=2 BARE_MS=1000 APART_ROUNDS=1 APART_SAMPLES=40
	ANSWER_S=1 FOLLOW_SAMPLES=20
}
CLIENTS=32
SCATTER_MS=125 # CoreDNS's poll: pushes come at any moment of it
SERIAL=2026112100 # rises with every round of pushes
. tools/bench/figures.sh
. tools/bench/named.sh
. tools/bench/database.sh
. tools/bench/answers.sh
. tools/bench/coredns.sh

release() {
	local code=$?
	rm -f "$OUTPUT"
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
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

# served --server ADDRESS … --from N …
served() {
	run "$BENCH/served" --to-address "${INGEST_URL#http://}" --user "$INGEST_USER" --password "$INGEST_PASSWORD" \
		--patience-ms 30000 "$@" || die "a push was not served"
}

# push_all FROM TO: each once, under a new serial; all decided when this returns.
push_all() {
	local before
	before=$(ends dadns.zones)
	SERIAL=$((SERIAL + 1))
	load --from "$1" --to "$2" --serial $SERIAL --salt $SERIAL || die "not every push got error=0"
	judged $((before + $2 - $1))
}

check() { # DNS FROM TO PATIENCE_MS
	run "$BENCH/check_served" --server "$1" --from "$2" --to "$3" --serial $SERIAL --patience-ms "$4" ||
		die "$(field missing) zones of $2 to $3 are not served with serial $SERIAL"
}

alive() { kill -0 "$(cat "$STACK_DIR/pids/$1.pid" 2>/dev/null)" 2>/dev/null; }

halt() { # NAME…
	local name
	for name in "$@"; do
		! alive "$name" || stack stop "$name"
	done
}

memory_mb() { # NAME FIELD
	awk -v field="$2:" '$1 == field { printf "%.0f", $2 / 1024 }' "/proc/$(cat "$STACK_DIR/pids/$1.pid")/status"
}

# take_bare_rate BACKEND KIND: sets RATE, from the last line of a bare loop's output.
take_bare_rate() {
	RATE=$(sed -n 's:.*= \([0-9.]*\) [a-z]*/s$:\1:p' "$OUTPUT" | tail -n 1)
	[ -n "$RATE" ] || die "the bare loop of $1 says no rate"
	[ "$2" = gone ] || say "$1, bare: $(tail -n 1 "$OUTPUT")"
}

# ---- the parts -------------------------------------------------------------------------------------

begin() {
	[ -x "$BENCH/pushload" ] || die "there is no $BENCH/pushload; make bench builds it"
	tools/stack.sh wipe >/dev/null 2>&1
	mkdir -p "$STACK_DIR/logs"
	look_idle
	say "a stack of its own: Kafka, named twice, MariaDB, PowerDNS, ingest"
	stack up kafka redis ns1 ns2 mariadb dc2 ingest
	read_endpoints
	warm_up
}

# shellcheck disable=SC1090,SC1091
read_endpoints() { . "$STACK_DIR/endpoints.env"; }

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

part_empty() {
	say "served, no zones loaded"
	stack start writer-ns1
	SERIAL=$((SERIAL + 1))
	served --server "$NS1_DNS" --from 990000 --to 990020 --samples $SAMPLES --serial $SERIAL --salt $SERIAL
	SERIAL=$((SERIAL + SAMPLES))
	row "push → served by named, no zones loaded, p50" "$(field p50_ms) ms" "" "" "" "" "33 to 38 ms"
	row "the same, p99 of $SAMPLES" "$(field p99_ms) ms (max $(field max_ms))" "" "" "" "" "41 to 54 ms"
	stack stop writer-ns1
}

# named first without the writer of a database beside, as in former figures; then PowerDNS, with both.
part_served() {
	say "served, $LOADED zones loaded"
	halt writer-dc2
	SERIAL=$((SERIAL + 1))
	served --server "$NS1_DNS" --from 0 --to $LOADED --samples $SAMPLES --serial $SERIAL --salt $SERIAL
	SERIAL=$((SERIAL + SAMPLES))
	row "push → served by named, $LOADED zones loaded, p50" "$(field p50_ms) ms" "" "" "≤ 15 ms" "$(field p50_ms) <= 15" "407 ms"
	row "the same, p99 of $SAMPLES" "$(field p99_ms) ms (max $(field max_ms))" "" "" "≤ 60 ms" "$(field p99_ms) <= 60" "470 ms"
	stack start writer-dc2
	caught_up dc2
	served --server "$DC2_DNS" --from 0 --to $LOADED --samples $SAMPLES --serial $SERIAL --salt $SERIAL
	SERIAL=$((SERIAL + SAMPLES))
	row "push → served by PowerDNS, $LOADED zones loaded, p50" "$(field p50_ms) ms" "" "" "≤ 30 ms" "$(field p50_ms) <= 30" ""
	row "the same, p99 of $SAMPLES" "$(field p99_ms) ms (max $(field max_ms))" "" "" "" "" ""
}

# drain BACKEND new|changed FROM TO: ours, then the limit; adds to OURS and BARE.
drain() {
	local into=database
	[ "$1" != ns1 ] || into=named
	"${into}_ours" "$1" "$3" "$4"
	OURS[$1.$2]+=" $RATE"
	"${into}_bare" "$1" "$2" "$3" "$4"
	BARE[$1.$2]+=" $RATE"
	if [ "$1.$2" = dc2.new ]; then
		OURS[flush]+=" $FLUSH_RATE"
		SHOWN+=("$SHOWN_S")
		flush_bare "$3" "$4"
		BARE[flush]+=" $RATE"
	fi
	[ $into = named ] || [ "$3" != 0 ] || same_rows "$1" "$3" "$4"
	[ "$1.$2" != ns1.changed ] || named_bare ns1 gone "$3" "$4" # bare tables grow as ours do
}

# row_of_drains BACKEND WHERE new|changed WANTED PEER
row_of_drains() {
	against "drain of $BACKLOG $3 zones into $2, one writer" zones/s "${OURS[$1.$3]# }" "${BARE[$1.$3]# }" "$4" "$5"
	NOTES+=("Drains into $2, $3 zones, each round:${OURS[$1.$3]} against${BARE[$1.$3]} zones/s.")
}

part_drains() {
	local round from kind backend
	declare -gA OURS=() BARE=()
	SHOWN=()
	# shellcheck disable=SC2046
	begin_databases $(tr ' ' '\n' <<<"$DRAINED" | grep ^dc)
	for ((round = 0; round < ROUNDS; round++)); do
		from=$((round * BACKLOG))
		for kind in new changed; do
			say "drain, round $((round + 1)) of $ROUNDS: $BACKLOG $kind zones"
			push_all $from $((from + BACKLOG))
			for backend in $DRAINED; do
				drain "$backend" $kind $from $((from + BACKLOG))
			done
		done
	done
	for backend in $DRAINED; do
		case $backend in
		ns1)
			row_of_drains ns1 named new 0.60 "10.2 zones/s"
			row_of_drains ns1 named changed 0.50 "2.5 zones/s"
			;;
		dc1)
			row_of_drains dc1 "CoreDNS's tables" new 0.50 ""
			row_of_drains dc1 "CoreDNS's tables" changed "" ""
			;;
		dc2)
			row_of_drains dc2 "PowerDNS's tables" new 0.50 ""
			row_of_drains dc2 "PowerDNS's tables" changed "" ""
			against "PowerDNS's caches flushed during the drain of new zones" flushes/s "${OURS[flush]# }" "${BARE[flush]# }" "" ""
			row "from the first commit until PowerDNS showed the last of $BACKLOG new zones" "$(median "${SHOWN[@]}") s" "" "" "" "" ""
			NOTES+=("Flushes, each round:${OURS[flush]} against${BARE[flush]} flushes/s.")
			;;
		esac
	done
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
	served --server "$NS1_DNS" --from $more --to $((more + 5)) --samples 5 --pause-ms 0 --serial $((SERIAL + 1)) --salt $SERIAL --now
	row "a \`now\` push into a backlog of $left zones, worst of 5" "$(field max_ms) ms" "" "" "≤ 1 s" "$(field max_ms) <= 1000" \
		"its place in the queue: minutes"
	NOTES+=("\`now\`: when the last of the 5 was served, named had loaded $(since ns1 "$offset" | grep -c "loaded serial $SERIAL\$") of the backlog.")
	wait_loaded ns1 "$offset" $more
	check "$NS1_DNS" 0 $more 2000
	SERIAL=$((SERIAL + 5))
}

part_memory() { # WHEN NAME…
	local name
	for name in "${@:2}"; do
		row "memory of $name, $LOADED zones, $1" "$(memory_mb "$name" VmRSS) MB (peak $(memory_mb "$name" VmHWM))" "" "" \
			"< 100 MB" "$(memory_mb "$name" VmRSS) < 100" "95 MB"
	done
}

# apart WHAT: adds to P99 of pushes that both must serve.
apart() {
	served --server "$NS1_DNS" --server "$DC2_DNS" --from 0 --to $LOADED --samples $APART_SAMPLES --pause-ms 10 \
		--serial $SERIAL --salt $SERIAL
	SERIAL=$((SERIAL + APART_SAMPLES))
	P99[ns1.$1]+=" $(field p99_ms)"
	P99[dc2.$1]+=" $(field p99_ms_2)"
}

start_third() {
	local name
	say "a third backend: database dc3 in a MariaDB of its own"
	stack start mariadb-2
	tools/stack.sh database dc3 mariadb-2 >>"$STACK_DIR/dadns.yml" || die "there is no database dc3"
	read_endpoints
	for name in ns1 dc2 dc3; do
		alive "writer-$name" || stack start "writer-$name"
	done
	caught_up dc2
	caught_up dc3
}

part_apart() {
	local round what name server share ours normal
	declare -gA P99=()
	halt dc1 writer-dc1
	alive writer-dc3 || start_third
	SERIAL=$((SERIAL + 1))
	for ((round = 0; round < APART_ROUNDS; round++)); do
		say "apart, round $((round + 1)) of $APART_ROUNDS: all is well; dc3's database stopped; dead"
		apart normal
		stack pause mariadb-2
		apart stopped
		stack cont mariadb-2
		caught_up dc3
		stack kill mariadb-2
		apart dead
		stack start mariadb-2
		caught_up dc3
	done
	for name in ns1 dc2; do
		[ $name = ns1 ] && server=named || server=PowerDNS
		read -ra normal <<<"${P99[$name.normal]}"
		for what in stopped dead; do
			read -ra ours <<<"${P99[$name.$what]}"
			share=$(ratio "${P99[$name.$what]# }" "${P99[$name.normal]# }")
			row "p99 on $server while another backend's database is $what (else $(median "${normal[@]}") ms)" \
				"$(median "${ours[@]}") ms" "" "$share" "≤ 1.5" "$share <= 1.5" ""
		done
		NOTES+=("p99 on $server, each round: normal${P99[$name.normal]}, stopped${P99[$name.stopped]}, dead${P99[$name.dead]} ms.")
	done
}

part_accept() {
	local round name ours=() bare=() bad=0 one da base times best=0 flat=0
	halt writer-ns1 writer-dc1 writer-dc2 writer-dc3 dc1
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
	printf 'DaDNS %s, Kafka %s (one broker), librdkafka %s, BIND %s, MariaDB %s, PowerDNS %s, CoreDNS %s' "$(git describe --always --dirty 2>/dev/null)" \
		"$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' tools/kafka/pom.xml)" \
		"$(pkg-config --modversion rdkafka 2>/dev/null)" "$("$STACK_DIR/bin/named" -v | sed 's/^BIND \([^ ]*\).*/\1/')" \
		"$(query mysql 'SELECT VERSION()')" "$(pdns_server --version 2>&1 | sed -n 's/.*PowerDNS Authoritative Server \([0-9.]*\).*/\1/p')" \
		"$(build/coredns/coredns -version | sed -n 's/^CoreDNS-//p')"
}

table() {
	cat <<-END
		# Figures, as \`make bench\` printed them

		$(date -u +%Y-%m-%d), \`make bench\`. Everything on one machine: driver, Kafka, Redis, name servers, databases and DaDNS.
		$(machine); $BUSY % of it used by others before the run.
		$(versions).

		| what | ours | bare limit | ratio | wanted | met | the product we replace |
		|---|---|---|---|---|---|---|
	END
	printf '%s\n' "${ROWS[@]}"
	table_of_answers
	cat <<-END

		- A push is a zone of 20 records and 1.3 KB, in DirectAdmin's shape.
		- The bare limit of accepting: a librdkafka producer (tests/bench/bare_producer.c) that sends the very records the
		  door sent, idempotent, acks=all, $CLIENTS in flight, to a topic with the same settings; the best of linger 0, 0.5, 1 ms.
		  While pushes are accepted the judge runs and decides them; no writer does.
		- The bare limit of a drain into named: one rndc connection (tests/bench/bare_rndc.c), files already written, each
		  time with other content, from the first command until the last zone is served. Ours: from the birth of the first
		  zone file until named has loaded the last zone; decoding, fencing, writing and syncing files, checking by DNS and
		  status are in it.
		- The bare limit of a drain into tables: array statements (tests/bench/bare_rows.c), 100 zones a transaction, into
		  tables with the same columns, indexes and foreign keys in the same server; texts, and the ids of rows that go, are
		  there before the clock starts. Ours: from the first commit until the last one, without the zones of the first, as
		  a reader of the tables sees them (tests/bench/committed.c looks every 5 ms); decoding, fencing, reading and
		  comparing what is there, counting, versions, positions and status are in it, for PowerDNS's tables its flushes and
		  its answers too. All rows are the same, compared byte by byte in the first round.
		- The bare limit of flushing: PUT cache/flush (tests/bench/bare_flush.c), one after the other, while nothing else
		  happens, over one connection if PowerDNS keeps it open (4.7 does not). Ours flushes while it writes the next
		  zones, and asks for each zone's SOA; a ratio of 0.5 is good.
		- A zone is asked for once before it is pushed, as one in use is: PowerDNS has to forget its answer.
		- Another backend's database: $APART_ROUNDS rounds of $APART_SAMPLES pushes while all is well, while that database's
		  server is stopped (SIGSTOP), while it is dead (SIGKILL). Writers of named, of PowerDNS's tables and of that
		  database run; the ratio is the median of the rounds' ratios.
		- Medians of $ROUNDS rounds, ours and the limit in turn; the ratio is the median of the rounds' ratios. The last column was measured on a machine of the same kind.
	END
	notes_of_coredns
	printf -- '- %s\n' "${NOTES[@]}"
}

part_load() {
	local name
	say "filling up to $LOADED zones"
	for name in ns1 dc2; do
		alive writer-$name || stack start writer-$name
	done
	push_all 0 $LOADED
	check "$NS1_DNS" 0 $LOADED 60000
	caught_up dc2
	check "$DC2_DNS" 0 $LOADED 2000
	sleep 2
	part_memory "after loading" ingest writer-ns1 writer-dc2
}

begin
# shellcheck disable=SC2068
for part in ${@:-$PARTS}; do
	case $part in
	empty | drains | now | load | served | answers | start | follow | apart | accept) "part_$part" ;;
	memory) part_memory "after more pushes" ingest writer-ns1 ;;
	*) die "there is no part '$part': $PARTS" ;;
	esac
done
WHOLE=yes
echo
table | tee "$OUTPUT"
[ -n "${BENCH_SHORT:-}" ] || [ $# -gt 0 ] || cp "$OUTPUT" docs/BENCH.md
echo
say "$([ $MISSED = 0 ] && echo every wanted figure met || echo "$MISSED of the wanted figures missed")"
[ $MISSED = 0 ]
