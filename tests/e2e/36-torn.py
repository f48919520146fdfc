#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No statement ever sees half a zone: zones are rewritten a thousand times while readers look at them all the time.

Of each zone twenty records change with each rewrite, and each of them tells the rewrite's number. Whatever a reader
gets at once, rows of a SELECT, a transfer, an RRset, must be all of one number and complete. First a zone that was
tampered with shows that each of the readers would notice.

ZONES and REWRITES of the environment choose another run.
"""
import os
import sys
import threading
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rows  # noqa: E402
import story  # noqa: E402
import tables  # noqa: E402

ZONES = [f"torn{i}-{story.RUN}.example" for i in range(int(os.environ.get("ZONES") or 10))]
REWRITES = int(os.environ.get("REWRITES") or 1000)
PATIENCE = 120  # seconds for all of them
SET = 10        # records of one RRset

COREDNS_ZONE = """SELECT r.hostname, r.type, r.data, r.ttl, r.online FROM records r JOIN zones z ON z.id = r.zone_id
                  WHERE z.zone_name = %s"""
POWERDNS_ZONE = """SELECT r.name, r.type, r.content, r.ttl, r.auth - r.disabled FROM records r JOIN domains d ON d.id = r.domain_id
                   WHERE d.name = %s"""
COREDNS_RRSET = "SELECT hostname, type, data, ttl, online FROM records WHERE zone_id = %s AND hostname = %s AND type = %s"
POWERDNS_NAME = "SELECT name, type, content, ttl, auth - disabled FROM records WHERE disabled = 0 AND name = %s AND domain_id = %s"


class Torn(Exception):
    pass


# ---- what a zone is ------------------------------------------------------------------------------------------------

def records(zone, n):
    """(owner without the zone or "@", type, data): SOA, an RRset of ten, eight names and one that moves; two that stay."""
    address = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
    found = [("@", "SOA", f"ns1.hoster.example. hostmaster.{zone}. {n} 3600 3600 1209600 86400"),
             ("@", "NS", "ns1.hoster.example."), ("stays", "A", "192.0.2.1"), (f"moves{n % 3}", "A", address)]
    found += [("set", "TXT", f'"{n} {i}"') for i in range(SET)]
    return found + [(f"name{i}", "A", address) for i in range(8)]


def text_of(zone, n):
    return "".join(f"{owner}\t3600\tIN\t{kind}\t{data}\n" for owner, kind, data in records(zone, n))


def as_dns(zone, n):
    return {((f"{owner}." if owner != "@" else "") + f"{zone}.", kind, 3600, data) for owner, kind, data in records(zone, n)}


def as_coredns(zone, n):
    return {(owner, kind, data, 3600, 1) for owner, kind, data in records(zone, n)}


def as_powerdns(zone, n):
    def bare(kind, data):
        return data if kind == "TXT" else " ".join(word.removesuffix(".") for word in data.split())
    return {((f"{owner}." if owner != "@" else "") + zone, kind, bare(kind, data), 3600, 1) for owner, kind, data in records(zone, n)}


def number(found):
    """The one that any of the records tells."""
    for record in found:
        for word in record:
            if isinstance(word, str) and word.startswith('"'):
                return int(word[1:].split()[0])
    raise Torn(f"no record of the RRset among {len(found)}: {sorted(map(str, found))[:3]}")


def of_one_rewrite(found, shape, zone, only=lambda record: True):
    """The rewrite's number, if `found` is exactly what `shape` says it then must be."""
    n = number(found)
    right = {record for record in shape(zone, n) if only(record)}
    if len(found) != len(right) or set(found) != right:
        raise Torn(f"{zone} {n}: {len(found)} of {len(right)} records; besides {sorted(map(str, set(found) - right))[:3]}, "
                   f"without {sorted(map(str, right - set(found)))[:3]}")
    return n


# ---- readers -------------------------------------------------------------------------------------------------------

class Reader(threading.Thread):
    """once(zone) looks one time: the rewrite's number, or Torn."""
    goes_forward = True  # what it saw once it never sees older

    def __init__(self, sentence):
        super().__init__(daemon=True)
        self.sentence = sentence
        self.looks, self.seen, self.last = 0, set(), {}
        self.torn, self.older, self.troubles = [], [], []
        self.stopping = False

    def see(self, zone, n):
        if self.goes_forward and n < self.last.get(zone, 0):
            self.older.append((zone, self.last[zone], n))
        self.last[zone] = n
        self.looks += 1
        self.seen.add((zone, n))

    def look(self, zone):
        try:
            self.see(zone, self.once(zone))
        except Torn as torn:
            self.looks += 1
            self.torn.append(str(torn))
        except Exception as error:  # no answer is no proof of anything
            self.troubles.append(f"{type(error).__name__}: {error}")
            self.close()

    def run(self):
        while not self.stopping:
            for zone in ZONES:
                self.look(zone)
                time.sleep(0.002)

    def close(self):
        pass

    def verdict(self, zone):
        try:
            return self.once(zone)
        except Torn:
            return "torn"

    def judged(self, s, least):
        s.ok(f"{self.sentence}: {self.looks} looks, {len(self.seen)} rewrites seen, all of them whole", not self.torn, self.torn[:3])
        s.ok("and they are enough to say so", len(self.seen) >= least and {zone for zone, _ in self.seen} == set(ZONES),
             f"{len(self.seen)}, not {least}; {len(self.troubles)} troubles: {self.troubles[:2]}")
        if self.goes_forward:
            s.ok("none came back after a newer one", not self.older, self.older[:3])


class Statements(Reader):
    """A zone's rows by one SELECT; at REPEATABLE READ by two in one transaction, which must be the same."""

    def __init__(self, backend, level):
        super().__init__(f"all rows of a zone in {backend} by one statement, {level}")
        self.backend, self.level, self.conn = backend, level, None
        self.query, self.shape = (COREDNS_ZONE, as_coredns) if backend == "dc1" else (POWERDNS_ZONE, as_powerdns)

    def select(self, query, *values):
        if self.conn is None:
            self.conn = rows.connect(self.backend)
            with self.conn.cursor() as cursor:
                cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {self.level}")
        with self.conn.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def once(self, zone):
        name = zone + "." * (self.backend == "dc1")
        if self.level == "READ COMMITTED":
            return of_one_rewrite(self.select(self.query, name), self.shape, zone)
        self.select("START TRANSACTION")
        try:
            n = of_one_rewrite(self.select(self.query, name), self.shape, zone)
            again = of_one_rewrite(self.select(self.query, name), self.shape, zone)
        finally:
            self.select("COMMIT")
        if n != again:
            raise Torn(f"{zone}: {n}, and in the same transaction {again}")
        return n

    def close(self):
        self.conn = None


class Plugin(Statements):
    """As the public CoreDNS plugin asks: the zone's number once, then each RRset by itself."""

    def __init__(self):
        super().__init__("dc1", "READ COMMITTED")
        self.sentence = "an RRset of ten as the public CoreDNS plugin asks for it"

    def once(self, zone):
        number_of = self.select("SELECT id FROM zones WHERE zone_name = %s", zone + ".")[0][0]
        return of_one_rewrite(self.select(COREDNS_RRSET, number_of, "set", "TXT"), self.shape, zone, lambda r: r[0] == "set")


class ByName(Statements):
    def __init__(self):
        super().__init__("dc2", "READ COMMITTED")
        self.sentence = "an RRset of ten as PowerDNS asks for it"

    def once(self, zone):
        number_of = self.select("SELECT id FROM domains WHERE name = %s", zone)[0][0]
        return of_one_rewrite(self.select(POWERDNS_NAME, f"set.{zone}", number_of), self.shape, zone,
                              lambda r: r[0].startswith("set."))


class Transfer(Reader):
    def __init__(self, server="dc1", sentence="CoreDNS's transfer of a zone"):
        super().__init__(sentence)
        self.transfers = story.Transfers(server)

    def found(self, zone):
        found = self.transfers.records(zone)
        if isinstance(found, str):
            raise Torn(f"{zone}: {found}")
        return found

    def once(self, zone):
        return of_one_rewrite(self.found(zone), as_dns, zone)

    def close(self):
        self.transfers.close()


class TransferOfParts(Transfer):
    """PowerDNS reads the SOA apart from what follows: that it may be older is its own nature."""

    def __init__(self):
        super().__init__("dc2", "PowerDNS's transfer of a zone")
        self.old_soas = 0

    def once(self, zone):
        found = self.found(zone)
        n = of_one_rewrite([record for record in found if record[1] != "SOA"], as_dns, zone, lambda r: r[1] != "SOA")
        serials = [int(record[3].split()[2]) for record in found if record[1] == "SOA"]
        if len(serials) != 1:
            raise Torn(f"{zone}: {len(serials)} SOAs")
        self.old_soas += serials[0] != n
        return n


class Answer(Reader):
    def __init__(self, server="dc1", sentence="CoreDNS's answer with an RRset of ten"):
        super().__init__(sentence)
        self.server = server

    def once(self, zone):
        reply = story.ask(self.server, f"set.{zone}", "TXT")
        if reply is None:
            raise TimeoutError("no answer within a second")
        found = [(rrset.name.to_text(), "TXT", rrset.ttl, rdata.to_text()) for rrset in reply.answer for rdata in rrset]
        return of_one_rewrite(found, as_dns, zone, lambda r: r[1] == "TXT")


class CachedAnswer(Answer):
    """Out of PowerDNS's caches too: a number may come late, but never in part."""
    goes_forward = False

    def __init__(self):
        super().__init__("dc2", "PowerDNS's answer with an RRset of ten")


def all_readers():
    return [Statements("dc1", "READ COMMITTED"), Statements("dc1", "REPEATABLE READ"), Statements("dc2", "READ COMMITTED"),
            Statements("dc2", "REPEATABLE READ"), Plugin(), ByName(), Transfer(), TransferOfParts(), Answer(), CachedAnswer()]


# ---- rewrites ------------------------------------------------------------------------------------------------------

class Commits(threading.Thread):
    """What a database says that it has of each zone: the numbers in the order in which they came."""

    def __init__(self, backend):
        super().__init__(daemon=True)
        self.backend = backend
        self.at = dict.fromkeys(ZONES, 0)
        self.numbers = {zone: [] for zone in ZONES}
        self.ended = None
        self.stopping = False
        self.start()

    def run(self):
        query = f"SELECT zone, serial FROM dadns_zones WHERE zone IN ({', '.join(['%s'] * len(ZONES))})"
        try:
            with rows.connect(self.backend) as conn, conn.cursor() as cursor:
                while not self.stopping:
                    cursor.execute(query, ZONES)
                    for zone, n in cursor.fetchall():
                        if n != self.at[zone]:
                            self.numbers[zone].append(n)
                            self.at[zone] = n
                    time.sleep(0.002)
        except Exception as error:
            self.ended = error

    def transactions(self):
        return story.sql(self.backend, "SELECT value FROM dadns_meta WHERE name = 'changed'")[0][0]


def rewrite(zone, times, commits, until, refused):
    """One after another: the next is pushed when both databases have the one before, so that each is a commit of its own."""
    for n in range(2, times + 2):
        answer = story.push(zone, text_of(zone, n))
        if answer != "ok":
            refused.append((zone, n, answer))
        while min(commit.at[zone] for commit in commits) < n:
            if time.monotonic() > until:
                return
            time.sleep(0.001)


def tamper(zone):
    """Half of the RRset of ten becomes another rewrite's, in both databases."""
    number_of = story.sql("dc1", "SELECT id FROM zones WHERE zone_name = %s", zone + ".")[0][0]
    story.sql("dc1", "UPDATE records SET data = REPLACE(data, '\"1 ', '\"2 ') WHERE zone_id = %s AND hostname = 'set' LIMIT 5", number_of)
    # our CoreDNS reads what is said to have changed, and would not believe it against the digest
    story.sql("dc1", "UPDATE dadns_meta SET value = value + 1 WHERE name = 'changed'")
    story.sql("dc1", "UPDATE dadns_zones SET digest = '', changed = (SELECT value FROM dadns_meta WHERE name = 'changed') WHERE zone = %s", zone)
    story.sql("dc2", "UPDATE records SET content = REPLACE(content, '\"1 ', '\"2 ') WHERE name = %s LIMIT 5", f"set.{zone}")
    urllib.request.urlopen(urllib.request.Request(
        f"{os.environ['DC2_API']}/api/v1/servers/localhost/cache/flush?domain=set.{zone}.", method="PUT",
        headers={"X-API-Key": os.environ["DC2_API_KEY"]})).close()


with story.Story(f"{REWRITES} rewrites of {len(ZONES)} zones: no reader ever sees half of one") as s:
    s.ok("the zones are pushed", all(story.push(zone, text_of(zone, 1)) == "ok" for zone in ZONES))
    tables.become_right(s, 10, "and stand in both databases", tables.decided(s, dict.fromkeys(ZONES, 1)))
    s.eventually(10, "CoreDNS and PowerDNS serve them", lambda: [
        zone for zone in ZONES if {story.serial(dc, zone) for dc in tables.DATABASES} != {1}] or True)

    victim = f"tampered-{story.RUN}.example"
    s.ok("one more is pushed", story.push(victim, text_of(victim, 1)) == "ok")
    s.eventually(10, "and served", lambda: {story.serial(dc, victim) for dc in tables.DATABASES} == {1})
    tables.become_right(s, 10, "and stands in both databases", tables.decided(s, {victim: 1}))
    readers = all_readers()
    s.ok("every reader finds it whole", [reader.verdict(victim) for reader in readers] == [1] * len(readers))
    tamper(victim)
    s.eventually(2, "and notices when half of an RRset is another rewrite's", lambda: [
        reader.sentence for reader in readers if reader.verdict(victim) != "torn"] or True)

    commits = [Commits(backend) for backend in tables.DATABASES]
    before = [commit.transactions() for commit in commits]
    for reader in readers:
        reader.start()
    began, refused = time.monotonic(), []
    each = -(-REWRITES // len(ZONES))
    pushers = [threading.Thread(target=rewrite, args=(zone, each, commits, began + PATIENCE, refused)) for zone in ZONES]
    for pusher in pushers:
        pusher.start()
    for pusher in pushers:
        pusher.join()
    took = time.monotonic() - began
    for reader in readers:
        reader.stopping = True
    for reader in readers:
        reader.join(20)
    s.ok("every push was acknowledged", not refused, refused[:3])
    for commit, first in zip(commits, before):
        commit.stopping = True
        commit.join(5)
        s.ok(f"{commit.backend} was watched to the end", commit.ended is None and not commit.is_alive(), commit.ended)
        counts = [len(set(numbers)) - 1 for numbers in commit.numbers.values()]
        s.ok(f"{commit.backend}: {sum(counts)} rewrites came one by one in {commit.transactions() - first} transactions within {took:.1f} s",
             sum(counts) >= REWRITES, counts)
        wrong = [zone for zone, numbers in commit.numbers.items() if numbers != sorted(set(numbers))]
        s.ok("each zone's in their order", not wrong, wrong)
    for reader in readers:
        reader.judged(s, REWRITES // 10)
    for reader in readers:
        if isinstance(reader, TransferOfParts):
            story.Story.note(f"{reader.old_soas} of {reader.looks} transfers began with another rewrite's SOA, as PowerDNS reads it apart")

    state = dict.fromkeys(ZONES, each + 1)
    tables.become_right(s, 10, "in the end the rows are the last push's by digest", tables.decided(s, state))
    servers = [reader for reader in readers if isinstance(reader, Answer)]
    s.eventually(5, "and CoreDNS and PowerDNS answer with it", lambda: [
        (reader.server, zone) for reader in servers for zone in ZONES
        if reader.verdict(zone) != each + 1 or story.serial(reader.server, zone) != each + 1] or True)
