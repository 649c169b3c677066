"""The model of large networks, and its measurements in small."""

import dataclasses

import interests
import million
import pytest

KNOWN = million.Known(
    interests.Interest(1000.0, 500.0, 6.0, 3.0, 4.0),
    interests.Following(300.0, 8.0, 3.0, 5.0),
    interests.Asking(7.0, 1.0),
)
SEEN = million.Network(
    chargers=1000,
    workers=1,
    memory=70e6,
    connect=2.0,
    message=60e-6,
    nats_connect=1.0,
    nats_message=40e-6,
    storm=3.0,
    nats_storm=2.0,
    storm_lasted=5.0,
)


def test_the_network_that_the_costs_come_from_is_predicted_as_it_is() -> None:
    costs = million.costs_of(60_000_000, SEEN, KNOWN)
    assert dataclasses.replace(million.predicted(costs, 1000, 1), storm_lasted=5.0) == SEEN


def test_every_other_worker_pays_for_a_charger() -> None:
    """Twice the chargers on twice the workers: half of them are another worker's."""
    costs = million.costs_of(60_000_000, SEEN, KNOWN)
    two = million.predicted(costs, 2000, 2)
    assert two.memory == pytest.approx(2 * SEEN.memory + 2000 * 300)
    assert two.connect == pytest.approx(2 * SEEN.connect + 2000 * 8e-6)
    assert two.nats_storm == pytest.approx(2 * SEEN.nats_storm + 2 * 2000 * 5e-6)


def test_links_of_others_outgrow_the_chargers_and_the_next_design_has_none() -> None:
    table = million.million(million.costs_of(60_000_000, SEEN, KNOWN))
    assert {len(row) for row in table.rows} == {len(table.columns)}
    (links,) = [row for row in table.rows if row[0] == "of it links of other workers"]
    small, _, _, large, free = (float(text.replace(",", "")) for text in links[1:])
    assert large > small * 100 * 50
    assert free == 0


def test_interest_is_measured_at_all_three_servers() -> None:
    found = interests.interest(200)
    assert min(found.local_us, found.remote_us) > 0
    assert found.restart_us > 0
