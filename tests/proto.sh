#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# proto.sh: the examples in proto/examples/ against the JSON Schemas beside them.
#
# Each example must be valid, each of its fields must be described (unless the file is called
# *-unknown), it must become invalid without any one required field, and it must be one compact line
# that begins with its schema. tests/unit/test_event.c holds the codec to the same examples.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! /usr/bin/python3 -c 'import jsonschema' 2>/dev/null; then
	echo "proto: install python3-jsonschema to check the contract" >&2
	exit 1
fi

exec /usr/bin/python3 - proto <<'PYTHON'
import json
import pathlib
import sys

from jsonschema import Draft202012Validator, RefResolver

root = pathlib.Path(sys.argv[1]).resolve()
passed = failed = 0


def check(right, text):
    global passed, failed
    if right:
        passed += 1
    else:
        failed += 1
        print("FAILED", text)


def only_once(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a field stands there twice")
    return dict(pairs)


schemas = {}
for path in sorted(root.glob("*.schema.json")):
    schema = json.loads(path.read_text(), object_pairs_hook=only_once)
    Draft202012Validator.check_schema(schema)
    kind = path.name[: -len(".schema.json")]
    schemas[kind] = Draft202012Validator(schema, resolver=RefResolver(path.as_uri(), schema))
used = set()
for path in sorted(root.glob("examples/*.json")):
    text = path.read_text()
    value = json.loads(text, object_pairs_hook=only_once)
    kind = value.get("schema", "dead-letter-headers/").split("/")[0]
    validator = schemas[kind]
    used.add(kind)
    wrong = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]
    check(not wrong, f"{path.name} is valid: {wrong}")
    check(text == json.dumps(value, separators=(",", ":")), f"{path.name} is one compact line")
    check(path.name.startswith(kind), f"{path.name} is named after its kind")
    unknown = set(value) - set(validator.schema["properties"])
    check(bool(unknown) == path.name.endswith("-unknown.json"), f"{path.name}: unknown {unknown}")
    for name in validator.schema["required"]:
        less = {key: part for key, part in value.items() if key != name}
        check(not validator.is_valid(less), f"{path.name} without {name} is invalid")
for kind in sorted(set(schemas) - used - {"common"}):
    check(False, f"{kind} has an example")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
PYTHON
