"""Locust users that are simulated chargers: boot, status, heartbeats, transactions with meter values.

Run: ``locust -f benchmarks/locustfile.py --host ws://127.0.0.1:9000/ocpp``. The chargers run
on an asyncio loop in a native thread, because Locust runs on gevent; answers are passed in a deque.
"""

import asyncio
import logging
import secrets
from collections import deque
from itertools import count, cycle

import gevent
import structlog
import uvloop
from locust import User, constant, events, task
from locust.env import Environment

from voltgate.charger import Answer, Charger, Endpoint, Line, Observer, Queued, Settings, Tally
from voltgate.charger.fleet import LIVELY, VERSIONS

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))

TALLY = Tally()
NUMBERS, TURNS = count(1), cycle(VERSIONS)

answers: deque[tuple[str, Answer]] = deque()
counted = {"connects": 0, "refused": 0, "timeout": 0, "lost": 0}
stopping: set[asyncio.Task[None]] = set()


@events.init.add_listener
def begin(environment: Environment, **rest: object) -> None:
    """After the fork of ``--processes``, because threads and loops do not survive it."""
    ChargerUser.loop = uvloop.new_event_loop()
    ChargerUser.swarm = secrets.token_hex(3)  # identities of two Locust processes must differ
    gevent.get_hub().threadpool.spawn(ChargerUser.loop.run_forever)


class Answers(Observer):
    """Passes every answer to Locust's thread."""

    def answered(self, line: Line, call: Queued, answer: Answer) -> None:
        """See Observer."""
        answers.append((f"{line.settings.version} {call.action}", answer))


class ChargerUser(User):
    """One charger from spawn to stop; the task only reports."""

    wait_time = constant(0.5)
    loop: asyncio.AbstractEventLoop
    swarm: str

    def on_start(self) -> None:
        """Start it."""
        settings = Settings(
            identity=f"LOCUST-{self.swarm}-{next(NUMBERS):05}",
            version=next(TURNS),
            endpoints=[Endpoint(url=self.host)],
            behaviour=LIVELY,
        )
        self.charger = Charger(settings, Answers(), TALLY)
        self.loop.call_soon_threadsafe(self.charger.start)

    def on_stop(self) -> None:
        """Close its connection."""

        def stop() -> None:
            ending = self.loop.create_task(self.charger.stop())
            stopping.add(ending)
            ending.add_done_callback(stopping.discard)

        self.loop.call_soon_threadsafe(stop)

    @task
    def report(self) -> None:
        """Report the answers received since the last report."""
        while answers:
            name, answer = answers.popleft()
            self._fire("CALL", name, answer.seconds, answer.code)
        for what, before in counted.items():
            value = getattr(TALLY, what)
            counted[what] = now = value if isinstance(value, int) else value.total()
            kind = "socket" if what in ("connects", "refused") else "CALL"
            for _ in range(now - before):
                self._fire(kind, what, 0.0, "" if what == "connects" else what)

    def _fire(self, kind: str, name: str, seconds: float, error: str) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=RuntimeError(error) if error else None,
            context={},
        )
