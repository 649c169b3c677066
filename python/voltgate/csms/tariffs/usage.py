"""What one session used, as far as a price depends on it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

Row = tuple[str, str, int, bool, bool, int | None]


@dataclass(frozen=True, slots=True)
class Period:
    """A part of a session in which nothing changed but the meter, which ran evenly.

    Neither ``charging`` nor ``billable_idle``: time that nobody pays for (before the first energy, after a
    stop without an unplug sign, while the operator holds the power back).
    """

    start: datetime
    end: datetime
    mwh: int
    charging: bool
    billable_idle: bool
    milliamperes: int | None = None
    """The sum over all phases; None where the charger does not measure it: no condition on current holds."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The periods of a session in the order of time, none overlapping."""

    periods: tuple[Period, ...]

    @property
    def mwh(self) -> int:
        """All energy."""
        return sum(period.mwh for period in self.periods)

    def rows(self) -> list[Row]:
        """As JSON: ``[start, end, mWh, charging, billable idle, mA or null]`` for each period."""
        return [
            (_text(one.start), _text(one.end), one.mwh, one.charging, one.billable_idle, one.milliamperes)
            for one in self.periods
        ]

    @classmethod
    def of(cls, rows: list[Row]) -> Self:
        """The inverse of :meth:`rows`."""
        return cls(
            tuple(
                Period(
                    datetime.fromisoformat(start), datetime.fromisoformat(end), mwh, charging, idle, current
                )
                for start, end, mwh, charging, idle, current in rows
            )
        )


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
