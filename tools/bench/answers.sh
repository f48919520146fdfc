# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153
#
# Queries per second of named, PowerDNS and CoreDNS over the same zones, by dnsperf, beside a server that looks
# nothing up (tests/bench/bare_dns.c). A table of its own.

ANSWERING="ns1 dc2 dc1 bare" # in turn, each round
PER_S=2000                   # a rate that each of them takes easily
ANSWERS=()

server_of() {
	case $1 in
	ns1) echo named ;;
	dc2) echo PowerDNS ;;
	dc1) echo CoreDNS ;;
	esac
}

# Everything that keeps CoreDNS's tables, up to date, and CoreDNS; the writers of the other two beside, as in part_load.
start_coredns() {
	local name
	for name in writer-ns1 writer-dc2 writer-dc1 dc1; do
		alive $name || stack start $name
	done
	caught_up dc2
	caught_up dc1
	wait_ready
}

# Until CoreDNS says that it has read all zones. Sets AGE_S.
wait_ready() {
	local fd line i
	for ((i = 0; i < 3000; i++)); do
		line=
		{ exec {fd}<>"/dev/tcp/${DC1_READY/://}"; } 2>/dev/null && {
			printf 'GET /ready HTTP/1.0\r\n\r\n' >&"$fd"
			read -r -t 2 -u "$fd" line
			exec {fd}>&-
		}
		AGE_S=$(age_s dc1)
		[[ $line != HTTP/1.?' 200'* ]] || return 0
		sleep 0.01
	done
	die "CoreDNS is not ready after 30 s"
}

stat_of() { echo "/proc/$(cat "$STACK_DIR/pids/$1.pid")/stat"; }

# Seconds since the process began.
age_s() { # NAME
	awk -v hz="$(getconf CLK_TCK)" 'NR == 1 { now = $1 } NR == 2 { printf "%.2f", now - $22 / hz }' /proc/uptime "$(stat_of "$1")"
}

# CPU seconds that processes have used.
cpu_s() { # STAT…
	awk -v hz="$(getconf CLK_TCK)" '{ used += ($14 + $15) / hz } END { printf "%.2f", used }' "$@"
}

start_bare_dns() {
	BARE_PORT=$(($(head -n 1 "$STACK_DIR/ports") + 99)) # the block's last one, which no member has
	"$BENCH/bare_dns" "$BARE_PORT" &
	BARE_PID=$!
}

# perf SERVER QUESTIONS OPTION…: sets QPS, LATENCY_MS, WORST_MS, adds to LOST. Dies if there are other answers than
# NOERROR, and NXDOMAIN where the name does not exist.
perf() {
	local port=$BARE_PORT key=${1^^}_DNS odd nx
	[ "$1" = bare ] || port=${!key#*:}
	dnsperf -s 127.0.0.1 -p "$port" -d "$2" -c 16 -t 2 "${@:3}" >"$OUTPUT" 2>&1 || die "dnsperf: $(tail -n 1 "$OUTPUT")"
	odd=$(sed -n 's/.*Response codes: *//p' "$OUTPUT" | tr ',' '\n' | grep -cvE 'NOERROR|NXDOMAIN')
	[ "$odd" = 0 ] || die "$1 answered: $(grep 'Response codes' "$OUTPUT")"
	nx=$(sed -n 's/.*NXDOMAIN [0-9]* (\([0-9.]*\)%).*/\1/p' "$OUTPUT")
	[ "$1" = bare ] || holds "${nx:-0} > 18 && ${nx:-0} < 22" || die "$1 says of ${nx:-0} % of the names that there is no such name"
	QPS=$(sed -n 's/.*Queries per second: *//p' "$OUTPUT" | xargs printf '%.0f')
	read -r LATENCY_MS WORST_MS < <(tr -d '(),' <"$OUTPUT" |
		awk '/Average Latency/ { printf "%.2f %.0f\n", $4 * 1000, $8 * 1000 }')
	LOST[$1]=$((${LOST[$1]:-0} + $(sed -n 's/.*Queries lost: *\([0-9]*\).*/\1/p' "$OUTPUT")))
}

# CPU of a server, PowerDNS's with its database's.
cpu_of() {
	case $1 in
	bare) cpu_s "/proc/$BARE_PID/stat" ;;
	dc2) cpu_s "$(stat_of dc2)" "$(stat_of mariadb)" ;;
	*) cpu_s "$(stat_of "$1")" ;;
	esac
}

part_answers() {
	local round name questions before
	declare -gA LOST=() CPU_US=() RATES=() EASY=()
	SEED=${SEED:-$RANDOM$RANDOM}
	start_coredns
	start_bare_dns
	questions=$(mktemp)
	say "answers: $LOADED zones, $ROUNDS rounds of $ANSWER_S s each, seed $SEED"
	for ((round = 0; round < ROUNDS; round++)); do
		tools/bench/questions.py "$SEED-$round" "$LOADED" 200000 >"$questions" || die "there are no questions"
		for name in $ANSWERING; do
			before=$(cpu_of "$name")
			perf "$name" "$questions" -l "$ANSWER_S"
			RATES[$name]+=" $QPS"
			CPU_US[$name]+=" $(calc "($(cpu_of "$name") - $before) * 1000000 / ($QPS * $ANSWER_S)")"
		done
	done
	for name in $ANSWERING; do
		perf "$name" "$questions" -l 2 -Q $PER_S
		EASY[$name]="$LATENCY_MS ms ($WORST_MS)"
	done
	kill "$BARE_PID" && wait "$BARE_PID" 2>/dev/null
	rm -f "$questions"
	for name in ns1 dc2 dc1; do
		row_of_answers $name
	done
	NOTES+=("Answers, each round: named${RATES[ns1]}, PowerDNS${RATES[dc2]}, CoreDNS${RATES[dc1]}, bare${RATES[bare]} queries/s."
		"Questions: $(tools/bench/questions.py shares); seed $SEED. MariaDB behind PowerDNS: $(memory_mb mariadb VmRSS) MB.")
}

row_of_answers() { # NAME
	local rates bare cpu share memory
	read -ra rates <<<"${RATES[$1]}"
	read -ra bare <<<"${RATES[bare]}"
	read -ra cpu <<<"${CPU_US[$1]}"
	share=$(ratio "${RATES[$1]}" "${RATES[bare]}")
	memory="$(memory_mb "$1" VmRSS) MB (peak $(memory_mb "$1" VmHWM))"
	ANSWERS+=("$(printf '| %s | %s | %s | %s | %s | %s | %s µs | %s |' "$(server_of "$1")" "$(median "${rates[@]}")" \
		"$(median "${bare[@]}")" "$share" "${LOST[$1]}" "${EASY[$1]}" "$(median "${cpu[@]}")" "$memory")")
	say "$(server_of "$1"): $(median "${rates[@]}") queries/s; bare $(median "${bare[@]}"); ratio $share; ${LOST[$1]} lost;" \
		"at $PER_S/s ${EASY[$1]}; $(median "${cpu[@]}") µs of CPU a query; $memory"
}

table_of_answers() {
	[ ${#ANSWERS[@]} -gt 0 ] || return 0
	cat <<-END

		Answers by UDP over $LOADED zones, the same questions for each, dnsperf $(dpkg-query -W -f '${Version}' dnsperf | sed 's/-.*//'):

		| server | queries/s | bare limit | ratio | lost | mean latency at $PER_S/s (worst) | CPU a query | memory |
		|---|---|---|---|---|---|---|---|
	END
	printf '%s\n' "${ANSWERS[@]}"
	cat <<-END

		- dnsperf, one thread of it, 16 sockets, 100 questions under way, has the same $(nproc) cores: it, the kernel's loopback and
		  the server are the limit together, and what a server could do with the machine for itself is more. CPU a query is
		  the server's own, PowerDNS's with its MariaDB's. The bare limit (tests/bench/bare_dns.c) answers all questions with
		  one record and looks nothing up. Medians of $ROUNDS rounds of $ANSWER_S s, in turn, each round with other questions.
		- All three as tools/stack.sh configures them. PowerDNS keeps answers for 20 s, and what it has no answer for it asks
		  its database; each zone being as likely as any other, that is most of the first round. Its memory is without
		  MariaDB's, CoreDNS's is that of a Go heap between two collections.
	END
}
