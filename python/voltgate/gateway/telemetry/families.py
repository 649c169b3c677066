"""Families of metrics: lists of integers that hot paths add to, and values that are read at scrape.

A path that is hot keeps a cell (a one-element list, or a distribution) and adds to it. Which families there
are is in ``metrics``.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

Cell = list[int]
Values = tuple[str, ...]  # of the labels, in their order
Read = Iterable[tuple[Values, float]]


class Counter:
    """A counter family; ``cell(*labels)`` is a list whose first element is the count."""

    def __init__(
        self, name: str, text: str, labels: Values = (), closed: Sequence[Iterable[str]] = ()
    ) -> None:
        """``closed``: every value of each label, where all of them are known: they are 0 from the start.

        ``increase()`` over a series that appears with its first event does not see that event.
        """
        self.name, self.text, self.labels = name, text, labels
        self._cells: dict[Values, Cell] = {}
        self._unseen: dict[Values, Cell] = {}
        if closed or not labels:
            for values in product(*closed):
                self.cell(*values)

    def cell(self, *labels: str) -> Cell:
        """The count of these label values, created at first use."""
        found = self._cells.get(labels)
        if found is None:
            found = self._cells[labels] = self._unseen.pop(labels, [0])
        return found

    def unseen(self, *labels: str) -> Cell:
        """The same for a rare event: no scrape shows it while it is 0."""
        return self._cells.get(labels) or self._unseen.setdefault(labels, [0])

    def add(self, *labels: str, count: int = 1) -> None:
        """For paths that are not hot."""
        self.cell(*labels)[0] += count

    def items(self) -> Iterator[tuple[Values, int]]:
        """The counts by label values."""
        return ((labels, cell[0]) for labels, cell in self._cells.items())

    def family(self, common: dict[str, str]) -> Metric:
        """The family as the scrape sees it; ``common``: labels of every sample."""
        for labels in [labels for labels, cell in self._unseen.items() if cell[0]]:
            self._cells[labels] = self._unseen.pop(labels)
        counts = ((labels, float(count)) for labels, count in self.items())
        return _family(self, "counter", counts, common)


class Gauge:
    """A gauge read at scrape: ``read`` gives label values -> value."""

    kind = "gauge"

    def __init__(self, name: str, text: str, labels: Values = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self.read: Callable[[], Read] = tuple

    def family(self, common: dict[str, str]) -> Metric:
        """The family as the scrape sees it; ``common``: labels of every sample."""
        return _family(self, self.kind, self.read(), common)


class Total(Gauge):
    """A counter that somebody else counts, read at scrape."""

    kind = "counter"


class Histogram:
    """A histogram family in seconds."""

    def __init__(
        self,
        name: str,
        text: str,
        bounds: tuple[float, ...],
        labels: Values = (),
        closed: Sequence[Iterable[str]] = (),
    ) -> None:
        """``bounds``: of the buckets, rising, without infinity. ``closed``: see :class:`Counter`."""
        self.name, self.text, self.labels, self.bounds = name, text, labels, bounds
        self._cells: dict[Values, HistogramCell] = {}
        if closed or not labels:
            for values in product(*closed):
                self.cell(*values)

    def cell(self, *labels: str) -> "HistogramCell":
        """The distribution of these label values, created at first use."""
        found = self._cells.get(labels)
        if found is None:
            found = self._cells[labels] = HistogramCell(self.bounds)
        return found

    def family(self, common: dict[str, str]) -> Metric:
        """The family as the scrape sees it; ``common``: labels of every sample."""
        metric = Metric(self.name, self.text, "histogram")
        for values, cell in self._cells.items():
            metric.samples += cell.samples(self.name, dict(zip(self.labels, values, strict=True)) | common)
        return metric


class HistogramCell:
    """Counts per bucket of seconds, and their sum."""

    __slots__ = ("_bounds", "_sum", "counts")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    @property
    def bounds(self) -> list[float]:
        """Of the buckets, without infinity."""
        return list(self._bounds)

    @property
    def total(self) -> float:
        """The sum of what was observed."""
        return self._sum

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add observations that were counted elsewhere, by bucket, and their sum."""
        for bucket, count in enumerate(counts):
            self.counts[bucket] += count
        self._sum += total

    def observe(self, seconds: float) -> None:
        """Add one observation."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def samples(self, name: str, labels: dict[str, str]) -> Iterator[Sample]:
        """Cumulative buckets, their number and the sum."""
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            total += count
            yield Sample(f"{name}_bucket", labels | {"le": bound}, float(total))
        yield Sample(f"{name}_count", labels, float(total))
        yield Sample(f"{name}_sum", labels, self._sum)


Family = Counter | Gauge | Histogram


def _family(of: Counter | Gauge, kind: str, values: Read, common: dict[str, str]) -> Metric:
    metric = Metric(of.name.removesuffix("_total") if kind == "counter" else of.name, of.text, kind)
    metric.samples = [
        Sample(of.name, dict(zip(of.labels, labels, strict=True)) | common, value) for labels, value in values
    ]
    return metric
