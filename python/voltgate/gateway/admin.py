"""The admin HTTP server: /metrics, /livez, /readyz, and nothing else (docs/contract.md 4.3)."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from voltgate.config import Admin

Checks = Callable[[], dict[str, str]]


class _Read(Collector):
    """Families that were read already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        """As they were."""
        return self._families


class AdminError(Exception):
    """The admin address cannot be used."""


class Readiness(NamedTuple):
    """Whether this process should get new connections, and each check: name -> "" or the fault."""

    ready: bool
    checks: dict[str, str]


def with_listeners(checks: dict[str, str], open_: object) -> dict[str, str]:
    """Readiness of a worker: its own checks, and whether its listeners are open."""
    return checks | {"listeners": "" if open_ else "not open yet"}


def _page(families: list[Metric], encode: Callable[[Collector], bytes], zipped: bool) -> bytes:
    text = encode(_Read(families))
    return gzip.compress(text, compresslevel=1, mtime=0) if zipped else text


async def start(settings: Admin, metrics: Collector, checks: Checks) -> web.AppRunner:
    """Serve the pages of one worker, ready when every check passes. See :func:`serve`."""

    async def scrape() -> Collector:
        return metrics

    def readiness() -> Readiness:
        results = checks()
        return Readiness(not any(results.values()), results)

    return await serve(settings, scrape, readiness)


async def serve(
    settings: Admin, scrape: Callable[[], Awaitable[Collector]], readiness: Callable[[], Readiness]
) -> web.AppRunner:
    """Serve until the runner's ``cleanup()``. Raises AdminError."""

    async def metrics(request: web.Request) -> web.Response:
        families, zipped = (
            list((await scrape()).collect()),
            "gzip" in request.headers.get("Accept-Encoding", ""),
        )
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        # The loop turns on meanwhile: the text of one worker takes 20 ms.
        body = await asyncio.to_thread(_page, families, encode, zipped)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        return web.Response(body=body, headers=headers | ({"Content-Encoding": "gzip"} if zipped else {}))

    async def live(request: web.Request) -> web.Response:
        del request
        return web.Response(text="ok\n")  # any answer shows that the event loop runs

    async def ready(request: web.Request) -> web.Response:
        good, results = readiness()
        text = "ok\n" if good else "not ready\n"
        if "verbose" in request.query:
            lines = (
                f"[-] {name}: {fault}\n" if fault else f"[+] {name} ok\n" for name, fault in results.items()
            )
            text = "".join(lines) + text
        return web.Response(text=text, status=200 if good else 503)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/livez", live)
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        await runner.cleanup()
        raise AdminError(f"admin {settings.host}:{settings.port}: {error.strerror or error}") from None
    return runner
