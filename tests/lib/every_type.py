# SPDX-License-Identifier: Apache-2.0
"""Random data for every type of record, as one writes it into a zone."""
import base64
import ctypes
import ctypes.util


class Data:
    """Random data; `zone` for names inside it."""

    def __init__(self, rng, zone):
        self.rng, self.zone = rng, zone

    def number(self, highest):
        return self.rng.choice((0, 1, highest, self.rng.randint(0, highest)))

    def octets(self, least, most):
        return self.rng.randbytes(self.rng.randint(least, most))

    def hex(self, least, most):
        return self.octets(least, most).hex()

    def base64(self, least, most):
        return base64.b64encode(self.octets(least, most)).decode()

    def address(self):
        return f"10.{self.rng.randint(0, 255)}.{self.rng.randint(0, 255)}.{self.rng.randint(0, 255)}"

    def address6(self):
        return "2001:db8:" + ":".join(f"{self.rng.randint(0, 65535):x}" for _ in range(6))

    def host(self):
        return self.rng.choice((f"www.{self.zone}.", f"nowhere.{self.zone}.", f"h{self.rng.randint(0, 9)}.other.example.", "A-b.C.Example."))

    def name(self):
        """Of anything: what no host could be called too."""
        return self.rng.choice((self.host(), f"_x.{self.zone}.", f"some\\.one.{self.zone}.", "It\\032is\\;odd.other.example.",
                                f"*.{self.zone}.", "."))

    def string(self, most=40, least=0):
        """A quoted character-string of any octets."""
        def spelled(octet):
            if octet in b'"\\':
                return "\\" + chr(octet)
            return chr(octet) if 32 <= octet < 127 else f"\\{octet:03d}"
        plain = bytes(self.rng.choices(b"abcdefghijklmnopqrstuvwxyz0123456789 .;()=,-_'\"\\@$%*{}", k=self.rng.randint(least, most)))
        return '"' + "".join(map(spelled, self.rng.choice((plain, plain, self.octets(least, most))))) + '"'

    def strings(self):
        return " ".join(self.string(255) for _ in range(self.rng.choice((1, 1, 1, 2, 5, 14))))

    def generic(self, octets=None):
        octets = self.octets(0, 40) if octets is None else octets
        return f"\\# {len(octets)} {octets.hex()}".rstrip()

    def generic_strings(self):
        return self.generic(b"".join(bytes([len(word)]) + word for word in (self.octets(0, 60) for _ in range(self.rng.randint(1, 3)))))

    def hash(self):
        kind, size = self.rng.choice(((1, 20), (2, 32), (4, 48)))
        return kind, self.rng.randbytes(size).hex()

    def ds(self):
        kind, digest = self.hash()
        return f"{self.number(65535)} {self.rng.choice((8, 13, 15))} {kind} {digest}"

    def key(self, flags=(256, 257)):
        return f"{self.rng.choice(flags)} 3 {self.rng.choice((8, 13, 15))} {self.base64(32, 64)}"

    def signature(self, covers="A"):
        return f"{covers} 13 {self.zone.count('.') + 1} 3600 20301231000000 20261101000000 {self.number(65535)} {self.zone}. {self.base64(64, 64)}"

    def location(self):
        return f"{self.rng.randint(0, 89)} {self.rng.randint(0, 59)} {self.rng.randint(0, 59)}.{self.rng.randint(0, 999):03d} " \
               f"{self.rng.choice('NS')} {self.rng.randint(0, 179)} {self.rng.randint(0, 59)} {self.rng.randint(0, 59)}.000 " \
               f"{self.rng.choice('EW')} {self.rng.randint(-100, 8000)}.00m {self.rng.choice(('1', '20', '3000'))}m 10000m 10m"

    def hexes(self, count):
        return [f"{self.rng.randint(0, 65535):04x}" for _ in range(count)]

    def gateway(self, kinds=(1, 2, 3)):
        kind = self.rng.choice(kinds)
        where = {0: ".", 1: self.address(), 2: self.address6(), 3: self.host()}[kind]
        return f"{self.number(255)} {kind} 2 {where} {self.base64(3, 60)}"

    def service(self):
        parameters = self.rng.choice(("", "alpn=h2", 'alpn="h2,h3" port=8004', f"ipv4hint={self.address()}", f"ipv6hint={self.address6()}",
                                      "mandatory=alpn alpn=h3", "no-default-alpn alpn=h2", "key667=hello", "ech=AAAA"))
        return f"{self.rng.randint(1, 65535)} {self.host()} {parameters}" if self.rng.random() < 0.8 else f"0 {self.host()}"


# Each type that has a name once; those with None have their own place in every zone.
TYPES = {
    "A": Data.address, "AAAA": Data.address6, "NS": None, "SOA": None, "CNAME": None, "DNAME": None,
    "MB": Data.host, "MG": Data.host, "MR": Data.host, "PTR": Data.name,
    "NULL": Data.generic, "EID": lambda d: d.hex(1, 20), "NIMLOC": lambda d: d.hex(1, 20),
    "HINFO": lambda d: f"{d.string()} {d.string()}", "MINFO": lambda d: f"{d.name()} {d.name()}",
    "MX": lambda d: f"{d.number(65535)} {d.host()}", "TXT": Data.strings, "SPF": Data.strings,
    "RP": lambda d: f"{d.name()} {d.name()}", "AFSDB": lambda d: f"{d.number(65535)} {d.name()}",
    "X25": lambda d: f"{d.rng.randint(1000, 10 ** 12)}", "ISDN": lambda d: d.rng.choice(("150862028003217", "150862028003217 004")),
    "RT": lambda d: f"{d.number(65535)} {d.name()}", "NSAP": lambda d: "0x47" + d.hex(19, 19),
    "SIG": Data.signature, "KEY": Data.key, "PX": lambda d: f"{d.number(65535)} {d.name()} {d.name()}",
    "GPOS": lambda d: f"-{d.rng.randint(0, 89)}.25 {d.rng.randint(0, 179)}.5 {d.rng.randint(0, 99)}.0", "LOC": Data.location,
    "SRV": lambda d: f"{d.number(65535)} {d.number(65535)} {d.number(65535)} {d.host()}",
    "NAPTR": lambda d: d.rng.choice((f"{d.number(65535)} {d.number(65535)} \"u\" \"E2U+sip\" \"!^.*$!sip:info@example.com!\" .",
                                     f"{d.number(65535)} {d.number(65535)} \"\" \"\" \"\" {d.name()}",
                                     f"{d.number(65535)} {d.number(65535)} \"{d.rng.choice('AS')}\" \"SIP+D2U\" \"\" {d.name()}")),
    "KX": lambda d: f"{d.number(65535)} {d.name()}",
    "CERT": lambda d: f"{d.rng.choice(('PKIX', 'PGP', 'URI', '4711'))} {d.number(65535)} {d.rng.choice((8, 13))} {d.base64(1, 80)}",
    "APL": lambda d: d.rng.choice(("1:192.168.32.0/21 !2:2001:db8::/32", "!1:10.0.0.0/8", "2:ff00::/8 1:224.0.0.0/4")),
    "DS": Data.ds, "DLV": Data.ds, "CDS": Data.ds, "CDNSKEY": Data.key, "DNSKEY": Data.key,
    "SSHFP": lambda d: d.rng.choice((f"4 2 {d.hex(32, 32)}", f"1 1 {d.hex(20, 20)}")), "IPSECKEY": Data.gateway,
    "RRSIG": Data.signature, "NSEC": lambda d: f"{d.zone}. A TXT NSEC", "NSEC3": lambda d: "1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A",
    "NSEC3PARAM": lambda d: f"1 0 {d.number(10)} {d.rng.choice(('-', 'aabb'))}", "DHCID": lambda d: d.base64(33, 40),
    "TLSA": lambda d: f"{d.rng.randint(0, 3)} {d.rng.randint(0, 1)} 1 {d.hex(32, 32)}",
    "SMIMEA": lambda d: f"{d.rng.randint(0, 3)} 0 0 {d.hex(1, 100)}",
    "HIP": lambda d: f"2 {d.hex(16, 16)} {d.base64(8, 60)} {d.host()}", "TALINK": lambda d: f"{d.name()} {d.name()}",
    "OPENPGPKEY": lambda d: d.base64(1, 1000), "CSYNC": lambda d: f"{d.number(2 ** 32 - 1)} 3 A NS AAAA",
    "ZONEMD": lambda d: f"{d.number(2 ** 32 - 1)} 1 1 {d.hex(48, 48)}", "SVCB": Data.service, "HTTPS": Data.service,
    "NID": lambda d: f"{d.number(65535)} {':'.join(d.hexes(4))}", "L32": lambda d: f"{d.number(65535)} {d.address()}",
    "L64": lambda d: f"{d.number(65535)} {':'.join(d.hexes(4))}", "LP": lambda d: f"{d.number(65535)} {d.host()}",
    "EUI48": lambda d: "-".join(f"{d.rng.randint(0, 255):02x}" for _ in range(6)),
    "EUI64": lambda d: "-".join(f"{d.rng.randint(0, 255):02x}" for _ in range(8)),
    "URI": lambda d: f"{d.number(65535)} {d.number(65535)} \"https://{d.host()}/?q={d.number(99)}\"",
    "CAA": lambda d: f"{d.rng.choice((0, 128))} {d.rng.choice(('issue', 'issuewild', 'iodef'))} {d.string(least=1)}",
}
# Numbers without a name there which a name server knows nevertheless: it wants what belongs there, and refuses the zone.
FORMED = {
    56: Data.generic_strings, 258: Data.generic_strings, 261: Data.generic_strings, 262: Data.generic_strings,
    66: lambda d: d.generic(d.octets(5, 5) + b"\3far\7example\0"), 67: lambda d: d.generic(d.octets(1, 40)),
    68: lambda d: d.generic(d.octets(1, 40)), 259: lambda d: d.generic(d.octets(9, 9) + b"\4text" + d.octets(0, 20)),
    260: lambda d: d.generic(d.octets(1, 1) + d.rng.choice((b"\0", b"\1\12\0\0\1", b"\x83\3far\7example\0"))),
    32768: lambda d: d.generic(d.octets(2, 2) + b"\x0d\2" + d.octets(32, 32)),
}


def type_number(name):
    return int(name[4:]) if name.startswith("TYPE") else KNOWN[name]


def known_types():
    """Every name that ldns has: name -> number."""
    ldns = ctypes.CDLL(ctypes.util.find_library("ldns"))
    ldns.ldns_rr_type2str.restype = ctypes.c_char_p
    names = {ldns.ldns_rr_type2str(number).decode(): number for number in range(1, 65536)}
    return {name: number for name, number in names.items() if not name.startswith("TYPE")}


KNOWN = known_types()
