"""The traps of uptime and alerts as vectors (tests/vectors/traps): facts in; outages, attempts, notices out.

As the vectors of sessions beside them, whose judge folds these too: in batches of any size, and with the
streams in another order.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from csms.ledger.test_traps import cases, folded, said
from csms.ledger.world import World
from voltgate.csms.alerts.notices import Notice
from voltgate.csms.uptime import report

ZONE = ZoneInfo("UTC")
OURS = {"outages", "uptime", "attempts", "notices"}
CASES = [param for param in cases() if OURS & param.values[0].keys()]


def made(world: World) -> dict[str, Any]:
    """What there is to compare, in the words of a vector."""
    with world.books.begin() as tx:
        outages = tx.all(
            "SELECT charger, evse, kind, begins, ends FROM outage ORDER BY charger, evse, kind, begins"
        )
        attempts = tx.all("SELECT stage, outcome FROM attempt ORDER BY at, id")
        rows = tx.all("SELECT body FROM outbox WHERE subject LIKE 'ops.alert.notice.%' ORDER BY id")
        now = datetime(2026, 5, 2, tzinfo=UTC)
        one = next(report.uptimes(tx, now.date(), now, ZONE, "CP1"), None)
    notices = [Notice.parsed(body) for (body,) in rows]
    return {
        "outages": [[*row[:3], *map(_moment, row[3:])] for row in outages],
        "attempts": [list(row) for row in attempts],
        "notices": [[one.rule, [entry.charger for entry in one.raised]] for one in notices],
        "uptime": one and {"outage": _text(one.uptime.outage), "ours": _text(one.uptime.ours)},
    }


def _moment(text: str | None) -> str | None:
    return text and text.replace(".000Z", "Z")


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"


@pytest.mark.parametrize(("case", "version"), CASES)
def test_trap(case: dict[str, Any], version: str) -> None:
    found = made(folded(case, said(case, version)))
    assert {name: found[name] for name in OURS & case.keys()} == {
        name: case[name] for name in OURS & case.keys()
    }


def test_every_trap_of_uptime_has_a_vector() -> None:
    assert {param.id.split("-")[0] for param in CASES if param.id} >= {"49", "50", "51", "52"}
