"""Every endpoint of the API: one table for routing, roles, sites, request checks and OpenAPI."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from voltgate.csms.console import answers as a
from voltgate.csms.console import bodies as b
from voltgate.csms.console import operations as o
from voltgate.csms.console.roles import Reach, Role

ROOT = "/api/v1"


class Query(BaseModel):
    """Parameters of an address: nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Page(Query):
    """Of a list: newest first where rows have a time."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: Annotated[str, Field(max_length=400)] | None = None
    """The ``next`` of the page before."""


class Span(Query):
    """Of what has a time; ``from`` is included, ``to`` is not."""

    from_: Annotated[b.Time | None, Field(alias="from")] = None
    to: b.Time | None = None
    charger: b.Id | None = None


class SessionQuery(Span, Page):
    """Which sessions."""

    state: a.SessionState | None = None


class CdrQuery(Span, Page):
    """Which CDRs."""

    session: b.Id | None = None


class AuditQuery(Page):
    """Which decisions."""

    kind: Annotated[str, Field(max_length=32)] | None = None
    id: b.Id | None = None


class SearchQuery(Page):
    """Which chargers."""

    site: b.Id | None = None


class LiveQuery(Query):
    """Where to go on, for who cannot send a header: the ``ETag`` of chargers, or the id of an event."""

    last_event_id: Annotated[str, Field(max_length=64)] = ""
    form: Literal["documents", "columns"] = "documents"


class DaySpan(Query):
    """Local days; ``to`` is not included."""

    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None
    charger: b.Id | None = None
    site: b.Id | None = None


class DayQuery(DaySpan, Page):
    """Which days."""


class UptimeQuery(Query):
    """Which month: the one that goes on, where none is named."""

    month: Annotated[str, Field(pattern=r"^2\d{3}-(0[1-9]|1[0-2])$")] | None = None
    charger: b.Id | None = None


class MonthQuery(Query):
    """Which month: the one that goes on, where none is named."""

    month: Annotated[str, Field(pattern=r"^2\d{3}-(0[1-9]|1[0-2])$")] | None = None


class OcpiQuery(Query):
    """Whose object it is: country and party of the operator."""

    party: Annotated[str, Field(pattern=r"^[A-Z]{2}\*[A-Z0-9]{3}$")]


class SiteSpan(Span):
    """A span of time, the last 30 days where none is given, of one site or of all."""

    site: b.Id | None = None


class EvseQuery(Query):
    """Which EVSE; without one the whole charger."""

    evse: b.Number | None = None


class FileQuery(Query):
    """Which file."""

    name: o.FileName


class HoursQuery(Query):
    """Of which last hours."""

    hours: Annotated[int, Field(ge=1, le=168)] = 24


class TimelineQuery(Query):
    """Which messages: the last ones before a time."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: b.Time | None = None
    """The ``next`` of the page before."""


EXPORTS: dict[str, type[Query]] = {"sessions": Span, "cdrs": Span, "days": DaySpan, "outages": Span}

Method = Literal["GET", "PUT", "POST", "DELETE"]
# Handlers that send commands.
COMMANDING = frozenset(
    {
        "do", "read_configuration", "put_configuration", "put_limit", "delete_limit", "get_schedule",
        "put_site_limit", "delete_site_limit", "update_firmware", "fetch_log", "post_bulk",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one address. ``role``: the least; None: for everybody, without a key."""

    method: Method
    path: str
    name: str
    """Of its handler."""
    role: Role | None
    reach: Reach
    summary: str
    answer: type[BaseModel] | None = None
    """None: not JSON, or nothing."""
    body: type[BaseModel] | None = None
    query: type[Query] | None = None
    media: str = "application/json"

    @property
    def route(self) -> str:
        """The whole path."""
        return ROOT + self.path

    @property
    def operation(self) -> str:
        """The operationId."""
        what, _, form = self.path.rpartition("/")[2].partition(".")
        return f"{self.name}_{what}_{form}" if self.name == "export" else self.name

    @property
    def status(self) -> int:
        """Of an answer."""
        if self.name == "post_key":
            return 201
        return 204 if self.method == "DELETE" and self.answer is None else 200

    @property
    def headers(self) -> tuple[str, ...]:
        """Request headers that mean something."""
        if self.name in COMMANDING:
            return ("Idempotency-Key",)
        return ("If-Match",) if self.answer in (a.Decided, a.Stored, a.StoredToken) else ()


VIEWER, OPERATOR, MANAGER, ADMIN = Role
OPEN, LIST, CHARGER, NEWCOMER, SITE, SESSION, CDR, ALERT, BODY, SCOPE, WHOLE = Reach
E_ = Endpoint

# fmt: off
ENDPOINTS: tuple[Endpoint, ...] = (
    E_("GET", "/health", "health", None, OPEN, "Whether the ledger keeps up.", a.Health),
    E_("GET", "/openapi.json", "description", None, OPEN, "This description.", None),
    E_("GET", "/me", "me", VIEWER, OPEN, "Who asks.", a.Me),
    E_("GET", "/chargers", "chargers", VIEWER, LIST, "Chargers.", a.Page[a.Charger], query=SearchQuery),
    E_("GET", "/chargers/{id}", "charger", VIEWER, CHARGER, "One charger.", a.Charger),
    E_("PUT", "/chargers/{id}", "put_charger", MANAGER, NEWCOMER,
       "Decide on a charger's name, site and connectors.", a.Decided, b.ChargerBody),
    E_("POST", "/chargers/{id}/do", "do", OPERATOR, CHARGER, "Send a command.", a.Outcome, b.DoBody),
    E_("GET", "/chargers/{id}/timeline", "get_timeline", VIEWER, CHARGER,
       "Its last messages, refusals and commands.", o.Timeline, query=TimelineQuery),
    E_("GET", "/chargers/{id}/configuration", "get_configuration", VIEWER, CHARGER,
       "What it reported last of its configuration.", o.Configuration),
    E_("POST", "/chargers/{id}/configuration/read", "read_configuration", OPERATOR, CHARGER,
       "Ask for its configuration.", o.ReadConfiguration),
    E_("PUT", "/chargers/{id}/configuration", "put_configuration", MANAGER, CHARGER,
       "Change variables.", o.Changes, o.ConfigurationBody),
    E_("PUT", "/chargers/{id}/limit", "put_limit", OPERATOR, CHARGER,
       "Limit its power, or that of an EVSE.", a.Outcome, o.LimitBody),
    E_("DELETE", "/chargers/{id}/limit", "delete_limit", OPERATOR, CHARGER,
       "Take the limit back.", a.Outcome, query=EvseQuery),
    E_("POST", "/chargers/{id}/schedule", "get_schedule", OPERATOR, CHARGER,
       "Ask for its composite schedule.", o.Schedule, o.ScheduleBody),
    E_("POST", "/chargers/{id}/firmware", "update_firmware", MANAGER, CHARGER,
       "Update its firmware.", a.Outcome, o.FirmwareBody),
    E_("POST", "/chargers/{id}/log", "fetch_log", OPERATOR, CHARGER,
       "Make it upload a log.", a.Outcome, o.LogBody),
    E_("GET", "/chargers/{id}/transfers", "get_transfers", VIEWER, CHARGER,
       "Its firmware updates and logs, with their progress.", a.Page[o.Transfer]),
    E_("GET", "/chargers/{id}/file", "get_file", OPERATOR, CHARGER,
       "A log that it has uploaded.", None, None, FileQuery, "application/octet-stream"),
    E_("GET", "/firmware", "get_images", VIEWER, OPEN, "Firmware files that are kept here.", a.Page[o.Image]),
    E_("PUT", "/firmware/{id}", "put_image", MANAGER, WHOLE, "Keep the body as a firmware file.", o.Image),
    E_("DELETE", "/firmware/{id}", "delete_image", MANAGER, WHOLE, "Remove a firmware file."),
    E_("POST", "/bulk", "post_bulk", OPERATOR, BODY, "One operation for many chargers.", o.Job, o.BulkBody),
    E_("GET", "/bulk", "get_bulks", VIEWER, LIST, "Bulk operations of this console, without their chargers.",
       a.Page[o.Job]),
    E_("GET", "/bulk/{id}", "get_bulk", VIEWER, LIST, "How far a bulk operation is.", o.Job),
    E_("GET", "/sessions", "sessions", VIEWER, LIST, "Sessions.", a.Page[a.Session], query=SessionQuery),
    E_("GET", "/sessions/{id}", "session", VIEWER, SESSION, "One session.", a.Session),
    E_("GET", "/sessions/{id}/explain", "explain", VIEWER, SESSION,
       "The lines of its bill and the facts behind them.", a.Explanation),
    E_("GET", "/sessions/{id}/curve", "curve", VIEWER, SESSION, "What its meter showed, oldest first.",
       a.Page[a.Sample]),
    E_("POST", "/sessions/{id}/correct", "correct", MANAGER, SESSION, "Set its energy.", a.Decided,
       b.CorrectBody),
    E_("POST", "/sessions/{id}/waive", "waive", MANAGER, SESSION, "Waive its cost.", a.Decided, b.WaiveBody),
    E_("GET", "/cdrs", "cdrs", VIEWER, LIST, "Charge detail records.", a.Page[a.Cdr], query=CdrQuery),
    E_("GET", "/cdrs/{id}/ocpi", "cdr_ocpi", VIEWER, CDR, "A CDR as OCPI 2.2.1 has it.", a.Ocpi,
       query=OcpiQuery),
    E_("GET", "/payments", "payments", VIEWER, WHOLE, "Payment states.", a.Documents, query=Page),
    E_("PUT", "/payments/{id}", "put_payment", MANAGER, CDR, "Decide on the payment of a CDR.", a.Decided,
       b.PaymentBody),
    E_("GET", "/tariffs", "tariffs", VIEWER, OPEN, "Tariffs.", a.Documents, query=Page),
    E_("PUT", "/tariffs/{id}", "put_tariff", MANAGER, WHOLE, "Decide on a tariff.", a.Decided, b.TariffBody),
    E_("POST", "/tariffs/preview", "preview", MANAGER, WHOLE, "What sessions would have cost by a tariff.",
       a.Preview, b.PreviewBody),
    E_("GET", "/tariffs/{id}/ocpi", "tariff_ocpi", VIEWER, OPEN, "A tariff as OCPI 2.2.1 has it.", a.Ocpi,
       query=OcpiQuery),
    E_("GET", "/assignments", "assignments", VIEWER, WHOLE, "Which scope has which tariff.", a.Documents,
       query=Page),
    E_("PUT", "/assignments/{id}", "put_assignment", MANAGER, SCOPE, "Assign a tariff.", a.Decided,
       b.AssignmentBody),
    E_("DELETE", "/assignments/{id}", "delete_assignment", MANAGER, SCOPE, "Take an assignment back.",
       a.Decided),
    E_("GET", "/sites", "sites", VIEWER, LIST, "Sites.", a.Documents, query=Page),
    E_("PUT", "/sites/{id}", "put_site", MANAGER, SITE, "Decide on a site.", a.Decided, b.SiteBody),
    E_("PUT", "/sites/{id}/limit", "put_site_limit", OPERATOR, SITE, "Share a power limit over its chargers.",
       o.Job, o.SiteLimitBody),
    E_("DELETE", "/sites/{id}/limit", "delete_site_limit", OPERATOR, SITE,
       "Take the limits of its chargers back.", o.Job),
    E_("GET", "/sites/{id}/statement", "statement", VIEWER, SITE, "What was invoiced in a month, with sums.",
       None, None, MonthQuery, "text/csv"),
    E_("GET", "/tokens", "tokens", VIEWER, WHOLE, "Tokens.", a.Page[a.TokenShown]),
    E_("GET", "/tokens/unknown", "unknown_tokens", MANAGER, WHOLE,
       "Tokens that were presented in the last week and that nobody has decided on.", a.Page[a.UnknownToken]),
    E_("PUT", "/tokens/{id}", "put_token", MANAGER, WHOLE, "Decide whether a token may charge.",
       a.StoredToken, b.TokenBody),
    E_("DELETE", "/tokens/{id}", "delete_token", MANAGER, WHOLE, "Erase a token."),
    E_("GET", "/audit", "audit", MANAGER, WHOLE, "Decisions, with who and why.", a.Page[a.Decision],
       query=AuditQuery),
    E_("GET", "/people", "people", ADMIN, WHOLE, "Operators.", a.Page[a.Person]),
    E_("PUT", "/people/{id}", "put_person", ADMIN, WHOLE, "Add or change an operator.", a.Stored,
       b.PersonBody),
    E_("DELETE", "/people/{id}", "delete_person", ADMIN, WHOLE, "Remove an operator."),
    E_("POST", "/people/{id}/link", "link_person", ADMIN, WHOLE, "Make a login link that works once.",
       a.Link),
    E_("GET", "/keys", "api_keys", ADMIN, WHOLE, "Keys of the API.", a.Page[a.Person]),
    E_("POST", "/keys/{id}", "post_key", ADMIN, WHOLE, "Make a key; it is shown once.", a.NewKey,
       b.KeyBody),
    E_("DELETE", "/keys/{id}", "delete_key", ADMIN, WHOLE, "Remove a key."),
    E_("GET", "/alerts", "alerts", VIEWER, LIST, "What needs attention.", a.Page[a.Alert], query=Page),
    E_("POST", "/alerts/{id}/mute", "mute", OPERATOR, ALERT, "Mute an alert, or a rule, until a time.",
       a.Decided, b.MuteBody),
    E_("GET", "/rules", "get_rules", VIEWER, OPEN, "Rules of alerts.", a.Documents),
    E_("PUT", "/rules/{id}", "put_rule", MANAGER, BODY, "Change or add a rule.", a.Decided,
       b.RuleBody),
    E_("DELETE", "/rules/{id}", "delete_rule", MANAGER, BODY, "Remove a rule, or restore its default.",
       a.Decided),
    E_("GET", "/channels", "get_channels", VIEWER, WHOLE, "Where notices go.", a.Page[a.Channel]),
    E_("PUT", "/channels/{id}", "put_channel", MANAGER, WHOLE, "Add or change a channel.", a.Stored,
       b.ChannelBody),
    E_("DELETE", "/channels/{id}", "delete_channel", MANAGER, WHOLE, "Remove a channel."),
    E_("POST", "/channels/{id}/test", "try_channel", MANAGER, WHOLE, "Send a message to a channel, now.",
       a.Tried),
    E_("GET", "/exclusions", "exclusions", VIEWER, LIST, "Time that is not counted.", a.Documents),
    E_("PUT", "/exclusions/{id}", "put_exclusion", OPERATOR, BODY, "Exclude time, with a reason.",
       a.Decided, b.ExclusionBody),
    E_("DELETE", "/exclusions/{id}", "delete_exclusion", OPERATOR, BODY, "Take an exclusion back.",
       a.Decided),
    E_("GET", "/days", "days", VIEWER, LIST, "Energy, revenue and uptime by port and day.", a.Page[a.Day],
       query=DayQuery),
    E_("GET", "/uptime", "uptime", VIEWER, LIST, "Uptime by 23 CFR 680.116(b), port by port.",
       a.Page[a.Uptime], query=UptimeQuery),
    E_("GET", "/attempts", "attempts", VIEWER, LIST, "How far drivers came, by model.", a.Page[a.Attempts],
       query=SiteSpan),
    E_("GET", "/week", "week", VIEWER, LIST, "Load by hour of the week.", a.Page[a.Hour], query=SiteSpan),
    E_("GET", "/violations", "get_violations", VIEWER, LIST, "What violates the schemas, by model.",
       o.Violations, query=HoursQuery),
    E_("GET", "/talkers", "get_talkers", VIEWER, LIST, "The chargers that send most.", o.Talkers),
    E_("GET", "/live", "live", VIEWER, LIST, "Events: snapshot, then change.", None, None, LiveQuery,
       "text/event-stream"),
    *(
        E_("GET", f"/export/{what}.{form}", "export", VIEWER, LIST, f"All {what}, streamed.", None,
           None, query, {"csv": "text/csv", "jsonl": "application/jsonl"}[form])
        for what, query in EXPORTS.items() for form in ("csv", "jsonl")
    ),
)
# fmt: on
