#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A private stack on loopback, in one folder, touching nothing else of the machine.
# usage() below says what it can do; docs and tests rely on the keys in endpoints.env.
#
# A member is one line in MEMBERS and one kind_… function that answers four verbs:
#   prepare  writes what is missing: folders, keys, configuration (never over a file that is there)
#   command  sets CMD; the process stays in the foreground and keeps its pid
#   ready    looks once whether it really answers
#   keys     prints its lines of endpoints.env
set -uo pipefail
export LC_ALL=C
PATH=$PATH:/usr/sbin # named, mariadbd, pdns_server

#	name       kind         ports, the first is the one that status shows
MEMBERS=(
	"kafka      kafka        broker controller"
	"redis      redis        redis"
	"ns1        named        dns rndc"
	"ns2        named        dns rndc"
	"mariadb    mariadb      mysql"
	"dc1        coredns      dns ready metrics"
	"dc2        pdns         dns api"
	"ingest     ingest       http admin"
	"writer-ns1 writer-bind  admin"
	"writer-ns2 writer-bind  admin"
	"writer-dc1 writer-mysql admin"
	"writer-dc2 writer-mysql admin"
)
OURS="ingest writer-bind writer-mysql" # programs of BIN; they need the servers and the topics first
DATABASES=("dc1 mariadb" "dc2 mariadb") # name, server

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit 1
STACK_DIR=${STACK_DIR:-build/run}
[[ $STACK_DIR = /* ]] || STACK_DIR=$ROOT/$STACK_DIR
BIN=${BIN:-build/release}
[[ $BIN = /* ]] || BIN=$ROOT/$BIN
COREDNS=${COREDNS:-build/coredns/coredns}
[[ $COREDNS = /* ]] || COREDNS=$ROOT/$COREDNS
STACK_WAIT=${STACK_WAIT:-30}           # seconds for a member to get ready
STACK_STOP_WAIT=${STACK_STOP_WAIT:-20} # seconds from TERM to KILL
# A stack that was made with three keeps them.
STACK_BROKERS=${STACK_BROKERS:-1}
grep -qs '^kafka-3 ' "$STACK_DIR/ports" && STACK_BROKERS=3
[ "$STACK_BROKERS" != 3 ] || MEMBERS+=("kafka-2 kafka broker controller" "kafka-3 kafka broker controller")
INGEST_USER=${INGEST_USER:-directdnsonly}
INGEST_PASSWORD=${INGEST_PASSWORD:-changeme}

usage() {
	cat <<-'END'
		usage: tools/stack.sh COMMAND
		  up [MEMBER…]      start what does not run yet, wait until it answers
		  down [MEMBER…]    stop it, in reverse order
		  start|stop NAME   one member; start also one that is not in the list below: a replica (ingest-2,
		                    writer-dc1-2, …), another server (mariadb-2), the writer of a stanza that you
		                    added to dadns.yml (writer-NAME)
		  kill NAME         SIGKILL, now
		  pause|cont NAME   SIGSTOP, SIGCONT
		  status            what runs, since when, where
		  env               addresses, ports, users, password, files
		  logs NAME [-f]    the end of its log
		  database NAME [SERVER]  makes it in a running mariadb, empty, with an account of its own; what was
		                    there is gone. Prints its stanza for dadns.yml
		  wipe              down, and remove the folder
		Members: kafka redis ns1 ns2 mariadb dc1 dc2 ingest writer-ns1 writer-ns2 writer-dc1 writer-dc2
		Settings by environment:
		  STACK_DIR=build/run  the folder; two folders are two stacks
		  BIN=build/release    where ingest, writer-bind, writer-mysql and dadns are
		  COREDNS=build/coredns/coredns  the program of dc1
		  STACK_BROKERS=3      two more brokers, kafka-2 and kafka-3, and every topic on all three (a new folder, please)
		  STACK_ENV="A=1 B=2"  more environment for what is started now
		  STACK_ARGS="--a=1"   more arguments for what is started now
		  STACK_NOWAIT=1       start does not wait until it is ready
		Configuration in the folder is written once: edit it between stop and start as you like.
	END
}

# ---- words -------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

die() {
	printf 'stack: %s\n' "$*" >&2
	exit 1
}

now_us() { NOW=${EPOCHREALTIME/./}; }

# Sets TOOK to the seconds since $1 (µs).
took_since() {
	local ms
	now_us
	ms=$(((NOW - $1) / 1000))
	printf -v TOOK '%d.%02d' $((ms / 1000)) $((ms % 1000 / 10))
}

# Sleeps without starting a process.
nap() { read -r -t "$1" -u "$NAP" || true; }
exec {NAP}<> <(:)
exec {LOCK}</dev/null

key_of() {
	KEY=${1^^}
	KEY=${KEY//-/_}
}

# ---- members and ports ---------------------------------------------------------------------------
# The file `ports`: the first port, then the lines of MEMBERS, then those of members that were started besides. A
# member's ports are a matter of its place.

declare -A KIND=() ROLES=() PORT=()
NAMES=() TABLE=() # all; those of MEMBERS

load_ports() {
	local lines=() line name kind role roles next

	[ -r "$STACK_DIR/ports" ] && mapfile -t lines <"$STACK_DIR/ports"
	PORT_BASE=${lines[0]:-}
	[ ${#lines[@]} -gt 1 ] || lines=('' "${MEMBERS[@]}")
	next=${PORT_BASE:-0}
	NAMES=() KIND=() ROLES=() PORT=()
	for line in "${lines[@]:1}"; do
		read -r name kind roles <<<"$line"
		NAMES+=("$name")
		KIND[$name]=$kind
		ROLES[$name]=$roles
		for role in $roles; do
			PORT[$name.${role}]=$next
			PORT[$name]=${PORT[$name]:-$next}
			next=$((next + 1))
		done
	done
	TABLE=("${NAMES[@]:0:${#MEMBERS[@]}}")
	PORTS_LEFT=$((${PORT_BASE:-0} + 100 - next))
}

table_is_current() {
	[ "$(sed -n "2,$((${#MEMBERS[@]} + 1))p" "$STACK_DIR/ports")" = "$(printf '%s\n' "${MEMBERS[@]}")" ]
}

# A block of 100 below the kernel's own range, the same for the same folder as long as it is free.
pick_base() {
	/usr/bin/python3 - "$STACK_DIR" "$(cat /proc/sys/net/ipv4/ip_local_port_range)" <<-'END'
		import socket, sys, zlib
		top = min(32700, int(sys.argv[2].split()[0]) - 100)
		count = (top - 12000) // 100
		def free(port):
		    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
		        with socket.socket(socket.AF_INET, kind) as s:
		            if kind == socket.SOCK_STREAM:
		                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		            try:
		                s.bind(("127.0.0.1", port))
		            except OSError:
		                return False
		    return True
		start = zlib.crc32(sys.argv[1].encode())
		for i in range(count):
		    base = 12000 + (start + i) % count * 100
		    if all(free(base + p) for p in range(100)):
		        print(base)
		        sys.exit(0)
		sys.exit("stack: no block of 100 free ports on 127.0.0.1")
	END
}

# Sets LINE for a member that the table does not have: one more of a kind that bears it, or the writer of a stanza.
more_of() {
	local one=${1%-*}

	LINE=
	if [[ $1 =~ -([2-9]|[1-9][0-9])$ && ${KIND[$one]:-} =~ ^(ingest|mariadb|writer-.*)$ ]]; then
		LINE="$1 ${KIND[$one]} ${ROLES[$one]}"
	elif [[ $1 == writer-?* ]] && stanza_type "${1#writer-}"; then
		[ "$TYPE" = bind ] && LINE="$1 writer-bind admin" || LINE="$1 writer-mysql admin"
	fi
	[ -n "$LINE" ]
}

known() { [ -n "${KIND[$1]:-}" ] || more_of "$1" || die "there is no member '$1'"; }

# Gives $1 its place in the file; two starts at once must not give the same.
adopt() {
	local file roles

	[ -z "${KIND[$1]:-}" ] || return 0
	exec {file}>>"$STACK_DIR/ports"
	flock "$file"
	load_ports
	if [ -z "${KIND[$1]:-}" ]; then
		more_of "$1" || die "there is no member '$1'"
		read -r _ _ roles <<<"$LINE"
		[ "$(wc -w <<<"$roles")" -le "$PORTS_LEFT" ] || die "no port is left for $1"
		say "$LINE" >&"$file"
		load_ports
	fi
	exec {file}>&-
}

# Dies unless the programs that $1… start were built.
must_be_built() {
	local name program
	for name in "$@"; do
		if is_ours "$name"; then
			for program in "${KIND[$name]}" dadns; do
				[ -x "$BIN/$program" ] || die "there is no $BIN/$program; make builds it"
			done
		elif [ "${KIND[$name]}" = coredns ]; then
			[ -x "$COREDNS" ] || die "there is no $COREDNS; make coredns builds it"
		fi
	done
}

is_ours() { [[ " $OURS " == *" ${KIND[$1]:-} "* ]]; }

# ---- processes -----------------------------------------------------------------------------------

# Sets STATE and BORN of the process $1; a pid alone may be somebody else's by now.
look_at() {
	local stat fields
	STATE='' BORN=''
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra fields <<<"${stat##*) }"
	STATE=${fields[0]} BORN=${fields[19]}
}

# Sets PID. A zombie is dead.
alive() {
	local pid='' born=''
	PID=
	{ read -r pid <"$STACK_DIR/pids/$1.pid" && read -r born <"$STACK_DIR/pids/$1.born"; } 2>/dev/null
	[ -n "$pid" ] && look_at "$pid" && [ "$BORN" = "$born" ] && [ "$STATE" != Z ] && PID=$pid
}

# Runs CMD as member $1. Its parent is a keeper that outlives us and writes the exit code down.
launch() {
	local name=$1 pid=
	# The keeper of the one before us must have had its say, or its code would pass for ours.
	[ ! -e "$STACK_DIR/pids/$name.pid" ] || exit_code "$name"
	rm -f "$STACK_DIR/exits/$name"
	# shellcheck disable=SC2016,SC2086,SC2094
	read -r pid < <(cd "$STACK_DIR" && exec setsid bash -c '
		name=$1
		shift
		"$@" </dev/null >>"logs/$name.log" 2>&1 &
		pid=$!
		read -r stat <"/proc/$pid/stat"
		read -ra fields <<<"${stat##*) }"
		echo "${fields[19]}" >"pids/$name.born"
		echo "$pid" >"pids/$name.pid"
		echo "$pid"
		exec </dev/null >/dev/null 2>&1
		wait "$pid"
		echo $? >"exits/$name"' keeper "$name" env ${STACK_ENV:-} "${CMD[@]}" ${STACK_ARGS:-} \
		{LOCK}>&- {NAP}>&- 2>>"$STACK_DIR/logs/$name.log")
	[ -n "$pid" ]
}

exit_code() {
	local i
	for ((i = 0; i < 100; i++)); do
		[ -s "$STACK_DIR/exits/$1" ] && break
		nap 0.01
	done
	CODE='?'
	{ read -r CODE <"$STACK_DIR/exits/$1"; } 2>/dev/null || true
}

wait_gone() {
	local name=$1 until
	now_us
	until=$((NOW + $2 * 1000000))
	while alive "$name"; do
		now_us
		[ "$NOW" -lt "$until" ] || return 1
		nap 0.01
	done
}

# kind VERB NAME
kind() { "kind_${KIND[$2]%-*}" "$1" "$2"; }

prepare() { kind prepare "$1" || die "$1 could not be prepared"; }

begin() {
	local name=$1
	kind command "$name"
	launch "$name" || die "$name could not be started"
}

# Shows why $1 did not come up.
give_up() {
	tail -n 15 "$STACK_DIR/logs/$1.log" | sed "s/^/    /" >&2
	die "$1 $2; its log: $STACK_DIR/logs/$1.log"
}

# Waits until all of $2…, begun at $1 (µs), answer.
await() {
	local began=$1 name left
	shift
	while [ $# -gt 0 ]; do
		left=()
		for name in "$@"; do
			if ! alive "$name"; then
				exit_code "$name"
				give_up "$name" "ended before it was ready, exit code $CODE"
			fi
			if kind ready "$name" 2>/dev/null; then
				took_since "$began"
				printf '  %-12s ready after %5s s   127.0.0.1:%s\n' "$name" "$TOOK" "${PORT[$name]}"
			else
				left+=("$name")
			fi
		done
		set -- ${left[@]+"${left[@]}"}
		[ $# -gt 0 ] || return 0
		took_since "$began"
		[ "${TOOK%.*}" -lt "$STACK_WAIT" ] || give_up "$1" "was not ready within $STACK_WAIT s"
		nap 0.02
	done
}

# ---- looking whether somebody answers, without starting a process ----------------------------------

tcp_open() {
	local fd
	{ exec {fd}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
	exec {fd}>&-
}

# http_ok PORT PATH
http_ok() {
	local fd line=
	{ exec {fd}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
	printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&"$fd"
	read -r -t 2 -u "$fd" line
	exec {fd}>&-
	[[ $line == HTTP/1.?' 200'* ]]
}

# Any answer counts, REFUSED too: a query for the root's SOA with the id "DD".
dns_answers() {
	local fd first=
	{ exec {fd}<>"/dev/udp/127.0.0.1/$1"; } 2>/dev/null || return 1
	printf 'DD\0\0\0\1\0\0\0\0\0\0\0\0\6\0\1' >&"$fd"
	IFS= read -r -t 0.3 -n 1 -u "$fd" first
	exec {fd}>&-
	[ "$first" = D ]
}

redis_answers() {
	local fd line=
	{ exec {fd}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
	printf 'PING\r\n' >&"$fd"
	read -r -t 1 -u "$fd" line
	exec {fd}>&-
	[[ $line == +PONG* ]]
}

# ---- the kinds -----------------------------------------------------------------------------------

# Sets BROKERS and VOTERS: all brokers' addresses, and all controllers'.
all_brokers() {
	local i name
	BROKERS='' VOTERS=''
	for ((i = 1; i <= STACK_BROKERS; i++)); do
		name=kafka$([ $i = 1 ] || echo -$i)
		BROKERS+=,127.0.0.1:${PORT[$name.broker]}
		VOTERS+=,$i@127.0.0.1:${PORT[$name.controller]}
	done
	BROKERS=${BROKERS#,} VOTERS=${VOTERS#,}
}

kind_kafka() {
	local dir=$STACK_DIR/$2 broker=${PORT[$2.broker]} controller=${PORT[$2.controller]}
	local id=1 heap=512m isr=1 times=1
	[ "$2" = kafka ] || id=${2#kafka-}
	[ "$STACK_BROKERS" = 1 ] || heap=256m isr=2 times=4 # a quorum on a busy machine
	all_brokers
	case $1 in
	prepare)
		tools/kafka.sh fetch || return 1
		mkdir -p "$dir"
		[ -e "$dir/server.properties" ] || cat >"$dir/server.properties" <<-END
			process.roles=broker,controller
			node.id=$id
			controller.quorum.voters=$VOTERS
			listeners=PLAINTEXT://127.0.0.1:$broker,CONTROLLER://127.0.0.1:$controller
			advertised.listeners=PLAINTEXT://127.0.0.1:$broker
			controller.listener.names=CONTROLLER
			log.dirs=$dir/data
			auto.create.topics.enable=false
			# internal topics on every node, and few partitions
			default.replication.factor=$STACK_BROKERS
			min.insync.replicas=$isr
			offsets.topic.replication.factor=$STACK_BROKERS
			offsets.topic.num.partitions=3
			transaction.state.log.replication.factor=$STACK_BROKERS
			transaction.state.log.min.isr=$isr
			transaction.state.log.num.partitions=3
			share.coordinator.state.topic.replication.factor=$STACK_BROKERS
			share.coordinator.state.topic.min.isr=$isr
			share.coordinator.state.topic.num.partitions=3
			# quick to start, quick to come back after a kill
			group.initial.rebalance.delay.ms=0
			group.min.session.timeout.ms=1000
			broker.heartbeat.interval.ms=$((300 * times))
			broker.session.timeout.ms=$((2000 * times))
			controller.quorum.election.timeout.ms=$((300 * times))
			controller.quorum.fetch.timeout.ms=$((1000 * times))
			# small
			log.cleaner.dedupe.buffer.size=16777216
			log.cleaner.backoff.ms=300
			log.index.size.max.bytes=1048576
		END
		;;
	command)
		# shellcheck disable=SC2016
		CMD=(env "JAVA_OPTS=-Xms128m -Xmx$heap -XX:+ExitOnOutOfMemoryError" bash -c '
			[ -e "$2/data/meta.properties" ] ||
				"$1" exec kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$2/server.properties" || exit
			exec "$1" exec kafka.Kafka "$2/server.properties"' kafka "$ROOT/tools/kafka.sh" "$2")
		;;
	ready) tcp_open "$broker" && [[ $(kcat -b "127.0.0.1:$broker" -L -m 2 2>/dev/null) == *"broker $id at 127.0.0.1:$broker"* ]] ;;
	keys) [ "$2" != kafka ] || say "KAFKA_BROKERS=$BROKERS" ;;
	esac
}

kind_redis() {
	local dir=$STACK_DIR/$2 port=${PORT[$2.redis]}
	case $1 in
	prepare)
		mkdir -p "$dir"
		[ -e "$dir/redis.conf" ] || cat >"$dir/redis.conf" <<-END
			bind 127.0.0.1
			port $port
			dir "$dir"
			daemonize no
			save ""
			appendonly yes
			appendfsync always
			maxmemory-policy noeviction
		END
		;;
	command) CMD=(redis-server "$dir/redis.conf") ;;
	ready) redis_answers "$port" ;;
	keys) say "REDIS_URL=redis://127.0.0.1:$port" ;;
	esac
}

kind_named() {
	local dir=$STACK_DIR/$2 dns=${PORT[$2.dns]} rndc=${PORT[$2.rndc]} named
	case $1 in
	prepare)
		mkdir -p "$dir/zones" "$STACK_DIR/bin"
		# A copy: Debian's AppArmor profile ties the original, by its path, to the system's folders.
		named=$(command -v named) || die "there is no named; tools/install.sh run brings it"
		[ "$STACK_DIR/bin/named" -nt "$named" ] || {
			cp "$named" "$STACK_DIR/bin/.named.$$" && mv -f "$STACK_DIR/bin/.named.$$" "$STACK_DIR/bin/named"
		}
		[ -e "$dir/rndc.key" ] || (
			umask 077
			cat >"$dir/rndc.key" <<-END
				key "dadns" {
					algorithm hmac-sha256;
					secret "$(head -c 32 /dev/urandom | base64 -w 0)";
				};
			END
		)
		[ -e "$dir/named.conf" ] || cat >"$dir/named.conf" <<-END
			include "$dir/rndc.key";
			controls { inet 127.0.0.1 port $rndc allow { 127.0.0.1; } keys { "dadns"; }; };
			options {
				directory "$dir";
				listen-on port $dns { 127.0.0.1; };
				listen-on-v6 { none; };
				pid-file none;
				session-keyfile none;
				lock-file none;
				allow-new-zones yes;
				allow-transfer { 127.0.0.1; };
				recursion no;
				dnssec-validation no;
				empty-zones-enable no;
				notify no;
				zone-statistics none;
			};
			logging {
				channel log { stderr; severity info; print-time iso8601; print-category yes; print-severity yes; };
				category default { log; };
				category lame-servers { null; };
			};
		END
		;;
	command) CMD=("$STACK_DIR/bin/named" -f -4 -n 2 -L "$STACK_DIR/logs/$2.log" -c "$dir/named.conf") ;;
	ready) dns_answers "$dns" && tcp_open "$rndc" ;;
	keys)
		key_of "$2"
		say "${KEY}_DNS=127.0.0.1:$dns"
		say "${KEY}_RNDC=127.0.0.1:$rndc"
		say "${KEY}_RNDC_KEYFILE=$dir/rndc.key"
		say "${KEY}_ZONES_DIR=$dir/zones"
		;;
	esac
}

# admin.cnf makes every client root: mariadb --defaults-file=$MARIADB_ADMIN.
kind_mariadb() {
	local dir=$STACK_DIR/$2 port=${PORT[$2.mysql]}
	case $1 in
	prepare)
		mkdir -p "$dir/tmp"
		path_fits "$dir/mysql.sock"
		# character set as Debian's package sets it, durable commits as they are by default, small
		[ -e "$dir/my.cnf" ] || cat >"$dir/my.cnf" <<-END
			[mariadbd]
			$([ "$EUID" != 0 ] || echo user=root)
			datadir=$dir/data
			tmpdir=$dir/tmp
			socket=$dir/mysql.sock
			bind-address=127.0.0.1
			port=$port
			skip-name-resolve
			character-set-server=utf8mb4
			collation-server=utf8mb4_general_ci
			innodb_buffer_pool_size=128M
		END
		secret "$2-root-password"
		[ -e "$dir/admin.cnf" ] || (
			umask 077
			cat >"$dir/admin.cnf" <<-END
				[client]
				socket=$dir/mysql.sock
				user=root
				password=$(<"$STACK_DIR/secrets/$2-root-password")
			END
		)
		[ -e "$dir/data" ] || (
			umask 077
			exec >"$dir/first.sql"
			say 'FLUSH PRIVILEGES;'
			say "CREATE OR REPLACE USER root@localhost IDENTIFIED BY '$(<"$STACK_DIR/secrets/$2-root-password")';"
			say 'GRANT ALL ON *.* TO root@localhost WITH GRANT OPTION;'
			each_database "$2" database_sql
		)
		# Data may be older than the server that reads it here.
		(umask 077 && each_database "$2" reader_sql >"$dir/readers.sql")
		;;
	command)
		# shellcheck disable=SC2016
		CMD=(bash -c '
			cd "$1" || exit
			if [ ! -e data ]; then
				rm -rf data.new
				# --rpm: or it gives the PAM tool of an installed server to another owner
				mariadb-install-db --defaults-file="$1/my.cnf" --rpm --datadir="$1/data.new" \
					--skip-test-db --extra-file="$1/first.sql" || exit
				rm -f first.sql
				mv data.new data || exit
			fi
			exec mariadbd --defaults-file="$1/my.cnf" --init-file="$1/readers.sql" "${@:2}"' mariadb "$dir")
		;;
	ready) [ -S "$dir/mysql.sock" ] && mariadb --defaults-file="$dir/admin.cnf" <<<'DO 1' ;;
	keys)
		key_of "$2"
		say "${KEY}_PORT=$port"
		say "${KEY}_SOCKET=$dir/mysql.sock"
		say "${KEY}_ADMIN=$dir/admin.cnf"
		each_database "$2" database_key
		;;
	esac
}

# It is ready when it answers, SERVFAIL as long as there are no tables: their writer is started later. Whether it has
# read them says http://…/ready.
kind_coredns() {
	local dir=$STACK_DIR/$2 dns=${PORT[$2.dns]} ready=${PORT[$2.ready]} metrics=${PORT[$2.metrics]}
	case $1 in
	prepare)
		mkdir -p "$dir"
		secret "$2-reader-password"
		[ -e "$dir/Corefile" ] || cat >"$dir/Corefile" <<-END
			.:$dns {
			    bind 127.0.0.1
			    errors
			    ready 127.0.0.1:$ready
			    prometheus 127.0.0.1:$metrics
			    transfer {
			        to *
			    }
			    dadns {
			        database mysql://$2_reader@127.0.0.1:${PORT[mariadb.mysql]}/$2
			        password_file $STACK_DIR/secrets/$2-reader-password
			        snapshot $dir/zones.snapshot
			    }
			}
		END
		;;
	command) CMD=("$COREDNS" -conf "$dir/Corefile") ;;
	ready) dns_answers "$dns" ;;
	keys)
		key_of "$2"
		say "${KEY}_DNS=127.0.0.1:$dns"
		say "${KEY}_READY=127.0.0.1:$ready"
		say "${KEY}_METRICS=127.0.0.1:$metrics"
		;;
	esac
}

kind_pdns() {
	local dir=$STACK_DIR/$2 dns=${PORT[$2.dns]} api=${PORT[$2.api]} mysql=${PORT[mariadb.mysql]}
	case $1 in
	prepare)
		mkdir -p "$dir"
		path_fits "$dir/pdns.controlsocket"
		secret "$2-api-key"
		secret "$2-reader-password"
		# no word about caches: the defaults are what operators have
		[ -e "$dir/pdns.conf" ] || (
			umask 077
			cat >"$dir/pdns.conf" <<-END
				launch=gmysql
				gmysql-host=127.0.0.1
				gmysql-port=$mysql
				gmysql-user=$2_reader
				gmysql-password=$(<"$STACK_DIR/secrets/$2-reader-password")
				gmysql-dbname=$2
				gmysql-group=none
				local-address=127.0.0.1
				local-port=$dns
				dname-processing=yes
				disable-axfr=no
				allow-axfr-ips=127.0.0.1
				webserver=yes
				webserver-address=127.0.0.1
				webserver-port=$api
				webserver-allow-from=127.0.0.1
				api=yes
				api-key=$(<"$STACK_DIR/secrets/$2-api-key")
				socket-dir=$dir
				daemon=no
				guardian=no
				write-pid=no
				disable-syslog=yes
				log-timestamp=yes
				security-poll-suffix=
			END
		)
		;;
	command)
		# It ends when its database is not there at the start.
		# shellcheck disable=SC2016
		CMD=(bash -c '
			until (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
				sleep 0.05
			done
			exec pdns_server --config-dir="$2" "${@:3}"' pdns "$mysql" "$dir")
		;;
	ready) dns_answers "$dns" && tcp_open "$api" ;;
	keys)
		key_of "$2"
		say "${KEY}_DNS=127.0.0.1:$dns"
		say "${KEY}_API=http://127.0.0.1:$api"
		say "${KEY}_API_KEY=$(<"$STACK_DIR/secrets/$2-api-key")"
		;;
	esac
}

kind_ingest() {
	local http=${PORT[$2.http]} admin=${PORT[$2.admin]}
	case $1 in
	prepare) write_config ;;
	command)
		CMD=("$BIN/ingest" --config "$STACK_DIR/dadns.yml" "--app.listen=127.0.0.1:$http" "--admin.listen=127.0.0.1:$admin")
		;;
	ready) http_ok "$admin" /readyz && tcp_open "$http" ;;
	keys)
		key_of "$2"
		say "${KEY}_URL=http://127.0.0.1:$http"
		say "${KEY}_ADMIN_URL=http://127.0.0.1:$admin"
		;;
	esac
}

kind_writer() {
	local admin=${PORT[$2.admin]} backend=${2#writer-}
	# writer-dc1-2 is one more for dc1
	[[ $2 =~ -[0-9]+$ && -n ${KIND[${2%-*}]:-} ]] && backend=${backend%-*}
	case $1 in
	prepare) write_config ;;
	command)
		CMD=("$BIN/${KIND[$2]}" --config "$STACK_DIR/dadns.yml" --backend "$backend" "--admin.listen=127.0.0.1:$admin")
		;;
	ready) http_ok "$admin" /readyz ;;
	keys)
		key_of "$2"
		say "${KEY}_ADMIN_URL=http://127.0.0.1:$admin"
		;;
	esac
}

# ---- databases -------------------------------------------------------------------------------------

path_fits() { [ ${#1} -lt 108 ] || die "a socket's path has at most 107 characters, this is too long: $1"; }

# Writes a random secrets/$1, unless it is there.
secret() {
	local random
	[ -e "$STACK_DIR/secrets/$1" ] && return
	mkdir -p "$STACK_DIR/secrets"
	read -r random </proc/sys/kernel/random/uuid
	(umask 077 && say "${random//-/}" >"$STACK_DIR/secrets/$1")
}

# each_database SERVER COMMAND: COMMAND NAME SERVER for those that live in it.
each_database() {
	local name server
	while read -r name server; do
		[ "$server" != "$1" ] || "$2" "$name" "$server" </dev/null
	done < <(
		printf '%s\n' "${DATABASES[@]}"
		cat "$STACK_DIR/databases" 2>/dev/null
	)
}

# The database $1, empty, and an account that can do there what a writer must; one more for the server that reads it.
# With a PowerDNS on it, PowerDNS's own tables.
database_sql() {
	secret "$1-password"
	cat <<-END
		CREATE OR REPLACE DATABASE \`$1\`;
		CREATE OR REPLACE USER '$1'@'%' IDENTIFIED BY '$(<"$STACK_DIR/secrets/$1-password")';
		GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON \`$1\`.* TO '$1'@'%';
	END
	reader_sql "$1"
	[ "${KIND[$1]:-}" = pdns ] || return 0
	say "USE \`$1\`;"
	cat /usr/share/pdns-backend-mysql/schema/schema.mysql.sql
}

# The account of the PowerDNS or CoreDNS $1, if there is one.
reader_sql() {
	[[ ${KIND[$1]:-} =~ ^(pdns|coredns)$ ]] || return 0
	secret "$1-reader-password"
	cat <<-END
		CREATE OR REPLACE USER '$1_reader'@'%' IDENTIFIED BY '$(<"$STACK_DIR/secrets/$1-reader-password")';
		GRANT SELECT ON \`$1\`.* TO '$1_reader'@'%';
	END
}

database_key() {
	key_of "$1"
	say "${KEY}_MYSQL=mysql://$1:$(<"$STACK_DIR/secrets/$1-password")@127.0.0.1:${PORT[$2.mysql]}/$1"
}

# Prints the stanza of database $1 in the server $2.
database_stanza() {
	cat <<-END
		    $1:
		      type: $([ "${KIND[$1]:-}" = pdns ] && echo powerdns_mysql || echo coredns_mysql)
		      host: 127.0.0.1
		      port: ${PORT[$2.mysql]}
		      database: $1
		      username: $1
		      password_file: $STACK_DIR/secrets/$1-password
	END
	[ "${KIND[$1]:-}" = pdns ] || return 0
	cat <<-END
		      api: http://127.0.0.1:${PORT[$1.api]}
		      api_key_file: $STACK_DIR/secrets/$1-api-key
		      dns: 127.0.0.1:${PORT[$1.dns]}
	END
}

cmd_database() {
	local server=${2:-mariadb}
	[[ $1 =~ ^[a-z][a-z0-9_]*$ ]] || die "a database is named with letters and digits, not '$1'"
	{ [ "${KIND[$server]:-}" = mariadb ] && alive "$server"; } || die "no server '$server' runs"
	database_sql "$1" | mariadb --defaults-file="$STACK_DIR/$server/admin.cnf" || exit 1
	[[ " ${DATABASES[*]} " == *" $1 $server "* ]] || grep -qsx "$1 $server" "$STACK_DIR/databases" || {
		say "$1 $server" >>"$STACK_DIR/databases"
		write_keys
	}
	database_stanza "$1" "$server"
}

# ---- what our own programs read --------------------------------------------------------------------

# Sets TYPE: what dadns.yml says of the backend $1.
stanza_type() {
	local line inside='' found=''
	TYPE=
	while IFS= read -r line; do
		if [[ $line =~ ^\ +$1:\ *(\{.*)?$ ]]; then
			inside=yes found=yes
		elif [[ ! $line =~ ^\ {6} ]]; then
			inside=
		fi
		[ -z "$inside" ] || [[ ! $line =~ type:\ *[\"\']?([a-z_]+) ]] || TYPE=${BASH_REMATCH[1]}
	done 2>/dev/null <"$STACK_DIR/dadns.yml"
	[ -n "$found" ]
}

# One stanza for each name server and database, whether it runs or not.
write_config() {
	local name server

	all_brokers
	mkdir -p "$STACK_DIR/secrets"
	[ -e "$STACK_DIR/secrets/ingest-password" ] || (umask 077 && say "$INGEST_PASSWORD" >"$STACK_DIR/secrets/ingest-password")
	[ -e "$STACK_DIR/dadns.yml" ] && return
	{
		cat <<-END
			log_level: INFO
			app:
			  listen: 127.0.0.1:${PORT[ingest.http]}
			  auth_username: $INGEST_USER
			  auth_password_file: $STACK_DIR/secrets/ingest-password
			  mass_deletes: 0 # stories delete thousands of zones an hour
			kafka:
			  brokers: $BROKERS
			redis:
			  url: redis://127.0.0.1:${PORT[redis.redis]}
			topics:
			  partitions: 12
			  replication: $STACK_BROKERS
			dns:
			  backends:
		END
		for name in "${TABLE[@]}"; do
			[ "${KIND[$name]}" = named ] || continue
			cat <<-END
				    $name:
				      type: bind
				      zones_dir: $STACK_DIR/$name/zones
				      dns: 127.0.0.1:${PORT[$name.dns]}
				      rndc: 127.0.0.1:${PORT[$name.rndc]}
				      rndc_key_file: $STACK_DIR/$name/rndc.key
			END
		done
		while read -r name server; do
			database_stanza "$name" "$server"
		done < <(printf '%s\n' "${DATABASES[@]}")
	} >"$STACK_DIR/.dadns.yml" && mv "$STACK_DIR/.dadns.yml" "$STACK_DIR/dadns.yml"
}

# endpoints.env: the table's members, and each that was ever started besides.
write_keys() {
	local name lock
	exec {lock}>>"$STACK_DIR/ports"
	flock "$lock"
	load_ports
	(
		umask 077
		say "STACK_DIR=$STACK_DIR"
		say "STACK_MEMBERS=$(IFS=, && echo "${TABLE[*]}")"
		say "INGEST_USER=$INGEST_USER"
		say "INGEST_PASSWORD=$(cat "$STACK_DIR/secrets/ingest-password")"
		say "DADNS_CONFIG=$STACK_DIR/dadns.yml"
		for name in "${NAMES[@]}"; do
			kind keys "$name"
		done
	) >"$STACK_DIR/.endpoints.env.$$"
	chmod 600 "$STACK_DIR/.endpoints.env.$$"
	mv -f "$STACK_DIR/.endpoints.env.$$" "$STACK_DIR/endpoints.env"
	exec {lock}>&-
}

apply_topics() {
	local began
	now_us
	began=$NOW
	if ! "$BIN/dadns" topics apply --config "$STACK_DIR/dadns.yml" </dev/null >>"$STACK_DIR/logs/topics.log" 2>&1 {LOCK}>&-; then
		tail -n 15 "$STACK_DIR/logs/topics.log" | sed "s/^/    /" >&2
		die "'dadns topics apply' failed; its output: $STACK_DIR/logs/topics.log"
	fi
	took_since "$began"
	printf '  %-12s applied in  %5s s\n' topics "$TOOK"
}

# ---- commands --------------------------------------------------------------------------------------

take_lock() {
	mkdir -p "$STACK_DIR"
	exec {LOCK}>"$STACK_DIR/.lock"
	flock -w 120 "$LOCK" || die "another up or down is at work in $STACK_DIR"
}

# Everything that is needed before the first process: folders, ports, endpoints.env.
set_up() {
	local name base running='' current=''

	if [ -n "$PORT_BASE" ] && [ -e "$STACK_DIR/endpoints.env" ]; then
		table_is_current && current=yes
		[ "$1$current" != startyes ] || return 0
		for name in "${NAMES[@]}"; do
			alive "$name" && running=yes
		done
		[ -z "$running" ] || [ -n "$current" ] || die "what runs is an older stack; tools/stack.sh down ends it"
		[ -z "$running" ] || return 0
	fi
	mkdir -p "$STACK_DIR"/{pids,logs,exits,secrets}
	base=$(pick_base) || exit 1
	if [ "$base" != "$PORT_BASE" ] || [ -z "$current" ]; then # configuration with other ports is worth nothing
		rm -f "$STACK_DIR"/{dadns.yml,*/server.properties,*/redis.conf,*/named.conf,*/my.cnf,*/pdns.conf,*/Corefile}
		printf '%s\n' "$base" "${MEMBERS[@]}" >"$STACK_DIR/ports"
	fi
	load_ports
	for name in "${TABLE[@]}"; do
		[ "${KIND[$name]}" = kafka ] || kind prepare "$name" || exit 1
	done
	write_keys
}

cmd_up() {
	local name chosen=("$@") began wanted=() ours=() all

	tools/install.sh run || exit 1
	take_lock
	load_ports
	now_us
	all=$NOW
	for name in "$@"; do
		known "$name"
	done
	set_up up
	[ $# -gt 0 ] || chosen=("${TABLE[@]}")
	for name in "$@"; do
		adopt "$name"
	done
	for name in "${chosen[@]}"; do
		if alive "$name"; then
			printf '  %-12s runs already           127.0.0.1:%s\n' "$name" "${PORT[$name]}"
		elif is_ours "$name"; then
			ours+=("$name")
		else
			wanted+=("$name")
		fi
	done
	must_be_built ${wanted[@]+"${wanted[@]}"} ${ours[@]+"${ours[@]}"}

	for name in ${wanted[@]+"${wanted[@]}"}; do
		prepare "$name"
	done
	now_us
	began=$NOW
	for name in ${wanted[@]+"${wanted[@]}"}; do
		begin "$name"
	done
	await "$began" ${wanted[@]+"${wanted[@]}"}
	[ ${#ours[@]} -eq 0 ] || apply_topics
	for name in ${ours[@]+"${ours[@]}"}; do
		prepare "$name"
	done
	now_us
	began=$NOW
	for name in ${ours[@]+"${ours[@]}"}; do
		begin "$name"
	done
	await "$began" ${ours[@]+"${ours[@]}"}
	write_keys
	took_since "$all"
	say "Up in $TOOK s. Addresses: ${STACK_DIR#"$ROOT"/}/endpoints.env, logs: ${STACK_DIR#"$ROOT"/}/logs"
}

cmd_start() {
	local began
	known "$1"
	set_up start
	adopt "$1"
	alive "$1" && {
		say "  $1 runs already"
		return
	}
	must_be_built "$1"
	prepare "$1"
	now_us
	began=$NOW
	begin "$1"
	[[ " ${TABLE[*]} " == *" $1 "* ]] || write_keys
	[ -n "${STACK_NOWAIT:-}" ] || await "$began" "$1"
}

# Reports by its code whether TERM was enough.
end() {
	local name=$1 began=$2
	if wait_gone "$name" "$STACK_STOP_WAIT"; then
		exit_code "$name"
		took_since "$began"
		printf '  %-12s stopped in %5s s, exit code %s\n' "$name" "$TOOK" "$CODE"
		return 0
	fi
	kill -KILL "$PID" 2>/dev/null
	wait_gone "$name" 10
	printf '  %-12s did not stop within %s s: killed\n' "$name" "$STACK_STOP_WAIT"
	return 1
}

# A paused process takes its TERM when it goes on.
ask_to_end() { kill -TERM "$PID" 2>/dev/null && kill -CONT "$PID" 2>/dev/null; }

cmd_stop() {
	known "$1"
	alive "$1" || {
		say "  $1 does not run"
		return 0
	}
	now_us
	ask_to_end
	end "$1" "$NOW"
}

# shellcheck disable=SC2120
cmd_down() {
	local file name chosen=("$@") i wave batch began rc=0

	[ -e "$STACK_DIR/ports" ] || return 0
	take_lock
	for name in "$@"; do
		known "$name"
	done
	if [ $# -eq 0 ]; then
		chosen=()
		for file in "$STACK_DIR"/pids/*.pid; do
			[ -e "$file" ] || continue
			name=${file##*/}
			chosen+=("${name%.pid}")
		done
	fi
	for wave in ours servers; do
		batch=()
		now_us
		began=$NOW
		for ((i = ${#chosen[@]} - 1; i >= 0; i--)); do
			name=${chosen[i]}
			if { [ $wave = ours ] && is_ours "$name"; } || { [ $wave = servers ] && ! is_ours "$name"; }; then
				alive "$name" || continue
				ask_to_end
				batch+=("$name")
			fi
		done
		for name in ${batch[@]+"${batch[@]}"}; do
			end "$name" "$began" || rc=1
		done
	done
	return $rc
}

cmd_kill() {
	known "$1"
	alive "$1" || die "$1 does not run"
	kill -KILL "$PID"
	wait_gone "$1" 10 && exit_code "$1"
}

cmd_pause() {
	local i
	known "$1"
	alive "$1" || die "$1 does not run"
	kill -STOP "$PID"
	for ((i = 0; i < 500; i++)); do
		look_at "$PID" && [ "$STATE" = T ] && return 0
		nap 0.01
	done
	die "$1 did not pause"
}

cmd_cont() {
	known "$1"
	alive "$1" || die "$1 does not run"
	kill -CONT "$PID"
}

cmd_status() {
	local name kb since

	printf '%-12s %-10s %8s %10s %8s  %s\n' NAME STATE PID RUNNING MEMORY ADDRESS
	for name in "${NAMES[@]}"; do
		if alive "$name"; then
			kb=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$PID/status" 2>/dev/null)
			since=$(ps -o etime= -p "$PID")
			[ "$STATE" = T ] && STATE=paused || STATE=running
			printf '%-12s %-10s %8s %10s %5s MB  127.0.0.1:%s\n' "$name" "$STATE" "$PID" "${since// /}" $((${kb:-0} / 1024)) "${PORT[$name]}"
		elif [ -s "$STACK_DIR/exits/$name" ]; then
			printf '%-12s %-10s %8s %10s %8s  exit code %s\n' "$name" down - - - "$(cat "$STACK_DIR/exits/$name")"
		else
			printf '%-12s %-10s %8s %10s %8s\n' "$name" down - - -
		fi
	done
}

cmd_env() {
	[ -e "$STACK_DIR/endpoints.env" ] || die "there is no stack in $STACK_DIR; tools/stack.sh up makes one"
	cat "$STACK_DIR/endpoints.env"
}

cmd_logs() {
	[ -e "$STACK_DIR/logs/$1.log" ] || die "there is no log of '$1'"
	tail -n 200 ${2:+"$2"} "$STACK_DIR/logs/$1.log"
}

# shellcheck disable=SC2119,SC2120
cmd_wipe() {
	[ -e "$STACK_DIR" ] || return 0
	[ -e "$STACK_DIR/.lock" ] || [ -e "$STACK_DIR/ports" ] || die "$STACK_DIR does not look like a stack; not removed"
	cmd_down
	rm -rf "$STACK_DIR"
}

load_ports
COMMAND=${1:-help}
shift || true
case $COMMAND in
up | down) "cmd_$COMMAND" "$@" ;;
status | env | wipe) "cmd_$COMMAND" ;;
start | stop | kill | pause | cont)
	[ $# -gt 0 ] || die "which member? tools/stack.sh $COMMAND NAME"
	for member in "$@"; do
		"cmd_$COMMAND" "$member" || exit
	done
	;;
logs)
	[ $# -gt 0 ] || die "which member? tools/stack.sh logs NAME [-f]"
	cmd_logs "$@"
	;;
database)
	[ $# -gt 0 ] || die "which one? tools/stack.sh database NAME [SERVER]"
	cmd_database "$@"
	;;
help | -h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
