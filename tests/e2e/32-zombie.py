#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A judge that was frozen and comes back writes old values behind newer ones; compaction must not keep those.

One of two judges is stopped (SIGSTOP) in the middle of its work, the other takes over and goes on with newer
pushes and deletes of the same zones; then the first goes on. The story insists that it did write late. After a
forced compaction a new, empty name server is built from dadns.zones alone.
"""
import json
import os
import random
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
ZONES = 240
ROUNDS = 8  # attempts to catch the judge with values in flight
DOOR = "INGEST_2_URL"
TOPIC = "dadns.zones"
QUICK = "min.compaction.lag.ms=0,segment.ms=200,min.cleanable.dirty.ratio=0.001,delete.retention.ms=86400000"


def configs(kind, name, verb, settings):
    return story.kafka_class("kafka.admin.ConfigCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"], "--entity-type", kind,
                             *(["--entity-default"] if name is None else ["--entity-name", name]), "--alter", f"--{verb}-config", settings)


def history(zones):
    """zone -> [(offset, version, n or None)] in the order of the log; n None: deleted."""
    found = {}
    for zone, _, offset, text in story.records(TOPIC, set(zones)):
        value = json.loads(text)
        found.setdefault(zone, []).append((offset, story.version_of(value), None if value.get("deleted") else value["serial"]))
    return found


def change_all(zones, n, deletes):
    """Every zone once, from eight threads; a zone in `deletes` is deleted. All must be acknowledged."""
    answers = []

    def work(mine):
        for zone in mine:
            answers.append(story.delete(zone, url=DOOR) if zone in deletes else story.push(zone, story.zone_text(zone, n), url=DOOR))
    threads = [threading.Thread(target=work, args=(zones[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    return threads, answers


def finish(threads):
    for thread in threads:
        thread.join(60)


def late_records(found, zones):
    """Records that lie behind a newer one of the same zone: (zone, version, behind), repairs not counted."""
    late = []
    for zone in zones:
        highest = (0, 0)
        for offset, version, _ in found.get(zone, []):
            if version < highest:
                late.append((zone, version, highest))
            highest = max(highest, version)
    return late


def served_older(zones, n, doomed):
    """What is served that is not the newest: (server, zone, serial)."""
    return [(ns, zone, got) for ns in ("ns1", "ns2") for zone in zones
            for got in [story.serial(ns, zone)] if got != ("REFUSED" if zone in doomed else n)]


with story.Story(f"A judge that comes back from the dead cannot bring an old value back (SEED={SEED})") as s:
    rng = random.Random(SEED)
    story.fast_takeover(s)
    story.stack("start", "ingest-2")
    s.finally_do(story.stack, "stop", "ingest-2")
    story.load_endpoints()
    s.finally_do(lambda: story.alive("ingest") and story.stack("cont", "ingest"))
    zones = [f"zombie{i}-{story.RUN}.example" for i in range(ZONES)]
    n = 1
    threads, answers = change_all(zones, n, ())
    finish(threads)
    s.ok(f"{ZONES} zones are pushed through the second door", answers.count("ok") == ZONES)
    story.converge(s, 20, "and served", {zone: {story.expected(zone, n)} for zone in zones})
    s.eventually(10, "both judges have partitions", lambda: min(
        story.metric("ingest", "dadns_bus_partitions"), story.metric("ingest-2", "dadns_bus_partitions")) > 0)

    late, doomed, older = [], (), []
    for attempt in range(ROUNDS):
        n += 1
        zombie = story.pid_of("ingest")
        os.kill(zombie, signal.SIGSTOP)  # pushes pile up ...
        threads, answers = change_all(zones, n, ())
        finish(threads)
        os.kill(zombie, signal.SIGCONT)
        time.sleep(rng.uniform(0.002, 0.03))  # ... it takes them in one go, and is frozen in the middle of that
        os.kill(zombie, signal.SIGSTOP)
        s.ok(f"round {attempt + 1}: frozen with pushes in hand, all {ZONES} acknowledged", answers.count("ok") == ZONES)
        n += 1
        doomed = set(rng.sample(zones, ZONES // 3))
        threads, answers = change_all(zones, n, doomed)
        finish(threads)
        s.ok(f"then newer ones, {len(doomed)} of them deletes, all acknowledged", answers.count("ok") == ZONES)
        wanted = {zone: {story.expected(zone, None if zone in doomed else n)} for zone in zones}
        story.converge(s, 20, "the other judge took over: the newest is served", wanted)
        before = len(late_records(history(zones), zones))
        os.kill(zombie, signal.SIGCONT)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            late = late_records(history(zones), zones)
            older += served_older(zones, n, doomed)
            if len(late) > before:
                break
        if late:
            break
    s.ok(f"the zombie wrote {len(late)} older values behind newer ones, for instance {late[:1]}", len(late) > 0)
    raised = sum(1 for zone, _, _ in late if zone in doomed)
    story.Story.note(f"{raised} of them are behind a delete")

    def settled():
        older.extend(served_older(zones, n, doomed))
        found = history(zones)
        wrong = [zone for zone in zones if found[zone][-1][1] != max(version for _, version, _ in found[zone])]
        return True if not wrong else f"{len(wrong)} zones end at an older version: {wrong[:3]}"
    s.eventually(15, "each zone's newest value is written again behind them", settled)
    older += served_older(zones, n, doomed)
    s.ok("no name server showed an old one for a moment", not older, older[:5])
    story.converge(s, 10, "and both serve the newest", wanted)
    wrong = story.went_back(zones)
    s.ok("no writer applied an older version after a newer one", not wrong, wrong[:3])
    s.eventually(20, "the zombie is an ordinary judge again, or was started again by itself",
                 lambda: story.ready("ingest") if story.alive("ingest") else story.start("ingest") and False)

    # ---- compaction
    s.finally_do(lambda: s.ok("dadns topics apply puts the settings right", "dadns.zones" in story.subprocess.run(
        [f"{story.BIN}/dadns", "topics", "apply", "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True, text=True).stdout))
    s.finally_do(configs, "topics", TOPIC, "delete", "segment.ms,min.cleanable.dirty.ratio,delete.retention.ms")
    s.finally_do(configs, "brokers", None, "delete", "log.cleaner.backoff.ms")
    configs("brokers", None, "add", "log.cleaner.backoff.ms=300")
    configs("topics", TOPIC, "add", QUICK)
    fillers = [f"filler{i}-{story.RUN}.example" for i in range(60)]
    rounds = [0]

    def compacted():
        rounds[0] += 1
        for zone in fillers:  # a segment is closed by what comes after it
            story.push(zone, story.zone_text(zone, rounds[0]), url=DOOR)
        found = history(zones)
        many = [zone for zone in zones if len(found[zone]) > 1]
        return True if not many else f"{len(many)} zones have more than one record: {[(zone, found[zone]) for zone in many[:2]]}"
    s.eventually(60, "compaction took everything but the last record of each zone", compacted, every=0.3)
    found = history(zones)
    wrong = [(zone, found[zone]) for zone in zones if found[zone][-1][2] != (None if zone in doomed else n)]
    s.ok("what it left is the newest of each zone", not wrong, wrong[:3])

    # ---- a new name server from the log alone
    story.stack("stop", "writer-ns2")
    story.stack("stop", "ns2")
    home = f"{story.STACK_DIR}/ns2"
    for folder, _, files in os.walk(home):
        for file in files:
            if folder.endswith("/zones") or ".nzd" in file or ".nzf" in file:
                os.unlink(os.path.join(folder, file))
    said = story.reset_group("dadns.writer.ns2")
    s.ok("ns2 is wiped and its writer's group forgotten", "successful" in said, said)
    story.stack("start", "ns2")
    s.ok("it serves nothing", story.serial("ns2", fillers[0]) == "REFUSED", story.serial("ns2", fillers[0]))
    story.stack("start", "writer-ns2")
    story.converge(s, 30, "built from dadns.zones alone it serves the newest of each zone, and no deleted one", wanted, ("ns2",))
    for name in ("ingest", "ingest-2"):
        story.stack("stop", name)
        story.stack("start", name)
    wrong = []
    for zone in zones:
        body = story.status_and_body(story.raw(story.request_bytes("GET", f"/CMD_API_DNS_ADMIN?action=exists&domain={zone}")))[1]
        if body.startswith("error=0&exists=1") != (zone not in doomed):
            wrong.append((zone, body))
    s.ok("judges that start now know the same", not wrong, wrong[:3])
    n += 1
    threads, answers = change_all(zones, n, ())
    finish(threads)
    s.ok("and go on: pushes of all zones are acknowledged", answers.count("ok") == ZONES)
    story.converge(s, 20, "and served by both", {zone: {story.expected(zone, n)} for zone in zones})
