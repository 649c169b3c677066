"""A real HTTP server that takes webhooks, or refuses them while it is down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Receiver:
    """``status``: of every answer. ``taken``: headers and body of each request."""

    status: int = 204
    url: str = ""
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    refused: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        """One webhook."""
        body = await request.read()
        if 200 <= self.status < 300:
            self.taken.append((dict(request.headers), body))
        else:
            self.refused += 1
        headers = {"Location": "/elsewhere"} if self.status in (301, 302, 307) else None
        return web.Response(status=self.status, headers=headers)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """On a free port of 127.0.0.1."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hook", made.handle)
    app.router.add_route("*", "/elsewhere", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}/hook"
    yield made
    await runner.cleanup()
