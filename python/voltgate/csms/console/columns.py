"""Events in columns, for pages that show a large network: names once, and of a charger only what is new.

``chargers`` are whole: what the charger is, and all its connectors in ``connectors``. A connector there
replaces the one that was known. ``values`` are those of a session that goes on. Each is
``{name: [value, ...]}``.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from voltgate.csms.console.chargers import without_heard

Document = dict[str, Any]

CHARGER = ("id", "online", "since", "vendor", "model", "firmware", "version", "site", "name")
VALUES = ("power_w", "energy_wh", "soc", "heard")
CONNECTOR = ("evse", "connector", "status", "error", "session", "since", *VALUES)
# A gzip stream that never ends: its header, then a block for each event. No block refers to one before it, so
# listeners who come at different times are sent the same bytes.
HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@dataclass(frozen=True, slots=True)
class Difference:
    """What is new of a charger: all of it, or connectors."""

    charger: Document
    whole: bool
    connectors: list[Document] = field(default_factory=list)
    values: list[Document] = field(default_factory=list)
    """Connectors with other values, and nothing else."""


def document(charger: Document) -> Document:
    """As the API has it."""
    return charger | {"connectors": [without_heard(one) for one in charger["connectors"]]}


def difference(before: Document | None, charger: Document) -> Difference | None:
    """None: nothing is new."""
    if before == charger:
        return None
    if (
        before is None
        or any(before[name] != charger[name] for name in CHARGER)
        or _places(before) != _places(charger)
    ):
        return Difference(charger, True, charger["connectors"])
    new = Difference(charger, False)
    for old, one in zip(before["connectors"], charger["connectors"], strict=True):
        if any(old[name] != one[name] for name in CONNECTOR if name not in VALUES):
            new.connectors.append(one)
        elif old != one:
            new.values.append(one)
    return new


def _places(charger: Document) -> list[tuple[int, int]]:
    return [(one["evse"], one["connector"]) for one in charger["connectors"]]


def shown(differences: Iterable[Difference]) -> Mapping[str, Any]:
    """The columns of an event."""
    chargers, connectors, values = list[Any](), list[Any](), list[Any]()
    for one in differences:
        id_ = one.charger["id"]
        if one.whole:
            chargers.append([one.charger[name] for name in CHARGER])
        connectors += [[id_, *(it[name] for name in CONNECTOR)] for it in one.connectors]
        values += [[id_, it["evse"], it["connector"], *(it[name] for name in VALUES)] for it in one.values]
    return {
        "chargers": _columns(CHARGER, chargers),
        "connectors": _columns(("charger", *CONNECTOR), connectors),
        "values": _columns(("charger", "evse", "connector", *VALUES), values),
    }


def _columns(names: tuple[str, ...], rows: list[Any]) -> Mapping[str, Any]:
    return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}


def packed(event: bytes) -> bytes:
    """A block of a gzip stream."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(event) + deflate.flush(zlib.Z_FULL_FLUSH)
