#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"
story "A name server that is away, frozen, wiped or started again delays nobody and is brought up to date unasked"

zones=()
for i in 1 2 3 4 5 6 7 8; do
	zones+=("$(new_zone "away$i")")
done

push_all() { # SERIAL
	local zone
	for zone in "${zones[@]}"; do
		zone_text "$zone" "$1" | push - "$zone" fred >/dev/null || return 1
	done
}

serves_all() { # NS SERIAL
	local zone
	for zone in "${zones[@]}"; do
		serves "$1" "$zone" "$2" || return 1
	done
}

# all_serve_all SERIAL; others_serve SERIAL: all but ns1
all_serve_all() { others_serve "$1" && serves_all ns1 "$1"; }
others_serve() { serves_all ns2 "$1" && serves_all dc1 "$1" && serves_all dc2 "$1"; }

backend_said() { # NS: away or back, the last thing
	kcat -b "$KAFKA_BROKERS" -X fetch.wait.max.ms=10 -C -q -e -o beginning -t dadns.status -f '%s\n' |
		jq -rn --arg ns "$1" 'last(inputs | select(.backend == $ns and (.state == "away" or .state == "back")) | .state)'
}

dead_letters() { ends dadns.dead-letters | awk '{ sum += $2 } END { print sum + 0 }'; }
letters=$(dead_letters)
aside() { metric "writer-$1" dadns_writer_aside_zones; }

ok "eight zones are pushed" push_all 1
eventually 5 "all serve them" all_serve_all 1

# ---- stopped -------------------------------------------------------------------------------------------
stack kill ns1
ok "ns1 is killed; pushes are acknowledged" push_all 2
eventually 3 "the others are not delayed" others_serve 2
eventually 5 "writer-ns1 says that it is away" says away backend_said ns1
eventually 5 "and is not ready" not admin writer-ns1 /readyz
ok "but alive" admin writer-ns1 /livez
for name in writer-ns2 writer-dc1 writer-dc2; do
	ok "$name is ready" admin $name /readyz
done
ok "no zone is put aside: it is not their fault" says 0 aside ns1
ok "more pushes, and a delete, while it is away" eval 'push_all 3 && da_delete "$DA_HOST" "${zones[7]}"'
last=${zones[7]}
unset 'zones[7]'
eventually 3 "the others serve them" others_serve 3
eventually 3 "and did the delete" eval 'serves ns2 "$last" REFUSED && serves dc1 "$last" REFUSED && serves dc2 "$last" REFUSED'
stack start ns1 >/dev/null
eventually 8 "ns1 is back and serves the newest" serves_all ns1 3
eventually 5 "the delete too" serves ns1 "$last" REFUSED
eventually 5 "its writer says so" says back backend_said ns1
eventually 5 "and is ready" admin writer-ns1 /readyz

# ---- frozen --------------------------------------------------------------------------------------------
stack pause ns1
ok "ns1 is frozen; pushes are acknowledged" push_all 4
eventually 3 "the others are not delayed" others_serve 4
eventually 20 "writer-ns1 notices" says away backend_said ns1
ok "a frozen server answers nobody" says TIMEOUT soa ns1 "${zones[0]}"
ok "more pushes" push_all 5
eventually 3 "the others serve them" others_serve 5
stack cont ns1
eventually 10 "ns1 goes on and serves the newest" serves_all ns1 5
eventually 5 "its writer says so" says back backend_said ns1

# ---- its directory is lost while nobody looks ------------------------------------------------------------
dir=$(e2e_value ns1 ZONES_DIR)
stack stop writer-ns1 >/dev/null
find "$dir" -mindepth 1 -delete
ok "the zones directory is empty" says '' ls -A "$dir"
stack start writer-ns1 >/dev/null
files_back() {
	local zone heads
	heads=$(head -qn 1 "$dir"/*.zone)
	for zone in "${zones[@]}"; do
		grep -qF "zone=$zone " <<<"$heads" || return 1
	done
}
eventually 15 "it is filled again, without a push" files_back
ok "and served all the time" serves_all ns1 5

# ---- the whole server is lost -------------------------------------------------------------------------------
stack stop writer-ns1 >/dev/null
stack stop ns1 >/dev/null
find "$dir" -mindepth 1 -delete
find "$STACK_DIR/ns1" -maxdepth 1 \( -name '*.nzd*' -o -name '*.nzf' \) -delete
stack start ns1 >/dev/null
ok "a new, empty name server takes its place" says REFUSED soa ns1 "${zones[0]}"
stack start writer-ns1 >/dev/null
eventually 20 "it gets every zone without a push" serves_all ns1 5
ok "the deleted zone does not come back" says REFUSED soa ns1 "$last"

# ---- the same while the writer runs ---------------------------------------------------------------------------
stack stop ns1 >/dev/null
find "$dir" -mindepth 1 -delete
find "$STACK_DIR/ns1" -maxdepth 1 \( -name '*.nzd*' -o -name '*.nzf' \) -delete
stack start ns1 >/dev/null
ok "an empty server under a running writer: one push of one zone is enough" eval \
	'zone_text "${zones[0]}" 6 | push - "${zones[0]}" fred'
eventually 10 "it is served" serves ns1 "${zones[0]}" 6
eventually 20 "and every other one" serves ns1 "${zones[6]}" 5
zone_text "${zones[0]}" 5 | push - "${zones[0]}" fred >/dev/null

# ---- started again ----------------------------------------------------------------------------------------------
eventually 10 "all is well" serves_all ns1 5
eventually 1 "in CoreDNS too" serves_all dc1 5
for name in ns2 dc1; do
	stack stop $name >/dev/null
	stack start $name >/dev/null
	ok "$name, started again, has all zones at once" serves_all $name 5
done
ok "and takes changes" push_all 7
eventually 8 "all serve them" all_serve_all 7

ok "all this made no dead letter" says "$letters" dead_letters
for name in ns1 ns2 dc1 dc2; do
	ok "and $name put nothing aside" says 0 aside $name
done
