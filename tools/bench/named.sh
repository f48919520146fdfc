# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Drains into named, ours and the bare one.
#
# The clock of ours is outside of the writer: from the birth of its first zone file, which is when it began its
# first batch, until named logs that the last zone is loaded. Nobody else asks named anything meanwhile; that all
# zones are served is checked afterwards, zone by zone. The bare loop's clock runs from its first command until
# named answers for its last zone.

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

# named_ours NS FROM TO: sets RATE; the zones are in dadns.zones already and the writer does not run.
named_ours() {
	local offset first_ms start_ms count=$(($3 - $2))
	offset=$(log_size "$1")
	start_ms=$(date +%s%3N)
	STACK_NOWAIT=1 stack start "writer-$1"
	wait_loaded "$1" "$offset" $count
	first_ms=$(first_file_ms "$1" "$start_ms")
	check "$NS1_DNS" "$2" "$3" 2000
	RATE=$(calc "$count * 1000 / ($LAST_MS - $first_ms)")
	say "$1, ours: $count zones in $(calc "($LAST_MS - $first_ms) / 1000") s from the first file to the last zone loaded," \
		"$(calc "($LAST_MS - $start_ms) / 1000") s from the start of the process: $RATE zones/s"
	sleep 1 # it stores its offsets and falls silent
	stack stop "writer-$1"
}

# named_bare NS new|changed|gone FROM TO: sets RATE; whatever NS is, on ns2, which has only these zones.
named_bare() {
	"$BENCH/bare_rndc" "$2" "$NS2_RNDC" "$NS2_RNDC_KEYFILE" "$NS2_DNS" "$NS2_ZONES_DIR" $(($4 - $3)) >"$OUTPUT" 2>&1 ||
		die "bare_rndc: $(tail -n 1 "$OUTPUT")"
	take_bare_rate "$1" "$2"
}
