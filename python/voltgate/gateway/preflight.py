"""What must hold before a process may take chargers: JetStream answers, its streams are as configured."""

import structlog

from voltgate.config import Config
from voltgate.gateway.bus.bus import Bus

log = structlog.get_logger()

HEADER_ROOM = 8192  # bytes beside the body that a fact's subject and headers may take


class StartError(Exception):
    """The process cannot do its work; one line per fault, each says what to do."""


async def verify(bus: Bus, config: Config) -> None:
    """Raises StartError with everything that is wrong. Nothing is changed (CONTRACT 3.7)."""
    room = bus.max_payload - HEADER_ROOM
    faults = []
    if config.limits.max_message_bytes > room:
        faults.append(
            f"limits.max_message_bytes is {config.limits.max_message_bytes}, but NATS takes "
            f"{bus.max_payload} bytes with headers: set it to {room} at most, or raise the server's "
            "max_payload"
        )
    try:
        changes = [change for change in await bus.plan(config) if change.action != "ok"]
        covering = await bus.covering(config)
    except Exception as error:
        raise StartError(
            f"JetStream does not answer ({error or type(error).__name__}): is it enabled?"
        ) from None
    for change in changes:
        if change.later:  # it was applied for gateways of a newer release, which serve beside this one
            log.warning(
                "stream.newer", stream=change.stream, release=change.later, differs=change.differences
            )
            continue
        what = "is missing" if change.action == "create" else f"differs: {', '.join(change.differences)}"
        faults.append(
            f"stream {change.stream} {what}: run `voltgate streams apply`, or change the configuration"
        )
    if covering:
        faults.append(
            f"stream {covering} covers {config.nats.rpc_prefix}.>: it would answer every question "
            "with its PubAck; change its subjects"
        )
    if faults:
        raise StartError("\n".join(faults))
