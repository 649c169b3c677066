"""``voltgate rebalance``: spread chargers evenly over gateways (docs/contract.md 4.1).

Where chargers are is followed from the links, and which gateways are alive from their signs of life: one that
starts meanwhile counts in the next round. Surplus chargers are asked, a few a second, to connect again; where
they then go is up to the load balancer, or to the kernel that spreads connections over workers. So it takes
rounds: each moves the surplus that is left. A charger with something open is left alone.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from voltgate.cli.faults import EXIT_CODES
from voltgate.cli.service import connected, loaded, run
from voltgate.cli.tail.replay import Reader, Source
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json, say
from voltgate.config import Config
from voltgate.ending import ended
from voltgate.visible import visible

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

app = typer.Typer()

ROUNDS = 20
FRUITLESS = 4  # rounds in a row that bring no gateway closer, until it gives up
RETURN = 90.0  # seconds for chargers to connect again: some wait for a minute
_ANSWER = 5.0  # seconds for the gateway that holds the charger
COLUMNS = ("gateway", "before", "after")


@dataclass(frozen=True, slots=True)
class Plan:
    """How fast, how evenly, among which gateways, and whether anything is done."""

    rate: float
    tolerance: float
    gateways: tuple[str, ...]
    dry_run: bool


@app.command(
    epilog=f"Columns are separated by tabs: gateway, chargers before and after. Exit code 1 if one is still "
    f"above --tolerance. {EXIT_CODES}"
)
def rebalance(  # noqa: PLR0913, PLR0917 - the options of a command
    rate: Annotated[
        float, typer.Option(min=0.01, max=10_000, metavar="N", help="Chargers to move per second.")
    ] = 10.0,
    tolerance: Annotated[
        float,
        typer.Option(min=0, max=100, metavar="PERCENT", help="Accept gateways this far above the mean."),
    ] = 5.0,
    gateways: Annotated[
        list[str] | None,
        typer.Option(
            "--gateway",
            metavar="PREFIX",
            help="Only gateways whose names begin so (host, host-pid), as those of one site; repeatable.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print how many would move, and move none.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Move chargers from full gateways and workers to emptier ones.

    A charger is moved by closing its connection with 1001 while nothing is open on it.
    """
    before, after = run(
        _rebalanced(loaded(config), Plan(rate, tolerance / 100, tuple(gateways or [""]), dry_run))
    )
    if not as_json:
        out("\t".join(COLUMNS))
    for gateway in sorted(before | after):
        row = (gateway, before[gateway], after[gateway])
        if as_json:
            out_json(dict(zip(COLUMNS, row, strict=True)))
        else:
            out("\t".join(visible(str(cell)) for cell in row))
    if not dry_run and surplus(after, tolerance / 100):
        raise typer.Exit(1)


def surplus(chargers: Counter[str], tolerance: float) -> dict[str, int]:
    """How many chargers each gateway has too many; {} where all are within ``tolerance`` of the mean.

    At least one more than the mean is tolerated: numbers are whole.
    """
    mean = chargers.total() / max(len(chargers), 1)
    if all(count <= mean + max(1.0, tolerance * mean) for count in chargers.values()):
        return {}
    return {gateway: int(count - mean) for gateway, count in chargers.items() if count >= mean + 1}


class Places:
    """Where each charger is, of the gateways whose names begin with one of ``prefixes``.

    Each stream is taken in its order: a link that is read late never hides a newer one.
    """

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self._prefixes = prefixes
        self._gateways: set[str] = set()
        self._at: dict[str, str] = {}  # token -> gateway
        self._sessions: dict[str, str] = {}
        self.changed = asyncio.Event()

    def take_sign(self, subject: str, headers: dict[str, str]) -> None:
        """A gateway's sign of life, or the removal of its key."""
        gateway = subject.rpartition(".")[2]
        if "KV-Operation" in headers:
            self._gateways.discard(gateway)
        elif gateway.startswith(self._prefixes):
            self._gateways.add(gateway)

    def take_link(self, subject: str, data: bytes) -> None:
        """A link fact."""
        token = subject.rpartition(".")[2]
        self.changed.set()
        with suppress(orjson.JSONDecodeError, KeyError, TypeError):
            link = orjson.loads(data)
            if link["state"] == "up":
                self._at[token], self._sessions[token] = link["gateway"], link["session"]
            elif self._sessions.get(token) == link["session"]:
                self._at.pop(token, None)

    def counts(self) -> Counter[str]:
        """Chargers of each living gateway, also of those without any."""
        found = Counter(gateway for gateway in self._at.values() if gateway in self._gateways)
        return Counter({gateway: found[gateway] for gateway in self._gateways})

    def of(self, gateway: str) -> list[str]:
        """The tokens of its chargers, in no order that a charger could predict."""
        tokens = [token for token, at in self._at.items() if at == gateway]
        random.shuffle(tokens)
        return tokens

    def session(self, token: str) -> str:
        """Of its last ``up``."""
        return self._sessions.get(token, "")

    def is_up(self, token: str) -> bool:
        """Whether it is connected."""
        return token in self._at


async def _rebalanced(config: Config, plan: Plan) -> tuple[Counter[str], Counter[str]]:
    """The chargers of each gateway before and after."""
    nats, places = config.nats, Places(plan.gateways)
    bucket = f"{nats.stream_prefix.lower()}_gateways"

    def sign(message: "Msg") -> None:
        places.take_sign(message.subject, message.headers or {})

    def link(message: "Msg") -> None:
        places.take_link(message.subject, message.data)

    async with (
        connected(config, "voltgate-rebalance") as client,
        _followed(client, Source(f"KV_{bucket}", [f"$KV.{bucket}.*"]), sign),
        _followed(client, Source(f"{nats.stream_prefix}_LINKS", [f"{nats.prefix}.link.*"]), link),
    ):
        before = places.counts()
        if plan.dry_run:
            return before, before - Counter(surplus(before, plan.tolerance))
        await _Mover(client, nats.rpc_prefix, places, plan).run()
        return before, places.counts()


@asynccontextmanager
async def _followed(client: "Client", source: Source, take: Callable[["Msg"], None]) -> AsyncIterator[None]:
    """Take everything a stream holds, then what it gets during the block. Raises Failure."""
    reader = Reader(client, source, datetime.fromtimestamp(0, UTC))
    await reader.open()
    while (message := await reader.past()) is not None:
        take(message)

    async def follow() -> None:
        while True:
            take(await reader.present())

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        await ended([following])
        await reader.close()


class _Mover:
    """Rounds of moving the surplus that is left."""

    def __init__(self, client: "Client", rpc_prefix: str, places: Places, plan: Plan) -> None:
        self._client, self._subject = client, f"{rpc_prefix}.link.move."
        self._places, self._plan = places, plan

    async def run(self) -> None:
        fruitless, best = 0, None
        for number in range(1, ROUNDS + 1):
            excess = surplus(self._places.counts(), self._plan.tolerance)
            total = sum(excess.values())
            if not excess or fruitless == FRUITLESS:
                return
            fruitless = 0 if best is None or total < best else fruitless + 1
            best = total if best is None else min(best, total)
            moved = await self._round(excess)
            say(f"voltgate: round {number}: {len(moved)} of {total} chargers moved")
            await self._returned(moved)

    async def _round(self, excess: dict[str, int]) -> dict[str, str]:
        """Ask gateways to move chargers; the tokens of those that moved, and their sessions before."""
        chosen = [token for gateway, count in excess.items() for token in self._places.of(gateway)[:count]]
        random.shuffle(chosen)
        moved: dict[str, str] = {}
        async with asyncio.TaskGroup() as asking:
            for token in chosen:
                asking.create_task(self._move(token, moved))
                await asyncio.sleep(1 / self._plan.rate)
        return moved

    async def _move(self, token: str, moved: dict[str, str]) -> None:
        from nats.errors import NoRespondersError  # noqa: PLC0415
        from nats.errors import TimeoutError as NoReply  # noqa: PLC0415

        session = self._places.session(token)
        with suppress(NoRespondersError, NoReply, orjson.JSONDecodeError, AttributeError):
            reply = await self._client.request(self._subject + token, b"", timeout=_ANSWER)
            if orjson.loads(reply.data).get("moved") is True:
                moved[token] = session

    async def _returned(self, moved: dict[str, str]) -> None:
        """Wait until those that moved are connected again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RETURN):
                while any(
                    not self._places.is_up(token) or self._places.session(token) == session
                    for token, session in moved.items()
                ):
                    self._places.changed.clear()
                    await self._places.changed.wait()
