"""Passwords judged as a listener asks for it."""

import asyncio

from voltgate.gateway.registry.credentials import Judgement, Passwords
from voltgate.gateway.registry.record import Known


async def judged(
    passwords: Passwords, charger: Known | None, password: bytes, address: str = "1.1.1.1"
) -> Judgement:
    verdict: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
    passwords.judge(charger, password, address, verdict.set_result)
    return await verdict
