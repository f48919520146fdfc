# SPDX-License-Identifier: Apache-2.0
"""Faults of MariaDB, on the way to it, and of who works there beside us."""
import threading
import time

import faults
import proxy
import rows
import story
from faults import wait_for
from rig import row

OPEN = "SELECT trx_rows_modified FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_rows_modified > 0"


def away_and_back(rig, backend, seconds=45):
    rig.eventually(seconds, f"writer-{backend} is ready again", lambda: story.ready(f"writer-{backend}") or faults.unready_why(f"writer-{backend}"))


def settings(rig, **values):
    """Global variables of MariaDB until the row ends."""
    for name, value in values.items():
        before = story.sql("mariadb", f"SELECT @@GLOBAL.{name}")[0][0]
        rig.finally_do(story.sql, "mariadb", f"SET GLOBAL {name} = %s", (before,))
        story.sql("mariadb", f"SET GLOBAL {name} = %s", (value,))


@row("F34", "MariaDB killed during a transaction")
def f34(rig):
    """kill -9 while both writers wait for a lock with rows changed and not committed"""
    rig.load.start(rate=60)
    for i in range(3):
        with rig.nemesis(f"MariaDB is killed, {i + 1}", alarms=("dc1 away", "dc2 away"), down=("dc1", "dc2")) as fault:
            with rows.connect("mariadb") as holder, rows.connect("mariadb") as watcher, watcher.cursor() as cursor:
                holder.begin()
                with holder.cursor() as locker:
                    for database in ("dc1", "dc2"):  # the row that a transaction takes last
                        locker.execute(f"SELECT value FROM {database}.dadns_meta WHERE name = 'changed' FOR UPDATE")

                def both():
                    cursor.execute(OPEN)
                    return len(cursor.fetchall()) == 2
                # this table is not read again for whom asks more often than every 0.1 s
                fault.fired(wait_for(30, both, every=0.12))
                rig.kill("mariadb")
            rig.await_exit("mariadb", 10)
            rig.start("mariadb")
            away_and_back(rig, "dc1")
            away_and_back(rig, "dc2")


@row("F35", "COMMIT's answer lost", tier="short")
def f35(rig):
    """the proxy lets COMMIT pass and resets the connection when its answer comes, twelve times"""
    between = {backend: faults.mysql_hop(rig, backend) for backend in ("dc1", "dc2")}
    rig.load.start(rate=40)
    for i in range(6):
        for backend, way in between.items():
            before = way.fired
            with rig.nemesis(f"{backend}: the answer to a COMMIT is lost, {i + 1}") as fault:
                way.lose_answer(proxy.mysql_commit)
                fault.fired(wait_for(30, lambda: way.fired > before))
            away_and_back(rig, backend)
    rig.load.stop()
    for backend in between:
        twice = story.sql(backend, "SELECT zone, COUNT(*) FROM dadns_zones GROUP BY zone HAVING COUNT(*) > 1")
        rig.ok(f"{backend}: no zone stands there twice", not twice, twice)


@row("F36", "deadlock (1213) and lock wait (1205)")
def f36(rig):
    """a second session locks rows of zones that are being changed: for longer than the wait, and crosswise"""
    zones = [f"lock{i}-{story.RUN}.example" for i in range(8)]
    for zone in zones:
        rig.ok("pushed", story.push(zone, story.zone_text(zone, 1)) == "ok")
    rig.eventually(45, "in both databases", lambda: all(
        story.sql(backend, "SELECT COUNT(*) FROM dadns_zones WHERE zone IN %s", (zones,))[0][0] == len(zones) for backend in ("dc1", "dc2")))
    rig.load.start(rate=30)

    def push_all(n):
        return [zone for zone in zones if story.push(zone, story.zone_text(zone, n)) != "ok"]

    # who waits for a lock for more than 1 s is put aside for 30 s, alone
    for n, backend, held in ((2, "dc1", 1.5), (3, "dc2", 1.5), (4, "dc1", 8)):
        with rig.nemesis(f"{backend}: a row is locked for {held} s") as fault, rows.connect(backend) as holder:
            holder.begin()
            with holder.cursor() as cursor:
                cursor.execute("SELECT * FROM dadns_zones WHERE zone = %s FOR UPDATE", (zones[0],))
                rig.ok("pushes are acknowledged", not push_all(n))
                fault.fired(wait_for(30, lambda: story.sql(
                    "mariadb", "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")[0][0] > 0, every=0.12))
                time.sleep(held)
                if held > 4:
                    rig.eventually(30, f"{backend}: the others do not wait for it", lambda: written(backend, zones[1:], n))
            holder.rollback()
        rig.eventually(45, f"{backend}: then all of them are written", lambda: written(backend, zones, n))

    position = {name: story.log_size(name) for name in ("writer-dc1", "writer-dc2")}
    for n, backend in ((5, "dc1"), (6, "dc2")):
        deadlocks = deadlocks_so_far()
        stop = threading.Event()

        def cross():
            """Locks the counter, which the writer takes last, and then a version row, which it takes first."""
            with rows.connect(backend) as conn, conn.cursor() as cursor:
                while not stop.is_set():
                    try:
                        conn.begin()
                        cursor.execute("SELECT value FROM dadns_meta WHERE name = 'changed' FOR UPDATE")
                        time.sleep(0.05)
                        cursor.execute("SELECT zone FROM dadns_zones WHERE zone IN %s FOR UPDATE", (zones,))
                        conn.rollback()
                    except Exception:
                        conn.rollback()
                    time.sleep(0.01)
        with rig.nemesis(f"{backend}: somebody locks in the other order") as fault:
            thread = threading.Thread(target=cross, daemon=True)
            thread.start()
            until = time.monotonic() + 12
            while deadlocks_so_far() == deadlocks and time.monotonic() < until:
                rig.ok("pushes are acknowledged", not push_all(n))
                time.sleep(0.3)
            fault.fired(deadlocks_so_far() > deadlocks)
            stop.set()
            thread.join(10)
        rig.eventually(45, f"{backend}: all of them are written", lambda: written(backend, zones, n))
    aside = [name for name, since in position.items() if faults.log_has(name, since, "zone put aside")]
    rig.ok("nothing was put aside for it", not aside, aside)


def written(backend, zones, n):
    count = story.sql(backend, "SELECT COUNT(*) FROM dadns_zones WHERE zone IN %s AND serial = %s", (zones, n))[0][0]
    return count == len(zones) or f"{count} of {len(zones)}"


def deadlocks_so_far():
    return int(story.sql("mariadb", "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0][1])


@row("F37", "server has gone away after idle")
def f37(rig):
    """wait_timeout=1, and pauses of 3 s between pushes"""
    for backend in ("dc1", "dc2"):  # a session keeps what it began with
        rig.finally_do(lambda name=f"writer-{backend}": (story.stack("stop", name), story.start(name)))
    settings(rig, wait_timeout=1)
    for backend in ("dc1", "dc2"):
        faults.restart(rig, f"writer-{backend}")
    away = {backend: story.metric(f"writer-{backend}", "dadns_writer_backend_away_total") for backend in ("dc1", "dc2")}
    aborted = int(story.sql("mariadb", "SHOW GLOBAL STATUS LIKE 'Aborted_clients'")[0][1])
    zone = f"idle-{story.RUN}.example"
    with rig.nemesis("MariaDB closes what is idle for 1 s") as fault:
        for n in range(1, 5):
            rig.ok("pushed", story.push(zone, story.zone_text(zone, n)) == "ok")
            for backend in ("dc1", "dc2"):
                rig.eventually(30, f"{backend}: written after a pause", lambda: [tuple(found) for found in story.sql(
                    backend, "SELECT serial FROM dadns_zones WHERE zone = %s", (zone,))] == [(n,)])
            time.sleep(3)
        fault.fired(int(story.sql("mariadb", "SHOW GLOBAL STATUS LIKE 'Aborted_clients'")[0][1]) > aborted)
    rig.load.start(rate=30)
    time.sleep(2)
    for backend, before in away.items():
        now = story.metric(f"writer-{backend}", "dadns_writer_backend_away_total")
        rig.note(f"{backend} was said to be away {now - before:.0f} times")


@row("F38", "MariaDB disk full, or read-only")
def f38(rig):
    """read_only=1; then an account without the right to write; each for 6 s"""
    rig.load.start(rate=40)
    letters = sum(story.end_offsets("dadns.dead-letters").values())
    with rig.nemesis("read_only=1", alarms=("dc1 away", "dc2 away")) as fault:
        settings(rig, read_only=1)
        fault.fired(wait_for(30, lambda: not story.ready("writer-dc1") and not story.ready("writer-dc2")))
        rig.eventually(30, "the text says why", lambda: "read-only" in faults.unready_why("writer-dc1") or faults.unready_why("writer-dc1"))
        time.sleep(6)
        story.sql("mariadb", "SET GLOBAL read_only = 0")
    for backend in ("dc1", "dc2"):
        away_and_back(rig, backend)
    with rig.nemesis("rights are revoked", alarms=("dc1 away",)) as fault:
        story.sql("mariadb", "REVOKE INSERT, UPDATE, DELETE ON dc1.* FROM dc1@'%'")
        rig.finally_do(story.sql, "mariadb", "GRANT INSERT, UPDATE, DELETE ON dc1.* TO dc1@'%'")
        for (number,) in story.sql("mariadb", "SELECT id FROM information_schema.processlist WHERE user = 'dc1'"):
            story.sql("mariadb", "KILL %s", (number,))  # a session keeps the rights that it began with
        fault.fired(wait_for(30, lambda: not story.ready("writer-dc1")))
        time.sleep(3)
        story.sql("mariadb", "GRANT INSERT, UPDATE, DELETE ON dc1.* TO dc1@'%'")
    away_and_back(rig, "dc1")
    rig.ok("no dead letters", sum(story.end_offsets("dadns.dead-letters").values()) == letters)
    rig.ok("nothing is put aside", story.metric("writer-dc1", "dadns_writer_aside_zones") == 0)


@row("F39", "a reader sees half a zone")
def f39(rig):
    """readers at READ COMMITTED and by a transfer during 1000 re-writes of ten zones"""
    zones = [f"half{i}-{story.RUN}.example" for i in range(10)]
    for zone in zones:
        rig.ok("pushed", story.push(zone, story.zone_text(zone, 1)) == "ok")
    rig.eventually(45, "in both databases", lambda: all(story.sql(
        backend, "SELECT COUNT(*) FROM dadns_zones WHERE zone IN %s", (zones,))[0][0] == len(zones) for backend in ("dc1", "dc2")))
    rig.load.start(rate=10)
    torn, looks, stop = [], [0], threading.Event()
    queries = {"dc1": "SELECT r.type, r.data FROM records r JOIN zones z ON z.id = r.zone_id WHERE z.zone_name = CONCAT(%s, '.')",
               "dc2": "SELECT r.type, r.content FROM records r JOIN domains d ON d.id = r.domain_id WHERE d.name = %s"}

    def read(backend):
        with rows.connect(backend) as conn, conn.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            while not stop.is_set():
                for zone in zones:
                    cursor.execute(queries[backend], (zone,))
                    found = cursor.fetchall()
                    numbers = {int(data.strip('"')) for kind, data in found if kind == "TXT"}
                    numbers |= {int(data.split()[2]) for kind, data in found if kind == "SOA"}
                    numbers |= {int.from_bytes(bytes(map(int, data.split(".")[1:])), "big") for kind, data in found if kind == "A"}
                    looks[0] += 1
                    if len(numbers) != 1 or len(found) != 8:
                        torn.append((backend, zone, found))
    threads = [threading.Thread(target=read, args=(backend,), daemon=True) for backend in queries]
    for thread in threads:
        thread.start()
    with rig.nemesis("a thousand re-writes while readers look") as fault:
        refused = 0
        for n in range(2, 102):
            refused += sum(story.push(zone, story.zone_text(zone, n)) != "ok" for zone in zones)
        fault.fired(looks[0] > 500)
    stop.set()
    rig.ok("all were acknowledged", refused == 0, refused)
    rig.ok(f"{looks[0]} looks saw one whole version each", not torn, torn[:2])
