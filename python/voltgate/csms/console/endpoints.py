"""Every endpoint of the API: one table for routing, roles, sites, request checks and OpenAPI."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from voltgate.csms.console import models as m
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

    from_: Annotated[datetime | None, Field(alias="from")] = None
    to: datetime | None = None
    charger: m.Id | None = None

    @field_validator("from_", "to")
    @classmethod
    def _has_a_zone(cls, at: datetime | None) -> datetime | None:
        if at is not None and at.tzinfo is None:
            raise ValueError("a time needs its offset, for example Z")
        return at


class SessionQuery(Span, Page):
    """Which sessions."""

    state: m.SessionState | None = None


class CdrQuery(Span, Page):
    """Which CDRs."""

    session: m.Id | None = None


class AuditQuery(Page):
    """Which decisions."""

    kind: Annotated[str, Field(max_length=32)] | None = None
    id: m.Id | None = None


class SearchQuery(Page):
    """Which chargers."""

    site: m.Id | None = None


class LiveQuery(Query):
    """Where to go on, for who cannot send a header: the ``ETag`` of chargers, or the id of an event."""

    last_event_id: Annotated[str, Field(max_length=64)] = ""


EXPORTS: dict[str, type[Query]] = {"sessions": Span, "cdrs": Span}

Method = Literal["GET", "PUT", "POST", "DELETE"]


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
        return 204 if self.method == "DELETE" else 200

    @property
    def headers(self) -> tuple[str, ...]:
        """Request headers that mean something."""
        if self.name == "do":
            return ("Idempotency-Key",)
        return ("If-Match",) if self.answer in (m.Decided, m.Stored, m.StoredToken) else ()


VIEWER, OPERATOR, MANAGER, ADMIN = Role
OPEN, LIST, CHARGER, SITE, SESSION, CDR, SCOPE, WHOLE = Reach
E_ = Endpoint

# fmt: off
ENDPOINTS: tuple[Endpoint, ...] = (
    E_("GET", "/health", "health", None, OPEN, "Whether the ledger keeps up.", m.Health),
    E_("GET", "/openapi.json", "description", None, OPEN, "This description.", None),
    E_("GET", "/me", "me", VIEWER, OPEN, "Who asks.", m.Me),
    E_("GET", "/chargers", "chargers", VIEWER, LIST, "Chargers.", m.Chargers, query=SearchQuery),
    E_("GET", "/chargers/{id}", "charger", VIEWER, CHARGER, "One charger.", m.Charger),
    E_("PUT", "/chargers/{id}", "put_charger", MANAGER, CHARGER,
       "Decide on a charger's name, site and connectors.", m.Decided, m.ChargerBody),
    E_("POST", "/chargers/{id}/do", "do", OPERATOR, CHARGER, "Send a command.", m.Outcome, m.DoBody),
    E_("GET", "/sessions", "sessions", VIEWER, LIST, "Sessions.", m.Sessions, query=SessionQuery),
    E_("GET", "/sessions/{id}", "session", VIEWER, SESSION, "One session.", m.Session),
    E_("GET", "/sessions/{id}/explain", "explain", VIEWER, SESSION,
       "The lines of its bill and the facts behind them.", m.Explanation),
    E_("POST", "/sessions/{id}/correct", "correct", MANAGER, SESSION, "Set its energy.", m.Decided,
       m.CorrectBody),
    E_("POST", "/sessions/{id}/waive", "waive", MANAGER, SESSION, "Waive its cost.", m.Decided, m.WaiveBody),
    E_("GET", "/cdrs", "cdrs", VIEWER, LIST, "Charge detail records.", m.Cdrs, query=CdrQuery),
    E_("GET", "/payments", "payments", VIEWER, WHOLE, "Payment states.", m.Documents, query=Page),
    E_("PUT", "/payments/{id}", "put_payment", MANAGER, CDR, "Decide on the payment of a CDR.", m.Decided,
       m.PaymentBody),
    E_("GET", "/tariffs", "tariffs", VIEWER, OPEN, "Tariffs.", m.Documents, query=Page),
    E_("PUT", "/tariffs/{id}", "put_tariff", MANAGER, WHOLE, "Decide on a tariff.", m.Decided, m.TariffBody),
    E_("GET", "/assignments", "assignments", VIEWER, WHOLE, "Which scope has which tariff.", m.Documents,
       query=Page),
    E_("PUT", "/assignments/{id}", "put_assignment", MANAGER, SCOPE, "Assign a tariff.", m.Decided,
       m.AssignmentBody),
    E_("GET", "/sites", "sites", VIEWER, LIST, "Sites.", m.Documents, query=Page),
    E_("PUT", "/sites/{id}", "put_site", MANAGER, SITE, "Decide on a site.", m.Decided, m.SiteBody),
    E_("GET", "/tokens", "tokens", VIEWER, WHOLE, "Tokens.", m.Tokens),
    E_("PUT", "/tokens/{id}", "put_token", MANAGER, WHOLE, "Decide whether a token may charge.",
       m.StoredToken, m.TokenBody),
    E_("DELETE", "/tokens/{id}", "delete_token", MANAGER, WHOLE, "Erase a token."),
    E_("GET", "/audit", "audit", MANAGER, WHOLE, "Decisions, with who and why.", m.Decisions,
       query=AuditQuery),
    E_("GET", "/people", "people", ADMIN, WHOLE, "Operators.", m.Persons),
    E_("PUT", "/people/{id}", "put_person", ADMIN, WHOLE, "Add or change an operator.", m.Stored,
       m.PersonBody),
    E_("DELETE", "/people/{id}", "delete_person", ADMIN, WHOLE, "Remove an operator."),
    E_("POST", "/people/{id}/link", "link_person", ADMIN, WHOLE, "Make a login link that works once.",
       m.Link),
    E_("GET", "/keys", "api_keys", ADMIN, WHOLE, "Keys of the API.", m.Persons),
    E_("POST", "/keys/{id}", "post_key", ADMIN, WHOLE, "Make a key; it is shown once.", m.NewKey,
       m.KeyBody),
    E_("DELETE", "/keys/{id}", "delete_key", ADMIN, WHOLE, "Remove a key."),
    E_("GET", "/live", "live", VIEWER, LIST, "Events: snapshot, then change.", None, None, LiveQuery,
       "text/event-stream"),
    *(
        E_("GET", f"/export/{what}.{form}", "export", VIEWER, LIST, f"All {what}, streamed.", None,
           None, query, {"csv": "text/csv", "jsonl": "application/jsonl"}[form])
        for what, query in EXPORTS.items() for form in ("csv", "jsonl")
    ),
)
# fmt: on
