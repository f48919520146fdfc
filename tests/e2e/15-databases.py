#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""MariaDB killed in the middle of transactions, CoreDNS without its database, PowerDNS away while its tables are
written, zones that one layout cannot hold: rows are the log's values by digest, each fault stays where it is, and all
mends itself.

SEED, KILLS and ZONES of the environment choose another run.
"""
import itertools
import os
import random
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rows  # noqa: E402
import same_partition  # noqa: E402
import story  # noqa: E402
import tables  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
KILLS = int(os.environ.get("KILLS") or 4)
ZONES = int(os.environ.get("ZONES") or 300)
LONG = 6  # seconds; a writer gives PowerDNS 5 s to serve what was committed before
WRITERS = ("writer-dc1", "writer-dc2")
OPEN = """SELECT trx_rows_modified FROM information_schema.innodb_trx
          WHERE trx_state = 'LOCK WAIT' AND trx_rows_modified > 0"""


def dead_letters():
    return sum(story.end_offsets("dadns.dead-letters").values())


def put_aside():
    return sum(story.metric(name, "dadns_writer_aside_zones") for name in WRITERS)


def kill_with_work_open(s, load):
    """Both writers are held before their commit, by a lock on the counter that it takes last; then the server dies."""
    with rows.connect("mariadb") as holder, rows.connect("mariadb") as watcher:
        holder.begin()
        with holder.cursor() as cursor:
            for database in tables.DATABASES:
                cursor.execute(f"SELECT value FROM {database}.dadns_meta WHERE name = 'changed' FOR UPDATE")
        found = ()
        until = time.monotonic() + 10
        while len(found) < len(WRITERS) and time.monotonic() < until:
            time.sleep(0.12)  # this table is not read again for whom asks more often than every 0.1 s
            with watcher.cursor() as cursor:
                cursor.execute(OPEN)
                found = cursor.fetchall()
        story.kill("mariadb")
    written = [int(count) for count, in found]
    s.ok(f"MariaDB is killed with {len(written)} transactions open that had changed {written} rows, after {load.acked} pushes",
         len(written) == len(WRITERS))


def kill_mariadb(s, state):
    rng = random.Random(SEED)
    pids = {name: story.pid_of(name) for name in WRITERS}
    letters = dead_letters()
    words = tables.Words(*tables.DATABASES)
    load = tables.Load(state, SEED)

    def went_away():
        return min(story.metric(name, "dadns_writer_backend_away_total") for name in WRITERS)
    before = went_away()
    for i in range(KILLS):
        if i % 2 == 0:
            kill_with_work_open(s, load)
        else:
            time.sleep(rng.uniform(0.05, 0.3))
            story.kill("mariadb")
        time.sleep(LONG if i == 1 else rng.uniform(0, 0.7))
        story.start("mariadb")
        s.eventually(15, f"kill {i + 1} of {KILLS}: both writers have found MariaDB again",
                     lambda: went_away() == before + i + 1 and all(map(story.ready, WRITERS)))
    load.stop()
    s.ok(f"{load.acked} changes were acknowledged meanwhile, none refused", load.acked > ZONES and not load.refused,
         load.refused[:3])
    wanted = tables.decided(s, state)
    sentence = f"the rows of {len(state)} zones are the log's by digest in both layouts, after the last push"
    tables.become_right(s, tables.PATIENCE, sentence, wanted)
    for server in tables.DATABASES:
        tables.serve_right(s, tables.PATIENCE, f"{server} serves them", state, server)
    s.ok("neither writer ended", pids == {name: story.pid_of(name) for name in WRITERS} and all(map(story.alive, WRITERS)))
    for name in tables.DATABASES:
        turns = words.turns(name)
        s.ok(f"{name} was said to be away and back {KILLS} times", turns == ["away", "back"] * KILLS, turns)
    retried = [word for word in words.read() if word[2] == "retrying"]
    s.ok("no zone's tries were used up", not retried and put_aside() == 0, retried[:3])
    s.ok("and none went to the dead letters", dead_letters() == letters)


def coredns_alone(s, state, n):
    """CoreDNS needs its database for what is new, not for what it serves, not even to start."""
    story.kill("mariadb")
    for how in ("stop", "kill"):
        tables.serve_right(s, 5, "MariaDB is killed: CoreDNS serves what it had", state, "dc1")
        story.stack(how, "dc1")
        story.start("dc1")
        began = time.monotonic()
        tables.serve_right(s, 5, f"and once more after a {how} and a start", state, "dc1", began)
    zones = [zone for zone in sorted(state) if state[zone] is not None][:40]
    touched = {zone: state[zone] for zone in zones}
    refused = tables.change_all(touched, n, deletes=(zones[-1],))
    s.ok(f"{len(zones)} changes are acknowledged meanwhile", not refused, refused[:3])
    state.update(touched)
    story.start("mariadb")
    began = time.monotonic()
    tables.serve_right(s, 15, "MariaDB is back: CoreDNS serves those too", state, "dc1", began)
    s.eventually(15, "and both writers are ready", lambda: all(map(story.ready, WRITERS)))


def without_powerdns(s, state, how, n):
    """PowerDNS stopped, killed or paused; MariaDB is well."""
    zones = [zone for zone in sorted(state) if state[zone] is not None][:40]
    for zone in zones:  # into its caches
        story.serial("dc2", zone)
    fresh, gone = f"{how}-{story.RUN}.example", zones[-1]
    story.serial("dc2", fresh)
    story.stack(how, "dc2")
    began = time.monotonic()
    words = tables.Words("dc2")
    touched = {zone: state[zone] for zone in [*zones, fresh] if zone in state}
    refused = tables.change_all(touched, n, [*zones, fresh], deletes=(gone,))
    state.update(touched)
    s.ok(f"PowerDNS alone: {how}; {len(zones)} changes are acknowledged, one new zone, one delete", not refused, refused[:3])
    wanted = tables.decided(s, touched)
    tables.become_right(s, tables.PATIENCE, "rows go on being committed, right by digest", wanted)

    def applied():
        done = {zone for _, zone, what, _ in words.read() if what in ("applied", "verified")}
        return True if done >= set(touched) else f"{len(set(touched) - done)} are not: {sorted(set(touched) - done)[:3]}"
    s.eventually(20, "and the zones reported as applied", applied)
    others = [word for word in words.read() if word[2] not in ("applied", "verified")]
    s.ok("nothing else is said of them", not others, others[:3])
    away = time.monotonic() - began
    began = time.monotonic()
    story.stack("cont" if how == "pause" else "start", "dc2")
    tables.serve_right(s, tables.PATIENCE, f"PowerDNS is back after {away:.1f} s and serves everything right", touched, began=began)


def behind(zone, count):
    """That many names in its partition."""
    names = (f"n{i}-{zone}" for i in itertools.count())
    return itertools.islice((name for name in names if same_partition.partition(name) == same_partition.partition(zone)), count)


def not_for_powerdns(s, state, n):
    """A text that is too long for its column, and a type that it would take for a program to run. CoreDNS has no such
    worries."""
    cases = {"records.content holds 64000": "big 60 IN TXT " + " ".join(['"' + "\\001" * 255 + '"'] * 63),
             "it takes it for LUA": "run 60 IN TYPE65402 \\# 3 000102"}
    bad = [f"odd{i}-{story.RUN}.example" for i in range(len(cases))]
    mates = [name for zone in bad for name in behind(zone, 5)]
    mine = {}
    refused = tables.change_all(mine, n, bad)
    s.ok("two zones are pushed", not refused, refused)
    before = tables.decided(s, mine)
    tables.become_right(s, 10, "and stand in both databases", before)

    words = tables.Words("ns1", "ns2", "dc1", "dc2")
    for zone, line in zip(bad, cases.values()):
        answer = story.push(zone, story.zone_text(zone, n + 1) + line + "\n")
        s.ok(f"a version with {line[:20]} … is acknowledged: it is DNS", answer == "ok", answer)
        mine[zone] = n + 1
    began = time.monotonic()
    refused = tables.change_all(mine, n + 1, mates)
    s.ok(f"and {len(mates)} zones behind them in the same partitions", not refused, refused)
    wanted = tables.decided(s, mine)
    tables.become_right(s, 5, "those are written at once", {zone: wanted[zone] for zone in mates}, began=began)
    tables.become_right(s, 5, "dc1 has all at once", wanted, ("dc1",), began)
    s.eventually(5, "ns1, ns2 and dc1 serve all at once", lambda: [
        (ns, zone) for ns in ("ns1", "ns2", "dc1") for zone in mine if story.serial(ns, zone) != n + 1] or True)
    text = rows.zone_of("dc1", bad[0]).find_rdataset(f"big.{bad[0]}.", "TXT")[0]
    s.ok("the long text is in dc1 to its last octet", len(text.to_wire()) == 63 * 256)
    for zone, wish in zip(bad, cases):
        def said():
            found = (word[3] for word in words.read() if word[:3] == ("dc2", zone, "retrying"))
            return next(found, "")
        s.eventually(5, f"{zone} is retrying for dc2", lambda: said() != "")
        s.ok(f"with a reason: {said()}", wish in said())
    others = [word for word in words.read() if word[2] not in ("applied", "verified") and not (word[0] == "dc2" and word[1] in bad)]
    s.ok("nobody else minds", not others, others[:3])
    tables.become_right(s, 1, "dc2 has their previous versions", {zone: before[zone] for zone in bad}, ("dc2",))
    s.ok("and serves them", all(story.serial("dc2", zone) == n for zone in bad))

    began = time.monotonic()
    refused = tables.change_all(mine, n + 2, bad)
    s.ok("newer versions that fit are acknowledged", not refused, refused)
    tables.become_right(s, 5, "they are written at once, not at the next try", tables.decided(s, mine), began=began)
    tables.serve_right(s, 5, "and served", mine, began=began)
    s.eventually(5, "nothing is put aside any more", lambda: put_aside() == 0)


with story.Story(f"MariaDB killed, CoreDNS alone, PowerDNS away, a zone that one table cannot hold: rows equal the log (SEED={SEED})") as s:
    s.finally_do(lambda: story.alive("mariadb") or story.start("mariadb"))
    s.finally_do(lambda: story.alive("dc1") or story.start("dc1"))
    s.finally_do(lambda: story.stack("cont", "dc2") if story.alive("dc2") else story.start("dc2"))
    state = {}
    refused = tables.change_all(state, 1, [f"kill{i}-{story.RUN}.example" for i in range(ZONES)])
    s.ok(f"{ZONES} zones are pushed", not refused, refused[:3])
    tables.become_right(s, tables.PATIENCE, "and stand in both databases", tables.decided(s, state))
    kill_mariadb(s, state)
    n = 1000000
    coredns_alone(s, state, n)
    for how in ("stop", "kill", "pause"):
        n += 1
        without_powerdns(s, state, how, n)
    not_for_powerdns(s, state, n + 1)
