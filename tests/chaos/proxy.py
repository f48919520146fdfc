# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy for one hop, steered while it runs by the row that made it.

    hop = proxy.Proxy(story.address("MYSQL"))   # listens on hop.port at once
    hop.stall()                                  # nothing passes, connections stay
    hop.go()                                     # all passes again, what waited too

What it does to a connection counts in `hop.fired`, so that a row can insist on it.
"""
import selectors
import socket
import struct
import threading
import time

UP, DOWN = "up", "down"  # towards the server, back to the client
PIECE = 65536


class Link:
    """One connection, with a thread for each direction."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.client = client
        self.server = None
        self.passed = {UP: 0, DOWN: 0}
        self.mute = False  # answers are taken and thrown away; the first one ends the connection
        self.closed = False
        threading.Thread(target=self.begin, daemon=True).start()

    def begin(self):
        try:
            self.server = socket.create_connection(self.proxy.target, timeout=5)
            self.server.settimeout(None)
        except OSError:
            self.close()
            return
        for side in (self.client, self.server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self.pump, args=(DOWN, self.server, self.client), daemon=True).start()
        self.pump(UP, self.client, self.server)

    def pump(self, way, source, sink):
        try:
            while piece := source.recv(PIECE):
                if not self.proxy.may_pass(self, way):
                    return
                piece = self.proxy.treat(self, way, piece)
                if piece is None:
                    self.cut()
                    return
                sink.sendall(piece)
                self.passed[way] += len(piece)
            if not self.closed:  # cut: no end, a reset
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def cut(self):
        """RST to both, at once: nothing that is still in a buffer arrives."""
        self.closed = True
        for side in (self.client, self.server):
            if side is not None:
                try:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    side.shutdown(socket.SHUT_RDWR) if side is self.server else None
                except OSError:
                    pass
        self.close()

    def close(self):
        self.closed = True
        for side in (self.client, self.server):
            if side is not None:
                try:
                    side.shutdown(socket.SHUT_RD)  # wakes the thread that reads it
                except OSError:
                    pass
                side.close()
        self.proxy.forget(self)


class Proxy:
    def __init__(self, target, port=0):
        self.target = target
        self.fired = 0
        self.connections = 0
        self.links = set()
        self.lock = threading.Lock()
        self.passing = threading.Event()
        self.passing.set()
        self.delay = 0.0
        self.left = None      # (way, bytes) until a cut
        self.lost = None      # (matches, times): the answer to such a request is lost
        self.change = None    # (link, way, bytes) -> bytes
        self.listener = None
        self.port = port
        self.open()

    # ---- what a row says

    def go(self):
        """All as usual."""
        self.delay, self.left, self.lost, self.change = 0.0, None, None, None
        self.passing.set()
        if self.listener is None:
            self.open()

    def stall(self):
        """Silence: connections stay, also new ones, and nothing passes either way."""
        self.fired += len(self.links)
        self.passing.clear()

    def cut(self):
        """All connections are reset now; new ones are taken."""
        for link in self.all():
            self.fired += 1
            link.cut()

    def refuse(self):
        """Nobody listens any more, and what is open is reset."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.close()
            self.fired += 1
        self.cut()

    def slow(self, seconds):
        """Each piece is that late."""
        self.delay = seconds

    def limit(self, way, size):
        """The next connection to have passed that many bytes from now on is reset, once."""
        for link in self.all():
            link.passed[way] = 0
        self.left = (way, size)

    def lose_answer(self, matches, times=1):
        """A request for which matches(bytes) is true reaches the server; when the server answers, the connection is
        reset instead. That many times."""
        self.lost = [matches, times]

    def alter(self, change):
        """change(link, way, bytes) -> bytes for each piece; `fired` counts those that it altered."""
        self.change = change

    def close(self):
        self.refuse()

    # ---- how it is done

    def open(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        with selectors.DefaultSelector() as looks:
            listener.setblocking(False)
            looks.register(listener, selectors.EVENT_READ)
            while self.listener is listener:
                try:
                    if not looks.select(0.05):
                        continue
                    client, _ = listener.accept()
                except BlockingIOError:
                    continue
                except OSError:
                    return
                client.setblocking(True)
                with self.lock:
                    self.connections += 1
                    self.links.add(Link(self, client))

    def all(self):
        with self.lock:
            return list(self.links)

    def forget(self, link):
        with self.lock:
            self.links.discard(link)

    def may_pass(self, link, way):
        """Waits while the hop is stalled; False when the connection ended meanwhile."""
        if self.delay:
            self.fired += 1
            time.sleep(self.delay)
        while not self.passing.wait(0.05):
            if link.closed:
                return False
        return not link.closed

    def treat(self, link, way, piece):
        """What goes on of it; None: the connection is to be reset."""
        if way == DOWN and link.mute:
            return None
        if way == UP and self.lost is not None and self.lost[1] > 0 and self.lost[0](piece):
            self.lost[1] -= 1
            self.fired += 1
            link.mute = True
        if self.left is not None and self.left[0] == way and link.passed[way] + len(piece) > self.left[1]:
            self.left = None
            self.fired += 1
            return None
        if self.change is not None:
            altered = self.change(link, way, piece)
            self.fired += altered != piece
            return altered
        return piece


# ---- requests that a row may want to lose the answer of ---------------------------------------------------------------

def kafka_produce(piece):
    """A frame of ApiKey 0; librdkafka writes a request from its beginning."""
    return len(piece) > 8 and piece[4:6] == b"\0\0"


class ProduceErrors:
    """For alter(): the broker's answer to each of the next `times` Produce requests of `client` says `code` for the first
    partition."""

    def __init__(self, client, code, times=1):
        self.client, self.code, self.times = client.encode(), code, times
        self.asked = set()  # (link, correlation id): another connection uses the same ones

    def __call__(self, link, way, piece):
        if way == UP:
            if kafka_produce(piece) and piece[14:14 + int.from_bytes(piece[12:14], "big")] == self.client:
                self.asked.add((link, piece[8:12]))
            return piece
        if self.times == 0 or (link, piece[4:8]) not in self.asked:
            return piece
        self.times -= 1
        # size, correlation id, topics, name, partitions, partition, then the error
        at = 4 + 4 + 4 + 2 + int.from_bytes(piece[12:14], "big") + 4 + 4
        return piece[:at] + self.code.to_bytes(2, "big") + piece[at + 2:]


def mysql_commit(piece):
    return len(piece) > 5 and piece[4] == 3 and piece[5:].strip().rstrip(b";").upper() == b"COMMIT"
