#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows on a running stack (tools/stack.sh up) what DaDNS does: zones pushed byte for byte as DirectAdmin
# pushes them, and how long each name server took to serve them. Exit code 1 if one did not within 10 s.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

STACK_DIR=${STACK_DIR:-build/run}
ENDPOINTS=$STACK_DIR/endpoints.env
[ -r "$ENDPOINTS" ] || {
	echo "demo: no stack is running in $STACK_DIR; 'make up' starts one" >&2
	exit 1
}
set -a
# shellcheck disable=SC1090
. "$ENDPOINTS"
set +a

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
HOST=da1.hoster.example
FAILED=0
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
	BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi

ask() { # NS NAME TYPE
	local address=${1}_DNS
	address=${!address}
	dig +time=1 +tries=2 +norecurse @"${address%:*}" -p "${address##*:}" "$2" "$3" "${@:4}"
}

# Today's 00, or one more than what is served: as DirectAdmin counts.
next_serial() {
	local today served
	today=$(date -u +%Y%m%d)00
	served=$(ask NS1 "$1" SOA +short | cut -d ' ' -f 3)
	[[ $served =~ ^[0-9]+$ && $served -ge $today ]] && echo $((served + 1)) || echo "$today"
}

shortened() {
	local text=$1 strings=${1//[^\"]/}
	if [ ${#text} -gt 64 ]; then
		text="${text:0:34} … ${text: -14} ($((${#strings} / 2)) strings, ${#1} characters)"
	fi
	echo "$text"
}

# show PATH BODY ZONE SERIAL|gone NAME TYPE: sends it, prints what came of it.
show() {
	local path=$1 body=$2 zone=$3 serial=$4 name=$5 type=$6 who ms status text found

	echo "   ${DIM}POST $path${PLAIN}"
	while IFS=$'\t' read -r who ms status text; do
		if [ "$who" = answer ]; then
			printf '   %-7s %7s ms  %s  %s\n' answer "$ms" "$status" "$text"
			[[ $status == 200* && $text == *error=0* ]] || FAILED=1
			continue
		fi
		if [ "$serial" = gone ]; then
			found=$(ask "$who" "$name" "$type" | sed -n 's/.*status: \([A-Z]*\).*/\1/p')
		else
			found=$(shortened "$(ask "$who" "$name" "$type" +short | head -n 1)")
		fi
		if [ "$ms" = - ] || [ -z "$found" ]; then
			FAILED=1
			printf '   %-7s %s   not within 10 s%s (now: %s)\n' "${who,,}" "$RED" "$PLAIN" "${found:-nothing}"
		else
			printf '   %-7s %s%7s ms%s  %s %s  %s\n' "${who,,}" "$GREEN" "$ms" "$PLAIN" "$name" "$type" "$found"
		fi
	done < <(/usr/bin/python3 tools/demo/push.py "$path" "$body" "$zone" "$serial")
}

# push FILE ZONE QUERY NAME TYPE: the file with the next serial in it.
push() {
	local serial
	serial=$(next_serial "$2")
	sed "s/2026112100/$serial/" "tools/demo/$1.zone" >"$WORK/body"
	show "/CMD_API_DNS_ADMIN?action=rawsave&domain=$2$3&hostname=$HOST" "$WORK/body" "$2" "$serial" "$4" "$5"
}

NAMED=$("$STACK_DIR/bin/named" -v 2>/dev/null | sed 's/^\(BIND [0-9.]*\).*/\1/')
CORE=$("${COREDNS:-build/coredns/coredns}" -version 2>/dev/null | sed -n 's/^CoreDNS-/CoreDNS /p')
PDNS=$(PATH=$PATH:/usr/sbin pdns_server --version 2>&1 | sed -n 's/.*Server \([0-9.]*\).*/PowerDNS \1/p')
cat <<END
${BOLD}DaDNS: zones pushed as DirectAdmin does, through Kafka, to four name servers${PLAIN}
ns1 and ns2: $NAMED. dc1: $CORE and dc2: $PDNS, each on MariaDB.
Times count from the moment DirectAdmin connects; the name servers are asked by UDP all the while.

${BOLD}1. A customer's zone with SPF and a 2048-bit DKIM key${PLAIN}
END
push shop.example shop.example '&username=fred' x._domainkey.shop.example TXT

echo
echo "${BOLD}2. An internationalised name, bücher.example, made by the admin (no user)${PLAIN}"
push xn--bcher-kva.example xn--bcher-kva.example '' www.xn--bcher-kva.example AAAA

echo
echo "${BOLD}3. A wildcard certificate: the zone, then the ACME challenge with named_reload=yes${PLAIN}"
push blog.example blog.example '&username=wilma' www.blog.example A
push blog.example-acme blog.example '&named_reload=yes&username=wilma' _acme-challenge.blog.example TXT

echo
echo "${BOLD}4. The customer leaves: delete, its name in the body, as DirectAdmin writes it${PLAIN}"
printf 'action=delete&cluster=yes&hostname=%s&select0=xn--bcher-kva.example' "$HOST" >"$WORK/body"
show /CMD_API_DNS_ADMIN "$WORK/body" xn--bcher-kva.example gone xn--bcher-kva.example SOA

echo
if [ $FAILED != 0 ]; then
	echo "${RED}Something above was not served within 10 s.${PLAIN} Logs: $STACK_DIR/logs, members: tools/stack.sh status"
	exit 1
fi
cat <<END
${BOLD}The stack stays up. Try next${PLAIN}
   . $ENDPOINTS          # every address, port, user and password
   curl -u \$INGEST_USER:\$INGEST_PASSWORD --data-binary @tools/demo/blog.example.zone \\
     "\$INGEST_URL/CMD_API_DNS_ADMIN?action=rawsave&domain=blog.example&username=wilma&hostname=$HOST"
   dig @127.0.0.1 -p ${NS1_DNS##*:} blog.example AXFR      # ns2 ${NS2_DNS##*:}, dc1 ${DC1_DNS##*:}, dc2 ${DC2_DNS##*:}
   mariadb --defaults-file=\$MARIADB_ADMIN dc1 -e 'SELECT * FROM records'
   kcat -b \$KAFKA_BROKERS -C -q -e -o beginning -t dadns.zones -f '%k %s\n'     # what is true
   kcat -b \$KAFKA_BROKERS -C -q -e -o beginning -t dadns.status -f '%k %s\n'    # who serves it since when
   tools/stack.sh stop writer-ns2   # push something, then: tools/stack.sh start writer-ns2
   make test                       # everything that must pass
   make down                       # stops the stack
END
