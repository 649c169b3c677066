"""What a gateway shows of an outage, and messages that need NATS or do not."""

import asyncio
import time

import aiohttp

from e2e.house import PATIENCE, Gateway
from e2e.strangers import knock, request

BEAT = '[2,"h","Heartbeat",{}]'
STATUS = '[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
METER = (
    '[2,"%s","MeterValues",{"connectorId":1,"meterValue":'
    '[{"timestamp":"2026-03-01T10:00:00Z","sampledValue":[{"value":"%d%s"}]}]}]'
)


def meter(message_id: str, size: int = 0) -> str:
    """A sample like no other, from a charger with a clock: its resend is the same message."""
    return METER % (message_id, time.monotonic_ns(), "0" * size)


async def readiness(running: Gateway) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(f"{running.admin_url}/readyz?verbose") as answer:
        return answer.status, await answer.text()


async def ready(running: Gateway) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await readiness(running))[0] != 200:
            pass


async def check_outage(running: Gateway, name: str) -> None:
    """Readiness names it, the process lives, and whoever knocks is told to come back in 30 to 60 s."""
    status, text = await readiness(running)
    assert status == 503
    assert f"[-] {name}" in text
    async with aiohttp.ClientSession() as http, http.get(f"{running.admin_url}/livez") as answer:
        assert answer.status == 200
    async with knock(running.port, request("/newcomer")) as answer:
        assert answer.status == 503
        assert 30 <= int(answer.headers["retry-after"]) <= 60
