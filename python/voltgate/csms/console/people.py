"""People and keys: the entries of ``OPS_PEOPLE``, followed into memory, so that a request asks nobody.

An entry is the last message of ``ops.person.<kind>.<token of its id>``; one with an empty body is removed. The
stream keeps nothing else of a person.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import orjson
import structlog

from voltgate.csms.console import keys
from voltgate.csms.console.roles import ROLES, By, Principal, Role
from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import identity, token

log = structlog.get_logger()
E = TypeVar("E")


class Kind(StrEnum):
    """Entries that the console reads; the backend reads tokens too, and alerts read channels."""

    KEY = "key"
    OPERATOR = "operator"
    LINK = "link"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105
    CHANNEL = "channel"


def subject(prefix: str, kind: Kind, id_: str) -> str:
    """The subject of an entry."""
    return f"{prefix}.person.{kind}.{token(id_)}"


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who logs in."""

    name: str
    role: Role
    sites: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the API; ``id`` is the part of its text that finds it."""

    name: str
    id: str
    hash: str
    role: Role
    sites: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Until:
    """A login link or a session: of an operator, until a time."""

    operator: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """An idTag or idToken that somebody decided on; ``text``: as it was written."""

    text: str
    status: str
    group: str | None


@dataclass(slots=True)
class Table:
    """Entries of one kind: id -> (revision, entry)."""

    parse: Callable[[str, dict[str, Any]], Any]
    rows: dict[str, tuple[int, Any]] = field(default_factory=dict)


class People:
    """What is known of people. :meth:`take` every message of the stream."""

    def __init__(self) -> None:
        self._tables = {
            Kind.KEY: Table(_key),
            Kind.OPERATOR: Table(_operator),
            Kind.LINK: Table(_until),
            Kind.SESSION: Table(_until),
            Kind.TOKEN: Table(_token),
            Kind.CHANNEL: Table(lambda _, body: body),
        }
        self._key_names: dict[str, str] = {}  # id in the text -> name

    def take(self, subject_: str, revision: int, data: bytes) -> None:
        """One message. An entry that cannot be read counts as removed."""
        *_, kind, escaped = subject_.split(".")
        if kind not in self._tables:
            return
        table, id_ = self._tables[Kind(kind)], identity(escaped)
        table.rows.pop(id_, None)
        if data:
            try:
                table.rows[id_] = revision, table.parse(id_, orjson.loads(data))
            except (KeyError, ValueError, TypeError, AttributeError):
                log.warning("person.unreadable", kind=kind, revision=revision)
        if kind == Kind.KEY:
            self._key_names = {key.id: name for name, (_, key) in table.rows.items()}

    # -- reading

    def rows(self, kind: Kind) -> dict[str, tuple[int, Any]]:
        """Every entry of a kind: id -> (revision, entry)."""
        return self._tables[kind].rows

    def revision(self, kind: Kind, id_: str) -> int:
        """Of an entry; 0: there is none."""
        row = self._tables[kind].rows.get(id_)
        return row[0] if row else 0

    def by_key(self, text: str) -> Principal | None:
        """Whose key it is; None: nobody's."""
        name = self._key_names.get(keys.key_id(text))
        if name is None:
            return None
        key: Key = self._tables[Kind.KEY].rows[name][1]
        return Principal(key.name, key.role, key.sites, By.KEY) if keys.fits(text, key.hash) else None

    def by_session(self, secret: str, now: datetime) -> Principal | None:
        """Whose session it is; None: nobody's, or it is over."""
        row = self._tables[Kind.SESSION].rows.get(keys.id_of(secret))
        if row is None or row[1].until <= now:
            return None
        operator = self.operator(row[1].operator)
        return Principal(operator.name, operator.role, operator.sites, By.SESSION) if operator else None

    def by_link(self, secret: str, now: datetime) -> tuple[int, Operator] | None:
        """The revision of a link that has not been used, and its operator; None: there is none."""
        row = self._tables[Kind.LINK].rows.get(keys.id_of(secret))
        if row is None or row[1].until <= now:
            return None
        operator = self.operator(row[1].operator)
        return (row[0], operator) if operator else None

    def operator(self, name: str) -> Operator | None:
        """By name; None: there is none."""
        row = self._tables[Kind.OPERATOR].rows.get(name)
        return row[1] if row else None

    def token(self, pseudonym: str) -> Token | None:
        """The token behind a pseudonym; None: nobody decided on it, or it was erased."""
        row = self._tables[Kind.TOKEN].rows.get(pseudonym)
        return row[1] if row else None


def _sites(body: dict[str, Any]) -> frozenset[str] | None:
    sites = body.get("sites")
    if sites is None:
        return None
    if not isinstance(sites, list) or not all(isinstance(site, str) for site in sites):
        raise ValueError("sites")  # never more than was meant
    return frozenset(sites)


def _key(name: str, body: dict[str, Any]) -> Key:
    return Key(name, body["id"], body["hash"], ROLES[body["role"]], _sites(body))


def _operator(name: str, body: dict[str, Any]) -> Operator:
    return Operator(name, ROLES[body["role"]], _sites(body))


def _until(_: str, body: dict[str, Any]) -> Until:
    return Until(body["operator"], times.parsed(body["until"]))


def _token(_: str, body: dict[str, Any]) -> Token:
    return Token(body["token"], body["status"], body.get("group"))
