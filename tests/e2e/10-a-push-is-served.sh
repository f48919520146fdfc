#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"
story "What DirectAdmin pushes is what every name server serves; captured requests, byte for byte"

WIRE=tests/data/wire
ZONE=shop.example

answers() { says "$1" raw "$WIRE/$2"; } # PATTERN FILE

# http VERSION METHOD TARGET BODY [HEADER…]: the request's bytes
http() {
	printf '%s %s HTTP/%s\r\nAUTHORIZATION: Basic %s\r\nHOST: ns1.dns.example\r\n' "$2" "$3" "$1" \
		"$(printf '%s:%s' "$INGEST_USER" "$INGEST_PASSWORD" | base64 -w 0)"
	[ $# -lt 5 ] || printf '%s\r\n' "${@:5}"
	printf 'Content-Length: %d\r\n\r\n%s' "${#4}" "$4"
}

save_target() { echo "/CMD_API_DNS_ADMIN?action=rawsave&domain=$1&username=fred&hostname=$DA_HOST"; }

# ---- the captured requests, in order ---------------------------------------------------------------

da_delete da1.hoster.example "$ZONE" >/dev/null # an earlier run of this story
eventually 10 "the zone is not served before it is pushed" all_serve "$ZONE" REFUSED

ok "a login test is answered with a text" answers $'HTTP/1.* 200 *\n\nerror=0&text=*' 01-login-test.http
ok "an unknown zone does not exist" answers $'*\n\nerror=0&exists=0' 02-exists.http
ok "nor does a parent of it" answers $'*\n\nerror=0&exists=0' 03-exists-parent.http

ok "an admin-level push is acknowledged" answers $'HTTP/1.* 200 *\n\nerror=0' 04-rawsave-admin-level.http
eventually 5 "all serve it" all_serve "$ZONE" 2026112100
ok "with its records" all_answer "www.$ZONE" A 192.0.2.10
ok "names without a dot belong to the zone" all_answer "$ZONE" MX "10 mail.$ZONE."
ok "the apex has two NS" all_answer "$ZONE" NS $'ns1.hoster.example.\nns2.hoster.example.'
eventually 5 "the zone exists now, and the answer names its server" \
	answers $'*\n\nerror=0&exists=1&details=Domain+exists+on+da1.hoster.example' 02-exists.http
ok "for a name below it the parent exists, two labels up" \
	answers $'*\n\nerror=0&exists=2&details=Parent+Domain+exists+on+da1.hoster.example' 03-exists-parent.http

ok "a user's push with a DKIM key over two lines is acknowledged" answers $'*\n\nerror=0' 05-rawsave-user.http
eventually 5 "all serve it" all_serve "$ZONE" 2026112101
ok "the key is one record of two strings" all_answer "x._domainkey.$ZONE" TXT \
	'"v=DKIM1; k=rsa; p=MIIB*AAAA" "BBBB*IDAQAB"'

ok "an ACME push is acknowledged" answers $'*\n\nerror=0' 06-rawsave-acme-now.http
eventually 2 "all serve the challenge within two seconds" all_answer "_acme-challenge.$ZONE" TXT \
	'"HOTnSQnwTu1nEIylR5cC6qbhCNhTCzisViJ8cCiZPVM"'
ok "the challenge keeps its TTL of 5" says "*_acme-challenge.$ZONE.*5*IN*TXT*" \
	ask ns1 "_acme-challenge.$ZONE" TXT +noall +answer

ok "a push with a lower serial is acknowledged" answers $'*\n\nerror=0' 07-rawsave-recreated-lower-serial.http
eventually 5 "all serve the lower serial" all_serve "$ZONE" 2026112100
ok "what the older content had is gone" all_answer "_acme-challenge.$ZONE" TXT ''
ok "a name that is being typed does not exist" answers $'*\n\nerror=0&exists=0' 08-exists-typed-prefix.http

# RFC 8976's digest, computed here by another hand
digest=$(log_digest "$ZONE")
for ns in $SERVERS; do
	ok "an independent ZONEMD digest of what $ns serves is the one in the log" \
		/usr/bin/python3 tests/lib/zonemd.py "$ns" "$ZONE" "$digest"
done
for dc in dc1 dc2; do
	eventually 5 "and of the rows in $dc" rows_digest "$dc" "$ZONE" "$digest"
done

ok "the delete is acknowledged" answers $'*\n\nerror=0' 09-delete.http
eventually 5 "all refuse the zone" all_serve "$ZONE" REFUSED
for dc in dc1 dc2; do
	eventually 5 "$dc has no row of it" says absent rows_digest "$dc" "$ZONE"
done
eventually 5 "and it does not exist" answers $'*\n\nerror=0&exists=0' 02-exists.http

# ---- shapes of HTTP ------------------------------------------------------------------------------------

ok "HTTP/1.0: no chunks, a length, and the connection is closed" \
	says $'HTTP/1.* 200 *[Cc]onnection: close*[Cc]ontent-[Ll]ength: 16*\n\nerror=0&exists=0' raw <(
		http 1.0 GET "/CMD_API_DNS_ADMIN?action=exists&domain=$(new_zone)" '')

one=$(new_zone one) two=$(new_zone two)
{
	http 1.1 POST "$(save_target "$one")" "$(zone_text "$one" 11)"
	http 1.1 POST "$(save_target "$two")" "$(zone_text "$two" 12)" 'Connection: close'
} >"$E2E_WORK/keep-alive"
ok "HTTP/1.1: two pushes on one connection, two answers" \
	says $'HTTP/1.1 200 *\n\nerror=0HTTP/1.1 200 *\n\nerror=0' raw "$E2E_WORK/keep-alive"
eventually 5 "the first is served" all_serve "$one" 11
eventually 5 "the second too" all_serve "$two" 12

n=100
for type in '' 'Content-Type: text/plain' 'Content-Type: application/x-www-form-urlencoded' \
	'content-type: multipart/form-data; boundary=x' 'Content-Type: application/octet-stream'; do
	n=$((n + 1))
	http 1.0 POST "$(save_target "$one")" "$(zone_text "$one" $n)" ${type:+"$type"} >"$E2E_WORK/typed"
	ok "a zone with ${type:-no Content-Type} is a zone" says $'*\n\nerror=0' raw "$E2E_WORK/typed"
	eventually 5 "and served whole" all_serve "$one" $n
	ok "with what a form would have eaten" all_answer "$one" TXT '"v=spf1 +a +mx include:spf.hoster.example ~all"'
done
http 1.1 POST "$(save_target "$one")" "$(zone_text "$one" 120)" 'Expect: 100-continue' 'Connection: close' >"$E2E_WORK/expect"
ok "Expect: 100-continue is answered" says $'*\n\nerror=0' raw "$E2E_WORK/expect"
ok "curl's way is a push too" says error=0 curl -sS --max-time 10 -u "$INGEST_USER:$INGEST_PASSWORD" \
	--data-binary @<(zone_text "$one" 121) "$INGEST_URL$(save_target "$one")"
eventually 5 "and served" all_serve "$one" 121

# ---- deletes -----------------------------------------------------------------------------------------------

ok "a delete with everything in the query is acknowledged" \
	da_send POST "/CMD_API_DNS_ADMIN?action=delete&select0=$one&hostname=$DA_HOST" /dev/null
eventually 5 "and done" all_serve "$one" REFUSED
names=()
for n in 1 2 3 4; do
	names+=("$(new_zone many)")
	zone_text "${names[-1]}" "$n" | push - "${names[-1]}" fred >/dev/null
done
for n in 1 2 3 4; do
	eventually 5 "zone $n of four is served" all_serve "${names[n - 1]}" "$n"
done
ok "three names in one delete are acknowledged" da_delete "$DA_HOST" "${names[@]:0:3}"
for n in 0 1 2; do
	eventually 5 "deleted name $n is refused" all_serve "${names[n]}" REFUSED
done
ok "the one that was not named stays" all_serve "${names[3]}" 4
ok "a delete without a name deletes nothing" says 'error=1&text=*' \
	da_send POST "/CMD_API_DNS_ADMIN?action=delete&hostname=$DA_HOST" /dev/null
ok "a zone that is pushed again after its delete is acknowledged" push <(zone_text "$one" 5) "$one" fred
eventually 5 "and lives again, with a lower serial" all_serve "$one" 5

# ---- one zone, however it is written ---------------------------------------------------------------------------

upper=$(tr '[:lower:]' '[:upper:]' <<<"$two")
ok "a push of the name in capitals is acknowledged" push <(zone_text "$two" 21) "$upper" fred
eventually 5 "it is the same zone" all_serve "$two" 21
ok "a push with a final dot is acknowledged" push <(zone_text "$two" 22) "$two." fred
eventually 5 "it is the same zone" all_serve "$two" 22
ok "there is one key in dadns.zones" says 1 jq -Rnr --arg zone "$two" \
	'[inputs | split(" ")[0] | select(ascii_downcase | rtrimstr(".") == $zone)] | unique | length' <(topic dadns.zones)
ok "a delete in capitals is acknowledged" da_delete "$DA_HOST" "$upper."
eventually 5 "and deletes it" all_serve "$two" REFUSED

# ---- the rest ------------------------------------------------------------------------------------------------------

ok "an empty POST is a connectivity check" says 'error=0&text=OK' da_send POST /CMD_API_DNS_ADMIN /dev/null
ok "an action that is not understood is an error" says 'error=1&text=*' da_send GET '/CMD_API_DNS_ADMIN?action=frobnicate'
printf 'action=frobnicate&select0=%s&hostname=%s' "${names[3]}" "$DA_HOST" >"$E2E_WORK/unknown"
ok "in a form as well" says 'error=1&text=*' da_send POST /CMD_API_DNS_ADMIN "$E2E_WORK/unknown"
printf 'select0=%s&hostname=%s' "${names[3]}" "$DA_HOST" >"$E2E_WORK/unknown"
ok "a form without an action is an error" says 'error=1&text=*' da_send POST /CMD_API_DNS_ADMIN "$E2E_WORK/unknown"
printf '$TTL 3600\n@ IN SOA ns1.x. h.x. ( 1 2 3 4 5 )\n@ IN NS ns1.x.\nwww IN A 999.1.1.1\n' >"$E2E_WORK/wrong"
ok "a refusal's text alone says what to change" says 'error=1&text=*line+4*999.1.1.1*&details=*' \
	da_send POST "/CMD_API_DNS_ADMIN?action=rawsave&domain=${names[3]}&hostname=$DA_HOST" "$E2E_WORK/wrong"
ok "a user check is always free" says 'error=0&exists=0*' da_send GET '/CMD_API_USER_EXISTS?user=fred'
ok "the name without API_ is the same page" says 'error=0&exists=1*' \
	da_send GET "/CMD_DNS_ADMIN?action=exists&domain=${names[3]}"
ok "json=yes is answered in JSON" says '"1"' jq .exists \
	<(da_send GET "/CMD_API_DNS_ADMIN?action=exists&domain=${names[3]}&json=yes")
ok "the untouched zone is still served" all_serve "${names[3]}" 4
