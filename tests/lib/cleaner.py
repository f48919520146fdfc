# SPDX-License-Identifier: Apache-2.0
"""What time does to the topics, at once: pushes leave dadns.pushes, deleted zones are buried, dadns.zones is compacted.
Goes beside story.py."""
import json
import os
import random
import subprocess

import story
from same_partition import partition

PARTITIONS = 12
QUICK = {"min.compaction.lag.ms": 0, "segment.ms": 200, "min.cleanable.dirty.ratio": 0.001}


def configs(verb, settings):
    """Of dadns.zones."""
    return story.kafka_class("kafka.admin.ConfigCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"], "--entity-type", "topics",
                             "--entity-name", "dadns.zones", "--alter", f"--{verb}-config", settings)


def dadns(*words):
    """dadns with the stack's configuration: (exit code, stdout, stderr)."""
    done = subprocess.run([f"{story.BIN}/dadns", *words, "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout, done.stderr


# ---- pushes and burials ------------------------------------------------------------------------------------------

def bury_quickly(s, doors=("ingest",), every_ms=300):
    """The judges look for deleted zones all the time, until the story ends; backends of other stories are retired."""
    story.configure(s, "judge", bury_every_ms=every_ms)
    for name in doors:
        story.stack("stop", name)
        story.start(name)

    def back_to_normal():
        for name in doors:
            story.stack("stop", name, check=False)
        story.start("ingest")
    story.undo_last(s, back_to_normal)
    strangers = [backend["backend"] for backend in json.loads(dadns("backend", "list", "-o", "json")[1])
                 if backend["state"] != "retired" and backend["backend"] not in story.BACKENDS]
    for name in strangers:
        dadns("backend", "retire", name)


def forget_pushes():
    """Everything that dadns.pushes has is gone, as after 30 days."""
    path = f"{story.STACK_DIR}/delete-records.json"
    with open(path, "w") as file:
        json.dump({"version": 1, "partitions": [{"topic": "dadns.pushes", "partition": p, "offset": -1} for p in range(PARTITIONS)]}, file)
    return story.kafka_class("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", os.environ["KAFKA_BROKERS"],
                             "--offset-json-file", path)


def tombstones(zones):
    """zone -> [version that is buried, as text], in the order of dadns.zones."""
    found = {}
    for line in story.kcat("-X", "fetch.wait.max.ms=10", "-C", "-q", "-e", "-J", "-t", "dadns.zones", "-o", story.beginning(zones)).splitlines():
        record = json.loads(line)
        if record["key"] in zones and record["payload"] is None:
            headers = record.get("headers") or []
            found.setdefault(record["key"], []).append(dict(zip(headers[::2], headers[1::2])).get("dadns-buries"))
    return found


def passes(doors=("ingest",)):
    """How often each of these judges has looked for something to bury."""
    return [story.metric(name, "dadns_judge_burial_passes_total") for name in doors]


def let_it_look(s, doors=("ingest",), times=2):
    """Until each judge has looked so often, from its beginning to its end."""
    before = passes(doors)
    s.eventually(60, f"judges look for something to bury {times} times more", lambda: all(
        now >= was + times + 1 for now, was in zip(passes(doors), before)))


# ---- compaction --------------------------------------------------------------------------------------------------

def make_quick(s, tombstones_ms=86400000):
    """dadns.zones is compacted all the time, until the story ends. Tombstones stay so long."""
    s.finally_do(lambda: s.ok("dadns topics apply puts the settings right", "dadns.zones" in dadns("topics", "apply")[1]))
    story.configure(s, "preflight", allow="topic-settings")  # of those that are started meanwhile
    s.finally_do(configs, "delete", "segment.ms,min.cleanable.dirty.ratio,delete.retention.ms")
    configs("add", ",".join(f"{key}={value}" for key, value in (QUICK | {"delete.retention.ms": tombstones_ms}).items()))


class Fillers:
    """A segment is closed by what comes after it: one zone for each partition, pushed again and again."""

    def __init__(self):
        found = {}
        while len(found) < PARTITIONS:
            name = f"filler{random.randrange(10 ** 6)}-{story.RUN}.example"
            found.setdefault(partition(name, PARTITIONS), name)
        self.zones = list(found.values())
        self.n = 0

    def push(self, url="INGEST_URL"):
        self.n += 1
        for zone in self.zones:
            story.push(zone, story.zone_text(zone, self.n), url=url)
