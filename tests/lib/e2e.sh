# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a story needs; `. tests/lib/e2e.sh` is its first line, from any folder. A story looks like this:
#
#	. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"
#	story "A pushed zone is served by both name servers"
#	zone=$(new_zone)
#	zone_text "$zone" 2026112100 | ok "the push is acknowledged" push - "$zone" fred
#	eventually 5 "ns1 serves it" serves ns1 "$zone" 2026112100
#
# It has the whole stack running when it begins, and leaves it running. Each ok and eventually counts; the
# last line is "N passed, N failed". Nothing is skipped: a server that is missing is a failure.
# Set BIN to choose the build, STACK_DIR to choose the stack.
set -uo pipefail
export LC_ALL=C

E2E_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$E2E_ROOT" || exit 1
export STACK_DIR=${STACK_DIR:-build/test-run}
export BIN=${BIN:-build/release}
export COREDNS=${COREDNS:-build/coredns/coredns}
DA_HOST=${DA_HOST:-da1.hoster.example} # who pushes, unless a story says otherwise
SERVERS="ns1 ns2 dc1 dc2"              # all name servers of the stack
E2E_WORK=$(mktemp -d)
: >"$E2E_WORK/results"

# ---- counting ------------------------------------------------------------------------------------
# Results go to a file: an ok at the end of a pipe runs in a subshell.

story() { printf '# %s\n' "$*"; }

e2e_result() { # ok|not ok, sentence, seconds
	echo "$1" >>"$E2E_WORK/results"
	printf '%s %d - %s (%s s)\n' "$1" "$(wc -l <"$E2E_WORK/results")" "$2" "$3"
}

e2e_seconds() {
	local ms=$(((${EPOCHREALTIME/./} - $1) / 1000))
	printf '%d.%02d' $((ms / 1000)) $((ms % 1000 / 10))
}

# ok "sentence" cmd…: cmd must succeed. Its output is shown only if it does not.
ok() {
	local sentence=$1 began=${EPOCHREALTIME/./} code=0 output
	shift
	output=$("$@" 2>&1) || code=$?
	if [ $code = 0 ]; then
		e2e_result ok "$sentence" "$(e2e_seconds "$began")"
		return 0
	fi
	e2e_result 'not ok' "$sentence" "$(e2e_seconds "$began")"
	printf '#   %s: exit code %d\n' "$*" "$code"
	[ -z "$output" ] || tail -n 20 <<<"$output" | sed 's/^/#   /'
	return 1
}

# eventually SECONDS "sentence" cmd…: cmd must succeed within that time; tried every 50 ms.
eventually() {
	local patience=$1 sentence=$2 began=${EPOCHREALTIME/./} until output
	shift 2
	until=$((began + ${patience%.*} * 1000000))
	while ! output=$("$@" 2>&1); do
		if [ "${EPOCHREALTIME/./}" -ge "$until" ]; then
			e2e_result 'not ok' "$sentence" "$(e2e_seconds "$began")"
			printf '#   not within %s s: %s\n' "$patience" "$*"
			[ -z "$output" ] || tail -n 20 <<<"$output" | sed 's/^/#   /'
			return 1
		fi
		sleep 0.05
	done
	e2e_result ok "$sentence" "$(e2e_seconds "$began")"
}

# never SECONDS "sentence" cmd…: cmd must not succeed once in that time.
never() {
	local patience=$1 sentence=$2 began=${EPOCHREALTIME/./} until
	shift 2
	until=$((began + ${patience%.*} * 1000000))
	while [ "${EPOCHREALTIME/./}" -lt "$until" ]; do
		if "$@" >/dev/null 2>&1; then
			e2e_result 'not ok' "$sentence" "$(e2e_seconds "$began")"
			printf '#   it did: %s\n' "$*"
			return 1
		fi
		sleep 0.05
	done
	e2e_result ok "$sentence" "$(e2e_seconds "$began")"
}

# says PATTERN cmd…: cmd's output matches the pattern (as in case). not cmd…: it fails.
says() {
	local pattern=$1 output
	shift
	output=$("$@" 2>&1)
	# shellcheck disable=SC2254
	case $output in
	$pattern) return 0 ;;
	esac
	printf 'wanted: %s\ngot: %s\n' "$pattern" "$output"
	return 1
}

not() { ! "$@"; }

e2e_summary() {
	local code=$? passed failed
	# an exit code without a failure that explains it: the story broke
	[ $code = 0 ] || grep -q '^not' "$E2E_WORK/results" ||
		e2e_result 'not ok' "the story came to its end (exit code $code)" 0
	e2e_config_back
	passed=$(grep -c '^ok' "$E2E_WORK/results")
	failed=$(grep -c '^not' "$E2E_WORK/results")
	rm -rf "$E2E_WORK"
	echo "$passed passed, $failed failed"
	trap - EXIT
	[ "$failed" = 0 ] && [ "$passed" != 0 ] || exit 1
	exit 0
}

# ---- the stack -----------------------------------------------------------------------------------

stack() { tools/stack.sh "$@"; }

# A program that was built again since it was started is started again.
e2e_stop_outdated() {
	local file name program exe
	for file in "$STACK_DIR"/pids/{dc1,ingest,writer}*.pid; do
		[ -e "$file" ] || continue
		name=$(basename "$file" .pid)
		program=$BIN/$(awk -v name="$name" '$1 == name { print $2 }' "$STACK_DIR/ports")
		[[ $program != */coredns ]] || program=$COREDNS
		exe=$(readlink "/proc/$(cat "$file")/exe") || continue
		[ "$exe" = "$(readlink -f "$program")" ] || stack stop "$name" >/dev/null
	done
}

# dadns.yml is again what it was before add_backend.
e2e_config_back() { [ ! -e "$STACK_DIR/dadns.yml.before" ] || mv -f "$STACK_DIR/dadns.yml.before" "$STACK_DIR/dadns.yml"; }

e2e_begin() {
	local file name output members
	members=$(sed -n 's/^STACK_MEMBERS=//p' "$STACK_DIR/endpoints.env" 2>/dev/null)
	for file in "$STACK_DIR"/pids/*.pid; do # what a broken story left
		[ -e "$file" ] || continue
		name=$(basename "$file" .pid)
		stack cont "$name" 2>/dev/null
		[[ ,$members, == *",$name,"* ]] || stack stop "$name" >/dev/null
	done
	e2e_config_back
	e2e_stop_outdated
	if ! output=$(stack up 2>&1); then
		printf '#   %s\n' "${output//$'\n'/$'\n#   '}"
		e2e_result 'not ok' "the stack comes up" 0
		exit 0
	fi
	reload_endpoints
}

# After `stack start ingest-2` its addresses are known as INGEST_2_URL and so on.
reload_endpoints() {
	set -a
	# shellcheck disable=SC1090,SC1091
	. "$STACK_DIR/endpoints.env"
	set +a
}

# add_backend <STANZA: until the story ends it stands in dadns.yml; `stack start writer-NAME` then serves it:
#	stack database dc3 | add_backend && stack start writer-dc3
add_backend() {
	[ -e "$STACK_DIR/dadns.yml.before" ] || cp -p "$STACK_DIR/dadns.yml" "$STACK_DIR/dadns.yml.before"
	sed -i '/^  backends:$/r /dev/stdin' "$STACK_DIR/dadns.yml"
}

# e2e_value NAME KEY: ns1 DNS prints $NS1_DNS
e2e_value() {
	local key=${1^^}
	key=${key//-/_}_$2
	[ -n "${!key:-}" ] || {
		echo "endpoints.env has no $key" >&2
		return 1
	}
	echo "${!key}"
}

# ---- as DirectAdmin ------------------------------------------------------------------------------
# DOOR=$INGEST_2_URL before a command sends it to another replica.

# raw FILE|-: the bytes as they are; prints the answer as it came, without carriage returns.
raw() {
	local url=${DOOR:-$INGEST_URL} address fd
	address=${url#http://}
	{ exec {fd}<>"/dev/tcp/${address%:*}/${address##*:}"; } 2>/dev/null || {
		echo "nobody listens on $address"
		return 1
	}
	# a refusal may come, and the connection go, before all was sent
	cat "${1:--}" 2>/dev/null 1>&"$fd"
	timeout "${RAW_PATIENCE:-15}" cat <&"$fd" | tr -d '\r'
	exec {fd}>&-
}

# da_send METHOD TARGET [BODY_FILE]: DirectAdmin's three headers; prints the answer's body and succeeds if
# the status was 200 and the body does not say error=1.
da_send() {
	local login answer
	login=$(printf '%s:%s' "${DA_USER:-$INGEST_USER}" "${DA_PASSWORD:-$INGEST_PASSWORD}" | base64 -w 0)
	answer=$(
		{
			printf '%s %s HTTP/1.0\r\nAUTHORIZATION: Basic %s\r\nHOST: ns1.dns.example\r\n' "$1" "$2" "$login"
			if [ $# -gt 2 ]; then
				printf 'Content-Length: %d\r\n\r\n' "$(stat -c %s "$3")"
				cat "$3"
			else
				printf '\r\n'
			fi
		} | raw -
	)
	printf '%s\n' "${answer#*$'\n\n'}"
	[[ $answer == HTTP/1.?' 200'* && ${answer#*$'\n\n'} != *error=1* ]]
}

# push FILE|- ZONE [USER] [EXTRA_QUERY], e.g. push zone.txt shop.example fred named_reload=yes
push() {
	local body=$1 own='' code=0
	if [ "$body" = - ] || [ ! -f "$body" ]; then # a pipe has no length
		own=$(mktemp "$E2E_WORK/body.XXXXXX")
		if [ "$body" = - ]; then cat; else cat "$body"; fi >"$own"
		body=$own
	fi
	da_send POST "/CMD_API_DNS_ADMIN?action=rawsave&domain=$2${4:+&$4}${3:+&username=$3}&hostname=$DA_HOST" "$body" || code=$?
	[ -z "$own" ] || rm -f "$own"
	return $code
}

# da_delete OWNER ZONE…: no query string, no Content-Type, the names in select0, select1, …
da_delete() {
	local body="action=delete&cluster=yes&hostname=$1" i=0 zone file code=0
	shift
	for zone in "$@"; do
		body+="&select$i=$zone"
		i=$((i + 1))
	done
	file=$(mktemp "$E2E_WORK/body.XXXXXX")
	printf '%s' "$body" >"$file"
	da_send POST /CMD_API_DNS_ADMIN "$file" || code=$?
	rm -f "$file"
	return $code
}

# exists ZONE [parent]: prints the answer, e.g. error=0&exists=1&details=…
exists() {
	da_send GET "/CMD_API_DNS_ADMIN?action=exists&domain=$1${2:+&check_for_parent_domain=true}"
}

# ---- what is served ------------------------------------------------------------------------------

# ask NS NAME TYPE [dig's options]
ask() {
	local address
	address=$(e2e_value "$1" DNS) || return
	dig +time=1 +tries=1 +norecurse "@${address%:*}" -p "${address##*:}" "$2" "$3" "${@:4}"
}

# rdata NS NAME TYPE: the answers, one a line, sorted.
rdata() { ask "$1" "$2" "$3" +short | sort; }

# soa NS ZONE: the serial, or REFUSED, SERVFAIL, NXDOMAIN, …, or TIMEOUT.
soa() {
	local reply
	reply=$(ask "$1" "$2" SOA +noall +comments +answer) || {
		echo TIMEOUT
		return
	}
	awk '$4 == "SOA" { serial = $7 }
		match($0, /status: [A-Z]+/) { status = substr($0, RSTART + 8, RLENGTH - 8) }
		END { print serial != "" ? serial : status }' <<<"$reply"
}

# serves NS ZONE SERIAL|REFUSED
serves() { says "$3" soa "$1" "$2"; }

# all_serve ZONE SERIAL|REFUSED
all_serve() {
	local ns
	for ns in $SERVERS; do
		serves "$ns" "$1" "$2" || return 1
	done
}

# all_answer NAME TYPE PATTERN: rdata
all_answer() {
	local ns
	for ns in $SERVERS; do
		says "$3" rdata "$ns" "$1" "$2" || return 1
	done
}

# ---- what stands in the databases ------------------------------------------------------------------

# sql NAME [STATEMENTS]: the rows, tabs between columns. NAME is a database with its own account (dc1, dc2), or a
# server as root (mariadb, mariadb-2). Without STATEMENTS it reads them.
sql() {
	local where login=() password=''
	if [[ $1 == mariadb* ]]; then
		where=$(e2e_value "$1" ADMIN) || return
		login=(--defaults-file="$where")
	else
		where=$(e2e_value "$1" MYSQL) || return
		[[ $where =~ ^mysql://(.+):(.+)@(.+):([0-9]+)/(.+)$ ]] || return
		password=${BASH_REMATCH[2]}
		login=(--no-defaults --user="${BASH_REMATCH[1]}" --host="${BASH_REMATCH[3]}" --port="${BASH_REMATCH[4]}"
			--database="${BASH_REMATCH[5]}")
	fi
	MYSQL_PWD=$password mariadb "${login[@]}" --batch --skip-column-names <<<"${2-$(cat)}"
}

# rows_digest BACKEND ZONE [DIGEST]: of the zone's rows, by another hand; "absent" if it has none.
rows_digest() { /usr/bin/python3 tests/lib/rows.py "$@"; }

# log_digest ZONE: what dadns.zones says.
log_digest() { topic dadns.zones | grep "^$1 " | tail -n 1 | cut -d ' ' -f 2- | jq -r '.digest // "absent"'; }

# ---- our services --------------------------------------------------------------------------------

# admin NAME PATH: ingest, ingest-2, writer-ns1, …; succeeds on 200.
admin() {
	local url
	url=$(e2e_value "$1" ADMIN_URL) || return
	curl -sS --fail-with-body --max-time 5 "$url$2"
}

# metric NAME METRIC: the sum over its labels, 0 if there is none.
metric() {
	admin "$1" /metrics | awk -v name="$2" '{ split($1, part, "{") } part[1] == name { sum += $NF } END { print sum + 0 }'
}

# topic NAME [kcat's options]: all its records from the beginning, "key value" a line.
topic() { kcat -b "$KAFKA_BROKERS" -X fetch.wait.max.ms=10 -C -q -e -o beginning -t "$1" -f '%k %s\n' "${@:2}"; }

# ends TOPIC: "partition next-offset" a line.
ends() {
	local i where=()
	for ((i = 0; i < 12; i++)); do
		where+=(-t "$1:$i:-1")
	done
	kcat -b "$KAFKA_BROKERS" -Q "${where[@]}" | sed -nE 's/.*\[([0-9]+)\] offset ([0-9]+)$/\1 \2/p' | sort -n
}

# status BACKEND ZONE [jq filter]: its last word on dadns.status, e.g. status judge shop.example .state
status() {
	kcat -b "$KAFKA_BROKERS" -X fetch.wait.max.ms=10 -C -q -e -o beginning -t dadns.status -f '%k %s\n' |
		grep -F -- "$1/$2 " | tail -n 1 | cut -d ' ' -f 2- | jq -r "${3:-.}"
}

# ---- zones ---------------------------------------------------------------------------------------

# A name nobody used before; the stack lives longer than a story.
new_zone() {
	printf '%s-%x%04x.example\n' "${1:-shop}" $((${EPOCHREALTIME/./} % 68719476736)) $RANDOM
}

# zone_text ZONE SERIAL [ADDRESS] [MORE]: as DirectAdmin writes it; MORE is one or more whole lines.
zone_text() {
	local zone=$1 serial=$2 address=${3:-192.0.2.10} name
	printf '\n%.0s' {1..13}
	# shellcheck disable=SC2016
	printf '$TTL 3600\n@       IN      SOA     ns1.hoster.example.      hostmaster.%s. (\n' "$zone"
	printf '                                                %s\n' "$serial" 3600 3600 1209600 '86400 )'
	printf '\n%s.\t3600\tIN\tNS\tns%d.hoster.example.' "$zone" 1
	printf '\n%s.\t3600\tIN\tNS\tns%d.hoster.example.\n\n' "$zone" 2
	for name in ftp "$zone." mail pop smtp webmail www; do
		printf '%s\t3600\tIN\tA\t%s\n' "$name" "$address"
	done
	printf '\n%s.\t3600\tIN\tMX\t10 mail\n\n\n\n' "$zone"
	[ -z "${4:-}" ] || printf '%s\n' "$4"
	printf '%s.\t3600\tIN\tTXT\t"v=spf1 +a +mx include:spf.hoster.example ~all"\n' "$zone"
	printf '\n%.0s' {1..8}
}

trap e2e_summary EXIT
trap 'exit 130' INT TERM
e2e_begin
