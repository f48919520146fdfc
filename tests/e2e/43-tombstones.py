#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A deleted zone is buried (I5) when its delete has left dadns.pushes and every registered backend has confirmed it.

Then compaction may take it; it does not come back: not in a judge that reads the log again, nor by a late record of a
zombie, nor in a name server that is restored from before the delete and finds nothing but the tombstone. A zone that is
pushed again lives.
"""
import json
import os
import random
import shutil
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cleaner  # noqa: E402
import story  # noqa: E402
from story import expected  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
DOORS = ("ingest", "ingest-2")
URLS = ("INGEST_URL", "INGEST_2_URL")
OTHER = "da2.hoster.example"


def names(stem, count):
    return [f"{stem}{i}-{story.RUN}.example" for i in range(count)]


def each(zones, action):
    """action(zone) for all, from six threads. What was not acknowledged."""
    wrong = []

    def work(mine):
        for zone in mine:
            answer = action(zone)
            if answer != "ok":
                wrong.append((zone, answer))
    threads = [threading.Thread(target=work, args=(zones[i::6],)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return wrong


def save_all(zones, n, owner=story.HOST):
    return each(zones, lambda zone: story.push(zone, story.zone_text(zone, n), owner=owner))


def history(zones):
    """zone -> [(version as text, n or None)] of its values, in the order of dadns.zones; (None, None): a tombstone."""
    found = {zone: [] for zone in zones}
    for zone, _, _, text in story.records("dadns.zones", found):
        value = None if text is None else json.loads(text)
        found[zone].append((None, None) if value is None else (
            "-".join(map(str, story.version_of(value))), None if value.get("deleted") else value["serial"]))
    return found


def confirmed(zones, backends=story.BACKENDS):
    """True: these backends have said that they deleted the zones."""
    last = {key: json.loads(text) for key, _, _, text in story.records(
        "dadns.status", {f"{backend}/{zone}" for backend in backends for zone in zones})}
    missing = [key for backend in backends for zone in zones for key in [f"{backend}/{zone}"]
               if not last.get(key, {}).get("deleted") or last[key]["state"] not in ("applied", "verified")]
    return True if not missing else f"{len(missing)} did not: {missing[:3]}"


def buried(zones):
    """True: each has its tombstone, one, for the version of its last delete."""
    found, values = cleaner.tombstones(set(zones)), history(zones)
    wrong = [(zone, found.get(zone), values[zone]) for zone in zones
             if found.get(zone) != [[version for version, n in values[zone] if version and n is None][-1]]]
    return True if not wrong else f"{len(wrong)} not: {wrong[:3]}"


def exists(zone, url):
    return story.status_and_body(story.raw(story.request_bytes("GET", f"/CMD_API_DNS_ADMIN?action=exists&domain={zone}"), url))[1]


def plant(key, value, *headers):
    """A record of dadns.zones that a judge sent too late; value None: a tombstone."""
    words = [word for header in headers for word in ("-H", header)]
    story.kcat("-P", "-t", "dadns.zones", "-K", "\t", "-Z", "-X", "partitioner=murmur2_random", *words,
               stdin=f"{key}\t{value or ''}\n".encode())


def say_there_is(backend):
    at = "2026-11-21T09:00:00.000Z"
    value = {"schema": "backend/1.0", "backend": backend, "type": "bind", "joined_at": at}
    headers = {"ce_specversion": "1.0", "ce_id": "01a1fe84-7d34-7a1c-9f3e-5b2d1c0a4401", "ce_source": f"/writer/{backend}/far-away",
               "ce_type": "dadns.backend", "ce_subject": backend, "ce_time": at, "ce_dataschema": "urn:dadns:schema:backend:1.0",
               "content-type": "application/json"}
    story.kcat("-P", "-t", "dadns.audits", "-K", "\t", *(word for header in headers.items() for word in ("-H", "=".join(header))),
               stdin=f"{backend}\t{json.dumps(value, separators=(',', ':'))}\n".encode())


def stay_away(s, sentence, wanted, seconds=1.5):
    """No name server shows anything else for so long."""
    until, wrong = time.monotonic() + seconds, []
    while not wrong and time.monotonic() < until:
        wrong = story.unlike(wanted)
    s.ok(sentence, not wrong, wrong[:3])


with story.Story(f"Deleted zones are buried, and none of them comes back (SEED={SEED})") as s:
    rng = random.Random(SEED)
    story.start("ingest-2")
    s.finally_do(story.stack, "stop", "ingest-2")
    story.load_endpoints()
    cleaner.bury_quickly(s, DOORS)
    for name in DOORS:
        s.eventually(20, f"{name} is ready", lambda: story.ready(name))
    gone, raced, slow, late, kept = names("gone", 12), names("raced", 60), names("slow", 4), names("late", 6), names("kept", 24)
    everything = gone + raced + slow + late + kept
    refused = save_all(everything, 1)
    s.ok(f"{len(everything)} zones are pushed", not refused, refused[:3])
    absent = {zone: {expected(zone, None)} for zone in gone + raced}
    story.converge(s, 30, "all name servers serve them", {zone: {expected(zone, 1)} for zone in everything})

    # a copy of ns2 from before all deletes
    for name in ("writer-ns2", "ns2"):
        story.stack("stop", name)
    home, backup = f"{story.STACK_DIR}/ns2", f"{story.STACK_DIR}/ns2.before"
    s.finally_do(shutil.rmtree, backup, True)
    shutil.copytree(home, backup, symlinks=True)
    for name in ("ns2", "writer-ns2"):
        story.start(name)

    # ---- not yet
    refused = each(gone + raced, story.delete)
    s.ok(f"{len(gone + raced)} of them are deleted", not refused, refused[:3])
    story.converge(s, 20, "they are gone everywhere", absent)
    s.eventually(10, "which all four backends confirm", lambda: confirmed(gone + raced))
    cleaner.let_it_look(s, DOORS)
    s.ok("dadns.pushes has the deletes: no tombstone", not cleaner.tombstones(set(everything)))
    story.stack("stop", "writer-ns2")
    refused = each(slow, story.delete)
    s.eventually(10, "more are deleted while a writer is away", lambda: not refused and confirmed(slow, ("ns1", "dc1", "dc2")))
    say_there_is("ns9")
    cleaner.forget_pushes()
    cleaner.let_it_look(s, DOORS)
    s.ok("the deletes have left dadns.pushes, but a backend has joined that never said anything: no tombstone",
         not cleaner.tombstones(set(everything)))

    # ---- buried; raced against new pushes
    refused, pushed, order = [], [], rng.sample(raced, len(raced))

    burying = threading.Event()

    def push_again():
        for zone in order:
            if len(pushed) == len(raced) * 3 // 4:
                burying.wait(60)
            answer = story.push(zone, story.zone_text(zone, 2), url=rng.choice(URLS), owner=OTHER)
            if answer != "ok":
                refused.append((zone, answer))
            pushed.append(zone)
            time.sleep(0.1)
    again = threading.Thread(target=push_again)
    again.start()
    s.eventually(60, "zones are pushed again, by another DirectAdmin server", lambda: len(pushed) > len(raced) // 4)
    code, _, error = cleaner.dadns("backend", "retire", "ns9")
    mark = {name: story.log_size(name) for name in DOORS}
    listed = {line.split()[0]: line.split()[2] for line in cleaner.dadns("backend", "list")[1].splitlines()[1:]}
    s.ok("the silent backend is retired by hand", code == 0 and listed.get("ns9") == "retired" and listed.get("ns2") == "registered",
         (error, listed))
    s.eventually(60, "what all others have confirmed gets one tombstone that names its version", lambda: buried(gone))
    burying.set()
    again.join()
    s.ok("all pushes were acknowledged", not refused, refused[:3])
    stones = cleaner.tombstones(set(raced))
    s.ok(f"{len(stones)} of {len(raced)} had been buried before", len(stones) > 0)
    lives = {zone: {expected(zone, 2)} for zone in raced} | {zone: {expected(zone, 1)} for zone in kept}
    story.converge(s, 20, "those live, wherever it hit them", lives, ("ns1", "dc1", "dc2"))
    s.eventually(10, "for each of them the newest value is the last record", lambda: [
        (zone, records) for zone, records in history(raced).items() if records[-1][1] != 2][:3] or True)
    said = {key.partition("/")[2]: json.loads(text) for key, _, _, text in story.records("dadns.status", {f"judge/{zone}" for zone in raced})}
    wrong = [(zone, said.get(zone)) for zone in raced if said.get(zone, {}).get("state") != "accepted" or said[zone]["owner"] != OTHER]
    s.ok("the judge has accepted them all", not wrong, wrong[:3])

    # ---- somebody has not confirmed
    cleaner.let_it_look(s, DOORS)
    s.ok("what ns2 has not confirmed is not buried", not cleaner.tombstones(set(slow)))
    words = "".join(story.log_since(name, mark[name]) for name in DOORS)
    s.ok("the judges say for whom they wait", '"waiting_for":"ns2"' in words.replace('": "', '":"'), words[-600:])
    s.ok("and how many", sum(story.metric(name, "dadns_judge_burials_waiting") for name in DOORS) >= len(slow))
    story.start("writer-ns2")
    s.eventually(20, "its writer comes back and confirms", lambda: confirmed(slow))
    story.converge(s, 20, "and ns2 serves the others as well", lives, ("ns2",))
    s.eventually(60, "and the zones are buried", lambda: buried(slow))
    dead = gone + slow
    absent = {zone: {expected(zone, None)} for zone in dead}

    # ---- what is said of a buried zone
    story.restart(*DOORS)
    for name in DOORS:
        s.eventually(20, f"{name} was started again and has read the log", lambda: story.ready(name))
    wrong = [(zone, url, body) for zone in dead for url in URLS for body in [exists(zone, url)] if body != "error=0&exists=0"]
    s.ok("both say that no buried zone exists", not wrong, wrong[:3])
    s.ok("deleting one once more is answered as done", story.delete(gone[0], owner=OTHER) == "ok")
    s.eventually(10, "the judge finds nothing to do", lambda: [
        value for key, _, _, text in story.records("dadns.status", {f"judge/{gone[0]}"}) for value in [json.loads(text)]
        if value.get("rule") == "absent"] != [])
    s.ok("and makes no value", buried(gone[:1]) is True)

    # ---- zombies
    old = {zone: text for zone, _, _, text in story.records("dadns.zones", set(gone[1:4])) if text and '"deleted":true' not in text}
    for zone in old:
        plant(zone, old[zone])
    s.eventually(10, "an old value behind a tombstone gets a tombstone behind it", lambda: [
        (zone, found) for zone, found in cleaner.tombstones(set(old)).items() if len(found) != 2 or found[0] != found[1]] or True)
    for zone in raced[:3]:
        version = [version for version, n in history([zone])[zone] if n is None and version][0]
        plant(zone, None, f"dadns-buries={version}")
    s.eventually(10, "a tombstone behind a newer value gets that value behind it", lambda: [
        (zone, records) for zone, records in history(raced[:3]).items() if records[-1][1] != 2 or records[-2][0] is not None] or True)
    stay_away(s, "no name server was impressed", absent | lives)

    # ---- compaction; tombstones stay for a day
    cleaner.make_quick(s)
    fillers = cleaner.Fillers()

    def compacted(zones, right):
        def question():
            fillers.push()
            wrong = [(zone, records) for zone, records in history(zones).items() if not right(records)]
            return True if not wrong else f"{len(wrong)} not: {wrong[:2]}"
        return question
    s.eventually(60, "compaction leaves of a buried zone its tombstone alone", compacted(
        dead, lambda records: records == [(None, None)]), every=0.3)
    s.eventually(60, "and of the others their newest value", compacted(
        raced + kept, lambda records: len(records) == 1 and records[0][1] is not None), every=0.3)
    for name in ("writer-ns2", "ns2"):
        story.stack("stop", name)
    shutil.rmtree(home)
    shutil.copytree(backup, home, symlinks=True)
    story.start("ns2")
    s.eventually(5, "ns2 is restored from before the deletes, and serves the zones again",
                 lambda: story.unlike({zone: {expected(zone, 1)} for zone in dead}, ("ns2",))[:3] or True)
    story.start("writer-ns2")
    story.converge(s, 30, "its writer finds nothing but tombstones: they are gone again", absent | lives, ("ns2",))

    # ---- compaction; nothing is left
    cleaner.configs("add", "delete.retention.ms=0")
    refused = each(late, story.delete)
    s.eventually(20, "a few zones more are deleted and confirmed", lambda: not refused and confirmed(late))
    cleaner.forget_pushes()
    s.eventually(60, "buried and compacted: their keys are gone", compacted(late, lambda records: records == []), every=0.3)
    dead += late
    absent = {zone: {expected(zone, None)} for zone in dead}
    writers = [f"writer-{backend}" for backend in story.BACKENDS]
    story.at_once(lambda name: story.stack("stop", name), (*DOORS, *writers))
    said = story.reset_group(*(f"dadns.writer.{backend}" for backend in story.BACKENDS))
    s.ok("all are stopped, and the writers' groups forgotten", said.count("successful") > 0, said)
    story.at_once(story.start, (*DOORS, *writers))
    for name in DOORS:
        s.eventually(20, f"{name} is ready again", lambda: story.ready(name))
    stay_away(s, "what the log has forgotten does not come back", absent | lives)
    wrong = [(zone, body) for zone in dead for body in [exists(zone, "INGEST_URL")] if body != "error=0&exists=0"]
    s.ok("nor does it exist for the door", not wrong, wrong[:3])
    refused = save_all(dead, 3, owner=OTHER)
    s.ok("all of them are pushed again, by another DirectAdmin server", not refused, refused[:3])
    story.converge(s, 30, "and are served", lives | {zone: {expected(zone, 3)} for zone in dead})
