"""The supervisor's /metrics page: its own families, and each family of the workers once."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from voltgate.gateway.telemetry.families import Counter, Gauge


def portable(metrics: Collector) -> list[Any]:
    """Every family in a form that JSON can carry."""
    return [
        [
            family.name,
            family.documentation,
            family.type,
            [[sample.name, sample.labels, sample.value] for sample in family.samples],
        ]
        for family in metrics.collect()
    ]


class Merged(Collector):
    """One scrape. ``workers``: the result of :func:`portable` in each worker that answered."""

    def __init__(self, own: Collector, workers: Iterable[list[Any]]) -> None:
        self._own, self._workers = own, workers

    def collect(self) -> Iterator[Metric]:
        """All families; samples of different workers differ in the label ``worker``."""
        families: dict[str, Metric] = {}
        for worker in self._workers:
            for name, text, kind, samples in worker:
                if name not in families:
                    families[name] = Metric(name, text, kind)
                families[name].samples += [Sample(*sample) for sample in samples]
        yield from self._own.collect()
        yield from families.values()


class Supervision(Collector):
    """The supervisor's own families."""

    def __init__(self) -> None:
        self.running = Gauge("voltgate_workers_running", "Worker processes that are running.")
        self.scraped = Gauge("voltgate_worker_scraped", "1 if the worker answered this scrape.", ("worker",))
        self.restarts = Counter(
            "voltgate_worker_restarts_total", "Workers that ended and were replaced, by reason.", ("reason",)
        )

    def families(self) -> list[Counter | Gauge]:
        """Every family, in the order of their definition."""
        return [self.running, self.scraped, self.restarts]

    def collect(self) -> Iterator[Metric]:
        """All families, read now."""
        return (family.family({}) for family in self.families())
