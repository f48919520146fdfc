# SPDX-License-Identifier: Apache-2.0
"""What rows do to one process or one hop of the stack: the shim in it, a proxy before it, a folder of its own size, other
limits. Each says whether it fired. Goes beside rig.py."""
import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid

import dns.exception
import dns.query
import dns.zone

import content
import proxy
import rig as rigs  # noqa: F401  (sets the paths)
import story


def wait_for(seconds, question, every=0.05):
    """What `question` answers when it is true, or its last answer."""
    until = time.monotonic() + seconds
    while True:
        answer = question()
        if answer or time.monotonic() > until:
            return answer
        time.sleep(every)


# ---- the shim in a process -----------------------------------------------------------------------------------------------

class Shim:
    """libfault.so in member `name`, which is started again with it, and without it when the row ends.

        shim = Shim(rig, "writer-ns1"); shim.rules("fsync:1:EIO"); shim.fired()
    """

    def __init__(self, rig, name, first="", more=""):
        self.rig, self.name = rig, name
        self.file, self.log = f"{story.STACK_DIR}/{name}.faults", f"{story.STACK_DIR}/{name}.fired"
        own_malloc = "-own-malloc" if name in ("ns1", "ns2") else ""
        self.library = os.path.abspath(f"{story.BIN}/libfault{own_malloc}.so")
        if not os.path.exists(self.library):
            raise RuntimeError(f"there is no {self.library}: make builds it")
        for path in (self.file, self.log):
            if os.path.exists(path):
                os.unlink(path)
        self.env = f"LD_PRELOAD={self.library} FAULT=@{self.file} FAULT_LOG={self.log} {more}"
        self.rules(first)
        rig.finally_do(self.out)
        restart(rig, name, env=self.env)

    def start(self, nowait=False):
        self.rig.start(self.name, env=self.env, nowait=nowait)

    def rules(self, text):
        """From now on; counts begin at 1. The file is renamed into its place: nobody reads half of it."""
        with open(self.file + ".new", "w") as file:
            file.write(text)
        os.rename(self.file + ".new", self.file)
        time.sleep(0.02)  # the shim looks every 10 ms

    def fired(self):
        """[(call, number, what, path)] since the start."""
        try:
            with open(self.log) as file:
                return [tuple((line.rstrip("\n").split(" ", 4) + [""])[1:5]) for line in file]
        except FileNotFoundError:
            return []

    def out(self):
        self.rules("")
        story.stack("stop", self.name, check=False)
        story.start(self.name)


def started_again(rig, name, **how):
    """Member `name` runs with other arguments or environment until the row ends."""
    rig.finally_do(lambda: (story.stack("stop", name, check=False), story.start(name)))
    restart(rig, name, **how)


def restart(rig, name, **how):
    """Stopped and started is a fault as well: a small one."""
    with rig.nemesis(f"{name} is started again", down=(name,)) as fault:
        rig.stack("stop", name)
        rig.start(name, **how)
        fault.fired(story.alive(name))


# ---- hops ------------------------------------------------------------------------------------------------------------------

def hop(rig, name, target, flag):
    """A proxy between member `name` and `target`, (host, port): `flag` is the argument that tells it where that is, with %d
    for the port."""
    between = proxy.Proxy(target)
    rig.finally_do(between.close)
    started_again(rig, name, args=flag % between.port)
    return between


def mysql_hop(rig, backend):
    return hop(rig, f"writer-{backend}", ("127.0.0.1", int(os.environ["MARIADB_PORT"])), f"--dns.backends.{backend}.port=%d")


def rndc_hop(rig, backend):
    return hop(rig, f"writer-{backend}", story.address(f"{backend.upper()}_RNDC"), f"--dns.backends.{backend}.rndc=127.0.0.1:%d")


def redis_hop(rig, name):
    host, _, port = os.environ["REDIS_URL"].removeprefix("redis://").rpartition(":")
    return hop(rig, name, (host, int(port)), "--redis.url=redis://127.0.0.1:%d")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kafka_hop(rig, *names):
    """A proxy between members `names` and the broker, which gets a listener of its own for it until the row ends: a client
    goes where the broker says it is. Everybody else keeps the usual one."""
    inner = free_port()
    between = proxy.Proxy(("127.0.0.1", inner))
    path = f"{story.STACK_DIR}/kafka/server.properties"
    with open(path) as file:
        before = file.read()

    def put(text):
        with open(path, "w") as file:
            file.write(text)
    rig.finally_do(between.close)
    rig.finally_do(lambda: (put(before), story.stack("stop", "kafka"), story.start("kafka")))
    text = re.sub(r"(?m)^(listeners=.*)$", rf"\1,HOP://127.0.0.1:{inner}", before)
    text = re.sub(r"(?m)^(advertised\.listeners=.*)$", rf"\1,HOP://127.0.0.1:{between.port}", text)
    put(text + "\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,HOP:PLAINTEXT\n"
                 "inter.broker.listener.name=PLAINTEXT\n")
    restart(rig, "kafka")
    for name in names:
        started_again(rig, name, args=f"--kafka.brokers=127.0.0.1:{between.port}")
    return between


# ---- folders -----------------------------------------------------------------------------------------------------------------

class SmallFolder:
    """A tmpfs of that size over a folder, with what is in it, in a mount namespace that only members started with .env
    share. What lies beneath is as it was when the row ends."""

    def __init__(self, rig, folder, size):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.holder = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", 'mkdir "$1.new" && mount -t tmpfs -o "size=$2,mode=755" none "$1.new" && '
             'cp -a "$1/." "$1.new" && mount --move "$1.new" "$1" && rmdir "$1.new" && echo yes && exec sleep 1000', "sh",
             folder, str(size)], stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"yes\n":
            raise RuntimeError("no tmpfs could be mounted: this row needs root and mount namespaces")
        rig.finally_do(self.end)
        self.inside = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt"]
        self.env = " ".join(self.inside)

    def run(self, *command):
        return subprocess.run([*self.inside, *command], capture_output=True, text=True).stdout

    def fill(self, leave):
        """Nothing but that many bytes is left."""
        path = f"{self.folder}/.full"
        self.run("sh", "-c", f'cat /dev/zero >"{path}" 2>/dev/null; truncate -s -{leave} "{path}"')

    def free(self):
        self.run("rm", "-f", f"{self.folder}/.full")

    def left(self):
        words = self.run("df", "--output=avail", "-B1", self.folder).split()
        return int(words[-1]) if words else -1

    def end(self):
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait()


# ---- what backends show ------------------------------------------------------------------------------------------------------

def zones_dir(backend):
    return os.environ[f"{backend.upper()}_ZONES_DIR"]


def zone_file(backend, zone):
    """The path of its file, by the first line: names may be encoded."""
    folder = zones_dir(backend)
    for name in os.listdir(folder):
        if name.endswith(".zone"):
            try:
                with open(os.path.join(folder, name), errors="replace") as file:
                    if f" zone={zone} " in file.readline():
                        return os.path.join(folder, name)
            except FileNotFoundError:
                pass
    return None


def rndc(backend, *words):
    host, port = story.address(f"{backend.upper()}_RNDC")
    done = subprocess.run(["rndc", "-s", host, "-p", str(port), "-k", os.environ[f"{backend.upper()}_RNDC_KEYFILE"], *words],
                          capture_output=True, text=True, timeout=20)
    return (done.stdout + done.stderr).strip()


def served_digest(backend, zone):
    """RFC 8976's digest of what it transfers; None: nothing."""
    host, port = story.address(f"{backend.upper()}_DNS")
    try:
        found = dns.zone.from_xfr(dns.query.xfr(host, zone, port=port, lifetime=5, relativize=False), relativize=False)
    except (OSError, EOFError, dns.exception.DNSException):
        return None
    return found.compute_digest(dns.zone.DigestHashAlgorithm.SHA384).digest.hex()


def push_crowded(rig, zone):
    """The zone's next version, with 101 records in an RRset: acknowledged, and refused by named (max-records-per-type)."""
    n, owner = rig.load.numbers[zone] + 1, rig.load.owners[zone]
    crowd = "".join(f'crowd 3600 IN TXT "{i}"\n' for i in range(101))
    return rig.ok("a crowded version is acknowledged", rig.push(zone, text=content.text(zone, n, owner) + crowd)[0] == "ok")


def log_value(zone):
    """The value of the highest version in dadns.zones, as the JSON that stands there; None: never held."""
    values = [json.loads(text) for _, _, _, text in story.records("dadns.zones", {zone}) if text]
    return max(values, key=story.version_of, default=None)


def status(backend, zone):
    """The last thing that it said of the zone."""
    said = [json.loads(text) for _, _, _, text in story.records("dadns.status", {f"{backend}/{zone}"}) if text]
    return said[-1] if said else {}


def send(topic, key, value):
    """As a program of ours would: the same partition as everybody's."""
    story.kcat("-P", "-t", topic, "-k", key, "-X", "topic.partitioner=murmur2_random", "-D", "\x01",
               stdin=(value if isinstance(value, str) else json.dumps(value)).encode())


def heal(backend, zone, value, saw_digest=None, saw_version=None):
    """What an audit that saw `saw_digest` (None: absent) would write to dadns.heals (I6). A nudge by hand until there is
    one: `value` is the log's."""
    event = {"schema": "heal/1.0", "id": str(uuid.uuid4()), "backend": backend, "zone": zone}
    event.update({"saw_digest": saw_digest} if saw_digest else {"saw_absent": True})
    if saw_version:
        event["saw_version"] = saw_version
    made = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".000Z"
    send("dadns.heals", zone, {**event, "by": "row", "because": "an audit would have found it", "made_at": made, "value": value})


def alter_topic(topic, verb, settings):
    return story.kafka_class("kafka.admin.ConfigCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"], "--entity-type", "topics",
                             "--entity-name", topic, "--alter", f"--{verb}-config", settings)


def unready_why(name):
    """What /readyz says is missing; "" when it is ready."""
    host, port = story.address(name.upper().replace("-", "_") + "_ADMIN_URL")
    try:
        with socket.create_connection((host, port), timeout=2) as conn:
            conn.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            answer = b""
            while piece := conn.recv(65536):
                answer += piece
    except OSError as error:
        return str(error)
    code, body = story.status_and_body(answer)
    return "" if code == 200 else body


def log_has(name, position, pattern):
    return re.search(pattern, story.log_since(name, position))
