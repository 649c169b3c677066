"""``voltgate send``: one command to one charger, and how it ended (CONTRACT 3.5)."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from voltgate import _core
from voltgate.cli.faults import EXIT_CODES, FAILED, USAGE, Failure
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json, say, visible
from voltgate.config import Config

if TYPE_CHECKING:
    from nats.aio.msg import Msg

app = typer.Typer()

PATIENCE = 5.0  # seconds beyond the command's own timeout: a frozen gateway answers nothing
RESULT, NOT_CONNECTED, UNKNOWN = "result", "not_connected", "unknown"


@app.command(
    epilog='Examples: voltgate send CP001 Reset \'{"type":"Soft"}\'; '
    f"voltgate send CP001 ClearCache --timeout 5. Exits with 0 only for a result. {EXIT_CODES}"
)
def send(  # noqa: PLR0913, PLR0917 - the options of a command
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="The charger, by its plain identity.")],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="For example Reset.")],
    payload: Annotated[str, typer.Argument(metavar="[JSON]", help="The request payload.")] = "{}",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=86_400, help="How long the charger may take.")
    ] = 30.0,
    command_id: Annotated[
        str,
        typer.Option(metavar="ID", help="Sent once under this id; a repeat gets the first one's outcome."),
    ] = "",
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """A command to a charger.

    What it answered goes to stdout, how the command ended to stderr.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+", action):
        raise Failure(f"ACTION {visible(action)}: an OCPP action, for example Reset", USAGE)
    if not identity:
        raise Failure("IDENTITY: the charger's identity must not be empty", USAGE)
    headers = {"ocpp-timeout": str(timeout)}
    if command_id:
        headers["ocpp-command-id"] = _core.header_value(command_id)
    settings = loaded(config)
    subject = f"{settings.nats.rpc_prefix}.send.{action}.{_core.token(identity)}"
    record, body = run(_ask(settings, subject, payload.encode(errors="surrogateescape"), headers))
    if as_json:
        out_json(record | {"identity": identity, "action": action, "body": _value(body)})
    else:
        say(f"voltgate: {record['outcome']}: {record['meaning']}")
        if body:
            out(visible(body.decode(errors="backslashreplace")))
    if record["outcome"] != RESULT:
        raise typer.Exit(FAILED)


async def _ask(
    config: Config, subject: str, payload: bytes, headers: dict[str, str]
) -> tuple[dict[str, Any], bytes]:
    """How it ended, and the body that came with it."""
    from nats.errors import MaxPayloadError, NoRespondersError  # noqa: PLC0415
    from nats.errors import TimeoutError as NoReply  # noqa: PLC0415

    from voltgate.gateway.bus import connect  # noqa: PLC0415 - other commands need no NATS

    client = await connect.connect(config.nats, name="voltgate-send")
    try:
        wait = float(headers["ocpp-timeout"]) + PATIENCE
        return _record(await client.request(subject, payload, timeout=wait, headers=headers))
    except NoRespondersError:
        return {"outcome": NOT_CONNECTED, "code": 503, "meaning": "the charger is not connected"}, b""
    except NoReply:
        return {"outcome": UNKNOWN, "code": None, "meaning": "no gateway answered: effect unknown"}, b""
    except MaxPayloadError:
        raise Failure("JSON: more than NATS takes (max_payload)", USAGE) from None
    finally:
        await client.close()


def _record(reply: "Msg") -> tuple[dict[str, Any], bytes]:
    headers = reply.headers or {}
    code = headers.get("Nats-Service-Error-Code", "")
    outcome = headers.get("ocpp-outcome", UNKNOWN)
    record = {
        "outcome": outcome,
        "code": int(code) if code.isdecimal() else None,
        "meaning": headers.get("Nats-Service-Error", "the charger answered" if outcome == RESULT else ""),
        "message_id": headers.get("ocpp-message-id"),
        "version": headers.get("ocpp-version"),
        "session": headers.get("ocpp-session"),
    }
    return record, reply.data


def _value(body: bytes) -> Any:
    """The body as it is part of a line of JSON: the charger's own numbers, where it is JSON at all."""
    if not body:
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="backslashreplace")
    return value if b"\n" in body or b"\r" in body else orjson.Fragment(body)
