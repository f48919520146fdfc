# SPDX-License-Identifier: Apache-2.0
"""Observers: what name servers and tables show, what the topics hold, who was told. All of it goes into the history."""
import json
import os
import random
import re
import subprocess
import threading
import time

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pymysql

import content
import load
import rows
import story

DATABASES = ("dc1", "dc2")
COUNTS = {"dc1": "SELECT COUNT(*) FROM zones WHERE zone_name LIKE %s", "dc2": "SELECT COUNT(*) FROM domains WHERE name LIKE %s"}
QUERIES = {"dc1": rows.COREDNS, "dc2": rows.POWERDNS}
ABSENT = ("REFUSED", "NOTAUTH")
PARTITIONS = 12
PACE = 0.1  # seconds between two looks of an observer


class Eye:
    """Looks at zones by one way at one backend. Not for two threads."""

    def __init__(self, history, backend, kind):
        self.history, self.backend, self.kind = history, backend, kind
        self.transfers = story.Transfers(backend) if kind == "axfr" else None
        self.conn = None

    def look(self, zone, phase):
        """Records what is there; returns the event."""
        t0 = self.history.now()
        try:
            seen = getattr(self, self.kind)(zone)
        except (OSError, ValueError, pymysql.Error, dns.exception.DNSException) as error:
            self.close()
            seen = {"error": f"{type(error).__name__}: {error}"[:120]}
        if self.backend == "dc2" and self.kind == "dns":
            seen["cached"] = True
        return self.history.add("see", backend=self.backend, kind=self.kind, zone=zone, phase=phase, t0=t0, t1=self.history.now(), **seen)

    @staticmethod
    def absent(rcode):
        return {"n": None, "serial": None, "fp": None, "torn": False, "rcode": rcode}

    def axfr(self, zone):
        found = self.transfers.records(zone)
        if isinstance(found, str):
            return self.absent(found) if found in ABSENT else {"error": found, "rcode": found}
        return {**content.read(zone, found, soa_apart=self.backend == "dc2"), "rcode": "NOERROR"}

    def dns(self, zone):
        reply = story.ask(self.backend, zone)
        if reply is None:
            return {"error": "TIMEOUT"}
        rcode = dns.rcode.to_text(reply.rcode())
        if rcode != "NOERROR":
            return self.absent(rcode) if rcode in ABSENT else {"error": rcode, "rcode": rcode}
        for rrset in reply.answer:
            if rrset.rdtype == dns.rdatatype.SOA:
                serial, mailbox = rrset[0].serial, rrset[0].rname.labels[0].decode()
                return {"n": serial, "serial": serial, "fp": None, "torn": mailbox != f"n{serial}", "rcode": rcode}
        return {"n": None, "serial": None, "fp": None, "torn": False, "rcode": "NOERROR"}  # a zone without an SOA

    def sql(self, zone):
        if self.conn is None:
            self.conn = rows.connect(self.backend)
        with self.conn.cursor() as cursor:
            cursor.execute(QUERIES[self.backend], zone + "." if self.backend == "dc1" else zone)
            found = cursor.fetchall()
        if not found:
            return self.absent(None)
        origin = dns.name.from_text(zone) if self.backend == "dc1" else dns.name.root
        records = []
        for owner, kind, data, ttl in found:
            kind = dns.rdatatype.from_text(kind)
            rdata = dns.rdata.from_text(dns.rdataclass.IN, kind, data, origin=dns.name.root, relativize=False)
            records.append((dns.name.from_text(owner, origin).to_text(), dns.rdatatype.to_text(kind), ttl, rdata.to_text()))
        return {**content.read(zone, records), "rcode": None}

    def count(self):
        """How many zones of this run the tables have."""
        try:
            if self.conn is None:
                self.conn = rows.connect(self.backend)
            with self.conn.cursor() as cursor:
                cursor.execute(COUNTS[self.backend], f"%-{story.RUN}.example%")
                self.history.add("count", backend=self.backend, zones=cursor.fetchone()[0])
        except (OSError, pymysql.Error):
            self.close()

    def close(self):
        if self.transfers is not None:
            self.transfers.close()
        if self.conn is not None:
            try:
                self.conn.close()
            except pymysql.Error:
                pass
            self.conn = None


def eyes(history, servers=story.SERVERS, kinds=("axfr", "dns", "sql")):
    """All ways to look at all backends."""
    return [Eye(history, server, kind) for kind in kinds for server in (servers if kind != "sql" else set(DATABASES) & set(servers))]


class Observers:
    """One thread for each backend, by turns with each way of looking; one that asks who is ready."""

    def __init__(self, rig):
        self.rig, self.stopping = rig, threading.Event()
        self.threads = []

    def start(self):
        for backend in story.SERVERS:
            self.threads.append(threading.Thread(target=self.observe, args=(backend,), daemon=True))
        self.threads.append(threading.Thread(target=self.ask_ready, daemon=True))
        for thread in self.threads:
            thread.start()

    def observe(self, backend):
        rng = random.Random(f"{self.rig.seed}-{backend}")
        mine = eyes(self.rig.history, (backend,))
        turn = 0
        while not self.stopping.wait(PACE):
            zone = rng.choice(self.rig.still if rng.random() < 0.3 else self.rig.zones)
            mine[turn % len(mine)].look(zone, "run")
            turn += 1
            if turn % 10 == 0 and mine[-1].kind == "sql":
                mine[-1].count()
        for eye in mine:
            eye.close()

    def ask_ready(self):
        """"NAME not ready" is an alarm when it was ready before."""
        before = {}
        while not self.stopping.wait(0.5):
            for name in self.rig.services():
                now = f"{name.upper().replace('-', '_')}_ADMIN_URL" in os.environ and story.ready(name)
                if before.get(name) and not now:
                    self.rig.history.add("alarm", name=f"{name} not ready")
                before[name] = now

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(15)


# ---- the topics ------------------------------------------------------------------------------------------------------

def headers_and_value(line):
    record = json.loads(line)
    payload = record.get("payload")
    return record, json.loads(payload) if payload else None


def number_in(zone, rrsets):
    """(n, fp) of a zone's content in the log; n -1: it is none of ours."""
    found = [(one["name"], one["type"], one["ttl"], data) for one in rrsets for data in one["rdata"]]
    try:
        said = content.read(zone, found)
    except (ValueError, IndexError):
        return -1, content.fingerprint(found)
    return (-1 if said["torn"] else said["n"]), said["fp"]


def push_event(record, value):
    n = number_in(value["zone"], value["rrsets"])[0] if value["op"] == "save" else None
    return {"partition": record["partition"], "offset": record["offset"], "zone": value["zone"], "id": value["id"], "op": value["op"],
            "n": n, "owner": value.get("owner"), "from": load.number_of(value.get("source") or "")}


def value_event(record, value):
    n, fp = (None, None) if value.get("deleted") else number_in(value["zone"], value["rrsets"])
    return {"partition": record["partition"], "offset": record["offset"], "zone": value["zone"], "version": list(story.version_of(value)),
            "n": n, "owner": value.get("owner"), "id": value["id"], "fp": fp}


def verdict_event(_, value):
    return {"zone": value["zone"], "version": list(story.version_of(value)), "state": value["state"], "rule": value.get("rule")}


TOPICS = {"dadns.pushes": ("push", push_event), "dadns.zones": ("value", value_event), "dadns.status": ("verdict", verdict_event)}


def ours(topic, record, value, zones):
    """It is of a zone of this run, and a record that the checker wants."""
    key = record.get("key") or ""
    if topic == "dadns.status":
        speaker, _, key = key.partition("/")
        if speaker != "judge":
            return False
    return value is not None and key in zones


def kcat_command(topic, since, *more):
    return ["kcat", "-b", os.environ["KAFKA_BROKERS"], "-C", "-q", "-J", "-t", topic, "-o", since, "-X", "fetch.wait.max.ms=20",
            "-X", "auto.offset.reset=earliest", *more]  # where records were taken away, from the first that is left


def read_topics(history, since_ms, zones):
    """By a consumer of its own, from the beginning of the run to the end that the topics have now."""
    for topic, (kind, event_of) in TOPICS.items():
        done = subprocess.run(kcat_command(topic, f"s@{since_ms}", "-e"), capture_output=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"kcat {topic}: {done.stderr.decode()}")
        for line in done.stdout.splitlines():
            record, value = headers_and_value(line)
            if ours(topic, record, value, zones):
                history.add(kind, reader="final", **event_of(record, value))
    words = [word for p in range(PARTITIONS) for word in ("-t", f"dadns.pushes:{p}:-2")]
    for partition, offset in re.findall(r"\[(\d+)\] offset (\d+)", story.kcat("-Q", *words)):
        history.add("start", partition=int(partition), offset=int(offset))


class Live:
    """Reads the topics while it happens: what was decided, what is still to be decided, who was told."""

    def __init__(self, rig):
        self.rig = rig
        self.pushed, self.judged, self.values, self.ids, self.arrived = {}, {}, {}, set(), set()
        self.lags = []  # (when, backend, zone, ms from the push to its being served)
        self.processes, self.seen, self.stopping = {}, set(), False
        for topic in TOPICS:
            threading.Thread(target=self.follow, args=(topic,), daemon=True).start()

    def follow(self, topic):
        """kcat ends when no broker is left; then it is asked again, until stop()."""
        while not self.stopping:
            # not from now on: where a partition has nothing yet, what comes meanwhile would be missed
            process = subprocess.Popen(kcat_command(topic, "-200", "-u"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self.processes[topic] = process
            self.take(topic, process.stdout)
            process.wait()
            time.sleep(0.2)

    def take(self, topic, lines):
        for line in lines:
            try:
                record, value = headers_and_value(line)
            except ValueError:
                continue  # a row's poison
            place = (topic, record["partition"], record["offset"])
            if place in self.seen:
                continue
            self.seen.add(place)
            # read from before the run on: what was said then is another row's
            if topic == "dadns.status" and value is not None and record.get("ts", 0) >= self.rig.began_ms + 1000:
                self.told(value)
            if not ours(topic, record, value, self.rig.all_zones):
                continue
            zone = value["zone"]
            if topic == "dadns.pushes":
                event = push_event(record, value)
                self.rig.history.add("push", reader="live", **event)
                self.arrived.add(event["from"])
                if event["id"] not in self.ids:  # a late copy gets no verdict of its own
                    self.ids.add(event["id"])
                    self.pushed[zone] = record["offset"]
            elif topic == "dadns.zones":
                self.rig.history.add("value", reader="live", **value_event(record, value))
                version = story.version_of(value)
                if version >= self.values.get(zone, ((0, 0), None))[0]:
                    self.values[zone] = (version, None if value.get("deleted") else value["serial"])
            else:
                self.rig.history.add("verdict", reader="live", **verdict_event(record, value))
                self.judged[zone] = max(self.judged.get(zone, -1), story.version_of(value)[1])

    def told(self, value):
        if value.get("state") in ("away", "dead", "drifted", "missing"):
            self.rig.history.add("alarm", name=f"{value['backend']} {value['state']}", zone=value.get("zone"))
        if value.get("state") == "applied" and value.get("zone") in self.rig.all_zones:
            self.lags.append((self.rig.history.now(), value["backend"], value["zone"], value.get("lag_ms")))

    def settled(self, zone):
        """All of its acknowledged pushes are in the log, also those that were held, and judged."""
        if not self.arrived.issuperset(self.rig.load.acknowledged.get(zone, ())):
            return False
        return self.judged.get(zone, -1) >= self.pushed.get(zone, -1)

    def wanted(self, zone):
        return self.values.get(zone, (None, None))[1]

    def stop(self):
        self.stopping = True
        for process in list(self.processes.values()):
            process.kill()
            process.wait()
