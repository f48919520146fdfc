# SPDX-License-Identifier: Apache-2.0
"""The documents in proto/, as tests use them: references followed, schemas as validators, examples in a row."""
import json
import pathlib
import urllib.parse

import yaml
from jsonschema import Draft202012Validator, RefResolver

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def only_once(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a field stands there twice")
    return dict(pairs)


class Document:
    """One of the documents; every other file of proto/ that it names is read as well."""
    files = {}

    def __init__(self, name):
        self.base = (PROTO / name).as_uri()
        self.root = self.read(self.base)

    @classmethod
    def read(cls, uri):
        if uri not in cls.files:
            text = pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(uri).path)).read_text()
            cls.files[uri] = yaml.safe_load(text) if uri.endswith(".yml") else json.loads(text, object_pairs_hook=only_once)
        return cls.files[uri]

    def follow(self, node, base=None):
        """(what the node is or refers to, the file that this stands in)"""
        base = base or self.base
        while isinstance(node, dict) and "$ref" in node:
            base, _, pointer = urllib.parse.urljoin(base, node["$ref"]).partition("#")
            node = self.read(base)
            for part in pointer.split("/")[1:]:
                node = node[part.replace("~1", "/").replace("~0", "~")]
        return node, base

    def at(self, node):
        return self.follow(node)[0]

    def errors(self, schema, value):
        """What is wrong with the value by a schema that stands in this document."""
        schema, base = self.follow(schema)
        resolver = RefResolver(base, self.read(base), store=self.files, handlers={"file": self.read})
        found = Draft202012Validator(schema, resolver=resolver).iter_errors(value)
        return [f"{error.json_path}: {error.message[:200]}" for error in found]


def pairs(text):
    """The urlencoded pairs of an answer, as its twin in JSON has them."""
    return only_once(urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=True))


def operations(document):
    """OpenAPI: (operation, path, method, parameters) of each."""
    for path, item in document.root["paths"].items():
        for method in ("get", "put", "post", "delete", "head", "options", "patch"):
            if method in item:
                operation = item[method]
                yield operation, path, method, [document.at(p) for p in item.get("parameters", []) + operation.get("parameters", [])]


def answers(document):
    """OpenAPI: (operation id, status, response, media type or None, its object, example name, example) of each class of answers."""
    for operation, *_ in operations(document):
        for status, response in operation["responses"].items():
            response = document.at(response)
            if "content" not in response:
                yield operation["operationId"], int(status), response, None, {}, None, None
            for kind, media in response.get("content", {}).items():
                for name, example in media["examples"].items():
                    yield operation["operationId"], int(status), response, kind, media, name, document.at(example)["value"]


def key_of(name, value):
    """AsyncAPI: the key under which a message of ours is written; None: it is the original's."""
    return {
        "push": lambda: value["zone"], "zone": lambda: value["zone"], "heal": lambda: value["zone"],
        "status": lambda: f"{value['backend']}/{value['zone']}", "epoch": lambda: "@epoch", "barrier": lambda: "@barrier",
        "refusal": lambda: f"@refused/{value['id']}",
        "backend": lambda: value["backend"], "audit": lambda: f"{value['backend']}/audit",
    }.get(name, lambda: None)()
