"""The gateway's numbers as a scrape sees them."""

import time

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from voltgate._core import TransactionKeys
from voltgate.config import load
from voltgate.gateway.session.context import Context
from voltgate.gateway.telemetry.metrics import ActionCounts, Metrics
from voltgate.policy import rules


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


def actions_of(metrics: Metrics) -> Metrics:
    """With the actions of every version, as a gateway has them."""
    config, keys = load(), TransactionKeys()
    for version, table in rules(config).items():
        Context.of(version, config, table, metrics, keys)
    return metrics


def test_closed_sets_are_0_from_the_start() -> None:
    """``increase()`` does not see the event with which a series appears."""
    samples = scrape(actions_of(Metrics()))
    for name in (
        "voltgate_handshakes_total result=wrong_password",
        "voltgate_disconnects_total reason=not_stored",
        "voltgate_frames_total action=StartTransaction direction=in type=call version=v16",
        "voltgate_frames_total action=Reset direction=out type=call version=v21",
        "voltgate_frames_total action=NotifyPeriodicEventStream direction=in type=send version=v21",
        "voltgate_frames_total action=- direction=in type=unreadable version=v16",
        "voltgate_frames_total action=- direction=out type=result_error version=v21",
        "voltgate_frames_total action=Reset direction=in type=call version=v16",
        "voltgate_frames_total action=unknown direction=in type=call version=v201",
        "voltgate_frame_bytes_total direction=out",
        "voltgate_violations_total action=Heartbeat code=FormatViolation version=v201",
        "voltgate_violations_total action=unknown code=NotImplemented version=v16",
        "voltgate_violations_total action=Reset code=NotSupported version=v16",
        "voltgate_violations_total action=NotifyPeriodicEventStream code=NotSupported version=v21",
        "voltgate_violations_total action=- code=ProtocolError version=v16",
        "voltgate_violations_total action=- code=RpcFrameworkError version=v21",
        "voltgate_calls_answered_total action=Authorize by=fallback version=v16",
        "voltgate_calls_answered_total action=unknown by=refused version=v16",
        "voltgate_answer_seconds_count class=live",
        "voltgate_publish_failures_total cause=full",
        "voltgate_publish_retries_total",
        "voltgate_asks_total outcome=no_responders",
        "voltgate_reply_violations_total action=Authorize code=TypeConstraintViolation version=v16",
        "voltgate_duplicates_total class=tx",
        "voltgate_reads_paused_total bound=turn",
        "voltgate_commands_total action=Reset outcome=timeout",
        "voltgate_commands_total action=unknown outcome=invalid",
        "voltgate_command_seconds_count",
        "voltgate_bus_dropped_total",
    ):
        assert samples[name] == 0, name


def test_a_signed_action_appears_with_its_first_message() -> None:
    metrics = actions_of(Metrics())
    assert not [name for name in scrape(metrics) if "-Signed" in name]
    counts = ActionCounts(metrics, "v21", "Authorize-Signed", "event", "backend")
    counts.received[0] += 1
    counts.answered("backend")
    assert {name for name in scrape(metrics) if "-Signed" in name} == {
        "voltgate_frames_total action=Authorize-Signed direction=in type=call version=v21",
        "voltgate_calls_answered_total action=Authorize-Signed by=backend version=v21",
    }


def test_the_process_is_among_them() -> None:
    samples = scrape(Metrics())
    assert samples["voltgate_process_resident_memory_bytes"] > 1_000_000
    assert 0 < samples["voltgate_process_open_fds"] < samples["voltgate_process_max_fds"]
    assert samples["voltgate_process_cpu_seconds_total"] > 0
    assert samples["voltgate_process_start_time_seconds"] < time.time()
