# SPDX-License-Identifier: Apache-2.0
"""The system as a whole: groups that change under work, deletes that stay through every way back, late copies of held
pushes, and whether one dead server is felt by the others."""
import os
import subprocess
import threading
import time

import checker
import faults
import load
import rows
import story
import topics
from rig import row


@row("F26", "members come and go while a slow apply runs", seconds=300, faults=4)
def f26(rig):
    """a lock holds the transactions of dc1 for 3 s while a second writer joins, then while it leaves; four times"""
    rig.finally_do(rig.stack, "stop", "writer-dc1-2")
    rig.load.start(rate=40)
    for i in range(4):
        with rig.nemesis(f"rebalance in a slow apply, {i + 1}") as fault:
            with rows.connect("mariadb") as holder, holder.cursor() as cursor:
                holder.begin()
                cursor.execute("SELECT value FROM dc1.dadns_meta WHERE name = 'changed' FOR UPDATE")
                time.sleep(0.5)
                if i % 2 == 0:
                    rig.start("writer-dc1-2", nowait=True)
                    rig.eventually(15, "the second writer has partitions", lambda: partitions("writer-dc1-2") > 0)
                    fault.fired(partitions("writer-dc1-2") > 0)
                else:
                    rig.kill("writer-dc1-2") if i == 3 else rig.stack("stop", "writer-dc1-2")
                    fault.fired(rig.await_exit("writer-dc1-2", 10) is not None)
                time.sleep(2.5)
                holder.rollback()
        rig.under_load(3)
    wrong = story.went_back(rig.zones, ("dc1",))
    rig.ok("no older version was applied after a newer one", not wrong, wrong[:3])


def partitions(name):
    try:
        return story.metric(name, "dadns_bus_partitions")
    except (OSError, KeyError):
        return 0


@row("deletes-stay", "push and delete back to back, 1000 times, and every way back from the dead", seconds=900, bound=90, moving=80, faults=6)
def deletes_stay(rig):
    """two owners, three replicas; then named restarted, groups set to earliest, Redis FLUSHALL, compaction forced"""
    with rig.nemesis("two replicas more") as fault:
        for name in ("ingest-2", "ingest-3"):
            rig.start(name)
            rig.finally_do(rig.stack, "stop", name)
            fault.fired(story.alive(name))
    doors = ("INGEST_URL", "INGEST_2_URL", "INGEST_3_URL")
    pairs = [0]

    def back_to_back(mine, number):
        """A zone of this worker: push, delete and push again, each as soon as the one before was answered, by another door."""
        for i in range(170):
            zone = mine[i % len(mine)]
            for op in ("push", "delete") if i % 2 else ("delete", "push"):
                rig.load.perform(op, zone, door=doors[(i + number) % 3])
            pairs[0] += 1

    def race(mine, number):
        """Two owners at once, by two doors."""
        for i in range(80):
            zone, a, b = mine[i % len(mine)], load.OWNERS[0], load.OWNERS[1]
            steps = [("push", a), ("delete", b)] if i % 3 else [("push", a), ("push", b)]
            threads = [threading.Thread(target=rig.load.perform, args=(op, zone, owner, None, doors[(i + number + j) % 3]))
                       for j, (op, owner) in enumerate(steps)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            pairs[0] += 1
    workers = [threading.Thread(target=back_to_back, args=(rig.zones[i:60:5], i)) for i in range(5)]
    workers += [threading.Thread(target=race, args=(rig.zones[60 + i::2], i)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rig.ok(f"{pairs[0]} pairs", pairs[0] >= 1000)

    def restart_named():
        for name in ("ns1", "ns2"):
            rig.stack("stop", name)
            rig.start(name)

    def read_again():
        writers = [f"writer-{backend}" for backend in story.BACKENDS]
        for name in writers:
            rig.stack("stop", name)
        rig.ok("offsets are forgotten", "successful" in story.reset_group(*(f"dadns.writer.{backend}" for backend in story.BACKENDS)))
        for name in writers:
            rig.start(name)
        rig.eventually(60, "all writers read everything again", lambda: [
            name for name in writers if story.metric(name, "dadns_writer_zones_total") < len(rig.zones)] or True)

    def flush_redis():
        host, port = story.address("REDIS_URL") if "redis://" not in os.environ["REDIS_URL"] else os.environ["REDIS_URL"][8:].split(":")
        done = subprocess.run(["redis-cli", "-h", host, "-p", str(port), "FLUSHALL"], capture_output=True, text=True, timeout=10)
        rig.ok("Redis is empty", done.stdout.strip() == "OK", done.stdout + done.stderr)

    def compact():
        with topics.quick_compaction(rig):
            rig.figure("records compacted away", topics.compact(rig, rig.zones))
            read_again()
    rig.afterwards("named restarted", restart_named, down=("ns1", "ns2"))
    rig.afterwards("groups at earliest", read_again)
    rig.afterwards("Redis FLUSHALL", flush_redis)
    rig.afterwards("compaction and groups at earliest", compact)


# ---- late copies of held pushes ------------------------------------------------------------------------------------------

def redis(*words):
    host, _, port = os.environ["REDIS_URL"].removeprefix("redis://").partition(":")
    done = subprocess.run(["redis-cli", "--raw", "-h", host, "-p", port, *words], capture_output=True, timeout=10)
    return done.stdout


def held_copy(zone):
    """(headers, value) of the zone's first held push, byte for byte, or None."""
    text = redis("LINDEX", f"dadns:hold:zone:{zone}", "0")
    if not text.strip():
        return None
    head, _, value = text.partition(b"\n\n")
    headers = [line.split(b": ", 1) for line in head.split(b"\n")[1:]]
    return [(name.decode(), text_.decode()) for name, text_ in headers], value.rstrip(b"\n")


def append(zone, copy):
    """What the door had sent before it held it reaches the log after all."""
    headers, value = copy
    words = [word for name, text in headers for word in ("-H", f"{name}={text}")]
    story.kcat("-P", "-t", "dadns.pushes", "-k", zone, "-X", "partitioner=murmur2_random", *words, stdin=value)


@row("late-copies", "a held push reaches the log twice, before its drain and after what came behind it", faults=4, seconds=300, bound=90)
def late_copies(rig):
    """pushes are held while the broker is frozen; their bytes are appended by kcat too, before the drain, after it, and last"""
    first, second = rig.zones[:6], rig.zones[6:12]
    with rig.nemesis("the broker is frozen, pushes are held") as fault:
        rig.stack("pause", "kafka")
        try:
            answers = rig.load.each("push", first + second, workers=12)
            kept = {zone: copy for zone in first + second for copy in [held_copy(zone)] if copy}
            rig.note(f"{sum(result == 'ok' for result, _, _ in answers.values())} acknowledged, {len(kept)} of them held")
            fault.fired(len(kept) >= 8)
            later = rig.load.each("push", second, workers=6)  # joins the held ones
            rig.ok("what comes behind a held push is acknowledged too", all(result == "ok" for result, _, _ in later.values()), later)
        finally:
            rig.stack("cont", "kafka")
    with rig.nemesis("their first copies come late, before or in the drain") as fault:
        for zone in first:
            append(zone, kept[zone]) if zone in kept else None
        fault.fired()
    rig.eventually(30, "nothing is held any more", lambda: story.metric("ingest", "dadns_hold_records") == 0 or
                   story.metric("ingest", "dadns_hold_records"))
    with rig.nemesis("and behind the drain, and behind what came after it") as fault:
        for zone in second:
            append(zone, kept[zone]) if zone in kept else None
        rig.load.each("push", second[:3])
        rig.load.each("delete", second[3:])
        for zone in second:
            append(zone, kept[zone]) if zone in kept else None
        fault.fired()
    with rig.nemesis("and once more, much later") as fault:
        time.sleep(2)
        rig.load.each("push", first[:3])
        for zone in first:
            append(zone, kept[zone]) if zone in kept else None
        fault.fired()
    time.sleep(1)
    copies = [push for push in rig.history.events if push["e"] == "push" and push["reader"] == "live"]
    twice = len(copies) - len({push["id"] for push in copies})
    rig.figure("late copies in the log", twice)
    rig.ok("copies were in the log, under the same ids", twice >= 18, twice)


# ---- one dead server is not felt by the others ---------------------------------------------------------------------------

@row("named-frozen", "named frozen 60 s: are the others served as fast?", seconds=1500, faults=5, still=4, moving=60, bound=120)
def named_frozen(rig):
    """SIGSTOP to ns1 for 60 s, five times by turns with 30 s as usual; p99 from push to served of ns2, dc1, dc2"""
    usual, frozen = 30, 60
    rig.load.start(rate=25, deletes=0.05, intruders=0, asks=0)
    time.sleep(5)

    def p99(since):
        lags = [lag for when, backend, _, lag in list(rig.live.lags) if when > since and backend != "ns1" and lag is not None]
        return checker.percentile(lags, 0.99), len(lags)
    ratios, figures = [], []
    for i in range(5):
        since = rig.history.now()
        time.sleep(usual)
        normal, count = p99(since)
        with rig.nemesis(f"ns1 is frozen, {i + 1}", alarms=("ns1 away",), down=("ns1",)) as fault:
            rig.stack("pause", "ns1")
            fault.fired()
            since = rig.history.now()
            try:
                time.sleep(frozen)
                slow, more = p99(since)
            finally:
                rig.stack("cont", "ns1")
        rig.ok("both were measured", min(count, more) > 300, (count, more))
        ratios.append(slow / normal)
        figures.append(f"{normal:.0f} ms: {slow:.0f} ms")
        rig.eventually(60, "ns1 has caught up", lambda: story.metric("writer-ns1", "dadns_writer_waiting_zones") == 0)
        time.sleep(5)
    rig.figure("p99 of the others, usual and frozen", ", ".join(figures))
    rig.figure("median ratio", f"{sorted(ratios)[2]:.2f}")
    rig.ok("median of five: at most 1.5 times as usual", sorted(ratios)[2] <= 1.5, ratios)


@row("mariadb-away", "MariaDB away for longer than all five tries of a zone would take", seconds=300, bound=5)
def mariadb_away(rig):
    """writer.retry_delays=1s five times; SIGKILL to MariaDB for 20 s under load: a whole backend's absence uses up nobody's tries"""
    for name in ("writer-dc1", "writer-dc2"):
        faults.started_again(rig, name, args="--writer.retry_delays=1s,1s,1s,1s,1s")
    letters = sum(story.end_offsets("dadns.dead-letters").values())
    rig.load.start(rate=30)
    with rig.nemesis("MariaDB is away", alarms=("dc1 away", "dc2 away"), down=("dc2",)) as fault:
        rig.kill("mariadb")
        fault.fired(rig.await_exit("mariadb", 10) == 137)
        rig.under_load(20, least=200)
        rig.load.stop()
        rig.start("mariadb")
    rig.eventually(20, "both writers found it again", lambda: all(map(story.ready, ("writer-dc1", "writer-dc2"))))
    rig.ok("nobody's tries were used up", sum(story.end_offsets("dadns.dead-letters").values()) == letters)
