#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""PowerDNS from its tables answers what named answers from its files, for every type of record that we take.

Random zones with all types, wildcards, delegations with glue, CNAME chains, DNAMEs, long texts, odd names and TTLs
are pushed; then every name and type that is in them is asked of all name servers: rcode, AA and the answer must be
the same, of a delegation the referral. The table of types is complete: the library that reads zones for us has no
other name, and the door refuses what is missing here.

Where PowerDNS is different by its own nature is written down behind "own nature", with the reason, and must still be true.

SEED and ZONES of the environment choose another run.
"""
import json
import os
import random
import sys
import threading

import dns.name

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import story  # noqa: E402
from answers import Question, ask_everybody, of_soa  # noqa: E402
from every_type import FORMED, KNOWN, TYPES, Data, type_number  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
ZONES = int(os.environ.get("ZONES") or 500)
TTLS = (0, 1, 5, 60, 300, 3600, 14400, 86400, 604800, 2147483647)


# ---- zones ---------------------------------------------------------------------------------------------------------

# What rows cannot say to PowerDNS; common/layout_powerdns_record.c says why. The zone is refused there, and only there.
NOT_FROM_ROWS = {"RRSIG": None, "NSEC": None, "NSEC3": None, "TYPE65401": Data.generic, "TYPE65402": Data.generic,
                 "TYPE57": lambda d: d.generic(b"\0\0\3\x0d" + d.octets(32, 32)), "IPSECKEY": lambda d: d.gateway((0,))}
SIGNED = {"RRSIG", "NSEC", "NSEC3"}
HOSTS = {"A", "AAAA", "MX"}  # named wants host names as their owners


ODD = ("a\\.b", "my\\032printer", "o'brien", "x\\;\\(y\\)", "gr\\195\\188n", "_dmarc", "a*b", "\\255\\254", "-dash-", "per%cent",
       "com,ma", "#hash", "{curly}", "s/lash", "tail\\032", "under_score", "e=mc2", "a\\032\\032b", "~tilde", "c:olon", "q?",
       "plus+plus", "`tick`", "pi|pe", "less<more>", "12", "xn--bcher-kva")
REFERRED = ("delegation", "glue")  # there, but for the servers below to answer


class Zone:
    """RRsets, and what is to be asked: (name, type, what it is about)."""

    def __init__(self, name, rng):
        self.name, self.rng, self.data = name, rng, Data(rng, name)
        self.rrsets = {}   # (owner, type) -> (ttl, [data])
        self.asked = []
        self.count = 0
        self.add("@", "SOA", f"ns1.hoster.example. hostmaster.{name}. 1 3600 3600 1209600 {rng.choice((60, 3600))}")
        self.add("@", "NS", "ns1.hoster.example.", f"ns2.{name}.")
        self.add("ns2", "A", self.data.address())
        self.add("www", "A", *self.several(Data.address, 4))

    def add(self, owner, kind, *data, about="record", ask=True):
        self.rrsets[owner, kind] = (self.rng.choice(TTLS), list(data))
        if ask:
            self.ask(owner, kind, about)

    def ask(self, owner, kind, about):
        self.asked.append((owner, kind, about))

    def several(self, make, most):
        """One to `most`, each different."""
        return dict.fromkeys(make(self.data) for _ in range(self.rng.randint(1, most)))

    def label(self):
        self.count += 1
        return f"{self.rng.choice('abcdefgh')}{self.count}"

    def record(self, kind, make, odd=True):
        """Some data of that type, at a name of any sort."""
        sorts = ["plain", "plain", "deep", "beside", "wildcard"] + ["odd", "odd", "odd wildcard"] * (odd and kind not in HOSTS)
        sort = self.rng.choice(sorts)
        owner = {"plain": self.label, "deep": lambda: f"{self.label()}.{self.label()}.{self.label()}", "beside": lambda: "www",
                 "wildcard": lambda: f"*.{self.label()}", "odd": lambda: f"{self.rng.choice(ODD)}.{self.label()}",
                 "odd wildcard": lambda: f"*.{self.rng.choice(ODD)}.{self.label()}"}[sort]()
        most = 1 if kind == "TYPE261" else 3  # named wants one RESINFO at a name
        if (owner, kind) in self.rrsets:
            return
        self.add(owner, kind, *self.several(make, most), about=f"{sort} {kind}")
        if sort == "deep":
            self.ask(owner.partition(".")[2], "A", "empty non-terminal")
        if "wildcard" in sort:
            self.ask("x" + owner[1:], kind, f"below a wildcard, {kind}")
            self.ask("x.y" + owner[1:], "LOC", "below a wildcard, no data")
        self.ask(owner, "HIP" if kind == "LOC" else "LOC", "no data")

    def delegation(self):
        cut = self.label()
        near, far = f"ns.{cut}", f"{self.label()}.other.example."
        servers = [[f"{near}.{self.name}."], [f"{near}.{self.name}.", far], [far], [f"{near}.{self.name}.", f"ns2.{self.name}."]]
        chosen = self.rng.choice(servers)
        self.add(cut, "NS", *chosen, about="delegation")
        if f"{near}.{self.name}." in chosen:
            self.add(near, "A", *self.several(Data.address, 2), about="glue")
            if self.rng.random() < 0.5:
                self.add(near, "AAAA", self.data.address6(), about="glue")
        if self.rng.random() < 0.5:
            self.add(cut, "DS", *self.several(Data.ds, 2), about="DS of a delegation")
        else:
            self.ask(cut, "DS", "DS of a delegation, not there")
        for owner in (cut, f"www.{cut}"):
            self.ask(owner, "A", "at or below a delegation")

    def chain(self):
        names = [self.label() for _ in range(self.rng.randint(1, 5))]
        end = self.rng.choice((f"www.{self.name}.", "www.other.example.", f"nowhere.{self.name}.", f"x.w{self.count}.{self.name}.",
                               *(f"x.{owner}.{self.name}." for owner, kind in self.rrsets if kind in ("NS", "DNAME") and owner != "@")))
        if end.startswith("x.w"):
            self.add(f"*.w{self.count}", "A", self.data.address(), about="wildcard A")
        for name, target in zip(names, [f"{name}.{self.name}." for name in names[1:]] + [end]):
            self.add(name, "CNAME", target, about="CNAME")
            self.ask(name, "A", "CNAME chain")
        if self.rng.random() < 0.3:
            owner = self.label()
            self.add(f"*.{owner}", "CNAME", f"{names[0]}.{self.name}.", about="wildcard CNAME")
            self.ask(f"x.{owner}", "A", "below a wildcard CNAME")

    def dname(self):
        owner = self.label()
        self.add(owner, "DNAME", self.rng.choice((f"{self.label()}.{self.name}.", "moved.other.example.")), about="DNAME")
        self.ask(f"x.{owner}", "A", "below a DNAME")

    def text(self):
        lines = []
        for (owner, kind), (ttl, datas) in self.rrsets.items():
            lines += [f"{owner}\t{ttl}\tIN\t{kind}\t{data}\n" for data in datas]
        return "".join(lines)

    def questions(self):
        """Those of data that is there know how many records the answer must have, and which TTL."""
        origin = dns.name.from_text(self.name)
        for owner, kind, about in self.asked:
            name = dns.name.from_text(owner, origin) if owner != "@" else origin
            there = None if about in REFERRED else self.rrsets.get((owner, kind))
            yield Question(name.to_wire(), type_number(kind), f"{about}: {name} {kind}", there and (len(there[1]), there[0]))


def make_zones(rng, kinds):
    """Every one of `kinds` again and again, five to a zone, and the numbers without a name, four to a zone."""
    made = []
    numbers = [number for number in range(1, 300) if number not in KNOWN.values() and not 128 <= number <= 255 and number not in FORMED]
    taken = set(numbers) | set(KNOWN.values()) | set(range(128, 256))
    numbers += [number for number in rng.sample(range(300, 65536), 4 * ZONES) if number not in taken]
    numbers = [number for number in [*FORMED, *numbers] if f"TYPE{number}" not in NOT_FROM_ROWS][:4 * ZONES]
    queue = []
    for i in range(ZONES):
        zone = Zone(f"types{i}-{story.RUN}.example", rng)
        for _ in range(5):
            if not queue:
                queue = rng.sample(kinds, len(kinds))
            kind = queue.pop()
            zone.record(kind, TYPES[kind])
        for number in numbers[i::ZONES]:
            zone.record(f"TYPE{number}", FORMED.get(number, Data.generic))
        for feature, share in ((zone.delegation, 0.4), (zone.dname, 0.2), (zone.chain, 0.5)):
            if rng.random() < share:
                feature()
        made.append(zone)
    return made


# ---- PowerDNS's own nature -----------------------------------------------------------------------------------------

ODD_OCTETS = "it answers with SERVFAIL for names with unusual octets as long as its setting 8bit-dns is no, as it is by default"
MORE_ADDRESSES = "it adds the address of a server whose name is elsewhere in the zone, as RFC 1034 4.3.2 allows (3b: whatever is available)"
PLAIN = set(b"abcdefghijklmnopqrstuvwxyz0123456789-_*./@ :\\")


def has_odd_octets(question):
    at = 0
    while question.name[at]:
        size = question.name[at]
        if not set(question.name[at + 1:at + 1 + size]) <= PLAIN:
            return True
        at += 1 + size
    return False


def more_addresses(named, powerdns, truth):
    """named gives only those that the delegation needs. What PowerDNS adds must be in `truth`, what the zone has."""
    more = set(powerdns.additional) - set(named.additional)
    return named.is_referral() and powerdns.is_referral() and set(named.authority) == set(powerdns.authority) and \
        set(named.additional) < set(powerdns.additional) and all(record in truth for record in more)


# ---- the story -----------------------------------------------------------------------------------------------------

def push_all(zones):
    answers = {}

    def work(mine):
        for zone in mine:
            answers[zone.name] = story.status_and_body(story.raw(story.save_bytes(zone.name, zone.text())))
    workers = [threading.Thread(target=work, args=(zones[i::6],)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return [(zone.name, answers.get(zone.name)) for zone in zones if answers.get(zone.name) != (200, "error=0")]


def said_of(names, backends=story.BACKENDS):
    """(backend, zone) -> the last word of dadns.status."""
    return {tuple(key.split("/")): json.loads(text)
            for key, _, _, text in story.records("dadns.status", {f"{backend}/{name}" for backend in backends for name in names})}


def start_powerdns(setting):
    story.stack("stop", "dc2")
    story.stack("start", "dc2", args=setting)


def there(zones, servers):
    """True, or which server does not serve which zones."""
    for asker in ask_everybody([of_soa(zone.name) for zone in zones], servers):
        if asker.error is not None:
            return f"{asker.server}: {asker.error}"
        missing = [zone.name for zone, reply in zip(zones, asker.replies) if not reply.answer]
        if missing:
            reasons = [word.get("reason") for word in said_of(missing, (asker.server,)).values()]
            return f"{asker.server} does not serve {len(missing)}: {reasons[:3]}"
    return True


def spelled(differences):
    """How many of each type, and an example; as long as a story prints it."""
    types = {}
    for question, a, b in differences:
        types.setdefault(question.words.split()[-1], []).append(f"{question.words}\n  {a}\n  {b}")
    return f"{len(differences)} of {len(types)} types, for instance\n" + "\n".join(
        f"{len(examples)} times {examples[0]}" for examples in list(types.values())[:8])


def complete_table(s, rng):
    strange = sorted(set(TYPES) - set(KNOWN))
    missing = sorted(set(KNOWN) - set(TYPES))
    s.ok(f"ldns has names for {len(KNOWN)} types; all {len(TYPES)} of our table are among them", not strange, strange)
    name = f"missing-{story.RUN}.example"
    taken = []
    for kind in missing:
        body = story.status_and_body(story.raw(story.save_bytes(name, Zone(name, rng).text() + f"x 60 IN TYPE{KNOWN[kind]} \\# 0\n")))[1]
        if not (body.startswith("error=1") and ("obsolete" in body or "belongs+into+queries" in body)):
            taken.append((kind, body))
    s.ok(f"the others the door refuses, as obsolete or as belonging into queries: {' '.join(missing)}", missing and not taken, taken)


def compare(s, zones):
    questions = [question for zone in zones for question in zone.questions()]
    askers = ask_everybody(questions, ("ns1", "ns2", "dc2"))
    for asker in askers:
        s.ok(f"{asker.server} answered {len(questions)} questions, {asker.by_tcp} of them by TCP, {asker.again} were asked again",
             asker.error is None and None not in asker.replies and asker.by_tcp > 0, asker.error)
    ns1, ns2, dc2 = (asker.replies for asker in askers)
    wrong = [(question, a, b) for question, a, b in zip(questions, ns1, ns2) if a.comparable() != b.comparable()]
    s.ok("ns1 and ns2 answer alike", not wrong, spelled(wrong))
    wrong, found = [], 0
    for question, reply in zip(questions, ns1):
        if question.there is not None:
            found += 1
            if not (reply.rcode == 0 and reply.aa and (len(reply.answer), reply.answer[0][2]) == question.there):
                wrong.append((question, reply, question.there))
    s.ok(f"{found} of the answers are of data that was pushed: so many records, with that TTL", found > 10 * ZONES and not wrong, spelled(wrong))
    kinds = {question.kind for question in questions if question.there is not None}
    referrals = sum(reply.is_referral() for reply in ns1)
    s.ok(f"they are of {len(kinds)} types; {referrals} more are referrals", len(kinds) > ZONES and referrals > ZONES // 2)

    truth = {record for reply in ns1 if reply.aa for record in reply.answer}
    wrong, more = [], 0
    for question, a, b in zip(questions, ns1, dc2):
        if a.comparable() != b.comparable():
            if more_addresses(a, b, truth):
                more += 1
            else:
                wrong.append((question, a, b))
    s.ok("PowerDNS answers as named does", not wrong, spelled(wrong))
    s.ok(f"but for {more} referrals: {MORE_ADDRESSES}", more > 0)
    return questions


def compare_odd_names(s, questions):
    odd = [question for question in questions if has_odd_octets(question)]
    start_powerdns("--8bit-dns=no")
    asker, = ask_everybody(odd, ("dc2",))
    wrong = [question.words for question, reply in zip(odd, asker.replies) if (reply.rcode, reply.answer) != (2, [])]
    s.ok(f"but for {len(odd)} questions: {ODD_OCTETS}", odd and asker.error is None and not wrong, asker.error or wrong[:3])


def not_from_rows(s, rng):
    zones, plain = {}, {}
    for kind, make in NOT_FROM_ROWS.items():
        zone = zones[kind] = Zone(f"never-{kind.lower()}-{story.RUN}.example", rng)
        plain[kind] = dict(zone.rrsets)
        if kind in SIGNED:  # the door wants them in zones that are signed as a whole
            zone.add("@", "DNSKEY", zone.data.key())
            zone.add("@", "RRSIG", zone.data.signature("SOA"))
        zone.add("odd", kind, (make or TYPES[kind])(zone.data))
    names = [zone.name for zone in zones.values()]
    aside = story.metric("writer-dc2", "dadns_writer_aside_zones")
    s.finally_do(story.delete, names)
    refused = push_all(list(zones.values()))
    s.ok(f"{len(zones)} zones with what PowerDNS cannot have from rows are acknowledged: it is DNS", not refused, refused[:3])

    def said():
        words = said_of(names)
        late = [(backend, name) for backend in story.BACKENDS for name in names
                if words.get((backend, name), {}).get("state") != ("retrying" if backend == "dc2" else "applied")]
        return True if not late else f"{len(late)} are not: {[(key, words.get(key)) for key in late[:3]]}"
    s.eventually(15, "they are retrying for dc2 and applied by everybody else", said, every=0.3)
    words = said_of(names, ("dc2",))
    for kind, zone in zones.items():
        reason = words["dc2", zone.name].get("reason", "")
        culprit = f"RRSIG of {zone.name}" if kind in SIGNED else f"{kind} of odd.{zone.name}"
        s.ok(f"the reason for {kind}: {reason}", reason.startswith(f"{culprit}: PowerDNS cannot serve it from a table: "), words["dc2", zone.name])
    s.ok("both named serve them", there(list(zones.values()), ("ns1", "ns2")) is True)
    served = [story.serial("dc2", name) for name in names]
    s.ok("PowerDNS has nothing of them", set(served) == {"REFUSED"}, served)
    for kind, zone in zones.items():
        zone.rrsets = plain[kind]
    refused = push_all(list(zones.values()))
    s.ok("the same without it is acknowledged", not refused, refused[:3])
    s.eventually(10, "and served by all", lambda: there(list(zones.values()), story.SERVERS), every=0.2)
    s.eventually(5, "none of them is put aside any more", lambda: story.metric("writer-dc2", "dadns_writer_aside_zones") == aside)


with story.Story(f"PowerDNS from rows answers as named does from files, every type, {ZONES} zones (SEED={SEED})") as s:
    rng = random.Random(SEED)
    complete_table(s, rng)
    s.finally_do(start_powerdns, "")
    start_powerdns("--8bit-dns=yes")
    zones = make_zones(rng, [kind for kind, make in TYPES.items() if make and NOT_FROM_ROWS.get(kind, make)])
    refused = push_all(zones)
    s.ok(f"{len(zones)} zones with {sum(len(zone.rrsets) for zone in zones)} RRsets are acknowledged", not refused, refused[:3])
    s.eventually(40, "every name server serves all of them", lambda: there(zones, story.SERVERS), every=0.3)
    words = said_of([zone.name for zone in zones])
    wrong = [(key, word["state"], word.get("reason")) for key, word in words.items() if word["state"] not in ("applied", "verified")]
    s.ok(f"all {len(words)} are said to be applied, in both databases too", len(words) == len(zones) * len(story.BACKENDS) and not wrong, wrong[:3])
    questions = compare(s, zones)
    compare_odd_names(s, questions)
    not_from_rows(s, rng)
