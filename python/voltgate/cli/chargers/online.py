"""``voltgate chargers online``: who is connected, from the links the gateways keep (CONTRACT 3.6)."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from voltgate.cli.chargers.records import kept
from voltgate.cli.faults import EXIT_CODES, Failure, ReaderLeft
from voltgate.cli.service import jetstream_fault, loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json, visible
from voltgate.config import Config

if TYPE_CHECKING:
    from nats.aio.msg import Msg

app = typer.Typer()

COLUMNS = ("state", "identity", "version", "at", "remote", "gateway", "reason")


@app.command(epilog=f"Columns are separated by tabs; --json prints the link facts, one a line. {EXIT_CODES}")
def online(
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with every charger that comes or goes; Ctrl-C ends it.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Who is connected, a line each."""
    with suppress(KeyboardInterrupt, ReaderLeft):
        run(_online(loaded(config), watch, as_json))


async def _online(config: Config, watch: bool, as_json: bool) -> None:
    from nats.errors import Error  # noqa: PLC0415
    from nats.js.errors import NotFoundError  # noqa: PLC0415

    from voltgate.gateway.bus import connect  # noqa: PLC0415

    stream, subject = f"{config.nats.stream_prefix}_LINKS", f"{config.nats.prefix}.link.*"
    client = await connect.connect(config.nats, name="voltgate-online")
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    try:
        if watch:
            # Before the past is read: nothing is missed between the two, at worst something is told twice.
            await client.subscribe(subject, cb=arrived.put)
        if not as_json:
            out("\t".join(COLUMNS))
        async for message in kept(client, stream, subject):
            link = _link(message)
            if link.get("state") == "up":
                _tell(link, as_json)
        while watch:
            _tell(_link(await arrived.get()), as_json)
    except NotFoundError:
        raise Failure(f"stream {stream} is missing: run `voltgate streams apply`") from None
    except (Error, TimeoutError) as error:
        raise Failure(jetstream_fault(error)) from None
    finally:
        await client.close()


def _link(message: "Msg") -> dict[str, Any]:
    with suppress(orjson.JSONDecodeError):
        link = orjson.loads(message.data)
        if isinstance(link, dict):
            return link
    return {}


def _tell(link: dict[str, Any], as_json: bool) -> None:
    if not link:
        return
    if as_json:
        out_json(link)
    else:
        out("\t".join(visible(str(link.get(name) or "-")) for name in COLUMNS))
