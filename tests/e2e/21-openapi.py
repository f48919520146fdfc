#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""proto/openapi.yml says what ingest answers: every class of answers in it is provoked on the real ingest and held to its schema."""
import ctypes
import json
import os
import re
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import contract  # noqa: E402
import story  # noqa: E402
from story import HOST, login, push_target, raw, request_bytes, zone_text  # noqa: E402

DNS = "/CMD_API_DNS_ADMIN"
ZONE = f"api-{story.RUN}.example"
OTHER = "da2.hoster.example"
NOWHERE = "--kafka.brokers=127.0.0.1:1 --redis.url=redis://127.0.0.1:1"  # an ingest to which Kafka and Redis are away
ALONE, SILENT = "INGEST_2_URL", "INGEST_3_ADMIN_URL"
SILENCE_S = 3
DOCUMENT = contract.Document("openapi.yml")


def get(target, more=""):
    return request_bytes("GET", target, None, more)


def post(target, body=b"", more=""):
    return request_bytes("POST", target, body.encode() if isinstance(body, str) else body, more)


def save(domain=ZONE, body=None, query="", hostname=HOST):
    return post(f"{DNS}?action=rawsave&domain={domain}&hostname={hostname}{query}", zone_text(ZONE, 1) if body is None else body)


def form(text):
    """A delete as DirectAdmin sends it."""
    return post(DNS, f"action=delete&cluster=yes&hostname={HOST}{text}")


def head(method, *lines, body=b"", target=DNS):
    return f"{method} {target} HTTP/1.1\r\nHost: ns1.dns.example\r\nConnection: close\r\n{''.join(lines)}\r\n".encode() + body


def auth():
    return f"AUTHORIZATION: Basic {login()}\r\n"


MANY = "".join(f"n{i} A 192.0.2.1\n" for i in range(20000))


def framing(operation, method):
    """What is wrong with the HTTP itself: the same for both methods."""
    length = "" if method == "GET" else "Content-Length: 0\r\n"
    return {
        f"{operation} 400 query": request_bytes(method, f"{DNS}?action=exists&domain=%4", b""),
        f"{operation} 400 repeated": request_bytes(method, f"{DNS}?action=exists&domain={ZONE}&domain=victim.example", b""),
        f"{operation} 400 selectTwice": request_bytes(method, f"{DNS}?action=delete&hostname={HOST}&select0={ZONE}&select0=victim.example", b""),
        f"{operation} 400 control": request_bytes(method, f"{DNS}?action=exists&domain={ZONE}%00", b""),
        f"{operation} 400 control json": request_bytes(method, f"{DNS}?json=yes&action=exists&domain={ZONE}%0a", b""),
        f"{operation} 400 path": request_bytes(method, "/CMD_%zz", b""),
        f"{operation} 400 headerName": head(method, auth(), length, "X y: 1\r\n"),
        f"{operation} 400 twoLengths": head(method, auth(), "Content-Length: 0\r\nContent-Length: 0\r\n"),
        f"{operation} 400 lengthAndCoding": head(method, auth(), "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
        f"{operation} 400 twoCodings": f"{method} {DNS} HTTP/1.0\r\n{auth()}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(),
        f"{operation} 400 twoAuthorizations": head(method, auth(), auth(), length),
        f"{operation} 400 twoHosts": head(method, auth(), "Host: other.example\r\n", length),
        f"{operation} 401 wrong": request_bytes(method, DNS, b"").replace(login().encode(), login("nobody").encode()),
        f"{operation} 414": request_bytes(method, f"{DNS}?{'x' * 40000}", b""),
        f"{operation} 431": request_bytes(method, DNS, b"", f"X-Long: {'x' * 100000}\r\n"),
    }


def without_credentials(operation, target, method="GET"):
    return {f"{operation} 401 wrong": f"{method} {target} HTTP/1.0\r\nContent-Length: 0\r\n\r\n".encode()}


def everyday():
    """What provokes each class on the ingest that everybody uses, in this order: the zone is there after the first."""
    return {
        "push 200 saved": save(),
        "push 200 saved json": save(query="&json=yes"),
        "push 200 hello": post(DNS),
        "push 200 exists": post(DNS, f"action=exists&domain=no-{ZONE}"),
        "push 200 zoneRefused": save(body=zone_text(ZONE, 1) + "www.victim.example. 60 IN A 192.0.2.1\n"),
        "push 200 zoneEmpty": save(body=""),
        "push 200 zoneEmpty json": save(body="", query="&json=yes"),
        "push 200 zoneTooLarge": save(body=zone_text(ZONE, 1) + MANY),
        "push 200 noName": save(domain="a..b.example"),
        "push 200 singleLabel": save(domain="example"),
        "push 200 noDomain": post(f"{DNS}?action=rawsave&hostname={HOST}", "x"),
        "push 200 noHostname": post(f"{DNS}?action=rawsave&domain={ZONE}", "x"),
        "push 200 badHostname": save(hostname="da1..example"),
        "push 200 longUsername": save(query="&username=" + "u" * 65),
        "push 200 badUsername": save(query="&username=a%22b"),
        "push 200 noAction": post(DNS, f"hostname={HOST}&select0={ZONE}"),
        "push 200 unknownAction": post(DNS, f"action=frob&hostname={HOST}&select0={ZONE}"),
        "push 200 rawsaveInForm": post(DNS, f"action=rawsave&domain={ZONE}&hostname={HOST}"),
        "push 200 noZones": form(""),
        "push 200 manyZones": form("".join(f"&select{i}=a{i}.example" for i in range(1001))),
        "push 400 form": form(f"&select0={ZONE}%"),
        **framing("push", "POST"),
        "push 411 noLength": head("POST", auth()),
        "push 413 tooLarge": head("POST", auth(), f"Content-Length: {(1 << 20) + 1}\r\n"),
        "push 501 coding": head("POST", auth(), "Transfer-Encoding: xchunked\r\n"),
        "ask 200 free": get(f"{DNS}?action=exists&domain=no-{ZONE}"),
        "ask 200 zone": get(f"{DNS}?action=exists&domain={ZONE}"),
        "ask 200 zone json": get(f"{DNS}?action=exists&domain={ZONE}&json=yes"),
        "ask 200 parent": get(f"{DNS}?action=exists&domain=a.b.{ZONE}&check_for_parent_domain=true"),
        "ask 200 noAction": get(DNS),
        "ask 200 unknownAction": get(f"{DNS}?action=frob"),
        "ask 200 noDomain": get(f"{DNS}?action=exists"),
        "ask 200 noDomain json": get(f"{DNS}?action=exists&json=yes"),
        **framing("ask", "GET"),
        "ask 405 rawsave": get(f"{DNS}?action=rawsave&domain={ZONE}&hostname={HOST}"),
        "ask 405 rawsave json": get(f"{DNS}?action=rawsave&domain={ZONE}&hostname={HOST}&json=yes"),
        "otherMethod 405 method": request_bytes("PUT", DNS, b""),
        "otherMethod 405 method json": request_bytes("DELETE", DNS + "?json=1", b""),
        **without_credentials("otherMethod", DNS, "PUT"),
        "loginTest 200 ok": get("/CMD_API_LOGIN_TEST"),
        "loginTest 200 ok json": get("/CMD_API_LOGIN_TEST?json=yes"),
        **without_credentials("loginTest", "/CMD_API_LOGIN_TEST"),
        "userExists 200 free": get("/CMD_API_USER_EXISTS?user=fred"),
        "userExists 200 free json": get("/CMD_API_USER_EXISTS?user=fred&json=yes"),
        **without_credentials("userExists", "/CMD_API_USER_EXISTS"),
        "otherCommand 200 unsupported": get("/CMD_API_POP"),
        "otherCommand 200 unsupported json": get("/CMD_API_POP?json=yes"),
        **without_credentials("otherCommand", "/CMD_API_POP"),
        "otherPage 404 notFound": b"GET /index.php HTTP/1.0\r\n\r\n",
        "push 200 deleted": form(f"&select0={ZONE}"),
        "ask 200 deleted": get(f"{DNS}?action=delete&hostname={HOST}&select0={ZONE}"),
    }


ADMIN_CASES = {
    "livez 200 ok": b"GET /livez HTTP/1.0\r\n\r\n",
    "readyz 200 ready": b"GET /readyz HTTP/1.0\r\n\r\n",
    "metrics 200 metrics": b"GET /metrics HTTP/1.0\r\n\r\n",
    "adminPost 405 onlyGet": b"POST /metrics HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
}


# ---- the document ------------------------------------------------------------------------------------------------

CLASSES = {}
for found in contract.answers(DOCUMENT):
    operation, status, _, kind, _, name, _ = found
    CLASSES[" ".join([operation, str(status), *([name] if name else []), *(["json"] if kind == "application/json" else [])])] = found
provoked = set()


def parts(answer):
    """Status, headers by their names in lower case, body."""
    top, _, body = answer.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    words = lines[0].split()
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), headers, body.decode("utf-8", "replace")


def sentence(pairs):
    """What two answers of one class have in common: all but what stands behind the first colon, and the version."""
    return {"error": pairs["error"], "exists": pairs.get("exists"), "text": re.sub(r"DaDNS \S+ ", "DaDNS … ", pairs.get("text", "")).split(": ")[0]}


def wrong_with(key, answer):
    """None, or why this answer is not of the class."""
    _, status, response, kind, media, _, example = CLASSES[key]
    got, headers, body = parts(answer)
    if got != status:
        return f"status {got}: {answer[:300]!r}"
    for name, header in response.get("headers", {}).items():
        value = headers.get(name.lower())
        errors = DOCUMENT.errors(header["schema"], value)
        if errors:
            return f"header {name}: {errors}"
    if kind is None:
        return None if "content-type" not in headers and body else f"a Content-Type, or no body: {answer[:300]!r}"
    if headers.get("content-type", "").split(";")[0] != kind or headers.get("content-length") != str(len(body.encode())):
        return f"headers {headers}"
    errors = DOCUMENT.errors(media["schema"], json.loads(body) if kind == "application/json" else body)
    if errors:
        return f"{errors}: {body[:300]}"
    if not isinstance(example, str) or example.startswith("error="):
        pairs = json.loads(body) if kind == "application/json" else contract.pairs(body)
        twin = response["content"].get("application/json")
        errors = DOCUMENT.errors(twin["schema"], pairs) if twin else []
        if errors:
            return f"{errors}: {pairs}"
        ours = sentence(pairs), sentence(example if kind == "application/json" else contract.pairs(example))
    elif DOCUMENT.at(media["schema"]) is DOCUMENT.root["components"]["schemas"]["Sentence"]:
        ours = body, example
    else:  # a page with a schema of its own, which it has passed
        ours = None, None
    return None if ours[0] == ours[1] else f"{ours[0]} is not {ours[1]}"


def provoke(s, key, data, url="INGEST_URL", patience=10):
    if key not in CLASSES:
        s.ok(f"{key} stands in the document", False)
        return
    try:
        wrong = wrong_with(key, raw(data, url, patience))
    except (OSError, ValueError) as error:
        wrong = f"no answer: {error}"
    if s.ok(key, wrong is None, wrong):
        provoked.add(key)


# ---- ingests in trouble ------------------------------------------------------------------------------------------

def begin_push(zone, url=ALONE):
    """Sends a push and does not wait."""
    conn = socket.create_connection(story.address(url), timeout=15)
    conn.sendall(save(domain=zone, body=zone_text(zone, 1)) if isinstance(zone, str) else form("".join(f"&select{i}={one}" for i, one in enumerate(zone))))
    return conn


def finish(conn):
    answer = b""
    while piece := conn.recv(65536):
        answer += piece
    conn.close()
    return answer


def answered(s, key, sentence, conn):
    """The answer to a push that was begun."""
    wrong = wrong_with(key, finish(conn))
    if s.ok(sentence, wrong is None, wrong):
        provoked.add(key)


def kafka_away(s):
    story.stack("start", "ingest-2", args=f"{NOWHERE} --app.bodies_bytes=1048576 --app.pushes_in_flight=1001", nowait=True)
    s.finally_do(story.stack, "stop", "ingest-2")
    story.stack("start", "ingest-5", args="--kafka.brokers=127.0.0.1:1 --app.held_pushes=0", nowait=True)
    s.finally_do(story.stack, "stop", "ingest-5")
    story.load_endpoints()
    s.eventually(10, "an ingest without Kafka that may hold nothing listens", lambda: listening("INGEST_5_URL"))
    full = begin_push(ZONE, "INGEST_5_URL")
    s.eventually(10, "an ingest without Kafka listens", lambda: listening(ALONE))
    provoke(s, "ask 200 notYetKnown", get(f"{DNS}?action=exists&domain={ZONE}"), ALONE)
    provoke(s, "push 200 notYetKnown", post(DNS, f"action=exists&domain={ZONE}"), ALONE)
    provoke(s, "readyz 503 notReady", b"GET /readyz HTTP/1.0\r\n\r\n", "INGEST_2_ADMIN_URL")

    # one body of a MiB that does not end, and another push; one that is refused at once tells when there is no room
    with socket.create_connection(story.address(ALONE), timeout=15) as conn:
        conn.sendall(head("POST", auth(), f"Content-Length: {1 << 20}\r\n", target=push_target(ZONE)) + b";" * ((1 << 20) - 10))
        s.eventually(10, "bodies are at their ceiling", lambda: "503" in raw(save(body="this is no zone at all\n"), ALONE).decode()[:20])
        provoke(s, "push 503 crowded", save(), ALONE)
    s.eventually(5, "a client that left gives back its room", lambda: story.metric("ingest-2", "dadns_http_cut_requests_total") > 0)

    # a push and a thousand deletes that wait for Kafka, and one push more
    alone = begin_push(ZONE)
    waiting = begin_push([f"a{i}.{ZONE}" for i in range(1000)])
    s.eventually(3, "a thousand pushes wait, and one", lambda: story.metric("ingest-2", "dadns_door_pushes_in_flight") == 1001)
    provoke(s, "push 200 busy", save(), ALONE)
    answered(s, "push 200 notStored", "push 200 notStored", alone)
    answered(s, "push 200 notStored", "push 200 notStored, a thousand at once", waiting)
    answered(s, "push 200 heldFull", "push 200 heldFull", full)


def listening(url):
    try:
        socket.create_connection(story.address(url), timeout=1).close()
        return True
    except OSError as error:
        return error


def bound_sender(s):
    """A user name that may speak for one DirectAdmin server alone."""
    secret = f"{story.STACK_DIR}/secrets/da2"
    with open(secret, "w") as file:
        file.write("secret\n")
    s.finally_do(os.remove, secret)
    path = f"{story.STACK_DIR}/dadns.yml"
    story.keep_config(s)
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("\napp:\n", f"\napp:\n  senders:\n    da2:\n      password_file: {secret}\n      hostnames: {OTHER}\n", 1))
    story.stack("start", "ingest-4")
    s.finally_do(story.stack, "stop", "ingest-4")
    story.load_endpoints()
    ours = login().encode(), login("da2", "secret").encode()
    provoke(s, "push 200 foreignHostname", save().replace(*ours), "INGEST_4_URL")
    own = f"own-{ZONE}"
    s.ok("it may push for its own", story.send(save(domain=own, body=zone_text(own, 1), hostname=OTHER).replace(*ours), "INGEST_4_URL") == "ok")
    s.eventually(5, "then the default account is told of that zone", lambda: b"exists=1" in raw(get(f"{DNS}?action=exists&domain={own}"), "INGEST_4_URL"))
    answer = raw(get(f"{DNS}?action=exists&domain={own}").replace(*ours), "INGEST_4_URL")
    s.ok("and it is not: its DirectAdmin server re-creates its own zones", answer.endswith(b"error=0&exists=0"), answer)


class Frozen:
    """Threads of a process that wait for something, held there by ptrace: to the others they are silent."""
    SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
    WALL = 0x40000000
    FUTEX = {"x86_64": "202", "aarch64": "98"}[os.uname().machine]

    def __init__(self, pid):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.threads = []
        for tid in map(int, os.listdir(f"/proc/{pid}/task")):
            with open(f"/proc/{pid}/task/{tid}/comm") as comm, open(f"/proc/{pid}/task/{tid}/syscall") as call:
                if comm.read().strip() == "ingest" and call.read().split()[0] == self.FUTEX:
                    self.ptrace(self.SEIZE, tid)
                    self.ptrace(self.INTERRUPT, tid)
                    os.waitpid(tid, self.WALL)
                    self.threads.append(tid)

    def ptrace(self, request, tid):
        if self.libc.ptrace(request, ctypes.c_long(tid), ctypes.c_void_p(0), ctypes.c_void_p(0)) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {tid}")

    def thaw(self):
        for tid in self.threads:
            self.ptrace(self.DETACH, tid)


def freeze(s):
    story.stack("start", "ingest-3", args=f"{NOWHERE} --admin.silence_ms={SILENCE_S * 1000}", nowait=True)
    s.finally_do(story.stack, "stop", "ingest-3")
    story.load_endpoints()
    s.eventually(10, "an ingest that is to fall silent lives", lambda: listening(SILENT))
    time.sleep(2.5)  # its loops have turned
    frozen = Frozen(story.pid_of("ingest-3"))
    s.finally_do(frozen.thaw)
    s.ok("some of its loops stand still", len(frozen.threads) > 1, frozen.threads)


with story.Story("proto/openapi.yml is what ingest answers") as s:
    for key, data in everyday().items():
        provoke(s, key, data)
        if key == "push 200 saved":
            s.eventually(5, "the zone is known", lambda: b"exists=1" in raw(get(f"{DNS}?action=exists&domain={ZONE}")))
    for key, data in ADMIN_CASES.items():
        provoke(s, key, data, "INGEST_ADMIN_URL")
    s.ok("HEAD is a GET without a body on the admin pages", parts(raw(b"HEAD /livez HTTP/1.0\r\n\r\n", "INGEST_ADMIN_URL"))[::2] == (200, ""))
    bound_sender(s)
    kafka_away(s)
    freeze(s)
    s.eventually(SILENCE_S + 10, "livez says that a loop is silent", lambda: b" 503 " in raw(b"GET /livez HTTP/1.0\r\n\r\n", SILENT)[:20], every=0.5)
    provoke(s, "livez 503 silent", b"GET /livez HTTP/1.0\r\n\r\n", SILENT)
    s.ok("every class of answers in the document was provoked", provoked == set(CLASSES), sorted(set(CLASSES) - provoked))
