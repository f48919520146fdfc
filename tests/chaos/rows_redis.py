# SPDX-License-Identifier: Apache-2.0
"""Faults of Redis, in which the schedule of refused zones lies (I12: lost means later, never lost)."""
import os
import re
import shutil
import subprocess
import time

import faults
import story
from faults import wait_for
from rig import row

DELAYS = "2s,4s,8s,10s,20s"
BACKENDS = ("ns1", "ns2")


def redis(*words):
    port = os.environ["REDIS_URL"].rpartition(":")[2]
    done = subprocess.run(["redis-cli", "-p", port, *words], capture_output=True, text=True, timeout=10)
    return done.stdout.strip()


def scheduled(backend):
    """zone -> entry, of all partitions."""
    found = {}
    for key in redis("--raw", "KEYS", f"dadns:retry:{backend}:*").split():
        if re.fullmatch(rf"dadns:retry:{backend}:\d+", key):
            words = redis("--raw", "HGETALL", key).splitlines()
            found.update(zip(words[::2], words[1::2]))
    return found


def begin(rig, count):
    """Quick schedules, and `count` zones that both named have in version 1."""
    for backend in BACKENDS:
        faults.started_again(rig, f"writer-{backend}", args=f"--writer.retry_delays={DELAYS}")
    zones = [f"{rig.row.name.lower()}-crowd{i}-{story.RUN}.example" for i in range(count)]
    for zone in zones:
        rig.ok("pushed", rig.push(zone)[0] == "ok")
    rig.eventually(15, "and served", lambda: [zone for zone in zones for server in BACKENDS if story.serial(server, zone) != 1] == [])
    return zones


def crowd(rig, zones, recorded=True):
    for zone in zones:
        faults.push_crowded(rig, zone)
    for backend in BACKENDS if recorded else ():
        rig.eventually(20, f"{backend}: all of them are in the schedule", lambda: set(zones) <= set(scheduled(backend)) or sorted(scheduled(backend)))


def cure(rig):
    """Both named take crowds from now on, until the row ends. Nobody pushes for it."""
    def put(path, text):
        with open(path, "w") as file:
            file.write(text)
    with rig.nemesis("named takes crowds, and is started again", down=BACKENDS) as fault:
        for backend in BACKENDS:
            path = f"{story.STACK_DIR}/{backend}/named.conf"
            with open(path) as file:
                before = file.read()
            rig.finally_do(lambda path=path, before=before, name=backend: (
                put(path, before), story.stack("stop", name), story.start(name)))
            put(path, before.replace("allow-new-zones yes;", "allow-new-zones yes;\n\tmax-records-per-type 0;"))
            rig.stack("stop", backend)
            rig.start(backend)
        fault.fired()


def end(rig, wanted, seconds=60):
    """What each of the zones must come to, by the schedule alone; and that nothing of it is left."""
    began = time.monotonic()
    for backend in BACKENDS:
        def wrong():
            return [(zone, got) for zone, n in wanted.items() for got in [story.serial(backend, zone)] if got != n]
        rig.eventually(seconds, f"{backend}: each zone is what it should be", lambda: wrong() == [] or wrong()[:3])
    rig.figure("cured by the schedule after", f"{time.monotonic() - began:.1f} s")
    for backend in BACKENDS:
        rig.eventually(20, f"{backend}: nothing is left in the schedule", lambda: set(scheduled(backend)) & set(wanted) == set()
                       or sorted(set(scheduled(backend)) & set(wanted)))
        rig.eventually(20, f"{backend}: and nothing is put aside", lambda: story.metric(f"writer-{backend}", "dadns_writer_aside_zones") == 0
                       or (story.metric(f"writer-{backend}", "dadns_writer_aside_zones"), sorted(scheduled(backend))))


def redis_again(rig, change=lambda folder: None):
    """kill -9; `change` may do something to its files; then it is started again."""
    rig.kill("redis")
    rig.await_exit("redis", 5)
    change(f"{story.STACK_DIR}/redis")
    rig.start("redis")


def wipe(folder):
    for name in os.listdir(folder):
        if name != "redis.conf":
            path = os.path.join(folder, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


@row("F24", "writer killed between the Redis write and the offset commit")
def f24(rig):
    """SIGKILL as soon as Redis has the entry, and at writer.retry_saved; five zones that named refuses"""
    zones = begin(rig, 5)
    rig.load.start(rate=30)
    args = f"--writer.retry_delays={DELAYS} --kafka.session.timeout.ms=1000 --kafka.heartbeat.interval.ms=250"
    n = 1
    for count in (1, 2):
        with rig.nemesis(f"writer-ns1 dies at writer.retry_saved:{count}") as fault:
            n += 1
            rig.kill("writer-ns1")
            rig.await_exit("writer-ns1", 5)
            crowd(rig, zones, recorded=False)
            position = story.log_size("writer-ns1")
            rig.start("writer-ns1", abort_at=f"writer.retry_saved:{count}", args=args)
            fault.fired(rig.await_exit("writer-ns1", 20) == 137 and faults.log_has("writer-ns1", position, "abort mark .* reached")
                        and set(scheduled("ns1")) & set(zones))
        rig.start("writer-ns1", args=args)
        rig.eventually(20, "all of them are in the schedule, once", lambda: set(zones) <= set(scheduled("ns1")) or sorted(scheduled("ns1")))
    cure(rig)
    end(rig, {zone: n for zone in zones})


@row("F29", "Redis killed, empty restart")
def f29(rig):
    """kill -9, its files removed, started again while twelve refused zones wait"""
    zones = begin(rig, 12)
    rig.load.start(rate=30)
    crowd(rig, zones)
    with rig.nemesis("Redis is killed and empty") as fault:
        redis_again(rig, wipe)
        fault.fired(not set(scheduled("ns1")) & set(zones) or len(scheduled("ns1")) <= len(zones))
    rig.under_load(1)
    cure(rig)
    end(rig, {zone: 2 for zone in zones})


@row("F30", "Redis frozen")
def f30(rig):
    """SIGSTOP for 12 s; zones are refused meanwhile, and writer-ns1 is killed in the middle of it"""
    zones = begin(rig, 12)
    rig.load.start(rate=30)
    crowd(rig, zones[:6])
    rig.finally_do(lambda: story.stack("cont", "redis", check=False))
    with rig.nemesis("Redis is frozen") as fault:
        rig.stack("pause", "redis")
        began = time.monotonic()
        for zone in zones[6:]:
            faults.push_crowded(rig, zone)
        rig.under_load(4, least=40)
        good = rig.zones[1]
        _, n, _ = rig.push(good)
        rig.ok("healthy zones are not delayed by it", wait_for(5, lambda: story.serial("ns1", good) != "TIMEOUT" and story.serial("ns1", good) >= n))
        rig.kill("writer-ns1")
        rig.await_exit("writer-ns1", 5)
        rig.start("writer-ns1", args=f"--writer.retry_delays={DELAYS}", nowait=True)
        time.sleep(max(0.0, 12 - (time.monotonic() - began)))
        fault.fired(time.monotonic() - began >= 12)
        rig.stack("cont", "redis")
    for backend in BACKENDS:
        rig.eventually(30, f"{backend}: those that were refused meanwhile are in the schedule too",
                       lambda: set(zones) <= set(scheduled(backend)) or sorted(set(zones) - set(scheduled(backend))))
    cure(rig)
    end(rig, {zone: 2 for zone in zones})


@row("F31", "Redis out of memory")
def f31(rig):
    """maxmemory 1 byte, noeviction, for 8 s, while zones are refused"""
    zones = begin(rig, 8)
    rig.load.start(rate=30)
    rig.finally_do(redis, "CONFIG", "SET", "maxmemory", "0")
    with rig.nemesis("Redis takes no more") as fault:
        redis("CONFIG", "SET", "maxmemory", "1")
        fault.fired("OOM" in redis("SET", "dadns:test", "x"))
        crowd(rig, zones, recorded=False)
        rig.under_load(6, least=60)
        redis("CONFIG", "SET", "maxmemory", "0")
    for backend in BACKENDS:
        rig.eventually(30, f"{backend}: then they are in the schedule", lambda: set(zones) <= set(scheduled(backend)) or sorted(scheduled(backend)))
    cure(rig)
    end(rig, {zone: 2 for zone in zones})


@row("F32", "Redis evicts")
def f32(rig):
    """maxmemory-policy allkeys-lru: what the preflight says; then all keys of a refused zone are gone, as if evicted"""
    zones = begin(rig, 6)
    rig.load.start(rate=30)
    crowd(rig, zones)
    rig.finally_do(redis, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    with rig.nemesis("Redis may evict") as fault:
        redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        done = subprocess.run([f"{story.BIN}/dadns", "doctor", "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True, text=True, timeout=60)
        said = done.stdout + done.stderr
        rig.ok("dadns doctor names the policy", "allkeys-lru" in said or "maxmemory-policy" in said, said[-600:])
        evicted = redis("--raw", "KEYS", "dadns:retry:*").split()
        redis("DEL", *evicted)
        fault.fired(len(evicted) > 0)
        redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
    cure(rig)
    end(rig, {zone: 2 for zone in zones})


@row("F33", "Redis returns an old snapshot")
def f33(rig):
    """its files from before newer pushes and deletes are put back"""
    zones = begin(rig, 12)
    rig.load.start(rate=30)
    crowd(rig, zones)
    old = f"{story.STACK_DIR}/redis-old"
    shutil.rmtree(old, ignore_errors=True)
    rig.finally_do(shutil.rmtree, old, True)
    redis("BGREWRITEAOF")
    wait_for(5, lambda: "aof_rewrite_in_progress:0" in redis("INFO", "persistence"))
    shutil.copytree(f"{story.STACK_DIR}/redis", old)
    wanted = {}
    for i, zone in enumerate(zones):
        if i % 3 == 0:
            rig.ok("a good version is acknowledged", rig.push(zone)[0] == "ok")
        elif i % 3 == 1:
            rig.ok("a delete is acknowledged", rig.delete(zone)[0] == "ok")
        wanted[zone] = (3, "REFUSED", 2)[i % 3]
    rig.eventually(15, "those are done", lambda: [zone for zone, n in wanted.items() if n != 2 for server in BACKENDS
                                                  if story.serial(server, zone) != n] == [])
    rig.eventually(15, "and out of the schedule", lambda: not [zone for zone, n in wanted.items() if n != 2 and zone in scheduled("ns1")])

    def put_back(folder):
        wipe(folder)
        for name in os.listdir(old):
            if name != "redis.conf":
                path = os.path.join(old, name)
                shutil.copytree(path, os.path.join(folder, name)) if os.path.isdir(path) else shutil.copy2(path, folder)
    with rig.nemesis("Redis is as it was before") as fault:
        redis_again(rig, put_back)
        fault.fired(set(zones) <= set(scheduled("ns1")))
    cure(rig)
    end(rig, wanted)
    time.sleep(3)
    back = [(server, zone, story.serial(server, zone)) for zone, n in wanted.items() for server in BACKENDS if story.serial(server, zone) != n]
    rig.ok("nothing older ever came back", not back, back[:3])
