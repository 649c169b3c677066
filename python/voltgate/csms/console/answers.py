"""What the API answers, as pydantic models, for OpenAPI.

Answers are written from rows without them; a test reads every answer back through its model.
"""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from voltgate.csms.console.roles import RoleName

T = TypeVar("T")
SessionState = Literal["open", "ended", "settled", "presumed", "review"]


class Shape(BaseModel):
    """Nothing unknown."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Page(Shape, Generic[T]):
    """Some of a list; ``next``: what ``after`` is for the rest, null at the end."""

    items: list[T]
    next: str | None


Documents = Page[dict[str, Any]]


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


class Line(Shape):
    """One line of a bill; ``amount`` includes its ``tax``."""

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


class Sample(Shape):
    """What the meter showed during a session; ``register_wh``: as the charger counts it."""

    at: str
    power_w: float | None
    register_wh: float | None
    soc: float | None


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


class Decided(Shape):
    """A decision that is stored. It takes effect at the ledger's next tick."""

    kind: str
    id: str
    revision: int
    """Of the stream: the ETag of the document."""
    valid_from: str | None


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


class TokenShown(Shape):
    """A token."""

    token: str
    status: str
    group: str | None
    revision: int


class UnknownToken(Shape):
    """A token that was presented and that nobody has decided on."""

    token: str
    at: str
    """When it was presented last."""
    charger: str
    """Where it was presented last."""
    times: int


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


class Alert(Shape):
    """A condition that is, or was lately, true."""

    id: str
    """<rule>/<subject>: what is muted."""
    rule: str
    charger: str | None
    evse: int | None
    site: str | None
    since: str
    count: int
    state: str
    notified: str | None
    muted: str | None


class Day(Shape):
    """One port on one day of its site."""

    charger: str
    evse: int
    site: str | None
    date: str
    energy_wh: float
    sessions: int
    revenue: str
    currency: str
    busy_s: int
    up_s: int
    excluded_s: int
    attempts: int
    successes: int
    peak_w: int


class Uptime(Shape):
    """One port over the 12 months that end with a month, as 23 CFR 680.116(b) counts it."""

    charger: str
    evse: int
    site: str | None
    from_: Annotated[str, Field(alias="from")]
    to: str
    percent: str
    meets_floor: bool
    outage_minutes: str
    excluded_minutes: dict[str, str]
    ours_minutes: str


class Attempts(Shape):
    """How far drivers came, by maker, model and firmware."""

    vendor: str
    model: str
    firmware: str
    attempts: int
    plugged: int
    started: int
    energy: int
    successes: int
    percent: str


class Hour(Shape):
    """One hour of the week, 1 is Monday."""

    weekday: int
    hour: int
    energy_wh: float
    busy_s: int
    peak_w: int


class Channel(Shape):
    """A channel, without its secret."""

    id: str
    revision: int
    kind: str
    url: str | None
    to: list[str] | None
    format: str | None


class Tried(Shape):
    """What became of a message to a channel. ``error``: why it was not delivered; null: it was."""

    delivered: bool
    error: str | None


class Preview(Shape):
    """What sessions would have cost by a tariff; amounts are decimal strings, with tax."""

    sentence: str
    """The tariff in words."""
    currency: str
    before: str
    after: str
    percent: float | None
    less: int
    more: int
    same: int
    other_currency: int
    """Sessions in another currency, which were not compared."""
    complete: bool
    """False: there are more sessions; the oldest of them were compared."""


class Lost(Shape):
    """What an OCPI object does not say."""

    name: str
    words: str


class Ocpi(Shape):
    """An object of OCPI 2.2.1."""

    object: dict[str, Any]
    lost: list[Lost]
