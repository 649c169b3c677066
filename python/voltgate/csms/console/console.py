"""What the handlers of one console share, and what they get of a request."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel

from voltgate.config import Config
from voltgate.csms.console.auth import Door
from voltgate.csms.console.commands import Sender
from voltgate.csms.console.endpoints import Query
from voltgate.csms.console.files import Files
from voltgate.csms.console.history import History
from voltgate.csms.console.jobs import Jobs
from voltgate.csms.console.live import Live
from voltgate.csms.console.noise import Noise
from voltgate.csms.console.people import People
from voltgate.csms.console.position import Lag
from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.console.roles import Principal
from voltgate.csms.console.rows import Rows
from voltgate.csms.console.writer import Writer

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Console:
    """One console."""

    config: Config
    url: str
    """What people open."""
    port: int
    rows: Rows
    people: People
    door: Door
    writer: Writer
    sender: Sender
    live: Live
    lag: Lag
    history: History
    noise: Noise
    jobs: Jobs
    files: Files | None
    """None: no place for files is configured."""
    now: Callable[[], datetime]


def public_url(config: Config, port: int | None = None) -> str:
    """What people open: ``csms.public_url``, or the address that is listened on."""
    csms = config.csms
    scheme = "https" if csms.tls_certificates else "http"
    host = f"[{csms.host}]" if ":" in csms.host else csms.host
    return csms.public_url.rstrip("/") or f"{scheme}://{host}:{csms.port if port is None else port}"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that may be answered: the principal has the role, and sees what ``id`` names."""

    console: Console
    request: web.Request
    principal: Principal
    id: str
    query: Query | None
    body: BaseModel | None

    @property
    def by(self) -> str:
        """Who decides, in a decision."""
        return f"{self.principal.by}:{self.principal.name}"

    def queried(self, kind: type[M]) -> M:
        """The parameters, as the endpoint's table says."""
        if not isinstance(self.query, kind):
            raise TypeError(f"the endpoint has no {kind.__name__}")
        return self.query

    def said(self, kind: type[M]) -> M:
        """The body, likewise."""
        if not isinstance(self.body, kind):
            raise TypeError(f"the endpoint has no {kind.__name__}")
        return self.body

    @property
    def expected(self) -> int | None:
        """The revision of ``If-Match``; None: whatever it is. Raises Problem."""
        text = self.request.headers.get("If-Match", "").strip()
        if text in ("", "*"):
            return None
        number = text.removeprefix("W/").strip('"')
        if not (number.isascii() and number.isdecimal()):
            raise Problem(Kind.INVALID, faults=[Fault("If-Match", "is not the ETag of a document")])
        return int(number)


def answered(document: Any, *, etag: str = "", status: int = 200) -> web.Response:
    """JSON, never kept by a cache that others share."""
    headers = {"Cache-Control": "private, no-cache"} | ({"ETag": etag} if etag else {})
    return web.Response(
        body=orjson.dumps(document), status=status, content_type="application/json", headers=headers
    )
