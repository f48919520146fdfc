#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"
story "A zone that named refuses is put aside: it keeps its last good content and delays nobody"

said() { says "$3" status "$1" "$2" "$4"; }
partition_of() { # the partition of its last value in dadns.zones
	kcat -b "$KAFKA_BROKERS" -X fetch.wait.max.ms=10 -C -q -e -o beginning -t dadns.zones -f '%k %p\n' | grep "^$1 " | tail -n 1 | cut -d ' ' -f 2
}
on_disk() { # NS ZONE: the first line of its file, what named would read at its next start
	local file
	for file in "$(e2e_value "$1" ZONES_DIR)"/*.zone; do
		head -n 1 "$file" | grep -F "zone=$2 "
	done
}

crowd() { # LINES of one RRset
	local i
	for ((i = 1; i <= $1; i++)); do
		printf 'crowd\t3600\tIN\tA\t10.0.%d.%d\n' $((i / 250)) $((i % 250 + 1))
	done
}

# named's own word, by its own tool: 101 records in an RRset are too many for it
zone=$(new_zone bad)
mapfile -t others < <(/usr/bin/python3 tests/lib/same_partition.py "$zone" 6)
ok "a good version of the zone is acknowledged" push <(zone_text "$zone" 1 192.0.2.77) "$zone" fred
eventually 5 "and served by all" all_serve "$zone" 1

ok "a version with 100 addresses at a name is acknowledged" push <(zone_text "$zone" 2 192.0.2.77 "$(crowd 100)") "$zone" fred
eventually 5 "named takes 100, the others too" all_serve "$zone" 2
ok "a version with 101 addresses at a name is acknowledged: it is DNS" \
	push <(zone_text "$zone" 3 192.0.2.88 "$(crowd 101)") "$zone" fred

i=0
for other in "${others[@]}"; do
	i=$((i + 1))
	ok "zone $i behind it in the same partition is acknowledged" push <(zone_text "$other" $i) "$other" fred
done
i=0
for other in "${others[@]}"; do
	i=$((i + 1))
	eventually 3 "zone $i is served at once" all_serve "$other" $i
	ok "it is in the same partition" says "$(partition_of "$zone")" partition_of "$other"
done

for ns in ns1 ns2; do
	eventually 5 "$ns: the status is retrying" said $ns "$zone" 'retrying 3 1' '"\(.state) \(.serial) \(.attempt)"'
	ok "$ns: with a reason and the time of the next try" said $ns "$zone" '?*true' '.reason + (.next_try | type == "string" | tostring)'
	printf '#   %s\n' "$(status $ns "$zone" .reason)"
	ok "$ns serves the previous version" serves $ns "$zone" 2
	ok "$ns: the previous version is what lies on disk" says '*serial=2 state=zone' on_disk $ns "$zone"
done
for dc in dc1 dc2; do
	eventually 5 "named's limit is named's: $dc serves the refused version" serves $dc "$zone" 3
	ok "with all its 101 addresses" says 101 eval 'ask $dc "crowd.$zone" A +tcp +short | wc -l'
	eventually 5 "$dc has it" rows_digest "$dc" "$zone" "$(log_digest "$zone")"
	eventually 5 "and says applied" said "$dc" "$zone" 'applied 3' '"\(.state) \(.serial)"'
done
zone_waits_aside() { [ "$(metric writer-ns1 dadns_writer_aside_zones)" -ge 1 ] && [ "$(metric writer-ns2 dadns_writer_aside_zones)" -ge 1 ]; }
ok "the writers count it as put aside" zone_waits_aside
ok "and are ready" eval 'admin writer-ns1 /readyz && admin writer-ns2 /readyz'

# the refused version is not what a restarted named would meet
stack stop ns1 >/dev/null
stack start ns1 >/dev/null
eventually 10 "a named that is started again serves the previous version" serves ns1 "$zone" 2
eventually 10 "and every other zone" serves ns1 "${others[0]}" 1
stack stop writer-ns2 >/dev/null
stack start writer-ns2 >/dev/null
eventually 15 "a writer that is started again tries once more" said ns2 "$zone" 'retrying 3' '"\(.state) \(.serial)"'
never 1 "and does not take the good one away" serves ns2 "$zone" SERVFAIL

# a bad zone that is new, and deletes beside it
fresh=$(/usr/bin/python3 tests/lib/same_partition.py "x-$zone" 1)
ok "a bad zone that named never had is acknowledged" push <(zone_text "$fresh" 1 192.0.2.99 "$(crowd 101)") "$fresh" fred
eventually 5 "it is put aside" said ns1 "$fresh" retrying .state
ok "and not half there" says 'REFUSED' soa ns1 "$fresh"
ok "the delete of a zone beside it is acknowledged" da_delete "$DA_HOST" "${others[0]}"
eventually 3 "and done at once" all_serve "${others[0]}" REFUSED

# healing: a good push, or a delete
ok "a good push is acknowledged" push <(zone_text "$zone" 4) "$zone" fred
eventually 5 "and served at once, not at the next try" all_serve "$zone" 4
eventually 5 "the status is applied" said ns1 "$zone" 'applied 4' '"\(.state) \(.serial)"'
for dc in dc1 dc2; do
	eventually 5 "$dc has the bad new zone" serves $dc "$fresh" 1
done
ok "the bad new zone is deleted" da_delete "$DA_HOST" "$fresh"
eventually 5 "nobody has it any more" all_serve "$fresh" REFUSED
eventually 5 "that ends its tries" said ns1 "$fresh" 'true' '.deleted and (.state == "applied" or .state == "verified")'
nobody_aside() { [ "$(metric writer-ns1 dadns_writer_aside_zones)" = 0 ] && [ "$(metric writer-ns2 dadns_writer_aside_zones)" = 0 ]; }
eventually 5 "nothing is put aside any more" nobody_aside
