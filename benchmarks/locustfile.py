"""Locust users that are simulated chargers of several kinds, and commands to them.

Run: ``make locust``, or ``locust -f benchmarks/locustfile.py --host ws://127.0.0.1:9000/ocpp``. The chargers
run on an asyncio loop in a native thread, because Locust runs on gevent; results are passed in a deque.

Request types: ``connect`` (dial to 101), ``CALL`` (from when it was due to its answer; a CALL without an
answer is a failure at its age), ``backlog`` (a CALL that was due while its charger was offline), ``command``
(NATS request to reply, with ``--nats``). Arrivals are an open loop: a user plans its next CALL at a random
time, whether or not the last one was answered.
"""

import asyncio
import logging
import secrets
from argparse import Namespace
from collections import deque
from itertools import count, cycle
from random import Random
from time import monotonic
from typing import Any

import gevent
import locust.stats
import nats
import structlog
import uvloop
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from nats.aio.client import Client
from nats.errors import Error, NoRespondersError
from thresholds import missed, summary

from voltgate import _core
from voltgate.charger import Behaviour, Charger, Endpoint, Line, Observer, Queued, Settings
from voltgate.charger.messages import Transaction
from voltgate.schemas import SUBPROTOCOLS

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))

REPORT_SECONDS = 0.2
COMMAND_SECONDS = 35.0  # a gateway answers after 30 at the latest
RNG = Random()
VERSIONS = tuple(SUBPROTOCOLS)

Sample = tuple[str, str, float, str]  # request type, name, seconds, error
samples: deque[Sample] = deque()
tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps no reference
connected: list[Charger] = []
delayed: set[Queued] = set()
"""CALLs in the outbox of a charger that was offline meanwhile."""
numbers = count(1)


def fine(milliseconds: float) -> float:
    """Locust counts times in buckets; these keep fractions of a millisecond."""
    return round(milliseconds, 2 if milliseconds < 10 else 1 if milliseconds < 100 else 0)


vars(locust.stats)["bucket_response_time"] = fine


@events.init_command_line_parser.add_listener
def arguments(parser: LocustArgumentParser) -> None:
    """Options of this file."""
    parser.add_argument("--nats", default="", help="URL of NATS: send commands to the chargers")
    parser.add_argument("--command-rate", type=float, default=2.0, help="commands per second and process")
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        help="exit with 1 unless it holds; repeatable: 'CALL.p99_ms<200', 'error_share<0.01'",
    )


@events.init.add_listener
def begin(environment: Environment, **_: object) -> None:
    """After the fork of ``--processes``, because threads and loops do not survive it."""
    if isinstance(environment.runner, MasterRunner):
        return  # it has no users
    loop = ChargerUser.loop = uvloop.new_event_loop()
    ChargerUser.swarm = secrets.token_hex(3)  # identities of two Locust processes must differ
    gevent.get_hub().threadpool.spawn(loop.run_forever)
    gevent.spawn(report, environment)
    given = environment.parsed_options
    if given is not None and given.nats:
        loop.call_soon_threadsafe(lambda: keep(loop, commands(given)))


@events.quitting.add_listener
def judge(environment: Environment, **_: object) -> None:
    """Thresholds, once all processes have reported."""
    given = environment.parsed_options
    if given is None or isinstance(environment.runner, WorkerRunner):
        return
    for line in summary(environment.stats):
        logging.info("%s", line)
    for text in missed(environment.stats, given.threshold):
        logging.error("threshold does not hold: %s", text)
        environment.process_exit_code = 1


def report(environment: Environment) -> None:
    """Pass results from the chargers' thread to Locust."""
    fire: Any = environment.events.request.fire
    while True:
        gevent.sleep(REPORT_SECONDS)
        while samples:
            kind, name, seconds, error = samples.popleft()
            fire(
                request_type=kind,
                name=name,
                response_time=seconds * 1000,
                response_length=0,
                exception=RuntimeError(error) if error else None,
                context={},
            )


def keep(loop: asyncio.AbstractEventLoop, work: Any) -> None:
    """Run on the chargers' loop until done."""
    running = loop.create_task(work)
    tasks.add(running)
    running.add_done_callback(tasks.discard)


async def commands(given: Namespace) -> None:
    """An open loop of commands to random chargers."""
    client = await nats.connect(given.nats)
    while True:
        await asyncio.sleep(RNG.expovariate(given.command_rate))
        if connected:
            identity = RNG.choice(connected).settings.identity
            keep(asyncio.get_running_loop(), one_command(client, identity, "ClearCache"))


async def one_command(client: Client, identity: str, action: str) -> None:
    """One command and its outcome."""
    began, subject = monotonic(), f"ocpprpc.send.{action}.{_core.token(identity)}"
    try:
        reply = await client.request(subject, b"{}", timeout=COMMAND_SECONDS)
        outcome = (reply.headers or {}).get("ocpp-outcome", "unknown")
    except NoRespondersError:
        outcome = "not connected"  # as many of the ill-behaved are
    except (Error, TimeoutError) as error:
        outcome = type(error).__name__
    failed = outcome not in {"result", "not connected"}
    samples.append(("command", f"{action}: {outcome}", monotonic() - began, outcome if failed else ""))


class Results(Observer):
    """Passes every result to Locust's thread."""

    def over(self, line: Line, call: Queued, seconds: float, error: str) -> None:
        """See Observer."""
        kind = "backlog" if call in delayed else "CALL"
        delayed.discard(call)
        samples.append((kind, f"{line.settings.version} {call.action}", seconds, error))

    def kept(self, line: Line, message: Queued) -> None:
        """See Observer."""
        if not line.connected:
            delayed.add(message)

    def upgraded(self, line: Line, seconds: float) -> None:
        """See Observer."""
        samples.append(("connect", line.settings.version, seconds, ""))

    def refused(self, line: Line, reason: str, seconds: float) -> None:
        """See Observer."""
        samples.append(("connect", line.settings.version, seconds, reason))

    def ready(self, line: Line) -> None:
        """See Observer."""
        assert isinstance(line, Charger)
        connected.append(line)

    def left(self, line: Line) -> None:
        """See Observer."""
        assert isinstance(line, Charger)
        connected.remove(line)


QUIET = Behaviour(connectors=2, heartbeat=0.0, back_off_minimum=1.0, back_off_random=4.0, back_off_repeats=2)


class ChargerUser(User):
    """One charger from spawn to stop. A task plans a CALL; it does not wait for the answer."""

    abstract = True
    host = "ws://127.0.0.1:9000/ocpp"
    behaviour = QUIET
    versions = cycle(VERSIONS)
    seconds = 5.0
    """Mean time between two tasks of one user."""
    loop: asyncio.AbstractEventLoop
    swarm: str

    def wait_time(self) -> float:
        """Arrivals are independent of each other."""
        return RNG.expovariate(1 / self.seconds)

    def on_start(self) -> None:
        """Start it."""
        settings = Settings(
            identity=f"LOCUST-{self.swarm}-{next(numbers):05}",
            version=next(type(self).versions),
            endpoints=[Endpoint(url=self.host or "")],
            behaviour=self.behaviour,
        )
        self.charger = Charger(settings, Results(), rng=RNG)
        self.loop.call_soon_threadsafe(self.charger.start)

    def on_stop(self) -> None:
        """Close its connection."""
        self.loop.call_soon_threadsafe(lambda: keep(self.loop, self.charger.stop()))

    def transact(self) -> None:
        """Begin, meter or end a transaction, as a vehicle would."""

        def step() -> None:
            connectors = self.charger.connectors
            running = next(iter(connectors.transactions), None)
            if running is None:
                connectors.start(Transaction(1, RNG.choice(self.behaviour.tags), planned=True))
            elif RNG.random() < 0.1:
                connectors.end(running, "Local")
            else:
                connectors.update(running)

        self.loop.call_soon_threadsafe(step)

    def send(self, kind: str) -> None:
        """A Heartbeat or a StatusNotification."""

        def step() -> None:
            status = self.charger.dialect.status(2, self.charger.connectors[2].status)
            self.charger.send(("Heartbeat", {}) if kind == "heartbeat" else status)

        self.loop.call_soon_threadsafe(step)

    def lose(self, seconds: float) -> None:
        """Lose the connection; the charger dials again after ``seconds``."""

        def step() -> None:
            delayed.update(self.charger.outbox)
            self.charger.drop(seconds)

        self.loop.call_soon_threadsafe(step)


class Idle(ChargerUser):
    """No vehicle: heartbeats and statuses."""

    weight = 5
    seconds = 10.0

    @task(4)
    def beat(self) -> None:
        """A sign of life."""
        self.send("heartbeat")

    @task(1)
    def tell(self) -> None:
        """A status of the second connector."""
        self.send("status")


class Charging(ChargerUser):
    """Vehicles come and go: transactions with meter values."""

    weight = 4
    seconds = 3.0

    @task(10)
    def charge(self) -> None:
        """The next message of a transaction."""
        self.transact()

    @task(1)
    def beat(self) -> None:
        """A sign of life."""
        self.send("heartbeat")


class Offline(ChargerUser):
    """A bad mobile network: transaction messages wait until the next connect, then all are sent in order."""

    weight = 1
    seconds = 1.0

    @task(20)
    def charge(self) -> None:
        """The next message of a transaction, connected or not."""
        self.transact()

    @task(1)
    def tunnel(self) -> None:
        """Lose the connection for a while."""
        self.lose(RNG.uniform(3.0, 10.0))


class IllBehaved(ChargerUser):
    """OCPP 1.6 without back-off: it redials at once, reuses message ids and gives up early on answers."""

    weight = 1
    seconds = 1.0
    versions = cycle(["v16"])
    behaviour = Behaviour(
        connectors=2,
        heartbeat=1.0,
        answer_timeout=2.0,
        attempts=5,
        retry_interval=0.5,
        reuse_ids=True,
        back_off_minimum=0.0,
        back_off_random=0.05,
        back_off_repeats=0,
        boot_retry=0.1,
    )

    @task(3)
    def charge(self) -> None:
        """The next message of a transaction."""
        self.transact()

    @task(1)
    def reset(self) -> None:
        """Reset its connection, and dial again at once."""
        self.lose(0.0)
