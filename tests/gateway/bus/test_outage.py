"""Outages in virtual time (docs/contract.md 2.3): what begins and ends one, what readiness says meanwhile.

The loop itself is virtual: where it would wait, its time goes on.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from voltgate.config import Nats
from voltgate.gateway.bus.outage import LIVENESS_EVERY, PROBE_EVERY, REMIND_EVERY, Cause, Outage
from voltgate.gateway.clock import TICK, Wheel
from voltgate.gateway.telemetry.metrics import Metrics
from world import EPOCH, Bus

DOWN, UP = False, True
AWAY, FULL, NO_LEADER, SILENT = (
    "NATS is away",
    "OCPP_TX is full",
    "OCPP_TX has no leader or does not exist",
    "OCPP_TX does not acknowledge",
)


class Skip(selectors.SelectSelector):
    """Does not wait: time goes on by as much."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "the loop waits for nothing"
        self.now += max(timeout, 0.0)
        return super().select(0)


class Server(Bus):
    """The in-memory bus, and what an outage is judged by beside it."""

    def __init__(self, clock: Wheel) -> None:
        super().__init__(clock)
        self.connected, self.tx_acks, self.full = True, 0, 0.1
        self.leader = True
        self.changed: Callable[[bool], None]
        self.tx_failed: Callable[[str], None]

    def listen(self, changed: Callable[[bool], None], tx_failed: Callable[[str], None]) -> None:
        self.changed, self.tx_failed = changed, tx_failed

    async def fill(self, stream: str, within: float) -> float | None:
        if stream != "OCPP_TX":
            return 1.0
        return self.full if self.leader else None


class Scene:
    """An outage that watches, and what it reported."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.clock = Wheel(loop.time, lambda: EPOCH + loop.time())
        self.bus = Server(self.clock)
        self.reasons: list[str] = []
        self.metrics = Metrics()
        self.outage = Outage(Nats(), self.bus, self.clock, self.metrics, "a", self._changed)

    def _changed(self) -> None:
        self.reasons.append(self.outage.reason)

    async def turn(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.clock.advance()
            self.bus.settle()

    def connect(self, connected: bool) -> None:
        """NATS goes away or comes back."""
        self.bus.connected = connected
        self.bus.changed(connected)

    def samples(self, name: str) -> dict[str, float]:
        """The values of a metric by reason, where they are not 0."""
        families = [family for family in self.metrics.collect() if name.startswith(family.name)]
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        assert {sample.labels["reason"] for sample in samples} == {cause.label for cause in Cause}
        return {sample.labels["reason"]: sample.value for sample in samples if sample.value}

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @property
    def signs(self) -> int:
        """How often the liveness key was stored."""
        return len(self.bus.streams.get("KV_ocpp_gateways", []))


def play(act: Callable[[Scene], Coroutine[Any, Any, None]]) -> Scene:
    """Run ``act`` on a loop in virtual time, once the start is over."""
    selector = Skip()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]

    async def acting(scene: Scene) -> None:
        beside = [asyncio.create_task(scene.turn()), asyncio.create_task(scene.outage.watch())]
        playing = asyncio.create_task(played(scene))
        await asyncio.wait([playing, *beside], return_when=asyncio.FIRST_COMPLETED)
        for task in beside:
            task.cancel()
        results = await asyncio.gather(*beside, return_exceptions=True)
        assert {type(result) for result in results} == {asyncio.CancelledError}, results
        await playing

    async def played(scene: Scene) -> None:
        async with asyncio.timeout(3600):
            await scene.outage.over.wait()
            assert scene.reasons == [""]
            await act(scene)

    try:
        scene = Scene(loop)
        loop.run_until_complete(acting(scene))
        return scene
    finally:
        loop.close()


def test_the_sign_of_life_is_stored_every_five_seconds() -> None:
    async def act(scene: Scene) -> None:
        before = scene.signs
        await scene.pass_time(12 * LIVENESS_EVERY)
        assert 11 <= scene.signs - before <= 13
        body = orjson.loads(scene.bus.streams["KV_ocpp_gateways"][-1].data)
        assert (body["gateway"], scene.bus.streams["KV_ocpp_gateways"][-1].subject) == (
            "a", "$KV.ocpp_gateways.a",
        )  # fmt: skip

    assert play(act).reasons == [""]


def away(scene: Scene) -> None:
    scene.connect(DOWN)


def failed(cause: str, times: int = 1) -> Callable[[Scene], None]:
    def happen(scene: Scene) -> None:
        for _ in range(times):
            scene.bus.tx_failed(cause)

    return happen


def late_but_not_in_a_row(scene: Scene) -> None:
    for _ in range(9):
        failed("timeout", 2)(scene)
        scene.bus.tx_acks += 1


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (away, AWAY),
        (failed("full"), FULL),
        (failed("no_responders"), NO_LEADER),
        (failed("timeout", 3), SILENT),
        (failed("timeout", 2), ""),
        (late_but_not_in_a_row, ""),
        (failed("refused"), ""),
        (failed("away"), ""),
    ],
)
def test_what_begins_an_outage(happens: Callable[[Scene], None], reason: str) -> None:
    async def act(scene: Scene) -> None:
        happens(scene)
        assert scene.outage.reason == reason
        assert scene.outage.over.is_set() is (not reason)

    play(act)


def test_an_outage_ends_with_the_next_check_that_passes_and_may_begin_again() -> None:
    async def act(scene: Scene) -> None:
        for _ in range(2):
            failed("full")(scene)
            began = scene.clock.now
            await scene.outage.over.wait()
            assert PROBE_EVERY <= scene.clock.now - began < 2 * PROBE_EVERY

    assert play(act).reasons == ["", FULL, "", FULL, ""]


def test_late_stores_of_before_an_outage_do_not_count_after_it() -> None:
    async def act(scene: Scene) -> None:
        failed("timeout", 3)(scene)
        await scene.outage.over.wait()
        failed("timeout", 2)(scene)
        assert scene.outage.reason == ""
        failed("timeout")(scene)
        assert scene.outage.reason == SILENT

    play(act)


def test_a_second_cause_does_not_begin_a_second_outage() -> None:
    async def act(scene: Scene) -> None:
        away(scene)
        since = scene.outage.since
        await scene.pass_time(1)
        failed("full")(scene)
        assert (scene.outage.reason, scene.outage.since) == (AWAY, since)

    play(act)


def full(scene: Scene) -> None:
    scene.bus.full = 0.99


def without_leader(scene: Scene) -> None:
    scene.bus.leader = False


def empty(scene: Scene) -> None:
    scene.bus.fails.add("KV_ocpp_gateways")


@pytest.mark.parametrize(
    ("still", "reason"),
    [(full, FULL), (without_leader, NO_LEADER), (empty, "NATS does not store our liveness key")],
)
def test_nats_that_is_back_and_cannot_store_is_not_called_away(
    still: Callable[[Scene], None], reason: str
) -> None:
    """Readiness says what is missing, for as long as it is."""

    async def act(scene: Scene) -> None:
        away(scene)
        still(scene)
        await scene.pass_time(60)
        assert scene.outage.reason == AWAY
        scene.connect(UP)
        await scene.pass_time(2 * PROBE_EVERY + 1)
        assert scene.outage.reason.startswith(reason)
        await scene.pass_time(60)
        assert scene.outage.reason.startswith(reason)
        scene.bus.full, scene.bus.leader = 0.5, True
        scene.bus.fails.clear()
        async with asyncio.timeout(2 * PROBE_EVERY + 1):
            await scene.outage.over.wait()

    assert play(act).reasons == ["", AWAY, ""]


def test_a_liveness_key_whose_pub_ack_is_late_counts_at_the_next_check() -> None:
    async def act(scene: Scene) -> None:
        failed("full")(scene)
        scene.bus.hold = True
        await scene.pass_time(2 * PROBE_EVERY + 0.5)  # the first check has given up waiting
        assert scene.outage.reason == FULL
        scene.bus.release(1)
        await scene.pass_time(PROBE_EVERY + 0.1)
        assert scene.outage.reason == "", "the key is stored, though the second PubAck is missing"

    play(act)


def test_an_outage_is_logged_when_it_begins_while_it_lasts_and_when_it_ends() -> None:
    async def act(scene: Scene) -> None:
        with capture_logs() as logs:
            away(scene)
            scene.bus.full = 0.99
            scene.connect(UP)
            await scene.pass_time(PROBE_EVERY + 0.5)
            scene.bus.full = 0.1
            await scene.outage.over.wait()
        assert [log["event"] for log in logs] == ["outage.began", "outage.continues", "outage.ended"]
        assert [log["reason"] for log in logs] == [AWAY, FULL, FULL]

    play(act)


def test_a_long_outage_is_mentioned_once_a_minute() -> None:
    async def act(scene: Scene) -> None:
        with capture_logs() as logs:
            full(scene)
            failed("full")(scene)
            await scene.pass_time(5.5 * REMIND_EVERY)
        assert [log["event"] for log in logs] == ["outage.began", *["outage.continues"] * 5]

    play(act)


def test_it_ends_as_soon_as_nats_is_back_and_can_store() -> None:
    """Not only when the next check would be due."""

    async def act(scene: Scene) -> None:
        away(scene)
        await scene.pass_time(3 * PROBE_EVERY + 0.1)
        scene.connect(UP)
        began = scene.clock.now
        await scene.outage.over.wait()
        assert scene.clock.now - began <= 4 * TICK

    play(act)


def test_metrics_name_the_cause_and_count_what_began() -> None:
    """Every reason has a sample from the start, so that `increase()` sees the first outage."""

    async def act(scene: Scene) -> None:
        assert scene.samples("voltgate_outage") == scene.samples("voltgate_outages_total") == {}
        away(scene)
        assert scene.samples("voltgate_outage") == {"away": 1}
        full(scene)
        scene.connect(UP)
        await scene.pass_time(PROBE_EVERY)
        assert scene.samples("voltgate_outage") == {"full": 1}
        assert scene.samples("voltgate_outages_total") == {"away": 1}

    play(act)


def test_a_gateway_that_leaves_removes_its_key() -> None:
    async def act(scene: Scene) -> None:
        scene.outage.remove_liveness()
        (message,) = scene.bus.live
        assert (message.subject, message.headers["KV-Operation"]) == ("$KV.ocpp_gateways.a", "PURGE")

    play(act)
