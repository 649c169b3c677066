"""The metrics of all workers on one page."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from voltgate.gateway.pool.merged import Merged, Supervision, portable
from voltgate.gateway.telemetry.metrics import Metrics


def test_each_family_stands_once_with_the_samples_of_all_workers() -> None:
    workers = [Metrics("0"), Metrics("1")]
    for number, metrics in enumerate(workers, 1):
        metrics.handshakes.add("accepted", count=number)
        metrics.answer_seconds.cell("tx").observe(0.3)
    own = Supervision()
    own.restarts.add("killed")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Merged(own, [portable(metrics) for metrics in workers]))
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }
    assert samples["voltgate_handshakes_total", "0", "accepted"] == 1
    assert samples["voltgate_handshakes_total", "1", "accepted"] == 2
    assert samples["voltgate_answer_seconds_bucket", "+Inf", "1", "tx"] == 1
    assert samples["voltgate_worker_restarts_total", "killed"] == 1
