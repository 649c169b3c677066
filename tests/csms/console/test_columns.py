"""Events in columns: what is new of a charger, and blocks that make one gzip stream in any order."""

import zlib
from typing import Any

import pytest

from voltgate.csms.console import columns
from voltgate.csms.console.columns import HEADER, difference, packed, shown

CONNECTOR: dict[str, Any] = {
    "evse": 1, "connector": 1, "status": "Charging", "error": None, "session": "s1", "since": "T1",
    "power_w": 7000, "energy_wh": 10.5, "soc": None, "heard": "T2",
}  # fmt: skip
CHARGER: dict[str, Any] = {
    "id": "CP1", "online": True, "since": "T0", "vendor": "V", "model": "M", "firmware": "1",
    "version": "v16", "site": "north", "name": None, "connectors": [CONNECTOR],
}  # fmt: skip


def charger(*connectors: dict[str, Any], **other: Any) -> dict[str, Any]:
    return CHARGER | other | {"connectors": [CONNECTOR | one for one in connectors]}


@pytest.mark.parametrize(
    ("after", "whole", "connectors", "values"),
    [
        (charger({}, online=False), True, 1, 0),
        (charger({"power_w": 9000, "heard": "T3"}), False, 0, 1),
        (charger({"status": "Finishing", "power_w": 0}), False, 1, 0),
        (charger({}, {"evse": 2}), True, 2, 0),
        (charger(), True, 0, 0),
    ],
    ids=["the charger", "values", "a status", "another connector", "one connector less"],
)
def test_what_is_new_is_sent_and_nothing_else(
    after: dict[str, Any], whole: bool, connectors: int, values: int
) -> None:
    new = difference(CHARGER, after)
    assert new is not None
    assert (new.whole, len(new.connectors), len(new.values)) == (whole, connectors, values)
    sent = shown([new])
    assert sent["chargers"].get("id") == (("CP1",) if whole else None)
    assert sent["values"].get("power_w") == ((9000,) if values else None)
    if connectors:
        assert sent["connectors"]["charger"] == ("CP1",) * connectors


def test_nothing_new_is_nothing() -> None:
    assert difference(CHARGER, charger({})) is None
    new = difference(None, CHARGER)
    assert new is not None
    assert new.whole


def test_the_api_has_no_time_of_what_was_heard() -> None:
    assert "heard" not in columns.document(CHARGER)["connectors"][0]
    assert "heard" in CHARGER["connectors"][0], "the picture keeps it"


def test_a_listener_who_comes_late_can_read_on() -> None:
    """The blocks of two listeners are the same bytes, whatever was sent before."""
    events = [b"event: change\ndata: %d\n\n" % n * 50 for n in range(3)]
    blocks = [packed(event) for event in events]
    for some in (blocks, blocks[1:], blocks[2:]):
        reading = zlib.decompressobj(zlib.MAX_WBITS | 16)
        assert reading.decompress(HEADER) == b""
        for block, event in zip(some, events[-len(some) :], strict=True):
            assert reading.decompress(block) == event, "each event can be read at once"
