# SPDX-License-Identifier: Apache-2.0
"""The tables that name servers read, in either layout, seen by another hand than the writer's.

rows.py BACKEND ZONE [DIGEST]: RFC 8976's digest of the zone's rows ("absent"), computed with dnspython.
"""
import os
import sys
from urllib.parse import urlsplit

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pymysql

COREDNS = """SELECT r.hostname, r.type, r.data, r.ttl FROM records r JOIN zones z ON z.id = r.zone_id
             WHERE z.zone_name = %s AND r.online = 1"""
# Rows without a type are PowerDNS's empty non-terminals.
POWERDNS = """SELECT r.name, r.type, IF(r.type IN ('MX', 'SRV'), CONCAT(r.prio, ' ', r.content), r.content), r.ttl
              FROM records r JOIN domains d ON d.id = r.domain_id
              WHERE d.name = %s AND r.disabled = 0 AND r.type IS NOT NULL"""


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


def zone_of(backend, name):
    """The zone that the rows make, or None. Rows that no server could serve as they stand raise."""
    origin = dns.name.from_text(name)
    text = origin.to_text(omit_final_dot=True)
    with connect(backend) as conn, conn.cursor() as cursor:
        cursor.execute("SHOW TABLES LIKE 'domains'")
        powerdns = cursor.fetchone() is not None
        cursor.execute(f"SELECT COUNT(*) FROM {'domains WHERE name' if powerdns else 'zones WHERE zone_name'} = %s",
                       text if powerdns else text + ".")
        if cursor.fetchone()[0] == 0:
            return None
        cursor.execute(POWERDNS if powerdns else COREDNS, text if powerdns else text + ".")
        rows = cursor.fetchall()

    zone = dns.zone.Zone(origin, relativize=False)
    for owner, kind, data, ttl in rows:
        owner = dns.name.from_text(owner, dns.name.root if powerdns else origin)
        kind = dns.rdatatype.from_text(kind)
        # PowerDNS has its names without the final dot: they are relative to the root
        rdata = dns.rdata.from_text(dns.rdataclass.IN, kind, data, origin=dns.name.root, relativize=False)
        rdataset = zone.find_rdataset(owner, kind, rdata.covers(), create=True)
        if rdata in rdataset:
            raise ValueError(f"{backend} has {owner} {data} twice")
        if len(rdataset) > 0 and rdataset.ttl != ttl:
            raise ValueError(f"{backend} has two TTLs for {owner}")
        rdataset.add(rdata, ttl)
    return zone


def rows_digest(backend, name):
    zone = zone_of(backend, name)
    return "absent" if zone is None else zone.compute_digest(dns.zone.DigestHashAlgorithm.SHA384).digest.hex()


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
