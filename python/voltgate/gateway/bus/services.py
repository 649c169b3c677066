"""The gateway in the NATS service API: ``$SRV.PING``, ``INFO`` and ``STATS`` (docs/contract.md 3.7).

Nothing is counted for it on the frame path: STATS are sums of the metrics, made when they are asked for.
"""

from collections.abc import Callable

from voltgate import __version__, _core
from voltgate.config import Nats
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.subscriptions import GROUP
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Request
from voltgate.gateway.reasons import Outcome
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.service_api import RATE, Counts, Endpoint, Service

NAME = "voltgate"


class Services:
    """Answers for one process, on each of its connections to NATS."""

    def __init__(self, bus: Bus, clock: Wheel, service: Service) -> None:
        self._bus, self._clock, self._service = bus, clock, service
        for subject in service.subjects():
            bus.subscribe(subject, self._asked, group=False)

    def _asked(self, request: Request) -> None:
        if not request.reply:
            return
        body = self._service.answer(request.subject, self._clock.now)
        if body is None:
            self._bus.garbage("service", f"{request.subject}: more than {RATE} requests a second")
        else:
            self._bus.emit(_core.publish(request.reply, "", [], body))


def service_of(process: str, nats: Nats, metrics: Metrics, linked: Callable[[], int]) -> Service:
    """The gateway with what it answers for each charger. ``linked``: requests on ``<rpc_prefix>.link``."""

    def sent() -> Counts:
        outcomes = list(metrics.commands.items())
        failed = sum(count for (_, outcome), count in outcomes if outcome != Outcome.RESULT.label)
        return Counts(sum(count for _, count in outcomes), failed, metrics.command_seconds.cell().total)

    commands = Endpoint("send", f"{nats.rpc_prefix}.send.*.*", GROUP, sent)
    links = Endpoint("link", f"{nats.rpc_prefix}.link.*.*", GROUP, lambda: Counts(linked()))
    return Service(NAME, process, __version__, "EV chargers (OCPP-J) on NATS", [commands, links])
