#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A database is dropped and made anew, or restored from an older dump, while its writer runs: it becomes right again by
itself, without a push, and this story says after how long. With nobody pushing at all; with pushes all the time; and
with a load of the dump that takes its time between two tables, as a big one does. PowerDNS, which has no memory, serves
what the tables say meanwhile; CoreDNS is asked all the time and never goes back.

SEED and ZONES of the environment choose another run.
"""
import os
import random
import re
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import coredns  # noqa: E402
import story  # noqa: E402
import tables  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
ZONES = int(os.environ.get("ZONES") or 520)
PAUSE = 4  # seconds in a slow load; a writer looks at its database every 3 s


def dump():
    text = {}
    for database in tables.DATABASES:
        done = subprocess.run(["mariadb-dump", f"--defaults-file={os.environ['MARIADB_ADMIN']}", "--single-transaction", database],
                              capture_output=True, check=True)
        text[database] = done.stdout
    return text


def restore(database, text, pauses=()):
    """As an operator does it: the dump's own DROP TABLE and CREATE TABLE, into the database that is there. `pauses`: tables
    before which the load rests."""
    client = subprocess.Popen(["mariadb", f"--defaults-file={os.environ['MARIADB_ADMIN']}", database], stdin=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    try:
        for part in re.split(rb"(?m)^(?=DROP TABLE IF EXISTS)", text):
            if any(part.startswith(f"DROP TABLE IF EXISTS `{table}`".encode()) for table in pauses):
                client.stdin.flush()
                time.sleep(PAUSE)
            client.stdin.write(part)
    except BrokenPipeError:
        pass  # it says why
    said = client.communicate()[1]
    return client.returncode == 0, said.decode()


def restore_both(s, texts, how, pauses=()):
    results = {}
    began = time.monotonic()
    threads = [threading.Thread(target=lambda name=name: results.update({name: restore(name, texts[name], pauses)}))
               for name in tables.DATABASES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    s.ok(f"the older dump is loaded over both databases {how}, in {time.monotonic() - began:.1f} s",
         all(results[name][0] for name in tables.DATABASES), results)


def move_on(s, state, rng, n):
    """200 zones changed, 50 deleted, 50 new ones."""
    live = [zone for zone in sorted(state) if state[zone] is not None]
    chosen = rng.sample(live, 250)
    fresh = [f"fresh{i}-{n}-{story.RUN}.example" for i in range(50)]
    refused = tables.change_all(state, n, chosen + fresh, deletes=set(chosen[:50]))
    s.ok("200 zones are changed, 50 deleted and 50 new ones made", not refused, refused[:3])
    wanted = tables.decided(s, state)
    tables.become_right(s, tables.PATIENCE, "that is in both databases", wanted)
    return wanted


def serve_right(s, state, began):
    tables.serve_right(s, tables.PATIENCE, "and PowerDNS serves them", state, began=began)
    tables.serve_right(s, tables.PATIENCE, "and CoreDNS", state, "dc1", began)
    s.eventually(5, "which has no doubts left", lambda: coredns.metric("dc1", "zones_kept") == 0)


with story.Story(f"A database that is dropped, or restored from an older dump, becomes right by itself, CoreDNS serves on (SEED={SEED})") as s:
    rng = random.Random(SEED)
    state = {}
    refused = tables.change_all(state, 1, [f"stored{i}-{story.RUN}.example" for i in range(ZONES)])
    s.ok(f"{ZONES} zones are pushed", not refused, refused[:3])
    wanted = tables.decided(s, state)
    tables.become_right(s, tables.PATIENCE, "and stand in both databases", wanted)
    tables.serve_right(s, tables.PATIENCE, "CoreDNS serves them", state, "dc1")
    pids = {name: story.pid_of(name) for name in ("writer-dc1", "writer-dc2", "dc1")}

    # ---- dropped
    watch = coredns.Watch("dc1", state)
    for database in tables.DATABASES:
        count = len(tables.zones_in(database))
        story.sql("mariadb", f"DROP DATABASE {database}")
        story.sql("mariadb", f"CREATE DATABASE {database}")
        began = time.monotonic()
        sentence = f"{database} with {count} zones is dropped and made anew, empty; nobody pushes; this story's rows are right"
        tables.become_right(s, tables.PATIENCE, sentence, wanted, (database,), began)
        tables.holds_all(s, "all that live and no other", database, began)
    serve_right(s, state, began)
    watch.judged(s, "CoreDNS went on serving all of them", len(state))

    # ---- restored, nobody pushes
    old = dump()
    wanted = move_on(s, state, rng, 2)
    tables.serve_right(s, tables.PATIENCE, "CoreDNS serves that", state, "dc1")
    watch = coredns.Watch("dc1", state)
    began = time.monotonic()
    restore_both(s, old, "while nobody pushes")
    tables.become_right(s, tables.PATIENCE, "all rows are the log's again, zones deleted since are gone", wanted, began=began)
    serve_right(s, state, began)
    watch.judged(s, "of what the dump says CoreDNS never served anything", len(state))

    # ---- restored under load
    quiet = {zone: n for zone, n in state.items() if rng.random() < 0.5}
    busy = {zone: n for zone, n in state.items() if zone not in quiet}
    watch = coredns.Watch("dc1", state)
    load = tables.Load(busy, SEED)
    time.sleep(1)
    began = time.monotonic()
    restore_both(s, old, "while the writers are busy")
    tables.become_right(s, tables.PATIENCE, f"{len(quiet)} zones that nobody pushes are right again",
                        {zone: wanted[zone] for zone in quiet}, began=began)
    load.stop()
    ended = time.monotonic()
    state.update(busy)
    s.ok(f"{load.acked} changes of the others were acknowledged meanwhile", load.acked > 50 and not load.refused, load.refused[:3])
    wanted = tables.decided(s, state)
    tables.become_right(s, tables.PATIENCE, "all zones are right after the last push", wanted, began=ended)
    serve_right(s, state, ended)
    watch.judged(s, "CoreDNS never went back", len(state))

    # ---- restored slowly
    watch = coredns.Watch("dc1", state)
    began = time.monotonic()
    restore_both(s, old, "with pauses before dadns_zones and records", ("dadns_zones", "records"))
    tables.become_right(s, tables.PATIENCE, "all zones are right, since the load began", wanted, began=began)
    serve_right(s, state, began)
    watch.judged(s, "CoreDNS never went back", len(state))
    for database in tables.DATABASES:
        tables.holds_all(s, "all that live and no other", database, began)
    s.ok("both writers and CoreDNS ran all the time", pids == {name: story.pid_of(name) for name in pids} and all(map(story.alive, pids)))
    wrong = tables.wrong_rows(wanted)
    s.ok("and nothing that was right became wrong", not wrong, wrong)
