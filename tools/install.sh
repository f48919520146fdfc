#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs from Debian what is missing, and nothing else: tools/install.sh [build|run|test]
#   build  what compiling takes
#   run    what the stack of tools/stack.sh takes: Kafka's Java, Redis, named, MariaDB, PowerDNS, tools around them
#   test   both, and the checkers (the default)
# Nothing missing: silent. Installing starts no daemon: for this one apt run a policy denies it.
set -euo pipefail

# "a|b": the first one that this Debian offers (12 | 13).
BUILD="build-essential pkg-config librdkafka-dev libmicrohttpd-dev libldns-dev libhiredis-dev
	libjansson-dev libcmocka-dev liblua5.1-0-dev libyaml-dev libssl-dev libmariadb-dev libcurl4-openssl-dev"
RUN="bind9 bind9-utils bind9-dnsutils redis-server kcat jq curl netcat-openbsd ldnsutils
	mariadb-server-core mariadb-client pdns-server pdns-backend-mysql
	openjdk-17-jre-headless|openjdk-21-jre-headless maven
	python3 python3-dnspython python3-jsonschema python3-pymysql procps"
TEST="clang-14|clang clang-tidy-14|clang-tidy clang-format-14|clang-format
	libclang-rt-14-dev|libclang-rt-dev valgrind dnsperf
	nodejs npm python3-venv python3-pip python3-yaml iproute2"

POLICY=/usr/sbin/policy-rc.d
SAVED=$POLICY.before-dadns
MARK="made by the DaDNS installer for one apt run"

say() { printf 'install: %s\n' "$*" >&2; }

# Prints those of the wanted packages that are not installed, alternatives still unresolved. What an installed one
# provides is there (a nodejs that is not Debian's brings npm along and cannot stand Debian's).
missing() {
	local have want name
	# shellcheck disable=SC2048,SC2086
	have=$(dpkg-query -W -f='${db:Status-Status}, ${Package}, ${Provides},\n' ${*//|/ } 2>/dev/null |
		sed -n 's/^installed//p') || true
	for want in "$@"; do
		for name in ${want//|/ }; do
			[[ $have == *", $name"[\ ,]* ]] && continue 2
		done
		echo "$want"
	done
}

# Prints the first alternative that apt can install.
pick() {
	local name
	for name in ${1//|/ }; do
		if [[ $(apt-cache policy "$name" 2>/dev/null) =~ Candidate:\ [^\(] ]]; then
			echo "$name"
			return
		fi
	done
	say "this Debian offers none of: ${1//|/, }"
	return 1
}

put_policy_back() {
	if [ -e "$POLICY" ] && grep -q "$MARK" "$POLICY"; then
		rm -f "$POLICY"
	fi
	if [ -e "$SAVED" ] || [ -L "$SAVED" ]; then
		mv -f "$SAVED" "$POLICY"
	fi
}

deny_starts() {
	put_policy_back # what a killed earlier run left
	if [ -e "$POLICY" ] || [ -L "$POLICY" ]; then
		mv -f "$POLICY" "$SAVED"
	fi
	printf '#!/bin/sh\n# %s: no service is started\nexit 101\n' "$MARK" >"$POLICY"
	chmod 755 "$POLICY"
}

# As root: the wanted packages that are still missing, one installer at a time.
install_as_root() {
	local wanted names=() want log began=$SECONDS
	export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

	exec 9>/run/lock/dadns-install.lock
	flock 9
	mapfile -t wanted < <(missing "$@")
	[ ${#wanted[@]} -gt 0 ] || return 0

	say "asking apt for the current package lists"
	apt-get -qq -o DPkg::Lock::Timeout=600 update 9>&- || say "apt-get update failed; going on with the lists that are here"
	for want in "${wanted[@]}"; do
		want=$(pick "$want")
		names+=("$want")
	done
	say "will install from Debian, starting no service: ${names[*]}"

	trap put_policy_back EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	deny_starts
	log=$(mktemp -t dadns-install.XXXXXX)
	if ! apt-get -qq -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install --no-install-recommends \
		"${names[@]}" 9>&- </dev/null >"$log" 2>&1; then
		tail -n 25 "$log" >&2
		say "apt-get install failed; the whole output is in $log"
		return 1
	fi
	rm -f "$log"
	put_policy_back
	say "done in $((SECONDS - began)) s"

	if [ -d /run/systemd/system ] && [[ " ${names[*]} " =~ \ (bind9|redis-server|pdns-server)\  ]]; then
		say "nothing was started, but Debian enables bind9, redis-server and pdns-server for the next boot;" \
			"'systemctl disable named redis-server pdns' if this machine is not to run them"
	fi
}

main() {
	local wanted
	case ${1:-test} in
	build) wanted=$BUILD ;;
	run) wanted=$RUN ;;
	test) wanted="$BUILD $RUN $TEST" ;;
	--as-root)
		shift
		install_as_root "$@"
		return
		;;
	*)
		echo "usage: tools/install.sh [build|run|test]" >&2
		return 2
		;;
	esac

	if ! command -v dpkg-query apt-get >/dev/null; then
		say "this is no Debian; needed (Debian's names): ${wanted//|/ or }"
		return 1
	fi
	# shellcheck disable=SC2086
	mapfile -t wanted < <(missing $wanted)
	[ ${#wanted[@]} -gt 0 ] || return 0

	if [ "$(id -u)" = 0 ]; then
		install_as_root "${wanted[@]}"
	elif command -v sudo >/dev/null; then
		say "missing: ${wanted[*]}; installing them needs root, by sudo"
		sudo bash "$0" --as-root "${wanted[@]}"
	else
		say "missing: ${wanted[*]}; installing them needs root and there is no sudo. As root: $0 ${1:-test}"
		return 1
	fi
}

main "$@"
