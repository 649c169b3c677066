"""Families of metrics: what a scrape sees of them, and from when on."""

from typing import Any

import pytest

from voltgate.gateway.telemetry.families import Counter, Gauge, Histogram, Total

WORKER = {"worker": "0"}


def seen(family: Any) -> dict[tuple[str, ...], float]:
    """Sample name and label values without the worker's -> value."""
    return {
        (sample.name, *(value for key, value in sample.labels.items() if key != "worker")): sample.value
        for sample in family.family(WORKER).samples
    }


def test_closed_labels_are_0_from_the_start() -> None:
    counter = Counter("x_total", "", ("a", "b"), [["1", "2"], ["3"]])
    assert seen(counter) == {("x_total", "1", "3"): 0, ("x_total", "2", "3"): 0}
    assert seen(Counter("x_total", "")) == {("x_total",): 0}
    assert seen(Counter("x_total", "", ("a",))) == {}, "its values are not known"
    histogram = Histogram("x", "", (1.0,), ("a",), [["1"]])
    assert seen(histogram)["x_bucket", "1", "+Inf"] == 0


def test_what_nobody_has_seen_is_not_shown_until_it_comes() -> None:
    counter = Counter("x_total", "", ("action",))
    cell = counter.unseen("A-Signed")
    assert seen(counter) == {}
    cell[0] += 1
    assert seen(counter) == {("x_total", "A-Signed"): 1}
    cell[0] += 1
    assert counter.unseen("A-Signed") is cell
    assert counter.cell("A-Signed") is cell
    assert seen(counter) == {("x_total", "A-Signed"): 2}


def test_an_unseen_cell_becomes_an_ordinary_one() -> None:
    counter = Counter("x_total", "", ("action",))
    cell = counter.unseen("A-Signed")
    assert counter.cell("A-Signed") is cell
    assert seen(counter) == {("x_total", "A-Signed"): 0}


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, "0.5"), (0.5, "0.5"), (0.6, "2.0"), (2.0, "2.0"), (2.1, "+Inf")]
)
def test_a_bucket_holds_what_is_not_above_its_bound(seconds: float, bucket: str) -> None:
    histogram = Histogram("x", "", (0.5, 2.0))
    histogram.cell().observe(seconds)
    samples = seen(histogram)
    first = next(bound for bound in ("0.5", "2.0", "+Inf") if samples["x_bucket", bound] == 1)
    assert first == bucket
    assert samples["x_bucket", "+Inf"] == samples[("x_count",)] == 1
    assert samples[("x_sum",)] == seconds


@pytest.mark.parametrize(("family", "kind"), [(Gauge("x", ""), "gauge"), (Total("x_total", ""), "counter")])
def test_what_somebody_else_counts_is_read_at_scrape(family: Gauge, kind: str) -> None:
    assert seen(family) == {}, "unknown"
    values = [1.0]
    family.read = lambda: [((), values[0])]
    values[0] = 7.0
    assert seen(family) == {(family.name,): 7}
    assert family.family({}).type == kind


def test_every_sample_has_the_common_labels() -> None:
    for family in (Counter("x_total", ""), Histogram("x", "", (1.0,))):
        assert all(sample.labels["worker"] == "0" for sample in family.family(WORKER).samples)
