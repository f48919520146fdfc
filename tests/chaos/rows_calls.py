# SPDX-License-Identifier: Apache-2.0
"""Calls that fail: files, memory, threads, descriptors, and a clock that jumps. All by the shim (shim.c)."""
import calendar
import itertools
import json
import os
import shutil
import socket
import time

import faults
import images
import story
from faults import wait_for
from rig import row
from rows_bind import complete


def snapshot(folder):
    found = {}
    for name in os.listdir(folder):
        try:
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
        except FileNotFoundError:
            pass  # the writer works on
    return found


def head_of(data):
    return dict(word.partition("=")[::2] for word in data.partition(b"\n")[0].decode("utf-8", "replace").split() if "=" in word)


def ahead(files, values):
    """Zones of which a file is older than the position beside it claims. `values`: (zone, partition, offset, version)."""
    text = files.get(".positions")
    lines = (text or b"").decode("utf-8", "replace").splitlines()
    if len(lines) < 2 or not lines[-1].startswith("end"):
        return []  # unreadable: from the start
    position = {int(line.split()[0]): int(line.split()[1]) for line in lines[1:-1]}
    has = {}
    for name, data in files.items():
        if name.endswith(".zone") and data:
            head = head_of(data)
            has[head.get("zone")] = tuple(map(int, head["version"].split("-")))
    return [zone for zone, partition, offset, version in values if offset < position.get(partition, 0) and has.get(zone, (0, 0)) < version]


@row("F48", "fsync or rename fails, or power is cut", seconds=400)
def f48(rig):
    """EIO, ENOSPC, half writes and SIGKILL at each file call of writer-ns1; then every image that a power loss could leave"""
    folder = faults.zones_dir("ns1")
    trace = f"{story.STACK_DIR}/ns1.trace"
    shim = faults.Shim(rig, "writer-ns1")
    rig.load.start(rate=40)
    for fault_rule in ("fsync@/zones:1:EIO", "fsync@/zones:2-4:EIO", "rename@.zone:1:EIO", "rename@.zone:2-3:ENOSPC", "rename@.prev:1:EIO",
                       "rename@.positions:1:EIO", "write@/zones/:1:EIO", "write@/zones/:1-8:short", "write@/zones/:3:ENOSPC",
                       "open@/zones/:1:EMFILE", "truncate@/zones/:1:EIO", "unlink@/zones/:1:EIO"):
        must = not fault_rule.startswith(("unlink", "rename@.prev"))  # those are not made in every batch
        with rig.nemesis(f"writer-ns1: {fault_rule}") as fault:
            before = len(shim.fired())
            shim.rules(fault_rule)
            fired = wait_for(20 if must else 1, lambda: len(shim.fired()) > before)
            if fired or must:
                fault.fired(fired)
            else:
                fault.fired(True)
            time.sleep(0.3)
            shim.rules("")
        rig.eventually(30, f"{fault_rule}: the writer goes on", lambda: story.alive("writer-ns1") and story.ready("writer-ns1"))
    for fault_rule in ("write@/zones/:2:kill", "fsync@/zones:1:kill", "rename@.zone:1:kill", "rename@.zone:2:kill", "rename@.positions:1:kill"):
        with rig.nemesis(f"writer-ns1: {fault_rule}") as fault:
            shim.rules(fault_rule)
            fault.fired(rig.await_exit("writer-ns1", 15) == 137)
            shim.rules("")
            shim.start()
    rig.load.stop()
    wrong = [name for name, data in snapshot(folder).items() if name.endswith(".zone") and not complete(data.decode())]
    rig.ok("all zone files are whole", not wrong, wrong[:3])

    # ---- power loss
    if os.path.exists(trace):
        os.unlink(trace)
    with rig.nemesis("the trace begins") as fault:
        rig.stack("stop", "writer-ns1")
        before = snapshot(folder)
        rig.start("writer-ns1", env=f"LD_PRELOAD={shim.library} FAULT_TRACE={trace} FAULT_TRACE_BELOW={folder}")
        rig.load.start(rate=60)
        time.sleep(4)
        rig.load.stop()
        time.sleep(1)
        rig.stack("stop", "writer-ns1")
        fault.fired(os.path.getsize(trace) > 10000)
    values = []
    for key, partition, offset, text in story.records("dadns.zones"):
        if text and not key.startswith("@"):
            try:
                values.append((key, partition, offset, story.version_of(json.loads(text))))
            except (ValueError, KeyError):
                pass  # another row's poison
    known, torn, late, count, kept = {}, [], [], 0, None
    for files in images.crashes(trace, folder, before):
        count += 1
        for name, data in files.items():
            if name.endswith(".zone"):
                right = known.get((name, data))
                if right is None:
                    right = known[name, data] = data is not None and complete(data.decode("utf-8", "replace"))
                if not right:
                    torn.append(name)
        if count % 20 == 0:
            late += ahead(files, values)
            if count <= 600:
                kept = files
    rig.figure("images of a power loss", f"{count}, {len(torn)} with a torn zone, {len(late)} with a position ahead of its files")
    rig.ok("enough images were looked at", count > 200, count)
    rig.ok("old or new, never torn or missing", not torn, torn[:3])
    rig.ok("no position is ahead of its files", not late, late[:3])
    with rig.restored("ns1"), rig.nemesis("everything starts from one of them", down=("ns1",)) as fault:
        rig.stack("stop", "ns1")
        shutil.rmtree(folder)
        os.mkdir(folder)
        for name, data in kept.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data or b"")
        fault.fired(len(kept) > 10)
        rig.start("ns1")
        rig.start("writer-ns1")
        rig.eventually(45, "the writer is ready", lambda: story.ready("writer-ns1"))
        rig.eventually(45, "and ns1 is as the log says", lambda: [
            zone for zone in rig.all_zones if story.serial("ns1", zone) != (rig.live.wanted(zone) or "REFUSED")] == [])


@row("F55", "clock jumps by an hour")
def f55(rig):
    """the time of day of ingest, of named and its writer, of writer-dc1 goes an hour ahead, then an hour back; then of writer-ns1 alone"""
    zone = f"clock-{story.RUN}.example"
    rig.load.start(rate=40)
    numbers = itertools.count(1)

    def pushed(what):
        n = next(numbers)
        rig.ok(f"{what}: a push is acknowledged", story.push(zone, story.zone_text(zone, n)) == "ok")
        return n

    def served(n, servers=("ns1", "ns2", "dc1")):
        for server in servers:
            rig.eventually(30, f"{server} serves it", lambda: story.serial(server, zone) == n or story.serial(server, zone))
    for host in (("ingest",), ("ns1", "writer-ns1"), ("writer-dc1",)):  # named refuses whose clock is not its own
        name, shims = host[-1], [faults.Shim(rig, member) for member in host]
        for jump in ("+3600", "-3600"):
            with rig.nemesis(f"{name}'s clock jumps {jump} s") as fault:
                for shim in shims:
                    shim.rules(f"clock:{jump}")
                served(pushed(jump))
                fault.fired(jumped(name, time.time() + int(jump), zone))
                rig.under_load(1)
                for shim in shims:
                    shim.rules("")
            served(pushed("the clock is right"))
        rig.ok(f"{name} did not end", story.alive(name))
        if name == "writer-ns1":
            with rig.nemesis("writer-ns1's clock is not named's", alarms=("ns1 away",), down=("ns1",)) as fault:
                shims[-1].rules("clock:+3600")
                shims[0].out()
                n = pushed("another clock")
                fault.fired(wait_for(30, lambda: not story.ready(name)))
                rig.eventually(30, "the text names the clocks", lambda: "clocks" in faults.unready_why(name) or faults.unready_why(name))
                served(n, ("ns2", "dc1"))
                shims[-1].rules("")
            served(n)


def jumped(name, wish, zone):
    """Its own log lines have that time."""
    def last():
        with open(story.log_path(name)) as file:
            stamps = [json.loads(line)["ts"][:19] for line in file.read().splitlines()[-5:] if line.startswith('{"ts"')]
        return any(abs(calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S")) - wish) < 60 for stamp in stamps)

    def said():
        """Not all log something just then: their records tell the time too."""
        if name == "ingest":
            found = [json.loads(text)["received_at"] for _, _, _, text in story.records("dadns.pushes", {zone})]
        else:
            found = [json.loads(text)["at"] for _, _, _, text in story.records("dadns.status", {f"{name.removeprefix('writer-')}/{zone}"}) if text]
        return any(abs(calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - wish) < 60 for stamp in found[-3:])
    return bool(wait_for(30, lambda: said() or last(), every=0.3))


@row("F56", "no memory, no threads, no descriptors", seconds=400)
def f56(rig):
    """malloc fails once, at one of many places, in each of three programs; a thread; ingest with room for 96 descriptors"""
    died = 0
    for name in ("ingest", "writer-ns1", "writer-dc1"):
        shim = faults.Shim(rig, name)
        rig.load.start(rate=40, patience=6)
        for number in (1, 7, 50, 333, 2000, 4001):
            with rig.nemesis(f"{name}: malloc {number} fails") as fault:
                before = len(shim.fired())
                shim.rules(f"malloc:{number}:ENOMEM")
                fault.fired(wait_for(30, lambda: len(shim.fired()) > before))
                time.sleep(0.3)
                shim.rules("")
                if not story.alive(name):
                    died += 1
                    shim.start()
            rig.eventually(45, f"{name} works", lambda: story.ready(name) or faults.unready_why(name))
        rig.load.stop()
        with rig.nemesis(f"{name}: its first thread is refused") as fault:
            rig.stack("stop", name)
            shim.rules("thread:1:EAGAIN")
            shim.start(nowait=True)
            fault.fired(wait_for(30, lambda: any(call == "thread" for call, *_ in shim.fired())))
            code = rig.await_exit(name, 5)
            rig.ok("it ends, or does without", code != 0, code)
            shim.rules("")
            if code is not None:
                shim.start()
            rig.eventually(45, "and works again", lambda: story.ready(name) or faults.unready_why(name))
    rig.figure("ended by a failed malloc", f"{died} of 18, and came back")

    with rig.nemesis("ingest has 96 descriptors") as fault:
        rig.stack("stop", "ingest")
        rig.start("ingest", env="prlimit --nofile=96", args="--app.connections=2000 --app.connections_per_address=2000", nowait=True)
        ready = wait_for(30, lambda: story.ready("ingest"))
        conns = []
        if ready:
            for _ in range(200):
                try:
                    conns.append(socket.create_connection(story.address("INGEST_URL"), timeout=1))
                except OSError:
                    break
            time.sleep(0.5)
            used = len(os.listdir(f"/proc/{story.pid_of('ingest')}/fd"))
            fault.fired(used >= 90)
            result, _, said = rig.push(rig.zones[0], patience=3)
            rig.ok("no push is acknowledged that was not read", result in ("ok", "fail", "info"), said)
            rig.ok("it is alive", story.alive("ingest"))
            for conn in conns:
                conn.close()
            rig.eventually(45, "room again: a push is acknowledged without a restart", lambda: rig.push(rig.zones[1], patience=3)[0] == "ok")
        else:
            code = rig.await_exit("ingest", 5)
            fault.fired(code not in (None, 0))
            rig.note(f"it refuses to start: {story.log_since('ingest', max(0, story.log_size('ingest') - 400))}")
    rig.finally_do(lambda: (story.stack("stop", "ingest", check=False), story.start("ingest")))
    faults.restart(rig, "ingest")
    rig.load.start(rate=30)
    rig.under_load(2)
