"""``voltgate chargers kick``: end a charger's connection, at whichever gateway it is.

See docs/contract.md 3.2.
"""

import orjson
import typer

from voltgate import _core
from voltgate.cli.chargers.options import Identity
from voltgate.cli.chargers.records import legal
from voltgate.cli.faults import EXIT_CODES, Failure
from voltgate.cli.service import connected, loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out_json, say, visible
from voltgate.config import Config

app = typer.Typer()

PATIENCE = 5.0  # seconds for the gateway that holds the charger


@app.command(epilog=f"The charger reconnects by itself: to keep it out, disable it. {EXIT_CODES}")
def kick(identity: Identity, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """End a charger's connection; it will reconnect."""
    legal(identity)
    ended = run(_kick(loaded(config), identity))
    if as_json:
        out_json({"identity": identity, **ended})
    else:
        say(f"voltgate: {identity}: session {ended['session']} on {ended['gateway']} is ended")


async def _kick(config: Config, identity: str) -> dict[str, str]:
    """The session that was ended, and the gateway that held it."""
    from nats.errors import NoRespondersError  # noqa: PLC0415
    from nats.errors import TimeoutError as NoReply  # noqa: PLC0415

    subject = f"{config.nats.rpc_prefix}.link.kick.{_core.token(identity)}"
    async with connected(config, "voltgate-kick") as client:
        try:
            reply = await client.request(subject, b"", timeout=PATIENCE)
        except NoRespondersError:
            raise Failure(f"{identity} is not connected") from None
        except NoReply:
            raise Failure(
                f"{identity}: its gateway did not answer in {PATIENCE:g} s: `voltgate chargers online` shows "
                f"which one it is, and this user must be allowed to publish to {subject}"
            ) from None
    return _ended(identity, reply.data)


def _ended(identity: str, body: bytes) -> dict[str, str]:
    try:
        ended = orjson.loads(body)
        return {name: visible(str(ended[name])) for name in ("session", "gateway")}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Failure(
            f"{identity}: unexpected reply, not from a Voltgate gateway: {visible(repr(body[:100]))}"
        ) from None
