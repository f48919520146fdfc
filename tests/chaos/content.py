# SPDX-License-Identifier: Apache-2.0
"""Zones that say themselves which push made them (reliability.md 3.2).

Each record of version n of a zone tells n: the serial, the SOA's mailbox, the text of _n, the addresses of b0 … b11.
Whoever finds two numbers in one zone, or less than all of its records, has seen half of a change.
"""
import hashlib

NAMES = 12


def address(n):
    return f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def records(zone, n, owner):
    """(owner name, type, ttl, rdata) of version n as `owner` pushes it."""
    found = [
        (f"{zone}.", "SOA", 3600, f"ns1.hoster.example. n{n}.{zone}. {n} 3600 3600 1209600 86400"),
        (f"{zone}.", "NS", 3600, "ns1.hoster.example."),
        (f"{zone}.", "NS", 3600, "ns2.hoster.example."),
        (f"_n.{zone}.", "TXT", 3600, f'"{n}"'),
        (f"_o.{zone}.", "TXT", 3600, f'"{owner}"'),
    ]
    return found + [(f"b{i}.{zone}.", "A", 3600, address(n)) for i in range(NAMES)]


def text(zone, n, owner):
    return "$TTL 3600\n" + "".join(f"{name}\t{ttl}\tIN\t{kind}\t{data}\n" for name, kind, ttl, data in records(zone, n, owner))


def fingerprint(found):
    """The same for the same records in any order, wherever they were read."""
    lines = sorted(f"{name.lower()} {kind} {ttl} {data}" for name, kind, ttl, data in found)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def of_address(data):
    a, b, c, d = map(int, data.split("."))
    return b << 16 | c << 8 | d if a == 10 else -1


def read(zone, found, soa_apart=False):
    """What a zone's records say: {"n", "serial", "owner", "fp", "torn"}. `soa_apart`: this reader's SOA may be another
    version's than the rest, by its nature (PowerDNS's transfer)."""
    body, soa, owner, names, serial = set(), set(), None, 0, None
    for name, kind, _, data in found:
        if kind == "SOA":
            words = data.split()
            serial = int(words[2])
            soa |= {serial, int(words[1].partition(".")[0][1:])} if words[1].endswith(f".{zone}.") else {-1}
        elif kind == "A":
            body.add(of_address(data))
            names += 1
        elif name == f"_n.{zone}.":
            body.add(int(data.strip('"')))
        elif name == f"_o.{zone}.":
            owner = data.strip('"')
    numbers = body if soa_apart else body | soa
    torn = len(numbers) != 1 or names != NAMES or owner is None or serial is None or len(soa) != 1
    n = min(numbers, default=None)
    if soa_apart and serial != n:
        serial = None
    return {"n": n, "serial": serial, "owner": owner, "fp": fingerprint(found), "torn": torn}
