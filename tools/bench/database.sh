# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Drains into databases, ours and the bare ones. Ours: what a reader of the tables sees (tests/bench/committed.c).
# Bare: the same rows as arrays into tables of the same definition in a database beside (tests/bench/bare_rows.c).

layout_of() { [ "$1" = dc2 ] && echo powerdns || echo coredns; }

# query DATABASE SQL: as root of the server that it lives in.
query() {
	local server=$MARIADB_ADMIN
	[ "$1" != dc3 ] || server=$MARIADB_2_ADMIN
	mariadb --defaults-file="$server" --raw -BN "$1" <<<"$2"
}

# Sets URL: mysql://… of a database, which only goes into environments.
url_of() {
	local key=${1^^}_MYSQL
	URL=${!key:-}
	[ -n "$URL" ] || die "endpoints.env has no $key"
}

# caught_up DATABASE: until its writer has stored that it is through with all of dadns.zones.
caught_up() {
	local end next='' i
	end=$(ends dadns.zones)
	for ((i = 0; i < 600; i++)); do
		next=$(query "$1" 'SELECT COALESCE(SUM(next), 0) FROM dadns_positions' 2>/dev/null)
		[ "$next" != "$end" ] || return 0
		sleep 0.2
	done
	die "writer-$1 is at ${next:-an unknown place} of $end records of dadns.zones after two minutes"
}

# make_bare DATABASE: bare_DATABASE with the same tables and indexes, foreign keys too, all empty.
make_bare() {
	local table definition
	stack database "bare_$1"
	for table in $([ "$(layout_of "$1")" = coredns ] && echo zones || echo domains) records; do
		definition=$(query "$1" "SHOW CREATE TABLE $table") || die "$1 has no table $table"
		query "bare_$1" "$(sed '1s/^[^\t]*\t//; s/ AUTO_INCREMENT=[0-9]*//' <<<"$definition")" ||
			die "bare_$1.$table could not be made"
	done
}

# Both writers up to date and down again, empty tables for the bare ones.
begin_databases() { # DATABASE…
	local database
	[ $# -gt 0 ] || return 0
	say "the databases: their writers make the tables, bare ones of the same definition beside"
	for database in "$@"; do
		stack start "writer-$database"
		caught_up "$database"
		stack stop "writer-$database"
		make_bare "$database"
	done
	read_endpoints
}

# database_ours DATABASE FROM TO: sets RATE; of dc2 FLUSH_RATE and SHOWN_S too: how fast PowerDNS's caches were flushed,
# and the time from the first commit until it showed the last zone.
database_ours() {
	local metrics=() watcher count=$(($3 - $2)) i
	[ "$1" != dc2 ] || metrics=("${WRITER_DC2_ADMIN_URL#http://}")
	url_of "$1"
	: >"$OUTPUT"
	DATABASE_MYSQL=$URL "$BENCH/committed" $count "$SERIAL" ${metrics[@]+"${metrics[@]}"} >"$OUTPUT" 2>&1 &
	watcher=$!
	for ((i = 0; i < 250; i++)); do
		! grep -qx watching "$OUTPUT" || break
		sleep 0.02
	done
	STACK_NOWAIT=1 stack start "writer-$1"
	wait $watcher || die "committed: $(tail -n 1 "$OUTPUT")"
	RATE=$(field rate)
	say "$1, ours: $count zones in $(field seconds) s between the first and the last of $(field transactions) commits: $RATE zones/s"
	if [ "$1" = dc2 ]; then
		FLUSH_RATE=$(field flush_rate) SHOWN_S=$(field shown_seconds)
		say "$1, ours: PowerDNS flushed at $FLUSH_RATE zones/s, showed the last one $SHOWN_S s after the first commit"
		check "$DC2_DNS" "$2" "$3" 2000
	fi
	sleep 1 # it stores its offsets and falls silent
	stack stop "writer-$1"
}

# database_bare DATABASE new|changed|gone FROM TO: sets RATE.
database_bare() {
	url_of "bare_$1"
	BARE_MYSQL=$URL "$BENCH/bare_rows" "$(layout_of "$1")" "$2" "$3" "$4" "$SERIAL" >"$OUTPUT" 2>&1 ||
		die "bare_rows: $(tail -n 1 "$OUTPUT")"
	take_bare_rate "$1" "$2"
}

# flush_bare FROM TO: sets RATE, of PowerDNS behind dc2.
flush_bare() {
	PDNS_API_KEY=$DC2_API_KEY "$BENCH/bare_flush" "${DC2_API#http://}" "$1" "$2" >"$OUTPUT" 2>&1 ||
		die "bare_flush: $(tail -n 1 "$OUTPUT")"
	take_bare_rate dc2 flushed
}

# Every column but the ids, texts byte by byte.
rows_in() { # DATABASE
	if [ "$(layout_of "${1#bare_}")" = coredns ]; then
		echo "SELECT BINARY zone_name, BINARY hostname, BINARY records.type, BINARY data, ttl, online
			FROM $1.records JOIN $1.zones ON zones.id = zone_id"
	else
		echo "SELECT BINARY domains.name, master, last_check, BINARY domains.type, notified_serial, account, options, catalog,
			BINARY records.name, BINARY records.type, BINARY content, ttl, prio, disabled, ordername, auth
			FROM $1.records JOIN $1.domains ON domains.id = domain_id"
	fi
}

# same_rows DATABASE FROM TO: did the bare loop write what our writer wrote?
same_rows() {
	local ours bare zone first last other
	printf -v first 'zone-%06d' "$2"
	printf -v last 'zone-%06d' $(($3 - 1))
	[ "$(layout_of "$1")" = coredns ] && zone=zones.zone_name || zone=domains.name
	bare=$(rows_in "bare_$1")
	ours="$(rows_in "$1") WHERE $zone BETWEEN '$first' AND '$last~'"
	other=$(query "$1" "SELECT COUNT(*) FROM (($ours) EXCEPT ALL ($bare)) AS left_over;
		SELECT COUNT(*) FROM (($bare) EXCEPT ALL ($ours)) AS left_over;" | tr '\n' ' ')
	[ "$other" = "0 0 " ] || die "rows of zones $2 to $3 that only $1, only bare_$1 has: ${other:-unknown}"
	say "$1: all rows of $(($3 - $2)) zones are the same as the bare loop's"
}
