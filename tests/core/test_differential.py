"""The codec against an independent validator, on every schema file of every version.

jsonschema (with its format checker) judges the same text by the same file. Where the two verdicts differ,
one of the written rules in ``STRICTER`` and ``MILDER`` must say so, and must hold of the text itself.
Seeded: ``VOLTGATE_SEED`` repeats a run; ``TEST_FULL=1`` runs the full size.
"""

import json
import math
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, partial
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from jsonschema.exceptions import ValidationError

from payloads import ITEM, Maker, Node, Path, broken, changed, judged, node_of, odd, places, text_of
from voltgate.schemas import SUBPROTOCOLS, Codec, schema_files

SEED = int(os.environ.get("VOLTGATE_SEED", "20160"))
DAILY, FULL = 1_000, 110_000  # random payloads, beside the systematic ones
FORMATS = jsonschema.FormatChecker(["date-time"])


URI = jsonschema_rs.Draft7Validator({"format": "uri"}, validate_formats=True)


@FORMATS.checks("uri")
def is_uri(value: object) -> bool:
    """jsonschema's own check needs a package whose import takes every process seconds."""
    return URI.is_valid(value)


VALIDATORS = {
    "http://json-schema.org/draft-04/schema#": jsonschema.Draft4Validator,
    "http://json-schema.org/draft-06/schema#": jsonschema.Draft6Validator,
}


@dataclass(frozen=True)
class File:
    """One schema file: whose payload it describes, and who judges it independently."""

    version: str
    name: str
    action: str
    kind: str
    root: Node
    oracle: Any


@cache
def files() -> list[File]:
    found = []
    for version in SUBPROTOCOLS:
        for name, content in schema_files(version):
            schema = json.loads(content)
            validator = VALIDATORS[schema["$schema"]]
            oracle = validator(schema, format_checker=FORMATS)
            kind = "response" if name.endswith("Response") else "request"
            action = name.removesuffix("Response").removesuffix("Request")
            found.append(File(version, name, action, kind, node_of(schema, schema, "#"), oracle))
    return found


@dataclass
class Reading:
    """What Python's JSON reader found in a text, and what it let pass."""

    document: Any = None
    is_json: bool = True
    odd: set[str] = field(default_factory=set)

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            self.odd.add("duplicate")
        return dict(pairs)

    def integer(self, text: str) -> int:
        if len(text) > 64:
            self.odd.add("number")
        if not -(2**63) <= int(text) < 2**63:
            self.odd.add("beyond 64 bits")
        return int(text)

    def real(self, text: str) -> float:
        if len(text) > 64 or math.isinf(float(text)):
            self.odd.add("number")
            return sys.float_info.max  # jsonschema's multipleOf cannot take infinity
        if not -(2**63) <= Decimal(text) < 2**63:
            self.odd.add("beyond 64 bits")
        return float(text)


def no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def read(text: str) -> Reading:
    reading = Reading()
    try:
        reading.document = json.loads(
            text,
            object_pairs_hook=reading.pairs,
            parse_int=reading.integer,
            parse_float=reading.real,
            parse_constant=no_constant,
        )
    except ValueError:
        reading.is_json = False
    return reading


def texts(document: Any) -> list[str]:
    if isinstance(document, dict):
        return [*document, *(text for value in document.values() for text in texts(value))]
    if isinstance(document, list):
        return [text for value in document for text in texts(value)]
    return [document] if isinstance(document, str) else []


def depth(document: Any) -> int:
    inner = list(document.values()) if isinstance(document, dict) else document
    return 1 + max(map(depth, inner), default=0) if isinstance(inner, list) else 0


def lone_surrogate(text: str) -> bool:
    return any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


def only(errors: list[ValidationError], word: str, fits: Callable[[Any], bool]) -> bool:
    return bool(errors) and all(error.validator == word and fits(error.instance) for error in errors)


Rule = Callable[[File, Reading, list[ValidationError]], bool]
# Where we refuse and jsonschema does not.
STRICTER: dict[str, Rule] = {
    "duplicate keys are refused (docs/ocpp.md D)": lambda _, reading, __: "duplicate" in reading.odd,
    "a number has at most 64 bytes and fits binary64": lambda _, reading, __: "number" in reading.odd,
    "an integer fits 64 bits": lambda _, reading, __: "beyond 64 bits" in reading.odd,
    "at most 32 levels deep (docs/ocpp.md D)": lambda _, reading, __: depth(reading.document) > 32,
    "a lone surrogate is broken JSON (docs/ocpp.md D)": lambda _, reading, __: any(
        map(lone_surrogate, texts(reading.document))
    ),
    "a date-time ends with its zone; rfc3339-validator's $ lets a line feed pass": lambda _, reading, __: any(
        text.endswith("Z\n") for text in texts(reading.document)
    ),
}
# Where we accept and jsonschema does not.
MILDER: dict[str, Rule] = {
    "multipleOf 0.1 is judged on the decimal text, not in binary": lambda _, __, errors: only(
        errors, "multipleOf", lambda value: Decimal(repr(value)) % Decimal("0.1") == 0
    ),
    "RFC 3339 has leap seconds at 23:59:60 UTC": lambda _, __, errors: only(
        errors, "format", lambda value: value == "1990-12-31T23:59:60Z"
    ),
    "RFC 3339 has the year 0000": lambda _, __, errors: only(
        errors, "format", lambda value: value.startswith("0000-")
    ),
    "a 1.6 payload may be null (docs/ocpp.md A9)": lambda file, reading, _: (
        file.version == "v16" and reading.document is None
    ),
}


@dataclass
class Tally:
    """Verdicts so far: how many, how they differed, and which keywords were broken where."""

    valid: int = 0
    invalid: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)

    def judge(self, file: File, text: str) -> list[ValidationError] | None:
        """Compare both verdicts; the other one's errors, None where it is no JSON."""
        ours = Codec(SUBPROTOCOLS[file.version]).check(file.action, file.kind, text.encode())
        reading = read(text)
        errors = list(file.oracle.iter_errors(reading.document)) if reading.is_json else None
        accepted = errors == []
        self.valid += accepted
        self.invalid += not accepted
        if accepted != (ours is None):
            table = STRICTER if accepted else MILDER
            rule = next((rule for rule, holds in table.items() if holds(file, reading, errors or [])), None)
            told = f"{file.version} {file.name}: ours {ours}, theirs {errors}\n{text[:2000]}"
            assert rule is not None, f"no rule explains the difference (VOLTGATE_SEED={SEED}): {told}"
            self.exceptions[rule] += 1
        return errors

    def report(self) -> str:
        lines = [
            f"seed {SEED}: {self.valid + self.invalid} payloads, {self.valid} valid, {self.invalid} invalid"
        ]
        return "\n  ".join([*lines, *(f"{count} x {rule}" for rule, count in self.exceptions.most_common())])


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Lines that show in every run, captured or not."""

    def write(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return write


def instance_path(path: Path) -> list[str | int]:
    return [0 if step == ITEM else step for step in path]


def test_every_node_and_every_keyword_is_met_by_valid_and_invalid_payloads(
    report: Callable[[str], None],
) -> None:
    """Each schema node once inside a valid payload, and each of its keywords once broken there."""
    dice = random.Random(SEED)
    tally = Tally()
    missed: list[str] = []
    nodes = keywords = untyped = 0
    for file in files():
        for path, node in places(file.root):
            nodes += 1
            good = Maker(dice, 0).value(file.root, path)
            if tally.judge(file, text_of(good)):
                missed.append(f"{file.version} {file.name} {node.pointer}: no valid payload")
            untyped += not judged(node)
            for word in judged(node):
                keywords += 1
                bad = changed(good, path, partial(broken, node, word, dice=dice))
                errors = tally.judge(file, text_of(bad))
                met = [(error.validator, list(error.absolute_path)) for error in errors or []]
                if (word, instance_path(path)) not in met:
                    missed.append(f"{file.version} {file.name} {node.pointer}/{word}: not broken by {bad}")
    report(tally.report())
    report(f"  {len(files())} files, {nodes} nodes met, {keywords} keywords broken, {len(missed)} missed")
    report(f"  {untyped} nodes ask nothing (DataTransfer data of 2.x)")
    assert untyped == 4
    assert not missed, "\n".join(missed[:10])


def random_payloads(count: int) -> Tally:
    dice = random.Random(SEED)
    tally = Tally()
    known = [(file, list(places(file.root))) for file in files()]
    for _ in range(count):
        file, choices = dice.choice(known)
        path, node = dice.choice(choices)
        tree = Maker(dice, dice.choice([0, 0.2, 0.2, 0.6])).value(file.root, path)
        words = judged(node)
        change = dice.random()
        if change < 0.35 and words:
            word = dice.choice(words)
            tree = changed(tree, path, partial(broken, node, word, dice=dice))
        elif change < 0.7:
            tree = changed(tree, path, partial(odd, node, dice=dice))
        elif change < 0.75:
            tree = changed(tree, path, lambda _: "null")
        text = text_of(tree, dice.choice(["", "", " ", "\n\t"]))
        if change > 0.98:
            place = dice.randrange(len(text) + 1)
            text = text[:place] + dice.choice(["", ",", '"', "{", "]", "\\", "\0"]) + text[place + 1 :]
        tally.judge(file, text)
    return tally


def test_random_payloads_are_judged_alike(report: Callable[[str], None]) -> None:
    tally = random_payloads(DAILY)
    report(tally.report())


@pytest.mark.full
def test_many_random_payloads_are_judged_alike(report: Callable[[str], None]) -> None:
    tally = random_payloads(FULL)
    report(tally.report())
    assert set(tally.exceptions) == {*STRICTER, *MILDER}, "a rule that never applies is to be deleted"
