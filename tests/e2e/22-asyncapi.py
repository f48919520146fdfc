#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""proto/asyncapi.yml says what lies in Kafka: topics and groups are as it has them, and each record is one of its messages."""
import json
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cleaner  # noqa: E402
import contract  # noqa: E402
import story  # noqa: E402
from story import HOST, kcat, request_bytes, save_bytes, zone_text  # noqa: E402

DOCUMENT = contract.Document("asyncapi.yml")
CHANNELS = {channel["address"]: channel for channel in DOCUMENT.root["channels"].values()}
ZONE, BROKEN = f"async-{story.RUN}.example", f"broken-{story.RUN}.example"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
WRITTEN_BY_NOBODY_YET = {"audit"}
OVERRIDDEN = {"min.insync.replicas"}  # one broker has one replica


def settings_of_topics():
    """Topic -> its own settings, as Kafka tells them."""
    found, topic = {}, None
    for line in story.kafka_class("kafka.admin.ConfigCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"],
                                  "--entity-type", "topics", "--describe").splitlines():
        if match := re.match(r"Dynamic configs for topic (\S+) are:", line):
            topic = found.setdefault(match[1], {})
        elif match := re.match(r"\s+(\S+?)=(.*?) sensitive=", line):
            topic[match[1]] = match[2]
    return found


def as_kafka_says(value):
    return ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)


def records(topic):
    """(key, headers, payload), as a reader gets them by kcat."""
    for line in kcat("-C", "-q", "-e", "-J", "-t", topic, "-o", "beginning", "-X", "fetch.wait.max.ms=10").splitlines():
        record = json.loads(line)
        flat = record.get("headers") or []
        yield record["key"], dict(zip(flat[::2], flat[1::2])), record["payload"]


def messages_of(topic, key, headers, payload):
    """Which messages of the channel a record is, and what keeps it from being each of the others."""
    fits, wrong = [], {}
    for name, ref in CHANNELS[topic]["messages"].items():
        message = DOCUMENT.at(ref)
        value = payload
        if payload is not None and message.get("contentType") is None:
            try:
                value = json.loads(payload)
            except ValueError:
                wrong[name] = "no JSON"
                continue
        wrong[name] = (DOCUMENT.errors(message["bindings"]["kafka"]["key"], key) + DOCUMENT.errors(message["headers"], headers)
                       + DOCUMENT.errors(message["payload"], value))
        if not wrong[name]:
            fits.append(name)
    return fits, wrong


def ours(topic, key):
    """Other stories put records by hand into the same topics."""
    return key in (ZONE, BROKEN) or key[:1] == "@" or key.endswith((f"/{ZONE}", "/-")) or topic == "dadns.audits"


def described(s):
    there = json.loads(kcat("-L", "-J"))["topics"]
    partitions = {topic["topic"]: len(topic["partitions"]) for topic in there}
    settings = settings_of_topics()
    s.ok("no topic of ours is missing in the document", {t for t in partitions if t.startswith("dadns.")} == set(CHANNELS), partitions)
    for address, channel in CHANNELS.items():
        kafka = channel["bindings"]["kafka"]
        wanted = {name: as_kafka_says(value) for name, value in kafka["topicConfiguration"].items() if name not in OVERRIDDEN}
        s.ok(f"{address} has as many partitions", partitions.get(address) == kafka["partitions"], partitions)
        s.ok(f"{address} has its settings", settings.get(address) == wanted, (settings.get(address), wanted))


def grouped(s):
    schemas = [DOCUMENT.at(op["bindings"])["kafka"]["groupId"] for op in DOCUMENT.root["operations"].values()
               if "groupId" in DOCUMENT.at(op.get("bindings", {})).get("kafka", {})]
    groups = [group for group in story.kafka_class("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
                                                   os.environ["KAFKA_BROKERS"], "--list").split() if group.startswith("dadns.")]
    s.ok("the judge and each writer read in a group", {"dadns.judge", "dadns.writer.ns1", "dadns.writer.ns2"} <= set(groups), groups)
    for group in groups:
        s.ok(f"{group} stands in the document", any(not DOCUMENT.errors(schema, group) for schema in schemas))


def refused_from_a_hold(s):
    """Somebody else's delete once more, as a drain would send it: held by a door that knew the zone."""
    _, headers, payload = next(one for one in records("dadns.pushes") if one[0] == ZONE and '"da2.hoster.example"' in one[2])
    _, _, value = next(one for one in records("dadns.zones") if one[0] == ZONE)
    push = {**json.loads(payload), "seen": json.loads(value)["version"]}
    push["id"] = headers["ce_id"] = push["id"][:-4] + f"{int(push['id'][-4:], 16) ^ 1:04x}"
    words = [word for name, text in headers.items() for word in ("-H", f"{name}={text}")]
    kcat("-P", "-t", "dadns.pushes", "-K", "|", "-X", "partitioner=murmur2_random", *words, stdin=f"{ZONE}|{json.dumps(push)}\n".encode())
    s.eventually(10, "a held push that is refused is remembered", lambda: any(key == f"@refused/{push['id']}" for key, _, _ in records("dadns.zones")))


def dealt_with(s):
    """A dead letter is replayed, others are dropped: a heal, and markers behind the letters."""
    head = [word for name, text in json.loads((contract.PROTO / "examples/dead-letter-headers.json").read_text()).items()
            for word in ("-H", f"{name}={'ns1' if name == 'dlq.backend' else text}")]
    kcat("-P", "-t", "dadns.dead-letters", "-K", "|", "-X", "partitioner=murmur2_random", *head, stdin=f"{ZONE}|refused\n".encode())
    for words in (("replay", "--all", "--zone", ZONE), ("drop", "--all", "--zone", BROKEN)):
        done = story.subprocess.run([f"{story.BIN}/dadns", "--config", f"{story.STACK_DIR}/dadns.yml", "dlq", *words],
                                    capture_output=True, text=True, timeout=60)
        s.ok(f"dadns dlq {words[0]}", done.returncode == 0, done)


with story.Story("proto/asyncapi.yml is what lies in Kafka") as s:
    described(s)
    cleaner.bury_quickly(s)
    s.ok("a zone is pushed, with a trace", story.send(save_bytes(ZONE, zone_text(ZONE, 1), more="&named_reload=yes").replace(
        b"\r\n\r\n", f"\r\ntraceparent: {TRACE}\r\n\r\n".encode(), 1)) == "ok")
    s.ok("and again", story.push(ZONE, zone_text(ZONE, 1)) == "ok")
    s.ok("somebody else's delete is taken", story.delete(ZONE, owner="da2.hoster.example") == "ok")
    refused_from_a_hold(s)
    s.ok("the zone is deleted", story.delete(ZONE) == "ok")
    s.ok("and so is one that nobody has", story.send(request_bytes(
        "POST", "/CMD_API_DNS_ADMIN", f"action=delete&hostname={HOST}&select0={ZONE}&select1={BROKEN}".encode())) == "ok")
    kcat("-P", "-t", "dadns.zones", "-K", "|", "-X", "partitioner=murmur2_random", stdin=f"{BROKEN}|this is no JSON\n".encode())
    for ns in ("ns1", "ns2"):
        s.eventually(10, f"{ns} has put away what is no zone", lambda: any(
            key == BROKEN and headers.get("dlq.backend") == ns for key, headers, _ in records("dadns.dead-letters")))
        s.eventually(10, f"{ns} has deleted the zone", lambda: any(
            key == f"{ns}/{ZONE}" and json.loads(payload).get("deleted") for key, _, payload in records("dadns.status")))
    dealt_with(s)
    grouped(s)
    pushes = list(records("dadns.pushes"))
    cleaner.forget_pushes()
    s.eventually(60, "when the delete has left dadns.pushes the zone is buried", lambda: ZONE in cleaner.tombstones({ZONE}))

    seen, states = {}, set()
    for topic in CHANNELS:
        wrong, count = [], 0
        for key, headers, payload in pushes if topic == "dadns.pushes" else records(topic):
            if not ours(topic, key) or payload == "this is no JSON" and topic == "dadns.zones":
                continue
            count += 1
            fits, why = messages_of(topic, key, headers, payload)
            if len(fits) != 1:
                wrong.append((key, fits, why))
                continue
            seen.setdefault(fits[0], []).append(headers)
            if topic == "dadns.status":
                states.add(json.loads(payload)["state"])
        s.ok(f"{topic}: each of {count} records is exactly one of its messages", count > 0 and not wrong, wrong[:3])
    everything = set(DOCUMENT.root["components"]["messages"])
    s.ok("every message that is written today was seen", set(seen) >= everything - WRITTEN_BY_NOBODY_YET, sorted(everything - set(seen)))
    s.ok("verdicts and applied zones were among them", {"unchanged", "applied", "verified"} & states, states)
    for name in ("push", "zone"):
        s.ok(f"the trace goes on in a {name}", any(headers["traceparent"] == TRACE for headers in seen.get(name, [])))
