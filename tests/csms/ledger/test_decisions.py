"""Decisions as messages."""

from datetime import UTC, datetime

import pytest

from voltgate.csms.ledger import decisions, times
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.facts import Message, UnreadableError

AT = datetime(2026, 5, 1, 10, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)


def message(body: bytes, kind: str = "tariff") -> Message:
    return Message("OPS_SET", 3, decisions.subject("ops", kind, "night/1"), {}, body, 0.0)


def test_a_decision_comes_back_as_it_was_made() -> None:
    body = decisions.encoded(by="ann", at=AT, body={"x": 1}, why="cheaper", valid_from=LATER)
    assert decisions.decoded(message(body), first=True) == Decision(
        "tariff", "night/1", 3, LATER, "ann", AT, "cheaper", {"x": 1}
    )


@pytest.mark.parametrize(("first", "valid_from"), [(True, times.EPOCH), (False, AT)])
def test_without_a_time_the_first_revision_is_valid_since_ever_and_a_later_one_from_now_on(
    first: bool, valid_from: datetime
) -> None:
    body = decisions.encoded(by="ann", at=AT, body={})
    assert decisions.decoded(message(body), first).valid_from == valid_from


@pytest.mark.parametrize(
    ("body", "kind"), [(b"{", "tariff"), (b"{}", "tariff"), (b"[]", "tariff"), (b"{}", "nonsense")]
)
def test_what_is_not_a_decision_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(UnreadableError):
        decisions.decoded(message(body, kind), first=True)
