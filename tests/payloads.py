"""Payloads made from JSON schemas: valid ones, and ones that break one keyword at one place.

A payload is a tree of texts: ``Members`` (key token, value) for objects, a list for arrays, and the JSON
token itself for everything else, so that number forms, escapes and duplicate keys can be chosen.
Shared by nobody's validator: it knows the keywords of OCPP's schemas and nothing of the codec.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]  # property names, and "*" for the first item of an array
ITEM = "*"


class Members(list[tuple[str, Any]]):
    """An object: key tokens and values, in order, duplicates and all."""


@dataclass(frozen=True)
class Node:
    """One schema in a file, behind any ``$ref``."""

    root: dict[str, Any]
    schema: dict[str, Any]
    pointer: str

    def inside(self, step: str) -> "Node":
        where = "items" if step == ITEM else f"properties/{step}"
        schema = self.schema["items"] if step == ITEM else self.schema["properties"][step]
        return node_of(self.root, schema, f"{self.pointer}/{where}")

    def steps(self) -> list[str]:
        return [*self.schema.get("properties", {}), *([ITEM] if "items" in self.schema else [])]


def node_of(root: dict[str, Any], schema: dict[str, Any], pointer: str) -> Node:
    while "$ref" in schema:
        pointer = schema["$ref"]
        schema = root["definitions"][pointer.removeprefix("#/definitions/")]
    return Node(root, schema, pointer)


def places(node: Node, path: Path = (), seen: set[str] | None = None) -> Iterator[tuple[Path, Node]]:
    """Every schema node of a file once, with the shortest-first path that reaches it."""
    seen = set() if seen is None else seen
    if node.pointer in seen:
        return
    seen.add(node.pointer)
    yield path, node
    for step in node.steps():
        yield from places(node.inside(step), (*path, step), seen)


TIMES = ["2025-01-01T00:00:00Z", "2024-02-29T23:59:59.999+02:00", "2025-06-30t12:00:00z"]
BAD_TIMES = ["", "0", "2025-01-01T00:00:00", "2025-02-29T00:00:00Z", "2025-01-01 00:00:00Z", "2025-01-01"]
URIS = ["http://example.com/a?b=c#d", "ftp://user@host:21/x%20y", "urn:a:b"]
BAD_URIS = ["", "no uri", "/relative", "http://a/%zz", "http://a b/", "1:x", "http://ä/"]
LETTERS = [
    "a",
    "Z",
    " ",
    "\\u0041",
    "\\n",
    "\\u0000",
    '\\"',
    "\\/",
    "ä",
    "\\u20ac",
    "😀",
    "\\ud83d\\ude00",
    "~",
]
KEYS = ['"x"', '"vendorId2"', '"\\u0078y"', '""']
VALUES = ["null", "true", "false", "0", "-1", "1.5", '""', '"x"', "[]", "{}", "[[],{}]", '{"a":{"a":[1]}}']
INTEGERS = ["0", "-0", "1", "-1", "42", "2147483648", "9223372036854775807"]
INTEGER_FORMS = [
    *INTEGERS,
    "1.0",
    "1e2",
    "-0.0",
    "1.5",
    "1e-1",
    "10e-1",
    "9223372036854775808",
    "1e19",
    "1e300",
]
NUMBERS = ["0", "-0", "16", "0.5", "-3.2", "1e2", "1E-1", "12.50", "1.5e+1"]
NUMBER_FORMS = [
    *NUMBERS,
    "0.1",
    "0.3",
    "0.7",
    "16.1",
    "0.05",
    "1e400",
    "1" * 65,
    "01",
    "+1",
    ".5",
    "NaN",
    "-",
]


class Maker:
    """Valid trees by chance; ``rich`` is the share of optional members."""

    def __init__(self, dice: random.Random, rich: float) -> None:
        self.dice = dice
        self.rich = rich

    def value(self, node: Node, path: Path = ()) -> Any:
        """A valid value that has something at ``path``."""
        kind = node.schema.get("type")
        if kind == "object":
            return self._object(node, path)
        if kind == "array":
            return self._array(node, path)
        makers: dict[str | None, Callable[[dict[str, Any]], str]] = {
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda _: self.dice.choice(["true", "false"]),
            None: lambda _: self.dice.choice(VALUES),
        }
        return makers[kind](node.schema)

    def _object(self, node: Node, path: Path) -> Members:
        wanted = {*node.schema.get("required", ()), *path[:1]}
        known = node.schema.get("properties", {})
        names = [name for name in known if name in wanted or self.dice.random() < self.rich]
        if self.dice.random() < self.rich:
            self.dice.shuffle(names)
        rest = {name: path[1:] if path[:1] == (name,) else () for name in names}
        members = Members((json.dumps(name), self.value(node.inside(name), rest[name])) for name in names)
        if node.schema.get("additionalProperties", True) and self.dice.random() < self.rich:
            members.append((self.dice.choice(KEYS), self.dice.choice(VALUES)))
        return members

    def _array(self, node: Node, path: Path) -> list[Any]:
        least = max(node.schema.get("minItems", 0), len(path[:1]))
        most = min(node.schema.get("maxItems", 3), 3)
        count = least if self.rich == 0 else self.dice.randint(least, max(least, most))
        rest = [path[1:], *[()] * count]
        return [self.value(node.inside(ITEM), rest[index]) for index in range(count)]

    def _string(self, schema: dict[str, Any]) -> str:
        if "enum" in schema:
            return json.dumps(self.dice.choice(schema["enum"]))
        if "format" in schema:
            return json.dumps(self.dice.choice(TIMES if schema["format"] == "date-time" else URIS))
        most = schema.get("maxLength", 40)
        length = most if self.rich and self.dice.random() < 0.2 else self.dice.randint(0, min(most, 12))
        return '"' + "".join(self.dice.choices(LETTERS, k=length)) + '"'

    def _integer(self, schema: dict[str, Any]) -> str:
        if "minimum" not in schema and "maximum" not in schema:
            return self.dice.choice(INTEGERS)
        low = int(schema["minimum"] if "minimum" in schema else schema["maximum"] - 1000)
        return str(self.dice.choice([low, int(schema.get("maximum", low + 1000))]))

    def _number(self, schema: dict[str, Any]) -> str:
        if "multipleOf" in schema:
            return self.dice.choice(["0", "16", "0.5", "1e2", "12.50"])
        if "minimum" in schema or "maximum" in schema:
            return str(self.dice.choice([schema.get("minimum", -5.5), schema.get("maximum", 1e6)]))
        return self.dice.choice(NUMBERS)


def judged(node: Node) -> list[str]:
    """The keywords of a node that a payload can break at that very place."""
    words = [
        "type",
        "enum",
        "maxLength",
        "format",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "multipleOf",
    ]
    if node.schema.get("type") == "object":
        words += [
            "required",
            *([] if node.schema.get("additionalProperties", True) else ["additionalProperties"]),
        ]
    return [word for word in words if node.schema.get(word)]


def broken(node: Node, word: str, value: Any, dice: random.Random) -> Any:
    """``value``, a valid one of ``node``, changed so that it breaks ``word``."""
    limit: Any = node.schema[word] if word != "additionalProperties" else None
    match word:
        case "type":
            fits = {"object": "{", "array": "[", "string": '"', "boolean": "tf"}
            numeric = ["1.5"] if limit == "integer" else []
            others = [text for text in VALUES if text[0] not in fits.get(limit, "-0123456789")]
            return dice.choice(others + numeric)
        case "enum":
            near = ["no such value", "", limit[0] + "x", limit[0][:-1], limit[0].lower()]
            return json.dumps(dice.choice([text for text in near if text not in limit]))
        case "maxLength":
            return '"' + "".join(dice.choices(LETTERS, k=limit + 1)) + '"'
        case "format":
            return json.dumps(dice.choice(BAD_TIMES if limit == "date-time" else BAD_URIS))
        case "required":
            gone = json.dumps(dice.choice(limit))
            return Members(member for member in value if member[0] != gone)
        case "additionalProperties":
            return Members([*value, (dice.choice(KEYS), dice.choice(VALUES))])
        case "minItems":
            return value[: limit - 1]
        case "maxItems":
            return (value * (limit + 1))[: limit + 1]
        case "minimum":
            return str(int(limit) - dice.choice([1, 1000]))
        case "maximum":
            return str(int(limit) + dice.choice([1, 1000]))
        case _:
            return dice.choice(["0.05", "16.11", "1e-2"])


def odd(node: Node, value: Any, dice: random.Random) -> Any:
    """``value`` changed in a way that may or may not be legal: forms of numbers, escapes, duplicates."""
    kind = node.schema.get("type")
    if kind == "integer":
        return dice.choice(INTEGER_FORMS)
    if kind == "number":
        return dice.choice(NUMBER_FORMS)
    if "format" in node.schema:
        return json.dumps(dice.choice([*TIMES, *BAD_TIMES, *URIS, *BAD_URIS, "1990-12-31T23:59:60Z",
                                       "0000-01-01T00:00:00Z", "2025-01-01T00:00:00Z\n"]))  # fmt: skip
    if "enum" in node.schema:
        word = dice.choice(node.schema["enum"])
        return dice.choice([f'"\\u{ord(word[0]):04x}{word[1:]}"', json.dumps(word.lower()), f'"{word} "'])
    if kind == "string":
        length = node.schema.get("maxLength", 40)
        letter = dice.choice([*LETTERS, "\\ud800", "\\udc00x", "\x01", "\\x", "\\u12"])
        return '"' + letter * (1 if length > 1000 else length) + '"'
    if kind == "array":
        return [*value, *value[:1]] if dice.random() < 0.5 else "[" * 40 + "]" * 40
    if kind == "object" and node.schema.get("additionalProperties", True) and dice.random() < 0.5:
        return Members([*value, ('"deep"', dice.choice(["[" * 40 + "]" * 40, '{"a":1,"b":2,"a":3}']))])
    if isinstance(value, Members) and value:
        key, inner = dice.choice(value)
        escaped = f'"\\u{ord(key[1]):04x}{key[2:]}' if len(key) > 2 and key[1].isalpha() else key
        others = Members(member for member in value if member[0] != key)
        twins = [[*value, (key, inner)], [*value, (escaped, inner)], [*others, (escaped, inner)]]
        return Members(dice.choice(twins))
    return dice.choice(VALUES)


def changed(tree: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """The tree with the value at ``path`` replaced; ``path`` must exist."""
    if not path:
        return change(tree)
    if path[0] == ITEM:
        return [changed(tree[0], path[1:], change), *tree[1:]]
    key = json.dumps(path[0])
    return Members((name, changed(value, path[1:], change) if name == key else value) for name, value in tree)


def text_of(tree: Any, space: str = "") -> str:
    """The JSON text, with ``space`` between all tokens."""
    if isinstance(tree, Members):
        inner = f"{space},{space}".join(f"{key}{space}:{space}{text_of(value, space)}" for key, value in tree)
        return "{" + space + inner + space + "}"
    if isinstance(tree, list):
        return "[" + space + f"{space},{space}".join(text_of(value, space) for value in tree) + space + "]"
    return str(tree)
