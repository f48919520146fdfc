# SPDX-License-Identifier: Apache-2.0
"""DirectAdmin servers that push and delete all the time; each operation and its answer goes into the history.

Every operation comes from a loopback address of its own, which ingest writes down as the push's `source`: so each record
of the log is known to be this operation's, a delete's too.
"""
import base64
import os
import random
import re
import socket
import threading
import time
import urllib.parse

import content
import story

OWNERS = ("da1.hoster.example", "da2.hoster.example", "da3.hoster.example")
CREDENTIALS = {owner.partition(".")[0]: owner for owner in OWNERS}  # each may speak for its own hostname
PASSWORD = "chaos"
FIRST_SOURCE = 127 << 24 | 64 << 16


def source_of(number):
    return socket.inet_ntoa((FIRST_SOURCE + number).to_bytes(4, "big"))


def number_of(source):
    """The operation that came from this address, or None."""
    try:
        number = int.from_bytes(socket.inet_aton(source), "big") - FIRST_SOURCE
    except OSError:
        return None
    return number if 0 < number < 1 << 22 else None


def request(method, target, credential, body=None):
    head = f"{method} {target} HTTP/1.0\r\nAUTHORIZATION: Basic {base64.b64encode(f'{credential}:{PASSWORD}'.encode()).decode()}\r\n"
    head += "HOST: ns1.dns.example\r\n"
    if body is not None:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + (body or b"")


def exchange(door, data, source, patience):
    """The answer's bytes, as many as came. ConnectionRefusedError: nobody was there, it never left."""
    with socket.socket() as conn:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        conn.bind((source, 0))
        conn.settimeout(min(patience, 5))
        try:
            conn.connect(story.address(door))
        except OSError as error:
            raise ConnectionRefusedError(str(error)) from error
        conn.settimeout(patience)
        answer = b""
        try:
            conn.sendall(data)
        except OSError:
            pass
        try:
            while piece := conn.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


def classify(answer):
    """(ok | fail | info, text). An answer that does not know whether the push is in the log is no refusal."""
    status, body = story.status_and_body(answer)
    words = urllib.parse.parse_qs(body)
    text = " ".join(words.get("text", []) + words.get("details", [])) or body[:200]
    if status == 200 and re.match(r"error=0(&|$)", body):
        return "ok", text
    if status == 0 or "could not store" in text:
        return "info", text
    return "fail", text


class Load:
    """Workers, each with zones of its own (so that their order is the real one) and some that all of them race for."""

    def __init__(self, rig):
        self.rig = rig
        self.lock = threading.Lock()
        self.numbers, self.owners = {}, {}
        self.counts = {"ok": 0, "fail": 0, "info": 0}
        self.acknowledged = {}  # zone -> operations
        self.texts = []  # of what was not acknowledged
        self.threads, self.stopping = [], threading.Event()

    @property
    def acked(self):
        return self.counts["ok"]

    def perform(self, op, zone, owner=None, credential=None, door="INGEST_URL", more="", patience=15, text=None, n=None):
        """One operation; returns (ok | fail | info, n, the answer's text). `text`: another zone text than the usual; `n`: the
        same content as that push had."""
        history = self.rig.history
        with self.lock:
            owner = owner or self.owners.setdefault(zone, OWNERS[len(self.owners) % len(OWNERS)])
            if op == "push" and n is None:
                n = self.numbers[zone] = self.numbers.get(zone, 0) + 1
        credential = credential or owner.partition(".")[0]
        number = history.next_id()
        if op == "push":
            target = f"/CMD_API_DNS_ADMIN?action=rawsave&domain={zone}&username=fred&hostname={owner}{more}"
            data = request("POST", target, credential, (text or content.text(zone, n, owner)).encode())
        elif op == "delete":
            body = f"action=delete&cluster=yes&hostname={owner}&select0={zone}{more}"
            data = request("POST", "/CMD_API_DNS_ADMIN", credential, body.encode())
        else:
            data = request("GET", f"/CMD_API_DNS_ADMIN?action=exists&domain={zone}", credential)
        history.add("invoke", id=number, op=op, zone=zone, n=n, owner=owner, credential=credential, door=door)
        try:
            result, said = classify(exchange(door, data, source_of(number), patience))
        except ConnectionRefusedError as error:
            result, said = "fail", f"no connection: {error}"
        except OSError as error:
            result, said = "info", str(error)
        history.add(result, id=number, text=said[:200])
        with self.lock:
            self.counts[result] += 1
            if result == "ok" and op != "exists":
                self.acknowledged.setdefault(zone, []).append(number)
            if result != "ok":
                self.texts.append((result, said))
        return result, n, said

    # ---- in the background

    def start(self, rate=30, workers=4, deletes=0.12, doors=("INGEST_URL",), zones=None, intruders=0.03, asks=0.05, patience=15):
        """`rate` operations a second in all; goes on until stop()."""
        zones = list(zones or self.rig.zones)
        self.stopping.clear()
        raced = zones[::4]
        for i in range(workers):
            mine = [zone for at, zone in enumerate(zones) if at % 4 and at % workers == i]
            rng = random.Random(f"{self.rig.seed}-{i}-{len(self.threads)}")
            plan = (mine + raced, rng, workers / rate, deletes, doors, intruders, asks, patience)
            thread = threading.Thread(target=self.work, args=plan, daemon=True)
            self.threads.append(thread)
            thread.start()

    def work(self, zones, rng, pace, deletes, doors, intruders, asks, patience):
        next_at = time.monotonic() + rng.uniform(0, pace)
        while not self.stopping.wait(max(0.0, next_at - time.monotonic())):
            next_at = max(next_at + pace, time.monotonic() - 1)
            zone, door, dice = rng.choice(zones), rng.choice(doors), rng.random()
            if dice < intruders / 3:    # a delete by another owner: refused by the judge
                stranger = rng.choice([owner for owner in OWNERS if owner != self.owners.get(zone)])
                self.perform("delete", zone, owner=stranger, door=door, patience=patience)
            elif dice < intruders:      # a credential that may not speak for the owner: refused by the door
                owner = self.owners.get(zone, OWNERS[0])
                wrong = next(name for name, host in CREDENTIALS.items() if host != owner)
                self.perform(rng.choice(("push", "delete")), zone, owner=owner, credential=wrong, door=door, patience=patience)
            elif dice < intruders + asks:
                self.perform("exists", zone, door=door, patience=patience)
            elif dice < intruders + asks + deletes:
                self.perform("delete", zone, door=door, patience=patience)
            else:
                more = "&named_reload=yes" if rng.random() < 0.1 else ""
                self.perform("push", zone, door=door, more=more, patience=patience)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        self.threads = []

    def each(self, op, zones, workers=6, **words):
        """One operation for each zone, from several threads; returns the results by zone."""
        found, zones = {}, list(zones)

        def some(mine):
            for zone in mine:
                found[zone] = self.perform(op, zone, **words)
        threads = [threading.Thread(target=some, args=(zones[i::workers],)) for i in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


def configure(path):
    """dadns.yml knows the credentials of CREDENTIALS, and a killed member of a group is given up after 2 s instead of 8.
    True: it was changed."""
    with open(path) as file:
        text = file.read()
    if "\n  senders:\n" in text:
        return False
    lines = "".join(f"    {name}: {{password: {PASSWORD}, hostnames: {owner}}}\n" for name, owner in CREDENTIALS.items())
    text = text.replace("\napp:\n", f"\napp:\n  senders:\n{lines}", 1)
    text = text.replace("\nkafka:\n", "\nkafka:\n  session.timeout.ms: 2000\n  heartbeat.interval.ms: 500\n", 1)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)
    return True
