"""The admin HTTP server: /metrics, /livez, /readyz, /lbz, and nothing else (docs/contract.md 4.3)."""

import asyncio
import gzip
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the pages say of this process, or of several under one supervisor."""

    ready: bool
    checks: dict[str, str]
    """Name -> "" or the fault."""
    pids: dict[str, int]
    """Of the processes that answer chargers, by a name for people."""
    turned_away: str
    """Why a load balancer must send no charger here: "" if it may (docs/contract.md 4.3)."""


def turned_away(checks: dict[str, str]) -> str:
    """Of one worker. NATS is not asked: a gateway without it answers 503 with Retry-After itself."""
    return checks["draining"] or checks["listeners"]


def _takes_gzip(accepted: str) -> bool:
    """Whether a client that sent this ``Accept-Encoding`` takes gzip (RFC 9110 section 12.5.3)."""
    for coding in accepted.lower().split(","):
        name, *weight = coding.replace(" ", "").split(";")
        if name == "gzip":
            return not any(re.fullmatch(r"q=0(\.0*)?", one) for one in weight)
    return False


def _page(families: list[Metric], encode: Callable[[Collector], bytes], zipped: bool) -> bytes:
    text = encode(_Read(families))
    return gzip.compress(text, compresslevel=1, mtime=0) if zipped else text


async def start(settings: Admin, metrics: Collector, checks: Checks) -> web.AppRunner:
    """Serve the pages of one worker, ready when every check passes. See :func:`serve`."""

    async def scrape() -> Collector:
        return metrics

    def readiness() -> Readiness:
        results = checks()
        ready = not any(results.values())
        return Readiness(ready, results, {"process": os.getpid()}, turned_away(results))

    return await serve(settings, scrape, readiness)


async def serve(
    settings: Admin, scrape: Callable[[], Awaitable[Collector]], readiness: Callable[[], Readiness]
) -> web.AppRunner:
    """Serve until the runner's ``cleanup()``. Raises AdminError."""

    async def metrics(request: web.Request) -> web.Response:
        families, zipped = (
            list((await scrape()).collect()),
            _takes_gzip(request.headers.get("Accept-Encoding", "")),
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
        now = readiness()
        text = "ok\n" if now.ready else "not ready\n"
        if "verbose" in request.query:
            pids = "".join(f"{name}: pid {pid}\n" for name, pid in now.pids.items())
            checks = (
                f"[-] {name}: {fault}\n" if fault else f"[+] {name} ok\n"
                for name, fault in now.checks.items()
            )
            text = pids + "".join(checks) + text
        return web.Response(text=text, status=200 if now.ready else 503)

    async def balanced(request: web.Request) -> web.Response:
        del request
        why = readiness().turned_away
        return web.Response(text=f"{why}\n" if why else "ok\n", status=503 if why else 200)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/livez", live)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/lbz", balanced)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        await runner.cleanup()
        raise AdminError(f"admin {settings.host}:{settings.port}: {error.strerror or error}") from None
    return runner
