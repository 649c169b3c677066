"""The admin HTTP server: /metrics, /livez, /readyz, and nothing else (CONTRACT 4.3)."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from voltgate.config import Admin
from voltgate.gateway.metrics import Metrics

Checks = Callable[[], dict[str, str]]


class AdminError(Exception):
    """The admin address cannot be used."""


async def start(settings: Admin, metrics: Metrics, checks: Checks) -> web.AppRunner:
    """Serve until the runner's ``cleanup()``. ``checks``: name -> "" or what is wrong. Raises AdminError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)

    async def scrape(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def live(request: web.Request) -> web.Response:
        del request
        return web.Response(text="ok\n")  # that it is answered at all is the answer: the loop turns

    async def ready(request: web.Request) -> web.Response:
        results = checks()
        failed = any(results.values())
        text = "not ready\n" if failed else "ok\n"
        if "verbose" in request.query:
            lines = (
                f"[-] {name}: {fault}\n" if fault else f"[+] {name} ok\n" for name, fault in results.items()
            )
            text = "".join(lines) + text
        return web.Response(text=text, status=503 if failed else 200)

    app = web.Application()
    app.router.add_get("/metrics", scrape)
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
