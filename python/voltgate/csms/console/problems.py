"""Errors of the API: one closed list, answered as problem documents (RFC 9457)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

URN = "urn:voltgate:problem:"
CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    status: int
    title: str


class Kind(Enum):
    """What went wrong; docs/csms/console.md has the same list."""

    MALFORMED = _Kind("malformed", 400, "The request cannot be read")
    UNAUTHORIZED = _Kind("unauthorized", 401, "No valid key or session")
    FORBIDDEN = _Kind("forbidden", 403, "Not allowed with this role or these sites")
    CROSS_SITE = _Kind("cross-site", 403, "The request does not come from the pages of this server")
    NOT_FOUND = _Kind("not-found", 404, "There is no such thing, or not at your sites")
    NOT_ALLOWED = _Kind("method-not-allowed", 405, "The address has no such method")
    CONFLICT = _Kind("conflict", 409, "Not possible in the present state")
    CHANGED = _Kind("changed", 412, "Somebody else has changed it since")
    TOO_LARGE = _Kind("too-large", 413, "The body is too large")
    INVALID = _Kind("invalid", 422, "A value is not valid")
    TOO_MANY = _Kind("too-many", 429, "Too many attempts")
    INTERNAL = _Kind("internal", 500, "A fault of the server")
    UNAVAILABLE = _Kind("unavailable", 503, "NATS or the database cannot be reached")


@dataclass(frozen=True, slots=True)
class Fault:
    """One value that is not valid."""

    pointer: str
    """JSON pointer into the body, or the name of a parameter."""
    reason: str


class Problem(Exception):
    """Ends a request. ``detail`` is for the caller and quotes nothing that is secret."""

    def __init__(
        self, kind: Kind, detail: str = "", *, faults: Sequence[Fault] = (), retry_after: int | None = None
    ) -> None:
        super().__init__(detail or kind.value.title)
        self.kind, self.detail, self.faults, self.retry_after = kind, detail, tuple(faults), retry_after

    def response(self) -> web.Response:
        """The problem document."""
        body: dict[str, Any] = {
            "type": URN + self.kind.value.name,
            "title": self.kind.value.title,
            "status": self.kind.value.status,
        }
        if self.detail:
            body["detail"] = self.detail
        if self.faults:
            body["errors"] = [{"pointer": fault.pointer, "reason": fault.reason} for fault in self.faults]
        headers = {}
        if self.kind is Kind.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="voltgate"'
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return web.Response(
            body=orjson.dumps(body), status=self.kind.value.status, content_type=CONTENT_TYPE, headers=headers
        )


def invalid(error: ValidationError, prefix: str = "/") -> Problem:
    """The faults that pydantic found, without the values. ``prefix``: "" for parameters."""
    faults = [
        Fault(prefix + "/".join(_escaped(part) for part in fault["loc"]), fault["msg"])
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return Problem(Kind.INVALID, faults=faults)


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")  # RFC 6901


def of_http(error: web.HTTPException) -> Problem:
    """What aiohttp itself refuses."""
    kinds = {kind.value.status: kind for kind in (Kind.NOT_FOUND, Kind.NOT_ALLOWED, Kind.TOO_LARGE)}
    return Problem(kinds.get(error.status, Kind.MALFORMED))
