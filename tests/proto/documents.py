#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The documents, schemas and examples in proto/ against each other: tests/proto.sh runs it.

Each example file must be valid, each of its fields must be described (unless the file is called *-unknown),
it must become invalid without any one required field, and it must be one compact line that begins with its
schema. tests/unit/test_event.c holds the codec to the same examples. Every example that stands in a document
must be valid by the schema beside it. The last line is "N passed, M failed".
"""
import json
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from contract import PROTO, Document, answers, key_of, operations, pairs, only_once  # noqa: E402
from jsonschema import Draft202012Validator  # noqa: E402

passed = failed = 0


def check(right, text):
    global passed, failed
    if right:
        passed += 1
    else:
        failed += 1
        print("FAILED", text)


def valid(document, schema, value, what):
    wrong = document.errors(schema, value)
    check(not wrong, f"{what}: {wrong}")


def check_example_files():
    schemas = {path.name.removesuffix(".schema.json"): Document(path.name) for path in sorted(PROTO.glob("*.schema.json"))}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema.root)
        later = later_than_draft_07(schema.root)
        check(not later, f"{schema.base.rpartition('/')[2]} says what draft-07 does not know: {later}")
    used = set()
    for path in sorted(PROTO.glob("examples/*.json")):
        text = path.read_text()
        value = json.loads(text, object_pairs_hook=only_once)
        kind = value.get("schema", "dead-letter-headers/").split("/")[0]
        schema = schemas[kind]
        used.add(kind)
        valid(schema, schema.root, value, f"{path.name} is not valid")
        check(text == json.dumps(value, separators=(",", ":")), f"{path.name} is no compact line")
        check(path.name.startswith(kind), f"{path.name} is not named after its kind")
        unknown = set(value) - set(schema.root["properties"])
        check(bool(unknown) == path.name.endswith("-unknown.json"), f"{path.name}: unknown {unknown}")
        for name in schema.root["required"]:
            less = {key: part for key, part in value.items() if key != name}
            check(schema.errors(schema.root, less) != [], f"{path.name} without {name} is still valid")
    check(used == set(schemas) - {"common"}, f"kinds without an example: {sorted(set(schemas) - used - {'common'})}")
    return schemas


def later_than_draft_07(node):
    """What AsyncAPI's default schema format, draft-07, would not see or would read otherwise."""
    if isinstance(node, list):
        return [word for part in node for word in later_than_draft_07(part)]
    if not isinstance(node, dict):
        return []
    beside = set(node) - {"$ref", "description"} if isinstance(node.get("$ref"), str) else set()
    found = set(node) & {"dependentSchemas", "dependentRequired", "prefixItems", "unevaluatedProperties", "unevaluatedItems",
                         "minContains", "maxContains", "$dynamicRef", "$anchor"}
    return [*found, *beside] + [word for part in node.values() for word in later_than_draft_07(part)]


def check_readme(schemas):
    """The events that the prose shows."""
    shown = re.findall(r"```json\n(.*?)```", (PROTO / "README.md").read_text(), re.DOTALL)
    check(len(shown) >= len(schemas) - 1, "README.md shows fewer events than there are kinds")
    for text in shown:
        value = json.loads(text, object_pairs_hook=only_once)
        schema = schemas[value.get("schema", "dead-letter-headers/").split("/")[0]]
        valid(schema, schema.root, value, f"README.md: {text.splitlines()[1].strip()}")


def check_asyncapi():
    document = Document("asyncapi.yml")
    messages = document.root["components"]["messages"]
    shown, sent = [], set()
    for name, message in messages.items():
        for example in message["examples"]:
            what = f"asyncapi.yml, message {name}, example {example['name']}"
            payload = document.at(example.get("payload"))
            shown.append(str(example.get("payload", "")) + str(example.get("headers", "")))
            valid(document, message["payload"], payload, what)
            if "headers" in example:
                valid(document, message["headers"], document.at(example["headers"]), f"{what}, headers")
            if payload is not None and key_of(name, payload) is not None:
                valid(document, message["bindings"]["kafka"]["key"], key_of(name, payload), f"{what}, key")
        check("headers" in message["examples"][0] or name == "barrier", f"asyncapi.yml, message {name}: no example of its headers")
        # what a reader relies on must be demanded
        check(document.errors(message["headers"], {}) != [] or name == "barrier", f"asyncapi.yml, message {name}: headers are not demanded")
    for path in sorted(PROTO.glob("examples/*.json")):
        if not path.name.endswith("-unknown.json"):
            check(any(f"'examples/{path.name}'" in text for text in shown), f"asyncapi.yml does not show {path.name}")
    for path in sorted(PROTO.glob("*.schema.json")):
        text = (PROTO / "asyncapi.yml").read_text()
        check(path.name in text, f"asyncapi.yml does not use {path.name}")
    for channel in document.root["channels"].values():
        sent |= {ref["$ref"].rpartition("/")[2] for ref in channel["messages"].values()}
    check(sent == set(messages), f"messages that no channel has: {sorted(set(messages) - sent)}")
    for action in ("send", "receive"):
        ours = {op["channel"]["$ref"].rpartition("/")[2] for op in document.root["operations"].values() if op["action"] == action}
        check(ours == set(document.root["channels"]), f"asyncapi.yml: nobody does {action} on {sorted(set(document.root['channels']) - ours)}")
    for topic in document.root["channels"].values():
        check(topic["address"] in (PROTO / "README.md").read_text(), f"README.md does not speak of {topic['address']}")


def check_openapi():
    document = Document("openapi.yml")
    for operation, path, method, parameters in operations(document):
        for parameter in parameters:
            what = f"openapi.yml, {operation['operationId']}, parameter {parameter['name']}"
            check("example" in parameter, f"{what}: no example")
            valid(document, parameter["schema"], parameter.get("example"), what)
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            for name, example in media["examples"].items():
                valid(document, media["schema"], example["value"], f"openapi.yml, {operation['operationId']}, body {name}")
    for operation, status, response, kind, media, name, example in answers(document):
        what = f"openapi.yml, {operation}, {status} {kind} {name}"
        if kind is None:
            continue
        valid(document, media["schema"], example, what)
        twin = response["content"].get("application/json")
        if kind == "text/plain" and twin and example.startswith("error="):
            valid(document, twin["schema"], pairs(example), f"{what}, decoded")
    return document


def texts_of_the_source():
    """The sentences with which ingest answers an error, and the files that they stand in."""
    shapes = {
        "services/ingest/directadmin.c": r'refuse\(refusal, \d+,\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)|because\(PERMFAIL, &refusal->text,\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)',
        "services/ingest/door.c": r'answer_error\(request, \d+,\s*((?:"(?:[^"\\]|\\.)*"\s*)+),',
        "services/ingest/waiter.c": r'return ((?:"(?:[^"\\]|\\.)*"\s*)+);',
        "common/http_text.c": r'refuse\(\d+, ((?:"(?:[^"\\]|\\.)*"\s*)+), text\)',
        "common/http.c": r'refuse\(request, \d+, ((?:"(?:[^"\\]|\\.)*"\s*)+)\)',
    }
    for file, shape in shapes.items():
        found = 0
        with open(PROTO.parent / file) as source:
            for groups in re.findall(shape, source.read()):
                text = "".join(groups) if isinstance(groups, tuple) else groups
                text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace("\\n", "\n")
                if text != "%s":
                    found += 1
                    yield file, text
        check(found > 0, f"{file}: no sentence found; has the shape of the source changed?")


def check_sentences(document):
    """No class of answers is missing in the document."""
    known = set()
    for _, _, _, kind, _, _, example in answers(document):
        if kind == "text/plain":
            known.add(pairs(example).get("text", "") if example.startswith("error=") else example)
    for file, text in texts_of_the_source():
        check(any(one == text or one.startswith(f"{text}: ") for one in known), f"openapi.yml has no answer {text!r} of {file}")


check_readme(check_example_files())
check_asyncapi()
check_sentences(check_openapi())
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
