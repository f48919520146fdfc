# SPDX-License-Identifier: Apache-2.0
"""Faults of ingest, of what is sent to it, and of the topics that it finds."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import faults
import proxy
import story
from faults import wait_for
from rig import left_out, row
from same_partition import partition

QUICK = "--kafka.session.timeout.ms=1000 --kafka.heartbeat.interval.ms=250"
FATAL = 45  # OUT_OF_ORDER_SEQUENCE_NUMBER


def at_once(rig, zones, patience=15):
    """Each zone is pushed by a thread of its own; the threads, and where their answers will be."""
    found = {}
    threads = [threading.Thread(target=lambda zone=zone: found.update({zone: rig.push(zone, patience=patience)}), daemon=True)
               for zone in zones]
    for thread in threads:
        thread.start()
    return threads, found


def finish(threads, seconds=30):
    for thread in threads:
        thread.join(seconds)


def in_flight():
    return int(story.metric("ingest", "dadns_door_pushes_in_flight"))


@row("F01", "ingest killed before it produces")
def f01(rig):
    """SIGKILL at door.parsed and at door.sent, at the first and at the fifth push"""
    faults.started_again(rig, "ingest", args=QUICK)
    rig.load.start(rate=40, patience=8)
    for mark in ("door.parsed:1", "door.parsed:5", "door.sent:1", "door.sent:5"):
        with rig.nemesis(f"ingest dies at {mark}") as fault:
            if story.alive("ingest"):
                rig.kill("ingest")
                rig.await_exit("ingest", 5)
            position = story.log_size("ingest")
            rig.start("ingest", abort_at=mark, args=QUICK)
            fault.fired(rig.await_exit("ingest", 20) == 137 and faults.log_has("ingest", position, "abort mark .* reached"))
    rig.start("ingest", args=QUICK)
    before = rig.load.acked
    rig.eventually(45, "pushes are acknowledged again", lambda: rig.load.acked > before)


@row("F03", "ingest ends with 100 requests in flight")
def f03(rig):
    """SIGTERM while Kafka is frozen and 100 pushes wait for it; Kafka goes on a second later"""
    zones = rig.more_zones(100)
    rig.finally_do(lambda: story.stack("cont", "kafka", check=False))
    with rig.nemesis("TERM with 100 in flight") as fault:
        rig.stack("pause", "kafka")
        threads, found = at_once(rig, zones)
        fault.fired(wait_for(3, lambda: in_flight() == 100))
        os.kill(story.pid_of("ingest"), signal.SIGTERM)
        time.sleep(0.7)
        early = len(found)
        rig.stack("cont", "kafka")
        finish(threads)
        code = rig.await_exit("ingest", 20)
        rig.ok("nobody was answered before Kafka was", early == 0, list(found.values())[:3])
        answers = [result for result, _, _ in found.values()]
        rig.ok("every started request got a true answer", len(answers) == 100 and "info" not in answers, [
            one for one in found.values() if one[0] == "info"][:3])
        rig.ok("which is that it was taken", answers.count("ok") == 100, list(found.values())[:3])
        rig.ok("exit code 0", code == 0, code)
        rig.start("ingest")
    rig.load.start(rate=30)
    rig.under_load(2)


@row("F04", "ingest frozen, then goes on")
def f04(rig):
    """SIGSTOP for 20 s; clients give up after 4 s; then SIGCONT"""
    rig.load.start(rate=40, patience=4)
    rig.under_load(2)
    rig.finally_do(lambda: story.stack("cont", "ingest", check=False))
    with rig.nemesis("ingest is frozen", alarms=("ingest not ready",)) as fault:
        rig.stack("pause", "ingest")
        acked = rig.load.acked
        time.sleep(5)
        middle = rig.load.acked
        time.sleep(15)
        fault.fired(rig.load.acked == middle and middle - acked <= 4)
        rig.stack("cont", "ingest")
    before = rig.load.acked
    rig.eventually(45, "pushes are acknowledged again", lambda: rig.load.acked > before)


@row("F11", "fatal producer error", seconds=400)
def f11(rig):
    """a proxy turns answers to Produce into OUT_OF_ORDER_SEQUENCE_NUMBER, for ingest and then for a writer"""
    between = faults.kafka_hop(rig, "ingest", "writer-ns1")
    for name, client in (("ingest", "ingest"), ("writer-ns1", "ns1")):
        rig.load.start(rate=30, patience=8)
        rig.under_load(2)
        with rig.nemesis(f"{name}'s producer ends up in a fatal error") as fault:
            position = story.log_size(name)
            errors = proxy.ProduceErrors(client, FATAL, 1000)
            between.alter(errors)
            code = rig.await_exit(name, 30)
            fault.fired(errors.times < 1000)
            between.go()
            rig.ok(f"{name} ends with a code and a text, to be started again", code not in (None, 0) and faults.log_has(
                name, position, "fatal|out of order sequence"), (code, story.log_since(name, position)[-600:]))
            if not story.alive(name):
                rig.start(name, args=f"--kafka.brokers=127.0.0.1:{between.port}")
        rig.eventually(45, f"{name} is ready", lambda: story.ready(name) or faults.unready_why(name))
        rig.under_load(2)
        rig.load.stop()


@row("F13", "zone bigger than a record may be")
def f13(rig):
    """a zone of 2 MB, and one that is just too big once it is an event"""
    rig.load.start(rate=30)
    for size in (2_000_000, 1_045_000):
        zone = rig.more_zones(1, f"big{size}")[0]
        lines = "".join(f"n{i:06} 3600 IN TXT \"{'x' * 200}\"\n" for i in range(size // 222))
        with rig.nemesis(f"a zone of {len(lines)} bytes") as fault:
            result, _, said = rig.push(zone, text=story.zone_text(zone, 1) + lines)
            fault.fired(len(lines) > 1_000_000)
            rig.ok("it is refused with a text that says how large it may be", result == "fail" and re.search(r"large|big|bytes|size", said), said)
        rig.ok("nothing of it is in the log", not story.records("dadns.pushes", {zone}))
        result, _, said = rig.push(zone)
        rig.ok("a smaller one is taken", result == "ok", said)


@row("F14", "local queue full")
def f14(rig):
    """room for 20 records, Kafka frozen, 200 pushes at once"""
    faults.started_again(rig, "ingest", args="--kafka.queue.buffering.max.messages=20")
    zones = rig.more_zones(200)
    rig.finally_do(lambda: story.stack("cont", "kafka", check=False))
    with rig.nemesis("the queue is full") as fault:
        rig.stack("pause", "kafka")
        began = time.monotonic()
        threads, found = at_once(rig, zones)
        fault.fired(wait_for(3, lambda: story.metric("ingest", "dadns_bus_not_taken_total") > 0))
        time.sleep(1)
        rig.stack("cont", "kafka")
        finish(threads)
        took = time.monotonic() - began
    rig.ok(f"all 200 were answered within {took:.1f} s", len(found) == 200 and took < 12)
    rig.ok("each answer has a text", all(result == "ok" or said for result, _, said in found.values()))
    results = [result for result, _, _ in found.values()]
    rig.figure("acknowledged, refused", f"{results.count('ok')}, {200 - results.count('ok')}")
    rig.ok("what fitted was acknowledged", results.count("ok") >= 20, results[:30])
    with open(f"/proc/{story.pid_of('ingest')}/status") as file:
        memory = int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) >> 10
    rig.ok(f"memory is bounded: {memory} MB", memory < 512)
    rig.load.start(rate=30)
    rig.under_load(2)


@row("F15", "topic misconfigured")
def f15(rig):
    """cleanup.policy=delete on dadns.zones, retention on dadns.status; ingest and a writer start"""
    rig.load.start(rate=30)
    rig.under_load(1)
    rig.load.stop()
    # never for long: with cleanup.policy=delete and these segments nothing goes within an hour
    rig.finally_do(subprocess.run, [f"{story.BIN}/dadns", "topics", "apply", "--config", f"{story.STACK_DIR}/dadns.yml"])
    with rig.nemesis("dadns.zones would be deleted after a week", alarms=()) as fault:
        faults.alter_topic("dadns.zones", "add", "cleanup.policy=delete")
        for name in ("ingest", "writer-ns1"):
            rig.stack("stop", name)
            rig.start(name, nowait=True)
        for name in ("ingest", "writer-ns1"):
            rig.eventually(45, f"{name} is not ready and names the setting", lambda: "cleanup.policy" in faults.unready_why(name)
                           or faults.unready_why(name))
        fault.fired("cleanup.policy" in faults.unready_why("writer-ns1"))
        faults.alter_topic("dadns.zones", "add", "cleanup.policy=compact")
    for name in ("ingest", "writer-ns1"):
        rig.eventually(45, f"put right, {name} is ready", lambda: story.ready(name) or faults.unready_why(name))
    rig.load.start(rate=30)
    rig.under_load(2)


@row("F17", "partitions added")
def f17(rig):
    """dadns.heals gets a 13th partition, the one of the three whose loss harms nobody; everything starts anew"""
    def put_right():
        topics("--delete", "--topic", "dadns.heals")
        time.sleep(1)
        done = subprocess.run([f"{story.BIN}/dadns", "topics", "apply", "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True, text=True)
        return done.returncode == 0 or done.stdout + done.stderr

    def topics(*words):
        return story.kafka_class("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"], *words)
    rig.load.start(rate=30)
    rig.under_load(1)
    rig.load.stop()
    with rig.nemesis("dadns.heals has 13 partitions") as fault:
        topics("--alter", "--topic", "dadns.heals", "--partitions", "13")
        fault.fired("PartitionCount: 13" in topics("--describe", "--topic", "dadns.heals"))
        for name in story.PRODUCTS:
            rig.stack("stop", name)
            rig.start(name, nowait=True)
        for name in story.PRODUCTS:
            rig.eventually(45, f"{name} refuses to work and says why", lambda: "partitions" in faults.unready_why(name)
                           and "13" in faults.unready_why(name) or faults.unready_why(name))
        for name in story.PRODUCTS:
            rig.stack("stop", name)
        rig.eventually(45, "the topic is made anew", put_right, every=1)
        for name in story.PRODUCTS:
            rig.start(name)
    rig.load.start(rate=30)
    rig.under_load(2)


@row("F54", "burst of deletes", seconds=300)
def f54(rig):
    """1200 zones pushed, then deleted by 24 requests of fifty of one sender, who may delete 500 an hour"""
    faults.started_again(rig, "ingest", args="--app.mass_deletes=500")
    zones = [f"burst{i}.{story.RUN}.example" for i in range(1200)]  # not named as those that the observers count
    refused = []

    def some(mine):
        refused.extend(zone for zone in mine if story.push(zone, story.zone_text(zone, 1)) != "ok")
    threads = [threading.Thread(target=some, args=(zones[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    finish(threads, 120)
    rig.ok("1200 zones are pushed", not refused, refused[:3])

    def serving(server):
        return [zone for zone in zones if story.serial(server, zone) == 1]
    for server in story.SERVERS:
        rig.eventually(60, f"{server} serves them", lambda: len(serving(server)) == len(zones))
    rig.load.start(rate=30)
    with rig.nemesis("1200 deletes") as fault:
        answers = [story.delete(zones[i:i + 50]) for i in range(0, len(zones), 50)]
        began = time.monotonic()
        fault.fired(answers.count("ok") == 24)
        rig.under_load(2, least=20)
    rig.eventually(30, "many are done", lambda: len(serving("ns1")) <= 1150 or len(serving("ns1")))
    time.sleep(2)
    left = set(serving("ns1"))
    rig.figure("deleted at once, held", f"{len(zones) - len(left)}, {len(left)}")
    rig.ok("at least as many are held as are too many", len(left) >= 700, len(left))
    for server in story.SERVERS:
        rig.eventually(60, f"{server} agrees on which", lambda: set(serving(server)) == left or len(left ^ set(serving(server))))
    said = subprocess.run([f"{story.BIN}/dadns", "mass", "release", "--all", "--yes", "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True,
                          text=True, timeout=120)
    rig.ok("they are released by hand", said.returncode == 0, said.stdout[-300:] + said.stderr[-300:])
    for server in story.SERVERS:
        rig.eventually(60, f"{server} has none of them", lambda: serving(server)[:3] == [] or serving(server)[:3])
    rig.figure("all deleted after", f"{time.monotonic() - began:.1f} s")


@row("F57", "slow, half-open and cut requests")
def f57(rig):
    """300 connections that send a byte a second, 300 that send nothing, 100 bodies cut in the middle"""
    rig.load.start(rate=40)
    rig.under_load(1)
    stop = threading.Event()
    target = story.address("INGEST_URL")
    zone = f"cut-{story.RUN}.example"
    data = story.save_bytes(zone, story.zone_text(zone, 1))
    conns = []
    with rig.nemesis("slow and half-open connections") as fault:
        for i in range(600):
            conn = socket.create_connection(target, timeout=5)
            conns.append(conn)

        def drip():
            at = 0
            while not stop.wait(1):
                for conn in conns[::2]:
                    try:
                        conn.send(data[at:at + 1])
                    except OSError:
                        pass
                at += 1
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        head = data.index(b"\r\n\r\n") + 4
        answers = []
        for i in range(100):
            with socket.create_connection(target, timeout=10) as conn:
                conn.sendall(data[:head + (i + 1) * (len(data) - head) // 101])
                conn.shutdown(socket.SHUT_WR)
                answer = b""
                try:
                    while piece := conn.recv(4096):
                        answer += piece
                except OSError:
                    pass
                answers.append(story.verdict(answer))
        fault.fired(len(answers) == 100)
        rig.ok("no cut body was acknowledged", "ok" not in answers, answers[:5])
        rig.under_load(3, least=60)
        rig.ok("a push of our own is answered at once", timed(lambda: rig.push(rig.zones[0])) < 2)
        time.sleep(9)

        def closed():
            left = 0
            for conn in conns:
                conn.setblocking(False)
                try:
                    left += conn.recv(4096) != b"" or 0
                except BlockingIOError:
                    left += 1
                except OSError:
                    pass
            return left <= 10 or f"{left} are open"
        rig.eventually(60, "those that never came to an end are closed", closed, every=1)
        stop.set()
    for conn in conns:
        conn.close()
    rig.ok("a cut body never became a zone", not story.records("dadns.pushes", {zone}) and story.serial("ns1", zone) == "REFUSED")


def timed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


@row("F58", "bit flip in a record", seconds=400)
def f58(rig):
    """a proxy flips a bit of a record on its way to writer-ns1, with another record of its partition behind it"""
    between = faults.kafka_hop(rig, "writer-ns1")
    rig.load.start(rate=30)
    rig.under_load(1)
    rig.eventually(30, "writer-ns1 reads by the proxy", lambda: story.metric("writer-ns1", "dadns_bus_partitions") > 0)

    first = f"flip1-{story.RUN}.example"
    second = next(name for name in (f"flip2-{i}-{story.RUN}.example" for i in range(1000)) if partition(name) == partition(first))
    for n in (1, 2, 3):
        def flip(_, way, piece):
            """One bit of the first record's address, once."""
            wish = b'"rdata":["10.0.0.%d"' % n
            at = piece.find(first.encode()) if way == proxy.DOWN and not flips else -1
            at = piece.find(wish, at) if at >= 0 else -1
            if at < 0:
                return piece
            flips.append(n)
            return piece[:at + 10] + b"0" + piece[at + 11:]
        flips = []
        with rig.nemesis(f"a record comes with a flipped bit, another one of its partition behind it, {n}") as fault:
            between.stall()
            for zone in (first, second):
                rig.ok("pushed", story.push(zone, story.zone_text(zone, n)) == "ok")
            rig.eventually(30, "ns2 serves both", lambda: [story.serial("ns2", zone) for zone in (first, second)] == [n, n])
            between.alter(flip)
            between.passing.set()
            fault.fired(wait_for(30, lambda: flips != []))
            between.go()
        for zone in (second, first):
            rig.eventually(30, f"ns1 serves {zone}", lambda: story.serial("ns1", zone) == n or story.serial("ns1", zone))
    rig.ok("the writer did not end", story.alive("writer-ns1") and story.ready("writer-ns1"))


@row("F59", "rolling upgrade, newer and older schema")
def f59(rig):
    """heals of a newer minor version with unknown fields, then of a newer major version"""
    zone = f"upgrade-{story.RUN}.example"
    rig.ok("a zone is pushed", story.push(zone, story.zone_text(zone, 1)) == "ok")
    rig.eventually(30, "and served", lambda: all(story.serial(server, zone) == 1 for server in story.SERVERS))
    rig.load.start(rate=30)
    value = faults.log_value(zone)
    newer = {**value, "schema": "zone/1.7", "colour": {"of": ["the", "sky"]}}
    for backend in ("ns1", "dc1"):
        with rig.nemesis(f"{backend} lost the zone; a program of the next version heals it") as fault:
            if backend == "ns1":
                os.unlink(faults.zone_file("ns1", zone))
                faults.rndc("ns1", "delzone", zone)
                fault.fired(story.serial("ns1", zone) == "REFUSED")
            else:
                story.sql("dc1", "DELETE FROM records WHERE zone_id = (SELECT id FROM zones WHERE zone_name = %s)", (zone + ".",))
                fault.fired(story.sql("dc1", "SELECT COUNT(*) FROM zones z JOIN records r ON r.zone_id = z.id WHERE zone_name = %s",
                                      (zone + ".",))[0][0] == 0)
            faults.heal(backend, zone, newer)
            if backend == "ns1":
                rig.eventually(30, "unknown fields do not matter", lambda: story.serial("ns1", zone) == 1)
            else:
                rig.eventually(30, "unknown fields do not matter", lambda: story.sql(
                    "dc1", "SELECT COUNT(*) FROM zones z JOIN records r ON r.zone_id = z.id WHERE zone_name = %s", (zone + ".",))[0][0] == 8)
    with rig.nemesis("a heal of a newer major version") as fault:
        positions = {name: story.log_size(name) for name in story.PRODUCTS if name != "ingest"}
        faults.send("dadns.heals", zone, {"schema": "heal/2.0", "zone": zone, "what": "nobody knows"})
        codes = {name: rig.await_exit(name, 15) for name in positions}
        fault.fired(all(codes.values()))
        rig.ok("every writer stops, with a code and a text, and does not skip it", all(
            codes[name] and faults.log_has(name, positions[name], "newer than this") for name in positions), codes)
        rig.start("writer-ns1", nowait=True)
        rig.ok("and once more when it is started again", rig.await_exit("writer-ns1", 15))
        # as if the program were upgraded: what it could not read is behind it
        ends = story.end_offsets("dadns.heals")
        plan = ",".join(f'{{"topic": "dadns.heals", "partition": {p}, "offset": {o}}}' for p, o in ends.items())
        path = f"{story.STACK_DIR}/delete-records.json"
        with open(path, "w") as file:
            file.write(f'{{"partitions": [{plan}], "version": 1}}')
        story.kafka_class("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"],
                          "--offset-json-file", path)
        for name in positions:
            rig.start(name)
    rig.under_load(2)


left_out("F18", "a restarting broker reports the topic as unknown",
         "only librdkafka's mock cluster does it at will, and that one looks at no sequence numbers; F05 and F06 restart real brokers")
