"""The documents of the API, as pydantic models: requests are checked by them, OpenAPI is made of them.

Answers are written from rows without them; a test reads every answer back through its model.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, field_validator

from voltgate.csms.console.intents import Do
from voltgate.csms.console.roles import RoleName

Id = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Why = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Money = Annotated[
    Decimal, Field(ge=0, lt=1_000_000, max_digits=12, decimal_places=6), PlainSerializer(str, return_type=str)
]
Percent = Annotated[
    Decimal, Field(ge=0, le=100, max_digits=6, decimal_places=3), PlainSerializer(str, return_type=str)
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Number = Annotated[int, Field(ge=0, le=1_000_000)]
SessionState = Literal["open", "ended", "settled", "presumed", "review"]


class Body(BaseModel):
    """What a caller sends: nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shape(BaseModel):
    """What the API answers."""

    model_config = ConfigDict(extra="forbid")


# -- requests -------------------------------------------------------------------------------------------


class DoBody(Body):
    """An intent for a charger."""

    do: Do
    evse: Number | None = None
    connector: Number | None = None
    token: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    session: Id | None = None
    hard: bool = False


class DecisionBody(Body):
    """What every decision may say of itself."""

    valid_from: datetime | None = None
    """Absent: now, and for the first decision on an id since ever."""
    why: Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)] = ""

    @field_validator("valid_from")
    @classmethod
    def _has_a_zone(cls, at: datetime | None) -> datetime | None:
        if at is not None and at.tzinfo is None:
            raise ValueError("a time needs its offset, for example Z")
        return at


class SiteBody(DecisionBody):
    """A site."""

    name: Name
    timezone: str | None = None
    currency: Currency | None = None
    tax_percent: Percent | None = None
    max_power_w: Annotated[int, Field(ge=0)] | None = None
    address: Annotated[str, Field(max_length=300)] | None = None

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str | None) -> str | None:
        from zoneinfo import ZoneInfo  # noqa: PLC0415

        try:
            if name is not None:
                ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            raise ValueError("not a time zone of the IANA database, for example Europe/Amsterdam") from None
        return name


class ConnectorBody(Body):
    """What is known of a connector: the physics bound of its sessions is its power."""

    evse: Number
    connector: Number = 1
    max_power_w: Annotated[int, Field(ge=1, le=10_000_000)]


class ChargerBody(DecisionBody):
    """A charger."""

    name: Name | None = None
    site: Id | None = None
    connectors: Annotated[list[ConnectorBody], Field(max_length=1000)] = []


class NightBody(Body):
    """Another price of energy between two times of the site's clock."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: Annotated[Clock, Field(alias="from")]
    to: Clock
    energy_kwh: Money


class TariffBody(DecisionBody):
    """A tariff in five fields, prices with tax; or a whole OCPP 2.1 ``TariffType`` under ``ocpp``."""

    currency: Currency | None = None
    tax_percent: Percent | None = None
    energy_kwh: Money | None = None
    start: Money | None = None
    minute: Money | None = None
    idle_minute: Money | None = None
    idle_after_minutes: Annotated[int, Field(ge=0, le=1440)] | None = None
    idle_cap: Money | None = None
    night: NightBody | None = None
    ocpp: dict[str, Any] | None = None


class AssignmentBody(DecisionBody):
    """The tariff of a scope."""

    tariff: Id


class CorrectBody(DecisionBody):
    """The energy of a session as a person has found it."""

    energy_wh: Annotated[int, Field(ge=0, le=10_000_000)]
    why: Why


class WaiveBody(DecisionBody):
    """A session that is not to be paid."""

    why: Why


class PaymentBody(DecisionBody):
    """The state of the payment of a CDR."""

    state: Literal["due", "paid", "refunded", "waived"]


class TokenBody(Body):
    """A token, in `OPS_PEOPLE`: without a history, so that it can be erased."""

    status: Literal["Accepted", "Blocked", "Expired", "Invalid"]
    group: Id | None = None


class MuteBody(DecisionBody):
    """Until when an alert is not sent again."""

    until: datetime


class PersonBody(Body):
    """An operator who logs in by a link."""

    role: RoleName
    sites: list[Id] | None = None
    """Absent: every site."""


class KeyBody(PersonBody):
    """A key of the API."""


# -- answers --------------------------------------------------------------------------------------------


class Health(Shape):
    """Whether the ledger keeps up with the streams."""

    status: Literal["ok", "behind"]
    lag_seconds: float
    position: dict[str, int]


class Connector(Shape):
    """One connector of a charger."""

    evse: int
    connector: int
    status: str | None
    error: str | None
    power_w: float | None
    energy_wh: float | None
    soc: float | None
    session: str | None
    since: str | None


class Charger(Shape):
    """One charger, as its own messages say."""

    id: str
    online: bool
    since: str | None
    vendor: str | None
    model: str | None
    firmware: str | None
    version: str | None
    site: str | None
    name: str | None
    connectors: list[Connector]


class Chargers(Shape):
    """A page."""

    items: list[Charger]
    next: str | None


class Outcome(Shape):
    """How a command ended, in the gateway's words (docs/reference.md, "Commands")."""

    outcome: str
    status: str | None
    """Of the charger's response, where it has one."""
    command_id: str
    meaning: str
    """For people."""


class Session(Shape):
    """One charging session."""

    id: str
    charger: str
    evse: int | None
    connector: int | None
    transaction: str | None
    token: str | None
    started: str | None
    ended: str | None
    state: SessionState
    energy_wh: float | None
    peak_w: float | None
    charging_s: float | None
    idle_s: float | None
    soc_from: float | None
    soc_to: float | None
    currency: str | None
    cost: str | None
    tariff: str | None
    flags: list[str]
    revision: int
    site: str | None


class Sessions(Shape):
    """A page."""

    items: list[Session]
    next: str | None


class Line(Shape):
    """One line of a bill; ``amount`` includes its ``tax``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kind: str
    from_: Annotated[str, Field(alias="from")]
    to: str
    quantity: str
    unit: str
    price: str
    amount: str
    tax: str


class UsedFact(Shape):
    """A message that counted."""

    stream: str
    seq: int
    subject: str
    used_for: str


class Explanation(Shape):
    """The lines of a session's bill, and the facts that they come from."""

    session: Session
    lines: list[Line]
    facts: list[UsedFact]


class Cdr(Shape):
    """One charge detail record: immutable."""

    id: str
    number: str
    site: str | None
    session: str
    charger: str
    revision: int
    kind: Literal["invoice", "credit"]
    cost: str
    currency: str
    energy_wh: float
    issued: str
    payment: str


class Cdrs(Shape):
    """A page."""

    items: list[Cdr]
    next: str | None


class Decided(Shape):
    """A decision that is stored. It takes effect at the ledger's next tick."""

    kind: str
    id: str
    revision: int
    """Of the stream: the ETag of the document."""
    valid_from: str | None


class Documents(Shape):
    """Decisions in force: each with its id and revision."""

    items: list[dict[str, Any]]
    next: str | None


class Stored(Shape):
    """An entry of a person that is stored."""

    name: str
    revision: int


class StoredToken(Shape):
    """A token that is stored."""

    token: str
    revision: int


class Person(Shape):
    """An operator, or a key."""

    name: str
    role: RoleName
    sites: list[str] | None
    revision: int


class Persons(Shape):
    """All of them."""

    items: list[Person]
    next: None


class TokenShown(Shape):
    """A token."""

    token: str
    status: str
    group: str | None
    revision: int


class Tokens(Shape):
    """All of them."""

    items: list[TokenShown]
    next: None


class Decision(Shape):
    """A decision, with who and why."""

    revision: int
    kind: str
    id: str
    at: str
    by: str
    why: str
    valid_from: str
    body: dict[str, Any]


class Decisions(Shape):
    """A page."""

    items: list[Decision]
    next: str | None


class Me(Shape):
    """Who asks."""

    name: str
    role: RoleName
    sites: list[str] | None
    by: Literal["key", "session"]


class NewKey(Shape):
    """The only time that a key is shown."""

    name: str
    role: RoleName
    key: str


class Link(Shape):
    """A login link: works once."""

    url: str
    until: str


class Invalid(Shape):
    """One value that is not valid."""

    pointer: str
    reason: str


class ProblemDocument(Shape):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[Invalid] = []
