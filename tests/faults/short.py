"""The short form: two aimed faults and one of any kind on few chargers, in less than half a minute."""

import random
from collections.abc import Mapping

from faults.catalogue import AIMED, ANYWHERE
from faults.cuts import Fault
from faults.run import Plan

SLOW = {"NATS half-open"}  # a client notices after two pings


def short(seed: int) -> tuple[Plan, Mapping[str, Fault]]:
    """The same seed gives the same faults."""
    chance = random.Random(seed)
    quick = [one for one in ANYWHERE.items() if one[0] not in SLOW]
    chosen = dict(chance.sample(list(AIMED.items()), 2) + chance.sample(quick, 1))
    return Plan(seed, len(chosen), chargers=9, between=40), chosen
