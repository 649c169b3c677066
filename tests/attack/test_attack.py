"""Some attacks, short and one after the other: `make attack` runs all of them at full size."""

import os
import shutil

import pytest

from attack.catalogue import ATTACKS
from attack.run import Result, Size, run
from attack.verdict import Bound

pytestmark = pytest.mark.usefixtures("clean_environment")

SHORT = Size(chargers=60, rate=300, samples=600, rounds=1, bound=Bound(above=5.0))
"""Other tests run beside it, so the p99 only shows a gateway that stands still."""
SOME = ("pings, 4 MB", "mutated frames", "TLS downgrade")
MORE = ("slowhttptest", "reply subjects of commands", "forged PROXY headers", "wrong client certificates")


async def test_the_other_chargers_do_not_notice_attacks() -> None:
    await hold(list(SOME))


async def test_the_other_chargers_do_not_notice_more_attacks() -> None:
    names = [name for name in MORE if not ATTACKS[name].tool or shutil.which(ATTACKS[name].tool)]
    if "CI" in os.environ:
        assert names == list(MORE), "CI installs every tool"
    await hold(names)


async def hold(names: list[str]) -> None:
    rows: list[Result] = []
    faults = await run(names, SHORT, rows.append)
    assert faults == [], [row for row in rows if row.faults]
    assert [row.name for row in rows] == names
