"""What tests share that need a real NATS or a real process."""

import logging
import os
import re
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from jetstream import NatsServer, free_port
from processes import Start, Voltgate


def pytest_configure() -> None:
    """Log lines go to pytest, which shows them with a test that fails: threads write between tests too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell
        signal.signal(signal.SIGINT, signal.default_int_handler)  # or every process of a test would ignore it
    logging.getLogger("voltgate").setLevel(logging.DEBUG)
    logging.getLogger().addHandler(logging.NullHandler())
    structlog.configure(
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=False)],
    )


# No time limits, and the same examples in every run but the full one, which searches for others.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=os.environ.get("TEST_FULL") != "1",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")

# What starts other processes: folders, and fixtures in the others.
PROCESSES = {
    "attack", "benchmarks", "cli", "conformance", "deploy", "docs", "e2e", "examples", "faults", "observe",
    "strangers",
}  # fmt: skip
PAGES = ("csms", "pages")
SERVERS = {
    "alone", "console", "database_url", "guarded", "house", "nats_server", "postgres_server", "server",
    "start", "start_nats",
}  # fmt: skip

LONG = [line for line in (Path(__file__).parent / "long.txt").read_text().split() if "::" in line]


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that the workers end together; tests of full size where they are asked for."""
    patterns = (re.escape(entry).replace(r"\*", ".*") for entry in LONG)
    long = re.compile("|".join(rf"tests/{pattern}(\[.*\])?" for pattern in patterns))
    tests = Path(__file__).parent
    for item in items:
        if long.fullmatch(item.nodeid):
            item.add_marker(pytest.mark.long)
        where = item.path.relative_to(tests).parts
        if where[0] in PROCESSES or where[:2] == PAGES or SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.processes)
    order = ("attack", "faults", "deploy", "docs", "e2e", "cli", "ledger", "charger")
    if os.environ.get("TEST_FULL") != "1":
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="minutes at its full size: make test-full"))

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return order.index(folder) if folder in order else len(order)

    items.sort(key=place)


@pytest.fixture(name="free_port")
def another_port() -> Callable[[], int]:
    return free_port


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[Callable[..., NatsServer]]:
    """Start a nats-server with these arguments; killed at the end. A missing binary fails the test."""
    started: list[NatsServer] = []

    def start(*arguments: str, port: int = 0) -> NatsServer:
        started.append(NatsServer(tmp_path / f"nats{len(started)}", arguments, port))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server of the test's own, with JetStream."""
    server = NatsServer(tmp_path / "jetstream")
    yield server
    server.kill()


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the person who runs the tests."""
    for name in [name for name in os.environ if name.startswith("VOLTGATE_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Whatever the test does to logging ends with it."""
    root = logging.getLogger()
    handlers, level, shown = root.handlers, root.level, warnings.showwarning
    settings = structlog.get_config()
    yield
    logging.captureWarnings(False)
    root.handlers, warnings.showwarning = handlers, shown
    root.setLevel(level)
    structlog.configure(**settings)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Voltgate] = []

    def one(*arguments: str, shell: str = "") -> Voltgate:
        folder = tmp_path / f"run{len(started)}"
        folder.mkdir()
        started.append(Voltgate(folder, *arguments, shell=shell))
        return started[-1]

    yield one
    for voltgate in started:
        if voltgate.process.poll() is None:
            voltgate.process.kill()
            voltgate.process.wait()


@pytest.fixture
def ports(free_port: Callable[[], int]) -> tuple[int, int, int]:
    """Chargers', admin's, NATS'."""
    return free_port(), free_port(), free_port()
