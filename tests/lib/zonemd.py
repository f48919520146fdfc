# SPDX-License-Identifier: Apache-2.0
"""zonemd.py SERVER ZONE DIGEST: transfers the zone and computes RFC 8976's digest with dnspython."""
import os
import sys

import dns.query
import dns.zone

server, name, wanted = sys.argv[1:]
host, _, port = os.environ[f"{server.upper()}_DNS"].rpartition(":")
zone = dns.zone.from_xfr(dns.query.xfr(host, name, port=int(port), lifetime=5, relativize=False), relativize=False)
got = zone.compute_digest(dns.zone.DigestHashAlgorithm.SHA384).digest.hex()
print(f"wanted {wanted}\ngot    {got}")
sys.exit(0 if got == wanted else 1)
