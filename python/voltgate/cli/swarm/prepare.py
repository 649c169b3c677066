"""From the options of the command line to a run: everything is checked before the first process starts."""

import re
import urllib.request
from dataclasses import dataclass
from itertools import cycle, pairwise

from voltgate.charger.plan import MIX, Plan, tls
from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.service import loaded
from voltgate.cli.swarm import values
from voltgate.cli.swarm.commander import Commander
from voltgate.cli.swarm.consumer import Consumers
from voltgate.cli.swarm.course import Run
from voltgate.cli.swarm.figures import Wish
from voltgate.cli.swarm.options import Options
from voltgate.cli.swarm.scenarios import day
from voltgate.cli.swarm.search import Search
from voltgate.cli.swarm.thresholds import Threshold, parse
from voltgate.cli.versions import version_token
from voltgate.schemas import SUBPROTOCOLS

SECONDS = 60.0  # of load, unless something gives another length
ADMIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run, and what its figures need beside it."""

    run: Run
    thresholds: list[Threshold]
    gateway: str | None
    """Its version."""


@dataclass(frozen=True, slots=True)
class Load:
    """The chargers, and the CALLs over time."""

    chargers: list[tuple[str, str, str | None, str]]
    """As in Plan."""
    rate: float
    """The mean rate, in the time of the run."""
    seconds: float
    profile: list[tuple[float, float]]
    """As in Plan, of all processes together."""


def prepared(scenario: str, given: Options) -> Prepared:
    """Raises Failure, and ConfigError for what needs the configuration."""
    thresholds = [parse("--threshold", text) for text in given.threshold or []]
    until = parse("--until", given.until)
    _check(given)
    load = _replayed(given) if given.replay else _planned(scenario, given)
    plans = _plans(given, load)
    wish = Wish(
        scenario=scenario,
        url=given.url,
        chargers=len(load.chargers),
        rate=round(load.rate, 1),
        duration=load.seconds,
        mix=plans[0].mix,
        storm=given.storm,
        half_open=given.half_open,
        slow_consumers=given.slow_consumers,
    )
    commander = None
    if given.commands:
        action, body = values.command(given.command)
        identities = [charger[0] for charger in load.chargers]
        commander = Commander(
            loaded(given.config), identities, given.commands, (action, body), once=given.fan_out
        )
    run = Run(
        wish=wish,
        plans=plans,
        commander=commander,
        consumers=Consumers(given.slow_consumers, given.config) if given.slow_consumers else None,
        search=Search(given.rate, load.seconds, until) if given.find_rate else None,
    )
    return Prepared(run=run, thresholds=thresholds, gateway=_version(given.admin) if given.admin else None)


def _check(given: Options) -> None:
    """Options that exclude or require each other."""
    loads = {"--profile": given.profile, "--replay": given.replay, "--find-rate": given.find_rate}
    faults = {"--storm": given.storm, "--half-open": given.half_open, "--commands": given.commands}
    for names in (loads, {"--find-rate": given.find_rate, **faults} if given.find_rate else {}):
        chosen = [name for name, value in names.items() if value]
        if len(chosen) > 1:
            raise Failure(f"{chosen[1]}: cannot be used with {chosen[0]}", USAGE)
    rules: list[tuple[bool, str]] = [
        (given.fan_out and not given.commands, "--fan-out: requires --commands"),
        (bool(given.cert) != bool(given.key), "--cert and --key: each requires the other"),
        (given.find_rate and not given.rate, "--find-rate: requires a --rate above 0 to begin with"),
    ]
    for broken, text in rules:
        if broken:
            raise Failure(text, USAGE)


def _planned(scenario: str, given: Options) -> Load:
    """A constant rate, or a profile."""
    host = values.host_of(given.url)
    tokens = list(SUBPROTOCOLS) if given.version == "mixed" else [version_token(given.version)]
    logins = values.logins(given.chargers, given.identity_prefix, given.password_file)
    sources = cycle(values.sources(host, given.chargers, given.source_addresses))
    chargers = [
        (name, token, password, source)
        for (name, password), token, source in zip(logins, cycle(tokens), sources, strict=False)
    ]
    points = day(given.rate) if scenario == "day" else []
    if given.profile:
        points = values.profile(given.profile)
    points = [(at / given.speed, rate * given.speed) for at, rate in points]
    length = points[-1][0] if points else SECONDS
    return Load(
        chargers,
        _mean(points) if points else given.rate,
        length if given.duration is None else given.duration,
        points,
    )


def _replayed(given: Options) -> Load:
    """The chargers of the recording, each with its version."""
    assert given.replay is not None
    values.host_of(given.url)
    frames = values.frames(given.replay)
    versions = {frame.identity: frame.version for frame in frames}
    passwords = dict(values.credentials(given.password_file)) if given.password_file else {}
    chargers = [(name, version, passwords.get(name), "") for name, version in versions.items()]
    length = (frames[-1].at - frames[0].at) / given.speed
    seconds = length if given.duration is None else given.duration
    return Load(chargers, len(frames) / max(length, 1.0), seconds, [])


def _plans(given: Options, load: Load) -> list[Plan]:
    """One per process."""
    count = values.process_count(len(load.chargers), given.processes)
    plans = [
        Plan(
            url=given.url.rstrip("/"),
            chargers=load.chargers[number::count],
            rate=load.rate / count,
            profile=[(at, rate / count) for at, rate in load.profile],
            mix=values.mix(given.mix, MIX),
            replay=str(given.replay or ""),
            speed=given.speed,
            faults=values.faults(given.faults),
            reconnect_rate=given.reconnect_rate / count,
            connect_rate=given.connect_rate / count,
            storm_spread=given.storm_spread,
            ca=str(given.ca or ""),
            certificate=given.cert,
            key=given.key,
        )
        for number in range(count)
    ]
    each = "{identity}" in given.cert
    for identity, *_ in load.chargers if each else load.chargers[:1]:
        try:
            tls(plans[0], identity)
        except OSError as error:  # OpenSSL does not name the file
            files = ", ".join(filter(None, (str(given.ca or ""), given.cert, given.key)))
            reason = error.strerror or str(error)
            raise Failure(
                f"{files.replace('{identity}', identity)}: no certificate or key, or they do not match "
                f"({reason})",
                USAGE,
            ) from None
    return plans


def _mean(points: list[tuple[float, float]]) -> float:
    """The mean rate of a profile."""
    calls = sum((after - before) * (low + high) / 2 for (before, low), (after, high) in pairwise(points))
    return calls / points[-1][0]


def _version(admin: str) -> str:
    """The version of the gateway, from its metrics. Raises Failure."""
    url = f"{admin.rstrip('/')}/metrics"
    try:
        if not url.startswith(("http://", "https://")):
            raise ValueError("must have the form http://HOST:PORT")
        with urllib.request.urlopen(url, timeout=ADMIN_SECONDS) as answer:  # noqa: S310 - checked above
            metrics = answer.read().decode()
    except (OSError, ValueError) as error:
        raise Failure(f"--admin {admin}: {getattr(error, 'reason', None) or error}", USAGE) from None
    found = re.search(r'^voltgate_build_info\{[^}]*version="([^"]+)"', metrics, re.MULTILINE)
    if found is None:
        raise Failure(f"--admin {admin}: no voltgate_build_info in its metrics", USAGE)
    return found[1]
