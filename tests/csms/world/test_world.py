"""The ledger against a true meter: whatever chargers send, nothing is billed that was not delivered.

Random lives of a charger with random faults. ``TEST_FULL=1`` runs 10,000 sessions; a failure is shown as the
smallest life that fails.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csms.world.judging import faults_found, folded
from csms.world.truth import Life, Visit
from voltgate.charger.faults import FAULTS
from voltgate.schemas import SUBPROTOCOLS

SESSIONS = 10_000 if os.environ.get("TEST_FULL") == "1" else 300
PER_LIFE = 3

powers = st.lists(st.sampled_from((0, 1400, 3700, 11_000, 22_000, 150_000)), min_size=2, max_size=12).flatmap(
    lambda steps: st.integers(3, 15).map(lambda minutes: tuple(w for w in steps for _ in range(minutes)))
)
STILL = Visit(2, (0,) * 6)
FULL = Visit(2, (150_000,) * 10 + (0,) * 30)
EVEN, RISING = Visit(5, (11_000,) * 12), Visit(5, (1400,) * 30 + (150_000,) * 15)
WAITING = Visit(5, (0,) * 6 + (3700,) * 20)
visits = st.builds(Visit, free=st.integers(2, 90), powers=powers)
lives = st.builds(
    Life,
    version=st.sampled_from(tuple(SUBPROTOCOLS)),
    faults=st.lists(st.sampled_from(list(FAULTS)), max_size=3, unique=True).map(
        lambda names: tuple(name for name in FAULTS if name in names)
    ),
    visits=st.lists(visits, min_size=PER_LIFE, max_size=PER_LIFE).map(tuple),
    every=st.sampled_from((1, 5, 15)),
    refused=st.booleans(),
    late=st.booleans(),
    seed=st.integers(0, 2**32),
)
PLAIN = (Visit(10, (11_000,) * 40 + (0,) * 10), Visit(15, (3700,) * 61), Visit(5, (22_000,) * 25))


@pytest.mark.parametrize(
    ("version", "faults", "visits"),
    [
        pytest.param("v201", ("begin_zero", "register_jumps_back"), (WAITING,), id="counts_nothing_twice"),
        pytest.param("v16", ("begin_zero", "kwh_named_wh"), (STILL,), id="a_placeholder_in_kWh"),
        pytest.param("v16", ("begin_zero", "kwh_named_wh"), (EVEN,), id="a_placeholder_of_a_pair_in_kWh"),
        pytest.param("v16", ("samples_from_zero",), (RISING,), id="the_end_continues_the_samples"),
        pytest.param("v201", ("tx_id_repeats", "no_clock"), (EVEN,) * 3, id="an_id_repeats_in_1970"),
        pytest.param("v16", ("tx_id_unknown", "stop_stray"), (EVEN,) * 2, id="a_stop_with_a_foreign_id"),
        pytest.param("v16", ("two_registers",), (FULL,), id="the_begin_is_repeated_with_a_later_time"),
    ],
)
def test_faults_together(version: str, faults: tuple[str, ...], visits: tuple[Visit, ...]) -> None:
    life = Life(version, faults, visits)
    assert faults_found(life, folded(life)) == []


@given(lives)
@settings(
    max_examples=SESSIONS // PER_LIFE + 1,
    suppress_health_check=list(HealthCheck),
)
def test_billed_is_never_more_than_the_truth(life: Life) -> None:
    assert faults_found(life, folded(life)) == []


@pytest.mark.parametrize("version", SUBPROTOCOLS)
@pytest.mark.parametrize("name", ["", *FAULTS])
def test_each_fault_alone(version: str, name: str) -> None:
    life = Life(version, (name,) if name else (), PLAIN, refused=name == "charges_anyway")
    assert faults_found(life, folded(life)) == []
