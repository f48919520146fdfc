# SPDX-License-Identifier: Apache-2.0
"""CoreDNS with our plugin, as its operator and its clients see it: more servers than the stack has, what they say of
themselves, and watchers that ask all the time. Goes beside story.py."""
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

import story
import tables
from answers import of_soa, query
from wire import Reply, serial_of


# ---- what a server says of itself ----------------------------------------------------------------------------------

def is_ready(server):
    try:
        with urllib.request.urlopen(f"http://{os.environ[server.upper() + '_READY']}/ready", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def metric(server, name, label=""):
    """The sum of coredns_dadns_NAME over its labels, or of those that have `label`, as in what="database"."""
    with urllib.request.urlopen(f"http://{os.environ[server.upper() + '_METRICS']}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines
               if line.split("{")[0].split()[0] == f"coredns_dadns_{name}" and label in line)


# ---- more servers --------------------------------------------------------------------------------------------------

COREFILE = """.:{dns} {{
    bind 127.0.0.1
    errors
    ready 127.0.0.1:{ready}
    prometheus 127.0.0.1:{metrics}
    transfer {{
        to *
{to}    }}
    dadns {{
{options}    }}
{more}}}
"""


class Server:
    """One more CoreDNS until the story ends. Its folder is new; its ports are the last ones of the stack's hundred.
    story.ask() and its like know it by its name."""
    count = 0

    def __init__(self, s, name, **options):
        Server.count += 1
        with open(f"{story.STACK_DIR}/ports") as file:
            last = int(file.readline()) + 102 - 3 * Server.count
        self.name, self.options = name, options
        self.ports = {"dns": last - 2, "ready": last - 1, "metrics": last}
        for key, port in self.ports.items():
            os.environ[f"{name.upper()}_{key.upper()}"] = f"127.0.0.1:{port}"
        self.folder = f"{story.STACK_DIR}/{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        self.to = ""
        self.process = None
        s.finally_do(self.kill)

    def configure(self, to="", more="", beside="", **options):
        """Writes its Corefile. `more` stands in its server block, `beside` is a block of its own; the rest stays until it is changed."""
        self.to = to or self.to
        self.options.update(options)
        text = COREFILE.format(to=self.to and f"        to {self.to}\n", more=more and f"    {more}\n", **self.ports,
                               options="".join(f"        {key} {value}\n" for key, value in self.options.items()))
        with open(f"{self.folder}/new", "w") as file:
            file.write(text + beside)
        os.rename(f"{self.folder}/new", f"{self.folder}/Corefile")

    def launch(self):
        self.log_at = os.path.getsize(self.log_path()) if os.path.exists(self.log_path()) else 0
        with open(self.log_path(), "a") as log:
            self.process = subprocess.Popen([story.COREDNS, "-conf", f"{self.folder}/Corefile"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def start(self, seconds=20):
        """Waits until it answers, whatever it says."""
        self.configure()
        self.launch()
        until = time.monotonic() + seconds
        while story.ask(self.name, "nothing.example", patience=0.1) is None:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.name} does not come up:\n{self.said()}")

    def log_path(self):
        return f"{self.folder}/log"

    def said(self):
        """What it wrote since it was started."""
        with open(self.log_path(), errors="replace") as file:
            file.seek(self.log_at)
            return file.read()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()


# ---- asking all the time -------------------------------------------------------------------------------------------

class Watch(threading.Thread):
    """Asks a server for SOAs until it is stopped, a few at once. `heard` has each zone's serials in their order, None for
    REFUSED, other rcodes by number, an answer that is like the one before it not again; the first one is that of `state`.
    """
    WINDOW = 16
    LOST_AFTER = 2  # seconds

    def __init__(self, server, state, pause=0.01):
        super().__init__(daemon=True)
        self.server, self.pause = server, pause
        self.heard = {zone: [n] for zone, n in state.items()}
        self.questions = {zone: of_soa(zone) for zone in state}
        self.since = {}  # when the last of `heard` was heard first
        self.looks = self.lost = 0
        self.longest = 0.0  # silence, in seconds
        self.error = None
        self.stopping = False
        self.start()

    def run(self):
        try:
            self.ask()
        except Exception as error:
            self.error = error

    def ask(self):
        todo, waiting, number = [], {}, 0
        last = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as conn:
            conn.connect(story.address(f"{self.server.upper()}_DNS"))
            while not self.stopping:
                todo = todo or list(self.questions)
                while todo and len(waiting) < self.WINDOW:
                    zone = todo.pop()
                    number = (number + 1) % 65536
                    waiting[number] = (zone, time.monotonic())
                    try:
                        conn.send(query(number, self.questions[zone]))
                    except ConnectionError:
                        pass  # of the one before: nobody listens. It counts as lost
                while waiting and select.select([conn], [], [], 0.1)[0]:
                    self.take(conn, waiting)
                    self.longest = max(self.longest, time.monotonic() - last)
                    last = time.monotonic()
                for key, (zone, since) in list(waiting.items()):
                    if time.monotonic() - since > self.LOST_AFTER:
                        del waiting[key]
                        self.lost += 1
                time.sleep(self.pause)

    def take(self, conn, waiting):
        try:
            wire = conn.recv(65535)
        except ConnectionError:
            return
        zone, _ = waiting.pop(struct.unpack_from("!H", wire)[0], (None, 0))
        if zone is None:
            return
        reply = Reply(wire)
        soas = [record for record in reply.answer if record[1] == 6]
        said = serial_of(soas[0]) if soas else None if reply.rcode == 5 else f"rcode {reply.rcode}"
        self.looks += 1
        if said != self.heard[zone][-1]:
            self.heard[zone].append(said)
            self.since[zone] = time.monotonic()

    def stop(self):
        self.stopping = True
        self.join(10)

    def judged(self, s, sentence, least):
        """Every answer was the log's, in the log's order: what it has skipped does not come later."""
        self.stop()
        log = history(self.heard)
        wrong = [(zone, heard) for zone, heard in self.heard.items() if not in_order(heard, log[zone])]
        count = sum(map(len, self.heard.values())) - len(self.heard)
        s.ok(f"{sentence}: {self.looks} answers, {count} times another one than before", not wrong,
             [(zone, heard[-6:], log[zone][-6:]) for zone, heard in wrong[:3]])
        s.ok(f"and that is enough to say so; the longest silence was {self.longest * 1000:.0f} ms",
             self.looks >= least and self.lost == 0 and self.error is None, f"{self.looks} not {least}, {self.lost} lost, {self.error}")


def history(zones):
    """zone -> the serials that dadns.zones had, in their order, None for a delete."""
    found = {zone: [] for zone in zones}
    for zone, text in tables.records_since("dadns.zones", story.BEGAN_MS):
        if zone in found:
            value = json.loads(text)
            found[zone].append(None if value.get("deleted") else value["serial"])
    return found


def in_order(heard, log):
    at = 0
    log = [None, *log]
    for n in heard:
        while at < len(log) and log[at] != n:
            at += 1
    return at < len(log)
