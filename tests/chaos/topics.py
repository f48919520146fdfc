# SPDX-License-Identifier: Apache-2.0
"""What rows do to Kafka: settings, compaction, group offsets, records taken away. Goes beside rig.py."""
import contextlib
import json
import os
import random
import subprocess

import rig as rigs  # noqa: F401  (sets the paths)
import story
from same_partition import partition

PARTITIONS = 12
QUICK = "min.compaction.lag.ms=0,segment.ms={segment_ms},min.cleanable.dirty.ratio=0.001,delete.retention.ms={tombstones_ms}"


def tool(name, *words):
    return story.kafka_class(name, "--bootstrap-server", os.environ["KAFKA_BROKERS"], *words)


def configure(kind, name, verb, settings):
    entity = ["--entity-default"] if name is None else ["--entity-name", name]
    return tool("kafka.admin.ConfigCommand", "--entity-type", kind, *entity, "--alter", f"--{verb}-config", settings)


def group(*words):
    return tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *words)


def apply(*words):
    """dadns topics apply; its output."""
    done = subprocess.run([f"{story.BIN}/dadns", "topics", "apply", *words, "--config", f"{story.STACK_DIR}/dadns.yml"], capture_output=True,
                          text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"dadns topics apply: {done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def quick_compaction(rig, segment_ms=200, tombstones_ms=86400000):
    """dadns.zones is compacted as fast as Kafka can; afterwards the settings are what they were."""
    story.configure(rig, "preflight", allow="topic-settings")  # or what starts now would not be ready
    configure("brokers", None, "add", "log.cleaner.backoff.ms=300")
    configure("topics", "dadns.zones", "add", QUICK.format(segment_ms=segment_ms, tombstones_ms=tombstones_ms))
    try:
        yield
    finally:
        configure("topics", "dadns.zones", "delete", "segment.ms,min.cleanable.dirty.ratio,delete.retention.ms,min.compaction.lag.ms")
        configure("brokers", None, "delete", "log.cleaner.backoff.ms")
        story.config_back()
        apply()


def fillers():
    """A zone for each partition: what is written behind it closes a segment."""
    found = {}
    while len(found) < PARTITIONS:
        name = f"filler{random.randrange(10 ** 6)}-{story.RUN}.example"
        found.setdefault(partition(name, PARTITIONS), name)
    return list(found.values())


def compact(rig, zones, seconds=60):
    """Until dadns.zones has one record of each; how many it took away."""
    names, rounds, before = fillers(), [0], len(story.records("dadns.zones", set(zones)))

    def question():
        rounds[0] += 1
        for name in names:
            story.push(name, story.zone_text(name, rounds[0]))
        found = [key for key, _, _, _ in story.records("dadns.zones", set(zones))]
        many = {zone for zone in found if found.count(zone) > 1}
        return True if not many else f"{len(many)} zones have more than one record"
    rig.eventually(seconds, "compaction leaves one record of each zone", question, every=0.3)
    return before - len(story.records("dadns.zones", set(zones)))


def take_away(topic, offsets):
    """Records below these offsets, {partition: offset}, are gone for good."""
    path = f"{story.STACK_DIR}/offsets.json"
    with open(path, "w") as file:
        json.dump({"partitions": [{"topic": topic, "partition": p, "offset": o} for p, o in offsets.items()], "version": 1}, file)
    return tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", path)
