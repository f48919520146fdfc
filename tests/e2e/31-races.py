#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pushes and deletes of the same zones through two doors and by two owners: the log's order decides, everywhere.

What must come out is computed twice: by a model of the judge that reads dadns.pushes in its order, and, where
two requests did not overlap, from the time at which they were answered.
"""
import json
import os
import random
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
import tables  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
ZONES = 200
DOORS = ("INGEST_URL", "INGEST_2_URL")
A, B = "da1.hoster.example", "da2.hoster.example"
WRITERS = [f"writer-{backend}" for backend in story.BACKENDS]


class Step:
    """One request: n None is a delete."""

    def __init__(self, zone, owner, n, door):
        self.zone, self.owner, self.n, self.door = zone, owner, n, door

    def run(self):
        self.asked = time.monotonic()
        if self.n is None:
            self.answer = story.delete(self.zone, url=self.door, owner=self.owner)
        else:
            self.answer = story.push(self.zone, story.zone_text(self.zone, self.n), url=self.door, owner=self.owner)
        self.answered = time.monotonic()


def race(zone, rng):
    """Four rounds over one zone; in each two or three requests, one behind the other or at once."""
    steps, n = [], 0
    polite = rng.random() < 0.3
    for _ in range(4):
        group = []
        kind = rng.choice(("push delete", "delete push", "push push", "push delete push", "two owners"))
        owner = rng.choice((A, A, B))
        for word in kind.split() if kind != "two owners" else ("push", "push", "delete"):
            n += 1
            who = rng.choice((A, B)) if kind == "two owners" else owner
            group.append(Step(zone, who, n if word == "push" else None, rng.choice(DOORS)))
        if polite or rng.random() < 0.5:
            for step in group:
                step.run()
        else:
            threads = [threading.Thread(target=step.run) for step in group]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        steps += group
    return steps


def apply(state, owner, n):
    """The judge's rules that matter here. state: (owner, n) or None."""
    if n is not None:
        return owner, n
    return (state[0], None) if state is not None and state[0] == owner else state


with story.Story(f"Races through two doors: what the log says is what is served, now and after a replay (SEED={SEED})") as s:
    story.stack("start", "ingest-2")
    s.finally_do(story.stack, "stop", "ingest-2")
    story.load_endpoints()
    zones = [f"race{i}-{story.RUN}.example" for i in range(ZONES)]
    steps = []
    lock = threading.Lock()

    def work(mine, seed):
        rng = random.Random(seed)
        for zone in mine:
            done = race(zone, rng)
            with lock:
                steps.extend(done)

    workers = [threading.Thread(target=work, args=(zones[i::4], SEED * 10 + i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    s.ok(f"{len(steps)} requests, all acknowledged", steps and all(step.answer == "ok" for step in steps),
         [(step.zone, step.n, step.answer) for step in steps if step.answer != "ok"][:5])
    used = {door: sum(1 for step in steps if step.door == door) for door in DOORS}
    s.ok(f"both doors took their part: {list(used.values())}", min(used.values()) > len(steps) // 4)
    pairs = sum(1 for a in steps for b in steps if a is not b and a.zone == b.zone and a.asked < b.asked < a.answered)
    s.ok(f"{pairs} pairs of requests for a zone overlapped", pairs > 50)

    # what the log says
    log = {zone: [] for zone in zones}
    for zone, _, offset, text in story.records("dadns.pushes", log):
        value = json.loads(text)
        log[zone].append((offset, value["op"], value["owner"], value.get("serial")))
    wanted, states = {}, {}
    for zone in zones:
        state = None
        for _, op, owner, n in sorted(log[zone]):
            state = apply(state, owner, n if op == "save" else None)
        states[zone] = state
        wanted[zone] = {story.expected(zone, None if state is None else state[1])}
    s.ok("each request is in dadns.pushes exactly once", sum(map(len, log.values())) == len(steps),
         (sum(map(len, log.values())), len(steps)))

    # what the clock says: no request lies in the log before one that was answered before it was asked
    disorder, apart = [], 0
    for zone in zones:
        offsets = {n: offset for offset, op, _, n in log[zone] if op == "save"}
        saves = [step for step in steps if step.zone == zone and step.n is not None]
        for a in saves:
            for b in saves:
                if a.answered < b.asked:
                    apart += 1
                    if offsets[a.n] > offsets[b.n]:
                        disorder.append((zone, a.n, b.n))
    s.ok(f"of {apart} pairs of pushes that did not overlap each is in the log in the order of the clock", apart > 100 and not disorder,
         disorder[:5])
    by_clock = {}
    for zone in zones:
        mine = sorted((step for step in steps if step.zone == zone), key=lambda step: step.asked)
        if all(a.answered < b.asked for a, b in zip(mine, mine[1:])):
            state = None
            for step in mine:
                state = apply(state, step.owner, step.n)
            by_clock[zone] = {story.expected(zone, None if state is None else state[1])}
    s.ok(f"for {len(by_clock)} zones whose requests never overlapped the clock says the same as the log",
         len(by_clock) > 20 and all(by_clock[zone] == wanted[zone] for zone in by_clock))
    gone = sum(1 for right in wanted.values() if right == {"absent"})
    s.ok(f"of {ZONES} zones {gone} are gone in the end, and not all", 10 < gone < ZONES - 10)

    story.converge(s, 30, "all name servers serve what the log says", wanted)

    def zones_topic():
        highest, last = {}, {}
        for zone, _, _, text in story.records("dadns.zones", log):
            value = json.loads(text)
            last[zone] = story.version_of(value)
            if last[zone] >= highest.get(zone, ((0, 0), None))[0]:
                highest[zone] = (last[zone], value)
        wrong = []
        for zone, state in states.items():
            if state is None:
                if zone in highest:
                    wrong.append((zone, "never was, but has a value"))
                continue
            version, value = highest.get(zone, ((0, 0), {}))
            got = (value.get("owner"), None if value.get("deleted") else value.get("serial"))
            if got != state or last.get(zone) != version:
                wrong.append((zone, state, got))
        return wrong

    wrong = zones_topic()
    s.ok("dadns.zones holds the same, each zone's last record is its highest version", not wrong, wrong[:5])
    answers = {}
    for zone in zones:
        for door in DOORS:
            body = story.status_and_body(story.raw(story.request_bytes("GET", f"/CMD_API_DNS_ADMIN?action=exists&domain={zone}"), door))[1]
            right = f"exists=1&details=Domain+exists+on+{states[zone][0]}" if wanted[zone] != {"absent"} else "exists=0"
            if body != f"error=0&{right}":
                answers[zone, door] = (body, right)
    s.ok("both doors say so when they are asked for exists", not answers, list(answers.items())[:5])

    digests = tables.decided(s, {zone: state[1] if state else None for zone, state in states.items()})
    tables.become_right(s, 10, "and both databases have it, by digest", digests)

    # the same log once more, from its beginning
    story.at_once(lambda name: story.stack("stop", name), (*WRITERS, "ns1", "ns2"))
    said = story.reset_group(*(f"dadns.writer.{backend}" for backend in story.BACKENDS))
    s.ok("the groups' offsets are forgotten", "was successful" in said, said)
    changed = {dc: story.sql(dc, "SELECT value FROM dadns_meta WHERE name = 'changed'") for dc in tables.DATABASES}
    story.at_once(story.start, ("ns1", "ns2", *WRITERS))

    values = len([zone for zone in zones if states[zone]])

    back = []

    def read_again():
        """Metrics count from a process's start: it must have looked at every zone."""
        back.extend(story.unlike(wanted))
        counts = [story.metric(name, "dadns_writer_zones_total") for name in WRITERS]
        return True if min(counts) >= values else counts
    s.eventually(30, "all writers read everything again", read_again)
    story.converge(s, 30, "and all name servers still serve what the log says", wanted)
    back += story.unlike(wanted)
    s.ok("nothing old came back, not for a moment", not back, back[:5])
    wrong = tables.wrong_rows(digests)
    s.ok("the rows are what they were", not wrong, wrong)
    again = {dc: story.sql(dc, "SELECT value FROM dadns_meta WHERE name = 'changed'") for dc in tables.DATABASES}
    s.ok("and neither database was written to at all", again == changed, (changed, again))
    wrong = story.went_back(zones)
    s.ok("no writer applied an older version after a newer one", not wrong, wrong[:3])
