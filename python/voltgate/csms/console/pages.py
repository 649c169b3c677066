"""Pages of long lists: rows in the order of (time, id), and the cursor from one page to the next."""

import base64
import binascii
from dataclasses import dataclass, field

import orjson

from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.console.roles import Principal


@dataclass(slots=True)
class Where:
    """Conditions of a query and their arguments, in the same order."""

    terms: list[str] = field(default_factory=list)
    args: list[object] = field(default_factory=list)

    def add(self, term: str, *args: object) -> None:
        """One condition more."""
        self.terms.append(term)
        self.args += args

    def equal(self, column: str, value: object) -> None:
        """``column`` has the value, where one is given."""
        if value is not None:
            self.add(f"{column} = ?", value)

    def sites(self, column: str, principal: Principal) -> None:
        """Rows that the principal sees; ``column``: the site of the row."""
        if principal.sites is not None:
            places = ", ".join("?" * len(principal.sites))
            self.add(f"{column} IN ({places})", *sorted(principal.sites))

    def behind(self, time: str, id_: str, cursor: "Cursor") -> None:
        """Rows behind the cursor, newest first. Written so that an index on the time is used."""
        self.add(f"{time} <= ? AND ({time} < ? OR {id_} < ?)", cursor.time, cursor.time, cursor.id)

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self.terms)}" if self.terms else ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page."""

    time: str
    id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([self.time, self.id])).decode().rstrip("=")


def cursor(text: str) -> Cursor:
    """The cursor in ``after``. Raises Problem."""
    try:
        time, id_ = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(time, str) and isinstance(id_, str):
            return Cursor(time, id_)
    except (binascii.Error, ValueError, TypeError):
        pass
    raise Problem(Kind.INVALID, faults=[Fault("after", "is not the next of a page")])
