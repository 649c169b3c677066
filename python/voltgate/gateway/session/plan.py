"""Which CALLs the lane takes (rust/core/src/lane.rs), made of the policy; and what it counts, as metrics."""

from voltgate import _core
from voltgate._core import Plan
from voltgate.gateway.session.call import Handling
from voltgate.gateway.telemetry.metrics import FrameCells, Metrics
from voltgate.schemas import Codec


class LanePlan:
    """Of one version."""

    def __init__(
        self, codec: Codec, actions: dict[str | None, Handling], metrics: Metrics, cells: FrameCells
    ) -> None:
        """``actions``: with their counters."""
        self.plan = Plan(codec, metrics.answer_seconds.cell("tx").bounds)
        self._metrics, self._cells = metrics, cells
        self._seconds = [metrics.answer_seconds.cell(class_) for class_ in ("tx", "event", "live")]
        self._handlings = [actions.get(name) for name, *_ in _core.actions(codec.version)]
        for action, handling in enumerate(self._handlings):
            if handling is not None and handling.in_lane:
                self._open(action, handling)
        metrics.counted.append(self._add)

    def _open(self, action: int, handling: Handling) -> None:
        if handling.live:
            self.plan.live(action, handling.clock)
        else:
            how = (handling.class_, handling.remembers, handling.keyed, handling.may_ask)
            self.plan.stored(action, *how)

    def _add(self) -> None:
        """Add what the lanes have counted since the last time."""
        received, answered, others, seconds = self.plan.read()
        bytes_in, bytes_out, tx, event, conflicts = others
        metrics, cells = self._metrics, self._cells
        for handling, calls, answers in zip(self._handlings, received, answered, strict=True):
            if handling is not None and calls:
                handling.received[0] += calls
            if handling is not None and answers:
                handling.counts.answered("gateway", answers)
        cells.bytes_in[0] += bytes_in
        cells.bytes_out[0] += bytes_out
        cells.results[0] += sum(answered)
        metrics.duplicates.add("tx", count=tx)
        metrics.duplicates.add("event", count=event)
        metrics.key_conflicts.add(count=conflicts)
        for cell, (counts, total) in zip(self._seconds, seconds, strict=True):
            cell.add(counts, total)
