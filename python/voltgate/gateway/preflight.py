"""Conditions for accepting chargers, as findings for ``Worker``, ``serve`` and ``check``.

Nothing is changed here (docs/contract.md 3.7). Checks of ``voltgate check`` alone are in ``cli/check``.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog

from voltgate.config import Config
from voltgate.gateway import NATS_MINIMUM
from voltgate.gateway.edge import addresses, front
from voltgate.gateway.telemetry import tracing

if TYPE_CHECKING:
    from voltgate.gateway.bus.bus import Bus
    from voltgate.gateway.bus.streams import Change

log = structlog.get_logger()

_OFF = (10039, 10076)  # JetStream's codes for: not enabled for the account, in the server
HEADER_ROOM = 8192  # bytes reserved for a fact's subject and headers


class StartError(Exception):
    """The process cannot serve. The text has one line per fault, each with its remedy."""


class NotYetError(StartError):
    """It may serve soon: JetStream does not answer, or streams are missing. Nothing contradicts."""


_UNAVAILABLE = 10008  # JetStream's code while its servers have not elected a leader


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``hint``: works, but could be improved.

    ``passing``: a failure that may go away without a change of the configuration.
    """

    name: str
    severity: Literal["ok", "hint", "fail"]
    found: str
    remedy: str = ""
    passing: bool = False

    @property
    def text(self) -> str:
        """The finding and its remedy."""
        return f"{self.found}: {self.remedy}" if self.remedy else self.found


def unserved(config: Config) -> list[str]:
    """A line for each key that contradicts another, or names what cannot be used."""
    lines = []
    for number, listener in enumerate(config.listeners):
        for fault in [*front.faults(listener)] or front.unusable(listener):
            key, text = fault.split(": ", 1)
            lines.append(f"{config.where('listeners', number, key)}: {text}")
    if fault := tracing.missing(config.tracing):
        lines.append(fault.replace("tracing.endpoint", config.where("tracing", "endpoint")))
    return lines + list(addresses.clashes(config))


def server_version(release: tuple[int, int, int]) -> Finding:
    """Whether the NATS server is new enough."""
    found = f"nats-server {'.'.join(map(str, release))}"
    if release >= tuple(map(int, NATS_MINIMUM.split("."))):
        return Finding("nats", "ok", found)
    why = "loses acknowledged messages" if release < (2, 12, 3) else "refuses consumers whose filters overlap"
    return Finding("nats", "fail", f"{found} {why}", f"install {NATS_MINIMUM} or newer")


def message_size(config: Config, max_payload: int) -> Finding:
    """Whether a charger's largest message fits into a NATS message. ``max_payload``: the server's."""
    wanted, room = config.limits.max_message_bytes, max_payload - HEADER_ROOM
    if wanted <= room:
        found = f"{max_payload} bytes, {wanted + HEADER_ROOM} needed"
        more = f"limits.max_message_bytes may be {room}, and more if you raise max_payload of the NATS server"
        return Finding("max_payload", "ok", f"{found}; {more}")
    return Finding(
        "max_payload",
        "fail",
        f"{config.where('limits', 'max_message_bytes')} is {wanted}, "
        f"but NATS accepts {max_payload} bytes with headers",
        f"set it to at most {room}, or max_payload of the NATS server to at least {wanted + HEADER_ROOM}",
    )


def jetstream(plan: "list[Change]", covering: str | None, config: Config) -> list[Finding]:
    """Whether the streams are as configured. ``plan``, ``covering``: results of ``bus.streams``."""
    return [
        Finding("jetstream", "ok", "answers"),
        *map(_stream, plan),
        _questions(config.nats.rpc_prefix, covering),
    ]


def no_jetstream(error: Exception) -> Finding:
    """JetStream answered with an error, or did not answer."""
    found, remedy = jetstream_fault(error).split(": ", 1)
    code = getattr(error, "err_code", None)
    return Finding("jetstream", "fail", found, remedy, passing=code in (None, _UNAVAILABLE))


def _stream(change: "Change") -> Finding:
    name, differences = change.stream, "; ".join(change.differences)
    if change.taken:
        found = f"stream {name} cannot be as configured: {'; '.join(change.taken)}"
        return Finding(name, "fail", found, "change the subjects of that stream, or nats.prefix")
    if change.action == "ok":
        return Finding(name, "ok", "as configured")
    if change.later:  # applied by a later release that runs at the same time
        found = f"stream {name} was made by the later release {change.later} and differs ({differences})"
        return Finding(name, "hint", found, "upgrade, then change the remaining differences")
    found = "is missing" if change.action == "create" else f"differs ({differences})"
    remedy = "run `voltgate streams apply`, or change the configuration"
    return Finding(name, "fail", f"stream {name} {found}", remedy, passing=change.action == "create")


def _questions(prefix: str, covering: str | None) -> Finding:
    """Whether a stream would answer every question with its PubAck (docs/contract.md 3.2)."""
    if covering is None:
        return Finding("questions", "ok", f"no stream covers {prefix}.>")
    found = f"stream {covering} covers {prefix}.> and would answer every question with its PubAck"
    return Finding("questions", "fail", found, "change its subjects")


def jetstream_fault(error: Exception) -> str:
    """The meaning of a JetStream API error, and the remedy."""
    description = getattr(error, "description", None)
    if getattr(error, "err_code", None) in _OFF:
        return f"JetStream is off ({description}): enable it in the NATS server and for this account"
    if description:
        return f"JetStream refuses ({description}): `voltgate streams plan` shows the remaining changes"
    return (
        f"JetStream does not answer ({type(error).__name__}): enable it in the NATS server and for this "
        "account, and allow this user to publish to $JS.API.>"
    )


async def verify(bus: "Bus", config: Config) -> None:
    """Raise StartError with all faults, NotYetError where each of them may go away; log the hints."""
    findings = [server_version(bus.server_release), message_size(config, bus.max_payload)]
    try:
        plan = await bus.plan(config)
        findings += jetstream(plan, await bus.covering(config), config)
    except Exception as error:
        findings.append(no_jetstream(error))
    for finding in findings:
        if finding.severity == "hint":
            log.warning("stream.newer", stream=finding.name, reason=finding.text)
    failures = [one for one in findings if one.severity == "fail"]
    if failures:
        kind = NotYetError if all(one.passing for one in failures) else StartError
        raise kind("\n".join(one.text for one in failures))
