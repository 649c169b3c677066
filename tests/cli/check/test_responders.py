"""Which services answer questions, and which answer the same ones."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import nats
import nats.micro
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, ServiceConfig

from cli.configuration import OPEN, SMALL
from jetstream import NatsServer
from voltgate.cli.check.responders import responders
from voltgate.config import load

pytestmark = pytest.mark.usefixtures("clean_environment")

ALL, AUTHORIZE = "ocpprpc.ask.>", "ocpprpc.ask.*.Authorize.*"


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(nats_server.url)
    yield client
    await client.close()


async def _found(client: Client, *infos: bytes) -> list[tuple[str, str]]:
    """Severities and findings while there are services with these INFO replies."""

    async def answer(request: Msg) -> None:
        for info in infos:
            await client.publish(request.reply, info)

    services = await client.subscribe("$SRV.INFO", cb=answer)
    found = await responders(client, load(), [])
    await services.unsubscribe()
    return [(one.severity, one.found) for one in found]


def _info(name: str, subject: str, group: str) -> bytes:
    endpoint = {"name": "ask", "subject": subject, "queue_group": group}
    return json.dumps({"name": name, "endpoints": [endpoint]}).encode()


NOBODY = ("ok", "no NATS service answers questions; other subscribers are not visible")
BACKEND = _info("voltgate-backend", ALL, "backend")
CASES: list[tuple[list[bytes], list[tuple[str, str]]]] = [
    ([], [NOBODY]),
    ([_info("gateway", "ocpprpc.send.*.*", "voltgate")], [NOBODY]),
    ([BACKEND, BACKEND], [("ok", f"voltgate-backend (2) answers {ALL}")]),
    (
        [BACKEND, _info("tokens", AUTHORIZE, "t")],
        [
            (
                "hint",
                f"tokens (queue group t) and voltgate-backend (queue group backend) answer {AUTHORIZE}: "
                "both get each question, and the first answer wins",
            )
        ],
    ),
    (
        [
            _info("a", AUTHORIZE, "q"),
            _info("b", "ocpprpc.ask.v16.*.*", "q"),
            _info("c", "ocpprpc.ask.v21.A.*", "x"),
        ],
        [
            (
                "hint",
                f"a (queue group q) and b (queue group q) answer {AUTHORIZE}: "
                "some questions go to the one, some to the other",
            )
        ],
    ),
    (
        [_info("tokens", AUTHORIZE, ""), _info("tokens", AUTHORIZE, "")],
        [("hint", f"each of 2 processes of tokens answers every question of {AUTHORIZE}")],
    ),
    *(([shape], [NOBODY]) for shape in (b"", b"[]", b"{}", b'{"endpoints":[1]}', b'{"endpoints":7}')),
]


@pytest.mark.parametrize(("infos", "expected"), CASES)
async def test_services_that_answer_the_same_question_are_a_hint(
    client: Client, infos: list[bytes], expected: list[tuple[str, str]]
) -> None:
    assert await _found(client, *infos) == expected


async def test_a_user_that_may_not_ask_gets_the_remedy(client: Client) -> None:
    (found,) = await responders(client, load(), ['nats: permissions violation for publish to "$srv.info"'])
    assert found.text == "unknown: allow this user to publish to $SRV.INFO"


async def test_a_service_of_a_micro_library_is_named(client: Client) -> None:
    async def answer(request: Request) -> None:
        await request.respond(b"{}")

    service = await nats.micro.add_service(client, ServiceConfig(name="tokens", version="1.0.0"))
    await service.add_endpoint(EndpointConfig(name="ask", subject=AUTHORIZE, handler=answer))
    (found,) = await responders(client, load(), [])
    assert (found.severity, found.found) == ("ok", f"tokens (1) answers {AUTHORIZE}")
    await service.stop()


def test_check_has_the_line(
    findings: Callable[..., dict[str, tuple[str, str]]],
    file: Callable[[str], Path],
    nats_server: NatsServer,
) -> None:
    assert findings(file(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\n"))["responders"] == NOBODY
