#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The checker's own test (reliability.md 3.5): histories that are right pass; each way of breaking one is caught by the
check that is named for it, in every history that can be broken so. A checker that lets one mutant live is worth nothing.

SEED and HISTORIES of the environment choose another run.
"""
import os
import random
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checker  # noqa: E402
import content  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
HISTORIES = int(os.environ.get("HISTORIES") or 3)
EPOCH = 1000
BACKENDS = (("ns1", "axfr"), ("dc1", "axfr"), ("dc1", "sql"))
A, B = "da1.hoster.example", "da2.hoster.example"
BOUND = 20


class Model:
    """A run without a fault of ours: a clock, a log, a judge, backends that follow."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.t, self.offset, self.ids = 0.0, 0, 0
        self.events, self.state, self.numbers = [], {}, {}
        self.log, self.values, self.verdicts = [], [], []

    def add(self, e, **fields):
        self.events.append({"e": e, "t": round(self.t, 4), **fields})
        return self.events[-1]

    def pause(self, most=0.1):
        self.t += self.rng.uniform(0.001, most)

    def invoke(self, op, zone, n, owner, credential="da"):
        self.ids += 1
        self.add("invoke", id=self.ids, op=op, zone=zone, n=n, owner=owner, credential=credential, door="INGEST_URL")
        self.pause()
        return self.ids

    def append(self, who, event_id, op, zone, n, owner):
        self.offset += self.rng.randint(1, 3)
        self.log.append({"partition": 0, "offset": self.offset, "zone": zone, "id": event_id, "op": op, "n": n, "owner": owner, "from": who})
        return self.offset

    def decide(self, zone, offset, n, owner, event_id):
        fp = None if n is None else content.fingerprint(content.records(zone, n, owner))
        self.values.append({"partition": 0, "offset": len(self.values), "zone": zone, "version": [EPOCH, offset], "n": n, "owner": owner,
                            "id": event_id, "fp": fp})
        self.state[zone] = (n, owner, fp)

    def say(self, zone, offset, state, rule=None):
        self.verdicts.append({"zone": zone, "version": [EPOCH, offset], "state": state, "rule": rule})

    def write(self, zone, delete=False, owner=A, answer="ok", credential="da"):
        """One operation from its invocation to its answer."""
        number = None if delete else self.numbers.get(zone, 0) + 1
        if number is not None:
            self.numbers[zone] = number
        who = self.invoke("delete" if delete else "push", zone, number, owner, credential)
        op = "delete" if delete else "save"
        if answer == "fail":
            self.add("fail", id=who)
            return
        event_id = f"id{who}"
        if answer != "lost":  # else the request never arrived, and nobody knows
            offset = self.append(who, event_id, op, zone, number, owner)
            had = self.state.get(zone)
            if delete and (had is None):
                self.say(zone, offset, "unchanged", "absent")
            elif delete and had[1] != owner:
                if self.rng.random() < 0.5:  # or its judge died before it was said
                    self.say(zone, offset, "refused", "owner")
            else:
                self.say(zone, offset, "accepted")
                self.decide(zone, offset, number, owner, event_id)
        self.pause()
        if answer == "ok":
            self.add("ok", id=who)
        else:
            self.add("info", id=who)
        return event_id

    def late_copy(self, zone):
        """A held push comes out of the log once more; the judge knows its id."""
        mine = [push for push in self.log if push["zone"] == zone]
        if mine:
            first = self.rng.choice(mine)
            offset = self.append(first["from"], first["id"], first["op"], zone, first["n"], first["owner"])
            self.say(zone, offset, "stale", "duplicate")

    def look(self, phase, zones=None, kinds=BACKENDS):
        for backend, kind in kinds:
            for zone in zones or sorted(self.state):
                n, owner, fp = self.state[zone]
                t0 = self.t
                self.pause(0.01)
                self.add("see", backend=backend, kind=kind, zone=zone, t0=t0, t1=self.t, phase=phase, n=n, serial=n,
                         owner=None if n is None else owner, fp=fp, torn=False, rcode="NOERROR" if n is not None else "REFUSED")

    def count(self):
        self.add("count", backend="ns1", zones=sum(n is not None for n, _, _ in self.state.values()))


def history(seed):
    m = Model(seed)
    m.add("row", name="model", bound=BOUND, observations=20, faults=1)
    m.add("policy", credential="da", hostnames=[A, B])
    m.add("policy", credential="da2", hostnames=[B])
    still = [f"still{i}.example" for i in range(3)]
    for zone in still:
        m.write(zone)
        m.add("still", zone=zone, n=1, fp=m.state[zone][2])
    zones = [f"zone{i}.example" for i in range(5)]
    for zone in zones:
        m.write(zone)
    m.look("run")
    m.count()
    fault = m.rng.random()
    m.add("nemesis", name="fault", what="start", alarms=["ns1 away"], down=["ns1"])
    m.add("nemesis", name="fault", what="fired")
    m.pause()
    m.add("alarm", name="ns1 away")
    for _ in range(40):
        zone = m.rng.choice(zones)
        kind = m.rng.random()
        if kind < 0.55:
            m.write(zone)
        elif kind < 0.7:
            m.write(zone, delete=zone != zones[1], owner=m.state[zone][1])
        elif kind < 0.75:
            m.write(zone, delete=True, owner=B if m.state[zone][1] == A else A)  # not his to delete
        elif kind < 0.8:
            m.write(zone, owner=B)  # a migration
        elif kind < 0.85:
            m.write(zone, answer="lost")
        elif kind < 0.9:
            m.write(zone, answer="info")
        elif kind < 0.95:
            m.write(zone, answer="fail", owner=A, credential="da2")
        else:
            m.late_copy(zone)
        if m.rng.random() < 0.3:
            m.look("run")
            m.count()
    m.write(zones[0], delete=True, owner=m.state[zones[0]][1])  # one is gone in the end
    m.write(zones[1])
    m.write(zones[1])                                           # one is there
    m.add("nemesis", name="fault", what="stop")
    m.add("healed")
    m.t += fault
    m.look("converge", zones)
    m.look("final", zones + still)
    m.count()
    m.look("after restart", zones + still)
    for push in m.log:
        m.add("push", reader="live", **push)
    for push in m.log:
        m.add("push", reader="final", **push)
    for value in m.values:
        m.add("value", **value)
    for verdict in m.verdicts:
        m.add("verdict", **verdict)
    m.add("claim", sentence="it holds", ok=True, detail="")
    return m.events


# ---- mutants: change the events in place, or answer False where this history offers nothing to break --------------------

MUTANTS = []


def mutant(check):
    def register(function):
        MUTANTS.append((check, function))
        return function
    return register


class Look:
    """The events of a history, for who wants to break it."""

    def __init__(self, events):
        self.events = events
        self.h = checker.History(events)

    def of(self, *kinds):
        return [event for event in self.events if event["e"] in kinds]

    def pushes(self, who):
        return [event for event in self.of("push") if event["from"] == who]

    def sees(self, phase, zone=None, alive=None):
        return [event for event in self.of("see") if event["phase"].startswith(phase) and (zone is None or event["zone"] == zone)
                and (alive is None or (event["n"] is not None) == alive)]

    def drop(self, *gone):
        gone = {id(event) for event in gone}
        self.events[:] = [event for event in self.events if id(event) not in gone]

    def effective(self):
        """Acknowledged pushes that took effect, the last of its zone last."""
        found = [one for one in self.h.operations.values() if one.acknowledged and one.effects and one.op == "push" and one.zone.startswith("zone")]
        return sorted(found, key=lambda one: one.effects[0])

    def value(self, one):
        return next(event for event in self.of("value") if tuple(event["version"]) == one.effects[0] and event["zone"] == one.zone)

    def become(self, event, zone, n, owner):
        event.update(n=n, serial=n, owner=owner, fp=content.fingerprint(content.records(zone, n, owner)), rcode="NOERROR")

    def first_of(self, zone):
        one = min((one for one in self.effective() if one.zone == zone), key=lambda one: one.effects[0], default=None)
        return one


@mutant("C0")
def no_push_succeeded(look):
    for event in look.of("ok"):
        event["e"] = "info"


@mutant("C0")
def no_fault_fired(look):
    look.drop(*(event for event in look.of("nemesis") if event["what"] == "fired"))


@mutant("C0")
def hardly_anybody_looked(look):
    look.drop(*look.of("see")[:-10])


@mutant("C0")
def nobody_looked_in_the_end(look):
    look.drop(*look.sees("final"), *look.sees("after"))


@mutant("C0")
def the_log_was_not_read(look):
    look.drop(*look.of("push", "value", "verdict"))


@mutant("C0")
def it_was_never_healed(look):
    look.drop(*look.of("healed"))


@mutant("C1")
def the_last_ack_is_lost_everywhere(look):
    one = [one for one in look.effective() if one.zone == "zone1.example"]
    if len(one) < 2:
        return False
    for event in look.sees(("converge", "final", "after"), one[-1].zone):
        look.become(event, one[-1].zone, one[-2].n, one[-2].owner)


@mutant("C1")
def one_backend_serves_an_older_value_in_the_end(look):
    one = [one for one in look.effective() if one.zone == "zone1.example"]
    if len(one) < 2:
        return False
    look.become(look.sees("final", one[-1].zone)[0], one[-1].zone, one[-2].n, one[-2].owner)


@mutant("C1")
def a_zone_is_gone_in_the_end(look):
    look.sees("final", "zone1.example")[0].update(n=None, serial=None, owner=None, fp=None, rcode="REFUSED")


@mutant("C1")
def a_failed_operation_is_served(look):
    failed = [one for one in look.h.operations.values() if one.result == "fail" and one.op == "push"]
    if not failed:
        return False
    look.become(look.sees("final", failed[0].zone)[0], failed[0].zone, failed[0].n, failed[0].owner)


@mutant("C2")
def an_acknowledged_record_is_dropped(look):
    one = look.h.operations[look.effective()[0].id]
    look.drop(*look.pushes(one.id), look.value(one))


@mutant("C2")
def a_push_was_never_decided(look):
    one = look.effective()[0]
    look.drop(look.value(one))
    look.drop(*(event for event in look.of("verdict") if tuple(event["version"]) == one.effects[0]))


@mutant("C2")
def two_records_are_swapped(look):
    for zone in {one.zone for one in look.effective()}:
        mine = [one for one in look.effective() if one.zone == zone]
        for a, b in zip(mine, mine[1:]):
            if a.complete < b.invoke and a.owner == b.owner:
                pa, pb = [[event for event in look.pushes(one.id) if event["offset"] == one.effects[0][1]] for one in (a, b)]
                for ea, eb in zip(pa, pb):
                    ea["offset"], eb["offset"] = eb["offset"], ea["offset"]
                va, vb = look.value(a), look.value(b)
                va["version"], vb["version"] = vb["version"], va["version"]
                return None
    return False


@mutant("C2")
def an_old_one_takes_effect_again_late(look):
    one = look.first_of("zone1.example")
    last = max(event["offset"] for event in look.of("push")) + 1
    for reader in ("live", "final"):
        look.events.append({**look.pushes(one.id)[0], "reader": reader, "offset": last})
    look.events.append({**look.value(one), "version": [EPOCH, last], "offset": last})
    look.events.append({"e": "verdict", "t": 0, "zone": one.zone, "version": [EPOCH, last], "state": "accepted", "rule": None})


@mutant("C2")
def a_refused_push_is_in_the_log(look):
    one = look.first_of("zone1.example")
    next(event for event in look.of("ok") if event["id"] == one.id)["e"] = "fail"


@mutant("C2")
def a_push_is_taken_twice(look):
    one = look.effective()[-1]
    last = max(event["offset"] for event in look.of("push")) + 1
    for reader in ("live", "final"):
        look.events.append({**look.pushes(one.id)[0], "reader": reader, "offset": last, "id": "another"})
    look.events.append({"e": "verdict", "t": 0, "zone": one.zone, "version": [EPOCH, last], "state": "stale", "rule": "duplicate"})


@mutant("C2")
def two_readers_read_different_things(look):
    event = next(event for event in look.of("push") if event["reader"] == "live" and event["n"] is not None)
    event["n"] += 1


@mutant("C2")
def a_reader_was_not_given_a_record(look):
    look.drop(next(event for event in look.of("push") if event["reader"] == "live"))


@mutant("C2")
def the_log_has_lost_its_tail(look):
    last = max(event["offset"] for event in look.of("push"))
    look.drop(next(event for event in look.of("push") if event["offset"] == last and event["reader"] == "final"))


@mutant("C2")
def a_value_that_nobody_pushed(look):
    one = look.effective()[0]
    look.events.append({**look.value(one), "version": [EPOCH, look.of("push")[-1]["offset"] + 7], "offset": 9999})


@mutant("C2")
def the_last_record_of_a_zone_is_not_its_highest(look):
    one = look.first_of("zone1.example")
    look.events.append({**look.value(one), "offset": 9999})


@mutant("C2")
def a_push_became_another_value(look):
    value = look.value(look.effective()[0])
    value["owner"] = "da9.hoster.example"


@mutant("C2")
def a_push_of_nobody(look):
    for event in look.pushes(look.effective()[0].id):
        event["from"] = None


@mutant("C3")
def an_observer_sees_an_older_version(look):
    mine = [one for one in look.effective() if one.zone == "zone1.example"]
    sees = look.sees(("run", "converge"), "zone1.example", alive=True)
    if len(mine) < 2 or not sees:
        return False
    last = sees[-1]
    before = min((event for event in look.sees("", "zone1.example") if (event["backend"], event["kind"]) == (last["backend"], last["kind"])
                  and event["t0"] > last["t1"]), key=lambda event: event["t0"])
    if (EPOCH, mine[0].effects[0][1]) >= look.h.versions[last["zone"], last["n"]][0]:
        return False
    look.become(before, before["zone"], mine[0].n, mine[0].owner)


@mutant("C3")
def something_is_served_that_the_log_never_had(look):
    see = look.sees("run", alive=True)[-1]
    look.become(see, see["zone"], 999, see["owner"])


@mutant("C3")
def a_zone_vanishes_for_a_moment(look):
    see = look.sees(("converge", "final"), "zone1.example", alive=True)[0]
    if any(one.op == "delete" and one.effects and one.zone == "zone1.example" for one in look.h.operations.values()):
        return False
    see.update(n=None, serial=None, owner=None, fp=None, rcode="REFUSED")
    see.update(backend="dc1", kind="sql")


@mutant("C4")
def a_block_is_torn(look):
    look.sees("run", alive=True)[0]["torn"] = True


@mutant("C4")
def a_serial_is_shifted_back(look):
    look.sees("final", "zone1.example", alive=True)[0]["serial"] -= 1


@mutant("C4")
def two_versions_have_one_serial(look):
    by_number = {see["n"]: see for see in look.sees("run", "zone1.example", alive=True) if see["backend"] == "dc1"}
    if len(by_number) < 2:
        return False
    numbers = sorted(by_number)
    for see in look.sees("", "zone1.example", alive=True):
        if see["n"] == numbers[-1]:
            see["serial"] = numbers[0]


@mutant("C5")
def a_delete_comes_back(look):
    one = look.first_of("zone0.example")
    see = look.sees("after", one.zone, alive=False)[0]
    look.become(see, one.zone, one.n, one.owner)


@mutant("C5")
def a_deleted_zone_is_empty_and_not_refused(look):
    look.sees("final", "zone0.example")[0]["rcode"] = "NOERROR"


@mutant("C5")
def a_deleted_zone_is_servfail(look):
    see = look.sees("final", "zone0.example")[0]
    for key in ("n", "serial", "owner", "fp", "torn"):
        see.pop(key)
    see.update(error="SERVFAIL", rcode="SERVFAIL")


@mutant("C6")
def a_still_zone_is_changed(look):
    see = next(see for see in look.of("see") if see["zone"] == "still1.example")
    look.become(see, see["zone"], 2, A)


@mutant("C6")
def a_still_zone_has_other_content(look):
    look.sees("final", "still1.example")[0]["fp"] = "0" * 24


@mutant("C6")
def a_still_zone_is_gone(look):
    see = next(see for see in look.sees("run", "still1.example") if see["backend"] == "dc1")
    see.update(n=None, serial=None, fp=None, rcode="REFUSED")


@mutant("C6")
def a_still_zone_is_servfail(look):
    see = next(see for see in look.sees("run", "still1.example") if see["backend"] == "dc1")
    for key in ("n", "serial", "owner", "fp", "torn"):
        see.pop(key)
    see["error"] = "SERVFAIL"


@mutant("C6")
def more_zones_vanish_than_were_deleted(look):
    last = look.of("count")[-1]
    last["zones"] = -1 - sum(event["op"] == "delete" for event in look.of("invoke"))


@mutant("C7")
def convergence_takes_too_long(look):
    healed = look.of("healed")[0]
    for see in look.of("see"):
        if see["phase"] == "converge" and see["zone"] == "zone1.example" and see["backend"] == "dc1":
            see["n"] = 0
    for see in look.sees("final", "zone1.example"):
        see["t0"] = see["t1"] = healed["t"] + BOUND + 1


@mutant("C7")
def the_heal_came_after_all_looks(look):
    look.of("healed")[-1]["t"] = max(see["t1"] for see in look.of("see")) + 1


@mutant("C7")
def a_backend_never_converges(look):
    for see in look.sees(("converge", "final"), "zone1.example"):
        for key in ("n", "serial", "owner", "fp", "torn"):
            see.pop(key)
        see["error"] = "TIMEOUT"


@mutant("C7")
def a_zone_was_not_asked_for_in_the_end(look):
    look.drop(*(see for see in look.sees(("final", "after"), "zone1.example") if see["backend"] == "ns1"))


@mutant("C8")
def a_backend_has_other_content(look):
    look.sees("final", "zone1.example")[0]["fp"] = "0" * 24


@mutant("C8")
def the_log_has_other_content(look):
    [value for value in look.of("value") if value["zone"] == "zone1.example"][-1]["fp"] = "0" * 24


@mutant("C9")
def nobody_was_told(look):
    look.drop(*look.of("alarm"))


@mutant("C9")
def the_alarm_came_too_late(look):
    look.of("alarm")[0]["t"] = [event for event in look.of("nemesis") if event["what"] == "stop"][0]["t"] + checker.GRACE + 1


@mutant("C9")
def an_alarm_for_nothing(look):
    look.events.insert(1, {"e": "alarm", "t": 0.0, "name": "dc1 away"})


@mutant("C10")
def a_credential_spoke_for_another(look):
    next(event for event in look.of("invoke") if event["id"] == look.effective()[0].id and event["owner"] == A)["credential"] = "da2"


@mutant("C10")
def another_owner_deleted_it(look):
    deletes = [one for one in look.h.operations.values() if one.op == "delete" and one.effects and one.zone == "zone0.example"]
    one = max(deletes, key=lambda one: one.effects[0])
    value = next((event for event in look.of("value") if tuple(event["version"]) == one.effects[0]), None)
    if value is None:
        return False
    value["owner"] = "da9.hoster.example"


@mutant("C10")
def what_is_served_says_another_owner(look):
    look.sees("final", "zone1.example", alive=True)[0]["owner"] = "da9.hoster.example"


@mutant("row")
def a_claim_is_not_true(look):
    look.of("claim")[0]["ok"] = False


def main():
    began, passed, failed = time.monotonic(), 0, []
    killed = dict.fromkeys((function.__name__ for _, function in MUTANTS), 0)
    for seed in range(SEED, SEED + HISTORIES):
        right = history(seed)
        verdict = checker.check([dict(event) for event in right])
        if verdict.wrong:
            failed.append(f"history {seed} is right, and the checker says: {list(verdict.lines())[:3]}")
        passed += not verdict.wrong
        for name, function in MUTANTS:
            events = [dict(event) for event in right]
            try:
                if function(Look(events)) is False:
                    continue
            except (IndexError, StopIteration, ValueError, KeyError) as error:
                failed.append(f"history {seed}: {function.__name__} could not be made: {type(error).__name__} {error}")
                continue
            wrong = checker.check(events).wrong
            killed[function.__name__] += name in wrong
            if name not in wrong:
                failed.append(f"history {seed}: {function.__name__} lives, {name} says nothing, {sorted(wrong)} do")
    for name, times in killed.items():
        passed += times > 0
        if times == 0:
            failed.append(f"{name} was never made, or never caught")
    for text in failed[:20]:
        print(f"not ok - {text}")
    print(f"# {len(MUTANTS)} mutants, {sum(killed.values())} of {HISTORIES} histories were killed by the check named for it, "
          f"{time.monotonic() - began:.2f} s (SEED={SEED})")
    print(f"{passed} passed, {len(failed)} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
