"""The admin HTTP server: four pages and nothing else."""

import gzip
import os
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from voltgate.config import Admin
from voltgate.gateway import admin
from voltgate.gateway.telemetry.metrics import Metrics


@pytest.fixture
async def get() -> AsyncIterator[tuple[dict[str, str], object]]:
    """The checks behind readiness, for the test to change, and a function that gets a path."""
    checks = {"nats": "", "draining": "", "listeners": ""}
    metrics = Metrics()
    metrics.handshakes.add("accepted")
    runner = await admin.start(Admin(port=0), metrics, lambda: checks)
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as session:

        async def fetch(path: str, **headers: str) -> tuple[int, str, str]:
            async with session.get(f"http://{host}:{port}{path}", headers=headers) as response:
                return response.status, response.headers.get("Content-Type", ""), await response.text()

        yield checks, fetch
    await runner.cleanup()


async def test_metrics_are_classic_prometheus_text(get) -> None:  # type: ignore[no-untyped-def]
    _, fetch = get
    status, kind, text = await fetch("/metrics")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert 'voltgate_handshakes_total{result="accepted",worker="0"} 1.0' in text
    assert 'voltgate_handshakes_total{result="full",worker="0"} 0.0' in text
    _, kind, _ = await fetch("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")


async def test_metrics_are_gzipped_where_asked() -> None:
    runner = await admin.start(Admin(port=0), Metrics(), dict)
    address = "http://{}:{}/metrics".format(*runner.addresses[0][:2])
    sizes = {}
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for accepted in ("gzip", "identity"):
            async with session.get(address, headers={"Accept-Encoding": accepted}) as response:
                body = await response.read()
                assert response.headers.get("Content-Encoding", "identity") == accepted
                sizes[accepted] = len(body)
                text = gzip.decompress(body) if accepted == "gzip" else body
                assert text.startswith(b"# HELP voltgate_")
    assert sizes["gzip"] < sizes["identity"] / 5
    await runner.cleanup()


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("deflate, gzip", True), ("GZIP;q=0.5", True), ("gzip;q=0, identity", False), ("gzip; q=0.000", False)],
)
async def test_gzip_that_a_client_refuses_is_not_sent(accepted: str, zipped: bool) -> None:
    runner = await admin.start(Admin(port=0), Metrics(), dict)
    address = "http://{}:{}/metrics".format(*runner.addresses[0][:2])
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(address, headers={"Accept-Encoding": accepted}) as response,
    ):
        assert ("Content-Encoding" in response.headers) is zipped
    await runner.cleanup()


async def test_readiness_follows_the_checks_and_liveness_does_not(get) -> None:  # type: ignore[no-untyped-def]
    checks, fetch = get
    assert await fetch("/readyz") == (200, "text/plain; charset=utf-8", "ok\n")
    checks["nats"] = "not connected"
    assert (await fetch("/readyz"))[0] == 503
    _, _, text = await fetch("/readyz?verbose")
    assert text == (
        f"process: pid {os.getpid()}\n[-] nats: not connected\n[+] draining ok\n[+] listeners ok\nnot ready\n"
    )
    assert (await fetch("/livez"))[0] == 200


@pytest.mark.parametrize(("check", "status"), [("nats", 200), ("draining", 503), ("listeners", 503)], ids=str)
async def test_a_load_balancer_goes_on_while_nats_is_away(get, check: str, status: int) -> None:  # type: ignore[no-untyped-def]
    checks, fetch = get
    assert await fetch("/lbz") == (200, "text/plain; charset=utf-8", "ok\n")
    checks[check] = "this is why"
    assert (await fetch("/readyz"))[0] == 503
    answered, _, text = await fetch("/lbz")
    assert (answered, text) == (status, "ok\n" if status == 200 else "this is why\n")


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/debug", "/config"])
async def test_every_other_page_is_404(get, path: str) -> None:  # type: ignore[no-untyped-def]
    _, fetch = get
    assert (await fetch(path))[0] == 404


async def test_an_address_in_use_is_one_readable_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(admin.AdminError, match=f"admin 127.0.0.1:{port}: .*in use"):
            await admin.start(Admin(port=port), Metrics(), dict)
