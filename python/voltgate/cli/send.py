"""``voltgate send``: sends one command to one charger and prints the outcome (docs/contract.md 3.5)."""

import difflib
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from voltgate import _core
from voltgate.cli.faults import EXIT_CODES, FAILED, USAGE, Failure
from voltgate.cli.service import connected, loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, json_value, out, out_json, say
from voltgate.config import Config
from voltgate.schemas import SUBPROTOCOLS
from voltgate.visible import visible

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
    identity: Annotated[
        str, typer.Argument(metavar="IDENTITY", help="Charger identity, verbatim (case-sensitive).")
    ],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="OCPP action, for example Reset.")],
    payload: Annotated[str, typer.Argument(metavar="JSON", help="Request payload.")] = "{}",
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.1, max=86_400, help="Seconds the charger may take to answer."),
    ] = 30.0,
    command_id: Annotated[
        str,
        typer.Option(
            metavar="ID", help="Send only once under this id; a repeat prints the outcome of the first."
        ),
    ] = "",
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Send a command to a charger.

    The charger's answer goes to stdout, the outcome of the command to stderr.
    """
    if not identity:
        raise Failure("IDENTITY: must not be empty", USAGE)
    if fault := _fault_of_action(action, identity) or _fault_of_json(payload):
        raise Failure(fault, USAGE)
    headers = {"ocpp-timeout": str(timeout)}
    if command_id:
        headers["ocpp-command-id"] = _core.header_value(command_id)
    settings = loaded(config)
    subject = f"{settings.nats.rpc_prefix}.send.{action}.{_core.token(identity)}"
    record, body = run(_ask(settings, subject, payload.encode(errors="surrogateescape"), headers))
    if as_json:
        out_json(
            record | {"identity": identity, "action": action, "body": json_value(body) if body else None}
        )
    else:
        say(f"voltgate: {record['outcome']}: {record['meaning']}")
        if body:
            out(visible(body.decode(errors="backslashreplace")))
    if record["outcome"] != RESULT:
        raise typer.Exit(FAILED)


def _fault_of_action(action: str, identity: str) -> str:
    """Why no charger can be sent ``action``, whatever its version; "" if one can."""
    rows = [row for version in SUBPROTOCOLS for row in _core.actions(version)]
    commands = {name for name, sender, *_ in rows if sender != "charger"}
    if action.removesuffix("-Signed") in commands:
        return ""
    if identity in commands:
        return f"ACTION {visible(action)}: the charger's identity comes first, then the action"
    if action in {name for name, *_ in rows}:
        return f"ACTION {action}: only chargers send it"
    version, dot, bare = action.partition(".")
    if dot and bare in commands and version in SUBPROTOCOLS:
        return f"ACTION {visible(action)}: without a version, which is the charger's: {bare}"
    lower = {name.lower(): name for name in commands}
    close = difflib.get_close_matches(action.lower(), lower, n=1)
    hint = f"did you mean {lower[close[0]]}?" if close else "`voltgate actions --commands` lists them"
    return f"ACTION {visible(action)}: not a command of any OCPP version; {hint}"


def _fault_of_json(payload: str) -> str:
    """Why ``payload`` cannot be a request payload; "" if it can. The gateway checks it against the schema."""
    try:
        value = orjson.loads(payload.encode(errors="surrogateescape"))
    except orjson.JSONDecodeError as error:
        return f'JSON: {error}; names and texts need double quotes: \'{{"type":"Soft"}}\''
    return "" if value is None or isinstance(value, dict) else "JSON: must be an object, for example {}"


async def _ask(
    config: Config, subject: str, payload: bytes, headers: dict[str, str]
) -> tuple[dict[str, Any], bytes]:
    """The outcome of the command, and the body that came with it."""
    from nats.errors import MaxPayloadError, NoRespondersError  # noqa: PLC0415
    from nats.errors import TimeoutError as NoReply  # noqa: PLC0415

    async with connected(config, "voltgate-send") as client:
        try:
            wait = float(headers["ocpp-timeout"]) + PATIENCE
            return _record(await client.request(subject, payload, timeout=wait, headers=headers))
        except NoRespondersError:
            return {"outcome": NOT_CONNECTED, "code": 503, "meaning": "the charger is not connected"}, b""
        except NoReply:
            return {"outcome": UNKNOWN, "code": None, "meaning": "no gateway answered: effect unknown"}, b""
        except MaxPayloadError:
            raise Failure("JSON: larger than max_payload of the NATS server", USAGE) from None


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
