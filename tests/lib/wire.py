# SPDX-License-Identifier: Apache-2.0
"""DNS messages as they come, read without any DNS library: thousands of zones are looked at again and again, and two
servers are compared to the last octet, for types that no library knows."""
import functools
import struct

import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype

# What stands in front of, between and behind the names that a server may compress in RDATA.
NAMES_IN = {2: "n", 5: "n", 7: "n", 8: "n", 9: "n", 12: "n", 39: "n", 15: "2n", 18: "2n", 21: "2n", 36: "2n", 6: "nn", 14: "nn", 17: "nn",
            26: "2nn", 33: "6n", 35: "4sssn"}


def read_name(wire, at):
    """The name, and where it ends."""
    labels, end, jumps = [], None, 0
    while wire[at]:
        if wire[at] >= 192:
            end = end or at + 2
            at = (wire[at] & 63) << 8 | wire[at + 1]
            jumps += 1
            if jumps > 100:
                raise ValueError("a name that goes round in circles")
        else:
            labels.append(wire[at:at + 1 + wire[at]])
            at += 1 + wire[at]
    return b"".join(labels) + b"\0", end or at + 1


def read_data(wire, at, end, kind, fold):
    found = b""
    for part in NAMES_IN.get(kind, ""):
        if part == "n":
            name, at = read_name(wire, at)
            found += name.lower() if fold else name
        else:
            size = wire[at] + 1 if part == "s" else int(part)
            found += wire[at:at + size]
            at += size
    return found + wire[at:end]


class Reply:
    """Records are (owner, type, TTL, RDATA), without compression. `fold`: all names in lower case."""

    def __init__(self, wire, fold=True):
        self.number, flags, asked, *counts = struct.unpack_from("!6H", wire)
        self.rcode, self.aa, self.cut = flags & 15, bool(flags & 0x400), bool(flags & 0x200)
        at = 12
        for _ in range(asked):
            at = read_name(wire, at)[1] + 4
        sections = []
        for count in counts:
            section = []
            for _ in range(count):
                owner, at = read_name(wire, at)
                kind, _, ttl, size = struct.unpack_from("!HHIH", wire, at)
                at += 10
                if kind != 41:
                    section.append((owner.lower() if fold else owner, kind, ttl, read_data(wire, at, at + size, kind, fold)))
                at += size
            sections.append(section)
        self.answer, self.authority, self.additional = sections
        self.twice = any(len(set(section)) != len(section) for section in sections[:2])

    def is_referral(self):
        return self.rcode == 0 and not self.aa and any(record[1] == 2 for record in self.authority)

    def comparable(self):
        """A server may say more than it is asked for; only in a referral it is what matters."""
        said = [dns.rcode.to_text(self.rcode), "AA" if self.aa else "not AA", frozenset(self.answer)]
        if self.is_referral():
            said += [frozenset(self.authority), frozenset(self.additional)]
        return said + ["a record twice"] * self.twice

    def __str__(self):
        def spelled(record):
            owner, kind, ttl, data = record
            return f"{dns.name.from_wire(owner, 0)[0]} {ttl} {dns.rdatatype.to_text(kind)} {data.hex()[:60]}"
        words = self.comparable()
        return "; ".join(" + ".join(sorted(map(spelled, word))) if isinstance(word, frozenset) else word for word in words)


# ---- as text ---------------------------------------------------------------------------------------------------------

@functools.lru_cache(100000)
def name_text(name):
    return dns.name.from_wire(name, 0)[0].to_text()


@functools.lru_cache(100000)
def data_text(kind, data):
    return dns.rdata.from_wire(1, kind, data, 0, len(data)).to_text()


def as_text(record):
    owner, kind, ttl, data = record
    return name_text(owner), dns.rdatatype.to_text(kind), ttl, data_text(kind, data)


def serial_of(soa):
    return struct.unpack_from("!I", soa[3], len(soa[3]) - 20)[0]


def question(number, name, kind):
    """Without EDNS, not recursive."""
    return struct.pack("!6H", number, 0, 1, 0, 0, 0) + dns.name.from_text(name).to_wire() + struct.pack("!HH", kind, 1)
