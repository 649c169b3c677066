"""One attempt to deliver a notice, and when the next one is due.

A notice is given up ``LAST`` after it was made. The time between attempts doubles, from ``FIRST`` to
``MOST``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

import aiohttp

from voltgate.csms.alerts import mail, webhook
from voltgate.csms.alerts.channels import Channel, Mail, Webhook
from voltgate.csms.alerts.mail import Server
from voltgate.csms.alerts.notices import Notice

FIRST = timedelta(seconds=10)
MOST = timedelta(minutes=15)
LAST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The channel took it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The channel did not take it; the text does not quote what it answered."""

    error: str


@dataclass(frozen=True, slots=True)
class Again:
    """After a failure: when to try next."""

    after: timedelta
    error: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """After a failure: it is too old."""

    error: str


class Delivery:
    """``server``: for mail; None where none is configured."""

    def __init__(self, http: aiohttp.ClientSession, server: Server | None) -> None:
        self._http, self._server = http, server

    async def attempt(
        self, notice: Notice, channel: Channel, number: int, now: datetime
    ) -> Delivered | Again | GivenUp:
        """The attempt of this number, from 1 on."""
        if now - notice.at >= LAST:
            return GivenUp("it is too old")
        outcome = await self._send(notice, channel, now)
        match outcome:
            case Delivered():
                return outcome
            case Failed(error):
                wait = min(FIRST * 2 ** min(number - 1, 16), MOST)
                return Again(wait, error) if now + wait - notice.at < LAST else GivenUp(error)
            case _:
                assert_never(outcome)

    async def _send(self, notice: Notice, channel: Channel, now: datetime) -> Delivered | Failed:
        match channel:
            case Webhook():
                error = await webhook.post(self._http, channel, notice, now)
            case Mail():
                if self._server is None:
                    return Failed("csms.smtp is not configured")
                error = await mail.send(self._server, channel, notice)
            case _:
                assert_never(channel)
        return Delivered() if error is None else Failed(error)
