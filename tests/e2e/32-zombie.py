#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A judge that was frozen and comes back writes old values behind newer ones; compaction must not keep those.

One of two judges is stopped (SIGSTOP) in the middle of its work, the other takes over and goes on with newer
pushes and deletes of the same zones; then the first goes on. The story insists that it did write late. After a
forced compaction a new, empty name server and a new, empty database are built from dadns.zones alone.

The first judge sends its values one by one, so that there is a middle to catch it in: the freeze comes when the
first of them is there and others are not, and is tried again if it missed that.
"""
import json
import os
import random
import re
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cleaner  # noqa: E402
import story  # noqa: E402
import tables  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
ZONES = 240
ROUNDS = 12   # attempts to catch the judge with values in hand
EXPELLED = 4  # seconds until a frozen one is given up
ONE_BY_ONE = "--kafka.batch.num.messages=1 --kafka.max.in.flight.requests.per.connection=1"
DOOR = "INGEST_2_URL"
TOPIC = "dadns.zones"


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


class Arrivals:
    """zone -> the highest serial that dadns.zones has, as it comes."""

    def __init__(self):
        self.serial = {}
        self.follower = story.Follower(TOPIC, self.take)

    def take(self, key, offset, payload):
        found = re.search(r'"serial":(\d+)', payload)
        if found:
            self.serial[key] = max(self.serial.get(key, 0), int(found[1]))

    def missing(self, zones, n):
        return [zone for zone in zones if self.serial.get(zone, 0) < n]

    def settled(self, zones, n):
        """Those that are missing when no more have come for a while."""
        missing, since = self.missing(zones, n), time.monotonic()
        while time.monotonic() - since < 0.3:
            time.sleep(0.01)
            if len(self.missing(zones, n)) < len(missing):
                missing, since = self.missing(zones, n), time.monotonic()
        return missing


def freeze_in_the_middle(zombie, arrivals, zones, n):
    """Pushes version n of all zones and freezes the judge when some of its values have left it and others have not.
    How many of them, and how many have not; and whether all pushes were acknowledged."""
    os.kill(zombie, signal.SIGSTOP)  # pushes pile up ...
    threads, answers = change_all(zones, n, ())
    finish(threads)
    mine = arrivals.settled(zones, n)
    os.kill(zombie, signal.SIGCONT)  # ... it takes them in one go ...
    until = time.monotonic() + 2
    while len(arrivals.missing(mine, n)) == len(mine) and time.monotonic() < until:
        time.sleep(0.0002)
    os.kill(zombie, signal.SIGSTOP)  # ... and is frozen in the middle of that
    held = arrivals.settled(mine, n)
    return len(mine) - len(held), len(held), answers.count("ok") == len(zones)


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


COREDNS_SERIALS = """SELECT TRIM(TRAILING '.' FROM z.zone_name), r.data FROM zones z
                     LEFT JOIN records r ON r.zone_id = z.id AND r.type = 'SOA' WHERE z.zone_name LIKE %s"""
POWERDNS_SERIALS = """SELECT d.name, r.content FROM domains d
                      LEFT JOIN records r ON r.domain_id = d.id AND r.type = 'SOA' WHERE d.name LIKE %s"""


def served_older(zones, n, doomed):
    """What is served, or stands in a database, that is not the newest: (server, zone, serial)."""
    wrong = [(ns, zone, got) for ns in story.SERVERS for zone in zones
             for got in [story.serial(ns, zone)] if got != ("REFUSED" if zone in doomed else n)]
    for dc, query in ("dc1", COREDNS_SERIALS), ("dc2", POWERDNS_SERIALS):
        there = {zone: soa and int(soa.split()[2]) for zone, soa in story.sql(dc, query, f"zombie%-{story.RUN}.%")}
        wrong += [(f"rows of {dc}", zone, there.get(zone)) for zone in zones
                  if there.get(zone, "absent") != ("absent" if zone in doomed else n)]
    return wrong


with story.Story(f"A judge that comes back from the dead cannot bring an old value back (SEED={SEED})") as s:
    rng = random.Random(SEED)
    story.fast_takeover(s, EXPELLED * 1000)
    story.stack("stop", "ingest")
    story.stack("start", "ingest", args=ONE_BY_ONE)
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
    arrivals = Arrivals()
    s.finally_do(arrivals.follower.stop)

    def both_judge():
        counts = [story.metric(name, "dadns_bus_partitions") for name in ("ingest", "ingest-2")]
        return True if min(counts) > 0 and story.ready("ingest") and story.ready("ingest-2") else counts

    late, doomed, older = [], (), []
    for attempt in range(ROUNDS):
        s.eventually(20, "both judges have partitions", both_judge)
        n += 1
        zombie = story.pid_of("ingest")
        left, held, acked = freeze_in_the_middle(zombie, arrivals, zones, n)
        s.ok(f"round {attempt + 1}: frozen when {left} of its values had left it and {held} had not, all {ZONES} pushes acknowledged", acked)
        if left == 0 or held == 0:
            os.kill(zombie, signal.SIGCONT)  # missed: too early, too late
            s.eventually(20, "it goes on", lambda: arrivals.missing(zones, n) == [])
            continue
        n += 1
        doomed = set(rng.sample(zones, ZONES // 3))
        threads, answers = change_all(zones, n, doomed)
        finish(threads)
        s.ok(f"then newer ones, {len(doomed)} of them deletes, all acknowledged", answers.count("ok") == ZONES)
        wanted = {zone: {story.expected(zone, None if zone in doomed else n)} for zone in zones}
        story.converge(s, 20 + EXPELLED, "the other judge took over: the newest is served", wanted)
        tables.become_right(s, 10, "and stands in both databases", tables.decided(s, {
            zone: None if zone in doomed else n for zone in zones}))
        # AXFR and rows say nothing of PowerDNS's caches
        tables.serve_right(s, tables.PATIENCE, "and PowerDNS serves it", {zone: None if zone in doomed else n for zone in zones})
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
    story.converge(s, 10, "and all serve the newest", wanted)
    wrong = story.went_back(zones)
    s.ok("no writer applied an older version after a newer one", not wrong, wrong[:3])
    s.eventually(20, "the zombie is an ordinary judge again, or was started again by itself",
                 lambda: story.ready("ingest") if story.alive("ingest") else story.start("ingest") and False)

    # ---- compaction
    cleaner.make_quick(s)
    fillers = cleaner.Fillers()

    def compacted():
        fillers.push(DOOR)
        found = history(zones)
        many = [zone for zone in zones if len(found[zone]) > 1]
        return True if not many else f"{len(many)} zones have more than one record: {[(zone, found[zone]) for zone in many[:2]]}"
    s.eventually(60, "compaction took everything but the last record of each zone", compacted, every=0.3)
    found = history(zones)
    wrong = [(zone, found[zone]) for zone in zones if found[zone][-1][2] != (None if zone in doomed else n)]
    s.ok("what it left is the newest of each zone", not wrong, wrong[:3])
    digests = tables.decided(s, {zone: None if zone in doomed else n for zone in zones})

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
    s.ok("it serves nothing", story.serial("ns2", fillers.zones[0]) == "REFUSED", story.serial("ns2", fillers.zones[0]))
    story.stack("start", "writer-ns2")
    story.converge(s, 30, "built from dadns.zones alone it serves the newest of each zone, and no deleted one", wanted, ("ns2",))
    story.stack("stop", "writer-dc1")
    story.stack("database", "dc1")
    said = story.reset_group("dadns.writer.dc1")
    s.ok("dc1 is empty and its writer's group forgotten", "successful" in said and story.sql("dc1", "SHOW TABLES") == (), said)
    time.sleep(1)  # CoreDNS looks several times
    wrong = story.unlike(wanted, ("dc1",))
    s.ok("CoreDNS goes on serving what it had", not wrong, wrong[:3])
    story.stack("start", "writer-dc1")
    tables.become_right(s, 30, "built from dadns.zones alone dc1 has the newest of each zone, and no deleted one", digests, ("dc1",))
    wrong = story.unlike(wanted, ("dc1",))
    s.ok("which is what CoreDNS serves all the time", not wrong, wrong[:3])
    story.restart("ingest", "ingest-2")
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
    story.converge(s, 20, "and served by all", {zone: {story.expected(zone, n)} for zone in zones})
