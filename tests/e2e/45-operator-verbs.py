#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An operator's day: a zone is shown and brought back, dead letters are dealt with, held mass deletes are released."""
import json
import os
import pty
import subprocess
import sys
import threading
import time
import uuid

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
from same_partition import partition  # noqa: E402
from story import BACKENDS, HOST, RUN, SERVERS, expected, kcat, records, zone_text  # noqa: E402

OTHER = "da2.hoster.example"
ZONE, STRANGE = f"verbs-{RUN}.example", f"strange-{RUN}.example"
MASS = [f"mass{n}-{RUN}.example" for n in range(13)]


# ---- the command -------------------------------------------------------------------------------------------------

def command(*words):
    return [f"{story.BIN}/dadns", "--config", f"{story.STACK_DIR}/dadns.yml", *words]


def dadns(*words, patience=60):
    """(exit code, what it printed, what it complained of)"""
    done = subprocess.run(command(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=patience)
    return done.returncode, done.stdout, done.stderr


def told(*words):
    """What it says in JSON; None if it failed."""
    code, text, _ = dadns(*words, "-o", "json")
    return json.loads(text) if code == 0 else None


def at_terminal(line, *words):
    """The exit code, and all that stood on the screen, of somebody who types `line` when he is asked."""
    parent, child = pty.openpty()
    process = subprocess.Popen(command(*words), stdin=child, stdout=child, stderr=child)
    os.close(child)
    screen = b""
    try:
        while piece := os.read(parent, 4096):
            screen += piece
            if b"to go on: " in screen and line is not None:
                os.write(parent, line.encode() + b"\n")
                line = None
    except OSError:
        pass  # it has ended
    os.close(parent)
    return process.wait(timeout=30), screen.decode("utf-8", "replace")


def produce(topic, key, value, **headers):
    words = [word for name, text in headers.items() for word in ("-H", f"{name.replace('__', '.').replace('_', '-')}={text}")]
    kcat("-P", "-t", topic, "-K", "|", "-X", "partitioner=murmur2_random", *words, stdin=f"{key}|{value}\n".encode())


def put_letter(backend, zone, value, message="named: not loaded due to errors"):
    """As a writer puts it away; the id of the letter."""
    before = story.end_offsets("dadns.dead-letters")
    produce("dadns.dead-letters", zone, value, dlq__original__topic="dadns.zones", dlq__original__partition=partition(zone),
            dlq__original__offset=1, dlq__original__timestamp=1795271457130, dlq__group=f"dadns.writer.{backend}",
            dlq__backend=backend, dlq__stage="apply", dlq__error__code="refused", dlq__error__message=message, dlq__attempts=6,
            dlq__first_failed_at="2026-11-21T14:30:57.131Z")
    return f"{partition(zone)}-{before[partition(zone)]}"


# ---- the log -----------------------------------------------------------------------------------------------------

def values(zone):
    return [text for _, _, _, text in records("dadns.zones", {zone})]


def count(topic):
    return sum(story.end_offsets(topic).values())


def said(backend, zone):
    """(state, (epoch, offset)) of each thing that a backend said of a zone."""
    return [(value["state"], story.version_of(value)) for _, _, _, text in records("dadns.status", {f"{backend}/{zone}"})
            for value in [json.loads(text)] if "version" in value]


def served(s, sentence, zones, servers=SERVERS):
    story.converge(s, 15, sentence, {zone: {expected(zone, n)} for zone, n in zones.items()}, servers)


# ---- zone --------------------------------------------------------------------------------------------------------

def shown(s):
    s.ok("a zone is pushed, twice", [story.push(ZONE, zone_text(ZONE, n)) for n in (1, 2)] == ["ok", "ok"])
    served(s, "and served", {ZONE: 2})

    def all_applied():
        zone = told("zone", "show", ZONE)
        states = {one["backend"]: one["status"] and one["status"]["state"] for one in zone["backends"]}
        return set(states) == {"judge", *BACKENDS} and set(states.values()) <= {"accepted", "applied", "verified"} or states
    s.eventually(10, "zone show has the judge and every backend", all_applied)
    zone = told("zone", "show", ZONE)
    s.ok("and the value as the log has it", zone["state"] == "live" and zone["value"] == json.loads(values(ZONE)[-1]), zone)
    s.ok("each backend with that very version", all(one["status"]["version"] == zone["value"]["version"] and not one["away"]
                                                    for one in zone["backends"]), zone["backends"])
    code, text, complaint = dadns("zone", "show", ZONE.upper() + ".")
    s.ok("as a table, any way the name is typed", code == 0 and complaint == "" and all(
        word in text for word in (HOST, "fred", "live", "judge", *BACKENDS, f"www.{ZONE}.\t3600\tIN\tA\t10.0.0.2")), text)
    code, text, complaint = dadns("zone", "show", f"never-{RUN}.example", "-o", "json")
    s.ok("a zone that nobody pushed: exit code 1, null, and a word", code == 1 and json.loads(text)["value"] is None
         and "no value" in complaint, (code, text, complaint))


def restored(s):
    s.ok("somebody else's delete is refused, its owner's is done",
         [story.delete(ZONE, owner=OTHER), story.delete(ZONE)] == ["ok", "ok"])
    served(s, "the zone is gone everywhere", {ZONE: None})
    s.ok("zone show says so", told("zone", "show", ZONE)["state"] == "deleted")

    before = count("dadns.pushes")
    found = told("zone", "restore", ZONE, "--dry-run")
    s.ok("restore --dry-run means the last save before the delete", len(found) == 1 and found[0]["serial"] == "2", found)
    s.ok("and pushes nothing", count("dadns.pushes") == before)
    found = told("zone", "restore", ZONE)
    s.ok("restore: accepted", found and found[0]["verdict"] == "accepted" and found[0]["owner"] == HOST
         and found[0]["user"] == "fred", found)
    served(s, "it is served again by all, as it was", {ZONE: 2})
    push = json.loads([text for _, _, _, text in records("dadns.pushes", {ZONE})][-1])
    s.ok("it was a push of ours, only if the zone was still at that version", push["sender"] == "dadns" and push["owner"] == HOST
         and push["username"] == "fred" and push["only_if"] == json.loads(values(ZONE)[-2])["version"], push)

    history = told("zone", "history", ZONE)
    s.ok("history tells all five, and what became of them", [(one["op"], one["serial"], one["verdict"]) for one in history] == [
        ("save", "1", "accepted"), ("save", "2", "accepted"), ("delete", "-", "refused (owner)"), ("delete", "-", "accepted"),
        ("save", "2", "accepted")], history)
    s.ok("and which one is true", [one["now"] for one in history] == ["-", "-", "-", "-", "true"], history)
    s.ok("each by its own id", len({one["id"] for one in history}) == 5)
    s.ok("restore of a live zone means the last other content", told("zone", "restore", ZONE)[0]["serial"] == "1")
    served(s, "that is served", {ZONE: 1})
    s.ok("--as-of a time of the history brings that push", told("zone", "restore", ZONE, "--as-of", history[1]["when"])[0]["from"] ==
         history[1]["offset"])
    served(s, "that is served", {ZONE: 2})
    version = json.loads(values(ZONE)[0])["version"]
    for point in (f"{version['epoch']}-{version['offset']}", history[0]["offset"]):
        found = told("zone", "restore", ZONE, "--dry-run", "--as-of", point)
        s.ok(f"--as-of {point} is the first push", found and found[0]["serial"] == "1", found)
    code, _, complaint = dadns("zone", "restore", ZONE, "--as-of", history[1]["offset"])
    s.ok("what the zone has already is not pushed again", code == 1 and "already" in complaint, complaint)
    code, _, complaint = dadns("zone", "restore", ZONE, "--as-of", "2020-01-01")
    s.ok("of a time that the log does not have: a clear text", code == 1 and "30 days" in complaint, complaint)
    code, _, complaint = dadns("zone", "restore", f"never-{RUN}.example")
    s.ok("of a zone that nobody pushed too", code == 1 and "30 days" in complaint, complaint)


def overtaken(s):
    """I6: DirectAdmin pushes while somebody restores."""
    push = json.loads([text for _, _, _, text in records("dadns.pushes", {ZONE})][0])
    s.finally_do(story.stack, "cont", "ingest")
    story.stack("pause", "ingest")
    before = story.end_offsets("dadns.pushes")[partition(ZONE)]
    produce("dadns.pushes", ZONE, json.dumps({**push, "id": str(uuid.uuid4())}, separators=(",", ":")))
    answer = []
    thread = threading.Thread(target=lambda: answer.append(dadns("zone", "restore", ZONE, "--as-of", str(push_offset(1)))))
    thread.start()
    until = time.monotonic() + 8
    while story.end_offsets("dadns.pushes")[partition(ZONE)] < before + 2 and time.monotonic() < until:
        time.sleep(0.05)
    story.stack("cont", "ingest")
    thread.join()
    code, text, complaint = answer[0]
    s.ok("a restore that was overtaken is refused and says why", code == 1 and "refused (only_if)" in text and "moved on" in complaint,
         answer)
    served(s, "the later push stands", {ZONE: 1})


def push_offset(n):
    return [offset for _, _, offset, _ in records("dadns.pushes", {ZONE})][n - 1]


# ---- dead letters ------------------------------------------------------------------------------------------------

def listed(*words):
    return {one["id"]: one for one in told("dlq", "list", *words)}


def letters(s):
    old = values(ZONE)[0]
    newest = json.loads(values(ZONE)[-1])["version"]
    mine = put_letter("dc1", ZONE, old)
    also = put_letter("ns1", ZONE, old, message="evil \x1b[2J text")
    produce("dadns.zones", STRANGE, "this is no JSON")
    produce("dadns.pushes", STRANGE, "neither is this")
    s.eventually(10, "what nobody can read is put away by each writer and by the judge", lambda: sorted(
        one["backend"] for one in listed("--zone", STRANGE).values()) == sorted(["-", *BACKENDS]))
    found = listed("--backend", "dc1", "--zone", ZONE)
    s.ok("dlq list knows them by backend and zone", list(found) == [mine] and found[mine]["state"] == "open" and
         (found[mine]["stage"], found[mine]["code"], found[mine]["attempts"]) == ("apply", "refused", "6"), found)
    code, text, _ = dadns("dlq", "list")
    s.ok("as a table too, in which nothing moves the cursor", code == 0 and mine in text and "\x1b" not in text and "evil ?[2J" in text)
    letter = told("dlq", "show", mine)
    s.ok("dlq show has the headers and the original value", letter["headers"]["dlq.backend"] == "dc1" and letter["value"] == old
         and letter["key"] == ZONE and letter["state"] == "open", letter)
    code, text, _ = dadns("dlq", "show", also)
    s.ok("as text, harmless", code == 0 and old in text and "\x1b" not in text, text)

    # The backend has lost it; nobody has noticed.
    row = f"FROM records WHERE hostname = 'www' AND zone_id = (SELECT id FROM zones WHERE zone_name = '{ZONE}.')"
    story.sql("dc1", f"DELETE {row}")
    s.ok("somebody has deleted a row of dc1's tables", story.sql("dc1", f"SELECT COUNT(*) {row}") == ((0,),))
    before = count("dadns.heals")
    found = told("dlq", "replay", mine, "--dry-run")
    s.ok("replay --dry-run: would be healed", found[0]["result"].startswith("would be healed"), found)
    s.ok("nothing was sent", count("dadns.heals") == before and listed()[mine]["state"] == "open")
    pushes = count("dadns.pushes")
    found = told("dlq", "replay", mine, also)
    s.ok("replay sends heals, and says that the log is further than the letters", found and all(
        one["result"].startswith("heal sent; newer than the letter's") and
        one["version"] == f"{newest['epoch']}-{newest['offset']}" for one in found), found)
    s.ok("never a push", count("dadns.pushes") == pushes and count("dadns.heals") == before + 2)
    heals = [json.loads(text) for _, _, _, text in records("dadns.heals", {ZONE})]
    s.ok("the heals carry the log's value and claim no look", [(heal["backend"], heal["unseen"], heal["value"]["version"]) for heal in heals]
         == [("dc1", True, newest), ("ns1", True, newest)], heals)
    s.eventually(10, "the equal version was verified and driven again: the row is back", lambda: story.sql(
        "dc1", f"SELECT COUNT(*) {row}") == ((1,),))
    served(s, "and served", {ZONE: 1}, ("dc1", "ns1"))
    for backend, state in (("dc1", "applied"), ("ns1", "verified")):
        s.eventually(5, f"{backend} says {state}", lambda: said(backend, ZONE)[-1] ==
                     (state, (newest["epoch"], newest["offset"])) or said(backend, ZONE))
    s.ok("they are off the list", not {mine, also} & set(listed()))
    s.ok("but not forgotten", {listed("--all-states")[one]["state"] for one in (mine, also)} == {"replayed"})
    s.ok("replaying one again by its id is harmless", told("dlq", "replay", also) is not None)

    # I4: a heal without a look is fenced like any value.
    heal = {**heals[1], "id": str(uuid.uuid4()), "value": json.loads(old)}
    for backend in BACKENDS:
        produce("dadns.heals", ZONE, json.dumps({**heal, "backend": backend}, separators=(",", ":")))
    marker = put_letter("ns2", ZONE, old)
    told("dlq", "replay", marker)
    s.eventually(10, "a heal of an old version, behind which nobody looked, is passed over", lambda: [
        state for state, version in said("ns2", ZONE)][-1] == "verified")
    served(s, "all serve what the log says", {ZONE: 1})
    s.ok("nobody went back", not story.went_back([ZONE]))

    strange = listed("--zone", STRANGE)
    code, text, _ = dadns("dlq", "replay", "--all", "--zone", STRANGE, "-o", "json")
    found = {one["id"]: one for one in json.loads(text)}
    s.ok("what has no value cannot be healed: exit code 1, each with its reason", code == 1 and set(found) == set(strange) and all(
        one["result"].startswith("not replayed: ") for one in found.values()), text)
    judges = [one for one in strange if strange[one]["backend"] == "-"]
    s.ok("a push is never replayed", len(judges) == 1 and "a push is not replayed" in found[judges[0]]["result"], found)
    s.ok("they stay on the list", set(listed("--zone", STRANGE)) == set(strange))
    s.ok("drop --dry-run drops none", len(told("dlq", "drop", "--all", "--zone", STRANGE, "--dry-run")) == 5
         and set(listed("--zone", STRANGE)) == set(strange))
    s.ok("dropping one", told("dlq", "drop", judges[0])[0]["result"] == "dropped" and
         set(listed("--zone", STRANGE)) == set(strange) - set(judges))
    s.ok("and the rest", len(told("dlq", "drop", "--all", "--zone", STRANGE)) == 4 and not listed("--zone", STRANGE))
    s.ok("they are still there for who asks", {one["state"] for one in listed("--zone", STRANGE, "--all-states").values()} == {"dropped"})
    s.ok("a letter that is not there is said to be not there", dadns("dlq", "show", "0-999999")[0] == 1)
    before = count("dadns.dead-letters")
    s.ok("and nothing is done if one of many is not there", dadns("dlq", "drop", mine, "0-999999")[0] == 1 and
         count("dadns.dead-letters") == before)


# ---- held mass deletes -------------------------------------------------------------------------------------------

def held(*words):
    return {one["zone"]: one for one in told("mass", "list", *words) if one["zone"] in MASS}


def hold(zone, sender="da1"):
    produce("dadns.pushes", zone, json.dumps({
        "schema": "push/1.0", "id": str(uuid.uuid4()), "op": "delete", "zone": zone, "owner": HOST, "username": "fred",
        "sender": sender, "received_at": "2026-11-21T14:31:03.910Z", "mass": True}, separators=(",", ":")))


def mass(s):
    s.ok("thirteen zones are pushed", all(story.push(zone, zone_text(zone, 1)) == "ok" for zone in MASS))
    served(s, "and served", {zone: 1 for zone in MASS})
    for zone in MASS[:12]:
        hold(zone)
    hold(MASS[11], sender="da9")
    s.eventually(10, "twelve deletes too many are held", lambda: len(held()) == 12)
    s.eventually(10, "the newest of each zone, with who sent it", lambda: held()[MASS[11]]["sender"] == "da9")
    s.ok("one credential's are listed alone", list(held("--sender", "da9")) == [MASS[11]])
    s.ok("a later push comes for one of them, a delete for another",
         [story.push(MASS[0], zone_text(MASS[0], 2)), story.delete(MASS[1])] == ["ok", "ok"])
    s.eventually(10, "they are marked, or gone from the list", lambda: held()[MASS[0]]["state"] == "moved on" and MASS[1] not in held())

    before = count("dadns.pushes")
    code, _, complaint = dadns("mass", "release", MASS[2], MASS[12])
    s.ok("of a zone with nothing held nothing is released, nor of the others", code == 1 and MASS[12] in complaint, complaint)
    code, text, _ = dadns("mass", "release", MASS[0], MASS[1], "-o", "json")
    s.ok("what has moved on is not released", code == 1 and [one["verdict"] for one in json.loads(text)] == ["not released"] * 2, text)
    found = told("mass", "release", MASS[2], MASS[2], "--dry-run")
    s.ok("--dry-run says what would be done", [(one["zone"], one["verdict"]) for one in found] == [(MASS[2], "would be deleted")], found)
    waiting = {zone for zone, one in held().items() if one["state"] == "held"}
    everything = {one["zone"] for one in told("mass", "list") if one["state"] == "held"}
    s.ok("ten of ours wait", len(waiting) == 10, waiting)
    if len(everything) <= 10:
        s.ok("one more, so that there are eleven", story.push(MASS[12], zone_text(MASS[12], 1)) == "ok")
        before += 1
        hold(MASS[12])
        before += 1
        s.eventually(10, "it is held", lambda: MASS[12] in held())
        waiting.add(MASS[12])
        everything.add(MASS[12])
    s.ok("without a terminal more than ten want --yes", dadns("mass", "release", "--all")[0] == 2)
    code, screen = at_terminal("yes", "mass", "release", "--all")
    s.ok("at one they want their number", code == 2 and f"{len(everything)} zones will be deleted" in screen, screen)
    s.ok("until here nothing was deleted", count("dadns.pushes") == before)
    served(s, "all are served still", {zone: 1 for zone in waiting})

    found = told("mass", "release", "--sender", "da9")
    s.ok("one credential's are released", [(one["zone"], one["verdict"]) for one in found] == [(MASS[11], "accepted")], found)
    served(s, "that zone is gone", {MASS[11]: None})
    code, text, _ = dadns("mass", "release", MASS[2], MASS[3], "-o", "json")
    s.ok("so are zones by name", code == 0 and [one["verdict"] for one in json.loads(text)] == ["accepted"] * 2, text)
    push = json.loads([text for _, _, _, text in records("dadns.pushes", {MASS[2]})][-1])
    value = json.loads(values(MASS[2])[0])
    s.ok("by a new delete, only if the zone is what it was, not marked mass", push["op"] == "delete" and "mass" not in push and
         push["sender"] == "dadns" and push["owner"] == HOST and push["only_if"] == value["version"], push)
    more = [f"more{n}-{RUN}.example" for n in range(11)]
    s.ok("eleven more are pushed", all(story.push(zone, zone_text(zone, 1)) == "ok" for zone in more))
    for zone in more:
        hold(zone)
    s.eventually(10, "and held", lambda: set(more) <= {one["zone"] for one in told("mass", "list")})
    number = sum(one["state"] == "held" for one in told("mass", "list"))
    code, screen = at_terminal(str(number), "mass", "release", "--all")
    s.ok("at a terminal, with their number typed, the rest is released", code == 0 and screen.count("accepted") == number, screen)
    gone = {zone: None for zone in [*MASS[1:12], *more]}
    served(s, "they are gone everywhere", gone)
    served(s, "the zone that has moved on is not", {MASS[0]: 2})
    s.ok("and alone is still listed", set(held()) - {MASS[12]} == {MASS[0]}, held())


# ---- what can be typed wrong, and Kafka away ---------------------------------------------------------------------

WRONG = (
    ("dlq", "frobnicate"), ("dlq", "show"), ("dlq", "show", "x"), ("dlq", "show", "1-1", "1-2"), ("dlq", "list", "1-1"),
    ("dlq", "replay"), ("dlq", "replay", "--all", "1-1"), ("dlq", "replay", "x"), ("dlq", "drop"),
    ("dlq", "drop", "1-1", "--zone", ZONE), ("dlq", "drop", "--all", "--sender", "da1"), ("dlq", "list", "--zone"),
    ("zone", "show"), ("zone", "show", "not a zone"), ("zone", "show", ZONE, "more"), ("zone", "history", "../etc"),
    ("zone", "restore"), ("zone", "restore", ZONE, "--as-of", "yesterday"), ("zone", "show", ZONE, "--all"),
    ("mass", "release"), ("mass", "release", "--all", ZONE), ("mass", "release", "--all", "--sender", "da1"),
    ("mass", "release", "not a zone"), ("mass", "list", ZONE), ("mass", "release", "--all", "--zone", ZONE),
)
ASKING = (("dlq", "list"), ("dlq", "show", "1-1"), ("dlq", "replay", "--all"), ("dlq", "drop", "1-1"), ("zone", "show", ZONE),
          ("zone", "history", ZONE), ("zone", "restore", ZONE), ("mass", "list"), ("mass", "release", "--all", "--yes"))


def is_away(s, words, how):
    began = time.monotonic()
    code, text, complaint = dadns(*words, *how)
    took = time.monotonic() - began
    s.ok(f"Kafka away: dadns {' '.join(words[:2])} says so with exit code 75, soon", code == 75 and text == "" and took < 15
         and "cannot be reached" in complaint and complaint.startswith("dadns: "), (code, text, complaint, took))


def wrong(s):
    for words in WRONG:
        code, text, complaint = dadns(*words)
        s.ok(f"dadns {' '.join(words)} is refused", code == 2 and text == "" and complaint.startswith("dadns: "), (code, text, complaint))
    for noun in ("dlq", "zone", "mass"):
        code, text, _ = dadns("help", noun)
        s.ok(f"dadns help {noun} tells of its verbs", code == 0 and f"dadns {noun} " in text and "--" in text, text)


def away(s):
    def all_at_once(asking, how):
        together = [threading.Thread(target=is_away, args=(s, words, how)) for words in asking]
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()
    all_at_once(ASKING, ("--kafka.brokers=127.0.0.1:1",))
    s.finally_do(story.stack, "cont", "kafka")
    story.stack("pause", "kafka")
    all_at_once(ASKING[::4], ())
    story.stack("cont", "kafka")
    s.eventually(15, "Kafka is back, and so is the answer", lambda: told("zone", "show", ZONE) is not None)


with story.Story("What an operator does about a zone, a dead letter, and too many deletes") as s:
    wrong(s)
    shown(s)
    restored(s)
    overtaken(s)
    letters(s)
    mass(s)
    away(s)
