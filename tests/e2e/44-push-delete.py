#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A push and a delete of the same zone, in both orders, 1,000 times back to back and 1,000 times raced by two owners,
through three replicas: right every time on every name server, and again after everything that could bring an old one back.

Back to back what must come out follows from the clock; of a race from dadns.pushes, by a model of the judge. A zone that
is gone must be REFUSED: a SERVFAIL or an empty answer is wrong (C5).
"""
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cleaner  # noqa: E402
import story  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
ZONES, ROUNDS, WORKERS = 100, 10, 10  # 1,000 of each kind
DOORS = {"ingest": "INGEST_URL", "ingest-2": "INGEST_2_URL", "ingest-3": "INGEST_3_URL"}
A, B = "da1.hoster.example", "da2.hoster.example"
WRITERS = [f"writer-{backend}" for backend in story.BACKENDS]


class Step:
    """One request: n None is a delete."""

    def __init__(self, zone, owner, n, url):
        self.zone, self.owner, self.n, self.url = zone, owner, n, url
        self.answer = None

    def run(self):
        if self.n is None:
            self.answer = story.delete(self.zone, url=self.url, owner=self.owner)
        else:
            self.answer = story.push(self.zone, story.zone_text(self.zone, self.n), url=self.url, owner=self.owner)


def apply(state, owner, n):
    """The judge's rules that matter here. state: (owner, n), n None: deleted; or None: never seen."""
    if n is not None:
        return owner, n
    return (state[0], None) if state is not None and state[0] == owner else state


class Log:
    """What dadns.pushes says of our zones, as it comes: zone -> {offset: (owner, n)}. A push that was held, on a machine that is
    too busy, may be there twice: the judge knows it by its id."""

    def __init__(self, zones):
        self.said = {zone: {} for zone in zones}
        self.ids, self.copies = set(), 0
        self.follower = story.Follower("dadns.pushes", self.take, "beginning")

    def take(self, key, offset, payload):
        if key in self.said:
            value = json.loads(payload)
            if value["id"] in self.ids:
                self.copies += 1
                return
            self.ids.add(value["id"])
            self.said[key][offset] = (value["owner"], value.get("serial") if value["op"] == "save" else None)

    def state(self, zone):
        state = None
        for _, (owner, n) in sorted(self.said[zone].items()):
            state = apply(state, owner, n)
        return state


def run_all(work):
    """work: one list of things to do for each zone; a thing is one step, or several at once."""
    def do(mine):
        for things in mine:
            for steps in things:
                threads = [threading.Thread(target=step.run) for step in steps[1:]]
                for thread in threads:
                    thread.start()
                steps[0].run()
                for thread in threads:
                    thread.join()
    threads = [threading.Thread(target=do, args=(work[i::WORKERS],)) for i in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def serial_of(state):
    return "REFUSED" if state is None or state[1] is None else state[1]


def not_right(left):
    """`left`: server -> zone -> serial or REFUSED. Takes out what is answered so; what is not: (server, zone, got)."""
    wrong = []

    def look(server):
        for zone, right in list(left[server].items()):
            got = story.serial(server, zone)
            if got == right:
                del left[server][zone]
            else:
                wrong.append((server, zone, f"{got}, not {right}"))
    threads = [threading.Thread(target=look, args=(server,)) for server in left]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def become_right(right, seconds=20):
    """Every server comes to answer so for every zone. What it does not."""
    left = {server: dict(right) for server in story.SERVERS}
    until = time.monotonic() + seconds
    while wrong := not_right(left):
        if time.monotonic() > until:
            return wrong
        time.sleep(0.05)
    return []


with story.Story(f"Pushes and deletes of the same zones, back to back and raced, through three replicas (SEED={SEED})") as s:
    rng = random.Random(SEED)
    for door in list(DOORS)[1:]:
        s.finally_do(story.stack, "stop", door)
    story.at_once(story.start, list(DOORS)[1:])
    story.load_endpoints()
    for door in DOORS:
        s.eventually(30, f"{door} is ready", lambda: story.ready(door))
    zones = [f"flip{i}-{story.RUN}.example" for i in range(ZONES)]
    log = Log(zones)
    s.finally_do(log.follower.stop)
    state = dict.fromkeys(zones)
    n, sent, used = 0, 0, {url: 0 for url in DOORS.values()}

    def send(work):
        """Returns what was not acknowledged, and when all is in the log."""
        global sent
        steps = [step for things in work for group in things for step in group]
        run_all(work)
        for step in steps:
            used[step.url] += 1
        sent += len(steps)
        until = time.monotonic() + 10
        while sum(map(len, log.said.values())) < sent and time.monotonic() < until:
            time.sleep(0.005)
        return [(step.zone, step.n, step.answer) for step in steps if step.answer != "ok"]

    # ---- back to back
    refused, wrong, pairs = send([[[Step(zone, A, 1, "INGEST_URL")]] for zone in zones]), [], {"push delete": 0, "delete push": 0}
    state = {zone: (A, 1) for zone in zones}
    s.ok(f"{ZONES} zones are pushed and served", not refused and not become_right({zone: 1 for zone in zones}), refused[:3])
    for n in range(2, 2 + ROUNDS):
        work = []
        for zone in zones:
            owner, kind = state[zone][0], rng.choice(list(pairs))
            pairs[kind] += 1
            contents = (n, None) if kind == "push delete" else (None, n)
            work.append([[Step(zone, owner, content, rng.choice(list(DOORS.values())))] for content in contents])
            state[zone] = (owner, contents[1])
        refused += send(work)
        wrong += become_right({zone: serial_of(state[zone]) for zone in zones})
    s.ok(f"{sum(pairs.values())} pairs back to back {pairs}: all acknowledged", not refused and min(pairs.values()) > 300, refused[:3])
    s.ok("each time every name server came to serve what was said last", not wrong, wrong[:5])
    differ = [(zone, state[zone], log.state(zone)) for zone in zones if log.state(zone) != state[zone]]
    s.ok("and the log has it in the order of the clock", not differ, differ[:3])

    # ---- raced by two owners
    refused, wrong, races, orders = [], [], 0, {"push first": 0, "delete first": 0}
    for n in range(2 + ROUNDS, 2 + 2 * ROUNDS):
        work, before = [], {zone: set(log.said[zone]) for zone in zones}
        for zone in zones:
            owners = rng.choice(((A, B), (B, A), (A, A), (B, B)))
            steps = [Step(zone, owners[0], n, rng.choice(list(DOORS.values()))), Step(zone, owners[1], None, rng.choice(list(DOORS.values())))]
            rng.shuffle(steps)
            work.append([steps])
        races += len(work)
        refused += send(work)
        for zone in zones:
            new = [log.said[zone][offset][1] for offset in sorted(set(log.said[zone]) - before[zone])]
            orders["delete first" if new[:1] == [None] else "push first"] += 1
            state[zone] = log.state(zone)
        wrong += become_right({zone: serial_of(state[zone]) for zone in zones})
    s.ok(f"{races} races of a push and a delete by two owners {orders}: all acknowledged",
         races == ZONES * ROUNDS and not refused and min(orders.values()) > 100, refused[:3])
    s.ok("each time every name server came to serve what the log says", not wrong, wrong[:5])
    s.ok(f"the replicas took their part: {list(used.values())}", min(used.values()) > sent / 5)
    s.ok(f"each request is in dadns.pushes exactly once, but for {log.copies} copies of held ones", sum(map(len, log.said.values())) == sent, (sum(map(len, log.said.values())), sent))

    # ---- and again
    right = {zone: serial_of(state[zone]) for zone in zones}
    wanted = {zone: {story.expected(zone, state[zone][1])} for zone in zones}
    gone = [zone for zone in zones if right[zone] == "REFUSED"]

    def all_right(when):
        wrong = become_right(right, 30) + story.unlike(wanted) + not_right({server: dict(right) for server in story.SERVERS})
        wrong += [(door, zone, body) for door, url in DOORS.items() for zone in zones[::5] for body in [
            story.status_and_body(story.raw(story.request_bytes("GET", f"/CMD_API_DNS_ADMIN?action=exists&domain={zone}"), url))[1]]
            if body.startswith("error=0&exists=1") != (zone not in gone) or not body.startswith("error=0&")]
        s.ok(f"{when}: {ZONES} zones are right on each server, the {len(gone)} that are gone are REFUSED, not in the least different",
             not wrong and 10 < len(gone) < ZONES - 10, wrong[:5])

    all_right("at once")
    story.restart(*story.SERVERS)
    all_right("after a restart of all name servers")
    story.at_once(lambda writer: story.stack("stop", writer), WRITERS)
    said = story.reset_group(*(f"dadns.writer.{backend}" for backend in story.BACKENDS))
    story.at_once(story.start, WRITERS)
    s.eventually(30, "the writers' groups are forgotten: they read everything again", lambda: "successful" in said and min(
        story.metric(writer, "dadns_writer_zones_total") for writer in WRITERS) >= ZONES)
    all_right("after that")
    host, port = story.address("REDIS_URL") if "://" not in os.environ["REDIS_URL"] else os.environ["REDIS_URL"].rpartition("/")[2].split(":")
    said = subprocess.run(["redis-cli", "-h", host, "-p", str(port), "FLUSHALL"], capture_output=True, text=True, timeout=10).stdout
    s.ok("Redis forgets everything", said.strip() == "OK", said)
    all_right("after that")

    cleaner.make_quick(s)
    fillers = cleaner.Fillers()

    def compacted():
        fillers.push()
        counts = dict.fromkeys(zones, 0)
        for zone, _, _, _ in story.records("dadns.zones", counts):
            counts[zone] += 1
        return True if set(counts.values()) == {1} else f"{sum(1 for count in counts.values() if count != 1)} have more than one record"
    s.eventually(60, "compaction leaves the last record of each zone", compacted, every=0.3)
    story.restart(*DOORS, *WRITERS)
    for door in DOORS:
        s.eventually(30, f"{door} was started again and has read what is left", lambda: story.ready(door))
    all_right("after that")
    back = story.went_back(zones)
    s.ok("no writer applied an older version after a newer one", not back, back[:3])
