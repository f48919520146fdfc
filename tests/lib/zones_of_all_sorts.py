# SPDX-License-Identifier: Apache-2.0
"""Random zones in which names meet: few labels, so that wildcards, empty non-terminals, delegations, DNAMEs and chains
stand above, below and beside each other; and questions for names of the same labels."""
import dns.name
import dns.rdatatype

from answers import Question
from every_type import TYPES, Data, type_number

PLAIN = ("a", "b", "c", "d", "www", "mail", "x1")
ODD = ("a\\.b", "o'brien", "my\\032printer", "_tcp", "a*b", "\\255\\254", "-dash-", "gr\\195\\188n", "x\\;\\(y\\)", "per%cent")
REFUSED = ("a\\@b", "\\\"q\\\"", "back\\\\slash", "\\000", "\\010")  # by the door; they may be asked for
NO_PLACE = {"NS", "SOA", "CNAME", "DNAME"}  # each has its own
NOT_AT_APEX = {"DS", "CDS", "CDNSKEY"}      # where they would have to agree with keys
SIGNED = {"RRSIG", "NSEC", "NSEC3"}         # only in zones that are signed as a whole
COMMON = ("A", "AAAA", "TXT", "MX", "SRV", "CAA", "TLSA", "HTTPS", "SVCB", "NAPTR")
MANY = [kind for kind in TYPES if kind not in NO_PLACE | SIGNED]
ASKED = ("A", "A", "A", "AAAA", "TXT", "MX", "NS", "SOA", "CNAME", "DNAME", "DS", "ANY", "SRV", "PTR", "RRSIG", "NSEC", "DNSKEY", "HTTPS")
NUMBERS = {"ANY": 255}
TTLS = (0, 1, 60, 300, 3600, 86400, 604800, 2147483647)


def number_of(kind):
    return NUMBERS.get(kind) or type_number(kind)


def any_case(rng, text):
    """The same name in random letters; escapes stay what they are."""
    return "".join(c.upper() if rng.random() < 0.5 else c for c in text)


class Zone:
    """RRsets at names that are relative to the zone; `others` are zones whose names it may point to."""

    def __init__(self, name, rng, others):
        self.name, self.rng, self.others = name, rng, others
        self.data = Data(rng, name)
        self.rrsets = {}  # (owner, type) -> (ttl, [data])
        self.asked = []   # (owner, type) that are always asked for
        self.labels = rng.sample(PLAIN, rng.randint(2, 4)) + rng.sample(ODD, rng.randint(0, 2))
        self.apex()
        sorts = (self.plain, self.plain, self.plain, self.wildcard, self.wildcard, self.alias, self.alias, self.delegation, self.dname)
        for _ in range(rng.choice((2, 5, 10, 20))):
            rng.choice(sorts)()
        for feature, share in ((self.long_chain, 0.06), (self.loop, 0.1), (self.long_text, 0.03), (self.far_chain, 0.3), (self.hosts, 0.1)):
            if rng.random() < share:
                self.asked += feature()
        self.settle()

    # -- names --

    def owner(self, depth=None):
        depth = depth or self.rng.choice((1, 1, 1, 2, 2, 3, 4))
        return ".".join(self.rng.choice(self.labels) for _ in range(depth))

    def absolute(self, owner):
        return f"{self.name}." if owner == "@" else f"{owner}.{self.name}."

    def target(self):
        """Where something may point to: mostly to where there is something."""
        rng = self.rng
        zone = rng.choice(self.others) if self.others and rng.random() < 0.25 else self
        there = [owner for owner, _ in zone.rrsets if "*" not in owner]
        at = rng.random()
        if at < 0.55:
            found = zone.absolute(rng.choice(there))
        elif at < 0.9:
            found = zone.absolute(zone.owner())
        else:
            found = rng.choice((zone.absolute("@"), "www.elsewhere.example.", "x." + zone.absolute(rng.choice(there))))
        return any_case(rng, found) if rng.random() < 0.2 and "\\" not in found else found

    def free(self, owner):
        """May anything be added there beside what is there? An alias stands alone."""
        return (owner, "CNAME") not in self.rrsets

    def add(self, owner, kind, *data):
        if self.free(owner) and (owner, kind) not in self.rrsets:
            self.rrsets[owner, kind] = (self.rng.choice(TTLS), list(dict.fromkeys(data)))

    # -- what stands in it --

    def apex(self):
        rng = self.rng
        minimum = rng.choice((0, 60, 300, 86400))
        self.add("@", "SOA", f"ns1.hoster.example. Host\\.master.{self.name}. {rng.randint(1, 9)} 3600 3600 1209600 {minimum}")
        self.add("@", "NS", *rng.sample(("ns1.hoster.example.", "ns2.hoster.example.", f"ns1.{self.name}.", f"Ns2.{self.name}."), rng.randint(1, 3)))
        for server in ("ns1", "ns2"):
            self.add(server, "A", self.data.address())
            if rng.random() < 0.5:
                self.add(server, "AAAA", self.data.address6())
        self.some_data("@")
        if rng.random() < 0.02:
            self.add("@", "DNAME", "moved.elsewhere.example.")

    def some_data(self, owner):
        rng = self.rng
        for _ in range(rng.choice((1, 1, 2, 4))):
            kind = rng.choice(COMMON + ("A", "A") if rng.random() < 0.7 else MANY)
            if owner == "@" and kind in NOT_AT_APEX:
                kind = "TXT"
            make = TYPES[kind]
            if kind in ("MX", "SRV", "PTR", "KX", "RT", "AFSDB") and rng.random() < 0.7:
                words = make(self.data).split(" ")
                words[-1] = self.target()
                made = [" ".join(words)]
            else:
                made = [make(self.data) for _ in range(rng.choice((1, 1, 2, 5)))]
            self.add(owner, kind, *made)

    def plain(self):
        self.some_data(self.owner())

    def wildcard(self):
        rng = self.rng
        owner = "*." + self.owner() if rng.random() < 0.7 else "*"
        if rng.random() < 0.1:
            owner = f"{self.owner(1)}.{owner}"  # a name below a wildcard
        if rng.random() < 0.3:
            self.alias(owner)
        else:
            self.some_data(owner)

    def alias(self, owner=None):
        owner = owner or self.owner()
        if all(at != owner for at, _ in self.rrsets):
            self.add(owner, "CNAME", self.target())

    def delegation(self):
        rng, cut = self.rng, self.owner()
        if not self.free(cut) or (cut, "DNAME") in self.rrsets:
            return
        near, below, beside = f"ns.{cut}", f"b.ns.{cut}", f"ns3-{rng.randint(0, 3)}"
        servers = rng.sample((near, below, beside, "ns1"), rng.randint(0, 3))
        servers = [server for server in servers if self.free(server)]
        for server in servers:
            if rng.random() < 0.9:
                self.add(server, "A", *(self.data.address() for _ in range(rng.randint(1, 2))))
            if rng.random() < 0.4:
                self.add(server, "AAAA", self.data.address6())
        self.add(cut, "NS", *map(self.absolute, servers), *(["ns.elsewhere.example."] if not servers or rng.random() < 0.3 else []))
        if rng.random() < 0.4:
            self.add(cut, "DS", self.data.ds())
        if rng.random() < 0.4:
            self.some_data(cut)                       # occluded
            self.some_data(f"{self.owner(1)}.{cut}")  # occluded, too

    def dname(self):
        owner = self.owner()
        if not self.free(owner) or (owner, "NS") in self.rrsets:
            return
        rng = self.rng
        long = ".".join("l" * 60 for _ in range(3)) + ".elsewhere.example."
        self.add(owner, "DNAME", long if rng.random() < 0.1 else self.target())
        if rng.random() < 0.3:
            self.some_data(owner)

    def long_chain(self):
        count, name = self.rng.choice((5, 8, 10, 12, 17, 20)), self.owner(1)
        for i in range(count):
            self.add(f"chain{i}", "CNAME", self.absolute(f"chain{i + 1}"))
        self.add(f"chain{count}", "A", self.data.address())
        self.add(f"*.long-{self.rng.randint(0, 9)}", "CNAME", self.absolute("chain0"))
        self.alias(name)
        return [("chain0", "A"), (name, "A")]

    def loop(self):
        rng = self.rng
        size = rng.randint(1, 4)
        kind = rng.choice(("CNAME", "CNAME", "DNAME"))
        for i in range(size):
            self.add(f"loop{i}", kind, self.absolute(f"loop{(i + 1) % size}" if rng.random() < 0.9 else f"a.loop{i}"))
        self.add("*.round", "CNAME", self.absolute("again.round"))
        return [("loop0", "A"), ("a.loop0", "A"), ("x.round", "MX")]

    def far_chain(self):
        """From zone to zone and back."""
        for i in range(self.rng.randint(1, 3)):
            if self.others:
                zone = self.rng.choice(self.others)
                self.add(f"far{i}", "CNAME", zone.absolute(self.rng.choice((f"far{i + 1}", f"far{i}", zone.owner(), "@"))))
        return [("far0", "A")]

    def hosts(self):
        """A service on many hosts with addresses and keys: more than a server wants to look for, or less."""
        rng, count = self.rng, self.rng.choice((3, 12, 13, 14, 20))
        for i in range(count):
            self.add(f"h{i}", "A", self.data.address())
            self.add(f"_{rng.choice((25, 443))}._tcp.h{i}", "TLSA", TYPES["TLSA"](self.data))
        self.add("mx", "MX", *(f"10 {self.absolute(f'h{i}')}" for i in range(count)))
        self.add("_https._tcp", "SRV", *(f"0 0 443 {self.absolute(f'h{i}')}" for i in range(count)))
        self.add("svcb", "HTTPS", f"0 {self.absolute('alias')}")
        self.add("alias", "CNAME", self.absolute("h0"))
        return [("mx", "MX"), ("_https._tcp", "SRV"), ("svcb", "HTTPS")]

    def long_text(self):
        for i in range(self.rng.randint(1, 3)):
            self.add(f"text{i}", "TXT", *(self.data.strings() for _ in range(self.rng.choice((3, 30)))))
        return [("text0", "TXT")]

    def settle(self):
        """Takes out what the door would refuse: what is below a DNAME, and servers of the zone that went with it."""
        covered = tuple("" if owner == "@" else f".{owner}" for owner, kind in self.rrsets if kind == "DNAME")
        for owner, kind in list(self.rrsets):
            if owner != "@" and owner.endswith(covered) and covered:
                del self.rrsets[owner, kind]
        servers = self.rrsets["@", "NS"][1]
        servers[:] = [name for name in servers if self.has_address(name)] or ["ns1.hoster.example."]

    def has_address(self, name):
        inside = name.lower().removesuffix(f".{self.name}.")
        return inside == name.lower() or (inside, "A") in self.rrsets

    def text(self):
        lines = []
        for (owner, kind), (ttl, datas) in self.rrsets.items():
            spelled = any_case(self.rng, owner) if self.rng.random() < 0.2 and "\\" not in owner else owner
            lines += [f"{spelled}\t{ttl}\tIN\t{kind}\t{data}\n" for data in datas]
        return "".join(lines)

    # -- questions --

    def question(self, rng):
        owners = [owner for owner, _ in self.rrsets]
        at = rng.random()
        if at < 0.3:
            owner = rng.choice(owners)
        elif at < 0.55:
            owner = self.owner(rng.choice((1, 1, 2, 3, 4, 5)))
        elif at < 0.75:
            owner = rng.choice(owners).partition(".")[2] or "@"
        else:
            owner = rng.choice(owners)
            owner = self.owner(rng.choice((1, 1, 2))) + ("" if owner == "@" else "." + owner)
        if rng.random() < 0.5:
            owner = owner.replace("*", rng.choice(self.labels), 1)
        if rng.random() < 0.02:
            owner = rng.choice(REFUSED) + ("" if owner == "@" else f".{owner}")
        at = rng.random()
        if at < 0.35:
            here = [kind for at, kind in self.rrsets if at == owner] or [kind for _, kind in self.rrsets]
            kind = number_of(rng.choice(here))
        elif at < 0.95:
            kind = number_of(rng.choice(ASKED))
        else:
            kind = rng.choice([number for number in range(1, 300) if number not in (250, 251, 252)] + [4711, 65280])
        renamed = [(owner, datas[0]) for (owner, kind), (_, datas) in self.rrsets.items() if kind == "DNAME" and "\\" not in owner + datas[0]]
        if renamed and rng.random() < 0.05:
            owner = long_below(rng, *rng.choice(renamed), len(self.name))
        return self.asking(owner, kind, rng)

    def asking(self, owner, kind, rng):
        name = dns.name.from_text(self.absolute(owner))
        wire = name.to_wire()
        if rng.random() < 0.3:
            wire = mixed(rng, wire)
        return Question(wire, kind, f"{name} {dns_type(kind)}", flags=0x100 if rng.random() < 0.3 else 0)


def long_below(rng, owner, target, zone_length):
    """A name below a DNAME, of which the longest name becomes that there can be (255 octets), or a little more or less."""
    below = "" if owner == "@" else f".{owner}"
    size = 255 - (len(target) + 1) + rng.randint(-2, 2)           # of its own labels, with their lengths
    size = max(2, min(size, 255 - len(below) - (zone_length + 2)))
    labels = []
    while size > 1:
        take = min(size, 64) - (size == 65)
        labels.append("l" * (take - 1))
        size -= take
    return ".".join(labels) + below


def dns_type(number):
    return {number: name for name, number in NUMBERS.items()}.get(number) or dns.rdatatype.to_text(number)


def mixed(rng, wire):
    """Letters of labels in any case."""
    out, at = bytearray(wire), 0
    while out[at]:
        for i in range(at + 1, at + 1 + out[at]):
            if 97 <= out[i] <= 122 and rng.random() < 0.5:
                out[i] -= 32
        at += 1 + out[at]
    return bytes(out)


def make_zones(rng, count, suffix):
    """Some of them stand below others, with or without a delegation there."""
    zones = []
    for i in range(count):
        name = f"sort{i}-{suffix}"
        if zones and rng.random() < 0.1:
            parent = rng.choice(zones)
            label = rng.choice([label for label in parent.labels if label in PLAIN])
            name = f"{label}.{parent.name}"
            if any(zone.name == name for zone in zones):
                continue
        zones.append(Zone(name, rng, zones[-20:]))
    return zones


def make_questions(rng, zones, count):
    """`count`, and what is asked for always."""
    found = [zone.asking(owner, number_of(kind), rng) for zone in zones for owner, kind in zone.asked]
    found += [rng.choice(zones).question(rng) for _ in range(count)]
    rng.shuffle(found)
    return found
