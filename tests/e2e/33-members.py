#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The writers of two databases go from one member to four and back to one under load, one of them killed: nothing is
lost and nothing is applied twice with effect.

Meanwhile a reader of each database follows dadns_zones by its column `changed`, as a program that wants to know what
is new would: it must miss nothing, see no version go back, no version twice, and in one snapshot rows of a zone that
belong to its version.

SEED, ZONES and SECONDS of the environment choose another run.
"""
import os
import random
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rows  # noqa: E402
import story  # noqa: E402
import tables  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
ZONES = int(os.environ.get("ZONES") or 400)
SECONDS = float(os.environ.get("SECONDS") or 3)  # of load in each state
MORE = [f"writer-{database}-{i}" for database in tables.DATABASES for i in (2, 3, 4)]
NEWS = "SELECT zone, epoch, push_offset, changed, digest, deleted FROM dadns_zones WHERE changed > %s ORDER BY changed"
SOA = {"dc1": """SELECT data FROM records r JOIN zones z ON z.id = r.zone_id
                 WHERE z.zone_name = CONCAT(%s, '.') AND r.type = 'SOA'""",
       "dc2": "SELECT content FROM records r JOIN domains d ON d.id = r.domain_id WHERE d.name = %s AND r.type = 'SOA'"}
STAMP = "SELECT serial, deleted FROM dadns_zones WHERE zone = %s"


class Watcher(threading.Thread):
    def __init__(self, database, zones, seed):
        super().__init__(daemon=True)
        self.database, self.zones = database, zones
        self.rng = random.Random(seed)
        self.seen = {}  # zone -> (version, changed)
        self.last = 0
        self.versions = self.looks = 0
        self.wrong = []
        self.stopping = False
        with rows.connect(database) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT COALESCE(MAX(changed), 0) FROM dadns_zones")
            self.last = cursor.fetchone()[0]
        self.start()

    def news(self, cursor):
        cursor.execute(NEWS, self.last)
        for zone, epoch, offset, changed, digest, deleted in cursor.fetchall():
            version = (epoch, offset)
            before = self.seen.get(zone, ((0, 0), 0))
            if version < before[0]:
                self.wrong.append(f"{zone} went back from {before[0]} to {version}")
            if version == before[0]:
                self.wrong.append(f"{zone}: {version} was written again, as change {before[1]} and {changed}")
            self.seen[zone] = (version, changed, "absent" if deleted else digest)
            self.versions += 1
            self.last = max(self.last, changed)

    def one_zone(self, conn, cursor):
        """In one snapshot its SOA is that of its version."""
        zone = self.rng.choice(self.zones)
        conn.begin()  # REPEATABLE READ
        cursor.execute(STAMP, zone)
        stamp = cursor.fetchone()
        cursor.execute(SOA[self.database], zone)
        found = [int(text.split()[2]) for text, in cursor.fetchall()]
        conn.rollback()
        wished = [] if stamp is None or stamp[1] else [stamp[0]]
        if found != wished:
            self.wrong.append(f"{zone}: version says {wished}, rows say {found}")
        self.looks += 1

    def run(self):
        with rows.connect(self.database) as conn, conn.cursor() as cursor:
            while True:
                stopping = self.stopping
                self.news(cursor)
                if stopping:
                    return
                self.one_zone(conn, cursor)
                time.sleep(0.02)

    def stop(self):
        self.stopping = True
        self.join(10)


def work_of(name):
    return int(story.metric(name, "dadns_writer_zones_total"))


with story.Story(f"Groups of writers go from 1 to 4 members and back to 1 under load: nothing lost or twice (SEED={SEED})") as s:
    story.PRODUCTS = ("writer-dc1", "writer-dc2")
    story.fast_takeover(s)
    s.finally_do(story.at_once, lambda name: story.stack("stop", name), MORE)
    state = {}
    zones = [f"member{i}-{story.RUN}.example" for i in range(ZONES)]
    words = tables.Words(*tables.DATABASES)
    watchers = {database: Watcher(database, zones, SEED + i) for i, database in enumerate(tables.DATABASES)}
    refused = tables.change_all(state, 1, zones)
    s.ok(f"{ZONES} zones are pushed", not refused, refused[:3])
    load = tables.Load(state, SEED)
    time.sleep(SECONDS)

    began, acked = time.monotonic(), load.acked
    story.at_once(story.start, MORE)
    story.load_endpoints()
    s.eventually(20, f"three more members for each database take their part after {time.monotonic() - began:.1f} s", lambda: [
        name for name in MORE if work_of(name) == 0] or True)
    time.sleep(SECONDS)
    shares = {name: work_of(name) for name in sorted([*MORE, *story.PRODUCTS])}
    s.ok(f"{load.acked - acked} changes were acknowledged meanwhile; zones by member: {shares}", load.acked > acked)

    rng = random.Random(SEED)
    began, acked = time.monotonic(), load.acked
    for number in (4, 3, 2):
        for database in tables.DATABASES:
            name = f"writer-{database}-{number}"
            if number == 3:
                story.kill(name)
            else:
                story.stack("stop", name)
        time.sleep(rng.uniform(0.3, SECONDS / 2))
    time.sleep(SECONDS)
    load.stop()
    ended = time.monotonic()
    s.ok(f"one was stopped, one killed, one stopped in {ended - began:.1f} s; {load.acked - acked} changes were acknowledged",
         load.acked > acked and not load.refused, load.refused[:3])

    wanted = tables.decided(s, state)
    sentence = f"of {load.acked} changes the last of each zone is in both databases, after the last push"
    tables.become_right(s, tables.PATIENCE, sentence, wanted, began=ended)
    for server in tables.DATABASES:
        tables.serve_right(s, tables.PATIENCE, f"and {server} serves it", state, server, began=ended)
    for database, watcher in watchers.items():
        watcher.stop()
        sentence = f"{watcher.versions} versions, none going back, none twice, and {watcher.looks} times rows that go with them"
        s.ok(f"{database}: a reader saw {sentence}", watcher.versions > ZONES and watcher.looks > 50 and not watcher.wrong,
             "\n".join(watcher.wrong[:5]))
        missed = [(zone, seen) for zone, digest in wanted.items()
                  for seen in [watcher.seen.get(zone, (None, None, "absent"))[2]] if seen != digest]
        s.ok(f"{database}: and it missed nothing", not missed, missed[:3])
    wrong = story.went_back(wanted, tables.DATABASES)
    s.ok("dadns.status: no older version was applied after a newer one", not wrong, wrong[:3])
    others = [word for word in words.read() if word[2] not in ("applied", "verified")]
    s.ok("and nobody spoke of anything else", not others, others[:3])
    s.ok("the two that were there all the time are", all(story.alive(name) and story.ready(name) for name in story.PRODUCTS))
