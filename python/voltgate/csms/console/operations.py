"""What may be sent, and what is answered, where an operator works on chargers: as pydantic models.

Configuration, power limits, firmware and logs, bulk, timeline, violations. The rest is in ``bodies`` and
``answers``.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from voltgate.csms.console.answers import Shape
from voltgate.csms.console.bodies import Body, DoBody, Id, Number, Time

MOST_CHARGERS = 1000  # of one bulk operation
MOST_W = 10_000_000  # of the limit of one charger
Text = Annotated[str, Field(min_length=1, max_length=50)]
AttributeType = Literal["Actual", "Target", "MinSet", "MaxSet"]
Unit = Literal["W", "A"]
LogKind = Literal["diagnostics", "security"]
FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
FileName = Annotated[str, Field(pattern=FILE_NAME)]


class ChangeBody(Body):
    """A new value of a variable; in 1.6 ``variable`` is the key, and nothing else but the value is given."""

    component: Text | None = None
    component_instance: Text | None = None
    evse: Number | None = None
    connector: Number | None = None
    variable: Text
    instance: Text | None = None
    attribute: AttributeType = "Actual"
    value: Annotated[str, Field(max_length=1000)]


class ConfigurationBody(Body):
    """Changes of one charger."""

    changes: Annotated[list[ChangeBody], Field(min_length=1, max_length=50)]


class LimitBody(Body):
    """A power limit of a charger, or of one EVSE (1.6: connector), until a time or until it is cleared."""

    limit: Annotated[float, Field(ge=0, le=MOST_W)]
    unit: Unit = "W"
    evse: Number | None = None
    until: Time | None = None


class SiteLimitBody(Body):
    """What all chargers of a site may take together."""

    limit_w: Annotated[int, Field(ge=0, le=100_000_000)]


class ScheduleBody(Body):
    """Which composite schedule: of the whole charger where no EVSE is named."""

    evse: Number = 0
    duration_s: Annotated[int, Field(ge=60, le=7 * 86_400)] = 86_400
    unit: Unit | None = None


class FirmwareBody(Body):
    """Where the firmware is: an address that the charger reaches, or a file of ``PUT /firmware/{id}``."""

    location: Annotated[str, Field(pattern=r"^(https?|ftps?|sftp)://[^\s/]+/\S*$", max_length=512)] | None = (
        None
    )
    file: FileName | None = None
    retrieve_at: Time | None = None
    """Absent: at once."""
    install_at: Time | None = None
    """2.x only. Absent: when it was downloaded."""

    @model_validator(mode="after")
    def _is_one(self) -> "FirmwareBody":
        if (self.location is None) == (self.file is None):
            raise ValueError("either location or file is needed")
        return self


class LogBody(Body):
    """Which log, and of which time. 1.6 has ``diagnostics`` without its security extension."""

    kind: LogKind = "diagnostics"
    from_: Annotated[Time | None, Field(alias="from")] = None
    to: Time | None = None


class ClearBody(Body):
    """The limit of an EVSE, or of the charger, is taken back."""

    evse: Number | None = None


class BulkBody(Body):
    """One operation for many chargers: exactly one of the operations is given."""

    chargers: Annotated[list[Id], Field(min_length=1, max_length=MOST_CHARGERS)]
    do: DoBody | None = None
    limit: LimitBody | None = None
    clear_limit: ClearBody | None = None
    configuration: ConfigurationBody | None = None
    firmware: FirmwareBody | None = None
    log: LogBody | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "BulkBody":
        if len(self.given) != 1:
            raise ValueError("exactly one of do, limit, clear_limit, configuration, firmware, log is needed")
        return self

    @property
    def given(self) -> list[str]:
        """The names of the operations that are given."""
        names = ("do", "limit", "clear_limit", "configuration", "firmware", "log")
        return [name for name in names if getattr(self, name) is not None]


# -- answers


class Attribute(Shape):
    """One attribute of a variable. ``value``: null where it can only be written."""

    type: AttributeType
    value: str | None
    mutability: Literal["ReadOnly", "WriteOnly", "ReadWrite"]
    persistent: bool | None
    constant: bool | None


class Variable(Shape):
    """A variable of 2.x, or a key of 1.6. ``reboot``: its last change takes effect after a reboot."""

    name: str
    instance: str | None
    data_type: str | None
    unit: str | None
    minimum: float | None
    maximum: float | None
    values: str | None
    read_only: bool
    reboot: bool
    attributes: list[Attribute]


class Component(Shape):
    """A component of 2.x; all keys of 1.6 are in one with an empty name."""

    name: str
    instance: str | None
    evse: int | None
    connector: int | None
    variables: list[Variable]


class Configuration(Shape):
    """What the charger reported last. ``at``: when; null: no report of it is stored."""

    charger: str
    at: str | None
    complete: bool
    """False: parts of the report are missing."""
    components: list[Component]


class ReadConfiguration(Configuration):
    """A report that was asked for, and how the question ended."""

    outcome: str
    status: str | None
    command_id: str
    meaning: str


class Changed(Shape):
    """What became of one change; ``meaning`` is for people."""

    component: str | None
    component_instance: str | None
    evse: int | None
    connector: int | None
    variable: str
    instance: str | None
    attribute: AttributeType
    status: str
    meaning: str


class Changes(Shape):
    """How the changes ended, one by one."""

    outcome: str
    command_id: str
    meaning: str
    results: list[Changed]


class Period(Shape):
    """A step of a schedule, in seconds from its start; ``limit`` null: none is given."""

    start_s: int
    limit: float | None
    phases: int | None


class Schedule(Shape):
    """The composite schedule as the charger calculated it."""

    outcome: str
    status: str | None
    command_id: str
    meaning: str
    starts: str | None
    duration_s: int | None
    unit: Unit | None
    periods: list[Period]


class Step(Shape):
    """What the charger notified, and when."""

    at: str
    status: str


class Transfer(Shape):
    """A firmware update or the fetch of a log."""

    command_id: str
    kind: Literal["firmware", "diagnostics", "security"]
    at: str
    state: Literal["asked", "refused", "running", "done", "failed"]
    outcome: str | None
    """Of the command; null: not known yet."""
    status: str | None
    meaning: str
    file: str | None
    """Of a log that has arrived here."""
    steps: list[Step]


class Image(Shape):
    """A firmware file that is kept here."""

    name: str
    size: int
    at: str


class Item(Shape):
    """One charger of a bulk operation."""

    charger: str
    state: Literal["waiting", "running", "done"]
    outcome: str | None
    status: str | None
    meaning: str | None


class Job(Shape):
    """A bulk operation."""

    id: str
    what: str
    by: str
    at: str
    total: int
    done: int
    items: list[Item]


class Violation(Shape):
    """What chargers of one model get wrong; ``example``: one of them."""

    vendor: str
    model: str
    firmware: str
    version: str
    action: str
    code: str
    pointer: str
    count: int
    chargers: int
    example: str


class Violations(Shape):
    """The most frequent ones. ``complete``: false where there was too much to read all."""

    items: list[Violation]
    next: None
    since: str
    complete: bool


class Talker(Shape):
    """A charger that sends much; ``often`` is its most frequent action."""

    charger: str
    vendor: str
    model: str
    messages: int
    per_minute: float
    often: str


class Talkers(Shape):
    """Those that send most, of the stored messages since ``since``."""

    items: list[Talker]
    next: None
    since: str
    messages: int
    complete: bool


class Moment(Shape):
    """A message of a charger's timeline. The same ``id`` is the same message; a refused frame is text."""

    id: str
    at: str
    stream: str
    seq: int
    kind: Literal["message", "answer", "command", "outcome", "refusal", "security", "violation", "link"]
    action: str
    version: str | None
    message_id: str | None
    outcome: str | None
    error: str | None
    payload: Any


class Timeline(Shape):
    """Newest first; ``next``: what ``before`` is for the rest, null where nothing older is known."""

    items: list[Moment]
    next: str | None
