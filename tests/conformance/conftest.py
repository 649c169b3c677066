"""One gateway with a listener of each kind for all tests; a record for each charger; the page of results."""

import importlib
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from nats.aio.client import Client

from conformance import rules
from e2e.conftest import backend, client, facts, identity, nats_server  # noqa: F401 - fixtures
from e2e.house import Gateway, config, gateway
from e2e.logins import KEY, fast
from e2e.secured import OPERATOR, Pki
from e2e.strangers import Backend, token
from jetstream import NatsServer

Register = Callable[..., Awaitable[None]]
MakeBackend = Callable[..., Awaitable[Backend]]
OPEN, CLOSING, BASIC, TLS, MUTUAL = range(5)  # listeners


def pytest_addoption(parser: pytest.Parser) -> None:
    """See ``make conformance``."""
    parser.addoption("--write-results", action="store_true", help="write docs/conformance.md")


_outcomes: dict[tuple[str, str], str] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Iterator[None]:
    """Remember how each test ended."""
    report = (yield).get_result()  # type: ignore[attr-defined]
    given = item.callspec.params if hasattr(item, "callspec") else {}
    quirk, version = given.get("quirk"), str(given.get("version"))
    key = ("quirk", str(quirk)) if quirk else (item.originalname, version)
    if report.failed:
        _outcomes[key] = "**fails**"
    elif report.when == "call":
        _outcomes.setdefault(key, report.outcome)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page, where that was asked for."""
    if session.config.getoption("--write-results", default=False):
        quirks = importlib.import_module("conformance.test_quirks").SEEN
        rules.PAGE.write_text(rules.page(_outcomes, quirks))


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.made_in(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def house(nats_server: NatsServer, pki: Pki) -> Iterator[Gateway]:  # noqa: F811
    both = [pki.servers.issue("rsa", kind="rsa").pair, pki.servers.issue("ec").pair]
    tls: dict[str, Any] = {"allow_unauthenticated": False, "tls_certificates": both}
    mutual = {"security_profile": 3, "client_ca": pki.chargers.file, "organization": OPERATOR}
    doors: list[dict[str, Any]] = [
        {},
        {"unmatched": "close"},
        {"allow_unauthenticated": False},
        tls | {"security_profile": 2},
        tls | mutual,
    ]
    with gateway(config(nats_server, *doors, registry={"required": True})) as running:
        yield running


@pytest.fixture
async def register(house: Gateway, client: Client, identity: str) -> Register:  # noqa: F811
    """Write the charger's record."""
    bucket = await client.jetstream().key_value("ocpp_chargers")

    async def write(**fields: Any) -> None:
        record = {"enabled": True, "password_hashes": [fast(KEY)]} | fields
        await bucket.put(token(identity), json.dumps(record).encode())

    return write


@pytest.fixture
async def known(register: Register) -> None:
    """The charger has a record, with a password and nothing else."""
    await register()
