"""Times of chargers, and times of tables."""

from datetime import UTC, datetime

import pytest

from voltgate.csms.ledger import times


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-05-01T10:00:00Z", "2026-05-01T10:00:00.000Z"),
        ("2026-05-01T12:00:00.1239+02:00", "2026-05-01T10:00:00.123Z"),
        ("2026-05-01T10:00:00", "2026-05-01T10:00:00.000Z"),
        (" 2026-05-01T10:00:00.5Z ", "2026-05-01T10:00:00.500Z"),
    ],
)
def test_times_are_utc_with_milliseconds(sent: str, stored: str) -> None:
    at = times.of_charger(sent)
    assert at is not None
    assert times.text(at) == stored


@pytest.mark.parametrize("sent", ["", "yesterday", 5, None, "0001-01-01T00:00:00+10:00"])
def test_what_is_no_time_is_none(sent: object) -> None:
    assert times.of_charger(sent) is None


def test_milliseconds() -> None:
    assert times.ms(datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC) - times.EPOCH) == 1500
