#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What must not get in does not: each is refused with a text, and nothing changes by it."""
import os
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
from story import HOST, login, push_target, raw, request_bytes, save_bytes, status_and_body  # noqa: E402

ZONE = f"still-{story.RUN}.example"
GOOD = story.zone_text(ZONE, 7)


def post(target, body=b"", more=""):
    return request_bytes("POST", target, body, more)


def text_case(more="", base=GOOD):
    return save_bytes(ZONE, base + more)


def target(domain, more=""):
    return b"/CMD_API_DNS_ADMIN?action=rawsave&domain=" + domain + f"{more}&username=fred&hostname={HOST}".encode()


def name_cases():
    """Names that are none; `%` forms are decoded by the door."""
    names = {
        "with a slash": b"a/b.example", "with ..": b"..%2f..%2fetc%2fpasswd", "that climbs": b"../../etc/x.example",
        "with encoded dots": b"%2e%2e.example", "with a double quote": b"a%22%3b%7d%3bzone.example", "with a quote": b"a'or'1.example",
        "with a space": b"a+b.example", "with an encoded space": b"a%20b.example", "with a line end": b"a%0d%0ab.example",
        "with an escape byte": b"a%1bb.example", "with a NUL that cuts it": ZONE.encode() + b"%00.victim.example",
        "with a NUL at its end": ZONE.encode() + b"%00", "with a backslash": b"a%5c046b.example", "with an empty label": b"a..b.example",
        "that begins with a dot": b".example", "of one label": b"example", "that is the root": b".", "that is empty": b"",
        "with a label of 64": b"a" * 64 + b".example", "of 254 octets": b".".join([b"a" * 49] * 5) + b".exam",
        "in raw UTF-8": "bücher.example".encode(), "with a bracket": b"a%7bb.example", "with a percent sign": b"a%25b.example",
        "with a star": b"*.example", "with an @": b"%40epoch.example",
    }
    for what, name in names.items():
        yield f"a zone name {what}", post(target(name), GOOD.encode()), (200, 400)
    for what, name in names.items():
        if name:
            yield f"a delete of a name {what}", post("/CMD_API_DNS_ADMIN", b"action=delete&hostname=" + HOST.encode() + b"&select0=" + name), (200, 400)


def zone_cases():
    soa = f"@ 3600 IN SOA ns1.hoster.example. hostmaster.{ZONE}. 9 3600 3600 1209600 86400\n"
    ns = f"{ZONE}. 3600 IN NS ns1.hoster.example.\n"
    for directive in ("$INCLUDE /etc/passwd", "$include /etc/passwd", "$Include /etc/passwd", "  $INCLUDE /etc/passwd", "$INCLUDEX x",
                      "$GENERATE 1-5 a$ A 192.0.2.$", "$generate 1-5 a$ A 192.0.2.$", "$GeNeRaTe 0-2147483647 a$ A 192.0.2.1",
                      "$ORIGIN victim.example.\nwww 60 IN A 192.0.2.1", "$TTL bananas"):
        yield f"a zone with {directive!r}", text_case(directive + "\n"), (200,)
    yield "a zone without SOA", save_bytes(ZONE, "$TTL 3600\n" + ns), (200,)
    yield "a zone with two SOAs", text_case(soa), (200,)
    yield "a zone with a SOA below the apex", save_bytes(ZONE, "$TTL 3600\n" + soa.replace("@", "sub") + ns), (200,)
    yield "a zone without NS", save_bytes(ZONE, "$TTL 3600\n" + soa), (200,)
    yield "a zone of comments", save_bytes(ZONE, "; nothing\n\n;\n"), (200,)
    yield "a zone of blanks", save_bytes(ZONE, "\n" * 30), (200,)
    yield "an HTML page", save_bytes(ZONE, "<html><body>500 Internal Server Error</body></html>\n"), (200,)
    yield "a record of another zone", text_case("www.victim.example. 60 IN A 192.0.2.1\n"), (200,)
    yield "a CNAME beside other data", text_case("www 60 IN CNAME mail\n"), (200,)
    yield "a string of 256 octets", text_case('long 60 IN TXT "' + "x" * 256 + '"\n'), (200,)
    yield "a quote that is never closed", text_case('long 60 IN TXT "abc\n'), (200,)
    yield "a bracket that is never closed", text_case("long 60 IN TXT ( abc\n"), (200,)
    yield "an address that is none", text_case("www 60 IN A 999.1.1.1\n"), (200,)
    yield "@foo, which ldns takes for the apex", text_case("@foo 60 IN A 192.0.2.66\n"), (200,)
    yield "a TTL that wraps around", text_case("x 4294967296 IN A 192.0.2.1\n"), (200,)
    yield "a NUL byte in a line", text_case("x 60 IN A 192.0.2.1\0\n"), (200,)
    yield "a line of binary", request_bytes("POST", push_target(ZONE), GOOD.encode() + bytes(range(1, 256))), (200,)
    yield "the zone cut in its SOA", save_bytes(ZONE, GOOD[:70]), (200,)


def http_cases():
    body = GOOD.encode()
    path = push_target(ZONE)
    auth = f"AUTHORIZATION: Basic {login()}\r\n"
    host = "HOST: ns1.dns.example\r\n"

    def head(*lines, method="POST", version="1.1", where=path):
        return (f"{method} {where} HTTP/{version}\r\n{host}Connection: close\r\n" + "".join(lines) + "\r\n").encode()

    length = f"Content-Length: {len(body)}\r\n"
    yield "an empty body", post(path, b""), (200,)
    yield "no length at all", head(auth, version="1.0"), (411,)
    yield "two different lengths", head(auth, length, "Content-Length: 3\r\n") + body, (400,)
    yield "the same length twice", head(auth, length, length) + body, (400,)
    yield "a length with a plus", head(auth, f"Content-Length: +{len(body)}\r\n") + body, (400,)
    yield "a length with a space before the colon", head(auth, f"Content-Length : {len(body)}\r\n") + body, (400,)
    yield "a length and chunks", head(auth, length, "Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n", (400,)
    yield "an unknown transfer coding", head(auth, "Transfer-Encoding: xchunked\r\n") + body, (400, 501)
    yield "a length beyond all measure", head(auth, "Content-Length: 99999999999999999999999\r\n"), (400, 413)
    yield "a body over the ceiling", head(auth, f"Content-Length: {64 << 20}\r\n"), (413,)
    yield "no Host in HTTP/1.1", (f"POST {path} HTTP/1.1\r\nConnection: close\r\n{auth}{length}\r\n").encode() + body, (400,)
    yield "two Hosts", head(auth, host, length) + body, (400,)
    yield "two Authorizations", head(auth, "Authorization: Basic eDp5\r\n", length) + body, (400, 401)
    yield "a header name with a space", head(auth, "X y: 1\r\n", length) + body, (400,)
    yield "a header of 100 kB", head(auth, f"X-Long: {'x' * 100000}\r\n", length) + body, (400, 413, 431)
    yield "a method that is none", head(auth, length, method="FROB") + body, (400, 405, 501, 200)
    yield "a PUT", head(auth, length, method="PUT") + body, (405, 400)
    yield "a rawsave by GET", head(auth, method="GET"), (405, 400, 200)
    for what, user, password in (("a wrong password", None, "wrong"), ("an unknown user", "nobody", None), ("both wrong", "x", "y")):
        yield what, head(f"AUTHORIZATION: Basic {login(user, password)}\r\n", length) + body, (401,)
    yield "no credentials", head(length) + body, (401,)
    yield "empty credentials", head("Authorization: Basic Og==\r\n", length) + body, (401,)
    yield "credentials that are no base64", head("Authorization: Basic %%%\r\n", length) + body, (401, 400)
    yield "another scheme", head("Authorization: Bearer abc\r\n", length) + body, (401, 400)
    yield "a page that is none", head(auth, length, where="/index.php?domain=" + ZONE) + body, (404,)
    for what, query in (
            ("domain twice", f"action=rawsave&domain={ZONE}&domain=victim.example&hostname={HOST}"),
            ("hostname twice", f"action=rawsave&domain={ZONE}&hostname={HOST}&hostname=da2.hoster.example"),
            ("action twice", f"action=rawsave&action=delete&domain={ZONE}&hostname={HOST}"),
            ("username twice", f"action=rawsave&domain={ZONE}&hostname={HOST}&username=a&username=b"),
            ("no domain", f"action=rawsave&hostname={HOST}"),
            ("no hostname", f"action=rawsave&domain={ZONE}"),
            ("a line end in hostname", f"action=rawsave&domain={ZONE}&hostname=da1%0d%0ax.example"),
            ("an escape byte in username", f"action=rawsave&domain={ZONE}&hostname={HOST}&username=a%1bb"),
            ("quotes in username", f"action=rawsave&domain={ZONE}&hostname={HOST}&username=a%22b"),
            ("a user name of 300", f"action=rawsave&domain={ZONE}&hostname={HOST}&username={'u' * 300}"),
            ("a cut escape", f"action=rawsave&domain={ZONE}&hostname={HOST}&x=%4"),
            ("100 parameters", f"action=rawsave&domain={ZONE}&hostname={HOST}" + "&a=b" * 100)):
        yield f"a query with {what}", post(f"/CMD_API_DNS_ADMIN?{query}", body), (200, 400)
    # libmicrohttpd has no memory left to say more than good-bye
    yield "a query with 2,000 parameters", post(f"{path}{'&a=b' * 2000}", body), (0, 400, 414, 431)
    for what, form in (
            ("select0 twice", f"action=delete&hostname={HOST}&select0={ZONE}&select0=victim.example"),
            ("hostname twice", f"action=delete&hostname={HOST}&hostname={HOST}&select0={ZONE}"),
            ("action twice", f"action=delete&action=exists&hostname={HOST}&select0={ZONE}"),
            ("one bad name among good ones", f"action=delete&hostname={HOST}&select0={ZONE}&select1=../x"),
            ("no name", f"action=delete&hostname={HOST}"),
            ("an empty name", f"action=delete&hostname={HOST}&select0="),
            ("no hostname", f"action=delete&select0={ZONE}"),
            ("a NUL", f"action=delete&hostname={HOST}&select0={ZONE}%00"),
            ("a bad escape", f"action=delete&hostname={HOST}&select0={ZONE}%"),
            ("1,100 names", f"action=delete&hostname={HOST}" + "".join(f"&select{i}=a{i}.example" for i in range(1100)))):
        yield f"a delete with {what}", post("/CMD_API_DNS_ADMIN", form.encode()), (200, 400)
    yield "a delete whose query and body disagree", post(
        f"/CMD_API_DNS_ADMIN?hostname={HOST}", f"action=delete&hostname=da2.hoster.example&select0={ZONE}".encode()), (200, 400)
    yield "a rawsave in a form", post(
        "/CMD_API_DNS_ADMIN", f"action=rawsave&domain={ZONE}&hostname={HOST}&zone_file=x".encode()), (200,)


def refused(answer, statuses):
    """None, or what is wrong with the answer."""
    status, body = status_and_body(answer)
    if status not in statuses:
        return f"status {status}, wanted one of {statuses}: {answer[:300]!r}"
    if status == 200 and not (body.startswith("error=1&text=") and len(body) > len("error=1&text=") + 5):
        return f"no error=1 with a text: {body[:300]}"
    if status not in (0, 200) and not body:
        return f"status {status} without a word: {answer[:300]!r}"
    return None


with story.Story("Hostile pushes are refused with a clear text, and nothing changes by them") as s:
    s.ok("a good push is acknowledged", story.push(ZONE, GOOD) == "ok")
    wanted = {ZONE: {story.expected(ZONE, 7)}}
    story.converge(s, 10, "all name servers serve it", wanted)
    ends = story.end_offsets("dadns.pushes")
    s.ok("the log's ends are known", len(ends) == 12, ends)

    for title, cases in (("names", name_cases()), ("zones", zone_cases()), ("requests", http_cases())):
        for sentence, data, statuses in cases:
            try:
                wrong = refused(raw(data, patience=3), statuses)
            except OSError as error:
                wrong = f"no answer: {error}"
            s.ok(f"{sentence}: refused", wrong is None, wrong)
        now = story.end_offsets("dadns.pushes")
        s.ok(f"none of these {title} reached the log", now == ends, (ends, now))
        ends = now

    # cut short at many places: nobody is there to hear an answer, and nothing may happen
    whole = save_bytes(ZONE, story.zone_text(ZONE, 8))
    for size in sorted({1, 20, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 4, *range(400, len(whole), 60), len(whole) - 1}):
        answer = raw(whole[:size], cut=True, patience=0.3)
        s.ok(f"a push cut after {size} of {len(whole)} bytes is not acknowledged", b"error=0" not in answer, answer)
    for size in (len(whole) - 1, len(whole) // 2):
        with socket.create_connection(story.address("INGEST_URL")) as conn:
            conn.sendall(whole[:size])
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
    s.ok("the door lives and answers", story.status_and_body(raw(request_bytes("GET", "/CMD_API_LOGIN_TEST")))[0] == 200)
    s.ok("no cut push reached the log", story.end_offsets("dadns.pushes") == ends)
    s.ok("the zone is served as before", story.unlike(wanted) == [], story.unlike(wanted))
    shown = [story.serial(ns, "victim.example") for ns in story.SERVERS]
    s.ok("and no name server shows anything of victim.example", set(shown) == {"REFUSED"}, shown)
    for dc in ("dc1", "dc2"):
        names = [name for name, in story.sql(dc, "SELECT zone FROM dadns_zones") if "victim" in name]
        s.ok(f"nor is there a word of it in {dc}", not names, names)
    s.ok("a good push still works", story.push(ZONE, story.zone_text(ZONE, 9)) == "ok")
    story.converge(s, 10, "and is served", {ZONE: {story.expected(ZONE, 9)}})
    moved = {p: o - ends[p] for p, o in story.end_offsets("dadns.pushes").items() if o != ends[p]}
    s.ok("it is the only new record of the log", list(moved.values()) == [1], moved)
