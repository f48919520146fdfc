#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"
story "Who owns a zone, what the judge says, and that exists never says 0 too early"

A=da1.hoster.example
B=da2.hoster.example
zone=$(new_zone own)

push_as() { DA_HOST=$1 push <(zone_text "$2" "$3") "$2" "${4:-fred}"; } # OWNER ZONE SERIAL [USER]
said() { says "$3" status "$1" "$2" "$4"; }                             # BACKEND ZONE PATTERN FILTER
verdicts() { # ZONE: all that the judge said, in order
	kcat -b "$KAFKA_BROKERS" -X fetch.wait.max.ms=10 -C -q -e -o beginning -t dadns.status -f '%k %s\n' | grep -F "judge/$1 " |
		cut -d ' ' -f 2- | jq -r '[.state, .rule // "-"] | join(":")' | paste -sd ' '
}

ok "a push is acknowledged" push_as $A "$zone" 1
eventually 5 "the judge's word is on dadns.status: accepted" said judge "$zone" 'accepted' .state
for ns in ns1 ns2 dc1 dc2; do
	eventually 5 "$ns says applied" said $ns "$zone" 'applied' .state
	ok "with the serial, the version of the judge's word, a digest and the time taken" \
		said $ns "$zone" "1 $(status judge "$zone" '.version | tostring') 96 true" \
		'"\(.serial) \(.version) \(.digest | length) \(.took_ms > 0)"'
done
eventually 1 "all serve it" all_serve "$zone" 1

# ---- unchanged --------------------------------------------------------------------------------------------
before=$(status judge "$zone" .version.offset)
ok "the same push again is acknowledged" push_as $A "$zone" 1
eventually 5 "verdict: unchanged" said judge "$zone" unchanged .state
for ns in ns1 ns2 dc1 dc2; do
	eventually 5 "$ns verified it" said $ns "$zone" "verified true" "\"\(.state) \(.version.offset > $before)\""
done
ok "it is a new value of dadns.zones all the same, marked unchanged" says true jq -r .unchanged \
	<(topic dadns.zones | grep "^$zone " | tail -n 1 | cut -d ' ' -f 2-)
ok "another user name is a change" push_as $A "$zone" 1 john
eventually 5 "verdict: accepted" said judge "$zone" accepted .state
ok "only another serial is a change" push_as $A "$zone" 2 john
eventually 5 "and served" all_serve "$zone" 2

# ---- the delete of a stranger --------------------------------------------------------------------------------
ok "a delete by another server is answered error=0" says 'error=0' da_delete $B "$zone"
eventually 5 "judged: refused, because of the owner" said judge "$zone" 'refused:owner' '.state + ":" + .rule'
ok "the reason names the owner" said judge "$zone" "*$A*" .reason
never 1 "the zone is not deleted by that on ns1" serves ns1 "$zone" REFUSED
ok "dc1 has its rows" rows_digest dc1 "$zone" "$(log_digest "$zone")"
ok "all serve it" all_serve "$zone" 2
ok "dadns.zones still holds the zone" says null jq -r .deleted <(topic dadns.zones | grep "^$zone " | tail -n 1 | cut -d ' ' -f 2-)
ok "a delete of a zone that nobody has is answered error=0" says 'error=0' da_delete $A "$(new_zone never)"

# ---- migration ----------------------------------------------------------------------------------------------------
ok "the zone moves to the other server" push_as $B "$zone" 1
eventually 5 "accepted, and the reason says from where" said judge "$zone" "accepted*$A*" '.state + " " + .reason'
eventually 5 "all serve the new owner's content" all_serve "$zone" 1
eventually 5 "exists names the new owner" says "error=0&exists=1&details=Domain+exists+on+$B" exists "$zone"
ok "the old owner's late delete is answered error=0" says 'error=0' da_delete $A "$zone"
eventually 5 "and refused" said judge "$zone" 'refused:owner' '.state + ":" + .rule'
ok "the zone stays" all_serve "$zone" 1
ok "the new owner's delete is answered error=0" says 'error=0' da_delete $B "$zone"
eventually 5 "and done" all_serve "$zone" REFUSED
eventually 5 "exists says so" says 'error=0&exists=0' exists "$zone"
ok "deleting it again is harmless" says 'error=0' da_delete $B "$zone"
eventually 5 "and unchanged" said judge "$zone" unchanged .state
ok "the judge said nine things, in this order" says \
	'accepted:- unchanged:- accepted:- accepted:- refused:owner accepted:- refused:owner accepted:- unchanged:*' verdicts "$zone"
ok "a new push makes it live again" push_as $A "$zone" 3
eventually 5 "on all" all_serve "$zone" 3

# ---- exists before the index is complete ------------------------------------------------------------------------------
ok "the zone exists" says 'error=0&exists=1*' exists "$zone"
zone_index_answers() { # counts what exists says until it says 1; "exists=0" must not be among it
	local until=$((SECONDS + 20)) answer
	while [ $SECONDS -lt $until ]; do
		answer=$(exists "$zone")
		echo "${answer%%&details*}"
		[[ $answer != *exists=1* ]] || return 0
		[ -z "$answer" ] || [[ $answer == *listens* ]] || sleep 0.01
	done
	return 1
}
stack stop ingest >/dev/null
ok "ingest starts while Kafka is frozen" stack pause kafka
# killed later, it is given up after 2 s, not 8
STACK_NOWAIT=1 STACK_ARGS="--kafka.session.timeout.ms=2000 --kafka.heartbeat.interval.ms=500" stack start ingest
door_answers() {
	local answer
	answer=$(exists "$zone")
	[[ $answer == error=* ]]
}
eventually 10 "its door answers" door_answers
for _ in 1 2 3; do
	ok "without an index exists is an error, not 0" says 'error=1&text=*' exists "$zone"
done
ok "and it is not ready" not admin ingest /readyz
zone_index_answers >"$E2E_WORK/answers" &
asker=$!
stack cont kafka
wait $asker # in this shell: a subshell cannot
ok "it says 1 when it knows" [ $? = 0 ]
ok "and never said 0 before" not grep -q 'exists=0' "$E2E_WORK/answers"
printf '#   %s\n' "$(sort "$E2E_WORK/answers" | uniq -c | sort -rn | head -n 5 | paste -sd ';')"
eventually 20 "ingest is ready" admin ingest /readyz

stack kill ingest
zone_index_answers >"$E2E_WORK/answers" &
asker=$!
ok "ingest is killed and started again" stack start ingest
wait $asker
ok "exists comes to say 1" [ $? = 0 ]
ok "and never said 0 before" not grep -q 'exists=0' "$E2E_WORK/answers"
ok "pushes go on" push_as $A "$zone" 4
eventually 15 "and are served" all_serve "$zone" 4
