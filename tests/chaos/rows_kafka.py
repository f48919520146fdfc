# SPDX-License-Identifier: Apache-2.0
"""Kafka: brokers that are gone, frozen or slow to say what they did; a log that was compacted, cut or made anew."""
import os
import re
import threading
import time

import rig as rigs  # noqa: F401  (sets the paths)
import load
import story
import topics
from rig import row

BROKERS = ("kafka", "kafka-2", "kafka-3")
LONGEST = 10  # seconds until DirectAdmin has its answer, whatever is the matter


def leader_of(topic, partition=0):
    """The member of the stack that leads a partition."""
    text = story.kcat("-L", "-t", topic)
    number = int(re.search(rf"partition {partition}, leader (\d+)", text)[1])
    return BROKERS[number - 1]


def clear_answers(rig):
    """Whoever was not acknowledged was told why, and nobody waited long."""
    dull = [text for result, text in rig.load.texts if result == "fail" and len(text) < 20]
    rig.ok("every refusal has a text that says what to do", not dull, dull[:3])
    asked = {event["id"]: event["t"] for event in list(rig.history.events) if event["e"] == "invoke"}
    slowest = max((event["t"] - asked[event["id"]] for event in list(rig.history.events) if event["e"] in ("ok", "fail")), default=0)
    rig.ok(f"and every answer came within {LONGEST} s", slowest < LONGEST, f"{slowest:.1f} s")
    rig.figure("slowest answer", f"{slowest:.1f} s")


@row("F02", "ingest dies after Kafka's confirmation, before the answer", tier="short", faults=3)
def f02(rig):
    """abort mark door.acked; the client pushes the same once more"""
    rig.load.start(rate=20, zones=rig.zones[3:])
    for zone in rig.zones[:3]:
        with rig.nemesis(f"ingest dies at door.acked with {zone}") as fault:
            rig.stack("stop", "ingest")
            rig.start("ingest", abort_at="door.acked:2")
            result = "fail"
            until = time.monotonic() + 15
            while result == "fail" and story.exit_code("ingest") is None and time.monotonic() < until:
                result, n, _ = rig.push(zone)  # nobody listens yet: refused, and tried again
                time.sleep(0.05)
            fault.fired(rig.await_exit("ingest", 15) == 137)
            rig.start("ingest")
        rig.ok("the client never gets error=0 twice for nothing", rig.push(zone, n=n)[0] == "ok")


@row("F05", "all brokers down", brokers=3, seconds=400, bound=90)
def f05(rig):
    """SIGKILL to all three for 20 s, under load"""
    rig.load.start(rate=30)
    with rig.nemesis("all brokers are killed") as fault:
        for name in BROKERS:
            rig.kill(name)
            fault.fired(rig.await_exit(name, 10) == 137)
        time.sleep(20)
        for name in BROKERS:
            rig.start(name, nowait=True)
        rig.eventually(60, "the brokers are back", lambda: all_brokers_answer())
    rig.under_load(5)
    clear_answers(rig)


def all_brokers_answer():
    try:
        return len(re.findall(r"broker \d+ at", story.kcat("-L", "-m", "2"))) == len(BROKERS)
    except Exception as error:
        return str(error)


@row("F06", "one broker of three killed, a leader", brokers=3, seconds=300)
def f06(rig):
    """SIGKILL to the leader of dadns.pushes/0, twice"""
    rig.load.start(rate=30)
    for _ in range(2):
        name = leader_of("dadns.pushes")
        before = rig.load.acked
        with rig.nemesis(f"{name} is killed") as fault:
            rig.kill(name)
            fault.fired(rig.await_exit(name, 10) == 137)
            began = time.monotonic()
            rig.eventually(15, "pushes to all partitions go on within 15 s", lambda: rig.load.acked > before + 60)
            rig.figure("until pushes went on", f"{time.monotonic() - began:.1f} s")
            rig.start(name, nowait=True)
            rig.eventually(60, "it is back", all_brokers_answer)
    clear_answers(rig)


@row("F07", "the leading broker is frozen", brokers=3, seconds=300, bound=90)
def f07(rig):
    """SIGSTOP to the leader of dadns.pushes/0 for 20 s"""
    rig.load.start(rate=30)
    name = leader_of("dadns.pushes")
    with rig.nemesis(f"{name} is frozen") as fault:
        rig.stack("pause", name)
        fault.fired()
        rig.finally_do(rig.stack, "cont", name)
        rig.under_load(20)
        rig.stack("cont", name)
    rig.under_load(5)
    clear_answers(rig)


@row("F08", "two brokers of three down: fewer copies than needed", brokers=3, seconds=300, bound=90)
def f08(rig):
    """SIGKILL to two for 15 s, under load"""
    rig.load.start(rate=30)
    with rig.nemesis("two brokers are killed") as fault:
        for name in BROKERS[1:]:
            rig.kill(name)
            fault.fired(rig.await_exit(name, 10) == 137)
        time.sleep(15)
        for name in BROKERS[1:]:
            rig.start(name, nowait=True)
        rig.eventually(60, "they are back", all_brokers_answer)
    rig.under_load(5)
    clear_answers(rig)


@row("F10", "the answer to a Produce is lost", faults=6)
def f10(rig):
    """ingest reaches Kafka through a proxy that lets Produce requests pass and resets the connection at their answers"""
    import proxy
    path = f"{story.STACK_DIR}/kafka/server.properties"
    with open(path) as file:
        before = file.read()
    broker = story.address("KAFKA_BROKERS")
    inner = broker[1] + 99 - (broker[1] % 100)  # the last port of the stack's block
    hop = proxy.Proxy(("127.0.0.1", inner))

    def rewrite(text):
        rig.stack("stop", "kafka")
        with open(path, "w") as file:
            file.write(text)
        rig.start("kafka")

    def back():
        hop.close()
        rig.stack("stop", "ingest")
        rewrite(before)
        rig.start("ingest")
    rig.finally_do(back)
    # who comes by the proxy is told to come by the proxy
    text = before.replace("listeners=PLAINTEXT:", f"listeners=HOP://127.0.0.1:{inner},PLAINTEXT:", 1)
    text = text.replace("advertised.listeners=PLAINTEXT:", f"advertised.listeners=HOP://127.0.0.1:{hop.port},PLAINTEXT:", 1)
    text += "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,HOP:PLAINTEXT\ninter.broker.listener.name=PLAINTEXT\n"
    with rig.nemesis("Kafka gets a second door, ingest is started again") as fault:
        rewrite(text)
        rig.stack("stop", "ingest")
        rig.start("ingest", args=f"--kafka.brokers=127.0.0.1:{hop.port}")
        fault.fired(hop.port != broker[1])
    rig.load.start(rate=30)
    rig.under_load(2)
    with rig.nemesis("answers to Produce are lost") as fault:
        for _ in range(5):
            fired = hop.fired
            hop.lose_answer(lambda data: data[4:6] == b"\0\0" and b"dadns.pushes" in data)
            rig.eventually(10, "one is lost", lambda: hop.fired > fired)
            fault.fired(hop.fired > fired)
            rig.under_load(1.5)
    clear_answers(rig)


@row("F12", "the broker is silent for longer than a push may wait", tier="short", faults=2)
def f12(rig):
    """SIGSTOP to the broker for 7 s, twice: what was on its way is appended afterwards"""
    rig.load.start(rate=30)
    for _ in range(2):
        with rig.nemesis("the broker is frozen") as fault:
            rig.stack("pause", "kafka")
            try:
                time.sleep(7)
            finally:
                rig.stack("cont", "kafka")
            fault.fired()
        rig.under_load(4)
    clear_answers(rig)


def new_epoch(rig):
    """What an operator does when the log was cut or made anew, and that is meant."""
    for name in rig.services():
        story.stack("stop", name)
    rig.note(topics.apply("--new-epoch").splitlines()[-1])
    rig.note(story.reset_group("dadns.judge").strip().splitlines()[-1])
    for name in story.PRODUCTS:
        story.start(name)


@row("F16", "a topic is deleted and made again", populate=False, faults=1, seconds=400)
def f16(rig):
    """dadns.pushes is deleted while all run, and made anew by dadns topics apply, then with --new-epoch"""
    old = [f"before{i}-{story.RUN}.example" for i in range(8)]
    for zone in old:
        rig.ok("a zone is pushed", story.push(zone, story.zone_text(zone, 1)) == "ok")
    wanted = {zone: {story.expected(zone, 1)} for zone in old}
    rig.eventually(30, "and served", lambda: story.unlike(wanted) == [] or story.unlike(wanted)[:3])
    with rig.nemesis("dadns.pushes is made anew") as fault:
        topics.tool("org.apache.kafka.tools.TopicCommand", "--delete", "--topic", "dadns.pushes")
        fault.fired("dadns.pushes" not in re.findall(r'topic "([^"]+)"', story.kcat("-L")))
        time.sleep(2)
        rig.eventually(20, "topics apply makes it", lambda: "dadns.pushes" in topics.apply())
        rig.stack("stop", "ingest")
        position = story.log_size("ingest")
        rig.start("ingest", nowait=True)
        rig.eventually(30, "the judge stops and says that the log was made anew",
                       lambda: "--new-epoch" in story.log_since("ingest", position) or story.log_since("ingest", position)[-300:])
        rig.ok("nothing is deleted meanwhile", story.unlike(wanted) == [], story.unlike(wanted)[:3])
        new_epoch(rig)
        rig.ok("nor afterwards", story.unlike(wanted) == [], story.unlike(wanted)[:3])
    rig.populate()
    rig.load.start(rate=30)
    rig.under_load(4)
    for zone in old:
        rig.ok("the old zones can be changed", story.push(zone, story.zone_text(zone, 2)) == "ok")
    wanted = {zone: {story.expected(zone, 2)} for zone in old}
    rig.eventually(30, "and are served", lambda: story.unlike(wanted) == [] or story.unlike(wanted)[:3])


@row("F19", "compaction runs under load", seconds=300)
def f19(rig):
    """segments of 1 s, no lag; two writers come late to what the cleaner has been through"""
    rig.load.start(rate=40)
    with topics.quick_compaction(rig, segment_ms=1000):
        with rig.nemesis("compaction under load") as fault:
            for name in ("writer-ns1", "writer-dc2"):
                rig.stack("stop", name)
            rig.under_load(10)
            ends = story.end_offsets("dadns.zones")
            there = len(story.records("dadns.zones"))
            rig.figure("records compacted away", sum(ends.values()) - there)
            fault.fired(sum(ends.values()) - there > 20)
            for name in ("writer-ns1", "writer-dc2"):
                rig.start(name)
        rig.under_load(3)


@row("F20", "a writer is away for longer than tombstones stay", seconds=300, faults=1)
def f20(rig):
    """delete.retention.ms=1 s; deletes and a forced compaction while writer-ns1 and writer-dc1 are stopped"""
    doomed = rig.zones[:8]
    with topics.quick_compaction(rig, tombstones_ms=1000):
        with rig.nemesis("deletes are compacted while writers are away") as fault:
            for name in ("writer-ns1", "writer-dc1"):
                rig.stack("stop", name)
            for zone in doomed:
                rig.push(zone)
                rig.delete(zone)
            gone = topics.compact(rig, rig.all_zones)
            time.sleep(2)
            topics.compact(rig, rig.all_zones)
            rig.figure("records compacted away", gone)
            fault.fired(gone >= len(doomed))
            for name in ("writer-ns1", "writer-dc1"):
                rig.start(name)
        rig.eventually(30, "the deleted zones are gone everywhere", lambda: [
            (server, zone) for server in story.SERVERS for zone in doomed if story.serial(server, zone) != "REFUSED"] or True)


@row("F21", "the offsets of groups are gone", seconds=300, faults=2)
def f21(rig):
    """kafka-consumer-groups --delete for two writers and for the judge while they are stopped"""
    rig.load.start(rate=30)
    rig.under_load(3)
    with rig.nemesis("offsets of writers are deleted") as fault:
        for name in ("writer-ns1", "writer-dc1"):
            rig.stack("stop", name)
        fault.fired("successful" in story.reset_group("dadns.writer.ns1", "dadns.writer.dc1"))
        for name in ("writer-ns1", "writer-dc1"):
            rig.start(name)
    with rig.nemesis("offsets of the judge are deleted") as fault:
        rig.stack("stop", "ingest")
        fault.fired("successful" in story.reset_group("dadns.judge"))
        rig.start("ingest")
    rig.under_load(3)


@row("F22", "a committed offset is out of range", seconds=300)
def f22(rig):
    """the judge's group is set to the earliest offset, then the records there are taken away (DeleteRecords)"""
    rig.load.start(rate=30)
    rig.under_load(4)
    with rig.nemesis("committed offsets are out of range") as fault:
        rig.eventually(20, "all is judged", lambda: rig.load.stop() or all(map(rig.live.settled, rig.all_zones)))
        rig.stack("stop", "ingest")
        topics.group("--reset-offsets", "--to-earliest", "--group", "dadns.judge", "--topic", "dadns.pushes", "--execute")
        ends = story.end_offsets("dadns.pushes")
        said = topics.take_away("dadns.pushes", ends)
        fault.fired("error" not in said.lower())
        position = story.log_size("ingest")
        rig.start("ingest")
        rig.note(next((line[-300:] for line in story.log_since("ingest", position).splitlines() if "range" in line.lower()), "no word of a range"))
    rig.load.start(rate=30)
    rig.under_load(4)


@row("F61", "two faults at once", brokers=3, seconds=500, bound=90, faults=4)
def f61(rig):
    """a leading broker and MariaDB killed together; then Redis wiped and a writer killed in its work"""
    rig.load.start(rate=30)
    name = leader_of("dadns.pushes")
    with rig.nemesis(f"{name} and MariaDB are killed", down=("dc2",)) as fault:
        rig.kill(name)
        rig.kill("mariadb")
        fault.fired(rig.await_exit(name, 10) == 137)
        fault.fired(rig.await_exit("mariadb", 10) == 137)
        rig.under_load(8)
        rig.start("mariadb")
        rig.start(name, nowait=True)
        rig.eventually(60, "the broker is back", all_brokers_answer)
    with rig.nemesis("Redis is wiped, writer-ns1 dies") as fault:
        rig.kill("redis")
        fault.fired(rig.await_exit("redis", 10) == 137)
        for folder, _, files in os.walk(f"{story.STACK_DIR}/redis"):
            for file in files:
                if file != "redis.conf":
                    os.unlink(os.path.join(folder, file))
        rig.kill("writer-ns1")
        rig.await_exit("writer-ns1", 5)
        rig.start("writer-ns1", abort_at="bind.renamed:3")
        fault.fired(rig.await_exit("writer-ns1", 15) == 137)
        rig.start("redis")
        rig.start("writer-ns1")
    rig.under_load(4)


# ---- the acceptance: a minute without Kafka ------------------------------------------------------------------------------

DOORS = ("INGEST_URL", "INGEST_2_URL", "INGEST_3_URL")


def a_minute(rig, verb, back):
    """Three DirectAdmin servers push 500 zones each through three replicas while all brokers are `verb`; one replica is killed."""
    with rig.nemesis("two replicas more") as fault:
        for name in ("ingest-2", "ingest-3"):
            rig.start(name)
            rig.finally_do(rig.stack, "stop", name)
            fault.fired(story.alive(name))
    rig.load.start(rate=10, doors=DOORS)
    zones = rig.more_zones(1500, "of")
    with rig.nemesis(f"all brokers are {verb}") as fault:
        began = time.monotonic()
        for name in BROKERS:
            rig.stack(verb, name)
            fault.fired()
        servers = []
        for i, owner in enumerate(load.OWNERS):
            servers.append(threading.Thread(target=push_slowly, args=(rig, zones[i::3], owner, began + 55)))
            servers[-1].start()
        time.sleep(25)
        rig.kill("ingest-2")
        fault.fired(rig.await_exit("ingest-2", 5) == 137)
        rig.start("ingest-2", nowait=True)
        for server in servers:
            server.join()
        time.sleep(max(0, began + 60 - time.monotonic()))
        held = story.metric("ingest", "dadns_hold_records")
        rig.figure("pushes held at the end of it", int(held))
        for name in BROKERS:
            rig.stack(back, name) if back == "cont" else rig.start(name, nowait=True)
        rig.eventually(90, "the brokers are back", all_brokers_answer)
    rig.load.stop()
    rig.eventually(90, "nothing is held any more", lambda: story.metric("ingest", "dadns_hold_records") == 0 or
                   story.metric("ingest", "dadns_hold_records"))
    mine = [event for event in rig.history.events if event["e"] == "invoke" and event["zone"] in set(zones)]
    rig.figure("pushes meanwhile", len(mine))
    clear_answers(rig)


def push_slowly(rig, zones, owner, until):
    """All of them until then, each once, through the three doors in turn."""
    for i, zone in enumerate(zones):
        left = (until - time.monotonic()) / (len(zones) - i)
        began = time.monotonic()
        rig.push(zone, owner=owner, door=DOORS[i % 3])
        time.sleep(max(0.0, left - (time.monotonic() - began)))


@row("brokers-killed", "all brokers killed for a minute, a replica of ingest too", brokers=3, seconds=900, bound=180, faults=6)
def brokers_killed(rig):
    """SIGKILL to three brokers; three DirectAdmin servers push 500 zones each through three replicas, one is killed"""
    a_minute(rig, "kill", "start")


@row("brokers-frozen", "all brokers frozen for a minute, a replica of ingest killed", brokers=3, seconds=900, bound=180, faults=6)
def brokers_frozen(rig):
    """SIGSTOP to three brokers; three DirectAdmin servers push 500 zones each through three replicas, one is killed"""
    a_minute(rig, "pause", "cont")


@row("F09", "last replica standing, which then loses the end of its log", brokers=3, seconds=500, bound=20, faults=3, expects=("C1", "C2"))
def f09(rig):
    """two brokers killed, then the third, whose dadns.pushes is cut by 200 bytes and which is started first; ingest must stop and say so"""
    rig.load.start(rate=30)
    rig.under_load(3)
    position = story.log_size("ingest")
    with rig.nemesis("the last replica loses its tail") as fault:
        for name in BROKERS:
            time.sleep(2)
            rig.kill(name)
            fault.fired(rig.await_exit(name, 10) == 137)
        rig.load.stop()
        cut = 0
        for folder, _, files in os.walk(f"{story.STACK_DIR}/{BROKERS[2]}/data"):
            logs = sorted(file for file in files if file.endswith(".log"))
            if "/dadns.pushes-" in folder and logs and os.path.getsize(os.path.join(folder, logs[-1])) > 200:
                os.truncate(os.path.join(folder, logs[-1]), os.path.getsize(os.path.join(folder, logs[-1])) - 200)
                cut += 1
        rig.ok("its log is cut", cut > 0)
        rig.figure("partitions that were cut", cut)
        for name in reversed(BROKERS):
            rig.start(name, nowait=True)
            time.sleep(5)
        rig.eventually(90, "the brokers are back", all_brokers_answer)
        rig.load.start(rate=30)
        rig.eventually(90, "ingest says that the log was cut, and what to do", lambda: "--new-epoch" in story.log_since("ingest", position))
    rig.finally_do(new_epoch, rig)
