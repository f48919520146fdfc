# SPDX-License-Identifier: Apache-2.0
"""Many questions to a name server at once, and what it answers: two servers can be compared by it to the last octet."""
import select
import socket
import struct
import threading
import time
import typing

import dns.name

import story
from wire import Reply


class Question(typing.NamedTuple):
    name: bytes  # as on the wire
    kind: int
    words: str
    there: object = None  # for whoever asks
    flags: int = 0        # RD is 0x100


def of_soa(zone):
    return Question(dns.name.from_text(zone).to_wire(), 6, zone)


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
