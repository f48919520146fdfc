# SPDX-License-Identifier: Apache-2.0
"""What a story in Python needs: the stack, DirectAdmin, DNS and Kafka. tests/lib/e2e.sh is the same in bash.

    sys.path.insert(0, ...); import story
    with story.Story("what it shows") as s:
        s.ok("a sentence", condition)
        s.eventually(5, "another one", lambda: ...)

The last line printed is "N passed, N failed"; an exception counts as one failure. Patience is always bounded.
"""
import base64
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

import wire
from rows import rows_digest, sql, zone_of  # noqa: F401

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
STACK_DIR = os.environ.get("STACK_DIR", "build/test-run")
if not STACK_DIR.startswith("/"):
    STACK_DIR = os.path.join(ROOT, STACK_DIR)
os.environ["STACK_DIR"] = STACK_DIR
BIN = os.environ.setdefault("BIN", "build/release")
COREDNS = os.environ.setdefault("COREDNS", "build/coredns/coredns")
HOST = "da1.hoster.example"
PRODUCTS = ("ingest", "writer-ns1", "writer-ns2", "writer-dc1", "writer-dc2")
SERVERS = ("ns1", "ns2", "dc1", "dc2")  # that answer DNS
BACKENDS = SERVERS                      # that have a writer


# ---- counting ----------------------------------------------------------------------------------------------------

class Story:
    def __init__(self, title):
        self.passed = self.failed = 0
        self.undo = []
        self.began = time.monotonic()
        print(f"# {title}", flush=True)

    def __enter__(self):
        try:
            begin()
        except BaseException as error:
            self.ok("the stack comes up", False, error)
            self.__exit__(None, None, None)
        return self

    def finally_do(self, action, *args):
        """Is done at the end, come what may; the last one first."""
        self.undo.append((action, args))

    def __exit__(self, kind, error, trace):
        if kind is not None and not issubclass(kind, SystemExit):
            self.ok("the story came to its end", False, "".join(traceback.format_exception(kind, error, trace)))
        for action, args in reversed(self.undo):
            try:
                action(*args)
            except Exception as trouble:
                self.ok("the stack is left as it was found", False, trouble)
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        os._exit(0 if self.passed and not self.failed else 1)  # threads that still wait are of no interest

    def ok(self, sentence, condition, detail=""):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
        number = self.passed + self.failed
        print(f"{'ok' if condition else 'not ok'} {number} - {sentence} ({time.monotonic() - self.began:.1f} s)", flush=True)
        if not condition and detail != "":
            for line in str(detail).splitlines()[-25:]:
                print(f"#   {line[:400]}", flush=True)
        return bool(condition)

    def eventually(self, seconds, sentence, question, every=0.05):
        """`question` answers True, or something else that says what is wrong."""
        until = time.monotonic() + seconds
        while True:
            answer = question()
            if answer is True:
                return self.ok(sentence, True)
            if time.monotonic() > until:
                return self.ok(sentence, False, f"not within {seconds} s: {answer}")
            time.sleep(every)

    @staticmethod
    def note(text):
        print(f"# {text}", flush=True)


# ---- the stack ---------------------------------------------------------------------------------------------------

def stack(*words, check=True, args="", env="", nowait=False):
    """`args`, `env`: more of them for what is started."""
    environment = dict(os.environ, STACK_ARGS=args)
    if env:
        environment["STACK_ENV"] = env
    if nowait:
        environment["STACK_NOWAIT"] = "1"
    done = subprocess.run(["tools/stack.sh", *words], env=environment, capture_output=True, text=True, timeout=180)
    if check and done.returncode != 0:
        raise RuntimeError(f"tools/stack.sh {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def start(name, abort_at=None, nowait=False):
    return stack("start", name, env=f"DADNS_ABORT_AT={abort_at}" if abort_at else "", nowait=nowait)


def begin():
    """The whole stack runs, nothing besides it, and every program of ours is the one in BIN."""
    kinds, members = {}, []
    if os.path.exists(f"{STACK_DIR}/endpoints.env"):
        load_endpoints()
        members = os.environ.get("STACK_MEMBERS", "").split(",")
        with open(f"{STACK_DIR}/ports") as file:
            kinds = dict(line.split()[:2] for line in file if " " in line)
    for file in sorted(os.listdir(f"{STACK_DIR}/pids") if os.path.isdir(f"{STACK_DIR}/pids") else []):
        name, dot, kind = file.rpartition(".")
        if kind != "pid":
            continue
        stack("cont", name, check=False)
        program = kinds.get(name, "")
        built = COREDNS if program == "coredns" else f"{BIN}/{program}" if program.startswith(("ingest", "writer")) else None
        outdated = built and alive(name) and os.path.realpath(f"/proc/{pid_of(name)}/exe") != os.path.realpath(built)
        if name not in members or outdated:
            stack("stop", name)
    config_back()
    stack("up")
    load_endpoints()


def load_endpoints():
    with open(f"{STACK_DIR}/endpoints.env") as file:
        for line in file:
            key, _, value = line.strip().partition("=")
            os.environ[key] = value


def address(key):
    text = os.environ[key].removeprefix("http://")
    host, _, port = text.rpartition(":")
    return host, int(port)


def pid_of(name):
    with open(f"{STACK_DIR}/pids/{name}.pid") as file:
        return int(file.read())


def alive(name):
    try:
        pid = pid_of(name)
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        with open(f"{STACK_DIR}/pids/{name}.born") as file:
            return fields[0] != "Z" and fields[19] == file.read().strip()
    except (OSError, ValueError, IndexError):
        return False


def exit_code(name):
    """None while it runs, and until its keeper has written the code down."""
    try:
        with open(f"{STACK_DIR}/exits/{name}") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def kill(name):
    os.kill(pid_of(name), signal.SIGKILL)


def log_path(name):
    return f"{STACK_DIR}/logs/{name}.log"


def log_size(name):
    return os.path.getsize(log_path(name))


def log_since(name, position):
    with open(log_path(name), errors="replace") as file:
        file.seek(position)
        return file.read()


def ready(name):
    try:
        host, port = address(name.upper().replace("-", "_") + "_ADMIN_URL")
        with urllib.request.urlopen(f"http://{host}:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def metric(name, family):
    """The sum over its labels."""
    with urllib.request.urlopen(os.environ[name.upper().replace("-", "_") + "_ADMIN_URL"] + "/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if re.split(r"[ {]", line)[0] == family)


def config_back():
    """dadns.yml is again what it was before a story changed it."""
    if os.path.exists(f"{STACK_DIR}/dadns.yml.before"):
        os.replace(f"{STACK_DIR}/dadns.yml.before", f"{STACK_DIR}/dadns.yml")


def keep_config(story):
    if not os.path.exists(f"{STACK_DIR}/dadns.yml.before"):
        shutil.copy2(f"{STACK_DIR}/dadns.yml", f"{STACK_DIR}/dadns.yml.before")
    story.finally_do(config_back)


def configure(story, section, **settings):
    """Adds keys to a section of dadns.yml until the story ends. Processes read it when they start."""
    path = f"{STACK_DIR}/dadns.yml"
    keep_config(story)
    with open(path) as file:
        text = file.read()
    lines = "".join(f"  {key.replace('__', '.')}: {value}\n" for key, value in settings.items())
    text, count = re.subn(rf"(?m)^{section}:\n", lambda match: match.group() + lines, text)
    if count == 0:
        text += f"{section}:\n{lines}"
    with open(path, "w") as file:
        file.write(text)


def add_backend(story, stanza):
    """Until the story ends it stands in dadns.yml; start("writer-NAME") then serves it:

        story.add_backend(s, story.stack("database", "dc3")); story.start("writer-dc3"); story.load_endpoints()
    """
    path = f"{STACK_DIR}/dadns.yml"
    keep_config(story)
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("\n  backends:\n", f"\n  backends:\n{stanza.rstrip()}\n", 1))


def fast_takeover(story, after_ms=1000):
    """A killed member of a group is given up after 1 s instead of 8 s."""
    configure(story, "kafka", session__timeout__ms=after_ms, heartbeat__interval__ms=after_ms // 4)
    restart(*PRODUCTS)
    undo_last(story, lambda: restart(*PRODUCTS))


def at_once(action, names):
    """action(name) for all, each in a thread of its own."""
    failed = []

    def do(name):
        try:
            action(name)
        except Exception as error:
            failed.append(error)
    threads = [threading.Thread(target=do, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def restart(*names):
    """All are stopped, then all started, side by side."""
    at_once(lambda name: stack("stop", name), names)
    at_once(start, names)


def undo_last(story, action):
    """At the story's very end: after dadns.yml was put back."""
    story.undo.insert(0, (action, ()))


# ---- as DirectAdmin ----------------------------------------------------------------------------------------------

def login(user=None, password=None):
    text = f"{user or os.environ['INGEST_USER']}:{password or os.environ['INGEST_PASSWORD']}"
    return base64.b64encode(text.encode()).decode()


def raw(data, url="INGEST_URL", patience=10, cut=False):
    """Sends the bytes as they are; everything that came back. `cut`: closes the sending side after them."""
    with socket.create_connection(address(url), timeout=patience) as conn:
        try:
            conn.sendall(data)
            if cut:
                conn.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was sent: the answer may be there all the same
        answer = b""
        try:
            while piece := conn.recv(65536):
                answer += piece
        except OSError:
            pass
    return answer


def request_bytes(method, target, body=None, more=""):
    if isinstance(target, str):
        target = target.encode()
    head = method.encode() + b" " + target + b" HTTP/1.0\r\nAUTHORIZATION: Basic " + login().encode()
    head += b"\r\nHOST: ns1.dns.example\r\n" + more.encode()
    if body is not None:
        head += b"Content-Length: %d\r\n" % len(body)
    return head + b"\r\n" + (body or b"")


def status_and_body(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), body.decode("utf-8", "replace").strip()


def verdict(answer):
    """ok: acknowledged. fail: a clear refusal. info: nobody knows (cut off, or no answer)."""
    status, body = status_and_body(answer)
    if status == 200 and re.match(r"error=0(&|$)", body):
        return "ok"
    return "fail" if status else "info"


def push_target(zone, owner=HOST, user="fred", more=""):
    return f"/CMD_API_DNS_ADMIN?action=rawsave&domain={zone}{more}&username={user}&hostname={owner}"


def save_bytes(zone, text, owner=HOST, user="fred", more=""):
    return request_bytes("POST", push_target(zone, owner, user, more), text.encode())


def delete_bytes(zones, owner=HOST):
    names = "".join(f"&select{i}={zone}" for i, zone in enumerate(zones))
    return request_bytes("POST", "/CMD_API_DNS_ADMIN", f"action=delete&cluster=yes&hostname={owner}{names}".encode())


def send(data, url="INGEST_URL", patience=10):
    try:
        return verdict(raw(data, url, patience))
    except OSError:
        return "info"


def push(zone, text, url="INGEST_URL", owner=HOST, user="fred", more=""):
    return send(save_bytes(zone, text, owner, user, more), url)


def delete(zones, url="INGEST_URL", owner=HOST):
    return send(delete_bytes([zones] if isinstance(zones, str) else zones, owner), url)


# ---- zones -------------------------------------------------------------------------------------------------------

BEGAN_MS = int(time.time() * 1000)
RUN = f"{BEGAN_MS % 0xffffffff:x}"  # the stack lives longer than a story


def content(zone, n):
    """The records of version n of a zone: (owner, type, ttl, rdata). Each of them tells n."""
    found = [
        (f"{zone}.", "SOA", 3600, f"ns1.hoster.example. hostmaster.{zone}. {n} 3600 3600 1209600 86400"),
        (f"{zone}.", "NS", 3600, "ns1.hoster.example."),
        (f"{zone}.", "NS", 3600, "ns2.hoster.example."),
        (f"_n.{zone}.", "TXT", 3600, f'"{n}"'),
    ]
    a = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
    return found + [(f"{name}{zone}.", "A", 3600, a) for name in ("", "www.", "mail.", f"b{n % 5}.")]


def zone_text(zone, n):
    return "$TTL 3600\n" + "".join(f"{owner}\t{ttl}\tIN\t{kind}\t{data}\n" for owner, kind, ttl, data in content(zone, n))


def fingerprint(records):
    lines = sorted(f"{owner.lower()} {kind} {ttl} {data}" for owner, kind, ttl, data in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def expected(zone, n):
    """What transfer() must give; n None: the zone is not there."""
    return "absent" if n is None else fingerprint(content(zone, n))


class Transfers:
    """AXFR of many zones over one connection to one server."""

    def __init__(self, server):
        self.server = server
        self.conn = None

    def octets(self):
        return self.exactly(struct.unpack("!H", self.exactly(2))[0])

    def message(self):
        return dns.message.from_wire(self.octets(), ignore_trailing=True, one_rr_per_rrset=True)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            # PowerDNS sends a transfer in three pieces and waits for each one's acknowledgement
            self.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            piece = self.conn.recv(size - len(data))
            if not piece:
                raise ConnectionError(f"{self.server} closed the connection")
            data += piece
        return data

    def records(self, zone):
        """The records, or the rcode's name (REFUSED, NOTAUTH, SERVFAIL)."""
        if self.conn is None:
            self.conn = socket.create_connection(address(f"{self.server.upper()}_DNS"), timeout=5)
        query = wire.question(random.getrandbits(16), zone, dns.rdatatype.AXFR)
        self.conn.sendall(struct.pack("!H", len(query)) + query)
        found, soas = [], 0
        while soas < 2:
            reply = wire.Reply(self.octets(), fold=False)
            if reply.rcode != dns.rcode.NOERROR or not reply.answer:
                return dns.rcode.to_text(reply.rcode)
            for record in reply.answer:
                soas += record[1] == dns.rdatatype.SOA
                if soas < 2:
                    found.append(wire.as_text(record))
        return found

    def fingerprint(self, zone):
        try:
            found = self.records(zone)
        except OSError:
            self.close()
            found = self.records(zone)  # the server was started again since
        if isinstance(found, str):
            return "absent" if found in ("NOTAUTH", "REFUSED") else found
        return fingerprint(found)

    def close(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None


def ask(server, name, kind="SOA", patience=1.0):
    """The reply, or None."""
    query = dns.message.make_query(name, kind, use_edns=False)
    query.flags &= ~dns.flags.RD
    host, port = address(f"{server.upper()}_DNS")
    try:
        return dns.query.udp(query, host, port=port, timeout=patience)
    except (OSError, dns.exception.DNSException):
        return None


def serial(server, zone, patience=1.0):
    """The serial, or the rcode's name, or TIMEOUT."""
    number, until = random.getrandbits(16), time.monotonic() + patience
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as conn:
        try:
            conn.connect(address(f"{server.upper()}_DNS"))
            conn.send(wire.question(number, zone, dns.rdatatype.SOA))
            reply = None
            while reply is None or reply.number != number:
                conn.settimeout(max(until - time.monotonic(), 0.001))
                reply = wire.Reply(conn.recv(65535))
        except (OSError, ValueError, IndexError, struct.error):
            return "TIMEOUT"
    return next((wire.serial_of(record) for record in reply.answer if record[1] == dns.rdatatype.SOA), dns.rcode.to_text(reply.rcode))


def unlike(wanted, servers=SERVERS):
    """`wanted`: zone -> set of fingerprints that are right. What is served otherwise, [(server, zone, got)]."""
    return unlike_each({server: wanted for server in servers})


def unlike_each(wanted):
    """The same for server -> zone -> set; all servers at once."""
    wrong = {server: [] for server in wanted}

    def look(server):
        transfers = Transfers(server)
        try:
            for zone, right in wanted[server].items():
                got = transfers.fingerprint(zone)
                if got not in right:
                    wrong[server].append((server, zone, got))
        except Exception as error:
            wrong[server].append((server, "-", f"{type(error).__name__}: {error}"))
        transfers.close()
    threads = [threading.Thread(target=look, args=(server,)) for server in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for found in wrong.values() for one in found]


def converge(s, seconds, sentence, wanted, servers=SERVERS):
    """Every zone is served as `wanted` says; asks again only for those that are not yet, then once for all."""
    left = {server: dict(wanted) for server in servers}

    def question():
        wrong = unlike_each(left)
        for server in servers:
            zones = [zone for where, zone, _ in wrong if where == server]
            left[server] = left[server] if "-" in zones else {zone: wanted[zone] for zone in zones}
        return True if not wrong else f"{len(wrong)} wrong: {wrong[:3]}"
    return s.eventually(seconds, sentence, question, every=0.2)


# ---- Kafka -------------------------------------------------------------------------------------------------------

def kcat(*words, stdin=None):
    done = subprocess.run(["kcat", "-b", os.environ["KAFKA_BROKERS"], *words], capture_output=True, input=stdin, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"kcat {' '.join(words)}: {done.stderr.decode()}")
    return done.stdout.decode("utf-8", "replace")


def beginning(keys=None):
    """From where kcat must read to find all of `keys`: those of this story are not older than it."""
    return f"s@{BEGAN_MS}" if keys and all(RUN in key for key in keys) else "beginning"


def records(topic, keys=None):
    """All that stands there, or what has one of `keys`: (key, partition, offset, value or None), in order per partition."""
    found = []
    for line in kcat("-X", "fetch.wait.max.ms=10", "-C", "-e", "-q", "-o", beginning(keys), "-t", topic, "-f", "%k\t%p\t%o\t%S\t%s\n").splitlines():
        key, partition, offset, size, value = line.split("\t", 4)
        if keys is None or key in keys:
            found.append((key, int(partition), int(offset), None if size == "-1" else value))
    return found


def end_offsets(topic, partitions=12):
    """partition -> next offset"""
    words = [word for p in range(partitions) for word in ("-t", f"{topic}:{p}:-1")]
    return {int(p): int(o) for p, o in re.findall(r"\[(\d+)\] offset (\d+)", kcat("-Q", *words))}


def kafka_class(name, *words):
    done = subprocess.run(["tools/kafka.sh", "exec", name, *words], capture_output=True, text=True, timeout=90)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stdout}{done.stderr}")
    return done.stdout


def reset_group(*groups):
    """The groups forget how far they were. Nobody may be in them."""
    return kafka_class("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
                       os.environ["KAFKA_BROKERS"], "--delete", *(word for group in groups for word in ("--group", group)))


def version_of(value):
    """(epoch, offset) of a value of dadns.zones or dadns.status."""
    version = value["version"]
    return (version["epoch"], version["offset"]) if isinstance(version, dict) else tuple(map(int, str(version).split("-")))


def went_back(zones, backends=BACKENDS):
    """Zones to which a backend applied a version older than one that it had said before (I4): (key, had, then)."""
    highest, wrong = {}, []
    for key, _, _, text in records("dadns.status", {f"{backend}/{zone}" for backend in backends for zone in zones}):
        value = json.loads(text)
        if value["state"] in ("applied", "verified"):
            version = version_of(value)
            if version < highest.get(key, (0, 0)):
                wrong.append((key, highest[key], version))
            highest[key] = max(highest.get(key, (0, 0)), version)
    return wrong


class Follower(threading.Thread):
    """Reads a topic, from where it ends about now, and calls take(key, offset, payload) for each record."""

    def __init__(self, topic, take, start="end"):
        super().__init__(daemon=True)
        self.take = take
        self.process = subprocess.Popen(
            ["kcat", "-b", os.environ["KAFKA_BROKERS"], "-C", "-q", "-u", "-t", topic, "-o", start, "-f", "%k\t%o\t%s\n",
             "-X", "fetch.wait.max.ms=20"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.start()

    def run(self):
        for line in self.process.stdout:
            key, _, rest = line.decode("utf-8", "replace").rstrip("\n").partition("\t")
            offset, _, payload = rest.partition("\t")
            self.take(key, int(offset), payload)

    def stop(self):
        self.process.kill()
        self.process.wait()
