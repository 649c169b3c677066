"""Webhooks against a real HTTP server."""

import hashlib
import hmac

import aiohttp
import pytest

from csms.alerts.receiver import receiver
from csms.story import moment
from voltgate.csms.alerts import webhook
from voltgate.csms.alerts.channels import Webhook
from voltgate.csms.alerts.notices import Entry, Notice

ENTRY = Entry("Straße 1", "Straße 1", 0, "2026-03-02T12:00:00.000Z", 1)
NOTICE = Notice("the-id", "offline", "offline", "Offline", moment(0), raised=(ENTRY,))


async def test_a_webhook_is_signed_over_its_time_and_its_body() -> None:
    async with receiver() as server, aiohttp.ClientSession() as http:
        assert await webhook.post(http, Webhook(server.url, "secret"), NOTICE, moment(1)) is None
    ((headers, body),) = server.taken
    assert body == NOTICE.json()
    assert headers["Voltgate-Timestamp"] == str(int(moment(1).timestamp()))
    digest = hmac.new(b"secret", headers["Voltgate-Timestamp"].encode() + body, hashlib.sha256).hexdigest()
    assert headers["Voltgate-Signature"] == f"sha256={digest}"
    assert (headers["Voltgate-Id"], headers["Content-Type"]) == ("the-id", "application/json")


async def test_as_text_and_without_a_secret() -> None:
    async with receiver() as server, aiohttp.ClientSession() as http:
        assert await webhook.post(http, Webhook(server.url, "", "text"), NOTICE, moment(1)) is None
    ((headers, body),) = server.taken
    assert body.decode() == NOTICE.text
    assert "Voltgate-Signature" not in headers


@pytest.mark.parametrize("status", [302, 404, 410, 500, 503])
async def test_whatever_is_not_2xx_is_not_delivered(status: int) -> None:
    async with receiver() as server, aiohttp.ClientSession() as http:
        server.status = status
        error = await webhook.post(http, Webhook(server.url, "s"), NOTICE, moment(1))
    assert error == f"HTTP status {status}"
    assert server.refused == 1  # and a redirect is not followed


async def test_a_server_that_is_away() -> None:
    async with receiver() as server:
        url = server.url
    async with aiohttp.ClientSession() as http:
        assert await webhook.post(http, Webhook(url, "s"), NOTICE, moment(1)) == "ClientConnectorError"
