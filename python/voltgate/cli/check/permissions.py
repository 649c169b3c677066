"""Whether the NATS user has the permissions that ``serve`` needs.

The permissions are read from the server: trying them would publish false facts.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from voltgate.cli.check.subjects import covers, meets
from voltgate.config import Config
from voltgate.gateway.bus import streams
from voltgate.gateway.bus.domain import API, js_api, within
from voltgate.gateway.bus.services import NAME
from voltgate.gateway.preflight import Finding
from voltgate.service_api import permitted

if TYPE_CHECKING:
    from nats.aio.client import Client

ASK = "$SYS.REQ.USER.INFO"
_TIMEOUT = 2.0


def needed(config: Config) -> dict[str, list[str]]:
    """The subjects that ``serve`` publishes and subscribes to."""
    nats = config.nats
    lower = nats.stream_prefix.lower()
    followed = (f"{nats.stream_prefix}_LINKS", f"KV_{lower}_chargers", f"KV_{lower}_gateways")
    classes = ("tx", "event", "live", "command", "reject", "link", "security", "violation")
    return {
        "publish": [
            within(nats.domain, subject)
            for subject in (
                *(f"{nats.prefix}.{class_}.>" for class_ in classes),
                f"{nats.rpc_prefix}.ask.>",
                f"{nats.rpc_prefix}.link.probe.*",
                f"$KV.{lower}_gateways.>",
                f"$KV.{lower}_chargers.>",
                f"$KV.{lower}_models.>",
                *(f"{API}STREAM.INFO.{stream.name}" for stream in streams.wanted(config)),
                f"{API}STREAM.NAMES",
                f"{API}DIRECT.GET.{nats.stream_prefix}_TX",
                *(f"{API}STREAM.MSG.GET.{nats.stream_prefix}_{name}" for name in ("COMMANDS", "LINKS")),
                f"{API}DIRECT.GET.KV_{lower}_chargers",
                *(f"{API}CONSUMER.CREATE.{name}" for name in followed),
                *(f"{API}CONSUMER.INFO.{one.replace('/', '.')}" for one in nats.watched_consumers),
            )
        ],
        "subscribe": [f"{nats.inbox_prefix}.>", f"{nats.rpc_prefix}.send.*.*", f"{nats.rpc_prefix}.link.*.*"],
    }


class Permissions(NamedTuple):
    """The finding, and whether this user can use the JetStream API."""

    finding: Finding
    ask_jetstream: bool


async def permissions(config: Config, client: "Client", complaints: list[str]) -> Permissions:
    """Check the user's permissions. ``complaints``: the server's errors, filled during the request."""
    from nats.errors import Error  # noqa: PLC0415

    try:
        reply = await client.request(ASK, b"", timeout=_TIMEOUT)
        granted = orjson.loads(reply.data)["data"].get("permissions") or {}
    except (Error, TimeoutError, KeyError, TypeError, AttributeError, orjson.JSONDecodeError):
        # Without the inbox no request is answered; other missing permissions show on use.
        if any("subscription" in text.lower() for text in complaints):
            found = Finding(
                "permissions", "fail", f"allow this user to subscribe to {config.nats.inbox_prefix}.>"
            )
            return Permissions(found, ask_jetstream=False)
        found = Finding("permissions", "hint", "unknown", f"allow this user to publish to {ASK}")
        return Permissions(found, ask_jetstream=True)
    prefix = js_api(config.nats.domain)
    lines, ask_jetstream = [], _allowed(granted.get("subscribe") or {}, f"{config.nats.inbox_prefix}.>")
    for verb, subjects in needed(config).items():
        lacking = [one for one in subjects if not _allowed(granted.get(verb) or {}, one)]
        api = [one for one in subjects if one.startswith(prefix)]
        if api and set(api) <= set(lacking):
            lacking = [one for one in lacking if one not in api] + [f"{prefix}>"]
        if lacking:
            lines.append(f"{verb} to {', '.join(lacking)}")
            ask_jetstream &= not any(one.startswith((f"{prefix}STREAM.", f"{prefix}>")) for one in lacking)
    # A backend that commands a charger chooses the subject of the reply.
    if not granted.get("responses") and not _allowed(
        granted.get("publish") or {}, f"{config.nats.reply_prefixes[0]}.>"
    ):
        lines.append("answer commands (allow_responses: true)")
    if lines:
        return Permissions(
            Finding("permissions", "fail", f"allow this user to {'; to '.join(lines)}"), ask_jetstream
        )
    unseen = [one for one in permitted(NAME) if not _allowed(granted.get("subscribe") or {}, one)]
    if unseen:
        remedy = f"allow this user to subscribe to {', '.join(unseen)}"
        found = Finding("permissions", "hint", "`nats micro ls` does not show gateways", remedy)
        return Permissions(found, ask_jetstream)
    text = "this user has all permissions that serve needs" if granted else "no restrictions"
    return Permissions(Finding("permissions", "ok", text), ask_jetstream)


def _allowed(rules: dict[str, Any], subject: str) -> bool:
    """As the server decides: without an allow list everything is allowed, and deny wins."""
    allow, deny = rules.get("allow") or [], rules.get("deny") or []
    # A rule of a queue is "subject queue": it denies less than the subject, and is ignored.
    return (not allow or any(covers(rule, subject) for rule in allow)) and not any(
        meets(rule, subject) for rule in deny if " " not in rule
    )
