"""Notices: their text and their JSON."""

from dataclasses import replace

import orjson
import pytest

from csms.story import moment
from voltgate.csms.alerts.notices import Entry, Notice

A, B = (Entry(name, name, 0, "2026-03-02T12:00:00.000Z", count) for name, count in (("A", 1), ("B", 4)))
NOTICE = Notice(
    "id", "offline", "offline", "Offline", moment(0), raised=(A, B), cleared=(A,), channels=("x",)
)


def test_the_text_names_every_charger() -> None:
    assert NOTICE.text == "Offline: 2, 1 cleared\nnew: A, B (4)\ncleared: A"
    assert replace(NOTICE, raised=(), still=(B,), cleared=()).text == "Offline: 1 still\nstill: B (4)"


def test_a_notice_survives_json() -> None:
    assert Notice.parsed(NOTICE.json()) == NOTICE
    assert Notice.parsed(replace(NOTICE, channels=None).json()).channels is None
    assert orjson.loads(NOTICE.json())["text"] == NOTICE.text


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":"x"}', b"null"])
def test_what_is_no_notice(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Notice.parsed(body)


def test_a_text_has_a_bound_and_says_so() -> None:
    many = tuple(Entry(f"charger-{number:06}", "", 0, "", 1) for number in range(5000))
    text = replace(NOTICE, raised=many).text
    assert len(text) < 31_000
    shown = text.count("charger-")
    assert f" and {5000 - shown} more" in text
    assert len(orjson.loads(replace(NOTICE, raised=many).json())["raised"]) == 5000
