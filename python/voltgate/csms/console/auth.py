"""Who asks: :func:`who` of a request, by a key of the API or by the cookie of a session.

A session begins with a link that works once (``login``). What a cookie may do it may do only for requests
that the console's own pages make: the header ``X-Voltgate`` is one that no other site can add, and browsers
say themselves where a request comes from.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from aiohttp import web

from voltgate.csms.console.attempts import Attempts
from voltgate.csms.console.people import Operator, People
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.console.roles import By, Principal

T = TypeVar("T")

SESSION_LASTS = timedelta(days=30)
LINK_LASTS = timedelta(minutes=15)
HEADER = "X-Voltgate"
SAFE = frozenset({"GET", "HEAD"})


class Door:
    """``secure``: the console is reached by HTTPS, by itself or through a proxy (``csms.public_url``).

    ``caught_up``: wait until ``people`` has what was made a moment ago, by a terminal or another console.
    """

    def __init__(
        self,
        people: People,
        attempts: Attempts,
        now: Callable[[], datetime],
        caught_up: Callable[[], Awaitable[None]],
        *,
        secure: bool,
    ) -> None:
        self.people, self._attempts, self._now, self._secure = people, attempts, now, secure
        self._caught_up = caught_up
        # A __Host- cookie cannot be set by another host of the domain; browsers take one by HTTPS only.
        self.cookie = "__Host-voltgate" if secure else "voltgate"

    async def who(self, request: web.Request) -> Principal:
        """The principal. Raises Problem where there is none, or another site made the request."""
        if not self.people.known:
            raise Problem(Kind.UNAVAILABLE, "people and keys have not been read from NATS yet")
        principal = await self.known(request)
        if principal is None:
            if self._shows(request):
                self.failed(request)
            raise Problem(Kind.UNAUTHORIZED)
        if principal.by is By.SESSION and request.method not in SAFE:
            self.from_own_pages(request, header=True)
        return principal

    async def known(self, request: web.Request) -> Principal | None:
        """The principal; None: there is none, or none any more."""
        return await self._looked_up(request, lambda: self.found(request)) if self._shows(request) else None

    def _shows(self, request: web.Request) -> bool:
        """Whether it has credentials at all."""
        return bool(request.headers.get("Authorization")) or self.cookie in request.cookies

    def found(self, request: web.Request) -> Principal | None:
        """The same, as far as this console has read."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            return self.people.by_key(key.strip()) if scheme.lower() == "bearer" else None
        return self.people.by_session(request.cookies.get(self.cookie, ""), self._now())

    async def linked(self, request: web.Request, secret: str) -> tuple[int, Operator] | None:
        """See People.by_link."""
        return await self._looked_up(request, lambda: self.people.by_link(secret, self._now()))

    async def _looked_up(self, request: web.Request, look: Callable[[], T | None]) -> T | None:
        """What ``look`` finds, also what was made a moment ago; a source that guesses gets no second look."""
        found = look()
        if found is None and not self._attempts.spent(request.remote or ""):
            await self._caught_up()
            found = look()
        return found

    def failed(self, request: web.Request) -> None:
        """Count credentials that are not valid. Raises Problem for a source with too many of them."""
        if wait := self._attempts.failed(request.remote or ""):
            raise Problem(Kind.TOO_MANY, retry_after=wait)

    @staticmethod
    def from_own_pages(request: web.Request, *, header: bool) -> None:
        """Raise Problem for a request that a page of another site has made."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if site != "same-origin" or (header and HEADER not in request.headers):
            raise Problem(Kind.CROSS_SITE)

    def admit(self, response: web.StreamResponse, secret: str) -> None:
        """Set the cookie of a session that has begun."""
        response.set_cookie(
            self.cookie,
            secret,
            max_age=int(SESSION_LASTS.total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="Strict",
        )

    def dismiss(self, response: web.StreamResponse) -> None:
        """Remove the cookie."""
        response.del_cookie(self.cookie, path="/", secure=self._secure, httponly=True, samesite="Strict")
