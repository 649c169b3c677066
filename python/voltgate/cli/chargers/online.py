"""``voltgate chargers online``: the connected chargers, from the link facts (docs/contract.md 3.6)."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from voltgate.cli.chargers.records import kept
from voltgate.cli.faults import EXIT_CODES, Failure, ReaderLeft
from voltgate.cli.service import connected, loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json, visible
from voltgate.config import Config

if TYPE_CHECKING:
    from nats.aio.msg import Msg

app = typer.Typer()

COLUMNS = ("state", "identity", "version", "at", "remote", "gateway", "reason")


@app.command(
    epilog=f"Columns are separated by tabs; --json prints the link facts, one per line. {EXIT_CODES}"
)
def online(
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep printing as chargers connect and disconnect; Ctrl-C exits.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the connected chargers, one per line."""
    with suppress(KeyboardInterrupt, ReaderLeft):
        run(_online(loaded(config), watch, as_json))


async def _online(config: Config, watch: bool, as_json: bool) -> None:
    from nats.js.errors import NotFoundError  # noqa: PLC0415

    stream, subject = f"{config.nats.stream_prefix}_LINKS", f"{config.nats.prefix}.link.*"
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    async with connected(config, "voltgate-online") as client:
        if watch:
            # Before the stream is read: nothing is missed in between, at worst something is printed twice.
            await client.subscribe(subject, cb=arrived.put)
        if not as_json:
            out("\t".join(COLUMNS))
        try:
            async for message in kept(client, stream, subject):
                link = _link(message)
                if link.get("state") == "up":
                    _print(link, as_json)
        except NotFoundError:
            raise Failure(f"stream {stream} is missing: run `voltgate streams apply`") from None
        while watch:
            _print(_link(await arrived.get()), as_json)


def _link(message: "Msg") -> dict[str, Any]:
    with suppress(orjson.JSONDecodeError):
        link = orjson.loads(message.data)
        if isinstance(link, dict):
            return link
    return {}


def _print(link: dict[str, Any], as_json: bool) -> None:
    if not link:
        return
    if as_json:
        out_json(link)
    else:
        out("\t".join(visible(str(link.get(name) or "-")) for name in COLUMNS))
