# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153
#
# CoreDNS with our plugin: how long it takes to start, from the push until it serves, and how many statements the
# database counted meanwhile. Its account's statements are MariaDB's own count (userstat), not the plugin's.

BURSTS_AT=20000 # the first zone of the bursts; they are new
PROBES=4        # that push single zones during a burst

# What MariaDB has counted for dc1_reader so far: "MS STATEMENTS ROWS-READ".
counted() {
	query mysql "SELECT CONCAT_WS(' ', ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000), SELECT_COMMANDS + UPDATE_COMMANDS + OTHER_COMMANDS,
		ROWS_READ) FROM information_schema.USER_STATISTICS WHERE USER = 'dc1_reader'"
}

# statements_since "COUNTED": sets PER_SECOND, READ_EACH.
statements_since() {
	local before now
	read -ra before <<<"$1"
	read -ra now <<<"$(counted)"
	if [ ${#before[@]}${#now[@]} != 33 ] || [ "${now[1]}" -le "${before[1]}" ]; then
		die "MariaDB has not counted dc1_reader's statements"
	fi
	PER_SECOND=$(calc "(${now[1]} - ${before[1]}) * 1000 / (${now[0]} - ${before[0]})")
	READ_EACH=$(calc "(${now[2]} - ${before[2]}) / (${now[1]} - ${before[1]})")
}

all_answered() {
	run "$BENCH/check_served" --server "$DC1_DNS" --to "$LOADED" --patience-ms 2000 ||
		die "CoreDNS has started, but does not serve $(field missing) zones"
}

part_start() {
	local round loaded=() saved=() size
	start_coredns
	for ((round = 0; round < ROUNDS; round++)); do
		say "start of CoreDNS without a snapshot, round $((round + 1)) of $ROUNDS"
		stack stop dc1
		rm -f "$STACK_DIR"/dc1/zones.snapshot*
		STACK_NOWAIT=1 stack start dc1
		wait_ready
		loaded+=("$AGE_S")
		all_answered
	done
	stack stop dc1
	size=$(stat -c %s "$STACK_DIR/dc1/zones.snapshot")
	halt writer-dc1 writer-dc2 dc2
	stack stop mariadb
	for ((round = 0; round < ROUNDS; round++)); do
		say "start of CoreDNS from its snapshot, the database down, round $((round + 1)) of $ROUNDS"
		STACK_NOWAIT=1 stack start dc1
		run "$BENCH/check_served" --server "$DC1_DNS" --from $((LOADED - 1)) --to "$LOADED" --in-order --patience-ms 30000 ||
			die "CoreDNS serves nothing after 30 s"
		saved+=("$(age_s dc1)")
		all_answered
		[ $((round + 1)) = "$ROUNDS" ] || stack stop dc1
	done
	stack start mariadb
	stack start dc2
	stack start writer-dc2
	stack start writer-dc1
	row "start of CoreDNS, $LOADED zones in the tables, no snapshot, until /ready" "$(median "${loaded[@]}") s" "" "" "" "" ""
	row "start of CoreDNS from its snapshot, the database down, until it answers" "$(median "${saved[@]}") s" "" "" "" "" ""
	row "its snapshot of $LOADED zones" "$(calc "$size / 1000000") MB" "" "" "" "" ""
	NOTES+=("Starts of CoreDNS, each round: ${loaded[*]} s without a snapshot, ${saved[*]} s from it; each time all zones were there.")
}

follow_idle() {
	local before
	say "push → served by CoreDNS, $LOADED zones loaded"
	before=$(counted)
	SERIAL=$((SERIAL + 1))
	served --server "$DC1_DNS" --from 0 --to "$LOADED" --samples "$FOLLOW_SAMPLES" --scatter-ms "$SCATTER_MS" \
		--serial "$SERIAL" --salt "$SERIAL"
	SERIAL=$((SERIAL + FOLLOW_SAMPLES))
	row "push → served by CoreDNS, $LOADED zones loaded, p50" "$(field p50_ms) ms" "" "" "≤ 250 ms" "$(field p50_ms) <= 250" ""
	row "the same, p99 of $FOLLOW_SAMPLES" "$(field p99_ms) ms (max $(field max_ms))" "" "" "" "" ""
	statements_since "$before"
	row "statements/s that MariaDB counted for CoreDNS's account meanwhile" "$PER_SECOND" "" "" "≤ 10" "$PER_SECOND <= 10" ""
	say "nothing is pushed"
	sleep 2
	before=$(counted)
	sleep 10
	statements_since "$before"
	row "the same, nothing pushed" "$PER_SECOND" "" "" "≤ 10" "$PER_SECOND <= 10" ""
	NOTES+=("Rows read for a statement of CoreDNS's account while nothing is pushed: $READ_EACH on average, the look every 10 s at
  zones without a version in it.")
}

# burst FROM TO: new zones, and single pushes of others until the last of them is served. Adds to SAMPLED, LASTED,
# COUNTED, ACCEPTED.
burst() {
	local probes=() probe before watcher folder width=$((LOADED / PROBES))
	folder=$(mktemp -d)
	before=$(counted)
	SERIAL=$((SERIAL + 1))
	for ((probe = 0; probe < PROBES; probe++)); do
		"$BENCH/served" --to-address "${INGEST_URL#http://}" --user "$INGEST_USER" --password "$INGEST_PASSWORD" \
			--patience-ms 60000 --server "$DC1_DNS" --from $((probe * width)) --to $(((probe + 1) * width)) --samples 0 --each --pause-ms 0 \
			--scatter-ms "$SCATTER_MS" --ask-every-us 2000 --serial "$SERIAL" --salt $((SERIAL + probe)) >"$folder/$probe" 2>&1 &
		probes+=($!)
	done
	"$BENCH/check_served" --server "$DC1_DNS" --from "$1" --to "$2" --serial "$SERIAL" --in-order --patience-ms 60000 \
		>"$folder/burst" 2>&1 &
	watcher=$!
	load --from "$1" --to "$2" --clients "$CLIENTS" --serial "$SERIAL" --salt "$SERIAL" || die "not every push got error=0"
	ACCEPTED+=("$(field seconds)")
	wait $watcher || die "the burst: $(tail -n 1 "$folder/burst")"
	statements_since "$before"
	kill "${probes[@]}"
	for probe in "${!probes[@]}"; do
		wait "${probes[probe]}" || die "a single push: $(tail -n 1 "$folder/$probe")"
	done
	mapfile -t -O ${#SAMPLED[@]} SAMPLED < <(sed -n 's/^sample //p' "$folder"/[0-9])
	LASTED+=("$(sed -n 's/.* seconds=//p' "$folder/burst")")
	COUNTED+=("$PER_SECOND")
	rm -rf "$folder"
	SERIAL=$((SERIAL + 1000))
}

# bursts FROM WITH: $ROUNDS of them; WITH says whose writers apply them too.
bursts() {
	local round from
	SAMPLED=() LASTED=() COUNTED=() ACCEPTED=()
	for ((round = 0; round < ROUNDS; round++)); do
		say "burst of $BACKLOG new zones, $2, round $((round + 1)) of $ROUNDS"
		from=$(($1 + round * BACKLOG))
		burst $from $((from + BACKLOG))
		caught_up dc1
		! alive writer-dc2 || caught_up dc2
		! alive writer-ns1 || named_has $from $((from + BACKLOG))
	done
	[ ${#SAMPLED[@]} -gt 0 ] || die "no single push was made during the bursts"
	row "push → served by CoreDNS during a burst of $BACKLOG new zones, $2, p50 of ${#SAMPLED[@]}" "$(quantile 0.5) ms" "" "" \
		"≤ 250 ms" "$(quantile 0.5) <= 250" ""
	row "the same, p99" "$(quantile 0.99) ms (max $(quantile 1))" "" "" "" "" ""
	row "statements/s that MariaDB counted for CoreDNS's account during that burst" "$(median "${COUNTED[@]}")" "" "" "≤ 10" \
		"$(median "${COUNTED[@]}") <= 10" ""
	row "that burst, from its first push until CoreDNS serves the last of $BACKLOG zones" "$(median "${LASTED[@]}") s" "" "" "" "" ""
	NOTES+=("Bursts, $2, each round: ${LASTED[*]} s until the last zone was served, the last push accepted after
  ${ACCEPTED[*]} s; ${COUNTED[*]} statements/s.")
}

named_has() { # FROM TO
	run "$BENCH/check_served" --server "$NS1_DNS" --from "$1" --to "$2" --patience-ms 60000 ||
		die "named does not serve $(field missing) zones of the burst"
}

part_follow() {
	local next=$((BURSTS_AT + ROUNDS * BACKLOG))
	halt writer-dc3 mariadb-2
	start_coredns
	query mysql 'SET GLOBAL userstat = 1'
	sleep 0.5 # until it has counted something
	follow_idle
	halt writer-ns1 writer-dc2
	bursts $BURSTS_AT "its writer alone"
	start_coredns
	named_has $BURSTS_AT $next
	bursts $next "three writers"
	query mysql 'SET GLOBAL userstat = 0'
	halt dc1 writer-dc1
}

# quantile Q: of SAMPLED, nearest rank.
quantile() {
	printf '%s\n' "${SAMPLED[@]}" | sort -g | awk -v q="$1" '{ v[NR] = $1 } END { print v[int(q * NR + 0.999999)] }'
}

notes_of_coredns() {
	cat <<-END
		- CoreDNS (deploy/coredns) looks for changes by a statement every $SCATTER_MS ms; the clock of push → served is the one of
		  the other servers, pushes come at any moment of that pace. One at a time: writers of named, of PowerDNS's tables
		  and its own run. Bursts: accepted as fast as $CLIENTS clients can push them; first its writer alone applies them, then
		  all three do, with named and PowerDNS, on the same cores. Single pushes meanwhile: $PROBES at a time, of zones that the
		  burst does not have, without \`now\`, from its first push until CoreDNS serves its last zone. Statements: MariaDB's
		  own count (userstat) for CoreDNS's account; a burst is short, so one statement more or less shows.
	END
}
