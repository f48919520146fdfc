# SPDX-License-Identifier: Apache-2.0
"""Negative controls: losses that are planted in the running system by hand. The named check must find each of them."""
import os
import subprocess
import time
import urllib.request

import content
import rig as rigs  # noqa: F401  (sets the paths)
import rows
import story
from rig import row


def served_number(rig, zone):
    """Waits until all servers have the newest of a zone that only this row changes; its n."""
    rig.eventually(20, f"{zone} is served everywhere", lambda: rig.live.settled(zone) and all(
        story.serial(server, zone) == rig.live.wanted(zone) for server in story.SERVERS))
    rig.look_at_all("run", [zone])
    return rig.live.wanted(zone)


def rndc(server, *words):
    host, port = story.address(f"{server.upper()}_RNDC")
    done = subprocess.run(["/usr/sbin/rndc", "-s", host, "-p", str(port), "-k", os.environ[f"{server.upper()}_RNDC_KEYFILE"], *words],
                          capture_output=True, text=True, timeout=20)
    return done.returncode == 0, done.stdout + done.stderr


def zone_file(server, zone):
    """The file in which named has it."""
    folder = os.environ[f"{server.upper()}_ZONES_DIR"]
    found = [os.path.join(where, file) for where, _, files in os.walk(folder) for file in files if file.startswith(zone)]
    if len(found) != 1:
        raise RuntimeError(f"{server} has {found} of {zone}")
    return found[0]


def overwrite(server, zone, n, owner):
    """named serves version n of the zone, behind its writer's back."""
    path = zone_file(server, zone)
    with open(path, "w") as file:
        file.write(content.text(zone, n, owner))
    os.utime(path, (time.time() + 2, time.time() + 2))
    return rndc(server, "reload", zone)


def flush_powerdns(name):
    urllib.request.urlopen(urllib.request.Request(f"{os.environ['DC2_API']}/api/v1/servers/localhost/cache/flush?domain={name}.", method="PUT",
                                                  headers={"X-API-Key": os.environ["DC2_API_KEY"]}), timeout=5).close()


@row("planted-lost", "an acknowledged push is dropped", tier="short", bound=3, expects=("C1", "C2"), seconds=200)
def planted_lost(rig):
    """pushes that no judge has read yet are skipped: the group's offsets are set to the end while nobody is in it"""
    rig.start("ingest-2")
    rig.finally_do(story.stack, "stop", "ingest-2")
    rig.eventually(20, "two judges share the work", lambda: all(story.metric(name, "dadns_bus_partitions") > 0 for name in ("ingest", "ingest-2")))
    with rig.nemesis("pushes are skipped") as fault:
        rig.stack("pause", "ingest")  # its partitions wait until it is given up, after 2 s
        answers = rig.load.each("push", rig.zones, door="INGEST_2_URL", patience=4)
        for name in ("ingest-2", "ingest"):
            rig.kill(name)
            rig.await_exit(name, 5)
        waiting = [zone for zone, answer in answers.items() if answer[0] == "ok" and not rig.live.settled(zone)]
        rig.note(f"{len(waiting)} acknowledged pushes were not judged yet")
        time.sleep(2.5)  # the group forgets its members
        said = story.kafka_class("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"],
                                 "--reset-offsets", "--to-latest", "--group", "dadns.judge", "--topic", "dadns.pushes", "--execute")
        fault.fired(waiting and "dadns.pushes" in said)
        rig.start("ingest")


@row("planted-stale", "an older version is written over a newer one", tier="short", bound=3, expects=("C1", "C3"))
def planted_stale(rig):
    """the zone file of ns1 is overwritten and reloaded, the rows of dc2 are changed back"""
    zone = rig.zones[0]
    for _ in range(3):
        rig.push(zone)
    n = served_number(rig, zone)
    rig.load.start(rate=20, zones=rig.zones[1:])
    with rig.nemesis("stale values") as fault:
        ok, said = overwrite("ns1", zone, n - 1, rig.load.owners[zone])
        rig.eventually(10, "ns1 serves the older one", lambda: story.serial("ns1", zone) == n - 1 or said)
        for new, old in zip(content.records(zone, n, rig.load.owners[zone]), content.records(zone, n - 1, rig.load.owners[zone])):
            rows.sql("dc2", "UPDATE records SET content = %s WHERE name = %s AND type = %s AND content = %s",
                     (old[3], new[0][:-1], new[1], new[3]))
        flush_powerdns(zone)
        fault.fired(ok)
        rig.under_load(2)


@row("planted-back", "a delete is brought back", tier="short", bound=3, expects=("C5",))
def planted_back(rig):
    """a deleted zone is added to ns1 by rndc, and inserted into the tables of dc2"""
    zone = rig.zones[0]
    rig.delete(zone)
    served = rig.eventually(20, "it is gone everywhere", lambda: all(story.serial(server, zone) == "REFUSED" for server in story.SERVERS))
    rig.load.start(rate=20, zones=rig.zones[1:])
    with rig.nemesis("a zone comes back") as fault:
        path = os.path.join(os.environ["NS1_ZONES_DIR"], f"{zone}.back")
        with open(path, "w") as file:
            file.write(content.text(zone, 1, rig.load.owners[zone]))
        rig.finally_do(rndc, "ns1", "delzone", "-clean", zone)
        ok, said = rndc("ns1", "addzone", zone, f'{{ type primary; file "{path}"; }};')
        rig.ok("rndc takes it", ok, said)
        rows.sql("dc2", "INSERT INTO domains (name, type) VALUES (%s, 'NATIVE')", zone)
        number = rows.sql("dc2", "SELECT id FROM domains WHERE name = %s", zone)[0][0]
        for name, kind, ttl, data in content.records(zone, 1, rig.load.owners[zone]):
            rows.sql("dc2", "INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth) VALUES (%s, %s, %s, %s, %s, 0, 0, 1)",
                     (number, name[:-1], kind, data.rstrip(".") if kind == "NS" else data, ttl))
        flush_powerdns(zone)
        fault.fired(served and story.serial("ns1", zone) == 1)
        rig.under_load(2)


@row("planted-torn", "half of a zone is another version's", tier="short", bound=3, expects=("C4",))
def planted_torn(rig):
    """five addresses of a zone are changed in the tables of dc2, three in the zone file of ns2"""
    zone = rig.zones[0]
    rig.push(zone)
    n = served_number(rig, zone)
    with rig.nemesis("torn zones") as fault:
        rows.sql("dc2", "UPDATE records SET content = %s WHERE name LIKE %s AND type = 'A' LIMIT 5", (content.address(n + 7), f"%.{zone}"))
        path = zone_file("ns2", zone)
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace(content.address(n), content.address(n + 7), 3))
        os.utime(path, (time.time() + 2, time.time() + 2))
        ok, said = rndc("ns2", "reload", zone)
        fault.fired(ok)
        time.sleep(1)


@row("planted-bystander", "a zone that nobody touched is changed, another one vanishes", bound=3, expects=("C6",))
def planted_bystander(rig):
    """a row of a still zone is changed in dc2, another still zone is taken from ns1 by rndc delzone"""
    with rig.nemesis("bystanders are hit") as fault:
        rows.sql("dc2", "UPDATE records SET ttl = 60 WHERE name = %s AND type = 'A'", f"b3.{rig.still[0]}")
        ok, said = rndc("ns1", "delzone", rig.still[1])
        fault.fired(ok)
        time.sleep(1)
    # it is pushed once more at the end, so that the next row finds a stack that is right
    rig.finally_do(story.push, rig.still[1], content.text(rig.still[1], 1, rig.load.owners[rig.still[1]]))


@row("stale-in-the-log", "an older value is appended to dadns.zones", faults=3)
def stale_in_the_log(rig):
    """kcat copies the first value of three zones behind their last one: fenced by every writer, and written right by the judge"""
    zones = rig.zones[:3]
    for _ in range(3):
        for zone in zones:
            rig.push(zone)
    for zone in zones:
        served_number(rig, zone)
    rig.load.start(rate=20, zones=rig.zones[3:])
    with rig.nemesis("late values") as fault:
        for zone, partition, _, text in story.records("dadns.zones", set(zones)):
            if '"serial":1,' in text:
                story.kcat("-P", "-t", "dadns.zones", "-p", str(partition), "-k", zone, "-H", "ce_type=zone", stdin=text.encode())
                fault.fired()
        rig.under_load(3)
