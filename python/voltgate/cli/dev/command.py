"""``voltgate dev``: NATS, gateway, backend, CSMS and simulated chargers; leaves only the data directory."""

import asyncio
import ipaddress
import socket
import subprocess
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from voltgate.cli.dev import embedded
from voltgate.cli.dev.csms import Running, running
from voltgate.cli.faults import EXIT_CODES, USAGE, Failure, ReaderLeft
from voltgate.cli.serve.command import answer, items_of
from voltgate.cli.service import loaded, on_signals, run
from voltgate.cli.swarm.values import faults as names_of
from voltgate.cli.tail.command import follow, subjects
from voltgate.cli.terminal import ConfigFile, out, say
from voltgate.config import Config

app = typer.Typer()

LOOPBACK = "127.0.0.1"
START_SECONDS = 20.0
LEAVE_SECONDS = 5.0
NATS_PORT = 4222
MAX_PAYLOAD = 8 << 20  # the most that nats-server takes without a warning
# Where the configuration names none.
MAX_MESSAGE_BYTES = 8_000_000  # of a charger: room for headers is left
TICK_SECONDS = 1.0  # of the ledger: a session that has ended is shown so at once
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run of ``voltgate dev`` starts."""

    config: Config
    data_dir: Path
    nats_port: int
    chargers: int
    faults: tuple[str, ...]
    tail: bool
    backend: bool
    backend_except: list[str]
    tokens: Path | None
    csms: bool

    @property
    def host(self) -> str:
        """Address that chargers connect to."""
        return self.config.listeners[0].host

    def url(self, host: str) -> str:
        """The URL an identity is appended to."""
        return f"ws://{_in_url(host)}:{self.config.listeners[0].port}/ocpp"


@app.command(epilog=f"Ctrl-C stops everything and leaves the data directory. {EXIT_CODES}")
def dev(  # noqa: PLR0913, PLR0917 - options of a command line
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port that chargers connect to.")] = 9000,
    admin_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of /metrics, /livez, /readyz.")
    ] = 9464,
    nats_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of the embedded NATS server.")
    ] = NATS_PORT,
    data_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Directory for JetStream data.", file_okay=False)
    ] = Path("voltgate-data"),
    host: Annotated[
        str, typer.Option(help="Address to listen on (0.0.0.0 lets other machines connect).")
    ] = LOOPBACK,
    chargers: Annotated[int, typer.Option(min=0, metavar="N", help="Number of simulated chargers.")] = 0,
    faults: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help="Faults of the simulated chargers (docs/reference.md lists them)."
        ),
    ] = "",
    tail: Annotated[bool, typer.Option("--tail", help="Print live messages.")] = False,
    tokens: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Tokens that may charge, one per line. Default: those of the CSMS."
        ),
    ] = None,
    csms_port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the CSMS's console.")] = 9480,
    no_csms: Annotated[bool, typer.Option("--no-csms", help="Do not run the CSMS.")] = False,
    no_backend: Annotated[
        bool, typer.Option("--no-backend", help="Do not run the reference backend: yours answers questions.")
    ] = False,
    backend_except: Annotated[
        str,
        typer.Option(
            metavar="ACTION,...", help="Leave these questions to a backend of yours (Authorize,DataTransfer)."
        ),
    ] = "",
    config: ConfigFile = None,
) -> None:
    """Run everything on one machine, to try it out.

    NATS with JetStream, the gateway, the reference backend, the CSMS, and simulated chargers.
    """
    settings = loaded(
        config,
        lasting=True,
        nats={
            "url": f"nats://{LOOPBACK}:{nats_port}",
            **dict.fromkeys(("credentials", "nkey_seed", "tls_ca", "tls_cert", "tls_key"), ""),
        },
        listeners=[{"host": host, "port": port, "allow_unauthenticated": True}],
        registry={"required": False},
        admin={"host": LOOPBACK, "port": admin_port},
        streams={"replicas": 1},
        drain={"grace": 0.0, "deadline": 3.0},
        csms={
            "host": host,
            "port": csms_port,
            "database": f"sqlite:///{data_dir.absolute() / 'csms.db'}",
            "tls_certificates": [],
            "files": str(data_dir.absolute() / "files"),
            "files_url": _files_url(host, csms_port),
        },
    )
    if not settings.is_given("limits", "max_message_bytes"):
        limits = settings.limits.model_copy(update={"max_message_bytes": MAX_MESSAGE_BYTES})
        settings = settings.model_copy(update={"limits": limits})
    if not settings.is_given("csms", "tick_seconds"):
        csms = settings.csms.model_copy(update={"tick_seconds": TICK_SECONDS})
        settings = settings.model_copy(update={"csms": csms})
    wanted = [
        ("--port", host, port), ("--admin-port", LOOPBACK, admin_port), ("--nats-port", LOOPBACK, nats_port)
    ]  # fmt: skip
    _ports_are_free(wanted if no_csms else [*wanted, ("--csms-port", host, csms_port)])
    excepted = items_of(backend_except)
    if not (no_csms or _is_loopback(host)):
        settings = _with_https(settings, data_dir)
    plan = Plan(
        config=settings,
        data_dir=data_dir,
        nats_port=nats_port,
        chargers=chargers,
        faults=names_of(faults),
        tail=tail,
        backend=not no_backend,
        backend_except=excepted,
        tokens=tokens,
        csms=not no_csms,
    )
    reach = "this machine" if _is_loopback(host) else "the network; use it only in a trusted network"
    say(f"voltgate: {host}:{port} accepts any charger without a password, from {reach}")
    with suppress(ReaderLeft):
        run(_dev(plan))


def _with_https(settings: Config, data_dir: Path) -> Config:
    """With a certificate for the console: a phone keeps its cookie and its pages for HTTPS alone."""
    from voltgate.cli.dev import phone  # noqa: PLC0415 - it imports cryptography

    hosts = [_reached(settings.csms.host), "localhost", LOOPBACK]
    pem = str(phone.certificate(data_dir, hosts))
    files_url = settings.csms.files_url.replace("http:", "https:", 1)
    csms = settings.csms.model_copy(update={"tls_certificates": [(pem, pem)], "files_url": files_url})
    return settings.model_copy(update={"csms": csms})


async def _dev(plan: Plan) -> None:
    stop = asyncio.Event()
    on_signals(stop.set)
    # Left in the opposite order: chargers, gateway, CSMS, backend, tail, NATS.
    async with AsyncExitStack() as stack:
        max_payload = max(MAX_PAYLOAD, plan.config.limits.max_message_bytes + 65_536)
        nats = stack.enter_context(embedded.server(plan.data_dir, plan.nats_port, max_payload))
        await _prepare_nats(plan, nats)
        alive = [
            await stack.enter_async_context(_cancelled(_ended(plan, nats))),
            await stack.enter_async_context(_cancelled(_until(stop))),
        ]
        if plan.tail:
            live = follow(plan.config, subjects(plan.config.nats, [], ""))
            alive.append(await stack.enter_async_context(_cancelled(live)))
        if plan.backend:
            alive.append(await stack.enter_async_context(_backend(plan)))
        csms = (
            await stack.enter_async_context(running(plan.config, priced=plan.chargers > 0))
            if plan.csms
            else None
        )
        if csms is not None:
            alive.append(csms.ended)
        alive.append(await stack.enter_async_context(_gateway(plan.config, stop)))
        if stop.is_set():
            return
        out(_banner(plan, csms))
        if plan.chargers:
            alive.append(await stack.enter_async_context(_cancelled(_chargers(plan))))
        done, _ = await asyncio.wait(alive, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def _ended(plan: Plan, nats: "subprocess.Popen[bytes]") -> None:
    """Never returns; raises Failure when NATS has ended."""
    while nats.poll() is None:  # noqa: ASYNC110 - nothing signals the end of a process
        await asyncio.sleep(_POLL)
    raise Failure(f"nats-server has ended: {_see_log(plan)}")


def _see_log(plan: Plan) -> str:
    return f"{embedded.last_words(plan.data_dir)} (more in {plan.data_dir}/nats.log)"


async def _prepare_nats(plan: Plan, nats: "subprocess.Popen[bytes]") -> None:
    """Wait until NATS answers, and apply the streams."""
    from nats.errors import Error  # noqa: PLC0415

    from voltgate.gateway.bus import connect, streams  # noqa: PLC0415
    from voltgate.gateway.preflight import jetstream_fault  # noqa: PLC0415

    watching = asyncio.create_task(_ended(plan, nats))
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    client = await connect.connect(plan.config.nats)
                    break
                except connect.BusError:
                    if watching.done():
                        watching.result()
                    await asyncio.sleep(_POLL)
            try:
                await streams.apply(client, plan.config)
            except Error as error:
                raise Failure(
                    f"{jetstream_fault(error)}; does {plan.data_dir} belong to another installation?"
                ) from None
            finally:
                await client.close()
    except TimeoutError:
        raise Failure(f"nats-server is not ready in time: {_see_log(plan)}") from None
    finally:
        watching.cancel()


@asynccontextmanager
async def _cancelled(work: Coroutine[Any, Any, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """A task for the length of the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await _leave(task, grace=0.0)


async def _leave(task: "asyncio.Task[None]", grace: float = LEAVE_SECONDS) -> None:
    """Wait for a task that is ending; cancel it if it takes longer."""
    if grace:
        await asyncio.wait({task}, timeout=grace)
    task.cancel()
    await asyncio.wait({task}, timeout=LEAVE_SECONDS)


@asynccontextmanager
async def _backend(plan: Plan) -> AsyncIterator["asyncio.Task[None]"]:
    stop = asyncio.Event()
    task = asyncio.create_task(answer(plan.config, stop, plan.tokens, plan.backend_except))
    try:
        yield task
    finally:
        stop.set()
        await _leave(task)


@asynccontextmanager
async def _gateway(config: Config, stop: asyncio.Event) -> AsyncIterator["asyncio.Task[None]"]:
    """The gateway, its listeners bound (unless it is stopped before); drained at the end."""
    from voltgate.gateway import admin  # noqa: PLC0415
    from voltgate.gateway.worker import Worker  # noqa: PLC0415

    worker = Worker(config)
    runner = await admin.start(config.admin, worker.metrics, worker.checks)
    task = asyncio.create_task(worker.run())
    try:
        while not (worker.addresses or stop.is_set() or task.done()):
            await asyncio.wait({task}, timeout=_POLL)
        if task.done():
            task.result()
        yield task
    finally:
        worker.stop()
        await _leave(task, LEAVE_SECONDS if worker.addresses else 0.0)
        await runner.cleanup()


async def _chargers(plan: Plan) -> None:
    from voltgate.charger import run_chargers  # noqa: PLC0415

    anywhere = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - compared, not bound
    url = plan.url(anywhere.get(plan.host, plan.host))
    await run_chargers(url, plan.chargers, faults=plan.faults, waiting=int(plan.chargers > 1))


def _ports_are_free(wanted: list[tuple[str, str, int]]) -> None:
    """Raise Failure with a line per port that is not free, before anything is started."""
    faults, code, seen = [], 1, dict[int, str]()
    for option, host, port in wanted:
        if port in seen:
            faults.append(f"{option} and {seen[port]} are both {port}: choose two ports")
            code = USAGE
            continue
        seen[port] = option
        try:
            family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except OSError:
            raise Failure(f"--host {host}: no such host", USAGE) from None
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                faults.append(
                    f"port {port} of {host} is not free ({error.strerror}): choose another with {option}"
                )
    if faults:
        raise Failure("\n".join(faults), code)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reached(host: str) -> str:
    """Where others reach what listens on ``host``: this machine's address as the routing table has it."""
    if host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _files_url(host: str, port: int) -> str:
    """Where chargers reach the console's place for files."""
    return f"http://{_in_url(_reached(host))}:{port}/files"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _banner(plan: Plan, csms: Running | None) -> str:
    nats, admin = plan.config.nats, plan.config.admin
    url = nats.urls[0]
    usual = plan.nats_port == NATS_PORT
    cli, ours = ("nats", "") if usual else (f"nats -s {url}", f"VOLTGATE_NATS__URL={url} ")
    host = _reached(plan.host)
    return f"""
Point a charger at  {plan.url(host)}/<identity>
{_console(csms, host)}\
Metrics, readiness  http://{admin.host}:{admin.port}/metrics  /readyz?verbose
NATS                {url}  ({plan.data_dir}/nats.log)

Try in another terminal
  {ours}voltgate tail tx
  {cli} sub '{nats.prefix}.event.*.StatusNotification.*'
  {cli} req {nats.rpc_prefix}.ask.v16.Authorize.CP001 '{{"idTag":"04A2B3C4"}}'
"""


def _console(csms: Running | None, host: str) -> str:
    if csms is None:
        return ""
    link = csms.link.replace(_in_url(csms.host), _in_url(host), 1)
    shown = f"Console             {link}\n                    logs in once, within 15 minutes\n"
    if csms.certificate is None:
        return shown
    from voltgate.cli.dev import phone  # noqa: PLC0415 - it imports cryptography

    return f"""{shown}\
                    The browser will warn that it does not know the certificate, which was made here:
                    open its details, compare the SHA-256 fingerprint, and go on.
                    {phone.fingerprint(csms.certificate)}

{phone.qr_code(link)}

"""
