"""The gateway's numbers as a scrape sees them."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from voltgate.gateway.metrics import Metrics


def scrape(metrics: Metrics) -> dict[str, float]:
    """Sample name with labels -> value."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    text = generate_latest(registry).decode()
    return {
        " ".join([sample.name, *(f"{key}={value}" for key, value in sorted(labels.items()))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if (labels := {key: value for key, value in sample.labels.items() if key != "worker"}) is not None
    }


def test_a_cell_is_counted_under_its_labels() -> None:
    metrics = Metrics()
    metrics.handshakes.cell("accepted")[0] += 2
    metrics.handshakes.add("full", count=3)
    samples = scrape(metrics)
    assert samples["voltgate_handshakes_total result=accepted"] == 2
    assert samples["voltgate_handshakes_total result=full"] == 3


def test_a_histogram_is_cumulative_in_seconds() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.3, 1000.0):
        metrics.answer_seconds.cell("tx").observe(seconds)
    samples = scrape(metrics)
    assert samples["voltgate_answer_seconds_bucket class=tx le=0.001"] == 2
    assert samples["voltgate_answer_seconds_bucket class=tx le=0.5"] == 3
    assert samples["voltgate_answer_seconds_bucket class=tx le=+Inf"] == 4
    assert samples["voltgate_answer_seconds_count class=tx"] == 4
    assert samples["voltgate_answer_seconds_sum class=tx"] == 1000.3015


def test_a_gauge_is_read_at_scrape() -> None:
    metrics = Metrics()
    online = {"v16": 1}
    metrics.connections.read = lambda: [((version,), float(n)) for version, n in online.items()]
    assert scrape(metrics)["voltgate_connections version=v16"] == 1
    online["v16"] = 7
    assert scrape(metrics)["voltgate_connections version=v16"] == 7


def test_every_sample_names_its_worker() -> None:
    metrics = Metrics("7")
    metrics.handshakes.add("accepted")
    assert {sample.labels["worker"] for metric in metrics.collect() for sample in metric.samples} == {"7"}
