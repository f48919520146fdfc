#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the C table of topics from proto/asyncapi.yml, so that the contract and `dadns topics apply` are one.

    tools/topics-table.py           writes common/topics_table.c and common/topics_numbers.h
    tools/topics-table.py --check   writes nothing; says what is not current, exit code 1

Both files are committed: building takes no Python. What the document says of itself must fit (a value that a
key of the configuration overrides is the one for its default, I2's partition counts are equal): else nothing
is made, exit code 1.
"""
import difflib
import os
import re
import sys

import yaml

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = "proto/asyncapi.yml"
TABLE = "common/topics_table.c"
NUMBERS = "common/topics_numbers.h"
MUST = {"equal": "EQUAL", "at-least": "AT_LEAST", "tuning": "TUNING"}
BASE = {"topics.message_bytes": "MESSAGE_BYTES", "topics.compaction_lag_ms": "COMPACTION_LAG_MS"}
PARTITIONS, REPLICATION = "topics.partitions", "topics.replication"
MADE = f"Made from {SOURCE} by tools/topics-table.py: change that, run this, commit all."


def demand(right, text):
    if not right:
        sys.exit(f"{SOURCE}: {text}")


def macros():
    """Topic name -> its macro in common/event.h."""
    with open("common/event.h") as file:
        return {name: macro for macro, name in re.findall(r'#define (TOPIC_\w+) "([^"]+)"', file.read())}


def kafka_text(value):
    """As Kafka writes it."""
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def setting(topic, name, value, document):
    rules, keys = document["x-topic-settings"], document["x-configuration"]
    demand(name in rules, f"{topic}: x-topic-settings does not speak of {name}")
    rule = rules[name]
    demand(set(rule) <= {"must", "key", "plus", "replicas", "why"}, f"x-topic-settings.{name}: unknown words")
    demand(rule.get("must") in MUST, f"x-topic-settings.{name}: must is none of {', '.join(MUST)}")
    demand("plus" not in rule or "key" in rule, f"x-topic-settings.{name}: plus without key")
    demand(rule["must"] != "at-least" or isinstance(value, int), f"{topic}: {name} is no number")
    parts = [f'"{name}"', MUST[rule["must"]]]
    if "key" in rule:
        plus = rule.get("plus", 0)
        demand(rule["key"] in BASE, f"x-topic-settings.{name}: no setting can rest on {rule['key']}")
        demand(value == keys[rule["key"]]["default"] + plus,
               f"{topic}: {name} is {value}; the default of {rule['key']} plus {plus} is {keys[rule['key']]['default'] + plus}")
        parts.append(f".base = {BASE[rule['key']]}")
        if plus:
            parts.append(f".plus = INT64_C({plus})")
    else:
        demand('"' not in kafka_text(value) and len(kafka_text(value)) < 32, f"{topic}: {name} is no value of a setting")
        parts.append(f'.text = "{kafka_text(value)}"')
    if "replicas" in rule:
        parts.append(f".replicas = {rule['replicas']}")
    return "\t{" + ", ".join(parts) + "},"


def demand_kafka(name, address, kafka, document):
    """The binding fits the rest of the document."""
    replicas = kafka["replicas"]
    pinned = kafka.get("x-partitions") == PARTITIONS
    demand(kafka["topic"] == address, f"channel {name}: address {address}, topic {kafka['topic']}")
    demand(pinned or "x-partitions" not in kafka, f"{address}: x-partitions is not {PARTITIONS}")
    demand(kafka.get("x-replicas") == REPLICATION, f"{address}: x-replicas is not {REPLICATION}")
    demand(not pinned or kafka["partitions"] == document["x-configuration"][PARTITIONS]["default"],
           f"{address}: {kafka['partitions']} partitions, the default of {PARTITIONS} is another (I2)")
    for rule_name, rule in document["x-topic-settings"].items():
        if "replicas" in rule:
            demand((rule_name in kafka["topicConfiguration"]) == (replicas >= rule["replicas"]),
                   f"{address}: {rule_name} belongs to topics of {rule['replicas']} replicas, this one has {replicas}")


def made_of(document):
    """File name -> its text."""
    keys = document["x-configuration"]
    known = macros()
    lists, rows, used, most = [], [], set(), 0
    demand(set(keys) == {PARTITIONS, REPLICATION, *BASE}, f"x-configuration: not {PARTITIONS}, {REPLICATION}, {', '.join(BASE)}")
    for name, channel in document["channels"].items():
        address, kafka = channel["address"], channel["bindings"]["kafka"]
        pinned = "x-partitions" in kafka
        label = name.replace("-", "_")
        demand(address in known, f"channel {name}: common/event.h has no TOPIC_ macro for {address}")
        demand_kafka(name, address, kafka, document)
        settings = kafka["topicConfiguration"]
        used |= set(settings)
        most = max(most, len(settings))
        lists.append(f"static const struct topic_setting {label}[] = {{\n"
                     + "\n".join(setting(address, key, value, document) for key, value in settings.items()) + "\n\t{0},\n};\n")
        rows.append(f"\t{{{known[address]}, {'true' if pinned else 'false'}, {kafka['partitions']}, {label}}},")
    demand(len(rows) == len(known), f"{len(rows)} channels, common/event.h has {len(known)} TOPIC_ macros")
    demand(used == set(document["x-topic-settings"]),
           f"x-topic-settings speaks of what no topic has: {sorted(set(document['x-topic-settings']) - used)}")
    table = (f'/* SPDX-License-Identifier: Apache-2.0 */\n/* {MADE} */\n#include "common/topics_table.h"\n\n'
             '#include <stddef.h>\n\n#include "common/event.h"\n\n/* clang-format off */\n' + "\n".join(lists)
             + "\nconst struct topic_row topic_rows[TOPIC_COUNT] = {\n" + "\n".join(rows) + "\n};\n")
    numbers = (f"/* SPDX-License-Identifier: Apache-2.0 */\n/* {MADE} */\n#ifndef COMMON_TOPICS_NUMBERS_H\n#define COMMON_TOPICS_NUMBERS_H\n\n"
               f"#define TOPIC_COUNT {len(rows)}\n#define TOPIC_SETTINGS_MAX {most}\n\n/* Defaults of the keys, as texts. */\n"
               + "".join(f'#define {key.upper().replace(".", "_")}_DEFAULT "{keys[key]["default"]}"\n' for key in keys)
               + "\n#endif\n")
    return {TABLE: table, NUMBERS: numbers}


def main():
    with open(SOURCE) as file:
        made = made_of(yaml.safe_load(file))
    current = True
    for name, text in made.items():
        before = ""
        if os.path.exists(name):
            with open(name) as file:
                before = file.read()
        if before == text:
            continue
        current = False
        if sys.argv[1:] == ["--check"]:
            sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), text.splitlines(True), name, f"{name}, as {SOURCE} has it"))
            continue
        with open(name, "w") as file:
            file.write(text)
        print(f"{name} written")
    if sys.argv[1:] == ["--check"] and not current:
        sys.exit(f"the table of topics is not that of {SOURCE}: run tools/topics-table.py")


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    main()
