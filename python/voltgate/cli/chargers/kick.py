"""``voltgate chargers kick``: end a charger's connection, wherever it is (CONTRACT 3.2)."""

from typing import Annotated, Any

import orjson
import typer

from voltgate import _core
from voltgate.cli.chargers.records import legal
from voltgate.cli.faults import EXIT_CODES, Failure
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out_json, say, visible
from voltgate.config import Config

app = typer.Typer()

PATIENCE = 5.0  # seconds for the gateway that holds it


@app.command(epilog=f"It dials again by itself: disable it to keep it out. {EXIT_CODES}")
def kick(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The charger's identity, as it is.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """End a charger's connection; it comes back."""
    legal(identity)
    told = run(_kick(loaded(config), identity))
    if as_json:
        out_json({"identity": identity, **told})
    else:
        say(f"voltgate: {identity}: session {told['session']} on {told['gateway']} is ended")


async def _kick(config: Config, identity: str) -> dict[str, Any]:
    """The session that was ended, and the gateway that had it."""
    from nats.errors import NoRespondersError  # noqa: PLC0415
    from nats.errors import TimeoutError as NoReply  # noqa: PLC0415

    from voltgate.gateway.bus import connect  # noqa: PLC0415 - other commands need no NATS

    subject = f"{config.nats.rpc_prefix}.link.kick.{_core.token(identity)}"
    client = await connect.connect(config.nats, name="voltgate-kick")
    try:
        reply = await client.request(subject, b"", timeout=PATIENCE)
    except NoRespondersError:
        raise Failure(f"{identity} is not connected") from None
    except NoReply:
        raise Failure(
            f"{identity}: its gateway did not answer in {PATIENCE:g} s: `voltgate chargers online` shows "
            "which it is, and this user must be allowed to publish to " + subject
        ) from None
    finally:
        await client.close()
    return _told(identity, reply.data)


def _told(identity: str, body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
        return {name: visible(str(told[name])) for name in ("session", "gateway")}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Failure(f"{identity}: what answered is no gateway: {visible(repr(body[:100]))}") from None
