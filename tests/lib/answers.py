# SPDX-License-Identifier: Apache-2.0
"""Many questions to a name server at once, and what it answers, read without any DNS library: two servers can be
compared by it to the last octet, for types that no library knows."""
import select
import socket
import struct
import threading
import time
import typing

import dns.name
import dns.rcode
import dns.rdatatype

import story


class Question(typing.NamedTuple):
    name: bytes  # as on the wire
    kind: int
    words: str
    there: object = None  # for whoever asks
    flags: int = 0        # RD is 0x100


def of_soa(zone):
    return Question(dns.name.from_text(zone).to_wire(), 6, zone)


# What stands in front of, between and behind the names that a server may compress in RDATA.
NAMES_IN = {2: "n", 5: "n", 7: "n", 8: "n", 9: "n", 12: "n", 39: "n", 15: "2n", 18: "2n", 21: "2n", 36: "2n", 6: "nn", 14: "nn", 17: "nn",
            26: "2nn", 33: "6n", 35: "4sssn"}


def read_name(wire, at):
    """The name in lower case, and where it ends."""
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
    return b"".join(labels).lower() + b"\0", end or at + 1


def read_data(wire, at, end, kind):
    found = b""
    for part in NAMES_IN.get(kind, ""):
        if part == "n":
            name, at = read_name(wire, at)
            found += name
        else:
            size = wire[at] + 1 if part == "s" else int(part)
            found += wire[at:at + size]
            at += size
    return found + wire[at:end]


class Reply:
    def __init__(self, wire):
        _, flags, asked, *counts = struct.unpack_from("!6H", wire)
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
                    section.append((owner, kind, ttl, read_data(wire, at, at + size, kind)))
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


def query(number, question):
    """With EDNS: 4096 octets are welcome."""
    head = struct.pack("!6H", number, question.flags, 1, 0, 0, 1) + question.name + struct.pack("!HH", question.kind, 1)
    return head + b"\0" + struct.pack("!HHIH", 41, 4096, 0, 0)


class Asker(threading.Thread):
    """Asks one server all questions, a few at once; again when no answer comes, by TCP when it was cut."""
    WINDOW = 24

    def __init__(self, server, questions):
        super().__init__(daemon=True)
        self.server, self.questions = server, questions
        self.replies = [None] * len(questions)
        self.again = self.by_tcp = 0
        self.error = None
        self.start()

    def run(self):
        try:
            self.ask_all()
            self.ask_cut()
        except (OSError, ValueError, IndexError, struct.error) as error:
            self.error = error

    def ask_all(self):
        waiting, todo = {}, list(range(len(self.questions)))[::-1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as conn:
            conn.connect(story.address(f"{self.server.upper()}_DNS"))
            conn.setblocking(False)
            while todo or waiting:
                while todo and len(waiting) < self.WINDOW:
                    i = todo.pop()
                    conn.send(query(i & 65535, self.questions[i]))
                    waiting[i & 65535] = (i, time.monotonic())
                if select.select([conn], [], [], 0.5)[0]:
                    wire = conn.recv(65535)
                    i, _ = waiting.pop(struct.unpack_from("!H", wire)[0], (None, 0))
                    if i is not None:
                        self.replies[i] = Reply(wire)
                for key, (i, since) in list(waiting.items()) if waiting else ():
                    if time.monotonic() - since > 2:
                        del waiting[key]
                        todo.append(i)
                        self.again += 1
                if self.again > 200:
                    raise ValueError(f"{self.server} leaves too many questions unanswered, for instance {self.questions[todo[-1]].words}")

    def ask_cut(self):
        cut = [i for i, reply in enumerate(self.replies) if reply.cut]
        self.by_tcp = len(cut)
        if cut:
            self.ask_by_tcp(cut)

    def ask_by_tcp(self, numbers):
        with socket.create_connection(story.address(f"{self.server.upper()}_DNS"), timeout=5) as conn:
            stream = conn.makefile("rb")
            for i in numbers:
                wire = query(i & 65535, self.questions[i])
                conn.sendall(struct.pack("!H", len(wire)) + wire)
                self.replies[i] = Reply(stream.read(struct.unpack("!H", stream.read(2))[0]))


def ask_everybody(questions, servers=story.SERVERS):
    """The askers, when they are done."""
    askers = [Asker(server, questions) for server in servers]
    for asker in askers:
        asker.join(120)
    return askers
