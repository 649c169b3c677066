"""One console as a server: everything wired on one connection to NATS, until it is told to stop."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import structlog
from aiohttp import web
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from voltgate.config import Config
from voltgate.csms.console.app import application
from voltgate.csms.console.attempts import Attempts
from voltgate.csms.console.auth import Door
from voltgate.csms.console.commands import Sender
from voltgate.csms.console.console import Console, public_url
from voltgate.csms.console.files import Files
from voltgate.csms.console.follow import Following
from voltgate.csms.console.history import History
from voltgate.csms.console.jobs import Jobs
from voltgate.csms.console.live import Live, word
from voltgate.csms.console.noise import Noise
from voltgate.csms.console.people import People
from voltgate.csms.console.position import Lag
from voltgate.csms.console.reader import Reader
from voltgate.csms.console.rows import Rows
from voltgate.csms.console.writer import Writer
from voltgate.csms.ledger import streams
from voltgate.csms.ledger.service import pseudonyms_of
from voltgate.ending import ended, uncancelled

log = structlog.get_logger()

SAMPLE = 1.0  # seconds between two looks at the ends of the streams


class ConsoleError(Exception):
    """The console cannot be served; the text says what to do."""


@asynccontextmanager
async def served(client: Client, config: Config) -> AsyncIterator[Console]:
    """A console that answers. Raises ConsoleError, and errors of NATS."""
    async with AsyncExitStack() as stack:
        context = tls_context(config.csms.tls_certificates)
        listening = _bound(config)
        stack.callback(listening.close)
        await streams.create(client, config)
        names, prefix = streams.of(config), config.nats.ops_prefix
        people = People(await pseudonyms_of(client, config))
        reader = Reader(config.csms.database)
        stack.callback(reader.close)
        following = Following(client, names.people, prefix, people)
        rows = Rows(reader, people)
        lag = Lag()

        def lag_now() -> float:
            return lag.seconds(_now().timestamp(), live.streams)

        console = Console(
            config=config,
            url=public_url(config, port := listening.getsockname()[1]),
            port=port,
            rows=rows,
            people=people,
            door=Door(
                people,
                Attempts(monotonic),
                _now,
                following.caught_up,
                secure=public_url(config).startswith("https:"),
            ),
            writer=Writer(client.jetstream(), prefix, following.reached),
            sender=Sender(client, config.nats.rpc_prefix, _now),
            live=(live := Live(reader, rows.chargers_of, lag_now)),
            lag=lag,
            history=(history := History(client, config)),
            noise=Noise(history, config.nats),
            jobs=(jobs := Jobs(_now)),
            files=_files(config, port),
            now=_now,
        )
        stack.push_async_callback(jobs.close)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for work in (following.run(), live.run(), _sampled(client, lag, names)):
            stack.push_async_callback(ended, [group.create_task(work)])

        async def changed(message: Msg) -> None:
            live.changed(word(message.data))

        told = await client.subscribe(f"{prefix}.live", cb=changed)
        stack.push_async_callback(told.unsubscribe)
        runner = web.AppRunner(application(console), access_log=None, handler_cancellation=True)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listening, ssl_context=context).start()
        stack.push_async_callback(live.close)  # before the server waits for its requests
        yield console


def _bound(config: Config) -> socket.socket:
    host, port = config.csms.host, config.csms.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConsoleError(f"csms {host}:{port}: {error.strerror or error}") from None


def _files(config: Config, port: int) -> Files | None:
    """The place for files of ``csms.files``. Raises ConsoleError."""
    csms = config.csms
    if not csms.files:
        return None
    base = csms.files_url or f"{public_url(config, port)}/files"
    try:
        return Files(Path(csms.files), base, csms.files_max_bytes, _now)
    except OSError as error:
        raise ConsoleError(f"csms.files {csms.files}: {error.strerror or error}") from None


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


async def _sampled(client: Client, lag: Lag, names: streams.Streams) -> None:
    """Look at the ends of the streams for the life of the console."""
    # Of a stream that is folded in part, nobody knows the end of that part.
    whole = [one.stream for one in names.facts if not one.subjects]
    while True:
        uncancelled()
        with suppress(Error, TimeoutError):
            infos = [await client.jsm().stream_info(name) for name in whole]
            lag.sample(_now().timestamp(), {str(one.config.name): one.state.last_seq for one in infos})
        await asyncio.sleep(SAMPLE)


async def people_of(client: Client, config: Config) -> People:
    """What ``OPS_PEOPLE`` has now."""
    await streams.create(client, config)
    people = People(await pseudonyms_of(client, config))
    following = Following(client, streams.of(config).people, config.nats.ops_prefix, people)
    task = asyncio.create_task(following.run())
    try:
        await following.reached(0)
    finally:
        await ended([task])
    return people


def _now() -> datetime:
    return datetime.now(UTC)
