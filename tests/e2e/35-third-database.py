#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A third database is one stanza and one process. It stands on a server of its own, and while that is frozen or killed
nobody else waits for it; afterwards it catches up by itself."""
import os
import statistics
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
import tables  # noqa: E402

ZONES = int(os.environ.get("ZONES") or 300)
PUSHES = 40
ALL = ("dc1", "dc2", "dc3")


def until(seconds, question):
    """How long it takes to become true, in ms; None: too long."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if question():
            return (time.monotonic() - began) * 1000
        time.sleep(0.002)
    return None


def push_and_watch(s, what, state, zones, n):
    """Zones are pushed one after the other; each must be served by all others before the next one comes."""
    took = {"ns1": [], "dc1": [], "dc2": []}
    for zone in zones:
        answer = story.push(zone, story.zone_text(zone, n))
        for server, times in took.items():
            times.append(until(3, lambda server=server: story.serial(server, zone) == n) if answer == "ok" else None)
        state[zone] = n
    for server, times in took.items():
        good = sorted(ms for ms in times if ms is not None)
        said = f"median {statistics.median(good):.0f} ms, worst {good[-1]:.0f} ms" if good else "never"
        s.ok(f"{what}: {server} serves {len(zones)} pushes one by one, {said} after the answer", len(good) == len(zones))


with story.Story("A third database is one stanza and one process; frozen or killed it delays nobody") as s:
    state = {}
    zones = [f"third{i}-{story.RUN}.example" for i in range(ZONES)]
    refused = tables.change_all(state, 1, zones)
    s.ok(f"{ZONES} zones are pushed", not refused, refused[:3])
    wanted = tables.decided(s, state)
    tables.become_right(s, tables.PATIENCE, "and stand in dc1 and dc2", wanted)

    # ---- joins
    pids = {name: story.pid_of(name) for name in ("ingest", "writer-ns1", "writer-ns2", "writer-dc1", "writer-dc2")}
    s.finally_do(story.stack, "stop", "mariadb-2")
    s.finally_do(lambda: story.alive("mariadb-2") and story.stack("cont", "mariadb-2"))
    s.finally_do(story.stack, "stop", "writer-dc3")
    story.start("mariadb-2")
    story.load_endpoints()
    stanza = story.stack("database", "dc3", "mariadb-2").rstrip() + "\n      timeout_ms: 3000"
    story.add_backend(s, stanza)
    s.ok(f"a stanza of {len(stanza.splitlines())} lines is added", "type: coredns_mysql" in stanza, stanza)
    began = time.monotonic()
    story.start("writer-dc3")
    story.load_endpoints()
    tables.become_right(s, tables.PATIENCE, "a process is started: its database has this story's zones", wanted, ("dc3",), began)
    tables.holds_all(s, "all that live and no other", "dc3", began)
    s.ok("no other process was started again", pids == {name: story.pid_of(name) for name in pids})

    def registered():
        word = [value for key, _, _, value in story.records("dadns.audits") if key == "dc3"]
        return bool(word) and '"type":"coredns_mysql"' in word[-1].replace(" ", "") or word
    s.eventually(10, "the registry of backends knows it", registered)

    # ---- frozen
    words = tables.Words(*ALL)
    push_and_watch(s, "all well", state, zones[:PUSHES], 2)
    story.stack("pause", "mariadb-2")
    frozen = time.monotonic()
    push_and_watch(s, "the third server frozen", state, zones[:PUSHES], 3)
    s.eventually(10, "its writer says that it is away", lambda: words.turns("dc3")[-1:] == ["away"])
    push_and_watch(s, "and known to be away", state, zones[:PUSHES], 4)
    refused = tables.change_all(state, 5, zones[PUSHES:])
    s.ok(f"{ZONES - PUSHES} changes more are acknowledged", not refused, refused[:3])
    wanted = tables.decided(s, state)
    tables.become_right(s, 10, "dc1 and dc2 have them", wanted, ("dc1", "dc2"))
    story.stack("cont", "mariadb-2")
    began = time.monotonic()
    sentence = f"frozen for {began - frozen:.1f} s, dc3 goes on and has caught up"
    tables.become_right(s, tables.PATIENCE, sentence, wanted, ("dc3",), began)

    # ---- killed
    story.kill("mariadb-2")
    killed = time.monotonic()
    push_and_watch(s, "the third server killed", state, zones[:PUSHES], 6)
    refused = tables.change_all(state, 7, zones[PUSHES:], deletes=set(zones[-20:]))
    s.ok(f"{ZONES - PUSHES} changes more are acknowledged, 20 of them deletes", not refused, refused[:3])
    wanted = tables.decided(s, state)
    tables.become_right(s, 10, "dc1 and dc2 have them", wanted, ("dc1", "dc2"))
    story.start("mariadb-2")
    began = time.monotonic()
    sentence = f"killed and away for {began - killed:.1f} s, dc3 is there again and has caught up"
    tables.become_right(s, tables.PATIENCE, sentence, wanted, ("dc3",), began)
    s.ok("dc3 was said to be away and back, twice", words.turns("dc3") == ["away", "back"] * 2, words.turns("dc3"))
    others = [word for word in words.read() if word[2] not in ("applied", "verified") and (word[0] != "dc3" or word[1] != "-")]
    s.ok("of nobody else anything was said", not others, others[:3])
    s.ok("no process was started again", pids == {name: story.pid_of(name) for name in pids})
