"""A session by quarter hour."""

import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.story import moment
from voltgate.csms.uptime.slots import Sample, Slot, quarter, slots
from voltgate.csms.uptime.watch import Session


def session(started: float, ended: float | None, mwh: int, plug_out: float | None = None) -> Session:
    ends, out = (None if at is None else moment(at) for at in (ended, plug_out))
    return Session("s", "A", 1, "t", moment(started), None, ends, out, "", "ended", mwh, 700, frozenset())


def readings(*pairs: tuple[float, int]) -> list[Sample]:
    return [Sample(moment(at), register, None) for at, register in pairs]


def energies(found: Sequence[Slot]) -> list[int]:
    return [slot.mwh for slot in found]


def test_an_open_session_has_no_slots() -> None:
    assert slots(session(0, None, 1000), []) == []


def test_without_readings_energy_is_spread_evenly() -> None:
    found = slots(session(5, 35, 3_000_000), [])
    assert found == [
        Slot(moment(0), 1_000_000, 600, 4000, 0, 0),
        Slot(moment(15), 1_500_000, 900, 6000, 0, 0),
        Slot(moment(30), 500_000, 300, 2000, 1, 700),
    ]


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([(0, 100), (15, 400), (30, 400), (45, 500)], [750, 0, 250, 0]),
        ([(0, 100), (30, 200), (31, 0), (45, 100)], [250, 250, 500, 0]),
        ([(0, 7)], [333, 333, 334, 0]),
        ([(10, 0), (20, 100), (90, 900)], [500, 500, 0, 0]),
    ],
)
def test_energy_is_spread_as_the_register_rose(pairs: list[tuple[float, int]], found: list[int]) -> None:
    assert energies(slots(session(0, 45, 1000), readings(*pairs))) == found


def test_a_cable_that_stays_keeps_the_port_busy() -> None:
    found = slots(session(0, 10, 1000, plug_out=20), [])
    assert [(slot.mwh, slot.busy_s, slot.sessions) for slot in found] == [(1000, 900, 1), (0, 300, 0)]


def test_the_peak_is_the_highest_reading_or_the_mean() -> None:
    samples = [Sample(moment(1), None, 11_000), Sample(moment(2), None, 3_000)]
    assert [slot.peak_w for slot in slots(session(0, 20, 4_000_000), samples)] == [12_000, 4_000]
    samples = [Sample(moment(1), None, 22_000)]
    assert [slot.peak_w for slot in slots(session(0, 20, 4_000_000), samples)] == [22_000, 4_000]


@given(
    st.floats(-100, 100), st.floats(0, 3000), st.floats(0, 500), st.integers(0, 10**9),
    st.lists(st.tuples(st.floats(-200, 4000), st.integers(0, 10**9)), max_size=9),
)  # fmt: skip
def test_no_energy_and_no_second_is_lost(
    started: float, lasted: float, stays: float, mwh: int, pairs: list[tuple[float, int]]
) -> None:
    one = session(started, started + lasted, mwh, started + lasted + stays)
    found = slots(one, readings(*pairs))
    assert sum(energies(found)) == mwh
    assert min(energies(found)) >= 0
    assert (sum(slot.sessions for slot in found), sum(slot.cost for slot in found)) == (1, 700)
    busy = sum(slot.busy_s for slot in found)
    assert abs(busy - (lasted + stays) * 60) <= len(found) + 1
    assert all(slot.at == quarter(slot.at) for slot in found)
    assert {later.at - slot.at for slot, later in itertools.pairwise(found)} <= {timedelta(minutes=15)}
