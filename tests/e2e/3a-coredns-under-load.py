#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A zone is rewritten a thousand times as fast as pushes are taken, while CoreDNS is asked all the time: no answer is put
together of two versions, none is older than one before. Then how often it asks its database, as the database itself
counts it, idle and while 3,000 new zones come, and how long a push needs until it is served.

ZONES and REWRITES of the environment choose another run. Times are printed; the bench judges them.
"""
import contextlib
import os
import socket
import statistics
import struct
import sys
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import coredns  # noqa: E402
import story  # noqa: E402
import tables  # noqa: E402

REWRITES = int(os.environ.get("REWRITES") or 1000)
ZONES = int(os.environ.get("ZONES") or 3000)
SINGLE = 40
SET = 20      # records of one RRset
HOSTS = 200   # names of the zone besides
RATE = 10     # statements a second
ZONE = f"rewritten-{story.RUN}.example"


# ---- a zone, each record of which tells its number -----------------------------------------------------------------

def records(n):
    address = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
    found = [("@", "SOA", f"ns1.hoster.example. hostmaster.{ZONE}. {n} 3600 3600 1209600 86400"), ("@", "NS", "ns1.hoster.example."),
             ("start", "CNAME", f"middle{n % 7}.{ZONE}."), (f"middle{n % 7}", "CNAME", f"end.{ZONE}."), ("end", "TXT", f'"{n}"'),
             ("mail", "MX", f"{n % 65536} mx{n % 5}.{ZONE}."), (f"mx{n % 5}", "A", address)]
    found += [("set", "TXT", f'"{n} {i}"') for i in range(SET)]
    found += [(f"h{i}.{'deep.' * (i % 3)}{ZONE}.".removesuffix(f".{ZONE}."), "A", address) for i in range(HOSTS)]
    return [(f"{ZONE}." if owner == "@" else f"{owner}.{ZONE}.", kind, 3600, data) for owner, kind, data in found]


def text_of(n):
    return "".join(f"{owner}\t{ttl}\tIN\t{kind}\t{data}\n" for owner, kind, ttl, data in records(n))


class Torn(Exception):
    pass


def same(found, n, *owners):
    """Exactly the records of number n with these owners and types, no other."""
    wanted = {record for record in records(n) if not owners or record[:2] in owners}
    if len(found) != len(wanted) or set(found) != wanted:
        raise Torn(f"{n}: besides {sorted(set(found) - wanted)[:3]}, without {sorted(wanted - set(found))[:3]}, {len(found)} records")
    return n


def first(words):
    return int(words.strip('"').split()[0])


# ---- who asks ------------------------------------------------------------------------------------------------------

class Asker(threading.Thread):
    """Asks one question again and again, a few times at once; `of` makes of a reply the number that all of it has."""
    AT_ONCE = 16

    def __init__(self, sentence, name, kind, of):
        super().__init__(daemon=True)
        self.sentence, self.of = sentence, of
        query = dns.message.make_query(f"{name}.{ZONE}", kind, use_edns=0, payload=4096)
        query.flags &= ~dns.flags.RD
        self.query = query.to_wire()[2:]
        self.known = {}  # a reply's octets -> its number
        self.looks, self.seen, self.last = 0, set(), 0
        self.torn, self.older, self.troubles = [], [], []
        self.stopping = False
        self.conn = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.conn.connect(story.address("DC1_DNS"))
        self.conn.settimeout(2)

    def once(self):
        """The numbers of answers to questions that were asked at once."""
        for i in range(self.AT_ONCE):
            self.conn.send(struct.pack("!H", i) + self.query)
        found = []
        for _ in range(self.AT_ONCE):
            wire = self.conn.recv(65535)[2:]
            if wire not in self.known:
                self.known[wire] = self.of(dns.message.from_wire(b"\0\0" + wire))
            found.append(self.known[wire])
        return found

    def run(self):
        while not self.stopping:
            try:
                found = self.once()
                if min(found) < self.last:
                    self.older.append((self.last, min(found)))
                self.last = max(found)
                self.seen.update(found)
                self.looks += len(found)
            except Torn as torn:
                self.torn.append(str(torn))
                self.forget()
            except (OSError, dns.exception.DNSException) as error:  # no answer
                self.troubles.append(f"{type(error).__name__}: {error}")
                self.forget()
            time.sleep(0.001)

    def forget(self):
        """Answers that are still on their way."""
        time.sleep(0.2)
        self.conn.setblocking(False)
        with contextlib.suppress(OSError):
            while True:
                self.conn.recv(65535)
        self.conn.settimeout(2)

    def judged(self, s):
        s.ok(f"{self.sentence}: {self.looks} looks, {len(self.seen)} rewrites seen, all of one number each", not self.torn, self.torn[:3])
        s.ok("never an older one, and always an answer", not self.older and not self.troubles, (self.older[:3], self.troubles[:3]))


class Transfers(Asker):
    def __init__(self):
        super().__init__("by AXFR the whole zone", "@", "AXFR", None)
        self.transfers = story.Transfers("dc1")

    def once(self):
        found = self.transfers.records(ZONE)
        if isinstance(found, str):
            raise Torn(found)
        return [same(found, int(found[0][3].split()[2]))]


def flat(section):
    return [(rrset.name.to_text(), dns.rdatatype.to_text(rrset.rdtype), rrset.ttl, rdata.to_text()) for rrset in section for rdata in rrset]


def an_rrset(reply):
    found = flat(reply.answer)
    if not found:
        raise Torn(f"an empty answer, {dns.rcode.to_text(reply.rcode())}")
    return same(found, first(found[0][3]), (f"set.{ZONE}.", "TXT"))


def a_chain(reply):
    found = flat(reply.answer)
    if not found or found[-1][1] != "TXT":
        raise Torn(f"the chain has no end: {found}")
    n = first(found[-1][3])
    return same(found, n, (f"start.{ZONE}.", "CNAME"), (f"middle{n % 7}.{ZONE}.", "CNAME"), (f"end.{ZONE}.", "TXT"))


def mail(reply):
    found = flat(reply.answer) + flat(reply.additional)
    if not found or found[0][1] != "MX":
        raise Torn(f"no MX: {found}")
    n = first(found[0][3])
    return same(found, n, (f"mail.{ZONE}.", "MX"), (f"mx{n % 5}.{ZONE}.", "A"))


def denial(reply):
    found = flat(reply.authority)
    if reply.rcode() != dns.rcode.NXDOMAIN or len(found) != 1 or reply.answer:
        raise Torn(f"{dns.rcode.to_text(reply.rcode())} {flat(reply.answer)} {found}")
    return int(found[0][3].split()[2])


def rewrites(s):
    s.ok(f"a zone of {len(records(1))} records is pushed", story.push(ZONE, text_of(1)) == "ok")
    s.eventually(10, "dc1 serves it", lambda: story.serial("dc1", ZONE) == 1)
    askers = [Asker(f"an RRset of {SET}", "set", "TXT", an_rrset), Asker("a chain of two CNAMEs with its end", "start", "TXT", a_chain),
              Asker("an MX with the address of its host", "mail", "MX", mail), Asker("the SOA that denies a name", "nowhere", "A", denial),
              Transfers()]
    s.ok("each question has its answer", {n for asker in askers for n in asker.once()} == {1})
    for asker in askers:
        asker.start()
    began = time.monotonic()
    refused = [n for n in range(2, REWRITES + 2) if story.push(ZONE, text_of(n)) != "ok"]
    took = time.monotonic() - began
    s.ok(f"it is rewritten {REWRITES} times in {took:.1f} s, all are acknowledged", not refused, refused[:3])
    s.eventually(20, "dc1 serves the last one", lambda: story.serial("dc1", ZONE) == REWRITES + 1 or story.serial("dc1", ZONE))
    s.eventually(5, "all see it", lambda: {asker.last for asker in askers} == {REWRITES + 1})
    for asker in askers:
        asker.stopping = True
    for asker in askers:
        asker.join(5)
        asker.judged(s)
    seen = set.union(*(asker.seen for asker in askers))
    least = max(10, int(2 * took))
    s.ok(f"{len(seen)} different rewrites were seen in {sum(asker.looks for asker in askers)} looks, that is enough", len(seen) >= least, least)


# ---- how often it asks ---------------------------------------------------------------------------------------------

def statements():
    """What MariaDB has counted for the account: (statements, seconds in them, connections)."""
    row = story.sql("mariadb", "SELECT SUM(select_commands + update_commands + other_commands), SUM(busy_time), SUM(total_connections)"
                    " FROM information_schema.user_statistics WHERE user = 'dc1_reader'")[0]
    return int(row[0] or 0), float(row[1] or 0), int(row[2] or 0)


class Rate(threading.Thread):
    """Statements in each second, until it is stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.began, self.first, self.own = time.monotonic(), statements(), coredns.metric("dc1", "statements_total")
        self.over, self.stopping = [], False
        self.start()

    def run(self):
        at, count = self.began, self.first[0]
        while not self.stopping:
            time.sleep(1)
            before = time.monotonic()
            now = statements()[0]
            # what came while we asked may be in or not
            if now - count > RATE * (time.monotonic() - at) + 1:
                self.over.append((now - count, time.monotonic() - at))
            at, count = before, now

    def judged(self, s, sentence):
        self.stopping = True
        self.join(10)
        last, own, took = statements(), coredns.metric("dc1", "statements_total"), time.monotonic() - self.began
        count, busy = last[0] - self.first[0], last[1] - self.first[1]
        s.ok(f"{sentence}: {count} statements in {took:.1f} s, {count / took:.1f} a second, {busy * 1000 / max(count, 1):.1f} ms each",
             0 < count <= RATE * took, count)
        s.ok("in no second more than ten", not self.over, self.over[:5])
        s.ok(f"the plugin's own count is {own - self.own:.0f}", abs(count - (own - self.own)) <= 2, (count, own - self.own))


# ---- how long a push needs -----------------------------------------------------------------------------------------

def told(times):
    times = sorted(1000 * t for t in times)
    return f"p50 {statistics.median(times):.0f} ms, p99 {times[int(len(times) * 0.99)]:.0f} ms, worst {times[-1]:.0f} ms" if times else "never"


def single(zone, n, more=""):
    """Seconds from the push's acknowledgement until dc1 serves it; None: not within 5 s."""
    if story.push(zone, story.zone_text(zone, n), more=more) != "ok":
        return None
    began = time.monotonic()
    while time.monotonic() - began < 5:
        if story.serial("dc1", zone) == n:
            return time.monotonic() - began
        time.sleep(0.002)
    return None


class Acked(dict):
    """zone -> n, and when that came to be."""

    def __init__(self):
        super().__init__()
        self.at = {}

    def __setitem__(self, zone, n):
        self.at[zone] = time.monotonic()
        super().__setitem__(zone, n)


def rates(s):
    story.sql("mariadb", "SET GLOBAL userstat = 1")
    s.finally_do(story.sql, "mariadb", "SET GLOBAL userstat = 0")
    time.sleep(1)
    rate = Rate()
    time.sleep(10)
    rate.judged(s, "idle, dc1's account is charged with")

    zones = [f"single{i}-{story.RUN}.example" for i in range(SINGLE)]
    rate = Rate()
    took = [single(zone, 1) for zone in zones]
    s.ok(f"{SINGLE} pushes one by one are served by dc1: {told([t for t in took if t])} after the answer", None not in took)
    rate.judged(s, "meanwhile")

    fresh = [f"burst{i}-{story.RUN}.example" for i in range(ZONES)]
    some = fresh[::10]
    watch = coredns.Watch("dc1", dict.fromkeys(some))
    state, urgent, refused = Acked(), [], []
    rate = Rate()
    began = time.monotonic()
    burst = threading.Thread(target=lambda: refused.extend(tables.change_all(state, 1, fresh)))
    burst.start()
    n = 1
    while burst.is_alive():
        n += 1
        urgent.append(single(zones[n % SINGLE], n, "&named_reload=yes"))
    s.ok(f"{ZONES} new zones are pushed in {time.monotonic() - began:.1f} s", not refused, refused[:3])
    s.ok(f"{len(urgent)} pushes with named_reload=yes meanwhile are served by dc1: {told([t for t in urgent if t])} after the answer",
         urgent and None not in urgent, urgent)
    s.eventually(60, "dc1 serves every tenth of the burst", lambda: [zone for zone in some if watch.heard[zone][-1] != 1][:3] or True)
    watch.stop()
    rate.judged(s, "from the burst's first push until its last zone was served")
    story.Story.note(f"{len(some)} of the burst's zones were served {told([watch.since[zone] - state.at[zone] for zone in some])} after the answer")
    s.ok("and all the others", not [zone for zone in fresh if story.serial("dc1", zone) != 1][:3])


with story.Story("CoreDNS while a zone is rewritten a thousand times, and while thousands come") as s:
    rewrites(s)
    rates(s)
