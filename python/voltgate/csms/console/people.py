"""People and keys: the entries of ``OPS_PEOPLE``, followed into memory, so that a request asks nobody.

An entry is the last message of ``ops.person.<kind>.<token of its id>``; one with an empty body is removed.
The stream keeps nothing else of a person.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
import structlog

from voltgate.csms.console import keys
from voltgate.csms.console.roles import ROLES, By, Principal, Role
from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import identity, token
from voltgate.csms.ledger.pseudonyms import Pseudonyms

log = structlog.get_logger()


class Kind(StrEnum):
    """Entries that the console reads; the backend reads tokens too, and alerts read channels."""

    KEY = "apikey"
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


Parse = Callable[[str, dict[str, Any]], Any]
Rows = dict[str, tuple[int, Any]]
"""Id -> revision and entry."""


class People:
    """What is known of people: nothing until the stream has been read once."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self.known = False
        self._pseudonyms = pseudonyms
        self._rows: dict[Kind, Rows] = {kind: {} for kind in Kind}
        self._tokens: dict[str, str] = {}  # pseudonym -> id
        self._key_names: dict[str, str] = {}  # id in the text of a key -> name

    def follow(self, fresh: "People") -> None:
        """Know what ``fresh`` does, which has read the whole stream."""
        self._rows, self._tokens, self._key_names = fresh._rows, fresh._tokens, fresh._key_names  # noqa: SLF001
        self.known = True

    def fresh(self) -> "People":
        """To read the whole stream again, while this one goes on."""
        return People(self._pseudonyms)

    def take(self, subject_: str, revision: int, data: bytes) -> None:
        """One message. An entry that cannot be read counts as removed."""
        *_, kind_, escaped = subject_.split(".")
        if kind_ not in set(Kind):
            return
        kind, id_ = Kind(kind_), identity(escaped)
        rows = self._rows[kind]
        rows.pop(id_, None)
        if data:
            try:
                rows[id_] = revision, _PARSE[kind](id_, orjson.loads(data))
            except (KeyError, ValueError, TypeError, AttributeError):
                log.warning("person.unreadable", kind=kind, revision=revision)
        match kind:
            case Kind.KEY:
                self._key_names = {key.id: name for name, (_, key) in rows.items()}
            case Kind.TOKEN if id_ in rows:
                self._tokens[self._pseudonyms.of(id_)] = id_
            case Kind.TOKEN:
                self._tokens.pop(self._pseudonyms.of(id_), None)

    # -- reading

    def rows(self, kind: Kind) -> Rows:
        """Every entry of a kind."""
        return self._rows[kind]

    def by_key(self, text: str) -> Principal | None:
        """Whose key it is; None: nobody's."""
        name = self._key_names.get(keys.key_id(text))
        if name is None:
            return None
        key: Key = self._rows[Kind.KEY][name][1]
        return Principal(key.name, key.role, key.sites, By.KEY) if keys.fits(text, key.hash) else None

    def by_session(self, secret: str, now: datetime) -> Principal | None:
        """Whose session it is; None: nobody's, or it is over."""
        row = self._rows[Kind.SESSION].get(keys.id_of(secret))
        if row is None or row[1].until <= now:
            return None
        operator = self.operator(row[1].operator)
        return Principal(operator.name, operator.role, operator.sites, By.SESSION) if operator else None

    def by_link(self, secret: str, now: datetime) -> tuple[int, Operator] | None:
        """The revision of a link that has not been used, and its operator; None: there is none."""
        row = self._rows[Kind.LINK].get(keys.id_of(secret))
        if row is None or row[1].until <= now:
            return None
        operator = self.operator(row[1].operator)
        return (row[0], operator) if operator else None

    def operator(self, name: str) -> Operator | None:
        """By name; None: there is none."""
        row = self._rows[Kind.OPERATOR].get(name)
        return row[1] if row else None

    def pseudonym(self, token_: str) -> str:
        """What stands for a token wherever the ledger writes."""
        return self._pseudonyms.of(token_)

    def token(self, pseudonym: str) -> Token | None:
        """The token behind a pseudonym; None: nobody decided on it, or it was erased."""
        row = self._rows[Kind.TOKEN].get(self._tokens.get(pseudonym, ""))
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


_PARSE: dict[Kind, Parse] = {
    Kind.KEY: _key,
    Kind.OPERATOR: _operator,
    Kind.LINK: _until,
    Kind.SESSION: _until,
    Kind.TOKEN: _token,
    Kind.CHANNEL: lambda _, body: body,
}
