"""One console as a server: everything wired on one connection to NATS, until it is told to stop."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from time import monotonic

import structlog
from aiohttp import web
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext

from voltgate.config import Config
from voltgate.csms.console.app import application
from voltgate.csms.console.attempts import Attempts
from voltgate.csms.console.auth import Door
from voltgate.csms.console.commands import Sender
from voltgate.csms.console.console import Console
from voltgate.csms.console.follow import Following
from voltgate.csms.console.live import Live
from voltgate.csms.console.people import People
from voltgate.csms.console.position import Lag
from voltgate.csms.console.reader import Reader
from voltgate.csms.console.rows import Rows
from voltgate.csms.console.writer import Writer
from voltgate.csms.ledger import streams
from voltgate.csms.ledger.service import pseudonyms_of

log = structlog.get_logger()

SAMPLE = 1.0  # seconds between two looks at the ends of the streams


class ConsoleError(Exception):
    """The console cannot be served; the text says what to do."""


@asynccontextmanager
async def served(client: Client, config: Config) -> AsyncIterator[tuple[Console, int]]:
    """A console that answers, and its port. Raises ConsoleError, and errors of NATS."""
    await streams.create(client, config)
    prefix, names = config.nats.ops_prefix, streams.of(config)
    jetstream, people = client.jetstream(), People(await pseudonyms_of(client, config))
    async with AsyncExitStack() as stack:
        reader = Reader(config.csms.database)
        stack.callback(reader.close)
        rows, following = Rows(reader, people), Following(client, names.people, prefix, people)
        live, lag = Live(reader, rows.chargers_of), Lag()
        secure = bool(config.csms.tls_certificates) or config.csms.public_url.startswith("https:")
        console = Console(
            config=config,
            rows=rows,
            people=people,
            door=Door(people, Attempts(monotonic), _now, secure=secure),
            writer=Writer(jetstream, prefix, following.reached),
            sender=Sender(client, config.nats.rpc_prefix),
            live=live,
            lag=lag,
            now=_now,
        )

        async def changed(_: Msg) -> None:
            live.changed()

        told = await client.subscribe(f"{prefix}.live", cb=changed)
        stack.push_async_callback(told.unsubscribe)
        # Of a stream that is folded in part, nobody knows the end of that part.
        whole = tuple(one.stream for one in names.facts if not one.subjects)
        for work in (following.run(), live.run(), _sampled(jetstream, lag, whole)):
            task = asyncio.create_task(work)
            stack.push_async_callback(_ended, task)
        port = await _listen(stack, console)
        stack.push_async_callback(live.close)  # before the server waits for its requests
        yield console, port


async def _listen(stack: AsyncExitStack, console: Console) -> int:
    settings = console.config.csms
    runner = web.AppRunner(
        application(console), access_log=None, handle_signals=False, handler_cancellation=True
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(
            runner, settings.host, settings.port, ssl_context=tls_context(settings.tls_certificates)
        ).start()
    except OSError as error:
        raise ConsoleError(f"csms {settings.host}:{settings.port}: {error.strerror or error}") from None
    port: int = runner.addresses[0][1]
    return port


def tls_context(certificates: list[tuple[str, str]]) -> ssl.SSLContext | None:
    """The context of ``csms.tls_certificates``; None: HTTP. Raises ConsoleError."""
    if not certificates:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for certificate, key in certificates:
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise ConsoleError(f"csms.tls_certificates: {certificate}: {error}") from None
    return context


async def _sampled(jetstream: JetStreamContext, lag: Lag, names: tuple[str, ...]) -> None:
    """Look at the ends of the streams for the life of the console."""
    while True:
        with suppress(Error, TimeoutError):
            infos = [await jetstream.stream_info(name) for name in names]
            lag.sample(_now().timestamp(), {str(one.config.name): one.state.last_seq for one in infos})
        await asyncio.sleep(SAMPLE)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _now() -> datetime:
    return datetime.now(UTC)
