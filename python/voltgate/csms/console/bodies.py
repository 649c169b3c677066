"""What a caller may send, as pydantic models: a request is checked by them before its handler sees it."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    field_validator,
)

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


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _written(at: Any) -> Any:
    """The text of a time; without this pydantic takes a year for seconds since 1970."""
    if isinstance(at, datetime) or (isinstance(at, str) and _RFC3339.fullmatch(at)):
        return at
    raise ValueError("a time is written as 2026-06-01T12:00:00Z, with its offset")


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time is in the years 1 to 9999 of UTC") from None


Time = Annotated[datetime, BeforeValidator(_written), AfterValidator(_in_utc)]


class Body(BaseModel):
    """Nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


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

    valid_from: Time | None = None
    """Absent: now, and for the first decision on an id since ever."""
    why: Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)] = ""


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


class Hours(Body):
    """Between two times of the site's clock."""

    from_: Annotated[Clock, Field(alias="from")]
    to: Clock


class NightBody(Hours):
    """Another price of energy."""

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


class PreviewBody(Body):
    """A tariff as it would be decided on, and for which sessions: by default those of the last 30 days."""

    tariff: dict[str, Any]
    from_: Annotated[Time | None, Field(alias="from")] = None
    to: Time | None = None
    site: Id | None = None


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

    until: Time


class PersonBody(Body):
    """An operator who logs in by a link."""

    role: RoleName
    sites: list[Id] | None = None
    """Absent: every site."""


class KeyBody(PersonBody):
    """A key of the API."""


class RuleBody(DecisionBody):
    """A rule of alerts: what is absent has the default of its kind."""

    kind: Annotated[str, Field(max_length=32)] | None = None
    scope: Annotated[str, Field(max_length=100)] | None = None
    enabled: bool | None = None
    limit: int | None = None
    hold_minutes: int | None = None
    renotify_minutes: int | None = None
    quiet: Hours | None = None
    channels: list[Id] | None = None


class DaysBody(Hours):
    """On some days of the week, 1 is Monday."""

    days: Annotated[list[int], Field(max_length=7)] = [1, 2, 3, 4, 5, 6, 7]


class ExclusionBody(DecisionBody):
    """Time that is not counted against ports."""

    scope: Annotated[str, Field(max_length=100)] = "default"
    reason: Annotated[str, Field(max_length=32)]
    evse: Annotated[int, Field(ge=1)] | None = None
    from_: Annotated[Time | None, Field(alias="from")] = None
    to: Time | None = None
    daily: DaysBody | None = None


class ChannelBody(Body):
    """Where notices go; an entry of a person, without a history."""

    kind: Literal["webhook", "mail"]
    url: Annotated[str, Field(max_length=2000)] | None = None
    secret: Annotated[str, Field(max_length=200)] | None = None
    format: Literal["json", "text"] | None = None
    to: Annotated[list[str], Field(max_length=50)] | None = None
