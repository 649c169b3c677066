"""Three attacks, short: `make attack` runs all of them at full size."""

import pytest

from attack.run import Result, Size, run
from attack.verdict import Bound

pytestmark = pytest.mark.usefixtures("clean_environment")

SHORT = Size(chargers=60, rate=300, samples=600, rounds=1, bound=Bound(above=0.25))
"""Other tests run beside it, so the p99 only shows a gateway that stands still."""


@pytest.mark.parametrize("name", ["pings, 4 MB", "reply subjects of commands", "mutated frames"])
async def test_the_other_chargers_do_not_notice_an_attack(name: str) -> None:
    rows: list[Result] = []
    faults = await run([name], SHORT, rows.append)
    assert faults == [], rows
    assert [row.name for row in rows] == [name]
