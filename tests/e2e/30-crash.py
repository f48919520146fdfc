#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The crash story: whatever dies between whichever two steps, an acknowledged push is served and a delete stays.

First every abort mark that stands in the source is hit in turn, with pushes in flight; then each process is
killed 20 times at random moments of a burst over 2,000 zones. A zone must end at its last acknowledged
change or at a later one that nobody answered; never at anything older (reliability.md 3.4, C1). That is what each
name server must serve, and the rows in each database must be the log's value by digest.

SEED, KILLS and ZONES of the environment choose another run.
"""
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import uuid

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
import tables  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
KILLS = int(os.environ.get("KILLS") or 20)
ZONES = int(os.environ.get("ZONES") or 2000)
WORKERS = 8
PROCESSES = story.PRODUCTS


class Load:
    """Each zone belongs to one worker, so its changes do not overlap and their order is the real one.

    With `zones` that many are changed again and again, without it ever new ones.
    """

    def __init__(self, stem, zones, pace):
        self.stem, self.pace = stem, pace  # seconds between two changes of one worker
        self.made = 0
        self.zones = [f"{stem}{i}-{story.RUN}.example" for i in range(zones)]
        self.possible = {}  # zone -> contents that it may have in the end: the last acked and what came after
        self.acked = self.unanswered = self.refused = 0
        self.open = 0  # requests on their way now
        self.lock = threading.Lock()
        self.stopping = False
        self.refusals = []
        self.bad = f"refused-{stem}-{story.RUN}.example"  # named refuses this one's content again and again
        self.refused_zones = []  # and these ones' for good
        self.threads = []

    def change(self, zone, n):
        """n None: a delete."""
        data = story.delete_bytes([zone]) if n is None else story.save_bytes(
            zone, story.zone_text(zone, n), more="&named_reload=yes" if n % 5 == 0 else "")
        with self.lock:
            self.open += 1
        answer, said = "info", b""
        try:
            said = story.raw(data, patience=15)
            answer = story.verdict(said)
        except OSError as error:
            if isinstance(error, ConnectionRefusedError):
                answer = "none"  # it never left
        with self.lock:
            self.open -= 1
            if answer == "ok":
                self.acked += 1
                self.possible[zone] = {n}
            elif answer == "info":
                self.unanswered += 1
                self.possible.setdefault(zone, {"never"}).add(n)
            elif answer == "fail":  # error=1 of a delivery that is not known: it may be in the log (maybe)
                self.refused += 1
                self.refusals.append(story.status_and_body(said))
                self.possible.setdefault(zone, {"never"}).add(n)
        return answer

    def work(self, mine, seed):
        rng = random.Random(seed)
        n = {zone: 0 for zone in mine}
        for zone in mine:
            while not self.stopping:
                n[zone] += 1
                if self.change(zone, n[zone]) == "ok":
                    break
                time.sleep(0.02)
        while not self.stopping:
            zone = rng.choice(mine)
            n[zone] += 1
            delete = rng.random() < 0.15
            if self.change(zone, None if delete else n[zone]) == "none":
                time.sleep(0.02)
            elif rng.random() < 0.1:  # the same again: `unchanged`, unless it was deleted since
                self.change(zone, None if delete else n[zone])
            time.sleep(self.pace)

    def work_once(self, number, seed):
        """New zones all the time, changed once or twice and then left alone: what a crash broke no later push repairs."""
        rng = random.Random(seed)
        while not self.stopping:
            self.made += 1
            zone = f"{self.stem}{number}-{self.made}-{story.RUN}.example"
            for n in rng.choice(((1,), (1, 2), (1, None), (1, 2, None), (1, None, 3))):
                while self.change(zone, n) == "none" and not self.stopping:
                    time.sleep(0.02)
                time.sleep(self.pace)

    def start(self, seed):
        for i in range(WORKERS):
            target, args = (self.work, (self.zones[i::WORKERS], seed * 100 + i)) if self.zones else (self.work_once, (i, seed * 100 + i))
            thread = threading.Thread(target=target, args=args, daemon=True)
            self.threads.append(thread)
            thread.start()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(30)

    def wanted(self):
        with self.lock:
            return {zone: {"absent" if n in (None, "never") else story.expected(zone, n) for n in contents}
                    for zone, contents in self.possible.items()}


class Flow:
    """What is on its way, as the topics tell it: zones with pushes not judged, with values not yet served."""

    def __init__(self):
        self.pushed, self.newest = {}, {}
        self.done = {speaker: {} for speaker in ("judge", *story.BACKENDS)}
        self.followers = [story.Follower("dadns.pushes", self.push), story.Follower("dadns.zones", self.zone),
                          story.Follower("dadns.status", self.status)]

    @staticmethod
    def offset(payload):
        found = re.search(r'"version":\{"epoch":(\d+),"offset":(\d+)\}', payload)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def push(self, key, offset, payload):
        self.pushed[key] = offset

    def zone(self, key, offset, payload):
        if not key.startswith("@") and payload:
            self.newest[key] = max(self.newest.get(key, (0, 0)), self.offset(payload))

    def status(self, key, offset, payload):
        speaker, _, zone = key.partition("/")
        if not zone:  # of a backend as a whole
            return
        if speaker == "judge" or '"state":"applied"' in payload or '"state":"verified"' in payload:
            done = self.done[speaker]
            done[zone] = max(done.get(zone, (0, 0)), self.offset(payload))

    def waiting(self, process):
        if process == "ingest":
            judged = self.done["judge"]
            return sum(1 for zone, offset in list(self.pushed.items()) if judged.get(zone, (0, -1))[1] < offset)
        served = self.done[process.removeprefix("writer-")]
        return sum(1 for zone, version in list(self.newest.items())
                   if served.get(zone, (0, 0)) < version and not zone.startswith("refused-"))

    def stop(self):
        for follower in self.followers:
            follower.stop()


# ---- marks -------------------------------------------------------------------------------------------------------

def marks():
    """(process, mark) for each mark("...") of the source; a mark in common/ belongs to whoever runs that code. None: to
    nobody here."""
    homes = {"services/ingest/": ["ingest"], "common/drain": ["ingest"], "services/writer-bind/": ["writer-ns1"],
             "services/writer-mysql/": ["writer-dc1", "writer-dc2"], "common/writer": ["writer-ns1", "writer-dc2"]}
    found = subprocess.run(["grep", "-rnoE", r'\bmark\("[a-z_.]+"\)', "--include=*.c", "common", "services"], capture_output=True,
                           text=True, check=True).stdout
    pairs = []
    for line in found.splitlines():
        path, _, rest = line.partition(":")
        name = re.search(r'mark\("([a-z_.]+)"\)', rest)[1]
        for process in next((homes[home] for home in homes if path.startswith(home)), [None]):
            if (process, name) not in pairs:
                pairs.append((process, name))
    return pairs


def wait_exit(name, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        code = story.exit_code(name)
        if code is not None and not story.alive(name):
            return code
        time.sleep(0.01)
    return None


def hit_marks(process, names, rounds, results, load, flow):
    """Arms one mark after the other; each death's successor is armed with the next one."""
    todo = [(name, count) for name in names for count in rounds]
    story.kill(process)
    wait_exit(process, 10)
    for name, count in todo:
        position = story.log_size(process)
        story.start(process, abort_at=f"{name}:{count}", nowait=True)
        code = wait_exit(process, 30 if count == 1 else 10)  # not every mark is reached so often
        flying = load.open + flow.waiting(process)
        log = story.log_since(process, position)
        results[process, name, count] = (code == 137 and f"abort mark {name} reached" in log, code, flying, log[-1500:])
        if code is None:
            story.kill(process)
            wait_exit(process, 10)
    story.start(process, nowait=True)


def crowd_zone(load, stop):
    """Content that named and PowerDNS refuse, every second: the way of a zone that is put aside has marks too. One zone
    that is good every other time, and new ones that stay as they are, down to the dead letters."""
    n = 0
    while not stop.is_set():
        n += 1
        crowd = "".join(f"crowd 60 IN A 10.9.{i // 250}.{i % 250 + 1}\n" for i in range(101)) + "run 60 IN TYPE65402 \\# 1 00\n"
        load.refused_zones.append(f"refused-{load.stem}{n}-{story.RUN}.example")
        for zone, more in ((load.bad, crowd if n % 2 == 0 else ""), (load.refused_zones[-1], crowd)):
            try:
                story.raw(story.save_bytes(zone, story.zone_text(zone, n) + more), patience=5)
            except OSError:
                pass
        stop.wait(1)


def redis(*words):
    done = subprocess.run(["redis-cli", "-u", os.environ["REDIS_URL"], *words], capture_output=True, text=True, timeout=20)
    return done.stdout.strip()


def hold_zones(load, stop):
    """Zones that have held pushes, as if Kafka had been away: what has others joined and drained has marks too. Held is a delete by
    a stranger, so by itself it changes nothing; as long as its lock stands a push joins it. A drainer that died leaves a lock, so
    there are many zones."""
    n = 0
    while not stop.is_set():
        n += 1
        zone = f"held{n % 40}-{story.RUN}.example"
        load.change(zone, 2 * n)
        made = int(time.time() * 1000)
        push = str(uuid.UUID(int=made << 80 | 7 << 76 | random.getrandbits(76) & ~(3 << 62) | 2 << 62))
        value = {"schema": "push/1.0", "id": push, "op": "delete", "zone": zone, "owner": "stranger.example", "sender": "default",
                 "received_at": "2026-11-21T14:30:57.123Z", "seen": "absent"}
        redis("SET", f"dadns:hold:lock:{zone}", "story", "NX", "PX", "300")
        redis("RPUSH", f"dadns:hold:zone:{zone}", f"{push} {made}\nce_source: /story\n\n{json.dumps(value)}")
        redis("ZADD", "dadns:hold:zones", "NX", str(made), zone)
        load.change(zone, 2 * n + 1)
        stop.wait(0.2)


# ---- random kills --------------------------------------------------------------------------------------------------

def works(process):
    """It has partitions; a judge has finished its take-over as well."""
    try:
        return story.metric(process, "dadns_bus_partitions") > 0 and story.ready(process)
    except OSError:
        return False


def kill_at_random(process, seed, kills, load, flow, flying, problems):
    rng = random.Random(seed)

    def in_flight():
        return (load.open if process == "ingest" else 0) + flow.waiting(process)

    for i in range(kills):
        if i % 2:  # into the first moments of a life
            time.sleep(rng.uniform(0.01, 0.4))
        else:  # into its work
            until = time.monotonic() + 10
            while not works(process) and time.monotonic() < until:
                time.sleep(0.02)
            until = time.monotonic() + 3
            while in_flight() == 0 and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.5 if process == "ingest" else 0.1))
        if not story.alive(process):
            problems.append(f"{process} ended by itself, exit code {wait_exit(process, 2)}")
        else:
            flying.append(in_flight())
            story.kill(process)
            wait_exit(process, 10)
        story.start(process, nowait=True)


class Curious(threading.Thread):
    """Asks PowerDNS for zones all the time: its caches are full of what it should forget."""

    def __init__(self, seed):
        super().__init__(daemon=True)
        self.rng, self.zones, self.asked, self.stopping = random.Random(seed), [], 0, False
        self.start()

    def run(self):
        while not self.stopping:
            if self.zones:
                zone = self.rng.choice(self.zones)
                story.ask("dc2", *self.rng.choice(((zone, "SOA"), (f"_n.{zone}", "TXT"))), patience=0.2)
                self.asked += 1
            time.sleep(0.005)


def cached(zone):
    """PowerDNS's answers by UDP, so out of its caches: the serial and the text that tells the number."""
    reply = story.ask("dc2", f"_n.{zone}", "TXT")
    return story.serial("dc2", zone), [rdata.to_text() for rrset in reply.answer for rdata in rrset] if reply else "TIMEOUT"


def newest(zones):
    """What dadns.zones says: zone -> (last version, highest version, its number or None, its digest or "absent")."""
    found = {}
    for zone, _, _, text in story.records("dadns.zones", zones):
        value = json.loads(text)
        version = story.version_of(value)
        highest = found.get(zone, (0, (0, 0)))[1:]
        if version >= highest[0]:
            highest = version, *((None, "absent") if value.get("deleted") else (value["serial"], value["digest"]))
        found[zone] = version, *highest
    return found


def everything_right(s, what, wanted):
    """The log, the name servers and the databases hold `wanted` and agree with each other."""
    story.converge(s, 60, f"all {len(wanted)} zones are served as last acknowledged, by AXFR: {what}", wanted)
    log = newest(wanted)
    unsettled = [zone for zone in log if log[zone][0] != log[zone][1]]
    s.ok(f"none of {len(log)} zones of dadns.zones ends at an older version", log and not unsettled, unsettled[:5])
    tables.become_right(s, 30, "the rows of each zone are the log's value by digest, in both layouts",
                        {zone: log[zone][3] if zone in log else "absent" for zone in wanted})
    left = {zone: log[zone][2] if zone in log else None for zone in wanted}

    def forgotten():
        wrong = [(zone, n, got) for zone, n in left.items() for got in [cached(zone)]
                 if got != (("REFUSED", []) if n is None else (n, [f'"{n}"']))]
        for zone in left.keys() - {zone for zone, _, _ in wrong}:
            del left[zone]
        return True if not wrong else f"{len(wrong)} are not: {wrong[:3]}"
    s.eventually(20, "and what PowerDNS answers out of its caches", forgotten)


def everything_is_ready():
    waits = [name for name in PROCESSES if not (story.alive(name) and story.ready(name))]
    return True if not waits else f"not ready: {waits}"


with story.Story(f"Killed anywhere, any time: nothing that was acknowledged is lost (SEED={SEED})") as s:
    story.configure(s, "writer", retry_delays="200ms")
    story.fast_takeover(s)
    flow = Flow()
    s.finally_do(flow.stop)

    # ---- every mark
    pairs = marks()
    s.ok(f"the source has marks: {len(set(name for _, name in pairs))}", len(pairs) >= 12, pairs)
    strange = [name for process, name in pairs if process is None]
    s.ok("each stands in a process that this story can kill", not strange, strange)
    pairs = [(process, name) for process, name in pairs if process]
    small = Load("mark", 0, 0.08)
    small.start(SEED)
    stop_crowd = threading.Event()
    threading.Thread(target=crowd_zone, args=(small, stop_crowd), daemon=True).start()
    holder = threading.Thread(target=hold_zones, args=(small, stop_crowd), daemon=True)
    holder.start()
    results = {}
    hitters = [threading.Thread(target=hit_marks, args=(process, [name for p, name in pairs if p == process], (1, 7), results, small, flow))
               for process in dict(pairs)]
    for thread in hitters:
        thread.start()
    for thread in hitters:
        thread.join()
    # a mark that is reached once in a life (a take-over) has no 7th time
    for process, name in pairs:
        first, second = results[process, name, 1], results[process, name, 7]
        seventh = "" if second[0] else ", not reached a 7th time"
        s.ok(f"{process} died at {name} with {first[2]} in flight{seventh} and was started again", first[0],
             f"exit code {first[1]}\n{first[3]}")
    s.eventually(20, "all are ready", everything_is_ready)
    stop_crowd.set()
    holder.join(30)
    small.stop()
    s.eventually(20, "nothing is held any more", lambda: redis("EXISTS", "dadns:hold:zones") == "0")
    refused = small.refused_zones + [small.bad]
    for i in range(0, len(refused), 50):
        story.delete(refused[i:i + 50])
    s.ok(f"{small.acked} changes were acknowledged, {small.unanswered} not answered, {small.refused} answered with error=1",
         small.acked > 200, small.refusals[-3:])
    everything_right(s, "after every mark", small.wanted())

    # ---- random kills
    curious = Curious(SEED)
    big = Load("crash", ZONES, 0.1)  # a burst first, without pauses
    curious.zones = big.zones
    big.start(SEED + 1)
    s.eventually(30, "the burst has begun", lambda: big.acked > 50 or big.acked)
    problems, flying = [], {process: [] for process in PROCESSES}
    killers = [threading.Thread(target=kill_at_random, args=(process, SEED + i, KILLS, big, flow, flying[process], problems))
               for i, process in enumerate(PROCESSES)]
    for thread in killers:
        thread.start()
    for thread in killers:
        thread.join()
    s.eventually(30, "all are ready again", everything_is_ready)
    until = time.monotonic() + 30
    while len(big.possible) < ZONES and time.monotonic() < until:
        time.sleep(0.05)
    big.stop()
    for process in PROCESSES:
        counts = flying[process]
        s.ok(f"{process} was killed {len(counts)} times; in flight at each kill: {counts}", len(counts) == KILLS and sum(counts) > 0)
    s.ok("none ended by itself", not problems, problems)
    s.ok(f"{big.acked} changes were acknowledged, {big.unanswered} not answered, {big.refused} answered with error=1",
         big.acked >= ZONES, big.refusals[-3:])
    wanted = big.wanted()
    deleted = sum(1 for right in wanted.values() if right == {"absent"})
    s.ok(f"{len(wanted)} zones, {deleted} of them deleted in the end", len(wanted) == ZONES and deleted > ZONES // 100)
    everything_right(s, "after every kill", wanted)
    curious.stopping = True
    s.ok(f"all the time PowerDNS was asked, {curious.asked} times", curious.asked > 100)
    wrong = story.unlike(wanted, ("ns1", "ns2"))
    s.ok("nothing has changed when all is looked at once more", wrong == [], wrong[:5])
    gone = [(ns, zone, story.serial(ns, zone)) for zone, right in wanted.items() if right == {"absent"} for ns in story.SERVERS]
    s.ok("deleted zones are REFUSED", all(answer == "REFUSED" for _, _, answer in gone), [g for g in gone if g[2] != "REFUSED"][:5])
    apart = [zone for zone in big.zones[::20] if len({story.serial(ns, zone) for ns in story.SERVERS}) != 1]
    s.ok("all name servers agree", not apart, apart)
    wrong = story.went_back(wanted)
    s.ok("no writer applied an older version after a newer one", not wrong, wrong[:3])
