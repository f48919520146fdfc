#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CoreDNS with our plugin answers from its tables what named answers from its files, whatever is asked.

Random zones, in which wildcards, empty non-terminals, delegations, DNAMEs, chains and loops of aliases meet, are
pushed; then random names of the same labels are asked of ns1 and dc1, with and without RD, in any letter case. rcode,
AA and the answer must be the same, authority and additional too, in any order. Where they are not the class of
difference is written down in CLASSES, with the RFC that allows it, and must still be found.

SEED, ZONES and QUESTIONS of the environment choose another run.
"""
import collections
import os
import random
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import dns.rcode

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import coredns  # noqa: E402
import story  # noqa: E402
from answers import Question, ask_everybody, of_soa, query  # noqa: E402
from wire import Reply  # noqa: E402
from zones_of_all_sorts import make_questions, make_zones  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
ZONES = int(os.environ.get("ZONES") or 500)
QUESTIONS = int(os.environ.get("QUESTIONS") or 24000)
PAIR = ("ns1", "dc1")


# ---- where they may differ -----------------------------------------------------------------------------------------

def count(reply, *kinds):
    return sum(record[1] in kinds for record in reply.answer)


CLASSES = {  # of the section additional; of authority there is none
    "beside HTTPS and SVCB, RFC 9460 4.1: a server should add what it has of the targets; named follows aliases for it":
        lambda named, other: count(named, 64, 65) > 0,
    "beside MX and SRV with nine hosts or more, RFC 1034 4.3.2 (6): what may be useful is added; named stops earlier":
        lambda named, other: count(named, 15, 33) > 8 and set(named.additional) < set(other.additional),
}


# ---- what was answered ---------------------------------------------------------------------------------------------

def sort_of(reply, owners):
    """What named made of the question. `owners`: every name that has records."""
    if reply.rcode:
        return dns.rcode.to_text(reply.rcode)
    if reply.is_referral():
        return "delegation"
    if not reply.answer:
        return "NODATA"
    if reply.answer[0][0] not in owners:
        return "wildcard"
    if count(reply, 39):
        return "DNAME"
    return "chain" if count(reply, 5) > 1 else "data"


def owners_of(zones):
    return {question.name.lower() for zone in zones for owner, kind in zone.rrsets for question in [zone.asking(owner, 1, random.Random(0))]}


def shown(differences):
    types = collections.Counter(question.words.split()[-1] for question, _, _ in differences)
    return f"{len(differences)}, of types {dict(types.most_common(8))}, for instance\n" + "\n".join(
        f"{question.words}{' with RD' if question.flags else ''}\n" + "\n".join(
            f"  {server}: {reply}; {sorted(reply.authority)}; {sorted(reply.additional)}" for server, reply in zip(PAIR, replies))
        for question, *replies in differences[:4])


# ---- the story -----------------------------------------------------------------------------------------------------

def push_all(zones):
    """What was not acknowledged."""
    with ThreadPoolExecutor(6) as workers:
        said = workers.map(lambda zone: story.status_and_body(story.raw(story.save_bytes(zone.name, zone.text()))), zones)
        return [(zone.name, answer) for zone, answer in zip(zones, said) if answer != (200, "error=0")]


def served(zones):
    for asker in ask_everybody([of_soa(zone.name) for zone in zones], PAIR):
        missing = asker.error or [zone.name for zone, reply in zip(zones, asker.replies) if not reply.answer]
        if missing:
            return f"not by {asker.server}: {str(missing)[:300]}"
    return True


def ask(s, questions):
    askers = ask_everybody(questions, PAIR)
    for asker in askers:
        s.ok(f"{asker.server} answered {len(questions)} questions, {asker.by_tcp} of them by TCP, {asker.again} were asked again",
             asker.error is None and None not in asker.replies and asker.by_tcp > 0, asker.error)
    return askers


def compare(s, questions, askers):
    """rcode, AA, answer."""
    named, ours = (asker.replies for asker in askers)
    wrong = [(question, a, b) for question, a, b in zip(questions, named, ours)
             if (a.rcode, a.aa, set(a.answer), a.twice) != (b.rcode, b.aa, set(b.answer), b.twice)]
    s.ok("rcode, AA and answer are the same, always", not wrong, shown(wrong))


def compare_rest(s, questions, askers):
    """Authority and additional; once more by TCP where they are not alike, as UDP has no room for everything."""
    named, ours = (asker.replies for asker in askers)
    unlike = [i for i, (a, b) in enumerate(zip(named, ours)) if set(a.authority) != set(b.authority) or set(a.additional) != set(b.additional)]
    for asker in askers:
        asker.ask_by_tcp(unlike)
    wrong, more, found = [], set(), collections.Counter()
    for i in unlike:
        question, a, b = questions[i], named[i], ours[i]
        allowed = [name for name, holds in CLASSES.items() if holds(a, b)]
        if set(a.authority) != set(b.authority) or set(a.additional) != set(b.additional) and not allowed:
            wrong.append((question, a, b))
        elif set(a.additional) != set(b.additional):
            found[allowed[0]] += 1
            more |= set(b.additional) - set(a.additional)
    s.ok(f"authority and additional are the same, but for {sum(found.values())} times additional", not wrong, shown(wrong))
    for name in CLASSES:
        s.ok(f"{found[name]} times {name}", found[name] > 0)
    asked = [Question(owner, kind, "") for owner, kind in {record[:2] for record in more}]
    asker, = ask_everybody(asked, ("ns1",))
    there = {record for reply in asker.replies for record in reply.answer}
    s.ok(f"the {len(more)} records that only CoreDNS added are in the zones", asker.error is None and more <= there, list(more - there)[:3])


def compare_small(s, questions, askers):
    """Without EDNS 512 octets are all there is (RFC 1035 4.2.1), and no OPT comes back (RFC 6891 7)."""
    big = [question for question, reply in zip(questions, askers[0].replies) if sum(len(record[3]) for record in reply.answer if record[1] == 16) > 512][:50]
    wrong = []
    for server in PAIR:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as conn:
            conn.connect(story.address(f"{server.upper()}_DNS"))
            conn.settimeout(3)
            for question in big:
                wire = query(1, question)[:-11]
                conn.send(wire[:11] + b"\0" + wire[12:])
                reply = conn.recv(65535)
                if len(reply) > 512 or not Reply(reply).cut or b"\0\0\x29" in reply[-11:]:
                    wrong.append((server, question.words, len(reply)))
    s.ok(f"{len(big)} answers that are too long for 512 octets are cut by both, with TC", big and not wrong, wrong[:3])


def faults():
    return {kind: coredns.metric("dc1", "errors_total", f'what="{kind}"') for kind in ("rows", "record", "zone")}


with story.Story(f"CoreDNS answers as named does, {ZONES} zones (SEED={SEED})") as s:
    rng = random.Random(SEED)
    zones = make_zones(rng, ZONES, f"{story.RUN}.example")
    questions = make_questions(rng, zones, QUESTIONS)
    s.finally_do(story.delete, [zone.name for zone in zones])
    before = faults()
    refused = push_all(zones)
    s.ok(f"{len(zones)} zones with {sum(len(zone.rrsets) for zone in zones)} RRsets are acknowledged", not refused, refused[:3])
    s.eventually(30, "ns1 and dc1 serve all of them", lambda: served(zones), every=0.3)
    askers = ask(s, questions)
    owners = owners_of(zones)
    sorts = collections.Counter(sort_of(reply, owners) for reply in askers[0].replies)
    s.note(f"named's answers: {', '.join(f'{number} {sort}' for sort, number in sorts.most_common())}")
    share = sum(sorts[sort] for sort in ("NXDOMAIN", "NODATA", "wildcard", "delegation")) / len(questions)
    s.ok(f"{share:.0%} of the questions meet NXDOMAIN, NODATA, a wildcard or a delegation", len(questions) >= QUESTIONS and share > 0.3)
    s.ok("and some meet everything else", all(sorts[sort] for sort in ("DNAME", "chain", "data", "SERVFAIL", "YXDOMAIN", "FORMERR")), sorts)
    compare(s, questions, askers)
    compare_rest(s, questions, askers)
    compare_small(s, questions, askers)
    s.ok("no record was left out, and no zone had another digest than its version", faults() == before, (faults(), before))
