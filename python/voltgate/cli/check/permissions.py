"""What ``voltgate check`` says about the NATS user: whether it may do what ``serve`` does.

The server itself is asked for the user's permissions: trying them would publish facts that never happened.
"""

from typing import TYPE_CHECKING, Any

import orjson

from voltgate.cli.check.finding import Check
from voltgate.cli.check.subjects import covers, meets
from voltgate.config import Config
from voltgate.gateway.bus import streams

if TYPE_CHECKING:
    from nats.aio.client import Client

ASK = "$SYS.REQ.USER.INFO"
API = "$JS.API."
_TIMEOUT = 2.0


def needed(config: Config) -> dict[str, list[str]]:
    """What ``serve`` publishes and subscribes to."""
    nats = config.nats
    lower = nats.stream_prefix.lower()
    followed = (f"{nats.stream_prefix}_LINKS", f"KV_{lower}_chargers", f"KV_{lower}_gateways")
    classes = ("tx", "event", "live", "command", "reject", "link", "security")
    return {
        "publish": [
            *(f"{nats.prefix}.{class_}.>" for class_ in classes),
            f"{nats.rpc_prefix}.ask.>",
            f"{nats.rpc_prefix}.link.probe.*",
            f"$KV.{lower}_gateways.>",
            f"$KV.{lower}_chargers.>",
            *(f"{API}STREAM.INFO.{stream.name}" for stream in streams.wanted(config)),
            f"{API}STREAM.NAMES",
            *(f"{API}DIRECT.GET.{nats.stream_prefix}_{name}" for name in ("TX", "COMMANDS", "LINKS")),
            f"{API}DIRECT.GET.KV_{lower}_chargers",
            *(f"{API}CONSUMER.CREATE.{name}" for name in followed),
        ],
        "subscribe": [
            f"{nats.inbox_prefix}.>",
            f"{nats.rpc_prefix}.send.*.*",
            f"{nats.rpc_prefix}.link.*.*",
        ],
    }


async def permissions(config: Config, client: "Client", complaints: list[str]) -> Check:
    """The line about permissions. ``complaints``: what the server said so far, and says while it is asked."""
    from nats.errors import Error  # noqa: PLC0415

    try:
        reply = await client.request(ASK, b"", timeout=_TIMEOUT)
        granted = orjson.loads(reply.data)["data"].get("permissions") or {}
    except (Error, TimeoutError, KeyError, TypeError, AttributeError, orjson.JSONDecodeError):
        # Without an inbox nothing is answered; whatever else is forbidden shows when it is used.
        if any("subscription" in text.lower() for text in complaints):
            return Check(
                "permissions", "fail", f"allow this user to subscribe to {config.nats.inbox_prefix}.>"
            )
        return Check("permissions", "hint", f"not seen: allow this user to publish to {ASK}")
    lines = []
    for verb, subjects in needed(config).items():
        lacking = [one for one in subjects if not _allowed(granted.get(verb) or {}, one)]
        api = [one for one in subjects if one.startswith(API)]
        if api and set(api) <= set(lacking):
            lacking = [one for one in lacking if one not in api] + [f"{API}>"]
        if lacking:
            lines.append(f"{verb} to {', '.join(lacking)}")
    # Whoever commands a charger chooses the subject of the reply.
    if not granted.get("responses") and not _allowed(granted.get("publish") or {}, "_INBOX.>"):
        lines.append("answer commands (allow_responses: true)")
    if lines:
        return Check("permissions", "fail", f"allow this user to {'; to '.join(lines)}")
    return Check("permissions", "ok", "this user may do what serve does" if granted else "no restrictions")


def _allowed(rules: dict[str, Any], subject: str) -> bool:
    """As the server decides: no list of allowed ones allows all, and a denied one stays denied."""
    allow, deny = rules.get("allow") or [], rules.get("deny") or []
    # A rule of a queue is "subject queue": it denies less than the subject, and is not looked at.
    return (not allow or any(covers(rule, subject) for rule in allow)) and not any(
        meets(rule, subject) for rule in deny if " " not in rule
    )
