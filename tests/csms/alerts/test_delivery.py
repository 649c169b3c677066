"""Attempts, and when the next one is due; in virtual time against a real HTTP server."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import aiohttp
import pytest

from csms.alerts.receiver import Receiver, receiver
from csms.story import moment
from voltgate.csms.alerts import webhook
from voltgate.csms.alerts.channels import Channel, Mail, Webhook
from voltgate.csms.alerts.delivery import LAST, Again, Delivered, Delivery, GivenUp
from voltgate.csms.alerts.notices import Entry, Notice

NOTICE = Notice("id", "offline", "offline", "Offline", moment(0), raised=(Entry("A", "A", 0, "", 1),))


@pytest.fixture
async def delivery() -> AsyncIterator[Delivery]:
    async with aiohttp.ClientSession() as http:
        yield Delivery(http, None)


@pytest.fixture
async def server() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


async def deliver(
    delivery: Delivery, channel: Channel, up_at: datetime | None = None, server: Receiver | None = None
) -> tuple[Delivered | GivenUp, datetime, int]:
    """Attempt after attempt; the server answers 503 until ``up_at``. (Outcome, time, attempts)."""
    now, number = moment(0), 1
    while True:
        if server is not None:
            server.status = 204 if up_at is not None and now >= up_at else 503
        outcome = await delivery.attempt(NOTICE, channel, number, now)
        if not isinstance(outcome, Again):
            return outcome, now, number
        now, number = now + outcome.after, number + 1


async def test_a_webhook_that_was_down_for_an_hour_gets_the_notice_once(
    delivery: Delivery, server: Receiver
) -> None:
    channel = Webhook(server.url, "secret")
    outcome, now, attempts = await deliver(delivery, channel, moment(60), server)
    assert outcome == Delivered()
    assert moment(60) <= now <= moment(75)
    assert server.refused == attempts - 1 == 10
    ((headers, body),) = server.taken
    timestamp = headers["Voltgate-Timestamp"]
    assert timestamp == str(int(now.timestamp()))
    assert headers["Voltgate-Signature"] == f"sha256={webhook.signature('secret', timestamp, body)}"


async def test_it_is_given_up_after_a_day(delivery: Delivery, server: Receiver) -> None:
    outcome, now, attempts = await deliver(delivery, Webhook(server.url, "s"), None, server)
    assert outcome == GivenUp("HTTP status 503")
    assert moment(0) + LAST - timedelta(minutes=15) <= now < moment(0) + LAST
    assert server.refused == attempts
    assert 96 <= attempts <= 110  # every 15 minutes, and a few at first


async def test_a_notice_that_is_too_old_is_not_sent(delivery: Delivery, server: Receiver) -> None:
    """A rebuild publishes the notices of its ticks again."""
    outcome = await delivery.attempt(NOTICE, Webhook(server.url, "s"), 1, moment(0) + LAST)
    assert (outcome, server.taken) == (GivenUp("it is too old"), [])


async def test_mail_without_a_server_says_which_key_is_missing(delivery: Delivery) -> None:
    outcome = await delivery.attempt(NOTICE, Mail(("a@b",)), 1, moment(0))
    assert outcome == Again(timedelta(seconds=10), "csms.smtp is not configured")
