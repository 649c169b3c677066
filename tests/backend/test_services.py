"""The reference backend in the NATS service API, asked over a real nats-server."""

import asyncio
import json
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.micro.service import ServiceInfo, ServiceStats

from answering import ask, backend_on


async def of(nc: Client, verb: str) -> dict[str, Any]:
    """What the backend says of itself, as soon as it does."""
    async with asyncio.timeout(10):
        while True:
            try:
                reply = await nc.request(f"$SRV.{verb}.voltgate-backend", timeout=5)
            except NoRespondersError:
                continue
            found: dict[str, Any] = json.loads(reply.data)
            return found


async def test_the_backend_is_found_and_its_answers_are_counted(nc: Client) -> None:
    async with backend_on(nc):
        (endpoint,) = ServiceInfo.from_dict(await of(nc, "INFO")).endpoints
        assert (endpoint.name, endpoint.subject, endpoint.queue_group) == ("ask", "ocpprpc.ask.>", "backend")
        await ask(nc, "v16.Authorize", b'{"idTag":"04A2"}')
        await nc.jetstream().delete_key_value("ocpp_backend_transactions")
        await ask(nc, "v16.StartTransaction", b'{"idTag":"04A2"}')
        async with asyncio.timeout(10):
            while (found := ServiceStats.from_dict(await of(nc, "STATS")).endpoints[0]).num_requests < 3:
                await asyncio.sleep(0.01)
        assert (found.num_requests, found.num_errors) == (3, 1), "the first is that of backend_on"
        assert 0 < found.average_processing_time < found.processing_time
    with pytest.raises(NoRespondersError):
        await nc.request("$SRV.PING", timeout=5)


async def test_with_an_exception_each_question_is_an_endpoint(nc: Client) -> None:
    async with backend_on(nc, excepted=["Authorize"]):
        endpoints = ServiceInfo.from_dict(await of(nc, "INFO")).endpoints
        subjects = {one.name: one.subject for one in endpoints}
        assert subjects["DataTransfer-Signed"] == "ocpprpc.ask.*.DataTransfer-Signed.*"
        assert "Authorize" not in subjects
