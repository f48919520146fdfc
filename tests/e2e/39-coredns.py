#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CoreDNS serves on whatever becomes of its database, of its snapshot, of its Corefile; it serves zones that DaDNS never
had, and tables that DaDNS never saw; others get whole zones from it and are told when one changes.

ZONES of the environment chooses another size.
"""
import os
import shutil
import signal
import socket
import struct
import sys
import threading
import time

import dns.message
import dns.opcode
import dns.rcode
import dns.rrset

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import coredns  # noqa: E402
import rows  # noqa: E402
import story  # noqa: E402
import tables  # noqa: E402

ZONES = int(os.environ.get("ZONES") or 200)
BY_HAND = 15  # seconds: tables without versions are read every ten
HAND, COPY = "hand", "byhand"


def pushed(s, state, n, zones=None, deletes=()):
    refused = tables.change_all(state, n, zones, deletes)
    if refused:
        s.ok("all pushes are acknowledged", False, refused[:3])


def served(s, seconds, sentence, state, server="dc1"):
    """By UDP and, zone by zone, by AXFR; says after how long."""
    began = time.monotonic()
    left = dict(state)
    while left and time.monotonic() - began < seconds:
        left = {zone: n for zone, n in left.items() if tables.answers(server, zone, n) is not None}
    took = time.monotonic() - began
    wrong = [tables.answers(server, zone, n) for zone, n in list(left.items())[:3]] or \
        story.unlike({zone: {story.expected(zone, n)} for zone, n in state.items()}, (server,))
    return s.ok(f"{sentence}: {len(state)} zones, by AXFR too, after {took:.2f} s", not wrong, wrong[:3])


# ---- without the database ------------------------------------------------------------------------------------------

def without_database(s, state):
    s.finally_do(lambda: story.alive("mariadb") or story.start("mariadb"))
    s.finally_do(lambda: story.alive("dc1") or story.start("dc1"))
    zones = sorted(state)
    pushed(s, state, 2, zones[:80], deletes=set(zones[:20]))
    s.eventually(20, "60 zones are changed and 20 deleted, dc1 follows", lambda: [
        zone for zone in zones if tables.answers("dc1", zone, state[zone])] or True, every=0)
    story.kill("mariadb")
    story.kill("dc1")
    log = story.log_size("dc1")
    story.start("dc1")
    served(s, 10, "MariaDB and CoreDNS are killed in that moment, CoreDNS is started: it serves the last state", state)
    deleted = [zone for zone in zones if state[zone] is None]
    s.ok(f"{len(deleted)} deleted zones are REFUSED", {story.serial("dc1", zone) for zone in deleted} == {"REFUSED"})
    s.ok("it is ready", coredns.is_ready("dc1"))
    s.eventually(20, "its log says why it is alone", lambda: all(
        text in story.log_since("dc1", log) for text in ("are served from the snapshot", "the tables cannot be read")) or story.log_since("dc1", log))
    s.eventually(20, "errors_total counts", lambda: coredns.metric("dc1", "errors_total", 'what="database"') >= 2)
    s.ok("it does not claim to be up to date", coredns.metric("dc1", "followed_timestamp_seconds") == 0)

    pushed(s, state, 3, zones[40:120], deletes=set(zones[100:120]))
    fresh = [f"meanwhile{i}-{story.RUN}.example" for i in range(20)]
    pushed(s, state, 3, fresh)
    story.start("mariadb")
    served(s, 20, "80 changes and 20 new zones later MariaDB is back: it follows", state)
    s.eventually(10, "and says that it does", lambda: time.time() - coredns.metric("dc1", "followed_timestamp_seconds") < 2)
    s.ok("its log says that the tables can be read again", "can be read again" in story.log_since("dc1", log))

    # once more, without a restart
    story.kill("mariadb")
    log, errors = story.log_size("dc1"), coredns.metric("dc1", "errors_total")
    s.eventually(10, "MariaDB is killed once more, the log says so", lambda: "the tables cannot be read" in story.log_since("dc1", log))
    followed = coredns.metric("dc1", "followed_timestamp_seconds")
    watch = coredns.Watch("dc1", state)
    time.sleep(3)
    watch.judged(s, "dc1 answers from memory", len(state))
    s.ok("the time when it was last up to date stands still", followed == coredns.metric("dc1", "followed_timestamp_seconds"))
    tries = coredns.metric("dc1", "errors_total") - errors
    s.ok(f"it has tried to reach the database {tries:.0f} times, and said so once",
         1 <= tries <= 8 and story.log_since("dc1", log).count("the tables cannot be read") == 1)
    pushed(s, state, 4, zones[:40])
    story.start("mariadb")
    served(s, 20, "MariaDB is back: it follows", state)


# ---- zones that DaDNS never had ------------------------------------------------------------------------------------

def write_by_hand(database, zone, n, spelling=None):
    """As story.content() has it: the rows that somebody writes who knows no versions."""
    with rows.connect(database) as conn, conn.cursor() as cursor:
        conn.begin()
        spelling = spelling or zone + "."
        cursor.execute("INSERT IGNORE INTO zones (zone_name) VALUES (%s)", spelling)
        cursor.execute("SELECT id FROM zones WHERE zone_name = %s", spelling)
        number = cursor.fetchone()[0]
        cursor.execute("DELETE FROM records WHERE zone_id = %s", number)
        cursor.executemany(
            "INSERT INTO records (zone_id, hostname, type, data, ttl, online) VALUES (%s, %s, %s, %s, %s, %s)",
            [(number, owner.removesuffix(f"{zone}.").rstrip(".") or "@", kind, data, ttl, 1) for owner, kind, ttl, data in story.content(zone, n)]
            + [(number, "offline", "A", "192.0.2.1", 60, 0)])
        conn.commit()


def remove_by_hand(database, zone):
    with rows.connect(database) as conn, conn.cursor() as cursor:
        conn.begin()
        cursor.execute("DELETE r FROM records r JOIN zones z ON z.id = r.zone_id WHERE z.zone_name = %s", zone + ".")
        cursor.execute("DELETE FROM zones WHERE zone_name = %s", zone + ".")
        conn.commit()


def by_hand(s, state):
    watch = coredns.Watch("dc1", state)
    zones = [f"{HAND}{i}-{story.RUN}.example" for i in range(8)]
    mine = dict.fromkeys(zones, 1)
    s.finally_do(lambda: [remove_by_hand("dc1", zone) for zone in zones])
    for zone in zones:
        write_by_hand("dc1", zone, 1, zone.capitalize() if zone == zones[0] else None)
    served(s, BY_HAND, "zones whose rows were written by hand are served", mine)
    s.ok("what is not online is not", story.serial("dc1", f"offline.{zones[1]}") == "NXDOMAIN")
    for zone in zones[1:5]:
        write_by_hand("dc1", zone, 2)
        mine[zone] = 2
    for zone in zones[5:7]:
        remove_by_hand("dc1", zone)
        mine[zone] = None
    served(s, BY_HAND, "four of them are changed by hand, two removed", mine)
    taken = {zones[7]: 1}
    pushed(s, taken, 3)
    served(s, 10, "one is pushed now: DaDNS has it from here on", taken)
    time.sleep(1)
    served(s, 10, "and it stays", taken)
    pushed(s, taken, 4, deletes=taken)
    served(s, 10, "and is deleted", taken)
    watch.judged(s, "DaDNS's own zones were served all the time", len(state))
    story.stack("stop", "dc1")
    write_by_hand("dc1", zones[5], 3)
    story.start("dc1")
    mine = {zone: n for zone, n in mine.items() if zone != zones[7]} | {zones[5]: 3}
    served(s, BY_HAND, "one that was removed is written again while dc1 is down: it is served", mine)


# ---- tables that DaDNS never saw -----------------------------------------------------------------------------------

def copied_tables(s, state):
    for text in (f"CREATE OR REPLACE DATABASE {COPY}", f"CREATE TABLE {COPY}.zones LIKE dc1.zones",
                 f"CREATE TABLE {COPY}.records LIKE dc1.records", f"INSERT INTO {COPY}.zones SELECT * FROM dc1.zones",
                 f"INSERT INTO {COPY}.records SELECT * FROM dc1.records",
                 f"CREATE OR REPLACE USER {COPY}@'%' IDENTIFIED BY '{COPY}'", f"GRANT SELECT ON {COPY}.* TO {COPY}@'%'",
                 f"GRANT INSERT, UPDATE, DELETE ON {COPY}.* TO {COPY}@'%'"):
        story.sql("mariadb", text)
    s.finally_do(lambda: [story.sql("mariadb", text) for text in (f"DROP DATABASE {COPY}", f"DROP USER {COPY}@'%'")])
    url = f"mysql://{COPY}:{COPY}@127.0.0.1:{os.environ['MARIADB_PORT']}/{COPY}"
    os.environ[f"{COPY.upper()}_MYSQL"] = url
    server = coredns.Server(s, COPY, database=url, snapshot=f"{story.STACK_DIR}/{COPY}/zones.snapshot")
    server.start()
    served(s, 20, "a copy of the tables zones and records alone is served by another CoreDNS", state, COPY)
    s.ok("it is ready and sees no fault", coredns.is_ready(COPY) and coredns.metric(COPY, "errors_total") == 0, server.said())
    zones = [zone for zone in sorted(state) if state[zone] is not None]
    fresh = f"fresh-{HAND}-{story.RUN}.example"
    mine = {**state, zones[0]: 20, zones[1]: None, fresh: 1}
    write_by_hand(COPY, zones[0], 20)
    remove_by_hand(COPY, zones[1])
    write_by_hand(COPY, fresh, 1)
    statements = coredns.metric(COPY, "statements_total")
    served(s, BY_HAND, "there a zone is changed, one removed, one added", mine, COPY)
    s.ok("by few statements", coredns.metric(COPY, "statements_total") - statements <= 4)
    server.kill()
    server.configure(database=url.replace(f":{os.environ['MARIADB_PORT']}/", ":9/"))
    server.start()
    served(s, 10, "killed and started without the database it serves the same", mine, COPY)
    s.ok("and is ready", coredns.is_ready(COPY))
    server.kill()


# ---- whole zones to others -----------------------------------------------------------------------------------------

def big_text(zone, n):
    """5,000 records; every twentieth a TXT of seven strings."""
    lines = [f"{zone}.\t3600\tIN\tSOA\tns1.hoster.example. hostmaster.{zone}. {n} 3600 3600 1209600 86400",
             f"{zone}.\t3600\tIN\tNS\tns1.hoster.example."]
    for i in range(4998):
        data = " ".join(f'"{str(i) * 300:.255}"' for _ in range(7)) if i % 20 == 0 else f"10.{i >> 8}.{i & 255}.{n & 255}"
        lines.append(f"h{i}.{'a.b.' * (i % 3)}{zone}.\t300\tIN\t{'TXT' if i % 20 == 0 else 'A'}\t{data}")
    return "\n".join(lines) + "\n"


def ixfr(server, zone, serial):
    """(records, SOAs) of the answer to an IXFR question by TCP, or its rcode's name."""
    query = dns.message.make_query(zone, "IXFR", use_edns=False)
    query.authority.append(dns.rrset.from_text(f"{zone}.", 0, "IN", "SOA", f". . {serial} 0 0 0 0"))
    host, port = story.address(f"{server.upper()}_DNS")
    found, soas = 0, []
    with socket.create_connection((host, port), timeout=5) as conn:
        wire = query.to_wire()
        conn.sendall(struct.pack("!H", len(wire)) + wire)
        transfers = story.Transfers(server)
        transfers.conn = conn
        conn.settimeout(0.5)
        while len(soas) < 2:
            try:
                reply = transfers.message()
            except TimeoutError:
                break  # that was all
            if reply.rcode() != 0:
                return reply.rcode()
            for rrset in reply.answer:
                found += 1
                if rrset.rdtype == 6:
                    soas.append(rrset[0].serial)
    return found, soas


def transfers(s, state):
    zone = f"big-{story.RUN}.example"
    text = big_text(zone, 1)
    s.ok(f"a zone of 5000 records is pushed, {len(text) // 1024} KiB", story.push(zone, text) == "ok")
    s.eventually(20, "ns1 and dc1 serve it", lambda: [story.serial(server, zone) for server in ("ns1", "dc1")] == [1, 1])
    both = {server: story.Transfers(server).records(zone) for server in ("ns1", "dc1")}
    s.ok("dc1 gives all of it by AXFR", len(both["dc1"]) == 5000, len(both["dc1"]))
    s.ok("the same as ns1, by digest", story.fingerprint(both["dc1"]) == story.fingerprint(both["ns1"]))
    absent = f"absent-{story.RUN}.example"
    s.ok("a zone that is not there is refused", story.Transfers("dc1").fingerprint(absent) == "absent")
    s.ok("each question on a connection gets one reply", replies("dc1", [(absent, "AXFR"), (zone, "SOA"), (zone, "MAILB"), (absent, "A"), (zone, "NS")])
         == ["REFUSED", "NOERROR", "NOTIMP", "REFUSED", "NOERROR"])
    some = next(zone for zone, n in sorted(state.items()) if n is not None)
    count = len(story.content(some, 1))
    s.ok("who asks by IXFR and has the serial gets the SOA alone", ixfr("dc1", some, state[some]) == (1, [state[some]]), ixfr("dc1", some, state[some]))
    s.ok("who has an older one gets the whole zone", ixfr("dc1", some, state[some] - 1) == (count + 1, [state[some]] * 2),
         ixfr("dc1", some, state[some] - 1))


def replies(server, questions):
    """The rcode of each message that comes over one connection, until nothing does."""
    found = []
    transfers = story.Transfers(server)
    with socket.create_connection(story.address(f"{server.upper()}_DNS"), timeout=0.5) as transfers.conn:
        for name, kind in questions:
            wire = dns.message.make_query(name, kind, use_edns=False).to_wire()
            transfers.conn.sendall(struct.pack("!H", len(wire)) + wire)
            time.sleep(0.05)  # or they may be answered in another order
        try:
            while True:
                found.append(dns.rcode.to_text(transfers.message().rcode()))
        except TimeoutError:
            return found


class Secondary(threading.Thread):
    """Hears NOTIFYs: (zone, when). Says that it has them, unless it is mute."""

    def __init__(self):
        super().__init__(daemon=True)
        self.conn = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.conn.bind(("127.0.0.1", 0))
        self.port = self.conn.getsockname()[1]
        self.heard, self.mute = [], False
        self.start()

    def run(self):
        while True:
            wire, sender = self.conn.recvfrom(512)
            message = dns.message.from_wire(wire)
            if message.opcode() == dns.opcode.NOTIFY:
                self.heard.append(message.question[0].name.to_text(omit_final_dot=True))
                if not self.mute:
                    self.conn.sendto(dns.message.make_response(message).to_wire(), sender)


def second_server(s):
    """On the tables of dc1, with a secondary to tell."""
    secondary = Secondary()
    server = coredns.Server(s, "second", snapshot=f"{story.STACK_DIR}/second/zones.snapshot",
                            database=f"mysql://dc1_reader@127.0.0.1:{os.environ['MARIADB_PORT']}/dc1",
                            password_file=f"{story.STACK_DIR}/secrets/dc1-reader-password")
    server.configure(to=f"127.0.0.1:{secondary.port}")
    server.start()
    return server, secondary


def notifies(s, state, server, secondary):
    served(s, 20, "a second CoreDNS on the same tables serves what dc1 serves", state, server.name)
    seen = len(secondary.heard)
    while time.sleep(0.5) or len(secondary.heard) != seen:
        seen = len(secondary.heard)  # of what was new to it
    zones = [zone for zone in sorted(state) if state[zone] is not None][:6]
    for zone in zones[:3]:
        pushed(s, state, state[zone] + 1, [zone])
        s.eventually(10, "a zone is changed, its secondary is told", lambda zone=zone: zone in secondary.heard[seen:], every=0.002)
        transfer = story.Transfers(server.name).fingerprint(zone)
        s.ok("and gets the new one at once", transfer == story.expected(zone, state[zone]), transfer)
    s.ok("of others nothing is said", set(secondary.heard[seen:]) <= set(zones[:3]), secondary.heard[seen:])
    secondary.mute = True
    for zone in zones:
        pushed(s, state, state[zone] + 1, [zone])
    served(s, 5, "a secondary that does not answer keeps no zone from being served", {zone: state[zone] for zone in zones}, server.name)
    secondary.mute = False
    s.eventually(45, "and is told in the end", lambda: set(zones) <= set(secondary.heard[seen:]))


# ---- the snapshot --------------------------------------------------------------------------------------------------

def snapshots(s, state, server):
    rival = coredns.Server(s, "rival", **server.options)
    rival.configure()
    rival.launch()
    s.eventually(10, "a server that is given the snapshot of another one ends", lambda: rival.process.poll() not in (None, 0) or rival.said())
    s.ok("and says why", "zones.snapshot is used by another server" in rival.said(), rival.said())

    # what dc1 has now, cut in the line of its last change
    path = f"{rival.folder}/zones.snapshot"
    last = sorted(zone for zone in state if state[zone] is not None)[0]
    pushed(s, state, state[last] + 1, [last])
    s.eventually(10, "one more push", lambda: story.serial("dc1", last) == state[last])
    shutil.copy(f"{story.STACK_DIR}/dc1/zones.snapshot", path)
    with open(path, "rb") as file:
        os.truncate(path, file.read().rindex(f'"zone":"{last}."'.encode()) + 40)
    rival.options.update(snapshot=path, database="mysql://nobody@127.0.0.1:9/nothing")
    rival.start()
    others = {zone: n for zone, n in state.items() if zone != last}
    served(s, 10, "a snapshot that is cut in the line of its last change: all other zones are served", others, "rival")
    s.ok("of that one the state before", story.serial("rival", last) == state[last] - 1, story.serial("rival", last))
    s.ok("the log says that it was cut", "was cut" in rival.said(), rival.said())
    s.ok("it is ready", coredns.is_ready("rival"))
    rival.kill()
    with open(path, "w") as file:
        file.write("something else altogether\n")
    rival.launch()
    s.eventually(10, "a file that is no snapshot is not overwritten: the server ends", lambda: rival.process.poll() not in (None, 0) or rival.said())
    with open(path) as file:
        s.ok("and says why", "is no snapshot" in rival.said() and file.read().startswith("something"), rival.said())


# ---- another Corefile ----------------------------------------------------------------------------------------------

def still_follows(s, sentence, state, server):
    zones = [zone for zone in sorted(state) if state[zone] is not None][:10]
    n = max(state[zone] for zone in zones) + 1
    pushed(s, state, n, zones)
    served(s, 15, sentence, {zone: state[zone] for zone in zones}, server.name)


def another_corefile(s, state, server):
    pid = server.process.pid
    watch = coredns.Watch(server.name, dict(state), pause=0.002)

    def reread(sentence, word, quietly=False):
        before = len(server.said())
        if not quietly:
            os.kill(pid, signal.SIGUSR1)
        s.eventually(20, sentence, lambda: word in server.said()[before:] or server.said()[before:])

    server.configure(poll="200ms")
    reread("another poll, SIGUSR1: the Corefile is read again", "Reloading complete")
    still_follows(s, "it follows afterwards", state, server)
    server.configure(poll="1ms")
    reread("a poll that is too fast is not taken", "at least 100ms")
    still_follows(s, "it goes on as before", state, server)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        server.configure(poll="150ms", beside=f"example.org:{busy.getsockname()[1]} {{\n    bind 127.0.0.1\n    log\n}}\n")
        reread("nor an address that is taken", "address already in use")
        still_follows(s, "it goes on as before", state, server)
    server.configure(more="reload 2s 1s")
    reread("the next one that is right is taken", "Reloading complete")
    still_follows(s, "and it follows", state, server)
    server.configure(more="reload 2s 1s", poll="125ms")
    reread("changed once more: CoreDNS's own plugin reload sees it", "Reloading complete", quietly=True)
    still_follows(s, "it follows", state, server)
    watch.judged(s, "all that time somebody answered", 10 * len(state))
    s.ok("without a second's silence", watch.longest < 1, watch.longest)
    s.ok("it is the same process", server.process.poll() is None and server.process.pid == pid)


with story.Story("CoreDNS without its database, with tables that others fill, with secondaries, reloaded") as s:
    state = {}
    pushed(s, state, 1, [f"coredns{i}-{story.RUN}.example" for i in range(ZONES)])
    served(s, 20, "zones are pushed, dc1 serves them", state)
    without_database(s, state)
    by_hand(s, state)
    copied_tables(s, state)
    transfers(s, state)
    server, secondary = second_server(s)
    notifies(s, state, server, secondary)
    snapshots(s, state, server)
    another_corefile(s, state, server)
