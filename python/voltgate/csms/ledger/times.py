"""Times: UTC datetimes in code, RFC 3339 text with milliseconds and ``Z`` in tables, which sorts as time."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONE = re.compile(r"(?:[+-]\d\d:?\d\d|[Zz])$")


@lru_cache(maxsize=4096)
def text(at: datetime) -> str:
    """``2026-05-01T10:00:00.000Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=4096)
def parsed(value: str) -> datetime:
    """The time of RFC 3339 text, whole milliseconds; without a zone it is UTC. Raises ValueError."""
    found = datetime.fromisoformat(value.strip())
    if not _ZONE.search(value.strip()):
        found = found.replace(tzinfo=UTC)
    found = found.astimezone(UTC)
    return found - timedelta(microseconds=found.microsecond % 1000)


def of_charger(value: object) -> datetime | None:
    """A time that a charger sent; None where there is none that can be read."""
    if not isinstance(value, str):
        return None
    try:
        return parsed(value)
    except (ValueError, OverflowError):
        return None


def ms(duration: timedelta) -> int:
    """Whole milliseconds."""
    return duration // timedelta(milliseconds=1)
