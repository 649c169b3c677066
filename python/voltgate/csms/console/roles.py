"""Who may do what: roles, sites, and the principal that a request has."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Literal, get_args

RoleName = Literal["viewer", "operator", "manager", "admin"]


class Role(IntEnum):
    """Each may do what those before it may."""

    VIEWER = 1
    """Sees and exports; tokens are masked."""
    OPERATOR = 2
    """Also sends intents, mutes alerts and excludes outages."""
    MANAGER = 3
    """Also decides on sites, tariffs, tokens, corrections and payments."""
    ADMIN = 4
    """Also decides on people and keys."""

    @property
    def label(self) -> RoleName:
        """As the API has it."""
        return LABELS[self]


LABELS: dict[Role, RoleName] = dict(zip(Role, get_args(RoleName), strict=True))
ROLES = {label: role for role, label in LABELS.items()}


class By(StrEnum):
    """How a principal has shown who it is."""

    KEY = "key"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str
    role: Role
    sites: frozenset[str] | None
    """None: every site, and the chargers of none."""
    by: By

    @property
    def everywhere(self) -> bool:
        """Whether it may decide on what belongs to no site."""
        return self.sites is None

    def sees(self, site: str | None) -> bool:
        """Whether what belongs to ``site`` (None: to none) is there for it."""
        return self.sites is None or (site is not None and site in self.sites)


class Reach(StrEnum):
    """What the sites of a principal mean for an endpoint."""

    OPEN = "open"
    """Nothing: the same for every principal, or without one."""
    LIST = "list"
    """The rows of other sites are not in the answer."""
    CHARGER = "charger"
    """``{id}`` is a charger; one of another site is not there."""
    NEWCOMER = "newcomer"
    """The same, or a charger that nobody has heard of yet."""
    SITE = "site"
    """``{id}`` is a site."""
    SESSION = "session"
    """``{id}`` is a session."""
    CDR = "cdr"
    """``{id}`` is a CDR."""
    ALERT = "alert"
    """``{id}`` is an alert, ``<rule>/<subject>``."""
    BODY = "body"
    """The scope in the body, and in the decision that it replaces; the handler looks."""
    SCOPE = "scope"
    """``{id}`` is the scope of an assignment."""
    WHOLE = "whole"
    """Only for principals of every site."""
