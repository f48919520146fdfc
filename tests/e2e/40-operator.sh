#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"
story "What an operator sees and does: topics, configuration, health, secrets, starting and stopping"

CONFIG=$STACK_DIR/dadns.yml
SERVICES="ingest writer-ns1 writer-ns2 writer-dc1 writer-dc2"
kafka_configs() { # TOPIC add|delete SETTING…
	local verb=$2 topic=$1
	shift 2
	local IFS=,
	tools/kafka.sh exec kafka.admin.ConfigCommand --bootstrap-server "$KAFKA_BROKERS" --entity-type topics \
		--entity-name "$topic" --alter "--$verb-config" "$*"
}
check() { "$BIN/dadns" topics check --config "$CONFIG"; }
applied() { "$BIN/dadns" topics apply --config "$CONFIG"; }

# ---- topics ------------------------------------------------------------------------------------------
ok "dadns topics check finds the topics right" check
ok "Kafka's own tool shows zones as compacted, with LogAppendTime and no size limit" says \
	'*cleanup.policy=compact*message.timestamp.type=LogAppendTime*retention.bytes=-1*' \
	eval "tools/kafka.sh exec org.apache.kafka.tools.TopicCommand --bootstrap-server $KAFKA_BROKERS --describe --topic dadns.zones | head -n 1 | grep -o 'Configs:.*' | tr ',:' '\n\n' | sort | tr '\n' ' '"
for topic in pushes zones heals status dead-letters; do
	ok "dadns.$topic has 12 partitions" says 12 eval \
		"kcat -b $KAFKA_BROKERS -L -J -t dadns.$topic | jq '.topics[0].partitions | length'"
done
kafka_configs dadns.pushes add cleanup.policy=compact >/dev/null
kafka_configs dadns.zones add cleanup.policy=delete retention.bytes=1000000 min.compaction.lag.ms=0 >/dev/null
for change in 'dadns.pushes cleanup.policy=compact' 'dadns.zones cleanup.policy=delete' 'dadns.zones retention.bytes=1000000' \
	'dadns.zones min.compaction.lag.ms=0'; do
	setting=${change#* }
	ok "check complains about $change" says "*${change% *}*${setting%=*} is ${setting#*=}, must be *" \
		eval '! check >"$E2E_WORK/check" 2>&1 && cat "$E2E_WORK/check"'
done
ok "apply corrects them" says '*dadns.zones*' applied
ok "and check is content" check
epoch() { topic dadns.zones | grep '^@epoch ' | cut -d ' ' -f 2- | jq -s 'map(.epoch) | unique | join(" ")' -r; }
before=$(epoch)
ok "apply again changes nothing" applied
ok "the epoch is one, and the same as before" says "$before" epoch
ok "an unknown command is refused" says 2 eval '"$BIN/dadns" frobnicate >/dev/null 2>&1; echo $?'

# ---- configuration and help -------------------------------------------------------------------------------
for program in ingest writer-bind writer-mysql dadns; do
	ok "$program --help speaks of --config" says '*--config*' "$BIN/$program" --help
	ok "$program --version names a version" says '*[0-9a-z]*' "$BIN/$program" --version
done
ok "ingest --help lists its keys" says '*app.listen*' "$BIN/ingest" --help
ok "ingest --check-config is content with the stack's file" "$BIN/ingest" --config "$CONFIG" --check-config
ok "writer-bind too" "$BIN/writer-bind" --config "$CONFIG" --backend ns1 --check-config
for dc in dc1 dc2; do
	ok "writer-mysql too, for $dc" "$BIN/writer-mysql" --config "$CONFIG" --backend $dc --check-config
done
example() { # PROGRAM [ARGUMENT…], with secrets that are not in files
	DADNS_APP_AUTH_PASSWORD=x DADNS_DNS_BACKENDS_DC1_PASSWORD=x DADNS_DNS_BACKENDS_DC2_PASSWORD=x \
		DADNS_DNS_BACKENDS_DC2_API_KEY=x "$BIN/$1" --config deploy/dadns.yml "${@:2}" --check-config
}
ok "ingest is content with the example in deploy/" example ingest
ok "writer-bind too" example writer-bind --backend ns1
for dc in dc1 dc2; do
	ok "writer-mysql too, for $dc" example writer-mysql --backend $dc
done
ok "the named.conf beside it is one" named-checkconf <(grep -v rndc.key deploy/named.conf | sed 's/ keys { "rndc-key"; }//')
ok "and prints no secret" not grep -F "$INGEST_PASSWORD" <("$BIN/ingest" --config "$CONFIG" --check-config 2>&1)
bad() { # SENTENCE WORD SED_EXPRESSION: exit code 78 and a text with WORD
	sed "$3" "$CONFIG" >"$E2E_WORK/bad.yml"
	ok "$1" says "78 *$2*" eval 'text=$("$BIN/ingest" --config "$E2E_WORK/bad.yml" --check-config 2>&1); echo "$? $text"'
}
bad "a value out of range is refused by name" topics.partitions 's/partitions: 12/partitions: 0/'
bad "a word for a number is refused by name" topics.partitions 's/partitions: 12/partitions: many/'
bad "an unknown key is refused by name" listn 's/  listen:/  listn:/'
bad "a password file that is not there is named" no-such-file 's/ingest-password/no-such-file/'
for program in writer-bind writer-mysql; do
	ok "$program: a backend that is not configured is refused" says '78 *ns9*' eval \
		'text=$("$BIN/$program" --config "$CONFIG" --backend ns9 --check-config 2>&1); echo "$? $text"'
done
ok "writer-mysql refuses a name server's stanza" says '78 *ns1*bind*' eval \
	'text=$("$BIN/writer-mysql" --config "$CONFIG" --backend ns1 --check-config 2>&1); echo "$? $text"'
ok "writer-bind a database's" says '78 *dc1*coredns_mysql*' eval \
	'text=$("$BIN/writer-bind" --config "$CONFIG" --backend dc1 --check-config 2>&1); echo "$? $text"'

# ---- health and metrics ---------------------------------------------------------------------------------------
for name in $SERVICES; do
	ok "$name: /livez" admin $name /livez
	ok "$name: /readyz" admin $name /readyz
	ok "$name: /metrics is Prometheus text, each family with HELP and TYPE" eval \
		"admin $name /metrics | awk '/^# TYPE/ { type[\$3] = 1 } /^# HELP/ { help[\$3] = 1 }
			!/^#/ { name = \$1; sub(/[{].*/, \"\", name); base = name; sub(/_(bucket|sum|count)\$/, \"\", base);
				if (!(name in type) && !(base in type)) exit 1; if (\$NF !~ /^[0-9.e+-]+\$|Inf|NaN/) exit 1; n++ }
			END { exit n < 10 }'"
	ok "$name: no zone name in it" not grep -qE '\.example' <(admin $name /metrics)
	ok "$name: another page is a 404" says '*404*' admin $name /nothing
done
pushes=$(metric ingest dadns_door_requests_total)
zone=$(new_zone operator)
ok "a push" push <(zone_text "$zone" 1) "$zone" fred
ok "is counted" [ "$(metric ingest dadns_door_requests_total)" -gt "$pushes" ]
eventually 5 "and served" all_serve "$zone" 1

# ---- secrets -----------------------------------------------------------------------------------------------------
canary=canary-$RANDOM$RANDOM-secret
stack stop ingest >/dev/null
cp -p "$STACK_DIR/secrets/ingest-password" "$E2E_WORK/password"
printf '%s\n' "$canary" >"$STACK_DIR/secrets/ingest-password"
sed 's/^log_level: .*/log_level: DEBUG/' "$CONFIG" >"$E2E_WORK/debug.yml"
cp -p "$CONFIG" "$E2E_WORK/dadns.yml"
cp "$E2E_WORK/debug.yml" "$CONFIG"
stack start ingest >/dev/null
cp "$E2E_WORK/dadns.yml" "$CONFIG"
zone_text "$zone" 2 192.0.2.10 "note 60 IN TXT \"body-$canary\"" >"$E2E_WORK/zone"
ok "with a planted password the right login works" eval 'DA_PASSWORD=$canary push "$E2E_WORK/zone" "$zone" fred'
ok "the old one does not" eval '! push "$E2E_WORK/zone" "$zone" fred'
ok "a wrong one is planted too" eval '! DA_USER=mallory DA_PASSWORD="wrong-$canary" push "$E2E_WORK/zone" "$zone" fred'
eventually 5 "the push is served" all_serve "$zone" 2
secret=$(base64 -w 0 <<<"$canary" | cut -c 1-20)
login=$(printf '%s:%s' "$INGEST_USER" "$canary" | base64 -w 0)
clean() { # FILE
	! grep -qF -e "wrong-$canary" -e "$secret" -e "${login:24:20}" "$1" && ! sed "s/body-$canary//g" "$1" | grep -qF "$canary"
}
printf 'login %s\n' "$canary" >"$E2E_WORK/leak"
ok "a leak would be seen" not clean "$E2E_WORK/leak"
# What the servers' clients know: the databases' passwords, PowerDNS's key, rndc's.
find "$STACK_DIR/secrets" -type f ! -name ingest-password -exec cat {} + >"$E2E_WORK/keys"
sed -n 's/.*secret "\(.*\)";.*/\1/p' "$STACK_DIR"/ns?/rndc.key >>"$E2E_WORK/keys"
ok "there are keys that must not be told" [ "$(grep -c . "$E2E_WORK/keys")" -ge 6 ]
for name in $SERVICES; do
	ok "no secret in $name's log" clean "$STACK_DIR/logs/$name.log"
	ok "no zone body in $name's log" not grep -qF "body-$canary" "$STACK_DIR/logs/$name.log"
	admin $name /metrics >"$E2E_WORK/metrics"
	ok "nor in its metrics" not grep -qF "$canary" "$E2E_WORK/metrics"
	tr '\0' '\n' <"/proc/$(cat "$STACK_DIR/pids/$name.pid")/cmdline" >"$E2E_WORK/argv"
	ok "nor in its arguments" not grep -qF "$canary" "$E2E_WORK/argv"
	ok "nor a server's key in any of them" not grep -qFf "$E2E_WORK/keys" "$STACK_DIR/logs/$name.log" \
		"$E2E_WORK/metrics" "$E2E_WORK/argv"
done
for name in pushes zones status dead-letters audits; do
	topic dadns.$name -f '%k %h %s\n' >"$E2E_WORK/topic"
	ok "no secret in dadns.$name" eval 'clean "$E2E_WORK/topic" && not grep -qFf "$E2E_WORK/keys" "$E2E_WORK/topic"'
done
cp -p "$E2E_WORK/password" "$STACK_DIR/secrets/ingest-password"
stack stop ingest >/dev/null
stack start ingest >/dev/null
ok "the password is the old one again" push <(zone_text "$zone" 3) "$zone" fred

# ---- SIGTERM with work in flight --------------------------------------------------------------------------------------
burst() { # NAME COUNT SERIAL: pushes it acknowledged, one a line
	local i
	for ((i = 1; i <= $2; i++)); do
		zone_text "$i-$1" "$3" | push - "$i-$1" fred >/dev/null && echo "$i-$1"
	done
	return 0
}
stem=$(new_zone term)
# in_dc1 NAME: the zones of its bursts that stand there
in_dc1() {
	sql dc1 "SELECT TRIM(TRAILING '.' FROM z.zone_name) FROM zones z JOIN records r ON r.zone_id = z.id
		WHERE r.type = 'SOA' AND z.zone_name LIKE '%-$1-$stem.'" | sort
}
# serving NS FILE…: those of the zones that it serves with serial 1
serving() {
	local address
	address=$(e2e_value "$1" DNS) || return
	cat "${@:2}" | sed 's/$/ SOA/' | dig +time=1 +tries=1 +norecurse +noall +answer "@${address%:*}" -p "${address##*:}" -f - |
		awk '$4 == "SOA" && $7 == 1 { sub(/[.]$/, "", $1); print $1 }' | sort
}
for name in ingest writer-ns1 writer-dc1 writer-dc2; do
	for part in a b; do
		burst "$part-$name-$stem" 25 1 >"$E2E_WORK/acked.$part" &
	done
	while [ "$(cat "$E2E_WORK"/acked.? 2>/dev/null | wc -l)" -lt 8 ]; do sleep 0.01; done
	began=${EPOCHREALTIME/./}
	stack stop $name >"$E2E_WORK/stopped"
	took=$(((${EPOCHREALTIME/./} - began) / 1000))
	ok "$name ends on SIGTERM in the middle of pushes with exit code 0, within 12 s ($took ms)" eval \
		"grep -q 'exit code 0' $E2E_WORK/stopped && [ $took -lt 12000 ]"
	wait $(jobs -p) 2>/dev/null
	printf '#   %d pushes were acknowledged around it\n' "$(cat "$E2E_WORK"/acked.? | wc -l)"
	stack start $name >/dev/null
	all_served() {
		local ns
		for ns in $SERVERS; do
			[ -z "$(comm -23 <(sort "$E2E_WORK"/acked.?) <(serving "$ns" "$E2E_WORK"/acked.?))" ] || return 1
		done
		[ -z "$(comm -23 <(sort "$E2E_WORK"/acked.?) <(in_dc1 "$name"))" ]
	}
	ok "$name: something was acknowledged" [ -s "$E2E_WORK/acked.a" ]
	eventually 20 "$name: every push that was acknowledged is served, and in dc1" all_served
	rm -f "$E2E_WORK"/acked.?
done

# ---- started in any order ----------------------------------------------------------------------------------------------
stack down >/dev/null
for name in writer-ns1 writer-dc2 ingest writer-ns2 writer-dc1; do
	STACK_NOWAIT=1 stack start $name >/dev/null
done
for name in writer-ns1 writer-dc1; do
	eventually 5 "$name lives without Kafka and its server" admin $name /livez
	eventually 5 "and says what it waits for" says '*topics*' eval "admin $name /readyz 2>&1; true"
done
eventually 5 "ingest without Kafka lives" admin ingest /livez
ok "and says that it is not ready" not admin ingest /readyz
# I1: nobody is told error=0 for what is not in the log.
ok "a push without Kafka is answered with an error that says why" says 'error=1&text=*' push <(zone_text "$zone" 3) "$zone" fred
stack start kafka >/dev/null
stack start ns1 >/dev/null
for name in redis dc1 dc2 ns2 mariadb; do # dc1 and dc2 wait for their databases by themselves
	STACK_NOWAIT=1 stack start $name >/dev/null
done
for name in $SERVICES; do
	eventually 30 "$name comes up when the others are there" admin $name /readyz
done
ok "a push is acknowledged" push <(zone_text "$zone" 4) "$zone" fred
eventually 15 "and served by all" all_serve "$zone" 4
eventually 5 "and in dc1" rows_digest dc1 "$zone" "$(log_digest "$zone")"
