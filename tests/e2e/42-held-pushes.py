#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka is away, and DirectAdmin does not notice: pushes are held in Redis, and served in their order afterwards.

I1 (durable before error=0), I11 (mass deletes), I12 and "Kafka away" of ARCHITECTURE.md.
"""
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
from story import raw, save_bytes, delete_bytes, status_and_body, zone_text  # noqa: E402

FIRST_S = 6  # the first push waits for Kafka: 4 s, and the library looks at its clock once a second
NAMES = ("ns1", "ns2")


def new_zone(label):
    new_zone.made += 1
    return f"{label}{new_zone.made}-{story.RUN}.example"


new_zone.made = 0


def redis(*words):
    done = subprocess.run(["redis-cli", "-u", os.environ["REDIS_URL"], "--raw", *words], capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.strip()


def held(zone):
    return int(redis("LLEN", f"dadns:hold:zone:{zone}"))


def nothing_is_held():
    left = redis("EXISTS", "dadns:hold:zones", "dadns:hold:records", "dadns:hold:bytes")
    return True if left == "0" else redis("ZRANGE", "dadns:hold:zones", "0", "5")


def save(zone, n, url="INGEST_URL", patience=15):
    """(verdict, body, seconds)"""
    began = time.monotonic()
    answer = raw(save_bytes(zone, zone_text(zone, n)), url, patience)
    return story.verdict(answer), status_and_body(answer)[1], time.monotonic() - began


def delete(zones, url="INGEST_URL", owner=story.HOST):
    answer = raw(delete_bytes([zones] if isinstance(zones, str) else zones, owner), url, 15)
    return story.verdict(answer), status_and_body(answer)[1]


def dadns(*words):
    done = subprocess.run([f"{story.BIN}/dadns", *words, "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def serve(s, seconds, sentence, wanted):
    """`wanted`: zone -> n, None: deleted."""
    story.converge(s, seconds, sentence, {zone: {story.expected(zone, n)} for zone, n in wanted.items()}, NAMES)


def judged(zone):
    """(state, rule) of each push, in the order of the log; a compacted topic may forget."""
    return [(value["state"], value.get("rule")) for _, _, _, text in story.records("dadns.status", {f"judge/{zone}"})
            for value in [json.loads(text)]]


def ids(zone):
    return [json.loads(text)["id"] for _, _, _, text in story.records("dadns.pushes", {zone}) if text]


def kafka_is_back(s, *doors):
    for door in doors:
        s.eventually(20, f"{door} is ready", lambda door=door: story.ready(door))
    s.eventually(20, "nothing is held any more", nothing_is_held)


def stopped(s):
    """Saves and deletes of the same zones through two replicas, one of which is killed meanwhile."""
    before, again, gone, born = (new_zone("stop") for _ in range(4))
    for zone in (before, again, gone):
        s.ok("a zone is there before", save(zone, 1)[0] == "ok")
    serve(s, 10, "and served", {before: 1, again: 1, gone: 1})
    story.stack("start", "ingest-2")
    s.finally_do(story.stack, "stop", "ingest-2")
    story.load_endpoints()
    story.stack("stop", "kafka")
    for url in ("INGEST_URL", "INGEST_2_URL"):
        verdict, body, took = save(before, 2, url)
        s.ok(f"{url}: the first push without Kafka is acknowledged ({took:.1f} s)", verdict == "ok" and took < FIRST_S, body)
    took = []
    for n in range(3, 23):
        verdict, body, seconds = save(before, n, "INGEST_2_URL" if n % 2 else "INGEST_URL")
        took.append(seconds if verdict == "ok" else body)
    s.ok(f"the next twenty at once, {1000 * max(took):.0f} ms at most", all(isinstance(one, float) and one < 1 for one in took), took)
    s.ok("a delete", delete(again)[0] == "ok")
    s.ok("a save after it", save(again, 2, "INGEST_2_URL")[0] == "ok")
    s.ok("another delete", delete(gone, "INGEST_2_URL")[0] == "ok")
    s.ok("a zone that is not there yet: a delete", delete(born)[0] == "ok")
    s.ok("and its save", save(born, 5)[0] == "ok")
    s.ok("all of it is held", (held(before), held(again), held(gone), held(born)) == (22, 2, 1, 2),
         (held(before), held(again), held(gone), held(born)))
    s.ok("ingest is ready: pushes are held", story.ready("ingest") and story.ready("ingest-2"))
    s.ok("and says that Kafka is away", story.metric("ingest", "dadns_holds_away") == 1)
    code, out, _ = dadns("hold", "list", "-o", "json")
    rows = {row["zone"]: row for row in json.loads(out)} if code == 0 else {}
    s.ok("dadns hold list names the zones", rows.keys() == {before, again, gone, born}, out)
    s.ok("with pushes, saves and deletes", [rows.get(again, {}).get(key) for key in ("pushes", "saves", "deletes")] == ["2", "1", "1"], out)
    code, out, _ = dadns("hold", "list", again, "-o", "json")
    s.ok("and a zone's pushes in their order", code == 0 and [row["what"] for row in json.loads(out)] == ["delete", "save"], out)
    story.kill("ingest-2")
    wanted = ids_of_hold(before)
    story.stack("start", "kafka")
    began = time.monotonic()
    s.eventually(20, "Kafka is back, and nothing is held any more", nothing_is_held)
    story.Story.note(f"{time.monotonic() - began:.1f} s after Kafka was there")
    kafka_is_back(s, "ingest")
    found = ids(before)
    s.ok("the pushes of a zone are in the log in the order in which they were held", found[-22:] == wanted, (found[-22:], wanted))
    serve(s, 20, "everything is served as it was said last", {before: 22, again: 2, gone: None, born: 5})
    s.ok("the next push goes to Kafka", save(before, 50)[0] == "ok" and held(before) == 0)
    serve(s, 10, "and is served", {before: 50})
    s.eventually(5, "Kafka is not away any more", lambda: story.metric("ingest", "dadns_holds_away") == 0)


def ids_of_hold(zone):
    return [line.split()[0] for line in redis("LRANGE", f"dadns:hold:zone:{zone}", "0", "-1").splitlines()
            if len(line.split()) == 2 and len(line.split()[0]) == 36]


def frozen(s):
    """First copies lie in the sockets of a frozen Kafka: they reach the log when it goes on, before or after the drain."""
    zones = [new_zone("frozen") for _ in range(8)]
    again, gone, born = zones[:3]
    for zone in zones:
        save(zone, 1)
    serve(s, 10, "eight zones are served", {zone: 1 for zone in zones})
    story.stack("pause", "kafka")
    s.finally_do(story.stack, "cont", "kafka")
    answers = {}

    def first(zone):
        answers[zone] = save(zone, 2) if zone != born else (*delete(zone), 0)
    threads = [threading.Thread(target=first, args=(zone,)) for zone in zones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    s.ok("pushes that a frozen Kafka has got are acknowledged", all(answer[0] == "ok" for answer in answers.values()), answers)
    s.ok("what is said then: a delete and a save", delete(again)[0] == "ok" and save(again, 3)[0] == "ok")
    s.ok("a delete", delete(gone)[0] == "ok")
    s.ok("a save of what was deleted, and a delete, and a save", save(born, 3)[0] == "ok" and delete(born)[0] == "ok" and save(born, 4)[0] == "ok")
    wanted = {zone: 2 for zone in zones} | {again: 3, gone: None, born: 4}
    time.sleep(1.5)
    story.stack("cont", "kafka")
    kafka_is_back(s, "ingest")
    serve(s, 20, "Kafka goes on: everything is served as it was said last", wanted)
    copies = [zone for zone in zones if len(ids(zone)) != len(set(ids(zone)))]
    s.ok(f"the log has pushes twice, of {len(copies)} zones: their first copies came late", copies)
    s.ok("and after a while nothing has changed", time.sleep(1) is None and story.unlike(
        {zone: {story.expected(zone, n)} for zone, n in wanted.items()}, NAMES) == [])


def redis_away(s):
    zone = new_zone("unchecked")
    story.stack("stop", "redis")
    s.finally_do(story.stack, "start", "redis")
    verdict, body, took = save(zone, 1)
    s.ok(f"without Redis pushes go to Kafka ({1000 * took:.0f} ms)", verdict == "ok" and took < 1, body)
    serve(s, 10, "and are served", {zone: 1})
    said = [json.loads(text) for _, _, _, text in story.records("dadns.pushes", {zone})]
    s.ok("as unchecked", said and said[-1].get("unchecked") is True, said)
    s.ok("ingest is ready", story.ready("ingest"))
    story.stack("stop", "kafka")
    verdict, body, _ = save(zone, 2)
    s.ok("without both it is an error that names them", verdict == "fail" and re.search(r"dadns\.pushes.*Redis\+(at\+\S+\+)?is\+away.*Not\+taken", body), body)
    s.eventually(10, "and ingest is not ready", lambda: not story.ready("ingest"))
    story.stack("start", "redis")
    s.eventually(10, "Redis is back: ingest is ready", lambda: story.ready("ingest"))
    verdict, body, took = save(zone, 3)
    s.ok(f"and pushes are held ({1000 * took:.0f} ms)", verdict == "ok" and held(zone) == 1, body)
    story.stack("start", "kafka")
    kafka_is_back(s, "ingest")
    serve(s, 20, "and served when Kafka is back", {zone: 3})


def restart(args):
    story.stack("stop", "ingest")
    story.stack("start", "ingest", args=args)


def ceiling(s):
    zones = [new_zone("full") for _ in range(5)]
    story.stack("stop", "kafka")
    answers = [save(zone, 1) for zone in zones]
    s.ok("three pushes may be held, and are", [answer[0] for answer in answers[:3]] == ["ok"] * 3, answers)
    s.ok("a fourth and a fifth are refused, with a text", all(verdict == "fail" and "as+many+changes" in body for verdict, body, _ in answers[3:]), answers)
    s.eventually(10, "and ingest is not ready any more", lambda: not story.ready("ingest"))
    story.stack("stop", "ingest")
    code, _, err = dadns("hold", "drain")
    s.ok("dadns hold drain without Kafka says so", code == 75, err)
    story.stack("start", "kafka")
    code, out, err = dadns("hold", "drain", zones[0])
    s.ok("with Kafka it drains one zone", code == 0 and held(zones[0]) == 0 and held(zones[1]) == 1, out + err)
    redis("SET", f"dadns:hold:lock:{zones[1]}", "one that died", "PX", "4000")
    code, out, err = dadns("hold", "drain")
    s.ok("and all, once the lock of one that died has expired", code == 0 and nothing_is_held() is True, out + err)
    code, out, _ = dadns("hold", "list", "-o", "json")
    s.ok("then the list is empty", code == 0 and json.loads(out) == [], out)
    story.start("ingest")
    serve(s, 30, "what was acknowledged is served", {zone: 1 for zone in zones[:3]} | {zone: None for zone in zones[3:]})


def mass(s):
    zones = [new_zone("mass") for _ in range(30)]
    redis("DEL", "dadns:mass:default")
    for zone in zones:
        save(zone, 1)
    serve(s, 20, "thirty zones are served", {zone: 1 for zone in zones})
    s.ok("thirty deletes are acknowledged", delete(zones)[0] == "ok")

    def verdicts():
        found = {zone: (judged(zone) or [(None, None)])[-1] for zone in zones}
        held_back = [zone for zone in zones if found[zone] == ("held", "mass")]
        return True if len(held_back) == 20 else found
    s.eventually(10, "ten are done, twenty are held back for a human", verdicts)
    held_back = {zone for zone in zones if judged(zone)[-1] == ("held", "mass")}
    serve(s, 10, "those are still served", {zone: 1 if zone in held_back else None for zone in zones})
    s.eventually(10, "the count ends with its time", lambda: redis("EXISTS", "dadns:mass:default") == "0")
    s.ok("then another delete", delete(sorted(held_back)[0])[0] == "ok")
    serve(s, 10, "is done", {sorted(held_back)[0]: None})
    redis("DEL", "dadns:mass:default")


with story.Story("Kafka is away: pushes are held, and lost nowhere") as s:
    story.fast_takeover(s)
    s.eventually(30, "all are ready", lambda: all(story.ready(name) for name in story.PRODUCTS))
    stopped(s)
    frozen(s)
    redis_away(s)
    restart("--app.held_pushes=3")
    ceiling(s)
    restart("--app.mass_deletes=10 --app.mass_seconds=6")
    mass(s)
