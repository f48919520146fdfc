#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Real Kafka's jars, from Maven Central by the ordinary mvn: tools/kafka.sh COMMAND
#   fetch            gets them if they are not there yet
#   path             prints the folder that they are in
#   exec CLASS ARGS  runs one of Kafka's programs in this process, for instance
#                    exec org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --help
# They are kept per user, so that a second clone finds them. The version stands in tools/kafka/pom.xml.
# JAVA_OPTS reaches the JVM of exec.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
POM=$HERE/kafka/pom.xml
VERSION=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$POM")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/dadns
JARS=$CACHE/kafka-$VERSION
FAST=$JARS/classes.jsa # Java's class data archive: a broker starts in 2 s instead of 3
fresh=                 # what is being filled; removed at exit unless renamed

say() { printf 'kafka: %s\n' "$*" >&2; }

present() { [ -s "$JARS/kafka_2.13-$VERSION.jar" ]; }

# In the environment and sorted: the archive is valid for one order only, and `ps` stays readable.
export_classpath() {
	local jars=("$JARS"/*.jar)
	local IFS=:
	export CLASSPATH="${jars[*]}"
}

# The archive is a matter of speed: without it everything works.
make_archive() (
	export_classpath
	cat >"$fresh/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:9093
		listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
		controller.listener.names=CONTROLLER
		log.dirs=$fresh/data
	END
	java -XX:ArchiveClassesAtExit="$fresh/classes.jsa" -XX:+UseSerialGC kafka.tools.StorageTool format \
		-t AAAAAAAAAAAAAAAAAAAAAQ -c "$fresh/server.properties" >/dev/null 2>&1 9>&- &&
		mv "$fresh/classes.jsa" "$FAST"
)

fetch() {
	local try began=$SECONDS

	present && return 0
	command -v mvn >/dev/null || {
		say "there is no mvn; tools/install.sh run brings it"
		return 1
	}
	mkdir -p "$CACHE"
	exec 9>"$CACHE/.kafka.lock"
	flock 9
	present && return 0 # somebody else fetched while we waited

	say "getting Kafka $VERSION from Maven Central (54 MB, once per user)"
	trap '[ -z "$fresh" ] || rm -rf "$fresh"' EXIT
	fresh=$(mktemp -d "$CACHE/.kafka-$VERSION.XXXXXX")
	mkdir "$fresh/jars"
	for try in 1 2 3; do
		if mvn -B -q -Dstyle.color=never -f "$POM" dependency:copy-dependencies -DincludeScope=runtime \
			-DoutputDirectory="$fresh/jars" -Dmdep.overWriteReleases=true >"$fresh/mvn.log" 2>&1 9>&-; then
			break
		fi
		grep -m 3 -iE "error|PKIX" "$fresh/mvn.log" >&2 || true
		[ "$try" -lt 3 ] || {
			say "Maven could not get the jars"
			return 1
		}
		say "trying again"
	done
	rm -rf "$JARS" # a folder without the main jar is a wreck
	mv "$fresh/jars" "$JARS"
	make_archive || say "no class data archive with this Java; Kafka will start a second later"
	say "$(find "$JARS" -name '*.jar' | wc -l) jars after $((SECONDS - began)) s"
}

run() {
	present || fetch
	export_classpath
	# shellcheck disable=SC2086
	exec java ${JAVA_OPTS:-} -XX:+UseSerialGC -XX:SharedArchiveFile="$FAST" -Xlog:disable -Xlog:all=error:stderr \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX" "$@"
}

case ${1:-} in
fetch) fetch ;;
path) echo "$JARS" ;;
exec)
	shift
	run "$@"
	;;
*)
	echo "usage: tools/kafka.sh fetch | path | exec CLASS ARGS" >&2
	exit 2
	;;
esac
