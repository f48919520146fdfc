# SPDX-License-Identifier: Apache-2.0
"""The tables that name servers read, in either layout, seen by another hand than the writer's.

rows.py BACKEND ZONE [DIGEST]: RFC 8976's digest of the zone's rows ("absent"), computed with dnspython.
"""
import functools
import hashlib
import os
import struct
import sys
import threading
from urllib.parse import urlsplit

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pymysql

# A zone without records gives one row, without a type.
COREDNS = """SELECT r.hostname, r.type, r.data, r.ttl FROM zones z LEFT JOIN records r ON r.zone_id = z.id AND r.online = 1
             WHERE z.zone_name = %s"""
# Rows without a type are PowerDNS's empty non-terminals.
POWERDNS = """SELECT r.name, r.type, IF(r.type IN ('MX', 'SRV'), CONCAT(r.prio, ' ', r.content), r.content), r.ttl
              FROM domains d LEFT JOIN records r ON r.domain_id = d.id AND r.disabled = 0 AND r.type IS NOT NULL
              WHERE d.name = %s"""


def connect(who):
    """A backend's own account, or root of a server: dc1, mariadb, mariadb-2."""
    key = who.upper().replace("-", "_")
    common = {"autocommit": True, "connect_timeout": 5, "read_timeout": 30, "charset": "utf8mb4"}
    if key + "_ADMIN" in os.environ:
        return pymysql.connect(read_default_file=os.environ[key + "_ADMIN"], **common)
    url = urlsplit(os.environ[key + "_MYSQL"])
    return pymysql.connect(host=url.hostname, port=url.port, user=url.username, password=url.password,
                           database=url.path[1:], **common)


def sql(who, query, args=None):
    with connect(who) as conn, conn.cursor() as cursor:
        cursor.execute(query, args)
        return cursor.fetchall()


class Kept(threading.local):
    """Thousands of zones are read: not over a new connection each."""

    def __init__(self):
        self.connections, self.powerdns = {}, set()

    def rows(self, backend, text):
        """Of a zone: (owner, type, data, TTL), and whether the layout is PowerDNS's."""
        with self.connections[backend].cursor() as cursor:
            if backend not in self.powerdns:
                cursor.execute("SHOW TABLES LIKE 'domains'")
                if cursor.fetchone() is not None:
                    self.powerdns.add(backend)
            powerdns = backend in self.powerdns
            cursor.execute(POWERDNS if powerdns else COREDNS, text if powerdns else text + ".")
            return cursor.fetchall(), powerdns


kept = Kept()


def rows_of(backend, text):
    had = backend in kept.connections
    while True:
        if backend not in kept.connections:
            kept.connections[backend] = connect(backend)
        try:
            return kept.rows(backend, text)
        except (pymysql.Error, OSError):
            kept.connections.pop(backend).close()
            if not had:
                raise
            had = False  # the server, or the database, may be another one since


@functools.lru_cache(100000)
def owner_of(text, origin):
    return dns.name.from_text(text, origin)


@functools.lru_cache(100000)
def rdata_of(kind, data):
    """PowerDNS has its names without the final dot: they are relative to the root."""
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), data, origin=dns.name.root, relativize=False)
    return rdata, rdata.to_digestable()


def records_of(backend, name):
    """(origin, {(owner, type, covered type): (TTL, {RDATA})}), or None. Rows that no server could serve as they stand raise."""
    origin = dns.name.from_text(name)
    rows, powerdns = rows_of(backend, origin.to_text(omit_final_dot=True))
    if not rows:
        return None
    found = {}
    for text, kind, data, ttl in rows:
        if kind is None:
            continue
        owner = owner_of(text, dns.name.root if powerdns else origin)
        rdata = rdata_of(kind, data)
        had, there = found.setdefault((owner, rdata[0].rdtype, rdata[0].covers()), (ttl, set()))
        if rdata in there:
            raise ValueError(f"{backend} has {owner} {data} twice")
        if had != ttl:
            raise ValueError(f"{backend} has two TTLs for {owner}")
        there.add(rdata)
    return origin, found


def zone_of(backend, name):
    """The zone that the rows make, or None."""
    read = records_of(backend, name)
    if read is None:
        return None
    origin, found = read
    zone = dns.zone.Zone(origin, relativize=False)
    for (owner, kind, covers), (ttl, there) in found.items():
        rdataset = zone.find_rdataset(owner, kind, covers, create=True)
        for rdata, _ in there:
            rdataset.add(rdata, ttl)
    return zone


def rows_digest(backend, name):
    """RFC 8976, SIMPLE, SHA-384; "absent"."""
    read = records_of(backend, name)
    if read is None:
        return "absent"
    origin, found = read
    ZONEMD = dns.rdatatype.ZONEMD
    digest = hashlib.sha384()
    for owner, kind, covers in sorted(found):
        if owner == origin and ZONEMD in (kind, covers):
            continue
        ttl, there = found[owner, kind, covers]
        head = owner.to_digestable() + struct.pack("!HHI", kind, dns.rdataclass.IN, ttl)
        for data in sorted(data for _, data in there):
            digest.update(head + struct.pack("!H", len(data)) + data)
    return digest.hexdigest()


def main():
    backend, name, *wanted = sys.argv[1:]
    got = rows_digest(backend, name)
    if not wanted:
        print(got)
        return 0
    print(f"wanted {wanted[0]}\ngot    {got}")
    return 0 if got == wanted[0] else 1


if __name__ == "__main__":
    sys.exit(main())
