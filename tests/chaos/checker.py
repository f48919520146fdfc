# SPDX-License-Identifier: Apache-2.0
"""Judges a history (history.py): the checks C1 to C10 of reliability.md 3.4, and C0 for a run that proves nothing.

Pure: events in, violations out. Versions are DESIGN's, (epoch, offset in dadns.pushes); *acknowledged* is I1's: answered
error=0 and not refused or held back by the judge. A push that was held because Kafka was away may reach the log twice
under one event id: the judge refuses the later copy, so a copy counts only where dadns.zones has a value of it.

C0  pushes were acknowledged, faults fired, observers saw enough
C1  no lost ack: the last value is that of an operation which no acknowledged one followed
C2  the log agrees: each acknowledged push is in it and took effect once, in the order of the clock; what was refused is
    not; no value without its push; each zone's last value is its highest; all readers read the same
C3  monotonic: what a reader of a backend sees never goes back in the order of the log
C4  atomic: nothing torn; serial and version belong together
C5  deletes stay: an absent zone is REFUSED, after the run and after each of the ways back from the dead
C6  bystanders: zones that nobody touched are the same at every look; no more zones vanish than were deleted
C7  convergence: every backend serves the value within the bound after the heal
C8  all backends and the log have the same content
C9  who should have been told was told; nobody was for nothing
C10 nothing served was written by a credential that may not speak for its owner, nothing deleted by another owner
row what the row itself claims
"""
import bisect
from collections import defaultdict

CHECKS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "row")
INFINITY = float("inf")
FINAL = ("final", "after")  # how the names of such phases begin
GRACE = 5.0                 # seconds in which an alarm may come after its fault
LIMIT = 8                   # violations of a check that are told


class Operation:
    def __init__(self, event):
        self.id, self.op, self.zone = event["id"], event["op"], event["zone"]
        self.n, self.owner, self.credential = event.get("n"), event.get("owner"), event.get("credential")
        self.invoke, self.complete, self.result = event["t"], INFINITY, "info"
        self.pushes = []       # its records in the log
        self.effects = []      # versions under which it took effect
        self.verdict = None    # refused or held: it is not acknowledged

    @property
    def acknowledged(self):
        return self.result == "ok" and self.verdict is None

    def __str__(self):
        return f"{self.op} {self.id} of {self.zone} n={self.n} ({self.result}, {self.invoke:.2f} to {self.complete:.2f})"


class History:
    """The events, each where the checks look for it."""

    def __init__(self, events):
        self.operations, self.writes = {}, defaultdict(list)
        self.sees, self.counts, self.nemeses, self.alarms = [], [], [], []
        self.still, self.policy, self.claims, self.windows = {}, {}, [], defaultdict(list)
        self.pushes, self.live, self.values, self.verdicts = {}, {}, [], {}
        self.two_values, self.allowed, self.seen_values, self.starts = [], {}, set(), {}
        self.healed, self.row = None, {}
        for event in events:
            getattr(self, "on_" + event["e"], self.ignore)(event)
        for at, push in self.live.items():
            if at[1] < self.starts.get(at[0], 0):  # it was taken out of the log meanwhile, and lay there before
                self.pushes.setdefault(at, push)
        self.values.sort(key=lambda value: (value["partition"], value["offset"]))
        self.match()

    def ignore(self, event):
        pass

    def on_row(self, event):
        self.row = event

    def on_invoke(self, event):
        operation = self.operations[event["id"]] = Operation(event)
        if operation.op != "exists":
            self.writes[operation.zone].append(operation)

    def on_ok(self, event):
        operation = self.operations[event["id"]]
        operation.result = event["e"]
        operation.complete = event["t"]

    on_fail = on_ok

    def on_see(self, event):
        self.sees.append(event)

    def on_count(self, event):
        self.counts.append(event)

    def on_still(self, event):
        self.still[event["zone"]] = event

    def on_policy(self, event):
        self.policy[event["credential"]] = set(event["hostnames"])

    def on_claim(self, event):
        self.claims.append(event)

    def on_alarm(self, event):
        self.alarms.append(event)

    def on_healed(self, event):
        self.healed = event["t"]

    def on_nemesis(self, event):
        if event["what"] == "start":
            self.nemeses.append({**event, "stop": INFINITY, "fired": 0})
            return
        mine = next((one for one in reversed(self.nemeses) if one["name"] == event["name"]), None)
        if mine is not None and event["what"] == "stop":
            mine["stop"] = event["t"]
        elif mine is not None and event["what"] == "fired":
            mine["fired"] += 1

    def on_window(self, event):
        spans = self.windows[event["backend"]]
        if event["what"] == "start":
            spans.append([event["t"], INFINITY])
        elif spans:
            spans[-1][1] = event["t"]

    def on_push(self, event):
        at = (event["partition"], event["offset"])
        readers = self.live if event.get("reader") == "live" else self.pushes
        what = (event["zone"], event["id"], event["op"], event.get("n"))
        for known in (self.live, self.pushes):
            if at in known and known[at]["what"] != what:
                self.two_values.append((at, known[at]["what"], what))
        readers[at] = {**event, "what": what}

    def on_value(self, event):
        """By either reader: compaction may take a value before the last one reads."""
        at = (event["partition"], event["offset"])
        if at not in self.seen_values:
            self.seen_values.add(at)
            self.values.append({**event, "version": tuple(event["version"])})

    def on_start(self, event):
        self.starts[event["partition"]] = event["offset"]

    def on_verdict(self, event):
        self.verdicts[event["zone"], tuple(event["version"])] = event

    def match(self):
        """Which record is whose, and what took effect."""
        self.of_zone = defaultdict(list)   # zone -> its distinct values in the order of versions
        for value in {(value["zone"], value["version"]): value for value in self.values}.values():
            self.of_zone[value["zone"]].append(value)
        for values in self.of_zone.values():
            values.sort(key=lambda value: value["version"])
        self.by_offset = {(value["zone"], value["version"][1]): value for value in self.values}
        verdict_at = {(zone, version[1]): verdict for (zone, version), verdict in self.verdicts.items()}
        self.orphans = []                  # records that no operation of the run made
        for at, push in sorted(self.pushes.items()):
            operation = self.operations.get(push.get("from"))
            if operation is None or operation.zone != push["zone"]:
                self.orphans.append(push)
                continue
            operation.pushes.append(push)
            verdict = verdict_at.get((push["zone"], push["offset"]), {})
            value = self.by_offset.get((push["zone"], push["offset"]))
            if value is not None:
                operation.effects.append(value["version"])
            elif verdict.get("rule") == "absent":  # a delete of what is not there: true, and no value
                operation.effects.append(tuple(verdict["version"]))
            push["verdict"] = verdict.get("state")
            push["rule"] = verdict.get("rule")
        for operation in self.operations.values():
            if operation.pushes and not operation.effects:
                said = [push["verdict"] for push in operation.pushes]
                operation.verdict = next((word for word in said if word in ("refused", "held")), None)
                if operation.verdict is None and any(push["verdict"] is None and self.not_his(push) for push in operation.pushes):
                    operation.verdict = "refused"  # a judge died before it had said so, and what came after needs no verdict on this
        # what a number (or absence) of a zone is in the order of versions
        self.versions = defaultdict(list)
        for zone, writes in self.writes.items():
            for operation in writes:
                self.versions[zone, operation.n] += operation.effects
        for zone, values in self.of_zone.items():
            for value in values:
                versions = self.versions[zone, value["n"]]
                if value["version"] not in versions:
                    versions.append(value["version"])
        for versions in self.versions.values():
            versions.sort()

    # ---- questions

    def not_his(self, push):
        """A delete of a zone that another owner had, or has deleted."""
        before = [value for value in self.of_zone[push["zone"]] if value["version"][1] < push["offset"]]
        return push["op"] == "delete" and before != [] and before[-1]["owner"] != push["owner"]

    def down(self, event):
        """The server was allowed to be silent at that time."""
        return any(event["backend"] in one.get("down", ()) and one["t"] <= event["t1"] and event["t0"] <= one["stop"] + GRACE
                   for one in self.nemeses)

    def restoring(self, event):
        return any(since <= event["t1"] and event["t0"] <= until for since, until in self.windows[event["backend"]])

    def last_looks(self):
        """(backend, kind, zone, phase) -> the last look of each phase after the run."""
        found = {}
        for see in self.sees:
            if see["phase"].startswith(FINAL):
                found[see["backend"], see["kind"], see["zone"], see["phase"]] = see
        return found

    def may_be_last(self, zone):
        """The values that C1 allows in the end: of operations that no acknowledged one followed, by the clock or, where the
        clock says nothing because nobody was answered, in the log."""
        if zone not in self.allowed:
            writes = [one for one in self.writes[zone] if one.result != "fail" and one.verdict is None]
            acknowledged = [one for one in writes if one.acknowledged]
            asked = max((one.invoke for one in acknowledged), default=-INFINITY)
            version = max((max(one.effects) for one in acknowledged if one.effects), default=(0, 0))
            self.allowed[zone] = {one.n for one in writes if one.complete >= asked and (
                max(one.effects) >= version if one.effects else one.acknowledged or not self.pushes)}
            if not acknowledged and not any(one.effects for one in writes):
                self.allowed[zone].add(None)
        return self.allowed[zone]


# ---- the checks: each yields what is wrong ---------------------------------------------------------------------------

def c0_not_empty(h):
    pushes = sum(1 for one in h.operations.values() if one.op == "push" and one.result == "ok")
    fired = sum(one["fired"] for one in h.nemeses)
    seen = sum(1 for see in h.sees if "error" not in see)
    if pushes == 0:
        yield "no push was acknowledged"
    if fired < h.row.get("faults", 1):
        yield f"{fired} faults fired, not {h.row.get('faults', 1)}"
    for one in h.nemeses:
        if one["fired"] == 0 and h.row.get("faults", 1) > 0:
            yield f"'{one['name']}' did not fire"
    if seen < h.row.get("observations", 1):
        yield f"{seen} observations, not {h.row.get('observations', 1)}"
    if not any(see["phase"].startswith(FINAL) for see in h.sees):
        yield "nobody looked in the end"
    if h.healed is None:
        yield "it was never healed"
    if not h.pushes:
        yield "nobody read the log"


def c1_no_lost_ack(h):
    for (backend, kind, zone, phase), see in h.last_looks().items():
        if "error" in see:
            continue  # C7 speaks of it
        allowed = h.may_be_last(zone) if zone in h.writes else None
        if allowed is not None and see["n"] not in allowed:
            after = max((one for one in h.writes[zone] if one.acknowledged), key=lambda one: one.invoke, default=None)
            yield f"{backend} by {kind}, {phase}: {zone} is n={see['n']}, but {after} was acknowledged"


def c2_log_agrees(h):
    yield from (f"{at[0]}/{at[1]} of dadns.pushes was read as {one} and as {other}" for at, one, other in h.two_values)
    highest = {}
    for partition, offset in h.live:
        highest[partition] = max(highest.get(partition, -1), offset)
    for (partition, offset), push in h.pushes.items():
        if offset < highest.get(partition, -1) and (partition, offset) not in h.live:
            yield f"{partition}/{offset} ({push['zone']}) was never delivered to the reader that was there all the time"
    for partition, offset in h.live:
        if (partition, offset) not in h.pushes:
            yield f"{partition}/{offset} was delivered once and is not in the log any more"
    for push in h.orphans:
        if push["zone"] in h.writes:
            yield f"{push['partition']}/{push['offset']}: a push of {push['zone']} that nobody made"

    for one in h.operations.values():
        if one.op == "exists":
            continue
        ids = {push["id"] for push in one.pushes}
        if one.result == "fail" and one.pushes:
            yield f"{one} was refused and is in the log"
        if one.result == "ok" and not one.pushes:
            yield f"{one} is not in the log"
        if len(ids) > 1:
            yield f"{one} is in the log under {len(ids)} event ids"
        if len(one.effects) > 1:
            yield f"{one} took effect {len(one.effects)} times: {one.effects}"
        if one.result == "ok" and one.pushes and not one.effects and one.verdict is None:
            yield f"{one} took no effect: {[(push['offset'], push['verdict'], push['rule']) for push in one.pushes]}"
        for push in one.pushes:
            if push["op"] != ("save" if one.op == "push" else "delete") or push.get("n") != one.n or push["owner"] != one.owner:
                yield f"{one} is in the log as {push['op']} n={push.get('n')} of {push['owner']}"
            value = h.by_offset.get((push["zone"], push["offset"]))
            if value is not None and (value["n"] != one.n or value["owner"] != one.owner or value["id"] != push["id"]):
                yield f"{one} became the value n={value['n']} of {value['owner']}"

    for zone, writes in h.writes.items():
        latest, who = -INFINITY, None
        for version, one in sorted(((version, one) for one in writes for version in one.effects), key=lambda pair: pair[0]):
            if latest > one.complete:
                yield f"{who} lies before {one} in the log"
            if one.invoke > latest:
                latest, who = one.invoke, one

    made = {(push["zone"], push["offset"]) for push in h.pushes.values()}
    last, best = {}, {}
    for value in h.values:
        if (value["zone"], value["version"][1]) not in made:
            yield f"{value['zone']} has a value of version {value['version']} without a push"
        last[value["zone"]] = value["version"]
        best[value["zone"]] = max(best.get(value["zone"], (0, 0)), value["version"])
    for zone, version in last.items():
        if version != best[zone]:
            yield f"{zone} ends at version {version} in dadns.zones, its highest is {best[zone]}"


def c3_monotonic(h):
    streams = defaultdict(list)
    for see in h.sees:
        if "error" in see or see.get("cached") or h.restoring(see) or (see["n"] is None and h.down(see)):
            continue
        if see["zone"] in h.writes and not see["torn"]:
            streams[see["backend"], see["kind"], see["zone"]].append(see)
    for (backend, kind, zone), sees in streams.items():
        sees.sort(key=lambda see: see["t0"])
        floor, waiting = (0, 0), []  # looks that overlap say nothing of each other
        for see in sees:
            for done in [one for one in waiting if one[0] < see["t0"]]:
                floor = max(floor, done[1])
                waiting.remove(done)
            versions = h.versions.get((zone, see["n"]), [])
            at = bisect.bisect_left(versions, floor)
            if see["n"] is None and floor == (0, 0):
                continue  # not there yet
            if at < len(versions):
                waiting.append((see["t1"], versions[at]))
            elif not versions:
                yield f"{backend} by {kind}: {zone} n={see['n']} at {see['t1']:.2f}, which the log never had"
            else:
                yield f"{backend} by {kind}: {zone} went back to n={see['n']} at {see['t1']:.2f}, after version {floor}"


def c4_atomic(h):
    serials, numbers = {}, {}
    for see in h.sees:
        if "error" in see or see["n"] is None:
            continue
        if see["torn"]:
            yield f"{see['backend']} by {see['kind']}: half of {see['zone']} at {see['t1']:.2f}"
            continue
        if see.get("serial") is None:
            continue
        backend, zone = see["backend"], see["zone"]
        if serials.setdefault((backend, zone, see["n"]), see["serial"]) != see["serial"]:
            yield f"{backend}: {zone} n={see['n']} has the serials {serials[backend, zone, see['n']]} and {see['serial']}"
        if numbers.setdefault((backend, zone, see["serial"]), see["n"]) != see["n"]:
            yield f"{backend}: {zone} has the serial {see['serial']} for n={numbers[backend, zone, see['serial']]} and n={see['n']}"


def c5_deletes_stay(h):
    for (backend, kind, zone, phase), see in h.last_looks().items():
        if zone not in h.writes or h.may_be_last(zone) != {None}:
            continue
        if see.get("n") is not None:
            yield f"{backend} by {kind}, {phase}: {zone} was deleted and is there, n={see['n']}"
        elif see.get("rcode") not in ("REFUSED", "NOTAUTH", None) or "error" in see:
            yield f"{backend} by {kind}, {phase}: {zone} was deleted and is answered with {see.get('rcode') or see['error']}"


def c6_bystanders(h):
    for see in h.sees:
        still = h.still.get(see["zone"])
        if still is None or see["t0"] < still["t"]:
            continue
        if "error" in see:
            if see["error"] == "SERVFAIL" and not h.down(see):
                yield f"{see['backend']} by {see['kind']}: {see['zone']} is SERVFAIL at {see['t1']:.2f}"
        elif see["n"] is None and (h.down(see) or h.restoring(see)):
            continue
        elif see["n"] != still["n"] or (see.get("fp") and see["fp"] != still["fp"]):
            yield f"{see['backend']} by {see['kind']}: {see['zone']} was touched by nobody and is n={see['n']} at {see['t1']:.2f}"
    deletes = sorted(one.invoke for writes in h.writes.values() for one in writes if one.op == "delete" and one.result != "fail")
    most = {}
    for count in h.counts:
        backend = count["backend"]
        before = bisect.bisect_right(deletes, count["t"])
        if count["zones"] + before < most.get(backend, 0) and not h.restoring({**count, "t0": count["t"], "t1": count["t"]}):
            yield f"{backend} has {count['zones']} zones at {count['t']:.2f}, after {most[backend]} and {before} deletes"
        most[backend] = max(most.get(backend, 0), count["zones"])


def recoveries(h):
    """(backend, zone) -> seconds from the heal, or from the zone's last operation if that was later, until it was right for
    good; None: it never was."""
    found = {}
    if h.healed is None:
        return found
    since = {zone: max(h.healed, max(one.invoke if one.complete == INFINITY else one.complete for one in writes))
             for zone, writes in h.writes.items()}
    last = {zone: values[-1]["n"] for zone, values in h.of_zone.items()}
    for see in h.sees:
        zone = see["zone"]
        if zone not in since or see["t0"] < since[zone] or see["phase"].startswith("after") or see.get("cached"):
            continue
        key = see["backend"], zone
        if "error" in see or see["torn"] or see["n"] != last.get(zone):
            found[key] = None
        elif found.get(key) is None:
            found[key] = see["t1"] - since[zone]
    return found


def c7_convergence(h):
    bound = h.row.get("bound", 60)
    late, found = [], recoveries(h)
    if h.writes and not found:
        yield "nobody looked after the heal"
    for (backend, zone), took in found.items():
        if took is None:
            late.append(f"{backend} never came to serve {zone} as the log says")
        elif took > bound:
            late.append(f"{backend} served {zone} after {took:.1f} s, not {bound} s")
    yield from late
    backends = {see["backend"] for see in h.sees}
    looked = {key[:1] + key[2:3] for key in h.last_looks()}
    for zone in h.writes:
        for backend in backends:
            if (backend, zone) not in looked:
                yield f"{backend} was not asked for {zone} in the end"


def c8_same_content(h):
    for (backend, kind, zone, phase), see in h.last_looks().items():
        values = h.of_zone.get(zone)
        if "error" in see or see.get("fp") is None and see["n"] is not None:
            continue  # C7 speaks of the one; a lone SOA has no content
        wanted = values[-1]["fp"] if values else None
        if see.get("fp") != wanted:
            yield f"{backend} by {kind}, {phase}: {zone} is n={see['n']} with {see.get('fp')}, the log has {wanted}"


def c9_detection(h):
    for one in h.nemeses:
        for name in one.get("alarms", ()):
            if one["fired"] and not any(alarm["name"] == name and one["t"] <= alarm["t"] <= one["stop"] + GRACE for alarm in h.alarms):
                yield f"'{one['name']}' went unnoticed: no alarm '{name}'"
    for alarm in h.alarms:
        if not any(one["t"] <= alarm["t"] <= one["stop"] + h.row.get("bound", 60) for one in h.nemeses):
            yield f"alarm '{alarm['name']}' at {alarm['t']:.2f}, while nothing was wrong"


def c10_ownership(h):
    for one in h.operations.values():
        allowed = h.policy.get(one.credential)
        if one.effects and allowed is not None and one.owner not in allowed:
            yield f"{one}: {one.credential} may not speak for {one.owner}, and it took effect"
    written_by = {}
    for zone, values in h.of_zone.items():
        owner = None
        for value in values:
            if value["n"] is None and owner is not None and value["owner"] != owner:
                yield f"{zone} of {owner} was deleted by {value['owner']}, version {value['version']}"
            owner = value["owner"]
            written_by[zone, value["n"]] = owner
    for see in h.sees:
        owner = written_by.get((see["zone"], see.get("n")))
        if see.get("owner") and owner and not see.get("torn") and see["owner"] != owner:
            yield f"{see['backend']} by {see['kind']}: {see['zone']} n={see['n']} is {see['owner']}'s, in the log {owner}'s"


def row_claims(h):
    for claim in h.claims:
        if not claim["ok"]:
            yield f"{claim['sentence']}: {claim.get('detail', '')[:300]}"


CHECKERS = dict(zip(CHECKS, (c0_not_empty, c1_no_lost_ack, c2_log_agrees, c3_monotonic, c4_atomic, c5_deletes_stay, c6_bystanders,
                             c7_convergence, c8_same_content, c9_detection, c10_ownership, row_claims)))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else None


class Verdict:
    def __init__(self, events):
        h = History(events)
        self.wrong = {}
        for name, look in CHECKERS.items():
            found = list(look(h))
            if found:
                self.wrong[name] = found
        took = [max(0.0, seconds) for seconds in recoveries(h).values() if seconds is not None]
        results = [one.result for one in h.operations.values()]
        self.figures = {
            "p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "max": max(took, default=None),
            "ok": results.count("ok"), "fail": results.count("fail"), "info": results.count("info"),
            "faults": sum(one["fired"] for one in h.nemeses), "observations": sum("error" not in see for see in h.sees),
            "zones": len(h.writes)}

    def lines(self):
        for name, found in self.wrong.items():
            for text in found[:LIMIT]:
                yield f"{name}: {text}"
            if len(found) > LIMIT:
                yield f"{name}: and {len(found) - LIMIT} more"


def check(events):
    return Verdict(events)
