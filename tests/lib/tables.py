# SPDX-License-Identifier: Apache-2.0
"""Many zones at once: changed by several workers, and what became of them in the tables. Goes beside story.py."""
import json
import random
import threading
import time

import dns.exception
import pymysql

import rows
import story

DATABASES = ("dc1", "dc2")
WORKERS = 6
PATIENCE = 60  # seconds; what is printed is how long it took


def change_all(state, n, zones=None, deletes=(), urgent=False):
    """Brings `zones` to version n, those in `deletes` away, and notes it in `state`: zone -> n, or None.
    All must be acknowledged: those that were not are returned."""
    refused = []

    def work(mine):
        for zone in mine:
            content = None if zone in deletes else n
            if content is None:
                answer = story.delete(zone)
            else:
                answer = story.push(zone, story.zone_text(zone, n), more="&named_reload=yes" if urgent else "")
            if answer == "ok":
                state[zone] = content
            else:
                refused.append((zone, content, answer))
    todo = list(state if zones is None else zones)
    threads = [threading.Thread(target=work, args=(todo[i::WORKERS],)) for i in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return refused


class Load:
    """Workers that change zones until they are stopped. A zone belongs to one of them, so the order of its changes is
    the real one; `state` has the last of each that was acknowledged."""

    def __init__(self, state, seed, deletes=0.1, pace=0.03):
        self.state, self.deletes, self.pace = state, deletes, pace
        self.acked, self.refused = 0, []
        self.stopping = False
        zones = sorted(state)
        self.threads = [threading.Thread(target=self.work, args=(zones[i::WORKERS], seed * 100 + i), daemon=True)
                        for i in range(WORKERS)]
        for thread in self.threads:
            thread.start()

    def work(self, mine, seed):
        rng = random.Random(seed)
        last = {zone: self.state[zone] or 0 for zone in mine}
        while not self.stopping:
            zone = rng.choice(mine)
            last[zone] += 1
            n = None if rng.random() < self.deletes else last[zone]
            answer = story.delete(zone) if n is None else story.push(zone, story.zone_text(zone, n))
            if answer == "ok":
                self.state[zone] = n
                self.acked += 1
            else:
                self.refused.append((zone, n, answer))
            time.sleep(self.pace)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(30)


def records_since(topic, ms):
    """(key, value) of what was appended since that time, in order per partition."""
    lines = story.kcat("-X", "fetch.wait.max.ms=10", "-C", "-e", "-q", "-o", f"s@{ms}", "-t", topic, "-f", "%k\t%s\n").splitlines()
    return [line.split("\t", 1) for line in lines]


def decided(s, state, seconds=PATIENCE):
    """zone -> the digest that dadns.zones has for it, or "absent"; waits until the judge has said all of `state`, which is
    of this story."""
    found = {}

    def question():
        found.clear()
        highest = {}
        for zone, text in records_since("dadns.zones", story.BEGAN_MS):
            if zone not in state:
                continue
            value = json.loads(text)
            if story.version_of(value) >= highest.get(zone, ((0, 0),))[0]:
                highest[zone] = (story.version_of(value), value)
        late = []
        for zone, n in state.items():
            value = highest.get(zone, (None, {"deleted": True}))[1]
            found[zone] = "absent" if value.get("deleted") else value["digest"]
            if (None if value.get("deleted") else value["serial"]) != n:
                late.append(zone)
        return True if not late else f"{len(late)} are not there yet: {late[:3]}"
    s.eventually(seconds, f"dadns.zones has the last of all {len(state)} zones", question, every=0.1)
    return found


def live_zones():
    """Those that live, of the whole log."""
    highest = {}
    for zone, text in records_since("dadns.zones", 0):
        if text and not zone.startswith("@"):
            try:
                value = json.loads(text)
            except ValueError:
                continue  # another story's poison: it went to the dead letters
            if value.get("zone") != zone or not value.get("schema", "").startswith("zone/1."):
                continue
            version = story.version_of(value)
            if version >= highest.get(zone, ((0, 0), False))[0]:
                highest[zone] = (version, not value.get("deleted"))
    return {zone for zone, (_, lives) in highest.items() if lives}


def zones_in(backend):
    """What the tables have, ours or not."""
    powerdns = rows.sql(backend, "SHOW TABLES LIKE 'domains'")
    found = rows.sql(backend, "SELECT name FROM domains" if powerdns else "SELECT TRIM(TRAILING '.' FROM zone_name) FROM zones")
    return {zone for zone, in found}


def holds_all(s, sentence, backend, began):
    """The tables have all zones of the log that live and no other."""
    live = live_zones()
    s.eventually(PATIENCE, f"{backend}: {len(live)} zones, {sentence}", lambda: sorted(live ^ zones_in(backend))[:5] or True, every=0.1)
    story.Story.note(f"{time.monotonic() - began:.1f} s")


def difference(backend, zone, digest):
    """None, or what is wrong with the zone's rows."""
    try:
        got = rows.rows_digest(backend, zone)
    except (pymysql.Error, OSError, ValueError, dns.exception.DNSException) as error:
        got = f"{type(error).__name__}: {error}"
    return None if got == digest else f"{zone}: {got[:80]}, not {digest[:16]}"


def wrong_rows(wanted, backends=DATABASES, limit=5):
    """(backend, what) for rows whose digest is not the one in `wanted`, zone -> digest or "absent"."""
    wrong = []
    for backend in backends:
        for zone, digest in wanted.items():
            what = difference(backend, zone, digest)
            if what is not None:
                wrong.append((backend, what))
                if len(wrong) == limit:
                    return wrong
    return wrong


def become_right(s, seconds, sentence, wanted, backends=DATABASES, began=None):
    """Rows of every zone come to be those of `wanted` by digest. Says after how long, since `began` if given; what was
    right once is not looked at again."""
    began = time.monotonic() if began is None else began
    left = [(backend, zone) for backend in backends for zone in wanted]
    while left:
        wrong, still = [], []
        for at, (backend, zone) in enumerate(left):
            what = difference(backend, zone, wanted[zone])
            if what is not None:
                wrong.append((backend, what))
                still.append((backend, zone))
            if len(wrong) == 5:  # those behind will be no better
                still += left[at + 1:]
                break
        left = still
        if left and time.monotonic() - began > seconds:
            return s.ok(sentence, False, f"not within {seconds} s: {len(left)} zones, for instance {wrong}")
        if left:
            time.sleep(0.05)
    return s.ok(f"{sentence}: {time.monotonic() - began:.1f} s", True)


def answers(server, zone, n):
    """None, or what is wrong with what the server says by UDP, so out of its caches; n None: the zone is deleted."""
    got = story.serial(server, zone)
    if got == n and n is not None:
        reply = story.ask(server, f"_n.{zone}", "TXT")
        got = "TIMEOUT" if reply is None else [rdata.to_text() for rrset in reply.answer for rdata in rrset]
        return None if got == [f'"{n}"'] else (zone, n, got)
    return None if n is None and got == "REFUSED" else (zone, n, got)


def serve_right(s, seconds, sentence, state, server="dc2", began=None):
    """By UDP the server answers for all zones as `state` says; then by AXFR for some of them, that is slow."""
    began = time.monotonic() if began is None else began
    left = dict(state)
    while left:
        wrong, still = [], {}
        for zone, n in left.items():
            what = None if len(wrong) == 5 else answers(server, zone, n)
            if what is not None:
                wrong.append(what)
            if what is not None or len(wrong) == 5:
                still[zone] = n
        left = still
        if left and time.monotonic() - began > seconds:
            return s.ok(sentence, False, f"not within {seconds} s: {len(left)} zones, for instance {wrong}")
        if left:
            time.sleep(0.05)
    took = time.monotonic() - began
    some = sorted(state)[::len(state) // 25 + 1]
    wrong = story.unlike({zone: {story.expected(zone, state[zone])} for zone in some}, (server,))
    return s.ok(f"{sentence}: {took:.1f} s", not wrong, wrong[:5])


class Words:
    """What backends said on dadns.status since this was made: (backend, zone or "-", state, reason), as the topic has it."""

    def __init__(self, *backends):
        self.backends = backends
        self.began_ms = int(time.time() * 1000)

    def read(self):
        found = []
        for key, text in records_since("dadns.status", self.began_ms):
            backend, _, zone = key.partition("/")
            if backend in self.backends and text:
                value = json.loads(text)
                found.append((backend, zone, value["state"], value.get("reason", "")))
        return found

    def turns(self, backend):
        """away, back, away, …"""
        return [state for name, zone, state, _ in self.read() if name == backend and zone == "-" and state in ("away", "back")]
