#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A zone that one backend refuses: served by the others at once, tried again on the schedule that Redis keeps, given up into the
dead letters. Redis wiped, Redis away, the writer killed between its steps, the database away: nothing is lost, nobody's tries are
used up."""
import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
from story import RUN, kcat, push, serial, zone_text  # noqa: E402

DELAYS = "1s,1s,1s,1s,1s"
QUICK = "200ms,200ms,200ms,200ms,200ms"  # where nobody has to see it wait
TRIES = 6
EXPELLED = "--kafka.session.timeout.ms=2000 --kafka.heartbeat.interval.ms=500"  # a killed one is given up after 2 s, not 8
WRITERS = [f"writer-{name}" for name in story.BACKENDS]
CROWD = "".join(f"crowd 60 IN A 10.9.0.{i + 1}\n" for i in range(101))  # named takes 100
LONG = "big 60 IN TXT " + " ".join(['"' + "\\001" * 255 + '"'] * 63) + "\n"  # records.content of PowerDNS holds 64000
LUA = "run 60 IN TYPE65402 \\# 3 000102\n"  # PowerDNS takes it for a program to run


def dadns(*words):
    """Exit code, stdout, stderr."""
    done = subprocess.run([f"{story.BIN}/dadns", *words, "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True, text=True,
                          timeout=30)
    return done.returncode, done.stdout, done.stderr


def entries(*flags):
    """(backend, zone) -> entry, as `dadns retry list` shows it."""
    code, out, err = dadns("retry", "list", "-o", "json", *flags)
    if code != 0:
        raise RuntimeError(err)
    return {(entry["backend"], entry["zone"]): entry for entry in json.loads(out)}


def waits(backend, zone):
    entry = entries().get((backend, zone))
    return entry is not None and entry["state"] == "waiting"


def gone(*pairs):
    left = [pair for pair in pairs if pair in entries()]
    return True if not left else left


def redis(*words):
    return subprocess.run(["redis-cli", "-u", os.environ["REDIS_URL"], *words], capture_output=True, text=True, check=True).stdout


def statuses(backend, zone):
    return [json.loads(text) for _, _, _, text in story.records("dadns.status", {f"{backend}/{zone}"})]


def state(backend, zone):
    found = statuses(backend, zone)
    return (found[-1]["state"], found[-1].get("attempt"), found[-1]["serial"]) if found else None


def letters(zone=None):
    """[(key, headers, value)] of the dead letters."""
    found = []
    for line in kcat("-X", "fetch.wait.max.ms=10", "-C", "-q", "-e", "-J", "-t", "dadns.dead-letters", "-o", "beginning").splitlines():
        record = json.loads(line)
        flat = record.get("headers") or []
        if zone is None or record["key"] == zone:
            found.append((record["key"], dict(zip(flat[::2], flat[1::2])), record["payload"]))
    return found


def value_of(zone, n):
    """The record of that serial in dadns.zones: (partition, offset, value, headers)."""
    for line in kcat("-X", "fetch.wait.max.ms=10", "-C", "-q", "-e", "-J", "-t", "dadns.zones", "-o", "beginning").splitlines():
        record = json.loads(line)
        if record["key"] == zone and record["payload"] and json.loads(record["payload"]).get("serial") == n:
            flat = record["headers"]
            return record["partition"], record["offset"], record["payload"], dict(zip(flat[::2], flat[1::2]))
    return None


def lag(*backends):
    """The groups' lags of dadns.zones, summed; what was never committed counts."""
    out = story.kafka_class("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"],
                            "--describe", *(word for name in backends for word in ("--group", f"dadns.writer.{name}")))
    total = 0
    for line in out.splitlines():
        words = line.split()
        if len(words) > 5 and words[1] == "dadns.zones":
            total += int(words[5]) if words[5].isdigit() else 0
    return total


def restart(name, args="", abort_at=None, nowait=False):
    story.stack("stop", name)
    story.stack("start", name, args=args, env=f"DADNS_ABORT_AT={abort_at}" if abort_at else "", nowait=nowait)


def is_now(backend, zone, word):
    """Its last word of the zone is this one."""
    got = state(backend, zone)
    return True if got and got[0] == word else got or "nothing"


def said(backend, zone, wanted):
    got = state(backend, zone)
    return True if got == wanted else got


def others_serve(zone, n, others):
    wrong = [(name, got) for name in others if (got := serial(name, zone)) != n]
    return True if not wrong else wrong


def number(backend, family):
    return story.metric(f"writer-{backend}", family)


# ---- what it shows -------------------------------------------------------------------------------------------------

def given_up(s, zone):
    """To the dead letters, as it was. Leaves the zone dead at ns1 and ns2."""
    s.ok("a good version is acknowledged", push(zone, zone_text(zone, 1)) == "ok")
    s.eventually(10, "and served by all", lambda: others_serve(zone, 1, story.SERVERS))
    before = {ns: number(ns, "dadns_writer_dead_letters_total") for ns in ("ns1", "ns2")}
    s.ok("a version that named refuses is acknowledged: it is DNS", push(zone, zone_text(zone, 2) + CROWD) == "ok")
    s.eventually(5, "dc1 and dc2 serve it at once", lambda: others_serve(zone, 2, ("dc1", "dc2")))
    for ns in ("ns1", "ns2"):
        s.eventually(5, f"{ns}: it is reported as retrying", lambda: is_now(ns, zone, "retrying"))
        s.eventually(3, f"{ns}: it waits in Redis", lambda: waits(ns, zone))
    entry = entries("--backend", "ns1", "--zone", zone)[("ns1", zone)]
    s.ok("dadns retry list says why, since when and when again", entry["reason"] and entry["first_failed"] and entry["due"], entry)
    s.ok("as a table too", zone in dadns("retry", "list")[1])
    s.eventually(30, "nobody's offset waits for it", lambda: lag("ns1", "ns2") == 0 or lag("ns1", "ns2"), every=0.5)
    partition, offset, value, headers = value_of(zone, 2)
    for ns in ("ns1", "ns2"):
        s.eventually(60, f"{ns}: after all tries it is dead", lambda: said(ns, zone, ("dead", TRIES, 2)), every=0.3)
        tried = [status["attempt"] for status in statuses(ns, zone) if status["state"] == "retrying"]
        s.ok(f"{ns}: it was tried {TRIES} times", tried == list(range(1, TRIES + 1)), tried)
        s.ok(f"{ns} serves the version before", serial(ns, zone) == 1)
        found = [(h, v) for _, h, v in letters(zone) if h["dlq.backend"] == ns]
        s.ok(f"{ns}: one dead letter", len(found) == 1, found)
        letter, text = found[0]
        s.ok("with the bytes that were in dadns.zones", text == value, (text[:200], value[:200]))
        s.ok("and the headers", all(letter.get(name) == headers[name] for name in headers), (letter, headers))
        s.ok("it says whose, where from, why and how often", (letter["dlq.original.topic"], letter["dlq.original.partition"],
             letter["dlq.original.offset"], letter["dlq.stage"], letter["dlq.error.code"], letter["dlq.attempts"]) ==
             ("dadns.zones", str(partition), str(offset), "apply", "refused", str(TRIES)), letter)
        s.ok("the alarm counts it", number(ns, "dadns_writer_dead_letters_total") == before[ns] + 1)
        s.eventually(3, "and stays up", lambda: number(ns, "dadns_writer_dead_zones") == 1 or number(ns, "dadns_writer_dead_zones"))
        s.eventually(3, "nothing waits", lambda: number(ns, "dadns_writer_aside_zones") == 0)
        s.eventually(3, f"{ns}: the list says dead", lambda: entries()[(ns, zone)]["state"] == "dead")


def stays_dead(s, zone):
    """By restart, replay from the log, and wiped Redis."""
    count = len(letters(zone))
    told = len(statuses("ns1", zone))
    restart("writer-ns1", args=f"{EXPELLED} --writer.retry_delays={DELAYS}")
    redis("FLUSHALL")
    s.eventually(15, "Redis is wiped: what is dead is known again out of the log", lambda: all(
        entries().get((ns, zone), {}).get("state") == "dead" for ns in ("ns1", "ns2")))
    s.eventually(5, "the alarm too", lambda: number("ns1", "dadns_writer_dead_zones") == 1)
    time.sleep(3)
    s.ok("it is not tried again, nor buried twice", len(letters(zone)) == count and len(statuses("ns1", zone)) == told,
         (len(letters(zone)), count, statuses("ns1", zone)[told:]))
    code, _, err = dadns("retry", "now", zone)
    s.ok("retry now says so", code == 1 and "dlq replay" in err, err)


def replaced(s, zone):
    s.ok("a newer version, as bad, is acknowledged", push(zone, zone_text(zone, 3) + CROWD) == "ok")
    s.eventually(5, "its tries begin anew", lambda: waits("ns1", zone) and int(entries()[("ns1", zone)]["attempt"]) < TRIES)
    s.ok("a good version is acknowledged", push(zone, zone_text(zone, 4)) == "ok")
    s.eventually(5, "and served at once", lambda: others_serve(zone, 4, story.SERVERS))
    s.eventually(2, "the entries are gone within 2 s", lambda: gone(("ns1", zone), ("ns2", zone)))
    s.eventually(3, "and the alarm ends", lambda: number("ns1", "dadns_writer_dead_zones") == 0)
    fresh = f"fresh-{RUN}.example"
    s.ok("a bad zone that is new", push(fresh, zone_text(fresh, 1) + CROWD) == "ok")
    s.eventually(5, "waits in Redis", lambda: waits("ns1", fresh) and waits("ns2", fresh))
    s.ok("is deleted", story.delete(fresh) == "ok")
    s.eventually(5, "by all", lambda: others_serve(fresh, "REFUSED", story.SERVERS))
    s.eventually(2, "and its entries with it", lambda: gone(("ns1", fresh), ("ns2", fresh)))


def wiped(s):
    """Redis loses everything while a zone waits: ns1's writer lives, ns2's is dead."""
    zone = f"wiped-{RUN}.example"
    s.ok("a bad zone", push(zone, zone_text(zone, 1) + CROWD) == "ok")
    s.eventually(5, "waits in Redis", lambda: waits("ns1", zone) and waits("ns2", zone))
    story.kill("writer-ns2")
    redis("FLUSHALL")
    story.stack("start", "writer-ns2", args=f"{EXPELLED} --writer.retry_delays={DELAYS}")
    for ns, how in (("ns1", "lives"), ("ns2", "was dead")):
        s.eventually(60, f"Redis is wiped while {ns}'s writer {how}: it is tried to the end all the same", lambda: is_now(ns, zone, "dead"), every=0.3)
        tried = [status["attempt"] for status in statuses(ns, zone) if status["state"] == "retrying"]
        s.ok("no try was left out", set(tried) == set(range(1, TRIES + 1)), tried)
        s.ok("and given up once", sum(h["dlq.backend"] == ns for _, h, _ in letters(zone)) == 1)
    story.delete(zone)
    s.eventually(10, "deleted, it is forgotten", lambda: gone(("ns1", zone), ("ns2", zone)))


def killed(s, backend, bad, *marks):
    """The writer dies at each of its steps with a zone that this backend refuses."""
    writer = f"writer-{backend}"
    for mark in marks:
        zone = f"{mark.replace('.', '-').replace('_', '-')}-{RUN}.example"
        restart(writer, args=f"{EXPELLED} --writer.retry_delays={QUICK}", abort_at=mark)
        s.ok(f"a bad zone for {backend}'s writer, which will die at {mark}", push(zone, zone_text(zone, 1) + bad) == "ok")
        s.eventually(40, f"it dies at {mark}", lambda: not story.alive(writer), every=0.1)
        story.stack("start", writer, args=f"{EXPELLED} --writer.retry_delays={QUICK}")
        s.eventually(60, "its successor comes to the end", lambda: is_now(backend, zone, "dead"), every=0.3)
        tried = [status["attempt"] for status in statuses(backend, zone) if status["state"] == "retrying"]
        count = sum(h["dlq.backend"] == backend for _, h, _ in letters(zone))
        s.ok(f"with all its tries {tried} and {count} letters", set(tried) == set(range(1, TRIES + 1)) and
             1 <= count <= (2 if mark == "writer.letter_acked" else 1))
        story.delete(zone)
        s.eventually(10, "deleted, it is forgotten", lambda: gone((backend, zone)))
    restart(writer, args=f"{EXPELLED} --writer.retry_delays={DELAYS}")


def two_killed(s):
    """What was taken by one that died is due again after 15 s: meanwhile another one dies."""
    marks = {"ns1": (CROWD, "writer.retry_saved", "writer.letter_acked"), "dc2": (LUA, "writer.retry_taken")}
    story.at_once(lambda backend: killed(s, backend, *marks[backend]), marks)


def by_hand(s):
    """now and drop, with a schedule that nobody would live to see; cured without a push."""
    restart("writer-dc2", args="--writer.retry_delays=10m,10m")
    long, odd = f"long-{RUN}.example", f"odd-{RUN}.example"
    s.ok("two zones that PowerDNS's tables cannot hold", push(long, zone_text(long, 1) + LONG) == "ok" and
         push(odd, zone_text(odd, 1) + LUA) == "ok")
    for zone in (long, odd):
        s.eventually(5, f"{zone} is served by the others", lambda: others_serve(zone, 1, ("ns1", "ns2", "dc1")))
        s.eventually(5, "and waits for dc2", lambda: waits("dc2", zone))
    story.sql("dc2", "ALTER TABLE records MODIFY content MEDIUMTEXT")
    s.finally_do(lambda: story.sql("dc2", "ALTER TABLE records MODIFY content VARCHAR(64000) DEFAULT NULL"))
    time.sleep(1)
    s.ok("the table is widened; nothing is tried yet", state("dc2", long)[:2] == ("retrying", 1), state("dc2", long))
    began = time.monotonic()
    code, out, err = dadns("retry", "now", long)
    s.ok("retry now", code == 0 and long in out, (code, out, err))
    s.eventually(10, "it is tried and served", lambda: others_serve(long, 1, ("dc2",)))
    s.note(f"after {time.monotonic() - began:.1f} s")
    s.eventually(2, "and does not wait any more", lambda: gone(("dc2", long)))
    code, out, err = dadns("retry", "now", "--all", "--backend", "dc2")
    s.ok("retry now --all", code == 0 and odd in out, (code, out, err))
    s.eventually(10, "tries the other one, in vain", lambda: said("dc2", odd, ("retrying", 2, 1)))
    code, out, err = dadns("retry", "drop", odd)
    s.ok("retry drop", code == 0 and odd in out, (code, out, err))
    s.ok("it is gone", gone(("dc2", odd)) is True)
    code, out, err = dadns("retry", "now", odd)
    s.ok("there is nothing left to try", code == 1 and "no backend waits" in err, (code, out, err))
    for zone in (long, odd):
        story.delete(zone)
    s.eventually(10, "both are deleted", lambda: others_serve(long, "REFUSED", story.SERVERS))


def redis_away(s):
    zone, good = f"noredis-{RUN}.example", f"healthy-{RUN}.example"
    story.stack("kill", "redis")
    s.finally_do(lambda: story.alive("redis") or story.start("redis"))
    s.ok("Redis is killed; a bad zone and a good one are acknowledged", push(zone, zone_text(zone, 1) + CROWD) == "ok" and
         push(good, zone_text(good, 1)) == "ok")
    s.eventually(5, "the good one is served by all", lambda: others_serve(good, 1, story.SERVERS))
    s.eventually(15, "the bad one is tried again out of memory", lambda: (state("ns1", zone) or (0, 0))[1] >= 2 or state("ns1", zone))
    s.ok("its offset waits, so that nothing forgets it", lag("ns1") > 0)
    s.ok("the writer is ready", story.ready("writer-ns1"))
    code, _, err = dadns("retry", "list")
    s.ok("dadns says that Redis is away", code == 75 and "away" in err, (code, err))
    story.start("redis")
    s.eventually(60, "Redis is back: the zone comes to its end", lambda: is_now("ns1", zone, "dead"), every=0.3)
    s.eventually(30, "and its offset is stored", lambda: lag("ns1") == 0, every=0.5)
    s.eventually(5, "its mark is in Redis", lambda: entries().get(("ns1", zone), {}).get("state") == "dead")
    story.delete(zone)
    s.eventually(10, "deleted, it is forgotten", lambda: gone(("ns1", zone), ("ns2", zone)))


def database_away(s):
    """All five tries would pass meanwhile; not one is used up."""
    zones = [f"away{i}-{RUN}.example" for i in range(8)]
    odd = f"odd2-{RUN}.example"
    restart("writer-dc2", args=f"--writer.retry_delays={DELAYS}")
    s.ok("a zone that dc2 refuses", push(odd, zone_text(odd, 1) + LUA) == "ok")
    s.eventually(5, "waits", lambda: waits("dc2", odd))
    count = len(letters())
    s.finally_do(lambda: story.alive("mariadb") or story.start("mariadb"))
    story.stack("stop", "mariadb")
    s.ok("MariaDB is stopped; zones are acknowledged", all(push(zone, zone_text(zone, 1)) == "ok" for zone in zones))
    s.eventually(8, "the circuit is open", lambda: number("dc2", "dadns_writer_circuit_open") == 1)
    attempt = int(entries()[("dc2", odd)]["attempt"])
    s.eventually(5, "the name servers are not delayed", lambda: [ns for zone in zones for ns in ("ns1", "ns2") if serial(ns, zone) != 1] or True)
    time.sleep(12)
    now = int(entries()[("dc2", odd)]["attempt"])
    s.ok(f"12 s later: no try was used up, of the {TRIES - attempt} that were left", now == attempt < TRIES, (attempt, now))
    story.start("mariadb")
    began = time.monotonic()
    s.eventually(5, "MariaDB is back: all is served within 5 s", lambda: [
        (dc, zone) for zone in zones for dc in ("dc1", "dc2") if serial(dc, zone) != 1] or True)
    s.note(f"after {time.monotonic() - began:.1f} s")
    s.ok("the circuit is closed", number("dc2", "dadns_writer_circuit_open") == 0)
    s.ok("no dead letters", len(letters()) == count, letters()[count:])
    s.ok("no zone was refused", not [zone for zone in zones for dc in ("dc1", "dc2")
                                     if any(status["state"] in ("retrying", "dead") for status in statuses(dc, zone))])
    s.eventually(40, "the one that is refused for itself comes to its end", lambda: is_now("dc2", odd, "dead"),
                 every=0.3)
    story.delete([*zones, odd])
    s.eventually(10, "all are deleted", lambda: others_serve(zones[-1], "REFUSED", story.SERVERS))


with story.Story("A zone that one backend refuses is retried, given up and reported there, and served by the others at once") as s:
    for name in WRITERS:
        s.finally_do(lambda name=name: restart(name))
    for name in ("writer-ns1", "writer-ns2"):
        restart(name, args=f"{EXPELLED} --writer.retry_delays={DELAYS}")
    ZONE = f"refused-{RUN}.example"
    given_up(s, ZONE)
    stays_dead(s, ZONE)
    replaced(s, ZONE)
    wiped(s)
    two_killed(s)
    by_hand(s)
    redis_away(s)
    database_away(s)
