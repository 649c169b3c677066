"""The spans of a CALL, its question, and a command, where tracing is on (docs/tracing.md).

    CALL <Action>                       until it is answered, or abandoned because the charger is gone
      store, read back, record, refuse  its steps that wait for NATS (``call.Step``)
      ask <Action>                      a question until its reply or the fallback; a backend continues it
    command <Action>                    until its outcome; continues the span of the backend that sent it
      prepare, wait                     its stages (``command.Stage``)
      CALL <Action>                     from the charger's CALL to its answer

``Call`` and ``Command`` know nothing of spans: where tracing is off nothing here runs. A span ends with the
transition that ends what it measures, so whatever path a CALL takes, none stays open.
"""

from collections.abc import Callable, Container
from functools import partial

from voltgate import _core
from voltgate._core import Frame, Lane, Publisher
from voltgate.gateway.interfaces import Clock, Request
from voltgate.gateway.reasons import Outcome
from voltgate.gateway.session.call import EMPTY, Call, Handling, Step
from voltgate.gateway.session.command import Command, Stage
from voltgate.gateway.telemetry.tracing import Kind, Span, Tracing

_STEPS = {
    Step.STORING: "store",
    Step.READING: "read back",
    Step.RECORDING: "record",
    Step.REFUSING: "refuse",
}  # not ASKING: the question has a span of its own
_STAGES = {
    Stage.PREPARING: ("prepare", Kind.INTERNAL),
    Stage.WAITING: ("wait", Kind.INTERNAL),
    Stage.SENT: ("CALL", Kind.CLIENT),
}

MakeCall = Callable[[Frame, str | None, Handling | None, float, int], Call]
MakeCommand = Callable[[Request, str, Clock], Command]


def calls(tracing: Tracing | None, publisher: Publisher, lane: Lane) -> MakeCall:
    """What makes the CALLs of a session. ``lane``: of its connection."""
    return Call if tracing is None else partial(TracedCall, tracing, _charger(publisher), lane)


def commands(tracing: Tracing | None, publisher: Publisher, known: Container[str]) -> MakeCommand:
    """What makes the commands of a session; ``known``: the actions that there are."""
    return Command if tracing is None else partial(TracedCommand, tracing, _charger(publisher), known)


def _charger(publisher: Publisher) -> dict[str, str]:
    return {"identity": _core.identity(publisher.token), "session": _core.identity(publisher.session)}


class TracedCall(Call):
    """A CALL with its spans."""

    def __init__(  # noqa: PLR0913, PLR0917 - those of Call, and where it came from
        self,
        tracing: Tracing,
        charger: dict[str, str],
        lane: Lane,
        frame: Frame,
        message_id: str | None,
        handling: Handling | None,
        now: float,
        time_ms: int,
    ) -> None:
        super().__init__(frame, message_id, handling, now, time_ms)
        # An unknown action is free text of a charger: no name of a span.
        action = handling.rule.action if handling else "unknown"
        ids = {**charger, "action": action, "message_id": message_id or ""}
        # The same ids as in the lane: facts do not show which way a CALL went.
        self._span = tracing.begin(f"CALL {action}", Kind.SERVER, ids, ids=lane.trace)
        self.traceparent = self._span.traceparent
        self._part: Span | None = None  # of the step
        self._question: Span | None = None
        self._step, self._answered = Step.QUEUED, False

    @property
    def step(self) -> Step:
        """See Call."""
        return self._step

    @step.setter
    def step(self, step: Step) -> None:
        self._step = step
        if self._part is not None:
            self._part.end()
        name = _STEPS.get(step)
        self._part = self._span.child(name, Kind.PRODUCER) if name else None
        if step is Step.DONE:
            self._end()

    def following(self) -> Step:
        """See Call; a CALL that ends without it is abandoned."""
        step = super().following()
        self._answered = step is Step.DONE
        return step

    def _end(self) -> None:
        if self._question is not None:
            self.question_ended("abandoned")
        if not self._answered:
            self._span.end("not answered")
        elif self.refusal is not None:
            self._span.end(self.refusal.code, answered_by="refused", error_code=self.refusal.code)
        else:
            answer = self.answer or EMPTY
            self._span.end(answer.code, answered_by=answer.by, error_code=answer.code)

    def question_began(self) -> str:
        """See Call."""
        assert self.handling is not None
        self._question = self._span.child(f"ask {self.handling.rule.action}", Kind.CLIENT)
        return self._question.traceparent

    def question_ended(self, outcome: str) -> None:
        """See Call."""
        if self._question is not None:
            self._question.end("" if outcome == "reply" else outcome, outcome=outcome)
            self._question = None


class TracedCommand(Command):
    """A command with its spans."""

    def __init__(  # noqa: PLR0913, PLR0917 - those of Command, and where it came from
        self,
        tracing: Tracing,
        charger: dict[str, str],
        known: Container[str],
        request: Request,
        action: str,
        clock: Clock,
    ) -> None:
        super().__init__(request, action, clock)
        self._part: Span | None = None  # of the stage
        self._stage = Stage.QUEUED
        name = action if action in known else "unknown"
        ids = charger | {"action": name, "message_id": self.message_id, "command_id": self.command_id}
        self._span = tracing.begin(f"command {name}", Kind.SERVER, ids, self.continues)
        self.traceparent = self._span.traceparent

    @property
    def stage(self) -> Stage:
        """See Command."""
        return self._stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._stage = stage
        self._end_part()
        name, kind = _STAGES[stage]
        self._part = self._span.child(f"CALL {self.action}" if stage is Stage.SENT else name, kind)

    def _end_part(self) -> None:
        if self._part is not None:
            self._part.end()
            self._part = None

    def ended(self, outcome: Outcome) -> None:
        """See Command."""
        self._end_part()
        self._span.end("" if outcome is Outcome.RESULT else outcome.label, outcome=outcome.label)

    def joined(self) -> None:
        """See Command."""
        self._span.end()
