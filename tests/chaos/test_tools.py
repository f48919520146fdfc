#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The fault tools do what they say: the shim and the proxy, without any service of ours.

BIN says where libfault.so is. The last line is "N passed, N failed".
"""
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import images  # noqa: E402
import proxy  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIB = os.path.join(ROOT, os.environ.get("BIN", "build/release"), "libfault.so")
passed = failed = 0


def ok(sentence, condition, detail=""):
    global passed, failed
    passed, failed = passed + bool(condition), failed + (not condition)
    print(f"{'ok' if condition else 'not ok'} {passed + failed} - {sentence}" + ("" if condition else f"\n#   {detail}"), flush=True)


# ---- the shim

def under(fault, program, **more):
    """Runs it in an empty folder; (exit code, what it printed, lines of FAULT_LOG, folder)."""
    folder = tempfile.TemporaryDirectory()
    environment = dict(os.environ, LD_PRELOAD=LIB, FAULT=fault, FAULT_LOG=f"{folder.name}/fired", PYTHONDONTWRITEBYTECODE="1")
    environment.update({key: value.replace("HERE", folder.name) for key, value in more.items()})
    done = subprocess.run([sys.executable, "-S", "-c", "import os, sys\n" + program], env=environment, cwd=folder.name,
                          capture_output=True, text=True, timeout=20)
    lines = open(f"{folder.name}/fired").read().splitlines() if os.path.exists(f"{folder.name}/fired") else []
    return done.returncode, (done.stdout + done.stderr).strip(), lines, folder


WRITES = """
fd = os.open('file', os.O_CREAT | os.O_WRONLY)
for i in range(4):
    try:
        print(os.write(fd, b'12345678'), end=' ')
    except OSError as error:
        print(error.errno, end=' ')
"""
code, said, lines, _ = under("write@/file:2:ENOSPC", WRITES)
ok("the second write fails with ENOSPC, the others do not", said == "8 28 8 8", said)
ok("and the log says so", len(lines) == 1 and lines[0].split()[1:4] == ["write", "2", "ENOSPC"] and lines[0].endswith("/file"), lines)
code, said, lines, _ = under("write@/file:2-3:short", WRITES)
ok("two writes are short", said == "8 4 4 8" and len(lines) == 2, said)
code, said, lines, _ = under("write@/other:*:EIO", WRITES)
ok("another path is none of its business", said == "8 8 8 8" and lines == [], said)
code, said, lines, folder = under("rename@/b:1:kill,fsync:2+:EIO", """
fd = os.open('a', os.O_CREAT | os.O_WRONLY)
os.fsync(fd)
for i in range(2):
    try:
        os.fdatasync(fd)
    except OSError as error:
        print(error.errno, flush=True)
os.rename('a', 'b')
""")
ok("a process is killed before a rename, which was not done", code == -9 and os.path.exists(f"{folder.name}/a") and said == "5\n5", (code, said))
code, said, lines, _ = under("open@/x:*:EACCES", "print(os.path.exists('x'))\ntry:\n    open('x', 'w')\nexcept OSError as e:\n    print(e.errno)")
ok("an open is refused", said == "False\n13", said)
code, said, lines, _ = under("clock:+3600", "import time\nprint(int(time.time()), time.monotonic() > 0)")
ok("the time of day is an hour ahead", abs(int(said.split()[0]) - time.time() - 3600) < 5, said)
code, said, lines, _ = under("malloc:*:ENOMEM", "print('never')")
ok("without memory nothing begins", code != 0 and said.endswith("never") is False and len(lines) > 0, (code, said))
code, said, lines, _ = under("thread:1:EAGAIN", "import _thread\ntry:\n    _thread.start_new_thread(print, ('x',))\nexcept RuntimeError:\n    print('no thread')")
ok("a thread is refused", said == "no thread", said)
code, said, lines, _ = under("write:sometimes:EIO", "print('never')")
ok("a rule that it cannot read ends the program with a text", code == 125 and "no rule" in said, (code, said))
code, said, lines, _ = under("@rules", """
import time
def attempt():
    try:
        os.mkdir('d') if False else os.close(os.open('f', os.O_CREAT | os.O_WRONLY))
        print('yes', flush=True)
    except OSError:
        print('no', flush=True)
def rule(text):
    fd = os.open('rules', os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.write(fd, text)
    os.close(fd)
    time.sleep(0.05)
attempt()
rule(b'open@f:2:EIO')
attempt(); attempt(); attempt()
rule(b'')
attempt()
""")
ok("rules come and go while the program runs", said.split() == ["yes", "yes", "no", "yes", "yes"], said)
code, said, lines, folder = under("", """
fd = os.open(sys.argv[0] and '' or os.getcwd() + '/t', os.O_CREAT | os.O_WRONLY)
os.write(fd, b'ab'); os.write(fd, b'c'); os.fsync(fd); os.rename(os.getcwd() + '/t', os.getcwd() + '/u')
""", FAULT_TRACE="HERE/trace", FAULT_TRACE_BELOW="HERE/")
trace = [line.replace(folder.name, "") for line in open(f"{folder.name}/trace").read().splitlines()]
ok("a trace has every change", trace == ["write /t 0 6162", "write /t 2 63", "fsync /t", "rename /t /u"], trace)


# ---- images of a power loss

def found(lines, before):
    """What a.zone can be after a crash."""
    with tempfile.NamedTemporaryFile("w", suffix=".trace") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        return {image.get("a.zone", "missing") for image in images.crashes(file.name, "/f", before)}


WRITE, SYNC = "write /f/.new 0 6e6577", "fsync /f/.new"
old = {"a.zone": b"old"}
ok("written, synced, renamed: old or new", found([WRITE, SYNC, "rename /f/.new /f/a.zone"], old) == {b"old", b"new"})
ok("renamed before it was synced: perhaps torn", None in found([WRITE, "rename /f/.new /f/a.zone", SYNC], old))
ok("written in place: perhaps torn", None in found(["write /f/a.zone 0 6e6577", "fsync /f/a.zone"], old))
ok("exchanged, and the old one written over before the exchange has lasted: perhaps torn",
   None in found([WRITE, SYNC, "exchange /f/.new /f/a.zone", "write /f/.new 0 78"], old))
ok("after a sync that is harmless", None not in found([WRITE, SYNC, "exchange /f/.new /f/a.zone", "syncfs /f", "write /f/.new 0 78"], old))
ok("removed first: perhaps missing", "missing" in found([WRITE, SYNC, "unlink /f/a.zone", "rename /f/.new /f/a.zone"], old))


# ---- the proxy

class Echo:
    """Answers each line with itself, and remembers what it read."""

    def __init__(self):
        self.read = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            conn, _ = self.listener.accept()
            threading.Thread(target=self.answer, args=(conn,), daemon=True).start()

    def answer(self, conn):
        try:
            while data := conn.recv(4096):
                self.read.append(data)
                conn.sendall(data)
        except OSError:
            pass
        conn.close()


echo = Echo()
hop = proxy.Proxy(("127.0.0.1", echo.listener.getsockname()[1]))


def talk(conn, data, patience=0.3):
    """The echo, or the name of what happened instead."""
    conn.settimeout(patience)
    try:
        conn.sendall(data)
        return conn.recv(4096) or "closed"
    except socket.timeout:
        return "silence"
    except ConnectionError as error:
        return type(error).__name__


def fresh():
    return socket.create_connection(("127.0.0.1", hop.port), timeout=2)


conn = fresh()
ok("it passes", talk(conn, b"one") == b"one")
hop.stall()
ok("stalled: silence", talk(conn, b"two") == "silence" and b"two" not in echo.read)
hop.go()
conn.settimeout(2)
ok("what waited comes when it goes on", conn.recv(100) == b"two")
hop.cut()
said = talk(conn, b"three")
ok("cut: reset", said in ("ConnectionResetError", "BrokenPipeError"), said)
conn = fresh()
ok("a new connection passes", talk(conn, b"four") == b"four")
hop.lose_answer(lambda piece: piece == b"five")
ok("the answer to another request comes", talk(conn, b"4") == b"4")
said = talk(conn, b"five", 2)
ok("an answer is lost, and the connection", said in ("ConnectionResetError", "closed"), said)
ok("but the server had read the request", b"five" in echo.read)
conn = fresh()
ok("only that once", talk(conn, b"five") == b"five" and hop.fired >= 3)
hop.limit(proxy.DOWN, 6)
said = [talk(conn, b"1234"), talk(conn, b"5678", 2)]
ok("cut after a number of bytes", said[0] == b"1234" and said[1] in ("ConnectionResetError", "closed"), said)
hop.refuse()
try:
    fresh()
    ok("refused", False)
except ConnectionRefusedError:
    ok("refused", True)
hop.go()
conn = fresh()
ok("open again on the same port", talk(conn, b"six") == b"six")
hop.slow(0.2)
began = time.monotonic()
ok("slow", talk(conn, b"seven", 2) == b"seven" and time.monotonic() - began >= 0.4)
hop.go()
hop.alter(lambda _, way, piece: piece.replace(b"8", b"9") if way == proxy.DOWN else piece)
ok("altered", talk(conn, b"888") == b"999")
print(f"{passed} passed, {failed} failed")
sys.exit(0 if passed and not failed else 1)
