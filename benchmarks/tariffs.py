"""The preview of a tariff: 10,000 sessions of three hours, a reading each quarter of an hour, and idle time.

The tariff has everything that the form can say. Compare the ratio, not the times: both prices are measured in
turns. Run: ``python benchmarks/tariffs.py``
"""

import gc
import statistics
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from voltgate.csms.tariffs import form
from voltgate.csms.tariffs.preview import Past, preview
from voltgate.csms.tariffs.tariff import Tariff
from voltgate.csms.tariffs.usage import Period, Usage

SESSIONS = 10_000
ROUNDS = 5
READINGS = 12
QUARTER = timedelta(minutes=15)
ZONE = ZoneInfo("Europe/Berlin")
FLAT = {"currency": "EUR", "tax_percent": "19", "energy_kwh": "0.39"}
WHOLE = {
    **FLAT,
    "start": "0.50",
    "minute": "0.02",
    "idle_minute": "0.10",
    "idle_after_minutes": 15,
    "idle_cap": "12",
    "night": {"from": "22:00", "to": "06:00", "energy_kwh": "0.29"},
}


def session(number: int) -> Past:
    """One of a month, at any hour."""
    at = datetime(2026, 6, 1, tzinfo=UTC) + number * timedelta(minutes=4.3)
    times = [at + step * QUARTER for step in range(READINGS + 1)]
    charging = [Period(start, end, 2_500_000, True, False) for start, end in pairwise(times)]
    idle = Period(times[-1], times[-1] + timedelta(minutes=40), 0, False, True)
    return Past(Usage((*charging, idle)), ZONE, 117_000_000, "EUR")


def seconds(sessions: list[Past], tariff: Tariff) -> float:
    """CPU of one preview."""
    gc.collect()
    start = time.process_time()
    preview(sessions, tariff)
    return time.process_time() - start


def main() -> None:
    """Print a line for each tariff."""
    sessions = [session(number) for number in range(SESSIONS)]
    tariffs = {name: form.read(name, given) for name, given in (("flat", FLAT), ("whole form", WHOLE))}
    taken: dict[str, list[float]] = {name: [] for name in tariffs}
    for _ in range(ROUNDS):
        for name, tariff in tariffs.items():
            taken[name].append(seconds(sessions, tariff))
    for name, found in taken.items():
        middle, best = statistics.median(found), min(found)
        print(f"{name}: {SESSIONS} sessions in {middle:.2f} s of CPU (best {best:.2f} s; to reach: 2 s)")


if __name__ == "__main__":
    main()
